"""Whose clock is wrong: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from regdoctor.api import (
    Certainty,
    DateReading,
    DateReadings,
    Draft,
    Each,
    Endpoint,
    Failure,
    FailureKind,
    Handshake,
    Handshakes,
    Moment,
    NtpReading,
    NtpReadings,
    Producer,
    ProducerKind,
    Role,
    ServedCertificate,
    Settings,
    SpareNtpReadings,
    Synchronisation,
    TimeDaemon,
    TimeDaemons,
)
from regdoctor.checks.clock import rules

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = 3600.0
REGISTRY = Endpoint(role=Role.REGISTRY, scheme="https", host="reg.test", port=443)
SETTINGS = Settings()


def date(offset: float, *, uncertainty: float = 1.0, **changes: Any) -> DateReading:
    """The registry's Date header."""
    values: dict[str, Any] = {
        "host": "reg.test:443",
        "exchange": "x1",
        "producer": Producer(kind=ProducerKind.REGISTRY),
        "date": NOW + timedelta(seconds=offset),
        "offset": offset,
        "uncertainty": uncertainty,
        "address": "192.0.2.1",
        "endpoint": REGISTRY,
    }
    return DateReading(**{**values, **changes})


def other_date(offset: float, **changes: Any) -> DateReading:
    """The Date header of another machine, which a redirect led to."""
    values: dict[str, Any] = {"host": "cdn.test:443", "exchange": "x2", "address": "192.0.2.2"}
    return date(offset, **{**values, "endpoint": None, **changes})


def ntp(offset: float | None = None, **changes: Any) -> NtpReading:
    """An NTP server's answer, or its silence."""
    values: dict[str, Any] = {"server": "ntp.test:123", "attempts": 1}
    if offset is None:
        values["failure"] = Failure(
            kind=FailureKind.RESPONSE_TIMEOUT, message="ntp.test:123 did not answer over UDP in time"
        )
    else:
        values |= {"offset": offset, "uncertainty": 0.1, "stratum": 2, "synchronised": True}
    return NtpReading(**{**values, **changes})


def certificate(start: timedelta, end: timedelta) -> Each[Handshakes]:
    """The registry's certificate, valid from and to these distances from now."""
    leaf = ServedCertificate(
        sha256="00",
        pem="",
        subject="CN=reg.test",
        issuer="CN=ca",
        serial="1",
        not_before=NOW + start,
        not_after=NOW + end,
        common_name=None,
        dns_names=("reg.test",),
        ip_addresses=(),
        has_alternative_names=True,
        is_ca=False,
        self_signed=False,
        key_type="rsa",
        key_bits=2048,
        signature_hash="sha256",
        extended_key_usages=(),
        issuer_urls=(),
    )
    handshake = Handshake(address="192.0.2.1", server_name="reg.test", seconds=0.1, chain=(leaf,))
    return Each({REGISTRY: Handshakes(handshakes=(handshake,))})


def judge(
    dates: tuple[DateReading, ...] = (),
    servers: tuple[NtpReading, ...] = (),
    *,
    handshakes: Each[Handshakes] | None = None,
    settings: Settings = SETTINGS,
    spare: tuple[NtpReading, ...] = (),
    daemons: tuple[TimeDaemon, ...] = (),
) -> list[Draft]:
    """What the rules about skew make of readings, called as the engine does: a missing fact, no rule."""
    drafts: list[Draft] = []
    read = DateReadings(readings=dates) if dates else None
    asked = NtpReadings(given=True, readings=servers) if servers else None
    moment = Moment(now=NOW)
    unused = SpareNtpReadings(sources=("/etc/chrony.conf",), readings=spare) if spare else None
    kept = TimeDaemons(daemons=daemons)
    drafts += rules.client_wrong_by_ntp(moment, settings, asked, unused, kept, read)
    if read is not None:
        drafts += rules.clocks_differ(moment, settings, read, asked, unused, kept, handshakes or Each({}))
    return drafts


def single(drafts: list[Draft]) -> Draft:
    assert [draft.code for draft in drafts] == [drafts[0].code] if drafts else False, drafts
    return drafts[0]


class TestAgreement:
    @pytest.mark.parametrize("offset", [0, 2, -2, 59, -59])
    def test_clocks_within_the_tolerance_are_no_finding(self, offset: float) -> None:
        assert judge((date(offset),), (ntp(offset),)) == []
        assert judge((date(offset),)) == []
        assert judge((), (ntp(offset),)) == []

    def test_the_tolerance_is_the_callers(self) -> None:
        assert judge((date(59),), settings=Settings(clock_tolerance=30)) != []
        assert judge((date(120),), settings=Settings(clock_tolerance=300)) == []

    def test_a_slow_link_makes_no_skew(self) -> None:
        assert judge((date(70, uncertainty=20),)) == []
        assert judge((), (ntp(70, uncertainty=20),)) == []

    def test_readings_too_vague_to_decide_say_nothing_of_either_clock(self) -> None:
        # The NTP answer fits both a right and a wrong clock: it cannot blame the registry.
        drafts = judge((date(HOUR),), (ntp(40, uncertainty=200),))
        assert single(drafts).code == "clock/client-skew"
        assert single(drafts).certainty is Certainty.LIKELY


class TestThisHostIsWrong:
    @pytest.mark.parametrize(
        ("offset", "words"),
        [
            (HOUR, "1 h behind"),
            (-2 * HOUR - 300, "2 h 5 min ahead"),
            (HOUR - 1, "1 h behind"),
            (95, "1 min 35 s behind"),
            (10 * 365 * 24 * HOUR, "3650 d behind"),
        ],
    )
    def test_registry_and_ntp_agree_so_it_is_proven(self, offset: float, words: str) -> None:
        draft = single(judge((date(offset),), (ntp(offset),)))
        assert draft.code == "clock/client-skew"
        assert draft.certainty is Certainty.PROVEN
        assert words in draft.detail
        assert "ntp.test:123" in draft.detail
        assert "reg.test:443" in draft.detail
        assert draft.endpoint is None
        assert draft.evidence == ("ntp-readings", "x1")

    def test_only_the_registrys_date_makes_it_likely_and_ntp_would_decide(self) -> None:
        draft = single(judge((date(HOUR),)))
        assert (draft.code, draft.certainty) == ("clock/client-skew", Certainty.LIKELY)
        assert "--ntp-server" in draft.detail
        assert "could be that of reg.test:443" in draft.detail

    def test_only_ntp_makes_it_likely_and_two_servers_prove_it(self) -> None:
        one = single(judge((), (ntp(HOUR),)))
        assert (one.code, one.certainty) == ("clock/client-skew", Certainty.LIKELY)
        two = single(judge((), (ntp(HOUR), ntp(HOUR + 1, server="two.test:123"))))
        assert two.certainty is Certainty.PROVEN
        assert "two.test:123" in two.detail

    def test_a_silent_ntp_server_leaves_it_to_the_date(self) -> None:
        assert single(judge((date(HOUR),), (ntp(),))).certainty is Certainty.LIKELY

    def test_a_registry_on_this_host_shares_the_wrong_clock(self) -> None:
        draft = single(judge((date(0, address="127.0.0.1"),), (ntp(HOUR),)))
        assert (draft.code, draft.certainty) == ("clock/client-skew", Certainty.LIKELY)
        assert "same clock" in draft.detail

    def test_one_ntp_server_against_this_host_and_the_registry_is_possible_only(self) -> None:
        draft = single(judge((date(0),), (ntp(HOUR),)))
        assert (draft.code, draft.certainty) == ("clock/client-skew", Certainty.POSSIBLE)
        assert "agrees with this host" in draft.detail

    def test_a_single_ntp_server_that_is_wrong_is_outvoted(self) -> None:
        right = (ntp(0, server="one.test:123"), ntp(0.5, server="two.test:123"))
        assert judge((date(0),), (*right, ntp(HOUR, server="wrong.test:123"))) == []

    def test_servers_that_contradict_each_other_decide_nothing(self) -> None:
        servers = (ntp(HOUR), ntp(9 * HOUR, server="two.test:123"))
        assert judge((), servers) == []
        draft = single(judge((date(HOUR),), servers))
        assert (draft.code, draft.certainty) == ("clock/client-skew", Certainty.LIKELY)

    def test_another_machines_date_that_agrees_with_the_registrys_is_named(self) -> None:
        draft = single(judge((date(HOUR), other_date(HOUR + 1))))
        assert draft.code == "clock/client-skew"
        assert "So does" in draft.detail
        assert "cdn.test:443" in draft.detail

    def test_a_certificate_valid_by_the_registrys_clock_alone_speaks_against_this_host(self) -> None:
        seen = certificate(timedelta(minutes=30), timedelta(days=90))
        draft = single(judge((date(HOUR),), handshakes=seen))
        assert draft.code == "clock/client-skew"
        assert "valid by its clock and not by this host's" in draft.detail


class TestServersThatNobodyUses:
    """Those of a file whose daemon does not run: asked only because a Date is off."""

    def test_they_decide_as_well_as_others(self) -> None:
        client = single(judge((date(HOUR),), spare=(ntp(HOUR),)))
        assert (client.code, client.certainty) == ("clock/client-skew", Certainty.PROVEN)
        assert client.evidence == ("spare-ntp-readings", "x1")
        registry = single(judge((date(HOUR),), spare=(ntp(0),)))
        assert (registry.code, registry.certainty) == ("clock/registry-skew", Certainty.PROVEN)

    def test_their_silence_leaves_it_to_the_date(self) -> None:
        assert single(judge((date(HOUR),), spare=(ntp(),))).certainty is Certainty.LIKELY


class TestTheRegistryIsWrong:
    def test_this_host_agrees_with_ntp_so_it_is_proven(self) -> None:
        draft = single(judge((date(-HOUR),), (ntp(0.2),)))
        assert (draft.code, draft.certainty) == ("clock/registry-skew", Certainty.PROVEN)
        assert "1 h behind" in draft.detail
        assert draft.endpoint == REGISTRY

    def test_who_wrote_the_header_is_named_since_it_is_that_machines_clock(self) -> None:
        nginx = Producer(kind=ProducerKind.REVERSE_PROXY, name="nginx")
        draft = single(judge((date(HOUR, producer=nginx),), (ntp(0),)))
        assert "nginx wrote the header" in draft.detail

    def test_an_ntp_server_on_this_host_has_its_clock_and_proves_nothing(self) -> None:
        draft = single(judge((date(HOUR),), (ntp(0, local=True),)))
        assert (draft.code, draft.certainty) == ("clock/registry-skew", Certainty.LIKELY)
        assert "ntp.test:123, which runs on this host, says that its clock is synchronised" in draft.detail

    def test_so_what_speaks_against_this_host_outweighs_it(self) -> None:
        seen = certificate(timedelta(minutes=30), timedelta(days=90))
        draft = single(judge((date(HOUR),), (ntp(0, local=True),), handshakes=seen))
        assert (draft.code, draft.certainty) == ("clock/client-skew", Certainty.LIKELY)

    def test_an_ntp_server_that_does_not_trust_itself_decides_nothing(self) -> None:
        useless = ntp(0, synchronised=False, problem="not synchronised", stratum=16)
        assert single(judge((date(HOUR),), (useless,))).code == "clock/client-skew"

    def test_another_machines_date_that_agrees_with_this_host_makes_it_likely(self) -> None:
        draft = single(judge((date(HOUR), other_date(1))))
        assert (draft.code, draft.certainty) == ("clock/registry-skew", Certainty.LIKELY)
        assert "--ntp-server" in draft.detail

    def test_the_same_machine_under_another_port_is_no_second_witness(self) -> None:
        again = other_date(1, address="192.0.2.1")
        assert single(judge((date(HOUR), again))).code == "clock/client-skew"

    def test_a_certificate_that_its_own_clock_calls_invalid_speaks_against_the_registry(self) -> None:
        seen = certificate(timedelta(days=-30), timedelta(days=60))
        draft = single(judge((date(-365 * 24 * HOUR),), handshakes=seen))
        assert (draft.code, draft.certainty) == ("clock/registry-skew", Certainty.LIKELY)

    def test_the_clock_of_a_forward_proxy_that_answers_is_not_the_registrys(self) -> None:
        squid = Producer(kind=ProducerKind.FORWARD_PROXY, name="Squid")
        assert judge((date(HOUR, producer=squid),), (ntp(0),)) == []


def unreachable(readings: NtpReadings, *daemons: TimeDaemon) -> Iterator[Draft]:
    return rules.ntp_unreachable(readings, TimeDaemons(daemons=daemons))


def chronyd(state: Synchronisation) -> TimeDaemon:
    return TimeDaemon(
        name="chronyd",
        running=state is not Synchronisation.NOT_RUNNING,
        synchronisation=state,
        detail="Leap status: Not synchronised, stratum 0",
        command="chronyc -c tracking",
    )


class TestNtpUnreachable:
    def test_given_servers_that_are_silent_are_named_with_the_reason(self) -> None:
        (draft,) = unreachable(NtpReadings(given=True, readings=(ntp(), ntp())))
        assert draft.code == "clock/ntp-unreachable"
        assert "did not answer over UDP" in draft.detail
        assert "--ntp-server" in draft.detail

    def test_a_server_that_answers_without_time_is_of_no_use(self) -> None:
        useless = ntp(0, synchronised=False, problem="not synchronised", stratum=16)
        (draft,) = unreachable(NtpReadings(given=True, readings=(useless,)))
        assert "stratum 16" in draft.detail

    def test_one_server_that_answers_is_enough(self) -> None:
        assert not list(unreachable(NtpReadings(given=True, readings=(ntp(), ntp(0)))))

    def test_the_file_that_names_a_daemons_servers_is_shown(self) -> None:
        readings = NtpReadings(given=False, sources=("/etc/chrony/chrony.conf",), readings=(ntp(),))
        (draft,) = unreachable(readings, chronyd(Synchronisation.NOT_SYNCHRONISED))
        assert "/etc/chrony/chrony.conf" in draft.detail

    def test_a_daemon_that_is_synchronised_reaches_its_servers_whatever_we_see(self) -> None:
        readings = NtpReadings(given=False, sources=("/etc/chrony.conf",), readings=(ntp(),))
        assert not list(unreachable(readings, chronyd(Synchronisation.SYNCHRONISED)))


class TestNotSynchronised:
    def test_a_daemon_that_says_so_is_a_warning_with_its_words(self) -> None:
        daemons = TimeDaemons(daemons=(chronyd(Synchronisation.NOT_SYNCHRONISED),))
        (draft,) = rules.not_synchronised(daemons)
        assert draft.code == "clock/not-synchronised"
        assert "chronyc -c tracking says Leap status: Not synchronised" in draft.detail

    def test_an_enabled_daemon_that_does_not_run_is_one_too(self) -> None:
        stopped = TimeDaemon(
            name="chrony",
            running=False,
            synchronisation=Synchronisation.NOT_RUNNING,
            detail="chrony.service is enabled and failed",
        )
        (draft,) = rules.not_synchronised(TimeDaemons(daemons=(stopped,)))
        assert "chrony.service is enabled and failed" in draft.detail

    @pytest.mark.parametrize("state", [Synchronisation.SYNCHRONISED, Synchronisation.UNKNOWN])
    def test_a_daemon_that_works_or_says_nothing_is_no_finding(self, state: Synchronisation) -> None:
        assert not list(rules.not_synchronised(TimeDaemons(daemons=(chronyd(state),))))

    def test_a_container_without_any_daemon_stays_silent(self) -> None:
        assert not list(rules.not_synchronised(TimeDaemons()))

    def test_one_daemon_that_keeps_the_clock_right_is_enough(self) -> None:
        states = (Synchronisation.NOT_SYNCHRONISED, Synchronisation.SYNCHRONISED)
        assert not list(rules.not_synchronised(TimeDaemons(daemons=tuple(map(chronyd, states)))))
