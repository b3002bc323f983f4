"""The real nginx as a reverse proxy in front of a registry: right by default, wrong where a test says so."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from tests.support import ports, programs
from tests.support.certificates import CertificateFiles
from tests.support.netns import Namespace
from tests.support.processes import Daemon

# As in distribution's recipe for nginx; $http_host keeps the port, which $host drops.
RIGHT_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Host": "$http_host",
        "X-Real-IP": "$remote_addr",
        "X-Forwarded-For": "$proxy_add_x_forwarded_for",
        "X-Forwarded-Proto": "$scheme",
    }
)


@dataclass(frozen=True)
class ReverseProxy:
    """A server block that passes everything to an upstream.

    ``upstream``   URL of the registry (``Registry.upstream``), or of a group named in ``Nginx(upstreams=…)``
    ``listen_options``  such as ``http2`` or ``proxy_protocol``
    ``headers``    changes to RIGHT_HEADERS; None leaves one out, so that the upstream sees nginx's default
    ``client_max_body_size``  ``0`` is without limit; None leaves it out: nginx's default of 1 MB
    ``directives`` further lines of the location that passes on, such as ``limit_except GET HEAD { deny all;
    }``
    ``server_directives``     further lines of the server block
    ``locations``  further location blocks, whole, before the one that passes on
    ``path``       the path below which it passes on
    """

    upstream: str
    name: str = "_"
    host: str = "127.0.0.1"
    port: int = field(default_factory=ports.free_port)
    tls: CertificateFiles | None = None
    listen_options: Sequence[str] = ()
    headers: Mapping[str, str | None] = field(default_factory=dict)
    client_max_body_size: str | None = "0"
    request_buffering: bool = False
    read_timeout: str = "900s"
    directives: Sequence[str] = ()
    server_directives: Sequence[str] = ()
    locations: Sequence[str] = ()
    path: str = "/"

    def block(self) -> str:
        """Return the server block."""
        options = [*(["ssl"] if self.tls is not None else []), *self.listen_options]
        lines = [
            f"listen {' '.join([_listen(self.host, self.port), *options])};",
            f"server_name {self.name};",
        ]
        if self.tls is not None:
            lines += [f"ssl_certificate {self.tls.fullchain};", f"ssl_certificate_key {self.tls.key};"]
        if self.client_max_body_size is not None:
            lines.append(f"client_max_body_size {self.client_max_body_size};")
        lines += [*self.server_directives, *self.locations]
        headers = {**RIGHT_HEADERS, **self.headers}
        passing = [
            f"proxy_pass {self.upstream};",
            "proxy_http_version 1.1;",
            *(
                f"proxy_set_header {name} {_quoted(value)};"
                for name, value in headers.items()
                if value is not None
            ),
            f"proxy_request_buffering {'on' if self.request_buffering else 'off'};",
            f"proxy_read_timeout {self.read_timeout};",
            *self.directives,
        ]
        lines.append(f"location {self.path} {{\n    " + "\n    ".join(passing) + "\n}")
        return server_block(lines)


def server_block(lines: Sequence[str]) -> str:
    """Return a server block of the given lines."""
    return "server {\n" + "\n".join(lines) + "\n}\n"


class Nginx:
    """nginx in the foreground with every path below its own directory.

    ``servers`` are ReverseProxy objects or the text of server blocks; ``upstreams`` are groups by name with
    their ``host:port`` members; ``http`` are further lines of the http block. The port to wait for is the
    first ReverseProxy's, or ``ready_on``. ``user`` is the account of its workers: their usual one cannot enter a
    test's private folder.
    """

    def __init__(
        self,
        directory: Path,
        *servers: ReverseProxy | str,
        upstreams: Mapping[str, Sequence[str]] | None = None,
        http: Sequence[str] = (),
        ready_on: tuple[str, int] | None = None,
        namespace: Namespace | None = None,
        user: str = "root",
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.servers = [server for server in servers if isinstance(server, ReverseProxy)]
        if ready_on is None and not self.servers:
            raise ValueError("server blocks as text need ready_on, the address to wait for")
        waited = ready_on or (self.servers[0].host, self.servers[0].port)
        self.config_path = directory / "nginx.conf"
        blocks = [
            *(
                f"upstream {name} {{\n" + "".join(f"    server {member};\n" for member in members) + "}"
                for name, members in (upstreams or {}).items()
            ),
            *http,
            *(server if isinstance(server, str) else server.block() for server in servers),
        ]
        self.config_path.write_text(_configuration(directory, blocks, user))
        self.daemon = Daemon(
            [programs.path("nginx"), "-p", directory, "-c", self.config_path],
            log=directory / "nginx.log",
            ready=lambda: ports.accepts(*waited, namespace=namespace),
            namespace=namespace,
        )

    def __enter__(self) -> Self:
        self.daemon.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.daemon.stop()

    @property
    def server(self) -> ReverseProxy:
        """The first reverse proxy."""
        return self.servers[0]

    @property
    def port(self) -> int:
        """The first reverse proxy's port."""
        return self.server.port

    @property
    def address(self) -> str:
        """``host:port`` of the first reverse proxy, by its name where it has one."""
        return f"{self.server.host if self.server.name == '_' else self.server.name}:{self.port}"

    @property
    def url(self) -> str:
        """The first reverse proxy's URL, without a slash at the end."""
        return f"{'https' if self.server.tls is not None else 'http'}://{self.address}"

    @property
    def hosts(self) -> dict[str, str]:
        """The names of the reverse proxies and the addresses they stand for."""
        return {server.name: server.host for server in self.servers if server.name != "_"}

    def log(self) -> str:
        """Return what nginx printed: its error log."""
        return self.daemon.log()

    def access_log(self) -> str:
        """Return the access log, one line a request."""
        path = self.directory / "access.log"
        return path.read_text(errors="replace") if path.exists() else ""


def _configuration(directory: Path, blocks: Sequence[str], account: str) -> str:
    user = [f"user {account};"] if os.geteuid() == 0 else []
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    lines = [
        *user,
        "daemon off;",
        "worker_processes 1;",
        "error_log stderr info;",
        f"pid {directory / 'nginx.pid'};",
        "events { worker_connections 256; }",
        "http {",
        f"access_log {directory / 'access.log'};",
        *(f"{kind}_temp_path {directory / kind};" for kind in kinds),
        *blocks,
        "}",
    ]
    return "\n".join(lines) + "\n"


def _listen(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _quoted(value: str) -> str:
    """Return a value as nginx reads one word; an empty one makes it leave the header out."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
