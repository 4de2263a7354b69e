"""The table, the exact box, the drawings and the gradient agree on networks of any layers."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from minitorch_cnn import explain, nn
from minitorch_cnn.explain.fields.formula import receptive_fields
from minitorch_cnn.explain.trace.replay import Replay
from minitorch_cnn.explain.trace.semantics import call_of
from minitorch_cnn.ops.reads import UNKNOWN, Along
from minitorch_cnn.shapes import ShapeError
from tests.explain.random_networks import CHANNELS, Apply, Blur, DeclaredBlur, networks, support

SHAPE = (1, CHANNELS, 20, 20)


def fits(field, box, unit):
    """Require that the table is right about one unit: what it reads lies in the table's box, cut at the edges."""
    if field.whole:
        assert box == (0, 0, *SHAPE[2:])
    elif field.placed:
        top, left, bottom, right = field.box(*unit)
        assert max(top, 0) <= box[0] and max(left, 0) <= box[1], (field, box, unit)
        assert box[2] <= min(bottom, SHAPE[2]) and box[3] <= min(right, SHAPE[3]), (field, box, unit)


def sizes(box):
    return np.array([box[2] - box[0], box[3] - box[1]])


def along(replay):
    calls = [(record, call_of(record)) for record in replay.records if record.op.reads is not None]
    return [a for record, call in calls for a in record.op.reads.axes(call, 0) if isinstance(a, Along)]


def words(figure):
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def mirrored(replay):
    return any(a.outside for a in along(replay))


def padded(replay):
    """Return True if an operation may read beyond the edges of its input."""
    return any(min(map(min, a.taps)) < 0 for a in along(replay))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(model=networks(), data=st.data())
def test_on_random_networks(model, data):
    model = model.double().eval()
    try:
        replay = Replay(model, SHAPE)
    except (ShapeError, ValueError):
        assume(False)  # maps that became too small
    end = replay.last_op("")
    output = replay.records[end].output
    assume(len(output.shape) == 4 and 0 not in output.shape and replay.records)
    unit = tuple(data.draw(st.integers(0, n - 1)) for n in output.shape[2:])
    found = explain.receptive_field(model, "", *unit, input_shape=SHAPE, images=0)
    row = explain.summary(model, SHAPE).layers[-1]
    own = any(record.op is Blur for record in (replay.records[i] for i in replay.ancestors(end)))
    if found.box == UNKNOWN:
        assert own and (row.receptive_field in (UNKNOWN, None)) and "not known" in str(found)
        assert "not known" in words(found.figure())
        return
    field = receptive_fields(replay.records, replay.x)[id(output)]
    assert row.receptive_field == field.size and row.jump == field.jump
    if found.box is not None:
        if mirrored(replay):
            largest = [field.rows.size, field.columns.size] if field.placed else SHAPE[2:]
            assert (sizes(found.box) <= largest).all()
        else:
            fits(field, found.box, unit)
        if field.placed and not padded(replay):
            assert field.box(*unit) == found.box
        height, width = sizes(found.box)
        assert f"exact box (green): {height} x {width} pixels" in words(found.figure())
        seen = support(replay, end, *unit)
        assert seen is None or seen == found.box
    nodes = explain.topology(model, SHAPE).nodes
    read = {i for node in nodes for i in node.inputs}
    assert read >= set(range(len(nodes) - 1))  # no layer leads nowhere


@pytest.mark.parametrize("own, known", [(Blur, False), (DeclaredBlur, True)])
def test_an_operation_of_the_users_own(own, known):
    model = nn.Sequential(nn.Conv2d(4, 4, 3), Apply(own.apply), nn.Conv2d(4, 4, (1, 3)))
    table, unit = explain.summary(model, SHAPE), explain.receptive_field(model, "2", 5, 5, input_shape=SHAPE)
    assert [layer.receptive_field for layer in table.layers] == [
        (3, 3),
        *([(5, 3), (5, 5)] if known else [UNKNOWN] * 2),
    ]
    assert [layer.macs for layer in table.layers][1] == (0 if known else UNKNOWN)
    assert unit.box == ((4, 5, 9, 10) if known else UNKNOWN)
    assert unit.effective[4:9, 5:10].sum() == pytest.approx(1)  # measured, not declared
    node = explain.topology(model, SHAPE).nodes[2]
    assert (node.kind, node.text) == (("conv", "1x3") if known else ("", "Blur"))
    grown = explain.field_growth({"own": (model, SHAPE)}).networks["own"]
    assert [step.side for step in grown] == [3, 5 if known else UNKNOWN]
    if known:
        return
    for shown in (table, unit, explain.field_growth({"own": (model, SHAPE)})):
        assert UNKNOWN in str(shown)
    assert "not counting 1 layer with unknown counts" in str(table)
    explain.topology(model, SHAPE).figure()
