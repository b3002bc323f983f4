"""What the readers of all four programs share."""

from __future__ import annotations

import pytest

from regdoctor.host.proxyconf import requests


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:5000/v2/", "127.0.0.1:5000"),
        ("http://registry:80", "registry"),
        ("https://registry:443/", "registry"),
        ("https://user:secret@registry", "registry"),
        ("unix:/run/registry.sock", ""),
    ],
)
def test_the_host_header_of_an_address(url: str, origin: str) -> None:
    assert requests.origin(url) == origin


def test_secrets_are_blanked() -> None:
    assert "hunter2" not in requests.blanked("Basic aHVudGVyMg==", secret=True)
    assert "hunter2" not in requests.blanked("http://user:hunter2@registry:5000")


def test_an_empty_text_is_no_part() -> None:
    assert requests.text_part("") == ()
