"""Judges connections."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import Connections, Draft, Endpoint, finding, rule
from regdoctor.facts import FailureKind


@rule("tcp/refused")
def refused(endpoint: Endpoint, connections: Connections) -> Iterator[Draft]:
    """Every address turns the connection away with a reset."""
    if endpoint.proxy is not None or not _all_failed_as(connections, FailureKind.CONNECTION_REFUSED):
        return
    addresses = ", ".join(attempt.address for attempt in connections.attempts)
    yield finding(
        "tcp/refused",
        f"{endpoint.address} ({addresses}) refused the connection: the host answers and no program "
        f"listens on port {endpoint.port}.",
        evidence=("connections",),
    )


@rule("tcp/filtered")
def filtered(endpoint: Endpoint, connections: Connections) -> Iterator[Draft]:
    """Attempts to connect vanish: no address answers at all."""
    if endpoint.proxy is not None or not _all_failed_as(connections, FailureKind.CONNECTION_TIMEOUT):
        return
    addresses = ", ".join(attempt.address for attempt in connections.attempts)
    seconds = max(attempt.seconds for attempt in connections.attempts)
    yield finding(
        "tcp/filtered",
        f"Attempts to connect to {endpoint.address} ({addresses}) got no answer within {seconds:.1f} s, "
        "neither an acceptance nor a refusal.",
        evidence=("connections",),
    )


def _all_failed_as(connections: Connections, kind: FailureKind) -> bool:
    return bool(connections.attempts) and all(
        attempt.failure is not None and attempt.failure.kind is kind for attempt in connections.attempts
    )
