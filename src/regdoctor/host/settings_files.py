"""Reads small configuration files whole; why one cannot be read is part of the fact, never an exception."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import Final

from regdoctor.facts.client import Flaw, FlawKind, Listed
from regdoctor.located import Node, SyntaxProblem, TooLarge

LARGEST: Final = 1024 * 1024
"""Bytes. Files that list a thousand registries have a few hundred thousand."""


def read_bytes(path: Path, largest: int = LARGEST) -> bytes | Flaw:
    """The content of a regular file of reasonable size, or why there is none."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            # A pipe would block the opening, a device never end.
            return _unread(path, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except FileNotFoundError:
        return _unread(path, "it does not exist")
    except PermissionError as error:
        return _unread(path, f"it cannot be read: {error.strerror}; {needed(path)}")
    except (OSError, ValueError) as error:
        return _unread(path, f"it cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(data) > largest:
        return _unread(path, f"it is larger than {largest // 1024} KiB")
    return data


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder; one that the caller may not look for counts as there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def needed(path: Path) -> str:
    """What it would take to read a file or folder that the caller may not read, in a clause."""
    for place in (*reversed(path.absolute().parents), path.absolute()):
        try:
            seen = place.stat()
        except OSError:
            break
        if not os.access(place, os.X_OK if stat.S_ISDIR(seen.st_mode) else os.R_OK):
            owner = _user(seen.st_uid)
            others = "" if owner == "root" else f"{owner} or "
            mode = stat.S_IMODE(seen.st_mode)
            return f"{place} belongs to {owner} and has mode {mode:04o}: run regdoctor as {others}root"
    return "run regdoctor as root"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def unlisted(folder: Path, error: OSError) -> Flaw:
    """A folder that cannot be listed, and what it would take."""
    more = f"; {needed(folder)}" if isinstance(error, PermissionError) else ""
    return _unread(folder, f"it cannot be listed: {error.strerror}{more}")


def read_text(path: Path, largest: int = LARGEST) -> str | Flaw:
    """The text of a file in UTF-8, or why there is none. A byte order mark stays."""
    data = read_bytes(path, largest)
    if isinstance(data, Flaw):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        return Flaw(
            path=str(path),
            kind=FlawKind.SYNTAX,
            message=f"it is not UTF-8 text (byte 0x{data[error.start]:02x})",
            line=before.count(b"\n") + 1,
            column=len(before) - before.rfind(b"\n"),
        )


def _unread(path: Path, message: str) -> Flaw:
    return Flaw(path=str(path), kind=FlawKind.UNREAD, message=message)


def unparsed(path: Path, error: SyntaxProblem | TooLarge) -> Flaw:
    """The flaw that a text's parser met."""
    if isinstance(error, TooLarge):
        return _unread(path, str(error))
    return Flaw(
        path=str(path), kind=FlawKind.SYNTAX, message=error.message, line=error.line, column=error.column
    )


def flaw(path: Path, node: Node, message: str, *, key: str | None = None, ignored: bool = False) -> Flaw:
    """Something that a program refuses, or passes over, at a place of its file."""
    kind = FlawKind.IGNORED if ignored else FlawKind.REFUSED
    return Flaw(path=str(path), kind=kind, message=message, line=node.line, column=node.column, key=key)


def listed(path: Path, node: Node, value: str | None = None) -> Listed:
    """A value at its place; by default the node's own text."""
    return Listed(
        value=node.value if value is None else value, path=str(path), line=node.line, column=node.column
    )
