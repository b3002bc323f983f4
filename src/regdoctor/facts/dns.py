"""Facts about names: what clients resolve, and what each nameserver says."""

from __future__ import annotations

import msgspec

from regdoctor.facts.base import EndpointFact, Fact, Failure
from regdoctor.facts.http import Answer
from regdoctor.facts.tcp import ConnectionAttempt


class Addresses(EndpointFact, frozen=True, kw_only=True):
    """What ``getaddrinfo`` gives for the host: the answer that clients of this host really use.

    With ``--resolver`` it is what they would use if resolv.conf named those nameservers. ``addresses`` are IP
    literals in the resolver's order. ``literal`` says that the host was one already.
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
    ``timeout`` is seconds for one try.
    """

    path: str
    nameservers: tuple[str, ...]
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: int = 5
    attempts: int = 2
    options: tuple[str, ...] = ()
    given: bool = False
    problem: str | None = None
    """Why the file names no nameserver: missing, empty, a dangling link; ``nameservers`` then holds the
    loopback addresses that resolvers fall back to. Null where it names some."""
    sources: tuple[str, ...] = ()
    """The words of the ``hosts:`` line in nsswitch.conf(5)."""


class NameserverAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one nameserver said to one question, asked directly."""

    nameserver: str
    transport: str
    """``udp``, or ``tcp`` where the answer by UDP was truncated (RFC 7766)."""
    name: str
    """The full name asked for, without the final dot."""
    record: str
    """The record type asked for: ``A`` or ``AAAA``."""
    seconds: float
    attempts: int = 1
    """How often the question was sent."""
    checking_disabled: bool = False
    """Whether DNSSEC validation was switched off for the question (the CD bit, RFC 4035 section 3.2.2)."""
    rcode: str | None = None
    """The response code (RFC 1035 section 4.1.1) by name, null where no usable reply came."""
    addresses: tuple[str, ...] = ()
    canonical_name: str | None = None
    truncated: bool = False
    authoritative: bool = False
    failure: Failure | None = None


class NameserverAnswers(EndpointFact, frozen=True, kw_only=True):
    """What every configured nameserver says about the host, each asked by itself.

    Besides the host as written there are, where they matter, the names that the search list makes of it, and
    a random name in a domain of the search list (``random_name``), which only a wildcard record answers.
    """

    answers: tuple[NameserverAnswer, ...]
    random_name: str | None = None


class OtherAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address that a nameserver gives for the host and that clients here do not use, tried."""

    address: str
    name: str
    """The full name that it was given for."""
    attempt: ConnectionAttempt
    answer: Answer | None = None
    """The answer to the endpoint's first question there, where a connection opened."""
    trusted: bool = False
    """Whether the answer came without TLS, or over TLS with a certificate that passed verification."""


class OtherAddresses(EndpointFact, frozen=True, kw_only=True):
    """What lies at addresses of the host that clients here do not use."""

    addresses: tuple[OtherAddress, ...]
