"""Which ways through a proxy lead to the registry that is asked about, or to one at all. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from regdoctor.facts.base import Endpoint, FileKind
from regdoctor.facts.proxyconf import ProxyConfig, ProxyListener, ProxyRoute
from regdoctor.host.proxyconf.matching import names_match
from regdoctor.model import Certainty

DEFAULT_PORTS: Final[Mapping[str, int]] = MappingProxyType({"http": 80, "https": 443})
NAMELESS: Final = "<registry>"
"""Stands for the host in addresses where the configuration names none."""

_PRODUCTS: Final = re.compile(
    r"registr(?:y|ies)\b|registr(?:y|ies)[-_.\d]|harbor|artifactory|nexus|\bquay|distribution"
)
_LABELS: Final = re.compile(r"(?<![a-z0-9])(?:reg|cr|oci|zot|ghcr|gcr|ecr|acr|dockerhub)\d*(?![a-z0-9])")
_DOCKER_NAME: Final = re.compile(r"docker")
_REGISTRY_PORT: Final = re.compile(r":5000(?:/|$)")


@dataclass(frozen=True)
class Front:
    """A way that uploads take, and how a client reaches it."""

    route: ProxyRoute
    listener: ProxyListener
    scheme: str
    """The client's."""
    host: str
    port: int
    certainty: Certainty
    """How firmly it is known that this way leads to the registry."""
    endpoint: Endpoint | None = None

    @property
    def authority(self) -> str:
        """The Host header that a client sends."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def pulls_only(self) -> bool:
        """Whether uploads are refused anyway, by their methods."""
        refused = self.route.refused
        return refused is not None and bool({"POST", "PATCH", "PUT"} & set(refused.methods))

    @property
    def where(self) -> str:
        """The block and its place, for sentences."""
        return f"{self.route.block} ({self.route.place})"


def fronts(config: ProxyConfig, registries: Iterable[Endpoint]) -> list[Front]:
    """The ways that lead to the registry; where none is asked about, those that show that they lead to one."""
    registry = next(iter(registries), None)
    if registry is None:
        return [
            _by_itself(route, certainty) for route in config.routes if (certainty := signs(route)) is not None
        ]
    chosen, certainty = _leading_to(config, registry)
    return [_towards(route, registry, certainty) for route in chosen]


def _leading_to(config: ProxyConfig, registry: Endpoint) -> tuple[Sequence[ProxyRoute], Certainty]:
    """The ways for a host and port, as the proxy would choose, or the likeliest where none is for them."""
    named = [route for route in config.routes if names_match(route.names, registry.host)]
    exact = [route for route in named if registry.host.lower() in (name.lower() for name in route.names)]
    named = exact or named
    for tier in (
        [route for route in named if _listens(route, registry.port)],
        named,
        [route for route in config.routes if _takes_unknown_names(config, route, registry)],
    ):
        if tier:
            return tier, Certainty.PROVEN
    shown = [route for route in config.routes if signs(route) is not None]
    if shown:
        return shown, Certainty.LIKELY
    return (config.routes, Certainty.LIKELY) if len(config.routes) == 1 else ((), Certainty.LIKELY)


def _listens(route: ProxyRoute, port: int) -> bool:
    return any(listener.port == port for listener in route.listeners)


def _takes_unknown_names(config: ProxyConfig, route: ProxyRoute, registry: Endpoint) -> bool:
    """Whether requests for a name that nothing is for end there: on the same port, and in the default server."""
    at_port = [
        listener
        for listener in route.listeners
        if listener.port == registry.port and _same_address(listener.host, registry.host)
    ]
    if not route.names:
        return bool(at_port)
    return config.kind is FileKind.NGINX and any(listener.default for listener in at_port)


def _same_address(listening: str, host: str) -> bool:
    """Whether a connection to the host may arrive at a listener; for names that cannot be told here."""
    try:
        return not listening or ipaddress.ip_address(listening) == ipaddress.ip_address(host)
    except ValueError:
        return True


def signs(route: ProxyRoute) -> Certainty | None:
    """How firmly a way shows by itself that it leads to a registry; None where nothing says so.

    Names say it firmly. The path and the port of the registry alone may be those of any other service.
    """
    words = " ".join((*route.names, *route.upstreams, route.block, route.path)).lower()
    path = "/v2" in route.path
    port = any(_REGISTRY_PORT.search(upstream) for upstream in route.upstreams)
    names = " ".join(route.names).lower()
    if (
        route.adds_version_header
        or (path and port)
        or _PRODUCTS.search(words)
        or _LABELS.search(words)
        or _DOCKER_NAME.search(names)
    ):
        return Certainty.PROVEN
    return Certainty.POSSIBLE if path or port else None


def _towards(route: ProxyRoute, registry: Endpoint, certainty: Certainty) -> Front:
    listeners = [listener for listener in route.listeners if listener.port == registry.port]
    listeners = listeners or list(route.listeners) or [ProxyListener()]
    listeners.sort(key=lambda listener: listener.tls != (registry.scheme == "https"))
    return Front(
        route=route,
        listener=listeners[0],
        scheme=registry.scheme,
        host=registry.host,
        port=registry.port,
        certainty=certainty,
        endpoint=registry,
    )


def _by_itself(route: ProxyRoute, certainty: Certainty) -> Front:
    """A way with the client that it seems to be made for."""
    listeners = sorted(route.listeners, key=lambda listener: not listener.tls) or [ProxyListener()]
    listener = listeners[0]
    scheme = "https" if listener.tls else "http"
    plain = (name for name in route.names if re.fullmatch(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", name))
    return Front(
        route=route,
        listener=listener,
        scheme=scheme,
        host=next(plain, NAMELESS),
        port=listener.port or DEFAULT_PORTS[scheme],
        certainty=certainty,
    )
