"""Lays out text for a terminal: paragraphs, commands that are never broken, and styles where colour is wanted."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from regdoctor.report import layout
from regdoctor.report.escape import line
from regdoctor.report.templates import Safe

if TYPE_CHECKING:
    from regdoctor.report.options import RenderOptions

_STYLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "heading": "1",
        "command": "36",
        "quiet": "2",
        "failing": "1;31",
        "undetermined": "1;35",
        "degraded": "1;33",
        "healthy": "1;32",
        "error": "31",
        "warning": "33",
        "info": "36",
        "pass": "32",
        "warn": "33",
        "fail": "31",
        "skip": "2",
        "broken": "35",
    }
)
"""What is written in which style (ECMA-48, select graphic rendition): parts of a page, verdicts, severities,
statuses, and ``broken`` for a check that failed to run."""


class Page:
    """Lays out text; every method returns text that is safe already."""

    def __init__(self, options: RenderOptions) -> None:
        self.width = options.width
        self._colour = options.colour

    def styled(self, text: str, style: str | None) -> Safe:
        """The text in a style, where colour is wanted."""
        safe = text if isinstance(text, Safe) else line(text)
        code = _STYLES.get(style or "") if self._colour else None
        return Safe(f"\x1b[{code}m{safe}\x1b[0m" if code and safe else safe)

    def wrapped(self, text: str, first: str, rest: str) -> list[str]:
        """The lines of a paragraph, the first and the further ones indented; words and URLs stay whole."""
        return textwrap.wrap(
            line(text),
            width=self.width,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def prose(self, text: str, indent: int = 2) -> Safe:
        """A paragraph."""
        blanks = " " * indent
        return Safe("\n".join(self.wrapped(text, blanks, blanks)))

    def item(self, label: str, text: str, style: str | None = None, indent: int = 2) -> Safe:
        """A paragraph that begins with a label and hangs behind it."""
        first = f"{' ' * indent}{line(label)} "
        wrapped = self.wrapped(text, first, " " * len(first)) or [first.rstrip()]
        coloured = f"{' ' * indent}{self.styled(label, style)} "
        return Safe("\n".join([coloured + wrapped[0][len(first) :], *wrapped[1:]]))

    def command(self, text: str, indent: int = 2) -> Safe:
        """A command on a line of its own, never broken."""
        return Safe(" " * indent + self.styled(text, "command"))

    def step(self, text: str, first: str) -> list[str]:
        """What to do; a command in it that does not fit stays whole on its own line."""
        rest = " " * len(first)
        whole = line(text)
        if len(first) + len(whole) <= self.width:
            return [first + whole]
        prose, command, remark = layout.split_command(whole)
        if command is None:
            return self.wrapped(whole, first, rest)
        intro = self.wrapped(f"{prose}:", first, rest) if prose else []
        command_line = (rest if prose else first) + self.styled(command, "command")
        return [*intro, command_line, *(self.wrapped(remark, rest, rest) if remark else [])]

    def steps(self, fixes: Sequence[str], indent: int = 2) -> Safe:
        """The steps of a remedy, numbered."""
        width = len(str(len(fixes)))
        return Safe(
            "\n".join(
                each
                for number, fix in enumerate(fixes, start=1)
                for each in self.step(fix, f"{' ' * indent}{number:>{width}}. ")
            )
        )

    def heading(self, text: str) -> Safe:
        """A section's heading."""
        return Safe("\n".join(self.styled(each, "heading") for each in self.wrapped(text, "", "  ")))

    def columns(self, rows: Sequence[Sequence[str]], indent: int = 2, gap: int = 2) -> Safe:
        """A table, its first row in the style of headings; fields that do not fit go on below."""
        safe = [[line(field) for field in row] for row in rows]
        widths = [max(map(len, fields)) for fields in zip(*safe, strict=True)]
        room = max(len(widths), self.width - indent - gap * (len(widths) - 1))
        while sum(widths) > room:
            widths[widths.index(max(widths))] -= 1
        found = []
        for number, row in enumerate(safe):
            fields = [
                textwrap.wrap(field, width, break_on_hyphens=False) or [""]
                for field, width in zip(row, widths, strict=True)
            ]
            for parts in zip_longest(*fields, fillvalue=""):
                text = (" " * gap).join(f"{part:<{width}}" for part, width in zip(parts, widths, strict=True))
                found.append(
                    " " * indent + self.styled(Safe(text.rstrip()), "heading" if number == 0 else None)
                )
        return Safe("\n".join(found))

    def rule(self) -> Safe:
        """A line between targets."""
        return self.styled("─" * self.width, "quiet")
