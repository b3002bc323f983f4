"""Which proxy a client written in Go uses for a URL: docker, containerd, podman, skopeo, kubelet, crane.

The rules are those of golang.org/x/net ``http/httpproxy`` (v0.43), which ``net/http`` uses. They differ from
those of curl and Python: ``ALL_PROXY`` does not count, upper case goes first, and ``NO_PROXY`` has its own
grammar. Nothing here touches the network or the process's environment.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import msgspec

from regdoctor.redact import redact_url

_MAX_VALUE: Final = 64 * 1024
_SUPPORTED: Final = frozenset({"http", "https", "socks5", "socks5h"})
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_USERINFO: Final = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_BAD_IN_HOST: Final = re.compile(r"[\s<>\"\\^`{}|]")
_HOST_NAME: Final = re.compile(r"\.?[^\s.*/:;@\[\]]+(?:\.[^\s.*/:;@\[\]]+)*\.?")

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, kw_only=True)
class ProxyDecision:
    """Which proxy is used for one URL, and why.

    ``proxy_url`` is the proxy with scheme, ``None`` where the connection is direct; it may hold a user name
    and password, so it is kept out of ``repr`` and must not become part of a fact: ``shown_url`` may.
    ``variable`` is the variable that named a proxy for this scheme, ``no_proxy_variable`` and
    ``no_proxy_entry`` what took it back. ``why`` is one sentence; ``problems`` are sentences on values that
    do not do what they seem to.
    """

    proxy_url: str | None = field(default=None, repr=False)
    variable: str | None = None
    no_proxy_variable: str | None = None
    no_proxy_entry: str | None = None
    ignored: bool = False
    """Whether a proxy is named by a value that Go cannot read, and so does not count."""
    why: str
    problems: tuple[str, ...] = ()

    @property
    def shown_url(self) -> str | None:
        """The proxy's URL with user name and password blanked."""
        return None if self.proxy_url is None else redact_url(self.proxy_url)


class EntryKind(StrEnum):
    """What an item of ``NO_PROXY`` is taken for."""

    ALL = "all"
    NETWORK = "network"
    ADDRESS = "address"
    DOMAIN = "domain"


class NoProxyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One item of ``NO_PROXY``, read as Go reads it.

    ``value`` is the network, the address or the domain (``.example.com`` matches subdomains only, which
    ``subdomains_only`` says); ``port`` restricts the item to one port. ``problem`` tells why the item can
    never match, or not what it seems to; it is ``None`` for a sound one.
    """

    text: str
    kind: EntryKind
    value: str
    port: str = ""
    subdomains_only: bool = False
    problem: str | None = None

    def matches(self, host: str, port: str) -> bool:
        """Whether the item keeps a request for this host (no brackets, lower case) and port off the proxy."""
        if self.kind is EntryKind.ALL:
            return True
        address = _address(host)
        if self.kind is EntryKind.NETWORK:
            return address is not None and _in_network(address, self.value)
        if self.port not in {"", port}:
            return False
        if self.kind is EntryKind.ADDRESS:
            return address is not None and address == _address(self.value)
        if "%" in host:  # the zone of an address is no domain (CVE-2025-22870)
            return False
        return host.endswith(f".{self.value}") or (not self.subdomains_only and host == self.value)


def proxy_for(url: str, environment: Mapping[str, str]) -> ProxyDecision:
    """Decide as Go does which proxy a request for ``url`` goes through.

    ``environment`` is the client's environment: of the daemon where the daemon pulls, not of the shell.
    Never raises; a URL that is neither http nor https is never proxied.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ProxyDecision(why="the URL is malformed, so no request is made")
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        return ProxyDecision(why=f"Go's clients use no proxy for {scheme or 'other'} URLs")
    upper, lower = f"{scheme.upper()}_PROXY", f"{scheme}_proxy"
    variable, value = _first(environment, upper, lower)
    problems = [
        *_disagreements(environment, upper, lower),
        *_disagreements(environment, "NO_PROXY", "no_proxy"),
    ]
    if variable is None:
        other = "HTTP" if scheme == "https" else "HTTPS"
        if _first(environment, f"{other}_PROXY", f"{other.lower()}_proxy")[0] is not None:
            problems.append(f"{other}_PROXY is set, but {scheme} URLs follow {upper} alone")
        if _first(environment, "ALL_PROXY", "all_proxy")[0] is not None:
            problems.append("ALL_PROXY is set, but Go's clients do not read it")
        return ProxyDecision(why=f"neither {upper} nor {lower} is set", problems=tuple(problems))
    proxy, problem = parse_proxy(value)
    if problem is not None:
        problems.append(f"{variable}: {problem}")
    if proxy is None:
        return ProxyDecision(
            variable=variable,
            ignored=True,
            why=f"{variable} is not a URL, so Go's clients ignore it",
            problems=tuple(problems),
        )
    if scheme == "http" and environment.get("REQUEST_METHOD"):
        problems.append("REQUEST_METHOD is set, so Go takes itself for a CGI program and refuses HTTP_PROXY")

    host, port = _canonical(parts.hostname or "", _port_of(parts.netloc) or _DEFAULT_PORTS[scheme])
    no_proxy_variable, no_proxy = _first(environment, "NO_PROXY", "no_proxy")
    entries = parse_no_proxy(no_proxy)
    problems += [
        f"{no_proxy_variable} item {entry.text!r}: {entry.problem}" for entry in entries if entry.problem
    ]
    if is_never_proxied(host):
        return ProxyDecision(
            variable=variable,
            why="localhost and loopback addresses are never proxied",
            problems=tuple(problems),
        )
    for entry in entries:
        if entry.matches(host, port):
            return ProxyDecision(
                variable=variable,
                no_proxy_variable=no_proxy_variable,
                no_proxy_entry=entry.text,
                why=f"{no_proxy_variable} takes {host}:{port} out by its item {entry.text!r}",
                problems=tuple(problems),
            )
    excuse = (
        "it has no NO_PROXY" if no_proxy_variable is None else f"no item of {no_proxy_variable} covers it"
    )
    return ProxyDecision(
        proxy_url=proxy,
        variable=variable,
        no_proxy_variable=no_proxy_variable,
        why=f"{variable} is set and {excuse}",
        problems=tuple(problems),
    )


def is_never_proxied(host: str) -> bool:
    """Whether Go connects to this host directly whatever the variables say."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def parse_proxy(value: str) -> tuple[str | None, str | None]:
    """Read the value of a proxy variable: the URL that Go uses (``None``: ignored) and what is wrong with it.

    A value without scheme gets ``http://``. The problem is one sentence without the value's user name and
    password, ``None`` for a sound value.
    """
    if len(value) > _MAX_VALUE:
        return None, "the value is longer than 64 KiB"
    url = value if _go_parse(value) else f"http://{value}"
    parsed = _go_parse(url)
    if parsed is None:
        return None, "the value is not a URL; special characters in the password must be percent-encoded"
    scheme, host = parsed
    if url != value and "/" in value.rstrip("/"):
        # Go tries harder than it should: "http:/proxy" becomes http://http:/proxy, a proxy called "http".
        hint = "; special characters in the password must be percent-encoded" if "@" in value else ""
        return url, f"the value is malformed, Go takes {host!r} for the proxy's host{hint}"
    if scheme not in _SUPPORTED:
        return url, f"{scheme}:// is no kind of proxy that Go knows"
    if value != value.strip():
        return url, "blanks stand around the value"
    return url, None


def _go_parse(text: str) -> tuple[str, str] | None:
    """Find scheme and host[:port] as Go's ``url.Parse`` does; ``None`` for errors or where one is missing."""
    match = _SCHEME.match(text)
    if match is None or any(character < " " or character == "\x7f" for character in text):
        return None
    rest = text[match.end() :].partition("#")[0].partition("?")[0]
    if not rest.startswith("//"):
        return None
    authority, _, path = rest[2:].partition("/")
    userinfo, at, host = authority.rpartition("@")
    name, colon, port = host.rpartition(":")
    if host.startswith("["):
        sound = re.fullmatch(r"\[[^\[\]]+\](?::[0-9]*)?", host) is not None
    else:
        sound = (not colon and ":" not in host) or ((port.isdigit() or not port) and ":" not in name)
    sound = sound and _BAD_IN_HOST.search(host) is None
    if at:
        sound = sound and _USERINFO.fullmatch(userinfo) is not None
    if not sound or not host or _BAD_ESCAPE.search(userinfo + path):
        return None
    return match.group(1).lower(), host


def parse_no_proxy(value: str) -> tuple[NoProxyEntry, ...]:
    """Read the items of ``NO_PROXY`` in their order, as far as they count; at most 64 KiB are read.

    An item ``*`` makes all others void, so it is returned alone.
    """
    entries: list[NoProxyEntry] = []
    for item in value[:_MAX_VALUE].split(","):
        text = item.strip().lower()
        if text == "*":
            return (NoProxyEntry(text=text, kind=EntryKind.ALL, value=text),)
        if text:
            entries.append(_no_proxy_entry(text))
    return tuple(entries)


def _no_proxy_entry(text: str) -> NoProxyEntry:
    address, slash, length = text.partition("/")
    if slash and length.isascii() and length.isdigit() and _address(address) is not None:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            pass
        else:
            return NoProxyEntry(text=text, kind=EntryKind.NETWORK, value=str(network))
    host, port = _split_host_port(text)
    if _address(host) is not None:
        return NoProxyEntry(text=text, kind=EntryKind.ADDRESS, value=host, port=port)
    domain = host.removeprefix("*") if host.startswith("*.") else host
    subdomains_only = domain.startswith(".")
    return NoProxyEntry(
        text=text,
        kind=EntryKind.DOMAIN,
        value=_ascii(domain.removeprefix(".")),
        port=port,
        subdomains_only=subdomains_only,
        problem=_domain_problem(text, host, port),
    )


def _domain_problem(text: str, host: str, port: str) -> str | None:
    """Say why an item that Go takes for a domain will not do what was meant."""
    if "://" in text:
        return "it has a scheme, so it never matches: write the host alone"
    if re.search(r"[\s;|]", text):
        return "items are parted by commas alone, so this is one item that never matches"
    if "/" in text:
        return "it is neither a host nor a network such as 10.0.0.0/8, so it never matches"
    if "[" in text or "]" in text:
        return "an IPv6 address has brackets only before a port, so it never matches"
    if "@" in text:
        return "it holds a user name, so it never matches"
    if port and not port.isdigit():
        return "what follows the colon is not a port, so it never matches"
    name = host.removeprefix("*.")
    if "*" in name:
        return "a star is known only alone or as *.domain, so it never matches"
    if not name.strip("."):
        return "it names no host, so it never matches"
    if re.fullmatch(r"[0-9.]+", name):
        return "it is an incomplete IPv4 address, so it never matches: write a network such as 10.0.0.0/8"
    if _HOST_NAME.fullmatch(name) is None:
        return "it is no host name, so it never matches"
    return None


def networks_that_would_cover(
    entries: Iterable[NoProxyEntry], addresses: Iterable[str]
) -> tuple[NoProxyEntry, ...]:
    """Return the network and address items that hold one of a name's addresses.

    Go compares them with literal addresses in the URL only and never resolves the name, so for a URL with a
    host name they look right and have no effect.
    """
    known = [address for address in map(_address, addresses) if address is not None]
    return tuple(
        entry
        for entry in entries
        if entry.kind in {EntryKind.NETWORK, EntryKind.ADDRESS}
        and any(
            _in_network(address, entry.value)
            if entry.kind is EntryKind.NETWORK
            else address == _address(entry.value)
            for address in known
        )
    )


def why_not_covered(no_proxy: str, host: str, port: int, addresses: Iterable[str] = ()) -> tuple[str, ...]:
    """Why items that look as if they were meant for a host do not keep it off the proxy, one sentence each.

    ``no_proxy`` is the variable's value; ``addresses`` are those that the host's name resolves to here. Empty
    where nothing comes near.
    """
    entries = parse_no_proxy(no_proxy)
    host = host.lower()
    said = [
        f"{entry.text} holds an address of {host}, but networks and addresses count only where the image name "
        "itself has a literal address: names are never resolved for this"
        for entry in (networks_that_would_cover(entries, addresses) if _address(host) is None else ())
    ]
    for entry in entries:
        if entry.problem is not None and host in entry.text:
            said.append(f"{entry.text}: {entry.problem}")
        elif entry.kind is EntryKind.DOMAIN and entry.subdomains_only and entry.value == host:
            said.append(f"{entry.text} covers the names below {host}, and not {host} itself: write {host}")
        elif entry.port and entry.port != str(port) and _without_port(entry).matches(host, str(port)):
            said.append(f"{entry.text} covers port {entry.port} alone, and the registry is on {port}")
    return tuple(said)


def _without_port(entry: NoProxyEntry) -> NoProxyEntry:
    return msgspec.structs.replace(entry, port="")


def _first(environment: Mapping[str, str], *names: str) -> tuple[str | None, str]:
    """Return the first variable that is set and not empty, and its value."""
    for name in names:
        if value := environment.get(name):
            return name, value
    return None, ""


def _disagreements(environment: Mapping[str, str], upper: str, lower: str) -> list[str]:
    first, second = environment.get(upper), environment.get(lower)
    if first and second and first != second:
        return [f"{upper} and {lower} differ: Go's clients use {upper}, curl uses {lower}"]
    return []


def _split_host_port(text: str) -> tuple[str, str]:
    """Split like Go's ``net.SplitHostPort``; what it refuses is a host without port."""
    if text.startswith("["):
        match = re.fullmatch(r"\[([^\[\]]*)\]:([^\[\]:]*)", text)
        return (match.group(1), match.group(2)) if match else (text, "")
    host, colon, port = text.rpartition(":")
    return (host, port) if colon and ":" not in host else (text, "")


def _port_of(netloc: str) -> str:
    host_and_port = netloc.rpartition("@")[2]
    return (
        host_and_port.rpartition("]")[2].rpartition(":")[2] if ":" in host_and_port.rpartition("]")[2] else ""
    )


def _canonical(host: str, port: str) -> tuple[str, str]:
    return _ascii(host.replace("%25", "%", 1).lower()), port


def _ascii(host: str) -> str:
    """Return a host name in A-label form; what cannot be converted stays."""
    if host.isascii():
        return host
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return host


def _address(text: str) -> IPAddress | None:
    """Read a literal address without zone; an IPv4 address in IPv6 form is the IPv4 address, as for Go."""
    if "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped if mapped is not None else address


def _in_network(address: IPAddress, network: str) -> bool:
    return address in ipaddress.ip_network(network)
