"""Rules of iptables as ``iptables-save`` prints them (iptables-save(8), iptables-extensions(8)). Pure."""

from __future__ import annotations

import shlex
from typing import Final

from regdoctor.host.packet_filter.rules import Action, Chain, Condition, Field, Rule, Ruleset, Value, network

_HOOKS: Final = {
    ("raw", "PREROUTING"): ("prerouting", -300),
    ("mangle", "PREROUTING"): ("prerouting", -150),
    ("nat", "PREROUTING"): ("prerouting", -100),
    ("mangle", "INPUT"): ("input", -150),
    ("filter", "INPUT"): ("input", 0),
}
"""Where the kernel begins with each table's chains (``linux/netfilter_ipv4.h``)."""
_ACTIONS: Final = {
    "ACCEPT": Action.ACCEPT,
    "DROP": Action.DROP,
    "REJECT": Action.REJECT,
    "RETURN": Action.RETURN,
    "DNAT": Action.REDIRECT,
    "REDIRECT": Action.REDIRECT,
    "TPROXY": Action.REDIRECT,
}
_WITHOUT_EFFECT: Final = frozenset(
    {
        *("LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "CT", "TRACE", "TCPMSS", "DSCP", "TOS", "CLASSIFY"),
        *("NOTRACK", "AUDIT", "SECMARK", "CONNSECMARK", "HL", "TTL", "CHECKSUM", "SET"),
    }
)
"""Targets after which a packet goes on to the next rule."""
_SYN: Final = {("FIN,SYN,RST,ACK", "SYN"), ("SYN,RST,ACK", "SYN"), ("SYN", "SYN")}


def read_save(text: str, family: str, kind: str = "") -> Ruleset:
    """The chains of a whole ``iptables-save`` (``family`` ``ip``) or ``ip6tables-save`` (``ip6``).

    :param kind: goes behind the tables' names: both kinds of iptables, in use at once, have the same.
    """
    ruleset = Ruleset()
    plain = table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            plain = line[1:].strip()
            table = plain + kind
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            hook, priority = _HOOKS.get((plain, name), (None, 0))
            ruleset.chains[family, table, name] = Chain(
                family=family,
                table=table,
                name=name,
                hook=hook,
                priority=priority,
                policy=Action.DROP if policy == "DROP" else Action.ACCEPT,
            )
        elif line.startswith("-A "):
            _add(ruleset, family, table, line)
    return ruleset


def _add(ruleset: Ruleset, family: str, table: str, line: str) -> None:
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    chain = ruleset.chains.get((family, table, words[1])) if len(words) > 1 else None
    if chain is None:
        return
    rule = _Words(words[2:], line).rule()
    if rule is not None:
        chain.rules.append(rule)


class _Words:
    """The words of one rule, read from the left."""

    def __init__(self, words: list[str], line: str) -> None:
        self._words = words
        self._line = line
        self._conditions: list[Condition] = []
        self._action: Action | None = None
        self._target: str | None = None
        self._answer = "nothing"

    def rule(self) -> Rule | None:
        """The rule; None where it decides nothing."""
        negated = False
        while self._words:
            word = self._words.pop(0)
            if word == "!":
                negated = True
                continue
            self._option(word, negated=negated)
            negated = False
        if self._action is None:
            return None
        return Rule(tuple(self._conditions), self._action, self._target, self._line, self._answer)

    def _value(self) -> str:
        return self._words.pop(0) if self._words else ""

    def _meet(self, field: Field, values: tuple[Value, ...], *, negated: bool) -> None:
        self._conditions.append(Condition(field, values, negated))

    def _option(self, word: str, *, negated: bool) -> None:
        match word:
            case "-p" | "--protocol":
                self._meet(Field.PROTOCOL, (self._value().lower(),), negated=negated)
            case "-i" | "--in-interface":
                self._meet(Field.INTERFACE, (self._value().replace("+", "*"),), negated=negated)
            case "-s" | "--source":
                self._meet(Field.SOURCE, _networks(self._value()), negated=negated)
            case "-d" | "--destination":
                self._meet(Field.DESTINATION, _networks(self._value()), negated=negated)
            case "--dport" | "--destination-port" | "--dports" | "--destination-ports":
                self._meet(Field.PORT, _ports(self._value()), negated=negated)
            case "--ctstate" | "--state":
                states = tuple(each.lower() for each in self._value().split(","))
                self._states(states, negated=negated)
            case "--dst-type":
                field = Field.ALWAYS if self._value().upper() == "LOCAL" else Field.UNKNOWN
                self._meet(field, (), negated=negated)
            case "--tcp-flags":
                flags = (self._value(), self._value())
                self._meet(Field.ALWAYS if flags in _SYN else Field.UNKNOWN, (), negated=negated)
            case "--syn":
                self._meet(Field.ALWAYS, (), negated=negated)
            case "--comment" | "--reject-with":
                value = self._value()
                if word == "--reject-with":
                    self._answer = value
            case "-m" | "--match":
                self._value()
            case "-j" | "--jump" | "-g" | "--goto":
                self._decide(self._value(), goto=word in ("-g", "--goto"))
            case _:
                self._other()

    def _states(self, states: tuple[str, ...], *, negated: bool) -> None:
        # DNAT and SNAT are no states of their own but say what else holds of a connection.
        if set(states) & {"dnat", "snat"}:
            self._meet(Field.UNKNOWN, (), negated=negated)
        else:
            self._meet(Field.STATE, states, negated=negated)

    def _decide(self, target: str, *, goto: bool) -> None:
        if target in _ACTIONS:
            self._action = _ACTIONS[target]
        elif target in _WITHOUT_EFFECT:
            self._words.clear()
        elif target.isupper() and target in (
            "QUEUE",
            "NFQUEUE",
            "MASQUERADE",
            "SNAT",
            "SYNPROXY",
            "CLUSTERIP",
        ):
            self._action = Action.UNKNOWN
        else:
            self._action, self._target = (Action.GOTO if goto else Action.JUMP), target

    def _other(self) -> None:
        """An option of a match that is not known, or of a target, and its values."""
        while self._words and not self._words[0].startswith("-") and self._words[0] != "!":
            self._words.pop(0)
        if self._action is None:
            self._conditions.append(Condition(Field.UNKNOWN))


def _networks(text: str) -> tuple[Value, ...]:
    return tuple(network(each) or each for each in text.split(","))


def _ports(text: str) -> tuple[Value, ...]:
    found: list[Value] = []
    for each in text.split(","):
        first, colon, last = each.partition(":")
        if colon:
            found.append((int(first or 0), int(last or 65535)))
        elif first.isdigit():
            found.append(int(first))
    return tuple(found)
