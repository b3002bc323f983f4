"""Tokens: the answer of a token server, what a token claims, and the ids of keys that sign them.

Tokens are read, never verified: the registry alone decides. The shapes are those of
``docs/content/spec/auth/{token,oauth,jwt}.md`` of distribution 3.1.1, RFC 7519 (claims) and RFC 7515
(header). Nothing here keeps the text of a token except ``TokenResponse.token``, which is a ``Secret``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from regdoctor.oci.document import InvalidDocument, integer_of, read_json_object, text_of
from regdoctor.oci.errors import looks_like_html
from regdoctor.oci.scope import Scope
from regdoctor.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

_MAX_TOKEN: Final = 64 * 1024
_MAX_RESPONSE: Final = 1024 * 1024
_MAX_ACCESS: Final = 1000
_DEFAULT_LIFETIME: Final = 60


class TokenClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says about itself, as far as it can be read.

    ``opaque`` is true where the token is no JWT, which is legal: clients must not look inside. Times are UTC.
    ``audience_is_array`` matters because distribution 2.8 refuses an array. ``states_access`` tells an empty
    ``access`` claim, which grants nothing, from none at all. ``problems`` are sentences on claims of a wrong
    type; such claims are ``None`` or empty.
    """

    opaque: bool = False
    algorithm: str | None = None
    key_id: str | None = None
    has_x5c: bool = False
    has_jwk: bool = False
    issuer: str | None = None
    subject: str | None = None
    audience: tuple[str, ...] = ()
    audience_is_array: bool = False
    issued_at: datetime | None = None
    not_before: datetime | None = None
    expires: datetime | None = None
    access: tuple[Scope, ...] = ()
    states_access: bool = False
    problems: tuple[str, ...] = ()

    @property
    def key_id_is_libtrust(self) -> bool:
        """Whether the key id has the libtrust form, which distribution 3 no longer knows."""
        return self.key_id is not None and is_libtrust_key_id(self.key_id)


class TokenResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a token server with status 200.

    ``token`` is what clients use: ``access_token`` where it is given, else ``token`` (containerd
    ``core/remotes/docker/auth/fetch.go``); ``problem`` says why there is none. ``expires_in`` is seconds as
    sent, ``scope`` the access granted as sent (OAuth2 only), ``fields`` the names of the members seen.
    """

    ok: bool
    problem: str | None = None
    token: Secret | None = None
    refresh_token: Secret | None = None
    expires_in: int | None = None
    issued_at: datetime | None = None
    scope: str | None = None
    fields: tuple[str, ...] = ()
    looks_like_html: bool = False

    @property
    def lifetime(self) -> int:
        """Seconds that clients reckon with: 60 where none or less is said (docker lifts it so)."""
        return max(_DEFAULT_LIFETIME, self.expires_in or 0)


class KeyIds(msgspec.Struct, frozen=True, kw_only=True):
    """The ids under which a registry may know one public key.

    ``libtrust`` is what distribution 2.8 looks for in ``kid``; ``thumbprint`` is RFC 7638, which
    distribution 3 wants; ``thumbprint_unpadded`` is what 3.1 computes for elliptic-curve keys whose
    coordinates begin with a zero byte (else equal to ``thumbprint``); ``thumbprint_base_point`` is what 3.0.0
    computes for every elliptic-curve key of the same curve. The latter two are ``None`` for other keys.
    """

    libtrust: str
    thumbprint: str
    thumbprint_unpadded: str | None = None
    thumbprint_base_point: str | None = None

    @property
    def all(self) -> frozenset[str]:
        """Every id of the key, to compare a ``kid`` with."""
        ids = (self.libtrust, self.thumbprint, self.thumbprint_unpadded, self.thumbprint_base_point)
        return frozenset(each for each in ids if each is not None)


def decode_token(token: str | Secret) -> TokenClaims:
    """Read header and claims of a JWT in compact form; the signature is not checked.

    At most 64 KiB are read. Whatever is no such JWT gives ``opaque=True``. Never raises.
    """
    text = token.reveal() if isinstance(token, Secret) else token
    if len(text) > _MAX_TOKEN:
        return TokenClaims(opaque=True, problems=(f"the token is longer than {_MAX_TOKEN} characters",))
    parts = text.strip().split(".")
    if len(parts) != 3:
        return TokenClaims(opaque=True)
    try:
        header = read_json_object(_base64url(parts[0]), max_bytes=_MAX_TOKEN)
        claims = read_json_object(_base64url(parts[1]), max_bytes=_MAX_TOKEN)
    except (InvalidDocument, binascii.Error, ValueError):
        return TokenClaims(opaque=True)

    problems: list[str] = []
    audience = claims.get("aud")
    if audience is not None and not isinstance(audience, str | list):
        problems.append("the claim aud is neither a text nor a list of texts")
    audiences = audience if isinstance(audience, list) else [audience]
    return TokenClaims(
        algorithm=_claim(header, "alg", problems),
        key_id=_claim(header, "kid", problems),
        has_x5c=bool(header.get("x5c")),
        has_jwk=bool(header.get("jwk")),
        issuer=_claim(claims, "iss", problems),
        subject=_claim(claims, "sub", problems),
        audience=tuple(each for each in audiences if isinstance(each, str)),
        audience_is_array=isinstance(audience, list),
        issued_at=_time(claims, "iat", problems),
        not_before=_time(claims, "nbf", problems),
        expires=_time(claims, "exp", problems),
        access=_access(claims.get("access"), problems),
        states_access="access" in claims,
        problems=tuple(problems),
    )


def _base64url(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515 section 2); raises ``ValueError``."""
    if "=" in text or not text.isascii():
        raise ValueError("not base64url without padding")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _claim(members: dict[str, object], name: str, problems: list[str]) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        problems.append(f"{name} is not a text")
    return text_of(value)


def _time(claims: dict[str, object], name: str, problems: list[str]) -> datetime | None:
    """Read a NumericDate, seconds since 1970 (RFC 7519 section 2)."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        problems.append(f"the claim {name} is not a number of seconds")
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        problems.append(
            f"the claim {name} lies outside the years 1 to 9999 (milliseconds instead of seconds?)"
        )
        return None


def _access(value: object, problems: list[str]) -> tuple[Scope, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        problems.append("the claim access is not a list")
        return ()
    scopes: list[Scope] = []
    for entry in value[:_MAX_ACCESS]:
        members = entry if isinstance(entry, dict) else {}
        kind, name, actions = (
            text_of(members.get("type")),
            text_of(members.get("name")),
            members.get("actions"),
        )
        if kind is None or name is None or not isinstance(actions, list | None):
            problems.append("an entry of the claim access has not the members type, name and actions")
            continue
        scopes.append(
            Scope(
                type=kind,
                resource_class=text_of(members.get("class")) or None,
                name=name,
                actions=tuple(action for action in actions or () if isinstance(action, str)),
            )
        )
    return tuple(scopes)


def parse_token_response(body: bytes, content_type: str | None) -> TokenResponse:
    """Judge the body that a token server sent with status 200. Never raises.

    ``content_type`` is the header's value; clients do not look at it, so it only helps to tell HTML apart.
    """
    html = looks_like_html(body, content_type)
    try:
        members = read_json_object(body, max_bytes=_MAX_RESPONSE)
    except InvalidDocument as error:
        what = "it is an HTML page" if html else str(error)
        return TokenResponse(
            ok=False, problem=f"the answer is not a token response: {what}", looks_like_html=html
        )
    fields = tuple(sorted(members)[:64])
    token = members.get("access_token") or members.get("token")
    problem: str | None = None
    if token is None or token == "":
        problem = "the answer has neither token nor access_token"
    elif not isinstance(token, str):
        problem = "the token in the answer is not a text"
    elif any(character.isspace() or not character.isprintable() for character in token):
        problem = "the token holds blanks or control characters, so it cannot be sent in a header"
    refresh_token = text_of(members.get("refresh_token"))
    return TokenResponse(
        ok=problem is None,
        problem=problem,
        token=Secret(token) if isinstance(token, str) and problem is None else None,
        refresh_token=Secret(refresh_token) if refresh_token else None,
        expires_in=integer_of(members.get("expires_in")),
        issued_at=_rfc3339(text_of(members.get("issued_at"))),
        scope=text_of(members.get("scope")),
        fields=fields,
        looks_like_html=html,
    )


def _rfc3339(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else None


def is_libtrust_key_id(key_id: str) -> bool:
    """Whether a key id has the libtrust form: 12 groups of 4 base32 characters, parted by colons."""
    groups = key_id.split(":")
    alphabet = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    return len(groups) == 12 and all(len(group) == 4 and alphabet.issuperset(group) for group in groups)


def key_ids(key: PublicKeyTypes) -> KeyIds:
    """Compute every id under which registries may know a public key.

    ``key`` is an RSA, elliptic-curve (P-256, P-384, P-521) or Ed25519 key of the ``cryptography`` library.
    Sources: docker/libtrust ``util.go`` (SHA-256 of the DER public key, cut to 240 bits, base32); RFC 7638
    section 3 with RFC 8037 section 2 for Ed25519; distribution 3.0.0 and 3.1.1
    ``registry/auth/token/util.go`` for the deviations.

    Raises ``ValueError`` for other kinds of keys.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    unpadded: str | None = None
    base_point: str | None = None
    if isinstance(key, rsa.RSAPublicKey):
        public = key.public_numbers()
        members = {"e": _integer(public.e), "kty": "RSA", "n": _integer(public.n)}
    elif isinstance(key, ec.EllipticCurvePublicKey):
        curve = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}.get(key.curve.name)
        if curve is None:
            raise ValueError(f"the curve {key.curve.name} does not sign tokens")
        point = key.public_numbers()
        length = (key.key_size + 7) // 8
        members = _point(curve, point.x, point.y, length)
        unpadded = _thumbprint(_point(curve, point.x, point.y, 0))
        generator = ec.derive_private_key(1, key.curve).public_key().public_numbers()
        base_point = _thumbprint(_point(curve, generator.x, generator.y, 0))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        members = {"crv": "Ed25519", "kty": "OKP", "x": _unpadded_base64url(raw)}
    else:
        raise ValueError("only RSA, elliptic-curve and Ed25519 keys sign tokens")  # noqa: TRY004
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    letters = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode("ascii")
    return KeyIds(
        libtrust=":".join(letters[start : start + 4] for start in range(0, len(letters), 4)),
        thumbprint=_thumbprint(members),
        thumbprint_unpadded=unpadded,
        thumbprint_base_point=base_point,
    )


def _point(curve: str, x: int, y: int, length: int) -> dict[str, str]:
    return {"crv": curve, "kty": "EC", "x": _integer(x, length), "y": _integer(y, length)}


def _integer(value: int, length: int = 0) -> str:
    """Encode a big-endian integer as base64url, filled with zero bytes up to ``length``."""
    return _unpadded_base64url(value.to_bytes(max(length, (value.bit_length() + 7) // 8)))


def _unpadded_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _thumbprint(members: dict[str, str]) -> str:
    """Hash the required members in lexicographic order, without blanks (RFC 7638 section 3)."""
    canonical = msgspec.json.encode(dict(sorted(members.items())))
    return _unpadded_base64url(hashlib.sha256(canonical).digest())
