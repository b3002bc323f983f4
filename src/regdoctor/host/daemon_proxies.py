"""Where the container daemons of a host take their forward proxy from: never the shell that calls a client.

Docker's documentation ("Daemon proxy configuration"), systemd.exec(5) and systemd.unit(5). Only daemons that pull
images themselves count: dockerd, containerd for Kubernetes, and CRI-O.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from regdoctor.host.processes import PROC, Process, running
from regdoctor.host.systemd_units import service_lines, text_of, unit_file, unit_files

_UNITS: Final = {"dockerd": "docker.service", "containerd": "containerd.service", "crio": "crio.service"}
_KUBELET: Final = "kubelet"
_DAEMON_JSON: Final = "etc/docker/daemon.json"
_VARIABLES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_FLAGS: Final = {"--http-proxy": "HTTP_PROXY", "--https-proxy": "HTTPS_PROXY", "--no-proxy": "NO_PROXY"}
_KEYS: Final = {"http-proxy": "HTTP_PROXY", "https-proxy": "HTTPS_PROXY", "no-proxy": "NO_PROXY"}


@dataclass(frozen=True, kw_only=True)
class DaemonSetting:
    """The proxy variables that one daemon works with.

    ``environment`` holds those variables alone; values may hold passwords, so it is kept out of ``repr``.
    ``source`` says where they were read, ``running`` whether the daemon runs.
    """

    daemon: str
    source: str
    running: bool
    environment: Mapping[str, str] = field(repr=False)


def daemon_settings(
    daemon_json: Path | None = None, *, root: Path = Path("/"), proc: Path = PROC
) -> tuple[DaemonSetting, ...]:
    """The settings of every container daemon that runs on this host, or that is to use a proxy once it does.

    :param daemon_json: instead of ``/etc/docker/daemon.json``.
    """
    wanted = {*_UNITS, _KUBELET}
    found = {
        process.name: process
        for process in running(lambda name: name in wanted, proc)
        if is_ours(process, proc)
    }
    settings = [_setting(daemon, found.get(daemon), daemon_json, root) for daemon in _UNITS]
    kubernetes = _KUBELET in found or unit_file(root, f"{_KUBELET}.service") is not None
    docker = "dockerd" in found or unit_file(root, _UNITS["dockerd"]) is not None
    return tuple(
        setting
        for setting in settings
        # Where docker alone uses it, containerd fetches nothing: dockerd does.
        if (setting.running or setting.environment)
        and (setting.daemon != "containerd" or kubernetes or not docker)
    )


def is_ours(process: Process, proc: Path = PROC) -> bool:
    """Whether the process has this one's files and network; those of containers are no daemons of the host."""
    try:
        same_network = (process.folder / "ns/net").readlink() == (proc / "self/ns/net").readlink()
        return same_network and (process.folder / "root").samefile("/")
    except OSError:
        return True


def _setting(daemon: str, process: Process | None, daemon_json: Path | None, root: Path) -> DaemonSetting:
    environment = process.environment() if process is not None else {}
    if process is not None and environment:
        source = f"the environment of {daemon} (process {process.pid})"
    else:
        environment, source = _of_unit(_UNITS[daemon], root)
    environment = {name: environment[name] for name in _VARIABLES if name in environment}
    if daemon == "dockerd":
        own, where = _of_docker(process, daemon_json or root / _DAEMON_JSON)
        if own:
            # dockerd puts its own settings in place of both spellings (moby daemon/command/daemon.go).
            environment = {
                name: value for name, value in environment.items() if name.upper() not in own
            } | own
            source = where
    return DaemonSetting(daemon=daemon, source=source, running=process is not None, environment=environment)


def _of_docker(process: Process | None, daemon_json: Path) -> tuple[dict[str, str], str]:
    """What flags and daemon.json say (docker 23 and newer), and where."""
    flags = {name: process.option(flag) for flag, name in _FLAGS.items()} if process is not None else {}
    given = {name: value for name, value in flags.items() if value}
    if given:
        return given, "the command line of dockerd"
    try:
        document = msgspec.json.decode(text_of(daemon_json))
    except msgspec.DecodeError:
        return {}, ""
    section = document.get("proxies") if isinstance(document, dict) else None
    if not isinstance(section, dict):
        return {}, ""
    said = {name: section[key] for key, name in _KEYS.items() if isinstance(section.get(key), str)}
    return {name: value for name, value in said.items() if value}, str(daemon_json)


def _of_unit(unit: str, root: Path) -> tuple[dict[str, str], str]:
    """The environment that a unit's files set, and which of them names a proxy."""
    environment: dict[str, str] = {}
    source = f"the unit {unit}"
    for path in unit_files(root, unit):
        before = dict(environment)
        for name, value in service_lines(path):
            if name == "Environment":
                environment = environment | _assignments(value) if value else {}
            elif name == "EnvironmentFile" and value:
                environment |= _environment_file(root / value.lstrip("-").lstrip("/"))
        if any(environment.get(name) != before.get(name) for name in _VARIABLES):
            source = f"/{path.relative_to(root)}"
    return environment, source


def _assignments(value: str) -> dict[str, str]:
    """``"A=b" C=d`` as pairs; ``%%`` is a percent sign (systemd.exec(5), Environment=)."""
    try:
        words = shlex.split(value)
    except ValueError:
        words = value.split()
    pairs = (word.partition("=") for word in words if "=" in word)
    return {name: text.replace("%%", "%") for name, _sign, text in pairs}


def _environment_file(path: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in map(str.strip, text_of(path).splitlines()) if "=" in line)
    return {name: value.strip("\"'") for name, _sign, value in pairs if not name.startswith(("#", ";"))}


__all__ = ["DaemonSetting", "daemon_settings"]
