"""Secrets in an image's configuration: environment, labels, commands and history (OCI image-spec, config.md).

Precise rather than complete, for a false alarm costs as much as a miss: tokens and keys are known by the form that
their issuers give them, passwords by the name of the variable and a value that is no placeholder, no path, no
variable and no known default. Public values with telling names, such as the ``GPG_KEY`` of official images,
are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from regdoctor.oci.document import InvalidDocument, read_json_object
from regdoctor.secret import Secret

MAX_CONFIG: Final = 4 * 1024 * 1024
"""Bytes. Clients read no longer configuration either (containerd ``remotes/docker``, moby ``distribution``)."""

_MOST: Final = 50
_MOST_TEXTS: Final = 20_000
_LONGEST_TEXT: Final = 64 * 1024

_GOOGLE_KEY: Final = "a Google API key"
_FORMS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "a private key",
        re.compile(
            r"-----BEGIN (?:(?:RSA|DSA|EC|OPENSSH|ENCRYPTED) PRIVATE KEY|PRIVATE KEY|PGP PRIVATE KEY BLOCK)-----"
            r"(?:\s|\\n)*[A-Za-z0-9+/=:, -]{20,}"
        ),
    ),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b")),
    ("a GitLab token", re.compile(r"\bgl(?:pat|dt|rt|cbt|ptt|agent|soat)-[A-Za-z0-9_-]{20,300}")),
    ("a Docker Hub token", re.compile(r"\bdckr_[op]at_[A-Za-z0-9_-]{27,}")),
    ("an npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("a PyPI token", re.compile(r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}")),
    ("a Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}[0-9][A-Za-z0-9-]{10,}")),
    (_GOOGLE_KEY, re.compile(r"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])")),
    ("a Stripe key", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,}")),
    ("a SendGrid key", re.compile(r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}\b")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z]{34}\b")),
    ("an Anthropic key", re.compile(r"\bsk-ant-[a-z0-9]+-[A-Za-z0-9_-]{40,}")),
    ("an OpenAI key", re.compile(r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}")),
    ("an Azure storage key", re.compile(r"\bAccountKey=[A-Za-z0-9+/]{86}==")),
    ("a HashiCorp Vault token", re.compile(r"\bhvs\.[A-Za-z0-9_-]{24,}")),
)
"""What issuers document about the form of their tokens; prefixes are there so that scanners find them."""

_URL_PASSWORD: Final = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/@:\"']{0,80}:(?P<value>[^\s/@\"']{3,200})@", re.I
)
_ASSIGNMENT: Final = re.compile(
    r"(?<![\w.$-])(?:--)?(?P<name>[A-Za-z][A-Za-z0-9_.-]{0,80})="
    r"(?P<value>\"[^\"\n]{0,2000}\"|'[^'\n]{0,2000}'|[^\s\"';&|)]{1,2000})"
)
_PASSWORD_NAME: Final = re.compile(r"(?:(?:^|[_.-])(?:pass|pwd)|password|passwd|passphrase)$", re.I)
_KEY_NAME: Final = re.compile(
    r"(?:secret|(?:secret|private|api|access|account|signing|encryption|master)_?key(?:_base)?|token|credentials?)$",
    re.I,
)
_PUBLIC_NAME: Final = re.compile(r"public|(?:^|_)(?:gpg|pgp|vite|react_app|gatsby)_", re.I)
"""Names of values that are meant to be seen: fingerprints, and what web pages deliver to browsers."""

_PLACEHOLDER: Final = re.compile(
    r"change.?(?:me|it|this)|example|placeholder|dummy|redacted|replace|required"
    r"|(?:some|my|your|the).?(?:own.?)?(?:password|passwd|secret|token|key|pass|value)"
    r"|(?:not|no).?(?:set|used|real|needed|a.?secret)|build.?time|undefined"
    r"|(?<![a-z])(?:foo|bar|baz|test|todo|none|null|empty|unset|default|sample|insert|your|xxx+)(?![a-z])",
    re.I,
)
_DEFAULTS: Final = frozenset(
    {
        *(
            "password",
            "passw0rd",
            "secret",
            "token",
            "admin",
            "administrator",
            "root",
            "user",
            "guest",
            "postgres",
        ),
        *(
            "mysql",
            "mariadb",
            "redis",
            "rabbitmq",
            "mongo",
            "oracle",
            "jenkins",
            "minio",
            "minioadmin",
            "grafana",
        ),
        *(
            "docker",
            "vagrant",
            "true",
            "false",
            "disabled",
            "enabled",
            "optional",
            "prompt",
            "keyring",
            "vault",
        ),
        *("123456", "12345678", "123456789", "1234567890", "qwerty", "letmein", "elastic", "kibana", "neo4j"),
    }
)
"""Defaults and switches: known to everybody, so nothing is given away."""

_NO_LITERAL: Final = re.compile(
    r"(?<!\$)\$[A-Za-z_{(]|\{\{|^<.*>$|^%\w+%$|%[sd(]|`|^(?:/|\.{1,2}/|~/|@|[A-Za-z]:\\)|^[a-z][a-z0-9+.-]*://",
    re.I,
)
"""Variables, command substitutions, templates, paths and plain URLs: where a secret is, not what it is."""


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """What looks like a secret: where it stands, under which name, what it is, and the value itself."""

    place: str
    """``environment``, ``label``, ``command`` or ``step 3 of the history``."""
    name: str | None
    kind: str
    value: Secret


def find_secrets(config: bytes) -> tuple[Suspect, ...]:
    """What in an image configuration looks like a secret, each once where it stands first; at most 50.

    Never raises; what is no configuration has none.
    """
    try:
        members = read_json_object(config, max_bytes=MAX_CONFIG)
    except InvalidDocument:
        return ()
    found: dict[str, Suspect] = {}
    for place, name, text in _texts(members):
        for suspect in _in_text(place, name, text[:_LONGEST_TEXT]):
            found.setdefault(suspect.value.reveal(), suspect)
        if len(found) >= _MOST:
            break
    return tuple(found.values())[:_MOST]


def _texts(members: Mapping[str, object]) -> Iterator[tuple[str, str | None, str]]:
    """Place, name (of a variable or label) and text of whatever may hold a secret."""
    settings = members.get("config")
    settings = settings if isinstance(settings, dict) else {}
    for variable in _strings(settings.get("Env")):
        name, equals, value = variable.partition("=")
        if equals:
            yield "environment", name, value
    labels = settings.get("Labels")
    for name, value in list(labels.items())[:_MOST_TEXTS] if isinstance(labels, dict) else ():
        if isinstance(value, str):
            yield "label", name, value
    for member in ("Entrypoint", "Cmd"):
        yield "command", None, " ".join(_strings(settings.get(member)))
    history = members.get("history")
    for number, step in enumerate(history[:_MOST_TEXTS] if isinstance(history, list) else (), start=1):
        text = step.get("created_by") if isinstance(step, dict) else None
        if isinstance(text, str):
            yield f"step {number} of the history", None, text


def _strings(value: object) -> list[str]:
    return [each for each in value[:_MOST_TEXTS] if isinstance(each, str)] if isinstance(value, list) else []


def _in_text(place: str, name: str | None, text: str) -> Iterator[Suspect]:
    if name is not None:
        yield from _of_name(place, name, text, by_name=place == "environment")
        return
    seen: list[tuple[int, int]] = []
    for match in _ASSIGNMENT.finditer(text):
        suspects = tuple(_of_name(place, match["name"], match["value"].strip("\"'"), by_name=True))
        if suspects:
            seen.append(match.span())
            yield from suspects
    for kind, value, (start, end) in _by_form(text):
        if not any(begin <= start and end <= stop for begin, stop in seen):
            yield Suspect(place=place, name=None, kind=kind, value=Secret(value))


def _of_name(place: str, name: str, value: str, *, by_name: bool) -> Iterator[Suspect]:
    """The value of a variable or label: judged by its form, and then by what its name says."""
    public = _PUBLIC_NAME.search(name) is not None
    formed = [(kind, each) for kind, each, _span in _by_form(value) if not (public and kind == _GOOGLE_KEY)]
    for kind, each in formed:
        yield Suspect(place=place, name=name, kind=kind, value=Secret(each))
    if formed or public or not by_name:
        return
    if _PASSWORD_NAME.search(name):
        kind, real = "a password", _looks_like_password(value)
    elif _KEY_NAME.search(name):
        kind, real = "a key or token", _looks_random(value)
    else:
        return
    if real and value.lower() not in name.lower():
        yield Suspect(place=place, name=name, kind=kind, value=Secret(value))


def _by_form(text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Kind, value and place of what shows by itself that it is a secret."""
    for kind, pattern in _FORMS:
        for match in pattern.finditer(text):
            if "EXAMPLE" not in match[0].upper() and not _is_monotonous(match[0][-16:]):
                yield kind, match[0], match.span()
    for match in _URL_PASSWORD.finditer(text):
        if _looks_like_password(match["value"]):
            yield "a password in a URL", match["value"], match.span("value")


def _is_monotonous(value: str) -> bool:
    """Whether a value consists of next to no different characters, such as ``XXXXXXXX``."""
    return len(set(value.lower().strip("-_*"))) <= 3


def _looks_like_password(value: str) -> bool:
    return (
        len(value) >= 6
        and " " not in value
        and value.lower() not in _DEFAULTS
        and not _is_monotonous(value)
        and not _NO_LITERAL.search(value)
        and not _PLACEHOLDER.search(value)
    )


def _looks_random(value: str) -> bool:
    """Whether a value is long and mixed, as generated keys are; words and version numbers are neither."""
    if len(value) < 16 or not _looks_like_password(value):
        return False
    letters = sum(character.isalpha() for character in value)
    digits = sum(character.isdigit() for character in value)
    return letters >= 4 and digits >= 3 and len(set(value)) >= 10
