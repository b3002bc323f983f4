"""Looks at what strangers would find: a debug server, and outdated versions of TLS."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import (
    Context,
    DebugAnswer,
    DebugEndpoints,
    EffectiveConfiguration,
    Endpoint,
    Handshakes,
    LegacyHandshake,
    LegacyHandshakes,
    NotApplicable,
    Response,
    Role,
    listen_addresses,
    probe,
    side_by_side,
    tls,
)

MOST_ADDRESSES = 4
"""Addresses of one host that are asked for an old version of TLS."""
DEBUG_SECONDS = 2.0
DEBUG_BYTES = 16 * 1024
METRICS_PATH = "/metrics"
"""Of ``http.debug.prometheus.path``, unless it is set (distribution ``registry/registry.go``)."""


@probe
def offer_old_tls(endpoint: Endpoint, handshakes: Handshakes, context: Context) -> LegacyHandshakes:
    """A handshake that offers TLS 1.0 and 1.1 alone, where newer ones work."""
    if endpoint.role not in (Role.REGISTRY, Role.TOKEN_SERVER) or endpoint.proxy is not None:
        raise NotApplicable(f"{endpoint.address} is not asked for old versions of TLS")
    working = [
        each.address for each in handshakes.handshakes if each.failure is None and each.usual_failure is None
    ]
    if not working:
        raise NotApplicable(f"no handshake with {endpoint.address} went through")

    def attempt(address: str) -> LegacyHandshake | None:
        seen = tls.handshake(
            address,
            endpoint.host,
            tls.direct(address, endpoint.port),
            timeout=context.deadline.step(),
            offer=tls.Offer.LEGACY,
        )
        if seen.failure is not None or seen.protocol is None:
            return None
        return LegacyHandshake(address=address, protocol=seen.protocol, cipher=seen.cipher)

    found = side_by_side(attempt, working[:MOST_ADDRESSES])
    return LegacyHandshakes(accepted=tuple(each for each in found if each is not None))


@probe
def look_at_debug_server(
    endpoint: Endpoint, configuration: EffectiveConfiguration, context: Context
) -> DebugEndpoints:
    """Asks the debug server that the configuration names for variables, profiles and metrics, without a login."""
    settings = configuration.settings
    entry = settings.get("http", "debug", "addr")
    server = listen_addresses.split(entry.value if entry is not None else None)
    if entry is None or server is None:
        raise NotApplicable(f"{settings.path} names no debug server")
    if listen_addresses.is_loopback(server[0]):
        raise NotApplicable(f"the debug server listens on {entry.value} alone")
    base = f"http://{listen_addresses.join(endpoint.host, server[1])}"
    metrics = settings.text("http", "debug", "prometheus", "path") or METRICS_PATH

    def ask(path: str) -> DebugAnswer | None:
        response = context.http.request(
            "GET", base + path, seconds=min(DEBUG_SECONDS, context.deadline.step()), body_limit=DEBUG_BYTES
        )
        if not isinstance(response, Response):
            return None
        return DebugAnswer(
            url=base + path,
            exchange=response.answer.exchange,
            status=response.answer.status,
            shows=_shown(response),
        )

    answers = side_by_side(ask, ("/debug/vars", "/debug/pprof/", metrics))
    return DebugEndpoints(
        source=settings.origin(entry),
        address=entry.value or "",
        answers=tuple(each for each in answers if each is not None),
    )


def _shown(response: Response) -> str | None:
    """What an answer shows, by what Go's ``expvar``, ``net/http/pprof`` and Prometheus write."""
    if response.answer.status != 200:
        return None
    text = response.body.decode("utf-8", "replace")
    return next(_kinds(text), None)


def _kinds(text: str) -> Iterator[str]:
    if '"memstats"' in text and '"cmdline"' in text:
        yield "variables"
    if "/debug/pprof/" in text and "goroutine" in text:
        yield "profiles"
    if text.startswith("# HELP ") or "\n# TYPE " in text:
        yield "metrics"
