"""The program as a process: what shells, pipes and terminals see of it."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from tests.support import ports

REGDOCTOR = [sys.executable, "-m", "regdoctor"]


def environment(**changes: str) -> dict[str, str]:
    """The caller's environment without what changes the output."""
    kept = {
        key: value for key, value in os.environ.items() if "PROXY" not in key.upper() and "COLOR" not in key
    }
    return kept | {"HOME": "/nonexistent"} | changes


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A port that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_an_unreachable_registry_is_an_error_finding() -> None:
    target = f"127.0.0.1:{ports.free_port()}"
    done = subprocess.run(
        [*REGDOCTOR, "check", target, "--format", "json"], capture_output=True, env=environment(), check=False
    )
    report = json.loads(done.stdout)
    schema = json.loads(files("regdoctor.report").joinpath("report.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(report)
    assert done.returncode == 3
    assert done.stderr == b""
    assert [cause["code"] for cause in report["targets"][0]["root_causes"]] == ["tcp/refused"]


def test_a_reader_that_goes_away_is_no_fault() -> None:
    target = f"127.0.0.1:{ports.free_port()}"
    with subprocess.Popen(
        [*REGDOCTOR, "check", target, "--format", "html"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 3


def test_a_full_disk_behind_standard_output_is_told() -> None:
    target = f"127.0.0.1:{ports.free_port()}"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*REGDOCTOR, "check", target], stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert done.returncode == 1
    assert done.stderr == (
        b"regdoctor check: the report cannot be written to standard output: No space left on device\n"
    )


def test_an_interrupt_ends_the_run_at_once(silent_server: str) -> None:
    reader, writer = pty.openpty()
    with subprocess.Popen(
        [*REGDOCTOR, "check", silent_server, "--timeout", "60"],
        stdout=subprocess.PIPE,
        stderr=writer,
        env=environment(TERM="xterm"),
    ) as process:
        os.close(writer)
        seen = os.read(reader, 4096)  # the status line shows that the run has begun
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=20)
    assert b"looking at" in seen
    assert process.returncode == 130
    assert stdout == b""
    os.close(reader)


def test_progress_is_shown_on_a_terminal_and_wiped(silent_server: str) -> None:
    reader, writer = pty.openpty()
    done = subprocess.run(
        [*REGDOCTOR, "check", silent_server, "--timeout", "0.3"],
        stdout=subprocess.PIPE,
        stderr=writer,
        env=environment(TERM="xterm"),
        check=False,
    )
    os.close(writer)
    status = os.read(reader, 65536)
    os.close(reader)
    assert b"looking at" in status
    assert status.endswith(b"\r\x1b[K")
    assert b"looking at" not in done.stdout


def test_colour_and_width_follow_the_terminal() -> None:
    reader, writer = pty.openpty()
    subprocess.run(
        [*REGDOCTOR, "check", f"127.0.0.1:{ports.free_port()}"],
        stdout=writer,
        stderr=subprocess.DEVNULL,
        env=environment(TERM="xterm", COLUMNS="50"),
        check=False,
    )
    os.close(writer)
    output = os.read(reader, 65536).decode("utf-8")
    os.close(reader)
    assert output.startswith("\x1b[1;31mFAILING\x1b[0m")
    assert all(len(line.rstrip("\r")) <= 50 for line in output.split("\n")[2:4])


def test_a_module_run_is_the_command() -> None:
    done = subprocess.run([*REGDOCTOR, "--version"], capture_output=True, check=True)
    assert done.stdout == b"regdoctor 0.1.0\n"
