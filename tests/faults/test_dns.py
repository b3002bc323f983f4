"""Faults of name resolution: real nameservers in network namespaces, the single root cause, healthy twins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.dns_server import DnsBehaviour, DnsServer, question_of, reply_to
from tests.support.dnsmasq import Dnsmasq
from tests.support.forward_proxy import ForwardProxy
from tests.support.netns import LinkedHosts
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry

pytestmark = [pytest.mark.needs("docker-registry", "dnsmasq"), pytest.mark.needs_root]

NAME = "reg.corp.test"
REGISTRY = "10.77.0.2"
FIRST, SECOND = "10.77.0.3", "10.77.0.4"
"""Where nameservers listen; no registry does."""
NOBODY = "127.0.0.53"
"""An address of the client at which no nameserver listens."""
KNOWN = {NAME: [REGISTRY]}


@dataclass
class Network:
    """A client, and on the other side of a cable a registry and the addresses of nameservers."""

    hosts: LinkedHosts
    registry: Registry
    folder: Path
    servers: ExitStack

    def dnsmasq(
        self, host: str, records: Mapping[str, Sequence[str]] | None = None, *options: str
    ) -> Dnsmasq:
        """Start a real nameserver."""
        folder = self.folder / f"dnsmasq-{host}"
        server = Dnsmasq(folder, records, options=options, host=host, namespace=self.hosts.server)
        return self.servers.enter_context(server)

    def faulty(
        self,
        host: str,
        behaviour: DnsBehaviour | None = None,
        *,
        respond: Callable[[bytes, str], bytes | None] | None = None,
        address: str = REGISTRY,
    ) -> DnsServer:
        """Start a nameserver that misbehaves as dnsmasq cannot."""
        return self.servers.enter_context(
            DnsServer(
                {NAME: [address]},
                behaviour=behaviour,
                respond=respond,
                host=host,
                namespace=self.hosts.server,
            )
        )

    def silent(self, host: str) -> DnsServer:
        """Start a nameserver that never answers."""
        return self.faulty(host, DnsBehaviour(silent=True, tcp=False))

    def check(
        self,
        *nameservers: str,
        target: str | None = None,
        arguments: Sequence[str] = (),
        hosts: Mapping[str, str] | None = None,
        more: str = "",
        env: Mapping[str, str] | None = None,
    ) -> CliResult:
        """Run regdoctor on the client, with these lines in its resolv.conf and hosts file."""
        return run_regdoctor(
            "check",
            target or f"http://{NAME}:{self.registry.port}",
            *arguments,
            in_namespace=self.hosts.client,
            resolv_conf="".join(f"nameserver {each}\n" for each in nameservers) + more,
            hosts=hosts or {},
            env=env,
        )


def aliased(
    query: bytes, aliases: Mapping[str, str], address: str | None = None, *, rcode: str = "NOERROR"
) -> bytes:
    """A reply that holds aliases (CNAME), and for the last of them an address or none."""
    import dns.message
    import dns.rcode
    import dns.rrset

    reply = dns.message.make_response(dns.message.from_wire(query))
    reply.set_rcode(dns.rcode.from_text(rcode))
    reply.answer += [
        dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", f"{to}.") for name, to in aliases.items()
    ]
    if address is not None and question_of(query)[1] == "A":
        last = list(aliases.values())[-1]
        reply.answer.append(dns.rrset.from_text(f"{last}.", 60, "IN", "A", address))
    return reply.to_wire()


@pytest.fixture
def network(linked_hosts: LinkedHosts, tmp_path: Path) -> Iterator[Network]:
    for address in (FIRST, SECOND):
        linked_hosts.server.add_address(f"{address}/24", "eth0")
    with (
        Registry(
            tmp_path / "registry", host=REGISTRY, port=5000, name=NAME, namespace=linked_hosts.server
        ) as registry,
        ExitStack() as servers,
    ):
        yield Network(linked_hosts, registry, tmp_path, servers)


class TestHealthy:
    def test_a_name_that_dns_knows(self, network: Network) -> None:
        network.dnsmasq(FIRST, KNOWN)

        assert_healthy(network.check(FIRST))

    def test_a_name_in_the_hosts_file_that_dns_knows_the_same_way(self, network: Network) -> None:
        network.dnsmasq(FIRST, KNOWN)

        assert_healthy(network.check(FIRST, hosts={NAME: REGISTRY}))

    def test_a_name_in_the_hosts_file_that_dns_does_not_know(self, network: Network) -> None:
        network.dnsmasq(FIRST, {}, "address=/corp.test/")

        assert_healthy(network.check(FIRST, hosts={NAME: REGISTRY}))

    @pytest.mark.parametrize("nameservers", [(), (NOBODY,), ("10.99.0.1",)], ids=["none", "closed", "far"])
    def test_a_name_in_the_hosts_file_and_no_nameserver_that_works(
        self, network: Network, nameservers: tuple[str, ...]
    ) -> None:
        assert_healthy(network.check(*nameservers, hosts={NAME: REGISTRY}))

    def test_a_name_in_the_hosts_file_and_a_silent_nameserver_costs_no_time_out(
        self, network: Network
    ) -> None:
        network.silent(FIRST)

        result = network.check(FIRST, hosts={NAME: REGISTRY})

        assert_healthy(result)
        assert result.report["duration_ms"] < 3000

    def test_an_address_needs_no_nameserver(self, network: Network) -> None:
        assert_healthy(network.check(NOBODY, target=f"http://{REGISTRY}:5000"))

    def test_a_nameserver_that_is_asked_last_and_dead(self, network: Network) -> None:
        network.dnsmasq(FIRST, KNOWN)
        network.silent(SECOND)

        assert_healthy(network.check(FIRST, SECOND))

    def test_a_name_completed_by_the_search_list(self, network: Network) -> None:
        network.dnsmasq(FIRST, {"reg.corp.test": [REGISTRY]}, "address=/reg/")

        assert_healthy(network.check(FIRST, target="http://reg:5000", more="search corp.test\n"))

    def test_a_relative_name_completed_by_the_search_list(self, network: Network) -> None:
        network.dnsmasq(FIRST, {"reg.eu.corp.test": [REGISTRY]}, "address=/eu/")

        assert_healthy(network.check(FIRST, target="http://reg.eu:5000", more="search corp.test\n"))

    def test_a_wildcard_in_the_search_list_that_is_not_reached(self, network: Network) -> None:
        network.dnsmasq(FIRST, KNOWN, f"address=/wild.test/{SECOND}")

        assert_healthy(network.check(FIRST, more="search wild.test\n"))

    def test_long_answers_that_tcp_delivers(self, network: Network) -> None:
        network.faulty(FIRST, DnsBehaviour(truncate=True))

        assert_healthy(network.check(FIRST))

    def test_a_nameserver_given_by_option(self, network: Network) -> None:
        server = network.servers.enter_context(
            Dnsmasq(
                network.folder / "other-port", KNOWN, host=FIRST, port=5353, namespace=network.hosts.server
            )
        )

        assert_healthy(network.check(NOBODY, arguments=["--resolver", server.address]))

    def test_a_name_that_only_the_proxy_can_resolve(self, network: Network) -> None:
        proxy = network.servers.enter_context(
            ForwardProxy(addresses={NAME: REGISTRY}, host=FIRST, namespace=network.hosts.server)
        )

        result = network.check(NOBODY, env={"HTTP_PROXY": proxy.url})

        # Whether this machine has a container daemon without that proxy is another matter.
        assert_healthy(result, allow=["proxy/daemon-differs"])

    def test_an_internationalised_name(self, network: Network) -> None:
        network.dnsmasq(FIRST, {"xn--bcher-kva.test": [REGISTRY]})

        assert_healthy(network.check(FIRST, target="http://bücher.test:5000"))

    def test_an_alias_of_a_name_that_has_an_address(self, network: Network) -> None:
        aliases = {NAME: "real.corp.test"}
        network.faulty(FIRST, respond=lambda query, _transport: aliased(query, aliases, REGISTRY))

        assert_healthy(network.check(FIRST))

    @pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NXDOMAIN", "NOTIMP"])
    def test_a_nameserver_that_fails_for_ipv6_alone(self, network: Network, rcode: str) -> None:
        """Clients do with the answer for IPv4."""

        def respond(query: bytes, _transport: str) -> bytes:
            if question_of(query)[1] == "AAAA":
                return reply_to(query, rcode=rcode)
            return reply_to(query, REGISTRY)

        network.faulty(FIRST, respond=respond)

        assert_healthy(network.check(FIRST))

    def test_addresses_that_take_turns(self, network: Network) -> None:
        for address in ("10.77.0.21/24", "10.77.0.22/24"):
            network.hosts.server.add_address(address, "eth0")
        for host in ("10.77.0.21", "10.77.0.22"):
            folder = network.folder / f"registry-{host}"
            network.servers.enter_context(
                Registry(folder, host=host, port=5000, name=NAME, namespace=network.hosts.server)
            )
        network.dnsmasq(FIRST, {NAME: ["10.77.0.21"]})
        network.dnsmasq(SECOND, {NAME: ["10.77.0.22"]})

        assert_healthy(network.check(FIRST, SECOND))


class TestNameNotFound:
    def test_a_name_that_dns_denies(self, network: Network) -> None:
        network.dnsmasq(FIRST, {}, "address=/corp.test/")

        found = assert_single_root_cause(network.check(FIRST), "dns/name-not-found")

        assert "NXDOMAIN" in found["detail"]
        assert FIRST in found["detail"]

    def test_a_name_without_addresses(self, network: Network) -> None:
        network.dnsmasq(FIRST, {}, f"txt-record={NAME},hello", "local=/corp.test/")

        found = assert_single_root_cause(network.check(FIRST), "dns/name-not-found")

        assert "no address" in found["detail"]

    @pytest.mark.parametrize(
        ("aliases", "rcode", "words"),
        [
            ({NAME: "gone.corp.test"}, "NXDOMAIN", "an alias (CNAME) of gone.corp.test"),
            ({NAME: "gone.corp.test"}, "NOERROR", "an alias (CNAME) of gone.corp.test"),
            ({NAME: "b.corp.test", "b.corp.test": NAME}, "NOERROR", "in a circle"),
        ],
        ids=["to nothing", "to no address", "in a circle"],
    )
    def test_an_alias_that_leads_nowhere(
        self, network: Network, aliases: dict[str, str], rcode: str, words: str
    ) -> None:
        network.faulty(FIRST, respond=lambda query, _transport: aliased(query, aliases, rcode=rcode))

        found = assert_single_root_cause(network.check(FIRST), "dns/name-not-found")

        assert words in found["detail"]
        assert "CNAME" in found["fix"][0]

    @pytest.mark.parametrize("address", ["0.0.0.0", "::"])
    def test_a_name_that_a_filter_denies(self, network: Network, address: str) -> None:
        network.dnsmasq(FIRST, {NAME: [address]})

        found = assert_single_root_cause(network.check(FIRST), "dns/name-not-found")

        assert address in found["detail"]
        assert "filter" in found["fix"][0]

    def test_an_internationalised_name(self, network: Network) -> None:
        network.dnsmasq(FIRST, {}, "address=/test/")

        assert_single_root_cause(network.check(FIRST, target="http://bücher.test:5000"), "dns/name-not-found")

    def test_by_a_nameserver_given_by_option(self, network: Network) -> None:
        network.dnsmasq(FIRST, {}, "address=/corp.test/")
        network.dnsmasq(SECOND, KNOWN)

        assert_single_root_cause(network.check(SECOND, arguments=["--resolver", FIRST]), "dns/name-not-found")

    def test_dns_that_is_switched_off(self, network: Network) -> None:
        network.dnsmasq(FIRST, KNOWN)

        result = run_regdoctor(
            "check",
            f"http://{NAME}:5000",
            in_namespace=network.hosts.client,
            files={"/etc/nsswitch.conf": "hosts: files\n", "/etc/resolv.conf": f"nameserver {FIRST}\n"},
        )

        assert "nsswitch.conf" in assert_single_root_cause(result, "dns/name-not-found")["detail"]


class TestClusterName:
    @pytest.mark.parametrize("name", ["registry.default.svc.cluster.local", "registry.default.svc"])
    def test_outside_the_cluster(self, network: Network, name: str) -> None:
        network.dnsmasq(FIRST, {}, "address=/local/", "address=/svc/")

        assert_single_root_cause(network.check(FIRST, target=f"http://{name}:5000"), "dns/cluster-name")

    def test_outside_the_cluster_where_the_nameserver_refuses_such_names(self, network: Network) -> None:
        """dnsmasq without an upstream refuses what it does not know."""
        network.dnsmasq(FIRST, KNOWN)

        found = assert_single_root_cause(
            network.check(FIRST, target="http://registry.kube-system.svc.cluster.local:5000"),
            "dns/cluster-name",
        )

        assert found["certainty"] == "likely"

    def test_inside_the_cluster_it_is_a_name_that_does_not_exist(self, network: Network) -> None:
        network.dnsmasq(FIRST, {}, "address=/local/")

        result = network.check(
            FIRST,
            target="http://registry.default.svc.cluster.local:5000",
            more="search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n",
        )

        assert_single_root_cause(result, "dns/name-not-found")

    def test_inside_the_cluster_a_name_that_exists_is_healthy(self, network: Network) -> None:
        name = "registry.default.svc.cluster.local"
        network.dnsmasq(FIRST, {name: [REGISTRY]}, "address=/cluster.local/")

        result = network.check(
            FIRST,
            target=f"http://{name}:5000",
            more="search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n",
        )

        assert_healthy(result)


class TestResolverTimeout:
    def test_one_silent_nameserver(self, network: Network) -> None:
        network.silent(FIRST)

        result = network.check(FIRST, arguments=["--timeout", "2"])

        assert FIRST in assert_single_root_cause(result, "dns/resolver-timeout")["detail"]
        assert result.report["duration_ms"] < 3500

    def test_two_silent_nameservers_cost_one_time_out(self, network: Network) -> None:
        network.silent(FIRST)
        network.silent(SECOND)

        result = network.check(FIRST, SECOND, arguments=["--timeout", "2"])

        assert_single_root_cause(result, "dns/resolver-timeout")
        assert result.report["duration_ms"] < 4000

    def test_port_53_dropped(self, network: Network) -> None:
        network.dnsmasq(FIRST, KNOWN)
        network.hosts.client.block("udp dport 53 drop", hook="output")

        assert_single_root_cause(network.check(FIRST, arguments=["--timeout", "2"]), "dns/resolver-timeout")

    def test_a_nameserver_to_which_there_is_no_route(self, network: Network) -> None:
        assert_single_root_cause(network.check("10.99.0.1"), "dns/resolver-timeout")


class TestResolverRefused:
    def test_nothing_listens(self, network: Network) -> None:
        found = assert_single_root_cause(network.check(NOBODY), "dns/resolver-refused")

        assert NOBODY in found["detail"]

    def test_an_empty_resolv_conf(self, network: Network) -> None:
        found = assert_single_root_cause(network.check(), "dns/resolver-refused")

        assert "/etc/resolv.conf is empty" in found["detail"]

    def test_a_resolv_conf_without_nameserver(self, network: Network) -> None:
        found = assert_single_root_cause(network.check(more="search corp.test\n"), "dns/resolver-refused")

        assert "names no nameserver" in found["detail"]


class TestServerFailure:
    def test_a_zone_that_is_refused(self, network: Network) -> None:
        network.dnsmasq(FIRST, {})

        assert "REFUSED" in assert_single_root_cause(network.check(FIRST), "dns/server-failure")["detail"]

    def test_a_dead_forwarder(self, network: Network) -> None:
        network.faulty(FIRST, DnsBehaviour(rcode="SERVFAIL"))

        assert "SERVFAIL" in assert_single_root_cause(network.check(FIRST), "dns/server-failure")["detail"]

    def test_dnssec_that_does_not_hold(self, network: Network) -> None:
        checking_disabled = 0x10

        def respond(query: bytes, _transport: str) -> bytes:
            if query[3] & checking_disabled:
                return reply_to(query, REGISTRY)
            return reply_to(query, rcode="SERVFAIL")

        network.faulty(FIRST, respond=respond)

        found = assert_single_root_cause(network.check(FIRST), "dns/server-failure")

        assert "DNSSEC" in found["fix"][0]

    def test_a_broken_reply_for_ipv4_only(self, network: Network) -> None:
        server = network.faulty(FIRST, DnsBehaviour(malformed=("A",)))
        server.records[NAME] = (REGISTRY, "2001:db8::1")

        result = network.check(FIRST)

        assert "cannot be read" in assert_single_root_cause(result, "dns/server-failure")["detail"]
        assert_lacks(result, "dns/name-not-found")


class TestNameserverDegraded:
    def test_the_first_is_dead(self, network: Network) -> None:
        network.silent(FIRST)
        network.dnsmasq(SECOND, KNOWN)

        found = assert_single_root_cause(network.check(FIRST, SECOND), "dns/nameserver-degraded")

        assert found["severity"] == "warning"
        assert FIRST in found["detail"]

    def test_the_first_is_dead_and_a_step_shorter_than_the_resolver_waits(self, network: Network) -> None:
        network.silent(FIRST)
        network.dnsmasq(SECOND, KNOWN)

        result = network.check(FIRST, SECOND, arguments=["--timeout", "1"], more="options timeout:2\n")

        assert_single_root_cause(result, "dns/nameserver-degraded")

    def test_one_that_loses_every_other_question(self, network: Network) -> None:
        seen: set[bytes] = set()

        def respond(query: bytes, _transport: str) -> bytes | None:
            if query not in seen:
                seen.add(query)
                return None
            return reply_to(query, REGISTRY)

        network.faulty(FIRST, respond=respond)

        found = assert_single_root_cause(
            network.check(FIRST, more="options timeout:2\n"), "dns/nameserver-degraded"
        )

        assert found["severity"] == "warning"

    def test_a_slow_one(self, network: Network) -> None:
        network.faulty(FIRST, DnsBehaviour(delay=2.2))

        found = assert_single_root_cause(network.check(FIRST), "dns/nameserver-degraded")

        assert found["severity"] == "warning"

    def test_questions_for_ipv6_that_are_never_answered(self, network: Network) -> None:
        def respond(query: bytes, _transport: str) -> bytes | None:
            return None if question_of(query)[1] == "AAAA" else reply_to(query, REGISTRY)

        network.faulty(FIRST, respond=respond)

        found = assert_single_root_cause(network.check(FIRST), "dns/nameserver-degraded")

        assert "IPv6 (AAAA records) are never answered" in found["detail"]

    def test_long_answers_and_tcp_closed(self, network: Network) -> None:
        network.faulty(FIRST, DnsBehaviour(truncate=True, tcp=False))

        found = assert_single_root_cause(network.check(FIRST), "dns/nameserver-degraded")

        assert found["severity"] == "error"
        assert "TCP" in found["detail"]

    def test_many_addresses_and_tcp_dropped(self, network: Network) -> None:
        addresses = [f"10.77.1.{number}" for number in range(1, 100)]
        network.dnsmasq(FIRST, {NAME: addresses})
        network.hosts.server.block("tcp dport 53 drop")

        result = network.check(FIRST, arguments=["--timeout", "2"])

        assert "TCP" in assert_has(result, "dns/nameserver-degraded")["detail"]


class TestHostsOverride:
    def test_a_line_that_leads_to_a_dead_address(self, network: Network) -> None:
        network.dnsmasq(FIRST, KNOWN)

        result = network.check(FIRST, hosts={NAME: SECOND})

        found = assert_single_root_cause(result, "dns/hosts-override")
        assert "/etc/hosts:3" in found["evidence"]
        assert REGISTRY in found["detail"]
        assert assert_has(result, "tcp/refused")["caused_by"] == found["id"]

    def test_a_line_that_leads_into_silence(self, network: Network) -> None:
        network.dnsmasq(FIRST, KNOWN)
        network.hosts.server.block(f"ip daddr {SECOND} tcp dport 5000 drop")

        result = network.check(FIRST, hosts={NAME: SECOND}, arguments=["--timeout", "2"])

        assert_single_root_cause(result, "dns/hosts-override")

    def test_a_line_that_leads_to_another_web_server(self, network: Network) -> None:
        from tests.support.http_server import Answer, HTTPServer

        network.dnsmasq(FIRST, KNOWN)
        network.servers.enter_context(
            HTTPServer(
                lambda _request: Answer(404, b"<html>no</html>", (("Content-Type", "text/html"),)),
                host=SECOND,
                port=5000,
                namespace=network.hosts.server,
            )
        )

        assert_has(network.check(FIRST, hosts={NAME: SECOND}), "dns/hosts-override")

    def test_a_line_that_leads_to_a_working_registry_is_only_worth_a_remark(self, network: Network) -> None:
        network.dnsmasq(FIRST, {NAME: [SECOND]})

        result = network.check(FIRST, hosts={NAME: REGISTRY})

        assert_healthy(result)
        assert assert_has(result, "dns/hosts-override")["severity"] == "info"

    def test_a_registry_that_is_down_everywhere_is_no_fault_of_the_line(self, network: Network) -> None:
        network.dnsmasq(FIRST, {NAME: [FIRST]})

        assert_single_root_cause(network.check(FIRST, hosts={NAME: SECOND}), "tcp/refused")


class TestAnswersDiffer:
    def test_the_first_nameserver_holds_a_stale_address(self, network: Network) -> None:
        network.dnsmasq(FIRST, {NAME: [SECOND]})
        network.dnsmasq(SECOND, KNOWN)

        result = network.check(FIRST, SECOND)

        found = assert_single_root_cause(result, "dns/answers-differ")
        assert found["severity"] == "error"
        assert assert_has(result, "tcp/refused")["caused_by"] == found["id"]

    def test_a_stale_address_at_which_another_server_has_taken_over(
        self, network: Network, authority: Authority
    ) -> None:
        right = authority.issue([NAME], [REGISTRY]).write(network.folder / "right")
        wrong = authority.issue(["other.test"], [SECOND]).write(network.folder / "wrong")
        for host, files in ((REGISTRY, right), (SECOND, wrong)):
            network.servers.enter_context(
                Registry(
                    network.folder / f"tls-{host}",
                    host=host,
                    port=443,
                    name=NAME,
                    tls=files,
                    namespace=network.hosts.server,
                )
            )
        network.dnsmasq(FIRST, {NAME: [SECOND]})
        network.dnsmasq(SECOND, KNOWN)

        result = network.check(FIRST, SECOND, target=f"https://{NAME}", arguments=["--cacert", str(right.ca)])

        assert_single_root_cause(result, "dns/answers-differ")

    def test_the_second_nameserver_holds_a_stale_address(self, network: Network) -> None:
        network.dnsmasq(FIRST, KNOWN)
        network.dnsmasq(SECOND, {NAME: [FIRST]})

        found = assert_single_root_cause(network.check(FIRST, SECOND), "dns/answers-differ")

        assert found["severity"] == "warning"

    def test_only_the_second_nameserver_knows_the_name(self, network: Network) -> None:
        network.dnsmasq(FIRST, {}, "address=/corp.test/")
        network.dnsmasq(SECOND, KNOWN)

        assert_single_root_cause(network.check(FIRST, SECOND), "dns/answers-differ")


class TestSearchListCapture:
    def test_a_wildcard_in_the_search_list(self, network: Network) -> None:
        network.dnsmasq(FIRST, KNOWN, f"address=/wild.test/{SECOND}")

        result = network.check(FIRST, more="search wild.test\noptions ndots:5\n")

        found = assert_single_root_cause(result, "dns/search-list-capture")
        assert f"{NAME}.wild.test" in found["detail"]
        assert found["certainty"] == "proven"
        assert assert_has(result, "tcp/refused")["caused_by"] == found["id"]

    def test_a_name_of_its_own_in_the_search_list(self, network: Network) -> None:
        network.dnsmasq(FIRST, {**KNOWN, f"{NAME}.old.test": [SECOND]}, "address=/old.test/")

        result = network.check(FIRST, more="search old.test\noptions ndots:5\n")

        assert_single_root_cause(result, "dns/search-list-capture")

    def test_a_wildcard_that_leads_to_the_registry_is_healthy(self, network: Network) -> None:
        network.dnsmasq(FIRST, {}, f"address=/wild.test/{REGISTRY}", "address=/corp.test/")

        assert_healthy(network.check(FIRST, more="search wild.test\noptions ndots:5\n"))
