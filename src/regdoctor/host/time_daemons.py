"""The programs that keep this host's clock right: which run, what they say, and which servers they ask.

Only a daemon that runs counts as configured: the files of one that does not are nobody's configuration
(every Debian with the package chrony installed names a pool in them).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from regdoctor.facts.clock import NtpReading, Synchronisation, TimeDaemon
from regdoctor.host import processes
from regdoctor.host.processes import Process

ROOT = Path("/")
COMMAND_SECONDS = 2.0
"""The longest that a daemon's own client may take; it talks to this host only."""
_MOST_SERVERS = 16
_FILE_LIMIT = 256 * 1024
_MOST_FILES = 64
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")

CHRONYD, TIMESYNCD, NTPD = "chronyd", "systemd-timesyncd", "ntpd"
_BY_PROCESS_NAME = {"chronyd": CHRONYD, "systemd-timesyn": TIMESYNCD, "ntpd": NTPD}
_UNITS = ("chrony", "chronyd", "systemd-timesyncd", "ntp", "ntpd", "ntpsec", "openntpd")

_CHRONY_FILES = ("/etc/chrony/chrony.conf", "/etc/chrony.conf")
_NTP_FILES = ("/etc/ntpsec/ntp.conf", "/etc/ntp.conf", "/etc/openntpd/ntpd.conf", "/etc/ntpd.conf")
_TIMESYNCD_FILES = ("/etc/systemd/timesyncd.conf", "/usr/lib/systemd/timesyncd.conf")
_TIMESYNCD_FOLDERS = tuple(
    f"{folder}/systemd/timesyncd.conf.d" for folder in ("/usr/lib", "/usr/local/lib", "/run", "/etc")
)
_SERVER_LINE = re.compile(r"\s*(?:server|servers|pool|peer)\s+(?:-[46]\s+)?(\S+)(.*)", re.IGNORECASE)
_PORT = re.compile(r"\bport\s+(\d{1,5})\b", re.IGNORECASE)

Run = Callable[[tuple[str, ...]], str | None]
"""Runs a command and returns its standard output, or None where it is missing, fails or takes too long."""


@dataclass(frozen=True)
class NtpConfiguration:
    """The servers that a daemon's files name, and those files."""

    servers: tuple[str, ...]
    files: tuple[str, ...]


def find_time_daemons(
    environment: Mapping[str, str], root: Path = ROOT, run: Run | None = None
) -> tuple[TimeDaemon, ...]:
    """The daemons that run here, or else those that are enabled, may run and do not.

    One in another network than this process serves others from a container or keeps another machine's clock;
    whether it does cannot always be seen, and then it counts.

    :param environment: looked up for ``PATH``.
    :param root: where ``/proc``, ``/etc`` and ``/run`` are found.
    """
    run = run or (lambda command: output_of(command, environment))
    found = processes.running(lambda name: name in _BY_PROCESS_NAME, root / "proc")
    daemons: dict[str, TimeDaemon] = {}
    for process in found:
        if _in_another_network(process, root):
            continue
        daemons.setdefault(_BY_PROCESS_NAME[process.name], _look(process, root, run))
    if not daemons and (root / "run/systemd/system").is_dir():
        return enabled_daemons(run(_systemctl()) or "")
    return tuple(daemons.values())


def _in_another_network(process: Process, root: Path) -> bool:
    """Whether a process has another network namespace than this one (network_namespaces(7))."""
    try:
        own = (root / "proc/self/ns/net").stat().st_ino
        return (process.folder / "ns/net").stat().st_ino != own
    except OSError:
        return False


def named_in_files(root: Path = ROOT) -> NtpConfiguration:
    """The servers named by the files of whatever daemon is installed here, running or not."""
    for read in (_chrony_configuration, _ntp_configuration, _timesyncd_configuration):
        found = read(None, root)
        if found.servers:
            return found
    return NtpConfiguration((), ())


def output_of(command: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    """Standard output of a short command, in English, or None where it fails or takes over two seconds."""
    from regdoctor.host.commands import run_command

    program = shutil.which(command[0], path=":".join([environment.get("PATH", ""), *_SBIN]))
    if program is None:
        return None
    try:
        done = run_command(
            (program, *command[1:]),
            environment={**environment, "LC_ALL": "C", "SYSTEMD_COLORS": "0"},
            timeout=COMMAND_SECONDS,
            limit=_FILE_LIMIT,
        )
    except OSError:
        return None
    return done.stdout.decode("utf-8", "replace") if done.status == 0 else None


def _look(process: Process, root: Path, run: Run) -> TimeDaemon:
    name = _BY_PROCESS_NAME[process.name]
    command: tuple[str, ...]
    tracking = None
    if name == CHRONYD:
        configuration = _chrony_configuration(process, root)
        command = ("chronyc", "-c", "tracking")
        said = run(command) or ""
        state, detail = read_tracking(said)
        tracking = tracked_offset(said)
    elif name == TIMESYNCD:
        configuration = _timesyncd_configuration(process, root)
        command = ("timedatectl", "show", "--property=NTPSynchronized")
        state, detail = read_timedatectl(run(command) or "")
    else:
        configuration = _ntp_configuration(process, root)
        command, state, detail = (), Synchronisation.UNKNOWN, ""
    return TimeDaemon(
        name=name,
        running=True,
        synchronisation=state,
        detail=detail,
        command=" ".join(command) if detail else "",
        files=configuration.files,
        servers=configuration.servers,
        tracking=tracking,
    )


def read_tracking(text: str) -> tuple[Synchronisation, str]:
    """The state of chronyd and its words, from the 14 values of ``chronyc -c tracking`` (chronyc(1))."""
    values = text.strip().split(",")
    if len(values) < 14:
        return Synchronisation.UNKNOWN, ""
    leap, stratum = values[-1], values[2]
    synchronised = leap.lower() != "not synchronised"
    return (
        Synchronisation.SYNCHRONISED if synchronised else Synchronisation.NOT_SYNCHRONISED,
        f"Leap status: {leap}, stratum {stratum}",
    )


def tracked_offset(text: str) -> NtpReading | None:
    """How far chronyd says that this host's clock is off, from ``chronyc -c tracking``; None where it knows not.

    The fifth value is what is still to be corrected ("System time … slow of NTP time"): chronyd turns a big
    offset into hours of slewing where it may not step (chrony.conf(5), makestep), and calls itself synchronised.
    """
    values = text.strip().split(",")
    try:
        name, stratum, offset = values[1], int(values[2]), float(values[4])
        uncertainty = float(values[10]) / 2 + float(values[11])
    except (IndexError, ValueError):
        return None
    if read_tracking(text)[0] is not Synchronisation.SYNCHRONISED or not name:
        return None
    return NtpReading(
        server=name,
        attempts=0,
        local=True,
        offset=offset,
        uncertainty=uncertainty,
        stratum=stratum,
        synchronised=True,
        daemon=CHRONYD,
    )


def read_timedatectl(text: str) -> tuple[Synchronisation, str]:
    """Whether the kernel counts the clock as synchronised, from ``timedatectl show`` (timedatectl(1))."""
    for line in text.splitlines():
        name, _sign, value = line.partition("=")
        if name == "NTPSynchronized" and value in ("yes", "no"):
            state = Synchronisation.SYNCHRONISED if value == "yes" else Synchronisation.NOT_SYNCHRONISED
            return state, f"NTPSynchronized={value}"
    return Synchronisation.UNKNOWN, ""


def _systemctl() -> tuple[str, ...]:
    properties = "--property=Id,UnitFileState,ActiveState,ConditionResult"
    return ("systemctl", "show", properties, *(f"{unit}.service" for unit in _UNITS))


def enabled_daemons(text: str) -> tuple[TimeDaemon, ...]:
    """The daemons that ``systemctl show`` says are enabled: running out of sight, or not running.

    A unit whose conditions were not met (systemd-timesyncd in a container) or never tried does not count.
    """
    daemons: dict[str, TimeDaemon] = {}
    for block in text.split("\n\n"):
        fields = dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
        unit = fields.get("Id", "")
        if fields.get("ActiveState") in ("active", "reloading", "activating"):
            return (TimeDaemon(name=unit.removesuffix(".service"), running=True),)
        stopped = fields.get("ActiveState") in ("inactive", "failed", "deactivating")
        enabled = fields.get("UnitFileState") in ("enabled", "enabled-runtime", "alias", "linked")
        if stopped and enabled and fields.get("ConditionResult") == "yes":
            daemons[unit] = TimeDaemon(
                name=unit.removesuffix(".service"),
                running=False,
                synchronisation=Synchronisation.NOT_RUNNING,
                detail=f"{unit} is enabled and {fields['ActiveState']}",
                command=f"systemctl status {unit}",
            )
    return tuple(daemons.values())


def _chrony_configuration(process: Process | None, root: Path) -> NtpConfiguration:
    """What chrony.conf names (chrony.conf(5)), with ``include``, ``confdir`` and ``sourcedir``."""
    return _follow(_start(process, "-f", _CHRONY_FILES, root), _locator(process, root))


def _ntp_configuration(process: Process | None, root: Path) -> NtpConfiguration:
    """What ntp.conf names (ntp.conf(5), ntpd.conf(5) of OpenNTPD), or ``-p PEER`` of busybox."""
    peer = process.option("-p") if process is not None else None
    if process is not None and peer is not None and not peer.startswith("/"):
        return NtpConfiguration((_with_port(peer, None),), ())
    # OpenNTPD names its file with -f; for the other ntpd that flag is about the drift file.
    other = process.option("-f") if process is not None else None
    flag = "-f" if other is not None and other.endswith(".conf") else "-c"
    return _follow(_start(process, flag, _NTP_FILES, root), _locator(process, root))


def _timesyncd_configuration(process: Process | None, root: Path) -> NtpConfiguration:
    """What timesyncd.conf and its drop-ins name (timesyncd.conf(5)): ``NTP=``, or else ``FallbackNTP=``."""
    locate = _locator(process, root)
    main = next((path for path in _TIMESYNCD_FILES if locate(path).is_file()), None)
    drop_ins: dict[str, Path] = {}
    for folder in _TIMESYNCD_FOLDERS:
        for path in _listing(locate(folder), ".conf"):
            drop_ins[path.name] = path
    files = ([locate(main)] if main else []) + [drop_ins[name] for name in sorted(drop_ins)]
    named: dict[str, list[str]] = {"NTP": [], "FallbackNTP": []}
    for path in files[:_MOST_FILES]:
        for line in _lines(path):
            key, sign, value = line.partition("=")
            if sign and key.strip() in named:
                # An empty value takes back what was said before.
                named[key.strip()] = [*named[key.strip()], *value.split()] if value.strip() else []
    servers = named["NTP"] or named["FallbackNTP"]
    shown = tuple(_shown(path, process, root) for path in files)
    return NtpConfiguration(tuple(_with_port(server, None) for server in servers[:_MOST_SERVERS]), shown)


def _start(process: Process | None, flag: str, usual: Iterable[str], root: Path) -> str | None:
    """The main file: the one on the command line, or the first of the usual ones."""
    given = process.option(flag) if process is not None else None
    if given is not None:
        return given if given.startswith("/") else None
    locate = _locator(process, root)
    return next((path for path in usual if locate(path).is_file()), None)


def _locator(process: Process | None, root: Path) -> Callable[[str], Path]:
    if process is None:
        return lambda path: root / path.lstrip("/")
    return process.file


def _shown(path: Path, process: Process | None, root: Path) -> str:
    for base in (*((process.folder / "root",) if process is not None else ()), root):
        if path.is_relative_to(base):
            return f"/{path.relative_to(base)}"
    return str(path)


def _follow(start: str | None, locate: Callable[[str], Path]) -> NtpConfiguration:
    """Reads a chrony or ntp file and what it includes, each file once."""
    servers: dict[str, None] = {}
    files: dict[str, None] = {}
    pending = [start] if start is not None else []
    while pending and len(files) < _MOST_FILES:
        name = pending.pop(0)
        if name in files:
            continue
        lines = list(_lines(locate(name)))
        files[name] = None
        for line in lines:
            words = line.split()
            if words[0].lower() in ("include", "includefile", "confdir", "sourcedir") and len(words) > 1:
                pending.extend(_included(words[0].lower(), words[1:], locate))
            elif (server := _server_of(line)) is not None:
                servers[server] = None
    return NtpConfiguration(tuple(servers)[:_MOST_SERVERS], tuple(files))


def _included(directive: str, paths: list[str], locate: Callable[[str], Path]) -> Iterator[str]:
    if directive in ("confdir", "sourcedir"):
        suffix = ".conf" if directive == "confdir" else ".sources"
        for folder in paths:
            yield from (f"{folder}/{path.name}" for path in _listing(locate(folder), suffix))
        return
    pattern = Path(paths[0])
    if any(character in pattern.name for character in "*?["):
        try:
            matches = sorted(locate(str(pattern.parent)).glob(pattern.name))
        except (OSError, ValueError):
            return
        yield from (str(pattern.parent / path.name) for path in matches[:_MOST_FILES])
    else:
        yield paths[0]


def _server_of(line: str) -> str | None:
    """The server that a line of chrony.conf or ntp.conf names, with its port, or None."""
    match = _SERVER_LINE.fullmatch(line)
    # 127.127.T.U are reference clocks of ntpd, not addresses.
    if match is None or match[1].startswith("127.127."):
        return None
    port = _PORT.search(match[2])
    return _with_port(match[1], port[1] if port else None)


def _with_port(host: str, port: str | None) -> str:
    return f"[{host}]:{port or 123}" if ":" in host else f"{host}:{port or 123}"


def _lines(path: Path) -> Iterator[str]:
    """The lines that say something; comments of chrony and ntp begin with ``#``, ``;``, ``!`` or ``%``."""
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            text = file.read(_FILE_LIMIT).decode("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        line = line.strip()
        if line and line[0] not in "#;!%":
            # ntp.conf allows a comment behind a directive as well.
            yield re.split(r"\s#", line, maxsplit=1)[0]


def _listing(folder: Path, suffix: str) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == suffix)[:_MOST_FILES]
    except OSError:
        return []
