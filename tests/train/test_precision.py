"""Training in bf16: recorded, resumed with the same bits, judged in float32, and refused where it cannot run."""

import dataclasses

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import Tensor, nn, rng, train, weights
from minitorch_kernels.runtime import simd

needs_bf16 = pytest.mark.skipif(not simd.supports(simd.PAIR), reason="no AVX512_BF16, or nothing is compiled")


def wide_model():
    """Return a network with products large enough for bf16, and without dropout."""
    rng.manual_seed(0)
    layers = nn.Conv2d(3, 32, 3, stride=2), nn.ReLU(), nn.Conv2d(32, 32, 1), nn.GlobalAvgPool(), nn.Linear(32, 2)
    return nn.Sequential(*layers)


@pytest.fixture
def bf16_recipe(recipe):
    return dataclasses.replace(recipe, epochs=2, precision="bf16")


@needs_bf16
def test_a_run_records_its_precision_and_resumes_with_the_same_bits(start, go_on, bf16_recipe, recipe, test_set):
    whole = start("whole", recipe=bf16_recipe, model=wide_model())
    whole.fit()
    result = whole.final_eval(test_set)
    assert result["settings"]["recipe"]["precision"] == "bf16"
    assert {value.dtype for value in weights.load(whole.folder.model)[0].values()} == {np.dtype(np.float32)}
    other = start("other", recipe=dataclasses.replace(recipe, epochs=2), model=wide_model())
    other.fit()
    assert weights.save(other.folder.path / "w", other.model.state_dict()) != result["weights_sha256"]

    begun = start("begun", recipe=bf16_recipe, model=wide_model(), on_epoch=stop_at_the_first)
    with pytest.raises(KeyboardInterrupt):
        begun.fit()
    resumed = go_on("begun", model=wide_model())
    assert resumed.recipe.precision == "bf16" and resumed.fit()
    assert resumed.final_eval(test_set)["weights_sha256"] == result["weights_sha256"]


def stop_at_the_first(trainer, record):
    raise KeyboardInterrupt


@needs_bf16
def test_the_model_is_judged_in_float32(start, bf16_recipe, test_set):
    trainer = start(recipe=bf16_recipe, model=wide_model())
    trainer.fit()
    accuracy = trainer.final_eval(test_set)
    judged = train.Classifier.load(trainer.folder.model, model=wide_model()).evaluate(test_set)
    assert judged.loss == accuracy["test_loss"]


@needs_bf16
def test_only_the_steps_are_in_bf16(start, bf16_recipe):
    trainer, seen = start(recipe=bf16_recipe, model=wide_model()), []
    trainer.trainable = lambda x: seen.append(mt.get_precision()) or trainer.model(x)
    trainer.learn(Tensor(np.zeros((8, 3, 8, 8), np.float32)), np.zeros(8, np.int64))
    assert seen == ["bf16"] and mt.get_precision() == "float32"


@needs_bf16
def test_a_process_in_bf16_wants_a_recipe_in_bf16(start, recipe, bf16_recipe):
    with mt.precision("bf16"):
        start("fits", recipe=bf16_recipe)
        with pytest.raises(ValueError, match="Trainer: recipe - expected precision='bf16', which set_precision has"):
            start("differs", recipe=recipe)


def test_a_processor_without_bf16_neither_begins_nor_resumes(start, go_on, bf16_recipe, monkeypatch):
    monkeypatch.setattr(simd, "BF16", False)
    with pytest.raises(ValueError, match="precision: name - expected 'float32' on a processor without AVX512_BF16"):
        start(recipe=bf16_recipe)


@needs_bf16
def test_a_run_in_bf16_is_not_resumed_on_a_processor_without(start, go_on, bf16_recipe, monkeypatch):
    start(recipe=bf16_recipe, model=wide_model()).save()
    monkeypatch.setattr(simd, "BF16", False)
    with pytest.raises(ValueError, match="precision: name - expected 'float32' on a processor without AVX512_BF16"):
        go_on(model=wide_model())
