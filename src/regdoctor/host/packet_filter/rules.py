"""Packet filter rules in one form for nftables and iptables, and the way of a connection through them. Pure."""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from regdoctor.facts.ports import FilterOutcome

_DEEPEST: Final = 32
"""Jumps within jumps; the kernel allows 16 (nft(8))."""
_MOST_STEPS: Final = 200_000
"""Rules looked at for one connection: those of a large cluster's node are some ten thousand."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Value = str | int | tuple[int, int] | Network
"""A word, a number, a range of numbers, or a network."""


class Field(Enum):
    """What of a packet a condition is about."""

    PORT = "destination port"
    PROTOCOL = "transport protocol"
    STATE = "connection tracking state"
    INTERFACE = "incoming interface"
    SOURCE = "source address"
    DESTINATION = "destination address"
    FAMILY = "address family"
    ALWAYS = "true of every first packet of a connection"
    NEVER = "true of none"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Condition:
    """One match of a rule: the field has one of the values, or, negated, none of them."""

    field: Field
    values: tuple[Value, ...] = ()
    negated: bool = False


class Action(Enum):
    """What a rule does with what it matches."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"
    REDIRECT = "redirect"
    """The packet goes on to another address or port."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rule:
    """One rule. ``text`` is how the program that lists the rules writes it."""

    conditions: tuple[Condition, ...]
    action: Action
    target: str | None = None
    """The chain of a jump."""
    text: str = ""
    answer: str = "nothing"
    """What the sender gets of a rejected packet: ``tcp reset``, ``icmp admin-prohibited``."""


@dataclass
class Chain:
    """A chain of rules; one with a hook is where the kernel begins."""

    family: str
    table: str
    name: str
    rules: list[Rule] = field(default_factory=list)
    hook: str | None = None
    priority: int = 0
    policy: Action = Action.ACCEPT

    @property
    def title(self) -> str:
        """``inet filter input``."""
        return f"{self.family} {self.table} {self.name}"


@dataclass
class Ruleset:
    """All chains, by family, table and name."""

    chains: dict[tuple[str, str, str], Chain] = field(default_factory=dict)

    def hooked(self, hook: str, family: str) -> list[Chain]:
        """The base chains of a hook that see packets of a family (``ip`` or ``ip6``), in the kernel's order."""
        found = [
            chain for chain in self.chains.values() if chain.hook == hook and chain.family in (family, "inet")
        ]
        return sorted(found, key=lambda chain: chain.priority)


@dataclass(frozen=True)
class Connection:
    """A new TCP connection from another machine.

    ``interface`` is the one that has the destination address, by which such packets come in; None where it is not
    known.
    """

    address: str
    port: int
    interface: str | None = None

    @property
    def family(self) -> str:
        """``ip`` or ``ip6``."""
        return "ip6" if ":" in self.address else "ip"


@dataclass(frozen=True)
class Passage:
    """What becomes of a connection. ``rule`` and ``chain`` say where it ends, unless it is let in."""

    outcome: FilterOutcome
    rule: str | None = None
    chain: str | None = None
    answer: str = "nothing"


_UNCLEAR = Passage(FilterOutcome.UNCLEAR)


def walk(ruleset: Ruleset, connection: Connection) -> Passage:
    """Walks a connection through the base chains that see packets for this host (nft(8), "Address families").

    Accepted by one base chain, a packet goes on to the next; dropped, it is gone.
    """
    steps = _Steps(ruleset, connection)
    for hook in ("prerouting", "input"):
        for chain in ruleset.hooked(hook, connection.family):
            passage = steps.base(chain)
            if passage is not None:
                return passage
    return Passage(FilterOutcome.OPEN)


class _TooMany(Exception):  # noqa: N818 - ends a walk
    pass


class _Redirected(Exception):  # noqa: N818 - ends a walk
    pass


@dataclass(frozen=True)
class _End:
    """How the walk through a chain ended: ``through`` where no rule decided."""

    action: Action | None
    passage: Passage | None = None


class _Steps:
    """The walk of one connection."""

    def __init__(self, ruleset: Ruleset, connection: Connection) -> None:
        self._ruleset = ruleset
        self._connection = connection
        self._left = _MOST_STEPS
        self._uncertain = False

    def base(self, chain: Chain) -> Passage | None:
        """What a base chain makes of it; None where it goes on to the next."""
        self._uncertain = False
        try:
            end = self._chain(chain, 0)
        except (_TooMany, _Redirected):
            return _UNCLEAR
        if end.action is None and chain.policy is not Action.ACCEPT:
            end = _End(
                Action.DROP,
                Passage(FilterOutcome.BLOCKED, f"policy {chain.policy.value}", chain.title),
            )
        if end.passage is None:
            return None
        return _UNCLEAR if self._uncertain else end.passage

    def _chain(self, chain: Chain, depth: int) -> _End:
        if depth > _DEEPEST:
            raise _TooMany
        for rule in chain.rules:
            self._left -= 1
            if self._left < 0:
                raise _TooMany
            met = all_met(rule.conditions, self._connection)
            if met is False:
                continue
            end = self._rule(rule, chain, depth, certain=met is True)
            if end is not None:
                return end
        return _End(None)

    def _rule(self, rule: Rule, chain: Chain, depth: int, *, certain: bool) -> _End | None:
        match rule.action:
            case Action.REDIRECT:
                raise _Redirected
            case Action.DROP | Action.REJECT:
                # What is dropped perhaps is no more than the rest of the chain lets in.
                if not certain:
                    return None
                passage = Passage(FilterOutcome.BLOCKED, rule.text, chain.title, rule.answer)
                return _End(rule.action, passage)
            case Action.ACCEPT:
                if certain:
                    return _End(Action.ACCEPT)
                self._uncertain = True
            case Action.RETURN:
                if certain:
                    return _End(None)
                self._uncertain = True
            case Action.JUMP | Action.GOTO:
                return self._jump(rule, chain, depth, certain=certain)
            case Action.UNKNOWN:
                self._uncertain = True
        return None

    def _jump(self, rule: Rule, chain: Chain, depth: int, *, certain: bool) -> _End | None:
        target = self._ruleset.chains.get((chain.family, chain.table, rule.target or ""))
        if target is None:
            self._uncertain = True
            return None
        end = self._chain(target, depth + 1)
        if not certain:
            self._uncertain = self._uncertain or end.action is Action.ACCEPT or rule.action is Action.GOTO
            return None
        if end.action is not None:
            return end
        return _End(None) if rule.action is Action.GOTO else None


def all_met(conditions: Iterable[Condition], connection: Connection) -> bool | None:
    """Whether a connection meets every condition; None where that depends on what is not known."""
    answers = [meets(condition, connection) for condition in conditions]
    if False in answers:
        return False
    return None if None in answers else True


def meets(condition: Condition, connection: Connection) -> bool | None:
    """Whether a connection meets a condition; None where that depends on what is not known."""
    has = _ANSWERS.get(condition.field)
    answer = has(condition.values, connection) if has is not None else None
    return answer if answer is None else answer is not condition.negated


def _port(values: tuple[Value, ...], connection: Connection) -> bool | None:
    for value in values:
        if value == connection.port or (isinstance(value, tuple) and value[0] <= connection.port <= value[1]):
            return True
    return None if any(isinstance(value, str) for value in values) else False


def _protocol(values: tuple[Value, ...], _connection: Connection) -> bool | None:
    return any(value in ("tcp", 6) for value in values)


def _state(values: tuple[Value, ...], _connection: Connection) -> bool | None:
    return "new" in values


def _interface(values: tuple[Value, ...], connection: Connection) -> bool | None:
    names = [str(value) for value in values]
    if connection.interface is not None:
        return any(fnmatch.fnmatchcase(connection.interface, name) for name in names)
    return False if all(name == "lo" for name in names) else None


def _source(values: tuple[Value, ...], _connection: Connection) -> bool | None:
    networks = [value for value in values if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network)]
    if any(network.prefixlen == 0 for network in networks):
        return True
    others = [network for network in networks if not network.network_address.is_loopback]
    return False if len(networks) == len(values) and not others else None


def _destination(values: tuple[Value, ...], connection: Connection) -> bool | None:
    try:
        address = ipaddress.ip_address(connection.address.partition("%")[0])
    except ValueError:
        return None
    if address.is_unspecified:
        return None
    networks = [value for value in values if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network)]
    if any(network.version == address.version and address in network for network in networks):
        return True
    return False if len(networks) == len(values) else None


def _family(values: tuple[Value, ...], connection: Connection) -> bool | None:
    return connection.family in values


_ANSWERS: Final[Mapping[Field, Callable[[tuple[Value, ...], Connection], bool | None]]] = {
    Field.PORT: _port,
    Field.PROTOCOL: _protocol,
    Field.STATE: _state,
    Field.INTERFACE: _interface,
    Field.SOURCE: _source,
    Field.DESTINATION: _destination,
    Field.FAMILY: _family,
    Field.ALWAYS: lambda _values, _connection: True,
    Field.NEVER: lambda _values, _connection: False,
}


def network(text: str, length: int | None = None) -> Network | None:
    """An address or network as a network, or None where the text is none."""
    try:
        return ipaddress.ip_network(text if length is None else f"{text}/{length}", strict=False)
    except ValueError:
        return None
