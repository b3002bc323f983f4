"""What rules make of HTTP answers: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from regdoctor.api import (
    Answer,
    BlobLook,
    Blobs,
    Certainty,
    Descriptor,
    Download,
    Draft,
    Endpoint,
    Failure,
    FailureKind,
    Handshake,
    Handshakes,
    ManifestContent,
    ManifestLook,
    PathPrefixes,
    Ping,
    PlainLook,
    PlainPort,
    ProxyAnswer,
    PullAuthorization,
    RepeatedQuestion,
    Replicas,
    Role,
    Severity,
    VerifiedBlob,
    VerifiedBlobs,
    manifests,
)
from regdoctor.checks.http import rules
from regdoctor.oci.reference import parse_target
from tests.support.facts import REGISTRY_HEADERS, answer, endpoint, registry_error

ENDPOINT = endpoint()
NGINX: Mapping[str, str] = {"Server": "nginx/1.22.1", "Content-Type": "text/html"}
HAPROXY_503 = """<html><body><h1>503 Service Unavailable</h1>
No server is available to handle this request.
</body></html>
"""
ACR_REFUSAL = "client with IP '192.0.2.7' is not allowed access. Refer https://aka.ms/acr/firewall."


def nginx_page(status: int) -> str:
    return (
        f"<html>\r\n<head><title>{status}</title></head>\r\n<hr><center>nginx/1.22.1</center>\r\n</html>\r\n"
    )


def ping(seen: Answer | None = None, **changes: Any) -> Ping:
    return Ping(**{"answer": seen, "trusted": True, **changes})


def judge(
    seen: Ping,
    at: Endpoint = ENDPOINT,
    *,
    replicas: Replicas | None = None,
    handshakes: Handshakes | None = None,
    plain_port: PlainPort | None = None,
    authorization: PullAuthorization | None = None,
    plain: PlainLook | None = None,
) -> list[Draft]:
    """Every rule that judges the first look alone."""
    return [
        *rules.not_a_registry(at, seen),
        *rules.led_astray(at, seen),
        *rules.no_answer(at, seen, replicas, handshakes, plain_port, plain),
        *rules.gateway(at, seen),
        *rules.own_errors(at, seen, authorization),
        *rules.redirect_loop(at, seen),
        *rules.edge_blocked(at, seen),
        *rules.after_the_ping(at, seen, None, None, None),
        *rules.rate_limits(at, seen, None, authorization, None, None, None, replicas),
        *(rules.replicas_differ(at, seen, replicas, authorization, None) if replicas is not None else ()),
    ]


def codes(drafts: Iterable[Draft]) -> list[str]:
    return [draft.code for draft in drafts]


def the(drafts: Iterable[Draft], code: str) -> Draft:
    (draft,) = drafts
    assert draft.code == code, draft
    return draft


class TestLedAstray:
    """``/v2/`` is redirected to where nothing can be had."""

    FAILURE = Failure(kind=FailureKind.TLS_VERIFICATION, message="the certificate did not pass verification")

    def led_to(self, url: str) -> Draft:
        asked = answer(302, "", {"Location": url, "Server": "Caddy"}, url="http://reg.test:8080/v2/")
        return the(judge(ping(failure=self.FAILURE, redirects=(asked,))), "http/not-a-registry")

    def test_a_place_of_another_name_may_be_a_portal(self) -> None:
        draft = self.led_to("https://portal.test/login")

        assert draft.certainty is Certainty.LIKELY
        assert "captive portals" in draft.detail

    def test_https_of_the_same_name_is_to_be_checked_there(self) -> None:
        draft = self.led_to("https://reg.test:8443/v2/")

        assert draft.certainty is Certainty.POSSIBLE
        assert "captive portals" not in draft.detail
        assert draft.fix == ("regdoctor check https://reg.test:8443",)


class TestAnotherService:
    """Ports that speak no TLS where TLS is expected, or no HTTP at all."""

    def test_a_greeting_of_another_protocol_is_quoted(self) -> None:
        look = PlainLook(greeting=r"SSH-2.0-OpenSSH_9.2p1\r\nmore")

        found = the(rules.another_service(ENDPOINT, look), "http/not-a-registry")

        assert "“SSH-2.0-OpenSSH_9.2p1”" in found.detail

    def test_the_time_out_of_the_first_look_says_less(self) -> None:
        failure = Failure(kind=FailureKind.RESPONSE_TIMEOUT, message="no answer in time")

        assert codes(judge(ping(failure=failure))) == ["http/response-timeout"]
        assert codes(judge(ping(failure=failure), plain=PlainLook(greeting="220 mail ESMTP"))) == []

    @pytest.mark.parametrize(
        ("seen", "foreign"),
        [
            (answer(200, "{}", REGISTRY_HEADERS), False),
            (answer(401, "", {**REGISTRY_HEADERS, "WWW-Authenticate": 'Basic realm="x"'}), False),
            (answer(301, "", {"Location": "https://reg.test/v2/"}), False),
            (answer(400, "Client sent an HTTP request to an HTTPS server.\n"), False),
            (answer(502, nginx_page(502), NGINX), False),
            (answer(403, "", {"Server": "AirTunes/710.79.1"}), True),
            (answer(200, "<html>Welcome</html>", NGINX), True),
        ],
        ids=["open", "closed", "redirect to TLS", "wants TLS", "gateway", "AirPlay", "page"],
    )
    def test_an_answer_without_tls_is_judged_as_any_other(self, seen: Answer, foreign: bool) -> None:
        found = codes(rules.another_service(ENDPOINT, PlainLook(answer=seen)))

        assert found == (["http/not-a-registry"] if foreign else [])


class TestHealthy:
    # Each as recorded by others; none of these services was asked by the tests.
    @pytest.mark.parametrize(
        ("status", "body", "headers"),
        [
            pytest.param(200, "{}", REGISTRY_HEADERS, id="distribution, open"),
            pytest.param(
                401,
                '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}\n',
                {**REGISTRY_HEADERS, "WWW-Authenticate": 'Basic realm="x"'},
                id="distribution, closed",
            ),
            pytest.param(
                401,
                "Not Authorized\n",
                {
                    "WWW-Authenticate": 'Basic realm="https://1.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com"',
                    "Content-Type": "text/plain; charset=utf-8",
                },
                id="Amazon ECR",
            ),
            pytest.param(
                401,
                '{"errors":[{"code":"UNAUTHORIZED","message":"Unauthenticated request."}]}',
                {"WWW-Authenticate": 'Bearer realm="https://eu-docker.pkg.dev/v2/token"'},
                id="Google Artifact Registry",
            ),
            pytest.param(200, "", {"WWW-Authenticate": "basic realm="}, id="zot, open"),
            pytest.param(
                401,
                '{"errors":[{"code":"UNAUTHORIZED","message":"not authorized"}]}',
                {
                    "WWW-Authenticate": 'BASIC realm="Sonatype Nexus Repository Manager"',
                    "Server": "Nexus/3.70.1-02 (OSS)",
                },
                id="Nexus",
            ),
            pytest.param(
                401,
                "",
                {
                    "WWW-Authenticate": 'Bearer realm="https://quay.io/v2/auth",service="quay.io"',
                    "Server": "nginx",
                },
                id="Quay",
            ),
            pytest.param(
                401,
                '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
                {
                    "WWW-Authenticate": 'Bearer realm="https://ghcr.io/token",service="ghcr.io",'
                    'scope="repository:user/image:pull"',
                },
                id="GHCR",
            ),
            pytest.param(
                401,
                "<html><hr><center>nginx</center></html>",
                {
                    "WWW-Authenticate": 'Basic realm="registry"',
                    "Content-Type": "text/html",
                    "Server": "nginx",
                },
                id="nginx that asks for the login itself",
            ),
        ],
    )
    def test_registries_of_every_make_are_registries(
        self, status: int, body: str, headers: Mapping[str, str]
    ) -> None:
        assert judge(ping(answer(status, body, headers))) == []

    def test_a_registry_without_any_header_of_its_own(self) -> None:
        missing = answer(404, '{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}')

        assert judge(ping(answer(200, "{}"), control=missing)) == []

    def test_a_registry_that_lists_no_tags_for_any_name(self) -> None:
        control = answer(
            200, {"name": "regdoctor-12", "tags": None}, url="https://reg.test:443/v2/regdoctor-12/tags/list"
        )

        assert judge(ping(answer(200, "{}"), control=control)) == []

    def test_other_hosts_are_others_matter(self) -> None:
        page = ping(answer(200, "<html></html>", NGINX))

        for role in (Role.MIRROR, Role.UPSTREAM):
            assert judge(page, endpoint(role)) == []

    def test_a_redirect_to_a_registry_elsewhere(self) -> None:
        moved = answer(307, "", {"Location": "https://other.test/v2/"})

        assert judge(ping(answer(401, "", {"WWW-Authenticate": "Bearer"}), redirects=(moved,))) == []


class TestNotARegistry:
    def test_a_page_for_everything_is_proven(self) -> None:
        control = answer(200, "<html></html>", NGINX, url="https://reg.test/v2/regdoctor-1/tags/list")
        draft = the(judge(ping(answer(200, "<html></html>", NGINX), control=control)), "http/not-a-registry")

        assert draft.certainty is Certainty.PROVEN
        assert draft.evidence == ("x1",)

    def test_json_for_everything_is_proven(self) -> None:
        control = answer(200, {"status": "ok"}, url="https://reg.test/v2/regdoctor-1/tags/list")
        draft = the(judge(ping(answer(200, {"status": "ok"}), control=control)), "http/not-a-registry")

        assert draft.certainty is Certainty.PROVEN

    def test_a_registry_s_own_404_is_a_matter_of_its_path(self) -> None:
        assert judge(ping(registry_error(404, "NAME_UNKNOWN"))) == []

    def test_the_404_of_go_servers_names_what_they_may_be(self) -> None:
        draft = the(judge(ping(answer(404, "404 page not found\n"))), "http/not-a-registry")

        assert "Traefik" in draft.detail

    @pytest.mark.parametrize("status", [400, 418, 204])
    def test_an_odd_status_is_likely(self, status: int) -> None:
        assert the(judge(ping(answer(status, "?"))), "http/not-a-registry").certainty is Certainty.LIKELY

    @pytest.mark.parametrize(
        "body",
        [
            "<html><center>The plain HTTP request was sent to HTTPS port</center></html>",
            "Client sent an HTTP request to an HTTPS server.\n",
            "<html>400 No required SSL certificate was sent</html>",
        ],
    )
    def test_pages_about_tls_are_judged_there(self, body: str) -> None:
        assert judge(ping(answer(400, body, NGINX))) == []

    def test_a_forward_proxy_s_page_is_not_judged_here(self) -> None:
        assert judge(ping(answer(404, "", {"X-Squid-Error": "ERR_INVALID_URL 0"}))) == []

    def test_what_is_no_http_at_all(self) -> None:
        failure = Failure(kind=FailureKind.RESPONSE_MALFORMED, message="not HTTP")

        the(judge(ping(failure=failure)), "http/not-a-registry")

    def test_a_tls_port_asked_in_plain_is_judged_there(self) -> None:
        failure = Failure(kind=FailureKind.RESPONSE_MALFORMED, message="not HTTP")
        tls = PlainPort(handshake=Handshake(address="192.0.2.1", server_name="reg.test", seconds=0.1))

        assert judge(ping(failure=failure), endpoint(scheme="http"), plain_port=tls) == []

    def test_a_connection_that_ends_in_the_handshake_is_judged_there(self) -> None:
        failure = Failure(kind=FailureKind.CONNECTION_CLOSED, message="closed")
        failed = Handshake(address="192.0.2.1", server_name="reg.test", seconds=0.1, failure=failure)

        assert judge(ping(failure=failure), handshakes=Handshakes(handshakes=(failed,))) == []


class TestGateways:
    @pytest.mark.parametrize(
        ("status", "body", "headers", "code"),
        [
            (502, nginx_page(502), NGINX, "http/upstream-down"),
            (502, "Bad Gateway", {}, "http/upstream-down"),
            (502, "", {"Server": "Caddy"}, "http/upstream-down"),
            (521, "", {"Server": "cloudflare", "CF-Ray": "1"}, "http/upstream-down"),
            (503, HAPROXY_503, {"Content-Type": "text/html"}, "http/no-backend"),
            (503, "no available server\n", {}, "http/no-backend"),
            (503, "no healthy upstream", {}, "http/no-backend"),
            (504, nginx_page(504), NGINX, "http/gateway-timeout"),
            (522, "", {"Server": "cloudflare", "CF-Ray": "1"}, "http/gateway-timeout"),
            (499, "Client Closed Request", {}, "http/gateway-timeout"),
            (408, "<html><body><h1>408 Request Time-out</h1>\n</body></html>", {}, "http/gateway-timeout"),
        ],
    )
    def test_the_hop_before_the_registry_says_what_it_lacks(
        self, status: int, body: str, headers: Mapping[str, str], code: str
    ) -> None:
        draft = the(judge(ping(answer(status, body, headers))), code)

        assert draft.certainty is Certainty.PROVEN
        assert str(status) in draft.detail

    def test_nothing_that_names_the_hop_makes_it_likely(self) -> None:
        assert the(judge(ping(answer(502))), "http/upstream-down").certainty is Certainty.LIKELY

    def test_a_502_in_the_registry_s_form_is_not_passed_over(self) -> None:
        draft = the(judge(ping(registry_error(502, "UNKNOWN"))), "http/upstream-down")

        assert draft.certainty is Certainty.LIKELY

    def test_a_slow_503_says_that_a_connection_was_tried(self) -> None:
        slow = answer(503, HAPROXY_503, {"Content-Type": "text/html"}, seconds=3.0)

        assert "3.0 s" in the(judge(ping(slow)), "http/no-backend").detail

    @pytest.mark.parametrize("status", [502, 503, 504, 403])
    def test_a_forward_proxy_is_no_gateway_of_the_registry(self, status: int) -> None:
        assert judge(ping(answer(status, "", {"X-Squid-Error": "ERR_CONNECT_FAIL 111"}))) == []

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            ("ERR_DNS_FAIL 0", "its own resolver does not know reg.test"),
            ("ERR_CONNECT_FAIL 111", "it cannot connect to the registry"),
        ],
    )
    def test_a_forward_proxy_that_finds_no_registry_says_why(self, error: str, words: str) -> None:
        asked = ProxyAnswer(answer=answer(503, "", {"X-Squid-Error": error}, method="CONNECT"))

        draft = the(
            rules.through_proxy(endpoint(proxy="http://proxy.test:3128"), asked, None), "http/upstream-down"
        )

        assert words in draft.detail

    def test_the_same_cut_again_and_again_is_a_timer(self) -> None:
        closed = Failure(kind=FailureKind.CONNECTION_CLOSED, message="closed")
        repeated = replicas(closed, closed, seconds=(1.01, 1.0))
        draft = the(judge(ping(failure=closed, seconds=1.02), replicas=repeated), "http/gateway-timeout")

        assert "1.0" in draft.detail

    @pytest.mark.parametrize("seconds", [(0.01, 0.02), (0.7, 2.5)])
    def test_cuts_at_once_or_at_any_time_are_no_timer(self, seconds: tuple[float, ...]) -> None:
        closed = Failure(kind=FailureKind.CONNECTION_CLOSED, message="closed")
        repeated = replicas(closed, closed, seconds=seconds)
        drafts = judge(ping(failure=closed, seconds=seconds[0]), replicas=repeated)

        assert the(drafts, "http/not-a-registry").certainty is Certainty.LIKELY

    def test_silence_is_a_response_timeout(self) -> None:
        silent = Failure(kind=FailureKind.RESPONSE_TIMEOUT, message="silent")

        assert "5.0 s" in the(judge(ping(failure=silent, seconds=5.0)), "http/response-timeout").detail


class TestOwnErrors:
    def test_the_health_check_s_503(self) -> None:
        unhealthy = answer(
            503,
            {
                "errors": [
                    {"code": "UNAVAILABLE", "message": "service unavailable", "detail": "health check failed"}
                ]
            },
        )
        draft = the(judge(ping(unhealthy)), "http/registry-unhealthy")

        assert draft.certainty is Certainty.PROVEN

    def test_another_503_of_a_registry_is_likely(self) -> None:
        assert (
            the(judge(ping(registry_error(503, "DENIED"))), "http/registry-unhealthy").certainty
            is Certainty.LIKELY
        )

    def test_the_system_s_error_is_put_into_words(self) -> None:
        detail = {
            "DriverName": "filesystem",
            "Enclosed": {"Op": "mkdir", "Path": "/var/lib/registry", "Err": 13},
        }
        draft = the(judge(ping(registry_error(500, "UNKNOWN", detail=detail))), "http/server-error")

        assert "Permission denied" in draft.detail

    def test_an_error_only_with_a_login(self) -> None:
        later = PullAuthorization(
            kind="basic", header=None, username="alice", answer=registry_error(500, "UNKNOWN")
        )

        the(judge(ping(registry_error(401, "UNAUTHORIZED")), authorization=later), "http/server-error")


class TestEdge:
    def test_a_refusal_by_address_in_the_registry_s_form(self) -> None:
        denied = answer(403, {"errors": [{"code": "DENIED", "message": ACR_REFUSAL}]})
        draft = the(judge(ping(denied)), "http/edge-blocked")

        assert draft.certainty is Certainty.PROVEN
        assert "192.0.2.7" in draft.detail

    @pytest.mark.parametrize(
        ("status", "body", "headers", "certainty"),
        [
            (403, nginx_page(403), NGINX, Certainty.LIKELY),
            (403, "", {}, Certainty.LIKELY),
            (403, "error code: 1020", {"Server": "cloudflare", "CF-Ray": "1"}, Certainty.PROVEN),
            (403, "<html>Just a moment...</html>", {"CF-Mitigated": "challenge"}, Certainty.PROVEN),
            (503, "<html>busy</html>", {"Server": "cloudflare", "CF-Ray": "1"}, Certainty.POSSIBLE),
            (451, "", {"Server": "AkamaiGHost"}, Certainty.LIKELY),
        ],
    )
    def test_refusals_before_any_login(
        self, status: int, body: str, headers: Mapping[str, str], certainty: Certainty
    ) -> None:
        assert the(judge(ping(answer(status, body, headers))), "http/edge-blocked").certainty is certainty

    def test_a_forward_proxy_s_refusal_is_not_judged_here(self) -> None:
        assert judge(ping(answer(403, "", {"Server": "tinyproxy/1.11.1"}))) == []


def manifest(seen: Answer) -> ManifestLook:
    return ManifestLook(url="https://reg.test:443/v2/app/manifests/1", answer=seen)


class TestInItsPlace:
    def judge(self, seen: Answer, first: Answer | None = None) -> list[Draft]:
        return list(rules.in_its_place(ENDPOINT, ping(first or OPEN), manifest(seen), None, None))

    @pytest.mark.parametrize("status", [200, 404, 405])
    def test_a_page_for_a_manifest(self, status: int) -> None:
        draft = the(self.judge(answer(status, nginx_page(status), NGINX)), "http/not-a-registry")

        assert draft.certainty is Certainty.PROVEN

    def test_the_words_of_a_server_without_a_route(self) -> None:
        draft = the(self.judge(answer(404, "404 page not found\n")), "http/not-a-registry")

        assert draft.certainty is Certainty.LIKELY

    def test_a_page_that_forbids(self) -> None:
        the(self.judge(answer(403, nginx_page(403), NGINX)), "http/edge-blocked")

    @pytest.mark.parametrize(
        "seen",
        [
            registry_error(404, "MANIFEST_UNKNOWN"),
            registry_error(403, "DENIED"),
            answer(404, "404 page not found\n", REGISTRY_HEADERS),
            answer(404, '{"message": "not found"}', {"Content-Type": "application/json"}),
            answer(401, nginx_page(401), NGINX),
            answer(503, nginx_page(503), NGINX),
            answer(403, "", {}),
        ],
    )
    def test_what_registries_and_others_judge(self, seen: Answer) -> None:
        assert self.judge(seen) == []

    def test_no_registry_at_all_is_said_once(self) -> None:
        page = answer(404, nginx_page(404), NGINX)

        assert self.judge(page, first=page) == []


class TestRedirects:
    def test_a_circle_shows_its_way(self) -> None:
        first = answer(301, "", {"Location": "https://reg.test/v2"}, exchange="x1")
        second = answer(
            301, "", {"Location": "https://reg.test/v2/"}, exchange="x2", url="https://reg.test/v2"
        )
        draft = the(judge(ping(second, redirects=(first,), redirect_problem="loop")), "http/redirect-loop")

        assert "https://reg.test:443/v2/ → https://reg.test/v2 → https://reg.test/v2/" in draft.detail
        assert draft.evidence == ("x1", "x2")

    def test_the_way_from_https_to_http(self) -> None:
        down = answer(302, "", {"Location": "http://reg.test/v2/"})

        assert (
            "from https to http"
            in the(judge(ping(down, redirect_problem="downgrade")), "http/redirect-loop").detail
        )

    def test_a_portal_out_of_reach(self) -> None:
        moved = answer(302, "", {"Location": "https://portal.test/login"})
        failure = Failure(kind=FailureKind.NAME_NOT_FOUND, message="portal.test does not exist")
        draft = the(judge(ping(redirects=(moved,), failure=failure)), "http/not-a-registry")

        assert "portal.test" in draft.detail


def replicas(
    *answers: Answer | Failure,
    method: str = "GET",
    url: str = "https://reg.test:443/v2/",
    spaced: tuple[Answer | Failure, ...] | None = None,
    uncached: Answer | Failure | None = None,
    seconds: tuple[float, ...] = (),
    authorized: bool = False,
) -> Replicas:
    def question(given: tuple[Answer | Failure, ...]) -> RepeatedQuestion:
        return RepeatedQuestion(method=method, url=url, answers=given, seconds=seconds, authorized=authorized)

    return Replicas(
        question=question(answers),
        spaced=question(spaced) if spaced is not None else None,
        uncached=uncached,
    )


OPEN = answer(200, "{}", REGISTRY_HEADERS)


class TestReplicas:
    def test_equal_answers_are_nothing(self) -> None:
        assert judge(ping(OPEN), replicas=replicas(OPEN, OPEN, OPEN)) == []

    def test_different_statuses_are_proven(self) -> None:
        other = answer(502, nginx_page(502), NGINX)
        draft = the(judge(ping(OPEN), replicas=replicas(OPEN, other, OPEN, other)), "http/replicas-differ")

        assert draft.certainty is Certainty.PROVEN
        assert "3 times 200" in draft.detail
        assert "2 times 502" in draft.detail

    def test_a_hop_that_gives_a_dead_registry_up_does_not_differ_from_itself(self) -> None:
        """Caddy answers 502 at first and 503 from then on."""
        first, then = (answer(status, "", {"Server": "Caddy"}) for status in (502, 503))

        assert "http/replicas-differ" not in codes(judge(ping(first), replicas=replicas(then, then, then)))

    def test_the_odd_address_is_named(self) -> None:
        one, two = replace(OPEN, address="192.0.2.1"), replace(answer(401), address="192.0.2.2")
        draft = the(judge(ping(one), replicas=replicas(one, two)), "http/replicas-differ")

        assert "from 192.0.2.2" in draft.detail

    def test_the_first_look_counts_as_well(self) -> None:
        assert codes(judge(ping(answer(401)), replicas=replicas(OPEN, OPEN))) == ["http/replicas-differ"]

    def test_answers_with_and_without_a_login_are_not_compared(self) -> None:
        assert judge(ping(answer(401)), replicas=replicas(OPEN, OPEN, authorized=True)) == []

    def test_one_login_that_is_accepted_now_and_then(self) -> None:
        accepted = PullAuthorization(kind="basic", header=None, username="alice", answer=OPEN)
        seen = replicas(answer(401), answer(401), authorized=True)

        assert codes(judge(ping(answer(401)), authorization=accepted, replicas=seen)) == [
            "http/replicas-differ"
        ]

    def test_answers_that_get_lost_without_haste_as_well_are_likely(self) -> None:
        lost = Failure(kind=FailureKind.CONNECTION_RESET, message="reset")
        seen = replicas(OPEN, lost, spaced=(OPEN, lost, OPEN))
        draft = the(judge(ping(OPEN), replicas=seen), "http/replicas-differ")

        assert draft.certainty is Certainty.LIKELY

    def test_a_first_look_that_got_lost_where_others_are_answered(self) -> None:
        lost = Failure(kind=FailureKind.CONNECTION_CLOSED, message="closed")
        seen = replicas(OPEN, lost, OPEN, lost, seconds=(0.1, 0.1, 0.1, 0.1))

        assert codes(judge(ping(failure=lost, seconds=0.1), replicas=seen)) == ["http/replicas-differ"]

    @pytest.mark.parametrize("calm", [False, True])
    def test_answers_that_get_lost_in_a_rush_alone(self, calm: bool) -> None:
        lost = Failure(kind=FailureKind.RESPONSE_TIMEOUT, message="silent")
        seen = replicas(OPEN, lost, spaced=(OPEN, OPEN, OPEN) if calm else None)

        assert judge(ping(OPEN), replicas=seen) == []

    def test_a_digest_that_some_answers_leave_out(self) -> None:
        one = answer(200, "", {"Docker-Content-Digest": "sha256:1"})

        assert judge(ping(answer(200, "{}")), replicas=replicas(one, answer(200))) == []

    def test_other_manifests_for_one_tag(self) -> None:
        url = "https://reg.test:443/v2/app/manifests/1"
        one = answer(200, "", {"Docker-Content-Digest": "sha256:1"}, method="HEAD", url=url)
        two = answer(200, "", {"Docker-Content-Digest": "sha256:2"}, method="HEAD", url=url)
        seen = replicas(one, two, method="HEAD", url=url)

        assert codes(judge(ping(OPEN), replicas=seen)) == ["http/replicas-differ"]


class TestLimits:
    @pytest.mark.parametrize(
        ("body", "headers", "words"),
        [
            (
                {
                    "errors": [
                        {
                            "code": "TOOMANYREQUESTS",
                            "message": "You have reached your unauthenticated pull rate limit.",
                        }
                    ]
                },
                {"docker-ratelimit-source": "192.0.2.7"},
                "quota of pulls",
            ),
            ("Too Many Requests", {"Retry-After": "60"}, "limit on requests"),
            (nginx_page(429), NGINX, "its own limit"),
        ],
    )
    def test_the_kind_of_limit_is_told(
        self, body: str | object, headers: Mapping[str, str], words: str
    ) -> None:
        draft = the(judge(ping(answer(429, body, headers))), "http/rate-limited")

        assert words in draft.detail

    def test_a_throttle_under_another_status(self) -> None:
        the(judge(ping(registry_error(400, "TOOMANYREQUESTS"))), "http/rate-limited")

    def test_requests_that_pass_only_one_by_one(self) -> None:
        refused = answer(503, nginx_page(503), NGINX)
        seen = replicas(refused, refused, OPEN, spaced=(OPEN, OPEN, OPEN))
        draft = the(judge(ping(OPEN), replicas=seen), "http/rate-limited")

        assert draft.certainty is Certainty.LIKELY

    def test_refusals_one_by_one_are_unequal_replicas(self) -> None:
        refused = answer(503, HAPROXY_503, {"Content-Type": "text/html"})
        seen = replicas(refused, refused, OPEN, spaced=(OPEN, refused, OPEN))

        assert codes(judge(ping(OPEN), replicas=seen)) == ["http/replicas-differ"]

    @pytest.mark.parametrize(
        ("remaining", "expected"), [("10;w=21600", True), ("11;w=21600", False), ("x", False)]
    )
    def test_little_is_left_at_a_tenth(self, remaining: str, expected: bool) -> None:
        headers = {**REGISTRY_HEADERS, "RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": remaining}
        drafts = judge(ping(answer(200, "{}", headers)))

        assert codes(drafts) == (["http/rate-low"] if expected else [])
        if expected:
            assert "10 of 100 pulls in 6 h" in drafts[0].detail


MANIFEST_URL = "https://reg.test:443/v2/app/manifests/1"
MANIFEST = manifests.Manifest(media_type=manifests.OCI_MANIFEST)
WANTED, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


class TestContent:
    HEADERS: Mapping[str, str] = {
        **REGISTRY_HEADERS,
        "Docker-Content-Digest": WANTED,
        "Content-Length": "500",
        "ETag": f'"{WANTED}"',
    }

    def judge(
        self,
        digest: str,
        *,
        head: Answer | None = None,
        replicas: Replicas | None = None,
        reference: str = "reg.test/app:1",
        **headers: str,
    ) -> list[Draft]:
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in self.HEADERS.items() if name.lower() not in changed}
        sent = {**kept, **{name: value for name, value in changed.items() if value}}
        content = ManifestContent(digest=digest, size=500, document=MANIFEST)
        seen = ManifestLook(
            url=MANIFEST_URL, answer=answer(200, "{}", sent, url=MANIFEST_URL), head=head, content=content
        )
        return list(rules.manifest_rewritten(ENDPOINT, seen, parse_target(reference), replicas))

    def test_the_right_bytes_are_nothing_whatever_the_hop(self) -> None:
        assert self.judge(WANTED, etag='W/"x"', content_length="", via="1.1 cache") == []

    def test_other_bytes_without_any_sign_of_a_hop_that_changes_them(self) -> None:
        assert self.judge(OTHER, server="nginx") == []

    @pytest.mark.parametrize(
        ("headers", "words"),
        [
            ({"etag": f'W/"{WANTED}"'}, "weak"),
            ({"content_encoding": "gzip"}, "compressed"),
            ({"content_length": ""}, "without a Content-Length"),
        ],
    )
    def test_signs_of_a_hop_that_changes_bytes(self, headers: dict[str, Any], words: str) -> None:
        draft = the(self.judge(OTHER, **headers), "http/content-rewritten")

        assert words in draft.detail
        assert draft.certainty is Certainty.PROVEN

    def test_another_length_by_head(self) -> None:
        head = answer(200, "", {"Content-Length": "499"}, method="HEAD", url=MANIFEST_URL)

        assert "499 bytes" in the(self.judge(OTHER, head=head), "http/content-rewritten").detail

    def test_the_digest_asked_for_counts_more_than_the_one_named(self) -> None:
        drafts = self.judge(WANTED, reference=f"reg.test/app@{OTHER}", etag='W/"x"')

        assert codes(drafts) == ["http/content-rewritten"]

    def test_a_cache_that_is_out_of_date(self) -> None:
        old = answer(200, "", {"Docker-Content-Digest": WANTED}, method="HEAD", url=MANIFEST_URL)
        new = answer(200, "", {"Docker-Content-Digest": OTHER}, method="HEAD", url=MANIFEST_URL)
        seen = replicas(old, old, method="HEAD", url=MANIFEST_URL, uncached=new)

        assert "cache" in the(self.judge(WANTED, replicas=seen), "http/content-rewritten").detail

    @pytest.mark.parametrize("uncached", [None, answer(400), answer(404), answer(200)])
    def test_what_comes_past_the_caches_may_be_of_no_use(self, uncached: Answer | None) -> None:
        old = answer(200, "", {"Docker-Content-Digest": WANTED}, method="HEAD", url=MANIFEST_URL)
        seen = replicas(old, old, method="HEAD", url=MANIFEST_URL, uncached=uncached)

        assert self.judge(WANTED, replicas=seen) == []


class TestPathPrefix:
    def test_a_registry_below_a_path(self) -> None:
        found = answer(401, "", REGISTRY_HEADERS, url="https://reg.test:443/registry/v2/", exchange="x9")
        seen = ping(answer(404, nginx_page(404), NGINX))
        draft = the(rules.path_prefix(ENDPOINT, seen, PathPrefixes(answers=(found,))), "http/path-prefix")

        assert "https://reg.test:443/registry/v2/" in draft.detail
        assert draft.evidence == ("x1", "x9")

    @pytest.mark.parametrize("prefixes", [None, PathPrefixes(answers=())])
    def test_a_registry_that_does_not_know_its_root(self, prefixes: PathPrefixes | None) -> None:
        unknown = answer(404, "404 page not found\n", REGISTRY_HEADERS)
        draft = the(rules.path_prefix(ENDPOINT, ping(unknown), prefixes), "http/path-prefix")

        assert draft.certainty is Certainty.LIKELY

    @pytest.mark.parametrize(
        "other",
        [
            answer(404, nginx_page(404), NGINX),
            answer(200, "<html></html>", NGINX),
            registry_error(404, "NAME_UNKNOWN"),
        ],
    )
    def test_other_answers_there_are_nothing(self, other: Answer) -> None:
        seen = ping(answer(404, nginx_page(404), NGINX))

        assert list(rules.path_prefix(ENDPOINT, seen, PathPrefixes(answers=(other,)))) == []


LAYER = Descriptor(media_type="application/octet-stream", digest=f"sha256:{'a' * 64}", size=10)


def failure(kind: FailureKind) -> Failure:
    return Failure(kind=kind, message="it failed")


class TestContentWithoutAnswer:
    def judge(
        self, manifest: Failure | None = None, blob: Failure | None = None, *, seen: Answer | None = None
    ) -> list[Draft]:
        look = ManifestLook(url="https://reg.test:443/v2/x/manifests/1", answer=answer(200), failure=manifest)
        part = BlobLook(descriptor=LAYER, role="layer", manifest="m", answer=None, failure=blob)
        first = ping(seen if seen is not None else answer(200))
        return list(rules.content_unanswered(ENDPOINT, first, look, None, Blobs(blobs=(part,))))

    def test_requests_that_hang_while_v2_answers(self) -> None:
        late = failure(FailureKind.RESPONSE_TIMEOUT)

        assert codes(self.judge(manifest=late)) == ["http/response-timeout"]
        assert codes(self.judge(blob=late)) == ["http/response-timeout"]

    @pytest.mark.parametrize("kind", [FailureKind.CONNECTION_CLOSED, FailureKind.CONNECTION_RESET])
    def test_requests_that_are_cut_off_while_v2_answers(self, kind: FailureKind) -> None:
        draft = the(self.judge(blob=failure(kind)), "http/server-error")

        assert draft.certainty is Certainty.LIKELY

    def test_answers_are_judged_as_such(self) -> None:
        assert self.judge() == []

    def test_other_failures_are_other_checks_matter(self) -> None:
        assert self.judge(manifest=failure(FailureKind.CONNECTION_REFUSED)) == []

    def test_where_v2_fails_too_that_is_told(self) -> None:
        late = failure(FailureKind.RESPONSE_TIMEOUT)

        assert self.judge(manifest=late, seen=answer(502)) == []


class TestDownloads:
    def judge(self, *downloads: Download) -> list[str]:
        blobs = VerifiedBlobs(blobs=(VerifiedBlob(descriptor=LAYER, downloads=downloads),))
        return codes(rules.downloads_vary(ENDPOINT, blobs))

    def test_downloads_that_end_differently_were_changed_on_the_way(self) -> None:
        assert self.judge(Download(answer=answer(200), size=4), Download(answer=answer(200), size=7)) == [
            "http/content-rewritten"
        ]

    def test_the_same_wrong_bytes_are_the_storages(self) -> None:
        wrong = Download(answer=answer(200), size=10, digest=f"sha256:{'b' * 64}")

        assert self.judge(wrong, wrong) == []

    def test_the_right_bytes_are_right(self) -> None:
        assert self.judge(Download(answer=answer(200), size=10, digest=LAYER.digest)) == []


def test_servers_that_call_themselves_differently_are_worth_a_remark() -> None:
    old, new = (answer(200, "{}", {**REGISTRY_HEADERS, "Server": name}) for name in ("reg/1", "reg/2"))

    draft = the(rules.versions_differ(ENDPOINT, replicas(old, new, old)), "http/replicas-differ")

    assert draft.severity is Severity.INFO
    assert "2 times server: reg/1" in draft.detail
    assert codes(rules.versions_differ(ENDPOINT, replicas(old, old))) == []
