"""Facts about names: what clients resolve, and what each nameserver says."""

from __future__ import annotations

import msgspec

from regdoctor.facts.base import EndpointFact, Fact, Failure


class Addresses(EndpointFact, frozen=True, kw_only=True):
    """What ``getaddrinfo`` gives for the host: the answer that clients of this host really use.

    ``addresses`` are IP literals in the resolver's order. ``literal`` says that the host was one already.
    """

    host: str
    literal: bool
    addresses: tuple[str, ...]
    seconds: float
    failure: Failure | None = None


class HostsEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the hosts file that names the host (hosts(5))."""

    address: str
    line: int


class HostsFile(EndpointFact, frozen=True, kw_only=True):
    """The lines of the hosts file that name the endpoint's host."""

    path: str
    entries: tuple[HostsEntry, ...]


class ResolverConfiguration(Fact, frozen=True, kw_only=True):
    """What resolv.conf says (resolv.conf(5)), or the nameservers that the caller named with ``--resolver``.

    ``nameservers`` are ``address`` or ``address:port`` texts in order. ``given`` is true for ``--resolver``.
    """

    path: str
    nameservers: tuple[str, ...]
    search: tuple[str, ...] = ()
    ndots: int = 1
    options: tuple[str, ...] = ()
    given: bool = False
    problem: str | None = None
    """Why the file could not be used: missing, empty, a dangling link; null where it was read."""


class NameserverAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one nameserver said to one question, asked directly."""

    nameserver: str
    transport: str
    name: str
    record: str
    """The record type asked for: ``A`` or ``AAAA``."""
    seconds: float
    rcode: str | None = None
    """The response code (RFC 1035 section 4.1.1) by name, null where no usable reply came."""
    addresses: tuple[str, ...] = ()
    canonical_name: str | None = None
    truncated: bool = False
    authoritative: bool = False
    failure: Failure | None = None


class NameserverAnswers(EndpointFact, frozen=True, kw_only=True):
    """What every configured nameserver says about the host, each asked by itself."""

    answers: tuple[NameserverAnswer, ...]
