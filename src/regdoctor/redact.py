"""Removal of secrets from everything that is kept or shown.

Two independent nets. The functions know where secrets stand (headers, URL queries, JSON members, key files)
and blank them there, keeping names so that the report still says what was sent. ``Scrubber`` knows the
secrets themselves and blanks them wherever they turn up, as a last pass over what is about to leave.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, quote_plus, unquote_plus

from regdoctor.secret import MASK, Secret

_SECRET_SUFFIXES: Final = (
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secretkey",
    "privatekey",
    "accesskey",
    "accesskeyid",
    "accountkey",
    "licensekey",
    "apikey",
    "artapi",
    "credential",
    "credentials",
    "signature",
    "authorization",
    "cookie",
    "dockerconfigjson",
    "dockercfg",
    "authjson",
)
_SECRET_NAMES: Final = frozenset(
    {"auth", "sig", "pwd", "pass", "jwt", "sid", "assertion", "xregistryauth", "xregistryconfig"}
)
_SECRETS_TALKED_ABOUT: Final = ("token", "auth", "authorization", "signature", "credential", "credentials")
"""Names that also begin messages, as in "token: signed by an untrusted key"."""

_HARMLESS_NAMES: Final = frozenset({"offlinetoken"})
_QUERY_SECRETS: Final = frozenset(
    {"state", "code", "policy", "verify", "keypairid", "hdnea", "hdnts", "hmac"}
)
_SIGNATURES: Final = frozenset(
    {"sig", "signature", "xamzsignature", "xgoogsignature", "xosssignature", "xcossignature", "verify"}
)
"""Query parameters that make a URL a signed one: S3, Google, Azure (``sig``), CloudFront, Cloudflare."""

_SIGNED_BUT_HARMLESS: Final = frozenset(
    {
        *("xamzalgorithm", "xamzdate", "xamzexpires", "xamzsignedheaders", "xid"),
        *("xgoogalgorithm", "xgoogdate", "xgoogexpires", "xgoogsignedheaders"),
        *("expires", "se", "st", "sp", "sr", "sv", "spr"),
    }
)
"""What of a signed query says when and how it was signed; needed to recognise a skewed clock."""

_MAX_DEPTH: Final = 64

_NOT_NAME: Final = re.compile(r"[^A-Za-z0-9]+")
_USERINFO: Final = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
_MISWRITTEN_USERINFO: Final = re.compile(r"(?<=://)[^\s/@:\"'<>]+:(?!\d{1,5}(?:/|$))[^\s@\"'<>]+@")
"""User and password whose special characters nobody encoded (``http://user:pa/ss#w@proxy``)."""

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s\"'<>`]+")
_BARE_QUERY: Final = re.compile(r"(?<=[?&])([A-Za-z0-9_.-]+)=([^&#\s\"'<>`]+)")
_PROXY_WITHOUT_SCHEME: Final = re.compile(r"(?i)(proxy[\"']?[ \t]*[:=][ \t]*[\"']?)[^\s/@\"']+@")
_PEM: Final = re.compile(
    r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----)(.*?)(-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\Z)",
    re.DOTALL,
)
_AUTHORIZATION: Final = re.compile(
    r"(?i)(\b(?:proxy-)?authorization\b[\"']?[ \t]*[:=][ \t]*[\"'\[]*"
    r"(?:basic|bearer|digest|negotiate|ntlm|token|aws4-hmac-sha256)[ \t]+)[^\r\n\"'\]]+"
)
_COOKIE_LINE: Final = re.compile(r"(?im)^([<>* \t]*(?:set-)?cookie:[ \t]*)([^\r\n]+)")
_SCHEME_AND_VALUE: Final = re.compile(r"(?i)\b(basic|bearer)[ \t]+([A-Za-z0-9+/._~-]{6,}=*)")
_JWT: Final = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)*")
_HASH: Final = re.compile(r"(\$(?:2[abxy]|apr1|argon2[a-z]*|[156])\$)[^\s:\"',]+")
_ASSIGNMENT: Final = re.compile(
    r"(?<![A-Za-z0-9_.-])(?P<name>[A-Za-z0-9_.-]{1,80}(?P<quote>[\"']?))"
    r"(?P<sign>=|(?<=[\"'])[ \t]*:[ \t]*)"
    r"(?P<value>\"(?:[^\"\\\n]|\\.)*(?:\"|\Z)|'[^'\n]*(?:'|\Z)|[^\s\"',;&{}\[\]]+)"
)
_YAML_LINE: Final = re.compile(
    r"(?m)^(?P<start>[ \t]*(?:-[ \t]+)?(?P<name>[A-Za-z_.][A-Za-z0-9_.-]*):[ \t]+)"
    r"(?P<value>[^\s#|>&{\[][^\r\n]*)"
)
_FLAG: Final = re.compile(r"(?<![a-z-])(--[a-z][a-z-]*)([ \t]+)([^\s-][^\s]*)")
_CURL_USER: Final = re.compile(
    r"((?:^|\s)(?:-u|--user|--creds|--src-creds|--dest-creds)[ \t=]+[^\s:]+:)([^\s]+)"
)


def is_secret_name(name: str) -> bool:
    """Whether a member, variable, flag or header of that name usually holds a secret.

    Case and separators do not matter: ``identitytoken``, ``X-Auth-Token`` and ``REGISTRY_HTTP_SECRET`` do;
    ``token_type``, ``secretName`` and ``password_file`` do not.
    """
    plain = _plain(name)
    if plain in _HARMLESS_NAMES:
        return False
    return plain in _SECRET_NAMES or plain.endswith(_SECRET_SUFFIXES)


def _plain(name: str) -> str:
    return _NOT_NAME.sub("", name).lower()


def redact_header(name: str, value: str) -> str:
    """Blank what is secret in one HTTP header.

    The scheme of ``Authorization`` stays, as do the names of cookies and their attributes; URLs in any header
    are redacted as by ``redact_url``.
    """
    plain = _plain(name)
    if plain in {"authorization", "proxyauthorization"}:
        scheme, blank, _ = value.strip().partition(" ")
        return f"{scheme} {MASK}" if blank and scheme.isascii() and len(scheme) <= 20 else MASK
    if plain == "cookie":
        return "; ".join(_mask_pair(pair) for pair in value.split(";"))
    if plain == "setcookie":
        first, separator, attributes = value.partition(";")
        return _mask_pair(first) + separator + attributes
    if plain in {"wwwauthenticate", "proxyauthenticate"}:
        return _USERINFO.sub(f"{MASK}@", value)
    if is_secret_name(name):
        return MASK
    return redact_url(value) if plain in {"location", "contentlocation"} else redact_text(value)


def _mask_pair(pair: str) -> str:
    name, equals, _ = pair.strip().partition("=")
    return f"{name}={MASK}" if equals else MASK


def redact_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Redact every header; order and repetition are kept."""
    return tuple((name, redact_header(name, value)) for name, value in headers)


def redact_url(url: str) -> str:
    """Blank user information and the secret values of query and fragment of an absolute or relative URL.

    Parameter names stay. In a signed URL (S3, Google, Azure, CloudFront, …) every value is blanked except
    those that say when and how it was signed.
    """
    url = _MISWRITTEN_USERINFO.sub(f"{MASK}@", url)
    head, question, rest = url.partition("?")
    query, hash_mark, fragment = rest.partition("#") if question else ("", "", "")
    if not question:
        head, hash_mark, fragment = url.partition("#")
    return (
        _USERINFO.sub(f"{MASK}@", head)
        + question
        + redact_form(query)
        + hash_mark
        + (redact_form(fragment) if "=" in fragment else fragment)
    )


def redact_form(text: str) -> str:
    """Blank the secret values of ``name=value&…``: a URL query or a form body."""
    return "&".join(
        f"{name}={MASK}" if secret else f"{name}{equals}{value}"
        for name, equals, value, secret in _pairs(text)
    )


def _pairs(text: str) -> list[tuple[str, str, str, bool]]:
    """The pairs of ``name=value&…``, taken apart, and whether each value is secret."""
    pairs = [pair.partition("=") for pair in text.split("&")]
    names = [_plain(unquote_plus(name)) for name, _, _ in pairs]
    signed = any(name in _SIGNATURES for name in names)
    return [
        (
            name,
            equals,
            value,
            bool(equals and value)
            and (
                is_secret_name(plain)
                or plain in _QUERY_SECRETS
                or (signed and plain not in _SIGNED_BUT_HARMLESS)
            ),
        )
        for (name, equals, value), plain in zip(pairs, names, strict=True)
    ]


def secrets_in_urls(text: str) -> tuple[Secret, ...]:
    """The secrets in the URLs of a text: passwords in user information, and values that sign a query.

    For texts that must be kept as they are because the next request needs them, such as the realm of a
    challenge: what is found is remembered, and blanked wherever it comes up.
    """
    found: dict[str, None] = {}
    for match in _URL.finditer(text):
        head, _, rest = match[0].partition("?")
        for userinfo in _USERINFO.findall(head):
            password = userinfo.removesuffix("@").partition(":")[2]
            found |= dict.fromkeys((password, unquote_plus(password)))
        for _name, _equals, value, secret in _pairs(rest.partition("#")[0]) if rest else ():
            if secret:
                found |= dict.fromkeys((value, unquote_plus(value)))
    return tuple(Secret(value) for value in found if value)


def redact_json(value: object) -> object:
    """Return a copy of a decoded JSON value with the secret members blanked.

    Text and numbers under a secret name are blanked at any depth below it; free text elsewhere is redacted
    as by ``redact_text``. ``true``, ``false`` and ``null`` stay. Nesting beyond 64 levels is blanked.
    """
    return _redact_json(value, secret=False, depth=0)


def _redact_json(value: object, *, secret: bool, depth: int) -> object:
    if depth > _MAX_DEPTH:
        return MASK
    if isinstance(value, Mapping):
        return {
            redact_text(str(key)): _redact_json(each, secret=_secret_member(str(key), each), depth=depth + 1)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redact_json(each, secret=secret, depth=depth + 1) for each in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    if secret or isinstance(value, Secret):
        return MASK
    return redact_text(value) if isinstance(value, str) else value


def _secret_member(name: str, value: object) -> bool:
    """Whether to blank a member. An object keeps its shape: its own members are judged by their names."""
    return is_secret_name(name) and not isinstance(value, Mapping)


def redact_body(body: bytes, content_type: str | None) -> str:
    """Return the text of a body, redacted as JSON, form or free text according to what it is.

    Bad UTF-8 becomes U+FFFD. JSON is recognised whatever the content type says, since servers mislabel it.
    """
    text = body.decode("utf-8", "replace")
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return json.dumps(redact_json(json.loads(text)), ensure_ascii=False)
        except (ValueError, RecursionError):
            return redact_text(text)
    if (content_type or "").lower().startswith("application/x-www-form-urlencoded"):
        return redact_form(text)
    return redact_text(text)


def redact_text(text: str) -> str:
    """Blank what looks like a secret in free text: logs, configuration, command lines, error messages.

    Covers private keys in PEM, user information and queries of URLs, ``Authorization`` and cookies, JWTs,
    password hashes (their kind stays), assignments and flags with a telling name. Prose such as
    ``invalid token: signature is wrong`` stays as it is.
    """
    text = _PEM.sub(lambda m: f"{m[1]}\n{MASK}\n{m[3]}", text)
    text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
    text = _COOKIE_LINE.sub(lambda m: f"{m[1]}{MASK}", text)
    text = _PROXY_WITHOUT_SCHEME.sub(rf"\1{MASK}@", text)
    text = _URL.sub(lambda m: redact_url(m[0]), text)
    text = _BARE_QUERY.sub(lambda m: f"{m[1]}={MASK}" if _secret_parameter(m[1]) else m[0], text)
    text = _JWT.sub(MASK, text)
    text = _SCHEME_AND_VALUE.sub(lambda m: f"{m[1]} {MASK}" if _is_credential(m[1], m[2]) else m[0], text)
    text = _HASH.sub(rf"\1{MASK}", text)
    text = _ASSIGNMENT.sub(_mask_assignment, text)
    text = _YAML_LINE.sub(_mask_yaml, text)
    text = _FLAG.sub(lambda m: f"{m[1]}{m[2]}{MASK}" if is_secret_name(m[1]) else m[0], text)
    return _CURL_USER.sub(rf"\1{MASK}", text)


def _secret_parameter(name: str) -> bool:
    plain = _plain(name)
    return is_secret_name(plain) or plain in _QUERY_SECRETS or plain in _SIGNATURES


def _is_credential(scheme: str, value: str) -> bool:
    """Tell a credential from a word of prose after "basic" or "bearer"."""
    if scheme.lower() == "bearer":
        return len(value) >= 32 or any(character.isdigit() for character in value)
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return False


def _mask_assignment(match: re.Match[str]) -> str:
    value = match["value"]
    if not is_secret_name(match["name"]) or value.strip("\"'") in {"", MASK, "true", "false", "null"}:
        return match[0]
    if match["sign"] == "=" and value.startswith(("$", "<")):  # a variable or placeholder, not its value
        return match[0]
    mark = value[0] if value[0] in "\"'" else ""
    return f"{match['name']}{match['sign']}{mark}{MASK}{mark}"


def _mask_yaml(match: re.Match[str]) -> str:
    name, value = match["name"], match["value"].strip()
    if not is_secret_name(name) or value in {"true", "false", "null", "~", MASK}:
        return match[0]
    # "token: signed by untrusted key" is a message, "password: open sesame" is a setting.
    prose = " " in value and value[0] not in "\"'" and _plain(name).endswith(_SECRETS_TALKED_ABOUT)
    return match[0] if prose else f"{match['start']}{MASK}"


STRUCTURE_WORDS: Final = frozenset(
    {
        *("error", "warning", "info", "pass", "warn", "fail", "skip", "healthy", "degraded", "failing"),
        *("undetermined", "proven", "likely", "possible", "true", "false", "null", "none"),
        *("registry", "regdoctor", "target", "targets", "report", "findings", "finding", "checks", "check"),
        *("facts", "exchanges", "detail", "title", "code", "severity", "certainty", "evidence", "docs"),
        *("http", "https", "docker", "containerd", "podman", "token", "repository", "manifest", "body"),
    }
)
"""Words that the report itself consists of. Blanking them would destroy it and would tell that one of them is
the secret; leaving them tells nothing."""

_BASE64_CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")
_BASE64_REST: Final = re.compile(r"[A-Za-z0-9+/_-]*=*")
_BREAK: Final = r"(?:\\|[ \t]*\r?\n[ \t]*)?"


class Scrubber:
    """Blanks known secrets in text and bytes that are about to leave.

    A secret is found as it is, URL-encoded, JSON- and HTML-escaped, with backslashes or line breaks that a
    renderer put in, in base64 (alone or after ``user:``, whatever the user is called), and in base64url.

    - From 8 characters on it is blanked anywhere.
    - From 4 to 7 characters it is blanked where it stands alone, not inside a longer word or number.
    - Below 4 characters, and for the words that every report consists of, blanking would riddle the report
      without hiding anything; such a secret is blanked only as ``user:secret`` (with a name of
      ``usernames``), plain or in base64.
    """

    def __init__(self, secrets: Iterable[Secret], usernames: Iterable[str] = ()) -> None:
        self._values = sorted({secret.reveal() for secret in secrets} - {""}, key=len, reverse=True)
        self._names = sorted(set(usernames) - {""})
        fragments = dict.fromkeys(each for value in self._values for each in _fragments(value, self._names))
        self._fragments = tuple(sorted(fragments, key=len, reverse=True))
        spellings = dict.fromkeys(each for value in self._values for each in (value, *_escaped(value)))
        self._spellings = tuple((spelling, _squeeze(spelling)) for spelling in spellings)
        self._shortest = min((len(bare) for _spelling, bare in self._spellings), default=0)

    def scrub(self, text: str) -> str:
        """Return the text with every known secret replaced by ``***``."""
        if any(fragment in text for fragment in self._fragments):
            text = _blank_base64(text, re.compile("|".join(map(re.escape, self._fragments))))
        if not self._may_be_in(text):
            return text
        forms = dict.fromkeys(form for value in self._values for form in _forms(value, self._names))
        return re.sub("|".join(forms), MASK, text) if forms else text

    def _may_be_in(self, text: str) -> bool:
        """Whether some spelling of a secret can be in the text; false for nearly every report.

        The expressions that find the exact place are as long as the secrets many times over, and compiling
        them for a token takes longer than the rest of a run.
        """
        if len(text) < self._shortest:
            return False
        squeezed = _squeeze(text) if "\\" in text or "\n" in text or " " in text else text
        return any(spelling in text or bare in squeezed for spelling, bare in self._spellings)

    def scrub_bytes(self, data: bytes) -> bytes:
        """Return the bytes with every known secret (as UTF-8) replaced by ``***``.

        Bytes that are not UTF-8 pass through unchanged.
        """
        return self.scrub(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _blank_base64(text: str, fragment: re.Pattern[str]) -> str:
    """Blank every run of base64 characters that holds a fragment."""
    parts: list[str] = []
    done = 0
    for match in fragment.finditer(text):
        if match.start() < done:
            continue
        start = match.start()
        while start > done and text[start - 1] in _BASE64_CHARACTERS:
            start -= 1
        after = _BASE64_REST.match(text, match.end())
        parts += (text[done:start], MASK)
        done = after.end() if after is not None else match.end()
    return "".join((*parts, text[done:]))


def _forms(secret: str, usernames: Iterable[str]) -> Iterable[str]:
    """Regular expressions for the ways in which a secret is written out, the longest first."""
    for name in usernames:
        yield re.escape(name) + _BREAK + ":" + _BREAK + _spelt_out(secret)
    if not _is_blanked_alone(secret):
        return
    before, after = ("", "") if len(secret) >= 8 else ("(?<![A-Za-z0-9])", "(?![A-Za-z0-9])")
    for form in sorted(_escaped(secret), key=len, reverse=True):
        yield f"{before}{re.escape(form)}{after}"
    yield f"{before}{_spelt_out(secret)}{after}"


def _escaped(secret: str) -> frozenset[str]:
    """The spellings that differ from the secret: URL-encoded, JSON- and HTML-escaped, as Python shows it."""
    raw = secret.encode("utf-8", "surrogatepass")
    spellings = {
        quote(raw, safe=""),
        quote_plus(raw, safe=""),
        quote(raw),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        html.escape(secret, quote=False),
        repr(secret)[1:-1],
    }
    return frozenset(spellings - {secret})


def _squeeze(text: str) -> str:
    """The text without what a renderer may put between two characters of a secret."""
    return re.sub(r"[\\\s]+", "", text)


def _fragments(secret: str, usernames: Iterable[str]) -> Iterable[str]:
    """Parts of base64 texts that only this secret can have put there."""
    raw = secret.encode("utf-8", "surrogatepass")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for name in usernames:
            pair = f"{name}:".encode("utf-8", "surrogatepass") + raw
            yield encode(pair).decode("ascii")[: len(pair) * 8 // 6]
        if not _is_blanked_alone(secret):
            continue
        # The secret may begin at any of the three places within a group of three bytes; only the characters
        # that depend on no other byte are looked for.
        for shift, skip in ((0, 0), (1, 2), (2, 3)):
            fragment = encode(bytes(shift) + raw).decode("ascii")[skip : (shift + len(raw)) * 8 // 6]
            if len(fragment) >= 6:
                yield fragment


def _is_blanked_alone(secret: str) -> bool:
    return len(secret) >= 4 and secret.lower() not in STRUCTURE_WORDS


def _spelt_out(secret: str) -> str:
    return _BREAK.join(re.escape(character) for character in secret)
