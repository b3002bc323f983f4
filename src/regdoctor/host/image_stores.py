"""Where this host's clients keep images, and where they spool layers."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from regdoctor.host.processes import PROC, running

_LIMIT: Final = 1024 * 1024
_DAEMON_JSON: Final = "etc/docker/daemon.json"
_CONTAINERD: Final = "etc/containerd/config.toml"
_STORAGE_CONF: Final = ("usr/share/containers/storage.conf", "etc/containers/storage.conf")
_CONTAINERS_CONF: Final = ("usr/share/containers/containers.conf", "etc/containers/containers.conf")
"""The later file overrides the earlier one, key by key; of storage.conf only the last one counts."""


@dataclass(frozen=True)
class NamedFolder:
    """A folder, who names it, and whether root writes to it."""

    path: Path
    named_by: str
    by_root: bool


def image_stores(
    environment: Mapping[str, str],
    home: Path,
    *,
    daemon_json: Path | None = None,
    root: Path = Path("/"),
    proc: Path = PROC,
    user: int | None = None,
) -> Iterator[NamedFolder]:
    """The folders, existing or not, each once.

    :param daemon_json: used in place of the host's own.
    :param user: whose stores of podman are meant; the caller's by default.
    """
    user = os.geteuid() if user is None else user
    seen: set[str] = set()
    for folder in (
        *_docker(daemon_json or root / _DAEMON_JSON, home, proc),
        _containerd(root, proc),
        *_podman(environment, home, root, user),
    ):
        if str(folder.path) not in seen:
            seen.add(str(folder.path))
            yield folder


def _docker(daemon_json: Path, home: Path, proc: Path) -> Iterator[NamedFolder]:
    """dockerd(8): ``--data-root`` (``--graph``, ``-g``), else ``data-root`` (``graph``), else /var/lib/docker."""
    settings = _json(daemon_json)
    named = _path(settings.get("data-root")) or _path(settings.get("graph"))
    for process in running(lambda name: name == "dockerd", proc):
        started = next(
            (value for flag in ("--data-root", "--graph", "-g") if (value := process.option(flag))), None
        )
        if started is not None and started.startswith("/"):
            named = Path(started)
    yield NamedFolder(named or Path("/var/lib/docker"), "docker", by_root=True)
    yield NamedFolder(home / ".local/share/docker", "rootless docker", by_root=False)


def _containerd(root: Path, proc: Path) -> NamedFolder:
    """containerd-config.toml(5): ``root``; ``--root`` of the process has the last word."""
    named = _path(_toml(root / _CONTAINERD).get("root"))
    for process in running(lambda name: name == "containerd", proc):
        started = process.option("--root")
        if started is not None and started.startswith("/"):
            named = Path(started)
    return NamedFolder(named or Path("/var/lib/containerd"), "containerd", by_root=True)


def _podman(environment: Mapping[str, str], home: Path, root: Path, user: int) -> Iterator[NamedFolder]:
    """containers-storage.conf(5): ``graphroot``, ``rootless_storage_path``, ``imagestore``."""
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local/share")
    settings = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    given = environment.get("CONTAINERS_STORAGE_CONF")
    files = [Path(given)] if given else [root / each for each in _STORAGE_CONF]
    if user and not given:
        files.append(settings / "containers/storage.conf")
    table: Mapping[str, Any] = {}
    own = False
    for path in files:
        found = _toml(path).get("storage")
        if isinstance(found, dict):
            table, own = found, path == files[-1] and bool(user)
    if not user:
        graph = _path(table.get("graphroot")) or Path("/var/lib/containers/storage")
    else:
        written = table.get("rootless_storage_path") or (table.get("graphroot") if own or given else None)
        graph = _path(_expanded(written, environment, home, user)) or data / "containers/storage"
    yield NamedFolder(graph, "podman", by_root=not user)
    images = _path(_expanded(table.get("imagestore"), environment, home, user))
    if images is not None:
        yield NamedFolder(images, "podman", by_root=not user)


def _expanded(value: object, environment: Mapping[str, str], home: Path, user: int) -> object:
    if not isinstance(value, str):
        return value
    for name, text in (("$HOME", str(home)), ("$USER", environment.get("USER", "")), ("$UID", str(user))):
        value = value.replace(name, text)
    return value


def spool_folder(environment: Mapping[str, str], home: Path, *, root: Path = Path("/")) -> NamedFolder:
    """Where podman, skopeo and buildah spool layers: containers.conf(5), ``image_copy_tmp_dir``."""
    user = os.geteuid()
    named = environment.get("TMPDIR")
    if named:
        return NamedFolder(Path(named), "TMPDIR", by_root=not user)
    settings = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    files = [root / each for each in _CONTAINERS_CONF]
    files += [settings / "containers/containers.conf"] if user else []
    given = environment.get("CONTAINERS_CONF")
    for path in [Path(given)] if given else reversed(files):
        engine = _toml(path).get("engine")
        written = engine.get("image_copy_tmp_dir") if isinstance(engine, dict) else None
        if written == "storage":
            graph = next(iter(_podman(environment, home, root, user))).path
            return NamedFolder(graph / "tmp", str(path), by_root=not user)
        if (folder := _path(written)) is not None:
            return NamedFolder(folder, str(path), by_root=not user)
    return NamedFolder(Path("/var/tmp"), "podman's default", by_root=not user)  # noqa: S108 - looked at only


def _path(value: object) -> Path | None:
    return Path(value) if isinstance(value, str) and value.startswith("/") and "\0" not in value else None


def _json(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.loads(file.read(_LIMIT).decode())
    except (OSError, ValueError, RecursionError):
        return {}
