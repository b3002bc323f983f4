"""Requests to a token server, as registry clients make them.

docker and podman ask by GET with HTTP Basic, and by POST (OAuth2) only where they hold an identity token:
distribution ``docs/content/spec/auth/{token,oauth}.md``, moby ``registry/client/auth/session.go``,
containers/image ``docker/docker_client.go``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from regdoctor.oci.scope import Scope
from regdoctor.secret import Secret

CLIENT_ID: Final = "regdoctor"
FORM_TYPE: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """One request to a token server. ``url`` holds no secret; ``form`` is the body of a POST."""

    method: str
    url: str
    authorization: Secret | None = None
    form: Secret | None = None

    @property
    def size(self) -> int:
        """Bytes of what servers limit: the URL, the ``Authorization`` value and the form."""
        secrets = (each.reveal() for each in (self.authorization, self.form) if each is not None)
        return len(self.url) + sum(len(each) for each in secrets)

    @property
    def carries_credentials(self) -> bool:
        """Whether anybody's credentials go with it."""
        return self.authorization is not None or self.form is not None


def basic_authorization(username: str, password: Secret) -> Secret:
    """Write the value of an ``Authorization`` header (RFC 7617, UTF-8)."""
    pair = f"{username}:{password.reveal()}".encode("utf-8", "surrogatepass")
    return Secret(f"Basic {base64.b64encode(pair).decode('ascii')}")


def bearer_authorization(token: Secret) -> Secret:
    """Write the value of an ``Authorization`` header (RFC 6750 section 2.1)."""
    return Secret(f"Bearer {token.reveal()}")


def token_request(
    realm: str,
    service: str | None,
    scopes: Iterable[Scope],
    *,
    username: str | None = None,
    password: Secret | None = None,
) -> TokenRequest:
    """Build the GET that docker and podman make: anonymous, or with user name and password.

    ``realm`` may hold a query already; each scope becomes a parameter of its own.
    """
    query = _parameters(service, [("scope", str(scope)) for scope in scopes])
    authorization = None
    if username and password:
        query.append(("account", username))
        authorization = basic_authorization(username, password)
    return TokenRequest(method="GET", url=_with_query(realm, query), authorization=authorization)


def refresh_request(
    realm: str, service: str | None, scopes: Iterable[Scope], identity_token: Secret
) -> TokenRequest:
    """Build the OAuth2 POST that exchanges an identity token (RFC 6749 section 6)."""
    joined = " ".join(str(scope) for scope in scopes)
    form = _parameters(service, [("scope", joined)] if joined else [])
    form += [
        ("client_id", CLIENT_ID),
        ("grant_type", "refresh_token"),
        ("refresh_token", identity_token.reveal()),
    ]
    return TokenRequest(method="POST", url=realm, form=Secret(urlencode(form)))


def _parameters(service: str | None, scopes: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [*([("service", service)] if service else []), *scopes]


def _with_query(url: str, parameters: list[tuple[str, str]]) -> str:
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(parameters))))
    return parts._replace(query=query).geturl()
