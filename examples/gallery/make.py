"""Draw the pictures of the documents again, each as PNG, SVG and PDF.

    python examples/gallery/make.py --out DIR [--run RUN --data DIR] [--pretrained FILE.pth]

Without a run, only those pictures are drawn that need no trained network.
"""

import argparse
import io
import pathlib

import numpy as np
from PIL import Image

from minitorch_cnn import explain, models, nn, train
from minitorch_cnn.data import CIFAR10
from minitorch_cnn.display import figures

IMAGE = [[0, 0, 0, 9, 9], [0, 0, 0, 9, 9], [0, 0, 9, 9, 9], [0, 9, 9, 9, 9], [0, 9, 9, 9, 9]]
EDGE = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]


def pictures():
    """Yield (name, result, options of its save) of what needs no training."""
    yield "convolution", explain.conv(IMAGE, EDGE), {"step": 3}
    yield "stride", explain.conv(np.arange(36).reshape(6, 6) % 7, np.ones((3, 3)), stride=2), {"step": 3}
    yield "gradient_pool", explain.pool_gradient([[8, 9, 3, 1], [5, 9, 3, 8], [3, 8, 2, 4], [3, 2, 8, 8]], 2), {}
    yield "flip", explain.side_by_side(np.arange(1, 10).reshape(3, 3)), {}
    yield "matrix", explain.as_matrix(nn.Conv2d(1, 1, 3, bias=False), (1, 1, 6, 6)), {}
    resnet = models.create("resnet20")
    yield "field", explain.receptive_field(resnet, "layer2.1", 7, 7, input_shape=(1, 3, 32, 32)), {}
    names = "vgg_a", "vgg_d", "resnet18"
    yield "growth", explain.field_growth({n: (models.create(n, drawn=False), (1, 3, 224, 224)) for n in names}), {}
    yield "shift", explain.shift_sensitivity(), {}
    yield "shortcuts", explain.gradient_norms(), {}
    yield "poster", explain.poster(), {}


def trained(run, folder):
    """Yield the pictures of a trained network, as `pictures`."""
    classifier, test = train.Classifier.load(run), CIFAR10(folder, train=False)
    model, few = classifier.model, classifier.prepare(test.select(slice(0, 10)))
    x, known = classifier.normalised(few.images), {"labels": classifier.labels(few), "classes": classifier.classes}
    yield "filters", explain.filters(model), {}
    yield "maps", explain.feature_maps(model, x[1]), {}
    yield "patches", explain.patches(model, "conv4", test.select(slice(0, 1000)), k=9), {}
    yield "gradcam", explain.grad_cam(model, x, "conv4", **known), {}


def write(result, path, **options):
    """Write a result or a figure in all forms; the PNG with 128 colours, which keeps it small."""
    for kind in figures.KINDS:
        target = path.with_suffix(kind)
        figures.save(result, target) if hasattr(result, "savefig") else result.save(target, **options)
    picture = Image.open(io.BytesIO(path.with_suffix(".png").read_bytes())).convert("RGB")
    picture.quantize(128, method=Image.Quantize.MAXCOVERAGE).save(path.with_suffix(".png"), optimize=True)


def main():
    """Draw what the arguments allow."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the documents as PNG, SVG and PDF.")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("gallery"), help="folder (default: gallery)")
    parser.add_argument("--run", help="a run of cifar4, for the pictures of a trained network")
    parser.add_argument("--data", help="folder of CIFAR-10, together with --run")
    parser.add_argument("--pretrained", help="a file of weights of resnet18, for its filters")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    made = list(pictures())
    if arguments.run:
        made += trained(arguments.run, arguments.data)
    if arguments.pretrained:
        made.append(
            (
                "filters_resnet18",
                explain.filters(train.Classifier.pretrained("resnet18", arguments.pretrained).model),
                {},
            )
        )
    for name, result, options in made:
        write(result, arguments.out / name, **options)


if __name__ == "__main__":
    main()
