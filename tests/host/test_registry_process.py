"""The registry process is found by the storage or the configuration that it uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.host.processes import running
from regdoctor.host.registry_process import environment_of, find_registry, registries, services, started_with
from tests.conftest import StartRegistry
from tests.support.registry import Registry


class Processes:
    """A folder that looks like /proc."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.host = root / "host"
        (self.proc / "self/ns").mkdir(parents=True)
        self.host.mkdir()
        (self.proc / "self/root").symlink_to(self.host)
        (self.proc / "self/ns/user").write_text("")

    def add(
        self, pid: int, *command: str, root: Path | None = None, user: int = 0, environment: str = ""
    ) -> None:
        folder = self.proc / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "comm").write_text(f"{Path(command[0]).name[:15]}\n")
        (folder / "cmdline").write_text("".join(f"{word}\0" for word in command))
        (folder / "environ").write_text(environment)
        (folder / "status").write_text(
            f"Name:\tx\nUid:\t1\t2\t3\t{user}\nGid:\t1\t2\t3\t{user}\nGroups:\t4 5 \nCapEff:\t0000000000000000\n"
        )
        (folder / "root").symlink_to(root or self.host)
        (folder / "ns/user").symlink_to(self.proc / "self/ns/user")

    def write(self, path: str, text: str, root: Path | None = None) -> Path:
        file = (root or self.host) / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path)


def config(root: str) -> str:
    return f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}\n"


class TestFinding:
    def test_the_storage_of_its_configuration_decides(self, processes: Processes) -> None:
        for pid, name in ((10, "one"), (11, "two")):
            processes.write(f"/etc/{name}.yml", config(f"/srv/{name}"))
            (processes.host / "srv" / name).mkdir(parents=True)
            processes.add(pid, "/usr/bin/docker-registry", "serve", f"/etc/{name}.yml", user=pid)
        found = find_registry(processes.host / "srv/two", None, processes.proc)
        assert found is not None
        assert found.process.pid == 11
        assert found.root == "/srv/two"
        assert found.identity.user == 11
        assert found.identity.groups == frozenset({4, 5})
        assert not found.identity.ignores_modes
        assert not found.container

    def test_a_variable_overrides_the_configuration(self, processes: Processes) -> None:
        processes.write("/etc/one.yml", config("/srv/one"))
        (processes.host / "data").mkdir()
        variable = "PATH=/bin\0REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/data\0"
        processes.add(10, "registry", "serve", "/etc/one.yml", environment=variable)
        assert find_registry(processes.host / "data", None, processes.proc) is not None
        assert find_registry(processes.host / "srv/one", None, processes.proc) is None

    def test_without_either_the_default_counts(self, processes: Processes) -> None:
        processes.write("/etc/one.yml", "version: 0.1\nstorage: filesystem\n")
        (processes.host / "var/lib/registry").mkdir(parents=True)
        processes.add(10, "registry", "serve", "/etc/one.yml")
        assert find_registry(processes.host / "var/lib/registry", None, processes.proc) is not None

    def test_the_configuration_finds_it_too(self, processes: Processes) -> None:
        file = processes.write("/etc/one.yml", config("/srv/one"))
        processes.add(10, "registry", "serve", "/etc/one.yml")
        found = find_registry(None, file, processes.proc)
        assert found is not None
        assert found.root == "/srv/one"

    def test_the_configuration_may_be_named_by_a_variable(self, processes: Processes) -> None:
        file = processes.write("/etc/one.yml", config("/srv/one"))
        processes.add(10, "registry", "serve", environment="REGISTRY_CONFIGURATION_PATH=/etc/one.yml\0")
        assert find_registry(None, file, processes.proc) is not None

    def test_in_a_container_its_own_files_count(self, processes: Processes, tmp_path: Path) -> None:
        inside = tmp_path / "container"
        processes.write("/etc/docker/registry/config.yml", config("/var/lib/registry"), inside)
        volume = processes.host / "srv/volume"
        volume.mkdir(parents=True)
        (inside / "var/lib").mkdir(parents=True)
        # What a bind mount is: the same folder by another path.
        (inside / "var/lib/registry").symlink_to(volume)
        processes.add(10, "registry", "serve", "/etc/docker/registry/config.yml", root=inside)
        found = find_registry(volume, None, processes.proc)
        assert found is not None
        assert found.container
        assert found.root == "/var/lib/registry"

    @pytest.mark.parametrize(
        "command",
        [
            ("nginx", "serve", "/etc/nginx.conf"),
            ("registry", "garbage-collect", "/etc/one.yml"),
            ("registry",),
        ],
    )
    def test_other_programs_are_none(self, processes: Processes, command: tuple[str, ...]) -> None:
        file = processes.write("/etc/one.yml", config("/srv/one"))
        processes.add(10, *command)
        assert find_registry(None, file, processes.proc) is None

    def test_one_that_ended_meanwhile_is_none(self, processes: Processes) -> None:
        file = processes.write("/etc/one.yml", config("/srv/one"))
        processes.add(10, "registry", "serve", "/etc/one.yml")
        (processes.proc / "10/status").unlink()
        assert find_registry(None, file, processes.proc) is None


class TestWhatItUses:
    def test_the_program_may_have_any_name(self, processes: Processes) -> None:
        processes.write("/etc/one.yml", config("/srv/one"))
        processes.add(10, "/opt/images", "serve", "/etc/one.yml")
        (found,) = registries(processes.proc)
        assert found.root == "/srv/one"
        assert found.in_files

    def test_a_relative_path_leads_from_the_folder_it_was_started_in(self, processes: Processes) -> None:
        file = processes.write("/srv/registry/config.yml", config("/srv/one"))
        processes.add(10, "registry", "serve", "config.yml")
        (processes.proc / "10/cwd").symlink_to("/srv/registry")
        (found,) = registries(processes.proc)
        assert found.configuration is not None
        assert found.configuration.samefile(file)

    def test_another_driver_stores_in_no_files(self, processes: Processes) -> None:
        processes.write("/etc/one.yml", "version: 0.1\nstorage: {s3: {bucket: a, region: b}}\n")
        processes.add(10, "registry", "serve", "/etc/one.yml")
        (found,) = registries(processes.proc)
        assert not found.in_files

    def test_a_variable_may_name_the_driver(self, processes: Processes) -> None:
        processes.write("/etc/one.yml", "version: 0.1\n")
        variable = "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/data\0"
        processes.add(10, "registry", "serve", "/etc/one.yml", environment=variable)
        (found,) = registries(processes.proc)
        assert (found.root, found.in_files) == ("/data", True)

    def test_open_files_and_their_limit(self, processes: Processes) -> None:
        processes.write("/etc/one.yml", config("/srv/one"))
        processes.add(10, "registry", "serve", "/etc/one.yml")
        (found,) = registries(processes.proc)
        assert found.open_files() == (None, None)
        descriptors = processes.proc / "10/fd"
        descriptors.mkdir()
        for number in range(3):
            (descriptors / str(number)).write_text("")
        assert found.open_files() == (3, None)
        limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files      1024      4096  files\n"
        (processes.proc / "10/limits").write_text(limits)
        assert found.open_files() == (3, 1024)

    def test_one_environment_of_several_processes(self, processes: Processes) -> None:
        file = processes.write("/etc/one.yml", config("/srv/one"))
        same = "REGISTRY_LOG_LEVEL=warn\0"
        processes.add(10, "registry", "serve", "/etc/one.yml", environment=f"A=1\0{same}")
        processes.add(11, "registry", "serve", "/etc/one.yml", environment=f"A=2\0{same}")
        found = started_with(file, processes.proc)
        assert environment_of(found) == processes.proc / "10/environ"
        processes.add(12, "registry", "serve", "/etc/one.yml", environment="REGISTRY_LOG_LEVEL=info\0")
        assert environment_of(started_with(file, processes.proc)) is None
        assert environment_of(()) is None


class TestServices:
    def unit(self, root: Path, text: str, name: str = "docker-registry.service") -> None:
        folder = root / "usr/lib/systemd/system"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"[Service]\n{text}")

    def test_what_it_starts_and_as_whom(self, tmp_path: Path) -> None:
        self.unit(
            tmp_path, "User=docker-registry\nExecStart=/usr/bin/docker-registry serve /etc/config.yml\n"
        )
        (found,) = services(tmp_path)
        assert (found.unit, found.user) == ("docker-registry.service", "docker-registry")
        assert found.config == tmp_path / "etc/config.yml"
        assert not found.enabled
        assert not found.binds_low_ports

    def test_enabled(self, tmp_path: Path) -> None:
        self.unit(tmp_path, "ExecStart=-/usr/bin/registry serve /etc/config.yml\n")
        wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True)
        (wants / "docker-registry.service").symlink_to("/usr/lib/systemd/system/docker-registry.service")
        (found,) = services(tmp_path)
        assert found.enabled
        assert found.user == "root"
        assert found.binds_low_ports

    @pytest.mark.parametrize(
        ("drop_in", "expected"),
        [
            ("AmbientCapabilities=CAP_CHOWN CAP_NET_BIND_SERVICE", True),
            ("AmbientCapabilities=CAP_NET_BIND_SERVICE\nAmbientCapabilities=", False),
            ("User=root", True),
        ],
    )
    def test_drop_ins_change_it(self, tmp_path: Path, drop_in: str, expected: bool) -> None:
        self.unit(tmp_path, "User=nobody\nExecStart=/usr/bin/registry serve /etc/config.yml\n")
        folder = tmp_path / "etc/systemd/system/docker-registry.service.d"
        folder.mkdir(parents=True)
        (folder / "own.conf").write_text(f"[Service]\n{drop_in}\n")
        (found,) = services(tmp_path)
        assert found.binds_low_ports is expected

    def test_others_start_no_registry_by_themselves(self, tmp_path: Path) -> None:
        self.unit(tmp_path, "ExecStart=/usr/bin/docker run registry:2\n")
        self.unit(tmp_path, "ExecStart=/usr/bin/nginx serve /etc/x.yml\n", "nginx.service")
        assert services(tmp_path) == ()
        assert services(tmp_path / "none") == ()


@pytest.mark.needs("docker-registry")
class TestTheRealOne:
    def test_is_found_by_its_storage_among_others(self, start_registry: StartRegistry) -> None:
        registries: list[Registry] = [start_registry(), start_registry()]
        for registry in registries:
            found = find_registry(registry.storage, None)
            assert found is not None
            assert found.process.pid == registry.daemon.pid
            assert not found.foreign_ids

    def test_is_found_by_its_configuration(self, registry: Registry) -> None:
        found = find_registry(None, registry.config_path)
        assert found is not None
        assert found.process.pid == registry.daemon.pid
        assert found.root == str(registry.storage)

    def test_is_among_the_processes(self, registry: Registry) -> None:
        found = running(lambda name: name == "docker-registry")
        assert registry.daemon.pid in [process.pid for process in found]
