"""Tells what a configuration file is, broken ones included: by what stands in it, else by its name.

A file that has to be judged may not parse, so nothing is parsed here: each kind has lines that no other kind
has, and these are looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Final

from regdoctor.facts.base import FileKind

HEAD: Final = 256 * 1024
"""Bytes of a file that are looked at."""


def recognise(path: Path, *, by_name: bool = True) -> FileKind | None:
    """What a file is, or None where nothing tells.

    :param by_name: whether a usual name decides where the content does not: for a file that somebody named
        it should, for one that was merely found in a folder only a name that nothing else has.
    :raises OSError: it cannot be read.
    """
    # A pipe would block the opening, a device never end.
    if not path.is_file():
        return None
    with path.open("rb") as file:
        data = file.read(HEAD)
    text = _text(data)
    known = kind_of_text(text) if text is not None else None
    # A link such as config.yml may lead to any name; what clients and people see is the link's.
    return known or kind_of_name(path.absolute(), usual=by_name and (text is None or not _foreign(text)))


def _text(data: bytes) -> str | None:
    """The text of a file, or None for what is none."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            return data[2:].decode(encoding, "replace")
    if b"\0" in data:
        return None
    return data.decode("utf-8-sig", "replace")


def kind_of_name(path: Path, *, usual: bool) -> FileKind | None:
    """What a file of this name is; ``usual`` takes names as well that other programs have too."""
    name, folder = path.name.lower(), path.parent.name.lower()
    for pattern, kind in _OWN_NAMES:
        if pattern.fullmatch(name):
            return kind
    if folder == "registries.conf.d" and name.endswith(".conf"):
        return FileKind.REGISTRIES
    for names, folders, kind in _NAMES_IN_FOLDERS:
        if name in names and (usual or folder in folders):
            return kind
    return None


_OWN_NAMES: Final = (
    (re.compile(r"hosts\.toml"), FileKind.HOSTS),
    (re.compile(r"daemon\.json"), FileKind.DAEMON),
    (re.compile(r"registries\.conf"), FileKind.REGISTRIES),
    (re.compile(r"\.dockercfg|\.dockerconfigjson"), FileKind.DOCKER_CONFIG),
    (re.compile(r"nginx\.conf"), FileKind.NGINX),
    (re.compile(r"haproxy\.(?:cfg|conf)"), FileKind.HAPROXY),
    (re.compile(r"traefik\.(?:ya?ml|toml)"), FileKind.TRAEFIK),
    (re.compile(r"caddyfile|.+\.caddyfile|.+\.caddy"), FileKind.CADDY),
    (re.compile(r"\.?htpasswd|.+\.htpasswd"), FileKind.HTPASSWD),
    (re.compile(r"buildkitd.*\.toml"), FileKind.BUILDKIT),
)
"""Names that no other program's files have."""

_NAMES_IN_FOLDERS: Final = (
    ({"config.json"}, {".docker"}, FileKind.DOCKER_CONFIG),
    ({"auth.json"}, {"containers"}, FileKind.DOCKER_CONFIG),
    ({"policy.json"}, {"containers"}, FileKind.POLICY),
    ({"config.toml", "config.toml.tmpl"}, {"containerd"}, FileKind.CONTAINERD),
    ({"config.yml", "config.yaml"}, {"registry", "docker-registry", "distribution"}, FileKind.REGISTRY),
)
"""Names that other programs' files have too, and the folders in which they are what they seem."""

_YAML_KEY: Final = re.compile(r"^([A-Za-z][\w.-]*|\"[\w.-]+\"|'[\w.-]+')[ \t]*:(?:[ \t]|$)", re.MULTILINE)
_JSON_KEY: Final = re.compile(r"\"((?:[^\"\\\n]|\\.){1,200})\"\s*:")
_REGISTRY_VERSION: Final = re.compile(r"^version\s*:\s*[\"']?0\.\d", re.MULTILINE)
_REGISTRY_SECTIONS: Final = frozenset(
    {
        "storage",
        "http",
        "auth",
        "log",
        "health",
        "redis",
        "notifications",
        "proxy",
        "middleware",
        "validation",
    }
)
_REGISTRY_BELOW_HTTP: Final = re.compile(
    r"^[ \t]+(?:addr|secret|host|prefix|net|relativeurls|draintimeout|debug|headers|tls)[ \t]*:", re.MULTILINE
)
_TRAEFIK_KEYS: Final = frozenset(
    {"entryPoints", "entrypoints", "providers", "certificatesResolvers", "serversTransport"}
)
_TRAEFIK_BELOW_HTTP: Final = re.compile(
    r"^[ \t]+(?:routers|services|middlewares|serversTransports)[ \t]*:", re.MULTILINE
)
_DOCKER_CONFIG_KEYS: Final = frozenset({"auths", "credHelpers", "credsStore"})
_DOCKER_CONFIG_MORE: Final = frozenset(
    {"HttpHeaders", "psFormat", "imagesFormat", "detachKeys", "currentContext", "cliPluginsExtraDirs"}
)
_DAEMON_KEYS: Final = frozenset(
    {
        *("registry-mirrors", "insecure-registries", "insecure-registry", "registry-mirror"),
        *("log-driver", "log-opts", "storage-driver", "storage-opts", "data-root", "exec-opts", "exec-root"),
        *("live-restore", "default-runtime", "default-address-pools", "userns-remap", "userland-proxy"),
        *("max-concurrent-downloads", "max-concurrent-uploads", "containerd-namespace", "cgroup-parent"),
        *("allow-nondistributable-artifacts", "default-ulimits", "metrics-addr", "ip6tables", "iptables"),
        *("fixed-cidr", "dns-opts", "dns-search", "tlscacert", "tlsverify", "shutdown-timeout", "bip"),
    }
)
_POLICY_REQUIREMENT: Final = re.compile(
    r"\"type\"\s*:\s*\"(?:insecureAcceptAnything|reject|signedBy|signedBaseLayer|sigstoreSigned)\""
)
_POLICY_DEFAULT: Final = re.compile(r"\"default\"\s*:\s*\[")
_CONTAINERD: Final = re.compile(
    r"^[ \t]*\[\s*['\"]?(?:plugins|proxy_plugins|stream_processors|grpc|timeouts)\b|io\.containerd\.(?:grpc|cri)\."
    r"|^[ \t]*(?:disabled_plugins|required_plugins|oom_score)\s*=",
    re.MULTILINE,
)
_HOSTS: Final = re.compile(
    r"^[ \t]*\[\s*host\s*\.|^[ \t]*\[\s*host\s*\]|^[ \t]*capabilities\s*=.*\b(?:pull|resolve|push)\b",
    re.MULTILINE,
)
_BUILDKIT: Final = re.compile(
    r"^[ \t]*\[\s*(?:worker\s*\.\s*(?:oci|containerd)|registry\s*\.\s*['\"])|^[ \t]*insecure-entitlements\s*=",
    re.MULTILINE,
)
_REGISTRIES: Final = re.compile(
    r"^[ \t]*\[\[\s*registry\s*(?:\.\s*mirror\s*)?\]\]"
    r"|^[ \t]*\[\s*registries\s*\.\s*(?:search|insecure|block)\s*\]"
    r"|^[ \t]*(?:unqualified-search-registries|short-name-mode|credential-helpers)\s*=",
    re.MULTILINE,
)
_TRAEFIK_TOML: Final = re.compile(
    r"^[ \t]*\[\s*(?:entryPoints|entrypoints|certificatesResolvers|providers\s*\.)"
    r"|^[ \t]*\[\s*http\s*\.\s*(?:routers|services|middlewares)",
    re.MULTILINE,
)
_NGINX: Final = re.compile(
    r"^[ \t]*(?:http|server|events|stream)\s*\{|^[ \t]*upstream\s+\S+\s*\{|^[ \t]*location\s[^\n;]*\{"
    r"|^[ \t]*(?:proxy_pass|client_max_body_size|proxy_set_header|server_name)\s[^\n]*;",
    re.MULTILINE,
)
_HAPROXY: Final = re.compile(
    r"^(?:global|defaults(?:\s+\S+)?|(?:frontend|backend|listen)\s+\S+(?:\s+\S+)?)\s*(?:#.*)?$", re.MULTILINE
)
_HAPROXY_LINE: Final = re.compile(
    r"^[ \t]+(?:bind|server|mode|timeout|default_backend|use_backend|option|http-request|balance|acl)\s",
    re.MULTILINE,
)
_CADDY: Final = re.compile(
    r"^[ \t]*(?:reverse_proxy|handle_path|handle|tls|file_server)\b[^;]*$", re.MULTILINE
)
_CADDY_SITE: Final = re.compile(r"^[^\s#][^\n;]*\{\s*(?:#.*)?$|^\{\s*$", re.MULTILINE)
_HTPASSWD: Final = re.compile(
    r"^[^\s:#][^:\n]*:(?:\$(?:2[aby]?|apr1|1|5|6)\$|\{(?:SHA|SSHA|PLAIN)\})[^:\n]*$", re.MULTILINE
)
_KUBERNETES: Final = re.compile(r"^[ \t]*(?:-\s+)?[\"']?apiVersion[\"']?\s*:\s*[\"']?[a-z]", re.MULTILINE)
_KUBERNETES_KIND: Final = re.compile(r"^[ \t]*(?:-\s+)?[\"']?kind[\"']?\s*:\s*[\"']?[A-Z]", re.MULTILINE)


def kind_of_text(text: str) -> FileKind | None:
    """What the text of a file is, or None where it holds nothing that only one kind has."""
    if _is_json(text):
        return _kind_of_json(text)
    for kind, is_kind in _TESTS.items():
        if is_kind(text):
            return kind
    return None


def _is_json(text: str) -> bool:
    # A Caddyfile may begin with a brace too, which holds its global options.
    return re.match(r"\s*\{\s*(?:\"|\}|$)", text) is not None


def _kind_of_json(text: str) -> FileKind | None:
    keys = frozenset(_JSON_KEY.findall(text))
    if {"apiVersion", "kind"} <= keys:
        return FileKind.KUBERNETES
    if (
        _POLICY_REQUIREMENT.search(text)
        or _POLICY_DEFAULT.search(text)
        or {"default", "transports"} <= keys
        or keys == {"default"}
    ):
        return FileKind.POLICY
    if keys & _DOCKER_CONFIG_KEYS:
        return FileKind.DOCKER_CONFIG
    if keys & _DAEMON_KEYS:
        return FileKind.DAEMON
    if keys & _DOCKER_CONFIG_MORE:
        return FileKind.DOCKER_CONFIG
    if {"apps", "servers"} <= keys or ("handler" in keys and "reverse_proxy" in text):
        return FileKind.CADDY
    return None


def _top_level(text: str) -> frozenset[str]:
    return frozenset(key.strip("\"'") for key in _YAML_KEY.findall(text))


def _is_kubernetes(text: str) -> bool:
    return _KUBERNETES.search(text) is not None and _KUBERNETES_KIND.search(text) is not None


def _is_registry(text: str) -> bool:
    if _REGISTRY_VERSION.search(text):
        return True
    keys = _top_level(text)
    sections = keys & _REGISTRY_SECTIONS
    if "services" in keys or keys & _TRAEFIK_KEYS:
        return False
    if sections == {"http"} or sections == {"http", "log"}:
        return _REGISTRY_BELOW_HTTP.search(text) is not None and not _TRAEFIK_BELOW_HTTP.search(text)
    return len(sections) > 1 and "storage" in sections


def _is_traefik(text: str) -> bool:
    if _TRAEFIK_TOML.search(text):
        return True
    keys = _top_level(text)
    if keys & _TRAEFIK_KEYS:
        return True
    return bool(keys & {"http", "tcp", "udp"}) and _TRAEFIK_BELOW_HTTP.search(text) is not None


def _is_haproxy(text: str) -> bool:
    return _HAPROXY.search(text) is not None and _HAPROXY_LINE.search(text) is not None


def _is_caddy(text: str) -> bool:
    return _CADDY_SITE.search(text) is not None and _CADDY.search(text) is not None


def _finds(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.search(text) is not None


_TESTS: Final = MappingProxyType(
    {
        FileKind.KUBERNETES: _is_kubernetes,
        FileKind.REGISTRIES: _finds(_REGISTRIES),
        FileKind.BUILDKIT: _finds(_BUILDKIT),
        FileKind.CONTAINERD: _finds(_CONTAINERD),
        FileKind.TRAEFIK: _is_traefik,
        FileKind.HOSTS: _finds(_HOSTS),
        FileKind.REGISTRY: _is_registry,
        FileKind.HAPROXY: _is_haproxy,
        FileKind.NGINX: _finds(_NGINX),
        FileKind.CADDY: _is_caddy,
        FileKind.HTPASSWD: _finds(_HTPASSWD),
    }
)
"""What tells the kinds that are not JSON, in the order in which they are tried."""


def _foreign(text: str) -> bool:
    """Whether a text has keys, and so is a whole file of some other program."""
    if _is_json(text):
        return bool(_JSON_KEY.search(text))
    return (
        len(_top_level(text) - {"version"}) > 1
        or re.search(r"^[ \t]*\[+[\w.\"' -]+\]+\s*$", text, re.M) is not None
    )
