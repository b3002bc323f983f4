"""The status line on standard error: what is being looked at, while the run lasts."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType
from typing import Final, TextIO

from regdoctor.report.escape import line

_SECONDS_BETWEEN: Final = 0.1
_CLEAR: Final = "\r\x1b[K"


class Progress:
    """One line that is written over again, where standard error is a terminal; silent elsewhere. Thread-safe."""

    def __init__(self, stream: TextIO | None = None, *, terminal: str) -> None:
        """:param terminal: the caller's ``TERM``; a ``dumb`` one cannot write over a line."""
        self._stream = stream if stream is not None else sys.stderr
        self._shown = self._stream.isatty() and terminal not in ("", "dumb")
        self._lock = threading.Lock()
        self._last = 0.0
        self._done = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._done = True
            self._write(_CLEAR)

    def __call__(self, message: str) -> None:
        """Shows what is being looked at; too frequent messages are left out."""
        now = time.monotonic()
        with self._lock:
            if self._done or not self._shown or now - self._last < _SECONDS_BETWEEN:
                return
            self._last = now
            width = shutil.get_terminal_size().columns - 1
            self._write(_CLEAR + f"looking at {line(message)} …"[:width])

    def _write(self, text: str) -> None:
        if self._shown:
            try:
                self._stream.write(text)
                self._stream.flush()
            except OSError:
                self._shown = False
