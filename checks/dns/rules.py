"""Judges names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from regdoctor.api import (
    Addresses,
    Answer,
    Certainty,
    Connections,
    Draft,
    Endpoint,
    FailureKind,
    Handshakes,
    HostsFile,
    NameserverAnswer,
    NameserverAnswers,
    OtherAddress,
    OtherAddresses,
    Ping,
    ProducerKind,
    ResolverConfiguration,
    Role,
    Severity,
    finding,
    resolver_files,
    rule,
)

from .answers import (
    about,
    addresses_of,
    by_nameserver,
    describe,
    has_answered,
    is_silent,
    knows,
)

SLOW = 2.0
"""Seconds after which a nameserver that does answer counts as slow: two round trips of the world are 0.6."""

UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104 - as an answer of DNS, not to listen at
"""Addresses of no host (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.2)."""

COSTLY = 1.0
"""Seconds of one look-up from which a dead nameserver before a live one is felt."""

_REGISTRIES = frozenset({Role.REGISTRY, Role.MIRROR, Role.UPSTREAM})

_UNDECIDED = frozenset(
    {FailureKind.RESOLVER_FAILURE, FailureKind.RESOLVER_TIMEOUT, FailureKind.RESOLVER_REFUSED}
)


@rule(
    "dns/name-not-found",
    "dns/cluster-name",
    "dns/resolver-timeout",
    "dns/resolver-refused",
    "dns/server-failure",
    "dns/nameserver-degraded",
    "dns/answers-differ",
)
def not_resolved(
    endpoint: Endpoint,
    addresses: Addresses,
    configuration: ResolverConfiguration | None,
    answers: NameserverAnswers | None,
) -> Iterator[Draft]:
    """Clients get no address: why, as far as the nameservers asked one by one tell."""
    failure = addresses.failure
    if failure is None or endpoint.proxy is not None:
        return
    host = endpoint.host
    said = by_nameserver(about(answers.answers, host)) if answers is not None else {}
    table = "; ".join(describe(each) for each in said.values())
    asked = f" Asked one by one: {table}." if table else ""
    positive = {server: each for server, each in said.items() if addresses_of(each) and has_answered(each)}
    negative = {server for server, each in said.items() if has_answered(each) and not addresses_of(each)}
    unsigned = answers is not None and any(
        each.checking_disabled and knows(each) and each.addresses for each in answers.answers
    )
    if not positive and _is_refused(said) and _is_foreign_cluster_name(host, configuration):
        yield from _no_such_name(endpoint, configuration, said, asked)
    elif _broken_servers(said):
        yield from _server_failure(host, said, asked, unsigned=unsigned)
    elif failure.kind is FailureKind.NAME_NOT_FOUND and not positive:
        yield from _no_such_name(endpoint, configuration, said, asked)
    elif (
        failure.kind is FailureKind.NAME_NOT_FOUND
        and configuration is not None
        and not {"dns", "resolve"} & set(configuration.sources)
    ):
        yield finding(
            "dns/name-not-found",
            f"{failure.message}, because DNS is not asked: the hosts line of /etc/nsswitch.conf says "
            f'"{" ".join(configuration.sources)}".{asked}',
            fix=("put dns into the hosts line of /etc/nsswitch.conf: hosts: files dns",),
            evidence=("addresses", "resolver-configuration", "nameserver-answers"),
        )
    elif failure.kind is FailureKind.NAME_NOT_FOUND and negative:
        yield finding(
            "dns/answers-differ",
            f"{_and(positive)} knows an address for {host} and {_and(negative)} does not. Resolvers believe "
            f"the first nameserver that answers, and here that is one that does not.{asked}",
            severity=Severity.ERROR,
            evidence=("addresses", "nameserver-answers"),
        )
    elif cut := [server for server, each in said.items() if _tcp_fails(each)]:
        yield finding(
            "dns/nameserver-degraded",
            f"{_and(cut)} cuts its answer for {host} off, and asking again over TCP port 53 fails, so that "
            f"clients get no whole answer.{asked}",
            severity=Severity.ERROR,
            evidence=("addresses", "nameserver-answers"),
        )
    elif positive:
        yield finding(
            "dns/nameserver-degraded",
            f"{_and(positive)} knows {host} when asked directly, yet the resolver of this machine gave no "
            f"address within {addresses.seconds:.1f} s ({failure.message}).{_half_answered(said)}{asked}",
            severity=Severity.ERROR,
            certainty=Certainty.LIKELY,
            evidence=("addresses", "nameserver-answers"),
        )
    elif negative:
        yield from _no_such_name(endpoint, configuration, said, asked)
    elif failure.kind in _UNDECIDED:
        yield from _no_usable_nameserver(host, addresses, configuration, said, asked, unsigned=unsigned)


def _no_such_name(
    endpoint: Endpoint,
    configuration: ResolverConfiguration | None,
    said: dict[str, tuple[NameserverAnswer, ...]],
    asked: str,
) -> Iterator[Draft]:
    host = endpoint.host
    if _is_foreign_cluster_name(host, configuration):
        yield finding(
            "dns/cluster-name",
            f"{host} is a name of a Kubernetes service, which only the cluster's own DNS knows. The resolver "
            f"of this machine does not, and kubelet and containerd pull images with the machine's resolver."
            f"{asked}",
            certainty=Certainty.LIKELY if _is_refused(said) else Certainty.PROVEN,
            evidence=("addresses", "nameserver-answers"),
        )
        return
    aliases = list(
        dict.fromkeys(
            each.canonical_name for answer in said.values() for each in answer if each.canonical_name
        )
    )
    alias = ""
    fix: tuple[str, ...] = ()
    if aliases and aliases[0].lower() == host.lower():
        alias = f" The aliases (CNAME) that DNS gives for {host} lead back to it, in a circle."
        fix = (f"mend the CNAME records of {host}: dig {host} CNAME",)
    elif aliases:
        alias = f" {host} is an alias (CNAME) of {aliases[0]}, and it is that name which has no address."
        fix = (f"give {aliases[0]} an address, or let {host} lead elsewhere: dig {host} CNAME",)
    yield finding(
        "dns/name-not-found",
        f"The resolver of this machine says that {host} does not exist or has no address. docker, podman and "
        f"containerd ask the same resolver and stop here: no connection is tried.{alias}{asked}",
        fix=fix,
        evidence=("addresses", "nameserver-answers"),
    )


@rule("dns/name-not-found")
def no_real_address(
    endpoint: Endpoint,
    addresses: Addresses,
    hosts: HostsFile,
    connections: Connections | None,
    handshakes: Handshakes | None,
    ping: Ping | None,
) -> Iterator[Draft]:
    """The only addresses are 0.0.0.0 and ::, with which DNS filters deny names."""
    given = addresses.addresses
    if endpoint.proxy is not None or not given or not UNSPECIFIED.issuperset(given) or hosts.entries:
        return
    if _serves(endpoint, connections, handshakes, ping) is not False:
        return
    yield finding(
        "dns/name-not-found",
        f"The resolver of this machine gives {_and(given)} for {endpoint.host}, which is no host's address: "
        "filters of names (Pi-hole, AdGuard, block lists of a company) deny names so. Clients then connect to "
        "this very machine and report what they find there.",
        fix=(
            f"allow {endpoint.host} in the filter; ask another resolver to compare: dig @9.9.9.9 {endpoint.host}",
        ),
        evidence=("addresses", "connections"),
    )


def _no_usable_nameserver(
    host: str,
    addresses: Addresses,
    configuration: ResolverConfiguration | None,
    said: dict[str, tuple[NameserverAnswer, ...]],
    asked: str,
    *,
    unsigned: bool,
) -> Iterator[Draft]:
    kinds = {each.failure.kind for answer in said.values() for each in answer if each.failure is not None}
    errors = any(each.rcode is not None for answer in said.values() for each in answer)
    problem = configuration.problem if configuration is not None else None
    facts = ("addresses", "resolver-configuration", "nameserver-answers")
    if errors:
        yield from _server_failure(host, said, asked, unsigned=unsigned)
    elif problem is not None:
        yield finding(
            "dns/resolver-refused",
            f"{problem}, so that resolvers ask this machine itself (127.0.0.1:53, [::1]:53), where no "
            f"nameserver answers for {host}.{asked}",
            evidence=facts,
        )
    elif kinds == {FailureKind.RESOLVER_REFUSED}:
        yield finding(
            "dns/resolver-refused",
            f"Nothing listens at {_and(said)}, which this machine asks for names, so {host} cannot be looked "
            "up. The connection that is refused is the one to port 53, not the one to the registry."
            f"{asked}",
            evidence=facts,
        )
    elif kinds:
        yield finding(
            "dns/resolver-timeout",
            f"None of the nameservers that this machine asks ({_and(said)}) gave an answer for {host}. "
            f"The time-out is about port 53, not about the registry.{asked}",
            evidence=facts,
        )
    elif addresses.failure is not None and addresses.failure.kind is FailureKind.RESOLVER_REFUSED:
        yield finding("dns/resolver-refused", addresses.failure.message, evidence=("addresses",))
    elif addresses.failure is not None and addresses.failure.kind is FailureKind.RESOLVER_TIMEOUT:
        yield finding(
            "dns/resolver-timeout",
            addresses.failure.message,
            certainty=Certainty.LIKELY,
            evidence=("addresses",),
        )
    else:
        yield finding(
            "dns/server-failure",
            f"The resolver of this machine gives no usable answer for {host}. Whether its nameservers are "
            "silent, refuse or answer with an error was not seen.",
            certainty=Certainty.POSSIBLE,
            evidence=("addresses",),
        )


def _half_answered(said: dict[str, tuple[NameserverAnswer, ...]]) -> str:
    """A sentence on a record type that gets no answer where the other one does: clients wait for both."""
    for answers in said.values():
        silent = [each.record for each in answers if each.failure is not None]
        if silent and any(knows(each) for each in answers):
            family = "IPv6" if "AAAA" in silent else "IPv4"
            return (
                f" Its questions for {family} ({_and(silent)} records) are never answered, by the nameserver or a "
                "firewall before it; clients ask for both and wait for both."
            )
    return ""


def _broken_servers(said: dict[str, tuple[NameserverAnswer, ...]]) -> tuple[str, ...]:
    """The nameservers that fail for one of the record types, where none gives a whole answer to both."""
    if any(all(knows(each) for each in answer if not each.truncated) for answer in said.values()):
        return ()
    return tuple(server for server, answer in said.items() if any(_is_broken(each) for each in answer))


def _is_broken(answer: NameserverAnswer) -> bool:
    """Whether it is an error of the nameserver itself, or a reply that cannot be read.

    REFUSED for one type only is none: nameservers without an upstream answer so for records that they lack.
    """
    if answer.failure is not None:
        return answer.failure.kind is FailureKind.RESOLVER_ANSWER_INVALID
    return answer.rcode in ("SERVFAIL", "FORMERR", "NOTIMP")


def _server_failure(
    host: str, said: dict[str, tuple[NameserverAnswer, ...]], asked: str, *, unsigned: bool
) -> Iterator[Draft]:
    every = [each for answer in said.values() for each in answer]
    errors = sorted({each.rcode for each in every if each.rcode is not None and not knows(each)})
    words = f"the error {_and(errors)}" if errors else "a reply that cannot be read"
    yield finding(
        "dns/server-failure",
        f"The nameservers give no usable answer for {host}: {words}.{asked}",
        fix=("the error goes away when DNSSEC validation is off (dig +cd): mend the zone's signatures",)
        if unsigned
        else (),
        evidence=("addresses", "resolver-configuration", "nameserver-answers"),
    )


@rule("dns/server-failure")
def broken_for_ipv4(
    endpoint: Endpoint, addresses: Addresses, answers: NameserverAnswers, connections: Connections | None
) -> Iterator[Draft]:
    """The answer for IPv4 is broken, so that clients are left with IPv6 addresses that do not work."""
    if endpoint.proxy is not None or connections is None or connections.open_addresses:
        return
    if not addresses.addresses or not all(":" in address for address in addresses.addresses):
        return
    said = by_nameserver(about(answers.answers, endpoint.host))
    for each in said.values():
        broken = [answer for answer in each if answer.record == "A" and _is_broken(answer)]
        if broken and any(answer.record == "AAAA" and answer.addresses for answer in each):
            yield finding(
                "dns/server-failure",
                f"The nameserver answers for IPv6 and not properly for IPv4, so that {endpoint.host} is left "
                f"with IPv6 addresses, which cannot be connected to from here. {describe(each)}.",
                evidence=("addresses", "nameserver-answers", "connections"),
            )
            return


@rule("dns/nameserver-degraded")
def nameserver_degraded(
    endpoint: Endpoint,
    addresses: Addresses,
    configuration: ResolverConfiguration,
    hosts: HostsFile,
    answers: NameserverAnswers,
) -> Iterator[Draft]:
    """The name resolves, but clients wait for a dead or slow nameserver first, or lose long answers."""
    if endpoint.proxy is not None or not addresses.addresses or hosts.entries:
        return
    said = by_nameserver(about(answers.answers, endpoint.host))
    order = [server for server in configuration.nameservers if server in said]
    live = [server for server in order if has_answered(said[server])]
    if not live:
        return
    first = order.index(live[0])
    before = order if "rotate" in configuration.options else order[:first]
    dead = [server for server in before if is_silent(said[server])]
    answer_time = max(each.seconds for each in said[live[0]])
    if dead and (configuration.given or addresses.seconds >= COSTLY):
        took = "" if configuration.given else f" Looking {endpoint.host} up took {addresses.seconds:.1f} s."
        yield finding(
            "dns/nameserver-degraded",
            f"{_and(dead)} does not answer and is asked before {live[0]}, which does: each look-up first "
            f"waits {configuration.timeout} s for it.{took} {_table(said)}.",
            evidence=("addresses", "resolver-configuration", "nameserver-answers"),
        )
        return
    if answer_time >= SLOW and addresses.seconds >= COSTLY:
        yield finding(
            "dns/nameserver-degraded",
            f"{live[0]}, which is asked first, takes {answer_time:.1f} s for an answer, and every look-up "
            f"waits for it. {_table(said)}.",
            evidence=("addresses", "nameserver-answers"),
        )
    elif addresses.seconds >= COSTLY and any(each.attempts > 1 for each in said[live[0]]):
        yield finding(
            "dns/nameserver-degraded",
            f"{live[0]} answers only some of the questions: one had to be sent again, and looking "
            f"{endpoint.host} up took {addresses.seconds:.1f} s. {_table(said)}.",
            certainty=Certainty.LIKELY,
            evidence=("addresses", "nameserver-answers"),
        )
    elif _tcp_fails(said[order[first]]):
        yield finding(
            "dns/nameserver-degraded",
            f"{order[first]} cuts its answer for {endpoint.host} off, and asking again over TCP port 53 "
            f"fails: clients get a part of the addresses or none. {_table(said)}.",
            evidence=("addresses", "nameserver-answers"),
        )


@rule("dns/hosts-override")
def hosts_override(
    endpoint: Endpoint,
    addresses: Addresses,
    hosts: HostsFile,
    answers: NameserverAnswers,
    others: OtherAddresses | None,
    connections: Connections | None,
    handshakes: Handshakes | None,
    ping: Ping | None,
) -> Iterator[Draft]:
    """A line of the hosts file wins over DNS and leads elsewhere."""
    lines = [entry for entry in hosts.entries if entry.address in addresses.addresses]
    in_dns = addresses_of(about(answers.answers, endpoint.host))
    if endpoint.proxy is not None or not lines or not in_dns:
        return
    if not set(in_dns).isdisjoint(addresses.addresses):
        return
    places = tuple(f"{hosts.path}:{entry.line}" for entry in lines)
    seen = (
        f"{_and(places)} sends {endpoint.host} to {_and(entry.address for entry in lines)}, while DNS says "
        f"{_and(in_dns)}."
    )
    evidence = (*places, "nameserver-answers")
    works = _serves(endpoint, connections, handshakes, ping)
    better = _serving(endpoint, others)
    if better and works is False:
        yield finding(
            "dns/hosts-override",
            f"{seen} Clients follow the file, and what is wanted does not answer there; it does at "
            f"{_and(other.address for other in better)}.",
            fix=(f"delete or correct {_and(places)}",),
            evidence=(*evidence, "other-addresses"),
        )
    elif works:
        yield finding(
            "dns/hosts-override",
            f"{seen} The address in the file works; the line has to be kept up when the registry moves.",
            severity=Severity.INFO,
            evidence=evidence,
        )


@rule("dns/search-list-capture", "dns/answers-differ")
def search_list_capture(
    endpoint: Endpoint,
    addresses: Addresses,
    configuration: ResolverConfiguration,
    answers: NameserverAnswers,
    others: OtherAddresses | None,
    connections: Connections | None,
    handshakes: Handshakes | None,
    ping: Ping | None,
) -> Iterator[Draft]:
    """The search list made another name of the one that was asked for."""
    host = endpoint.host
    if endpoint.proxy is not None or "." not in host or not addresses.addresses:
        return
    captured = _captured_name(host, addresses, configuration, answers)
    if captured is None or _serves(endpoint, connections, handshakes, ping) is not False:
        return
    used = _and(addresses.addresses)
    as_written = addresses_of(about(answers.answers, host))
    wildcard = answers.random_name is not None and bool(
        set(addresses_of(about(answers.answers, answers.random_name))) & set(addresses.addresses)
    )
    seen = (
        f"The search list in {configuration.path} ({' '.join(configuration.search)}, ndots:"
        f"{configuration.ndots}) makes {captured} of {host}, and that name has the address {used}."
    )
    evidence = ("addresses", "resolver-configuration", "nameserver-answers")
    itself = f"{host} itself is {_and(as_written)}" if as_written else f"{host} itself has no address"
    if wildcard:
        yield finding(
            "dns/search-list-capture",
            f"{seen} {itself}. A wildcard record answers: the random name {answers.random_name} has that "
            "address too.",
            certainty=Certainty.PROVEN if as_written else Certainty.LIKELY,
            evidence=evidence,
        )
    elif as_written and _serving(endpoint, others):
        yield finding(
            "dns/search-list-capture",
            f"{seen} {itself}, and what is wanted answers there, not at {used}.",
            evidence=(*evidence, "other-addresses"),
        )
    elif as_written:
        yield finding(
            "dns/answers-differ",
            f"{seen} {itself}. Which of the two is meant decides; neither serves what is wanted now.",
            certainty=Certainty.LIKELY,
            evidence=evidence,
        )


@rule("dns/answers-differ")
def answers_differ(
    endpoint: Endpoint,
    addresses: Addresses,
    hosts: HostsFile,
    answers: NameserverAnswers,
    others: OtherAddresses,
    connections: Connections | None,
    handshakes: Handshakes | None,
    ping: Ping | None,
) -> Iterator[Draft]:
    """Nameservers give different addresses, and it matters which one is used."""
    host = endpoint.host
    if endpoint.proxy is not None or hosts.entries or not addresses.addresses:
        return
    said = {
        server: each
        for server, each in by_nameserver(about(answers.answers, host)).items()
        if addresses_of(each)
    }
    differing = [
        server for server, each in said.items() if set(addresses_of(each)).isdisjoint(addresses.addresses)
    ]
    agreeing = [server for server in said if server not in differing]
    if not differing or not agreeing:
        return
    works = _serves(endpoint, connections, handshakes, ping)
    serving = {other.address for other in _serving(endpoint, others)}
    tried = {other.address for other in others.addresses}
    useless = {other.address for other in others.addresses if _is_useless(endpoint, other)}
    dead = [
        server
        for server in differing
        if (given := tried & set(addresses_of(said[server]))) and given <= useless
    ]
    alive = [server for server in differing if set(addresses_of(said[server])) & serving]
    if alive and works is False:
        yield finding(
            "dns/answers-differ",
            f"{_and(agreeing)} sends {host} to {_and(addresses.addresses)}, where what is wanted does not "
            f"answer; {_and(alive)} sends it to {_and(serving)}, where it does. {_table(said)}.",
            severity=Severity.ERROR,
            evidence=("nameserver-answers", "other-addresses"),
        )
    elif dead and works:
        yield finding(
            "dns/answers-differ",
            f"{_and(dead)} gives an address for {host} where what is wanted does not answer, while "
            f"{_and(agreeing)} gives one where it does: clients fail as soon as they ask the former. "
            f"{_table(said)}.",
            evidence=("nameserver-answers", "other-addresses"),
        )


def _captured_name(
    host: str, addresses: Addresses, configuration: ResolverConfiguration, answers: NameserverAnswers
) -> str | None:
    """The name of the search list that the addresses in use belong to, if they are not the host's own."""
    used = set(addresses.addresses)
    if used & set(addresses_of(about(answers.answers, host))):
        return None
    names = resolver_files.candidate_names(host, configuration.search, configuration.ndots)
    return next((name for name in names if used & set(addresses_of(about(answers.answers, name)))), None)


def _serves(
    endpoint: Endpoint, connections: Connections | None, handshakes: Handshakes | None, ping: Ping | None
) -> bool | None:
    """Whether what is wanted answers at an address in use; None where nobody looked that far."""
    if connections is None:
        return None
    if not connections.open_addresses:
        return False
    if handshakes is not None and handshakes.handshakes:
        if not any(each.failure is None for each in handshakes.handshakes):
            return False
        if all(each.name_matches is False for each in handshakes.handshakes):
            return False
    if endpoint.role not in _REGISTRIES:
        return True
    if ping is None:
        return None
    return ping.answer is not None and _is_registry(ping.answer)


def _is_useless(endpoint: Endpoint, other: OtherAddress) -> bool:
    """Whether what is wanted certainly does not answer at another address."""
    if other.attempt.failure is not None:
        return True
    return endpoint.role in _REGISTRIES and other.answer is not None and not _is_registry(other.answer)


def _serving(endpoint: Endpoint, others: OtherAddresses | None) -> tuple[OtherAddress, ...]:
    """Those of the other addresses at which what is wanted answers."""
    if others is None:
        return ()
    if endpoint.role not in _REGISTRIES:
        return tuple(other for other in others.addresses if other.attempt.failure is None)
    return tuple(other for other in others.addresses if other.answer and _is_registry(other.answer))


def _is_registry(answer: Answer) -> bool:
    """Whether an answer to ``GET /v2/`` is one that a registry, or a login in front of it, gives."""
    if answer.producer.kind is ProducerKind.REGISTRY:
        return True
    if answer.header("docker-distribution-api-version") is not None:
        return True
    return answer.status == 401 and answer.header("www-authenticate") is not None


def _tcp_fails(answers: Sequence[NameserverAnswer]) -> bool:
    """Whether an answer was cut off and the repetition by TCP failed."""
    return any(each.truncated for each in answers) and any(
        each.transport == "tcp" and each.failure is not None for each in answers
    )


def _is_refused(said: dict[str, tuple[NameserverAnswer, ...]]) -> bool:
    """Whether every nameserver that said anything does not want to, or cannot, look for the name."""
    codes = {each.rcode for answer in said.values() for each in answer if each.rcode is not None}
    return bool(codes) and codes <= {"REFUSED", "SERVFAIL"}


def _is_foreign_cluster_name(host: str, configuration: ResolverConfiguration | None) -> bool:
    """Whether only the DNS of a cluster knows the name, and this machine does not ask that one."""
    return _is_cluster_name(host) and not (configuration is not None and _is_in_cluster(configuration))


def _is_cluster_name(host: str) -> bool:
    """Whether it is a name of a Kubernetes service or pod (``name.namespace.svc[.cluster.local]``)."""
    labels = host.lower().rstrip(".").split(".")
    if labels[-2:] == ["cluster", "local"]:
        labels = labels[:-2]
    return labels[-1] in ("svc", "pod") and len(labels) > 1


def _is_in_cluster(configuration: ResolverConfiguration) -> bool:
    """Whether the cluster's own DNS is asked: pods have its domains in their search list."""
    return any(f".{domain}.".lower().find(".svc.") >= 0 for domain in configuration.search)


def _table(said: dict[str, tuple[NameserverAnswer, ...]]) -> str:
    return "; ".join(describe(each) for each in said.values())


def _and(words: object) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    items = list(dict.fromkeys(words))  # type: ignore[call-overload]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"
