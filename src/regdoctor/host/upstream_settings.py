"""What a registry's configuration says about the upstream that it caches (section ``proxy``).

Distribution ``docs/content/about/configuration.md``; variables named ``REGISTRY_PROXY_…`` overrule the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from regdoctor.facts.config import ConfigFile
from regdoctor.host import registry_environment
from regdoctor.secret import Secret

if TYPE_CHECKING:
    from regdoctor.yaml_v2 import Node

_MAX_FILE: Final = 1024 * 1024
_VARIABLE: Final = "REGISTRY_PROXY_"


@dataclass(frozen=True, kw_only=True)
class UpstreamSettings:
    """The upstream as configured. ``source`` is the file, or the variable that names the URL."""

    source: str
    url: str
    username: str | None = None
    password: Secret | None = None


def upstream_settings(config: ConfigFile, variables: Mapping[str, str]) -> UpstreamSettings | None:
    """Take what concerns the upstream out of a configuration; None where the registry is no cache.

    ``variables`` are the registry process's. The password is read from the file once more, for facts about
    configurations hold none.
    """
    overruled = variables.get(f"{_VARIABLE}REMOTEURL")
    url = overruled if overruled is not None else config.text("proxy", "remoteurl")
    if not url:
        return None
    username = variables.get(f"{_VARIABLE}USERNAME", config.text("proxy", "username"))
    password = variables.get(f"{_VARIABLE}PASSWORD")
    if password is None:
        password = _text_at(Path(config.path), "proxy", "password")
    return UpstreamSettings(
        source=f"{_VARIABLE}REMOTEURL" if overruled is not None else config.path,
        url=url,
        username=username or None,
        password=Secret(password) if password else None,
    )


def url_problem(url: str) -> str | None:
    """Why a registry cannot use ``proxy.remoteurl``, as a clause; None where it can."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is no URL"
    if parts.scheme not in ("http", "https"):
        return "it does not begin with http:// or https://"
    if not parts.hostname or port == 0:
        return "it names no host"
    return None


def manifest_url(url: str, repository: str, reference: str) -> str:
    """The URL under which a cache asks its upstream for a manifest.

    It resolves ``v2/…`` against ``proxy.remoteurl`` as a relative reference (distribution ``internal/client``,
    RFC 3986 section 5.2.2): a path that ends with a slash stays in front, as in ``/v2/v2/…``.
    """
    base = url if urlsplit(url).path else f"{url}/"
    return urljoin(base, f"v2/{repository}/manifests/{reference}")


def read_variables(path: Path) -> dict[str, str]:
    """Read the variables of the registry's environment about the upstream (see ``registry_environment``)."""
    return registry_environment.read_variables(path, _VARIABLE)


def _text_at(path: Path, *keys: str) -> str | None:
    """The text of the scalar at a path of keys, of repeated keys the last; None where there is none."""
    from regdoctor.yaml_v2 import NodeKind, TooLarge, YamlProblem, read

    try:
        with path.open("rb") as file:
            node: Node | None = read(file.read(_MAX_FILE))
    except (OSError, YamlProblem, TooLarge):
        return None
    for wanted in keys:
        found = [value for key, value in node.pairs if key.value == wanted] if node is not None else []
        node = found[-1] if found else None
    if node is None or node.kind in (NodeKind.MAP, NodeKind.LIST, NodeKind.NULL):
        return None
    return node.value
