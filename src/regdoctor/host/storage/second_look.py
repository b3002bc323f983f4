"""Looks once more at what seemed wrong: the registry may have been writing or deleting it just then."""

from __future__ import annotations

import os
from collections.abc import Callable

from regdoctor.facts.storage import (
    BrokenLink,
    CorruptBlob,
    LinkFault,
    LinkKind,
    LostBlob,
    Unread,
)
from regdoctor.host.storage.blobs import Blobs, is_gone
from regdoctor.host.storage.files import not_read, shown
from regdoctor.host.storage.hashing import Stopped, look_at_bytes
from regdoctor.host.storage.repositories import RepositoryReader, split
from regdoctor.host.storage.tally import SuspectBytes, SuspectLink, SuspectLoss, SuspectTag, Tally
from regdoctor.oci.digest import HEX_LENGTHS

_MOST_FORMER = 32
"""Entries of a tag's history that are looked at."""


class SecondLook:
    """What is wrong now, or None.

    :param tree: the folder ``docker/registry/v2``.
    :param unread: receives what could not be looked at.
    :param stop: whether to end hashing before a blob does.
    """

    def __init__(
        self,
        tree: str,
        blobs: Blobs,
        unread: Callable[[Unread], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._tree = tree
        self._blobs = blobs
        self._unread = unread
        self._stop = stop
        self._reader = RepositoryReader(tree, blobs, Tally())

    def tag(self, suspect: SuspectTag) -> BrokenLink | None:
        """A tag's link."""
        name, tag = suspect.repository, suspect.tag
        folder = f"{self._tree}/repositories/{name}/_manifests/tags/{tag}"
        if not os.path.isdir(folder):
            return None
        link = self._reader.tag_link(name, tag)
        fault, has_target = link.fault, None
        if link.digest is not None:
            parts = split(link.digest)
            if parts is None or self._reader.revision_link(name, *parts).fault is not LinkFault.MISSING:
                return None
            fault = LinkFault.DANGLING
            gone = is_gone(self._blobs.path(*parts))
            has_target = None if gone is None else not gone
        if fault is None:
            return None
        return BrokenLink(
            path=self._below(f"{folder}/current/link"),
            repository=shown(name),
            kind=LinkKind.TAG,
            fault=fault,
            name=shown(tag),
            size=None if fault is LinkFault.MISSING else link.size,
            shown=link.digest or link.shown,
            needed_by=(shown(tag),),
            has_target=has_target,
            former=self._former(name, folder),
        )

    def _former(self, name: str, folder: str) -> str | None:
        """The manifest that a tag meant last by its history, among those that are still whole."""
        best: tuple[float, str] | None = None
        for encoded in self._reader.folders(f"{folder}/index/sha256").names[:_MOST_FORMER]:
            if len(encoded) != HEX_LENGTHS["sha256"]:
                continue
            try:
                changed = os.lstat(f"{folder}/index/sha256/{encoded}/link").st_mtime
            except OSError:
                continue
            whole = self._reader.revision_link(name, "sha256", encoded).digest is not None and (
                is_gone(self._blobs.path("sha256", encoded)) is False
            )
            if whole and (best is None or changed > best[0]):
                best = changed, f"sha256:{encoded}"
        return best[1] if best is not None else None

    def link(self, suspect: SuspectLink) -> BrokenLink | None:
        """The link of a manifest or another blob; one that is missing counts where it is needed."""
        parts = split(suspect.digest)
        if parts is None:
            return None
        revision = suspect.kind is LinkKind.REVISION
        read = self._reader.revision_link if revision else self._reader.layer_link
        link = read(suspect.repository, *parts)
        if link.fault is None or (link.fault is LinkFault.MISSING and not suspect.by):
            return None
        folder = "_manifests/revisions" if revision else "_layers"
        return BrokenLink(
            path=shown(f"repositories/{suspect.repository}/{folder}/{parts[0]}/{parts[1]}/link"),
            repository=shown(suspect.repository),
            kind=suspect.kind,
            fault=link.fault,
            name=suspect.digest,
            size=None if link.fault is LinkFault.MISSING else link.size,
            shown=link.shown,
            needed_by=tuple(suspect.by),
        )

    def loss(self, suspect: SuspectLoss) -> LostBlob | None:
        """A blob that was not there, where a tag still needs it, or a manifest that still is linked."""
        from msgspec.structs import replace

        lost = suspect.lost
        parts = split(lost.digest)
        if parts is None or not is_gone(self._blobs.path(*parts)) or not self._is_needed(suspect):
            return None
        return replace(lost, needed_by=tuple(suspect.by))

    def _is_needed(self, suspect: SuspectLoss) -> bool:
        tags = f"{self._tree}/repositories/{suspect.repository}/_manifests/tags"
        named = [name for name in suspect.by if ":" not in name]
        if named:
            return any(os.path.isdir(f"{tags}/{tag}") for tag in named)
        needing = split(suspect.lost.manifest or suspect.lost.digest)
        link = self._reader.revision_link(suspect.repository, *needing) if needing is not None else None
        return link is not None and link.fault is not LinkFault.MISSING

    def bytes(self, suspect: SuspectBytes) -> CorruptBlob | None:
        """A blob's bytes, hashed."""
        parts = split(suspect.digest)
        if parts is None:
            return None
        path = self._blobs.path(*parts)
        try:
            return look_at_bytes(
                path,
                suspect.digest,
                self._below(path),
                expected_size=suspect.expected_size,
                stop=self._stop,
            )
        except Stopped:
            return None
        except OSError as error:
            self._unread(not_read(path, error))
            return None

    def _below(self, path: str) -> str:
        return shown(path.removeprefix(f"{self._tree}/"))
