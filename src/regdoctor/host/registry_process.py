"""Finds the registry processes of this host, the files that they use, and the services that start them."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from regdoctor.host import processes, systemd_units
from regdoctor.host.config_file import read_config
from regdoctor.host.processes import PROC, Identity, Process
from regdoctor.host.registry_environment import read_environment, read_variables

if TYPE_CHECKING:
    from regdoctor.facts.config import ConfigFile

DEFAULT_ROOT: Final = "/var/lib/registry"
"""Where the file system driver writes unless it is told otherwise (distribution, driver ``filesystem``)."""
BESIDE_DRIVERS: Final = frozenset({"maintenance", "cache", "delete", "redirect", "tag"})
"""Keys below ``storage`` that are no driver (distribution ``configuration/configuration.go``)."""
BIND_SERVICE: Final = 1 << 10
"""The capability to bind ports below 1024 (capabilities(7), CAP_NET_BIND_SERVICE)."""

_NAMES: Final = re.compile(r"registry|distribution")
"""In the names that distributions, Harbor and GitLab give the program."""
_CONFIG_VARIABLE: Final = "REGISTRY_CONFIGURATION_PATH"
_CONTAINER: Final = re.compile(r"docker|containerd|libpod|kubepods|crio|lxc", re.IGNORECASE)
"""In the control groups of containers (cgroups(7))."""


@dataclass(frozen=True)
class RegistryProcess:
    """A registry that runs on this host, and the files that it uses."""

    process: Process
    identity: Identity
    root: str
    """The storage root as the process has it; the default where it stores elsewhere than in files."""
    container: bool
    """Whether its root folder is another than this host's."""
    foreign_ids: bool
    """Whether it has user ids of its own (user_namespaces(7))."""
    configuration: Path | None = None
    """Its configuration as this host finds it; None where it names none, or the caller may not see it."""
    configuration_named: str | None = None
    """The same as the process names it."""
    in_files: bool = False
    """Whether its configuration could be read and says that it stores in files."""
    own_network: bool | None = None
    """Whether it is in another network namespace than the caller; None where that is not to be seen."""

    @property
    def storage(self) -> Path:
        """The storage root as this process may look at it."""
        return self.process.file(self.root)

    @property
    def environment(self) -> Path | None:
        """The file with its environment; None where the caller may not read it."""
        path = self.process.folder / "environ"
        return path if os.access(path, os.R_OK) and self.process.environment() else None

    def locate(self, name: str) -> Path | None:
        """Where this host finds a file that the process names; None where the caller may not see that."""
        return _locate(self.process, name)

    def log(self) -> Path | None:
        """The file that it writes its log to; None where that is none, or the caller may not see it.

        Distribution writes what it does to standard error, and requests to standard output.
        """
        for descriptor in (2, 1):
            link = self.process.folder / "fd" / str(descriptor)
            try:
                target = link.readlink()
                if stat.S_ISREG(link.stat().st_mode) and target.is_absolute():
                    # The kernel gives the path as the caller's root has it, deleted files marked.
                    return next(
                        (each for each in (target, self.locate(str(target))) if _same(each, link)), None
                    )
            except OSError:
                continue
        return None

    def binds_low_ports(self) -> bool:
        """Whether it has the capability to bind ports below 1024."""
        return bool(self.identity.capabilities & BIND_SERVICE)

    def open_files(self) -> tuple[int | None, int | None]:
        """How many files it has open, and how many it may; None where the caller may not see that."""
        try:
            count = sum(1 for _each in os.scandir(self.process.folder / "fd"))
        except OSError:
            return None, None
        return count, _file_limit(self.process)


def registries(proc: Path = PROC) -> tuple[RegistryProcess, ...]:
    """Every registry that runs here, whatever its program is called, by process id."""
    every = processes.running(lambda _name: True, proc)
    return tuple(each for process in every for each in _read(process, proc))


def find_registry(storage: Path | None, config: Path | None, proc: Path = PROC) -> RegistryProcess | None:
    """The registry that uses the storage, or else the one that was started with the configuration.

    Folders and files are compared by device and inode, so that a container's view of them counts as well.
    """
    found = registries(proc)
    for each in found:
        if storage is not None and _same(each.storage, storage):
            return each
    for each in found:
        if (
            storage is None
            and config is not None
            and each.configuration is not None
            and _same(each.configuration, config)
        ):
            return each
    return None


def started_with(config: Path, proc: Path = PROC) -> tuple[RegistryProcess, ...]:
    """The registries that were started with a configuration."""
    return tuple(
        each
        for each in registries(proc)
        if each.configuration is not None and _same(each.configuration, config)
    )


def environment_of(found: Sequence[RegistryProcess]) -> Path | None:
    """The file with the environment of the process, or of any of several that get the same variables.

    None where there is none, where they differ, and where the caller may not read them.
    """
    paths = [each.environment for each in found]
    variables = [read_variables(path, "REGISTRY_") if path is not None else None for path in paths]
    return paths[0] if paths and all(each == variables[0] for each in variables) else None


def _read(process: Process, proc: Path) -> list[RegistryProcess]:
    if "serve" not in process.command[1:]:
        return []
    words = [
        word for word in process.command[process.command.index("serve") + 1 :] if not word.startswith("-")
    ]
    named = words[0] if words else process.environment().get(_CONFIG_VARIABLE)
    program = Path(process.command[0]).name
    configuration = _locate(process, named) if named else None
    settings = _settings(process, configuration)
    if not _NAMES.search(program) and not _NAMES.search(process.name) and not _is_registrys(settings):
        return []
    identity = process.identity()
    if identity is None:
        return []
    root = _root(settings)
    return [
        RegistryProcess(
            process=process,
            identity=identity,
            root=root
            or process.environment().get("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY")
            or DEFAULT_ROOT,
            container=_same(process.folder / "root", proc / "self/root") is False,
            foreign_ids=_same(process.folder / "ns/user", proc / "self/ns/user") is False,
            configuration=configuration,
            configuration_named=named,
            in_files=root is not None,
            own_network=_differs(process.folder / "ns/net", proc / "self/ns/net"),
        )
    ]


def _is_registrys(settings: ConfigFile | None) -> bool:
    """Whether a program's file is a registry's configuration, whatever the program is called."""
    return settings is not None and settings.text("version") == "0.1" and settings.get("storage") is not None


def _settings(process: Process, configuration: Path | None) -> ConfigFile | None:
    """The configuration as its environment changes it; None where it cannot be read."""
    from msgspec.structs import replace

    if configuration is None:
        return None
    settings = read_config(configuration)
    if settings.problem is not None:
        return None
    environment = read_environment(process.folder / "environ", settings, None)
    return settings if environment.problem is not None else replace(settings, entries=environment.entries)


def _root(settings: ConfigFile | None) -> str | None:
    """The root of the file system driver; None where another driver is configured."""
    if settings is None:
        return None
    if settings.text("storage") == "filesystem":
        return DEFAULT_ROOT
    drivers = [each.path[-1] for each in settings.below("storage") if each.path[-1] not in BESIDE_DRIVERS]
    if drivers != ["filesystem"]:
        return None
    return settings.text("storage", "filesystem", "rootdirectory") or DEFAULT_ROOT


def _locate(process: Process, name: str) -> Path | None:
    """Where this host finds a file that a process names: by the same path where that is the same file."""
    if name.startswith("/"):
        path = process.file(name)
        if path == Path(name):
            # Its root is not to be seen. For a container the same path of this host is another file.
            return None if _in_container(process) else path
        same = _same(path, Path(name))
        if same is None and not os.path.lexists(path):
            same = _same(process.folder / "root", Path("/"))
        return Path(name) if same else path
    try:
        here = (process.folder / "cwd").readlink()
    except OSError:
        return None
    if not here.is_absolute():
        return process.folder / "cwd" / name
    return _locate(process, os.path.normpath(here / name))


def _in_container(process: Process) -> bool:
    """Whether its control group is that of a container, which everybody may see."""
    return _CONTAINER.search(systemd_units.text_of(process.folder / "cgroup")) is not None


def _file_limit(process: Process) -> int | None:
    for line in systemd_units.text_of(process.folder / "limits").splitlines():
        match = re.match(r"Max open files\s+(\d+)\s", line)
        if match:
            return int(match[1])
    return None


def _same(one: Path | None, other: Path) -> bool | None:
    """Whether two paths lead to one file; None where one cannot be looked at."""
    if one is None:
        return None
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return None


def _differs(one: Path, other: Path) -> bool | None:
    same = _same(one, other)
    return None if same is None else not same


@dataclass(frozen=True)
class ServiceUnit:
    """A systemd service that starts a registry (systemd.service(5), systemd.exec(5))."""

    unit: str
    path: Path
    config: Path | None
    user: str
    binds_low_ports: bool
    enabled: bool


def services(root: Path = Path("/")) -> tuple[ServiceUnit, ...]:
    """The system's services that start a registry by itself, by name."""
    names = sorted(
        {
            path.name
            for folder in systemd_units.UNIT_FOLDERS
            for path in _listed(root / folder)
            if path.suffix == ".service" and _NAMES.search(path.name)
        }
    )
    return tuple(unit for name in names for unit in [_service(root, name)] if unit is not None)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())[:5000]
    except OSError:
        return []


def _service(root: Path, name: str) -> ServiceUnit | None:
    path = systemd_units.unit_file(root, name)
    if path is None:
        return None
    settings: dict[str, list[str]] = {}
    for file in systemd_units.unit_files(root, name):
        for key, value in systemd_units.service_lines(file):
            # An empty value takes back what was said before (systemd.service(5)).
            settings[key] = [*settings.get(key, []), value] if value else []
    command = _words((settings.get("ExecStart") or [""])[-1].lstrip("-@:+!"))
    if "serve" not in command[1:]:
        return None
    named = [word for word in command[command.index("serve") + 1 :] if not word.startswith("-")]
    user = (settings.get("User") or ["root"])[-1]
    ambient = " ".join(settings.get("AmbientCapabilities", []))
    return ServiceUnit(
        unit=name,
        path=path,
        config=root / named[0].lstrip("/") if named and named[0].startswith("/") else None,
        user=user,
        binds_low_ports=user in ("root", "0")
        or "CAP_NET_BIND_SERVICE" in ambient
        or _may_bind(root / command[0].lstrip("/")),
        enabled=any((folder / name).is_symlink() for folder in (root / "etc/systemd/system").glob("*.wants")),
    )


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _may_bind(program: Path) -> bool:
    """Whether a program's file has the capability to bind low ports (capabilities(7), "File capabilities")."""
    try:
        data = os.getxattr(program, "security.capability")
    except OSError:
        return False
    # vfs_cap_data: a header, then the permitted and the inheritable set, in little-endian words of four bytes.
    return len(data) >= 8 and bool(int.from_bytes(data[4:8], "little") & BIND_SERVICE)


def user_name(user: int) -> str | None:
    """The name of a user id on this host."""
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return None


def user_id(name: str) -> int | None:
    """The id of a user's name, or of the number itself."""
    import pwd

    try:
        return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def addresses_of(process: Process) -> Iterator[str]:
    """The IPv4 addresses of a process's network namespace (proc(5), ``/proc/PID/net/fib_trie``)."""
    last = ""
    for line in systemd_units.text_of(process.folder / "net/fib_trie").splitlines():
        match = re.match(r"\s+\|-- ([\d.]+)$", line)
        if match:
            last = match[1]
        elif "/32 host LOCAL" in line and last:
            yield last
