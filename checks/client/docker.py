"""Judges docker's settings: conflicts with flags, and entries of insecure-registries beside a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from regdoctor.api import (
    DaemonFlags,
    DaemonSettings,
    DaemonState,
    Endpoint,
    Flaw,
    Handshakes,
    Listed,
    Ping,
    RegistriesConf,
    Target,
    daemon_json,
    near,
    registries_conf,
)

from .mirrors import name_of
from .routes import speaks_http
from .wording import MOST_TOLD


def conflicts(daemon: DaemonSettings, flags: DaemonFlags) -> Iterator[Listed]:
    """Settings of the file that are given as a flag too (moby ``findConfigurationConflicts``)."""
    given = {daemon_json.FLAGS.get(each.value, each.value) for each in flags.flags} - {"runtimes"}
    yield from (each for each in daemon.keys if each.value in given)


def suggestions(refused: Iterable[Flaw]) -> str:
    """Which settings may have been meant by keys that dockerd does not know, in sentences."""
    found = []
    for flaw in refused:
        if flaw.key is not None and "don't match any configuration option" in flaw.message:
            likely = near.near(flaw.key, daemon_json.KEYS, limit=1)
            if likely:
                found.append(f"{flaw.key} may stand for {likely[0]}.")
    return " ".join(found[:MOST_TOLD])


def needs_entry(endpoint: Endpoint, ping: Ping | None, handshakes: Handshakes | None) -> str | None:
    """Why dockerd goes to this registry only where it is listed as insecure, in a sentence; None where it does."""
    if endpoint.scheme == "http":
        return f"{endpoint.address} is addressed by plain HTTP."
    if any(speaks_http(each) for each in (handshakes.handshakes if handshakes is not None else ())):
        return f"{endpoint.address} speaks plain HTTP."
    if ping is not None and not ping.trusted and ping.answer is not None:
        return f"The certificate of {endpoint.address} is not trusted here."
    return None


def loaded(state: DaemonState, domain: str, addresses: tuple[str, ...]) -> bool:
    """Whether the running daemon takes a registry for insecure."""
    entries = (*state.insecure_hosts, *state.insecure_networks)
    return any(
        daemon_json.covers(Listed(value=each, path="", line=0, column=0), domain, addresses)
        for each in entries
    )


def difference(entry: str, target: Target) -> str | None:
    """How an entry that was surely meant for the target differs from its name."""
    name = daemon_json.without_scheme(entry)
    host, _, port = name.rpartition(":") if name.count(":") == 1 else (name, "", "")
    wanted, _, wanted_port = (
        target.domain.rpartition(":") if ":" in target.domain else (target.domain, "", "")
    )
    if host.lower() != wanted.lower():
        short = wanted.lower().partition(".")[0] == host.lower() and not _is_address(wanted)
        return f"it has the short name {host} for {wanted}" if short and port == wanted_port else None
    if port != wanted_port:
        return f"it has {f'the port {port}' if port else 'no port'}"
    return "it differs in upper and lower case" if host != wanted else None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def insecure_entries(
    target: Target, daemon: DaemonSettings | None, state: DaemonState | None, conf: RegistriesConf | None
) -> Iterator[tuple[str, str]]:
    """Who takes the target for insecure by its settings, and where that stands."""
    if daemon is not None and daemon.usable:
        for entry in daemon.insecure:
            if daemon_json.covers(entry, target.domain, ()):
                yield "docker", entry.place
    elif state is not None and target.domain in state.insecure_hosts:
        yield "docker", "daemon-state"
    if conf is not None and not conf.flaws:
        name, tag = name_of(target)
        table = registries_conf.find_registry(conf.registries, name + tag)
        if table is not None and table.insecure is not None:
            yield "podman", table.insecure.place


def address(url: str) -> str:
    """``host[:port]`` of a URL."""
    return url.partition("://")[2].partition("/")[0]
