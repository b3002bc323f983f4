"""How clients would reach a registry by their settings, compared with what the registry shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from msgspec.structs import replace

from regdoctor.api import (
    Builder,
    BuildkitSettings,
    ClientRoute,
    ClientRoutes,
    ContainerdSettings,
    ContainerdVersion,
    Credentials,
    DaemonProxies,
    DaemonProxy,
    DaemonSettings,
    DaemonState,
    Endpoint,
    Handshake,
    Handshakes,
    HostsFolder,
    KubernetesObjects,
    Ping,
    RegistriesConf,
    RegistryHosts,
    RegistryTable,
    SignaturePolicy,
    Target,
    daemon_json,
    docker_config,
    hosts_toml,
    registries_conf,
    signature_policy,
)

from .mirrors import HUB, mirrors_of, name_of

__all__ = ["Settings", "docker_takes_for_insecure", "hosts_are_read", "name_of", "work_out"]

_SECURE = ("https",)
_PLAIN = ("http",)
_FALLS_BACK = ("https", "http")
_STORES = {
    "docker": ("docker",),
    "containerd": ("containerd",),
    "podman": ("containers", "docker"),
    # Its own lies in its container.
    "buildkit": (),
}
"""What the trust stores of each client are called; the first that is there counts."""
_DAEMONS = {"dockerd": "docker", "containerd": "containerd"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that is known of clients' settings, and of the registry."""

    target: Target
    docker_installed: bool = False
    daemon: DaemonSettings | None = None
    state: DaemonState | None = None
    containerd: ContainerdSettings | None = None
    version: ContainerdVersion | None = None
    hosts: HostsFolder | None = None
    conf: RegistriesConf | None = None
    policy: SignaturePolicy | None = None
    buildkit: BuildkitSettings | None = None
    builder: Builder | None = None
    secrets: KubernetesObjects | None = None
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
    """By client, as far as the client looks for some itself."""
    authorities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The files of authorities by trust store."""
    addresses: tuple[str, ...] = ()
    endpoint: Endpoint | None = None
    handshakes: Handshakes | None = None
    ping: Ping | None = None
    proxies: DaemonProxies | None = None


def work_out(settings: Settings) -> ClientRoutes:
    """One route for each client of which something is known."""
    found = (*_docker(settings), *_containerd(settings), *_podman(settings), *_buildkit(settings))
    return ClientRoutes(
        target=settings.target.domain, routes=tuple(_compared(route, settings) for route in found)
    )


def docker_takes_for_insecure(target: Target, addresses: tuple[str, ...]) -> bool:
    """Whether dockerd takes a registry for insecure by itself: one with a loopback address (moby ``registry``)."""
    return any(_is_loopback(each) for each in (target.host, *addresses)) or target.host == "localhost"


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


def hosts_are_read(containerd: ContainerdSettings | None, version: ContainerdVersion | None) -> bool:
    """Whether Kubernetes' part of containerd looks at folders of registries; taken for granted where unknown."""
    if containerd is None or containerd.kubernetes_disabled:
        return True
    if version is not None and (version.major, version.minor) >= (2, 2):
        return True
    section = containerd.section()
    return section is not None and section.config_path is not None


def _mirrors(settings: Settings, client: str) -> tuple[str, ...]:
    found = mirrors_of(settings.target, settings.daemon, settings.state, settings.hosts, settings.conf)
    return tuple(each.base.removesuffix("/v2") for each in found if each.client == client)


def _own(settings: Settings, client: str) -> dict[str, str | None]:
    """What the client itself finds of credentials."""
    found = settings.credentials.get(client)
    if found is None or not found.found:
        return {}
    return {"credentials": found.source, "username": found.username}


def _trusted(settings: Settings, client: str) -> tuple[str, ...]:
    stores = ("given", *_STORES[client])
    return next((settings.authorities[name] for name in stores if name in settings.authorities), ())


def _docker(settings: Settings) -> Iterator[ClientRoute]:
    daemon, state, target = settings.daemon, settings.state, settings.target
    if daemon is None and state is None and not settings.docker_installed:
        return
    because: list[str] = []
    insecure = docker_takes_for_insecure(target, settings.addresses)
    if state is not None and not state.failure:
        insecure = insecure or target.domain in state.insecure_hosts
        because.append("daemon-state")
    elif daemon is not None:
        covering = (
            each for each in daemon.insecure if daemon_json.covers(each, target.domain, settings.addresses)
        )
        entry = next(covering, None)
        insecure = insecure or entry is not None
        because.append(entry.place if entry is not None else daemon.path)
    refused = daemon_json.refused(daemon) if daemon is not None else ()
    yield ClientRoute(
        client="docker",
        obstacle=f"dockerd does not start: {refused[0].message} ({refused[0].place})" if refused else None,
        schemes=_FALLS_BACK if insecure else _SECURE,
        verifies=not insecure,
        mirrors=_mirrors(settings, "docker"),
        authorities=_trusted(settings, "docker"),
        because=tuple(because),
        **_own(settings, "docker"),  # type: ignore[arg-type]
    )


def _containerd(settings: Settings) -> Iterator[ClientRoute]:
    containerd, hosts, target = settings.containerd, settings.hosts, settings.target
    if containerd is None and hosts is None:
        return
    read = hosts_are_read(containerd, settings.version)
    folder = hosts_toml.folder_of(hosts.registries, target.domain) if hosts is not None and read else None
    active = folder if folder is not None and folder.active else None
    own = [each for each in active.hosts if each.address == target.domain] if active is not None else []
    decides = own[0] if own else active.server if active is not None else None
    section = containerd.section() if containerd is not None else None
    path = section.config_path if section is not None else None
    places = [decides.written.place if decides is not None else folder.path if folder is not None else None]
    places.append(path.place if path is not None else None)
    plain = decides is not None and decides.scheme == "http"
    local = decides is None and (target.host == "localhost" or _is_loopback(target.host))
    yield ClientRoute(
        client="containerd",
        obstacle=_containerd_obstacle(containerd, folder),
        schemes=_PLAIN if plain else _FALLS_BACK if local and target.port not in (None, 443) else _SECURE,
        verifies=not (plain or local or (decides is not None and decides.skip_verify)),
        mirrors=_mirrors(settings, "containerd") if read else (),
        authorities=tuple(each.value for each in decides.authorities)
        if decides is not None
        else _trusted(settings, "containerd")
        if read
        else (),
        credentials=_pull_secret(settings),
        because=tuple(each for each in places if each is not None),
    )


def _containerd_obstacle(containerd: ContainerdSettings | None, folder: RegistryHosts | None) -> str | None:
    section = containerd.section() if containerd is not None else None
    if containerd is not None and containerd.kubernetes_disabled:
        section = None
    if section is not None and section.config_path is not None and (section.mirrors or section.tls):
        place = section.config_path.place
        return f"its Kubernetes plug-in does not start: mirrors stand beside config_path ({place})"
    missing = hosts_toml.ends_pulls(folder) if folder is not None else None
    return f"{missing.message} ({missing.place})" if missing is not None else None


def _pull_secret(settings: Settings) -> str | None:
    """The pull secret whose entry the kubelet would send for the target."""
    target = settings.target
    image = f"{target.domain}/{target.repository or ''}".rstrip("/")
    for secret in settings.secrets.secrets if settings.secrets is not None else ():
        for key in secret.registries:
            if docker_config.kubelet_key_matches(key.value, image, is_hub=target.domain == HUB):
                return f"the pull secret {secret.name or ''} ({key.place})"
    return None


def _podman(settings: Settings) -> Iterator[ClientRoute]:
    conf, policy = settings.conf, settings.policy
    if conf is None and policy is None:
        return
    name, tag = name_of(settings.target)
    table = registries_conf.find_registry(conf.registries, name + tag) if conf is not None else None
    insecure = table is not None and table.insecure is not None
    yield ClientRoute(
        client="podman",
        obstacle=_podman_obstacle(conf, policy, name, tag),
        schemes=_FALLS_BACK if insecure else _SECURE,
        verifies=not insecure,
        mirrors=_mirrors(settings, "podman"),
        authorities=_trusted(settings, "podman"),
        because=tuple(_podman_files(conf, table)),
        **_own(settings, "podman"),  # type: ignore[arg-type]
    )


def _podman_files(conf: RegistriesConf | None, table: RegistryTable | None) -> Iterator[str]:
    """The places that decide: the table for the registry, and a file of the user that hides the system's."""
    if table is not None:
        yield table.place
    if conf is not None and conf.hidden is not None:
        yield f"{conf.files[0]}, which hides {conf.hidden}"


def _podman_obstacle(
    conf: RegistriesConf | None, policy: SignaturePolicy | None, name: str, tag: str
) -> str | None:
    if conf is not None and conf.flaws:
        return f"registries.conf cannot be used: {conf.flaws[0].message} ({conf.flaws[0].place})"
    table = registries_conf.find_registry(conf.registries, name + tag) if conf is not None else None
    if table is not None and table.blocked is not None:
        return f"registries.conf blocks it ({table.blocked.place})"
    if policy is not None and policy.flaws:
        return f"policy.json cannot be used: {policy.flaws[0].message} ({policy.flaws[0].place})"
    scope = signature_policy.scope_of(policy, name, tag) if policy is not None else None
    rejecting = [each for each in scope.requirements if each.type == "reject"] if scope is not None else []
    return f"policy.json rejects it ({rejecting[0].place})" if rejecting else None


def _buildkit(settings: Settings) -> Iterator[ClientRoute]:
    buildkit, builder, target = settings.buildkit, settings.builder, settings.target
    if buildkit is None and (builder is None or builder.driver in ("", "docker")):
        return
    broken = buildkit.refusal if buildkit is not None else None
    registries = buildkit.registries if buildkit is not None else ()
    entry = next((each for each in registries if each.name.value == target.domain), None)
    local = target.host == "localhost" or _is_loopback(target.host)
    plain = entry.http if entry is not None else local
    insecure = entry is not None and entry.insecure
    schemes = (_FALLS_BACK if insecure else _PLAIN) if plain else _SECURE
    places = (
        entry.name.place if entry is not None else None,
        builder.path if builder is not None else None,
        buildkit.path if buildkit is not None and entry is None else None,
    )
    yield ClientRoute(
        client="buildkit",
        obstacle=f"buildkitd does not start: {broken.message} ({broken.place})"
        if broken is not None
        else None,
        schemes=schemes,
        verifies=not insecure and schemes != _PLAIN,
        mirrors=tuple(each.value for each in entry.mirrors) if entry is not None else (),
        authorities=tuple(each.value for each in entry.authorities) if entry is not None else (),
        because=tuple(each for each in places if each is not None),
        **_own(settings, "docker"),  # type: ignore[arg-type]
    )


def _compared(route: ClientRoute, settings: Settings) -> ClientRoute:
    """The route with its proxy, and with what the registry shows to a client that comes this way."""
    daemon = _daemon(route.client, settings)
    endpoint = settings.endpoint
    own = endpoint.proxy if endpoint is not None else None
    proxy = daemon.proxy if daemon is not None else own if route.client == "podman" else None
    route = replace(route, proxy=proxy)
    if route.obstacle is not None:
        return route
    if daemon is not None and proxy != own:
        # It goes another way than this run did, which tried no more than that proxy.
        failed = (
            f"its proxy does not serve it: {daemon.failure.message}" if daemon.failure is not None else None
        )
        return replace(route, tried=failed is not None, obstacle=failed)
    shown = _shown(settings)
    if shown is None:
        return route
    if shown == "http":
        obstacle = "the registry speaks plain HTTP, and it goes by https alone"
        return replace(route, tried=True, obstacle=None if "http" in route.schemes else obstacle)
    if "https" not in route.schemes:
        return replace(route, tried=True, obstacle="the registry speaks TLS, and it goes by plain HTTP alone")
    return replace(route, tried=True, obstacle=_distrust(route, settings) if route.verifies else None)


def _daemon(client: str, settings: Settings) -> DaemonProxy | None:
    """The daemon that pulls for a client, with the proxy that its own settings name."""
    daemons = settings.proxies.daemons if settings.proxies is not None else ()
    return next((each for each in daemons if _DAEMONS.get(each.daemon) == client), None)


def _shown(settings: Settings) -> str | None:
    """What the registry speaks: ``http``, ``https``, or None where that was not seen."""
    if settings.endpoint is None:
        return None
    if settings.endpoint.scheme == "http":
        return "http" if settings.ping is not None and settings.ping.answer is not None else None
    for each in settings.handshakes.handshakes if settings.handshakes is not None else ():
        if each.protocol is not None:
            return "https"
        if speaks_http(each):
            return "http"
    return None


def speaks_http(handshake: Handshake) -> bool:
    """Whether the peer answered in plain HTTP what was to be a TLS handshake."""
    answers = (handshake.plaintext_excerpt, handshake.plain_http_excerpt)
    return handshake.protocol is None and any((each or "").startswith("HTTP/") for each in answers)


def _distrust(route: ClientRoute, settings: Settings) -> str | None:
    """Why the client would refuse the certificate, by the trust store that is its own."""
    for each in settings.handshakes.handshakes if settings.handshakes is not None else ():
        known = {one.context.name: one for one in each.verifications}
        stores = ("given", *_STORES[route.client], "system")
        own = next((known[name] for name in stores if name in known), None)
        if own is None:
            # A client without authorities of its own for this host has those of the system.
            own = next((one for one in each.verifications if not one.context.own_authorities), None)
        if own is not None and own.errors:
            return f"its certificate is refused: {own.errors[0].name.replace('-', ' ')}"
        if each.name_matches is False:
            return f"its certificate is for other names than {each.server_name}"
    return None
