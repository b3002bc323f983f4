"""Quotas as the kernel gives them (struct if_dqblk of quotactl(2))."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from regdoctor.facts.disk import Mount, Quota, QuotaKind
from regdoctor.host.disk import mount_of
from regdoctor.host.disk_quota import quotas_of, read_quota
from regdoctor.host.processes import Identity

NOW = 1_000_000.0


def block(
    *, hard: int = 0, soft: int = 0, used: int = 0, until: int = 0, inodes: tuple[int, int] = (0, 0)
) -> bytes:
    return struct.pack("=8QI4x", hard, soft, used, inodes[0], 0, inodes[1], until, 0, 63)


def test_limits_are_in_kibibytes_and_use_in_bytes() -> None:
    assert read_quota(block(hard=1024, used=5000, inodes=(10, 3)), QuotaKind.USER, 33, NOW) == Quota(
        kind=QuotaKind.USER, id=33, limit=1024**2, used=5000, inode_limit=10, inodes=3
    )


def test_without_limits_there_is_none() -> None:
    assert read_quota(block(used=5000), QuotaKind.GROUP, 33, NOW) is None


@pytest.mark.parametrize(("until", "limit"), [(0, 2048), (int(NOW) + 1, 2048), (int(NOW), 1024)])
def test_the_soft_limit_counts_once_its_grace_is_over(until: int, limit: int) -> None:
    quota = read_quota(block(hard=2048, soft=1024, until=until), QuotaKind.USER, 33, NOW)
    assert quota is not None
    assert quota.limit == limit * 1024


def test_a_file_system_without_quotas_has_none(tmp_path: Path) -> None:
    mount = mount_of(os.path.realpath(tmp_path), Path("/proc/self/mountinfo"), read_only=False)
    writer = Identity(33, 33, frozenset(), False)
    assert mount is not None
    assert quotas_of(writer, mount) == ()
    other = Mount(point="/", filesystem="nfs4", source="server:/export", read_only=False)
    assert quotas_of(writer, other) == ()
