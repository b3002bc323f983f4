"""Which kind of failure every exception of a network step stands for."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore
import pytest
from OpenSSL import SSL

from regdoctor.context import DeadlineExceeded
from regdoctor.facts import FailureKind
from regdoctor.net.failures import Step, failure_of, make_failure

Kind = FailureKind


@contextmanager
def server(answer: bytes | None, *, reset: bool = False) -> Iterator[int]:
    """A port that accepts one connection, answers with raw bytes and closes or resets."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                if answer:
                    connection.sendall(answer)
                if reset:
                    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def raised_by(function: object) -> BaseException:
    with pytest.raises(BaseException) as caught:
        function()  # type: ignore[operator]
    return caught.value


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ECONNREFUSED, Kind.CONNECTION_REFUSED),
        (errno.ECONNRESET, Kind.CONNECTION_RESET),
        (errno.EPIPE, Kind.CONNECTION_CLOSED),
        (errno.EHOSTUNREACH, Kind.HOST_UNREACHABLE),
        (errno.ENETUNREACH, Kind.NETWORK_UNREACHABLE),
        (errno.EACCES, Kind.CONNECTION_PROHIBITED),
        (errno.EADDRNOTAVAIL, Kind.LOCAL_FAULT),
        (errno.EMFILE, Kind.LOCAL_FAULT),
    ],
)
def test_system_errors(number: int, kind: FailureKind) -> None:
    failure = failure_of(OSError(number, "words"), step=Step.CONNECT, where="reg.test:5000")

    assert failure.kind is kind
    assert failure.errno == errno.errorcode[number]
    assert "reg.test:5000" in failure.message


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (Step.RESOLVE, Kind.RESOLVER_TIMEOUT),
        (Step.CONNECT, Kind.CONNECTION_TIMEOUT),
        (Step.TLS, Kind.TLS_TIMEOUT),
        (Step.EXCHANGE, Kind.RESPONSE_TIMEOUT),
    ],
)
def test_a_time_out_is_that_of_its_step(step: Step, kind: FailureKind) -> None:
    assert failure_of(TimeoutError("timed out"), step=step).kind is kind


@pytest.mark.parametrize(
    ("number", "kind", "symbol"),
    [
        (socket.EAI_NONAME, Kind.NAME_NOT_FOUND, "EAI_NONAME"),
        (socket.EAI_NODATA, Kind.NAME_NOT_FOUND, "EAI_NODATA"),
        (socket.EAI_AGAIN, Kind.RESOLVER_FAILURE, "EAI_AGAIN"),
        (socket.EAI_FAIL, Kind.RESOLVER_FAILURE, "EAI_FAIL"),
    ],
)
def test_errors_of_the_resolver(number: int, kind: FailureKind, symbol: str) -> None:
    failure = failure_of(socket.gaierror(number, "words"), step=Step.RESOLVE, where="reg.test")

    assert failure.kind is kind
    assert failure.errno == symbol


def test_a_name_that_exists_without_address_is_told_from_one_that_does_not_exist() -> None:
    missing = failure_of(socket.gaierror(socket.EAI_NONAME, ""), where="reg.test")
    empty = failure_of(socket.gaierror(socket.EAI_NODATA, ""), where="reg.test")

    assert "does not exist" in missing.message
    assert "exists but has no address" in empty.message


class TestHttpLibraries:
    def test_a_refused_connection_is_found_within_what_wraps_it(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            error = raised_by(lambda: httpcore.request("GET", f"http://127.0.0.1:{port}"))
        assert failure_of(error).kind is Kind.CONNECTION_REFUSED

    def test_a_connection_closed_without_an_answer(self) -> None:
        with server(None) as port:
            error = raised_by(lambda: httpcore.request("GET", f"http://127.0.0.1:{port}"))

        assert failure_of(error).kind is Kind.CONNECTION_CLOSED

    def test_a_connection_reset(self) -> None:
        with server(None, reset=True) as port:
            error = raised_by(lambda: httpcore.request("GET", f"http://127.0.0.1:{port}"))

        assert failure_of(error).kind is Kind.CONNECTION_RESET

    def test_an_answer_that_is_no_http(self) -> None:
        with server(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as port:
            error = raised_by(lambda: httpcore.request("GET", f"http://127.0.0.1:{port}"))

        assert failure_of(error).kind is Kind.RESPONSE_MALFORMED

    def test_a_body_that_breaks_off(self) -> None:
        with server(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") as port:
            error = raised_by(lambda: httpcore.request("GET", f"http://127.0.0.1:{port}"))

        assert failure_of(error).kind is Kind.CONNECTION_CLOSED

    def test_a_proxy_that_refuses(self) -> None:
        with (
            server(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as port,
            httpcore.HTTPProxy(f"http://127.0.0.1:{port}") as proxy,
        ):
            error = raised_by(lambda: proxy.request("GET", "https://reg.test/v2/"))

        failure = failure_of(error, where="reg.test:443")
        assert failure.kind is Kind.PROXY_REFUSED
        assert "403" in failure.message

    def test_a_failure_to_reach_the_proxy_is_the_proxys(self) -> None:
        error = OSError(errno.ECONNREFUSED, "Connection refused")

        failure = failure_of(error, step=Step.CONNECT, where="reg.test:443", proxy="http://proxy.test:3128")

        assert failure.kind is Kind.PROXY_UNREACHABLE
        assert "http://proxy.test:3128" in failure.message

    @pytest.mark.parametrize(
        ("error", "step", "kind"),
        [
            (httpcore.ConnectTimeout(), Step.CONNECT, Kind.CONNECTION_TIMEOUT),
            (httpcore.ConnectTimeout(), Step.TLS, Kind.TLS_TIMEOUT),
            (httpcore.ReadTimeout(), Step.EXCHANGE, Kind.RESPONSE_TIMEOUT),
            (httpcore.ReadError(), Step.EXCHANGE, Kind.CONNECTION_CLOSED),
        ],
    )
    def test_exceptions_that_say_it_themselves(self, error: Exception, step: Step, kind: FailureKind) -> None:
        assert failure_of(error, step=step).kind is kind


class TestTls:
    def _shake_hands(self, port: int) -> None:
        context = ssl.create_default_context()
        with (
            socket.create_connection(("127.0.0.1", port), 5) as connection,
            context.wrap_socket(connection, server_hostname="reg.test"),
        ):
            pass

    def test_a_server_that_speaks_plain_http(self) -> None:
        with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            error = raised_by(lambda: self._shake_hands(port))

        assert failure_of(error, step=Step.TLS).kind is Kind.TLS_NOT_SPOKEN

    def test_a_server_that_speaks_plain_http_seen_through_the_http_library(self) -> None:
        with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            error = raised_by(lambda: httpcore.request("GET", f"https://127.0.0.1:{port}"))

        assert failure_of(error, step=Step.TLS).kind is Kind.TLS_NOT_SPOKEN

    @pytest.mark.parametrize(
        ("number", "name"),
        [
            (40, "handshake_failure"),
            (70, "protocol_version"),
            (112, "unrecognized_name"),
            (80, "internal_error"),
        ],
    )
    def test_an_alert(self, number: int, name: str) -> None:
        with server(bytes([21, 3, 3, 0, 2, 2, number])) as port:
            error = raised_by(lambda: self._shake_hands(port))

        failure = failure_of(error, step=Step.TLS, where="reg.test:443")
        assert failure.kind is Kind.TLS_ALERT
        assert failure.alert == name
        assert name in failure.message

    def test_an_alert_seen_by_openssl_itself(self) -> None:
        error = SSL.Error([("SSL routines", "", "ssl/tls alert handshake failure")])
        older = SSL.Error([("SSL routines", "", "sslv3 alert handshake failure")])

        assert failure_of(older, step=Step.TLS).alert == "handshake_failure"
        assert failure_of(error, step=Step.TLS).alert == "handshake_failure"

    def test_a_connection_closed_within_the_handshake(self) -> None:
        with server(None) as port:
            error = raised_by(lambda: self._shake_hands(port))

        assert failure_of(error, step=Step.TLS).kind is Kind.CONNECTION_CLOSED

    def test_a_certificate_that_does_not_verify(self) -> None:
        error = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")

        assert failure_of(error, step=Step.TLS).kind is Kind.TLS_VERIFICATION

    def test_system_errors_of_openssl(self) -> None:
        assert failure_of(SSL.SysCallError(errno.ECONNRESET, "")).kind is Kind.CONNECTION_RESET
        assert failure_of(SSL.SysCallError(-1, "Unexpected EOF")).kind is Kind.CONNECTION_CLOSED
        assert failure_of(SSL.ZeroReturnError()).kind is Kind.CONNECTION_CLOSED


def test_the_deadline_of_the_run() -> None:
    assert failure_of(DeadlineExceeded("over")).kind is Kind.DEADLINE


def test_a_group_of_errors_is_looked_into() -> None:
    group = ExceptionGroup(
        "all failed", [OSError(errno.ECONNREFUSED, "no"), OSError(errno.ENETUNREACH, "no")]
    )

    assert failure_of(group, step=Step.CONNECT).kind is Kind.CONNECTION_REFUSED


def test_what_nobody_knows_keeps_its_words() -> None:
    failure = failure_of(RuntimeError("strange"), where="reg.test:443")

    assert failure.kind is Kind.OTHER
    assert failure.message == "reg.test:443: RuntimeError: strange"


def test_a_chain_that_runs_in_a_circle_ends() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first

    assert failure_of(first).kind is Kind.OTHER


def test_the_exceptions_text_is_bounded() -> None:
    assert len(failure_of(RuntimeError("x" * 10_000)).exception) <= 500


def test_every_kind_has_a_message() -> None:
    for kind in FailureKind:
        assert "reg.test" in make_failure(kind, "reg.test").message
