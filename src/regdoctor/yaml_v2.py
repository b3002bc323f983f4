"""Reads YAML as the CNCF registry does, and keeps the place of every node.

The registry reads its configuration with gopkg.in/yaml.v2, a port of libyaml to Go. PyYAML comes from the same
origin, but refuses tabs that libyaml allows and takes some texts that libyaml refuses; where the two differ
this module follows yaml.v2 (``scannerc.go``, ``parserc.go``, ``decode.go``, version 2.4.0). Problems have
yaml.v2's wording, so that they can be found in the registry's log.

Only the first document counts, as for the registry. This module imports PyYAML: import it where it is used.
"""

# The type stubs of PyYAML leave the methods of its scanner and parser without types.
# mypy: disallow-untyped-calls=False
from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NoReturn

from yaml.error import Mark, MarkedYAMLError
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from yaml.parser import Parser, ParserError
from yaml.reader import Reader
from yaml.scanner import Scanner, ScannerError
from yaml.tokens import ScalarToken, TagToken

MOST_LEVELS = 64
MOST_NODES = 50_000
"""No registry's configuration comes near; deeper or larger texts are given up with :class:`TooLarge`."""

_BREAKS = "\r\n\x85\u2028\u2029"
_BLANKS = " \t"
_ENDS = f"\0{_BLANKS}{_BREAKS}"

_DIGITS = frozenset("0123456789")
_NAME_CHARACTERS = _DIGITS | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-")

_NOT_ALLOWED = re.compile("[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class YamlProblem(Exception):  # noqa: N818 - a problem of the text, not of the program
    """The text is not YAML for the registry. Lines and columns count from 1.

    ``began`` is the line on which the construct began that goes wrong here, or None where that says nothing.
    """

    def __init__(self, message: str, line: int, column: int, began: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.began = began if began != line else None


class TooLarge(Exception):  # noqa: N818 - a state of the text
    """The text has more nodes or levels than this module reads; it may be right all the same."""


class NodeKind(StrEnum):
    """What a node is; scalars are told apart as yaml.v2 resolves them (``resolve.go``)."""

    MAP = "map"
    LIST = "list"
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    NULL = "null"


@dataclass
class Node:
    """One node of a document. Line and column count from 1. An alias is the node that it stands for."""

    kind: NodeKind
    line: int
    column: int
    value: str = ""
    """The text of a scalar, without quotes."""
    plain: bool = False
    """Whether a scalar stands without quotes and without a tag."""
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    """The members of a map, in order, repeated keys and merges included."""
    items: list[Node] = field(default_factory=list)
    decodes: int = 1
    """How many nodes yaml.v2 decodes for it, with aliases followed."""
    from_aliases: int = 0
    """How many of these lie behind aliases."""
    problem: YamlProblem | None = None
    """Why yaml.v2 refuses the document, but only once it decodes this node: below unknown keys it does not."""

    @property
    def is_merge(self) -> bool:
        """Whether it is the key ``<<``."""
        return self.plain and self.value == "<<"


def decode(data: bytes) -> str:
    """Decodes as yaml.v2 does: UTF-8, or UTF-16 with a byte order mark.

    :raises YamlProblem: invalid bytes, or characters that YAML does not allow.
    """
    encoding, mark = "utf-8", codecs.BOM_UTF8
    for name, each in (("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE)):
        if data.startswith(each):
            encoding, mark = name, each
    data = data.removeprefix(mark)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        shown = f"byte 0x{data[error.start]:02x}"
        what = "UTF-8" if encoding == "utf-8" else "UTF-16"
        raise YamlProblem(f"invalid {what}: {shown}", *_end_of(before)) from None
    match = _NOT_ALLOWED.search(text)
    if match is not None:
        raise YamlProblem(
            f"control characters are not allowed (U+{ord(match[0]):04X})", *_end_of(text[: match.start()])
        )
    return text


def _end_of(text: str) -> tuple[int, int]:
    """Line and column of what follows a text."""
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    return len(lines), len(lines[-1]) + 1


def read(data: bytes) -> Node | None:
    """The root of the first document, or None where there is none.

    :raises YamlProblem: the registry refuses it.
    :raises TooLarge: it is larger than this module reads.
    """
    loader = _Loader(decode(data))
    try:
        return _Composer(loader).document()
    except MarkedYAMLError as error:
        raise _problem(error) from error
    except RecursionError as error:
        raise TooLarge(f"nested deeper than {MOST_LEVELS} levels") from error


_WORDINGS = (
    (
        re.compile(r"found character .* that cannot start any token"),
        "found character that cannot start any token",
    ),
    (re.compile(r"mapping values are not allowed here"), "mapping values are not allowed in this context"),
    (re.compile(r"mapping keys are not allowed here"), "mapping keys are not allowed in this context"),
    (
        re.compile(r"sequence entries are not allowed here"),
        "block sequence entries are not allowed in this context",
    ),
    (re.compile(r"expected (',' or '[\]}]'), but got .*"), r"did not find expected \1"),
    (re.compile(r"expected the node content, but found .*"), "did not find expected node content"),
    (re.compile(r"expected '<document start>', but found .*"), "did not find expected <document start>"),
    (
        re.compile(r"expected alphabetic or numeric character, but found .*"),
        "did not find expected alphabetic or numeric character",
    ),
    (re.compile(r"found unknown escape character .*"), "found unknown escape character"),
    (re.compile(r"found unexpected document separator"), "found unexpected document indicator"),
    (re.compile(r"found undefined tag handle .*"), "found undefined tag handle"),
    (
        re.compile(r"expected a comment or a line break, but found .*"),
        "did not find expected comment or line break",
    ),
    (
        re.compile(r"expected chomping or indentation indicators, but found .*"),
        "did not find expected comment or line break",
    ),
)


def _problem(error: MarkedYAMLError) -> YamlProblem:
    """PyYAML's error in the words of yaml.v2."""
    message = error.problem or "unknown problem parsing YAML content"
    if message.startswith("expected <block end>, but found"):
        in_list = error.context == "while parsing a block collection"
        message = "did not find expected '-' indicator" if in_list else "did not find expected key"
    for pattern, wording in _WORDINGS:
        message = pattern.sub(wording, message)
    mark = error.problem_mark or error.context_mark
    began = error.context_mark
    return YamlProblem(
        message,
        mark.line + 1 if mark is not None else 1,
        mark.column + 1 if mark is not None else 1,
        began.line + 1 if began is not None else None,
    )


# \' is an escape for yaml.v2, \/ is none.
_ESCAPES: Final = {key: text for key, text in Scanner.ESCAPE_REPLACEMENTS.items() if key != "/"} | {"'": "'"}


class _Loader(Reader, Scanner, Parser):
    """PyYAML's scanner and parser with the rules of yaml.v2 where they differ."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    ESCAPE_REPLACEMENTS = _ESCAPES  # type: ignore[misc]

    def scan_to_next_token(self) -> None:
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
        found = super().scan_block_scalar_indentation()
        self._refuse_tab()
        return found

    def scan_block_scalar_breaks(self, indent: int) -> Any:
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
        while self.peek() in _BLANKS:
            self.forward()
        major = self.scan_yaml_directive_number(start_mark)
        if self.peek() != ".":
            self._refuse_directive("did not find expected digit or '.' character", start_mark)
        self.forward()
        return major, self.scan_yaml_directive_number(start_mark)

    def scan_yaml_directive_number(self, start_mark: Mark) -> int:
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
        mark = self.peek_token().start_mark
        found = super().process_directives()
        if self.yaml_version not in (None, (1, 1)):
            raise ParserError(None, None, "found incompatible YAML document", mark)
        return found


def _folded(first: str, more: str) -> str:
    """What line breaks inside of a plain scalar come to."""
    return (more or " ") if first == "\n" else first + more


_ALIASES_LEFT_ALONE = 100
_DECODES_LEFT_ALONE = 1000
_MOST_FROM_ALIASES = 0.99
"""How many aliases yaml.v2 follows in a document of ordinary size (``decode.go``, allowedAliasRatio)."""


def has_excessive_aliases(nodes: Iterable[Node]) -> bool:
    """Whether yaml.v2 gives up decoding these nodes for their many aliases."""
    decodes, from_aliases = 0, 0
    for node in nodes:
        decodes, from_aliases = decodes + node.decodes, from_aliases + node.from_aliases
    return (
        from_aliases > _ALIASES_LEFT_ALONE
        and decodes > _DECODES_LEFT_ALONE
        and from_aliases / decodes > _MOST_FROM_ALIASES
    )


class _Composer:
    """Puts the events of the first document together to nodes."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._anchors: dict[str, Node] = {}
        self._open: set[int] = set()
        self._nodes = 0

    def document(self) -> Node | None:
        if not self._loader.check_event(StreamStartEvent) or self._loader.get_event() is None:
            return None
        if self._loader.check_event(StreamEndEvent):
            return None
        self._loader.get_event()
        root, _alias = self._node(0)
        self._loader.get_event()
        return root

    def _node(self, level: int) -> tuple[Node, bool]:
        """The next node, and whether an alias stands for it here."""
        self._nodes += 1
        if level > MOST_LEVELS:
            raise TooLarge(f"nested deeper than {MOST_LEVELS} levels")
        if self._nodes > MOST_NODES:
            raise TooLarge(f"more than {MOST_NODES} values")
        event = self._loader.get_event()
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, AliasEvent):
            return self._alias(event.anchor or "", line, column), True
        if isinstance(event, ScalarEvent):
            node = _scalar(event, line, column)
            self._anchor(event.anchor, node)
            return node, False
        in_map = isinstance(event, MappingStartEvent)
        node = Node(kind=NodeKind.MAP if in_map else NodeKind.LIST, line=line, column=column)
        self._anchor(event.anchor, node)
        self._open.add(id(node))
        self._children(node, level + 1)
        self._open.discard(id(node))
        return node, False

    def _children(self, node: Node, level: int) -> None:
        children: list[Node] = []
        while not self._loader.check_event(MappingEndEvent, SequenceEndEvent):
            child, alias = self._node(level)
            node.decodes += child.decodes + (1 if alias else 0)
            node.from_aliases += child.decodes if alias else child.from_aliases
            children.append(child)
        self._loader.get_event()
        if node.kind is NodeKind.LIST:
            node.items = children
            return
        node.pairs = list(zip(children[::2], children[1::2], strict=True))
        for key, value in node.pairs:
            if key.is_merge:
                key.problem = _merge_problem(value)

    def _alias(self, name: str, line: int, column: int) -> Node:
        node = self._anchors.get(name)
        if node is None:
            raise YamlProblem(f"unknown anchor '{name}' referenced", line, column)
        if id(node) in self._open:
            problem = YamlProblem(f"anchor '{name}' value contains itself", line, column)
            return Node(kind=NodeKind.NULL, line=line, column=column, problem=problem)
        return node

    def _anchor(self, name: str | None, node: Node) -> None:
        # A name may be given again; the latest one counts.
        if name is not None:
            self._anchors[name] = node


def _merge_problem(value: Node) -> YamlProblem | None:
    values = value.items if value.kind is NodeKind.LIST else [value]
    if all(each.kind is NodeKind.MAP for each in values):
        return None
    wording = "map merge requires map or sequence of maps as the value"
    return YamlProblem(wording, value.line, value.column)


def _scalar(event: ScalarEvent, line: int, column: int) -> Node:
    plain = bool(event.implicit[0]) and event.style is None
    kind = NodeKind.STRING
    if plain or event.tag is not None:
        kind = _KINDS_OF_TAGS.get(event.tag or "") or kind_of(event.value)
    if event.tag is not None and event.tag not in _KINDS_OF_TAGS and event.tag != "!":
        kind = NodeKind.STRING
    return Node(kind=kind, line=line, column=column, value=event.value, plain=plain)


_KINDS_OF_TAGS = {
    f"tag:yaml.org,2002:{name}": kind
    for name, kind in (
        ("str", NodeKind.STRING),
        ("binary", NodeKind.STRING),
        ("bool", NodeKind.BOOLEAN),
        ("int", NodeKind.INTEGER),
        ("float", NodeKind.FLOAT),
        ("null", NodeKind.NULL),
    )
}

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
