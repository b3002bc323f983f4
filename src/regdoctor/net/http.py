"""The only HTTP client: bounded, traced, and careful with credentials.

Built on httpcore, whose public network backend lets every read and write of a request share one bound on
the wall clock; a server that drips bytes cannot outlast it. Redirects are never followed here, compression
is never asked for, and the environment is never read.
"""

from __future__ import annotations

import copy
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from regdoctor import __version__
from regdoctor.facts.base import Failure
from regdoctor.facts.http import Answer
from regdoctor.model import Exchange, Timings
from regdoctor.net.dns import shared_resolver
from regdoctor.producer import producer_of

if TYPE_CHECKING:
    import httpcore

    from regdoctor.context import Deadline, Trace
    from regdoctor.net.dns import Resolver
    from regdoctor.net.failures import Step
    from regdoctor.net.tunnel import ForwardProxy
    from regdoctor.options import Options
    from regdoctor.secret import Secret

USER_AGENT = f"regdoctor/{__version__}"
BODY_LIMIT = 64 * 1024
EXCERPT_LIMIT = 4096
FALLBACK_DELAY = 0.3
"""Seconds before the next address of a name is tried beside the first (Go's ``net.Dialer.FallbackDelay``)."""
_HEADER_LIMIT = 100
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that are safe to send twice (RFC 9110 section 9.2.1)."""
_HEADERS_WITH_URLS = frozenset({"www-authenticate", "location", "content-location", "link"})
"""Headers whose URLs later requests go to."""
_PIECE = 64 * 1024
"""Bytes of a body between two looks for an answer that came early."""
_MOMENT = 0.001
"""Seconds in which bytes that have arrived are read."""


class Response(msgspec.Struct, frozen=True):
    """An answer and its body. ``body`` holds at most the limit of the request; ``answer`` is the fact."""

    answer: Answer
    body: bytes
    location: str | None = None
    """The ``Location`` header, unredacted: it may carry a signature that the next request needs."""


class NotConnected(OSError):  # noqa: N818 - a state, not an error
    """There is no way to the host: its name has no address, or the proxy opens none; ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class UnsafeCredentials(Exception):  # noqa: N818 - a refusal, not a failure
    """A credential would have gone where docker would not send it."""


class Client:
    """HTTP requests of one target's probes. Thread-safe; connections are kept and shared.

    :param shared: values that all targets of a run share under ``lock``; the connections are among them.
    :param registry: ``host:port`` of the target's registry, where there is one.
    :param domain: how the image reference writes it, which names its trust folder.
    :param conceal: receives the secrets in URLs that servers name: they are needed as they are, and must not
        be shown.
    """

    def __init__(
        self,
        *,
        options: Options,
        deadline: Deadline,
        trace: Trace,
        environment: Mapping[str, str],
        home: Path,
        shared: dict[str, Any],
        lock: threading.Lock,
        registry: str | None = None,
        domain: str | None = None,
        conceal: Callable[[Secret], None] = lambda _secret: None,
        insecure: Callable[[str], bool] = lambda _url: False,
    ) -> None:
        self._options = options
        self._deadline = deadline
        self._trace = trace
        self._environment = environment
        self._home = home
        self._shared = shared
        self._lock = lock
        self._registry = registry
        self._domain = domain
        self._conceal = conceal
        self._insecure = insecure

    def with_deadline(self, deadline: Deadline) -> Client:
        """The same client, with the same connections and trace, under another deadline."""
        other = copy.copy(self)
        other._deadline = deadline
        return other

    def close(self) -> None:
        """Closes every connection that is kept."""
        with self._lock:
            pools = self._shared.pop("http pools", {})
        for pool in pools.values():
            pool.close()

    def may_carry_credentials(self, url: str) -> bool:
        """Whether docker would send credentials there: over TLS, or in plain where the user said so.

        ``--plain-http`` says so for every host, an entry among the insecure registries for one, and loopback
        addresses are insecure registries by docker's own default (moby ``registry/config.go``).
        """
        parts = urlsplit(url)
        if parts.scheme == "https" or self._options.plain_http or _is_loopback(parts.hostname or ""):
            return True
        return self._insecure(url)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        authorization: Secret | None = None,
        content: bytes | Iterable[bytes] | None = None,
        verify: bool = True,
        address: str | None = None,
        proxy: str | None = None,
        body_limit: int = BODY_LIMIT,
        on_chunk: Callable[[bytes], None] | None = None,
        seconds: float | None = None,
        fresh: bool = False,
        announce: int | None = None,
    ) -> Response | Failure:
        """Sends one request and reads the answer; no redirect is followed.

        Only a request without a body on a kept connection that the server was just closing is sent once more,
        on a new one, as Go's clients do (``net/http`` ``persistConn.shouldRetryRequest``).

        An answer that comes while the body is still being sent ends the sending: proxies with a limit answer
        413 after the header, and close.

        :param authorization: the whole value of the ``Authorization`` header.
        :param content: the request's body; an iterable is sent in chunks.
        :param verify: False looks without judging the certificate; never together with ``authorization``.
        :param address: the IP address to connect to instead of what the name resolves to.
        :param proxy: the forward proxy's URL, or None for a direct connection.
        :param body_limit: bytes of the body that are read and kept; the rest is left unread.
        :param on_chunk: receives the body piece by piece instead of it being kept.
        :param seconds: bound for the whole exchange; by default one network step.
        :param fresh: whether to use a connection of its own.
        :param announce: a ``Content-Length``, of a body of which no byte is sent: what answers does so by the
            header alone, and silence until the bound is a failure (``RESPONSE_TIMEOUT``).
        :raises UnsafeCredentials: ``authorization`` would go over an unverified or plain connection.
        """
        if authorization is not None and not (verify and self.may_carry_credentials(url)):
            raise UnsafeCredentials(
                f"no credentials over an unprotected connection to {urlsplit(url).netloc}"
            )
        bound = min(seconds, self._deadline.remaining()) if seconds is not None else self._deadline.step()
        headers = tuple(headers)
        sent = self._headers(url, headers, authorization)
        if announce is not None:
            sent.append(("Content-Length", str(announce)))
            content = _WithheldBody()
        exchange = self._trace.begin()
        timer = _PhaseTimer()
        sent_at = datetime.now(UTC)
        started = time.monotonic()
        key = (url, method, exchange, sent, sent_at)
        try:
            pool = self._pool(url, verify=verify, address=address, proxy=proxy, fresh=fresh)
            with (
                _wall_clock(started + bound, sends_body=content is not None),
                pool.stream(
                    method,
                    url,
                    headers=sent,
                    content=content,
                    extensions={
                        "timeout": dict.fromkeys(("connect", "read", "write", "pool"), bound),
                        "trace": timer,
                    },
                ) as response,
            ):
                waited = time.monotonic() - started
                peer = _peer(response)
                body, complete, broken = _read(response, body_limit, on_chunk)
        except _request_errors() as error:
            failure = self._failed(key, error, timer)
            if not (timer.lost_kept_connection(error) and content is None and method in _REPEATABLE):
                return failure
        else:
            received = tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers
            )[:_HEADER_LIMIT]
            return self._answered(key, response.status, received, body, complete, waited, timer, peer, broken)
        finally:
            if fresh and "pool" in locals():
                pool.close()
        return self.request(
            method,
            url,
            headers=headers,
            authorization=authorization,
            verify=verify,
            address=address,
            proxy=proxy,
            body_limit=body_limit,
            on_chunk=on_chunk,
            seconds=max(0.001, started + bound - time.monotonic()),
            fresh=True,
        )

    def _headers(
        self, url: str, headers: Iterable[tuple[str, str]], authorization: Secret | None
    ) -> list[tuple[str, str]]:
        given = list(headers)
        names = {name.lower() for name, _value in given}
        sent = [("Host", urlsplit(url).netloc.rpartition("@")[2])] if "host" not in names else []
        if "user-agent" not in names:
            sent.append(("User-Agent", USER_AGENT))
        if "accept" not in names:
            sent.append(("Accept", "*/*"))
        sent.append(("Accept-Encoding", "identity"))
        sent.extend(given)
        if authorization is not None:
            sent.append(("Authorization", authorization.reveal()))
        return sent

    def _pool(self, url: str, *, verify: bool, address: str | None, proxy: str | None, fresh: bool) -> Any:
        import httpcore

        parts = urlsplit(url)
        origin = parts.netloc.rpartition("@")[2]
        key = (parts.scheme, origin, verify, address, proxy, self._domain)
        with self._lock:
            pools = self._shared.setdefault("http pools", {})
            pool = None if fresh else pools.get(key)
        if pool is not None:
            return pool
        resolver = shared_resolver(self._shared, self._lock, self._options.resolvers)
        context = (
            self._tls_context(parts.hostname or "", origin, verify=verify)
            if parts.scheme == "https"
            else None
        )
        way = self._way(proxy, url) if proxy is not None else None
        absolute = way is not None and parts.scheme == "http" and not way.is_socks
        settings = (
            self._tls_context(way.host, way.address, verify=True) if way and way.scheme == "https" else None
        )
        backend = _Backend(address, resolver, way, settings, tunnels=not absolute)
        if way is not None and absolute:
            # The backend itself speaks TLS with an https proxy.
            pool = httpcore.HTTPProxy(
                f"http://{way.address}",
                proxy_auth=way.userinfo,
                proxy_headers=[("User-Agent", USER_AGENT)],
                max_connections=8,
                network_backend=backend,
            )
        else:
            pool = httpcore.ConnectionPool(
                ssl_context=context, max_connections=8, keepalive_expiry=30.0, network_backend=backend
            )
        if not fresh:
            with self._lock:
                pool = pools.setdefault(key, pool)
        return pool

    def _tls_context(self, host: str, origin: str, *, verify: bool) -> ssl.SSLContext:
        from regdoctor.net.tls import client_context

        shown = f"[{host}]" if ":" in host else host
        host_port = f"{shown}:{urlsplit(f'//{origin}').port or 443}"
        return client_context(
            self._options,
            host_port,
            self._home,
            domain=self._domain,
            own=host_port == self._registry,
            environment=self._environment,
            verify=verify,
            shared=self._shared,
            lock=self._lock,
        )

    def _way(self, proxy: str, url: str) -> ForwardProxy:
        """The proxy with user name and password, from where the proxy itself came: facts carry none."""
        from regdoctor.net.tunnel import ForwardProxy, configured_proxy
        from regdoctor.secret import Secret

        way = ForwardProxy(Secret(proxy))
        configured = configured_proxy(url, self._options, self._environment)
        full = ForwardProxy(configured) if configured is not None else way
        for secret in full.secrets:
            self._conceal(secret)
        return full if full.shown == way.shown else way

    def _answered(
        self,
        key: tuple[str, str, str, list[tuple[str, str]], datetime],
        status: int,
        received: tuple[tuple[str, str], ...],
        body: bytes,
        complete: bool,
        waited: float,
        timer: _PhaseTimer,
        peer: tuple[Any, ...] | None,
        failure: str | None,
    ) -> Response:
        from regdoctor.redact import redact_body, redact_headers, redact_url, secrets_in_urls

        url, method, identity, sent, sent_at = key
        for name, value in received:
            if name in _HEADERS_WITH_URLS:
                for secret in secrets_in_urls(value):
                    self._conceal(secret)
        content_type = next((value for name, value in received if name == "content-type"), None)
        excerpt = redact_body(body, content_type)[:EXCERPT_LIMIT]
        shown = redact_headers(received)
        self._trace.end(
            Exchange(
                id=identity,
                method=method,
                url=redact_url(url),
                status=status,
                request_headers=redact_headers(tuple(sent)),
                response_headers=shown,
                body_excerpt=excerpt,
                timings_ms=timer.timings(),
                error=failure,
            )
        )
        answer = Answer(
            exchange=identity,
            url=redact_url(url),
            method=method,
            status=status,
            headers=shown,
            body_excerpt=excerpt,
            body_size=len(body),
            body_complete=complete,
            body_failure=failure,
            sent_at=sent_at,
            seconds=waited,
            producer=producer_of(status, received, excerpt),
            address=str(peer[0]) if peer else None,
        )
        location = next((value for name, value in received if name == "location"), None)
        return Response(answer=answer, body=body, location=location)

    def _failed(
        self,
        key: tuple[str, str, str, list[tuple[str, str]], datetime],
        error: BaseException,
        timer: _PhaseTimer,
    ) -> Failure:
        from regdoctor.net.failures import failure_of
        from regdoctor.redact import redact_headers, redact_url

        url, method, identity, sent, _sent_at = key
        where = urlsplit(url).netloc.rpartition("@")[2]
        failure = (
            error.failure
            if isinstance(error, NotConnected)
            else failure_of(error, step=timer.step(), where=where)
        )
        self._trace.end(
            Exchange(
                id=identity,
                method=method,
                url=redact_url(url),
                status=None,
                request_headers=redact_headers(tuple(sent)),
                response_headers=(),
                body_excerpt="",
                timings_ms=timer.timings(),
                error=failure.message,
            )
        )
        return failure


def _request_errors() -> tuple[type[Exception], ...]:
    """What a request may end with: faults of the network and of the peer, values in facts."""
    import httpcore

    return (
        httpcore.NetworkError,
        httpcore.TimeoutException,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
        OSError,
        ValueError,
    )


def _peer(response: httpcore.Response) -> tuple[Any, ...] | None:
    """The peer's socket address; None where it is gone, as after an answer to a body that it did not want."""
    stream = response.extensions.get("network_stream")
    try:
        return stream.get_extra_info("server_addr") if stream is not None else None
    except OSError:
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_userinfo(url: str) -> str:
    """A proxy's URL as far as it matters, scheme, host and port: in malformed ones secrets stand anywhere."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _read(
    response: httpcore.Response, limit: int, on_chunk: Callable[[bytes], None] | None
) -> tuple[bytes, bool, str | None]:
    """The body up to the limit, whether it is whole, and why it broke off."""
    import httpcore

    kept = bytearray()
    size = 0
    try:
        for chunk in response.iter_stream():  # ends at once after HEAD, and leaves the connection usable
            size += len(chunk)
            if on_chunk is not None:
                on_chunk(chunk)
                continue
            kept += chunk[: limit - len(kept)]
            if size > limit:
                return bytes(kept), False, None
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        return bytes(kept), False, f"the body broke off after {size} bytes: {error or type(error).__name__}"
    return bytes(kept), True, None


class _PhaseTimer:
    """httpcore's trace events of one exchange, as the contract's phases."""

    _PHASES: ClassVar[Mapping[str, str]] = {
        "connection.connect_tcp": "tcp",
        "connection.start_tls": "tls",
        "http11.receive_response_headers": "wait",
        "http11.receive_response_body": "read",
    }

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._milliseconds: dict[str, float] = {}
        self._last = ""
        self._answered = False

    def __call__(self, event: str, _info: Mapping[str, Any]) -> None:
        name, _, moment = event.rpartition(".")
        if moment == "started":
            self._last = name
        if event == "http11.receive_response_headers.complete":
            self._answered = True
        phase = self._PHASES.get(name)
        if phase is None:
            return
        if moment == "started":
            self._started[phase] = time.monotonic()
        elif phase in self._started:
            self._milliseconds[phase] = round((time.monotonic() - self._started[phase]) * 1000, 1)

    def step(self) -> Step:
        """What was going on when the exchange ended."""
        from regdoctor.net.failures import Step

        if self._last in ("", "connection.connect_tcp"):
            return Step.CONNECT
        return Step.TLS if self._last == "connection.start_tls" else Step.EXCHANGE

    def lost_kept_connection(self, error: BaseException) -> bool:
        """Whether a connection from before was closed before the first byte of the answer."""
        import httpcore

        return (
            isinstance(error, httpcore.NetworkError | httpcore.RemoteProtocolError)
            and "tcp" not in self._started
            and not self._answered
        )

    def timings(self) -> Timings:
        """Milliseconds by phase."""
        return Timings(**self._milliseconds)


_LIMIT = threading.local()
"""The end of the current request on this thread, for streams that are shared between requests."""


class _wall_clock:  # noqa: N801 - reads as a statement where it is used
    """Bounds every read and write that this thread does on httpcore streams until it is left.

    :param sends_body: whether to look, before each write, for an answer that came early.
    """

    def __init__(self, end: float, *, sends_body: bool = False) -> None:
        self._end = end
        self._sends_body = sends_body

    def __enter__(self) -> None:
        _LIMIT.end = self._end
        _LIMIT.sends_body = self._sends_body
        _LIMIT.stream = None

    def __exit__(self, *_: object) -> None:
        _LIMIT.end = None
        _LIMIT.sends_body = False
        _LIMIT.stream = None


def _bounded(timeout: float | None) -> float | None:
    end: float | None = getattr(_LIMIT, "end", None)
    if end is None:
        return timeout
    left = max(0.001, end - time.monotonic())
    return left if timeout is None else min(left, timeout)


def _extend(seconds: float) -> None:
    """Moves the end of the current request on this thread."""
    if getattr(_LIMIT, "end", None) is not None:
        _LIMIT.end += seconds


def pause_sending(seconds: float) -> None:
    """Waits, in an iterable that is a request's body; an answer that comes meanwhile ends the sending at once."""
    import httpcore

    stream = getattr(_LIMIT, "stream", None)
    # httpcore takes a WriteError while sending as the sign to read the answer.
    if stream is not None and stream.answered(_bounded(seconds)):
        raise httpcore.WriteError("answered before everything was sent")


class _WithheldBody:
    """A body that never comes: waits for an answer to the header alone, and gives up at the bound."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        pause_sending(_LIMIT.end - time.monotonic())
        raise TimeoutError("no answer to the header alone")


def _backend_types() -> tuple[type, type]:
    """The network backend and its stream, made when httpcore is first needed."""
    import httpcore

    class Stream(httpcore.NetworkStream):
        """A stream whose every operation keeps to the current request's bound."""

        def __init__(self, inner: httpcore.NetworkStream) -> None:
            self._inner = inner
            self._early = b""

        def answered(self, timeout: float | None) -> bool:
            """Whether the peer has sent something, or closed, before it was asked to; waits at most that long.

            What came is kept for :meth:`read`. A socket may be readable without it: of session tickets, which
            belong to TLS itself (RFC 8446 section 4.6.1).
            """
            try:
                self._early += self._inner.read(65536, timeout)
            except httpcore.ReadTimeout:
                return False
            return True

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            if self._early:
                kept, self._early = self._early[:max_bytes], self._early[max_bytes:]
                return kept
            end = getattr(_LIMIT, "end", None)
            if end is not None and time.monotonic() >= end:
                raise httpcore.ReadTimeout("the time for this request is used up")
            return self._inner.read(max_bytes, _bounded(timeout))

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            end = getattr(_LIMIT, "end", None)
            if end is not None and time.monotonic() >= end:
                raise httpcore.WriteTimeout("the time for this request is used up")
            if not getattr(_LIMIT, "sends_body", False):
                self._inner.write(buffer, _bounded(timeout))
                return
            _LIMIT.stream = self
            for start in range(0, len(buffer), _PIECE):
                if self._inner.get_extra_info("is_readable") and self.answered(_MOMENT):
                    raise httpcore.WriteError("answered before everything was sent")
                self._inner.write(buffer[start : start + _PIECE], _bounded(timeout))

        def close(self) -> None:
            self._inner.close()

        def start_tls(
            self,
            ssl_context: ssl.SSLContext,
            server_hostname: str | None = None,
            timeout: float | None = None,
        ) -> httpcore.NetworkStream:
            return Stream(self._inner.start_tls(ssl_context, server_hostname, _bounded(timeout)))

        def get_extra_info(self, info: str) -> Any:
            return self._inner.get_extra_info(info)

    class Backend(httpcore.NetworkBackend):
        """Resolves with a bound, and tries the addresses of a name as Go's dialer does; goes through proxies."""

        def __init__(
            self,
            address: str | None,
            resolver: Resolver,
            way: ForwardProxy | None,
            settings: ssl.SSLContext | None,
            tunnels: bool,
        ) -> None:
            self._address = address
            self._resolver = resolver
            self._way = way
            self._settings = settings
            self._tunnels = tunnels
            self._inner = httpcore.SyncBackend()

        def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> httpcore.NetworkStream:
            del local_address, socket_options
            if self._way is None:
                return self._dial(host, port, timeout)
            return self._go_through(self._way, host, port, timeout)

        def _go_through(
            self, way: ForwardProxy, host: str, port: int, timeout: float | None
        ) -> httpcore.NetworkStream:
            """A connection to the proxy, or by its help to the host. Every failure is the proxy's."""
            from regdoctor.net import tunnel

            try:
                stream = self._dial(way.host, way.port, timeout)
            except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
                raise NotConnected(tunnel.not_reached(way, host, port, error)) from error
            try:
                left = _bounded(timeout) or 5.0
                if self._settings is not None:
                    stream = stream.start_tls(self._settings, way.host, left)
                if not self._tunnels:
                    return stream
                answer = way.ask(stream, host, port, time.monotonic() + left)
            except (httpcore.NetworkError, httpcore.TimeoutException, OSError, ValueError) as error:
                stream.close()
                raise NotConnected(tunnel.no_tunnel(way, host, port, error)) from error
            if not answer.opened:
                stream.close()
                raise NotConnected(tunnel.refused(way, host, port, answer))
            return stream

        def _dial(self, host: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
            bound = _bounded(timeout) or 5.0
            end = time.monotonic() + bound
            addresses: tuple[str, ...] = (self._address,) if self._address else ()
            if not addresses:
                started = time.monotonic()
                resolution = self._resolver.resolve(host, bound)
                # Looking a name up is a network step of its own: a nameserver that costs clients seconds
                # (resolv.conf(5), timeout) must not look like a server that answers late.
                spent = time.monotonic() - started
                end += spent
                _extend(spent)
                if resolution.failure is not None:
                    raise NotConnected(resolution.failure)
                addresses = resolution.addresses
            if len(addresses) == 1:
                left = max(0.001, end - time.monotonic())
                return Stream(self._inner.connect_tcp(addresses[0], port, left))
            return Stream(_first_connected(self._inner, addresses, port, end))

    return Backend, Stream


def _Backend(  # noqa: N802 - stands for the class made on demand
    address: str | None,
    resolver: Resolver,
    way: ForwardProxy | None,
    settings: ssl.SSLContext | None,
    *,
    tunnels: bool,
) -> httpcore.NetworkBackend:
    """The backend.

    :param address: connected to instead of what the name resolves to; no matter through a proxy.
    :param way: the proxy that everything goes through.
    :param settings: for TLS with the proxy itself.
    :param tunnels: whether the proxy is asked to connect; otherwise it is spoken to itself.
    """
    backend, _stream = _backend_types()
    made: httpcore.NetworkBackend = backend(address, resolver, way, settings, tunnels)
    return made


def _first_connected(
    backend: httpcore.SyncBackend, addresses: Sequence[str], port: int, end: float
) -> httpcore.NetworkStream:
    """Connects to the first address that answers, starting the next one after a short delay (RFC 8305)."""
    import queue

    outcomes: queue.Queue[httpcore.NetworkStream | Exception] = queue.Queue()
    settled = threading.Event()

    def attempt(address: str) -> None:
        try:
            stream = backend.connect_tcp(address, port, max(0.001, end - time.monotonic()))
        except Exception as error:
            outcomes.put(error)
            return
        if settled.is_set():
            stream.close()
        else:
            outcomes.put(stream)

    first_error: Exception | None = None
    pending = list(addresses)
    running = 0
    while pending or running:
        if pending:
            threading.Thread(target=attempt, args=(pending.pop(0),), daemon=True).start()
            running += 1
        wait = FALLBACK_DELAY if pending else max(0.001, end - time.monotonic())
        try:
            outcome = outcomes.get(timeout=wait)
        except queue.Empty:
            if not pending:
                break
            continue
        running -= 1
        if not isinstance(outcome, Exception):
            settled.set()
            return outcome
        first_error = first_error or outcome
    settled.set()
    raise first_error or TimeoutError("no address of the name accepted a connection in time")
