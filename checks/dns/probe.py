"""Looks at names: what clients of this host resolve."""

from __future__ import annotations

from regdoctor.api import Addresses, Context, Endpoint, dns, probe

DIRECT_BESIDE_PROXY = 2.0
"""Seconds for a direct look at a host that clients reach through a proxy: it must not hold up the run."""


@probe
def resolve(endpoint: Endpoint, context: Context) -> Addresses:
    """What ``getaddrinfo`` gives for the host, all addresses in the resolver's order."""
    timeout = context.deadline.step()
    if endpoint.proxy is not None:
        timeout = min(timeout, DIRECT_BESIDE_PROXY)
    resolution = dns.resolve(endpoint.host, timeout)
    return Addresses(
        host=endpoint.host,
        literal=resolution.literal,
        addresses=resolution.addresses,
        seconds=resolution.seconds,
        failure=resolution.failure,
    )
