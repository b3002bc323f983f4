"""Connections to every address at once, and how each attempt ends."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regdoctor.facts import ConnectionAttempt, FailureKind
from regdoctor.net import tcp
from tests.support.netns import LinkedHosts

Kind = FailureKind


@contextmanager
def listener(host: str = "127.0.0.1", *, only_ipv6: bool = False) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as opened:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_ipv6))
        opened.bind((host, 0))
        opened.listen()
        yield opened.getsockname()[1]


class TestConnectAll:
    def test_an_open_port(self) -> None:
        with listener() as port:
            (attempt,) = tcp.connect_all(["127.0.0.1"], port, 2.0)

        assert (attempt.address, attempt.port, attempt.failure) == ("127.0.0.1", port, None)

    def test_a_closed_port(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            (attempt,) = tcp.connect_all(["127.0.0.1"], unused.getsockname()[1], 2.0)

        assert attempt.failure is not None
        assert attempt.failure.kind is Kind.CONNECTION_REFUSED
        assert attempt.failure.errno == "ECONNREFUSED"
        assert attempt.icmp is None
        assert attempt.listening is False

    def test_addresses_keep_their_order(self) -> None:
        with listener() as port:
            attempts = tcp.connect_all(["127.0.0.2", "127.0.0.1", "::1"], port, 2.0)

        assert [each.address for each in attempts] == ["127.0.0.2", "127.0.0.1", "::1"]
        assert [each.failure is None for each in attempts] == [False, True, False]

    def test_more_addresses_than_are_tried_at_once(self) -> None:
        addresses = [f"127.0.1.{number}" for number in range(1, 101)]
        with listener("0.0.0.0") as port:
            attempts = tcp.connect_all(addresses, port, 2.0)

        assert [each.address for each in attempts] == addresses
        assert all(each.failure is None for each in attempts)

    def test_no_addresses(self) -> None:
        assert tcp.connect_all([], 1, 1.0) == ()

    def test_connections_are_closed(self) -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            tcp.connect_all(["127.0.0.1"], server.getsockname()[1], 2.0)
            server.settimeout(5)
            connection, _ = server.accept()
            with connection:
                connection.settimeout(5)

                assert connection.recv(1) == b""


@pytest.mark.needs_root
class TestPacketFilters:
    def _connect(
        self, linked: LinkedHosts, timeout: float = 2.0, address: str | None = None
    ) -> tuple[ConnectionAttempt, FailureKind]:
        addresses = [address or linked.server_address]
        (attempt,) = linked.client.call(lambda: tcp.connect_all(addresses, 5000, timeout))
        assert attempt.failure is not None
        return attempt, attempt.failure.kind

    @pytest.mark.parametrize(
        ("reject", "name", "kind"),
        [
            ("icmpx type admin-prohibited", "admin-prohibited", Kind.CONNECTION_PROHIBITED),
            ("icmp type host-prohibited", "host-prohibited", Kind.CONNECTION_PROHIBITED),
            ("icmp type net-prohibited", "net-prohibited", Kind.CONNECTION_PROHIBITED),
            ("icmpx type port-unreachable", "port-unreachable", Kind.CONNECTION_PROHIBITED),
            ("icmpx type host-unreachable", "host-unreachable", Kind.HOST_UNREACHABLE),
            ("icmpx type no-route", "net-unreachable", Kind.NETWORK_UNREACHABLE),
        ],
    )
    def test_icmp_errors_are_told_apart(
        self, linked_hosts: LinkedHosts, reject: str, name: str, kind: FailureKind
    ) -> None:
        match = "meta nfproto ipv4 " if reject.startswith("icmp ") else ""
        linked_hosts.server.block(f"{match}tcp dport 5000 reject with {reject}")

        attempt, found = self._connect(linked_hosts)

        assert found is kind
        assert (attempt.icmp, attempt.icmp_sender) == (name, linked_hosts.server_address)

    def test_a_forged_reset_looks_like_a_closed_port(self, linked_hosts: LinkedHosts) -> None:
        linked_hosts.server.block("tcp dport 5000 reject with tcp reset")

        attempt, found = self._connect(linked_hosts)

        assert found is Kind.CONNECTION_REFUSED
        assert attempt.listening is None

    def test_silence_costs_one_time_out(self, linked_hosts: LinkedHosts) -> None:
        linked_hosts.server.block("tcp dport 5000 drop")
        started = time.monotonic()

        attempt, found = self._connect(linked_hosts, 0.5)

        assert found is Kind.CONNECTION_TIMEOUT
        assert 0.5 <= time.monotonic() - started < 1.5
        assert attempt.seconds == pytest.approx(0.5, abs=0.3)

    def test_an_address_that_nobody_has(self, linked_hosts: LinkedHosts) -> None:
        attempt, found = self._connect(linked_hosts, 1.0, "10.77.0.99")

        assert found is Kind.HOST_UNREACHABLE
        assert attempt.seconds < 2

    def test_no_route(self, linked_hosts: LinkedHosts) -> None:
        assert self._connect(linked_hosts, address="10.99.0.1")[1] is Kind.NETWORK_UNREACHABLE

    def test_a_filter_before_a_program_that_listens_here(self, linked_hosts: LinkedHosts) -> None:
        def listen_and_connect() -> ConnectionAttempt:
            with socket.socket() as opened:
                opened.bind(("0.0.0.0", 5000))
                opened.listen()
                return tcp.connect_all([linked_hosts.client_address], 5000, 1.0)[0]

        linked_hosts.client.block("tcp dport 5000 reject with tcp reset")

        assert linked_hosts.client.call(listen_and_connect).listening is True


class TestListening:
    """Which addresses of this machine a listening socket serves."""

    @pytest.mark.parametrize(
        ("bound", "served"),
        [
            ("127.0.0.1", {"127.0.0.1": True, "127.0.0.2": False, "::1": False}),
            ("0.0.0.0", {"127.0.0.1": True, "127.0.0.2": True, "::1": False}),
            ("::1", {"127.0.0.1": False, "::1": True}),
            ("::", {"127.0.0.1": True, "::1": True}),
        ],
    )
    def test_by_the_address_it_is_bound_to(self, bound: str, served: dict[str, bool]) -> None:
        with listener(bound) as port:
            found = {address: tcp.is_listening(address, port) for address in served}

        assert found == served

    def test_a_socket_for_ipv6_alone(self) -> None:
        with listener("::", only_ipv6=True) as port:
            assert tcp.is_listening("127.0.0.1", port) is False
            assert tcp.is_listening("::1", port) is True


def test_addresses_of_this_machine() -> None:
    assert tcp.is_own_address("127.0.0.1")
    assert tcp.is_own_address("127.9.9.9")
    assert not tcp.is_own_address("192.0.2.123")
    assert not tcp.is_own_address("2001:db8::1")


class TestAbsentNeighbour:
    TABLE = (
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.0.0.9         0x1         0x0         00:00:00:00:00:00     *        eth0\n"
        "10.0.0.2         0x1         0x2         ce:34:39:b9:9f:bf     *        eth0\n"
    )

    @pytest.mark.parametrize(
        ("address", "absent"), [("10.0.0.9", True), ("10.0.0.2", False), ("10.0.0.3", False)]
    )
    def test_by_the_kernels_table(self, tmp_path: Path, address: str, absent: bool) -> None:
        table = tmp_path / "arp"
        table.write_text(self.TABLE)

        assert tcp.is_absent_neighbour(address, table) is absent

    def test_without_the_table_nothing_is_said(self, tmp_path: Path) -> None:
        assert tcp.is_absent_neighbour("10.0.0.9", tmp_path / "arp") is False
