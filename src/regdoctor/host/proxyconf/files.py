"""Reading of configuration files and of those that they include, everything bounded."""

from __future__ import annotations

import fnmatch
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Final

MOST_FILES: Final = 500
MOST_BYTES: Final = 4 * 1024 * 1024
"""Of all files together; reading them as nginx's takes about half a second a MiB."""
MOST_ENTRIES: Final = 5_000
"""Names that one pattern of an include looks at."""
_LONGEST_PATTERN: Final = 500


class Unreadable(Exception):  # noqa: N818 - a state of the file
    """A file cannot be read, or is not what it should be; the message is a clause, ``place`` says where."""

    def __init__(self, why: str, place: str | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.place = place


class Files:
    """The files of one configuration. Each is read once; all together may have no more than the bounds."""

    def __init__(self) -> None:
        self._texts: dict[str, str | Unreadable] = {}
        self._bytes = 0

    @property
    def read_so_far(self) -> tuple[str, ...]:
        """The paths of all that were read, in order."""
        return tuple(path for path, text in self._texts.items() if isinstance(text, str))

    def text(self, path: str) -> str:
        """The text of a file.

        :raises Unreadable: it does not exist, may not be read, is no file or no text, or there is too much.
        """
        if path not in self._texts:
            try:
                self._texts[path] = self._read(path)
            except Unreadable as problem:
                self._texts[path] = problem
        found = self._texts[path]
        if isinstance(found, Unreadable):
            raise found
        return found

    def _read(self, path: str) -> str:
        if len(self._texts) >= MOST_FILES:
            raise Unreadable(f"more than {MOST_FILES} files are not read")
        left = MOST_BYTES - self._bytes
        try:
            # A pipe would block the opening.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise Unreadable("not a regular file")
                data = file.read(left + 1)
        except IsADirectoryError:
            raise Unreadable("it is a folder") from None
        except (OSError, ValueError) as error:
            raise Unreadable((getattr(error, "strerror", None) or str(error)).lower()) from None
        if len(data) > left:
            raise Unreadable(f"more than {MOST_BYTES // 1024**2} MiB of configuration are not read")
        self._bytes += len(data)
        return decoded(data)


def decoded(data: bytes) -> str:
    """The text of a file; bytes that are no UTF-8 stay as replacement characters, as in old comments.

    :raises Unreadable: it is no text at all.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("it is UTF-16, which the proxy cannot read")
    if b"\0" in data:
        raise Unreadable("it is not a text")
    return data.decode("utf-8-sig", "replace")


def is_pattern(path: str) -> bool:
    """Whether an include names several files by wildcards."""
    return any(character in path for character in "*?[")


def expand(pattern: str) -> list[str]:
    """The existing paths that match a pattern as glob(3) has it, sorted; at most ``MOST_FILES``."""
    if len(pattern) > _LONGEST_PATTERN:
        return []
    path = PurePosixPath(pattern)
    found = [Path(path.anchor or ".")]
    looked = 0
    for part in path.parts[1:] if path.anchor else path.parts:
        further: list[Path] = []
        for folder in found:
            if not is_pattern(part):
                further += [folder / part] if os.path.lexists(folder / part) else []
                continue
            names: list[str] = []
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        looked += 1
                        if looked > MOST_ENTRIES:
                            break
                        names.append(entry.name)
            except (OSError, ValueError):
                continue
            further += [folder / name for name in sorted(names) if matches(name, part)]
        found = further[:MOST_FILES]
    return sorted(str(each) for each in found)


def matches(name: str, pattern: str) -> bool:
    """Whether a file's name fits a pattern; hidden ones fit only where the pattern begins with a dot."""
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return fnmatch.fnmatchcase(name, pattern)


_INSTALLED: Final = ("/etc", "/usr", "/opt", "/run", "/var")
"""Where configurations lie that programs use, as opposed to copies."""


def places(main: Path, included: str) -> list[str]:
    """Where a file may lie that a configuration includes, best first.

    nginx looks for relative names in the folder of its main file, which may be one or two above that of a file
    which was given. Who judges a copy has ``nginx/conf.d/a.conf`` for ``/etc/nginx/conf.d/a.conf``.
    """
    path = PurePosixPath(included)
    base = PurePosixPath(main.absolute().parent)
    if not path.is_absolute():
        return [str(folder / path) for folder in (base, *list(base.parents)[:2])]
    copies = [str(base.joinpath(*path.parts[start:])) for start in range(2, len(path.parts))]
    a_copy = path.is_relative_to(_root(path)) and not base.is_relative_to(_root(base))
    return [*copies, included] if a_copy else [included]


def _root(path: PurePosixPath) -> str:
    """The folder of installed configurations that a path lies in, or one that nothing lies in."""
    return next((root for root in _INSTALLED if path.is_relative_to(root)), "/dev/null")
