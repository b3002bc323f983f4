"""Judges a served chain as a client with given authorities would, and names everything that is wrong.

OpenSSL builds the paths. As in Go's clients every certificate of the store is an anchor, not only
self-signed ones (``crypto/x509`` ``verify.go``). Names are not looked at here (:func:`certificates.covers`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from regdoctor.certificates import names_of, read_certificate, signers
from regdoctor.facts.tls import ServedCertificate, TrustContext, Verification, VerificationError
from regdoctor.host.trust import Authorities, TrustStore

if TYPE_CHECKING:
    from OpenSSL import crypto

LONGEST_CHAIN = 20
"""Certificates of a served chain that are looked at."""

_MOST_ANCHORS = 100

_PARTIAL_CHAIN = 0x80000
_NO_CHECK_TIME = 0x200000

EXPIRED = "cert-has-expired"
NOT_YET_VALID = "cert-not-yet-valid"
INVALID_PURPOSE = "invalid-purpose"

_ERROR_NAMES = {
    2: "unable-to-get-issuer-cert",
    7: "cert-signature-failure",
    9: NOT_YET_VALID,
    10: EXPIRED,
    17: "out-of-mem",
    18: "depth-zero-self-signed-cert",
    19: "self-signed-cert-in-chain",
    20: "unable-to-get-issuer-cert-locally",
    21: "unable-to-verify-leaf-signature",
    22: "cert-chain-too-long",
    24: "invalid-ca",
    25: "path-length-exceeded",
    26: INVALID_PURPOSE,
    32: "keyusage-no-certsign",
    34: "unhandled-critical-extension",
    47: "permitted-violation",
    48: "excluded-violation",
    66: "ee-key-too-small",
    67: "ca-key-too-small",
    68: "ca-md-too-weak",
    79: "invalid-ca",
}
"""X509_V_ERR_… by number (openssl/x509_vfy.h)."""

_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_ANY_USAGE = "2.5.29.37.0"


def verify(chain: Sequence[bytes], store: TrustStore, system: Authorities, now: datetime) -> Verification:
    """What a client that trusts the system's authorities and the store's own makes of a served chain.

    :param chain: DER, the leaf first; at least one.
    :param now: the time at which it is judged, UTC.
    """
    chain = chain[:LONGEST_CHAIN]
    anchors = _anchors(chain, (store.extra, system))
    path, refusal = _path(chain, anchors, now)
    if path is None:
        errors = [refusal] if refusal is not None else []
    elif refusal is None:
        errors = _usage_errors(path)
    else:
        # A path exists and is refused at this time.
        errors = [*_date_errors(path, now), *_usage_errors(path)] or [refusal]
    return Verification(
        context=TrustContext(
            name=store.name,
            paths=(*system.paths, *(str(path) for path in store.files)),
            authorities=len(system.certificates) + len(store.extra.certificates),
            problem=store.problem,
            own_paths=tuple(str(path) for path in store.files),
            own_authorities=tuple(read_certificate(der).subject for der in store.extra.certificates[:20]),
        ),
        errors=tuple(errors),
        path=tuple(each.sha256 for each in path or ()),
        anchor=path[-1] if path else None,
        namesakes=_namesakes(chain, anchors) if path is None else (),
    )


def _anchors(chain: Sequence[bytes], trusted: Sequence[Authorities]) -> tuple[bytes, ...]:
    """Those authorities that bear a name of the chain, and their own issuers: all that a path can use."""
    found: dict[bytes, None] = {}
    pending = [name for der in chain for name in reversed(names_of(der) or ())]
    seen: set[bytes] = set()
    while pending and len(found) < _MOST_ANCHORS:
        name = pending.pop(0)
        if name in seen:
            continue
        seen.add(name)
        for authorities in trusted:
            for der in authorities.by_subject.get(name, ()):
                found[der] = None
                pending.extend((names_of(der) or ())[:1])
    return tuple(found)


def _path(
    chain: Sequence[bytes], anchors: Sequence[bytes], now: datetime
) -> tuple[tuple[ServedCertificate, ...] | None, VerificationError | None]:
    """The path that verifies now; or one that only dates forbid, with the error; or no path and the error."""
    path, refusal = _attempt(chain, anchors, now)
    if path is None:
        path, timeless_refusal = _attempt(chain, anchors, None)
        refusal = timeless_refusal or refusal
    return path, refusal


def _attempt(
    chain: Sequence[bytes], anchors: Sequence[bytes], now: datetime | None
) -> tuple[tuple[ServedCertificate, ...] | None, VerificationError | None]:
    """One verification by OpenSSL, at a given time or regardless of dates."""
    from OpenSSL import crypto

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        store = crypto.X509Store()
        for der in anchors:
            try:
                store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, der))
            except crypto.Error:
                continue
        if now is None:
            store.set_flags(_PARTIAL_CHAIN | _NO_CHECK_TIME)
        else:
            store.set_flags(_PARTIAL_CHAIN)
            store.set_time(now)
        try:
            leaf, *others = (crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in chain)
            verified = crypto.X509StoreContext(store, leaf, chain=others).get_verified_chain()
        except crypto.X509StoreContextError as error:
            return None, _error(error)
        except crypto.Error:
            return None, VerificationError(name="unreadable-certificate", depth=0, subject="")
        return tuple(read_certificate(der_of_openssl(each)) for each in verified), None


def _error(error: crypto.X509StoreContextError) -> VerificationError:
    number, depth, message = error.errors
    return VerificationError(
        name=_ERROR_NAMES.get(number) or str(message).lower().replace(" ", "-"),
        depth=int(depth),
        subject=read_certificate(der_of_openssl(error.certificate)).subject,
    )


def der_of_openssl(certificate: crypto.X509) -> bytes:
    """The bytes of a certificate that OpenSSL holds; none where it cannot write what it has read."""
    from OpenSSL import crypto

    try:
        return bytes(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))
    except crypto.Error:
        return b""


def _date_errors(path: Sequence[ServedCertificate], now: datetime) -> list[VerificationError]:
    """Every certificate of the path that is not valid at a time; clients judge the anchor's dates too."""
    return [
        VerificationError(
            name=EXPIRED if now > each.not_after else NOT_YET_VALID, depth=depth, subject=each.subject
        )
        for depth, each in enumerate(path)
        if not each.not_before <= now <= each.not_after
    ]


def _usage_errors(path: Sequence[ServedCertificate]) -> list[VerificationError]:
    """Every certificate of the path whose extended key usage rules out servers, as Go's clients judge."""
    return [
        VerificationError(name=INVALID_PURPOSE, depth=depth, subject=each.subject)
        for depth, each in enumerate(path)
        if each.extended_key_usages and not {_SERVER_AUTH, _ANY_USAGE} & set(each.extended_key_usages)
    ]


def _namesakes(chain: Sequence[bytes], anchors: Sequence[bytes]) -> tuple[str, ...]:
    """Anchors that bear the name of an issuer that the chain needs, and signed nothing of it."""
    found: dict[str, None] = {}
    issuers = {names[0] for names in map(names_of, chain) if names is not None}
    for der in anchors:
        names = names_of(der)
        if names is None or names[1] not in issuers or der in chain:
            continue
        if not any(0 in each for each in signers((der, *chain))[1:]):
            found[read_certificate(der).subject] = None
    return tuple(found)
