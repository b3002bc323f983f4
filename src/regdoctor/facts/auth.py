"""Facts about authentication: what is asked for, which credentials there are, and what answers them.

Secrets stand in these facts as :class:`regdoctor.secret.Secret` only, which is written as ``***``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final

import msgspec

from regdoctor.facts.base import Cell, Discovery, Endpoint, Fact, Failure, Role, Table, TableFact
from regdoctor.facts.http import Answer
from regdoctor.oci.challenge import Challenge
from regdoctor.oci.scope import Scope
from regdoctor.oci.token import TokenClaims
from regdoctor.secret import Secret


class Challenges(Fact, frozen=True, kw_only=True):
    """What the registry asks an anonymous client for.

    ``answer`` is where the challenges come from: the answer at ``/v2/``, or, for a bare registry whose ``/v2/``
    asks for nothing, that for a repository. ``challenges`` is empty where neither asks for anything, or where a
    401 comes without a challenge.
    """

    answer: Answer
    challenges: tuple[Challenge, ...]
    at_ping: bool
    """Whether ``/v2/`` answered 401: docker and podman learn there alone what to send."""
    ping_status: int
    ping_exchange: str
    repository: Answer | None = None
    """The anonymous look below a repository of a random name, where a bare registry's ``/v2/`` is open."""

    @property
    def wanted(self) -> bool:
        """Whether an anonymous client was turned away with a 401."""
        return self.answer.status == 401

    def of(self, scheme: str) -> Challenge | None:
        """The first challenge of a scheme, by its name in lower case."""
        return next((each for each in self.challenges if each.scheme == scheme), None)


class TokenService(Discovery, frozen=True, kw_only=True):
    """The token server that a Bearer challenge names.

    ``host`` is None where its realm is unusable, for which ``problem`` gives the reason. ``endpoints`` holds it
    where it is another host, port or scheme than the registry's own: the way to that one is known.
    """

    discovers: ClassVar[Role] = Role.TOKEN_SERVER

    realm: str | None
    service: str | None = None
    host: Endpoint | None = None
    problem: str | None = None
    downgrades: bool = False
    """Whether the registry is asked over https and the realm is an http URL."""


class CredentialKind(StrEnum):
    """What is stored for a registry."""

    PASSWORD = "password"  # noqa: S105 - the kind's name
    IDENTITY_TOKEN = "identity-token"  # noqa: S105
    REGISTRY_TOKEN = "registry-token"  # noqa: S105


class CredentialNearMiss(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was surely meant for this registry and is not found by clients."""

    place: str
    """The file, and the line where it is known."""
    key: str
    why: str
    """How it differs from what clients look up."""
    username: str | None = None


class CredentialProblem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with an entry for this registry, or with a file as a whole."""

    place: str
    message: str
    key: str | None = None
    """The entry; null where the whole file cannot be used."""
    used: bool = False
    """Whether clients send the entry nevertheless (a newline at the end of a password)."""
    malformed: bool = False
    """Whether the whole file was read, and is not what the client's file has to be."""


class HelperOutcome(StrEnum):
    """How a call of a credential helper ended."""

    FOUND = "found"
    NOT_FOUND = "not-found"
    MISSING = "missing"
    FAILED = "failed"
    TIMEOUT = "timeout"


class HelperCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of ``docker-credential-NAME get`` (docker-credential-helpers protocol)."""

    program: str
    setting: str
    """What names it: ``credsStore``, ``credHelpers["HOST"]`` or ``credential-helpers``."""
    place: str
    """The file that names it."""
    server: str
    """What it was asked for."""
    outcome: HelperOutcome
    message: str = ""
    """Its output where it failed, redacted."""


class Credentials(TableFact, frozen=True, kw_only=True):
    """Which credentials clients on this host would use for the registry, and how they were looked up.

    ``kind`` is None where none were found. ``username`` is shown, the secret never.
    """

    key: str
    """What is looked up: ``host[:port]`` as in image names, or Docker Hub's key."""
    kind: CredentialKind | None = None
    username: str | None = None
    secret: Secret | None = None
    source: str | None = None
    """Where they come from: ``--username``, a file, a helper program, an environment variable."""
    stored_as: str | None = None
    """The key of the entry, where it is not from the command line."""
    looked_in: tuple[str, ...] = ()
    """Every place that was looked into, in order, the missing ones included."""
    near_misses: tuple[CredentialNearMiss, ...] = ()
    problems: tuple[CredentialProblem, ...] = ()
    helper: HelperCall | None = None
    shadowed: tuple[CredentialNearMiss, ...] = ()
    """Entries that would be used if no helper were asked in place of the file."""

    @property
    def found(self) -> bool:
        """Whether there is anything to send."""
        return self.kind is not None

    def table(self) -> Table | None:
        """Which entry of which file is used, and which are not, and why; None where nothing is stored."""
        rows: list[tuple[Cell, Cell, Cell, Cell]] = []
        if self.found:
            where = Cell(text="", notes=(self.source,) if self.source else ())
            rows.append(
                (Cell(text="used"), Cell(text=self.stored_as or ""), Cell(text=self.username or ""), where)
            )
        for title, misses in (("behind a helper", self.shadowed), ("not used", self.near_misses)):
            rows += [_row(title, each.key, each.username, each.place, each.why) for each in misses]
        for problem in self.problems:
            title = "damaged, used" if problem.used else "unusable"
            rows.append(_row(title, problem.key, None, problem.place, problem.message))
        call = self.helper
        if call is not None and call.outcome is not HelperOutcome.FOUND:
            why = f"{call.program} ({call.setting}): {call.outcome.value}"
            rows.append(_row("helper", call.server, None, call.place, why))
        columns = ("what", "entry", "user", "where")
        return Table(title=f"Credentials for {self.key}", columns=columns, rows=tuple(rows)) if rows else None


def _row(
    title: str, key: str | None, user: str | None, place: str, why: str
) -> tuple[Cell, Cell, Cell, Cell]:
    notes = (f"{place}: {why}",)
    return Cell(text=title), Cell(text=key or ""), Cell(text=user or ""), Cell(text="", notes=notes)


class TokenExchange(Fact, frozen=True, kw_only=True):
    """One request to the token server, as docker and podman make it, and the token that came of it.

    Claims are read, never verified. ``granted`` is what the token says that it grants, None where it does not
    say (tokens are opaque to clients).
    """

    url: str
    """What was asked, redacted."""
    method: str
    account: str | None
    """The user whose credential was sent; None for an anonymous request."""
    credential_sent: bool
    asked: tuple[Scope, ...]
    request_bytes: int
    """The length of the request's URL, ``Authorization`` header and form."""
    answer: Answer | None = None
    failure: Failure | None = None
    problem: str | None = None
    """Why there is no token although an answer came with status 200."""
    withheld: str | None = None
    """Why nothing was asked: the credential would have gone where it must not."""
    token: Secret | None = None
    claims: TokenClaims | None = None
    granted: tuple[Scope, ...] | None = None
    expires_in: int | None = None
    """Seconds, as the answer says."""
    html: bool = False
    other_scheme: Answer | None = None
    """The answer to an anonymous look with the other scheme, after the realm's own failed."""


class PullAuthorization(Fact, frozen=True, kw_only=True):
    """What every further request to the registry carries.

    ``kind`` is ``none``, ``basic`` or ``bearer``; ``header`` the whole value of ``Authorization``, None for
    ``none``; ``username`` the account, None for an anonymous token; ``scope_granted`` whether the token says
    that it grants what was asked for, None where it does not say or nothing was asked for.
    """

    kind: str
    header: Secret | None
    header_bytes: int = 0
    username: str | None
    scope_granted: bool | None = None
    answer: Answer | None = None
    """For a bare registry: the answer at ``/v2/`` to the first request with it. For an image the manifest
    request is the first."""
    failure: Failure | None = None


class Refusal(Fact, frozen=True, kw_only=True):
    """A request that was refused with the access that was obtained, and what tells the causes apart.

    The further questions are put only where they decide something; they are None otherwise.
    """

    answer: Answer
    """The refusal: 401 or 403, or a limit exceeded."""
    challenges: tuple[Challenge, ...] = ()
    login: TokenExchange | None = None
    """Where an image is refused behind an open ``/v2/``: the token that its own challenge leads to."""
    after_login: Answer | None = None
    """And the answer to GET ``tags/list`` with the login that the challenge asks for."""
    at_root: Answer | None = None
    """GET ``/v2/`` with the same ``Authorization``, where Basic was refused for a repository."""
    direct: Answer | None = None
    """The answer of the registry itself to the same login, past any proxy, where its configuration says on which
    loopback port it listens and it asks for the same login there."""
    malformed: Answer | None = None
    """The answer to a Bearer token that is none, where the refusal does not say whether the real one came."""
    malformed_challenges: tuple[Challenge, ...] = ()
    anonymous: Answer | None = None
    """The answer to the same request as ``malformed`` without any ``Authorization``."""
    wider: TokenExchange | None = None
    """A token asked for more actions, and for a repository of a random name beside the wanted one."""
    control: str | None = None
    """That random name."""

    @property
    def error(self) -> str | None:
        """The ``error`` of the refusal's challenge (RFC 6750 section 3.1)."""
        return next((each.error for each in self.challenges if each.error is not None), None)


class TokenSettings(Fact, frozen=True, kw_only=True):
    """What the registry's own configuration says about tokens (``auth.token`` of config.yml).

    ``source`` is the file. ``key_ids`` are all ids under which the keys of ``rootcertbundle`` and of ``jwks``
    are known.
    """

    source: str
    realm: str | None = None
    service: str | None = None
    issuer: str | None = None
    key_ids: tuple[str, ...] = ()
    bundle: str | None = None
    """The file of ``rootcertbundle``."""
    bundle_problem: str | None = None
    """Why its keys could not be read."""
    jwks: str | None = None
    """The file of ``jwks``, which registry 3 reads and 2.x does not know."""
    jwks_problem: str | None = None


ACTIONS: Final = ("pull", "push", "delete", "catalog")
"""What may be allowed or not; the last is the list of all repositories."""


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """Whether somebody may do something, and how that is known."""

    action: str
    allowed: bool | None
    """None where nothing shows it without changing something in the registry."""
    why: str
    """What shows it, as a clause."""
    exchange: str | None = None


class Permissions(TableFact, frozen=True, kw_only=True):
    """What anonymous clients, and the account whose credentials were found, may do with the registry.

    ``repository`` is the one that pull, push and delete are about; None where none was named.
    ``account`` is empty where no credentials were found, or where the registry asks nobody for any.
    """

    repository: str | None
    anonymous: tuple[Permission, ...]
    account: tuple[Permission, ...] = ()
    account_name: str | None = None
    """The account's user name; None for a token without one."""

    def anonymously(self, action: str) -> bool | None:
        """Whether anonymous clients may do it, None where that is not known."""
        return next((each.allowed for each in self.anonymous if each.action == action), None)

    def table(self) -> Table:
        """Who may do what, one row for each, and below it how that is known."""
        about = f" in {self.repository}" if self.repository is not None else ""
        rows = [(Cell(text="anonymous"), *map(_permission, self.anonymous))]
        if self.account:
            name = self.account_name or "the stored token"
            rows.append((Cell(text=name), *map(_permission, self.account)))
        return Table(title=f"Who may do what{about}", columns=("who", *ACTIONS), rows=tuple(rows))


def _permission(permission: Permission) -> Cell:
    text = {True: "yes", False: "no", None: "?"}[permission.allowed]
    return Cell(text=text, notes=(permission.why,))
