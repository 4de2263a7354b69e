"""A loss that a user has set: no file holds a function, so the record has its name, and a resumed run asks for it."""

import pytest

from minitorch_cnn import ops
from minitorch_cnn.train.objective import Objective
from tests.train.test_frozen import assert_same, stop_after


def half_again(logits, labels):
    return ops.cross_entropy(logits, labels) * 1.5, len(labels)


half_again.right = Objective.right


def test_a_run_with_a_loss_of_its_own_continues_with_that_alone(start, go_on):
    """No file holds a function, so the user sets it again; its name is recorded."""
    whole = start("whole")
    whole.loss = half_again
    whole.fit()
    stopped = start(save_every=0.0)
    stopped.loss = half_again
    stop_after(stopped, 9)
    resumed = go_on()
    message = r"Trainer: loss - expected half_again, as in the run so far, got Objective\(label_smoothing=0.0\); set"
    with pytest.raises(ValueError, match=message):
        resumed.fit()
    assert resumed.progress.step == 9
    resumed.loss = half_again
    resumed.fit()
    assert_same(resumed, whole)


def test_a_label_smoothing_that_was_set_by_hand_is_not_lost(start, go_on):
    stopped = start(save_every=0.0)
    stopped.loss.label_smoothing = 0.2
    stop_after(stopped, 9)
    with pytest.raises(ValueError, match=r"loss - expected Objective\(label_smoothing=0.2\), as in the run so far"):
        go_on().fit()
    trainer = start("changed")
    trainer.save()
    trainer.loss.label_smoothing = 0.2
    with pytest.raises(ValueError, match=r"loss - expected Objective\(label_smoothing=0.0\), as in the run so far"):
        trainer.save()
