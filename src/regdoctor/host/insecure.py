"""Registries that the clients of this host are told to take for insecure, so that they send logins in plain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from regdoctor.host import daemon_json, registries_conf

if TYPE_CHECKING:
    from regdoctor.facts.client import RegistriesConf
    from regdoctor.options import Options

DAEMON_JSON = Path("/etc/docker/daemon.json")


def insecure_entries(
    options: Options, environment: Mapping[str, str], home: Path, *, usual: Path = DAEMON_JSON
) -> Callable[[str], bool]:
    """Whether the host of an http URL is listed as insecure: by ``insecure-registries``, or in registries.conf.

    The files are those of ``--daemon-json`` and ``--registries-conf``, else the usual ones; they are read when
    the first URL is asked about. Networks (CIDR) do not count: names are not resolved here.
    """
    read: list[tuple[tuple[str, ...], RegistriesConf | None]] = []

    def is_insecure(url: str) -> bool:
        if not read:
            read.append(_read(options, environment, home, usual))
        names, conf = read[0]
        candidates = _names(url)
        if any(name in names for name in candidates):
            return True
        tables = [registries_conf.find_registry(conf.registries, name) for name in candidates] if conf else []
        return any(table is not None and table.insecure is not None for table in tables)

    return is_insecure


def _names(url: str) -> tuple[str, ...]:
    """``host:port``, and the bare host where the port is the scheme's own."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return ()
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    usual = port == (443 if parts.scheme == "https" else 80)
    return (f"{host}:{port}", *((host,) if usual else ()))


def _read(
    options: Options, environment: Mapping[str, str], home: Path, usual: Path
) -> tuple[tuple[str, ...], RegistriesConf | None]:
    daemon = daemon_json.read_daemon_json(options.daemon_json or usual)
    names = (
        tuple(daemon_json.without_scheme(entry.value) for entry in daemon.insecure) if daemon.usable else ()
    )
    if options.registries_conf is not None:
        conf = registries_conf.read_registries_conf(options.registries_conf)
    else:
        main, more, _hidden = registries_conf.default_files(environment, home)
        conf = registries_conf.read_registries_conf(main, more)
    return names, conf if not conf.flaws else None
