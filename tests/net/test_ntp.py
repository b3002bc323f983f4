"""NTP servers are asked as an SNTP client would ask them, and their answers are measured rightly."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regdoctor.facts.base import FailureKind
from regdoctor.net import ntp
from tests.support import ports
from tests.support.ntp import Chronyd, NtpBehaviour, NtpServer


@contextmanager
def answering(make: Callable[[bytes], bytes | None]) -> Iterator[str]:
    """A UDP server that answers each datagram with what a function makes of it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                data, client = server.recvfrom(1024)
                if not data:
                    return
                answer = make(data)
                if answer is not None:
                    server.sendto(answer, client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", server.getsockname())
        thread.join()


class TestServerTexts:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("ntp.test", ("ntp.test", 123)),
            ("ntp.test:1123", ("ntp.test", 1123)),
            ("192.0.2.1", ("192.0.2.1", 123)),
            ("2001:db8::1", ("2001:db8::1", 123)),
            ("[2001:db8::1]", ("2001:db8::1", 123)),
            ("[2001:db8::1]:1123", ("2001:db8::1", 1123)),
            (" ntp.test ", ("ntp.test", 123)),
        ],
    )
    def test_host_and_port_are_split(self, text: str, expected: tuple[str, int]) -> None:
        assert ntp.parse_server(text) == expected

    @pytest.mark.parametrize(
        "text",
        ["", ":123", "ntp.test:", "ntp.test:0", "ntp.test:65536", "ntp.test:x", "[::1", "[::1]x", "a b"],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ntp.InvalidServer):
            ntp.parse_server(text)

    def test_asking_such_a_server_is_a_failure_that_quotes_it(self) -> None:
        reading = ntp.ask("ntp.test:x", 1)
        assert reading.failure is not None
        assert "'x'" in reading.failure.message
        assert reading.attempts == 0


class TestMeasuring:
    @pytest.mark.parametrize("offset", [0, 7200.25, -7200.25, 10 * 365 * 86400, -50 * 365 * 86400])
    def test_the_offset_is_what_has_to_be_added_to_this_clock(self, offset: float) -> None:
        with NtpServer(offset=offset) as server:
            reading = ntp.ask(server.address, 5)
        assert reading.failure is None
        assert reading.synchronised
        assert reading.offset == pytest.approx(offset, abs=0.2)
        assert reading.uncertainty is not None
        assert 0 <= reading.uncertainty < 0.5
        assert reading.stratum == 2
        assert reading.attempts == 1

    def test_the_servers_own_time_for_the_answer_is_no_uncertainty(self) -> None:
        with NtpServer(behaviour=NtpBehaviour(offset=100, delay=0.5)) as server:
            reading = ntp.ask(server.address, 5)
        assert reading.offset == pytest.approx(100, abs=0.2)
        assert reading.uncertainty is not None
        assert reading.uncertainty < 0.2

    def test_half_the_way_there_and_back_is_uncertain(self) -> None:
        def slow(query: bytes) -> bytes:
            received = time.time()
            threading.Event().wait(0.3)
            stamp = struct.pack("!Q", int((received + 2_208_988_800) * 2**32))
            return struct.pack("!BBbb", 0x24, 2, 6, -20) + bytes(12) + bytes(8) + query[40:48] + stamp * 2

        with answering(slow) as server:
            reading = ntp.ask(server, 5)
        assert reading.synchronised
        assert reading.offset is not None
        assert reading.uncertainty is not None
        assert reading.uncertainty == pytest.approx(0.15, abs=0.1)
        assert abs(reading.offset) <= reading.uncertainty

    def test_a_server_on_this_host_is_marked_since_it_shares_the_clock(self) -> None:
        with NtpServer() as server:
            assert ntp.ask(server.address, 5).local

    def test_ipv6_works_as_well(self) -> None:
        with NtpServer(host="::1", offset=60) as server:
            reading = ntp.ask(server.address, 5)
        assert reading.server == server.address
        assert reading.offset == pytest.approx(60, abs=0.2)

    @pytest.mark.needs("chronyd")
    def test_the_real_chronyd_agrees_with_this_clock(self, tmp_path: Path) -> None:
        with Chronyd(tmp_path / "chrony") as server:
            reading = ntp.ask(server.address, 5)
        assert reading.synchronised
        assert reading.stratum == 5
        assert reading.offset == pytest.approx(0, abs=0.2)


class TestAnswersOfNoUse:
    @pytest.mark.parametrize(
        ("behaviour", "problem"),
        [
            (NtpBehaviour(leap=3), "not synchronised"),
            (NtpBehaviour(stratum=16), "not synchronised"),
            (NtpBehaviour(stratum=0, reference=b"RATE"), "RATE"),
            (NtpBehaviour(stratum=0, reference=b"\0\0\0\0"), "not synchronised"),
        ],
    )
    def test_a_server_that_does_not_trust_its_own_clock_is_not_trusted(
        self, behaviour: NtpBehaviour, problem: str
    ) -> None:
        with NtpServer(behaviour=behaviour) as server:
            started = time.monotonic()
            reading = ntp.ask(server.address, 5)
        assert time.monotonic() - started < 3
        assert not reading.synchronised
        assert reading.problem == problem
        assert reading.failure is None

    @pytest.mark.parametrize(
        "make",
        [
            lambda query: query[:47],
            lambda _query: b"x" * 48,
            lambda query: b"\x24" + bytes(23) + b"another1" + bytes(16),
            # A client's packet sent back, as a UDP echo service does.
            lambda query: query[:24] + query[40:48] + query[32:],
        ],
        ids=["too short", "garbage", "answer to somebody else's query", "echo"],
    )
    def test_other_datagrams_are_no_answer(self, make: Callable[[bytes], bytes | None]) -> None:
        with answering(make) as server:
            reading = ntp.ask(server, 0.3)
        assert reading.offset is None
        assert reading.failure is not None
        assert reading.failure.kind is FailureKind.RESPONSE_TIMEOUT

    def test_time_stamps_that_contradict_each_other_are_not_believed(self) -> None:
        def confused(query: bytes) -> bytes:
            now = int((time.time() + 2_208_988_800) * 2**32)
            stamps = struct.pack("!QQ", now, now - 3600 * 2**32)
            return struct.pack("!BBbb", 0x24, 2, 6, -20) + bytes(20) + query[40:48] + stamps

        with answering(confused) as server:
            reading = ntp.ask(server, 0.3)
        assert not reading.synchronised
        assert reading.problem == "time stamps that contradict each other"


class TestSilence:
    def test_a_silent_server_is_asked_twice_and_costs_no_more_than_its_time(self) -> None:
        with NtpServer(behaviour=NtpBehaviour(silent=True)) as server:
            started = time.monotonic()
            reading = ntp.ask(server.address, 1.3)
            assert time.monotonic() - started < 3
            assert server.queries == 2
        assert reading.attempts == 2
        assert reading.failure is not None
        assert reading.failure.kind is FailureKind.RESPONSE_TIMEOUT
        assert server.address in reading.failure.message

    def test_a_closed_port_is_known_at_once(self) -> None:
        server = f"127.0.0.1:{ports.free_port()}"
        started = time.monotonic()
        reading = ntp.ask(server, 10)
        assert time.monotonic() - started < 5
        assert reading.failure is not None
        assert reading.failure.kind is FailureKind.CONNECTION_REFUSED

    def test_a_name_that_does_not_exist_is_a_failure_to_resolve(self) -> None:
        reading = ntp.ask("ntp.invalid", 5)
        assert reading.failure is not None
        assert reading.failure.kind in (
            FailureKind.NAME_NOT_FOUND,
            FailureKind.RESOLVER_FAILURE,
            FailureKind.RESOLVER_TIMEOUT,
        )
        assert reading.attempts == 0


class TestAskingMany:
    def test_all_are_asked_side_by_side_in_order(self) -> None:
        silent = NtpBehaviour(silent=True)
        with (
            NtpServer(behaviour=silent) as one,
            NtpServer(offset=60) as two,
            NtpServer(behaviour=silent) as three,
        ):
            started = time.monotonic()
            readings = ntp.ask_all([one.address, two.address, three.address], 1.0)
            assert time.monotonic() - started < 1.9
        assert [reading.server for reading in readings] == [one.address, two.address, three.address]
        assert [reading.synchronised for reading in readings] == [False, True, False]

    def test_a_server_named_twice_is_asked_once_and_no_more_than_eight_are(self) -> None:
        with NtpServer() as server:
            assert len(ntp.ask_all([server.address] * 3, 1)) == 1
            assert server.queries == 1
        assert len(ntp.ask_all([f"127.0.0.1:x{number}" for number in range(20)], 1)) == ntp.MOST_SERVERS
