"""Facts about TLS, healthy unless a test says otherwise; no certificate is made and nothing is contacted."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from regdoctor.api import (
    Endpoint,
    Failure,
    FailureKind,
    Handshake,
    Handshakes,
    Moment,
    Role,
    ServedCertificate,
    TrustContext,
    Verification,
    VerificationError,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MOMENT = Moment(now=NOW)
DAY = timedelta(days=1)
ENDPOINT = Endpoint(role=Role.REGISTRY, scheme="https", host="reg.test", port=5000)
SYSTEM = "/etc/ssl/certs/ca-certificates.crt"

ROOT, INTERMEDIATE, LEAF = "CN=Lab Root CA", "CN=Lab Issuing CA", "CN=reg.test"


def certificate(subject: str = LEAF, issuer: str = INTERMEDIATE, **changes: Any) -> ServedCertificate:
    """A sound server certificate of today."""
    is_ca = subject in (ROOT, INTERMEDIATE)
    values: dict[str, Any] = {
        "sha256": hashlib.sha256(repr((subject, issuer, changes)).encode()).hexdigest(),
        "pem": "",
        "subject": subject,
        "issuer": issuer,
        "serial": "1",
        "not_before": NOW - 30 * DAY,
        "not_after": NOW + 60 * DAY,
        "common_name": subject.removeprefix("CN="),
        "dns_names": () if is_ca else ("reg.test",),
        "ip_addresses": (),
        "has_alternative_names": not is_ca,
        "is_ca": is_ca,
        "self_signed": subject == issuer,
        "key_type": "EC",
        "key_bits": 256,
        "signature_hash": "sha256",
        "extended_key_usages": () if is_ca else ("1.3.6.1.5.5.7.3.1",),
        "issuer_urls": (),
    }
    return ServedCertificate(**{**values, **changes})


def root(**changes: Any) -> ServedCertificate:
    """The root of the lab."""
    return certificate(ROOT, ROOT, not_after=NOW + 3000 * DAY, **changes)


def intermediate(**changes: Any) -> ServedCertificate:
    """The intermediate of the lab, below its root."""
    return certificate(INTERMEDIATE, ROOT, **{"not_after": NOW + 900 * DAY, **changes})


def context(name: str = "docker", *own: str) -> TrustContext:
    """The system's authorities, and further ones for this registry."""
    paths = (SYSTEM, *(f"/etc/docker/certs.d/reg.test:5000/{number}.crt" for number, _ in enumerate(own)))
    return TrustContext(name=name, paths=paths, authorities=140 + len(own), own_authorities=own)


def accepted(
    *path: ServedCertificate, name: str = "docker", anchor: ServedCertificate | None = None
) -> Verification:
    """The verification of a path to an authority that is trusted."""
    anchor = anchor if anchor is not None else root()
    hashes = tuple(dict.fromkeys(each.sha256 for each in (*path, anchor)))
    return Verification(context=context(name, ROOT), errors=(), path=hashes, anchor=anchor)


def refused(
    error: str = "unable-to-get-issuer-cert-locally",
    *,
    depth: int = 0,
    path: tuple[ServedCertificate, ...] = (),
    own: tuple[str, ...] = (),
    name: str = "docker",
    namesakes: tuple[str, ...] = (),
    subject: str = LEAF,
) -> Verification:
    """A verification that ends with an error; with a path the error is about dates or usage."""
    return Verification(
        context=context(name, *own),
        errors=(VerificationError(name=error, depth=depth, subject=subject),),
        path=tuple(each.sha256 for each in path),
        anchor=path[-1] if path else None,
        namesakes=namesakes,
    )


def handshake(*chain: ServedCertificate, **changes: Any) -> Handshake:
    """A handshake that succeeds with a chain in which each certificate was signed by the next one."""
    chain = chain or (certificate(), intermediate())
    names = [each.subject for each in chain]
    values: dict[str, Any] = {
        "address": "192.0.2.1",
        "server_name": "reg.test",
        "seconds": 0.01,
        "protocol": "TLSv1.3",
        "cipher": "TLS_AES_128_GCM_SHA256",
        "chain": chain,
        "signers": tuple(
            tuple(position for position, name in enumerate(names) if name == each.issuer) for each in chain
        ),
        "name_matches": "reg.test" in chain[0].dns_names,
        "verifications": (accepted(*chain),),
    }
    return Handshake(**{**values, **changes})


def failed(kind: FailureKind, **changes: Any) -> Handshake:
    """A handshake that never came to a certificate."""
    failure = Failure(
        kind=kind, message=f"the handshake failed: {kind.value}", alert=changes.pop("alert", None)
    )
    values = {"address": "192.0.2.1", "server_name": "reg.test", "seconds": 0.01, "failure": failure}
    return Handshake(**{**values, **changes})


def handshakes(*each: Handshake) -> Handshakes:
    """What the probe provides."""
    return Handshakes(handshakes=each or (handshake(),))
