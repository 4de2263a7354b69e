"""What the page is told without training: layers of networks, counted in their traces, and filters of patches."""

import numpy as np

from minitorch_cnn import data, models
from minitorch_cnn.explain.network.poster import DENSENETS, FAMOUS, RESNETS
from minitorch_cnn.explain.network.summary import summary
from minitorch_cnn.explain.network.topology import topology
from minitorch_cnn.explain.page.packing import encoded


def structure(name):
    """Return layers and totals of a network of the registry as data for JSON.

    Parameters
    ----------
    name : str

    Returns
    -------
    dict
    """
    channels, side = models.native_input(name)
    model, shape = models.create(name, drawn=False), (1, channels, side, side)
    counted = summary(model, shape)
    rows = {}
    for row in counted.layers:
        rows.setdefault(row.name, row)
    layers = []
    for node in topology(model, shape).nodes:
        row = rows.get(node.path) if node.path else None
        layers.append(
            {
                "kind": node.kind,
                "text": node.text,
                "notes": node.notes,
                "inputs": node.inputs,
                "shape": list(node.shape),
                "params": row.params if row else 0,
                "macs": row.macs if row else 0,
                "field": row.receptive_field if row else None,
            }
        )
    return {"name": name, "title": title(name), "layers": layers, "params": counted.params, "macs": counted.macs}


TITLES = {  # of families, by how their names begin
    "allcnn_base": "Base",
    "allcnn": "All-CNN",
    "strided_cnn": "Strided-CNN",
    "convpool_cnn": "ConvPool-CNN",
    "densenet": "DenseNet",
    "resnet": "ResNet",
    "alexnet": "AlexNet",
    "lenet": "LeNet",
    "vgg": "VGG",
}


def title(name):
    """Return how slides write a name of the registry, such as "VGG-D" for ``vgg_d``."""
    famous = {known: text for known, text, _ in FAMOUS}
    family = next((begin for begin in TITLES if name.startswith(begin)), None)
    if name in famous or family is None:
        return famous.get(name, name)
    words = [word.upper() if len(word) == 1 else word for word in name.removeprefix(family).split("_") if word]
    return " ".join(["-".join([TITLES[family], *words[:1]]), *words[1:]])


def costs():
    """Return error, parameters and multiplications of ResNets and DenseNets, as `explain.efficiency` draws them."""
    families = {}
    for heading, family in (("ResNet", RESNETS), ("DenseNet", DENSENETS)):
        families[heading] = []
        for name, error in family.items():
            channels, side = models.native_input(name)
            counted = summary(models.create(name, drawn=False), (1, channels, side, side))
            point = {"name": title(name), "error": error, "params": counted.params, "macs": counted.macs}
            families[heading].append(point)
    return families


def principal_filters(count, size):
    """Return filters computed from patches of shapes10: the directions in which patches differ most.

    They are the eigenvectors of the covariance of all patches with the largest eigenvalues.

    Parameters
    ----------
    count, size : int
        How many, and pixels per side.

    Returns
    -------
    dict
        ``shape``, (count, 3, size, size), and ``weights``, float32 in base64.
    """
    pixels = data.Shapes10(train=True, size=300).images.transpose(0, 3, 1, 2) / 255 - 0.5
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (size, size), axis=(2, 3))[:, :, ::3, ::3]
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 3 * size * size)
    _, vectors = np.linalg.eigh(np.cov(patches.T))
    chosen = vectors.T[::-1][:count]
    chosen = chosen * np.where(chosen.sum(1) < 0, -1, 1)[:, None]  # an eigenvector has no sign of its own
    filters = chosen.reshape(-1, 3, size, size).astype(np.float32)
    return {"shape": list(filters.shape), "weights": encoded(filters)}
