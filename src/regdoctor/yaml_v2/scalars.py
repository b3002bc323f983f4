"""What a scalar is for yaml.v2 (``resolve.go``)."""

from __future__ import annotations

import re
from enum import StrEnum


class NodeKind(StrEnum):
    """What a node is; scalars are told apart as yaml.v2 resolves them (``resolve.go``)."""

    MAP = "map"
    LIST = "list"
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    NULL = "null"


_BOOLEANS = frozenset(
    spelling
    for word in ("y", "yes", "true", "on", "n", "no", "false", "off")
    for spelling in (word, word.capitalize(), word.upper())
)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_FLOATS = frozenset(f"{sign}{word}" for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")) | {
    ".nan",
    ".NaN",
    ".NAN",
}
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


def kind_of(text: str) -> NodeKind:
    """What a plain scalar is for yaml.v2: YAML 1.1 booleans, Go's integers, no base 60, no dates."""
    if text in _NULLS:
        return NodeKind.NULL
    if text in _BOOLEANS:
        return NodeKind.BOOLEAN
    if text in _FLOATS:
        return NodeKind.FLOAT
    if text[0] in "+-.0123456789":
        number = text.replace("_", "") if text[0] != "." else text
        if _INTEGER.fullmatch(number) and len(number) <= 66 and _fits(number):
            return NodeKind.INTEGER
        if _FLOAT.fullmatch(number):
            return NodeKind.FLOAT
    return NodeKind.STRING


def _fits(number: str) -> bool:
    """Whether Go's 64-bit integers, signed or not, hold it."""
    digits = number.lstrip("+-").lower()
    base = {"0x": 16, "0b": 2, "0o": 8}.get(digits[:2], 8 if digits.startswith("0") else 10)
    value = int(digits, 10) if base == 10 else int(digits.removeprefix("0o"), base)
    return value <= 2**63 if number.startswith("-") else value < 2**64
