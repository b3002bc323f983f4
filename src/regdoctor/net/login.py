"""Gets the ``Authorization`` for a repository by answering a registry's challenge.

For questions beside the main one: another repository of the same registry, or the upstream of a cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regdoctor.facts.base import Failure
from regdoctor.facts.http import Answer
from regdoctor.net import token_server
from regdoctor.oci.challenge import Challenge, realm_syntax_problem
from regdoctor.oci.scope import repository_scope
from regdoctor.oci.token import parse_token_response
from regdoctor.oci.token_request import (
    basic_authorization,
    bearer_authorization,
    refresh_request,
    token_request,
)
from regdoctor.secret import Secret

if TYPE_CHECKING:
    from regdoctor.context import Context


@dataclass(frozen=True, kw_only=True)
class Login:
    """What came of it. ``scheme`` is ``bearer``, ``basic`` or None where no login is asked for.

    ``header`` is None where nothing is to be sent, and also where ``problem`` says why there is nothing.
    """

    scheme: str | None
    header: Secret | None = None
    token: Answer | None = None
    """The token server's answer."""
    credentials_sent: bool = False
    problem: str | None = None
    withheld: str | None = None
    """Where a password was not sent, because it would have gone over an unprotected connection."""


def log_in(
    context: Context,
    url: str,
    challenges: Sequence[Challenge],
    repository: str | None,
    *,
    username: str | None = None,
    password: Secret | None = None,
    identity_token: Secret | None = None,
) -> Login:
    """Answers the challenges that came from ``url`` as clients do: Bearer before Basic.

    Without a password a token is asked for anonymously. The secrets that come up are concealed.
    """
    bearer = next((each for each in challenges if each.scheme == "bearer"), None)
    if bearer is not None:
        return _bearer(context, url, bearer, repository, username, password, identity_token)
    if any(each.scheme == "basic" for each in challenges):
        if not username or password is None:
            return Login(scheme="basic", problem="it asks for user name and password, and none are set")
        if not context.http.may_carry_credentials(url):
            return Login(scheme="basic", withheld=url)
        header = basic_authorization(username, password)
        context.conceal(header)
        return Login(scheme="basic", header=header, credentials_sent=True)
    if challenges:
        return Login(scheme=None, problem="it asks for a login in a way that no client can answer")
    return Login(scheme=None)


def _bearer(
    context: Context,
    url: str,
    challenge: Challenge,
    repository: str | None,
    username: str | None,
    password: Secret | None,
    identity_token: Secret | None,
) -> Login:
    problem = realm_syntax_problem(challenge.realm, url)
    if problem is not None or challenge.realm is None:
        return Login(scheme="bearer", problem=problem or "its challenge names no token server")
    asked = [repository_scope(repository, "pull")] if repository is not None else []
    if identity_token is not None:
        request = refresh_request(challenge.realm, challenge.service, asked, identity_token)
    else:
        request = token_request(
            challenge.realm, challenge.service, asked, username=username, password=password
        )
    sent = request.carries_credentials
    try:
        got = token_server.ask_once(context, request)
    except token_server.CredentialsWithheld as where:
        return Login(scheme="bearer", withheld=str(where))
    if isinstance(got, Failure):
        problem = f"its token server cannot be asked: {got.message}"
        return Login(scheme="bearer", credentials_sent=sent, problem=problem)
    answer = got.answer
    if answer.status != 200:
        problem = f"its token server answers {answer.status}"
        return Login(scheme="bearer", token=answer, credentials_sent=sent, problem=problem)
    read = parse_token_response(got.body, answer.header("content-type"))
    if read.token is None:
        problem = f"its token server gives no token: {read.problem}"
        return Login(scheme="bearer", token=answer, credentials_sent=sent, problem=problem)
    header = bearer_authorization(read.token)
    context.conceal(read.token)
    context.conceal(header)
    return Login(scheme="bearer", header=header, token=answer, credentials_sent=sent)
