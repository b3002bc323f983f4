"""What rules make of names: facts in, findings out."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from regdoctor.api import (
    Addresses,
    Certainty,
    Connections,
    Draft,
    Endpoint,
    FailureKind,
    HostsFile,
    NameserverAnswers,
    OtherAddresses,
    Ping,
    ResolverConfiguration,
    Role,
    Severity,
)
from regdoctor.checks.dns import rules
from tests.checks.dns.examples import (
    ENDPOINT,
    FIRST,
    GOOD,
    NAME,
    OLD,
    PROXIED,
    SECOND,
    addresses,
    answers,
    configuration,
    connections,
    fails,
    hosts,
    others,
    ping,
    says,
    unresolved,
)

Kind = FailureKind


def judge(
    found: Addresses,
    said: NameserverAnswers,
    *,
    endpoint: Endpoint = ENDPOINT,
    resolver: ResolverConfiguration | None = None,
    file: HostsFile | None = None,
    other: OtherAddresses | None = None,
    tried: Connections | None = None,
    look: Ping | None = None,
) -> list[Draft]:
    """Every rule about names, as the engine applies them; without more facts the registry works."""
    resolver = resolver or configuration(FIRST, SECOND)
    file = file or hosts()
    if tried is None and found.addresses:
        tried = connections(*found.addresses)
        look = look or ping()
    drafts = [
        *rules.not_resolved(endpoint, found, resolver, said),
        *rules.broken_for_ipv4(endpoint, found, said, tried),
        *rules.nameserver_degraded(endpoint, found, resolver, file, said),
        *rules.hosts_override(endpoint, found, file, said, other, tried, None, look),
        *rules.search_list_capture(endpoint, found, resolver, said, other, tried, None, look),
    ]
    if other is not None:
        drafts += rules.answers_differ(endpoint, found, file, said, other, tried, None, look)
    return drafts


def codes(drafts: list[Draft]) -> list[str]:
    return [draft.code for draft in drafts]


class TestHealthy:
    @pytest.mark.parametrize(
        ("said", "file"),
        [
            (answers(says(FIRST, GOOD)), hosts()),
            (answers(says(FIRST, GOOD), says(SECOND, GOOD)), hosts()),
            (answers(says(FIRST, rcode="NXDOMAIN")), hosts(GOOD)),
            (answers(fails(FIRST, Kind.RESOLVER_TIMEOUT)), hosts(GOOD)),
            (answers(fails(FIRST, Kind.RESOLVER_REFUSED)), hosts(GOOD)),
            (answers(says(FIRST, rcode="SERVFAIL")), hosts(GOOD)),
            (answers(says(FIRST, GOOD)), hosts(GOOD)),
            (answers(says(FIRST, GOOD, OLD)), hosts(GOOD)),
            (answers(fails(FIRST, Kind.RESOLVER_REFUSED), says(SECOND, GOOD)), hosts()),
            (answers(says(FIRST, rcode="SERVFAIL"), says(SECOND, GOOD)), hosts()),
            (answers(says(FIRST, GOOD), fails(SECOND, Kind.RESOLVER_TIMEOUT)), hosts()),
            (answers(says(FIRST, GOOD), says(SECOND, rcode="NXDOMAIN")), hosts()),
        ],
        ids=[
            "one nameserver",
            "two that agree",
            "hosts file, unknown to DNS",
            "hosts file, silent DNS",
            "hosts file, no DNS",
            "hosts file, failing DNS",
            "hosts file and DNS agree",
            "hosts file picks one",
            "first closed",
            "first fails at once",
            "second dead",
            "second does not know",
        ],
    )
    def test_nothing_is_said(self, said: NameserverAnswers, file: HostsFile) -> None:
        assert judge(addresses(GOOD), said, file=file) == []

    @pytest.mark.parametrize("kind", [Kind.NAME_NOT_FOUND, Kind.RESOLVER_TIMEOUT, Kind.RESOLVER_FAILURE])
    def test_a_host_behind_a_proxy_need_not_resolve_here(self, kind: FailureKind) -> None:
        said = answers(fails(FIRST, Kind.RESOLVER_TIMEOUT))

        assert judge(unresolved(kind), said, endpoint=PROXIED) == []


class TestNotResolved:
    @pytest.mark.parametrize(
        ("kind", "said", "code"),
        [
            (Kind.NAME_NOT_FOUND, answers(says(FIRST, rcode="NXDOMAIN")), "dns/name-not-found"),
            (Kind.NAME_NOT_FOUND, answers(says(FIRST)), "dns/name-not-found"),
            (Kind.NAME_NOT_FOUND, answers(), "dns/name-not-found"),
            (Kind.RESOLVER_TIMEOUT, answers(fails(FIRST, Kind.RESOLVER_TIMEOUT)), "dns/resolver-timeout"),
            (Kind.RESOLVER_FAILURE, answers(fails(FIRST, Kind.NETWORK_UNREACHABLE)), "dns/resolver-timeout"),
            (
                Kind.RESOLVER_FAILURE,
                answers(fails(FIRST, Kind.RESOLVER_REFUSED), fails(SECOND, Kind.RESOLVER_TIMEOUT)),
                "dns/resolver-timeout",
            ),
            (Kind.RESOLVER_FAILURE, answers(fails(FIRST, Kind.RESOLVER_REFUSED)), "dns/resolver-refused"),
            (Kind.RESOLVER_FAILURE, answers(says(FIRST, rcode="SERVFAIL")), "dns/server-failure"),
            (Kind.RESOLVER_FAILURE, answers(says(FIRST, rcode="REFUSED")), "dns/server-failure"),
            (
                Kind.RESOLVER_FAILURE,
                answers(fails(FIRST, Kind.RESOLVER_ANSWER_INVALID)),
                "dns/server-failure",
            ),
            (Kind.RESOLVER_TIMEOUT, answers(says(FIRST, rcode="NXDOMAIN")), "dns/name-not-found"),
        ],
    )
    def test_by_what_the_nameservers_say(self, kind: FailureKind, said: NameserverAnswers, code: str) -> None:
        (draft,) = judge(unresolved(kind), said)

        assert draft.code == code

    @pytest.mark.parametrize(
        ("kind", "code", "certainty"),
        [
            (Kind.NAME_NOT_FOUND, "dns/name-not-found", Certainty.PROVEN),
            (Kind.RESOLVER_TIMEOUT, "dns/resolver-timeout", Certainty.LIKELY),
            (Kind.RESOLVER_REFUSED, "dns/resolver-refused", Certainty.PROVEN),
            (Kind.RESOLVER_FAILURE, "dns/server-failure", Certainty.POSSIBLE),
        ],
    )
    def test_without_their_answers_as_firmly_as_the_resolver_says_it(
        self, kind: FailureKind, code: str, certainty: Certainty
    ) -> None:
        (draft,) = rules.not_resolved(ENDPOINT, unresolved(kind), None, None)

        assert (draft.code, draft.certainty) == (code, certainty)

    def test_an_unusable_resolv_conf_is_named(self) -> None:
        resolver = configuration("127.0.0.1", problem="/etc/resolv.conf is empty")
        said = answers(fails("127.0.0.1", Kind.RESOLVER_REFUSED))

        (draft,) = judge(unresolved(Kind.RESOLVER_FAILURE), said, resolver=resolver)

        assert draft.code == "dns/resolver-refused"
        assert draft.detail.startswith("/etc/resolv.conf is empty")

    def test_a_broken_answer_for_one_type_outweighs_a_name_not_found(self) -> None:
        broken, _aaaa = fails(FIRST, Kind.RESOLVER_ANSWER_INVALID)
        _a, empty = says(FIRST)

        (draft,) = judge(unresolved(Kind.NAME_NOT_FOUND), answers((broken, empty)))

        assert draft.code == "dns/server-failure"

    def test_another_nameserver_that_fails_does_not_hide_that_the_name_is_unknown(self) -> None:
        said = answers(says(FIRST, rcode="SERVFAIL"), says(SECOND, rcode="NXDOMAIN"))

        assert codes(judge(unresolved(Kind.NAME_NOT_FOUND), said)) == ["dns/name-not-found"]

    def test_the_first_denies_what_the_second_knows(self) -> None:
        said = answers(says(FIRST, rcode="NXDOMAIN"), says(SECOND, GOOD))

        (draft,) = judge(unresolved(Kind.NAME_NOT_FOUND), said)

        assert (draft.code, draft.severity) == ("dns/answers-differ", Severity.ERROR)

    def test_dns_that_nobody_asks(self) -> None:
        resolver = configuration(FIRST, sources=("files",))

        (draft,) = judge(unresolved(Kind.NAME_NOT_FOUND), answers(says(FIRST, GOOD)), resolver=resolver)

        assert draft.code == "dns/name-not-found"
        assert "nsswitch.conf" in draft.detail

    def test_a_truncated_answer_that_tcp_does_not_complete(self) -> None:
        cut = tuple(replace(each, truncated=True) for each in says(FIRST))
        said = answers(cut, fails(FIRST, Kind.RESOLVER_TIMEOUT, transport="tcp"))

        (draft,) = judge(unresolved(Kind.RESOLVER_FAILURE), said)

        assert (draft.code, draft.severity) == ("dns/nameserver-degraded", Severity.ERROR)

    def test_a_nameserver_that_answers_us_but_not_the_resolver(self) -> None:
        (draft,) = judge(unresolved(Kind.RESOLVER_TIMEOUT), answers(says(FIRST, GOOD)))

        assert (draft.code, draft.certainty) == ("dns/nameserver-degraded", Certainty.LIKELY)


class TestClusterName:
    NAMES = ("reg.default.svc.cluster.local", "reg.default.svc", "10-0-0-1.default.pod.cluster.local")

    @pytest.mark.parametrize("host", NAMES)
    def test_outside(self, host: str) -> None:
        endpoint = Endpoint(role=Role.REGISTRY, scheme="http", host=host, port=5000)
        found = unresolved(Kind.NAME_NOT_FOUND, host)

        assert codes(judge(found, answers(), endpoint=endpoint)) == ["dns/cluster-name"]

    @pytest.mark.parametrize("host", NAMES)
    def test_inside(self, host: str) -> None:
        endpoint = Endpoint(role=Role.REGISTRY, scheme="http", host=host, port=5000)
        resolver = configuration(FIRST, search=("default.svc.cluster.local", "svc.cluster.local"), ndots=5)

        drafts = judge(unresolved(Kind.NAME_NOT_FOUND, host), answers(), endpoint=endpoint, resolver=resolver)

        assert codes(drafts) == ["dns/name-not-found"]

    @pytest.mark.parametrize("host", ["svc", "reg.svc.example.test", "cluster.local.test", "mysvc"])
    def test_names_that_only_look_like_it(self, host: str) -> None:
        endpoint = Endpoint(role=Role.REGISTRY, scheme="http", host=host, port=5000)

        drafts = judge(unresolved(Kind.NAME_NOT_FOUND, host), answers(), endpoint=endpoint)

        assert codes(drafts) == ["dns/name-not-found"]

    def test_a_dead_resolver_is_no_matter_of_the_name(self) -> None:
        endpoint = Endpoint(role=Role.REGISTRY, scheme="http", host=self.NAMES[0], port=5000)
        drafts = list(
            rules.not_resolved(endpoint, unresolved(Kind.RESOLVER_TIMEOUT, self.NAMES[0]), None, None)
        )

        assert codes(drafts) == ["dns/resolver-timeout"]


class TestBrokenForIpv4:
    SIX = "2001:db8::1"

    def test_only_ipv6_is_left_and_does_not_work(self) -> None:
        broken, _ = fails(FIRST, Kind.RESOLVER_ANSWER_INVALID)
        _, good = says(FIRST, self.SIX)

        drafts = judge(
            addresses(self.SIX), answers((broken, good)), tried=connections(self.SIX, refused=True)
        )

        assert codes(drafts) == ["dns/server-failure"]

    def test_only_ipv6_is_left_and_works(self) -> None:
        broken, _ = fails(FIRST, Kind.RESOLVER_ANSWER_INVALID)
        _, good = says(FIRST, self.SIX)

        assert judge(addresses(self.SIX), answers((broken, good))) == []

    @pytest.mark.parametrize("rcode", ["NOERROR", "REFUSED"])
    def test_a_name_that_has_no_ipv4_address(self, rcode: str) -> None:
        four, six = says(FIRST, self.SIX)

        drafts = judge(
            addresses(self.SIX),
            answers((replace(four, rcode=rcode), six)),
            tried=connections(self.SIX, refused=True),
        )

        assert drafts == []


class TestNameserverDegraded:
    SAID = answers(fails(FIRST, Kind.RESOLVER_TIMEOUT), says(SECOND, GOOD))

    def test_a_dead_one_before_a_live_one_that_costs_time(self) -> None:
        (draft,) = judge(addresses(GOOD, seconds=5.0), self.SAID)

        assert (draft.code, draft.severity) == ("dns/nameserver-degraded", None)
        assert FIRST in draft.detail

    def test_a_look_up_that_was_quick_all_the_same(self) -> None:
        assert judge(addresses(GOOD, seconds=0.02), self.SAID) == []

    def test_given_nameservers_are_judged_by_their_order(self) -> None:
        resolver = configuration(FIRST, SECOND, given=True)

        assert codes(judge(addresses(GOOD), self.SAID, resolver=resolver)) == ["dns/nameserver-degraded"]

    def test_a_dead_one_that_takes_its_turn(self) -> None:
        said = answers(says(FIRST, GOOD), fails(SECOND, Kind.RESOLVER_TIMEOUT))
        resolver = configuration(FIRST, SECOND, options=("rotate",))

        drafts = judge(addresses(GOOD, seconds=5.0), said, resolver=resolver)

        assert codes(drafts) == ["dns/nameserver-degraded"]

    def test_a_slow_one_beside_a_quick_one(self) -> None:
        said = answers(says(FIRST, GOOD, seconds=3.0), says(SECOND, GOOD, seconds=0.01))

        assert codes(judge(addresses(GOOD, seconds=3.0), said)) == ["dns/nameserver-degraded"]

    def test_a_slow_one_alone(self) -> None:
        said = answers(says(FIRST, GOOD, seconds=3.0))

        assert codes(judge(addresses(GOOD, seconds=3.0), said)) == ["dns/nameserver-degraded"]

    def test_one_that_loses_questions(self) -> None:
        said = answers(tuple(replace(each, attempts=2) for each in says(FIRST, GOOD)))

        (draft,) = judge(addresses(GOOD, seconds=5.0), said)

        assert (draft.code, draft.certainty) == ("dns/nameserver-degraded", Certainty.LIKELY)

    def test_a_lost_question_that_cost_clients_nothing(self) -> None:
        said = answers(tuple(replace(each, attempts=2) for each in says(FIRST, GOOD)))

        assert judge(addresses(GOOD), said) == []

    def test_the_hosts_file_makes_it_irrelevant(self) -> None:
        assert judge(addresses(GOOD, seconds=5.0), self.SAID, file=hosts(GOOD)) == []


class TestHostsOverride:
    SAID = answers(says(FIRST, GOOD))

    def test_the_line_leads_nowhere_and_dns_to_the_registry(self) -> None:
        (draft,) = judge(
            addresses(OLD),
            self.SAID,
            file=hosts(OLD),
            other=others(GOOD, serves=True),
            tried=connections(OLD, refused=True),
        )

        assert (draft.code, draft.severity) == ("dns/hosts-override", None)
        assert "/etc/hosts:3" in draft.evidence

    def test_the_line_leads_to_another_web_server(self) -> None:
        drafts = judge(
            addresses(OLD),
            self.SAID,
            file=hosts(OLD),
            other=others(GOOD, serves=True),
            tried=connections(OLD),
            look=ping(registry=False),
        )

        assert codes(drafts) == ["dns/hosts-override"]

    def test_the_line_leads_to_a_working_registry(self) -> None:
        (draft,) = judge(addresses(OLD), self.SAID, file=hosts(OLD), other=others(GOOD, serves=True))

        assert draft.severity is Severity.INFO

    def test_neither_works(self) -> None:
        drafts = judge(
            addresses(OLD),
            self.SAID,
            file=hosts(OLD),
            other=others(GOOD, serves=False),
            tried=connections(OLD, refused=True),
        )

        assert drafts == []

    def test_dns_leads_to_something_that_is_no_registry(self) -> None:
        drafts = judge(
            addresses(OLD),
            self.SAID,
            file=hosts(OLD),
            other=others(GOOD, serves=True, registry=False),
            tried=connections(OLD, refused=True),
        )

        assert drafts == []

    def test_where_the_line_leads_was_not_looked_at(self) -> None:
        drafts = list(
            rules.hosts_override(
                ENDPOINT,
                addresses(OLD),
                hosts(OLD),
                self.SAID,
                others(GOOD, serves=True),
                connections(OLD),
                None,
                None,
            )
        )

        assert drafts == []

    def test_the_resolver_prefers_dns(self) -> None:
        assert judge(addresses(GOOD), self.SAID, file=hosts(OLD)) == []


class TestAnswersDiffer:
    SAID = answers(says(FIRST, OLD), says(SECOND, GOOD))

    def test_clients_use_the_stale_one(self) -> None:
        (draft,) = judge(
            addresses(OLD),
            self.SAID,
            other=others(GOOD, serves=True),
            tried=connections(OLD, refused=True),
        )

        assert (draft.code, draft.severity) == ("dns/answers-differ", Severity.ERROR)

    def test_clients_use_the_good_one(self) -> None:
        (draft,) = judge(addresses(GOOD), self.SAID, other=others(OLD, serves=False))

        assert (draft.code, draft.severity) == ("dns/answers-differ", None)

    def test_both_serve(self) -> None:
        assert judge(addresses(GOOD), self.SAID, other=others(OLD, serves=True)) == []

    def test_the_other_accepts_and_did_not_answer_in_time(self) -> None:
        (other,) = others(OLD, serves=True).addresses
        slow = OtherAddresses(addresses=(replace(other, answer=None),))

        assert judge(addresses(GOOD), self.SAID, other=slow) == []

    def test_neither_serves(self) -> None:
        drafts = judge(
            addresses(OLD),
            self.SAID,
            other=others(GOOD, serves=False),
            tried=connections(OLD, refused=True),
        )

        assert drafts == []

    def test_one_nameserver_whose_addresses_take_turns(self) -> None:
        assert judge(addresses(GOOD), answers(says(FIRST, OLD)), other=others(OLD, serves=False)) == []


class TestSearchListCapture:
    CAPTURED = f"{NAME}.wild.test"
    RANDOM = "regdoctor-0123.corp.test.wild.test"
    RESOLVER = configuration(FIRST, search=("wild.test",), ndots=5)
    DOWN = connections(OLD, refused=True)

    def _said(self, *, written: tuple[str, ...] = (GOOD,), wildcard: bool = True) -> NameserverAnswers:
        return answers(
            says(FIRST, *written, rcode="NOERROR" if written else "NXDOMAIN"),
            says(FIRST, OLD, name=self.CAPTURED),
            says(FIRST, *((OLD,) if wildcard else ()), name=self.RANDOM),
            random_name=self.RANDOM,
        )

    def test_a_wildcard_answers(self) -> None:
        (draft,) = judge(addresses(OLD), self._said(), resolver=self.RESOLVER, tried=self.DOWN)

        assert (draft.code, draft.certainty) == ("dns/search-list-capture", Certainty.PROVEN)
        assert self.CAPTURED in draft.detail

    def test_a_wildcard_answers_for_a_name_that_exists_nowhere_else(self) -> None:
        (draft,) = judge(addresses(OLD), self._said(written=()), resolver=self.RESOLVER, tried=self.DOWN)

        assert (draft.code, draft.certainty) == ("dns/search-list-capture", Certainty.LIKELY)

    def test_the_name_as_written_leads_to_the_registry(self) -> None:
        drafts = judge(
            addresses(OLD),
            self._said(wildcard=False),
            resolver=self.RESOLVER,
            tried=self.DOWN,
            other=others(GOOD, serves=True),
        )

        assert codes(drafts) == ["dns/search-list-capture"]

    def test_neither_serves_and_no_wildcard(self) -> None:
        (draft,) = judge(addresses(OLD), self._said(wildcard=False), resolver=self.RESOLVER, tried=self.DOWN)

        assert (draft.code, draft.certainty) == ("dns/answers-differ", Certainty.LIKELY)

    def test_a_relative_name_on_purpose(self) -> None:
        said = self._said(written=(), wildcard=False)

        assert judge(addresses(OLD), said, resolver=self.RESOLVER, tried=self.DOWN) == []

    def test_where_it_leads_works(self) -> None:
        assert judge(addresses(OLD), self._said(), resolver=self.RESOLVER) == []

    def test_both_names_have_the_same_address(self) -> None:
        said = self._said(written=(OLD,))

        assert judge(addresses(OLD), said, resolver=self.RESOLVER, tried=self.DOWN) == []
