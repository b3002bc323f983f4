"""Name resolution: as the clients of this host do it, and every nameserver asked by itself.

:func:`resolve` uses ``getaddrinfo``, which is what docker, containerd and podman follow (the Go resolver
reads the same files in the same order). dnspython is imported only where single nameservers are asked.
"""

from __future__ import annotations

import socket
import threading
import time

import msgspec

from regdoctor.facts.base import Failure, FailureKind
from regdoctor.net.failures import Step, failure_of, make_failure


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one name: IP literals in the resolver's order, or a failure; seconds of wall time."""

    literal: bool
    addresses: tuple[str, ...]
    seconds: float
    failure: Failure | None = None


def numeric_address(host: str) -> str | None:
    """The IP literal that ``host`` is, in usual spelling, or None where it is a name.

    Whatever ``getaddrinfo`` takes as numeric counts: a scope (``fe80::1%eth0``), and ``127.1`` too.
    """
    try:
        entries = socket.getaddrinfo(
            host.encode("ascii"), None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except (OSError, UnicodeError, ValueError):
        return None
    return str(entries[0][4][0])


def resolve(host: str, timeout: float) -> Resolution:
    """Resolves a name with ``getaddrinfo``, all addresses of both families.

    ``getaddrinfo`` cannot be interrupted; it runs in a daemon thread that is left behind after ``timeout``
    seconds.

    :param host: a name in A-label form, or an IP literal without brackets.
    """
    literal = numeric_address(host)
    if literal is not None:
        return Resolution(literal=True, addresses=(literal,), seconds=0.0)
    started = time.monotonic()
    outcome: list[tuple[str, ...] | Exception] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            # As bytes, so that Python's own IDNA codec (RFC 3490, slow to import) stays out of it.
            entries = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
            outcome.append(tuple(dict.fromkeys(str(entry[4][0]) for entry in entries)))
        except (OSError, ValueError) as error:
            outcome.append(error)
        done.set()

    threading.Thread(target=look_up, name=f"getaddrinfo {host}", daemon=True).start()
    done.wait(timeout)
    seconds = time.monotonic() - started
    if not outcome:
        failure = make_failure(
            FailureKind.RESOLVER_TIMEOUT,
            message=f"the resolver did not answer for {host} within {timeout:g} s",
        )
        return Resolution(literal=False, addresses=(), seconds=seconds, failure=failure)
    result = outcome[0]
    if isinstance(result, Exception):
        failure = failure_of(result, step=Step.RESOLVE, where=host)
        return Resolution(literal=False, addresses=(), seconds=seconds, failure=failure)
    return Resolution(literal=False, addresses=result, seconds=seconds)
