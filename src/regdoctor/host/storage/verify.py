"""Hashes every blob of a storage on all processors, and can go on where an earlier run was ended."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from regdoctor.facts.storage import MOST_LISTED, BlobVerification, CorruptBlob
from regdoctor.host.storage import ResumeError
from regdoctor.host.storage.blobs import BlobTable
from regdoctor.host.storage.crew import Crew
from regdoctor.host.storage.hands import Hashed
from regdoctor.host.storage.shards import CHANGED
from regdoctor.host.storage.tally import Tally
from regdoctor.parallel import side_by_side
from regdoctor.units import size_text

SCHEMA: Final = "regdoctor.fsck-resume/1"
_BATCH: Final = 64
"""Blobs that one thread takes at a time, unless they are large."""
_BATCH_SIZE: Final = 64 * 1024 * 1024
_SAVED_EVERY: Final = 5.0
"""Seconds between two writes of the file to resume from."""
_RESUME_LIMIT: Final = 1024 * 1024


@dataclass
class Resume:
    """What an earlier run has hashed: whole folders of two digits. Written as each is done."""

    path: Path
    tree: str
    begun: float
    """Seconds since the epoch when the first of the runs began: what changed since is hashed again."""
    done: dict[str, list[int]] = field(default_factory=dict)
    corrupt: list[str] = field(default_factory=list)
    """Digests that were found wrong; they are hashed again, for they may have been replaced."""

    @classmethod
    def open(cls, path: Path, tree: Path) -> Resume:
        """Reads the file, or begins one where there is none.

        :raises ResumeError: it cannot be read, is something else, or belongs to another storage.
        """
        try:
            with path.open("rb") as file:
                text = file.read(_RESUME_LIMIT)
        except FileNotFoundError:
            begun = cls(path, os.fspath(tree), time.time())
            begun.save()
            return begun
        except OSError as error:
            raise ResumeError(f"{path} cannot be read: {error.strerror}") from error
        try:
            read = json.loads(text)
            if read["schema"] != SCHEMA:
                raise ValueError(read["schema"])  # noqa: TRY301
            found = cls(
                path,
                str(read["tree"]),
                float(read["begun"]),
                {str(name): [int(byte) for byte in bytes_] for name, bytes_ in read["done"].items()},
                [str(digest) for digest in read["corrupt"]][:MOST_LISTED],
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ResumeError(
                f"{path} was not written by regdoctor fsck --resume; name another file"
            ) from None
        if found.tree != os.fspath(tree):
            raise ResumeError(f"{path} belongs to {found.tree}, and this is {tree}; name another file")
        return found

    def save(self) -> None:
        """Writes the file at once, so that whoever ends the run leaves a whole one.

        :raises ResumeError: it cannot be written.
        """
        written = {
            "schema": SCHEMA,
            "tree": self.tree,
            "begun": self.begun,
            "done": self.done,
            "corrupt": self.corrupt[:MOST_LISTED],
        }
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            unfinished.write_text(json.dumps(written))
            unfinished.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise ResumeError(f"{self.path} cannot be written: {error.strerror}") from error

    def end(self) -> None:
        """Removes the file: everything is hashed, and the next run begins anew."""
        with contextlib.suppress(OSError):
            self.path.unlink()


@dataclass
class _Shard:
    """A folder of two digits: positions still to be hashed, and how many of these are under way or waiting."""

    algorithm: str
    byte: int
    open: int


class _Work:
    """Hands out blobs, and keeps account. Thread-safe."""

    def __init__(self, table: BlobTable, resume: Resume | None) -> None:
        self._table = table
        self._resume = resume
        self._lock = threading.Lock()
        self._batches = self._all_batches()
        self._saved = time.monotonic()
        self.blobs = 0
        self.size = 0
        self.earlier = 0

    def next(self) -> tuple[_Shard, list[int]] | None:
        """The next blobs of one folder, or None where all are handed out."""
        with self._lock:
            return next(self._batches, None)

    def done(self, shard: _Shard, positions: list[int], corrupt: list[str]) -> None:
        """Notes that blobs are hashed."""
        with self._lock:
            shard.open -= len(positions)
            self.blobs += len(positions)
            self.size += sum(self._table.sizes[position] for position in positions)
            if self._resume is None:
                return
            self._resume.corrupt.extend(each for each in corrupt if each not in self._resume.corrupt)
            if not shard.open:
                self._resume.done.setdefault(shard.algorithm, []).append(shard.byte)
            now = time.monotonic()
            if now - self._saved > _SAVED_EVERY:
                self._saved = now
                self._resume.save()

    def _all_batches(self) -> Iterator[tuple[_Shard, list[int]]]:
        table, resume = self._table, self._resume
        again = set(resume.corrupt) if resume is not None else set()
        for algorithm, byte, positions in table.shards():
            wanted: list[int] | range = positions
            if resume is not None and byte in resume.done.get(algorithm, ()):
                wanted = [
                    position
                    for position in positions
                    if table.seen[position] & CHANGED
                    or (again and f"{algorithm}:{table.encoded(algorithm, position)}" in again)
                ]
                self.earlier += len(positions) - len(wanted)
            shard = _Shard(algorithm, byte, len(wanted))
            batch: list[int] = []
            size = 0
            for position in wanted:
                batch.append(position)
                size += table.sizes[position]
                if len(batch) >= _BATCH or size >= _BATCH_SIZE:
                    yield shard, batch
                    batch, size = [], 0
            if batch:
                yield shard, batch


def verify(
    table: BlobTable,
    crew: Crew,
    tally: Tally,
    *,
    resume: Resume | None,
    stop: Callable[[], bool],
    tell: Callable[[str], None],
) -> tuple[BlobVerification, list[CorruptBlob]]:
    """Hashes every blob, and gives those whose bytes are wrong. What cannot be read is added to the tally.

    :raises ResumeError: the file to resume from cannot be written any more.
    """
    work = _Work(table, resume)
    began = time.monotonic()
    total = sum(table.sizes)
    lock = threading.Lock()
    corrupt: list[CorruptBlob] = []

    def run(_number: int) -> bool:
        while not stop() and (batch := work.next()) is not None:
            shard, positions = batch
            hashed: Hashed = crew.do("hash", shard.algorithm, positions)
            tally.add_unread(hashed.unread, hashed.unread_seen)
            with lock:
                corrupt.extend(hashed.corrupt)
            if not hashed.complete:
                return False
            work.done(shard, positions, [each.digest for each in hashed.corrupt])
            tell(progress(work.blobs + work.earlier, len(table), work.size, total, time.monotonic() - began))
        return not stop()

    complete = all(side_by_side(run, range(crew.size), workers=crew.size))
    if resume is not None:
        if complete:
            resume.end()
        else:
            resume.save()
    verification = BlobVerification(
        blobs=work.blobs,
        size=work.size,
        seconds=round(time.monotonic() - began, 3),
        workers=crew.size,
        complete=complete,
        earlier=work.earlier,
    )
    return verification, corrupt


def progress(blobs: int, all_blobs: int, size: int, total: int, seconds: float) -> str:
    """``1,200 of 20,000 blobs, 12.3 of 310.0 GiB, 1.2 GiB/s, 4 min left``."""
    rate = size / seconds if seconds > 0 else 0.0
    left = f", {_time((total - size) / rate)} left" if rate and total > size else ""
    return f"{blobs:,} of {all_blobs:,} blobs, {size_text(size)} of {size_text(total)}, {size_text(rate)}/s{left}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
