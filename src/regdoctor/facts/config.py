"""Facts about the registry's configuration file, ``config.yml``.

Values stand in these facts as they are written, except secrets: those are blanked by the name of their key.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from regdoctor.facts.base import FileFact, FileKind


class ConfigProblemKind(StrEnum):
    """Why a configuration file could not be read as such."""

    MISSING = "missing"
    NOT_A_FILE = "not-a-file"
    """A folder, a pipe or a device stands at the path."""
    FORBIDDEN = "forbidden"
    """This user may not read it."""
    READ_ERROR = "read-error"
    TOO_LARGE = "too-large"
    """Larger, deeper or longer than is read here; the registry itself knows no such limit."""
    SYNTAX = "syntax"
    """The registry's YAML parser refuses it."""


class ConfigProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why the file could not be read. Lines and columns count from 1; null where there is no place."""

    kind: ConfigProblemKind
    message: str
    """For syntax in the words of the registry's own parser."""
    line: int | None = None
    column: int | None = None
    began: int | None = None
    """The line on which the construct began that goes wrong here, where it is another."""
    excerpt: str | None = None
    """The line itself with tabs made visible, as far as it cannot hold a secret."""


class ConfigEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the file, or one item of a list, as the registry takes it: of repeated keys the last."""

    path: tuple[str, ...]
    """The keys that lead to it; items of lists are counted from 0."""
    kind: str
    """``map``, ``list``, ``string``, ``integer``, ``float``, ``boolean`` or ``null``, as yaml.v2 resolves it."""
    line: int
    column: int
    value: str | None = None
    """The text of a scalar, at most 500 characters; null for maps and lists."""
    plain: bool = False
    """Whether a scalar stands without quotes and without a tag."""
    secret: bool = False
    """Whether the value is blanked."""

    @property
    def name(self) -> str:
        """The path with dots: ``storage.filesystem.rootdirectory``."""
        return ".".join(self.path)


class RepeatedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that stands more than once in the same map."""

    path: tuple[str, ...]
    lines: tuple[int, ...]
    """Where it stands, in order."""
    mixed: bool
    """Whether the registry keeps members of the earlier ones: maps outside of ``storage`` and ``auth``."""

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path)


class ConfigFile(FileFact, frozen=True, kw_only=True):
    """A registry's configuration file, read as the registry reads it. ``entries`` are empty with a problem."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.REGISTRY})

    path: str
    size: int = 0
    problem: ConfigProblem | None = None
    root: str = "null"
    """What stands at the top level, as in :class:`ConfigEntry`; ``null`` for an empty file."""
    entries: tuple[ConfigEntry, ...] = ()
    repeated: tuple[RepeatedKey, ...] = ()

    def get(self, *path: str) -> ConfigEntry | None:
        """The entry at a path, or None."""
        return next((entry for entry in self.entries if entry.path == path), None)

    def text(self, *path: str) -> str | None:
        """The text of the scalar at a path; None where there is none, or a map, a list or null."""
        entry = self.get(*path)
        return None if entry is None or entry.kind == "null" else entry.value

    def below(self, *path: str) -> tuple[ConfigEntry, ...]:
        """The direct members of the map or list at a path, in order."""
        return tuple(
            entry
            for entry in self.entries
            if len(entry.path) == len(path) + 1 and entry.path[: len(path)] == path
        )

    def place(self, line: int | None) -> str:
        """``path:line``, for evidence."""
        return self.path if line is None else f"{self.path}:{line}"
