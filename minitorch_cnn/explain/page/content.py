"""A network with images as data for a page: its graph, weights in base64, and what the kernels computed."""

from minitorch_cnn.autograd import no_grad
from minitorch_cnn.explain.network.topology import layers
from minitorch_cnn.explain.page.description import describe
from minitorch_cnn.explain.page.packing import encoded, packed, rounded_bits
from minitorch_cnn.nn.tracing import evaluating
from minitorch_cnn.tensor import Tensor

FLOAT32_LIMIT = 12_000_000  # bytes of weights; beyond that the page gets them rounded


def network_content(model, x, images, labels, facts, limit=None):
    """Describe a network and images for a page.

    Parameters
    ----------
    model : Module
    x : float32 ndarray, shape (N, C, H, W)
        The images as the model takes them.
    images : uint8 ndarray, shape (N, H, W, C)
    labels : list of int or None
        The class of each image.
    facts : dict
        "classes", "mean" and "std".
    limit : int or None
        Bytes of weights beyond which they are rounded to 16 bits; None takes FLOAT32_LIMIT.

    Returns
    -------
    dict
        Can be written as JSON.

    Raises
    ------
    ValueError
        If the page cannot compute an operation of the model.
    """
    description = describe(model, (1, *x.shape[1:]))
    constants = description.constants
    few = sum(array.nbytes for array in constants) <= (FLOAT32_LIMIT if limit is None else limit)
    bits = [32 if few else rounded_bits(array, 16) for array in constants]
    with evaluating(model), no_grad():
        outputs = model(Tensor(x)).data
    return facts | {
        "graph": description.graph,
        "layers": _layers(description.replay),
        "bits": bits,
        "weights": encoded(packed(constants, bits)),
        "images": [
            {"pixels": encoded(image), "label": label, "output": output.tolist()}
            for image, label, output in zip(images, labels, outputs, strict=True)
        ],
    }


def _layers(replay):
    """Return the layers to draw: what each is, what it reads, and the variables of the graph that show it."""
    nodes, owner = layers(replay.x, replay.records)
    found = [
        {"kind": node.kind, "text": node.text, "notes": node.notes, "path": node.path, "inputs": node.inputs}
        for node in nodes
    ]
    found[0] |= {"own": 0, "shown": 0, "parts": []}
    for variable, record in enumerate(replay.records, 1):
        layer = found[owner[id(record.output)]] if id(record.output) in owner else None
        if layer is None:
            continue  # made from parameters alone
        layer.setdefault("own", variable)
        layer.setdefault("parts", []).append(variable)
        if record.op.kind != "view":
            layer["shown"] = variable
    return found
