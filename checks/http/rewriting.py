"""Bytes that are not those of the registry: changed, cut or out of date on the way. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import Answer, Certainty, Draft, ProducerKind, Replicas, finding

from . import answers


def other_bytes(answer: Answer, head: Answer | None, digest: str, size: int, wanted: str) -> Iterator[Draft]:
    """``http/content-rewritten`` for a manifest of another digest, where something shows that it was changed.

    Where nothing does, the bytes may as well be stored so.
    """
    signs = _signs_of_change(answer, head, size)
    if not signs:
        return
    hop = answer.producer.name if answer.producer.kind is not ProducerKind.REGISTRY else _hop(answer)
    yield finding(
        "http/content-rewritten",
        f"{answers.line(answer)} with {size} bytes whose digest is {digest}, and it should be {wanted}. "
        + f"{' '.join(signs)} "
        + (f"The answer came through {hop}. " if hop else "")
        + "Clients refuse such a manifest: “manifest verification failed for digest”.",
        evidence=(answer.exchange,),
    )


def _signs_of_change(answer: Answer, head: Answer | None, size: int) -> list[str]:
    """What shows that the bytes were changed on the way, and not stored so."""
    signs = []
    encoding = answer.header("content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        signs.append(f"They are compressed ({encoding}) although nobody asked for that.")
    if (answer.header("etag") or "").startswith("W/"):
        signs.append("Its ETag is weak, with which a proxy says that it changed the bytes (RFC 9110, 8.8.1).")
    if answer.header("content-length") is None:
        signs.append("They came without a Content-Length, as from a hop that edits bodies while they pass.")
    told = answers.content_length(head) if head is not None and head.status == 200 else None
    if told is not None and told != size:
        signs.append(f"HEAD gives its length as {told} bytes.")
    return signs


def _hop(answer: Answer) -> str | None:
    """A hop on the way that a registry's answer names."""
    via = answer.header("via") or answer.header("server")
    return via[:80] if via else None


def cut_short(answer: Answer) -> Iterator[Draft]:
    """Fewer bytes than were announced."""
    length = answers.content_length(answer)
    if answer.body_failure is None or length is None:
        return
    yield finding(
        "http/content-rewritten",
        f"{answers.line(answer)} and announced {length} bytes, and the connection ended after "
        f"{answer.body_size}. A hop on the way cuts what the registry sends; clients say “unexpected EOF”.",
        certainty=Certainty.LIKELY,
        evidence=(answer.exchange,),
    )


def outdated(answer: Answer, digest: str, replicas: Replicas | None) -> Iterator[Draft]:
    """A cache answers for the tag with what it meant earlier."""
    uncached = replicas.uncached if replicas is not None else None
    if replicas is None or not isinstance(uncached, Answer) or uncached.status != 200:
        return
    fresh = uncached.header("docker-content-digest")
    others = {
        each.header("docker-content-digest") if isinstance(each, Answer) else None
        for each in replicas.question.answers
    }
    if fresh is None or fresh == digest or others != {digest}:
        return
    age = answer.header("age")
    yield finding(
        "http/content-rewritten",
        f"{answers.line(answer)} with {digest}{f', {age} s old' if age else ''}, as every time; the same "
        f"request made so that no cache knows it gives {fresh}. A cache on the way answers for this tag with "
        "what it meant earlier.",
        evidence=(answer.exchange, uncached.exchange),
    )
