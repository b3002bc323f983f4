"""Finds the registry process on this host that uses a storage folder or a configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from regdoctor.host import processes
from regdoctor.host.config_file import read_config
from regdoctor.host.processes import PROC, Identity, Process

NAMES = frozenset({"registry", "docker-registry"})
DEFAULT_ROOT = "/var/lib/registry"
"""Where the file system driver writes unless it is told otherwise (distribution, driver ``filesystem``)."""
_ROOT_VARIABLE = "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"
_CONFIG_VARIABLE = "REGISTRY_CONFIGURATION_PATH"


@dataclass(frozen=True)
class RegistryProcess:
    """A registry that runs on this host, and the files that it uses."""

    process: Process
    identity: Identity
    root: str
    """The storage root as the process has it."""
    container: bool
    """Whether its root folder is another than this host's."""
    foreign_ids: bool
    """Whether it has user ids of its own (user_namespaces(7))."""

    @property
    def storage(self) -> Path:
        """The storage root as this process may look at it."""
        return self.process.file(self.root)


def find_registry(storage: Path | None, config: Path | None, proc: Path = PROC) -> RegistryProcess | None:
    """The registry that uses the storage, or else the one that was started with the configuration.

    Folders and files are compared by device and inode, so that a container's view of them counts as well.
    """
    found = [each for process in processes.running(NAMES.__contains__, proc) for each in _read(process, proc)]
    for each, _configuration in found:
        if storage is not None and _same(each.storage, storage):
            return each
    for each, configuration in found:
        if (
            storage is None
            and config is not None
            and configuration is not None
            and _same(configuration, config)
        ):
            return each
    return None


def _read(process: Process, proc: Path) -> list[tuple[RegistryProcess, Path | None]]:
    identity = process.identity()
    if identity is None or "serve" not in process.command:
        return []
    environment = process.environment()
    words = [
        word for word in process.command[process.command.index("serve") + 1 :] if not word.startswith("-")
    ]
    named = words[0] if words else environment.get(_CONFIG_VARIABLE)
    configuration = _file(process, named) if named else None
    root = environment.get(_ROOT_VARIABLE)
    if root is None and configuration is not None:
        root = read_config(configuration).text("storage", "filesystem", "rootdirectory")
    registry = RegistryProcess(
        process=process,
        identity=identity,
        root=root or DEFAULT_ROOT,
        container=_same(process.folder / "root", proc / "self/root") is False,
        foreign_ids=_same(process.folder / "ns/user", proc / "self/ns/user") is False,
    )
    return [(registry, configuration)]


def _file(process: Process, name: str) -> Path:
    if name.startswith("/"):
        return process.file(name)
    return process.folder / "cwd" / name


def _same(one: Path, other: Path) -> bool | None:
    """Whether two paths lead to one file; None where one cannot be looked at."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return None
