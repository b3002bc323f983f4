"""The files that decide how names are resolved here: resolv.conf, hosts, nsswitch.conf.

Read as glibc and Go read them (resolv.conf(5), hosts(5), nsswitch.conf(5); Go ``net/dnsconfig_unix.go``,
``net/conf.go``). Files are read up to a bound and decoded leniently; parsers are pure and never raise.
"""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS = Path("/etc/hosts")
NSSWITCH_CONF = Path("/etc/nsswitch.conf")

FALLBACK_NAMESERVERS = ("127.0.0.1", "::1")
"""What Go asks where resolv.conf names no nameserver; glibc asks the first."""

_MOST_BYTES = 1 << 20
_MOST_NAMESERVERS = 3  # MAXNS of <resolv.h>; Go keeps to it too


class ResolvConf(msgspec.Struct, frozen=True, kw_only=True):
    """What a resolv.conf says. ``timeout`` is seconds for each try, as the stub resolver counts it."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: int = 5
    attempts: int = 2
    options: tuple[str, ...] = ()

    @property
    def rotates(self) -> bool:
        """Whether the nameservers take turns instead of the first being preferred."""
        return "rotate" in self.options


class HostsLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a hosts file: an address and its number in the file, from 1."""

    address: str
    line: int


def parse_resolv_conf(text: str) -> ResolvConf:
    """Reads a resolv.conf; lines that mean nothing are passed over, as the resolvers do."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    numbers = {"ndots": 1, "timeout": 5, "attempts": 2}
    limits = {"ndots": (0, 15), "timeout": (1, 30), "attempts": (1, 5)}
    for line in text.splitlines():
        if line.startswith(("#", ";")):
            continue
        match line.split():
            case ["nameserver", address, *_] if is_address(address) and len(nameservers) < _MOST_NAMESERVERS:
                nameservers.append(address)
            case ["domain", domain, *_]:
                search = (domain.rstrip("."),)
            case ["search", *domains]:
                search = tuple(domain.rstrip(".") for domain in domains)
            case ["options", *words]:
                options.extend(words)
                for word in words:
                    name, _, value = word.partition(":")
                    if name in numbers and value.isascii() and value.isdigit():
                        low, high = limits[name]
                        numbers[name] = max(low, min(high, int(value)))
    return ResolvConf(
        nameservers=tuple(nameservers),
        search=tuple(domain for domain in search if domain),
        ndots=numbers["ndots"],
        timeout=numbers["timeout"],
        attempts=numbers["attempts"],
        options=tuple(options),
    )


def read_resolv_conf(path: Path = RESOLV_CONF) -> tuple[ResolvConf, str | None]:
    """Reads the file; the second value says why no nameserver could be taken from it, or is None.

    Without ``search`` and ``domain`` the search list is the domain of this host's name, as for the resolvers.
    """
    text, problem = _read(path)
    configuration = parse_resolv_conf(text)
    if problem is None and not configuration.nameservers:
        problem = f"{path} is empty" if not text.strip() else f"{path} names no nameserver"
    if not configuration.search and problem is None:
        domain = socket.gethostname().partition(".")[2]
        if domain:
            configuration = msgspec.structs.replace(configuration, search=(domain,))
    return configuration, problem


def parse_hosts(text: str, host: str) -> tuple[HostsLine, ...]:
    """The lines of a hosts file that name ``host``, in order."""
    wanted = host.lower().rstrip(".")
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if len(words) < 2 or not is_address(words[0]):
            continue
        if any(name.lower().rstrip(".") == wanted for name in words[1:]):
            found.append(HostsLine(address=words[0], line=number))
    return tuple(found)


def read_hosts(host: str, path: Path = HOSTS) -> tuple[HostsLine, ...]:
    """The lines of the hosts file that name ``host``; none where the file cannot be read."""
    return parse_hosts(_read(path)[0], host)


def parse_nsswitch(text: str) -> tuple[str, ...]:
    """The words of the last ``hosts:`` line of an nsswitch.conf, actions (``[NOTFOUND=return]``) too."""
    words: tuple[str, ...] = ()
    for line in text.splitlines():
        database, colon, sources = line.partition("#")[0].partition(":")
        if colon and database.strip() == "hosts":
            words = tuple(sources.split())
    return words


def read_nsswitch(path: Path = NSSWITCH_CONF) -> tuple[str, ...]:
    """The sources for host names, in order; ``files dns`` where nothing is said (Go ``net/conf.go``)."""
    return parse_nsswitch(_read(path)[0]) or ("files", "dns")


def candidate_names(host: str, search: tuple[str, ...], ndots: int) -> tuple[str, ...]:
    """The full names that a stub resolver tries for ``host``, in its order (resolv.conf(5), ``ndots``).

    Names have no final dot. A host with a final dot is tried as it stands alone.
    """
    if host.endswith("."):
        return (host.rstrip("."),)
    extended = [f"{host}.{domain}" for domain in search]
    names = [host, *extended] if host.count(".") >= ndots else [*extended, host]
    return tuple(dict.fromkeys(name for name in names if len(name) <= 253))


def is_address(text: str) -> bool:
    """Whether it is an IP literal, an IPv6 one possibly with a scope."""
    literal = text.partition("%")[0]
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, literal)
        except (OSError, ValueError):
            continue
        return True
    return False


def _read(path: Path) -> tuple[str, str | None]:
    """The file's text, or an empty one and the reason."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace"), None
    except FileNotFoundError:
        if path.is_symlink():
            return "", f"{path} is a link to {path.readlink()}, which does not exist"
        return "", f"{path} does not exist"
    except OSError as error:
        return "", f"{path} cannot be read: {error.strerror or error}"
