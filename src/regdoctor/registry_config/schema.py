"""The table of keys, ``schema.toml``, as objects."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

VERSIONS: Final = frozenset({"2.8", "3"})
"""The major versions of distribution's registry that are told apart; 3 stands for 3.0 and 3.1."""


class KeyType(StrEnum):
    """What the registry decodes a value into; the table says more about each."""

    SECTION = "section"
    NAMED = "named"
    LIST = "list"
    TEXTS = "texts"
    TEXT = "text"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DURATION = "duration"
    PARAMETERS = "parameters"
    WORD = "word"
    FLAG = "flag"
    NUMBER = "number"
    ANY = "any"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key that the registry knows. ``in_`` is null where every version has it."""

    type: KeyType
    in_: str | None = msgspec.field(default=None, name="in")
    allowed: tuple[str, ...] = ()
    allowed3: tuple[str, ...] = ()
    fold: bool = False
    words: str | None = None
    least: int | None = None
    most: int | None = None
    variable: str | None = None
    instead: str | None = None
    file: bool = False
    names: tuple[str, ...] = ()
    """Which names a part ``*`` stands for; any where there are none."""

    @property
    def versions(self) -> frozenset[str]:
        """The versions that have it."""
        return VERSIONS if self.in_ is None else frozenset({self.in_})

    @property
    def untyped(self) -> bool:
        """Whether the YAML parser takes anything in its place."""
        return self.type in (KeyType.WORD, KeyType.FLAG, KeyType.NUMBER, KeyType.ANY)

    def values(self, version: str) -> tuple[str, ...]:
        """What a version allows; nothing where it allows everything."""
        return self.allowed3 if version == "3" and self.allowed3 else self.allowed


class Schema:
    """All keys."""

    def __init__(self, keys: dict[str, Key]) -> None:
        self.keys = {tuple(name.split(".")): key for name, key in keys.items()}
        self._below: dict[tuple[str, ...], dict[str, Key]] = {}
        for path, key in self.keys.items():
            self._below.setdefault(path[:-1], {})[path[-1]] = key

    def pattern(self, path: tuple[str, ...]) -> tuple[str, ...] | None:
        """The path as it stands in the table, with ``*`` for names and numbers; None for an unknown key."""
        found: tuple[str, ...] = ()
        for part in path:
            members = self._below.get(found, {})
            any_name = members.get("*")
            if part in members and part != "*":
                found = (*found, part)
            elif (any_name is not None and (not any_name.names or part in any_name.names)) or self._is_texts(
                found
            ):
                found = (*found, "*")
            else:
                return None
        return found

    def _is_texts(self, pattern: tuple[str, ...]) -> bool:
        key = self.keys.get(pattern)
        return key is not None and key.type is KeyType.TEXTS

    def find(self, path: tuple[str, ...]) -> Key | None:
        """The key at a path; None where the registry knows none there. Items of lists of texts are texts."""
        pattern = self.pattern(path)
        if pattern is None:
            return None
        found = self.keys.get(pattern)
        return Key(type=KeyType.TEXT) if found is None and self._is_texts(pattern[:-1]) else found

    def below(self, path: tuple[str, ...]) -> dict[str, Key]:
        """The keys that may stand directly below a path, ``*`` among them where any name may."""
        pattern = self.pattern(path)
        return {} if pattern is None else self._below.get(pattern, {})

    def named(self, name: str) -> Iterator[tuple[str, ...]]:
        """Every place at which a key of this name stands."""
        return (path for path in self.keys if path[-1] == name)


@cache
def schema() -> Schema:
    """The table, read once."""
    data = (files(__package__) / "schema.toml").read_bytes()
    return Schema(msgspec.toml.decode(data, type=dict[str, Key]))
