"""Follows redirects as clients do for manifests and blobs: to other hosts, and never with the credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from regdoctor.api import Answer, Context, Endpoint, Failure, PullAuthorization, Response

MAX_HOPS = 5
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Trail:
    """Where one request led: the registry's own answer, the origins of redirects, and what came at the end."""

    first: Response | Failure
    last: Response | Failure
    redirects: tuple[str, ...] = ()

    @property
    def final(self) -> Answer | None:
        """The answer at the end."""
        return self.last.answer if isinstance(self.last, Response) else None


def follow(
    context: Context,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    method: str,
    url: str,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    body_limit: int = 64 * 1024,
    on_chunk: Callable[[bytes], None] | None = None,
    seconds: float | None = None,
) -> Trail:
    """Sends a request to the registry and follows redirects, at most ``MAX_HOPS``.

    Clients never take the registry's credentials to another host (Go net/http, RFC 9110 section 15.4).
    """
    origin, header, proxy = origin_of(url), authorization.header, endpoint.proxy
    redirects: list[str] = []
    first: Response | Failure | None = None
    while True:
        got = context.http.request(
            method,
            url,
            headers=headers,
            authorization=header,
            proxy=proxy,
            body_limit=body_limit,
            on_chunk=on_chunk,
            seconds=seconds,
        )
        first = first or got
        if isinstance(got, Failure) or got.answer.status not in REDIRECTS or got.location is None:
            break
        where = urljoin(url, got.location)
        next_origin = origin_of(where)
        if len(redirects) >= MAX_HOPS or next_origin is None:
            break
        if next_origin != origin:
            header = None
        url, origin = where, next_origin
        proxy = context.find_proxy(origin)
        redirects.append(origin)
    return Trail(first, got, tuple(redirects))


def origin_of(url: str) -> str | None:
    """``scheme://host:port`` of an http or https URL, the port spelt out; None where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"
