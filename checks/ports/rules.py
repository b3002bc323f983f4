"""Judges what listens on the registry's own host, and who can get at it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from regdoctor.api import (
    Addresses,
    Certainty,
    Connections,
    Draft,
    Each,
    EffectiveConfiguration,
    Endpoint,
    FailureKind,
    FilterOutcome,
    Listener,
    ListeningSockets,
    ListenRefusal,
    OtherPorts,
    PacketFilter,
    Ping,
    ProducerKind,
    Role,
    RunningRegistries,
    RunningRegistry,
    Severity,
    finding,
    listen_addresses,
    rule,
)

NEAR_LIMIT = 0.9
"""Share of the open files from which on a burst of connections may reach the limit."""

_IN_USE = "address already in use"
_DENIED = "permission denied"
_FORWARDERS = frozenset(
    {
        *(
            "docker-proxy",
            "rootlessport",
            "slirp4netns",
            "pasta",
            "passt",
            "conmon",
            "gvproxy",
            "com.docker.backe",
        ),
        *("systemd", "kube-proxy", "k3s", "k3s-server", "containerd", "dockerd", "svclb", "socat"),
    }
)
"""Programs that accept connections for others: what is behind them cannot be told from their sockets."""
_PROXIES = frozenset(
    {"nginx", "haproxy", "traefik", "caddy", "apache2", "httpd", "envoy", "squid", "openresty"}
)
"""Reverse proxies: one on the registry's port may be meant to be there, with the registry behind it."""


@rule("ports/in-use", "ports/privileged")
def refused_by_the_system(refusal: ListenRefusal, running: RunningRegistries) -> Iterator[Draft]:
    """The registry's own log says why it cannot listen."""
    port = refusal.address.rpartition(":")[2]
    place = refusal.path if refusal.line is None else f"{refusal.path}:{refusal.line}"
    if refusal.reason == _IN_USE:
        yield finding(
            "ports/in-use",
            f"{place}: the registry could not listen on {refusal.address}: {_IN_USE}. Nothing in the log after it "
            "shows the registry at work.",
            reproduce=_reproduce(port),
            evidence=(place,),
            port=port,
        )
    elif refusal.reason == _DENIED:
        who = f", which {running.service.unit} starts as {running.service.user}," if running.service else ""
        yield finding(
            "ports/privileged",
            f"{place}: the registry{who} may not listen on {refusal.address}: {_DENIED}. Ports below 1024 need "
            "root or the capability CAP_NET_BIND_SERVICE.",
            evidence=(place,),
            port=port,
        )


@rule("ports/in-use")
def in_use(
    configuration: EffectiveConfiguration,
    listening: ListeningSockets,
    running: RunningRegistries,
    refusal: ListenRefusal | None,
    pings: Each[Ping],
) -> Iterator[Draft]:
    """Another program has the port that the registry is configured for."""
    wanted = _configured(configuration)
    if wanted is None or refusal is not None or running.registry is not None or _answers(pings):
        # A registry that runs has its port, or says why not. One that answers may have been started with an
        # earlier state of the file.
        return
    host, port = wanted
    owners = [each for each in listening.on(port) if _overlap(each.address, host) and each.pid is not None]
    for each in owners:
        if each.program in _FORWARDERS or each.program in _PROXIES:
            continue
        other = next((one for one in running.registries if one.pid == each.pid), None)
        whose = (
            f"another registry, process {each.pid} ({each.program}), started with {other.config_named}"
            if other is not None
            else f"process {each.pid} ({each.program}), which is no registry"
        )
        entry = configuration.settings.get("http", "addr")
        place = configuration.settings.origin(entry) if entry is not None else configuration.settings.path
        yield finding(
            "ports/in-use",
            f"{place} has the registry listen on {entry.value if entry else port}, but port {port} of this host "
            f"belongs to {whose}. No registry runs with this configuration: it would stop with “bind: {_IN_USE}”, "
            "and clients get the other program's answers.",
            certainty=Certainty.PROVEN if other is None and _is_asked(port, pings) else Certainty.LIKELY,
            fix=(f"see what it is: ps -o user,lstart,args -p {each.pid}",),
            reproduce=_reproduce(str(port)),
            evidence=("listening-sockets", place),
            port=str(port),
        )
        return


@rule("ports/privileged")
def privileged(
    configuration: EffectiveConfiguration,
    listening: ListeningSockets,
    running: RunningRegistries,
    refusal: ListenRefusal | None,
) -> Iterator[Draft]:
    """The service's user may not have the port that the configuration names."""
    wanted, service = _configured(configuration), running.service
    if wanted is None or service is None or refusal is not None or running.registry is not None:
        return
    _host, port = wanted
    if port >= listening.lowest_open_port or service.binds_low_ports or listening.on(port):
        return
    entry = configuration.settings.get("http", "addr")
    place = configuration.settings.origin(entry) if entry is not None else configuration.settings.path
    yield finding(
        "ports/privileged",
        f"{place} has the registry listen on port {port}, and {service.path} starts it as the user {service.user} "
        "without the capability CAP_NET_BIND_SERVICE. Ports below "
        f"{listening.lowest_open_port} are not open to it (net.ipv4.ip_unprivileged_port_start), and nothing "
        "listens there: the registry stops at its start.",
        certainty=Certainty.LIKELY,
        evidence=(place, service.path),
        port=str(port),
    )


@rule("ports/not-listening")
def not_listening(
    configuration: EffectiveConfiguration,
    listening: ListeningSockets,
    running: RunningRegistries,
    pings: Each[Ping],
) -> Iterator[Draft]:
    """Nothing listens on the port that the configuration names."""
    wanted = _configured(configuration)
    if wanted is None or _answers(pings):
        return
    host, port = wanted
    entry = configuration.settings.get("http", "addr")
    value = entry.value if entry is not None else str(port)
    place = configuration.settings.origin(entry) if entry is not None else configuration.settings.path
    own = running.registry
    if own is not None:
        if any(each.port == port for each in own.listeners) or not (own.listeners or _seen(own, listening)):
            return
        seen = f"process {own.pid} ({own.program}) runs with it and does not listen there" + (
            f", but on {_places(own.listeners)}" if own.listeners else ": it starts still, or hangs"
        )
        certainty = Certainty.LIKELY if not own.listeners else Certainty.PROVEN
    else:
        owners = [each for each in listening.on(port) if _overlap(each.address, host)]
        published = [each for each in listening.listeners if each.forwards_to]
        if owners and not all(each.program in _PROXIES for each in owners):
            return
        if published and not owners:
            # The registry may be the one in a container whose port is published as another one.
            return
        what = (
            f"port {port} belongs to {owners[0].program}, a proxy that may be meant to lead to it"
            if owners
            else f"nothing listens on port {port} of this host"
        )
        seen = f"no registry runs with this configuration, and {what}"
        certainty = Certainty.LIKELY if owners else Certainty.PROVEN
    yield finding(
        "ports/not-listening",
        f"{place} has the registry listen on {value}; {seen}. Clients get “connection refused”, or 502 from the "
        "proxy in front.",
        certainty=certainty,
        fix=_start(running),
        reproduce=_reproduce(str(port)),
        evidence=("listening-sockets", "running-registries", place),
        port=str(port),
    )


def _seen(own: RunningRegistry, listening: ListeningSockets) -> bool:
    """Whether what the process listens on could be seen at all."""
    return listening.owners_seen or own.open_files is not None


def _start(running: RunningRegistries) -> tuple[str, ...]:
    if running.service is None or running.registry is not None:
        return ()
    unit = running.service.unit
    return (f"see why it stopped, and start it: systemctl status {unit}; systemctl start {unit}",)


@rule("ports/not-listening")
def nobody_there(
    endpoint: Endpoint,
    connections: Connections,
    other_ports: OtherPorts | None,
    listening: ListeningSockets,
    running: RunningRegistries,
    configuration: EffectiveConfiguration | None,
) -> Iterator[Draft]:
    """The target's port is one of this host, and nothing listens on it."""
    if endpoint.role is not Role.REGISTRY or endpoint.proxy is not None or connections.open_addresses:
        return
    refused = [each for each in connections.attempts if each.listening is False]
    if not refused or listening.on(endpoint.port) or _elsewhere(other_ports):
        return
    wanted = _configured(configuration) if configuration is not None else None
    if wanted is not None and wanted[1] == endpoint.port:
        # The other rule says it, with the line that names the port.
        return
    own = running.registry
    if own is not None and own.listeners:
        seen = (
            f"The registry itself runs (process {own.pid}, {own.program}) and listens on "
            f"{_places(own.listeners)}: what is missing is the proxy or the published port that leads clients to "
            "it, or the target names the wrong port."
        )
    elif running.registries:
        seen = f"Of the registries on this host none is known to belong to it ({running.how})."
    else:
        seen = "No registry runs on this host."
    yield finding(
        "ports/not-listening",
        f"Nothing listens on port {endpoint.port} of this host, where {refused[0].address} leads. {seen}",
        fix=_start(running),
        reproduce=_reproduce(str(endpoint.port)),
        evidence=("listening-sockets", "running-registries", "connections"),
    )


def _elsewhere(other_ports: OtherPorts | None) -> bool:
    """Whether a registry answers on another usual port: then the target's port is wrong."""
    return other_ports is not None and any(
        each.answer is not None and each.answer.producer.kind is ProducerKind.REGISTRY
        for each in other_ports.ports
    )


@rule("ports/loopback-only")
def loopback_only(
    endpoint: Endpoint,
    addresses: Addresses,
    connections: Connections,
    listening: ListeningSockets,
    running: RunningRegistries,
) -> Iterator[Draft]:
    """Others are refused, because the target's port is bound to loopback addresses."""
    if endpoint.role is not Role.REGISTRY or endpoint.proxy is not None or connections.open_addresses:
        return
    if any(listen_addresses.is_loopback(each) for each in addresses.addresses):
        return
    listeners = listening.on(endpoint.port)
    if not listeners or not all(listen_addresses.is_loopback(each.address) for each in listeners):
        return
    failures = {each.failure.kind for each in connections.attempts if each.failure is not None}
    if FailureKind.CONNECTION_REFUSED not in failures:
        return
    first = listeners[0]
    own = next((each for each in running.registries if each.pid == first.pid), None)
    whose = "the registry" if own is not None or first.forwards_to else "a program"
    here = any(each.listening is False for each in connections.attempts)
    known = here and (own is not None or first.forwards_to is not None)
    process = f" (process {first.pid}, {first.program})" if first.pid is not None else ""
    way = "publishes it" if first.forwards_to else "listens"
    yield finding(
        "ports/loopback-only",
        f"On port {endpoint.port} of this host {whose}{process} {way} on {_places(listeners)} alone, and "
        f"{endpoint.host} is {', '.join(addresses.addresses[:3])}: it works by 127.0.0.1 here, and everybody else "
        "is refused. No proxy of this host takes the port for it.",
        certainty=Certainty.PROVEN if known else Certainty.LIKELY,
        reproduce=_reproduce(str(endpoint.port)),
        evidence=("listening-sockets", "connections"),
    )


@rule("ports/firewalled")
def firewalled(
    endpoint: Endpoint,
    addresses: Addresses | None,
    listening: ListeningSockets,
    packet_filter: PacketFilter,
) -> Iterator[Draft]:
    """The host's own packet filter keeps clients from a port on which something listens."""
    listeners = [
        each for each in listening.on(endpoint.port) if not listen_addresses.is_loopback(each.address)
    ]
    blocked = [each for each in packet_filter.ports if each.outcome is FilterOutcome.BLOCKED]
    if endpoint.role is not Role.REGISTRY or endpoint.proxy is not None:
        return
    if not listeners or not blocked or len(blocked) < len(packet_filter.ports):
        return
    asked = addresses.addresses if addresses is not None else ()
    own = {each.address for each in listening.addresses}
    named = bool(own.intersection(asked))
    if not named and any(
        each.port in _PUBLIC for each in listening.listeners if not listen_addresses.is_loopback(each.address)
    ):
        # A proxy on this host takes the connections of others, and the port behind it is closed on purpose.
        return
    first = blocked[0]
    where = listen_addresses.join(first.address, first.port)
    does = "rejects" if first.answer != "nothing" else "drops"
    rule_text = f"“{first.rule}”" if first.rule else "a rule"
    local = (
        "" if named else f" {endpoint.host} itself is not concerned: connections of this host to itself pass."
    )
    yield finding(
        "ports/firewalled",
        f"{listeners[0].program or 'A program'} listens on {_places(listeners)}, and this host's packet filter "
        f"{does} new connections to {where} from other machines: {rule_text} in "
        f"{first.chain}.{local}",
        certainty=Certainty.PROVEN if named else Certainty.LIKELY,
        severity=None if named else Severity.WARNING,
        evidence=("packet-filter", "listening-sockets"),
    )


_PUBLIC = frozenset({80, 443})


@rule("ports/file-limit")
def file_limit(running: RunningRegistries) -> Iterator[Draft]:
    """The registry has nearly as many files open as it may."""
    own = running.registry
    if own is None or own.open_files is None or not own.file_limit:
        return
    if own.open_files < own.file_limit * NEAR_LIMIT:
        return
    yield finding(
        "ports/file-limit",
        f"Process {own.pid} ({own.program}) has {own.open_files} files and connections open, and may have "
        f"{own.file_limit}. At the limit it accepts no further connection (“accept4: too many open files”).",
        reproduce=f"grep 'open files' /proc/{own.pid}/limits; ls /proc/{own.pid}/fd | wc -l",
        evidence=("running-registries",),
    )


def _answers(pings: Each[Ping]) -> bool:
    """Whether a registry answers at the target."""
    return any(
        endpoint.role is Role.REGISTRY
        and ping.answer is not None
        and ping.answer.producer.kind is ProducerKind.REGISTRY
        for endpoint, ping in pings.items()
    )


def _is_asked(port: int, pings: Each[Ping]) -> bool:
    """Whether the port is the one that clients use."""
    return any(
        endpoint.role is Role.REGISTRY and endpoint.port == port for endpoint in (*pings, *pings.missing)
    )


def _configured(configuration: EffectiveConfiguration) -> tuple[str, int] | None:
    """Host and port of ``http.addr``; None where it names no fixed TCP port."""
    settings = configuration.settings
    if (settings.text("http", "net") or "tcp") != "tcp":
        return None
    return listen_addresses.split(settings.text("http", "addr"))


def _overlap(bound: str, host: str) -> bool:
    """Whether a socket bound to one address keeps another from being bound to the host (bind(2))."""
    try:
        one, other = ipaddress.ip_address(bound), ipaddress.ip_address(host or "0.0.0.0")  # noqa: S104
    except ValueError:
        # A name: localhost, or one that only the registry's resolver knows.
        return True
    return one.is_unspecified or other.is_unspecified or one == other


def _places(listeners: Sequence[Listener]) -> str:
    return ", ".join(dict.fromkeys(listen_addresses.join(each.address, each.port) for each in listeners))


def _reproduce(port: str) -> str:
    return f"ss -ltnp 'sport = :{port}'; ps -eo pid,user,args | grep '[s]erve'"
