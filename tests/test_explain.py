"""A message of docker, containerd, podman, the kubelet or a log leads to the codes that it may come from."""

from __future__ import annotations

import json
import time
from importlib.resources import files
from pathlib import Path

import jsonschema
import msgspec
import pytest

from regdoctor.catalogue import LADDER, load
from regdoctor.explain import MAX_MATCHES, SCHEMA, ExplainedMatch, Explanation, explain, find_target
from regdoctor.model import Certainty
from regdoctor.symptoms import MAX_MESSAGE

CATALOGUE = load([f"regdoctor.checks.{area}" for area in LADDER])


def ask(message: str) -> Explanation:
    return explain(message, CATALOGUE)


def codes(message: str) -> list[str]:
    return [match.code for match in ask(message).matches]


def only(message: str) -> ExplainedMatch:
    (match,) = ask(message).matches
    return match


def real_messages() -> list[tuple[str, str]]:
    """What clients, registries and proxies print, and the code that is to be named first."""
    lines = (Path(__file__).parent / "data" / "messages.tsv").read_text().splitlines()[1:]
    return [(message, code) for code, _, message in (line.partition("\t") for line in lines)]


UNKNOWN_AUTHORITY = (
    'Error response from daemon: Get "https://reg.test:5000/v2/": '
    "tls: failed to verify certificate: x509: certificate signed by unknown authority"
)
CONTAINERD_PLAIN_HTTP = (
    'failed to pull and unpack image "reg:5000/app:1": failed to resolve reference "reg:5000/app:1": failed to do '
    'request: Head "https://reg:5000/v2/app/manifests/1": http: server gave HTTP response to HTTPS client'
)
AWAITING_HEADERS = (
    'Error response from daemon: Get "https://registry-1.docker.io/v2/": net/http: request canceled while waiting '
    "for connection (Client.Timeout exceeded while awaiting headers)"
)
PULL_DENIED = (
    "Error response from daemon: pull access denied for reg.test/team/app, repository does not exist or may "
    "require 'docker login': denied: requested access to the resource is denied"
)
HTML_413 = (
    "error parsing HTTP 413 response body: invalid character '<' looking for beginning of value: "
    r'"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<hr><center>nginx</center>"'
)
PUSH_TO_HUB = """The push refers to repository [docker.io/library/x]
5f70bf18a086: Preparing
a2ae92ffcd29: Waiting
denied: requested access to the resource is denied"""
KUBELET_NOT_FOUND = (
    'Warning  Failed  12s  kubelet  Failed to pull image "reg.test/app:1": rpc error: code = NotFound desc = '
    'failed to pull and unpack image "reg.test/app:1": failed to resolve reference "reg.test/app:1": '
    "reg.test/app:1: not found"
)
SIGNED_BLOB = (
    'httpReadSeeker: failed open: failed to do request: Get "https://minio.internal:9000/registry/docker/registry/v2/'
    'blobs/sha256/ab/abc/data?X-Amz-Signature=0123456789abcdef": dial tcp: lookup minio.internal: no such host'
)


@pytest.mark.parametrize(("message", "first"), [*real_messages(), (PUSH_TO_HUB, "image/host-missing")])
def test_a_real_message_leads_first_to(message: str, first: str) -> None:
    assert codes(message)[0] == first


@pytest.mark.parametrize(
    ("message", "all_of"),
    [
        (
            UNKNOWN_AUTHORITY,
            {
                "tls/unknown-authority",
                "tls/missing-intermediate",
                "tls/self-signed",
                "proxy/tls-intercepted",
                "trust/certs-d-misplaced",
            },
        ),
        (
            "dial tcp 10.77.0.1:5000: connect: connection refused",
            {
                "tcp/refused",
                "ports/loopback-only",
                "tcp/rejected",
                "dns/answers-differ",
                "dns/hosts-override",
            },
        ),
        (
            "unauthorized: authentication required",
            {
                "auth/credentials-missing",
                "auth/credentials-misfiled",
                "auth/credentials-rejected",
                "auth/header-stripped",
                "auth/htpasswd-hash-unsupported",
                "auth/ping-not-challenged",
                "auth/token-key-untrusted",
                "auth/token-issuer-mismatch",
                "auth/token-audience-mismatch",
                "auth/token-time-skew",
                "auth/token-short-lived",
                "push/location-scheme",
            },
        ),
        (
            "manifest unknown",
            {
                "image/tag-not-found",
                "image/child-missing",
                "image/upstream-broken",
                "storage/stale-cache",
                "http/replicas-differ",
                "disk/root-missing",
            },
        ),
        (
            "blob upload invalid",
            {"push/upload-secret-mismatch", "disk/inodes-exhausted", "push/storage-failure"},
        ),
        (
            "x509: certificate has expired or is not yet valid: current time 2019-01-01T00:00:00Z is before "
            "2020-01-31T00:00:00Z",
            {"clock/client-skew", "tls/not-yet-valid"},
        ),
        (
            CONTAINERD_PLAIN_HTTP,
            {"tls/plain-http-server", "client/insecure-entry-wrong", "client/config-path-unset"},
        ),
        (PULL_DENIED, {"auth/existence-hidden", "auth/scope-denied", "auth/credentials-misfiled"}),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_text_of_several_causes_names_them_all(message: str, all_of: set[str]) -> None:
    matches = ask(message).matches

    assert all_of <= {match.code for match in matches}
    assert {match.certainty for match in matches} == {Certainty.POSSIBLE}
    assert all(match.decides for match in matches)


@pytest.mark.parametrize(
    "message",
    [
        "x509: certificate signed by unknown authority",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "X509:  Certificate signed\n   by unknown authority",
        r"level=error msg=\"x509: certificate signed by unknown authority\"",
        '"x509: “certificate” signed by unknown authority"',
        r"x509: certificate\nsigned by unknown authority",
    ],
)
def test_versions_case_quotes_and_line_breaks_do_not_matter(message: str) -> None:
    assert codes(message) == codes("x509: certificate signed by unknown authority")


def test_escaped_html_is_read_like_plain_html() -> None:
    assert codes(r"invalid character '\u003c' looking for beginning of value")[0] == "http/not-a-registry"


@pytest.mark.parametrize(
    ("message", "absent"),
    [
        ("proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused", "tcp/refused"),
        (
            "lookup reg on 10.0.0.2:53: read udp 10.0.0.3:4->10.0.0.2:53: read: connection refused",
            "tcp/refused",
        ),
        (
            "dial tcp: lookup reg.test on 10.0.0.2:53: read udp 10.0.0.3:4->10.0.0.2:53: i/o timeout",
            "tcp/filtered",
        ),
        ("listen tcp 127.0.0.1:443: bind: permission denied", "disk/not-writable"),
        ("http: TLS handshake error from 10.0.0.5:1: EOF", "tls/handshake-failed"),
        (
            'level=error msg="error authorizing context: authorization token required"',
            "auth/credentials-missing",
        ),
    ],
)
def test_a_text_inside_a_longer_known_one_does_not_count(message: str, absent: str) -> None:
    assert codes(message)
    assert absent not in codes(message)


def test_a_text_of_one_cause_alone_makes_it_likely_and_never_proven() -> None:
    match = only('token from untrusted issuer: "x"')

    assert match.certainty is Certainty.LIKELY
    assert match.why == "the message says “token from untrusted issuer”"
    assert match.title == CATALOGUE["auth/token-issuer-mismatch"].title
    assert match.decides == CATALOGUE["auth/token-issuer-mismatch"].decides


def test_what_happens_in_a_pull_is_not_blamed_on_the_upload_first() -> None:
    pull = codes('failed to resolve reference "reg.test/app:1": unauthorized: authentication required')
    push = codes("writing blob: initiating layer upload to /v2/app/blobs/uploads/ in reg.test: unauthorized: "
                 "authentication required")  # fmt: skip

    assert pull[-1] == "push/location-scheme"
    assert push[0] == "push/location-scheme"


def test_a_name_without_a_host_is_the_first_suspicion() -> None:
    assert codes(PULL_DENIED.replace("reg.test/team/app", "myteam/app"))[0] == "image/host-missing"


@pytest.mark.parametrize(
    "message", [UNKNOWN_AUTHORITY, "tls/expired", "read-only", "the kettle is boiling", ""]
)
def test_what_is_said_has_the_form_of_the_contract(message: str) -> None:
    schema = json.loads(files("regdoctor.report").joinpath("explain.schema.json").read_text())

    jsonschema.Draft202012Validator(schema).validate(json.loads(msgspec.json.encode(ask(message))))


@pytest.mark.parametrize(
    "message", ["", "   ", "the kettle is boiling", "null", "/", "…", "tls/no-such-code", "\x00\x1b[31m"]
)
def test_nothing_known_gives_nothing(message: str) -> None:
    assert ask(message).matches == ()


class TestCode:
    @pytest.mark.parametrize("code", ["tls/expired", " TLS/Expired\n", "expired"])
    def test_a_code_or_its_last_part_gives_just_that_code(self, code: str) -> None:
        match = only(code)

        assert match.code == "tls/expired"
        assert match.certainty is Certainty.PROVEN

    def test_every_code_is_found_by_its_name(self) -> None:
        assert all(codes(code) == [code] for code in CATALOGUE.codes)

    def test_a_last_part_of_several_codes_gives_them_all(self) -> None:
        assert set(codes("read-only")) == {"push/read-only", "disk/read-only", "config/read-only"}


@pytest.mark.parametrize(
    ("message", "target"),
    [
        (UNKNOWN_AUTHORITY, "reg.test:5000"),
        (CONTAINERD_PLAIN_HTTP, "reg:5000/app:1"),
        (KUBELET_NOT_FOUND, "reg.test/app:1"),
        (PULL_DENIED, "reg.test/team/app"),
        (PUSH_TO_HUB, "docker.io/library/x"),
        ("pull access denied for myapp, repository does not exist", "myapp"),
        ('Back-off pulling image "reg.test:5000/a/b:1.2"', "reg.test:5000/a/b:1.2"),
        ('Head "https://reg.test:5000/v2/team/app/manifests/1.0": EOF', "reg.test:5000/team/app:1.0"),
        (
            f'Get "https://reg.test/v2/app/manifests/sha256:{"a" * 64}": EOF',
            f"reg.test/app@sha256:{'a' * 64}",
        ),
        (
            'Head "https://registry-1.docker.io/v2/library/alpine/manifests/3": EOF',
            "docker.io/library/alpine:3",
        ),
        ('Get "https://reg/v2/": EOF', "https://reg"),
        ('Get "http://reg/v2/app/manifests/1": EOF', "reg:80/app:1"),
        ('Get "https://reg/v2/app/manifests/1": EOF', "reg:443/app:1"),
        ('Patch "https://reg.test/v2/team/app/blobs/uploads/u?_state=x": EOF', "reg.test/team/app"),
        ("Get https://registry-1.docker.io/v2/: Forbidden", "registry-1.docker.io"),
        ("pinging container registry reg.test:5000: EOF", "reg.test:5000"),
        ("login attempt to https://reg.test/v2/ failed with status: 404", "reg.test"),
        ('logging into "reg.test": invalid username/password', "reg.test"),
        ("initializing source docker://reg.test/app:1: reading manifest 1 in reg.test/app", "reg.test/app:1"),
        ("manifest for reg.test/app:nope not found", "reg.test/app:nope"),
        ("x509: certificate is valid for other.test, *.example.com, not reg.test", "reg.test"),
        ("x509: cannot validate certificate for 10.0.0.1 because it", "10.0.0.1"),
        ("dial tcp 10.0.0.1:5000: i/o timeout", "10.0.0.1:5000"),
        ("dial tcp [2001:db8::1]:5000: i/o timeout", "[2001:db8::1]:5000"),
        ("dial tcp: lookup reg.corp on 10.0.0.2:53: no such host", "reg.corp"),
        ("lookup reg on 10.0.0.2:53: server misbehaving", "https://reg"),
        ("$ docker pull -q reg.test/app:1\nerror", "reg.test/app:1"),
        # Other hosts on the way are not the target.
        ("proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused", None),
        (
            'Get "https://auth.test/token?scope=repository%3Ax&service=r": dial tcp 10.0.0.1:443: i/o timeout',
            None,
        ),
        (SIGNED_BLOB, None),
        ("increase the limit: https://www.docker.com/increase-rate-limit", None),
        # What is no target is not taken for one.
        ('failed to resolve reference "reg.test/App:1"', None),
        ('Get "https://user:12345@reg.test:5000/other": EOF', None),
        ("error pulling image configuration: download failed", None),
        ("", None),
    ],
)
def test_the_target_is_read_out_of_the_message(message: str, target: str | None) -> None:
    assert find_target(message) == target


@pytest.mark.parametrize(
    ("message", "code", "command"),
    [
        (UNKNOWN_AUTHORITY, "tls/unknown-authority", "regdoctor check reg.test:5000"),
        ("no basic auth credentials", "auth/credentials-missing", "regdoctor check TARGET"),
        (
            "failed to push reg.test/app:1: unexpected status from PUT request to "
            "https://reg.test/v2/app/blobs/uploads/u: 413 Request Entity Too Large",
            "push/body-too-large",
            "regdoctor check reg.test/app:1 --push",
        ),
        ("configuration path unspecified", "config/unreadable", "regdoctor lint CONFIG.YML"),
        ("invalid mirror: no scheme", "client/daemon-json-invalid", "regdoctor lint /etc/docker/daemon.json"),
        ("storage/blob-missing", "storage/blob-missing", "regdoctor fsck ROOT"),
        ("logs/known-failure", "logs/known-failure", "regdoctor logs FILE"),
    ],
    ids=lambda value: value[:30],
)
def test_the_next_command_fits_the_code_and_names_the_target(message: str, code: str, command: str) -> None:
    match = next(match for match in ask(message).matches if match.code == code)

    assert match.next.partition("   #")[0] == command


@pytest.mark.parametrize("code", sorted(CATALOGUE.codes))
def test_every_next_command_is_one_that_exists(code: str) -> None:
    words = only(code).next.split()

    assert words[0] == "regdoctor"
    assert words[1] in {"check", "lint", "fsck", "logs"}


class TestSecrets:
    @pytest.mark.parametrize(
        "message",
        [
            'Get "https://user:hunter2secret@reg.test/v2/": EOF',
            "Authorization: Basic dXNlcjpodW50ZXIyc2VjcmV0 manifest unknown",
            "Authorization: Bearer hunter2secret0123456789",
            '"auths": {"reg.test": {"auth": "hunter2secret"}}',
            "level=info password=hunter2secret",
            "docker login -u me --password hunter2secret reg.test",
            'Get "https://s3.test/x?X-Amz-Signature=hunter2secret": EOF',
        ],
    )
    def test_no_secret_of_the_message_comes_back(self, message: str) -> None:
        explanation = repr(ask(message))

        assert "hunter2secret" not in explanation
        assert "dXNlcjpodW50ZXIyc2VjcmV0" not in explanation

    def test_the_rest_of_the_message_comes_back(self) -> None:
        explanation = ask('Get "https://user:hunter2@reg.test/v2/": EOF')

        assert explanation.schema == SCHEMA == "regdoctor.explain/1"
        assert explanation.message == 'Get "https://***@reg.test/v2/": EOF'
        assert explanation.target == "reg.test"


class TestHostileInput:
    @pytest.mark.parametrize(
        "part",
        [
            "lookup ",
            "patch http",
            "dial tcp ",
            "certificate is valid for ",
            "failed to resolve reference ",
            "docker login -x y ",
            "docker pull -x ",
            "https://a.b/v2/",
            "https://a/v2/" + "a/" * 100,
            "a.",
            '\\"',
            "…",
            "\u202e\x00\x1b[2J",
            " ".join(symptom for code in CATALOGUE.codes.values() for symptom in code.symptoms),
        ],
        ids=lambda part: repr(part[:12]),
    )
    def test_a_long_message_is_cut_and_takes_no_long_time(self, part: str) -> None:
        started = time.process_time()

        explanation = ask(part * (4 * MAX_MESSAGE // len(part) + 1))

        assert time.process_time() - started < 5
        assert len(explanation.message) < MAX_MESSAGE * 1.1
        assert len(explanation.matches) <= MAX_MATCHES

    def test_what_lies_beyond_the_limit_is_not_looked_at(self) -> None:
        assert codes("." * MAX_MESSAGE + " token from untrusted issuer") == []

    def test_words_far_apart_do_not_make_one_message(self) -> None:
        assert codes("lookup reg.test" + " ." * 2000 + " server went away: i/o timeout") == []

    def test_a_symptom_inside_another_word_does_not_count(self) -> None:
        assert codes("PREENOSPCX") == []
        assert "disk/full" in codes("write: ENOSPC")
