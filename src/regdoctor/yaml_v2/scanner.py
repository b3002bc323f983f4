"""PyYAML's scanner and parser with the rules of yaml.v2 where they differ."""

# The type stubs of PyYAML leave the methods of its scanner and parser without types.
# mypy: disallow-untyped-calls=False
from __future__ import annotations

from typing import Any, Final, NoReturn

from yaml.error import Mark
from yaml.parser import Parser, ParserError
from yaml.reader import Reader
from yaml.scanner import Scanner, ScannerError
from yaml.tokens import ScalarToken, TagToken

_BREAKS = "\r\n\x85\u2028\u2029"
_BLANKS = " \t"
_ENDS = f"\0{_BLANKS}{_BREAKS}"

_DIGITS = frozenset("0123456789")
_NAME_CHARACTERS = _DIGITS | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-")

# \' is an escape for yaml.v2, \/ is none.
_ESCAPES: Final = {key: text for key, text in Scanner.ESCAPE_REPLACEMENTS.items() if key != "/"} | {"'": "'"}


class EventReader(Reader, Scanner, Parser):
    """The events of a text (see :mod:`yaml.events`); errors are PyYAML's own."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    ESCAPE_REPLACEMENTS = _ESCAPES  # type: ignore[misc]

    def scan_to_next_token(self) -> None:
        """Tabs may stand between tokens, but not where a block key could begin."""
        while True:
            while self.peek() == " " or (
                self.peek() == "\t" and (self.flow_level or not self.allow_simple_key)
            ):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in f"\0{_BREAKS}":
                    self.forward()
            if not self.scan_line_break():
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def scan_plain(self) -> ScalarToken:
        """Tabs count as blanks, but may not indent a further line; a colon ends it only before a blank."""
        start = end = self.get_mark()
        indent = self.indent + 1
        value: list[str] = []
        blanks, first_break, more_breaks = "", "", ""
        broken = False
        while not self._at_document_indicator() and self.peek() != "#":
            length = self._plain_length()
            if length:
                value.append(_folded(first_break, more_breaks) if broken else blanks)
                value.append(self.prefix(length))
                blanks, first_break, more_breaks, broken = "", "", "", False
                self.forward(length)
                end = self.get_mark()
            if self.peek() == "\0" or self.peek() not in _ENDS:
                break
            while (character := self.peek()) != "\0" and character in _ENDS:
                if character in _BREAKS:
                    line_break = self.scan_line_break()
                    if broken:
                        more_breaks += line_break
                    else:
                        blanks, first_break, broken = "", line_break, True
                    continue
                if broken and self.column < indent and character == "\t":
                    raise ScannerError(
                        "while scanning a plain scalar",
                        start,
                        "found a tab character that violates indentation",
                        self.get_mark(),
                    )
                blanks += "" if broken else character
                self.forward()
            if not self.flow_level and self.column < indent:
                break
        if broken:
            self.allow_simple_key = True
        return ScalarToken("".join(value), True, start, end)

    def _plain_length(self) -> int:
        """How many characters follow that belong to a plain scalar."""
        length = 0
        while (character := self.peek(length)) not in _ENDS:
            if character == ":" and self.peek(length + 1) in _ENDS:
                break
            if self.flow_level and character in ",?[]{}":
                break
            length += 1
        return length

    def _at_document_indicator(self) -> bool:
        return self.column == 0 and self.prefix(3) in ("---", "...") and self.peek(3) in _ENDS

    def scan_flow_scalar(self, style: str) -> Any:
        """Escapes must be characters."""
        start = self.get_mark()
        try:
            token = super().scan_flow_scalar(style)
        except (ValueError, OverflowError):
            token = None
        if token is None or any("\ud800" <= character <= "\udfff" for character in token.value):
            raise ScannerError(
                "while parsing a quoted scalar",
                start,
                "found invalid Unicode character escape code",
                self.get_mark(),
            )
        return token

    def scan_block_scalar_indicators(self, start_mark: Mark) -> tuple[bool | None, int | None]:
        """Chomping and indentation in any order; tabs and comments may follow at once."""
        chomping, increment = None, None
        for _ in range(2):
            character = self.peek()
            if character in "+-" and chomping is None:
                chomping = character == "+"
            elif character in "123456789" and increment is None:
                increment = int(character)
            elif character == "0":
                raise ScannerError(
                    "while scanning a block scalar",
                    start_mark,
                    "found an indentation indicator equal to 0",
                    self.get_mark(),
                )
            else:
                break
            self.forward()
        while self.peek() in _BLANKS:
            self.forward()
        return chomping, increment

    def scan_block_scalar_indentation(self) -> Any:
        """The indentation consists of blanks; a tab within it is refused."""
        found = super().scan_block_scalar_indentation()
        self._refuse_tab()
        return found

    def scan_block_scalar_breaks(self, indent: int) -> Any:
        """No tab may stand within the indentation."""
        found = super().scan_block_scalar_breaks(indent)
        if self.column < indent:
            self._refuse_tab()
        return found

    def _refuse_tab(self) -> None:
        if self.peek() == "\t":
            raise ScannerError(
                None,
                None,
                "found a tab character where an indentation space is expected",
                self.get_mark(),
            )

    def scan_tag(self) -> TagToken:
        """A tag's handle ends with its second exclamation mark, if there is one."""
        start = self.get_mark()
        handle: str | None = "!"
        if self.peek(1) == "<":
            self.forward(2)
            handle, suffix = None, self._tag_uri("", start)
            if self.peek() != ">":
                raise ScannerError(
                    "while scanning a tag", start, "did not find the expected '>'", self.get_mark()
                )
            self.forward()
        else:
            length = 1
            while self.peek(length) in _NAME_CHARACTERS:
                length += 1
            if self.peek(length) == "!":
                handle = self.prefix(length + 1)
                self.forward(length + 1)
                suffix = self._tag_uri("", start)
            else:
                head = self.prefix(length)
                self.forward(length)
                suffix = self._tag_uri(head, start)
                if not suffix:
                    handle, suffix = None, "!"
        if self.peek() not in _ENDS:
            raise ScannerError(
                "while scanning a tag",
                start,
                "did not find expected whitespace or line break",
                self.get_mark(),
            )
        return TagToken((handle, suffix), start, self.get_mark())

    def _tag_uri(self, head: str, start: Mark) -> str:
        """The rest of a tag after ``head``, whose exclamation mark does not belong to it."""
        uri = head[1:]
        found = bool(head)
        while (character := self.peek()) in _NAME_CHARACTERS or character in ";/?:@&=+$,.!~*'()[]%":
            if character == "%":
                uri += self.scan_uri_escapes("tag", start)
            else:
                uri += character
                self.forward()
            found = True
        if not found:
            raise ScannerError("while parsing a tag", start, "did not find expected tag URI", self.get_mark())
        return uri

    def scan_directive(self) -> Any:
        """Directives other than YAML and TAG are refused."""
        token = super().scan_directive()
        if token.name not in ("YAML", "TAG"):
            raise ScannerError(
                "while scanning a directive",
                token.start_mark,
                "found unknown directive name",
                token.start_mark,
            )
        return token

    def scan_directive_name(self, start_mark: Mark) -> str:
        """Reads the name, with yaml.v2's own refusals."""
        length = 0
        while self.peek(length) in _NAME_CHARACTERS:
            length += 1
        if length == 0:
            self._refuse_directive("could not find expected directive name", start_mark)
        name: str = self.prefix(length)
        self.forward(length)
        if self.peek() not in _ENDS:
            self._refuse_directive("found unexpected non-alphabetical character", start_mark)
        return name

    def scan_yaml_directive_value(self, start_mark: Mark) -> tuple[int, int]:
        """Tabs may stand before the version."""
        while self.peek() in _BLANKS:
            self.forward()
        major = self.scan_yaml_directive_number(start_mark)
        if self.peek() != ".":
            self._refuse_directive("did not find expected digit or '.' character", start_mark)
        self.forward()
        return major, self.scan_yaml_directive_number(start_mark)

    def scan_yaml_directive_number(self, start_mark: Mark) -> int:
        """Numbers have two digits at most."""
        digits = ""
        while self.peek() in _DIGITS:
            digits += self.peek()
            self.forward()
            if len(digits) > 2:
                self._refuse_directive("found extremely long version number", start_mark)
        if not digits:
            self._refuse_directive("did not find expected version number", start_mark)
        return int(digits)

    def _refuse_directive(self, message: str, start: Mark) -> NoReturn:
        raise ScannerError("while scanning a directive", start, message, self.get_mark())

    def process_directives(self) -> Any:
        """The version of YAML is 1.1 and no other."""
        mark = self.peek_token().start_mark
        found = super().process_directives()
        if self.yaml_version not in (None, (1, 1)):
            raise ParserError(None, None, "found incompatible YAML document", mark)
        return found


def _folded(first: str, more: str) -> str:
    """What line breaks inside of a plain scalar come to."""
    return (more or " ") if first == "\n" else first + more
