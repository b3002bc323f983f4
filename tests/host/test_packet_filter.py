"""A connection's way through the rules of nftables and iptables, on paper and in a real kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from regdoctor.facts import FilterOutcome
from regdoctor.host.packet_filter import Connection, Unreadable, read_rules, reading, walk
from regdoctor.host.packet_filter.iptables import read_save
from regdoctor.host.packet_filter.nftables import read_ruleset, read_texts
from regdoctor.host.packet_filter.rules import Passage
from tests.support.netns import Namespace

BLOCKED, OPEN, UNCLEAR = FilterOutcome.BLOCKED, FilterOutcome.OPEN, FilterOutcome.UNCLEAR
HERE = Connection("10.77.0.2", 5000, "eth0")
HERE6 = Connection("fd00:77::2", 5000, "eth0")


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace() as made:
        yield made


def passage(namespace: Namespace, connection: Connection = HERE) -> Passage:
    """What the rules that are loaded in a namespace make of a connection."""
    return namespace.call(lambda: walk(read_rules(os.environ, 20), connection))


def chain(rules: str, policy: str = "accept", hook: str = "input") -> str:
    return f"chain {hook} {{ type filter hook {hook} priority 0; policy {policy}; {rules} }};"


@pytest.mark.needs_root
class TestNftables:
    @pytest.mark.parametrize(
        ("rules", "outcome"),
        [
            ("", OPEN),
            ("tcp dport 5000 drop;", BLOCKED),
            ("tcp dport 5001 drop;", OPEN),
            ("tcp dport { 22, 4000-6000 } reject;", BLOCKED),
            ("tcp dport != 5000 drop;", OPEN),
            ("tcp dport != { 22, 443 } drop;", BLOCKED),
            ("tcp dport >= 1024 drop;", BLOCKED),
            ("tcp dport < 1024 drop;", OPEN),
            ("tcp dport 5000 accept; drop;", OPEN),
            ("udp dport 5000 drop;", OPEN),
            ("meta l4proto { tcp, udp } th dport 5000 drop;", BLOCKED),
            ("meta l4proto udp drop;", OPEN),
            ("ip protocol tcp drop;", BLOCKED),
            ("ip6 nexthdr tcp drop;", OPEN),
            ("meta nfproto ipv6 drop;", OPEN),
            ("ct state established,related accept; drop;", BLOCKED),
            ("ct state invalid drop;", OPEN),
            ("ct state != new accept; drop;", BLOCKED),
            ("ct state new tcp dport 5000 drop;", BLOCKED),
            ("ct status dnat accept; drop;", BLOCKED),
            ('iifname "lo" accept; drop;', BLOCKED),
            ('iifname "eth0" tcp dport 5000 drop;', BLOCKED),
            ('iifname "eth*" tcp dport 5000 drop;', BLOCKED),
            ('iifname "eth1" accept; drop;', BLOCKED),
            ('iifname != "lo" drop;', BLOCKED),
            ("ip saddr 10.0.0.0/8 accept; drop;", UNCLEAR),
            ("ip saddr 10.0.0.0/8 drop;", OPEN),
            ("ip saddr != 10.0.0.0/8 drop;", OPEN),
            ("ip saddr 127.0.0.0/8 accept; drop;", BLOCKED),
            ("ip saddr 0.0.0.0/0 tcp dport 5000 drop;", BLOCKED),
            ("ip daddr 10.77.0.2 drop;", BLOCKED),
            ("ip daddr 10.77.0.3 drop;", OPEN),
            ("ip daddr != 10.77.0.2 accept; drop;", BLOCKED),
            ("fib daddr type local drop;", BLOCKED),
            ("fib daddr type != local accept; drop;", BLOCKED),
            ("tcp flags & (fin|syn|rst|ack) == syn drop;", BLOCKED),
            ("tcp flags & (fin|syn|rst|ack) != syn ct state new drop;", OPEN),
            ("limit rate 10/second accept; drop;", UNCLEAR),
            ("limit rate over 10/second drop;", OPEN),
            ('tcp dport 5000 counter log prefix "no" drop;', BLOCKED),
            ("tcp dport 5000 meta mark set 1; accept;", OPEN),
            ("meta mark 1 accept; drop;", UNCLEAR),
            ("tcp dport vmap { 22 : accept, 5000 : drop };", BLOCKED),
            ("tcp dport vmap { 22 : accept }; drop;", BLOCKED),
            ("ct state vmap { established : accept, new : continue, invalid : drop }; drop;", BLOCKED),
            ("tcp dport 5000 reject with icmpx type admin-prohibited;", BLOCKED),
        ],
    )
    def test_one_chain(self, namespace: Namespace, rules: str, outcome: FilterOutcome) -> None:
        namespace.nft(f"table inet filter {{ {chain(rules)} }}")
        assert passage(namespace).outcome is outcome

    @pytest.mark.parametrize(
        ("rules", "outcome"),
        [
            ("tcp dport 5000 jump other; accept;", BLOCKED),
            ("tcp dport 5001 jump other; accept;", OPEN),
            ("ip saddr 10.0.0.0/8 jump other; accept;", OPEN),
            ("jump leave; drop;", BLOCKED),
            ("goto leave; drop;", OPEN),
            ("jump some; drop;", UNCLEAR),
            ("tcp dport vmap { 5000 : jump other };", BLOCKED),
        ],
    )
    def test_jumps(self, namespace: Namespace, rules: str, outcome: FilterOutcome) -> None:
        others = "chain other { drop; }; chain leave { return; }; chain some { ip saddr 10.1.1.1 accept; };"
        namespace.nft(f"table inet filter {{ {others} {chain(rules)} }}")
        assert passage(namespace).outcome is outcome

    def test_a_set_with_a_name(self, namespace: Namespace) -> None:
        ports = "set ports { type inet_service; flags interval; elements = { 22, 4990-5010 }; };"
        namespace.nft(f"table inet filter {{ {ports} {chain('tcp dport @ports drop;')} }}")
        assert passage(namespace).outcome is BLOCKED

    def test_an_empty_set_matches_nothing(self, namespace: Namespace) -> None:
        ports = "set ports { type inet_service; };"
        namespace.nft(f"table inet filter {{ {ports} {chain('tcp dport @ports accept; drop;')} }}")
        assert passage(namespace).outcome is BLOCKED

    def test_accepted_by_one_table_and_dropped_by_another(self, namespace: Namespace) -> None:
        namespace.nft(f"table ip one {{ {chain('accept;')} }}; table inet two {{ {chain('', 'drop')} }}")
        found = passage(namespace)
        assert (found.outcome, found.rule, found.chain) == (BLOCKED, "policy drop", "inet two input")

    def test_the_rule_is_quoted_as_nft_writes_it(self, namespace: Namespace) -> None:
        namespace.nft(f"table inet filter {{ {chain('tcp dport 5000 counter reject with tcp reset;')} }}")
        found = passage(namespace)
        assert found.rule == "tcp dport 5000 counter packets 0 bytes 0 reject with tcp reset"
        assert found.answer == "tcp reset"

    def test_what_is_sent_elsewhere_is_not_followed(self, namespace: Namespace) -> None:
        redirect = "chain pre { type nat hook prerouting priority -100; tcp dport 5000 redirect to :8080; };"
        namespace.nft(f"table inet filter {{ {redirect} {chain('tcp dport 5000 drop;')} }}")
        assert passage(namespace).outcome is UNCLEAR

    def test_other_packets_are_not_concerned(self, namespace: Namespace) -> None:
        namespace.nft(
            f"table inet filter {{ {chain('drop;', hook='output')} {chain('drop;', hook='forward')} }}"
        )
        assert passage(namespace).outcome is OPEN

    def test_each_family_by_itself(self, namespace: Namespace) -> None:
        namespace.nft(f"table ip6 filter {{ {chain('tcp dport 5000 drop;')} }}")
        assert passage(namespace).outcome is OPEN
        assert passage(namespace, HERE6).outcome is BLOCKED

    def test_an_interface_that_is_not_known_decides_nothing(self, namespace: Namespace) -> None:
        namespace.nft(f"table inet filter {{ {chain('iifname eth1 accept; drop;')} }}")
        assert passage(namespace, Connection("10.77.0.2", 5000)).outcome is UNCLEAR


@pytest.mark.needs_root
@pytest.mark.needs("iptables-nft", "iptables-nft-save")
class TestIptables:
    @pytest.mark.parametrize(
        ("rule", "outcome"),
        [
            ("-p tcp --dport 5000 -j DROP", BLOCKED),
            ("-p tcp -m multiport --dports 22,4000:6000 -j REJECT --reject-with tcp-reset", BLOCKED),
            ("-p tcp ! --dport 5000 -j DROP", OPEN),
            ("-p udp --dport 5000 -j DROP", OPEN),
            ("-i lo -j DROP", OPEN),
            ("! -i lo -p tcp --dport 5000 -j DROP", BLOCKED),
            ("-i eth+ -j DROP", BLOCKED),
            ("-s 10.0.0.0/8 -j DROP", OPEN),
            ("-d 10.77.0.2 -j DROP", BLOCKED),
            ("-m conntrack --ctstate INVALID -j DROP", OPEN),
            ("-m conntrack --ctstate NEW -p tcp --syn -m comment --comment 'a b -j ACCEPT' -j DROP", BLOCKED),
            ("-m addrtype --dst-type LOCAL -j DROP", BLOCKED),
            ("-m limit --limit 1/second -j DROP", OPEN),
            ("-p tcp --dport 5000 -j LOG --log-prefix DROP", OPEN),
        ],
    )
    def test_one_rule(self, namespace: Namespace, rule: str, outcome: FilterOutcome) -> None:
        namespace.run(["sh", "-c", f"iptables-nft -A INPUT {rule}"])
        found = passage(namespace)
        assert found.outcome is outcome
        if outcome is BLOCKED:
            assert found.chain == "ip filter INPUT"

    def test_chains_and_policy_as_ufw_makes_them(self, namespace: Namespace) -> None:
        namespace.run(
            [
                "sh",
                "-c",
                "iptables-nft -N user; iptables-nft -A user -p tcp --dport 22 -j ACCEPT;"
                "iptables-nft -A INPUT -i lo -j ACCEPT;"
                "iptables-nft -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT;"
                "iptables-nft -A INPUT -j user; iptables-nft -P INPUT DROP",
            ]
        )
        assert passage(namespace).rule == "policy drop"
        assert passage(namespace, Connection("10.77.0.2", 22, "eth0")).outcome is OPEN

    def test_some_senders_are_let_in(self, namespace: Namespace) -> None:
        namespace.run(
            ["sh", "-c", "iptables-nft -A INPUT -s 10.0.0.0/8 -j ACCEPT; iptables-nft -P INPUT DROP"]
        )
        assert passage(namespace).outcome is UNCLEAR


class TestListings:
    @pytest.mark.parametrize(
        "document", [None, [], {}, {"nftables": None}, {"nftables": [None, 1, {}, {"rule": 1}]}]
    )
    def test_what_is_no_ruleset_has_no_rules(self, document: object) -> None:
        ruleset, foreign = read_ruleset(document, {})
        assert not ruleset.chains
        assert not foreign

    def test_a_listing_that_is_none_has_no_texts(self) -> None:
        assert read_texts("nonsense # handle x\n}\n") == {}

    @pytest.mark.parametrize(
        "text", ["", "-A INPUT -j DROP", "*filter\n-A INPUT -j DROP\n", "*filter\n:INPUT DROP\n-A"]
    )
    def test_a_torn_save_is_read_as_far_as_it_goes(self, text: str) -> None:
        read_save(text, "ip")

    def test_circles_end(self) -> None:
        text = "*filter\n:INPUT ACCEPT [0:0]\n:a - [0:0]\n-A INPUT -j a\n-A a -j a\nCOMMIT\n"
        assert walk(read_save(text, "ip"), HERE).outcome is UNCLEAR


def test_without_a_program_the_rules_are_unreadable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reading, "find_program", lambda _name, _environment: None)
    with pytest.raises(Unreadable, match="is not installed"):
        read_rules({"PATH": "/nonexistent"}, 5, tmp_path)
