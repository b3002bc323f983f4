"""The Location of an upload shows what the registry believes its address to be."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.oci.upload import resolve_location, with_digest, with_parameter

if TYPE_CHECKING:
    from tests.support.registry import Registry

ASKED = "https://reg.test:8443/v2/team/app/blobs/uploads/"
SESSION = "0a1b2c3d-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("location", "changes"),
    [
        (f"https://reg.test:8443/v2/team/app/blobs/uploads/{SESSION}?_state=x", ""),
        (f"/v2/team/app/blobs/uploads/{SESSION}?_state=x", ""),
        (f"//REG.test:8443/v2/team/app/blobs/uploads/{SESSION}", ""),
        (f"https://reg.test.:8443/v2/team/app/blobs/uploads/{SESSION}", ""),
        (f"http://reg.test:8443/v2/team/app/blobs/uploads/{SESSION}", "scheme"),
        (f"https://reg.test/v2/team/app/blobs/uploads/{SESSION}", "port"),
        (f"https://127.0.0.1:8443/v2/team/app/blobs/uploads/{SESSION}", "host"),
        (f"http://registry:5000/v2/team/app/blobs/uploads/{SESSION}", "scheme host port"),
        (f"https://reg.test:8443/docker/v2/team/app/blobs/uploads/{SESSION}", "path"),
        (f"/v2/app/blobs/uploads/{SESSION}", "path"),
        (f"https://reg.test:8443/v2/team/app/blobs/uploads/{SESSION}/", ""),
    ],
)
def test_every_part_that_differs_from_the_url_asked_is_told(location: str, changes: str) -> None:
    resolved = resolve_location(ASKED, location)
    assert resolved.problem is None
    found = [part for part in ("scheme", "host", "port", "path") if getattr(resolved, f"{part}_changed")]
    assert found == changes.split()
    assert resolved.same_origin is (changes in {"", "path"})
    assert resolved.has_state is ("_state" in location)


@pytest.mark.parametrize(
    ("asked", "location", "port_changed"),
    [
        ("https://reg.test/v2/a/blobs/uploads/", "https://reg.test:443/v2/a/blobs/uploads/1", False),
        ("https://reg.test:443/v2/a/blobs/uploads/", "https://reg.test/v2/a/blobs/uploads/1", False),
        ("https://reg.test/v2/a/blobs/uploads/", "http://reg.test/v2/a/blobs/uploads/1", False),
        ("https://reg.test/v2/a/blobs/uploads/", "http://reg.test:80/v2/a/blobs/uploads/1", True),
        ("https://reg.test:8443/v2/a/blobs/uploads/", "http://reg.test/v2/a/blobs/uploads/1", True),
        ("http://[::1]:5000/v2/a/blobs/uploads/", "http://[::1]:5000/v2/a/blobs/uploads/1", False),
    ],
)
def test_the_default_port_is_no_other_port(asked: str, location: str, port_changed: bool) -> None:
    assert resolve_location(asked, location).port_changed is port_changed


def test_a_step_from_https_to_http_is_a_downgrade() -> None:
    assert resolve_location(ASKED, "http://reg.test:8443/v2/team/app/blobs/uploads/1").downgrades
    assert not resolve_location(ASKED, "/v2/team/app/blobs/uploads/1").downgrades
    assert not resolve_location("http://r/v2/a/blobs/uploads/", "https://r/v2/a/blobs/uploads/1").downgrades


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (None, "no Location"),
        ("  ", "no Location"),
        ("ftp://reg.test/x", "not an http"),
        ("https:///v2/", "not an http"),
        ("https://reg.test:port/v2/", "not a URL"),
        ("https://[::1/v2/", "not a URL"),
        ("https://reg.test/a b", "blanks"),
        ("/v2/" + "a" * 20_000, "16 KiB"),
    ],
)
def test_a_location_that_leads_nowhere_says_why(location: str | None, words: str) -> None:
    resolved = resolve_location(ASKED, location)
    assert resolved.url is None
    assert not resolved.same_origin
    assert words in (resolved.problem or "")


@given(st.text(max_size=40))
def test_no_location_crashes(location: str) -> None:
    resolved = resolve_location(ASKED, location)
    assert (resolved.url is None) is (resolved.problem is not None)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://r/u/1", "https://r/u/1?digest=sha256%3Aab"),
        ("https://r/u/1?_state=x%3D%3D", "https://r/u/1?_state=x%3D%3D&digest=sha256%3Aab"),
        ("https://r/u/1?", "https://r/u/1?digest=sha256%3Aab"),
        ("https://r/u/1?a=b&", "https://r/u/1?a=b&digest=sha256%3Aab"),
        ("https://r/u/1?a=b#f", "https://r/u/1?a=b&digest=sha256%3Aab#f"),
    ],
)
def test_the_digest_is_appended_and_nothing_else_changes(url: str, expected: str) -> None:
    assert with_digest(url, "sha256:ab") == expected


@given(st.text(max_size=20))
def test_a_parameter_reads_back(value: str) -> None:
    query = urlsplit(with_parameter("https://r/u?x=1", "mount", value)).query
    assert parse_qs(query, keep_blank_values=True) == {"x": ["1"], "mount": [value]}


@pytest.mark.needs("docker-registry")
def test_an_upload_to_a_real_registry_completes_at_the_resolved_location(registry: Registry) -> None:
    client = registry.client()
    asked = f"{registry.url}/v2/team/app/blobs/uploads/"
    resolved = resolve_location(asked, client.request("POST", asked).headers["Location"])
    assert resolved.same_origin
    assert resolved.has_state
    assert not resolved.path_changed
    assert resolved.url is not None
    digest = "sha256:" + hashlib.sha256(b"{}").hexdigest()
    assert client.request("PUT", with_digest(resolved.url, digest), body=b"{}").status == 201
