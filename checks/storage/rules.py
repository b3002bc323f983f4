"""What is damaged or missing in the registry's storage, and what could be freed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from regdoctor.api import (
    BlobPart,
    BrokenLink,
    Certainty,
    CorruptBlob,
    Draft,
    LinkFault,
    LinkKind,
    LostBlob,
    LostBlobAnswer,
    LostBlobAnswers,
    ProducerKind,
    Severity,
    StorageContent,
    StorageCoverage,
    finding,
    rule,
    size_text,
)
from regdoctor.checks.storage.probe import came_empty

Item = TypeVar("Item")

MOST_TOLD = 5
"""Single things that a text names; the JSON report has them all."""
_PARTS = {
    BlobPart.MANIFEST: "the manifest",
    BlobPart.CHILD: "the manifest of one platform",
    BlobPart.CONFIG: "the config",
    BlobPart.LAYER: "the layer",
}


def _told(items: Sequence[Item], seen: int, tell: Callable[[Item], str]) -> str:
    """The first few of some things as sentences, and how many more there are."""
    parts = [tell(each) for each in items[:MOST_TOLD]]
    if seen > len(parts):
        parts.append(f"There are {seen - len(parts):,} more; the JSON report lists them.")
    return " ".join(parts)


def _images(repository: str, tags: Sequence[str]) -> str:
    """``team/app:1.0, team/app:1.1``, or the repository alone."""
    named = [
        f"{repository}@{tag}" if tag.startswith("sha") and ":" in tag else f"{repository}:{tag}"
        for tag in tags
    ]
    return ", ".join(named) if named else repository


def _evidence(tree: str, paths: Sequence[str]) -> tuple[str, ...]:
    return (*(f"{tree}/{path}" for path in paths[:MOST_TOLD]), "storage-content")


@rule("storage/link-broken")
def link_broken(content: StorageContent) -> Iterator[Draft]:
    """Link files that are empty, malformed, missing or lead nowhere."""
    links = [each for each in content.links if not (content.cache and _is_fetched_again(each))]
    if not links:
        return
    seen = len(links) + content.links_seen - len(content.links)
    links.sort(key=lambda each: (each.kind is not LinkKind.TAG, each.repository, each.name))
    first = f"{content.tree}/{links[0].path}"
    yield finding(
        "storage/link-broken",
        f"{_opening(seen, 'link', 'is broken')}{_told(links, seen, _link)}",
        fix=tuple(_mend(each, content.tree) for each in links[:2]),
        reproduce=f"ls -l {shlex.quote(first)}; od -c {shlex.quote(first)} | head -5",
        evidence=_evidence(content.tree, [each.path for each in links]),
    )


def _is_fetched_again(link: BrokenLink) -> bool:
    """Whether a pull-through cache makes the link by itself, with the next pull."""
    return link.fault is LinkFault.MISSING and link.kind is not LinkKind.TAG


def _link(link: BrokenLink) -> str:
    state = {
        LinkFault.MISSING: "is missing",
        LinkFault.EMPTY: "is empty",
        LinkFault.MALFORMED: f"holds {link.size} bytes that are no digest"
        + (f" ({link.shown!r})" if link.shown is not None else ""),
        LinkFault.OTHER_DIGEST: f"holds the digest of something else ({link.shown})",
        LinkFault.DANGLING: f"means {link.shown}, and the repository has no such manifest",
        LinkFault.NOT_A_FILE: "is no file",
    }[link.fault]
    of = {
        LinkKind.TAG: f"tag {link.repository}:{link.name}",
        LinkKind.REVISION: f"manifest {link.repository}@{link.name}",
        LinkKind.LAYER: f"layer {link.name} in {link.repository}",
    }[link.kind]
    return f"The link of {of} {state}: {_effect(link)}."


def _opening(seen: int, noun: str, state: str) -> str:
    """How many there are, where they are several."""
    return f"{seen:,} {noun}s {state.replace('is', 'are', 1)}. " if seen > 1 else ""


def _effect(link: BrokenLink) -> str:
    gone = link.fault in (LinkFault.MISSING, LinkFault.DANGLING)
    if link.kind is LinkKind.TAG:
        if gone:
            kept = ", though its bytes are still in storage" if link.has_target else ""
            return f"it is listed, and pulls of it get 404 “manifest unknown”{kept}"
        return (
            f"pulls of it get 500, and so does every deletion in {link.repository}, for which the registry "
            "looks at all tags"
        )
    needed = f" ({_images(link.repository, link.needed_by)})" if link.needed_by else ""
    if link.kind is LinkKind.REVISION:
        if gone:
            return (
                f"one platform of the index{needed} gets 404 “manifest unknown”, though the bytes are there, as "
                "after garbage-collect --delete-untagged of registry 2.x"
            )
        return (
            f"pulls of it{needed} get 500, and garbage-collect stops at it with “invalid "
            "checksum digest format”"
        )
    if gone:
        return f"pulls{needed} get 404 “blob unknown” there, though the bytes are in storage"
    return f"requests for it{needed} get 500, pushes of it too"


def _mend(link: BrokenLink, tree: str) -> str:
    path = shlex.quote(f"{tree}/{link.path}")
    if link.kind is LinkKind.TAG and link.former is not None:
        return (
            f"give {link.repository}:{link.name} the manifest that it meant last by its history: "
            f"printf %s {link.former} > {path}"
        )
    if link.kind is LinkKind.TAG:
        return f"push {link.repository}:{link.name} again: its history holds no manifest that is still whole"
    folder = shlex.quote(f"{tree}/{link.path}".rpartition("/")[0])
    return f"write the link anew, as the registry's user: mkdir -p {folder} && printf %s {link.name} > {path}"


@rule("storage/blob-missing")
def blob_missing(content: StorageContent) -> Iterator[Draft]:
    """Blobs that manifests or links name and that are not in storage."""
    if content.cache:
        # A pull-through cache removes what has aged, and fetches what is missing with the next pull.
        return
    needed = [each for each in content.lost if each.needed_by]
    lost = needed or list(content.lost)
    if not lost:
        return
    beyond = content.lost_seen - len(content.lost)
    if needed:
        opening = f"{content.tree} lacks {_count(len(needed) + beyond, 'blob')} that images need."
        if content.blobs == 0:
            opening = f"{content.tree}/blobs holds no blob at all: was another volume mounted there?"
        rest = len(content.lost) - len(needed)
        aside = f" Manifests without a tag lack {_count(rest, 'more')}." if rest else ""
        sparse = all(each.part is BlobPart.CHILD for each in needed)
        certainty = Certainty.LIKELY if sparse else Certainty.PROVEN
        if sparse:
            aside += (
                " An index may be incomplete on purpose only where registry 3 is told so "
                "(validation.manifests.indexes.platforms)."
            )
        yield finding(
            "storage/blob-missing",
            f"{opening} {_told(needed, len(needed) + beyond, _loss)}{aside}",
            certainty=certainty,
            fix=_restore(needed),
            reproduce=f"ls -l {shlex.quote(f'{content.tree}/{needed[0].path}')}",
            evidence=_evidence(content.tree, [each.path for each in needed]),
        )
        return
    yield finding(
        "storage/blob-missing",
        f"No tag lacks anything. Manifests without a tag lack {_count(len(lost) + beyond, 'blob')}, as garbage "
        "collection may leave it; only pulls by digest would miss anything. "
        + _told(lost, len(lost) + beyond, _loss),
        severity=Severity.INFO,
        certainty=Certainty.POSSIBLE,
        evidence=_evidence(content.tree, [each.path for each in lost]),
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 or noun == "more" else "s")


def _loss(lost: LostBlob) -> str:
    size = f" ({size_text(lost.size)})" if lost.size is not None else ""
    if not lost.needed_by:
        return f"{lost.repository} lacks {_PARTS[lost.part]} {lost.digest}{size}."
    images = _images(lost.repository, lost.needed_by)
    return f"{_PARTS[lost.part].capitalize()} {lost.digest}{size} is gone from {images}."


def _restore(lost: Sequence[LostBlob]) -> tuple[str, ...]:
    images = list(dict.fromkeys(_images(each.repository, each.needed_by[:1]) for each in lost))
    more = f" and {len(images) - 3} more" if len(images) > 3 else ""
    return (f"push these images again: {', '.join(images[:3])}{more}",)


@rule("storage/blob-corrupt")
def blob_corrupt(content: StorageContent) -> Iterator[Draft]:
    """Blobs whose bytes are not those of their digest."""
    if not content.corrupt:
        return
    blobs = sorted(content.corrupt, key=lambda each: (not each.needed_by, each.digest))
    moved = [
        f"move the file away, so that a push can bring it again: mv {path} {path}.corrupt"
        for path in (shlex.quote(f"{content.tree}/{each.path}") for each in blobs[:2])
    ]
    path = f"{content.tree}/{blobs[0].path}"
    algorithm = blobs[0].digest.partition(":")[0]
    yield finding(
        "storage/blob-corrupt",
        f"{_opening(content.corrupt_seen, 'blob', 'is damaged')}{_told(blobs, content.corrupt_seen, _corruption)}",
        fix=tuple(moved),
        reproduce=f"{algorithm}sum {shlex.quote(path)}",
        evidence=_evidence(content.tree, [each.path for each in blobs]),
    )


def _corruption(blob: CorruptBlob) -> str:
    if blob.seen is None:
        state = f"cannot be read ({blob.problem}): the disk does not give its {blob.size:,} bytes back"
    elif blob.size == 0:
        state = "is empty: HEAD says 200 all the same, and clients get the digest of nothing"
    else:
        expected = (
            f", while a manifest gives its size as {blob.expected_size:,}"
            if blob.expected_size not in (None, blob.size)
            else ""
        )
        state = f"has {blob.size:,} bytes with the digest {blob.seen}{expected}"
    changed = f" It was last changed on {blob.modified_at:%Y-%m-%d at %H:%M} UTC." if blob.modified_at else ""
    if blob.needed_by:
        return f"{', '.join(blob.needed_by)} cannot be pulled: the blob {blob.digest} {state}.{changed}"
    return f"The blob {blob.digest} {state}. No tagged image needs it.{changed}"


@rule("storage/reclaimable")
def reclaimable(content: StorageContent, coverage: StorageCoverage) -> Iterator[Draft]:
    """What garbage collection would free."""
    del coverage
    garbage = content.garbage
    if content.cache or garbage is None or not garbage.size + garbage.untagged_size:
        return
    parts = []
    if garbage.size:
        parts.append(
            f"{_amount(garbage.size, garbage.blobs)} that no manifest uses: garbage-collect would free it."
        )
    if garbage.untagged_size and any(each.kind is LinkKind.TAG for each in content.links):
        parts.append(
            "Some tags are broken, and --delete-untagged would delete what they mean: mend these links first."
        )
    elif garbage.untagged_size:
        more = " more" if garbage.size else ""
        parts.append(
            f"{_amount(garbage.untagged_size, garbage.untagged_blobs, more)} that only manifests without a tag "
            "use: garbage-collect --delete-untagged would free it."
        )
        if garbage.platform_size:
            parts.append(
                "Registry 2.x would with it also delete "
                f"{_amount(garbage.platform_size, garbage.platform_blobs)} that platforms of tagged indexes need, "
                "and break these images; version 3 leaves them."
            )
        if content.untaggable is not None:
            parts.append(
                f"Registry 2.x stops with “failed to retrieve tags”, because {content.untaggable} has manifests "
                "and never had a tag: give it one first, or remove it."
            )
    if garbage.unlinked_size:
        parts.append(
            f"Registry 2.x would also delete {_amount(garbage.unlinked_size, garbage.unlinked_blobs)} that only "
            "indexes lead to whose platforms the repository does not link any more."
        )
    if content.recent_size:
        parts.append(
            f"{size_text(content.recent_size)} of what no manifest uses is less than an hour old: a push that is "
            "under way may be about to use it."
        )
    yield finding(
        "storage/reclaimable",
        f"{content.tree} holds {_amount(content.size or 0, content.blobs or 0)}. " + " ".join(parts),
        evidence=("storage-content",),
    )


def _amount(size: int, blobs: int, more: str = "") -> str:
    """``1.5 GiB in 3 blobs``."""
    return f"{size_text(size)}{more} in {_count(blobs, 'blob')}"


@rule("storage/stale-cache")
def stale_cache(answers: LostBlobAnswers) -> Iterator[Draft]:
    """HEAD says that a blob is there, and its bytes are not."""
    believed = [each for each in answers.answers if _is_believed(each)]
    if not believed:
        return
    gone = [each for each in believed if each.gone_from is not None]
    shown = (gone or believed)[0]
    got = shown.got
    bytes_ = (
        f"GET announces {got.header('content-length')} bytes and sends none"
        if got is not None and came_empty(got)
        else f"GET is answered {got.status}"
        if got is not None
        else "GET fails"
    )
    where = f", and {shown.gone_from} does not exist" if shown.gone_from is not None else ""
    others = f" The same holds for {_count(len(believed) - 1, 'further blob')}." if len(believed) > 1 else ""
    yield finding(
        "storage/stale-cache",
        f"HEAD of {shown.digest} is answered 200, {bytes_}{where}: the registry remembers a blob that its storage "
        f"has lost, as after a garbage collection without a restart.{others} A push finds the blob “already "
        "there” and leaves it out, so that images pushed now cannot be pulled.",
        certainty=Certainty.PROVEN if gone else Certainty.LIKELY,
        evidence=tuple(
            answer.exchange for each in believed[:2] for answer in (each.head, each.got) if answer is not None
        ),
    )


def _is_believed(answer: LostBlobAnswer) -> bool:
    """Whether the registry says that it has the blob, and does not give its bytes."""
    head, got = answer.head, answer.got
    if head is None or head.status != 200 or head.producer.kind is not ProducerKind.REGISTRY:
        return False
    if got is None:
        return answer.gone_from is not None
    return got.status == 404 or (got.status == 200 and came_empty(got))
