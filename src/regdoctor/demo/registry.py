"""A small read-only OCI registry for loopback, with HTTP Basic and token authentication.

It serves one image, keeps everything in memory and exists to be diagnosed: what it can do wrong is in
:class:`Behaviour`. It follows the OCI distribution-spec v1.1 for what it serves, and answers unknown names
as CNCF distribution does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from regdoctor.demo.certificates import ServerFiles

REPOSITORY = "demo/app"
TAG = "1.0"
USER = "demo"
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Behaviour:
    """What the embedded registry does; the default is healthy."""

    authentication: str = "none"
    """``none``, ``basic`` or ``token``."""
    realm: str | None = None
    """The token server that the challenge names, where it is not this server itself."""
    granted: tuple[str, ...] = ("pull",)
    platforms: tuple[str, ...] = ("linux/amd64", "linux/arm64")
    lose_layer: bool = False
    status: int | None = None
    """Answer everything with this status and an HTML page, as a proxy does."""
    page: bool = False
    """Answer everything 200 with an HTML page, as a portal does."""


@dataclass(frozen=True)
class Content:
    """Blobs and manifests by digest, and the tags."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def make_content(behaviour: Behaviour) -> Content:
    """An index under ``demo/app:1.0`` with a small image for each platform."""
    content = Content()
    children = []
    for platform in behaviour.platforms:
        system, architecture = platform.split("/")[:2]
        layer = f"the files of {platform}\n".encode()
        config = _json(
            {"os": system, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}}
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(_CONFIG, config),
                "layers": [_descriptor(_LAYER, layer)],
            }
        )
        content.blobs[_digest(config)] = config
        if not behaviour.lose_layer:
            content.blobs[_digest(layer)] = layer
        content.manifests[_digest(manifest)] = (_MANIFEST, manifest)
        children.append(
            _descriptor(_MANIFEST, manifest) | {"platform": {"os": system, "architecture": architecture}}
        )
    index = _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": children})
    content.manifests[_digest(index)] = (_INDEX, index)
    content.tags[TAG] = _digest(index)
    return content


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


@contextmanager
def serve(behaviour: Behaviour, files: ServerFiles | None, password: str) -> Iterator[tuple[str, int]]:
    """Runs the registry on a free port of 127.0.0.1; gives its host and port.

    :param files: certificate chain and key, or None for plain HTTP.
    :param password: of the user ``demo``.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    server.behaviour = behaviour
    server.content = make_content(behaviour)
    server.password = password
    server.scheme = "https" if files is not None else "http"
    if files is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(files.chain, files.key)
        # The handshake happens in the connection's own thread, on its first read.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield "localhost", server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    behaviour: Behaviour
    content: Content
    password: str
    scheme: str

    def handle_error(self, request: object, client_address: object) -> None:
        """Broken handshakes are what some faults are about; they are no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 10

    def version_string(self) -> str:
        return "regdoctor-demo"

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: standard error belongs to the diagnosis."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        behaviour = self.server.behaviour
        path = urlsplit(self.path).path
        if behaviour.page or behaviour.status is not None:
            status = behaviour.status or 200
            self._send(status, "text/html", f"<html><body><h1>{status}</h1></body></html>".encode())
        elif path == "/token":
            self._token()
        elif path == "/v2" or not path.startswith("/v2/"):
            self._send(404, "text/plain", b"404 page not found\n")
        elif not self._authorised(path):
            self._challenge(path)
        elif path == "/v2/":
            self._send(200, "application/json", b"{}")
        else:
            self._serve(path.removeprefix("/v2/"))

    def _serve(self, path: str) -> None:
        content = self.server.content
        name, _, rest = path.partition("/manifests/")
        if rest and name == REPOSITORY:
            found = content.manifests.get(content.tags.get(rest, rest))
            if found is None:
                self._error(404, "MANIFEST_UNKNOWN", "manifest unknown", {"Tag": rest})
            else:
                self._send(200, found[0], found[1], (("Docker-Content-Digest", _digest(found[1])),))
            return
        name, _, digest = path.partition("/blobs/")
        if digest and name == REPOSITORY:
            blob = content.blobs.get(digest)
            if blob is None:
                self._error(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": digest})
            else:
                self._send(200, "application/octet-stream", blob, (("Docker-Content-Digest", digest),))
            return
        if path == f"{REPOSITORY}/tags/list":
            self._send(200, "application/json", _json({"name": REPOSITORY, "tags": sorted(content.tags)}))
        elif path == "_catalog":
            self._send(200, "application/json", _json({"repositories": [REPOSITORY]}))
        else:
            self._error(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": path})

    def _authorised(self, path: str) -> bool:
        behaviour = self.server.behaviour
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if behaviour.authentication == "none":
            return True
        if behaviour.authentication == "basic":
            return scheme.lower() == "basic" and self._password_fits(value)
        return scheme.lower() == "bearer" and (path == "/v2/" or value.startswith("may-pull-"))

    def _password_fits(self, value: str) -> bool:
        expected = base64.b64encode(f"{USER}:{self.server.password}".encode()).decode()
        return secrets.compare_digest(value.encode(), expected.encode())

    def _challenge(self, path: str) -> None:
        behaviour = self.server.behaviour
        if behaviour.authentication == "basic":
            challenge = 'Basic realm="regdoctor demo"'
        else:
            realm = behaviour.realm or f"{self.server.scheme}://{self.headers.get('Host')}/token"
            challenge = f'Bearer realm="{realm}",service="regdoctor demo"'
            if path != "/v2/":
                challenge += f',scope="repository:{REPOSITORY}:pull"'
            if self.headers.get("Authorization"):
                challenge += ',error="insufficient_scope"'
        self._error(401, "UNAUTHORIZED", "authentication required", None, (("WWW-Authenticate", challenge),))

    def _token(self) -> None:
        given = self.headers.get("Authorization", "")
        if given and not self._password_fits(given.partition(" ")[2]):
            self._send(401, "application/json", _json({"errors": [{"code": "UNAUTHORIZED"}]}))
            return
        kind = "may-pull" if given and "pull" in self.server.behaviour.granted else "may-nothing"
        token = f"{kind}-{secrets.token_urlsafe(16)}"
        self._send(200, "application/json", _json({"token": token, "expires_in": 300}))

    def _error(
        self, status: int, code: str, message: str, detail: object, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        body = _json({"errors": [{"code": code, "message": message, "detail": detail}]})
        self._send(status, "application/json", body, headers)

    def _send(
        self, status: int, media_type: str, body: bytes, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.send_response(status)
        if not self.server.behaviour.page and self.server.behaviour.status is None:
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
