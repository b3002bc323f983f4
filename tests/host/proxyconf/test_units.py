"""Sizes and times as each program writes them."""

from __future__ import annotations

import pytest

from regdoctor.host.proxyconf import units


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("8k", 8192),
        ("10M", 10 * 1024**2),
        ("2g", 2 * 1024**3),
        ("1.5m", None),
        ("", None),
    ],
)
def test_sizes_of_nginx(text: str, size: int | None) -> None:
    assert units.nginx_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60),
        ("60s", 60),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1h", 3600),
        ("1d 2h", 93600),
        ("x", None),
        ("", None),
    ],
)
def test_times_of_nginx(text: str, seconds: float | None) -> None:
    assert units.nginx_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("5000", 5), ("50s", 50), ("1m", 60), ("2h", 7200), ("250us", 0.00025), ("x", None)]
)
def test_times_of_haproxy_are_milliseconds_without_a_unit(text: str, seconds: float | None) -> None:
    assert units.haproxy_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m30s", 90),
        ("1.5h", 5400),
        ("300ms", 0.3),
        ("0", 0),
        ("-1s", -1),
        ("2d", 172800),
        ("5", None),
        ("", None),
    ],
)
def test_times_of_go(text: str, seconds: float | None) -> None:
    assert units.go_seconds(text) == seconds


def test_a_bare_number_is_seconds_for_traefik() -> None:
    assert units.traefik_seconds("90") == 90
    assert units.traefik_seconds("90s") == 90


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10MB", 10_000_000),
        ("10MiB", 10 * 1024**2),
        ("1 gb", 10**9),
        ("512", 512),
        ("1.5kB", 1500),
        ("lots", None),
    ],
)
def test_sizes_of_caddy(text: str, size: int | None) -> None:
    assert units.human_size(text) == size
