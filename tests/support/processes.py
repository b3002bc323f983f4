"""Starts a daemon for a test, keeps its log, and ends it with all its children."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import ports, programs
from tests.support.mounts import PrivateFiles
from tests.support.netns import Namespace

_POLL_SECONDS = 0.005


class DaemonError(AssertionError):
    """A daemon did not start, or ended early; the message holds its log."""


class Daemon:
    """A process in a session of its own, whose output goes to a file.

    ``ready`` tells when it serves; without it, start returns at once. ``log`` is the file for standard output
    and error. ``files`` are private files (see PrivateFiles) and ``user`` is an account to run as, both
    for root only. Start it in a thread that outlives it: the kernel kills it when that thread ends.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        ready: Callable[[], bool] | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        namespace: Namespace | None = None,
        files: Mapping[str, str | Path] | None = None,
        user: str | None = None,
        seconds: float = 15,
    ) -> None:
        self.command = [os.fspath(part) for part in command]
        self.log_path = log
        self._ready = ready
        self._environment = dict(environment or {})
        self._directory = directory
        self._namespace = namespace
        self._private = PrivateFiles(files or {})
        self._user = user
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def name(self) -> str:
        """The program's name, for messages."""
        return Path(self.command[0]).name

    @property
    def pid(self) -> int:
        """The process id; raises DaemonError where it was not started."""
        if self._process is None:
            raise DaemonError(f"{self.name} is not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """Return everything that it has written so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def _line(self) -> list[str]:
        # A test process that is killed outright must not leave its daemons behind.
        options = ["--pdeathsig=KILL"]
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            options += [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        line = self._private.command([programs.path("setpriv"), *options, "--", *self.command])
        return line if self._namespace is None else self._namespace.command(line)

    def start(self) -> None:
        """Start it and wait until it is ready; raises DaemonError with its log where it ends or hangs."""
        if self.running:
            raise DaemonError(f"{self.name} runs already")
        self._private.__enter__()
        environment = {"PATH": programs.search_path(), "HOME": "/nonexistent", "LANG": "C.UTF-8", "TZ": "UTC"}
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                self._line(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env=environment | self._environment,
                start_new_session=True,
            )
        if self._ready is None:
            return
        try:
            self.wait_until(self._ready, "ready")
        except BaseException:
            self.stop()
            raise

    def wait_until(self, condition: Callable[[], bool], what: str, *, seconds: float | None = None) -> None:
        """Wait for a condition while the daemon lives; raises DaemonError with its log otherwise."""
        process = self._process
        if process is None:
            raise DaemonError(f"{self.name} is not started")

        def pause() -> None:
            try:
                code = process.wait(timeout=_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                return
            raise DaemonError(f"{self.name} ended with exit code {code}, awaited: {what}\n{self.log()}")

        limit = self._seconds if seconds is None else seconds
        try:
            ports.wait_until(condition, what, seconds=limit, pause=pause)
        except TimeoutError as error:
            raise DaemonError(f"{self.name}: {error}\n{self.log()}") from error

    def wait_for_log(self, pattern: str, *, seconds: float | None = None) -> re.Match[str]:
        """Wait until its log matches a regular expression; returns the first match, raises DaemonError."""
        self.wait_until(
            lambda: re.search(pattern, self.log()) is not None, f"log: {pattern}", seconds=seconds
        )
        match = re.search(pattern, self.log())
        assert match is not None
        return match

    def wait_for_exit(self, *, seconds: float | None = None) -> int:
        """Wait until it ends by itself and return its exit code; raises DaemonError where it lives on."""
        process = self._process
        if process is None:
            raise DaemonError(f"{self.name} is not started")
        limit = self._seconds if seconds is None else seconds
        try:
            return process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            raise DaemonError(f"{self.name} still runs after {limit} s\n{self.log()}") from None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return

    def suspend(self) -> None:
        """Halt the process and return once all its threads stand still."""
        self.signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.pid}/task")
        # The state follows the program's name, which is in parentheses (proc(5)).
        self.wait_until(
            lambda: all(
                (thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"
                for thread in threads.iterdir()
            ),
            "suspended",
        )

    def resume(self) -> None:
        """Let a suspended process go on."""
        self.signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the process and its children; does nothing where it never ran."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        # A suspended process acts on no other signal.
        self.resume()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=3)
        # Children that outlive their parent are still in its session.
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._private.__exit__(None, None, None)
