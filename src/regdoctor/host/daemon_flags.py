"""Which options dockerd is started with: those of the running process, else those of its unit."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from regdoctor.facts.client import DaemonFlags, Listed
from regdoctor.host.daemon_proxies import is_ours
from regdoctor.host.processes import PROC, running
from regdoctor.host.systemd_units import service_lines, unit_files

_UNIT: Final = "docker.service"
_SHORT: Final = MappingProxyType(
    {
        "b": "bridge",
        "D": "debug",
        "G": "group",
        "H": "host",
        "l": "log-level",
        "p": "pidfile",
        "s": "storage-driver",
    }
)


def daemon_flags(*, root: Path = Path("/"), proc: Path = PROC) -> DaemonFlags | None:
    """The options of this host's dockerd, or None where there is none."""
    for process in running(lambda name: name == "dockerd", proc):
        if is_ours(process, proc) and process.command:
            place = str(process.folder / "cmdline")
            return DaemonFlags(
                source=f"the command line of dockerd (process {process.pid})",
                running=True,
                flags=tuple(_flags(process.command[1:], place, 1)),
            )
    files = list(unit_files(root, _UNIT))
    if not files:
        return None
    command: tuple[Path, str] | None = None
    for path in files:
        for name, value in service_lines(path):
            if name == "ExecStart":
                # An empty one takes back what stood before (systemd.service(5)).
                command = (path, value) if value else None
    if command is None:
        return None
    path, value = command
    try:
        words = shlex.split(value)
    except ValueError:
        words = value.split()
    return DaemonFlags(
        source=f"ExecStart in {path}",
        running=False,
        flags=tuple(_flags(words[1:], str(path), _line_of(path))),
    )


def _line_of(path: Path) -> int:
    """The line of the last ``ExecStart`` of a unit's file."""
    lines = path.read_text(errors="replace").splitlines()
    return max((number for number, line in enumerate(lines, 1) if line.startswith("ExecStart")), default=1)


def _flags(words: Sequence[str], path: str, line: int) -> Iterator[Listed]:
    for word in words:
        if word.startswith("--"):
            name = word[2:].partition("=")[0]
        elif word.startswith("-") and len(word) > 1:
            name = _SHORT.get(word[1], "")
        else:
            continue
        if name:
            yield Listed(value=name, path=path, line=line, column=1)
