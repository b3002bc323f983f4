"""Bodies of requests: an answer that comes before everything is sent is seen, and sending ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regdoctor.context import Deadline, Trace
from regdoctor.facts.base import Failure, FailureKind
from regdoctor.net.http import Client, Response, pause_sending
from regdoctor.options import Options
from tests.conftest import StartNginx
from tests.support.certificates import CertificateFiles
from tests.support.nginx import Nginx, ReverseProxy
from tests.support.raw_server import raw_server, read_request
from tests.support.registry import Registry

MEBIBYTE = 1024 * 1024
REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno\n"


def make_client(options: Options | None = None, *, step: float = 5.0, deadline: float = 30.0) -> Client:
    return Client(
        options=options or Options(),
        deadline=Deadline(deadline, step),
        trace=Trace(),
        environment={},
        home=Path("/nonexistent"),
        shared={},
        lock=threading.Lock(),
    )


@pytest.fixture
def client() -> Iterator[Client]:
    client = make_client()
    yield client
    client.close()


def chunks(size: int, sent: list[int] | None = None) -> Iterator[bytes]:
    for _ in range(0, size, 65536):
        if sent is not None:
            sent.append(65536)
        yield b"x" * 65536


def refuse_unread(connection: socket.socket, over: threading.Event) -> None:
    """Answers the header and then reads nothing, so that a client that goes on sending gets stuck."""
    read_request(connection)
    connection.sendall(REFUSAL)
    over.wait(10)


@pytest.mark.parametrize("chunked", [True, False])
def test_an_early_answer_ends_the_sending(client: Client, chunked: bool) -> None:
    sent: list[int] = []
    with raw_server(refuse_unread) as port:
        got = client.request(
            "PATCH",
            f"http://127.0.0.1:{port}/",
            content=chunks(64 * MEBIBYTE, sent) if chunked else b"x" * 64 * MEBIBYTE,
        )

    assert isinstance(got, Response)
    assert (got.answer.status, got.body) == (413, b"no\n")
    assert sum(sent) < 64 * MEBIBYTE


def test_a_reset_after_an_early_answer_does_not_hide_it(client: Client) -> None:
    def answer(connection: socket.socket, _over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(REFUSAL)

    with raw_server(answer) as port:
        got = client.request("PATCH", f"http://127.0.0.1:{port}/", content=chunks(64 * MEBIBYTE))

    assert isinstance(got, Response)
    assert got.answer.status == 413


def test_a_body_is_sent_whole_where_nobody_answers_early(client: Client) -> None:
    received: list[int] = []

    def answer(connection: socket.socket, _over: threading.Event) -> None:
        head, _, rest = read_request(connection).partition(b"\r\n\r\n")
        assert b"Content-Length: 3000000" in head
        size = len(rest)
        while size < 3_000_000:
            size += len(connection.recv(65536))
        received.append(size)
        connection.sendall(b"HTTP/1.1 202 Yes\r\nContent-Length: 0\r\n\r\n")

    with raw_server(answer) as port:
        got = client.request("PATCH", f"http://127.0.0.1:{port}/", content=b"x" * 3_000_000)

    assert isinstance(got, Response)
    assert (got.answer.status, received) == (202, [3_000_000])


def test_an_answer_ends_a_pause_of_the_body(client: Client) -> None:
    def body() -> Iterator[bytes]:
        yield b"x"
        pause_sending(20)
        yield b"y"

    started = time.monotonic()
    with raw_server(refuse_unread) as port:
        got = client.request("PATCH", f"http://127.0.0.1:{port}/", content=body())

    assert isinstance(got, Response)
    assert got.answer.status == 413
    assert time.monotonic() - started < 3


def test_a_pause_lasts_where_nobody_answers(client: Client) -> None:
    def body() -> Iterator[bytes]:
        yield b"x"
        pause_sending(0.3)
        yield b"y"

    def answer(connection: socket.socket, _over: threading.Event) -> None:
        received = read_request(connection)
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 202 Yes\r\nContent-Length: 0\r\n\r\n")

    started = time.monotonic()
    with raw_server(answer) as port:
        got = client.request("PATCH", f"http://127.0.0.1:{port}/", content=body())

    assert isinstance(got, Response)
    assert time.monotonic() - started >= 0.3


def test_an_announced_body_is_never_sent(client: Client) -> None:
    received: list[bytes] = []

    def answer(connection: socket.socket, _over: threading.Event) -> None:
        received.append(read_request(connection))
        connection.sendall(REFUSAL)

    with raw_server(answer) as port:
        got = client.request("PATCH", f"http://127.0.0.1:{port}/", announce=10 * 1024**3)

    assert isinstance(got, Response)
    assert got.answer.status == 413
    assert b"Content-Length: 10737418240\r\n" in received[0]
    assert received[0].endswith(b"\r\n\r\n")


def test_silence_after_an_announced_body_is_a_response_timeout(client: Client) -> None:
    with raw_server(lambda connection, over: (read_request(connection), over.wait(10), None)[2]) as port:
        got = client.request("PATCH", f"http://127.0.0.1:{port}/", announce=1000, seconds=0.3)

    assert isinstance(got, Failure)
    assert got.kind is FailureKind.RESPONSE_TIMEOUT


def test_another_deadline_outlives_the_first() -> None:
    client = make_client(deadline=0.0)
    with raw_server(refuse_unread) as port:
        later = client.with_deadline(Deadline(5, 5))
        got = later.request("DELETE", f"http://127.0.0.1:{port}/", fresh=True)

    assert isinstance(got, Response)


@pytest.fixture
def limited(registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles) -> Nginx:
    """A registry behind nginx with its default limit of 1 MB, over TLS."""
    proxy = ReverseProxy(registry.upstream, name="reg.test", tls=certificate, client_max_body_size=None)
    return start_nginx(proxy)


def start_upload(client: Client, nginx: Nginx) -> str:
    """The Location of a new upload; the registry would answer one that it does not know before nginx counts."""
    started = client.request(
        "POST",
        f"{nginx.url}/v2/team/app/blobs/uploads/",
        content=b"",
        address="127.0.0.1",
        fresh=True,
    )
    assert isinstance(started, Response)
    assert started.location is not None
    return started.location


@pytest.mark.needs("docker-registry", "nginx")
@pytest.mark.parametrize("body", ["chunks", "bytes", "announced"])
def test_the_413_of_nginx_is_read_over_tls(limited: Nginx, certificate: CertificateFiles, body: str) -> None:
    client = make_client(Options(cacert=certificate.ca))
    bodies: dict[str, bytes | Iterator[bytes]] = {
        "chunks": chunks(8 * MEBIBYTE),
        "bytes": b"x" * 8 * MEBIBYTE,
    }
    got = client.request(
        "PATCH",
        start_upload(client, limited),
        content=bodies.get(body),
        announce=8 * MEBIBYTE if body == "announced" else None,
        address="127.0.0.1",
        fresh=True,
    )

    assert isinstance(got, Response)
    assert got.answer.status == 413
    assert got.answer.producer.name == "nginx"


@pytest.mark.needs("docker-registry", "nginx")
def test_session_tickets_are_no_early_answer(
    registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles
) -> None:
    """TLS 1.3 servers send tickets unasked, which makes the socket readable (RFC 8446 section 4.6.1)."""
    nginx = start_nginx(ReverseProxy(registry.upstream, name="reg.test", tls=certificate))
    client = make_client(Options(cacert=certificate.ca))

    def slowly() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x"
            pause_sending(0.05)

    got = client.request(
        "PATCH", start_upload(client, nginx), content=slowly(), address="127.0.0.1", fresh=True
    )

    assert isinstance(got, Response)
    assert (got.answer.status, got.answer.header("range")) == (202, "0-2")
