"""The order comes from the signatures; contradictions are refused with the culprit's name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from regdoctor.context import Context
from regdoctor.engine.plan import UnknownCheck, make_plan
from regdoctor.facts.base import Fact, fact_name
from regdoctor.signatures import DeclarationError, Draft, Each, finding, probe, read_probe, read_rule, rule
from tests.engine.examples import Colour, Height, Shade, check_registry, code


@probe
def colour() -> Colour:
    return Colour(name="red")


@probe
def shade(colour: Colour) -> Shade:
    return Shade(name=colour.name)


@rule("one/a")
def about_colour(colour: Colour) -> Iterator[Draft]:
    yield finding("one/a", colour.name)


@rule("two/b")
def about_shade(shade: Shade) -> Iterator[Draft]:
    yield finding("two/b", shade.name)


REGISTRY = check_registry(
    codes=(code("one/a"), code("two/b")),
    areas={"one": (colour, about_colour), "two": (shade, about_shade)},
)


def names(*, only: tuple[str, ...] = (), skip: tuple[str, ...] = ()) -> list[str]:
    return [fact_name(node.probe.provides) for node in make_plan(REGISTRY, only, skip).order]


def test_a_probe_comes_after_those_whose_facts_it_needs() -> None:
    assert names() == ["colour", "shade"]


def test_only_brings_the_probes_that_the_chosen_check_needs() -> None:
    assert names(only=("two",)) == ["colour", "shade"]
    assert names(only=("one",)) == ["colour"]


def test_only_may_name_a_code() -> None:
    assert [rule.codes for _check, rule in make_plan(REGISTRY, only=("one/a",)).rules] == [("one/a",)]


def test_skip_leaves_the_check_out_and_says_why_its_facts_are_missing() -> None:
    plan = make_plan(REGISTRY, skip=("one",))

    assert [node.probe.provides for node in plan.order] == [Shade]
    assert plan.deselected[Colour] == "the check one was skipped by --skip"


@pytest.mark.parametrize("word", ["three", "one/z", ""])
def test_an_unknown_word_is_refused(word: str) -> None:
    with pytest.raises(UnknownCheck, match="regdoctor checks"):
        make_plan(REGISTRY, only=(word,))


def test_a_circle_is_refused_and_shown() -> None:
    @probe
    def first(shade: Shade) -> Colour:
        return Colour(name=shade.name)

    registry = check_registry(first, shade, about_colour_in_test, codes=(code("test/a"),))
    with pytest.raises(DeclarationError, match=r"circle: .*colour"):
        make_plan(registry)


@rule("test/a")
def about_colour_in_test(colour: Colour) -> Iterator[Draft]:
    yield finding("test/a", colour.name)


def test_a_parameter_without_annotation_is_refused() -> None:
    def nameless(colour) -> Shade:  # type: ignore[no-untyped-def]
        return Shade(name=colour.name)

    with pytest.raises(DeclarationError, match="colour has no annotation"):
        read_probe(nameless)


def test_a_parameter_that_is_no_fact_is_refused() -> None:
    def wrong(number: int) -> Shade:
        return Shade(name=str(number))

    with pytest.raises(DeclarationError, match="number"):
        read_probe(wrong)


def test_a_probe_that_returns_no_fact_is_refused() -> None:
    def wrong(context: Context) -> int:
        return len(str(context))

    with pytest.raises(DeclarationError, match="return a Fact"):
        read_probe(wrong)


def test_a_probe_must_name_the_roles_of_each() -> None:
    def wrong(heights: Each[Height]) -> Shade:
        return Shade(name=str(len(heights)))

    with pytest.raises(DeclarationError, match="must name its roles"):
        read_probe(wrong)


def test_a_rule_may_look_at_every_host() -> None:
    @rule("test/a")
    def heights(heights: Each[Height]) -> Iterator[Draft]:
        yield finding("test/a", str(len(heights)))

    (need,) = read_rule(heights).needs
    assert need.each
    assert need.fact is Height


def test_fact_names_are_kebab_case() -> None:
    class NameserverAnswers(Fact, frozen=True, kw_only=True):
        pass

    assert fact_name(NameserverAnswers) == "nameserver-answers"
