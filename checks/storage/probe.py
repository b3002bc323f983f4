"""Reads the registry's storage, and asks the registry for what is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regdoctor.api import (
    Answer,
    Blobs,
    Blocked,
    Context,
    Endpoint,
    LostBlobAnswer,
    LostBlobAnswers,
    NotApplicable,
    PullAuthorization,
    Response,
    RunningRegistries,
    StorageContent,
    StorageCoverage,
    Target,
    in_time,
    probe,
    side_by_side,
    storage,
)

MOST_ASKED = 8
"""Blobs that the registry is asked for."""
FIRST_BYTES = 1024
RESERVE = 1.0
"""Seconds before the deadline of a check at which reading ends, so that what was seen is still told."""


@probe
def read(target: Target, context: Context, running: RunningRegistries | None = None) -> StorageContent:
    """What lies in the storage: of one image what it needs, and for fsck everything."""
    path = context.options.storage
    if path is None and running is not None and running.registry is not None and running.registry.storage:
        path = Path(running.registry.storage)
    if path is None:
        raise NotApplicable("no storage folder is given (--storage)")
    if context.options.whole_storage:
        return _read_everything(path, context)
    reference = target.reference
    if reference is None:
        raise NotApplicable("the target names no image; regdoctor fsck reads a whole storage")
    digest = reference.digest
    tag = reference.reference if digest is None else None
    request = storage.request(stop=lambda: context.deadline.remaining() < RESERVE)

    def look() -> StorageContent | None:
        return storage.read_one(path, reference.repository, tag=tag, digest=digest, request=request)

    seconds = context.deadline.step()
    try:
        content = in_time(look, seconds)
    except TimeoutError:
        raise Blocked(f"{path} could not be read within {seconds:g} s; --timeout gives it more") from None
    except storage.NoStorage as reason:
        raise NotApplicable(str(reason)) from None
    if content is None:
        raise NotApplicable(f"{path} has no {reference.repository} with {reference.reference}")
    return content


def _read_everything(path: Path, context: Context) -> StorageContent:
    options = context.options
    request = storage.request(
        jobs=options.jobs,
        helpers=context.shared.get(storage.HELPERS),
        verify=options.verify_blobs,
        resume=options.resume,
        stop=lambda: context.cleanup.ended or context.deadline.remaining() < storage.CONCLUDING,
        tell=context.progress,
    )
    return storage.read_everything(path, request)


@probe
def cover(content: StorageContent) -> StorageCoverage:
    """Whether everything could be read."""
    if content.unread_seen:
        first = content.unread[0]
        others = f" and {content.unread_seen - 1} other places" if content.unread_seen > 1 else ""
        raise Blocked(f"{content.tree}/{first.path}{others} could not be looked at ({first.why})")
    if not content.complete:
        raise Blocked(f"reading {content.tree} was ended before everything was seen")
    return StorageCoverage(tree=content.tree)


@probe
def ask_for_lost_blobs(
    target: Target,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    content: StorageContent | None,
    blobs: Blobs | None,
    context: Context,
) -> LostBlobAnswers:
    """HEAD and GET of what is not in storage, or came without its bytes (OCI distribution-spec, end-2)."""
    if target.repository is None:
        raise NotApplicable("the target names no image")
    wanted = dict.fromkeys(_lost(content, blobs))
    if not wanted:
        raise NotApplicable("no blob is known to be lost")

    def ask(digest: str) -> LostBlobAnswer:
        url = f"{endpoint.url}/v2/{target.repository}/blobs/{digest}"
        got: list[Answer | None] = []
        for method in ("HEAD", "GET"):
            response = context.http.request(
                method, url, authorization=authorization.header, proxy=endpoint.proxy, body_limit=FIRST_BYTES
            )
            got.append(response.answer if isinstance(response, Response) else None)
        return LostBlobAnswer(digest=digest, head=got[0], got=got[1], gone_from=_place(content, digest))

    return LostBlobAnswers(answers=tuple(side_by_side(ask, list(wanted)[:MOST_ASKED], workers=4)))


def _lost(content: StorageContent | None, blobs: Blobs | None) -> Iterator[str]:
    """Digests of what is not in storage, as its files or the registry's answers show."""
    if content is not None:
        yield from (each.digest for each in content.lost)
        yield from content.dangling
    for blob in blobs.blobs if blobs is not None else ():
        answer = blob.answer
        if answer is not None and answer.status == 200 and came_empty(answer):
            yield blob.descriptor.digest


def came_empty(answer: Answer) -> bool:
    """Whether a body was announced and not one byte of it came."""
    length = answer.header("content-length") or ""
    return (
        answer.method == "GET"
        and answer.body_size == 0
        and not answer.body_complete
        and length.isdigit()
        and int(length) > 0
    )


def _place(content: StorageContent | None, digest: str) -> str | None:
    """The file that is missing, where the storage was looked at."""
    if content is None:
        return None
    lost = next((each for each in content.lost if each.digest == digest), None)
    if lost is not None:
        return f"{content.tree}/{lost.path}"
    algorithm, _, encoded = digest.partition(":")
    if digest in content.dangling:
        return f"{content.tree}/blobs/{algorithm}/{encoded[:2]}/{encoded}/data"
    return None
