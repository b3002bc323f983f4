"""Judges names."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import Addresses, Draft, Endpoint, finding, rule
from regdoctor.facts import FailureKind


@rule("dns/name-not-found")
def name_not_found(endpoint: Endpoint, addresses: Addresses) -> Iterator[Draft]:
    """The resolver that clients use says that there is no such name, or no address for it."""
    failure = addresses.failure
    if endpoint.proxy is not None or failure is None or failure.kind is not FailureKind.NAME_NOT_FOUND:
        return
    yield finding(
        "dns/name-not-found",
        f"Looking up {endpoint.host} ended with: {failure.message}. "
        "docker, podman and containerd use the same resolver and stop here; no connection is tried.",
        evidence=("addresses",),
    )
