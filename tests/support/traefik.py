"""The real Traefik in front of a registry, configured by its file provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support import ports, programs
from tests.support.certificates import CertificateFiles
from tests.support.processes import Daemon


class Traefik:
    """Traefik with one entry point, one router for every host, and one service.

    ``upstream``     URL of the registry
    ``rule``         the router's
    ``entry_point``  further settings of the entry point, such as ``transport``; its time-outs are Traefik's own
    ``middlewares``  by name; the router uses all of them, in order
    ``balancer``     further settings of the service's load balancer, such as ``passHostHeader``
    ``http``         further sections of the dynamic file, such as ``serversTransports``
    """

    def __init__(
        self,
        directory: Path,
        upstream: str,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        name: str | None = None,
        tls: CertificateFiles | None = None,
        rule: str = "PathPrefix(`/v2/`)",
        entry_point: Mapping[str, Any] | None = None,
        middlewares: Mapping[str, Any] | None = None,
        balancer: Mapping[str, Any] | None = None,
        http: Mapping[str, Any] | None = None,
    ) -> None:
        import yaml

        directory.mkdir(parents=True, exist_ok=True)
        self.host = host
        self.name = name or host
        self.port = port if port is not None else ports.free_port()
        self.tls = tls
        self.config_path = directory / "traefik.yml"
        self.dynamic_path = directory / "dynamic.yml"
        static = {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "DEBUG"},
            "accessLog": {},
            "entryPoints": {"registry": {"address": f"{host}:{self.port}", **(entry_point or {})}},
            "providers": {"file": {"filename": str(self.dynamic_path)}},
        }
        router: dict[str, Any] = {"rule": rule, "entryPoints": ["registry"], "service": "registry"}
        if middlewares:
            router["middlewares"] = list(middlewares)
        if tls is not None:
            router["tls"] = {}
        dynamic: dict[str, Any] = {
            "http": {
                "routers": {"registry": router},
                "services": {
                    "registry": {"loadBalancer": {"servers": [{"url": upstream}], **(balancer or {})}}
                },
                **({"middlewares": dict(middlewares)} if middlewares else {}),
                **(http or {}),
            }
        }
        if tls is not None:
            files = {"certFile": str(tls.fullchain), "keyFile": str(tls.key)}
            dynamic["tls"] = {"certificates": [files], "stores": {"default": {"defaultCertificate": files}}}
        self.config_path.write_text(yaml.safe_dump(static, sort_keys=False))
        self.dynamic_path.write_text(yaml.safe_dump(dynamic, sort_keys=False))
        self.daemon = Daemon(
            [programs.path("traefik"), f"--configfile={self.config_path}"],
            log=directory / "traefik.log",
            directory=directory,
            # The port is open before the file of routes has been read.
            ready=lambda: ports.accepts(host, self.port) and "Creating load-balancer" in self.daemon.log(),
            seconds=30,
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
        """Return Traefik's log so far, accesses included."""
        return self.daemon.log()
