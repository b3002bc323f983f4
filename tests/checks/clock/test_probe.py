"""Date headers are read with all the doubt that they leave, and NTP servers are asked only where they should."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from regdoctor.api import (
    Answer,
    Context,
    DateReading,
    DateReadings,
    Each,
    Endpoint,
    NotApplicable,
    NtpReadings,
    Options,
    Ping,
    Producer,
    ProducerKind,
    Role,
    Synchronisation,
    TimeDaemon,
    TimeDaemons,
    TokenExchange,
    TokenService,
    time_daemons,
)
from regdoctor.checks.clock import probe
from regdoctor.context import Deadline
from regdoctor.host.time_daemons import NtpConfiguration
from tests.support.ntp import NtpServer

SENT = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
REGISTRY = Endpoint(role=Role.REGISTRY, scheme="https", host="reg.test", port=443, path="/v2/")
PROXY = Producer(kind=ProducerKind.REVERSE_PROXY, name="nginx")


def answer(date: str | None, *, seconds: float = 0.1, **changes: Any) -> Answer:
    headers = [("content-type", "application/json"), *([("date", date)] if date is not None else [])]
    values: dict[str, Any] = {
        "exchange": "x1",
        "url": "https://reg.test/v2/",
        "method": "GET",
        "status": 200,
        "headers": tuple(headers),
        "body_excerpt": "{}",
        "body_size": 2,
        "body_complete": True,
        "sent_at": SENT,
        "seconds": seconds,
        "producer": PROXY,
        "address": "192.0.2.1",
    }
    return Answer(**{**values, **changes})


def read(*answers: Answer, **changes: Any) -> tuple[DateReading, ...]:
    """The readings of one look at the registry, whose last answer is the last given one."""
    ping = Ping(answer=answers[-1], trusted=True, redirects=answers[:-1], **changes)
    return probe.read_dates(Each({REGISTRY: ping}), None, None).readings


class TestDates:
    @pytest.mark.parametrize(
        ("date", "seconds", "lowest", "highest"),
        [
            # The header is cut to whole seconds and was written at some time between sending and receiving.
            ("Mon, 23 Nov 2026 12:00:00 GMT", 0.0, -0.25, 0.75),
            ("Mon, 23 Nov 2026 14:00:00 GMT", 0.0, 7199.75, 7200.75),
            ("Mon, 23 Nov 2026 11:00:00 GMT", 4.0, -3604.25, -3599.25),
        ],
    )
    def test_the_true_offset_lies_within_the_uncertainty(
        self, date: str, seconds: float, lowest: float, highest: float
    ) -> None:
        (reading,) = read(answer(date, seconds=seconds))
        assert reading.offset - reading.uncertainty <= lowest
        assert reading.offset + reading.uncertainty >= highest
        assert 2 * reading.uncertainty <= highest - lowest + 1

    def test_the_host_is_named_with_its_port_and_who_wrote_the_header(self) -> None:
        (reading,) = read(answer("Mon, 23 Nov 2026 12:00:00 GMT"))
        assert reading.host == "reg.test:443"
        assert reading.endpoint == REGISTRY
        assert reading.producer == PROXY

    def test_the_surest_answer_of_a_host_counts(self) -> None:
        slow = answer("Mon, 23 Nov 2026 12:00:00 GMT", seconds=3.0)
        quick = answer("Mon, 23 Nov 2026 12:00:00 GMT", seconds=0.1, exchange="x2")
        (reading,) = read(slow, control=quick)
        assert reading.exchange == "x2"

    def test_each_host_of_a_redirect_is_read_by_itself(self) -> None:
        first = answer("Mon, 23 Nov 2026 12:00:00 GMT", status=307)
        last = answer("Mon, 23 Nov 2026 13:00:00 GMT", url="https://cdn.test:8443/v2/")
        readings = read(first, last)
        assert [(each.host, each.endpoint) for each in readings] == [
            ("reg.test:443", REGISTRY),
            ("cdn.test:8443", None),
        ]

    @pytest.mark.parametrize("text", [None, "", "yesterday", "Mon, 23 Nov 2026 12:00:00 -0000", "1795455432"])
    def test_without_a_date_there_is_nothing_to_compare(self, text: str | None) -> None:
        with pytest.raises(NotApplicable):
            read(answer(text))

    def test_an_answer_out_of_a_cache_tells_an_old_time(self) -> None:
        headers = (("date", "Mon, 23 Nov 2026 10:00:00 GMT"), ("age", "7200"))
        with pytest.raises(NotApplicable):
            read(answer(None, headers=headers))

    def test_a_registry_that_was_not_reached_is_the_reason(self) -> None:
        with pytest.raises(NotApplicable, match="nothing listens"):
            probe.read_dates(Each({}, {REGISTRY: "nothing listens on reg.test:443"}), None, None)

    def test_the_token_server_is_a_further_witness(self) -> None:
        ping = Ping(answer=answer("Mon, 23 Nov 2026 12:00:00 GMT"), trusted=True)
        token_server = Endpoint(
            role=Role.TOKEN_SERVER, scheme="https", host="auth.test", port=443, path="/token"
        )
        exchange = TokenExchange(
            url="https://auth.test/token",
            method="GET",
            account=None,
            credential_sent=False,
            asked=(),
            request_bytes=100,
            answer=answer("Mon, 23 Nov 2026 13:00:00 GMT", url="https://auth.test/token"),
        )
        service = TokenService(endpoints=(token_server,), realm="https://auth.test/token")
        readings = probe.read_dates(Each({REGISTRY: ping}), service, exchange).readings
        assert [each.endpoint for each in readings] == [REGISTRY, token_server]
        assert readings[1].offset == pytest.approx(3600, abs=1)


class _Context:
    """As much of a probe's context as the probes here use."""

    def __init__(self, **options: Any) -> None:
        self.options = Options(**options)
        self.deadline = Deadline(seconds=20, step=5)


def context(**options: Any) -> Context:
    return cast("Context", _Context(**options))


def daemons(*servers: str) -> TimeDaemons:
    daemon = TimeDaemon(
        name="chronyd",
        running=True,
        synchronisation=Synchronisation.SYNCHRONISED,
        files=("/etc/chrony.conf",),
        servers=servers,
    )
    return TimeDaemons(daemons=(daemon,))


def dates(offset: float) -> DateReadings:
    (reading,) = read(answer("Mon, 23 Nov 2026 12:00:00 GMT", sent_at=SENT - timedelta(seconds=offset)))
    return DateReadings(readings=(reading,))


class TestWhomToAsk:
    def test_the_given_servers_are_asked_and_not_the_daemons(self) -> None:
        with NtpServer(offset=100) as given, NtpServer() as configured:
            readings = probe.ask_ntp(daemons(configured.address), context(ntp_servers=(given.address,)))
            assert configured.queries == 0
        assert readings.given
        assert [each.server for each in readings.readings] == [given.address]

    def test_without_them_the_running_daemons_servers_are_asked(self) -> None:
        with NtpServer() as configured:
            readings = probe.ask_ntp(daemons(configured.address), context())
        assert not readings.given
        assert readings.sources == ("/etc/chrony.conf",)
        assert readings.readings[0].synchronised

    def test_without_any_nobody_is_asked(self) -> None:
        with pytest.raises(NotApplicable):
            probe.ask_ntp(TimeDaemons(), context())

    @pytest.fixture
    def unused_server(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """A server that only the file of a daemon names which does not run."""
        with NtpServer() as server:
            found = NtpConfiguration((server.address,), ("/etc/chrony.conf",))
            monkeypatch.setattr(time_daemons, "named_in_files", lambda root=Path("/"): found)
            yield server

    def test_a_server_that_nobody_uses_decides_between_two_clocks(self, unused_server: NtpServer) -> None:
        readings = probe.ask_spare_ntp(dates(3600), None, context())
        assert readings.readings[0].synchronised
        assert readings.sources == ("/etc/chrony.conf",)

    def test_it_is_left_alone_where_the_clocks_agree_or_others_were_asked(
        self, unused_server: NtpServer
    ) -> None:
        with pytest.raises(NotApplicable):
            probe.ask_spare_ntp(dates(30), None, context())
        with pytest.raises(NotApplicable):
            probe.ask_spare_ntp(dates(3600), NtpReadings(given=True), context())
        assert unused_server.queries == 0
