"""Judges the settings of containerd: hosts.toml files, their folders, and what points to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from regdoctor.api import (
    Certainty,
    ContainerdSettings,
    ContainerdVersion,
    Draft,
    FlawKind,
    HostsFolder,
    RegistryHosts,
    Settings,
    Severity,
    Target,
    finding,
    hosts_toml,
    near,
)

from . import wording


def _finding(
    code: str,
    detail: str,
    *,
    about: RegistryHosts | None = None,
    certainty: Certainty = Certainty.PROVEN,
    severity: Severity | None = None,
    fix: tuple[str, ...] = (),
    evidence: tuple[str, ...] = (),
    address: str | None = None,
) -> Draft:
    """A finding whose advice names the registry of a folder, or the address, instead of the target."""
    given = finding(code, detail, certainty=certainty, severity=severity, fix=fix, evidence=evidence)
    named = address if address is not None else about.registry if about is not None else None
    if named is None:
        return given
    host, colon, port = named.rpartition(":")
    values = {"address": named, "host": host if colon else named, "port": port if colon else "443"}
    return replace(given, values=values)


def hosts_toml_invalid(hosts: HostsFolder, settings: Settings, target: Target | None) -> Iterator[Draft]:
    """A file that containerd passes over, or that ends every pull from its registry."""
    yield from wording.unread("client/hosts-toml-invalid", hosts.flaws, "containerd")
    folders: Iterable[RegistryHosts] = hosts.registries
    if target is not None:
        own = hosts_toml.folder_of(hosts.registries, target.domain)
        folders = [own] if own is not None else []
    for folder in folders:
        yield from wording.unread("client/hosts-toml-invalid", folder.flaws, "containerd")
        yield from _broken_hosts(folder)
        yield from _missing_files(folder, settings)
        yield from _without_effect(folder)


def _broken_hosts(folder: RegistryHosts) -> Iterator[Draft]:
    broken = [flaw for flaw in folder.flaws if flaw.kind in wording.BROKEN]
    if broken:
        yield _finding(
            "client/hosts-toml-invalid",
            f"{wording.told(broken)}. containerd mentions that in its log only (“failed to decode "
            f"hosts.toml”) and goes on without the file: for {_for(folder)} its mirrors, its authorities "
            "and its http:// settings have no effect.",
            evidence=wording.places(broken),
            about=folder,
        )


def _for(folder: RegistryHosts) -> str:
    return folder.registry or "every registry without a folder of its own"


def _missing_files(folder: RegistryHosts, settings: Settings) -> Iterator[Draft]:
    """Authorities and client certificates that the file names and that are not there."""
    missing = [flaw for flaw in folder.flaws if flaw.kind is FlawKind.FILE]
    if not missing:
        return
    elsewhere = settings.lint is not None and not folder.path.startswith("/etc/")
    told = f"{wording.told(missing)}."
    if elsewhere:
        yield _finding(
            "client/hosts-toml-invalid",
            f"{told} Where this file is used these have to be there, or containerd ends every pull from "
            f"{_for(folder)} with that message.",
            certainty=Certainty.POSSIBLE,
            severity=Severity.WARNING,
            evidence=wording.places(missing),
            about=folder,
        )
        return
    yield _finding(
        "client/hosts-toml-invalid",
        f"{told} containerd ends every pull from {_for(folder)} with that message. Paths without a leading "
        "slash begin at the folder of the file.",
        evidence=wording.places(missing),
        about=folder,
    )


def _without_effect(folder: RegistryHosts) -> Iterator[Draft]:
    if not folder.active:
        return
    passed_over = [flaw for flaw in folder.flaws if flaw.kind is FlawKind.IGNORED]
    moved = [flaw for flaw in passed_over if flaw.key in ("server", "override_path", "host")]
    unknown = [flaw for flaw in passed_over if flaw not in moved]
    if moved:
        yield _finding(
            "client/hosts-toml-invalid",
            f"{wording.told(moved)}.",
            certainty=Certainty.LIKELY,
            evidence=wording.places(moved),
            about=folder,
        )
    if unknown:
        likely = [
            f"{flaw.key} may stand for {close[0]}."
            for flaw in unknown
            if flaw.key and (close := near.near(flaw.key, hosts_toml.KEYS, limit=1))
        ]
        yield _finding(
            "client/hosts-toml-invalid",
            " ".join([f"{wording.told(unknown)}.", *likely[: wording.MOST_TOLD]]),
            severity=Severity.WARNING,
            evidence=wording.places(unknown),
            about=folder,
        )


def hosts_without_hosts(
    hosts: HostsFolder, target: Target | None, version: ContainerdVersion | None
) -> Iterator[Draft]:
    """Containerd 1.6 rejects a file without a ``[host]`` table; newer versions use it."""
    if version is None or (version.major, version.minor) > (1, 6) or target is None:
        return
    folder = hosts_toml.folder_of(hosts.registries, target.domain)
    if folder is not None and folder.active and folder.without_hosts:
        yield _finding(
            "client/hosts-toml-invalid",
            f'{folder.path} has no [host."URL"] table. containerd {version.major}.{version.minor} rejects that '
            "(“invalid `host` tree”) and goes on without the file.",
            evidence=(folder.path, "containerd-version"),
            about=folder,
        )


def hosts_folder_misnamed(hosts: HostsFolder, settings: Settings, target: Target | None) -> Iterator[Draft]:
    """A folder whose name containerd never looks for."""
    for folder in hosts.registries:
        if folder.without_file:
            continue
        why = _misplaced(folder) if target is None or settings.lint is not None else None
        if why is not None:
            yield _finding(
                "client/hosts-toml-invalid",
                f"{folder.path}: {why}",
                certainty=Certainty.LIKELY,
                severity=Severity.WARNING,
                evidence=(folder.path,),
            )
    if target is None or not hosts.roots:
        return
    own = hosts_toml.folder_of(hosts.registries, target.domain)
    if own is not None and own.registry is not None:
        return
    for folder in hosts_toml.named_wrongly(hosts.registries, target.domain):
        yield _finding(
            "client/hosts-toml-invalid",
            f"{folder.path} lies in a folder called {folder.name}. For {target.domain} containerd looks "
            f"into {hosts.roots[0]}/{target.domain}{_underscored(target.domain)}, so the file has no effect.",
            certainty=Certainty.LIKELY,
            fix=(f"mv {hosts.roots[0]}/{folder.name} {hosts.roots[0]}/{target.domain}",),
            evidence=(folder.path,),
            address=target.domain,
        )


def _underscored(domain: str) -> str:
    host, colon, port = domain.rpartition(":")
    return f" or {host}_{port}_" if colon else ""


def _misplaced(folder: RegistryHosts) -> str | None:
    """Why a file is surely not where containerd looks for it, judged by itself."""
    if folder.name == "certs.d":
        return "it lies in certs.d itself; containerd reads certs.d/HOST[:PORT]/hosts.toml only."
    server, registry = folder.server, folder.registry
    if server is None or registry is None or not folder.active:
        return None
    host, _, port = registry.rpartition(":") if ":" in registry else (registry, "", "")
    wanted, _, wanted_port = (
        server.address.rpartition(":") if ":" in server.address else (server.address, "", "")
    )
    default = {"https": "443", "http": "80"}.get(server.scheme, "")
    if host == wanted and (port or default) != (wanted_port or default):
        return (
            f"its folder is for {registry}, its server is {server.address}. containerd reads it for images "
            f"called {registry}/…; for {server.address}/… the folder has to be called {server.address}."
        )
    return None


def config_path_misplaced(
    containerd: ContainerdSettings, version: ContainerdVersion | None
) -> Iterator[Draft]:
    """``config_path`` stands in a section that this version of the file, or of containerd, does not read."""
    if containerd.kubernetes_disabled:
        return
    section = containerd.section()
    if section is not None and section.config_path is not None:
        if containerd.version >= 3 and version is not None and version.major < 2:
            yield _finding(
                "client/config-path-unset",
                f"{section.config_path.place} sets config_path in {section.name}, which containerd "
                f"{version.major}.{version.minor} does not know: it belongs to version 3 of the file and "
                "containerd 2.",
                evidence=(section.config_path.place, "containerd-version"),
            )
        return
    for other in containerd.sections:
        if other.config_path is None or (
            other.name == "io.containerd.cri.v1.runtime" and section is not None
        ):
            continue
        if containerd.version == 2 and version is not None and version.major >= 2:
            continue
        said = f"version = {containerd.version}" if containerd.version_given else "no version, which means 1"
        proven = containerd.version != 2 or version is not None
        yield _finding(
            "client/config-path-unset",
            f"{other.config_path.place} sets config_path = {other.config_path.value} in "
            f'[plugins."{other.name}".registry], and the file has {said}. containerd reads '
            f"{_read_section(containerd.version)} then, passes over this section without a word, and no "
            "hosts.toml is read for Kubernetes.",
            certainty=Certainty.PROVEN if proven else Certainty.LIKELY,
            fix=_version_fix(containerd),
            evidence=(other.config_path.place,),
        )
        return


def _read_section(version: int) -> str:
    name = {1: "cri", 2: '"io.containerd.grpc.v1.cri"'}.get(version, '"io.containerd.cri.v1.images"')
    return f"[plugins.{name}.registry]"


def _version_fix(containerd: ContainerdSettings) -> tuple[str, ...]:
    if containerd.version_given:
        return ()
    return ("write version = 2 as the first line of the file, where its sections are those of version 2",)


def config_path_unset(
    containerd: ContainerdSettings,
    hosts: HostsFolder,
    version: ContainerdVersion | None,
    target: Target,
) -> Iterator[Draft]:
    """hosts.toml files are there, and Kubernetes' part of containerd does not look at them."""
    section = containerd.section()
    if containerd.kubernetes_disabled or (section is not None and section.config_path is not None):
        return
    if any(each.config_path is not None for each in containerd.sections) or _unusable(containerd):
        return
    if version is not None and (version.major, version.minor) >= (2, 2):
        return
    own = hosts_toml.folder_of(hosts.registries, target.domain)
    if own is None or own.without_file:
        return
    file = (
        f"there is no {containerd.path}" if containerd.missing else f"{containerd.path} sets no config_path"
    )
    runs = f"containerd {version.major}.{version.minor}" if version is not None else "containerd before 2.2"
    yield _finding(
        "client/config-path-unset",
        f"{own.path} is there, but {file}. {runs} then reads no hosts.toml for Kubernetes (nerdctl and ctr "
        f"--hosts-dir do), and goes to {target.domain} by https with the system's authorities.",
        certainty=Certainty.PROVEN if version is not None else Certainty.LIKELY,
        evidence=(containerd.path, own.path),
    )


def _unusable(containerd: ContainerdSettings) -> bool:
    return not containerd.missing and any(flaw.kind is not FlawKind.IGNORED for flaw in containerd.flaws)


def containerd_config_invalid(containerd: ContainerdSettings) -> Iterator[Draft]:
    """Containerd does not start with the file, so nothing in it counts."""
    if containerd.missing:
        return
    yield from wording.unread("client/config-path-unset", containerd.flaws, "containerd")
    broken = [flaw for flaw in containerd.flaws if flaw.kind in wording.BROKEN]
    if broken:
        yield _finding(
            "client/config-path-unset",
            f"{wording.told(broken)}. containerd does not start with such a file, so neither config_path "
            "nor anything else in it counts.",
            fix=(f"containerd --config {broken[0].path} config dump >/dev/null",),
            evidence=wording.places(broken),
        )


def mirrors_conflict(containerd: ContainerdSettings) -> Iterator[Draft]:
    """The old tables and ``config_path`` exclude each other."""
    section = containerd.section()
    if containerd.kubernetes_disabled or section is None or section.config_path is None:
        return
    old = [*(("mirrors", each) for each in section.mirrors), *(("configs…tls", each) for each in section.tls)]
    if old:
        tables = ", ".join(
            f"{name} for {each.value} ({each.place})" for name, each in old[: wording.MOST_TOLD]
        )
        kind = "mirrors" if section.mirrors else "configs.tls"
        yield _finding(
            "client/mirrors-conflict",
            f"{section.config_path.place} sets config_path, and the same section has {tables}. containerd "
            f"starts without its Kubernetes plug-in: invalid plugin config: `{kind}` cannot be set when "
            "`config_path` is provided. The kubelet then says “unknown service runtime.v1.ImageService”.",
            evidence=(section.config_path.place, *(each.place for _name, each in old)),
        )
