"""Looks at the registry's own host: what runs, what listens, what the firewall lets in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from pathlib import Path

from regdoctor.api import (
    Addresses,
    Blocked,
    Context,
    Endpoint,
    FilteredPort,
    Listener,
    ListeningSockets,
    ListenRefusal,
    NotApplicable,
    OwnAddress,
    PacketFilter,
    Profile,
    RegistryService,
    RunningRegistries,
    RunningRegistry,
    config_file,
    listen_addresses,
    listen_log,
    packet_filter,
    probe,
    processes,
    registry_process,
    sockets,
    tcp,
)

_PROC = Path("/proc")
_LOWEST_OPEN_PORT = _PROC / "sys/net/ipv4/ip_unprivileged_port_start"
MOST_REGISTRIES = 100
_PUBLISHER = "docker-proxy"
"""Publishes a container's port where the kernel does not (moby ``cmd/docker-proxy``)."""


@probe
def list_sockets(context: Context) -> ListeningSockets:
    """What listens on TCP ports of this host, and whose that is."""
    _on_the_host(context)
    try:
        found = sockets.listening(_PROC / "self/net")
    except OSError as error:
        raise Blocked(f"the kernel's table of sockets cannot be read: {error.strerror}") from None
    owners, complete = sockets.owners({each.inode for each in found})
    programs = {pid: processes.read(pid) for pid in set(owners.values())}
    return ListeningSockets(
        listeners=tuple(_listener(each, programs.get(owners.get(each.inode, 0))) for each in found),
        owners_seen=complete,
        addresses=tuple(_own_addresses()),
        lowest_open_port=_lowest_open_port(),
    )


def _on_the_host(context: Context) -> None:
    if context.options.profile not in (Profile.HOST, Profile.ALL):
        raise NotApplicable("this host is looked at with --profile host")


def _listener(socket: sockets.ListeningSocket, process: processes.Process | None) -> Listener:
    return Listener(
        address=str(socket.address),
        port=socket.port,
        user=socket.user,
        pid=process.pid if process is not None else None,
        program=process.name if process is not None else None,
        forwards_to=_forwards_to(process) if process is not None else None,
    )


def _forwards_to(process: processes.Process) -> str | None:
    if process.name != _PUBLISHER:
        return None
    host, port = process.argument("-container-ip"), process.argument("-container-port")
    return f"{host}:{port}" if host and port else None


def _own_addresses() -> Iterator[OwnAddress]:
    import psutil

    for interface, entries in psutil.net_if_addrs().items():
        for entry in entries:
            try:
                address = ipaddress.ip_address(entry.address.partition("%")[0])
            except ValueError:
                continue
            if not address.is_loopback:
                yield OwnAddress(address=str(address), interface=interface)


def _lowest_open_port() -> int:
    try:
        return int(_LOWEST_OPEN_PORT.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 1024


@probe
def find_registries(
    endpoint: Endpoint, addresses: Addresses | None, listening: ListeningSockets | None, context: Context
) -> RunningRegistries:
    """The registries that run on this host, whatever they are called, and which of them is the target."""
    _on_the_host(context)
    found = registry_process.registries()
    own = [
        each for each in (addresses.addresses if addresses is not None else ()) if tcp.is_own_address(each)
    ]
    search = _Search(endpoint, found, listening.listeners if listening is not None else (), context)
    serving, how = search.serving(own)
    seen = RunningRegistries(
        registries=tuple(_described(each) for each in found[:MOST_REGISTRIES]),
        serving=serving.process.pid if serving is not None else None,
        how=how,
        service=_service(endpoint.port if own and search.is_free() else None, serving, context),
    )
    from msgspec.structs import replace

    return replace(seen, found_here=tuple(_found_here(seen, context)))


def _found_here(seen: RunningRegistries, context: Context) -> Iterator[str]:
    """What the run takes from this host without having been told, a line each."""
    found, options = seen.registry, context.options
    if found is None:
        if seen.service is not None and options.config is None:
            yield f"configuration: {seen.service.config}, from {seen.service.path}"
        yield f"registry: {seen.how}"
        return
    yield f"registry: process {found.pid} ({found.program}), which {seen.how}"
    for what, given, path in (
        ("configuration", options.config, found.config),
        ("storage", options.storage, found.storage),
        ("log", options.log, found.log),
    ):
        if given is None and path is not None:
            yield f"{what}: {path}"


class _Search:
    """Finds the process behind the target."""

    def __init__(
        self,
        endpoint: Endpoint,
        found: Sequence[registry_process.RegistryProcess],
        listeners: Sequence[Listener],
        context: Context,
    ) -> None:
        self._endpoint = endpoint
        self._found = found
        self._listeners = listeners
        self._options = context.options

    def serving(self, own: Sequence[str]) -> tuple[registry_process.RegistryProcess | None, str]:
        """The process, and how it is known, or why none is.

        :param own: those addresses of the target that are this host's.
        """
        if self._options.config is not None or self._options.storage is not None:
            return self._by_files(self._options.config, self._options.storage)
        listeners = [each for each in self._listeners if each.port == self._endpoint.port] if own else []
        for each in listeners:
            process = self._of(each.pid) or self._published(each)
            if process is not None:
                return process, f"listens on {listen_addresses.join(each.address, each.port)}"
        return self._only(own)

    def is_free(self) -> bool:
        """Whether the target's port is known to be no registry's."""
        return all(
            each.pid is not None and each.forwards_to is None and self._of(each.pid) is None
            for each in self._listeners
            if each.port == self._endpoint.port
        )

    def _by_files(
        self, config: Path | None, storage: Path | None
    ) -> tuple[registry_process.RegistryProcess | None, str]:
        if config is not None:
            for each in self._found:
                if each.configuration is not None and _same_text(each.configuration, config):
                    return each, f"was started with {config}"
            return None, f"no running registry was started with {config}"
        found = registry_process.find_registry(storage, None)
        process = self._of(found.process.pid) if found is not None else None
        return (
            process,
            f"stores in {storage}" if process is not None else f"no running registry uses {storage}",
        )

    def _of(self, pid: int | None) -> registry_process.RegistryProcess | None:
        return next((each for each in self._found if each.process.pid == pid), None)

    def _published(self, listener: Listener) -> registry_process.RegistryProcess | None:
        """The process in a container whose port is published as the target's."""
        host, _, port = (listener.forwards_to or "").rpartition(":")
        for each in self._found:
            if host and each.own_network and host in registry_process.addresses_of(each.process):
                listening = _listeners_of(each)
                if not listening or any(str(one.port) == port for one in listening):
                    return each
        return None

    def _only(self, own: Sequence[str]) -> tuple[registry_process.RegistryProcess | None, str]:
        """The only registry here: a proxy, or rules of the kernel, may lead clients to it."""
        if not self._found:
            return None, "no registry runs on this host"
        if not own and self._options.profile is not Profile.HOST:
            return None, f"{self._endpoint.host} is another machine"
        here = [each for each in self._found if each.own_network is False]
        contained = [each for each in self._found if each.own_network is not False and each.container]
        for candidates in (here, contained):
            if len(candidates) == 1:
                return candidates[0], "is the only registry here"
            if candidates:
                return None, f"{len(candidates)} registries run here; name the target's with --config"
        return None, "no registry of this host can be told to be the target"


def _same_text(one: Path, other: Path) -> bool:
    """Whether two files are one, or say the same: containers often get a copy."""
    try:
        if one.samefile(other):
            return True
        with one.open("rb") as first, other.open("rb") as second:
            content = first.read(config_file.LARGEST)
            return bool(content) and content == second.read(config_file.LARGEST)
    except (OSError, ValueError):
        return False


def _described(found: registry_process.RegistryProcess) -> RunningRegistry:
    count, limit = found.open_files()
    log = found.log()
    storage = found.locate(found.root) if found.in_files else None
    return RunningRegistry(
        pid=found.process.pid,
        program=found.process.name,
        user=found.identity.user,
        user_name=registry_process.user_name(found.identity.user) if not found.container else None,
        container=found.container,
        own_user_ids=found.foreign_ids,
        own_network=bool(found.own_network),
        binds_low_ports=found.binds_low_ports(),
        config=str(found.configuration) if found.configuration is not None else None,
        config_named=found.configuration_named,
        storage=str(storage) if storage is not None else None,
        log=str(log) if log is not None else None,
        listeners=_listeners_of(found),
        open_files=count,
        file_limit=limit,
    )


def _listeners_of(found: registry_process.RegistryProcess) -> tuple[Listener, ...]:
    """What a process listens on in its own network namespace."""
    try:
        table = sockets.listening(found.process.folder / "net")
        mine = sockets.of_process(found.process.folder)
    except OSError:
        return ()
    return tuple(
        Listener(
            address=str(each.address),
            port=each.port,
            user=each.user,
            pid=found.process.pid,
            program=found.process.name,
        )
        for each in table
        if each.inode in mine
    )


def _service(
    port: int | None, serving: registry_process.RegistryProcess | None, context: Context
) -> RegistryService | None:
    """The service with the target's configuration; where that is not known, one that would listen on a free port.

    :param port: the target's, where it is this host's and no registry has it.
    """
    given = context.options.config
    used = serving.configuration if serving is not None else given
    for unit in registry_process.services():
        if unit.config is None:
            continue
        if used is not None:
            fits = _same_text(unit.config, used)
        else:
            fits = unit.enabled and port is not None and _port_of(unit.config) == port
        if fits:
            return RegistryService(
                unit=unit.unit,
                path=str(unit.path),
                config=str(unit.config),
                user=unit.user,
                binds_low_ports=unit.binds_low_ports,
                enabled=unit.enabled,
            )
    return None


def _port_of(config: Path) -> int | None:
    found = listen_addresses.split(config_file.read_config(config).text("http", "addr"))
    return found[1] if found is not None else None


@probe
def read_packet_filter(
    endpoint: Endpoint, addresses: Addresses | None, listening: ListeningSockets, context: Context
) -> PacketFilter:
    """Walks a connection to the target's port through the rules of nftables and iptables, on paper."""
    wanted = _destinations(addresses, listening)
    if not wanted:
        raise NotApplicable(f"{endpoint.host} has no address of this host that others could reach")
    try:
        rules = packet_filter.read_rules(context.environment, context.deadline.step())
    except packet_filter.Unreadable as problem:
        line = f"firewall: its rules were not read: {problem}"
        return PacketFilter(problem=str(problem), found_here=(line,))
    return PacketFilter(
        ports=tuple(
            FilteredPort(
                address=each.address,
                port=endpoint.port,
                outcome=passage.outcome,
                rule=passage.rule,
                chain=passage.chain,
                answer=passage.answer,
            )
            for each in wanted
            for passage in [
                packet_filter.walk(
                    rules, packet_filter.Connection(each.address, endpoint.port, each.interface)
                )
            ]
        )
    )


def _destinations(addresses: Addresses | None, listening: ListeningSockets) -> list[OwnAddress]:
    """The addresses of this host that others use for the target.

    Those of the target's name where they are this host's own; else, where the name leads to loopback or to a
    machine in front, those of its first interface.
    """
    named = set(addresses.addresses) if addresses is not None else set()
    own = [each for each in listening.addresses if each.address in named]
    others = [each for each in listening.addresses if not ipaddress.ip_address(each.address).is_link_local]
    return own or [each for each in others if each.interface == others[0].interface]


@probe
def read_log(running: RunningRegistries | None, context: Context) -> ListenRefusal:
    """Whether the registry's log ends with its not being able to listen."""
    path = context.options.log
    if path is None and running is not None and running.registry is not None and running.registry.log:
        path = Path(running.registry.log)
    if path is None:
        raise NotApplicable(
            "this host is looked at with --profile host, and no log is given (--log)"
            if running is None
            else "no log is given (--log)"
        )
    try:
        refusal = listen_log.read_refusal(path)
    except OSError as error:
        raise NotApplicable(f"{path} cannot be read: {error.strerror or error}") from None
    if refusal is None:
        raise NotApplicable(f"{path} does not end with a refusal to listen")
    return refusal
