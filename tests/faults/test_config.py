"""Faults of the registry's configuration: the real registry does not start, and the file says why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartRegistry
from tests.support import ports
from tests.support.processes import Daemon
from tests.support.programs import path as program
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry

pytestmark = pytest.mark.needs("docker-registry")


@dataclass(frozen=True)
class Refusal:
    """A registry that did not start: what it said, and what regdoctor says."""

    log: str
    result: CliResult

    def single_root_cause(self, code: str) -> dict[str, Any]:
        """The finding that alone explains the refused connection."""
        cause = assert_single_root_cause(self.result, code)
        assert assert_has(self.result, "tcp/refused")["caused_by"] == cause["id"]
        return cause


def start_with(file: Path) -> Refusal:
    """Start the real registry with a file that it refuses, and diagnose the address that it should have."""
    port = ports.free_port()
    command: list[str | Path] = [program("docker-registry"), "serve", file]
    environment = {"OTEL_TRACES_EXPORTER": "none", "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}"}
    with Daemon(command, log=file.parent / "registry.log", environment=environment) as daemon:
        assert daemon.wait_for_exit() != 0
        log = daemon.log()
    return Refusal(log, run_regdoctor("check", f"http://127.0.0.1:{port}", "--config", file))


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yml"
    path.write_text(text)
    return path


def test_a_tab_keeps_the_registry_from_starting(tmp_path: Path) -> None:
    file = write(tmp_path, "version: 0.1\nstorage:\n\tinmemory: {}\n")
    refusal = start_with(file)
    assert "line 3: found character that cannot start any token" in refusal.log
    cause = refusal.single_root_cause("config/syntax")
    assert cause["evidence"] == [f"{file}:3"]
    assert "line 3, column 1: found character that cannot start any token" in cause["detail"]
    assert "→inmemory" in cause["detail"]


def test_a_secret_on_the_broken_line_is_not_shown(tmp_path: Path) -> None:
    file = write(tmp_path, "version: 0.1\nhttp:\n  addr: 127.0.0.1:0\n\tsecret: hunter2 is my secret\n")
    refusal = start_with(file)
    refusal.single_root_cause("config/syntax")
    assert "hunter2" not in refusal.result.stdout + refusal.result.stderr


def test_a_missing_file_keeps_the_registry_from_starting(tmp_path: Path) -> None:
    refusal = start_with(tmp_path / "config.yml")
    assert "no such file or directory" in refusal.log
    refusal.single_root_cause("config/unreadable")


def test_a_folder_in_place_of_the_file_keeps_the_registry_from_starting(tmp_path: Path) -> None:
    folder = tmp_path / "config.yml"
    folder.mkdir()
    refusal = start_with(folder)
    assert "is a directory" in refusal.log
    assert "folder" in refusal.single_root_cause("config/unreadable")["detail"]


@pytest.mark.parametrize("text", ["", "storage:\n  inmemory:\n", "version: 0.2\nstorage:\n  inmemory:\n"])
def test_another_version_keeps_the_registry_from_starting(tmp_path: Path, text: str) -> None:
    refusal = start_with(write(tmp_path, text))
    assert "unsupported version" in refusal.log
    refusal.single_root_cause("config/version")


def appended(registry: Registry, text: str) -> Path:
    """The registry's own file with a text added at its end."""
    file = registry.directory / "changed.yml"
    file.write_text(registry.config_path.read_text() + text)
    return file


def test_a_key_that_stands_twice_is_a_warning(registry: Registry) -> None:
    file = appended(registry, "http:\n  net: tcp\n")
    result = run_regdoctor("check", registry.url, "--config", file)
    finding = assert_single_root_cause(result, "config/duplicate-key", exit_code=0)
    assert len(finding["evidence"]) == 2


def test_a_running_registry_is_told_that_it_will_not_start_again(registry: Registry) -> None:
    file = appended(registry, "\tlog: x\n")
    result = run_regdoctor("check", registry.url, "--config", file)
    cause = assert_single_root_cause(result, "config/syntax")
    assert "answers nevertheless" in cause["detail"]


def test_a_right_configuration_is_healthy(start_registry: StartRegistry) -> None:
    registry = start_registry(htpasswd={"alice": "wonderland"})
    result = run_regdoctor("check", registry.url, "--config", registry.config_path)
    assert_lacks(result, "config/syntax", "config/version", "config/unreadable", "config/duplicate-key")


def test_a_right_configuration_of_an_open_registry_is_healthy(registry: Registry) -> None:
    assert_healthy(run_regdoctor("check", registry.url, "--config", registry.config_path))
