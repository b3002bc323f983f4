"""What ``/proc`` shows of processes."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from regdoctor.host.processes import Process, running


def test_a_process_tells_when_it_was_started(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    ticks = os.sysconf("SC_CLK_TCK")
    (tmp_path / "uptime").write_text("1000.00 1.00\n")
    folder = tmp_path / "7"
    folder.mkdir()
    after_name = ["S", *["0"] * 18, str(400 * ticks), "0"]
    (folder / "stat").write_text(f"7 (docker) d) {' '.join(after_name)}\n")

    started = Process(pid=7, name="docker) d", command=(), folder=folder).started_at()

    assert started is not None
    assert timedelta(0) <= started - (before - timedelta(seconds=600)) < timedelta(seconds=60)


def test_one_that_has_ended_tells_nothing(tmp_path: Path) -> None:
    assert Process(pid=7, name="gone", command=(), folder=tmp_path / "7").started_at() is None


def test_this_very_process_has_been_started_before_now() -> None:
    (own,) = [process for process in running(lambda _name: True) if process.pid == os.getpid()]

    started = own.started_at()

    assert started is not None
    assert started <= datetime.now(UTC)
