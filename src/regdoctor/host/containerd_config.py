"""Reads what containerd's ``config.toml`` says about registries (containerd ``docs/cri/registry.md``)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from regdoctor import toml_located
from regdoctor.facts.client import (
    ContainerdSettings,
    Flaw,
    FlawKind,
    Listed,
    RegistrySection,
)
from regdoctor.host.settings_files import flaw, is_there, listed, read_text, unparsed
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge

DEFAULT_PATH: Final = Path("/etc/containerd/config.toml")
SECTIONS: Final = (
    "cri",
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
)
"""Names under ``plugins`` below which ``registry`` is written: of version 1, 2 and 3, and a mix-up of the last."""
_KUBERNETES_PLUGINS: Final = frozenset({"cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"})
_MOST_IMPORTS: Final = 50


def read_containerd_config(path: Path) -> ContainerdSettings:
    """Reads the file and what it imports. Never raises."""
    text = read_text(path)
    if isinstance(text, Flaw):
        missing = text.kind is FlawKind.UNREAD and not is_there(path)
        return ContainerdSettings(path=str(path), flaws=(text,), missing=missing)
    try:
        root = toml_located.parse(text)
    except (SyntaxProblem, TooLarge) as error:
        return ContainerdSettings(path=str(path), flaws=(unparsed(path, error),))
    flaws: list[Flaw] = []
    version = root.get("version")
    sections = {section.name: section for section in _sections(root, path, flaws)}
    for more in _imports(root, path):
        sections |= {section.name: section for section in _imported(more, flaws)}
    given = version is not None and version.kind is Kind.NUMBER
    number = int(version.value) if version is not None and given and len(version.value) < 5 else 1
    if number == 2:
        flaws += _bare_names(root, path)
    return ContainerdSettings(
        path=str(path),
        flaws=tuple(flaws),
        version=number,
        version_given=given,
        sections=tuple(sections.values()),
        kubernetes_disabled=_without_kubernetes(root),
    )


def _without_kubernetes(root: Node) -> bool:
    disabled = root.get("disabled_plugins")
    return any(
        item.value in _KUBERNETES_PLUGINS for item in (disabled.strings if disabled is not None else ())
    )


def _sections(root: Node, path: Path, flaws: list[Flaw]) -> Iterator[RegistrySection]:
    for name in SECTIONS:
        registry = root.at("plugins", name, "registry")
        if registry is None or registry.kind is not Kind.MAP:
            continue
        config_path = registry.get("config_path")
        if config_path is not None and config_path.kind is not Kind.STRING:
            flaws.append(flaw(path, config_path, "config_path is not a text", key="config_path"))
            config_path = None
        yield RegistrySection(
            name=name,
            path=str(path),
            line=registry.line,
            column=registry.column,
            config_path=listed(path, config_path) if config_path is not None and config_path.value else None,
            mirrors=_keys(path, registry.get("mirrors")),
            tls=tuple(_with_tls(path, registry.get("configs"))),
        )


def _keys(path: Path, node: Node | None) -> tuple[Listed, ...]:
    return tuple(listed(path, value, key) for key, value in (node.pairs if node is not None else ()))


def _with_tls(path: Path, node: Node | None) -> Iterator[Listed]:
    for key, value in node.pairs if node is not None else ():
        tls = value.get("tls") if value.kind is Kind.MAP else None
        if tls is not None:
            yield listed(path, tls, key)


def _bare_names(root: Node, path: Path) -> Iterator[Flaw]:
    """In version 2 every plugin has its whole name, and containerd does not start otherwise."""
    plugins = root.get("plugins")
    for name, node in plugins.pairs if plugins is not None else ():
        if not name.startswith("io.containerd."):
            yield flaw(path, node, f'invalid plugin key URI "{name}" expect io.containerd.x.vx', key=name)


def _imports(root: Node, path: Path) -> list[Path]:
    """The files that a configuration imports, as far as they are here."""
    node = root.get("imports")
    found: list[Path] = []
    for item in node.strings if node is not None else ():
        pattern = Path(item.value)
        folder = pattern.parent if pattern.is_absolute() else path.parent / pattern.parent
        try:
            found += sorted(itertools.islice(folder.glob(pattern.name), _MOST_IMPORTS))
        except (OSError, ValueError):
            continue
    return [each for each in found if each != path][:_MOST_IMPORTS]


def _imported(path: Path, flaws: list[Flaw]) -> list[RegistrySection]:
    text = read_text(path)
    if isinstance(text, Flaw):
        flaws.append(text)
        return []
    try:
        return list(_sections(toml_located.parse(text), path, flaws))
    except (SyntaxProblem, TooLarge) as error:
        flaws.append(unparsed(path, error))
        return []
