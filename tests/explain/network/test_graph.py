"""The graph of autograd, read, named and drawn."""

import re

import numpy as np
import pytest

from minitorch_cnn import Tensor, autograd, explain, models, nn, ops
from minitorch_cnn.explain.network import boxes, graph_drawing
from tests.explain import look


def images(shape=(2, 3, 6, 6)):
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def test_operations_in_order_with_what_they_read():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    loss = ops.cross_entropy(model(images()), np.array([0, 1]), reduction="sum")
    graph = explain.graph(loss, model)
    assert str(graph).splitlines() == [
        "   0  Conv2d in 0                      reads 0.weight, 0.bias",
        "   1  ReLU in 1                        reads 0",
        "   2  Reshape in 2                     reads 1",
        "   3  Linear in 3                      reads 2, 3.weight, 3.bias",
        "   4  CrossEntropy                     reads 3",
        "   5  Sum                              reads 4",
    ]
    assert graph.operations[1].rule == "the gradient passes where x > 0"


def test_a_shortcut_reads_an_earlier_operation():
    graph = explain.graph(ops.sum(models.create("resnet20")(images())))
    adds = [operation for operation in graph.operations if operation.op == "Add" and len(operation.inputs) == 2]
    assert len(adds) == 9
    assert all(max(o.inputs) - min(o.inputs) >= 3 or o.path.endswith("0") for o in adds)


def test_backward_visits_the_operations_from_the_last_to_the_first():
    x = Tensor([1.0, 2.0], requires_grad=True)
    loss = ops.sum(ops.add(ops.exp(x), ops.relu(x)))
    names = [operation.op for operation in explain.graph(loss).operations]
    assert names[::-1] == [step.op for step in loss.backward(trace=True)]


def test_leaves_without_a_model_are_called_by_their_shapes():
    x, scalar = Tensor([[1.0, 2.0]], requires_grad=True), Tensor(2.0, requires_grad=True)
    assert explain.graph(ops.mul(x, scalar)).operations[0].leaves == ("1 x 2", "number")


def test_a_result_without_a_graph_is_refused():
    with pytest.raises(autograd.GraphError, match="graph: result - expected a Tensor before backward, got one without"):
        explain.graph(Tensor(1.0))
    loss = ops.sum(Tensor([1.0], requires_grad=True))
    loss.backward()
    with pytest.raises(autograd.GraphError, match="whose graph backward has freed; use retain_graph=True"):
        explain.graph(loss)


def test_the_drawing_names_every_operation_in_rows_from_left_to_right(tmp_path):
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(10)))
    graph = explain.graph(ops.sum(model(images((2, 4)))), model)
    axes = graph.figure().axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts.count("Linear") == 10 and "3\nweight, bias" in texts
    assert [graph_drawing._SHORT.place(number) for number in (0, 6, 7, 13)] == [(0, 0), (6, 0), (0, -1), (6, -1)]
    graph.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_bytes().count(b">Linear</text>") == 10


def test_the_longest_path_is_the_main_one_and_the_legend_names_what_is_drawn():
    """Of a block with a convolution in its shortcut, the operations of the shortcut are off the path."""
    block = models.create("resnet18", num_classes=2).layer2[0]
    found = explain.graph(ops.sum(block(images((2, 64, 6, 6)))), block)
    off = {found.operations[i].path for i in range(len(found.operations)) if i not in found.main_path}
    assert off == {"downsample.0", "downsample.1"}
    labels = [text.get_text() for text in found.figure().legends[0].get_texts()]
    assert "shortcut or side branch" in labels
    chain = explain.graph(ops.sum(nn.Linear(4, 4)(images((2, 4)))))
    assert len(chain.figure().legends[0].get_texts()) == 3


def test_in_a_long_graph_a_layer_is_one_box():
    def box_names(model, shape):
        graph = explain.graph(ops.mean(model(images(shape))), model)
        assert all(set(box.inputs) <= set(range(at)) for at, box in enumerate(boxes.single(graph)))
        found, frames = boxes.layers(graph)
        assert all(set(box.inputs) <= set(range(at)) for at, box in enumerate(found))
        return [" ".join(box.names) for box in found], [frame.count for frame in frames]

    names, counts = box_names(models.create("resnet20"), (2, 3, 8, 8))
    block = ["Conv2d BatchNorm ReLU", "Conv2d BatchNorm", "Add ReLU"]
    assert names == [block[0], *block, "Index Pad", *block, *block, *block, "Mean", "Linear", "Mean"]
    assert counts == [3, 2]
    names, counts = box_names(models.create("densenet121", image_size=32), (2, 3, 32, 32))
    assert counts == [6, 12, 24, 16] and names.count("BatchNorm ReLU Conv2d") == 4 * 2 + 3
    assert names[:2] == ["Conv2d BatchNorm ReLU", "MaxPool2d"]


def test_a_graph_that_is_higher_than_a_slide_is_divided_among_several(tmp_path):
    model = models.create("resnet50", num_classes=2)
    graph = explain.graph(ops.sum(model(images((2, 3, 32, 32)))), model)
    whole, slides = graph.figure(), graph.slides()
    assert whole.get_figheight() > 7.5 and [slide.get_figheight() for slide in slides] == [7.5, 7.5]
    texts = [[text.get_text() for text in figure.axes[0].texts] for figure in (whole, *slides)]
    assert sorted(texts[0]) == sorted(texts[1] + texts[2])  # each box once
    for number, slide in enumerate(slides, 1):
        assert slide.get_suptitle().endswith(f"({number} of 2)") and look.faults(slide) == []
    graph.save(tmp_path / "graph.pdf")
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "graph.pdf").read_bytes())) == 2
    short = explain.graph(ops.sum(nn.Linear(4, 4)(images((2, 4)))))
    assert len(short.slides()) == 1


def test_what_something_else_reads_ends_a_box():
    conv, norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
    inside = conv(images())
    graph = explain.graph(ops.sum(ops.add(ops.relu(norm(inside)), inside)))
    assert [" ".join(box.names) for box in boxes.layers(graph)[0]] == ["Conv2d", "BatchNorm ReLU", "Add", "Sum"]


@pytest.mark.parametrize(
    "path, widest, shown",
    [
        ("layer1.0", 12, "layer1.0"),
        ("features.denseblock1.denselayer1", 12, "…denselayer1"),
        ("a.layer.conv", 8, "…conv"),
        ("averyverylongname", 8, "…ongname"),
    ],
)
def test_long_paths_are_shown_from_a_part_on(path, widest, shown):
    assert graph_drawing._shortened(path, widest) == shown


def test_blocks_that_repeat_are_drawn_once_with_their_count():
    model = models.create("densenet40_k12")
    graph = explain.graph(ops.sum(model(images((1, 3, 8, 8)))), model)
    texts = [text.get_text() for text in graph.figure().axes[0].texts]
    assert texts.count("\N{MULTIPLICATION SIGN} 12") == 3 and texts.count("Concat") == 3
    assert sum("Concat" in operation.op for operation in graph.operations) == 36
    assert max(len(text) for text in texts if "conv" in text) < 30
