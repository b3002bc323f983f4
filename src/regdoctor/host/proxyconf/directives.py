"""Directives as nginx's files and Caddyfiles have them: a name, arguments, and perhaps a block of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Directive:
    """One directive, and what stands in its block.

    ``unread`` says why an included file could not be read, ``unbraced`` that a Caddyfile's site goes on to the end
    of its file.
    """

    name: str
    arguments: list[str]
    file: str
    line: int
    column: int
    block: list[Directive] | None = None
    unread: str | None = None
    unbraced: bool = False

    @property
    def place(self) -> str:
        """``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def argument(self) -> str:
        """The first argument, or the empty text."""
        return self.arguments[0] if self.arguments else ""

    @property
    def inside(self) -> list[Directive]:
        """What stands in its block."""
        return self.block or []

    def all(self, name: str) -> Iterator[Directive]:
        """The directives of a name in its block."""
        return (each for each in self.inside if each.name == name)
