"""Token answers are judged as clients do; tokens are read without being believed."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey, import_key

from regdoctor.oci.scope import Scope, repository_scope
from regdoctor.oci.token import decode_token, is_libtrust_key_id, key_ids, parse_token_response
from regdoctor.secret import Secret
from tests.support.certificates import self_signed
from tests.support.registry import TokenAuth

if TYPE_CHECKING:
    from tests.conftest import StartRegistry


def unsigned(header: object, claims: object) -> str:
    """Write the compact form by hand, so that claims of any type can be put in."""
    parts = (
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in (header, claims)
    )
    return ".".join((*parts, "c2ln"))


def test_a_token_of_another_implementation_is_read_in_full() -> None:
    key = ECKey.generate_key("P-256")
    token = jwt.encode(
        {"alg": "ES256", "kid": "a-key", "x5c": ["MIIB"]},
        {
            "iss": "auth.test",
            "sub": "alice",
            "aud": "reg.test",
            "iat": 1_700_000_000,
            "nbf": 1_700_000_000,
            "exp": 1_700_000_300,
            "access": [{"type": "repository", "class": "", "name": "team/app", "actions": ["pull", "push"]}],
        },
        key,
    )
    claims = decode_token(token)
    assert not claims.opaque
    assert (claims.algorithm, claims.key_id, claims.has_x5c, claims.has_jwk) == (
        "ES256",
        "a-key",
        True,
        False,
    )
    assert (claims.issuer, claims.subject, claims.audience) == ("auth.test", "alice", ("reg.test",))
    assert claims.expires == datetime(2023, 11, 14, 22, 18, 20, tzinfo=UTC)
    assert claims.not_before == claims.issued_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert claims.access == (repository_scope("team/app", "pull", "push"),)
    assert claims.problems == ()
    assert decode_token(Secret(token)) == claims


def test_the_text_of_the_token_is_not_kept() -> None:
    token = unsigned({"alg": "none"}, {"sub": "alice"})
    shown = repr(decode_token(token))
    assert "alice" in shown
    assert not any(part in shown for part in token.split("."))


@pytest.mark.parametrize(
    ("audience", "expected", "array"),
    [("a", ("a",), False), (["a", "b"], ("a", "b"), True), (None, (), False)],
)
def test_an_audience_may_be_a_text_or_a_list(
    audience: object, expected: tuple[str, ...], array: bool
) -> None:
    claims = decode_token(unsigned({}, {"aud": audience}))
    assert (claims.audience, claims.audience_is_array) == (expected, array)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": "1700000000"}, "exp is not a number"),
        ({"exp": True}, "exp is not a number"),
        ({"nbf": 1_700_000_000_000}, "milliseconds"),
        ({"iss": 5}, "iss is not a text"),
        ({"aud": 5}, "aud is neither"),
        ({"access": {"type": "repository"}}, "access is not a list"),
        ({"access": ["repository:a:pull"]}, "type, name and actions"),
        ({"access": [{"type": "repository", "name": "a", "actions": "pull"}]}, "type, name and actions"),
    ],
)
def test_a_claim_of_a_wrong_type_is_named(claims: dict[str, Any], words: str) -> None:
    assert any(words in problem for problem in decode_token(unsigned({}, claims)).problems)


def test_an_entry_without_actions_grants_nothing() -> None:
    claims = decode_token(
        unsigned({}, {"access": [{"type": "registry", "name": "catalog", "actions": None}]})
    )
    assert claims.access == (Scope(type="registry", name="catalog"),)


def test_empty_access_is_told_from_none() -> None:
    assert decode_token(unsigned({}, {"access": []})).states_access
    assert decode_token(unsigned({}, {"access": None})).states_access
    assert not decode_token(unsigned({}, {"sub": "alice"})).states_access


@pytest.mark.parametrize(
    "token",
    [
        "",
        "opaque-token",
        "a.b.c",
        "a.b",
        "e30.e30",
        "e30.W10.x",
        "bnVsbA.e30.x",
        "=.=.=",
        "é.é.é",
        "x" * 70_000,
    ],
)
def test_whatever_is_no_jwt_is_opaque(token: str) -> None:
    assert decode_token(token).opaque


@given(
    st.text(max_size=60)
    | st.from_regex(r"e[A-Za-z0-9_-]{0,20}\.e[A-Za-z0-9_-]{0,20}\.[a-z]{0,3}", fullmatch=True)
)
def test_no_text_crashes_the_decoder(token: str) -> None:
    decode_token(token)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_claim_names = st.sampled_from(
    ["iss", "sub", "aud", "iat", "nbf", "exp", "access", "alg", "kid", "x5c", "jwk"]
)


@given(st.dictionaries(_claim_names, _json), st.dictionaries(_claim_names, _json))
def test_no_claims_crash_the_decoder(header: dict[str, Any], claims: dict[str, Any]) -> None:
    decode_token(unsigned(header, claims))


def test_access_token_outranks_token_as_for_clients() -> None:
    answer = parse_token_response(
        b'{"token": "one", "access_token": "two", "expires_in": 300,'
        b' "issued_at": "2024-01-02T03:04:05.123456789Z", "scope": "repository:a:pull",'
        b' "refresh_token": "three"}',
        "application/json",
    )
    assert answer.ok
    assert answer.token == Secret("two")
    assert answer.refresh_token == Secret("three")
    assert (answer.expires_in, answer.lifetime, answer.scope) == (300, 300, "repository:a:pull")
    assert answer.issued_at == datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    assert answer.fields == ("access_token", "expires_in", "issued_at", "refresh_token", "scope", "token")
    assert not any(secret in repr(answer) for secret in ("'one'", "'two'", "'three'"))


@pytest.mark.parametrize(
    ("body", "lifetime"),
    [(b'{"token":"t"}', 60), (b'{"token":"t","expires_in":5}', 60), (b'{"token":"t","expires_in":61}', 61)],
)
def test_a_lifetime_below_a_minute_is_lifted_to_one(body: bytes, lifetime: int) -> None:
    assert parse_token_response(body, None).lifetime == lifetime


@pytest.mark.parametrize(
    ("body", "content_type", "words", "html"),
    [
        (b"{}", "application/json", "neither token nor access_token", False),
        (b'{"token": ""}', "application/json", "neither token nor access_token", False),
        (b'{"access_token": null, "token": null}', "application/json", "neither", False),
        (b'{"token": 5}', "application/json", "not a text", False),
        (b'{"token": "a\\nb"}', "application/json", "blanks or control", False),
        (b'["t"]', "application/json", "not an object", False),
        (b"", "application/json", "empty", False),
        (b'{"token": "abc', "application/json", "not JSON", False),
        (b"<!DOCTYPE html><html>sign in</html>", "text/html", "HTML page", True),
        (b"\n<HTML><body>", "application/json", "HTML page", True),
        (b"Sign in first", "text/html; charset=utf-8", "HTML page", True),
        (b"[" * 100_000, "application/json", "not JSON", False),
        (b'{"token":' + b"[" * 200 + b"]" * 200 + b"}", "application/json", "nested", False),
        (b" " * 2_000_000, "application/json", "longer", False),
    ],
)
def test_an_answer_without_a_usable_token_says_why(
    body: bytes, content_type: str, words: str, html: bool
) -> None:
    answer = parse_token_response(body, content_type)
    assert not answer.ok
    assert answer.token is None
    assert words in (answer.problem or "")
    assert answer.looks_like_html is html


def test_a_broken_answer_does_not_show_what_might_be_a_token() -> None:
    assert "abcdef" not in repr(parse_token_response(b'{"token": "abcdef', "application/json"))


@given(st.binary(max_size=80), st.none() | st.text(max_size=20))
def test_no_answer_crashes_the_parser(body: bytes, content_type: str | None) -> None:
    assert parse_token_response(body, content_type).ok in {True, False}


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("RSA", RSA),
        ("EC", ec.generate_private_key(ec.SECP256R1()).public_key()),
        ("EC", ec.generate_private_key(ec.SECP384R1()).public_key()),
        ("EC", ec.generate_private_key(ec.SECP521R1()).public_key()),
        ("OKP", ed25519.Ed25519PrivateKey.generate().public_key()),
    ],
)
def test_the_thumbprint_is_that_of_another_implementation(
    kind: Literal["RSA", "EC", "OKP"], key: Any
) -> None:
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert key_ids(key).thumbprint == import_key(pem, kind).thumbprint()


def test_the_thumbprint_of_rfc_7638_section_3_1() -> None:
    key = RSAKey.import_key(
        {
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc"
            "_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQ"
            "R0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bF"
            "TWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
        }
    )
    assert key_ids(key.public_key).thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def _key_with_short_coordinate() -> ec.EllipticCurvePublicKey:
    for scalar in range(2, 5000):
        key = ec.derive_private_key(scalar, ec.SECP256R1()).public_key()
        point = key.public_numbers()
        if min(point.x, point.y) < 1 << 248:
            return key
    raise AssertionError("no such key among the first")


def test_a_coordinate_that_begins_with_zero_has_a_second_thumbprint() -> None:
    ids = key_ids(_key_with_short_coordinate())
    assert ids.thumbprint_unpadded != ids.thumbprint
    assert {ids.thumbprint, ids.thumbprint_unpadded, ids.libtrust} <= ids.all


def test_other_keys_have_only_one() -> None:
    key = ec.derive_private_key(2, ec.SECP256R1()).public_key()
    assert min(key.public_numbers().x, key.public_numbers().y) >= 1 << 248
    assert key_ids(key).thumbprint_unpadded == key_ids(key).thumbprint
    assert key_ids(RSA).thumbprint_unpadded is None


def test_distribution_3_0_0_gives_all_keys_of_a_curve_the_same_id() -> None:
    one, two = (key_ids(ec.generate_private_key(ec.SECP384R1()).public_key()) for _ in range(2))
    assert one.thumbprint != two.thumbprint
    assert one.thumbprint_base_point == two.thumbprint_base_point
    generator = ec.derive_private_key(1, ec.SECP384R1()).public_key()
    assert one.thumbprint_base_point == key_ids(generator).thumbprint_unpadded


def test_a_libtrust_id_is_known_by_its_form() -> None:
    ids = key_ids(RSA)
    assert is_libtrust_key_id(ids.libtrust)
    assert not is_libtrust_key_id(ids.thumbprint)
    assert not is_libtrust_key_id(ids.libtrust.lower())
    assert decode_token(unsigned({"kid": ids.libtrust}, {})).key_id_is_libtrust
    assert not decode_token(unsigned({}, {})).key_id_is_libtrust


@pytest.mark.parametrize(
    "key",
    [ed448.Ed448PrivateKey.generate().public_key(), ec.generate_private_key(ec.SECP256K1()).public_key()],
)
def test_keys_that_sign_no_tokens_are_refused(key: Any) -> None:
    with pytest.raises(ValueError, match="sign tokens"):
        key_ids(key)


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize(("identified_by", "status"), [("libtrust", 200), ("thumbprint", 401)])
def test_distribution_2_8_looks_for_the_libtrust_id(
    identified_by: str, status: int, start_registry: StartRegistry, tmp_path: Path
) -> None:
    signer = self_signed(["token.test"])
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(signer.pem)
    registry = start_registry(
        token=TokenAuth(realm="https://token.test/", service="svc", issuer="iss", rootcertbundle=bundle)
    )
    public = signer.cert.public_key()
    token = jwt.encode(
        {"alg": "ES256", "kid": getattr(key_ids(public), identified_by)},
        {"iss": "iss", "aud": "svc", "sub": "", "exp": 4_000_000_000, "nbf": 0, "access": []},
        ECKey.import_key(signer.key_pem),
    )
    answer = registry.client().request("GET", "/v2/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status == status
