"""The processes of this host, as far as ``/proc`` shows them to the caller (proc(5))."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

PROC = Path("/proc")
_NAME_LIMIT = 15
"""The kernel keeps no more of a process's name (TASK_COMM_LEN)."""
_READ_LIMIT = 256 * 1024
_DAC_OVERRIDE = 1 << 1
"""The capability to ignore modes of files (capabilities(7), CAP_DAC_OVERRIDE)."""


@dataclass(frozen=True)
class Identity:
    """As whom a process touches files: the file system ids, and its effective capabilities (capabilities(7))."""

    user: int
    group: int
    groups: frozenset[int]
    capabilities: int = 0
    """A bit for each."""

    @property
    def ignores_modes(self) -> bool:
        """Whether it may ignore the modes of files."""
        return bool(self.capabilities & _DAC_OVERRIDE)


@dataclass(frozen=True)
class Process:
    """One running process. ``command`` is its command line, empty where the caller may not see it."""

    pid: int
    name: str
    command: tuple[str, ...]
    folder: Path
    """Its folder below ``/proc``."""

    def file(self, path: str) -> Path:
        """The file that the process would find under an absolute path: containers have a root of their own.

        Where the caller may not look into it, the path as this host has it.
        """
        inside = self.folder / "root" / path.lstrip("/")
        with contextlib.suppress(OSError):
            (self.folder / "root").readlink()
            return inside
        return Path(path)

    def option(self, flag: str) -> str | None:
        """The value of a flag such as ``-f`` or ``--file``, joined (``-fX``, ``--file=X``) or apart, or None."""
        joined = f"{flag}=" if flag.startswith("--") else flag
        for position, word in enumerate(self.command[1:], start=1):
            if word == flag:
                return self.command[position + 1] if position + 1 < len(self.command) else None
            if word.startswith(joined):
                return word[len(joined) :]
        return None

    def argument(self, flag: str) -> str | None:
        """The word that follows another one, or None."""
        position = self.command.index(flag) + 1 if flag in self.command else len(self.command)
        return self.command[position] if position < len(self.command) else None

    def identity(self) -> Identity | None:
        """As whom it touches files, or None where it has ended meanwhile."""
        fields = dict(
            line.partition(":")[::2] for line in _text(self.folder / "status").splitlines() if ":" in line
        )
        try:
            return Identity(
                user=int(fields["Uid"].split()[3]),
                group=int(fields["Gid"].split()[3]),
                groups=frozenset(map(int, fields["Groups"].split())),
                capabilities=int(fields["CapEff"], 16),
            )
        except (KeyError, IndexError, ValueError):
            return None

    def started_at(self) -> datetime | None:
        """When it was started by this host's clock, UTC; None where it has ended meanwhile.

        Field 22 of its ``stat`` file is clock ticks since the boot, as ``/proc/uptime`` is seconds (proc(5)).
        """
        fields = _text(self.folder / "stat").rpartition(")")[2].split()
        uptime = _text(self.folder.parent / "uptime").split()
        try:
            age = float(uptime[0]) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
        except (IndexError, ValueError):
            return None
        return datetime.now(UTC) - timedelta(seconds=age)

    def environment(self) -> dict[str, str]:
        """Its environment as it was started with; empty where the caller may not see it."""
        pairs = (entry.partition("=") for entry in _text(self.folder / "environ").split("\0") if "=" in entry)
        return {name: value for name, _sign, value in pairs}


def running(wanted: Callable[[str], bool], proc: Path = PROC) -> tuple[Process, ...]:
    """Every process whose name (at most 15 characters) is wanted, by process id."""
    return tuple(sorted(_running(wanted, proc), key=lambda process: process.pid))


def _running(wanted: Callable[[str], bool], proc: Path) -> Iterator[Process]:
    try:
        folders = [folder for folder in proc.iterdir() if folder.name.isdigit()]
    except OSError:
        return
    for folder in folders:
        process = read(int(folder.name), proc)
        if process is not None and wanted(process.name[:_NAME_LIMIT]):
            yield process


def read(pid: int, proc: Path = PROC) -> Process | None:
    """A process by its id, or None where there is none."""
    folder = proc / str(pid)
    name = _text(folder / "comm").rstrip("\n")
    if not name:
        return None
    command = tuple(_text(folder / "cmdline").rstrip("\0").split("\0"))
    return Process(pid=pid, name=name, command=command if command != ("",) else (), folder=folder)


def _text(path: Path) -> str:
    """What a file below ``/proc`` says; empty where the process has ended or is not the caller's to see."""
    try:
        with path.open("rb") as file:
            return file.read(_READ_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""
