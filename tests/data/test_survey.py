"""A survey of pictures: sizes, broken files, and the file of each image."""

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import data


@pytest.fixture
def pets(tmp_path, monkeypatch):
    """Return a folder of two classes with five pictures each."""
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "home"))
    for i in range(10):
        path = tmp_path / "pets" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20 + i, 30), 20 * i, np.uint8)).save(path)
    return tmp_path / "pets"


def test_each_image_has_its_file(pets):
    found = data.survey(pets)
    for part, files in ((found.train, found.train_files), (found.test, found.test_files)):
        assert [image[0, 0, 0] for image in part.images] == [20 * int(file[4]) for file in files]
        assert [part.classes[label] for label in part.labels] == [file[:3] for file in files]
    assert found.train == data.ImageFolder(pets) and found.test == data.ImageFolder(pets, train=False)
    assert (found.smallest, found.largest) == (("cat/0.png", (20, 30)), ("dog/9.png", (29, 30)))
    assert found.broken == []
    assert str(found) == "smallest  20 x 30  cat/0.png\nlargest   29 x 30  dog/9.png\nbroken    0"


def test_broken_and_missing_files_are_listed(pets):
    (pets / "cat" / "0.png").write_bytes(b"")
    (pets / "cat" / "2.png").write_text("no picture")
    found = data.survey(pets)
    assert len(found.train) + len(found.test) == 8 and found.smallest[0] == "dog/1.png"
    (first, second) = found.broken
    assert first.endswith("0.png - expected an image that Pillow can read, got an empty file")
    assert second.endswith("2.png - expected an image that Pillow can read, got another kind of file")
    assert str(found).count("\n") == 4
    (pets / "labels.csv").write_text(
        "\n".join(["path,label", "cat/0.png,a", "lost.png,a", "cat/4.png,a", "dog/1.png,b"])
    )
    found = data.survey(pets / "labels.csv", image_size=8)
    assert found.train.name == "table labels.csv" and found.train.images.shape == (2, 8, 8, 3)
    assert found.broken[0] == "line 3: lost.png - expected a file, found none"
    assert found.broken[1].startswith("line 2: ") and "an empty file" in found.broken[1]


def test_what_is_refused(pets):
    with pytest.raises(data.DatasetError, match="cat - expected a folder for each of at least two classes"):
        data.survey(pets / "cat")
    with pytest.raises(TypeError, match="survey: source - expected a string or a Path"):
        data.survey(5)
    with pytest.raises(ValueError, match="survey: image_size"):
        data.survey(pets, image_size=0)
