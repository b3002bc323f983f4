"""Facts about the places that images are written to: space, mounts and rights. Sizes are in bytes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from regdoctor.facts.base import Fact


class PlaceRole(StrEnum):
    """What is written to a place."""

    REGISTRY_STORAGE = "registry-storage"
    IMAGE_STORE = "image-store"
    """A client keeps its images there."""
    TEMPORARY = "temporary"
    """A client spools layers there."""
    PROXY_TEMPORARY = "proxy-temporary"
    """A reverse proxy spools the bodies of uploads there."""


class PlaceState(StrEnum):
    """What stands at a path."""

    PRESENT = "present"
    MISSING = "missing"
    NOT_A_FOLDER = "not-a-folder"
    FORBIDDEN = "forbidden"
    """This user may not look at it."""


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """The mount that a path lies on (proc(5), mountinfo), as the process sees it that writes there."""

    point: str
    filesystem: str
    """The type: ``ext4``, ``xfs``, ``tmpfs``, ``overlay``, ``nfs4``."""
    source: str
    read_only: bool
    upper_folder: str | None = None
    """Where an overlay keeps what is written."""


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """What a file system has (statvfs(3)). ``available`` is what users other than root may have of ``free``."""

    total: int
    free: int
    available: int
    block: int
    inodes: int
    """0 where the file system makes inodes as needed."""
    inodes_free: int
    inodes_available: int


class FolderRights(msgspec.Struct, frozen=True, kw_only=True):
    """Who may write a folder."""

    path: str
    owner: int
    group: int
    mode: str
    """Octal: ``0755``."""
    writable: bool | None = None
    """Whether the writer may make files in it; null where modes alone do not decide (ACL, NFS, no writer)."""
    passage: bool = False
    """Whether it is a folder above the storage, which the writer only has to pass and may not."""


class Writer(msgspec.Struct, frozen=True, kw_only=True):
    """The process that writes to a place: the registry, or a worker of a reverse proxy."""

    pid: int
    name: str
    user: int
    user_name: str | None
    group: int
    root: str
    """The folder as that process has it."""
    container: bool = False
    """Whether it has another root folder than this host."""


class QuotaKind(StrEnum):
    """Whose use a quota limits."""

    USER = "user"
    GROUP = "group"


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What a user or group may have of a file system (quotactl(2)). Null where there is no limit."""

    kind: QuotaKind
    id: int
    limit: int | None
    used: int
    inode_limit: int | None
    inodes: int


class PlannedMount(msgspec.Struct, frozen=True, kw_only=True):
    """A line of /etc/fstab (fstab(5)), or a unit (systemd.mount(5)), for a folder where nothing is mounted now."""

    file: str = "/etc/fstab"
    line: int
    source: str
    point: str
    automatic: bool
    """Whether it is mounted at boot: no ``noauto``."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One folder that images are written to."""

    role: PlaceRole
    path: str
    named_by: str
    """Who names it: ``--storage``, ``config.yml:5``, ``TMPDIR``, ``docker``."""
    given: bool
    """Whether the caller named the folder itself (``--storage``)."""
    state: PlaceState
    by_root: bool = False
    """Whether root writes to it, who may use what is reserved."""
    mount: Mount | None = None
    space: Space | None = None
    rights: tuple[FolderRights, ...] = ()
    """Of the folder and, in the registry's storage, of those that it writes to."""
    empty: bool = False
    planned_mount: PlannedMount | None = None
    nearest: str | None = None
    """The nearest folder above that exists, where it is missing."""
    quotas: tuple[Quota, ...] = ()
    """Of whoever writes there."""
    writer: Writer | None = None
    """The reverse proxy that spools there."""


class DiskUsage(Fact, frozen=True, kw_only=True):
    """Every place looked at, and the registry process that writes to the storage where one was found."""

    places: tuple[Place, ...]
    writer: Writer | None = None


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that was begun and not finished: a folder below ``_uploads``."""

    repository: str
    uuid: str
    size: int
    started_at: datetime | None
    """What its file ``startedat`` says; null where it is missing or unreadable, so that it is never purged."""
    modified_at: datetime


class UnfinishedUploads(Fact, frozen=True, kw_only=True):
    """The uploads in progress and the abandoned ones in the registry's storage, the largest first. Bounded."""

    root: str
    uploads: tuple[Upload, ...]
    seen: int = 0
    """How many there are; those that are not listed are smaller."""
    complete: bool
    """Whether every repository was looked at in the time there was."""
