"""Sentences and shorthands that the rules about configurations share. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from regdoctor.api import Certainty, ConfigEntry, ConfigFile, Draft, Severity, finding

STARTS_NOT = "The registry does not start"
"""How every finding says so; findings without it are about a registry that runs."""


def stops(words: str) -> str:
    """That the registry does not start, and what it prints."""
    return f"{STARTS_NOT}: it stops with “{words}”."


def shown(entry: ConfigEntry) -> str:
    """A value in a sentence, never a secret one."""
    if entry.kind == "null":
        return "empty"
    if entry.kind in ("map", "list"):
        return f"a {entry.kind}"
    if entry.secret:
        return f"a {entry.kind}"
    return f"“{entry.value}”" if entry.kind == "string" else f"{entry.value}"


def where(settings: ConfigFile, entry: ConfigEntry) -> str:
    """The place of a value, as a sentence begins."""
    place = settings.origin(entry)
    return f"{place} ({entry.variable})" if entry.variable else place


def joined(words: Iterable[str], last: str = "or") -> str:
    """``a, b or c``."""
    *most, end = words
    return f"{', '.join(most)} {last} {end}" if most else end


def about(
    code: str,
    settings: ConfigFile,
    entry: ConfigEntry | None,
    text: str,
    *,
    certainty: Certainty = Certainty.PROVEN,
    severity: Severity | None = None,
    fix: tuple[str, ...] = (),
) -> Draft:
    """A finding about one value. One that a variable sets wrongly is a finding about the variable."""
    if entry is None:
        return finding(
            code,
            f"{settings.path}: {text}",
            certainty=certainty,
            severity=severity,
            fix=fix,
            evidence=(settings.path,),
        )
    if entry.variable and code == "config/wrong-type":
        code = "config/env-invalid"
    return finding(
        code,
        f"{where(settings, entry)}: {text}",
        certainty=certainty,
        severity=severity,
        fix=fix,
        evidence=(settings.origin(entry),),
    )


def variable(*path: str) -> str:
    """The variable that sets a driver's or method's parameter."""
    return "REGISTRY_" + "_".join(part.upper() for part in path)
