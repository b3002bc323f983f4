"""A document as a tree whose every node knows where it stands: what the readers of JSON and TOML give.

Nothing here decides what a document means, and nothing grows beyond its bounds: readers refuse what is deeper
than :data:`MOST_LEVELS` or has more than :data:`MOST_NODES` values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MOST_LEVELS: Final = 64
MOST_NODES: Final = 50_000


class Kind(StrEnum):
    """What a node is."""

    MAP = "map"
    LIST = "list"
    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    NULL = "null"


class SyntaxProblem(ValueError):  # noqa: N818 - of the text, not of the program
    """The text is not what it should be. Line and column count from 1; the message is a clause."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class TooLarge(ValueError):  # noqa: N818 - a state of the text
    """The text is deeper or has more values than is read here; it may be right all the same."""


@dataclass
class Node:
    """One value. Line and column (from 1) are those of its key where it has one, else its own.

    ``value`` is the text of a scalar: strings decoded, ``true``, ``false`` and numbers as they are written.
    ``pairs`` are the members of a map in order, repeated keys included; the later of two counts.
    """

    kind: Kind
    line: int
    column: int
    value: str = field(default="", repr=False)
    pairs: list[tuple[str, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        """The member of this name, the last where it stands twice; None where there is none, or null."""
        found = None
        for name, node in self.pairs:
            if name == key:
                found = node
        return None if found is None or found.kind is Kind.NULL else found

    def at(self, *path: str) -> Node | None:
        """The node below several keys, or None."""
        node: Node | None = self
        for key in path:
            node = node.get(key) if node is not None else None
        return node

    def repeated(self) -> Iterator[tuple[str, Node]]:
        """Members whose name an earlier one has too."""
        seen = set()
        for name, node in self.pairs:
            if name in seen:
                yield name, node
            seen.add(name)

    @property
    def true(self) -> bool:
        """Whether it is the boolean ``true``."""
        return self.kind is Kind.BOOLEAN and self.value == "true"

    @property
    def strings(self) -> list[Node]:
        """The items of a list that are strings."""
        return [item for item in self.items if item.kind is Kind.STRING]
