"""Traefik's rules of routers: which hosts they ask for, and whether an upload fits them.

The grammar is that of versions 2 and 3: functions with arguments in backquotes or double quotes, joined by ``&&``,
``||``, ``!`` and parentheses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from regdoctor.host.proxyconf import patterns
from regdoctor.host.proxyconf.requests import SAMPLES

_LONGEST: Final = 4_000
_DEEPEST: Final = 20
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<name>[A-Za-z]+)\s*\((?P<arguments>(?:\s*(?:`[^`]*`|\"(?:[^\"\\]|\\.)*\")\s*,?)*)\)"
    r"|(?P<sign>&&|\|\||!|\(|\)))"
)
_ARGUMENT: Final = re.compile(r"`([^`]*)`|\"((?:[^\"\\]|\\.)*)\"")
_UPLOAD_METHOD: Final = "PATCH"


@dataclass(frozen=True)
class Rule:
    """What a rule says about uploads."""

    fits: bool | None
    """Whether an upload fits, whatever its host; None where that cannot be told."""
    names: tuple[str, ...] = ()
    """The hosts that it asks for, in nginx's notation of patterns."""
    path: str = "/"
    """The path that it asks for, as written."""


class _Malformed(Exception):  # noqa: N818 - a state of the rule
    """The text is no rule."""


def read_rule(text: str) -> Rule:
    """What a rule says; one that cannot be read says nothing."""
    if len(text) > _LONGEST:
        return Rule(fits=None)
    try:
        reader = _Reader(text)
        fits = reader.either(0)
        reader.end()
    except _Malformed:
        return Rule(fits=None)
    return Rule(fits=fits, names=tuple(dict.fromkeys(reader.names)), path=reader.path)


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[re.Match[str]] = []
        self._at = 0
        self.names: list[str] = []
        self.path = "/"
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise _Malformed
            self._tokens.append(match)
            position = match.end()

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise _Malformed

    def _sign(self, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at]["sign"] == sign:
            self._at += 1
            return True
        return False

    def either(self, depth: int) -> bool | None:
        found = self._both(depth)
        while self._sign("||"):
            other = self._both(depth)
            found = True if True in (found, other) else None if None in (found, other) else False
        return found

    def _both(self, depth: int) -> bool | None:
        found = self._single(depth)
        while self._sign("&&"):
            other = self._single(depth)
            found = False if False in (found, other) else None if None in (found, other) else True
        return found

    def _single(self, depth: int) -> bool | None:
        if depth > _DEEPEST:
            raise _Malformed
        if self._sign("!"):
            known = len(self.names)
            found = self._single(depth + 1)
            # That it is not for a host says nothing about those that it is for.
            excluded = len(self.names) > known
            del self.names[known:]
            return True if excluded else None if found is None else not found
        if self._sign("("):
            found = self.either(depth + 1)
            if not self._sign(")"):
                raise _Malformed
            return found
        if self._at >= len(self._tokens) or self._tokens[self._at]["name"] is None:
            raise _Malformed
        token = self._tokens[self._at]
        self._at += 1
        arguments = [each[0] or each[1] for each in _ARGUMENT.findall(token["arguments"])]
        return self._call(token["name"], arguments)

    def _call(self, name: str, arguments: list[str]) -> bool | None:
        if name in ("Host", "HostHeader"):
            self.names += [each.lower() for each in arguments]
            return True
        if name == "HostRegexp":
            self.names += [_host_pattern(each) for each in arguments]
            return True
        if name in ("Method", "Methods"):
            return _UPLOAD_METHOD in (each.upper() for each in arguments)
        if name in ("Path", "PathPrefix", "PathRegexp"):
            self.path = arguments[0] if arguments else "/"
            found = [_path_fits(name, each, path) for each in arguments for path in SAMPLES]
            return True if True in found else None if None in found else False
        return None


def _host_pattern(text: str) -> str:
    """Version 2 writes ``{name:expression}`` into the host, version 3 has an expression only."""
    if "{" in text and re.search(r"\{[A-Za-z_]\w*:", text):
        return "~^" + re.sub(r"\{[A-Za-z_]\w*:([^{}]*)\}", r"(\1)", text.replace(".", r"\.")) + "$"
    return f"~{text}"


def _path_fits(name: str, value: str, path: str) -> bool | None:
    if name == "PathRegexp":
        return patterns.search(value, path)
    if "{" in value:
        expression = re.sub(r"\{[A-Za-z_]\w*:([^{}]*)\}", r"(\1)", value)
        return patterns.search(f"^{expression}", path)
    return path == value if name == "Path" else path.startswith(value)
