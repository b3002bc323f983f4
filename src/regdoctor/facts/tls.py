"""Facts about TLS: the served chain, the handshake, and what each trust context makes of the chain."""

from __future__ import annotations

from datetime import datetime

import msgspec

from regdoctor.facts.base import Cell, EndpointFact, Fact, Failure, Table, TableFact


class ServedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """One X.509 certificate of the served chain, read (RFC 5280). Times are UTC."""

    sha256: str
    pem: str
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    common_name: str | None
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    has_alternative_names: bool
    is_ca: bool
    self_signed: bool
    """Issuer and subject are the same and the certificate's own key verifies its signature."""
    key_type: str
    key_bits: int
    signature_hash: str | None
    extended_key_usages: tuple[str, ...]
    """Dotted OIDs; empty where the extension is absent."""
    issuer_urls: tuple[str, ...]
    """Authority information access, caIssuers (RFC 5280 section 4.2.2.1)."""
    authority_issuer: str | None = None
    """Who issued the issuer, where the authority key identifier says so (RFC 5280 section 4.2.1.1)."""
    problem: str | None = None
    """Why it could not be read in full, null where it could; what could not be read is empty then."""


class VerificationError(msgspec.Struct, frozen=True, kw_only=True):
    """One error that OpenSSL's chain verification reported, with the chain depth (0 = leaf)."""

    name: str
    """OpenSSL's name without the prefix ``X509_V_ERR_``, in lower case with hyphens: ``cert-has-expired``."""
    depth: int
    subject: str


class TrustContext(msgspec.Struct, frozen=True, kw_only=True):
    """A set of authorities that some client on this host would trust for this endpoint."""

    name: str
    """``system``, ``given`` (--cacert, --certs-dir), ``docker``, ``containers`` or ``containerd``."""
    paths: tuple[str, ...]
    authorities: int
    problem: str | None = None
    """Why one of its files could not be used."""
    own_authorities: tuple[str, ...] = ()
    """The subjects of those authorities that it has for this host alone, besides the system's."""
    own_paths: tuple[str, ...] = ()
    """The files that hold them."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What one trust context makes of the served chain; no errors means that it accepts it."""

    context: TrustContext
    errors: tuple[VerificationError, ...]
    path: tuple[str, ...] = ()
    """SHA-256 of each certificate from the leaf to the trusted one, whatever the dates; empty without one."""
    anchor: ServedCertificate | None = None
    """The trusted certificate at the end of the path."""
    namesakes: tuple[str, ...] = ()
    """Trusted subjects that bear the name of an issuer which is needed, but whose key did not sign."""

    @property
    def accepted(self) -> bool:
        """Whether this trust context accepts the chain today, names aside."""
        return not self.errors


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """A TLS handshake with one address, which went on whatever verification said.

    There are several with one address where repeated handshakes showed different chains: servers behind it that
    are not equal.

    ``address`` is an IP literal, or the host's name where a forward proxy connects. ``server_name`` is what
    was asked for by SNI (RFC 6066 section 3), unless it is an IP literal. ``seconds`` begin once TCP connects.
    """

    address: str
    server_name: str
    seconds: float
    times: int = 1
    """How many handshakes with this address showed this chain."""
    protocol: str | None = None
    cipher: str | None = None
    chain: tuple[ServedCertificate, ...] = ()
    signers: tuple[tuple[int, ...], ...] = ()
    """For each certificate of the chain the positions of those in it that signed it, by name and key."""
    verifications: tuple[Verification, ...] = ()
    """The first is the one that counts for this run; the others are for comparison."""
    name_matches: bool | None = None
    """Whether a subject alternative name covers the name used (RFC 9525 section 6); null without a chain."""
    client_certificate_requested: bool = False
    client_authorities: tuple[str, ...] = ()
    """The authorities by which the server wants client certificates to be issued, as it names them."""
    client_certificate: ServedCertificate | None = None
    """The one that this host has for the registry and offered, null where it has none."""
    client_certificate_problem: str | None = None
    """Why a client certificate that this host has could not be offered."""
    failure: Failure | None = None
    usual_failure: Failure | None = None
    """Why a first handshake failed that offered only what Go's clients offer, where one that also offered
    older versions and ciphers then went through."""
    plaintext_excerpt: str | None = None
    """The first bytes, escaped, where the peer answered the ClientHello with something that is not TLS."""
    plain_http_excerpt: str | None = None
    """The beginning of the answer, escaped, to ``GET /v2/`` without TLS, where no handshake came about."""


class PlainPort(EndpointFact, frozen=True, kw_only=True):
    """A TLS handshake with a port that clients address by plain HTTP, tried where HTTP did not go well."""

    handshake: Handshake


class IssuerLookup(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate fetched from a caIssuers URL of a served one (RFC 5280 section 4.2.2.1)."""

    url: str
    of: str
    """SHA-256 of the certificate that names the URL."""
    certificate: ServedCertificate | None = None
    completes: bool = False
    """Whether the chain together with it leads to an authority that is trusted for this run, dates aside."""
    failure: Failure | None = None


class MissingIssuers(EndpointFact, frozen=True, kw_only=True):
    """What lies at the caIssuers URLs of served certificates whose issuer was neither sent nor is trusted."""

    lookups: tuple[IssuerLookup, ...]


_TRUST = {
    "given": "given authorities",
    "docker": "docker certs.d",
    "containers": "containers certs.d",
    "containerd": "containerd hosts.toml",
    "system": "system bundle",
}
_REFUSALS = {
    "unable-to-get-issuer-cert": "unknown authority",
    "unable-to-get-issuer-cert-locally": "unknown authority",
    "unable-to-verify-leaf-signature": "unknown authority",
    "self-signed-cert-in-chain": "unknown authority",
    "depth-zero-self-signed-cert": "self-signed",
    "cert-has-expired": "expired",
    "cert-not-yet-valid": "not yet valid",
    "invalid-purpose": "not for servers",
}


class Handshakes(EndpointFact, TableFact, frozen=True, kw_only=True):
    """TLS handshakes with every address that accepted a connection.

    As a table: what each trust context of this host makes of each chain that is served, where they differ.
    """

    handshakes: tuple[Handshake, ...]

    def table(self) -> Table | None:
        """The trust contexts by row, the chains by column."""
        chains: dict[tuple[str, ...], list[Handshake]] = {}
        for each in self.handshakes:
            if each.verifications:
                chains.setdefault(tuple(one.sha256 for one in each.chain), []).append(each)
        shown = [each[0] for each in chains.values()]
        if all(len({one.accepted for one in each.verifications}) < 2 for each in shown):
            return None
        where = [
            f"at {', '.join(dict.fromkeys(one.address for one in each))}" if len(chains) > 1 else "judgement"
            for each in chains.values()
        ]
        contexts = {one.context.name: one.context for each in shown for one in each.verifications}
        return Table(
            title=f"Who on this host trusts the certificate of {shown[0].server_name}",
            columns=("trust", *where),
            rows=tuple(
                (_context_cell(context), *(_judgement_cell(name, each) for each in shown))
                for name, context in contexts.items()
            ),
        )


def _context_cell(context: TrustContext) -> Cell:
    files = context.paths if context.name == "system" else context.own_paths
    notes = (", ".join(files) or "no file for this host: the system bundle alone", context.problem)
    return Cell(text=_TRUST.get(context.name, context.name), notes=tuple(filter(None, notes)))


def _judgement_cell(name: str, handshake: Handshake) -> Cell:
    found = next((one for one in handshake.verifications if one.context.name == name), None)
    if found is None:
        return Cell(text="")
    if found.accepted:
        return Cell(
            text="accepted", notes=(f"by {found.anchor.subject}",) if found.anchor is not None else ()
        )
    first = found.errors[0]
    said = _REFUSALS.get(first.name, first.name.replace("-", " "))
    return Cell(text=f"refused: {said}", notes=(f"at {first.subject}",) if first.subject else ())


class ClientRejection(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a server's log: a client ended the handshake with an alert about the server's certificate."""

    line: int | None
    """Counted from 1; null where only the end of a long log was read."""
    client: str
    """The client's address."""
    alert: str
    """In the words of Go's ``crypto/tls``."""


class ClientRejections(Fact, frozen=True, kw_only=True):
    """What a server's log says about clients that reject its certificate."""

    path: str
    count: int
    last: tuple[ClientRejection, ...]
    """The latest lines, oldest first."""
    whole: bool
    """Whether the log was read from its beginning."""
