"""Looks into the folders of authorities and client certificates of every client on this host."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from regdoctor.api import (
    Context,
    Endpoint,
    Handshakes,
    NotApplicable,
    Role,
    TrustFile,
    TrustFolder,
    TrustFolders,
    certificates,
    probe,
    trust,
    verification,
)


@probe
def look_into_folders(endpoint: Endpoint, handshakes: Handshakes | None, context: Context) -> TrustFolders:
    """Lists the certs.d folders, and sees which file would make the served chain trusted."""
    if endpoint.role not in (Role.REGISTRY, Role.MIRROR, Role.UPSTREAM):
        raise NotApplicable(f"clients use the registry's own folders for the {endpoint.role.value} too")
    if endpoint.scheme != "https":
        raise NotApplicable(f"clients address {endpoint.address} by plain HTTP")
    domain = context.target.domain if endpoint.role is Role.REGISTRY else None
    names = trust.folder_names(endpoint.address, domain)
    expected, listed = trust.list_folders(context.options, names, context.home)
    if not listed:
        raise NotApplicable("no client on this host has certificates in certs.d")
    chain = _served(handshakes)
    return TrustFolders(
        expected=tuple(str(path) for path in expected),
        folders=tuple(
            TrustFolder(
                path=str(folder.path),
                client=folder.client,
                used=folder.used,
                files=tuple(_file(path, folder.files, chain) for path in folder.files),
                problem=folder.problem,
            )
            for folder in listed
        ),
    )


def _served(handshakes: Handshakes | None) -> list[bytes]:
    """The first chain that a handshake showed."""
    for handshake in handshakes.handshakes if handshakes is not None else ():
        if handshake.chain:
            return [certificates.der_of(each) for each in handshake.chain]
    return []


def _file(path: Path, beside: Sequence[Path], chain: Sequence[bytes]) -> TrustFile:
    content = trust.read_small(path)
    if content is None:
        return TrustFile(path=str(path), problem=f"{path} cannot be read")
    found = certificates.pem_certificates(content)
    read = [certificates.read_certificate(der) for der in found]
    is_key = b"PRIVATE KEY-----" in content
    return TrustFile(
        path=str(path),
        subjects=tuple(each.subject for each in read),
        authority=any(each.is_ca or each.self_signed for each in read),
        completes=bool(found and chain) and _completes(found, chain),
        key=is_key,
        key_of=_certificate_of(content, [other for other in beside if other != path]) if is_key else None,
    )


def _completes(found: Sequence[bytes], chain: Sequence[bytes]) -> bool:
    store = trust.TrustStore(name="file", extra=trust.Authorities(tuple(found)))
    return bool(verification.verify(chain, store, trust.Authorities(()), datetime.now(UTC)).path)


def _certificate_of(content: bytes, others: Sequence[Path]) -> str | None:
    """The file beside a key whose certificate has the key's public half."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            public = (
                serialization.load_pem_private_key(content, password=None).public_key().public_bytes(*form)
            )
        except Exception:
            # Encrypted, broken, or of a kind that cannot be read here: nothing can be said.
            return None
        for other in others:
            for der in certificates.pem_certificates(trust.read_small(other) or b""):
                try:
                    own = x509.load_der_x509_certificate(der).public_key().public_bytes(*form)
                except Exception:  # noqa: S112 - the same for the certificate
                    continue
                if own == public:
                    return str(other)
    return None
