"""Reads docker's ``daemon.json`` as dockerd does (moby ``daemon/config/config.go``, ``registry/config.go``).

Keys are those of docker 20.10 to 29 together: which of them a certain version knows is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from regdoctor import json_go
from regdoctor.facts.client import DaemonSettings, Flaw, FlawKind, Listed
from regdoctor.host.settings_files import flaw, listed, read_bytes, unparsed
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge
from regdoctor.redact import redact_url

_LISTS: Final = frozenset(
    {
        *("authorization-plugins", "allow-nondistributable-artifacts", "cdi-spec-dirs", "dns", "dns-opts"),
        *("dns-search", "exec-opts", "hosts", "insecure-registries", "labels", "node-generic-resources"),
        *("registry-mirrors", "storage-opts", "host-gateway-ips"),
    }
)
_BOOLEANS: Final = frozenset(
    {
        *("allow-direct-routing", "cri-containerd", "debug", "experimental", "icc", "init", "ip-forward"),
        *("ip-forward-no-drop", "ip-masq", "ip6tables", "iptables", "ipv6", "live-restore"),
        *("no-new-privileges", "raw-logs", "rootless", "selinux-enabled", "tls", "tlsverify"),
        *("userland-proxy", "disable-legacy-registry"),
    }
)
_NUMBERS: Final = frozenset(
    {
        *("cpu-rt-period", "cpu-rt-runtime", "max-concurrent-downloads", "max-concurrent-uploads"),
        *("max-download-attempts", "mtu", "network-control-plane-mtu", "oom-score-adjust"),
        *("shutdown-timeout",),
    }
)
_TEXTS: Final = frozenset(
    {
        *("api-cors-header", "bip", "bip6", "bridge", "bridge-accept-fwmark", "cgroup-parent"),
        *("cluster-advertise", "cluster-store", "containerd", "containerd-namespace"),
        *("containerd-plugins-namespace", "data-root", "default-cgroupns-mode", "default-gateway"),
        *("default-gateway-v6", "default-ipc-mode", "default-runtime", "exec-root", "firewall-backend"),
        *("fixed-cidr", "fixed-cidr-v6", "graph", "group", "host-gateway-ip", "http-proxy", "https-proxy"),
        *("init-path", "ip", "log-driver", "log-format", "log-level", "metrics-addr", "min-api-version"),
        *("no-proxy", "pidfile", "seccomp-profile", "service-name", "storage-driver"),
        *("swarm-default-advertise-addr", "tlscacert", "tlscert", "tlskey", "userland-proxy-path"),
        *("userns-remap", "deprecated-key-path"),
    }
)
_MAPS: Final = MappingProxyType(
    {
        "builder": None,
        "cluster-store-opts": Kind.STRING,
        "default-network-opts": Kind.MAP,
        "default-ulimits": None,
        "features": Kind.BOOLEAN,
        "log-opts": Kind.STRING,
        "nri-opts": None,
        "proxies": None,
        "runtimes": Kind.MAP,
    }
)
"""Sections, and what each of their members has to be where that is the same for all."""
_OTHERS: Final = frozenset({"default-address-pools", "default-shm-size"})

_FLATTENED_BY_NAME: Final = frozenset(
    {"builder", "cluster-store-opts", "default-network-opts", "default-ulimits", "features", "log-opts"}
    | {"nri-opts", "runtimes"}
)
"""Sections whose members dockerd does not take for settings; of any other section it does (``flatOptions``)."""

KEYS: Final = _LISTS | _BOOLEANS | _NUMBERS | _TEXTS | frozenset(_MAPS) | _OTHERS
"""Every key that some version knows."""

FLAGS: Final = MappingProxyType(
    {
        "add-runtime": "runtimes",
        "authorization-plugin": "authorization-plugins",
        "cdi-spec-dir": "cdi-spec-dirs",
        "cluster-store-opt": "cluster-store-opts",
        "default-address-pool": "default-address-pools",
        "default-network-opt": "default-network-opts",
        "default-ulimit": "default-ulimits",
        "dns-opt": "dns-opts",
        "exec-opt": "exec-opts",
        "feature": "features",
        "host": "hosts",
        "insecure-registry": "insecure-registries",
        "label": "labels",
        "log-opt": "log-opts",
        "node-generic-resource": "node-generic-resources",
        "registry-mirror": "registry-mirrors",
        "storage-opt": "storage-opts",
    }
)
"""Names of flags whose key in the file is another: dockerd knows the word, and does not read it there."""

_GO_KINDS: Final = MappingProxyType(
    {
        Kind.MAP: "object",
        Kind.LIST: "array",
        Kind.STRING: "string",
        Kind.NUMBER: "number",
        Kind.BOOLEAN: "bool",
    }
)
_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST_PORT: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]+)?")


def read_daemon_json(path: Path) -> DaemonSettings:
    """Reads the file. Never raises."""
    data = read_bytes(path)
    if isinstance(data, Flaw):
        return DaemonSettings(path=str(path), flaws=(data,))
    return parse_daemon_json(data, path)


def parse_daemon_json(data: bytes, path: Path) -> DaemonSettings:
    """Reads the content of the file as docker 23 and newer do; ``older`` is what docker 20.10 minds besides."""
    text, marked = _decoded(data)
    start = Node(Kind.MAP, 1, 1)
    older = (flaw(path, start, "it begins with a byte order mark"),) if marked else ()
    if not text.strip():
        return DaemonSettings(path=str(path), older=(*older, flaw(path, start, "it is empty: EOF")))
    try:
        root = json_go.parse(text)
    except (SyntaxProblem, TooLarge) as error:
        return DaemonSettings(path=str(path), flaws=(unparsed(path, error),))
    if root.kind is Kind.NULL:
        return DaemonSettings(path=str(path), older=older)
    if root.kind is not Kind.MAP:
        message = (
            f"json: cannot unmarshal {_GO_KINDS[root.kind]} into Go value of type map[string]interface {{}}"
        )
        return DaemonSettings(path=str(path), flaws=(flaw(path, root, message),))
    mirrors, insecure = (_strings(root, key) for key in ("registry-mirrors", "insecure-registries"))
    return DaemonSettings(
        path=str(path),
        flaws=(
            *_repeated(root, path),
            *_unknown(root, path),
            *_mistyped(root, path),
            *_invalid(root, path),
            *_wrong_mirrors(mirrors, path),
            *_wrong_insecure(insecure, path),
        ),
        keys=tuple(listed(path, node, key) for key, node in _flattened(root)),
        insecure=tuple(listed(path, node) for node in insecure),
        mirrors=tuple(listed(path, node, redact_url(node.value)) for node in mirrors),
        misnamed=tuple(listed(path, node, key) for key, node in root.pairs if key in FLAGS),
        older=(*older, *_refused_before(root, mirrors, path)),
    )


def _decoded(data: bytes) -> tuple[str, bool]:
    """The text, and whether a byte order mark stood before it."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ):
        if data.startswith(mark):
            return data.removeprefix(mark).decode(encoding, "replace"), True
    return data.decode("utf-8", "replace"), False


def _refused_before(root: Node, mirrors: list[Node], path: Path) -> Iterator[Flaw]:
    """What docker 20.10 refuses and newer versions take."""
    proxies = root.get("proxies")
    for key, node in proxies.pairs if proxies is not None and proxies.kind is Kind.MAP else ():
        message = f"the following directives don't match any configuration option: {key}"
        yield flaw(path, node, message, key=key)
    for node in mirrors:
        if mirror_problem(node.value) is None and urlsplit(node.value).path not in ("", "/"):
            message = f'invalid mirror: path, query, or fragment at end of the URI "{redact_url(node.value)}"'
            yield flaw(path, node, message, key="registry-mirrors")


def _strings(root: Node, key: str) -> list[Node]:
    """The texts of a list; null stands for an empty one, as for Go."""
    node = root.get(key)
    items = node.items if node is not None else ()
    return [
        replace(item, kind=Kind.STRING, value="") if item.kind is Kind.NULL else item
        for item in items
        if item.kind in (Kind.STRING, Kind.NULL)
    ]


def _repeated(root: Node, path: Path) -> Iterator[Flaw]:
    for key, node in root.repeated():
        yield flaw(path, node, f"{key} stands twice, and only the last one counts", key=key, ignored=True)


def _flattened(root: Node) -> Iterator[tuple[str, Node]]:
    """The settings as dockerd compares them with its flags: most sections stand for their members."""
    for key, node in root.pairs:
        if node.kind is Kind.MAP and key not in _FLATTENED_BY_NAME:
            yield from node.pairs
        else:
            yield key, node


def _unknown(root: Node, path: Path) -> Iterator[Flaw]:
    for key, node in _flattened(root):
        if key not in KEYS and key not in FLAGS:
            message = f"the following directives don't match any configuration option: {key}"
            yield flaw(path, node, message, key=key)


def _mistyped(root: Node, path: Path) -> Iterator[Flaw]:
    """Values that Go cannot put into the field of their key."""
    for key, node in root.pairs:
        if node.kind is Kind.NULL:
            continue
        for wrong, kind, wanted in _mismatches(key, node):
            message = f"json: cannot unmarshal {kind} into Go struct field Config.{key} of type {wanted}"
            yield flaw(path, wrong, message, key=key)


def _mismatches(key: str, node: Node) -> Iterator[tuple[Node, str, str]]:
    """The node that is wrong, what it is, and what it should be, in Go's words."""
    kind = _GO_KINDS[node.kind]
    if key in _LISTS:
        if node.kind is not Kind.LIST:
            yield node, kind, "[]string"
        for item in node.items:
            if item.kind not in (Kind.STRING, Kind.NULL):
                yield item, _GO_KINDS[item.kind], "string"
    elif key in _BOOLEANS and node.kind is not Kind.BOOLEAN:
        yield node, kind, "bool"
    elif key in _NUMBERS:
        if node.kind is not Kind.NUMBER:
            yield node, kind, "int"
        elif not re.fullmatch(r"-?[0-9]+", node.value):
            yield node, f"number {node.value}", "int"
    elif key in _TEXTS and node.kind is not Kind.STRING:
        yield node, kind, "string"
    elif key in _MAPS:
        if node.kind is not Kind.MAP:
            yield node, kind, "map[string]string" if _MAPS[key] is Kind.STRING else "map"
        wanted = _MAPS[key]
        for _name, member in node.pairs:
            if wanted is not None and member.kind not in (wanted, Kind.NULL):
                yield member, _GO_KINDS[member.kind], "string" if wanted is Kind.STRING else "map"


def _invalid(root: Node, path: Path) -> Iterator[Flaw]:
    """Values of the right kind that dockerd refuses nevertheless (moby ``config.Validate``)."""
    for key, problem in _INVALID.items():
        member = root.get(key)
        for node in (member, *(member.items if member is not None else ())):
            if node is not None and node.kind in (Kind.STRING, Kind.NUMBER):
                message = problem(node.value)
                if message is not None:
                    failed = f"configuration validation from file failed: {message}"
                    yield flaw(path, node, failed, key=key)


def _negative(what: str) -> Callable[[str], str | None]:
    return lambda value: f"invalid {what}: {value}" if value.startswith("-") else None


def _label_problem(value: str) -> str | None:
    return None if "=" in value.strip("=") else f"bad attribute format: {value}"


def _address_problem(value: str) -> str | None:
    return None if _is_address(value.strip()) else f"{value} is not an ip address"


_INVALID: Final = MappingProxyType(
    {
        "dns": _address_problem,
        "labels": _label_problem,
        "max-concurrent-downloads": _negative("max concurrent downloads"),
        "max-concurrent-uploads": _negative("max concurrent uploads"),
        "max-download-attempts": _negative("max download attempts"),
    }
)
"""Why dockerd refuses a value, by key."""


def _wrong_mirrors(mirrors: list[Node], path: Path) -> Iterator[Flaw]:
    for node in mirrors:
        problem = mirror_problem(node.value)
        if problem is not None:
            yield flaw(path, node, f"invalid mirror: {problem}", key="registry-mirrors")


def mirror_problem(text: str) -> str | None:
    """Why dockerd refuses a mirror (moby ``registry/config.go``, ``ValidateMirror``), or None.

    A path is left to the version: docker 20.10 refuses one, newer versions take it.
    """
    shown = redact_url(text)
    if text != text.strip():
        return f'"{shown}" is not a valid URI'
    scheme, separator, _rest = text.partition("://")
    if not separator or not scheme:
        return f"no scheme specified for \"{shown}\": must use either 'https://' or 'http://'"
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for what is no number
    except ValueError:
        return f'"{shown}" is not a valid URI'
    if parts.scheme not in ("http", "https"):
        return f"unsupported scheme \"{scheme}\" in \"{shown}\": must use either 'https://' or 'http://'"
    if parts.query or parts.fragment:
        return f'query or fragment at end of the URI "{shown}"'
    if "@" in parts.netloc:
        return f'username/password not allowed in URI "{shown}"'
    return None


def _wrong_insecure(insecure: list[Node], path: Path) -> Iterator[Flaw]:
    for node in insecure:
        problem = insecure_problem(node.value)
        if problem is not None:
            yield flaw(path, node, problem, key="insecure-registries")


def insecure_problem(text: str) -> str | None:
    """Why dockerd refuses an entry (moby ``registry/config.go``, ``loadInsecureRegistries``), or None."""
    entry = without_scheme(text)
    if "://" in entry:
        return f"insecure registry {redact_url(text)} should not contain '://'"
    if entry.startswith("-") or entry.endswith("-"):
        return f"invalid index name ({entry}). Cannot begin or end with a hyphen"
    try:
        ip_network(entry, strict=False)
    except ValueError:
        pass
    else:
        if "/" in entry:
            return None
    host, _, port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
    if not _HOST_PORT.fullmatch(entry) and not _is_address(entry):
        return f'insecure registry {entry} is not valid: invalid host "{host}"'
    if port and int(port) > 65_535:
        return f'insecure registry {entry} is not valid: invalid port "{port}"'
    return None


def without_scheme(entry: str) -> str:
    """An entry of ``insecure-registries`` as dockerd compares it: it takes off a scheme, with a warning."""
    for scheme in ("http://", "https://"):
        if entry.lower().startswith(scheme):
            return entry[len(scheme) :]
    return entry


def _is_address(entry: str) -> bool:
    """Whether it is an IPv6 address, in brackets where a port follows."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::[0-9]{1,5})?", entry)
    try:
        ip_address(bracketed[1] if bracketed else entry)
    except ValueError:
        return False
    return True


def covers(listed_as: Listed, domain: str, addresses: tuple[str, ...]) -> bool:
    """Whether an entry makes dockerd take a registry for insecure: by its very name, or by a network.

    :param domain: ``host[:port]`` as in image names.
    :param addresses: what the host's name resolves to.
    """
    entry = without_scheme(listed_as.value)
    if "/" not in entry:
        return entry == domain
    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        return False
    return any(ip_address(address) in network for address in addresses if _is_address(address))


def refused(settings: DaemonSettings) -> tuple[Flaw, ...]:
    """The flaws that keep dockerd from starting with the file."""
    return tuple(each for each in settings.flaws if each.kind in (FlawKind.SYNTAX, FlawKind.REFUSED))
