"""One exchange with segments of several sizes: what tells a path that loses big packets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regdoctor.facts import FailureKind, SegmentTrial
from regdoctor.net.segments import Exchange, try_sizes
from tests.support.certificates import Authority
from tests.support.http_server import Answer, HTTPServer, Request
from tests.support.netns import LinkedHosts

SIZES = (None, 536)
SMALL = b"GET / HTTP/1.1\r\nHost: reg.test\r\nConnection: close\r\n\r\n"
BIG = b"GET / HTTP/1.1\r\nHost: reg.test\r\nX: " + b"x" * 4000 + b"\r\nConnection: close\r\n\r\n"


@contextmanager
def serve(answer: Answer, **options: object) -> Iterator[HTTPServer]:
    def respond(_request: Request) -> Answer:
        return answer

    with HTTPServer(respond, **options) as server:  # type: ignore[arg-type]
        yield server


def completed(trials: tuple[SegmentTrial, ...]) -> list[bool]:
    return [trial.completed for trial in trials]


class TestOnAGoodPath:
    @pytest.mark.parametrize("request_bytes", [SMALL, BIG])
    def test_every_size_goes_through(self, request_bytes: bytes) -> None:
        with serve(Answer(200, b"y" * 20_000)) as server:
            exchange = Exchange(address="127.0.0.1", port=server.port, request=request_bytes)
            trials = try_sizes(exchange, (None, 1240, 536, 88), 5.0)

        assert completed(trials) == [True] * 4
        assert all(trial.sent == len(request_bytes) for trial in trials)
        assert all(trial.received > 20_000 for trial in trials)

    def test_with_tls(self, authority: Authority, tmp_path: Path) -> None:
        files = authority.issue(["reg.test"], ["127.0.0.1"]).write(tmp_path)
        with serve(Answer(200, b"y" * 20_000), tls=files) as server:
            exchange = Exchange(
                address="127.0.0.1", port=server.port, use_tls=True, server_name="reg.test", request=SMALL
            )
            trials = try_sizes(exchange, SIZES, 5.0)

        assert completed(trials) == [True, True]

    def test_an_answer_without_length_ends_with_the_connection(self) -> None:
        headers = (("Transfer-Encoding", "chunked"), ("Content-Length", ""))
        with serve(Answer(200, b"5\r\nhello\r\n0\r\n\r\n", headers)) as server:
            trials = try_sizes(Exchange(address="127.0.0.1", port=server.port, request=SMALL), (None,), 2.0)

        assert completed(trials) == [True]


class TestFailures:
    def test_a_closed_port(self, unused_port: int) -> None:
        (trial,) = try_sizes(Exchange(address="127.0.0.1", port=unused_port, request=SMALL), (None,), 1.0)

        assert not trial.completed
        assert trial.failure is not None
        assert trial.failure.kind is FailureKind.CONNECTION_REFUSED

    def test_a_server_that_speaks_no_tls(self) -> None:
        with serve(Answer(200)) as server:
            exchange = Exchange(address="127.0.0.1", port=server.port, use_tls=True, server_name="reg.test")
            (trial,) = try_sizes(exchange, (None,), 2.0)

        assert not trial.completed
        assert trial.failure is not None


@pytest.fixture
def unused_port() -> Iterator[int]:
    import socket

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


@pytest.mark.needs_root
class TestOnAPathThatLosesBigPackets:
    def _try(self, linked: LinkedHosts, request: bytes, rule: str, hook: str) -> tuple[SegmentTrial, ...]:
        with serve(Answer(200, b"ok"), host=linked.server_address, namespace=linked.server) as server:
            linked.server.block(f"tcp {rule} {server.port} meta length > 1000 drop", hook=hook)
            exchange = Exchange(address=linked.server_address, port=server.port, request=request)
            return linked.client.call(lambda: try_sizes(exchange, SIZES, 1.5))

    def test_upwards_only_small_segments_pass(self, linked_hosts: LinkedHosts) -> None:
        trials = self._try(linked_hosts, BIG, "dport", "input")

        assert completed(trials) == [False, True]
        assert trials[0].failure is not None
        assert trials[0].failure.kind is FailureKind.RESPONSE_TIMEOUT

    def test_a_small_request_passes_all_the_same(self, linked_hosts: LinkedHosts) -> None:
        assert completed(self._try(linked_hosts, SMALL, "dport", "input")) == [True, True]

    def test_downwards_only_small_segments_pass(
        self, linked_hosts: LinkedHosts, authority: Authority, tmp_path: Path
    ) -> None:
        files = authority.issue(["reg.test"], key_type="rsa").write(tmp_path)
        options = {"host": linked_hosts.server_address, "namespace": linked_hosts.server, "tls": files}
        with serve(Answer(200, b"ok"), **options) as server:
            linked_hosts.server.block(f"tcp sport {server.port} meta length > 1000 drop", hook="output")
            exchange = Exchange(
                address=linked_hosts.server_address, port=server.port, use_tls=True, server_name="reg.test"
            )
            trials = linked_hosts.client.call(lambda: try_sizes(exchange, SIZES, 1.5))

        assert completed(trials) == [False, True]
        assert trials[0].failure is not None
        assert trials[0].failure.kind is FailureKind.TLS_TIMEOUT
