"""haproxy's conditions: what they say about an upload, a header, a method (configuration manual, 7).

A condition is an OR of ANDs of tests, each of which may be negated. Of the tests those are understood that tell
requests of a registry apart: host, path, method, TLS and whether a header is there. What others say is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from regdoctor.facts.proxyconf import HeaderCondition
from regdoctor.host.proxyconf import patterns
from regdoctor.host.proxyconf.requests import SAMPLES

_MOST_TERMS: Final = 200
_MOST_TESTS: Final = 200
_HOST: Final = re.compile(
    r"(?:req\.)?(?:f?hdr|hdr_beg|hdr_end|hdr_dom|hdr_reg|hdr_sub)\(host\)(?:,.*)?|ssl_fc_sni\w*|req\.ssl_sni\w*",
    re.IGNORECASE,
)
_HEADER: Final = re.compile(r"(?:req\.)?f?hdr(?:_cnt)?\(([\w-]+)\)(?:,.*)?", re.IGNORECASE)
_FLAGS_WITH_VALUE: Final = frozenset({"-m", "-f", "-u", "-M"})
_PREDEFINED: Final = MappingProxyType(
    {
        "TRUE": ("always_true",),
        "FALSE": ("always_false",),
        "METH_CONNECT": ("method", "CONNECT"),
        "METH_DELETE": ("method", "DELETE"),
        "METH_GET": ("method", "GET", "HEAD"),
        "METH_HEAD": ("method", "HEAD"),
        "METH_OPTIONS": ("method", "OPTIONS"),
        "METH_POST": ("method", "POST"),
        "METH_PUT": ("method", "PUT"),
        "METH_TRACE": ("method", "TRACE"),
    }
)

Test = tuple[str, ...]


class Verdict(Enum):
    """What a condition comes to."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class _Term:
    """A test of one or several acl lines (of which one has to hold), and whether it is negated."""

    tests: tuple[Test, ...]
    negated: bool

    def verdict(self, judge: Callable[[Test], Verdict]) -> Verdict:
        """What it comes to."""
        return _negate(_any(judge(test) for test in self.tests), negated=self.negated)


@dataclass(frozen=True)
class Condition:
    """``if`` or ``unless`` with what follows; without either it always holds."""

    branches: tuple[tuple[_Term, ...], ...] = ()
    inverted: bool = False

    @property
    def tests(self) -> Iterator[Test]:
        """Every test of it."""
        return (test for branch in self.branches for term in branch for test in term.tests)

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that it asks for; empty where it asks for none."""
        if self.inverted:
            return ()
        found: list[str] = []
        for branch in self.branches:
            names = [
                name
                for term in branch
                if not term.negated
                for test in term.tests
                for name in _host_names(test)
            ]
            if not names:
                return ()
            found += names
        return tuple(dict.fromkeys(found))

    @property
    def path(self) -> str | None:
        """The path that it asks for, as written."""
        if self.inverted:
            return None
        return next((test[-1] for test in self.tests if test[0].startswith("path") and len(test) > 1), None)

    def for_upload(self) -> Verdict:
        """Whether it holds for an upload to one of the names that it asks for."""
        return self._verdict(_for_patch)

    def refuses(self, method: str) -> bool:
        """Whether it holds for an upload's path because of the method."""
        if not any(test[0] == "method" for test in self.tests):
            return False
        return self._verdict(lambda test: _test(test, method=method)) is Verdict.TRUE

    def for_header(self, name: str) -> HeaderCondition | None:
        """For which requests it holds that set the header of this name; None for none."""
        if not self.branches:
            return HeaderCondition.ALWAYS
        verdict = self.for_upload()
        if verdict is not Verdict.UNKNOWN:
            return HeaderCondition.ALWAYS if verdict is Verdict.TRUE else None
        undecided = [
            term
            for branch in self.branches
            for term in branch
            if term.verdict(_for_patch) is not Verdict.TRUE
        ]
        if len(self.branches) == 1 and len(undecided) == 1 and len(undecided[0].tests) == 1:
            term = undecided[0]
            negated = term.negated != self.inverted
            test = term.tests[0]
            if test == ("ssl_fc",):
                return HeaderCondition.PLAIN if negated else HeaderCondition.TLS
            header = _HEADER.fullmatch(test[0])
            if header is not None and header[1].lower() == name and ("found" in test or "hdr_cnt" in test[0]):
                return HeaderCondition.ABSENT if negated else HeaderCondition.PRESENT
        return HeaderCondition.UNKNOWN

    def _verdict(self, judge: Callable[[Test], Verdict]) -> Verdict:
        if not self.branches:
            return Verdict.TRUE
        branches = [_all(term.verdict(judge) for term in branch) for branch in self.branches]
        return _negate(_any(branches), negated=self.inverted)


NamedTests = Mapping[str, tuple[Test, ...]]
"""The tests of a section that have names (``acl``)."""


def read_condition(named: NamedTests, words: Sequence[str]) -> Condition:
    """The condition at the end of a line; what stands before ``if`` or ``unless`` is passed over.

    :param named: the section's named tests.
    """
    start = next((number for number, word in enumerate(words) if word in ("if", "unless")), None)
    if start is None:
        return Condition()
    branches: list[tuple[_Term, ...]] = []
    terms: list[_Term] = []
    negated = False
    rest = list(words[start + 1 :][:_MOST_TERMS])
    while rest:
        word = rest.pop(0)
        if word in ("or", "||"):
            branches.append(tuple(terms))
            terms = []
            continue
        while word.startswith("!"):
            negated = not negated
            word = word[1:]
        if not word:
            continue
        if word == "{":
            end = rest.index("}") if "}" in rest else len(rest)
            tests: tuple[Test, ...] = (_plain(rest[:end]),) if rest[:end] else ()
            rest = rest[end + 1 :]
        else:
            tests = named.get(word) or ((_PREDEFINED[word],) if word in _PREDEFINED else (("unknown",),))
        if tests:
            terms.append(_Term(tests, negated))
        negated = False
    branches.append(tuple(terms))
    return Condition(tuple(each for each in branches if each), inverted=words[start] == "unless")


def named_tests(definitions: Iterable[Sequence[str]]) -> NamedTests:
    """The named tests of a section, from the words of its ``acl`` lines; what very many come to is unknown."""
    named: dict[str, list[Test]] = {}
    for words in definitions:
        if len(words) > 2:
            tests = named.setdefault(words[1], [])
            if len(tests) < _MOST_TESTS:
                tests.append(_plain(words[2:]))
            elif len(tests) == _MOST_TESTS:
                tests.append(("unknown",))
    return {name: tuple(tests) for name, tests in named.items()}


def _plain(words: Sequence[str]) -> Test:
    """A test without its flags; the way of matching stays as a word of its own."""
    test = [words[0].lower() if not words[0].startswith("path") else words[0]]
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if word in _FLAGS_WITH_VALUE and rest:
            value = rest.pop(0)
            if word == "-m":
                test[0] += f" {value}" if value != "found" else ""
                test += ["found"] if value == "found" else []
            elif word == "-f":
                test.append("\0file")
            continue
        if word == "--":
            test += rest
            break
        if word in ("-i", "-n"):
            continue
        test.append(word)
    return tuple(test)


def _host_names(test: Test) -> Iterator[str]:
    """The names that a test of the host asks for, in nginx's notation of patterns."""
    criterion, _, how = test[0].partition(" ")
    if _HOST.fullmatch(criterion) is None or "\0file" in test or "found" in test:
        return
    kind = how or (re.search(r"hdr_(\w+)|_(end|beg|reg|sub|dom)$", criterion) or [""])[0].rpartition("_")[2]
    for value in test[1:]:
        if kind == "reg":
            yield f"~{value}"
        elif kind == "end":
            yield f"*{value}" if value.startswith(".") else f"~{re.escape(value)}$"
        elif kind == "beg":
            yield f"~^{re.escape(value)}"
        elif kind in ("dom", "sub", "dir"):
            yield f"~{re.escape(value)}"
        else:
            yield value


def _test(test: Test, *, method: str) -> Verdict:
    """What a test comes to for an upload; one of the host counts as true, for the names say for which."""
    criterion, _, how = test[0].partition(" ")
    values = test[1:]
    if criterion == "always_true":
        return Verdict.TRUE
    if criterion == "always_false":
        return Verdict.FALSE
    if any(_host_names(test)):
        return Verdict.TRUE
    if criterion == "method":
        return Verdict.TRUE if method in values else Verdict.FALSE
    match = re.fullmatch(r"path(?:_(beg|end|sub|reg|dir|dom|len))?", criterion)
    if match is None or "\0file" in values:
        return Verdict.UNKNOWN
    kind = match[1] or {"str": ""}.get(how, how)
    found = [_path_matches(kind, value, path) for value in values for path in SAMPLES]
    if any(each is True for each in found):
        return Verdict.TRUE
    return Verdict.UNKNOWN if None in found else Verdict.FALSE


def _path_matches(kind: str, value: str, path: str) -> bool | None:
    if kind == "":
        return path == value
    if kind == "beg":
        return path.startswith(value)
    if kind == "end":
        return path.endswith(value)
    if kind == "sub":
        return value in path
    if kind == "dir":
        return f"/{value.strip('/')}/" in f"{path}/"
    return patterns.search(value, path) if kind == "reg" else None


def _for_patch(test: Test) -> Verdict:
    return _test(test, method="PATCH")


def _any(verdicts: Iterable[Verdict]) -> Verdict:
    found = set(verdicts)
    if Verdict.TRUE in found:
        return Verdict.TRUE
    return Verdict.UNKNOWN if Verdict.UNKNOWN in found else Verdict.FALSE


def _all(verdicts: Iterable[Verdict]) -> Verdict:
    found = set(verdicts)
    if Verdict.FALSE in found:
        return Verdict.FALSE
    return Verdict.UNKNOWN if Verdict.UNKNOWN in found else Verdict.TRUE


def _negate(verdict: Verdict, *, negated: bool) -> Verdict:
    if not negated or verdict is Verdict.UNKNOWN:
        return verdict
    return Verdict.FALSE if verdict is Verdict.TRUE else Verdict.TRUE
