"""Certificates read as they come: sound ones in full, odd ones as far as they can be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from regdoctor.certificates import (
    covers,
    der_of,
    issuer_in,
    names_of,
    pem_certificates,
    read_certificate,
    signers,
)
from tests.support import certificates as make


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def test_a_server_certificate_is_read_in_full() -> None:
    start, end = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    issued = make.root_authority().issue(
        ["reg.test", "*.reg.test"],
        ["192.0.2.1", "2001:db8::1"],
        not_before=start,
        not_after=end,
        key_type="rsa",
        ca_issuers="http://pki.test/ca.der",
    )

    read = read_certificate(issued.der)

    assert (read.subject, read.issuer) == ("CN=reg.test", "CN=Test Root CA,O=Test PKI")
    assert (read.not_before, read.not_after) == (start, end)
    assert read.dns_names == ("reg.test", "*.reg.test")
    assert read.ip_addresses == ("192.0.2.1", "2001:db8::1")
    assert (read.key_type, read.key_bits, read.signature_hash) == ("RSA", 2048, "sha256")
    assert read.extended_key_usages == ("1.3.6.1.5.5.7.3.1",)
    assert read.issuer_urls == ("http://pki.test/ca.der",)
    assert (read.is_ca, read.self_signed, read.problem) == (False, False, None)
    assert read.sha256 == issued.sha256
    assert der_of(read) == issued.der


def test_no_name_of_many_is_left_out() -> None:
    names = tuple(f"{number}.test" for number in range(1000))

    assert read_certificate(make.root_authority().issue(names).der).dns_names == names


@pytest.mark.parametrize("key_type", ["ec", "rsa", "ed25519"])
def test_a_root_signs_itself(key_type: make.KeyType) -> None:
    assert read_certificate(der(make.root_authority(key_type=key_type).cert)).self_signed


def test_a_root_signs_itself_with_sha1_too() -> None:
    assert read_certificate(der(make.root_authority(hash="sha1", key_type="rsa").cert)).self_signed


def test_bearing_ones_own_name_is_not_signing_oneself() -> None:
    twin = make.root_authority().intermediate("Test Root CA")

    read = read_certificate(der(twin.cert))

    assert read.subject == read.issuer
    assert not read.self_signed


def test_the_issuer_of_the_issuer_is_read_where_the_key_identifier_names_it() -> None:
    top = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Top")])
    key = make.private_key()
    identifier = x509.AuthorityKeyIdentifier(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest,
        [x509.DirectoryName(top)],
        7,
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "leaf")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )

    assert read_certificate(der(certificate)).authority_issuer == "CN=Top"


@pytest.mark.parametrize(
    "spoil", [lambda _: b"", lambda _: b"\x30\x80", lambda der: der[:100], lambda _: b"x" * 999]
)
def test_what_is_no_certificate_is_kept_with_the_reason(spoil: object) -> None:
    content = spoil(make.self_signed().der)  # type: ignore[operator]

    read = read_certificate(content)

    assert read.problem
    assert names_of(content) is None


def test_a_negative_serial_number_is_told_and_the_rest_read() -> None:
    sound = make.self_signed().der
    serial = sound.index(b"\x02\x14") + 2
    odd = sound[:serial] + bytes([sound[serial] | 0x80]) + sound[serial + 1 :]

    read = read_certificate(odd)

    assert read.problem is not None
    assert "serial" in read.problem.lower()
    assert read.sha256 != ""


def test_a_broken_extension_leaves_the_others_readable() -> None:
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.37"), b"\x30\x03\x02\x01")
    issued = make.root_authority().issue(eku="none", extensions=[(broken, False)])

    read = read_certificate(issued.der)

    assert read.problem is not None
    assert read.subject == "CN=reg.test"
    assert read.not_after > read.not_before


def test_pem_files_give_their_certificates_and_nothing_else() -> None:
    one, two = make.self_signed(), make.self_signed()
    text = (
        f"comment\n{one.key_pem}{one.pem}"
        f"-----BEGIN CERTIFICATE-----\nProc-Type: 4\n\nAAAA\n-----END CERTIFICATE-----\n"
        f"-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n"
        f"{two.pem.replace(chr(10), chr(13) + chr(10))}-----BEGIN CERTIFICATE-----\ncut off"
    )

    assert pem_certificates(text.encode()) == (one.der, two.der)


def test_issuer_and_subject_are_found_without_parsing() -> None:
    authority = make.root_authority()
    issued = authority.issue()

    names = names_of(issued.der)

    assert names == (authority.cert.subject.public_bytes(), issued.cert.subject.public_bytes())


def test_signers_go_by_key_and_name() -> None:
    root = make.root_authority()
    twin = make.root_authority()
    lower = root.intermediate()
    leaf = lower.issue()

    chain = [leaf.der, der(twin.cert), der(lower.cert), der(root.cert), b"no certificate"]

    assert signers(chain) == ((2,), (1,), (3,), (3,), ())


@pytest.mark.parametrize("form", ["der", "pem", "pkcs7"])
def test_an_issuer_is_found_in_every_form_that_it_is_published_in(form: str) -> None:
    authority, stranger = make.root_authority(), make.root_authority()
    leaf = read_certificate(authority.issue().der)
    content = {
        "der": der(authority.cert),
        "pem": make.to_pem(stranger.cert, authority.cert).encode(),
        "pkcs7": pkcs7.serialize_certificates([stranger.cert, authority.cert], serialization.Encoding.DER),
    }[form]

    assert issuer_in(content, leaf) == der(authority.cert)
    assert issuer_in(der(stranger.cert), leaf) is None
    assert issuer_in(b"<html>not found</html>", leaf) is None


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (["reg.test"], "reg.test", True),
        (["REG.test"], "reg.TEST", True),
        (["reg.test"], "reg.test.", True),
        (["reg.test."], "reg.test", False),
        (["*.reg.test"], "a.reg.test", True),
        (["*.reg.test"], "a.b.reg.test", False),
        (["*.reg.test"], "reg.test", False),
        (["*"], "reg", True),
        (["a*.reg.test"], "ab.reg.test", False),
        (["a.*.test"], "a.reg.test", False),
        (["192.0.2.1"], "192.0.2.1", False),
        (["xn--bcher-kva.test"], "xn--bcher-kva.test", True),
    ],
)
def test_names_are_compared_as_gos_clients_do(names: list[str], host: str, covered: bool) -> None:
    assert covers(read_certificate(make.self_signed(names, ()).der), host) is covered


@pytest.mark.parametrize(
    ("ips", "host", "covered"),
    [
        (["192.0.2.1"], "192.0.2.1", True),
        (["192.0.2.1"], "192.0.2.2", False),
        (["2001:db8::1"], "2001:db8:0::1", True),
        (["fe80::1"], "fe80::1%eth0", True),
    ],
)
def test_addresses_are_compared_by_value(ips: list[str], host: str, covered: bool) -> None:
    assert covers(read_certificate(make.self_signed((), ips).der), host) is covered


def test_the_common_name_does_not_count() -> None:
    assert not covers(read_certificate(make.self_signed(san=False, common_name="reg.test").der), "reg.test")
