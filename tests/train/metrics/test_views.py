"""Test-time augmentation against six explicit forwards on images that were padded and cropped."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, data, models, no_grad, rng, train


@pytest.fixture
def judged():
    rng.manual_seed(0)
    model = models.create("air80", num_classes=3, image_size=12)
    stream = np.random.default_rng(0)
    images = stream.integers(0, 256, (7, 12, 12, 3), dtype=np.uint8)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    dataset = data.ArrayDataset(images, stream.integers(0, 3, 7), ("a", "b", "c"), mean, std, "noise", "noise")
    facts = {"architecture": {"image_size": 12}, "classes": ["a", "b", "c"], "mean": mean, "std": std}
    return train.Classifier(model, facts), dataset


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("views", [1, 2, 6])
def test_the_mean_over_explicit_views(judged, views):
    classifier, dataset = judged
    x = classifier.normalised(dataset.images)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "reflect")

    def answer(images):
        both = images if views == 1 else np.concatenate([images, images[..., ::-1]])
        with no_grad():
            logits = classifier.model.eval()(Tensor(np.ascontiguousarray(both))).data
        return logits.reshape(-1, len(images), 3).mean(0)

    logits = answer(x)
    if views == 6:
        logits = 0.5 * logits + 0.25 * answer(padded[:, :, :-2, :-2]) + 0.25 * answer(padded[:, :, 2:, 2:])
    result = classifier.evaluate(dataset, views=views)
    np.testing.assert_allclose(result.probabilities, softmax(logits), rtol=1e-4, atol=1e-6)
    assert result.views == views
    assert result.plain_accuracy == classifier.evaluate(dataset).accuracy


def test_another_number_of_views_is_refused(judged):
    classifier, dataset = judged
    for wrong in (3, 0, True, "2"):
        with pytest.raises(ValueError, match="evaluate: views - expected 1, 2 or 6, got"):
            classifier.evaluate(dataset, views=wrong)
