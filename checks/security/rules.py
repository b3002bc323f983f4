"""Judges who could do what with the registry, and who could read along."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from regdoctor.api import (
    Addresses,
    Certainty,
    Challenges,
    ConfigFile,
    ConfiguredFiles,
    Credentials,
    DebugEndpoints,
    Draft,
    Each,
    EffectiveConfiguration,
    Endpoint,
    FilterOutcome,
    LegacyHandshakes,
    PacketFilter,
    Permission,
    Permissions,
    Ping,
    Product,
    Refusal,
    Role,
    RunningRegistries,
    Settings,
    Severity,
    TokenService,
    Vendor,
    finding,
    listen_addresses,
    openness,
    rule,
)

_HOSTED = frozenset(
    {
        *(Vendor.DOCKER_HUB, Vendor.ECR, Vendor.ECR_PUBLIC, Vendor.ACR, Vendor.GOOGLE, Vendor.GHCR),
        Vendor.NVIDIA,
    }
)
"""Services that nobody runs himself: what they let strangers do is meant to be so."""
_KEYS: Mapping[tuple[str, ...], str] = {
    ("http", "tls", "key"): "the private key of its certificate: with it they can pose as the registry",
    ("auth", "htpasswd", "path"): "the hashes of all passwords: they can be guessed at leisure",
    ("compatibility", "schema1", "signingkeyfile"): "the key that signs old manifests",
    ("storage", "gcs", "keyfile"): "the credentials of its bucket",
}
_SILENT = frozenset({"error", "warn"})
"""Levels of ``log.level`` at which distribution writes nothing about requests that went well."""


class _Reach(NamedTuple):
    """Who reaches the registry, in words, and how grave what they may do there is."""

    who: str
    severity: Severity | None


def _reach(endpoint: Endpoint, addresses: Addresses | None, settings: Settings) -> _Reach:
    """An open registry is right in a laboratory: only its own host, or the Internet, tell that it is none.

    ``severity`` is None for that of the code.
    """
    found = addresses.addresses if addresses is not None else (endpoint.host,)
    if found and all(listen_addresses.is_loopback(each) for each in found):
        return _Reach("all users of this machine", Severity.INFO)
    if any(listen_addresses.is_public(each) for each in found) and endpoint.proxy is None:
        return _Reach("everybody on the Internet, unless a firewall is in between,", None)
    if settings.profile in ("host", "all"):
        return _Reach("everybody who reaches this address", None)
    return _Reach("everybody who reaches this address", Severity.INFO)


@rule("security/anonymous-pull", "security/anonymous-catalog", "security/anonymous-push")
def anonymous(
    permissions: Permissions,
    endpoints: Each[Endpoint],
    addresses: Each[Addresses],
    settings: Settings,
    product: Product | None,
) -> Iterator[Draft]:
    """What the registry itself shows that strangers may do."""
    endpoint = _registry(endpoints)
    if endpoint is None or (product is not None and product.vendor in _HOSTED):
        return
    reach = _reach(endpoint, addresses.get(endpoint), settings)
    allowed = {each.action: each for each in permissions.anonymous if each.allowed}
    what = permissions.repository
    if "pull" in allowed:
        yield finding(
            "security/anonymous-pull",
            f"Without a login {reach.who} may pull {what or 'every image'} from {endpoint.address}: "
            f"{allowed['pull'].why}.",
            evidence=_evidence(allowed["pull"]),
            endpoint=endpoint,
        )
    if "push" in allowed:
        yield finding(
            "security/anonymous-push",
            f"Without a login {reach.who} may push {f'to {what}' if what else 'images'} at {endpoint.address}, "
            f"replace what others pull, and fill the disk: {allowed['push'].why}.",
            severity=reach.severity,
            evidence=_evidence(allowed["push"]),
            endpoint=endpoint,
        )
    if "catalog" in allowed:
        yield finding(
            "security/anonymous-catalog",
            f"Without a login {reach.who} may list the names of all repositories at {endpoint.address}: "
            f"{allowed['catalog'].why}.",
            severity=reach.severity,
            evidence=_evidence(allowed["catalog"]),
            endpoint=endpoint,
        )


def _registry(endpoints: Each[Endpoint]) -> Endpoint | None:
    return next((each for each in endpoints if each.role is Role.REGISTRY), None)


def _evidence(permission: Permission) -> tuple[str, ...]:
    return ("permissions", *((permission.exchange,) if permission.exchange is not None else ()))


@rule("security/anonymous-push")
def configured_for_anybody(
    configuration: EffectiveConfiguration,
    permissions: Permissions | None,
    pings: Each[Ping],
    endpoints: Each[Endpoint],
    running: RunningRegistries | None,
    packet_filter: PacketFilter | None,
    settings: Settings,
) -> Iterator[Draft]:
    """The registry's own configuration shows that strangers may push, which no request had to try."""
    own = configuration.settings
    endpoint = _registry(endpoints)
    if settings.profile not in ("host", "all") or endpoint is None or not openness.lets_anybody_push(own):
        return
    if permissions is not None and permissions.anonymously("push"):
        # It was shown, and said already.
        return
    listens = listen_addresses.split(own.text("http", "addr"))
    process = running.registry if running is not None else None
    runs = process is not None and any(
        listens is not None and each.port == listens[1] for each in process.listeners
    )
    ping = pings.get(endpoint)
    direct = listens is not None and endpoint.port == listens[1] and ping is not None
    asked = ping.answer.status if ping is not None and ping.answer is not None else None
    if not runs and not (running is None and direct and asked == 200):
        return
    if direct and asked in (401, 403):
        # A proxy takes the port, or another configuration is at work.
        return
    contained = process is not None and process.own_network
    if contained and not (direct and asked == 200):
        # What a container's port is published as, and to whom, its own configuration does not say.
        return
    filtered = packet_filter.ports if packet_filter is not None else ()
    if direct and filtered and all(each.outcome is FilterOutcome.BLOCKED for each in filtered):
        return
    entry = own.get("http", "addr")
    place = own.origin(entry) if entry is not None else own.path
    past = (
        ""
        if direct
        else f" Whatever {endpoint.address} asks for: the registry's own port is open beside the proxy."
    )
    yield finding(
        "security/anonymous-push",
        f"{place}: the registry listens on {own.text('http', 'addr')}, not on loopback alone, and has no auth "
        "section: whoever reaches that port may push, replace what others pull, and fill the disk, without a "
        f"login.{past} A firewall in between may keep them away.",
        # No request has shown it, and what keeps others away may lie outside of this host.
        severity=Severity.WARNING,
        certainty=Certainty.LIKELY,
        evidence=(place, *((ping.answer.exchange,) if ping is not None and ping.answer is not None else ())),
        endpoint=endpoint if direct else None,
    )


@rule("security/credentials-over-http")
def credentials_over_http(
    endpoints: Each[Endpoint],
    addresses: Each[Addresses],
    asked: Challenges,
    service: TokenService | None,
    credentials: Credentials | None,
) -> Iterator[Draft]:
    """A login is asked for where everybody on the way can read it."""
    endpoint = _registry(endpoints)
    if endpoint is None or not asked.wanted:
        return
    token_server = service.host if service is not None else None
    to = endpoint if token_server is None else token_server
    if to.scheme != "http":
        # A password goes to the token server alone; the registry gets a token that ends by itself.
        return
    found = addresses.get(to)
    if to.address == endpoint.address:
        found = addresses.get(endpoint)
    known = found.addresses if found is not None else (to.host,)
    local = bool(known) and all(listen_addresses.is_loopback(each) for each in known)
    have = credentials is not None and credentials.found
    whom = (
        f"the token server {to.url}, which {endpoint.address} names"
        if token_server is not None and to.address != endpoint.address
        else to.url
    )
    if local:
        seen = (
            "It is an address of this host itself, where nobody reads along; from elsewhere everybody could."
        )
        severity: Severity | None = Severity.INFO
    elif have and credentials is not None:
        name = f" of {credentials.username}" if credentials.username else ""
        seen = (
            f"The credential{name} from {credentials.source} is such a one: everybody on the way can read it and "
            "log in with it."
        )
        severity = None
    else:
        seen = "Everybody on the way can read what clients send, and log in with it."
        severity = Severity.WARNING
    yield finding(
        "security/credentials-over-http",
        f"Clients that log in send their password in the clear to {whom}. {seen}",
        severity=severity,
        evidence=("challenges", asked.answer.exchange),
        endpoint=endpoint,
    )


@rule("security/debug-endpoint-open")
def debug_endpoint_open(
    endpoints: Each[Endpoint],
    debug: DebugEndpoints,
    addresses: Each[Addresses],
    settings: Settings,
) -> Iterator[Draft]:
    """The debug server answers, and not on loopback alone."""
    shown = [each for each in debug.answers if each.shows is not None]
    endpoint = _registry(endpoints)
    if not shown or endpoint is None:
        return
    found = addresses.get(endpoint)
    here = settings.profile in ("host", "all") or (
        found is not None and all(listen_addresses.is_loopback(each) for each in found.addresses)
    )
    kinds = {
        "variables": "its command line and memory",
        "profiles": "profiles, which cost it computing time as often as anybody asks",
        "metrics": "metrics",
    }
    what = ", ".join(dict.fromkeys(kinds[each.shows] for each in shown if each.shows is not None))
    how = (
        " It was asked from its own host; a firewall may keep others away."
        if here
        else " It was asked from here."
    )
    yield finding(
        "security/debug-endpoint-open",
        f"The registry's debug server listens on {debug.address} ({debug.source}), and gives {what} without a "
        f"login: {', '.join(each.url for each in shown)}.{how}",
        certainty=Certainty.LIKELY if here else Certainty.PROVEN,
        reproduce=f"curl -sS {shown[0].url} | head -5",
        evidence=(*(each.exchange for each in shown), debug.source),
    )


@rule("security/running-as-root")
def running_as_root(running: RunningRegistries) -> Iterator[Draft]:
    """The registry's process is root."""
    own = running.registry
    if own is None or own.user != 0 or own.own_user_ids:
        return
    where = (
        "inside of a container, as the usual images start it: who breaks out of it through a flaw is root here"
        if own.container
        else "on this host: a flaw in it gives away everything here, not the images alone"
    )
    yield finding(
        "security/running-as-root",
        f"Process {own.pid} ({own.program}) runs as root {where}.",
        severity=Severity.INFO if own.container else None,
        reproduce=f"ps -o user,pid,args -p {own.pid}",
        evidence=("running-registries",),
    )


@rule("security/key-permissions")
def key_permissions(files: ConfiguredFiles, settings: Settings) -> Iterator[Draft]:
    """Any user of this host can read a key; of a file that is judged by itself the host is another one."""
    if settings.lint is not None:
        return
    for file in files.files:
        what = _KEYS.get(file.setting)
        if what is None or file.mode is None or not file.mode & 0o004 or not file.others_enter:
            continue
        yield finding(
            "security/key-permissions",
            f"{file.path} ({'.'.join(file.setting)}) has mode {file.mode:04o}, and all users of this host may "
            f"enter its folders: each of them can read {what}.",
            fix=(f"chmod o-rwx {shlex.quote(file.path)}",),
            reproduce=f"stat -c '%A %U:%G %n' {shlex.quote(file.path)}",
            evidence=("configured-files",),
        )


@rule("security/legacy-tls-enabled")
def legacy_tls_enabled(
    endpoint: Endpoint, legacy: LegacyHandshakes, product: Product | None
) -> Iterator[Draft]:
    """The server still speaks versions of TLS that were given up in 2021."""
    if not legacy.accepted or (product is not None and product.vendor in _HOSTED):
        return
    versions = ", ".join(
        dict.fromkeys(f"{each.protocol} with {each.cipher} at {each.address}" for each in legacy.accepted)
    )
    yield finding(
        "security/legacy-tls-enabled",
        f"{endpoint.address} speaks current versions of TLS, and to clients that offer nothing else {versions} as "
        "well. Who can change what is on its way may talk an old client into it.",
        evidence=("legacy-handshakes",),
    )


@rule("security/audit-log-off")
def audit_log_off(configuration: EffectiveConfiguration, refusal: Refusal | None) -> Iterator[Draft]:
    """Nothing says who did what."""
    own = configuration.settings
    entry = own.get("log", "accesslog", "disabled")
    level = own.text("log", "level") or own.text("loglevel") or "info"
    silent = level.lower() in _SILENT
    level_entry = own.get("log", "level") or own.get("loglevel")
    levels = f"{own.origin(level_entry)} (log.level: {level})" if level_entry is not None else "log.level"
    if openness.is_on(own, "log", "accesslog", "disabled") and entry is not None:
        if any(_records(own, index) for index in range(len(own.below("notifications", "endpoints")))):
            return
        yield finding(
            "security/audit-log-off",
            f"{own.origin(entry)} switches the access log off"
            + (
                f", and {levels} leaves out what the registry writes about requests itself: nothing records who "
                "pulled or pushed what, unless a proxy in front does."
                if silent
                else ". What the registry writes at the level info (“response completed”, with address, method "
                "and path) is all that records requests."
            ),
            severity=None if silent else Severity.INFO,
            certainty=Certainty.LIKELY,
            evidence=(own.origin(entry), *((own.origin(level_entry),) if silent and level_entry else ())),
        )
    elif silent and refusal is not None and level_entry is not None and own.below("auth", "token"):
        yield finding(
            "security/audit-log-off",
            f"{levels} hides why the registry refuses a token: at the level info its log says “token issued by "
            "unknown issuer”, “expired” and the like next to “error authorizing context: invalid token”.",
            fix=("for the time of the search: log.level: info in config.yml, then restart",),
            evidence=(own.origin(level_entry), refusal.answer.exchange),
        )


def _records(settings: ConfigFile, index: int) -> bool:
    """Whether an endpoint of notifications is told of pushes and pulls."""
    return not openness.is_on(settings, "notifications", "endpoints", str(index), "disabled")
