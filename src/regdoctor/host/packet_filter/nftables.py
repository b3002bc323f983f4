"""Rules of nftables as ``nft -j list ruleset`` prints them (libnftables-json(5)). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from regdoctor.host.packet_filter.rules import (
    Action,
    Chain,
    Condition,
    Field,
    Rule,
    Ruleset,
    Value,
    network,
)

_FAMILIES: Final = frozenset({"ip", "ip6", "inet"})
_WITHOUT_EFFECT: Final = frozenset(
    {"counter", "log", "comment", "mangle", "notrack", "set", "map", "meter", "last", "secmark", "dup"}
)
"""Statements after which a packet goes on to the next one."""
_CONDITIONAL: Final = frozenset({"limit", "quota", "ct count", "connlimit"})
"""Statements after which only some packets do."""
_ACTIONS: Final = {
    "accept": Action.ACCEPT,
    "drop": Action.DROP,
    "reject": Action.REJECT,
    "return": Action.RETURN,
    "jump": Action.JUMP,
    "goto": Action.GOTO,
    "dnat": Action.REDIRECT,
    "redirect": Action.REDIRECT,
    "tproxy": Action.REDIRECT,
}
_META: Final = {
    "l4proto": Field.PROTOCOL,
    "iifname": Field.INTERFACE,
    "iif": Field.INTERFACE,
    "nfproto": Field.FAMILY,
    "protocol": Field.FAMILY,
}
_FAMILY_WORDS: Final = {"ipv4": "ip", "ipv6": "ip6", "ip": "ip", "ip6": "ip6"}
_COMPARISONS: Final[Mapping[str, Callable[[int], tuple[int, int]]]] = {
    "<": lambda number: (0, number - 1),
    "<=": lambda number: (0, number),
    ">": lambda number: (number + 1, 65535),
    ">=": lambda number: (number, 65535),
}

Texts = Mapping[tuple[str, str, str, int], str]
"""How ``nft -a list ruleset`` writes each rule, by family, table, chain and handle."""


def read_ruleset(document: Any, texts: Texts) -> tuple[Ruleset, frozenset[tuple[str, str]]]:
    """The chains, and those tables (family and name) with matches that only iptables can print.

    :param document: the whole output, decoded.
    """
    objects = document.get("nftables") if isinstance(document, dict) else None
    ruleset = Ruleset()
    sets: dict[tuple[str, str, str], list[Any]] = {}
    foreign: set[tuple[str, str]] = set()
    for each in objects if isinstance(objects, list) else []:
        kind, what = next(iter(each.items())) if isinstance(each, dict) and each else ("", None)
        if not isinstance(what, dict) or what.get("family") not in _FAMILIES:
            continue
        place = (str(what["family"]), str(what.get("table")))
        if kind == "chain":
            ruleset.chains[*place, str(what.get("name"))] = _chain(what)
        elif kind in ("set", "map"):
            elements = what.get("elem")
            sets[*place, str(what.get("name"))] = elements if isinstance(elements, list) else []
        elif kind == "rule":
            chain = ruleset.chains.get((*place, str(what.get("chain"))))
            if chain is not None:
                expressions = what.get("expr")
                expressions = expressions if isinstance(expressions, list) else []
                if any(isinstance(part, dict) and "xt" in part for part in expressions):
                    foreign.add(place)
                text = texts.get((*place, chain.name, _integer(what.get("handle"))), "")
                chain.rules.extend(_rules(expressions, text, place, sets))
    return ruleset, frozenset(foreign)


def read_texts(listing: str) -> dict[tuple[str, str, str, int], str]:
    """The rules of ``nft -a list ruleset`` as they are written there, by their handles."""
    found = {}
    family = table = chain = ""
    for line in listing.splitlines():
        text, _, handle = line.strip().rpartition(" # handle ")
        words = text.split()
        if words[:1] == ["table"] and len(words) > 2:
            family, table = words[1], words[2]
        elif words[:1] == ["chain"] and words[-1:] == ["{"]:
            chain = words[1]
        elif handle.isdigit():
            found[family, table, chain, int(handle)] = text
    return found


def _chain(what: Mapping[str, Any]) -> Chain:
    policy = {"drop": Action.DROP}.get(str(what.get("policy")), Action.ACCEPT)
    return Chain(
        family=str(what["family"]),
        table=str(what.get("table")),
        name=str(what.get("name")),
        hook=what.get("hook") if isinstance(what.get("hook"), str) else None,
        priority=_integer(what.get("prio")),
        policy=policy,
    )


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _rules(
    expressions: list[Any], text: str, place: tuple[str, str], sets: Mapping[tuple[str, str, str], list[Any]]
) -> Iterator[Rule]:
    """A rule, or several where it looks the verdict up in a map."""
    conditions: list[Condition] = []
    for part in expressions:
        kind, what = next(iter(part.items())) if isinstance(part, dict) and part else ("", None)
        if kind == "match" and isinstance(what, dict):
            conditions.extend(_conditions(what, place, sets))
        elif kind == "vmap" and isinstance(what, dict):
            yield from _looked_up(what, tuple(conditions), text, place, sets)
            return
        elif kind in _ACTIONS:
            yield _rule(kind, what, tuple(conditions), text)
            return
        elif kind in _CONDITIONAL or (
            kind == "xt" and isinstance(what, dict) and what.get("type") == "match"
        ):
            conditions.append(Condition(Field.UNKNOWN))
        elif kind not in _WITHOUT_EFFECT:
            yield Rule(tuple(conditions), Action.UNKNOWN, text=text)
            return


def _rule(kind: str, what: Any, conditions: tuple[Condition, ...], text: str) -> Rule:
    details = what if isinstance(what, dict) else {}
    target = details.get("target")
    answer = "nothing"
    if kind == "reject":
        answer = " ".join(
            str(each) for each in (details.get("type", "icmp"), details.get("expr")) if each is not None
        )
    return Rule(conditions, _ACTIONS[kind], str(target) if target is not None else None, text, answer)


def _looked_up(
    what: Mapping[str, Any],
    before: tuple[Condition, ...],
    text: str,
    place: tuple[str, str],
    sets: Mapping[tuple[str, str, str], list[Any]],
) -> Iterator[Rule]:
    """One rule for each entry of a verdict map: a key leads to at most one of them."""
    data = what.get("data")
    named = sets.get((*place, str(data).removeprefix("@")))
    entries = data.get("set") if isinstance(data, dict) else named
    for entry in entries if isinstance(entries, list) else []:
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], dict) and entry[1]):
            yield Rule(before, Action.UNKNOWN, text=text)
            continue
        match = {"op": "==", "left": what.get("key"), "right": entry[0]}
        kind, verdict = next(iter(entry[1].items()))
        conditions = (*before, *_conditions(match, place, sets))
        if entry[0] == "*":
            conditions = (*before, Condition(Field.UNKNOWN))
        if kind in _ACTIONS:
            yield _rule(kind, verdict, conditions, text)
        elif kind != "continue":
            yield Rule(conditions, Action.UNKNOWN, text=text)


def _conditions(
    match: Mapping[str, Any], place: tuple[str, str], sets: Mapping[tuple[str, str, str], list[Any]]
) -> Iterator[Condition]:
    left, operation = match.get("left"), match.get("op")
    values = tuple(_values(match.get("right"), place, sets))
    negated = operation == "!="
    if not isinstance(left, dict) or not left:
        yield Condition(Field.UNKNOWN)
        return
    kind, what = next(iter(left.items()))
    details = what if isinstance(what, dict) else {}
    if kind == "meta" and details.get("key") in _META:
        field = _META[details["key"]]
        if field is Field.FAMILY:
            values = tuple(_FAMILY_WORDS.get(str(value), str(value)) for value in values)
        yield Condition(field, values, negated)
    elif kind == "payload":
        yield from _payload(details, values, str(operation))
    elif kind == "ct" and details.get("key") == "state":
        yield Condition(Field.STATE, values, negated)
    elif kind == "ct" and details.get("key") == "status" and set(values) <= {"dnat", "snat"}:
        # A connection that a rule redirects ends the walk before.
        yield Condition(Field.ALWAYS if negated else Field.NEVER)
    elif kind == "fib" and details.get("flags") in ("daddr", ["daddr"]) and details.get("result") == "type":
        yield Condition(Field.ALWAYS if ("local" in values) is not negated else Field.NEVER)
    elif kind == "&" and _is_syn(what, values):
        yield Condition(Field.NEVER if negated else Field.ALWAYS)
    else:
        yield Condition(Field.UNKNOWN)


def _is_syn(operands: Any, values: tuple[Value, ...]) -> bool:
    """Whether flags are compared with those of the first packet of a connection."""
    if not isinstance(operands, list) or len(operands) != 2:
        return False
    flags = {"payload": {"protocol": "tcp", "field": "flags"}}
    mask = operands[1] if isinstance(operands[1], list) else [operands[1]]
    return operands[0] == flags and "syn" in mask and values == ("syn",)


def _payload(details: Mapping[str, Any], values: tuple[Value, ...], operation: str) -> Iterator[Condition]:
    protocol, field = details.get("protocol"), details.get("field")
    negated = operation == "!="
    if protocol in ("tcp", "th"):
        if field != "dport":
            yield Condition(Field.UNKNOWN)
            return
        if operation in _COMPARISONS:
            values = tuple(_COMPARISONS[operation](value) for value in values if isinstance(value, int))
        yield Condition(Field.PORT, values, negated)
    elif protocol in ("ip", "ip6"):
        yield Condition(Field.FAMILY, (str(protocol),))
        if field in ("protocol", "nexthdr"):
            yield Condition(Field.PROTOCOL, values, negated)
        elif field in ("saddr", "daddr"):
            networks = tuple(network(value) or value if isinstance(value, str) else value for value in values)
            yield Condition(Field.SOURCE if field == "saddr" else Field.DESTINATION, networks, negated)
        else:
            yield Condition(Field.UNKNOWN)
    elif protocol in ("udp", "icmp", "icmpv6", "igmp", "sctp", "dccp", "udplite", "esp", "ah", "comp"):
        yield Condition(Field.NEVER)
    else:
        yield Condition(Field.UNKNOWN)


def _values(
    right: Any, place: tuple[str, str], sets: Mapping[tuple[str, str, str], list[Any]]
) -> Iterator[Value]:
    """What a match compares with: one value, a list, a set with or without a name."""
    if isinstance(right, str) and right.startswith("@"):
        for element in sets.get((*place, right[1:]), []):
            yield from _values(element, place, sets)
    elif isinstance(right, str | int):
        yield right
    elif isinstance(right, list):
        for element in right:
            yield from _values(element, place, sets)
    elif isinstance(right, dict) and right:
        kind, what = next(iter(right.items()))
        if kind == "set":
            yield from _values(what, place, sets)
        elif kind == "elem" and isinstance(what, dict):
            yield from _values(what.get("val"), place, sets)
        elif kind == "range" and isinstance(what, list) and all(isinstance(end, int) for end in what):
            yield (what[0], what[-1])
        elif kind == "prefix" and isinstance(what, dict):
            yield network(str(what.get("addr")), _integer(what.get("len"))) or "?"
        else:
            # A range of addresses, a concatenation: equal to nothing that is known.
            yield "?"
