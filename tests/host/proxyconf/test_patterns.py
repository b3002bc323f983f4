"""Regular expressions of foreign files, in bounded time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.host.proxyconf import patterns

PATH = "/v2/team/app/blobs/uploads/"


@pytest.mark.parametrize(
    "expression",
    [
        "^/v2/",
        r"^/v2/.+/blobs/uploads/?$",
        r"\.(?:html|css)$",
        "^/v[12]/",
        "/(?<repository>[^/]+)/app",
        "^/v2/(?!_catalog)",
        "uploads/{1,2}$",
        "^/V2/",
        r"\A/v\d/",
        "^/v2/(team|other)/",
        "[a-c]pp",
        "[^v]2",
        ".*?app.+",
    ],
)
def test_what_is_known_agrees_with_pythons_own_engine(expression: str) -> None:
    python = re.sub(r"\(\?<(?=\w)", "(?P<", expression)
    found = patterns.search(expression, PATH)

    if "(?!" in expression:
        assert found is None
    else:
        assert found is (re.search(python, PATH) is not None)


@given(st.text(alphabet="ab(|)*+?[]^$.-\\{,1}", max_size=12), st.text(alphabet="ab", max_size=6))
def test_no_expression_is_judged_otherwise_than_by_python(expression: str, text: str) -> None:
    try:
        wanted = re.search(expression, text) is not None
    except (re.error, RecursionError, FutureWarning):
        return
    assert patterns.search(expression, text) in (None, wanted)


def test_letters_case_is_ignored_on_request() -> None:
    assert patterns.search("^/V2/", PATH) is False
    assert patterns.search("^/V2/", PATH, ignore_case=True) is True
    assert patterns.search("(?i)^/V2/", PATH) is True


def test_a_whole_match() -> None:
    assert patterns.full_match("/v2/.*", PATH) is True
    assert patterns.full_match("/v2/", PATH) is False


@pytest.mark.parametrize(
    "expression", ["(?=a)", r"(a)\1", "(?<!a)b", "(", "[", "a" * 501, "*a", "(" * 40 + ")" * 40]
)
def test_what_is_not_known_is_said_to_be_unknown(expression: str) -> None:
    assert patterns.search(expression, PATH) is None


@pytest.mark.parametrize(
    "expression", ["^(a+)+$", "(a*)*b", "(a|aa)+$", "(((a{0,99}){0,99}){0,99})b", "(.*)*" * 40 + "b"]
)
def test_no_expression_takes_long(expression: str) -> None:
    started = time.process_time()
    patterns.search(expression, "a" * 60 + "!")

    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("expression", "replacement", "wanted"),
    [
        ("^/v2/(.*)$", "/$1", "/team/app/blobs/uploads/"),
        ("/v2/(.*)", "/\\1", "/team/app/blobs/uploads/"),
        ("^(.*)/$", "$1", "/v2/team/app/blobs/uploads"),
        ("^/v2/(.+)/blobs/(.*)", "/v2/mirror/${1}/blobs/$2", "/v2/mirror/team/app/blobs/uploads/"),
        (r"^/v2/team\/(.*)", "/x/$1", "/x/app/blobs/uploads/"),
    ],
)
def test_what_a_rewriting_makes_of_a_path(expression: str, replacement: str, wanted: str) -> None:
    assert patterns.rewritten(expression, replacement, PATH) == wanted


@pytest.mark.parametrize(
    ("expression", "replacement"),
    [
        ("^/v2/([^/]+)", "/$1"),
        ("^/v2/(.*)", "/$host/$1"),
        ("^/v2/(.*)", "/$2"),
        ("^/other/(.*)", "/$1"),
        ("(.*)(.*)(.*)(.*)", "/$1"),
        ("^/v2/(a+)+$", "/$1"),
    ],
)
def test_a_rewriting_that_cannot_be_told(expression: str, replacement: str) -> None:
    assert patterns.rewritten(expression, replacement, PATH) is None
