"""Facts about names, short to write."""

from __future__ import annotations

from datetime import UTC, datetime

from regdoctor.api import (
    Addresses,
    Answer,
    ConnectionAttempt,
    Connections,
    Endpoint,
    Failure,
    FailureKind,
    HostsEntry,
    HostsFile,
    NameserverAnswer,
    NameserverAnswers,
    OtherAddress,
    OtherAddresses,
    Ping,
    Producer,
    ProducerKind,
    ResolverConfiguration,
    Role,
)

NAME = "reg.corp.test"
ENDPOINT = Endpoint(role=Role.REGISTRY, scheme="http", host=NAME, port=5000, path="/v2/")
PROXIED = Endpoint(
    role=Role.REGISTRY, scheme="http", host=NAME, port=5000, path="/v2/", proxy="http://proxy.test:3128"
)
GOOD, OLD = "10.0.0.1", "10.0.0.2"
"""Where the registry is, and where it is not."""
FIRST, SECOND = "10.0.0.53", "10.0.0.54"
"""Nameservers."""


def answer(status: int = 200, *headers: tuple[str, str], registry: bool = True) -> Answer:
    """An HTTP answer to the first look."""
    kind = ProducerKind.REGISTRY if registry else ProducerKind.REVERSE_PROXY
    return Answer(
        exchange="x1",
        url="http://reg.corp.test:5000/v2/",
        method="GET",
        status=status,
        headers=headers,
        body_excerpt="",
        body_size=0,
        body_complete=True,
        sent_at=datetime(2030, 1, 1, tzinfo=UTC),
        seconds=0.01,
        producer=Producer(kind=kind),
    )


def ping(*, registry: bool = True) -> Ping:
    """The first look at an address in use."""
    return Ping(answer=answer(200 if registry else 404, registry=registry), trusted=True)


def connections(*addresses: str, refused: bool = False) -> Connections:
    """Attempts to connect that all end in the same way."""
    return Connections(attempts=tuple(_attempt(address, refused=refused) for address in addresses))


def _attempt(address: str, *, refused: bool) -> ConnectionAttempt:
    failure = Failure(kind=FailureKind.CONNECTION_REFUSED, message="refused") if refused else None
    return ConnectionAttempt(address=address, port=5000, seconds=0.01, failure=failure)


def addresses(*found: str, seconds: float = 0.01) -> Addresses:
    """A name that resolves."""
    return Addresses(host=NAME, literal=False, addresses=found, seconds=seconds)


def unresolved(kind: FailureKind, host: str = NAME) -> Addresses:
    """A name that does not resolve."""
    failure = Failure(kind=kind, message=f"{kind} for {host}")
    return Addresses(host=host, literal=False, addresses=(), seconds=5.0, failure=failure)


def configuration(
    *nameservers: str,
    search: tuple[str, ...] = (),
    ndots: int = 1,
    problem: str | None = None,
    given: bool = False,
    options: tuple[str, ...] = (),
    sources: tuple[str, ...] = ("files", "dns"),
) -> ResolverConfiguration:
    """What resolv.conf says."""
    return ResolverConfiguration(
        path="/etc/resolv.conf",
        nameservers=nameservers or (FIRST,),
        search=search,
        ndots=ndots,
        problem=problem,
        given=given,
        options=options,
        sources=sources,
    )


def hosts(*lines: str) -> HostsFile:
    """The hosts file, where the name has these addresses from line 3 on."""
    return HostsFile(
        path="/etc/hosts",
        entries=tuple(HostsEntry(address=line, line=number) for number, line in enumerate(lines, start=3)),
    )


def says(
    nameserver: str, *found: str, name: str = NAME, rcode: str = "NOERROR", seconds: float = 0.01
) -> tuple[NameserverAnswer, ...]:
    """A nameserver that answers for both record types."""
    return tuple(
        NameserverAnswer(
            nameserver=nameserver,
            transport="udp",
            name=name,
            record=record,
            seconds=seconds,
            rcode=rcode,
            addresses=tuple(address for address in found if (":" in address) == (record == "AAAA")),
        )
        for record in ("A", "AAAA")
    )


def fails(nameserver: str, kind: FailureKind, *, transport: str = "udp") -> tuple[NameserverAnswer, ...]:
    """A nameserver from which no usable answer comes."""
    return tuple(
        NameserverAnswer(
            nameserver=nameserver,
            transport=transport,
            name=NAME,
            record=record,
            seconds=5.0,
            failure=Failure(kind=kind, message=f"{nameserver}: {kind}"),
        )
        for record in ("A", "AAAA")
    )


def answers(*each: tuple[NameserverAnswer, ...], random_name: str | None = None) -> NameserverAnswers:
    """What all nameservers said."""
    return NameserverAnswers(answers=tuple(one for group in each for one in group), random_name=random_name)


def others(address: str, *, serves: bool, registry: bool = True) -> OtherAddresses:
    """One address that clients do not use, tried."""
    return OtherAddresses(
        addresses=(
            OtherAddress(
                address=address,
                name=NAME,
                attempt=_attempt(address, refused=not serves),
                answer=answer(200 if registry else 404, registry=registry) if serves else None,
                trusted=True,
            ),
        )
    )
