"""What was tried of a push, in words, and what that way of trying cannot show. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import (
    ManifestPush,
    SizeTrial,
    SlowUpload,
    SlowUploads,
    Trial,
    UploadSession,
    UploadSizes,
    UploadStep,
)
from regdoctor.checks.push import reading

_NO_TIME = "not tried: the run ended before, or something above stood against it"


def trials(
    session: UploadSession, sizes: UploadSizes | None, slow: SlowUploads | None, pushed: ManifestPush | None
) -> Iterator[Trial]:
    """One after the other, in the order in which they were made."""
    yield Trial(what="a blob of a few bytes", outcome=_blob(session))
    if not session.complete:
        return
    yield from _sizes(sizes)
    yield from _slowly(slow)
    if pushed is not None:
        yield from _manifests(pushed)


def _blob(session: UploadSession) -> str:
    if not session.complete:
        return reading.why_incomplete(session)
    done = ["stored"]
    if session.read_back:
        done.append("read back")
    deletion = session.deletion
    if deletion is not None:
        done.append("deleted" if deletion.succeeded else f"not deleted ({_came_of(deletion)})")
    return ", ".join(done)


def _came_of(step: UploadStep) -> str:
    return str(step.status) if step.answer is not None else "no answer"


def _sizes(sizes: UploadSizes | None) -> Iterator[Trial]:
    if sizes is None:
        yield Trial(what="large bodies", outcome=_NO_TIME)
        return
    announced = [trial for trial in sizes.trials if trial.announced]
    sent = [trial for trial in sizes.trials if not trial.announced]
    if announced:
        yield Trial(
            what="bodies that are only announced",
            outcome=_passing(announced),
            unseen="a hop that counts the bytes instead of reading Content-Length shows no limit here",
        )
    largest = max((trial.size for trial in sent), default=0)
    yield Trial(
        what="bodies that are sent",
        outcome=_passing(sent) if sent else sizes.withheld or "not tried",
        unseen=f"a limit above {reading.size(largest)} of a hop that counts bytes would not be found: no more is "
        "sent, so as not to fill the registry"
        if sent
        else None,
    )


def _passing(tried: list[SizeTrial]) -> str:
    refused = [each.size for each in tried if each.step.status == 413 or _failed(each)]
    passed = [each.size for each in tried if each.size not in refused]
    words = [f"{reading.size(max(passed))} pass"] if passed else []
    words += [f"{reading.size(min(refused))} do not"] if refused else []
    return ", ".join(words)


def _failed(trial: SizeTrial) -> bool:
    """Whether a body that was sent did not arrive; one that was only announced is never taken."""
    return not trial.announced and not trial.step.succeeded


def _slowly(slow: SlowUploads | None) -> Iterator[Trial]:
    if slow is None:
        yield Trial(what="uploads that take their time", outcome=_NO_TIME)
        return
    planned = slow.steady.planned
    pausing = f"the one that pauses {slow.pausing.pause:g} s {_ended(slow.pausing)}"
    ends = f"the steady one {_ended(slow.steady)}, {pausing}"
    unseen = f"a timer of more than {planned:g} s would not be found"
    if planned < 60:
        unseen += "; usual ones have a minute: --push-seconds 70 --deadline 150"
    yield Trial(what=f"uploads that take {planned:g} s", outcome=ends, unseen=unseen)


def _ended(slow: SlowUpload) -> str:
    if slow.step is None:
        return "not begun"
    if slow.step.succeeded:
        return "passed"
    return f"ended after {slow.step.seconds:.1f} s ({_came_of(slow.step)})"


def _manifests(pushed: ManifestPush) -> Iterator[Trial]:
    if pushed.again is not None:
        yield Trial(
            what=f"{pushed.reference} again under its own tag, unchanged", outcome=_came_of(pushed.again)
        )
    if pushed.tagged is not None:
        yield Trial(what=f"a tiny image as {pushed.tag}", outcome=_came_of(pushed.tagged))
    if pushed.skipped is not None:
        yield Trial(what="a manifest", outcome=f"not put: {pushed.skipped}")
