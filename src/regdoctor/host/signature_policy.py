"""Reads ``policy.json`` as podman, skopeo, buildah and CRI-O do (containers/image ``signature/policy_config.go``).

Problems have the wording of that library, which refuses unknown and repeated keys everywhere.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from regdoctor import json_go
from regdoctor.facts.client import (
    Flaw,
    FlawKind,
    Listed,
    PolicyRequirement,
    PolicyScope,
    SignaturePolicy,
    SignatureStores,
)
from regdoctor.host.settings_files import flaw, is_there, listed, read_bytes, read_text, unparsed
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge
from regdoctor.oci.reference import InvalidReference, parse_reference

DOCKER: Final = "docker"
"""The transport of registries."""

_SIGNED_BY: Final = frozenset({"type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"})
_SIGSTORE: Final = frozenset(
    {
        *("type", "keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki", "signedIdentity"),
        *("rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas"),
    }
)
_REQUIREMENTS: Final = MappingProxyType(
    {
        "insecureAcceptAnything": frozenset({"type"}),
        "reject": frozenset({"type"}),
        "signedBy": _SIGNED_BY,
        "signedBaseLayer": frozenset({"type", "baseLayerIdentity"}),
        "sigstoreSigned": _SIGSTORE,
    }
)
_KEY_TYPES: Final = frozenset({"GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs"})
_MATCHES: Final = MappingProxyType(
    {
        "matchExact": frozenset({"type"}),
        "matchRepoDigestOrExact": frozenset({"type"}),
        "matchRepository": frozenset({"type"}),
        "exactReference": frozenset({"type", "dockerReference"}),
        "exactRepository": frozenset({"type", "dockerRepository"}),
        "remapIdentity": frozenset({"type", "prefix", "signedPrefix"}),
    }
)
_GO_KINDS: Final = MappingProxyType(
    {Kind.LIST: "array", Kind.STRING: "string", Kind.NUMBER: "number", Kind.BOOLEAN: "bool"}
)
_MOST_STORE_FILES: Final = 100


def default_policy(home: Path, etc: Path = Path("/etc")) -> Path:
    """The file that is used: the user's where there is one (containers-policy.json(5))."""
    own = home / ".config/containers/policy.json"
    return own if is_there(own) else etc / "containers/policy.json"


def read_policy(path: Path) -> SignaturePolicy:
    """Reads the file. Never raises."""
    data = read_bytes(path)
    if isinstance(data, Flaw):
        return SignaturePolicy(path=str(path), flaws=(data,))
    # Go's decoder takes what is no UTF-8 within texts (encoding/json, Unmarshal).
    return parse_policy(data.decode("utf-8", "replace"), path)


def parse_policy(text: str, path: Path) -> SignaturePolicy:
    """Reads the text of the file."""
    try:
        root = json_go.parse(text)
    except (SyntaxProblem, TooLarge) as error:
        return SignaturePolicy(path=str(path), flaws=(unparsed(path, error),))
    reader = _Reader(path)
    reader.policy(root)
    return SignaturePolicy(path=str(path), flaws=tuple(reader.flaws), scopes=tuple(reader.scopes))


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.flaws: list[Flaw] = []
        self.scopes: list[PolicyScope] = []

    def _refuse(self, node: Node, message: str, key: str | None = None) -> None:
        self.flaws.append(flaw(self._path, node, message, key=key))

    def _is_object(self, node: Node, known: Iterable[str] | None) -> bool:
        """Whether it is an object with these keys at most, each once; says what is wrong otherwise."""
        if node.kind is not Kind.MAP:
            shown = {Kind.LIST: "[", Kind.NULL: "null"}.get(node.kind, node.value)
            self._refuse(node, f'JSON object expected, got "{shown}"')
            return False
        for key, again in node.repeated():
            self._refuse(again, f'Duplicate key "{key}"', key)
        for key, member in node.pairs:
            if known is not None and key not in known:
                self._refuse(member, f'Unknown key "{key}"', key)
        return True

    def policy(self, root: Node) -> None:
        """Reads the whole file."""
        if not self._is_object(root, ("default", "transports")):
            return
        default = root.get("default")
        if default is None:
            self._refuse(root, "Default policy is missing", "default")
        else:
            self._scope(None, "", default)
        transports = next((node for key, node in root.pairs if key == "transports"), None)
        if transports is None or not self._is_object(transports, None):
            return
        for transport, scopes in transports.pairs:
            if self._is_object(scopes, None):
                for scope, requirements in scopes.pairs:
                    if scope and not _is_scope(transport, scope):
                        self._refuse(requirements, f'Unknown key "{scope}"', scope)
                    self._scope(transport, scope, requirements)

    def _scope(self, transport: str | None, scope: str, node: Node) -> None:
        if node.kind is not Kind.LIST:
            kind = _GO_KINDS.get(node.kind, "object")
            self._refuse(node, f"json: cannot unmarshal {kind} into Go value of type []json.RawMessage")
            return
        if not node.items:
            self._refuse(node, "List of verification policy requirements must not be empty")
        self.scopes.append(
            PolicyScope(transport=transport, scope=scope, requirements=tuple(self._requirements(node.items)))
        )

    def _requirements(self, nodes: Iterable[Node]) -> Iterator[PolicyRequirement]:
        for node in nodes:
            kind = node.get("type") if node.kind is Kind.MAP else None
            name = kind.value if kind is not None and kind.kind is Kind.STRING else ""
            if node.kind is Kind.MAP and name not in _REQUIREMENTS:
                self._refuse(kind or node, f'Unknown policy requirement type "{name}"', "type")
            elif self._is_object(node, _REQUIREMENTS.get(name)):
                self._members(name, node)
            yield PolicyRequirement(type=name, path=str(self._path), line=node.line, column=node.column)

    def _members(self, name: str, node: Node) -> None:
        if name == "signedBy":
            key_type = node.get("keyType")
            if key_type is None:
                self._refuse(node, 'invalid keyType ""', "keyType")
            elif key_type.value not in _KEY_TYPES:
                self._refuse(key_type, f'Unrecognized keyType value "{key_type.value}"', "keyType")
            else:
                self._one_of(node, ("keyPath", "keyPaths", "keyData"))
        elif name == "sigstoreSigned":
            self._one_of(node, ("keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki"))
        key = "baseLayerIdentity" if name == "signedBaseLayer" else "signedIdentity"
        identity = next((member for name, member in node.pairs if name == key), None)
        if identity is not None:
            self._identity(identity, key)
        elif name == "signedBaseLayer":
            self._refuse(node, f'Key "{key}" missing in a JSON object', key)

    def _identity(self, node: Node, key: str) -> None:
        kind = node.get("type") if node.kind is Kind.MAP else None
        match = kind.value if kind is not None else ""
        if match not in _MATCHES:
            self._refuse(node, f'Unknown policy reference match type "{match}"', key)
        elif self._is_object(node, _MATCHES[match]):
            for missing in sorted(name for name in _MATCHES[match] if node.get(name) is None):
                self._refuse(node, f'Key "{missing}" missing in a JSON object', missing)
            exact = node.get("dockerReference")
            if exact is not None and not _is_exact(exact.value):
                message = f"dockerReference {exact.value} contains neither a tag nor digest"
                self._refuse(exact, message, "dockerReference")

    def _one_of(self, node: Node, keys: tuple[str, ...]) -> None:
        for key in keys:
            member = node.get(key)
            if member is not None:
                self._key(key, member)
        # The library takes an empty path for none.
        present = [
            key for key in keys if (member := node.get(key)) is not None and not _is_empty_path(key, member)
        ]
        if len(present) == 1:
            return
        names = f"{', '.join(keys[:-1])} and {keys[-1]}"
        how = "more than one present" if present else "none of them present"
        self._refuse(node, f"Exactly one of {names} must be specified, {how}")

    def _key(self, key: str, node: Node) -> None:
        """Refuses a value of another kind than the key has, and data that are no base64."""
        wanted = Kind.LIST if key.endswith("s") else Kind.MAP if key in ("fulcio", "pki") else Kind.STRING
        if node.kind is not wanted:
            kinds = {Kind.LIST: "[]string", Kind.MAP: "map[string]interface {}", Kind.STRING: "string"}
            kind = _GO_KINDS.get(node.kind, "object")
            self._refuse(node, f"json: cannot unmarshal {kind} into Go value of type {kinds[wanted]}", key)
        elif any(item.kind is not Kind.STRING for item in node.items):
            self._refuse(node, "json: cannot unmarshal what is no text into Go value of type string", key)
        elif key == "keyData" and (at := _base64_problem(node.value)) is not None:
            self._refuse(node, f"illegal base64 data at input byte {at}", key)


def _is_empty_path(key: str, node: Node) -> bool:
    return key == "keyPath" and not node.value


def _base64_problem(text: str) -> int | None:
    """The place in a text from which on it is no base64, as far as its characters tell."""
    wrong = re.search(r"[^A-Za-z0-9+/=\r\n]", text)
    if wrong is not None:
        return wrong.start()
    bare = text.replace("\r", "").replace("\n", "")
    return None if len(bare) % 4 == 0 else len(bare)


def _is_exact(text: str) -> bool:
    """Whether a reference names a tag or a digest."""
    try:
        reference = parse_reference(text)
    except InvalidReference:
        return False
    return reference.explicit_tag or reference.digest is not None


def _is_scope(transport: str, scope: str) -> bool:
    """Whether a transport can have such a scope: of local folders an absolute path, of some none at all."""
    if transport in ("dir", "oci", "oci-archive"):
        path = scope.rpartition(":")[0] if transport == "oci" and ":" in scope else scope
        return path.startswith("/") and path != "/" and posixpath.normpath(path) == path
    if transport == "containers-storage":
        return scope.startswith("[")
    return transport not in ("tarball", "docker-archive")


def scope_of(policy: SignaturePolicy, name: str, tag: str) -> PolicyScope | None:
    """The scope that counts for an image: the most specific one (containers-policy.json(5)).

    :param name: ``domain/path`` with short names spelt out.
    :param tag: ``:tag`` or ``@digest``.
    """
    scopes = {each.scope: each for each in policy.scopes if each.transport == DOCKER}
    for candidate in candidates(name, tag):
        if candidate in scopes:
            return scopes[candidate]
    return scopes.get("") or next((each for each in policy.scopes if each.transport is None), None)


def candidates(name: str, tag: str) -> Iterator[str]:
    """What an image may be called in scopes, the most specific first; an empty path stands for the host."""
    parts = name.split("/")
    if len(parts) > 1 and tag:
        yield f"{name}{tag}"
    for length in range(len(parts), 0, -1):
        yield "/".join(parts[:length])
    # Wildcards stand for subdomains, whatever the port.
    labels = parts[0].partition(":")[0].split(".")
    for start in range(1, len(labels)):
        yield f"*.{'.'.join(labels[start:])}"


def read_stores(name: str, home: Path, etc: Path = Path("/etc")) -> SignatureStores:
    """Where signatures of an image are looked for: ``registries.d`` (containers-registries.d(5)).

    The user's folder replaces the system's. Files that cannot be read say nothing.
    """
    own = home / ".config/containers/registries.d"
    folder = own if own.is_dir() else etc / "containers/registries.d"
    try:
        paths = sorted(folder.glob("*.yaml"))[:_MOST_STORE_FILES]
    except OSError:
        paths = []
    merged: dict[str, tuple[Path, Node]] = {}
    default: tuple[Path, Node] | None = None
    for path in paths:
        for root in _yaml(path):
            docker = root.get("docker")
            merged |= {key: (path, node) for key, node in (docker.pairs if docker is not None else ())}
            found = root.get("default-docker")
            default = (path, found) if found is not None else default
    return _stores(tuple(map(str, paths)), name, merged, default)


def _yaml(path: Path) -> list[Node]:
    from regdoctor.yaml_located import parse_all

    text = read_text(path)
    if isinstance(text, Flaw):
        return []
    try:
        return list(parse_all(text))
    except (SyntaxProblem, TooLarge):
        return []


def _stores(
    files: tuple[str, ...],
    name: str,
    scopes: Mapping[str, tuple[Path, Node]],
    default: tuple[Path, Node] | None,
) -> SignatureStores:
    lookaside: Listed | None = None
    attachments: bool | None = None
    namespaces = [scopes[each] for each in candidates(name, "") if each in scopes]
    for path, node in (*namespaces, *((default,) if default is not None else ())):
        found = node.get("lookaside") or node.get("sigstore")
        if lookaside is None and found is not None:
            lookaside = listed(path, found)
        wanted = node.get("use-sigstore-attachments")
        if attachments is None and wanted is not None:
            attachments = wanted.true
    return SignatureStores(files=files, lookaside=lookaside, attachments=bool(attachments))


def usable(policy: SignaturePolicy) -> bool:
    """Whether the library takes the file."""
    return not any(each.kind is not FlawKind.IGNORED for each in policy.flaws)
