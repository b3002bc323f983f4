"""Tunnels through a forward proxy: what is asked, what is made of the answer, and what is left in the tunnel."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable

import pytest

from regdoctor.api import Answer, Endpoint, Failure, FailureKind, ProducerKind, Role, Secret
from regdoctor.net.tunnel import ask, plain_answer, through_proxy
from tests.engine.examples import context
from tests.support.ports import free_port
from tests.support.raw_server import close_after_greeting, hold, raw_server, send


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


class SocksProxy:
    """Speaks SOCKS 5 as told, then says hello in the tunnel."""

    def __init__(self, *, reply: int = 0, login: tuple[bytes, bytes] | None = None) -> None:
        self.reply = reply
        self.login = login
        self.wanted = b""

    def __call__(self, connection: socket.socket, _stopped: threading.Event) -> None:
        version, count = connection.recv(2)
        methods = connection.recv(count)
        assert version == 5
        method = 0 if self.login is None else 2
        if method not in methods:
            connection.sendall(b"\x05\xff")
            return
        connection.sendall(bytes([5, method]))
        if self.login is not None:
            name = connection.recv(connection.recv(2)[1])
            password = connection.recv(connection.recv(1)[0])
            connection.sendall(b"\x01\x00" if (name, password) == self.login else b"\x01\x01")
        self.wanted = connection.recv(1024)
        connection.sendall(bytes([5, self.reply, 0, 1]) + b"\x7f\x00\x00\x01\x12\x34")
        connection.sendall(b"hello")
        connection.recv(1)


def open_through_socks(port: int, userinfo: str = "", host: str = "reg.test") -> socket.socket | Failure:
    return through_proxy(Secret(f"socks5://{userinfo}127.0.0.1:{port}"), host, 5000, no_tls)(2.0)


@pytest.mark.parametrize("login", [None, (b"me", b"p@ss")])
def test_socks_leads_to_the_host_by_its_name(login: tuple[bytes, bytes] | None) -> None:
    proxy = SocksProxy(login=login)
    with raw_server(proxy) as port:
        tunnel = open_through_socks(port, "me:p%40ss@" if login else "")

        assert isinstance(tunnel, socket.socket)
        with tunnel:
            assert tunnel.recv(100) == b"hello"
    assert proxy.wanted == b"\x05\x01\x00\x03\x08reg.test\x13\x88"


def test_socks_takes_addresses_as_they_are() -> None:
    proxy = SocksProxy()
    with raw_server(proxy) as port:
        tunnel = open_through_socks(port, host="2001:db8::1")
        assert isinstance(tunnel, socket.socket)
        tunnel.close()

    assert (
        proxy.wanted == b"\x05\x01\x00\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + b"\x13\x88"
    )


@pytest.mark.parametrize(("reply", "words"), [(2, "not allowed"), (4, "host unreachable"), (99, "reply 99")])
def test_a_refusal_of_socks_is_put_into_words(reply: int, words: str) -> None:
    with raw_server(SocksProxy(reply=reply)) as port:
        failure = open_through_socks(port)

    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.PROXY_REFUSED
    assert words in failure.message


@pytest.mark.parametrize("userinfo", ["", "me:wrong@"])
def test_a_login_that_socks_wants_is_told(userinfo: str) -> None:
    with raw_server(SocksProxy(login=(b"me", b"p@ss"))) as port:
        failure = open_through_socks(port, userinfo)

    assert isinstance(failure, Failure)
    assert "407" in failure.message


def endpoint(scheme: str = "https") -> Endpoint:
    return Endpoint(role=Role.REGISTRY, scheme=scheme, host="reg.test", port=5000, path="/v2/")


def test_what_a_proxy_says_is_an_answer_of_its_own() -> None:
    refusal = (
        b"HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Length: 6\r\n"
        b"Content-Type: text/plain\r\n\r\nno way"
    )
    run = context()
    with raw_server(Proxy(refusal)) as port:
        answer = ask(Secret(f"http://me:canary@127.0.0.1:{port}"), endpoint(), run)

    assert isinstance(answer, Answer)
    assert (answer.method, answer.url, answer.status) == ("CONNECT", "reg.test:5000", 403)
    assert answer.producer.kind is ProducerKind.FORWARD_PROXY
    assert answer.body_excerpt == "no way"
    (exchange,) = run.trace.exchanges
    assert (exchange.id, exchange.status) == (answer.exchange, 403)
    assert "canary" not in repr((answer, exchange))


def test_an_http_host_is_asked_for_without_a_tunnel() -> None:
    proxy = Proxy(b"HTTP/1.0 200 OK\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n{}")
    with raw_server(proxy) as port:
        answer = ask(Secret(f"http://127.0.0.1:{port}"), endpoint("http"), context())

    assert isinstance(answer, Answer)
    assert answer.producer.kind is ProducerKind.REGISTRY
    assert proxy.request.startswith(b"GET http://reg.test:5000/v2/ HTTP/1.1\r\nHost: reg.test:5000\r\n")


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (close_after_greeting, FailureKind.RESPONSE_MALFORMED),
        (send(b"SSH-2.0-x\r\n\r\n"), FailureKind.RESPONSE_MALFORMED),
        (hold, FailureKind.RESPONSE_TIMEOUT),
    ],
    ids=["closes", "is no proxy", "is silent"],
)
def test_a_proxy_s_own_failure_keeps_its_kind(
    behaviour: Callable[[socket.socket, threading.Event], None], kind: FailureKind
) -> None:
    with raw_server(behaviour) as port:
        failure = ask(Secret(f"http://127.0.0.1:{port}"), endpoint(), context())

    assert isinstance(failure, Failure)
    assert failure.kind is kind


def test_a_refused_connection_to_the_proxy_is_said_to_be_refused() -> None:
    failure = ask(Secret(f"http://127.0.0.1:{free_port()}"), endpoint(), context())

    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.CONNECTION_REFUSED


def test_a_plain_proxy_called_https_is_found_out() -> None:
    with raw_server(Proxy(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        proxy = Secret(f"https://127.0.0.1:{port}")

        assert plain_answer(proxy, context(), 1.0) == "HTTP/1.1 400 Bad Request"


def test_a_silent_port_answers_nothing_in_plain() -> None:
    with raw_server(hold) as port:
        assert plain_answer(Secret(f"https://127.0.0.1:{port}"), context(), 0.2) is None
