"""Judges how far an upload comes, who stands in its way, and why."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any

from regdoctor.api import (
    Answer,
    Certainty,
    Draft,
    Each,
    Endpoint,
    FailureKind,
    HeadRefusal,
    Location,
    ManifestPush,
    PolicyRefusal,
    ProxyConfig,
    PushRemains,
    RemainKind,
    ReverseProxySetting,
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
from regdoctor.checks.push import configured, reading

Registries = Annotated[Each[Endpoint], Role.REGISTRY]

MIB = 1024**2
SMALL_LIMIT = 256 * MIB
"""Layers of this size are common (language runtimes, machine learning); CDN plans allow 100 to 200 MB."""
GENEROUS_LIMIT = 1024 * MIB
SLOW_COMMIT = 5.0
"""Seconds for a blob of a few bytes, which takes milliseconds to hash and move."""
GIVES_UP = 30.0
"""Seconds that containerd's image store waits for the registry to finish a blob (moby#53700)."""
EARLIEST_CUT = 0.4
"""Seconds; what ends sooner was refused, not cut off."""
AT_ONCE = 0.7
"""Seconds within which a hop that has lost its line to the registry says so when an upload is done."""
_BROKEN = (FailureKind.CONNECTION_CLOSED, FailureKind.CONNECTION_RESET)
_GATEWAY = (502, 503, 504)
_NO_TIMER = (401, 403, 404, 405, 411, 412, 413, 416, 429)
_REFUSED_BY_RULE = ("push/immutable-tag", "push/quota-exceeded", "push/policy-blocked")


def _first(endpoints: Each[Endpoint]) -> Endpoint | None:
    return next(iter(endpoints), None)


def _found(code: str, detail: str, session: UploadSession, registries: Each[Endpoint], **more: Any) -> Draft:
    """A finding about the registry; the commands of the catalogue name the repository that was pushed to."""
    return finding(code, detail, endpoint=_first(registries), repository=session.repository, **more)


@rule("push/read-only", "push/unsupported-cache")
def writes_refused(
    session: UploadSession, pushed: ManifestPush | None, registries: Registries
) -> Iterator[Draft]:
    """The registry takes no uploads at all."""
    for step in (*_writes(session), *_manifests(pushed)):
        answer = step.answer
        code = reading.refusal(answer)
        if answer is None or code not in ("push/read-only", "push/unsupported-cache"):
            continue
        if code == "push/unsupported-cache":
            meaning = (
                "The account plays no part in this: a registry that only mirrors another one says so to "
                "everybody, and docker repeats the push without end."
            )
        elif reading.said(answer).is_registry_json:
            meaning = "It says itself that it takes no writes now; reading works."
        else:
            meaning = "It handles no request that writes, which is its maintenance mode; reading works."
        plain = reading.by_distribution(answer) or "UNSUPPORTED" not in reading.said(answer).codes
        yield _found(
            code,
            f"{reading.line(answer)}{reading.quoted(answer)}. {meaning}",
            session,
            registries,
            certainty=Certainty.PROVEN if plain else Certainty.LIKELY,
            evidence=reading.evidence(step),
        )
        return


def _writes(session: UploadSession) -> tuple[UploadStep, ...]:
    """The steps that change something, as far as they were made."""
    return tuple(step for step in (session.start, session.chunk, session.commit) if step is not None)


def _manifests(pushed: ManifestPush | None) -> tuple[UploadStep, ...]:
    if pushed is None:
        return ()
    return tuple(step for step in (pushed.again, pushed.tagged) if step is not None)


@rule("push/location-scheme", "push/location-host")
def location(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """The upload is to go on under another scheme, host or port than the one that was asked."""
    given, registry = session.location, _first(registries)
    if given is None or registry is None or given.same_origin:
        return
    if given.url is None:
        if reading.is_page(session.start.answer):
            return  # something else has answered: told of what answers, not of where the upload goes on
        yield _found(
            "push/location-host",
            f"An upload was opened ({session.start.status}), and clients do not learn where it goes on: "
            f"{given.problem}.",
            session,
            registries,
            evidence=reading.evidence(session.start),
        )
        return
    there = session.elsewhere
    if session.authorization == "none" and there is not None and there.succeeded:
        return
    parts = [
        f"The upload was begun at {registry.url}, and the registry says that it goes on at "
        f"{reading.origin_of(given)}: {_what_changed(given)}.",
        _what_is_there(there),
        "docker has no credentials for that address, so an upload ends unauthorized at best."
        if session.authorization != "none"
        else "",
        _who_builds_it(session.forwarded),
    ]
    only_scheme = given.scheme_changed and not (given.host_changed or given.port_changed)
    fixed = session.forwarded is not None and session.forwarded.url is not None
    yield _found(
        "push/location-scheme" if only_scheme else "push/location-host",
        " ".join(filter(None, parts)),
        session,
        registries,
        fix=("look at http.host in the registry's config.yml (or REGISTRY_HTTP_HOST) first",)
        if fixed and session.forwarded is not None and not session.forwarded.same_origin
        else (),
        evidence=reading.evidence(session.start, there),
    )


@rule("push/location-scheme", "push/location-host")
def redirected(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """The request that begins an upload is sent to another origin, where clients go with GET or without login."""
    answer = session.start.answer
    there = reading.redirection(answer) if answer is not None else None
    if answer is None or there is None or there.same_origin or there.path_changed:
        return
    only_scheme = there.scheme_changed and not there.host_changed
    if answer.status in (307, 308) and not (there.host_changed or there.downgrades):
        # Clients go there with the same method and their credentials.
        return
    upgrade = only_scheme and (there.url or "").startswith("https:")
    origin = reading.origin_of(there)
    follow = (
        "Clients go there with GET, and no upload begins."
        if answer.status in (301, 302, 303)
        else "Clients drop their credentials on the way there."
    )
    yield _found(
        "push/location-scheme" if only_scheme else "push/location-host",
        f"{reading.line(answer)}, which sends the client to {origin}: {_what_changed(there)}. {follow}",
        session,
        registries,
        fix=(f"name the registry as it is served, by https: {origin}, and not as an insecure one",)
        if upgrade
        else (),
        evidence=(answer.exchange,),
    )


def _what_changed(given: Location) -> str:
    changes = ((given.scheme_changed, "scheme"), (given.host_changed, "host"), (given.port_changed, "port"))
    return f"another {' and another '.join(word for changed, word in changes if changed)}"


def _what_is_there(there: UploadStep | None) -> str:
    if there is None:
        return ""
    if there.answer is not None:
        answer = there.answer
        return f"A GET there is answered {answer.status} by {reading.who(answer)}{reading.quoted(answer)}."
    return f"That address does not answer: {there.failure.message if there.failure else 'no reason known'}."


def _who_builds_it(forwarded: Location | None) -> str:
    """What the answer to a request that names scheme and host itself tells about who is at fault."""
    if forwarded is None or forwarded.url is None:
        return ""
    if forwarded.same_origin:
        return (
            "Where the request itself carries X-Forwarded-Proto and X-Forwarded-Host it comes out right: the "
            "proxy in front does not tell the registry how clients reach it."
        )
    return (
        "The same comes back where the request itself carries X-Forwarded-Proto and X-Forwarded-Host: either "
        "http.host is set in the registry's configuration, or a proxy overwrites these headers."
    )


@rule("push/method-blocked")
def methods(
    session: UploadSession,
    remains: PushRemains | None,
    registries: Registries,
    config: ProxyConfig | None,
) -> Iterator[Draft]:
    """A hop before the registry refuses a method."""
    steps = [*session.steps, *([session.deletion] if session.deletion is not None else []), *session.methods]
    refused: dict[str, tuple[Answer, Certainty]] = {}
    for step in steps:
        answer = step.answer
        certainty = reading.by_a_hop(answer) if answer is not None else None
        if answer is not None and certainty is not None and reading.blocks(answer):
            refused.setdefault(step.method, (answer, certainty))
        elif answer is not None and reading.strays(answer, session):
            refused.setdefault(step.method, (answer, Certainty.LIKELY))
    if not refused:
        return
    passed = dict.fromkeys(
        step.method for step in steps if reading.reached(step.answer) and step.method not in refused
    )
    answer, certainty = next(iter(refused.values()))
    only_delete = tuple(refused) == ("DELETE",)
    setting = configured.refusing(config, registries, refused)
    effect = (
        "Pushes do without it; uploads that break off cannot be cancelled, and images not be deleted, through "
        f"this hop.{_uploads_left(remains)}"
        if only_delete
        else "Pulls work, and every push stops there."
    )
    yield _found(
        "push/method-blocked",
        f"{reading.line(answer)}{reading.quoted(answer)}, before the registry saw it. Refused: "
        f"{', '.join(refused)}; let through: {', '.join(passed) or 'none of those that push'}. {effect}"
        f"{configured.told(setting)}",
        session,
        registries,
        certainty=certainty if passed else Certainty.LIKELY,
        severity=Severity.INFO if only_delete else None,
        evidence=(*_places(setting), *(answer.exchange for answer, _certainty in refused.values())),
    )


def _places(setting: ReverseProxySetting | None) -> tuple[str, ...]:
    return (setting.place,) if setting is not None and setting.place is not None else ()


@rule("push/method-blocked")
def methods_configured(
    config: ProxyConfig, session: UploadSession | None, registries: Registries
) -> Iterator[Draft]:
    """A reverse proxy's configuration refuses a method; an upload that was tried tells of itself."""
    if session is None:
        yield from configured.refusals(config, registries)


@rule("push/method-blocked")
def head(found: HeadRefusal, session: UploadSession | None, registries: Registries) -> Iterator[Draft]:
    """A hop refuses HEAD alone: GET of the same manifest is answered."""
    got, refused = found.got, found.answer
    if session is not None and any(
        step.method == "HEAD" and not reading.reached(step.answer)
        for step in (*session.steps, *session.methods)
    ):
        return  # told with the other methods
    yield finding(
        "push/method-blocked",
        f"{reading.line(refused)}, and GET of the same is answered 200: the method HEAD does not get through. "
        "Clients ask with HEAD whether a manifest or blob is there, before every push, and containerd and crane "
        "before pulls as well.",
        certainty=Certainty.PROVEN if reading.by_a_hop(refused) is not None else Certainty.LIKELY,
        evidence=(got.exchange, refused.exchange),
        endpoint=_first(registries),
    )


def _uploads_left(remains: PushRemains | None) -> str:
    left = [
        each for each in (remains.remains if remains is not None else ()) if each.kind is RemainKind.UPLOAD
    ]
    if not left:
        return ""
    return (
        f" For that reason this run left uploads of {reading.size(sum(each.size for each in left))} in all."
    )


@rule("push/path-rewritten")
def path(session: UploadSession, registries: Registries, config: ProxyConfig | None) -> Iterator[Draft]:
    """The registry gets another path than the one that was asked, or that it gave out."""
    answer = session.start.answer
    setting = configured.rewriting(config, registries)
    asked = f"/v2/{session.repository}/blobs/uploads"
    if answer is None:
        return
    if reading.redirects(answer) and reading.leads_to(answer, asked):
        yield _found(
            "push/path-rewritten",
            f"{reading.line(answer)}, which sends the client to the very address that it asked for: a hop takes "
            "the slash at its end away before the registry sees it. Clients follow with GET, and no upload "
            f"begins.{configured.told(setting)}",
            session,
            registries,
            evidence=(*_places(setting), answer.exchange),
        )
    elif answer.status == 404 and not reading.said(answer).codes:
        by_registry = reading.by_registry(answer)
        if by_registry or not session.own_repository:
            yield _found(
                "push/path-rewritten",
                f"{reading.line(answer)}{reading.quoted(answer)}. A registry has an answer there (202, or an "
                "error in JSON); a bare 404 means that the request arrived under another path, or at another "
                f"server.{configured.told(setting)}",
                session,
                registries,
                certainty=Certainty.PROVEN if by_registry else Certainty.LIKELY,
                evidence=(*_places(setting), answer.exchange),
            )
    else:
        yield from _path_of_the_session(session, setting, registries)


@rule("push/path-rewritten")
def path_configured(
    config: ProxyConfig, session: UploadSession | None, registries: Registries
) -> Iterator[Draft]:
    """A reverse proxy's configuration changes the path of uploads; one that was tried tells of itself."""
    if session is None:
        yield from configured.path_changes(config, registries)


def _path_of_the_session(
    session: UploadSession, setting: ReverseProxySetting | None, registries: Each[Endpoint]
) -> Iterator[Draft]:
    given, step = session.location, session.chunk
    answer = step.answer if step is not None else None
    looks = reading.looks(session)
    if given is None or answer is None or answer.status not in (301, 308, 400, 404):
        return
    if any(look.succeeded for look in looks):
        return
    seen = f"{reading.line(answer)}{reading.quoted(answer)}, right after the upload was opened."
    if given.path_changed:
        yield _found(
            "push/path-rewritten",
            f"The upload was begun at /v2/{session.repository}/, and the registry says that it goes on at "
            f"{reading.place(given.url or '')}. {seen} A hop changes paths on the way in and does not change "
            f"them back in Location.{configured.told(setting)}",
            session,
            registries,
            evidence=(*_places(setting), *reading.evidence(session.start, step)),
        )
    elif not reading.said(answer).codes or (reading.lost(answer) and not reading.unknown(answer)):
        yield _found(
            "push/path-rewritten",
            f"{seen} So were all {len(looks)} requests about fresh uploads. The registry does not get the path or "
            "query that it gave out (distribution keeps the state of an upload in the parameter _state); replicas "
            "with different secrets, between which the balancer chooses by the URL, would look the same."
            f"{configured.told(setting)}",
            session,
            registries,
            certainty=Certainty.LIKELY,
            evidence=(*_places(setting), *reading.evidence(session.start, step)),
        )


@rule("push/upload-secret-mismatch", "push/upload-lost", "push/storage-failure")
def lost_sessions(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """An upload that was opened is not found again, or only sometimes."""
    looks, statuses = reading.looks(session), reading.statuses(session)
    found = [step for step in looks if step.succeeded]
    unknown = [step for step in looks if reading.unknown(step.answer)]
    invalid = [step for step in looks if reading.lost(step.answer) and not reading.unknown(step.answer)]
    missing = (*unknown, *invalid)
    varied = any(step.succeeded for step in statuses) and any(step in missing for step in statuses)
    failed = any(step in missing for step in (session.chunk, session.commit))
    # Without either, the product just does not tell the status of uploads (end-13).
    if not (varied or failed) or session.location is None:
        return
    counted = (
        f"Of {len(looks)} requests about uploads that had just been opened, {len(found)} were answered well"
    )
    connections = "each over a connection of its own"
    if invalid and found and (varied or any(reading.signature_refused(step.answer) for step in invalid)):
        yield _found(
            "push/upload-secret-mismatch",
            f"{counted} and {len(invalid)} with “blob upload invalid”, {connections}. The state of an upload is "
            "signed with http.secret: some replicas accept the signature and some do not.",
            session,
            registries,
            certainty=Certainty.PROVEN if varied else Certainty.LIKELY,
            evidence=reading.evidence(session.start, found[0], invalid[0]),
        )
    elif unknown and found:
        yield _found(
            "push/upload-lost",
            f"{counted} and {len(unknown)} with “blob upload unknown”, {connections}. The signature of the upload "
            "was accepted everywhere, so the replicas have one secret, and not the same storage.",
            session,
            registries,
            evidence=reading.evidence(session.start, found[0], unknown[0]),
        )
    elif unknown and not session.location.path_changed:
        yield _found(
            "push/upload-lost",
            f"All {len(unknown)} requests about uploads that had just been opened were answered “blob upload "
            "unknown”, although the registry accepts its own signature: what one request writes, the next one "
            "does not see. Replicas without shared storage do this where the balancer chooses by the URL, and so "
            "does NFS with attribute caching.",
            session,
            registries,
            certainty=Certainty.LIKELY,
            evidence=reading.evidence(session.start, unknown[0]),
        )
    elif invalid and found and invalid[0].answer is not None:
        yield _found(
            "push/storage-failure",
            f"{reading.line(invalid[0].answer)}{reading.quoted(invalid[0].answer)}, although the upload had been "
            f"found {len(found)} times: the registry took the bytes and does not have them. Used-up inodes or "
            "space do that, and NFS with attribute caching behind several replicas.",
            session,
            registries,
            certainty=Certainty.LIKELY,
            fix=("look at the inodes of the registry's storage as well as at its space: df -i ROOT",),
            evidence=reading.evidence(session.start, found[-1], invalid[0]),
        )


@rule("push/upload-lost")
def lost_blob(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """The blob that was committed is not there at the next request."""
    commit, look = session.commit, session.look
    if commit is None or not commit.succeeded or look is None or look.status != 404:
        return
    if reading.is_page(commit.answer) or reading.is_page(session.chunk.answer if session.chunk else None):
        return
    yield _found(
        "push/upload-lost",
        f"An upload was finished ({commit.status}), and the blob is not there: {reading.outcome(look)}. Whoever "
        "answers the next request does not have it.",
        session,
        registries,
        certainty=Certainty.LIKELY,
        evidence=reading.evidence(commit, look),
    )


@rule("push/storage-failure")
def storage(
    session: UploadSession, sizes: UploadSizes | None, pushed: ManifestPush | None, registries: Registries
) -> Iterator[Draft]:
    """The registry itself answers 500 to a step that writes."""
    steps: list[tuple[UploadStep, int | None]] = [(step, None) for step in _writes(session)]
    steps += [(trial.step, trial.size) for trial in _sent(sizes)]
    steps += [(step, None) for step in _manifests(pushed)]
    for step, size in steps:
        answer = step.answer
        if answer is None or reading.refusal(answer) != "push/storage-failure":
            continue
        cause = reading.storage_cause(answer)
        parts = [
            f"The registry says why: {cause}." if cause is not None else "",
            f"{reading.line(answer)}{reading.quoted(answer)}.",
            "It does not say why, and its log does." if cause is None else "",
            f"A blob of a few bytes was stored; {reading.size(size)} were not." if size is not None else "",
            "Reading is not affected.",
        ]
        yield _found(
            "push/storage-failure",
            " ".join(filter(None, parts)),
            session,
            registries,
            certainty=Certainty.PROVEN if cause is not None else Certainty.LIKELY,
            evidence=reading.evidence(step),
        )
        return


def _sent(sizes: UploadSizes | None) -> tuple[SizeTrial, ...]:
    return tuple(trial for trial in (sizes.trials if sizes is not None else ()) if not trial.announced)


@rule("push/body-too-large")
def body_size(session: UploadSession, sizes: UploadSizes | None, registries: Registries) -> Iterator[Draft]:
    """A hop refuses bodies above some size."""
    tiny = next((step for step in session.steps if step.status == 413), None)
    if tiny is not None and tiny.answer is not None:
        yield _found(
            "push/body-too-large",
            f"A body of {tiny.sent} bytes is too large: {reading.line(tiny.answer)}{reading.quoted(tiny.answer)}.",
            session,
            registries,
            evidence=reading.evidence(tiny),
        )
        return
    trials = sizes.trials if sizes is not None else ()
    refused = [trial for trial in trials if _too_large(trial)]
    smallest = min(refused, key=lambda trial: trial.size, default=None)
    answer = smallest.step.answer if smallest is not None else None
    if smallest is None or answer is None:
        return
    largest = max((trial.size for trial in trials if trial.size < smallest.size), default=0)
    how = "announced" if smallest.announced else "sent"
    parts = [
        f"Bodies of {reading.size(smallest.size)} are refused"
        + (f", {reading.size(largest)} pass" if largest else "")
        + f": one was {how}, and {reading.line(answer)}{reading.quoted(answer)}.",
        "The registry never gets such a body whole." if not reading.by_registry(answer) else "",
        "A few bytes pass in the same way, so it is the size of the body, or its content."
        if answer.status != 413
        else "",
        _usual_limit(answer, smallest.size),
    ]
    yield _found(
        "push/body-too-large",
        " ".join(filter(None, parts)),
        session,
        registries,
        certainty=Certainty.PROVEN if answer.status == 413 else Certainty.LIKELY,
        severity=_severity_of_limit(smallest.size),
        fix=_fix_of_hop(answer),
        evidence=reading.evidence(smallest.step),
    )


def _too_large(trial: SizeTrial) -> bool:
    """Whether the size was refused: by 413, or by another refusal of a hop where the bytes were sent."""
    answer = trial.step.answer
    if answer is None:
        return False
    if answer.status == 413:
        return True
    return not trial.announced and reading.by_a_hop(answer) is not None and reading.blocks(answer)


def _usual_limit(answer: Answer, size: int) -> str:
    if answer.producer.name in ("nginx", "OpenResty") and size <= 2 * MIB:
        return "1 MB is what nginx allows where client_max_body_size is not set."
    if answer.producer.name == "Cloudflare":
        return "Cloudflare's limit depends on the plan: 100, 200 or 500 MB."
    return ""


def _fix_of_hop(answer: Answer) -> tuple[str, ...]:
    """What to do at the hop that answered, where it is not the usual one."""
    return {
        "Cloudflare": ("take the name out of Cloudflare's proxy (DNS only): the plan sets the limit",),
        "Apache httpd": ("Apache httpd: LimitRequestBody 0, and SecRuleEngine Off, for /v2/",),
        "Caddy": ("Caddy: remove max_size from request_body, or exempt /v2/ from it",),
        "IIS": ("IIS: raise maxAllowedContentLength (requestFiltering) and uploadReadAheadSize for /v2/",),
    }.get(answer.producer.name or "", ())


def _severity_of_limit(size: int) -> Severity | None:
    """Limits that hardly any layer meets are worth a word, and no more."""
    if size > GENEROUS_LIMIT:
        return Severity.INFO
    return Severity.WARNING if size > SMALL_LIMIT else None


@rule("push/cut-off")
def cut_off(session: UploadSession, slow: SlowUploads, registries: Registries) -> Iterator[Draft]:
    """Uploads that take their time are ended before they are done."""
    steady, pausing = _cut_at(slow.steady), _cut_at(slow.pausing)
    cut = slow.steady if steady is not None else slow.pausing
    if cut.step is None or (steady is None and pausing is None):
        return
    certainty = Certainty.PROVEN
    if steady is not None and pausing is not None and abs(steady - pausing) <= max(0.5, 0.15 * steady):
        seen = (
            f"Two uploads of {slow.steady.planned:g} s, side by side, were both ended after {steady:.1f} s, "
            f"though one had sent {_amount(slow.steady)} and the other {_amount(slow.pausing)}: a timer on the "
            "whole request, whatever its size."
        )
    elif steady is None and pausing is not None:
        seen = (
            f"An upload that sent all the time passed, and one that paused was ended after {pausing:.1f} s. A "
            "timer on the way allows no longer silence, and clients are silent while they compress a layer."
        )
    else:
        times = " and ".join(f"{each:.1f} s" for each in (steady, pausing) if each is not None)
        seen = f"Uploads that take {slow.steady.planned:g} s were ended after {times}."
        certainty = Certainty.LIKELY
    yield _found(
        "push/cut-off",
        f"{seen} {reading.outcome(cut.step)}. The client did not close.",
        session,
        registries,
        certainty=certainty,
        evidence=reading.evidence(slow.steady.step, slow.pausing.step) or ("slow-uploads",),
    )


def _amount(slow: SlowUpload) -> str:
    return reading.size(slow.step.sent) if slow.step is not None else "nothing"


def _cut_at(slow: SlowUpload) -> float | None:
    """Seconds after which a slow upload was ended from outside; None where it was not."""
    step = slow.step
    if step is None or slow.whole or step.seconds < EARLIEST_CUT or step.succeeded:
        return None
    if step.failure is not None:
        return step.seconds if step.failure.kind in _BROKEN else None
    if step.status in _NO_TIMER or reading.refusal(step.answer) is not None:
        return None
    return step.seconds


@rule("push/cut-off")
def ended_unseen(session: UploadSession, slow: SlowUploads, registries: Registries) -> Iterator[Draft]:
    """Slow uploads are taken whole and answered with an error of the hop: its line to the registry was cut."""
    both = (slow.steady, slow.pausing)
    answers = [
        each.step.answer
        for each in both
        # Who waits for the registry first has lost his patience and not his line.
        if each.step is not None and each.whole and each.step.seconds < each.planned + AT_ONCE
    ]
    quick = session.chunk is not None and session.chunk.succeeded
    if not quick or len(answers) < len(both):
        return
    if any(answer is None or answer.status not in _GATEWAY for answer in answers):
        return
    first = next(answer for answer in answers if answer is not None)
    yield _found(
        "push/cut-off",
        f"Two uploads that took {slow.steady.planned:g} s, side by side, were both sent to their end, and then "
        f"{reading.line(first)}{reading.quoted(first)}; a quick one passes. A timer of the hop ended its own "
        "connection to the registry in the meantime.",
        session,
        registries,
        certainty=Certainty.LIKELY,
        evidence=reading.evidence(slow.steady.step, slow.pausing.step),
    )


@rule("push/cut-off")
def broken_off(session: UploadSession, sizes: UploadSizes, registries: Registries) -> Iterator[Draft]:
    """The connection is closed while a body is being sent, twice in a row."""
    broken = [
        trial
        for trial in _sent(sizes)
        if trial.step.failure is not None and trial.step.failure.kind in _BROKEN
    ]
    for first, second in pairwise(broken):
        if first.size == second.size and first.step.failure is not None:
            yield _found(
                "push/cut-off",
                f"A body of {reading.size(first.size)} was broken off twice, after {first.step.seconds:.1f} s and "
                f"{reading.size(first.step.sent)}, and after {second.step.seconds:.1f} s and "
                f"{reading.size(second.step.sent)}: {first.step.failure.message}. A blob of a few bytes passes.",
                session,
                registries,
                certainty=Certainty.LIKELY,
                evidence=("upload-sizes",),
            )
            return


@rule("push/immutable-tag", "push/quota-exceeded", "push/policy-blocked")
def refused_by_rule(
    session: UploadSession, sizes: UploadSizes | None, pushed: ManifestPush | None, registries: Registries
) -> Iterator[Draft]:
    """The registry's own rules refuse the push: immutable tags, quotas, policies."""
    told: set[str] = set()
    for step in (*_writes(session), *(trial.step for trial in _sent(sizes)), *_manifests(pushed)):
        answer = step.answer
        code = reading.refusal(answer)
        if answer is None or code not in _REFUSED_BY_RULE or code in told:
            continue
        told.add(code)
        again = (
            f" That was the manifest of {pushed.reference} itself, put again unchanged."
            if pushed is not None and step == pushed.again
            else ""
        )
        yield _found(
            code,
            f"{reading.line(answer)}{reading.quoted(answer)}.{again} {_meaning(code)}",
            session,
            registries,
            certainty=Certainty.PROVEN if reading.by_registry(answer) else Certainty.LIKELY,
            evidence=reading.evidence(step),
        )


def _meaning(code: str) -> str:
    return {
        "push/immutable-tag": "Layers upload, and the manifest is refused at the very end; a new tag would pass.",
        "push/quota-exceeded": "It reads like missing rights, and is not.",
        "push/policy-blocked": "The account's rights are enough; a rule of the project stands against the image.",
    }[code]


@rule("push/commit-slow")
def commit(session: UploadSession, registries: Registries) -> Iterator[Draft]:
    """The last request of an upload takes so long that clients give up."""
    step, before = session.commit, session.chunk
    if step is None or before is None or step.seconds < max(SLOW_COMMIT, 2 * before.seconds):
        return
    silent = step.failure is not None and step.failure.kind is FailureKind.RESPONSE_TIMEOUT
    if not (silent or step.succeeded):
        return
    took = f"was not answered within {step.seconds:.0f} s" if silent else f"took {step.seconds:.1f} s"
    yield _found(
        "push/commit-slow",
        f"The PUT that finishes an upload of a few bytes {took}; the request before took {before.seconds:.1f} s. "
        "It takes longer with the size of the layer, and clients with the containerd image store give up "
        f"after {GIVES_UP:.0f} s.",
        session,
        registries,
        certainty=Certainty.PROVEN if step.seconds >= GIVES_UP else Certainty.LIKELY,
        evidence=reading.evidence(before, step),
    )


@rule("push/policy-blocked")
def look_refused(policy: PolicyRefusal, registries: Registries) -> Iterator[Draft]:
    """The manifest cannot even be looked at."""
    answer = policy.answer
    yield finding(
        "push/policy-blocked",
        f"{reading.line(answer)}{reading.quoted(answer)}. Pulls of the image are refused, and so are pushes by "
        "builders that look at the existing tag first (buildx, kaniko, crane).",
        certainty=Certainty.PROVEN if reading.by_registry(answer) else Certainty.LIKELY,
        evidence=(answer.exchange,),
        endpoint=_first(registries),
    )
