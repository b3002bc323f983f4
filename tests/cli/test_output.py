"""Where reports go, and how wide and coloured they are there."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from regdoctor.cli.errors import Failure
from regdoctor.cli.output import wants_colour, write_file
from regdoctor.model import Report
from tests.cli.conftest import Invoke, Run
from tests.report import examples


@pytest.mark.parametrize(
    ("terminal", "environment", "colour"),
    [
        (True, {"TERM": "xterm"}, True),
        (False, {"TERM": "xterm"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {}, False),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": ""}, False),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_unless_the_environment_says_otherwise(
    terminal: bool, environment: dict[str, str], colour: bool
) -> None:
    assert wants_colour(terminal, environment) is colour


def test_standard_output_holds_the_report_alone(invoke: Invoke, run_of: Callable[[Report], Run]) -> None:
    run_of(examples.failing())
    result = invoke("check", "reg.test", "--format", "json")
    assert json.loads(result.stdout)["verdict"] == "failing"
    assert result.stderr == ""


def test_force_color_colours_standard_output_but_no_file(
    invoke: Invoke, run_of: Callable[[Report], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    run_of(examples.failing())
    file = tmp_path / "report.txt"
    result = invoke("check", "reg.test", "--output", f"text={file}")
    assert "\x1b[1;31mFAILING\x1b[0m" in result.stdout
    assert "\x1b" not in file.read_text("utf-8")


def test_further_reports_are_written_to_files(
    invoke: Invoke, run_of: Callable[[Report], Run], tmp_path: Path
) -> None:
    run_of(examples.failing())
    page, metrics = tmp_path / "report.html", tmp_path / "regdoctor.prom"
    result = invoke("check", "reg.test", "--output", f"html={page}", "--output", f"prometheus={metrics}")
    assert result.exit_code == 3
    assert result.stdout.startswith("FAILING")
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert "regdoctor_finding{" in metrics.read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["regdoctor.prom", "report.html"]


def test_verbose_holds_for_files_as_well(
    invoke: Invoke, run_of: Callable[[Report], Run], tmp_path: Path
) -> None:
    run_of(examples.failing())
    file = tmp_path / "report.txt"
    assert "HTTP exchanges" in invoke("check", "reg.test", "-v", "--output", f"text={file}").stdout
    assert "HTTP exchanges" in file.read_text("utf-8")


def test_a_file_is_replaced_at_once_with_the_rights_of_a_new_one(tmp_path: Path) -> None:
    file = tmp_path / "report"
    before = os.umask(0o022)
    try:
        write_file(file, b"one")
    finally:
        os.umask(before)
    write_file(file, b"two")
    assert file.read_bytes() == b"two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_file(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_a_device_is_written_to_directly() -> None:
    write_file(Path(os.devnull), b"x")
    assert not Path(os.devnull).is_file()


def test_a_full_disk_is_a_failure_and_not_a_fault(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="No space left on device"):
        write_file(Path("/dev/full"), b"x")
    with pytest.raises(Failure, match="cannot be written"):
        write_file(tmp_path / "missing" / "report", b"x")
