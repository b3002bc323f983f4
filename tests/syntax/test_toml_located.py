"""TOML with the place of every key."""

from __future__ import annotations

import time
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge
from regdoctor.toml_located import parse

TEXT = '''# a comment = 1
server = "https://reg.test"   # [not.a.table]
"quoted key" = 1
dotted.key = { inline = true, more = ["x",
  "y"] }
multi = """
[no.table]
key = 1 \\"""
"""
literal = \'\'\'
] = {\'\'\'

[host."https://mirror.test:5000"]
  capabilities = [
    "pull",   # one
    "resolve"]
  [host."https://mirror.test:5000".header]
    x = "y"

[[registry]]
location = "a"
[[registry.mirror]]
location = "m1"
[[registry.mirror]]
location = "m2"

[[registry]]
location = "b"
  [[registry.mirror]]
  location = "m3"
'''


def places(node: Node, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], tuple[int, int]]:
    found = {path: (node.line, node.column)}
    for key, value in node.pairs:
        found |= places(value, (*path, key))
    for index, item in enumerate(node.items):
        found |= places(item, (*path, index))
    return found


def plain(node: Node) -> Any:
    if node.kind is Kind.MAP:
        return {key: plain(value) for key, value in node.pairs}
    if node.kind is Kind.LIST:
        return [plain(item) for item in node.items]
    return node.value


def test_everything_knows_its_place() -> None:
    found = places(parse(TEXT))
    assert {path: place for path, place in found.items() if path} == {
        ("server",): (2, 1),
        ("quoted key",): (3, 1),
        ("dotted",): (4, 1),
        ("dotted", "key"): (4, 1),
        ("dotted", "key", "inline"): (4, 16),
        ("dotted", "key", "more"): (4, 31),
        ("dotted", "key", "more", 0): (4, 39),
        ("dotted", "key", "more", 1): (5, 3),
        ("multi",): (6, 1),
        ("literal",): (10, 1),
        ("host",): (13, 1),
        ("host", "https://mirror.test:5000"): (13, 1),
        ("host", "https://mirror.test:5000", "capabilities"): (14, 3),
        ("host", "https://mirror.test:5000", "capabilities", 0): (15, 5),
        ("host", "https://mirror.test:5000", "capabilities", 1): (16, 5),
        ("host", "https://mirror.test:5000", "header"): (17, 3),
        ("host", "https://mirror.test:5000", "header", "x"): (18, 5),
        ("registry",): (20, 1),
        ("registry", 0): (20, 1),
        ("registry", 0, "location"): (21, 1),
        ("registry", 0, "mirror"): (22, 1),
        ("registry", 0, "mirror", 0): (22, 1),
        ("registry", 0, "mirror", 0, "location"): (23, 1),
        ("registry", 0, "mirror", 1): (24, 1),
        ("registry", 0, "mirror", 1, "location"): (25, 1),
        ("registry", 1): (27, 1),
        ("registry", 1, "location"): (28, 1),
        ("registry", 1, "mirror"): (29, 3),
        ("registry", 1, "mirror", 0): (29, 3),
        ("registry", 1, "mirror", 0, "location"): (30, 3),
    }


def test_values_are_those_of_the_standard_library() -> None:
    assert plain(parse(TEXT)) == _texts(tomllib.loads(TEXT))


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _texts(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_texts(each) for each in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(st.text(alphabet="ab.=[]{}\"'#\\\n ,1\ttrue-"))
def test_it_takes_what_the_standard_library_takes(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(SyntaxProblem):
            parse(text)
    else:
        assert plain(parse(text)) == _texts(tomllib.loads(text))


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a = \n", 1, 5), ("[a\n", 1, 3), ("a = 1\na = 2\n", 2, 6), ('a = "x', 1, 7), ("\n[[a]]\nb", 3, 2)],
)
def test_problems_have_a_place(text: str, line: int, column: int) -> None:
    with pytest.raises(SyntaxProblem) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert "(at" not in caught.value.message


def test_line_ends_and_marks_of_windows_are_no_trouble() -> None:
    root = parse("\ufeffa = 1\r\nb = 2\r\n")
    assert [(key, node.line, node.column) for key, node in root.pairs] == [("a", 1, 1), ("b", 2, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 100_000,
        "a." * 300_000 + "a = 1",
        '"=".' * 300_000 + "a = 1",
        "[" + "a." * 300_000 + "a]",
        "a = " + "1" * 500_000,
        "a = [" + "1," * 200_000 + "]",
    ],
)
def test_what_is_too_large_is_given_up_in_time(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(TooLarge):
        parse(text)
    assert time.monotonic() - began < 10
