"""A TCP server that does with each connection what a test says: close, reset, hold, or send any bytes."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Behaviour = Callable[[socket.socket, threading.Event], object]
"""What is done with an accepted connection; the event is set when the server stops."""


def close_after_greeting(connection: socket.socket, _stopped: threading.Event) -> None:
    """Read something and close in good order."""
    connection.recv(65536)


def reset(connection: socket.socket, _stopped: threading.Event) -> None:
    """Read something and reset the connection."""
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hold(_connection: socket.socket, stopped: threading.Event) -> None:
    """Say nothing until the server stops."""
    stopped.wait()


def send(content: bytes) -> Behaviour:
    """Send bytes at once, then wait for the other side to end."""

    def behave(connection: socket.socket, _stopped: threading.Event) -> None:
        connection.sendall(content)
        while connection.recv(65536):
            pass

    return behave


class RawServer:
    """Accepts connections on a free port of an address until it is stopped."""

    def __init__(self, behave: Behaviour, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self._behave = behave
        self._listener = socket.create_server((host, port))
        self._stopped = threading.Event()
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self._behave(connection, self._stopped)
