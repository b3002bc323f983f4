"""Reads docker's ``config.json`` and ``auth.json`` to be judged as files; credentials are looked up elsewhere.

docker/cli ``cli/config/configfile``; containers/image ``pkg/docker/config``.
"""

from __future__ import annotations

from pathlib import Path

from regdoctor import json_go
from regdoctor.facts.client import CredentialSettings, Flaw, Listed
from regdoctor.host.credential_files import MalformedAuth, decode_auth
from regdoctor.host.settings_files import flaw, listed, read_text, unparsed
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge
from regdoctor.secret import Secret

_KINDS = {
    "auths": Kind.MAP,
    "credHelpers": Kind.MAP,
    "credsStore": Kind.STRING,
    "HttpHeaders": Kind.MAP,
    "proxies": Kind.MAP,
}
_GO_KINDS = {Kind.LIST: "array", Kind.STRING: "string", Kind.NUMBER: "number", Kind.BOOLEAN: "bool"}


def read_credential_settings(path: Path) -> tuple[CredentialSettings, list[Secret]]:
    """Reads the file: what it sets, and the secrets in it, which must not leave. Never raises."""
    text = read_text(path)
    if isinstance(text, Flaw):
        return CredentialSettings(path=str(path), flaws=(text,)), []
    if not text.strip():
        return CredentialSettings(path=str(path)), []
    try:
        # docker decodes a stream, so whatever follows the first value is left alone.
        root = json_go.parse(text, trailing=True)
    except (SyntaxProblem, TooLarge) as error:
        return CredentialSettings(path=str(path), flaws=(unparsed(path, error),)), []
    if root.kind is not Kind.MAP:
        kind = _GO_KINDS.get(root.kind, "null")
        message = f"json: cannot unmarshal {kind} into Go value of type configfile.ConfigFile"
        return CredentialSettings(path=str(path), flaws=(flaw(path, root, message),)), []
    flaws = _mistyped(root, path)
    # .dockercfg has the entries without the level auths.
    auths = root.get("auths") or (root if path.name == ".dockercfg" else None)
    malformed, secrets = _entries(auths, path)
    store = root.get("credsStore")
    return CredentialSettings(
        path=str(path),
        flaws=tuple(flaws),
        entries=_keys(auths, path),
        malformed=tuple(malformed),
        store=listed(path, store) if store is not None and store.value else None,
        helpers=_keys(root.get("credHelpers"), path),
    ), secrets


def _mistyped(root: Node, path: Path) -> list[Flaw]:
    found = []
    for key, node in root.pairs:
        wanted = _KINDS.get(key)
        if wanted is not None and node.kind not in (wanted, Kind.NULL):
            what = "an object" if wanted is Kind.MAP else "a text"
            found.append(flaw(path, node, f"{key} is not {what}", key=key))
    auths = root.get("auths")
    for name, entry in auths.pairs if auths is not None else ():
        if entry.kind not in (Kind.MAP, Kind.NULL):
            found.append(flaw(path, entry, f"the entry of auths for {name} is not an object", key=name))
    return found


def _keys(node: Node | None, path: Path) -> tuple[Listed, ...]:
    pairs = node.pairs if node is not None and node.kind is Kind.MAP else ()
    return tuple(listed(path, value, key) for key, value in pairs)


def _entries(auths: Node | None, path: Path) -> tuple[list[Flaw], list[Secret]]:
    malformed: list[Flaw] = []
    secrets: list[Secret] = []
    for name, entry in auths.pairs if auths is not None else ():
        if entry.kind is not Kind.MAP:
            continue
        for member in ("password", "identitytoken", "registrytoken"):
            found = entry.get(member)
            if found is not None and found.value:
                secrets.append(Secret(found.value))
        auth = entry.get("auth")
        if auth is None or not auth.value:
            continue
        secrets.append(Secret(auth.value))
        try:
            _user, secret, odd = decode_auth(auth.value)
        except MalformedAuth as error:
            malformed.append(flaw(path, auth, str(error), key=name))
            continue
        secrets.append(secret)
        if odd is not None:
            malformed.append(flaw(path, auth, odd, key=name, ignored=True))
    return malformed, secrets
