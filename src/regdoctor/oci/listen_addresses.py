"""Addresses to listen on, as Go's ``net.Listen`` takes them: ``:5000``, ``[::1]:5000``. Pure."""

from __future__ import annotations

import ipaddress


def split(text: str | None) -> tuple[str, int] | None:
    """Host (empty for all addresses) and port; None where the text names no fixed port."""
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        return None
    return host.strip("[]"), int(port)


def join(host: str, port: int) -> str:
    """Host and port as one text, an IPv6 literal in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this host can reach what listens there; an IPv4 address within IPv6 counts as such."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def is_public(host: str) -> bool:
    """Whether it is an address of the Internet (RFC 6890)."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return False
