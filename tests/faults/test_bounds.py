"""What a run costs those that it looks at: a few dozen small requests for the worst, and no look beyond the host.

Counted where it arrives: by the servers themselves, and by the packet filter of their namespace.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import NAME, TokenRegistry
from tests.support.dns_server import DnsBehaviour, DnsServer
from tests.support.http_server import Answer, HTTPServer, Request, json_answer
from tests.support.images import push_image
from tests.support.netns import LinkedHosts, Namespace
from tests.support.ntp import NtpBehaviour, NtpServer
from tests.support.regdoctor_cli import CliResult, codes, root_codes, run_regdoctor
from tests.support.registry import Registry
from tests.support.skewed_proxy import SkewedProxy

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

DOZENS = 36
"""Requests of one whole run to one host, whatever it answers."""
SERVER, OTHER = "10.77.0.2", "10.77.0.3"
USUAL_PORTS = {443, 5000, 5001, 80, 8443}


def page(_request: Request) -> Answer:
    return Answer(200, b"<html><title>Welcome</title></html>", [("Content-Type", "text/html")])


def unavailable(_request: Request) -> Answer:
    return Answer(503, b"no backend", [("Content-Type", "text/plain")])


def too_many(_request: Request) -> Answer:
    return Answer(429, b"slow down", [("Retry-After", "1")])


def round_and_round(request: Request) -> Answer:
    return Answer(302, b"", [("Location", f"/v2/{len(request.target)}{request.target}")])


def wants_a_login(request: Request) -> Answer:
    return json_answer(401, {"errors": []}, ("WWW-Authenticate", 'Basic realm="x"'))


def now_and_then() -> Callable[[Request], Answer]:
    counted: list[Request] = []

    def respond(request: Request) -> Answer:
        counted.append(request)
        return json_answer(200, {}) if len(counted) % 2 else unavailable(request)

    return respond


@pytest.mark.parametrize("image", ["", "/team/app:1.0"])
@pytest.mark.parametrize(
    "respond",
    [page, unavailable, too_many, round_and_round, wants_a_login, now_and_then()],
    ids=["page", "unavailable", "too many", "redirects", "login", "now and then"],
)
def test_a_host_that_answers_oddly_gets_a_few_dozen_requests(
    respond: Callable[[Request], Answer], image: str
) -> None:
    with HTTPServer(respond) as server:
        result = run_regdoctor("check", f"127.0.0.1:{server.port}{image}", "--plain-http")

        assert root_codes(result.report)
        assert 0 < len(server.requests) <= DOZENS, Counter(each.target for each in server.requests)
        assert all(len(each.body) == 0 and each.method in ("GET", "HEAD") for each in server.requests)


def test_a_healthy_image_gets_a_few_dozen_requests(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0", layers=4)
    with SkewedProxy(registry.upstream, offset=0) as counted:
        result = run_regdoctor("check", f"127.0.0.1:{counted.port}/team/app:1.0", "--plain-http")

        assert result.report["verdict"] == "healthy"
        assert 0 < len(counted.requests) <= DOZENS, Counter(each.target for each in counted.requests)


def test_every_host_on_the_way_gets_a_few_dozen(token_registry: TokenRegistry) -> None:
    registry = token_registry.registry
    assert registry.tls is not None
    result = run_regdoctor(
        "check", f"{registry.address}/team/app:1.0", "--cacert", registry.tls.ca, hosts=registry.hosts
    )

    (target,) = result.report["targets"]
    by_host = Counter(re.sub(r"(https?://[^/]+).*", r"\1", each["url"]) for each in target["exchanges"])
    assert len(by_host) == 2
    assert max(by_host.values()) <= DOZENS, by_host


def counting(namespace: Namespace) -> Callable[[], Counter[tuple[str, int]]]:
    """Count the connections that are begun at each address and port of a namespace."""
    namespace.nft(
        """
        table inet counted {
            set begun { type ipv4_addr . inet_service; size 4096; flags dynamic; counter; };
            chain c {
                type filter hook prerouting priority -300;
                tcp flags & (syn | ack) == syn update @begun { ip daddr . tcp dport };
            };
        }
        """
    )

    def read() -> Counter[tuple[str, int]]:
        listed = json.loads(namespace.run(["nft", "-j", "list", "set", "inet", "counted", "begun"]).stdout)
        (found,) = [each["set"] for each in listed["nftables"] if "set" in each]
        begun: Counter[tuple[str, int]] = Counter()
        for element in found.get("elem", []):
            address, port = element["elem"]["val"]["concat"]
            begun[address, port] += element["elem"]["counter"]["packets"]
        return begun

    return read


class TestPortLook:
    """A closed port leads to the other usual ports of the same host, one connection each."""

    @pytest.mark.parametrize("port", [5000, 8080])
    def test_is_one_connection_to_each_usual_port(self, linked_hosts: LinkedHosts, port: int) -> None:
        linked_hosts.server.add_address(f"{OTHER}/24", "eth0")
        begun = counting(linked_hosts.server)

        result = check(linked_hosts, f"http://{NAME}:{port}")

        assert root_codes(result.report) == ["tcp/refused"]
        seen = begun()
        assert {address for address, _port in seen} == {SERVER}
        others = {number: count for (_address, number), count in seen.items() if number != port}
        assert others == dict.fromkeys(USUAL_PORTS - {port}, 1)
        assert seen[SERVER, port] <= 8

    def test_ends_with_few_questions_to_what_is_open(self, linked_hosts: LinkedHosts, tmp_path: Path) -> None:
        with Registry(tmp_path / "r", host=SERVER, port=5001, name=NAME, namespace=linked_hosts.server):
            begun = counting(linked_hosts.server)
            result = check(linked_hosts, f"http://{NAME}:5000")

        assert root_codes(result.report) == ["tcp/wrong-port"]
        assert begun()[SERVER, 5001] <= 3

    def test_is_left_out_where_the_port_is_open(self, linked_hosts: LinkedHosts, tmp_path: Path) -> None:
        with Registry(tmp_path / "r", host=SERVER, port=5000, name=NAME, namespace=linked_hosts.server):
            begun = counting(linked_hosts.server)
            result = check(linked_hosts, f"http://{NAME}:5000")

        assert result.report["verdict"] == "healthy"
        assert set(begun()) == {(SERVER, 5000)}


def check(hosts: LinkedHosts, target: str, *arguments: str, resolv_conf: str = "") -> CliResult:
    return run_regdoctor(
        "check",
        target,
        *arguments,
        in_namespace=hosts.client,
        hosts={} if resolv_conf else {NAME: SERVER},
        resolv_conf=resolv_conf or "nameserver 127.0.0.53\n",
    )


@pytest.mark.parametrize(
    "behaviour", [DnsBehaviour(), DnsBehaviour(rcode="SERVFAIL"), DnsBehaviour(truncate=True)]
)
def test_each_nameserver_gets_a_few_questions(linked_hosts: LinkedHosts, behaviour: DnsBehaviour) -> None:
    linked_hosts.server.add_address(f"{OTHER}/24", "eth0")
    with ExitStack() as stack:
        asked = [
            stack.enter_context(DnsServer({}, behaviour=behaviour, host=host, namespace=linked_hosts.server))
            for host in (SERVER, OTHER)
        ]
        result = check(
            linked_hosts,
            f"http://{NAME}:5000",
            resolv_conf=f"nameserver {SERVER}\nnameserver {OTHER}\nsearch one.test two.test three.test\n",
        )

    assert any(code.startswith("dns/") for code in codes(result.report))
    # Four names of two types, by UDP and TCP, asked by the C library and by regdoctor itself.
    assert all(len(each.queries) <= 48 for each in asked), [Counter(each.queries) for each in asked]


def test_a_time_server_gets_two_questions(registry: Registry) -> None:
    with NtpServer(behaviour=NtpBehaviour(silent=True)) as server:
        run_regdoctor("check", registry.url, "--ntp-server", server.address, "--timeout", "2")

        assert 0 < server.queries <= 2


def test_a_run_ends_by_its_deadline_whatever_hangs(linked_hosts: LinkedHosts) -> None:
    linked_hosts.server.block("ip saddr 10.77.0.1 drop")
    with NtpServer(host=SERVER, namespace=linked_hosts.server) as ntp:
        result = check(
            linked_hosts,
            f"http://{NAME}:5000",
            *("--timeout", "1", "--deadline", "4", "--ntp-server", ntp.address),
            resolv_conf=f"nameserver {SERVER}\n",
        )

    assert result.report["duration_ms"] < 5500
    assert root_codes(result.report) == ["dns/resolver-timeout"]
