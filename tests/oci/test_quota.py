"""Quotas of pulls are read from the headers that Docker Hub states them in."""

from __future__ import annotations

import pytest

from regdoctor.oci.quota import PullQuota, pull_quota


def stated(limit: str | None, remaining: str | None) -> PullQuota | None:
    headers = [("ratelimit-limit", limit), ("ratelimit-remaining", remaining)]
    return pull_quota([(name, value) for name, value in headers if value is not None])


def test_numbers_and_window_are_read() -> None:
    assert stated("100;w=21600", "76;w=21600") == PullQuota(remaining=76, limit=100, window=21600)


def test_a_window_may_be_missing() -> None:
    assert stated("100", "76") == PullQuota(remaining=76, limit=100)


@pytest.mark.parametrize(
    ("limit", "remaining"),
    [
        (None, None),
        ("100", None),
        (None, "76"),
        ("many", "76"),
        ("100", "-1"),
        ("100;w=x", "76"),
        ("9" * 20, "1"),
    ],
)
def test_what_is_no_quota_is_none(limit: str | None, remaining: str | None) -> None:
    assert stated(limit, remaining) is None


def test_of_repeated_headers_the_first_counts() -> None:
    headers = [("ratelimit-limit", "100"), ("ratelimit-limit", "5"), ("ratelimit-remaining", "50")]

    assert pull_quota(headers) == PullQuota(remaining=50, limit=100)


@pytest.mark.parametrize(
    ("remaining", "limit", "low"),
    [(76, 100, False), (11, 100, False), (10, 100, True), (0, 100, True), (0, 0, False)],
)
def test_a_tenth_is_little(remaining: int, limit: int, low: bool) -> None:
    assert PullQuota(remaining=remaining, limit=limit).is_low is low
