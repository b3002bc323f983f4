"""Makes text from servers, files and logs safe to show: escaped, and bounded in length."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 4000
"""Characters of one value that reports for people show; the JSON report holds all of it."""

_BLANKS: Final = re.compile(r"[ \t\r\n\f\v\u00a0]+")
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]<|~&$]|^[-+=#>])")
_ORDERED_ITEM: Final = re.compile(r"^(\d+)([.)])")
_MENTION: Final = re.compile(r"([@#])(?=\w)")


def visible(text: str) -> str:
    r"""Writes every character that a terminal would obey, or that nobody sees, as an escape such as ``\x1b``.

    That is every character but the blank that ``str.isprintable`` refuses: the C0 and C1 controls, line ends,
    bidirectional and zero-width format characters, private use, and surrogates that UTF-8 cannot encode.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def bounded(text: str, longest: int = LONGEST) -> str:
    """Cuts a text that is longer than ``longest`` characters and says how much is missing."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text) - longest} more characters)"


def short(text: str, longest: int) -> str:
    """One safe line of at most ``longest`` characters, for a column of a table."""
    safe = line(text)
    return safe if len(safe) <= longest else f"{safe[: longest - 1]}…"


def line(text: str, longest: int = LONGEST) -> str:
    """One safe line: runs of blanks and line ends become one blank, the rest is visible and bounded."""
    return bounded(visible(_BLANKS.sub(" ", text).strip()), longest)


def lines(text: str, longest: int = LONGEST) -> list[str]:
    """The lines of a text of several lines, each safe."""
    cut = bounded(text, longest)
    return [visible(each.expandtabs(4)) for each in re.split(r"\r\n|\r|\n", cut.rstrip("\r\n"))]


def markdown(text: str) -> str:
    """One safe line with every character escaped that Markdown gives a meaning there (CommonMark 2.4).

    An ``@name`` or ``#1`` in what a server said must not call a person or link an issue on a forge; a
    comment of no width in between keeps both from being recognised.
    """
    escaped = _MARKDOWN.sub(r"\\\1", line(text))
    escaped = _ORDERED_ITEM.sub(r"\1\\\2", escaped)
    return _MENTION.sub(r"\1<!-- -->", escaped)


def code_span(text: str) -> str:
    """A Markdown code span around one safe line, fenced so that no backtick ends it (CommonMark 6.1)."""
    content = line(text) or " "
    fence = "`" * (_longest_run(content) + 1)
    space = " " if content.startswith("`") or content.endswith("`") else ""
    return f"{fence}{space}{content}{space}{fence}"


def code_block(text: str, language: str = "", longest: int = LONGEST) -> str:
    """A fenced Markdown code block around safe lines (CommonMark 4.5)."""
    content = "\n".join(lines(text, longest))
    fence = "`" * max(3, _longest_run(content) + 1)
    return f"{fence}{language}\n{content}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
