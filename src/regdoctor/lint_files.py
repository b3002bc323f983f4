"""From the paths that ``lint`` is given to files, their kinds, and the options that lead probes to them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec.structs import replace

from regdoctor.facts.base import FileKind
from regdoctor.host.file_kinds import kind_of_name, recognise
from regdoctor.host.settings_files import needed
from regdoctor.options import Options

OPTION: Final[Mapping[FileKind, str]] = MappingProxyType(
    {
        FileKind.REGISTRY: "config",
        FileKind.NGINX: "proxy_config",
        FileKind.HAPROXY: "proxy_config",
        FileKind.TRAEFIK: "proxy_config",
        FileKind.CADDY: "proxy_config",
        FileKind.DAEMON: "daemon_json",
        FileKind.DOCKER_CONFIG: "authfile",
        FileKind.CONTAINERD: "containerd_config",
        FileKind.HOSTS: "hosts_dir",
        FileKind.REGISTRIES: "registries_conf",
        FileKind.POLICY: "policy",
        FileKind.HTPASSWD: "htpasswd",
        FileKind.KUBERNETES: "pull_secret",
        FileKind.BUILDKIT: "buildkit_config",
    }
)
"""The option of :class:`regdoctor.options.Options` that names a file of each kind to the probe that reads it."""

MOST_FILES: Final = 1000
"""Files that one run judges."""
_MOST_ENTRIES: Final = 20_000
_DEEPEST: Final = 12

_SUFFIXES: Final = frozenset(
    {"", ".json", ".yml", ".yaml", ".toml", ".conf", ".cfg", ".caddy", ".caddyfile", ".htpasswd", ".tmpl"}
)
"""Of files that are looked into when a folder is searched; sites of nginx are often called like their host."""
_SITES: Final = frozenset({"sites-enabled", "sites-available", "conf.d", "http.d"})
_NOT_SEARCHED: Final = frozenset({".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__"})


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is to be judged."""

    path: Path
    kind: FileKind


class Unrecognised(ValueError):  # noqa: N818 - a state of what was given
    """A path cannot be judged; the message says why, and what would help."""


def find_files(paths: Sequence[Path], kind: FileKind | None = None) -> tuple[tuple[Found, ...], int]:
    """The files to judge, each once, in order, and how many of the searched folders' files were left out.

    A file that is named must be recognised, or its kind be given; of a folder those are taken that are
    recognised, and where a kind is given, those of this kind.

    :raises Unrecognised: a path does not exist, cannot be read or is nothing that is known, a folder holds
        nothing known, or there are more than ``MOST_FILES``.
    """
    found: dict[str, Found] = {}
    left_out = 0
    for path in paths:
        if path.is_dir():
            within, others = _search(path, kind)
            left_out += others
        else:
            within = [Found(path=path, kind=kind or _kind_of(path))]
        for each in within:
            found.setdefault(os.path.realpath(each.path), each)
        if len(found) > MOST_FILES:
            raise Unrecognised(f"there are more than {MOST_FILES} files to judge; name fewer folders")
    return tuple(found.values()), left_out


def _kind_of(path: Path) -> FileKind:
    try:
        path.stat()
        kind = recognise(path)
    except PermissionError as error:
        # What it is called tells its probe, which says that it cannot be read.
        kind = kind_of_name(path.absolute(), usual=True)
        if kind is None:
            raise Unrecognised(f"{path} cannot be read: {error.strerror}; {needed(path)}") from None
    except OSError as error:
        raise Unrecognised(f"{path} cannot be read: {error.strerror}") from None
    if kind is None:
        kinds = "|".join(FileKind)
        raise Unrecognised(
            f"{path} is none of the files that are known here; name what it is: --kind {kinds}"
        )
    return kind


def _search(folder: Path, kind: FileKind | None) -> tuple[list[Found], int]:
    """The files below a folder that are recognised, and the number of the others."""
    found: list[Found] = []
    others = 0
    for path in _files_below(folder):
        try:
            recognised = recognise(path, by_name=False) if _is_candidate(path) else None
        except OSError:
            recognised = None
        if recognised is None or kind not in (None, recognised):
            others += 1
        else:
            found.append(Found(path=path, kind=recognised))
    if not found:
        what = f"of the kind {kind}" if kind is not None else "that is known here"
        raise Unrecognised(f"no file below {folder} is one {what}; name the file itself, with --kind")
    return found, others


def _is_candidate(path: Path) -> bool:
    """Whether a file found in a folder may be a configuration file at all."""
    # Path(".htpasswd").suffix is empty.
    return path.suffix.lower() in _SUFFIXES or path.parent.name in _SITES


def _files_below(folder: Path) -> Iterator[Path]:
    """The files below a folder in order of their names; links to folders are not followed."""
    seen = 0
    for at, folders, files in os.walk(folder, followlinks=False):
        here = Path(at)
        folders[:] = sorted(
            name
            for name in folders
            if name not in _NOT_SEARCHED and len(here.relative_to(folder).parts) < _DEEPEST
        )
        for name in sorted(files):
            seen += 1
            if seen > _MOST_ENTRIES:
                raise Unrecognised(
                    f"more than {_MOST_ENTRIES} files lie below {folder}; name a smaller folder"
                )
            yield here / name


def options_for(file: Found, all_files: Sequence[Found], options: Options) -> Options:
    """The options of the run, changed so that the probes of a file's kind read this file."""
    beside = tuple(each.path for each in all_files if each.kind is file.kind and each is not file)
    return replace(options, lint=file.kind, beside=beside, **{OPTION[file.kind]: file.path})
