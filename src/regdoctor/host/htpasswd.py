"""Reads an htpasswd file as the registry does (distribution ``registry/auth/htpasswd/htpasswd.go``)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from regdoctor.facts.client import Flaw, FlawKind
from regdoctor.facts.htpasswd import HashKind, HtpasswdEntry, HtpasswdFile
from regdoctor.host.settings_files import read_bytes

_LONGEST_LINE: Final = 64 * 1024
"""Bytes; the registry's scanner gives the whole file up at a longer one (Go ``bufio.MaxScanTokenSize``)."""
_MOST_ENTRIES: Final = 10_000
_LONGEST_NAME: Final = 200

_BCRYPT: Final = re.compile(r"\$2[^$]?\$(\d\d)\$[./A-Za-z0-9]{53}")
"""As golang.org/x/crypto/bcrypt reads it: any letter after the 2, and whatever follows is left alone."""
_GENERATED: Final = re.compile(rb"docker:\$2a\$10\$[./A-Za-z0-9]{53}")
"""What 2.8 and 3 write where the file is missing: Go's bcrypt at its default cost, and no line end."""

_PREFIXES: Final = (
    ("$apr1$", HashKind.APR1),
    ("{SHA}", HashKind.SHA1),
    ("$1$", HashKind.CRYPT),
    ("$5$", HashKind.CRYPT),
    ("$6$", HashKind.CRYPT),
    ("$y$", HashKind.CRYPT),
    ("$2", HashKind.BROKEN),
)
_DES: Final = re.compile(r"[./A-Za-z0-9]{13}")


def read_htpasswd(path: Path, named_by: str | None = None) -> HtpasswdFile:
    """Reads the file. Never raises."""
    data = read_bytes(path)
    if isinstance(data, Flaw):
        return HtpasswdFile(path=str(path), named_by=named_by, flaws=(data,))
    flaws: list[Flaw] = []
    entries: list[HtpasswdEntry] = []
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if len(raw) >= _LONGEST_LINE:
            flaws.append(_refused(path, number, 1, "bufio.Scanner: token too long"))
            break
        line = raw.decode("utf-8", "replace").strip()
        if not line or line.startswith("#"):
            continue
        username, colon, stored = line.partition(":")
        if not colon:
            # The line may be a password, so it is not shown.
            column = len(raw) - len(raw.lstrip()) + 1
            flaws.append(_refused(path, number, column, f"htpasswd: invalid entry at line {number}"))
            continue
        entries.append(HtpasswdEntry(username=username[:_LONGEST_NAME], line=number, hash=hash_kind(stored)))
    return HtpasswdFile(
        path=str(path),
        named_by=named_by,
        flaws=tuple(flaws),
        entries=_with_replacements(entries[:_MOST_ENTRIES]),
        generated=_GENERATED.fullmatch(data) is not None,
        modified=_modified(path),
    )


def hash_kind(stored: str) -> HashKind:
    """How a password is stored."""
    bcrypt = _BCRYPT.match(stored)
    if bcrypt is not None and 4 <= int(bcrypt[1]) <= 31:
        return HashKind.BCRYPT
    for prefix, kind in _PREFIXES:
        if stored.startswith(prefix):
            return kind
    return HashKind.CRYPT if _DES.fullmatch(stored) else HashKind.PLAIN


def _refused(path: Path, line: int, column: int, message: str) -> Flaw:
    return Flaw(path=str(path), kind=FlawKind.REFUSED, message=message, line=line, column=column)


def _with_replacements(entries: list[HtpasswdEntry]) -> tuple[HtpasswdEntry, ...]:
    from msgspec.structs import replace

    last = {entry.username: entry.line for entry in entries}
    return tuple(
        replace(entry, replaced=last[entry.username]) if last[entry.username] != entry.line else entry
        for entry in entries
    )


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):
        return None
