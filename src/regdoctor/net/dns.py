"""Name resolution: as the clients of this host do it, and every nameserver asked by itself.

:func:`resolve` uses ``getaddrinfo``, which is what docker, containerd and podman follow (the Go resolver
reads the same files in the same order). dnspython is imported only where single nameservers are asked.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from regdoctor.facts.base import Failure, FailureKind
from regdoctor.facts.dns import NameserverAnswer
from regdoctor.net import resolver_files
from regdoctor.net.failures import Step, failure_of, make_failure

if TYPE_CHECKING:
    import dns.message

PORT = 53
RECORDS = ("A", "AAAA")
_MOST_ADDRESSES = 64
MOST_NAMESERVERS = 8
"""How many nameservers are asked at most; resolv.conf holds three, ``--resolver`` may name more."""
_LARGEST_DATAGRAM = 65535
_ANSWERED = frozenset({"NOERROR", "NXDOMAIN"})


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one name: IP literals in the resolver's order, or a failure; seconds of wall time."""

    literal: bool
    addresses: tuple[str, ...]
    seconds: float
    failure: Failure | None = None


class Resolver:
    """Resolves names for one run: an address found once is not looked up again. Thread-safe.

    :param nameservers: see :func:`resolve`.
    """

    def __init__(self, nameservers: Sequence[str] = ()) -> None:
        self._nameservers = tuple(nameservers)
        self._lock = threading.Lock()
        self._found: dict[str, Resolution] = {}

    def resolve(self, host: str, timeout: float) -> Resolution:
        """See :func:`resolve`; failures are not kept."""
        with self._lock:
            known = self._found.get(host)
        if known is not None:
            return known
        resolution = resolve(host, timeout, self._nameservers)
        if resolution.addresses:
            with self._lock:
                self._found[host] = resolution
        return resolution


def shared_resolver(
    shared: dict[str, Any], lock: threading.Lock, nameservers: Sequence[str] = ()
) -> Resolver:
    """The resolver of a run, which all its targets and probes share (``Context.shared``, ``Context.lock``)."""
    with lock:
        resolver: Resolver = shared.setdefault("resolver", Resolver(nameservers))
        return resolver


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask one nameserver; ``name`` is a full name without the final dot, in A-label form."""

    nameserver: str
    name: str
    record: str
    checking_disabled: bool = False


def numeric_address(host: str) -> str | None:
    """The IP literal that ``host`` is, in usual spelling, or None where it is a name.

    Whatever ``getaddrinfo`` takes as numeric counts: a scope (``fe80::1%eth0``), and ``127.1`` too.
    """
    try:
        entries = socket.getaddrinfo(
            host.encode("ascii"), None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except (OSError, UnicodeError, ValueError):
        return None
    return str(entries[0][4][0])


def split_nameserver(text: str) -> tuple[str, int]:
    """Reads ``ADDR[:PORT]``, an IPv6 address with a port in brackets; port 53 where none is given.

    :raises ValueError: it is no IP address, or the port is out of range.
    """
    address, port = text, ""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        if rest and not rest.startswith(":"):
            raise ValueError(f"not ADDR[:PORT]: {text}")
        port = rest[1:]
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    if not resolver_files.is_address(address):
        raise ValueError(f"not an IP address: {address or text}")
    if not port:
        return address, PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"not a port: {port}")
    return address, int(port)


def resolve(host: str, timeout: float, nameservers: Sequence[str] = ()) -> Resolution:
    """Resolves a name as clients of this host do, all addresses of both families.

    ``getaddrinfo`` cannot be interrupted; it runs in a daemon thread that is left behind once the time is
    over. Where several nameservers are configured, it is given the time to come to the last one, provided
    that any of them answers at all.

    :param host: a name in A-label form, or an IP literal without brackets.
    :param timeout: seconds.
    :param nameservers: asked instead of those in resolv.conf (``ADDR[:PORT]``); the hosts file and the search
        list count all the same.
    """
    literal = numeric_address(host)
    if literal is not None:
        return Resolution(literal=True, addresses=(literal,), seconds=0.0)
    started = time.monotonic()
    if nameservers and not is_local_name(host):
        lines = resolver_files.read_hosts(host)
        if not lines:
            return _resolve_by(host, nameservers, timeout, started)
        addresses = tuple(dict.fromkeys(line.address for line in lines))
        return Resolution(literal=False, addresses=addresses, seconds=time.monotonic() - started)
    outcome: list[tuple[str, ...] | Exception] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            # As bytes, so that Python's own IDNA codec (RFC 3490, slow to import) stays out of it.
            entries = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
            outcome.append(tuple(dict.fromkeys(str(entry[4][0]) for entry in entries)))
        except (OSError, ValueError) as error:
            outcome.append(error)
        done.set()

    threading.Thread(target=look_up, name=f"getaddrinfo {host}", daemon=True).start()
    if not done.wait(timeout):
        done.wait(_time_to_reach_a_live_nameserver())
    seconds = time.monotonic() - started
    if not outcome:
        failure = make_failure(
            FailureKind.RESOLVER_TIMEOUT,
            message=f"the resolver did not answer for {host} within {seconds:.1f} s",
        )
        return Resolution(literal=False, addresses=(), seconds=seconds, failure=failure)
    result = outcome[0]
    if isinstance(result, Exception):
        failure = failure_of(result, step=Step.RESOLVE, where=host)
        return Resolution(literal=False, addresses=(), seconds=seconds, failure=failure)
    return Resolution(literal=False, addresses=result, seconds=seconds)


def is_local_name(host: str) -> bool:
    """Whether the name means this machine and is no matter of DNS (RFC 6761 section 6.3)."""
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _time_to_reach_a_live_nameserver() -> float:
    """Seconds that the stub resolver may still need to come to a nameserver that answers; 0 where none does.

    glibc and Go wait ``timeout`` seconds for each nameserver before the next, and before they ask the first
    one again (resolv.conf(5)).
    """
    configuration, _problem = resolver_files.read_resolv_conf()
    for position, nameserver in enumerate(configuration.nameservers):
        if _is_alive(nameserver):
            return configuration.timeout * max(1, position) + 0.5
    return 0.0


def _is_alive(nameserver: str) -> bool:
    """Whether a nameserver answers a question for the root's own nameservers, whatever it says."""
    query = struct.pack(">HHHHHH", 0x7264, 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack(">HH", 2, 1)
    try:
        with _connected(nameserver, PORT, socket.SOCK_DGRAM, 0.5) as connection:
            connection.send(query)
            return connection.recv(_LARGEST_DATAGRAM)[:2] == query[:2]
    except OSError:
        return False


def _resolve_by(host: str, nameservers: Sequence[str], timeout: float, started: float) -> Resolution:
    """What a stub resolver with these nameservers would give: the first of them that answers decides."""
    configuration, _problem = resolver_files.read_resolv_conf()
    failure: Failure | None = None
    for name in resolver_files.candidate_names(host, configuration.search, configuration.ndots):
        left = timeout - (time.monotonic() - started)
        if left <= 0:
            break
        questions = [
            Question(nameserver=nameserver, name=name, record=record)
            for nameserver in nameservers[:MOST_NAMESERVERS]
            for record in RECORDS
        ]
        answers = ask(questions, left, grace=1.0)
        said = next(
            (
                each.nameserver
                for each in answers
                if each.rcode in _ANSWERED and not each.truncated and each.failure is None
            ),
            None,
        )
        if said is None:
            failure = _failure_of_all(host, answers)
            break
        addresses = [address for each in answers if each.nameserver == said for address in each.addresses]
        if addresses:
            return Resolution(
                literal=False,
                addresses=tuple(sorted(dict.fromkeys(addresses), key=_has_no_route)),
                seconds=time.monotonic() - started,
            )
        code = next(each.rcode for each in answers if each.nameserver == said and each.rcode)
        failure = make_failure(
            FailureKind.NAME_NOT_FOUND,
            message=f"the nameserver {said} says that {host} does not exist"
            if code == "NXDOMAIN"
            else f"the nameserver {said} says that {host} exists but has no address",
        )
    failure = failure or make_failure(FailureKind.RESOLVER_TIMEOUT, host)
    return Resolution(literal=False, addresses=(), seconds=time.monotonic() - started, failure=failure)


def _failure_of_all(host: str, answers: Sequence[NameserverAnswer]) -> Failure:
    kinds = {each.failure.kind for each in answers if each.failure is not None}
    if any(each.rcode is not None for each in answers) or FailureKind.RESOLVER_ANSWER_INVALID in kinds:
        return make_failure(FailureKind.RESOLVER_FAILURE, host)
    if kinds == {FailureKind.RESOLVER_REFUSED}:
        return make_failure(FailureKind.RESOLVER_REFUSED, host)
    return make_failure(FailureKind.RESOLVER_TIMEOUT, host)


def _has_no_route(address: str) -> bool:
    """Whether this machine has no route to the address: such go last (RFC 6724 section 6, rule 1)."""
    try:
        with _connected(address, PORT, socket.SOCK_DGRAM, 0):
            return False
    except OSError:
        return True


def ask(
    questions: Sequence[Question], timeout: float, *, grace: float | None = None
) -> tuple[NameserverAnswer, ...]:
    """Asks all questions side by side and returns the answers in the same order.

    A question that is not answered within ``timeout`` seconds has a failure. An answer by UDP that is
    truncated is followed by the one by TCP to the same question.

    :param grace: once one nameserver has answered all of its questions, how many seconds the others still
        have; None waits for all of them.
    :raises ValueError: a name cannot be a domain name, or a nameserver is not ``ADDR[:PORT]``.
    """
    for question in questions:
        _query(question)
        split_nameserver(question.nameserver)
    results: dict[int, tuple[NameserverAnswer, ...]] = {}
    changed = threading.Condition()
    started = time.monotonic()

    def run(position: int, question: Question) -> None:
        answers = _ask_one(question, started + timeout)
        with changed:
            results[position] = answers
            changed.notify()

    for position, question in enumerate(questions):
        threading.Thread(target=run, args=(position, question), name="nameserver", daemon=True).start()
    # A little more than the questions themselves have, so that they end by themselves.
    end = started + timeout + 0.1
    with changed:
        while len(results) < len(questions) and (left := end - time.monotonic()) > 0:
            changed.wait(left)
            if grace is not None and _one_is_complete(questions, results):
                end = min(end, time.monotonic() + grace)
                grace = None
        settled = dict(results)
    waited = time.monotonic() - started
    return tuple(
        answer
        for position, question in enumerate(questions)
        for answer in settled.get(position, (_silent(question, "udp", waited),))
    )


def _one_is_complete(questions: Sequence[Question], results: dict[int, tuple[NameserverAnswer, ...]]) -> bool:
    for nameserver in {question.nameserver for question in questions}:
        own = [position for position, question in enumerate(questions) if question.nameserver == nameserver]
        if not all(position in results for position in own):
            continue
        last = [results[position][-1] for position in own]
        if any(each.rcode in _ANSWERED and not each.truncated for each in last):
            return True
    return False


def _query(question: Question) -> dns.message.Message:
    """The message to send; raises ValueError where the name is no domain name (RFC 1035 section 2.3.4)."""
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name

    try:
        name = dns.name.from_text(f"{question.name}.")
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"{question.name} cannot be a domain name: {error}") from error
    # Without EDNS (RFC 6891), as glibc asks: some middleboxes break on it.
    query = dns.message.make_query(name, question.record, use_edns=False)
    if question.checking_disabled:
        query.flags |= dns.flags.CD
    return query


def _ask_one(question: Question, end: float) -> tuple[NameserverAnswer, ...]:
    answer = _ask_by_udp(question, end)
    if not answer.truncated:
        return (answer,)
    return answer, _ask_by_tcp(question, end)


def _ask_by_udp(question: Question, end: float) -> NameserverAnswer:
    """Sends the question, once more after two fifths of the time, and takes the first answer to it."""
    started = time.monotonic()
    attempts = 0
    unreadable: NameserverAnswer | None = None
    query = _query(question)
    wire = query.to_wire()
    again = started + (end - started) * 0.4
    try:
        address, port = split_nameserver(question.nameserver)
        # Connected, so that the kernel reports a port on which nothing listens (udp(7)).
        with _connected(address, port, socket.SOCK_DGRAM, 0) as connection:
            connection.setblocking(False)
            while (now := time.monotonic()) < end:
                if attempts == 0 or (attempts == 1 and now >= again):
                    attempts += 1
                    connection.send(wire)
                left = (again if attempts == 1 and again > now else end) - time.monotonic()
                if not select.select([connection], [], [], max(0.0, left))[0]:
                    continue
                reply = connection.recv(_LARGEST_DATAGRAM)
                answer, is_final = _read(question, query, reply, "udp", time.monotonic() - started, attempts)
                if is_final:
                    return answer
                unreadable = answer or unreadable
    except OSError as error:
        return _broken(question, "udp", time.monotonic() - started, attempts, error)
    if unreadable is not None:
        return unreadable
    return _silent(question, "udp", time.monotonic() - started, attempts)


def _ask_by_tcp(question: Question, end: float) -> NameserverAnswer:
    started = time.monotonic()
    query = _query(question)
    wire = query.to_wire()
    try:
        address, port = split_nameserver(question.nameserver)
        with _connected(address, port, socket.SOCK_STREAM, max(0.1, end - started)) as connection:
            connection.sendall(struct.pack(">H", len(wire)) + wire)
            (size,) = struct.unpack(">H", _read_exactly(connection, 2, end))
            reply = _read_exactly(connection, size, end)
    except TimeoutError:
        return _silent(question, "tcp", time.monotonic() - started)
    except OSError as error:
        return _broken(question, "tcp", time.monotonic() - started, 1, error)
    return _read(question, query, reply, "tcp", time.monotonic() - started, 1)[0]


def _read_exactly(connection: socket.socket, size: int, end: float) -> bytes:
    received = bytearray()
    while len(received) < size:
        connection.settimeout(max(0.001, end - time.monotonic()))
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        received += chunk
    return bytes(received)


def _connected(address: str, port: int, kind: int, timeout: float) -> socket.socket:
    """A connected socket; ``timeout`` seconds, 0 for a datagram socket that waits for nothing."""
    family, kind, protocol, _name, where = socket.getaddrinfo(
        address, port, type=kind, flags=socket.AI_NUMERICHOST
    )[0]
    connection = socket.socket(family, kind, protocol)
    try:
        if timeout:
            connection.settimeout(timeout)
        connection.connect(where)
    except BaseException:
        connection.close()
        raise
    return connection


def _read(
    question: Question,
    query: dns.message.Message,
    wire: bytes,
    transport: str,
    seconds: float,
    attempts: int,
) -> tuple[NameserverAnswer, bool]:
    """What a reply says, and whether it settles the question; one to another question does not."""
    import dns.exception
    import dns.flags
    import dns.message
    import dns.rcode

    try:
        # A truncated reply may end within a record.
        is_cut = len(wire) > 2 and bool(wire[2] & 0x02)
        reply = dns.message.from_wire(wire, ignore_trailing=True, continue_on_error=is_cut)
    except (dns.exception.DNSException, ValueError, struct.error) as error:
        ours = wire[:2] == struct.pack(">H", query.id)
        return _unreadable(question, transport, seconds, attempts, f"{type(error).__name__}: {error}"), ours
    if not query.is_response(reply):
        reason = "it does not repeat the question that was asked"
        return _unreadable(question, transport, seconds, attempts, reason), False
    records = [record for record_set in reply.answer for record in record_set]
    kinds = [(int(record.rdtype), record) for record in records]
    wanted, alias = (1, 5) if question.record == "A" else (28, 5)
    canonical = [record.target.to_text(omit_final_dot=True) for kind, record in kinds if kind == alias]
    answer = NameserverAnswer(
        nameserver=question.nameserver,
        transport=transport,
        name=question.name,
        record=question.record,
        seconds=seconds,
        attempts=attempts,
        checking_disabled=question.checking_disabled,
        rcode=dns.rcode.to_text(reply.rcode()),
        addresses=tuple(record.address for kind, record in kinds if kind == wanted)[:_MOST_ADDRESSES],
        canonical_name=canonical[-1] if canonical else None,
        truncated=bool(reply.flags & dns.flags.TC),
        authoritative=bool(reply.flags & dns.flags.AA),
    )
    return answer, True


def _unreadable(
    question: Question, transport: str, seconds: float, attempts: int, reason: str
) -> NameserverAnswer:
    failure = make_failure(
        FailureKind.RESOLVER_ANSWER_INVALID,
        message=f"the reply of {question.nameserver} cannot be read: {reason}",
    )
    return _failed(question, transport, seconds, attempts, failure)


def _silent(question: Question, transport: str, seconds: float, attempts: int = 1) -> NameserverAnswer:
    failure = make_failure(
        FailureKind.RESOLVER_TIMEOUT,
        message=f"{question.nameserver} did not answer within {seconds:.1f} s by {transport.upper()}",
    )
    return _failed(question, transport, seconds, attempts, failure)


def _broken(
    question: Question, transport: str, seconds: float, attempts: int, error: OSError
) -> NameserverAnswer:
    if error.errno == errno.ECONNREFUSED:
        message = f"nothing listens at {question.nameserver} ({transport.upper()})"
        failure = make_failure(FailureKind.RESOLVER_REFUSED, error=error, message=message)
    else:
        failure = failure_of(error, step=Step.RESOLVE, where=question.nameserver)
    return _failed(question, transport, seconds, max(1, attempts), failure)


def _failed(
    question: Question, transport: str, seconds: float, attempts: int, failure: Failure
) -> NameserverAnswer:
    return NameserverAnswer(
        nameserver=question.nameserver,
        transport=transport,
        name=question.name,
        record=question.record,
        seconds=seconds,
        attempts=attempts,
        checking_disabled=question.checking_disabled,
        failure=failure,
    )
