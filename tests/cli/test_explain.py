"""``explain``: codes and messages, as text and JSON."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from tests.cli.conftest import Invoke

MESSAGES = [
    "tls/expired",
    "expired",
    "dial tcp 10.0.0.5:5000: connect: connection refused",
    'Get "https://reg.test:5000/v2/": x509: certificate signed by unknown authority',
    "nothing that anybody ever saw",
    "curl -u ci:hunter2hunter2 https://reg.test/v2/ says unauthorized",
    "\x1b[31munauthorized: authentication required\x1b[0m \u202e",
]


@pytest.mark.parametrize("message", MESSAGES)
def test_every_json_answer_validates(invoke: Invoke, message: str) -> None:
    schema: dict[str, Any] = json.loads(
        files("regdoctor.report").joinpath("explain.schema.json").read_text("utf-8")
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    result = invoke("explain", "--format", "json", message)
    document = json.loads(result.stdout)
    jsonschema.Draft202012Validator(schema).validate(document)
    assert result.exit_code == (0 if document["matches"] else 3)


def test_a_code_is_explained_in_full(invoke: Invoke) -> None:
    result = invoke("explain", "tcp/refused")
    assert result.exit_code == 0
    assert result.stdout.startswith("tcp/refused: ")
    for heading in (
        "What to do",
        "See it yourself",
        "Messages that it shows itself by",
        "docs/codes/tcp.md#tcp-refused",
    ):
        assert heading in result.stdout
    assert "nc -zv HOST PORT" in result.stdout
    assert "{" not in result.stdout


def test_a_message_leads_to_causes_and_to_the_command_that_settles_it(invoke: Invoke) -> None:
    result = invoke("explain", "dial tcp 10.0.0.5:5000: connect: connection refused")
    lines = result.stdout.split("\n")
    assert "Settle it with: regdoctor check 10.0.0.5:5000" in lines[:4]
    assert any(line.startswith(" 1. ") and "tcp/refused" in line for line in lines)
    assert "ss -ltnp 'sport = :5000'" in result.stdout


def test_words_of_several_arguments_are_one_message(invoke: Invoke) -> None:
    one = invoke("explain", "connect: connection refused")
    several = invoke("explain", "connect:", "connection", "refused")
    assert one.stdout == several.stdout


def test_a_dash_reads_standard_input(invoke: Invoke) -> None:
    result = invoke("explain", "-", stdin=b"x509: certificate has expired or is not yet valid \xff\n")
    assert result.exit_code == 0
    assert "tls/expired" in result.stdout


@pytest.mark.parametrize("format_", ["text", "json"])
def test_what_nobody_knows_is_said_with_exit_code_3(invoke: Invoke, format_: str) -> None:
    result = invoke("explain", "--format", format_, "nothing that anybody ever saw")
    assert result.exit_code == 3
    if format_ == "json":
        assert json.loads(result.stdout)["matches"] == []
    else:
        assert result.stdout.startswith("Nothing is known about")
        assert "regdoctor check TARGET" in result.stdout


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize("message", MESSAGES)
def test_answers_are_safe_to_show(invoke: Invoke, format_: str, message: str) -> None:
    output = invoke("explain", "--format", format_, message).stdout
    assert "hunter2" not in output
    assert all(character.isprintable() or character == "\n" for character in output)


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_nothing_to_explain_is_misuse(invoke: Invoke, arguments: list[str]) -> None:
    result = invoke("explain", *arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
