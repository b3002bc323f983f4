"""The faults that the embedded registry can play, and what to ask of it so that each shows."""

from __future__ import annotations

import base64
import json
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from regdoctor.demo.certificates import make_server_files
from regdoctor.demo.registry import REPOSITORY, TAG, USER, Behaviour, serve

_TEN_DAYS = timedelta(days=10)


@dataclass(frozen=True)
class Fault:
    """One thing that can be wrong. ``code`` is the finding that must name it; None where nothing is."""

    name: str
    summary: str
    code: str | None
    behaviour: Behaviour = field(default_factory=Behaviour)
    certificate: Mapping[str, Any] = field(default_factory=dict)
    tls: bool = True
    trusted: bool = True
    listening: bool = True
    host: str = "localhost"
    tag: str = TAG
    logged_in: bool = True
    right_password: bool = True
    options: tuple[str, ...] = ()
    dead_token_server: bool = False


@dataclass(frozen=True)
class Stage:
    """A fault being played: what to give to ``regdoctor check``."""

    target: str
    arguments: tuple[str, ...]


def faults() -> Mapping[str, Fault]:
    """Every fault by name, the healthy registry first."""
    basic = Behaviour(authentication="basic")
    token = Behaviour(authentication="token")
    entries = (
        Fault(
            "healthy",
            "nothing is wrong: TLS, a token server, an image for two platforms",
            None,
            behaviour=token,
        ),
        Fault(
            "expired-certificate",
            "the registry's certificate ran out ten days ago",
            "tls/expired",
            certificate={"valid_from": -2 * _TEN_DAYS, "valid_for": _TEN_DAYS},
        ),
        Fault(
            "unknown-authority",
            "the client does not know the authority",
            "tls/unknown-authority",
            trusted=False,
        ),
        Fault(
            "missing-intermediate",
            "the server sends its own certificate alone",
            "tls/missing-intermediate",
            certificate={"send_intermediate": False},
        ),
        Fault(
            "hostname-mismatch",
            "the certificate is for another name",
            "tls/hostname-mismatch",
            certificate={"name": "registry.example", "address": "127.0.0.2"},
        ),
        Fault("plain-http", "the port speaks plain HTTP", "tls/plain-http-server", tls=False),
        Fault("refused", "nothing listens on the port", "tcp/refused", listening=False),
        Fault("name-not-found", "the name does not exist", "dns/name-not-found", host="registry.invalid"),
        Fault(
            "portal", "a web page answers instead of a registry", "http/not-a-registry", Behaviour(page=True)
        ),
        Fault("upstream-down", "a proxy answers 502", "http/upstream-down", Behaviour(status=502)),
        Fault(
            "no-credentials",
            "nobody is logged in",
            "auth/credentials-missing",
            behaviour=basic,
            logged_in=False,
        ),
        Fault(
            "wrong-password",
            "the password is wrong",
            "auth/credentials-rejected",
            behaviour=basic,
            right_password=False,
        ),
        Fault(
            "token-server-down",
            "the token server does not answer",
            "auth/realm-unreachable",
            behaviour=token,
            dead_token_server=True,
        ),
        Fault(
            "no-permission",
            "the account may not pull this repository",
            "auth/scope-denied",
            behaviour=Behaviour(authentication="token", granted=()),
        ),
        Fault("wrong-tag", "the tag does not exist", "image/tag-not-found", tag="1.O"),
        Fault(
            "wrong-platform",
            "the image is not built for this platform",
            "image/platform-missing",
            options=("--platform", "linux/s390x"),
        ),
        Fault("lost-layer", "a layer is gone from storage", "image/blob-missing", Behaviour(lose_layer=True)),
    )
    return MappingProxyType({fault.name: fault for fault in entries})


@contextmanager
def play(fault: Fault) -> Iterator[Stage]:
    """Starts the embedded registry with the fault and gives what to ask of it."""
    password = secrets.token_urlsafe(12)
    with TemporaryDirectory(prefix="regdoctor-demo-") as name:
        folder = Path(name)
        files = make_server_files(folder, **fault.certificate) if fault.tls else None
        behaviour = fault.behaviour
        if fault.dead_token_server:
            behaviour = replace(behaviour, realm=f"https://localhost:{closed_port()}/token")
        with serve(behaviour, files, password) as (_host, served):
            port = served if fault.listening else closed_port()
            registry = f"{fault.host}:{port}"
            # The embedded registry is asked with its own credentials, never with those of whoever runs the demo.
            authfile = folder / "config.json"
            authfile.touch(mode=0o600)
            given = password if fault.right_password else f"not-{password}"
            authfile.write_text(_docker_config(registry, given if fault.logged_in else None))
            arguments = ["--authfile", str(authfile), *fault.options]
            if files is not None and fault.trusted:
                arguments += ["--cacert", str(files.authority)]
            yield Stage(target=f"{registry}/{REPOSITORY}:{fault.tag}", arguments=tuple(arguments))


def _docker_config(registry: str, password: str | None) -> str:
    """The ``config.json`` of docker after a login, or without one."""
    if password is None:
        return json.dumps({"auths": {}})
    entry = base64.b64encode(f"{USER}:{password}".encode()).decode()
    return json.dumps({"auths": {registry: {"auth": entry}}})


def closed_port() -> int:
    """A port of loopback on which nothing listens now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
