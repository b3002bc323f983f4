"""Free ports and addresses on loopback, and waiting for a server without a fixed sleep."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.netns import Namespace

_POLL_SECONDS = 0.005


def _ephemeral_start() -> int:
    """Return the first port that the kernel gives to outgoing connections."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32768


def _can_bind(port: int) -> bool:
    """Return whether TCP and UDP are free on the port, on every address of either family."""
    with ExitStack() as stack:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            trial = stack.enter_context(socket.socket(socket.AF_INET6, kind))
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            try:
                trial.bind(("::", port))
            except OSError:
                return False
    return True


def free_port() -> int:
    """Return a port that nothing uses on any address, for a server that is started at once.

    Drawn at random from below the range of outgoing connections, so that neither a connection nor a test that
    runs side by side is likely to take it in between.
    """
    end = max(_ephemeral_start(), 12000)
    for _ in range(200):
        port = random.randrange(max(1025, end - 20000), end)
        if _can_bind(port):
            return port
    raise RuntimeError("no free port found")


def free_loopback_address(port: int) -> str:
    """Return a random address of 127.0.0.0/8 on which a port is free: for services whose port is fixed."""
    for _ in range(200):
        address = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        with ExitStack() as stack:
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    stack.enter_context(socket.socket(socket.AF_INET, kind)).bind((address, port))
            except OSError:
                continue
            return address
    raise RuntimeError(f"no loopback address with port {port} free")


def accepts(host: str, port: int, *, namespace: Namespace | None = None) -> bool:
    """Return whether a TCP connection to the address is accepted now."""

    def attempt() -> bool:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            return False
        return True

    return attempt() if namespace is None else namespace.call(attempt)


def wait_until(
    condition: Callable[[], bool],
    what: str,
    *,
    seconds: float = 10,
    pause: Callable[[], object] = lambda: time.sleep(_POLL_SECONDS),
) -> None:
    """Ask until a condition holds; raises TimeoutError naming ``what`` once the time is over.

    ``pause`` is called between two questions; it may raise to give up early.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        pause()


def wait_for_port(host: str, port: int, *, namespace: Namespace | None = None, seconds: float = 10) -> None:
    """Wait until a TCP port accepts; raises TimeoutError."""
    wait_until(lambda: accepts(host, port, namespace=namespace), f"{host}:{port} accepts", seconds=seconds)
