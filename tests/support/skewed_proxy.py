"""A reverse proxy in front of a registry whose clock is wrong: it moves the Date of every answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path

from tests.support.certificates import CertificateFiles
from tests.support.http_server import Answer, HTTPServer, Request
from tests.support.netns import Namespace
from tests.support.registry_client import RegistryClient

# Of one connection only (RFC 9110, section 7.6.1); the body is passed on whole.
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
}


class SkewedProxy(HTTPServer):
    """A reverse proxy that adds ``offset`` seconds to the Date header of what the upstream answers.

    ``offset=None`` removes the header. ``ca`` and ``addresses`` are for the way to the upstream. Bodies
    pass through memory: it is for small images. The registry is told host and scheme in X-Forwarded
    headers, so that uploads work through it.
    """

    def __init__(
        self,
        upstream: str,
        *,
        offset: float | None,
        ca: Path | None = None,
        addresses: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str | None = None,
        tls: CertificateFiles | None = None,
        namespace: Namespace | None = None,
    ) -> None:
        self.offset = offset
        self._upstream = upstream
        self._client = RegistryClient(upstream, ca=ca, addresses=addresses, namespace=namespace)
        super().__init__(self._forward, host=host, port=port, name=name, tls=tls, namespace=namespace)

    def _forward(self, request: Request) -> Answer:
        passed = [pair for pair in request.headers.items() if pair[0].lower() not in _HOP_BY_HOP]
        passed.append(("X-Forwarded-Proto", "http" if self.tls is None else "https"))
        passed.append(("X-Forwarded-Host", request.headers["Host"]))
        url = self._upstream + request.target
        response = self._client.exchange(request.method, url, headers=passed, body=request.body or None)
        headers = [
            (name, value)
            for name, value in response.headers.items()
            if name.lower() not in _HOP_BY_HOP - {"content-length"} and name.lower() != "date"
        ]
        if self.offset is not None:
            sent = response.headers.get("Date")
            moment = parsedate_to_datetime(sent).timestamp() if sent else time.time()
            headers.append(("Date", formatdate(moment + self.offset, usegmt=True)))
        return Answer(response.status, response.body, headers, date=self.offset is not None)
