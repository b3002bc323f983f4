"""Reads which proxy is used, asks it for each host, and tries the direct way where it does not serve one."""

from __future__ import annotations

import re

from regdoctor.api import (
    Answer,
    Connections,
    Context,
    DaemonProxies,
    DaemonProxy,
    DirectHandshake,
    DirectLook,
    Endpoint,
    Failure,
    FailureKind,
    ForwardProxies,
    Handshakes,
    NotApplicable,
    Ping,
    ProxyAnswer,
    ProxySetting,
    Role,
    Secret,
    daemon_proxies,
    failures,
    probe,
    proxies,
    side_by_side,
    tls,
    tunnel,
)

from .judging import serves

DIRECT = 2.0
"""Seconds for the direct way, which a network with a proxy often leads nowhere."""
PLAIN = 1.0
_USERINFO = re.compile(r"[^\s,;'\"/]*@")
_TLS_FAILED = frozenset(
    {
        FailureKind.TLS_NOT_SPOKEN,
        FailureKind.TLS_FAILURE,
        FailureKind.TLS_TIMEOUT,
        FailureKind.TLS_ALERT,
        FailureKind.CONNECTION_CLOSED,
        FailureKind.CONNECTION_RESET,
    }
)


@probe
def read_setting(endpoint: Endpoint, context: Context) -> ProxySetting:
    """Which proxy clients use for the host, by the options and the environment alone."""
    if endpoint.role is Role.PROXY:
        raise NotApplicable("clients reach the proxy itself directly")
    if context.options.proxy:
        return ProxySetting(
            proxy=endpoint.proxy,
            source="--proxy",
            why="--proxy names it",
            login="@" in context.options.proxy,
        )
    decision = proxies.proxy_for(endpoint.url, context.environment)
    no_proxy_source = next((name for name in ("NO_PROXY", "no_proxy") if context.environment.get(name)), None)
    return ProxySetting(
        proxy=endpoint.proxy,
        source=decision.variable,
        why=_masked(decision.why),
        login="@" in (decision.proxy_url or ""),
        ignored=decision.ignored,
        no_proxy_source=no_proxy_source,
        no_proxy=_masked(context.environment.get(no_proxy_source, "")) if no_proxy_source else "",
        problems=tuple(map(_masked, decision.problems)),
    )


def _masked(text: str) -> str:
    return _USERINFO.sub("***@", text)


@probe
def find_forward_proxies(endpoint: Endpoint) -> ForwardProxies:
    """The proxy that the registry is reached through."""
    if endpoint.proxy is None:
        raise NotApplicable(f"clients reach {endpoint.address} directly")
    try:
        way = tunnel.ForwardProxy(Secret(endpoint.proxy))
    except ValueError:
        return ForwardProxies(endpoints=())
    return ForwardProxies(
        endpoints=(Endpoint(role=Role.PROXY, scheme=way.scheme, host=way.host, port=way.port),)
    )


@probe
def ask_proxy(endpoint: Endpoint, context: Context) -> ProxyAnswer:
    """CONNECT for a host that is addressed by https; for http the request that clients would send."""
    if endpoint.proxy is None:
        raise NotApplicable(f"clients reach {endpoint.address} directly")
    proxy = tunnel.configured_proxy(endpoint.url, context.options, context.environment)
    return _ask(proxy or Secret(endpoint.proxy), endpoint, context)


def _ask(proxy: Secret, endpoint: Endpoint, context: Context) -> ProxyAnswer:
    try:
        way = tunnel.ForwardProxy(proxy)
        got = tunnel.ask(proxy, endpoint, context)
    except ValueError as error:
        problem = failures.make_failure(FailureKind.OTHER, "the proxy", error=error, message=str(error))
        return ProxyAnswer(answer=None, failure=problem)
    if isinstance(got, Answer):
        return ProxyAnswer(answer=got)
    line = None
    if way.scheme == "https" and got.kind in _TLS_FAILED:
        line = tunnel.plain_answer(proxy, context, min(PLAIN, context.deadline.step()))
    return ProxyAnswer(answer=None, failure=got, plain_line=line)


@probe
def look_directly(endpoint: Endpoint, asked: ProxyAnswer, ping: Ping | None, context: Context) -> DirectLook:
    """The first look past the proxy, where nothing comes back through it."""
    if serves(asked, ping, has_ping=endpoint.role in (Role.REGISTRY, Role.MIRROR, Role.UPSTREAM)):
        raise NotApplicable(f"the proxy serves {endpoint.address}")
    url = endpoint.url + endpoint.path
    bound = min(DIRECT, context.deadline.step())
    response = context.http.request("GET", url, seconds=bound)
    trusted = True
    if isinstance(response, Failure) and response.kind is FailureKind.TLS_VERIFICATION:
        trusted = False
        response = context.http.request("GET", url, seconds=bound, verify=False)
    if isinstance(response, Failure):
        return DirectLook(answer=None, trusted=trusted, failure=response)
    return DirectLook(answer=response.answer, trusted=trusted)


@probe
def shake_hands_directly(
    endpoint: Endpoint, handshakes: Handshakes, connections: Connections | None, context: Context
) -> DirectHandshake:
    """A handshake past the proxy, where the chain that comes through it is not trusted."""
    if endpoint.proxy is None:
        raise NotApplicable(f"clients reach {endpoint.address} directly")
    distrusted = [
        each for each in handshakes.handshakes if each.verifications and not each.verifications[0].accepted
    ]
    if not distrusted:
        raise NotApplicable("nothing that comes through the proxy is distrusted")
    if connections is None or not connections.open_addresses:
        raise NotApplicable(f"there is no direct way to {endpoint.address}")
    address = connections.open_addresses[0]
    return DirectHandshake(
        handshake=tls.handshake(
            address,
            endpoint.host,
            tls.direct(address, endpoint.port),
            timeout=min(DIRECT, context.deadline.step()),
        )
    )


@probe
def look_at_daemons(endpoint: Endpoint, context: Context) -> DaemonProxies:
    """The proxies of this host's container daemons, and what those say that the caller does not use."""
    settings = daemon_proxies.daemon_settings(context.options.daemon_json)
    if not settings:
        raise NotApplicable("no container daemon runs or is installed here")

    def look(setting: daemon_proxies.DaemonSetting) -> DaemonProxy:
        decision = proxies.proxy_for(endpoint.url, setting.environment)
        found = DaemonProxy(
            daemon=setting.daemon,
            source=setting.source,
            proxy=None,
            why=_masked(decision.why),
            running=setting.running,
            problems=tuple(map(_masked, decision.problems)),
        )
        if decision.proxy_url is None:
            return found
        from msgspec.structs import replace

        proxy = Secret(decision.proxy_url)
        try:
            way = tunnel.ForwardProxy(proxy)
        except ValueError:
            return replace(found, proxy=_masked(decision.proxy_url))
        for secret in way.secrets:
            context.conceal(secret)
        found = replace(found, proxy=way.shown)
        if endpoint.proxy is not None and tunnel.ForwardProxy(Secret(endpoint.proxy)).shown == way.shown:
            return found
        asked = _ask(proxy, endpoint, context)
        return replace(found, answer=asked.answer, failure=asked.failure)

    return DaemonProxies(daemons=tuple(side_by_side(look, settings)))
