"""The readers of files from strangers, each with a sound file, crafted ones, large ones and mutations.

Of each: ``error``, its own; ``floor``, the memory in bytes that it may take however small a file is; ``crafted`` and
``large()``, names and contents; ``sound()``, a content; ``read(path)``, whether the file was read as the sound one;
``inside(content, rng)``, a mutation that keeps checksums and packing intact, or None.
"""

from readers_of_images import Archive, Binary, Python
from readers_of_weights import Checkpoint, Pth, Weights

ALL = {
    "weights": Weights,
    ".pth": Pth,
    "checkpoints": Checkpoint,
    "CIFAR binary": Binary,
    "CIFAR pickle": Python,
    "CIFAR archive": Archive,
}
