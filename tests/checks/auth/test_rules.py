"""What is said of logins, tokens and rights: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from regdoctor.api import (
    Addresses,
    Answer,
    Certainty,
    Challenges,
    ConnectionAttempt,
    Connections,
    CredentialKind,
    CredentialNearMiss,
    CredentialProblem,
    Credentials,
    Draft,
    Each,
    Endpoint,
    Failure,
    FailureKind,
    Handshake,
    Handshakes,
    HelperCall,
    HelperOutcome,
    PullAuthorization,
    Refusal,
    Role,
    Scope,
    Secret,
    Settings,
    Severity,
    SizeTrial,
    Target,
    TokenClaims,
    TokenExchange,
    TokenService,
    TokenSettings,
    UploadSizes,
    UploadStep,
    challenges,
    scopes,
)
from regdoctor.certificates import read_certificate
from regdoctor.checks.auth import rules
from regdoctor.oci.reference import parse_target
from tests.support.certificates import Authority
from tests.support.facts import NOW, REGISTRY_HEADERS, answer, endpoint

REGISTRY = endpoint()
REGISTRIES: Each[Endpoint] = Each({REGISTRY: REGISTRY})
TOKENS = endpoint(Role.TOKEN_SERVER, host="auth.test")
BARE = parse_target("reg.test")
IMAGE = parse_target("reg.test/team/app:1.0")
PULL = scopes.repository_scope("team/app", "pull")
PUSH = scopes.repository_scope("team/app", "pull", "push")
MANIFEST = "https://reg.test:443/v2/team/app/manifests/1.0"
REALM = "https://auth.test/token"
BEARER = f'Bearer realm="{REALM}",service="registry.test"'
BASIC = 'Basic realm="Registry"'
NO_CREDENTIALS = Credentials(key="reg.test", looked_in=("/home/a/.docker/config.json",))
ALICE = Credentials(
    key="reg.test",
    kind=CredentialKind.PASSWORD,
    username="alice",
    secret=Secret("wonderland"),
    source="/home/a/.docker/config.json",
    stored_as="reg.test",
)
SERVICE = TokenService(endpoints=(TOKENS,), host=TOKENS, realm=REALM, service="registry.test")
READ = Settings()
WRITE = Settings(push=True)


def codes(drafts: Iterable[Draft]) -> list[str]:
    return [draft.code for draft in drafts]


def one(drafts: Iterable[Draft]) -> Draft:
    (draft,) = drafts
    return draft


def refused(challenge: str | None = BEARER, status: int = 401, body: Any = "", **changes: Any) -> Answer:
    """A refusal of the registry itself."""
    headers = dict(REGISTRY_HEADERS)
    if challenge is not None:
        headers["WWW-Authenticate"] = challenge
    headers |= changes.pop("headers", {})
    return answer(status, body or {"errors": [{"code": "UNAUTHORIZED"}]}, headers, **changes)


def asks(challenge: str | None = BEARER, **changes: Any) -> Challenges:
    """What an anonymous client is told at ``/v2/``."""
    given = refused(challenge, **changes)
    values = given.all_headers("www-authenticate")
    return Challenges(
        answer=given,
        challenges=challenges.parse_challenges(values),
        at_ping=True,
        ping_status=401,
        ping_exchange="x1",
    )


OPEN = Challenges(answer=answer(200, {}), challenges=(), at_ping=False, ping_status=200, ping_exchange="x1")


def exchange(
    status: int | None = 200,
    body: Any = "",
    *,
    account: str | None = None,
    granted: tuple[Scope, ...] | None = (PULL,),
    asked: tuple[Scope, ...] = (PULL,),
    claims: TokenClaims | None = None,
    headers: Mapping[str, str] | None = None,
    **changes: Any,
) -> TokenExchange:
    """What the token server was asked, and what it answered; with status 200 there is a token."""
    given = answer(status, body, headers, url=f"{REALM}?service=s", exchange="x2") if status else None
    there = status == 200 and "problem" not in changes
    return TokenExchange(
        url=REALM,
        method=changes.pop("method", "GET"),
        account=account,
        credential_sent=account is not None,
        asked=asked,
        request_bytes=changes.pop("request_bytes", 200),
        answer=given,
        token=Secret("token") if there else None,
        claims=claims,
        granted=granted if there else None,
        **changes,
    )


def access(
    kind: str = "bearer", *, granted: bool | None = None, given: Answer | None = None
) -> PullAuthorization:
    return PullAuthorization(
        kind=kind, header=Secret("x"), header_bytes=300, username="alice", scope_granted=granted, answer=given
    )


def refusal(error: str | None = None, *, status: int = 401, body: Any = "", **changes: Any) -> Refusal:
    """A refusal of the manifest with the access that was obtained."""
    challenge = changes.pop("challenge", BEARER + (f',error="{error}"' if error else ""))
    given = refused(challenge, status, body, url=MANIFEST, exchange="x3", headers=changes.pop("headers", {}))
    values = given.all_headers("www-authenticate")
    return Refusal(answer=given, challenges=challenges.parse_challenges(values), **changes)


def denied(message: str, code: str = "DENIED") -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message}]}


# the challenge


def test_a_401_without_a_header_is_no_challenge() -> None:
    found = one(rules.challenge_invalid(asks(None), None, REGISTRIES))
    assert found.code == "auth/challenge-invalid"
    assert found.endpoint == REGISTRY


@pytest.mark.parametrize("challenge", ["Negotiate", 'NTLM, Digest realm="x"', "realm=oops"])
def test_schemes_that_registry_clients_do_not_speak(challenge: str) -> None:
    assert codes(rules.challenge_invalid(asks(challenge), None, REGISTRIES)) == ["auth/challenge-invalid"]


@pytest.mark.parametrize("challenge", [BEARER, BASIC, "basic realm=Registry", f"Negotiate, {BASIC}", "BASIC"])
def test_challenges_that_clients_understand(challenge: str) -> None:
    assert not codes(rules.challenge_invalid(asks(challenge), SERVICE, REGISTRIES))


def test_a_realm_that_is_no_url_is_shown() -> None:
    service = TokenService(realm="https://api./token", problem="a part of the realm's host name is missing")
    found = one(rules.challenge_invalid(asks('Bearer realm="https://api./token"'), service, REGISTRIES))
    assert "https://api./token" in found.detail
    assert "host name is missing" in found.detail


def test_an_open_registry_has_no_challenge_to_be_invalid() -> None:
    assert not codes(rules.challenge_invalid(OPEN, None, REGISTRIES))


def test_basic_of_nexus_may_be_meant_to_be_bearer() -> None:
    nexus = asks('BASIC realm="Sonatype Nexus Repository Manager"')
    found = one(rules.anonymous_nexus(nexus, NO_CREDENTIALS, REGISTRIES))
    assert (found.severity, found.certainty) == (Severity.INFO, Certainty.POSSIBLE)
    assert not codes(rules.anonymous_nexus(nexus, ALICE, REGISTRIES))
    assert not codes(rules.anonymous_nexus(asks(BASIC), NO_CREDENTIALS, REGISTRIES))


# an open ping


def below_open_ping(status: int = 401) -> Challenges:
    look = refused(BASIC, status, url="https://reg.test:443/v2/regdoctor-1/tags/list", exchange="x2")
    if status != 401:
        return Challenges(
            answer=OPEN.answer,
            challenges=(),
            at_ping=False,
            ping_status=200,
            ping_exchange="x1",
            repository=look,
        )
    return Challenges(
        answer=look,
        challenges=challenges.parse_challenges([BASIC]),
        at_ping=False,
        ping_status=200,
        ping_exchange="x1",
        repository=look,
    )


def test_an_open_ping_hides_that_a_login_is_wanted() -> None:
    found = one(rules.ping_not_challenged(below_open_ping(), ALICE, None, REGISTRIES))
    assert found.severity is None
    assert set(found.evidence) == {"x1", "x2"}


def test_an_open_ping_of_an_open_registry_is_in_order() -> None:
    assert not codes(rules.ping_not_challenged(below_open_ping(404), ALICE, None, REGISTRIES))
    assert not codes(rules.ping_not_challenged(OPEN, ALICE, None, REGISTRIES))


def test_a_challenged_ping_is_in_order() -> None:
    assert not codes(rules.ping_not_challenged(asks(), ALICE, refusal("insufficient_scope"), REGISTRIES))


def test_an_image_refused_behind_an_open_ping() -> None:
    let_in = refusal(challenge=BASIC, after_login=answer(200, {"tags": ["1.0"]}))
    found = one(rules.ping_not_challenged(OPEN, ALICE, let_in, REGISTRIES))
    assert found.severity is None
    assert "containerd" in found.detail
    kept_out = refusal(challenge=BASIC, after_login=refused(BASIC))
    assert one(rules.ping_not_challenged(OPEN, ALICE, kept_out, REGISTRIES)).severity is None
    assert codes(
        rules.credentials_rejected(OPEN, ALICE, None, None, access("none"), kept_out, REGISTRIES)
    ) == ["auth/credentials-rejected"]


def test_an_image_behind_an_open_ping_that_no_login_opens_is_an_error() -> None:
    unreachable = refusal(
        login=exchange(
            None, account="alice", failure=Failure(kind=FailureKind.CONNECTION_REFUSED, message="no")
        )
    )
    found = one(rules.ping_not_challenged(OPEN, ALICE, unreachable, REGISTRIES))
    assert found.severity is Severity.ERROR


# credentials that are not there


def missing(
    target: Target,
    asked: Challenges,
    credentials: Credentials = NO_CREDENTIALS,
    exchanged: TokenExchange | None = None,
    refused_: Refusal | None = None,
    settings: Settings = READ,
) -> list[Draft]:
    return list(rules.nothing_to_send(target, asked, credentials, settings, exchanged, refused_, REGISTRIES))


@pytest.mark.parametrize("target", [BARE, IMAGE])
def test_basic_and_nothing_stored(target: Target) -> None:
    found = one(missing(target, asks(BASIC)))
    assert found.code == "auth/credentials-missing"
    assert "/home/a/.docker/config.json" in found.detail


def test_a_token_server_that_gives_nothing_to_strangers() -> None:
    assert codes(missing(IMAGE, asks(), exchanged=exchange(401))) == ["auth/credentials-missing"]
    assert codes(missing(BARE, asks(), exchanged=exchange(403, asked=()))) == ["auth/credentials-missing"]


def test_strangers_who_may_pull_need_no_credentials() -> None:
    assert not missing(BARE, asks(), exchanged=exchange(asked=()))
    assert not missing(IMAGE, asks(), exchanged=exchange())
    near = CredentialNearMiss(place="f", key="reg.test:5000", why="another port")
    misfiled = Credentials(key="reg.test", near_misses=(near,))
    assert not missing(IMAGE, asks(), misfiled, exchange())


def test_an_open_registry_needs_no_credentials() -> None:
    assert not missing(IMAGE, OPEN)


def test_a_push_needs_a_login() -> None:
    anonymous = exchange(granted=(PULL,), asked=(PUSH,))
    assert codes(missing(IMAGE, asks(), exchanged=anonymous, settings=WRITE)) == ["auth/credentials-missing"]


def test_strangers_who_may_pull_other_names_lack_a_login_here() -> None:
    others = exchange(granted=(scopes.repository_scope("team/regdoctor-1", "pull"),))
    kept_out = refusal("insufficient_scope", wider=others, control="team/regdoctor-1")
    assert codes(missing(IMAGE, asks(), exchanged=exchange(granted=()), refused_=kept_out)) == [
        "auth/credentials-missing"
    ]


def test_a_refusal_that_says_unauthenticated() -> None:
    told = refusal(
        status=403, body=denied("Unauthenticated request. Unauthenticated requests do not have permission")
    )
    assert codes(missing(IMAGE, asks(), exchanged=exchange(granted=None), refused_=told)) == [
        "auth/credentials-missing"
    ]


def test_a_name_that_may_be_wrong_is_no_missing_login() -> None:
    hidden = refusal("insufficient_scope")
    assert not missing(IMAGE, asks(), exchanged=exchange(granted=()), refused_=hidden)


def test_credentials_filed_under_another_key() -> None:
    near = CredentialNearMiss(
        place="config.json:3", key="reg.test:5000", why="another port", username="alice"
    )
    credentials = Credentials(key="reg.test", near_misses=(near,))
    found = one(missing(IMAGE, asks(BASIC), credentials))
    assert found.code == "auth/credentials-misfiled"
    assert "reg.test:5000" in found.detail
    hidden = refusal("insufficient_scope")
    assert codes(missing(IMAGE, asks(), credentials, exchange(granted=()), hidden)) == [
        "auth/credentials-misfiled"
    ]


def test_an_entry_that_cannot_be_used() -> None:
    problem = CredentialProblem(place="config.json:3", message="it is not base64", key="reg.test")
    assert codes(missing(IMAGE, asks(BASIC), Credentials(key="reg.test", problems=(problem,)))) == [
        "auth/credentials-malformed"
    ]


def test_a_broken_entry_of_another_registry_is_not_the_cause() -> None:
    problem = CredentialProblem(place="config.json:3", message="it is not base64", key="quay.test")
    assert codes(missing(IMAGE, asks(BASIC), Credentials(key="reg.test", problems=(problem,)))) == [
        "auth/credentials-missing"
    ]


def called(outcome: HelperOutcome, setting: str = "credsStore") -> Credentials:
    call = HelperCall(
        program="docker-credential-desktop",
        setting=setting,
        place="/home/a/.docker/config.json",
        server="reg.test",
        outcome=outcome,
        message="exit status 1",
    )
    return Credentials(key="reg.test", helper=call)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (HelperOutcome.MISSING, ["auth/helper-missing"]),
        (HelperOutcome.FAILED, ["auth/helper-failed"]),
        (HelperOutcome.TIMEOUT, ["auth/helper-failed"]),
        (HelperOutcome.NOT_FOUND, []),
        (HelperOutcome.FOUND, []),
    ],
)
def test_a_helper_that_does_not_deliver(outcome: HelperOutcome, code: list[str]) -> None:
    assert codes(rules.helper(called(outcome), REGISTRIES)) == code


def test_a_broken_helper_is_told_once() -> None:
    assert not missing(IMAGE, asks(BASIC), called(HelperOutcome.MISSING))


def test_a_store_that_holds_nothing_means_that_nobody_logged_in() -> None:
    assert codes(missing(IMAGE, asks(BASIC), called(HelperOutcome.NOT_FOUND))) == ["auth/credentials-missing"]


def test_a_helper_for_this_host_that_holds_nothing_has_failed() -> None:
    named = called(HelperOutcome.NOT_FOUND, 'credHelpers["reg.test"]')
    assert codes(missing(IMAGE, asks(BASIC), named)) == ["auth/helper-failed"]
    assert not missing(IMAGE, asks(), named, exchange())


# credentials that are refused


def rejected(
    asked: Challenges,
    credentials: Credentials = ALICE,
    exchanged: TokenExchange | None = None,
    authorization: PullAuthorization | None = None,
    refused_: Refusal | None = None,
) -> list[Draft]:
    service = SERVICE if exchanged is not None else None
    return list(
        rules.credentials_rejected(
            asked, credentials, service, exchanged, authorization, refused_, REGISTRIES
        )
    )


def test_the_token_server_refuses_the_password() -> None:
    found = one(rejected(asks(), exchanged=exchange(401, account="alice")))
    assert found.code == "auth/credentials-rejected"
    assert "alice" in found.detail
    assert "auth.test:443" in found.detail


def test_an_identity_token_is_refused_with_400() -> None:
    told = exchange(400, {"error": "invalid_grant"}, account="alice", method="POST")
    assert codes(rejected(asks(), exchanged=told)) == ["auth/credentials-rejected"]


def test_the_registry_refuses_the_password() -> None:
    told = refusal(challenge=BASIC, at_root=refused(BASIC))
    assert codes(rejected(asks(BASIC), authorization=access("basic"), refused_=told)) == [
        "auth/credentials-rejected"
    ]


def test_a_password_that_is_accepted_elsewhere_is_not_refused() -> None:
    told = refusal(challenge=BASIC, at_root=answer(200, {}))
    assert not rejected(asks(BASIC), authorization=access("basic"), refused_=told)


def test_a_bad_token_is_refused_with_403_by_the_token_server() -> None:
    told = exchange(403, denied("invalid token"), account="alice")
    assert codes(rejected(asks(), exchanged=told)) == ["auth/credentials-rejected"]
    assert not rights(None, told)


def test_an_expired_password_is_refused_with_403() -> None:
    body = denied("Your authorization token has expired. Reauthenticate and try again.")
    told = refusal(status=403, body=body, challenge=BASIC)
    assert codes(rejected(asks(BASIC), authorization=access("basic"), refused_=told)) == [
        "auth/credentials-rejected"
    ]


def test_a_newline_in_the_password_is_named_instead() -> None:
    problem = CredentialProblem(
        place="config.json:3", message="it ends in a newline", key="reg.test", used=True
    )
    credentials = Credentials(
        key="reg.test",
        kind=CredentialKind.PASSWORD,
        username="alice",
        secret=Secret("x"),
        problems=(problem,),
    )
    assert codes(rejected(asks(), credentials, exchange(401, account="alice"))) == [
        "auth/credentials-malformed"
    ]
    assert not rejected(asks(), credentials, exchange(account="alice"))


def test_a_proxy_that_may_drop_the_header_is_mentioned() -> None:
    told = refusal(challenge=BASIC, at_root=refused(BASIC))
    behind = asks(BASIC, headers={"Server": "nginx/1.22.1"})
    assert "nginx" in one(rejected(behind, authorization=access("basic"), refused_=told)).detail


@pytest.mark.parametrize("status", [500, 502, 404, 414])
def test_a_token_server_that_fails_does_not_refuse(status: int) -> None:
    assert not rejected(asks(), exchanged=exchange(status, account="alice"))


# the way to the token server


def realm(
    exchanged: TokenExchange,
    service: TokenService = SERVICE,
    addresses: Addresses | None = None,
    connections: Connections | None = None,
    handshakes: Handshakes | None = None,
) -> list[Draft]:
    return list(
        rules.realm(
            service,
            exchanged,
            Each({TOKENS: addresses} if addresses else {}),
            Each({TOKENS: connections} if connections else {}),
            Each({TOKENS: handshakes} if handshakes else {}),
        )
    )


def broken(kind: FailureKind, message: str = "it failed", **changes: Any) -> TokenExchange:
    return exchange(None, failure=Failure(kind=kind, message=message), **changes)


def test_a_token_server_whose_name_does_not_resolve() -> None:
    failure = Failure(kind=FailureKind.NAME_NOT_FOUND, message="no such host")
    addresses = Addresses(host="auth.test", literal=False, addresses=(), seconds=0.1, failure=failure)
    found = one(realm(broken(FailureKind.NAME_NOT_FOUND), addresses=addresses))
    assert (found.code, found.endpoint) == ("auth/realm-unreachable", TOKENS)
    assert "does not resolve (no such host)" in found.detail
    assert "addresses" in found.evidence


def test_a_token_server_that_accepts_no_connection() -> None:
    failure = Failure(kind=FailureKind.CONNECTION_REFUSED, message="connection refused")
    attempt = ConnectionAttempt(address="10.0.0.9", port=443, seconds=0.1, failure=failure)
    found = one(realm(broken(FailureKind.CONNECTION_REFUSED), connections=Connections(attempts=(attempt,))))
    assert found.code == "auth/realm-unreachable"
    assert "10.0.0.9 port 443: connection refused" in found.detail


def test_a_token_server_that_is_not_trusted() -> None:
    found = one(realm(broken(FailureKind.TLS_VERIFICATION, "unable to get local issuer certificate")))
    assert found.code == "auth/realm-unreachable"
    assert "local issuer" in found.detail


def test_a_token_server_with_the_certificate_of_another(authority: Authority) -> None:
    handshake = Handshake(
        address="10.0.0.9",
        server_name="auth.test",
        seconds=0.1,
        chain=(read_certificate(authority.issue(["other.test"], []).der),),
        name_matches=False,
    )
    found = one(realm(broken(FailureKind.TLS_VERIFICATION), handshakes=Handshakes(handshakes=(handshake,))))
    assert found.code == "auth/realm-scheme-mismatch"
    assert "other.test" in found.detail


def test_an_https_realm_where_tls_is_not_spoken() -> None:
    assert codes(realm(broken(FailureKind.TLS_NOT_SPOKEN))) == ["auth/realm-scheme-mismatch"]


def test_a_realm_that_works_with_the_other_scheme() -> None:
    other = answer(200, {}, url="https://auth.test/token", exchange="x9")
    assert codes(realm(broken(FailureKind.CONNECTION_CLOSED, other_scheme=other))) == [
        "auth/realm-scheme-mismatch"
    ]
    assert codes(
        realm(exchange(400, "Client sent an HTTP request to an HTTPS server.", other_scheme=other))
    ) == ["auth/realm-scheme-mismatch"]


def test_a_password_that_would_travel_in_clear() -> None:
    service = TokenService(endpoints=(TOKENS,), host=TOKENS, realm="http://auth.test/token", downgrades=True)
    held_back = exchange(None, account="alice", withheld="http://auth.test")
    assert codes(realm(held_back, service)) == ["auth/realm-scheme-mismatch"]


def test_plain_http_throughout_is_the_callers_choice() -> None:
    service = TokenService(endpoints=(TOKENS,), host=TOKENS, realm="http://auth.test/token")
    assert not realm(exchange(None, account="alice", withheld="http://auth.test"), service)


def test_a_token_server_that_answers_is_reached() -> None:
    for status in (200, 401, 403, 500):
        assert not realm(exchange(status))


# the token server's answer


@pytest.mark.parametrize("status", [400, 404, 500, 502, 503])
def test_an_error_of_the_token_server(status: int) -> None:
    found = one(rules.token_server_error(SERVICE, exchange(status)))
    assert (found.code, found.endpoint) == ("auth/token-server-error", TOKENS)
    assert str(status) in found.detail


def test_a_limit_of_the_token_server_is_judged_as_one_elsewhere() -> None:
    assert list(rules.token_server_error(SERVICE, exchange(429))) == []


def test_a_web_page_instead_of_a_token() -> None:
    page = exchange(200, "<html>Sign in</html>", problem="it is an HTML page", html=True)
    assert "sign-in page" in one(rules.token_server_error(SERVICE, page)).detail


def test_an_answer_without_a_token() -> None:
    empty = exchange(200, {}, problem="the answer has neither token nor access_token")
    assert codes(rules.token_server_error(SERVICE, empty)) == ["auth/token-server-error"]


def test_a_403_page_of_a_firewall_is_an_error_of_the_token_server() -> None:
    page = exchange(403, "<html>Blocked</html>")
    assert codes(rules.token_server_error(SERVICE, page)) == ["auth/token-server-error"]


@pytest.mark.parametrize("told", [exchange(200), exchange(401), exchange(403, denied("no")), exchange(414)])
def test_answers_that_say_something_else(told: TokenExchange) -> None:
    assert not codes(rules.token_server_error(SERVICE, told))


def test_a_request_that_is_too_long_for_a_proxy() -> None:
    for status, body in ((400, "<h1>400 Request Header Or Cookie Too Large</h1>"), (414, ""), (431, "")):
        long = exchange(status, body, account="alice", request_bytes=9000)
        found = one(rules.request_too_large(SERVICE, long, None, None, REGISTRIES))
        assert found.endpoint == TOKENS
        assert "9000" in found.detail
        assert not codes(rules.token_server_error(SERVICE, long))
        assert not rejected(asks(), exchanged=long)


def test_a_token_that_is_too_long_for_a_proxy() -> None:
    told = refusal(status=400, body="<h1>400 Request Header Or Cookie Too Large</h1>")
    found = one(rules.request_too_large(SERVICE, exchange(), access(), told, REGISTRIES))
    assert found.endpoint == REGISTRY


def test_another_bad_request_is_not_too_long() -> None:
    told = refusal(status=400, body="<h1>400 Bad Request</h1>")
    assert not codes(rules.request_too_large(SERVICE, exchange(400), access(), told, REGISTRIES))


# the token


def claims(**changes: Any) -> TokenClaims:
    given: dict[str, Any] = {
        "issuer": "tokens.test",
        "audience": ("registry.test",),
        "issued_at": NOW,
        "not_before": NOW,
        "expires": NOW + timedelta(minutes=5),
        "key_id": "key-1",
        "access": (PULL,),
        "states_access": True,
    }
    return TokenClaims(**{**given, **changes})


def at(moment: datetime) -> dict[str, str]:
    return {"Date": format_datetime(moment, usegmt=True)}


def token(
    given: TokenClaims | None,
    *,
    told: Refusal | None = None,
    settings: TokenSettings | None = None,
    service: TokenService = SERVICE,
) -> list[Draft]:
    told = told or refusal("invalid_token", headers=at(NOW))
    exchanged = exchange(account="alice", claims=given, headers=at(NOW))
    return list(
        rules.token_rejected(asks(), service, exchanged, access(granted=True), told, settings, REGISTRIES)
    )


def test_a_refused_token_of_which_nothing_is_known() -> None:
    found = one(token(claims()))
    assert found.code == "auth/token-rejected"
    assert "tokens.test" in found.detail
    assert "key-1" in found.detail
    assert codes(token(TokenClaims(opaque=True))) == ["auth/token-rejected"]


@pytest.mark.parametrize(("seconds", "code"), [(61, "auth/token-time-skew"), (59, "auth/token-rejected")])
def test_a_token_that_begins_later(seconds: int, code: str) -> None:
    assert codes(token(claims(not_before=NOW + timedelta(seconds=seconds)))) == [code]


@pytest.mark.parametrize(("seconds", "code"), [(61, "auth/token-time-skew"), (59, "auth/token-rejected")])
def test_a_token_that_is_over(seconds: int, code: str) -> None:
    over = claims(not_before=NOW - timedelta(hours=1), expires=NOW - timedelta(seconds=seconds))
    assert codes(token(over)) == [code]


def test_the_registrys_clock_is_what_counts() -> None:
    behind = refusal("invalid_token", headers=at(NOW - timedelta(hours=1)))
    found = one(token(claims(), told=behind))
    assert found.code == "auth/token-time-skew"
    assert "60 min behind" in found.detail


@pytest.mark.parametrize("audience", [(), ("other.test",), ("a", "b")])
def test_a_token_for_others(audience: tuple[str, ...]) -> None:
    assert codes(token(claims(audience=audience))) == ["auth/token-audience-mismatch"]


def test_an_audience_that_is_a_list_fails_with_registry_2() -> None:
    many = claims(audience=("registry.test",), audience_is_array=True)
    two = refusal("invalid_token", headers={**at(NOW), "Content-Type": "application/json; charset=utf-8"})
    assert codes(token(many, told=two)) == ["auth/token-audience-mismatch"]
    three = refusal("invalid_token", headers={**at(NOW), "Content-Type": "application/json"})
    assert codes(token(many, told=three)) == ["auth/token-rejected"]


def test_without_a_service_in_the_challenge_no_audience_is_wrong() -> None:
    service = TokenService(endpoints=(TOKENS,), host=TOKENS, realm=REALM)
    assert codes(token(claims(audience=("other",)), service=service)) == ["auth/token-rejected"]


def test_the_registrys_configuration_decides_on_issuer_and_key() -> None:
    settings = TokenSettings(
        source="config.yml", issuer="https://tokens.test", key_ids=("key-1",), bundle="b.pem"
    )
    assert codes(token(claims(), settings=settings)) == ["auth/token-issuer-mismatch"]
    settings = TokenSettings(source="config.yml", issuer="tokens.test", key_ids=("key-2",), bundle="b.pem")
    assert codes(token(claims(), settings=settings)) == ["auth/token-key-untrusted"]
    settings = TokenSettings(source="config.yml", issuer="tokens.test", key_ids=("key-1",), bundle="b.pem")
    assert codes(token(claims(), settings=settings)) == ["auth/token-rejected"]


def test_an_old_key_id_before_registry_3() -> None:
    old = claims(key_id=":".join(["ABCD"] * 12))
    three = refusal("invalid_token", headers={**at(NOW), "Content-Type": "application/json"})
    assert codes(token(old, told=three)) == ["auth/token-key-untrusted"]
    two = refusal("invalid_token", headers={**at(NOW), "Content-Type": "application/json; charset=utf-8"})
    assert codes(token(old, told=two)) == ["auth/token-rejected"]
    assert codes(token(claims(key_id=old.key_id, has_x5c=True), told=three)) == ["auth/token-rejected"]


def test_a_token_without_any_key_id() -> None:
    assert codes(token(claims(key_id=None))) == ["auth/token-key-untrusted"]


def test_a_token_that_lacks_rights_is_not_rejected() -> None:
    assert not token(claims(), told=refusal("insufficient_scope"))


def test_a_refusal_that_says_nothing_is_read_by_what_was_granted() -> None:
    told = refusal(headers=at(NOW))
    exchanged = exchange(account="alice", claims=claims(), headers=at(NOW))
    for granted, expected in ((True, ["auth/token-rejected"]), (False, []), (None, [])):
        found = rules.token_rejected(
            asks(), SERVICE, exchanged, access(granted=granted), told, None, REGISTRIES
        )
        assert codes(found) == expected


def test_an_anonymous_token_refused_at_the_root_proves_nothing() -> None:
    told = refusal(headers=at(NOW))
    anonymous = exchange(asked=(), granted=None)
    assert not codes(rules.token_rejected(asks(), SERVICE, anonymous, access(), told, None, REGISTRIES))


@pytest.mark.parametrize(
    ("lifetime", "settings", "expected"),
    [
        (30, READ, ["auth/token-short-lived"]),
        (60, READ, []),
        (60, WRITE, ["auth/token-short-lived"]),
        (120, WRITE, []),
        (300, WRITE, []),
    ],
)
def test_how_long_a_token_lives(lifetime: int, settings: Settings, expected: list[str]) -> None:
    short = exchange(claims=claims(expires=NOW + timedelta(seconds=lifetime)))
    assert codes(rules.token_short_lived(SERVICE, short, settings)) == expected
    opaque = exchange(claims=TokenClaims(opaque=True), expires_in=lifetime)
    assert codes(rules.token_short_lived(SERVICE, opaque, settings)) == expected


@pytest.mark.parametrize(
    ("seconds", "lifetime", "expected"),
    [
        (0.05, 300, []),  # too fast to be a measure
        (2.0, 300, []),
        (20.0, 300, ["auth/token-short-lived"]),
        (20.0, 3600, []),
    ],
)
def test_a_token_that_layers_outlast_at_the_speed_of_the_line(
    seconds: float, lifetime: int, expected: list[str]
) -> None:
    sent = UploadStep(method="PATCH", answer=answer(202), seconds=seconds, sent=6_000_000)
    sizes = UploadSizes(trials=(SizeTrial(size=6_000_000, announced=False, step=sent),))
    lasting = exchange(claims=claims(expires=NOW + timedelta(seconds=lifetime)))
    found = list(rules.token_short_lived(SERVICE, lasting, WRITE, sizes))
    assert codes(found) == expected
    for each in found:
        assert "103.0 MiB" in each.detail


def test_a_token_that_does_not_say_how_long_it_lives() -> None:
    assert not codes(rules.token_short_lived(SERVICE, exchange(claims=TokenClaims(opaque=True)), WRITE))


# a header that does not arrive

DETAIL = {
    "errors": [
        {
            "code": "UNAUTHORIZED",
            "message": "authentication required",
            "detail": [{"Type": "repository", "Class": "", "Name": "team/app", "Action": "pull"}],
        }
    ]
}


def lost(
    malformed: str = BEARER,
    body: Any = DETAIL,
    server: Mapping[str, str] | None = None,
    error: str | None = None,
) -> Refusal:
    """A refusal, and the answers to a malformed token and to none."""
    told = refused(malformed, 401, body)
    return refusal(
        error,
        headers=server or {},
        malformed=told,
        malformed_challenges=challenges.parse_challenges(told.all_headers("www-authenticate")),
        anonymous=refused(BEARER, 401, DETAIL),
    )


def stripped(told: Refusal) -> list[Draft]:
    return list(rules.header_stripped(asks(), access(granted=True), told, REGISTRIES))


def test_a_registry_that_never_sees_a_token() -> None:
    found = one(stripped(lost(server={"Server": "nginx"})))
    assert (found.code, found.certainty) == ("auth/header-stripped", Certainty.PROVEN)
    assert "nginx" in found.detail
    assert not token(claims(), told=lost(server={"Server": "nginx"}))


def test_a_registry_that_sees_the_malformed_token() -> None:
    assert not stripped(lost(malformed=f'{BEARER},error="invalid_token"'))
    assert not stripped(lost(malformed=BASIC))
    assert not stripped(lost(error="invalid_token"))
    assert not stripped(lost(body=denied("invalid token", "UNAUTHORIZED")))


def test_another_product_must_stand_behind_a_proxy_to_be_suspected() -> None:
    plain = denied("authentication required", "UNAUTHORIZED")
    told = refused(BEARER, 401, plain)
    parsed = challenges.parse_challenges([BEARER])
    direct = refusal(malformed=told, malformed_challenges=parsed, anonymous=told)
    assert not stripped(direct)
    behind = refusal(malformed=told, malformed_challenges=parsed, anonymous=told, headers={"Server": "nginx"})
    assert one(stripped(behind)).certainty is Certainty.LIKELY


def test_a_password_that_the_registry_itself_accepts_is_lost_on_the_way() -> None:
    told = refusal(challenge=BASIC, at_root=refused(BASIC), direct=answer(200, {}, exchange="x9"))
    found = one(rules.header_stripped(asks(BASIC), access("basic"), told, REGISTRIES))
    assert (found.code, found.certainty) == ("auth/header-stripped", Certainty.PROVEN)
    assert not rejected(asks(BASIC), authorization=access("basic"), refused_=told)


def test_a_password_that_the_registry_itself_refuses_is_wrong() -> None:
    told = refusal(challenge=BASIC, at_root=refused(BASIC), direct=refused(BASIC))
    assert not codes(rules.header_stripped(asks(BASIC), access("basic"), told, REGISTRIES))
    assert codes(rejected(asks(BASIC), authorization=access("basic"), refused_=told)) == [
        "auth/credentials-rejected"
    ]


# rights


def rights(
    told: Refusal | None,
    exchanged: TokenExchange | None = None,
    *,
    authorization: PullAuthorization | None = None,
    credentials: Credentials = ALICE,
    settings: Settings = READ,
    target: Target = IMAGE,
    asked: Challenges | None = None,
) -> list[Draft]:
    return list(
        rules.no_access(
            target,
            asked or asks(),
            credentials,
            settings,
            SERVICE if exchanged is not None else None,
            exchanged,
            authorization or access(granted=False),
            told,
            REGISTRIES,
        )
    )


def test_an_account_that_gets_nothing_lacks_the_right_or_has_the_name_wrong() -> None:
    told = refusal("insufficient_scope")
    found = one(rights(told, exchange(account="alice", granted=())))
    assert (found.code, found.certainty) == ("auth/scope-denied", Certainty.LIKELY)
    assert "alice" in found.detail
    assert "at all, the registry answers just the same" in found.detail


def test_strangers_who_get_nothing_may_have_the_name_wrong() -> None:
    told = refusal("insufficient_scope")
    found = one(rights(told, exchange(granted=()), credentials=NO_CREDENTIALS))
    assert found.code == "auth/existence-hidden"
    assert found.fix == ("log in, which also decides between the two: docker login reg.test",)


def test_an_account_that_gets_something_else_here_lacks_the_right() -> None:
    wider = exchange(account="alice", granted=(scopes.repository_scope("team/app", "push"),))
    told = refusal("insufficient_scope", wider=wider, control="team/regdoctor-1")
    assert codes(rights(told, exchange(account="alice", granted=()))) == ["auth/scope-denied"]


def test_an_account_that_gets_made_up_names_lacks_the_right_here() -> None:
    wider = exchange(account="alice", granted=(scopes.repository_scope("team/regdoctor-1", "pull"),))
    told = refusal("insufficient_scope", wider=wider, control="team/regdoctor-1")
    assert codes(rights(told, exchange(account="alice", granted=()))) == ["auth/scope-denied"]


@pytest.mark.parametrize("granted", [(), (PULL,)])
def test_an_account_that_may_not_push(granted: tuple[Scope, ...]) -> None:
    told = exchange(account="alice", granted=granted, asked=(PUSH,))
    assert codes(rights(None, told, settings=WRITE)) == ["auth/scope-denied"]
    assert not rights(None, exchange(account="alice", granted=(PUSH,), asked=(PUSH,)), settings=WRITE)


def test_a_pull_does_not_need_the_right_to_push() -> None:
    assert not rights(None, exchange(account="alice", granted=(PULL,)))


def test_an_opaque_token_is_judged_by_the_registry_alone() -> None:
    opaque = exchange(account="alice", granted=None, asked=(PUSH,))
    assert not rights(None, opaque, settings=WRITE, authorization=access(granted=None))


@pytest.mark.parametrize(
    "message",
    [
        "unauthorized to access repository: team/app, action: pull: unauthorized to access repository",
        'Permission "artifactregistry.repositories.downloadArtifacts" denied on resource',
        "User: arn:aws:iam::1:user/a is not authorized to perform: ecr:BatchGetImage on resource",
        "permission_denied: read_package",
    ],
)
def test_a_refusal_that_names_the_right(message: str) -> None:
    told = refusal(status=403, body=denied(message))
    assert codes(rights(told, exchange(account="alice", granted=None))) == ["auth/scope-denied"]
    assert codes(rights(told, authorization=access("basic"), asked=asks(BASIC))) == ["auth/scope-denied"]


def test_a_token_server_that_refuses_the_scope() -> None:
    plain = denied("requested access to the resource is denied")
    assert codes(rights(None, exchange(403, plain, account="alice")))[0] == "auth/scope-denied"
    assert codes(rights(None, exchange(403, plain), credentials=NO_CREDENTIALS)) == ["auth/existence-hidden"]
    assert codes(rights(None, exchange(403, plain, account="alice"), settings=WRITE)) == ["auth/scope-denied"]
    spoken = denied("installation not allowed to Write organization package")
    assert codes(rights(None, exchange(403, spoken, account="alice"))) == ["auth/scope-denied"]


def test_a_login_that_is_accepted_at_the_root_and_not_here() -> None:
    told = refusal(challenge=BASIC, at_root=answer(200, {}))
    assert codes(rights(told, authorization=access("basic"), asked=asks(BASIC))) == ["auth/scope-denied"]
    wrong = refusal(challenge=BASIC, at_root=refused(BASIC))
    assert not rights(wrong, authorization=access("basic"), asked=asks(BASIC))


@pytest.mark.parametrize("error", ["invalid_token"])
def test_a_refused_token_says_nothing_of_rights(error: str) -> None:
    assert not rights(refusal(error), exchange(account="alice", granted=()))


def test_a_page_of_a_firewall_says_nothing_of_rights() -> None:
    told = refusal(status=403, body="<html>Blocked</html>")
    assert not rights(told, exchange(account="alice", granted=(PULL,)))


def test_a_bare_registry_has_no_repository_to_be_refused() -> None:
    assert not rights(refusal("insufficient_scope"), exchange(account="alice", granted=()), target=BARE)
