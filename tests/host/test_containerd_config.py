"""containerd's config.toml is read as containerd reads it; containerd is the judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.facts import ContainerdSettings
from regdoctor.host.containerd_config import read_containerd_config
from tests.support.containerd import Containerd
from tests.support.processes import DaemonError

CRI = '[plugins."io.containerd.grpc.v1.cri".registry]\n'
IMAGES = '[plugins."io.containerd.cri.v1.images".registry]\n'
OLD = "[plugins.cri.registry]\n"
PATH = 'config_path = "/x"\n'
MIRROR = f'{CRI.replace("registry]", "registry.mirrors.")[:-1]}"a.test"]\nendpoint = ["http://a.test"]\n'
TLS = f'{CRI.replace("registry]", "registry.configs.")[:-1]}"a.test".tls]\ninsecure_skip_verify = true\n'

USED: dict[str, tuple[int, str, str | None]] = {
    "nothing": (2, "", None),
    "version 2": (2, CRI + PATH, "/x"),
    "single quotes": (2, (CRI + PATH).replace('"', "'"), "/x"),
    "two folders": (2, f'{CRI}config_path = "/a:/b"\n', "/a:/b"),
    "an empty path": (2, f'{CRI}config_path = ""\n', None),
    "an unknown key": (2, f"{CRI}{PATH}foo = 1\n", "/x"),
    "mirrors alone": (2, MIRROR, None),
    "the section of version 3": (2, IMAGES + PATH, None),
    "version 1": (1, OLD + PATH, "/x"),
    "the section of version 2 in version 1": (1, CRI + PATH, None),
}
"""By name: the version of the file, what stands in it, and the path that containerd works with."""
CONFLICTS = {"mirrors": CRI + PATH + MIRROR, "TLS settings": CRI + PATH + TLS}
REFUSED = {
    "no quotes": f"{CRI}config_path = /x\n",
    "a bare name of a plug-in": OLD + PATH,
    "a number for the path": f"{CRI}config_path = 1\n",
}


def effective(settings: ContainerdSettings) -> str | None:
    section = settings.section()
    return section.config_path.value if section is not None and section.config_path is not None else None


def read(folder: Path, text: str, version: int = 2) -> ContainerdSettings:
    path = folder / "config.toml"
    path.write_text(f"version = {version}\n{text}")
    return read_containerd_config(path)


@pytest.mark.parametrize("name", USED)
def test_the_path_that_counts_is_found(tmp_path: Path, name: str) -> None:
    version, text, path = USED[name]
    settings = read(tmp_path, text, version)

    assert effective(settings) == path
    assert settings.flaws == ()


@pytest.mark.parametrize("name", CONFLICTS)
def test_old_tables_beside_the_path_are_found(tmp_path: Path, name: str) -> None:
    section = read(tmp_path, CONFLICTS[name]).section()

    assert section is not None
    assert section.config_path is not None
    assert [each.value for each in (*section.mirrors, *section.tls)] == ["a.test"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_containerd_refuses_has_a_flaw(tmp_path: Path, name: str) -> None:
    (flaw,) = read(tmp_path, REFUSED[name]).flaws

    assert flaw.kind.value in ("syntax", "refused")
    assert flaw.line in (2, 3)


@pytest.mark.needs_root
@pytest.mark.needs("containerd")
@pytest.mark.parametrize("name", USED)
def test_containerd_1_6_works_with_that_path(tmp_path: Path, name: str) -> None:
    version, text, path = USED[name]

    with Containerd(tmp_path, text, version=version) as containerd:
        assert containerd.kubernetes_config_path == (path or "")


@pytest.mark.needs_root
@pytest.mark.needs("containerd")
@pytest.mark.parametrize("name", CONFLICTS)
def test_containerd_1_6_starts_without_kubernetes_in_a_conflict(tmp_path: Path, name: str) -> None:
    with Containerd(tmp_path, CONFLICTS[name]) as containerd:
        assert containerd.kubernetes_config_path is None
        assert "cannot be set when `config_path` is provided" in containerd.log()


@pytest.mark.needs_root
@pytest.mark.needs("containerd")
@pytest.mark.parametrize("name", REFUSED)
def test_containerd_1_6_refuses_the_same(tmp_path: Path, name: str) -> None:
    with pytest.raises(DaemonError, match="ended with exit code 1"), Containerd(tmp_path, REFUSED[name]):
        pass


def test_version_3_has_its_own_section(tmp_path: Path) -> None:
    assert effective(read(tmp_path, IMAGES + PATH, 3)) == "/x"
    assert effective(read(tmp_path, CRI + PATH, 3)) is None


def test_a_file_without_a_version_is_of_version_1(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CRI + PATH)
    settings = read_containerd_config(path)

    assert (settings.version, settings.version_given, effective(settings)) == (1, False, None)


def test_imported_files_count(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/registry.toml").write_text(f"version = 2\n{CRI}{PATH}")
    path = tmp_path / "config.toml"
    path.write_text('version = 2\nimports = ["conf.d/*.toml"]\n')

    section = read_containerd_config(path).section()

    assert section is not None
    assert section.config_path is not None
    assert section.config_path.place == f"{tmp_path}/conf.d/registry.toml:3:1"


def test_a_file_that_imports_itself_is_no_trouble(tmp_path: Path) -> None:
    settings = read(tmp_path, f'imports = ["*.toml"]\n{CRI}{PATH}')

    assert effective(settings) == "/x"


def test_a_missing_file_is_no_flaw_of_its_own(tmp_path: Path) -> None:
    assert read_containerd_config(tmp_path / "none.toml").missing
