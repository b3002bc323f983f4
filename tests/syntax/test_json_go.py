"""JSON as Go reads it: the same verdicts as the standard library's parser, Go's wording, and places."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regdoctor.json_go import parse
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge


def plain(node: Node) -> Any:
    """The node as the standard library would give it; numbers and strings by their text."""
    if node.kind is Kind.MAP:
        return {key: plain(value) for key, value in node.pairs}
    if node.kind is Kind.LIST:
        return [plain(item) for item in node.items]
    return {"true": True, "false": False, "null": None}[node.value] if _is_word(node) else (node.value)


def _is_word(node: Node) -> bool:
    return node.kind in (Kind.BOOLEAN, Kind.NULL)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.sampled_from([None, 2]), st.booleans())
def test_what_is_json_is_read(value: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    read = json.loads(text, parse_int=str, parse_float=str)
    # A lone surrogate has no place in Go's strings, which replaces it.
    assert plain(parse(text)) == _replaced(read)


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return "".join("�" if "\ud800" <= each <= "\udfff" else each for each in value)
    if isinstance(value, list):
        return [_replaced(each) for each in value]
    if isinstance(value, dict):
        return {_replaced(key): _replaced(each) for key, each in value.items()}
    return value


@given(st.text(alphabet='{}[]",:\\ \n\t0123456789.eE+-truefalsn/u'))
@example('{"a": 1,}')
@example("[1,]")
@example("01")
@example("-")
@example('"\\u12g4"')
def test_what_is_no_json_is_refused(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        with pytest.raises(SyntaxProblem):
            parse(text)
    else:
        parse(text)


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("", "unexpected end of JSON input", 1, 1),
        ("{", "unexpected end of JSON input", 1, 2),
        ('{\n  "a": 1,\n}', "invalid character '}' looking for beginning of object key string", 3, 1),
        ('{"a" 1}', "invalid character '1' after object key", 1, 6),
        ('{\n"a": 1\n"b": 2}', "invalid character '\"' after object key:value pair", 3, 1),
        ("[1 2]", "invalid character '2' after array element", 1, 4),
        ("{} x", "invalid character 'x' after top-level value", 1, 4),
        ('{"a": tru}', "invalid character '}' in literal true (expecting 'e')", 1, 10),
        ("{'a': 1}", "invalid character '\\'' looking for beginning of object key string", 1, 2),
        ('"a\nb"', "invalid character '\\n' in string literal", 1, 3),
        ('"\\x"', "invalid character 'x' in string escape code", 1, 3),
        ("-a", "invalid character 'a' in numeric literal", 1, 2),
        ("1.x", "invalid character 'x' after decimal point in numeric literal", 1, 3),
        ("1ex", "invalid character 'x' in exponent of numeric literal", 1, 3),
        ("# no", "invalid character '#' looking for beginning of value", 1, 1),
        ("\ufeff{}", "invalid character '\\ufeff' looking for beginning of value", 1, 1),
    ],
)
def test_problems_are_told_as_go_tells_them(text: str, message: str, line: int, column: int) -> None:
    with pytest.raises(SyntaxProblem) as caught:
        parse(text)
    assert (caught.value.message, caught.value.line, caught.value.column) == (message, line, column)


def test_members_know_the_place_of_their_keys_and_items_their_own() -> None:
    root = parse('{\n  "list": [\n    "a",\n    "b"],\n  "map": {"inner": true}\n}')
    listed, inner = root.get("list"), root.at("map", "inner")
    assert listed is not None
    assert inner is not None
    assert (listed.line, listed.column) == (2, 3)
    assert [(item.line, item.column) for item in listed.items] == [(3, 5), (4, 5)]
    assert (inner.line, inner.column, inner.true) == (5, 11, True)


def test_of_repeated_members_the_last_counts_and_both_are_known() -> None:
    root = parse('{"a": 1,\n"a": 2}')
    assert root.get("a") == Node(Kind.NUMBER, 2, 1, "2")
    assert [(key, node.line) for key, node in root.repeated()] == [("a", 2)]


def test_null_is_as_good_as_absent() -> None:
    assert parse('{"a": null}').get("a") is None


def test_what_follows_the_first_value_may_be_let_pass() -> None:
    assert parse("{} x", trailing=True).kind is Kind.MAP


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" + "1," * 200_000 + "1]"])
def test_what_is_too_large_is_given_up(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(TooLarge):
        parse(text)
    assert time.monotonic() - began < 5
