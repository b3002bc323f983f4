"""The real dnsmasq as a nameserver with the records of one test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import ports, programs
from tests.support.netns import Namespace
from tests.support.processes import Daemon

DNS_PORT = 53


class Dnsmasq:
    """A nameserver that answers for its records and forwards nothing.

    By default on port 53 of a random loopback address, so that a resolv.conf can name it (needs root);
    another port does for clients that take one. ``records`` are names with their addresses of either
    family; everything else is REFUSED, unless ``options`` say more (without the leading dashes):
    ``address=/corp/`` gives NXDOMAIN below corp, ``address=/wild.corp/10.0.0.1`` a wildcard,
    ``server=/x/127.0.0.1#1`` a dead forwarder.
    """

    def __init__(
        self,
        directory: Path,
        records: Mapping[str, Sequence[str]] | None = None,
        *,
        options: Sequence[str] = (),
        host: str | None = None,
        port: int = DNS_PORT,
        namespace: Namespace | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        if host is None:
            host = "127.0.0.1" if namespace is not None else ports.free_loopback_address(port)
        self.host = host
        self.port = port
        lines = [
            f"host-record={name},{address}"
            for name, addresses in (records or {}).items()
            for address in addresses
        ]
        arguments = [
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--bind-interfaces",
            f"--listen-address={host}",
            f"--port={port}",
            "--user=",
            "--pid-file=",
            "--log-queries",
            "--log-facility=-",
            *(f"--{option}" for option in [*lines, *options]),
        ]
        self.daemon = Daemon(
            [programs.path("dnsmasq"), *arguments],
            log=directory / "dnsmasq.log",
            ready=lambda: ports.accepts(self.host, port, namespace=namespace),
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
        """``address:port`` as a resolver option takes it."""
        return f"{self.host}:{self.port}"

    @property
    def resolv_conf(self) -> str:
        """The text of a resolv.conf that names this server alone."""
        return f"nameserver {self.host}\n"

    def log(self) -> str:
        """Return the log so far, a line for every query and answer."""
        return self.daemon.log()
