"""Judges connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from regdoctor.api import (
    Addresses,
    Certainty,
    ConnectionAttempt,
    Connections,
    Draft,
    Endpoint,
    FailureKind,
    OtherPort,
    OtherPorts,
    ProducerKind,
    RepeatedConnections,
    SegmentTrials,
    Severity,
    finding,
    rule,
)

FELT = 0.25
"""Seconds from which a dead address is felt: Go starts with the other family after 0.3 (``FallbackDelay``)."""

SMALL = 536
"""Bytes of payload that every path carries (RFC 9293 section 3.7.1)."""

_NO_PATH = frozenset({FailureKind.NETWORK_UNREACHABLE, FailureKind.LOCAL_FAULT})

# The most telling first, where the addresses of one host fail in different ways.
_ORDER = (
    FailureKind.CONNECTION_PROHIBITED,
    FailureKind.CONNECTION_REFUSED,
    FailureKind.CONNECTION_TIMEOUT,
    FailureKind.HOST_UNREACHABLE,
    FailureKind.NETWORK_UNREACHABLE,
)


@rule("tcp/refused", "tcp/filtered", "tcp/rejected", "tcp/unreachable", "tcp/ipv6-broken", "tcp/wrong-port")
def not_connected(
    endpoint: Endpoint,
    addresses: Addresses,
    connections: Connections,
    repeated: RepeatedConnections | None,
    other_ports: OtherPorts | None,
) -> Iterator[Draft]:
    """No address accepts a connection."""
    if endpoint.proxy is not None or not connections.attempts or connections.open_addresses:
        return
    if repeated is not None and any(each.failure is None for each in repeated.attempts):
        return
    attempts = [each for each in connections.attempts if not _lacks_ipv6(each)]
    if not attempts:
        yield _without_ipv6(endpoint, addresses, connections)
        return
    kinds = Counter(_meaning(each) for each in attempts)
    kind = min(kinds, key=lambda each: (-kinds[each], _ORDER.index(each) if each in _ORDER else len(_ORDER)))
    tried = _table(connections.attempts)
    seen = tuple(each for each in connections.attempts if _meaning(each) is kind)
    elsewhere = _registry_ports(other_ports)
    evidence = ("connections", *(("other-ports",) if other_ports is not None else ()))
    match kind:
        case FailureKind.CONNECTION_REFUSED:
            if any(each.listening for each in seen):
                yield finding(
                    "tcp/rejected",
                    f"A program listens on {endpoint.address} on this very machine, and yet connections are "
                    f"reset at once: a packet filter here does that. {tried}.",
                    evidence=evidence,
                )
                return
            if elsewhere:
                yield _wrong_port(endpoint, tried, elsewhere)
                return
            yield finding(
                "tcp/refused",
                f"{endpoint.address} refuses connections at once: the host answers, and no program listens on "
                f"port {endpoint.port} there (a firewall that forges resets looks the same from here). {tried}.",
                evidence=evidence,
            )
        case FailureKind.CONNECTION_PROHIBITED:
            yield finding(
                "tcp/rejected",
                f"Connections to {endpoint.address} are turned away by a packet filter, not by the registry: "
                f"{_rejection(seen)}. {tried}.{_hint(elsewhere)}",
                evidence=evidence,
            )
        case FailureKind.CONNECTION_TIMEOUT:
            yield finding(
                "tcp/filtered",
                f"Attempts to connect to {endpoint.address} vanish: neither an acceptance nor a refusal came "
                f"within {max(each.seconds for each in seen):.1f} s.{_others_answer(other_ports)} {tried}."
                f"{_hint(elsewhere)}",
                evidence=evidence,
            )
        case _:
            yield finding("tcp/unreachable", f"{_unreachable(endpoint, seen)} {tried}.", evidence=evidence)


def _wrong_port(endpoint: Endpoint, tried: str, elsewhere: tuple[OtherPort, ...]) -> Draft:
    best = elsewhere[0]
    host = endpoint.address.rpartition(":")[0]
    ports = ", ".join(f"{each.port} ({each.scheme})" for each in elsewhere)
    return finding(
        "tcp/wrong-port",
        f"Nothing listens on port {endpoint.port} of {endpoint.host}, and a registry answers GET "
        f"{endpoint.path} on port {ports} of the same host. {tried}.",
        fix=(f"use {host}:{best.port} instead of {endpoint.address} in image references and logins",),
        evidence=("connections", "other-ports", *(each.answer.exchange for each in elsewhere if each.answer)),
    )


def _without_ipv6(endpoint: Endpoint, addresses: Addresses, connections: Connections) -> Draft:
    tried = _table(connections.attempts)
    if addresses.literal:
        return finding(
            "tcp/unreachable",
            f"This machine has no route to {endpoint.address}. {tried}.",
            evidence=("connections",),
        )
    return finding(
        "tcp/ipv6-broken",
        f"{endpoint.host} has IPv6 addresses only, and this machine has no IPv6 route to them. {tried}.",
        severity=Severity.ERROR,
        evidence=("addresses", "connections"),
    )


@rule("tcp/address-dead", "tcp/ipv6-broken")
def partly_connected(endpoint: Endpoint, connections: Connections) -> Iterator[Draft]:
    """Some addresses accept connections and others do not, in a way that clients feel."""
    if endpoint.proxy is not None or not connections.open_addresses:
        return
    for is_ipv6 in (False, True):
        family = [each for each in connections.attempts if (":" in each.address) is is_ipv6]
        dead = [each for each in family if each.failure is not None]
        if not dead:
            continue
        if len(dead) < len(family):
            yield finding(
                "tcp/address-dead",
                f"{len(family) - len(dead)} of the {len(family)} {_family(is_ipv6)} addresses of "
                f"{endpoint.host} accept connections to port {endpoint.port} and {len(dead)} do not: "
                f"{_table(dead)}.",
                evidence=("addresses", "connections"),
            )
        elif is_ipv6 and any(each.seconds >= FELT for each in dead):
            yield finding(
                "tcp/ipv6-broken",
                f"No IPv6 address of {endpoint.host} can be connected to, while IPv4 works: {_table(dead)}. "
                "Clients that begin with IPv6 lose time on every connection.",
                evidence=("addresses", "connections"),
            )
        elif any(each.seconds >= FELT for each in dead):
            yield finding(
                "tcp/address-dead",
                f"No IPv4 address of {endpoint.host} can be connected to, while IPv6 works: {_table(dead)}. "
                "Clients without IPv6 fail.",
                evidence=("addresses", "connections"),
            )


@rule("tcp/refused", "tcp/filtered", "tcp/rejected", "tcp/unreachable")
def sometimes_connected(
    endpoint: Endpoint, connections: Connections, repeated: RepeatedConnections
) -> Iterator[Draft]:
    """The same address accepts one attempt and not the next."""
    if endpoint.proxy is not None:
        return
    for address in dict.fromkeys(each.address for each in repeated.attempts):
        attempts = [each for each in (*connections.attempts, *repeated.attempts) if each.address == address]
        failed = [each for each in attempts if each.failure is not None]
        if not failed or len(failed) == len(attempts):
            continue
        codes: dict[FailureKind | None, str] = {
            FailureKind.CONNECTION_REFUSED: "tcp/refused",
            FailureKind.CONNECTION_TIMEOUT: "tcp/filtered",
            FailureKind.CONNECTION_PROHIBITED: "tcp/rejected",
        }
        code = codes.get(_meaning(failed[0]), "tcp/unreachable")
        yield finding(
            code,
            f"{len(failed)} of {len(attempts)} attempts to connect to {address} port {endpoint.port} failed "
            f"and the others were accepted: {_table(failed)}. One program of several behind this address is "
            "down, or connections are limited.",
            severity=Severity.WARNING,
            certainty=Certainty.LIKELY,
            evidence=("connections", "repeated-connections"),
        )


@rule("tcp/large-packets-lost")
def large_packets_lost(endpoint: Endpoint, segments: SegmentTrials) -> Iterator[Draft]:
    """An exchange that hangs with full-size packets goes through with small ones."""
    full = [each for each in segments.trials if each.segment_size is None]
    small = [each for each in segments.trials if each.segment_size and each.segment_size <= SMALL]
    if endpoint.proxy is not None or not small or any(each.completed for each in full):
        return
    if not all(each.completed for each in small):
        # A server that hangs now and then hangs with small packets too.
        return
    largest = max(each.segment_size or 0 for each in segments.trials if each.completed)
    header = 60 if ":" in segments.address else 40
    what = "A request" if segments.direction == "upload" else "The same exchange"
    hung = max(each.seconds for each in full)
    yield finding(
        "tcp/large-packets-lost",
        f"{what} to {endpoint.address} ({segments.address}) hangs for {hung:.1f} s with full-size packets, and "
        f"takes {min(each.seconds for each in small):.2f} s when packets carry at most {largest} bytes: a hop "
        f"on the way drops big packets without saying so.",
        fix=(f"packets of {largest + header} bytes pass: ip link set dev IFACE mtu {largest + header}",),
        evidence=("segment-trials",),
    )


def _lacks_ipv6(attempt: ConnectionAttempt) -> bool:
    """Whether it failed because this machine cannot send to IPv6 addresses at all."""
    return (
        ":" in attempt.address
        and attempt.failure is not None
        and attempt.icmp is None
        and attempt.failure.kind in _NO_PATH
    )


def _meaning(attempt: ConnectionAttempt) -> FailureKind | None:
    """The kind of failure, told apart by who sent the ICMP error.

    A host that sends "host unreachable" or "network unreachable" about itself is there: its packet filter
    says so. Sent by this machine it means that nobody answered on the local network.
    """
    if attempt.failure is None:
        return None
    if attempt.icmp_sender is not None and attempt.icmp_sender == attempt.address:
        return FailureKind.CONNECTION_PROHIBITED
    return attempt.failure.kind


def _rejection(attempts: tuple[ConnectionAttempt, ...]) -> str:
    said = []
    for each in attempts:
        if each.icmp is not None:
            here = ", which is this machine: its own filter does that" if each.icmp_from_here else ""
            said.append(f"ICMP {each.icmp} from {each.icmp_sender or 'an unknown sender'}{here}")
        elif each.failure is not None:
            said.append(f"{each.failure.errno or each.failure.message} on this machine itself")
    return ", ".join(dict.fromkeys(said))


def _unreachable(endpoint: Endpoint, attempts: tuple[ConnectionAttempt, ...]) -> str:
    first = attempts[0]
    if first.failure is None or first.failure.kind is FailureKind.NETWORK_UNREACHABLE:
        sender = f", says {first.icmp_sender}" if first.icmp_sender else ""
        return f"There is no route to {endpoint.address}{sender}."
    if first.failure.kind is FailureKind.HOST_UNREACHABLE:
        return f"No machine answers at the address of {endpoint.address}."
    return f"No connection to {endpoint.address} could be made: {first.failure.message}."


def _registry_ports(other_ports: OtherPorts | None) -> tuple[OtherPort, ...]:
    """The other ports on which a registry answers."""
    if other_ports is None:
        return ()
    return tuple(
        each
        for each in other_ports.ports
        if each.answer and each.answer.producer.kind is ProducerKind.REGISTRY
    )


def _hint(elsewhere: tuple[OtherPort, ...]) -> str:
    if not elsewhere:
        return ""
    return f" A registry answers on port {elsewhere[0].port} of the same host; perhaps that one is meant."


def _others_answer(other_ports: OtherPorts | None) -> str:
    if other_ports is None:
        return ""
    answering = [
        str(each.port)
        for each in other_ports.ports
        if each.attempt.failure is None or each.attempt.failure.kind is FailureKind.CONNECTION_REFUSED
    ]
    if not answering:
        return " Other usual ports of the host are as silent."
    return f" Other ports of the host do answer ({', '.join(answering)}), so the host is there."


def _table(attempts: Iterable[ConnectionAttempt]) -> str:
    """What came of each attempt, in words."""
    return "; ".join(
        f"{each.address}: {_outcome(each)} after {each.seconds * 1000:.0f} ms" for each in attempts
    )


def _outcome(attempt: ConnectionAttempt) -> str:
    if attempt.failure is None:
        return "accepted"
    if attempt.icmp is not None:
        return f"ICMP {attempt.icmp} from {attempt.icmp_sender or 'an unknown sender'}"
    match attempt.failure.kind:
        case FailureKind.CONNECTION_REFUSED:
            return "refused"
        case FailureKind.CONNECTION_TIMEOUT:
            return "no answer"
        case FailureKind.NETWORK_UNREACHABLE:
            return "no route"
        case FailureKind.HOST_UNREACHABLE:
            return "no such host"
        case _:
            return attempt.failure.errno or attempt.failure.message


def _family(is_ipv6: bool) -> str:
    return "IPv6" if is_ipv6 else "IPv4"
