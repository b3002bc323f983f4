"""A TCP server whose every byte the test decides: for answers that no HTTP server would give."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def raw_server(
    answer: Callable[[socket.socket, threading.Event], None], host: str = "127.0.0.1"
) -> Iterator[int]:
    """Runs ``answer`` for every connection, in a thread of its own, and gives the port.

    ``answer`` gets the connection, whose time-out is 10 s, and an event that is set when the test is over;
    it should wait on the event instead of sleeping.
    """
    over = threading.Event()
    listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            answer(connection, over)

    def accept() -> None:
        while True:
            try:
                connection, _peer = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def read_request(connection: socket.socket) -> bytes:
    """The request's header, up to the empty line."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        if not chunk:
            break
        received += chunk
    return received


def close_after_greeting(connection: socket.socket, _over: threading.Event) -> None:
    """Reads something and closes in good order."""
    connection.recv(65536)


def reset(connection: socket.socket, _over: threading.Event) -> None:
    """Reads something and resets the connection."""
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hold(_connection: socket.socket, over: threading.Event) -> None:
    """Says nothing until the test is over."""
    over.wait()


def send(content: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Sends bytes at once, then waits for the other side to end."""

    def answer(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(content)
        while connection.recv(65536):
            pass

    return answer
