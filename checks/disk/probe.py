"""Looks at the folders that images are written to."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from regdoctor.api import (
    Blocked,
    ConfigFile,
    Context,
    DiskUsage,
    NotApplicable,
    Place,
    PlaceRole,
    PlaceState,
    Profile,
    ProxyConfig,
    RunningRegistries,
    UnfinishedUploads,
    Writer,
    disk,
    disk_quota,
    image_stores,
    in_time,
    nginx_spools,
    probe,
    processes,
    registry_process,
)

Seen = TypeVar("Seen")

_PROC = Path("/proc")
_FSTAB = Path("/etc/fstab")
_WRITTEN = (
    "docker",
    "docker/registry",
    *(f"docker/registry/v2{each}" for each in ("", "/blobs", "/blobs/sha256", "/repositories")),
)
"""Folders below the storage root in which a push makes others (distribution ``registry/storage/paths.go``)."""
_UPLOADS_SECONDS = 3.0
_MOST_SPOOLS = 64
"""Folders below one for bodies that are looked at: nginx makes them by its ``levels``."""
_MOST_FOLDERS = 20_000
"""Folders of repositories that are looked into for uploads, unless a whole storage is read."""


@dataclass(frozen=True)
class _Storage:
    """The storage root to look at: ``path`` as it is named, ``look`` where this process finds it."""

    path: str
    look: Path
    named_by: str
    given: bool
    registry: registry_process.RegistryProcess | None


@dataclass(frozen=True)
class _View:
    """A process, and the path of a folder as it has it; ``container`` says whether its root is another one."""

    process: processes.Process
    path: str
    container: bool


@probe
def look(
    config: ConfigFile | None,
    context: Context,
    running: RunningRegistries | None = None,
    proxy: ProxyConfig | None = None,
) -> DiskUsage:
    """Space, mounts and rights of the registry's storage and, by profile, of this host's own places."""
    storage = _storage(config, running, context)
    own = context.options.profile in (Profile.HOST, Profile.ALL)
    if storage is None and proxy is None and not own:
        raise NotApplicable(
            "no storage folder is given (--storage), and this host's own are looked at with --profile host"
        )

    def gather() -> DiskUsage:
        places = [_storage_place(storage)] if storage is not None else []
        if any(place.state is PlaceState.FORBIDDEN for place in places) and not own:
            raise Blocked(
                f"this user may not look at {places[0].path}; run it as root, or as the registry's user"
            )
        places += _proxy_places(proxy, context) if proxy is not None or own else []
        places += _own_places(context) if own else []
        if not places:
            raise NotApplicable("no nginx runs here that was started with the configuration")
        return DiskUsage(places=tuple(places), writer=_writer(storage))

    return _in_time(gather, context.deadline.step(), storage.path if storage is not None else "a folder")


@probe
def list_uploads(
    usage: DiskUsage, config: ConfigFile | None, context: Context, running: RunningRegistries | None = None
) -> UnfinishedUploads:
    """The uploads that the registry's storage still holds."""
    root = next(
        (
            place.path
            for place in usage.places
            if place.role is PlaceRole.REGISTRY_STORAGE and place.state is PlaceState.PRESENT
        ),
        None,
    )
    if root is None:
        raise NotApplicable("no storage folder is at hand")
    given = context.options.storage
    storage = _storage(config, running, context) if given is None else None
    look = storage.look if storage is not None else Path(root).absolute()
    if context.options.whole_storage:
        seconds, folders = context.deadline.remaining(), None
    else:
        seconds, folders = min(_UPLOADS_SECONDS, context.deadline.step()), _MOST_FOLDERS
    found = _in_time(
        lambda: disk.unfinished_uploads(
            look, seconds, most_folders=folders, stop=lambda: context.cleanup.ended
        ),
        2 * seconds,
        root,
    )
    from msgspec.structs import replace

    return replace(found, root=root)


def _in_time(function: Callable[[], Seen], seconds: float, path: str) -> Seen:
    """What a look at the disk gives, unless it takes too long: a network file system that hangs never answers."""
    try:
        return in_time(function, seconds)
    except TimeoutError:
        raise Blocked(
            f"{path} did not answer within {seconds:g} s, as a network file system does whose server is gone"
        ) from None


def _storage(
    config: ConfigFile | None, running: RunningRegistries | None, context: Context
) -> _Storage | None:
    """The storage root that the caller means, or None where none is named or it is not this host's."""
    options = context.options
    if options.storage is not None:
        registry = registry_process.find_registry(options.storage, None)
        return _Storage(
            path=str(options.storage),
            look=options.storage.absolute(),
            named_by="--storage",
            given=True,
            registry=registry,
        )
    serving = running.registry if running is not None else None
    if serving is not None and serving.storage is not None:
        return _Storage(
            path=serving.storage,
            look=Path(serving.storage),
            named_by=f"process {serving.pid}, {serving.program}",
            given=False,
            registry=next(
                (each for each in registry_process.registries() if each.process.pid == serving.pid), None
            ),
        )
    named = _configured_root(config) if config is not None else None
    if config is None or named is None:
        return None
    registry = registry_process.find_registry(None, options.config)
    root, line = named
    if registry is not None:
        root, looked_at = registry.root, registry.storage
    elif options.profile in (Profile.HOST, Profile.ALL):
        looked_at = Path(root)
    else:
        return None
    if not root.startswith("/"):
        return None
    return _Storage(path=root, look=looked_at, named_by=config.place(line), given=False, registry=registry)


def _configured_root(config: ConfigFile) -> tuple[str, int | None] | None:
    """The root of the file system driver and its line, or None where another driver is configured."""
    if config.text("storage") == "filesystem":
        entry = config.get("storage")
        return registry_process.DEFAULT_ROOT, entry.line if entry is not None else None
    drivers = [
        entry for entry in config.below("storage") if entry.path[-1] not in registry_process.BESIDE_DRIVERS
    ]
    if [driver.path[-1] for driver in drivers] != ["filesystem"]:
        return None
    root = config.get("storage", "filesystem", "rootdirectory")
    if root is not None and root.value and root.kind != "null":
        return root.value, root.line
    return registry_process.DEFAULT_ROOT, drivers[0].line


def _writer(storage: _Storage | None) -> Writer | None:
    registry = storage.registry if storage is not None else None
    if registry is None:
        return None
    return Writer(
        pid=registry.process.pid,
        name=registry.process.name,
        user=registry.identity.user,
        user_name=registry_process.user_name(registry.identity.user) if not registry.container else None,
        group=registry.identity.group,
        root=registry.root,
        container=registry.container,
    )


def _storage_place(storage: _Storage) -> Place:
    registry = storage.registry
    place = _place(
        storage.path,
        storage.look,
        role=PlaceRole.REGISTRY_STORAGE,
        named_by=storage.named_by,
        given=storage.given,
        view=_View(registry.process, registry.root, registry.container) if registry is not None else None,
        by_root=registry is not None and registry.identity.user == 0,
    )
    if place.state is not PlaceState.PRESENT:
        return place
    from msgspec.structs import replace

    folders = [storage.look, *(storage.look / each for each in _WRITTEN)]
    rights = disk.rights_of(
        folders,
        registry.identity if registry is not None else None,
        place.mount,
        foreign_ids=registry is not None and registry.foreign_ids,
    )
    quotas = (
        disk_quota.quotas_of(registry.identity, place.mount)
        if registry is not None and not registry.foreign_ids and place.mount is not None
        else ()
    )
    return replace(place, rights=rights, quotas=quotas)


def _place(
    path: str,
    looked_at: Path,
    *,
    role: PlaceRole,
    named_by: str,
    given: bool = False,
    view: _View | None = None,
    by_root: bool = False,
) -> Place:
    """Looks at one folder; ``view`` is that of the process whose mounts count."""
    state = _state(looked_at)
    resolved = os.path.realpath(looked_at)
    here = disk.mount_of(resolved, _PROC / "self/mountinfo", read_only=False)
    inside = view if view is not None and view.container else None
    planned = disk.planned_mount(resolved, here, _FSTAB, Path("/")) if inside is None else None
    if state is not PlaceState.PRESENT:
        nearest = next((str(each) for each in looked_at.parents if _state(each) is PlaceState.PRESENT), None)
        return Place(
            role=role,
            path=path,
            named_by=named_by,
            given=given,
            state=state,
            planned_mount=planned,
            nearest=nearest,
        )
    seen = looked_at
    if view is not None and _state(view.process.file(view.path)) is PlaceState.PRESENT:
        seen = view.process.file(view.path)
    read_only = disk.is_read_only(seen)
    if inside is not None:
        mount = disk.mount_of(inside.path, inside.process.folder / "mountinfo", read_only=read_only)
    else:
        mount = disk.mount_of(resolved, _PROC / "self/mountinfo", read_only=read_only)
    return Place(
        role=role,
        path=path,
        named_by=named_by,
        given=given,
        state=state,
        by_root=by_root,
        mount=mount,
        space=disk.space_of(looked_at),
        empty=_is_empty(looked_at),
        planned_mount=planned,
    )


def _state(path: Path) -> PlaceState:
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return PlaceState.FORBIDDEN
    except (OSError, ValueError):
        return PlaceState.MISSING
    return PlaceState.PRESENT if stat.S_ISDIR(mode) else PlaceState.NOT_A_FOLDER


def _is_empty(path: Path) -> bool:
    """Whether it holds nothing; what ``mkfs`` makes does not count."""
    try:
        with os.scandir(path) as entries:
            return all(entry.name == "lost+found" for entry in entries)
    except OSError:
        return False


def _proxy_places(config: ProxyConfig | None, context: Context) -> Iterator[Place]:
    """Where the reverse proxies of this host spool the bodies of uploads."""
    from msgspec.structs import replace

    port = context.target.effective_port if context.target.host else None
    for folder in nginx_spools.spool_folders(config, port):
        container = folder.container
        place = _place(
            folder.path,
            folder.look,
            role=PlaceRole.PROXY_TEMPORARY,
            named_by=folder.named_by,
            view=_View(folder.master, folder.path, container),
            by_root=folder.writer is not None and folder.writer.user == 0,
        )
        if place.state is PlaceState.FORBIDDEN:
            continue
        if folder.writer is not None and place.state is PlaceState.PRESENT:
            folders = [folder.look, *disk.folders_below(folder.look, _MOST_SPOOLS)]
            rights = disk.rights_of(folders, folder.writer, place.mount, foreign_ids=folder.foreign_ids)
            writer = Writer(
                pid=folder.master.pid,
                name=folder.master.name,
                user=folder.writer.user,
                user_name=registry_process.user_name(folder.writer.user) if not container else None,
                group=folder.writer.group,
                root=folder.path,
                container=container,
            )
            place = replace(place, rights=rights, writer=writer)
        yield place


def _own_places(context: Context) -> Iterator[Place]:
    """Where the clients of this host keep and spool images."""
    from msgspec.structs import replace

    stores = image_stores.image_stores(
        context.environment, context.home, daemon_json=context.options.daemon_json
    )
    for store in stores:
        if _state(store.path) is PlaceState.PRESENT:
            yield _place(
                str(store.path),
                store.path,
                role=PlaceRole.IMAGE_STORE,
                named_by=store.named_by,
                by_root=store.by_root,
            )
    spool = image_stores.spool_folder(context.environment, context.home)
    place = _place(
        str(spool.path),
        spool.path,
        role=PlaceRole.TEMPORARY,
        named_by=spool.named_by,
        by_root=spool.by_root,
    )
    if place.state is PlaceState.PRESENT:
        (own,) = disk.rights_of([spool.path], None, place.mount)[-1:] or (None,)
        rights = (replace(own, writable=os.access(spool.path, os.W_OK | os.X_OK)),) if own is not None else ()
        place = replace(place, rights=rights)
    yield place
