"""Opening and listing below a folder that anybody may have filled."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from enum import Enum
from typing import Final

from regdoctor.facts.storage import Unread

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A pipe that nobody writes to must not hold the reader up."""


class Kind(Enum):
    """What stands in a folder under a name."""

    FOLDER = "folder"
    FILE = "file"
    SYMBOLIC_LINK = "symbolic link"
    OTHER = "pipe, socket or device"


def open_folder(path: str, within: int | None = None) -> int:
    """A descriptor of a folder, which the caller closes.

    :param within: the descriptor of the folder to which a relative path belongs.
    :raises OSError: it is not there, no folder, a symbolic link, or may not be read.
    """
    return os.open(path, _FOLDER, dir_fd=within)


def entries(folder: int) -> Iterator[os.DirEntry[str]]:
    """What stands in an open folder, in the order in which the file system gives it.

    :raises OSError: the folder cannot be read to its end.
    """
    with os.scandir(folder) as found:
        yield from found


def kind_of(entry: os.DirEntry[str]) -> Kind:
    """What stands there, as a rule without another look at the disk."""
    if entry.is_symlink():
        return Kind.SYMBOLIC_LINK
    if entry.is_dir(follow_symlinks=False):
        return Kind.FOLDER
    return Kind.FILE if entry.is_file(follow_symlinks=False) else Kind.OTHER


def kind_of_mode(mode: int) -> Kind:
    """The same by ``st_mode`` of a look that follows no link."""
    if stat.S_ISLNK(mode):
        return Kind.SYMBOLIC_LINK
    if stat.S_ISDIR(mode):
        return Kind.FOLDER
    return Kind.FILE if stat.S_ISREG(mode) else Kind.OTHER


def not_read(path: str, error: OSError | Kind) -> Unread:
    """Why a place could not be looked at, or is not: a symbolic link may lead anywhere."""
    if error is Kind.SYMBOLIC_LINK or getattr(error, "errno", None) in (errno.ELOOP, errno.ENOTDIR):
        try:
            return Unread(
                path=path, why=f"a symbolic link to {shown(os.readlink(path))}, which is not followed"
            )
        except OSError:
            pass
    return Unread(path=path, why=why(error) if isinstance(error, OSError) else f"a {error.value}")


def read_file(path: str, limit: int, within: int | None = None) -> bytes:
    """The first ``limit`` bytes of a regular file, in one read: a local file system gives them all at once.

    :raises OSError: it is not there, a symbolic link, or cannot be read; :class:`NotAFile` where it is no file.
    """
    descriptor = os.open(path, FILE_FLAGS, dir_fd=within)
    try:
        data = os.read(descriptor, limit)
        if not data and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAFile(path)
    finally:
        os.close(descriptor)
    return data


def open_file(path: str) -> int:
    """A descriptor of a regular file, which the caller closes.

    :raises OSError: as :func:`read_file`.
    """
    descriptor = os.open(path, FILE_FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFile(path)
    return descriptor


class NotAFile(OSError):  # noqa: N818 - as the finding says it
    """What stands at the path is a folder, a pipe or a device."""


def shown(path: str) -> str:
    r"""A path as facts show it: bytes that are no UTF-8 as ``\xNN``, so that it can be written as JSON."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def why(error: OSError) -> str:
    """An error of the operating system in a few plain words."""
    return error.strerror.lower() if error.strerror else type(error).__name__
