"""Reads a registry's ``config.yml`` as the registry does, with the place of every key."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from regdoctor.facts.config import (
    ConfigEntry,
    ConfigFile,
    ConfigProblem,
    ConfigProblemKind,
    RepeatedKey,
)

if TYPE_CHECKING:
    from regdoctor.yaml_v2 import Node, YamlProblem

LARGEST = 1024 * 1024
"""Bytes. The registry's own example with every section and comment has 20 thousand."""
MOST_ENTRIES = 20_000
_DEEPEST = 100
"""Levels with aliases followed: each may nest others, so that a short text becomes very deep."""
_LONGEST_VALUE = 500
_LONGEST_EXCERPT = 120

SECTIONS = frozenset(
    {
        *(
            "version",
            "log",
            "loglevel",
            "storage",
            "auth",
            "middleware",
            "reporting",
            "http",
            "notifications",
        ),
        *("redis", "health", "proxy", "compatibility", "validation", "policy", "catalog", "tags"),
    }
)
"""The top-level keys of distribution 2.8 and 3 (``configuration/configuration.go``); others are never decoded."""

_REPLACED = frozenset({"storage", "auth"})
"""Sections that decode into a fresh map each time, so that of two the first is lost."""

_KEY_LINE = re.compile(
    r"(?P<start>[ \t]*(?:-[ \t]+)*)(?P<key>[A-Za-z_][\w.-]*|\"[\w.-]+\"|'[\w.-]+')(?P<rest>[ \t]*:.*)"
)
_INNER_KEY = re.compile(r"[\w\"']\s*:\s|[\[{]")


def read_config(path: Path) -> ConfigFile:
    """Reads the file; whatever keeps it from being read is part of the fact, never an exception."""
    shown = str(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            return _unread(shown, ConfigProblemKind.NOT_A_FILE, kind)
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return _unread(shown, ConfigProblemKind.MISSING, "no such file or directory")
    except PermissionError:
        return _unread(shown, ConfigProblemKind.FORBIDDEN, "permission denied")
    except (OSError, ValueError) as error:
        return _unread(shown, ConfigProblemKind.READ_ERROR, getattr(error, "strerror", None) or str(error))
    if len(data) > LARGEST:
        return _unread(shown, ConfigProblemKind.TOO_LARGE, f"larger than {LARGEST // 1024} KiB")
    from msgspec.structs import replace

    return replace(parse_config(data, shown), mode=stat.S_IMODE(mode), others_enter=others_enter(path))


def others_enter(path: Path) -> bool:
    """Whether every folder above lets all users in; true where that cannot be seen.

    Below ``/proc`` only the process's own user may look into its root (ptrace(2), proc(5)).
    """
    if path.is_relative_to("/proc"):
        return False
    try:
        return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)
    except OSError:
        return True


def _unread(path: str, kind: ConfigProblemKind, message: str) -> ConfigFile:
    return ConfigFile(path=path, problem=ConfigProblem(kind=kind, message=message))


def parse_config(data: bytes, path: str) -> ConfigFile:
    """Reads the text of a configuration file.

    :param path: how findings name the file.
    """
    from regdoctor.yaml_v2 import TooLarge, YamlProblem, has_excessive_aliases, read

    try:
        root = read(data)
        reader = _Reader()
        if root is not None:
            decoded = [value for key, value in root.pairs if key.value in SECTIONS]
            if has_excessive_aliases(decoded):
                raise YamlProblem("document contains excessive aliasing", root.line, root.column)  # noqa: TRY301
            reader.read(root, ())
    except YamlProblem as problem:
        return ConfigFile(path=path, size=len(data), problem=_syntax(problem, data))
    except TooLarge as limit:
        problem_kind = ConfigProblemKind.TOO_LARGE
        return ConfigFile(
            path=path, size=len(data), problem=ConfigProblem(kind=problem_kind, message=str(limit))
        )
    return ConfigFile(
        path=path,
        size=len(data),
        root=root.kind.value if root is not None else "null",
        entries=tuple(reader.entries.values()),
        repeated=tuple(reader.repeated.values()),
    )


def _syntax(problem: YamlProblem, data: bytes) -> ConfigProblem:
    return ConfigProblem(
        kind=ConfigProblemKind.SYNTAX,
        message=problem.message,
        line=problem.line,
        column=problem.column,
        began=problem.began,
        excerpt=_excerpt(data, problem.line),
    )


def _excerpt(data: bytes, number: int) -> str | None:
    """A line of the file as far as it shows no value that could be secret; tabs become ``→``."""
    from regdoctor.redact import is_secret_name, redact_text

    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", data.decode(encoding, "replace"))
    if not 0 < number <= len(lines):
        return None
    line = lines[number - 1]
    match = _KEY_LINE.fullmatch(line)
    if match is None:
        # Without a key there is no telling what the text is.
        start = line[: len(line) - len(line.lstrip(" \t-"))]
        shown = f"{start}…" if line.strip() else line
    elif is_secret_name(match["key"].strip("\"'")) or _INNER_KEY.search(match["rest"].lstrip(" \t")[1:]):
        shown = f"{match['start']}{match['key']}: …"
    else:
        shown = redact_text(line)
    shown = "".join(
        "→" if character == "\t" else character if character.isprintable() else "�" for character in shown
    )
    return shown[:_LONGEST_EXCERPT]


class _Reader:
    """Turns nodes into entries, merging as yaml.v2 does."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, ...], ConfigEntry] = {}
        self.repeated: dict[tuple[str, ...], RepeatedKey] = {}

    def read(self, node: Node, path: tuple[str, ...]) -> None:
        """Adds a node and all below it.

        :raises YamlProblem: yaml.v2 refuses a node once it decodes it.
        :raises TooLarge: there are more than ``MOST_ENTRIES``.
        """
        from regdoctor.yaml_v2 import TooLarge

        if node.problem is not None and (not path or path[0] in SECTIONS):
            raise node.problem
        if len(path) > _DEEPEST:
            raise TooLarge(f"nested deeper than {_DEEPEST} levels")
        if path:
            self._add(node, path)
        for number, item in enumerate(node.items):
            self.read(item, (*path, str(number)))
        self._members(node, path)

    def _members(self, node: Node, path: tuple[str, ...], *, merged: bool = False) -> None:
        seen: dict[str, list[Node]] = {}
        for key, value in node.pairs:
            if key.is_merge:
                if key.problem is not None:
                    if path and path[0] in SECTIONS:
                        raise key.problem
                    continue
                # Of several maps that are merged the first counts most, so it comes last.
                for each in reversed(value.items) if value.items else [value]:
                    self._members(each, path, merged=True)
                continue
            if key.pairs or key.items:
                continue
            below = (*path, key.value)
            seen.setdefault(key.value, []).append(key)
            replaced = self._forget(value, below)
            if len(seen[key.value]) > 1 and not merged:
                lines = tuple(each.line for each in seen[key.value])
                self.repeated[below] = RepeatedKey(path=below, lines=lines, mixed=not replaced)
            self.read(value, below)
            entry = self.entries.get(below)
            if entry is not None and entry.kind in ("map", "list"):
                # A map's place is that of its key: the map itself may begin a line further down.
                self.entries[below] = _at(entry, key)

    def _forget(self, value: Node, path: tuple[str, ...]) -> bool:
        """Drops what stood at the path before, unless both are maps that the registry mixes."""
        before = self.entries.get(path)
        if before is None:
            return True
        if before.kind == "map" and value.kind == "map" and path[0] not in _REPLACED:
            return False
        for each in [each for each in self.entries if each[: len(path)] == path]:
            del self.entries[each]
        return True

    def _add(self, node: Node, path: tuple[str, ...]) -> None:
        from regdoctor.yaml_v2 import TooLarge

        if len(self.entries) >= MOST_ENTRIES:
            raise TooLarge(f"more than {MOST_ENTRIES} keys")
        scalar = node.kind not in ("map", "list")
        secret = scalar and node.kind != "null" and _is_secret(path)
        self.entries[path] = ConfigEntry(
            path=path,
            kind=node.kind.value,
            line=node.line,
            column=node.column,
            value=(_value(node.value, secret=secret) if scalar else None),
            plain=node.plain,
            secret=secret,
        )


def _at(entry: ConfigEntry, key: Node) -> ConfigEntry:
    from msgspec.structs import replace

    return replace(entry, line=key.line, column=key.column)


def _value(text: str, *, secret: bool) -> str:
    from regdoctor.redact import redact_text
    from regdoctor.secret import MASK

    return (MASK if text else "") if secret else redact_text(text[:_LONGEST_VALUE])


def _is_secret(path: Sequence[str]) -> bool:
    """Whether the last key of a path that is no number names a secret; ``auth`` itself is a section here."""
    from regdoctor.redact import is_secret_name

    if tuple(path) == ("auth",):
        return False
    name = next((part for part in reversed(path) if not part.isdigit()), "")
    return is_secret_name(name)
