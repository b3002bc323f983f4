"""TCP connections by hand: every address of a name at once, with the ICMP errors that the kernel keeps."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from regdoctor.facts.base import Failure, FailureKind
from regdoctor.facts.tcp import ConnectionAttempt
from regdoctor.host.sockets import listening
from regdoctor.net.failures import Step, failure_of, make_failure

# <linux/in.h>, <linux/in6.h> and <linux/errqueue.h>; Python's socket module lacks them.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_ORIGIN_ICMP = 2
_ORIGIN_ICMP6 = 3
_MOST_AT_ONCE = 64

# ICMP type 3 (RFC 792, RFC 1812 section 5.2.7.1) and ICMPv6 type 1 (RFC 4443 section 3.1).
_ICMP_CODES: dict[int, tuple[str, FailureKind]] = {
    0: ("net-unreachable", FailureKind.NETWORK_UNREACHABLE),
    1: ("host-unreachable", FailureKind.HOST_UNREACHABLE),
    2: ("protocol-unreachable", FailureKind.CONNECTION_PROHIBITED),
    3: ("port-unreachable", FailureKind.CONNECTION_PROHIBITED),
    5: ("source-route-failed", FailureKind.NETWORK_UNREACHABLE),
    6: ("net-unknown", FailureKind.NETWORK_UNREACHABLE),
    7: ("host-unknown", FailureKind.HOST_UNREACHABLE),
    9: ("net-prohibited", FailureKind.CONNECTION_PROHIBITED),
    10: ("host-prohibited", FailureKind.CONNECTION_PROHIBITED),
    13: ("admin-prohibited", FailureKind.CONNECTION_PROHIBITED),
}
_ICMP6_CODES: dict[int, tuple[str, FailureKind]] = {
    0: ("no-route", FailureKind.NETWORK_UNREACHABLE),
    1: ("admin-prohibited", FailureKind.CONNECTION_PROHIBITED),
    2: ("beyond-scope", FailureKind.NETWORK_UNREACHABLE),
    3: ("address-unreachable", FailureKind.HOST_UNREACHABLE),
    4: ("port-unreachable", FailureKind.CONNECTION_PROHIBITED),
    5: ("policy-failed", FailureKind.CONNECTION_PROHIBITED),
    6: ("route-rejected", FailureKind.CONNECTION_PROHIBITED),
}


@dataclass
class _Pending:
    """A connection on its way."""

    position: int
    address: str
    socket: socket.socket
    started: float


class IcmpError(msgspec.Struct, frozen=True, kw_only=True):
    """An ICMP error about one connection: its name, what it means for the connection, and who sent it."""

    name: str
    kind: FailureKind
    sender: str | None = None


def connect_all(
    addresses: Sequence[str],
    port: int,
    timeout: float,
    *,
    watch: Callable[[ConnectionAttempt], None] = lambda _attempt: None,
) -> tuple[ConnectionAttempt, ...]:
    """Connects to every address side by side and closes at once what opens.

    :param addresses: IP literals, an IPv6 one possibly with a scope.
    :param timeout: seconds for all of them together; beyond 64 addresses each further 64 take their turn.
    :param watch: is told of each attempt as soon as it is settled.
    """
    attempts: list[ConnectionAttempt] = []
    for start in range(0, len(addresses), _MOST_AT_ONCE):
        some = addresses[start : start + _MOST_AT_ONCE]
        attempts.extend(_connect_side_by_side(some, port, timeout, watch))
    return tuple(attempts)


def _connect_side_by_side(
    addresses: Sequence[str], port: int, timeout: float, watch: Callable[[ConnectionAttempt], None]
) -> tuple[ConnectionAttempt, ...]:
    attempts: dict[int, ConnectionAttempt] = {}
    end = time.monotonic() + timeout
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        waiting = 0
        for position, address in enumerate(addresses):
            started = time.monotonic()
            try:
                connection = stack.enter_context(_start(address, port))
            except OSError as error:
                attempts[position] = _failed(address, port, time.monotonic() - started, error, None)
                continue
            selector.register(
                connection, selectors.EVENT_WRITE, _Pending(position, address, connection, started)
            )
            waiting += 1
        while waiting and (left := end - time.monotonic()) > 0:
            for key, _events in selector.select(left):
                pending = key.data
                selector.unregister(pending.socket)
                waiting -= 1
                attempts[pending.position] = _finish(pending, port)
                watch(attempts[pending.position])
        for key in list(selector.get_map().values()):
            pending = key.data
            attempts[pending.position] = _timed_out(pending, port, timeout)
    return tuple(attempts[position] for position in range(len(addresses)))


def _start(address: str, port: int) -> socket.socket:
    """A socket whose connection is on its way (or, on loopback, there already); raises OSError."""
    family, kind, protocol, _name, where = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        level, option = (
            (socket.IPPROTO_IPV6, _IPV6_RECVERR)
            if family == socket.AF_INET6
            else (socket.IPPROTO_IP, _IP_RECVERR)
        )
        with contextlib.suppress(OSError):
            connection.setsockopt(level, option, 1)
        with contextlib.suppress(BlockingIOError):
            connection.connect(where)
    except BaseException:
        connection.close()
        raise
    return connection


def _finish(pending: _Pending, port: int) -> ConnectionAttempt:
    seconds = time.monotonic() - pending.started
    number = pending.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number == 0:
        return ConnectionAttempt(address=pending.address, port=port, seconds=seconds)
    error = OSError(number, os.strerror(number))
    return _failed(pending.address, port, seconds, error, read_icmp_error(pending.socket))


def _timed_out(pending: _Pending, port: int, timeout: float) -> ConnectionAttempt:
    seconds = time.monotonic() - pending.started
    # A router's "unreachable" is only a hint while the kernel still tries (RFC 1122 section 4.2.3.9).
    icmp = read_icmp_error(pending.socket)
    if icmp is not None:
        return _failed(pending.address, port, seconds, TimeoutError(f"no answer within {timeout:g} s"), icmp)
    where = _join(pending.address, port)
    if is_absent_neighbour(pending.address):
        failure = make_failure(
            FailureKind.HOST_UNREACHABLE,
            message=f"no machine on the local network answers for {where} (ARP) within {seconds:.1f} s",
        )
    else:
        failure = make_failure(
            FailureKind.CONNECTION_TIMEOUT, message=f"{where} did not answer within {seconds:.1f} s"
        )
    return ConnectionAttempt(address=pending.address, port=port, seconds=seconds, failure=failure)


def _failed(
    address: str, port: int, seconds: float, error: OSError, icmp: IcmpError | None
) -> ConnectionAttempt:
    where = _join(address, port)
    failure: Failure
    if icmp is None:
        failure = failure_of(error, step=Step.CONNECT, where=where)
    else:
        sender = f" from {icmp.sender}" if icmp.sender else ""
        failure = make_failure(icmp.kind, where, error=error, message=f"{where}: ICMP {icmp.name}{sender}")
    refused = failure.kind is FailureKind.CONNECTION_REFUSED and is_own_address(address)
    return ConnectionAttempt(
        address=address,
        port=port,
        seconds=seconds,
        failure=failure,
        listening=is_listening(address, port) if refused else None,
        icmp=icmp.name if icmp else None,
        icmp_sender=icmp.sender if icmp else None,
        icmp_from_here=icmp is not None and icmp.sender is not None and is_own_address(icmp.sender),
    )


def is_absent_neighbour(address: str, table: Path = Path("/proc/thread-self/net/arp")) -> bool:
    """Whether an IPv4 address of a directly connected network did not answer ARP (proc(5), /proc/net/arp).

    The kernel itself gives a connection up as unreachable only after about three seconds.
    """
    try:
        lines = table.read_text(encoding="ascii", errors="replace").splitlines()[1:]
    except OSError:
        return False
    entries = [line.split() for line in lines]
    return any(len(entry) > 3 and entry[0] == address and int(entry[2], 16) == 0 for entry in entries)


def is_own_address(address: str) -> bool:
    """Whether the address is one of this machine (in this network namespace): only such can be bound."""
    try:
        family, kind, _protocol, _name, where = socket.getaddrinfo(
            address, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        with socket.socket(family, kind) as trial:
            trial.bind(where)
    except OSError:
        return False
    return True


def is_listening(address: str, port: int) -> bool | None:
    """Whether a program of this machine listens for an address of its own (proc(5), /proc/net/tcp).

    None where the kernel's table cannot be read.
    """
    wanted = ipaddress.ip_address(address.partition("%")[0])
    try:
        sockets = listening(Path("/proc/thread-self/net"))
    except OSError:
        return None
    return any(
        each.port == port
        and _covers(each.address, wanted)
        and (each.address.version == wanted.version or _is_taken(wanted, port))
        for each in sockets
    )


def _covers(
    bound: ipaddress.IPv4Address | ipaddress.IPv6Address,
    wanted: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> bool:
    """Whether a socket bound to one address may accept connections to the other."""
    if bound.is_unspecified:
        return bound.version >= wanted.version
    mapped = bound.ipv4_mapped if isinstance(bound, ipaddress.IPv6Address) else None
    return wanted in (bound, mapped)


def _is_taken(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> bool:
    """Whether a socket on ``::`` serves IPv4 too, which the kernel's table does not say.

    It does unless it was told not to (ipv6(7), ``IPV6_V6ONLY``); then nobody else can bind the IPv4 address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        try:
            trial.bind((str(address), port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def read_icmp_error(connection: socket.socket) -> IcmpError | None:
    """The ICMP error that the kernel keeps in the socket's error queue (ip(7), ipv6(7)), if any.

    Linux keeps those of a connection attempt since 5.8; older kernels leave only the error number.
    """
    try:
        _data, extras, _flags, _where = connection.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, data in extras:
        if (level, kind) not in ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)):
            continue
        if len(data) < _EXTENDED_ERROR.size:
            continue
        _number, origin, icmp_type, code, _pad, _info, _extra = _EXTENDED_ERROR.unpack_from(data)
        offender = data[_EXTENDED_ERROR.size :]
        if origin == _ORIGIN_ICMP and icmp_type == 3 and code in _ICMP_CODES:
            name, meaning = _ICMP_CODES[code]
            return IcmpError(name=name, kind=meaning, sender=_ipv4_sender(offender))
        if origin == _ORIGIN_ICMP6 and icmp_type == 1 and code in _ICMP6_CODES:
            name, meaning = _ICMP6_CODES[code]
            return IcmpError(name=name, kind=meaning, sender=_ipv6_sender(offender))
    return None


def _ipv4_sender(offender: bytes) -> str | None:
    """SO_EE_OFFENDER: a sockaddr_in, or an empty one where the sender is unknown."""
    if len(offender) < 8 or struct.unpack_from("=H", offender)[0] != socket.AF_INET:
        return None
    return socket.inet_ntop(socket.AF_INET, offender[4:8])


def _ipv6_sender(offender: bytes) -> str | None:
    if len(offender) < 24 or struct.unpack_from("=H", offender)[0] != socket.AF_INET6:
        return None
    return socket.inet_ntop(socket.AF_INET6, offender[8:24])


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
