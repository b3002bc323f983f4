"""Secrets leave in no header, URL, body or text, and what is not secret stays readable."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from regdoctor.redact import (
    STRUCTURE_WORDS,
    Scrubber,
    is_secret_name,
    redact_body,
    redact_form,
    redact_header,
    redact_headers,
    redact_json,
    redact_text,
    redact_url,
)
from regdoctor.secret import Secret

SECRET = "hunter2-Correct"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Basic YWxpY2U6aHVudGVyMg==", "Basic ***"),
        ("authorization", "Bearer abc.def.ghi", "Bearer ***"),
        ("Authorization", "abcdef", "***"),
        ("Proxy-Authorization", "Basic YWxpY2U6aHVudGVyMg==", "Basic ***"),
        ("Cookie", "sid=abc; theme=dark", "sid=***; theme=***"),
        ("Set-Cookie", "sid=abc=d; Path=/; HttpOnly", "sid=***; Path=/; HttpOnly"),
        ("X-Auth-Token", "abc", "***"),
        ("X-Amz-Security-Token", "abc", "***"),
        ("X-Registry-Auth", "abc", "***"),
        ("X-Harbor-CSRF-Token", "abc", "***"),
        ("PRIVATE-TOKEN", "abc", "***"),
        ("X-JFrog-Art-Api", "abc", "***"),
        ("X-Api-Key", "abc", "***"),
        ("Location", "/v2/a/blobs/uploads/1?_state=abc", "/v2/a/blobs/uploads/1?_state=***"),
        (
            "Location",
            "/b?X-Amz-Signature=abc&X-Amz-Date=20240101T000000Z",
            "/b?X-Amz-Signature=***&X-Amz-Date=20240101T000000Z",
        ),
    ],
)
def test_a_secret_header_keeps_only_its_shape(name: str, value: str, shown: str) -> None:
    assert redact_header(name, value) == shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (
            "WWW-Authenticate",
            'Bearer realm="https://auth.test/token",service="reg",scope="repository:a:pull"',
        ),
        ("Docker-Content-Digest", "sha256:" + "a" * 64),
        ("Docker-Upload-UUID", "0a1b2c3d-0000-4000-8000-000000000000"),
        ("Link", '</v2/_catalog?last=b&n=100>; rel="next"'),
        ("Content-Type", "application/vnd.oci.image.manifest.v1+json"),
        ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("Server", "nginx/1.22.1"),
        ("X-Request-Id", "abc"),
    ],
)
def test_any_other_header_stays(name: str, value: str) -> None:
    assert redact_header(name, value) == value


def test_headers_keep_their_order_and_repetition() -> None:
    headers = [("Set-Cookie", "a=1"), ("Via", "x"), ("Set-Cookie", "b=2")]
    assert redact_headers(headers) == (("Set-Cookie", "a=***"), ("Via", "x"), ("Set-Cookie", "b=***"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://alice:pw@reg.test/v2/", "https://***@reg.test/v2/"),
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("http://alice:p/w#x?y@proxy.test:3128", "http://***@proxy.test:3128"),
        ("https://reg.test:5000/app@sha256:aa", "https://reg.test:5000/app@sha256:aa"),
        (
            "https://a/token?service=s&scope=repository:a:pull&account=u",
            "https://a/token?service=s&scope=repository:a:pull&account=u",
        ),
        (
            "https://a/token?access_token=x&refresh_token=y&offline_token=true",
            "https://a/token?access_token=***&refresh_token=***&offline_token=true",
        ),
        (
            "https://r/v2/a/blobs/uploads/u?_state=abc&digest=sha256%3Aaa",
            "https://r/v2/a/blobs/uploads/u?_state=***&digest=sha256%3Aaa",
        ),
        (
            "https://s3/b?X-Amz-Credential=AK%2F1&X-Amz-Date=20240101T000000Z&X-Amz-Expires=1200&X-Amz-Security-Token=t&X-Amz-Signature=s&x=y",
            "https://s3/b?X-Amz-Credential=***&X-Amz-Date=20240101T000000Z&X-Amz-Expires=1200&X-Amz-Security-Token=***&X-Amz-Signature=***&x=***",
        ),
        (
            "https://b.blob.core.windows.net/c?se=2024&sig=x&sv=2021",
            "https://b.blob.core.windows.net/c?se=2024&sig=***&sv=2021",
        ),
        (
            "https://cdn/x?Expires=1&Signature=s&Key-Pair-Id=k&Policy=p",
            "https://cdn/x?Expires=1&Signature=***&Key-Pair-Id=***&Policy=***",
        ),
        (
            "https://production.cloudflare.docker.com/x?verify=1-abc",
            "https://production.cloudflare.docker.com/x?verify=***",
        ),
        ("https://a/cb#access_token=x&state=y", "https://a/cb#access_token=***&state=***"),
        ("https://a/page#section", "https://a/page#section"),
        ("https://a/?flag&n=1", "https://a/?flag&n=1"),
    ],
)
def test_a_url_keeps_its_parameter_names(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    assert redact_text(f"Get {url!r}: EOF") == f"Get {shown!r}: EOF"


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "identitytoken",
        "accessToken",
        "REGISTRY_HTTP_SECRET",
        "X-Auth-Token",
        "docker_password",
        "auth",
        "aws_secret_access_key",
        ".dockerconfigjson",
        "client-secret",
        "apiKey",
    ],
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "token_type",
        "secretName",
        "password_file",
        "auths",
        "author",
        "REGISTRY_AUTH",
        "REGISTRY_AUTH_HTPASSWD_PATH",
        "credsStore",
        "key",
        "kid",
        "realm",
        "offline_token",
        "imagePullSecrets",
        "expires_in",
    ],
)
def test_a_name_that_merely_resembles_one_is_not(name: str) -> None:
    assert not is_secret_name(name)


def test_json_keeps_its_shape() -> None:
    value = {
        "auths": {"reg.test": {"auth": "YTpi", "identitytoken": "t", "email": "a@b"}},
        "token": {"realm": "https://a"},
        "access_token": ["x", 5, True, None, ""],
        "expires_in": 300,
        "auth": True,
        "text": "http://u:p@h/",
    }
    assert redact_json(value) == {
        "auths": {"reg.test": {"auth": "***", "identitytoken": "***", "email": "a@b"}},
        "token": {"realm": "https://a"},
        "access_token": ["***", "***", True, None, ""],
        "expires_in": 300,
        "auth": True,
        "text": "http://***@h/",
    }


def test_bodies_are_redacted_as_what_they_are() -> None:
    assert json.loads(redact_body(b'{"token":"x","n":1}', "text/plain")) == {"token": "***", "n": 1}
    form = b"grant_type=password&username=alice&password=p%26w&service=reg"
    assert (
        redact_body(form, "application/x-www-form-urlencoded")
        == "grant_type=password&username=alice&password=***&service=reg"
    )
    assert redact_body(b'{"token":"x', "application/json") == '{"token":"***"'
    assert redact_body(b"404 page not found\n", None) == "404 page not found\n"
    assert redact_form("") == ""


KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIBVgIBADANBg\nabc\n-----END RSA PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (KEY, "-----BEGIN RSA PRIVATE KEY-----\n***\n-----END RSA PRIVATE KEY-----\n"),
        ("-----BEGIN PRIVATE KEY-----\nMIIB cut off", "-----BEGIN PRIVATE KEY-----\n***\n"),
        ("> Authorization: Basic YTpi\r\n> Host: x", "> Authorization: Basic ***\r\n> Host: x"),
        ("curl -H 'Authorization: Bearer abcdef' https://x", "curl -H 'Authorization: Bearer ***' https://x"),
        ("Set-Cookie: sid=abc; Path=/", "Set-Cookie: ***"),
        ("got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl back", "got *** back"),
        ("sent Basic YWxpY2U6aHVudGVyMg== to", "sent Basic *** to"),
        ("alice:$2y$05$abcdefghijklmnopqrstuv", "alice:$2y$***"),
        ("bob:$apr1$salt$hash", "bob:$apr1$***"),
        (
            "REGISTRY_HTTP_SECRET=abc REGISTRY_LOG_LEVEL=debug",
            "REGISTRY_HTTP_SECRET=*** REGISTRY_LOG_LEVEL=debug",
        ),
        ("HTTPS_PROXY=alice:pw@proxy:3128", "HTTPS_PROXY=***@proxy:3128"),
        ('{"identitytoken": "abc", "x": 1', '{"identitytoken": "***", "x": 1'),
        ("  password: open sesame\n  user: a", "  password: ***\n  user: a"),
        ("  secretkey: abc # no", "  secretkey: ***"),
        ("auth: YWxpY2U6cHc=", "auth: ***"),
        ("skopeo --creds alice:pw copy", "skopeo --creds alice:*** copy"),
        ("docker login -u alice --password pw reg", "docker login -u alice --password *** reg"),
        ("mysql://u:p@h/db", "mysql://***@h/db"),
    ],
)
def test_secrets_in_text_are_blanked(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        'failed to verify token: token signed by untrusted key with ID: "ABCD:EFGH"',
        "token: signature is invalid",
        "failed to authorize: failed to fetch oauth token: unexpected status",
        "authorization: failed to fetch anonymous token",
        "unauthorized: basic authentication required",
        "no basic auth credentials",
        "bearer authentication required",
        "docker login --password-stdin reg.test",
        "auth:\n  token:\n    realm: https://auth.test/token\n",
        "PASSWORD=$PASSWORD",
        "pulling reg.test:5000/app:1@sha256:" + "a" * 64,
        'unexpected commit digest sha256:aa, expected sha256:bb: "layer"',
        'time=2024-01-01T00:00:00Z level=info msg="listening on [::]:5000"',
    ],
)
def test_messages_without_secrets_stay_word_for_word(text: str) -> None:
    assert redact_text(text) == text


@given(st.text(max_size=200))
def test_redaction_is_stable(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    "unit",
    ["a", "eyJa-", "--a", "A.", "://", "x=", '"', "-----BEGIN PRIVATE KEY-----", "a@", "Basic ", "$1$"],
)
def test_a_hostile_megabyte_takes_no_more_than_seconds(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    redact_text(text)
    Scrubber([Secret(SECRET)], ["alice"]).scrub(text)
    assert time.process_time() - started < 20


def scrub(text: str, secret: str = SECRET, *usernames: str) -> str:
    return Scrubber([Secret(secret)], usernames).scrub(text)


SPELLINGS = [
    lambda s: s,
    lambda s: quote(s, safe=""),
    json.dumps,
    lambda s: json.dumps(s, ensure_ascii=False),
    html.escape,
    repr,
    lambda s: base64.b64encode(s.encode()).decode(),
    lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    *(
        lambda s, user=user: base64.b64encode(f"{user}:{s}".encode()).decode()
        for user in ("a", "ab", "abc", "")
    ),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", [SECRET, 'a"b<c>&d\\e f', "pässwörter/+=", "x" * 300])
def test_a_known_secret_is_found_in_every_spelling(secret: str, spelling: object) -> None:
    assert callable(spelling)
    spelt = spelling(secret)
    shown = scrub(f"before {spelt} after", secret)
    assert shown.strip('"').startswith("before ")
    assert shown.endswith(" after")
    assert spelt.strip("\"'") not in shown
    assert "***" in shown


@given(st.text(min_size=8, max_size=30), st.text(max_size=5), st.sampled_from(SPELLINGS))
def test_whatever_the_secret_is_no_spelling_of_it_is_left(secret: str, user: str, spelling: object) -> None:
    assume(
        secret.encode("utf-8", "ignore").decode() == secret and secret.strip() == secret and "*" not in secret
    )
    assume(not any(c in "\r\n" for c in secret))
    assume(secret.lower() not in STRUCTURE_WORDS)
    assert callable(spelling)
    spelt = spelling(secret)
    assert spelt not in scrub(f"{user} {spelt} {user}", secret)


def test_a_secret_that_a_renderer_broke_up_is_found() -> None:
    assert scrub("x hunter2\\-Correct y") == "x *** y"
    assert scrub("x hunter2-\n    Correct y") == "x *** y"


def test_bytes_are_scrubbed_like_text_and_others_pass_unchanged() -> None:
    scrubber = Scrubber([Secret(SECRET), Secret("pässwörter")])
    assert (
        scrubber.scrub_bytes(b"\xff\x00 hunter2-Correct p\xc3\xa4ssw\xc3\xb6rter \xfe")
        == b"\xff\x00 *** *** \xfe"
    )


def test_a_medium_secret_is_blanked_where_it_stands_alone() -> None:
    assert scrub('"latest" test "test"', "test") == '"latest" *** "***"'


def test_a_very_short_secret_is_blanked_only_beside_its_user() -> None:
    pair = base64.b64encode(b"alice:pw").decode()
    assert scrub(f"pw alice:pw {pair}", "pw", "alice") == "pw *** ***"


def test_a_secret_that_is_a_word_of_the_report_does_not_destroy_it() -> None:
    report = '{"verdict":"failing","severity":"error"}'
    assert scrub(report, "error") == report
    assert scrub("admin:error", "error", "admin") == "***"


def test_longer_secrets_are_blanked_before_the_shorter_ones_inside_them() -> None:
    assert (
        Scrubber([Secret("abcdefgh"), Secret("abcdefgh-ijkl")]).scrub("abcdefgh-ijkl abcdefgh") == "*** ***"
    )


def test_without_secrets_nothing_changes() -> None:
    assert Scrubber([]).scrub("text") == Scrubber([Secret("")]).scrub("text") == "text"
