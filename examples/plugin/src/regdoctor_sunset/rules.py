"""Judges the announcement."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import Draft, Endpoint, Moment, finding, rule
from regdoctor_sunset.facts import Announcement


@rule("sunset/announced")
def announced(endpoint: Endpoint, announcement: Announcement, moment: Moment) -> Iterator[Draft]:
    """The host says when it will stop."""
    if announcement.sunset is None:
        return
    days = (announcement.sunset - moment.now).days
    when = f"in {days} days" if days >= 0 else f"{-days} days ago"
    yield finding(
        "sunset/announced",
        f"{endpoint.address} announces its end for {announcement.sunset:%Y-%m-%d}, {when}.",
        evidence=(announcement.exchange,),
    )
