"""Hashes one blob's file, and says what is wrong with it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from regdoctor.facts.storage import CorruptBlob
from regdoctor.host.storage.files import open_file, why

CHUNK: Final = 1024 * 1024
"""Bytes that are read at once. From 2 KiB on, hashing lets the other threads run (hashlib)."""
_ATTEMPTS: Final = 2


class Stopped(Exception):  # noqa: N818 - it ends the hashing of a blob, it is not an error
    """Hashing was to stop in the middle of a blob."""


def look_at_bytes(
    path: str,
    digest: str,
    below: str,
    buffer: bytearray | None = None,
    expected_size: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> CorruptBlob | None:
    """Hashes a blob's file; None where its bytes are right, or it has gone, or is just being written.

    :param below: the path as facts show it.
    :param buffer: where to read to, of :data:`CHUNK` bytes.
    :param stop: whether to end before the blob does.
    :raises PermissionError: this user may not read it.
    :raises Stopped: as ``stop`` says.
    """
    algorithm, _, encoded = digest.partition(":")
    for _attempt in range(_ATTEMPTS):
        try:
            descriptor = open_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            before = os.fstat(descriptor)
            seen = _hash(descriptor, algorithm, buffer if buffer is not None else bytearray(CHUNK), stop)
            after = os.fstat(descriptor)
        except PermissionError:
            raise
        except OSError as error:
            return CorruptBlob(
                digest=digest,
                path=below,
                size=before.st_size,
                seen=None,
                problem=why(error),
                modified_at=datetime.fromtimestamp(before.st_mtime, UTC),
                expected_size=expected_size,
            )
        finally:
            os.close(descriptor)
        if seen == encoded or not after.st_nlink:
            return None
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return CorruptBlob(
                digest=digest,
                path=below,
                size=after.st_size,
                seen=f"{algorithm}:{seen}",
                modified_at=datetime.fromtimestamp(after.st_mtime, UTC),
                expected_size=expected_size,
            )
    return None


def _hash(descriptor: int, algorithm: str, buffer: bytearray, stop: Callable[[], bool]) -> str:
    state = hashlib.new(algorithm, usedforsecurity=False)
    view = memoryview(buffer)
    while count := os.readv(descriptor, [buffer]):
        if stop():
            raise Stopped
        state.update(view[:count])
    return state.hexdigest()
