"""Judges the ways through a reverse proxy: what uploads fail at because of its configuration.

What is written and what a program does where nothing is written are judged apart: the latter needs that everything
was read (``CompleteProxyConfig``). An upload that was tried (``--push``) settles what a configuration leaves open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from regdoctor.api import (
    BodyLimit,
    Certainty,
    CompleteProxyConfig,
    Draft,
    Each,
    EffectiveConfiguration,
    Endpoint,
    FileKind,
    HeaderAssignment,
    Ping,
    ProxyConfig,
    ProxyTimer,
    ReverseProxySetting,
    Role,
    Severity,
    SlowUploads,
    TimerScope,
    UploadSession,
    UploadSizes,
    proxy_configs,
    rule,
)

from . import remedies, timing
from .addresses import Address, handed_out, same_authority
from .effects import Effect, draft, effects

Registries = Annotated[Each[Endpoint], Role.REGISTRY]
Pings = Annotated[Each[Ping], Role.REGISTRY]

MIB = 1024**2
SMALL_LIMIT = 256 * MIB
"""Layers of this size are common (language runtimes, machine learning)."""
GENEROUS_LIMIT = 1024 * MIB
LARGEST_LAYER = 10 * 1024 * MIB
"""Hardly anybody pushes larger ones."""


# sizes of bodies


@rule("proxyconf/body-size")
def body_limit(config: ProxyConfig, registries: Registries, sizes: UploadSizes | None) -> Iterator[Draft]:
    """A limit that is written down."""
    yield from _body_limits(config, registries, sizes, written=True)


@rule("proxyconf/body-size")
def default_body_limit(
    config: ProxyConfig, _whole: CompleteProxyConfig, registries: Registries, sizes: UploadSizes | None
) -> Iterator[Draft]:
    """The limit that holds where nothing is written."""
    yield from _body_limits(config, registries, sizes, written=False)


def _body_limits(
    config: ProxyConfig, registries: Each[Endpoint], sizes: UploadSizes | None, *, written: bool
) -> Iterator[Draft]:
    ways = [front for front in proxy_configs.fronts(config, registries) if not front.pulls_only]
    limits = [
        (front, front.route.body_limit)
        for front in ways
        if front.route.body_limit is not None and (front.route.body_limit.place is not None) == written
    ]
    for effect in effects(ways, limits):
        limit = effect.setting
        if not isinstance(limit, BodyLimit) or limit.bytes is None or limit.bytes > LARGEST_LAYER:
            continue
        severity = _severity_of_limit(limit.bytes)
        certainty = Certainty.LIKELY if limit.announced_only else Certainty.PROVEN
        if written:
            seen = f"{effect.written} holds for {effect.where}."
        else:
            seen = f"Nothing sets {limit.name} for {effect.where}, and the default is {limit.value}."
            seen += effect.outside
            if effect.outside:
                certainty = Certainty.LIKELY
        refused = (
            f" Requests that announce more than {_size(limit.bytes)} are refused before the registry sees them; "
            "containerd, buildx and skopeo announce the size of a layer, docker sends it without."
            if limit.announced_only
            else f" A layer of more than {_size(limit.bytes)} is refused with 413 before the registry sees it."
        )
        passed = _largest_that_passed(sizes, announced=limit.announced_only)
        if passed > limit.bytes:
            severity = Severity.INFO
            refused += f" Yet {_size(passed)} have just been uploaded: another file than this is at work."
        yield draft(
            "proxyconf/body-size",
            effect,
            seen + refused,
            certainty=certainty,
            severity=severity,
            fix=remedies.for_limit(config, limit, effect.fronts[0]),
            config=config,
        )


def _largest_that_passed(sizes: UploadSizes | None, *, announced: bool) -> int:
    """The most bytes that were taken: sent ones, or sent ones whose number was announced.

    An announcement that is not refused proves nothing, for haproxy counts in 32 bits.
    """
    trials = sizes.trials if sizes is not None and not announced else ()
    return max((each.size for each in trials if not each.announced and each.step.succeeded), default=0)


def _severity_of_limit(size: int) -> Severity | None:
    if size > GENEROUS_LIMIT:
        return Severity.INFO
    return Severity.WARNING if size > SMALL_LIMIT else None


def _size(number: int) -> str:
    """Bytes for people."""
    for unit, factor in (("GiB", 1024**3), ("MiB", MIB), ("GB", 10**9), ("MB", 10**6), ("KiB", 1024)):
        if number >= factor and (number % factor == 0 or unit in ("MB", "GB")):
            return f"{number / factor:.4g} {unit}"
    return f"{number} bytes"


# addresses


@rule("proxyconf/forwarded-proto", "proxyconf/host-header")
def addresses(
    config: ProxyConfig,
    _whole: CompleteProxyConfig,
    registries: Registries,
    pings: Pings,
    session: UploadSession | None,
    registry: EffectiveConfiguration | None,
) -> Iterator[Draft]:
    """What the registry gets to know of its own address makes it hand out a wrong one."""
    if _settles_by_itself(registry):
        return
    location = session.location if session is not None else None
    if location is not None and location.same_origin:
        return
    for front in proxy_configs.fronts(config, registries):
        if front.scheme == "https" and not front.listener.tls and not _answers(pings, front):
            # Without an answer by https nothing says that another proxy ends TLS in front of this one.
            continue
        address = handed_out(front)
        if address is None or front.pulls_only:
            continue
        reached = _reached_elsewhere(session)
        if address.scheme != front.scheme:
            proven = location is not None and location.scheme_changed
            yield _wrong_scheme(config, front, address, proven=proven, reached=reached)
        if not same_authority(address.authority, front.authority, front.scheme):
            proven = location is not None and (location.host_changed or location.port_changed)
            yield _wrong_host(config, front, address, proven=proven, reached=reached)


def _reached_elsewhere(session: UploadSession | None) -> bool:
    """Whether the upload that was tried went on at the address that it was sent to, though it is another one."""
    there = session.elsewhere if session is not None and session.authorization == "none" else None
    return there is not None and there.succeeded


def _settles_by_itself(registry: EffectiveConfiguration | None) -> bool:
    """Whether the registry builds addresses without regard to the headers of requests."""
    if registry is None:
        return False
    settings = registry.settings
    return bool(settings.text("http", "host")) or settings.text("http", "relativeurls") == "true"


def _answers(pings: Each[Ping], front: proxy_configs.Front) -> bool:
    ping = pings.get(front.endpoint) if front.endpoint is not None else None
    return ping is not None and ping.answer is not None and ping.answer.url.startswith("https:")


def _wrong_scheme(
    config: ProxyConfig, front: proxy_configs.Front, address: Address, *, proven: bool, reached: bool
) -> Draft:
    set_by = address.by_scheme
    outer = not front.listener.tls and front.scheme == "https"
    if set_by is None or not set_by.parts:
        removed = f" ({set_by.place} removes it)" if set_by is not None else ""
        cause = f"{front.where} ends TLS and passes requests on without X-Forwarded-Proto{removed}."
    elif outer and set_by.place is None:
        cause = (
            f"{front.where} gets requests by plain HTTP from the proxy that ends TLS, does not trust its "
            f"X-Forwarded-Proto, and says {address.scheme} itself."
        )
    else:
        cause = (
            f"{set_by.place} sets X-Forwarded-Proto to {set_by.value} for {front.where}: {address.scheme}"
            + (
                ", although clients come by https through another proxy in front of this one."
                if outer
                else f", although clients come by {front.scheme}."
            )
        )
    cause += _switched_off(front, "x-forwarded-proto")
    remedy = remedies.for_outer_scheme if outer else remedies.for_scheme
    return _about_address(
        "proxyconf/forwarded-proto",
        config,
        front,
        address,
        cause,
        set_by,
        proven=proven,
        reached=reached,
        fix=remedy(config, front, set_by.place if set_by is not None else None),
    )


def _switched_off(front: proxy_configs.Front, name: str) -> str:
    """That a block around sets the header in vain."""
    found = next((each for each in front.route.switched_off if each.name == name), None)
    if found is None:
        return ""
    return f" {found.place} sets it, but the proxy_set_header lines of an inner block switch off those around it."


def _wrong_host(
    config: ProxyConfig, front: proxy_configs.Front, address: Address, *, proven: bool, reached: bool
) -> Draft:
    set_by = address.by_host
    name = address.authority.rpartition(":")[0] or address.authority
    if set_by is not None and set_by.place is not None:
        shown = (
            f"sets {set_by.name.title()} to {set_by.value}"
            if set_by.parts
            else f"removes {set_by.name.title()}"
        )
        cause = f"{set_by.place} {shown} for {front.where}."
    else:
        cause = f"Nothing sets Host for {front.where}, so that the registry gets {address.authority}."
    cause += _switched_off(front, "host")
    only_port = front.host.lower() in (address.authority.lower(), name.lower())
    mapped = front.endpoint is None and only_port
    if mapped:
        cause += f" Clients that use port {front.port} are led to another one."
    return _about_address(
        "proxyconf/host-header",
        config,
        front,
        address,
        cause,
        set_by,
        proven=proven,
        reached=reached,
        severity=Severity.WARNING if mapped else None,
        fix=remedies.for_host(config, front, set_by.place if set_by is not None else None),
    )


def _about_address(
    code: str,
    config: ProxyConfig,
    front: proxy_configs.Front,
    address: Address,
    cause: str,
    set_by: HeaderAssignment | None,
    *,
    proven: bool,
    reached: bool,
    severity: Severity | None = None,
    fix: str,
) -> Draft:
    place = set_by.place if set_by is not None and set_by.place is not None else front.route.place
    effect = Effect(ReverseProxySetting(name="", value="", place=place), (front,))
    unless = (
        ""
        if proven
        else " Only http.host or http.relativeurls in the registry's config.yml would change that."
    )
    around = (
        " From here an upload goes on there, past the proxy; other hosts may not get so far."
        if reached
        else ""
    )
    client = f"{front.scheme}://{front.authority}"
    return draft(
        code,
        effect,
        f"{cause} The registry then answers uploads to {client} with a Location that begins with "
        f"{address.text}.{unless}{effect.outside}{around}",
        certainty=Certainty.PROVEN if proven else Certainty.LIKELY,
        severity=Severity.WARNING if reached else severity,
        fix=fix,
        config=config,
    )


# buffering


@rule("proxyconf/buffering")
def buffering(config: ProxyConfig, registries: Registries) -> Iterator[Draft]:
    """A setting that makes the proxy receive whole layers before it passes anything on."""
    ways = [front for front in proxy_configs.fronts(config, registries) if not front.pulls_only]
    written = [
        (front, front.route.buffering)
        for front in ways
        if front.route.buffering is not None
        and front.route.buffering.spools
        and front.route.buffering.place is not None
    ]
    for effect in effects(ways, written):
        yield _buffers(config, effect, f"{effect.written} holds for {effect.where}.")
    for effect in effects(ways, _old_http(ways, written=True)):
        yield _buffers(config, effect, _in_vain(effect))


@rule("proxyconf/buffering")
def default_buffering(
    config: ProxyConfig,
    _whole: CompleteProxyConfig,
    registries: Registries,
    session: UploadSession | None,
) -> Iterator[Draft]:
    """What nginx does where nothing is written: it receives whole layers first."""
    ways = [front for front in proxy_configs.fronts(config, registries) if not front.pulls_only]
    unwritten = [
        (front, front.route.buffering)
        for front in ways
        if front.route.buffering is not None
        and front.route.buffering.spools
        and front.route.buffering.place is None
    ]
    slow = session is not None and session.commit is not None and session.commit.seconds >= SLOW_COMMIT
    for effect in effects(ways, unwritten):
        patient = all(_waits(front) > timing.REGISTRY_SILENCE for front in effect.fronts)
        yield _buffers(
            config,
            effect,
            f"Nothing sets {effect.setting.name} for {effect.where}, and the default is "
            f"{effect.setting.value}.{effect.outside}",
            certainty=Certainty.LIKELY if effect.outside else Certainty.PROVEN,
            severity=Severity.INFO if patient and not slow else None,
        )
    for effect in effects(ways, _old_http(ways, written=False)):
        seen = f"{_in_vain(effect)} HTTP/1.0 is the default before nginx 1.29.7.{effect.outside}"
        yield _buffers(config, effect, seen, certainty=Certainty.LIKELY)


def _buffers(
    config: ProxyConfig,
    effect: Effect,
    seen: str,
    *,
    certainty: Certainty = Certainty.PROVEN,
    severity: Severity | None = None,
) -> Draft:
    return draft(
        "proxyconf/buffering",
        effect,
        f"{seen} {_cost(effect)}",
        certainty=certainty,
        severity=severity,
        fix=remedies.for_buffering(config, effect.setting, effect.fronts[0]),
        config=config,
    )


SLOW_COMMIT = 5.0
"""Seconds for a blob of a few bytes, which takes milliseconds to hash and move."""


def _waits(front: proxy_configs.Front) -> float:
    """Seconds that the proxy waits for the registry to take and answer what it has spooled."""
    timers = [each for each in front.route.timers if each.scope in (TimerScope.ANSWER, TimerScope.SILENCE)]
    return min((each.seconds for each in timers if each.seconds is not None), default=float("inf"))


def _old_http(
    ways: Iterable[proxy_configs.Front], *, written: bool
) -> Iterator[tuple[proxy_configs.Front, ReverseProxySetting]]:
    """Ways on which buffering is off and HTTP/1.0 is spoken to the registry all the same."""
    for front in ways:
        setting = front.route.buffering
        version = setting.http_version if setting is not None else None
        if (
            setting is not None
            and version is not None
            and not setting.spools
            and version.value == "1.0"
            and (version.place is not None) == written
        ):
            yield front, version


def _in_vain(effect: Effect) -> str:
    off = effect.fronts[0].route.buffering
    place = off.place if off is not None else None
    return (
        f"proxy_request_buffering off ({place}) has no effect on uploads of docker and podman through "
        f"{effect.where}: they are chunked, and nginx receives chunked bodies as a whole where it speaks "
        "HTTP/1.0 to the registry; proxy_http_version 1.1 is missing."
    )


def _cost(effect: Effect) -> str:
    folder = next(
        (front.route.temporary_folder for front in effect.fronts if front.route.temporary_folder is not None),
        None,
    )
    disk = f"the disk of {folder.value} ({folder.place})" if folder is not None else "the proxy's disk"
    return (
        "The registry sees a layer only when the proxy has all of it: clients stand still at 100 % meanwhile, and "
        f"{disk} must hold the layers of all pushes that run at once."
    )


# time


@rule("proxyconf/timeout")
def timers(
    config: ProxyConfig, registries: Registries, pings: Pings, slow: SlowUploads | None
) -> Iterator[Draft]:
    """A timer that is written down."""
    yield from _timers(config, registries, pings, slow, written=True)


@rule("proxyconf/timeout")
def default_timers(
    config: ProxyConfig,
    _whole: CompleteProxyConfig,
    registries: Registries,
    pings: Pings,
    slow: SlowUploads | None,
) -> Iterator[Draft]:
    """A timer that runs where nothing is written."""
    yield from _timers(config, registries, pings, slow, written=False)


def _timers(
    config: ProxyConfig,
    registries: Each[Endpoint],
    pings: Each[Ping],
    slow: SlowUploads | None,
    *,
    written: bool,
) -> Iterator[Draft]:
    ways = proxy_configs.fronts(config, registries)
    found = [
        (front, timer)
        for front in ways
        for timer in front.route.timers
        if (timer.place is not None) == written
        and not (front.pulls_only and timer.scope is not TimerScope.ANSWER)
    ]
    for effect in effects(ways, found):
        timer = effect.setting
        if not isinstance(timer, ProxyTimer) or timer.seconds is None:
            continue
        struck = timing.struck(timer, slow) or timing.kept_waiting(timer, pings)
        severity = timing.severity_of(timer, struck=struck)
        if severity is None:
            continue
        seen = (
            f"{effect.written} holds for {effect.where}."
            if written
            else f"Nothing sets {timer.name} for {effect.where}, and the default is {timer.value}.{effect.outside}"
        )
        if not written and config.kind is FileKind.TRAEFIK:
            seen += " (Versions before 2.11.2 had no such limit.)"
        detail = f"{seen} {timing.MEANINGS[timer.scope]}"
        if struck:
            detail += f" {struck}"
        elif timing.outlived(timer, slow):
            severity = Severity.INFO
            detail += " Yet an upload has just taken longer: another configuration is at work than this file."
        yield draft(
            "proxyconf/timeout",
            effect,
            detail,
            certainty=Certainty.PROVEN if struck else Certainty.LIKELY,
            severity=severity,
            fix=remedies.for_timer(config, timer, effect.fronts[0]),
            config=config,
        )
