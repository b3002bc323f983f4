"""Facts about clocks: what others say the time is, and what keeps this host's clock right.

Offsets are in seconds and have NTP's sign (RFC 5905 section 8): what has to be added to this host's clock to
agree with the source, so a positive one means that this host is behind. The true offset lies within
``uncertainty`` seconds of the one that was measured.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from regdoctor.facts.base import Endpoint, Fact, Failure
from regdoctor.facts.http import Producer


class DateReading(msgspec.Struct, frozen=True, kw_only=True):
    """The time by one HTTP host's ``Date`` header (RFC 9110 section 6.6.1), which has whole seconds."""

    host: str
    """``host:port`` that was asked."""
    exchange: str
    producer: Producer
    """Who made the answer: the header is that program's, and its host's clock is the one that is read."""
    date: datetime
    offset: float
    uncertainty: float
    address: str | None = None
    """The peer's IP address."""
    endpoint: Endpoint | None = None
    """The host on the way that it is; null where a redirect led there."""


class DateReadings(Fact, frozen=True, kw_only=True):
    """The best reading of each HTTP host that answered; answers out of caches do not count."""

    readings: tuple[DateReading, ...]


class NtpReading(msgspec.Struct, frozen=True, kw_only=True):
    """What one NTP server answered to an SNTP client's query (RFC 4330, RFC 5905).

    ``offset`` and ``uncertainty`` are null where it did not answer; ``uncertainty`` is half the round trip
    and the server's own distance from its reference.
    """

    server: str
    """As it was given or configured, with the port."""
    attempts: int
    address: str | None = None
    local: bool = False
    """Whether the answer came from an address of this host, which shares the clock."""
    offset: float | None = None
    uncertainty: float | None = None
    stratum: int | None = None
    synchronised: bool = False
    """Whether the server says that its own clock is right: leap indicator and stratum."""
    problem: str | None = None
    """Why an answer is of no use: ``not synchronised``, or a kiss code such as ``RATE``."""
    failure: Failure | None = None
    daemon: str | None = None
    """The time daemon of this host whose own state it is; no packet was sent then."""


class NtpReadings(Fact, frozen=True, kw_only=True):
    """What each NTP server answered, all asked side by side.

    Servers that the caller named (``--ntp-server``), or else those that a running time daemon of this host uses.
    """

    given: bool
    """Whether the caller named them."""
    sources: tuple[str, ...] = ()
    """The daemon's files that name the servers."""
    readings: tuple[NtpReading, ...] = ()


class SpareNtpReadings(Fact, frozen=True, kw_only=True):
    """What NTP servers answered that a file on this host names and nobody uses at present.

    They are asked only where a ``Date`` differs from this host's clock, to decide which of the two is wrong.
    """

    sources: tuple[str, ...] = ()
    """The files that name the servers."""
    readings: tuple[NtpReading, ...] = ()


class Synchronisation(StrEnum):
    """What a time daemon says of itself."""

    SYNCHRONISED = "synchronised"
    NOT_SYNCHRONISED = "not-synchronised"
    NOT_RUNNING = "not-running"
    """It is enabled on this host, may run, and does not."""
    UNKNOWN = "unknown"


class TimeDaemon(msgspec.Struct, frozen=True, kw_only=True):
    """A program that keeps this host's clock right, running or enabled here."""

    name: str
    """``chronyd``, ``systemd-timesyncd``, ``ntpd`` or ``ntpd-rs``."""
    running: bool
    synchronisation: Synchronisation = Synchronisation.UNKNOWN
    detail: str = ""
    """The words that say so, from the program that was asked."""
    command: str = ""
    """The command that was asked, for the reader to repeat."""
    files: tuple[str, ...] = ()
    """Its configuration files that were read."""
    servers: tuple[str, ...] = ()
    """``host:port`` of the NTP servers that they name, bounded."""
    tracking: NtpReading | None = None
    """How far it believes this host's clock to be off, where it says so."""


class TimeDaemons(Fact, frozen=True, kw_only=True):
    """The time daemons that run or are enabled on this host; none is usual in a container."""

    daemons: tuple[TimeDaemon, ...] = ()
