"""Faults on the registry's own host: real sockets, users, limits and packet filters, and the healthy twins."""

from __future__ import annotations

import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support import ports, programs
from tests.support.http_server import Answer, HTTPServer
from tests.support.netns import LinkedHosts, Namespace
from tests.support.nginx import Nginx, ReverseProxy
from tests.support.processes import Daemon
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

SERVER = "10.77.0.2"
POSTURE = (
    "config/no-auth",
    "security/anonymous-push",
    "security/anonymous-catalog",
    "security/running-as-root",
)
"""What is said of an open registry that root runs; here it is about whether it can be reached."""


@dataclass
class Host:
    """The registry's own host, with a cable to a client."""

    namespace: Namespace
    client: Namespace
    folder: Path
    servers: ExitStack

    def registry(self, host: str = SERVER, port: int = 5000, **options: Any) -> Registry:
        """Start a registry; the target is the host's address, whatever it listens on."""
        folder = self.folder / f"registry-{port}"
        return self.servers.enter_context(
            Registry(folder, host=host, port=port, name=SERVER, namespace=self.namespace, **options)
        )

    def stopped(self, port: int = 5000, **options: Any) -> Registry:
        """A registry with its configuration, which does not run."""
        registry = self.registry(port=port, **options)
        registry.stop()
        return registry

    def check(self, target: str, *arguments: str | Path, **options: Any) -> CliResult:
        """Run regdoctor on the host itself."""
        arguments = (target, "--profile", "host", *arguments)
        return run_regdoctor("check", *arguments, in_namespace=self.namespace, **options)

    def reaches(self, port: int) -> bool:
        """Whether the client can connect to a port of the host."""
        return ports.accepts(SERVER, port, namespace=self.client)


@pytest.fixture
def host(linked_hosts: LinkedHosts, open_tmp_path: Path) -> Iterator[Host]:
    with ExitStack() as servers:
        yield Host(linked_hosts.server, linked_hosts.client, open_tmp_path, servers)


def symptom_of(result: CliResult, code: str, symptom: str) -> dict[str, Any]:
    """The finding that alone explains another one."""
    exit_code = 3 if assert_has(result, symptom)["severity"] == "error" else None
    return assert_single_root_cause(result, code, exit_code=exit_code)


class TestNotListening:
    def test_the_registry_is_stopped(self, host: Host) -> None:
        registry = host.stopped()
        result = host.check(registry.url, "--config", registry.config_path)
        cause = symptom_of(result, "ports/not-listening", "tcp/refused")
        assert cause["evidence"][-1].startswith(f"{registry.config_path}:17")
        assert "nothing listens on port 5000" in cause["detail"]

    def test_without_its_configuration_too(self, host: Host) -> None:
        result = host.check(f"http://{SERVER}:5000", files={"/etc/systemd/system": host.folder})
        cause = symptom_of(result, "ports/not-listening", "tcp/refused")
        assert "port 5000 of this host" in cause["detail"]

    def test_the_service_that_would_start_it_is_named(self, host: Host) -> None:
        registry = host.stopped()
        units = service(host.folder / "units", registry, user="root")
        result = host.check(registry.url, files={"/etc/systemd/system": units})
        cause = symptom_of(result, "ports/not-listening", "tcp/refused")
        assert "systemctl start docker-registry.service" in cause["fix"][0]

    def test_the_proxy_in_front_runs_and_the_registry_does_not(self, host: Host) -> None:
        registry = host.stopped()
        proxy = nginx(host, registry)
        result = host.check(proxy.url, "--config", registry.config_path)
        symptom_of(result, "ports/not-listening", "http/upstream-down")

    def test_the_proxy_in_front_is_down_and_the_registry_runs(self, host: Host) -> None:
        host.registry("127.0.0.1")
        result = host.check(f"http://{SERVER}:8080")
        cause = symptom_of(result, "ports/not-listening", "tcp/refused")
        assert "listens on 127.0.0.1:5000" in cause["detail"]

    def test_a_client_sees_no_more_than_a_refusal(self, host: Host) -> None:
        registry = host.stopped()
        result = run_regdoctor("check", registry.url, in_namespace=host.namespace)
        assert_single_root_cause(result, "tcp/refused")

    def test_another_port_has_the_registry(self, host: Host) -> None:
        host.registry(port=5001)
        assert_single_root_cause(host.check(f"http://{SERVER}:5000"), "tcp/wrong-port")


class TestLoopbackOnly:
    def test_the_registry_listens_on_loopback(self, host: Host) -> None:
        registry = host.registry("127.0.0.1")
        assert not host.reaches(registry.port)
        cause = symptom_of(host.check(registry.url), "ports/loopback-only", "tcp/refused")
        assert "127.0.0.1:5000" in cause["detail"]
        assert cause["certainty"] == "proven"

    def test_a_proxy_takes_the_connections_of_others(self, host: Host) -> None:
        registry = host.registry("127.0.0.1")
        proxy = nginx(host, registry)
        assert host.reaches(proxy.port)
        assert_healthy(host.check(proxy.url), allow=POSTURE)

    def test_a_proxy_takes_the_same_port_for_others(self, host: Host) -> None:
        registry = host.registry("127.0.0.1")
        proxy = nginx(host, registry, port=5000)
        assert_healthy(host.check(proxy.url), allow=POSTURE)

    def test_only_this_host_is_meant(self, host: Host) -> None:
        host.registry("127.0.0.1")
        assert_healthy(host.check("http://127.0.0.1:5000"), allow=POSTURE)


class TestInUse:
    def test_another_program_has_the_port(self, host: Host) -> None:
        registry = host.stopped()
        with HTTPServer(lambda _request: Answer(403), host=SERVER, port=5000, namespace=host.namespace):
            result = host.check(registry.url, "--config", registry.config_path)
        cause = assert_single_root_cause(result, "ports/in-use")
        assert "which is no registry" in cause["detail"]

    def test_the_log_says_so(self, host: Host) -> None:
        running = host.registry()
        other = Registry(host.folder / "other", host=SERVER, port=5000, namespace=host.namespace)
        other.write_config()
        command: list[str | Path] = [programs.path("docker-registry"), "serve", other.config_path]
        log = host.folder / "other.log"
        with Daemon(command, log=log, namespace=host.namespace) as daemon:
            assert daemon.wait_for_exit() != 0
        assert "bind: address already in use" in log.read_text()
        result = host.check(running.url, "--config", other.config_path, "--log", log)
        cause = assert_single_root_cause(result, "ports/in-use")
        assert cause["evidence"][0].startswith(f"{log}:")

    def test_a_registry_has_its_own_port(self, host: Host) -> None:
        registry = host.registry()
        result = host.check(registry.url, "--config", registry.config_path, "--log", registry.daemon.log_path)
        assert_healthy(result, allow=POSTURE)


class TestPrivileged:
    def start_as_nobody(self, host: Host) -> tuple[Registry, Path]:
        """A registry that may not have port 443, and what it wrote about it."""
        registry = Registry(host.folder / "low", host=SERVER, port=443, name=SERVER, namespace=host.namespace)
        registry.write_config()
        command: list[str | Path] = [programs.path("docker-registry"), "serve", registry.config_path]
        log = host.folder / "low.log"
        options: dict[str, Any] = {"environment": {"OTEL_TRACES_EXPORTER": "none"}, "user": "nobody"}
        host.namespace.run(["sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=1024"])
        with Daemon(command, log=log, namespace=host.namespace, **options) as daemon:
            assert daemon.wait_for_exit() != 0
        assert "bind: permission denied" in log.read_text()
        return registry, log

    def test_the_log_says_so(self, host: Host) -> None:
        registry, log = self.start_as_nobody(host)
        result = host.check(registry.url, "--config", registry.config_path, "--log", log)
        cause = symptom_of(result, "ports/privileged", "tcp/refused")
        assert "permission denied" in cause["detail"]

    def test_the_services_user_may_not_have_the_port(self, host: Host) -> None:
        registry, _log = self.start_as_nobody(host)
        units = service(host.folder / "units", registry, user="nobody")
        files: dict[str, str | Path] = {"/etc/systemd/system": units}
        cause = symptom_of(host.check(registry.url, files=files), "ports/privileged", "tcp/refused")
        assert "nobody" in cause["detail"]

    def test_a_service_with_the_capability_may(self, host: Host) -> None:
        registry, _log = self.start_as_nobody(host)
        units = service(
            host.folder / "units", registry, user="nobody", more="AmbientCapabilities=CAP_NET_BIND_SERVICE\n"
        )
        files: dict[str, str | Path] = {"/etc/systemd/system": units}
        assert_lacks(host.check(registry.url, files=files), "ports/privileged")

    def test_any_user_may_where_the_kernel_says_so(self, host: Host) -> None:
        host.namespace.run(["sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=0"])
        registry = host.registry(port=443, user="nobody")
        result = host.check(f"http://{SERVER}:443", "--config", registry.config_path)
        assert_healthy(result, allow=POSTURE)


class TestFirewalled:
    def test_drop(self, host: Host) -> None:
        registry = host.registry()
        host.namespace.block('iifname != "lo" tcp dport 5000 counter drop')
        assert not host.reaches(5000)
        cause = assert_single_root_cause(host.check(registry.url), "ports/firewalled")
        assert "tcp dport 5000" in cause["detail"]
        assert "inet block1 c" in cause["detail"]

    def test_reject_with_a_reset(self, host: Host) -> None:
        registry = host.registry()
        host.namespace.block("tcp dport 5000 reject with tcp reset")
        cause = symptom_of(host.check(registry.url), "ports/firewalled", "tcp/rejected")
        assert "rejects" in cause["detail"]

    def test_drop_of_local_connections_too(self, host: Host) -> None:
        registry = host.registry()
        host.namespace.block("tcp dport 5000-5010 drop")
        symptom_of(host.check(registry.url, "--timeout", "1"), "ports/firewalled", "tcp/filtered")

    def test_a_policy_that_lets_nothing_else_in(self, host: Host) -> None:
        registry = host.registry()
        host.namespace.nft(
            "table inet filter { set open { type inet_service; elements = { 22, 443 }; }; chain input { "
            "type filter hook input priority 0; policy drop; ct state vmap { established : accept, "
            'related : accept, invalid : drop }; iifname "lo" accept; tcp dport @open accept; }; }'
        )
        assert not host.reaches(5000)
        cause = assert_single_root_cause(host.check(registry.url), "ports/firewalled")
        assert "policy drop" in cause["detail"]

    @pytest.mark.needs("iptables-nft-save")
    def test_rules_of_iptables(self, host: Host) -> None:
        registry = host.registry()
        rule = "-A INPUT ! -i lo -p tcp -m conntrack --ctstate NEW -m multiport --dports 5000,8080 -j REJECT"
        host.namespace.run(["iptables-nft", *rule.split()])
        assert not host.reaches(5000)
        cause = assert_single_root_cause(host.check(registry.url), "ports/firewalled")
        assert "--dports 5000,8080" in cause["detail"]

    def test_asked_by_loopback_it_is_advice(self, host: Host) -> None:
        host.registry("0.0.0.0")
        host.namespace.block('iifname != "lo" tcp dport 5000 drop')
        warning = assert_has(host.check("http://127.0.0.1:5000"), "ports/firewalled")
        assert warning["severity"] == "warning"

    @pytest.mark.parametrize(
        "rule",
        [
            "tcp dport 5001 drop",
            "ip saddr 192.0.2.0/24 tcp dport 5000 drop",
            "ct state invalid drop",
            'iifname "docker0" tcp dport 5000 drop',
            "tcp dport 5000 accept; tcp dport 1-10000 drop",
            "ip saddr 10.0.0.0/8 tcp dport 5000 accept; tcp dport 5000 drop",
            "meta l4proto udp drop",
            "ip6 saddr ::/0 drop",
        ],
    )
    def test_rules_that_let_the_client_in(self, host: Host, rule: str) -> None:
        registry = host.registry()
        host.namespace.block(rule)
        assert host.reaches(5000)
        assert_healthy(host.check(registry.url), allow=POSTURE)

    def test_the_port_behind_the_proxy_is_closed_on_purpose(self, host: Host) -> None:
        registry = host.registry("0.0.0.0")
        nginx(host, registry, port=80)
        host.namespace.block('iifname != "lo" tcp dport 5000 drop')
        assert_healthy(host.check("http://127.0.0.1:5000"), allow=POSTURE)
        assert_healthy(host.check(f"http://{SERVER}:80"), allow=POSTURE)


class TestFileLimit:
    def limited(self, host: Host, limit: int) -> Registry:
        registry = host.registry()
        resource.prlimit(registry.daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
        return registry

    def test_connections_use_it_up(self, host: Host) -> None:
        registry = self.limited(host, 40)
        with ExitStack() as connections:
            for _ in range(50):
                connections.enter_context(host.client.call(lambda: socket.create_connection((SERVER, 5000))))
            registry.daemon.wait_for_log("accept4: too many open files")
            result = host.check(registry.url, "--timeout", "2")
        cause = symptom_of(result, "ports/file-limit", "http/response-timeout")
        assert "may have 40" in cause["detail"]

    def test_enough_is_left(self, host: Host) -> None:
        registry = self.limited(host, 40)
        assert_healthy(host.check(registry.url), allow=POSTURE)


class TestHealthy:
    def test_everything_is_found_by_itself(self, host: Host) -> None:
        registry = host.registry(user="nobody", environment={"REGISTRY_LOG_LEVEL": "info"})
        result = host.check(registry.url)
        assert_healthy(result, allow=POSTURE)
        facts = result.report["targets"][0]["facts"]
        (found,) = [
            each
            for each in facts["running-registries"]["registries"]
            if each["pid"] == facts["running-registries"]["serving"]
        ]
        assert found["pid"] == registry.daemon.pid
        assert found["user_name"] == "nobody"
        assert found["config"] == str(registry.config_path)
        assert found["storage"] == str(registry.storage)
        assert found["log"] == str(registry.daemon.log_path)
        assert facts["config-file"]["path"] == str(registry.config_path)
        assert facts["registry-environment"]["path"] == f"/proc/{registry.daemon.pid}/environ"
        levels = [
            each["value"]
            for each in facts["effective-configuration"]["settings"]["entries"]
            if each["path"] == ["log", "level"]
        ]
        assert levels == ["info"]
        assert facts["disk-usage"]["writer"]["pid"] == registry.daemon.pid

    def test_the_report_says_what_was_found(self, host: Host) -> None:
        registry = host.registry()
        for report_format in ("text", "markdown", "html"):
            # Markdown escapes characters that temporary names may have.
            shown = host.check(registry.url, report_format=report_format).stdout.replace("\\", "")
            for what in (registry.config_path, registry.storage, registry.daemon.log_path):
                assert str(what) in shown, report_format

    def test_a_program_of_another_name_in_a_folder_of_its_own(self, host: Host) -> None:
        """Its configuration is named by a path that only it knows."""
        program = host.folder / "images"
        program.symlink_to(programs.path("docker-registry"))
        registry = Registry(
            host.folder / "own", host=SERVER, port=5000, name=SERVER, namespace=host.namespace
        )
        registry.daemon.command = [str(program), "serve", "config.yml"]
        host.servers.enter_context(registry)
        result = host.check(registry.url)
        assert_healthy(result, allow=POSTURE)
        assert result.report["targets"][0]["facts"]["config-file"]["path"] == str(registry.config_path)

    def test_a_registry_with_a_network_of_its_own_whose_port_is_published(self, host: Host) -> None:
        """As docker does it: docker-proxy listens here, and names address and port in the container."""
        registry = Registry(
            host.folder / "contained", host="10.77.0.1", port=5001, name=SERVER, namespace=host.client
        )
        host.servers.enter_context(registry)
        publish(host, "127.0.0.1", 5000, "10.77.0.1", 5001)
        publish(host, SERVER, 5000, "10.77.0.1", 5001)
        result = host.check(f"http://{SERVER}:5000")
        assert_healthy(result, allow=POSTURE)
        running = result.report["targets"][0]["facts"]["running-registries"]
        assert running["serving"] == registry.daemon.pid
        assert result.report["targets"][0]["facts"]["config-file"]["path"] == str(registry.config_path)

    def test_its_port_is_published_on_loopback_alone(self, host: Host) -> None:
        registry = Registry(
            host.folder / "contained", host="10.77.0.1", port=5001, name=SERVER, namespace=host.client
        )
        host.servers.enter_context(registry)
        publish(host, "127.0.0.1", 5000, "10.77.0.1", 5001)
        cause = symptom_of(host.check(f"http://{SERVER}:5000"), "ports/loopback-only", "tcp/refused")
        assert "publishes it on 127.0.0.1:5000" in cause["detail"]

    def test_a_client_looks_at_nothing_of_this_host(self, host: Host) -> None:
        registry = host.registry()
        result = run_regdoctor("check", registry.url, in_namespace=host.client)
        assert_healthy(result)
        assert not {"listening-sockets", "running-registries", "packet-filter"} & set(
            result.report["targets"][0]["facts"]
        )

    def test_a_user_who_may_not_look_is_told(self, host: Host) -> None:
        registry = host.registry()
        home = dict.fromkeys(("HOME", "DOCKER_CONFIG", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"), "/nonexistent")
        result = host.check(registry.url, user="nobody", env={**home, "TMPDIR": "/var/tmp"})
        assert_healthy(result, allow=POSTURE)
        (line,) = result.report["targets"][0]["facts"]["packet-filter"]["found_here"]
        assert "as root" in line


FORWARD = """
import socket, sys, threading

def copy(one, other):
    while data := one.recv(65536):
        other.sendall(data)
    other.shutdown(socket.SHUT_WR)

words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
server = socket.create_server((words["-host-ip"], int(words["-host-port"])))
while True:
    here = server.accept()[0]
    there = socket.create_connection((words["-container-ip"], int(words["-container-port"])))
    for pair in ((here, there), (there, here)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
"""


def publish(host: Host, address: str, port: int, container: str, container_port: int) -> None:
    """Publish a port as docker-proxy does: with its name and its command line."""
    folder = host.folder / f"publish-{address}"
    folder.mkdir()
    program, script = folder / "docker-proxy", folder / "forward.py"
    program.symlink_to(sys.executable)
    script.write_text(FORWARD)
    command: list[str | Path] = [program, script, "-host-ip", address, "-host-port", str(port)]
    command += ["-container-ip", container, "-container-port", str(container_port)]
    ready = partial(ports.accepts, address, port, namespace=host.namespace)
    host.servers.enter_context(Daemon(command, log=folder / "log", ready=ready, namespace=host.namespace))


def nginx(host: Host, registry: Registry, port: int = 8080) -> Nginx:
    """A reverse proxy on the host, in front of the registry."""
    proxy = ReverseProxy(f"http://{registry.host}:{registry.port}", host=SERVER, port=port)
    return host.servers.enter_context(Nginx(host.folder / f"nginx-{port}", proxy, namespace=host.namespace))


def service(folder: Path, registry: Registry, *, user: str, more: str = "") -> Path:
    """A folder of systemd units with the registry's, enabled."""
    wants = folder / "multi-user.target.wants"
    wants.mkdir(parents=True)
    unit = folder / "docker-registry.service"
    command = f"{programs.path('docker-registry')} serve {registry.config_path}"
    unit.write_text(f"[Service]\nUser={user}\n{more}ExecStart={command}\n")
    (wants / "docker-registry.service").symlink_to(unit)
    return folder
