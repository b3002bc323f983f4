"""Which mirrors the settings of clients put before a registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from regdoctor.api import (
    DaemonSettings,
    DaemonState,
    HostsFolder,
    RegistriesConf,
    Target,
    hosts_toml,
    registries_conf,
)

HUB = "docker.io"
_MOST = 16


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A mirror that one client asks."""

    client: str
    base: str
    """The URL below which repositories are asked for, ``/v2`` included."""
    address: str
    """``host[:port]``."""
    place: str
    """Where it is configured."""
    insecure: bool = False
    """Whether the client does not verify it."""
    repository: str | None = None
    """What the target's repository is called there; None where no image is asked for."""


def name_of(target: Target) -> tuple[str, str]:
    """The target as settings name it: ``domain/path`` and ``:tag`` or ``@digest``; for a registry the domain."""
    reference = target.reference
    if reference is None:
        return target.domain, ""
    tag = f"@{reference.digest}" if reference.digest is not None else f":{reference.reference}"
    return reference.name, tag


def mirrors_of(
    target: Target,
    daemon: DaemonSettings | None,
    state: DaemonState | None,
    hosts: HostsFolder | None,
    conf: RegistriesConf | None,
) -> list[Mirror]:
    """The mirrors of every client, each once, the target's own registry left out."""
    found: dict[tuple[str, str], Mirror] = {}
    for mirror in (*_docker(target, daemon, state), *_containerd(target, hosts), *_podman(target, conf)):
        if mirror.address != target.domain:
            found.setdefault((mirror.client, mirror.base), mirror)
    return list(found.values())[:_MOST]


def _docker(target: Target, daemon: DaemonSettings | None, state: DaemonState | None) -> Iterator[Mirror]:
    """Docker asks its mirrors for images of Docker Hub and for nothing else."""
    if target.domain != HUB:
        return
    places = {each.value.rstrip("/"): each.place for each in daemon.mirrors} if daemon is not None else {}
    urls = (
        [url.rstrip("/") for url in state.mirrors]
        if state is not None and not state.failure
        else list(places)
    )
    for url in urls:
        address = url.partition("://")[2].partition("/")[0]
        if url.startswith(("http://", "https://")) and address:
            yield Mirror(
                client="docker",
                base=f"{url}/v2",
                address=address,
                place=places.get(url, "daemon-state"),
                repository=target.repository,
            )


def _containerd(target: Target, hosts: HostsFolder | None) -> Iterator[Mirror]:
    folder = hosts_toml.folder_of(hosts.registries, target.domain) if hosts is not None else None
    if folder is None or not folder.active:
        return
    for table in folder.hosts:
        if (table.pulls or table.resolves) and not table.authorization:
            yield Mirror(
                client="containerd",
                base=table.url,
                address=table.address,
                place=table.written.place,
                insecure=table.skip_verify,
                repository=target.repository if table.resolves else None,
            )


def _podman(target: Target, conf: RegistriesConf | None) -> Iterator[Mirror]:
    name, tag = name_of(target)
    table = registries_conf.find_registry(conf.registries, name + tag) if conf is not None else None
    if conf is None or table is None or conf.flaws or table.blocked is not None:
        return
    length = registries_conf.match_length(table.prefix, name)
    for mirror in table.mirrors:
        if mirror.pull_from == "digest-only" and not tag.startswith("@"):
            continue
        if mirror.pull_from == "tag-only" and tag.startswith("@"):
            continue
        rewritten = mirror.location.value + (name[length:] if length is not None else "")
        address, _, path = rewritten.partition("/")
        for scheme in ("https", "http") if mirror.insecure else ("https",):
            yield Mirror(
                client="podman",
                base=f"{scheme}://{address}/v2",
                address=address,
                place=mirror.location.place,
                insecure=mirror.insecure,
                repository=path if target.reference is not None and path else None,
            )
