"""What reading a storage has found: numbers, and what has to be looked at once more before it counts.

Plain data, so that it can come from another process.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from regdoctor.facts.storage import MOST_LISTED, LinkKind, LostBlob, Unread

MOST_SUSPECTS: Final = 4 * MOST_LISTED
"""Suspects that are kept for a second look."""


@dataclass(frozen=True)
class SuspectTag:
    """A tag whose link is missing, cannot be used, or leads to no manifest of the repository."""

    repository: str
    tag: str

    @property
    def key(self) -> tuple[str, ...]:
        """What it is about."""
        return (self.repository, "tag", self.tag)


@dataclass(frozen=True)
class SuspectLink:
    """The link of a manifest or another blob that cannot be used, or is missing and needed ``by`` tags."""

    repository: str
    kind: LinkKind
    digest: str
    by: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, ...]:
        """What it is about."""
        return (self.repository, self.kind.value, self.digest)


@dataclass(frozen=True)
class SuspectLoss:
    """A blob that is needed by tags, or by manifests without one, and that was not there."""

    repository: str
    lost: LostBlob
    by: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, ...]:
        """What it is about."""
        return (self.repository, "lost", self.lost.digest)


@dataclass(frozen=True)
class SuspectBytes:
    """A blob that is empty, of another size than a manifest says, or a manifest with another hash."""

    digest: str
    expected_size: int | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What it is about."""
        return (self.digest,)


Suspect = SuspectTag | SuspectLink | SuspectLoss | SuspectBytes


@dataclass
class RepositoryNumbers:
    """What one repository holds. Sizes are bytes; ``size`` is of all blobs that it links."""

    tags: int = 0
    manifests: int = 0
    untagged: int = 0
    """Of the manifests, those that no tag names itself."""
    size: int = 0
    uploads: int = 0
    upload_size: int = 0


@dataclass
class Tally:
    """Numbers, places and suspects, of which so many are kept; the others are counted. Thread-safe."""

    repositories: int = 0
    tags: int = 0
    manifests: int = 0
    unparsed: int = 0
    """Manifests whose references could not be read."""
    untaggable: str | None = None
    """A repository that has manifests and no folder of tags, where there is one: the first by name."""
    unread: list[Unread] = field(default_factory=list)
    unread_seen: int = 0
    suspects: dict[tuple[str, ...], Suspect] = field(default_factory=dict)
    suspects_seen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def add(
        self,
        *,
        repositories: int = 0,
        tags: int = 0,
        manifests: int = 0,
        unparsed: int = 0,
        suspects: int = 0,
    ) -> None:
        """Adds to the numbers; ``suspects`` are further ones that nobody kept."""
        with self._lock:
            self.suspects_seen += suspects
            self.repositories += repositories
            self.tags += tags
            self.manifests += manifests
            self.unparsed += unparsed

    def add_untaggable(self, name: str) -> None:
        """Notes a repository that has manifests and no folder of tags."""
        with self._lock:
            self.untaggable = name if self.untaggable is None else min(name, self.untaggable)

    def add_unread(self, entries: Sequence[Unread], seen: int | None = None) -> None:
        """Notes places that were not looked at.

        :param seen: how many there were, where they are more than the entries.
        """
        with self._lock:
            self.unread_seen += len(entries) if seen is None else seen
            self.unread.extend(entries[: MOST_LISTED - len(self.unread)])

    def suspect(self, suspect: Suspect) -> None:
        """Notes what is to be looked at once more, once."""
        with self._lock:
            if suspect.key not in self.suspects:
                self.suspects_seen += 1
                if len(self.suspects) < MOST_SUSPECTS:
                    self.suspects[suspect.key] = suspect

    def merge(self, other: Tally) -> None:
        """Adds what was found elsewhere."""
        self.add(
            repositories=other.repositories,
            tags=other.tags,
            manifests=other.manifests,
            unparsed=other.unparsed,
            suspects=other.suspects_seen - len(other.suspects),
        )
        if other.untaggable is not None:
            self.add_untaggable(other.untaggable)
        self.add_unread(other.unread, other.unread_seen)
        for suspect in other.suspects.values():
            self.suspect(suspect)
