"""Probes run in dependency order, side by side, apart from each other, and within the deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Annotated

from regdoctor.context import Context
from regdoctor.engine.plan import make_plan
from regdoctor.engine.run import Absence, FactStore, gather, judge
from regdoctor.facts.base import Endpoint, Role
from regdoctor.signatures import Blocked, Draft, Each, NotApplicable, finding, probe, rule
from tests.engine.examples import (
    MOMENT,
    REGISTRY,
    SETTINGS,
    TOKEN_SERVER,
    Colour,
    Height,
    Helpers,
    Shade,
    Width,
    check_registry,
    code,
    context,
)

CODES = (code("test/a"), code("test/b"))


def run(*functions: object, deadline: float = 5.0) -> tuple[FactStore, object]:
    plan = make_plan(check_registry(*functions, codes=CODES))  # type: ignore[arg-type]
    store = gather(plan, context(deadline), REGISTRY, MOMENT, SETTINGS)
    return store, plan


@rule("test/a")
def needs_shade(shade: Shade) -> Iterator[Draft]:
    yield finding("test/a", shade.name)


@rule("test/b")
def needs_width(endpoint: Endpoint, width: Width) -> Iterator[Draft]:
    yield finding("test/b", f"{endpoint.host} {width.host}")


def test_a_fact_reaches_the_probe_that_needs_it() -> None:
    @probe
    def colour() -> Colour:
        return Colour(name="red")

    @probe
    def shade(colour: Colour, context: Context) -> Shade:
        return Shade(name=f"dark {colour.name} of {context.target.host}")

    store, _plan = run(colour, shade, needs_shade)

    assert store.facts[Shade, None] == Shade(name="dark red of reg.test")


def test_independent_probes_run_at_the_same_time() -> None:
    both_run = threading.Barrier(2, timeout=5)

    @probe
    def colour() -> Colour:
        both_run.wait()
        return Colour(name="red")

    @probe
    def shade() -> Shade:
        both_run.wait()
        return Shade(name="dark")

    @rule("test/a")
    def needs_both(colour: Colour, shade: Shade) -> Iterator[Draft]:
        yield finding("test/a", colour.name + shade.name)

    store, _plan = run(colour, shade, needs_both)

    assert (Colour, None) in store.facts
    assert (Shade, None) in store.facts


def test_a_probe_that_raises_is_an_error_of_its_own_and_the_others_go_on() -> None:
    @probe
    def colour() -> Colour:
        raise ZeroDivisionError("by nought")

    @probe
    def height(endpoint: Endpoint) -> Height:
        return Height(host=endpoint.host)

    @rule("test/a")
    def needs_colour(colour: Colour) -> Iterator[Draft]:
        yield finding("test/a", colour.name)

    @rule("test/b")
    def needs_height(height: Height) -> Iterator[Draft]:
        yield finding("test/b", height.host)

    store, plan = run(colour, height, needs_colour, needs_height)

    missing = store.missing[Colour, None]
    assert missing.absence is Absence.ERROR
    assert missing.reason == "ZeroDivisionError: by nought"
    assert "by nought" in missing.traceback
    judgements = judge(plan, store)  # type: ignore[arg-type]
    assert [draft.detail for each in judgements for draft in each.drafts] == ["reg.test"]


def test_what_needs_a_blocked_fact_is_blocked_for_the_same_reason() -> None:
    @probe
    def colour() -> Colour:
        raise Blocked("nothing listens on reg.test:5000")

    @probe
    def shade(colour: Colour) -> Shade:
        return Shade(name=colour.name)

    store, plan = run(colour, shade, needs_shade)

    assert store.missing[Shade, None].absence is Absence.BLOCKED
    (judgement,) = judge(plan, store)  # type: ignore[arg-type]
    assert judgement.missing is not None
    assert judgement.missing.reason == "nothing listens on reg.test:5000"
    assert judgement.needed == "shade"


def test_an_optional_fact_that_is_missing_arrives_as_none() -> None:
    @probe
    def colour() -> Colour:
        raise NotApplicable("nothing is painted here")

    @probe
    def shade(colour: Colour | None) -> Shade:
        return Shade(name=f"without {colour}")

    store, _plan = run(colour, shade, needs_shade)

    assert store.facts[Shade, None] == Shade(name="without None")


def test_hosts_that_a_fact_names_are_walked_by_the_same_probes() -> None:
    @probe
    def helpers() -> Helpers:
        return Helpers(endpoints=(TOKEN_SERVER,))

    @probe
    def height(endpoint: Endpoint) -> Height:
        return Height(host=endpoint.host)

    @probe
    def width(height: Height) -> Width:
        return Width(host=height.host)

    store, plan = run(helpers, height, width, needs_width)

    assert store.facts[Width, TOKEN_SERVER] == Width(host="auth.test")
    details = [draft.detail for each in judge(plan, store) for draft in each.drafts]  # type: ignore[arg-type]
    assert details == ["reg.test reg.test", "auth.test auth.test"]


def test_a_finding_about_a_host_carries_the_host() -> None:
    @probe
    def width(endpoint: Endpoint) -> Width:
        return Width(host=endpoint.host)

    store, plan = run(width, needs_width)

    (judgement,) = judge(plan, store)  # type: ignore[arg-type]
    assert judgement.drafts[0].endpoint == REGISTRY


def test_a_probe_may_wait_for_the_facts_of_another_role() -> None:
    @probe
    def helpers() -> Helpers:
        return Helpers(endpoints=(TOKEN_SERVER,))

    @probe
    def height(endpoint: Endpoint) -> Height:
        return Height(host=endpoint.host)

    @probe
    def shade(heights: Annotated[Each[Height], Role.TOKEN_SERVER]) -> Shade:
        return Shade(name=" ".join(each.host for each in heights.values()))

    store, _plan = run(helpers, height, shade, needs_shade)

    assert store.facts[Shade, None] == Shade(name="auth.test")


def test_a_probe_about_the_target_gets_the_fact_of_the_registry() -> None:
    @probe
    def height(endpoint: Endpoint) -> Height:
        return Height(host=endpoint.host)

    @probe
    def shade(height: Height) -> Shade:
        return Shade(name=height.host)

    store, _plan = run(height, shade, needs_shade)

    assert store.facts[Shade, None] == Shade(name="reg.test")


def test_a_probe_that_hangs_is_left_behind_at_the_deadline() -> None:
    never = threading.Event()

    @probe
    def colour() -> Colour:
        never.wait()
        return Colour(name="late")

    @probe
    def shade(colour: Colour) -> Shade:
        return Shade(name=colour.name)

    started = time.monotonic()
    store, _plan = run(colour, shade, needs_shade, deadline=0.3)
    never.set()

    assert time.monotonic() - started < 3
    assert store.missing[Colour, None].absence is Absence.BLOCKED
    assert "deadline of 0.3 s" in store.missing[Shade, None].reason


def test_a_rule_that_yields_a_code_which_it_does_not_declare_is_an_error_of_its_check() -> None:
    @probe
    def colour() -> Colour:
        return Colour(name="red")

    @rule("test/a")
    def liar(colour: Colour) -> Iterator[Draft]:
        yield finding("test/b", colour.name)

    store, plan = run(colour, liar)

    (judgement,) = judge(plan, store)  # type: ignore[arg-type]
    assert judgement.missing is not None
    assert "does not declare" in judgement.missing.reason
