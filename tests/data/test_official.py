"""CIFAR-100, MNIST and Fashion-MNIST: their files, how they are fetched, and every way in which they can be damaged."""

import gzip
import hashlib
import http.server
import pathlib
import tarfile
import threading

import numpy as np
import pytest

from minitorch_cnn import data
from minitorch_cnn.data import CIFAR100, MNIST, DatasetError, FashionMNIST, cifar100, fetch, idx
from minitorch_cnn.data.downloads import OFFICIAL, recognised
from minitorch_cnn.io import files

READ = {"mnist": MNIST, "fashion_mnist": FashionMNIST, "cifar100": CIFAR100}


def md5(content):
    return hashlib.md5(content).hexdigest()


def idx_bytes(array):
    head = bytes([0, 0, 8, array.ndim])
    return head + b"".join(length.to_bytes(4, "big") for length in array.shape) + array.tobytes()


def idx_files(folder, seed):
    """Write the four files of 40 and 20 pictures; return the md5 of the contents by name."""
    rng, sums = np.random.default_rng(seed), {}
    folder.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = rng.permutation(np.arange(count) % 10).astype(np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            content = idx_bytes(array)
            sums[name] = md5(content)
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    return sums


def cifar100_archive(folder):
    """Write an archive of 30 and 20 records; return the md5 of the contents by name."""
    rng, sums = np.random.default_rng(0), {}
    place = folder / "cifar-100-binary"
    place.mkdir(parents=True)
    for name, count in (("train.bin", 30), ("test.bin", 20)):
        rows = rng.integers(0, 256, (count, 3074), np.uint8)
        rows[:, 0], rows[:, 1] = np.arange(count) % 20, np.arange(count) % 100
        (place / name).write_bytes(rows.tobytes())
        sums[name] = md5(rows.tobytes())
    with tarfile.open(folder / "cifar-100-binary.tar.gz", "w:gz") as tar:
        tar.add(place, place.name)
    return sums


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Make files of all three datasets, let them be the genuine ones, and return the folder around them."""
    root = tmp_path / "served"
    for offer, seed in ((idx.MNIST_FILES, 1), (idx.FASHION_MNIST_FILES, 2)):
        monkeypatch.setattr(offer, "contents", idx_files(root / offer.name, seed))
        packed = {path.name: (md5(path.read_bytes()), path.stat().st_size) for path in (root / offer.name).iterdir()}
        monkeypatch.setattr(offer, "downloads", packed)
        monkeypatch.setattr(offer, "address", "http://127.0.0.1:9/")
    monkeypatch.setattr(cifar100, "_COUNTS", {True: 30, False: 20})
    monkeypatch.setattr(cifar100, "CONTENTS", cifar100_archive(root))
    archive = (root / "cifar-100-binary.tar.gz").read_bytes()
    monkeypatch.setattr(cifar100, "ARCHIVES", {"cifar-100-binary.tar.gz": (md5(archive), len(archive))})
    monkeypatch.setattr(cifar100, "ADDRESS", "http://127.0.0.1:9/")
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "home"))
    return root


@pytest.fixture
def mirror(served, monkeypatch):
    """Serve the folder from this machine; return (path, range) of each request."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            wanted = self.headers.get("Range")
            asked.append((self.path, wanted))
            path = served / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            content = path.read_bytes()[start:]
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MCNN_MIRROR", f"http://127.0.0.1:{server.server_port}/")
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("name", READ)
def test_download_once_and_read(mirror, name, tmp_path):
    target = fetch(dataset=name)
    requests = len(mirror)
    assert requests == len(OFFICIAL[name].downloads)
    assert fetch(dataset=name) == target and len(mirror) == requests
    for root in (None, target, tmp_path / "home" / "data"):
        train, test = READ[name](root), READ[name](root, train=False)
        assert train.verified and test.verified and train.name == test.name == name
        assert len(train) > len(test) == 20 and train.digest != test.digest
    assert train.images.shape[1:] == ((32, 32, 3) if name == "cifar100" else (28, 28, 1))


@pytest.mark.parametrize("name", READ)
def test_a_transfer_that_was_interrupted_goes_on_where_it_stopped(mirror, name, served, tmp_path):
    offer = OFFICIAL[name]
    (file, (_, size)), *_ = offer.downloads.items()
    folder = tmp_path / "home" / "data" / offer.subfolder
    folder.mkdir(parents=True)
    (folder / f"{file}.part").write_bytes((served / offer.subfolder / file).read_bytes()[: size // 2])
    fetch(dataset=name)
    assert mirror[0][1] == f"bytes={size // 2}-" and READ[name]().verified


@pytest.mark.parametrize("name", READ)
def test_a_file_of_another_sum_is_refused_and_not_kept(mirror, name, served, tmp_path):
    offer = OFFICIAL[name]
    file = next(iter(offer.downloads))
    path = served / offer.subfolder / file
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(files.DownloadError, match=r"expected md5 \w+, got \w+(?s:.*)copy it to"):
        fetch(dataset=name)
    assert not list((tmp_path / "home" / "data").rglob(file))


@pytest.mark.parametrize("name", READ)
def test_a_full_disk(mirror, name, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_copy", full)
    with pytest.raises(files.DownloadError, match="the disk is full; free some space and repeat"):
        fetch(dataset=name)


@pytest.mark.parametrize("name", READ)
def test_an_import_on_a_full_disk_leaves_no_part_of_a_file(served, name, tmp_path, monkeypatch):
    def full(source, target):
        pathlib.Path(target).write_bytes(b"a part")
        raise OSError(28, "No space left on device", str(source))

    monkeypatch.setattr(files.shutil, "copy2", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        fetch(served / OFFICIAL[name].subfolder, tmp_path / "there", dataset=name)
    assert str(tmp_path / "there") in caught.value.filename
    assert not [path for path in (tmp_path / "there").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", READ)
def test_import_from_a_folder(served, name, tmp_path):
    source = served / OFFICIAL[name].subfolder
    fetch(source, tmp_path / "there", dataset=name)
    assert READ[name](tmp_path / "there").verified
    with pytest.raises(DatasetError, match="source - expected an archive or a folder, got .*nowhere"):
        fetch(tmp_path / "nowhere", dataset=name)


def test_unpacked_files_and_those_of_torchvision(served, tmp_path):
    place = tmp_path / "MNIST" / "raw"
    place.mkdir(parents=True)
    for path in (served / "mnist").iterdir():
        (place / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    assert MNIST(tmp_path) == MNIST(served) and MNIST(tmp_path).verified


def test_the_two_with_the_same_file_names_are_told_apart(served, tmp_path):
    for name in READ:
        assert recognised(served / OFFICIAL[name].subfolder).name == (name if name != "cifar100" else "cifar100")
    assert recognised(served / "fashion_mnist") is idx.FASHION_MNIST_FILES
    assert recognised(tmp_path / "home") is None
    with pytest.raises(DatasetError, match="these are not the genuine images"):
        MNIST(served / "fashion_mnist")


def test_other_files_of_the_format_are_taken_only_on_demand(served):
    images = np.random.default_rng(5).integers(0, 256, (7, 12, 9), np.uint8)
    (served / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
    (served / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx_bytes(np.arange(7, dtype=np.uint8)))
    )
    with pytest.raises(DatasetError, match="md5 of the contents - expected .* or verify=False, takes them"):
        MNIST(served)
    dataset = MNIST(served, verify=False)
    assert not dataset.verified
    np.testing.assert_array_equal(dataset.images[..., 0], images)
    np.testing.assert_array_equal(dataset.labels, np.arange(7))


IMAGES, LABELS = np.zeros((4, 5, 5), np.uint8), np.zeros(4, np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (b"", idx_bytes(LABELS), "expected an IDX file of bytes with 3 axes, got"),
        (idx_bytes(LABELS), idx_bytes(LABELS), "expected an IDX file of bytes with 3 axes, got 00 00 08 01"),
        (idx_bytes(IMAGES)[:-1], idx_bytes(LABELS), r"expected 16 bytes and those of \(4, 5, 5\), got 115 bytes"),
        (idx_bytes(IMAGES) + b"x", idx_bytes(LABELS), "got 117 bytes"),
        (idx_bytes(IMAGES[:, :0]), idx_bytes(LABELS), "expected 16 bytes and those of"),
        (idx_bytes(IMAGES), idx_bytes(LABELS[:3]), "expected as many labels as images, 4, got 3"),
        (idx_bytes(IMAGES), idx_bytes(LABELS + np.uint8(10)), "labels - expected 0 to 9, got 10"),
    ],
)
def test_damaged_idx_files(served, images, labels, message):
    for name, content in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        (served / "mnist" / f"{name}.gz").write_bytes(gzip.compress(content))
    with pytest.raises(DatasetError, match=message):
        MNIST(served, verify=False)


def test_damaged_packing_and_a_small_file_that_stands_for_a_huge_one(served, monkeypatch):
    path = served / "mnist" / "train-images-idx3-ubyte.gz"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DatasetError, match="train-images-idx3-ubyte.gz is damaged"):
        MNIST(served)
    monkeypatch.setattr(idx, "_MOST", 1000)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="expected at most 1000 bytes, got more"):
        MNIST(served)
    path.unlink()
    with pytest.raises(DatasetError, match="expected train-images-idx3-ubyte or .* in .*, found neither"):
        MNIST(served / "mnist")


def test_fine_and_coarse_labels(served):
    fine, coarse = CIFAR100(served), CIFAR100(served, labels="coarse")
    assert len(fine.classes) == 100 and len(coarse.classes) == 20 and coarse.name == "cifar100_coarse"
    np.testing.assert_array_equal(fine.labels, np.arange(30))
    np.testing.assert_array_equal(coarse.labels, np.arange(30) % 20)
    np.testing.assert_array_equal(fine.images, coarse.images)
    rows = np.frombuffer((served / "cifar-100-binary" / "train.bin").read_bytes(), np.uint8).reshape(30, 3074)
    np.testing.assert_array_equal(fine.images, rows[:, 2:].reshape(30, 3, 32, 32).transpose(0, 2, 3, 1))
    assert CIFAR100(served / "cifar-100-binary.tar.gz") == CIFAR100(served / "cifar-100-binary")


def test_damaged_cifar100(served):
    place = served / "cifar-100-binary"
    rows = np.frombuffer((place / "train.bin").read_bytes(), np.uint8).reshape(30, 3074).copy()
    rows[3, 1] = 100
    (place / "train.bin").write_bytes(rows.tobytes())
    with pytest.raises(DatasetError, match="train.bin - md5 - expected .* these are not the genuine images"):
        CIFAR100(place)
    with pytest.raises(DatasetError, match="labels - expected 0 to 99, got 100"):
        CIFAR100(place, verify=False)
    (place / "train.bin").write_bytes(rows.tobytes()[:-1])
    with pytest.raises(DatasetError, match=r"train.bin - expected \d+ bytes, got \d+"):
        CIFAR100(place)
    (place / "train.bin").unlink()
    with pytest.raises(DatasetError, match="expected train.bin in .*, found none"):
        CIFAR100(place)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: MNIST(3), TypeError, "MNIST: root - expected a string or a Path, got 3"),
        (lambda: FashionMNIST(train="x"), TypeError, "FashionMNIST: train - expected True or False, got 'x'"),
        (lambda: CIFAR100(verify=1), TypeError, "CIFAR100: verify - expected True or False, got 1"),
        (lambda: CIFAR100(labels="all"), ValueError, "CIFAR100: labels - expected 'fine' or 'coarse', got 'all'"),
        (lambda: fetch(dataset="svhn"), ValueError, "fetch: dataset - expected one of cifar10, .*, got 'svhn'"),
        (lambda: MNIST("nowhere"), DatasetError, "found neither; `mcnn data get mnist` fetches it"),
        (lambda: CIFAR100("nowhere"), DatasetError, "found neither; `mcnn data get cifar100` fetches it"),
    ],
)
def test_wrong_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_every_dataset_is_exported():
    for files_of_one in OFFICIAL.values():
        assert callable(getattr(data, files_of_one.function)) and files_of_one.function in data.__all__


def test_a_file_beside_the_data_is_not_the_data(tmp_path):
    idx_files(tmp_path / "mnist", 1)
    (tmp_path / "pets.zip").write_bytes(b"PK")
    assert recognised(tmp_path / "pets.zip") is None
    assert recognised(tmp_path).name == "mnist"


@pytest.mark.parametrize(
    ("folder", "name"), [("FashionMNIST/raw", "fashion_mnist"), ("fashion-mnist", "fashion_mnist"), ("x/raw", "mnist")]
)
def test_names_of_folders_decide_where_no_file_is_genuine(tmp_path, folder, name):
    idx_files(tmp_path / folder, 1)
    assert recognised(tmp_path / folder).name == name
    assert recognised(tmp_path / folder.removesuffix("/raw")).name == name
