"""Which time daemons run on a host, what they say, and which servers their files name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from regdoctor.facts.clock import Synchronisation
from regdoctor.host import time_daemons
from regdoctor.host.time_daemons import Run, enabled_daemons, find_time_daemons, named_in_files
from tests.support.ntp import Chronyd

SYNCHRONISED = (
    "C0000201,192.0.2.1,3,1795455432.1,0.000001,-0.000002,0.00003,-12.1,0.0,0.02,0.01,0.001,64.2,Normal\n"
)
NOT_SYNCHRONISED = "00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised\n"


class Host:
    """A root folder that looks like a host's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc").mkdir()

    def run_process(self, name: str, *command: str, pid: int = 100, root: Path | None = None) -> None:
        folder = self.root / "proc" / str(pid)
        folder.mkdir()
        (folder / "comm").write_text(f"{name[:15]}\n")
        (folder / "cmdline").write_text("".join(f"{word}\0" for word in command))
        (folder / "root").symlink_to(root or self.root)

    def write(self, path: str, text: str) -> None:
        (self.root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path.lstrip("/")).write_text(text)

    def boot_systemd(self) -> None:
        (self.root / "run/systemd/system").mkdir(parents=True)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def saying(**texts: str) -> Run:
    """Commands that print a text, by program; all others fail."""
    return lambda command: texts.get(command[0])


class TestWhoRuns:
    def test_a_container_without_any_daemon_has_none(self, host: Host) -> None:
        host.run_process("nginx", "nginx")
        host.write("/etc/chrony/chrony.conf", "pool pool.test iburst\n")
        assert find_time_daemons({}, host.root, saying()) == ()

    def test_no_command_is_run_where_no_daemon_runs(self, host: Host) -> None:
        def refuse(command: tuple[str, ...]) -> str | None:
            raise AssertionError(command)

        assert find_time_daemons({}, host.root, refuse) == ()

    def test_a_daemon_in_another_network_keeps_another_s_clock(self, host: Host) -> None:
        host.run_process("chronyd", "chronyd")
        for process in ("self", "100"):
            host.write(f"proc/{process}/ns/net", process)
        assert find_time_daemons({}, host.root, saying()) == ()
        (host.root / "proc/100/ns/net").unlink()
        (host.root / "proc/100/ns/net").hardlink_to(host.root / "proc/self/ns/net")
        assert [daemon.name for daemon in find_time_daemons({}, host.root, saying())] == ["chronyd"]

    def test_chronyd_is_asked_by_chronyc(self, host: Host) -> None:
        host.run_process("chronyd", "/usr/sbin/chronyd", "-F", "1")
        host.write("/etc/chrony.conf", "server ntp.test\n")
        (daemon,) = find_time_daemons({}, host.root, saying(chronyc=SYNCHRONISED))
        assert (daemon.name, daemon.running) == ("chronyd", True)
        assert daemon.synchronisation is Synchronisation.SYNCHRONISED
        assert daemon.detail == "Leap status: Normal, stratum 3"
        assert daemon.servers == ("ntp.test:123",)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (NOT_SYNCHRONISED, Synchronisation.NOT_SYNCHRONISED),
            (SYNCHRONISED.replace("Normal", "Insert second"), Synchronisation.SYNCHRONISED),
            ("506 Cannot talk to daemon\n", Synchronisation.UNKNOWN),
            ("", Synchronisation.UNKNOWN),
        ],
    )
    def test_what_chronyc_says_is_read(self, host: Host, text: str, expected: Synchronisation) -> None:
        host.run_process("chronyd", "chronyd")
        (daemon,) = find_time_daemons({}, host.root, saying(chronyc=text))
        assert daemon.synchronisation is expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("NTPSynchronized=yes\n", Synchronisation.SYNCHRONISED),
            ("NTPSynchronized=no\n", Synchronisation.NOT_SYNCHRONISED),
            ("", Synchronisation.UNKNOWN),
        ],
    )
    def test_timesyncd_is_asked_by_timedatectl(
        self, host: Host, text: str, expected: Synchronisation
    ) -> None:
        host.run_process("systemd-timesyncd", "/lib/systemd/systemd-timesyncd")
        (daemon,) = find_time_daemons({}, host.root, saying(timedatectl=text))
        assert daemon.name == "systemd-timesyncd"
        assert daemon.synchronisation is expected

    def test_a_command_that_hangs_or_is_missing_says_nothing(self, tmp_path: Path) -> None:
        program = tmp_path / "chronyc"
        program.write_text("#!/bin/sh\nexec sleep 60\n")
        program.chmod(0o755)
        time_before = os.times().elapsed
        assert time_daemons.output_of(("chronyc", "-c", "tracking"), {"PATH": str(tmp_path)}) is None
        assert os.times().elapsed - time_before < 10
        assert time_daemons.output_of(("no-such-program",), {"PATH": str(tmp_path)}) is None

    @pytest.mark.needs("chronyd")
    def test_the_real_chronyd_without_a_source_says_that_it_is_not_synchronised(self, tmp_path: Path) -> None:
        with Chronyd(tmp_path / "chrony", synchronised=False):
            socket = str(tmp_path / "chrony/chronyd.sock")
            text = time_daemons.output_of(("chronyc", "-h", socket, "-c", "tracking"), os.environ)
        assert text is not None
        assert time_daemons.read_tracking(text)[0] is Synchronisation.NOT_SYNCHRONISED


class TestTrackedOffset:
    """Lines as chronyd 4.3 writes them."""

    def test_what_is_still_to_be_corrected_is_read(self) -> None:
        text = (
            "7F000001,127.0.0.1,3,1795469193.20,3600.000000000,-0.000004456,0.000009853,1.097,-0.196,7.640,"
            "0.000344645,0.000274517,0.5,Normal\n"
        )
        tracking = time_daemons.tracked_offset(text)
        assert tracking is not None
        assert (tracking.server, tracking.stratum, tracking.offset) == ("127.0.0.1", 3, 3600.0)
        assert tracking.uncertainty == pytest.approx(0.000344645 / 2 + 0.000274517)
        assert tracking.local
        assert tracking.daemon == "chronyd"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "506 Cannot talk to daemon",
            "00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised",
            "7F000001,ntp.test,x,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Normal",
        ],
    )
    def test_a_daemon_that_does_not_know_says_nothing(self, text: str) -> None:
        assert time_daemons.tracked_offset(text) is None


class TestEnabledUnits:
    """Blocks as systemctl show prints them, one for each unit asked about."""

    def test_an_enabled_daemon_that_has_stopped_is_not_running(self) -> None:
        text = (
            "Id=chrony.service\nUnitFileState=enabled\nActiveState=failed\nConditionResult=yes\n\n"
            "Id=ntp.service\nUnitFileState=\nActiveState=inactive\nConditionResult=no\n"
        )
        (daemon,) = enabled_daemons(text)
        assert daemon.synchronisation is Synchronisation.NOT_RUNNING
        assert daemon.detail == "chrony.service is enabled and failed"

    @pytest.mark.parametrize(
        "state",
        [
            "UnitFileState=disabled\nActiveState=inactive\nConditionResult=yes",
            "UnitFileState=masked\nActiveState=inactive\nConditionResult=no",
            # ConditionVirtualization=!container of systemd-timesyncd.
            "UnitFileState=enabled\nActiveState=inactive\nConditionResult=no",
        ],
    )
    def test_a_daemon_that_nobody_wants_to_run_is_none(self, state: str) -> None:
        assert enabled_daemons(f"Id=systemd-timesyncd.service\n{state}\n") == ()

    def test_a_daemon_that_runs_out_of_sight_counts_as_running(self) -> None:
        text = (
            "Id=systemd-timesyncd.service\nUnitFileState=enabled\nActiveState=inactive\nConditionResult=yes\n\n"
            "Id=chrony.service\nUnitFileState=enabled\nActiveState=active\nConditionResult=yes\n"
        )
        (daemon,) = enabled_daemons(text)
        assert (daemon.name, daemon.running) == ("chrony", True)

    def test_systemctl_is_asked_only_where_systemd_runs_and_no_daemon_is_seen(self, host: Host) -> None:
        stopped = "Id=chrony.service\nUnitFileState=enabled\nActiveState=inactive\nConditionResult=yes\n"
        assert find_time_daemons({}, host.root, saying(systemctl=stopped)) == ()
        host.boot_systemd()
        (daemon,) = find_time_daemons({}, host.root, saying(systemctl=stopped))
        assert not daemon.running


Configure = Callable[[str], tuple[str, ...]]


class TestServersOfChrony:
    @pytest.fixture
    def servers(self, host: Host) -> Configure:
        def configure(text: str) -> tuple[str, ...]:
            host.run_process("chronyd", "chronyd")
            host.write("/etc/chrony/chrony.conf", text)
            return find_time_daemons({}, host.root, saying())[0].servers

        return configure

    def test_servers_pools_and_peers_are_named_with_their_ports(self, servers: Configure) -> None:
        text = (
            "# server commented.test\n! server too.test\n"
            "pool pool.test iburst maxsources 4\n  SERVER one.test port 1123 iburst\npeer 2001:db8::1\n"
            "serverstats x\nlocal stratum 10\n"
        )
        assert servers(text) == ("pool.test:123", "one.test:1123", "[2001:db8::1]:123")

    def test_included_files_and_folders_count(self, host: Host, servers: Configure) -> None:
        host.write("/etc/chrony/conf.d/a.conf", "server one.test\n")
        host.write("/etc/chrony/conf.d/a.txt", "server ignored.test\n")
        host.write("/run/chrony-dhcp/eth0.sources", "server two.test\n")
        host.write("/etc/more/b.cfg", "server three.test\ninclude /etc/chrony/chrony.conf\n")
        text = "confdir /etc/chrony/conf.d\nsourcedir /run/chrony-dhcp\ninclude /etc/more/*.cfg\n"
        assert set(servers(text)) == {"one.test:123", "two.test:123", "three.test:123"}

    def test_the_file_on_the_command_line_is_the_one(self, host: Host) -> None:
        host.write("/etc/chrony/chrony.conf", "server usual.test\n")
        host.write("/srv/other.conf", "server other.test\n")
        host.run_process("chronyd", "chronyd", "-d", "-f", "/srv/other.conf")
        (daemon,) = find_time_daemons({}, host.root, saying())
        assert daemon.servers == ("other.test:123",)
        assert daemon.files == ("/srv/other.conf",)

    def test_a_daemon_in_a_container_has_the_containers_files(self, host: Host, tmp_path: Path) -> None:
        inside = tmp_path / "container"
        (inside / "etc").mkdir(parents=True)
        (inside / "etc/chrony.conf").write_text("server inside.test\n")
        host.write("/etc/chrony.conf", "server outside.test\n")
        host.run_process("chronyd", "chronyd", root=inside)
        assert find_time_daemons({}, host.root, saying())[0].servers == ("inside.test:123",)


class TestServersOfOthers:
    def test_ntp_conf_names_servers_and_reference_clocks_are_none(self, host: Host) -> None:
        host.run_process("ntpd", "ntpd", "-p", "/run/ntpd.pid", "-g")
        host.write(
            "/etc/ntp.conf",
            "driftfile /var/lib/ntp/drift\npool -4 pool.test iburst\nserver 127.127.1.0 # local clock\n"
            "restrict default kod\nserver one.test # ours\n",
        )
        assert find_time_daemons({}, host.root, saying())[0].servers == ("pool.test:123", "one.test:123")

    def test_openntpd_names_its_file_with_another_flag(self, host: Host) -> None:
        host.run_process("ntpd", "ntpd", "-f", "/etc/openntpd/ntpd.conf")
        host.write("/etc/openntpd/ntpd.conf", "servers pool.test weight 2\n")
        assert find_time_daemons({}, host.root, saying())[0].servers == ("pool.test:123",)

    def test_busybox_names_its_peer_on_the_command_line(self, host: Host) -> None:
        host.run_process("ntpd", "ntpd", "-n", "-p", "peer.test")
        assert find_time_daemons({}, host.root, saying())[0].servers == ("peer.test:123",)

    def test_timesyncd_takes_the_fallback_only_where_nothing_else_is_named(self, host: Host) -> None:
        host.run_process("systemd-timesyncd", "systemd-timesyncd")
        host.write("/etc/systemd/timesyncd.conf", "[Time]\n#NTP=no.test\nFallbackNTP=fall.test back.test\n")
        assert find_time_daemons({}, host.root, saying())[0].servers == ("fall.test:123", "back.test:123")
        host.write("/etc/systemd/timesyncd.conf.d/10-site.conf", "[Time]\nNTP=site.test\n")
        assert find_time_daemons({}, host.root, saying())[0].servers == ("site.test:123",)

    def test_an_empty_value_in_a_drop_in_takes_back_what_was_named(self, host: Host) -> None:
        host.run_process("systemd-timesyncd", "systemd-timesyncd")
        host.write("/etc/systemd/timesyncd.conf", "[Time]\nNTP=one.test\n")
        host.write("/etc/systemd/timesyncd.conf.d/10.conf", "[Time]\nNTP=\nNTP=two.test\n")
        assert find_time_daemons({}, host.root, saying())[0].servers == ("two.test:123",)


class TestFilesOfDaemonsThatDoNotRun:
    def test_the_first_that_names_servers_counts(self, host: Host) -> None:
        host.write("/etc/chrony/chrony.conf", "makestep 1 3\n")
        host.write("/etc/ntp.conf", "server one.test\n")
        found = named_in_files(host.root)
        assert found.servers == ("one.test:123",)
        assert found.files == ("/etc/ntp.conf",)

    def test_a_host_without_any_names_none(self, host: Host) -> None:
        assert named_in_files(host.root).servers == ()

    def test_odd_files_are_survived(self, host: Host) -> None:
        (host.root / "etc/chrony").mkdir(parents=True)
        os.mkfifo(host.root / "etc/chrony/chrony.conf")
        host.write("/etc/chrony.conf", "server\nserver \xff\x00\ninclude\ninclude /nowhere/*\n")
        assert len(named_in_files(host.root).servers) <= 1
