"""Tunnels through a forward proxy (RFC 9110 section 9.3.6), for what is no HTTP request itself."""

from __future__ import annotations

import base64
import re
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from regdoctor.facts.base import Failure, FailureKind
from regdoctor.net.failures import Step, failure_of, make_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from regdoctor.secret import Secret

_LONGEST_HEADER = 16 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]([^\r\n]*)")


def through_proxy(
    proxy: Secret, host: str, port: int, wrap: Callable[[socket.socket, str], socket.socket]
) -> Callable[[float], socket.socket | Failure]:
    """What opens a connection to a host through an http or https proxy.

    :param proxy: the proxy's URL, which may hold a user name and password.
    :param host: the host that the proxy is to connect to, a name or an IP literal without brackets.
    :param wrap: starts TLS with an https proxy, given the connection and the proxy's name.
    """

    def connect(timeout: float) -> socket.socket | Failure:
        parts = urlsplit(proxy.reveal())
        name, secure = parts.hostname or "", parts.scheme == "https"
        shown = f"{parts.scheme}://{name}:{parts.port or (443 if secure else 80)}"
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        end = time.monotonic() + timeout
        try:
            connection = socket.create_connection((name, parts.port or (443 if secure else 80)), timeout)
        except OSError as error:
            return failure_of(error, step=Step.CONNECT, where=target, proxy=shown)
        try:
            if secure:
                connection = wrap(connection, name)
            connection.settimeout(max(0.001, end - time.monotonic()))
            connection.sendall(_request(target, parts.username, parts.password))
            status, reason = _status(_header(connection, end))
        except (OSError, ValueError) as error:
            connection.close()
            return make_failure(
                FailureKind.PROXY_UNREACHABLE,
                target,
                error=error,
                message=f"the forward proxy {shown} gave no usable answer to CONNECT: {error}",
            )
        if not 200 <= status < 300:
            connection.close()
            return make_failure(
                FailureKind.PROXY_REFUSED,
                target,
                message=f"the forward proxy {shown} answered CONNECT {target}: {status} {reason}".rstrip(),
            )
        return connection

    return connect


def _request(target: str, username: str | None, password: str | None) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: regdoctor"]
    if username is not None:
        userinfo = f"{unquote(username)}:{unquote(password or '')}".encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(userinfo).decode()}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _header(connection: socket.socket, end: float) -> bytes:
    """The header of the proxy's answer, byte by byte: what follows belongs to the tunnel.

    :raises TimeoutError: it does not come in time.
    :raises ValueError: it is too long, or the connection ends first.
    """
    header = b""
    while not header.endswith(b"\r\n\r\n"):
        connection.settimeout(max(0.001, end - time.monotonic()))
        received = connection.recv(1)
        if not received:
            raise ValueError("the connection was closed")
        header += received
        if len(header) > _LONGEST_HEADER:
            raise ValueError("the header is too long")
    return header


def _status(header: bytes) -> tuple[int, str]:
    match = _STATUS_LINE.match(header)
    if match is None:
        raise ValueError("not an HTTP answer")
    return int(match[1]), match[2].decode("latin-1").strip()[:100]
