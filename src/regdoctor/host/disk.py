"""Mounts, space and rights of folders, and the uploads that a registry's storage still holds."""

from __future__ import annotations

import heapq
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from regdoctor.facts.disk import (
    FolderRights,
    Mount,
    PlannedMount,
    Space,
    UnfinishedUploads,
    Upload,
)
from regdoctor.host.processes import Identity
from regdoctor.host.storage.files import read_file, shown
from regdoctor.host.systemd_units import UNIT_FOLDERS, text_of, unit_file

_FILE_LIMIT = 4 * 1024 * 1024
_OCTAL = re.compile(r"\\([0-7]{3})")
_ACL = "system.posix_acl_access"
_SEARCH = 0o1
_WRITE_AND_SEARCH = 0o3
_SERVER_DECIDES = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs")
"""File systems whose server has the last word about rights, whatever modes and capabilities say here."""

_MOST_UPLOADS = 500
_DEEPEST_REPOSITORY = 32
_STARTED_LIMIT = 64


def space_of(path: Path) -> Space:
    """What the file system of a path has.

    :raises OSError: the path cannot be looked at.
    """
    seen = os.statvfs(path)
    return Space(
        total=seen.f_blocks * seen.f_frsize,
        free=seen.f_bfree * seen.f_frsize,
        available=seen.f_bavail * seen.f_frsize,
        block=seen.f_frsize,
        inodes=seen.f_files,
        inodes_free=seen.f_ffree,
        inodes_available=seen.f_favail,
    )


def is_read_only(path: Path) -> bool:
    """Whether the mount or the file system of a path is read-only, as the path's own process sees it.

    :raises OSError: the path cannot be looked at.
    """
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def mount_of(path: str, mountinfo: Path, *, read_only: bool) -> Mount | None:
    """The mount that an absolute path without links lies on.

    :param mountinfo: ``/proc/PID/mountinfo`` of the process whose view counts.
    :param read_only: what statvfs says of it; options of mounts hide behind those of file systems.
    """
    best: Mount | None = None
    length = -1
    for line in _text(mountinfo).splitlines():
        fields = line.split(" ")
        if "-" not in fields or len(fields) < 10:
            continue
        rest = fields[fields.index("-") + 1 :]
        point = _unescape(fields[4])
        # Of two mounts on one point the later hides the earlier.
        if len(rest) >= 3 and len(point) >= length and PurePosixPath(path).is_relative_to(point):
            length = len(point)
            upper = re.search(r"(?:^|,)upperdir=([^,]+)", rest[2])
            best = Mount(
                point=point,
                filesystem=rest[0],
                source=_unescape(rest[1]),
                read_only=read_only,
                upper_folder=_unescape(upper[1]) if upper else None,
            )
    return best


def planned_mount(
    path: str, mount: Mount | None, fstab: Path, root: Path | None = None
) -> PlannedMount | None:
    """The mount that fstab or systemd wants for a path, or for a folder above it, and that is not there.

    :param root: below which the units of systemd lie; they are not looked at by default.
    """
    wanted = _mount_unit(path, root) if root is not None else None
    for number, line in enumerate(_text(fstab).splitlines(), start=1):
        fields = line.split()
        if len(fields) < 4 or fields[0].startswith("#") or fields[2] == "swap":
            continue
        point = _unescape(fields[1]).rstrip("/") or "/"
        if point == "/" or not PurePosixPath(path).is_relative_to(point):
            continue
        if wanted is None or len(point) > len(wanted.point):
            automatic = "noauto" not in fields[3].split(",")
            wanted = PlannedMount(line=number, source=_unescape(fields[0]), point=point, automatic=automatic)
    if wanted is None or mount is None or PurePosixPath(mount.point).is_relative_to(wanted.point):
        return None
    return wanted


def _mount_unit(path: str, root: Path) -> PlannedMount | None:
    """The unit that systemd has for a path, or for the nearest folder above it (systemd.mount(5))."""
    for point in (PurePosixPath(path), *PurePosixPath(path).parents):
        if str(point) == "/":
            return None
        unit = unit_file(root, f"{_escaped(point)}.mount")
        if unit is None:
            continue
        for number, line in enumerate(text_of(unit).splitlines(), start=1):
            name, _sign, value = line.partition("=")
            if name.strip() == "What":
                enabled = any(
                    any((root / folder).glob(f"*.{kind}/{unit.name}"))
                    for folder in UNIT_FOLDERS
                    for kind in ("wants", "requires")
                )
                return PlannedMount(
                    file=str(unit), line=number, source=value.strip(), point=str(point), automatic=enabled
                )
    return None


def _escaped(path: PurePosixPath) -> str:
    """A path as the name of a unit (systemd.unit(5), "String Escaping for Inclusion in Unit Names")."""
    text = "/".join(path.parts[1:])
    return "".join(
        "-"
        if each == "/"
        else each
        if (each.isascii() and each.isalnum()) or each in ":_" or (each == "." and number)
        else "".join(f"\\x{byte:02x}" for byte in each.encode())
        for number, each in enumerate(text)
    )


def rights_of(
    folders: Sequence[Path], writer: Identity | None, mount: Mount | None, *, foreign_ids: bool = False
) -> tuple[FolderRights, ...]:
    """Who may write the folders that exist, and which folder above the first the writer may not even pass.

    :param writer: as whom files are written, if that is known.
    :param foreign_ids: the writer has user ids of its own (user namespace): its capabilities reach only some.
    """
    found = []
    for folder in (*reversed(folders[0].parents), *folders):
        passage = folder not in folders
        try:
            seen = folder.stat()
        except OSError:
            continue
        if not stat.S_ISDIR(seen.st_mode):
            continue
        need = _SEARCH if passage else _WRITE_AND_SEARCH
        allowed = _may(need, folder, seen, writer, mount, foreign_ids=foreign_ids)
        if passage and allowed is not False:
            continue
        found.append(
            FolderRights(
                path=str(folder),
                owner=seen.st_uid,
                group=seen.st_gid,
                mode=f"{stat.S_IMODE(seen.st_mode):04o}",
                writable=allowed,
                passage=passage,
            )
        )
    return tuple(found)


def _may(
    need: int,
    folder: Path,
    seen: os.stat_result,
    writer: Identity | None,
    mount: Mount | None,
    *,
    foreign_ids: bool,
) -> bool | None:
    """Whether the writer has the needed bits on a folder; None where more than modes decides."""
    if writer is None or (mount is not None and mount.filesystem in _SERVER_DECIDES):
        return None
    if writer.ignores_modes:
        return None if foreign_ids else True
    try:
        if _ACL in os.listxattr(folder):
            return None
    except OSError:
        pass
    if writer.user == seen.st_uid:
        bits = seen.st_mode >> 6
    elif seen.st_gid == writer.group or seen.st_gid in writer.groups:
        bits = seen.st_mode >> 3
    else:
        bits = seen.st_mode
    return bits & need == need


def unfinished_uploads(
    root: Path,
    seconds: float,
    *,
    most_folders: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> UnfinishedUploads:
    """The uploads below a registry's storage root, the largest first.

    Folders of layers and manifests are not entered; links are not followed (distribution
    ``registry/storage/paths.go``).

    :param seconds: the longest that the look may take.
    :param most_folders: how many folders to look into.
    :param stop: whether to end with what there is.
    """
    end = time.monotonic() + seconds
    repositories = root / "docker/registry/v2/repositories"
    seen, complete = 0, True

    def walk() -> Iterator[Upload]:
        nonlocal seen, complete
        pending = [(repositories, 0)]
        looked = 0
        while pending:
            folder, depth = pending.pop()
            looked += 1
            if (most_folders is not None and looked > most_folders) or time.monotonic() > end or stop():
                complete = False
                return
            for name in _folders(folder):
                if name == "_uploads":
                    repository = shown(folder.relative_to(repositories).as_posix())
                    for upload in uploads_of(folder / name, repository):
                        seen += 1
                        yield upload
                elif not name.startswith("_") and depth < _DEEPEST_REPOSITORY:
                    pending.append((folder / name, depth + 1))

    largest = heapq.nlargest(_MOST_UPLOADS, walk(), key=lambda upload: upload.size)
    return UnfinishedUploads(root=shown(str(root)), uploads=tuple(largest), seen=seen, complete=complete)


def uploads_of(folder: Path, repository: str) -> Iterator[Upload]:
    """The uploads in the folder ``_uploads`` of a repository; what cannot be looked at is left out."""
    for uuid in _folders(folder):
        upload = folder / uuid
        try:
            modified = upload.lstat().st_mtime
        except OSError:
            continue
        size = 0
        try:
            data = (upload / "data").lstat()
            # What it holds on the disk; a file with holes is larger than that.
            size, modified = data.st_blocks * 512, max(modified, data.st_mtime)
        except OSError:
            pass
        yield Upload(
            repository=repository,
            uuid=shown(uuid),
            size=size,
            started_at=_started(upload / "startedat"),
            modified_at=datetime.fromtimestamp(modified, UTC),
        )


def _started(path: Path) -> datetime | None:
    try:
        moment = datetime.fromisoformat(read_file(os.fspath(path), _STARTED_LIMIT).decode("ascii").strip())
    except (OSError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None


def folders_below(folder: Path, most: int) -> list[Path]:
    """Some of the folders in a folder, and of those in these."""
    first = [folder / name for name in _folders(folder)[:most]]
    return [*first, *(each / name for each in first for name in _folders(each)[:most])][:most]


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _unescape(text: str) -> str:
    """Undoes the octal escapes of mount tables, where a blank is 040 behind a backslash."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_LIMIT).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
