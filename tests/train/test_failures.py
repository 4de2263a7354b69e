"""What can go wrong around a training: arguments, images, folders."""

import dataclasses
import io
import pathlib
import shutil

import numpy as np
import pytest

from minitorch_cnn import data, nn, train


def test_numbers_of_numpy_and_paths_are_taken(start, recipe):
    options = {"seed": np.int64(3), "holdout": np.int64(20), "source": pathlib.Path("images")}
    options["accumulate"] = np.int32(2)
    changed = dataclasses.replace(recipe, peak_lr=np.float32(1e-3), epochs=np.int64(1), flip=np.bool_(True))
    trainer = start(recipe=changed, **options)
    assert trainer.fit()
    trainer.final_eval()
    assert trainer.folder.read_result()["settings"]["source"] == "images"


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"seed": 1.5}, TypeError, "seed - expected an integer, got 1.5"),
        ({"seed": -1}, ValueError, "seed - expected at least 0, got -1"),
        ({"holdout": "3"}, TypeError, "holdout - expected an integer, got '3'"),
        ({"accumulate": 0}, ValueError, "accumulate - expected at least 1, got 0"),
        ({"accumulate": 9}, ValueError, "accumulate - expected 1 to 8, the images of a rank, got 9"),
        ({"source": 3}, TypeError, "source - expected a str, a Path or None, got 3"),
        ({"sync_bn": "no"}, TypeError, "sync_bn - expected True or False, got 'no'"),
        ({"save_epochs": 1}, TypeError, "save_epochs - expected True or False, got 1"),
        ({"save_every": "often"}, TypeError, "save_every - expected a number, got 'often'"),
    ],
)
def test_arguments_are_checked_before_a_folder_is_made(start, make_model, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        start(model=make_model(), **options)
    assert not (tmp_path / "run").exists()


def unnamed(seed=0, classes=("red", "blue"), count=60):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return data.ArrayDataset(pixels, np.arange(count) % 2, classes, (0.4,) * 3, (0.3,) * 3)


@pytest.mark.parametrize(
    "other, message",
    [
        (unnamed(seed=1), "expected array of digest"),
        (unnamed(count=40), "expected array of digest"),
        (unnamed(classes=("blue", "red")), r"expected the classes \['red', 'blue'\] in this order"),
        (dataclasses.replace(unnamed(seed=1), digest="given"), "expected array of digest"),
    ],
)
def test_resume_refuses_images_without_a_digest_of_their_own_if_they_are_others(start, go_on, other, message):
    start(train_set=unnamed()).save()
    with pytest.raises(ValueError, match=f"resume: train_set - {message}"):
        go_on(train_set=other)
    assert go_on(train_set=unnamed()).progress.step == 0


def test_the_order_of_the_images_counts_even_where_the_digest_leaves_it_open(start, go_on):
    images = dataclasses.replace(unnamed(), digest="the same in any order")
    start(train_set=images).save()
    turned = dataclasses.replace(images, images=images.images[::-1], labels=images.labels[::-1])
    with pytest.raises(ValueError, match="resume: train_set - expected array of digest"):
        go_on(train_set=turned)


@pytest.mark.posix  # Windows removes no folder that has an open file
def test_a_folder_that_vanishes_is_replaced_by_another_and_nothing_is_lost(start, go_on, tmp_path):
    trainer = start(save_every=0.0)
    step = trainer.step

    def vanishing(*batch):
        step(*batch)
        if trainer.progress.step == 5:
            shutil.rmtree(tmp_path / "run")

    trainer.step = vanishing
    with pytest.raises(train.FolderGoneError, match="run is gone.*up to step 5 was saved in .*run-rescued"):
        trainer.fit()
    resumed = go_on("run-rescued")
    assert resumed.progress.step == 5 and resumed.fit()
    whole = start("whole")
    whole.fit()
    for mine, theirs in zip(resumed.parameters, whole.parameters, strict=True):
        np.testing.assert_array_equal(mine.data, theirs.data)


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 12, 3)])
def test_images_of_other_channels_and_proportions_are_judged_as_they_were_trained(tmp_path, recipe, shape):
    rng = np.random.default_rng(0)
    channels = shape[2]
    pixels = rng.integers(0, 256, (24, *shape)).astype(np.uint8)
    images = data.ArrayDataset(pixels, np.arange(24) % 2, ("a", "b"), (0.5,) * channels, (0.25,) * channels)
    small = dataclasses.replace(recipe, model="resnet20", epochs=1)
    trainer = train.Trainer(small, images, tmp_path / "run", holdout=4, reporter=train.Reporter(io.StringIO()))
    trainer.fit()
    trainer.final_eval()
    loaded = train.Classifier.load(tmp_path / "run")
    assert loaded.input_size == shape[:2]
    np.testing.assert_array_equal(loaded.logits(pixels), trainer.classifier.logits(pixels))
    loaded.model.eval()
    direct = loaded.model(next(iter(data.DataLoader(images, batch_size=24)))[0]).data
    np.testing.assert_array_equal(loaded.logits(pixels), direct)


def test_a_classifier_says_what_its_metadata_lack():
    with pytest.raises(ValueError, match="Classifier: metadata - expected facts with 'architecture', 'classes'"):
        train.Classifier(nn.Flatten(), {})
    with pytest.raises(TypeError, match="Classifier: metadata - expected a dict of facts"):
        train.Classifier(nn.Flatten(), None)


@pytest.mark.parametrize("folder", [None, 3, b"run"])
def test_a_folder_that_is_no_path_is_named(folder):
    with pytest.raises(TypeError, match="Trainer: folder - expected a string or a Path, got"):
        train.RunFolder.create(folder)
    with pytest.raises(TypeError, match="run: folder - expected a string or a Path, got"):
        train.RunFolder.open(folder)
