"""The address that a registry behind a proxy takes for its own, and hands out for uploads. Pure.

distribution (``registry/api/v2/urls.go``) takes the scheme from X-Forwarded-Proto, else from its own connection,
and the host from the first of X-Forwarded-Host, else from Host. What a proxy then makes of
``Location`` counts last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from regdoctor.api import (
    HeaderAssignment,
    HeaderCondition,
    HeaderPart,
    HeaderPartKind,
    proxy_configs,
)

_PATH = "/v2/"
_URL = re.compile(r"(https?)://([^/]*)")


@dataclass(frozen=True)
class Address:
    """What a registry answers with: a scheme and an authority, as clients get them."""

    scheme: str
    authority: str
    by_scheme: HeaderAssignment | None
    """The setting that the scheme comes from; None where none sets it."""
    by_host: HeaderAssignment | None

    @property
    def text(self) -> str:
        """``scheme://host:port``."""
        return f"{self.scheme}://{self.authority}"


def handed_out(front: proxy_configs.Front) -> Address | None:
    """The address in the ``Location`` of an upload that comes this way; None where that cannot be told.

    An address that a proxy makes relative, which is right wherever it is used, is the client's own.
    """
    route = front.route
    headers = _Headers(front)
    for assignment in route.headers:
        headers.apply(assignment)
    if headers.unknown & {"x-forwarded-proto", "x-forwarded-host", "host", "forwarded"} or headers.values.get(
        "forwarded"
    ):
        return None
    scheme = headers.values["x-forwarded-proto"] or ("https" if route.upstream_tls else "http")
    forwarded_host = headers.values["x-forwarded-host"].split(",")[0].strip()
    authority = forwarded_host or headers.values["host"]
    location = f"{scheme}://{authority}{_PATH}"
    for rewrite in route.location_rewrites:
        prefix, replacement = headers.text(rewrite.prefix), headers.text(rewrite.replacement)
        if prefix is None:
            return None
        if location.startswith(prefix):
            if replacement is None:
                return None
            location = replacement + location[len(prefix) :]
            break
    match = _URL.match(location)
    scheme, authority = (match[1], match[2]) if match is not None else (front.scheme, front.authority)
    return Address(
        scheme=scheme,
        authority=authority,
        by_scheme=headers.by.get("x-forwarded-proto"),
        by_host=headers.by.get("x-forwarded-host" if forwarded_host else "host"),
    )


def same_authority(first: str, second: str, scheme: str) -> bool:
    """Whether two authorities are one, default ports of the scheme filled in."""
    return _with_port(first, scheme) == _with_port(second, scheme)


def _with_port(authority: str, scheme: str) -> str:
    authority = authority.lower()
    has_port = re.search(r":\d*$", authority) is not None and not authority.endswith("]")
    return authority.rstrip(":") if has_port else f"{authority}:{proxy_configs.DEFAULT_PORTS.get(scheme, 0)}"


class _Headers:
    """The headers of a request as they change on the way through the proxy."""

    def __init__(self, front: proxy_configs.Front) -> None:
        self._front = front
        # Another proxy in front ends TLS and, as far as can be known here, says so.
        self._outer = front.scheme == "https" and not front.listener.tls
        self.values: dict[str, str] = {
            "host": front.authority,
            "x-forwarded-proto": "https" if self._outer else "",
            "x-forwarded-host": "",
            "forwarded": "",
        }
        self._incoming: Mapping[str, str] = dict(self.values)
        self.unknown: set[str] = set()
        self.by: dict[str, HeaderAssignment] = {}

    def apply(self, assignment: HeaderAssignment) -> None:
        name = assignment.name
        if name not in self.values:
            return
        holds = self._holds(assignment)
        if holds is False:
            return
        text = self.text(assignment.parts)
        if holds is None and text == self.values[name]:
            return
        if holds is None or text is None:
            self.unknown.add(name)
            return
        self.unknown.discard(name)
        self.values[name] = text
        self.by[name] = assignment

    def _holds(self, assignment: HeaderAssignment) -> bool | None:
        tls = self._front.listener.tls
        present = bool(self.values[assignment.name])
        return {
            HeaderCondition.ALWAYS: True,
            HeaderCondition.TLS: tls,
            HeaderCondition.PLAIN: not tls,
            HeaderCondition.PRESENT: present,
            HeaderCondition.ABSENT: not present,
        }.get(assignment.when)

    def text(self, parts: Iterable[HeaderPart]) -> str | None:
        """What a value comes to; None where it cannot be told."""
        texts = [self._part(part) for part in parts]
        return None if None in texts else "".join(filter(None, texts))

    def _part(self, part: HeaderPart) -> str | None:
        front = self._front
        if part.kind is HeaderPartKind.INCOMING:
            return self._incoming.get(part.text, None if self._outer else "")
        host = f"[{front.host}]" if ":" in front.host else front.host
        return {
            HeaderPartKind.TEXT: part.text,
            HeaderPartKind.SCHEME: "https" if front.listener.tls else "http",
            HeaderPartKind.HOST: front.authority,
            HeaderPartKind.NAME: host,
            HeaderPartKind.PORT: str(front.listener.port or front.port),
            HeaderPartKind.UPSTREAM: part.text or None,
        }.get(part.kind)
