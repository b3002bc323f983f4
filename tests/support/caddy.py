"""The real Caddy in front of a registry, configured by a Caddyfile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import ports, programs
from tests.support.certificates import CertificateFiles
from tests.support.processes import Daemon


class Caddy:
    """Caddy with one site that passes everything to ``upstream`` (``host:port`` or a URL).

    ``site`` are further lines of the site, ``proxy`` of its ``reverse_proxy``, ``options`` of the global options.
    ``matcher`` is what the ``reverse_proxy`` is for. ``config`` replaces the site's whole text; it then has to
    listen on ``host`` and ``port``.
    """

    def __init__(
        self,
        directory: Path,
        upstream: str = "",
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        name: str | None = None,
        tls: CertificateFiles | None = None,
        site: Sequence[str] = (),
        proxy: Sequence[str] = (),
        options: Sequence[str] = (),
        matcher: str = "",
        config: str | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.host = host
        self.name = name or host
        self.port = port if port is not None else ports.free_port()
        self.tls = tls
        self.config_path = directory / "Caddyfile"
        scheme = "https" if tls is not None else "http"
        passing = [f"reverse_proxy {matcher} {upstream} {{".replace("  ", " "), *_indented(proxy), "}"]
        lines = [
            f"bind {host}",
            *([f"tls {tls.fullchain} {tls.key}"] if tls is not None else []),
            *site,
            *(passing if upstream else []),
        ]
        text = "\n".join(
            [
                "{",
                *_indented(("admin off", "auto_https off", "persist_config off", *options)),
                "}",
                f"{scheme}://{'' if self.name == host else self.name}:{self.port} {{",
                *_indented(lines),
                "}",
            ]
        )
        self.config_path.write_text((config or text) + "\n")
        self.daemon = Daemon(
            [programs.path("caddy"), "run", "--adapter", "caddyfile", "--config", self.config_path],
            log=directory / "caddy.log",
            directory=directory,
            environment={"HOME": str(directory), "XDG_DATA_HOME": str(directory)},
            ready=lambda: ports.accepts(host, self.port),
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
        """Return Caddy's log so far."""
        return self.daemon.log()


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"\t{line}" for line in lines]
