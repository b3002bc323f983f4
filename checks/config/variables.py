"""What the registry makes of the variables in its environment. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import (
    Draft,
    EffectiveConfiguration,
    RegistryEnvironment,
    RegistryVariable,
    Severity,
    VariableOutcome,
    finding,
)
from regdoctor.checks.config.sections import METHODS, RESERVED, drivers_of
from regdoctor.checks.config.wording import stops

_HARMLESS = frozenset({"REGISTRY_CONFIGURATION_PATH"})
_PODMAN = "REGISTRY_AUTH_FILE"
"""Where podman, skopeo and buildah look for credentials (containers-auth.json(5))."""


def collisions(environment: RegistryEnvironment, configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """Variables that were meant for somebody else and stop the registry."""
    for each in environment.variables:
        if not is_collision(each, configuration):
            continue
        if each.name == _PODMAN:
            meant = "podman and skopeo use this name for their file of credentials"
        else:
            meant = "Kubernetes and docker links make such a variable for every service whose name begins so"
        outcome = (
            stops(each.words)
            if each.words
            else f"It adds {'.'.join(each.path[:2])} to the configuration, and the registry does not start."
        )
        yield finding(
            "config/env-collision",
            f"{environment.path}:{each.line}: the registry takes {each.name} for its setting "
            f"{'.'.join(each.path)}; {meant}. {outcome}",
            evidence=(f"{environment.path}:{each.line}",),
        )


def is_collision(each: RegistryVariable, configuration: EffectiveConfiguration) -> bool:
    """Whether a variable was hardly meant for the registry, and harms it."""
    if not (each.service_link or each.name == _PODMAN):
        return False
    if each.outcome is VariableOutcome.REFUSED:
        return True
    if each.outcome is not VariableOutcome.APPLIED or len(each.path) < 2:
        return False
    section, name = each.path[:2]
    known = {entry.path[-1] for entry in drivers_of(configuration.settings, configuration.versions)}
    return (section == "auth" and name not in METHODS) or (
        section == "storage" and name in known and name not in RESERVED and len(known) > 1
    )


def refused(environment: RegistryEnvironment, configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """Variables that the registry stops at."""
    if environment.problem is not None:
        yield finding(
            "config/env-invalid",
            f"{environment.path} with the registry's variables cannot be read: {environment.problem}. The "
            "configuration was judged without them.",
            severity=Severity.WARNING,
            evidence=(environment.path,),
        )
    for each in environment.variables:
        if each.outcome is not VariableOutcome.REFUSED or is_collision(each, configuration):
            continue
        section = "_".join(each.name.split("_")[:3])
        nested = "additional keys" in (each.words or "") or "correct format" in (each.words or "")
        hint = (
            f" No variable reaches so deep: give {section} as one value, in YAML."
            if nested
            else " Values of variables are read as YAML."
        )
        yield finding(
            "config/env-invalid",
            f"{environment.path}:{each.line}: {each.name} does not fit "
            f"{'.'.join(each.path) or 'any setting'}.{hint} "
            f"{stops(each.words or 'configuration error')}",
            evidence=(f"{environment.path}:{each.line}",),
        )


def ignored(environment: RegistryEnvironment) -> Iterator[Draft]:
    """Variables without effect, except those that are none of the registry's business."""
    for each in environment.variables:
        if each.outcome in (VariableOutcome.APPLIED, VariableOutcome.REFUSED):
            continue
        if each.service_link or each.name in _HARMLESS:
            continue
        yield finding(
            "config/env-ignored",
            f"{environment.path}:{each.line}: {_why(each)}",
            evidence=(f"{environment.path}:{each.line}",),
        )


def _why(each: RegistryVariable) -> str:
    hint = f" Is {each.suggestion} meant?" if each.suggestion else ""
    name = each.name
    if name != name.strip():
        return f"the name “{name}” has a blank at its end, so that the registry does not know it.{hint}"
    if not name.startswith("REGISTRY_"):
        return f"{name} has no effect: the registry reads names in capitals only.{hint}"
    if each.outcome is VariableOutcome.UNRECOGNISED:
        return (
            f"the registry knows no setting for {name}. It warns “Ignoring unrecognized environment variable "
            f"{name}” and goes on without it.{hint}"
        )
    path = ".".join(each.path)
    if each.outcome is VariableOutcome.UNREACHABLE:
        return (
            f"no variable reaches below {path} while the file has it. The registry warns “Ignoring "
            f"environment variable {name} involving map with non-string keys” and goes on without it; write "
            "the value into the file."
        )
    if path == "version":
        return f"{name} has no effect: the version is read from the file alone."
    if any(part.isdecimal() for part in name.split("_")):
        return (
            f"{name} has no effect and nothing is said: members of lists cannot be set one by one. Give all "
            f"of {path} as one value: [a, b]."
        )
    return f"{name} has no effect and nothing is said: {path} is a single value, and nothing is below it."
