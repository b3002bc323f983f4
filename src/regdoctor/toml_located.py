"""Reads TOML with the place of every key: the standard library's parser decides, a scan of the text finds places.

The scan runs on texts only that ``tomllib`` has taken, so it needs to know no more of TOML than where statements
begin and values end. Problems have ``tomllib``'s wording.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final

from regdoctor.located import MOST_LEVELS, MOST_NODES, Kind, Node, SyntaxProblem, TooLarge

Path = tuple[str | int, ...]

_WHERE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_INTEGER: Final = re.compile(r"[0-9_]{400}")
"""tomllib would convert a number of any length, at a cost that grows with its square."""
_MOST_DOTS: Final = 1000
"""The cost of a dotted key grows with its square as well."""


def parse(text: str) -> Node:
    """The document's tree.

    :raises SyntaxProblem: it is no TOML.
    :raises TooLarge: it is nested too deeply, has too many values, or a number that nobody writes.
    """
    # BurntSushi/toml and go-toml skip a byte order mark, tomllib refuses it.
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if _LONGEST_INTEGER.search(text):
        raise TooLarge("it holds a number of hundreds of digits")
    if any(line.count(".") > _MOST_DOTS for line in text.split("\n")):
        raise TooLarge(f"a line has more than {_MOST_DOTS} dots")
    if _deepest(text) > MOST_LEVELS:
        raise TooLarge(f"it is nested deeper than {MOST_LEVELS} levels")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _problem(error, text) from None
    except RecursionError:
        raise TooLarge("it is nested too deeply") from None
    return _Builder(_places(text)).node(document, (), 1, 1)


def _deepest(text: str) -> int:
    """How deep brackets can nest at most, strings not told apart."""
    deepest = depth = 0
    for character in re.findall(r"[\[\]{}\n]", text):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth = max(0, depth - 1)
    return deepest


def _problem(error: tomllib.TOMLDecodeError, text: str) -> SyntaxProblem:
    message = str(error)
    match = _WHERE.search(message)
    if match is not None and match[1]:
        return SyntaxProblem(message[: match.start()], int(match[1]), int(match[2]))
    lines = text.split("\n")
    end = message[: match.start()] if match is not None else message
    return SyntaxProblem(f"{end} at the end of the file", len(lines), len(lines[-1]) + 1)


class _Builder:
    """Turns values into nodes, with the place of the key that leads to each."""

    def __init__(self, places: Mapping[Path, tuple[int, int]]) -> None:
        self._places = places
        self._nodes = 0

    def node(self, value: Any, path: Path, line: int, column: int) -> Node:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise TooLarge(f"it has more than {MOST_NODES} values")
        if len(path) > MOST_LEVELS:
            raise TooLarge(f"it is nested deeper than {MOST_LEVELS} levels")
        line, column = self._places.get(path, (line, column))
        if isinstance(value, dict):
            pairs = [(key, self.node(each, (*path, key), line, column)) for key, each in value.items()]
            # Tables may be written in any order; what reads them sees them as they stand.
            return Node(Kind.MAP, line, column, pairs=pairs)
        if isinstance(value, list):
            items = [self.node(each, (*path, index), line, column) for index, each in enumerate(value)]
            return Node(Kind.LIST, line, column, items=items)
        return Node(_kind(value), line, column, _text(value))


def _kind(value: object) -> Kind:
    if isinstance(value, str):
        return Kind.STRING
    if isinstance(value, bool):
        return Kind.BOOLEAN
    return Kind.TIME if isinstance(value, date | datetime | time) else Kind.NUMBER


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _places(text: str) -> dict[Path, tuple[int, int]]:
    """Where every key stands, and every item of a list, by the path that leads to it."""
    scan = _Scan(text)
    scan.statements()
    return scan.places


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._line = 0
        self._tables: dict[Path, int] = {}
        self.places: dict[Path, tuple[int, int]] = {}

    def statements(self) -> None:
        """Finds tables and keys, one after the other."""
        here: Path = ()
        while True:
            self._blank(lines=True)
            if self._at >= len(self._text):
                return
            if self._peek("["):
                here = self._header()
            else:
                self._pair(here)

    def _place(self) -> tuple[int, int]:
        while self._line + 1 < len(self._starts) and self._starts[self._line + 1] <= self._at:
            self._line += 1
        return self._line + 1, self._at - self._starts[self._line] + 1

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _blank(self, *, lines: bool) -> None:
        """Goes on past blanks, and past line ends and comments where several lines may follow."""
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in " \t" or (lines and character in "\r\n"):
                self._at += 1
            elif lines and character == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return

    def _header(self) -> Path:
        place = self._place()
        array = self._peek("[[")
        self._at += 2 if array else 1
        keys = self._keys()
        self._at += 2 if array else 1
        path = self._resolve(keys[:-1])
        path = (*path, keys[-1])
        if array:
            index = self._tables.get(path, -1) + 1
            self._tables[path] = index
            self.places.setdefault(path, place)
            path = (*path, index)
        elif path in self._tables:
            path = (*path, self._tables[path])
        self._remember(path, place)
        return path

    def _remember(self, path: Path, place: tuple[int, int]) -> None:
        """The place of a path, and of those above it that nothing else names."""
        self.places[path] = place
        for length in range(1, len(path)):
            self.places.setdefault(path[:length], place)

    def _resolve(self, keys: tuple[str, ...]) -> Path:
        """The path of a table's name: each array of tables on the way means its latest element."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._tables:
                path = (*path, self._tables[path])
        return path

    def _keys(self) -> tuple[str, ...]:
        keys = []
        while True:
            self._blank(lines=False)
            keys.append(self._key())
            if len(keys) > MOST_LEVELS:
                raise TooLarge(f"it is nested deeper than {MOST_LEVELS} levels")
            self._blank(lines=False)
            if not self._peek("."):
                return tuple(keys)
            self._at += 1

    def _key(self) -> str:
        if self._peek('"') or self._peek("'"):
            start = self._at
            self._string()
            return str(next(iter(tomllib.loads(f"{self._text[start : self._at]} = 0"))))
        match = _BARE.match(self._text, self._at)
        if match is None:
            raise TooLarge("it cannot be followed")
        self._at = match.end()
        return match[0]

    def _pair(self, here: Path) -> None:
        self._blank(lines=True)
        place = self._place()
        path = (*here, *self._keys())
        self._remember(path, place)
        self._at += 1
        self._blank(lines=False)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._peek("["):
            self._list(path)
        elif self._peek("{"):
            self._inline(path)
        elif self._peek('"') or self._peek("'"):
            self._string()
        else:
            while self._at < len(self._text) and self._text[self._at] not in ",]}#\n":
                self._at += 1

    def _list(self, path: Path) -> None:
        self._at += 1
        index = 0
        while True:
            self._blank(lines=True)
            if self._peek("]"):
                self._at += 1
                return
            if self._peek(","):
                self._at += 1
                index += 1
                continue
            self.places[(*path, index)] = self._place()
            self._value((*path, index))

    def _inline(self, path: Path) -> None:
        self._at += 1
        while True:
            self._blank(lines=True)
            if self._peek("}"):
                self._at += 1
                return
            if self._peek(","):
                self._at += 1
                continue
            self._pair(path)

    def _string(self) -> None:
        quote = self._text[self._at]
        if self._peek(quote * 3):
            self._at += 3
            while not self._peek(quote * 3):
                self._at += 2 if quote == '"' and self._peek("\\") else 1
            self._at += 3
            # Up to two quotes may stand before the three that end it.
            while self._peek(quote):
                self._at += 1
            return
        self._at += 1
        while not self._peek(quote):
            self._at += 2 if quote == '"' and self._peek("\\") else 1
        self._at += 1
