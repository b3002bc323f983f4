"""Looks at names: what clients of this host resolve, and what every nameserver says."""

from __future__ import annotations

import secrets

from regdoctor.api import (
    Addresses,
    Context,
    Endpoint,
    Failure,
    FailureKind,
    HostsEntry,
    HostsFile,
    NameserverAnswer,
    NameserverAnswers,
    NotApplicable,
    OtherAddress,
    OtherAddresses,
    ResolverConfiguration,
    Role,
    dns,
    probe,
    resolver_files,
    side_by_side,
    tcp,
)

from .answers import about, addresses_of, by_nameserver, has_answered

DIRECT_BESIDE_PROXY = 2.0
"""Seconds for a direct look at a host that clients reach through a proxy: it must not hold up the run."""

BESIDE_HOSTS_FILE = 0.6
"""Seconds for DNS about a name that the hosts file settles: nobody waits for it then."""

GRACE = 0.5
"""Seconds that the other nameservers still have once one has answered everything."""

MOST_OTHER_ADDRESSES = 4


@probe
def resolve(endpoint: Endpoint, context: Context) -> Addresses:
    """All addresses of the host as clients of this host get them, in the resolver's order."""
    timeout = context.deadline.step()
    if endpoint.proxy is not None:
        timeout = min(timeout, DIRECT_BESIDE_PROXY)
    resolver = dns.shared_resolver(context.shared, context.lock, context.options.resolvers)
    resolution = resolver.resolve(endpoint.host, timeout)
    return Addresses(
        host=endpoint.host,
        literal=resolution.literal,
        addresses=resolution.addresses,
        seconds=resolution.seconds,
        failure=resolution.failure,
    )


@probe
def read_resolver_configuration(context: Context) -> ResolverConfiguration:
    """What resolv.conf and nsswitch.conf say, or the nameservers of ``--resolver``."""
    configuration, problem = resolver_files.read_resolv_conf()
    given = context.options.resolvers
    nameservers = configuration.nameservers or resolver_files.FALLBACK_NAMESERVERS
    return ResolverConfiguration(
        path=str(resolver_files.RESOLV_CONF),
        nameservers=given or nameservers,
        search=configuration.search,
        ndots=configuration.ndots,
        timeout=configuration.timeout,
        attempts=configuration.attempts,
        options=configuration.options,
        given=bool(given),
        problem=None if given else problem,
        sources=resolver_files.read_nsswitch(),
    )


@probe
def read_hosts_file(endpoint: Endpoint) -> HostsFile:
    """The lines of the hosts file that name the host."""
    _only_names(endpoint)
    lines = resolver_files.read_hosts(endpoint.host)
    return HostsFile(
        path=str(resolver_files.HOSTS),
        entries=tuple(HostsEntry(address=line.address, line=line.line) for line in lines),
    )


@probe
def ask_nameservers(
    endpoint: Endpoint, configuration: ResolverConfiguration, hosts: HostsFile, context: Context
) -> NameserverAnswers:
    """What every nameserver says about the host, and about the names that the search list makes of it."""
    if dns.is_local_name(endpoint.host):
        raise NotApplicable(f"{endpoint.host} is this machine and no matter of DNS (RFC 6761)")
    if endpoint.proxy is not None:
        raise NotApplicable(f"the proxy {endpoint.proxy} looks {endpoint.host} up, not this machine")
    timeout = context.deadline.step()
    if hosts.entries:
        timeout = min(timeout, BESIDE_HOSTS_FILE)
    nameservers = configuration.nameservers[: dns.MOST_NAMESERVERS]
    try:
        answers = _ask((endpoint.host,), nameservers, timeout)
    except ValueError as reason:
        raise NotApplicable(str(reason)) from None
    unsigned = [
        dns.Question(nameserver=each.nameserver, name=each.name, record=each.record, checking_disabled=True)
        for each in answers
        if each.rcode == "SERVFAIL"
    ]
    if unsigned:
        answers += dns.ask(unsigned, min(1.0, context.deadline.step()))
    random_name = None
    if not hosts.entries:
        more, random_name = _ask_search_list(endpoint.host, configuration, answers, context)
        answers += more
    return NameserverAnswers(answers=answers, random_name=random_name)


def _ask(
    names: tuple[str, ...], nameservers: tuple[str, ...], timeout: float
) -> tuple[NameserverAnswer, ...]:
    questions = [
        dns.Question(nameserver=nameserver, name=name, record=record)
        for nameserver in nameservers
        for name in names
        for record in dns.RECORDS
    ]
    return dns.ask(questions, timeout, grace=GRACE)


def _ask_search_list(
    host: str,
    configuration: ResolverConfiguration,
    answers: tuple[NameserverAnswer, ...],
    context: Context,
) -> tuple[tuple[NameserverAnswer, ...], str | None]:
    """Asks the first nameserver that answers for the names that the search list makes of the host.

    Only where clients come to these names: they try them first, or the host as written has no address. One
    that has an address is followed by a random name beside it, which only a wildcard record answers.
    """
    names = resolver_files.candidate_names(host, configuration.search, configuration.ndots)
    extended = tuple(name for name in names if name.lower() != host.lower())
    alive = next((server for server, said in by_nameserver(answers).items() if has_answered(said)), None)
    if alive is None or not extended or (names[0] not in extended and addresses_of(about(answers, host))):
        return (), None
    more = _ask(extended, (alive,), min(2.0, context.deadline.step()))
    captured = next((name for name in extended if addresses_of(about(more, name))), None)
    if captured is None or "." not in host:
        return more, None
    random_name = f"regdoctor-{secrets.token_hex(6)}.{captured.partition('.')[2]}"
    return more + _ask((random_name,), (alive,), min(2.0, context.deadline.step())), random_name


@probe
def try_other_addresses(
    endpoint: Endpoint, addresses: Addresses, answers: NameserverAnswers, hosts: HostsFile, context: Context
) -> OtherAddresses:
    """Tries addresses that a nameserver gives for the host and that clients here do not use."""
    others = _others(endpoint.host, addresses, answers, hosts)[:MOST_OTHER_ADDRESSES]
    if not others:
        raise NotApplicable("the nameservers give no other addresses than those that clients here use")
    timeout = min(2.0, context.deadline.step())

    def look(other: tuple[str, str]) -> OtherAddress:
        address, name = other
        (attempt,) = tcp.connect_all([address], endpoint.port, timeout)
        if attempt.failure is not None or endpoint.role is Role.PROXY:
            return OtherAddress(address=address, name=name, attempt=attempt)
        url = endpoint.url + endpoint.path
        response = context.http.request("GET", url, address=address, seconds=timeout)
        trusted = True
        if isinstance(response, Failure) and response.kind is FailureKind.TLS_VERIFICATION:
            response = context.http.request("GET", url, address=address, seconds=timeout, verify=False)
            trusted = False
        if isinstance(response, Failure):
            return OtherAddress(address=address, name=name, attempt=attempt)
        return OtherAddress(
            address=address, name=name, attempt=attempt, answer=response.answer, trusted=trusted
        )

    return OtherAddresses(addresses=tuple(side_by_side(look, others)))


def _others(
    host: str, addresses: Addresses, answers: NameserverAnswers, hosts: HostsFile
) -> list[tuple[str, str]]:
    """Addresses worth a try, with the name that they were given for.

    Of DNS where the hosts file leads elsewhere; of each nameserver whose addresses have none in common with
    those in use, unless it is the only one (the members of a big pool take turns); of the host as written
    where the search list turned it into another name.
    """
    used = set(addresses.addresses)
    found: dict[str, str] = {}
    servers = by_nameserver(about(answers.answers, host))
    answering = [said for said in servers.values() if has_answered(said)]
    captured = any(each.addresses for each in answers.answers if each.name not in (host, answers.random_name))
    for said in answering:
        given = addresses_of(said)
        if used.isdisjoint(given) and (hosts.entries or captured or len(answering) > 1):
            found.update(dict.fromkeys(given, host))
    return list(found.items())


def _only_names(endpoint: Endpoint) -> None:
    if dns.numeric_address(endpoint.host) is not None:
        raise NotApplicable(f"{endpoint.host} is an address, not a name")
