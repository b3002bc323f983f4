"""Reads the settings of docker, containerd, podman and buildkit, and asks the mirrors that they name.

Files are read where an option names them; those in their usual places only with ``--profile host`` or ``all``,
for they say nothing about another host.
"""

from __future__ import annotations

from pathlib import Path

from regdoctor.api import (
    Addresses,
    Answer,
    Builder,
    BuildkitSettings,
    ClientRoutes,
    ContainerdSettings,
    ContainerdVersion,
    Context,
    CredentialKind,
    Credentials,
    CredentialSettings,
    DaemonFlags,
    DaemonProxies,
    DaemonSettings,
    DaemonState,
    DockerVersion,
    Endpoint,
    Failure,
    FileKind,
    Handshakes,
    HostsFolder,
    KubernetesObjects,
    MirrorLook,
    MirrorLooks,
    NotApplicable,
    Ping,
    Profile,
    RegistriesConf,
    Secret,
    SignaturePolicy,
    SignatureStores,
    Target,
    buildkit,
    challenges,
    containerd_config,
    credential_settings,
    daemon_flags,
    daemon_json,
    docker_config,
    docker_info,
    hosts_toml,
    installed,
    login,
    manifests,
    probe,
    registries_conf,
    settings_files,
    side_by_side,
    signature_policy,
    trust,
)

from . import mirrors, routes

_CONTAINERS_TOOLS = ("podman", "skopeo", "buildah", "crio")
_ACCEPT = ("Accept", ", ".join(manifests.ACCEPTED_MANIFESTS))


def _on_host(context: Context) -> bool:
    """Whether the settings of this very host are asked for."""
    return context.options.profile in (Profile.HOST, Profile.ALL)


def _usual(context: Context, path: Path, what: str) -> Path:
    """A file in its usual place, where it is to be looked at and exists."""
    if not _on_host(context):
        raise NotApplicable(f"{what} is looked at with --profile host")
    if not settings_files.is_there(path):
        raise NotApplicable(f"there is no {path}")
    return path


@probe
def read_daemon_json(context: Context) -> DaemonSettings:
    """Reads docker's daemon.json as dockerd does."""
    given = context.options.daemon_json
    rootless = context.home / ".config/docker/daemon.json"
    default = rootless if settings_files.is_there(rootless) else Path("/etc/docker/daemon.json")
    return daemon_json.read_daemon_json(given or _usual(context, default, "daemon.json"))


@probe
def read_daemon_flags(context: Context) -> DaemonFlags:
    """Finds the options that dockerd is started with."""
    if not _on_host(context):
        raise NotApplicable("the daemon's command line is looked at with --profile host")
    flags = daemon_flags.daemon_flags()
    if flags is None:
        raise NotApplicable("dockerd neither runs here nor has a unit")
    return flags


@probe
def ask_daemon(context: Context) -> DaemonState:
    """Asks the docker daemon of this host for the settings that it works with."""
    if not _on_host(context):
        raise NotApplicable("the daemon is asked with --profile host")
    path = docker_info.socket_path(context.environment)
    if path is None:
        raise NotApplicable("DOCKER_HOST names a daemon on another host")
    if not Path(path).exists():
        raise NotApplicable(f"there is no {path}")
    return docker_info.ask(path, context.deadline.step())


@probe
def find_docker_version(state: DaemonState | None, context: Context) -> DockerVersion:
    """Finds the version of the docker daemon: of the one that runs, else of its program."""
    if not _on_host(context):
        raise NotApplicable("docker's version is looked at with --profile host")
    found = installed.parse_version(state.version) if state is not None else None
    found = found or installed.installed_version("dockerd", context.environment, context.deadline.step())
    if found is None:
        raise NotApplicable("docker's daemon is not installed here")
    return DockerVersion(text=found.text, major=found.major, minor=found.minor)


@probe
def read_containerd_config(context: Context) -> ContainerdSettings:
    """Reads what containerd's config.toml says about registries."""
    given = context.options.containerd_config
    if given is not None:
        return containerd_config.read_containerd_config(given)
    if not _on_host(context):
        raise NotApplicable("containerd's configuration is looked at with --profile host")
    default = containerd_config.DEFAULT_PATH
    if (
        not settings_files.is_there(default)
        and installed.find_program("containerd", context.environment) is None
    ):
        raise NotApplicable("containerd is not installed here")
    return containerd_config.read_containerd_config(default)


@probe
def find_containerd_version(context: Context) -> ContainerdVersion:
    """Asks containerd's program for its version."""
    if not _on_host(context):
        raise NotApplicable("containerd's version is looked at with --profile host")
    found = installed.installed_version("containerd", context.environment, context.deadline.step())
    if found is None:
        raise NotApplicable("containerd is not installed here")
    return ContainerdVersion(text=found.text, major=found.major, minor=found.minor)


@probe
def read_hosts_folder(containerd: ContainerdSettings | None, context: Context) -> HostsFolder:
    """Reads the folders of registries that containerd has, with the hosts.toml in each."""
    given = context.options.hosts_dir
    if given is not None and given.is_file():
        return HostsFolder(roots=(), registries=(hosts_toml.read_hosts_toml(given),))
    if given is not None:
        roots = [given]
    else:
        section = containerd.section() if containerd is not None else None
        named = section.config_path.value if section is not None and section.config_path is not None else ""
        default = (
            _usual(context, hosts_toml.DEFAULT_ROOT, "containerd's folder of registries")
            if not named
            else None
        )
        roots = [default] if default is not None else [Path(each) for each in named.split(":") if each]
    return hosts_toml.read_roots(roots)


@probe
def read_registries_conf(context: Context) -> RegistriesConf:
    """Reads registries.conf and its drop-ins as podman, skopeo, buildah and CRI-O do."""
    given = context.options.registries_conf
    if given is not None:
        drop_in = given.absolute().parent.name == "registries.conf.d"
        # By itself a file is judged by itself; else its drop-ins count, as they do beside the usual one.
        more = () if context.options.lint is not None or drop_in else registries_conf.drop_ins(given.parent)
        return registries_conf.read_registries_conf(given, more, drop_in=drop_in)
    if not _on_host(context):
        raise NotApplicable("registries.conf is looked at with --profile host")
    path, more, hidden = registries_conf.default_files(context.environment, context.home)
    if not settings_files.is_there(path) and not more:
        raise NotApplicable(f"there is no {path}")
    return registries_conf.read_registries_conf(path, more, hidden=hidden)


@probe
def read_policy(context: Context) -> SignaturePolicy:
    """Reads policy.json as podman, skopeo, buildah and CRI-O do."""
    given = context.options.policy
    if given is not None:
        return signature_policy.read_policy(given)
    if not _on_host(context):
        raise NotApplicable("policy.json is looked at with --profile host")
    path = signature_policy.default_policy(context.home)
    tools = any(installed.find_program(name, context.environment) for name in _CONTAINERS_TOOLS)
    if not settings_files.is_there(path) and not tools:
        raise NotApplicable(f"there is no {path}, and nothing here that reads it")
    return signature_policy.read_policy(path)


@probe
def find_signature_stores(target: Target, policy: SignaturePolicy, context: Context) -> SignatureStores:
    """Finds out where signatures of the target's images are looked for."""
    del policy
    return signature_policy.read_stores(routes.name_of(target)[0], context.home)


@probe
def read_credential_settings(context: Context) -> CredentialSettings:
    """Reads docker's config.json, or auth.json, to be judged as a file."""
    given = context.options.authfile
    if context.options.lint is not FileKind.DOCKER_CONFIG or given is None:
        raise NotApplicable("the client's credentials are looked up by the check auth")
    settings, secrets = credential_settings.read_credential_settings(given)
    for secret in secrets:
        context.conceal(secret)
    return settings


@probe
def read_buildkitd_toml(context: Context) -> BuildkitSettings:
    """Reads what buildkitd.toml says about registries."""
    given = context.options.buildkit_config
    rootless = context.home / ".config/buildkit/buildkitd.toml"
    default = rootless if settings_files.is_there(rootless) else Path("/etc/buildkit/buildkitd.toml")
    return buildkit.read_buildkitd_toml(given or _usual(context, default, "buildkitd.toml"))


@probe
def find_builder(context: Context) -> Builder:
    """Finds the buildx builder in use by the files of buildx."""
    if not _on_host(context):
        raise NotApplicable("the builder is looked at with --profile host")
    found = buildkit.read_builder(context.environment, context.home)
    if found is None:
        raise NotApplicable("builds use the daemon's own builder")
    return found


@probe
def look_at_mirrors(
    target: Target,
    daemon: DaemonSettings | None,
    state: DaemonState | None,
    hosts: HostsFolder | None,
    conf: RegistriesConf | None,
    context: Context,
) -> MirrorLooks:
    """Asks every mirror that the clients' settings put before the target's registry."""
    found = mirrors.mirrors_of(target, daemon, state, hosts, conf)
    if not found:
        raise NotApplicable("no client's settings name a mirror for this registry")
    return MirrorLooks(looks=tuple(side_by_side(lambda mirror: _look(mirror, target, context), found)))


def _look(mirror: mirrors.Mirror, target: Target, context: Context) -> MirrorLook:
    reference = target.reference
    image = mirror.repository is not None and reference is not None
    url = mirror.base + "/"
    if mirror.repository is not None and reference is not None:
        url = f"{mirror.base}/{mirror.repository}/manifests/{reference.reference}"
    asked = url + (f"?ns={target.domain}" if image and mirror.client == "containerd" else "")
    look = MirrorLook(url=url, client=mirror.client, place=mirror.place, image=image)
    answer = _ask(asked, mirror, None, context)
    if isinstance(answer, Failure):
        return _with(look, failure=answer)
    if answer.status != 401 or mirror.insecure:
        return _with(look, answer=answer)
    user, password = _credentials(mirror, context)
    access = login.log_in(
        context,
        asked,
        challenges.parse_challenges(answer.all_headers("www-authenticate")),
        mirror.repository,
        username=user,
        password=password,
    )
    if access.header is None:
        problem = access.problem or (access.withheld and "the password would go over an open connection")
        return _with(look, answer=answer, login=problem or "it asks for a login")
    if not context.http.may_carry_credentials(asked):
        return _with(look, answer=answer, login="the login would go over an open connection")
    again = _ask(asked, mirror, access.header, context)
    return _with(look, failure=again) if isinstance(again, Failure) else _with(look, answer=again)


def _ask(url: str, mirror: mirrors.Mirror, header: Secret | None, context: Context) -> Answer | Failure:
    response = context.http.request(
        "GET",
        url,
        headers=(_ACCEPT,),
        authorization=header,
        verify=not mirror.insecure,
        proxy=context.find_proxy(url),
    )
    return response if isinstance(response, Failure) else response.answer


def _with(look: MirrorLook, **changes: object) -> MirrorLook:
    from msgspec.structs import replace

    return replace(look, **changes)


def _credentials(mirror: mirrors.Mirror, context: Context) -> tuple[str | None, Secret | None]:
    """What podman has for the mirror; docker and containerd send a mirror nothing of its own."""
    if mirror.client != "podman":
        return None, None
    found = docker_config.find_credentials(
        mirror.address, environment=context.environment, home=context.home, order=("containers",)
    )
    if found.secret is not None:
        context.conceal(found.secret)
    return found.username, found.secret


@probe
def work_out_routes(
    target: Target,
    docker: DockerVersion | None,
    daemon: DaemonSettings | None,
    state: DaemonState | None,
    containerd: ContainerdSettings | None,
    version: ContainerdVersion | None,
    hosts: HostsFolder | None,
    conf: RegistriesConf | None,
    policy: SignaturePolicy | None,
    buildkit: BuildkitSettings | None,
    builder: Builder | None,
    secrets: KubernetesObjects | None,
    proxies: DaemonProxies | None,
    endpoint: Endpoint | None,
    addresses: Addresses | None,
    handshakes: Handshakes | None,
    ping: Ping | None,
    context: Context,
) -> ClientRoutes:
    """Puts together how each client would reach the target by its settings, and what it would meet."""
    known = (docker, daemon, state, containerd, hosts, conf, policy, buildkit, builder)
    if all(each is None for each in known):
        raise NotApplicable("no client's settings are known (--profile host, or name their files)")
    names = trust.folder_names(target.registry, target.domain)
    stores = trust.trust_stores(context.options, names, context.home, context.environment)
    return routes.work_out(
        routes.Settings(
            target=target,
            docker_installed=docker is not None,
            daemon=daemon,
            state=state,
            containerd=containerd,
            version=version,
            hosts=hosts,
            conf=conf,
            policy=policy,
            buildkit=buildkit,
            builder=builder,
            secrets=secrets,
            credentials=_credentials_by_client(target, context),
            authorities={store.name: tuple(map(str, store.files)) for store in stores},
            addresses=tuple(addresses.addresses) if addresses is not None else (),
            endpoint=endpoint,
            handshakes=handshakes,
            ping=ping,
            proxies=proxies,
        )
    )


def _credentials_by_client(target: Target, context: Context) -> dict[str, Credentials]:
    """What docker and podman find for the target, each by its own rules."""
    options = context.options
    found = {}
    engines: tuple[tuple[str, docker_config.Engine], ...] = (("docker", "docker"), ("podman", "containers"))
    for client, engine in engines:
        if options.username is not None:
            found[client] = Credentials(
                key=target.domain,
                kind=CredentialKind.PASSWORD,
                username=options.username,
                source="--username",
            )
            continue
        found[client] = docker_config.find_credentials(
            target.domain,
            environment=context.environment,
            home=context.home,
            repository=target.repository,
            authfile=options.authfile,
            order=(engine,),
            helper_timeout=context.deadline.step(),
        )
        if (secret := found[client].secret) is not None:
            context.conceal(secret)
    return found
