"""The upstream of a cache is read as the registry reads it, and its URLs are built as the registry builds them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from regdoctor.host.config_file import read_config
from regdoctor.host.upstream_settings import (
    UpstreamSettings,
    manifest_url,
    read_variables,
    upstream_settings,
    url_problem,
)


def settings(tmp_path: Path, text: str, **variables: str) -> UpstreamSettings | None:
    path = tmp_path / "config.yml"
    path.write_text(dedent(text))
    return upstream_settings(read_config(path), variables)


CACHE = """
    version: 0.1
    proxy:
      remoteurl: https://registry-1.docker.io
      username: cache
      password: pass word
"""


def test_url_and_account_come_from_the_section_proxy(tmp_path: Path) -> None:
    found = settings(tmp_path, CACHE)

    assert found is not None
    assert (found.source, found.url, found.username) == (
        str(tmp_path / "config.yml"),
        "https://registry-1.docker.io",
        "cache",
    )
    assert found.password is not None
    assert found.password.reveal() == "pass word"
    assert "pass word" not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "version: 0.1\n",
        "version: 0.1\nproxy:\n  remoteurl: ''\n",
        "version: 0.1\nproxy:\n",
        "a: [",
        "proxy: [1]\n",
    ],
)
def test_without_a_url_the_registry_is_no_cache(tmp_path: Path, text: str) -> None:
    assert settings(tmp_path, text) is None


def test_an_account_may_be_missing(tmp_path: Path) -> None:
    found = settings(tmp_path, "version: 0.1\nproxy: {remoteurl: http://up.test, username: ''}\n")

    assert found is not None
    assert (found.username, found.password) == (None, None)


def test_a_password_that_is_no_text_is_taken_as_written(tmp_path: Path) -> None:
    found = settings(
        tmp_path, "version: 0.1\nproxy: {remoteurl: http://up.test, username: a, password: 0123}\n"
    )

    assert found is not None
    assert found.password is not None
    assert found.password.reveal() == "0123"


def test_variables_overrule_the_file(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        CACHE,
        REGISTRY_PROXY_REMOTEURL="http://other.test",
        REGISTRY_PROXY_USERNAME="other",
        REGISTRY_PROXY_PASSWORD="word",
    )

    assert found is not None
    assert (found.source, found.url, found.username) == (
        "REGISTRY_PROXY_REMOTEURL",
        "http://other.test",
        "other",
    )
    assert found.password is not None
    assert found.password.reveal() == "word"


def test_variables_make_a_cache_of_a_registry_that_is_none(tmp_path: Path) -> None:
    found = settings(tmp_path, "version: 0.1\n", REGISTRY_PROXY_REMOTEURL="http://other.test")

    assert found is not None
    assert found.url == "http://other.test"


def test_only_the_variables_of_the_section_are_read(tmp_path: Path) -> None:
    path = tmp_path / "registry.env"
    path.write_text(
        "# comment\nREGISTRY_PROXY_REMOTEURL=http://up.test?a=b\nREGISTRY_HTTP_SECRET=x\nnothing\n"
    )

    assert read_variables(path) == {"REGISTRY_PROXY_REMOTEURL": "http://up.test?a=b"}
    assert read_variables(tmp_path / "none") == {}


@pytest.mark.parametrize(
    "url", ["http://up.test", "https://up.test:5000/", "https://[::1]:5000", "http://up.test/v2/"]
)
def test_these_urls_can_be_used(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("up.test:5000", "http://"),
        ("registry-1.docker.io", "http://"),
        ("ftp://up.test", "http://"),
        ("https://", "no host"),
        ("http://up.test:99999", "no URL"),
        ("http://[::1", "no URL"),
    ],
)
def test_these_cannot(url: str, words: str) -> None:
    assert words in (url_problem(url) or "")


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://up.test", "http://up.test/v2/team/app/manifests/1.0"),
        ("http://up.test/", "http://up.test/v2/team/app/manifests/1.0"),
        ("http://up.test/v2", "http://up.test/v2/team/app/manifests/1.0"),
        ("http://up.test/v2/", "http://up.test/v2/v2/team/app/manifests/1.0"),
        ("http://up.test/mirror/", "http://up.test/mirror/v2/team/app/manifests/1.0"),
    ],
)
def test_a_path_that_ends_with_a_slash_stays_in_front(url: str, asked: str) -> None:
    assert manifest_url(url, "team/app", "1.0") == asked
