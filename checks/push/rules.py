"""Judges how far an upload comes, who stands in its way, and why."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

from regdoctor.api import (
    Answer,
    Certainty,
    Draft,
    Each,
    Endpoint,
    FailureKind,
    ManifestPush,
    PolicyRefusal,
    Role,
    Severity,
    SizeTrial,
    SlowUpload,
    SlowUploads,
    UploadSession,
    UploadSizes,
    UploadStep,
    finding,
    rule,
)
from regdoctor.checks.push import reading

Registries = Annotated[Each[Endpoint], Role.REGISTRY]

MIB = 1024**2
SMALL_LIMIT = 256 * MIB
"""Layers of this size are common (language runtimes, machine learning); CDN plans allow 100 to 200 MB."""
GENEROUS_LIMIT = 1024 * MIB
SLOW_COMMIT = 5.0
"""Seconds for a blob of a few bytes, which takes milliseconds to hash and move."""
GIVES_UP = 30.0
"""Seconds that containerd's image store waits for the registry to finish a blob (moby#53700)."""
EARLIEST_CUT = 0.75
"""Seconds; what ends sooner was refused, not cut off."""
_CUT_OFF = (FailureKind.CONNECTION_CLOSED, FailureKind.CONNECTION_RESET)
_NO_TIMER = (401, 403, 404, 405, 411, 412, 413, 416, 429)


def _first(endpoints: Each[Endpoint]) -> Endpoint | None:
    return next(iter(endpoints), None)


@rule("push/read-only", "push/unsupported-cache")
def writes_refused(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """The registry takes no uploads at all."""
    for step in (session.start, session.chunk, session.commit):
        answer = step.answer if step is not None else None
        code = reading.refusal(answer)
        if answer is None or code not in ("push/read-only", "push/unsupported-cache"):
            continue
        seen = f"{reading.line(answer)}{reading.quoted(answer)}."
        if code == "push/read-only":
            meaning = (
                "It has no handler for uploads at all, which is maintenance mode; reading works."
                if not reading.said(answer).is_registry_json
                else "It says itself that it takes no writes now."
            )
        else:
            meaning = (
                "The account plays no part in this: a registry that only mirrors another one says so to "
                "everybody, and docker repeats the push without end."
            )
        named = answer.producer.why.startswith("the header") or "UNSUPPORTED" not in answer.body_excerpt
        yield finding(
            code,
            f"{seen} {meaning}",
            certainty=Certainty.PROVEN if named else Certainty.LIKELY,
            evidence=reading.evidence(step),
            endpoint=_first(registries),
        )
        return


@rule("push/location-scheme", "push/location-host")
def location(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """The upload is to go on under another scheme, host or port than the one that was asked."""
    given, registry = session.location, _first(registries)
    if given is None or registry is None or given.same_origin:
        return
    if given.url is None:
        yield finding(
            "push/location-host",
            f"POST {registry.url}/v2/{session.repository}/blobs/uploads/ was accepted "
            f"({session.start.status}), and clients do not learn where the upload goes on: {given.problem}.",
            evidence=reading.evidence(session.start),
            endpoint=registry,
        )
        return
    there = session.elsewhere
    if session.authorization == "none" and there is not None and there.succeeded:
        return
    only_scheme = given.scheme_changed and not (given.host_changed or given.port_changed)
    what = _what_changed(given.scheme_changed, given.host_changed, given.port_changed)
    seen = (
        f"The upload was begun at {registry.url}, and the registry says that it goes on at "
        f"{reading.origin_of(given)}: {what}."
    )
    parts = [seen, _what_is_there(there)]
    if session.authorization != "none":
        parts.append("docker has no credentials for that address, so an upload ends unauthorized at best.")
    parts.append(_who_builds_it(session))
    yield finding(
        "push/location-scheme" if only_scheme else "push/location-host",
        " ".join(filter(None, parts)),
        fix=_location_fix(session),
        evidence=reading.evidence(session.start, there),
        endpoint=registry,
    )


def _what_changed(scheme: bool, host: bool, port: bool) -> str:
    names = [word for changed, word in ((scheme, "scheme"), (host, "host"), (port, "port")) if changed]
    return f"another {' and another '.join(names)}"


def _what_is_there(there: UploadStep | None) -> str:
    if there is None:
        return ""
    if there.answer is not None:
        answer = there.answer
        return f"A GET there is answered {answer.status} by {reading.who(answer)}{reading.quoted(answer)}."
    return f"That address does not answer: {there.failure.message if there.failure else 'no reason known'}."


def _who_builds_it(session: UploadSession) -> str:
    forwarded = session.forwarded
    if forwarded is None or forwarded.url is None:
        return ""
    if forwarded.same_origin:
        return (
            "With X-Forwarded-Proto and X-Forwarded-Host in the request it comes out right, so the registry "
            "would build it rightly, and the proxy in front does not tell it how clients reach it."
        )
    return (
        "The same comes back where the request itself carries X-Forwarded-Proto and X-Forwarded-Host: either "
        "http.host is set in the registry's configuration, or a proxy overwrites these headers."
    )


def _location_fix(session: UploadSession) -> tuple[str, ...]:
    forwarded = session.forwarded
    if forwarded is None or forwarded.url is None or forwarded.same_origin:
        return ()
    return ("look at http.host in the registry's config.yml (or REGISTRY_HTTP_HOST) first",)


@rule("push/method-blocked")
def methods(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """A hop before the registry refuses a method."""
    steps = [*session.steps, *([session.deletion] if session.deletion is not None else [])]
    refused: dict[str, tuple[Answer, Certainty]] = {}
    for step in (*steps, *session.methods):
        answer = step.answer
        certainty = reading.by_a_hop(answer) if answer is not None else None
        if answer is not None and certainty is not None and _is_a_block(answer):
            refused.setdefault(step.method, (answer, certainty))
    if not refused:
        return
    passed = [
        step.method
        for step in (*steps, *session.methods)
        if step.answer is not None and reading.by_a_hop(step.answer) is None and step.method not in refused
    ]
    first, certainty = next(iter(refused.values()))
    names = ", ".join(refused)
    seen = f"{reading.line(first)}{reading.quoted(first)}, before the registry saw it."
    beside = f" {', '.join(dict.fromkeys(passed))} get through to the registry." if passed else ""
    if tuple(refused) == ("DELETE",):
        effect = (
            " Pushes do without it; uploads that break off cannot be cancelled, and images not be deleted, "
            "through this hop."
        )
    else:
        effect = f" Refused is {names}: pulls work, and every push stops there."
    yield finding(
        "push/method-blocked",
        f"{seen}{beside}{effect}",
        certainty=certainty if passed or first.status in (405, 501) else Certainty.LIKELY,
        severity=Severity.INFO if tuple(refused) == ("DELETE",) else None,
        evidence=tuple(answer.exchange for answer, _certainty in refused.values()),
        endpoint=_first(registries),
    )


def _is_a_block(answer: Answer) -> bool:
    """Refusals of a request as such; others have codes of their own."""
    return 400 <= answer.status < 500 and answer.status not in (404, 407, 408, 410, 413, 429, 431, 499)


@rule("push/path-rewritten")
def path(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """The registry gets another path than the one that was asked, or that it gave out."""
    answer, registry = session.start.answer, _first(registries)
    if answer is None or registry is None:
        return
    asked = f"/v2/{session.repository}/blobs/uploads/"
    if reading.redirects(answer):
        to = reading.place(answer.header("location") or "")
        slash = to.rstrip("/").endswith(asked.rstrip("/"))
        yield finding(
            "push/path-rewritten",
            f"{reading.line(answer)}, which sends the client to {to or 'nowhere'}. "
            + (
                "That is the address that was asked: a hop takes the slash at its end away before the registry "
                "sees it. Clients follow with GET, and no upload begins."
                if slash
                else "Clients follow such a redirect with GET, and no upload begins."
            ),
            certainty=Certainty.PROVEN if slash else Certainty.LIKELY,
            evidence=(answer.exchange,),
            endpoint=registry,
        )
        return
    if answer.status == 404 and not reading.said(answer).codes:
        by_registry = reading.by_registry(answer)
        yield finding(
            "push/path-rewritten",
            f"{reading.line(answer)}{reading.quoted(answer)}. Every registry has an answer at {asked} (202, or "
            "an error in JSON); a bare 404 means that the request arrived under another path, or at another "
            "server.",
            certainty=Certainty.PROVEN if by_registry else Certainty.LIKELY,
            evidence=(answer.exchange,),
            endpoint=registry,
        )
        return
    yield from _path_of_the_session(session, registry)


def _path_of_the_session(session: UploadSession, registry: Endpoint) -> Iterator[Draft]:
    given = session.location
    looks = _looks(session)
    if given is None or not looks or any(step.succeeded for step in looks):
        return
    first = next(
        (step for step in looks if step.answer is not None and step.status in (301, 308, 400, 404)), None
    )
    if first is None or first.answer is None:
        return
    seen = f"{reading.line(first.answer)}{reading.quoted(first.answer)}, right after the upload was opened."
    if given.path_changed:
        yield finding(
            "push/path-rewritten",
            f"The upload was begun at /v2/{session.repository}/, and the registry says that it goes on at "
            f"{reading.place(given.url or '')}. {seen} A hop changes paths on the way in and does not change "
            "them back in Location.",
            evidence=reading.evidence(session.start, first),
            endpoint=registry,
        )
    elif not reading.unknown(first.answer):
        tries = len(looks)
        yield finding(
            "push/path-rewritten",
            f"{seen} So were all {tries} requests about fresh uploads. The registry has not got the path or "
            "query that it gave out (distribution's state is in the parameter _state); replicas with "
            "different secrets, between which the balancer chooses by the URL, would look the same.",
            certainty=Certainty.LIKELY,
            evidence=reading.evidence(session.start, first),
            endpoint=registry,
        )


def _looks(session: UploadSession) -> tuple[UploadStep, ...]:
    """Every request about a session that had been opened."""
    rest = (session.chunk, session.commit)
    return (
        *session.statuses,
        *(step for step in rest if step is not None),
        *(step for other in session.further for step in other.statuses),
    )


@rule("push/upload-secret-mismatch", "push/upload-lost", "push/storage-failure")
def lost_sessions(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """An upload that was opened is sometimes found again and sometimes not."""
    looks = _looks(session)
    found = [step for step in looks if step.succeeded]
    unknown = [step for step in looks if reading.unknown(step.answer)]
    invalid = [step for step in looks if reading.lost(step.answer) and not reading.unknown(step.answer)]
    statuses = (*session.statuses, *(each for other in session.further for each in other.statuses))
    registry = _first(registries)
    counted = f"Of {len(looks)} requests about uploads that had just been opened"
    if found and any(step in invalid for step in statuses):
        yield finding(
            "push/upload-secret-mismatch",
            f"{counted}, {len(found)} were answered well and {len(invalid)} with “blob upload invalid”, each "
            "over a connection of its own. The state of an upload is signed with http.secret: some replicas "
            "accept the signature and some do not.",
            evidence=reading.evidence(session.start, found[0], invalid[0]),
            endpoint=registry,
        )
    elif unknown and (found or session.location is None or not session.location.path_changed):
        together = (
            f"{counted}, {len(found)} found it and {len(unknown)} were answered “blob upload unknown”, each over "
            "a connection of its own. The signature was accepted everywhere, so the replicas have one secret "
            "and different storage."
            if found
            else f"{counted}, all {len(unknown)} were answered “blob upload unknown”, although the registry "
            "accepts its own signature: what one request writes, the next one does not see. Replicas that do not "
            "share storage, chosen by the URL, do this, and so does NFS with attribute caching."
        )
        yield finding(
            "push/upload-lost",
            together,
            certainty=Certainty.PROVEN if found else Certainty.LIKELY,
            evidence=reading.evidence(session.start, *found[:1], unknown[0]),
            endpoint=registry,
        )
    elif found and invalid:
        step = invalid[0]
        if step.answer is not None:
            yield finding(
                "push/storage-failure",
                f"{reading.line(step.answer)}{reading.quoted(step.answer)}, although the upload was found "
                f"{len(found)} times before and after: the registry took the bytes and does not have them. "
                "Used-up inodes or space do that, and NFS with attribute caching behind several replicas.",
                certainty=Certainty.LIKELY,
                fix=("look at the inodes of the registry's storage as well as at its space: df -i ROOT",),
                evidence=reading.evidence(session.start, found[-1], step),
                endpoint=registry,
            )


@rule("push/upload-lost")
def lost_blob(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """The blob that was committed is not there at the next request."""
    commit, look = session.commit, session.look
    if commit is None or not commit.succeeded or look is None or look.status != 404:
        return
    yield finding(
        "push/upload-lost",
        f"The upload was finished ({commit.status}), and {reading.outcome(look)}: whoever answers the next "
        "request does not have the blob.",
        certainty=Certainty.LIKELY,
        evidence=reading.evidence(commit, look),
        endpoint=_first(registries),
    )


@rule("push/storage-failure")
def storage(
    session: UploadSession, sizes: UploadSizes | None, pushed: ManifestPush | None, registries: Registries
) -> Iterator[Draft]:
    """The registry itself answers 500 to a step that writes."""
    sent = [(trial.step, trial.size) for trial in (sizes.trials if sizes else ()) if not trial.announced]
    steps: list[tuple[UploadStep | None, int | None]] = [
        (session.start, None),
        (session.chunk, None),
        (session.commit, None),
        *sent,
    ]
    if pushed is not None:
        steps += [(pushed.again, None), (pushed.tagged, None)]
    for step, number in steps:
        answer = step.answer if step is not None else None
        if answer is None or reading.refusal(answer) != "push/storage-failure":
            continue
        cause = reading.storage_cause(answer)
        after = (
            f" A blob of a few bytes was stored; {reading.size(number)} were not."
            if number is not None
            else ""
        )
        yield finding(
            "push/storage-failure",
            f"{reading.line(answer)}{reading.quoted(answer)}."
            + (f" It says why: {cause}." if cause else " It does not say why; its log does.")
            + after
            + " Reading is not affected.",
            evidence=reading.evidence(step),
            endpoint=_first(registries),
        )
        return


@rule("push/body-too-large")
def body_size(session: UploadSession, sizes: UploadSizes | None, registries: Registries) -> Iterator[Draft]:
    """A hop refuses bodies above some size."""
    trials = sizes.trials if sizes is not None else ()
    refused = sorted((each for each in trials if _too_large(each)), key=lambda each: each.size)
    tiny = next((step for step in session.steps if step.status == 413), None)
    registry = _first(registries)
    if not refused:
        if tiny is not None and tiny.answer is not None:
            yield finding(
                "push/body-too-large",
                f"{reading.line(tiny.answer)}{reading.quoted(tiny.answer)}, for a body of {tiny.sent} bytes.",
                evidence=reading.evidence(tiny),
                endpoint=registry,
            )
        return
    smallest = refused[0]
    answer = smallest.step.answer
    if answer is None:
        return
    passing = [each.size for each in trials if each.size < smallest.size and not _too_large(each)]
    largest = max(passing, default=0)
    how = "announced" if smallest.announced else "sent"
    below = f"; {reading.size(largest)} pass" if largest else ""
    plain = answer.status == 413
    seen = (
        f"A body of {reading.size(smallest.size)} was {how}: {reading.line(answer)}{reading.quoted(answer)}"
        f"{below}. The registry never sees such a request."
        if not reading.by_registry(answer)
        else f"A body of {reading.size(smallest.size)} was {how}: {reading.line(answer)}"
        f"{reading.quoted(answer)}{below}."
    )
    if not plain:
        seen += " The same request with a few bytes passes, so it is the size or the content of the body."
    yield finding(
        "push/body-too-large",
        seen + _default_limit(answer, smallest.size),
        certainty=Certainty.PROVEN if plain else Certainty.LIKELY,
        severity=_severity_of_limit(smallest.size),
        evidence=reading.evidence(smallest.step),
        endpoint=registry,
    )


def _too_large(trial: SizeTrial) -> bool:
    """Whether the size was refused: by 413, or by another refusal of a hop where the bytes were sent."""
    answer = trial.step.answer
    if answer is None:
        return False
    if answer.status == 413:
        return True
    return not trial.announced and reading.by_a_hop(answer) is not None and _is_a_block(answer)


def _default_limit(answer: Answer, size: int) -> str:
    if answer.producer.name in ("nginx", "OpenResty") and size <= 2 * MIB:
        return " 1 MB is what nginx allows where client_max_body_size is not set."
    if answer.producer.name == "Cloudflare":
        return " Cloudflare's limit depends on the plan: 100 MB, 200 MB or 500 MB."
    return ""


def _severity_of_limit(size: int) -> Severity | None:
    """Limits that hardly any layer meets are worth a word, and no more."""
    if size > GENEROUS_LIMIT:
        return Severity.INFO
    return Severity.WARNING if size > SMALL_LIMIT else None


@rule("push/cut-off")
def cut_off(slow: SlowUploads, registries: Registries) -> Iterator[Draft]:
    """Uploads that take their time are ended before they are done."""
    steady, pausing = _cut_at(slow.steady), _cut_at(slow.pausing)
    if steady is None and pausing is None:
        return
    if steady is not None and pausing is not None and abs(steady - pausing) <= max(0.5, 0.15 * steady):
        seen = (
            f"Two uploads of {slow.steady.planned:g} s, side by side, were both ended after {steady:.1f} s, "
            f"though one had sent {_sent(slow.steady)} and the other {_sent(slow.pausing)}: a timer on the whole "
            "request, whatever its size."
        )
        certainty = Certainty.PROVEN
    elif steady is None and pausing is not None:
        seen = (
            f"An upload that sends all the time passed; one that paused was ended after {pausing:.1f} s. A timer "
            "on the way allows no more silence than that, and clients pause while they compress a layer or "
            "the registry is busy."
        )
        certainty = Certainty.PROVEN
    else:
        times = " and ".join(f"{each:.1f} s" for each in (steady, pausing) if each is not None)
        seen = f"Uploads that take {slow.steady.planned:g} s were ended after {times}."
        certainty = Certainty.LIKELY
    cut = slow.steady if steady is not None else slow.pausing
    how = reading.outcome(cut.step) if cut.step is not None else ""
    yield finding(
        "push/cut-off",
        f"{seen} {how}. The client did not close.",
        certainty=certainty,
        evidence=reading.evidence(slow.steady.step, slow.pausing.step),
        endpoint=_first(registries),
    )


def _sent(slow: SlowUpload) -> str:
    return reading.size(slow.step.sent) if slow.step is not None else "nothing"


def _cut_at(slow: SlowUpload) -> float | None:
    """Seconds after which a slow upload was ended from outside; None where it was not."""
    step = slow.step
    if step is None or slow.whole or step.seconds < EARLIEST_CUT or step.succeeded:
        return None
    if step.failure is not None:
        return step.seconds if step.failure.kind in _CUT_OFF else None
    return None if step.status in _NO_TIMER else step.seconds


@rule("push/cut-off")
def broken_off(sizes: UploadSizes, registries: Registries) -> Iterator[Draft]:
    """The connection is closed while a body is being sent, twice in a row."""
    broken = [
        trial
        for trial in sizes.trials
        if not trial.announced and trial.step.failure is not None and trial.step.failure.kind in _CUT_OFF
    ]
    for first, second in pairwise(broken):
        if first.size == second.size and first.step.failure is not None:
            yield finding(
                "push/cut-off",
                f"A body of {reading.size(first.size)} was broken off twice, after {first.step.seconds:.1f} s and "
                f"{reading.size(first.step.sent)}, and after {second.step.seconds:.1f} s and "
                f"{reading.size(second.step.sent)}: {first.step.failure.message}. A blob of a few bytes passes.",
                certainty=Certainty.LIKELY,
                evidence=("upload-sizes",),
                endpoint=_first(registries),
            )
            return


@rule("push/immutable-tag", "push/quota-exceeded", "push/policy-blocked")
def refused_by_rule(
    session: UploadSession, sizes: UploadSizes | None, pushed: ManifestPush | None, registries: Registries
) -> Iterator[Draft]:
    """The registry's own rules refuse the push: immutable tags, quotas, policies."""
    steps: list[UploadStep | None] = [session.start, session.chunk, session.commit]
    steps += [trial.step for trial in (sizes.trials if sizes is not None else ())]
    if pushed is not None:
        steps += [pushed.again, pushed.tagged]
    told: set[str] = set()
    for step in steps:
        answer = step.answer if step is not None else None
        code = reading.refusal(answer)
        known = ("push/immutable-tag", "push/quota-exceeded", "push/policy-blocked")
        if step is None or answer is None or code not in known or code in told:
            continue
        told.add(code)
        again = pushed is not None and step is pushed.again
        what = (
            f" That was the manifest of {pushed.reference} itself, put again unchanged."
            if again and pushed is not None
            else ""
        )
        yield finding(
            code,
            f"{reading.line(answer)}{reading.quoted(answer)}.{what}{_meaning(code)}",
            certainty=Certainty.PROVEN if reading.by_registry(answer) else Certainty.LIKELY,
            evidence=reading.evidence(step),
            endpoint=_first(registries),
        )


def _meaning(code: str) -> str:
    return {
        "push/immutable-tag": " Layers upload, and the manifest is refused at the very end; a new tag would pass.",
        "push/quota-exceeded": " It says “denied”, and rights are not what is lacking.",
        "push/policy-blocked": " The account's rights are enough; a rule of the project stands against the image.",
    }[code]


@rule("push/commit-slow")
def commit(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """The last request of an upload takes so long that clients give up."""
    step = session.commit
    if step is None or step.seconds < SLOW_COMMIT:
        return
    silent = step.failure is not None and step.failure.kind is FailureKind.RESPONSE_TIMEOUT
    if not (silent or step.succeeded):
        return
    took = f"was not answered within {step.seconds:.0f} s" if silent else f"took {step.seconds:.1f} s"
    before = f" The request before took {session.chunk.seconds:.1f} s." if session.chunk is not None else ""
    yield finding(
        "push/commit-slow",
        f"The PUT that finishes an upload of a few bytes {took}.{before} It takes longer with the size of the "
        f"layer, and clients with the containerd image store give up after {GIVES_UP:.0f} s.",
        certainty=Certainty.PROVEN if step.seconds >= GIVES_UP else Certainty.LIKELY,
        evidence=reading.evidence(session.chunk, step),
        endpoint=_first(registries),
    )


@rule("push/policy-blocked")
def look_refused(policy: PolicyRefusal, registries: Registries) -> Iterator[Draft]:
    """The manifest cannot even be looked at (412)."""
    answer = policy.answer
    yield finding(
        "push/policy-blocked",
        f"{reading.line(answer)}{reading.quoted(answer)}. Pulls of the image are refused, and so are pushes by "
        "builders that look at the existing tag first (buildx, kaniko, crane).",
        certainty=Certainty.PROVEN if reading.by_registry(answer) else Certainty.LIKELY,
        evidence=(answer.exchange,),
        endpoint=_first(registries),
    )
