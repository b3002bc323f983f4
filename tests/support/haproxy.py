"""The real haproxy as a load balancer in front of registries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import ports, programs
from tests.support.certificates import CertificateFiles
from tests.support.netns import Namespace
from tests.support.processes import Daemon


class Haproxy:
    """haproxy with one frontend that balances over ``servers`` (``host:port``), round-robin.

    ``frontend``, ``backend`` and ``defaults`` are further lines of these sections, such as
    ``option httpchk GET /v2/`` or ``timeout server 1s``; the last of two equal settings counts. With
    ``check`` the servers are checked. ``config`` replaces the whole text; it then has to listen on ``host``
    and ``port``.
    """

    def __init__(
        self,
        directory: Path,
        servers: Sequence[str] = (),
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        name: str | None = None,
        tls: CertificateFiles | None = None,
        frontend: Sequence[str] = (),
        backend: Sequence[str] = (),
        defaults: Sequence[str] = (),
        check: bool = False,
        forwarded_proto: bool = True,
        config: str | None = None,
        namespace: Namespace | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.host = host
        self.name = name or host
        self.port = port if port is not None else ports.free_port()
        self.tls = tls
        self.config_path = directory / "haproxy.cfg"
        bind = f"bind {host}:{self.port}"
        if tls is not None:
            combined = directory / "combined.pem"
            combined.write_text(tls.fullchain.read_text() + tls.key.read_text())
            bind += f" ssl crt {combined}"
        proto = ["http-request set-header X-Forwarded-Proto https if { ssl_fc }"] if forwarded_proto else []
        sections = {
            "global": ["log stdout format raw local0 info", "maxconn 200"],
            "defaults": [
                *("mode http", "log global", "option httplog"),
                *("timeout connect 5s", "timeout client 900s", "timeout server 900s", *defaults),
            ],
            "frontend registry": [bind, *proto, *frontend, "default_backend registries"],
            "backend registries": [
                *("balance roundrobin", *backend),
                *(f"server s{n} {server}{' check' if check else ''}" for n, server in enumerate(servers, 1)),
            ],
        }
        text = "".join(
            f"{title}\n" + "".join(f"    {line}\n" for line in lines) for title, lines in sections.items()
        )
        self.config_path.write_text(config or text)
        self.daemon = Daemon(
            [programs.path("haproxy"), "-db", "-f", self.config_path],
            log=directory / "haproxy.log",
            ready=lambda: ports.accepts(host, self.port, namespace=namespace),
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
    def address(self) -> str:
        """``host:port`` as clients write it."""
        return f"{self.name}:{self.port}"

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return f"{'https' if self.tls is not None else 'http'}://{self.address}"

    @property
    def hosts(self) -> dict[str, str]:
        """The name and the address it stands for; empty where the name is the address."""
        return {} if self.name == self.host else {self.name: self.host}

    def log(self) -> str:
        """Return haproxy's log so far."""
        return self.daemon.log()
