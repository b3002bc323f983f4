"""What was probably meant by a name that does not exist."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.oci.near import near

TAGS = [
    "1.25",
    "1.25.2",
    "1.25.3",
    "1.26.0",
    "2.0.0",
    "latest",
    "stable",
    "v3.1",
    "alpine3.20",
    "3.20-slim",
    "main-1a2b3c",
]


@pytest.mark.parametrize(
    ("wanted", "first"),
    [
        ("lastest", "latest"),
        ("Latest", "latest"),
        ("latets", "latest"),
        ("1.25.1", "1.25"),
        ("v2.0.0", "2.0.0"),
        ("3.1", "v3.1"),
        ("1.25.3.1", "1.25.3"),
        ("alpine-3.20", "alpine3.20"),
        ("3.20_slim", "3.20-slim"),
        ("stabel", "stable"),
        ("2.0", "2.0.0"),
        ("1.27.0", "1.26.0"),
    ],
)
def test_the_tag_that_was_meant_comes_first(wanted: str, first: str) -> None:
    assert near(wanted, TAGS)[0] == first


@pytest.mark.parametrize(
    ("wanted", "candidates", "first"),
    [
        ("team/ap", ["team/app", "other/thing"], "team/app"),
        ("tem/app", ["other/thing", "team/app"], "team/app"),
        ("app", ["team/app", "zebra"], "team/app"),
        ("library/ngnix", ["library/nginx", "library/redis"], "library/nginx"),
    ],
)
def test_the_repository_that_was_meant_comes_first(wanted: str, candidates: list[str], first: str) -> None:
    assert near(wanted, candidates)[0] == first


def test_of_versions_the_next_lower_ones_come_first() -> None:
    assert near("1.25.9", TAGS)[:3] == ("1.25", "1.25.3", "1.25.2")


def test_what_has_nothing_in_common_is_not_offered() -> None:
    assert near("zzzzzz", TAGS) == ()
    assert near("9f8e7d6c", TAGS) == ()


def test_only_so_many_are_offered_and_never_the_name_itself() -> None:
    tags = [f"1.{minor}.0" for minor in range(50)]
    assert len(near("1.5", tags)) == 5
    assert near("1.5", tags)[:3] == ("1.5.0", "1.4.0", "1.6.0")
    assert "1.5.0" not in near("1.5.0", tags)
    assert near("x", ["x", ""]) == near("", TAGS) == near("latest", TAGS, limit=0) == ()


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=8))
def test_offers_are_candidates_without_repetition(name: str, candidates: list[str]) -> None:
    found = near(name, candidates)
    assert set(found) <= set(candidates) - {name}
    assert len(set(found)) == len(found)


def test_ten_thousand_long_names_take_only_moments() -> None:
    started = time.process_time()
    near("a" * 250, [f"{'a' * 240}{number}" for number in range(20_000)])
    assert time.process_time() - started < 5
