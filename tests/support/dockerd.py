"""The real docker daemon: what it says to its settings, and one that runs without a network of its own."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import programs
from tests.support.mounts import name_files
from tests.support.netns import Namespace, run_privately
from tests.support.processes import Daemon, DaemonError

_READ = "parsed scheme"
"""In its log once its settings are taken, and containerd is looked for."""


def _command(directory: Path, sockets: Path, config: Path, *options: str) -> list[str | Path]:
    return [
        # It mounts on its folder, which is to be gone with it.
        *(programs.path("unshare"), "--mount", "--propagation", "private", "--"),
        *(programs.path("dockerd"), "--config-file", config, "--data-root", directory / "root"),
        *("--exec-root", sockets / "exec", "--pidfile", directory / "pid"),
        *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none"),
        *("--storage-driver=vfs", *options),
    ]


def refusal(directory: Path, config: Path, *options: str) -> str | None:
    """Return the last words of a daemon that stops because of its settings; None where it takes them.

    It has no containerd, so it never serves. Needs root.
    """
    directory.mkdir(parents=True, exist_ok=True)
    socket = f"unix://{directory / 'sock'}"
    daemon = Daemon(
        _command(directory, directory, config, "--containerd", "/nonexistent.sock", "-H", socket, *options),
        log=directory / "log",
        directory=directory,
    )

    def taken() -> bool:
        return _READ in daemon.log()

    daemon.start()
    try:
        daemon.wait_until(taken, "settings taken")
    except DaemonError:
        if daemon.running:
            raise
        return daemon.log().strip().splitlines()[-1]
    finally:
        daemon.stop()
    return None


class Dockerd:
    """A docker daemon that runs while the context is open; everything of it lies in ``directory``. Needs root.

    ``config`` is the text of its daemon.json; ``hosts`` are names and addresses that it alone knows, ``files``
    further private files, ``namespace`` its network.
    """

    def __init__(
        self,
        directory: Path,
        config: str = "{}",
        *,
        options: Sequence[str] = (),
        hosts: Mapping[str, str] | None = None,
        files: Mapping[str, str | Path] | None = None,
        namespace: Namespace | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        # The path of a socket has at most 107 bytes (unix(7)), and those of pytest are long.
        self._sockets = tempfile.TemporaryDirectory(prefix="dockerd-", ignore_cleanup_errors=True)
        self.socket = Path(self._sockets.name) / "docker.sock"
        self.config_path = directory / "daemon.json"
        self.config_path.write_text(config)
        self.daemon = Daemon(
            _command(
                directory, Path(self._sockets.name), self.config_path, "-H", f"unix://{self.socket}", *options
            ),
            log=directory / "log",
            ready=lambda: "API listen on" in self.daemon.log(),
            directory=directory,
            files={**name_files(hosts=hosts), **(files or {})},
            namespace=namespace,
            environment={"PATH": programs.search_path()},
            seconds=30,
        )

    def __enter__(self) -> Dockerd:
        self.daemon.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self.daemon.stop()
        self._sockets.cleanup()

    def log(self) -> str:
        """Return what it has written so far."""
        return self.daemon.log()

    def docker(
        self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run the docker client against it; the exit code is not checked."""
        return run_privately(
            [programs.path("docker"), "--host", f"unix://{self.socket}", *arguments],
            environment={"PATH": programs.search_path(), "HOME": str(self.directory), **(env or {})},
            timeout=timeout,
        )
