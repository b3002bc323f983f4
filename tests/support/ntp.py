"""Time servers: one whose time is wrong by as much as a test wants, and the real chronyd."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import ports, programs
from tests.support.netns import Namespace
from tests.support.processes import Daemon

# Seconds from 1900, where NTP counts from, to 1970 (RFC 5905, section 6).
_EPOCH_DISTANCE = 2_208_988_800


@dataclass(frozen=True)
class NtpBehaviour:
    """How the time server answers (RFC 5905, section 7.3). Times are in seconds."""

    offset: float = 0
    """Its time minus the true time."""
    stratum: int = 2
    leap: int = 0
    """Leap indicator; 3 says that the clock is not synchronised."""
    reference: bytes = b"\x7f\x00\x00\x01"
    """Reference identifier: with stratum 0 the kiss code, such as ``RATE``."""
    silent: bool = False
    delay: float = 0
    """Wait between receiving and answering; told truthfully in the time stamps."""


class NtpServer:
    """An SNTP responder on a UDP port, in a thread, while the context is open.

    ``behaviour`` may be replaced at any time; ``queries`` counts what it received.
    """

    def __init__(
        self,
        *,
        offset: float = 0,
        behaviour: NtpBehaviour | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        namespace: Namespace | None = None,
    ) -> None:
        self.behaviour = behaviour or NtpBehaviour(offset=offset)
        self.host = host
        self.queries = 0

        def bind() -> socket.socket:
            bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            bound.bind((host, port))
            return bound

        self._socket = bind() if namespace is None else namespace.call(bind)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Wakes recvfrom, which closing alone does not.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    @property
    def address(self) -> str:
        """``host:port`` as an option takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _serve(self) -> None:
        while True:
            try:
                query, client = self._socket.recvfrom(1024)
            except OSError:
                return
            received = time.time()
            if not client:
                return
            self.queries += 1
            # Mode 3 is a client's; anything else is not for a server to answer.
            if self.behaviour.silent or len(query) < 48 or query[0] & 0x07 != 3:
                continue
            if self.behaviour.delay:
                time.sleep(self.behaviour.delay)
            self._socket.sendto(self._reply(query, received), client)

    def _reply(self, query: bytes, received: float) -> bytes:
        behaviour = self.behaviour
        version = query[0] >> 3 & 0x07
        header = struct.pack(
            "!BBbbII4s",
            behaviour.leap << 6 | version << 3 | 4,
            behaviour.stratum,
            6,  # poll interval, log2 seconds
            -20,  # precision, log2 seconds
            0x10,  # root delay and dispersion, 16.16 fixed point: 0.2 ms
            0x10,
            behaviour.reference,
        )
        origin = query[40:48]
        now = time.time()
        stamps = [now - 16, None, received, now]
        encoded = [origin if stamp is None else _timestamp(stamp + behaviour.offset) for stamp in stamps]
        return header + b"".join(encoded)


def _timestamp(seconds: float) -> bytes:
    """Return a time as 32 bits of seconds in the era and 32 bits of fraction (RFC 5905, section 6)."""
    fixed = int((seconds + _EPOCH_DISTANCE) * 2**32)
    return struct.pack("!Q", fixed & (2**64 - 1))


class Chronyd:
    """The real chronyd serving this machine's time, without touching the clock (option -x).

    ``synchronised=False`` makes it answer, or keep silent, as a server does that has no source itself.
    """

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        synchronised: bool = True,
        namespace: Namespace | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        # It refuses to keep its files in a folder that others may write to.
        directory.chmod(0o700)
        self.host = host
        self.port = port if port is not None else ports.free_port()
        config = directory / "chrony.conf"
        lines = [
            f"port {self.port}",
            f"bindaddress {host}",
            "allow all",
            "cmdport 0",
            f"bindcmdaddress {directory / 'chronyd.sock'}",
            f"pidfile {directory / 'chronyd.pid'}",
            *(["local stratum 5"] if synchronised else []),
        ]
        config.write_text("\n".join(lines) + "\n")
        # It wants to start as root and to become another account, which its folder does not belong to.
        user = ["-u", "root"] if os.geteuid() == 0 else ["-U"]
        self.daemon = Daemon(
            [programs.path("chronyd"), "-d", "-x", *user, "-f", config],
            log=directory / "chronyd.log",
            ready=self._listens,
            namespace=namespace,
        )
        self._namespace = namespace

    def _listens(self) -> bool:
        """Return whether its UDP port is taken: all that can be seen of a server that may be silent."""

        def attempt() -> bool:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
                try:
                    trial.bind((self.host, self.port))
                except OSError:
                    return True
            return False

        return attempt() if self._namespace is None else self._namespace.call(attempt)

    def __enter__(self) -> Self:
        self.daemon.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.daemon.stop()

    @property
    def address(self) -> str:
        """``host:port`` as an option takes it."""
        return f"{self.host}:{self.port}"

    def log(self) -> str:
        """Return the log so far."""
        return self.daemon.log()
