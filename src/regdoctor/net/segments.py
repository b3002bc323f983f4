"""One exchange over TCP with segments held to a given size: tells a path that loses big packets.

Where the path's MTU is smaller than the interface's and the ICMP message that says so is filtered, full-size
packets vanish for good (RFC 2923 section 2.1). With a smaller maximum segment size, which our SYN announces
and our own side keeps to (tcp(7), ``TCP_MAXSEG``), the same exchange goes through.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from regdoctor.facts.base import Failure, FailureKind
from regdoctor.facts.tcp import SegmentTrial
from regdoctor.net.failures import Step, failure_of, make_failure

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

_TCP_WINDOW_CLAMP = 10  # <linux/tcp.h>
_LARGEST_RESPONSE = 256 * 1024


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """What to do on each connection: a TLS handshake where ``server_name`` is given, then a request.

    ``request`` is sent as it is; without one the exchange is over with the handshake.
    """

    address: str
    port: int
    use_tls: bool = False
    server_name: str | None = None
    """For SNI; None where the host is an IP literal."""
    request: bytes = b""


def try_sizes(exchange: Exchange, sizes: Sequence[int | None], timeout: float) -> tuple[SegmentTrial, ...]:
    """Carries the exchange out once for each segment size, all side by side.

    :param sizes: bytes of payload; None leaves it to the interface's MTU.
    :param timeout: seconds for each.
    """
    trials: dict[int, SegmentTrial] = {}
    end = time.monotonic() + timeout

    def run(position: int, size: int | None) -> None:
        trials[position] = _try(exchange, size, end)

    threads = [
        threading.Thread(target=run, args=(position, size), name="segments", daemon=True)
        for position, size in enumerate(sizes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()) + 0.5)
    late = make_failure(FailureKind.RESPONSE_TIMEOUT, exchange.address)
    return tuple(
        trials.get(position)
        or SegmentTrial(segment_size=size, completed=False, seconds=timeout, sent=0, received=0, failure=late)
        for position, size in enumerate(sizes)
    )


def _try(exchange: Exchange, size: int | None, end: float) -> SegmentTrial:
    started = time.monotonic()
    count = _Count()
    failure: Failure | None = None
    completed = False
    step = Step.CONNECT
    try:
        with _connect(exchange, size, end) as connection:
            wire = _Wire(connection, size, end, count)
            if exchange.use_tls:
                step = Step.TLS
                channel: _Wire | _Secure = _Secure(wire, exchange.server_name)
            else:
                channel = wire
            step = Step.EXCHANGE
            if exchange.request:
                channel.send(exchange.request)
                _read_response(channel.receive)
            completed = True
    except (OSError, ValueError) as error:
        failure = failure_of(error, step=step, where=exchange.address)
    return SegmentTrial(
        segment_size=size,
        completed=completed,
        seconds=time.monotonic() - started,
        sent=count.sent,
        received=count.received,
        failure=failure,
    )


class _Count:
    """Bytes of payload each way."""

    sent = 0
    received = 0


class _Wire:
    """A TCP connection that keeps to the end of the trial and sends in pieces of one segment."""

    def __init__(self, connection: socket.socket, size: int | None, end: float, count: _Count) -> None:
        self._connection = connection
        self._size = size
        self._end = end
        self._count = count

    def send(self, data: bytes) -> None:
        """Sends all of it; each piece becomes a packet of its own (no Nagle, no segmentation offload)."""
        piece = self._size or len(data)
        for start in range(0, len(data), max(1, piece)):
            self._limit()
            part = data[start : start + piece]
            self._connection.sendall(part)
            self._count.sent += len(part)

    def receive(self) -> bytes:
        """The next bytes; empty at the end."""
        self._limit()
        data = self._connection.recv(16384)
        self._count.received += len(data)
        return data

    def _limit(self) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for this trial is used up")
        self._connection.settimeout(left)


class _Secure:
    """TLS over a wire; what is served is not judged here, so no certificate is verified."""

    def __init__(self, wire: _Wire, server_name: str | None) -> None:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._wire = wire
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session: ssl.SSLObject = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name
        )
        self._drive(self._session.do_handshake)

    def send(self, data: bytes) -> None:
        """Encrypts and sends all of it."""
        self._drive(lambda: self._session.write(data))

    def receive(self) -> bytes:
        """The next decrypted bytes; empty at the end."""
        import ssl

        try:
            return self._drive(lambda: self._session.read(16384))
        except ssl.SSLZeroReturnError:
            return b""

    def _drive(self, operation: Callable[[], T]) -> T:
        import ssl

        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._wire.receive()
                if not data:
                    raise ConnectionResetError("the connection was closed within TLS") from None
                self._incoming.write(data)
                continue
            self._flush()
            return result

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._wire.send(self._outgoing.read())


def _connect(exchange: Exchange, size: int | None, end: float) -> socket.socket:
    family, kind, protocol, _name, where = socket.getaddrinfo(
        exchange.address, exchange.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if size is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, size)
            # A small window keeps the other side from handing its interface more than it can cut itself.
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, _TCP_WINDOW_CLAMP, size)
        connection.settimeout(max(0.1, end - time.monotonic()))
        connection.connect(where)
    except BaseException:
        connection.close()
        raise
    return connection


def _read_response(receive: Callable[[], bytes]) -> None:
    """Reads an HTTP/1.1 response to its end (RFC 9112 section 6.3); raises OSError where it breaks off."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        data = receive()
        if not data:
            if received:
                raise ConnectionResetError("the connection was closed within the header")
            raise ConnectionResetError("the connection was closed without an answer")
        received += data
        if len(received) > _LARGEST_RESPONSE:
            return
    header, _, body = bytes(received).partition(b"\r\n\r\n")
    fields = {
        name.strip().lower(): value.strip()
        for name, colon, value in (line.partition(b":") for line in header.split(b"\r\n")[1:])
        if colon
    }
    length = fields.get(b"content-length", b"")
    rest = bytearray(body)
    while len(rest) < _LARGEST_RESPONSE:
        if length.isdigit() and len(rest) >= int(length):
            return
        if b"chunked" in fields.get(b"transfer-encoding", b"").lower() and rest.endswith(b"0\r\n\r\n"):
            return
        data = receive()
        if not data:
            if length.isdigit():
                raise ConnectionResetError("the connection was closed within the body")
            return
        rest += data
