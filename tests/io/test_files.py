"""Files: all or nothing on the disk, and downloads from a server that misbehaves."""

import contextlib
import errno
import hashlib
import http.server
import os
import pathlib
import stat
import threading
import time

import pytest

from minitorch_cnn.io import files
from minitorch_cnn.io.files import DownloadError, atomic_write, download, hash_file, remove_stale

CONTENT = bytes(range(256)) * 1200
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves CONTENT on this machine; tests choose how badly."""

    def __init__(self):
        self.content, self.cut_after, self.ignores_ranges, self.status, self.pause = CONTENT, None, False, 200, 0
        self.ranges = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = False
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.http.server_port}/file"

    def answer(self, request):
        self.ranges.append(request.headers.get("Range"))
        if self.status != 200:
            request.send_error(self.status)
            return
        first = 0
        if self.ranges[-1] and not self.ignores_ranges:
            first = int(self.ranges[-1].removeprefix("bytes=").rstrip("-"))
            if first >= len(self.content):
                request.send_error(416)
                return
        request.send_response(206 if first else 200)
        request.send_header("Content-Length", str(len(self.content) - first))
        request.end_headers()
        end = len(self.content) if self.cut_after is None else first + self.cut_after
        with contextlib.suppress(ConnectionError):
            for start in range(first, min(end, len(self.content)), 1 << 14):
                request.wfile.write(self.content[start : min(start + (1 << 14), end)])
                time.sleep(self.pause)

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


# -------------------------------------------------------------------------------- downloads


def test_a_download_arrives_whole_and_checked(server, tmp_path):
    seen = []
    target = tmp_path / "new" / "file"
    download([server.address], target, size=len(CONTENT), digest=SHA256, progress=lambda *args: seen.append(args))
    assert target.read_bytes() == CONTENT and os.listdir(target.parent) == ["file"]
    so_far, total, speed = seen[-1]
    assert so_far == total == len(CONTENT) and speed > 0
    assert [step[0] for step in seen] == sorted(step[0] for step in seen)


def test_a_broken_download_is_resumed_where_it_broke(server, tmp_path):
    server.cut_after = 100_000
    with pytest.raises(DownloadError, match="the connection ended after 100000 of 307200 bytes"):
        download([server.address], tmp_path / "file", size=len(CONTENT), digest=SHA256)
    assert not (tmp_path / "file").exists()
    server.cut_after = None
    download([server.address], tmp_path / "file", size=len(CONTENT), digest=SHA256)
    assert server.ranges == [None, "bytes=100000-"]
    assert (tmp_path / "file").read_bytes() == CONTENT and os.listdir(tmp_path) == ["file"]


def test_a_server_that_knows_no_ranges_sends_all_again(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:50_000])
    server.ignores_ranges = True
    download([server.address], tmp_path / "file", digest=SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_of_something_else_is_fetched_once_more(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * 50_000)
    download([server.address], tmp_path / "file", size=len(CONTENT), digest=SHA256)
    assert server.ranges == ["bytes=50000-", None]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_that_was_complete_needs_no_more_bytes(server, tmp_path):
    for size in (len(CONTENT), None):  # without a known size the server says that nothing is left
        (tmp_path / "file.part").write_bytes(CONTENT)
        download([server.address], tmp_path / "file", size=size, digest=SHA256)
        assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_wrong_contents_are_refused_and_the_old_file_stays(server, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    server.content = CONTENT[:-1] + b"?"
    got = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(DownloadError, match=f"expected sha256 {SHA256}, got {got}"):
        download([server.address], tmp_path / "file", digest=SHA256)
    with pytest.raises(DownloadError, match="expected 307201 bytes, got 307200"):
        download([server.address], tmp_path / "file", size=len(CONTENT) + 1)
    assert (tmp_path / "file").read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_other_addresses_are_tried_in_order(server, tmp_path):
    download(["http://127.0.0.1:9/file", server.address], tmp_path / "file", digest=SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_without_any_server_the_message_says_what_to_copy_where(server, tmp_path):
    server.status = 404
    target = tmp_path / "archive.tar.gz"
    with pytest.raises(DownloadError) as caught:
        download(["http://127.0.0.1:9/archive.tar.gz", server.address], target)
    first, *problems, last = str(caught.value).splitlines()
    assert first == "archive.tar.gz could not be fetched:"
    assert "http://127.0.0.1:9/archive.tar.gz: " in problems[0] and "404" in problems[1]
    assert last == f"Get the file by other means and copy it to {target}"


def test_an_answer_that_is_no_http(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise files.http.client.BadStatusLine("nonsense")

    monkeypatch.setattr(files.urllib.request, "urlopen", broken)
    with pytest.raises(DownloadError, match="http://somewhere/file: BadStatusLine nonsense"):
        download(["http://somewhere/file"], tmp_path / "file")


def test_a_slow_address_is_left_while_another_remains(server, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_PATIENCE", 0.05)
    monkeypatch.setattr(files, "_BLOCK", 1 << 17)
    monkeypatch.setattr(files, "_SLOW", 10**12)
    server.pause = 0.01
    download([server.address, server.address], tmp_path / "file", digest=SHA256)  # the last one may be slow
    assert len(server.ranges) == 2 and server.ranges[1]
    assert (tmp_path / "file").read_bytes() == CONTENT


class FullDisk:
    """A file that takes some bytes and no more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


@pytest.fixture
def full_disk(monkeypatch):
    """Let every file that is opened for writing take no more than 100,000 bytes."""

    def limited(path, mode="r"):
        file = pathlib.Path(path).open(mode)  # noqa: SIM115 - closed by its user
        return FullDisk(file, 100_000) if mode != "rb" else file

    monkeypatch.setattr(files, "open", limited, raising=False)


def test_a_full_disk_is_named_and_leaves_the_old_file(server, tmp_path, full_disk):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(DownloadError, match="file: the disk is full; free some space and repeat") as caught:
        download([server.address], tmp_path / "file", size=len(CONTENT), digest=SHA256)
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "file").read_bytes() == b"old"


# ------------------------------------------------------------------------------------- files


@pytest.mark.posix
def test_a_file_is_written_whole_and_keeps_its_permissions(tmp_path):
    path = tmp_path / "file"
    atomic_write(path, b"first")
    path.chmod(0o640)
    atomic_write(path, CONTENT)
    assert path.read_bytes() == CONTENT and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["file"]
    assert hash_file(path) == SHA256 and hash_file(path, "md5") == hashlib.md5(CONTENT).hexdigest()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, full_disk):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, CONTENT)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


@pytest.mark.posix
def test_what_killed_writers_left_is_removed(tmp_path):
    dead = 2**22 + 1  # above the largest process number
    removed = [f".file.{number}.tmp" for number in (dead, 10**30)]
    for name in (*removed, ".file.1.tmp", ".other.tmp", ".file.\u00b2.tmp", f"file.{dead}"):
        (tmp_path / name).touch()
    assert sorted(remove_stale(tmp_path)) == sorted(tmp_path / name for name in removed)
    assert len(os.listdir(tmp_path)) == 4


def test_what_an_earlier_process_of_the_same_number_left_is_removed(tmp_path, monkeypatch):
    """In a container every start has the same number."""
    left = []

    def killed(source, target):
        left.append(source)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    monkeypatch.setattr(pathlib.Path, "unlink", lambda path, missing_ok=False: None)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "file", b"content")
    monkeypatch.undo()
    assert remove_stale(tmp_path) == [] and left[0].exists()  # this process might still be writing it
    monkeypatch.setattr(files, "_RUN", "another")
    assert remove_stale(tmp_path) == left and not left[0].exists()


# -------------------------------------------------------------------- unusual places and uses


@pytest.mark.posix
def test_a_link_stays_a_link_and_the_file_that_it_names_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    real, link, second = tmp_path / "there" / "real", tmp_path / "link", tmp_path / "second"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(os.path.join("there", "real"))
    second.symlink_to(link)
    for path in (link, second):
        atomic_write(path, os.fsencode(path))
        assert real.read_bytes() == os.fsencode(path) and link.is_symlink() and second.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640 and os.listdir(real.parent) == ["real"]


@pytest.mark.posix
def test_a_link_to_a_file_that_is_not_there_yet(tmp_path):
    (tmp_path / "link").symlink_to("new")
    atomic_write(tmp_path / "link", b"content")
    assert (tmp_path / "new").read_bytes() == b"content" and (tmp_path / "link").is_symlink()
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        atomic_write(tmp_path / "a", b"content")
    assert (tmp_path / "a").is_symlink()


@pytest.mark.posix
def test_a_download_keeps_a_link(server, tmp_path):
    (tmp_path / "link").symlink_to("real")
    download([server.address], tmp_path / "link", digest=SHA256)
    assert (tmp_path / "real").read_bytes() == CONTENT and (tmp_path / "link").is_symlink()


@pytest.mark.posix
def test_what_is_no_file_is_not_replaced_by_one(tmp_path):
    pipe, received = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    atomic_write(pipe, CONTENT)
    reader.join()
    assert received == [CONTENT] and stat.S_ISFIFO(pipe.stat().st_mode)
    atomic_write(os.devnull, CONTENT)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        atomic_write(tmp_path, CONTENT)


@pytest.mark.posix
def test_errors_name_the_file_or_the_folder_and_not_a_temporary_file(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no such folder to write file into") as caught:
        atomic_write(tmp_path / "none" / "file", b"content")
    assert caught.value.filename == str(tmp_path / "none")
    with pytest.raises(OSError, match="too long") as caught:
        atomic_write(tmp_path / ("n" * 300), b"content")
    assert caught.value.filename == str(tmp_path / ("n" * 300))

    def fails(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space left on device: .*/file'") as caught:
        atomic_write(tmp_path / "file", b"content")
    assert os.listdir(tmp_path) == []


@pytest.mark.posix
@pytest.mark.parametrize("name", ["n" * 255, "\u00e4" * 127, "\U0001f600" * 63, ".hidden", "a b", "-"])
def test_names_as_long_and_as_strange_as_a_folder_takes(tmp_path, name):
    atomic_write(tmp_path / name, b"content")
    atomic_write(tmp_path / name, b"again")
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_bytes() == b"again"


def test_threads_that_write_one_file_leave_one_of_their_contents(tmp_path):
    contents = [bytes([i]) * 100_000 for i in range(8)]
    threads = [threading.Thread(target=atomic_write, args=(tmp_path / "file", content)) for content in contents]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (tmp_path / "file").read_bytes() in contents and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("path", [None, 3, b"file", ["file"]])
def test_what_is_no_path(path):
    with pytest.raises(TypeError, match="atomic_write: path - expected a string or a Path, got"):
        atomic_write(path, b"content")
    with pytest.raises(TypeError, match="download: path - expected a string or a Path, got"):
        download(["http://127.0.0.1:9/file"], path)


def test_one_address_is_no_sequence_of_them(tmp_path):
    with pytest.raises(TypeError, match="download: addresses - expected a sequence of strings, got 'http://a'"):
        download("http://a", tmp_path / "file")


def test_a_file_that_is_being_fetched_is_not_fetched_twice_at_once(server, tmp_path):
    refused = []

    def again(*_):
        if not refused:
            with pytest.raises(DownloadError, match="file: another process is fetching it") as caught:
                download([server.address], tmp_path / "file", digest=SHA256)
            refused.append(caught.value)

    download([server.address], tmp_path / "file", digest=SHA256, progress=again)
    assert refused and len(server.ranges) == 1 and os.listdir(tmp_path) == ["file"]
    download([server.address], tmp_path / "file", digest=SHA256)  # afterwards one may


# --------------------------------------------------------------------------------- Windows


@pytest.fixture
def windows(monkeypatch):
    """Refuse what Windows refuses: opening a folder, changing the mode of an open file, asking by a signal."""
    real_open = os.open

    def refuse(*_):
        raise AssertionError("Windows has no such function, or it does something else there")

    def open_file(path, *arguments, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real_open(path, *arguments, **options)

    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(os, "fchmod", refuse, raising=False)
    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(os, "open", open_file)


def test_files_are_written_on_windows(windows, tmp_path):
    for content in (b"first", b"second"):
        atomic_write(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("refusals", [2, 1000])
def test_a_file_that_is_open_elsewhere_is_replaced_as_soon_as_it_is_closed(windows, tmp_path, monkeypatch, refusals):
    left, replace = [refusals], os.replace

    def busy(source, target):
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(errno.EACCES, "Access is denied", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(files, "_RETRY", 0.2)
    (tmp_path / "file").write_bytes(b"old")
    if refusals == 2:
        atomic_write(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"
    else:
        with pytest.raises(PermissionError, match="Access is denied"):
            atomic_write(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_killed_writers_left_is_removed_on_windows_after_an_hour(windows, tmp_path):
    old, new, own = (tmp_path / f".file.run.{pid}.tmp" for pid in (7, 8, os.getpid()))
    for path in (old, new, own):
        path.touch()
    os.utime(old, (time.time() - 4000,) * 2)
    assert sorted(remove_stale(tmp_path)) == sorted([old, own])  # `own` is of an earlier process of the same number
    assert os.listdir(tmp_path) == [new.name]
