"""How Go takes values: ``time.ParseDuration``, ``strconv.ParseBool``, and what yaml.v2 puts into which type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from regdoctor.facts.config import ConfigEntry
from regdoctor.registry_config.schema import Key, KeyType, schema

if TYPE_CHECKING:
    from regdoctor.yaml_v2 import Node

_DURATION: Final = re.compile(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_FLAGS: Final = frozenset({"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"})
_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d?-\d\d?(?:[Tt ].*)?", re.ASCII)
_TAGS: Final = {
    "map": "!!map",
    "list": "!!seq",
    "string": "!!str",
    "integer": "!!int",
    "float": "!!float",
    "boolean": "!!bool",
}
_GO_TYPES: Final = {
    KeyType.TEXT: "string",
    KeyType.BOOLEAN: "bool",
    KeyType.INTEGER: "int",
    KeyType.DURATION: "time.Duration",
    KeyType.TEXTS: "[]string",
    KeyType.PARAMETERS: "configuration.Parameters",
}
_SCALARS: Final = frozenset({"string", "integer", "float", "boolean"})
_STRING_FORM: Final = frozenset({("storage",), ("auth",)})
"""Sections that may also be one word: what does not fit the map is read as that, and refused as that."""


def is_duration(text: str) -> bool:
    """Whether Go's ``time.ParseDuration`` takes a text."""
    return text in ("0", "+0", "-0") or _DURATION.fullmatch(text) is not None


def is_flag(text: str) -> bool:
    """Whether Go's ``strconv.ParseBool`` takes a text."""
    return text in _FLAGS


@dataclass
class Item:
    """One value with all below it."""

    kind: str
    value: str | None = None
    plain: bool = False
    secret: bool = False
    line: int = 1
    column: int = 1
    file: str | None = None
    variable: str | None = None
    members: dict[str, Item] = field(default_factory=dict)
    """Of a map by name, of a list by number."""
    generic: bool = False
    """Whether Go holds it as a map with keys of any type, into which no variable reaches."""


@dataclass(frozen=True)
class Mismatch:
    """A value that yaml.v2 does not decode: where, and what the registry says of it."""

    path: tuple[str, ...]
    item: Item
    words: str


def tree(entries: tuple[ConfigEntry, ...]) -> Item:
    """The entries of a file as one tree."""
    root = Item(kind="map")
    places: dict[tuple[str, ...], Item] = {(): root}
    for entry in entries:
        key = schema().find(entry.path)
        item = Item(
            kind=entry.kind,
            value=entry.value,
            plain=entry.plain,
            secret=entry.secret,
            line=entry.line,
            column=entry.column,
            file=entry.file,
            variable=entry.variable,
            generic=key is None or key.untyped,
        )
        above = places.get(entry.path[:-1])
        if above is not None:
            above.members[entry.path[-1]] = item
            places[entry.path] = item
    return root


def entries_of(root: Item) -> tuple[ConfigEntry, ...]:
    """The tree as entries again, in order."""
    return tuple(_entries(root, ()))


def _entries(item: Item, path: tuple[str, ...]) -> Iterator[ConfigEntry]:
    for name, each in item.members.items():
        below = (*path, name)
        yield ConfigEntry(
            path=below,
            kind=each.kind,
            line=each.line,
            column=each.column,
            value=each.value,
            plain=each.plain,
            secret=each.secret,
            file=each.file,
            variable=each.variable,
        )
        yield from _entries(each, below)


def item_of(node: Node | None, origin: Item) -> Item:
    """What a variable's value is, read as YAML. ``origin`` says where it comes from."""
    if node is None:
        return replace(origin, kind="null", value="", members={})
    members: dict[str, Item] = {}
    for number, each in enumerate(node.items):
        members[str(number)] = item_of(each, origin)
    for key, each in node.pairs:
        members[key.value] = item_of(each, origin)
    scalar = node.kind not in ("map", "list")
    return replace(
        origin,
        kind=node.kind.value,
        value=node.value if scalar else None,
        plain=node.plain,
        members=members,
        generic=not scalar,
    )


def mismatches(item: Item, path: tuple[str, ...]) -> Iterator[Mismatch]:
    """What yaml.v2 refuses of a value and of all below it, in order."""
    if not path:
        for name, each in item.members.items():
            yield from mismatches(each, (name,))
        return
    key = schema().find(path)
    if key is None or key.untyped:
        return
    words = _refusal(item, key, path)
    if words is not None:
        yield Mismatch(path, item, words)
        return
    for name, each in item.members.items():
        below = (*path, name)
        if path in _STRING_FORM and each.kind not in ("map", "null"):
            # "storage" and "auth" are tried as a map first and as a word then; the second error is printed.
            yield Mismatch(below, each, "cannot unmarshal !!map into string")
            continue
        yield from mismatches(each, below)


def _refusal(item: Item, key: Key, path: tuple[str, ...]) -> str | None:
    if item.kind == "null":
        return None
    if path in _STRING_FORM:
        return None if item.kind == "map" or item.kind in _SCALARS else _cannot(item, "string")
    match key.type:
        case KeyType.SECTION:
            return None if item.kind == "map" else _cannot(item, "")
        case KeyType.NAMED:
            return None if item.kind == "map" else _cannot(item, "")
        case KeyType.PARAMETERS:
            return None if item.kind == "map" else _cannot(item, "")
        case KeyType.LIST:
            return None if item.kind == "list" else _cannot(item, "[]")
        case KeyType.TEXTS:
            return None if item.kind == "list" else _cannot(item, "[]string")
        case KeyType.BOOLEAN:
            return None if item.kind == "boolean" else _cannot(item, "bool")
        case KeyType.INTEGER:
            return None if item.kind in ("integer", "float") else _cannot(item, "int")
        case KeyType.DURATION:
            taken = item.kind in ("integer", "float") or (
                item.kind == "string" and is_duration(item.value or "")
            )
            return None if taken else _cannot(item, "time.Duration")
    return None if item.kind in _SCALARS else _cannot(item, _GO_TYPES[key.type])


def _cannot(item: Item, go_type: str) -> str:
    """What yaml.v2 prints (``decode.go``, ``terror``): a value of more than ten characters is cut to seven."""
    if item.kind in ("map", "list"):
        return f"cannot unmarshal {_TAGS[item.kind]} into {go_type}".rstrip()
    tag = _TAGS[item.kind]
    if item.plain and _TIMESTAMP.fullmatch(item.value or ""):
        tag = "!!timestamp"
    if item.secret or item.value is None:
        return f"cannot unmarshal {tag}"
    shown = item.value if len(item.value.encode()) <= 10 else f"{item.value[:7]}..."
    return f"cannot unmarshal {tag} `{shown}` into {go_type}".rstrip()
