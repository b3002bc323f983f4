"""Runs the real skopeo: a client of the wild, against which servers and faults are checked."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support import programs
from tests.support.mounts import name_files
from tests.support.netns import Namespace, run_privately


def skopeo(
    *arguments: str | Path,
    hosts: Mapping[str, str] | str | None = None,
    resolv_conf: str | None = None,
    ca: Path | None = None,
    env: Mapping[str, str] | None = None,
    files: Mapping[str, str | Path] | None = None,
    in_namespace: Namespace | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run skopeo and return what it printed; the exit code is not checked.

    ``ca`` is the PEM file that it trusts instead of the machine's store. ``hosts``, ``resolv_conf`` and
    ``files`` are private to the run and need root. Its home is empty; ``env`` is added to a bare
    environment.
    """
    with tempfile.TemporaryDirectory(prefix="home-") as home:
        environment = {"PATH": programs.search_path(), "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}
        if ca is not None:
            # Go reads the folder too, where the machine's authorities are.
            environment |= {"SSL_CERT_FILE": str(ca), "SSL_CERT_DIR": home}
        return run_privately(
            [programs.path("skopeo"), *arguments],
            namespace=in_namespace,
            files={**name_files(hosts=hosts, resolv_conf=resolv_conf), **(files or {})},
            environment=environment | dict(env or {}),
            timeout=timeout,
        )
