"""Where an upload goes on: the ``Location`` of a registry, judged against the URL that was asked.

A registry builds ``Location`` from what it believes to be its own address (distribution
``registry/api/v2/urls.go``), so it shows at once whether a proxy in front of it hides scheme, host or port.
The steps of an upload are those of the OCI distribution specification 1.1 ("Pushing blobs").
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import msgspec

_MAX_LOCATION: Final = 16 * 1024
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_UPLOAD_PATH: Final = re.compile(r"(?P<prefix>.*?)/v2/(?P<name>.+)/blobs/uploads/(?P<session>[^/]*)/?")


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A ``Location``, resolved.

    ``url`` is where a client goes next, ``None`` where the value is missing or no http(s) URL (``problem``
    says why). ``relative`` tells that it has no scheme and host of its own, which is right and common. The
    ``…_changed`` flags compare with the URL asked: the port with the defaults of the schemes filled in, the
    path by its prefix before ``/v2/`` and its repository, since the session at its end differs always.
    """

    url: str | None = None
    problem: str | None = None
    relative: bool = False
    scheme_changed: bool = False
    host_changed: bool = False
    port_changed: bool = False
    path_changed: bool = False
    has_state: bool = False
    """Whether the query carries distribution's ``_state``, which pins secret, repository and offset."""

    @property
    def same_origin(self) -> bool:
        """Whether credentials may follow: scheme, host and port are those of the URL asked."""
        return self.url is not None and not (self.scheme_changed or self.host_changed or self.port_changed)

    @property
    def downgrades(self) -> bool:
        """Whether it leaves ``https`` for ``http``, where clients stop sending the token."""
        return self.scheme_changed and self.url is not None and self.url.startswith("http:")


def resolve_location(request_url: str, location: str | None) -> Location:
    """Resolve the ``Location`` of the answer to a request for ``request_url`` (RFC 9110 section 10.2.2).

    At most 16 KiB are read. Never raises.
    """
    if not location or not location.strip():
        return Location(problem="the answer has no Location")
    if len(location) > _MAX_LOCATION:
        return Location(problem="the Location is longer than 16 KiB")
    text = location.strip()
    if any(character.isspace() or not character.isprintable() for character in text):
        return Location(problem="the Location holds blanks or control characters")
    try:
        own = urlsplit(text)
        url = urljoin(request_url, text)
        asked, given = urlsplit(request_url), urlsplit(url)
        ports = _port(asked), _port(given)
    except ValueError:
        return Location(problem="the Location is not a URL")
    if given.scheme not in _DEFAULT_PORTS or not given.hostname or (own.scheme and not own.netloc):
        return Location(problem="the Location is not an http or https URL")
    scheme_changed = given.scheme != asked.scheme
    return Location(
        url=url,
        relative=not own.netloc,
        scheme_changed=scheme_changed,
        host_changed=_host(given) != _host(asked),
        port_changed=_port_differs(asked, given, *ports),
        path_changed=_place(given.path) != _place(asked.path),
        has_state=any(pair.startswith("_state=") for pair in given.query.split("&")),
    )


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".")


def _port(parts: SplitResult) -> int | None:
    """The port with the scheme's default filled in; raises ``ValueError`` for a port that is none."""
    return parts.port if parts.port is not None else _DEFAULT_PORTS.get(parts.scheme)


def _port_differs(
    asked: SplitResult, given: SplitResult, asked_port: int | None, given_port: int | None
) -> bool:
    """Whether another port is meant. Where only the scheme changed, its default port is not another port."""
    if asked.port is None and given.port is None:
        return False
    return asked_port != given_port


def _place(path: str) -> tuple[str, ...]:
    """What must stay from one step of an upload to the next: the prefix and the repository."""
    match = _UPLOAD_PATH.fullmatch(path)
    return (match["prefix"], match["name"]) if match else (path,)


def with_digest(url: str, digest: str) -> str:
    """Add the ``digest`` parameter that completes an upload, keeping the query that is there.

    The specification wants existing parameters kept, so the new one is appended with ``&``.
    """
    return with_parameter(url, "digest", digest)


def with_parameter(url: str, name: str, value: str) -> str:
    """Append one query parameter to a URL, before its fragment; other parameters stay byte for byte."""
    base, hash_mark, fragment = url.partition("#")
    separator = "?" if "?" not in base else "" if base.endswith(("?", "&")) else "&"
    return f"{base}{separator}{quote(name, safe='')}={quote(value, safe='')}{hash_mark}{fragment}"
