"""Asks NTP servers for the time, as an SNTP client: one query, nothing is ever set (RFC 4330, RFC 5905).

ntplib reads and writes the packets. Its own client is not used: it tries one address only, takes any packet
from there for the answer, and reckons wrongly across the end of the NTP era in 2036, which a host whose clock
runs far ahead believes to have passed.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from regdoctor.facts.base import Failure, FailureKind
from regdoctor.facts.clock import NtpReading
from regdoctor.net import dns
from regdoctor.net.failures import Step, failure_of, make_failure
from regdoctor.parallel import side_by_side

PORT = 123
MOST_SERVERS = 8
_MOST_ADDRESSES = 3
_REPEAT_AFTER = 1.0
"""Seconds until a query that nobody answered is sent once more: UDP loses packets."""
_ERA = 2.0**32
_CLIENT, _SERVER = 3, 4
_NOT_SYNCHRONISED = 3
_DEEPEST_STRATUM = 15
"""Modes, leap indicator and stratum (RFC 5905 section 7.3)."""


class InvalidServer(ValueError):  # noqa: N818 - named as the message reads
    """A text is no ``HOST[:PORT]``."""


@dataclass(frozen=True)
class _Query:
    """One packet that was sent."""

    cookie: bytes
    """What stands for the time of sending: the answer repeats it, nobody else can guess it."""
    sent_at: float
    """This host's clock, seconds since 1970."""
    started: float
    """The monotonic clock."""


@dataclass
class _Peer:
    """One address of the server, with the queries that went there."""

    address: str
    socket: socket.socket
    queries: list[_Query] = field(default_factory=list)


def parse_server(text: str) -> tuple[str, int]:
    """Splits ``HOST[:PORT]``; an IPv6 literal with a port stands in brackets.

    :raises InvalidServer: no host, or a port that is no number from 1 to 65535.
    """
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest[1:] if rest.startswith(":") else ""
        if not bracket or (rest and not port):
            raise InvalidServer(f"not HOST[:PORT]: {text!r}")
    elif text.count(":") > 1:
        host, port = text, ""
    else:
        host, colon, port = text.partition(":")
        if colon and not port:
            raise InvalidServer(f"no port after the colon: {text!r}")
    if not host or any(character.isspace() for character in host):
        raise InvalidServer(f"no host name: {text!r}")
    if not port:
        return host, PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidServer(f"port {port!r} is not between 1 and 65535")
    return host, int(port)


def ask_all(servers: Sequence[str], timeout: float) -> tuple[NtpReading, ...]:
    """Asks every server side by side, at most eight, and says what each answered.

    :param servers: ``HOST[:PORT]`` texts.
    :param timeout: seconds for each, names and repeated queries included.
    """
    chosen = tuple(dict.fromkeys(servers))[:MOST_SERVERS]
    return tuple(side_by_side(lambda server: ask(server, timeout), chosen))


def ask(server: str, timeout: float) -> NtpReading:
    """Asks one server at up to three of its addresses at once; the first usable answer counts.

    :param server: ``HOST[:PORT]``.
    :param timeout: seconds, the look-up of the name included.
    """
    end = time.monotonic() + timeout
    try:
        host, port = parse_server(server)
    except InvalidServer as error:
        return NtpReading(
            server=server,
            attempts=0,
            failure=make_failure(FailureKind.OTHER, error=error, message=str(error)),
        )
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    resolution = dns.resolve(host, timeout)
    if not resolution.addresses:
        return NtpReading(server=shown, attempts=0, failure=resolution.failure)
    exchange = _Exchange(shown, port)
    try:
        return exchange.run(resolution.addresses[:_MOST_ADDRESSES], end)
    finally:
        exchange.close()


class _Exchange:
    """The queries to one server's addresses and what comes back."""

    def __init__(self, server: str, port: int) -> None:
        self._server = server
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._attempts = 0
        self._failure: Failure | None = None
        self._useless: NtpReading | None = None

    def run(self, addresses: Sequence[str], end: float) -> NtpReading:
        """Asks, once more after a second, and waits for a usable answer until ``end`` (monotonic)."""
        for address in addresses:
            self._open(address)
        repeat_at: float | None = time.monotonic() + _REPEAT_AFTER
        while self._peers() and (now := time.monotonic()) < end:
            if repeat_at is not None and now >= repeat_at:
                repeat_at = None
                for peer in self._peers():
                    self._send(peer)
            wait = min(end, repeat_at if repeat_at is not None else end) - now
            for key, _events in self._selector.select(max(0.0, wait)):
                reading = self._receive(key.data)
                if reading is not None and reading.synchronised:
                    return reading
                if reading is not None:
                    self._useless = reading
                    self._close(key.data)
        if self._useless is not None:
            return self._useless
        silence = make_failure(
            FailureKind.RESPONSE_TIMEOUT, message=f"{self._server} did not answer over UDP in time"
        )
        return NtpReading(
            server=self._server, attempts=self._attempts, failure=silence if self._peers() else self._failure
        )

    def close(self) -> None:
        """Closes what is open still."""
        for peer in self._peers():
            self._close(peer)
        self._selector.close()

    def _peers(self) -> tuple[_Peer, ...]:
        return tuple(key.data for key in self._selector.get_map().values())

    def _open(self, address: str) -> None:
        """Connects, so that the kernel passes on nothing but answers of this peer, and ICMP errors."""
        opened = None
        try:
            family, kind, protocol, _, where = socket.getaddrinfo(
                address, self._port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
            )[0]
            opened = socket.socket(family, kind, protocol)
            opened.setblocking(False)
            opened.connect(where)
        except OSError as error:
            if opened is not None:
                opened.close()
            self._failure = failure_of(error, step=Step.CONNECT, where=self._server)
            return
        peer = _Peer(address=address, socket=opened)
        self._selector.register(opened, selectors.EVENT_READ, peer)
        self._send(peer)

    def _drop(self, peer: _Peer, error: OSError) -> None:
        self._failure = failure_of(error, step=Step.CONNECT, where=self._server)
        self._close(peer)

    def _close(self, peer: _Peer) -> None:
        self._selector.unregister(peer.socket)
        peer.socket.close()

    def _send(self, peer: _Peer) -> None:
        from ntplib import NTPPacket

        # Random instead of the time: it tells nothing about this host and cannot be guessed
        # (RFC 8915 section 5.7 does the same).
        cookie = os.urandom(8)
        packet = NTPPacket(version=4, mode=_CLIENT).to_data()[:40] + cookie
        peer.queries.append(_Query(cookie=cookie, sent_at=time.time(), started=time.monotonic()))
        try:
            peer.socket.send(packet)
        except BlockingIOError:
            return
        except OSError as error:
            self._drop(peer, error)
            return
        self._attempts += 1

    def _receive(self, peer: _Peer) -> NtpReading | None:
        try:
            data = peer.socket.recv(1024)
        except BlockingIOError:
            return None
        except OSError as error:
            self._drop(peer, error)
            return None
        arrived = time.monotonic()
        query = next((each for each in peer.queries if data[24:32] == each.cookie), None)
        return None if query is None else self._read(data, query, arrived, peer)

    def _read(self, data: bytes, query: _Query, arrived: float, peer: _Peer) -> NtpReading | None:
        """What an answer says, or None where it is none."""
        from ntplib import NTPException, NTPPacket

        packet = NTPPacket()
        try:
            packet.from_data(data)
        except NTPException:
            return None
        if packet.mode != _SERVER:
            return None
        waited = arrived - query.started
        received = _to_unix(packet.recv_timestamp, near=query.sent_at)
        sent = _to_unix(packet.tx_timestamp, near=query.sent_at)
        problem = None
        if packet.stratum == 0:
            code = packet.ref_id.to_bytes(4, "big").rstrip(b"\0").decode("ascii", "replace")
            problem = code if code.isalnum() else "not synchronised"
        elif packet.leap == _NOT_SYNCHRONISED or packet.stratum > _DEEPEST_STRATUM:
            problem = "not synchronised"
        elif packet.tx_timestamp == 0 or not 0 <= sent - received <= waited + 1:
            problem = "time stamps that contradict each other"
        delay = max(0.0, waited - (sent - received))
        return NtpReading(
            server=self._server,
            attempts=self._attempts,
            address=peer.address,
            local=peer.socket.getsockname()[0] == peer.socket.getpeername()[0],
            offset=((received - query.sent_at) + (sent - (query.sent_at + waited))) / 2,
            uncertainty=delay / 2 + packet.root_delay / 2 + packet.root_dispersion,
            stratum=packet.stratum,
            synchronised=problem is None,
            problem=problem,
        )


def _to_unix(stamp: float, *, near: float) -> float:
    """Seconds since 1970 of a time stamp that repeats every 136 years, in the era nearest to ``near``."""
    from ntplib import NTP

    distance: float = (stamp - (near + NTP.NTP_DELTA)) % _ERA
    return near + (distance - _ERA if distance >= _ERA / 2 else distance)
