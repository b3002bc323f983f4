"""Tunnels through a forward proxy: what is asked, what is made of the answer, and what is left in the tunnel."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable

import pytest

from regdoctor.api import Failure, FailureKind, Secret
from regdoctor.net.tunnel import through_proxy
from tests.support.ports import free_port
from tests.support.raw_server import close_after_greeting, raw_server, send


def no_tls(connection: socket.socket, _name: str) -> socket.socket:
    raise AssertionError("no TLS with an http proxy")


class Proxy:
    """Answers CONNECT as told, then says what it got in the tunnel."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.request = b""

    def __call__(self, connection: socket.socket, _stopped: threading.Event) -> None:
        while b"\r\n\r\n" not in self.request:
            self.request += connection.recv(1024)
        connection.sendall(self.answer)
        connection.recv(1024)


def open_through(port: int, userinfo: str = "", host: str = "reg.test") -> socket.socket | Failure:
    proxy = Secret(f"http://{userinfo}127.0.0.1:{port}")
    return through_proxy(proxy, host, 5000, no_tls)(2.0)


def test_what_follows_the_answer_stays_in_the_tunnel() -> None:
    proxy = Proxy(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\nhello")
    with raw_server(proxy) as port:
        tunnel = open_through(port)

        assert isinstance(tunnel, socket.socket)
        with tunnel:
            assert tunnel.recv(100) == b"hello"
    assert proxy.request.startswith(b"CONNECT reg.test:5000 HTTP/1.1\r\nHost: reg.test:5000\r\n")
    assert b"Authorization" not in proxy.request


def test_a_user_of_the_proxy_is_sent_to_it_decoded() -> None:
    proxy = Proxy(b"HTTP/1.1 200 OK\r\n\r\n")
    with raw_server(proxy) as port:
        tunnel = open_through(port, "me:p%40ss@")
        assert isinstance(tunnel, socket.socket)
        tunnel.close()

    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me:p@ss") in proxy.request


def test_an_ipv6_host_is_written_in_brackets() -> None:
    proxy = Proxy(b"HTTP/1.1 200 OK\r\n\r\n")
    with raw_server(proxy) as port:
        tunnel = open_through(port, host="2001:db8::1")
        assert isinstance(tunnel, socket.socket)
        tunnel.close()

    assert proxy.request.startswith(b"CONNECT [2001:db8::1]:5000 HTTP/1.1\r\n")


@pytest.mark.parametrize("answer", ["403 Forbidden", "407 Proxy Authentication Required", "503 No"])
def test_a_refusal_is_the_proxys(answer: str) -> None:
    with raw_server(Proxy(f"HTTP/1.1 {answer}\r\n\r\n".encode())) as port:
        failure = open_through(port, "me:secret@")

    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.PROXY_REFUSED
    assert answer in failure.message
    assert "secret" not in repr(failure)


@pytest.mark.parametrize(
    "behaviour",
    [close_after_greeting, send(b"SSH-2.0-x\r\n\r\n"), send(b"x" * 20000)],
    ids=["closes", "is no proxy", "never ends"],
)
def test_what_is_no_answer_is_told(behaviour: Callable[[socket.socket, threading.Event], None]) -> None:
    with raw_server(behaviour) as port:
        failure = open_through(port)

    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.PROXY_UNREACHABLE


def test_a_dead_proxy_is_unreachable() -> None:
    proxy = Secret(f"http://me:secret@127.0.0.1:{free_port()}")

    failure = through_proxy(proxy, "reg.test", 5000, no_tls)(2.0)

    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.PROXY_UNREACHABLE
    assert "secret" not in repr(failure)
