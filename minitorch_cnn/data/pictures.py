"""Reading picture files as a person sees them, or refusing them by name.

Pillow opens many kinds of pictures, but its ``convert("RGB")`` limits values of 16 bits to 255, shows the hidden
colours of transparent pixels, and ignores colour profiles. Here each kind is either converted to 8 bits of red, green
and blue correctly, or refused with a message that names it.
"""

import errno
import io
import os
import pathlib
import struct

import numpy as np

from minitorch_cnn import arguments, shapes
from minitorch_cnn.types import Array, Path, Size

_SIXTEEN_BITS = {"PNG", "TIFF", "PPM", "JPEG2000"}  # formats whose 16-bit grey values fill 0..65535
_BITS, _PHOTOMETRIC, _FORMAT = 258, 262, 339  # tags of TIFF
_WHITE_IS_ZERO, _UNSIGNED, _SIGNED = 0, 1, 2  # values of the last two
_PRIMARIES = 0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06  # of sRGB: white, red, green and blue, (x, y) each
_CODES = (1, 2), (1, 2, 6, 13)  # of primaries and transfer in ITU-T H.273: sRGB, what is shown as such, not stated
_HEAD = 1 << 16  # bytes of a file in which its colour space stands
_SYSTEMS = "__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"
_NAMED = 5  # ends of files in a message


class PictureError(ValueError):
    """A file that is not a picture, or a picture that cannot be shown in 8 bits of red, green and blue."""


def read_picture(path: Path, size: Size | None = None, channels: int = 3) -> Array:
    """Read a picture file.

    Parameters
    ----------
    path : str or Path
        A file that Pillow reads. Of several frames or pages the first is taken.
    size : int or (int, int) or None, pixels, >= 1
        Height and width. The largest part of this shape is cropped around the middle and scaled. None keeps the
        picture as it is.
    channels : 3 or 1
        Red, green and blue, or one channel of grey: 0.299 red + 0.587 green + 0.114 blue.

    Returns
    -------
    uint8 ndarray, shape (H, W, channels)
        In sRGB, upright as the camera was held, transparent pixels on white.

    Raises
    ------
    PictureError
        If the file is not a picture or is damaged, its values have no stated range (floats, signed integers, 32 bits,
        and 16 bits that do not fill 0..65535), or a PNG or AVIF has another colour space than sRGB and no profile.
    OSError
        If it cannot be read.
    TypeError
        If ``path`` is not a path, or ``size`` is not a size.
    ValueError
        If ``size`` is below 1, or ``channels`` neither 3 nor 1.

    Notes
    -----
    16 bits become 8 by rounding v / 257. A colour profile in the file is applied with LittleCMS; without one, the gamma
    of a PNG is, and a CMYK picture becomes (255 - c) (255 - k) / 255, and so on.
    """
    arguments.path("read_picture", path=path)
    if size is not None:
        size = shapes.pair(size, "read_picture: size")
    check_channels("read_picture", channels)
    from PIL import Image, ImageOps, UnidentifiedImageError  # here: training does not need it

    try:
        with Image.open(path) as file:
            picture = _as_seen(file)
    except PictureError as error:
        raise PictureError(f"{path} - {error}") from None
    except OSError as error:
        if error.errno and error.errno != errno.EINVAL:  # others are Pillow's own, about the contents
            raise
        got = error
        if isinstance(error, UnidentifiedImageError):  # its own text names the file again
            got = "another kind of file" if os.path.getsize(path) else "an empty file"
        raise PictureError(f"{path} - expected an image that Pillow can read, got {got}") from error
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        expected = f"at most {2 * Image.MAX_IMAGE_PIXELS:,} pixels, as Pillow's MAX_IMAGE_PIXELS allows"
        raise PictureError(f"{path} - expected {expected}, got more") from error
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise PictureError(f"{path} - expected an image that Pillow can read, got {error!r:.200}") from error
    if size is not None:
        picture = ImageOps.fit(picture, size[::-1], Image.Resampling.BILINEAR)
    return np.array(picture) if channels == 3 else np.array(picture.convert("L"))[:, :, None]


def check_channels(owner, channels):
    """Raise ValueError unless pictures are wanted in colours, 3, or grey, 1."""
    if isinstance(channels, bool) or np.ndim(channels) or channels not in (1, 3):
        raise ValueError(f"{owner}: channels - expected 3 or 1, got {channels!r}")


def find_pictures(folder: Path) -> list[pathlib.Path]:
    """Find the picture files in a folder and in the folders inside, without opening them.

    Parameters
    ----------
    folder : str or Path
        Files and folders whose names begin with a point, folders of a system such as ``__MACOSX``, and files whose
        names do not end as those of pictures, are left out.

    Returns
    -------
    list of Path
        Sorted by name, each with the folder before it.

    Raises
    ------
    TypeError
        If ``folder`` is not a path.
    PictureError
        If it is not a folder, or has no picture.
    OSError
        If it, or a folder inside, cannot be listed.
    """
    arguments.path("find_pictures", folder=folder)
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise PictureError(f"{folder} - expected a folder of pictures, found no folder there")
    found = sorted(files_in(folder))
    if not found:
        raise PictureError(f"{folder} - expected a folder with at least one picture, found none{why_none(folder)}")
    return found


def files_in(folder):
    """Return the picture files in a folder and the folders inside, in a fixed order: a folder's own files first."""
    from PIL import Image

    known = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN}  # not those only written
    found, seen, start = [], set(), pathlib.Path(os.path.realpath(folder))
    for place, inside, names in os.walk(folder, onerror=_refuse, followlinks=True):
        here = pathlib.Path(os.path.realpath(place))
        if here in seen or here in start.parents:  # a link that leads back
            inside.clear()
            continue
        seen.add(here)
        inside[:] = sorted(name for name in inside if not is_of_system(name))
        ends = [name for name in sorted(names) if os.path.splitext(name)[1].lower() in known and name[0] != "."]
        found += [path for path in (pathlib.Path(place) / name for name in ends) if path.is_file() or path.is_symlink()]
    return found


def is_of_system(name):
    """Return whether a folder is not the user's: its name begins with a point, or an archiver or a server made it."""
    return name.startswith(".") or name.lower() in _SYSTEMS


def _refuse(error):
    """Raise the error of a folder that cannot be listed, whose pictures would be missed in silence."""
    raise error


def why_none(folder):
    """Return why `files_in` finds nothing in a folder: a clause for the end of a message."""
    ends = {path.suffix for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")}
    if ends == {""}:
        return ": the names of its files do not end as those of pictures do, such as .png"
    ends = sorted(ends - {""})[:_NAMED]
    return f": Pillow reads no files here that end in {', '.join(ends)}" if ends else ": it is empty"


def pixels(image):
    """Return the pixels of a Pillow image as `read_picture` does, grey ones with one channel.

    Parameters
    ----------
    image : PIL.Image.Image

    Returns
    -------
    uint8 ndarray, shape (H, W, 3) or (H, W, 1)

    Raises
    ------
    PictureError
        If its values have no stated range: floats, 32 bits, or 16 bits that do not come from a file.
    OSError
        If its file is damaged.
    """
    grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
    picture = _as_seen(image)
    return np.array(picture.convert("L"))[:, :, None] if grey else np.array(picture)


def _as_seen(image):
    """Return a Pillow image in mode RGB, upright as the camera was held."""
    from PIL import ImageOps

    _check_transparency(image)
    _check_signs(image)
    _check_codes(image)
    if image.format == "TIFF":  # of a turned one, Pillow maps the pixels of a file that it has a name for wrongly
        name, image.filename = image.filename, ""
        image.load()
        image.filename = name
    return _red_green_blue(ImageOps.exif_transpose(image), image)


def _red_green_blue(image, file):
    """Return an upright Pillow image in mode RGB, with the colours that its file describes."""
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image, file)
    if not image.has_transparency_data:
        return _in_srgb(image)
    from PIL import Image

    layers = image.convert("RGBA")
    paper = Image.new("RGB", image.size, (255, 255, 255))
    colours = image.convert("L") if image.mode == "LA" else layers.convert("RGB")
    paper.paste(_in_srgb(colours), mask=layers.getchannel("A"))
    return paper


def _eight_bits(image, file):
    """Return a 16-bit grey image as an 8-bit one."""
    from PIL import Image

    tags = getattr(file, "tag_v2", {})
    whole = tags.get(_BITS, (16,)) == (16,) and tags.get(_FORMAT, (_UNSIGNED,)) == (_UNSIGNED,)
    if image.mode == "F" or file.format not in _SIXTEEN_BITS or not whole:
        kind = "floats" if image.mode == "F" else "integers that do not fill 16 bits"
        form = file.format or "an image in memory"
        raise PictureError(f"expected 8 or 16 bits a channel, got {form} with {kind} (mode {image.mode})")
    values = (np.asarray(image).astype(np.int64) + 128) // 257  # the nearest of 0..255
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = 255 - values
    grey = Image.fromarray(values.astype(np.uint8))
    grey.info = image.info
    return grey


def _check_transparency(file):
    """Raise PictureError for a transparent colour in other units than the pixels; call it before these are read."""
    stored = file.tile[0][3] if file.format == "PNG" and file.tile else ""
    if "transparency" in file.info and stored in ("L;2", "L;4", "I;16B", "RGB;16B"):
        raise PictureError(f"expected a transparent colour of 1 or 8 bits a channel, got one in a PNG of kind {stored}")


def _check_signs(file):
    """Raise PictureError for a TIFF whose values are not unsigned; Pillow reads those of 8 bits as if they were."""
    if file.mode[0] not in "IF" and _SIGNED in getattr(file, "tag_v2", {}).get(_FORMAT, ()):
        raise PictureError(f"expected unsigned values, got {file.format} with signed integers (mode {file.mode})")


def _check_codes(file):
    """Raise PictureError for a PNG or AVIF without a profile whose colour space, stated by codes, is not sRGB."""
    stream = getattr(file, "fp", None)
    if file.format not in ("PNG", "AVIF") or "icc_profile" in file.info or stream is None:
        return
    place = stream.tell()
    stream.seek(0)
    head = stream.read(_HEAD)
    stream.seek(place)
    name, kind = (b"\0\0\0\4cICP", ">2B") if file.format == "PNG" else (b"colrnclx", ">2H")
    start = head.find(name, 0, head.find(b"IDAT") if file.format == "PNG" else None)
    if start < 0:
        return
    primaries, transfer = struct.unpack_from(kind, head, start + len(name))
    if primaries not in _CODES[0] or transfer not in _CODES[1]:
        got = f"primaries {primaries} and transfer {transfer} of ITU-T H.273"
        raise PictureError(f"expected the colour space sRGB or a colour profile, got {file.format} with {got}")


def _in_srgb(image):
    """Return an image in mode RGB, converted to sRGB by the colour profile in its file, or by the gamma of a PNG."""
    profile = image.info.get("icc_profile")
    if not profile:
        return _by_gamma(image.convert("RGB"), image.info)
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = profile.profile.xcolor_space.strip()
        if space == "RGB":
            image = image.convert("RGB")
        elif space == "GRAY" and image.mode in ("1", "L"):
            image = image.convert("L")
        elif space != image.mode:
            return image.convert("RGB")  # a profile for other channels says nothing about these
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise PictureError(f"expected a colour profile that can be applied, got {error}") from error


def _by_gamma(image, info):
    """Return an RGB image converted to sRGB as the chunks of a PNG without a profile say."""
    gamma = info.get("gamma")
    if "srgb" in info:
        return image
    if not np.allclose(info.get("chromaticity", _PRIMARIES), _PRIMARIES, atol=0.01):
        raise PictureError("expected the primaries of sRGB or a colour profile, got a PNG with primaries of its own")
    if not gamma or abs(gamma - 1 / 2.2) < 0.01:  # means nothing, or sRGB itself
        return image
    light = (np.arange(256) / 255) ** (1 / gamma)
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return image.point(np.rint(255 * shown).astype(int).tolist() * 3)
