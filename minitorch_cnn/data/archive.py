"""Reading from archives without trusting them: a small archive may stand for terabytes."""

import gzip
import pathlib
import tarfile
import zlib

from minitorch_cnn.data.dataset import DatasetError


class _LimitedGzip(gzip.GzipFile):
    """A compressed file that gives no piece larger than ``limit``, at first that of a name."""

    limit = 1 << 16

    def read(self, size=-1):
        if size is not None and size > self.limit:
            raise tarfile.ReadError(f"expected names of at most {self.limit} bytes, got {size}")
        return super().read(size)


def member(title, archive, names, largest, most, told):
    """Return (file name, bytes) of a regular file in a .tar.gz archive; nothing is extracted.

    Parameters
    ----------
    title : str
        Of the dataset, for messages.
    archive : Path
    names : tuple of str
        The file is the first that has one of them.
    largest, most : float, bytes
        The size of the largest file, and of all together.
    told : str
        What the archive should hold, for messages.

    Raises
    ------
    DatasetError
        If there is no such file, the archive is damaged, or larger than it should be.
    """
    total = 0
    try:
        with _LimitedGzip(archive) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as tar:
            for count, found in enumerate(tar):
                path, total = pathlib.PurePosixPath(found.name), total + found.size
                if found.size > largest or total > most or count > 20:
                    got = f"{path.name}, of {found.size} bytes, as member {count} at {total} bytes"
                    raise DatasetError(f"{title}: {archive} - expected {told}, got {got}")
                if found.isreg() and path.name in names and (file := tar.extractfile(found)):
                    unpacked.limit = found.size
                    return path.name, file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DatasetError(f"{title}: {archive} is damaged: {error}") from error
    raise DatasetError(f"{title}: expected {names[-1]} in {archive}, found none")


def unpacked(title, path, most):
    """Return the bytes of a file, or of the one file in a .gz file.

    Raises
    ------
    DatasetError
        If it is damaged, or larger than ``most`` bytes.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read(most + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{title}: {path} is damaged: {error}") from error
    if len(content) > most:
        raise DatasetError(f"{title}: {path} - expected at most {most} bytes, got more")
    return content
