"""TLS as the clients of a registry speak it: handshakes that see everything, and the settings for HTTP.

A handshake here goes on whatever the certificate is; :func:`regdoctor.net.verification.verify` judges the
chain afterwards, once for each set of authorities.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regdoctor.certificates import covers, pem_certificates, read_certificate, signers
from regdoctor.facts.base import Failure, FailureKind
from regdoctor.facts.tls import Handshake, ServedCertificate
from regdoctor.host.trust import ClientPair, TrustStore, folder_names, system_authorities, trust_stores
from regdoctor.net.failures import Step, failure_of, make_failure
from regdoctor.net.verification import LONGEST_CHAIN, der_of_openssl
from regdoctor.options import Options

if TYPE_CHECKING:
    import ssl

    from OpenSSL import SSL

_USUAL_CIPHERS = "DEFAULT:@SECLEVEL=0"
"""Go's clients accept keys that OpenSSL refuses at its usual level; how weak they are is judged apart."""

_ANY_CIPHER = "ALL:!aNULL:!eNULL:@SECLEVEL=0"

_GO_CIPHERS = (
    "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:"
    "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:AES128-GCM-SHA256:AES256-GCM-SHA384:"
    "AES128-SHA256:AES128-SHA:AES256-SHA:@SECLEVEL=0"
)
"""The suites of TLS 1.2 that Go's clients offer (``crypto/tls`` ``cipher_suites.go``); no DHE."""

_LEGACY_SERVER_CONNECT = 0x4
"""``SSL_OP_LEGACY_SERVER_CONNECT``: servers without RFC 5746, as Go's clients accept them."""

LONGEST_EXCERPT = 512
"""Bytes of an answer that is not TLS that are kept."""

_LARGEST_FLIGHT = 1024 * 1024
"""Bytes of a server's side of a handshake that are read: many times what the longest chains take."""

_MOST_NAMES = 50
_EXCERPT_PAUSE = 0.3

CONNECTION_FAULTS = frozenset({FailureKind.PROXY_UNREACHABLE, FailureKind.PROXY_REFUSED})
"""Failures before TLS begins that a handshake through a forward proxy may end with."""

Opener = Callable[[float], socket.socket | Failure]
"""Opens the connection for one handshake within the seconds given."""


class Offer(Enum):
    """Which versions and cipher suites a ClientHello offers."""

    USUAL = "usual"
    """What Go's clients offer: TLS 1.2 and 1.3."""
    ANY = "any"
    """Everything that OpenSSL can do, TLS 1.0 included."""
    LEGACY = "legacy"
    """TLS 1.0 and 1.1 alone."""


def handshake(
    address: str,
    server_name: str,
    open_connection: Opener,
    *,
    timeout: float,
    offer: Offer = Offer.USUAL,
    pair: ClientPair | None = None,
) -> Handshake:
    """One handshake, which goes on whatever the certificate is; no verification has been done yet.

    :param address: what the result is to be called: the IP address behind the connection.
    :param server_name: for SNI and for the comparison with the certificate's names.
    :param open_connection: see :data:`Opener`; :func:`direct` makes one.
    :param timeout: seconds for the handshake, the connection not counted.
    :param pair: a client certificate to offer where the server asks for one.
    """
    opened = open_connection(timeout)
    if isinstance(opened, Failure):
        return Handshake(address=address, server_name=server_name, seconds=0.0, failure=opened)
    with opened:
        return _Attempt(opened, address, server_name, timeout, offer, pair).run()


def direct(address: str, port: int) -> Opener:
    """Connects to an address itself."""

    def connect(timeout: float) -> socket.socket | Failure:
        try:
            return socket.create_connection((address, port), timeout=timeout)
        except OSError as error:
            return failure_of(error, step=Step.CONNECT, where=f"{address} port {port}")

    return connect


def plain_answer(open_connection: Opener, host: str, *, timeout: float) -> str | None:
    """The beginning of what a port answers to ``GET /v2/`` without TLS, escaped; None where nothing comes.

    No credential is sent.

    :param host: for the ``Host`` header, with the port.
    """
    opened = open_connection(timeout)
    if isinstance(opened, Failure):
        return None
    request = f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\nUser-Agent: regdoctor\r\nConnection: close\r\n\r\n"
    with opened:
        try:
            opened.settimeout(timeout)
            opened.sendall(request.encode("ascii", "replace"))
            content = _more(opened, b"", time.monotonic() + timeout)
        except OSError:
            return None
    return escaped(content) or None


def escaped(content: bytes) -> str:
    """Bytes as printable ASCII, the rest as backslash escapes."""
    return content[:LONGEST_EXCERPT].decode("latin-1").encode("unicode_escape").decode("ascii")


def _more(connection: socket.socket, content: bytes, end: float) -> bytes:
    """What arrives on a connection until it ends, is long enough, or pauses; at least one read is awaited."""
    while len(content) < LONGEST_EXCERPT:
        left = end - time.monotonic()
        if left <= 0:
            break
        connection.settimeout(min(left, _EXCERPT_PAUSE) if content else left)
        try:
            received = connection.recv(LONGEST_EXCERPT)
        except OSError:
            break
        if not received:
            break
        content += received
    return content


class _NotTls(Exception):  # noqa: N818 - ends a handshake, carries what came instead
    def __init__(self, content: bytes) -> None:
        super().__init__("the answer is not TLS")
        self.content = content


class _ClosedEarly(Exception):  # noqa: N818 - ends a handshake
    pass


@dataclass
class _Attempt:
    """One handshake in progress."""

    connection: socket.socket
    address: str
    server_name: str
    timeout: float
    offer: Offer
    pair: ClientPair | None
    asked: bool = False
    """Whether a CertificateRequest came (RFC 8446 section 4.3.2, RFC 5246 section 7.4.4)."""
    received: int = 0
    plain: bytes | None = None
    pair_problem: str | None = None
    offered: ServedCertificate | None = None
    end: float = field(init=False)

    def run(self) -> Handshake:
        from OpenSSL import SSL

        started = time.monotonic()
        self.end = started + self.timeout
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            tls = SSL.Connection(self._context(), None)
            if not _is_address(self.server_name):
                tls.set_tlsext_host_name(self.server_name.rstrip(".").encode("ascii", "ignore"))
            tls.set_connect_state()
            failure = self._failure_of(lambda: self._shake(tls))
            seconds = time.monotonic() - started
            done = failure is None
            if done and self.asked:
                # In TLS 1.3 a server refuses a client's certificate only after the client is done.
                failure = self._failure_of(lambda: self._await_verdict(tls))
            return self._result(tls, seconds, failure, done=done)

    def _context(self) -> SSL.Context:
        from OpenSSL import SSL

        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_options(_LEGACY_SERVER_CONNECT)
        context.set_verify(SSL.VERIFY_NONE)
        usual = self.offer is Offer.USUAL
        context.set_cipher_list((_GO_CIPHERS if usual else _ANY_CIPHER).encode())
        context.set_min_proto_version(SSL.TLS1_2_VERSION if usual else SSL.TLS1_VERSION)
        if self.offer is Offer.LEGACY:
            context.set_max_proto_version(SSL.TLS1_1_VERSION)
        context.set_info_callback(self._note)
        if self.pair is not None:
            self._load(context, self.pair)
        return context

    def _note(self, tls: SSL.Connection, _where: int, _code: int) -> None:
        if b"certificate request" in tls.get_state_string():
            self.asked = True

    def _load(self, context: SSL.Context, pair: ClientPair) -> None:
        from OpenSSL import SSL

        try:
            content, key = pair.cert.read_bytes(), pair.key.read_bytes()
        except OSError as error:
            self.pair_problem = f"{error.filename} cannot be read: {error.strerror}"
            return
        certificates = pem_certificates(content)
        if not certificates:
            self.pair_problem = f"{pair.cert} holds no PEM certificate"
        elif b"ENCRYPTED" in key:
            # OpenSSL would ask for the password on the terminal.
            self.pair_problem = f"{pair.key} is encrypted"
        else:
            try:
                context.use_certificate_chain_file(str(pair.cert))
                context.use_privatekey_file(str(pair.key))
                context.check_privatekey()
            except SSL.Error:
                self.pair_problem = f"{pair.cert} and {pair.key} do not belong together or cannot be read"
            else:
                self.offered = read_certificate(certificates[0])

    def _failure_of(self, step: Callable[[], None]) -> Failure | None:
        from OpenSSL import SSL

        try:
            step()
        except _NotTls as error:
            self.plain = error.content
            return make_failure(FailureKind.TLS_NOT_SPOKEN, self.address)
        except _ClosedEarly:
            return make_failure(FailureKind.CONNECTION_CLOSED, self.address)
        except (SSL.Error, OSError) as error:
            return failure_of(error, step=Step.TLS, where=self.address)
        return None

    def _shake(self, tls: SSL.Connection) -> None:
        from OpenSSL import SSL

        while True:
            try:
                tls.do_handshake()
            except SSL.WantReadError:
                self._send(tls)
                self._receive(tls)
            except SSL.Error:
                self._send(tls)
                raise
            else:
                self._send(tls)
                return

    def _await_verdict(self, tls: SSL.Connection) -> None:
        """Says goodbye and reads until the server ends too; an alert that it sends before is its verdict."""
        from OpenSSL import SSL

        tls.shutdown()
        self._send(tls)
        while True:
            try:
                tls.recv(4096)
            except SSL.WantReadError:
                try:
                    self._receive(tls)
                except (_ClosedEarly, TimeoutError):
                    return
            except SSL.ZeroReturnError:
                return

    def _send(self, tls: SSL.Connection) -> None:
        from OpenSSL import SSL

        while True:
            try:
                content = tls.bio_read(16384)
            except SSL.WantReadError:
                return
            self.connection.settimeout(self._left())
            self.connection.sendall(content)

    def _receive(self, tls: SSL.Connection) -> None:
        self.connection.settimeout(self._left())
        content = self.connection.recv(16384)
        if not content:
            raise _ClosedEarly
        if self.received == 0 and not _looks_like_tls(content):
            raise _NotTls(_more(self.connection, content, self.end))
        self.received += len(content)
        if self.received > _LARGEST_FLIGHT:
            raise OSError("more than any handshake takes")
        tls.bio_write(content)

    def _left(self) -> float:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the handshake's time is over")
        return left

    def _result(
        self, tls: SSL.Connection, seconds: float, failure: Failure | None, *, done: bool
    ) -> Handshake:
        chain = tuple(der_of_openssl(each) for each in (tls.get_peer_cert_chain() or [])[:LONGEST_CHAIN])
        certificates = tuple(read_certificate(der) for der in chain)
        authorities = []
        for name in (tls.get_client_ca_list() if self.asked else [])[:_MOST_NAMES]:
            authorities.append(_name_text(name.get_components()))
        return Handshake(
            address=self.address,
            server_name=self.server_name,
            seconds=seconds,
            protocol=tls.get_protocol_version_name() if done else None,
            cipher=tls.get_cipher_name() if done else None,
            chain=certificates,
            signers=signers(chain),
            name_matches=covers(certificates[0], self.server_name) if certificates else None,
            client_certificate_requested=self.asked,
            client_authorities=tuple(authorities),
            client_certificate=self.offered,
            client_certificate_problem=self.pair_problem,
            failure=failure,
            plaintext_excerpt=None if self.plain is None else escaped(self.plain),
        )


def _looks_like_tls(content: bytes) -> bool:
    """Whether an answer begins as a TLS record: a content type, then major version 3 (RFC 8446 5.1)."""
    return 20 <= content[0] <= 24 and (len(content) < 2 or content[1] == 3)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _name_text(components: Iterable[tuple[bytes, bytes]]) -> str:
    """A name as RFC 4514 writes it, the most specific part first."""
    parts = [
        f"{key.decode('ascii', 'replace')}={value.decode('utf-8', 'replace')}" for key, value in components
    ]
    return ",".join(reversed(parts))


def client_context(
    options: Options,
    host_port: str,
    home: Path,
    *,
    verify: bool,
    shared: dict[str, Any],
    lock: threading.Lock,
    environment: Mapping[str, str],
    domain: str | None = None,
    own: bool = True,
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
    :param domain: ``HOST[:PORT]`` as the image reference writes the registry, which names its trust folder;
        docker and podman use that folder for its token server and blob host as well.
    :param own: whether ``host_port`` is that registry; for another host a folder of its own goes before.
    """
    names = folder_names(host_port, domain if own else None)
    if domain is not None and not own:
        names = (*names, domain)
    store = trust_stores(options, names, home, environment)[0]
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
    context.options |= _LEGACY_SERVER_CONNECT
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
