"""``regdoctor lint``: files judged by themselves, with the rules of ``check`` and without the network."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from regdoctor.cli.lint import KINDS
from regdoctor.facts import FileKind
from regdoctor.lint_files import OPTION
from regdoctor.options import Options
from regdoctor.report.formats import MODULES
from tests.cli.conftest import Invoke

RIGHT = """\
version: 0.1
storage: {filesystem: {rootdirectory: /data}, delete: {enabled: true}}
http: {addr: '127.0.0.1:5000', secret: a}
"""
WRONG = "version: 0.1\nstorage:\n\tinmemory: {}\n"
WARNED = RIGHT + "http: {net: tcp}\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def report(result: Result) -> dict[str, Any]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def codes(target: Mapping[str, Any]) -> list[str]:
    return [finding["code"] for finding in target["findings"]]


def test_the_words_of_kind_are_the_kinds_that_there_are() -> None:
    assert list(KINDS) == [kind.value for kind in FileKind]


def test_every_kind_has_an_option_that_leads_its_probe_to_the_file() -> None:
    assert set(OPTION) == set(FileKind)
    assert set(OPTION.values()) <= set(Options.__struct_fields__)


def test_a_file_is_judged_by_the_rules_of_check(invoke: Invoke, tmp_path: Path) -> None:
    path = write(tmp_path / "config.yml", WRONG)
    result = invoke("lint", path, "--format", "json")
    (target,) = report(result)["targets"]
    assert target["target"] == str(path)
    assert (target["registry"], target["repository"], target["reference"]) == (None, None, None)
    assert codes(target) == ["config/syntax"]
    assert target["findings"][0]["evidence"] == [f"{path}:3"]
    assert result.exit_code == 3


def test_a_right_file_is_healthy(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("lint", write(tmp_path / "config.yml", RIGHT), "--format", "json")
    assert report(result)["verdict"] == "healthy"
    assert result.exit_code == 0


def test_a_warning_decides_the_exit_code_where_that_is_asked_for(invoke: Invoke, tmp_path: Path) -> None:
    path = write(tmp_path / "config.yml", WARNED)
    assert invoke("lint", path).exit_code == 0
    assert invoke("lint", path, "--fail-on", "warning").exit_code == 4
    assert invoke("lint", path, "--fail-on", "never").exit_code == 0


def test_the_report_is_that_of_check(invoke: Invoke, tmp_path: Path) -> None:
    import jsonschema

    schema = json.loads(files("regdoctor.report").joinpath("report.schema.json").read_text())
    jsonschema.validate(
        report(invoke("lint", write(tmp_path / "config.yml", WRONG), "--format", "json")), schema
    )


@pytest.mark.parametrize("name", list(MODULES))
def test_every_format_is_there(invoke: Invoke, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "config.yml", WRONG)
    result = invoke("lint", path, "--format", name, "--output", f"{name}={tmp_path / 'report'}")
    assert result.exit_code == 3
    assert (
        "config/syntax" in result.stdout
        or "config-syntax" in result.stdout
        or name in ("nagios", "prometheus")
    )
    assert (tmp_path / "report").read_bytes()


def test_nothing_is_contacted(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **_keywords: object) -> None:
        raise AssertionError(f"the network was asked: {arguments}")

    path = write(tmp_path / "config.yml", RIGHT)
    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    result = invoke("lint", path, "--format", "json")
    assert report(result)["verdict"] == "healthy", result.output


def test_every_file_is_a_target(invoke: Invoke, tmp_path: Path) -> None:
    right, wrong = write(tmp_path / "a" / "config.yml", RIGHT), write(tmp_path / "b" / "config.yml", WRONG)
    targets = report(invoke("lint", right, wrong, right, "--format", "json"))["targets"]
    assert [(target["target"], codes(target)) for target in targets] == [
        (str(right), []),
        (str(wrong), ["config/syntax"]),
    ]


def test_of_a_folder_what_is_recognised_is_taken(invoke: Invoke, tmp_path: Path) -> None:
    config = write(tmp_path / "stack" / "registry.yaml", RIGHT)
    write(
        tmp_path / "stack" / "compose.yml", "services:\n  registry:\n    image: registry:2\nvolumes:\n  x:\n"
    )
    write(tmp_path / "stack" / "README.md", RIGHT)
    write(tmp_path / "stack" / ".git" / "config.yml", RIGHT)
    result = invoke("lint", tmp_path / "stack", "--format", "json")
    assert [target["target"] for target in report(result)["targets"]] == [str(config)]
    assert "2 other files are left out" in result.stderr


def test_of_a_folder_those_of_one_kind_are_taken(invoke: Invoke, tmp_path: Path) -> None:
    write(tmp_path / "daemon.json", "{}")
    config = write(tmp_path / "config.yml", RIGHT)
    result = invoke("lint", tmp_path, "--kind", "registry", "--format", "json")
    assert [target["target"] for target in report(result)["targets"]] == [str(config)]


def test_links_in_circles_pipes_and_twins_are_no_trouble(invoke: Invoke, tmp_path: Path) -> None:
    config = write(tmp_path / "config.yml", RIGHT)
    (tmp_path / "twin.yml").symlink_to(config)
    (tmp_path / "loop.yml").symlink_to("loop.yml")
    (tmp_path / "again").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.yml")
    result = invoke("lint", tmp_path, "--format", "json")
    assert [target["target"] for target in report(result)["targets"]] == [str(config)]


def test_the_kind_may_be_said(invoke: Invoke, tmp_path: Path) -> None:
    path = write(tmp_path / "notes.txt", "storage:\n  inmemory:\n")
    assert invoke("lint", path).exit_code == 2
    (target,) = report(invoke("lint", path, "--kind", "registry", "--format", "json"))["targets"]
    assert "config/version" in codes(target)


@pytest.mark.parametrize("name", ["notes.txt", "config.yml"])
def test_a_file_that_is_nothing_known_is_misuse(invoke: Invoke, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "title: Blog\ntheme: minima\n")
    result = invoke("lint", path)
    assert result.exit_code == 2
    assert f"regdoctor lint: {path} is none of the files that are known here" in result.stderr
    assert "--kind registry|nginx" in result.stderr


def test_a_folder_without_anything_known_is_misuse(invoke: Invoke, tmp_path: Path) -> None:
    write(tmp_path / "README.md", "nothing\n")
    result = invoke("lint", tmp_path)
    assert result.exit_code == 2
    assert f"no file below {tmp_path} is one that is known here" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["missing.yml"], ["--kind", "apache", "."]])
def test_wrong_usage(invoke: Invoke, arguments: list[str]) -> None:
    assert invoke("lint", *arguments).exit_code == 2


def test_checks_can_be_chosen(invoke: Invoke, tmp_path: Path) -> None:
    path = write(tmp_path / "config.yml", WRONG)
    assert invoke("lint", path, "--skip", "config/syntax").exit_code == 0
    assert invoke("lint", path, "--only", "config/version").exit_code == 0
    assert invoke("lint", path, "--only", "nonsense").exit_code == 2


def test_findings_can_be_set_aside(invoke: Invoke, tmp_path: Path) -> None:
    path = write(tmp_path / "config.yml", WRONG)
    suppressions = write(
        tmp_path / "suppress.toml", '[[suppress]]\ncode = "config/syntax"\nreason = "known"\n'
    )
    result = invoke("lint", path, "--suppress", suppressions, "--format", "json")
    assert result.exit_code == 0
    assert report(result)["targets"][0]["findings"][0]["suppressed"] == "known"
