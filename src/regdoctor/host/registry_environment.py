"""Reads what the registry process gets in its environment, from a file of ``NAME=value`` lines."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from regdoctor.facts.config import ConfigFile, RegistryEnvironment

LARGEST: Final = 1024 * 1024
"""Bytes; the kernel gives no process more than a few times this."""


def read_environment(path: Path, config: ConfigFile, version: str | None) -> RegistryEnvironment:
    """What the variables of a file make of a configuration.

    :param version: the registry's major version, None where it is not known.
    """
    from regdoctor.registry_config.environment import apply, read_assignments

    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        return RegistryEnvironment(
            path=str(path), problem=error.strerror or str(error), entries=config.entries
        )
    if len(data) > LARGEST:
        problem = f"larger than {LARGEST // 1024} KiB"
        return RegistryEnvironment(path=str(path), problem=problem, entries=config.entries)
    assignments = read_assignments(data.decode("utf-8", "replace"))
    variables, entries = apply(config.entries, assignments, path=str(path), version=version)
    return RegistryEnvironment(path=str(path), variables=variables, entries=entries)
