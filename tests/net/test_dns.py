"""Names resolved as clients do, and nameservers asked one by one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import msgspec
import pytest

from regdoctor.facts import FailureKind, NameserverAnswer
from regdoctor.net import dns
from tests.support.dns_server import DnsBehaviour, DnsServer, question_of, reply_to
from tests.support.ports import free_port

Respond = Callable[[bytes, str], bytes | None]


def responder(respond: Respond, *, tcp: bool = True, host: str = "127.0.0.1") -> DnsServer:
    """A nameserver on a free port."""
    return DnsServer(respond=respond, behaviour=DnsBehaviour(tcp=tcp), host=host, port=free_port())


def ask(server: DnsServer, record: str = "A", timeout: float = 1.0) -> tuple[NameserverAnswer, ...]:
    question = dns.Question(nameserver=server.address, name="reg.test", record=record)
    return dns.ask([question], timeout)


class TestResolve:
    @pytest.mark.parametrize(
        ("host", "address"),
        [("10.0.0.1", "10.0.0.1"), ("::1", "::1"), ("0:0:0:0:0:0:0:1", "::1"), ("127.1", "127.0.0.1")],
    )
    def test_an_address_passes_through(self, host: str, address: str) -> None:
        found = dns.resolve(host, 1.0)

        assert (found.literal, found.addresses) == (True, (address,))

    def test_a_name_in_the_hosts_file(self) -> None:
        found = dns.resolve("localhost", 5.0)

        assert not found.literal
        assert "127.0.0.1" in found.addresses or "::1" in found.addresses
        assert found.failure is None

    def test_a_name_that_cannot_be_one(self) -> None:
        found = dns.resolve("a" * 70 + ".test", 5.0)

        assert found.addresses == ()
        assert found.failure is not None

    def test_a_resolver_that_hangs_is_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        leave = threading.Event()
        original = socket.getaddrinfo

        def hang(host: object, port: object, *arguments: int, **options: int) -> object:
            if options.get("flags", 0) & socket.AI_NUMERICHOST:
                return original(host, port, *arguments, **options)  # type: ignore[arg-type]
            leave.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "")

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        monkeypatch.setattr(dns, "_time_to_reach_a_live_nameserver", lambda: 0.0)
        started = time.monotonic()
        found = dns.resolve("reg.test", 0.2)
        leave.set()

        assert time.monotonic() - started < 2
        assert found.failure is not None
        assert found.failure.kind is FailureKind.RESOLVER_TIMEOUT


class TestResolveByGivenNameservers:
    def test_addresses_of_both_families(self) -> None:
        with responder(lambda query, _: reply_to(query, "127.0.0.9", "::1")) as server:
            found = dns.resolve("reg.test", 2.0, [server.address])

        assert set(found.addresses) == {"127.0.0.9", "::1"}

    def test_the_first_that_answers_decides(self) -> None:
        with (
            responder(lambda query, _: reply_to(query, rcode="NXDOMAIN")) as first,
            responder(lambda query, _: reply_to(query, "127.0.0.9")) as second,
        ):
            found = dns.resolve("reg.test", 2.0, [first.address, second.address])

        assert found.failure is not None
        assert found.failure.kind is FailureKind.NAME_NOT_FOUND

    def test_a_silent_one_is_passed_over(self) -> None:
        with (
            responder(lambda _query, _transport: None) as first,
            responder(lambda query, _: reply_to(query, "127.0.0.9")) as second,
        ):
            found = dns.resolve("reg.test", 5.0, [first.address, second.address])

        assert found.addresses == ("127.0.0.9",)
        assert found.seconds < 4

    @pytest.mark.parametrize(
        ("respond", "kind"),
        [
            (lambda _query, _transport: None, FailureKind.RESOLVER_TIMEOUT),
            (lambda query, _: reply_to(query, rcode="SERVFAIL"), FailureKind.RESOLVER_FAILURE),
            (lambda query, _: reply_to(query), FailureKind.NAME_NOT_FOUND),
            (lambda query, _: reply_to(query)[:5], FailureKind.RESOLVER_FAILURE),
        ],
        ids=["silence", "error", "no address", "broken"],
    )
    def test_failures(self, respond: Respond, kind: FailureKind) -> None:
        with responder(respond) as server:
            found = dns.resolve("reg.test", 0.5, [server.address])

        assert found.failure is not None
        assert found.failure.kind is kind

    def test_nothing_listens(self) -> None:
        found = dns.resolve("reg.test", 2.0, [f"127.0.0.1:{free_port()}"])

        assert found.failure is not None
        assert found.failure.kind is FailureKind.RESOLVER_REFUSED

    def test_localhost_is_no_matter_of_theirs(self) -> None:
        with responder(lambda query, _: reply_to(query, "10.0.0.1")) as server:
            found = dns.resolve("localhost", 5.0, [server.address])

        assert "10.0.0.1" not in found.addresses
        assert server.queries == []


class TestResolver:
    def test_a_name_is_looked_up_once(self) -> None:
        with responder(lambda query, _: reply_to(query, "127.0.0.9")) as server:
            resolver = dns.Resolver([server.address])
            first, second = resolver.resolve("reg.test", 2.0), resolver.resolve("reg.test", 2.0)

        assert first == second
        assert len(server.queries) == len(dns.RECORDS)

    def test_a_failure_is_not_kept(self) -> None:
        answers = iter(["NXDOMAIN", "NXDOMAIN"])

        def respond(query: bytes, _transport: str) -> bytes:
            rcode = next(answers, "NOERROR")
            return reply_to(query, *(["127.0.0.9"] if rcode == "NOERROR" else []), rcode=rcode)

        with responder(respond) as server:
            resolver = dns.Resolver([server.address])

            assert resolver.resolve("reg.test", 2.0).failure is not None
            assert resolver.resolve("reg.test", 2.0).addresses == ("127.0.0.9",)


class TestAsk:
    def test_an_address(self) -> None:
        with responder(lambda query, _: reply_to(query, "10.0.0.1", "fd00::1")) as server:
            (answer,) = ask(server)

        assert (answer.rcode, answer.addresses, answer.transport) == ("NOERROR", ("10.0.0.1",), "udp")
        assert answer.failure is None

    def test_a_nameserver_on_ipv6(self) -> None:
        with responder(lambda query, _: reply_to(query, "fd00::1"), host="::1") as server:
            (answer,) = ask(server, "AAAA")

        assert answer.addresses == ("fd00::1",)

    @pytest.mark.parametrize("rcode", ["NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"])
    def test_an_error_code(self, rcode: str) -> None:
        with responder(lambda query, _: reply_to(query, rcode=rcode)) as server:
            (answer,) = ask(server)

        assert (answer.rcode, answer.addresses, answer.failure) == (rcode, (), None)

    def test_an_error_code_in_a_bare_header(self) -> None:
        """unbound refuses so."""
        with responder(lambda query, _: query[:2] + bytes([0x81, 0x85]) + bytes(8)) as server:
            (answer,) = ask(server)

        assert answer.rcode == "REFUSED"

    def test_an_alias(self) -> None:
        def respond(query: bytes, _transport: str) -> bytes:
            import dns.message
            import dns.rrset

            asked = dns.message.from_wire(query)
            reply = dns.message.make_response(asked)
            name = asked.question[0].name
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "real.test."))
            reply.answer.append(dns.rrset.from_text("real.test.", 60, "IN", "A", "10.0.0.1"))
            return reply.to_wire()

        with responder(respond) as server:
            (answer,) = ask(server)

        assert (answer.canonical_name, answer.addresses) == ("real.test", ("10.0.0.1",))

    def test_silence_is_asked_twice(self) -> None:
        with responder(lambda _query, _transport: None) as server:
            (answer,) = ask(server, timeout=0.5)

        assert answer.failure is not None
        assert answer.failure.kind is FailureKind.RESOLVER_TIMEOUT
        assert (answer.attempts, len(server.queries)) == (2, 2)

    def test_a_lost_packet_is_counted(self) -> None:
        lost: list[bytes] = []

        def respond(query: bytes, _transport: str) -> bytes | None:
            lost.append(query)
            return None if len(lost) == 1 else reply_to(query, "10.0.0.1")

        with responder(respond) as server:
            (answer,) = ask(server)

        assert (answer.addresses, answer.attempts) == (("10.0.0.1",), 2)

    def test_nothing_listens(self) -> None:
        question = dns.Question(nameserver=f"127.0.0.1:{free_port()}", name="reg.test", record="A")
        (answer,) = dns.ask([question], 2.0)

        assert answer.failure is not None
        assert answer.failure.kind is FailureKind.RESOLVER_REFUSED
        assert answer.seconds < 1

    @pytest.mark.parametrize(
        "spoil",
        [lambda reply: reply[:-3], lambda reply: reply[:12] + b"\xc0\xff", lambda reply: reply[:2] + b"x"],
        ids=["cut", "bad pointer", "no header"],
    )
    def test_a_reply_that_cannot_be_read(self, spoil: Callable[[bytes], bytes]) -> None:
        with responder(lambda query, _: spoil(reply_to(query, "10.0.0.1"))) as server:
            (answer,) = ask(server)

        assert answer.failure is not None
        assert answer.failure.kind is FailureKind.RESOLVER_ANSWER_INVALID

    def test_a_reply_to_another_question_is_waited_out(self) -> None:
        def respond(query: bytes, _transport: str) -> bytes:
            return reply_to(query, "10.0.0.1").replace(b"\x03reg", b"\x03bad")

        with responder(respond) as server:
            (answer,) = ask(server, timeout=0.4)

        assert answer.failure is not None
        assert answer.failure.kind is FailureKind.RESOLVER_ANSWER_INVALID

    def test_a_reply_with_another_id_counts_for_nothing(self) -> None:
        def respond(query: bytes, _transport: str) -> bytes:
            return bytes([query[0] ^ 0xFF]) + reply_to(query, "10.0.0.1")[1:]

        with responder(respond) as server:
            (answer,) = ask(server, timeout=0.4)

        assert answer.addresses == ()
        assert answer.failure is not None

    def test_bytes_after_the_message_do_no_harm(self) -> None:
        with responder(lambda query, _: reply_to(query, "10.0.0.1") + b"junk") as server:
            (answer,) = ask(server)

        assert answer.addresses == ("10.0.0.1",)

    def test_a_truncated_answer_is_asked_for_by_tcp(self) -> None:
        with responder(lambda query, way: reply_to(query, "10.0.0.1", truncated=way == "udp")) as server:
            first, second = ask(server)

        assert (first.transport, first.truncated) == ("udp", True)
        assert (second.transport, second.truncated, second.addresses) == ("tcp", False, ("10.0.0.1",))

    def test_a_truncated_answer_and_no_tcp(self) -> None:
        with responder(lambda query, _: reply_to(query, truncated=True), tcp=False) as server:
            first, second = ask(server)

        assert first.truncated
        assert second.failure is not None
        assert second.failure.kind in (FailureKind.CONNECTION_RESET, FailureKind.CONNECTION_CLOSED)

    def test_the_cd_bit(self) -> None:
        flags = []

        def respond(query: bytes, _transport: str) -> bytes:
            flags.append(query[3])
            return reply_to(query, "10.0.0.1")

        with responder(respond) as server:
            question = dns.Question(
                nameserver=server.address, name="reg.test", record="A", checking_disabled=True
            )
            dns.ask([question, msgspec.structs.replace(question, checking_disabled=False)], 1.0)

        assert sorted(bool(each & 0x10) for each in flags) == [False, True]

    def test_answers_come_in_the_order_of_the_questions(self) -> None:
        def respond(query: bytes, _transport: str) -> bytes:
            if question_of(query)[1] == "A":
                time.sleep(0.2)
            return reply_to(query, "10.0.0.1", "fd00::1")

        with responder(respond) as server:
            questions = [
                dns.Question(nameserver=server.address, name="reg.test", record=record)
                for record in dns.RECORDS
            ]
            answers = dns.ask(questions, 2.0)

        assert [answer.record for answer in answers] == ["A", "AAAA"]

    def test_grace_ends_the_wait_for_the_others(self) -> None:
        with (
            responder(lambda _query, _transport: None) as silent,
            responder(lambda query, _: reply_to(query, "10.0.0.1")) as live,
        ):
            questions = [
                dns.Question(nameserver=server.address, name="reg.test", record="A")
                for server in (silent, live)
            ]
            started = time.monotonic()
            answers = dns.ask(questions, 10.0, grace=0.2)

        assert time.monotonic() - started < 5
        assert answers[0].failure is not None
        assert answers[1].addresses == ("10.0.0.1",)

    @pytest.mark.parametrize("name", ["a" * 70 + ".test", "a..test", "x." * 130])
    def test_a_name_that_cannot_be_one(self, name: str) -> None:
        with pytest.raises(ValueError, match="cannot be a domain name"):
            dns.ask([dns.Question(nameserver="127.0.0.1", name=name, record="A")], 1.0)


class TestSplitNameserver:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("10.0.0.1", ("10.0.0.1", 53)),
            ("10.0.0.1:5353", ("10.0.0.1", 5353)),
            ("fd00::1", ("fd00::1", 53)),
            ("[fd00::1]", ("fd00::1", 53)),
            ("[fd00::1]:5353", ("fd00::1", 5353)),
            ("fe80::1%eth0", ("fe80::1%eth0", 53)),
        ],
    )
    def test_addresses(self, text: str, expected: tuple[str, int]) -> None:
        assert dns.split_nameserver(text) == expected

    @pytest.mark.parametrize("text", ["", "dns.test", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:x", "[::1]5"])
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(ValueError):
            dns.split_nameserver(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("LOCALHOST.", True), ("a.localhost", True), ("localhost.test", False)],
)
def test_local_names(host: str, expected: bool) -> None:
    assert dns.is_local_name(host) is expected
