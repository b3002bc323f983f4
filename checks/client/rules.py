"""What in clients' settings keeps them from a registry, or does not do what it seems to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from regdoctor.api import (
    Addresses,
    Builder,
    BuildkitSettings,
    Certainty,
    ContainerdSettings,
    ContainerdVersion,
    Credentials,
    CredentialSettings,
    DaemonFlags,
    DaemonSettings,
    DaemonState,
    DockerVersion,
    Draft,
    Each,
    Endpoint,
    FlawKind,
    Handshakes,
    HostsFolder,
    ManifestLook,
    MirrorLooks,
    Ping,
    RegistriesConf,
    Role,
    Settings,
    Severity,
    SignaturePolicy,
    SignatureStores,
    Target,
    daemon_json,
    finding,
    registries_conf,
    rule,
    signature_policy,
)

from . import containerd as containerd_rules
from . import docker, wording
from . import looks as looks_at_mirrors
from .mirrors import HUB, name_of
from .routes import docker_takes_for_insecure

Registries = Annotated[Each[Endpoint], Role.REGISTRY]
Pings = Annotated[Each[Ping], Role.REGISTRY]
RegistryHandshakes = Annotated[Each[Handshakes], Role.REGISTRY]
RegistryAddresses = Annotated[Each[Addresses], Role.REGISTRY]


@rule("client/daemon-json-invalid")
def daemon_json_invalid(
    daemon: DaemonSettings, flags: DaemonFlags | None, state: DaemonState | None
) -> Iterator[Draft]:
    """Dockerd does not start with the file."""
    yield from wording.unread("client/daemon-json-invalid", daemon.flaws, "dockerd")
    refused = daemon_json.refused(daemon)
    conflicts = list(docker.conflicts(daemon, flags)) if flags is not None else []
    if not refused and not conflicts:
        return
    seen = [f"{wording.told(refused)}."] if refused else []
    seen += [docker.suggestions(refused)] if docker.suggestions(refused) else []
    if conflicts and flags is not None:
        names = ", ".join(f"{each.value} ({each.place})" for each in conflicts)
        seen.append(
            f"{names}: the following directives are specified both as a flag and in the configuration file; "
            f"the flag stands in {flags.source}."
        )
    if state is not None and not state.failure:
        seen.append(
            f"The docker daemon {state.version} that runs now was started before this change; it does not "
            "take it at a reload and does not start again with it."
        )
    else:
        seen.append(
            "dockerd stops at once with such a file, and docker says “Cannot connect to the Docker daemon”."
        )
    yield finding(
        "client/daemon-json-invalid",
        " ".join(seen),
        evidence=(*wording.places(refused), *(each.place for each in conflicts)),
    )


@rule("client/daemon-json-invalid")
def daemon_json_too_new(daemon: DaemonSettings, version: DockerVersion | None) -> Iterator[Draft]:
    """What docker 20.10 and older refuse, and docker 23 and newer take."""
    if not daemon.older or daemon_json.refused(daemon) or (version is not None and version.major >= 23):
        return
    told = f"{wording.told(daemon.older)}."
    if version is not None:
        yield finding(
            "client/daemon-json-invalid",
            f"{told} docker {version.major}.{version.minor}, which is installed here, does not start with that; "
            "newer versions take it.",
            evidence=(*wording.places(daemon.older), "docker-version"),
        )
        return
    whole = any(flaw.key is None for flaw in daemon.older)
    yield finding(
        "client/daemon-json-invalid",
        f"{told} docker 20.10 and older do not start with that; newer versions take it.",
        certainty=Certainty.POSSIBLE,
        severity=Severity.WARNING if whole else Severity.INFO,
        evidence=wording.places(daemon.older),
    )


@rule("client/daemon-json-invalid")
def daemon_json_ignored(daemon: DaemonSettings) -> Iterator[Draft]:
    """Settings that dockerd takes without a word and that have no effect."""
    if not daemon.usable:
        return
    names = [each for each in daemon.misnamed if each.value != "insecure-registry"]
    repeated = [flaw for flaw in daemon.flaws if flaw.kind is FlawKind.IGNORED]
    if not names and not repeated:
        return
    seen = [
        f"{each.place}: {each.value} is the name of a flag; in the file it has to be "
        f"{daemon_json.FLAGS[each.value]}, and dockerd passes over it without a word."
        for each in names[: wording.MOST_TOLD]
    ]
    if repeated:
        seen.append(f"{wording.told(repeated)}.")
    yield finding(
        "client/daemon-json-invalid",
        " ".join(seen),
        severity=Severity.WARNING,
        evidence=(*(each.place for each in names), *wording.places(repeated)),
    )


@rule("client/insecure-entry-wrong")
def insecure_key_wrong(daemon: DaemonSettings) -> Iterator[Draft]:
    """``insecure-registry`` is a flag; the key of the file is another."""
    wrong = [each for each in daemon.misnamed if each.value == "insecure-registry"]
    if wrong and daemon.usable:
        yield finding(
            "client/insecure-entry-wrong",
            f"{wrong[0].place} says insecure-registry, which is the name of a flag: dockerd starts, ignores "
            "it, and says nothing. In the file the key is insecure-registries.",
            evidence=(wrong[0].place,),
        )


@rule("client/insecure-entry-wrong")
def insecure_entry_wrong(
    target: Target,
    daemon: DaemonSettings,
    state: DaemonState | None,
    pings: Pings,
    handshakes: RegistryHandshakes,
    addresses: RegistryAddresses,
    registries: Registries,
) -> Iterator[Draft]:
    """The registry needs an entry, and the one that was meant for it has no effect."""
    endpoint = next(iter(registries), None)
    if endpoint is None or not daemon.usable:
        return
    found = addresses.get(endpoint)
    known = tuple(found.addresses) if found is not None else ()
    need = docker.needs_entry(endpoint, pings.get(endpoint), handshakes.get(endpoint))
    if need is None or docker_takes_for_insecure(target, known):
        return
    entry = next((each for each in daemon.insecure if daemon_json.covers(each, target.domain, known)), None)
    if entry is not None:
        if state is not None and not state.failure and not docker.loaded(state, target.domain, known):
            yield finding(
                "client/insecure-entry-wrong",
                f"{need} {entry.place} lists {entry.value} as insecure, but the docker daemon "
                f"{state.version} that runs does not: it was not reloaded since, or reads another file. It "
                "knows as insecure: "
                f"{', '.join((*state.insecure_hosts, *state.insecure_networks)) or 'nothing'}.",
                fix=("systemctl reload docker, then: docker info | grep -A5 'Insecure Registries'",),
                evidence=(entry.place, "daemon-state"),
                endpoint=endpoint,
                address=target.domain,
            )
        return
    meant = [
        (each, why) for each in daemon.insecure if (why := docker.difference(each.value, target)) is not None
    ]
    if meant:
        entry, why = meant[0]
        yield finding(
            "client/insecure-entry-wrong",
            f"{need} {entry.place} lists {entry.value} as insecure, and {why}: dockerd compares entries "
            f"with what stands before the first slash of an image's name, here {target.domain}, letter by "
            "letter.",
            evidence=(entry.place,),
            endpoint=endpoint,
            address=target.domain,
        )


@rule("client/insecure-hides-cause")
def insecure_hides_cause(
    target: Target,
    pings: Pings,
    registries: Registries,
    daemon: DaemonSettings | None,
    state: DaemonState | None,
    conf: RegistriesConf | None,
) -> Iterator[Draft]:
    """The registry has TLS, and a client falls back to HTTP because it is listed as insecure."""
    endpoint = next(iter(registries), None)
    ping = pings.get(endpoint) if endpoint is not None else None
    if (
        endpoint is None
        or endpoint.scheme != "https"
        or ping is None
        or ping.answer is None
        or not ping.trusted
    ):
        return
    entries = list(docker.insecure_entries(target, daemon, state, conf))
    if not entries:
        return
    who = " and ".join(dict.fromkeys(client for client, _place in entries))
    places = tuple(dict.fromkeys(place for _client, place in entries))
    status = ping.answer.status
    if status in (200, 401):
        yield finding(
            "client/insecure-hides-cause",
            f"{endpoint.address} has a certificate that is trusted here, and {who} {_has(entries)} it "
            f"listed as insecure ({', '.join(places)}): its certificate is not verified, and errors over "
            "https are hidden behind those of plain HTTP.",
            severity=Severity.INFO,
            evidence=(*places, ping.answer.exchange),
            endpoint=endpoint,
        )
        return
    yield finding(
        "client/insecure-hides-cause",
        f"Over https {endpoint.address} answers {status} at /v2/. {who} {_has(entries)} it listed as "
        f"insecure ({', '.join(places)}), so after this they try plain HTTP as well and show what comes of "
        "that instead, often “400 Bad Request” or “connection refused”.",
        evidence=(*places, ping.answer.exchange),
        endpoint=endpoint,
    )


def _has(entries: list[tuple[str, str]]) -> str:
    return "have" if len({client for client, _place in entries}) > 1 else "has"


@rule("client/mirror-not-applicable")
def mirror_not_applicable(target: Target, daemon: DaemonSettings) -> Iterator[Draft]:
    """Docker's mirrors stand for Docker Hub alone."""
    if target.domain == HUB or not daemon.usable or not daemon.mirrors:
        return
    others = [each for each in daemon.mirrors if docker.address(each.value) != target.domain]
    if not others:
        return
    host = target.domain.partition(":")[0]
    meant = [each for each in others if host in each.value]
    shown = (meant or others)[0]
    seen = (
        f"{shown.place} names the mirror {shown.value}. dockerd asks it for images of Docker Hub only; for "
    )
    seen += f"{target.domain} it never does, and nothing says so."
    if meant:
        yield finding(
            "client/mirror-not-applicable",
            f"{seen} By its address this mirror was meant for {host}.",
            certainty=Certainty.LIKELY,
            evidence=(shown.place,),
            address=target.domain,
        )
    else:
        yield finding(
            "client/mirror-not-applicable",
            seen,
            severity=Severity.INFO,
            evidence=(shown.place,),
            address=target.domain,
        )


@rule("client/mirror-broken")
def mirror_broken(
    looks: MirrorLooks, target: Target, pings: Pings, manifest: ManifestLook | None
) -> Iterator[Draft]:
    """A mirror that helps nobody, while clients go on to the origin without a word."""
    yield from looks_at_mirrors.mirror_broken(looks, target, pings, manifest)


@rule("client/hosts-toml-invalid")
def hosts_toml_invalid(hosts: HostsFolder, settings: Settings, target: Target | None) -> Iterator[Draft]:
    """A file that containerd passes over, or that ends every pull from its registry."""
    yield from containerd_rules.hosts_toml_invalid(hosts, settings, target)


@rule("client/hosts-toml-invalid")
def hosts_without_hosts(
    hosts: HostsFolder, target: Target | None, version: ContainerdVersion | None
) -> Iterator[Draft]:
    """Containerd 1.6 rejects a file without a ``[host]`` table; newer versions use it."""
    yield from containerd_rules.hosts_without_hosts(hosts, target, version)


@rule("client/hosts-toml-invalid")
def hosts_folder_misnamed(hosts: HostsFolder, settings: Settings, target: Target | None) -> Iterator[Draft]:
    """A folder whose name containerd never looks for."""
    yield from containerd_rules.hosts_folder_misnamed(hosts, settings, target)


@rule("client/config-path-unset")
def config_path_misplaced(
    containerd: ContainerdSettings, version: ContainerdVersion | None
) -> Iterator[Draft]:
    """``config_path`` stands in a section that this version of the file, or of containerd, does not read."""
    yield from containerd_rules.config_path_misplaced(containerd, version)


@rule("client/config-path-unset")
def config_path_unset(
    containerd: ContainerdSettings,
    hosts: HostsFolder,
    version: ContainerdVersion | None,
    target: Target,
) -> Iterator[Draft]:
    """hosts.toml files are there, and Kubernetes' part of containerd does not look at them."""
    yield from containerd_rules.config_path_unset(containerd, hosts, version, target)


@rule("client/config-path-unset")
def containerd_config_invalid(containerd: ContainerdSettings) -> Iterator[Draft]:
    """Containerd does not start with the file, so nothing in it counts."""
    yield from containerd_rules.containerd_config_invalid(containerd)


@rule("client/mirrors-conflict")
def mirrors_conflict(containerd: ContainerdSettings) -> Iterator[Draft]:
    """The old tables and ``config_path`` exclude each other."""
    yield from containerd_rules.mirrors_conflict(containerd)


@rule("client/registries-conf-invalid")
def registries_conf_invalid(conf: RegistriesConf) -> Iterator[Draft]:
    """Every command stops at the first mistake."""
    yield from wording.unread("client/registries-conf-invalid", conf.flaws, "podman")
    broken = [flaw for flaw in conf.flaws if flaw.kind in wording.BROKEN]
    if broken:
        yield finding(
            "client/registries-conf-invalid",
            f"{wording.told(broken)}. podman, skopeo, buildah and CRI-O stop there, whatever the registry: "
            "loading registries "
            f'configuration "{broken[0].path}": {broken[0].message}.',
            evidence=wording.places(broken),
        )


@rule("client/registry-blocked")
def registry_blocked(conf: RegistriesConf, target: Target) -> Iterator[Draft]:
    """The table of the longest prefix has ``blocked = true``."""
    name, tag = name_of(target)
    table = registries_conf.find_registry(conf.registries, name + tag)
    if table is None or table.blocked is None or conf.flaws:
        return
    yield finding(
        "client/registry-blocked",
        f"{table.blocked.place} blocks {table.prefix}, which covers {name}: podman, skopeo, buildah and "
        f"CRI-O refuse it before they contact anything (“registry {table.prefix} is blocked in "
        f"{table.path}”). docker and containerd do not read this file.",
        evidence=(table.blocked.place,),
        address=target.domain,
    )


@rule("client/policy-invalid")
def policy_invalid(policy: SignaturePolicy) -> Iterator[Draft]:
    """Without a policy nothing is pulled."""
    broken = [flaw for flaw in policy.flaws if flaw.kind in wording.BROKEN]
    missing = [flaw for flaw in policy.flaws if flaw.message == "it does not exist"]
    yield from wording.unread(
        "client/policy-invalid", [each for each in policy.flaws if each not in missing], "podman"
    )
    if broken:
        yield finding(
            "client/policy-invalid",
            f"{wording.told(broken)}. podman, skopeo, buildah and CRI-O refuse every image with it: invalid "
            "policy in "
            f'"{policy.path}": {broken[0].message}.',
            evidence=wording.places(broken),
        )
    elif missing:
        yield finding(
            "client/policy-invalid",
            f"There is no {policy.path}, and podman, skopeo, buildah and CRI-O refuse every image without a "
            "policy.",
            evidence=(policy.path,),
        )


@rule("client/policy-rejects")
def policy_rejects(
    policy: SignaturePolicy, target: Target, stores: SignatureStores | None
) -> Iterator[Draft]:
    """The most specific scope of the policy does not let the image through."""
    if policy.flaws:
        return
    name, tag = name_of(target)
    scope = signature_policy.scope_of(policy, name, tag)
    if scope is None:
        return
    shown = "the default" if scope.transport is None else f"the scope “{scope.scope}” of docker"
    rejecting = [each for each in scope.requirements if each.type == "reject"]
    if rejecting:
        yield finding(
            "client/policy-rejects",
            f"{rejecting[0].place} says reject, and {shown} is what counts for {name}{tag}: podman, skopeo, "
            "buildah and CRI-O refuse it (“… is rejected by policy”). docker and containerd do not read "
            "this file.",
            evidence=(rejecting[0].place,),
            address=target.domain,
        )
        return
    signed = [
        each for each in scope.requirements if each.type in ("signedBy", "sigstoreSigned", "signedBaseLayer")
    ]
    if not signed or stores is None:
        return
    sigstore = signed[0].type == "sigstoreSigned"
    known = stores.attachments if sigstore else stores.lookaside is not None
    demand = f"{signed[0].place} demands a signature ({signed[0].type}), and {shown} counts for {name}{tag}."
    if known:
        yield finding(
            "client/policy-rejects",
            f"{demand} Whether the image carries one that the policy accepts is not looked at here.",
            certainty=Certainty.POSSIBLE,
            severity=Severity.INFO,
            evidence=(signed[0].place,),
            address=target.domain,
        )
        return
    wants = "use-sigstore-attachments: true" if sigstore else "a lookaside"
    yield finding(
        "client/policy-rejects",
        f"{demand} No file of registries.d has {wants} for it, so no signature is found, whether there is "
        "one or not: “A signature was required, but no signature exists”.",
        certainty=Certainty.LIKELY,
        evidence=(signed[0].place, *stores.files[:3]),
        address=target.domain,
    )


@rule("client/docker-config-invalid")
def docker_config_invalid(credentials: Credentials) -> Iterator[Draft]:
    """A file of credentials that cannot be used as a whole."""
    broken = [each for each in credentials.problems if each.malformed]
    if broken:
        yield finding(
            "client/docker-config-invalid",
            f"{broken[0].place}: {broken[0].message}. docker warns once (“Error parsing config file”) and "
            "goes on without any credentials, as if nobody had logged in; podman and skopeo stop.",
            evidence=tuple(each.place for each in broken),
        )


@rule("client/docker-config-invalid")
def docker_config_file_invalid(settings: CredentialSettings) -> Iterator[Draft]:
    """The same, of a file that is judged by itself."""
    yield from wording.unread("client/docker-config-invalid", settings.flaws, "docker")
    broken = [flaw for flaw in settings.flaws if flaw.kind in wording.BROKEN]
    if broken:
        yield finding(
            "client/docker-config-invalid",
            f"{wording.told(broken)}. docker warns once (“Error parsing config file”) and goes on without "
            "any credentials, as if nobody had logged in; podman and skopeo stop.",
            evidence=wording.places(broken),
        )


@rule("client/buildkit-separate")
def buildkitd_toml_invalid(buildkit: BuildkitSettings, settings: Settings) -> Iterator[Draft]:
    """Buildkitd does not start with the file, or part of it does nothing."""
    yield from wording.unread("client/buildkit-separate", buildkit.flaws, "buildkitd")
    broken = [flaw for flaw in buildkit.flaws if flaw.kind in wording.BROKEN]
    others = [flaw for flaw in buildkit.flaws if flaw.kind in (FlawKind.FILE, FlawKind.IGNORED)]
    if broken:
        yield finding(
            "client/buildkit-separate",
            f"{wording.told(broken)}. buildkitd does not start with such a file, and a builder made with it "
            "builds nothing.",
            severity=Severity.ERROR,
            evidence=wording.places(broken),
        )
    if others:
        here = settings.lint is None or buildkit.path.startswith("/etc/")
        yield finding(
            "client/buildkit-separate",
            f"{wording.told(others)}.",
            certainty=Certainty.LIKELY if here else Certainty.POSSIBLE,
            severity=Severity.WARNING,
            evidence=wording.places(others),
        )


@rule("client/buildkit-separate")
def builder_separate(
    builder: Builder,
    target: Target,
    registries: Registries,
    pings: Pings,
    handshakes: RegistryHandshakes,
) -> Iterator[Draft]:
    """The builder in use knows nothing of what docker knows about a registry that needs it."""
    endpoint = next(iter(registries), None)
    if builder.driver in ("", "docker") or endpoint is None:
        return
    need = docker.needs_entry(endpoint, pings.get(endpoint), handshakes.get(endpoint))
    if need is None:
        return
    own = (
        "It was made with a buildkitd.toml, which has to name this registry."
        if builder.configured
        else "It was made without a buildkitd.toml."
    )
    yield finding(
        "client/buildkit-separate",
        f"{need} The builder in use, {builder.name}, has the driver {builder.driver}: it does not read "
        f"daemon.json, certs.d or this host's authorities. {own}",
        evidence=(builder.path,),
        endpoint=endpoint,
        address=target.domain,
    )
