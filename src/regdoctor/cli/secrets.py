"""The secrets that a run comes to know, and the last pass that keeps them from leaving."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from regdoctor.redact import Scrubber
    from regdoctor.secret import Secret

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class KnownSecrets:
    """Collects secrets from options and probes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: list[Secret] = []
        self._usernames: list[str] = []

    def add(self, secret: Secret) -> None:
        """Remembers a secret, so that it is blanked in whatever leaves."""
        with self._lock:
            if not any(secret == known for known in self._secrets):
                self._secrets.append(secret)

    def add_username(self, username: str) -> None:
        """Remembers a user name, with which short passwords are recognised too."""
        with self._lock:
            self._usernames.append(username)

    def add_url(self, url: str) -> None:
        """Remembers the password in a URL, as it is written and as it reads decoded."""
        from urllib.parse import unquote, urlsplit

        from regdoctor.secret import Secret

        try:
            parts = urlsplit(url if "://" in url else f"//{url}")
        except ValueError:
            return
        if parts.username:
            self.add_username(unquote(parts.username))
        for password in {parts.password or "", unquote(parts.password or "")} - {""}:
            self.add(Secret(password))

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """Remembers the passwords in the environment's proxy settings."""
        for variable in PROXY_VARIABLES:
            for name in (variable, variable.lower()):
                if name in environment:
                    self.add_url(environment[name])

    def scrub(self, text: str) -> str:
        """The text without known secrets and without what looks like one: for messages and tracebacks."""
        from regdoctor.redact import redact_text

        return redact_text(self.scrubber().scrub(text))

    def scrubber(self) -> Scrubber:
        """What blanks the secrets that are known by now."""
        from regdoctor.redact import Scrubber

        with self._lock:
            return Scrubber(self._secrets, self._usernames)
