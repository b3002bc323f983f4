"""Addresses to listen on, as Go takes them."""

from __future__ import annotations

import pytest

from regdoctor.oci.listen_addresses import is_loopback, is_public, join, split


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (":5000", ("", 5000)),
        ("127.0.0.1:5000", ("127.0.0.1", 5000)),
        ("[::1]:443", ("::1", 443)),
        ("localhost:80", ("localhost", 80)),
        (":0", None),
        (":http", None),
        ("5000", None),
        (":65536", None),
        ("", None),
        (None, None),
        (":²", None),
    ],
)
def test_host_and_port(text: str | None, found: tuple[str, int] | None) -> None:
    assert split(text) == found


def test_joined_they_are_the_text_again() -> None:
    assert (join("", 5000), join("::1", 443)) == (":5000", "[::1]:443")


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "::1%lo"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "fe80::1%eth0", "reg.test", "localhost.test"]
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "public"),
    [("8.8.8.8", True), ("2a00::1", True), ("10.0.0.1", False), ("fd00::1", False), ("reg.test", False)],
)
def test_public(host: str, public: bool) -> None:
    assert is_public(host) is public
