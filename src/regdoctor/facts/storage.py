r"""Facts about what lies in a registry's storage: links, manifests, blobs. Sizes are bytes, times UTC.

Paths are below :attr:`StorageContent.tree` and show bytes that are no UTF-8 as ``\xNN``. Lists are bounded
(:data:`MOST_LISTED`); each stands beside the number of all that were seen.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from regdoctor.facts.base import Cell, Fact, Table, TableFact
from regdoctor.facts.http import Answer
from regdoctor.units import size_text

MOST_LISTED = 1000
"""Entries that one list of these facts holds."""
MOST_ROWS = 20
"""Repositories that a table for people shows."""


class LinkKind(StrEnum):
    """What a link file is for (distribution ``registry/storage/paths.go``)."""

    TAG = "tag"
    """``_manifests/tags/<tag>/current/link``."""
    REVISION = "revision"
    """``_manifests/revisions/<algorithm>/<hex>/link``."""
    LAYER = "layer"
    """``_layers/<algorithm>/<hex>/link``."""


class LinkFault(StrEnum):
    """What is wrong with a link file."""

    MISSING = "missing"
    EMPTY = "empty"
    MALFORMED = "malformed"
    OTHER_DIGEST = "other-digest"
    """It holds a digest, and not the one of the folder that it lies in."""
    DANGLING = "dangling"
    """It holds the digest of a manifest that the repository does not have."""
    NOT_A_FILE = "not-a-file"


class BrokenLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link file that does not do its work."""

    path: str
    repository: str
    kind: LinkKind
    fault: LinkFault
    name: str
    """The tag, or the digest of the folder."""
    size: int | None = None
    """Null where there is no file."""
    shown: str | None = None
    """What it holds, as far as that looks like a digest or a name."""
    needed_by: tuple[str, ...] = ()
    """Tags, or where there are none digests, of manifests that need it. At most five."""
    has_target: bool | None = None
    """For a dangling tag: whether the manifest's bytes are still in storage."""
    former: str | None = None
    """For a tag: the manifest that it last meant by its history, where that one is still whole."""


class BlobPart(StrEnum):
    """What a blob is to the one that needs it."""

    MANIFEST = "manifest"
    """A revision of a repository."""
    CHILD = "child"
    """A manifest that an index lists."""
    CONFIG = "config"
    LAYER = "layer"


class LostBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A blob that is needed and whose bytes are not in storage."""

    digest: str
    path: str
    """Where they should be."""
    part: BlobPart
    repository: str
    size: int | None = None
    """As the manifest says that needs it."""
    manifest: str | None = None
    """The manifest that needs it; null where the repository's own link does."""
    needed_by: tuple[str, ...] = ()
    """Tags, at most five, of images that cannot be pulled without it."""


class CorruptBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A blob whose bytes are not those of its digest."""

    digest: str
    path: str
    size: int
    seen: str | None
    """The digest of the bytes that are there; null where the disk does not give them (``problem``)."""
    problem: str | None = None
    modified_at: datetime | None = None
    expected_size: int | None = None
    """As a manifest says, where one was read."""
    needed_by: tuple[str, ...] = ()
    """``repository:tag`` of images that need it, at most five."""


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """A place that could not be looked at, or on purpose was not; nothing is said about what lies below it."""

    path: str
    why: str


class Garbage(msgspec.Struct, frozen=True, kw_only=True):
    """What garbage collection would delete, in four parts that have no blob in common. Sizes are bytes.

    Registry 3 follows indexes, 2.x looks no further than at what a manifest itself lists (distribution
    ``registry/storage/garbagecollect.go``).
    """

    blobs: int = 0
    size: int = 0
    """Of blobs that no manifest refers to: every version deletes them."""
    unlinked_blobs: int = 0
    unlinked_size: int = 0
    """Of blobs that only such manifests need that an index lists and the repository does not link: 2.x deletes
    them, 3 does not."""
    untagged_blobs: int = 0
    untagged_size: int = 0
    """Of blobs that only manifests need to which no tag leads: with ``--delete-untagged`` every version deletes
    them."""
    platform_blobs: int = 0
    platform_size: int = 0
    """Of blobs that platforms of tagged indexes need: with ``--delete-untagged`` 2.x deletes them, 3 does not."""


class RepositoryUse(msgspec.Struct, frozen=True, kw_only=True):
    """What one repository holds. Sizes are bytes."""

    repository: str | None
    """Null for blobs that no repository links."""
    tags: int = 0
    manifests: int = 0
    untagged: int = 0
    """Of the manifests, those that no tag names itself: platforms of indexes are among them."""
    size: int = 0
    """Of the blobs that it links; those that others link too are counted in each."""
    uploads: int = 0
    upload_size: int = 0
    """Of uploads in progress and abandoned ones."""
    garbage: Garbage | None = None
    """A blob that several repositories link counts for the first of them. Null where it is not known."""


class BlobVerification(msgspec.Struct, frozen=True, kw_only=True):
    """How far the bytes were hashed."""

    blobs: int
    size: int
    seconds: float
    workers: int
    complete: bool
    earlier: int = 0
    """Blobs that an earlier run has hashed, and that were not hashed again."""


class StorageContent(TableFact, frozen=True, kw_only=True):
    """What lies in a registry's storage, read from its files while the registry may be running.

    What was missing was looked for once more, so that what a push or a deletion changed meanwhile is no entry.
    """

    given: str
    """The path that was asked for."""
    root: str
    """The storage's root folder (``storage.filesystem.rootdirectory``)."""
    tree: str
    """``<root>/docker/registry/v2``."""
    scope: str | None = None
    """The repository (or the folder of repositories) that was read; null for everything."""
    complete: bool
    """Whether everything in the scope was looked at in the time there was; what is in ``unread`` aside."""
    cache: bool = False
    """Whether it is the storage of a pull-through cache, which fetches again what is missing."""
    database: bool = False
    """Whether a database holds the metadata (GitLab), so that links say nothing about what is used."""
    repositories: int = 0
    tags: int = 0
    manifests: int = 0
    blobs: int | None = None
    """Null where the blobs were not counted."""
    size: int | None = None
    links: tuple[BrokenLink, ...] = ()
    links_seen: int = 0
    lost: tuple[LostBlob, ...] = ()
    lost_seen: int = 0
    corrupt: tuple[CorruptBlob, ...] = ()
    corrupt_seen: int = 0
    suspects_beyond: int = 0
    """Further things that seemed wrong at first sight, too many to be looked at again."""
    dangling: tuple[str, ...] = ()
    """Of the repository of one image: some layers that it links and that are not in storage. Garbage collection
    of registry 2.x leaves such links, and as long as no image needs the layer they do no harm."""
    unread: tuple[Unread, ...] = ()
    unread_seen: int = 0
    uses: tuple[RepositoryUse, ...] = ()
    """The repositories: those with most to delete first, then the largest."""
    uses_seen: int = 0
    garbage: Garbage | None = None
    """Of all repositories; null where not everything was read, for what is not seen may be in use."""
    untaggable: str | None = None
    """A repository that has manifests and never had a tag, if any: ``--delete-untagged`` of 2.x stops at it."""
    uploads: int = 0
    upload_size: int = 0
    recent_size: int = 0
    """Of the unused blobs, those that are less than an hour old: a push may be about to use them."""
    verification: BlobVerification | None = None
    seconds: float = 0.0
    """How long reading took, the verification aside."""

    def table(self) -> Table | None:
        """What each repository holds; None where a single image was read."""
        if self.blobs is None or not self.uses:
            return None
        rows = [_Row.of(each) for each in self.uses[:MOST_ROWS]]
        garbage = self.garbage or Garbage()
        total = _Row(
            name=f"{self.repositories:,} in all" if self.uses_seen > len(rows) else "in all",
            tags=self.tags,
            manifests=self.manifests,
            size=self.size or 0,
            unused=garbage.size,
            untagged=garbage.untagged_size,
            uploads=self.uploads,
            upload_size=self.upload_size,
        )
        if self.scope is None and self.uses_seen > 1:
            rows.append(total)
        columns = ["Tags", "Manifests", "Size"]
        columns += ["Unused"] if total.unused else []
        # What a broken tag means counts as untagged, and must not be deleted.
        broken = any(each.kind is LinkKind.TAG for each in self.links)
        columns += ["Untagged"] if total.untagged and not broken else []
        columns += ["Uploads"] if total.uploads else []
        return Table(
            title=f"What the repositories hold{self._hashed()}",
            columns=("Repository", *columns),
            rows=tuple(
                (Cell(text=row.name), *(Cell(text=row.field(column)) for column in columns)) for row in rows
            ),
        )

    def _hashed(self) -> str:
        """How many blobs were hashed, and how fast."""
        done = self.verification
        if done is None:
            return ""
        rate = f", {size_text(done.size / done.seconds)}/s" if done.seconds else ""
        earlier = f", {done.earlier:,} earlier" if done.earlier else ""
        return (
            f"; {done.blobs:,} blobs hashed ({size_text(done.size)} in {done.seconds:.1f} s{rate}){earlier}"
        )


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """A repository as a row of a table."""

    name: str
    tags: int
    manifests: int
    size: int
    unused: int
    untagged: int
    uploads: int
    upload_size: int

    @classmethod
    def of(cls, use: RepositoryUse) -> _Row:
        """The row of one repository."""
        garbage = use.garbage or Garbage()
        return cls(
            name=use.repository if use.repository is not None else "(in none)",
            tags=use.tags,
            manifests=use.manifests,
            size=use.size,
            unused=garbage.size,
            untagged=garbage.untagged_size,
            uploads=use.uploads,
            upload_size=use.upload_size,
        )

    def field(self, column: str) -> str:
        """What stands in a column; nothing for 0."""
        if column == "Uploads":
            return size_text(self.upload_size) if self.uploads else ""
        number = int(getattr(self, column.lower()))
        if not number:
            return ""
        return f"{number:,}" if column in ("Tags", "Manifests") else size_text(number)


class StorageCoverage(Fact, frozen=True, kw_only=True):
    """That all of the storage could be read, so that what was not found is not there."""

    tree: str


class LostBlobAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry says about one blob that is lost, or whose bytes did not come."""

    digest: str
    head: Answer | None
    got: Answer | None
    """The answer to GET, of which at most the first bytes were read."""
    gone_from: str | None = None
    """The file that is missing, where the storage could be looked at."""


class LostBlobAnswers(Fact, frozen=True, kw_only=True):
    """HEAD and GET of blobs of the repository that are lost, or whose bytes did not come. At most eight."""

    answers: tuple[LostBlobAnswer, ...]
