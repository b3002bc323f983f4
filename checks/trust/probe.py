"""Looks into the folders of authorities and client certificates of every client on this host."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from regdoctor.api import (
    Context,
    Endpoint,
    Handshakes,
    LocalAuthority,
    NotApplicable,
    Role,
    RunningDaemon,
    RunningDaemons,
    TrustFile,
    TrustFolder,
    TrustFolders,
    certificates,
    probe,
    processes,
    trust,
    verification,
)

DAEMONS = frozenset({"dockerd", "containerd", "crio", "kubelet", "buildkitd"})
"""Programs that read the system's authorities once, when they start (Go's ``x509.SystemCertPool``)."""


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


@probe
def look_at_daemons() -> RunningDaemons:
    """Which daemons that pull images run here, since when, and what was added to the system's authorities."""
    daemons = []
    for process in processes.running(lambda name: name in DAEMONS):
        started = process.started_at()
        if started is not None:
            daemons.append(RunningDaemon(name=process.name, pid=process.pid, started_at=started))
    if not daemons:
        raise NotApplicable("no daemon that pulls images runs on this host")
    authorities = []
    for path, found in trust.local_authorities():
        with contextlib.suppress(OSError):
            changed = datetime.fromtimestamp(path.stat().st_ctime, UTC)
            hashes = tuple(certificates.read_certificate(der).sha256 for der in found)
            authorities.append(LocalAuthority(path=str(path), changed_at=changed, sha256=hashes))
    return RunningDaemons(daemons=tuple(daemons), authorities=tuple(authorities))


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
