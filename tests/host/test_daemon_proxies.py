"""Daemons take their proxy from where they were started: process, unit files, daemon.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regdoctor.host.daemon_proxies import DaemonSetting, daemon_settings

DROP_IN = "etc/systemd/system/docker.service.d/http-proxy.conf"
PROXY = "http://proxy.test:3128"


class Host:
    """A host's files and processes, made up."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.proc = folder / "proc"
        self.root.mkdir()
        self.proc.mkdir()

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def run(self, name: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
        folder = self.proc / str(100 + len(list(self.proc.iterdir())))
        folder.mkdir()
        (folder / "comm").write_text(f"{name}\n")
        (folder / "cmdline").write_text("\0".join([f"/usr/bin/{name}", *arguments]) + "\0")
        if environment is not None:
            pairs = [f"{key}={value}" for key, value in environment.items()]
            (folder / "environ").write_text("\0".join(pairs) + "\0")

    def settings(self, daemon_json: Path | None = None) -> dict[str, DaemonSetting]:
        found = daemon_settings(daemon_json, root=self.root, proc=self.proc)
        return {setting.daemon: setting for setting in found}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_without_daemons_has_no_settings(host: Host) -> None:
    host.run("bash", environment={"HTTPS_PROXY": PROXY})

    assert host.settings() == {}


def test_a_running_daemon_has_the_environment_it_was_started_with(host: Host) -> None:
    host.write(DROP_IN, '[Service]\nEnvironment="HTTPS_PROXY=http://edited-since"\n')
    host.run("dockerd", environment={"HTTPS_PROXY": PROXY, "NO_PROXY": "a.test", "PATH": "/bin"})
    setting = host.settings()["dockerd"]

    assert setting.environment == {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.test"}
    assert setting.running
    assert "process 100" in setting.source


def test_a_running_daemon_without_a_proxy_counts(host: Host) -> None:
    host.run("dockerd", environment={"PATH": "/bin"})

    assert host.settings()["dockerd"].environment == {}


def test_an_installed_daemon_that_is_to_use_no_proxy_does_not_count(host: Host) -> None:
    host.write("lib/systemd/system/docker.service", "[Service]\nExecStart=/usr/bin/dockerd\n")

    assert host.settings() == {}


def test_the_unit_counts_where_the_process_hides_its_environment(host: Host) -> None:
    host.run("dockerd")
    host.write(DROP_IN, f'[Service]\nEnvironment="HTTPS_PROXY={PROXY}" "NO_PROXY=localhost,a.test"\n')
    setting = host.settings()["dockerd"]

    assert setting.environment == {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost,a.test"}
    assert setting.source == f"/{DROP_IN}"


def test_unit_files_are_read_as_systemd_reads_them(host: Host) -> None:
    host.write("usr/lib/systemd/system/docker.service", "[Service]\nEnvironment=HTTP_PROXY=http://old\n")
    host.write(
        "usr/lib/systemd/system/docker.service.d/10-a.conf", "[Service]\nEnvironment=NO_PROXY=hidden\n"
    )
    host.write("etc/systemd/system/docker.service.d/10-a.conf", "[Service]\nEnvironment=\n")
    host.write(
        "etc/systemd/system/docker.service.d/20-b.conf",
        "[Unit]\nEnvironment=NO_PROXY=elsewhere\n[Service]\n# Environment=NO_PROXY=remark\n"
        "Environment=HTTPS_PROXY=http://me:p%%40ss@proxy.test:3128 \\\n  NO_PROXY=a.test\n",
    )

    assert host.settings()["dockerd"].environment == {
        "HTTPS_PROXY": "http://me:p%40ss@proxy.test:3128",
        "NO_PROXY": "a.test",
    }


def test_a_file_of_variables_is_read(host: Host) -> None:
    host.write("etc/systemd/system/crio.service", "[Service]\nEnvironmentFile=-/etc/sysconfig/crio\n")
    host.write("etc/sysconfig/crio", f'# proxies\nHTTPS_PROXY="{PROXY}"\n')

    assert host.settings()["crio"].environment == {"HTTPS_PROXY": PROXY}


def test_daemon_json_goes_before_the_environment(host: Host, tmp_path: Path) -> None:
    host.run("dockerd", environment={"https_proxy": "http://old", "HTTP_PROXY": "http://kept"})
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"proxies": {"https-proxy": PROXY, "no-proxy": "a.test"}}))
    setting = host.settings(file)["dockerd"]

    assert setting.environment == {"HTTP_PROXY": "http://kept", "HTTPS_PROXY": PROXY, "NO_PROXY": "a.test"}
    assert setting.source == str(file)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"proxies": []}', '{"proxies": {"https-proxy": 1}}'])
def test_a_broken_daemon_json_says_nothing(host: Host, tmp_path: Path, text: str) -> None:
    host.run("dockerd", environment={"HTTPS_PROXY": PROXY})
    file = tmp_path / "daemon.json"
    file.write_text(text)

    assert host.settings(file)["dockerd"].environment == {"HTTPS_PROXY": PROXY}


def test_flags_go_before_everything(host: Host) -> None:
    host.run("dockerd", f"--https-proxy={PROXY}", "--no-proxy", "a.test", environment={"HTTPS_PROXY": "x"})
    setting = host.settings()["dockerd"]

    assert setting.environment == {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.test"}
    assert "command line" in setting.source


def test_containerd_under_docker_fetches_nothing(host: Host) -> None:
    host.run("dockerd", environment={"HTTPS_PROXY": PROXY})
    host.run("containerd", environment={"PATH": "/bin"})

    assert set(host.settings()) == {"dockerd"}


@pytest.mark.parametrize("others", [("kubelet",), ("kubelet", "dockerd")])
def test_containerd_of_kubernetes_counts(host: Host, others: tuple[str, ...]) -> None:
    for name in (*others, "containerd"):
        host.run(name, environment={"HTTPS_PROXY": PROXY})

    assert "containerd" in host.settings()


def test_a_daemon_of_a_container_is_not_the_host_s(host: Host, tmp_path: Path) -> None:
    host.run("containerd", environment={"HTTPS_PROXY": PROXY})
    (host.proc / "self" / "ns").mkdir(parents=True)
    (host.proc / "self" / "ns" / "net").symlink_to("net:[1]")
    (host.proc / "100" / "ns").mkdir()
    (host.proc / "100" / "ns" / "net").symlink_to("net:[2]")

    assert host.settings() == {}


def test_passwords_are_not_shown(host: Host) -> None:
    host.run("dockerd", environment={"HTTPS_PROXY": "http://me:canary@proxy.test"})

    assert "canary" not in repr(host.settings())
