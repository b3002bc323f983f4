"""``regdoctor lint --effective``: the configuration as a registry has it, each value with its origin."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regdoctor.facts.config import ConfigEntry, ConfigFile


def effective_text(
    config: Path, environment: Path | None, version: str | None, scrub: Callable[[str], str]
) -> str:
    """The lines ``key: value``, with its place or the variable behind each; secrets are blanked.

    :param environment: the file with the variables; without one, those of the process that runs with the
        configuration on this host, where there is one.
    :param scrub: blanks what the run knows to be secret. It sees values alone: what follows a secret in the
        same line is not one.
    :raises ValueError: the file cannot be read as a configuration, or that of the variables not at all.
    """
    from msgspec.structs import replace

    from regdoctor.host.config_file import read_config
    from regdoctor.host.registry_environment import read_environment
    from regdoctor.host.registry_process import environment_of, started_with

    settings = read_config(config)
    if settings.problem is not None:
        raise ValueError(f"{settings.place(settings.problem.line)}: {settings.problem.message}")
    environment = environment or environment_of(started_with(config))
    if environment is not None:
        changed = read_environment(environment, settings, version)
        if changed.problem is not None:
            raise ValueError(f"{environment}: {changed.problem}")
        settings = replace(settings, entries=changed.entries)
    lines = [(scrub(_line(entry)), _origin(entry, settings)) for entry in _leaves(settings)]
    width = min(max((len(line) for line, _origin_ in lines), default=0), 60)
    return "".join(f"{line:<{width}}  # {origin}\n" for line, origin in lines)


def _leaves(settings: ConfigFile) -> Iterator[ConfigEntry]:
    """Values, and sections without any."""
    for entry in settings.entries:
        if entry.kind not in ("map", "list") or not settings.below(*entry.path):
            yield entry


def _line(entry: ConfigEntry) -> str:
    if entry.kind in ("map", "list"):
        value = "{}" if entry.kind == "map" else "[]"
    elif entry.kind == "null":
        value = "null"
    elif entry.kind == "string" and not entry.plain:
        value = json.dumps(entry.value, ensure_ascii=False)
    else:
        value = entry.value or ""
    return f"{entry.name}: {value}"


def _origin(entry: ConfigEntry, settings: ConfigFile) -> str:
    place = settings.origin(entry)
    return f"{entry.variable} ({place})" if entry.variable else place
