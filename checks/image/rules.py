"""What the answers for a manifest, its children and its blobs mean."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import (
    Answer,
    BlobLook,
    Blobs,
    Certainty,
    Draft,
    Endpoint,
    IndexChildren,
    ManifestLook,
    ProducerKind,
    Repositories,
    Settings,
    Tags,
    Target,
    errors,
    finding,
    manifests,
    near,
    platforms,
    rule,
)


def _codes(answer: Answer) -> frozenset[str]:
    """The error codes of a registry's error body."""
    body = errors.parse_errors(answer.body_excerpt.encode(), answer.header("content-type"))
    return frozenset(each.code for each in body.errors if each.code)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _exchanges(*answers: Answer | None) -> tuple[str, ...]:
    return tuple(answer.exchange for answer in answers if answer is not None)


@rule("image/repository-not-found", "image/digest-not-found", "image/manifest-gone", "image/tag-not-found")
def not_found(
    look: ManifestLook, target: Target, tags: Tags | None, repositories: Repositories | None
) -> Iterator[Draft]:
    """404 for the manifest: the repository, the tag or the manifest is missing."""
    answer, reference = look.answer, target.reference
    if answer is None or reference is None or answer.status != 404:
        return
    if answer.producer.kind is not ProducerKind.REGISTRY and not _codes(answer):
        return
    said = f"GET {look.url} is answered 404."
    tag_list = tags.answer if tags is not None else None
    evidence = _exchanges(answer, tag_list)
    listed = tag_list is not None and tag_list.status == 200
    if (tag_list is not None and tag_list.status == 404) or "NAME_UNKNOWN" in _codes(answer):
        similar = near.near(reference.repository, repositories.names) if repositories is not None else ()
        known = repositories is not None and repositories.complete
        yield finding(
            "image/repository-not-found",
            f"{said} The registry lists no tags for {reference.repository} either: it has no such repository"
            + (
                f". Near names: {_names(similar)}."
                if similar
                else f"; it has {len(repositories.names)} others."
                if repositories is not None and known
                else ", or does not show it to this account."
            ),
            certainty=Certainty.PROVEN if known else Certainty.LIKELY,
            fix=_suggest(target, tuple(f"{name}:{reference.reference}" for name in similar[:1])),
            evidence=evidence,
        )
    elif tags is not None and reference.digest is None and reference.reference in tags.tags:
        yield finding(
            "image/manifest-gone",
            f"{said} The tag {reference.reference} is in the repository's list of tags, but the manifest that "
            "it points to is gone from the registry's storage.",
            evidence=evidence,
        )
    elif reference.digest is not None:
        yield finding(
            "image/digest-not-found",
            f"{said} The repository {reference.repository} "
            + (f"exists and holds no manifest {reference.digest}." if listed else "did not list its tags."),
            certainty=Certainty.PROVEN if listed else Certainty.LIKELY,
            evidence=evidence,
        )
    else:
        similar = near.near(reference.reference, tags.tags) if tags is not None else ()
        if similar:
            beside = f" Near tags: {_names(similar)}."
        elif listed and tags is not None:
            beside = f" It has {len(tags.tags)} tags." if tags.tags else " It has no tags at all."
        else:
            beside = " It did not list its tags."
        yield finding(
            "image/tag-not-found",
            f"{said} The repository {reference.repository} has no tag {reference.reference}.{beside}",
            certainty=Certainty.PROVEN if listed and tags is not None and tags.complete else Certainty.LIKELY,
            fix=_suggest(target, tuple(f"{reference.repository}:{name}" for name in similar[:1])),
            evidence=evidence,
        )


def _suggest(target: Target, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"use {target.registry}/{name} if that is the one that was meant" for name in names)


@rule("image/platform-missing")
def platform_missing(
    look: ManifestLook, children: IndexChildren | None, blobs: Blobs | None, settings: Settings
) -> Iterator[Draft]:
    """No manifest for a wanted platform."""
    if look.content is None:
        return
    document = look.content.document
    if isinstance(document, manifests.Index) and children is not None:
        offered = _names(tuple(dict.fromkeys(str(each) for each in document.platforms))) or "no platform"
        for platform in children.wanted:
            if manifests.select_platform(document, platforms.Platform.parse(platform)) is None:
                whose = "asked for" if children.explicit else "of this machine"
                yield finding(
                    "image/platform-missing",
                    f"{look.url} is an index with manifests for {offered}; the platform {whose}, "
                    f"{platform}, is not among them. Clients say “no matching manifest”.",
                    evidence=_exchanges(look.answer),
                )
    elif isinstance(document, manifests.Manifest) and blobs is not None:
        config = blobs.config_of(look.content.digest)
        if config is None or config.platform is None:
            return
        built = platforms.Platform.parse(config.platform)
        for platform in settings.platforms:
            if platforms.best_match(platforms.Platform.parse(platform), (built,)) is None:
                yield finding(
                    "image/platform-missing",
                    f"{look.url} is a single image for {config.platform}, and {platform} was asked for. "
                    "It cannot run there, even where a client pulls it with no more than a warning.",
                    evidence=_exchanges(look.answer, config.answer),
                )


@rule("image/child-missing")
def child_missing(children: IndexChildren) -> Iterator[Draft]:
    """The index lists a manifest that the registry does not have."""
    gone = [each for each in children.children if each.answer is not None and each.answer.status == 404]
    if gone:
        missing = _names(tuple(str(each.descriptor.platform or each.descriptor.digest) for each in gone))
        yield finding(
            "image/child-missing",
            f"The index lists {len(children.children)} manifests, and the registry answers 404 for {len(gone)} "
            f"of them: {missing}. Pulls for these platforms fail with “manifest unknown”; others work.",
            evidence=_exchanges(*(each.answer for each in gone)),
        )


def _last(blob: BlobLook) -> Answer | None:
    """The answer of whoever holds the bytes."""
    return blob.followed if blob.redirect is not None else blob.answer


@rule("image/blob-missing")
def blob_missing(blobs: Blobs) -> Iterator[Draft]:
    """A layer or config that the manifest lists is not in the registry."""
    gone = [
        blob for blob in blobs.blobs if (answer := _last(blob)) is not None and answer.status in (404, 410)
    ]
    if gone:
        parts = "; ".join(
            f"{blob.role} {blob.descriptor.digest} ({blob.descriptor.size} bytes)" for blob in gone[:5]
        )
        more = f", and {len(gone) - 5} more" if len(gone) > 5 else ""
        yield finding(
            "image/blob-missing",
            f"The manifest is there, and {len(gone)} of its {len(blobs.blobs)} blobs are not: {parts}{more}. "
            "Every pull of the image fails at that blob.",
            evidence=_exchanges(*(_last(blob) for blob in gone)),
        )


@rule("image/blob-corrupt")
def blob_corrupt(blobs: Blobs) -> Iterator[Draft]:
    """What is served is not what the manifest lists: another digest or another length."""
    for blob in blobs.blobs:
        answer = _last(blob)
        if answer is None or answer.status != 200:
            continue
        wanted = blob.descriptor
        length = answer.header("content-length")
        if blob.digest_seen is not None and blob.digest_seen != wanted.digest:
            seen = f"the bytes that came have the digest {blob.digest_seen}"
        elif length is not None and length.isdigit() and int(length) != wanted.size:
            seen = f"the registry gives its length as {length} bytes"
        else:
            continue
        yield finding(
            "image/blob-corrupt",
            f"The manifest lists the {blob.role} {wanted.digest} with {wanted.size} bytes, and {seen}. "
            "Clients refuse it after the download.",
            evidence=(answer.exchange,),
        )


@rule("image/blob-host-unreachable")
def blob_host(endpoint: Endpoint, blobs: Blobs) -> Iterator[Draft]:
    """The registry sends clients elsewhere for the bytes, and this host cannot get them there."""
    failed = [
        blob for blob in blobs.blobs if blob.redirect == endpoint.url and blob.followed_failure is not None
    ]
    if failed and failed[0].followed_failure is not None:
        yield finding(
            "image/blob-host-unreachable",
            f"The registry answers requests for blobs with a redirect to {endpoint.url}, and this host cannot "
            f"use it: {failed[0].followed_failure.message}. Manifests come from the registry itself, so "
            "everything but the layers works.",
            evidence=_exchanges(failed[0].answer),
        )
