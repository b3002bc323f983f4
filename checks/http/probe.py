"""The first look at a host over HTTP, the same request repeated, and a look below other paths."""

from __future__ import annotations

import secrets
import time
from urllib.parse import urljoin, urlsplit

from regdoctor.api import (
    Answer,
    Blocked,
    Connections,
    Context,
    Endpoint,
    Failure,
    FailureKind,
    Handshakes,
    NotApplicable,
    PathPrefixes,
    Ping,
    PlainLook,
    ProducerKind,
    PullAuthorization,
    Replicas,
    Response,
    Role,
    Target,
    probe,
    side_by_side,
    tls,
)

from .repeating import Asker, wants_another_look

MAX_REDIRECTS = 10
"""As many as Go's clients follow (``net/http``, ``defaultCheckRedirect``)."""
REPEATS = 4
"""Enough to meet every one of three replicas in turn."""
MAX_ADDRESSES = 8
MOST_PREFIXES = 10
_USUAL_PREFIXES = (
    "registry",
    "docker",
    "docker-registry",
    "container-registry",
    "repository/docker",
    "artifactory/api/docker",
)
_REDIRECTS = (301, 302, 303, 307, 308)
_NO_WHOLE_ANSWER = frozenset({FailureKind.RESPONSE_TIMEOUT, FailureKind.RESPONSE_MALFORMED})
PLAIN = 1.5
"""Seconds for a look at what else speaks on the port."""
_BROKEN_OFF = frozenset({FailureKind.CONNECTION_CLOSED, FailureKind.CONNECTION_RESET})
_NO_HTTP_SEEN = frozenset(
    {
        FailureKind.NAME_NOT_FOUND,
        FailureKind.RESOLVER_TIMEOUT,
        FailureKind.RESOLVER_REFUSED,
        FailureKind.RESOLVER_FAILURE,
        FailureKind.RESOLVER_ANSWER_INVALID,
        FailureKind.CONNECTION_REFUSED,
        FailureKind.CONNECTION_TIMEOUT,
        FailureKind.CONNECTION_PROHIBITED,
        FailureKind.HOST_UNREACHABLE,
        FailureKind.NETWORK_UNREACHABLE,
        FailureKind.LOCAL_FAULT,
        FailureKind.TLS_NOT_SPOKEN,
        FailureKind.TLS_ALERT,
        FailureKind.TLS_TIMEOUT,
        FailureKind.TLS_FAILURE,
        FailureKind.PROXY_REFUSED,
        FailureKind.PROXY_UNREACHABLE,
        FailureKind.DEADLINE,
    }
)
"""Failures before any HTTP was spoken: other checks' matter."""


@probe
def look(endpoint: Endpoint, context: Context) -> Ping:
    """GET ``/v2/`` without credentials, as docker and podman begin (docker ping, containers/image)."""
    if endpoint.role not in (Role.REGISTRY, Role.MIRROR, Role.UPSTREAM):
        raise NotApplicable(f"the {endpoint.role.value} is asked what it is for, not /v2/")
    started = time.monotonic()
    response, trusted = _first(endpoint, context)
    seconds = time.monotonic() - started
    if isinstance(response, Failure):
        if response.kind in _NO_HTTP_SEEN:
            raise Blocked(f"no connection to {endpoint.address}: {response.message}")
        return Ping(answer=None, trusted=trusted, failure=response, seconds=seconds)
    redirects, last, problem = _follow(endpoint, response, context, trusted=trusted)
    if redirects:
        seconds = time.monotonic() - started
    if isinstance(last, Failure):
        return Ping(answer=None, failure=last, trusted=trusted, redirects=redirects, seconds=seconds)
    control = None
    if last.answer.status == 200 and not _is_registry_s(last.answer):
        control = _control(last.answer.url, context, trusted=trusted)
    return Ping(
        answer=last.answer,
        trusted=trusted,
        redirects=redirects,
        control=control,
        redirect_problem=problem,
        seconds=seconds,
    )


def _first(endpoint: Endpoint, context: Context) -> tuple[Response | Failure, bool]:
    """The first answer; where only TLS verification fails, once more without it and without credentials."""
    url = endpoint.url + endpoint.path
    response = context.http.request("GET", url, proxy=endpoint.proxy)
    if isinstance(response, Failure) and response.kind is FailureKind.TLS_VERIFICATION:
        return context.http.request("GET", url, proxy=endpoint.proxy, verify=False), False
    return response, True


def _follow(
    endpoint: Endpoint, response: Response, context: Context, *, trusted: bool
) -> tuple[tuple[Answer, ...], Response | Failure, str | None]:
    """Follows redirects as Go's HTTP client does, but keeps each answer and stops at circles."""
    url = endpoint.url + endpoint.path
    seen = {url}
    redirects: list[Answer] = []
    current: Response | Failure = response
    while isinstance(current, Response) and current.answer.status in _REDIRECTS and current.location:
        secure = urlsplit(url).scheme == "https"
        url = urljoin(url, current.location)
        if urlsplit(url).scheme not in ("http", "https") or urlsplit(url).hostname is None:
            break
        if secure and urlsplit(url).scheme == "http":
            return tuple(redirects), current, "downgrade"
        if url in seen:
            return tuple(redirects), current, "loop"
        if len(redirects) == MAX_REDIRECTS:
            return tuple(redirects), current, "too-many"
        seen.add(url)
        redirects.append(current.answer)
        current = context.http.request("GET", url, proxy=context.find_proxy(url), verify=trusted)
    return tuple(redirects), current, None


def _is_registry_s(answer: Answer) -> bool:
    return answer.producer.kind is ProducerKind.REGISTRY


def _control(url: str, context: Context, *, trusted: bool) -> Answer | None:
    """The answer for a repository of a random name: registries refuse it, catch-all pages serve it."""
    control = urljoin(url, f"/v2/{_random_name()}/tags/list")
    response = context.http.request("GET", control, proxy=context.find_proxy(control), verify=trusted)
    return None if isinstance(response, Failure) else response.answer


def _random_name() -> str:
    """A name that nobody has."""
    return f"regdoctor-{secrets.token_hex(8)}"


@probe
def look_in_plain_http(
    endpoint: Endpoint,
    connections: Connections | None,
    handshakes: Handshakes | None,
    ping: Ping | None,
    context: Context,
) -> PlainLook:
    """What service it is that does not speak TLS, or does not answer a request whole."""
    if endpoint.role is not Role.REGISTRY or endpoint.proxy is not None:
        raise NotApplicable("only the registry's own port is looked at, directly")
    if endpoint.scheme == "https":
        seen = handshakes.handshakes if handshakes is not None else ()
        if not seen or any(each.protocol is not None for each in seen):
            raise NotApplicable(f"no port of {endpoint.host} answers a TLS handshake without TLS")
        excerpts = [
            text for each in seen for text in (each.plaintext_excerpt, each.plain_http_excerpt) if text
        ]
        if any(text.startswith("HTTP/") for text in excerpts):
            url = f"http://{endpoint.address}{endpoint.path}"
            response = context.http.request("GET", url, seconds=min(PLAIN, context.deadline.step()))
            return PlainLook(answer=None if isinstance(response, Failure) else response.answer)
        if not excerpts:
            raise NotApplicable(f"{endpoint.address} says nothing without TLS")
        return PlainLook(greeting=excerpts[0])
    if ping is None or ping.failure is None or ping.failure.kind not in _NO_WHOLE_ANSWER or ping.redirects:
        raise NotApplicable(f"{endpoint.address} answers in HTTP, or not at all")
    address = next(iter(connections.open_addresses), None) if connections is not None else None
    if address is None:
        raise NotApplicable(f"no address of {endpoint.host} accepts a connection")
    said = tls.plain_answer(
        tls.direct(address, endpoint.port), endpoint.address, timeout=min(PLAIN, context.deadline.step())
    )
    if said is None or said.startswith("HTTP/"):
        raise NotApplicable(f"{endpoint.address} sends nothing but HTTP")
    return PlainLook(greeting=said)


@probe
def look_below_paths(endpoint: Endpoint, ping: Ping, target: Target, context: Context) -> PathPrefixes:
    """GET ``/<prefix>/v2/`` for a few prefixes, where ``/v2/`` itself is answered as by no registry."""
    answer = ping.answer
    if answer is None or endpoint.role is not Role.REGISTRY or ping.redirect_problem is not None:
        raise NotApplicable("there is no answer at /v2/ to wonder about")
    if (
        (_is_registry_s(answer) and answer.status != 404)
        or answer.status in (401, 429)
        or answer.status >= 500
    ):
        raise NotApplicable("/v2/ is where it should be")
    prefixes = _prefixes(target.repository)

    def ask(prefix: str) -> Response | Failure:
        return context.http.request(
            "GET", f"{endpoint.url}/{prefix}/v2/", proxy=endpoint.proxy, verify=ping.trusted
        )

    unlikely, *got = side_by_side(ask, (_random_name(), *prefixes), workers=4)
    # A name that nobody has is no prefix: where it leads to a registry all the same, every path does.
    if isinstance(unlikely, Response) and _is_registry_s(unlikely.answer):
        return PathPrefixes(answers=())
    return PathPrefixes(answers=tuple(each.answer for each in got if isinstance(each, Response)))


def _prefixes(repository: str | None) -> tuple[str, ...]:
    """Paths worth a try: those that the image's own name begins with, then the usual ones."""
    parts = (repository or "").split("/")[:-1]
    own = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    nested = [f"repository/{parts[0]}", f"artifactory/api/docker/{parts[0]}"] if parts else []
    return tuple(dict.fromkeys((*own, *nested, *_USUAL_PREFIXES)))[:MOST_PREFIXES]


@probe
def ask_again(
    endpoint: Endpoint,
    ping: Ping,
    connections: Connections | None,
    authorization: PullAuthorization | None,
    target: Target,
    context: Context,
) -> Replicas:
    """One request several times at once, and to each address of the name, on connections of their own.

    A question about the image shows replicas without shared storage as well as those that are down.
    """
    if endpoint.role is not Role.REGISTRY:
        raise NotApplicable(f"the {endpoint.role.value} is not looked at for replicas")
    broken_off = ping.failure is not None and ping.failure.kind in _BROKEN_OFF and not ping.redirects
    if ping.answer is None and not broken_off:
        raise NotApplicable("there is no answer at /v2/ to compare with")
    if ping.answer is not None and ping.answer.status == 429:
        raise NotApplicable("the registry counts requests and says that there were too many")
    # Addresses that accept no connection are another check's matter, and often none (no IPv6 here).
    found = connections.open_addresses if connections is not None and endpoint.proxy is None else ()
    places: list[str | None] = [*found[:MAX_ADDRESSES]] if len(found) > 1 else []
    places += [None] * REPEATS
    asker = Asker(endpoint, ping, authorization if not broken_off else None, target, context)
    question, uncached = asker.all_at_once(places)
    spaced = asker.one_by_one() if ping.answer is not None and wants_another_look(question) else None
    return Replicas(question=question, spaced=spaced, uncached=uncached)
