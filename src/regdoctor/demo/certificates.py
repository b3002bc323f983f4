"""Certificates for the embedded registry: a private authority, an intermediate and a server's leaf."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


@dataclass(frozen=True)
class ServerFiles:
    """Paths of PEM files: what the server shows, its key, and the authority that clients trust."""

    chain: Path
    key: Path
    authority: Path


def make_server_files(
    folder: Path,
    *,
    name: str = "localhost",
    address: str = "127.0.0.1",
    valid_from: timedelta = timedelta(days=-1),
    valid_for: timedelta = timedelta(days=90),
    send_intermediate: bool = True,
) -> ServerFiles:
    """Makes a root, an intermediate and a leaf, and writes what a server and its clients need.

    :param valid_from: start of the leaf's validity, relative to now.
    :param valid_for: its length.
    :param send_intermediate: whether the server's chain holds the intermediate.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID

    now = datetime.now(UTC)
    long = (now - timedelta(days=400), now + timedelta(days=400))
    root_key, root = _issue("regdoctor demo root", None, None, long, authority=True)
    middle_key, middle = _issue("regdoctor demo intermediate", root_key, root, long, authority=True)
    start = now + valid_from
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address(address))])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    leaf_key, leaf = _issue(
        name, middle_key, middle, (start, start + valid_for), authority=False, extensions=(names, usage)
    )
    pem = serialization.Encoding.PEM
    chain = leaf.public_bytes(pem) + (middle.public_bytes(pem) if send_intermediate else b"")
    files = ServerFiles(chain=folder / "server.crt", key=folder / "server.key", authority=folder / "ca.crt")
    files.chain.write_bytes(chain)
    files.authority.write_bytes(root.public_bytes(pem))
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _issue(
    common_name: str,
    issuer_key: EllipticCurvePrivateKey | None,
    issuer: x509.Certificate | None,
    validity: tuple[datetime, datetime],
    *,
    authority: bool,
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer_key or key).public_key()),
            critical=False,
        )
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return key, builder.sign(issuer_key or key, hashes.SHA256())
