"""Facts about htpasswd files: who stands in them and whether the registry can use it, never a hash."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import msgspec

from regdoctor.facts.base import FileFact, FileKind
from regdoctor.facts.client import Flaw


class HashKind(StrEnum):
    """How a password stands in an htpasswd file."""

    BCRYPT = "bcrypt"
    APR1 = "apr1"
    SHA1 = "sha1"
    CRYPT = "crypt"
    PLAIN = "plain"
    BROKEN = "broken-bcrypt"
    """It begins as bcrypt does and is not one, being cut off or changed."""


class HtpasswdEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One user of an htpasswd file. The hash itself is left out."""

    username: str
    line: int
    hash: HashKind
    replaced: int | None = None
    """The later line with the same user, which counts in its place."""


class HtpasswdFile(FileFact, frozen=True, kw_only=True):
    """An htpasswd file as the registry reads it (distribution ``registry/auth/htpasswd``)."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.HTPASSWD})

    path: str
    named_by: str | None = None
    """The place of the setting that names it."""
    flaws: tuple[Flaw, ...] = ()
    entries: tuple[HtpasswdEntry, ...] = ()
    generated: bool = False
    """Whether it has the very form in which the registry writes a file that was missing."""
    modified: datetime | None = None
