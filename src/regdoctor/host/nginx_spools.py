"""Where nginx spools the bodies of uploads (ngx_http_core_module, ``client_body_temp_path``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from regdoctor.facts.base import FileKind
from regdoctor.facts.proxyconf import ProxyConfig
from regdoctor.host.processes import PROC, Identity, Process, running
from regdoctor.host.proxyconf import Unreadable, read

_MASTER: Final = "nginx: master process"
_BUILT_WITH: Final = re.compile(rb"--(prefix|conf-path|http-client-body-temp-path)=([^\s\0']{1,500})")
"""What ``nginx -V`` prints stands in the program as text."""
_LARGEST_PROGRAM: Final = 64 * 1024 * 1024
_DEFAULTS: Final = {
    "prefix": "/usr/local/nginx",
    "conf-path": "conf/nginx.conf",
    "http-client-body-temp-path": "client_body_temp",
}
_MOST_MASTERS: Final = 20


@dataclass(frozen=True)
class SpoolFolder:
    """A folder for bodies, as an nginx that runs here has it."""

    path: str
    look: Path
    """The folder as this process may look at it."""
    named_by: str
    master: Process
    writer: Identity | None
    """As whom its workers write; None where that is not to be seen."""
    container: bool = False
    """Whether it has another root folder than this process."""
    foreign_ids: bool = False
    """Whether it has user ids of its own (user_namespaces(7))."""


def spool_folders(config: ProxyConfig | None, port: int | None, proc: Path = PROC) -> tuple[SpoolFolder, ...]:
    """The folders of each nginx on this host that was started with the configuration, or listens on a port.

    One that passes uploads on without spooling them has none.

    :param config: a configuration that the caller names; decides alone where it is given.
    """
    found: dict[tuple[int, str], SpoolFolder] = {}
    masters = [
        each for each in running(lambda name: name == "nginx", proc) if _title(each).startswith(_MASTER)
    ]
    for master in masters[:_MOST_MASTERS]:
        for folder in _folders(_Nginx(master, proc), config, port):
            found.setdefault((master.pid, folder.path), folder)
    return tuple(found.values())


def _title(process: Process) -> str:
    return " ".join(process.command)


class _Nginx:
    """One nginx that runs here."""

    def __init__(self, master: Process, proc: Path) -> None:
        self.master = master
        self._proc = proc
        self._words = _title(master).removeprefix(_MASTER).split()
        self._built = dict(_DEFAULTS)
        self._built.update(_built_with(master.folder / "exe"))

    @property
    def prefix(self) -> str:
        """The folder that relative paths belong to (``-p``)."""
        return str(self._cwd / (self._option("-p") or self._built["prefix"]))

    @property
    def _cwd(self) -> Path:
        try:
            return (self.master.folder / "cwd").readlink()
        except OSError:
            return Path("/")

    @property
    def config(self) -> Path:
        """Its main file, as this process may look at it (``-c``)."""
        named = self._option("-c") or self._built["conf-path"]
        return self.master.file(str(Path(self.prefix, named)))

    @property
    def default_folder(self) -> str:
        """Where bodies are spooled unless the configuration says otherwise."""
        return self._built["http-client-body-temp-path"]

    def _option(self, flag: str) -> str | None:
        position = self._words.index(flag) + 1 if flag in self._words else len(self._words)
        return self._words[position] if position < len(self._words) else None

    def differs(self, what: str) -> bool:
        """Whether its root or one of its namespaces is another than that of this process."""
        mine, its = self._proc / "self" / what, self.master.folder / what
        return _same(its, its) and not _same(its, mine)

    def writer(self) -> Identity | None:
        """As whom its workers write."""
        for worker in running(lambda name: name == "nginx", self._proc):
            if _title(worker).startswith("nginx: worker process") and _parent(worker) == self.master.pid:
                return worker.identity()
        return None


def _folders(nginx: _Nginx, config: ProxyConfig | None, port: int | None) -> Iterator[SpoolFolder]:
    main = nginx.config
    if config is not None:
        if not any(_same(main, Path(each)) for each in (config.path, *config.files)):
            return
        routes = config.routes
    else:
        try:
            routes = read(main, FileKind.NGINX).routes
        except Unreadable:
            return
        routes = tuple(each for each in routes if any(listener.port == port for listener in each.listeners))
    for route in routes:
        buffering = route.buffering
        if buffering is None:
            continue
        version = buffering.http_version
        # With HTTP/1.0 towards the registry, chunked bodies are spooled whatever the setting.
        if not buffering.spools and not (version is not None and version.value == "1.0"):
            continue
        setting = route.temporary_folder
        named = setting.value.split()[0] if setting is not None and setting.value else nginx.default_folder
        path = str(Path(nginx.prefix, named))
        yield SpoolFolder(
            path=path,
            look=nginx.master.file(path),
            named_by=setting.place.removeprefix(f"{nginx.master.folder}/root")
            if setting is not None and setting.place
            else "nginx's default",
            master=nginx.master,
            writer=nginx.writer(),
            container=nginx.differs("root"),
            foreign_ids=nginx.differs("ns/user"),
        )


def _built_with(program: Path) -> Iterator[tuple[str, str]]:
    """What of its folders a program was built with (``nginx -V``)."""
    try:
        with program.open("rb") as file:
            content = file.read(_LARGEST_PROGRAM)
    except OSError:
        return
    for match in _BUILT_WITH.finditer(content):
        yield match[1].decode(), match[2].decode("utf-8", "replace")


def _parent(process: Process) -> int | None:
    try:
        with (process.folder / "stat").open("rb") as file:
            return int(file.read(4096).rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
