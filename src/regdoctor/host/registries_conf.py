"""Reads ``registries.conf`` as podman, skopeo, buildah and CRI-O do (containers/image ``pkg/sysregistriesv2``).

Problems have the wording of that library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from regdoctor import toml_located
from regdoctor.facts.client import Flaw, FlawKind, Listed, RegistriesConf, RegistryMirror, RegistryTable
from regdoctor.host.settings_files import flaw, is_there, listed, read_text, unparsed
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge
from regdoctor.oci.reference import InvalidReference, parse_reference

_MOST_DROP_INS: Final = 100

_TOP: Final = MappingProxyType(
    {
        "unqualified-search-registries": Kind.LIST,
        "credential-helpers": Kind.LIST,
        "short-name-mode": Kind.STRING,
        "registry": Kind.LIST,
        "registries": Kind.MAP,
        "additional-layer-store-auth-helper": Kind.STRING,
    }
)
_MIRROR: Final = MappingProxyType(
    {"location": Kind.STRING, "insecure": Kind.BOOLEAN, "pull-from-mirror": Kind.STRING}
)
_REGISTRY: Final = MappingProxyType(
    {
        "prefix": Kind.STRING,
        "location": Kind.STRING,
        "insecure": Kind.BOOLEAN,
        "blocked": Kind.BOOLEAN,
        "mirror-by-digest-only": Kind.BOOLEAN,
        "mirror": Kind.LIST,
        "pull-from-mirror": Kind.STRING,
    }
)
_LISTS_OF_STRINGS: Final = frozenset({"unqualified-search-registries", "credential-helpers", "registries"})
_VERSION_1: Final = ("search", "insecure", "block")
_GO_TYPES: Final = MappingProxyType(
    {Kind.STRING: "string", Kind.BOOLEAN: "boolean", Kind.LIST: "slice", Kind.MAP: "map"}
)
_FOUND: Final = MappingProxyType(
    {
        Kind.STRING: "string",
        Kind.BOOLEAN: "bool",
        Kind.NUMBER: "integer",
        Kind.TIME: "time.Time",
        Kind.LIST: "[]interface {}",
        Kind.MAP: "map[string]interface {}",
    }
)
_DOMAIN: Final = re.compile(
    r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
    r"(?::[0-9]+)?|\[[a-fA-F0-9:]+\](?::[0-9]+)?"
)


def default_files(
    environment: Mapping[str, str], home: Path, etc: Path = Path("/etc")
) -> tuple[Path, tuple[Path, ...], Path | None]:
    """The main file, its drop-ins in order, and the system's file that a file of the user hides.

    containers-registries.conf(5); ``CONTAINERS_REGISTRIES_CONF`` names a main file, and then the system's
    drop-ins count still.
    """
    own, system = home / ".config/containers", etc / "containers"
    named = environment.get("CONTAINERS_REGISTRIES_CONF") or environment.get("REGISTRIES_CONFIG_PATH")
    if named:
        return Path(named), (*drop_ins(system), *drop_ins(own)), None
    if is_there(own / "registries.conf"):
        hidden = system / "registries.conf"
        return own / "registries.conf", drop_ins(own), hidden if is_there(hidden) else None
    return system / "registries.conf", (*drop_ins(system), *drop_ins(own)), None


def drop_ins(folder: Path) -> tuple[Path, ...]:
    """The drop-ins beside a main file, in the order in which they are read."""
    try:
        return tuple(sorted((folder / "registries.conf.d").glob("*.conf"))[:_MOST_DROP_INS])
    except OSError:
        return ()


def read_registries_conf(
    path: Path, more: Sequence[Path] = (), *, drop_in: bool = False, hidden: Path | None = None
) -> RegistriesConf:
    """Reads a main file and its drop-ins, the later of which overrule. Never raises.

    :param drop_in: whether ``path`` itself is a drop-in, which may not be in the old format.
    """
    flaws: list[Flaw] = []
    registries: dict[str, RegistryTable] = {}
    search: tuple[Listed, ...] = ()
    for each in (path, *more):
        file = _File(each, version_2=drop_in or each is not path)
        flaws += file.flaws
        registries |= {table.prefix: table for table in file.registries}
        search = file.search if file.search is not None else search
    return RegistriesConf(
        files=tuple(str(each) for each in (path, *more)),
        flaws=tuple(flaws),
        registries=tuple(registries.values()),
        search=search,
        hidden=str(hidden) if hidden is not None else None,
    )


class _File:
    """One file: its tables, and what is wrong with it. With a refusal the library uses none of it."""

    def __init__(self, path: Path, *, version_2: bool) -> None:
        self.path = path
        self.flaws: list[Flaw] = []
        self.registries: list[RegistryTable] = []
        self.search: tuple[Listed, ...] | None = None
        text = read_text(path)
        if isinstance(text, Flaw):
            if text.kind is not FlawKind.UNREAD or is_there(path):
                self.flaws.append(text)
            return
        if text.startswith("\ufeff"):
            self.flaws.append(
                Flaw(
                    path=str(path),
                    kind=FlawKind.SYNTAX,
                    message="expected '.' or '=', but got '\\ufeff' instead (a byte order mark)",
                    line=1,
                    column=1,
                )
            )
            return
        try:
            root = toml_located.parse(text)
        except (SyntaxProblem, TooLarge) as error:
            self.flaws.append(unparsed(path, error))
            return
        self.flaws += _mistyped(root, _TOP, path)
        for name in _VERSION_1:
            old = _get(root, "registries", name)
            if old is not None and not self.flaws:
                self.flaws += _mistyped(old, {"registries": Kind.LIST}, path)
        if self.flaws:
            return
        self._versions(root, version_2=version_2)
        self._tables(root)
        self._rest(root)

    def _refuse(self, node: Node, message: str, key: str) -> None:
        self.flaws.append(flaw(self.path, node, message, key=key))

    def _versions(self, root: Node, *, version_2: bool) -> None:
        old = [
            node
            for name in _VERSION_1
            if (node := _get(root, "registries", name, "registries")) is not None and node.items
        ]
        if not old:
            return
        if version_2:
            self._refuse(old[0], "registry must be in v2 format but is in v1", "registries")
        elif any(
            (node := _get(root, key)) is not None and (node.items or node.pairs or node.value)
            for key in (*_TOP, "aliases")
            if key != "registries"
        ):
            self._refuse(old[0], "mixing sysregistry v1/v2 is not supported", "registries")
        for name in ("insecure", "block"):
            found = _get(root, "registries", name, "registries")
            for item in found.strings if found is not None else ():
                self._location(item, item.value, "registries")
        self._version_1(root)

    def _version_1(self, root: Node) -> None:
        """The tables that the old format stands for."""
        self._search(_get(root, "registries", "search", "registries"), "registries.search")
        marked = {name: _get(root, "registries", name, "registries") for name in ("insecure", "block")}
        by_location: dict[str, dict[str, Node]] = {}
        for name, node in marked.items():
            for item in node.strings if node is not None else ():
                by_location.setdefault(item.value.rstrip("/"), {})[name] = item
        for location, marks in by_location.items():
            first = next(iter(marks.values()))
            self.registries.append(
                RegistryTable(
                    prefix=location,
                    location=location,
                    path=str(self.path),
                    line=first.line,
                    column=first.column,
                    insecure=listed(self.path, marks["insecure"]) if "insecure" in marks else None,
                    blocked=listed(self.path, marks["block"]) if "block" in marks else None,
                )
            )

    def _tables(self, root: Node) -> None:
        found = _get(root, "registry")
        tables = []
        for node in found.items if found is not None else ():
            wrong = _mistyped(node, _REGISTRY, self.path)
            self.flaws += wrong
            if wrong or node.kind is not Kind.MAP:
                continue
            table = self._table(node)
            if table is not None:
                tables.append(table)
        self._conflicts(tables)
        self.registries += tables

    def _table(self, node: Node) -> RegistryTable | None:
        location = self._location(node, _value(node, "location"), "location")
        prefix = self._location(node, _value(node, "prefix"), "prefix") or location
        if not prefix:
            self._refuse(node, "invalid condition: both location and prefix are unset", "registry")
            return None
        if prefix.startswith("*.") and re.search("[/@:]", prefix):
            message = (
                f'Wildcarded prefix should be in the format: *.example.com. Current prefix "{prefix}" is '
                "incorrectly formatted"
            )
            self._refuse(_get(node, "prefix") or node, message, "prefix")
        if not location and not prefix.startswith("*."):
            message = "invalid condition: location is unset and prefix is not in the format: *.example.com"
            self._refuse(node, message, "registry")
        if _value(node, "pull-from-mirror"):
            message = f'pull-from-mirror must not be set for a non-mirror registry "{prefix}"'
            self._refuse(node, message, "pull-from-mirror")
        mirrors = _get(node, "mirror")
        by_digest = _get(node, "mirror-by-digest-only")
        return RegistryTable(
            prefix=prefix,
            location=location,
            path=str(self.path),
            line=node.line,
            column=node.column,
            insecure=self._mark(node, "insecure"),
            blocked=self._mark(node, "blocked"),
            mirrors=tuple(
                self._mirrors(
                    mirrors.items if mirrors is not None else (),
                    location or prefix,
                    digest_only=by_digest is not None and by_digest.true,
                )
            ),
        )

    def _mark(self, node: Node, key: str) -> Listed | None:
        found = _get(node, key)
        return listed(self.path, found) if found is not None and found.true else None

    def _mirrors(
        self, nodes: Iterable[Node], registry: str, *, digest_only: bool
    ) -> Iterator[RegistryMirror]:
        for node in nodes:
            wrong = _mistyped(node, _MIRROR, self.path)
            self.flaws += wrong
            if wrong or node.kind is not Kind.MAP:
                continue
            location = self._location(node, _value(node, "location"), "location")
            pulled = _value(node, "pull-from-mirror")
            if not location:
                self._refuse(node, "invalid condition: mirror location is unset", "registry.mirror")
                continue
            if pulled and digest_only:
                message = (
                    f'cannot set mirror usage mirror-by-digest-only for the registry ("{registry}") and '
                    f'pull-from-mirror for per-mirror ("{location}") at the same time'
                )
                self._refuse(node, message, "pull-from-mirror")
            elif pulled not in ("", "all", "digest-only", "tag-only"):
                message = f'unsupported pull-from-mirror value "{pulled}" for mirror "{location}"'
                self._refuse(node, message, "pull-from-mirror")
            insecure = _get(node, "insecure")
            yield RegistryMirror(
                location=listed(self.path, _get(node, "location") or node, location),
                insecure=insecure is not None and insecure.true,
                pull_from="digest-only" if digest_only else pulled or "all",
            )

    def _conflicts(self, tables: Sequence[RegistryTable]) -> None:
        """Tables of the same location have to agree; the first that does not is named."""
        first: dict[str, RegistryTable] = {}
        for table in tables:
            known = first.setdefault(table.location or table.prefix, table)
            for name in ("insecure", "blocked"):
                if (getattr(table, name) is None) != (getattr(known, name) is None):
                    where = table.location or table.prefix
                    message = (
                        f"registry '{where}' is defined multiple times with conflicting '{name}' setting"
                    )
                    node = Node(Kind.MAP, table.line, table.column)
                    self._refuse(node, message, name)

    def _search(self, found: Node | None, key: str) -> None:
        if found is None:
            return
        self.search = tuple(listed(self.path, item) for item in found.strings)
        for item in found.strings:
            location = self._location(item, item.value, key)
            if "://" not in location and not _DOMAIN.fullmatch(location):
                message = f'Invalid unqualified-search-registries entry "{item.value}"'
                self._refuse(item, message, key)

    def _location(self, node: Node, text: str, key: str) -> str:
        if text.startswith(("http://", "https://")):
            place = _get(node, key) or node
            self._refuse(place, f"invalid location '{text}': URI schemes are not supported", key)
        return text.rstrip("/")

    def _rest(self, root: Node) -> None:
        key = "unqualified-search-registries"
        self._search(_get(root, key), key)
        mode = _value(root, "short-name-mode")
        if mode not in ("", "enforcing", "permissive", "disabled"):
            self._refuse(
                _get(root, "short-name-mode") or root, f'invalid short-name mode: "{mode}"', "short-name-mode"
            )
        aliases = _get(root, "aliases")
        for name, node in aliases.pairs if aliases is not None else ():
            problem = _alias_problem(name, node)
            if problem is not None:
                self._refuse(node, f"validating short-name aliases: {problem}", f"aliases.{name}")


def _alias_problem(name: str, node: Node) -> str | None:
    """Why the library refuses an alias; the empty text takes one back."""
    try:
        short = parse_reference(name)
    except InvalidReference as error:
        return f'invalid short name "{name}": {error.reason}'
    if short.explicit_host:
        return f'invalid short name "{name}": must not contain registry'
    if short.explicit_tag or short.digest is not None:
        return f'invalid short name "{name}": must not contain a tag or digest'
    if node.kind is not Kind.STRING:
        return f"TOML value has type {_FOUND[node.kind]}; destination has type string"
    if not node.value:
        return None
    try:
        reference = parse_reference(node.value)
    except InvalidReference as error:
        return f'invalid alias "{node.value}": {error.reason}'
    if not reference.explicit_host:
        return f'invalid alias "{node.value}": must contain registry and repository'
    if reference.explicit_tag or reference.digest is not None:
        return f'invalid alias "{node.value}": must not contain a tag or digest'
    return None


def _get(node: Node, *path: str) -> Node | None:
    """The member below several keys, in any case: the library's decoder compares names without case."""
    found: Node | None = node
    for key in path:
        if found is None:
            return None
        exact = found.get(key)
        found = exact or next((each for name, each in found.pairs if name.lower() == key), None)
    return found


def _value(node: Node, key: str) -> str:
    found = _get(node, key)
    return found.value if found is not None and found.kind is Kind.STRING else ""


def _mistyped(node: Node, wanted: Mapping[str, Kind], path: Path) -> list[Flaw]:
    """The members whose values do not fit into the library's fields."""
    if node.kind is not Kind.MAP:
        return [flaw(path, node, f"TOML value has type {_FOUND[node.kind]}; destination has type map")]
    found = []
    for name, member in node.pairs:
        kind = wanted.get(name.lower())
        if kind is not None and member.kind is not kind:
            message = (
                f"incompatible types: TOML value has type {_FOUND[member.kind]}; "
                f"destination has type {_GO_TYPES[kind]}"
            )
            found.append(flaw(path, member, message, key=name))
        elif kind is Kind.LIST and name.lower() in _LISTS_OF_STRINGS:
            found += [
                flaw(
                    path,
                    item,
                    f"incompatible types: TOML value has type {_FOUND[item.kind]}; destination has type string",
                    key=name,
                )
                for item in member.items
                if item.kind is not Kind.STRING
            ]
    return found


def find_registry(registries: Iterable[RegistryTable], name: str) -> RegistryTable | None:
    """The table that counts for an image: that of the longest prefix.

    :param name: ``domain/path``, with tag or digest, short names spelt out.
    """
    best: tuple[int, RegistryTable] | None = None
    for table in registries:
        length = match_length(table.prefix, name)
        if length is not None and (best is None or len(table.prefix) > len(best[1].prefix)):
            best = (length, table)
    return best[1] if best is not None else None


def match_length(prefix: str, name: str) -> int | None:
    """How much of a name a prefix covers (``refMatchingPrefix``), or None where it does not match."""
    if prefix.startswith("*."):
        at = name.find(prefix[1:])
        if at < 0 or "/" in name[:at]:
            return None
        end = at + len(prefix) - 1
    else:
        if not name.startswith(prefix):
            return None
        end = len(prefix)
    return end if end == len(name) or name[end] in ":/@" else None
