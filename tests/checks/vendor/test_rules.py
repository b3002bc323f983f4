"""What is said of a product's own health."""

from __future__ import annotations

from regdoctor.api import Certainty, Component, ComponentHealth, Draft, Role, Vendor
from regdoctor.checks.vendor import rules
from tests.support.facts import answer, endpoint


def said(*components: Component, role: Role = Role.REGISTRY) -> list[Draft]:
    found = ComponentHealth(
        product=Vendor.HARBOR,
        url="https://reg.test:443/api/v2.0/health",
        answer=answer(200),
        components=components,
        healthy=all(each.healthy for each in components),
    )
    return list(rules.component_unhealthy(endpoint(role), found))


CORE = Component(name="core", healthy=True)
DATABASE = Component(name="database", healthy=False, message="no such host")


def test_the_part_and_what_it_says_are_named() -> None:
    (draft,) = said(CORE, DATABASE)

    assert (draft.code, draft.certainty) == ("vendor/component-unhealthy", Certainty.PROVEN)
    assert "database (no such host)" in draft.detail
    assert "1 other part is healthy" in draft.detail


def test_several_are_one_finding() -> None:
    (draft,) = said(DATABASE, Component(name="redis", healthy=False))

    assert "redis" in draft.detail


def test_a_healthy_product_is_fine() -> None:
    assert said(CORE) == []


def test_it_is_told_of_the_registry_alone() -> None:
    assert said(DATABASE, role=Role.TOKEN_SERVER) == []
