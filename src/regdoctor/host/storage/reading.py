"""Reads a storage, or one image in it, and makes one fact of what was seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from regdoctor.facts.storage import (
    MOST_LISTED,
    BlobVerification,
    BrokenLink,
    CorruptBlob,
    LostBlob,
    StorageContent,
    Unread,
)
from regdoctor.host.storage.blobs import BlobLooks, Blobs, BlobTable, make_layout
from regdoctor.host.storage.crew import SLOW_LOOK, WAITING_THREADS, WORTHWHILE, Crew, Helpers, processors
from regdoctor.host.storage.files import shown
from regdoctor.host.storage.hands import Job
from regdoctor.host.storage.repositories import RepositoryReader, split
from regdoctor.host.storage.root import Tree
from regdoctor.host.storage.second_look import SecondLook
from regdoctor.host.storage.shards import Shard, list_shards
from regdoctor.host.storage.tally import SuspectBytes, SuspectLink, SuspectLoss, SuspectTag, Tally
from regdoctor.host.storage.uses import RepositoryUses, Sums, garbage
from regdoctor.host.storage.verify import Resume, verify
from regdoctor.parallel import side_by_side, spread

SETTLING: Final = 0.2
"""Seconds until a second look: a registry that just writes a link has written it then."""
DEEPEST: Final = 64
"""Levels of folders above a repository; its whole name has 255 characters at most."""
_MOST_HASHED: Final = 1024**3
"""Bytes of suspicious blobs that are hashed for one image."""
_MOST_DANGLING: Final = 8
"""Layers that one image's repository links in vain and that are named."""
_SAMPLED: Final = 64
"""Blobs in the folders that are read first, to learn how fast the disk is."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """How to read a storage.

    ``jobs`` is how many things to do at a time, None for as many as suit disk and processors. ``stop`` says
    whether to end with what there is; ``tell`` receives what is being done, for the status line.
    """

    jobs: int | None = None
    helpers: Helpers = field(default_factory=Helpers)
    verify: bool = False
    resume: Path | None = None
    stop: Callable[[], bool] = lambda: False
    tell: Callable[[str], None] = lambda _message: None


def read_storage(tree: Tree, given: Path, request: Request) -> StorageContent:
    """Reads everything, or the repositories of the tree's scope.

    :raises ResumeError: the file to resume from cannot be used.
    """
    resume = Resume.open(request.resume, tree.path) if request.resume is not None else None
    job = Job(str(tree.path), time.time(), resume.begun if resume is not None else None)
    crew = Crew(job, request.helpers, stop=request.stop)
    return _Everything(tree, given, request, crew, resume).read()


def read_image(
    tree: Tree, given: Path, repository: str, *, tag: str | None, digest: str | None, request: Request
) -> StorageContent | None:
    """Reads what one tag or digest leads to, and nothing else; None where the storage does not have it."""
    began = time.monotonic()
    looks, tally = BlobLooks(tree.blobs), Tally()
    reader = RepositoryReader(str(tree.path), looks, tally, stop=request.stop)
    if not reader.read_image(repository, tag=tag, digest=digest):
        return None
    dangling = reader.dangling(repository, _MOST_DANGLING)
    tally.add_unread(looks.unread)
    conclusion = _Conclusion(tree, looks, tally, request, [repository], most_hashed=_MOST_HASHED)
    return conclusion.content(
        given,
        began=began,
        seconds=time.monotonic() - began,
        scope=repository,
        complete=not request.stop(),
        dangling=dangling,
    )


class _Everything:
    """One reading of a whole storage."""

    def __init__(self, tree: Tree, given: Path, request: Request, crew: Crew, resume: Resume | None) -> None:
        self._tree = tree
        self._given = given
        self._request = request
        self._crew = crew
        self._resume = resume
        self._tally = Tally()
        self._uses = RepositoryUses()
        self._lock = threading.Lock()

    def read(self) -> StorageContent:
        began = time.monotonic()
        request, tree, crew = self._request, self._tree, self._crew
        table, empty = self._table()
        scope = f"/{tree.scope}" if tree.scope else ""
        spread([f"{tree.repositories}{scope}"], self._folder, workers=crew.size)
        complete = not request.stop()
        seconds = time.monotonic() - began
        verification: BlobVerification | None = None
        corrupt: list[CorruptBlob] = []
        if request.verify:
            verification, corrupt = verify(
                table,
                crew,
                self._tally,
                resume=self._resume,
                stop=request.stop,
                tell=request.tell,
            )
            complete = complete and verification.complete
        for digest in empty:
            self._tally.suspect(SuspectBytes(digest))
        conclusion = _Conclusion(tree, table, self._tally, request, self._uses.names)
        for each in corrupt:
            conclusion.add_corrupt(each)
        sums = self._garbage(table, complete=complete)
        return conclusion.content(
            self._given,
            began=began,
            seconds=seconds,
            complete=complete,
            table=table,
            verification=verification,
            uses=self._uses,
            sums=sums,
        )

    def _table(self) -> tuple[BlobTable, list[str]]:
        """The table of all blobs, and digests of those that are empty and should not be."""
        crew, tally = self._crew, self._tally
        listed = list_shards(self._tree.blobs)
        tally.add_unread(listed.unread)
        wanted = [(name, byte) for name, numbers in listed.found.items() for byte in numbers]
        done: dict[tuple[str, int], Shard] = {}
        seen = 0
        began = time.monotonic()
        while len(done) < len(wanted) and seen < _SAMPLED:
            key = wanted[len(done)]
            done[key] = crew.do("shard", *key)
            seen += len(done[key])
        took = time.monotonic() - began
        self._engage(took / seen if seen else 0.0, seen * len(wanted) / max(1, len(done)))
        rest = wanted[len(done) :]

        def read(key: tuple[str, int]) -> Shard:
            shard: Shard = crew.do("shard", *key)
            with self._lock:
                nonlocal seen
                seen += len(shard)
            self._request.tell(f"{seen:,} blobs")
            return shard

        done |= dict(zip(rest, side_by_side(read, rest, workers=crew.size), strict=True))
        parts = []
        for name, numbers in sorted(listed.found.items()):
            shards = [done[name, byte] for byte in numbers]
            unknown = {byte for byte in numbers if done[name, byte].unknown} | listed.not_found[name]
            parts.append((name, shards, unknown))
        layout = make_layout(self._tree.blobs, parts, frozenset(listed.unknown))
        ordered = [shard for _name, shards, _unknown in parts for shard in shards]
        for shard in ordered:
            tally.add_unread(shard.unread, shard.unread_seen)
        empty = [digest for shard in ordered for digest in shard.empty]
        return crew.table(layout, ordered), empty

    def _engage(self, look: float, blobs: float) -> None:
        """Chooses helpers by how long one look at the disk takes, and how much there is to do."""
        jobs = self._request.jobs
        if look > SLOW_LOOK:
            self._crew.add_threads((jobs or WAITING_THREADS) - 1)
        elif blobs >= WORTHWHILE or self._request.verify:
            self._crew.add_processes(jobs or processors())

    def _folder(self, path: str) -> Iterable[str]:
        """Has a folder below ``repositories`` read; gives those in it."""
        if self._request.stop():
            return ()
        name = path[len(self._tree.repositories) + 1 :]
        with self._lock:
            number = self._uses.begin()
        found = self._crew.do("folder", path, number)
        with self._lock:
            self._tally.merge(found.tally)
            if found.repository is not None and found.numbers is not None:
                self._uses.note(number, found.repository, found.numbers)
            if found.below and name.count("/") >= DEEPEST:
                self._tally.add_unread([Unread(path=path, why="nested deeper than any repository")])
                return ()
        self._request.tell(f"repository {number:,}, {shown(name)}")
        return list(found.below)

    def _garbage(self, table: BlobTable, *, complete: bool) -> Sums | None:
        """What garbage collection would delete.

        None where not everything was read and understood: what is not seen may be in use.
        """
        tally = self._tally
        certain = complete and not tally.unread_seen and not tally.unparsed
        if not certain or self._tree.scope is not None or self._tree.has_database:
            return None
        return garbage(table)


class _Conclusion:
    """Looks once more at what seemed wrong, and writes it down.

    :param most_hashed: bytes of blobs that may be hashed for it; None for any number.
    """

    def __init__(
        self,
        tree: Tree,
        blobs: Blobs,
        tally: Tally,
        request: Request,
        names: list[str],
        *,
        most_hashed: int | None = None,
    ) -> None:
        self._tree = tree
        self._blobs = blobs
        self._tally = tally
        self._request = request
        self._names = names
        self._left = most_hashed
        self._stopped = False
        """Whether a suspicious blob was not hashed to its end."""
        self._corrupt: dict[str, CorruptBlob] = {}
        self._corrupt_beyond = 0

    def add_corrupt(self, blob: CorruptBlob) -> None:
        """Adds a blob that was hashed."""
        if blob.digest in self._corrupt or len(self._corrupt) < MOST_LISTED:
            self._corrupt[blob.digest] = blob
        else:
            self._corrupt_beyond += 1

    def content(
        self,
        given: Path,
        *,
        began: float,
        seconds: float,
        complete: bool,
        scope: str | None = None,
        table: BlobTable | None = None,
        verification: BlobVerification | None = None,
        uses: RepositoryUses | None = None,
        sums: Sums | None = None,
        dangling: tuple[str, ...] = (),
    ) -> StorageContent:
        """The fact."""
        tally, tree = self._tally, self._tree
        links, lost = self._confirmed(began)
        uses = uses or RepositoryUses()
        listed, total = uses.listed(sums), uses.total()
        prefix = f"{tree.path}/"
        return StorageContent(
            given=shown(str(given)),
            root=shown(str(tree.root)),
            tree=shown(str(tree.path)),
            scope=shown(tree.scope or scope or "") or None,
            complete=complete and not self._stopped,
            cache=tree.is_cache,
            database=tree.has_database,
            repositories=tally.repositories,
            tags=tally.tags,
            manifests=tally.manifests,
            blobs=len(table) if table is not None else None,
            size=sum(table.sizes) if table is not None else None,
            links=tuple(links[:MOST_LISTED]),
            links_seen=len(links),
            lost=tuple(lost[:MOST_LISTED]),
            lost_seen=len(lost),
            corrupt=self._with_users(),
            corrupt_seen=len(self._corrupt) + self._corrupt_beyond,
            suspects_beyond=max(0, tally.suspects_seen - len(tally.suspects)),
            unread=tuple(
                Unread(path=shown(each.path.removeprefix(prefix)), why=each.why) for each in tally.unread
            ),
            dangling=dangling,
            unread_seen=tally.unread_seen,
            uses=listed,
            uses_seen=len(uses.names) + (sums is not None and 0 in sums.rows),
            garbage=sums.total() if sums is not None else None,
            untaggable=shown(tally.untaggable) if tally.untaggable is not None else None,
            uploads=total.uploads,
            upload_size=total.upload_size,
            recent_size=sums.recent if sums is not None else 0,
            verification=verification,
            seconds=round(seconds, 3),
        )

    def _confirmed(self, began: float) -> tuple[list[BrokenLink], list[LostBlob]]:
        """What still is wrong; corrupt blobs are kept for later."""
        links: list[BrokenLink] = []
        lost: list[LostBlob] = []
        tally = self._tally
        if tally.suspects:
            threading.Event().wait(max(0.0, SETTLING - (time.monotonic() - began)))
        look = SecondLook(
            str(self._tree.path), self._blobs, lambda unread: tally.add_unread([unread]), self._stop_hashing
        )
        for _key, suspect in sorted(tally.suspects.items()):
            link: BrokenLink | None = None
            if isinstance(suspect, SuspectTag):
                link = look.tag(suspect)
            elif isinstance(suspect, SuspectLink):
                link = look.link(suspect)
            elif isinstance(suspect, SuspectLoss):
                gone = look.loss(suspect)
                lost.extend([gone] if gone is not None else [])
            elif suspect.digest not in self._corrupt and self._may_hash(suspect):
                corrupt = look.bytes(suspect)
                if corrupt is not None:
                    self.add_corrupt(corrupt)
            links.extend([link] if link is not None else [])
        return links, lost

    def _stop_hashing(self) -> bool:
        self._stopped = self._stopped or self._request.stop()
        return self._stopped

    def _may_hash(self, suspect: SuspectBytes) -> bool:
        """Whether there is time and leave to hash a blob."""
        parts = split(suspect.digest)
        position = self._blobs.find(*parts) if parts is not None else -1
        if position < 0 or (self._blobs.sizes[position] and self._stop_hashing()):
            return False
        if self._left is not None:
            self._left -= self._blobs.sizes[position]
        return self._left is None or self._left >= 0

    def _with_users(self) -> tuple[CorruptBlob, ...]:
        """The corrupt blobs, with images that need them."""
        from msgspec.structs import replace

        users: dict[str, list[str]] = {digest: [] for digest in self._corrupt}
        reader = RepositoryReader(str(self._tree.path), self._blobs, Tally(), stop=self._request.stop)
        for name in self._names if users else ():
            if self._request.stop():
                break
            reader.users(name, users)
        return tuple(
            replace(each, needed_by=tuple(users[digest])) for digest, each in sorted(self._corrupt.items())
        )
