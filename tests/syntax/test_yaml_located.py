"""YAML manifests with the place of every value."""

from __future__ import annotations

import time

import pytest

from regdoctor.located import Kind, SyntaxProblem, TooLarge
from regdoctor.yaml_located import parse_all

TEXT = """\
apiVersion: v1
kind: Pod
spec:
  containers:
  - image: "reg.test/app"
    tty: yes
---
# nothing here
---
{"kind": "List",
 "items": [{"kind": "Secret"}]}
"""


def test_every_document_is_read_with_places() -> None:
    pod, listed = parse_all(TEXT)
    containers, kind = pod.at("spec", "containers"), listed.get("kind")
    assert containers is not None
    assert kind is not None
    image, tty = containers.items[0].get("image"), containers.items[0].get("tty")
    assert image is not None
    assert tty is not None
    assert (image.value, image.line, image.column) == ("reg.test/app", 5, 5)
    assert (tty.true, tty.line) == (True, 6)
    assert (kind.value, kind.line, kind.column) == ("List", 10, 2)


def test_documents_of_other_kinds_are_passed_over() -> None:
    huge = "kind: CustomResourceDefinition\nspec: [" + "1," * 60_000 + "]\n---\nkind: Pod\n"
    assert [node.line for node in parse_all(huge, lambda kind: kind == "Pod")] == [4]


def test_what_is_merged_counts_less_than_what_stands_there() -> None:
    (root,) = parse_all("base: &b {a: 1, c: 3}\nx:\n  <<: *b\n  a: 2\n")
    x = root.get("x")
    assert x is not None
    found = {key: node.value for key, node in x.pairs}
    assert found == {"a": "2", "c": "3"}


def test_null_is_as_good_as_absent() -> None:
    (root,) = parse_all("a: null\nb: ~\nc:\n")
    assert [root.get(key) for key in "abc"] == [None, None, None]
    assert {node.kind for _key, node in root.pairs} == {Kind.NULL}


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a: [\n", 2, 1), ("a: 1\n\tb: 2\n", 2, 1), ("a: b: c\n", 1, 5), ("ok: 1\n---\na: \x01\n", 3, 4)],
)
def test_problems_have_a_place(text: str, line: int, column: int) -> None:
    with pytest.raises(SyntaxProblem) as caught:
        list(parse_all(text))
    assert (caught.value.line, caught.value.column) == (line, column)


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines)


@pytest.mark.parametrize("text", [bomb(), "[" * 50_000, "a: &a\n  b: *a\n", "- " * 5000 + "x"])
def test_what_grows_too_large_is_given_up_in_time(text: str) -> None:
    began = time.monotonic()
    with pytest.raises((TooLarge, SyntaxProblem)):
        list(parse_all(text))
    assert time.monotonic() - began < 5
