"""Tables of pictures: what is read, how it is divided, and which mistakes are named with file and line."""

import os

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import data

NAMES = ("a.png", "b.png", "c.bmp", "sub/d.png", "e.png", "f.png")
LABELS = dict(zip(NAMES, ["cat", "dog", "cat", "dog", "cat", "dog"], strict=True))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "home"))


@pytest.fixture
def pets(tmp_path):
    """Return a folder with six pictures."""
    root = tmp_path / "pets"
    (root / "sub").mkdir(parents=True)
    for i, name in enumerate(NAMES):
        pixels = np.random.default_rng(i).integers(0, 256, (30, 20 + i, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name)
    return root


def write(root, text, encoding="utf-8", name="labels.csv"):
    (root / name).write_bytes(text.encode(encoding))
    return root / name


def table(delimiter=",", header="path,label", line="\n", names=NAMES):
    rows = [f"{name},{LABELS[name]}" for name in names]
    return line.join([header, *rows, ""]).replace(",", delimiter)


def seen(file, **options):
    """Return {pixels: class} of both parts."""
    parts = [data.ImageTable(file, train=part, **options) for part in (True, False)]
    return {x.tobytes(): part.classes[y] for part in parts for x, y in zip(part.images, part.labels, strict=True)}


def test_every_picture_comes_with_its_class(pets):
    file = write(pets, table())
    expected = {data.read_picture(pets / name, 32).tobytes(): label for name, label in LABELS.items()}
    assert seen(file) == expected and len(expected) == 6
    train, test = (data.ImageTable(file, train=part) for part in (True, False))
    assert train.name == "table labels.csv" and train.verified and train.classes == test.classes == ("cat", "dog")
    assert (len(train), len(test)) == (4, 2)
    np.testing.assert_allclose(train.mean, (train.images / 255).mean((0, 1, 2)), atol=1e-12)
    assert (test.mean, test.std) == (train.mean, train.std)


FORMS = {
    "semicolons": lambda root: write(root, table(";")),
    "tabs": lambda root: write(root, table("\t"), name="labels.tsv"),
    "a byte-order mark": lambda root: write(root, table(), "utf-8-sig"),
    "UTF-16": lambda root: write(root, table("\t"), "utf-16"),
    "Windows": lambda root: write(root, table(line="\r\n").replace("sub/d.png", r"sub\d.png")),
    "other names": lambda root: write(root, table(header=" Filename ,Class Name")),
    "a name of its own": lambda root: write(root, table(header="image,breed")),
    "no header": lambda root: write(root, table().partition("\n")[2]),
    "another order": lambda root: write(root, table(names=NAMES[::-1])),
    "blank lines": lambda root: write(root, "\n" + table().replace("\n", "\n\n") + ",\n"),
    "quotes": lambda root: write(root, table().replace("a.png", '"a.png"')),
    "more columns": lambda root: write(root, "id,label,path\n" + "".join(f"7,{v},{k}\n" for k, v in LABELS.items())),
    "whole paths": lambda root: write(root, "path,label\n" + "".join(f"{root / k},{v}\n" for k, v in LABELS.items())),
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_of_many_forms_say_the_same(pets, form):
    expected = data.ImageTable(write(pets, table(), name="plain.csv"))
    found = data.ImageTable(FORMS[form](pets))
    assert found == expected and found.digest == expected.digest


def test_paths_may_begin_at_another_folder(pets, tmp_path):
    file = write(tmp_path, table())
    assert seen(file, root=pets) == seen(write(pets, table()))


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "VAL"), ("train", "valid")])
def test_a_column_divides_the_rows(pets, names):
    rows = [f"{name},{label},{names[i > 3]}" for i, (name, label) in enumerate(LABELS.items())]
    file = write(pets, "\n".join(["path,label,split", *rows]))
    train, test = (data.ImageTable(file, train=part) for part in (True, False))
    assert (len(train), len(test)) == (4, 2)
    assert {x.tobytes() for x in test.images} == {data.read_picture(pets / name, 32).tobytes() for name in NAMES[4:]}
    bare = write(pets, "\n".join(rows), name="bare.csv")
    assert data.ImageTable(bare, train=False) == test


def test_rows_for_validation_are_left_out_where_there_are_some_for_testing(pets):
    splits = ["train", "train", "val", "val", "test", "test"]
    rows = [f"{name},{label},{split}" for (name, label), split in zip(LABELS.items(), splits, strict=True)]
    assert len(seen(write(pets, "\n".join(["path,label,split", *rows])))) == 4


@pytest.mark.parametrize("names", [("test", "testing"), ("val", "validation")])
def test_both_names_of_a_part_count(pets, names):
    splits = ["train"] * 4 + list(names)
    rows = [f"{name},{label},{split}" for (name, label), split in zip(LABELS.items(), splits, strict=True)]
    assert len(data.ImageTable(write(pets, "\n".join(["path,label,split", *rows])), train=False)) == 2


def test_long_numbers_that_differ_in_the_last_digit_are_two_classes(pets):
    labels = {name: f"1234567890123456789{i % 2}" for i, name in enumerate(NAMES)}
    rows = "".join(f"{name},{label}\n" for name, label in labels.items())
    assert data.ImageTable(write(pets, "path,label\n" + rows)).classes == tuple(sorted(set(labels.values())))


def test_rows_that_are_all_for_training_are_divided(pets):
    rows = [f"{name},{label},train" for name, label in LABELS.items()]
    assert len(data.ImageTable(write(pets, "\n".join(["path,label,split", *rows])), train=False)) == 2


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["10", "9", "1", "9", "10", "1"], ("1", "9", "10")),
        (["1.5", "0.0", "12.0", "0.0", "1.5", "12.0"], ("0.0", "1.5", "12.0")),
        (["b2", "b10", "nan", "b2", "nan", "b10"], ("b10", "b2", "nan")),
        (["nan", "1", "nan", "1", "2", "2"], ("1", "2", "nan")),
    ],
)
def test_labels_that_are_numbers_are_sorted_as_numbers(pets, labels, expected):
    rows = [f"{name},{label}" for name, label in zip(NAMES, labels, strict=True)]
    found = data.ImageTable(write(pets, "\n".join(["path,label", *rows])))
    assert found.classes == expected


def test_the_division_depends_on_the_seed_and_not_on_the_rows(pets):
    forward, backward = write(pets, table()), write(pets, table(names=NAMES[::-1]), name="backward.csv")
    tests = [data.ImageTable(file, train=False, seed=seed).digest for seed in range(4) for file in (forward, backward)]
    assert tests[::2] == tests[1::2] and len(set(tests)) > 1


# ---------------------------------------------------------------------------- mistakes

MISTAKES = {
    "nothing": ("", "labels.csv - expected at least one row with path and label, got none"),
    "a header alone": ("path,label\n", "labels.csv - expected at least one row with path and label, got none"),
    "unknown columns": ("id,size\n3,4\n", "labels.csv:1 - expected the names of columns, .* got 'id', 'size'"),
    "one column": ("path\na.png\n", "labels.csv:1 - expected the names of columns, .* got 'path'"),
    "a cell too few": ("path,label\na.png,cat\nb.png\n", "labels.csv:3 - expected 2 columns as in the first .* got 1"),
    "a comma in a path": ("path,label\na,b.png,cat\n", "labels.csv:2 - expected 2 columns as in the first .* got 3"),
    "no label": ("path,label\na.png,cat\nb.png, \n", "labels.csv:3 - expected a label, got an empty cell"),
    "no path": ("path,label\n,cat\n", "labels.csv:2 - expected a path, got an empty cell"),
    "one class": ("path,label\na.png,cat\nb.png,cat\n", "expected at least two classes to train with, got cat alone"),
    "a missing file": (
        "path,label\na.png,cat\nx.png,dog\n",
        r"mend the paths, or leave .*--skip-broken\): 1 of 2 files are not in .*pets: line 3: x.png",
    ),
    "no ends": ("path,label\na,cat\nb,dog\n", r"line 2: a \(there is a.png\); line 3: b \(there is b.png\)"),
    "a folder": ("path,label\nsub,cat\n", "1 of 1 files are not in .*: line 2: sub"),
    "a file twice": (
        "path,label\na.png,cat\n./a.png,cat\n",
        "labels.csv:3 - .* once, got ./a.png, which is in line 2$",
    ),
    "a file twice, once by its whole path": (
        lambda root: f"path,label\na.png,cat\n{root / 'a.png'},cat\nb.png,dog\n",
        "labels.csv:3 - expected each file once, got .*, which is in line 2$",
    ),
    "a name that no system allows": (
        f"path,label\na.png,cat\n{'x' * 300},dog\nb.png,dog\n",
        "mend the paths, .* 1 of 3 files are not in .*: line 3: xxx",
    ),
    "a label that differs in how an accent is stored": (
        "path,label\na.png,\u00e9\nb.png,e\u0301\n",
        r"expected names of classes that a reader can tell apart, got 'e\\u0301' and '\\xe9'",
    ),
    "a label with something invisible": (
        "path,label\na.png,a b\nb.png,a  b\u200b\n",
        r"a reader can tell apart, got 'a  b\\u200b' and 'a b'",
    ),
    "a number written in two ways": ("path,label\na.png,1\nb.png,01\nc.bmp,2\n", "tell apart, got '01' and '1'"),
    "two columns of labels": ("path,Label,label\na.png,cat,dog\n", "csv:1 - expected one column called 'Label', got"),
    "two classes": ("path,label\na.png,cat\na.png,dog\n", "labels.csv:3 - .* line 2, as 'cat' and not 'dog'"),
    "no such split": (
        "path,label,split\na.png,cat,tests\n",
        "labels.csv:2 - expected the split train, test or val, got",
    ),
    "no split": ("path,label,split\na.png,cat,\n", "labels.csv:2 - expected the split train, test or val, got ''"),
    "tests alone": ("path,label,split\na.png,cat,test\n", "labels.csv - expected rows with the split train, got test"),
    "a new class": (
        "path,label,split\na.png,cat,train\nb.png,dog,train\nc.bmp,dogs,test\n",
        "labels.csv:4 - expected a label that training rows have, 'cat'; 'dog', got 'dogs'; did you mean 'dog'",
    ),
    "an open quote": ('path,label\na.png,"cat\nb.png,dog\n', "labels.csv:3 - expected a row of a CSV file, got"),
    "a zero byte": ("path,label\na\0b,cat\n", "1 of 1 files are not in"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_line(pets, mistake):
    text, message = MISTAKES[mistake]
    text = text(pets) if callable(text) else text
    with pytest.raises(data.DatasetError, match=message):
        data.ImageTable(write(pets, text))


def test_another_encoding_is_named_with_its_line(pets):
    file = write(pets, "path,label\na.png,cat\nb.png,Bär\n", "latin-1")
    with pytest.raises(data.DatasetError, match="labels.csv:3 - expected text in UTF-8, got byte 0xe4; save it as"):
        data.ImageTable(file)


def test_many_missing_files_are_counted(pets):
    file = write(pets, "path,label\n" + "".join(f"x{i}.png,cat\n" for i in range(7)))
    with pytest.raises(data.DatasetError, match="7 of 7 files .*line 6: x4.png; and 2 more$"):
        data.ImageTable(file)
    with pytest.raises(data.DatasetError, match="labels.csv - expected files in .*pets, found none of its 7"):
        data.ImageTable(file, skip_broken=True)


def test_missing_and_broken_files_are_left_out_on_request(pets):
    (pets / "e.png").write_bytes(b"no picture")
    file = write(pets, table() + f"x.png,dog\n{'x' * 300},cat\n")
    assert len(seen(file, skip_broken=True)) == 5
    with pytest.raises(data.DatasetError, match=r"labels.csv - mend .* 1 of its files cannot be read: line 6: .*e.png"):
        data.ImageTable(write(pets, table()))


def test_wrong_arguments_are_named(pets, tmp_path):
    file = write(pets, table())
    cases = [
        (tmp_path / "nowhere.csv", {}, data.DatasetError, "nowhere.csv - expected a table of pictures, found no file"),
        (pets, {}, data.DatasetError, "pets - expected a table of pictures, found no file there"),
        (5, {}, TypeError, "ImageTable: file - expected a string or a Path"),
        (file, {"root": 5}, TypeError, "ImageTable: root - expected a string or a Path"),
        (file, {"train": 1}, TypeError, "ImageTable: train - expected True or False"),
        (file, {"test_share": 1}, ValueError, "ImageTable: test_share - expected a number above 0 and below 1"),
        (file, {"channels": 2}, ValueError, "ImageTable: channels - expected 3 or 1"),
        (file, {"image_size": 0}, ValueError, "ImageTable: image_size"),
    ]
    for wrong, options, error, message in cases:
        with pytest.raises(error, match=message):
            data.ImageTable(wrong, **options)


@pytest.mark.posix
def test_a_file_that_may_not_be_read_is_left_out_on_request(pets):
    if os.geteuid() == 0:
        pytest.skip("everything may be read as root")
    (pets / "f.png").chmod(0)
    assert len(seen(write(pets, table()), skip_broken=True)) == 5
