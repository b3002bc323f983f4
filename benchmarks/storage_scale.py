"""Measures how long ``regdoctor fsck`` takes, and how much memory, on storages of more and more blobs.

    python benchmarks/storage_scale.py [--blobs N…] [--folder DIR]

The storages are synthetic: every blob is a name of one of a few files, every repository has 1000 layers, one
manifest and one tag. They are made in memory where there is room (/dev/shm), for they have four folders and files
a blob. Memory is that of all processes together at its peak: of resident pages (Pss of /proc/PID/smaps_rollup),
so that what they share counts once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LAYERS = 1000
"""Of one repository."""
_LINKS = 30_000
"""Names that one file gets; ext4 allows 65,000."""


@dataclass(frozen=True)
class Measured:
    """One storage. Seconds and bytes."""

    blobs: int
    repositories: int
    seconds: float
    memory: int


class SyntheticStorage:
    """A healthy storage of very many small blobs (distribution registry/storage/paths.go)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tree = root / "docker/registry/v2"
        self._named = 0
        self._file = root / "0"

    def make(self, blobs: int) -> None:
        """Makes repositories of :data:`LAYERS` layers until there are so many blobs."""
        self.tree.mkdir(parents=True)
        for byte in range(256):
            (self.tree / f"blobs/sha256/{byte:02x}").mkdir(parents=True)
        for number in range(max(1, blobs // (LAYERS + 2))):
            self._repository(f"team{number % 50}/app{number}", number)

    def _repository(self, name: str, number: int) -> None:
        folder = f"{self.tree}/repositories/{name}"
        layers = f"{folder}/_layers/sha256"
        os.makedirs(layers)  # noqa: PTH103 - millions of these: text is faster than Path
        digests = [hashlib.sha256(f"{number} {layer}".encode()).hexdigest() for layer in range(LAYERS)]
        for digest in digests:
            self._blob(digest)
            self._link(f"{layers}/{digest}", digest)
        config = self._content(f'{{"number": {number}}}'.encode())
        self._link(f"{layers}/{config}", config)
        manifest = self._content(
            json.dumps(
                {
                    "schemaVersion": 2,
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": _descriptor("config.v1+json", config, None),
                    "layers": [_descriptor("layer.v1.tar+gzip", each, 1) for each in digests],
                }
            ).encode()
        )
        self._link(f"{folder}/_manifests/revisions/sha256/{manifest}", manifest)
        self._link(f"{folder}/_manifests/tags/1.0/current", manifest)
        self._link(f"{folder}/_manifests/tags/1.0/index/sha256/{manifest}", manifest)

    def _blob(self, digest: str) -> None:
        if not self._named % _LINKS:
            self._file = self.root / f"bytes-{self._named}"
            self._file.write_bytes(b"x")
        self._named += 1
        folder = f"{self.tree}/blobs/sha256/{digest[:2]}/{digest}"
        os.mkdir(folder)  # noqa: PTH102
        os.link(self._file, f"{folder}/data")

    def _content(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        folder = self.tree / f"blobs/sha256/{digest[:2]}/{digest}"
        folder.mkdir()
        (folder / "data").write_bytes(content)
        return digest

    @staticmethod
    def _link(folder: str, digest: str) -> None:
        os.makedirs(folder)  # noqa: PTH103
        descriptor = os.open(f"{folder}/link", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, f"sha256:{digest}".encode())
        os.close(descriptor)


def _descriptor(kind: str, digest: str, size: int | None) -> dict[str, object]:
    found: dict[str, object] = {
        "mediaType": f"application/vnd.oci.image.{kind}",
        "digest": f"sha256:{digest}",
    }
    return found if size is None else {**found, "size": size}


def measure(root: Path, arguments: tuple[str, ...] = ()) -> tuple[float, int, dict[str, object]]:
    """Runs ``fsck``; returns the seconds that reading took, the peak of memory, and what was read."""
    command = [sys.executable, "-m", "regdoctor", "fsck", str(root), "--format", "json", *arguments]
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(_resident(pid) for pid in _family(process.pid)))
            time.sleep(0.05)
        printed.seek(0)
        content = json.loads(printed.read())["targets"][0]["facts"]["storage-content"]
    return float(content["seconds"]), peak, content


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def room(blobs: int) -> Path | None:
    """A folder in memory that has room for a storage of so many blobs, or None."""
    shared = Path("/dev/shm")
    if not shared.is_dir():
        return None
    seen = os.statvfs(shared)
    enough = seen.f_favail > 5 * blobs and seen.f_bavail * seen.f_frsize > 12_000 * blobs
    return shared if enough else None


def main() -> int:
    """Measures and prints one line a storage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blobs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="where to make them, if not in memory")
    options = parser.parse_args()
    print("| Blobs | Repositories | Reading | Memory at its peak |\n| --- | --- | --- | --- |")
    for blobs in options.blobs:
        folder = Path(tempfile.mkdtemp(prefix="storage-", dir=options.folder or room(blobs)))
        try:
            SyntheticStorage(folder).make(blobs)
            seconds, peak, content = measure(folder)
        finally:
            shutil.rmtree(folder)
        print(
            f"| {content['blobs']:,} | {content['repositories']:,} | {seconds:.1f} s | {peak / 2**20:.0f} MiB |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
