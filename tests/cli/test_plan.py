"""``--plan`` says what would be contacted and read, and contacts nothing."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Invoke


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test at the first connection or look-up."""

    def refuse(*arguments: object, **_keywords: object) -> Any:
        pytest.fail(f"the network was used: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "sendto", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def plan(invoke: Invoke, *arguments: object) -> dict[str, Any]:
    result = invoke("check", "--plan", "--format", "json", *arguments)
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_targets_are_named_as_they_would_be_contacted(invoke: Invoke) -> None:
    targets = plan(invoke, "alpine:3.20", "http://reg.test:5000")["targets"]
    assert [(each["target"], each["url"], each["repository"], each["reference"]) for each in targets] == [
        ("alpine:3.20", "https://registry-1.docker.io:443", "library/alpine", "3.20"),
        ("http://reg.test:5000", "http://reg.test:5000", None, None),
    ]


def test_plain_http_and_the_proxy_are_taken_into_account(invoke: Invoke) -> None:
    (target,) = plan(invoke, "reg.test:5000", "--plain-http", "--proxy", "http://proxy.test:3128")["targets"]
    assert target["url"] == "http://reg.test:5000"
    assert target["proxy"] == "http://proxy.test:3128"


def test_only_what_would_run_is_listed(invoke: Invoke) -> None:
    assert plan(invoke, "reg.test", "--only", "dns")["checks"] == ["dns"]
    without = plan(invoke, "reg.test", "--skip", "tls")
    assert "tls" not in without["checks"]
    assert "tls" not in {step["check"] for step in without["steps"]}
    assert "tls" in {step["check"] for step in plan(invoke, "reg.test")["steps"]}


def test_a_probe_is_one_step_however_many_hosts_it_looks_at(invoke: Invoke) -> None:
    facts = [step["fact"] for step in plan(invoke, "reg.test")["steps"]]
    assert len(facts) == len(set(facts))


def test_files_and_changes_are_named(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_text("x")
    document = plan(invoke, "reg.test", "--cacert", file, "--push")
    assert document["files"] == [str(file)]
    assert [change.partition(" ")[0] for change in document["changes"]] == ["upload", "uploads", "the"]
    tagged = plan(invoke, "reg.test", "--push", "--push-tag", "probe")["changes"]
    assert "under the tag probe" in tagged[-1]
    assert plan(invoke, "reg.test")["changes"] == []


def test_for_a_text_that_is_no_image_nothing_would_be_contacted(invoke: Invoke, tmp_path: Path) -> None:
    listed = tmp_path / "images"
    listed.write_text("reg.test/Team/app\n")

    assert [each["url"] for each in plan(invoke, "--images", listed)["targets"]] == [None]
    text = invoke("check", "--plan", "--images", listed).stdout
    assert "reg.test/Team/app: nothing, it cannot be read as an image" in text


def test_a_password_of_the_proxy_is_not_shown(invoke: Invoke) -> None:
    result = invoke("check", "reg.test", "--plan", "--proxy", "http://user:hunter2hunter2@proxy.test:3128")
    assert result.exit_code == 0
    assert "hunter2" not in result.output


def test_the_text_begins_with_the_promise(invoke: Invoke) -> None:
    result = invoke("check", "reg.test:5000", "--plan")
    assert result.stdout.startswith(
        "Nothing was contacted. A run would look at:\n\n  reg.test:5000: https://reg.test:5000"
    )
    assert "Changes: none, everything is read-only\n" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.split("\n"))
