"""Derives the order of probes from their signatures.

A node of the graph is a probe, or a probe for one role of hosts. Which hosts play a role is known only at
run time, when the probe that discovers them has run; a node then runs once for each of them.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from regdoctor.engine.registry import Check, CheckRegistry
from regdoctor.facts.base import (
    Endpoint,
    EndpointFact,
    Fact,
    FileFact,
    FileKind,
    Moment,
    Role,
    Settings,
    TableFact,
    discovered_role,
    fact_name,
)
from regdoctor.oci.reference import Target
from regdoctor.signatures import DeclarationError, Need, Probe, Rule

GIVEN: frozenset[type] = frozenset({Target, Endpoint, Moment, Settings})
"""What a run starts with; no probe produces these."""


class UnknownCheck(ValueError):  # noqa: N818 - named as the message reads
    """``--only`` or ``--skip`` names no check, area or code."""


class Node(msgspec.Struct, frozen=True):
    """A probe, for the hosts of one role where it is about hosts."""

    probe: Probe
    role: Role | None

    @property
    def label(self) -> str:
        """How plans and error messages name it."""
        name = fact_name(self.probe.provides)
        return name if self.role is None else f"{name} of the {self.role.value}"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What will run: probes in dependency order, and the rules that judge afterwards."""

    registry: CheckRegistry
    graph: dict[Node, frozenset[Node]]
    rules: tuple[tuple[Check, Rule], ...]
    deselected: dict[type[Fact], str]
    """Facts that the caller's ``--skip`` rules out, with the reason."""
    kind: FileKind | None = None
    """What the file is that is judged by itself; None where hosts or folders are."""

    @property
    def order(self) -> tuple[Node, ...]:
        """One valid order."""
        return tuple(graphlib.TopologicalSorter(self.graph).static_order())


def make_plan(
    registry: CheckRegistry,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    kind: FileKind | None = None,
    *,
    hosts: bool = True,
) -> Plan:
    """Chooses rules by ``--only`` and ``--skip``, and the probes that they need, and orders them.

    ``only`` and ``skip`` hold check ids or single codes. A probe of a check that is not asked for still
    runs where a chosen rule needs its fact; a probe of a skipped check does not.

    :param kind: plan to judge a file of this kind by itself (``lint``): the probes that read such files, and
        the rules that can do with what these see.
    :param hosts: whether the target is a host; where it is a folder of this one (``fsck``), probes that need
        a host are left out.
    :raises UnknownCheck: a word names neither a check nor a code.
    :raises DeclarationError: the probes depend on each other in a circle.
    """
    known = {check.id for check in registry.checks}
    for word in (*only, *skip):
        if word not in known and word not in registry.catalogue:
            raise UnknownCheck(
                f"unknown check {word!r}; `regdoctor checks` lists them: {', '.join(sorted(known))}"
            )
    skipped = {word for word in skip if word in known}
    rules = tuple(
        (check, rule)
        for check in registry.checks
        if check.id not in skipped
        for rule in check.rules
        if kind is None or _judges(rule, kind)
        if not only or check.id in only or any(code in only for code in rule.codes)
        if not all(code in skip for code in rule.codes)
    )
    producers = {probe.provides: (check, probe) for check in registry.checks for probe in check.probes}
    deselected = {
        fact: f"the check {check.id} was skipped by --skip"
        for fact, (check, _probe) in producers.items()
        if check.id in skipped
    }
    usable = {
        fact: probe
        for fact, (check, probe) in producers.items()
        if check.id not in skipped and (kind is None or _read_from(fact, kind))
    }
    if not hosts:
        usable = _without_hosts(usable)
    tables = [
        fact
        for fact, (check, _probe) in producers.items()
        if issubclass(fact, TableFact) and (not only or check.id in only)
    ]
    wanted = _closure(rules, usable, tables)
    return Plan(
        registry=registry, graph=_graph(wanted, usable), rules=rules, deselected=deselected, kind=kind
    )


def _without_hosts(usable: Mapping[type, Probe]) -> dict[type, Probe]:
    """The probes that can do without a host on the way, and without what needs one."""
    left = dict(usable)
    while True:
        hindered = [
            fact
            for fact, probe in left.items()
            if probe.per_endpoint
            or any(
                not need.optional
                and not need.each
                and (issubclass(need.fact, EndpointFact) or (need.fact in usable and need.fact not in left))
                for need in probe.needs
            )
        ]
        if not hindered:
            return left
        for fact in hindered:
            del left[fact]


def _read_from(fact: type, kind: FileKind) -> bool:
    """Whether the fact is read from files of this kind."""
    return issubclass(fact, FileFact) and kind in fact.kinds


def _judges(rule: Rule, kind: FileKind) -> bool:
    """Whether the rule judges files of this kind and needs nothing that others see."""
    return any(_read_from(need.fact, kind) for need in rule.needs) and all(
        need.optional or need.each or need.fact in (Moment, Settings) or _read_from(need.fact, kind)
        for need in rule.needs
    )


def _closure(
    rules: Sequence[tuple[Check, Rule]], usable: Mapping[type, Probe], tables: Sequence[type]
) -> tuple[Probe, ...]:
    """The probes that rules and tables need, those that discover hosts, and all that these need in turn."""
    if not rules:
        return ()
    pending = [*(need.fact for _check, rule in rules for need in rule.needs), *tables]
    pending.extend(fact for fact in usable if discovered_role(fact) is not None)
    wanted: dict[type, Probe] = {}
    while pending:
        fact = pending.pop()
        if fact in wanted or fact not in usable:
            continue
        wanted[fact] = usable[fact]
        pending.extend(need.fact for need in usable[fact].needs)
    return tuple(wanted.values())


def _graph(probes: Sequence[Probe], usable: Mapping[type, Probe]) -> dict[Node, frozenset[Node]]:
    discoverers: dict[Role, list[Node]] = {}
    for probe in probes:
        role = discovered_role(probe.provides)
        if role is not None:
            discoverers.setdefault(role, []).append(Node(probe, None))
    roles = (Role.REGISTRY, *discoverers)
    graph: dict[Node, frozenset[Node]] = {}
    for probe in probes:
        for role in roles if probe.per_endpoint else (None,):
            after = {node for need in probe.needs for node in _producers(need, role, usable)}
            after.update(discoverers.get(role, ()) if role is not None else ())
            for need in probe.needs:
                for each_role in need.roles:
                    after.update(discoverers.get(each_role, ()))
            graph[Node(probe, role)] = frozenset(after)
    graph = {node: frozenset(each for each in after if each in graph) for node, after in graph.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = " → ".join(node.label for node in error.args[1])
        raise DeclarationError(f"probes need each other in a circle: {circle}") from error
    return graph


def _producers(need: Need, role: Role | None, usable: Mapping[type, Probe]) -> Iterator[Node]:
    probe = usable.get(need.fact)
    if probe is None:
        return
    if need.each:
        for each_role in need.roles:
            yield Node(probe, each_role)
    elif issubclass(need.fact, EndpointFact):
        yield Node(probe, role or Role.REGISTRY)
    else:
        yield Node(probe, None)
