"""config.json judged as a file: what it sets, and nothing that is secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from regdoctor.host.credential_settings import read_credential_settings

AUTH = base64.b64encode(b"alice:pa55word").decode()


def test_entries_helpers_and_store_have_their_places(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "auths": {"reg.test": {"auth": AUTH}, "b.test": {}},
                "credHelpers": {"c.test": "ecr"},
                "credsStore": "pass",
            },
            indent=1,
        )
    )

    settings, secrets = read_credential_settings(path)

    assert [(each.value, each.line) for each in settings.entries] == [("reg.test", 3), ("b.test", 6)]
    assert [each.value for each in settings.helpers] == ["c.test"]
    assert settings.store is not None
    assert (settings.store.value, settings.flaws, settings.malformed) == ("pass", (), ())
    assert "pa55word" in [each.reveal() for each in secrets]
    assert "pa55word" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "cannot unmarshal array"),
        ('{"auths": []}', "auths is not an object"),
        ('{"auths": {"a": "x"}}', "the entry of auths for a is not an object"),
        ('{"credsStore": 1}', "credsStore is not a text"),
        ('{"auths": ', "unexpected end of JSON input"),
    ],
)
def test_what_clients_refuse_has_a_flaw(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)

    settings, _secrets = read_credential_settings(path)

    assert words in settings.flaws[0].message


@pytest.mark.parametrize("text", ["", "  \n", "{}", '{"auths": null}', "{} and more"])
def test_what_docker_takes_has_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)

    assert read_credential_settings(path)[0].flaws == ()


def test_an_entry_that_cannot_be_decoded_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"auths": {"reg.test": {"auth": "!!!!"}}}')

    (flaw,) = read_credential_settings(path)[0].malformed

    assert (flaw.key, "!!!!" in flaw.message) == ("reg.test", False)
