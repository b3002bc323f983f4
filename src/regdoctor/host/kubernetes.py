"""Reads what Kubernetes manifests say about pulling images (Kubernetes API ``core/v1``; kubelet keyring).

Secrets are decoded to see whether the kubelet could, and left behind: what is returned beside the facts are the
values that must not leave.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from regdoctor import json_go
from regdoctor.facts.client import Flaw, FlawKind, Listed
from regdoctor.facts.kubernetes import PodImages, PullSecret, ServiceAccountSecrets
from regdoctor.host.credential_files import PULL_SECRET_KEYS, MalformedAuth, decode_auth
from regdoctor.host.settings_files import flaw, listed, read_text, unparsed
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge
from regdoctor.secret import Secret

LARGEST: Final = 8_000_000
"""Bytes of a file; rendered charts reach a few millions."""
_MOST_OBJECTS: Final = 20_000
_DEEPEST_LIST: Final = 3

_TYPE_OF_KEY: Final = {key: name for name, key in PULL_SECRET_KEYS.items()}
_TEMPLATES: Final = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
    "ReplicationController": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
"""Where the pod specification stands in each kind."""
_WANTED: Final = frozenset({*_TEMPLATES, "Secret", "ServiceAccount", "List", "SecretList", "PodList"})
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_PULL_SECRETS: Final = "imagePullSecrets"
_MISWRITTEN: Final = frozenset(
    {"imagepullsecret", "imagepullsecrets", "image-pull-secrets", "imagepullsecretname"}
)
_PLACEHOLDER: Final = re.compile(r"\s*(?:\$\{?\(?\w+\)?\}?|<[^>]*>|ENC\[.*|\{\{.*)\s*", re.DOTALL)
"""What tools fill in or decrypt before the cluster sees it: envsubst, SOPS, templates, examples."""
_TEMPLATE: Final = re.compile(r"\{\{.*\}\}")
_MAX_TEXT: Final = 300


@dataclass
class Manifests:
    """What one file holds."""

    flaws: list[Flaw] = field(default_factory=list)
    secrets: list[PullSecret] = field(default_factory=list)
    pods: list[PodImages] = field(default_factory=list)
    accounts: list[ServiceAccountSecrets] = field(default_factory=list)
    other_secrets: list[str] = field(default_factory=list)
    concealed: list[Secret] = field(default_factory=list, repr=False)


def read_manifests(path: Path) -> Manifests:
    """Reads a file of YAML documents or JSON. Never raises."""
    from regdoctor.yaml_located import parse_all

    found = Manifests()
    text = read_text(path, LARGEST)
    if isinstance(text, Flaw):
        found.flaws.append(text)
        return found
    reader = _Reader(path, found)
    try:
        for document in parse_all(text.removeprefix("\ufeff"), lambda kind: kind in _WANTED):
            reader.object(document, 0)
    except (SyntaxProblem, TooLarge) as error:
        if _TEMPLATE.search(text):
            message = "it is a template that was not rendered (helm template, kustomize build)"
            found.flaws.append(Flaw(path=str(path), kind=FlawKind.UNREAD, message=message))
        else:
            found.flaws.append(unparsed(path, error))
    return found


class _Reader:
    def __init__(self, path: Path, found: Manifests) -> None:
        self._path = path
        self._found = found
        self._objects = 0

    def object(self, node: Node, depth: int) -> None:
        """Reads one object, or every item of a list of objects."""
        self._objects += 1
        if node.kind is not Kind.MAP or depth > _DEEPEST_LIST or self._objects > _MOST_OBJECTS:
            return
        kind = _text(node, "kind")
        items = node.get("items")
        if items is not None and kind.endswith("List"):
            for item in items.items:
                self.object(item, depth + 1)
        elif kind == "Secret":
            self._secret(node)
        elif kind == "ServiceAccount":
            self._account(node)
        elif kind in _TEMPLATES:
            self._pod(kind, node)

    # secrets

    def _secret(self, node: Node) -> None:
        plain, encoded = (self._members(node, name) for name in ("stringData", "data"))
        given = _text(node, "type")
        keys = [key for key in PULL_SECRET_KEYS.values() if key in plain or key in encoded]
        name, namespace = _text(node, "metadata", "name"), _text(node, "metadata", "namespace")
        if given not in PULL_SECRET_KEYS and not keys:
            self._found.other_secrets.append(f"{namespace}/{name}")
            return
        flaws: list[Flaw] = []
        registries: list[Listed] = []
        key = self._key(node, given, keys, sorted({*plain, *encoded}), flaws)
        if key is not None:
            content = self._content(key, plain.get(key), encoded.get(key), flaws)
            if content is not None:
                registries = self._registries(key, *content, flaws)
        self._found.secrets.append(
            PullSecret(
                name=name or None,
                namespace=namespace or None,
                type=given or "Opaque",
                path=str(self._path),
                line=node.line,
                column=node.column,
                flaws=tuple(flaws),
                registries=tuple(registries),
            )
        )

    def _members(self, node: Node, name: str) -> dict[str, Node]:
        found = node.get(name)
        return dict(found.pairs) if found is not None and found.kind is Kind.MAP else {}

    def _key(
        self, node: Node, given: str, keys: list[str], all_keys: list[str], flaws: list[Flaw]
    ) -> str | None:
        """The data key whose content is looked at, after what is wrong about type and key."""
        wanted = PULL_SECRET_KEYS.get(given)
        place = node.get("type") or node
        if wanted is None:
            right = _TYPE_OF_KEY[keys[0]]
            said = f"its type is {given}" if given else "it has no type, so it is Opaque"
            flaws.append(
                flaw(self._path, place, f"{said}; with the key {keys[0]} it has to be {right}", key="type")
            )
            return keys[0]
        if wanted in keys:
            return wanted
        has = ", ".join(each[:60] for each in all_keys[:10]) or "none"
        message = f"a secret of type {given} needs the key {wanted}; it has {has}"
        flaws.append(
            flaw(self._path, node.get("data") or node.get("stringData") or node, message, key=wanted)
        )
        return keys[0] if keys else None

    def _content(
        self, key: str, plain: Node | None, encoded: Node | None, flaws: list[Flaw]
    ) -> tuple[Node, str] | None:
        """The node and the JSON text under it; stringData outranks data (Kubernetes API)."""
        node = plain if plain is not None else encoded
        if node is None or _PLACEHOLDER.fullmatch(node.value):
            return None
        if node.kind is not Kind.STRING:
            flaws.append(flaw(self._path, node, f"the value of {key} is no text", key=key))
            return None
        if plain is not None:
            if not node.value.lstrip().startswith("{") and _looks_encoded(node.value):
                message = f"the value of {key} under stringData is base64 already: it belongs under data"
                flaws.append(flaw(self._path, node, message, key=key))
                return None
            return node, node.value
        text = _base64_text(node.value)
        if text is None:
            said = "is the JSON itself" if node.value.lstrip().startswith("{") else "is not base64"
            message = f"the value of {key} under data {said}; encode it, or put it under stringData"
            flaws.append(flaw(self._path, node, message, key=key))
            return None
        if not text.lstrip().startswith("{") and _looks_encoded(text):
            message = f"the value of {key} is base64 twice; encode it once, or use stringData"
            flaws.append(flaw(self._path, node, message, key=key))
            return None
        self._found.concealed.append(Secret(node.value))
        return node, text

    def _registries(self, key: str, node: Node, text: str, flaws: list[Flaw]) -> list[Listed]:
        """The registries for which the content holds a user and a password."""
        try:
            root = json_go.parse(text)
        except SyntaxProblem as error:
            message = f"the content of {key} is no JSON: {error.message} (line {error.line} of it)"
            flaws.append(flaw(self._path, node, message, key=key))
            return []
        except TooLarge as error:
            flaws.append(Flaw(path=str(self._path), kind=FlawKind.UNREAD, message=str(error)))
            return []
        auths = root.get("auths") if key == ".dockerconfigjson" else root
        if auths is None or auths.kind is not Kind.MAP:
            message = f"the content of {key} has no auths, which is where the kubelet looks"
            flaws.append(flaw(self._path, node, message, key=key))
            return []
        if key == ".dockercfg" and root.get("auths") is not None:
            message = (
                "the content of .dockercfg has the level auths, which belongs into .dockerconfigjson only"
            )
            flaws.append(flaw(self._path, node, message, key=key))
            return []
        if not auths.pairs:
            flaws.append(flaw(self._path, node, f"the content of {key} holds no credentials at all", key=key))
        found = []
        for name, entry in auths.pairs:
            problem, usable = self._entry(entry, stored=root.get("credsStore") is not None)
            if problem is not None:
                message = f"its entry for {name[:_MAX_TEXT]} {problem}"
                flaws.append(flaw(self._path, node, message, key=name, ignored=usable))
            if usable:
                found.append(listed(self._path, node, name))
        return found

    def _entry(self, entry: Node, *, stored: bool) -> tuple[str | None, bool]:
        """What is wrong with an entry of ``auths``, and whether the kubelet can use it."""
        if entry.kind is not Kind.MAP:
            return "is no object", False
        auth, username, password = (_text(entry, name) for name in ("auth", "username", "password"))
        if not auth:
            if username and password:
                self._found.concealed.append(Secret(password))
                return None, True
            if stored or not entry.pairs:
                return (
                    "is empty: the password lies in a credential store, which the kubelet cannot reach",
                    False,
                )
            if _text(entry, "identitytoken"):
                return "has an identitytoken only, which the kubelet does not read", False
            return "has no user and password", False
        try:
            _user, secret, odd = decode_auth(auth)
        except MalformedAuth as error:
            return f"cannot be used: {error}", False
        self._found.concealed += [secret, Secret(auth)]
        return (odd if odd is None else f"is odd: {odd}"), True

    # accounts and pods

    def _account(self, node: Node) -> None:
        self._found.accounts.append(
            ServiceAccountSecrets(
                name=_text(node, "metadata", "name") or None,
                namespace=_text(node, "metadata", "namespace") or None,
                path=str(self._path),
                line=node.line,
                column=node.column,
                secrets=tuple(self._names(node.get(_PULL_SECRETS))),
                mounted=tuple(self._names(node.get("secrets"))),
            )
        )

    def _pod(self, kind: str, node: Node) -> None:
        spec = node.at(*_TEMPLATES[kind])
        if spec is None or spec.kind is not Kind.MAP:
            return
        right = spec.get(_PULL_SECRETS)
        misplaced = [*self._malformed(right), *self._misplaced(node, (), _TEMPLATES[kind])]
        self._found.pods.append(
            PodImages(
                kind=kind,
                name=_text(node, "metadata", "name") or _text(node, "metadata", "generateName") or None,
                namespace=_text(node, "metadata", "namespace") or None,
                path=str(self._path),
                line=node.line,
                column=node.column,
                images=tuple(self._images(spec)),
                secrets=tuple(self._names(right)),
                misplaced=tuple(misplaced),
                service_account=_text(spec, "serviceAccountName") or _text(spec, "serviceAccount") or None,
            )
        )

    def _images(self, spec: Node) -> Iterator[Listed]:
        for name in _CONTAINERS:
            containers = spec.get(name)
            for container in containers.items if containers is not None else ():
                image = container.get("image") if container.kind is Kind.MAP else None
                if image is not None and image.kind is Kind.STRING and image.value:
                    yield listed(self._path, image, image.value[:_MAX_TEXT])

    def _names(self, node: Node | None) -> Iterator[Listed]:
        for item in node.items if node is not None else ():
            name = item.get("name") if item.kind is Kind.MAP else None
            if name is not None and name.kind is Kind.STRING:
                yield listed(self._path, name)

    def _malformed(self, node: Node | None) -> Iterator[Flaw]:
        """``imagePullSecrets`` in its right place and in a form that the API server refuses."""
        if node is None:
            return
        right = "write a list of objects: - name: SECRET"
        if node.kind is not Kind.LIST:
            yield flaw(self._path, node, f"{_PULL_SECRETS} is no list; {right}", key=_PULL_SECRETS)
        for item in node.items:
            name = item.get("name") if item.kind is Kind.MAP else None
            if name is None:
                yield flaw(
                    self._path, item, f"an item of {_PULL_SECRETS} has no name; {right}", key=_PULL_SECRETS
                )

    def _misplaced(self, node: Node, path: tuple[str, ...], right: tuple[str, ...]) -> Iterator[Flaw]:
        """``imagePullSecrets`` anywhere else in the object, and names that nearly are it."""
        for key, value in node.pairs:
            if key in ("annotations", "labels", "env", "data"):
                continue
            if key == _PULL_SECRETS and path != right:
                where = ".".join(path) or "the top level"
                yield flaw(
                    self._path,
                    value,
                    f"{_PULL_SECRETS} stands below {where}, where it has no effect; it belongs below "
                    f"{'.'.join(right)}",
                    key=_PULL_SECRETS,
                )
            elif key != _PULL_SECRETS and key.lower() in _MISWRITTEN:
                yield flaw(
                    self._path, value, f"{key} is no field of a pod; the field is {_PULL_SECRETS}", key=key
                )
            elif value.kind is Kind.MAP:
                yield from self._misplaced(value, (*path, key), right)
            else:
                for index, item in enumerate(value.items):
                    yield from self._misplaced(item, (*path, f"{key}[{index}]"), right)


def _text(node: Node, *path: str) -> str:
    found = node.at(*path)
    return found.value if found is not None and found.kind is not Kind.MAP else ""


def _base64_text(value: str) -> str | None:
    try:
        return base64.b64decode("".join(value.split()), validate=True).decode()
    except ValueError:
        return None


def _looks_encoded(text: str) -> bool:
    """Whether a text is base64 of a JSON object."""
    decoded = _base64_text(text)
    return decoded is not None and decoded.lstrip().startswith("{")
