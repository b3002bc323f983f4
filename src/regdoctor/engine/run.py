"""Runs a plan: probes side by side in threads under one deadline, then the rules.

A probe or rule that raises is an error of its check alone. A probe that outlives the deadline is left
behind in a daemon thread: nothing waits for it.
"""

from __future__ import annotations

import graphlib
import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import msgspec

from regdoctor.context import Context, DeadlineExceeded
from regdoctor.engine.plan import GIVEN, Node, Plan
from regdoctor.facts.base import (
    Discovery,
    Endpoint,
    EndpointFact,
    Fact,
    Moment,
    Role,
    Settings,
    discovered_role,
)
from regdoctor.oci.reference import Target
from regdoctor.signatures import Blocked, Draft, Each, Need, NotApplicable, Probe, Rule


class Absence(Enum):
    """Why a fact is missing."""

    BLOCKED = "blocked"
    NOT_APPLICABLE = "not applicable"
    ERROR = "error"
    DESELECTED = "deselected"


class Missing(msgspec.Struct, frozen=True):
    """A fact that is not there, and why, in a clause of plain words."""

    absence: Absence
    reason: str
    traceback: str = ""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule made of the facts: drafts, or why it could not judge."""

    check: str
    rule: Rule
    drafts: tuple[Draft, ...] = ()
    missing: Missing | None = None
    needed: str = ""
    """The missing fact's name."""


class FactStore(msgspec.Struct):
    """The facts of one target so far, and why others are missing."""

    facts: dict[tuple[type, Endpoint | None], Any] = msgspec.field(default_factory=dict)
    missing: dict[tuple[type, Endpoint | None], Missing] = msgspec.field(default_factory=dict)
    endpoints: dict[Role, list[Endpoint]] = msgspec.field(default_factory=dict)
    seconds: dict[Probe, float] = msgspec.field(default_factory=dict)

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Adds a host on the way, once."""
        hosts = self.endpoints.setdefault(endpoint.role, [])
        if endpoint not in hosts:
            hosts.append(endpoint)
            self.facts[Endpoint, endpoint] = endpoint

    @property
    def all_endpoints(self) -> tuple[Endpoint, ...]:
        """Every host on the way, the registry first."""
        return tuple(endpoint for hosts in self.endpoints.values() for endpoint in hosts)


def gather(
    plan: Plan,
    context: Context,
    registry: Endpoint | None,
    moment: Moment,
    settings: Settings,
    meanwhile: Callable[[], None] | None = None,
) -> FactStore:
    """Runs every probe of the plan for one target and returns what they saw.

    :param meanwhile: work that is wanted later; done in a thread once the first probes wait for the network.
    """
    store = FactStore()
    if registry is not None:
        store.add_endpoint(registry)
    if context.options.lint is None:
        store.facts[Target, None] = context.target
    store.facts[Moment, None] = moment
    store.facts[Settings, None] = settings
    for fact, reason in plan.deselected.items():
        store.missing[fact, None] = Missing(Absence.DESELECTED, reason)

    sorter: graphlib.TopologicalSorter[Node] = graphlib.TopologicalSorter(plan.graph)
    sorter.prepare()
    finished: queue.Queue[tuple[Node, Endpoint | None, Fact | Missing, float]] = queue.Queue()
    running: dict[Node, set[Endpoint | None]] = {}
    while sorter.is_active():
        for node in sorter.get_ready():
            endpoints: list[Endpoint | None] = [None]
            if node.role is not None:
                endpoints = [*store.endpoints.get(node.role, [])]
            running[node] = set(endpoints)
            for endpoint in endpoints:
                _start(node, endpoint, store, context, finished)
            if not endpoints:
                del running[node]
                sorter.done(node)
        if meanwhile is not None:
            threading.Thread(target=meanwhile, name="meanwhile", daemon=True).start()
            meanwhile = None
        if not running:
            continue
        try:
            node, endpoint, outcome, seconds = finished.get(timeout=max(0.0, context.deadline.remaining()))
        except queue.Empty:
            _abandon(running, plan, store, context)
            break
        key = (node.probe.provides, endpoint)
        store.seconds[node.probe] = store.seconds.get(node.probe, 0.0) + seconds
        if isinstance(outcome, Missing):
            store.missing[key] = outcome
        else:
            store.facts[key] = outcome
            if isinstance(outcome, Discovery) and discovered_role(type(outcome)) is not None:
                for found in outcome.endpoints:
                    store.add_endpoint(found)
        running[node].discard(endpoint)
        if not running[node]:
            del running[node]
            sorter.done(node)
    return store


def nothing_gathered(
    plan: Plan, target: Target, moment: Moment, settings: Settings, reason: str
) -> FactStore:
    """The facts about a target that there is nothing to contact for; ``reason`` says why, as a clause."""
    store = FactStore()
    store.facts[Target, None] = target
    store.facts[Moment, None] = moment
    store.facts[Settings, None] = settings
    for node in plan.graph:
        store.missing[node.probe.provides, None] = Missing(Absence.BLOCKED, reason)
    return store


def _start(
    node: Node,
    endpoint: Endpoint | None,
    store: FactStore,
    context: Context,
    finished: queue.Queue[tuple[Node, Endpoint | None, Fact | Missing, float]],
) -> None:
    arguments, missing = _arguments(node.probe.needs, endpoint, store, per_endpoint=node.probe.per_endpoint)
    if missing is not None:
        finished.put((node, endpoint, _inherit(*missing), 0.0))
        return
    if node.probe.context is not None:
        arguments[node.probe.context] = context
    if context.deadline.remaining() <= 0:
        finished.put((node, endpoint, _out_of_time(context), 0.0))
        return
    context.progress(node.label if endpoint is None else f"{node.label}, {endpoint.address}")

    def run() -> None:
        started = time.monotonic()
        outcome: Fact | Missing
        try:
            outcome = node.probe.function(**arguments)
        except Blocked as reason:
            outcome = Missing(Absence.BLOCKED, str(reason))
        except NotApplicable as reason:
            outcome = Missing(Absence.NOT_APPLICABLE, str(reason))
        except DeadlineExceeded as reason:
            outcome = Missing(Absence.BLOCKED, str(reason))
        except BaseException as error:  # isolation: whatever a probe raises stays with it
            outcome = Missing(Absence.ERROR, f"{type(error).__name__}: {error}", traceback.format_exc())
        finished.put((node, endpoint, outcome, time.monotonic() - started))

    threading.Thread(target=run, name=node.label, daemon=True).start()


def _out_of_time(context: Context) -> Missing:
    return Missing(
        Absence.BLOCKED, f"the deadline of {context.deadline.seconds:g} s for the whole run has passed"
    )


def _abandon(
    running: Mapping[Node, set[Endpoint | None]], plan: Plan, store: FactStore, context: Context
) -> None:
    """Marks what runs still, and what would have come after, as missing for lack of time."""
    reason = _out_of_time(context)
    for node in plan.graph:
        endpoints: set[Endpoint | None] = {None}
        if node.role is not None:
            endpoints = set(store.endpoints.get(node.role, []))
        for endpoint in running.get(node, endpoints):
            key = (node.probe.provides, endpoint)
            if key not in store.facts and key not in store.missing:
                store.missing[key] = reason


def _inherit(need: Need, missing: Missing) -> Missing:
    """A fact that lacks another one: blocked as the other is, with the reason of the first."""
    if missing.absence is Absence.ERROR:
        return Missing(Absence.BLOCKED, f"the probe of {need.name} failed to run")
    return missing


def _arguments(
    needs: tuple[Need, ...], endpoint: Endpoint | None, store: FactStore, *, per_endpoint: bool
) -> tuple[dict[str, Any], tuple[Need, Missing] | None]:
    """The arguments of a probe or rule, or the first need that is missing and why."""
    arguments: dict[str, Any] = {}
    for need in needs:
        if need.each:
            arguments[need.parameter] = _each(need, store)
            continue
        where: Endpoint | None = None
        if issubclass(need.fact, EndpointFact):
            where = endpoint if per_endpoint else next(iter(store.endpoints.get(Role.REGISTRY, [])), None)
        if (need.fact, where) in store.facts:
            arguments[need.parameter] = store.facts[need.fact, where]
        elif need.optional:
            arguments[need.parameter] = None
        else:
            return {}, (need, why_missing(need.fact, where, store))
    return arguments, None


def why_missing(fact: type, endpoint: Endpoint | None, store: FactStore) -> Missing:
    """Why a fact is not there."""
    for key in ((fact, endpoint), (fact, None)):
        if key in store.missing:
            return store.missing[key]
    return Missing(Absence.NOT_APPLICABLE, "nothing here provides it")


def _each(need: Need, store: FactStore) -> Each[Any]:
    roles = need.roles or tuple(store.endpoints)
    endpoints = [endpoint for role in roles for endpoint in store.endpoints.get(role, [])]
    return Each(
        {
            endpoint: store.facts[need.fact, endpoint]
            for endpoint in endpoints
            if (need.fact, endpoint) in store.facts
        },
        {
            endpoint: why_missing(need.fact, endpoint, store).reason
            for endpoint in endpoints
            if (need.fact, endpoint) not in store.facts
        },
    )


def judge(plan: Plan, store: FactStore) -> tuple[Judgement, ...]:
    """Runs every rule of the plan on the facts. Pure: the same facts give the same judgements."""
    return tuple(
        _judge(check.id, rule, endpoint, store)
        for check, rule in plan.rules
        for endpoint in (store.all_endpoints if rule.per_endpoint else (None,))
    )


def _judge(check: str, rule: Rule, endpoint: Endpoint | None, store: FactStore) -> Judgement:
    arguments, missing = _arguments(rule.needs, endpoint, store, per_endpoint=rule.per_endpoint)
    if missing is not None:
        need, why = missing
        if why.absence is Absence.ERROR:
            why = Missing(Absence.BLOCKED, f"the probe of {need.name} failed to run")
        return Judgement(check=check, rule=rule, missing=why, needed=need.name)
    try:
        drafts = []
        for draft in rule.function(**arguments):
            if draft.code not in rule.codes:
                raise ValueError(f"{rule.name} yields {draft.code}, which it does not declare")  # noqa: TRY301
            drafts.append(draft if draft.endpoint or endpoint is None else _at(draft, endpoint))
    except Exception as error:  # isolation: one broken rule must not end the run
        return Judgement(
            check=check,
            rule=rule,
            missing=Missing(Absence.ERROR, f"{type(error).__name__}: {error}", traceback.format_exc()),
        )
    return Judgement(check=check, rule=rule, drafts=tuple(drafts))


def _at(draft: Draft, endpoint: Endpoint) -> Draft:
    return msgspec.structs.replace(draft, endpoint=endpoint)


__all__ = [
    "GIVEN",
    "Absence",
    "FactStore",
    "Judgement",
    "Missing",
    "gather",
    "judge",
    "nothing_gathered",
    "why_missing",
]
