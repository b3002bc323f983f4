"""Facts about the configuration of a reverse proxy: the ways that uploads of images take through it.

Whatever program it is, a way (:class:`ProxyRoute`) says what the proxy does with a request below ``/v2/``, and
every setting says where it stands. Values are as they are written; secrets are blanked.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from regdoctor.facts.base import FileFact, FileKind

PROXY_KINDS = frozenset({FileKind.NGINX, FileKind.HAPROXY, FileKind.TRAEFIK, FileKind.CADDY})
"""The programs whose configuration is read."""


class ReverseProxySetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting as it is effective for a way through the proxy."""

    name: str
    value: str
    place: str | None = None
    """``file:line:column``; null where nothing is written and the program's default holds."""


class BodyLimit(ReverseProxySetting, frozen=True, kw_only=True):
    """The largest body of a request that is let through."""

    bytes: int | None
    """Null where there is no limit."""
    announced_only: bool = False
    """Whether it is compared with ``Content-Length`` alone, which chunked requests do not have."""


class TimerScope(StrEnum):
    """What a timer of a proxy measures."""

    WHOLE = "whole"
    """The request from its first byte to its last, however steadily it comes."""
    SILENCE = "silence"
    """How long the registry sends nothing, also while the client pauses in the middle of an upload."""
    ANSWER = "answer"
    """How long the registry may take to answer once it has the whole request."""
    PAUSE = "pause"
    """How long the client may pause in the middle of an upload."""


class ProxyTimer(ReverseProxySetting, frozen=True, kw_only=True):
    """A timer that ends a request."""

    scope: TimerScope
    seconds: float | None
    """Null where it is switched off."""


class RequestBuffering(ReverseProxySetting, frozen=True, kw_only=True):
    """Whether a body is received as a whole before anything of it is passed on."""

    spools: bool
    http_version: ReverseProxySetting | None = None
    """For nginx: with HTTP/1.0 towards the registry, chunked bodies are spooled whatever the setting."""


class HeaderPartKind(StrEnum):
    """What a part of a header's value stands for."""

    TEXT = "text"
    SCHEME = "scheme"
    """``https`` where this proxy ends TLS, else ``http``."""
    HOST = "host"
    """The Host header as the client sent it."""
    NAME = "name"
    """The same without a port."""
    PORT = "port"
    """The port at which the request reached this proxy."""
    UPSTREAM = "upstream"
    """The registry's address as this configuration has it (the text)."""
    INCOMING = "incoming"
    """A header of the request (the text) as it came in."""
    UNKNOWN = "unknown"
    """Something that cannot be told from the configuration alone."""


class HeaderPart(msgspec.Struct, frozen=True):
    """A part of a header's value."""

    kind: HeaderPartKind
    text: str = ""


class HeaderCondition(StrEnum):
    """For which requests a header is set."""

    ALWAYS = "always"
    TLS = "tls"
    """Those that come in by TLS."""
    PLAIN = "plain"
    """Those that come in without."""
    PRESENT = "present"
    """Those that carry the header already."""
    ABSENT = "absent"
    """Those that do not."""
    UNKNOWN = "unknown"


class HeaderAssignment(msgspec.Struct, frozen=True, kw_only=True):
    """A header that is set on requests to the registry; no parts mean that it is removed."""

    name: str
    """In small letters."""
    value: str
    parts: tuple[HeaderPart, ...]
    when: HeaderCondition = HeaderCondition.ALWAYS
    place: str | None = None
    """Null for what the program does unasked."""


class LocationRewrite(msgspec.Struct, frozen=True, kw_only=True):
    """A change of ``Location`` in the registry's answers: what it begins with, and what replaces that."""

    value: str
    prefix: tuple[HeaderPart, ...]
    replacement: tuple[HeaderPart, ...]
    place: str | None = None


class ProxyListener(msgspec.Struct, frozen=True, kw_only=True):
    """Where a proxy accepts connections."""

    host: str = ""
    """Empty for every address."""
    port: int | None = None
    tls: bool = False
    """Whether it ends TLS there."""
    default: bool = True
    """Whether requests that name no known host end here."""


class RefusedMethods(ReverseProxySetting, frozen=True, kw_only=True):
    """Methods that the proxy refuses by itself."""

    methods: tuple[str, ...]


class UnreadFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that belongs to the configuration and could not be read."""

    path: str
    place: str
    """Where it is included."""
    why: str


class ProxyRoute(msgspec.Struct, frozen=True, kw_only=True):
    """One way that uploads below ``/v2/`` can take through the proxy."""

    place: str
    """``file:line:column`` of the block that passes on."""
    block: str
    """What it is called there: ``location /v2/``, ``backend registries``."""
    listeners: tuple[ProxyListener, ...] = ()
    names: tuple[str, ...] = ()
    """The host names that it is for, as written: with wildcards or as regular expressions; empty for any."""
    path: str = "/"
    """The path that it is for, as written."""
    upstreams: tuple[str, ...] = ()
    """Addresses that it passes on to, and what they are called."""
    upstream_tls: bool = False
    sent_path: str | None = None
    """What becomes of ``/v2/team/app/blobs/uploads/`` on the way; null where that cannot be told."""
    path_change: ReverseProxySetting | None = None
    """What changes the path."""
    query_loss: ReverseProxySetting | None = None
    """What passes requests on without their query, in which a registry keeps the state of an upload."""
    headers: tuple[HeaderAssignment, ...] = ()
    """Those that a registry builds addresses from, in order, and Authorization."""
    switched_off: tuple[HeaderAssignment, ...] = ()
    """Headers set by blocks around it, which its own settings of headers switch off (nginx)."""
    location_rewrites: tuple[LocationRewrite, ...] = ()
    body_limit: BodyLimit | None = None
    buffering: RequestBuffering | None = None
    timers: tuple[ProxyTimer, ...] = ()
    refused: RefusedMethods | None = None
    compression: ReverseProxySetting | None = None
    """What makes it compress manifests on their way back."""
    temporary_folder: ReverseProxySetting | None = None
    """Where spooled bodies lie."""
    adds_version_header: bool = False
    """Whether it adds Docker-Distribution-Api-Version to answers."""
    unread: tuple[UnreadFile, ...] = ()
    """Files that may hold further settings for it."""
    outside: str | None = None
    """Why settings of the levels around it are not known, as a clause; null where they are."""


class ProxyConfig(FileFact, frozen=True, kw_only=True):
    """A reverse proxy's configuration, with the files that it includes, and the ways through it."""

    kinds: ClassVar[frozenset[FileKind]] = PROXY_KINDS

    path: str
    kind: FileKind
    files: tuple[str, ...] = ()
    """All that was read, the file itself first."""
    routes: tuple[ProxyRoute, ...] = ()
    unread: tuple[UnreadFile, ...] = ()


class CompleteProxyConfig(FileFact, frozen=True, kw_only=True):
    """That everything was read which may hold settings for the ways: what is not set there, is not set."""

    kinds: ClassVar[frozenset[FileKind]] = PROXY_KINDS

    files: tuple[str, ...]
