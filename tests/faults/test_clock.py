"""Faults of clocks, and the healthy twins.

Nobody can move this host's clock for one program (Go and Python both fail under faketime), so everything else
is moved: time servers, Date headers and certificates live in another time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NAME, TokenRegistry
from tests.support import ports, programs
from tests.support.certificates import Authority, root_authority
from tests.support.netns import LinkedHosts, run_privately
from tests.support.ntp import Chronyd, NtpBehaviour, NtpServer
from tests.support.processes import Daemon
from tests.support.regdoctor_cli import (
    CliResult,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    describe_findings,
    findings,
    root_codes,
    run_regdoctor,
)
from tests.support.registry import Registry
from tests.support.skewed_proxy import SkewedProxy

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

HOUR = 3600
YEAR = 365 * 24 * HOUR
SERVER = "10.77.0.2"
TIME_FILES = ("/etc/chrony/chrony.conf", "/etc/chrony.conf", "/etc/ntp.conf", "/etc/ntpsec/ntp.conf")


@dataclass
class Elsewhere:
    """A host that may live in another time: a registry behind a proxy that writes the Date, and NTP."""

    linked: LinkedHosts
    folder: Path
    servers: ExitStack

    def registry(
        self, *, date: float | None, authority: Authority | None = None, **period: Any
    ) -> SkewedProxy:
        """Start a registry whose Date is off by some seconds; with an authority over HTTPS."""
        server = self.linked.server
        registry = Registry(self.folder / "registry", host=SERVER, namespace=server)
        self.servers.enter_context(registry)
        tls = None
        if authority is not None:
            tls = authority.issue([NAME], [SERVER], **period).write(self.folder / "tls")
        proxy = SkewedProxy(
            registry.upstream, offset=date, host=SERVER, port=5443, name=NAME, tls=tls, namespace=server
        )
        return self.servers.enter_context(proxy)

    def ntp(self, offset: float, port: int = 0) -> NtpServer:
        """Start a time server whose time is off by some seconds."""
        server = NtpServer(offset=offset, host=SERVER, port=port, namespace=self.linked.server)
        return self.servers.enter_context(server)

    def check(
        self, proxy: SkewedProxy, *arguments: str | Path, files: Mapping[str, str | Path] | None = None
    ) -> CliResult:
        """Run regdoctor on the client, which names no time server of its own but those in ``files``."""
        return run_regdoctor(
            "check",
            proxy.url,
            *arguments,
            in_namespace=self.linked.client,
            hosts={NAME: SERVER},
            resolv_conf="nameserver 127.0.0.53\n",
            files={**dict.fromkeys(TIME_FILES, ""), **(files or {})},
        )


@pytest.fixture
def elsewhere(linked_hosts: LinkedHosts, tmp_path: Path) -> Iterator[Elsewhere]:
    with ExitStack() as servers:
        yield Elsewhere(linked_hosts, tmp_path, servers)


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def authority_file(elsewhere: Elsewhere) -> Path:
    return elsewhere.folder / "tls" / "server.ca.crt"


def assert_explains_all_else(result: CliResult, cause: dict[str, Any]) -> None:
    """Check that what is said of the certificate, if anything, is said to come from the clock."""
    others = [finding for finding in findings(result.report) if finding["id"] != cause["id"]]
    assert all(finding["caused_by"] == cause["id"] for finding in others), describe_findings(result.report)


class TestThisHost:
    def test_is_behind_and_a_new_certificate_looks_not_yet_valid(self, elsewhere: Elsewhere) -> None:
        authority = root_authority()
        proxy = elsewhere.registry(
            date=2 * HOUR, authority=authority, not_before=ago(-HOUR), not_after=ago(-YEAR)
        )
        ntp = elsewhere.ntp(2 * HOUR)
        result = elsewhere.check(proxy, "--cacert", authority_file(elsewhere), "--ntp-server", ntp.address)
        cause = assert_single_root_cause(result, "clock/client-skew")
        assert cause["certainty"] == "proven"
        assert "2 h behind" in cause["detail"]
        assert ntp.address in cause["detail"]
        assert_explains_all_else(result, cause)

    def test_is_ahead_and_a_good_certificate_looks_expired(self, elsewhere: Elsewhere) -> None:
        authority = root_authority(not_before=ago(20 * YEAR))
        proxy = elsewhere.registry(
            date=-10 * YEAR, authority=authority, not_before=ago(10.5 * YEAR), not_after=ago(9.5 * YEAR)
        )
        ntp = elsewhere.ntp(-10 * YEAR)
        result = elsewhere.check(proxy, "--cacert", authority_file(elsewhere), "--ntp-server", ntp.address)
        cause = assert_single_root_cause(result, "clock/client-skew")
        assert cause["certainty"] == "proven"
        assert "ahead" in cause["detail"]
        assert_explains_all_else(result, cause)

    def test_is_likely_to_be_wrong_where_the_certificate_fits_the_registrys_clock(
        self, elsewhere: Elsewhere
    ) -> None:
        authority = root_authority()
        proxy = elsewhere.registry(
            date=2 * HOUR, authority=authority, not_before=ago(-HOUR), not_after=ago(-YEAR)
        )
        result = elsewhere.check(proxy, "--cacert", authority_file(elsewhere))
        cause = assert_single_root_cause(result, "clock/client-skew")
        assert cause["certainty"] == "likely"
        assert "--ntp-server" in cause["detail"]
        assert "valid by its clock and not by this host's" in cause["detail"]

    def test_shares_its_wrong_clock_with_a_registry_beside_it(self, registry: Registry) -> None:
        with NtpServer(offset=HOUR) as ntp:
            result = run_regdoctor("check", registry.url, "--ntp-server", ntp.address)
        cause = assert_single_root_cause(result, "clock/client-skew")
        assert "same clock" in cause["detail"]

    def test_is_ahead_and_the_certificate_has_really_expired_as_well(self, elsewhere: Elsewhere) -> None:
        authority = root_authority(not_before=ago(20 * YEAR))
        proxy = elsewhere.registry(
            date=-10 * YEAR, authority=authority, not_before=ago(12 * YEAR), not_after=ago(10.5 * YEAR)
        )
        ntp = elsewhere.ntp(-10 * YEAR)
        result = elsewhere.check(proxy, "--cacert", authority_file(elsewhere), "--ntp-server", ntp.address)
        assert sorted(root_codes(result.report)) == ["clock/client-skew", "tls/expired"]

    def test_is_behind_and_the_certificate_starts_later_still(self, elsewhere: Elsewhere) -> None:
        proxy = elsewhere.registry(
            date=2 * HOUR, authority=root_authority(), not_before=ago(-5 * HOUR), not_after=ago(-YEAR)
        )
        ntp = elsewhere.ntp(2 * HOUR)
        result = elsewhere.check(proxy, "--cacert", authority_file(elsewhere), "--ntp-server", ntp.address)
        assert sorted(root_codes(result.report)) == ["clock/client-skew", "tls/not-yet-valid"]

    def test_is_behind_by_less_than_the_caller_allows(self, elsewhere: Elsewhere) -> None:
        proxy = elsewhere.registry(date=300)
        ntp = elsewhere.ntp(300)
        arguments = ("--plain-http", "--ntp-server", ntp.address)
        assert_single_root_cause(elsewhere.check(proxy, *arguments), "clock/client-skew")
        assert_healthy(elsewhere.check(proxy, *arguments, "--clock-tolerance", "400"))

    def test_is_behind_by_more_than_the_caller_allows(self, elsewhere: Elsewhere) -> None:
        proxy = elsewhere.registry(date=20)
        ntp = elsewhere.ntp(20)
        arguments = ("--plain-http", "--ntp-server", ntp.address)
        assert_healthy(elsewhere.check(proxy, *arguments))
        result = elsewhere.check(proxy, *arguments, "--clock-tolerance", "10")
        assert_single_root_cause(result, "clock/client-skew")


class TestTheRegistrysHost:
    def test_is_ahead_and_its_new_certificate_starts_by_its_own_clock(self, elsewhere: Elsewhere) -> None:
        """The time server of a file that nobody uses is asked, and says that this host is right."""
        proxy = elsewhere.registry(
            date=2 * HOUR, authority=root_authority(), not_before=ago(-HOUR), not_after=ago(-YEAR)
        )
        ntp = elsewhere.ntp(0)
        result = elsewhere.check(
            proxy,
            *("--cacert", authority_file(elsewhere)),
            files={"/etc/chrony/chrony.conf": f"server {SERVER} port {ntp.port} iburst\n"},
        )
        assert sorted(root_codes(result.report)) == ["clock/registry-skew", "tls/not-yet-valid"]

    def test_is_wrong_where_this_host_agrees_with_ntp(self, elsewhere: Elsewhere) -> None:
        proxy = elsewhere.registry(date=-HOUR)
        ntp = elsewhere.ntp(0)
        result = elsewhere.check(proxy, "--plain-http", "--ntp-server", ntp.address)
        cause = assert_single_root_cause(result, "clock/registry-skew")
        assert cause["certainty"] == "proven"
        assert "1 h behind" in cause["detail"]
        assert cause["host"] == f"{NAME}:5443"

    def test_is_found_out_by_a_time_server_that_a_file_names_and_nobody_uses(
        self, elsewhere: Elsewhere
    ) -> None:
        proxy = elsewhere.registry(date=-HOUR)
        ntp = elsewhere.ntp(0)
        result = elsewhere.check(
            proxy,
            "--plain-http",
            files={"/etc/chrony/chrony.conf": f"server {SERVER} port {ntp.port} iburst\n"},
        )
        cause = assert_single_root_cause(result, "clock/registry-skew")
        assert ntp.address in cause["detail"]


class TestTimeServers:
    def test_that_are_given_and_silent_are_a_warning(self, registry: Registry) -> None:
        with NtpServer(behaviour=NtpBehaviour(silent=True)) as silent:
            result = run_regdoctor("check", registry.url, "--ntp-server", silent.address, "--timeout", "1.5")
        warning = assert_single_root_cause(result, "clock/ntp-unreachable", exit_code=0)
        assert silent.address in warning["detail"]

    def test_that_do_not_listen_are_a_warning(self, registry: Registry) -> None:
        server = f"127.0.0.1:{ports.free_port()}"
        result = run_regdoctor("check", registry.url, "--ntp-server", server)
        assert_single_root_cause(result, "clock/ntp-unreachable", exit_code=0)

    def test_that_have_no_time_themselves_are_a_warning(self, registry: Registry) -> None:
        with NtpServer(behaviour=NtpBehaviour(stratum=16, leap=3)) as useless:
            result = run_regdoctor("check", registry.url, "--ntp-server", useless.address)
        warning = assert_single_root_cause(result, "clock/ntp-unreachable", exit_code=0)
        assert "not synchronised" in warning["detail"]

    def test_that_nobody_uses_are_left_alone_while_the_clocks_agree(self, elsewhere: Elsewhere) -> None:
        proxy = elsewhere.registry(date=0)
        ntp = elsewhere.ntp(0)
        files = {"/etc/chrony/chrony.conf": f"server {SERVER} port {ntp.port}\npool pool.invalid\n"}
        assert_healthy(elsewhere.check(proxy, "--plain-http", files=files))
        assert ntp.queries == 0


@contextmanager
def chronyd_of_this_host(
    elsewhere: Elsewhere, settings: str, *, synchronised: bool
) -> Iterator[Mapping[str, str | Path]]:
    """Run the real chronyd, which leaves the clock alone, and give the files by which regdoctor finds it.

    Only it and regdoctor see its socket, and only they are in the client's network.
    """
    folder, client = elsewhere.folder, elsewhere.linked.client
    sockets = folder / "run"
    sockets.mkdir(mode=0o700)
    config = folder / "chrony.conf"
    config.write_text(
        f"{settings}port 0\ncmdport 0\nbindcmdaddress /run/chrony/chronyd.sock\npidfile /run/chrony/pid\n"
    )
    files: dict[str, str | Path] = {"/run/chrony": sockets}

    def ready() -> bool:
        if not synchronised or not (sockets / "chronyd.sock").exists():
            return (sockets / "chronyd.sock").exists()
        tracking = run_privately([programs.path("chronyc"), "-c", "tracking"], files=files, namespace=client)
        return tracking.stdout.strip().endswith("Normal")

    command: list[str | Path] = [programs.path("chronyd"), "-d", "-x", "-u", "root", "-f", config]
    with Daemon(command, log=folder / "chronyd.log", ready=ready, files=files, namespace=client):
        yield files


@pytest.mark.needs("chronyd", "chronyc")
class TestTimeDaemons:
    def test_that_found_no_source_are_a_warning(self, elsewhere: Elsewhere) -> None:
        proxy = elsewhere.registry(date=0)
        with chronyd_of_this_host(elsewhere, "", synchronised=False) as files:
            result = elsewhere.check(proxy, "--plain-http", files=files)
        warning = assert_single_root_cause(result, "clock/not-synchronised", exit_code=0)
        assert "Leap status: Not synchronised" in warning["detail"]

    def test_that_know_that_the_clock_is_wrong_and_may_not_step_it(self, elsewhere: Elsewhere) -> None:
        """chronyd calls itself synchronised all the while (chrony.conf(5), makestep)."""
        proxy = elsewhere.registry(date=0)
        with ExitStack() as until_asked:
            server = until_asked.enter_context(NtpServer(offset=HOUR, namespace=elsewhere.linked.client))
            settings = f"server 127.0.0.1 port {server.port} iburst\n"
            with chronyd_of_this_host(elsewhere, settings, synchronised=True) as files:
                until_asked.close()
                result = elsewhere.check(proxy, "--plain-http", files=files)
        cause = assert_single_root_cause(result, "clock/client-skew")
        assert "1 h behind" in cause["detail"]
        assert "chronyd, which keeps this clock, says so itself" in cause["detail"]
        assert "time-daemons" in cause["evidence"]

    def test_that_have_nothing_to_correct_are_healthy(self, elsewhere: Elsewhere) -> None:
        proxy = elsewhere.registry(date=0)
        with NtpServer(namespace=elsewhere.linked.client) as server:
            settings = f"server 127.0.0.1 port {server.port} iburst\n"
            with chronyd_of_this_host(elsewhere, settings, synchronised=True) as files:
                assert_healthy(elsewhere.check(proxy, "--plain-http", files=files))

    def test_that_call_this_host_s_clock_right_speak_against_the_registry_s(
        self, elsewhere: Elsewhere
    ) -> None:
        proxy = elsewhere.registry(date=-HOUR)
        with NtpServer(namespace=elsewhere.linked.client) as server:
            settings = f"server 127.0.0.1 port {server.port} iburst\n"
            with chronyd_of_this_host(elsewhere, settings, synchronised=True) as files:
                result = elsewhere.check(proxy, "--plain-http", files=files)
        cause = assert_single_root_cause(result, "clock/registry-skew")
        assert cause["certainty"] == "likely"
        assert "chronyd says that this host's clock is synchronised" in cause["detail"]


class TestHealthy:
    @pytest.mark.needs("chronyd")
    def test_clocks_agree_with_the_real_chronyd(self, token_registry: TokenRegistry, tmp_path: Path) -> None:
        registry = token_registry.registry
        assert registry.tls is not None
        with Chronyd(tmp_path / "chrony") as ntp:
            result = run_regdoctor(
                "check",
                registry.url,
                *("--cacert", registry.tls.ca, "--ntp-server", ntp.address),
                hosts=registry.hosts,
            )
        assert_healthy(result)

    @pytest.mark.parametrize("date", [None, 30, -30])
    def test_clocks_differ_by_less_than_the_tolerance_or_are_unknown(
        self, elsewhere: Elsewhere, date: float | None
    ) -> None:
        proxy = elsewhere.registry(date=date)
        ntp = elsewhere.ntp(0.5)
        assert_healthy(elsewhere.check(proxy, "--plain-http", "--ntp-server", ntp.address))

    def test_no_time_server_is_known(self, registry: Registry) -> None:
        result = run_regdoctor("check", registry.url, files=dict.fromkeys(TIME_FILES, ""))
        assert_healthy(result)

    def test_a_certificate_that_has_really_expired_is_no_fault_of_a_clock(self, elsewhere: Elsewhere) -> None:
        authority = root_authority()
        proxy = elsewhere.registry(
            date=0, authority=authority, not_before=ago(30 * 24 * HOUR), not_after=ago(HOUR)
        )
        ntp = elsewhere.ntp(0)
        result = elsewhere.check(proxy, "--cacert", authority_file(elsewhere), "--ntp-server", ntp.address)
        assert_single_root_cause(result, "tls/expired")
        assert_lacks(result, "clock/client-skew", "clock/registry-skew")
