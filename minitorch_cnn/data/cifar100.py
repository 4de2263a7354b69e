"""CIFAR-100: 60,000 photographs of 32 by 32 pixels in 100 classes, in 20 groups of five (Krizhevsky 2009)."""

import pathlib

import numpy as np

from minitorch_cnn.data import archive
from minitorch_cnn.data.cifar10 import ADDRESS as ADDRESS  # both are at the same place
from minitorch_cnn.data.dataset import ArrayDataset, DatasetError
from minitorch_cnn.data.official import Official, check_options, contents_md5, default_folder, refuse
from minitorch_cnn.types import Path

ARCHIVES = {"cifar-100-binary.tar.gz": ("03b5dce01913d631647c71ecec9e9cb8", 168_513_733)}
CONTENTS = {"train.bin": "6172c7755cfe09b2fe270c85cebc1b15", "test.bin": "4499cfba6c016c1be1438163640a0898"}  # md5
MEAN, STD = (0.5070752, 0.4865490, 0.4409179), (0.2673343, 0.2564384, 0.2761505)
_FINE = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
    lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
    pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
    shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
    television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"""
_COARSE = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
    household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes
    large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees
    vehicles_1 vehicles_2"""
CLASSES = {"fine": tuple(_FINE.split()), "coarse": tuple(_COARSE.split())}
_FOLDER = "cifar-100-binary"
_RECORD = 3074  # bytes: the label of the group, the label of the class, 3,072 pixels
_COUNTS = {True: 50_000, False: 10_000}


def CIFAR100(root: Path | None = None, train: bool = True, verify: bool = True, labels: str = "fine") -> ArrayDataset:
    """Read CIFAR-100 from the official binary archive, its folder, or a folder that holds either.

    Parameters
    ----------
    root : str, Path or None
        ``cifar-100-binary``, ``cifar-100-binary.tar.gz``, or the folder around one of them; None means where
        ``fetch(dataset="cifar100")`` puts it.
    train : bool
        The 50,000 training images, or the 10,000 test images.
    verify : bool
        False also takes changed images, and says so in ``verified``.
    labels : "fine" or "coarse"
        100 classes; or 20 groups of five classes each, as dataset "cifar100_coarse".

    Returns
    -------
    ArrayDataset

    Raises
    ------
    TypeError
        If ``root`` is not a path, or ``train`` or ``verify`` is not True or False.
    ValueError
        If there are no such labels.
    DatasetError
        If nothing is found, a file is damaged, or the images are not the genuine ones.
    """
    check_options("CIFAR100", root, train, verify)
    if labels not in CLASSES:
        raise ValueError(f"CIFAR100: labels - expected 'fine' or 'coarse', got {labels!r}")
    name = "train.bin" if train else "test.bin"
    content = _content(FILES.find(pathlib.Path(root or default_folder())), name, train)
    digest = contents_md5(content)
    if verify and digest != CONTENTS[name]:
        raise refuse("CIFAR-100", f"{name} - ", CONTENTS[name], digest, "md5")
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    classes = CLASSES[labels]
    numbers = records[:, 1 if labels == "fine" else 0].astype(np.int64)
    if numbers.max() >= len(classes):
        raise DatasetError(f"CIFAR-100: labels - expected 0 to {len(classes) - 1}, got {numbers.max()}")
    images = np.ascontiguousarray(records[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    title = "cifar100" if labels == "fine" else "cifar100_coarse"
    return ArrayDataset(images, numbers, classes, MEAN, STD, title, "", digest == CONTENTS[name])


def _content(place, name, train):
    """Return the bytes of a file in a folder or an archive."""
    expected = _RECORD * _COUNTS[train]
    if place.is_file():
        largest = _RECORD * _COUNTS[True]
        _, content = archive.member("CIFAR-100", place, (name,), largest, 2 * largest, "its four files")
    elif (place / name).is_file():
        content = archive.unpacked("CIFAR-100", place / name, expected)
    else:
        raise DatasetError(f"CIFAR-100: expected {name} in {place}, found none")
    if len(content) != expected:
        raise DatasetError(f"CIFAR-100: {name} - expected {expected} bytes, got {len(content)}")
    return content


class _Files(Official):
    """The official binary archive."""

    title, name, function = "CIFAR-100", "cifar100", "CIFAR100"

    @property
    def address(self):
        return ADDRESS

    @property
    def downloads(self):
        return ARCHIVES

    def find(self, root):
        root, (name,) = pathlib.Path(root), ARCHIVES
        for place in (root, root / _FOLDER, root / name):
            if place.name.startswith("cifar-100") and place.name.endswith(".tar.gz") and place.is_file():
                return place
            if (place / "train.bin").is_file() or (place / "test.bin").is_file():
                return place
        raise self.not_found(f"{_FOLDER} or {name}", root)

    def open(self, root, train=True, verify=True):
        return CIFAR100(root, train, verify)


FILES = _Files()
