"""Puts what was served into words."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from regdoctor.api import ServedCertificate, TrustContext


def listed(items: Iterable[str], most: int = 8) -> str:
    """The items with commas, bounded."""
    found = list(items)
    shown = ", ".join(found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} more"


def count(number: int, singular: str) -> str:
    """A number and its noun."""
    return f"one {singular}" if number == 1 else f"{number} {singular}s"


def date(moment: datetime) -> str:
    """A moment to the minute."""
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def span(length: timedelta) -> str:
    """A duration in the largest unit that says enough."""
    if length >= timedelta(days=2):
        return f"{length.days} days"
    hours = int(length.total_seconds() // 3600)
    return f"{hours} hours" if hours >= 2 else count(max(1, int(length.total_seconds() // 60)), "minute")


def names(certificate: ServedCertificate) -> str:
    """What a certificate is made for."""
    found = [*certificate.dns_names, *certificate.ip_addresses]
    return listed(found) if found else "no name at all"


def called(certificate: ServedCertificate) -> str:
    """A certificate by its subject, which may be empty where it has alternative names (RFC 5280 4.1.2.6)."""
    return certificate.subject or f"(no subject, for {names(certificate)})"


def trusted(context: TrustContext) -> str:
    """The authorities of a trust context."""
    place = listed(context.paths) if context.paths else "no file at all"
    words = f"the {count(context.authorities, 'authority').replace('authoritys', 'authorities')} trusted here"
    return f"{words} ({place}{'; ' + context.problem if context.problem else ''})"


def first_line(escaped: str) -> str:
    """The first line of an excerpt in which line ends are escaped."""
    return escaped.partition(r"\r\n")[0].partition(r"\n")[0][:120]


def first_text(body: str, pattern: re.Pattern[str] | None = None) -> str:
    """The first line of text in a body, HTML tags left out; with a pattern the first line that has it."""
    lines = (line.strip() for line in re.split(r"<[^>]*>|[\r\n]", body))
    return next((line[:120] for line in lines if line and (pattern is None or pattern.search(line))), "")


def wildcard_note(certificate: ServedCertificate, host: str) -> str:
    """A sentence on why a wildcard that seems to fit does not (RFC 9525 section 6.3), or nothing."""
    for name in certificate.dns_names:
        if name.startswith("*.") and host.lower().endswith(name[1:].lower()):
            return f" {name} stands for exactly one label before {name[2:]}, and {host} has more."
        if name.startswith("*.") and host.lower() == name[2:].lower():
            return f" {name} does not stand for {host} itself."
    return ""


def is_ip(host: str) -> bool:
    """Whether a host is an IP literal."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether an address is one of this host's own (127.0.0.0/8, ::1)."""
    return is_ip(address) and ipaddress.ip_address(address.partition("%")[0]).is_loopback
