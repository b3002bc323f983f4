"""The JSON report keeps the contract's shape, hides secrets and survives any text."""

import json
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from regdoctor import model
from regdoctor.report.json import render
from regdoctor.report.options import RenderOptions
from regdoctor.secret import Secret
from tests.report import examples


@cache
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        files("regdoctor.report").joinpath("report.schema.json").read_text("utf-8")
    )
    return loaded


def rendered(report: model.Report) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render(report, RenderOptions()))
    return document


@pytest.mark.parametrize("outcome", examples.OUTCOMES)
def test_every_report_validates(outcome: str) -> None:
    jsonschema.Draft202012Validator(schema()).validate(rendered(examples.OUTCOMES[outcome]()))


def test_the_schema_is_valid_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (model.Report, ()),
        (model.TargetReport, ("$defs", "target")),
        (model.Finding, ("$defs", "finding")),
        (model.CheckResult, ("$defs", "check")),
        (model.Exchange, ("$defs", "exchange")),
    ],
)
def test_the_schema_names_exactly_the_fields_of_the_model(kind: type, path: tuple[str, ...]) -> None:
    part = schema()
    for key in path:
        part = part[key]
    fields = {field.encode_name for field in msgspec.structs.fields(kind)}
    # For people alone: programs have the facts.
    fields -= {"tables"}
    assert set(part["properties"]) == set(part["required"]) == fields


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "regdoctor.report/2"),
        (("verdict",), "fine"),
        (("started_at",), "yesterday"),
        (("targets", 0, "findings", 0, "severity"), "fatal"),
        (("targets", 0, "findings", 0, "caused_by"), 3),
        (("targets", 0, "checks", 0, "status"), "ok"),
        (("targets", 0, "exchanges", 0, "response_headers"), [["server", "nginx"]]),
    ],
)
def test_the_schema_refuses_what_the_contract_does(path: tuple[str | int, ...], value: Any) -> None:
    document: Any = rendered(examples.failing())
    part = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert not jsonschema.Draft202012Validator(schema()).is_valid(document)


def test_headers_are_an_object_and_repeated_ones_a_list_in_order() -> None:
    exchange = examples.exchange(
        response_headers=(
            ("Set-Cookie", "a=***"),
            ("server", "nginx"),
            ("set-cookie", "b=***"),
            ("SET-COOKIE", "c=***"),
        )
    )
    document = rendered(examples.report(examples.target(exchanges=(exchange,))))
    assert document["targets"][0]["exchanges"][0]["response_headers"] == {
        "Set-Cookie": ["a=***", "b=***", "c=***"],
        "server": "nginx",
    }


def test_facts_become_plain_values_and_secrets_are_masked() -> None:
    facts = {
        "mixed": {
            "secret": Secret("hunter2"),
            "bytes": b"\x00\x01",
            "path": Path("/etc/docker"),
            "time": datetime(2026, 11, 23, 3, 7, tzinfo=UTC),
            "nan": float("nan"),
            "foreign": object(),
            7: "number as key",
        }
    }
    document = rendered(examples.report(examples.target(facts=facts)))
    assert document["targets"][0]["facts"]["mixed"] == {
        "secret": "***",
        "bytes": "AAE=",
        "path": "/etc/docker",
        "time": "2026-11-23T03:07:00Z",
        "nan": None,
        "foreign": "<object>",
        "7": "number as key",
    }


def test_text_comes_through_whole() -> None:
    text = "".join(map(chr, (*range(0x300), *range(0x2000, 0x2100), 0xFEFF, 0xE0041, 0x1F600)))
    document = rendered(examples.report(examples.target(facts={"text": text})))
    assert document["targets"][0]["facts"]["text"] == text


def test_a_file_name_that_is_not_utf_8_does_not_break_the_report() -> None:
    document = rendered(
        examples.report(examples.target(facts={"na\udcffme": ["/srv/\udcfe"], "nan": float("nan")}))
    )
    assert document["targets"][0]["facts"] == {"na\\udcffme": ["/srv/\\udcfe"], "nan": None}
