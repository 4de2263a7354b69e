"""CIFAR-10: every form in which it comes, what proves it genuine, and every way in which it can be damaged."""

import gzip
import hashlib
import http.server
import os
import pickle
import struct
import tarfile
import threading

import numpy as np
import pytest

from minitorch_cnn.data import CIFAR10, DatasetError, cifar10, fetch
from minitorch_cnn.io import files

NAMES = [f"data_batch_{i}" for i in range(1, 6)], ["test_batch"]


@pytest.fixture
def records(monkeypatch):
    """Return records of 20 images a file, by the file's name, and let these be the genuine ones."""
    monkeypatch.setattr(cifar10, "_PER_FILE", 20)
    rng = np.random.default_rng(0)
    made = {}
    for name in NAMES[0] + NAMES[1]:
        made[name] = rng.integers(0, 256, (20, 3073), np.uint8)
        made[name][:, 0] = rng.permutation(np.arange(20) % 10)
    digests = {
        part: cifar10.content_digest(np.concatenate([made[n] for n in NAMES[not part]])) for part in (True, False)
    }
    monkeypatch.setattr(cifar10, "DIGESTS", digests)
    return made


def write_binary(folder, records):
    place = folder / "cifar-10-batches-bin"
    place.mkdir(parents=True)
    for name, rows in records.items():
        (place / f"{name}.bin").write_bytes(rows.tobytes())
    return place


def pickle_of_python_2(rows):
    """Return what Python 2 wrote for {"data": uint8 array (N, 3072), "labels": list}: all strings are bytes."""

    def short(word):
        return b"U" + bytes([len(word)]) + word

    def integer(value):
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n" + short(b"u1") + b"K\x00K\x01\x87R(K\x03" + short(b"|") + b"NNN" + 2 * integer(-1)
    dtype += b"K\x00tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + short(b"b") + b"\x87R"
    shape = integer(rows.shape[0]) + integer(rows.shape[1] - 1) + b"\x86"
    pixels = rows[:, 1:].tobytes()
    array = empty + b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(pixels)) + pixels + b"tb"
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in rows[:, 0]) + b"e"
    return b"\x80\x02}(" + short(b"data") + array + short(b"labels") + labels + b"u."


def write_python(folder, records):
    place = folder / "cifar-10-batches-py"
    place.mkdir(parents=True)
    for name, rows in records.items():
        (place / name).write_bytes(pickle_of_python_2(rows))
    return place


def pack(place):
    kind = "binary" if place.name.endswith("bin") else "python"
    archive = place.with_name(f"cifar-10-{kind}.tar.gz")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(place, place.name)
    return archive


FORMS = {
    "binary folder": lambda folder, records: write_binary(folder, records),
    "around it": lambda folder, records: write_binary(folder, records).parent,
    "binary archive": lambda folder, records: pack(write_binary(folder / "other", records)),
    "python folder": lambda folder, records: write_python(folder, records),
    "python archive": lambda folder, records: pack(write_python(folder / "other", records)),
    "renamed folder": lambda folder, records: write_binary(folder, records).rename(folder / "my images"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(tmp_path, records, form):
    place = FORMS[form](tmp_path, records)
    for train in (True, False):
        dataset = CIFAR10(place, train)
        rows = np.concatenate([records[name] for name in NAMES[not train]])
        np.testing.assert_array_equal(dataset.labels, rows[:, 0])
        np.testing.assert_array_equal(dataset.images, rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        assert dataset.verified and dataset.digest == cifar10.DIGESTS[train] and dataset.name == "cifar10"
        assert dataset.images.flags.c_contiguous and dataset.classes[3] == "cat"


def test_the_order_of_the_images_does_not_matter(tmp_path, records):
    everything = np.random.default_rng(1).permutation(np.concatenate([records[name] for name in NAMES[0]]))
    shuffled = dict(zip(NAMES[0], everything.reshape(5, 20, 3073), strict=True)) | {"test_batch": records["test_batch"]}
    assert CIFAR10(write_binary(tmp_path, shuffled)).verified


def test_the_digest_is_that_of_the_sorted_records():
    rows = np.arange(3 * 3073).reshape(3, 3073).astype(np.uint8)
    by_hand = hashlib.sha256(b"".join(sorted(hashlib.sha256(row.tobytes()).digest() for row in rows))).hexdigest()
    assert cifar10.content_digest(rows) == cifar10.content_digest(rows[::-1]) == by_hand


def test_one_changed_pixel_is_noticed_and_taken_only_on_demand(tmp_path, records):
    records["data_batch_3"][7, 1000] ^= 1
    place = write_binary(tmp_path, records)
    with pytest.raises(
        DatasetError, match="content digest - expected .*, got .*--unverified`, or verify=False, takes them"
    ):
        CIFAR10(place)
    assert not CIFAR10(place, verify=False).verified
    assert CIFAR10(place, train=False).verified


def test_wrong_counts_and_labels(tmp_path, records):
    records["test_batch"][np.flatnonzero(records["test_batch"][:, 0] == 4)[0], 0] = 5
    records["data_batch_2"][0, 0] = 10
    place = write_binary(tmp_path, records)
    with pytest.raises(DatasetError, match=r"expected 2 images of every class, got \[2, 2, 2, 2, 1, 3, 2, 2, 2, 2\]"):
        CIFAR10(place, train=False)
    with pytest.raises(DatasetError, match="labels - expected 0 to 9, got 10"):
        CIFAR10(place, verify=False)


def test_nothing_there(tmp_path, records, monkeypatch):
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "home"))
    with pytest.raises(
        DatasetError, match="expected cifar-10-batches-bin or .* found neither; `mcnn data get` fetches it"
    ):
        CIFAR10()
    place = write_binary(tmp_path, records)
    (place / "data_batch_4.bin").unlink()
    with pytest.raises(DatasetError, match="expected data_batch_4.bin or data_batch_4 in .*, found neither"):
        CIFAR10(place)
    archive = pack(place)
    with pytest.raises(DatasetError, match="expected data_batch_4 in .*tar.gz, found none"):
        CIFAR10(archive)


def test_damaged_files(tmp_path, records):
    place = write_binary(tmp_path, records)
    (place / "test_batch.bin").write_bytes(records["test_batch"].tobytes()[:-5])
    with pytest.raises(DatasetError, match="test_batch.bin - expected 61460 bytes, got 61455"):
        CIFAR10(place, train=False)
    archive = pack(place)
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(DatasetError, match="tar.gz is damaged"):
        CIFAR10(archive)


def test_an_archive_that_is_damaged_in_its_middle(tmp_path, records):
    archive = pack(write_binary(tmp_path, records))
    content = bytearray(archive.read_bytes())
    for place in range(200, len(content) // 2, len(content) // 40):
        content[place] ^= 0xFF
        archive.write_bytes(content)
        with pytest.raises(DatasetError, match="CIFAR-10: "):
            CIFAR10(archive)
        content[place] ^= 0xFF


@pytest.mark.parametrize(
    ("kind", "size", "count", "message"),
    [
        (tarfile.REGTYPE, 1 << 40, 1, "expected its eight files, got test_batch.bin, of 1099511627776 bytes"),
        (tarfile.REGTYPE, 0, 30, "expected its eight files, got .* as member 21 at 0 bytes"),
        (tarfile.GNUTYPE_LONGNAME, 1 << 30, 1, "damaged: expected names of at most 65536 bytes, got 10[0-9]*"),
        (tarfile.XHDTYPE, 1 << 30, 1, "damaged: expected names of at most 65536 bytes, got 10[0-9]*"),
    ],
)
def test_a_small_archive_that_stands_for_a_huge_one(tmp_path, records, kind, size, count, message):
    member = tarfile.TarInfo("test_batch.bin" if size else "other")
    member.type, member.size = kind, size
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(gzip.compress(count * member.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(DatasetError, match=message):
        CIFAR10(archive, train=False)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:100], lambda data: b"", lambda data: data.replace(b"labels", b"labelz")]
)
def test_damaged_pickles(tmp_path, records, damage):
    place = write_python(tmp_path, records)
    path = place / "test_batch"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetError, match="test_batch - expected a pickled batch of 20 images"):
        CIFAR10(place, train=False)


def test_a_pickle_of_the_wrong_shape(tmp_path, records):
    records["test_batch"] = records["test_batch"][:, :-1]
    with pytest.raises(DatasetError, match=r"got \(20, 3071\) with 20 labels"):
        CIFAR10(write_python(tmp_path, records), train=False)


class Evil:
    def __reduce__(self):
        return os.system, ("touch was-here",)


@pytest.mark.parametrize("payload", [Evil(), {"data": Evil(), "labels": []}])
def test_a_pickle_that_wants_to_run_something_is_refused(tmp_path, records, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    place = write_python(tmp_path, records)
    (place / "test_batch").write_bytes(pickle.dumps(payload, 2))
    with pytest.raises(DatasetError, match="expected only names that build arrays, got (posix|nt).system"):
        CIFAR10(place, train=False)
    assert not (tmp_path / "was-here").exists()


# ---------------------------------------------------------------------------------- fetching


@pytest.mark.parametrize("form", ["binary folder", "binary archive", "python folder"])
def test_import_from_a_place(tmp_path, records, form):
    source = FORMS[form](tmp_path / "usb", records)
    target = fetch(source, tmp_path / "home")
    assert target == tmp_path / "home" / source.name and CIFAR10(tmp_path / "home").verified
    assert fetch(target, tmp_path / "home") == target  # importing from where it lies changes nothing


def test_an_import_that_is_not_genuine_keeps_nothing(tmp_path, records):
    records["test_batch"][0, 5] ^= 1
    with pytest.raises(DatasetError, match="content digest"):
        fetch(write_binary(tmp_path, records), tmp_path / "home")
    assert not (tmp_path / "home").exists()


@pytest.fixture
def mirror(tmp_path, records, monkeypatch):
    """Serve the archive from this machine, and let its sum be the expected one."""
    archive = pack(write_binary(tmp_path / "served", records))
    content = archive.read_bytes()
    sums = {archive.name: (hashlib.md5(content).hexdigest(), len(content))}
    monkeypatch.setattr(cifar10, "ARCHIVES", sums)
    monkeypatch.setattr(cifar10, "ADDRESS", "http://127.0.0.1:9/")
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=archive.parent)

        def log_message(self, *_):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MCNN_MIRROR", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "home"))
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_download_from_a_mirror_and_only_once(mirror, tmp_path):
    expected = tmp_path / "home" / "data" / "cifar-10-binary.tar.gz"
    assert fetch() == fetch() == expected
    assert mirror == ["/cifar-10-binary.tar.gz"] and CIFAR10().verified


def test_a_damaged_archive_is_fetched_again(mirror, tmp_path):
    target = fetch()
    target.write_bytes(target.read_bytes()[:-1] + b"?")
    assert fetch() == target and CIFAR10().verified and len(mirror) == 2


def test_without_network_the_message_names_the_file_to_copy(mirror, tmp_path, monkeypatch):
    monkeypatch.delenv("MCNN_MIRROR")
    with pytest.raises(files.DownloadError) as caught:
        fetch()
    assert "http://127.0.0.1:9/cifar-10-binary.tar.gz" in str(caught.value)
    copy_to = tmp_path / "home" / "data" / "cifar-10-binary.tar.gz"
    assert str(caught.value).endswith(f"Get the file by other means and copy it to {copy_to}")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CIFAR10(train="test"), "CIFAR10: train - expected True or False, got 'test'"),
        (lambda: CIFAR10(verify=0), "CIFAR10: verify - expected True or False, got 0"),
        (lambda: CIFAR10(3), "CIFAR10: root - expected a string or a Path, got 3"),
        (lambda: fetch(source=3), "fetch: source - expected a string or a Path, got 3"),
        (lambda: fetch(folder=[]), r"fetch: folder - expected a string or a Path, got \[\]"),
    ],
)
def test_arguments_of_another_type(call, message):
    with pytest.raises(TypeError, match=message):
        call()
