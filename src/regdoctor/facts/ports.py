"""Facts about the registry's own host: registries that run, what listens there, and what its firewall lets in."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from regdoctor.facts.base import Fact


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP socket that listens (proc(5), ``/proc/net/tcp``)."""

    address: str
    """An IP literal; ``0.0.0.0`` and ``::`` for all addresses."""
    port: int
    user: int
    """The user id that made it."""
    pid: int | None = None
    """The process that has it; null where the caller may not see that."""
    program: str | None = None
    forwards_to: str | None = None
    """``address:port`` in a container, where the process is one that publishes a container's port."""


class OwnAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address of this host, and the interface that has it."""

    address: str
    interface: str


class ListeningSockets(Fact, frozen=True, kw_only=True):
    """What listens on TCP ports of this host (in this network namespace). Bounded."""

    listeners: tuple[Listener, ...]
    owners_seen: bool
    """Whether the caller may see whose they are."""
    addresses: tuple[OwnAddress, ...] = ()
    """The host's addresses, those of loopback aside."""
    lowest_open_port: int = 1024
    """The first port that anybody may bind (ip-sysctl, ``ip_unprivileged_port_start``)."""

    def on(self, port: int) -> tuple[Listener, ...]:
        """Those on a port."""
        return tuple(each for each in self.listeners if each.port == port)


class RunningRegistry(msgspec.Struct, frozen=True, kw_only=True):
    """A process of a registry (CNCF distribution) on this host, and the files that it uses."""

    pid: int
    program: str
    user: int
    """The user id that it acts as, as this host numbers it."""
    user_name: str | None = None
    """Null inside of a container, which has names of its own."""
    container: bool = False
    """Whether it has another root folder than this host."""
    own_user_ids: bool = False
    """Whether it has user ids of its own, so that its root is none here (user_namespaces(7))."""
    own_network: bool = False
    """Whether it has a network of its own (network_namespaces(7))."""
    binds_low_ports: bool = False
    """Whether it has the capability to bind ports below 1024 (capabilities(7))."""
    config: str | None = None
    """Its configuration as this host finds it; in a container below ``/proc/PID/root``."""
    config_named: str | None = None
    """The same as the process names it."""
    storage: str | None = None
    """The root of its storage as this host finds it; null where it stores elsewhere than in files."""
    log: str | None = None
    """The file that it writes its log to; null where that is a pipe, a socket or a terminal."""
    listeners: tuple[Listener, ...] = ()
    """What it listens on, in its own network."""
    open_files: int | None = None
    file_limit: int | None = None
    """How many files it may open (getrlimit(2), ``RLIMIT_NOFILE``); null where no limit is seen."""


class RegistryService(msgspec.Struct, frozen=True, kw_only=True):
    """A systemd service that starts a registry (systemd.service(5))."""

    unit: str
    path: str
    """The unit's file."""
    config: str | None
    user: str = "root"
    binds_low_ports: bool = False
    """Whether it is given the capability to bind ports below 1024 (``AmbientCapabilities=``), or is root."""
    enabled: bool = False
    """Whether it is started at boot."""


class RunningRegistries(Fact, frozen=True, kw_only=True):
    """The registries that run on this host, and which of them is the target."""

    registries: tuple[RunningRegistry, ...]
    serving: int | None = None
    """The process id of the one that is the target."""
    how: str = ""
    """How it is known to be the target, or why none is, in a clause."""
    service: RegistryService | None = None
    """The service that starts it; or, where none runs, the one that would start one on the target's port."""
    found_here: tuple[str, ...] = ()
    """What was found by itself, for readers of the report."""

    @property
    def registry(self) -> RunningRegistry | None:
        """The one that is the target."""
        return next((each for each in self.registries if each.pid == self.serving), None)

    @property
    def config(self) -> str | None:
        """The configuration of the target's process, or of the service that would start it."""
        found = self.registry
        if found is not None:
            return found.config
        return self.service.config if self.service is not None else None


class FilterOutcome(StrEnum):
    """What the packet filter does with a new connection from another machine."""

    OPEN = "open"
    BLOCKED = "blocked"
    UNCLEAR = "unclear"
    """It depends on what is not known: the sender's address, a rate, a match that is not known here."""


class FilteredPort(msgspec.Struct, frozen=True, kw_only=True):
    """What the packet filter does with new connections from other machines to one port."""

    address: str
    port: int
    outcome: FilterOutcome
    rule: str | None = None
    """The rule that blocks it, as ``nft`` or ``iptables-save`` writes it."""
    chain: str | None = None
    """``inet filter input``."""
    answer: str = "nothing"
    """What the sender gets: nothing, or what a reject rule says."""


class PacketFilter(Fact, frozen=True, kw_only=True):
    """What this host's packet filter (nftables, iptables) does with connections to the target's port."""

    ports: tuple[FilteredPort, ...] = ()
    problem: str | None = None
    """Why the rules could not be read, in a clause."""
    found_here: tuple[str, ...] = ()
    """What could not be read, for readers of the report."""


class ListenRefusal(Fact, frozen=True, kw_only=True):
    """The last line of the registry's log in which it says that it cannot listen.

    Later lines that show it at work take it back.
    """

    path: str
    line: int | None
    """Counted from 1; null where only the end of a long log was read."""
    address: str
    """What it was to listen on: ``:443``, ``127.0.0.1:5000``."""
    reason: str
    """The operating system's words: ``address already in use``, ``permission denied``."""
