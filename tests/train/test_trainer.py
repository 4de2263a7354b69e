"""The loop: it learns, repeats itself to the bit, judges once, and keeps an honest record."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minitorch_cnn import data, nn, rng, train, weights


def digest_of(trainer):
    return weights.save(trainer.folder.path / "weights", trainer.model.state_dict())


def test_it_learns_what_can_be_learnt(start, test_set):
    trainer = start()
    assert trainer.fit()
    result = trainer.final_eval(test_set)
    history = trainer.progress.history
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert result["test_accuracy"] == 1.0


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(start):
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        trainer = start(name, seed=seed)
        trainer.fit()
        digests.append((digest_of(trainer), trainer.progress.fingerprint))
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[2][0] and digests[0][1] != digests[2][1]


def test_what_else_draws_random_numbers_does_not_change_a_training(start):
    """Another trainer made before fit(), a network made and trained after an epoch, two trainings in two threads."""
    alone = start("alone")
    alone.fit()
    expected = digest_of(alone)
    between, around = start("between"), start("around", on_epoch=lambda trainer, record: nn.Linear(5, 5))
    inside = start("outer", on_epoch=lambda trainer, record: start(f"inner-{record['epoch']}", seed=3).fit())
    threads = [start("thread-0"), start("thread-1")]
    start("other", seed=7)
    for trainer in (between, around, inside):
        trainer.fit()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(train.Trainer.fit, threads))
    assert {digest_of(trainer) for trainer in (between, around, inside, *threads)} == {expected}


def test_a_training_leaves_the_random_numbers_of_the_program_alone(start):
    trainer = start()
    rng.manual_seed(4)
    before = rng.get_state()
    trainer.fit()
    assert rng.get_state() == before


def test_workers_do_not_change_the_result(start):
    digests = []
    for workers in (0, 2):
        trainer = start(f"workers-{workers}", workers=workers)
        trainer.fit()
        digests.append(digest_of(trainer))
    assert digests[0] == digests[1]


def test_the_record_of_a_run(start, test_set):
    trainer = start(source="somewhere")
    trainer.fit()
    result = trainer.final_eval(test_set)
    assert json.loads(trainer.folder.result.read_text()) == result
    expected = {"recipe": "small", "dataset": "colours", "seed": 0, "epochs": 3, "steps": 21, "test_reads": 1}
    assert {key: result[key] for key in expected} == expected
    assert result["dataset_digest"] == "colours-60-0" and result["verified"] is False
    assert 0 <= result["test_accuracy"] <= 1 and result["test_loss"] > 0 and result["seconds"] > 0
    assert result["settings"]["source"] == "somewhere"
    assert {"versions", "threads", "blas", "cpu"} == result["environment"].keys()
    lines = [json.loads(line) for line in trainer.folder.history.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3] and [line["step"] for line in lines] == [7, 14, 21]
    assert lines == trainer.progress.history
    assert result["weights_sha256"] == digest_of(trainer)


def test_the_saved_model_answers_as_the_trained_one(start, test_set, make_model):
    trainer = start()
    trainer.fit()
    result = trainer.final_eval(test_set)
    loaded = train.Classifier.load(trainer.folder.path, model=make_model(5))
    judged = loaded.evaluate(test_set)
    assert (judged.accuracy, judged.loss) == (result["test_accuracy"], result["test_loss"])
    np.testing.assert_array_equal(loaded.logits(test_set.images), trainer.classifier.logits(test_set.images))


def test_a_model_of_every_epoch_is_kept_on_demand(start, go_on, make_model):
    trainer = start(save_epochs=True)
    trainer.fit()
    kept = sorted(trainer.folder.path.glob("epoch-*.safetensors"))
    assert [path.stem for path in kept] == [f"epoch-{i:03d}" for i in range(trainer.recipe.epochs + 1)]
    models = [train.Classifier.load(path, make_model()).model for path in kept]
    first, last = (next(iter(model.parameters())).data for model in (models[0], models[-1]))
    assert not np.array_equal(first, last)
    np.testing.assert_array_equal(last, next(iter(trainer.model.parameters())).data)
    assert go_on().save_epochs


def test_held_out_images_are_never_trained_on_and_judge_in_the_end(start, make_images):
    images = make_images()
    trainer = start(train_set=images, holdout=12)
    kept, held_out = data.hold_out(images, 12)
    np.testing.assert_array_equal(trainer.held_out.images, held_out.images)
    np.testing.assert_array_equal(trainer.loader.dataset.images, kept.images)
    trainer.fit()
    assert all(0 <= record["holdout_accuracy"] <= 1 for record in trainer.progress.history)
    result = trainer.final_eval()
    assert result["test_accuracy"] is None and result["test_reads"] == 0
    assert result["holdout_accuracy"] == trainer.progress.history[-1]["holdout_accuracy"]


def test_gradients_can_be_averaged_before_each_step(start):
    trainer, seen = start(), []

    def forget(parameters):
        seen.append(len(parameters))
        for parameter in parameters:
            parameter.grad[...] = 0

    trainer.average_gradients = forget
    before = [parameter.data.copy() for parameter in trainer.parameters]
    trainer.fit()
    assert seen == [len(before)] * 21
    for old, parameter in zip(before, trainer.parameters, strict=True):
        np.testing.assert_array_equal(parameter.data, old)


def test_the_schedule_is_squeezed_into_fewer_epochs(start, recipe):
    rates = []
    for epochs in (2, 4):
        trainer = start(f"epochs-{epochs}", dataclasses.replace(recipe, epochs=epochs))
        steps = epochs * len(trainer.loader)
        rates.append([trainer.schedule.lr(round(share * (steps - 1)))[0] for share in (0, 1)])
        assert max(trainer.schedule.lr(i)[0] for i in range(steps)) == pytest.approx(recipe.peak_lr, rel=0.05)
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-6)


def test_the_test_set_is_looked_at_once_and_last(start, test_set):
    trainer = start()
    with pytest.raises(RuntimeError, match="expected 3 epochs of training first, got 0"):
        trainer.final_eval(test_set)
    trainer.fit()
    empty = dataclasses.replace(test_set, images=test_set.images[:0], labels=test_set.labels[:0])
    grey = dataclasses.replace(test_set, images=test_set.images[..., :1], mean=(0.5,), std=(0.5,))
    for wrong in (empty, grey):
        with pytest.raises(ValueError, match="test_set - expected images of 3 channels, at least one, got"):
            trainer.final_eval(wrong)
    assert trainer.progress.test_reads == 0
    with pytest.raises(ValueError, match=r"test_set - expected one with the classes \('red', 'blue'\), got none"):
        trainer.final_eval()
    with pytest.raises(ValueError, match="images that the run has not learned from, got its training set"):
        trainer.final_eval(dataclasses.replace(trainer.train_set, name="another"))
    others = dataclasses.replace(test_set, classes=("cat", "dog"))
    with pytest.raises(ValueError, match=r"got colours with \('cat', 'dog'\)"):
        trainer.final_eval(others)
    assert trainer.progress.test_reads == 0
    trainer.final_eval(test_set)
    with pytest.raises(RuntimeError, match="expected a run without a result"):
        trainer.final_eval(test_set)


def test_a_look_at_the_test_set_is_counted_even_if_the_run_dies_in_it(start, go_on, test_set, monkeypatch):
    trainer = start()
    trainer.fit()
    monkeypatch.setattr(trainer.classifier, "evaluate", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.final_eval(test_set)
    assert go_on().progress.test_reads == 1


def test_a_folder_in_use_is_refused_and_left_alone(start, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    with pytest.raises(train.RunFolderError, match="expected a new or empty folder, got one with files"):
        start()
    assert (tmp_path / "run" / "thesis.txt").read_text() == "precious"


def test_too_few_images(start, make_images):
    with pytest.raises(ValueError, match="train_set - expected at least one batch of 8 images, got 6 images"):
        start(train_set=make_images(6))


def test_a_reporter_of_another_kind_is_refused_at_the_call(start):
    with pytest.raises(TypeError, match="Trainer: reporter - expected an object of Reporter, got int"):
        start(reporter=3)
