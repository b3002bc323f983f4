"""Finds, loads and validates checks through the entry-point group ``regdoctor.checks``.

Built-in and third-party checks come the same way: an entry point names a package that holds
``findings.toml``, ``rules.py`` and, where it looks at the world itself, ``probe.py``.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from types import ModuleType
from typing import Any

import msgspec

from regdoctor.catalogue import Area, Catalogue
from regdoctor.catalogue import load as load_catalogue
from regdoctor.facts.base import Fact, fact_name
from regdoctor.signatures import DeclarationError, Probe, Rule, read_probe, read_rule

GROUP = "regdoctor.checks"


class CatalogueLoader:
    """The catalogue, read when it is first wanted: a run reads it while it waits for the network.

    :param load: reads it.
    """

    def __init__(self, load: Callable[[], Catalogue]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None

    def get(self) -> Catalogue:
        """The catalogue. Thread-safe.

        :raises CatalogueError, DeclarationError: as ``load`` does, every time.
        """
        with self._lock:
            if self._catalogue is None:
                self._catalogue = self._load()
            return self._catalogue


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One loaded check module: its probes and rules, and the distribution that it comes from."""

    id: str
    package: str
    distribution: str
    probes: tuple[Probe, ...]
    rules: tuple[Rule, ...]
    texts: CatalogueLoader

    @property
    def _area(self) -> Area:
        return next(area for area in self.texts.get().areas if area.package == self.package)

    @property
    def title(self) -> str:
        """What the check looks at, in a word or two."""
        return self._area.title

    @property
    def codes(self) -> tuple[str, ...]:
        """Its codes, those without a rule included."""
        return self._area.codes

    @property
    def detected(self) -> frozenset[str]:
        """The codes that some rule of this check can yield; its other codes are planned."""
        return frozenset(code for rule in self.rules for code in rule.codes)


class CheckRegistry(msgspec.Struct, frozen=True, kw_only=True):
    """Every check, validated against each other, and the catalogue of their codes."""

    checks: tuple[Check, ...]
    texts: CatalogueLoader

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of every check's codes.

        :raises DeclarationError: a rule declares a code that is not its check's own.
        """
        return self.texts.get()

    def check_of(self, probe_or_rule: Probe | Rule) -> Check:
        """The check that a probe or rule belongs to."""
        for check in self.checks:
            if probe_or_rule in check.probes or probe_or_rule in check.rules:
                return check
        raise KeyError(probe_or_rule.name)

    @property
    def detected(self) -> frozenset[str]:
        """Every code that some rule can yield."""
        return frozenset().union(*(check.detected for check in self.checks))


def load_checks(entry_points: Iterable[Any] | None = None, *, only: Collection[str] = ()) -> CheckRegistry:
    """Loads every check of the entry-point group, or of the given entry points.

    Whether every code of a rule is catalogued is seen when the catalogue is first read.

    :param only: names of the only checks to load, for a command that needs no others; all of them by default.
    :raises DeclarationError: a check is broken or two checks contradict each other; names the culprit.
    """
    if entry_points is None:
        from importlib.metadata import entry_points as installed

        entry_points = installed(group=GROUP)
    if only:
        entry_points = [point for point in entry_points if point.name in only]
    found = sorted(entry_points, key=lambda point: (_origin(point) != "regdoctor", point.name))
    named: dict[str, Any] = {}
    for point in found:
        if point.name in named and named[point.name].value != point.value:
            raise DeclarationError(
                f"two checks are called {point.name}: {named[point.name].value} of {_origin(named[point.name])} "
                f"and {point.value} of {_origin(point)}"
            )
        named[point.name] = point
    checks: list[Check] = []

    def load() -> Catalogue:
        catalogue = load_catalogue([point.value for point in named.values()], whole=not only)
        _validate_codes(checks, catalogue)
        return catalogue

    texts = CatalogueLoader(load)
    checks.extend(_load(point, texts) for point in named.values())
    _validate_facts(checks, whole=not only)
    return CheckRegistry(checks=tuple(checks), texts=texts)


def _origin(point: Any) -> str:
    """The distribution of an entry point. Reading its metadata is slow, and our own is known by the package."""
    if point.value.startswith("regdoctor.checks."):
        return "regdoctor"
    return point.dist.name if getattr(point, "dist", None) is not None else "unknown"


def _load(point: Any, texts: CatalogueLoader) -> Check:
    package = point.value
    probes: list[Probe] = []
    rules: list[Rule] = []
    try:
        for module in filter(None, (_submodule(package, "probe"), _submodule(package, "rules"))):
            for value in vars(module).values():
                if getattr(value, "__module__", None) != module.__name__:
                    continue
                if hasattr(value, "__regdoctor_probe__"):
                    probes.append(read_probe(value))
                elif hasattr(value, "__regdoctor_rule__"):
                    rules.append(read_rule(value))
    except DeclarationError:
        raise
    except Exception as error:
        raise DeclarationError(
            f"check {point.name} ({package} of {_origin(point)}) does not load: {error!r}"
        ) from error
    return Check(
        id=point.name,
        package=package,
        distribution=_origin(point),
        probes=tuple(probes),
        rules=tuple(rules),
        texts=texts,
    )


def _submodule(package: str, name: str) -> ModuleType | None:
    full = f"{package}.{name}"
    return importlib.import_module(full) if importlib.util.find_spec(full) is not None else None


def _validate_codes(checks: Sequence[Check], catalogue: Catalogue) -> None:
    owners = {code: area.package for area in catalogue.areas for code in area.codes}
    for check in checks:
        for rule in check.rules:
            for code in rule.codes:
                if code not in owners:
                    raise DeclarationError(f"rule {rule.name} declares {code}, which no findings.toml has")
                if owners[code] != check.package:
                    raise DeclarationError(
                        f"rule {rule.name} declares {code}, which belongs to another check"
                    )


def _validate_facts(checks: Sequence[Check], *, whole: bool) -> None:
    """Sees that every fact has one producer; of some checks alone, others may produce what they need."""
    from regdoctor.engine.plan import GIVEN

    producers: dict[type[Fact], Probe] = {}
    for check in checks:
        for probe in check.probes:
            if probe.provides in producers:
                raise DeclarationError(
                    f"the fact {fact_name(probe.provides)} has two producers: "
                    f"{producers[probe.provides].name} and {probe.name}"
                )
            producers[probe.provides] = probe
    for check in checks if whole else ():
        parts: tuple[Probe | Rule, ...] = (*check.probes, *check.rules)
        for part in parts:
            for need in part.needs:
                if need.fact not in producers and need.fact not in GIVEN:
                    raise DeclarationError(
                        f"{part.name}: nothing produces {need.fact.__name__} (parameter {need.parameter})"
                    )
