"""Reads JSON as Go's ``encoding/json`` does, and keeps the place of every value.

docker, podman, skopeo and the kubelet are written in Go; problems have the wording of its scanner (Go 1.22,
``encoding/json/scanner.go``), so that they can be found in the logs of these programs.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from regdoctor.located import MOST_LEVELS, MOST_NODES, Kind, Node, SyntaxProblem, TooLarge

END: Final = "unexpected end of JSON input"
"""What Go says of a text that ends too early."""

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_PLAIN: Final = re.compile(r"[^\"\\\x00-\x1f]*")
_ESCAPES: Final = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}
_LITERALS: Final = (("true", Kind.BOOLEAN), ("false", Kind.BOOLEAN), ("null", Kind.NULL))


def parse(text: str, *, trailing: bool = False) -> Node:
    """The document's tree.

    :param trailing: whether anything may follow the first value, as for a program that decodes a stream.
    :raises SyntaxProblem: it is no JSON, or empty.
    :raises TooLarge: it is nested too deeply or has too many values.
    """
    reader = _Reader(text)
    root = reader.value(0, *reader.place())
    reader.skip()
    if not trailing and reader.position < len(text):
        reader.refuse("after top-level value")
    return root


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self._nodes = 0
        self._line, self._line_start, self._counted = 1, 0, 0

    def place(self, position: int | None = None) -> tuple[int, int]:
        """Line and column of the next value, or of a position that is not before those asked for already."""
        if position is None:
            self.skip()
            position = self.position
        between = self.text.count("\n", self._counted, position)
        if between:
            self._line += between
            self._line_start = self.text.rindex("\n", self._counted, position) + 1
        self._counted = position
        return self._line, position - self._line_start + 1

    def skip(self) -> None:
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match is not None else self.position

    def refuse(self, where: str, position: int | None = None) -> NoReturn:
        """Reports the character at the position as one that may not stand there."""
        at = self.position if position is None else position
        if at >= len(self.text):
            raise SyntaxProblem(END, *self.place(len(self.text)))
        character = self.text[at]
        shown = {"'": "'\\''", '"': "'\"'"}.get(character)
        if shown is None:
            printable = character.isprintable()
            shown = f"'{character}'" if printable else f"'{_quoted(character)}'"
        raise SyntaxProblem(f"invalid character {shown} {where}", *self.place(at))

    def value(self, level: int, line: int, column: int) -> Node:
        """The value that begins here; its place is given, for members it is that of the key."""
        self._nodes += 1
        if level > MOST_LEVELS:
            raise TooLarge(f"it is nested deeper than {MOST_LEVELS} levels")
        if self._nodes > MOST_NODES:
            raise TooLarge(f"it has more than {MOST_NODES} values")
        self.skip()
        character = self.text[self.position : self.position + 1]
        if character == "{":
            return self._object(level, line, column)
        if character == "[":
            return self._array(level, line, column)
        if character == '"':
            return Node(Kind.STRING, line, column, self.string())
        if character and character in "-0123456789":
            return Node(Kind.NUMBER, line, column, self._number())
        for word, kind in _LITERALS:
            if character == word[0]:
                self._literal(word)
                return Node(kind, line, column, word)
        return self.refuse("looking for beginning of value")

    def _object(self, level: int, line: int, column: int) -> Node:
        node = Node(Kind.MAP, line, column)
        self.position += 1
        self.skip()
        if self.text.startswith("}", self.position):
            self.position += 1
            return node
        while True:
            self.skip()
            if not self.text.startswith('"', self.position):
                self.refuse("looking for beginning of object key string")
            place = self.place()
            key = self.string()
            self.skip()
            if not self.text.startswith(":", self.position):
                self.refuse("after object key")
            self.position += 1
            node.pairs.append((key, self.value(level + 1, *place)))
            self.skip()
            if self.text.startswith("}", self.position):
                self.position += 1
                return node
            if not self.text.startswith(",", self.position):
                self.refuse("after object key:value pair")
            self.position += 1

    def _array(self, level: int, line: int, column: int) -> Node:
        node = Node(Kind.LIST, line, column)
        self.position += 1
        self.skip()
        if self.text.startswith("]", self.position):
            self.position += 1
            return node
        while True:
            node.items.append(self.value(level + 1, *self.place()))
            self.skip()
            if self.text.startswith("]", self.position):
                self.position += 1
                return node
            if not self.text.startswith(",", self.position):
                self.refuse("after array element")
            self.position += 1

    def string(self) -> str:
        """The text of the string that begins here."""
        self.position += 1
        parts: list[str] = []
        while True:
            match = _PLAIN.match(self.text, self.position)
            end = match.end() if match is not None else self.position
            parts.append(self.text[self.position : end])
            self.position = end
            if self.text.startswith('"', end):
                self.position += 1
                return "".join(parts)
            if not self.text.startswith("\\", end):
                self.refuse("in string literal")
            parts.append(self._escape())

    def _escape(self) -> str:
        self.position += 1
        character = self.text[self.position : self.position + 1]
        if character in _ESCAPES:
            self.position += 1
            return _ESCAPES[character]
        if character != "u":
            self.refuse("in string escape code")
        code = self._hexadecimal()
        if 0xD800 <= code < 0xDC00 and self.text.startswith("\\u", self.position):
            before = self.position
            self.position += 1
            low = self._hexadecimal()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00))
            self.position = before
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)

    def _hexadecimal(self) -> int:
        self.position += 1
        for offset in range(4):
            character = self.text[self.position + offset : self.position + offset + 1]
            if not character or character not in "0123456789abcdefABCDEF":
                self.refuse("in \\u hexadecimal character escape", self.position + offset)
        self.position += 4
        return int(self.text[self.position - 4 : self.position], 16)

    def _number(self) -> str:
        start = self.position
        if self.text.startswith("-", start):
            self.position += 1
            self._digit("in numeric literal")
        if self.text.startswith("0", self.position):
            self.position += 1
        else:
            self._digits()
        if self.text.startswith(".", self.position):
            self.position += 1
            self._digit("after decimal point in numeric literal")
            self._digits()
        if self.text[self.position : self.position + 1] in ("e", "E"):
            self.position += 1
            if self.text[self.position : self.position + 1] in ("+", "-"):
                self.position += 1
            self._digit("in exponent of numeric literal")
            self._digits()
        return self.text[start : self.position]

    def _digit(self, where: str) -> None:
        character = self.text[self.position : self.position + 1]
        if not character or character not in "0123456789":
            self.refuse(where)

    def _digits(self) -> None:
        while self.text[self.position : self.position + 1] in tuple("0123456789"):
            self.position += 1

    def _literal(self, word: str) -> None:
        for offset, wanted in enumerate(word):
            if not self.text.startswith(wanted, self.position + offset):
                self.refuse(f"in literal {word} (expecting '{wanted}')", self.position + offset)
        self.position += len(word)


def _quoted(character: str) -> str:
    """A character as Go's ``strconv.Quote`` writes it."""
    known = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    if character in known:
        return known[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
