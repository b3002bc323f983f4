"""What one process does of the reading: list shards, read repositories, hash blobs.

A process that helps gets its tasks, and sends what came of them, as pickles with their length before them. Only
the process that it was forked from is at the other end.
"""

from __future__ import annotations

import contextlib
import mmap
import pickle
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from regdoctor.facts.storage import MOST_LISTED, CorruptBlob, Unread
from regdoctor.host.disk import uploads_of
from regdoctor.host.storage.blobs import BlobTable
from regdoctor.host.storage.files import not_read, shown
from regdoctor.host.storage.hashing import CHUNK, Stopped, look_at_bytes
from regdoctor.host.storage.repositories import RepositoryReader
from regdoctor.host.storage.shards import Shard, read_shard
from regdoctor.host.storage.tally import RepositoryNumbers, Tally

MARKS = frozenset({"_manifests", "_layers", "_uploads"})
"""Folders that make the folder above them a repository."""
_LENGTH = struct.Struct("!Q")


class Stream(Protocol):
    """A buffered connection to another process."""

    def read(self, size: int, /) -> bytes:
        """That many bytes, or fewer where the other side has ended."""

    def write(self, data: bytes, /) -> int:
        """Takes all of the data."""

    def flush(self) -> None:
        """Sends what was taken."""


@dataclass(frozen=True)
class Job:
    """What to read, and the times that blobs are compared with, in seconds since the epoch."""

    tree: str
    now: float
    since: float | None = None


@dataclass(frozen=True)
class FolderRead:
    """What came of one folder below ``repositories``."""

    repository: str | None
    """Its name, where it is one."""
    below: Sequence[str]
    """The folders in it that may be or hold repositories."""
    tally: Tally
    numbers: RepositoryNumbers | None = None


@dataclass(frozen=True)
class Hashed:
    """What came of hashing some blobs."""

    corrupt: Sequence[CorruptBlob]
    unread: Sequence[Unread]
    unread_seen: int
    complete: bool = True


class Hands:
    """The tasks. Thread-safe once a table is attached.

    :param stop: whether to end with what there is.
    """

    def __init__(self, job: Job, stop: Callable[[], bool] = lambda: False) -> None:
        self._job = job
        self._stop = stop
        self.threads = 1
        """For one large folder."""
        self._table: BlobTable | None = None

    @property
    def table(self) -> BlobTable:
        """The table of all blobs."""
        if self._table is None:
            raise RuntimeError("no table is attached")
        return self._table

    def shard(self, algorithm: str, byte: int) -> Shard:
        """Lists one folder of blobs."""
        if self._stop():
            return Shard(unknown=True)
        return read_shard(f"{self._job.tree}/blobs", algorithm, byte, self._job.now, self._job.since)

    def use(self, table: BlobTable) -> None:
        """Uses a table."""
        self._table = table

    def folder(self, path: str, number: int) -> FolderRead:
        """Reads a folder below ``repositories``, and the repository that it may be.

        :param number: marks the blobs that it is the first to link.
        """
        tally = Tally()
        if self._stop():
            return FolderRead(None, (), tally)
        job = self._job
        reader = RepositoryReader(job.tree, self.table, tally, workers=self.threads, stop=self._stop)
        listing = reader.folders(path)
        name = path[len(f"{job.tree}/repositories/") :]
        below = [f"{path}/{each}" for each in listing.names if not each.startswith("_")]
        if not name or MARKS.isdisjoint(listing.names):
            return FolderRead(None, below, tally)
        numbers = reader.read(name, number)
        if "_uploads" in listing.names:
            for upload in uploads_of(Path(path, "_uploads"), name):
                numbers.uploads += 1
                numbers.upload_size += upload.size
        return FolderRead(name, below, tally, numbers)

    def hash(self, algorithm: str, positions: Sequence[int]) -> Hashed:
        """Hashes blobs by position."""
        buffer = bytearray(CHUNK)
        table, unread_seen = self.table, 0
        corrupt: list[CorruptBlob] = []
        unread: list[Unread] = []
        for position in positions:
            if self._stop():
                return Hashed(corrupt, unread, unread_seen, complete=False)
            encoded = table.encoded(algorithm, position)
            path = table.path(algorithm, encoded)
            try:
                found = look_at_bytes(
                    path,
                    f"{algorithm}:{encoded}",
                    shown(path.removeprefix(f"{self._job.tree}/")),
                    buffer,
                    stop=self._stop,
                )
            except Stopped:
                return Hashed(corrupt, unread, unread_seen, complete=False)
            except OSError as error:
                unread_seen += 1
                if len(unread) < MOST_LISTED:
                    unread.append(not_read(path, error))
            else:
                if found is not None:
                    corrupt.append(found)
        return Hashed(corrupt, unread, unread_seen)


def send(stream: Stream, message: object) -> None:
    """Writes one message.

    :raises OSError: nobody is at the other end.
    """
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: Stream) -> Any:
    """Reads one message.

    :raises EOFError: nobody is at the other end.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)  # noqa: S301 - from our own other half


def serve(stream: Stream, memory: int) -> None:
    """Does what is asked until nobody is at the other end.

    ``begin`` names the job, ``attach`` the layout of the table in the shared memory; everything else is a
    method of :class:`Hands`.
    """
    hands: Hands | None = None
    with contextlib.suppress(EOFError):
        while True:
            task, arguments = receive(stream)
            answer = None
            if task == "begin":
                hands = Hands(*arguments)
            elif hands is None:
                raise ValueError("no job yet")
            elif task == "attach":
                hands.use(BlobTable(arguments[0], mmap.mmap(memory, arguments[0].length)))
            else:
                answer = getattr(hands, task)(*arguments)
            send(stream, answer)
