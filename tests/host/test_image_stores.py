"""Where docker, containerd and podman keep and spool images, by their settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from regdoctor.host.image_stores import image_stores, spool_folder

ROOT_USER, OTHER_USER = 0, 1000


def stores(
    root: Path,
    environment: Mapping[str, str] | None = None,
    *,
    user: int = ROOT_USER,
    daemon_json: Path | None = None,
    proc: Path | None = None,
) -> dict[str, list[str]]:
    """The folders by who names them."""
    found: dict[str, list[str]] = {}
    for each in image_stores(
        environment or {},
        Path("/home/ann"),
        daemon_json=daemon_json,
        root=root,
        proc=proc or root / "proc",
        user=user,
    ):
        found.setdefault(each.named_by, []).append(str(each.path))
    return found


def write(root: Path, path: str, text: str) -> Path:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def start(proc: Path, pid: int, *command: str) -> None:
    """Make a process as /proc shows it."""
    write(proc, f"{pid}/comm", Path(command[0]).name + "\n")
    write(proc, f"{pid}/cmdline", "\0".join(command) + "\0")


def test_without_settings_they_are_the_defaults(tmp_path: Path) -> None:
    assert stores(tmp_path) == {
        "docker": ["/var/lib/docker"],
        "rootless docker": ["/home/ann/.local/share/docker"],
        "containerd": ["/var/lib/containerd"],
        "podman": ["/var/lib/containers/storage"],
    }
    assert stores(tmp_path, user=OTHER_USER)["podman"] == ["/home/ann/.local/share/containers/storage"]


@pytest.mark.parametrize("key", ["data-root", "graph"])
def test_daemon_json_names_dockers(tmp_path: Path, key: str) -> None:
    write(tmp_path, "/etc/docker/daemon.json", json.dumps({key: "/srv/docker"}))
    assert stores(tmp_path)["docker"] == ["/srv/docker"]
    other = write(tmp_path, "other.json", json.dumps({key: "/srv/other"}))
    assert stores(tmp_path, daemon_json=other)["docker"] == ["/srv/other"]


@pytest.mark.parametrize(
    "command", [("--data-root=/srv/started",), ("--data-root", "/srv/started"), ("-g", "/srv/started")]
)
def test_the_daemon_s_command_line_has_the_last_word(tmp_path: Path, command: tuple[str, ...]) -> None:
    write(tmp_path, "/etc/docker/daemon.json", json.dumps({"data-root": "/srv/docker"}))
    start(tmp_path / "proc", 7, "/usr/bin/dockerd", *command)
    assert stores(tmp_path)["docker"] == ["/srv/started"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"data-root": 5}', '{"data-root": "x"}', "[" * 100_000])
def test_settings_that_say_nothing_are_survived(tmp_path: Path, text: str) -> None:
    for path in (
        "/etc/docker/daemon.json",
        "/etc/containerd/config.toml",
        "/etc/containers/storage.conf",
        "/etc/containers/containers.conf",
    ):
        write(tmp_path, path, text)
    assert stores(tmp_path)["docker"] == ["/var/lib/docker"]
    assert stores(tmp_path)["podman"] == ["/var/lib/containers/storage"]
    assert str(spool_folder({}, Path("/home/ann"), root=tmp_path).path) == "/var/tmp"


def test_containerd_s_is_root_of_its_configuration(tmp_path: Path) -> None:
    write(tmp_path, "/etc/containerd/config.toml", 'version = 2\nroot = "/srv/containerd"\n')
    assert stores(tmp_path)["containerd"] == ["/srv/containerd"]
    start(tmp_path / "proc", 8, "containerd", "--root", "/srv/started")
    assert stores(tmp_path)["containerd"] == ["/srv/started"]


def test_storage_conf_names_podman_s(tmp_path: Path) -> None:
    write(
        tmp_path,
        "/etc/containers/storage.conf",
        '[storage]\ngraphroot = "/srv/all"\nrootless_storage_path = "/srv/of/$USER/$UID"\n'
        'imagestore = "/srv/images"\n',
    )
    assert stores(tmp_path)["podman"] == ["/srv/all", "/srv/images"]
    assert stores(tmp_path, {"USER": "ann"}, user=OTHER_USER)["podman"] == ["/srv/of/ann/1000", "/srv/images"]


def test_a_user_s_own_storage_conf_counts_for_this_user(tmp_path: Path) -> None:
    write(tmp_path, "config/containers/storage.conf", '[storage]\ngraphroot = "/srv/mine"\n')
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert stores(tmp_path, environment, user=OTHER_USER)["podman"] == ["/srv/mine"]
    assert stores(tmp_path, environment)["podman"] == ["/var/lib/containers/storage"]


def test_the_environment_names_another_storage_conf(tmp_path: Path) -> None:
    given = write(tmp_path, "given.conf", '[storage]\ngraphroot = "/srv/given"\n')
    for user in (ROOT_USER, OTHER_USER):
        found = stores(tmp_path, {"CONTAINERS_STORAGE_CONF": str(given)}, user=user)
        assert found["podman"] == ["/srv/given"]


def test_layers_are_spooled_where_tmpdir_says_else_containers_conf(tmp_path: Path) -> None:
    home = Path("/home/ann")
    write(tmp_path, "/usr/share/containers/containers.conf", '[engine]\nimage_copy_tmp_dir = "/srv/a"\n')
    assert str(spool_folder({}, home, root=tmp_path).path) == "/srv/a"
    file = write(tmp_path, "/etc/containers/containers.conf", '[engine]\nimage_copy_tmp_dir = "/srv/b"\n')
    found = spool_folder({}, home, root=tmp_path)
    assert (str(found.path), found.named_by) == ("/srv/b", str(file))
    assert spool_folder({"TMPDIR": "/srv/c"}, home, root=tmp_path).path == Path("/srv/c")


def test_layers_may_be_spooled_in_the_store(tmp_path: Path) -> None:
    write(tmp_path, "/etc/containers/containers.conf", '[engine]\nimage_copy_tmp_dir = "storage"\n')
    write(
        tmp_path,
        "/etc/containers/storage.conf",
        '[storage]\ngraphroot = "/srv/all"\nrootless_storage_path = "/srv/all"\n',
    )
    assert spool_folder({}, Path("/home/ann"), root=tmp_path).path == Path("/srv/all/tmp")
