"""What every fact is made of: scope, endpoints, failures, and the facts that a run starts with."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import msgspec


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a probe saw about the target. Free of judgement and of clear-text secrets."""


class EndpointFact(Fact, frozen=True, kw_only=True):
    """Something that a probe saw about one host on the way; there is one for each endpoint."""


class FileKind(StrEnum):
    """What a configuration file is; the words of ``lint --kind``."""

    REGISTRY = "registry"
    NGINX = "nginx"
    HAPROXY = "haproxy"
    TRAEFIK = "traefik"
    CADDY = "caddy"
    DAEMON = "daemon"
    DOCKER_CONFIG = "docker-config"
    CONTAINERD = "containerd"
    HOSTS = "hosts"
    REGISTRIES = "registries"
    POLICY = "policy"
    HTPASSWD = "htpasswd"
    KUBERNETES = "kubernetes"
    BUILDKIT = "buildkit"


class FileFact(Fact, frozen=True, kw_only=True):
    """What configuration files say that the caller named, or that lie where clients look for them.

    ``lint`` runs the probes of these facts alone, and those rules that need nothing else. Such a probe reads
    files and touches nothing besides.
    """

    kinds: ClassVar[frozenset[FileKind]] = frozenset()
    """Which files it is read from."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in one field of a table."""

    text: str
    """A few words; empty where there is nothing."""
    notes: tuple[str, ...] = ()
    """What is too long for the field: paths, places, reasons."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Facts side by side, for people."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """Each as long as ``columns``; the first field says what the row is about."""


class TableFact(Fact, frozen=True, kw_only=True):
    """A fact that reports for people show as a table; reports for programs have it among their facts."""

    def table(self) -> Table | None:
        """What was seen, in rows and columns; None where there is nothing to compare."""
        raise NotImplementedError


def fact_name(fact: type) -> str:
    """The name of a fact in reports and evidence: ``NameserverAnswers`` is ``nameserver-answers``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", fact.__name__).lower()


class Role(StrEnum):
    """What a host on the way is for the target."""

    REGISTRY = "registry"
    TOKEN_SERVER = "token-server"  # noqa: S105 - a role's name
    BLOB_HOST = "blob-host"
    PROXY = "proxy"
    MIRROR = "mirror"
    UPSTREAM = "upstream"


class Endpoint(EndpointFact, frozen=True, kw_only=True):
    """One host on the way: where a client would connect, and what for.

    ``host`` has no brackets around IPv6 literals and is in A-label form (RFC 5890). ``path`` is what a first
    look asks for. ``proxy`` is the forward proxy (without userinfo) that clients with this environment use
    for it, or None where they connect directly.
    """

    role: Role
    scheme: str
    host: str
    port: int
    path: str = "/"
    proxy: str | None = None
    scheme_given: bool = True
    """Whether the caller or another host named the scheme; false where https is the client's own default."""

    @property
    def address(self) -> str:
        """``host:port``, an IPv6 literal in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """``scheme://host:port`` without a path; the port is always written."""
        return f"{self.scheme}://{self.address}"


class Discovery(Fact, frozen=True, kw_only=True):
    """A fact that names further hosts on the way; the engine then walks the ladder for each of ``endpoints``.

    A subclass says what these hosts are for: ``discovers: ClassVar[Role] = Role.TOKEN_SERVER``.
    """

    discovers: ClassVar[Role]
    endpoints: tuple[Endpoint, ...] = ()


def discovered_role(fact: type) -> Role | None:
    """The role of the endpoints that this fact names, or None where it names none."""
    return fact.discovers if issubclass(fact, Discovery) else None


class FailureKind(StrEnum):
    """The closed list of ways in which one network step fails."""

    NAME_NOT_FOUND = "name-not-found"
    RESOLVER_TIMEOUT = "resolver-timeout"
    RESOLVER_REFUSED = "resolver-refused"
    RESOLVER_FAILURE = "resolver-failure"
    RESOLVER_ANSWER_INVALID = "resolver-answer-invalid"
    CONNECTION_REFUSED = "connection-refused"
    CONNECTION_TIMEOUT = "connection-timeout"
    CONNECTION_PROHIBITED = "connection-prohibited"
    HOST_UNREACHABLE = "host-unreachable"
    NETWORK_UNREACHABLE = "network-unreachable"
    LOCAL_FAULT = "local-fault"
    CONNECTION_RESET = "connection-reset"
    CONNECTION_CLOSED = "connection-closed"
    TLS_NOT_SPOKEN = "tls-not-spoken"
    TLS_ALERT = "tls-alert"
    TLS_TIMEOUT = "tls-timeout"
    TLS_VERIFICATION = "tls-verification"
    TLS_FAILURE = "tls-failure"
    PROXY_REFUSED = "proxy-refused"
    PROXY_UNREACHABLE = "proxy-unreachable"
    RESPONSE_TIMEOUT = "response-timeout"
    RESPONSE_MALFORMED = "response-malformed"
    RESPONSE_TOO_LARGE = "response-too-large"
    DEADLINE = "deadline"
    OTHER = "other"


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag="failure"):
    """Why one network step failed. ``exception`` is the original one's type and text, as evidence."""

    kind: FailureKind
    message: str
    exception: str = ""
    errno: str | None = None
    """The symbolic name, such as ``ECONNREFUSED``."""
    alert: str | None = None
    """The TLS alert that the peer sent (RFC 8446 section 6), such as ``handshake_failure``."""


class Moment(Fact, frozen=True, kw_only=True):
    """When the run began by this host's own clock, UTC."""

    now: datetime


class Settings(Fact, frozen=True, kw_only=True):
    """What the caller asked for, as far as rules judge by it. Holds no secret.

    ``timeout`` is one network step in seconds; ``clock_tolerance`` seconds; ``expiry_warning`` and ``upload_age``
    days; ``min_free`` percent.
    """

    plain_http: bool = False
    push: bool = False
    platforms: tuple[str, ...] = ()
    timeout: float = 5.0
    clock_tolerance: float = 60.0
    expiry_warning: int = 21
    profile: str = "client"
    registry_version: str | None = None
    lint: FileKind | None = None
    """Set where a file is judged by itself: it may belong to another host, so what it names need not be here."""
    min_free: float = 10.0
    upload_age: float = 8.0
