"""Facts about HTTP answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from regdoctor.facts.base import EndpointFact, Failure


class ProducerKind(StrEnum):
    """Who made an answer."""

    REGISTRY = "registry"
    TOKEN_SERVER = "token-server"  # noqa: S105 - a role's name
    REVERSE_PROXY = "reverse-proxy"
    FORWARD_PROXY = "forward-proxy"
    CDN = "cdn"
    OTHER = "other"
    UNKNOWN = "unknown"


class Producer(msgspec.Struct, frozen=True, kw_only=True):
    """Who made an answer, by what it shows. ``name`` is a product name (``nginx``) or None."""

    kind: ProducerKind
    name: str | None = None
    why: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """One HTTP answer. Header names are in lower case; values are redacted. Seconds are wall time."""

    exchange: str
    url: str
    method: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body_excerpt: str
    """At most the first 4 KiB of the body, decoded leniently, redacted."""
    body_size: int
    """Bytes read, up to the limit of the request."""
    body_complete: bool
    """Whether the whole body fitted into the limit and arrived."""
    body_failure: str | None = None
    """Why the body broke off; null where it came whole, or was left unread beyond the limit."""
    sent_at: datetime
    """This host's clock when the request was sent, UTC."""
    seconds: float
    """From sending the request to the end of the answer's header."""
    producer: Producer
    address: str | None = None
    """The peer's IP address."""

    def header(self, name: str) -> str | None:
        """The first value of a header, or None. The name's case does not matter."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key == wanted), None)

    def all_headers(self, name: str) -> tuple[str, ...]:
        """Every value of a header, in order."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key == wanted)


class Ping(EndpointFact, frozen=True, kw_only=True):
    """The first look at a host over HTTP: an anonymous GET of the endpoint's path (``/v2/`` for a registry).

    ``trusted`` is false where TLS verification failed and the look went on without it; no credential is
    ever sent then. ``redirects`` are the answers that led to ``answer``, oldest first.
    """

    answer: Answer | None
    trusted: bool
    redirects: tuple[Answer, ...] = ()
    failure: Failure | None = None
    control: Answer | None = None
    """The answer for a repository that cannot exist, where ``answer`` alone does not show a registry."""
    redirect_problem: str | None = None
    """Why redirects were not followed to an end: ``loop``, ``too-many``, ``downgrade`` (https to http)."""
    seconds: float | None = None
    """How long the last request took, answered or not."""


class PlainLook(EndpointFact, frozen=True, kw_only=True):
    """What a port says in plain HTTP or unasked, looked at where clients do not get as far as an HTTP answer."""

    answer: Answer | None = None
    """The answer to the first look without TLS, where the port of an https host speaks plain HTTP."""
    greeting: str | None = None
    """The first bytes, escaped, where they are neither TLS nor HTTP."""


class PathPrefixes(EndpointFact, frozen=True, kw_only=True):
    """What answers below paths at which registries are published by mistake, where ``/v2/`` is none.

    Empty where a path made up at random is answered the same way.
    """

    answers: tuple[Answer, ...]


class RepeatedQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """One request sent several times, each over a connection of its own.

    ``authorized`` says whether it carried the access that was obtained, ``seconds`` for each how long it took,
    answered or not.
    """

    method: str
    url: str
    answers: tuple[Answer | Failure, ...]
    authorized: bool = False
    seconds: tuple[float, ...] = ()


class Replicas(EndpointFact, frozen=True, kw_only=True):
    """One request sent several times at once, also to each address of the name by itself."""

    question: RepeatedQuestion
    spaced: RepeatedQuestion | None = None
    """The same request again, one after the other with a pause between, where some were turned away at once."""
    uncached: Answer | Failure | None = None
    """The answer to the same request for content with a query that no cache can have seen."""
