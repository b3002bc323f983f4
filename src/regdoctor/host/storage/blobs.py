"""Which blobs there are: a table of the whole storage in 49 bytes a blob, or single looks where it is not read.

The table of a million blobs takes 49 MB, whatever the number of images: for each 32 bytes of digest (64 for
sha512), 8 of size, 4 for the first repository that links it, one for what was seen of it, and four for what needs
it.
"""

from __future__ import annotations

import mmap
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Protocol

from regdoctor.facts.storage import Unread
from regdoctor.host.storage.files import Kind, kind_of_mode, not_read
from regdoctor.host.storage.shards import Shard
from regdoctor.oci.digest import HEX_LENGTHS

ABSENT: Final = -1
"""There is no such blob."""
UNKNOWN: Final = -2
"""Nobody can say: its folder could not be looked at, or is a symbolic link."""

MOST_LOOKS: Final = 200_000
"""Blobs that :class:`BlobLooks` is made for."""

_PREFIXES: Final = 65_536
Buffer = bytearray | mmap.mmap


class Blobs(Protocol):
    """What is known of the content of a storage. Positions count from 0."""

    @property
    def sizes(self) -> Sequence[int] | memoryview:
        """Bytes of each blob, by position."""

    def find(self, algorithm: str, encoded: str) -> int:
        """The position of a blob, or :data:`ABSENT` or :data:`UNKNOWN`."""

    def marks(self) -> bytearray:
        """One byte, 0, for every position."""

    def path(self, algorithm: str, encoded: str) -> str:
        """The file that holds its bytes."""


def blob_path(folder: str, algorithm: str, encoded: str) -> str:
    """``<blobs>/<algorithm>/<first two digits>/<digits>/data``."""
    return f"{folder}/{algorithm}/{encoded[:2]}/{encoded}/data"


def is_gone(path: str) -> bool | None:
    """Whether a blob's file is not there now; None where nobody can say."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return None
    # The registry answers "not found" for a folder in place of the file.
    return kind_of_mode(status.st_mode) is Kind.FOLDER


@dataclass(frozen=True, slots=True)
class Algorithm:
    """The blobs of one algorithm, sorted by digest."""

    name: str
    first: int
    """The position of the first one."""
    start: int
    """Where its digests begin in the buffer."""
    starts: array[int]
    """Where those begin, counted from the first, whose first two bytes are this number; and the end."""
    unknown_shards: frozenset[int]
    unknown_blobs: frozenset[bytes]

    @property
    def end(self) -> int:
        """The position behind the last one."""
        return self.first + self.starts[-1]

    @property
    def width(self) -> int:
        """Bytes of a digest."""
        return HEX_LENGTHS[self.name] // 2


@dataclass(frozen=True)
class Layout:
    """Where everything is in the buffer of a table; with it another process can use the same buffer."""

    folder: str
    count: int
    digest_bytes: int
    algorithms: tuple[Algorithm, ...]
    unknown_algorithms: frozenset[str]
    """Those of which nothing is known; the empty name stands for all."""

    @property
    def sizes(self) -> int:
        """Where the sizes begin."""
        return -(-self.digest_bytes // 8) * 8

    @property
    def owners(self) -> int:
        """Where the numbers of repositories begin."""
        return self.sizes + 8 * self.count

    @property
    def seen(self) -> int:
        """Where the bytes begin that say what was seen; those that say what needs it follow."""
        return self.owners + 4 * self.count

    @property
    def length(self) -> int:
        """Bytes of the whole buffer, never 0."""
        return self.seen + 5 * self.count + 1


class BlobTable:
    """Every blob of a storage.

    ``used`` and ``kept`` have a byte for each: whether a manifest refers to it, and whether one does that a tag
    leads to, over any number of indexes. ``used_directly`` and ``kept_directly`` say the same of manifests that
    the repository links, and of those that a tag names itself: garbage collection of registry 2.x goes no further.
    ``owners`` has the number of the first repository that links it, 0 for none. Threads and processes that share
    the buffer may set these side by side: each is set to one value only, or whichever comes first.
    """

    def __init__(self, layout: Layout, buffer: Buffer) -> None:
        self.layout = layout
        self._buffer = buffer
        self._algorithms = {each.name: each for each in layout.algorithms}
        view = memoryview(buffer)
        count, seen = layout.count, layout.seen
        self.sizes: memoryview = view[layout.sizes : layout.owners].cast("Q")
        self.owners: memoryview = view[layout.owners : seen].cast("I")
        self.seen: memoryview = view[seen : seen + count]
        self.used, self.kept, self.used_directly, self.kept_directly = (
            view[seen + number * count : seen + (number + 1) * count] for number in range(1, 5)
        )

    def __len__(self) -> int:
        return self.layout.count

    def find(self, algorithm: str, encoded: str) -> int:
        """The position of a blob, or :data:`ABSENT` or :data:`UNKNOWN`.

        :raises ValueError: the digits are not hexadecimal.
        """
        known = self._algorithms.get(algorithm)
        if known is None:
            return UNKNOWN if {algorithm, ""} & self.layout.unknown_algorithms else ABSENT
        wanted = bytes.fromhex(encoded)
        prefix = wanted[0] << 8 | wanted[1]
        low, high = known.starts[prefix], known.starts[prefix + 1]
        buffer, start, width = self._buffer, known.start, len(wanted)
        while low < high:
            middle = (low + high) // 2
            place = start + middle * width
            found = buffer[place : place + width]
            if found < wanted:
                low = middle + 1
            elif found > wanted:
                high = middle
            else:
                return known.first + middle
        return UNKNOWN if wanted[0] in known.unknown_shards or wanted in known.unknown_blobs else ABSENT

    def marks(self) -> bytearray:
        """One byte, 0, for every blob."""
        return bytearray(self.layout.count)

    def path(self, algorithm: str, encoded: str) -> str:
        """The file that holds a blob's bytes."""
        return blob_path(self.layout.folder, algorithm, encoded)

    def shards(self) -> Iterator[tuple[str, int, range]]:
        """Algorithm, first byte and positions of each folder that has blobs, in order."""
        for each in self.layout.algorithms:
            for byte in range(256):
                low, high = each.starts[byte << 8], each.starts[(byte + 1) << 8]
                if low < high:
                    yield each.name, byte, range(each.first + low, each.first + high)

    def encoded(self, algorithm: str, position: int) -> str:
        """The digest at a position of that algorithm, in hexadecimal digits."""
        known = self._algorithms[algorithm]
        start = known.start + (position - known.first) * known.width
        return self._buffer[start : start + known.width].hex()


def make_layout(
    folder: str,
    parts: Sequence[tuple[str, Sequence[Shard], set[int]]],
    unknown_algorithms: frozenset[str],
) -> Layout:
    """The layout of a table of shards, given by algorithm with the numbers of those that were not read."""
    algorithms = []
    first = start = 0
    for name, shards, unknown in parts:
        algorithm = Algorithm(
            name=name,
            first=first,
            start=start,
            starts=_starts(shards, HEX_LENGTHS[name] // 2),
            unknown_shards=frozenset(unknown),
            unknown_blobs=frozenset().union(*(shard.unknown_blobs for shard in shards)),
        )
        algorithms.append(algorithm)
        first += sum(len(shard) for shard in shards)
        start += sum(len(shard.digests) for shard in shards)
    return Layout(folder, first, start, tuple(algorithms), unknown_algorithms)


def fill(layout: Layout, buffer: Buffer, shards: Sequence[Shard]) -> BlobTable:
    """The table of all shards in their order, in a buffer of the layout's length."""
    table = BlobTable(layout, buffer)
    start = position = 0
    for shard in shards:
        buffer[start : start + len(shard.digests)] = shard.digests
        start += len(shard.digests)
        end = position + len(shard)
        table.sizes[position:end] = memoryview(shard.sizes)
        table.seen[position:end] = shard.seen
        position = end
    return table


def _starts(shards: Sequence[Shard], width: int) -> array[int]:
    counts = array("I", bytes(4 * (_PREFIXES + 1)))
    for shard in shards:
        digests = shard.digests
        for place in range(0, len(digests), width):
            counts[(digests[place] << 8 | digests[place + 1]) + 1] += 1
    return array("I", accumulate(counts))


class BlobLooks:
    """Looks at single blobs, for a reader that needs a few of them."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._positions: dict[tuple[str, str], int] = {}
        self.sizes: list[int] = []
        self.unread: list[Unread] = []

    def find(self, algorithm: str, encoded: str) -> int:
        """The position of a blob, or :data:`ABSENT` or :data:`UNKNOWN`."""
        known = self._positions.get((algorithm, encoded))
        if known is None:
            known = self._positions[algorithm, encoded] = self._look(algorithm, encoded)
        return known

    def _look(self, algorithm: str, encoded: str) -> int:
        path = self.path(algorithm, encoded)
        blob = os.path.dirname(path)
        for folder in (self._folder, f"{self._folder}/{algorithm}", os.path.dirname(blob), blob):
            if os.path.islink(folder):
                self.unread.append(not_read(folder, Kind.SYMBOLIC_LINK))
                return UNKNOWN
        try:
            status = os.stat(path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        except OSError as error:
            self.unread.append(not_read(path, error))
            return UNKNOWN
        kind = kind_of_mode(status.st_mode)
        if kind is Kind.FILE and len(self.sizes) < MOST_LOOKS:
            self.sizes.append(status.st_size)
            return len(self.sizes) - 1
        if kind is Kind.FOLDER:
            return ABSENT
        self.unread.append(not_read(path, kind))
        return UNKNOWN

    def marks(self) -> bytearray:
        """One byte, 0, for every blob that will be looked at."""
        return bytearray(MOST_LOOKS)

    def path(self, algorithm: str, encoded: str) -> str:
        """The file that holds a blob's bytes."""
        return blob_path(self._folder, algorithm, encoded)
