"""What a refusal means for the one who asked: nobody known, the wrong password, a bad token, or no rights.

    who asks      what comes back                                        what it is
    ------------  -----------------------------------------------------  ---------------------------------------
    nobody        Basic challenge; 401 of the token server               credentials are missing
    nobody        403 of the token server, or a token that grants        cannot be told: missing or private
                  nothing, then 401 insufficient_scope
    nobody        the same, but names made up at random are granted,     credentials are missing
                  or a push is wanted
    an account    401 of the token server, or of the registry (Basic)    the credentials are refused
    an account    a token, then 401 invalid_token                        the token is refused
    an account    a token, then 401 as for anonymous requests, also      the Authorization header does not arrive
                  for a malformed token
    an account    a token that grants some actions and not the wanted,   the account lacks the right
                  or 403 that says so, or a push is wanted
    an account    a token that grants nothing here, then 401             cannot be told: missing or forbidden

A push may go to a repository that does not exist yet, so what is not granted there is a lack of rights; for a
pull it may as well be that there is no such repository. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from regdoctor.api import (
    Addresses,
    Answer,
    Certainty,
    Challenge,
    Challenges,
    Connections,
    CredentialKind,
    CredentialProblem,
    Credentials,
    Failure,
    FailureKind,
    Handshakes,
    ProducerKind,
    PullAuthorization,
    Refusal,
    Settings,
    Target,
    TokenExchange,
    TokenService,
    refusals,
    scopes,
)

from . import wording

_REFUSES_THE_LOGIN = re.compile(
    r"token has expired|credentials? (?:have|has) expired|password.{0,20}expired|\binvalid token\b|bad credentials"
    r"|(?:incorrect|invalid) (?:user ?name|password|credentials)",
    re.I,
)
"""A 403 that is about the login itself: Amazon ECR where the password is past its time, GHCR for a bad token."""
_NAMES_THE_RIGHT = re.compile(
    r"permission|not authorized to perform|unauthorized to access repository|insufficient.scope|not allowed"
    r"|access forbidden|does not have|read.only",
    re.I,
)
"""Refusals that are about an action of a known account (Harbor, ECR, GHCR, GitLab, Google)."""
_WANTS_A_LOGIN = re.compile(r"unauthenticated|anonymous|sign in|log ?in", re.I)


@dataclass(frozen=True, kw_only=True)
class AnonymousRefused:
    """Anonymous access was refused; ``why`` is a sentence, ``may_be_missing`` whether a wrong name would do it."""

    why: str
    evidence: tuple[str, ...]
    may_be_missing: bool = False
    certainty: Certainty = Certainty.PROVEN


@dataclass(frozen=True, kw_only=True)
class Lack:
    """Access that is not given to one whose login is fine."""

    code: str
    detail: str
    certainty: Certainty
    evidence: tuple[str, ...]
    fix: tuple[str, ...] = ()


def anonymous_refused(
    target: Target,
    asked: Challenges,
    settings: Settings,
    exchange: TokenExchange | None,
    refusal: Refusal | None,
) -> AnonymousRefused | None:
    """Why anonymous access is not enough here, or None where it is, or where something else failed."""
    open_ping = refused_behind_open_ping(asked, refusal)
    if open_ping is not None and not asked.wanted:
        return AnonymousRefused(
            why=f"{wording.line(open_ping)} without credentials{wording.quoted(open_ping)}.",
            evidence=(open_ping.exchange,),
        )
    if not asked.wanted:
        return None
    if exchange is None:
        if asked.of("basic") is None:
            return None
        return AnonymousRefused(
            why=f"{wording.line(asked.answer)}: the registry wants user name and password (Basic).",
            evidence=(asked.answer.exchange,),
        )
    answer = exchange.answer
    if answer is None or wording.exceeds_limit(answer):
        return None
    pushing = settings.push and target.repository is not None
    if answer.status == 401 or is_denial(answer):
        return AnonymousRefused(
            why=f"The token server gives anonymous clients nothing: {wording.line(answer)}"
            f"{wording.quoted(answer)}.",
            evidence=(answer.exchange,),
            may_be_missing=answer.status == 403
            and target.repository is not None
            and not pushing
            and not _WANTS_A_LOGIN.search(answer.body_excerpt),
        )
    if exchange.token is None:
        return None
    if pushing and lacks(exchange, "push"):
        return AnonymousRefused(
            why=f"The token that anonymous clients get grants {_granted(exchange)} on {target.repository}, "
            "and no push.",
            evidence=(answer.exchange, "token-exchange"),
        )
    if refusal is None or target.repository is None or not _is_about_rights(exchange, refusal):
        return None
    others = _grants_others(refusal)
    says_so = refusal.answer.status == 403 and _WANTS_A_LOGIN.search(refusal.answer.body_excerpt) is not None
    hint = " Strangers may pull other names here, and not this one." if others else ""
    return AnonymousRefused(
        why=f"{wording.line(refusal.answer)} with an anonymous token{wording.quoted(refusal.answer)}.{hint}",
        evidence=(refusal.answer.exchange, "token-exchange"),
        may_be_missing=not (others or says_so),
    )


def refused_behind_open_ping(asked: Challenges, refusal: Refusal | None) -> Answer | None:
    """The 401 of a registry whose ``/v2/`` asks for nothing; None where it does, or where nothing is refused."""
    if asked.at_ping:
        return None
    if asked.wanted:
        return asked.answer
    return refusal.answer if refusal is not None and refusal.answer.status == 401 else None


def rejected_behind_open_ping(credentials: Credentials, refusal: Refusal | None) -> tuple[Answer, str] | None:
    """The answer that refuses credentials which were sent although ``/v2/`` did not ask for them."""
    if refusal is None or not credentials.found:
        return None
    if refusal.login is not None and refusal.login.answer is not None and refusal.login.answer.status == 401:
        return refusal.login.answer, "The token server"
    if refusal.after_login is not None and refusal.after_login.status == 401 and refusal.login is None:
        return refusal.after_login, "The registry"
    return None


def helper_was_to_know(credentials: Credentials) -> bool:
    """Whether a helper that has nothing for this host is named for this very host."""
    return credentials.helper is not None and credentials.helper.setting.startswith("credHelpers")


def unusable(credentials: Credentials) -> tuple[CredentialProblem, ...]:
    """What is wrong with entries for this registry that clients therefore do not send."""
    host = credentials.key.removeprefix("https://").partition("/")[0]
    return tuple(each for each in credentials.problems if not each.used and each.key and host in each.key)


def rejection(
    credentials: Credentials,
    service: TokenService | None,
    exchange: TokenExchange | None,
    authorization: PullAuthorization | None,
    refusal: Refusal | None,
) -> tuple[Answer, str] | None:
    """The answer that refuses the credentials themselves, and who gave it; None where they were not refused."""
    if exchange is not None and exchange.credential_sent and exchange.answer is not None:
        answer = exchange.answer
        if wording.exceeds_limit(answer):
            return None
        refused = answer.status == 401 or (exchange.method == "POST" and answer.status == 400)
        spoken = answer.status == 403 and _REFUSES_THE_LOGIN.search(answer.body_excerpt) is not None
        if refused or spoken or (is_denial(answer) and not exchange.asked):
            host = wording.token_host(service) if service is not None else "the token server"
            return answer, f"The token server {host}"
        return None
    if authorization is None or refusal is None:
        return None
    answer = refusal.answer
    if refusal.direct is not None and refusal.direct.status == 200:
        return None
    if answer.status == 403 and _REFUSES_THE_LOGIN.search(answer.body_excerpt) is not None:
        return answer, "The registry"
    if answer.status != 401:
        return None
    if authorization.kind == "basic" and (refusal.at_root is None or refusal.at_root.status == 401):
        return answer, "The registry"
    if authorization.kind == "bearer" and credentials.kind is CredentialKind.REGISTRY_TOKEN:
        return answer, "The registry"
    return None


def is_denial(answer: Answer) -> bool:
    """Whether a 403 is the server's own word on rights, and not a page of a proxy, firewall or CDN."""
    return (
        answer.status == 403
        and not wording.said(answer).looks_like_html
        and answer.producer.kind not in (ProducerKind.FORWARD_PROXY, ProducerKind.CDN)
    )


def is_about_rights(answer: Answer) -> bool:
    """Whether rights are what a registry refuses content for: a 403 may be a firewall's, or a policy's."""
    if refusals.reason(answer.body_excerpt) is not None:
        return False
    return answer.status == 401 or (answer.status == 403 and answer.producer.kind is ProducerKind.REGISTRY)


def judged_otherwise(exchange: TokenExchange, answer: Answer) -> bool:
    """Whether an error of the token server is about who asked, how often, or the size of the request."""
    refused = exchange.method == "POST" and answer.status == 400
    too_often = answer.status == 429 or "TOOMANYREQUESTS" in wording.said(answer).codes
    return answer.status == 401 or is_denial(answer) or refused or too_often or wording.exceeds_limit(answer)


def lacks(exchange: TokenExchange, action: str) -> bool:
    """Whether the token says that it does not grant an action that was asked for."""
    return exchange.granted is not None and any(
        action in scopes.missing_actions(exchange.granted, scope) for scope in exchange.asked
    )


def header_lost(asked: Challenges, authorization: PullAuthorization, refusal: Refusal) -> Certainty | None:
    """How surely the ``Authorization`` header does not arrive; None where nothing speaks for it.

    A password that the registry itself accepts and that is refused through the proxy did not arrive. A registry
    that sees a malformed token says so (RFC 6750 section 3.1); here it is answered exactly as no token at all.
    Plain distribution, known by the detail of its 401, always says so.
    """
    if refusal.direct is not None and refusal.answer.status == 401:
        return Certainty.PROVEN if refusal.direct.status == 200 else None
    malformed, anonymous = refusal.malformed, refusal.anonymous
    if authorization.kind != "bearer" or malformed is None or anonymous is None or refusal.error is not None:
        return None
    if (malformed.status, anonymous.status) != (401, 401):
        return None
    if malformed.body_excerpt != anonymous.body_excerpt or any(
        each.error for each in refusal.malformed_challenges
    ):
        return None
    first = asked.of("bearer")
    for seen in (refusal.challenges, refusal.malformed_challenges):
        if first is None or not any(_same_service(first, each) for each in seen):
            return None
    if wording.by_distribution(malformed):
        return Certainty.PROVEN
    return Certainty.LIKELY if wording.proxy_in_front(refusal.answer) is not None else None


def _same_service(one: Challenge, other: Challenge) -> bool:
    return (one.scheme, one.realm) == (other.scheme, other.realm)


def token_refused(
    asked: Challenges, exchange: TokenExchange, authorization: PullAuthorization, refusal: Refusal
) -> bool:
    """Whether the token itself is refused, not what it may do."""
    if authorization.kind != "bearer" or refusal.answer.status != 401:
        return False
    if header_lost(asked, authorization, refusal) is not None:
        return False
    if refusal.error is not None:
        return refusal.error == "invalid_token"
    if exchange.asked:
        return authorization.scope_granted is True
    return exchange.credential_sent


def _is_about_rights(exchange: TokenExchange | None, refusal: Refusal) -> bool:
    """Whether a refusal for a repository is about rights, as far as the answer says."""
    if refusal.answer.status == 403:
        body = refusal.answer.body_excerpt
        if _REFUSES_THE_LOGIN.search(body) or refusals.reason(body) is not None:
            return False
        return is_denial(refusal.answer)
    if refusal.answer.status != 401:
        return False
    if refusal.error is not None:
        return refusal.error == "insufficient_scope"
    return exchange is None or exchange.granted is None or not scopes.covers(exchange.granted, exchange.asked)


def _granted(exchange: TokenExchange) -> str:
    """What a token grants on the repository that was asked for, in words."""
    names = {scope.name for scope in exchange.asked}
    actions = [action for scope in exchange.granted or () if scope.name in names for action in scope.actions]
    return ", ".join(dict.fromkeys(actions)) or "nothing"


def _grants_others(refusal: Refusal) -> bool:
    """Whether the same asker gets pull for a name that was made up at random."""
    wider = refusal.wider
    return (
        wider is not None
        and refusal.control is not None
        and scopes.covers(wider.granted or (), [scopes.repository_scope(refusal.control, "pull")])
    )


def _grants_something(repository: str, *exchanges: TokenExchange | None) -> tuple[str, ...]:
    """The actions that any of these tokens grants on the repository."""
    return tuple(
        dict.fromkeys(
            action
            for exchange in exchanges
            for scope in (exchange.granted if exchange is not None else None) or ()
            if (scope.type, scope.name) == ("repository", repository)
            for action in scope.actions
        )
    )


def _granted_elsewhere(repository: str, exchange: TokenExchange) -> tuple[str, ...]:
    """Other repositories on which the token grants something, where it grants nothing on the one asked for."""
    granted = [scope for scope in exchange.granted or () if scope.type == "repository" and scope.actions]
    names = dict.fromkeys(scope.name for scope in granted)
    return () if repository in names else tuple(names)


def lack_of_rights(
    target: Target,
    asked: Challenges,
    credentials: Credentials,
    settings: Settings,
    service: TokenService | None,
    exchange: TokenExchange | None,
    authorization: PullAuthorization | None,
    refusal: Refusal | None,
) -> Lack | None:
    """What is not granted to one whose login is fine, or None."""
    repository = target.repository
    if repository is None or not asked.wanted:
        return None
    pushing = settings.push
    if exchange is not None and exchange.answer is not None and is_denial(exchange.answer):
        if rejection(credentials, service, exchange, authorization, refusal) is not None:
            return None
        return _denied_by_token_server(repository, credentials, exchange, exchange.answer, pushing=pushing)
    if exchange is not None and exchange.token is not None and pushing and lacks(exchange, "push"):
        return _no_push(repository, exchange)
    if refusal is None or authorization is None or not _is_about_rights(exchange, refusal):
        return None
    if header_lost(asked, authorization, refusal) is not None:
        return None
    if authorization.kind == "bearer" and exchange is not None:
        return _denied_with_token(repository, exchange, refusal, credentials)
    if authorization.kind == "basic":
        return _denied_with_password(repository, credentials, refusal)
    return None


def _denied_by_token_server(
    repository: str, credentials: Credentials, exchange: TokenExchange, answer: Answer, *, pushing: bool
) -> Lack | None:
    seen = f"{wording.line(answer)} for {wording.account(exchange)}{wording.quoted(answer)}."
    evidence = (answer.exchange,)
    names_it = _NAMES_THE_RIGHT.search(answer.body_excerpt) is not None
    if exchange.credential_sent and (pushing or names_it):
        return Lack(
            code="auth/scope-denied",
            detail=f"The token server gives {wording.account(exchange)} no token for {repository}: {seen}",
            certainty=Certainty.PROVEN if names_it else Certainty.LIKELY,
            evidence=evidence,
        )
    if pushing or (not exchange.credential_sent and _WANTS_A_LOGIN.search(answer.body_excerpt)):
        return None
    seen = f"The token server gives no token for {repository}: {seen}"
    return _hidden(repository, credentials.key, exchange, seen, evidence)


def _no_push(repository: str, exchange: TokenExchange) -> Lack | None:
    if not exchange.credential_sent:
        return None
    evidence = (*([exchange.answer.exchange] if exchange.answer is not None else []), "token-exchange")
    return Lack(
        code="auth/scope-denied",
        detail=f"The token that {wording.account(exchange)} gets for {repository} grants {_granted(exchange)} "
        "and not push, which was asked for. The token server does not call that an error; the registry then "
        "refuses the upload.",
        certainty=Certainty.PROVEN,
        evidence=evidence,
    )


def _denied_with_token(
    repository: str, exchange: TokenExchange, refusal: Refusal, credentials: Credentials
) -> Lack | None:
    answer = refusal.answer
    seen = f"{wording.line(answer)} with a token of {wording.account(exchange)}{wording.quoted(answer)}."
    evidence = (answer.exchange, "token-exchange")
    if not exchange.credential_sent:
        if _grants_others(refusal) or (answer.status == 403 and _WANTS_A_LOGIN.search(answer.body_excerpt)):
            return None
        return _hidden(repository, credentials.key, exchange, seen, evidence)
    others = _granted_elsewhere(repository, exchange)
    if others:
        told = (
            f"The token was asked for {repository}, and it grants rights on {', '.join(others[:3])} instead: the "
            "token server, or a hop before it, changes the name."
        )
        return Lack(
            code="auth/scope-denied", detail=f"{seen} {told}", certainty=Certainty.PROVEN, evidence=evidence
        )
    some = _grants_something(repository, exchange, refusal.wider)
    if some:
        told = (
            f"The token server grants it {', '.join(some)} on {repository}, so the repository is known, and pull "
            "is not given."
        )
        return Lack(
            code="auth/scope-denied", detail=f"{seen} {told}", certainty=Certainty.PROVEN, evidence=evidence
        )
    if _grants_others(refusal):
        told = (
            f"For a name made up at random ({refusal.control}) it gets pull, so it is kept out of {repository} on "
            "purpose."
        )
        return Lack(
            code="auth/scope-denied", detail=f"{seen} {told}", certainty=Certainty.PROVEN, evidence=evidence
        )
    if _NAMES_THE_RIGHT.search(answer.body_excerpt):
        return Lack(code="auth/scope-denied", detail=seen, certainty=Certainty.LIKELY, evidence=evidence)
    return _hidden(repository, credentials.key, exchange, seen, evidence)


def _denied_with_password(repository: str, credentials: Credentials, refusal: Refusal) -> Lack | None:
    answer, root = refusal.answer, refusal.at_root
    who = wording.origin(credentials)
    if answer.status == 401 and (root is None or root.status != 200):
        return None
    accepted = f" At /v2/ the same login is accepted ({root.status})." if root is not None else ""
    return Lack(
        code="auth/scope-denied",
        detail=f"{wording.line(answer)} for {who}{wording.quoted(answer)}.{accepted} It may not "
        f"pull {repository}.",
        certainty=Certainty.PROVEN if answer.status == 403 else Certainty.LIKELY,
        evidence=(answer.exchange, *([root.exchange] if root is not None else [])),
    )


def _hidden(
    repository: str, login: str, exchange: TokenExchange, seen: str, evidence: tuple[str, ...]
) -> Lack:
    """Nothing is granted, and nothing shows whether the repository exists.

    An account that is logged in lacks the right, whatever else may be wrong; a stranger cannot know even that.
    """
    if exchange.credential_sent:
        account = wording.account(exchange)
        return Lack(
            code="auth/scope-denied",
            detail=f"{seen} The login of {account} is accepted, and its token grants nothing on {repository}. "
            f"If there is no repository {repository} at all, the registry answers just the same.",
            certainty=Certainty.LIKELY,
            evidence=evidence,
        )
    return Lack(
        code="auth/existence-hidden",
        detail=f"{seen} No login was sent, for none is stored. Either there is no repository {repository}, or it "
        "is private: the registry answers the same to both, and logging in would tell.",
        certainty=Certainty.POSSIBLE,
        evidence=evidence,
        fix=(f"log in, which also decides between the two: docker login {login}",),
    )


def certificate_of_another(handshakes: Handshakes | None) -> str | None:
    """The names of a certificate that does not fit the host, in words; None where it does, or none was seen."""
    for handshake in handshakes.handshakes if handshakes is not None else ():
        if handshake.name_matches is False and handshake.chain:
            leaf = handshake.chain[0]
            names = ", ".join((*leaf.dns_names, *leaf.ip_addresses)[:6])
            return f"it names {names}" if names else "it has no subject alternative name"
    return None


def why_unreachable(
    failure: Failure,
    addresses: Addresses | None,
    connections: Connections | None,
    handshakes: Handshakes | None,
) -> tuple[str, tuple[str, ...]]:
    """The step at which the way to a host ends, and why, in words; and the facts that show it."""
    if failure.kind in (FailureKind.PROXY_REFUSED, FailureKind.PROXY_UNREACHABLE):
        return failure.message, ("proxy-answer",)
    if addresses is not None and addresses.failure is not None:
        return f"its name does not resolve ({addresses.failure.message})", ("addresses",)
    if connections is not None and connections.attempts and not connections.open_addresses:
        tries = "; ".join(
            f"{each.address} port {each.port}: {each.failure.message}"
            for each in connections.attempts[:3]
            if each.failure is not None
        )
        return f"no connection opens ({tries})", ("connections",)
    for handshake in handshakes.handshakes if handshakes is not None else ():
        if handshake.failure is not None:
            return f"the TLS handshake fails ({handshake.failure.message})", ("handshakes",)
        for verification in handshake.verifications[:1]:
            if verification.errors:
                names = ", ".join(dict.fromkeys(each.name for each in verification.errors))
                return f"its certificate is not trusted here ({names})", ("handshakes",)
    return failure.message, ()
