"""What rules make of forward proxies: facts in, findings out."""

from __future__ import annotations

from typing import Any

import pytest

from regdoctor.api import (
    Addresses,
    Answer,
    Certainty,
    ConnectionAttempt,
    Connections,
    DaemonProxies,
    DaemonProxy,
    DirectHandshake,
    DirectLook,
    Draft,
    Each,
    Endpoint,
    Failure,
    FailureKind,
    Handshakes,
    Ping,
    ProxyAnswer,
    ProxySetting,
    Role,
)
from regdoctor.checks.proxy import rules
from regdoctor.checks.proxy.names import inspecting_product, is_public, related
from tests.checks.tls.examples import certificate, handshake, refused
from tests.support.facts import REGISTRY_HEADERS, answer, endpoint

PROXY = "http://proxy.test:3128"
ENDPOINT = endpoint(port=5000, proxy=PROXY)
PLAIN = endpoint(port=5000, scheme="http", proxy=PROXY)
OPEN = answer(200, "", method="CONNECT", url="reg.test:5000")
REGISTRY = answer(200, "{}", REGISTRY_HEADERS)


def setting(**changes: Any) -> ProxySetting:
    values = {"proxy": PROXY, "source": "HTTPS_PROXY", "why": "HTTPS_PROXY is set and it has no NO_PROXY"}
    return ProxySetting(**{**values, **changes})


def connect(status: int, body: str = "", **headers: str) -> ProxyAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ProxyAnswer(answer=answer(status, body, named, method="CONNECT", url="reg.test:5000"))


def fails(kind: FailureKind, **changes: Any) -> ProxyAnswer:
    return ProxyAnswer(answer=None, failure=Failure(kind=kind, message="it fails"), **changes)


def judge(
    asked: ProxyAnswer,
    *,
    at: Endpoint = ENDPOINT,
    by: ProxySetting | None = None,
    ping: Ping | None = None,
    direct: DirectLook | None = None,
    addresses: tuple[str, ...] = (),
) -> list[Draft]:
    used = by or setting()
    known = Addresses(host=at.host, literal=False, addresses=addresses, seconds=0.0)
    return [
        *rules.proxy_fails(at, used, asked, direct),
        *rules.login_wanted(at, used, asked),
        *rules.not_served(at, used, asked, ping, direct, known),
    ]


def the(drafts: list[Draft], code: str) -> Draft:
    (draft,) = drafts
    assert draft.code == code, draft
    return draft


def ping(seen: Answer | None = REGISTRY) -> Ping:
    return Ping(answer=seen, trusted=True)


class TestHealthy:
    def test_an_open_tunnel_with_a_registry_at_its_end(self) -> None:
        assert judge(ProxyAnswer(answer=OPEN), ping=ping()) == []

    def test_an_open_tunnel_to_another_host_than_the_registry(self) -> None:
        at = endpoint(Role.TOKEN_SERVER, host="auth.test", proxy=PROXY)

        assert judge(ProxyAnswer(answer=OPEN), at=at) == []

    @pytest.mark.parametrize(
        "seen",
        [
            REGISTRY,
            answer(401, "", {"WWW-Authenticate": "Basic realm=x", "Via": "1.1 proxy"}),
            answer(200, "{}", {"Via": "1.1 proxy"}),
        ],
    )
    def test_a_plain_answer_that_the_registry_gave(self, seen: Answer) -> None:
        assert judge(ProxyAnswer(answer=seen), at=PLAIN, ping=ping(seen)) == []

    def test_a_fault_behind_the_proxy_is_not_the_proxy_s(self) -> None:
        for status in (500, 502, 503, 504):
            assert judge(connect(status)) == []

    def test_an_https_proxy_with_a_certificate_that_is_not_trusted_is_a_matter_of_tls(self) -> None:
        assert judge(fails(FailureKind.TLS_VERIFICATION)) == []


class TestFails:
    @pytest.mark.parametrize(
        "kind",
        [
            FailureKind.NAME_NOT_FOUND,
            FailureKind.CONNECTION_REFUSED,
            FailureKind.CONNECTION_TIMEOUT,
            FailureKind.RESPONSE_MALFORMED,
            FailureKind.TLS_FAILURE,
        ],
    )
    def test_it_is_about_the_proxy_and_speaks_of_the_registry(self, kind: FailureKind) -> None:
        draft = the(judge(fails(kind)), "proxy/unreachable")

        assert draft.endpoint == Endpoint(role=Role.PROXY, scheme="http", host="proxy.test", port=3128)
        assert draft.values["address"] == "reg.test:5000"
        assert PROXY in draft.detail

    def test_what_answers_past_the_proxy_is_said(self) -> None:
        direct = DirectLook(answer=REGISTRY)
        draft = the(judge(fails(FailureKind.CONNECTION_REFUSED), direct=direct), "proxy/unreachable")

        assert "Past the proxy" in draft.detail

    def test_plain_http_where_tls_was_expected(self) -> None:
        asked = fails(FailureKind.TLS_NOT_SPOKEN, plain_line="HTTP/1.1 400 Bad Request")

        assert "400 Bad Request" in the(judge(asked), "proxy/scheme-mismatch").detail

    def test_a_malformed_port_is_about_the_host(self) -> None:
        at = endpoint(proxy="http://proxy.test:99999")

        assert the(judge(fails(FailureKind.OTHER), at=at), "proxy/unreachable").endpoint == at


class TestIgnored:
    IGNORED = setting(proxy=None, ignored=True, why="clients ignore it", problems=("HTTPS_PROXY: no URL",))

    def judge(self, ping: Ping | None, *attempts: ConnectionAttempt) -> list[Draft]:
        return list(rules.setting_ignored(endpoint(), self.IGNORED, ping, Connections(attempts=attempts)))

    def test_it_matters_where_the_direct_way_is_closed(self) -> None:
        draft = the(self.judge(None, attempt(open_=False)), "proxy/unreachable")

        assert "no URL" in draft.detail

    def test_it_does_not_where_the_direct_way_works(self) -> None:
        assert self.judge(None, attempt(open_=True)) == []
        assert self.judge(ping()) == []


class TestLogin:
    def test_no_login_in_the_url(self) -> None:
        draft = the(judge(connect(407, Proxy_Authenticate='Basic realm="x"')), "proxy/auth-required")

        assert "holds no login" in draft.detail
        assert "alone" not in draft.detail

    def test_a_refused_login(self) -> None:
        assert "is refused" in the(judge(connect(407), by=setting(login=True)), "proxy/auth-required").detail

    @pytest.mark.parametrize("offer", ["NTLM", "Negotiate"])
    def test_logins_that_clients_cannot_do(self, offer: str) -> None:
        draft = the(judge(connect(407, Proxy_Authenticate=offer)), "proxy/auth-required")

        assert "Basic alone" in draft.detail

    def test_plain_http(self) -> None:
        asked = ProxyAnswer(answer=answer(407, "", {"Proxy-Authenticate": "Basic"}))

        the(judge(asked, at=PLAIN), "proxy/auth-required")


class TestDenied:
    def test_a_refusal_of_a_tunnel_is_proven(self) -> None:
        draft = the(judge(connect(403)), "proxy/denied")

        assert draft.certainty is Certainty.PROVEN
        assert "port 5000" in draft.detail

    def test_squid_says_so_even_with_a_503(self) -> None:
        assert (
            "ERR_ACCESS_DENIED"
            in the(judge(connect(503, X_Squid_Error="ERR_ACCESS_DENIED 0")), "proxy/denied").detail
        )

    def test_a_web_server_is_no_proxy(self) -> None:
        assert "no forward proxy at all" in the(judge(connect(405)), "proxy/denied").detail

    def test_a_plain_page_of_the_proxy(self) -> None:
        page = answer(403, "<html>no</html>", {"Via": "1.1 proxy.test", "Content-Type": "text/html"})
        draft = the(judge(ProxyAnswer(answer=page), at=PLAIN, ping=ping(page)), "proxy/denied")

        assert draft.certainty is Certainty.LIKELY

    def test_a_plain_refusal_that_no_proxy_shows_in_is_not_judged_here(self) -> None:
        page = answer(403, "<html>no</html>", {"Server": "nginx", "Content-Type": "text/html"})

        assert judge(ProxyAnswer(answer=page), at=PLAIN, ping=ping(page)) == []


class TestBypass:
    DIRECT = DirectLook(answer=REGISTRY)

    @pytest.mark.parametrize("status", [403, 502, 503, 504])
    def test_a_registry_that_answers_past_the_proxy(self, status: int) -> None:
        draft = the(judge(connect(status), direct=self.DIRECT), "proxy/bypass-missing")

        assert str(status) in draft.detail
        assert "NO_PROXY=reg.test " in draft.fix[0]

    def test_the_entry_that_looks_right_is_explained(self) -> None:
        used = setting(no_proxy_source="no_proxy", no_proxy="10.0.0.0/8")
        drafts = judge(connect(503), direct=self.DIRECT, by=used, addresses=("10.1.2.3",))
        draft = the(drafts, "proxy/bypass-missing")

        assert "names are never resolved" in draft.detail
        assert "no_proxy=10.0.0.0/8,reg.test " in draft.fix[0]

    def test_silence_of_the_proxy(self) -> None:
        the(judge(fails(FailureKind.RESPONSE_TIMEOUT), direct=self.DIRECT), "proxy/bypass-missing")

    def test_a_tunnel_that_leads_nowhere(self) -> None:
        the(judge(ProxyAnswer(answer=OPEN), direct=self.DIRECT), "proxy/bypass-missing")

    def test_a_plain_page_in_the_registry_s_place(self) -> None:
        page = answer(503, "<html>no</html>", {"Content-Type": "text/html"})
        drafts = judge(ProxyAnswer(answer=page), at=PLAIN, ping=ping(page), direct=self.DIRECT)

        the(drafts, "proxy/bypass-missing")

    @pytest.mark.parametrize(
        "past",
        [
            answer(404, "<html></html>", {"Content-Type": "text/html"}),
            answer(502, "<html></html>", {"Content-Type": "text/html"}),
            None,
        ],
    )
    def test_nothing_of_use_past_the_proxy(self, past: Answer | None) -> None:
        assert judge(connect(503), direct=DirectLook(answer=past)) == []

    def test_another_host_than_the_registry_may_answer_anything(self) -> None:
        at = endpoint(Role.TOKEN_SERVER, host="auth.test", proxy=PROXY)
        direct = DirectLook(answer=answer(404, "<html></html>", {"Content-Type": "text/html"}))

        the(judge(connect(503), at=at, direct=direct), "proxy/bypass-missing")


def untrusted(*subjects: str) -> Handshakes:
    leaf, top = certificate("CN=reg.test", subjects[-1]), certificate(subjects[-1], subjects[-1])
    return Handshakes(handshakes=(handshake(leaf, top, verifications=(refused(),)),))


class TestIntercepted:
    def judge(
        self,
        seen: Handshakes,
        *,
        at: Endpoint = ENDPOINT,
        direct: Handshakes | None = None,
        every: dict[Endpoint, Handshakes] | None = None,
    ) -> list[Draft]:
        past = DirectHandshake(handshake=direct.handshakes[0]) if direct is not None else None
        return list(rules.intercepted(at, seen, past, Each({at: seen, **(every or {})})))

    def test_another_issuer_past_the_proxy_is_proof(self) -> None:
        draft = the(self.judge(untrusted("CN=Acme"), direct=untrusted("CN=Lab")), "proxy/tls-intercepted")

        assert draft.certainty is Certainty.PROVEN
        assert "CN=Acme" in draft.detail
        assert "CN=Lab" in draft.detail

    def test_the_same_issuer_past_the_proxy_is_none(self) -> None:
        assert self.judge(untrusted("CN=Zscaler Root CA"), direct=untrusted("CN=Zscaler Root CA")) == []

    @pytest.mark.parametrize("name", ["CN=Zscaler Root CA", "O=Fortinet,CN=FG100", "CN=mitmproxy"])
    def test_a_product_that_names_itself(self, name: str) -> None:
        at = endpoint()

        assert the(self.judge(untrusted(name), at=at), "proxy/tls-intercepted").certainty is Certainty.LIKELY

    def test_a_private_authority_for_a_public_service(self) -> None:
        at = endpoint(host="registry-1.docker.io")

        the(self.judge(untrusted("CN=Acme"), at=at), "proxy/tls-intercepted")

    def test_one_private_authority_for_strangers(self) -> None:
        other = endpoint(Role.TOKEN_SERVER, host="auth.example", proxy=PROXY)
        drafts = self.judge(untrusted("CN=Acme"), every={other: untrusted("CN=Acme")})

        assert "auth.example" in the(drafts, "proxy/tls-intercepted").detail

    @pytest.mark.parametrize(
        "other",
        [
            endpoint(Role.TOKEN_SERVER, host="auth.reg.test", proxy=PROXY),
            endpoint(Role.TOKEN_SERVER, host="auth.example"),
        ],
    )
    def test_one_private_authority_for_a_company_s_own_hosts(self, other: Endpoint) -> None:
        assert self.judge(untrusted("CN=Acme"), every={other: untrusted("CN=Acme")}) == []

    def test_a_private_authority_alone_is_no_interception(self) -> None:
        assert self.judge(untrusted("CN=Lab")) == []

    def test_a_trusted_chain_is_none_whoever_issued_it(self) -> None:
        leaf = certificate("CN=reg.test", "CN=Zscaler Root CA")

        assert self.judge(Handshakes(handshakes=(handshake(leaf),))) == []


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("docker.io", True),
        ("registry-1.docker.io", True),
        ("notdocker.io", False),
        ("1.dkr.ecr.eu-west-1.amazonaws.com", True),
        ("bucket.s3.eu-west-1.amazonaws.com", True),
        ("s3.amazonaws.com", True),
        ("ec2-192-0-2-1.compute-1.amazonaws.com", False),
        ("s3.amazonaws.com.evil.test", False),
        ("reg.test", False),
    ],
)
def test_public_services_are_known_by_their_names(host: str, public: bool) -> None:
    assert is_public(host) is public


def test_products_are_known_by_whole_words() -> None:
    assert inspecting_product("CN=Zscaler Intermediate Root CA (zscaler.net)") == "Zscaler"
    assert inspecting_product("CN=Squidward Corp Root") is None


def test_hosts_are_related_by_their_domain() -> None:
    assert related("reg.corp.test", "auth.corp.test")
    assert not related("reg.one.test", "auth.two.example")
    assert related("192.0.2.1", "auth.example")


def attempt(*, open_: bool) -> ConnectionAttempt:
    failure = None if open_ else Failure(kind=FailureKind.CONNECTION_TIMEOUT, message="no answer")
    return ConnectionAttempt(address="192.0.2.1", port=5000, seconds=0.1, failure=failure)


class TestDaemons:
    DIRECT = DaemonProxy(
        daemon="dockerd", source="the environment of dockerd", proxy=None, why="no proxy", running=True
    )

    def judge(self, daemon: DaemonProxy, used: str | None, seen: Ping | None, *, open_: bool) -> list[Draft]:
        return list(
            rules.daemon_differs(
                endpoint(proxy=used),
                setting(proxy=used),
                DaemonProxies(daemons=(daemon,)),
                seen,
                Connections(attempts=(attempt(open_=open_),)),
            )
        )

    def proxied(self, **changes: Any) -> DaemonProxy:
        values = {"daemon": "dockerd", "source": "daemon.json", "proxy": PROXY, "why": "set", "running": True}
        return DaemonProxy(**{**values, **changes})

    def test_the_same_proxy_is_nothing(self) -> None:
        assert self.judge(self.proxied(), PROXY, None, open_=False) == []

    def test_two_ways_that_both_work_are_nothing(self) -> None:
        assert self.judge(self.DIRECT, PROXY, ping(), open_=True) == []
        assert self.judge(self.proxied(answer=OPEN), None, ping(), open_=True) == []

    def test_two_ways_that_both_fail_are_nothing(self) -> None:
        assert self.judge(self.DIRECT, PROXY, None, open_=False) == []

    def test_a_daemon_that_cannot_do_without_the_shell_s_proxy(self) -> None:
        draft = the(self.judge(self.DIRECT, PROXY, ping(), open_=False), "proxy/daemon-differs")

        assert "dockerd does not" in draft.detail
        assert draft.certainty is Certainty.PROVEN

    def test_a_shell_that_lacks_the_daemon_s_proxy(self) -> None:
        draft = the(self.judge(self.proxied(answer=OPEN), None, None, open_=False), "proxy/daemon-differs")

        assert "dockerd does" in draft.detail

    def test_a_daemon_whose_proxy_refuses(self) -> None:
        refusal = connect(403).answer

        the(self.judge(self.proxied(answer=refusal), None, ping(), open_=True), "proxy/daemon-differs")

    def test_a_daemon_that_does_not_run_is_less_certain(self) -> None:
        dead = Failure(kind=FailureKind.CONNECTION_REFUSED, message="refused")
        draft = the(
            self.judge(self.proxied(failure=dead, running=False), None, ping(), open_=True),
            "proxy/daemon-differs",
        )

        assert draft.certainty is Certainty.LIKELY
        assert "not running" in draft.detail
