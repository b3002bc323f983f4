"""What a product says about its own parts."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import ComponentHealth, Draft, Endpoint, Role, finding, rule


@rule("vendor/component-unhealthy")
def component_unhealthy(endpoint: Endpoint, found: ComponentHealth) -> Iterator[Draft]:
    """A part of the product is down, as the product's own health page says."""
    ill = [each for each in found.components if not each.healthy]
    if endpoint.role is not Role.REGISTRY or not ill:
        return
    said = "; ".join(f"{each.name}{f' ({each.message})' if each.message else ''}" for each in ill)
    well = len(found.components) - len(ill)
    others = {0: "", 1: "; its 1 other part is healthy"}.get(well, f"; its {well} other parts are healthy")
    yield finding(
        "vendor/component-unhealthy",
        f"{found.product} says at {found.url} ({found.answer.status}) that these of its parts are not "
        "healthy: "
        f"{said}{others}. Logins, pulls or pushes that need them fail, whatever the registry itself answers.",
        evidence=(found.answer.exchange,),
    )
