"""Reads YAML of several documents with the place of every value, as Kubernetes' tools read manifests.

Nodes are put together here from the parser's events: libyaml's own composer recurses without a bound, and a text
of nothing but brackets ends the process. An alias is the node that it stands for and counts as large as that
each time, so that a small text cannot grow large. This module is for manifests: the registry's own configuration
is read by :mod:`regdoctor.yaml_v2`, which follows another parser to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from regdoctor.located import MOST_LEVELS, MOST_NODES, Kind, Node, SyntaxProblem, TooLarge

_KINDS: Final = {
    f"tag:yaml.org,2002:{name}": kind
    for name, kind in (
        ("null", Kind.NULL),
        ("bool", Kind.BOOLEAN),
        ("int", Kind.NUMBER),
        ("float", Kind.NUMBER),
    )
}
_TRUE: Final = re.compile(r"true|yes|on|y", re.IGNORECASE)


def parse_all(text: str, wanted: Callable[[str], bool] = lambda _kind: True) -> Iterator[Node]:
    """The trees of the documents, in order; empty ones are left out.

    :param wanted: by the text of the top-level member ``kind``: whether the document is of interest. Others are
        passed over, however large they are.
    :raises SyntaxProblem: it is no YAML; what came before was given already.
    :raises TooLarge: a document that is wanted is nested too deeply or has too many values.
    """
    import yaml

    try:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        while loader.check_event():
            if not isinstance(loader.get_event(), yaml.DocumentStartEvent):
                continue
            document = _Document(loader)
            try:
                root = document.node(0)
            except TooLarge:
                if wanted(document.kind or ""):
                    raise
                document.leave()
                continue
            if root.kind is not Kind.NULL and wanted(document.kind or ""):
                yield root
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        raise SyntaxProblem(error.problem or "it cannot be parsed", *place) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise SyntaxProblem("a character that YAML does not allow", *place) from None


class _Document:
    """Puts the events of one document together to nodes."""

    def __init__(self, loader: Any) -> None:
        self.kind: str | None = None
        self._loader = loader
        self._nodes = 0
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        """The node of each name, how many values it has, and how many levels lie below it."""
        self._deepest = 0

    def leave(self) -> None:
        """Goes on to the end of the document."""
        from yaml import DocumentEndEvent

        while self._loader.check_event() and not isinstance(self._loader.get_event(), DocumentEndEvent):
            pass

    def node(self, level: int) -> Node:
        """The next node."""
        from yaml import AliasEvent, ScalarEvent

        event = self._loader.get_event()
        self._grow(level, 1)
        if isinstance(event, AliasEvent):
            return self._alias(event, level)
        anchor, before, deepest = event.anchor, self._nodes, self._deepest
        self._deepest = level
        node = self._scalar(event) if isinstance(event, ScalarEvent) else self._collection(event, level)
        if anchor is not None:
            self._anchors[anchor] = (node, self._nodes - before + 1, self._deepest - level)
        self._deepest = max(deepest, self._deepest)
        return node

    def _grow(self, level: int, nodes: int) -> None:
        self._nodes += nodes
        self._deepest = max(self._deepest, level)
        if self._nodes > MOST_NODES:
            raise TooLarge(f"it has more than {MOST_NODES} values")
        if level > MOST_LEVELS:
            raise TooLarge(f"it is nested deeper than {MOST_LEVELS} levels")

    def _alias(self, event: Any, level: int) -> Node:
        if event.anchor not in self._anchors:
            raise SyntaxProblem(f"the alias {event.anchor} has no anchor above it", *_place(event))
        node, size, height = self._anchors[event.anchor]
        self._grow(level + height, size)
        return node

    def _scalar(self, event: Any) -> Node:
        from yaml import ScalarNode

        tag = event.tag
        if tag is None or tag == "!":
            tag = self._loader.resolve(ScalarNode, event.value, event.implicit)
        kind = _KINDS.get(tag, Kind.STRING)
        text = event.value
        if kind is Kind.BOOLEAN:
            text = "true" if _TRUE.fullmatch(text) else "false"
        return Node(kind, *_place(event), text)

    def _collection(self, event: Any, level: int) -> Node:
        from yaml import SequenceEndEvent, SequenceStartEvent

        if not isinstance(event, SequenceStartEvent):
            return self._map(event, level)
        made = Node(Kind.LIST, *_place(event))
        while not self._loader.check_event(SequenceEndEvent):
            made.items.append(self.node(level + 1))
        self._loader.get_event()
        return made

    def _map(self, event: Any, level: int) -> Node:
        from yaml import MappingEndEvent

        made = Node(Kind.MAP, *_place(event))
        merged: list[Node] = []
        while not self._loader.check_event(MappingEndEvent):
            merges = _is_merge(self._loader.peek_event())
            key = self.node(level + 1)
            value = self.node(level + 1)
            if merges:
                merged += value.items if value.kind is Kind.LIST else [value]
            elif key.kind not in (Kind.MAP, Kind.LIST):
                if level == 0 and key.value == "kind":
                    self.kind = value.value
                made.pairs.append((key.value, _moved(value, key)))
        self._loader.get_event()
        # What is merged counts less than what stands here, and the first of several most.
        for each in merged:
            self._grow(level, len(each.pairs))
            made.pairs[:0] = each.pairs
        return made


def _is_merge(event: Any) -> bool:
    from yaml import ScalarEvent

    return isinstance(event, ScalarEvent) and event.value == "<<" and bool(event.implicit[0])


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _moved(value: Node, key: Node) -> Node:
    """The value at the place of its key."""
    from dataclasses import replace

    return replace(value, line=key.line, column=key.column)
