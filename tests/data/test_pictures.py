"""Pictures: every kind is read as it looks, or refused by a message that names file and kind."""

import errno
import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from minitorch_cnn import data
from minitorch_cnn.data import pictures

RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))  # (48, 64), from black to white
COLOURS = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 60)], axis=-1)  # (48, 64, 3)


def png(depth, kind, row, **chunks):
    """Return a PNG file of one row, made by hand; ``kind`` 0 is grey, 2 colour, 4 grey with alpha."""
    width = len(row) * 8 // (depth * {0: 1, 2: 3, 4: 2}[kind])

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
        )

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0))]
    parts += [chunk(name.encode(), content) for name, content in chunks.items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(b"\0" + row)), chunk(b"IEND", b"")])


@pytest.fixture
def saved(tmp_path):
    def save(image, name="picture.png", **options):
        path = tmp_path / name
        if isinstance(image, bytes):
            path.write_bytes(image)
        else:
            (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
        return path

    return save


def grey(values):
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=-1)


# --------------------------------------------------------------------------- kinds that are read


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.ppm", "a.webp", "a.gif", "a.jp2"])
def test_colours_of_eight_bits_are_read_as_they_are(saved, name):
    options = {"lossless": True} if name == "a.webp" else {}
    got = data.read_picture(saved(COLOURS[:16, :16], name, **options))
    assert got.shape == (16, 16, 3) and got.dtype == np.uint8 and got.flags.writeable
    if name != "a.gif":  # which has few colours
        np.testing.assert_array_equal(got, COLOURS[:16, :16])
    np.testing.assert_allclose(got, COLOURS[:16, :16], atol=25)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jp2", "a.pgm"])
def test_sixteen_bits_become_the_nearest_of_eight(saved, name):
    values = np.random.default_rng(0).integers(0, 65536, (40, 40)).astype(np.uint16)
    values[0, :6] = [0, 128, 129, 65406, 65407, 65535]  # at halves of a step of 257
    image = Image.fromarray(values) if name != "a.pgm" else b"P5 40 40 65535 " + values.astype(">u2").tobytes()
    got = data.read_picture(saved(image, name))
    np.testing.assert_array_equal(got, grey(np.rint(values / 257)))
    assert got[0, :6, 0].tolist() == [0, 0, 1, 254, 255, 255]


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_sixteen_bits_in_both_byte_orders_and_with_white_as_zero(saved, order):
    values = (RAMP.astype(np.uint16) * 257)[:1]
    for photometric, expected in ((1, RAMP[:1]), (0, 255 - RAMP[:1])):
        content = tiff(values, order, bits=16, photometric=photometric)
        if (order, photometric) == (">", 0):  # Pillow itself does not know this one
            with pytest.raises(data.PictureError, match="picture.tif - expected an image that Pillow can read"):
                data.read_picture(saved(content, "picture.tif"))
        else:
            np.testing.assert_array_equal(data.read_picture(saved(content, "picture.tif")), grey(expected))


def tiff(values, order="<", *, bits, photometric=1, kind=1, orientation=1):
    """Return an uncompressed grey TIFF of one strip; ``kind`` 1 is unsigned, 2 signed, 3 float."""
    height, width = values.shape
    content = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 0)]
    tags += [(274, 3, orientation)]
    tags += [(277, 3, 1), (278, 3, height), (279, 4, len(content)), (339, 3, kind)]
    begin = 8 + 2 + 12 * len(tags) + 4
    lines = b""
    for tag, size, value in tags:
        value = begin if tag == 273 else value
        lines += struct.pack(f"{order}HHI", tag, size, 1)
        lines += struct.pack(f"{order}HH", value, 0) if size == 3 else struct.pack(f"{order}I", value)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}IH", 8, len(tags)) + lines + bytes(4) + content


TURNED = [  # by the value of the tag of the orientation, from 1
    lambda x: x, lambda x: x[:, ::-1], lambda x: x[::-1, ::-1], lambda x: x[::-1],
    lambda x: x.T, lambda x: x[::-1].T, lambda x: x[::-1, ::-1].T, lambda x: x[:, ::-1].T,
]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_uncompressed_tiff_is_turned_as_its_tag_says(saved, orientation, bits):
    """Pillow maps such a file by the size of the upright picture, which garbles one that lies on its side."""
    values = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    stored = values if bits == 8 else values.astype(np.uint16) * 257
    path = saved(tiff(stored, bits=bits, orientation=orientation), "a.tif")
    np.testing.assert_array_equal(data.read_picture(path), grey(TURNED[orientation - 1](values)))
    with Image.open(path) as image:  # one that is opened already, such as of a dataset of another library
        np.testing.assert_array_equal(pictures.pixels(image)[..., 0], TURNED[orientation - 1](values))
        assert image.filename == str(path)


def test_signed_integers_of_eight_bits_are_refused(saved):
    with pytest.raises(data.PictureError, match="expected unsigned values, got TIFF with signed integers .mode L"):
        data.read_picture(saved(tiff(np.array([[-128, 127]], np.int8), bits=8, kind=2), "a.tif"))


def test_a_picture_of_too_many_pixels_is_refused_before_it_takes_memory(saved):
    content = bytearray(png(8, 0, b"\0"))
    content[16:24] = struct.pack(">II", 60_000, 60_000)  # in the header
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    with pytest.raises(data.PictureError, match="png - expected at most 178,956,970 pixels, as Pillow's .*, got more$"):
        data.read_picture(saved(bytes(content)))


def test_the_gamma_of_a_png_is_applied(saved):
    """An encoded value v means light v ** (1 / gamma); the expected values follow from the formula of sRGB."""

    def read(**chunks):
        return data.read_picture(saved(png(8, 0, bytes([0, 64, 128, 255]), **chunks)))[0, :, 0].tolist()

    assert read(gAMA=struct.pack(">I", 100_000)) == [0, 137, 188, 255]  # light itself
    assert read(gAMA=struct.pack(">I", 45_455)) == [0, 64, 128, 255]  # means sRGB
    assert read(gAMA=struct.pack(">I", 0)) == [0, 64, 128, 255]  # means nothing
    assert read(sRGB=b"\0", gAMA=struct.pack(">I", 100_000)) == [0, 64, 128, 255]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    iccp = b"sRGB\0\0" + zlib.compress(profile)
    assert read(iCCP=iccp, gAMA=struct.pack(">I", 100_000)) == [0, 64, 128, 255]  # the profile says more
    assert read(gAMA=struct.pack(">I", 45_455), cHRM=struct.pack(">8I", *SRGB)) == [0, 64, 128, 255]


SRGB = 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000


def test_primaries_without_a_profile_are_refused(saved):
    adobe = struct.pack(">8I", *SRGB[:4], 21_000, 71_000, *SRGB[6:])
    path = saved(png(8, 2, bytes([200, 10, 10]), gAMA=struct.pack(">I", 45_455), cHRM=adobe))
    with pytest.raises(data.PictureError, match="expected the primaries of sRGB or a colour profile, got a PNG with"):
        data.read_picture(path)


def test_primaries_without_a_gamma_are_refused_too(saved):
    adobe = struct.pack(">8I", *SRGB[:4], 21_000, 71_000, *SRGB[6:])
    with pytest.raises(data.PictureError, match="expected the primaries of sRGB or a colour profile, got a PNG with"):
        data.read_picture(saved(png(8, 2, bytes([200, 10, 10]), cHRM=adobe)))
    stated = saved(png(8, 2, bytes([200, 10, 10]), sRGB=b"\0", cHRM=adobe))  # which says more
    assert data.read_picture(stated).tolist() == [[[200, 10, 10]]]


@pytest.mark.parametrize(("primaries", "transfer"), [(9, 16), (9, 18), (12, 13), (1, 8)])  # HDR, Display P3, light
def test_a_colour_space_by_codes_is_refused_unless_it_is_srgb(saved, primaries, transfer):
    row, codes = bytes([200, 10, 10]), bytes([primaries, transfer, 0, 1])
    told = f"expected the colour space sRGB .*, got PNG with primaries {primaries} and transfer {transfer} "
    with pytest.raises(data.PictureError, match=told):
        data.read_picture(saved(png(8, 2, row, cICP=codes)))
    with pytest.raises(data.PictureError, match=told):  # these codes say more than the chunk sRGB
        data.read_picture(saved(png(8, 2, row, cICP=codes, sRGB=b"\0")))
    assert data.read_picture(saved(png(8, 2, row, cICP=bytes([1, 13, 0, 1])))).tolist() == [[[200, 10, 10]]]
    profile = b"sRGB\0\0" + zlib.compress(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert data.read_picture(saved(png(8, 2, row, cICP=codes, iCCP=profile))).tolist() == [[[200, 10, 10]]]


@pytest.mark.skipif("avif" not in features.modules or not features.check("avif"), reason="Pillow reads no AVIF here")
def test_an_avif_of_another_colour_space_is_refused(saved):
    path = saved(COLOURS, "a.avif", quality=90)
    plain = path.read_bytes()
    assert data.read_picture(path).shape == (48, 64, 3) and plain.count(b"colrnclx") == 1
    start = plain.index(b"colrnclx") + 8
    path.write_bytes(plain[:start] + struct.pack(">2H", 9, 16) + plain[start + 4 :])
    with pytest.raises(data.PictureError, match="got AVIF with primaries 9 and transfer 16"):
        data.read_picture(path)


def test_sixteen_bits_of_colour(saved):
    row = struct.pack(">6H", 0, 0x80FF, 0xFFFF, 257, 514, 65535)
    got = data.read_picture(saved(png(16, 2, row)))
    np.testing.assert_allclose(got[0], [[0, 128, 255], [1, 2, 255]], atol=1)


@pytest.mark.parametrize(
    ("depth", "row", "expected"), [(1, b"\xa0", [255, 0, 255, 0]), (2, b"\x1b", [0, 85, 170, 255])]
)
def test_few_bits_fill_the_range(saved, depth, row, expected):
    assert data.read_picture(saved(png(depth, 0, row)))[0, :4, 0].tolist() == expected


def test_what_is_transparent_is_white(saved):
    layers = np.zeros((1, 3, 4), np.uint8)
    layers[0, :, 0], layers[0, :, 3] = 200, [0, 128, 255]  # hidden, half and opaque red
    expected = [[255, 255, 255], [227, 127, 127], [200, 0, 0]]
    got = data.read_picture(saved(layers))[0]
    np.testing.assert_allclose(got, expected, atol=1)
    assert got[[0, 2]].tolist() == [expected[0], expected[2]]
    shades = np.array([[[10, 0], [10, 255]]], np.uint8)
    assert data.read_picture(saved(Image.fromarray(shades, "LA")))[0, :, 0].tolist() == [255, 10]


def test_transparent_colours_of_palettes_and_of_single_values(saved):
    painted = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    painted = painted.convert("P")
    painted.putpalette([9, 9, 9, 90, 0, 0, 0, 0, 90])
    for transparency, expected in (
        (1, [[9] * 3, [255] * 3, [0, 0, 90]]),
        (b"\x00\xff\x00", [[255] * 3, [90, 0, 0], [255] * 3]),
    ):
        got = data.read_picture(saved(painted, transparency=transparency))
        assert got[0].tolist() == expected
    gif = data.read_picture(saved(painted, "a.gif", transparency=2))
    assert gif[0, 2].tolist() == [255] * 3 and gif[0, 1].tolist() == [90, 0, 0]
    assert data.read_picture(saved(png(8, 0, b"\x05\x06", tRNS=b"\0\x05")))[0, :, 0].tolist() == [255, 6]
    assert data.read_picture(saved(png(1, 0, b"\x80", tRNS=b"\0\1")))[0, :2, 0].tolist() == [255, 0]
    assert data.read_picture(saved(png(8, 2, b"\1\2\3\1\2\4", tRNS=b"\0\1\0\2\0\3")))[0].tolist() == [
        [255] * 3,
        [1, 2, 4],
    ]


def test_cmyk_without_a_profile(saved):
    ink = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 128, 255, 0], [0, 0, 0, 255]]], np.uint8)
    got = data.read_picture(saved(Image.fromarray(ink, "CMYK"), "a.tif"))
    np.testing.assert_allclose(got[0], [[255] * 3, [0, 255, 255], [255, 127, 0], [0, 0, 0]], atol=1)
    flat = Image.new("CMYK", (16, 16), (0, 128, 255, 0))
    np.testing.assert_allclose(data.read_picture(saved(flat, "a.jpg", quality=95))[8, 8], [255, 127, 0], atol=4)


def test_a_colour_profile_is_applied(saved):
    """The profile of a display whose curve is linear: half of the light is not the middle grey of sRGB."""
    linear = ImageCms.ImageCmsProfile(io.BytesIO(profile_of_gamma(1.0)))
    image = Image.new("RGB", (4, 4), (128, 128, 128))
    for options, expected in (({}, 128), ({"icc_profile": linear.tobytes()}, 188)):
        for name in ("a.png", "a.tif", "a.jpg"):
            got = data.read_picture(saved(image, name, **options))
            np.testing.assert_allclose(got, expected, atol=2)
    half = image.convert("RGBA")
    half.putalpha(0)
    half.putpixel((0, 0), (128, 128, 128, 255))
    got = data.read_picture(saved(half, icc_profile=linear.tobytes()))[:, :, 0]
    assert abs(int(got[0, 0]) - 188) <= 2 and got[3, 3] == 255
    same = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_allclose(data.read_picture(saved(COLOURS, icc_profile=same)).astype(int), COLOURS, atol=2)
    grey_with_profile_of_colours = data.read_picture(saved(RAMP, icc_profile=linear.tobytes()))
    np.testing.assert_allclose(grey_with_profile_of_colours[0, 32, 0], 188, atol=2)


def profile_of_gamma(gamma):
    """Return an ICC profile with the primaries of sRGB and a pure power as its curve."""

    def fixed(value):
        return struct.pack(">i", round(value * 65536))

    def xyz(*values):
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = {b"wtpt": xyz(0.9642, 1, 0.8249), b"rXYZ": xyz(0.4361, 0.2225, 0.0139), b"gXYZ": xyz(0.3851, 0.7169, 0.0971)}
    tags |= {b"bXYZ": xyz(0.1431, 0.0606, 0.7141), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, content, begin = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", begin + len(content), len(value))
        content += value
    header = struct.pack(">I", begin + len(content)) + bytes(4) + b"\x02\x40\0\0mntrRGB XYZ " + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + fixed(0.9642) + fixed(1) + fixed(0.8249)
    return header.ljust(128, b"\0") + table + content


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_pictures_are_upright(saved, turn, name):
    """As the EXIF standard defines the eight orientations by the sides at which row 0 and column 0 lie."""
    stored = np.zeros((32, 16), np.uint8)
    stored[:16, :8] = 255  # white where row 0 meets column 0
    exif = Image.Exif()
    exif[0x0112] = turn
    seen = data.read_picture(saved(grey(stored), name, exif=exif))[:, :, 0]
    assert seen.shape == ((32, 16) if turn <= 4 else (16, 32))
    top, left = turn in (1, 2, 5, 6), turn in (1, 4, 5, 8)
    corner = seen[: seen.shape[0] // 2] if top else seen[seen.shape[0] // 2 :]
    corner = corner[:, : seen.shape[1] // 2] if left else corner[:, seen.shape[1] // 2 :]
    assert corner.mean() > 240 and seen.mean() < 70


def test_one_channel_is_how_bright_the_colours_are(saved):
    path = saved(COLOURS)
    got = data.read_picture(path, channels=1)
    assert got.shape == (*COLOURS.shape[:2], 1) and got.dtype == np.uint8
    np.testing.assert_allclose(got[:, :, 0], COLOURS @ [0.299, 0.587, 0.114], atol=1)
    assert data.read_picture(path, (4, 5), 1).shape == (4, 5, 1)
    assert data.read_picture(saved(RAMP.astype(np.uint16) * 257), channels=1)[0, :, 0].tolist() == RAMP[0].tolist()
    with pytest.raises(ValueError, match="read_picture: channels - expected 3 or 1, got 4"):
        data.read_picture(path, channels=4)


def test_a_turned_picture_of_sixteen_bits(saved):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    got = data.read_picture(saved(RAMP.astype(np.uint16) * 257, exif=exif))
    np.testing.assert_array_equal(got, grey(RAMP[::-1, ::-1]))


def test_of_several_frames_the_first_counts(saved):
    frames = [Image.new("RGB", (8, 8), (value,) * 3) for value in (10, 200)]
    for name in ("a.gif", "a.png", "a.tif", "a.webp"):
        got = data.read_picture(saved(frames[0], name, save_all=True, append_images=frames[1:]))
        np.testing.assert_allclose(got, 10, atol=2)


@pytest.mark.parametrize("size", [8, (8, 8), (6, 12)])
def test_a_size_cuts_the_middle_and_scales(saved, size):
    image = np.zeros((24, 96, 3), np.uint8)
    image[:, 36:60] = 90  # the square in the middle
    got = data.read_picture(saved(image), size)
    height, width = (size, size) if isinstance(size, int) else size
    assert got.shape == (height, width, 3)
    assert (got[:, width // 2 - 2 : width // 2 + 2] == 90).all()
    assert (got[:, :2] == 0).all() == (width > height) and (got[:, :2] >= 80).all() == (width == height)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
def test_pictures_of_few_pixels(saved, shape):
    path = saved(np.full((*shape, 3), 7, np.uint8))
    assert data.read_picture(path).shape == (*shape, 3) and (data.read_picture(path, 5) == np.full((5, 5, 3), 7)).all()


# ------------------------------------------------------------------------ kinds that are refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tiff(RAMP.astype(np.int32) * 257, bits=32), "got TIFF with integers that do not fill 16 bits"),
        (tiff(RAMP.astype(np.int32) * 257, bits=32, kind=2), "got TIFF with integers that do not fill 16 bits"),
        (tiff(RAMP.astype(np.int16), bits=16, kind=2), "got TIFF with integers that do not fill 16 bits"),
        (tiff(RAMP.astype(np.float32) / 255, bits=32, kind=3), "got TIFF with floats"),
        (b"Pf\n2 1\n-1.0\n" + np.float32([0.2, 0.9]).tobytes(), "with floats"),
        (png(16, 0, b"\1\2\3\4", tRNS=b"\1\2"), "expected a transparent colour of 1 or 8 bits"),
        (png(2, 0, b"\xc0", tRNS=b"\0\3"), "expected a transparent colour of 1 or 8 bits .* kind L;2"),
        (png(4, 0, b"\xf0", tRNS=b"\0\x0f"), "expected a transparent colour of 1 or 8 bits .* kind L;4"),
        (png(16, 2, bytes(12), tRNS=bytes(6)), "expected a transparent colour of 1 or 8 bits .* kind RGB;16B"),
        (b"no picture at all", "expected an image that Pillow can read, got another kind of file"),
        (b"", "expected an image that Pillow can read, got an empty file"),
        (png(8, 2, bytes(3000))[:-60], "expected an image that Pillow can read, got"),
    ],
)
def test_what_has_no_eight_bits_is_refused_with_file_and_kind(saved, content, message):
    path = saved(content, "strange.bin")
    with pytest.raises(data.PictureError, match=f"strange.bin - .*{message}"):
        data.read_picture(path)


def test_values_of_twelve_bits_are_not_taken_for_sixteen(saved):
    content = tiff(RAMP[:1, :2], bits=12)
    content = content[:-2] + b"\x12\x34\x56"  # two values in three bytes
    with pytest.raises(data.PictureError, match="do not fill 16 bits"):
        data.read_picture(saved(content))


def test_a_damaged_profile_is_refused(saved):
    with pytest.raises(data.PictureError, match="expected a colour profile that can be applied"):
        data.read_picture(saved(COLOURS, icc_profile=b"no profile"))


def test_damaged_pictures_name_their_file(saved):
    """Cut and changed everywhere: read, or refused by this one error."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "a.jpg", "a.gif", "a.tif", "a.webp", "a.bmp", "a.jp2", "a.ico"):
        sound = saved(COLOURS, name).read_bytes()
        for _ in range(40):
            content = bytearray(sound[: rng.integers(len(sound))] if rng.random() < 0.5 else sound)
            for place in rng.integers(0, max(len(content), 1), 3):
                content[place : place + 1] = rng.bytes(1)
            try:
                got = data.read_picture(saved(bytes(content), name))
            except data.PictureError as error:
                assert f"{name} - expected" in str(error)
            else:
                assert got.ndim == 3 and got.shape[2] == 3 and got.dtype == np.uint8


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.png"):
        data.read_picture(tmp_path / "none.png")
    with pytest.raises((IsADirectoryError, PermissionError)):  # on POSIX, on Windows
        data.read_picture(tmp_path)
    for path in (None, 3, ["a.png"], b"a.png"):
        with pytest.raises(TypeError, match="read_picture: path - expected a string or a Path, got"):
            data.read_picture(path)
    for size, error in ((0, ValueError), (1.5, TypeError), ((3, 4, 5), TypeError)):
        with pytest.raises(error, match="read_picture: size - expected"):
            data.read_picture(tmp_path / "none.png", size)


def test_pictures_are_found_by_the_ends_of_their_names_sorted(tmp_path):
    names = "b.png", "a/z.JPG", "c/d/e.gif", "B.webp"
    for name in (*names, "notes.txt", ".b.png", ".git/a.png", "c/report.pdf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert data.find_pictures(str(tmp_path)) == sorted(tmp_path / name for name in names)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(data.PictureError, match="expected a folder with at least one picture, found none: it is empty"):
        data.find_pictures(tmp_path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(data.PictureError, match=r"found none: Pillow reads no files here that end in \.txt"):
        data.find_pictures(tmp_path)
    with pytest.raises(data.PictureError, match=r"a\.txt - expected a folder of pictures, found no folder there"):
        data.find_pictures(tmp_path / "a.txt")
    with pytest.raises(TypeError, match="find_pictures: folder - expected"):
        data.find_pictures(3)


def test_a_folder_that_cannot_be_listed_is_no_empty_one(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.png").touch()
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="closed"):
        data.find_pictures(tmp_path)
