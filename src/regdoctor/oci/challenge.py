"""Authentication challenges: what a registry's ``WWW-Authenticate`` headers ask of a client.

The grammar is RFC 9110 section 11.6.1 with 5.6.2 (token) and 5.6.4 (quoted-string); the parameters of a
Bearer challenge are those of the distribution token specification and RFC 6750 section 3. Real servers
break the grammar, so parsing never fails: it returns what can be understood and lists what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from regdoctor.oci.reference import InvalidReference, parse_target

_MAX_HEADER: Final = 16 * 1024
_MAX_CHALLENGES: Final = 32
_MAX_PARAMETERS: Final = 64

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TOKEN68: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))")
_EQUALS: Final = re.compile(r"[ \t]*=[ \t]*")
_BLANKS: Final = re.compile(r"[ \t]*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_UNQUOTED: Final = re.compile(r"[^,]*")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_USERINFO: Final = re.compile(r"(?<=://)[^/?#@]*@")

_KNOWN_PARAMETERS: Final = frozenset({"realm", "service", "scope", "error", "error_description", "charset"})
_KNOWN_SCHEMES: Final = frozenset(
    {"basic", "bearer", "digest", "negotiate", "ntlm", "kerberos", "mutual", "hoba", "dpop", "oauth", "gnap"}
)
"""Schemes that may stand alone in a list; from the IANA registry of HTTP authentication schemes."""


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """One challenge.

    ``scheme`` is in lower case (scheme names are case-insensitive); ``parameters`` are pairs of lower-case
    name and decoded value in the order sent, the first where one is repeated; ``token68`` the single value
    of schemes such as Negotiate; ``raw`` the text it was read from; ``problems`` one sentence for each
    breach of the grammar. User information inside a URL is replaced by ``***`` everywhere.
    """

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()
    token68: str | None = None
    raw: str
    problems: tuple[str, ...] = ()

    def get(self, name: str) -> str | None:
        """Return the parameter of that (lower-case) name, ``None`` where it is missing."""
        return dict(self.parameters).get(name)

    @property
    def realm(self) -> str | None:
        """The realm: for Bearer the URL of the token server, for Basic a text for people."""
        return self.get("realm")

    @property
    def service(self) -> str | None:
        """The name under which the token server knows the registry; many registries leave it out."""
        return self.get("service")

    @property
    def scope(self) -> str | None:
        """What access the registry wants, scopes joined by one space; usually absent on ``/v2/``."""
        return self.get("scope")

    @property
    def error(self) -> str | None:
        """Why a token was refused: ``invalid_token`` or ``insufficient_scope`` (RFC 6750 section 3.1)."""
        return self.get("error")


def parse_challenges(values: Sequence[str]) -> tuple[Challenge, ...]:
    """Read all challenges of a response, in the order sent.

    ``values`` are the values of its ``WWW-Authenticate`` headers, one each; each may hold several
    challenges. At most 16 KiB of a value and 32 challenges are read. Never raises.
    """
    challenges: list[Challenge] = []
    for value in values:
        challenges.extend(_Reader(value[:_MAX_HEADER], too_long=len(value) > _MAX_HEADER).read())
    return tuple(challenges[:_MAX_CHALLENGES])


class _Reader:
    """Reads the challenges of one header value from left to right."""

    def __init__(self, text: str, *, too_long: bool) -> None:
        self._text = text.strip()
        self._position = 0
        self._too_long = too_long

    def read(self) -> list[Challenge]:
        challenges: list[Challenge] = []
        self._skip_commas()
        while self._position < len(self._text) and len(challenges) <= _MAX_CHALLENGES:
            challenges.append(self._challenge())
        return challenges

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self._text, self._position)
        if match is None:
            return None
        self._position = match.end()
        return match.group(0)

    def _skip_commas(self) -> bool:
        """Skip blanks and commas (empty list elements are allowed, RFC 9110 section 5.6.1.2)."""
        start = self._position
        while self._position < len(self._text) and self._text[self._position] in ", \t":
            self._position += 1
        return "," in self._text[start : self._position]

    def _challenge(self) -> Challenge:
        start = self._position
        problems = ["the header is longer than 16 KiB and was cut"] if self._too_long else []
        scheme = self._take(_TOKEN)
        token68 = None
        parameters: dict[str, str] = {}
        if scheme is None:
            self._take(_UNQUOTED)
            problems.append("no scheme such as Bearer or Basic stands at the start of the challenge")
        elif self._take(_EQUALS) is not None:
            # "realm=…" without a scheme: the parameter is kept, so that the report can show it.
            parameters[scheme.lower()] = self._value(scheme, problems)
            problems.append("parameters without a scheme such as Bearer or Basic before them")
            scheme = None
            self._parameters(parameters, problems)
        elif self._take(_BLANKS):
            token68 = self._token68()
            if token68 is None:
                self._parameters(parameters, problems)
        elif self._position < len(self._text) and self._text[self._position] != ",":
            self._take(_UNQUOTED)
            problems.append(f"after the scheme {scheme} comes a character that cannot stand there")
        raw = self._text[start : self._position].rstrip(", \t")
        self._skip_commas()
        if any(_USERINFO.search(value) for value in parameters.values()):
            problems.append("a URL in the challenge holds a user name or password")
        return Challenge(
            scheme=(scheme or "").lower(),
            parameters=tuple((name, _without_userinfo(value)) for name, value in parameters.items()),
            token68=token68,
            raw=_without_userinfo(raw),
            problems=tuple(dict.fromkeys(problems)),
        )

    def _token68(self) -> str | None:
        match = _TOKEN68.match(self._text, self._position)
        if match is None:
            return None
        text = match.group(0)
        name = text.rstrip("=").lower()
        if name in _KNOWN_PARAMETERS and text.endswith("="):
            return None  # "basic realm=" is a parameter with an empty value, as zot sends it
        self._position = match.end()
        return text

    def _parameters(self, parameters: dict[str, str], problems: list[str]) -> None:
        """Read ``name=value`` elements until the next challenge or the end."""
        first = not parameters
        while self._position < len(self._text):
            before = self._position
            separated = self._skip_commas()
            if self._position == len(self._text):
                return
            name = self._take(_TOKEN)
            if name is None:
                junk = self._take(_UNQUOTED) or ""
                problems.append(f"{junk[:40]!r} is not a parameter")
                self._skip_one()
                continue
            if self._take(_EQUALS) is None:
                if separated and self._begins_challenge(name):
                    self._position = before
                    return
                problems.append(f"the parameter {name[:40]!r} has no value")
                first = False
                continue
            if not separated and not first:
                problems.append(f"no comma stands before the parameter {name[:40]!r}")
            first = False
            value = self._value(name, problems)
            if name.lower() in parameters:
                problems.append(f"the parameter {name[:40]!r} stands twice")
            elif len(parameters) < _MAX_PARAMETERS:
                parameters[name.lower()] = value

    def _skip_one(self) -> None:
        if self._position < len(self._text) and self._text[self._position] == ",":
            self._position += 1

    def _begins_challenge(self, word: str) -> bool:
        """Whether a word without ``=`` is the scheme of a further challenge."""
        if word.lower() in _KNOWN_SCHEMES:
            return True
        match = _BLANKS.match(self._text, self._position)
        after = match.end() if match else self._position
        parameter = _TOKEN.match(self._text, after)
        return (
            after > self._position
            and parameter is not None
            and bool(_EQUALS.match(self._text, parameter.end()))
        )

    def _value(self, name: str, problems: list[str]) -> str:
        if self._position < len(self._text) and self._text[self._position] == '"':
            match = _QUOTED.match(self._text, self._position)
            if match is None:
                problems.append(f"the quoted value of {name} is not closed")
                value = self._text[self._position + 1 :]
                self._position = len(self._text)
            else:
                value = match.group(1)
                self._position = match.end()
            return _ESCAPE.sub(r"\1", value)
        start = self._position
        token = self._take(_TOKEN)
        blanks = _BLANKS.match(self._text, self._position)
        end = blanks.end() if blanks else self._position
        if token is not None and (end == len(self._text) or end > self._position or self._text[end] == ","):
            return token
        self._position = start
        value = (self._take(_UNQUOTED) or "").strip()
        problems.append(
            f"the value of {name} is empty"
            if not value
            else f"the value of {name} has characters that must be quoted, so clients may read less of it"
        )
        return value


def _without_userinfo(text: str) -> str:
    return _USERINFO.sub("***@", text)


def realm_problem(realm: str | None, registry_url: str) -> str | None:
    """Say what is wrong with the realm of a Bearer challenge, ``None`` where it can be used.

    ``registry_url`` is the URL whose response named the realm. Besides the syntax it objects to a realm that
    sends an ``https`` registry's credentials over ``http``, which go-containerregistry refuses outright
    (``pkg/v1/remote/transport/bearer.go``) and docker and containerd follow.
    """
    return realm_syntax_problem(realm, registry_url) or (
        "the realm is an http:// URL although the registry uses https://: credentials would travel in clear"
        if realm is not None and realm_downgrades(realm, registry_url)
        else None
    )


def realm_downgrades(realm: str, registry_url: str) -> bool:
    """Whether following the realm goes from ``https`` to ``http``."""
    return registry_url.lower().startswith("https:") and realm.lower().startswith("http:")


def realm_syntax_problem(realm: str | None, registry_url: str) -> str | None:
    """Say why the realm is no absolute URL of a reachable host, ``None`` where it is one (RFC 3986)."""
    if not realm:
        return "the realm is empty, so clients do not know where to get a token"
    if any(character.isspace() or not character.isprintable() for character in realm):
        return "the realm holds blanks or control characters"
    scheme, separator, _ = realm.partition("://")
    if not separator:
        return "the realm is not an absolute URL such as https://auth.example.com/token"
    if scheme.lower() not in {"http", "https"}:
        return f"the realm's scheme is {scheme[:20]!r}, neither http nor https"
    try:
        parts = urlsplit(realm)
    except ValueError:
        return "the realm's host is not a valid name or address"
    authority = parts.netloc
    if "@" in authority:
        return "the realm holds a user name or password"
    if parts.fragment:
        return "the realm has a fragment (#…), which is never sent"
    return _authority_problem(authority, registry_url)


def _authority_problem(authority: str, registry_url: str) -> str | None:
    if not authority:
        return "the realm has no host"
    if not authority.startswith("[") and authority.count(":") > 1:
        return f"the realm's host and port {authority[:80]!r} hold more than one port"
    host = authority.rpartition(":")[0] if ":" in authority else authority
    if not authority.startswith("[") and "" in (host or authority).split("."):
        registry_host = urlsplit(registry_url).hostname or ""
        absolute = host.endswith(".") and not host.endswith("..") and registry_host.endswith(".")
        if not absolute:
            return f"a part of the realm's host name {host[:80]!r} is missing"
    try:
        parse_target(f"https://{authority}")
    except InvalidReference as error:
        return f"the realm's host {authority[:80]!r} is not usable: {error.reason}"
    return None
