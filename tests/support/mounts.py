"""Private files and small file systems for one command or one test; the machine's own stay untouched."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import programs

# Arguments: an empty folder, the folders to overlay, "--", pairs of source and target, "--", the command.
# Overlays come first, for each hides what was mounted below its folder before.
_MOUNT_AND_RUN = """
set -e
path=$PATH
PATH=/usr/sbin:/usr/bin:/sbin:/bin
layers=$1; shift
mount -t tmpfs tmpfs "$layers"
while [ "$1" != -- ]; do
    layer=$(mktemp -d "$layers/XXXXXX")
    mkdir "$layer/upper" "$layer/work"
    mount -t overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" overlay "$1"
    shift
done
shift
while [ "$1" != -- ]; do
    if [ ! -e "$2" ]; then
        mkdir -p "$(dirname "$2")"
        if [ -d "$1" ]; then mkdir "$2"; else : > "$2"; fi
    fi
    mount --bind "$1" "$2"
    shift 2
done
shift
PATH=$path
exec "$@"
"""


def hosts_file(names: Mapping[str, str]) -> str:
    """Return the text of a hosts file: localhost, and the given names with their addresses."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    return "\n".join([*lines, *(f"{address} {name}" for name, address in names.items())]) + "\n"


def name_files(
    *, hosts: Mapping[str, str] | str | None = None, resolv_conf: str | None = None
) -> dict[str, str | Path]:
    """Return the private files that give a command its names: by name and address, or as the file's text."""
    files: dict[str, str | Path] = {}
    if hosts is not None:
        files["/etc/hosts"] = hosts if isinstance(hosts, str) else hosts_file(hosts)
    if resolv_conf is not None:
        files["/etc/resolv.conf"] = resolv_conf
    return files


def trust_store_files(*authorities: str) -> dict[str, str | Path]:
    """Return the private file that makes a command trust further authorities (PEM), as on Debian.

    Go programs, openssl and Python read it, unless their environment names another.
    """
    store = Path("/etc/ssl/certs/ca-certificates.crt")
    trusted = store.read_text() if store.exists() else ""
    return {str(store): "".join([trusted, *authorities])}


class PrivateFiles:
    """Puts files and folders in place of the machine's for the commands run through it. Needs root.

    Keys are absolute paths, values the text of the file, or the path of a file or folder to show there. What
    does not exist on the machine is made in an overlay that only the command sees.
    """

    def __init__(self, files: Mapping[str, str | Path]) -> None:
        self._files = dict(files)
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        if self._files:
            self._folder = Path(tempfile.mkdtemp(prefix="private-files-"))
            # Commands may run as another user.
            self._folder.chmod(0o755)
            (self._folder / "layers").mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def command(self, command: Sequence[str | os.PathLike[str]]) -> list[str]:
        """Return the command line that runs a command with the private files in place."""
        parts = [os.fspath(part) for part in command]
        if self._folder is None:
            return parts
        pairs: list[str] = []
        for number, (target, content) in enumerate(self._files.items()):
            source = content if isinstance(content, Path) else self._folder / str(number)
            if isinstance(content, str):
                source.write_text(content)
            # The machine's resolv.conf is often a link to a file that a namespace must not change either.
            pairs += [str(source.resolve()), os.path.realpath(target)]
        overlays = _outermost(
            _existing_ancestor(Path(target)) for target in pairs[1::2] if not Path(target).exists()
        )
        unshare = [programs.path("unshare"), "--mount", "--propagation", "private", "--"]
        # Programs by their whole paths: the command may be given a PATH of its own.
        shell = [programs.path("sh"), "-c", _MOUNT_AND_RUN, "sh"]
        return [*unshare, *shell, str(self._folder / "layers"), *overlays, "--", *pairs, "--", *parts]


def _existing_ancestor(path: Path) -> Path:
    """Return the nearest folder above a path that exists."""
    return next(parent for parent in path.parents if parent.exists())


def _outermost(folders: Iterable[Path]) -> list[str]:
    """Return the folders that are in no other of them."""
    distinct = set(folders)
    return [str(folder) for folder in distinct if not distinct & set(folder.parents)]


@contextmanager
def tmpfs(folder: Path, *, size: str | None = None, inodes: int | None = None) -> Iterator[Path]:
    """Mount an empty tmpfs on a folder.

    It holds at most ``size`` (as mount takes it: ``64k``, ``2m``) and ``inodes``, the folder itself counted.
    The folder is made where missing; unmounted at the end, even while something still uses it. Needs root.
    """
    folder.mkdir(parents=True, exist_ok=True)
    limits = [f"size={size}"] if size is not None else []
    limits += [f"nr_inodes={inodes}"] if inodes is not None else []
    options = ["-o", ",".join(limits)] if limits else []
    subprocess.run([programs.path("mount"), "-t", "tmpfs", *options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run([programs.path("umount"), "--lazy", folder], check=True)


@contextmanager
def ext4(
    folder: Path, *, size: str = "8M", inodes: int | None = None, reserved: int | None = None
) -> Iterator[Path]:
    """Mount an ext4 file system of a given size and number of inodes on a folder.

    ``reserved`` is the percentage of its blocks that only root may have (5 by default).

    It differs from tmpfs in what programs are told when inodes run out, and keeps some inodes and blocks for
    itself. It lives in a file beside the folder. Needs root, mkfs.ext4 and loop devices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = folder.with_name(f"{folder.name}.ext4")
    limits = [] if inodes is None else ["-N", str(inodes)]
    limits += [] if reserved is None else ["-m", str(reserved)]
    subprocess.run(
        [programs.path("mkfs.ext4"), "-q", "-F", *limits, image, size], check=True, capture_output=True
    )
    subprocess.run([programs.path("mount"), "-o", "loop", image, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run([programs.path("umount"), "--lazy", folder], check=True)
        image.unlink()


@contextmanager
def overlay(folder: Path, *, layers: Path) -> Iterator[Path]:
    """Mount an overlay on a folder, with its layers below ``layers``, which lie in memory. Needs root."""
    with tmpfs(layers):
        parts = {name: layers / name for name in ("lower", "diff", "work")}
        for part in (*parts.values(), folder):
            part.mkdir(parents=True)
        options = f"lowerdir={parts['lower']},upperdir={parts['diff']},workdir={parts['work']}"
        subprocess.run(
            [programs.path("mount"), "-t", "overlay", "-o", options, "overlay", folder], check=True
        )
        try:
            yield folder
        finally:
            subprocess.run([programs.path("umount"), "--lazy", folder], check=True)


@contextmanager
def bind(source: Path, target: Path) -> Iterator[Path]:
    """Show one folder at the place of another. Needs root."""
    subprocess.run([programs.path("mount"), "--bind", source, target], check=True)
    try:
        yield target
    finally:
        subprocess.run([programs.path("umount"), "--lazy", target], check=True)


def remount(folder: Path, *, read_only: bool) -> None:
    """Make a mounted file system read-only, or writable again. Needs root."""
    mode = "ro" if read_only else "rw"
    subprocess.run([programs.path("mount"), "-o", f"remount,{mode}", folder], check=True)
