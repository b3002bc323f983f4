"""Shakes hands with every address of a host and judges what is served in every trust context."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec.structs import replace

from regdoctor.api import (
    Addresses,
    Blocked,
    ClientRejections,
    Connections,
    Context,
    Each,
    Endpoint,
    Failure,
    FailureKind,
    Handshake,
    Handshakes,
    IssuerLookup,
    MissingIssuers,
    NotApplicable,
    Ping,
    PlainPort,
    ProxyAnswer,
    Role,
    RunningRegistries,
    ServedCertificate,
    certificates,
    handshake_log,
    probe,
    side_by_side,
    tls,
    trust,
    tunnel,
    verification,
)

from .chains import served, why_untrusted

MOST_ADDRESSES = 16
"""Addresses of one host that are shaken hands with."""

MOST_REPEATED = 4
"""Addresses up to which each is shaken hands with again: with more of them they are compared with each other."""
REPETITIONS = 5
"""Besides the first. Connections of other checks come between, so that a balancer's turn is chance."""
REPEATED_SECONDS = 2.0

PLAIN_SECONDS = 1.5
"""Bound of the request without TLS that follows a failed handshake: a server that hangs costs little more."""

REFUSES_PLAIN_HTTP = frozenset({400, 426, 497})
"""Statuses with which TLS servers answer a request without TLS (Go, nginx and Apache say 400)."""

MOST_LOOKUPS = 2
"""Addresses of missing issuers that are asked."""

ISSUER_LIMIT = 64 * 1024
"""Bytes of a fetched issuer that are read."""

_OLDER_MIGHT_WORK = frozenset(
    {
        FailureKind.TLS_ALERT,
        FailureKind.TLS_FAILURE,
        FailureKind.CONNECTION_CLOSED,
        FailureKind.CONNECTION_RESET,
    }
)
_PLAIN_MIGHT_WORK = frozenset(
    {
        FailureKind.TLS_NOT_SPOKEN,
        FailureKind.TLS_FAILURE,
        FailureKind.TLS_TIMEOUT,
        FailureKind.CONNECTION_CLOSED,
        FailureKind.CONNECTION_RESET,
    }
)


@probe
def shake_hands(
    endpoint: Endpoint, addresses: Addresses | None, connections: Connections | None, context: Context
) -> Handshakes:
    """One handshake with each address that accepts connections, or one through the forward proxy."""
    if endpoint.scheme != "https":
        raise NotApplicable(f"clients address {endpoint.address} by plain HTTP")
    stores = trust.trust_contexts(
        context.options, _folder_names(endpoint, context), context.home, context.environment
    )
    if endpoint.proxy is not None:
        openers = {endpoint.host: tunnel.opener(endpoint, context)}
    elif connections is None or not connections.open_addresses:
        if addresses is not None and not addresses.addresses:
            raise Blocked(f"{endpoint.host} does not resolve to an address")
        raise Blocked(f"no address of {endpoint.host} accepts a connection to port {endpoint.port}")
    else:
        openers = {
            address: tls.direct(address, endpoint.port)
            for address in connections.open_addresses[:MOST_ADDRESSES]
        }
    with ThreadPoolExecutor(max_workers=len(openers)) as workers:
        handshakes = list(
            workers.map(
                lambda address: _shake_hands(endpoint, address, openers[address], stores[0], context), openers
            )
        )
    if len(openers) <= MOST_REPEATED:
        handshakes = [
            one
            for each in handshakes
            for one in _repeat(endpoint, each, openers[each.address], stores[0], context)
        ]
    return Handshakes(handshakes=tuple(_judged(each, stores, context) for each in handshakes))


def _repeat(
    endpoint: Endpoint,
    first: Handshake,
    opener: tls.Opener,
    store: trust.TrustStore,
    context: Context,
) -> list[Handshake]:
    """The handshake, and those among a few more with the same address that show another chain.

    A balancer leads each connection to another server. What fails in a rush says something about the rush.
    """
    if first.failure is not None or first.usual_failure is not None:
        return [first]
    pair = store.pairs[0] if store.pairs else None

    def again(_number: int) -> Handshake:
        bound = min(context.deadline.step(), REPEATED_SECONDS)
        return tls.handshake(first.address, endpoint.host, opener, timeout=bound, pair=pair)

    found = {_chain_of(first): first}
    for each in side_by_side(again, range(REPETITIONS)):
        if each.failure is None:
            known = found.get(_chain_of(each))
            found[_chain_of(each)] = each if known is None else replace(known, times=known.times + 1)
    return list(found.values())


def _chain_of(handshake: Handshake) -> tuple[str, ...]:
    return tuple(each.sha256 for each in handshake.chain)


def _shake_hands(
    endpoint: Endpoint, address: str, opener: tls.Opener, store: trust.TrustStore, context: Context
) -> Handshake:
    """A handshake as Go's clients make it; where that fails, what an older client or plain HTTP gets."""
    pair = store.pairs[0] if store.pairs else None

    def attempt(offer: tls.Offer) -> Handshake:
        return tls.handshake(
            address, endpoint.host, opener, timeout=context.deadline.step(), offer=offer, pair=pair
        )

    usual = attempt(tls.Offer.USUAL)
    failure = usual.failure
    if failure is None or failure.kind in tls.CONNECTION_FAULTS:
        return usual
    if failure.kind in _OLDER_MIGHT_WORK and not usual.chain:
        older = attempt(tls.Offer.ANY)
        if older.failure is None:
            return replace(older, usual_failure=failure)
    if failure.kind in _PLAIN_MIGHT_WORK and not usual.chain:
        bound = min(context.deadline.step(), PLAIN_SECONDS)
        answer = tls.plain_answer(opener, endpoint.address, timeout=bound)
        return replace(usual, plain_http_excerpt=answer)
    return usual


def _judged(handshake: Handshake, stores: tuple[trust.TrustStore, ...], context: Context) -> Handshake:
    """The handshake with what each trust context makes of its chain."""
    if not handshake.chain:
        return handshake
    chain = [certificates.der_of(certificate) for certificate in handshake.chain]
    system = trust.system_authorities(context.environment, context.shared, context.lock)
    now = datetime.now(UTC)
    return replace(
        handshake, verifications=tuple(verification.verify(chain, store, system, now) for store in stores)
    )


def _folder_names(endpoint: Endpoint, context: Context) -> tuple[str, ...]:
    """What the host's trust folders may be called; a token server or blob host uses the registry's own."""
    own = endpoint.role in (Role.REGISTRY, Role.TOKEN_SERVER, Role.BLOB_HOST)
    return trust.folder_names(endpoint.address, context.target.domain if own else None)


@probe
def try_tls(
    endpoint: Endpoint,
    connections: Connections | None,
    ping: Ping | None,
    proxied: Annotated[Each[ProxyAnswer], Role.REGISTRY],
    context: Context,
) -> PlainPort:
    """A TLS handshake with a port addressed by http, unless HTTP works there."""
    if endpoint.scheme != "http":
        raise NotApplicable(f"clients address {endpoint.address} by https")
    if endpoint.proxy is not None:
        raise NotApplicable(f"clients reach {endpoint.address} through the proxy {endpoint.proxy}")
    if ping is not None and ping.redirects:
        # What goes wrong then, goes wrong elsewhere.
        raise NotApplicable(f"{endpoint.address} answers in plain HTTP, and sends clients elsewhere")
    if ping is not None and ping.answer is not None and ping.answer.status not in REFUSES_PLAIN_HTTP:
        raise NotApplicable(f"{endpoint.address} answers in plain HTTP")
    if endpoint.role is Role.PROXY and any(each.answer is not None for each in proxied.values()):
        raise NotApplicable(f"the proxy {endpoint.address} answers in plain HTTP")
    if connections is None or not connections.open_addresses:
        raise Blocked(f"no address of {endpoint.host} accepts a connection to port {endpoint.port}")
    address = connections.open_addresses[0]
    return PlainPort(
        handshake=tls.handshake(
            address,
            endpoint.host,
            tls.direct(address, endpoint.port),
            timeout=context.deadline.step(),
            offer=tls.Offer.ANY,
        )
    )


@probe
def look_up_issuers(endpoint: Endpoint, handshakes: Handshakes, context: Context) -> MissingIssuers:
    """Fetches the issuers that were not sent and are not trusted, from where the certificates say they lie."""
    lacking = [each for each in served(handshakes) if why_untrusted(each, None) and not each.top.self_signed]
    wanted = [
        (url, each.top, each.handshake)
        for each in lacking
        for url in each.top.issuer_urls
        if urlsplit(url).scheme == "http"
    ]
    if not wanted:
        raise NotApplicable(f"no certificate of {endpoint.address} says where an issuer that is missing lies")
    names = _folder_names(endpoint, context)
    store = trust.trust_stores(context.options, names, context.home, context.environment)[0]
    return MissingIssuers(lookups=tuple(_look_up(*each, store, context) for each in wanted[:MOST_LOOKUPS]))


def _look_up(
    url: str, top: ServedCertificate, handshake: Handshake, store: trust.TrustStore, context: Context
) -> IssuerLookup:
    response = context.http.request("GET", url, proxy=context.find_proxy(url), body_limit=ISSUER_LIMIT)
    if isinstance(response, Failure):
        return IssuerLookup(url=url, of=top.sha256, failure=response)
    found = certificates.issuer_in(response.body, top) if response.answer.status == 200 else None
    if found is None:
        return IssuerLookup(url=url, of=top.sha256)
    chain = [*(certificates.der_of(each) for each in handshake.chain), found]
    system = trust.system_authorities(context.environment, context.shared, context.lock)
    completed = verification.verify(chain, store, system, datetime.now(UTC))
    return IssuerLookup(
        url=url,
        of=top.sha256,
        certificate=certificates.read_certificate(found),
        completes=bool(completed.path),
    )


@probe
def read_rejections(context: Context, running: RunningRegistries | None = None) -> ClientRejections:
    """Lines of the log (``--log``, or that of its process) in which a client rejects the server's certificate."""
    path = context.options.log
    if path is None and running is not None and running.registry is not None and running.registry.log:
        path = Path(running.registry.log)
    if path is None:
        raise NotApplicable("no log is given (--log)")
    try:
        return handshake_log.read_rejections(path)
    except OSError as error:
        raise Blocked(f"{path} cannot be read: {error.strerror or error}") from error
