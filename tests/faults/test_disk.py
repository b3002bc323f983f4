"""Faults of disks: small file systems, mounts and rights under a real registry, and the healthy twins."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartRegistry
from tests.support import programs
from tests.support.images import push_image
from tests.support.mounts import bind, ext4, overlay, remount, tmpfs
from tests.support.nginx import Nginx, ReverseProxy
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

# A machine may have its folder for temporary files in memory.
IN_MEMORY = ("disk/ephemeral",)
# What a registry of the tests, which anybody may use, is told with --profile host.
HOST_ADVICE = ("security/anonymous-catalog", "security/anonymous-pull", "security/anonymous-push")


def _in_memory(path: Path) -> bool:
    """Whether the machine has the folder in memory."""
    kind = subprocess.run(
        ["stat", "--file-system", "--format=%T", path], capture_output=True, text=True, check=True
    )
    return kind.stdout.strip() == "tmpfs"


def check(registry: Registry, *arguments: str | Path, **options: Any) -> CliResult:
    return run_regdoctor("check", registry.url, *arguments, **options)


def push(registry: Registry, size: int) -> list[tuple[int, bytes]]:
    """Upload a blob in one PATCH and a PUT, as clients do, and return each answer's status and body."""
    client = registry.client()
    answers = []
    response = client.exchange("POST", f"{registry.url}/v2/team/app/blobs/uploads/", headers={}, body=None)
    answers.append((response.status, response.body))
    location = response.headers.get("Location")
    if location is not None:
        headers = {"Content-Type": "application/octet-stream"}
        response = client.exchange("PATCH", location, headers=headers, body=os.urandom(size))
        answers.append((response.status, response.body))
    return answers


@pytest.fixture
def small(tmp_path: Path) -> Iterator[ExitStack]:
    with ExitStack() as mounts:
        yield mounts


class TestFull:
    def test_a_push_fills_the_disk_and_gets_500(
        self, start_registry: StartRegistry, tmp_path: Path, small: ExitStack
    ) -> None:
        storage = small.enter_context(tmpfs(tmp_path / "storage", size="2m"))
        registry = start_registry(storage=storage)
        status, body = push(registry, 3 * 1024 * 1024)[-1]
        assert status == 500
        assert b"no space left on device" in body
        cause = assert_single_root_cause(check(registry, "--storage", storage), "disk/full")
        assert str(storage) in cause["detail"]
        assert "of 2.0 MiB" in cause["detail"]

    def test_files_are_made_no_more_though_there_is_space(
        self, start_registry: StartRegistry, tmp_path: Path, small: ExitStack
    ) -> None:
        storage = small.enter_context(tmpfs(tmp_path / "storage", inodes=12))
        registry = start_registry(storage=storage)
        push(registry, 1000)
        assert push(registry, 1000)[-1][0] >= 400
        cause = assert_single_root_cause(check(registry, "--storage", storage), "disk/inodes-exhausted")
        assert "of 12 inodes" in cause["detail"]

    def test_few_inodes_are_left(
        self, start_registry: StartRegistry, tmp_path: Path, small: ExitStack
    ) -> None:
        storage = small.enter_context(tmpfs(tmp_path / "storage", inodes=1000))
        registry = start_registry(storage=storage)
        for number in range(930):
            (storage / str(number)).touch()
        warning = assert_has(check(registry, "--storage", storage), "disk/low")
        assert "inodes left of 1,000" in warning["detail"]
        assert_lacks(check(registry, "--storage", storage, "--min-free", "1"), "disk/low")

    def test_little_is_left(self, start_registry: StartRegistry, tmp_path: Path, small: ExitStack) -> None:
        storage = small.enter_context(tmpfs(tmp_path / "storage", size="64m"))
        (storage / "other").write_bytes(bytes(61 * 1024 * 1024))
        registry = start_registry(storage=storage)
        result = check(registry, "--storage", storage)
        assert_has(result, "disk/low")
        assert_lacks(result, "disk/full")
        assert result.exit_code == 0
        assert_lacks(check(registry, "--storage", storage, "--min-free", "2%"), "disk/low")
        result = check(registry, "--storage", storage, "--fail-on", "warning")
        assert result.exit_code == 4

    def test_podmans_store_is_where_storage_conf_says(
        self, registry: Registry, tmp_path: Path, small: ExitStack
    ) -> None:
        store = small.enter_context(tmpfs(tmp_path / "graph", size="2m"))
        (store / "overlay").write_bytes(bytes(2 * 1024 * 1024))
        files = {"/etc/containers/storage.conf": f'[storage]\ndriver = "overlay"\ngraphroot = "{store}"\n'}
        cause = assert_single_root_cause(check(registry, "--profile", "host", files=files), "disk/full")
        assert f"{store} (images of podman)" in cause["detail"]

    def test_the_clients_own_image_store_is_full(
        self, registry: Registry, tmp_path: Path, small: ExitStack
    ) -> None:
        store = small.enter_context(tmpfs(tmp_path / "docker", size="2m"))
        (store / "overlay2").write_bytes(bytes(2 * 1024 * 1024))
        files = {"/var/lib/docker": store}
        cause = assert_single_root_cause(check(registry, "--profile", "host", files=files), "disk/full")
        assert "/var/lib/docker (images of docker)" in cause["detail"]
        assert_lacks(check(registry, files=files), "disk/full")

    def test_the_folder_for_temporary_files_is_full(
        self, registry: Registry, tmp_path: Path, small: ExitStack
    ) -> None:
        folder = small.enter_context(tmpfs(tmp_path / "spool", size="1m"))
        (folder / "storage123").write_bytes(bytes(1024 * 1024))
        result = check(registry, "--profile", "host", env={"TMPDIR": str(folder)})
        cause = assert_single_root_cause(result, "disk/temp-full")
        assert str(folder) in cause["detail"]

    @pytest.mark.needs("mkfs.ext4")
    def test_what_is_left_is_reserved_for_root(
        self, start_registry: StartRegistry, open_tmp_path: Path, small: ExitStack
    ) -> None:
        storage = small.enter_context(ext4(open_tmp_path / "storage", size="20M", reserved=50))
        shutil.chown(storage, "nobody")
        registry = start_registry(storage=storage, user="nobody")
        status, _body = push(registry, 12 * 1024 * 1024)[-1]
        assert status == 500
        cause = assert_single_root_cause(check(registry, "--storage", storage), "disk/full")
        assert "reserved for root" in cause["detail"]


@pytest.mark.needs("nginx")
class TestProxy:
    """Where nginx spools the bodies of uploads."""

    @staticmethod
    def proxy(
        registry: Registry, directory: Path, spool: Path, *, buffering: bool = True, **options: Any
    ) -> Nginx:
        server = ReverseProxy(
            registry.upstream,
            request_buffering=buffering,
            server_directives=[f"client_body_temp_path {spool};"],
        )
        return Nginx(directory, server, **options)

    @staticmethod
    def upload(registry: Registry, nginx: Nginx, size: int) -> tuple[int, bytes]:
        """Send a layer through the proxy."""
        client = registry.client()
        response = client.exchange("POST", f"{nginx.url}/v2/team/app/blobs/uploads/", headers={}, body=None)
        headers = {"Content-Type": "application/octet-stream"}
        response = client.exchange(
            "PATCH", response.headers["Location"], headers=headers, body=os.urandom(size)
        )
        return response.status, response.body

    @pytest.mark.parametrize("found_by", ["--proxy-config", "--profile"])
    def test_that_is_full_breaks_large_layers_only(
        self, registry: Registry, tmp_path: Path, small: ExitStack, found_by: str
    ) -> None:
        spool = small.enter_context(tmpfs(tmp_path / "spool", size="1m"))
        nginx = small.enter_context(self.proxy(registry, tmp_path / "nginx", spool))
        assert self.upload(registry, nginx, 1000)[0] == 202
        (spool / "others").write_bytes(bytes(1024 * 1024))
        status, body = self.upload(registry, nginx, 500_000)
        assert status == 500
        assert b"nginx" in body
        argument = nginx.config_path if found_by == "--proxy-config" else "host"
        result = run_regdoctor("check", nginx.url, found_by, argument)
        cause = assert_single_root_cause(result, "disk/temp-full")
        assert f"{spool} ({nginx.config_path}:" in cause["detail"]
        (spool / "others").unlink()
        assert_lacks(run_regdoctor("check", nginx.url, found_by, argument), "disk/temp-full")
        assert self.upload(registry, nginx, 500_000)[0] == 202

    def test_that_its_workers_may_not_write_breaks_them_too(
        self, registry: Registry, open_tmp_path: Path, small: ExitStack
    ) -> None:
        spool = open_tmp_path / "spool"
        proxy = self.proxy(registry, open_tmp_path / "nginx", spool, user="nobody nogroup")
        nginx = small.enter_context(proxy)
        arguments = ("check", nginx.url, "--proxy-config", nginx.config_path)
        assert self.upload(registry, nginx, 500_000)[0] == 202
        assert_lacks(run_regdoctor(*arguments), "disk/temp-full")
        os.chown(spool, 0, 0)
        assert self.upload(registry, nginx, 500_000)[0] == 500
        cause = assert_single_root_cause(run_regdoctor(*arguments), "disk/temp-full")
        assert "which run as nobody" in cause["detail"]
        assert "chown -R nobody" in cause["fix"][0]

    def test_that_is_gone_breaks_them_too(self, registry: Registry, tmp_path: Path, small: ExitStack) -> None:
        spool = tmp_path / "spool"
        nginx = small.enter_context(self.proxy(registry, tmp_path / "nginx", spool))
        spool.rmdir()
        assert self.upload(registry, nginx, 500_000)[0] == 500
        result = run_regdoctor("check", nginx.url, "--profile", "host")
        assert "does not exist" in assert_single_root_cause(result, "disk/temp-full")["detail"]

    def test_that_is_full_and_not_used_is_no_fault(
        self, registry: Registry, tmp_path: Path, small: ExitStack
    ) -> None:
        spool = small.enter_context(tmpfs(tmp_path / "spool", size="1m"))
        nginx = small.enter_context(self.proxy(registry, tmp_path / "nginx", spool, buffering=False))
        (spool / "others").write_bytes(bytes(1024 * 1024))
        assert self.upload(registry, nginx, 500_000)[0] == 202
        assert_healthy(run_regdoctor("check", nginx.url, "--profile", "host"), allow=HOST_ADVICE)

    def test_of_an_nginx_in_front_of_something_else_is_no_fault_of_this_registry(
        self, registry: Registry, tmp_path: Path, small: ExitStack
    ) -> None:
        spool = small.enter_context(tmpfs(tmp_path / "spool", size="1m"))
        small.enter_context(self.proxy(registry, tmp_path / "nginx", spool))
        (spool / "others").write_bytes(bytes(1024 * 1024))
        assert_lacks(check(registry, "--profile", "host"), "disk/temp-full")


class TestRights:
    def test_the_storage_is_mounted_read_only(
        self, start_registry: StartRegistry, tmp_path: Path, small: ExitStack
    ) -> None:
        storage = small.enter_context(tmpfs(tmp_path / "storage"))
        registry = start_registry(storage=storage)
        image = push_image(registry)
        remount(storage, read_only=True)
        assert push(registry, 1000)[-1][0] == 500
        result = check(registry, "--storage", storage)
        assert_single_root_cause(result, "disk/read-only")
        pulled = run_regdoctor(
            "check",
            image.reference(registry.address),
            "--plain-http",
            "--platform",
            "linux/amd64",
            "--storage",
            storage,
        )
        assert_single_root_cause(pulled, "disk/read-only")

    def test_read_only_in_maintenance_is_meant_so(
        self, start_registry: StartRegistry, tmp_path: Path, small: ExitStack
    ) -> None:
        storage = small.enter_context(tmpfs(tmp_path / "storage"))
        registry = start_registry(storage=storage, readonly=True)
        remount(storage, read_only=True)
        result = check(registry, "--storage", storage, "--config", registry.config_path)
        assert_lacks(result, "disk/read-only")

    def test_only_the_registry_has_the_volume_read_only(
        self, start_registry: StartRegistry, tmp_path: Path
    ) -> None:
        """As with docker run -v …:ro, seen from the host."""
        storage = tmp_path / "volume"
        storage.mkdir()
        registry = start_registry(storage=storage)
        registry.stop()
        wrapper = tmp_path / "read-only"
        wrapper.write_text(
            f'#!/bin/sh\nmount --bind {storage} {storage} && mount -o remount,ro,bind {storage} && exec "$@"\n'
        )
        wrapper.chmod(0o755)
        private = [programs.path("unshare"), "--mount", "--propagation", "private", "--", str(wrapper)]
        registry.daemon.command[:0] = private
        registry.start()
        assert push(registry, 1000)[-1][0] == 500
        assert_single_root_cause(check(registry, "--storage", storage), "disk/read-only")

    def test_the_registrys_user_may_not_write(
        self, start_registry: StartRegistry, open_tmp_path: Path
    ) -> None:
        storage = open_tmp_path / "storage"
        registry = start_registry(storage=storage, user="nobody")
        os.chown(storage, 0, 0)
        storage.chmod(0o755)
        assert push(registry, 1000)[-1][0] == 500
        cause = assert_single_root_cause(check(registry, "--storage", storage), "disk/not-writable")
        assert "nobody" in cause["detail"]
        assert "0755" in cause["detail"]

    def test_files_of_another_user_lie_deeper_in_the_storage(
        self, start_registry: StartRegistry, open_tmp_path: Path
    ) -> None:
        """As after a restore by root."""
        storage = open_tmp_path / "storage"
        registry = start_registry(storage=storage, user="nobody")
        push_image(registry)
        blobs = storage / "docker/registry/v2/blobs"
        os.chown(blobs, 0, 0)
        os.chown(blobs / "sha256", 0, 0)
        cause = assert_single_root_cause(check(registry, "--storage", storage), "disk/not-writable")
        assert str(blobs) in cause["detail"]

    def test_the_configuration_leads_to_the_storage_too(
        self, start_registry: StartRegistry, open_tmp_path: Path
    ) -> None:
        storage = open_tmp_path / "storage"
        registry = start_registry(storage=storage, user="nobody")
        os.chown(storage, 0, 0)
        storage.chmod(0o755)
        result = check(registry, "--config", registry.config_path)
        assert_single_root_cause(result, "disk/not-writable")


class TestMissing:
    def test_the_storage_does_not_exist(self, registry: Registry, tmp_path: Path) -> None:
        cause = assert_single_root_cause(
            check(registry, "--storage", tmp_path / "nowhere"), "disk/root-missing"
        )
        assert "does not exist" in cause["detail"]

    def test_the_volume_is_not_mounted(self, start_registry: StartRegistry, tmp_path: Path) -> None:
        storage = tmp_path / "storage"
        registry = start_registry(storage=storage)
        fstab = f"/dev/vda1 / ext4 defaults 0 1\n/dev/vdb1 {storage} ext4 defaults 0 2\n"
        result = check(registry, "--storage", storage, files={"/etc/fstab": fstab})
        cause = assert_single_root_cause(result, "disk/root-missing")
        assert "/dev/vdb1" in cause["detail"]
        assert "/etc/fstab:2" in cause["evidence"]

    def test_the_volume_is_mounted(
        self, start_registry: StartRegistry, tmp_path: Path, small: ExitStack
    ) -> None:
        storage = small.enter_context(tmpfs(tmp_path / "storage"))
        registry = start_registry(storage=storage)
        fstab = f"tmpfs {storage} tmpfs defaults 0 0\n"
        result = check(registry, "--storage", storage, files={"/etc/fstab": fstab})
        assert_healthy(result, allow=IN_MEMORY)

    def test_the_unit_of_systemd_wants_a_volume_that_is_not_mounted(
        self, start_registry: StartRegistry
    ) -> None:
        with tempfile.TemporaryDirectory(prefix="storage", dir="/srv") as name:
            storage = Path(name)
            registry = start_registry(storage=storage)
            unit = f"/etc/systemd/system/srv-{storage.name.replace('-', chr(92) + 'x2d')}.mount"
            text = f"[Unit]\nDescription=Images\n\n[Mount]\nWhat=/dev/vdb1\nWhere={storage}\n"
            result = check(registry, "--storage", storage, files={unit: text})
            cause = assert_single_root_cause(result, "disk/root-missing")
            assert f"{unit}, line 5, mounts /dev/vdb1 at {storage}" in cause["detail"]
            assert f"{unit}:5" in cause["evidence"]
            push_image(registry)
            # Without a target that wants it, it is mounted by hand, and there are images without it.
            assert_lacks(check(registry, "--storage", storage, files={unit: text}), "disk/root-missing")


class TestLasting:
    def test_the_storage_lies_in_a_containers_own_layer(
        self, start_registry: StartRegistry, tmp_path: Path, small: ExitStack
    ) -> None:
        """A root folder of its own on an overlay, as docker and podman make it."""
        root = small.enter_context(overlay(tmp_path / "merged", layers=tmp_path / "docker/overlay2/0123"))
        registry = start_registry(storage=root / "var/lib/registry")
        push_image(registry)
        result = check(registry, "--storage", registry.storage)
        cause = assert_single_root_cause(result, "disk/ephemeral", exit_code=0)
        assert "container's own layer" in cause["detail"]

    def test_a_volume_in_a_container_lasts(
        self, start_registry: StartRegistry, tmp_path: Path, small: ExitStack
    ) -> None:
        root = small.enter_context(overlay(tmp_path / "merged", layers=tmp_path / "docker/overlay2/0123"))
        volume = tmp_path / "volume"
        volume.mkdir()
        inside = root / "var/lib/registry"
        inside.mkdir(parents=True)
        small.enter_context(bind(volume, inside))
        registry = start_registry(storage=inside)
        assert_healthy(check(registry, "--storage", inside), allow=IN_MEMORY if _in_memory(volume) else ())

    def test_the_storage_lies_in_memory(
        self, start_registry: StartRegistry, tmp_path: Path, small: ExitStack
    ) -> None:
        storage = small.enter_context(tmpfs(tmp_path / "storage"))
        registry = start_registry(storage=storage)
        result = check(registry, "--storage", storage)
        assert_single_root_cause(result, "disk/ephemeral", exit_code=0)

    def test_the_driver_keeps_images_in_memory(self, start_registry: StartRegistry) -> None:
        registry = start_registry(config={"storage": {"filesystem": None, "inmemory": {}}})
        result = check(registry, "--config", registry.config_path)
        assert_single_root_cause(result, "disk/ephemeral", exit_code=0)


class TestUploads:
    @staticmethod
    def abandon(registry: Registry, days: float) -> Path:
        """Break off an upload of 12 MiB, some days ago."""
        assert push(registry, 12 * 1024 * 1024)[-1][0] == 202
        (upload,) = (registry.repository_path("team/app") / "_uploads").iterdir()
        begun = datetime.now(UTC) - timedelta(days=days)
        (upload / "startedat").write_text(begun.strftime("%Y-%m-%dT%H:%M:%SZ"))
        for path in (upload / "data", upload):
            os.utime(path, (begun.timestamp(), begun.timestamp()))
        return upload

    def test_that_nobody_finished_and_nobody_removed_hold_space(self, registry: Registry) -> None:
        self.abandon(registry, 30)
        result = check(registry, "--storage", registry.storage)
        warning = assert_has(result, "disk/stale-uploads")
        assert "1 unfinished upload holds 12.0 MiB" in warning["detail"]
        assert "team/app" in warning["detail"]
        assert result.exit_code == 0

    def test_of_today_are_at_work(self, registry: Registry) -> None:
        self.abandon(registry, 1)
        assert_healthy(check(registry, "--storage", registry.storage), allow=IN_MEMORY)
        result = check(registry, "--storage", registry.storage, "--upload-age", "0.5")
        assert_has(result, "disk/stale-uploads")


class TestHealthy:
    @pytest.mark.parametrize("user", [None, "nobody"])
    def test_a_registry_with_space_and_rights(self, start_registry: StartRegistry, user: str | None) -> None:
        registry = start_registry(user=user)
        push_image(registry)
        arguments: Mapping[str, Path] = {"--storage": registry.storage, "--config": registry.config_path}
        for name, value in arguments.items():
            assert_healthy(check(registry, name, value), allow=IN_MEMORY)

    def test_a_configuration_meant_for_a_container(self, registry: Registry, tmp_path: Path) -> None:
        """Its root folder is not of this host, so that nothing here can be wrong with it."""
        config = tmp_path / "container.yml"
        config.write_text(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/elsewhere\nhttp: {addr: :5000}\n"
        )
        assert_lacks(check(registry, "--config", config), "disk/root-missing")

    def test_a_client_looks_at_no_disk(self, registry: Registry) -> None:
        result = check(registry)
        assert_healthy(result)
        assert "disk-usage" not in result.report["targets"][0]["facts"]
