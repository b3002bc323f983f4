"""What one answer to a step of a push says: who made it, and which of the known refusals it is. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from regdoctor.api import (
    Answer,
    Certainty,
    Location,
    ProducerKind,
    UploadSession,
    UploadStep,
    errors,
    refusals,
    resolve_location,
)

_CODES = {
    refusals.Reason.READ_ONLY: "push/read-only",
    refusals.Reason.CACHE: "push/unsupported-cache",
    refusals.Reason.QUOTA: "push/quota-exceeded",
    refusals.Reason.IMMUTABLE: "push/immutable-tag",
    refusals.Reason.POLICY: "push/policy-blocked",
}
_LOST = ("BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID")
_REDIRECTS = (301, 302, 303, 307, 308)

SPACE = "its storage is full (no space left on device)"
STORAGE_CAUSES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"no space left on device|\"Err\":\s*28\b|\bENOSPC\b|not enough space|StorageFull", re.I),
        SPACE,
    ),
    (
        re.compile(r"disk quota exceeded|\"Err\":\s*122\b|\bEDQUOT\b", re.I),
        "the disk quota of its storage is used up",
    ),
    (
        re.compile(r"read-only file system|\"Err\":\s*30\b|\bEROFS\b", re.I),
        "its storage is mounted read-only",
    ),
    (
        re.compile(r"permission denied|\"Err\":\s*(?:13|1)\b|operation not permitted|\bEACCES\b", re.I),
        "the account that it runs as may not write its storage",
    ),
    (
        re.compile(r"input/output error|\"Err\":\s*5\b|\bEIO\b", re.I),
        "its storage reports an input/output error",
    ),
    (re.compile(r"too many open files|\"Err\":\s*24\b", re.I), "it has no open files left"),
    (
        re.compile(r"AccessDenied|access denied|SignatureDoesNotMatch|InvalidAccessKeyId|NoSuchBucket", re.I),
        "the object store behind it refuses the access",
    ),
    (re.compile(r"RequestTimeTooSkewed", re.I), "the object store behind it finds its clock wrong"),
)
"""What the detail of a 500 names: error numbers of Linux in 2.8 (``errno.h``), plain texts of Go in 3.x, S3."""


def said(answer: Answer) -> errors.ErrorBody:
    """What the body of a refusal tells."""
    return errors.parse_errors(answer.body_excerpt.encode(), answer.header("content-type"))


def by_registry(answer: Answer) -> bool:
    """Whether the registry itself made the answer."""
    return answer.producer.kind is ProducerKind.REGISTRY or said(answer).is_registry_json


def is_page(answer: Answer | None) -> bool:
    """Whether the answer is an HTML page, which no registry sends, whatever its status."""
    return answer is not None and not by_registry(answer) and said(answer).looks_like_html


def by_distribution(answer: Answer) -> bool:
    """Whether distribution made the answer, by the header that it sets on all of its answers."""
    return answer.header("docker-distribution-api-version") is not None


def by_a_hop(answer: Answer) -> Certainty | None:
    """How surely a refusal (4xx, 5xx) is that of a hop before the registry; None where nothing speaks for it."""
    if answer.status < 400 or answer.status == 401 or by_registry(answer):
        return None
    kind = answer.producer.kind
    bare = answer.method != "HEAD" and (said(answer).looks_like_html or not answer.body_excerpt.strip())
    if kind is ProducerKind.UNKNOWN:
        return Certainty.LIKELY if bare and answer.body_excerpt.strip() else None
    if kind in (ProducerKind.CDN, ProducerKind.FORWARD_PROXY) or bare:
        return Certainty.PROVEN
    return Certainty.LIKELY


def who(answer: Answer) -> str:
    """Who answered, for a sentence: ``nginx``, or ``the registry itself``."""
    if by_registry(answer):
        return "the registry itself"
    return answer.producer.name or {
        ProducerKind.FORWARD_PROXY: "a forward proxy",
        ProducerKind.REVERSE_PROXY: "a reverse proxy",
        ProducerKind.CDN: "a CDN",
    }.get(answer.producer.kind, "a server that does not name itself")


def place(url: str) -> str:
    """A URL without its query, which holds the state of an upload."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def line(answer: Answer) -> str:
    """``PATCH /v2/app/blobs/uploads/… was answered 413 by nginx``: the path without ids, which say nothing."""
    path = re.sub(r"(/blobs/uploads/)[^/]+/?$", r"\1…", urlsplit(answer.url).path)
    path = re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1…", path)
    return f"{answer.method} {path} was answered {answer.status} by {who(answer)}"


def quoted(answer: Answer) -> str:
    """The words of the answer, for a sentence, of a page its title; empty where it has none."""
    body = said(answer)
    words = [": ".join(filter(None, (each.code, each.message, each.detail))) for each in body.errors]
    if body.message:
        words.append(body.message)
    page = re.search(r"<title>\s*(.*?)\s*</title>|<h1>\s*(.*?)\s*</h1>", answer.body_excerpt, re.I | re.S)
    if page is not None:
        words.append(page[1] or page[2] or "")
    text = "; ".join(words) or " ".join(re.sub(r"<[^>]*>", " ", answer.body_excerpt).split())
    return f" (“{text[:300]}”)" if text else ""


def outcome(step: UploadStep) -> str:
    """What came of a step, for a sentence."""
    if step.answer is not None:
        return line(step.answer)
    why = step.failure.message if step.failure is not None else "no answer came"
    return f"{step.method} failed after {step.seconds:.1f} s: {why}"


def evidence(*steps: UploadStep | None) -> tuple[str, ...]:
    """The exchanges of the steps that were answered."""
    return tuple(step.answer.exchange for step in steps if step is not None and step.answer is not None)


def lost(answer: Answer | None) -> bool:
    """Whether the registry does not find or not accept an upload that it has opened itself."""
    return (
        answer is not None
        and answer.status in (400, 404)
        and any(code in _LOST for code in said(answer).codes)
    )


def unknown(answer: Answer | None) -> bool:
    """Whether the registry does not know the upload (BLOB_UPLOAD_UNKNOWN)."""
    return answer is not None and lost(answer) and "BLOB_UPLOAD_UNKNOWN" in said(answer).codes


def reached(answer: Answer | None) -> bool:
    """Whether a request got to the registry: any answer that no hop gave in its place."""
    return answer is not None and by_a_hop(answer) is None


def blocks(answer: Answer) -> bool:
    """Whether the answer refuses a request as such; other refusals have codes of their own.

    501 is for methods that a server does not know (RFC 9110 section 15.6.2).
    """
    others = (404, 407, 408, 410, 413, 429, 431, 499)
    return answer.status == 501 or (400 <= answer.status < 500 and answer.status not in others)


def strays(answer: Answer, session: UploadSession) -> bool:
    """Whether a request ended elsewhere (404) while a look at the same upload is answered by the registry.

    Routers that choose by the method answer so: Traefik's ``404 page not found``.
    """
    if answer.status != 404 or by_registry(answer):
        return False
    return any(
        look.succeeded and look.answer is not None and by_registry(look.answer) for look in looks(session)
    )


def signature_refused(answer: Answer | None) -> bool:
    """Whether distribution could not verify the state of an upload: only then the error has a detail.

    ``registry/handlers/blobupload.go``: another offset, name or session gives the same code without one.
    """
    return answer is not None and any(
        error.code == "BLOB_UPLOAD_INVALID" and error.detail for error in said(answer).errors
    )


def statuses(session: UploadSession) -> tuple[UploadStep, ...]:
    """Every look at the status of a session that had just been opened."""
    return (*session.statuses, *(step for other in session.further for step in other.statuses))


def looks(session: UploadSession) -> tuple[UploadStep, ...]:
    """Every request about a session that had been opened."""
    rest = (session.chunk, session.commit)
    return (*statuses(session), *(step for step in rest if step is not None))


def refusal(answer: Answer | None) -> str | None:
    """The code of the known refusal that the answer of a registry to a push is; None where it is none."""
    if answer is None or answer.status < 400:
        return None
    text = answer.body_excerpt
    if _takes_only_reads(answer):
        return "push/read-only"
    said_of = refusals.reason(text)
    if said_of is not None and not (said_of is refusals.Reason.QUOTA and answer.status == 429):
        return _CODES[said_of]
    if answer.status == 412:
        return "push/policy-blocked"
    if answer.status == 405 and answer.method == "POST" and "UNSUPPORTED" in said(answer).codes:
        return "push/unsupported-cache"
    own = answer.status >= 500 and answer.status not in (502, 503, 504) and by_registry(answer)
    return "push/storage-failure" if own and "bad Content-Type" not in text else None


def _takes_only_reads(answer: Answer) -> bool:
    """Maintenance mode of distribution has no handlers that write: 405 in plain text, and Allow lists the rest."""
    allow = {word.strip().upper() for word in (answer.header("allow") or "").split(",")} - {""}
    return (
        answer.status == 405
        and answer.producer.kind is ProducerKind.REGISTRY
        and not said(answer).is_registry_json
        and bool(allow)
        and not allow & {"POST", "PUT", "PATCH"}
    )


def storage_cause(answer: Answer) -> str | None:
    """Why the storage failed, as the answer's body says; None where it does not say."""
    return next((words for pattern, words in STORAGE_CAUSES if pattern.search(answer.body_excerpt)), None)


def redirects(answer: Answer) -> bool:
    """Whether the answer sends the client elsewhere."""
    return answer.status in _REDIRECTS


def redirection(answer: Answer) -> Location | None:
    """Where an answer sends the client; None where it is no redirect or leads nowhere."""
    found = resolve_location(answer.url, answer.header("location")) if redirects(answer) else None
    return found if found is not None and found.url is not None else None


def leads_to(answer: Answer, path: str) -> bool:
    """Whether it sends the client to a path of the same origin, with or without a slash at the end."""
    there = redirection(answer)
    return there is not None and there.same_origin and place(there.url or "").rstrip("/").endswith(path)


def origin_of(location: Location) -> str:
    """``scheme://host[:port]`` of a Location, for a sentence."""
    parts = urlsplit(location.url or "")
    return f"{parts.scheme}://{parts.netloc}"


def why_incomplete(session: UploadSession) -> str:
    """Why not even a tiny blob was uploaded, in a clause."""
    for step in (session.start, session.chunk, session.commit, session.look):
        if step is not None and not step.succeeded:
            return f"no upload comes to its end: {outcome(step)}"
    location = session.location
    if location is not None and location.problem is not None:
        return f"no upload comes to its end: {location.problem}"
    if location is not None and not location.same_origin:
        return f"no upload comes to its end: it would go on at {origin_of(location)}"
    return session.stopped or "no upload comes to its end"


def size(number: int) -> str:
    """Bytes for people: ``1.5 MB``, ``10 GiB``; binary where it is a whole number of these."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("GB", 10**9), ("MB", 10**6), ("KiB", 1024)):
        if number >= factor and (number % factor == 0 or unit in ("MB", "GB")):
            return f"{number / factor:.4g} {unit}"
    return f"{number} bytes"
