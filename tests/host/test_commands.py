"""A local program can neither hang nor flood the run."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

import pytest

from regdoctor.host.commands import run_command

ENVIRONMENT = {"PATH": os.environ["PATH"], "GREETING": "hello"}


def test_output_input_environment_and_status_are_passed() -> None:
    script = 'read line; echo "$GREETING $line"; echo oops >&2; exit 3'
    result = run_command(["sh", "-c", script], environment=ENVIRONMENT, timeout=10, stdin=b"world\n")
    assert (result.status, result.stdout, result.stderr) == (3, b"hello world\n", b"oops\n")
    assert not result.timed_out


def test_a_program_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    started = time.monotonic()
    result = run_command(
        ["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], environment=ENVIRONMENT, timeout=0.5
    )
    assert result.timed_out
    assert result.status is None
    assert time.monotonic() - started < 10
    try:
        child = os.pidfd_open(int(pid_file.read_text()))
    except ProcessLookupError:
        return
    with os.fdopen(child) as descriptor:
        assert select.select([descriptor], [], [], 10)[0], "the child lives on"


def test_a_program_that_closes_its_output_and_hangs_is_stopped() -> None:
    result = run_command(["sh", "-c", "exec >&- 2>&-; exec sleep 60"], environment=ENVIRONMENT, timeout=0.5)
    assert result.timed_out


def test_a_flood_is_cut() -> None:
    result = run_command(["yes"], environment=ENVIRONMENT, timeout=10, limit=1000)
    assert not result.timed_out
    assert result.status is None
    assert len(result.stdout) == 1000


def test_a_program_that_does_not_read_its_input_is_no_problem() -> None:
    result = run_command(["true"], environment=ENVIRONMENT, timeout=10, stdin=b"x" * 1000)
    assert result.status == 0


def test_a_missing_program_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        run_command(["/nonexistent/program"], environment=ENVIRONMENT, timeout=1)
