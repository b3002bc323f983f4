"""Quotas of pulls as Docker Hub states them in headers, and registries that follow its example.

``ratelimit-limit: 100;w=21600`` and ``ratelimit-remaining: 76;w=21600``: a number and a window in seconds
(Docker documentation, "Docker Hub pull usage and limits").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

LOW: Final = 0.1
"""The share of a quota below which little is left."""

_VALUE: Final = re.compile(r"\s*(\d{1,9})(?:\s*;\s*w=(\d{1,9}))?\s*")


class PullQuota(msgspec.Struct, frozen=True, kw_only=True):
    """How many pulls are left, of how many in a window of seconds (None where it is not said)."""

    remaining: int
    limit: int
    window: int | None = None

    @property
    def is_low(self) -> bool:
        """Whether a tenth or less is left."""
        return self.limit > 0 and self.remaining <= self.limit * LOW


def pull_quota(headers: Sequence[tuple[str, str]]) -> PullQuota | None:
    """Read the quota of an answer, None where it states none. Header names are in lower case."""
    values = dict(reversed(headers))
    remaining, limit = (
        _VALUE.fullmatch(values.get(f"ratelimit-{name}", "")) for name in ("remaining", "limit")
    )
    if remaining is None or limit is None:
        return None
    window = limit[2] or remaining[2]
    return PullQuota(
        remaining=int(remaining[1]), limit=int(limit[1]), window=int(window) if window is not None else None
    )
