"""How docker, containerd and podman would reach a registry by their settings: scheme, mirrors, CA, credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from regdoctor.api import (
    ClientRoute,
    ClientRoutes,
    ContainerdSettings,
    Credentials,
    DaemonSettings,
    DaemonState,
    HostsFolder,
    RegistriesConf,
    SignaturePolicy,
    Target,
    daemon_json,
    hosts_toml,
    registries_conf,
    signature_policy,
)

from .mirrors import mirrors_of, name_of

__all__ = ["Settings", "name_of", "work_out"]

_SECURE = ("https",)
_FALLS_BACK = ("https", "http")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that is known of clients' settings."""

    target: Target
    daemon: DaemonSettings | None = None
    state: DaemonState | None = None
    containerd: ContainerdSettings | None = None
    hosts: HostsFolder | None = None
    conf: RegistriesConf | None = None
    policy: SignaturePolicy | None = None
    credentials: Credentials | None = None
    authorities: Mapping[str, tuple[str, ...]]
    """The files of authorities by client."""


def work_out(settings: Settings) -> ClientRoutes:
    """One route for each client of which something is known."""
    return ClientRoutes(routes=(*_docker(settings), *_containerd(settings), *_podman(settings)))


def _mirrors(settings: Settings, client: str) -> tuple[str, ...]:
    found = mirrors_of(settings.target, settings.daemon, settings.state, settings.hosts, settings.conf)
    return tuple(each.base.removesuffix("/v2") for each in found if each.client == client)


def _credentials(settings: Settings) -> str | None:
    found = settings.credentials
    return found.source if found is not None and found.found else None


def is_loopback(target: Target) -> bool:
    """Whether docker takes the target for insecure by itself."""
    return target.host == "localhost" or target.host == "::1" or target.host.startswith("127.")


def _docker(settings: Settings) -> Iterator[ClientRoute]:
    daemon, state, target = settings.daemon, settings.state, settings.target
    if daemon is None and state is None:
        return
    because: list[str] = []
    insecure = is_loopback(target)
    if state is not None and not state.failure:
        insecure = insecure or target.domain in state.insecure_hosts
        because.append("daemon-state")
    elif daemon is not None:
        entry = next((each for each in daemon.insecure if daemon_json.covers(each, target.domain, ())), None)
        insecure = insecure or entry is not None
        because.append(entry.place if entry is not None else daemon.path)
    refused = daemon_json.refused(daemon) if daemon is not None else ()
    yield ClientRoute(
        client="docker",
        obstacle=f"dockerd does not start: {refused[0].message}" if refused else None,
        schemes=_FALLS_BACK if insecure else _SECURE,
        verifies=not insecure,
        mirrors=_mirrors(settings, "docker"),
        authorities=settings.authorities.get("docker", ()),
        credentials=_credentials(settings),
        because=(*because, *(each.place for each in refused)),
    )


def _containerd(settings: Settings) -> Iterator[ClientRoute]:
    containerd, hosts, target = settings.containerd, settings.hosts, settings.target
    if containerd is None and hosts is None:
        return
    folder = hosts_toml.folder_of(hosts.registries, target.domain) if hosts is not None else None
    active = folder is not None and folder.active
    server = folder.server if folder is not None and active else None
    own = (
        [each for each in folder.hosts if each.address == target.domain]
        if folder is not None and active
        else []
    )
    decides = own[0] if own else server
    section = containerd.section() if containerd is not None else None
    conflict = (
        section is not None and section.config_path is not None and bool(section.mirrors or section.tls)
    )
    plain = decides is not None and decides.scheme == "http"
    yield ClientRoute(
        client="containerd",
        obstacle="its Kubernetes plug-in does not start: mirrors stand beside config_path"
        if conflict
        else None,
        schemes=("http",) if plain else _FALLS_BACK if is_loopback(target) and decides is None else _SECURE,
        verifies=not (plain or (decides is not None and decides.skip_verify)),
        mirrors=_mirrors(settings, "containerd"),
        authorities=tuple(each.value for each in decides.authorities)
        if decides is not None
        else settings.authorities.get("containerd", ()),
        credentials=None,
        because=tuple(
            each
            for each in (
                decides.written.place if decides is not None else folder.path if folder is not None else None,
                section.config_path.place
                if section is not None and section.config_path is not None
                else None,
            )
            if each is not None
        ),
    )


def _podman(settings: Settings) -> Iterator[ClientRoute]:
    conf, policy = settings.conf, settings.policy
    if conf is None and policy is None:
        return
    name, tag = name_of(settings.target)
    table = registries_conf.find_registry(conf.registries, name + tag) if conf is not None else None
    insecure = table is not None and table.insecure is not None
    because = [table.place] if table is not None else []
    obstacle = None
    if conf is not None and conf.flaws:
        obstacle = f"registries.conf cannot be used: {conf.flaws[0].message}"
        because = [conf.flaws[0].place]
    elif table is not None and table.blocked is not None:
        obstacle = "registries.conf blocks it"
        because = [table.blocked.place]
    elif policy is not None and policy.flaws:
        obstacle = f"policy.json cannot be used: {policy.flaws[0].message}"
        because = [policy.flaws[0].place]
    elif policy is not None:
        scope = signature_policy.scope_of(policy, name, tag)
        rejecting = (
            [each for each in scope.requirements if each.type == "reject"] if scope is not None else []
        )
        if rejecting:
            obstacle = "policy.json rejects it"
            because = [rejecting[0].place]
    yield ClientRoute(
        client="podman",
        obstacle=obstacle,
        schemes=_FALLS_BACK if insecure else _SECURE,
        verifies=not insecure,
        mirrors=_mirrors(settings, "podman"),
        authorities=settings.authorities.get("containers", settings.authorities.get("docker", ())),
        credentials=_credentials(settings),
        because=tuple(because),
    )
