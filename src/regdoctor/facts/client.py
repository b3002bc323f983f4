"""Facts about the settings of clients on this host: docker, containerd, podman and its relatives, buildkit.

Each file is read as its program reads it. What the program refuses, or passes over without a word, is a
:class:`Flaw` with its place; whether that matters for anybody is for rules to say. No secret stands here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from regdoctor.facts.base import Cell, Fact, Failure, FileFact, FileKind, Table, TableFact
from regdoctor.facts.http import Answer


class FlawKind(StrEnum):
    """What a program does about a flaw in its file."""

    UNREAD = "unread"
    """The file could not be read here: it is missing, no file, not the caller's to read, or too large."""
    SYNTAX = "syntax"
    """It cannot be parsed."""
    REFUSED = "refused"
    """It is parsed, and refused as a whole for this."""
    FILE = "file"
    """It names a file that is not here, cannot be read, or holds something else than it should."""
    IGNORED = "ignored"
    """It is used, and this part of it has no effect, or another one than it seems."""


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a file that its program refuses or passes over. Lines and columns count from 1."""

    path: str
    kind: FlawKind
    message: str
    """A clause, for syntax and refusals in the words of the program where they are known."""
    line: int | None = None
    column: int | None = None
    key: str | None = None
    """The setting that it is about."""

    @property
    def place(self) -> str:
        """``path:line:column``, as far as known."""
        return place(self.path, self.line, self.column)


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A value, or a key, and where it stands."""

    value: str
    path: str
    line: int
    column: int

    @property
    def place(self) -> str:
        """``path:line:column``."""
        return place(self.path, self.line, self.column)


def place(path: str, line: int | None, column: int | None = None) -> str:
    """``path:line:column`` as evidence names it, as far as known."""
    return ":".join(str(part) for part in (path, line, column) if part is not None)


class DaemonSettings(FileFact, frozen=True, kw_only=True):
    """docker's ``daemon.json`` as dockerd reads it."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.DAEMON})

    path: str
    flaws: tuple[Flaw, ...] = ()
    keys: tuple[Listed, ...] = ()
    """The top-level settings, and those one level below ``proxies`` and the like, by the names of their flags."""
    insecure: tuple[Listed, ...] = ()
    mirrors: tuple[Listed, ...] = ()
    misnamed: tuple[Listed, ...] = ()
    """Keys that are names of flags: dockerd takes them without a word and ignores them."""
    older: tuple[Flaw, ...] = ()
    """What docker 20.10 and older refuse, while newer versions take it."""

    @property
    def usable(self) -> bool:
        """Whether dockerd starts with it, as far as the file alone says."""
        return not any(flaw.kind is not FlawKind.IGNORED for flaw in self.flaws)


class DockerVersion(Fact, frozen=True, kw_only=True):
    """Which docker daemon is installed on this host, by its program or by what the running one says."""

    text: str
    major: int
    minor: int


class DaemonFlags(Fact, frozen=True, kw_only=True):
    """The options that dockerd is started with, by the running process or its unit's files."""

    source: str
    running: bool
    flags: tuple[Listed, ...] = ()
    """Long names without dashes; the value is the name, the place where it stands or ``/proc/PID/cmdline``."""


class DaemonState(Fact, frozen=True, kw_only=True):
    """What the running docker daemon says of itself (Engine API, ``GET /info``)."""

    socket: str
    version: str = ""
    failure: str | None = None
    """Why it did not say anything; the other fields are empty then."""
    insecure_networks: tuple[str, ...] = ()
    insecure_hosts: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    containerd_store: bool = False


class HostTable(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[host."URL"]`` of a ``hosts.toml``, or what the file says about its ``server``."""

    written: Listed
    scheme: str
    address: str
    """``host`` or ``host:port``, as written."""
    path: str = ""
    """The path below which containerd asks, with the ``/v2`` that it adds."""
    pulls: bool = True
    resolves: bool = True
    skip_verify: bool = False
    authorities: tuple[Listed, ...] = ()
    authorization: bool = False
    """Whether it sends an ``Authorization`` header of its own."""

    @property
    def url(self) -> str:
        """Where containerd asks: ``scheme://host[:port]/v2``."""
        return f"{self.scheme}://{self.address}{self.path}"


class RegistryHosts(msgspec.Struct, frozen=True, kw_only=True):
    """The folder of one registry below containerd's ``config_path``, with the ``hosts.toml`` in it."""

    name: str
    """The folder's name: ``host:port``, ``host_port_``, ``host`` or ``_default``."""
    path: str
    """Of the ``hosts.toml``; where there is none, of the folder."""
    flaws: tuple[Flaw, ...] = ()
    server: HostTable | None = None
    hosts: tuple[HostTable, ...] = ()
    without_file: bool = False
    """Whether the folder has certificates only."""
    without_hosts: bool = False
    """Whether the file has no ``[host]`` table: containerd 1.6 rejects that, later versions use the rest."""

    @property
    def registry(self) -> str | None:
        """The ``host[:port]`` that the folder is for; None for ``_default``."""
        if self.name == "_default":
            return None
        host, underscore, port = self.name.removesuffix("_").rpartition("_")
        if underscore and self.name.endswith("_") and port.isdigit():
            return f"{host}:{port}"
        return self.name

    @property
    def active(self) -> bool:
        """Whether containerd uses what the file says."""
        return not self.without_file and not any(
            flaw.kind in (FlawKind.UNREAD, FlawKind.SYNTAX, FlawKind.REFUSED) for flaw in self.flaws
        )


class HostsFolder(FileFact, frozen=True, kw_only=True):
    """Every registry's folder below the roots that containerd looks into, or one ``hosts.toml`` by itself."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.HOSTS})

    roots: tuple[str, ...]
    registries: tuple[RegistryHosts, ...] = ()
    flaws: tuple[Flaw, ...] = ()
    """Roots that could not be listed."""


class RegistrySection(msgspec.Struct, frozen=True, kw_only=True):
    """A section of containerd's configuration that sets up registries, and whether it is read."""

    name: str
    """``io.containerd.grpc.v1.cri``, ``io.containerd.cri.v1.images`` or ``cri``."""
    path: str
    line: int
    column: int
    config_path: Listed | None = None
    mirrors: tuple[Listed, ...] = ()
    """The registries of the old ``mirrors`` tables."""
    tls: tuple[Listed, ...] = ()
    """The registries of the old ``configs."HOST".tls`` tables."""


class ContainerdSettings(FileFact, frozen=True, kw_only=True):
    """containerd's ``config.toml``, as far as it is about registries."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.CONTAINERD})

    path: str
    flaws: tuple[Flaw, ...] = ()
    version: int = 1
    """What the file says; 1 where it says nothing."""
    version_given: bool = False
    sections: tuple[RegistrySection, ...] = ()
    missing: bool = False
    """Whether there is no such file: containerd runs with its defaults then."""
    kubernetes_disabled: bool = False
    """Whether ``disabled_plugins`` switches the part for Kubernetes off, as docker's packages do."""

    def section(self) -> RegistrySection | None:
        """The section that containerd reads in a file of this version, if it is there."""
        name = {1: "cri", 2: "io.containerd.grpc.v1.cri"}.get(self.version, "io.containerd.cri.v1.images")
        return next((each for each in self.sections if each.name == name), None)


class ContainerdVersion(Fact, frozen=True, kw_only=True):
    """Which containerd is installed on this host."""

    text: str
    major: int
    minor: int


class RegistryMirror(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[[registry.mirror]]`` of ``registries.conf``."""

    location: Listed
    insecure: bool = False
    pull_from: str = "all"
    """``all``, ``digest-only`` or ``tag-only``."""


class RegistryTable(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[[registry]]`` of ``registries.conf``, after all files are put together."""

    prefix: str
    location: str
    path: str
    line: int
    column: int
    insecure: Listed | None = None
    """Where it says ``insecure = true``."""
    blocked: Listed | None = None
    mirrors: tuple[RegistryMirror, ...] = ()

    @property
    def place(self) -> str:
        """``path:line:column``."""
        return place(self.path, self.line, self.column)


class RegistriesConf(FileFact, frozen=True, kw_only=True):
    """``registries.conf`` and its drop-ins, as podman, skopeo, buildah and CRI-O read them."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.REGISTRIES})

    files: tuple[str, ...]
    flaws: tuple[Flaw, ...] = ()
    registries: tuple[RegistryTable, ...] = ()
    search: tuple[Listed, ...] = ()
    hidden: str | None = None
    """The system's file that a file of the user replaces."""


class PolicyRequirement(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement of ``policy.json``."""

    type: str
    path: str
    line: int
    column: int

    @property
    def place(self) -> str:
        """``path:line:column``."""
        return place(self.path, self.line, self.column)


class PolicyScope(msgspec.Struct, frozen=True, kw_only=True):
    """What ``policy.json`` requires of images of one scope."""

    transport: str | None
    """``docker`` for registries; None for the default of everything."""
    scope: str
    """``host[:port][/namespace[/repository[:tag]]]``, ``*.domain``, or empty for all of the transport."""
    requirements: tuple[PolicyRequirement, ...]


class SignaturePolicy(FileFact, frozen=True, kw_only=True):
    """``policy.json``, as podman, skopeo, buildah and CRI-O read it."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.POLICY})

    path: str
    flaws: tuple[Flaw, ...] = ()
    scopes: tuple[PolicyScope, ...] = ()


class SignatureStores(Fact, frozen=True, kw_only=True):
    """Where signatures of the target's images are looked for (containers-registries.d(5))."""

    files: tuple[str, ...]
    lookaside: Listed | None = None
    """The store of simple signatures."""
    attachments: bool = False
    """Whether sigstore signatures beside the image count."""


class CredentialSettings(FileFact, frozen=True, kw_only=True):
    """docker's ``config.json`` or the containers tools' ``auth.json``, without what is secret in it."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.DOCKER_CONFIG})

    path: str
    flaws: tuple[Flaw, ...] = ()
    entries: tuple[Listed, ...] = ()
    """The keys of ``auths``."""
    malformed: tuple[Flaw, ...] = ()
    """What is wrong with single entries."""
    store: Listed | None = None
    helpers: tuple[Listed, ...] = ()
    """The keys of ``credHelpers``."""


class BuildkitRegistry(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[registry."HOST"]`` of ``buildkitd.toml``."""

    name: Listed
    http: bool = False
    insecure: bool = False
    authorities: tuple[Listed, ...] = ()
    mirrors: tuple[Listed, ...] = ()


class BuildkitSettings(FileFact, frozen=True, kw_only=True):
    """``buildkitd.toml``, as far as it is about registries."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.BUILDKIT})

    path: str
    flaws: tuple[Flaw, ...] = ()
    registries: tuple[BuildkitRegistry, ...] = ()

    @property
    def refusal(self) -> Flaw | None:
        """Why buildkitd does not start with the file."""
        return next((each for each in self.flaws if each.kind in (FlawKind.SYNTAX, FlawKind.REFUSED)), None)


class Builder(Fact, frozen=True, kw_only=True):
    """The buildx builder in use, as its files say (docker/buildx ``store``)."""

    name: str
    driver: str
    path: str
    """The file that describes it."""
    configured: bool = False
    """Whether it was made with a ``buildkitd.toml``."""


class MirrorLook(msgspec.Struct, frozen=True, kw_only=True):
    """A mirror asked for what a client would ask it."""

    url: str
    """What was asked, without a query."""
    client: str
    """``docker``, ``containerd`` or ``podman``."""
    place: str
    """Where it is configured."""
    answer: Answer | None = None
    """The last answer: that with a login, where the first asked for one that could be had."""
    failure: Failure | None = None
    login: str | None = None
    """Why no login came about that the mirror asks for."""
    image: bool = False
    """Whether the manifest of the target's image was asked for, else ``/v2/``."""


class MirrorLooks(Fact, frozen=True, kw_only=True):
    """Every mirror that clients on this host ask before the target's registry."""

    looks: tuple[MirrorLook, ...]


class ClientRoute(msgspec.Struct, frozen=True, kw_only=True):
    """How one client on this host would reach the target."""

    client: str
    """``docker``, ``containerd``, ``podman`` or ``buildkit``."""
    obstacle: str | None = None
    """Why it would not get there, by its settings or by what the registry shows; null where it would."""
    tried: bool = False
    """Whether what the registry shows was compared with the settings."""
    schemes: tuple[str, ...] = ()
    """In the order in which they are tried."""
    verifies: bool = True
    proxy: str | None = None
    """The forward proxy that it uses, without userinfo."""
    mirrors: tuple[str, ...] = ()
    """What it asks before the registry, in this order."""
    authorities: tuple[str, ...] = ()
    """Files besides the system's store."""
    credentials: str | None = None
    """Where they come from, never what they are."""
    username: str | None = None
    because: tuple[str, ...] = ()
    """The places that decide."""


class ClientRoutes(TableFact, frozen=True, kw_only=True):
    """How docker, containerd, podman and buildkit on this host would reach the target."""

    target: str
    routes: tuple[ClientRoute, ...]

    def table(self) -> Table | None:
        """The clients by row; by column whether they get there, how, and with what."""
        return Table(
            title=f"How clients on this host would reach {self.target}",
            columns=("client", "reaches it", "by", "mirrors", "CA", "login"),
            rows=tuple(_route_row(route) for route in self.routes),
        )


def _route_row(route: ClientRoute) -> tuple[Cell, ...]:
    schemes = list(route.schemes)
    if not route.verifies and "https" in schemes:
        schemes[schemes.index("https")] = "https unverified"
    if route.obstacle is not None:
        reaches = Cell(text="no", notes=(route.obstacle,))
    else:
        reaches = Cell(text="yes" if route.tried else "not tried")
    through = (f"through the proxy {route.proxy}",) if route.proxy is not None else ()
    whose = (route.credentials,) if route.credentials is not None else ()
    trusted = "system and own" if route.authorities else "system"
    return (
        Cell(text=route.client, notes=tuple(f"decided by {each}" for each in route.because)),
        reaches,
        Cell(text=", then ".join(schemes), notes=through),
        Cell(text=str(len(route.mirrors)) if route.mirrors else "", notes=route.mirrors),
        Cell(text=trusted if route.verifies else "", notes=route.authorities if route.verifies else ()),
        Cell(text=route.username or ("stored" if whose else ""), notes=whose),
    )
