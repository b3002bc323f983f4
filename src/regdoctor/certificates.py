"""Reads X.509 certificates as they come: whole bundles quickly, served ones in full and without crashing.

The quick part (PEM blocks, subject and issuer as bytes) needs no library, so that a bundle of 150
authorities costs a few milliseconds and only those that a chain asks for are parsed.
"""

from __future__ import annotations

import binascii
import hashlib
import ipaddress
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from regdoctor.facts.tls import ServedCertificate

if TYPE_CHECKING:
    from cryptography import x509

T = TypeVar("T")

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"

_LONGEST_TEXT = 500
_UNKNOWN_START = datetime.min.replace(tzinfo=UTC)
_UNKNOWN_END = datetime.max.replace(tzinfo=UTC)

_SEQUENCE = 0x30
_VERSION = 0xA0


def pem_certificates(content: bytes) -> tuple[bytes, ...]:
    """The certificates (DER) of a PEM file, in order; whatever else stands there is left out.

    As Go's ``AppendCertsFromPEM`` does, only ``CERTIFICATE`` blocks without headers count.
    """
    found = []
    for part in content.split(_BEGIN)[1:]:
        body, end, _ = part.partition(_END)
        if not end or b":" in body:
            continue
        try:
            found.append(binascii.a2b_base64(body))
        except binascii.Error:
            continue
    return tuple(found)


def names_of(der: bytes) -> tuple[bytes, bytes] | None:
    """Issuer and subject of a certificate as DER, or None where the bytes are no certificate.

    Go's clients look for an issuer by comparing exactly these bytes (``crypto/x509`` ``cert_pool.go``).
    """
    try:
        tag, start, end = _element(der, 0)
        if tag != _SEQUENCE:
            return None
        tag, position, _ = _element(der, start)
        if tag != _SEQUENCE:
            return None
        tag, _, after = _element(der, position)
        if tag == _VERSION:
            tag, _, after = _element(der, after)
        _, _, issuer_start = _element(der, after)
        tag, _, issuer_end = _element(der, issuer_start)
        _, _, subject_start = _element(der, issuer_end)
        subject_tag, _, subject_end = _element(der, subject_start)
    except IndexError:
        return None
    if tag != _SEQUENCE or subject_tag != _SEQUENCE or subject_end > end:
        return None
    return der[issuer_start:issuer_end], der[subject_start:subject_end]


def _element(der: bytes, position: int) -> tuple[int, int, int]:
    """Tag, start of the content and end of the DER element at a position (X.690 section 8.1).

    :raises IndexError: the bytes end before the element does.
    """
    tag, length = der[position], der[position + 1]
    start = position + 2
    if length & 0x80:
        count = length & 0x7F
        if count > 4:
            raise IndexError("longer than any certificate")
        length = int.from_bytes(der[start : start + count], "big")
        start += count
    if start + length > len(der):
        raise IndexError("cut off")
    return tag, start, start + length


def read_certificate(der: bytes) -> ServedCertificate:
    """Reads one certificate, whatever is odd about it.

    What cannot be read (RFC 5280 forbids negative serial numbers and repeated extensions, and some
    certificates have them all the same) is left empty, and ``problem`` says what and why.
    """
    from cryptography import x509

    problems: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            certificate = x509.load_der_x509_certificate(der)
        except Exception as error:
            # ValueError, and x509.InvalidVersion, which is none.
            return _unreadable(der, str(error))
        return _read(der, certificate, x509, problems)


def _read(der: bytes, certificate: x509.Certificate, x509: Any, problems: list[str]) -> ServedCertificate:
    def attempt(what: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except Exception as error:
            problems.append(f"{what}: {error}"[:_LONGEST_TEXT])
            return otherwise

    def extension(kind: Any) -> Any:
        try:
            return certificate.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    serial = attempt("serial number", lambda: certificate.serial_number, 0)
    if serial < 0:
        problems.append("the serial number is negative")
    names = attempt("subject alternative name", lambda: extension(x509.SubjectAlternativeName), None)
    constraints = attempt("basic constraints", lambda: extension(x509.BasicConstraints), None)
    usages = attempt("extended key usage", lambda: extension(x509.ExtendedKeyUsage), None)
    accesses = attempt(
        "authority information access", lambda: extension(x509.AuthorityInformationAccess), None
    )
    key_id = attempt("authority key identifier", lambda: extension(x509.AuthorityKeyIdentifier), None)
    key_type, key_bits = attempt("public key", lambda: _key(certificate), ("unknown", 0))
    return ServedCertificate(
        sha256=hashlib.sha256(der).hexdigest(),
        pem=_pem(der),
        subject=attempt("subject", lambda: _text(certificate.subject), ""),
        issuer=attempt("issuer", lambda: _text(certificate.issuer), ""),
        serial=f"{serial:x}",
        not_before=attempt("start date", lambda: certificate.not_valid_before_utc, _UNKNOWN_START),
        not_after=attempt("end date", lambda: certificate.not_valid_after_utc, _UNKNOWN_END),
        common_name=attempt("common name", lambda: _common_name(certificate, x509), None),
        dns_names=tuple(names.get_values_for_type(x509.DNSName)) if names is not None else (),
        ip_addresses=(
            tuple(str(address) for address in names.get_values_for_type(x509.IPAddress))
            if names is not None
            else ()
        ),
        has_alternative_names=names is not None,
        is_ca=constraints is not None and bool(constraints.ca),
        self_signed=signed(certificate, certificate),
        key_type=key_type,
        key_bits=key_bits,
        signature_hash=attempt("signature algorithm", lambda: _hash_name(certificate), None),
        extended_key_usages=tuple(usage.dotted_string for usage in usages or ()),
        issuer_urls=tuple(
            access.access_location.value
            for access in accesses or ()
            if access.access_method == x509.AuthorityInformationAccessOID.CA_ISSUERS
            and isinstance(access.access_location, x509.UniformResourceIdentifier)
        ),
        authority_issuer=attempt("authority key identifier", lambda: _authority_issuer(key_id, x509), None),
        problem="; ".join(dict.fromkeys(problems))[:_LONGEST_TEXT] or None,
    )


def _unreadable(der: bytes, reason: str) -> ServedCertificate:
    """What remains of a certificate that cannot be parsed: its bytes and fingerprint."""
    return ServedCertificate(
        sha256=hashlib.sha256(der).hexdigest(),
        pem=_pem(der),
        subject="",
        issuer="",
        serial="",
        not_before=_UNKNOWN_START,
        not_after=_UNKNOWN_END,
        common_name=None,
        dns_names=(),
        ip_addresses=(),
        has_alternative_names=False,
        is_ca=False,
        self_signed=False,
        key_type="unknown",
        key_bits=0,
        signature_hash=None,
        extended_key_usages=(),
        issuer_urls=(),
        problem=reason[:_LONGEST_TEXT] or "it cannot be parsed",
    )


def _pem(der: bytes) -> str:
    body = binascii.b2a_base64(der, newline=False).decode("ascii")
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join([_BEGIN.decode(), *lines, _END.decode(), ""])


def der_of(certificate: ServedCertificate) -> bytes:
    """The certificate's own bytes."""
    return pem_certificates(certificate.pem.encode())[0]


def _text(name: x509.Name) -> str:
    return name.rfc4514_string()[:_LONGEST_TEXT]


def _common_name(certificate: x509.Certificate, x509: Any) -> str | None:
    values = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(values[-1].value)[:_LONGEST_TEXT] if values else None


def _key(certificate: x509.Certificate) -> tuple[str, int]:
    """The kind of the public key and its size in bits."""
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", 256
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448", 456
    return type(key).__name__.removesuffix("PublicKey"), 0


def _hash_name(certificate: x509.Certificate) -> str | None:
    """The hash of the signature, such as ``sha256``; None where the algorithm names none (Ed25519)."""
    algorithm = certificate.signature_hash_algorithm
    return None if algorithm is None else algorithm.name


def _authority_issuer(key_id: Any, x509: Any) -> str | None:
    for name in (key_id.authority_cert_issuer if key_id is not None else None) or ():
        if isinstance(name, x509.DirectoryName):
            return _text(name.value)
    return None


def signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether one certificate's name and key are those that issued the other one.

    Old algorithms count as well (cryptography's ``verify_directly_issued_by`` refuses SHA-1); where a
    signature cannot be computed here at all, the names decide.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

    try:
        if issuer.subject.public_bytes() != certificate.issuer.public_bytes():
            return False
        key, signature = issuer.public_key(), certificate.signature
        content, parameters = certificate.tbs_certificate_bytes, certificate.signature_algorithm_parameters
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, content, parameters, certificate.signature_hash_algorithm)  # type: ignore[arg-type]
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, content, parameters)  # type: ignore[arg-type]
        elif isinstance(key, dsa.DSAPublicKey):
            key.verify(signature, content, certificate.signature_hash_algorithm)  # type: ignore[arg-type]
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, content)
    except UnsupportedAlgorithm:
        return True
    except Exception:
        # InvalidSignature, and whatever a key or a name that cannot be read leads to.
        return False
    return True


def signers(chain: Sequence[bytes]) -> tuple[tuple[int, ...], ...]:
    """For each certificate (DER) the positions of those in the chain that signed it."""
    from cryptography import x509

    parsed: list[x509.Certificate | None] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for der in chain:
            try:
                parsed.append(x509.load_der_x509_certificate(der))
            except Exception:
                parsed.append(None)
        return tuple(
            tuple(
                position
                for position, issuer in enumerate(parsed)
                if issuer is not None and certificate is not None and signed(issuer, certificate)
            )
            for certificate in parsed
        )


def issuer_in(content: bytes, certificate: ServedCertificate) -> bytes | None:
    """The issuer (DER) of a certificate among those in a fetched file: DER, PEM or PKCS #7 (RFC 5280 4.2.2.1)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs7

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            child = x509.load_der_x509_certificate(der_of(certificate))
        except Exception:
            return None
        readers: tuple[Callable[[bytes], Sequence[x509.Certificate]], ...] = (
            lambda content: [x509.load_der_x509_certificate(content)],
            x509.load_pem_x509_certificates,
            pkcs7.load_der_pkcs7_certificates,
            pkcs7.load_pem_pkcs7_certificates,
        )
        for read in readers:
            try:
                found = read(content)
            except Exception:  # noqa: S112 - whatever lies there: the next form may fit
                continue
            for candidate in found:
                if signed(candidate, child):
                    return candidate.public_bytes(serialization.Encoding.DER)
    return None


def covers(certificate: ServedCertificate, host: str) -> bool:
    """Whether a certificate is made for a host, as Go's clients judge (``crypto/x509`` ``VerifyHostname``).

    Only subject alternative names count (RFC 9525 section 2); an IP address must be listed as one; ``*`` may
    only be the whole first label and stands for exactly one. A final dot is taken off the host alone.
    """
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return any(_matches(pattern, host) for pattern in certificate.dns_names)
    return any(_same_address(text, address) for text in certificate.ip_addresses)


def _same_address(text: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_address(text) == address
    except ValueError:
        return False


def _matches(pattern: str, host: str) -> bool:
    wanted = pattern.lower().split(".")
    given = host.lower().removesuffix(".").split(".")
    if len(wanted) != len(given) or not all(wanted) or not all(given):
        return False
    first = wanted[0] == given[0] or wanted[0] == "*"
    return first and wanted[1:] == given[1:]
