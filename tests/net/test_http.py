"""The HTTP client is bounded in time and size, traces every exchange and is careful with credentials."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from regdoctor.context import Deadline, Trace
from regdoctor.facts.base import Failure, FailureKind
from regdoctor.net.http import Client, Response, UnsafeCredentials
from regdoctor.options import Options
from regdoctor.secret import Secret
from tests.support.raw_server import raw_server, read_request

Answer = Callable[[socket.socket, threading.Event], None]


class MakeClient(Protocol):
    """Makes a client that is closed at the end of the test, and its trace."""

    def __call__(
        self,
        *,
        options: Options | None = None,
        step: float = 5.0,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[Client, Trace]: ...


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    with ExitStack() as stack:

        def make(
            *, options: Options | None = None, step: float = 5.0, environment: Mapping[str, str] | None = None
        ) -> tuple[Client, Trace]:
            trace = Trace()
            client = Client(
                options=options or Options(),
                deadline=Deadline(30, step),
                trace=trace,
                environment=environment or {},
                home=Path("/nonexistent"),
                shared={},
                lock=threading.Lock(),
            )
            stack.callback(client.close)
            return client, trace

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()[0]


def saying(reply: bytes) -> Answer:
    def answer(connection: socket.socket, _over: threading.Event) -> None:
        while read_request(connection):
            connection.sendall(reply)

    return answer


def get(client: Client, port: int, path: str = "/v2/", **keywords: object) -> Response | Failure:
    return client.request("GET", f"http://127.0.0.1:{port}{path}", **keywords)  # type: ignore[arg-type]


def test_an_answer_is_read_with_its_headers_in_lower_case(client: Client) -> None:
    with raw_server(
        saying(b"HTTP/1.1 401 No\r\nX-One: a\r\nX-ONE: b\r\nContent-Length: 2\r\n\r\n{}")
    ) as port:
        got = get(client, port)

    assert isinstance(got, Response)
    assert (got.answer.status, got.body, got.answer.body_complete) == (401, b"{}", True)
    assert got.answer.all_headers("X-One") == ("a", "b")
    assert got.answer.address == "127.0.0.1"


def test_connections_are_kept(client: Client) -> None:
    connections = []

    def answer(connection: socket.socket, _over: threading.Event) -> None:
        connections.append(connection)
        while read_request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with raw_server(answer) as port:
        for _ in range(3):
            assert isinstance(get(client, port), Response)

    assert len(connections) == 1


def closing_kept_connections(asked: list[bytes]) -> Answer:
    """A server that ends each connection at its second request, as one does that has just given up waiting."""

    def answer(connection: socket.socket, _over: threading.Event) -> None:
        asked.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        if again := read_request(connection):
            asked.append(again)

    return answer


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_kept_connection_that_ends_meanwhile_is_replaced(client: Client, method: str) -> None:
    asked: list[bytes] = []
    with raw_server(closing_kept_connections(asked)) as port:
        answers = [client.request(method, f"http://127.0.0.1:{port}/v2/") for _ in range(2)]

    assert [answer.answer.status for answer in answers if isinstance(answer, Response)] == [200, 200]
    assert len(asked) == 3


def test_a_request_with_a_body_is_never_sent_twice(client: Client) -> None:
    asked: list[bytes] = []
    with raw_server(closing_kept_connections(asked)) as port:
        get(client, port)
        got = client.request("POST", f"http://127.0.0.1:{port}/v2/", content=b"x")

    assert isinstance(got, Failure)
    assert len(asked) == 2


def test_a_redirect_is_an_answer(client: Client) -> None:
    reply = b"HTTP/1.1 307 Go\r\nLocation: https://blobs.test/x?sig=abcdef\r\nContent-Length: 0\r\n\r\n"
    with raw_server(saying(reply)) as port:
        got = get(client, port)

    assert isinstance(got, Response)
    assert got.location == "https://blobs.test/x?sig=abcdef"
    assert "abcdef" not in str(got.answer)


def test_a_body_beyond_the_limit_is_left_unread(client: Client) -> None:
    def answer(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while not over.is_set():
            connection.sendall(b"x" * 65536)

    with raw_server(answer) as port:
        got = get(client, port, body_limit=1000)

    assert isinstance(got, Response)
    assert len(got.body) == 1000
    assert not got.answer.body_complete


def dripping(first: bytes, drop: bytes) -> Answer:
    def answer(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(first)
        while not over.wait(0.05):
            connection.sendall(drop)

    return answer


def test_a_header_that_drips_is_cut_off_at_the_step_s_bound(make_client: MakeClient) -> None:
    client, _trace = make_client(step=0.6)
    started = time.monotonic()
    with raw_server(dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")) as port:
        got = get(client, port)

    assert isinstance(got, Failure)
    assert got.kind is FailureKind.RESPONSE_TIMEOUT
    assert time.monotonic() - started < 3


def test_a_body_that_drips_is_cut_off_and_said_to_be_incomplete(make_client: MakeClient) -> None:
    client, trace = make_client(step=0.6)
    with raw_server(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x")) as port:
        got = get(client, port)

    assert isinstance(got, Response)
    assert not got.answer.body_complete
    assert "broke off" in (trace.exchanges[0].error or "")


def test_silence_after_the_request_is_a_response_timeout(make_client: MakeClient) -> None:
    client, _trace = make_client(step=0.3)

    def answer(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        over.wait(5)

    with raw_server(answer) as port:
        got = get(client, port)

    assert isinstance(got, Failure)
    assert got.kind is FailureKind.RESPONSE_TIMEOUT


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n",
        b"HTTP/1.1 99999 Far\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 30000 + b"\r\n",
    ],
)
def test_what_is_no_http_is_a_malformed_answer(client: Client, reply: bytes) -> None:
    def answer(connection: socket.socket, _over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(reply)

    with raw_server(answer) as port:
        got = get(client, port)

    assert isinstance(got, Failure)
    assert got.kind in (FailureKind.RESPONSE_MALFORMED, FailureKind.CONNECTION_CLOSED)


def test_a_connection_closed_without_an_answer_is_said_so(client: Client) -> None:
    with raw_server(lambda connection, _over: (read_request(connection), None)[1]) as port:
        got = get(client, port)

    assert isinstance(got, Failure)
    assert got.kind is FailureKind.CONNECTION_CLOSED


def test_a_refused_connection_names_the_address(client: Client) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    got = get(client, port)

    assert isinstance(got, Failure)
    assert got.kind is FailureKind.CONNECTION_REFUSED
    assert str(port) in got.message


def test_every_exchange_is_traced_without_its_secrets(make_client: MakeClient) -> None:
    client, trace = make_client()
    header = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=canary1\r\nContent-Type: application/json\r\n"
    with raw_server(saying(header + b'Content-Length: 19\r\n\r\n{"token":"canary2"}')) as port:
        got = client.request(
            "GET", f"http://127.0.0.1:{port}/token?account=a", authorization=Secret("Basic canary3")
        )

    assert isinstance(got, Response)
    assert b"canary2" in got.body
    (exchange,) = trace.exchanges
    assert exchange.status == 200
    assert dict(exchange.request_headers)["Authorization"].startswith("Basic ")
    assert "canary" not in str(exchange)
    assert "canary" not in str(got.answer)
    assert exchange.timings_ms.wait is not None


def test_a_failed_exchange_is_traced_too(make_client: MakeClient) -> None:
    client, trace = make_client()
    get(client, 1)

    assert trace.exchanges[0].status is None
    assert "refused" in (trace.exchanges[0].error or "")


@pytest.mark.parametrize("url", ["http://reg.test/v2/", "http://10.0.0.1:5000/v2/"])
def test_credentials_never_go_over_plain_http_to_another_host(client: Client, url: str) -> None:
    with pytest.raises(UnsafeCredentials):
        client.request("GET", url, authorization=Secret("Basic eDp5"))


def test_plain_http_lets_credentials_go(make_client: MakeClient) -> None:
    client, _trace = make_client(options=Options(plain_http=True))

    assert client.may_carry_credentials("http://reg.test/v2/")
    assert not make_client()[0].may_carry_credentials("http://reg.test/v2/")


def test_credentials_never_go_where_the_certificate_is_not_judged(client: Client) -> None:
    with pytest.raises(UnsafeCredentials):
        client.request("GET", "https://reg.test/v2/", authorization=Secret("Basic eDp5"), verify=False)


def test_the_environment_s_proxy_is_not_read(make_client: MakeClient) -> None:
    client, _trace = make_client(
        environment={"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    )
    with raw_server(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as port:
        assert isinstance(get(client, port), Response)


def test_an_address_may_be_chosen_for_a_name(client: Client) -> None:
    with raw_server(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as port:
        got = client.request("GET", f"http://no-such-name.invalid:{port}/", address="127.0.0.1")

    assert isinstance(got, Response)
    assert got.answer.address == "127.0.0.1"
