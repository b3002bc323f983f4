"""Opens connections to every address of a host, and looks further where they do not open or big packets hang."""

from __future__ import annotations

import threading
import time
from urllib.parse import urlsplit

from regdoctor.api import (
    Addresses,
    Answer,
    Blocked,
    ConnectionAttempt,
    Connections,
    Context,
    Endpoint,
    Failure,
    FailureKind,
    Handshakes,
    ManifestLook,
    NotApplicable,
    OtherPort,
    OtherPorts,
    Ping,
    ProducerKind,
    RepeatedConnections,
    Role,
    SegmentTrials,
    dns,
    manifests,
    probe,
    segments,
    side_by_side,
    tcp,
)

DIRECT_BESIDE_PROXY = 1.5
"""Seconds for direct connections to a host that clients reach through a proxy: one repeated SYN fits in."""

REPETITIONS = 4
PAUSE = 0.01
"""Seconds between repetitions."""
MOST_REPEATED = 8

USUAL_PORTS = (443, 5000, 5001, 80, 8443)
PATIENCE = 1.5
"""Seconds of silence after which other ports of the host are tried meanwhile: one repeated SYN fits in."""
OTHER_PORTS = 2.0
"""Seconds for connections to other ports, and what they answer."""
ANSWERS_AFTER_SILENCE = 0.5
"""Seconds for answers of other ports once the one asked for has cost a whole step."""

SEGMENT_SIZES = (None, None, 1240, 536, 536, 88)
"""1240 passes a path with the least MTU of IPv6, 1280 (RFC 8200 section 5); 536 is the default of IPv4 (RFC 9293
section 3.7.1); 88 is the least that Linux sends."""
SEGMENT_TRIAL = 2.5
BULK = 4000
"""Bytes of a request that fill several packets and that every server's header limit allows (nginx: 8 KiB)."""


@probe
def connect(endpoint: Endpoint, addresses: Addresses, context: Context) -> Connections:
    """Attempts to connect to every address, all at once, direct."""
    timeout = context.deadline.step()
    if endpoint.proxy is not None:
        timeout = min(timeout, DIRECT_BESIDE_PROXY)
    if not addresses.addresses:
        if endpoint.proxy is not None:
            raise NotApplicable(f"clients reach {endpoint.address} through the proxy {endpoint.proxy}")
        raise Blocked(addresses.failure.message if addresses.failure else f"{endpoint.host} has no address")
    accepted = threading.Event()
    ended = threading.Event()
    meanwhile: list[ConnectionAttempt] = []

    def notice(attempt: ConnectionAttempt) -> None:
        if attempt.failure is None:
            accepted.set()

    def try_other_ports() -> None:
        patience = min(PATIENCE, timeout / 2)
        if not ended.wait(patience) and not accepted.is_set():
            bound = min(OTHER_PORTS, timeout - patience)
            meanwhile.extend(_connect_elsewhere(endpoint, addresses.addresses[0], bound))

    helper = threading.Thread(target=try_other_ports, name="other ports", daemon=True)
    if endpoint.proxy is None and endpoint.role in _REGISTRIES:
        helper.start()
    attempts = tcp.connect_all(addresses.addresses, endpoint.port, timeout, watch=notice)
    ended.set()
    if helper.ident is not None:
        helper.join(0.2)
    return Connections(attempts=attempts, meanwhile=tuple(meanwhile))


def _connect_elsewhere(endpoint: Endpoint, address: str, timeout: float) -> list[ConnectionAttempt]:
    """Attempts to connect to the other usual ports of an address."""
    ports = [port for port in USUAL_PORTS if port != endpoint.port]
    return side_by_side(lambda port: tcp.connect_all([address], port, timeout)[0], ports)


@probe
def connect_again(endpoint: Endpoint, connections: Connections, context: Context) -> RepeatedConnections:
    """Repeats the attempts that were settled at once, accepted or refused."""
    if endpoint.proxy is not None:
        raise NotApplicable(f"clients reach {endpoint.address} through the proxy {endpoint.proxy}")
    settled = [
        attempt.address
        for attempt in connections.attempts
        if attempt.failure is None or attempt.failure.kind is FailureKind.CONNECTION_REFUSED
    ][:MOST_REPEATED]
    if not settled:
        raise NotApplicable("no address settled an attempt at once")
    waiting = threading.Event()
    attempts: list[ConnectionAttempt] = []
    for _ in range(REPETITIONS):
        waiting.wait(PAUSE)
        attempts.extend(tcp.connect_all(settled, endpoint.port, min(1.5, context.deadline.step())))
    return RepeatedConnections(attempts=tuple(attempts))


@probe
def look_at_other_ports(endpoint: Endpoint, connections: Connections, context: Context) -> OtherPorts:
    """Looks whether a registry answers on another usual port of the host, where the one asked for is closed."""
    if endpoint.role not in _REGISTRIES:
        raise NotApplicable(f"the {endpoint.role.value} is no registry")
    if endpoint.proxy is not None or connections.open_addresses:
        raise NotApplicable("the port asked for accepts connections")
    attempts = connections.meanwhile
    seconds = min(ANSWERS_AFTER_SILENCE if attempts else OTHER_PORTS, context.deadline.step())
    end = time.monotonic() + seconds
    if not attempts:
        turned_away = [
            each.address
            for each in connections.attempts
            if each.failure is not None and each.failure.kind in _HOST_IS_THERE
        ]
        if not turned_away:
            raise NotApplicable("no host turns connections away")
        attempts = tuple(_connect_elsewhere(endpoint, turned_away[0], seconds))

    def look(attempt: ConnectionAttempt) -> OtherPort:
        if attempt.failure is not None:
            return OtherPort(port=attempt.port, attempt=attempt)
        scheme, answer = _ask(endpoint, attempt.port, attempt.address, end, context)
        return OtherPort(port=attempt.port, attempt=attempt, scheme=scheme, answer=answer)

    return OtherPorts(ports=tuple(side_by_side(look, attempts)))


_REGISTRIES = frozenset({Role.REGISTRY, Role.MIRROR, Role.UPSTREAM})
_HOST_IS_THERE = frozenset({FailureKind.CONNECTION_REFUSED, FailureKind.CONNECTION_PROHIBITED})


def _ask(
    endpoint: Endpoint, port: int, address: str, end: float, context: Context
) -> tuple[str | None, Answer | None]:
    """``GET /v2/`` over the port's usual scheme, then over the other one where no registry answered."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    found: tuple[str | None, Answer | None] = (None, None)
    for scheme in ("https", "http") if port in (443, 8443) else ("http", "https"):
        left = end - time.monotonic()
        if left <= 0:
            break
        response = context.http.request(
            "GET",
            f"{scheme}://{host}:{port}{endpoint.path}",
            address=address,
            verify=False,
            seconds=left,
            fresh=True,
        )
        if isinstance(response, Failure):
            continue
        if response.answer.producer.kind is ProducerKind.REGISTRY:
            return scheme, response.answer
        if found[1] is None:
            found = (scheme, response.answer)
    return found


@probe
def try_segment_sizes(
    endpoint: Endpoint,
    connections: Connections,
    handshakes: Handshakes | None,
    ping: Ping | None,
    manifest: ManifestLook | None,
    context: Context,
) -> SegmentTrials:
    """Repeats a stalled exchange with small packets; with ``--push``, tries a request of several packets.

    Nothing is done where nothing stalled: the path's MTU then does not matter.
    """
    if endpoint.proxy is not None or not connections.open_addresses:
        raise NotApplicable("there is no direct connection on which packets could be lost")
    address = connections.open_addresses[0]
    direction = "download"
    path = endpoint.path
    padding = b""
    stalled = _stalled_address(handshakes)
    if stalled is not None:
        address = stalled
    elif ping is not None and _hung(ping.failure):
        pass
    elif manifest is not None and endpoint.role is Role.REGISTRY and _hung(manifest.failure):
        path = urlsplit(manifest.url).path
    elif context.options.push and ping is not None and ping.answer is not None:
        direction = "upload"
        padding = b"X-Padding: " + b"x" * BULK + b"\r\n"
    else:
        raise NotApplicable("no exchange stalled")
    exchange = segments.Exchange(
        address=address,
        port=endpoint.port,
        use_tls=endpoint.scheme == "https",
        server_name=None if dns.numeric_address(endpoint.host) else endpoint.host,
        request=b"".join(
            (
                f"GET {path} HTTP/1.1\r\nHost: {endpoint.address}\r\n".encode("ascii", "replace"),
                b"User-Agent: regdoctor\r\n",
                f"Accept: {', '.join((*manifests.ACCEPTED_MANIFESTS, '*/*'))}\r\n".encode("ascii"),
                padding,
                b"Connection: close\r\n\r\n",
            )
        ),
    )
    timeout = min(SEGMENT_TRIAL, context.deadline.step())
    trials = segments.try_sizes(exchange, SEGMENT_SIZES[:1], timeout) if direction == "upload" else ()
    if not trials or not trials[0].completed:
        trials = segments.try_sizes(exchange, SEGMENT_SIZES, timeout)
    return SegmentTrials(address=address, direction=direction, trials=trials)


def _hung(failure: Failure | None) -> bool:
    """Whether a request was sent and its answer did not come in time."""
    return failure is not None and failure.kind is FailureKind.RESPONSE_TIMEOUT


def _stalled_address(handshakes: Handshakes | None) -> str | None:
    """An address whose TLS handshake began and never ended."""
    if handshakes is None:
        return None
    return next(
        (
            each.address
            for each in handshakes.handshakes
            if each.failure is not None and each.failure.kind is FailureKind.TLS_TIMEOUT
        ),
        None,
    )
