"""Reads the files of systemd's units as systemd does (systemd.unit(5), systemd.syntax(7))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

UNIT_FOLDERS: Final = (
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)
"""In the order in which systemd looks (systemd.unit(5), "Unit File Load Path")."""
_READ_LIMIT: Final = 256 * 1024
_MOST_DROP_INS: Final = 100


def unit_file(root: Path, unit: str) -> Path | None:
    """The file of a unit below ``root``, or None where there is no such unit."""
    return next((path for folder in UNIT_FOLDERS if (path := root / folder / unit).is_file()), None)


def unit_files(root: Path, unit: str) -> Iterator[Path]:
    """The unit file, then its drop-ins by name; one in an earlier folder hides its namesakes."""
    main = unit_file(root, unit)
    if main is not None:
        yield main
    drop_ins: dict[str, Path] = {}
    for folder in UNIT_FOLDERS:
        try:
            names = sorted((root / folder / f"{unit}.d").glob("*.conf"))[:_MOST_DROP_INS]
        except OSError:
            continue
        for path in names:
            drop_ins.setdefault(path.name, path)
    yield from (drop_ins[name] for name in sorted(drop_ins))


def service_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The settings of the section ``[Service]``, with continued lines joined (systemd.syntax(7))."""
    section = ""
    text = re.sub(r"\\\n", " ", text_of(path))
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith(("#", ";")):
            name, _sign, value = line.partition("=")
            yield name.strip(), value.strip()


def text_of(path: Path) -> str:
    """The beginning of a file; empty where it is missing or may not be read."""
    try:
        with path.open("rb") as file:
            return file.read(_READ_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""
