"""Lists the folders below ``blobs``: ``<algorithm>/<two digits>/<digits>/data``."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from array import array
from dataclasses import dataclass, field
from typing import Final

from regdoctor.facts.storage import MOST_LISTED, Unread
from regdoctor.host.storage.files import Kind, entries, kind_of, kind_of_mode, not_read, open_folder
from regdoctor.oci.digest import HEX_LENGTHS

RECENT: Final = 1
"""Seen of a blob: it is younger than an hour, so that a push may be about to use it."""
CHANGED: Final = 2
"""Seen of a blob: it was made or changed since the time that the caller asked about."""

_HOUR: Final = 3600
_TWO_DIGITS: Final = re.compile("[0-9a-f]{2}")


@dataclass
class Shard:
    """The blobs of one folder of two digits, sorted by digest."""

    digests: bytes = b""
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    seen: bytes = b""
    empty: list[str] = field(default_factory=list)
    """Digests of those that have no bytes and should have. At most :data:`MOST_LISTED`."""
    unread: list[Unread] = field(default_factory=list)
    """At most :data:`MOST_LISTED`."""
    unread_seen: int = 0
    unknown: bool = False
    """Whether it could not be read to its end."""
    unknown_blobs: set[bytes] = field(default_factory=set)
    """Those that could not be looked at."""

    def __len__(self) -> int:
        return len(self.sizes)

    def add_unread(self, entry: Unread) -> None:
        """Notes a place that was not looked at."""
        self.unread_seen += 1
        if len(self.unread) < MOST_LISTED:
            self.unread.append(entry)


@dataclass
class Shards:
    """Which folders there are below ``blobs``, by algorithm."""

    found: dict[str, list[int]] = field(default_factory=dict)
    not_found: dict[str, set[int]] = field(default_factory=dict)
    """Those that are no folders, or may be there and were not listed."""
    unknown: set[str] = field(default_factory=set)
    """Algorithms of which nothing is known; the empty name stands for all."""
    unread: list[Unread] = field(default_factory=list)


def list_shards(folder: str) -> Shards:
    """The folders of two digits below ``blobs``."""
    shards = Shards()
    failed: list[Unread] = []
    for name, kind in _list(folder, failed):
        if name not in HEX_LENGTHS:
            continue
        if kind is Kind.FOLDER:
            _list_algorithm(f"{folder}/{name}", name, shards)
        else:
            shards.unread.append(not_read(f"{folder}/{name}", kind))
            shards.unknown.add(name)
    if failed:
        shards.unread += failed
        shards.unknown.add("")
    return shards


def _list_algorithm(folder: str, name: str, shards: Shards) -> None:
    numbers = shards.found.setdefault(name, [])
    others = shards.not_found.setdefault(name, set())
    failed: list[Unread] = []
    for entry, kind in _list(folder, failed):
        if not _TWO_DIGITS.fullmatch(entry):
            continue
        if kind is Kind.FOLDER:
            numbers.append(int(entry, 16))
        else:
            shards.unread.append(not_read(f"{folder}/{entry}", kind))
            others.add(int(entry, 16))
    if failed:
        shards.unread += failed
        others |= set(range(256)) - set(numbers)
    numbers.sort()


def _list(path: str, failed: list[Unread]) -> list[tuple[str, Kind]]:
    """Names and kinds in a folder; nothing where it is not there."""
    found: list[tuple[str, Kind]] = []
    try:
        descriptor = open_folder(path)
    except FileNotFoundError:
        return found
    except OSError as error:
        failed.append(not_read(path, error))
        return found
    try:
        found.extend((entry.name, kind_of(entry)) for entry in entries(descriptor))
    except OSError as error:
        failed.append(not_read(path, error))
    finally:
        os.close(descriptor)
    return found


def read_shard(folder: str, algorithm: str, byte: int, now: float, since: float | None) -> Shard:
    """Lists the blobs of one folder, with a look at the size of each.

    :param now: seconds since the epoch, by which :data:`RECENT` is judged.
    :param since: likewise for :data:`CHANGED`; None where nobody asks.
    """
    path = f"{folder}/{algorithm}/{byte:02x}"
    shard = Shard()
    try:
        descriptor = open_folder(path)
    except FileNotFoundError:
        return shard
    except OSError as error:
        shard.add_unread(not_read(path, error))
        shard.unknown = True
        return shard
    found: list[tuple[bytes, int, int]] = []
    try:
        _read(descriptor, path, HEX_LENGTHS[algorithm] // 2, found, shard, now - _HOUR, since)
    except OSError as error:
        shard.add_unread(not_read(path, error))
        shard.unknown = True
    finally:
        os.close(descriptor)
    found.sort()
    shard.digests = b"".join([digest for digest, _size, _seen in found])
    shard.sizes.extend([size for _digest, size, _seen in found])
    shard.seen = bytes([seen for _digest, _size, seen in found])
    empty = hashlib.new(algorithm).digest()
    shard.empty = [
        f"{algorithm}:{digest.hex()}" for digest, size, _seen in found if not size and digest != empty
    ][:MOST_LISTED]
    return shard


def _read(
    folder: int,
    path: str,
    width: int,
    found: list[tuple[bytes, int, int]],
    shard: Shard,
    recent: float,
    since: float | None,
) -> None:
    prefix, look, is_file = path[-2:], os.stat, stat.S_ISREG
    for entry in entries(folder):
        name = entry.name
        try:
            digest = bytes.fromhex(name)
        except ValueError:
            continue
        if len(digest) != width or digest.hex() != name or not name.startswith(prefix):
            continue
        if not entry.is_dir(follow_symlinks=False):
            if entry.is_symlink():
                shard.add_unread(not_read(f"{path}/{name}", Kind.SYMBOLIC_LINK))
                shard.unknown_blobs.add(digest)
            continue
        try:
            status = look(name + "/data", dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError as error:
            shard.add_unread(not_read(f"{path}/{name}/data", error))
            shard.unknown_blobs.add(digest)
            continue
        mode = status.st_mode
        if is_file(mode):
            seen = RECENT if status.st_mtime > recent else 0
            if since is not None and status.st_ctime >= since:
                seen |= CHANGED
            found.append((digest, status.st_size, seen))
        elif (kind := kind_of_mode(mode)) is not Kind.FOLDER:
            shard.add_unread(not_read(f"{path}/{name}/data", kind))
            shard.unknown_blobs.add(digest)
