"""Documents as nodes with places."""

# The type stubs of PyYAML leave the methods of its scanner and parser without types.
# mypy: disallow-untyped-calls=False
from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from regdoctor.yaml_v2.problems import TooLarge, YamlProblem, problem_of
from regdoctor.yaml_v2.scalars import NodeKind, kind_of
from regdoctor.yaml_v2.scanner import EventReader

MOST_LEVELS = 64
MOST_NODES = 50_000
"""No registry's configuration comes near; deeper or larger texts are given up with :class:`TooLarge`."""

_NOT_ALLOWED = re.compile("[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
    loader = EventReader(decode(data))
    try:
        return _Composer(loader).document()
    except MarkedYAMLError as error:
        raise problem_of(error) from error
    except RecursionError as error:
        raise TooLarge(f"nested deeper than {MOST_LEVELS} levels") from error


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

    def __init__(self, loader: EventReader) -> None:
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
