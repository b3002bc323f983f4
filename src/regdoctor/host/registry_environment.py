"""Reads what the registry process gets in its environment.

That is a file of ``NAME=value`` lines, or what the kernel shows of a running process (``/proc/PID/environ``,
proc(5)), whose variables are counted as if they were lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from regdoctor.facts.config import ConfigFile, RegistryEnvironment

if TYPE_CHECKING:
    from regdoctor.registry_config.environment import Assignment

LARGEST: Final = 1024 * 1024
"""Bytes; the kernel gives no process more than a few times this."""


def read_environment(path: Path, config: ConfigFile, version: str | None) -> RegistryEnvironment:
    """What the variables of a file make of a configuration.

    :param version: the registry's major version, None where it is not known.
    """
    from regdoctor.registry_config.environment import apply

    try:
        data = _read(path)
    except OSError as error:
        return RegistryEnvironment(
            path=str(path), problem=error.strerror or str(error), entries=config.entries
        )
    if len(data) > LARGEST:
        problem = f"larger than {LARGEST // 1024} KiB"
        return RegistryEnvironment(path=str(path), problem=problem, entries=config.entries)
    assignments = _assignments(data)
    variables, entries = apply(config.entries, assignments, path=str(path), version=version)
    return RegistryEnvironment(path=str(path), variables=variables, entries=entries)


def read_variables(path: Path, prefix: str) -> dict[str, str]:
    """The variables whose names begin so, with their values, which may be secrets; empty where there are none."""
    try:
        data = _read(path)
    except OSError:
        return {}
    return {each.name: each.value for each in _assignments(data) if each.name.startswith(prefix)}


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def _assignments(data: bytes) -> tuple[Assignment, ...]:
    from regdoctor.registry_config.environment import Assignment, read_assignments

    text = data.decode("utf-8", "replace")
    if "\0" not in text:
        return read_assignments(text)
    pairs = (entry.partition("=") for entry in text.rstrip("\0").split("\0"))
    return tuple(
        Assignment(name, value, number)
        for number, (name, equals, value) in enumerate(pairs, 1)
        if equals and name
    )
