"""Follows a repository's links to its manifests, and from these to everything that they need.

However large a repository is, no more than :data:`CHUNK` of its names are held at a time, and for everything
else a byte for each blob of the storage.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from regdoctor.facts.storage import BlobPart, LinkFault, LinkKind, LostBlob
from regdoctor.host.storage import links
from regdoctor.host.storage.blobs import ABSENT, UNKNOWN, Blobs, BlobTable
from regdoctor.host.storage.files import (
    FILE_FLAGS,
    Kind,
    NotAFile,
    entries,
    not_read,
    open_folder,
    read_file,
    shown,
)
from regdoctor.host.storage.tally import (
    MOST_SUSPECTS,
    RepositoryNumbers,
    SuspectBytes,
    SuspectLink,
    SuspectLoss,
    SuspectTag,
    Tally,
)
from regdoctor.oci.digest import HEX_LENGTHS, InvalidDigest, parse_digest
from regdoctor.oci.manifest import MAX_MANIFEST
from regdoctor.oci.references import ManifestReferences, Referred, read_references
from regdoctor.parallel import side_by_side

Item = TypeVar("Item")

CHUNK: Final = 8192
"""Names of one folder that are held at a time."""
BATCH: Final = 256
"""Names that one thread takes at a time."""
MOST_LOOKED: Final = 2000
"""Layers of a repository that are looked at for one image."""
MOST_NAMED: Final = 5
"""Tags that are named as users of what is missing."""
MOST_POSITIONS: Final = 2 * CHUNK
"""Layers of one repository whose positions are kept for its manifests."""
_DEEPEST: Final = 8
"""Indexes within indexes."""
_PART: Final = 1
"""Mark of a blob that was come across as a config or layer."""
_CHILD: Final = 2
"""Mark of a manifest that an index lists."""
_TOP: Final = 3
"""Mark of a manifest that a tag names, or that was taken from the repository's links."""


def split(digest: str) -> tuple[str, str] | None:
    """Algorithm and hexadecimal digits of a digest that a registry can store, or None."""
    if len(digest) == 71 and digest.startswith("sha256:"):
        return "sha256", digest[7:]
    try:
        parsed = parse_digest(digest)
    except InvalidDigest:
        return None
    return (parsed.algorithm, parsed.encoded) if parsed.supported else None


def find(blobs: Blobs, digest: str) -> int:
    """The position of a blob; unknown for what is no digest that a registry can store."""
    parts = split(digest)
    try:
        return blobs.find(*parts) if parts is not None else UNKNOWN
    except ValueError:
        return UNKNOWN


@dataclass(frozen=True)
class Listing:
    """The folders in a folder. ``complete`` is false where there may be others."""

    names: Sequence[str] = ()
    complete: bool = True


class Linked(Protocol):
    """What a repository links: its manifests (revisions), and all other blobs (layers)."""

    aliases: dict[str, str]
    """Digests whose layer link holds the digest of another algorithm, and that digest."""
    broken: dict[str, list[str]]
    """Layer links that cannot be used, with tags that need them."""
    positions: dict[str, int]
    """Where the blobs of some layer links are, so that they need not be looked up again."""

    def has_revision(self, digest: str, position: int) -> bool | None:
        """Whether a manifest is linked, given its position as well; None where nobody can say."""

    def has_layer(self, digest: str, position: int) -> bool | None:
        """Likewise for another blob."""


class RepositoryReader:
    """Reads repositories of one storage. Thread-safe: each repository is read by itself.

    :param tree: the folder ``docker/registry/v2``.
    :param blobs: what content there is; of a :class:`BlobTable`, ``used``, ``kept`` and ``owners`` are set.
    :param workers: threads for one large folder.
    :param stop: whether to end with what there is.
    """

    def __init__(
        self,
        tree: str,
        blobs: Blobs,
        tally: Tally,
        *,
        workers: int = 1,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._tree = tree
        self._workers = workers
        self._stop = stop
        self._table = blobs if isinstance(blobs, BlobTable) else None
        self.blobs = blobs
        self.tally = tally

    def folder(self, name: str) -> str:
        """The folder of a repository."""
        return f"{self._tree}/repositories/{name}"

    def read(self, name: str, number: int) -> RepositoryNumbers:
        """Reads everything of a repository; its uploads aside.

        :param number: marks the blobs that it is the first to link.
        """
        numbers = RepositoryNumbers()
        linked = _ListedLinks(self, name, number)
        manifests = _Manifests(self, name, linked)

        def tags(names: Sequence[str]) -> None:
            manifests.follow(self._tagged(name, names, linked), kept=True)
            numbers.tags += len(names)

        self.walk(f"{self.folder(name)}/_manifests/tags", tags)
        numbers.manifests = linked.manifests
        if linked.manifests and not os.path.lexists(f"{self.folder(name)}/_manifests/tags"):
            self.tally.add_untaggable(name)
        # A tag may mean a manifest whose own link is broken, which is not counted.
        numbers.untagged = max(0, linked.manifests - manifests.named)
        for digests in linked.revisions(without=manifests.seen):
            manifests.follow(dict.fromkeys(digests, ()), kept=False)
        manifests.report()
        numbers.size = linked.size
        self.tally.add(repositories=1, tags=numbers.tags, manifests=numbers.manifests)
        return numbers

    def read_image(self, name: str, *, tag: str | None = None, digest: str | None = None) -> bool:
        """Reads what one tag or digest of a repository leads to; false where the repository has neither."""
        linked = _SingleLinks(self, name)
        if digest is None:
            if tag is None or not os.path.isdir(f"{self.folder(name)}/_manifests/tags/{tag}"):
                return False
            link = self.tag_link(name, tag)
            if link.digest is None or linked.has_revision(link.digest, UNKNOWN) is False:
                self.tally.suspect(SuspectTag(name, tag))
                return True
            digest = link.digest
        elif linked.has_revision(digest, UNKNOWN) is False:
            return False
        manifests = _Manifests(self, name, linked)
        manifests.follow({digest: (tag or digest,)}, kept=True)
        manifests.report()
        self.tally.add(repositories=1, tags=0 if tag is None else 1, manifests=1)
        return True

    def dangling(self, name: str, most: int) -> tuple[str, ...]:
        """Some of the layers that a repository links and that are not in storage, among the first it lists."""
        found: list[str] = []
        looked = 0

        def look(names: Sequence[str]) -> None:
            nonlocal looked
            for encoded in names[: MOST_LOOKED - looked]:
                looked += 1
                if len(found) == most or self._stop():
                    return
                gone = find(self.blobs, f"sha256:{encoded}") == ABSENT
                if gone and self.layer_link(name, "sha256", encoded).digest is not None:
                    found.append(f"sha256:{encoded}")

        self.walk(f"{self.folder(name)}/_layers/sha256", look)
        return tuple(found)

    def users(self, name: str, wanted: Mapping[str, list[str]]) -> None:
        """Adds ``repository:tag`` to each of the wanted blobs that an image of the repository needs."""

        def tags(names: Sequence[str]) -> None:
            for tag in names:
                link = self.tag_link(name, tag)
                if link.digest is None or self._stop():
                    continue
                for digest in self._everything(link.digest):
                    users = wanted.get(digest)
                    if users is not None:
                        _add(users, (shown(f"{name}:{tag}"),))

        self.walk(f"{self.folder(name)}/_manifests/tags", tags)

    def _everything(self, digest: str) -> Iterator[str]:
        """A manifest and all that it needs, each once."""
        waiting, seen = [digest], {digest}
        while waiting:
            manifest = waiting.pop()
            yield manifest
            parts = split(manifest)
            if parts is None:
                continue
            try:
                references = read_references(read_file(self.blobs.path(*parts), MAX_MANIFEST))
            except OSError:
                continue
            if references is None:
                continue
            config = [references.config] if references.config is not None else []
            for part in (*config, *references.all_layers):
                if part.digest not in seen:
                    seen.add(part.digest)
                    yield part.digest
            children = [each.digest for each in references.manifests or () if each.digest not in seen]
            seen.update(children)
            waiting.extend(children)

    def batches(self, items: Sequence[Item], work: Callable[[Sequence[Item]], None]) -> None:
        """Does the work for all items, in several threads where there are many, until it is to stop."""

        def batch(start: int) -> None:
            if not self._stop():
                work(items[start : start + BATCH])

        side_by_side(batch, range(0, len(items), BATCH), workers=self._workers)

    def folders(self, parent: str) -> Listing:
        """The folders in a folder; none where it is not there. What cannot be read is added to the tally."""
        found: list[str] = []
        complete = self.walk(parent, found.extend)
        return Listing(found, complete)

    def walk(self, parent: str, work: Callable[[Sequence[str]], None]) -> bool:
        """Hands over the folders in a folder, at most :data:`CHUNK` names at a time.

        What cannot be read is added to the tally. Returns whether these are all.
        """
        try:
            descriptor = open_folder(parent)
        except FileNotFoundError:
            return True
        except OSError as error:
            self.tally.add_unread([not_read(parent, error)])
            return False
        complete = True
        names: list[str] = []
        try:
            for entry in entries(descriptor):
                if entry.is_dir(follow_symlinks=False):
                    names.append(entry.name)
                    if len(names) == CHUNK:
                        work(names)
                        names = []
                elif entry.is_symlink():
                    self.tally.add_unread([not_read(f"{parent}/{entry.name}", Kind.SYMBOLIC_LINK)])
                    complete = False
        except OSError as error:
            self.tally.add_unread([not_read(parent, error)])
            complete = False
        finally:
            os.close(descriptor)
        if names:
            work(names)
        return complete and not self._stop()

    def _tagged(self, name: str, tags: Sequence[str], linked: Linked) -> dict[str, list[str]]:
        """The manifests that some tags mean, each with a few of these."""
        found: dict[str, list[str]] = {}

        folder = f"{self.folder(name)}/_manifests/tags"
        try:
            within = open_folder(folder)
        except OSError:
            return found

        def read(some: Sequence[str]) -> None:
            for tag in some:
                link = self.link(f"{folder}/{tag}/current", within=(within, f"{tag}/current"))
                if link.fault is not None or (
                    link.digest is not None
                    and linked.has_revision(link.digest, find(self.blobs, link.digest)) is False
                ):
                    self.tally.suspect(SuspectTag(name, tag))
                elif link.digest is not None:
                    _add(found.setdefault(link.digest, []), (shown(tag),))

        try:
            self.batches(tags, read)
        finally:
            os.close(within)
        return found

    def tag_link(self, name: str, tag: str) -> links.Link:
        """What a tag holds; see :meth:`link`."""
        return self.link(f"{self.folder(name)}/_manifests/tags/{tag}/current")

    def revision_link(self, name: str, algorithm: str, encoded: str) -> links.Link:
        """The link that makes a manifest part of a repository; see :meth:`link`."""
        folder = f"{self.folder(name)}/_manifests/revisions/{algorithm}/{encoded}"
        return self.link(folder, own=(algorithm, encoded))

    def layer_link(self, name: str, algorithm: str, encoded: str) -> links.Link:
        """The link that makes another blob part of a repository; see :meth:`link`."""
        folder = f"{self.folder(name)}/_layers/{algorithm}/{encoded}"
        return self.link(folder, own=(algorithm, encoded))

    def link(
        self, folder: str, *, own: tuple[str, str] | None = None, within: tuple[int, str] | None = None
    ) -> links.Link:
        """Reads the link file in a folder; without digest and fault where it cannot be read, which is noted.

        :param own: algorithm and digits of the folder, where it is named by a digest.
        :param within: an open folder above it, and the path from there: it saves the way from the root.
        """
        path = f"{folder}/link"
        try:
            descriptor = open_folder(folder) if within is None else open_folder(within[1], within[0])
            try:
                content = read_file("link", links.LONGEST, descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return links.Link(None, LinkFault.MISSING)
        except (NotAFile, IsADirectoryError):
            return links.Link(None, LinkFault.NOT_A_FILE)
        except OSError as error:
            self.tally.add_unread([not_read(path, error)])
            return links.Link(None)
        return links.read_own_link(content, *own) if own is not None else links.read_link(content)

    def own(self, positions: Sequence[int], number: int) -> None:
        """Notes that a repository links blobs."""
        if self._table is not None:
            owners = self._table.owners
            for position in positions:
                if not owners[position]:
                    owners[position] = number

    def use_marks(self, *, kept: bool, linked: bool, named: bool) -> tuple[memoryview, ...]:
        """Where to note that a manifest refers to a blob, or is one.

        :param kept: whether a tag leads there.
        :param linked: whether the repository links the manifest.
        :param named: whether a tag names the manifest itself.
        """
        table = self._table
        if table is None:
            return ()
        marks = [table.used]
        if kept:
            marks.append(table.kept)
        if linked:
            marks.append(table.used_directly)
        if named:
            marks.append(table.kept_directly)
        return tuple(marks)


class _ListedLinks:
    """All links of a repository, read folder by folder."""

    def __init__(self, reader: RepositoryReader, name: str, number: int) -> None:
        self._reader = reader
        self._name = name
        self._number = number
        self.aliases: dict[str, str] = {}
        self.broken: dict[str, list[str]] = {}
        self.positions: dict[str, int] = {}
        self._unclear: set[str] = set()
        """Some of those whose link is there and cannot be used or read."""
        self._revisions = reader.blobs.marks()
        self._lost: list[str] = []
        """Manifests that are linked and not there."""
        self._layers = reader.blobs.marks()
        self.size = 0
        """Bytes of all that is linked."""
        self._all_revisions = self._read("_manifests/revisions", self._revision)
        self._all_layers = self._read("_layers", self._layer)

    @property
    def manifests(self) -> int:
        """How many manifests are linked."""
        return self._revisions.count(1) + len(self._lost)

    def revisions(self, without: bytearray) -> Iterator[list[str]]:
        """The digests of manifests that are linked, in chunks; those that are not there last.

        :param without: marks as manifests those that nobody wants.
        """
        blobs, marks = self._reader.blobs, self._revisions
        if isinstance(blobs, BlobTable):
            for algorithm in blobs.layout.algorithms:
                found: list[str] = []
                position = marks.find(1, algorithm.first, algorithm.end)
                while position >= 0:
                    if without[position] < _CHILD:
                        found.append(f"{algorithm.name}:{blobs.encoded(algorithm.name, position)}")
                        if len(found) == CHUNK:
                            yield found
                            found = []
                    position = marks.find(1, position + 1, algorithm.end)
                if found:
                    yield found
        if self._lost:
            yield self._lost

    def has_revision(self, digest: str, position: int) -> bool | None:
        if position >= 0:
            linked = bool(self._revisions[position])
        else:
            # What is linked and not there is not kept in memory: there might be any number.
            parts = split(digest)
            link = self._reader.revision_link(self._name, *parts) if parts is not None else links.Link(None)
            linked = link.digest is not None
        if linked:
            return True
        return None if digest in self._unclear or not self._all_revisions else False

    def has_layer(self, digest: str, position: int) -> bool | None:
        if self._layers[position] or digest in self.aliases:
            return True
        return None if digest in self._unclear or not self._all_layers else False

    def _read(self, below: str, take: _Take) -> bool:
        """Reads every link below a folder; whether all of them were seen."""
        folder = f"{self._reader.folder(self._name)}/{below}"
        algorithms = self._reader.folders(folder)
        complete = algorithms.complete
        for algorithm in algorithms.names:
            if algorithm in HEX_LENGTHS:
                work = partial(self._read_some, f"{folder}/{algorithm}", algorithm, take)
                complete = self._reader.walk(f"{folder}/{algorithm}", work) and complete
        return complete

    def _read_some(self, folder: str, algorithm: str, take: _Take, names: Sequence[str]) -> None:
        length = HEX_LENGTHS[algorithm]
        own = f"{algorithm}:"
        try:
            within = open_folder(folder)
        except OSError:
            return

        def read(batch: Sequence[str]) -> None:
            # Registries have millions of these: what is right is seen here, and everything else elsewhere.
            right: list[str] = []
            wrong: list[str] = []
            for encoded in batch:
                try:
                    descriptor = os.open(encoded + "/link", FILE_FLAGS, dir_fd=within)
                    try:
                        content = os.read(descriptor, links.LONGEST)
                    finally:
                        os.close(descriptor)
                except OSError:
                    content = b""
                (right if content == (own + encoded).encode() else wrong).append(encoded)
            take(algorithm, right, None)
            for encoded in wrong:
                if len(encoded) == length:
                    self._read_wrong(folder, algorithm, encoded, take)

        try:
            self._reader.batches(names, read)
        finally:
            os.close(within)

    def _read_wrong(self, folder: str, algorithm: str, encoded: str, take: _Take) -> None:
        """Reads a link that is not simply right."""
        link = self._reader.link(f"{folder}/{encoded}", own=(algorithm, encoded))
        if link.digest is None and link.fault is None:
            self._unclear_now(f"{algorithm}:{encoded}")
        elif link.fault is not LinkFault.MISSING:
            take(algorithm, (encoded,), link)

    def _unclear_now(self, digest: str) -> None:
        if len(self._unclear) < MOST_SUSPECTS:
            self._unclear.add(digest)
        else:
            self._all_revisions = self._all_layers = False

    def _revision(self, algorithm: str, names: Sequence[str], link: links.Link | None) -> None:
        """Takes links of manifests that are right, or one that is not."""
        reader = self._reader
        found = []
        for encoded in names:
            digest = f"{algorithm}:{encoded}"
            if link is not None and link.fault is not None:
                self._unclear_now(digest)
                reader.tally.suspect(SuspectLink(self._name, LinkKind.REVISION, digest))
                continue
            position = find(reader.blobs, digest)
            if position >= 0:
                self._revisions[position] = 1
                self.size += reader.blobs.sizes[position]
                found.append(position)
            elif len(self._lost) < MOST_SUSPECTS:
                self._lost.append(digest)
            else:
                reader.tally.add(suspects=1)
        reader.own(found, self._number)

    def _layer(self, algorithm: str, names: Sequence[str], link: links.Link | None) -> None:
        """Takes links of other blobs that are right, or one that is not."""
        if link is not None:
            digest = f"{algorithm}:{names[0]}"
            if link.digest is not None:
                self.aliases[digest] = link.digest
                algorithm, _, encoded = link.digest.partition(":")
                names = (encoded,)
            elif len(self.broken) < MOST_SUSPECTS:
                self.broken[digest] = []
                return
            else:
                self._reader.tally.add(suspects=1)
                self._unclear_now(digest)
                return
        blobs, layers, sizes = self._reader.blobs, self._layers, self._reader.blobs.sizes
        found = []
        for encoded in names:
            try:
                position = blobs.find(algorithm, encoded)
            except ValueError:
                continue
            if position >= 0:
                if not layers[position]:
                    layers[position] = 1
                    self.size += sizes[position]
                found.append(position)
                if len(self.positions) < MOST_POSITIONS:
                    self.positions[f"{algorithm}:{encoded}"] = position
        self._reader.own(found, self._number)


_Take = Callable[[str, Sequence[str], links.Link | None], None]
"""Takes the names of folders whose links are right, or one name and its link that is not simply right."""


class _SingleLinks:
    """Links of a repository, each read where it is asked about."""

    def __init__(self, reader: RepositoryReader, name: str) -> None:
        self._reader = reader
        self._name = name
        self.aliases: dict[str, str] = {}
        self.broken: dict[str, list[str]] = {}
        self.positions: dict[str, int] = {}

    def has_revision(self, digest: str, position: int) -> bool | None:
        del position
        parts = split(digest)
        if parts is None:
            return None
        link = self._reader.revision_link(self._name, *parts)
        if link.fault is not None and link.fault is not LinkFault.MISSING:
            self._reader.tally.suspect(SuspectLink(self._name, LinkKind.REVISION, digest))
            return None
        return None if link.digest is None and link.fault is None else link.digest is not None

    def has_layer(self, digest: str, position: int) -> bool | None:
        del position
        parts = split(digest)
        if parts is None:
            return None
        link = self._reader.layer_link(self._name, *parts)
        return None if link.digest is None and link.fault is None else link.digest is not None


class _Manifests:
    """Follows manifests of one repository to what they need, and collects what is not there."""

    def __init__(self, reader: RepositoryReader, name: str, linked: Linked) -> None:
        self._reader = reader
        self._name = name
        self._linked = linked
        self.seen = reader.blobs.marks()
        """Marks the blobs that were come across."""
        self._lost: dict[str, tuple[LostBlob, list[str]]] = {}
        self._unlinked: dict[tuple[LinkKind, str], list[str]] = {}

    def follow(self, manifests: Mapping[str, Sequence[str]], *, kept: bool) -> None:
        """Reads manifests, given with the tags that mean them, and those that indexes among them list.

        :param kept: whether tags lead there.
        """
        level = dict(manifests)
        parents: dict[str, str] = {}
        for _depth in range(_DEEPEST):
            following: dict[str, Sequence[str]] = {}
            following_parents: dict[str, str] = {}
            read = partial(self._follow_some, level, parents, following, following_parents, kept)
            self._reader.batches(list(level), read)
            if not following:
                return
            level, parents = following, following_parents
        # What lies deeper still may be in use.
        self._reader.tally.add(unparsed=1)

    @property
    def named(self) -> int:
        """How many manifests tags name themselves, as long as nothing else was followed."""
        return self.seen.count(_TOP)

    def _follow_some(
        self,
        level: Mapping[str, Sequence[str]],
        parents: Mapping[str, str],
        following: dict[str, Sequence[str]],
        following_parents: dict[str, str],
        kept: bool,
        digests: Sequence[str],
    ) -> None:
        for digest in digests:
            names, parent = level[digest], parents.get(digest)
            position = find(self._reader.blobs, digest)
            linked = parent is None or self._linked.has_revision(digest, position) is not False
            marks = self._reader.use_marks(kept=kept, linked=linked, named=kept and parent is None)
            references = self._manifest(digest, position, parent, names, marks, linked=linked)
            if references is None:
                continue
            if references.config is not None:
                self._blobs((references.config,), BlobPart.CONFIG, digest, names, marks)
            self._blobs(references.all_layers, BlobPart.LAYER, digest, names, marks)
            for child in references.manifests or ():
                following_parents.setdefault(child.digest, digest)
                following.setdefault(child.digest, names)
                self._mark(find(self._reader.blobs, child.digest), marks)

    @staticmethod
    def _mark(position: int, marks: Sequence[memoryview]) -> None:
        if position >= 0:
            for each in marks:
                each[position] = 1

    def report(self) -> None:
        """Hands over what was missing."""
        suspect = self._reader.tally.suspect
        for lost, by in self._lost.values():
            suspect(SuspectLoss(self._name, lost, by))
        for (kind, digest), by in self._unlinked.items():
            suspect(SuspectLink(self._name, kind, digest, by))
        for digest, by in self._linked.broken.items():
            suspect(SuspectLink(self._name, LinkKind.LAYER, digest, by))

    def _manifest(
        self,
        digest: str,
        position: int,
        parent: str | None,
        names: Sequence[str],
        marks: Sequence[memoryview],
        *,
        linked: bool,
    ) -> ManifestReferences | None:
        """Reads one manifest; None where it was read before, is not there, or cannot be read."""
        blobs, tally = self._reader.blobs, self._reader.tally
        if position == ABSENT:
            part = BlobPart.MANIFEST if parent is None else BlobPart.CHILD
            self._lack(digest, part, None, parent, names)
            return None
        if not linked:
            self._lack_link(LinkKind.REVISION, digest, names)
        rank = _TOP if parent is None else _CHILD
        if position < 0 or self.seen[position] >= rank:
            return None
        self.seen[position] = rank
        self._mark(position, marks)
        size, parts = blobs.sizes[position], split(digest)
        if parts is None:
            return None
        if not size:
            tally.suspect(SuspectBytes(digest))
            return None
        if size > MAX_MANIFEST:
            tally.add(unparsed=1)
            return None
        path = blobs.path(*parts)
        try:
            body = read_file(path, size)
        except FileNotFoundError:
            return None
        except OSError as error:
            tally.add_unread([not_read(path, error)])
            return None
        references = read_references(body)
        if hashlib.new(parts[0], body).hexdigest() != parts[1]:
            tally.suspect(SuspectBytes(digest))
            references = None
        if references is None:
            tally.add(unparsed=1)
        return references

    def _blobs(
        self,
        parts: Sequence[Referred],
        part: BlobPart,
        manifest: str,
        names: Sequence[str],
        used: Sequence[memoryview],
    ) -> None:
        """Looks for a config or for layers."""
        reader, linked, seen = self._reader, self._linked, self.seen
        blobs = reader.blobs
        for referred in parts:
            digest = referred.digest
            known = linked.positions.get(digest)
            position = find(blobs, digest) if known is None else known
            if position == ABSENT and digest in linked.aliases:
                position = find(blobs, linked.aliases[digest])
            if position < 0:
                if position == ABSENT and not referred.is_foreign:
                    self._lack(digest, part, referred.size if referred.size >= 0 else None, manifest, names)
                continue
            for marks in used:
                marks[position] = 1
            if not seen[position]:
                seen[position] = _PART
                if 0 <= referred.size != blobs.sizes[position]:
                    reader.tally.suspect(SuspectBytes(digest, referred.size))
                if digest not in linked.broken and linked.has_layer(digest, position) is False:
                    self._lack_link(LinkKind.LAYER, digest, names)
            elif self._unlinked and (LinkKind.LAYER, digest) in self._unlinked:
                self._lack_link(LinkKind.LAYER, digest, names)
            if linked.broken and digest in linked.broken:
                _add(linked.broken[digest], names)

    def _lack_link(self, kind: LinkKind, digest: str, names: Sequence[str]) -> None:
        """Notes a link that is not there."""
        key = kind, digest
        if key not in self._unlinked and len(self._unlinked) >= MOST_SUSPECTS:
            self._reader.tally.add(suspects=1)
        else:
            _add(self._unlinked.setdefault(key, []), names)

    def _lack(
        self, digest: str, part: BlobPart, size: int | None, manifest: str | None, names: Sequence[str]
    ) -> None:
        """Notes a blob that is not in storage."""
        parts = split(digest)
        if parts is None:
            return
        if digest not in self._lost:
            if len(self._lost) >= MOST_SUSPECTS:
                self._reader.tally.add(suspects=1)
                return
            lost = LostBlob(
                digest=digest,
                path=f"blobs/{parts[0]}/{parts[1][:2]}/{parts[1]}/data",
                part=part,
                repository=shown(self._name),
                size=size,
                manifest=manifest,
            )
            self._lost[digest] = lost, []
        _add(self._lost[digest][1], names)


def _add(tags: list[str], names: Sequence[str]) -> None:
    """Adds tags to those that are named."""
    for name in names:
        if len(tags) < MOST_NAMED and name not in tags:
            tags.append(name)
