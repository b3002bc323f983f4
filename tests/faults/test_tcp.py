"""Faults of connections: real packet filters and registries in network namespaces, and the healthy twins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority
from tests.support.forward_proxy import ForwardProxy
from tests.support.http_server import Answer, HTTPServer
from tests.support.images import push_image
from tests.support.netns import LinkedHosts, Namespace
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

NAME = "reg.test"
SERVER, OTHER = "10.77.0.2", "10.77.0.3"
SERVER6, OTHER6 = "fd00:77::2", "fd00:77::3"
ABSENT, ABSENT6 = "10.77.0.99", "fd00:77::99"
NO_NAMESERVER = "nameserver 127.0.0.53\n"


@dataclass
class Network:
    """A client and a server on one cable, with two addresses of each family at the server."""

    client: Namespace
    server: Namespace
    folder: Path
    servers: ExitStack

    def registry(self, host: str = SERVER, port: int = 5000, **options: Any) -> Registry:
        """Start a registry."""
        folder = self.folder / f"registry-{host}-{port}".replace(":", "_")
        options = {"name": NAME, "namespace": self.server, **options}
        return self.servers.enter_context(Registry(folder, host=host, port=port, **options))

    def check(
        self,
        target: str,
        *arguments: str,
        addresses: Sequence[str] = (SERVER,),
        env: Mapping[str, str] | None = None,
    ) -> CliResult:
        """Run regdoctor on the client; the name has these addresses."""
        return run_regdoctor(
            "check",
            target,
            *arguments,
            in_namespace=self.client,
            resolv_conf=NO_NAMESERVER,
            hosts="127.0.0.1 localhost\n" + "".join(f"{address} {NAME}\n" for address in addresses),
            env=env,
        )


@pytest.fixture
def network(linked_hosts: LinkedHosts, tmp_path: Path) -> Iterator[Network]:
    client, server = linked_hosts.client, linked_hosts.server
    server.add_address(f"{OTHER}/24", "eth0")
    client.add_address("fd00:77::1/64", "eth0")
    for address in (SERVER6, OTHER6):
        server.add_address(f"{address}/64", "eth0")
    with ExitStack() as servers:
        yield Network(client, server, tmp_path, servers)


class TestHealthy:
    def test_one_address(self, network: Network) -> None:
        network.registry()

        assert_healthy(network.check(f"http://{NAME}:5000"))

    def test_an_ipv6_literal(self, network: Network) -> None:
        network.registry(SERVER6)

        assert_healthy(network.check(f"http://[{SERVER6}]:5000"))

    def test_both_families(self, network: Network) -> None:
        network.registry(SERVER)
        network.registry(SERVER6)

        assert_healthy(network.check(f"http://{NAME}:5000", addresses=[SERVER, SERVER6]))

    def test_two_replicas(self, network: Network) -> None:
        network.registry(SERVER)
        network.registry(OTHER)

        assert_healthy(network.check(f"http://{NAME}:5000", addresses=[SERVER, OTHER]))

    def test_a_registry_on_ipv4_of_a_name_with_both(self, network: Network) -> None:
        """The usual localhost: clients go on with the other family at once."""
        network.registry(SERVER)

        assert_healthy(network.check(f"http://{NAME}:5000", addresses=[SERVER6, SERVER]))

    def test_a_registry_on_ipv6_of_a_name_with_both(self, network: Network) -> None:
        network.registry(SERVER6)

        assert_healthy(network.check(f"http://{NAME}:5000", addresses=[SERVER6, SERVER]))

    def test_a_machine_without_ipv6_route(self, network: Network) -> None:
        network.registry()

        result = network.check(f"http://{NAME}:5000", addresses=["2001:db8::1", SERVER])

        assert_healthy(result)

    def test_a_machine_with_ipv6_switched_off(self, network: Network) -> None:
        network.registry()
        network.client.run(["sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=1"])

        assert_healthy(network.check(f"http://{NAME}:5000", addresses=[SERVER6, SERVER]))

    def test_a_push_over_a_path_that_carries_big_packets(self, network: Network) -> None:
        network.registry(config={"storage": {"delete": {"enabled": True}}})

        assert_healthy(network.check(f"http://{NAME}:5000", "--push"))

    def test_a_host_that_only_the_proxy_can_reach(self, network: Network) -> None:
        network.registry()
        proxy = network.servers.enter_context(
            ForwardProxy(addresses={NAME: SERVER}, host=OTHER, namespace=network.server)
        )
        network.client.block(f"ip daddr {SERVER} tcp dport 5000 drop", hook="output")

        result = network.check(f"http://{NAME}:5000", env={"HTTP_PROXY": proxy.url})

        # Whether this machine has a container daemon without that proxy is another matter.
        assert_healthy(result, allow=["proxy/daemon-differs"])
        assert result.report["duration_ms"] < 4000


class TestRefused:
    def test_nothing_listens(self, network: Network) -> None:
        found = assert_single_root_cause(network.check(f"http://{NAME}:5000"), "tcp/refused")

        assert SERVER in found["detail"]
        assert found["certainty"] == "proven"

    def test_nothing_listens_on_an_ipv6_literal(self, network: Network) -> None:
        result = network.check(f"http://[{SERVER6}]:5000")

        assert_single_root_cause(result, "tcp/refused")

    def test_an_image_name_without_port(self, network: Network) -> None:
        found = assert_single_root_cause(network.check(f"{NAME}/team/app:1"), "tcp/refused")

        assert f"{NAME}:443" in found["detail"]

    def test_a_listener_on_loopback_only(self, network: Network) -> None:
        network.registry("127.0.0.1")

        assert_single_root_cause(network.check(f"http://{NAME}:5000"), "tcp/refused")

    def test_an_ipv6_address_that_this_machine_cannot_reach_is_not_the_cause(self, network: Network) -> None:
        result = network.check(f"http://{NAME}:5000", addresses=["2001:db8::1", SERVER])

        assert_single_root_cause(result, "tcp/refused")

    def test_now_and_then(self, network: Network) -> None:
        network.registry()
        network.server.block(
            "tcp dport 5000 tcp flags & (syn | ack) == syn numgen inc mod 2 1 reject with tcp reset"
        )

        result = network.check(f"http://{NAME}:5000")

        assert "attempts" in assert_has(result, "tcp/refused")["detail"]
        assert result.report["verdict"] != "healthy"


class TestFiltered:
    def test_a_dropped_port_is_named_within_one_time_out(self, network: Network) -> None:
        network.registry()
        network.server.block("tcp dport 5000 drop")

        result = network.check(f"http://{NAME}:5000", "--timeout", "3")

        found = assert_single_root_cause(result, "tcp/filtered")
        assert "the host is there" in found["detail"]
        assert result.report["duration_ms"] < 4500

    def test_a_dropped_host(self, network: Network) -> None:
        network.server.block(f"ip daddr {SERVER} drop")

        result = network.check(f"http://{NAME}:5000", "--timeout", "3")

        assert "as silent" in assert_single_root_cause(result, "tcp/filtered")["detail"]
        assert result.report["duration_ms"] < 4500

    def test_dropped_on_the_way_out(self, network: Network) -> None:
        network.registry()
        network.client.block("tcp dport 5000 drop", hook="output")

        result = network.check(f"http://{NAME}:5000", "--timeout", "2")

        assert_single_root_cause(result, "tcp/filtered")

    def test_another_port_of_the_host_with_a_registry_is_a_hint(self, network: Network) -> None:
        network.registry(port=5001)
        network.server.block("tcp dport 5000 drop")

        result = network.check(f"http://{NAME}:5000", "--timeout", "2")

        assert "port 5001" in assert_single_root_cause(result, "tcp/filtered")["detail"]


class TestRejected:
    @pytest.mark.parametrize(
        "verdict",
        [
            "reject",
            "reject with icmpx type admin-prohibited",
            "reject with icmpx type host-unreachable",
            "reject with icmpx type no-route",
        ],
    )
    @pytest.mark.parametrize("host", [SERVER, f"[{SERVER6}]"], ids=["ipv4", "ipv6"])
    def test_a_filter_that_answers(self, network: Network, verdict: str, host: str) -> None:
        network.registry()
        network.server.block(f"tcp dport 5000 {verdict}")

        found = assert_single_root_cause(network.check(f"http://{host}:5000"), "tcp/rejected")

        assert "ICMP" in found["detail"]
        assert "this machine" not in found["detail"]

    def test_the_clients_own_filter(self, network: Network) -> None:
        network.registry()
        network.client.block("tcp dport 5000 reject with icmpx type admin-prohibited", hook="output")

        found = assert_single_root_cause(network.check(f"http://{NAME}:5000"), "tcp/rejected")

        assert "which is this machine: its own filter does that" in found["detail"]

    def test_a_forged_reset_for_a_program_that_listens_here(self, network: Network) -> None:
        network.registry("0.0.0.0", namespace=network.client)
        network.client.block("tcp dport 5000 reject with tcp reset")

        result = network.check("http://10.77.0.1:5000")

        assert_has(result, "tcp/rejected")
        assert_lacks(result, "tcp/refused", "tcp/wrong-port")


class TestUnreachable:
    @pytest.mark.parametrize("host", ["10.99.0.9", "[fd99::9]"], ids=["ipv4", "ipv6"])
    def test_no_route(self, network: Network, host: str) -> None:
        found = assert_single_root_cause(network.check(f"http://{host}:5000"), "tcp/unreachable")

        assert "no route" in found["detail"]

    @pytest.mark.parametrize("host", [ABSENT, f"[{ABSENT6}]"], ids=["ipv4", "ipv6"])
    def test_no_such_machine_on_the_network(self, network: Network, host: str) -> None:
        found = assert_single_root_cause(network.check(f"http://{host}:5000"), "tcp/unreachable")

        assert "No machine answers" in found["detail"]

    def test_no_such_machine_within_a_step_shorter_than_the_kernel_waits(self, network: Network) -> None:
        result = network.check(f"http://{ABSENT}:5000", "--timeout", "1.5")

        assert_single_root_cause(result, "tcp/unreachable")

    @pytest.mark.parametrize("route", ["unreachable", "blackhole"])
    def test_a_route_that_leads_nowhere(self, network: Network, route: str) -> None:
        network.client.run(["ip", "route", "add", route, "10.98.0.0/16"])

        assert_single_root_cause(network.check("http://10.98.0.1:5000"), "tcp/unreachable")

    def test_a_router_that_knows_no_way(self, network: Network) -> None:
        network.client.run(["ip", "route", "add", "default", "via", SERVER])
        network.server.run(["sysctl", "-w", "net.ipv4.ip_forward=1"])

        assert_single_root_cause(network.check("http://10.97.0.1:5000"), "tcp/unreachable")


class TestAddressDead:
    def test_a_replica_that_is_down(self, network: Network) -> None:
        network.registry()

        result = network.check(f"http://{NAME}:5000", addresses=[OTHER, SERVER])

        assert OTHER in assert_single_root_cause(result, "tcp/address-dead")["detail"]

    def test_a_replica_that_is_silent(self, network: Network) -> None:
        network.registry()
        network.server.block(f"ip daddr {OTHER} tcp dport 5000 drop")

        result = network.check(f"http://{NAME}:5000", "--timeout", "2", addresses=[OTHER, SERVER])

        assert OTHER in assert_single_root_cause(result, "tcp/address-dead")["detail"]

    def test_an_ipv6_replica_that_is_down(self, network: Network) -> None:
        network.registry(SERVER6)

        result = network.check(f"http://{NAME}:5000", addresses=[OTHER6, SERVER6])

        assert_single_root_cause(result, "tcp/address-dead")


class TestIpv6Broken:
    def test_ipv6_addresses_only_and_no_route(self, network: Network) -> None:
        found = assert_single_root_cause(
            network.check(f"http://{NAME}:5000", addresses=["2001:db8::1"]), "tcp/ipv6-broken"
        )

        assert found["severity"] == "error"

    def test_ipv6_addresses_only_and_ipv6_switched_off(self, network: Network) -> None:
        network.registry(SERVER6)
        network.client.run(["sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=1"])

        found = assert_single_root_cause(
            network.check(f"http://{NAME}:5000", addresses=[SERVER6]), "tcp/ipv6-broken"
        )

        assert found["severity"] == "error"

    def test_ipv6_that_vanishes_beside_ipv4_that_works(self, network: Network) -> None:
        network.registry()
        network.server.block(f"ip6 daddr {SERVER6} tcp dport 5000 drop")

        found = assert_single_root_cause(
            network.check(f"http://{NAME}:5000", "--timeout", "2", addresses=[SERVER6, SERVER]),
            "tcp/ipv6-broken",
        )

        assert found["severity"] == "warning"


class TestWrongPort:
    def test_the_registry_is_on_5000_and_the_reference_names_no_port(self, network: Network) -> None:
        network.registry()

        result = network.check(f"{NAME}/team/app:1")

        found = assert_single_root_cause(result, "tcp/wrong-port")
        assert f"{NAME}:5000" in found["fix"][0]

    def test_the_registry_is_on_443_with_tls(self, network: Network, authority: Authority) -> None:
        files = authority.issue([NAME], [SERVER]).write(network.folder / "tls")
        network.registry(port=443, tls=files)

        result = network.check(f"{NAME}:5000/team/app:1")

        assert "443 (https)" in assert_single_root_cause(result, "tcp/wrong-port")["detail"]

    def test_the_registry_is_on_5000_with_tls(self, network: Network, authority: Authority) -> None:
        files = authority.issue([NAME], [SERVER]).write(network.folder / "tls")
        network.registry(port=5000, tls=files)

        result = network.check(f"{NAME}/team/app:1")

        assert "5000 (https)" in assert_single_root_cause(result, "tcp/wrong-port")["detail"]

    def test_a_registry_that_wants_a_login(self, network: Network) -> None:
        network.registry(htpasswd={"alice": "wonderland"})

        assert_single_root_cause(network.check(f"http://{NAME}:5555"), "tcp/wrong-port")

    def test_an_ipv6_literal(self, network: Network) -> None:
        network.registry(SERVER6)

        result = network.check(f"http://[{SERVER6}]:5555")

        assert f"[{SERVER6}]:5000" in assert_single_root_cause(result, "tcp/wrong-port")["fix"][0]

    def test_another_web_server_is_no_registry(self, network: Network) -> None:
        network.servers.enter_context(
            HTTPServer(
                lambda _request: Answer(200, b"<html>hello</html>", (("Content-Type", "text/html"),)),
                host=SERVER,
                port=5000,
                namespace=network.server,
            )
        )

        assert_single_root_cause(network.check(f"http://{NAME}:5555"), "tcp/refused")


class TestLargePacketsLost:
    def test_a_tls_handshake_that_hangs(self, network: Network, authority: Authority) -> None:
        files = authority.issue([NAME], [SERVER], key_type="rsa").write(network.folder / "tls")
        network.registry(tls=files)
        network.server.block("tcp sport 5000 meta length > 1000 drop", hook="output")

        result = network.check(f"{NAME}:5000", "--cacert", str(files.ca), "--timeout", "3")

        assert_single_root_cause(result, "tcp/large-packets-lost")

    def test_a_push_that_hangs(self, network: Network) -> None:
        network.registry()
        network.server.block("tcp dport 5000 meta length > 1000 drop")

        result = network.check(f"http://{NAME}:5000", "--push", "--timeout", "3")

        assert_single_root_cause(result, "tcp/large-packets-lost")

    def test_a_manifest_that_hangs(self, network: Network) -> None:
        registry = network.registry()
        push_image(registry, "team/app", "1.0", layers=20)
        network.server.block("tcp sport 5000 meta length > 1000 drop", hook="output")

        result = network.check("--plain-http", f"{NAME}:5000/team/app:1.0", "--timeout", "3")

        assert_single_root_cause(result, "tcp/large-packets-lost")

    def test_a_tunnel_with_a_small_mtu_and_no_icmp(self, tmp_path: Path, authority: Authority) -> None:
        files = authority.issue([NAME], [SERVER], key_type="rsa").write(tmp_path / "tls")
        with Namespace("client") as client, Namespace("router") as router, Namespace("server") as server:
            client.link(router, "10.77.1.1/24", "10.77.1.2/24", default_route=True)
            server.link(router, f"{SERVER}/24", "10.77.0.1/24", default_route=True)
            router.run(["ip", "link", "set", "eth0", "mtu", "1200"])
            router.run(["sysctl", "-w", "net.ipv4.ip_forward=1"])
            router.block("icmp type destination-unreachable drop", hook="output")
            with Registry(tmp_path / "registry", host=SERVER, port=5000, namespace=server, tls=files):
                result = run_regdoctor(
                    "check",
                    f"{NAME}:5000",
                    "--cacert",
                    str(files.ca),
                    "--timeout",
                    "3",
                    in_namespace=client,
                    resolv_conf=NO_NAMESERVER,
                    hosts={NAME: SERVER},
                )

        found = assert_single_root_cause(result, "tcp/large-packets-lost")
        assert "mtu" in found["fix"][0]

    def test_a_server_that_answers_nothing_is_another_matter(self, network: Network) -> None:
        registry = network.registry()
        registry.suspend()

        result = network.check(f"http://{NAME}:5000", "--timeout", "2")

        assert_lacks(result, "tcp/large-packets-lost")
        assert result.report["verdict"] == "failing"
