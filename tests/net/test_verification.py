"""Chains judged by the authorities that a client trusts: all that is wrong, and nothing that is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from regdoctor.api import Verification
from regdoctor.certificates import read_certificate, signers
from regdoctor.host.trust import Authorities, TrustStore
from regdoctor.net.verification import verify
from tests.support import certificates as make

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def der(*certificates: x509.Certificate) -> tuple[bytes, ...]:
    return tuple(each.public_bytes(Encoding.DER) for each in certificates)


def judge(
    chain: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    system: Sequence[x509.Certificate] = (),
    now: datetime = NOW,
) -> Verification:
    store = TrustStore(name="docker", extra=Authorities(der(*trusted)))
    return verify(der(*chain), store, Authorities(der(*system)), now)


def errors(verification: Verification) -> list[tuple[str, int]]:
    return [(error.name, error.depth) for error in verification.errors]


@pytest.mark.parametrize("key_type", ["ec", "rsa", "ed25519"])
def test_a_whole_chain_to_a_trusted_root_is_accepted(key_type: make.KeyType) -> None:
    root = make.root_authority(key_type=key_type)
    lower = root.intermediate(key_type=key_type)
    leaf = lower.issue(key_type=key_type)

    judged = judge([leaf.cert, lower.cert], [root.cert])

    assert judged.accepted
    assert len(judged.path) == 3
    assert judged.anchor is not None
    assert judged.anchor.subject == "CN=Test Root CA,O=Test PKI"
    assert judged.context.own_authorities == ("CN=Test Root CA,O=Test PKI",)


def test_the_systems_authorities_count_as_much() -> None:
    root = make.root_authority()

    assert judge([root.issue().cert], [], [root.cert]).accepted


def test_the_order_of_the_chain_does_not_matter() -> None:
    root = make.root_authority()
    upper = root.intermediate("Upper")
    lower = upper.intermediate("Lower")

    assert judge([lower.issue().cert, upper.cert, lower.cert], [root.cert]).accepted


@pytest.mark.parametrize("anchor", ["leaf", "intermediate"])
def test_any_trusted_certificate_is_an_anchor_as_in_go(anchor: str) -> None:
    lower = make.root_authority().intermediate()
    leaf = lower.issue()

    assert judge([leaf.cert, lower.cert], [leaf.cert if anchor == "leaf" else lower.cert]).accepted


def test_without_the_intermediate_there_is_no_path() -> None:
    root = make.root_authority()
    leaf = root.intermediate().issue()

    judged = judge([leaf.cert], [root.cert])

    assert errors(judged) == [("unable-to-get-issuer-cert-locally", 0)]
    assert judged.path == ()


def test_a_self_signed_leaf_is_accepted_only_where_it_is_trusted() -> None:
    leaf = make.self_signed()

    assert errors(judge([leaf.cert], [])) == [("depth-zero-self-signed-cert", 0)]
    assert judge([leaf.cert], [leaf.cert]).accepted


def test_a_trusted_namesake_is_named_and_does_not_help() -> None:
    root, namesake = make.root_authority(), make.root_authority()

    judged = judge([root.issue().cert], [namesake.cert])

    assert not judged.path
    assert judged.namesakes == ("CN=Test Root CA,O=Test PKI",)


def test_the_real_issuer_is_no_namesake() -> None:
    root = make.root_authority()
    broken = root.intermediate(is_ca=False)

    judged = judge([broken.issue().cert, broken.cert], [root.cert])

    assert errors(judged) == [("invalid-ca", 1)]
    assert judged.namesakes == ()


def test_every_date_that_is_wrong_is_told_and_the_path_is_still_found() -> None:
    root = make.root_authority()
    lower = root.intermediate(not_after=-DAY)
    leaf = lower.issue(not_after=-2 * DAY)

    judged = judge([leaf.cert, lower.cert], [root.cert])

    assert errors(judged) == [("cert-has-expired", 0), ("cert-has-expired", 1)]
    assert len(judged.path) == 3


def test_the_anchors_dates_count_as_in_go() -> None:
    root = make.root_authority(not_after=-DAY)

    assert errors(judge([root.issue().cert], [root.cert])) == [("cert-has-expired", 1)]


def test_dates_are_judged_at_the_moment_given() -> None:
    root = make.root_authority()
    leaf = root.issue(not_before=2 * DAY)

    assert errors(judge([leaf.cert], [root.cert])) == [("cert-not-yet-valid", 0)]
    assert judge([leaf.cert], [root.cert], now=NOW + 3 * DAY).accepted


def test_an_expired_path_beside_a_good_one_does_not_matter() -> None:
    old = make.root_authority("Old Root", not_after=-DAY)
    new = make.root_authority("New Root")
    cross = old.intermediate("New Root", key=new.key)
    lower = new.intermediate()
    chain = [lower.issue().cert, lower.cert, cross.cert]

    assert judge(chain, [new.cert, old.cert]).accepted
    assert judge(chain, [new.cert]).accepted
    assert errors(judge(chain, [old.cert])) == [("cert-has-expired", 3)]


def test_a_usage_that_rules_out_servers_is_told() -> None:
    root = make.root_authority()
    leaf = root.issue(eku="client")

    judged = judge([leaf.cert], [root.cert])

    assert errors(judged) == [("invalid-purpose", 0)]
    assert judged.path


def test_weak_keys_and_signatures_are_accepted_here_and_judged_apart() -> None:
    root = make.root_authority(key_type="rsa", key_size=1024, hash="sha1")

    assert judge([root.issue(key_type="rsa", key_size=1024, hash="sha1").cert], [root.cert]).accepted


def test_a_chain_that_is_no_certificate_is_refused_without_a_crash() -> None:
    judged = verify([b"no certificate"], TrustStore(name="docker"), Authorities(()), NOW)

    assert errors(judged) == [("unreadable-certificate", 0)]


def test_an_endless_chain_is_cut() -> None:
    leaf = make.self_signed()

    assert not judge([leaf.cert] * 500, []).accepted


def test_a_damaged_certificate_never_raises() -> None:
    root = make.root_authority(key_type="rsa")
    store = TrustStore(name="docker", extra=Authorities(der(root.cert)))
    sound = der(root.issue(key_type="rsa").cert)[0]
    for position in range(0, len(sound), 3):
        damaged = sound[:position] + bytes([sound[position] ^ 0x55]) + sound[position + 1 :]

        assert not verify([damaged], store, Authorities(()), NOW).accepted
        read_certificate(damaged)
        signers([damaged, sound])
