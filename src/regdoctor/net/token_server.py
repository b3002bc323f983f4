"""Asks a token server, with the care for credentials that following its URL demands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from regdoctor.facts.base import Failure
from regdoctor.net import once
from regdoctor.net.http import Client, Response
from regdoctor.oci.token_request import FORM_TYPE, TokenRequest

if TYPE_CHECKING:
    from regdoctor.context import Context

MAX_REDIRECTS: Final = 5
BODY_LIMIT: Final = 256 * 1024
"""Tokens of accounts in many groups are long; nothing that clients accept is longer than this."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class CredentialsWithheld(Exception):  # noqa: N818 - a refusal, not a failure
    """The credentials were not sent, for they would have gone over an unprotected connection; says where."""


def ask_once(context: Context, request: TokenRequest) -> Response | Failure:
    """As ``ask``, but the same request is sent once a run: its targets share tokens.

    :raises CredentialsWithheld: as ``ask``.
    """
    secrets = (each.reveal() if each is not None else None for each in (request.authorization, request.form))
    key = ("token", request.method, request.url, *secrets)
    return once.ask_once(context, key, lambda: ask(context.http, request, context.find_proxy))


def ask(http: Client, request: TokenRequest, find_proxy: Callable[[str], str | None]) -> Response | Failure:
    """Send a token request and follow redirects as Go's HTTP client does.

    ``find_proxy`` gives the forward proxy for a URL. Credentials follow a redirect only to the same host or
    a host below it (Go ``net/http`` ``shouldCopyHeaderOnRedirect``). A form is not sent again elsewhere: the
    redirect is then the answer.

    :raises CredentialsWithheld: the URL, or one that it redirects to, is not one that may carry credentials.
    """
    url, authorization = request.url, request.authorization
    response = _send(http, request, url, find_proxy, with_credentials=request.carries_credentials)
    hops = 0
    while (
        isinstance(response, Response)
        and request.form is None
        and response.answer.status in _REDIRECTS
        and response.location is not None
        and hops < MAX_REDIRECTS
    ):
        target = urljoin(url, response.location)
        if urlsplit(target).scheme not in ("http", "https"):
            break
        if not _same_or_below(urlsplit(target).hostname, urlsplit(url).hostname):
            authorization = None
        url = target
        hops += 1
        response = _send(http, request, url, find_proxy, with_credentials=authorization is not None)
    return response


def _send(
    http: Client,
    request: TokenRequest,
    url: str,
    find_proxy: Callable[[str], str | None],
    *,
    with_credentials: bool,
) -> Response | Failure:
    if with_credentials and not http.may_carry_credentials(url):
        parts = urlsplit(url)
        raise CredentialsWithheld(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    form = request.form
    return http.request(
        request.method,
        url,
        headers=[("Content-Type", FORM_TYPE)] if form is not None else [],
        authorization=request.authorization if with_credentials else None,
        content=form.reveal().encode("ascii") if form is not None else None,
        proxy=find_proxy(url),
        body_limit=BODY_LIMIT,
    )


def _same_or_below(host: str | None, origin: str | None) -> bool:
    return host is not None and origin is not None and (host == origin or host.endswith(f".{origin}"))
