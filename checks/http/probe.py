"""The first look at a host over HTTP."""

from __future__ import annotations

import secrets
from urllib.parse import urljoin, urlsplit

from regdoctor.api import (
    Addresses,
    Answer,
    Blocked,
    Connections,
    Context,
    Endpoint,
    Failure,
    FailureKind,
    NotApplicable,
    PathPrefixes,
    Ping,
    PullAuthorization,
    RepeatedQuestion,
    Replicas,
    Response,
    Role,
    Target,
    manifests,
    probe,
    side_by_side,
)

MAX_REDIRECTS = 5
REPEATS = 4
"""Enough to meet every one of three replicas in turn."""
MAX_ADDRESSES = 8
_USUAL_PREFIXES = (
    "registry",
    "docker",
    "docker-registry",
    "container-registry",
    "repository/docker",
    "artifactory",
)
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
def look(endpoint: Endpoint, addresses: Addresses | None, context: Context) -> Ping:
    """GET ``/v2/`` without credentials, as docker and podman begin (docker ping, containers/image)."""
    if endpoint.role not in (Role.REGISTRY, Role.MIRROR, Role.UPSTREAM):
        raise NotApplicable(f"the {endpoint.role.value} is asked what it is for, not /v2/")
    if endpoint.proxy is None and addresses is not None and not addresses.addresses:
        raise Blocked(f"{endpoint.host} does not resolve to an address")
    response, trusted = _first(endpoint, context)
    if isinstance(response, Failure):
        if response.kind in _NO_HTTP_SEEN:
            raise Blocked(f"no connection to {endpoint.address}: {response.message}")
        return Ping(answer=None, trusted=trusted, failure=response)
    redirects, last, problem = _follow(endpoint, response, context, trusted=trusted)
    control = None
    if not isinstance(last, Failure) and last.answer.status == 200 and not _says_registry(last.answer):
        control = _control(last.answer.url, endpoint, context, trusted=trusted)
    return Ping(
        answer=None if isinstance(last, Failure) else last.answer,
        failure=last if isinstance(last, Failure) else None,
        trusted=trusted,
        redirects=redirects,
        control=control,
        redirect_problem=problem,
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
    seen = {endpoint.url + endpoint.path}
    redirects: list[Answer] = []
    current: Response | Failure = response
    while (
        isinstance(current, Response)
        and current.answer.status in (301, 302, 303, 307, 308)
        and current.location
    ):
        url = urljoin(redirects[-1].url if redirects else endpoint.url + endpoint.path, current.location)
        if urlsplit(url).scheme not in ("http", "https"):
            break
        redirects.append(current.answer)
        if endpoint.scheme == "https" and urlsplit(url).scheme == "http":
            return tuple(redirects), current, "downgrade"
        if url in seen:
            return tuple(redirects), current, "loop"
        if len(redirects) > MAX_REDIRECTS:
            return tuple(redirects), current, "too-many"
        seen.add(url)
        current = context.http.request("GET", url, proxy=context.find_proxy(url), verify=trusted)
    return tuple(redirects), current, None


def _says_registry(answer: Answer) -> bool:
    return answer.header("docker-distribution-api-version") is not None


def _control(url: str, endpoint: Endpoint, context: Context, *, trusted: bool) -> Answer | None:
    """The answer for a repository of a random name: registries refuse it, catch-all pages serve it."""
    name = f"regdoctor-{secrets.token_hex(8)}"
    response = context.http.request(
        "GET", urljoin(url, f"/v2/{name}/tags/list"), proxy=endpoint.proxy, verify=trusted
    )
    return None if isinstance(response, Failure) else response.answer


@probe
def look_below_paths(endpoint: Endpoint, ping: Ping, target: Target, context: Context) -> PathPrefixes:
    """GET ``/<prefix>/v2/`` for a few prefixes, where ``/v2/`` itself is answered as by no registry."""
    answer = ping.answer
    if answer is None or endpoint.role is not Role.REGISTRY:
        raise NotApplicable("there is no answer at /v2/ to wonder about")
    if _says_registry(answer) or answer.status in (401, 429) or answer.status >= 500:
        raise NotApplicable("/v2/ is where it should be")
    first = (target.repository or "").partition("/")[0]
    prefixes = tuple(dict.fromkeys(filter(None, (first, *_USUAL_PREFIXES))))

    def ask(prefix: str) -> Response | Failure:
        return context.http.request(
            "GET", f"{endpoint.url}/{prefix}/v2/", proxy=endpoint.proxy, verify=ping.trusted
        )

    got = side_by_side(ask, (f"regdoctor-{secrets.token_hex(8)}", *prefixes), workers=3)
    answers = [each.answer if isinstance(each, Response) else None for each in got]
    if answers[0] is not None and _says_registry(answers[0]):
        return PathPrefixes(answers=())
    return PathPrefixes(answers=tuple(each for each in answers[1:] if each is not None))


@probe
def ask_again(
    endpoint: Endpoint,
    ping: Ping,
    connections: Connections | None,
    authorization: PullAuthorization | None,
    target: Target,
    context: Context,
) -> Replicas:
    """One request several times, and to each address of the name, on connections of their own."""
    if endpoint.role is not Role.REGISTRY or ping.answer is None:
        raise NotApplicable("there is no answer at /v2/ to compare with")
    if ping.answer.status == 429:
        raise NotApplicable("the registry counts requests and says that there were too many")
    # Addresses that accept no connection are another check's matter, and often none (no IPv6 here).
    found = connections.open_addresses if connections is not None and endpoint.proxy is None else ()
    places: list[str | None] = [*found[:MAX_ADDRESSES]] if len(found) > 1 else []
    places += [None] * REPEATS
    # A question about the image shows replicas without shared storage as well as those that are down.
    if target.reference is not None and authorization is not None and ping.trusted:
        url = f"{endpoint.url}/v2/{target.repository}/manifests/{target.reference.reference}"
        question = _repeat("HEAD", url, places, endpoint, ping, authorization, context)
    else:
        question = _repeat("GET", endpoint.url + endpoint.path, places, endpoint, ping, None, context)
    return Replicas(questions=(question,))


def _repeat(
    method: str,
    url: str,
    places: list[str | None],
    endpoint: Endpoint,
    ping: Ping,
    authorization: PullAuthorization | None,
    context: Context,
) -> RepeatedQuestion:
    def ask(address: str | None) -> Answer | Failure:
        got = context.http.request(
            method,
            url,
            headers=(("Accept", ", ".join(manifests.ACCEPTED_MANIFESTS)),)
            if authorization is not None
            else (),
            authorization=authorization.header if authorization is not None else None,
            proxy=endpoint.proxy,
            verify=ping.trusted,
            address=address,
            fresh=True,
        )
        return got if isinstance(got, Failure) else got.answer

    return RepeatedQuestion(
        method=method, url=url, answers=tuple(side_by_side(ask, places, workers=len(places)))
    )
