"""Credential helpers: programs called ``docker-credential-NAME`` that keep credentials for clients.

The protocol is that of docker-credential-helpers v0.9 (``client/client.go``): the registry's key on standard
input of ``get``, a JSON object on standard output.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from regdoctor.facts.auth import CredentialKind, HelperCall, HelperOutcome
from regdoctor.host.commands import run_command
from regdoctor.oci.document import InvalidDocument, read_json_object, text_of
from regdoctor.redact import redact_text
from regdoctor.secret import Secret

HELPER_TIMEOUT: Final = 5.0
"""Seconds that one call may take. A helper that waits for somebody to unlock a keychain takes for ever."""

_PREFIX: Final = "docker-credential-"
_NOT_FOUND: Final = "credentials not found in native keychain"
_TOKEN_USERNAME: Final = "<token>"  # noqa: S105 - the user name that marks an identity token
_MAX_ANSWER: Final = 1024 * 1024
_MAX_MESSAGE: Final = 300


@dataclass(frozen=True, kw_only=True)
class HelperAnswer:
    """How a call ended, and the credentials where it found any."""

    call: HelperCall
    kind: CredentialKind | None = None
    username: str | None = None
    secret: Secret | None = None


def call_helper(
    name: str,
    server: str,
    *,
    setting: str,
    place: str,
    environment: Mapping[str, str],
    timeout: float = HELPER_TIMEOUT,
) -> HelperAnswer:
    """Ask ``docker-credential-NAME`` for the credentials of ``server``.

    ``setting`` and ``place`` say what names the helper, for the report. The program is looked for in the
    ``PATH`` of ``environment`` and gets that environment; ``timeout`` is in seconds. Never raises.
    """
    program = f"{_PREFIX}{name}"

    def ended(outcome: HelperOutcome, message: str = "") -> HelperAnswer:
        return HelperAnswer(
            call=HelperCall(
                program=program,
                setting=setting,
                place=place,
                server=server,
                outcome=outcome,
                message=redact_text(message.strip())[:_MAX_MESSAGE],
            )
        )

    path = None if "/" in name or "\0" in name else shutil.which(program, path=environment.get("PATH", ""))
    if path is None:
        return ended(HelperOutcome.MISSING, f"{program} is not in PATH")
    try:
        result = run_command(
            [path, "get"], environment=environment, timeout=timeout, stdin=server.encode(), limit=_MAX_ANSWER
        )
    except (OSError, ValueError) as error:
        return ended(HelperOutcome.FAILED, f"{program} cannot be started: {error}")
    if result.timed_out:
        return ended(HelperOutcome.TIMEOUT, f"{program} gave no answer within {timeout:g} s")
    if result.status != 0:
        text = result.stdout.decode("utf-8", "replace").strip()
        if text == _NOT_FOUND:
            return ended(HelperOutcome.NOT_FOUND, text)
        more = result.stderr.decode("utf-8", "replace").strip()
        ending = "was stopped" if result.status is None else f"exit status {result.status}"
        return ended(HelperOutcome.FAILED, f"{ending}: {text or more or 'no message'}")
    try:
        answer = read_json_object(result.stdout, max_bytes=_MAX_ANSWER)
    except InvalidDocument as error:
        return ended(HelperOutcome.FAILED, f"the answer of {program} cannot be used: {error}")
    username, secret = text_of(answer.get("Username")), text_of(answer.get("Secret"))
    if not username and not secret:
        return ended(HelperOutcome.NOT_FOUND, f"{program} answers without user name and secret")
    is_token = username == _TOKEN_USERNAME
    return HelperAnswer(
        call=ended(HelperOutcome.FOUND).call,
        kind=CredentialKind.IDENTITY_TOKEN if is_token else CredentialKind.PASSWORD,
        username=None if is_token else username,
        secret=Secret(secret or ""),
    )
