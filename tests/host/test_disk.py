"""Mounts, rights and abandoned uploads are read as the kernel and the registry see them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regdoctor.facts.disk import Mount, PlannedMount, UnfinishedUploads
from regdoctor.host.disk import mount_of, planned_mount, rights_of, space_of, unfinished_uploads
from regdoctor.host.processes import Identity

MOUNTINFO = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
30 22 0:25 / /dev/shm rw shared:3 - tmpfs tmpfs rw,size=65536k
40 22 254:16 / /srv/registry rw,relatime - xfs /dev/vdb1 rw,noquota
41 40 0:40 / /srv/registry ro,relatime - tmpfs hidden rw
42 22 254:32 / /srv/with\\040blank rw - btrfs /dev/disk/by-label/a\\040b rw
43 22 0:50 / /merged rw - overlay overlay rw,lowerdir=/a:/b,upperdir=/var/lib/docker/overlay2/x/diff,workdir=/w
44 22 0:51 / /nfs rw shared:9 master:3 - nfs4 server:/export rw,vers=4.2
broken line
"""


@pytest.fixture
def mountinfo(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTINFO)
    return path


class TestMounts:
    @pytest.mark.parametrize(
        ("path", "point", "filesystem", "source"),
        [
            ("/home/me", "/", "ext4", "/dev/vda1"),
            ("/dev/shm", "/dev/shm", "tmpfs", "tmpfs"),
            ("/dev/shmx", "/", "ext4", "/dev/vda1"),
            # Of two mounts on one point the later hides the earlier.
            ("/srv/registry/docker", "/srv/registry", "tmpfs", "hidden"),
            ("/srv/with blank/x", "/srv/with blank", "btrfs", "/dev/disk/by-label/a b"),
            ("/nfs/x", "/nfs", "nfs4", "server:/export"),
        ],
    )
    def test_the_innermost_and_latest_counts(
        self, mountinfo: Path, path: str, point: str, filesystem: str, source: str
    ) -> None:
        mount = mount_of(path, mountinfo, read_only=False)
        assert mount is not None
        assert (mount.point, mount.filesystem, mount.source) == (point, filesystem, source)

    def test_of_an_overlay_it_is_told_where_it_keeps_what_is_written(self, mountinfo: Path) -> None:
        mount = mount_of("/merged/var", mountinfo, read_only=False)
        assert mount is not None
        assert mount.upper_folder == "/var/lib/docker/overlay2/x/diff"

    def test_a_table_that_cannot_be_read_tells_nothing(self, tmp_path: Path) -> None:
        assert mount_of("/", tmp_path / "missing", read_only=False) is None

    def test_this_machines_own_table_is_understood(self, tmp_path: Path) -> None:
        mount = mount_of(os.path.realpath(tmp_path), Path("/proc/self/mountinfo"), read_only=False)
        assert mount is not None
        assert os.path.ismount(mount.point)

    def test_space_is_what_statvfs_says(self, tmp_path: Path) -> None:
        space = space_of(tmp_path)
        assert 0 < space.available <= space.free <= space.total


class TestPlannedMounts:
    ROOT = Mount(point="/", filesystem="ext4", source="/dev/vda1", read_only=False)
    FSTAB = (
        "# /etc/fstab\n/dev/vda1 / ext4 defaults 0 1\n/dev/vda2 none swap sw 0 0\n"
        "/dev/vdb1 /srv/registry/ xfs defaults 0 2\n/dev/vdc1 /srv/re\\040gistry xfs noauto,user 0 2\nshort\n"
    )

    @pytest.fixture
    def fstab(self, tmp_path: Path) -> Path:
        path = tmp_path / "fstab"
        path.write_text(self.FSTAB)
        return path

    @pytest.mark.parametrize("path", ["/srv/registry", "/srv/registry/data"])
    def test_a_volume_that_is_not_mounted_is_found(self, fstab: Path, path: str) -> None:
        assert planned_mount(path, self.ROOT, fstab) == PlannedMount(
            line=4, source="/dev/vdb1", point="/srv/registry", automatic=True
        )

    def test_one_that_is_mounted_by_hand_is_marked(self, fstab: Path) -> None:
        planned = planned_mount("/srv/re gistry", self.ROOT, fstab)
        assert planned is not None
        assert not planned.automatic

    @pytest.mark.parametrize("path", ["/srv", "/srv/registry2", "/"])
    def test_other_folders_want_none(self, fstab: Path, path: str) -> None:
        assert planned_mount(path, self.ROOT, fstab) is None

    @pytest.mark.parametrize("point", ["/srv/registry", "/srv/registry/data"])
    def test_what_is_mounted_is_there_whatever_it_is(self, fstab: Path, point: str) -> None:
        mounted = Mount(point=point, filesystem="nfs", source="server:/x", read_only=False)
        assert planned_mount("/srv/registry/data", mounted, fstab) is None


def identity(
    user: int = 1000, group: int = 1000, groups: tuple[int, ...] = (), *, ignores_modes: bool = False
) -> Identity:
    capabilities = 1 << 1 if ignores_modes else 0  # CAP_DAC_OVERRIDE, capabilities(7)
    return Identity(user=user, group=group, groups=frozenset(groups), capabilities=capabilities)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to other users")
class TestRights:
    @pytest.fixture
    def folder(self, open_tmp_path: Path) -> Path:
        folder = open_tmp_path / "storage"
        folder.mkdir()
        return folder

    @pytest.mark.parametrize(
        ("owner", "group", "mode", "writer", "writable"),
        [
            (1000, 0, 0o700, identity(), True),
            (1000, 0, 0o500, identity(), False),
            (0, 1000, 0o770, identity(), True),
            (0, 50, 0o770, identity(groups=(7, 50)), True),
            (0, 50, 0o770, identity(), False),
            (0, 0, 0o755, identity(), False),
            (0, 0, 0o777, identity(), True),
            (0, 0, 0o776, identity(), False),
            # The owner's bits count for the owner, be those of others wider.
            (1000, 0, 0o077, identity(), False),
            (5, 5, 0o000, identity(user=0, ignores_modes=True), True),
            # Root in a container that has lost the capability.
            (5, 5, 0o755, identity(user=0), False),
        ],
    )
    def test_modes_decide_as_in_the_kernel(
        self, folder: Path, owner: int, group: int, mode: int, writer: Identity, writable: bool
    ) -> None:
        os.chown(folder, owner, group)
        folder.chmod(mode)
        (rights,) = rights_of([folder], writer, None)
        assert rights.writable is writable
        assert (rights.owner, rights.group, rights.mode) == (owner, group, f"{mode:04o}")

    def test_without_a_writer_nothing_is_decided(self, folder: Path) -> None:
        (rights,) = rights_of([folder], None, None)
        assert rights.writable is None

    def test_nor_where_the_server_of_a_network_file_system_decides(self, folder: Path) -> None:
        nfs = Mount(point="/", filesystem="nfs4", source="server:/x", read_only=False)
        (rights,) = rights_of([folder], identity(user=0, ignores_modes=True), nfs)
        assert rights.writable is None

    def test_nor_where_the_writers_root_is_another_than_this_hosts(self, folder: Path) -> None:
        (rights,) = rights_of([folder], identity(user=0, ignores_modes=True), None, foreign_ids=True)
        assert rights.writable is None

    def test_a_folder_above_that_cannot_be_entered_is_named(self, folder: Path) -> None:
        inner = folder / "a" / "b"
        inner.mkdir(parents=True)
        os.chown(inner, 1000, 1000)
        folder.chmod(0o700)
        above, own = rights_of([inner], identity(), None)
        assert (above.path, above.passage, above.writable) == (str(folder), True, False)
        assert (own.path, own.passage, own.writable) == (str(inner), False, True)

    def test_folders_that_are_missing_are_left_out(self, folder: Path) -> None:
        rights = rights_of([folder, folder / "docker"], identity(), None)
        assert [each.path for each in rights] == [str(folder)]


class TestUploads:
    STARTED = "2026-11-01T10:00:00Z"

    @staticmethod
    def begin(root: Path, repository: str, uuid: str, *, size: int, started: str | None = STARTED) -> Path:
        upload = root / "docker/registry/v2/repositories" / repository / "_uploads" / uuid
        upload.mkdir(parents=True)
        if started is not None:
            (upload / "startedat").write_text(started)
        if size:
            (upload / "data").write_bytes(b"x" * size)
        return upload

    def test_of_every_repository_are_listed_the_largest_first(self, tmp_path: Path) -> None:
        self.begin(tmp_path, "app", "u1", size=4096)
        self.begin(tmp_path, "team/deep/app", "u2", size=65536)
        found = unfinished_uploads(tmp_path, 5)
        assert found.complete
        assert [(each.repository, each.uuid) for each in found.uploads] == [
            ("team/deep/app", "u2"),
            ("app", "u1"),
        ]
        assert found.uploads[0].size >= 65536
        assert found.uploads[0].started_at == datetime(2026, 11, 1, 10, tzinfo=UTC)

    @pytest.mark.parametrize("started", [None, "", "yesterday", "2026-11-01T10:00:00", "x" * 1000])
    def test_without_a_readable_start_there_is_none(self, tmp_path: Path, started: str | None) -> None:
        self.begin(tmp_path, "app", "u1", size=0, started=started)
        (upload,) = unfinished_uploads(tmp_path, 5).uploads
        assert upload.started_at is None
        assert upload.size == 0
        assert abs((upload.modified_at - datetime.now(UTC)).total_seconds()) < 60

    def test_folders_of_layers_are_not_entered_and_links_not_followed(self, tmp_path: Path) -> None:
        repositories = tmp_path / "docker/registry/v2/repositories"
        self.begin(tmp_path, "app", "u1", size=10)
        self.begin(tmp_path, "app/_layers/sha256", "no", size=10)
        (repositories / "loop").symlink_to(repositories)
        found = unfinished_uploads(tmp_path, 5)
        assert found.complete
        assert [each.uuid for each in found.uploads] == ["u1"]

    def test_a_storage_without_repositories_has_none(self, tmp_path: Path) -> None:
        assert unfinished_uploads(tmp_path, 5) == UnfinishedUploads(
            root=str(tmp_path), uploads=(), complete=True
        )

    def test_when_time_is_up_the_rest_is_left(self, tmp_path: Path) -> None:
        self.begin(tmp_path, "app", "u1", size=10)
        found = unfinished_uploads(tmp_path, 0)
        assert not found.complete
        assert found.uploads == ()

    def test_all_are_counted_and_the_largest_listed(self, tmp_path: Path) -> None:
        for number in range(510):
            self.begin(tmp_path, f"app{number % 10}", f"u{number}", size=1 if number == 77 else 0)
        found = unfinished_uploads(tmp_path, 60)
        assert (found.seen, len(found.uploads), found.uploads[0].uuid) == (510, 500, "u77")
        assert not unfinished_uploads(tmp_path, 60, most_folders=3).complete
        assert not unfinished_uploads(tmp_path, 60, stop=lambda: True).complete

    def test_a_pipe_in_place_of_a_file_holds_nobody_up(self, tmp_path: Path) -> None:
        upload = self.begin(tmp_path, "app", "u1", size=0, started=None)
        os.mkfifo(upload / "startedat")
        os.mkfifo(upload / "data")
        (found,) = unfinished_uploads(tmp_path, 60).uploads
        assert (found.size, found.started_at) == (0, None)
