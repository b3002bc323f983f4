"""Asks programs of this host for their versions."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from typing import Final, NamedTuple

from regdoctor.host.commands import run_command

_VERSION: Final = re.compile(r"\bv?(\d{1,3})\.(\d{1,3})\.\d")
_ADMINISTRATION_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where daemons lie, which is not in every user's PATH."""


class Version(NamedTuple):
    """What a program says of its version."""

    text: str
    major: int
    minor: int


def find_program(name: str, environment: Mapping[str, str]) -> str | None:
    """The path of a program, daemons included; None where it is not installed."""
    search = os.pathsep.join([environment.get("PATH") or os.defpath, *_ADMINISTRATION_FOLDERS])
    return shutil.which(name, path=search)


def installed_version(name: str, environment: Mapping[str, str], timeout: float) -> Version | None:
    """What ``NAME --version`` says within so many seconds, or None where there is no such program."""
    program = find_program(name, environment)
    if program is None:
        return None
    try:
        result = run_command([program, "--version"], environment=environment, timeout=timeout, limit=4096)
    except OSError:
        return None
    return parse_version(result.stdout.decode("utf-8", "replace"))


def parse_version(text: str) -> Version | None:
    """The first ``major.minor.patch`` of a text, or None where there is none."""
    match = _VERSION.search(text)
    return Version(text.strip()[:200], int(match[1]), int(match[2])) if match is not None else None
