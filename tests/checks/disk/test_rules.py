"""What keeps images from being written, or from lasting: facts in, findings out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

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
    PlannedMount,
    Quota,
    QuotaKind,
    Settings,
    Severity,
    Space,
    StorageContent,
    UnfinishedUploads,
    Upload,
    Writer,
)
from regdoctor.checks.disk import rules
from regdoctor.host.config_file import parse_config

GIB = 1024**3
MIB = 1024**2
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DISK = Mount(point="/srv", filesystem="ext4", source="/dev/vdb1", read_only=False)
NOBODY = Writer(pid=42, name="registry", user=65534, user_name="nobody", group=65534, root="/srv/registry")


def space(available: int = 50 * GIB, **changes: Any) -> Space:
    values: dict[str, Any] = {
        "total": 100 * GIB,
        "free": changes.pop("free", available),
        "available": available,
        "block": 4096,
        "inodes": 1_000_000,
        "inodes_free": 500_000,
        "inodes_available": changes.pop("inodes_available", changes.get("inodes_free", 500_000)),
    }
    return Space(**{**values, **changes})


def place(**changes: Any) -> Place:
    values: dict[str, Any] = {
        "role": PlaceRole.REGISTRY_STORAGE,
        "path": "/srv/registry",
        "named_by": "--storage",
        "given": True,
        "state": PlaceState.PRESENT,
        "mount": DISK,
        "space": space(),
    }
    return Place(**{**values, **changes})


def temporary(**changes: Any) -> Place:
    return place(role=PlaceRole.TEMPORARY, path="/var/tmp", named_by="TMPDIR", given=False, **changes)


def store(**changes: Any) -> Place:
    return place(
        role=PlaceRole.IMAGE_STORE, path="/var/lib/docker", named_by="docker", given=False, **changes
    )


def judge(
    *places: Place,
    writer: Writer | None = None,
    config: ConfigFile | None = None,
    uploads: tuple[Upload, ...] = (),
    seen: int = 0,
    settings: Settings | None = None,
    content: StorageContent | None = None,
) -> list[Draft]:
    usage = DiskUsage(places=places, writer=writer)
    settings = settings or Settings()
    unfinished = UnfinishedUploads(
        root="/srv/registry", uploads=uploads, seen=max(seen, len(uploads)), complete=True
    )
    return [
        *rules.space(usage, settings),
        *rules.inodes(usage),
        *rules.temporary(usage),
        *rules.read_only(usage, config),
        *rules.not_writable(usage),
        *rules.root_missing(usage),
        *rules.ephemeral(usage),
        *(rules.in_memory(config) if config is not None else ()),
        *rules.stale_uploads(unfinished, usage, Moment(now=NOW), settings, config, content),
    ]


def codes(drafts: list[Draft]) -> list[str]:
    return [draft.code for draft in drafts]


def single(drafts: list[Draft], code: str) -> Draft:
    assert codes(drafts) == [code]
    return drafts[0]


def config(text: str) -> ConfigFile:
    return parse_config(text.encode(), "config.yml")


class TestHealthy:
    @pytest.mark.parametrize(
        "given",
        [
            place(),
            place(empty=True),
            store(),
            temporary(),
            # A file system that makes inodes as needed counts none.
            place(space=space(inodes=0, inodes_free=0)),
            place(space=space(11 * GIB)),
        ],
    )
    def test_places_are_no_finding(self, given: Place) -> None:
        assert judge(given) == []


class TestSpace:
    @pytest.mark.parametrize(
        ("available", "total", "code"),
        [
            (0, 100 * GIB, "disk/full"),
            (MIB - 1, 100 * GIB, "disk/full"),
            (2 * MIB, 100 * GIB, "disk/low"),
            (9 * GIB, 100 * GIB, "disk/low"),
            # A tiny file system is full when a hundredth is left.
            (8192, 2 * MIB, "disk/full"),
            (100 * 1024, 2 * MIB, "disk/low"),
        ],
    )
    def test_full_and_low(self, available: int, total: int, code: str) -> None:
        draft = single(judge(place(space=space(available, total=total))), code)
        assert "/srv/registry (the registry's storage), on ext4 (/dev/vdb1) mounted at /srv" in draft.detail
        assert draft.reproduce == "df -h /srv/registry; df -i /srv/registry"

    def test_the_threshold_is_the_callers(self) -> None:
        usage = DiskUsage(places=(place(space=space(20 * GIB)),))
        assert codes(list(rules.space(usage, Settings(min_free=30)))) == ["disk/low"]
        assert list(rules.space(usage, Settings(min_free=5))) == []

    def test_what_is_reserved_for_root_is_not_the_registrys(self) -> None:
        draft = single(judge(place(space=space(0, free=5 * GIB))), "disk/full")
        assert "5.0 GiB is reserved for root" in draft.detail

    def test_but_it_is_a_registrys_that_runs_as_root(self) -> None:
        drafts = judge(place(space=space(0, free=20 * GIB), by_root=True))
        assert drafts == []

    def test_a_full_store_of_the_client_is_no_fault_of_the_registry(self) -> None:
        draft = single(judge(store(space=space(0))), "disk/full")
        assert "/var/lib/docker (images of docker)" in draft.detail
        assert "Pulls on this host fail" in draft.detail

    def test_two_places_on_one_file_system_are_one_finding(self) -> None:
        draft = single(judge(place(space=space(0)), store(space=space(0))), "disk/full")
        assert "/srv/registry" in draft.detail
        assert "/var/lib/docker" in draft.detail

    def test_odd_paths_are_quoted_in_commands(self) -> None:
        draft = single(judge(place(path="/srv/a b;c", space=space(0))), "disk/full")
        assert draft.reproduce == "df -h '/srv/a b;c'; df -i '/srv/a b;c'"


class TestInodes:
    def test_none_are_left_though_there_is_space(self) -> None:
        draft = single(judge(place(space=space(inodes_free=0))), "disk/inodes-exhausted")
        assert "0 of 1000000 inodes" in draft.detail
        assert "50.0 GiB of space are free" in draft.detail

    def test_fewer_than_one_upload_needs_are_none(self) -> None:
        single(judge(place(space=space(inodes_free=100))), "disk/low")
        single(judge(place(space=space(inodes_free=100))), "disk/low")


class TestTemporary:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (temporary(space=space(0)), "has 0 bytes left"),
            (temporary(space=space(inodes_free=0)), "no inodes left"),
            (temporary(state=PlaceState.MISSING, mount=None, space=None), "does not exist"),
            (temporary(state=PlaceState.NOT_A_FOLDER, mount=None, space=None), "is no folder"),
            (
                temporary(
                    rights=(FolderRights(path="/var/tmp", owner=0, group=0, mode="0755", writable=False),)
                ),
                "may not be written by this user",
            ),
            (
                temporary(
                    mount=Mount(point="/", filesystem="ext4", source="/dev/vda1", read_only=True),
                ),
                "read-only",
            ),
        ],
    )
    def test_layers_cannot_be_spooled(self, given: Place, words: str) -> None:
        draft = single(judge(given), "disk/temp-full")
        assert words in draft.detail


class TestReadOnly:
    FROZEN = Mount(point="/srv", filesystem="ext4", source="/dev/vdb1", read_only=True)

    def test_the_storage_cannot_be_written(self) -> None:
        draft = single(judge(place(mount=self.FROZEN)), "disk/read-only")
        assert "findmnt" in (draft.reproduce or "")

    def test_in_maintenance_that_is_meant_so(self) -> None:
        text = "storage: {filesystem: {}, maintenance: {readonly: {enabled: VALUE}}}\n"
        for value in ("true", "yes", "on"):
            assert judge(place(mount=self.FROZEN), config=config(text.replace("VALUE", value))) == []
        for value in ("false", '"true"'):
            drafts = judge(place(mount=self.FROZEN), config=config(text.replace("VALUE", value)))
            assert codes(drafts) == ["disk/read-only"]

    def test_a_read_only_store_of_this_host_is_nobodys_trouble(self) -> None:
        assert judge(store(mount=self.FROZEN)) == []


class TestNotWritable:
    @staticmethod
    def rights(path: str, *, writable: bool | None, passage: bool = False) -> FolderRights:
        return FolderRights(path=path, owner=0, group=0, mode="0755", writable=writable, passage=passage)

    def test_user_owner_and_mode_are_named(self) -> None:
        barred = self.rights("/srv/registry", writable=False)
        draft = single(judge(place(rights=(barred,)), writer=NOBODY), "disk/not-writable")
        assert "process 42 (registry), runs as nobody (uid 65534, gid 65534)" in draft.detail
        assert "may not make files in /srv/registry, which belongs to uid 0, gid 0 and has mode 0755" in (
            draft.detail
        )
        assert draft.fix == ("give it the tree: chown -R 65534:65534 /srv/registry",)

    def test_a_folder_that_cannot_be_entered_is_told_apart(self) -> None:
        barred = self.rights("/srv", writable=False, passage=True)
        draft = single(judge(place(rights=(barred,)), writer=NOBODY), "disk/not-writable")
        assert "may not enter /srv" in draft.detail
        assert draft.fix == ("let it pass: chmod o+x /srv",)

    def test_a_user_without_a_name_is_named_by_number(self) -> None:
        writer = Writer(pid=1, name="registry", user=1001, user_name=None, group=0, root="/x", container=True)
        barred = self.rights("/srv/registry", writable=False)
        assert "runs as uid 1001 (gid 0)" in judge(place(rights=(barred,)), writer=writer)[0].detail

    def test_what_modes_do_not_decide_is_no_finding(self) -> None:
        unknown = self.rights("/srv/registry", writable=None)
        assert judge(place(rights=(unknown,)), writer=NOBODY) == []

    def test_nor_is_it_without_a_registry_process(self) -> None:
        barred = self.rights("/srv/registry", writable=False)
        assert judge(place(rights=(barred,))) == []


class TestRootMissing:
    PLANNED = PlannedMount(line=7, source="/dev/vdb1", point="/srv", automatic=True)
    BY_HAND = PlannedMount(line=7, source="/dev/vdb1", point="/srv", automatic=False)

    def missing(self, **changes: Any) -> Place:
        return place(state=PlaceState.MISSING, mount=None, space=None, nearest="/srv", **changes)

    def test_a_folder_that_the_caller_names_does_not_exist(self) -> None:
        draft = single(judge(self.missing()), "disk/root-missing")
        assert "/srv/registry, named by --storage, does not exist (what exists is /srv)." in draft.detail

    def test_a_file_is_no_folder(self) -> None:
        given = place(state=PlaceState.NOT_A_FOLDER, mount=None, space=None)
        assert "is no folder" in single(judge(given), "disk/root-missing").detail

    def test_the_registry_makes_its_own_folder_with_the_first_push(self) -> None:
        assert judge(self.missing(given=False, named_by="config.yml:5")) == []

    def test_unless_a_volume_should_be_there(self) -> None:
        draft = single(judge(self.missing(given=False, planned_mount=self.PLANNED)), "disk/root-missing")
        assert "/etc/fstab, line 7, mounts /dev/vdb1 at /srv" in draft.detail
        assert draft.evidence == ("disk-usage", "/etc/fstab:7")

    @pytest.mark.parametrize("empty", [True, False])
    def test_a_volume_that_should_be_mounted_at_boot_is_not(self, empty: bool) -> None:
        draft = single(judge(place(planned_mount=self.PLANNED, empty=empty)), "disk/root-missing")
        assert ("is empty" in draft.detail) is empty
        assert "mount /srv" in draft.fix[0]

    def test_one_that_is_mounted_by_hand_may_be_away_while_there_are_images(self) -> None:
        assert judge(place(planned_mount=self.BY_HAND)) == []
        single(judge(place(planned_mount=self.BY_HAND, empty=True)), "disk/root-missing")

    def test_an_empty_folder_is_a_new_registrys(self) -> None:
        assert judge(place(empty=True)) == []


class TestEphemeral:
    CONTAINER = Writer(pid=1, name="registry", user=0, user_name=None, group=0, root="/x", container=True)

    @staticmethod
    def overlay(upper: str | None, point: str = "/") -> Mount:
        return Mount(point=point, filesystem="overlay", source="overlay", read_only=False, upper_folder=upper)

    @pytest.mark.parametrize("filesystem", ["tmpfs", "ramfs"])
    def test_memory_does_not_last(self, filesystem: str) -> None:
        mount = Mount(point="/srv", filesystem=filesystem, source="none", read_only=False)
        assert "lies in memory" in single(judge(place(mount=mount)), "disk/ephemeral").detail

    @pytest.mark.parametrize(
        "upper",
        [
            "/var/lib/docker/overlay2/0123abcd/diff",
            "/data/docker/overlay2/0123abcd/diff",
            "/var/lib/containers/storage/overlay/0123abcd/diff",
            "/home/me/.local/share/containers/storage/overlay/0123abcd/diff",
            "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs",
        ],
    )
    def test_nor_does_a_containers_own_layer(self, upper: str) -> None:
        assert (
            "container's own layer"
            in single(judge(place(mount=self.overlay(upper))), "disk/ephemeral").detail
        )

    def test_seen_from_the_host_it_is_the_root_of_the_containers_process(self) -> None:
        single(judge(place(mount=self.overlay("/x/y")), writer=self.CONTAINER), "disk/ephemeral")

    @pytest.mark.parametrize("upper", ["/run/live/upper", "/media/root-rw/overlay", None])
    def test_other_overlays_may_last(self, upper: str | None) -> None:
        assert judge(place(mount=self.overlay(upper))) == []

    @pytest.mark.parametrize(
        "text", ["storage: inmemory\n", "storage:\n  inmemory:\n  delete: {enabled: true}\n"]
    )
    def test_the_driver_inmemory_keeps_nothing(self, text: str) -> None:
        draft = single(judge(config=config(text)), "disk/ephemeral")
        assert "config.yml:" in draft.detail

    def test_the_cache_in_memory_is_another_thing(self) -> None:
        text = "storage: {filesystem: {}, cache: {blobdescriptor: inmemory}}\n"
        assert judge(config=config(text)) == []


class TestStaleUploads:
    @staticmethod
    def upload(days: float, *, size: int = 50 * MIB, marked: bool = True, repository: str = "app") -> Upload:
        begun = NOW - timedelta(days=days)
        return Upload(
            repository=repository,
            uuid="u",
            size=size,
            started_at=begun if marked else None,
            modified_at=begun,
        )

    def test_number_size_and_age_are_told(self) -> None:
        uploads = (self.upload(30), self.upload(40, repository="team/app"))
        draft = single(judge(place(), uploads=uploads), "disk/stale-uploads")
        assert "2 unfinished uploads hold 100.0 MiB" in draft.detail
        assert "app, team/app" in draft.detail
        assert "2026-10-14" in draft.detail

    def test_what_the_purger_would_not_have_removed_yet_is_at_work(self) -> None:
        assert judge(place(), uploads=(self.upload(7.5),)) == []

    def test_an_upload_that_was_written_to_lately_is_at_work(self) -> None:
        lately = Upload(
            repository="app",
            uuid="u",
            size=50 * MIB,
            started_at=NOW - timedelta(days=30),
            modified_at=NOW - timedelta(hours=1),
        )
        assert judge(place(), uploads=(lately,)) == []

    def test_crumbs_are_not_worth_a_warning(self) -> None:
        assert judge(place(), uploads=(self.upload(30, size=MIB),) * 5) == []

    def test_on_a_small_disk_less_is_much(self) -> None:
        small = place(space=space(30 * MIB, total=64 * MIB))
        single(judge(small, uploads=(self.upload(30, size=2 * MIB),)), "disk/stale-uploads")

    def test_those_without_a_start_are_never_removed(self) -> None:
        draft = single(judge(place(), uploads=(self.upload(30, marked=False),)), "disk/stale-uploads")
        assert "1 of them lacks a readable startedat file" in draft.detail

    @pytest.mark.parametrize(
        ("age", "found"), [("720h", False), ("24h", True), ("1d", True), ("720h0m0s", False)]
    )
    def test_the_configured_age_counts_where_it_is_longer(self, age: str, found: bool) -> None:
        text = f"storage: {{filesystem: {{}}, maintenance: {{uploadpurging: {{age: {age}}}}}}}\n"
        drafts = judge(place(), uploads=(self.upload(20),), config=config(text))
        assert codes(drafts) == (["disk/stale-uploads"] if found else [])

    def test_the_caller_may_set_the_age(self) -> None:
        young = (self.upload(3),)
        assert judge(place(), uploads=young) == []
        single(judge(place(), uploads=young, settings=Settings(upload_age=2)), "disk/stale-uploads")

    def test_where_more_are_than_are_listed_it_is_said(self) -> None:
        draft = single(judge(place(), uploads=(self.upload(30),), seen=7), "disk/stale-uploads")
        assert draft.detail.startswith("At least 1 unfinished upload")

    def test_who_has_a_whole_storage_read_hears_of_crumbs_too(self) -> None:
        whole = StorageContent(
            given="/srv", root="/srv", tree="/srv/docker/registry/v2", complete=True, blobs=5
        )
        draft = single(
            judge(place(), uploads=(self.upload(30, size=10),), content=whole), "disk/stale-uploads"
        )
        assert draft.severity is Severity.INFO


class TestProxy:
    NGINX = Writer(pid=7, name="nginx", user=33, user_name="www-data", group=33, root="/var/lib/nginx/body")

    def spool(self, **changes: Any) -> Place:
        return place(
            role=PlaceRole.PROXY_TEMPORARY,
            path="/var/lib/nginx/body",
            named_by="nginx.conf:5:1",
            given=False,
            writer=self.NGINX,
            **changes,
        )

    def test_a_folder_with_space_and_rights_is_no_finding(self) -> None:
        assert judge(self.spool()) == []
        # A busy proxy's folder may be rather full now and then.
        assert judge(self.spool(space=space(GIB))) == []

    def test_a_full_one_breaks_large_layers(self) -> None:
        draft = single(judge(self.spool(space=space(0))), "disk/temp-full")
        assert "/var/lib/nginx/body (nginx.conf:5:1)" in draft.detail
        assert "nginx's own 500" in draft.detail
        assert "proxy_request_buffering off" in draft.fix[0]

    def test_one_of_another_user_is_named_with_both(self) -> None:
        rights = (FolderRights(path="/var/lib/nginx/body", owner=101, group=0, mode="0700", writable=False),)
        draft = single(judge(self.spool(rights=rights)), "disk/temp-full")
        assert "run as www-data (uid 33, gid 33): it belongs to uid 101" in draft.detail
        assert draft.fix == ("give it the folder: chown -R www-data /var/lib/nginx/body",)


class TestQuota:
    @staticmethod
    def limited(**changes: Any) -> Place:
        values: dict[str, Any] = {"limit": GIB, "used": 0, "inode_limit": None, "inodes": 5, **changes}
        return place(quotas=(Quota(kind=QuotaKind.USER, id=33, **values),))

    def test_with_room_is_no_finding(self) -> None:
        assert judge(self.limited()) == []

    def test_that_is_used_up_is_full_whatever_the_disk_has(self) -> None:
        draft = single(judge(self.limited(used=GIB)), "disk/full")
        assert "the quota of user 33 is 1.0 GiB, and 1.0 GiB of it are used" in draft.detail

    def test_of_inodes_too(self) -> None:
        single(judge(self.limited(limit=None, inode_limit=5)), "disk/inodes-exhausted")

    def test_with_little_room_is_low(self) -> None:
        draft = single(judge(self.limited(used=GIB - MIB * 20)), "disk/low")
        assert "20.0 MiB left of user 33's quota, which is 2.0 %" in draft.detail


class TestThresholds:
    def test_few_inodes_are_low(self) -> None:
        draft = single(judge(place(space=space(inodes_free=40_000))), "disk/low")
        assert "40,000 inodes left of 1,000,000, which is 4.0 %" in draft.detail

    def test_few_bytes_and_few_inodes_are_one_finding(self) -> None:
        draft = single(judge(place(space=space(GIB, inodes_free=40_000))), "disk/low")
        assert "which is 1.0 % and 40,000 inodes left" in draft.detail

    def test_the_caller_may_set_them(self) -> None:
        given = place(space=space(GIB, inodes_free=40_000))
        assert judge(given, settings=Settings(min_free=0.5)) == []
        single(judge(place(space=space(40 * GIB)), settings=Settings(min_free=50)), "disk/low")
