"""What a probe may use besides facts: options, time left, the HTTP client, the trace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from regdoctor.model import Exchange

if TYPE_CHECKING:
    from regdoctor.facts.base import Endpoint
    from regdoctor.net.http import Client
    from regdoctor.oci.reference import Target
    from regdoctor.options import Options
    from regdoctor.secret import Secret


class DeadlineExceeded(Exception):  # noqa: N818 - a state, said by a probe that ran out of time
    """The run's deadline has passed."""


class RunEnded(DeadlineExceeded):
    """The run is over: whoever still works for it undoes what it changed, and leaves."""


class Deadline:
    """The end of the run on the monotonic clock, and the bound of one network step.

    :param seconds: from now until the run must end.
    :param step: the longest that one network step may take, in seconds.
    """

    def __init__(self, seconds: float, step: float) -> None:
        self._end = time.monotonic() + seconds
        self.seconds = seconds
        self._step = step

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    def step(self) -> float:
        """Seconds that the next network step may take.

        :raises DeadlineExceeded: where none are left.
        """
        remaining = self.remaining()
        if remaining <= 0:
            raise DeadlineExceeded(f"the deadline of {self.seconds:g} s for the whole run has passed")
        return min(self._step, remaining)


class Trace:
    """The HTTP exchanges of one target, in the order in which they began. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._exchanges: dict[str, Exchange | None] = {}

    def begin(self) -> str:
        """Reserves the next id, such as ``x1``."""
        with self._lock:
            identity = f"x{len(self._exchanges) + 1}"
            self._exchanges[identity] = None
            return identity

    def end(self, exchange: Exchange) -> None:
        """Stores what came of a begun exchange."""
        with self._lock:
            self._exchanges[exchange.id] = exchange

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All finished exchanges."""
        with self._lock:
            return tuple(exchange for exchange in self._exchanges.values() if exchange is not None)


class Cleanup:
    """Lets a run wait, on every way out, for probes that have to undo something. Thread-safe.

    A probe that changes something outside holds it while the change lasts, asks :meth:`check` between its
    steps, and undoes the change before it lets go.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._held = 0
        self._ended = threading.Event()
        self._left: list[str] = []

    @property
    def ended(self) -> bool:
        """Whether the run is over: its deadline has passed, or it was interrupted."""
        return self._ended.is_set()

    def check(self) -> None:
        """Does nothing while the run lasts.

        :raises RunEnded: it is over.
        """
        if self._ended.is_set():
            raise RunEnded("the run was ended before this was done")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keeps the run from leaving until the block ends, as long as it is willing to wait.

        :raises RunEnded: the run is over already.
        """
        with self._condition:
            self.check()
            self._held += 1
        try:
            yield
        finally:
            with self._condition:
                self._held -= 1
                self._condition.notify_all()

    def leave(self, what: str) -> None:
        """Says, in a clause, what could not be undone, for those who see no report."""
        with self._condition:
            self._left.append(what)

    @property
    def left(self) -> tuple[str, ...]:
        """What could not be undone."""
        with self._condition:
            return tuple(self._left)

    def end(self) -> None:
        """Says that the run is over."""
        with self._condition:
            self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Waits until everybody has let go; whether that was in time."""
        with self._condition:
            return self._condition.wait_for(lambda: self._held == 0, timeout=seconds)


def _silent(_message: str) -> None:
    """Progress that nobody watches."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe may use besides facts.

    ``environment`` and ``home`` are the caller's; probes read them from here, never from ``os.environ``.
    ``conceal`` must be called with every secret that a probe comes to hold, so that the last pass over the
    output finds it.
    """

    target: Target
    options: Options
    deadline: Deadline
    trace: Trace
    http: Client
    environment: Mapping[str, str]
    home: Path
    conceal: Callable[[Secret], None]
    progress: Callable[[str], None] = _silent
    shared: dict[str, Any] = msgspec.field(default_factory=dict)
    """Values that are worked out once a run for all targets, under :attr:`lock`: loaded trust stores."""
    lock: threading.Lock = msgspec.field(default_factory=threading.Lock)
    find_proxy: Callable[[str], str | None] = lambda _url: None
    """The forward proxy (without userinfo) that clients with this environment use for a URL."""
    cleanup: Cleanup = msgspec.field(default_factory=Cleanup)

    def endpoint(self, *, role: Any, url: str) -> Endpoint:
        """The endpoint of an absolute http(s) URL, with the proxy that this environment uses for it.

        :raises ValueError: the URL has no host, or a port out of range.
        """
        from urllib.parse import urlsplit

        from regdoctor.facts.base import Endpoint

        parts = urlsplit(url)
        if parts.hostname is None or parts.scheme not in ("http", "https"):
            raise ValueError(f"not an absolute http or https URL: {url}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Endpoint(
            role=role,
            scheme=parts.scheme,
            host=parts.hostname,
            port=port,
            path=path,
            proxy=self.find_proxy(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"),
        )
