"""What the registry's configuration says about tokens, and under which ids it knows the keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.facts import TokenSettings
from regdoctor.facts.config import ConfigFile
from regdoctor.host.config_file import parse_config
from regdoctor.host.token_settings import read_variables, token_settings
from tests.support.certificates import self_signed
from tests.support.token_server import libtrust_key_id

TOKEN = """\
version: 0.1
auth:
  token:
    realm: https://auth.test/token
    service: registry.test
    issuer: tokens.test
    rootcertbundle: {bundle}
"""


def config(text: str) -> ConfigFile:
    return parse_config(text.encode(), "/etc/docker/registry/config.yml")


def test_the_section_is_read_with_the_ids_of_its_keys(tmp_path: Path) -> None:
    keys = [
        self_signed((), (), common_name="one", key_type="rsa"),
        self_signed((), (), common_name="two", key_type="ec"),
    ]
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("".join(key.pem for key in keys))

    settings = token_settings(config(TOKEN.format(bundle=bundle)), {})

    assert settings is not None
    assert (settings.realm, settings.service) == ("https://auth.test/token", "registry.test")
    assert (settings.issuer, settings.bundle) == ("tokens.test", str(bundle))
    assert {libtrust_key_id(key) for key in keys} <= set(settings.key_ids)
    assert settings.bundle_problem is None


def test_the_keys_of_a_key_set_are_known_by_their_kid(tmp_path: Path) -> None:
    """``jwks`` of registry 3 (RFC 7517)."""
    keys = tmp_path / "keys.json"
    keys.write_text(
        '{"keys": [{"kty": "EC", "kid": "one"}, {"kty": "RSA", "kid": "two"}, {"kty": "RSA"}, 7]}'
    )
    text = TOKEN.format(bundle="/nowhere") + f"    jwks: {keys}\n"

    settings = token_settings(config(text), {})

    assert settings is not None
    assert (settings.key_ids, settings.jwks, settings.jwks_problem) == (("one", "two"), str(keys), None)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"keys": []}', '{"keys": [{"kid": 5}]}', '{"keys": 3}'])
def test_a_key_set_without_keys_is_said_to_be(text: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(text)

    settings = token_settings(config(TOKEN.format(bundle="/nowhere") + f"    jwks: {keys}\n"), {})

    assert settings is not None
    assert settings.key_ids == ()
    assert str(keys) in (settings.jwks_problem or "")


def test_other_ways_to_log_in_have_no_such_settings() -> None:
    assert token_settings(config("auth: {htpasswd: {realm: r, path: /etc/htpasswd}}"), {}) is None
    assert token_settings(config("version: 0.1"), {}) is None
    assert token_settings(config("auth: token"), {}) is None


def test_variables_overrule_the_file() -> None:
    settings = token_settings(
        config(TOKEN.format(bundle="/nowhere")), {"REGISTRY_AUTH_TOKEN_ISSUER": "https://other.test"}
    )
    assert settings is not None
    assert settings.issuer == "https://other.test"
    assert settings.service == "registry.test"


def test_variables_alone_are_enough() -> None:
    assert token_settings(config("version: 0.1"), {"REGISTRY_AUTH_TOKEN_SERVICE": "s"}) == TokenSettings(
        source="/etc/docker/registry/config.yml", service="s"
    )


def test_a_bundle_that_is_elsewhere_is_said_to_be(tmp_path: Path) -> None:
    settings = token_settings(config(TOKEN.format(bundle=tmp_path / "missing.pem")), {})
    assert settings is not None
    assert settings.key_ids == ()
    assert settings.bundle_problem is not None
    assert "No such file" in settings.bundle_problem


def test_a_bundle_without_certificates_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    settings = token_settings(config(TOKEN.format(bundle=tmp_path / "key.pem")), {})
    assert settings is not None
    assert settings.bundle_problem is not None
    assert "holds no certificate" in settings.bundle_problem


def test_variables_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "registry.env"
    file.write_text("# comment\nREGISTRY_AUTH_TOKEN_ISSUER=a=b\nOTHER=1\nREGISTRY_AUTH_TOKEN_REALM\n")
    assert read_variables(file) == {"REGISTRY_AUTH_TOKEN_ISSUER": "a=b"}
    assert read_variables(tmp_path / "missing") == {}
