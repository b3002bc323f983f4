"""Ways through a forward proxy: tunnels by CONNECT (RFC 9110 section 9.3.6) and by SOCKS 5 (RFC 1928, RFC 1929).

The same words go over sockets, for TLS handshakes, and over the streams of the HTTP client.
"""

from __future__ import annotations

import base64
import re
import socket
import struct
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from regdoctor.facts.base import Failure, FailureKind
from regdoctor.facts.http import Answer
from regdoctor.host.proxies import proxy_for
from regdoctor.net.failures import Step, failure_of, make_failure
from regdoctor.secret import Secret

if TYPE_CHECKING:
    import ssl

    from regdoctor.context import Context
    from regdoctor.facts.base import Endpoint
    from regdoctor.options import Options

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""The kinds of proxies that Go's clients know, and where they listen unless the URL says so."""
_LONGEST_HEADER = 16 * 1024
_MOST_FIELDS = 100
_LONGEST_BODY = 4096
_BODY_SECONDS = 0.5
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]([^\r\n]*)")
_SOCKS_REPLIES: Final = {
    0: (200, "succeeded"),
    1: (502, "general failure"),
    2: (403, "not allowed by the proxy's rules"),
    3: (503, "network unreachable"),
    4: (503, "host unreachable"),
    5: (503, "connection refused"),
    6: (504, "time to live expired"),
    7: (405, "command not supported"),
    8: (400, "address type not supported"),
}
"""Replies of SOCKS 5 (RFC 1928 section 6), with the HTTP status that means the same."""


class Stream(Protocol):
    """What the words go over: httpcore's streams are such, and :class:`SocketStream`."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """At most so many bytes, empty at the end; raises a time-out."""
        ...

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Sends all bytes."""
        ...


class SocketStream:
    """A socket as a :class:`Stream`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See :class:`Stream`."""
        self._connection.settimeout(timeout)
        return self._connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See :class:`Stream`."""
        self._connection.settimeout(timeout)
        self._connection.sendall(buffer)


class TunnelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy says when it is asked to connect to a host. Header names are in lower case."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    """The beginning of the page that comes with a refusal."""

    @property
    def opened(self) -> bool:
        """Whether the tunnel is open."""
        return 200 <= self.status < 300


class ForwardProxy:
    """A forward proxy by its URL, which may hold a user name and password.

    ``shown`` is the URL without them.

    :raises ValueError: the port is out of range.
    """

    def __init__(self, url: Secret) -> None:
        parts = urlsplit(url.reveal())
        self.scheme = parts.scheme
        # Go dials ":3128", a port without a host, on this machine (net.Dial).
        self.host = parts.hostname or "localhost"
        self.port = parts.port or DEFAULT_PORTS.get(parts.scheme, 80)
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.address = f"{name}:{self.port}"
        self.shown = f"{self.scheme}://{self.address}"
        self._username = None if parts.username is None else unquote(parts.username)
        self._password = unquote(parts.password or "")

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS 5 and not HTTP."""
        return self.scheme.startswith("socks5")

    @property
    def userinfo(self) -> tuple[bytes, bytes] | None:
        """User name and password, decoded, in UTF-8 (RFC 7617 section 2.1)."""
        if self._username is None:
            return None
        return self._username.encode(), self._password.encode()

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What must not be shown: the password, decoded and as it is sent."""
        if self.userinfo is None or not self._password:
            return ()
        return Secret(self._password), Secret(base64.b64encode(b":".join(self.userinfo)).decode())

    def ask(self, stream: Stream, host: str, port: int, end: float) -> TunnelAnswer:
        """Asks the proxy at the other end of the stream for a connection to a host.

        :param host: a name, which the proxy looks up, or an IP literal without brackets.
        :param end: on the monotonic clock.
        :raises OSError: the exchange fails; time-outs are those of the stream.
        :raises ValueError: what comes is no answer.
        """
        if self.is_socks:
            return _socks(stream, host, port, self.userinfo, end)
        target = _target(host, port)
        stream.write(_request(f"CONNECT {target}", target, self.userinfo), _left(end))
        header = _header(stream, end)
        status, reason = _status(header)
        answer = TunnelAnswer(status=status, reason=reason, headers=_fields(header))
        if answer.opened:
            return answer
        return msgspec.structs.replace(answer, body=_body(stream, answer.headers, end))

    def fetch(self, stream: Stream, url: str, end: float) -> TunnelAnswer:
        """Asks an HTTP proxy for an http URL itself, without a tunnel (RFC 9112 section 3.2.2).

        :raises OSError: the exchange fails; time-outs are those of the stream.
        :raises ValueError: what comes is no answer.
        """
        host = urlsplit(url).netloc.rpartition("@")[2]
        stream.write(_request(f"GET {url}", host, self.userinfo, closing=True), _left(end))
        header = _header(stream, end)
        status, reason = _status(header)
        fields = _fields(header)
        return TunnelAnswer(status=status, reason=reason, headers=fields, body=_body(stream, fields, end))


def configured_proxy(url: str, options: Options, environment: Mapping[str, str]) -> Secret | None:
    """The proxy that clients with these options and this environment use for a URL, user name and all."""
    found = options.proxy or proxy_for(url, environment).proxy_url
    return Secret(found) if found else None


def tls_settings(proxy: ForwardProxy, context: Context) -> ssl.SSLContext:
    """The TLS settings for an https proxy, judged as a registry's would be (Go takes the same for both)."""
    from regdoctor.net.tls import client_context

    return client_context(
        context.options,
        proxy.address,
        context.home,
        verify=True,
        shared=context.shared,
        lock=context.lock,
        environment=context.environment,
    )


def through_proxy(
    proxy: Secret,
    host: str,
    port: int,
    wrap: Callable[[socket.socket, str], socket.socket],
    connect: Callable[[str, int, float], socket.socket] | None = None,
) -> Callable[[float], socket.socket | Failure]:
    """What opens a connection to a host through a proxy, given a time-out in seconds.

    :param proxy: the proxy's URL, which may hold a user name and password.
    :param host: the host that the proxy is to connect to, a name or an IP literal without brackets.
    :param wrap: starts TLS with an https proxy, given the connection and the proxy's name.
    :param connect: connects to a name and port within seconds; raises OSError.
    """
    way = ForwardProxy(proxy)

    def open_connection(timeout: float) -> socket.socket | Failure:
        target = _target(host, port)
        end = time.monotonic() + timeout
        try:
            connection = (connect or _connect)(way.host, way.port, timeout)
        except OSError as error:
            return failure_of(error, step=Step.CONNECT, where=target, proxy=way.shown)
        try:
            if way.scheme == "https":
                connection = wrap(connection, way.host)
            answer = way.ask(SocketStream(connection), host, port, end)
        except (OSError, ValueError) as error:
            connection.close()
            return no_tunnel(way, host, port, error)
        if not answer.opened:
            connection.close()
            return refused(way, host, port, answer)
        connection.settimeout(_left(end))
        return connection

    return open_connection


def not_reached(proxy: ForwardProxy, host: str, port: int, error: BaseException) -> Failure:
    """The failure of a proxy that no connection can be made to."""
    known = getattr(error, "failure", None)
    if not isinstance(known, Failure):
        return failure_of(error, step=Step.CONNECT, where=_target(host, port), proxy=proxy.shown)
    return make_failure(
        FailureKind.PROXY_UNREACHABLE,
        _target(host, port),
        error=error,
        message=f"the forward proxy {proxy.shown} could not be reached: {known.message}",
    )


def no_tunnel(proxy: ForwardProxy, host: str, port: int, error: BaseException) -> Failure:
    """The failure of a proxy that is there and gives no usable answer."""
    return make_failure(
        FailureKind.PROXY_UNREACHABLE,
        _target(host, port),
        error=error,
        message=f"the forward proxy {proxy.shown} gave no usable answer to CONNECT: "
        f"{str(error) or type(error).__name__}",
    )


def refused(proxy: ForwardProxy, host: str, port: int, answer: TunnelAnswer) -> Failure:
    """The failure of a proxy that answers and opens no tunnel."""
    target = _target(host, port)
    said = f"{answer.status} {answer.reason}".rstrip()
    return make_failure(
        FailureKind.PROXY_REFUSED,
        target,
        message=f"the forward proxy {proxy.shown} answered CONNECT {target}: {said}",
    )


def ask(proxy: Secret, endpoint: Endpoint, context: Context) -> Answer | Failure:
    """Asks a proxy for a host on the way: for a tunnel, which is closed again, or for an http URL itself.

    Unlike in :func:`through_proxy` a failure is one of the connection to the proxy, by its own kind
    (``CONNECTION_REFUSED``, ``TLS_NOT_SPOKEN``, …). The exchange is traced. Bounded by one network step.

    :raises ValueError: the proxy's URL is none.
    """
    from regdoctor.model import Exchange, Timings
    from regdoctor.producer import producer_of
    from regdoctor.redact import redact_body, redact_headers, redact_url

    way = ForwardProxy(proxy)
    for secret in way.secrets:
        context.conceal(secret)
    plain = endpoint.scheme == "http" and not way.is_socks
    method = "GET" if plain else "CONNECT"
    url = endpoint.url + endpoint.path if plain else _target(endpoint.host, endpoint.port)
    timeout = context.deadline.step()
    started, sent_at = time.monotonic(), datetime.now(UTC)
    identity = context.trace.begin()
    got = _ask(way, endpoint, url if plain else None, started + timeout, context)
    seconds = time.monotonic() - started
    told = got if isinstance(got, TunnelAnswer) else TunnelAnswer(status=0, reason="")
    headers = redact_headers(told.headers)
    content_type = next((value for name, value in headers if name == "content-type"), None)
    excerpt = redact_body(told.body, content_type)
    context.trace.end(
        Exchange(
            id=identity,
            method=method,
            url=redact_url(url),
            status=told.status or None,
            request_headers=(("Host", redact_url(_target(endpoint.host, endpoint.port))),),
            response_headers=headers,
            body_excerpt=excerpt,
            timings_ms=Timings(wait=round(seconds * 1000, 1)),
            error=got.message if isinstance(got, Failure) else None,
        )
    )
    if isinstance(got, Failure):
        return got
    return Answer(
        exchange=identity,
        url=redact_url(url),
        method=method,
        status=got.status,
        headers=headers,
        body_excerpt=excerpt,
        body_size=len(got.body),
        body_complete=len(got.body) < _LONGEST_BODY,
        sent_at=sent_at,
        seconds=seconds,
        producer=producer_of(got.status, got.headers, excerpt),
    )


def _ask(
    way: ForwardProxy, endpoint: Endpoint, url: str | None, end: float, context: Context
) -> TunnelAnswer | Failure:
    from regdoctor.net.dns import shared_resolver

    resolver = shared_resolver(context.shared, context.lock, context.options.resolvers)
    resolution = resolver.resolve(way.host, _left(end))
    if resolution.failure is not None:
        return resolution.failure
    step = Step.CONNECT
    try:
        connection = _first_open(resolution.addresses, way.port, end)
        with connection:
            if way.scheme == "https":
                step = Step.TLS
                connection.settimeout(_left(end))
                connection = tls_settings(way, context).wrap_socket(connection, server_hostname=way.host)
            step = Step.EXCHANGE
            with connection:
                stream = SocketStream(connection)
                if url is not None:
                    return way.fetch(stream, url, end)
                return way.ask(stream, endpoint.host, endpoint.port, end)
    except ValueError as error:
        return make_failure(FailureKind.RESPONSE_MALFORMED, way.address, error=error)
    except OSError as error:
        return failure_of(error, step=step, where=way.address)


def plain_answer(proxy: Secret, context: Context, timeout: float) -> str | None:
    """The first line that a proxy's port answers to plain HTTP, or None: for one that is said to speak TLS."""
    from regdoctor.net.dns import shared_resolver

    way = ForwardProxy(proxy)
    end = time.monotonic() + timeout
    resolver = shared_resolver(context.shared, context.lock, context.options.resolvers)
    try:
        addresses = resolver.resolve(way.host, _left(end)).addresses
        with _first_open(addresses, way.port, end) as connection:
            stream = SocketStream(connection)
            stream.write(f"OPTIONS * HTTP/1.1\r\nHost: {way.address}\r\n\r\n".encode("latin-1"), _left(end))
            line = stream.read(200, _left(end)).partition(b"\r\n")[0]
    except OSError:
        return None
    return line.decode("latin-1") if line.startswith(b"HTTP/1.") else None


def opener(endpoint: Endpoint, context: Context) -> Callable[[float], socket.socket | Failure]:
    """What opens a connection to a host on the way through the proxy that clients use for it.

    :raises ValueError: no proxy is used for it.
    """
    from regdoctor.net.dns import shared_resolver

    proxy = configured_proxy(endpoint.url, context.options, context.environment)
    if proxy is None:
        raise ValueError(f"no proxy is used for {endpoint.address}")
    try:
        way = ForwardProxy(proxy)
    except ValueError as error:
        message = f"the forward proxy's URL is malformed: {error}"
        malformed = make_failure(FailureKind.PROXY_UNREACHABLE, endpoint.address, message=message)
        return lambda _timeout: malformed
    for secret in way.secrets:
        context.conceal(secret)
    resolver = shared_resolver(context.shared, context.lock, context.options.resolvers)

    def connect(name: str, port: int, timeout: float) -> socket.socket:
        end = time.monotonic() + timeout
        return _first_open(resolver.resolve(name, timeout).addresses, port, end)

    def wrap(connection: socket.socket, name: str) -> socket.socket:
        return tls_settings(way, context).wrap_socket(connection, server_hostname=name)

    return through_proxy(proxy, endpoint.host, endpoint.port, wrap, connect)


def _first_open(addresses: tuple[str, ...], port: int, end: float) -> socket.socket:
    """A connection to the first address that accepts one, trying in order.

    :raises OSError: none does.
    """
    problem: OSError = OSError("the name has no address")
    for position, address in enumerate(addresses):
        left = _left(end) / (len(addresses) - position)
        try:
            return socket.create_connection((address, port), max(0.001, left))
        except OSError as error:
            problem = error
    raise problem


def _connect(name: str, port: int, timeout: float) -> socket.socket:
    return socket.create_connection((name, port), timeout)


def _left(end: float) -> float:
    return max(0.001, end - time.monotonic())


def _target(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _request(what: str, host: str, userinfo: tuple[bytes, bytes] | None, *, closing: bool = False) -> bytes:
    lines = [f"{what} HTTP/1.1", f"Host: {host}", "User-Agent: regdoctor"]
    if closing:
        lines += ["Accept: */*", "Connection: close"]
    if userinfo is not None:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(b':'.join(userinfo)).decode()}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _header(stream: Stream, end: float) -> bytes:
    """The header of the proxy's answer, byte by byte: what follows belongs to the tunnel."""
    header = b""
    while not header.endswith(b"\r\n\r\n"):
        if time.monotonic() >= end:
            raise TimeoutError("no whole answer in time")
        received = stream.read(1, _left(end))
        if not received:
            raise ValueError("the connection was closed")
        header += received
        if len(header) > _LONGEST_HEADER:
            raise ValueError("the header is too long")
    return header


def _status(header: bytes) -> tuple[int, str]:
    match = _STATUS_LINE.match(header)
    if match is None:
        raise ValueError("not an HTTP answer")
    return int(match[1]), match[2].decode("latin-1").strip()[:100]


def _fields(header: bytes) -> tuple[tuple[str, str], ...]:
    lines = header.decode("latin-1").split("\r\n")[1:_MOST_FIELDS]
    pairs = (line.partition(":") for line in lines if ":" in line)
    return tuple((name.strip().lower(), value.strip()) for name, _colon, value in pairs)


def _body(stream: Stream, headers: tuple[tuple[str, str], ...], end: float) -> bytes:
    """The beginning of a refusal's page; whatever stands in the way of reading it does not matter."""
    end = min(end, time.monotonic() + _BODY_SECONDS)
    length = next((value for name, value in headers if name == "content-length"), "")
    wanted = min(int(length), _LONGEST_BODY) if length.isascii() and length.isdigit() else _LONGEST_BODY
    body = b""
    try:
        while len(body) < wanted and time.monotonic() < end:
            received = stream.read(wanted - len(body), _left(end))
            if not received:
                break
            body += received
    except Exception:  # noqa: S110 - time-outs are of as many types as there are streams
        pass
    return body


def _socks(
    stream: Stream, host: str, port: int, userinfo: tuple[bytes, bytes] | None, end: float
) -> TunnelAnswer:
    """The exchange of RFC 1928 for the command CONNECT, with the login of RFC 1929 where there is one."""
    methods = b"\x00\x02" if userinfo is not None else b"\x00"
    stream.write(b"\x05" + bytes([len(methods)]) + methods, _left(end))
    version, method = _exactly(stream, 2, end)
    if version != 5:
        raise ValueError("not a SOCKS 5 answer")
    if method == 0xFF:
        return TunnelAnswer(status=407, reason="the proxy accepts no way to log in that is offered")
    if method == 2 and userinfo is not None:
        name, password = (each[:255] for each in userinfo)
        stream.write(b"\x01" + bytes([len(name)]) + name + bytes([len(password)]) + password, _left(end))
        if _exactly(stream, 2, end)[1] != 0:
            return TunnelAnswer(status=407, reason="the proxy refuses the user name or password")
    stream.write(b"\x05\x01\x00" + _socks_address(host) + struct.pack(">H", port), _left(end))
    _version, reply, _reserved, kind = _exactly(stream, 4, end)
    if reply == 0:
        length = {1: 4, 4: 16}.get(kind) or _exactly(stream, 1, end)[0]
        _exactly(stream, length + 2, end)
    status, reason = _SOCKS_REPLIES.get(reply, (502, f"reply {reply}"))
    return TunnelAnswer(status=status, reason=reason)


def _socks_address(host: str) -> bytes:
    for family, kind in ((socket.AF_INET, b"\x01"), (socket.AF_INET6, b"\x04")):
        try:
            return kind + socket.inet_pton(family, host)
        except OSError:
            continue
    name = host.encode("ascii", "replace")[:255]
    return b"\x03" + bytes([len(name)]) + name


def _exactly(stream: Stream, count: int, end: float) -> bytes:
    received = b""
    while len(received) < count:
        if time.monotonic() >= end:
            raise TimeoutError("no whole answer in time")
        more = stream.read(count - len(received), _left(end))
        if not more:
            raise ValueError("the connection was closed")
        received += more
    return received
