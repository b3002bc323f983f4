"""Asks the host for its root page and reads one header."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from regdoctor.api import Blocked, Context, Endpoint, Failure, NotApplicable, Ping, Role, probe
from regdoctor_sunset.facts import Announcement


@probe
def look_for_announcement(endpoint: Endpoint, ping: Ping, context: Context) -> Announcement:
    """GET ``/`` without credentials and read ``Sunset``."""
    if endpoint.role is not Role.REGISTRY:
        raise NotApplicable("only the registry itself is asked")
    got = context.http.request("GET", f"{endpoint.url}/", proxy=endpoint.proxy, verify=ping.trusted)
    if isinstance(got, Failure):
        raise Blocked(f"GET {endpoint.url}/ failed: {got.message}")
    value = got.answer.header("sunset")
    try:
        sunset = parsedate_to_datetime(value).astimezone(UTC) if value else None
    except ValueError:
        sunset = None
    return Announcement(exchange=got.answer.exchange, sunset=sunset)
