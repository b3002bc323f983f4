"""What rules make of connections: facts in, findings out."""

from __future__ import annotations

import pytest

from regdoctor.api import (
    Addresses,
    Certainty,
    ConnectionAttempt,
    Connections,
    Draft,
    Endpoint,
    Failure,
    FailureKind,
    OtherPort,
    OtherPorts,
    RepeatedConnections,
    Role,
    SegmentTrial,
    SegmentTrials,
    Severity,
)
from regdoctor.checks.tcp import rules
from tests.checks.dns.examples import answer

Kind = FailureKind
ENDPOINT = Endpoint(role=Role.REGISTRY, scheme="https", host="reg.test", port=5000, path="/v2/")
PROXIED = Endpoint(
    role=Role.REGISTRY, scheme="https", host="reg.test", port=5000, proxy="http://proxy.test:3128"
)


def attempt(
    address: str = "10.0.0.1",
    kind: FailureKind | None = None,
    *,
    seconds: float = 0.01,
    icmp: str | None = None,
    sender: str | None = None,
    listening: bool | None = None,
    port: int = 5000,
) -> ConnectionAttempt:
    failure = Failure(kind=kind, message=f"{address}: {kind}") if kind is not None else None
    return ConnectionAttempt(
        address=address,
        port=port,
        seconds=seconds,
        failure=failure,
        icmp=icmp,
        icmp_sender=sender,
        listening=listening,
    )


def judge(
    *attempts: ConnectionAttempt,
    endpoint: Endpoint = ENDPOINT,
    literal: bool = False,
    repeated: RepeatedConnections | None = None,
    other_ports: OtherPorts | None = None,
) -> list[Draft]:
    """Every rule about connections, as the engine applies them."""
    addresses = Addresses(
        host=endpoint.host,
        literal=literal,
        addresses=tuple(each.address for each in attempts),
        seconds=0.0,
    )
    connections = Connections(attempts=attempts)
    drafts = [
        *rules.not_connected(endpoint, addresses, connections, repeated, other_ports),
        *rules.partly_connected(endpoint, connections),
    ]
    if repeated is not None:
        drafts += rules.sometimes_connected(endpoint, connections, repeated)
    return drafts


def codes(drafts: list[Draft]) -> list[str]:
    return [draft.code for draft in drafts]


REFUSED = attempt(kind=Kind.CONNECTION_REFUSED)
SILENT = attempt(kind=Kind.CONNECTION_TIMEOUT, seconds=5.0)
OPEN = attempt()


class TestHealthy:
    @pytest.mark.parametrize(
        "attempts",
        [
            (attempt(),),
            (attempt(), attempt("10.0.0.2"), attempt("fd00::1")),
            (attempt("fd00::1", Kind.CONNECTION_REFUSED), attempt()),
            (attempt("fd00::1", Kind.NETWORK_UNREACHABLE, seconds=0.0), attempt()),
            (attempt("fd00::1", Kind.LOCAL_FAULT, seconds=0.0), attempt()),
            (attempt("fd00::1"), attempt("10.0.0.1", Kind.CONNECTION_REFUSED)),
        ],
        ids=["one", "all", "IPv6 refused", "no IPv6 route", "no IPv6 at all", "IPv4 refused"],
    )
    def test_nothing_is_said(self, attempts: tuple[ConnectionAttempt, ...]) -> None:
        assert judge(*attempts, repeated=RepeatedConnections(attempts=attempts)) == []

    @pytest.mark.parametrize("failed", [REFUSED, SILENT])
    def test_a_host_behind_a_proxy_need_not_be_reached_directly(self, failed: ConnectionAttempt) -> None:
        assert judge(failed, endpoint=PROXIED) == []


class TestOneCodeForEachWayToFail:
    @pytest.mark.parametrize(
        ("failed", "code"),
        [
            (REFUSED, "tcp/refused"),
            (SILENT, "tcp/filtered"),
            (attempt(kind=Kind.CONNECTION_PROHIBITED, icmp="admin-prohibited"), "tcp/rejected"),
            (attempt(kind=Kind.CONNECTION_PROHIBITED, icmp="port-unreachable"), "tcp/rejected"),
            (attempt(kind=Kind.CONNECTION_PROHIBITED), "tcp/rejected"),
            (attempt(kind=Kind.NETWORK_UNREACHABLE), "tcp/unreachable"),
            (attempt(kind=Kind.HOST_UNREACHABLE, seconds=3.0), "tcp/unreachable"),
            (attempt(kind=Kind.LOCAL_FAULT), "tcp/unreachable"),
            (attempt(kind=Kind.OTHER), "tcp/unreachable"),
        ],
    )
    def test_of_the_only_address(self, failed: ConnectionAttempt, code: str) -> None:
        (draft,) = judge(failed)

        assert draft.code == code
        assert "10.0.0.1" in draft.detail

    def test_unreachable_said_by_the_host_itself_is_its_filter(self) -> None:
        itself = attempt(kind=Kind.HOST_UNREACHABLE, icmp="host-unreachable", sender="10.0.0.1")
        router = attempt(kind=Kind.HOST_UNREACHABLE, icmp="host-unreachable", sender="10.0.0.254")

        assert codes(judge(itself)) == ["tcp/rejected"]
        assert codes(judge(router)) == ["tcp/unreachable"]

    def test_a_reset_where_a_program_listens_on_this_machine_is_a_filter(self) -> None:
        listening = attempt(kind=Kind.CONNECTION_REFUSED, listening=True)
        nobody = attempt(kind=Kind.CONNECTION_REFUSED, listening=False)

        assert codes(judge(listening)) == ["tcp/rejected"]
        assert codes(judge(nobody)) == ["tcp/refused"]

    def test_an_ipv6_address_without_route_is_not_what_matters(self) -> None:
        assert codes(judge(attempt("fd00::1", Kind.NETWORK_UNREACHABLE), REFUSED)) == ["tcp/refused"]

    def test_several_ways_give_one_finding_that_shows_them_all(self) -> None:
        (draft,) = judge(
            SILENT, attempt("10.0.0.2", Kind.CONNECTION_REFUSED), attempt("10.0.0.3", Kind.CONNECTION_REFUSED)
        )

        assert draft.code == "tcp/refused"
        assert all(address in draft.detail for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"))


class TestIpv6Broken:
    def test_only_ipv6_addresses_and_no_route(self) -> None:
        (draft,) = judge(attempt("2001:db8::1", Kind.NETWORK_UNREACHABLE))

        assert (draft.code, draft.severity) == ("tcp/ipv6-broken", Severity.ERROR)

    def test_an_ipv6_literal_has_no_name_that_lacks_ipv4(self) -> None:
        drafts = judge(attempt("2001:db8::1", Kind.NETWORK_UNREACHABLE), literal=True)

        assert codes(drafts) == ["tcp/unreachable"]

    def test_only_ipv6_addresses_and_a_closed_port(self) -> None:
        assert codes(judge(attempt("2001:db8::1", Kind.CONNECTION_REFUSED))) == ["tcp/refused"]

    def test_ipv6_that_costs_time_beside_ipv4(self) -> None:
        (draft,) = judge(attempt("2001:db8::1", Kind.CONNECTION_TIMEOUT, seconds=5.0), OPEN)

        assert (draft.code, draft.severity) == ("tcp/ipv6-broken", None)


class TestAddressDead:
    @pytest.mark.parametrize(
        "kind", [Kind.CONNECTION_REFUSED, Kind.CONNECTION_TIMEOUT, Kind.HOST_UNREACHABLE]
    )
    @pytest.mark.parametrize(("dead", "alive"), [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
    def test_one_of_a_family(self, kind: FailureKind, dead: str, alive: str) -> None:
        (draft,) = judge(attempt(dead, kind), attempt(alive))

        assert draft.code == "tcp/address-dead"
        assert dead in draft.detail

    def test_ipv4_that_vanishes_beside_ipv6(self) -> None:
        assert codes(judge(SILENT, attempt("fd00::1"))) == ["tcp/address-dead"]


class TestSometimes:
    def test_refused_now_and_then(self) -> None:
        repeated = RepeatedConnections(attempts=(REFUSED, attempt()))

        (draft,) = judge(OPEN, repeated=repeated)

        assert (draft.code, draft.severity, draft.certainty) == (
            "tcp/refused",
            Severity.WARNING,
            Certainty.LIKELY,
        )
        assert "1 of 3 attempts" in draft.detail

    def test_refused_first_and_accepted_then(self) -> None:
        drafts = judge(REFUSED, repeated=RepeatedConnections(attempts=(OPEN, OPEN)))

        assert codes(drafts) == ["tcp/refused"]
        assert drafts[0].severity is Severity.WARNING

    def test_refused_every_time_is_plainly_refused(self) -> None:
        (draft,) = judge(REFUSED, repeated=RepeatedConnections(attempts=(REFUSED, REFUSED)))

        assert (draft.code, draft.severity) == ("tcp/refused", None)


class TestOtherPorts:
    def _other(self, port: int, *, registry: bool) -> OtherPort:
        headers = (("docker-distribution-api-version", "registry/2.0"),) if registry else ()
        return OtherPort(
            port=port,
            attempt=attempt(port=port),
            scheme="http",
            answer=answer(200, *headers, registry=registry),
        )

    def test_a_registry_on_another_port(self) -> None:
        ports = OtherPorts(ports=(self._other(5000, registry=True),))
        endpoint = Endpoint(role=Role.REGISTRY, scheme="https", host="fd00::1", port=443)

        (draft,) = judge(attempt("fd00::1", Kind.CONNECTION_REFUSED), endpoint=endpoint, other_ports=ports)

        assert draft.code == "tcp/wrong-port"
        assert "use [fd00::1]:5000 instead of [fd00::1]:443" in draft.fix[0]

    def test_another_program_on_another_port(self) -> None:
        ports = OtherPorts(ports=(self._other(443, registry=False),))

        assert codes(judge(REFUSED, other_ports=ports)) == ["tcp/refused"]

    def test_a_dropped_port_stays_a_dropped_port(self) -> None:
        ports = OtherPorts(ports=(self._other(443, registry=True),))

        (draft,) = judge(SILENT, other_ports=ports)

        assert draft.code == "tcp/filtered"
        assert "A registry answers on port 443" in draft.detail

    def test_silence_of_all_ports_is_said(self) -> None:
        silent = OtherPort(port=443, attempt=attempt(kind=Kind.CONNECTION_TIMEOUT, port=443))

        assert "as silent" in judge(SILENT, other_ports=OtherPorts(ports=(silent,)))[0].detail


class TestLargePackets:
    def _trials(self, *trials: tuple[int | None, bool], address: str = "10.0.0.1") -> SegmentTrials:
        return SegmentTrials(
            address=address,
            direction="upload",
            trials=tuple(
                SegmentTrial(
                    segment_size=size, completed=done, seconds=0.1 if done else 2.5, sent=4000, received=0
                )
                for size, done in trials
            ),
        )

    @pytest.mark.parametrize(
        ("trials", "mtu"),
        [
            ((((None, False), (None, False), (1240, True), (536, True), (88, True))), 1280),
            ((((None, False), (None, False), (1240, False), (536, True), (88, True))), 576),
        ],
    )
    def test_full_size_hangs_and_small_passes(
        self, trials: tuple[tuple[int | None, bool], ...], mtu: int
    ) -> None:
        (draft,) = rules.large_packets_lost(ENDPOINT, self._trials(*trials))

        assert draft.code == "tcp/large-packets-lost"
        assert str(mtu) in draft.fix[0]

    def test_the_header_of_ipv6_is_longer(self) -> None:
        trials = self._trials((None, False), (1240, True), (536, True), (88, True), address="fd00::1")

        (draft,) = rules.large_packets_lost(ENDPOINT, trials)

        assert "1300" in draft.fix[0]

    @pytest.mark.parametrize(
        "trials",
        [
            ((None, True),),
            ((None, False), (None, True), (536, True), (88, True)),
            ((None, False), (None, False), (536, False), (88, False)),
            ((None, False), (None, False), (536, True), (88, False)),
        ],
        ids=["all passes", "hangs now and then", "always hangs", "hangs with small ones too"],
    )
    def test_anything_else_is_another_matter(self, trials: tuple[tuple[int | None, bool], ...]) -> None:
        assert list(rules.large_packets_lost(ENDPOINT, self._trials(*trials))) == []
