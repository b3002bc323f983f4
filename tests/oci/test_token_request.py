"""Requests to token servers are those that docker and podman make."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

from regdoctor.oci.scope import repository_scope
from regdoctor.oci.token_request import basic_authorization, refresh_request, token_request
from regdoctor.secret import Secret

PULL = repository_scope("team/app", "pull")


def test_anonymous_request_names_service_and_scope_only() -> None:
    request = token_request("https://auth.test/token", "registry.test", [PULL])
    assert request.method == "GET"
    assert parse_qs(urlsplit(request.url).query) == {
        "service": ["registry.test"],
        "scope": ["repository:team/app:pull"],
    }
    assert not request.carries_credentials


def test_a_bare_realm_is_asked_as_it_is() -> None:
    assert token_request("https://nvcr.test/proxy_auth", None, []).url == "https://nvcr.test/proxy_auth"


def test_query_of_the_realm_is_kept() -> None:
    request = token_request("https://auth.test/token?tenant=a%26b", "s", [])
    assert parse_qs(urlsplit(request.url).query) == {"tenant": ["a&b"], "service": ["s"]}


def test_each_scope_is_a_parameter_of_its_own() -> None:
    request = token_request("https://auth.test/token", None, [PULL, repository_scope("b", "push", "pull")])
    assert parse_qs(urlsplit(request.url).query)["scope"] == [
        "repository:team/app:pull",
        "repository:b:push,pull",
    ]


def test_password_goes_into_the_header_and_the_account_into_the_query() -> None:
    request = token_request(
        "https://auth.test/token", None, [], username="robot$ci", password=Secret("pass:wörd")
    )
    assert parse_qs(urlsplit(request.url).query) == {"account": ["robot$ci"]}
    assert request.authorization is not None
    encoded = request.authorization.reveal().removeprefix("Basic ")
    assert base64.b64decode(encoded).decode() == "robot$ci:pass:wörd"
    assert "wörd" not in request.url


def test_user_without_password_asks_anonymously_as_docker_does() -> None:
    assert not token_request("https://auth.test/token", None, [], username="alice").carries_credentials
    assert not token_request(
        "https://auth.test/token", None, [], username="", password=Secret("x")
    ).carries_credentials


def test_identity_token_is_exchanged_by_post() -> None:
    request = refresh_request(
        "https://auth.test/token",
        "registry.test",
        [PULL, repository_scope("b", "pull")],
        Secret("renew me"),
    )
    assert (request.method, request.url) == ("POST", "https://auth.test/token")
    assert request.form is not None
    assert parse_qs(request.form.reveal()) == {
        "service": ["registry.test"],
        "scope": ["repository:team/app:pull repository:b:pull"],
        "client_id": ["regdoctor"],
        "grant_type": ["refresh_token"],
        "refresh_token": ["renew me"],
    }
    assert "renew" not in repr(request)


def test_size_counts_what_proxies_limit() -> None:
    small = token_request("https://auth.test/token", None, [])
    big = token_request("https://auth.test/token", None, [], username="a", password=Secret("x" * 9000))
    assert small.size == len("https://auth.test/token")
    assert big.size > 12000


def test_basic_authorization_is_that_of_rfc_7617() -> None:
    assert basic_authorization("Aladdin", Secret("open sesame")) == Secret(
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    )
