"""Recognises a registry's storage by any path in or around it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_SUFFIX = ("docker", "registry", "v2")
"""What the driver puts below its root folder (distribution ``registry/storage/paths.go``)."""


@dataclass(frozen=True)
class Tree:
    """The storage of one registry."""

    root: Path
    """What ``rootdirectory`` names."""
    scope: str | None = None
    """The folder below ``repositories`` that was asked for; None for everything."""

    @property
    def path(self) -> Path:
        """``<root>/docker/registry/v2``."""
        return self.root.joinpath(*_SUFFIX)

    @property
    def blobs(self) -> str:
        """The folder of all content."""
        return str(self.path / "blobs")

    @property
    def repositories(self) -> str:
        """The folder of all repositories."""
        return str(self.path / "repositories")

    @property
    def is_cache(self) -> bool:
        """Whether a pull-through cache keeps its schedule here (distribution ``registry/proxy/scheduler``)."""
        return (self.root / "scheduler-state.json").exists()

    @property
    def has_database(self) -> bool:
        """Whether GitLab's registry keeps its metadata in a database and says so by a lock file."""
        return (self.path.parent / "lockfiles" / "database-in-use").exists()


def find_tree(path: Path) -> Tree | None:
    """The storage that a path leads to, or None where there is none.

    The path may be the root folder, one of the folders down to ``docker/registry/v2``, or anything below. What
    lies inside of one repository, or of a folder of repositories, names these alone.
    """
    try:
        real = _resolved(path)
        if not real.is_dir():
            return None
    except (OSError, ValueError):
        return None
    for depth in range(len(_SUFFIX) + 1):
        above, below = _SUFFIX[:depth], _SUFFIX[depth:]
        if real.parts[len(real.parts) - depth :] == above and _is_tree(real.joinpath(*below)):
            return Tree(root=real.parents[depth - 1] if depth else real)
    for parent in real.parents:
        if parent.parts[-3:] == _SUFFIX and _is_tree(parent):
            return Tree(root=parent.parents[2], scope=_scope(real.relative_to(parent).parts))
    return None


def _resolved(path: Path) -> Path:
    """The path without symbolic links; one through ``/proc/<pid>/root`` stays in that process's tree."""
    absolute = path.absolute()
    if re.fullmatch(r"/proc/[^/]+/root", "/".join(absolute.parts[:4])[1:]):
        return Path(os.path.normpath(absolute))
    return Path(os.path.realpath(absolute))


def _is_tree(folder: Path) -> bool:
    return any(os.path.lexists(folder / name) for name in ("repositories", "blobs"))


def _scope(parts: tuple[str, ...]) -> str | None:
    """The repository, or folder of repositories, that a path below ``v2`` lies in."""
    if parts[0] != "repositories":
        return None
    name = []
    for part in parts[1:]:
        if part.startswith("_"):
            break
        name.append(part)
    return "/".join(name) or None
