"""Facts about what strangers may do with the registry, and about connections that are easy to read."""

from __future__ import annotations

import msgspec

from regdoctor.facts.base import EndpointFact, Fact


class DebugAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one path of a debug server answered."""

    url: str
    exchange: str
    status: int
    shows: str | None
    """What it shows: ``profiles``, ``variables`` or ``metrics``; null where it is none of them."""


class DebugEndpoints(Fact, frozen=True, kw_only=True):
    """What the registry's debug server answers without a login, by the target's address."""

    source: str
    """What says that there is one: ``config.yml:12``, or the process that listens."""
    address: str
    """What the debug server listens on, which is not loopback."""
    answers: tuple[DebugAnswer, ...]


class LegacyHandshake(msgspec.Struct, frozen=True, kw_only=True):
    """A handshake that offered TLS 1.0 and 1.1 alone, and went through."""

    address: str
    protocol: str
    cipher: str | None


class LegacyHandshakes(EndpointFact, frozen=True, kw_only=True):
    """Which addresses of a host accept TLS 1.0 or 1.1."""

    accepted: tuple[LegacyHandshake, ...]
