"""What rules make of handshakes and served chains: facts in, findings out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from regdoctor.api import (
    Answer,
    Certainty,
    DateReading,
    DateReadings,
    Draft,
    Endpoint,
    Failure,
    FailureKind,
    Handshake,
    Handshakes,
    IssuerLookup,
    LocalAuthority,
    MissingIssuers,
    NtpReading,
    NtpReadings,
    Ping,
    PlainPort,
    Producer,
    ProducerKind,
    Role,
    RunningDaemon,
    RunningDaemons,
    Settings,
    SpareNtpReadings,
)
from regdoctor.checks.tls import rules
from tests.checks.tls.examples import (
    DAY,
    ENDPOINT,
    INTERMEDIATE,
    LEAF,
    MOMENT,
    NOW,
    ROOT,
    accepted,
    certificate,
    context,
    failed,
    handshake,
    handshakes,
    intermediate,
    refused,
    root,
)

SETTINGS = Settings()


def answer(status: int, body: str = "", **changes: Any) -> Answer:
    values: dict[str, Any] = {
        "exchange": "x1",
        "url": "https://reg.test:5000/v2/",
        "method": "GET",
        "status": status,
        "headers": (),
        "body_excerpt": body,
        "body_size": len(body),
        "body_complete": True,
        "sent_at": NOW,
        "seconds": 0.01,
        "producer": Producer(kind=ProducerKind.UNKNOWN),
    }
    return Answer(**{**values, **changes})


def ping(status: int, body: str = "") -> Ping:
    return Ping(answer=answer(status, body), trusted=True)


def judge(
    seen: Handshakes,
    *,
    endpoint: Endpoint = ENDPOINT,
    issuers: MissingIssuers | None = None,
    ping: Ping | None = None,
    dates: DateReadings | None = None,
    ntp: NtpReadings | None = None,
    spare: SpareNtpReadings | None = None,
    settings: Settings = SETTINGS,
) -> list[Draft]:
    """Every finding that any rule about handshakes yields."""
    clocks = (MOMENT, settings, dates, ntp, spare, None)
    return [
        *rules.plain_http_server(endpoint, seen),
        *rules.untrusted(endpoint, seen, issuers),
        *rules.default_certificate(endpoint, seen),
        *rules.expired(endpoint, seen, *clocks),
        *rules.intermediate_expired(endpoint, seen, *clocks),
        *rules.not_yet_valid(endpoint, seen, *clocks),
        *rules.expires_soon(endpoint, seen, MOMENT, settings),
        *rules.wrong_name(endpoint, seen),
        *rules.wrong_key_usage(endpoint, seen),
        *rules.weak_key(endpoint, seen),
        *rules.weak_signature(endpoint, seen),
        *rules.chain_order(endpoint, seen),
        *rules.trust_differs(endpoint, seen),
        *rules.legacy_protocol(endpoint, seen),
        *rules.client_certificate_required(endpoint, seen, ping),
        *rules.handshake_timeout(endpoint, seen, settings),
        *rules.handshake_failed(endpoint, seen),
    ]


def codes(*each: Handshake, **facts: Any) -> list[str]:
    return [draft.code for draft in judge(handshakes(*each), **facts)]


def only(*each: Handshake, **facts: Any) -> Draft:
    """The one finding that there is."""
    drafts = judge(handshakes(*each), **facts)
    assert len(drafts) == 1, [draft.code for draft in drafts]
    return drafts[0]


# Healthy chains


@pytest.mark.parametrize(
    "healthy",
    [
        pytest.param(handshake(), id="leaf and intermediate"),
        pytest.param(handshake(certificate(issuer=ROOT)), id="issued by the root"),
        pytest.param(handshake(certificate(), intermediate(), root()), id="root sent too"),
        pytest.param(handshake(certificate(), intermediate(), intermediate()), id="sent twice"),
        pytest.param(handshake(certificate(extended_key_usages=())), id="no extended key usage"),
        pytest.param(handshake(certificate(extended_key_usages=("2.5.29.37.0",))), id="any usage"),
        pytest.param(handshake(certificate(key_type="RSA", key_bits=2048)), id="RSA"),
        pytest.param(
            handshake(certificate(key_type="Ed25519", key_bits=256, signature_hash=None)), id="Ed25519"
        ),
        pytest.param(
            handshake(root(), verifications=(accepted(root()),), name_matches=True), id="root as leaf"
        ),
        pytest.param(
            handshake(certificate(), intermediate(), root(signature_hash="sha1")), id="root signed with SHA-1"
        ),
    ],
)
def test_a_healthy_chain_gives_no_finding(healthy: Handshake) -> None:
    assert codes(healthy) == []


def test_an_extra_root_that_is_cross_signed_by_an_expired_one_is_harmless() -> None:
    cross = certificate(ROOT, "CN=Old Root", not_after=NOW - DAY)

    assert codes(handshake(certificate(), intermediate(), cross)) == []


def test_a_request_for_a_client_certificate_that_may_be_left_unanswered_is_harmless() -> None:
    assert codes(handshake(client_certificate_requested=True), ping=ping(401)) == []


# A port without TLS


def test_an_http_answer_to_the_greeting_is_a_plain_http_server() -> None:
    seen = failed(
        FailureKind.TLS_NOT_SPOKEN,
        plaintext_excerpt=r"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        plain_http_excerpt=r"HTTP/1.1 200 OK\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n{}",
    )

    draft = only(seen)

    assert draft.code == "tls/plain-http-server"
    assert draft.certainty is Certainty.PROVEN
    assert "HTTP/1.1 400 Bad Request" in draft.detail
    assert "from a registry" in draft.detail
    assert "insecure" in draft.detail


def test_a_server_that_closes_on_the_greeting_and_answers_without_tls_speaks_plain_http() -> None:
    seen = failed(FailureKind.CONNECTION_CLOSED, plain_http_excerpt=r"HTTP/1.1 401 Unauthorized\r\n\r\n")

    assert codes(seen) == ["tls/plain-http-server"]


def test_a_tls_server_that_refuses_plain_http_is_no_plain_http_server() -> None:
    seen = failed(
        FailureKind.TLS_ALERT,
        alert="internal_error",
        plain_http_excerpt=r"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.",
    )

    assert codes(seen) == ["tls/handshake-failed"]


def test_dockers_exception_for_loopback_is_told_only_there() -> None:
    seen = failed(FailureKind.TLS_NOT_SPOKEN, plaintext_excerpt=r"HTTP/1.1 400 Bad Request\r\n")

    assert "loopback" not in only(seen).detail
    assert "loopback" in only(replace(seen, address="127.0.0.2")).detail


def test_another_protocol_is_no_plain_http_server() -> None:
    draft = only(failed(FailureKind.TLS_NOT_SPOKEN, plaintext_excerpt=r"SSH-2.0-OpenSSH_9.2\r\n"))

    assert draft.code == "tls/handshake-failed"
    assert "SSH-2.0-OpenSSH_9.2" in draft.detail


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(ping(400, "Client sent an HTTP request to an HTTPS server.\n"), id="400"),
        pytest.param(
            Ping(
                answer=None,
                trusted=True,
                failure=Failure(kind=FailureKind.CONNECTION_CLOSED, message="it closed the connection"),
            ),
            id="closed",
        ),
        pytest.param(None, id="no look"),
    ],
)
def test_tls_on_a_port_addressed_by_http_is_named(seen: Ping | None) -> None:
    endpoint = replace(ENDPOINT, scheme="http")

    drafts = list(rules.tls_server_plain_client(endpoint, PlainPort(handshake=handshake()), seen))

    assert [draft.code for draft in drafts] == ["tls/tls-server-plain-client"]


def test_a_plain_port_without_tls_is_not_taken_for_a_tls_server() -> None:
    port = PlainPort(handshake=failed(FailureKind.TLS_NOT_SPOKEN, plaintext_excerpt="HTTP/1.1 400"))

    assert list(rules.tls_server_plain_client(replace(ENDPOINT, scheme="http"), port, ping(500))) == []


# No path to a trusted authority


def test_a_self_signed_leaf_is_named_as_such() -> None:
    leaf = certificate(issuer=LEAF)

    draft = only(handshake(leaf, verifications=(refused("depth-zero-self-signed-cert"),)))

    assert draft.code == "tls/self-signed"
    assert leaf.sha256 in draft.detail


def test_a_self_signed_leaf_for_another_name_needs_a_new_certificate_whoever_signs() -> None:
    leaf = certificate(issuer=LEAF, dns_names=("other.test",))

    draft = only(handshake(leaf, verifications=(refused("depth-zero-self-signed-cert"),)))

    assert draft.code == "tls/hostname-mismatch"
    assert "self-signed" in draft.detail


def test_a_chain_up_to_a_root_that_is_not_trusted_is_an_unknown_authority() -> None:
    seen = handshake(
        certificate(), intermediate(), root(), verifications=(refused("self-signed-cert-in-chain", depth=2),)
    )

    draft = only(seen)

    assert draft.code == "tls/unknown-authority"
    assert draft.certainty is Certainty.PROVEN
    assert ROOT in draft.detail


def test_a_chain_whose_root_is_left_out_and_not_trusted_is_an_unknown_authority() -> None:
    draft = only(handshake(verifications=(refused(depth=1),)))

    assert draft.code == "tls/unknown-authority"
    assert draft.certainty is Certainty.PROVEN


def test_a_lone_leaf_of_an_authority_nobody_knows_is_likely_an_unknown_authority() -> None:
    draft = only(handshake(certificate(issuer="CN=Acme CA"), verifications=(refused(),)))

    assert draft.code == "tls/unknown-authority"
    assert draft.certainty is Certainty.LIKELY
    assert "What decides" in draft.detail


def test_a_trusted_namesake_with_another_key_is_told() -> None:
    draft = only(
        handshake(certificate(issuer=ROOT), verifications=(refused(own=(ROOT,), namesakes=(ROOT,)),))
    )

    assert draft.code == "tls/unknown-authority"
    assert draft.certainty is Certainty.PROVEN
    assert "made anew" in draft.detail


@pytest.mark.parametrize(
    ("leaf", "own"),
    [
        pytest.param(certificate(issuer="CN=Acme Issuing CA 2"), (), id="its name"),
        pytest.param(certificate(issuer="CN=R11", issuer_urls=("http://r11.test/",)), (), id="caIssuers"),
        pytest.param(
            certificate(issuer="CN=Acme CA 2"), ("CN=Acme Root CA",), id="same house as the trusted one"
        ),
    ],
)
def test_a_lone_leaf_of_what_looks_like_an_intermediate_lacks_it(leaf: Any, own: tuple[str, ...]) -> None:
    draft = only(handshake(leaf, verifications=(refused(own=own),)))

    assert draft.code == "tls/missing-intermediate"
    assert draft.certainty is Certainty.LIKELY


@pytest.mark.parametrize(
    ("leaf", "own"),
    [
        pytest.param(
            certificate(issuer="CN=Acme Root CA"), ("CN=Acme Global Root CA",), id="a root by its name"
        ),
        pytest.param(certificate(issuer="CN=Acme CA"), ("CN=Other Root CA",), id="another house"),
        pytest.param(
            certificate(issuer=ROOT, issuer_urls=("http://pki.test/root.crt",)),
            (),
            id="a root with caIssuers",
        ),
    ],
)
def test_a_lone_leaf_of_what_looks_like_a_root_is_of_an_unknown_authority(
    leaf: Any, own: tuple[str, ...]
) -> None:
    assert codes(handshake(leaf, verifications=(refused(own=own),))) == ["tls/unknown-authority"]


def test_the_authority_key_identifier_proves_an_intermediate() -> None:
    leaf = certificate(issuer="CN=Acme CA", authority_issuer="CN=Acme Top")

    draft = only(handshake(leaf, verifications=(refused(),)))

    assert (draft.code, draft.certainty) == ("tls/missing-intermediate", Certainty.PROVEN)


def test_the_authority_key_identifier_proves_a_root() -> None:
    leaf = certificate(issuer="CN=Acme Issuing CA", authority_issuer="CN=Acme Issuing CA")

    draft = only(handshake(leaf, verifications=(refused(),)))

    assert (draft.code, draft.certainty) == ("tls/unknown-authority", Certainty.PROVEN)


LONE = certificate(issuer="CN=Acme CA", issuer_urls=("http://pki.test/acme.crt",))


@pytest.mark.parametrize(
    ("found", "completes", "code"),
    [
        pytest.param(
            certificate("CN=Acme CA", ROOT), True, "tls/missing-intermediate", id="completes the chain"
        ),
        pytest.param(certificate("CN=Acme CA", "CN=Acme CA"), False, "tls/unknown-authority", id="is a root"),
        pytest.param(
            certificate("CN=Acme CA", ROOT), False, "tls/unknown-authority", id="its root is not trusted"
        ),
    ],
)
def test_the_issuer_that_was_fetched_decides(found: Any, completes: bool, code: str) -> None:
    issuers = MissingIssuers(
        lookups=(
            IssuerLookup(url=LONE.issuer_urls[0], of=LONE.sha256, certificate=found, completes=completes),
        )
    )

    draft = only(handshake(LONE, verifications=(refused(),)), issuers=issuers)

    assert (draft.code, draft.certainty) == (code, Certainty.PROVEN)
    assert "missing-issuers" in draft.evidence


def test_an_issuer_that_cannot_be_fetched_leaves_it_likely() -> None:
    failure = Failure(kind=FailureKind.CONNECTION_TIMEOUT, message="no answer")
    issuers = MissingIssuers(
        lookups=(IssuerLookup(url=LONE.issuer_urls[0], of=LONE.sha256, failure=failure),)
    )

    draft = only(handshake(LONE, verifications=(refused(),)), issuers=issuers)

    assert (draft.code, draft.certainty) == ("tls/missing-intermediate", Certainty.LIKELY)


def test_an_issuer_that_may_not_issue_is_told() -> None:
    draft = only(handshake(verifications=(refused("invalid-ca", depth=1, subject=INTERMEDIATE),)))

    assert draft.code == "tls/unknown-authority"
    assert f"{INTERMEDIATE} signed a certificate and is no authority" in draft.detail
    assert "parent certificate cannot sign this kind of certificate" in draft.detail
    assert "signed by unknown authority" not in draft.detail
    assert len(draft.fix) == 1


@pytest.mark.parametrize(
    "leaf",
    [
        certificate(
            "CN=TRAEFIK DEFAULT CERT", "CN=TRAEFIK DEFAULT CERT", dns_names=("1f.2e.traefik.default",)
        ),
        certificate(
            "CN=Kubernetes Ingress Controller Fake Certificate,O=Acme Co",
            "CN=Kubernetes Ingress Controller Fake Certificate,O=Acme Co",
            common_name="Kubernetes Ingress Controller Fake Certificate",
            dns_names=("ingress.local",),
        ),
    ],
    ids=["traefik", "ingress-nginx"],
)
def test_the_default_certificate_of_a_proxy_is_one_finding(leaf: Any) -> None:
    seen = handshake(leaf, verifications=(refused("depth-zero-self-signed-cert"),))

    assert codes(seen) == ["tls/proxy-default-certificate"]


def test_a_host_that_is_called_default_has_no_default_certificate() -> None:
    leaf = certificate("CN=default-cert.test", dns_names=("default-cert.test",))

    assert codes(handshake(leaf)) == ["tls/hostname-mismatch"]


def test_only_the_addresses_that_serve_the_bad_chain_are_blamed() -> None:
    good = handshake(address="192.0.2.2")
    bad = handshake(certificate(issuer=LEAF), verifications=(refused("depth-zero-self-signed-cert"),))

    draft = only(good, bad)

    assert draft.code == "tls/self-signed"
    assert "It is so at 192.0.2.1; 192.0.2.2 does not serve this chain." in draft.detail


# Dates


def test_an_expired_leaf_is_expired_and_nothing_else() -> None:
    leaf = certificate(not_after=NOW - 3 * DAY)

    draft = only(
        handshake(leaf, verifications=(refused("cert-has-expired", path=(leaf, intermediate(), root())),))
    )

    assert draft.code == "tls/expired"
    assert "2026-11-20 12:00 UTC" in draft.detail
    assert "3 days ago" in draft.detail


def test_an_expired_intermediate_is_not_blamed_on_the_leaf_or_the_authority() -> None:
    old = intermediate(not_after=NOW - DAY)
    path = (certificate(), old, root())
    seen = handshake(
        certificate(),
        old,
        verifications=(refused("cert-has-expired", depth=1, path=path, subject=INTERMEDIATE),),
    )

    draft = only(seen)

    assert draft.code == "tls/intermediate-expired"
    assert INTERMEDIATE in draft.detail
    assert "2026-11-22 12:00 UTC" in draft.detail


def test_an_expired_root_that_the_only_path_needs_is_told() -> None:
    anchor = root(sha256="ab" * 32)
    old = replace(anchor, not_after=NOW - DAY)
    path = (certificate(), intermediate(), old)
    seen = handshake(verifications=(refused("cert-has-expired", depth=2, path=path, subject=ROOT),))

    draft = only(seen)

    assert draft.code == "tls/intermediate-expired"
    assert "2026-11-22 12:00 UTC" in draft.detail


FUTURE = certificate(not_before=NOW + 2 * DAY)
NOT_YET = handshake(
    FUTURE,
    intermediate(),
    verifications=(refused("cert-not-yet-valid", path=(FUTURE, intermediate(), root())),),
)


def date_reading(offset: timedelta, endpoint: Endpoint = ENDPOINT) -> DateReadings:
    reading = DateReading(
        host=endpoint.address,
        endpoint=endpoint,
        exchange="x1",
        producer=Producer(kind=ProducerKind.REGISTRY),
        date=NOW + offset,
        offset=offset.total_seconds(),
        uncertainty=1.0,
    )
    return DateReadings(readings=(reading,))


def ntp_reading(offset: timedelta) -> NtpReadings:
    reading = NtpReading(
        server="ntp.test:123", attempts=1, offset=offset.total_seconds(), uncertainty=0.01, synchronised=True
    )
    return NtpReadings(given=True, readings=(reading,))


def test_a_certificate_of_the_future_is_not_yet_valid_where_no_clock_objects() -> None:
    draft = only(NOT_YET, dates=date_reading(timedelta(0)))

    assert (draft.code, draft.certainty) == ("tls/not-yet-valid", Certainty.LIKELY)


def test_ntp_proves_that_the_certificate_is_early() -> None:
    draft = only(NOT_YET, dates=date_reading(3 * DAY), ntp=ntp_reading(timedelta(seconds=1)))

    assert (draft.code, draft.certainty) == ("tls/not-yet-valid", Certainty.PROVEN)


def test_a_clock_that_is_behind_is_not_blamed_on_the_certificate() -> None:
    assert codes(NOT_YET, dates=date_reading(3 * DAY)) == []
    assert codes(NOT_YET, ntp=ntp_reading(3 * DAY)) == []
    assert codes(NOT_YET, spare=SpareNtpReadings(readings=ntp_reading(3 * DAY).readings)) == []


def test_a_time_server_that_nobody_uses_proves_as_much() -> None:
    spare = SpareNtpReadings(readings=ntp_reading(timedelta(seconds=1)).readings)

    draft = only(NOT_YET, dates=date_reading(3 * DAY), spare=spare)

    assert (draft.code, draft.certainty) == ("tls/not-yet-valid", Certainty.PROVEN)
    assert "By the clock of reg.test:5000" in draft.detail


def test_the_clock_of_another_host_on_the_way_does_not_move_the_judgement() -> None:
    token_server = replace(ENDPOINT, role=Role.TOKEN_SERVER, host="auth.test")

    draft = only(NOT_YET, dates=date_reading(3 * DAY, token_server))

    assert draft.code == "tls/not-yet-valid"


def test_a_clock_that_is_behind_does_not_excuse_a_later_start() -> None:
    draft = only(NOT_YET, ntp=ntp_reading(DAY))

    assert draft.unexplained_by == ("clock/client-skew",)
    assert "clock is wrong besides" in draft.detail


OVER = certificate(not_before=NOW - 9 * DAY, not_after=NOW - 2 * DAY)
EXPIRED = handshake(
    OVER, intermediate(), verifications=(refused("cert-has-expired", path=(OVER, intermediate(), root())),)
)


@pytest.mark.parametrize(
    ("offset", "excused"),
    [(-3 * DAY, True), (-DAY, False), (3 * DAY, False), (timedelta(0), False)],
    ids=["ahead by more", "ahead by less", "behind", "right"],
)
@pytest.mark.parametrize("source", ["dates", "ntp", "spare"])
def test_an_end_is_blamed_on_the_clock_only_where_the_right_time_is_before_it(
    offset: timedelta, excused: bool, source: str
) -> None:
    readings = {
        "dates": date_reading(offset),
        "ntp": ntp_reading(offset),
        "spare": SpareNtpReadings(readings=ntp_reading(offset).readings),
    }

    draft = only(EXPIRED, **{source: readings[source]})

    assert draft.code == "tls/expired"
    assert draft.unexplained_by == (() if excused else ("clock/client-skew",))


def test_an_end_that_a_clock_behind_does_not_see_is_told_where_ntp_knows() -> None:
    ends = handshake(certificate(not_after=NOW + 30 * DAY))

    assert codes(ends, dates=date_reading(60 * DAY)) == []
    assert codes(ends, ntp=ntp_reading(60 * DAY)) == ["tls/expired"]


def test_a_leaf_that_ends_within_the_window_is_warned_about() -> None:
    draft = only(handshake(certificate(not_after=NOW + 10 * DAY)))

    assert draft.code == "tls/expires-soon"
    assert "10 days" in draft.detail


def test_the_window_is_the_callers() -> None:
    seen = handshake(certificate(not_after=NOW + 10 * DAY))

    assert codes(seen, settings=Settings(expiry_warning=5)) == []


@pytest.mark.parametrize(("hours_left", "warned"), [(11, False), (5, False), (1, True)])
def test_what_a_program_renews_every_day_is_warned_about_where_the_program_is_late(
    hours_left: int, warned: bool
) -> None:
    hour = timedelta(hours=1)
    leaf = certificate(
        not_before=NOW - (12 - hours_left) * hour, not_after=NOW + hours_left * hour, subject=""
    )
    authority = intermediate(not_before=NOW - DAY, not_after=NOW + 6 * DAY)

    found = judge(handshakes(handshake(leaf, authority)))

    assert [draft.code for draft in found] == (["tls/expires-soon"] if warned else [])
    assert all("(no subject, for reg.test) expires on" in draft.detail for draft in found)


def test_an_intermediate_that_no_path_needs_may_end() -> None:
    spare = certificate("CN=Spare", ROOT, not_after=NOW + DAY)
    seen = handshake(certificate(), intermediate(), verifications=(accepted(certificate(), intermediate()),))
    seen = replace(seen, chain=(*seen.chain, spare), signers=(*seen.signers, ()))

    assert codes(seen) == ["tls/chain-order"]


# Names


@pytest.mark.parametrize(
    ("host", "names", "note"),
    [
        ("reg.test", ("other.test",), ""),
        ("a.b.reg.test", ("*.reg.test",), "stands for exactly one label"),
        ("reg.test", ("*.reg.test",), "does not stand for reg.test itself"),
    ],
)
def test_a_name_that_is_not_listed_is_a_mismatch(host: str, names: tuple[str, ...], note: str) -> None:
    draft = only(handshake(certificate(dns_names=names), server_name=host, name_matches=False))

    assert draft.code == "tls/hostname-mismatch"
    assert names[0] in draft.detail
    assert note in draft.detail


def test_an_address_that_is_not_listed_is_told_apart_from_names() -> None:
    leaf = certificate(dns_names=("reg.test",), ip_addresses=("192.0.2.7",))

    draft = only(handshake(leaf, server_name="192.0.2.1", name_matches=False))

    assert draft.code == "tls/no-ip-san"
    assert "192.0.2.7" in draft.detail


def test_a_common_name_alone_does_not_count() -> None:
    leaf = certificate(dns_names=(), has_alternative_names=False)

    assert codes(handshake(leaf, name_matches=False)) == ["tls/common-name-only"]


def test_an_address_as_common_name_does_not_count_either() -> None:
    leaf = certificate("CN=192.0.2.1", dns_names=(), has_alternative_names=False)

    assert codes(handshake(leaf, server_name="192.0.2.1", name_matches=False)) == ["tls/common-name-only"]


def test_a_certificate_without_names_for_an_address_lacks_the_address() -> None:
    leaf = certificate(dns_names=(), has_alternative_names=False)

    assert codes(handshake(leaf, server_name="192.0.2.1", name_matches=False)) == ["tls/no-ip-san"]


# Usage, keys, signatures, order


def test_a_client_certificate_on_a_server_has_the_wrong_usage() -> None:
    leaf = certificate(extended_key_usages=("1.3.6.1.5.5.7.3.2",))
    path = (leaf, intermediate(), root())

    assert codes(handshake(leaf, verifications=(refused("invalid-purpose", path=path),))) == [
        "tls/wrong-key-usage"
    ]


@pytest.mark.parametrize(
    ("kind", "bits", "weak"),
    [("RSA", 1024, True), ("RSA", 2048, False), ("EC", 192, True), ("EC", 256, False), ("DSA", 2048, True)],
)
def test_short_keys_are_warned_about(kind: str, bits: int, weak: bool) -> None:
    assert codes(handshake(certificate(key_type=kind, key_bits=bits))) == (["tls/weak-key"] if weak else [])


@pytest.mark.parametrize("algorithm", ["sha1", "md5"])
def test_broken_hashes_are_warned_about(algorithm: str) -> None:
    draft = only(handshake(certificate(signature_hash=algorithm)))

    assert draft.code == "tls/weak-signature"
    assert algorithm in draft.detail


def test_an_issuer_before_the_certificate_it_signed_is_out_of_order() -> None:
    upper, lower = certificate("CN=Upper", ROOT), certificate("CN=Lower", "CN=Upper")
    leaf = certificate(issuer="CN=Lower")

    assert codes(handshake(leaf, lower, upper)) == []
    assert codes(handshake(leaf, upper, lower)) == ["tls/chain-order"]


def test_a_certificate_that_has_no_part_in_the_path_is_told() -> None:
    draft = only(handshake(certificate(), intermediate(), certificate("CN=Stranger", "CN=Elsewhere")))

    assert draft.code == "tls/chain-order"
    assert "CN=Stranger" in draft.detail


# Trust of several clients


def test_clients_that_differ_are_warned_about() -> None:
    seen = handshake(
        verifications=(accepted(*handshake().chain), refused(depth=1, name="containers", own=("CN=Other",)))
    )

    draft = only(seen)

    assert draft.code == "tls/trust-differs"
    assert "podman" in draft.detail


def test_clients_that_agree_are_not() -> None:
    both = (accepted(*handshake().chain), accepted(*handshake().chain, name="containerd"))

    assert codes(handshake(verifications=both)) == []


ANCHOR = root()
ADDED = LocalAuthority(
    path="/usr/local/share/ca-certificates/lab.crt", changed_at=NOW, sha256=(ANCHOR.sha256,)
)
BY_SYSTEM = Handshakes(
    handshakes=(
        handshake(
            verifications=(replace(accepted(*handshake().chain, anchor=ANCHOR), context=context("docker")),)
        ),
    )
)


def daemons(started: timedelta, *authorities: LocalAuthority) -> RunningDaemons:
    daemon = RunningDaemon(name="dockerd", pid=7, started_at=NOW + started)
    return RunningDaemons(daemons=(daemon,), authorities=authorities)


def test_a_daemon_older_than_the_authority_it_needs_is_warned_about() -> None:
    (draft,) = rules.store_not_read_again(ENDPOINT, BY_SYSTEM, daemons(-DAY, ADDED))

    assert (draft.code, draft.certainty) == ("tls/trust-differs", Certainty.LIKELY)
    assert "dockerd (pid 7, running since 2026-11-22 12:00 UTC)" in draft.detail
    assert draft.fix == ("systemctl restart docker",)


@pytest.mark.parametrize(
    "running",
    [
        pytest.param(daemons(DAY, ADDED), id="started later"),
        pytest.param(daemons(-DAY), id="nothing added"),
        pytest.param(daemons(-DAY, replace(ADDED, sha256=("00" * 32,))), id="another authority added"),
        pytest.param(
            daemons(-DAY, ADDED, replace(ADDED, path="/older.crt", changed_at=NOW - 2 * DAY)),
            id="known before",
        ),
    ],
)
def test_a_daemon_that_knows_the_authority_is_fine(running: RunningDaemons) -> None:
    assert list(rules.store_not_read_again(ENDPOINT, BY_SYSTEM, running)) == []


def test_files_for_this_registry_are_read_anew_each_time() -> None:
    own = Handshakes(handshakes=(handshake(verifications=(accepted(*handshake().chain, anchor=ANCHOR),)),))

    assert list(rules.store_not_read_again(ENDPOINT, own, daemons(-DAY, ADDED))) == []


# Handshakes that fail

REFUSED = Failure(kind=FailureKind.TLS_ALERT, message="refused", alert="protocol_version")


def test_a_server_of_old_versions_alone_is_told_apart() -> None:
    seen = handshake(protocol="TLSv1.1", usual_failure=REFUSED)

    draft = only(seen)

    assert draft.code == "tls/legacy-protocol"
    assert "TLSv1.1" in draft.detail
    assert "protocol_version" in draft.detail


def test_a_server_of_odd_cipher_suites_alone_fails_clients() -> None:
    alert = replace(REFUSED, alert="handshake_failure")
    draft = only(handshake(protocol="TLSv1.2", cipher="ECDHE-ECDSA-AES128-CCM", usual_failure=alert))

    assert draft.code == "tls/handshake-failed"
    assert "ECDHE-ECDSA-AES128-CCM" in draft.detail


@pytest.mark.parametrize(
    "alert", ["bad_certificate", "certificate_required", "handshake_failure", "unknown_ca"]
)
def test_an_alert_after_a_request_for_a_client_certificate_is_about_that_one(alert: str) -> None:
    failure = Failure(kind=FailureKind.TLS_ALERT, message="refused", alert=alert)
    seen = handshake(
        failure=failure, client_certificate_requested=True, client_authorities=("CN=Clients of Acme",)
    )

    draft = only(seen)

    assert (draft.code, draft.certainty) == ("tls/client-certificate-required", Certainty.PROVEN)
    assert "CN=Clients of Acme" in draft.detail
    assert "has none to offer" in draft.detail


def test_the_client_certificate_that_was_refused_is_shown() -> None:
    failure = Failure(kind=FailureKind.TLS_ALERT, message="refused", alert="bad_certificate")
    own = certificate("CN=me", "CN=Other CA", dns_names=())
    seen = handshake(failure=failure, client_certificate_requested=True, client_certificate=own)

    assert "CN=me, issued by CN=Other CA" in only(seen).detail


def test_nginx_says_so_only_in_http() -> None:
    seen = handshake(client_certificate_requested=True)
    body = "<html><head><title>400 No required SSL certificate was sent</title></head></html>"

    draft = only(seen, ping=ping(400, body))

    assert draft.code == "tls/client-certificate-required"
    assert "400 No required SSL certificate was sent" in draft.detail
    assert "x1" in draft.evidence


def test_another_400_is_not_about_client_certificates() -> None:
    assert codes(handshake(client_certificate_requested=True), ping=ping(400, "Bad Request")) == []


def test_an_alert_without_a_request_for_a_client_certificate_is_a_failed_handshake() -> None:
    draft = only(failed(FailureKind.TLS_ALERT, alert="unrecognized_name"))

    assert draft.code == "tls/handshake-failed"
    assert "unrecognized_name" in draft.detail


def test_silence_is_a_timeout() -> None:
    draft = only(failed(FailureKind.TLS_TIMEOUT), handshake(address="192.0.2.2"))

    assert draft.code == "tls/handshake-timeout"
    assert "192.0.2.2 answers" in draft.detail


@pytest.mark.parametrize("kind", [FailureKind.CONNECTION_CLOSED, FailureKind.CONNECTION_RESET])
def test_a_connection_that_ends_without_a_word_is_a_failed_handshake(kind: FailureKind) -> None:
    assert codes(failed(kind)) == ["tls/handshake-failed"]


@pytest.mark.parametrize("kind", [FailureKind.PROXY_REFUSED, FailureKind.PROXY_UNREACHABLE])
def test_a_forward_proxy_that_refuses_is_another_checks_matter(kind: FailureKind) -> None:
    assert codes(failed(kind)) == []


def test_a_certificate_that_cannot_be_read_is_refused_by_clients() -> None:
    leaf = certificate(problem="the serial number is negative", dns_names=())

    draft = only(handshake(leaf, name_matches=False, verifications=(refused(),)))

    assert draft.code == "tls/handshake-failed"
    assert "serial number is negative" in draft.detail


def test_the_rules_hold_for_every_role() -> None:
    endpoint = Endpoint(role=Role.TOKEN_SERVER, scheme="https", host="auth.test", port=443)

    assert codes(handshake(certificate(not_after=NOW - DAY)), endpoint=endpoint) == ["tls/expired"]
