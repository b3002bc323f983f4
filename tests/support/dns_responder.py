"""A small nameserver that misbehaves as told; for well-behaved ones there is dnsmasq."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.netns import Namespace


class DnsResponder:
    """Answers by UDP and TCP on one port what a function makes of each query.

    ``respond`` gets the query and the transport (``udp`` or ``tcp``) and returns the raw reply, or None for
    silence. With ``tcp=False`` nothing listens on the TCP port; with ``side_by_side`` datagrams do not wait
    for each other.
    """

    def __init__(
        self,
        respond: Callable[[bytes, str], bytes | None],
        *,
        host: str = "127.0.0.1",
        port: int = 53,
        tcp: bool = True,
        side_by_side: bool = False,
        namespace: Namespace | None = None,
    ) -> None:
        self.host = host
        self.queries: list[tuple[str, bytes]] = []
        """Transport and bytes of every query so far, in the order of arrival."""
        self._respond = respond
        self._side_by_side = side_by_side
        self._threads: list[threading.Thread] = []

        def bind() -> tuple[socket.socket, socket.socket | None]:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            datagrams = socket.socket(family, socket.SOCK_DGRAM)
            datagrams.bind((host, port))
            if not tcp:
                return datagrams, None
            streams = socket.socket(family, socket.SOCK_STREAM)
            streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            streams.bind((host, datagrams.getsockname()[1]))
            streams.listen(16)
            return datagrams, streams

        self._datagrams, self._streams = bind() if namespace is None else namespace.call(bind)
        self.port: int = self._datagrams.getsockname()[1]

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._serve_datagrams, daemon=True)]
        if self._streams is not None:
            streams = self._streams
            self._threads.append(threading.Thread(target=lambda: self._serve_streams(streams), daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The port is free again only once no thread waits in the sockets; these wake them.
        self._datagrams.sendto(b"", self._datagrams.getsockname())
        if self._streams is not None:
            self._streams.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._datagrams.close()
        if self._streams is not None:
            self._streams.close()

    @property
    def address(self) -> str:
        """``address:port`` as a resolver option takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def resolv_conf(self) -> str:
        """The text of a resolv.conf that names this server alone."""
        return f"nameserver {self.host}\n"

    def _serve_datagrams(self) -> None:
        while True:
            query, client = self._datagrams.recvfrom(65535)
            if not query:
                return
            self.queries.append(("udp", query))
            if self._side_by_side:
                threading.Thread(target=self._answer, args=(query, client), daemon=True).start()
            else:
                self._answer(query, client)

    def _answer(self, query: bytes, client: tuple[str, int]) -> None:
        reply = self._respond(query, "udp")
        # A thread of its own may come too late.
        with contextlib.suppress(OSError):
            if reply is not None:
                self._datagrams.sendto(reply, client)

    def _serve_streams(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _client = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                with contextlib.suppress(OSError):
                    self._serve_stream(connection)

    def _serve_stream(self, connection: socket.socket) -> None:
        """Answer every query of one connection (RFC 7766, section 6.2.1)."""
        with connection.makefile("rb") as stream:
            while len(head := stream.read(2)) == 2:
                query = stream.read(int.from_bytes(head, "big"))
                self.queries.append(("tcp", query))
                reply = self._respond(query, "tcp")
                if reply is not None:
                    connection.sendall(len(reply).to_bytes(2, "big") + reply)


def reply_to(
    query: bytes,
    *addresses: str,
    rcode: str = "NOERROR",
    truncated: bool = False,
    records: Callable[[str], tuple[str, ...]] | None = None,
) -> bytes:
    """Return a well-formed reply: the addresses of the family asked for, or an error code.

    ``records`` chooses the addresses by the full name asked for, without the final dot.
    """
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rdatatype
    import dns.rrset

    asked = dns.message.from_wire(query)
    reply = dns.message.make_response(asked, recursion_available=True)
    reply.set_rcode(dns.rcode.from_text(rcode))
    question = asked.question[0]
    given = records(question.name.to_text(omit_final_dot=True)) if records is not None else addresses
    wanted = [
        address
        for address in given
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
