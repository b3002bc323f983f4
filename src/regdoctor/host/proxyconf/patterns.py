"""Matches the regular expressions of foreign configurations, whatever they are, in bounded time.

Python's own engine backtracks, and an expression from a file may keep it busy for ever. Here all ways through an
expression are followed at once, as RE2 does, so that the time is bounded by length times length. What backtracking
engines alone have (look-around, back references) is not known here, and said to be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LONGEST: Final = 500
_DEEPEST: Final = 20
_MOST_STEPS: Final = 100_000

Positions = frozenset[int]
Node = Callable[["_Run", Positions], Positions]
"""From the positions where a part of the expression may begin to those where it may end."""


class _Unknown(Exception):  # noqa: N818 - a state of the expression
    """The expression has a construct that is not known here, or is too large."""


class _Run:
    def __init__(self, text: str) -> None:
        self.text = text
        self._steps = 0

    def count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MOST_STEPS:
            raise _Unknown


def search(expression: str, text: str, *, ignore_case: bool = False) -> bool | None:
    """Whether an expression (PCRE, RE2) matches anywhere in a short text; None where that cannot be told here."""
    return _match(expression, text, ignore_case, range(len(text) + 1), None)


def full_match(expression: str, text: str, *, ignore_case: bool = False) -> bool | None:
    """Whether an expression matches the whole of a short text; None where that cannot be told here."""
    return _match(expression, text, ignore_case, (0,), len(text))


_SIMPLE: Final = re.compile(r"\^?(?:[\w/~-]|\\[./-]|\(\.[*+]\))*\$?")
_MOST_GROUPS: Final = 3
_GROUP: Final = re.compile(r"[$\\](?:(\d)|\{(\d)\})")


def rewritten(expression: str, replacement: str, text: str) -> str | None:
    r"""What a rewriting makes of a short text that the expression matches; None where that cannot be told here.

    Known are expressions of fixed characters and up to three groups ``(.*)`` or ``(.+)``, which no text keeps
    busy for long. As nginx (``rewrite``) and haproxy (``replace-path``) have it, the whole text is replaced, in
    which ``$1`` or ``\\1`` stand for the groups.
    """
    groups = expression.count("(")
    if len(expression) > LONGEST or groups > _MOST_GROUPS or not _SIMPLE.fullmatch(expression):
        return None
    match = re.search(expression, text)
    if match is None:
        return None
    if re.search(r"[$\\](?!\d|\{\d\})", replacement):
        return None
    numbers = [int(each[1] or each[2]) for each in _GROUP.finditer(replacement)]
    if any(number > groups for number in numbers):
        return None
    return _GROUP.sub(lambda each: match[int(each[1] or each[2])], replacement[:LONGEST])


def _match(
    expression: str, text: str, ignore_case: bool, starts: range | tuple[int, ...], end: int | None
) -> bool | None:
    if len(expression) > LONGEST:
        return None
    try:
        ends = _Parser(expression, ignore_case).expression()(_Run(text), frozenset(starts))
    except (_Unknown, RecursionError):
        return None
    return bool(ends) if end is None else end in ends


class _Parser:
    """A recursive descent over the expression."""

    def __init__(self, expression: str, ignore_case: bool) -> None:
        match = re.match(r"\(\?([a-zA-Z]+)\)", expression)
        if match is not None:
            if not set(match[1]) <= set("imsU"):
                raise _Unknown
            ignore_case = ignore_case or "i" in match[1]
            expression = expression[match.end() :]
        self._text = expression
        self._at = 0
        self._depth = 0
        self._ignore_case = ignore_case

    def expression(self) -> Node:
        node = self._alternatives()
        if self._at < len(self._text):
            raise _Unknown
        return node

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise _Unknown
        self._at += 1
        return self._text[self._at - 1]

    def _alternatives(self) -> Node:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        return lambda run, starts: frozenset().union(*(branch(run, starts) for branch in branches))

    def _sequence(self) -> Node:
        nodes: list[Node] = []
        while self._at < len(self._text) and not self._peek("|") and not self._peek(")"):
            nodes.append(self._repeated(self._atom()))

        def follow(run: _Run, starts: Positions) -> Positions:
            for node in nodes:
                if not starts:
                    break
                starts = node(run, starts)
            return starts

        return follow

    def _repeated(self, node: Node) -> Node:
        while True:
            if self._take("*"):
                least, most = 0, None
            elif self._take("+"):
                least, most = 1, None
            elif self._take("?"):
                least, most = 0, 1
            else:
                match = re.compile(r"\{(\d{1,3})(,(\d{0,3}))?\}").match(self._text, self._at)
                if match is None:
                    return node
                self._at = match.end()
                least = int(match[1])
                most = least if match[2] is None else int(match[3]) if match[3] else None
            # Lazy and possessive: which of several matches is taken makes no difference here.
            if not self._take("?"):
                self._take("+")
            node = _repeat(node, least, most)

    def _atom(self) -> Node:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return _one(self._class())
        if character == ".":
            return _one(lambda _character: True)
        if character == "^":
            return lambda _run, starts: starts & {0}
        if character == "$":
            return lambda run, starts: starts & {len(run.text)}
        if character == "\\":
            return self._escape()
        if character in "*+?":
            raise _Unknown
        return self._literal(character)

    def _literal(self, character: str) -> Node:
        if self._ignore_case:
            lower = character.lower()
            return _one(lambda each: each.lower() == lower)
        return _one(lambda each: each == character)

    def _group(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Unknown
        if self._take("?") and not self._take(":"):
            name = re.compile(r"P?<[A-Za-z_]\w*>|'[A-Za-z_]\w*'").match(self._text, self._at)
            if name is None:
                raise _Unknown
            self._at = name.end()
        node = self._alternatives()
        if not self._take(")"):
            raise _Unknown
        self._depth -= 1
        return node

    def _escape(self) -> Node:
        character = self._next()
        known = _CLASSES.get(character)
        if known is not None:
            return _one(known)
        if character in "Az":
            return lambda run, starts: starts & {0 if character == "A" else len(run.text)}
        if character.isalnum():
            raise _Unknown
        return self._literal(character)

    def _class(self) -> Callable[[str], bool]:
        negated = self._take("^")
        tests: list[Callable[[str], bool]] = []
        first = True
        while first or not self._peek("]"):
            first = False
            low = self._member(tests)
            if low is None:
                continue
            high = low
            if self._peek("-") and not self._peek("-]"):
                self._take("-")
                last = self._member(tests)
                if last is None:
                    raise _Unknown
                high = last
            tests.append(self._range(low, high))
        self._take("]")
        return lambda each: any(test(each) for test in tests) != negated

    def _member(self, tests: list[Callable[[str], bool]]) -> str | None:
        """A character of a class; None where a class of several stands there, which is added to the tests."""
        if self._peek("[:"):
            raise _Unknown
        character = self._next()
        if character != "\\":
            return character
        character = self._next()
        known = _CLASSES.get(character)
        if known is not None:
            tests.append(known)
            return None
        if character.isalnum():
            raise _Unknown
        return character

    def _range(self, low: str, high: str) -> Callable[[str], bool]:
        if not self._ignore_case:
            return lambda each: low <= each <= high
        return lambda each: low <= each.lower() <= high or low <= each.upper() <= high


def _one(test: Callable[[str], bool]) -> Node:
    def match(run: _Run, starts: Positions) -> Positions:
        run.count(len(starts))
        return frozenset(each + 1 for each in starts if each < len(run.text) and test(run.text[each]))

    return match


def _repeat(node: Node, least: int, most: int | None) -> Node:
    def match(run: _Run, starts: Positions) -> Positions:
        for _ in range(min(least, len(run.text) + 1)):
            run.count(1)
            starts = node(run, starts)
        found = fresh = starts
        turns = 0
        while fresh and (most is None or turns < most - least):
            run.count(1)
            fresh = node(run, fresh) - found
            found |= fresh
            turns += 1
        return found

    return match


_CLASSES: Final = {
    "d": lambda character: character.isdigit(),
    "D": lambda character: not character.isdigit(),
    "w": lambda character: character.isalnum() or character == "_",
    "W": lambda character: not (character.isalnum() or character == "_"),
    "s": lambda character: character.isspace(),
    "S": lambda character: not character.isspace(),
}
