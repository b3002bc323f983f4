"""Names that tell who stands on the way. Pure."""

from __future__ import annotations

import re

_PUBLIC = frozenset(
    {
        "docker.io",
        "docker.com",
        "ghcr.io",
        "githubusercontent.com",
        "quay.io",
        "gcr.io",
        "pkg.dev",
        "registry.k8s.io",
        "public.ecr.aws",
        "azurecr.io",
        "blob.core.windows.net",
        "mcr.microsoft.com",
        "registry.gitlab.com",
        "registry.access.redhat.com",
        "registry.redhat.io",
        "nvcr.io",
        "cgr.dev",
    }
)
"""Services on the internet, whose certificates come from public authorities, with the hosts below them."""
_AMAZON = re.compile(r"(?:\.dkr\.ecr|(?:^|\.)s3)[.-](?:[a-z0-9.-]+\.)?amazonaws\.com(?:\.cn)?")
"""ECR and S3; machines of customers have names in amazonaws.com as well."""

_PRODUCTS = {
    "zscaler": "Zscaler",
    "netskope": "Netskope",
    "fortinet": "Fortinet",
    "fortigate": "FortiGate",
    "palo alto": "Palo Alto Networks",
    "blue ?coat": "Blue Coat",
    "mcafee web gateway": "McAfee Web Gateway",
    "sophos": "Sophos",
    "barracuda": "Barracuda",
    "check ?point": "Check Point",
    "cisco umbrella": "Cisco Umbrella",
    "forcepoint": "Forcepoint",
    "websense": "Websense",
    "watchguard": "WatchGuard",
    "untangle": "Untangle",
    "iboss": "iboss",
    "kaspersky": "Kaspersky",
    "mitmproxy": "mitmproxy",
    "charles proxy": "Charles Proxy",
    "portswigger": "Burp Suite",
    "do_not_trust_fiddlerroot": "Fiddler",
    "squid": "Squid (SSL-Bump)",
}
"""Parts of the names that inspecting products give to their authorities."""


def is_public(host: str) -> bool:
    """Whether the host belongs to one of the public registries."""
    parts = host.split(".")
    if any(".".join(parts[start:]) in _PUBLIC for start in range(len(parts))):
        return True
    found = _AMAZON.search(host)
    return found is not None and found.end() == len(host)


def inspecting_product(name: str) -> str | None:
    """The product that opens TLS on the way and calls its authority so, or None."""
    for words, product in _PRODUCTS.items():
        if re.search(rf"\b{words}\b", name, re.IGNORECASE):
            return product
    return None


def related(one: str, other: str) -> bool:
    """Whether two hosts may well share an authority of their own: the same domain, or an address among them."""
    if re.fullmatch(r"[0-9.]+|.*:.*", one) or re.fullmatch(r"[0-9.]+|.*:.*", other):
        return True
    return one.rsplit(".", 2)[-2:] == other.rsplit(".", 2)[-2:]
