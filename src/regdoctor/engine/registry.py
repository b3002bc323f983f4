"""Finds, loads and validates checks through the entry-point group ``regdoctor.checks``.

Built-in and third-party checks come the same way: an entry point names a package that holds
``findings.toml``, ``rules.py`` and, where it looks at the world itself, ``probe.py``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from regdoctor.catalogue import Catalogue
from regdoctor.catalogue import load as load_catalogue
from regdoctor.facts.base import Fact, fact_name
from regdoctor.signatures import DeclarationError, Probe, Rule, read_probe, read_rule

GROUP = "regdoctor.checks"


@dataclass(frozen=True)
class Check:
    """One loaded check module: its codes, probes and rules, and the distribution that it comes from."""

    id: str
    title: str
    package: str
    distribution: str
    codes: tuple[str, ...]
    probes: tuple[Probe, ...]
    rules: tuple[Rule, ...]

    @property
    def detected(self) -> frozenset[str]:
        """The codes that some rule of this check can yield; its other codes are planned."""
        return frozenset(code for rule in self.rules for code in rule.codes)


@dataclass(frozen=True)
class CheckRegistry:
    """Every check, validated against each other, and the catalogue of their codes."""

    checks: tuple[Check, ...]
    catalogue: Catalogue

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


def load_checks(entry_points: Iterable[Any] | None = None) -> CheckRegistry:
    """Loads every check of the entry-point group, or of the given entry points.

    :raises DeclarationError: a check is broken or two checks contradict each other; names the culprit.
    """
    if entry_points is None:
        from importlib.metadata import entry_points as installed

        entry_points = installed(group=GROUP)
    found = sorted(entry_points, key=lambda point: (_origin(point) != "regdoctor", point.name))
    named: dict[str, Any] = {}
    for point in found:
        if point.name in named and named[point.name].value != point.value:
            raise DeclarationError(
                f"two checks are called {point.name}: {named[point.name].value} of {_origin(named[point.name])} "
                f"and {point.value} of {_origin(point)}"
            )
        named[point.name] = point
    catalogue = load_catalogue([point.value for point in named.values()])
    checks = tuple(_load(point, catalogue) for point in named.values())
    _validate(checks, catalogue)
    return CheckRegistry(checks=checks, catalogue=catalogue)


def _origin(point: Any) -> str:
    return point.dist.name if getattr(point, "dist", None) is not None else "unknown"


def _load(point: Any, catalogue: Catalogue) -> Check:
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
    area = next(area for area in catalogue.areas if area.package == package)
    return Check(
        id=point.name,
        title=area.title,
        package=package,
        distribution=_origin(point),
        codes=tuple(area.codes),
        probes=tuple(probes),
        rules=tuple(rules),
    )


def _submodule(package: str, name: str) -> ModuleType | None:
    full = f"{package}.{name}"
    return importlib.import_module(full) if importlib.util.find_spec(full) is not None else None


def _validate(checks: Sequence[Check], catalogue: Catalogue) -> None:
    producers: dict[type[Fact], Probe] = {}
    yields: dict[str, Rule] = {}
    for check in checks:
        for probe in check.probes:
            if probe.provides in producers:
                raise DeclarationError(
                    f"the fact {fact_name(probe.provides)} has two producers: "
                    f"{producers[probe.provides].name} and {probe.name}"
                )
            producers[probe.provides] = probe
        for rule in check.rules:
            for code in rule.codes:
                if code not in catalogue:
                    raise DeclarationError(f"rule {rule.name} declares {code}, which no findings.toml has")
                if code not in check.codes:
                    raise DeclarationError(
                        f"rule {rule.name} declares {code}, which belongs to another check"
                    )
                yields.setdefault(code, rule)
    from regdoctor.engine.plan import GIVEN

    for check in checks:
        parts: tuple[Probe | Rule, ...] = (*check.probes, *check.rules)
        for part in parts:
            for need in part.needs:
                if need.fact not in producers and need.fact not in GIVEN:
                    raise DeclarationError(
                        f"{part.name}: nothing produces {need.fact.__name__} (parameter {need.parameter})"
                    )
