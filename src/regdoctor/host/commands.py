"""Running one local program with everything bounded: time, output, and what it inherits."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """How a program ended.

    ``status`` is ``None`` where it was stopped: because time was up (``timed_out``), else because it printed
    more than the limit, at which the output is cut.
    """

    status: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    timed_out: bool = False


def run_command(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    timeout: float,
    stdin: bytes = b"",
    limit: int = 1024 * 1024,
) -> CommandResult:
    """Run a program in its own session and collect what it prints.

    ``timeout`` is in seconds, ``limit`` in bytes of each stream; beyond either the program and all that it
    started are killed. ``stdin`` must be small (it is written before anything is read). No shell is involved.

    Raises ``OSError`` where the program cannot be started.
    """
    end = time.monotonic() + timeout
    with subprocess.Popen(
        list(arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,
    ) as process:
        if process.stdin is None or process.stdout is None or process.stderr is None:  # pragma: no cover
            raise OSError("no pipes to the program")
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(stdin)
                process.stdin.close()
            streams: dict[int, bytearray] = {
                process.stdout.fileno(): bytearray(),
                process.stderr.fileno(): bytearray(),
            }
            finished = _collect(streams, end, limit)
            status = process.wait(max(0.0, end - time.monotonic())) if finished else None
        except subprocess.TimeoutExpired:
            finished, status = False, None
        finally:
            _kill_session(process.pid)
        out, err = (bytes(each[:limit]) for each in streams.values())
    return CommandResult(
        status=status, stdout=out, stderr=err, timed_out=not finished and time.monotonic() >= end
    )


def _collect(streams: dict[int, bytearray], end: float, limit: int) -> bool:
    """Read all streams to their end; false where time or limit ran out before."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            remaining = end - time.monotonic()
            if remaining <= 0:
                return False
            for key, _ in selector.select(remaining):
                data = os.read(key.fd, _CHUNK)
                streams[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
                if len(streams[key.fd]) > limit:
                    return False
    return True


def _kill_session(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
