"""Uploads a tiny blob as clients do, tries sizes and slow uploads, and undoes what can be undone."""

from __future__ import annotations

import hashlib
import secrets
import socket
from collections.abc import Iterator
from typing import Any

from regdoctor.api import (
    Blocked,
    Context,
    CredentialKind,
    Credentials,
    Deadline,
    DeadlineExceeded,
    DeletionRefusal,
    Endpoint,
    Failure,
    FailureKind,
    FurtherSession,
    HeadRefusal,
    ManifestLook,
    ManifestPush,
    NotApplicable,
    PolicyRefusal,
    PullAuthorization,
    PushAuthorization,
    PushRemains,
    PushTrials,
    Remain,
    RemainKind,
    Secret,
    SizeTrial,
    SlowUpload,
    SlowUploads,
    Target,
    TokenService,
    UploadSession,
    UploadSizes,
    UploadStep,
    digests,
    manifests,
    pause_sending,
    probe,
    scopes,
    side_by_side,
    tiny_images,
    token_requests,
    token_server,
    tokens,
    uploads,
)
from regdoctor.checks.push import reading, trying

RESERVE = 4.0
"""Seconds at the end of the run that are kept for cancelling."""
LOOKS = 3
"""At the status of a session: enough to meet another one of two or three replicas."""
FURTHER_SESSIONS = 6
COMMIT_SECONDS = 32.0
"""A little longer than containerd's image store waits for the answer to the last PUT."""

KIB, MIB, GIB = 1024, 1024**2, 1024**3
ANNOUNCED_SIZES = (
    *(MIB, 2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB, 64 * MIB, 100_000_000, 128 * MIB, 200_000_000),
    *(256 * MIB, 500_000_000, 512 * MIB, GIB, 2 * GIB, 5 * GIB, 10 * GIB),
)
"""Around the usual limits: nginx 1 MiB, Cloudflare 100, 200 and 500 MB, ModSecurity 128 MiB. In order."""
SENT_SIZES = (1_500_000, 6_000_000)
SENDING_SECONDS = 20.0
SLOW_LINE = 8.0
"""Seconds for the smaller body; where it takes longer, the line is too slow for the larger one."""
PIECE = 64 * KIB
_BROKEN = (FailureKind.CONNECTION_CLOSED, FailureKind.CONNECTION_RESET)

INTERVAL = 0.25
"""Seconds between two pieces of the steady slow upload."""
STEADY_BYTES = 400_000
LONGEST_PAUSE = 6.0
"""Seconds; usual timers for silence are 30 s and more, so that only unusual ones are met."""


@probe
def authorize(
    endpoint: Endpoint,
    target: Target,
    authorization: PullAuthorization,
    credentials: Credentials,
    service: TokenService | None,
    context: Context,
) -> PushAuthorization:
    """Settles which repository is pushed to and with which access.

    A made-up name needs a token of its own, and so do deletions, without which no upload can be cancelled.
    """
    if not context.options.push:
        raise NotApplicable("--push was not given")
    repository = target.repository or own_repository()
    header = authorization.header
    removal = None
    if authorization.kind == "bearer" and credentials.kind is not CredentialKind.REGISTRY_TOKEN:
        if service is None or service.realm is None:
            raise Blocked(f"{endpoint.address} names no token server")
        if target.repository is None:
            header = _token(repository, ("pull", "push"), credentials, service, context)
            if header is None:
                raise Blocked(
                    f"the token server gives no token for a push to {repository}; {_name_another(endpoint)}"
                )
        removal = _token(repository, ("pull", "push", "delete"), credentials, service, context)
    return PushAuthorization(
        repository=repository,
        own_repository=target.repository is None,
        kind=authorization.kind,
        header=header,
        removal=removal,
    )


def own_repository() -> str:
    """The repository for a registry that was named without one: the same every time on this machine.

    A new one every time would fill the registry's catalogue, for no request of the API removes a repository.
    """
    return f"regdoctor/probe-{_machine()}"


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _token(
    repository: str,
    actions: tuple[str, ...],
    credentials: Credentials,
    service: TokenService,
    context: Context,
) -> Secret | None:
    """A token for these actions as the value of ``Authorization``, or None where there is none to be had."""
    realm = service.realm or ""
    scope = (scopes.repository_scope(repository, *actions),)
    if credentials.kind is CredentialKind.IDENTITY_TOKEN and credentials.secret is not None:
        request = token_requests.refresh_request(realm, service.service, scope, credentials.secret)
    else:
        request = token_requests.token_request(
            realm, service.service, scope, username=credentials.username, password=credentials.secret
        )
    try:
        got = token_server.ask(context.http, request, context.find_proxy)
    except token_server.CredentialsWithheld:
        return None
    if isinstance(got, Failure) or got.answer.status != 200:
        return None
    token = tokens.parse_token_response(got.body, got.answer.header("content-type")).token
    if token is None:
        return None
    header = token_requests.bearer_authorization(token)
    context.conceal(token)
    context.conceal(header)
    return header


def _name_another(endpoint: Endpoint) -> str:
    return f"name a repository that may be pushed to: regdoctor check --push {endpoint.address}/REPOSITORY"


def _uploads(endpoint: Endpoint, push: PushAuthorization, context: Context) -> uploads.Uploads:
    """The uploads of this run, which end a little before the run does."""
    limit = Deadline(context.deadline.remaining() - RESERVE, context.options.timeout)
    limit.seconds = context.deadline.seconds
    http = context.http.with_deadline(limit)
    return uploads.Uploads(http, endpoint, push.repository, push.header, context.cleanup, push.removal)


@probe
def upload(endpoint: Endpoint, push: PushAuthorization, context: Context) -> UploadSession:
    """Uploads a blob of a few bytes as docker does, reads it back and deletes it (end-2, 4a, 5, 6, 10, 13)."""
    way = _uploads(endpoint, push, context)
    seen: dict[str, Any] = {
        "repository": push.repository,
        "own_repository": push.own_repository,
        "authorization": push.kind,
    }
    remains: list[Remain] = []
    with context.cleanup.hold():
        try:
            _upload(way, seen, remains, context)
        except DeadlineExceeded as reason:
            seen["stopped"] = str(reason)
    if "start" not in seen:
        raise DeadlineExceeded(seen["stopped"])
    if push.own_repository and seen["start"].succeeded:
        remains.append(
            Remain(
                kind=RemainKind.REPOSITORY,
                where=push.repository,
                name=push.repository,
                why="the upload made it, and registries offer no way to remove a repository; the next upload "
                "from this machine goes to the same one",
            )
        )
    return UploadSession(**seen, remains=tuple(remains))


def _upload(way: uploads.Uploads, seen: dict[str, Any], remains: list[Remain], context: Context) -> None:
    session = way.session()
    try:
        with session:
            seen["start"], seen["location"] = session.start, session.location
            if session.open:
                _carry_on(way, session, seen, remains, context)
    finally:
        if session.remain is not None:
            remains.append(session.remain)
    steps = [seen[name] for name in ("start", "chunk", "commit", "look", "deletion") if name in seen]
    if any(not reading.reached(step.answer) for step in steps if step.answer is not None):
        seen["methods"] = tuple(_try_methods(way))
    if any(reading.lost(step.answer) for step in (*seen.get("statuses", ()), *steps)):
        seen["further"] = tuple(_further_sessions(way, seen, remains))


def _carry_on(
    way: uploads.Uploads,
    session: uploads.Session,
    seen: dict[str, Any],
    remains: list[Remain],
    context: Context,
) -> None:
    """The rest of the upload, as far as it goes."""
    location = session.location
    if location is None or session.location_url is None:
        return
    if not location.same_origin:
        seen["elsewhere"] = way.look_elsewhere(session.location_url, context.find_proxy(session.location_url))
        seen["forwarded"] = _forwarded(way, remains)
        # docker has no credentials for another origin; without any it goes on there.
        if seen["authorization"] != "none" or not seen["elsewhere"].succeeded:
            return
    seen["statuses"] = tuple(session.status() for _ in range(LOOKS))
    # The same bytes every time on this machine: where they stay in the registry, they never add up.
    content = f"regdoctor upload probe {_machine()}\n".encode()
    seen["chunk"] = session.patch((content,))
    if not seen["chunk"].succeeded:
        return
    seen["commit"] = session.commit(digests.digest_of(content), seconds=COMMIT_SECONDS)
    if seen["commit"].succeeded:
        _read_back(way, content, seen, remains)
    if "look" in seen and seen["look"].status == 404:
        # Another run may have deleted it in between; bytes that nobody else has tell.
        _upload_other(way, f"regdoctor upload probe {secrets.token_hex(16)}\n".encode(), seen, remains)


def _read_back(way: uploads.Uploads, content: bytes, seen: dict[str, Any], remains: list[Remain]) -> None:
    """HEAD, GET and DELETE of the blob; the last whatever happens."""
    digest = digests.digest_of(content)
    url = f"{way.root}/blobs/{digest}"
    try:
        seen["look"], _ = way.send("HEAD", url)
        seen["read"], got = way.send("GET", url)
        if got is not None and got.answer.status == 200:
            seen["read_back"] = got.body == content
    finally:
        step = seen["deletion"] = way.undo("DELETE", url)
        said = f"answered {step.status}" if step.answer is not None else "not answered"
        why = (
            "deleted; registries of the distribution family keep the bytes until garbage collection"
            if step.succeeded
            else f"DELETE was {said}: it stays until garbage collection"
        )
        remains.append(
            Remain(
                kind=RemainKind.BLOB,
                where=way.repository,
                name=digest,
                size=len(content),
                why=f"{why}; the next upload from this machine is of the same bytes",
            )
        )


def _upload_other(way: uploads.Uploads, content: bytes, seen: dict[str, Any], remains: list[Remain]) -> None:
    """The upload once more with other bytes; the steps take the place of the first."""
    session = way.session()
    with session:
        chunk = session.patch((content,)) if session.open else None
        commit = (
            session.commit(digests.digest_of(content), seconds=COMMIT_SECONDS)
            if chunk is not None and chunk.succeeded
            else None
        )
    if session.remain is not None:
        remains.append(session.remain)
    if commit is not None and commit.succeeded:
        seen["commit"] = commit
        _read_back(way, content, seen, remains)


def _forwarded(way: uploads.Uploads, remains: list[Remain]) -> Any:
    """``Location`` where the request itself says by which scheme and host it was made."""
    endpoint = way.endpoint
    usual = {"http": 80, "https": 443}[endpoint.scheme] == endpoint.port
    host = endpoint.address.removesuffix(f":{endpoint.port}") if usual else endpoint.address
    session = way.session([("X-Forwarded-Proto", endpoint.scheme), ("X-Forwarded-Host", host)])
    with session:
        location = session.location
    if session.remain is not None:
        remains.append(session.remain)
    return location


def _try_methods(way: uploads.Uploads) -> Iterator[UploadStep]:
    """Every method with an empty body, to a blob and a session that do not exist."""
    session = f"{way.root}/blobs/uploads/{uploads.NO_SESSION}"
    yield way.send("HEAD", f"{way.root}/blobs/sha256:{secrets.token_hex(32)}")[0]
    for method in ("PATCH", "PUT"):
        yield way.send(method, session, content=b"", headers=(uploads.OCTETS,))[0]
    yield way.send("DELETE", session)[0]


def _further_sessions(
    way: uploads.Uploads, seen: dict[str, Any], remains: list[Remain]
) -> Iterator[FurtherSession]:
    """More sessions, until one is found again: by the URL a balancer may send all about one to one replica."""
    found = any(step.succeeded for step in seen.get("statuses", ()))
    for _ in range(0 if found else FURTHER_SESSIONS):
        session = way.session()
        with session:
            statuses = (session.status(),) if session.open else ()
        if session.remain is not None:
            remains.append(session.remain)
        yield FurtherSession(start=session.start, statuses=statuses)
        if any(step.succeeded for step in statuses):
            return


def _needs_complete(endpoint: Endpoint, session: UploadSession) -> None:
    """Ends a probe that has no use while not even a tiny blob can be uploaded.

    :raises Blocked: with what went wrong there.
    """
    if session.complete:
        return
    why = reading.why_incomplete(session)
    if session.own_repository and session.start.status in (401, 403, 404):
        why += f"; {_name_another(endpoint)}"
    raise Blocked(why)


@probe
def try_sizes(
    endpoint: Endpoint, push: PushAuthorization, session: UploadSession, context: Context
) -> UploadSizes:
    """Announces bodies up to 10 GiB without sending them, and sends two, of 1.5 and of 6 MB, and cancels these.

    A hop with a limit answers the header alone where it reads ``Content-Length``, and otherwise counts.
    """
    _needs_complete(endpoint, session)
    way = _uploads(endpoint, push, context)
    trials: list[SizeTrial] = []
    remains: list[Remain] = []
    withheld = None
    with context.cleanup.hold():
        try:
            passing = _announce(way, session, trials)
            sizes = [size for size in SENT_SIZES if size <= passing]
            deletion = session.deletion
            if deletion is None or deletion.status in (401, 403) or not reading.reached(deletion.answer):
                withheld = "uploads cannot be cancelled here, so nothing large was sent"
            elif sizes:
                _send_bodies(way, sizes, trials, remains)
        except DeadlineExceeded:
            if not trials:
                raise
    return UploadSizes(trials=tuple(trials), withheld=withheld, remains=tuple(remains))


def _announce(way: uploads.Uploads, session: UploadSession, trials: list[SizeTrial]) -> int:
    """Finds the largest size of the list that is not refused by its announcement; 0 where all are."""
    round_trip = session.chunk.seconds if session.chunk is not None else 1.0
    patience = max(0.5, min(2.0, 4 * round_trip))
    url = f"{way.root}/blobs/uploads/{uploads.NO_SESSION}"

    def passes(size: int) -> bool:
        way.cleanup.check()
        step, _ = way.send("PATCH", url, headers=(uploads.OCTETS,), announce=size, seconds=patience)
        trials.append(SizeTrial(size=size, announced=True, step=step))
        return step.status != 413

    # haproxy counts in 32 bits: what 10 GiB come to there is less than any limit.
    tops = (len(ANNOUNCED_SIZES) - 1, ANNOUNCED_SIZES.index(GIB))
    refused = next((top for top in tops if not passes(ANNOUNCED_SIZES[top])), None)
    if refused is None:
        return ANNOUNCED_SIZES[-1]
    low, high = 0, refused
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if passes(ANNOUNCED_SIZES[middle]) else (low, middle)
    return ANNOUNCED_SIZES[high - 1] if high else 0


def _send_bodies(
    way: uploads.Uploads, sizes: list[int], trials: list[SizeTrial], remains: list[Remain]
) -> None:
    """Sends bodies of growing size in one upload; one that is cut off is sent once more, in another."""
    broken = None
    for _attempt in range(2):
        session = way.session()
        with session:
            for size in sizes if session.open else ():
                step = session.patch(_pieces(size), seconds=SENDING_SECONDS)
                trials.append(SizeTrial(size=size, announced=False, step=step))
                if not step.succeeded or step.seconds > SLOW_LINE:
                    broken = size if step.failure is not None and step.failure.kind in _BROKEN else None
                    break
        if session.remain is not None:
            remains.append(session.remain)
        if broken is None:
            return
        sizes = [broken]


def _pieces(size: int) -> Iterator[bytes]:
    for start in range(0, size, PIECE):
        yield bytes(min(PIECE, size - start))


@probe
def upload_slowly(
    endpoint: Endpoint, push: PushAuthorization, session: UploadSession, context: Context
) -> SlowUploads:
    """Two uploads that take their time, side by side, which timers on the way cut off; both are cancelled.

    One sends a little all the time, the other a lot at first and then nothing for some seconds. A timer for
    whole requests cuts both at the same second although they have sent different amounts.
    """
    _needs_complete(endpoint, session)
    seconds = context.options.push_seconds
    left = context.deadline.remaining() - RESERVE - context.options.timeout
    if seconds > left:
        raise NotApplicable(
            f"a slow upload of {seconds:g} s does not fit into what is left of the deadline of "
            f"{context.deadline.seconds:g} s; give more with --deadline"
        )
    way = _uploads(endpoint, push, context)
    remains: list[Remain] = []
    piece = bytes(max(64, min(2 * KIB, int(STEADY_BYTES * INTERVAL / seconds))))
    bodies = (_SlowBody(way, seconds, INTERVAL, piece, piece), _pausing(way, seconds))

    def run(body: _SlowBody) -> SlowUpload:
        slow = way.session()
        with slow:
            step = slow.patch(body, seconds=seconds + context.options.timeout) if slow.open else None
            seen = SlowUpload(
                start=slow.start, step=step, planned=seconds, pause=body.pause, whole=body.whole
            )
        if slow.remain is not None:
            remains.append(slow.remain)
        return seen

    with context.cleanup.hold():
        steady, pausing = side_by_side(run, bodies)
    return SlowUploads(steady=steady, pausing=pausing, remains=tuple(remains))


class _SlowBody:
    """A body that takes a number of seconds: ``first``, then ``piece`` after every pause."""

    def __init__(
        self, way: uploads.Uploads, seconds: float, pause: float, first: bytes, piece: bytes
    ) -> None:
        self._way = way
        self._seconds = seconds
        self._first = first
        self._piece = piece
        self.pause = pause
        self.whole = False

    def __iter__(self) -> Iterator[bytes]:
        left = self._seconds
        yield self._first
        while left > 0:
            pause = min(self.pause, left)
            for _ in range(max(1, round(pause / INTERVAL))):
                # In short pieces, so that the end of the run is noticed.
                pause_sending(min(pause, INTERVAL))
                if self._way.cleanup.ended:
                    return
            left -= pause
            yield self._piece
        self.whole = True


def _pausing(way: uploads.Uploads, seconds: float) -> _SlowBody:
    return _SlowBody(way, seconds, min(LONGEST_PAUSE, max(INTERVAL, seconds - 1)), bytes(4 * KIB), bytes(KIB))


@probe
def push_manifests(
    endpoint: Endpoint,
    target: Target,
    push: PushAuthorization,
    session: UploadSession,
    look: ManifestLook | None,
    context: Context,
) -> ManifestPush:
    """PUT of the image's own manifest under its own tag, unchanged; with --push-tag also of a tiny image.

    The first changes nothing where it is allowed; where tags are immutable, or a policy or quota stands
    against it, it is refused as the push of a new image would be (end-7).
    """
    _needs_complete(endpoint, session)
    way = _uploads(endpoint, push, context)
    seen: dict[str, Any] = {}
    remains: list[Remain] = []
    with context.cleanup.hold():
        try:
            if look is not None and look.content is not None:
                _put_again(way, target, look, seen)
            if context.options.push_tag is not None:
                _put_tag(way, context.options.push_tag, seen, remains)
        except DeadlineExceeded as reason:
            seen["skipped"] = str(reason)
    if not seen:
        raise NotApplicable("the target names no image that exists, and --push-tag was not given")
    return ManifestPush(**seen, remains=tuple(remains))


def _put_again(way: uploads.Uploads, target: Target, look: ManifestLook, seen: dict[str, Any]) -> None:
    reference, content = target.reference, look.content
    if reference is None or reference.digest is not None or content is None:
        return
    seen["reference"] = f"{reference.repository}:{reference.reference}"
    url = f"{way.root}/manifests/{reference.reference}"
    accept = ("Accept", ", ".join(manifests.ACCEPTED_MANIFESTS))
    _step, got = way.send("GET", url, headers=(accept,), body_limit=manifests.MAX_MANIFEST)
    media_type = got.answer.header("content-type") if got is not None else None
    if got is None or got.answer.status != 200 or not got.answer.body_complete or media_type is None:
        seen["skipped"] = "the manifest could not be read again"
    elif digests.digest_of(got.body) != content.digest:
        seen["skipped"] = "the tag was moved in the meantime"
    else:
        seen["again"], _ = way.send("PUT", url, content=got.body, headers=(("Content-Type", media_type),))


def _put_tag(way: uploads.Uploads, tag: str, seen: dict[str, Any], remains: list[Remain]) -> None:
    """Pushes a tiny image under a tag that is free, and deletes it again by its digest."""
    seen["tag"] = tag
    url = f"{way.root}/manifests/{tag}"
    free, _ = way.send("HEAD", url, headers=(("Accept", ", ".join(manifests.ACCEPTED_MANIFESTS)),))
    if free.status != 404:
        said = f"HEAD was answered {free.status}" if free.answer is not None else "HEAD was not answered"
        seen["skipped"] = f"the tag {tag} is not free ({said}), and an existing one is never overwritten"
        return
    image = tiny_images.tiny_image(f"regdoctor upload probe {secrets.token_hex(16)}")
    for digest, content in image.blobs.items():
        if not _put_blob(way, digest, content, remains):
            seen["skipped"] = f"the blob {digest} of the image for the tag {tag} could not be uploaded"
            return
    seen["tagged"], _ = way.send(
        "PUT", url, content=image.manifest, headers=(("Content-Type", tiny_images.MANIFEST_TYPE),)
    )
    if seen["tagged"].succeeded:
        deleted = way.undo("DELETE", f"{way.root}/manifests/{image.digest}")
        if not deleted.succeeded:
            said = f"answered {deleted.status}" if deleted.answer is not None else "not answered"
            remains.append(
                Remain(
                    kind=RemainKind.MANIFEST,
                    where=f"{way.repository}:{tag}",
                    name=image.digest,
                    size=len(image.manifest),
                    why=f"DELETE was {said}: the tag stays until somebody removes it",
                )
            )


def _put_blob(way: uploads.Uploads, digest: str, content: bytes, remains: list[Remain]) -> bool:
    """Uploads a blob of the tiny image; one that is there already stays as it is."""
    there, _ = way.send("HEAD", f"{way.root}/blobs/{digest}")
    if there.succeeded:
        return True
    session = way.session()
    with session:
        done = session.open and session.patch((content,)).succeeded and session.commit(digest).succeeded
    if session.remain is not None:
        remains.append(session.remain)
    if done:
        why = "a part of the image under the tag of --push-tag; it stays until garbage collection"
        remains.append(
            Remain(kind=RemainKind.BLOB, where=way.repository, name=digest, size=len(content), why=why)
        )
    return done


@probe
def collect_remains(
    session: UploadSession,
    sizes: UploadSizes | None,
    slow: SlowUploads | None,
    pushed: ManifestPush | None,
) -> PushRemains:
    """Puts together what the uploads left in the registry."""
    parts = [session, *(part for part in (sizes, slow, pushed) if part is not None)]
    cancelled: dict[tuple[str, str, int], list[Remain]] = {}
    for remain in (each for part in parts for each in part.remains):
        cancelled.setdefault((remain.where, remain.why, remain.size), []).append(remain)
    return PushRemains(remains=tuple(_together(same) for same in cancelled.values()))


def _together(same: list[Remain]) -> Remain:
    """Several remains of one kind as one."""
    from msgspec.structs import replace

    return same[0] if len(same) == 1 else replace(same[0], name=f"{len(same)} uploads")


@probe
def sum_up(
    session: UploadSession, sizes: UploadSizes | None, slow: SlowUploads | None, pushed: ManifestPush | None
) -> PushTrials:
    """Puts together what was tried, and what that way of trying cannot show."""
    return PushTrials(
        repository=session.repository, trials=tuple(trying.trials(session, sizes, slow, pushed))
    )


@probe
def notice_policy(look: ManifestLook) -> PolicyRefusal:
    """Keeps the refusal of a look at the manifest by a policy, which builders meet before they push."""
    for answer in (look.answer, look.head):
        if answer is not None and reading.refusal(answer) == "push/policy-blocked":
            return PolicyRefusal(answer=answer)
    raise NotApplicable("the manifest was not refused")


@probe
def notice_refused_head(look: ManifestLook) -> HeadRefusal:
    """Keeps a refusal of HEAD by something that is no registry, where GET of the same manifest is answered."""
    got, refused = look.answer, look.head
    if got is None or got.status != 200 or refused is None or reading.by_registry(refused):
        raise NotApplicable("HEAD is answered as GET is")
    if refused.status not in (400, 403, 404, 405, 501):
        raise NotApplicable("HEAD is answered as GET is")
    return HeadRefusal(answer=refused, got=got)


@probe
def notice_refused_deletion(session: UploadSession) -> DeletionRefusal:
    """Keeps the answer of a registry that deletes nothing (405 UNSUPPORTED)."""
    answer = session.deletion.answer if session.deletion is not None else None
    blobs = [remain for remain in session.remains if remain.kind is RemainKind.BLOB]
    if answer is None or answer.status != 405 or "UNSUPPORTED" not in reading.said(answer).codes or not blobs:
        raise NotApplicable("the registry did not refuse to delete a blob")
    return DeletionRefusal(answer=answer, remain=blobs[0])
