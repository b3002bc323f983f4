"""Which registries may be sent logins without TLS, because this host's clients are told so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regdoctor.host.insecure import insecure_entries
from regdoctor.options import Options


@pytest.fixture
def options(tmp_path: Path) -> Options:
    daemon, containers = tmp_path / "daemon.json", tmp_path / "registries.conf"
    daemon.write_text(json.dumps({"insecure-registries": ["reg.test:5000", "bare.test", "10.0.0.0/8"]}))
    containers.write_text(
        '[[registry]]\nlocation = "pod.test:5000"\ninsecure = true\n\n[[registry]]\nlocation = "safe.test"\n'
    )
    return Options(daemon_json=daemon, registries_conf=containers)


@pytest.mark.parametrize(
    ("url", "listed"),
    [
        ("http://reg.test:5000/v2/", True),
        ("http://reg.test/v2/", False),
        ("http://other.test:5000/v2/", False),
        ("http://bare.test/v2/", True),
        ("http://bare.test:80/v2/", True),
        ("http://bare.test:5000/v2/", False),
        ("http://pod.test:5000/v2/", True),
        ("http://safe.test/v2/", False),
        ("http://10.1.2.3:5000/v2/", False),
        ("http://reg.test:99999/", False),
    ],
)
def test_entries_name_host_and_port(url: str, listed: bool, options: Options, tmp_path: Path) -> None:
    assert insecure_entries(options, {}, tmp_path)(url) is listed


def test_the_usual_files_count_where_none_are_named(tmp_path: Path) -> None:
    usual = tmp_path / "daemon.json"
    usual.write_text(json.dumps({"insecure-registries": ["reg.test:5000"]}))
    own = tmp_path / ".config/containers"
    own.mkdir(parents=True)
    (own / "registries.conf").write_text('[[registry]]\nlocation = "pod.test:5000"\ninsecure = true\n')

    is_insecure = insecure_entries(Options(), {}, tmp_path, usual=usual)

    assert is_insecure("http://reg.test:5000/")
    assert is_insecure("http://pod.test:5000/")


@pytest.mark.parametrize("text", ["{", '{"insecure-registries": "reg.test"}', "[]"])
def test_a_file_that_the_daemon_refuses_allows_nothing(text: str, tmp_path: Path) -> None:
    usual = tmp_path / "daemon.json"
    usual.write_text(text)

    assert not insecure_entries(Options(), {}, tmp_path, usual=usual)("http://reg.test/")
