"""Recognises the product behind the registry, and reads its health page."""

from __future__ import annotations

from regdoctor.api import (
    Answer,
    Challenges,
    ComponentHealth,
    Context,
    Endpoint,
    Failure,
    ManifestLook,
    NotApplicable,
    Ping,
    Product,
    TokenExchange,
    Vendor,
    challenges,
    probe,
)

from . import health, recognition


@probe
def tell_the_product(endpoint: Endpoint, ping: Ping | None, asked: Challenges | None) -> Product:
    """Which product answers, by the answers that are there already: nothing is asked for this."""
    answer = ping.answer if ping is not None else None
    wanted = asked.challenges if asked is not None else ()
    if not wanted and answer is not None:
        wanted = challenges.parse_challenges(answer.all_headers("www-authenticate"))
    return recognition.recognise(endpoint.host, answer, wanted)


@probe
def ask_for_health(
    endpoint: Endpoint,
    ping: Ping,
    product: Product,
    exchange: TokenExchange | None,
    look: ManifestLook | None,
    context: Context,
) -> ComponentHealth:
    """GET of the health page of a product that has one, and of each such page where an answer was 5xx.

    Behind a failing Harbor its own proxy answers, and nothing but the page shows that it is one.
    """
    answers = (
        ping.answer,
        exchange.answer if exchange is not None else None,
        look.answer if look is not None else None,
    )
    failing = any(answer is not None and answer.status >= 500 for answer in answers)
    if product.vendor is not None and product.vendor in health.PAGES:
        products = [product.vendor]
    elif failing and product.vendor in (None, Vendor.DISTRIBUTION):
        products = list(health.PAGES)
    else:
        raise NotApplicable("no health page is known for this product")
    for each in products:
        found = _ask(each, endpoint, ping, context)
        if found is not None:
            return found
    raise NotApplicable("no health page answers here")


def _ask(product: Vendor, endpoint: Endpoint, ping: Ping, context: Context) -> ComponentHealth | None:
    """What the health page of a product says, or None where there is no such page."""
    url = f"{endpoint.url}{health.PAGES[product]}"
    got = context.http.request(
        "GET", url, proxy=endpoint.proxy, verify=ping.trusted, body_limit=health.LONGEST
    )
    if isinstance(got, Failure):
        return None
    components = health.read(product, got.body)
    if components is None:
        return None
    answer: Answer = got.answer
    return ComponentHealth(
        product=product,
        url=url,
        answer=answer,
        components=components,
        healthy=all(component.healthy for component in components),
    )
