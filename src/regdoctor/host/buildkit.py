"""Reads ``buildkitd.toml`` (moby/buildkit ``docs/buildkitd.toml.md``), and which builder buildx uses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from regdoctor import json_go, toml_located
from regdoctor.facts.client import Builder, BuildkitRegistry, BuildkitSettings, Flaw, FlawKind, Listed
from regdoctor.host.hosts_toml import authority_problem
from regdoctor.host.settings_files import flaw, listed, read_text, unparsed
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge

_KINDS: Final = {
    "http": Kind.BOOLEAN,
    "insecure": Kind.BOOLEAN,
    "mirrors": Kind.LIST,
    "ca": Kind.LIST,
    "keypair": Kind.LIST,
    "tlsconfigdir": Kind.LIST,
}
_WORDS: Final = {Kind.BOOLEAN: "true or false", Kind.LIST: "a list"}


def read_buildkitd_toml(path: Path) -> BuildkitSettings:
    """Reads the file. Never raises."""
    text = read_text(path)
    if isinstance(text, Flaw):
        return BuildkitSettings(path=str(path), flaws=(text,))
    try:
        root = toml_located.parse(text)
    except (SyntaxProblem, TooLarge) as error:
        return BuildkitSettings(path=str(path), flaws=(unparsed(path, error),))
    flaws: list[Flaw] = []
    tables = root.get("registry")
    if tables is not None and tables.kind is not Kind.MAP:
        flaws.append(flaw(path, tables, 'registry is no table: write [registry."HOST"]', key="registry"))
    registries = [
        _registry(path, name, node, flaws)
        for name, node in (tables.pairs if tables is not None else ())
        if node.kind is Kind.MAP
    ]
    return BuildkitSettings(path=str(path), flaws=tuple(flaws), registries=tuple(registries))


def _registry(path: Path, name: str, node: Node, flaws: list[Flaw]) -> BuildkitRegistry:
    if "/" in name:
        message = f"{name!r} is no host[:port], so it is never looked up"
        flaws.append(flaw(path, node, message, key="registry", ignored=True))
    for key, member in node.pairs:
        wanted = _KINDS.get(key)
        if wanted is None:
            message = f'{key} is no key of [registry."{name}"], so it has no effect'
            flaws.append(flaw(path, member, message, key=key, ignored=True))
        elif member.kind is not wanted:
            flaws.append(flaw(path, member, f"{key} has to be {_WORDS[wanted]}", key=key))
    authorities = _texts(path, node, "ca")
    for each in authorities:
        problem = authority_problem(path.parent / each.value)
        if problem is not None:
            flaws.append(
                Flaw(
                    path=str(path),
                    kind=FlawKind.FILE,
                    message=f"{each.value}: {problem[1]}",
                    line=each.line,
                    column=each.column,
                    key="ca",
                )
            )
    return BuildkitRegistry(
        name=listed(path, node, name),
        http=(http := node.get("http")) is not None and http.true,
        insecure=(insecure := node.get("insecure")) is not None and insecure.true,
        authorities=authorities,
        mirrors=_texts(path, node, "mirrors"),
    )


def _texts(path: Path, node: Node, key: str) -> tuple[Listed, ...]:
    found = node.get(key)
    return tuple(listed(path, item) for item in found.strings) if found is not None else ()


def read_builder(environment: Mapping[str, str], home: Path) -> Builder | None:
    """The builder that ``docker buildx build`` uses, or None for the daemon's own.

    docker/buildx ``store/store.go``: ``BUILDX_BUILDER`` names it, else the file ``current`` below
    ``BUILDX_CONFIG`` or docker's folder; ``instances/NAME`` describes it.
    """
    docker = Path(environment["DOCKER_CONFIG"]) if environment.get("DOCKER_CONFIG") else home / ".docker"
    folder = Path(environment["BUILDX_CONFIG"]) if environment.get("BUILDX_CONFIG") else docker / "buildx"
    name = environment.get("BUILDX_BUILDER", "")
    if not name:
        current = _json(folder / "current")
        found = current.get("Name") if current is not None else None
        name = found.value if found is not None else ""
    if not name or "/" in name:
        return None
    path = folder / "instances" / name
    instance = _json(path)
    if instance is None:
        return None
    driver, nodes = instance.get("Driver"), instance.get("Nodes")
    return Builder(
        name=name,
        driver=driver.value if driver is not None else "",
        path=str(path),
        configured=any(
            item.get("Files") is not None or _flag(item)
            for item in (nodes.items if nodes is not None else ())
        ),
    )


def _flag(node: Node) -> bool:
    flags = node.get("Flags")
    return flags is not None and any("--config" in item.value for item in flags.strings)


def _json(path: Path) -> Node | None:
    text = read_text(path)
    if isinstance(text, Flaw):
        return None
    try:
        root = json_go.parse(text)
    except (SyntaxProblem, TooLarge):
        return None
    return root if root.kind is Kind.MAP else None
