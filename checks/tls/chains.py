"""What a served chain is: whose, how far it reaches, and why no path leads to a trusted authority."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from regdoctor.api import (
    Certainty,
    Handshake,
    Handshakes,
    MissingIssuers,
    ServedCertificate,
    TrustContext,
    Verification,
    VerificationError,
)

from . import words

EXPIRED = "cert-has-expired"
NOT_YET_VALID = "cert-not-yet-valid"
INVALID_PURPOSE = "invalid-purpose"
"""Names of :class:`VerificationError` for a path that exists and is refused all the same."""

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
ANY_USAGE = "2.5.29.37.0"
"""Extended key usages that servers may have (RFC 5280 section 4.2.1.12)."""

_NO_ISSUER = frozenset(
    {
        "unable-to-get-issuer-cert",
        "unable-to-get-issuer-cert-locally",
        "unable-to-verify-leaf-signature",
        "self-signed-cert-in-chain",
        "depth-zero-self-signed-cert",
    }
)

# "TRAEFIK DEFAULT CERT", "Kubernetes Ingress Controller Fake Certificate" and their like. Words with blanks
# between them: a host called default-cert is none.
_DEFAULT_CERTIFICATE = re.compile(r"\b(?:default|fake|dummy|placeholder)\b[ \w]{0,30}\bcert", re.IGNORECASE)

_INTERMEDIATE = re.compile(r"\b(?:intermediate|issuing|subordinate|sub[ -]?ca|signing)\b", re.IGNORECASE)
_ROOT = re.compile(r"\broot\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]{2,}")
_WORDS_OF_ALL = frozenset(
    {
        "ca",
        "cn",
        "ou",
        "root",
        "authority",
        "certificate",
        "certification",
        "the",
        "and",
        "inc",
        "ltd",
        "gmbh",
    }
)


@dataclass(frozen=True)
class Served:
    """One chain and the addresses that serve it."""

    handshake: Handshake
    addresses: tuple[str, ...]
    others: tuple[str, ...]
    """Addresses of the same name that serve another chain, or none."""
    times: int = 1
    out_of: int = 1
    """How many handshakes, and of how many with the same addresses, showed this chain."""

    @property
    def leaf(self) -> ServedCertificate:
        """The server's own certificate."""
        return self.handshake.chain[0]

    @property
    def verification(self) -> Verification | None:
        """What the trust that counts for this run makes of the chain."""
        return self.handshake.verifications[0] if self.handshake.verifications else None

    @property
    def covers_name(self) -> bool:
        """Whether the leaf is made for the name used."""
        return self.handshake.name_matches is not False

    @property
    def is_default(self) -> bool:
        """Whether an ingress or proxy made this certificate for names that it has no certificate for."""
        if self.covers_name:
            return False
        name = self.leaf.common_name
        return (name is not None and _DEFAULT_CERTIFICATE.search(name) is not None) or any(
            name.lower().endswith(".traefik.default") or name.lower() == "ingress.local"
            for name in self.leaf.dns_names
        )

    @property
    def where(self) -> str:
        """A sentence that names the addresses, where not all of them serve this chain; else nothing."""
        if not self.others:
            return ""
        if unequal := [address for address in self.addresses if address in self.others]:
            return (
                f" It is so in some handshakes with {words.listed(unequal)} ({self.times} of {self.out_of}), and "
                "others show another certificate: the servers behind this address are not equal."
            )
        return (
            f" It is so at {words.listed(self.addresses)}; {words.listed(self.others)} "
            f"{'does' if len(self.others) == 1 else 'do'} not serve this chain."
        )

    def path_errors(self, name: str) -> Iterator[tuple[VerificationError, ServedCertificate | None]]:
        """The errors of a kind on the path to a trusted authority, with the certificate where it is known."""
        verification = self.verification
        for error in verification.errors if verification is not None and verification.path else ():
            if error.name == name and verification is not None:
                yield error, self._on_path(verification, error.depth)

    def _on_path(self, verification: Verification, depth: int) -> ServedCertificate | None:
        if depth >= len(verification.path):
            return None
        known = [*self.handshake.chain, *([verification.anchor] if verification.anchor is not None else [])]
        return next((each for each in known if each.sha256 == verification.path[depth]), None)

    @property
    def ancestors(self) -> tuple[ServedCertificate, ...]:
        """The served certificates above the leaf to which signatures lead, nearest first."""
        found, pending, chain = [0], [0], self.handshake.chain
        while pending:
            for position in self._signers(pending.pop(0)):
                if position not in found:
                    found.append(position)
                    pending.append(position)
        return tuple(chain[position] for position in found[1:])

    @property
    def top(self) -> ServedCertificate:
        """The last of the leaf's line of served issuers."""
        return (self.leaf, *self.ancestors)[-1]

    @property
    def strangers(self) -> tuple[ServedCertificate, ...]:
        """Served certificates that have no part in any line from the leaf upwards."""
        line = {self.leaf.sha256, *(each.sha256 for each in self.ancestors)}
        return tuple(each for each in self.handshake.chain if each.sha256 not in line)

    @property
    def out_of_order(self) -> tuple[ServedCertificate, ...]:
        """Served certificates that stand before the first one that they signed (RFC 8446 section 4.4.2)."""
        chain = self.handshake.chain
        strangers = {each.sha256 for each in self.strangers}
        return tuple(
            certificate
            for position, certificate in enumerate(chain)
            if position > 0
            and certificate.sha256 not in strangers
            and chain.index(certificate) == position
            and not any(position in self._signers(before) for before in range(position))
        )

    def _signers(self, position: int) -> tuple[int, ...]:
        signers = self.handshake.signers
        return signers[position] if position < len(signers) else ()


def served(handshakes: Handshakes) -> list[Served]:
    """Every different chain, in the order of the addresses."""
    groups: dict[tuple[str, ...], list[Handshake]] = {}
    for handshake in handshakes.handshakes:
        if handshake.chain:
            groups.setdefault(tuple(each.sha256 for each in handshake.chain), []).append(handshake)
    return [
        Served(
            handshake=group[0],
            addresses=tuple(each.address for each in group),
            others=tuple(dict.fromkeys(each.address for each in handshakes.handshakes if each not in group)),
            times=sum(each.times for each in group),
            out_of=sum(
                each.times
                for each in handshakes.handshakes
                if any(each.address == one.address for one in group)
            ),
        )
        for group in groups.values()
    ]


@dataclass(frozen=True)
class Untrusted:
    """Why no path leads to a trusted authority."""

    code: str
    certainty: Certainty
    why: str
    """Sentences with the values that were seen."""
    fix: tuple[str, ...] = ()
    """Steps that go before those of the code."""


_UNKNOWN = "docker says: x509: certificate signed by unknown authority."


@dataclass(frozen=True)
class _Broken:
    """A chain that no trust in its root makes good."""

    why: str
    """A sentence without its end, with a place for the name of the certificate at which it was found."""
    message: str
    """What Go's clients say (``crypto/x509`` ``verify.go``)."""
    fix: str


_NOT_FOR_THIS_NAME = _Broken(
    "an authority above {0} may sign for other names only (name constraints, RFC 5280 section 4.2.1.10)",
    "x509: a root or intermediate certificate is not authorized to sign for this name",
    "use an authority that may sign for this name, or a name that this one may sign for",
)
_NO_AUTHORITY = _Broken(
    "{0} signed a certificate and is no authority (CA:TRUE and key usage keyCertSign are needed for that)",
    "x509: invalid signature: parent certificate cannot sign this kind of certificate",
    "make the issuing certificate anew as an authority (openssl: basicConstraints=critical,CA:TRUE and "
    "keyUsage=keyCertSign), and what it signed as well",
)
_BROKEN = {
    "permitted-violation": _NOT_FOR_THIS_NAME,
    "excluded-violation": _NOT_FOR_THIS_NAME,
    "invalid-ca": _NO_AUTHORITY,
    "keyusage-no-certsign": _NO_AUTHORITY,
    "path-length-exceeded": _Broken(
        "{0} has more authorities below it than its path length allows (RFC 5280 section 4.2.1.9)",
        "x509: too many intermediates for path length constraint",
        "issue the certificate from an authority higher up, or that one with a longer path length",
    ),
    "unhandled-critical-extension": _Broken(
        "{0} has an extension that is marked critical and that clients do not know",
        "x509: unhandled critical extension",
        "make the certificate anew without that extension, or not critical",
    ),
}


def why_untrusted(each: Served, issuers: MissingIssuers | None) -> Untrusted | None:
    """Why no path leads from the leaf to a trusted authority, whatever the dates; None where one does."""
    verification = each.verification
    if verification is None or verification.path or verification.accepted:
        return None
    context = verification.context
    if each.leaf.self_signed:
        return Untrusted(
            "tls/self-signed",
            Certainty.PROVEN,
            f"The certificate ({words.called(each.leaf)}, SHA-256 {each.leaf.sha256}) is signed by its own "
            f"key, and it is not among {words.trusted(context)}. {_UNKNOWN}",
        )
    broken = next(
        (error for error in verification.errors if error.name not in {*_NO_ISSUER, EXPIRED, NOT_YET_VALID}),
        None,
    )
    if broken is not None:
        return _invalid(broken)
    top = each.top
    sent = words.count(len(each.handshake.chain), "certificate")
    begin = f"The server sends {sent}; the issuer of {words.called(top)}, {top.issuer}, is not sent."
    missing, certainty, why = _is_intermediate_missing(each, verification, issuers)
    if top.self_signed:
        begin = f"The server sends {sent} up to the root {words.called(top)}."
    return Untrusted(
        "tls/missing-intermediate" if missing else "tls/unknown-authority",
        certainty,
        f"{begin} {why} {_UNKNOWN}",
    )


def _invalid(error: VerificationError) -> Untrusted:
    """A chain that is not valid in itself, whatever is trusted."""
    where = error.subject or "the server's own certificate"
    known = _BROKEN.get(error.name)
    if known is None:
        said = error.name.replace("-", " ")
        why = f"The chain is not valid in itself: {said}, at {where}. {_UNKNOWN}"
        return Untrusted("tls/unknown-authority", Certainty.PROVEN, why)
    return Untrusted(
        "tls/unknown-authority",
        Certainty.PROVEN,
        f"The chain is not valid in itself, whoever is trusted: {known.why.format(where)}. docker says: "
        f"{known.message}.",
        (known.fix,),
    )


def _is_intermediate_missing(
    each: Served, verification: Verification, issuers: MissingIssuers | None
) -> tuple[bool, Certainty, str]:
    """Whether an intermediate is missing, how sure that is, and why."""
    context, top = verification.context, each.top
    unknown = f"It is not among {words.trusted(context)}."
    if verification.namesakes:
        return (
            False,
            Certainty.PROVEN,
            f"An authority called {verification.namesakes[0]} is trusted, but its key did not sign this "
            "chain: the "
            "authority was made anew under its old name, and this host has another generation of it.",
        )
    if top.self_signed:
        return False, Certainty.PROVEN, unknown
    for lookup in issuers.lookups if issuers is not None else ():
        found = lookup.certificate
        if found is None or lookup.of != top.sha256:
            continue
        if lookup.completes:
            return True, Certainty.PROVEN, f"Fetched from {lookup.url} and added, it completes the chain."
        if found.self_signed:
            return False, Certainty.PROVEN, f"It is a root of its own ({lookup.url}). {unknown}"
        return (
            False,
            Certainty.PROVEN,
            f"It is an intermediate below {found.issuer} ({lookup.url}), and even with it no trusted root is "
            f"reached; besides, the server should send it. {unknown}",
        )
    if top.authority_issuer is not None and top.authority_issuer == top.issuer:
        return (
            False,
            Certainty.PROVEN,
            f"By its own certificate's authority key identifier it is a root. {unknown}",
        )
    if top.authority_issuer is not None:
        return (
            True,
            Certainty.PROVEN,
            "By the authority key identifier it is an intermediate, itself issued by "
            f"{top.authority_issuer}.",
        )
    if each.ancestors:
        return False, Certainty.PROVEN, f"The chain is sent up to there, as it should be. {unknown}"
    return _guess(top, context, unknown)


def _guess(leaf: ServedCertificate, context: TrustContext, unknown: str) -> tuple[bool, Certainty, str]:
    """A lone leaf with an issuer that nobody here knows: a root not trusted, or an intermediate not sent."""
    decides = (
        "What decides is that issuer's own certificate: where its subject and issuer are the same it is a "
        "root and "
        "has to be trusted here; where they differ the server has to send it."
    )
    if _ROOT.search(leaf.issuer):
        return False, Certainty.LIKELY, f"By its name it is a root. {unknown} {decides}"
    if leaf.issuer_urls:
        return True, Certainty.LIKELY, f"It is said to lie at {leaf.issuer_urls[0]}. {decides}"
    if _INTERMEDIATE.search(leaf.issuer):
        return True, Certainty.LIKELY, f"By its name it is an intermediate. {decides}"
    for own in context.own_authorities:
        if _telling_words(own) & _telling_words(leaf.issuer):
            why = f"It seems to belong to {own}, which is trusted for this registry. {decides}"
            return True, Certainty.LIKELY, why
    return False, Certainty.LIKELY, f"{unknown} {decides}"


def _telling_words(name: str) -> set[str]:
    """The words of a name that are not in the names of all authorities."""
    return {word.lower() for word in _WORD.findall(name)} - _WORDS_OF_ALL
