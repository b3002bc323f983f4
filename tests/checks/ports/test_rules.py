"""From what listens on the registry's host to findings, with no host."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from regdoctor.api import (
    Addresses,
    Certainty,
    ConnectionAttempt,
    Connections,
    Draft,
    Each,
    EffectiveConfiguration,
    Endpoint,
    Failure,
    FailureKind,
    FilteredPort,
    FilterOutcome,
    Listener,
    ListeningSockets,
    ListenRefusal,
    OtherPort,
    OtherPorts,
    OwnAddress,
    PacketFilter,
    Ping,
    RegistryService,
    Role,
    RunningRegistries,
    RunningRegistry,
    Severity,
)
from regdoctor.checks.ports import rules
from regdoctor.host.config_file import parse_config
from tests.support.facts import REGISTRY_HEADERS, answer, endpoint

SERVER = "10.77.0.2"
ENDPOINT = endpoint(scheme="http", host=SERVER, port=5000)


def configured(address: str = ":5000", more: str = "") -> EffectiveConfiguration:
    text = f"version: 0.1\nstorage: {{inmemory: }}\nhttp: {{addr: '{address}'{more}}}\n"
    return EffectiveConfiguration(
        settings=parse_config(text.encode(), "/config.yml"), versions=frozenset({"2.8"})
    )


def listener(
    address: str = "::", port: int = 5000, program: str | None = "docker-registry", pid: int | None = 7
) -> Listener:
    return Listener(address=address, port=port, user=0, pid=pid, program=program)


def sockets(*listeners: Listener, lowest: int = 1024) -> ListeningSockets:
    return ListeningSockets(
        listeners=listeners,
        owners_seen=True,
        addresses=(OwnAddress(address=SERVER, interface="eth0"),),
        lowest_open_port=lowest,
    )


def process(pid: int = 7, **changes: object) -> RunningRegistry:
    found = RunningRegistry(pid=pid, program="docker-registry", user=0, config_named="/config.yml")
    return replace(found, **changes)


def running(*registries: RunningRegistry, serving: int | None = None) -> RunningRegistries:
    return RunningRegistries(registries=registries, serving=serving, how="no registry runs on this host")


SERVICE = RegistryService(
    unit="docker-registry.service",
    path="/etc/systemd/system/docker-registry.service",
    config="/config.yml",
    user="x",
)


def pings(status: int | None = None) -> Each[Ping]:
    """No answer, or that of a registry."""
    if status is None:
        return Each({}, {ENDPOINT: "nothing answers"})
    return Each({ENDPOINT: Ping(answer=answer(status, headers=REGISTRY_HEADERS), trusted=True)})


def connections(*, listening: bool | None = False, kind: FailureKind | None = None) -> Connections:
    failure = Failure(kind=kind or FailureKind.CONNECTION_REFUSED, message="refused")
    attempt = ConnectionAttempt(
        address=SERVER, port=5000, seconds=0.001, failure=failure, listening=listening
    )
    return Connections(attempts=(attempt,))


ACCEPTED = Connections(attempts=(ConnectionAttempt(address=SERVER, port=5000, seconds=0.001),))


def addresses(*found: str) -> Addresses:
    return Addresses(host="reg.test", literal=False, addresses=found or (SERVER,), seconds=0.01)


class TestNotListening:
    def judge(
        self, listening: ListeningSockets, found: RunningRegistries, pinged: Each[Ping] | None = None
    ) -> list[Draft]:
        return list(rules.not_listening(configured(), listening, found, pinged or pings()))

    def test_nothing_runs(self) -> None:
        (draft,) = self.judge(sockets(), running())
        assert (draft.code, draft.certainty) == ("ports/not-listening", Certainty.PROVEN)
        assert draft.values == {"port": "5000"}

    def test_the_service_to_start_is_named(self) -> None:
        (draft,) = self.judge(sockets(), replace(running(), service=SERVICE))
        assert "systemctl start docker-registry.service" in draft.fix[0]

    def test_the_process_listens_elsewhere(self) -> None:
        own = process(listeners=(listener(port=5001),))
        (draft,) = self.judge(sockets(*own.listeners), running(own, serving=7))
        assert "but on [::]:5001" in draft.detail

    def test_the_process_has_not_begun_to_listen(self) -> None:
        (draft,) = self.judge(sockets(), running(process(), serving=7))
        assert draft.certainty is Certainty.LIKELY

    def test_the_process_listens(self) -> None:
        own = process(listeners=(listener(),))
        assert self.judge(sockets(listener()), running(own, serving=7)) == []

    def test_a_registry_answers(self) -> None:
        """Its configuration may have been changed since it was started."""
        assert self.judge(sockets(), running(), pings(200)) == []

    def test_a_proxy_has_the_port(self) -> None:
        (draft,) = self.judge(sockets(listener(program="nginx")), running())
        assert draft.certainty is Certainty.LIKELY

    def test_a_containers_port_is_published_as_another(self) -> None:
        published = replace(listener(port=8443, program="docker-proxy"), forwards_to="172.17.0.2:5000")
        assert self.judge(sockets(published), running()) == []

    @pytest.mark.parametrize("address", ["", ":0", ":http", "localhost", ":70000"])
    def test_no_fixed_port_is_configured(self, address: str) -> None:
        assert list(rules.not_listening(configured(address), sockets(), running(), pings())) == []

    def test_a_socket_of_the_file_system_is_configured(self) -> None:
        configuration = configured("/run/registry.sock:1", ", net: unix")
        assert list(rules.not_listening(configuration, sockets(), running(), pings())) == []


class TestNobodyThere:
    def judge(
        self,
        listening: ListeningSockets,
        found: RunningRegistries,
        *,
        seen: Connections | None = None,
        others: OtherPorts | None = None,
        configuration: EffectiveConfiguration | None = None,
        host: Endpoint = ENDPOINT,
    ) -> list[Draft]:
        seen = seen or connections()
        return list(rules.nobody_there(host, seen, others, listening, found, configuration))

    def test_no_registry_runs(self) -> None:
        (draft,) = self.judge(sockets(), running())
        assert "No registry runs on this host" in draft.detail

    def test_the_registry_listens_behind_a_proxy_that_is_gone(self) -> None:
        own = process(listeners=(listener("127.0.0.1", 5001),))
        (draft,) = self.judge(sockets(*own.listeners), running(own, serving=7))
        assert "listens on 127.0.0.1:5001" in draft.detail

    def test_another_machine_refuses(self) -> None:
        assert self.judge(sockets(), running(), seen=connections(listening=None)) == []

    def test_it_is_accepted(self) -> None:
        assert self.judge(sockets(), running(), seen=ACCEPTED) == []

    def test_another_rule_says_it_of_the_configured_port(self) -> None:
        assert self.judge(sockets(), running(), configuration=configured()) == []
        assert len(self.judge(sockets(), running(), configuration=configured(":5001"))) == 1

    def test_a_registry_answers_on_another_port(self) -> None:
        attempt = ConnectionAttempt(address=SERVER, port=5001, seconds=0.001)
        other = OtherPort(port=5001, attempt=attempt, scheme="http", answer=answer(headers=REGISTRY_HEADERS))
        assert self.judge(sockets(), running(), others=OtherPorts(ports=(other,))) == []

    def test_of_hosts_that_are_no_registry_nothing_is_said(self) -> None:
        assert self.judge(sockets(), running(), host=replace(ENDPOINT, role=Role.TOKEN_SERVER)) == []

    def test_clients_go_through_a_proxy(self) -> None:
        assert self.judge(sockets(), running(), host=replace(ENDPOINT, proxy="http://proxy:3128")) == []


class TestInUse:
    def judge(
        self,
        listening: ListeningSockets,
        found: RunningRegistries,
        *,
        pinged: Each[Ping] | None = None,
        address: str = ":5000",
    ) -> list[Draft]:
        return list(rules.in_use(configured(address), listening, found, None, pinged or pings()))

    def test_another_program_has_the_port(self) -> None:
        (draft,) = self.judge(sockets(listener(program="python3")), running())
        assert (draft.code, draft.certainty) == ("ports/in-use", Certainty.PROVEN)

    def test_another_registry_has_the_port(self) -> None:
        other = process(config_named="/other.yml", listeners=(listener(),))
        (draft,) = self.judge(sockets(listener()), running(other))
        assert "started with /other.yml" in draft.detail
        assert draft.certainty is Certainty.LIKELY

    def test_clients_use_another_port(self) -> None:
        (draft,) = self.judge(sockets(listener(port=6000, program="python3")), running(), address=":6000")
        assert draft.certainty is Certainty.LIKELY

    @pytest.mark.parametrize("program", ["docker-proxy", "rootlessport", "systemd", "nginx", "haproxy"])
    def test_a_program_that_may_be_meant_to_have_it(self, program: str) -> None:
        assert self.judge(sockets(listener(program=program)), running()) == []

    def test_its_owner_is_not_to_be_seen(self) -> None:
        assert self.judge(sockets(listener(pid=None, program=None)), running()) == []

    def test_the_registry_runs(self) -> None:
        assert self.judge(sockets(listener(program="python3")), running(process(), serving=7)) == []

    def test_a_registry_answers(self) -> None:
        assert self.judge(sockets(listener()), running(process()), pinged=pings(401)) == []

    def test_the_other_one_is_bound_to_another_address(self) -> None:
        assert (
            self.judge(sockets(listener("127.0.0.1", program="x")), running(), address=f"{SERVER}:5000") == []
        )

    def test_the_log_says_it(self) -> None:
        refusal = ListenRefusal(path="/r.log", line=3, address=":5000", reason="address already in use")
        (draft,) = rules.refused_by_the_system(refusal, running())
        assert (draft.code, draft.evidence) == ("ports/in-use", ("/r.log:3",))


class TestPrivileged:
    def judge(
        self, listening: ListeningSockets, service: RegistryService | None = SERVICE, address: str = ":443"
    ) -> list[Draft]:
        found = replace(running(), service=service)
        return list(rules.privileged(configured(address), listening, found, None))

    def test_the_services_user_may_not(self) -> None:
        (draft,) = self.judge(sockets())
        assert draft.code == "ports/privileged"
        assert draft.values == {"port": "443"}

    @pytest.mark.parametrize(
        ("listening", "service", "address"),
        [
            (sockets(), SERVICE, ":5000"),
            (sockets(lowest=0), SERVICE, ":443"),
            (sockets(), replace(SERVICE, binds_low_ports=True), ":443"),
            (sockets(), None, ":443"),
            (sockets(listener(port=443)), SERVICE, ":443"),
        ],
    )
    def test_it_may(self, listening: ListeningSockets, service: RegistryService | None, address: str) -> None:
        assert self.judge(listening, service, address) == []

    def test_the_log_says_it(self) -> None:
        refusal = ListenRefusal(path="/r.log", line=None, address=":443", reason="permission denied")
        (draft,) = rules.refused_by_the_system(refusal, running())
        assert (draft.code, draft.evidence, draft.values) == (
            "ports/privileged",
            ("/r.log",),
            {"port": "443"},
        )


class TestLoopbackOnly:
    def judge(
        self,
        listening: ListeningSockets,
        *,
        seen: Connections | None = None,
        leads_to: Addresses | None = None,
        found: RunningRegistries | None = None,
    ) -> list[Draft]:
        seen, leads_to = seen or connections(), leads_to or addresses()
        return list(rules.loopback_only(ENDPOINT, leads_to, seen, listening, found or running(process())))

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1"])
    def test_the_registry_listens_there(self, address: str) -> None:
        (draft,) = self.judge(sockets(listener(address)))
        assert (draft.code, draft.certainty) == ("ports/loopback-only", Certainty.PROVEN)

    def test_a_container_is_published_there(self) -> None:
        published = replace(
            listener("127.0.0.1", program="docker-proxy", pid=9), forwards_to="172.17.0.2:5000"
        )
        (draft,) = self.judge(sockets(published))
        assert "publishes it" in draft.detail

    def test_its_owner_is_not_to_be_seen(self) -> None:
        (draft,) = self.judge(sockets(listener("127.0.0.1", pid=None, program=None)), found=running())
        assert draft.certainty is Certainty.LIKELY

    def test_a_proxy_takes_the_port_for_others(self) -> None:
        assert self.judge(sockets(listener("127.0.0.1"), listener(SERVER, program="nginx"))) == []

    def test_loopback_is_what_is_asked_for(self) -> None:
        assert self.judge(sockets(listener("127.0.0.1")), leads_to=addresses("127.0.0.1")) == []

    def test_the_port_is_another(self) -> None:
        assert self.judge(sockets(listener("127.0.0.1", 5001))) == []

    def test_connections_are_accepted(self) -> None:
        assert self.judge(sockets(listener("127.0.0.1")), seen=ACCEPTED) == []

    def test_connections_vanish(self) -> None:
        seen = connections(listening=None, kind=FailureKind.CONNECTION_TIMEOUT)
        assert self.judge(sockets(listener("127.0.0.1")), seen=seen) == []


class TestFirewalled:
    def judge(
        self,
        listening: ListeningSockets,
        *outcomes: FilterOutcome,
        leads_to: Addresses | None = None,
        answers: str = "nothing",
    ) -> list[Draft]:
        ports = tuple(
            FilteredPort(
                address=SERVER,
                port=5000,
                outcome=each,
                rule="drop",
                chain="inet filter input",
                answer=answers,
            )
            for each in outcomes
        )
        return list(rules.firewalled(ENDPOINT, leads_to or addresses(), listening, PacketFilter(ports=ports)))

    def test_a_rule_drops(self) -> None:
        (draft,) = self.judge(sockets(listener()), FilterOutcome.BLOCKED)
        assert draft.code == "ports/firewalled"
        assert "drops new connections to 10.77.0.2:5000" in draft.detail
        assert "“drop” in inet filter input" in draft.detail

    def test_a_rule_rejects(self) -> None:
        (draft,) = self.judge(sockets(listener()), FilterOutcome.BLOCKED, answers="tcp reset")
        assert "rejects" in draft.detail

    @pytest.mark.parametrize(
        "outcomes",
        [
            (),
            (FilterOutcome.OPEN,),
            (FilterOutcome.UNCLEAR,),
            (FilterOutcome.BLOCKED, FilterOutcome.OPEN),
            (FilterOutcome.BLOCKED, FilterOutcome.UNCLEAR),
        ],
    )
    def test_some_get_through(self, outcomes: tuple[FilterOutcome, ...]) -> None:
        assert self.judge(sockets(listener()), *outcomes) == []

    def test_nothing_listens_there_for_others(self) -> None:
        assert self.judge(sockets(), FilterOutcome.BLOCKED) == []
        assert self.judge(sockets(listener("127.0.0.1")), FilterOutcome.BLOCKED) == []

    def test_asked_by_loopback_it_is_advice(self) -> None:
        local = addresses("127.0.0.1")
        (draft,) = self.judge(sockets(listener()), FilterOutcome.BLOCKED, leads_to=local)
        assert draft.severity is Severity.WARNING

    def test_a_proxy_takes_connections_on_a_public_port(self) -> None:
        listening = sockets(listener(), listener(port=443, program="nginx"))
        assert self.judge(listening, FilterOutcome.BLOCKED, leads_to=addresses("127.0.0.1")) == []


class TestFileLimit:
    @pytest.mark.parametrize(
        ("count", "limit", "found"), [(90, 100, True), (1024, 1024, True), (89, 100, False)]
    )
    def test_near_it(self, count: int, limit: int, found: bool) -> None:
        own = process(open_files=count, file_limit=limit)
        assert [draft.code for draft in rules.file_limit(running(own, serving=7))] == [
            "ports/file-limit"
        ] * found

    def test_without_a_limit_or_a_look_nothing_is_near(self) -> None:
        for own in (process(open_files=90, file_limit=None), process(open_files=None, file_limit=90)):
            assert list(rules.file_limit(running(own, serving=7))) == []

    def test_other_registries_do_not_count(self) -> None:
        assert list(rules.file_limit(running(process(open_files=9, file_limit=9)))) == []
