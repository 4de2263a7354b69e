"""Folders of your own pictures: what is found, how it is divided, and what is refused by name."""

import gc
import mmap
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import data
from minitorch_cnn.data import image_folder, listing, mapped


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def draw(path, seed=0, size=(40, 30), mode="RGB"):
    """Write a picture of random pixels; return what a reader should see of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"RGB": (3,), "L": ()}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], *channels), dtype=np.uint8)
    Image.fromarray(pixels, mode).save(path)
    return pixels


@pytest.fixture
def pets(tmp_path):
    """Return a folder of two classes with ten and five pictures of mixed sizes, formats and modes."""
    root = tmp_path / "pets"
    for i in range(10):
        draw(root / "cat" / f"{i}.png", i, (20 + i, 30), "L" if i % 3 == 0 else "RGB")
    for i in range(5):
        draw(root / "dog" / "more" / f"{i}.bmp", 10 + i, (64, 20 + i))
    (root / "dog" / "notes.txt").write_text("not a picture")
    for system in (".hidden", "__MACOSX", "@eaDir", "cat/@eaDir/0.png", "dog/__MACOSX", "$RECYCLE.BIN", "lost+found"):
        draw(root / system / "x.png")
    draw(root / "cat" / ".x.png")
    return root


def test_pictures_classes_and_sizes(pets):
    train, test = (data.ImageFolder(pets, train=part) for part in (True, False))
    assert train.classes == test.classes == ("cat", "dog")
    assert np.bincount(train.labels).tolist() == [8, 4] and np.bincount(test.labels).tolist() == [2, 1]
    assert train.images.shape == (12, 32, 32, 3) and train.images.dtype == np.uint8
    assert train.name == "folder pets" and train.verified
    pixels = train.images / 255
    np.testing.assert_allclose(train.mean, pixels.mean((0, 1, 2)), atol=1e-12)
    np.testing.assert_allclose(train.std, pixels.std((0, 1, 2)), atol=1e-12)
    assert (test.mean, test.std) == (train.mean, train.std)


def test_every_picture_is_what_read_picture_gives_with_its_own_label(pets):
    seen = {}
    for part in (True, False):
        found = data.ImageFolder(pets, train=part, image_size=(24, 16))
        seen |= {image.tobytes(): label for image, label in zip(found.images, found.labels, strict=True)}
    files = [*pets.glob("cat/[0-9].png"), *pets.glob("dog/more/*.bmp")]
    expected = {data.read_picture(file, (24, 16)).tobytes(): int("dog" in file.parts) for file in files}
    assert seen == expected and len(seen) == 15


def test_grey_pictures(pets):
    found = data.ImageFolder(pets, channels=1)
    assert found.images.shape == (12, 32, 32, 1) and len(found.mean) == 1


def test_the_division_depends_on_the_seed_alone(pets):
    def tests_of(**options):
        return {image.tobytes() for image in data.ImageFolder(pets, train=False, **options).images}

    assert tests_of() == tests_of()
    assert any(tests_of(seed=seed) != tests_of() for seed in (1, 2, 3))
    assert len(tests_of(test_share=0.5)) == 5 + 2
    assert tests_of(test_share=np.float32(0.5)) == tests_of(test_share=0.5)
    assert not tests_of() & {image.tobytes() for image in data.ImageFolder(pets).images}


@pytest.mark.parametrize("name", ["test", "val"])
def test_folders_for_training_and_testing(pets, name, tmp_path):
    root = tmp_path / "divided"
    for part in ("train", name):
        shutil.copytree(pets, root / part)
    os.remove(root / name / "cat" / "0.png")
    train, test = (data.ImageFolder(root, train=part) for part in (True, False))
    assert len(train) == 15 and len(test) == 14
    shutil.copytree(root / name / "cat", root / name / "bird")
    with pytest.raises(data.DatasetError, match=f"the same classes in train and {name}, got {name}/bird in one of"):
        data.ImageFolder(root)


def test_a_train_folder_alone_is_divided(pets, tmp_path):
    shutil.copytree(pets, tmp_path / "alone" / "train")
    assert len(data.ImageFolder(tmp_path / "alone", train=False)) == 3


@pytest.mark.parametrize(("sides", "expected"), [([20, 30, 300], 32), ([100, 300, 20], 64), ([47], 32), ([48], 64)])
def test_the_usual_size_follows_the_pictures(tmp_path, sides, expected):
    for name in ("a", "b"):
        for i, side in enumerate(sides):
            draw(tmp_path / "p" / name / f"{i}.png", i, (side, side + 10))
    assert data.ImageFolder(tmp_path / "p").images.shape[1:3] == (expected, expected)


def test_broken_files_are_named_or_left_out_on_request(pets):
    (pets / "cat" / "broken.png").write_bytes(b"no picture")
    (pets / "dog" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(
        data.DatasetError, match="mend or remove .*skip_broken=True.*: 2 of its files .*cut.jpg.*broken.p"
    ):
        data.ImageFolder(pets)
    with pytest.raises(data.DatasetError, match="broken.png"):  # from the cache, too
        data.ImageFolder(pets, train=False)
    train, test = (data.ImageFolder(pets, train=part, skip_broken=True) for part in (True, False))
    assert len(train) + len(test) == 15
    assert train.images.reshape(len(train), -1).any(1).all()


def test_many_broken_files_are_counted(pets):
    for i in range(7):
        (pets / "cat" / f"broken{i}.png").write_bytes(b"")
    with pytest.raises(data.DatasetError, match="7 of its files cannot be read: .*and 2 more"):
        data.ImageFolder(pets)


def test_a_class_of_broken_files_alone_is_named(pets):
    for path in (pets / "dog" / "more").iterdir():
        path.write_bytes(b"")
    with pytest.raises(data.DatasetError, match="expected at least one picture of 'dog' to train with, got none"):
        data.ImageFolder(pets, skip_broken=True)


def test_pictures_are_decoded_once(pets, home, monkeypatch):
    first = data.ImageFolder(pets)
    monkeypatch.setattr(listing, "read_picture", None)  # a call would fail
    again = data.ImageFolder(pets)
    assert again == first and again.digest == first.digest
    base = again.images
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap)
    assert {path.suffix for path in (home / "pictures").iterdir()} == {".npy", ".json"}


@pytest.mark.parametrize("change", ["contents", "new file", "removed file"])
def test_a_changed_folder_is_read_again(pets, change):
    before = data.ImageFolder(pets)
    if change == "contents":
        draw(pets / "cat" / "1.png", 99, (21, 31))
    elif change == "new file":
        draw(pets / "cat" / "new.png", 99)
    else:
        os.remove(pets / "cat" / "1.png")
    after = data.ImageFolder(pets)
    assert after.digest != before.digest


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_a_damaged_cache_is_made_anew(pets, home, damage):
    first = data.ImageFolder(pets)
    images = first.images.copy()
    del first
    gc.collect()  # Windows lets nobody change a file that is mapped
    (path,) = (home / "pictures").glob("*.npy")
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    np.testing.assert_array_equal(data.ImageFolder(pets).images, images)


def test_a_home_that_cannot_be_written_is_no_obstacle(pets, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "file" / "inside"))
    assert len(data.ImageFolder(pets)) == 12


def test_a_full_disk_is_no_obstacle(pets, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mapped, "reserve", full)
    assert len(data.ImageFolder(pets)) == 12


def test_progress_reaches_the_end(pets):
    seen = []
    data.ImageFolder(pets, progress=lambda done, count: seen.append((done, count)))
    assert seen[-1] == (15, 15)


def test_wrong_folders_and_arguments_are_named(pets, tmp_path):
    empty = tmp_path / "empty"
    (empty / "one").mkdir(parents=True)
    cases = [
        (tmp_path / "nowhere", {}, data.DatasetError, "expected a folder with one folder for each class"),
        (empty, {}, data.DatasetError, "expected a folder for each of at least two classes, found one"),
        (5, {}, TypeError, "ImageFolder: root - expected a string or a Path"),
        (pets, {"train": 1}, TypeError, "ImageFolder: train - expected True or False"),
        (pets, {"test_share": 1}, ValueError, "ImageFolder: test_share - expected a number above 0 and below 1"),
        (pets, {"channels": 2}, ValueError, "ImageFolder: channels - expected 3 or 1"),
        (pets, {"seed": -1}, ValueError, "ImageFolder: seed - expected at least 0"),
        (pets, {"image_size": 0}, ValueError, "ImageFolder: image_size"),
    ]
    for root, options, error, message in cases:
        with pytest.raises(error, match=message):
            data.ImageFolder(root, **options)
    (empty / "two").mkdir()
    with pytest.raises(data.DatasetError, match="one - expected at least one picture of this class, found none: it is"):
        data.ImageFolder(empty)


def test_folders_one_level_too_high_are_told_where_the_classes_are(pets, tmp_path):
    shutil.copytree(pets, tmp_path / "unpacked" / "pets")
    with pytest.raises(data.DatasetError, match="at least two classes, found pets; there are several in .*pets$"):
        data.ImageFolder(tmp_path / "unpacked")
    shutil.copytree(pets, tmp_path / "judged" / "val")
    with pytest.raises(data.DatasetError, match="at least two classes, found val; there are several in .*val$"):
        data.ImageFolder(tmp_path / "judged")
    with pytest.raises(data.DatasetError, match="at least two classes, found more$"):
        data.ImageFolder(pets / "dog")


def test_what_to_do_about_a_folder_without_classes(pets, tmp_path):
    told = image_folder.what_else
    assert told(pets / "cat") == ": sort its 10 pictures into a folder for each class, or list them in a CSV file"
    assert told(tmp_path / "pets.ZIP") == ": unpack it first" and told(tmp_path / "pets.xyz") == ""
    (tmp_path / "phone").mkdir()
    assert told(tmp_path / "phone") == ": it is empty"
    (tmp_path / "phone" / "a.heic").write_text("")
    assert told(tmp_path / "phone") == ": Pillow reads no files here that end in .heic"


def test_has_classes(pets, tmp_path):
    assert image_folder.has_classes(pets)
    assert not image_folder.has_classes(pets / "cat")
    assert not image_folder.has_classes(tmp_path / "nowhere")


def test_a_loader_with_workers_serves_it(pets):
    found = data.ImageFolder(pets)
    plain, shared = (list(data.DataLoader(found, batch_size=4, shuffle=True, num_workers=n)) for n in (0, 2))
    for (x, labels), (y, others) in zip(plain, shared, strict=True):
        np.testing.assert_array_equal(x.data, y.data)
        np.testing.assert_array_equal(labels, others)


@pytest.mark.parametrize("names", [("Train", "Test"), ("training", "testing"), ("TRAIN", "Val")])
def test_the_parts_may_be_written_otherwise(tmp_path, names):
    for part in names:
        for name in ("cat", "dog"):
            draw(tmp_path / "pets" / part / name / "x.png")
    train, test = (data.ImageFolder(tmp_path / "pets", train=part) for part in (True, False))
    assert train.classes == ("cat", "dog") and len(train.images) == len(test.images) == 2


def test_train_may_be_a_class(tmp_path):
    for name in ("plane", "train"):
        draw(tmp_path / "pets" / name / "x.png")
    assert data.ImageFolder(tmp_path / "pets").classes == ("plane", "train")


def test_what_is_no_picture_file_is_left_out_and_a_link_to_nowhere_is_broken(pets):
    (pets / "cat" / "notes.pdf").write_bytes(b"%PDF-1.4")
    (pets / "cat" / "folder.png").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(pets / "cat" / "pipe.png")
    assert len(image_folder.list_folder(pets, listing.Options()).paths) == 15
    try:
        (pets / "cat" / "lost.png").symlink_to(pets / "nowhere.png")
    except OSError:
        pytest.skip("links need a right here")
    if not (pets / "cat" / "lost.png").is_symlink():
        pytest.skip("links to nowhere do not exist here")
    with pytest.raises(data.DatasetError, match="lost.png - expected a file that can be read, got No such file"):
        data.ImageFolder(pets)
    assert sum(len(data.ImageFolder(pets, part, skip_broken=True).images) for part in (True, False)) == 15
    draw(pets / "nowhere.png")
    assert sum(len(data.ImageFolder(pets, part).images) for part in (True, False)) == 16


def test_pictures_that_change_places_are_read_again(tmp_path):
    """Two files of one size and one time swap their names: nothing but the names has changed."""
    root = tmp_path / "pets"
    for name, value in (("cat", 50), ("dog", 200)):
        for i in range(3):
            draw(root / name / f"{i}.bmp")
            Image.fromarray(np.full((40, 40, 3), value, np.uint8)).save(root / name / f"{i}.bmp")
            os.utime(root / name / f"{i}.bmp", ns=(10**18, 10**18))
    before = {image[0, 0, 0]: label for image, label in zip(*_both_parts(root), strict=True)}
    cats = (root / "cat").rename(root / "aside")
    (root / "dog").rename(root / "cat")
    cats.rename(root / "dog")
    for name in ("cat", "dog"):
        for file in list((root / name).iterdir()):  # as a program that sorts pictures does
            file.rename(file.with_suffix(".tmp")).rename(file)
    after = {image[0, 0, 0]: label for image, label in zip(*_both_parts(root), strict=True)}
    assert (before, after) == ({50: 0, 200: 1}, {50: 1, 200: 0})


def _both_parts(root):
    parts = [data.ImageFolder(root, train=part) for part in (True, False)]
    return np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts])


@pytest.mark.posix
def test_links_to_folders_are_followed_once(pets, tmp_path):
    draw(tmp_path / "elsewhere" / "far.png", 99)
    (pets / "dog" / "linked").symlink_to(tmp_path / "elsewhere")
    (pets / "dog" / "itself").symlink_to(pets / "dog")
    (pets / "dog" / "up").symlink_to(pets)
    found = [path.relative_to(pets / "dog").as_posix() for path in data.find_pictures(pets / "dog")]
    assert found == ["linked/far.png", *(f"more/{i}.bmp" for i in range(5))]
    assert len(_both_parts(pets)[0]) == 16


@pytest.mark.posix
def test_names_need_not_be_valid_text(pets):
    shutil.copy(pets / "cat" / "1.png", os.fsencode(pets / "cat") + b"/\xff.png")
    assert len(_both_parts(pets)[0]) == 16
    with open(os.fsencode(pets / "cat") + b"/\xff.png", "wb") as file:
        file.write(b"no picture")
    assert len(data.ImageFolder(pets, skip_broken=True)) + len(data.ImageFolder(pets, False, skip_broken=True)) == 15


@pytest.mark.parametrize(("parts", "drawn"), [(("train", "test"), False), (("train",), True), ((".",), True)])
def test_a_list_tells_whether_a_seed_has_divided_it(tmp_path, parts, drawn):
    for part in parts:
        for name in ("cat", "dog"):
            draw(tmp_path / "pets" / part / name / "0.png")
            draw(tmp_path / "pets" / part / name / "1.png")
    assert image_folder.list_folder(tmp_path / "pets", listing.Options()).drawn is drawn


def test_classes_that_differ_in_capital_letters_alone_are_two_and_a_warning_says_so(tmp_path):
    for name in ("cat", "dog", "Cat", "Dog"):
        for i in range(2):
            draw(tmp_path / name / f"{i}.png")
    if len(list(tmp_path.iterdir())) == 2:
        pytest.skip("names of files differ in more than capital letters here")
    with pytest.warns(UserWarning, match="the classes 'Cat' and 'cat' differ in capital letters alone") as caught:
        assert data.ImageFolder(tmp_path).classes == ("Cat", "Dog", "cat", "dog")
    assert len(caught) == 1


def test_classes_and_parts_that_a_reader_takes_for_one_are_refused(pets, tmp_path):
    draw(pets / "dog\u200b" / "0.png")
    with pytest.raises(data.DatasetError, match=r"a reader can tell apart, got 'dog' and 'dog\\u200b'"):
        data.ImageFolder(pets)
    root = tmp_path / "parts"
    for part in ("train", "training", "test"):
        for name in ("cat", "dog"):
            draw(root / part / name / "0.png")
    with pytest.raises(data.DatasetError, match="expected one folder for train, got train and training: put their pic"):
        data.ImageFolder(root)
