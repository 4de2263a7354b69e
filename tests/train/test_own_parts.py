"""Parts that a user has set, such as a loss: files have their names, and a resumed run asks for them."""

import copy

import numpy as np
import pytest

from minitorch_cnn import ops, weights
from minitorch_cnn.train.objective import Objective
from tests.train.test_frozen import assert_same, stop_after


def half_again(logits, labels):
    return ops.cross_entropy(logits, labels) * 1.5, len(labels)


half_again.right = Objective.right


def clipped(parameters):
    for parameter in parameters:
        np.clip(parameter.grad, -0.01, 0.01, out=parameter.grad)


@pytest.mark.parametrize("part, own", [("loss", half_again), ("average_gradients", clipped)])
def test_a_run_with_a_part_of_its_own_continues_with_that_alone(start, go_on, part, own):
    """No file holds a function, so the user sets it again; its name is recorded."""
    whole = start("whole")
    setattr(whole, part, own)
    whole.fit()
    stopped = start(save_every=0.0)
    setattr(stopped, part, own)
    stop_after(stopped, 9)
    resumed = go_on()
    with pytest.raises(ValueError, match=f"{part} - expected {own.__name__}, as in the run so far, got that"):
        resumed.fit()
    assert resumed.progress.step == 9
    setattr(resumed, part, own)
    resumed.fit()
    assert_same(resumed, whole)


def test_a_loader_that_was_replaced_after_a_checkpoint_is_refused(start):
    other = start("other")
    other.save()
    other.loader = copy.copy(other.loader)
    with pytest.raises(ValueError, match="loader - expected that of the recipe, as in the run so far, got Data"):
        other.fit()


def test_a_label_smoothing_that_was_set_by_hand_is_not_lost(start, go_on):
    stopped = start(save_every=0.0)
    stopped.loss.label_smoothing = 0.2
    stop_after(stopped, 9)
    with pytest.raises(ValueError, match=r"loss - expected Objective\(label_smoothing=0.2\), as in the run so far"):
        go_on().fit()
    trainer = start("changed")
    trainer.save()
    trainer.loss.label_smoothing = 0.2
    with pytest.raises(ValueError, match=r"loss - expected that of the recipe, as in the run so far, got Objective"):
        trainer.save()


def test_a_checkpoint_of_an_older_version_asks_for_nothing_and_an_altered_one_is_refused(start, go_on):
    stopped = start(save_every=0.0)
    stop_after(stopped, 9)
    path = stopped.checkpoints.paths()[0]
    arrays, metadata = weights.load(path)
    metadata["settings"]["own_parts"] = "mine"
    weights.save(path, arrays, metadata)
    with pytest.raises(TypeError, match="checkpoint: settings: own_parts - expected an object of dict, got str"):
        go_on()
    del metadata["settings"]["own_parts"]
    weights.save(path, arrays, metadata)
    go_on().fit()
