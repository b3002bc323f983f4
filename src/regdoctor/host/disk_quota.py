"""Disk quotas of users and groups (quotactl(2)). Those of projects show in statvfs(3)."""

from __future__ import annotations

import os
import struct
import time
from typing import Final

from regdoctor.facts.disk import Mount, Quota, QuotaKind
from regdoctor.host.processes import Identity

_GET: Final = 0x800007
"""``Q_GETQUOTA`` (linux/quota.h); the kind stands in the low byte of the command."""
_KINDS: Final = ((0, QuotaKind.USER), (1, QuotaKind.GROUP))
_BLOCK: Final = struct.Struct("=8QI4x")
"""``struct if_dqblk``: hard and soft limit, use; the same of inodes; when the grace ends; which of these count."""
_UNIT: Final = 1024
"""Bytes that limits are counted in (``QIF_DQBLKSIZE``); use is in bytes."""


def quotas_of(writer: Identity, mount: Mount) -> tuple[Quota, ...]:
    """What quotas leave to a process on a mounted device; nothing where there are none or they cannot be read.

    Root may exceed them.
    """
    if writer.ignores_modes or not mount.source.startswith("/"):
        return ()
    ids = {QuotaKind.USER: writer.user, QuotaKind.GROUP: writer.group}
    found = []
    for number, kind in _KINDS:
        block = _ask(_GET << 8 | number, mount.source, ids[kind])
        quota = read_quota(block, kind, ids[kind], time.time()) if block is not None else None
        if quota is not None:
            found.append(quota)
    return tuple(found)


def read_quota(block: bytes, kind: QuotaKind, number: int, now: float) -> Quota | None:
    """What ``struct if_dqblk`` says; None where it sets no limit.

    :param now: seconds since the epoch: from the end of the grace on the soft limit is the hard one.
    """
    hard, soft, used, inode_hard, inode_soft, inodes, until, inodes_until, _valid = _BLOCK.unpack(block)
    limit = _limit(hard, soft, until, now)
    inode_limit = _limit(inode_hard, inode_soft, inodes_until, now)
    if limit is None and inode_limit is None:
        return None
    return Quota(
        kind=kind,
        id=number,
        limit=limit * _UNIT if limit is not None else None,
        used=used,
        inode_limit=inode_limit,
        inodes=inodes,
    )


def _limit(hard: int, soft: int, until: int, now: float) -> int | None:
    if soft and until and until <= now:
        return soft
    return hard or None


def _ask(command: int, device: str, number: int) -> bytes | None:
    import ctypes

    buffer = ctypes.create_string_buffer(_BLOCK.size)
    try:
        failed = ctypes.CDLL(None).quotactl(
            ctypes.c_int(command), ctypes.c_char_p(os.fsencode(device)), ctypes.c_int(number), buffer
        )
    except (OSError, AttributeError):
        return None
    return None if failed else buffer.raw
