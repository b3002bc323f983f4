"""Facts about TCP connections."""

from __future__ import annotations

import msgspec

from regdoctor.facts.base import EndpointFact, Failure
from regdoctor.facts.http import Answer


class ConnectionAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to connect to one address of the host."""

    address: str
    port: int
    seconds: float
    failure: Failure | None = None
    icmp: str | None = None
    """The ICMP error that ended the attempt, by name, where the kernel kept one (ip(7), IP_RECVERR)."""
    icmp_sender: str | None = None
    """The address that sent it: the host itself, a router, or this machine."""
    icmp_from_here: bool = False
    """Whether that address is this machine's own."""
    listening: bool | None = None
    """Where a connection to an address of this machine was refused: whether a program listens there all the
    same, by the kernel's own table. Null where the address is another machine's, or nothing was refused."""


class Connections(EndpointFact, frozen=True, kw_only=True):
    """Attempts to connect to every address of the host, direct."""

    attempts: tuple[ConnectionAttempt, ...]
    meanwhile: tuple[ConnectionAttempt, ...] = ()
    """Attempts to connect to other usual ports of the first address, made while the one asked for was silent."""

    @property
    def open_addresses(self) -> tuple[str, ...]:
        """The addresses that accepted a connection, in the resolver's order."""
        return tuple(attempt.address for attempt in self.attempts if attempt.failure is None)


class RepeatedConnections(EndpointFact, frozen=True, kw_only=True):
    """Further attempts to connect to the same addresses, shortly after the first.

    One attempt proves neither health nor death.
    """

    attempts: tuple[ConnectionAttempt, ...]


class OtherPort(msgspec.Struct, frozen=True, kw_only=True):
    """Another usual port of the host, tried."""

    port: int
    attempt: ConnectionAttempt
    scheme: str | None = None
    """``http`` or ``https``, where it answered."""
    answer: Answer | None = None
    """What it answered to ``GET /v2/``."""


class OtherPorts(EndpointFact, frozen=True, kw_only=True):
    """Other usual ports of the host, looked at because the one asked for cannot be connected to."""

    ports: tuple[OtherPort, ...]


class SegmentTrial(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange in which both sides were held to segments of at most a given size."""

    segment_size: int | None
    """Bytes of TCP payload (RFC 9293 section 3.7.1); null for what the interface allows."""
    completed: bool
    seconds: float
    sent: int
    received: int
    """Bytes of payload each way."""
    failure: Failure | None = None


class SegmentTrials(EndpointFact, frozen=True, kw_only=True):
    """One exchange with segments of several sizes, tried where small exchanges worked and big ones hung."""

    address: str
    direction: str
    """Which way the bulk went: ``download`` or ``upload``."""
    trials: tuple[SegmentTrial, ...]
