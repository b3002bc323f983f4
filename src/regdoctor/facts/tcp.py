"""Facts about TCP connections."""

from __future__ import annotations

import msgspec

from regdoctor.facts.base import EndpointFact, Failure


class ConnectionAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to connect to one address of the host."""

    address: str
    port: int
    seconds: float
    failure: Failure | None = None
    icmp: str | None = None
    """The ICMP error that ended the attempt, by name, where the kernel kept one (ip(7), IP_RECVERR)."""


class Connections(EndpointFact, frozen=True, kw_only=True):
    """Attempts to connect to every address of the host, direct."""

    attempts: tuple[ConnectionAttempt, ...]

    @property
    def open_addresses(self) -> tuple[str, ...]:
        """The addresses that accepted a connection, in the resolver's order."""
        return tuple(attempt.address for attempt in self.attempts if attempt.failure is None)
