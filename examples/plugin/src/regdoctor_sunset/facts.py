"""The fact of this check."""

from __future__ import annotations

from datetime import datetime

from regdoctor.api import EndpointFact


class Announcement(EndpointFact, frozen=True, kw_only=True):
    """What a host says about its own end. ``sunset`` is UTC, or None where nothing is announced."""

    exchange: str
    sunset: datetime | None
