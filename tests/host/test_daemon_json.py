"""daemon.json is read as dockerd reads it; dockerd is the judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.facts import DaemonSettings, Listed
from regdoctor.host.daemon_json import covers, read_daemon_json, refused
from tests.support import dockerd

RIGHT = {
    "braces": "{}",
    "null": "null",
    "a switch": '{"debug": true}',
    "a key twice": '{"debug": true, "debug": false}',
    "insecure registries": '{"insecure-registries": ["reg.test:5000", "10.0.0.0/8", "[::1]:5000", "fd00::/8"]}',
    "an insecure registry with a scheme": '{"insecure-registries": ["http://reg.test:5000"]}',
    "an insecure network with bits of a host": '{"insecure-registries": ["10.1.2.3/8"]}',
    "an insecure registry in capitals": '{"insecure-registries": ["Reg.Test:5000"]}',
    "mirrors": '{"registry-mirrors": ["https://m.test", "http://m.test:5000/"]}',
    "no mirrors": '{"registry-mirrors": null}',
    "options of logs": '{"log-opts": {"max-size": "10m"}}',
    "the name of a flag": '{"insecure-registry": ["a:5000"]}',
    "features": '{"features": {"buildkit": true}}',
    "a runtime": '{"runtimes": {"x": {"path": "/x"}}}',
    "limits": '{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 64000}}}',
    "address pools": '{"default-address-pools": [{"base": "10.0.0.0/8", "size": 24}]}',
    "a size": '{"default-shm-size": "64M"}',
    "the builder": '{"builder": {"gc": {"enabled": true, "defaultKeepStorage": "10GB"}}}',
    "labels": '{"labels": ["a=b"]}',
    "name servers": '{"dns": ["1.1.1.1", "::1"]}',
    "a known key in an unknown section": '{"foo": {"debug": true}}',
}
WRONG = {
    "a list": ("[]", "cannot unmarshal array"),
    "an unknown key": ('{"foo": 1}', "the following directives don't match any configuration option: foo"),
    "a key in capitals": (
        '{"Debug": true}',
        "the following directives don't match any configuration option: Debug",
    ),
    "an unknown key in a section": (
        '{"foo": {"bar": 1}}',
        "the following directives don't match any configuration option: bar",
    ),
    "a comma too many": ('{"debug": true,}', "invalid character '}'"),
    "single quotes": ("{'debug': true}", "invalid character '\\''"),
    "a text for true": (
        '{"debug": "true"}',
        "Go struct field Config.debug of type bool",
    ),
    "a text for mirrors": ('{"registry-mirrors": "http://a"}', "Config.registry-mirrors of type []string"),
    "a text for registries": ('{"insecure-registries": "a:5000"}', "cannot unmarshal string"),
    "numbers for mirrors": ('{"registry-mirrors": [1]}', "cannot unmarshal number"),
    "a text for a number": ('{"mtu": "1500"}', "Config.mtu of type int"),
    "a broken number": ('{"mtu": 1.5}', "number 1.5"),
    "a number for an option": ('{"log-opts": {"max-file": 3}}', "cannot unmarshal number"),
    "a text for a feature": ('{"features": {"buildkit": "yes"}}', "cannot unmarshal string"),
    "a scheme that is none": (
        '{"insecure-registries": ["ftp://reg.test:5000"]}',
        "insecure registry ftp://reg.test:5000 should not contain '://'",
    ),
    "a path": ('{"insecure-registries": ["reg.test:5000/team"]}', "is not valid"),
    "an underscore": ('{"insecure-registries": ["my_reg:5000"]}', "is not valid"),
    "a wildcard": ('{"insecure-registries": ["*.reg.test"]}', "is not valid"),
    "a port too high": ('{"insecure-registries": ["reg.test:99999"]}', 'invalid port "99999"'),
    "two in one": ('{"insecure-registries": ["a:5000, b:5000"]}', "is not valid"),
    "a hyphen first": ('{"insecure-registries": ["-reg.test"]}', "Cannot begin or end with a hyphen"),
    "a network too narrow": ('{"insecure-registries": ["10.0.0.0/33"]}', "is not valid"),
    "a mirror without a scheme": ('{"registry-mirrors": ["m.test:5000"]}', "invalid mirror"),
    "a mirror of another scheme": ('{"registry-mirrors": ["ftp://m.test"]}', 'unsupported scheme "ftp"'),
    "a mirror with a query": ('{"registry-mirrors": ["https://m.test?x=1"]}', "query"),
    "a mirror with a user": (
        '{"registry-mirrors": ["https://u:p@m.test"]}',
        "username/password not allowed in URI",
    ),
    "a mirror with a blank": ('{"registry-mirrors": [" https://m.test"]}', "is not a valid URI"),
    "an empty mirror": ('{"registry-mirrors": [""]}', "invalid mirror"),
    "a mirror that is null": ('{"registry-mirrors": [null]}', "invalid mirror"),
    "a name server's name": ('{"dns": ["x"]}', "x is not an ip address"),
    "a label without a value": ('{"labels": ["ab"]}', "bad attribute format: ab"),
    "fewer than no downloads": ('{"max-concurrent-downloads": -1}', "invalid max concurrent downloads: -1"),
}
OLDER: dict[str, str | bytes] = {
    "empty": "",
    "blanks": " \n",
    "a byte order mark": '\ufeff{"debug": true}',
    "UTF-16": '{"debug": true}'.encode("utf-16"),
    "proxies": '{"proxies": {"http-proxy": "http://a"}}',
    "a mirror with a path": '{"registry-mirrors": ["https://m.test/a"]}',
}
"""What docker 20.10 refuses and 23 takes."""
ONLY_NEWER = {
    "something after it": '{"debug": true} // why',
    "another object": '{"debug": true} {}',
}
"""What docker 23 refuses and 20.10 takes: it decodes the first value and leaves the rest alone."""


def read(folder: Path, text: str | bytes) -> DaemonSettings:
    path = folder / "daemon.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_daemon_json(path)


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_usable(tmp_path: Path, name: str) -> None:
    settings = read(tmp_path, RIGHT[name])

    assert settings.usable
    assert settings.older == ()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_in_dockers_words(tmp_path: Path, name: str) -> None:
    text, words = WRONG[name]
    flaw = refused(read(tmp_path, text))[0]

    assert words in flaw.message
    assert flaw.line == 1


@pytest.mark.parametrize("name", OLDER)
def test_what_older_versions_refuse_is_told_apart(tmp_path: Path, name: str) -> None:
    settings = read(tmp_path, OLDER[name])

    assert settings.usable
    assert len(settings.older) == 1


@pytest.mark.parametrize("name", ONLY_NEWER)
def test_whatever_follows_the_object_is_refused(tmp_path: Path, name: str) -> None:
    assert "after top-level value" in refused(read(tmp_path, ONLY_NEWER[name]))[0].message


@pytest.mark.needs_root
@pytest.mark.needs("dockerd")
@pytest.mark.parametrize("name", [*RIGHT, *WRONG, *OLDER, *ONLY_NEWER])
def test_dockerd_20_10_judges_the_same(tmp_path: Path, name: str) -> None:
    texts = {**RIGHT, **{key: text for key, (text, _words) in WRONG.items()}, **OLDER, **ONLY_NEWER}
    read(tmp_path, texts[name])

    said = dockerd.refusal(tmp_path / "dockerd", tmp_path / "daemon.json")

    assert (said is None) is (name in RIGHT or name in ONLY_NEWER), said


def test_values_and_keys_have_their_places(tmp_path: Path) -> None:
    settings = read(
        tmp_path, '{\n  "registry-mirrors": [\n    "https://m.test"\n  ],\n  "insecure-registry": []\n}'
    )

    path = str(tmp_path / "daemon.json")
    assert settings.mirrors == (Listed(value="https://m.test", path=path, line=3, column=5),)
    assert [(each.value, each.line) for each in settings.misnamed] == [("insecure-registry", 5)]


def test_a_password_in_a_mirror_is_left_out(tmp_path: Path) -> None:
    settings = read(tmp_path, '{"registry-mirrors": ["https://u:pa55word@m.test"]}')

    assert "pa55word" not in repr(settings)


@pytest.mark.parametrize(
    ("entry", "covered"),
    [
        ("reg.test:5000", True),
        ("http://reg.test:5000", True),
        ("HTTPS://reg.test:5000", True),
        ("reg.test", False),
        ("reg.test:5001", False),
        ("Reg.test:5000", False),
        ("10.0.0.0/8", True),
        ("10.1.2.3/8", True),
        ("10.1.2.3", False),
        ("192.168.0.0/16", False),
        ("no/network", False),
    ],
)
def test_an_entry_covers_a_name_letter_by_letter_or_addresses(entry: str, covered: bool) -> None:
    listed = Listed(value=entry, path="", line=1, column=1)

    assert covers(listed, "reg.test:5000", ("10.1.2.3", "fd00::1")) is covered


@pytest.mark.parametrize("depth", [100, 100_000])
def test_what_is_nested_too_deeply_is_not_read(tmp_path: Path, depth: int) -> None:
    (flaw,) = read(tmp_path, '{"x": ' + "[" * depth + "]" * depth + "}").flaws

    assert flaw.kind.value == "unread"


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    (flaw,) = read(tmp_path, " " * 2_000_000).flaws

    assert (flaw.kind.value, flaw.message) == ("unread", "it is larger than 1024 KiB")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    (flaw,) = read_daemon_json(tmp_path / "none.json").flaws

    assert (flaw.kind.value, flaw.message) == ("unread", "it does not exist")
