"""How ``REGISTRY_`` variables change the configuration (distribution ``configuration/parser.go``).

Names are sorted and applied in order; a name is split at every ``_`` and walks down the configuration by the
names of Go's fields, or of the keys where Go has a map; the value is read as YAML into what stands there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from regdoctor.facts.config import ConfigEntry, RegistryVariable, VariableOutcome
from regdoctor.oci.near import near
from regdoctor.redact import is_secret_name
from regdoctor.registry_config.schema import Key, KeyType, schema
from regdoctor.registry_config.types import Item, entries_of, item_of, mismatches, tree
from regdoctor.secret import MASK

PREFIX: Final = "REGISTRY_"
CONFIGURATION_PATH: Final = "REGISTRY_CONFIGURATION_PATH"
"""Names the file itself; the registry reads it before, and then calls it unrecognised, which is harmless."""

MOST_VARIABLES: Final = 1000
_LONGEST_VALUE: Final = 500

_SERVICE_LINK: Final = re.compile(
    r"REGISTRY(?:_[A-Z0-9]+)*?_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|"
    r"PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)",
    re.ASCII,
)
_SERVICE_URL: Final = re.compile(r"(?:tcp|udp|sctp)://")
_NESTED: Final = {
    ("storage", "maintenance", "readonly"): "readonly config key must contain additional keys",
    ("storage", "maintenance", "uploadpurging"): "uploadpurging config key must contain additional keys",
    ("storage", "gcs", "credentials"): "the credentials were not specified in the correct format",
}
"""Maps that the registry takes only in the form that YAML gives them, not as made on the way to a variable."""


@dataclass(frozen=True)
class Assignment:
    """One line ``NAME=value``. The value may be a secret."""

    name: str
    value: str
    line: int


def read_assignments(text: str) -> tuple[Assignment, ...]:
    """The assignments of a file for ``docker run --env-file``, Compose, systemd or a shell; the last of a name.

    Quotes around a value stay: the registry reads values as YAML, where they mean the same.
    """
    found: dict[str, Assignment] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.lstrip().removeprefix("export ").lstrip()
        name, equals, value = line.partition("=")
        if not equals or line.startswith("#") or not name:
            continue
        # The order of the first stays, as in a process's environment.
        found[name] = Assignment(name, value, number)
    return tuple(found.values())


def apply(
    entries: tuple[ConfigEntry, ...], assignments: tuple[Assignment, ...], *, path: str, version: str | None
) -> tuple[tuple[RegistryVariable, ...], tuple[ConfigEntry, ...]]:
    """What each variable does, and the configuration as it is then, without secrets.

    :param path: the file with the variables, for the place of each value.
    :param version: the registry's major version; None judges by what all versions have.
    """
    root = tree(entries)
    # The variables of an orchestrator are many, but those of a registry are few.
    concerned = [each for each in assignments if each.name.upper().startswith(PREFIX)][:MOST_VARIABLES]
    done = [_Walk(root, each, path, version).run() for each in sorted(concerned, key=lambda each: each.name)]
    _blank(root, ())
    return tuple(done), entries_of(root)


def _blank(item: Item, path: tuple[str, ...]) -> None:
    for name, each in item.members.items():
        below = (*path, name)
        telling = next((part for part in reversed(below) if not part.isdigit()), "")
        if each.variable is not None and each.value and below != ("auth",):
            each.secret = each.secret or is_secret_name(telling)
            each.value = MASK if each.secret else _shown(each.value)
        _blank(each, below)


def _shown(value: str) -> str:
    from regdoctor.redact import redact_text

    return redact_text(value[:_LONGEST_VALUE])


def variable_names() -> Mapping[str, tuple[str, ...]]:
    """The name of the variable for every setting that one can reach on 2.8, and its path."""
    names = {}
    for path in schema().keys:
        if "*" in path or any("_" in part for part in path):
            continue
        parts = [
            (schema().keys[path[: depth + 1]].variable or part.upper()) for depth, part in enumerate(path)
        ]
        names[PREFIX + "_".join(parts)] = path
    return names


class _Walk:
    """One variable on its way down the configuration."""

    def __init__(self, root: Item, assignment: Assignment, file: str, version: str | None) -> None:
        self._root = root
        self._assignment = assignment
        self._version = version
        self._file = file
        self._path: tuple[str, ...] = ()
        self._words: str | None = None
        self._suggestion: str | None = None

    def run(self) -> RegistryVariable:
        name = self._assignment.name
        if not name.startswith(PREFIX):
            outcome = VariableOutcome.WITHOUT_EFFECT
        else:
            outcome = self._struct(self._root, (), name.removeprefix(PREFIX).split("_"))
        suggestion = None
        if outcome is VariableOutcome.UNRECOGNISED or not name.startswith(PREFIX):
            names = variable_names()
            plain = name.strip().upper()
            suggestion = plain if plain in names else self._suggestion
        return RegistryVariable(
            name=name,
            line=self._assignment.line,
            outcome=outcome,
            path=self._path,
            words=self._words,
            service_link=_SERVICE_LINK.fullmatch(name) is not None
            or _SERVICE_URL.match(self._assignment.value) is not None,
            suggestion=suggestion,
        )

    def _new(self, kind: str) -> Item:
        return Item(kind=kind, line=self._assignment.line, file=self._file, variable=self._assignment.name)

    def _go_on(self, item: Item, path: tuple[str, ...], parts: list[str]) -> VariableOutcome:
        """One level down; ``parts`` are what is left of the name."""
        self._path = path
        key = schema().find(path)
        if key is None or key.untyped:
            return self._interface(item, path, parts)
        match key.type:
            case KeyType.SECTION:
                return self._struct(item, path, parts)
            case KeyType.NAMED | KeyType.PARAMETERS:
                return self._map(item, path, parts)
            case KeyType.LIST:
                return self._list(item, path, parts)
        return VariableOutcome.WITHOUT_EFFECT

    def _struct(self, item: Item, path: tuple[str, ...], parts: list[str]) -> VariableOutcome:
        name = next(
            (
                each
                for each, key in schema().below(path).items()
                if (key.variable or each.upper()) == parts[0] and self._has(key)
            ),
            None,
        )
        if name is None:
            self._suggestion = self._nearest(path, parts)
            return VariableOutcome.UNRECOGNISED
        below = (*path, name)
        self._path = below
        if len(parts) == 1:
            return self._set(item, below)
        key = schema().keys[schema().pattern(below) or below]
        member = item.members.get(name)
        if member is None or member.kind == "null":
            if key.type not in (KeyType.SECTION, KeyType.NAMED, KeyType.PARAMETERS):
                return self._go_on(self._new("null"), below, parts[1:])
            member = self._new("map")
            outcome = self._go_on(member, below, parts[1:])
            if member.members:
                item.kind = "map"
                item.members[name] = member
            return outcome
        return self._go_on(member, below, parts[1:])

    def _nearest(self, path: tuple[str, ...], parts: list[str]) -> str | None:
        """The name with the part that nothing is called replaced by the nearest one that something is."""
        known = [key.variable or each.upper() for each, key in schema().below(path).items() if each != "*"]
        wanted = parts[0].strip()
        # ADDRESS for ADDR, CERT for CERTIFICATE.
        longer = [each for each in known if min(len(each), len(wanted)) > 2 and _begins(each, wanted)]
        guess = next(iter(longer or near(wanted, known, 1)), None)
        if guess is None:
            return None
        before = self._assignment.name.split("_")[: -len(parts)]
        return "_".join((*before, guess, *parts[1:])).strip()

    def _has(self, key: Key) -> bool:
        return self._version is None or self._version in key.versions

    def _map(self, item: Item, path: tuple[str, ...], parts: list[str]) -> VariableOutcome:
        if item.kind != "map":
            # "storage: s3" is a map for the registry.
            member = self._new("null")
            member.line, member.file, member.variable = item.line, item.file, item.variable
            item.members = {item.value: member} if item.kind != "null" and item.value else {}
            item.kind, item.value = "map", None
        if len(parts) > 1:
            for name, member in item.members.items():
                if name.upper() == parts[0]:
                    if member.kind == "null":
                        break
                    return self._go_on(member, (*path, name), parts[1:])
        below = (*path, parts[0].lower())
        self._path = below
        if len(parts) == 1:
            return self._set(item, below)
        key = schema().find(below)
        untyped = key is None or key.untyped
        if untyped and below in _NESTED:
            self._words = _NESTED[below]
            return VariableOutcome.REFUSED
        member = self._new("null" if untyped else "map")
        outcome = self._go_on(member, below, parts[1:])
        if outcome is not VariableOutcome.REFUSED:
            item.members[below[-1]] = member
        return outcome

    def _interface(self, item: Item, path: tuple[str, ...], parts: list[str]) -> VariableOutcome:
        # What stands directly below "storage" or "auth" is always a map of parameters.
        parameters = len(path) == 2 and path[0] in ("storage", "auth")
        if item.kind == "map" and item.generic and not parameters:
            return VariableOutcome.UNREACHABLE
        if item.kind in ("map", "null"):
            return self._map(item, path, parts)
        return VariableOutcome.WITHOUT_EFFECT

    def _list(self, item: Item, path: tuple[str, ...], parts: list[str]) -> VariableOutcome:
        """2.8 reaches no members of lists; 3 those that are there, and the next one."""
        if self._version != "3":
            return VariableOutcome.WITHOUT_EFFECT
        if not parts[0].isdecimal():
            self._words = f"non-numeric index: {parts[0]}"
            return VariableOutcome.REFUSED
        number = int(parts[0])
        if number > len(item.members):
            self._words = f"undefined index: {number}"
            return VariableOutcome.REFUSED
        below = (*path, str(number))
        self._path = below
        if len(parts) == 1:
            return self._set(item, below)
        member = item.members.setdefault(str(number), self._new("map"))
        return self._go_on(member, below, parts[1:])

    def _set(self, above: Item, path: tuple[str, ...]) -> VariableOutcome:
        """Reads the value as YAML into what stands at the path."""
        from regdoctor.yaml_v2 import TooLarge, YamlProblem, read

        try:
            item = item_of(read(self._assignment.value.encode("utf-8", "replace")), self._new("null"))
        except YamlProblem as problem:
            self._words = f"yaml: line {problem.line}: {problem.message}" if problem.line else problem.message
            return VariableOutcome.REFUSED
        except TooLarge as limit:
            self._words = str(limit)
            return VariableOutcome.REFUSED
        key = schema().find(path)
        telling = path[-1]
        item.secret = path != ("auth",) and is_secret_name(telling)
        if key is None and len(path) == 2 and path[0] in ("storage", "auth"):
            refused = item.kind not in ("map", "null")
            words = f"cannot unmarshal {_tag(item)} `{_cut(item)}` into configuration.Parameters"
            if refused:
                self._words = words
                return VariableOutcome.REFUSED
        elif path[:1] == ("version",):
            if item.kind in ("map", "list"):
                self._words = f"cannot unmarshal {_tag(item)} into"
            elif item.value and item.kind != "null":
                self._words = _version_problem(item.value)
            return VariableOutcome.REFUSED if self._words else VariableOutcome.WITHOUT_EFFECT
        else:
            for mismatch in mismatches(item, path):
                self._words = mismatch.words
                if key is not None and key.type is KeyType.PARAMETERS:
                    self._words += " configuration.Parameters"
                return VariableOutcome.REFUSED
        item.generic = item.kind == "map" and (key is None or key.untyped)
        above.kind = "list" if above.kind == "list" else "map"
        above.members[path[-1]] = item
        return VariableOutcome.APPLIED


def _version_problem(value: str) -> str | None:
    """Why a version stops the registry, though no variable changes it (``configuration/parser.go``, Version)."""
    parts = value.split(".")
    for part in parts[:2]:
        if not (part.isascii() and part.isdecimal()):
            return f'strconv.ParseUint: parsing "{part}": invalid syntax'
    return None if len(parts) > 1 else "index out of range [1] with length 1"


def _begins(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _tag(item: Item) -> str:
    names = {"string": "!!str", "integer": "!!int", "float": "!!float", "boolean": "!!bool", "list": "!!seq"}
    return names.get(item.kind, "!!map")


def _cut(item: Item) -> str:
    value = item.value or ""
    return value if len(value) <= 10 else f"{value[:7]}..."
