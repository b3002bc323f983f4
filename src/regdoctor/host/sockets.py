"""TCP sockets that listen, by the kernel's own table, and the processes that have them (proc(5))."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from regdoctor.host.processes import PROC

LISTEN: Final = "0A"
"""``TCP_LISTEN`` of ``<netinet/tcp.h>``."""
MOST_SOCKETS: Final = 4096
_LARGEST: Final = 16 * 1024 * 1024
_SOCKET: Final = "socket:["

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class ListeningSocket:
    """One line of the kernel's table."""

    address: Address
    port: int
    user: int
    inode: int


def listening(net: Path = PROC / "self/net") -> tuple[ListeningSocket, ...]:
    """The TCP sockets that listen in a network namespace.

    :param net: the folder ``net`` of a process in that namespace.
    :raises OSError: the table cannot be read.
    """
    found: list[ListeningSocket] = []
    problems: list[OSError] = []
    for name in ("tcp", "tcp6"):
        try:
            with (net / name).open("rb") as table:
                text = table.read(_LARGEST).decode("ascii", "replace")
        except OSError as error:
            problems.append(error)
            continue
        found.extend(_listening(text))
    if len(problems) == 2:
        raise problems[0]
    return tuple(found[:MOST_SOCKETS])


def _listening(text: str) -> Iterator[ListeningSocket]:
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != LISTEN:
            continue
        address, _, port = fields[1].partition(":")
        try:
            yield ListeningSocket(address_of(address), int(port, 16), int(fields[7]), int(fields[9]))
        except ValueError:
            continue


def address_of(text: str) -> Address:
    """Reads an address of the kernel's table: numbers of four bytes each in this machine's byte order."""
    groups = (text[start : start + 8] for start in range(0, len(text), 8))
    return ipaddress.ip_address(b"".join(int(group, 16).to_bytes(4, sys.byteorder) for group in groups))


def owners(inodes: Collection[int], proc: Path = PROC) -> tuple[dict[int, int], bool]:
    """The process of each socket, and whether every process could be looked into.

    Of processes that share a socket (a server and its workers) it is the one with the lowest id.
    """
    wanted = set(inodes)
    found: dict[int, int] = {}
    complete = True
    try:
        pids = sorted(int(entry.name) for entry in os.scandir(proc) if entry.name.isdigit())
    except OSError:
        return {}, False
    for pid in pids:
        try:
            mine = of_process(proc / str(pid))
        except PermissionError:
            complete = False
            continue
        except OSError:
            continue
        for inode in mine & wanted:
            found.setdefault(inode, pid)
    return found, complete


def of_process(folder: Path) -> set[int]:
    """The inodes of a process's sockets.

    :param folder: the process's own below ``/proc``.
    :raises OSError: the caller may not look, or the process has ended.
    """
    return {inode for entry in os.scandir(folder / "fd") if (inode := _inode(entry.path))}


def _inode(descriptor: str) -> int:
    """The inode of a socket behind a descriptor; 0 where it is something else."""
    try:
        target = os.readlink(descriptor)  # noqa: PTH115 - thousands of them: a Path each would be felt
    except OSError:
        return 0
    if not target.startswith(_SOCKET):
        return 0
    number = target[len(_SOCKET) : -1]
    return int(number) if number.isdigit() else 0
