"""The requests that the ways through a proxy are looked up for, and what their readers share."""

from __future__ import annotations

import re
from typing import Final

from regdoctor.facts.proxyconf import HeaderPart, HeaderPartKind

START: Final = "/v2/team/app/blobs/uploads/"
"""The path that begins an upload (OCI distribution-spec, end-4a)."""
SAMPLES: Final = (START, f"{START}b3c2f0c4-6a0e-4b57-8f0e-1a2b3c4d5e6f")
"""Paths of an upload: where it begins, and where its bytes go (end-5)."""
METHODS: Final = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
"""Those that clients of a registry use."""

ADDRESS_HEADERS: Final = frozenset(
    {"host", "x-forwarded-proto", "x-forwarded-host", "forwarded", "authorization"}
)
"""Headers of requests that a registry builds its own address from (distribution ``registry/api/v2/urls.go``),
and the one that proxies drop."""

_ORIGIN: Final = re.compile(r"(https?)://([^/?#]*)")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def text_part(text: str) -> tuple[HeaderPart, ...]:
    """A fixed text as a part of a value; nothing for the empty text."""
    return (HeaderPart(HeaderPartKind.TEXT, text),) if text else ()


def origin(url: str) -> str:
    """Host and port of a URL as a Host header has them, without a default port; empty for what is no URL."""
    match = _ORIGIN.match(url)
    return match[2].rpartition("@")[2].removesuffix(_DEFAULT_PORTS[match[1]]) if match else ""


def blanked(text: str, *, secret: bool = False) -> str:
    """A text of the configuration without what is secret in it."""
    from regdoctor.redact import redact_text
    from regdoctor.secret import MASK

    return MASK if secret and text else redact_text(text[:500])
