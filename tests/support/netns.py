"""Network namespaces: hosts of their own for a test, linked by virtual cables, gone when the test ends.

A namespace is held by a file descriptor of this process and has no name in the file system, so that
nothing stays behind, not even when the test process is killed.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from tests.support import ports, programs
from tests.support.mounts import PrivateFiles, name_files

T = TypeVar("T")

# <sched.h>; os.unshare and os.setns exist from Python 3.12 only.
_CLONE_NEWNET = 0x40000000


class _Outcome(Generic[T]):
    """What a function returned or raised in another thread."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._value: T | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error

    def get(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


def _in_thread(function: Callable[[], T]) -> T:
    """Run a function in a thread of its own: a network namespace is a property of the thread."""
    outcome = _Outcome(function)
    thread = threading.Thread(target=outcome.run)
    thread.start()
    thread.join()
    return outcome.get()


def _system_call(name: str, *arguments: int) -> None:
    """Call a libc function that returns -1 and sets errno on failure; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


class Namespace:
    """A network namespace with its loopback up, and nothing else until it is linked.

    Needs root. Commands, daemons (``namespace=`` of the servers in this package) and, by ``call``, sockets of
    this process run in it.
    """

    def __init__(self, name: str = "host") -> None:
        self.name = name
        self._descriptor: int | None = None
        self._links = 0
        self._blocks = 0

    def __enter__(self) -> Self:
        def create() -> int:
            _system_call("unshare", _CLONE_NEWNET)
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        self._descriptor = _in_thread(create)
        try:
            self.run(["ip", "link", "set", "lo", "up"])
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the namespace; the kernel removes it once no process is left in it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def path(self) -> str:
        """The file that stands for the namespace, as nsenter and ip take it."""
        if self._descriptor is None:
            raise RuntimeError(f"namespace {self.name} is not open")
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def command(self, command: Sequence[str | os.PathLike[str]]) -> list[str]:
        """Return the command line that runs a command in the namespace."""
        return [programs.path("nsenter"), f"--net={self.path}", "--", *(os.fspath(part) for part in command)]

    def run(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        check: bool = True,
        resolv_conf: str | None = None,
        hosts: Mapping[str, str] | str | None = None,
        input_text: str | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespace, optionally with a private resolv.conf and hosts file.

        Raises AssertionError with the command's output when ``check`` is set and the exit code is not 0, and
        subprocess.TimeoutExpired after ``timeout`` seconds.
        """
        with PrivateFiles(name_files(hosts=hosts, resolv_conf=resolv_conf)) as private:
            result = subprocess.run(
                self.command(private.command(command)),
                input=input_text,
                stdin=subprocess.DEVNULL if input_text is None else None,
                capture_output=True,
                text=True,
                check=False,
                env=None if environment is None else dict(environment),
                timeout=timeout,
            )
        if check and result.returncode != 0:
            shown = " ".join(os.fspath(part) for part in command)
            raise AssertionError(
                f"in namespace {self.name}: {shown}: exit {result.returncode}\n{result.stdout}{result.stderr}"
            )
        return result

    def popen(self, command: Sequence[str | os.PathLike[str]], **options: object) -> subprocess.Popen[bytes]:
        """Start a command in the namespace; the caller ends it. Options are those of subprocess.Popen."""
        return subprocess.Popen(self.command(command), **options)  # type: ignore[call-overload,no-any-return]

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in a thread inside the namespace and return what it returns.

        A socket made there belongs to the namespace for good and may be used from any thread.
        """
        target = self._descriptor
        if target is None:
            raise RuntimeError(f"namespace {self.name} is not open")

        def enter() -> T:
            _system_call("setns", target, _CLONE_NEWNET)
            return function()

        return _in_thread(enter)

    def nft(self, rules: str) -> None:
        """Load packet filter rules; each rule within braces must end with a semicolon."""
        self.run(["nft", "-f", "-"], input_text=rules)

    def block(self, rule: str, *, hook: str = "input") -> None:
        """Load one packet filter rule, such as ``tcp dport 5000 drop``, in a chain of its own."""
        self._blocks += 1
        chain = f"chain c {{ type filter hook {hook} priority 0; {rule}; }};"
        self.nft(f"table inet block{self._blocks} {{ {chain} }}")

    def link(
        self,
        other: Namespace,
        here: str | Sequence[str] = "10.77.0.1/24",
        there: str | Sequence[str] = "10.77.0.2/24",
        *,
        mtu: int | None = None,
        default_route: bool = False,
    ) -> tuple[str, str]:
        """Join two namespaces by a virtual cable, one interface address or several at each end.

        Addresses have their prefix length (``10.77.0.1/24``, ``fd00:77::1/64``); ``mtu`` in bytes. With
        ``default_route`` this namespace sends everything else to the first address at the other end;
        otherwise neither has a default route. Returns the interface names here and there (eth0, …).
        """
        names = (f"eth{self._links}", f"eth{other._links}")
        peer = ["peer", "name", names[1], "netns", other.path]
        self.run(["ip", "link", "add", names[0], "type", "veth", *peer])
        self._links += 1
        other._links += 1
        ends = ((self, names[0], here), (other, names[1], there))
        for namespace, interface, addresses in ends:
            for address in [addresses] if isinstance(addresses, str) else addresses:
                namespace.add_address(address, interface)
            if mtu is not None:
                namespace.run(["ip", "link", "set", interface, "mtu", str(mtu)])
            namespace.run(["ip", "link", "set", interface, "up"])
        for namespace, interface, _ in ends:
            namespace._wait_for_addresses(interface)
        if default_route:
            gateway = str(ip_interface(there if isinstance(there, str) else there[0]).ip)
            self.run(["ip", "route", "add", "default", "via", gateway])
        return names

    def add_address(self, address: str, interface: str = "lo") -> None:
        """Add an address with its prefix length to an interface."""
        # nodad: an IPv6 address is unusable for a second or two while duplicates are looked for.
        options = ["nodad"] if ip_interface(address).version == 6 else []
        self.run(["ip", "address", "add", address, "dev", interface, *options])

    def _wait_for_addresses(self, interface: str) -> None:
        """Wait until IPv6 addresses are in use, which the kernel sees to some time after the link is up."""
        listing = ["ip", "-6", "-brief", "address", "show", "dev", interface, "scope", "global"]
        for address in self.run(listing).stdout.split()[2:]:
            command = ["ip", "-6", "route", "show", "table", "local", str(ip_interface(address).ip)]
            ports.wait_until(lambda: bool(self.run(command).stdout), f"{address} is in use")  # noqa: B023


@dataclass(frozen=True)
class LinkedHosts:
    """Two namespaces joined by one cable."""

    client: Namespace
    server: Namespace
    client_address: str
    server_address: str


@contextmanager
def linked_hosts(
    client_address: str = "10.77.0.1", server_address: str = "10.77.0.2", *, prefix_length: int = 24
) -> Iterator[LinkedHosts]:
    """Make a client's and a server's namespace with a cable between them.

    Every pair is a world of its own: addresses and ports may be the same in tests that run side by side.
    """
    with Namespace("client") as client, Namespace("server") as server:
        client.link(server, f"{client_address}/{prefix_length}", f"{server_address}/{prefix_length}")
        yield LinkedHosts(client, server, client_address, server_address)


def run_privately(
    command: Sequence[str | os.PathLike[str]],
    *,
    namespace: Namespace | None = None,
    files: Mapping[str, str | Path] | None = None,
    environment: Mapping[str, str] | None = None,
    input_text: str | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a command with private files in their usual places and, where given, in a namespace.

    Raises subprocess.TimeoutExpired after ``timeout`` seconds.
    """
    with PrivateFiles(files or {}) as private:
        line = private.command(command)
        return subprocess.run(
            line if namespace is None else namespace.command(line),
            input=input_text,
            stdin=subprocess.DEVNULL if input_text is None else None,
            capture_output=True,
            text=True,
            check=False,
            env=None if environment is None else dict(environment),
            timeout=timeout,
        )
