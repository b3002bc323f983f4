"""Whether a name without a host, which means Docker Hub, was meant for another registry. Pure."""

from __future__ import annotations

from regdoctor.api import (
    Answer,
    ManifestLook,
    Ping,
    ProducerKind,
    Reference,
    Refusal,
    Tags,
    TokenExchange,
    errors,
)


def error_codes(answer: Answer) -> frozenset[str]:
    """The error codes of a registry's error body."""
    body = errors.parse_errors(answer.body_excerpt.encode(), answer.header("content-type"))
    return frozenset(body.codes)


def is_of_no_registry(answer: Answer) -> bool:
    """Whether an error is a page, or the bare words of a server that knows no such path (Go ``net/http``)."""
    if answer.producer.kind is ProducerKind.REGISTRY or error_codes(answer):
        return False
    body = answer.body_excerpt
    return (
        errors.looks_like_html(body.encode(), answer.header("content-type"))
        or body.strip() == "404 page not found"
    )


def unknown_repository(look: ManifestLook | None, tags: Tags | None) -> Answer | None:
    """The answer that says that there is no such repository, or None."""
    answer = look.answer if look is not None else None
    if answer is None or answer.status != 404:
        return None
    if "NAME_UNKNOWN" in error_codes(answer):
        return answer
    listed = tags.answer if tags is not None else None
    return listed if listed is not None and listed.status == 404 else None


def refused_or_unknown(
    look: ManifestLook | None, tags: Tags | None, refusal: Refusal | None, exchange: TokenExchange | None
) -> Answer | None:
    """The answer that does not give the repository: of missing and private ones many registries say the same."""
    unknown = unknown_repository(look, tags)
    if unknown is not None:
        return unknown
    if refusal is not None and refusal.answer.status in (401, 403):
        return refusal.answer
    answer = exchange.answer if exchange is not None else None
    return answer if answer is not None and answer.status in (401, 403) else None


def was_reached(ping: Ping | None) -> bool:
    """Whether Docker Hub answered at all."""
    return ping is not None and ping.answer is not None


def first_part(reference: Reference | None) -> str | None:
    """What stands before the first slash of a name without a host and may have been meant as one, or None."""
    if reference is None or reference.explicit_host or not reference.on_docker_hub:
        return None
    name = reference.text.partition("@")[0]
    return name.partition("/")[0] if "/" in name else None
