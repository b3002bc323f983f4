"""What keeps images from being written, or from lasting."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from regdoctor.api import (
    ConfigFile,
    DiskUsage,
    Draft,
    FolderRights,
    Moment,
    Mount,
    Place,
    PlaceRole,
    PlaceState,
    Settings,
    Severity,
    Space,
    StorageContent,
    UnfinishedUploads,
    Upload,
    Writer,
    finding,
    rule,
)

EVIDENCE = ("disk-usage",)

_MEBIBYTE = 1024 * 1024
_LEAST_INODES = 8
"""One upload makes its folder, ``startedat``, ``data`` and three of ``hashstates``, and a blob two more
(distribution ``registry/storage/paths.go``)."""

_IN_MEMORY = frozenset({"tmpfs", "ramfs", "rootfs", "zram"})
_OVERLAYS = frozenset({"overlay", "fuse.fuse-overlayfs", "aufs"})
_LAYERS = re.compile(
    r"/(docker/(overlay2|fuse-overlayfs|aufs|rootfs)|containers/storage/overlay|io\.containerd\.snapshotter)[./]"
)
"""Where docker, podman and containerd keep the layers that containers write to."""

_PURGE_SLACK = timedelta(hours=25)
"""The purger's interval of a day and its random wait of up to an hour (``uploadpurging``)."""
_LEAST_UPLOADS = 10 * _MEBIBYTE
_LEAST_SHARE = 0.01
_YES = frozenset({"y", "yes", "true", "on"})
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


_TEMPORARY = (PlaceRole.TEMPORARY, PlaceRole.PROXY_TEMPORARY)


def _size(number: int) -> str:
    """``1.5 GiB``."""
    value = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def _usable(place: Place, space: Space) -> int:
    """The bytes that whoever writes there may have."""
    left = space.free if place.by_root else space.available
    return min([left, *(max(0, each.limit - each.used) for each in place.quotas if each.limit is not None)])


def _usable_inodes(place: Place, space: Space) -> int:
    left = space.inodes_free if place.by_root else space.inodes_available
    return min(
        [
            left,
            *(
                max(0, each.inode_limit - each.inodes)
                for each in place.quotas
                if each.inode_limit is not None
            ),
        ]
    )


def _is_full(place: Place) -> bool:
    """Whether no image fits any more: less than a MiB is left, or, of a tiny file system, a hundredth."""
    space = place.space
    return space is not None and _usable(place, space) < max(space.block, min(_MEBIBYTE, space.total // 100))


def _lacks_inodes(place: Place) -> bool:
    space = place.space
    return space is not None and space.inodes > 0 and _usable_inodes(place, space) < _LEAST_INODES


def _storage(usage: DiskUsage) -> Place | None:
    """The registry's storage, where it is there."""
    place = _storage_or_gap(usage)
    return place if place is not None and place.state is PlaceState.PRESENT else None


def _storage_or_gap(usage: DiskUsage) -> Place | None:
    return next((each for each in usage.places if each.role is PlaceRole.REGISTRY_STORAGE), None)


def _by_filesystem(places: Sequence[Place]) -> Iterator[tuple[Place, ...]]:
    """The places, those of one file system together: what is wrong with it is said once."""
    groups: dict[object, list[Place]] = {}
    for place in places:
        key = (place.mount.source, place.mount.point) if place.mount is not None else id(place)
        groups.setdefault(key, []).append(place)
    for group in groups.values():
        yield tuple(group)


_WHAT = {
    PlaceRole.REGISTRY_STORAGE: "the registry's storage",
    PlaceRole.IMAGE_STORE: "images",
    PlaceRole.TEMPORARY: "temporary files",
    PlaceRole.PROXY_TEMPORARY: "uploads on their way",
}


def _where(places: Sequence[Place]) -> str:
    """``/srv/registry (the registry's storage, ext4 on /dev/sdb1 mounted at /srv)``."""
    names = ", ".join(f"{each.path} ({_named(each)})" for each in places)
    mount = places[0].mount
    return (
        f"{names}, on {mount.filesystem} ({mount.source}) mounted at {mount.point}," if mount else f"{names},"
    )


def _named(place: Place) -> str:
    what = _WHAT[place.role]
    return what if place.role is PlaceRole.REGISTRY_STORAGE else f"{what} of {place.named_by}"


def _reproduce(place: Place, command: str = "df -h {0}; df -i {0}") -> str:
    return command.format(shlex.quote(place.path))


def _stores(usage: DiskUsage) -> tuple[Place, ...]:
    return tuple(each for each in usage.places if each.role not in _TEMPORARY)


@rule("disk/full", "disk/low")
def space(usage: DiskUsage, settings: Settings) -> Iterator[Draft]:
    """No space is left, or little."""
    for group in _by_filesystem(_stores(usage)):
        place = next((each for each in group if _is_full(each)), group[0])
        if place.space is None:
            continue
        left = _usable(place, place.space)
        seen = f"{_where(group)} has {_size(left)} left of {_size(place.space.total)}"
        if _is_full(place):
            yield finding(
                "disk/full",
                f"{seen}{_reserved(place, place.space)}. {_full_means(group)}",
                reproduce=_reproduce(place),
                evidence=EVIDENCE,
            )
            continue
        low = list(_low(place, place.space, settings.min_free))
        if low:
            yield finding(
                "disk/low",
                f"{_where(group)} has {' and '.join(low)}, less than the {settings.min_free:g} % that should be "
                "free.",
                reproduce=_reproduce(place),
                evidence=EVIDENCE,
            )


def _low(place: Place, seen: Space, least: float) -> Iterator[str]:
    """Of what less than so many percent is left."""
    left, used = seen.free if place.by_root else seen.available, seen.total - seen.free
    percent = 100 * left / max(used + left, 1)
    if percent < least:
        yield f"{_size(left)} left of {_size(seen.total)}, which is {percent:.1f} %"
    for quota in place.quotas:
        if quota.limit:
            left = max(0, quota.limit - quota.used)
            percent = 100 * left / quota.limit
            if percent < least:
                yield f"{_size(left)} left of {quota.kind} {quota.id}'s quota, which is {percent:.1f} %"
    if seen.inodes and not _lacks_inodes(place):
        files = seen.inodes_free if place.by_root else seen.inodes_available
        percent = 100 * files / seen.inodes
        if percent < least:
            yield f"{files:,} inodes left of {seen.inodes:,}, which is {percent:.1f} %"


def _reserved(place: Place, seen: Space) -> str:
    for each in place.quotas:
        if each.limit is not None and each.limit - each.used <= seen.available:
            return (
                f" (the quota of {each.kind} {each.id} is {_size(each.limit)}, and {_size(each.used)} of it are "
                "used; df counts the rest as free)"
            )
    kept = seen.free - seen.available
    if place.by_root or kept <= 0:
        return ""
    return (
        f" (a further {_size(kept)} is reserved for root, or kept back by a quota, and df counts it as free)"
    )


def _full_means(places: Sequence[Place]) -> str:
    if any(each.role is PlaceRole.REGISTRY_STORAGE for each in places):
        return (
            "Pulls and /v2/ go on working; every upload gets 500, and the registry logs “no space left on "
            "device”."
        )
    return "Pulls on this host fail with “no space left on device”; the registry has no part in that."


@rule("disk/inodes-exhausted")
def inodes(usage: DiskUsage) -> Iterator[Draft]:
    """No file can be made, whatever space there is."""
    for group in _by_filesystem(_stores(usage)):
        place = next((each for each in group if _lacks_inodes(each)), None)
        if (
            place is None
            or place.space is None
            or (_is_full(place) and _usable_inodes(place, place.space) > 0)
        ):
            continue
        yield finding(
            "disk/inodes-exhausted",
            f"{_where(group)} has {_usable_inodes(place, place.space)} of {place.space.inodes} inodes left, while "
            f"{_size(_usable(place, place.space))} of space are free: no further files can be made. Uploads fail "
            "with 500, or with “blob upload invalid”, which sounds like something else.",
            reproduce=_reproduce(place),
            evidence=EVIDENCE,
        )


@rule("disk/temp-full")
def temporary(usage: DiskUsage) -> Iterator[Draft]:
    """Layers cannot be spooled."""
    for place in usage.places:
        if place.role not in _TEMPORARY:
            continue
        why = _temporary_problem(place)
        if why is not None and place.role is PlaceRole.PROXY_TEMPORARY:
            yield finding(
                "disk/temp-full",
                f"{place.path} ({place.named_by}), where nginx spools layers on their way to the registry, {why}. "
                "Small layers pass, large ones get nginx's own 500, and the registry never sees them.",
                fix=_spool_remedies(place),
                reproduce=_reproduce(
                    place, "df -h {0}; df -i {0}; ls -ld {0}; grep -h client_body /var/log/nginx/error.log"
                ),
                evidence=EVIDENCE,
            )
        elif why is not None:
            yield finding(
                "disk/temp-full",
                f"{place.path} ({place.named_by}), where podman, skopeo and buildah spool layers, {why}. Small "
                "images pass, large ones fail with “storing blob to file …”.",
                fix=("point TMPDIR to a folder on a larger disk that this user may write",),
                reproduce=_reproduce(place),
                evidence=EVIDENCE,
            )


def _temporary_problem(place: Place) -> str | None:
    if place.state is PlaceState.MISSING:
        return "does not exist"
    if place.state is PlaceState.NOT_A_FOLDER:
        return "is no folder"
    if place.mount is not None and place.mount.read_only:
        return "is mounted read-only"
    barred = next((each for each in place.rights if each.writable is False), None)
    if barred is not None and place.writer is not None:
        where = "" if barred.path == place.path else f" {barred.path}"
        return (
            f"may not be {'entered' if barred.passage else 'written'} by nginx's workers, which run as "
            f"{_user(place.writer)}:{where or ' it'} {_rights(barred)}"
        )
    if barred is not None:
        return "may not be written by this user"
    if place.space is not None and _is_full(place):
        return f"has {_size(_usable(place, place.space))} left of {_size(place.space.total)}"
    if place.space is not None and _lacks_inodes(place):
        return "has no inodes left"
    return None


@rule("disk/read-only")
def read_only(usage: DiskUsage, config: ConfigFile | None) -> Iterator[Draft]:
    """Nothing can be written to the storage, which nobody asked for."""
    place = _storage(usage)
    if place is None or place.mount is None or not place.mount.read_only or _maintenance(config):
        return
    whose = "for the registry's process " if usage.writer is not None and usage.writer.container else ""
    yield finding(
        "disk/read-only",
        f"{_where([place])} is {whose}read-only. Pulls work; every upload gets 500, and the registry logs "
        "“read-only file system”.",
        reproduce=_reproduce(
            place, "findmnt -no SOURCE,FSTYPE,OPTIONS -T {0}; dmesg | grep -iE 'remount|I/O error'"
        ),
        evidence=EVIDENCE,
    )


def _maintenance(config: ConfigFile | None) -> bool:
    """Whether the configuration says that the registry does not write (maintenance mode)."""
    if config is None:
        return False
    entry = config.get("storage", "maintenance", "readonly", "enabled")
    return entry is not None and entry.kind == "boolean" and (entry.value or "").lower() in _YES


@rule("disk/not-writable")
def not_writable(usage: DiskUsage) -> Iterator[Draft]:
    """The user that the registry runs as may not make files in its storage."""
    place, writer = _storage(usage), usage.writer
    if place is None or writer is None or (place.mount is not None and place.mount.read_only):
        return
    barred = next((each for each in place.rights if each.writable is False), None)
    if barred is None:
        return
    verb = "enter" if barred.passage else "make files in"
    yield finding(
        "disk/not-writable",
        f"The registry, process {writer.pid} ({writer.name}), runs as {_user(writer)} "
        f"and may not {verb} {barred.path}, which {_rights(barred)}. /v2/ goes on answering; "
        "every upload gets 500 at its first request, and the registry logs “permission denied”.",
        fix=(_remedy(barred, place, writer),),
        reproduce=_reproduce(
            place, f"ps -o user,group,args -p {writer.pid}; namei -l {{0}}/docker/registry/v2"
        ),
        evidence=EVIDENCE,
    )


def _user(writer: Writer) -> str:
    """``www-data (uid 33, gid 33)``."""
    if writer.user_name is not None:
        return f"{writer.user_name} (uid {writer.user}, gid {writer.group})"
    return f"uid {writer.user} (gid {writer.group})"


def _spool_remedies(place: Place) -> tuple[str, ...]:
    barred = next((each for each in place.rights if each.writable is False), None)
    if barred is not None and place.writer is not None and not barred.passage:
        owner = place.writer.user_name or str(place.writer.user)
        return (f"give it the folder: chown -R {owner} {shlex.quote(place.path)}",)
    if barred is not None:
        return (f"let it pass: chmod o+x {shlex.quote(barred.path)}",)
    return (
        "switch spooling off in nginx: proxy_request_buffering off; proxy_http_version 1.1;",
        "or move it to a larger disk: client_body_temp_path /big/disk;",
    )


def _rights(folder: FolderRights) -> str:
    return f"belongs to uid {folder.owner}, gid {folder.group} and has mode {folder.mode}"


def _remedy(barred: FolderRights, place: Place, writer: Writer) -> str:
    if barred.passage:
        return f"let it pass: chmod o+x {shlex.quote(barred.path)}"
    return f"give it the tree: chown -R {writer.user}:{writer.group} {shlex.quote(place.path)}"


@rule("disk/root-missing")
def root_missing(usage: DiskUsage) -> Iterator[Draft]:
    """The storage root does not exist, or the volume that belongs there is not mounted."""
    place = _storage_or_gap(usage)
    if place is None:
        return
    planned = place.planned_mount
    volume = (
        f"{planned.file}, line {planned.line}, mounts {planned.source} at {planned.point}, and nothing is mounted "
        "there."
        if planned is not None
        else ""
    )
    reproduce = _reproduce(place, "findmnt -T {0}; ls {0}/docker/registry/v2/repositories | head")
    if place.state in (PlaceState.MISSING, PlaceState.NOT_A_FOLDER):
        if not place.given and planned is None:
            # The registry makes the folder with the first push.
            return
        gone = "does not exist" if place.state is PlaceState.MISSING else "is no folder"
        above = f" (what exists is {place.nearest})" if place.nearest and place.nearest != "/" else ""
        yield finding(
            "disk/root-missing",
            f"{place.path}, named by {place.named_by}, {gone}{above}. {volume} A registry that writes there looks "
            "empty: every tag is “manifest unknown”, and pushes go to a new folder.".replace("  ", " "),
            reproduce=reproduce,
            evidence=("disk-usage", *_fstab(place)),
        )
    elif planned is not None and (place.empty or planned.automatic):
        state = "is empty" if place.empty else "lies on the disk underneath"
        yield finding(
            "disk/root-missing",
            f"{volume} {place.path} {state}: a registry that was started like this looks empty, answers “manifest "
            "unknown” to every pull, and takes new pushes to the wrong disk.",
            fix=(
                f"stop the registry, mount the volume (mount {shlex.quote(planned.point)}), start it again",
            ),
            reproduce=reproduce,
            evidence=("disk-usage", *_fstab(place)),
        )


def _fstab(place: Place) -> tuple[str, ...]:
    planned = place.planned_mount
    return (f"{planned.file}:{planned.line}",) if planned is not None else ()


@rule("disk/ephemeral")
def ephemeral(usage: DiskUsage) -> Iterator[Draft]:
    """What is pushed is gone after the next restart."""
    place = _storage(usage)
    if place is None or place.mount is None:
        return
    why = _short_life(place.mount, usage.writer)
    if why is not None:
        yield finding(
            "disk/ephemeral",
            f"{_where([place])} {why}: all images are lost with it.",
            reproduce=_reproduce(place, "findmnt -no SOURCE,FSTYPE -T {0}"),
            evidence=EVIDENCE,
        )


def _short_life(mount: Mount, writer: Writer | None) -> str | None:
    if mount.filesystem in _IN_MEMORY:
        return "lies in memory and does not outlive a restart of the machine or of the container"
    if mount.filesystem in _OVERLAYS and (
        (writer is not None and writer.container and mount.point == "/")
        or (mount.upper_folder is not None and _LAYERS.search(f"{mount.upper_folder}/"))
    ):
        return "lies in the container's own layer and does not outlive the container"
    return None


@rule("disk/ephemeral")
def in_memory(config: ConfigFile) -> Iterator[Draft]:
    """The configuration keeps images in memory."""
    entry = config.get("storage", "inmemory") or config.get("storage")
    if entry is None or not (entry.path[-1] == "inmemory" or entry.value == "inmemory"):
        return
    yield finding(
        "disk/ephemeral",
        f"{config.place(entry.line)} configures the storage driver inmemory: all images are lost when the "
        "registry stops.",
        evidence=(config.place(entry.line),),
    )


@rule("disk/stale-uploads")
def stale_uploads(
    uploads: UnfinishedUploads,
    usage: DiskUsage,
    moment: Moment,
    settings: Settings,
    config: ConfigFile | None,
    content: StorageContent | None,
) -> Iterator[Draft]:
    """Uploads that were broken off, and that the registry's purger would have removed long ago."""
    configured = _configured_age(config)
    age = timedelta(days=settings.upload_age)
    if configured is not None:
        age = max(age, configured + _PURGE_SLACK)
    stale = [each for each in uploads.uploads if moment.now - _begun(each) > age]
    size = sum(each.size for each in stale)
    place = _storage(usage)
    total = place.space.total if place is not None and place.space is not None else 0
    small = size < min(_LEAST_UPLOADS, max(int(total * _LEAST_SHARE), _MEBIBYTE))
    # Who has a whole storage read wants to know of everything in it.
    if not stale or (small and (content is None or content.blobs is None)):
        return
    oldest = min(_begun(each) for each in stale)
    repositories = sorted({each.repository for each in stale})
    unmarked = sum(each.started_at is None for each in stale)
    seen = [
        f"{_number(len(stale), more=uploads.seen > len(uploads.uploads))} {_size(size)} below {uploads.root} in "
        f"{_listing(repositories)}; the oldest began on {oldest:%Y-%m-%d}.",
        "The registry removes such uploads after a week unless it is told otherwise: its purger is off, or it "
        "never runs long enough for its first round.",
    ]
    if unmarked:
        verb = "lacks" if unmarked == 1 else "lack"
        seen.append(f"{unmarked} of them {verb} a readable startedat file: the purger never removes such.")
    if not uploads.complete:
        seen.append("Not every repository was looked at; there may be more.")
    yield finding(
        "disk/stale-uploads",
        " ".join(seen),
        severity=Severity.INFO if small else None,
        reproduce=f"find {shlex.quote(uploads.root)}/docker/registry/v2/repositories -type d -name _uploads "
        "-exec du -sh {} + | sort -h | tail",
        evidence=("unfinished-uploads",),
    )


def _number(uploads: int, *, more: bool) -> str:
    """``3 unfinished uploads hold``."""
    if uploads == 1 and not more:
        return "1 unfinished upload holds"
    return f"{'At least ' if more else ''}{uploads:,} unfinished uploads hold"


def _begun(upload: Upload) -> datetime:
    """When an upload began, or was last written to if that is later."""
    return max(upload.started_at, upload.modified_at) if upload.started_at is not None else upload.modified_at


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} further repositories"


def _configured_age(config: ConfigFile | None) -> timedelta | None:
    """``storage.maintenance.uploadpurging.age``, a duration as Go writes it, or None."""
    text = config.text("storage", "maintenance", "uploadpurging", "age") if config is not None else None
    if text is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|m|s)", text)
    if "".join(number + unit for number, unit in parts) != text:
        return None
    return timedelta(seconds=min(sum(float(number) * _UNITS[unit] for number, unit in parts), 1e9))
