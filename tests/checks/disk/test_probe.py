"""Which folders are looked at, and what happens where a look is not possible."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from regdoctor.api import (
    Blocked,
    ConfigFile,
    Context,
    NotApplicable,
    Options,
    PlaceRole,
    PlaceState,
    Profile,
)
from regdoctor.checks.disk import probe
from regdoctor.context import Deadline
from regdoctor.host.config_file import parse_config
from regdoctor.oci.reference import parse_target


class _Context:
    """As much of a probe's context as the probe here uses."""

    def __init__(self, home: Path, environment: dict[str, str], options: dict[str, Any]) -> None:
        self.options = Options(**options)
        self.target = parse_target("reg.test:5000/app:1.0")
        self.deadline = Deadline(seconds=20, step=5)
        self.environment = environment
        self.home = home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def context(home: Path, environment: dict[str, str] | None = None, **options: Any) -> Context:
    return cast("Context", _Context(home, environment or {}, options))


def config(storage: str) -> ConfigFile:
    return parse_config(f"version: 0.1\nstorage: {storage}\n".encode(), "config.yml")


class TestStorage:
    def test_is_the_folder_that_the_caller_names(self, home: Path, tmp_path: Path) -> None:
        (place,) = probe.look(None, context(home, storage=tmp_path)).places
        assert (place.path, place.named_by, place.given) == (str(tmp_path), "--storage", True)
        assert place.state is PlaceState.PRESENT
        assert place.space is not None
        assert place.space.total > 0
        assert place.mount is not None
        assert os.path.ismount(place.mount.point)

    def test_is_reported_where_it_is_missing(self, home: Path, tmp_path: Path) -> None:
        (place,) = probe.look(None, context(home, storage=tmp_path / "a/b")).places
        assert place.state is PlaceState.MISSING
        assert place.nearest == str(tmp_path)

    def test_and_where_it_is_no_folder(self, home: Path, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.touch()
        (place,) = probe.look(None, context(home, storage=file)).places
        assert place.state is PlaceState.NOT_A_FOLDER

    def test_is_found_empty_after_mkfs_too(self, home: Path, tmp_path: Path) -> None:
        storage = tmp_path / "storage"
        (storage / "lost+found").mkdir(parents=True)
        assert probe.look(None, context(home, storage=storage)).places[0].empty
        (storage / "docker").mkdir()
        assert not probe.look(None, context(home, storage=storage)).places[0].empty

    def test_without_a_name_nothing_is_looked_at(self, home: Path) -> None:
        with pytest.raises(NotApplicable):
            probe.look(None, context(home))

    def test_a_folder_that_this_user_may_not_look_at_is_no_result(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(probe, "_state", lambda _path: PlaceState.FORBIDDEN)
        with pytest.raises(Blocked, match="may not look"):
            probe.look(None, context(home, storage=tmp_path))

    def test_a_file_system_that_hangs_is_left_behind(self) -> None:
        release = threading.Event()
        with pytest.raises(Blocked, match=r"/srv/nfs did not answer within 0.05 s"):
            probe._in_time(release.wait, 0.05, "/srv/nfs")
        release.set()


class TestConfiguration:
    @pytest.mark.parametrize("profile", [Profile.HOST, Profile.ALL])
    def test_counts_where_the_caller_says_that_this_is_the_registrys_host(
        self, home: Path, tmp_path: Path, profile: Profile
    ) -> None:
        file = config(f"{{filesystem: {{rootdirectory: {tmp_path}}}, delete: {{enabled: true}}}}")
        usage = probe.look(file, context(home, profile=profile, config=Path("config.yml")))
        (place,) = [each for each in usage.places if each.role is PlaceRole.REGISTRY_STORAGE]
        assert (place.path, place.named_by, place.given) == (str(tmp_path), "config.yml:2", False)

    def test_alone_may_be_meant_for_a_container(self, home: Path, tmp_path: Path) -> None:
        file = config(f"{{filesystem: {{rootdirectory: {tmp_path}}}}}")
        with pytest.raises(NotApplicable):
            probe.look(file, context(home, config=Path("config.yml")))

    @pytest.mark.parametrize(
        ("storage", "root"),
        [
            ("{filesystem: {rootdirectory: /srv/x}}", "/srv/x"),
            ("{filesystem: {}}", "/var/lib/registry"),
            ("{filesystem: }", "/var/lib/registry"),
            ("filesystem", "/var/lib/registry"),
            ("{filesystem: {rootdirectory: /srv/x}, tag: {concurrencylimit: 5}, cache: {}}", "/srv/x"),
            ("{s3: {bucket: x}}", None),
            ("inmemory", None),
            # Two drivers: the registry does not start.
            ("{filesystem: {}, s3: {}}", None),
            ("", None),
        ],
    )
    def test_names_the_root_of_the_driver_filesystem(self, storage: str, root: str | None) -> None:
        named = probe._configured_root(config(storage))
        assert (named[0] if named is not None else None) == root


class TestThisHostsOwn:
    def test_places_are_looked_at_by_profile(self, home: Path, tmp_path: Path) -> None:
        spool = tmp_path / "spool"
        spool.mkdir()
        usage = probe.look(None, context(home, {"TMPDIR": str(spool)}, profile=Profile.HOST))
        (place,) = [each for each in usage.places if each.role is PlaceRole.TEMPORARY]
        assert (place.path, place.named_by) == (str(spool), "TMPDIR")
        assert [each.writable for each in place.rights] == [True]

    def test_image_stores_that_are_not_there_are_left_out(self, home: Path) -> None:
        usage = probe.look(None, context(home, profile=Profile.HOST))
        stores = [each for each in usage.places if each.role is PlaceRole.IMAGE_STORE]
        assert all(Path(each.path).is_dir() for each in stores)

    def test_dockers_is_where_daemon_json_says(self, home: Path, tmp_path: Path) -> None:
        root = tmp_path / "docker"
        root.mkdir()
        daemon_json = tmp_path / "daemon.json"
        daemon_json.write_text(json.dumps({"data-root": str(root)}))
        usage = probe.look(None, context(home, profile=Profile.HOST, daemon_json=daemon_json))
        assert str(root) in [each.path for each in usage.places if each.named_by == "docker"]
