"""Who reads a storage: threads where the disk is waited for, processes where the processor is.

Looking at a million small files on a local disk keeps a processor busy, and Python uses only one in a process:
there, every further processor gets a process of its own. On a network file system every look waits, and the
processor has nothing to do: there, threads wait side by side.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import queue
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from regdoctor.host.storage.blobs import BlobTable, Layout, fill
from regdoctor.host.storage.hands import Hands, Job, receive, send, serve
from regdoctor.host.storage.shards import Shard

WAITING_THREADS: Final = 16
"""Threads where the disk is slow."""
FOLDER_THREADS: Final = 4
"""Threads for one large folder, where the disk is slow."""
SLOW_LOOK: Final = 150e-6
"""Seconds from which on a look at a file is one that waits: what lies in memory takes a tenth of it."""
WORTHWHILE: Final = 4000
"""Blobs from which on it pays to share the work out."""
MOST_HELPERS: Final = 31
_PATIENCE: Final = 200
"""Milliseconds after which whoever waits for a helper sees whether to stop."""


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Helpers:
    """Further processes that wait for work, and memory that they share with this one.

    Use it as a context: they end with it, whatever they are doing.
    """

    def __init__(self, helpers: Sequence[Helper] = (), memory: int | None = None) -> None:
        self.all = helpers
        self.memory = memory

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for helper in self.all:
            helper.end()
        if self.memory is not None:
            os.close(self.memory)


def fork_helpers(number: int) -> Helpers:
    """Forks processes that wait for work; none where this process has several threads already, or for one.

    A fork copies one thread only, and locks that others hold stay locked in the copy for good. So this is for
    the beginning of a program.
    """
    number = min(number, MOST_HELPERS)
    if number <= 1 or not hasattr(os, "memfd_create") or _threads() != 1:
        return Helpers()
    helpers: list[Helper] = []
    try:
        memory = os.memfd_create("regdoctor-blobs")
    except OSError:
        return Helpers()
    with contextlib.suppress(OSError):
        while len(helpers) < number:
            helpers.append(_fork(memory, helpers))
    return Helpers(tuple(helpers), memory)


def _threads() -> int:
    """Threads of this process, those that Python does not know of included; 0 where that is not to be seen."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


def _fork(memory: int, others: Sequence[Helper]) -> Helper:
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        theirs.close()
        return Helper(pid, ours)
    # From here on in the helper: it answers until nobody asks any more, and never returns.
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ours.close()
        for other in others:
            other.disown()
        with theirs.makefile("rwb") as stream:
            serve(stream, memory)
        status = 0
    finally:
        os._exit(status)


class Helper:
    """Another process that does tasks, one at a time."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self._connection = connection
        self._stream = connection.makefile("rwb")

    def call(self, task: str, arguments: tuple[Any, ...], stop: Callable[[], bool] = lambda: False) -> Any:
        """Has a task done.

        :param stop: whether to end the process in the middle of it: a large blob takes minutes.
        :raises OSError, EOFError: the process has ended.
        """
        send(self._stream, (task, arguments))
        answered = select.poll()
        answered.register(self._connection, select.POLLIN)
        while not answered.poll(_PATIENCE):
            if stop():
                self.end()
                raise EOFError
        return receive(self._stream)

    def end(self) -> None:
        """Ends the process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self.disown()

    def disown(self) -> None:
        """Closes this side of the connection."""
        with contextlib.suppress(OSError):
            self._stream.close()
        self._connection.close()


class Crew:
    """One process and its helpers. ``size`` tasks can be under way at a time."""

    def __init__(self, job: Job, helpers: Helpers, *, stop: Callable[[], bool]) -> None:
        self._job = job
        self._helpers = helpers
        self._stop = stop
        self._own = Hands(job, stop)
        self._idle: queue.SimpleQueue[Helper | None] = queue.SimpleQueue()
        self._idle.put(None)
        self._engaged: list[Helper] = []
        self.size = 1

    def add_threads(self, number: int) -> None:
        """Lets tasks run side by side in this process."""
        for _ in range(number):
            self._idle.put(None)
        self.size += max(0, number)
        self._own.threads = FOLDER_THREADS if number > 0 else 1

    def add_processes(self, number: int) -> None:
        """Engages helpers, as far as there are any; this process then only hands out the work.

        Its other threads would come between: while one of them computes, Python lets it for 5 ms at a time.
        """
        for helper in self._helpers.all[: max(0, number)]:
            with contextlib.suppress(OSError, EOFError):
                helper.call("begin", (self._job,))
                self._engaged.append(helper)
                self._idle.put(helper)
        if self._engaged:
            self._idle.get()
            self.size = len(self._engaged)

    def table(self, layout: Layout, shards: Sequence[Shard]) -> BlobTable:
        """Makes the table that all use from now on. No task may be under way."""
        memory = self._helpers.memory
        if not self._engaged or memory is None:
            table = fill(layout, bytearray(layout.length), shards)
        else:
            os.ftruncate(memory, layout.length)
            table = fill(layout, mmap.mmap(memory, layout.length), shards)
            for helper in self._engaged:
                with contextlib.suppress(OSError, EOFError):
                    helper.call("attach", (layout,))
        self._own.use(table)
        return table

    def do(self, task: str, *arguments: Any) -> Any:
        """Has one task done by whoever is idle; by this process where a helper has ended.

        :param task: the name of a method of :class:`~regdoctor.host.storage.hands.Hands`.
        """
        helper = self._idle.get()
        try:
            if helper is not None and not self._stop():
                try:
                    return helper.call(task, arguments, self._stop)
                except (OSError, EOFError):
                    helper = None
            return getattr(self._own, task)(*arguments)
        finally:
            self._idle.put(helper)
