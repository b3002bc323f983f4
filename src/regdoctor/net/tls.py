"""TLS as the clients of a registry speak it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regdoctor.host.trust import ClientPair, TrustStore, system_authorities, trust_store
from regdoctor.options import Options

if TYPE_CHECKING:
    import ssl

_USUAL_CIPHERS = "DEFAULT:@SECLEVEL=0"
"""Go's clients accept keys that OpenSSL refuses at its usual level; how weak they are is judged apart."""

_ANY_CIPHER = "ALL:!aNULL:!eNULL:@SECLEVEL=0"


def client_context(
    options: Options,
    host_port: str,
    home: Path,
    *,
    verify: bool,
    shared: dict[str, Any],
    lock: threading.Lock,
    environment: Mapping[str, str],
) -> ssl.SSLContext:
    """The TLS settings for HTTP with one registry, trusting what docker on this host would trust for it.

    With ``verify`` chain and name are verified, and nothing older than TLS 1.2 is spoken, as in Go's
    clients; names are looked up in the subject alternative names alone. Without, anything goes; no
    credential may be sent then. A client certificate that the options or the registry's ``certs.d`` folder
    name is offered; one that cannot be loaded is left out, for the handshakes' own probe reports it.

    :param host_port: ``host:port`` of the registry, an IPv6 literal in brackets.
    :param home: the caller's home, for folders below it.
    :param shared: the run's own store, guarded by ``lock``: contexts and bundles are made once a run.
    :param environment: looked up for ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.
    """
    store = trust_store(options, host_port, home)
    key = f"ssl context {verify} {store.files} {store.pairs}"
    with lock:
        kept = shared.get(key)
    if kept is None:
        authorities = system_authorities(environment, shared, lock).certificates if verify else ()
        kept = _make_context(store, authorities, verify=verify)
        with lock:
            kept = shared.setdefault(key, kept)
    context: ssl.SSLContext = kept
    return context


def _make_context(store: TrustStore, system: tuple[bytes, ...], *, verify: bool) -> ssl.SSLContext:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(_USUAL_CIPHERS if verify else _ANY_CIPHER)
    _offer(context, store.pairs)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        return context
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    # Go takes any certificate of its pool for an anchor, not only self-signed ones.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_TRUSTED_FIRST
    _trust(context, (*system, *store.extra.certificates))
    return context


def _trust(context: ssl.SSLContext, certificates: Iterable[bytes]) -> None:
    """Loads authorities; one that OpenSSL cannot read must not cost the others."""
    import ssl

    certificates = tuple(certificates)
    if not certificates:
        return
    try:
        context.load_verify_locations(cadata=b"".join(certificates))
    except ssl.SSLError:
        for der in certificates:
            try:
                context.load_verify_locations(cadata=der)
            except ssl.SSLError:
                continue


def _offer(context: ssl.SSLContext, pairs: Iterable[ClientPair]) -> None:
    import ssl

    for pair in pairs:
        try:
            # An empty password keeps OpenSSL from asking on the terminal for that of an encrypted key.
            context.load_cert_chain(pair.cert, pair.key, password="")
        except (OSError, ssl.SSLError, ValueError):
            continue
        return
