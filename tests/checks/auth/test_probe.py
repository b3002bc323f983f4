"""Where the registry itself is asked, past any proxy."""

from __future__ import annotations

import pytest

from regdoctor.checks.auth.probe import direct_url
from regdoctor.host.config_file import parse_config


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (":5000", "http://127.0.0.1:5000/v2/"),
        ("0.0.0.0:5000", "http://127.0.0.1:5000/v2/"),
        ("[::]:5000", "http://127.0.0.1:5000/v2/"),
        ("localhost:5000", "http://localhost:5000/v2/"),
        ("[::1]:5000", "http://[::1]:5000/v2/"),
        ("/run/registry.sock", None),
        (":http", None),
    ],
)
def test_a_registry_is_asked_where_its_configuration_lets_it_listen(address: str, url: str | None) -> None:
    config = parse_config(f"version: 0.1\nhttp: {{addr: '{address}'}}\n".encode(), "config.yml")
    assert direct_url(config) == url


def test_a_registry_with_tls_is_not_asked_by_its_address() -> None:
    text = b"version: 0.1\nhttp: {addr: ':443', tls: {certificate: c.pem, key: k.pem}}\n"
    assert direct_url(parse_config(text, "config.yml")) is None


def test_without_an_address_nothing_is_asked() -> None:
    assert direct_url(parse_config(b"version: 0.1\n", "config.yml")) is None
