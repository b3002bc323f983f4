"""Reading of files that hold registry credentials: docker's, the containers tools' and Kubernetes secrets.

Files are read and understood here, never judged and never matched against a registry. What Go's clients
tolerate is tolerated: member names in another case, text after the first JSON value (docker only), line ends
inside base64 (``encoding/json``, ``encoding/base64``).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from regdoctor.secret import Secret

_MAX_FILE: Final = 4 * 1024 * 1024
_MAX_ENTRIES: Final = 10_000
_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/]")
_VARIABLE: Final = re.compile(r"\$\{?[A-Z_][A-Z0-9_]*\}?|\$\{\{.*\}\}")
"""A shell's variable, and an expression of GitHub Actions."""
_ESCAPED: Final = re.compile(r"\\[$!`]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

PULL_SECRET_KEYS: Final = {
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
}
"""The data key that a pull secret of each type must have (Kubernetes API, ``core/v1`` ``SecretType``)."""


class MalformedAuth(ValueError):  # noqa: N818  (a stored value that cannot be used)
    """A value of ``auth`` that clients cannot decode. The message is a sentence without the value."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One member of ``auths``. ``line`` says where its key stands, where that is known."""

    key: str
    members: Mapping[str, object] = field(repr=False)
    line: int | None = None

    def text(self, name: str) -> str:
        """Return a member that is a text, else the empty text."""
        value = self.members.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, kw_only=True)
class CredentialFile:
    """A file, a secret or a variable with credentials.

    ``place`` names it for people. ``problem`` says why clients cannot use it as a whole; ``missing`` that it
    does not exist, which is normal. ``pull_secret`` marks a Kubernetes secret, which has rules of its own.
    """

    place: str
    entries: tuple[Entry, ...] = ()
    store: str = ""
    helpers: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    problem_line: int | None = None
    unread: bool = False
    """Whether the problem is that the file could not be read here."""
    missing: bool = False
    pull_secret: bool = False

    def place_of(self, entry: Entry) -> str:
        """Where an entry stands: ``file:line``, or the file."""
        return self.place if entry.line is None else f"{self.place}:{entry.line}"

    @property
    def place_of_problem(self) -> str:
        """Where the problem lies: ``file:line``, or the file."""
        return self.place if self.problem_line is None else f"{self.place}:{self.problem_line}"


def decode_auth(value: str) -> tuple[str, Secret, str | None]:
    """Decode the ``auth`` of an entry, base64 of ``user:password``.

    Returns the user name, the password, and a sentence on what is odd about them (``None`` for nothing):
    clients send a line end at the end of a password along with it.

    Raises ``MalformedAuth`` where clients cannot use the value.
    """
    text = value.replace("\r", "").replace("\n", "")
    body = text.rstrip("=")
    bad = _NOT_BASE64.search(body)
    if bad is not None or len(text) - len(body) != -len(body) % 4 or len(body) % 4 == 1:
        position = bad.start() if bad is not None else len(body)
        raise MalformedAuth(f"the value of auth is not base64 (byte {position})")
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise MalformedAuth("the value of auth is not base64") from None
    username_bytes, colon, password_bytes = decoded.partition(b":")
    if not colon:
        raise MalformedAuth("the value of auth is base64, but not of user:password (there is no colon)")
    if not username_bytes:
        raise MalformedAuth("the value of auth is base64, but no user name stands before the colon")
    username, odd_name = _text(username_bytes)
    password, odd_password = _text(password_bytes.strip(b"\0"))
    odd = None
    if _CONTROL.search(username):
        odd = "the user name holds a line end or control character"
    elif password.endswith(("\n", "\r")):
        odd = (
            "the password ends with a line end, which is sent along (echo without -n, or a file's last line)"
        )
    elif _CONTROL.search(password):
        odd = "the password holds a line end or control character"
    elif odd_name or odd_password:
        odd = "user name or password is not UTF-8 text"
    else:
        odd = _shell_damage(username, password)
    return username, Secret(password), odd


def _shell_damage(username: str, password: str) -> str | None:
    """A sentence on what quoting in a shell or a CI variable does to user names and passwords, else None."""
    for name, value in (("user name", username), ("password", password)):
        if len(value) > 2 and value[0] == value[-1] and value[0] in "'\"":
            return f"the {name} stands in quotation marks, which are sent along"
        if value != value.strip(" \t"):
            return f"the {name} begins or ends with a blank, which is sent along"
        if _VARIABLE.fullmatch(value):
            return f"the {name} is the name of a variable and not its value: no shell has put that in"
        if _ESCAPED.search(value):
            return f"the {name} holds a backslash before “$” or “!”, as a shell leaves it between quotation marks"
    return None


def _text(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return data.decode("latin-1"), True


def read_config(path: Path, *, strict: bool = False) -> CredentialFile:
    """Read docker's ``config.json`` or the containers tools' ``auth.json``.

    ``strict`` refuses an empty file and text after the JSON value, as containers/image does and docker
    does not. Never raises.
    """
    text, failed = _read(path)
    return failed if text is None else parse_config(text, str(path), strict=strict)


def read_legacy_config(path: Path) -> CredentialFile:
    """Read ``.dockercfg``: the entries without the level ``auths``. Never raises."""
    text, failed = _read(path)
    if text is None:
        return failed
    value, problem, line = _json(text, strict=True)
    if problem is not None:
        return CredentialFile(place=str(path), problem=problem, problem_line=line)
    return CredentialFile(place=str(path), entries=_entries(value, text))


def read_authfile(path: Path) -> tuple[CredentialFile, ...]:
    """Read a file that the user named: ``config.json``, ``auth.json``, ``.dockercfg`` or Kubernetes secrets.

    Which it is follows from its content. A file with several secrets gives one item for each. Never raises.
    """
    text, failed = _read(path)
    if text is None:
        return (
            CredentialFile(place=str(path), problem="the file does not exist", unread=True)
            if failed.missing
            else failed,
        )
    value, problem, _ = _json(text, strict=False)
    if problem is None and isinstance(value, dict):
        if _member(value, "kind") in {"Secret", "List", "SecretList"}:
            return _pull_secrets(value, str(path)) or (_no_secret(str(path)),)
        if value and not any(
            _member(value, name) is not None for name in ("auths", "credHelpers", "credsStore")
        ):
            entries = _entries(value, text)
            if entries and all(isinstance(each, dict) for each in value.values()):
                return (CredentialFile(place=str(path), entries=entries),)
        return (parse_config(text, str(path)),)
    if re.search(r"(?m)^\s*kind:\s*[\"']?(?:Secret|List)", text):
        return parse_pull_secrets(text, str(path))
    return (parse_config(text, str(path)),)


def parse_config(text: str, place: str, *, strict: bool = False) -> CredentialFile:
    """Understand the text of ``config.json`` or ``auth.json``; see ``read_config``. Never raises."""
    value, problem, line = _json(text, strict=strict)
    if problem is None and not isinstance(value, dict):
        problem = "the file is JSON, but not an object"
    if problem is not None:
        return CredentialFile(place=place, problem=problem, problem_line=line)
    auths, store, helpers = (_member(value, name) for name in ("auths", "credsStore", "credHelpers"))
    for name, member, kind in (
        ("auths", auths, dict),
        ("credHelpers", helpers, dict),
        ("credsStore", store, str),
    ):
        if member is not None and not isinstance(member, kind):
            what = "an object" if kind is dict else "a text"
            return CredentialFile(
                place=place, problem=f"{name} is not {what}", problem_line=_line_of(text, name)
            )
    for key, entry in (auths or {}).items():
        if not isinstance(entry, dict):
            message = f"the entry {key!r} is not an object"
            return CredentialFile(place=place, problem=message, problem_line=_line_of(text, key))
    return CredentialFile(
        place=place,
        entries=_entries(auths, text),
        store=store or "",
        helpers={key: name for key, name in (helpers or {}).items() if isinstance(name, str)},
    )


def parse_pull_secrets(text: str, place: str) -> tuple[CredentialFile, ...]:
    """Find the pull secrets in the text of Kubernetes manifests (YAML or JSON). Never raises."""
    import yaml

    found: list[CredentialFile] = []
    try:
        for document in yaml.safe_load_all(text):
            found.extend(_pull_secrets(document, place))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else None
        problem = f"the file is not YAML: {error.problem or 'it cannot be parsed'}"
        return (CredentialFile(place=place, problem=problem, problem_line=line, pull_secret=True),)
    except (yaml.YAMLError, RecursionError, ValueError):
        return (CredentialFile(place=place, problem="the file is not YAML", pull_secret=True),)
    return tuple(found) or (_no_secret(place),)


def _no_secret(place: str) -> CredentialFile:
    return CredentialFile(place=place, problem="the file holds no Kubernetes secret", pull_secret=True)


def _pull_secrets(document: object, place: str) -> tuple[CredentialFile, ...]:
    return tuple(_pull_secret(each, place) for each in _secrets(document))


def _secrets(document: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if not isinstance(document, dict) or depth > 3:
        return
    if document.get("kind") == "Secret":
        yield document
    items = document.get("items")
    for item in items[:_MAX_ENTRIES] if isinstance(items, list) else ():
        yield from _secrets(item, depth + 1)


def _pull_secret(secret: Mapping[str, Any], file: str) -> CredentialFile:
    """Read one secret as the kubelet does: its type decides which data key counts."""
    metadata = secret.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    place = f"{file} (secret {name})" if isinstance(name, str) else f"{file} (secret)"
    kind = secret.get("type")
    plain, encoded = (_mapping(secret.get(each)) for each in ("stringData", "data"))

    def failed(problem: str) -> CredentialFile:
        return CredentialFile(place=place, problem=problem, pull_secret=True)

    wanted = PULL_SECRET_KEYS.get(kind) if isinstance(kind, str) else None
    if wanted is None:
        types = " or ".join(PULL_SECRET_KEYS)
        return failed(f"the secret's type is {kind or 'Opaque'}, but a pull secret's is {types}")
    if wanted not in plain and wanted not in encoded:
        keys = ", ".join(sorted(map(str, {**plain, **encoded}))) or "none"
        return failed(f"the secret of type {kind} needs the data key {wanted}; it has: {keys}")
    text = plain.get(wanted)
    if not isinstance(text, str):
        decoded = _base64_text(encoded.get(wanted))
        if decoded is None:
            return failed(f"the value of {wanted} under data is not base64")
        text = decoded
        if not text.lstrip().startswith("{") and (_base64_text(text) or "").lstrip().startswith("{"):
            return failed(f"the value of {wanted} is base64 twice; encode it once, or use stringData")
    value, problem, _ = _json(text, strict=True)
    if problem is None and not isinstance(value, dict):
        problem = "it is not an object"
    if problem is not None:
        return failed(f"the content of {wanted} cannot be used: {problem}")
    auths = _member(value, "auths") if wanted == ".dockerconfigjson" else value
    if not isinstance(auths, dict):
        return failed(f"the content of {wanted} has no auths")
    return CredentialFile(place=place, entries=_entries(auths, ""), pull_secret=True)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _base64_text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode("".join(value.split()), validate=True).decode()
    except ValueError:
        return None


def _read(path: Path) -> tuple[str | None, CredentialFile]:
    """Read a regular file of reasonable size: its text, or ``None`` and the file with its problem."""
    place = str(path)
    try:
        if not path.exists():
            return None, CredentialFile(place=place, missing=True)
        if not path.is_file():
            return None, CredentialFile(place=place, problem="it is not a regular file", unread=True)
        with path.open("rb") as file:
            content = file.read(_MAX_FILE + 1)
    except OSError as error:
        problem = f"the file cannot be read: {error.strerror}"
        return None, CredentialFile(place=place, problem=problem, unread=True)
    if len(content) > _MAX_FILE:
        return None, CredentialFile(place=place, problem="the file is larger than 4 MiB", unread=True)
    return content.decode("utf-8", "replace"), CredentialFile(place=place)


def _json(text: str, *, strict: bool) -> tuple[Any, str | None, int | None]:
    """Decode JSON: the value, or what is wrong and in which line."""
    start = len(text) - len(text.lstrip(" \t\r\n"))
    if start == len(text):
        return {}, "the file is empty" if strict else None, None
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        return None, f"the file is not valid JSON: {error.msg} ({where})", error.lineno
    except RecursionError:
        return None, "the file is nested too deeply", None
    if strict and text[end:].strip(" \t\r\n"):
        line = text.count("\n", 0, end) + 1
        return None, f"the file is not valid JSON: more text follows the closing brace (line {line})", line
    return value, None, None


def _member(value: object, name: str) -> Any:
    """Find a member as Go's decoder does: the exact name, else the name in another case."""
    if not isinstance(value, dict):
        return None
    if name in value:
        return value[name]
    return next((each for key, each in value.items() if key.lower() == name.lower()), None)


def _entries(auths: object, text: str) -> tuple[Entry, ...]:
    if not isinstance(auths, dict):
        return ()
    names = ("auth", "username", "password", "identitytoken", "registrytoken")
    return tuple(
        Entry(
            key=str(key),
            members={name: _member(members, name) for name in names if _member(members, name)},
            line=_line_of(text, str(key)),
        )
        for key, members in list(auths.items())[:_MAX_ENTRIES]
        if isinstance(members, dict)
    )


def _line_of(text: str, key: str) -> int | None:
    """The line on which a member of this name first stands."""
    match = re.search(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", text)
    return None if match is None else text.count("\n", 0, match.start()) + 1
