"""Judges forward proxies: whether they serve the hosts that are sent to them, and for whom."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import (
    Addresses,
    Answer,
    Certainty,
    Connections,
    DaemonProxies,
    DaemonProxy,
    DirectHandshake,
    DirectLook,
    Draft,
    Each,
    Endpoint,
    Failure,
    FailureKind,
    Handshake,
    Handshakes,
    Ping,
    ProxyAnswer,
    ProxySetting,
    Role,
    Secret,
    ServedCertificate,
    challenges,
    finding,
    proxies,
    rule,
    tunnel,
)

from .judging import answers_as_host, by_proxy, looks_right, wants_login
from .names import inspecting_product, is_public, related

_NO_HTTP_PROXY = frozenset(
    {FailureKind.RESPONSE_MALFORMED, FailureKind.CONNECTION_CLOSED, FailureKind.CONNECTION_RESET}
)


@rule("proxy/unreachable", "proxy/scheme-mismatch")
def proxy_fails(
    endpoint: Endpoint, setting: ProxySetting, asked: ProxyAnswer, direct: DirectLook | None
) -> Iterator[Draft]:
    """The proxy itself cannot be reached, or does not speak as its URL says."""
    failure = asked.failure
    if failure is None or endpoint.proxy is None or failure.kind is FailureKind.TLS_VERIFICATION:
        return
    sent = f"{_names(setting)} sends {endpoint.url} to the forward proxy {setting.proxy}"
    if asked.plain_line is not None:
        yield _about_proxy(
            "proxy/scheme-mismatch",
            endpoint,
            f"{sent}, and with https:// clients start TLS with the proxy itself. It does not speak TLS there: "
            f"{failure.message}. In plain HTTP the same port answers “{asked.plain_line}”.",
            fix=(
                f"write http:// instead of https:// in {_names(setting)}: the scheme is how to talk to the proxy",
            ),
        )
        return
    if failure.kind is FailureKind.RESPONSE_TIMEOUT:
        return
    detail = f"{sent}, and it cannot be used: {failure.message}."
    if failure.kind in _NO_HTTP_PROXY:
        detail += (
            " What listens there does not answer as an HTTP proxy does; it may speak TLS (https://) or SOCKS."
        )
    if setting.problems:
        detail += f" {' '.join(f'{each}.' for each in setting.problems)}"
    if direct is not None and direct.answer is not None and answers_as_host(endpoint, direct.answer):
        detail += f" Past the proxy {endpoint.address} does answer ({direct.answer.status})."
    yield _about_proxy("proxy/unreachable", endpoint, detail)


def _names(setting: ProxySetting) -> str:
    return setting.source or "the environment"


def _about_proxy(code: str, endpoint: Endpoint, detail: str, fix: tuple[str, ...] = ()) -> Draft:
    """A finding about the proxy of a host; its texts speak of the host."""
    try:
        way = tunnel.ForwardProxy(Secret(endpoint.proxy or ""))
        about = Endpoint(role=Role.PROXY, scheme=way.scheme, host=way.host, port=way.port)
    except ValueError:
        about = endpoint
    return finding(
        code,
        detail,
        endpoint=about,
        evidence=("proxy-answer", "proxy-setting"),
        fix=fix,
        host=endpoint.host,
        port=str(endpoint.port),
        address=endpoint.address,
        url=endpoint.url,
    )


@rule("proxy/unreachable")
def setting_ignored(
    endpoint: Endpoint, setting: ProxySetting, ping: Ping | None, connections: Connections | None
) -> Iterator[Draft]:
    """A proxy is named by a value that clients cannot read, and the way that they take instead is closed."""
    if not setting.ignored or endpoint.role is not Role.REGISTRY or ping is not None:
        return
    if connections is not None and connections.open_addresses:
        return
    yield finding(
        "proxy/unreachable",
        f"{_names(setting)} is set, but {setting.why}: {'; '.join(setting.problems) or 'it is no URL'}. They go "
        f"directly instead, and there is no direct way to {endpoint.address}.",
        certainty=Certainty.LIKELY,
        evidence=("proxy-setting",),
    )


@rule("proxy/auth-required")
def login_wanted(endpoint: Endpoint, setting: ProxySetting, asked: ProxyAnswer) -> Iterator[Draft]:
    """407: the proxy wants a login before it does anything."""
    answer = asked.answer
    if answer is None or not wants_login(answer):
        return
    offered = tuple(
        each.scheme for each in challenges.parse_challenges(answer.all_headers("proxy-authenticate"))
    )
    ways = ", ".join(dict.fromkeys(each.capitalize() for each in offered))
    login = (
        f"The login that stands in {_names(setting)} is refused"
        if setting.login
        else f"{_names(setting)} holds no login"
    )
    detail = (
        f"The forward proxy {setting.proxy} answers {answer.method} {answer.url} with {answer.status} before "
        f"{endpoint.address} sees anything. {login}."
    )
    if ways:
        detail += f" It offers: {ways}."
    if offered and "basic" not in offered:
        detail += " docker, podman and containerd can log in to a proxy by Basic alone."
    if setting.problems:
        detail += f" {' '.join(f'{each}.' for each in setting.problems)}"
    yield _about_proxy("proxy/auth-required", endpoint, detail)


@rule("proxy/denied", "proxy/bypass-missing")
def not_served(
    endpoint: Endpoint,
    setting: ProxySetting,
    asked: ProxyAnswer,
    ping: Ping | None,
    direct: DirectLook | None,
    addresses: Addresses | None,
) -> Iterator[Draft]:
    """The proxy is there and does not lead to the host; the direct way may."""
    told = _told(endpoint, asked, ping)
    if told is None:
        return
    there = direct.answer if direct is not None else None
    if there is not None and answers_as_host(endpoint, there):
        yield _bypass_missing(endpoint, setting, told, there, addresses)
        return
    answer = asked.answer
    if answer is None or asked.opened or not _denies(answer):
        return
    if answer.method != "CONNECT" and not by_proxy(answer):
        return
    detail = f"{told} {endpoint.address} never saw the request."
    if answer.method == "CONNECT" and endpoint.port != 443 and answer.status == 403:
        detail += f" Many proxies allow CONNECT to port 443 alone; this is port {endpoint.port}."
    if answer.status in (400, 404, 405, 501):
        detail += " Plain web servers answer so: it may be no forward proxy at all."
    yield finding(
        "proxy/denied",
        detail,
        certainty=Certainty.PROVEN if answer.method == "CONNECT" or _is_forward(answer) else Certainty.LIKELY,
        evidence=(answer.exchange, "proxy-setting"),
    )


def _is_forward(answer: Answer) -> bool:
    return answer.producer.kind.value == "forward-proxy"


def _denies(answer: Answer) -> bool:
    """Whether the proxy refuses to go, and has not tried in vain."""
    squid = answer.header("x-squid-error") or ""
    return answer.status < 500 or squid.startswith(("ERR_ACCESS_DENIED", "ERR_FORWARDING_DENIED"))


def _told(endpoint: Endpoint, asked: ProxyAnswer, ping: Ping | None) -> str | None:
    """What the proxy did instead of serving the host, as a sentence; None where it serves it."""
    answer = asked.answer
    if answer is None:
        if asked.failure is not None and asked.failure.kind is FailureKind.RESPONSE_TIMEOUT:
            return (
                f"The forward proxy {endpoint.proxy} did not answer a request for {endpoint.address} in time."
            )
        return None
    if wants_login(answer):
        return None
    if asked.opened:
        if endpoint.role is not Role.REGISTRY or (ping is not None and ping.answer is not None):
            return None
        return f"The forward proxy {endpoint.proxy} opens a tunnel to {endpoint.address} that stays empty."
    if answer.method != "CONNECT" and looks_right(answer):
        return None
    squid = answer.header("x-squid-error")
    return (
        f"The forward proxy {endpoint.proxy} answered {answer.method} {answer.url} with {answer.status}"
        + (f" ({squid})" if squid else "")
        + "."
    )


def _bypass_missing(
    endpoint: Endpoint, setting: ProxySetting, told: str, there: Answer, addresses: Addresses | None
) -> Draft:
    known = addresses.addresses if addresses is not None else ()
    reasons = proxies.why_not_covered(setting.no_proxy, endpoint.host, endpoint.port, known)
    if setting.source == "--proxy":
        why = "The proxy was named by --proxy."
    elif not setting.no_proxy:
        why = f"{_names(setting)} is set, and there is no NO_PROXY."
    else:
        why = f"{_names(setting)} is set, and {setting.no_proxy_source}={setting.no_proxy} does not cover it."
    value = ",".join(filter(None, (setting.no_proxy, endpoint.host)))
    return finding(
        "proxy/bypass-missing",
        f"{told} Past the proxy {endpoint.address} answers {there.status}. {why}"
        + "".join(f" {each[0].upper()}{each[1:]}." for each in reasons),
        evidence=("proxy-answer", there.exchange, "proxy-setting"),
        fix=(
            f"set {setting.no_proxy_source or 'NO_PROXY'}={value} where the proxy is set, for the daemon too",
        ),
    )


@rule("proxy/tls-intercepted")
def intercepted(
    endpoint: Endpoint, handshakes: Handshakes, direct: DirectHandshake | None, every: Each[Handshakes]
) -> Iterator[Draft]:
    """The chain that arrives was issued on the way."""
    shown = next((each for each in handshakes.handshakes if _untrusted(each)), None)
    if shown is None or endpoint.role is Role.PROXY:
        return
    leaf, top = shown.chain[0], shown.chain[-1]
    if direct is not None and direct.handshake.chain:
        other = direct.handshake.chain[0]
        if other.sha256 == leaf.sha256 or other.issuer == leaf.issuer:
            return
        yield _intercepted(
            f"Through the proxy {endpoint.proxy} the certificate of {endpoint.host} is issued by {leaf.issuer}, "
            f"and past it by {other.issuer}. The proxy opens TLS and seals it again with its own authority.",
            Certainty.PROVEN,
        )
        return
    product = inspecting_product(top.issuer) or inspecting_product(top.subject)
    if product is not None:
        yield _intercepted(
            f"The certificate that arrives for {endpoint.host} is issued by {leaf.issuer}; that is {product}, "
            "which opens TLS on the way and seals it again with its own authority.",
            Certainty.LIKELY,
        )
    elif is_public(endpoint.host):
        yield _intercepted(
            f"The certificate that arrives for {endpoint.host} is issued by {leaf.issuer}, which this host does "
            "not trust. This is a public service, whose certificates come from public authorities; something on "
            "the way puts its own in their place.",
            Certainty.LIKELY,
        )
    elif (stranger := _same_issuer(endpoint, top, every)) is not None:
        yield _intercepted(
            f"The certificates that arrive through the proxy {endpoint.proxy} for {endpoint.host} and for "
            f"{stranger.host}, which have nothing to do with each other, lead to one and the same authority that "
            f"this host does not trust: {top.issuer}. It is the proxy's own.",
            Certainty.LIKELY,
        )


def _untrusted(handshake: Handshake) -> bool:
    """Whether no authority that counts here stands behind the chain, whatever its dates and names."""
    return bool(handshake.chain and handshake.verifications and not handshake.verifications[0].path)


def _same_issuer(endpoint: Endpoint, top: ServedCertificate, every: Each[Handshakes]) -> Endpoint | None:
    """Another host behind the same proxy, of another domain, whose chain leads to the same unknown authority."""
    for other, seen in every.items():
        if endpoint.proxy is None or other.proxy != endpoint.proxy or related(endpoint.host, other.host):
            continue
        if any(_untrusted(each) and each.chain[-1].issuer == top.issuer for each in seen.handshakes):
            return other
    return None


def _intercepted(detail: str, certainty: Certainty) -> Draft:
    return finding(
        "proxy/tls-intercepted", detail, certainty=certainty, evidence=("handshakes", "direct-handshake")
    )


@rule("proxy/daemon-differs")
def daemon_differs(
    endpoint: Endpoint,
    setting: ProxySetting,
    daemons: DaemonProxies,
    ping: Ping | None,
    connections: Connections | None,
) -> Iterator[Draft]:
    """What holds for this shell does not hold for the daemon, because their proxies differ."""
    if endpoint.role is not Role.REGISTRY:
        return
    here = ping is not None and ping.answer is not None
    for daemon in daemons.daemons:
        if daemon.proxy == setting.proxy:
            continue
        there = _works(daemon, connections)
        if there is None or there == here:
            continue
        yield finding(
            "proxy/daemon-differs",
            f"This shell {'reaches' if here else 'does not reach'} {endpoint.address} {_way(setting.proxy)}, and "
            f"{daemon.daemon} {'does' if there else 'does not'} {_way(daemon.proxy)} "
            f"({_outcome(daemon, connections)}). {daemon.daemon} takes its proxy from {daemon.source}, not from "
            "this shell." + ("" if daemon.running else f" {daemon.daemon} is not running now."),
            certainty=Certainty.PROVEN if daemon.running else Certainty.LIKELY,
            evidence=("daemon-proxies", "proxy-setting"),
        )


def _way(proxy: str | None) -> str:
    return f"through the proxy {proxy}" if proxy is not None else "directly"


def _works(daemon: DaemonProxy, connections: Connections | None) -> bool | None:
    """Whether the daemon's own way leads to the registry; None where that was not seen."""
    if daemon.proxy is None:
        return None if connections is None else bool(connections.open_addresses)
    if daemon.answer is not None:
        return daemon.answer.status < 300 if daemon.answer.method == "CONNECT" else looks_right(daemon.answer)
    return False if daemon.failure is not None else None


def _outcome(daemon: DaemonProxy, connections: Connections | None) -> str:
    if daemon.proxy is None:
        first = connections.attempts[0] if connections is not None and connections.attempts else None
        return (
            first.failure.message if first is not None and first.failure is not None else "the port is open"
        )
    if isinstance(daemon.failure, Failure):
        return daemon.failure.message
    return (
        f"the proxy answers {daemon.answer.status}"
        if daemon.answer is not None
        else "the proxy was not asked"
    )
