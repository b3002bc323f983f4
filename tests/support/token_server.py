"""A real token server: it checks passwords, grants actions and signs the tokens that the registry verifies.

Follows distribution's token authentication specification (GET) and its OAuth2 variant (POST).
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import serialization

from tests.support import certificates
from tests.support.certificates import Certificate, CertificateFiles, KeyType
from tests.support.http_server import Answer, HTTPServer, Request, json_answer
from tests.support.netns import Namespace
from tests.support.registry import TokenAuth
from tests.support.registry_client import Credential

KeyIdentification = Literal["kid", "x5c", "both", "thumbprint"]

Grants = Callable[[str | None, str, str], Iterable[str]] | Mapping[str, Sequence[str]]
"""Who may do what: a function of account (None: anonymous), type and name; or name patterns and actions."""


@dataclass(frozen=True)
class TokenFaults:
    """What the token server does wrong. Times are in seconds; offsets are added to its clock."""

    issuer: str | None = None
    """Put another ``iss`` into tokens."""
    audience: str | list[str] | None = None
    """Put another ``aud`` into tokens, such as a list."""
    clock_offset: float = 0
    """Shift ``nbf``, ``iat`` and ``exp``, as a server does whose clock is wrong."""
    date_offset: float | None = None
    """Shift the Date header; by default it is shifted as the tokens are."""
    lifetime: float | None = None
    """Make tokens valid for this long instead."""
    foreign_key: bool = False
    """Sign with a key that the registry does not know."""
    html: bool = False
    """Answer with a web page, status 200."""
    status: int | None = None
    """Answer every request with this status and an error."""
    missing_field: bool = False
    """Leave ``token`` and ``access_token`` out."""
    deny: tuple[str, ...] = ()
    """Never grant these actions, such as ``push``."""
    no_post: bool = False
    """Know the GET form alone, and answer 404 to POST."""
    delay: float = 0
    """Wait before every answer."""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further headers of every answer, such as Retry-After."""


class TokenServer(HTTPServer):
    """A token server that runs while the context is open; ``auth()`` is what the registry needs to know.

    ``users``      user names and passwords
    ``grants``     actions by account: a function, or a mapping from name pattern to actions for every user
    ``anonymous``  the same for requests without credentials, as a mapping
    ``faults``     may be replaced at any time
    """

    def __init__(
        self,
        directory: Path,
        *,
        users: Mapping[str, str] | None = None,
        grants: Grants | None = None,
        anonymous: Mapping[str, Sequence[str]] | None = None,
        issuer: str = "tokens.test",
        service: str = "registry.test",
        lifetime: float = 300,
        key_type: KeyType = "ec",
        identify_key_by: KeyIdentification = "both",
        faults: TokenFaults | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str | None = None,
        tls: CertificateFiles | None = None,
        path: str = "/token",
        namespace: Namespace | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.users = dict(users if users is not None else {"alice": "wonderland"})
        self.grants: Grants = grants if grants is not None else {"*": ("pull", "push", "delete", "*")}
        self.anonymous = dict(anonymous or {})
        self.issuer = issuer
        self.service = service
        self.lifetime = lifetime
        self.faults = faults or TokenFaults()
        self.path = path
        self.key_type = key_type
        self.identify_key_by = identify_key_by
        self._signer = certificates.self_signed((), (), common_name="token signing", key_type=key_type)
        self._foreign = certificates.self_signed((), (), common_name="token signing", key_type=key_type)
        self._refresh_tokens: dict[str, str] = {}
        self.certificate = directory / "token-signing.crt"
        self.certificate.write_text(self._signer.pem)
        super().__init__(self._respond, host=host, port=port, name=name, tls=tls, namespace=namespace)

    @property
    def realm(self) -> str:
        """The URL that the challenge names."""
        return f"{self.url}{self.path}"

    @property
    def credential(self) -> Credential:
        """The first user and its password."""
        return next(iter(self.users.items()))

    def auth(self, **changes: Any) -> TokenAuth:
        """Return the registry's section auth.token for this server; changes make the two disagree."""
        right = TokenAuth(
            realm=self.realm, service=self.service, issuer=self.issuer, rootcertbundle=self.certificate
        )
        return dataclasses.replace(right, **changes)

    def token(self, account: str | None, access: Sequence[Mapping[str, Any]]) -> str:
        """Return a signed token with the access list given, and with the faults that are set."""
        from joserfc import jwt
        from joserfc.jwk import ECKey, RSAKey

        faults = self.faults
        now = int(time.time() + faults.clock_offset)
        lifetime = self.lifetime if faults.lifetime is None else faults.lifetime
        claims: dict[str, Any] = {
            "iss": faults.issuer or self.issuer,
            "sub": account or "",
            "aud": faults.audience or self.service,
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime),
            "jti": uuid.uuid4().hex,
            "access": list(access),
        }
        signer = self._foreign if faults.foreign_key else self._signer
        algorithm = "RS256" if self.key_type == "rsa" else "ES256"
        header: dict[str, Any] = {"typ": "JWT", "alg": algorithm}
        if self.identify_key_by in {"kid", "both"}:
            header["kid"] = libtrust_key_id(signer)
        if self.identify_key_by == "thumbprint":
            header["kid"] = _jwk(signer, self.key_type).thumbprint()
        if self.identify_key_by in {"x5c", "both"}:
            header["x5c"] = [base64.b64encode(signer.der).decode()]
        key: RSAKey | ECKey = _jwk(signer, self.key_type)
        return jwt.encode(header, claims, key, algorithms=[algorithm])

    def _respond(self, request: Request) -> Answer:
        faults = self.faults
        if faults.delay:
            time.sleep(faults.delay)
        answer = self._right_answer(request)
        if faults.html:
            page = b"<!DOCTYPE html><html><title>Sign in</title></html>\n"
            answer = Answer(200, page, [("Content-Type", "text/html; charset=utf-8")])
        elif faults.status is not None:
            answer = _error(faults.status, "UNKNOWN", "the authentication backend failed")
        offset = faults.clock_offset if faults.date_offset is None else faults.date_offset
        date = ("Date", formatdate(time.time() + offset, usegmt=True))
        return dataclasses.replace(answer, headers=[*answer.headers, date, *faults.headers.items()])

    def _right_answer(self, request: Request) -> Answer:
        if urlsplit(request.target).path != self.path:
            return _error(404, "NOT_FOUND", "no such page")
        return self._post(request) if request.method == "POST" else self._get(request)

    def _get(self, request: Request) -> Answer:
        query = parse_qs(urlsplit(request.target).query)
        account: str | None = None
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            account = self._account(*_basic_credential(authorization))
            if account is None:
                return _error(401, "UNAUTHORIZED", "incorrect username or password")
        scopes = [scope for value in query.get("scope", []) for scope in value.split()]
        answer = self._answer(account, scopes, spell="token")
        if query.get("offline_token") == ["true"] and account is not None:
            answer["refresh_token"] = self._refresh_token(account)
        return json_answer(200, answer)

    def _post(self, request: Request) -> Answer:
        if self.faults.no_post:
            return _error(404, "NOT_FOUND", "no such page")
        form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        account: str | None
        if form.get("grant_type") == "refresh_token":
            account = self._refresh_tokens.get(form.get("refresh_token", ""))
        elif form.get("grant_type") == "password":
            account = self._account(form.get("username", ""), form.get("password", ""))
        else:
            return json_answer(400, {"error": "unsupported_grant_type"})
        if account is None:
            return _error(401, "UNAUTHORIZED", "incorrect username or password")
        answer = self._answer(account, form.get("scope", "").split(), spell="access_token")
        if form.get("access_type") == "offline" or form.get("grant_type") == "refresh_token":
            answer["refresh_token"] = self._refresh_token(account)
        return json_answer(200, answer)

    def _answer(self, account: str | None, scopes: Sequence[str], *, spell: str) -> dict[str, Any]:
        faults = self.faults
        granted = [item for item in (self._grant(account, scope) for scope in scopes) if item["actions"]]
        lifetime = self.lifetime if faults.lifetime is None else faults.lifetime
        answer: dict[str, Any] = {
            "expires_in": int(lifetime),
            "issued_at": datetime.fromtimestamp(time.time() + faults.clock_offset, UTC).isoformat(),
        }
        if spell == "access_token":
            answer["scope"] = " ".join(f"{a['type']}:{a['name']}:{','.join(a['actions'])}" for a in granted)
        if not faults.missing_field:
            answer[spell] = self.token(account, granted)
        return answer

    def _grant(self, account: str | None, scope: str) -> dict[str, Any]:
        """Return the access entry for a scope ``type:name:actions``, whose name may hold a colon itself."""
        kind, _, rest = scope.partition(":")
        name, _, wanted = rest.rpartition(":")
        allowed = {*self._allowed(account, kind, name)} - {*self.faults.deny}
        actions = [action for action in wanted.split(",") if action in allowed]
        return {"type": kind, "name": name, "actions": actions}

    def _allowed(self, account: str | None, kind: str, name: str) -> Iterable[str]:
        if callable(self.grants):
            return self.grants(account, kind, name)
        patterns = self.anonymous if account is None else self.grants
        return [
            action
            for pattern, actions in patterns.items()
            if fnmatchcase(name, pattern)
            for action in actions
        ]

    def _account(self, username: str, password: str) -> str | None:
        return username if username in self.users and self.users[username] == password else None

    def _refresh_token(self, account: str) -> str:
        token = uuid.uuid4().hex
        self._refresh_tokens[token] = account
        return token


def libtrust_key_id(certificate: Certificate) -> str:
    """Return the key's fingerprint as docker/libtrust writes it, as distribution 2.x expects ``kid``.

    The first 240 bits of the SHA-256 of the DER SubjectPublicKeyInfo, base32, in twelve groups of four.
    """
    public = certificate.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    encoded = base64.b32encode(hashlib.sha256(public).digest()[:30]).decode()
    return ":".join(encoded[start : start + 4] for start in range(0, len(encoded), 4))


def _jwk(certificate: Certificate, key_type: KeyType) -> Any:
    """Return a certificate's private key as joserfc takes it."""
    from joserfc.jwk import ECKey, RSAKey

    return (RSAKey if key_type == "rsa" else ECKey).import_key(certificate.key_pem)


def _basic_credential(authorization: str) -> Credential:
    """Return user name and password of a Basic header; both empty where it is another."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    username, _, password = base64.b64decode(encoded).decode().partition(":")
    return username, password


def _error(status: int, code: str, message: str) -> Answer:
    return json_answer(status, {"errors": [{"code": code, "message": message, "detail": None}]})
