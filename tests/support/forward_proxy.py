"""A forward proxy, as companies put between their hosts and the world, with the ways in which it refuses."""

from __future__ import annotations

import contextlib
import dataclasses
import select
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.certificates import Authority, CertificateFiles
from tests.support.http_server import Answer, Handler, HTTPServer, Request
from tests.support.netns import Namespace
from tests.support.registry_client import Credential, RegistryClient, basic_authorization

_HTML = (("Content-Type", "text/html"), ("Via", "1.1 proxy.test"), ("Server", "tests-proxy"))


_IDLE_SECONDS = 60


@dataclass(frozen=True)
class ProxyBehaviour:
    """How the proxy treats those who use it."""

    credential: Credential | None = None
    """Demand this user and password; others get 407 with a Basic challenge."""
    challenge: str = 'Basic realm="proxy"'
    """The Proxy-Authenticate header of the 407."""
    refuse: Mapping[str, int] = field(default_factory=dict)
    """Answer requests for these hosts (``*``: every other) with a status and a page."""
    intercept: Authority | None = None
    """Open the tunnels' TLS with certificates of this authority, and do TLS anew towards the host."""
    delay: float = 0
    """Wait so many seconds before answering."""


class ForwardProxy(HTTPServer):
    """A proxy for CONNECT and for absolute request targets, while the context is open.

    ``addresses`` maps the names it is asked for to IP addresses; names it lacks are not resolved and get
    503, as from a proxy that is outside. ``requests`` holds what it was asked: ``CONNECT reg.test:443`` and
    the like. ``behaviour`` may be replaced at any time.
    """

    def __init__(
        self,
        *,
        addresses: Mapping[str, str] | None = None,
        behaviour: ProxyBehaviour | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str | None = None,
        tls: CertificateFiles | None = None,
        namespace: Namespace | None = None,
    ) -> None:
        self.behaviour = behaviour or ProxyBehaviour()
        self._addresses = dict(addresses or {})
        self._outside = namespace
        super().__init__(self._respond, host=host, port=port, name=name, tls=tls, namespace=namespace)

    @property
    def targets(self) -> list[str]:
        """What it was asked for so far, such as ``reg.test:443`` or ``http://reg.test/v2/``."""
        return [request.target for request in self.requests]

    def _handler_of(self, respond: Callable[[Request], Answer]) -> type[Handler]:
        proxy = self

        class ProxyHandler(super()._handler_of(respond)):  # type: ignore[misc]
            def do_CONNECT(self) -> None:  # noqa: N802 - looked up by this name
                proxy.requests.append(Request(self.command, self.path, self.headers))
                host, _, port = self.path.rpartition(":")
                refusal = proxy._refusal(host.strip("[]"), self.headers)
                try:
                    far = None if refusal is not None else proxy._dial(host.strip("[]"), int(port))
                except OSError as error:
                    refusal, far = _page(503, f"cannot reach {host}: {error}"), None
                self.close_connection = True
                if refusal is not None or far is None:
                    self.send(refusal or _page(503, "refused"))
                    return
                with far:
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    proxy._tunnel(self.connection, far, host.strip("[]"))

        return ProxyHandler

    def _respond(self, request: Request) -> Answer:
        parts = urlsplit(request.target)
        if not parts.hostname:
            return _page(400, "not a proxy request")
        refusal = self._refusal(parts.hostname, request.headers)
        if refusal is not None:
            return refusal
        if parts.hostname not in self._addresses:
            return _page(503, f"cannot resolve {parts.hostname}")
        client = RegistryClient(request.target, addresses=self._addresses, namespace=self._outside)
        dropped = {"proxy-authorization", "proxy-connection", "connection", "host", "content-length"}
        headers = [pair for pair in request.headers.items() if pair[0].lower() not in dropped]
        try:
            answer = client.exchange(
                request.method, request.target, headers=headers, body=request.body or None
            )
        except OSError as error:
            return _page(502, f"cannot reach {parts.hostname}: {error}")
        passed = [
            pair
            for pair in answer.headers.items()
            if pair[0].lower() not in {"transfer-encoding", "connection"}
        ]
        return Answer(answer.status, answer.body, [*passed, ("Via", "1.1 proxy.test")])

    def _refusal(self, host: str, headers: Message) -> Answer | None:
        """Return why a request is not served, or None."""
        behaviour = self.behaviour
        if behaviour.delay:
            time.sleep(behaviour.delay)
        if behaviour.credential is not None and headers.get("Proxy-Authorization") != basic_authorization(
            behaviour.credential
        ):
            page = _page(407, "Proxy Authentication Required")
            return dataclasses.replace(
                page, headers=[*page.headers, ("Proxy-Authenticate", behaviour.challenge)]
            )
        status = behaviour.refuse.get(host, behaviour.refuse.get("*"))
        return None if status is None else _page(status, f"access to {host} is not allowed")

    def _dial(self, host: str, port: int) -> socket.socket:
        address = self._addresses.get(host)
        if address is None:
            raise OSError(f"no address known for {host}")

        def dial() -> socket.socket:
            return socket.create_connection((address, port), timeout=20)

        return dial() if self._outside is None else self._outside.call(dial)

    def _tunnel(self, near: socket.socket, far: socket.socket, host: str) -> None:
        """Pass bytes both ways until both sides are done; errors end the tunnel."""
        authority = self.behaviour.intercept
        with contextlib.suppress(OSError):
            if authority is None:
                _pump_both_ways(near, far)
                return
            trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trusting.check_hostname = False
            trusting.verify_mode = ssl.CERT_NONE
            with (
                _forged_context(authority, host).wrap_socket(near, server_side=True) as opened,
                trusting.wrap_socket(far, server_hostname=host) as renewed,
            ):
                _pump_both_ways(opened, renewed)


def _forged_context(authority: Authority, host: str) -> ssl.SSLContext:
    """Return a server's TLS context with a certificate for a host, issued on the spot."""
    with tempfile.TemporaryDirectory() as folder:
        files = authority.issue([host], []).write(Path(folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.fullchain, files.key)
    return context


def _pump_both_ways(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes between two connections until either ends, or nothing moves for a while.

    In one thread and without blocking: a TLS connection may be readable for its own purposes only, and must
    not be used by two threads.
    """
    opposite = {one: other, other: one}
    for end in opposite:
        end.setblocking(False)
    while True:
        decrypted = [end for end in opposite if isinstance(end, ssl.SSLSocket) and end.pending()]
        readable = decrypted or select.select(list(opposite), [], [], _IDLE_SECONDS)[0]
        if not readable:
            return
        for source in readable:
            try:
                content = source.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            if not content:
                return
            _send_all(opposite[source], content)


def _send_all(sink: socket.socket, content: bytes) -> None:
    remaining = memoryview(content)
    while remaining:
        try:
            remaining = remaining[sink.send(remaining) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            select.select([], [sink], [], _IDLE_SECONDS)


def _page(status: int, text: str) -> Answer:
    body = f"<html><head><title>{status}</title></head><body><h1>{text}</h1></body></html>\n"
    return Answer(status, body.encode(), _HTML)
