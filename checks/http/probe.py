"""The first look at a host over HTTP."""

from __future__ import annotations

import secrets
from urllib.parse import urljoin, urlsplit

from regdoctor.api import (
    Addresses,
    Answer,
    Blocked,
    Context,
    Endpoint,
    Failure,
    FailureKind,
    NotApplicable,
    Ping,
    Response,
    Role,
    probe,
)

MAX_REDIRECTS = 5
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
