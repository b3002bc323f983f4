"""Facts about TLS: the served chain, the handshake, and what each trust context makes of the chain."""

from __future__ import annotations

from datetime import datetime

import msgspec

from regdoctor.facts.base import EndpointFact, Failure


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


class VerificationError(msgspec.Struct, frozen=True, kw_only=True):
    """One error that OpenSSL's chain verification reported, with the chain depth (0 = leaf)."""

    name: str
    """OpenSSL's name without the prefix ``X509_V_ERR_``, in lower case with hyphens: ``unable-to-get-issuer-cert-locally``."""
    depth: int
    subject: str


class TrustContext(msgspec.Struct, frozen=True, kw_only=True):
    """A set of authorities that some client on this host would trust for this endpoint."""

    name: str
    """``system``, ``given`` (--cacert), ``docker``, ``containers`` or ``containerd``."""
    paths: tuple[str, ...]
    authorities: int
    problem: str | None = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What one trust context makes of the served chain; no errors means that it accepts it."""

    context: TrustContext
    errors: tuple[VerificationError, ...]


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """One TLS handshake with one address, which went on whatever verification said."""

    address: str
    server_name: str
    seconds: float
    protocol: str | None = None
    cipher: str | None = None
    chain: tuple[ServedCertificate, ...] = ()
    verifications: tuple[Verification, ...] = ()
    name_matches: bool | None = None
    """Whether a subject alternative name covers the name used (RFC 9525 section 6); null without a chain."""
    client_certificate_requested: bool = False
    client_authorities: tuple[str, ...] = ()
    failure: Failure | None = None
    plaintext_excerpt: str | None = None
    """The first bytes, escaped, where the peer answered the ClientHello with something that is not TLS."""


class Handshakes(EndpointFact, frozen=True, kw_only=True):
    """TLS handshakes with every address that accepted a connection."""

    handshakes: tuple[Handshake, ...]
