"""Whom a configuration lets in: where the registry listens, whether it wants a login, whether it has TLS. Pure."""

from __future__ import annotations

from regdoctor.facts.config import ConfigFile
from regdoctor.oci import listen_addresses

_TRUE = frozenset({"true", "yes", "on", "y"})


def is_on(settings: ConfigFile, *path: str) -> bool:
    """Whether a value is a boolean that is true."""
    entry = settings.get(*path)
    return entry is not None and entry.kind == "boolean" and (entry.value or "").lower() in _TRUE


def listens_beyond_loopback(settings: ConfigFile, *path: str) -> bool | None:
    """Whether an address is open to other hosts; None where there is no address."""
    value = settings.text(*path)
    if not value or ":" not in value:
        return None
    return not listen_addresses.is_loopback(value.rpartition(":")[0].strip("[]"))


def has_tls(settings: ConfigFile) -> bool:
    """Whether TLS is on; a key alone does not switch it on."""
    return bool(
        settings.text("http", "tls", "certificate")
        or settings.text("http", "tls", "letsencrypt", "cachefile")
    )


def has_auth(settings: ConfigFile) -> bool:
    """Whether clients must log in."""
    section = settings.get("auth")
    if section is None or section.kind == "null":
        return False
    if section.kind == "map":
        return any(each.path[-1].lower() != "none" for each in settings.below("auth"))
    return bool(section.value) and (section.value or "").lower() != "none"


def lets_anybody_push(settings: ConfigFile) -> bool:
    """Whether who reaches the registry's own port may push: nothing asks for a login, nothing refuses writes."""
    return (
        (settings.text("http", "net") or "tcp") == "tcp"
        and bool(listens_beyond_loopback(settings, "http", "addr"))
        and not has_auth(settings)
        and not (has_tls(settings) and settings.below("http", "tls", "clientcas"))
        and not settings.text("proxy", "remoteurl")
        and not is_on(settings, "storage", "maintenance", "readonly", "enabled")
    )
