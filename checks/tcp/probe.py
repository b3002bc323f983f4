"""Opens connections to every address of a host."""

from __future__ import annotations

from regdoctor.api import (
    Addresses,
    Blocked,
    Connections,
    Context,
    Endpoint,
    NotApplicable,
    probe,
    tcp,
)

DIRECT_BESIDE_PROXY = 1.5
"""Seconds for direct connections to a host that clients reach through a proxy: one repeated SYN fits in."""


@probe
def connect(endpoint: Endpoint, addresses: Addresses, context: Context) -> Connections:
    """Attempts to connect to every address, all at once, direct."""
    timeout = context.deadline.step()
    if endpoint.proxy is not None:
        timeout = min(timeout, DIRECT_BESIDE_PROXY)
    if not addresses.addresses:
        if endpoint.proxy is not None:
            raise NotApplicable(f"clients reach {endpoint.address} through the proxy {endpoint.proxy}")
        why = addresses.failure.message if addresses.failure else f"{endpoint.host} has no address"
        raise Blocked(why)
    return Connections(attempts=tcp.connect_all(addresses.addresses, endpoint.port, timeout))
