"""Reads haproxy's configuration: sections of lines of words.

Words are told apart as haproxy does (configuration manual, 2.2 "Quoting and escaping"). Of the sections those are
kept that requests pass through; others hold passwords and nothing that matters here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Final

from regdoctor.host.proxyconf.files import Unreadable
from regdoctor.host.proxyconf.haproxy_conditions import Condition, NamedTests, named_tests, read_condition

_MOST_LINES: Final = 50_000
_MOST_WORDS: Final = 200
_MOST_RULES: Final = 2_000
"""Rules on requests (``http-request``) of one section."""
_PROXIES: Final = frozenset({"frontend", "backend", "listen"})
_OTHERS: Final = frozenset(
    {
        *("global", "defaults", "peers", "mailers", "resolvers", "userlist", "program", "cache", "ring"),
        *("http-errors", "fcgi-app", "log-forward", "crt-store", "traces", "log-profile", "acme"),
    }
)


@dataclass
class Line:
    """A line of a section, in words."""

    words: list[str]
    file: str
    number: int
    column: int = 1

    @property
    def place(self) -> str:
        """``file:line:column``."""
        return f"{self.file}:{self.number}:{self.column}"

    def starts(self, *words: str) -> bool:
        """Whether it begins with these words."""
        return tuple(self.words[: len(words)]) == words


@dataclass
class Section:
    """A frontend, backend or listen section, with the lines of its defaults before its own."""

    kind: str
    name: str
    place: str
    defaults: list[Line] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @cached_property
    def _by_word(self) -> Mapping[str, list[Line]]:
        """The section's own lines by their first words."""
        found: dict[str, list[Line]] = {}
        for line in self.lines:
            found.setdefault(line.words[0], []).append(line)
        return found

    @cached_property
    def _named(self) -> NamedTests:
        return named_tests(line.words for line in self._by_word.get("acl", ()))

    @cached_property
    def _conditions(self) -> dict[tuple[str, ...], Condition]:
        return {}

    def condition(self, words: Sequence[str]) -> Condition:
        """The condition at the end of a line of this section."""
        key = tuple(words)
        if key not in self._conditions:
            self._conditions[key] = read_condition(self._named, words)
        return self._conditions[key]

    def last(self, *words: str) -> Line | None:
        """The line that counts of those that begin with these words: the last, those of the defaults first."""
        for lines in (self._by_word.get(words[0], ()), self.defaults):
            for line in reversed(lines):
                if line.starts(*words):
                    return line
        return None

    def all(self, word: str) -> Sequence[Line]:
        """The section's own lines that begin with this word."""
        return self._by_word.get(word, ())

    def option(self, name: str) -> Line | None:
        """The line that switches an option on, unless a later one switches it off."""
        found = None
        for line in (*self.defaults, *self.lines):
            if line.starts("option", name):
                found = line
            elif line.starts("no", "option", name):
                found = None
        return found


_ESCAPED: Final = MappingProxyType({"n": "\n", "r": "\r", "t": "\t", **{each: each for each in " \\#'\"$"}})
"""What a backslash stands before; before others it stays, as those of regular expressions do."""


def split_words(text: str) -> list[str] | None:
    """The words of a line without its comment; None where a quote is never closed."""
    words: list[str] = []
    word: list[str] | None = None
    position = 0
    quote = ""
    while position < len(text):
        character = text[position]
        position += 1
        if quote:
            if character == quote:
                quote = ""
            elif character == "\\" and quote == '"' and text[position : position + 1] in _ESCAPED:
                word = word if word is not None else []
                word.append(_ESCAPED[text[position]])
                position += 1
            else:
                word = word if word is not None else []
                word.append(character)
        elif character in "\"'":
            quote = character
            word = word if word is not None else []
        elif character == "\\" and text[position : position + 1] in _ESCAPED:
            word = word if word is not None else []
            word.append(_ESCAPED[text[position]])
            position += 1
        elif character == "#":
            break
        elif character.isspace():
            if word is not None:
                words.append("".join(word))
                word = None
        else:
            word = word if word is not None else []
            word.append(character)
    if quote:
        return None
    if word is not None:
        words.append("".join(word))
    return words


def sections(text: str, file: str) -> list[Section]:
    """The frontends, backends and listen sections of a file.

    :raises Unreadable: haproxy would not take it, or it is too large.
    """
    found: list[Section] = []
    defaults: dict[str, list[Line]] = {}
    current: list[Line] | None = None
    latest: list[Line] = []
    lines = text.split("\n")
    if len(lines) > _MOST_LINES:
        raise Unreadable(f"more than {_MOST_LINES} lines are not read")
    for number, raw in enumerate(lines, start=1):
        words = split_words(raw)
        if words is None:
            raise Unreadable("a quote is never closed", f"{file}:{number}")
        if not words:
            continue
        line = Line(words[:_MOST_WORDS], file, number, len(raw) - len(raw.lstrip()) + 1)
        first = words[0]
        if first in _PROXIES and len(words) > 1:
            source = defaults.get(words[3], []) if words[2:3] == ["from"] and len(words) > 3 else latest
            found.append(Section(first, words[1], line.place, source))
            current = found[-1].lines
        elif first == "defaults":
            base = defaults.get(words[3], []) if words[2:3] == ["from"] and len(words) > 3 else []
            latest = current = list(base)
            if len(words) > 1:
                defaults[words[1]] = latest
        elif first in _OTHERS:
            current = None
        elif current is not None:
            current.append(line)
    for section in found:
        if len(section.all("http-request")) > _MOST_RULES:
            raise Unreadable(
                f"more than {_MOST_RULES} http-request rules of a section are not read", section.place
            )
    return found
