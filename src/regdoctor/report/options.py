"""How a report is to be rendered."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class FailOn(StrEnum):
    """From which severity on findings make a run fail (``--fail-on``)."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


class RenderOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller may choose about a rendering; formats for machines use ``fail_on`` alone.

    ``width`` is the number of columns that prose is wrapped at, ``colour`` whether terminal sequences may be
    used, ``verbose`` whether exchanges and facts are part of a report for people.
    """

    width: int = 80
    colour: bool = False
    verbose: bool = False
    fail_on: FailOn = FailOn.ERROR
