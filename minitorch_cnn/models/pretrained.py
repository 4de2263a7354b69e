"""Networks with trained weights: from torchvision's files, or from the user's file."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from minitorch_cnn import arguments, nn, weights
from minitorch_cnn.io import files
from minitorch_cnn.models.registry import create, native_input
from minitorch_cnn.types import Path

# Statistics of ImageNet's 1.28 million photographs, for pixels in 0 .. 1; torchvision's files were trained with them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TINY_IMAGENET = 200, 64  # classes, pixels per side
_TIMM_VGG = {"pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3", "head.fc": "classifier.6"}
_MATRIX = 2  # axes of the weights of a fully connected layer


@dataclasses.dataclass(frozen=True)
class File:
    """A file of weights at its official address."""

    address: str
    size: int  # bytes
    sha256: str


FILES = {
    "resnet18": File(
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        46_830_571,
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
}


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A network with its weights, its number of classes, and the images that it expects: pixels per side,
    mean and std of each channel.
    """

    model: nn.Module
    classes: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def load_pretrained(
    name: str,
    path: Path | None = None,
    progress: Callable[[int, int | None, float], None] | None = None,
    key: str | None = None,
) -> Pretrained:
    """Make a network with weights from a file.

    Parameters
    ----------
    name : str
        One of `models.list`.
    path : str, Path or None
        A file that `torch.save` wrote from a state_dict or a checkpoint, a safetensors file, as of timm or Hugging
        Face, or one that `weights.save` wrote; names as in torchvision or timm. None takes torchvision's file, which
        is fetched the first time; see `fetch`.
    progress : callable or None
        As for `files.download`.
    key : str or None
        As for `weights.load_pth`: where a checkpoint holds the weights.

    Returns
    -------
    Pretrained
        In evaluation mode, with the number of classes in the file. Images are expected as for ImageNet, at
        the network's native size, or at 64 pixels for the 200 classes of Tiny-ImageNet. A file of
        `weights.save` may specify something else.

    Raises
    ------
    ValueError
        If there is no such network, or torchvision has no known file for it.
    WeightFileError
        If the file is damaged, or holds the weights of another network.
    OSError
        If the file cannot be read or fetched.
    """
    _, image_size = native_input(name)
    path = fetch(name, progress) if path is None else pathlib.Path(path)
    arrays, facts = _read(path, key)
    classes = _count_classes(name, path, arrays)
    model = create(name, num_classes=classes, drawn=False)  # the file has every weight
    try:
        model.load_state_dict(arrays)
    except nn.StateDictError as error:
        raise weights.WeightFileError(f"{path}: expected the weights of {name}, got {error}") from error
    if classes == _TINY_IMAGENET[0]:
        image_size = _TINY_IMAGENET[1]
    image_size = facts.get("architecture", {}).get("image_size", image_size)
    mean, std = facts.get("mean", IMAGENET_MEAN), facts.get("std", IMAGENET_STD)
    return Pretrained(model.eval(), classes, image_size, tuple(mean), tuple(std))


def _read(path, key):
    """Return the arrays of a file under torchvision's names, and what else our own files say."""
    if path.suffix != ".safetensors":
        return _as_torchvision(weights.load_pth(path, key)), {}
    if weights.is_own(path):
        return weights.load(path)
    return _as_torchvision(weights.load_safetensors(path)), {}


def _as_torchvision(arrays):
    """Return the weights of timm's VGG under torchvision's names; others as they are.

    timm computes the first two fully connected layers as convolutions: (O, C, KH, KW) -> (O, C*KH*KW).
    """
    if not arrays.keys() >= {f"{layer}.weight" for layer in _TIMM_VGG}:
        return arrays
    renamed = {}
    for name, array in arrays.items():
        layer, _, kind = name.rpartition(".")
        if layer in _TIMM_VGG:
            name, array = f"{_TIMM_VGG[layer]}.{kind}", array.reshape(len(array), -1) if kind == "weight" else array
        renamed[name] = array
    return renamed


def _count_classes(name, path, arrays):
    """Return the rows of the last fully connected layer: one for each class."""
    if not any(array.ndim == _MATRIX for array in arrays.values()):
        raise weights.WeightFileError(f"{path}: expected the weights of {name}, got no fully connected layer")
    linear = [place for place, module in create(name, drawn=False).named_modules() if isinstance(module, nn.Linear)]
    heads = [arrays[f"{place}.weight"] for place in linear if f"{place}.weight" in arrays]
    return len((heads or [array for array in arrays.values() if array.ndim == _MATRIX])[-1])


def fetch(name, progress=None):
    """Return the path of torchvision's file for a network; fetch it if it is not on disk yet.

    Parameters
    ----------
    name : str
        A key of ``FILES``.
    progress : callable or None
        As for `files.download`.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If no file is known for the network.
    DownloadError
        If it cannot be fetched completely; the sha256 of all bytes is verified.
    """
    if name not in FILES:
        known = ", ".join(FILES)
        raise ValueError(f"load_pretrained: name - expected {known}, or a file of weights, got {name!r} alone")
    file = FILES[name]
    path = files.mcnn_home() / "weights" / file.address.rsplit("/", 1)[1]
    if not path.is_file() or files.hash_file(path) != file.sha256:
        files.download([file.address], path, size=file.size, digest=file.sha256, progress=progress)
    return path


def resnet18(pretrained: bool = False, path: Path | None = None, **options: Any) -> nn.Module:
    """Make a ResNet-18, with torchvision's weights for ImageNet or with those of a file.

    Parameters
    ----------
    pretrained : bool
        Fetch torchvision's file the first time, and load it.
    path : str, Path or None
        A file to load instead.
    options
        As for `create`; not allowed together with weights, which fix the number of classes.

    Returns
    -------
    Module

    Raises
    ------
    TypeError
        If both weights and options are given.
    ValueError, WeightFileError, OSError
        As `load_pretrained`.
    """
    arguments.flag("resnet18", pretrained=pretrained)
    if not pretrained and path is None:
        return create("resnet18", **options)
    if options:
        raise TypeError(f"resnet18: {next(iter(options))} - expected no options together with weights, which fix them")
    return load_pretrained("resnet18", path).model
