"""Runs an HTTP server of the tests in threads of this process: plain or TLS, here or in a namespace."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.support.certificates import CertificateFiles
from tests.support.netns import Namespace


@dataclass(frozen=True)
class Request:
    """A request as a server of the tests received it."""

    method: str
    target: str
    """As in the request line: path and query, or what a proxy is asked for."""
    headers: Message
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What a server of the tests sends; Content-Length is added where the headers lack it."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    date: bool = True
    """Whether to add the Date header."""


def json_answer(status: int, value: object, *headers: tuple[str, str]) -> Answer:
    """Return an answer with a JSON body."""
    return Answer(status, json.dumps(value).encode(), (("Content-Type", "application/json"), *headers))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.context: ssl.SSLContext | None = None
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        # Without HTTPServer's look-up of the host's name, which asks a resolver.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is None:
            super().finish_request(request, client_address)
            return
        # In the connection's own thread, so that a slow handshake holds up nobody else.
        request.settimeout(30)
        with self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that distrust the certificate or hang up are part of the tests.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Reads whole requests and sends whole answers; logs nothing and names no product."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True

    def respond(self, request: Request) -> Answer:
        """Return the answer to a request."""
        raise NotImplementedError

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""

    def _handle(self) -> None:
        self.send(self.respond(self._read()))

    def send(self, answer: Answer) -> None:
        """Send an answer, without its body where the request was HEAD."""
        self.send_response_only(answer.status)
        names = {name.lower() for name, _ in answer.headers}
        if answer.date and "date" not in names:
            self.send_header("Date", self.date_time_string())
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    # The base class looks them up by these names.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle  # noqa: N815

    def _read(self) -> Request:
        """Return the request with its whole body, which has a length or is chunked (RFC 9112, section 6)."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b"".join(iter(self._read_chunk, b""))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return Request(self.command, self.path, self.headers, body)

    def _read_chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        content = self.rfile.read(size)
        self.rfile.readline()
        return content


class HTTPServer:
    """An HTTP/1.1 server that runs while the context is open.

    ``respond`` is called for every request, in the connection's thread. ``name`` is what clients call the
    host; the address by default. The port is bound from the beginning, because others' configurations name
    it.
    """

    def __init__(
        self,
        respond: Callable[[Request], Answer],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str | None = None,
        tls: CertificateFiles | None = None,
        namespace: Namespace | None = None,
    ) -> None:
        self.host = host
        self.name = name or host
        self.tls = tls
        self.requests: list[Request] = []
        """Every request so far, in the order of arrival."""
        self._handler = self._handler_of(respond)
        self.port = port
        """The port that it listens on, also when it is stopped and started again."""
        self._namespace = namespace
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._open()

    def _handler_of(self, respond: Callable[[Request], Answer]) -> type[Handler]:
        """Return a handler class that hands every request to a function."""
        requests = self.requests

        class RespondingHandler(Handler):
            def respond(self, request: Request) -> Answer:
                requests.append(request)
                return respond(request)

        return RespondingHandler

    def _open(self) -> None:
        def make() -> _Server:
            return _Server(self.host, self.port, self._handler)

        self._server = make() if self._namespace is None else self._namespace.call(make)
        self.port = self._server.server_port
        if self.tls is not None:
            self._server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server.context.load_cert_chain(self.tls.fullchain, self.tls.key)

    def __enter__(self) -> Self:
        if self._server is None:
            self._open()
        assert self._server is not None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop serving and close the port."""
        if self._server is not None:
            if self._thread is not None:
                self._server.shutdown()
                self._thread.join()
            self._server.server_close()
        self._server = self._thread = None

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        host = f"[{self.name}]" if ":" in self.name else self.name
        return f"{'https' if self.tls is not None else 'http'}://{host}:{self.port}"

    @property
    def hosts(self) -> dict[str, str]:
        """The name and the address it stands for; empty where the name is the address."""
        return {} if self.name == self.host else {self.name: self.host}
