"""Makes certificates, good ones and every kind of bad one, within milliseconds."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KeyType = Literal["ec", "rsa", "ed25519"]
Usage = Literal["server", "client", "both", "none"]
Hash = Literal["sha1", "sha256", "sha384", "sha512"]
Moment = datetime.datetime | datetime.timedelta | None
"""A time of UTC, or a distance from now, or None for the usual."""

# AlgorithmIdentifiers as DER.
_RSA_WITH_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
_RSA_WITH_SHA1 = bytes.fromhex("300d06092a864886f70d0101050500")
_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_ECDSA_WITH_SHA1 = bytes.fromhex("300906072a8648ce3d0401")

_EC_CURVES: dict[int, type[ec.EllipticCurve]] = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}


@dataclass(frozen=True)
class CertificateFiles:
    """PEM files: the leaf alone, its key, the leaf with its intermediates, and the root to trust."""

    cert: Path
    key: Path
    fullchain: Path
    ca: Path


@dataclass(frozen=True)
class Certificate:
    """An issued certificate with its key, the intermediates above it (nearest first) and its root."""

    cert: x509.Certificate
    key: PrivateKey
    chain: tuple[x509.Certificate, ...]
    root: x509.Certificate

    @property
    def pem(self) -> str:
        """The leaf alone."""
        return to_pem(self.cert)

    @property
    def fullchain_pem(self) -> str:
        """The leaf, then its intermediates."""
        return to_pem(self.cert, *self.chain)

    @property
    def key_pem(self) -> str:
        """The private key, unencrypted PKCS #8."""
        return private_key_pem(self.key)

    @property
    def ca_pem(self) -> str:
        """The root."""
        return to_pem(self.root)

    @property
    def der(self) -> bytes:
        """The leaf as DER."""
        return self.cert.public_bytes(serialization.Encoding.DER)

    @property
    def sha256(self) -> str:
        """The leaf's fingerprint: lower-case hexadecimal SHA-256 of its DER."""
        return self.cert.fingerprint(hashes.SHA256()).hex()

    def write(
        self, directory: Path, *, stem: str = "server", served: Sequence[x509.Certificate] | None = None
    ) -> CertificateFiles:
        """Write the PEM files into a directory, which is made where missing.

        ``served`` replaces the content of the fullchain file: another order, a stranger, the root too.
        """
        directory.mkdir(parents=True, exist_ok=True)
        files = CertificateFiles(
            cert=directory / f"{stem}.crt",
            key=directory / f"{stem}.key",
            fullchain=directory / f"{stem}.fullchain.crt",
            ca=directory / f"{stem}.ca.crt",
        )
        files.cert.write_text(self.pem)
        files.key.write_text(self.key_pem)
        files.key.chmod(0o600)
        files.fullchain.write_text(self.fullchain_pem if served is None else to_pem(*served))
        files.ca.write_text(self.ca_pem)
        return files


@dataclass(frozen=True)
class Authority:
    """A root or an intermediate that issues certificates; ``chain`` is what leads from it to the root.

    For an intermediate the chain starts with its own certificate; for a root it is empty.
    """

    cert: x509.Certificate
    key: PrivateKey
    chain: tuple[x509.Certificate, ...]
    root: x509.Certificate

    @property
    def pem(self) -> str:
        """The authority's own certificate."""
        return to_pem(self.cert)

    @property
    def ca_pem(self) -> str:
        """The root above it, which clients trust."""
        return to_pem(self.root)

    def write_ca(self, path: Path) -> Path:
        """Write the root to a PEM file and return its path."""
        path.write_text(self.ca_pem)
        return path

    def issue(
        self,
        names: Sequence[str] = ("reg.test",),
        ips: Sequence[str] = ("127.0.0.1",),
        *,
        common_name: str | None = None,
        organization: str | None = None,
        not_before: Moment = None,
        not_after: Moment = None,
        key_type: KeyType = "ec",
        key_size: int | None = None,
        key: PrivateKey | None = None,
        eku: Usage = "server",
        san: bool = True,
        hash: Hash = "sha256",
        ca_issuers: str | None = None,
        ocsp: str | None = None,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> Certificate:
        """Issue a leaf for DNS names (wildcards too) and IP addresses; see ``build`` for the rest.

        ``common_name`` is the first name by default. With ``san=False`` there is no subjectAltName at all.
        """
        built_key = key or private_key(key_type, key_size)
        cert = build(
            subject=_name(common_name or _first(names, ips), organization),
            key=built_key,
            issuer=self.cert,
            issuer_key=self.key,
            names=names if san else (),
            ips=ips if san else (),
            not_before=not_before,
            not_after=not_after,
            eku=eku,
            hash=hash,
            ca_issuers=ca_issuers,
            ocsp=ocsp,
            extensions=extensions,
        )
        return Certificate(cert, built_key, self.chain, self.root)

    def intermediate(
        self,
        common_name: str = "Test Intermediate CA",
        *,
        not_before: Moment = None,
        not_after: Moment = None,
        key_type: KeyType = "ec",
        key_size: int | None = None,
        key: PrivateKey | None = None,
        hash: Hash = "sha256",
        ca_issuers: str | None = None,
        is_ca: bool = True,
        path_length: int | None = None,
    ) -> Authority:
        """Issue an intermediate authority; pass ``key`` to certify an existing one again (cross-signing)."""
        built_key = key or private_key(key_type, key_size)
        cert = build(
            subject=_name(common_name, "Test PKI"),
            key=built_key,
            issuer=self.cert,
            issuer_key=self.key,
            not_before=not_before,
            not_after=not_after if not_after is not None else datetime.timedelta(days=1000),
            is_ca=is_ca,
            path_length=path_length,
            eku="none",
            hash=hash,
            ca_issuers=ca_issuers,
        )
        return Authority(cert, built_key, (cert, *self.chain), self.root)


def root_authority(
    common_name: str = "Test Root CA",
    *,
    not_before: Moment = None,
    not_after: Moment = None,
    key_type: KeyType = "ec",
    key_size: int | None = None,
    key: PrivateKey | None = None,
    hash: Hash = "sha256",
) -> Authority:
    """Make a self-signed root authority; two of one name differ in their keys."""
    built_key = key or private_key(key_type, key_size)
    cert = build(
        subject=_name(common_name, "Test PKI"),
        key=built_key,
        not_before=not_before if not_before is not None else datetime.timedelta(days=-30),
        not_after=not_after if not_after is not None else datetime.timedelta(days=3000),
        is_ca=True,
        eku="none",
        hash=hash,
    )
    return Authority(cert, built_key, (), cert)


def self_signed(
    names: Sequence[str] = ("reg.test",),
    ips: Sequence[str] = ("127.0.0.1",),
    *,
    common_name: str | None = None,
    organization: str | None = None,
    not_before: Moment = None,
    not_after: Moment = None,
    key_type: KeyType = "ec",
    key_size: int | None = None,
    eku: Usage = "server",
    san: bool = True,
    is_ca: bool = False,
    hash: Hash = "sha256",
) -> Certificate:
    """Make a certificate that is its own issuer and root, as ``openssl req -x509`` does."""
    key = private_key(key_type, key_size)
    cert = build(
        subject=_name(common_name or _first(names, ips), organization),
        key=key,
        names=names if san else (),
        ips=ips if san else (),
        not_before=not_before,
        not_after=not_after,
        eku=eku,
        is_ca=is_ca,
        hash=hash,
    )
    return Certificate(cert, key, (), cert)


def ingress_default(product: Literal["traefik", "ingress-nginx"]) -> Certificate:
    """Make the certificate that an ingress serves for a name it has no certificate for.

    Names as in traefik ``pkg/tls/generate/generate.go`` and ingress-nginx ``internal/net/ssl/ssl.go``.
    """
    if product == "traefik":
        label = "0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef"
        return self_signed(
            [f"{label}.traefik.default"], (), common_name="TRAEFIK DEFAULT CERT", key_type="rsa"
        )
    return self_signed(
        ["ingress.local"],
        (),
        common_name="Kubernetes Ingress Controller Fake Certificate",
        organization="Acme Co",
        key_type="rsa",
    )


def build(
    *,
    subject: x509.Name,
    key: PrivateKey,
    issuer: x509.Certificate | None = None,
    issuer_key: PrivateKey | None = None,
    names: Sequence[str] = (),
    ips: Sequence[str] = (),
    not_before: Moment = None,
    not_after: Moment = None,
    is_ca: bool = False,
    path_length: int | None = None,
    eku: Usage = "server",
    hash: Hash = "sha256",
    ca_issuers: str | None = None,
    ocsp: str | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> x509.Certificate:
    """Build and sign one certificate (RFC 5280), self-signed where no issuer is given.

    Times are UTC or distances from now; by default valid from yesterday for 90 days. ``eku="none"`` leaves
    extendedKeyUsage out. SHA-1 is for RSA and EC issuers only.
    """
    start = _moment(not_before, datetime.timedelta(days=-1))
    end = _moment(not_after, datetime.timedelta(days=90))
    signer = issuer_key if issuer_key is not None else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An expired certificate is often asked for by its end alone.
        .not_valid_before(min(start, end - datetime.timedelta(days=1)))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(_key_usage(is_ca=is_ca, rsa_key=isinstance(key, rsa.RSAPrivateKey)), critical=True)
    )
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(ip_address(ip)) for ip in ips]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    usages = {
        "server": [ExtendedKeyUsageOID.SERVER_AUTH],
        "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
        "both": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
        "none": [],
    }[eku]
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    accesses = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in (
            (AuthorityInformationAccessOID.CA_ISSUERS, ca_issuers),
            (AuthorityInformationAccessOID.OCSP, ocsp),
        )
        if url is not None
    ]
    if accesses:
        builder = builder.add_extension(x509.AuthorityInformationAccess(accesses), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    if hash == "sha1":
        return _sign_again_with_sha1(builder.sign(signer, hashes.SHA256()), signer)
    algorithms: dict[str, hashes.HashAlgorithm] = {
        "sha256": hashes.SHA256(),
        "sha384": hashes.SHA384(),
        "sha512": hashes.SHA512(),
    }
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else algorithms[hash]
    return builder.sign(signer, algorithm)  # type: ignore[arg-type]


def private_key(key_type: KeyType = "ec", key_size: int | None = None) -> PrivateKey:
    """Make a private key: EC of 256 (default), 384 or 521 bits, RSA of 2048 (default) or other bits."""
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if key_type == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=key_size or 2048)
    return ec.generate_private_key(_EC_CURVES[key_size or 256]())


def private_key_pem(key: PrivateKey) -> str:
    """Return a private key as unencrypted PKCS #8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def to_pem(*certificates: x509.Certificate) -> str:
    """Return certificates as PEM blocks, in the order given."""
    return "".join(cert.public_bytes(serialization.Encoding.PEM).decode() for cert in certificates)


def _first(names: Sequence[str], ips: Sequence[str]) -> str:
    """Return what a certificate is called by default."""
    return [*names, *ips, "unnamed"][0]


def _name(common_name: str, organization: str | None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _moment(moment: Moment, usual: datetime.timedelta) -> datetime.datetime:
    if isinstance(moment, datetime.datetime):
        return moment
    return datetime.datetime.now(datetime.UTC) + (usual if moment is None else moment)


def _key_usage(*, is_ca: bool, rsa_key: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=rsa_key and not is_ca,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _sign_again_with_sha1(cert: x509.Certificate, signer: PrivateKey) -> x509.Certificate:
    """Return the same certificate signed with SHA-1.

    Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }, and the algorithm
    stands in tbsCertificate too (RFC 5280, section 4.1); its identifiers are from RFC 3279, section 2.2.
    """
    tbs = cert.tbs_certificate_bytes
    if isinstance(signer, rsa.RSAPrivateKey):
        old, new = _RSA_WITH_SHA256, _RSA_WITH_SHA1
    else:
        old, new = _ECDSA_WITH_SHA256, _ECDSA_WITH_SHA1
    body = tbs[_header_length(tbs) :].replace(old, new, 1)
    tbs = _der(0x30, body)
    if isinstance(signer, rsa.RSAPrivateKey):
        signature = signer.sign(tbs, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - the fault to be found
    elif isinstance(signer, ec.EllipticCurvePrivateKey):
        signature = signer.sign(tbs, ec.ECDSA(hashes.SHA1()))  # noqa: S303
    else:
        raise TypeError("SHA-1 signatures exist for RSA and ECDSA only")
    return x509.load_der_x509_certificate(_der(0x30, tbs + new + _der(0x03, b"\0" + signature)))


def _der(tag: int, content: bytes) -> bytes:
    """Return a DER value with its tag and length (X.690, section 8.1.3)."""
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def _header_length(der: bytes) -> int:
    """Return how many bytes tag and length take."""
    return 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
