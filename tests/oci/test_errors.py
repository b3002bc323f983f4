"""A registry's own error is told from another server's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.oci.errors import CODE_MEANINGS, looks_like_html, parse_errors

if TYPE_CHECKING:
    from tests.support.registry import Registry


@pytest.mark.needs("docker-registry")
def test_the_error_of_a_real_registry_is_read(registry: Registry) -> None:
    answer = registry.client().request("GET", "/v2/team/app/manifests/nope")
    body = parse_errors(answer.body, answer.headers["Content-Type"])
    assert body.is_registry_json
    assert body.codes == ("MANIFEST_UNKNOWN",)
    assert body.errors[0].meaning == CODE_MEANINGS["MANIFEST_UNKNOWN"]
    assert "nope" in body.errors[0].detail


@pytest.mark.needs("docker-registry")
def test_a_path_that_a_real_registry_does_not_know_gives_no_registry_error(registry: Registry) -> None:
    answer = registry.client().request("GET", "/v2/Upper/manifests/x")
    body = parse_errors(answer.body, answer.headers["Content-Type"])
    assert not body.is_registry_json
    assert not body.looks_like_html
    assert body.excerpt == "404 page not found\n"


def test_several_errors_keep_their_order_and_details() -> None:
    body = parse_errors(
        b'{"errors":[{"code":"DENIED","message":"no","detail":[{"Type":"repository","Action":"push"}]},{"code":"ODD"},5]}',
        "text/plain",
    )
    assert body.codes == ("DENIED", "ODD")
    assert body.errors[0].detail == '[{"Type":"repository","Action":"push"}]'
    assert body.errors[1].meaning is None
    assert body.errors[1].detail == ""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"details":"incorrect username or password"}', "incorrect username or password"),
        (b'{"error":"invalid_grant","error_description":"expired"}', "expired"),
        (b'{"error":{"code":401,"message":"not allowed"}}', "not allowed"),
        (b'{"message":"Not Found"}', "Not Found"),
        (b'{"errors":[]}', None),
        (b'{"errors":["text"]}', None),
        (b"[]", None),
    ],
)
def test_other_json_is_not_a_registry_error_but_its_message_is_kept(body: bytes, message: str | None) -> None:
    parsed = parse_errors(body, "application/json")
    assert not parsed.is_registry_json
    assert parsed.message == message


@pytest.mark.parametrize(
    ("body", "content_type", "html"),
    [
        (b"<!DOCTYPE html><html>", "application/json", True),
        (b"\r\n  <html><head><title>413</title>", None, True),
        (b"<!-- a comment --><head>", None, True),
        (b"<h1>502 Bad Gateway</h1>", None, True),
        (b"Forbidden", "text/html", True),
        (b'{"errors":[]}', "text/html", False),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "application/xml", False),
        (b"404 page not found\n", "text/plain; charset=utf-8", False),
        (b"", None, False),
    ],
)
def test_html_is_known_by_its_body_or_its_type(body: bytes, content_type: str | None, html: bool) -> None:
    assert looks_like_html(body, content_type) is html
    assert parse_errors(body, content_type).looks_like_html is html


def test_what_is_kept_is_short_and_without_secrets() -> None:
    body = parse_errors(
        b'{"message":"x","token":"s3cr3t-value","pad":"' + b"p" * 5000 + b'"}', "application/json"
    )
    assert len(body.excerpt) <= 500
    assert "s3cr3t" not in repr(body)
    assert "s3cr3t" not in repr(parse_errors(b'{"token":"s3cr3t-value', "application/json"))
    long = parse_errors(b'{"errors":[' + b",".join([b'{"code":"UNKNOWN"}'] * 500) + b"]}", None)
    assert len(long.errors) == 100


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,a<ht ml>\\', max_size=80).map(str.encode))
def test_no_body_crashes_the_parser(body: bytes) -> None:
    assert len(parse_errors(body, "application/json").excerpt) <= 500
