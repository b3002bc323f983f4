"""The real containerd, with the Kubernetes plug-in in it, and ctr, which pulls as containerd does."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support import programs
from tests.support.mounts import name_files
from tests.support.netns import run_privately
from tests.support.processes import Daemon

_SERVING = "containerd successfully booted"


class Containerd:
    """A containerd that runs while the context is open; everything of it lies in ``directory``. Needs root.

    ``config`` follows the settings of the paths, so it must not set version, root, state or grpc; ``version``
    is that of the file.
    """

    def __init__(self, directory: Path, config: str = "", *, version: int = 2) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        # The path of a socket has at most 107 bytes (unix(7)), and those of pytest are long.
        self._sockets = tempfile.TemporaryDirectory(prefix="containerd-", ignore_cleanup_errors=True)
        self.socket = Path(self._sockets.name) / "sock"
        self.config_path = directory / "config.toml"
        # What a file imports lies beside it, so nothing else may end in .toml there.
        self.config_path.write_text(
            f"version = {version}\nroot = '{directory / 'root'}'\nstate = '{directory / 'state'}'\n"
            f"[grpc]\naddress = '{self.socket}'\n{config}"
        )
        self.daemon = Daemon(
            [programs.path("containerd"), "--config", self.config_path],
            log=directory / "log",
            ready=lambda: _SERVING in self.daemon.log(),
            directory=directory,
        )

    def __enter__(self) -> Containerd:
        try:
            self.daemon.start()
        except BaseException:
            self._sockets.cleanup()
            raise
        return self

    def __exit__(self, *_details: object) -> None:
        self.daemon.stop()
        self._sockets.cleanup()

    @property
    def kubernetes_config_path(self) -> str | None:
        """The ``config_path`` that the Kubernetes plug-in works with; None where it did not start."""
        found = re.search(
            r"Start cri plugin with config .*? Registry:\{ConfigPath:(.*?) Mirrors:", self.log()
        )
        return found[1] if found is not None else None

    def log(self) -> str:
        """Return what it has written so far."""
        return self.daemon.log()

    def pull(
        self, image: str, hosts_dir: Path, *, hosts: Mapping[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Fetch an image with the folders of registries of ``hosts_dir``; the exit code is not checked."""
        fetch = ("content", "fetch", "--hosts-dir", str(hosts_dir), image)
        return run_privately(
            [programs.path("ctr"), "--address", str(self.socket), *fetch],
            files=name_files(hosts=hosts),
            environment={"PATH": programs.search_path(), "HOME": "/nonexistent", "LANG": "C.UTF-8"},
            timeout=timeout,
        )
