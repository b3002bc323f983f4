"""Finds out who may do what: by tokens, which say what they grant, and by requests that change nothing.

What only a change would show (a push where tokens say nothing) stays open, unless ``--push`` has shown it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from regdoctor.api import (
    Answer,
    Challenges,
    Context,
    CredentialKind,
    Credentials,
    Endpoint,
    Failure,
    ManifestLook,
    Permission,
    ProducerKind,
    Product,
    PullAuthorization,
    Response,
    Scope,
    Secret,
    Target,
    TokenExchange,
    TokenService,
    UploadSession,
    Vendor,
    manifests,
    once,
    scopes,
    side_by_side,
    token_requests,
)

from . import access, wording
from .exchanging import ask_for_token

ACTIONS_ON_REPOSITORIES = ("pull", "push", "delete")
CATALOG = Scope(type="registry", name="catalog", actions=("*",))
"""distribution, ``docs/content/spec/auth/scope.md``."""
_NEVER_LISTS = (Vendor.DOCKER_HUB, Vendor.GHCR)
_ONLY_A_PUSH = "only an upload would show (--push)"
_SWITCHED_OFF = 405
_LONG_HEX = re.compile(r"([0-9a-f]{12})[0-9a-f]{20,}")


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Asks on behalf of one who asks: an anonymous client, or the account that was found."""

    endpoint: Endpoint
    target: Target
    asked: Challenges
    service: TokenService | None
    product: Product | None
    manifest: ManifestLook | None
    session: UploadSession | None
    authorization: PullAuthorization | None
    context: Context

    def both(
        self, credentials: Credentials, exchange: TokenExchange | None
    ) -> tuple[tuple[Permission, ...], tuple[Permission, ...]]:
        """What anonymous clients may do, and what the account may; the latter empty where there is none."""
        nobody = Credentials(key=credentials.key)
        known = credentials.found and self.asked.wanted
        askers = [(nobody, not known)]
        if known:
            askers.append((credentials, True))
        results = side_by_side(
            lambda each: tuple(self._permissions(each[0], exchange, current=each[1])), askers
        )
        return results[0], results[1] if known else ()

    def _permissions(
        self, credentials: Credentials, exchange: TokenExchange | None, *, current: bool
    ) -> Iterator[Permission]:
        """``current`` marks the one whose access the rest of the run has used."""
        stop = self._turned_away(exchange) if current and credentials.found else None
        if stop is not None:
            for action in (*ACTIONS_ON_REPOSITORIES, "catalog"):
                yield Permission(action=action, allowed=stop[0], why=stop[1])
            return
        # Neither needs the other's answers, and far registries take their time for each.
        looks: tuple[Callable[[], tuple[Permission, ...]], ...] = (
            lambda: tuple(self._on_repository(credentials, current=current)),
            lambda: (self._catalog(credentials),),
        )
        for permissions in side_by_side(lambda look: look(), looks):
            yield from permissions

    def _on_repository(self, credentials: Credentials, *, current: bool) -> Iterator[Permission]:
        granted = self._token(credentials, self._repository_scope()) if self._wants_tokens else None
        for action in ACTIONS_ON_REPOSITORIES:
            seen = self._seen(action) if current else None
            yield seen or self._by_access(action, credentials, granted, current=current)

    @property
    def _wants_tokens(self) -> bool:
        return self.asked.wanted and self.asked.of("bearer") is not None

    def _repository_scope(self) -> tuple[Scope, ...]:
        repository = self.target.repository
        return (scopes.repository_scope(repository, *ACTIONS_ON_REPOSITORIES),) if repository else ()

    def _turned_away(self, exchange: TokenExchange | None) -> tuple[bool | None, str] | None:
        """Why nothing is asked with the account's credentials: a refused login is never tried again."""
        if exchange is not None and exchange.token is None and self._wants_tokens:
            if exchange.withheld is not None:
                return None, f"the login was not sent over plain HTTP to {exchange.withheld}"
            if exchange.answer is not None and exchange.answer.status == 401:
                return False, "the token server refuses the login"
            return None, "the token server gave no token"
        if self._wants_tokens or self.authorization is None:
            return None if self.authorization is not None else (None, "the login was not sent")
        answer = self._first_answer()
        if answer is not None and answer.status == 401:
            return False, f"{_request(answer)} was answered 401 with the login"
        return None

    def _first_answer(self) -> Answer | None:
        """What the registry said to the first request with the access that was obtained."""
        if self.target.reference is not None:
            return self.manifest.answer if self.manifest is not None else None
        return self.authorization.answer if self.authorization is not None else None

    # by what was done

    def _seen(self, action: str) -> Permission | None:
        """What the rest of the run has shown for the one whose access it used."""
        session = self.session
        if action == "pull":
            answer = self.manifest.answer if self.manifest is not None else None
            return _by_answer(action, answer)
        if session is None:
            return None
        if action == "push":
            return _by_answer(action, session.start.answer)
        answer = session.deletion.answer if session.deletion is not None else None
        if answer is not None and answer.status == _SWITCHED_OFF:
            why = f"{_request(answer)} was answered 405: the registry does not delete for anybody"
            return Permission(action=action, allowed=False, why=why, exchange=answer.exchange)
        return _by_answer(action, answer)

    # by what is granted

    def _by_access(
        self, action: str, credentials: Credentials, granted: TokenExchange | None, *, current: bool
    ) -> Permission:
        if granted is not None:
            found = self._by_token(action, granted)
        elif not self.asked.wanted:
            found = self._by_openness(action)
        elif not credentials.found:
            answer = self.asked.answer
            why = f"{_request(answer)} was answered 401 without a login"
            found = Permission(action=action, allowed=False, why=why, exchange=answer.exchange)
        else:
            found = Permission(action=action, allowed=None, why=_untold(action))
        if action == "pull" and found.allowed is None and not current:
            return self._try_pull(granted) or found
        return found

    def _by_token(self, action: str, got: TokenExchange) -> Permission:
        exchange = got.answer.exchange if got.answer is not None else None
        if got.token is None:
            refused = got.answer is not None and (got.answer.status == 401 or access.is_denial(got.answer))
            why = (
                f"the token server answered {got.answer.status}"
                if got.answer is not None
                else "no token came"
            )
            return Permission(action=action, allowed=False if refused else None, why=why, exchange=exchange)
        if not got.asked:
            why = "rights are those on a repository, and none was named"
            return Permission(action=action, allowed=None, why=why)
        if got.granted is None:
            why = f"the token does not say what it grants; {_untold(action)}"
            return Permission(action=action, allowed=None, why=why, exchange=exchange)
        allowed = not any(action in scopes.missing_actions(got.granted, scope) for scope in got.asked)
        why = f"the token grants {_granted(got)}"
        return Permission(action=action, allowed=allowed, why=why, exchange=exchange)

    def _by_openness(self, action: str) -> Permission:
        answer = self.asked.repository or self.asked.answer
        if answer.status in (401, 403):
            return Permission(
                action=action,
                allowed=False,
                why=f"{_request(answer)} was answered {answer.status} without a login",
                exchange=answer.exchange,
            )
        if action == "pull":
            what = "a repository of a random name" if self.asked.repository is not None else "/v2/"
            why = f"{what} was answered {answer.status} without a login"
            return Permission(action=action, allowed=True, why=why, exchange=answer.exchange)
        return Permission(action=action, allowed=None, why=f"no login is asked for; {_untold(action)}")

    def _try_pull(self, granted: TokenExchange | None) -> Permission | None:
        """HEAD of the manifest, which costs no quota, by one who is not the one of the rest of the run."""
        reference = self.target.reference
        if reference is None:
            return None
        header = (
            token_requests.bearer_authorization(granted.token)
            if granted is not None and granted.token is not None
            else None
        )
        url = f"{self.endpoint.url}/v2/{reference.repository}/manifests/{reference.reference}"
        got = self._send("HEAD", url, header)
        return _by_answer("pull", got.answer if isinstance(got, Response) else None)

    # the catalog

    def _catalog(self, credentials: Credentials) -> Permission:
        product = self.product.vendor if self.product is not None else None
        if product in _NEVER_LISTS:
            return Permission(action="catalog", allowed=False, why=f"{product} never lists its repositories")
        header: Secret | None = None
        if self._wants_tokens and credentials.kind is CredentialKind.REGISTRY_TOKEN:
            header = self.authorization.header if self.authorization is not None else None
        elif self._wants_tokens:
            got = self._token(credentials, (CATALOG,))
            if got is None or got.token is None:
                refused = got is not None and got.answer is not None and got.answer.status in (401, 403)
                why = "the token server gives no token for it"
                return Permission(action="catalog", allowed=False if refused else None, why=why)
            header = token_requests.bearer_authorization(got.token)
        elif self.asked.wanted and credentials.found and self.authorization is not None:
            header = self.authorization.header
        got_list = self._send("GET", f"{self.endpoint.url}/v2/_catalog?n=1", header)
        return _by_list(got_list)

    # what both need

    def _token(self, credentials: Credentials, asked: tuple[Scope, ...]) -> TokenExchange | None:
        if self.service is None or self.service.host is None:
            return None
        if credentials.kind is CredentialKind.REGISTRY_TOKEN:
            return None
        return ask_for_token(self.service, credentials, asked, self.context)

    def _send(self, method: str, url: str, header: Secret | None) -> Response | Failure:
        """One request of the run, however many targets want to know; never a login over plain HTTP."""
        context = self.context
        if header is not None:
            context.conceal(header)
            if not context.http.may_carry_credentials(self.endpoint.url):
                header = None
        accept = (("Accept", ", ".join(manifests.ACCEPTED_MANIFESTS)),) if method == "HEAD" else ()
        key = (method, url, header.reveal() if header is not None else None)
        return once.ask_once(
            context,
            key,
            lambda: context.http.request(
                method, url, headers=accept, authorization=header, proxy=self.endpoint.proxy
            ),
        )


def _untold(action: str) -> str:
    return _ONLY_A_PUSH if action != "pull" else "the image was not read"


def _granted(got: TokenExchange) -> str:
    names = {scope.name for scope in got.asked}
    actions = [action for scope in got.granted or () if scope.name in names for action in scope.actions]
    return ", ".join(dict.fromkeys(actions)) or "nothing"


def _request(answer: Answer) -> str:
    """The request without host and query, its digests cut."""
    path = answer.url.partition("://")[2].partition("/")[2].partition("?")[0]
    shown = _LONG_HEX.sub(r"\1…", path)
    return f"{answer.method} /{shown}"


def _by_answer(action: str, answer: Answer | None) -> Permission | None:
    """What an answer to the request itself shows; None for one that is about something else."""
    if answer is None:
        return None
    allowed: bool | None = None
    if 200 <= answer.status < 400:
        allowed = True
    elif answer.status == 401 or access.is_denial(answer):
        allowed = False
    elif answer.status == 404 and wording.by_registry(answer) and action == "pull":
        allowed = True
    if allowed is None:
        return None
    why = f"{_request(answer)} was answered {answer.status}"
    return Permission(action=action, allowed=allowed, why=why, exchange=answer.exchange)


def _by_list(got: Response | Failure) -> Permission:
    if isinstance(got, Failure):
        why = f"GET /v2/_catalog was not answered: {got.message}"
        return Permission(action="catalog", allowed=None, why=why)
    answer = got.answer
    why = f"GET /v2/_catalog was answered {answer.status}"
    allowed = None
    if answer.status == 200:
        allowed = True if _is_list(got.body) else None
    elif answer.status in (401, 403, 404, 405) and answer.producer.kind is not ProducerKind.CDN:
        allowed = False
    return Permission(action="catalog", allowed=allowed, why=why, exchange=answer.exchange)


def _is_list(body: bytes) -> bool:
    try:
        page = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(page, dict) and "repositories" in page
