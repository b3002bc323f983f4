"""A nameserver for the faults that dnsmasq cannot have: it answers truthfully, wrongly, late or never."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tests.support import ports
from tests.support.netns import Namespace

if TYPE_CHECKING:
    import dns.message

DNS_PORT = 53


@dataclass(frozen=True)
class DnsBehaviour:
    """How the nameserver answers (RFC 1035)."""

    rcode: str | None = None
    """Answer everything with this code: ``SERVFAIL``, ``REFUSED``, ``NXDOMAIN``, …"""
    silent: bool = False
    """Never answer over UDP; with ``tcp`` unset, over neither."""
    truncate: bool = False
    """Answer over UDP with the TC bit and no records, so that clients ask again over TCP."""
    tcp: bool = True
    """Answer over TCP; otherwise connections are closed at once."""
    malformed: tuple[str, ...] = ()
    """Answer questions of these types (``A``, ``AAAA``) with a message that cannot be parsed."""
    delay: float = 0
    """Wait so many seconds before every answer."""
    ttl: int = 60


class DnsServer:
    """A nameserver over UDP and TCP, in threads, while the context is open.

    ``records`` are names with addresses of either family; other names are NXDOMAIN. By default on port 53
    of a random loopback address (needs root), so that a resolv.conf can name it. ``behaviour`` may be
    replaced at any time; ``respond`` takes its place where not even that does: it makes the raw reply, or
    None for silence, of a query and the transport (``udp``, ``tcp``). ``queries`` lists ``udp A reg.test.``
    and the like.
    """

    def __init__(
        self,
        records: Mapping[str, Sequence[str]] | None = None,
        *,
        behaviour: DnsBehaviour | None = None,
        respond: Callable[[bytes, str], bytes | None] | None = None,
        host: str | None = None,
        port: int = DNS_PORT,
        namespace: Namespace | None = None,
    ) -> None:
        self.records = {name.rstrip(".").lower(): tuple(found) for name, found in (records or {}).items()}
        self.behaviour = behaviour or DnsBehaviour()
        self._respond = respond
        if host is None:
            host = "127.0.0.1" if namespace is not None else ports.free_loopback_address(port)
        self.host = host
        self.port = port
        self.queries: list[str] = []

        def bind(kind: socket.SocketKind) -> socket.socket:
            bound = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET, kind)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self.host, self.port))
            if kind is socket.SOCK_STREAM:
                bound.listen(32)
            return bound

        binds = [partial(bind, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        self._sockets = [make() if namespace is None else namespace.call(make) for make in binds]
        self._threads = [
            threading.Thread(target=serve, args=(bound,), daemon=True)
            for serve, bound in zip((self._serve_udp, self._serve_tcp), self._sockets, strict=True)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bound in self._sockets:
            # Wakes the thread that waits on it, which closing alone does not.
            with contextlib.suppress(OSError):
                bound.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for bound in self._sockets:
            bound.close()

    @property
    def address(self) -> str:
        """``address:port`` as a resolver option takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def resolv_conf(self) -> str:
        """The text of a resolv.conf that names this server alone."""
        return f"nameserver {self.host}\n"

    def _serve_udp(self, bound: socket.socket) -> None:
        while True:
            try:
                query, client = bound.recvfrom(4096)
            except OSError:
                return
            if not client:
                return
            threading.Thread(target=self._answer_udp, args=(bound, query, client), daemon=True).start()

    def _answer_udp(self, bound: socket.socket, query: bytes, client: object) -> None:
        answer = self._answer(query, "udp")
        if answer is not None and not self.behaviour.silent:
            with contextlib.suppress(OSError):
                bound.sendto(answer, client)  # type: ignore[call-overload]

    def _serve_tcp(self, bound: socket.socket) -> None:
        while True:
            try:
                connection, _ = bound.accept()
            except OSError:
                return
            threading.Thread(target=self._answer_tcp, args=(connection,), daemon=True).start()

    def _answer_tcp(self, connection: socket.socket) -> None:
        # A message is preceded by its length in two bytes (RFC 1035, section 4.2.2).
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            if not self.behaviour.tcp:
                return
            while len(prefix := connection.recv(2, socket.MSG_WAITALL)) == 2:
                query = connection.recv(struct.unpack("!H", prefix)[0], socket.MSG_WAITALL)
                answer = self._answer(query, "tcp")
                if answer is None:
                    return
                connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, query: bytes, transport: str) -> bytes | None:
        import dns.exception
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rdatatype

        behaviour = self.behaviour
        try:
            message = dns.message.from_wire(query)
        except dns.exception.DNSException:
            return None
        question = message.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.queries.append(f"{transport} {kind} {question.name.to_text()}")
        if behaviour.delay:
            time.sleep(behaviour.delay)
        if self._respond is not None:
            return self._respond(query, transport)
        response = dns.message.make_response(message, recursion_available=True)
        if kind in behaviour.malformed:
            # An answer is announced, and then the message ends.
            header = bytearray(response.to_wire())
            header[6:8] = b"\x00\x01"
            return bytes(header)
        if behaviour.rcode is not None:
            response.set_rcode(dns.rcode.from_text(behaviour.rcode))
        elif behaviour.truncate and transport == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, question.name.to_text().rstrip(".").lower(), kind)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        """Put the records of a name into a response."""
        import dns.rcode
        import dns.rrset

        if name not in self.records:
            response.set_rcode(dns.rcode.NXDOMAIN)
            return
        version = {"A": 4, "AAAA": 6}.get(kind)
        found = [address for address in self.records[name] if ip_address(address).version == version]
        if found:
            question = response.question[0].name
            response.answer.append(dns.rrset.from_text_list(question, self.behaviour.ttl, "IN", kind, found))


def reply_to(
    query: bytes,
    *addresses: str,
    rcode: str = "NOERROR",
    truncated: bool = False,
) -> bytes:
    """Return a well-formed reply: the addresses of the family asked for, or an error code."""
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rdatatype
    import dns.rrset

    asked = dns.message.from_wire(query)
    reply = dns.message.make_response(asked, recursion_available=True)
    reply.set_rcode(dns.rcode.from_text(rcode))
    question = asked.question[0]
    wanted = [
        address
        for address in addresses
        if (question.rdtype == dns.rdatatype.AAAA) == (":" in address)
        and question.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
    ]
    if wanted:
        reply.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", question.rdtype, wanted))
    if truncated:
        reply.flags |= dns.flags.TC
        reply.answer.clear()
    return reply.to_wire()


def question_of(query: bytes) -> tuple[str, str]:
    """Return the name and record type that a query asks for: ``("reg.test", "AAAA")``."""
    import dns.message
    import dns.rdatatype

    question = dns.message.from_wire(query).question[0]
    return question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
