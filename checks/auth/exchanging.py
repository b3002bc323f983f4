"""Asks a token server as docker and podman do, and reads the token that comes of it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from regdoctor.api import (
    Answer,
    Context,
    CredentialKind,
    Credentials,
    Failure,
    FailureKind,
    Response,
    Scope,
    TokenExchange,
    TokenService,
    scopes,
    token_requests,
    token_server,
    tokens,
)

_MAY_BE_THE_SCHEME = frozenset(
    {
        FailureKind.TLS_NOT_SPOKEN,
        FailureKind.TLS_FAILURE,
        FailureKind.CONNECTION_CLOSED,
        FailureKind.CONNECTION_RESET,
        FailureKind.CONNECTION_REFUSED,
        FailureKind.RESPONSE_MALFORMED,
    }
)
"""Ways in which a request ends that was made with the wrong scheme."""


def ask_for_token(
    service: TokenService, credentials: Credentials, asked: tuple[Scope, ...], context: Context
) -> TokenExchange:
    """The one request to the token server, with credentials where there are any, and the token of its answer."""
    realm = service.realm or ""
    if credentials.kind is CredentialKind.IDENTITY_TOKEN and credentials.secret is not None:
        request = token_requests.refresh_request(realm, service.service, asked, credentials.secret)
    else:
        request = token_requests.token_request(
            realm, service.service, asked, username=credentials.username, password=credentials.secret
        )
    seen = TokenExchange(
        url=request.url,
        method=request.method,
        account=credentials.username if request.carries_credentials else None,
        credential_sent=request.carries_credentials,
        asked=asked,
        request_bytes=request.size,
    )
    from msgspec.structs import replace

    try:
        response = token_server.ask_once(context, request)
    except token_server.CredentialsWithheld as where:
        return replace(
            seen, withheld=str(where), credential_sent=False, other_scheme=_other_scheme(realm, context)
        )
    if isinstance(response, Failure):
        other = _other_scheme(realm, context) if response.kind in _MAY_BE_THE_SCHEME else None
        return replace(seen, failure=response, other_scheme=other)
    if response.answer.status != 200:
        other = _other_scheme(realm, context) if _speaks_tls_instead(response.answer) else None
        return replace(seen, answer=response.answer, other_scheme=other)
    return _with_token(seen, response, context)


def _with_token(seen: TokenExchange, response: Response, context: Context) -> TokenExchange:
    """Reads the token out of an answer with status 200."""
    from msgspec.structs import replace

    read = tokens.parse_token_response(response.body, response.answer.header("content-type"))
    if read.token is None:
        return replace(seen, answer=response.answer, problem=read.problem, html=read.looks_like_html)
    context.conceal(read.token)
    if read.refresh_token is not None:
        context.conceal(read.refresh_token)
    claims = tokens.decode_token(read.token)
    granted = claims.access if claims.states_access else None
    if granted is None and read.scope is not None:
        granted = scopes.parse_scope(read.scope)
    return replace(
        seen,
        answer=response.answer,
        token=read.token,
        claims=claims,
        granted=granted,
        expires_in=read.expires_in,
    )


def _speaks_tls_instead(answer: Answer) -> bool:
    """Whether a plain request was answered with the 400 that TLS ports give (Go ``net/http``, nginx, Apache)."""
    text = answer.body_excerpt.lower()
    return (
        answer.status == 400 and re.search(r"http request.{0,20}to .{0,10}https|plain http", text) is not None
    )


def _other_scheme(realm: str, context: Context) -> Answer | None:
    """What the token server answers to an anonymous look with the other scheme."""
    parts = urlsplit(realm)
    url = parts._replace(scheme="http" if parts.scheme == "https" else "https", query="").geturl()
    response = context.http.request("GET", url, proxy=context.find_proxy(url), verify=False)
    if isinstance(response, Failure) or _speaks_tls_instead(response.answer):
        return None
    return response.answer
