"""A small registry client for preparing tests: it pushes what the program under test is to look at."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from tests.support.netns import Namespace

Credential = tuple[str, str]
"""User name and password."""


@dataclass(frozen=True)
class Response:
    """An HTTP answer, whole."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class RegistryClient:
    """Talks to one registry, answering Basic and Bearer challenges with the credential it was given.

    ``addresses`` maps host names to IP addresses, since the tests' names are in no resolver; ``ca`` is the
    PEM file to trust. Redirects are not followed.
    """

    def __init__(
        self,
        url: str,
        *,
        addresses: Mapping[str, str] | None = None,
        ca: Path | None = None,
        credential: Credential | None = None,
        namespace: Namespace | None = None,
        timeout: float = 20,
    ) -> None:
        self.url = url.rstrip("/")
        self._addresses = dict(addresses or {})
        self._ca = ca
        self._credential = credential
        self._namespace = namespace
        self._timeout = timeout
        self._authorization: dict[str, str] = {}

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Send a request to a path of the registry or to a URL, and again after a 401 with a challenge."""
        url = urljoin(self.url + "/", target)
        space = self._protection_space(method, url)
        sent = dict(headers or {})
        if space in self._authorization:
            sent.setdefault("Authorization", self._authorization[space])
        response = self.exchange(method, url, headers=sent, body=body)
        if response.status != 401 or "Authorization" in (headers or {}):
            return response
        authorization = self._answer(response.headers.get("WWW-Authenticate", ""))
        if authorization is None or authorization == sent.get("Authorization"):
            return response
        self._authorization[space] = authorization
        sent["Authorization"] = authorization
        return self.exchange(method, url, headers=sent, body=body)

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Response:
        """Send one request as it is and return the answer, whatever its status; raises OSError.

        Headers in pairs may have a name more than once.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        connection.sock = self._connect(host, port, secure=secure)
        # The Host header names a port only where it is not the scheme's own (RFC 9110, section 7.2).
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        try:
            connection.putheader("Host", parts.netloc.rpartition("@")[2])
            for name, value in headers.items() if isinstance(headers, Mapping) else headers:
                connection.putheader(name, value)
            if body is not None or method in {"POST", "PUT", "PATCH"}:
                connection.putheader("Content-Length", str(len(body or b"")))
            # A server may answer and close before it has read the body, as proxies with a limit do.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(body)
            answer = connection.getresponse()
            return Response(answer.status, answer.msg, answer.read())
        finally:
            connection.close()

    def _connect(self, host: str, port: int, *, secure: bool) -> socket.socket:
        address = (self._addresses.get(host, host), port)

        def dial() -> socket.socket:
            made = socket.create_connection(address, timeout=self._timeout)
            # Otherwise a request in two writes waits 40 ms for a delayed acknowledgement.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made

        plain = dial() if self._namespace is None else self._namespace.call(dial)
        if not secure:
            return plain
        context = ssl.create_default_context(cafile=self._ca)
        return context.wrap_socket(plain, server_hostname=host)

    def _protection_space(self, method: str, url: str) -> str:
        """Return the key under which an Authorization header may be used again: in effect the scope."""
        path = urlsplit(url).path
        repository = re.match(r"/v2/(.+?)/(?:manifests|blobs|tags)/", path)
        kind = {"GET": "read", "HEAD": "read"}.get(method, "write")
        return f"{kind} {repository.group(1) if repository else path}"

    def _answer(self, challenge: str) -> str | None:
        """Return the Authorization header that answers a challenge, or None where none can."""
        scheme, _, rest = challenge.partition(" ")
        parameters = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if scheme.lower() == "basic" and self._credential is not None:
            return basic_authorization(self._credential)
        if scheme.lower() != "bearer" or "realm" not in parameters:
            return None
        query = [(key, parameters[key]) for key in ("service", "scope") if key in parameters]
        headers = {} if self._credential is None else {"Authorization": basic_authorization(self._credential)}
        response = self.exchange("GET", f"{parameters['realm']}?{urlencode(query)}", headers=headers)
        if response.status != 200:
            return None
        answer = response.json()
        return f"Bearer {answer.get('token') or answer['access_token']}"

    def push_blob(self, repository: str, content: bytes, digest: str) -> None:
        """Upload a blob in one PUT, unless the repository has it; raises AssertionError with the answer."""
        if self.request("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200:
            return
        started = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        _expect(started, 202, f"start an upload to {repository}")
        location = urlsplit(urljoin(self.url + "/", started.headers["Location"]))
        query = urlencode([*parse_qsl(location.query), ("digest", digest)])
        finished = self.request(
            "PUT",
            location._replace(query=query).geturl(),
            headers={"Content-Type": "application/octet-stream"},
            body=content,
        )
        _expect(finished, 201, f"upload {digest} to {repository}")

    def push_manifest(self, repository: str, reference: str, content: bytes, media_type: str) -> None:
        """Upload a manifest under a tag or digest; raises AssertionError with the answer."""
        response = self.request(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            headers={"Content-Type": media_type},
            body=content,
        )
        _expect(response, 201, f"push manifest {repository}:{reference}")


def basic_authorization(credential: Credential) -> str:
    """Return the value of a Basic Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(":".join(credential).encode()).decode()


def _expect(response: Response, status: int, what: str) -> None:
    if response.status != status:
        headers = "".join(f"{name}: {value}\n" for name, value in response.headers.items())
        body = response.body[:2000].decode(errors="replace")
        raise AssertionError(f"{what}: {response.status} instead of {status}\n{headers}{body}")
