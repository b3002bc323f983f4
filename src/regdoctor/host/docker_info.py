"""Asks the running docker daemon for its effective settings (Docker Engine API, ``GET /info``)."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from regdoctor.facts.client import DaemonState
from regdoctor.redact import redact_url

DEFAULT_SOCKET: Final = "/var/run/docker.sock"
_LARGEST: Final = 1024 * 1024
_MOST: Final = 1000


def socket_path(environment: Mapping[str, str]) -> str | None:
    """The daemon's socket on this host, or None where ``DOCKER_HOST`` names another kind of address."""
    named = environment.get("DOCKER_HOST", "")
    if not named:
        runtime = environment.get("XDG_RUNTIME_DIR", "")
        rootless = f"{runtime}/docker.sock"
        return rootless if runtime and Path(rootless).exists() else DEFAULT_SOCKET
    return named.removeprefix("unix://") if named.startswith("unix://") else None


def ask(path: str, timeout: float) -> DaemonState:
    """What the daemon says within so many seconds; why it says nothing is part of the fact."""
    try:
        document = json.loads(_get(path, "/info", timeout))
    except (OSError, ValueError) as error:
        return DaemonState(socket=path, failure=getattr(error, "strerror", None) or str(error))
    if not isinstance(document, dict):
        return DaemonState(socket=path, failure="what answers is no docker daemon")
    registries = _mapping(document.get("RegistryConfig"))
    indexes = _mapping(registries.get("IndexConfigs"))
    status = document.get("DriverStatus")
    return DaemonState(
        socket=path,
        version=str(document.get("ServerVersion") or "")[:100],
        insecure_networks=_texts(registries.get("InsecureRegistryCIDRs")),
        insecure_hosts=tuple(
            name for name, index in indexes.items() if _mapping(index).get("Secure") is False
        )[:_MOST],
        mirrors=tuple(redact_url(each) for each in _texts(registries.get("Mirrors"))),
        containerd_store="io.containerd.snapshotter.v1" in json.dumps(status),
    )


def _get(path: str, target: str, timeout: float) -> bytes:
    """The body of a small answer over a Unix socket, with HTTP/1.0, so that it ends where the daemon closes.

    :raises OSError: there is no such socket, or time is up.
    :raises ValueError: it is no HTTP answer of status 200, or too large.
    """
    end = time.monotonic() + timeout
    received = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(
            f"GET {target} HTTP/1.0\r\nHost: docker\r\nAccept: application/json\r\n\r\n".encode()
        )
        while len(received) <= _LARGEST:
            connection.settimeout(max(0.01, end - time.monotonic()))
            data = connection.recv(65_536)
            if not data:
                break
            received += data
    head, separator, body = received.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].split(b" ")
    if len(received) > _LARGEST or not separator or not status[0].startswith(b"HTTP/"):
        raise ValueError("what answers is no docker daemon")
    if status[1:2] != [b"200"]:
        raise ValueError(f"the daemon answers {status[1].decode('ascii', 'replace')}")
    return body


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value[:_MOST] if isinstance(each, str)) if isinstance(value, list) else ()
