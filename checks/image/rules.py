"""What the answers for a manifest, its children and its blobs mean."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Annotated

from msgspec.structs import replace

from regdoctor.api import (
    Answer,
    BlobLook,
    Blobs,
    Certainty,
    ChildLook,
    Credentials,
    Draft,
    Each,
    Endpoint,
    HostLookalike,
    IndexChildren,
    LibraryLook,
    ManifestLook,
    Ping,
    Product,
    Refusal,
    Repositories,
    Role,
    Settings,
    Severity,
    Tags,
    Target,
    TokenExchange,
    UploadSession,
    Upstream,
    UpstreamLook,
    Vendor,
    VerifiedBlob,
    VerifiedBlobs,
    errors,
    finding,
    manifests,
    near,
    platforms,
    rule,
)

from . import naming

_SHOWN = 5
"""How many of a kind a sentence names."""
_EMPTY_DIGEST = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _some(parts: list[str]) -> str:
    """The first few, and how many more there are."""
    more = f", and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return "; ".join(parts[:_SHOWN]) + more


def _exchanges(*answers: Answer | None) -> tuple[str, ...]:
    return tuple(answer.exchange for answer in answers if answer is not None)


def _quoted(answer: Answer) -> str:
    """What an error says, in quotes after a colon; empty where it says nothing."""
    body = errors.parse_errors(answer.body_excerpt.encode(), answer.header("content-type"))
    said = "; ".join(error.message for error in body.errors if error.message) or body.message
    return f": “{said[:200]}”" if said else ""


@rule("image/invalid-reference")
def invalid_reference(target: Target) -> Iterator[Draft]:
    """What stands where an image must is none."""
    defect = target.defect
    if defect is None:
        return
    shown = target.text
    position = defect.position
    if (
        position is not None
        and defect.character is not None
        and shown[position : position + 1] == defect.character
    ):
        shown = f"{shown[:position]}»{defect.character}«{shown[position + 1 :]}"
    where = f" (at character {position + 1})" if position is not None else ""
    yield finding(
        "image/invalid-reference",
        f"{target.place or 'The target'} names “{shown}”, which is no image reference: "
        f"{defect.reason}{where}. Clients refuse it before they contact anything: “invalid reference format”, "
        "in Kubernetes InvalidImageName.",
        reproduce=f"docker pull {shlex.quote(target.text)}",
        evidence=(target.place,) if target.place is not None else (),
    )


@rule("image/invalid-reference")
def name_of_another_script(target: Target) -> Iterator[Draft]:
    """The host is written in letters that clients do not take, and was put into A-labels here."""
    if target.reference is not None and not target.text.isascii() and target.host != target.ascii_host:
        yield finding(
            "image/invalid-reference",
            f"{target.text} was read as {target.reference.text}: in the names of images clients take hosts in "
            "their ASCII form alone and refuse this spelling before they contact anything: “invalid reference "
            "format”.",
            severity=Severity.INFO,
            fix=(f"write {target.reference.text}",),
            reproduce=f"docker pull {shlex.quote(target.text)}",
        )


@rule("image/host-missing")
def host_missing(
    target: Target,
    settings: Settings,
    look: ManifestLook | None,
    tags: Tags | None,
    refusal: Refusal | None,
    exchange: TokenExchange | None,
    pings: Annotated[Each[Ping], Role.REGISTRY],
    credentials: Credentials | None,
    lookalike: HostLookalike | None,
) -> Iterator[Draft]:
    """A name without a host means Docker Hub: told where that does not have it, and in CI."""
    reference = target.reference
    if reference is None or reference.explicit_host:
        return
    full = f"{reference.registry}/{reference.path}"
    means = f"“{target.text}” names no registry host, so for docker it means {full}."
    refused = naming.refused_or_unknown(look, tags, refusal, exchange)
    if refused is not None:
        said = f"{means} There {refused.method} {refused.url} is answered {refused.status}{_quoted(refused)}."
    elif not naming.was_reached(next(iter(pings.values()), None)):
        said = f"{means} Docker Hub was not reached from here."
    else:
        said = means
    part = naming.first_part(reference)
    if lookalike is not None and lookalike.addresses and not lookalike.control:
        yield finding(
            "image/host-missing",
            f"{said} {lookalike.name} is the name of a host here ({', '.join(lookalike.addresses[:3])}), and "
            "taken for one only with a dot, a port or “localhost”.",
            certainty=Certainty.LIKELY,
            fix=(
                "if that host was meant, write its port: "
                f"{lookalike.name}:5000/{target.text.partition('/')[2]}",
            ),
            evidence=("host-lookalike", *_exchanges(refused)),
        )
    elif refused is not None and part is None:
        yield finding(
            "image/host-missing",
            f"{said} Official images are there for everybody, so {reference.path} is none of them.",
            certainty=Certainty.LIKELY,
            evidence=_exchanges(refused),
        )
    elif refused is not None and (credentials is None or not credentials.found):
        yield finding(
            "image/host-missing",
            f"{said} Either another registry was meant, whose host is missing, or it is a private repository "
            f"of “{part}” on Docker Hub; no login for Docker Hub is stored here.",
            certainty=Certainty.POSSIBLE,
            evidence=_exchanges(refused),
        )
    elif settings.profile == "ci":
        yield finding(
            "image/host-missing",
            f"{means} Where short names are configured otherwise (podman, CRI-O) it may be another image.",
            evidence=(target.place,) if target.place is not None else (),
        )


@rule("image/latest-tag")
def latest_tag(target: Target, settings: Settings) -> Iterator[Draft]:
    """No fixed version, where one is wanted: in CI, and in files that say what is deployed."""
    reference = target.reference
    if reference is None or reference.digest is not None or reference.tag not in (None, "latest"):
        return
    if target.place is None and settings.profile != "ci":
        return
    what = "has the tag latest" if reference.explicit_tag else "has no tag, which means latest"
    yield finding(
        "image/latest-tag",
        f"“{target.text}”{f' in {target.place}' if target.place else ''} {what}: what it is changes whenever "
        "somebody pushes, machines that pulled at different times run different versions, and a rollback has "
        "nothing to go back to.",
        evidence=(target.place,) if target.place is not None else (),
    )


@rule("image/repository-not-found", "image/digest-not-found", "image/manifest-gone", "image/tag-not-found")
def not_found(
    look: ManifestLook,
    target: Target,
    tags: Tags | None,
    repositories: Repositories | None,
    product: Product | None,
    upstream: Upstream | None,
    upload: UploadSession | None = None,
) -> Iterator[Draft]:
    """404 for the manifest: the repository, the tag or the manifest is missing.

    What does not exist yet is no obstacle to a push, unless the push is refused for that.
    """
    answer, reference = look.answer, target.reference
    if answer is None or reference is None or answer.status != 404:
        return
    if naming.is_of_no_registry(answer) or _wants_other_types(answer):
        return
    said = f"{answer.method} {look.url} is answered 404."
    tag_list = tags.answer if tags is not None else None
    evidence = _exchanges(answer, tag_list)
    listed = tag_list is not None and tag_list.status == 200
    awaited = upload is not None and not _wants_it_first(upload)
    if naming.unknown_repository(look, tags) is not None:
        missing = _repository_not_found(target, said, repositories, product, evidence)
        yield replace(missing, severity=Severity.INFO) if awaited else missing
    elif tags is not None and reference.digest is None and reference.reference in tags.tags:
        # A cache lists the tags of its upstream, and holds of their manifests only what was pulled.
        if upstream is None:
            yield finding(
                "image/manifest-gone",
                f"{said} The tag {reference.reference} is in the repository's list of tags, but the manifest "
                "that it points to is gone from the registry's storage.",
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
        elif listed and tags is not None and tags.complete:
            beside = f" It has {len(tags.tags)} tags." if tags.tags else " It has no tags at all."
        elif listed and tags is not None:
            beside = f" Its list of tags could be read in part only ({len(tags.tags)} of them)."
        else:
            beside = " It did not list its tags."
        yield finding(
            "image/tag-not-found",
            f"{said} The repository {reference.repository} has no tag {reference.reference}.{beside}",
            certainty=Certainty.PROVEN if listed and tags is not None and tags.complete else Certainty.LIKELY,
            severity=Severity.INFO if awaited else None,
            fix=_suggest(target, tuple(f"{reference.repository}:{name}" for name in similar[:1])),
            evidence=evidence,
        )


def _wants_it_first(upload: UploadSession) -> bool:
    """Whether the registry refuses an upload to a repository that does not exist."""
    answer = upload.start.answer
    return not upload.accepted and answer is not None and answer.status in (401, 403, 404)


_CREATED_FIRST = {
    Vendor.ECR: "aws ecr create-repository --repository-name {repository}",
    Vendor.GOOGLE: "gcloud artifacts repositories create, with docker as its format",
    Vendor.HARBOR: "create the project {project} in Harbor",
    Vendor.GITLAB: "create the project {repository} in GitLab, or correct the path",
}
"""Products where a repository or project must exist before the first push."""


def _repository_not_found(
    target: Target,
    said: str,
    repositories: Repositories | None,
    product: Product | None,
    evidence: tuple[str, ...],
) -> Draft:
    reference = target.reference
    path = reference.repository if reference is not None else ""
    similar = near.near(path, repositories.names) if repositories is not None else ()
    known = repositories is not None and repositories.complete and path not in repositories.names
    if similar:
        beside = f". Near names: {_names(similar)}."
    elif repositories is not None and known:
        beside = f"; it has {len(repositories.names)} others."
    else:
        beside = ", or does not show it to this account."
    step = _CREATED_FIRST.get(product.vendor) if product is not None and product.vendor is not None else None
    tag = reference.reference if reference is not None else ""
    mark = "@" if reference is not None and reference.digest is not None else ":"
    return finding(
        "image/repository-not-found",
        f"{said} The registry lists no tags for {path} either: it has no such repository{beside}",
        certainty=Certainty.PROVEN if known else Certainty.LIKELY,
        fix=(
            *_suggest(target, tuple(f"{name}{mark}{tag}" for name in similar[:1])),
            *((step.format(repository=path, project=path.partition("/")[0]),) if step else ()),
        ),
        evidence=evidence,
    )


def _suggest(target: Target, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"use {target.registry}/{name} if that is the one that was meant" for name in names)


@rule("image/library-prefix")
def library_prefix(target: Target, found: LibraryLook) -> Iterator[Draft]:
    """The name is unknown, and the same name below library/ is there."""
    answer, reference = found.answer, target.reference
    if answer is None or answer.status != 200 or reference is None:
        return
    mark = "@" if reference.digest is not None else ":"
    yield finding(
        "image/library-prefix",
        f"{target.registry} does not give {reference.repository}, and it has {found.repository}: HEAD "
        f"{found.url} is answered 200. Clients put library/ in front of a single name only where no host is "
        "written.",
        fix=(f"use {target.registry}/{found.repository}{mark}{reference.reference}",),
        evidence=(answer.exchange,),
    )


@rule("image/platform-missing")
def platform_missing(
    look: ManifestLook, children: IndexChildren | None, blobs: Blobs | None, settings: Settings
) -> Iterator[Draft]:
    """No manifest for a wanted platform."""
    if look.content is None:
        return
    document = look.content.document
    if isinstance(document, manifests.Index) and children is not None:
        if not _is_for_platforms(document):
            return
        offered = _names(tuple(dict.fromkeys(str(each) for each in document.platforms))) or "no platform"
        for platform in children.wanted:
            if manifests.select_platform(document, platforms.Platform.parse(platform)) is None:
                whose = "asked for" if children.explicit else "of this machine"
                yield finding(
                    "image/platform-missing",
                    f"{look.url} is an index with manifests for {offered}; the platform {whose}, {platform}, "
                    "is not among them. Clients say “no matching manifest”.",
                    evidence=_exchanges(look.answer),
                )
    elif isinstance(document, manifests.Manifest) and document.is_image and blobs is not None:
        config = blobs.config_of(look.content.digest)
        if config is None or config.platform is None:
            return
        built = platforms.Platform.parse(config.platform)
        for platform in settings.platforms:
            if platforms.best_match(platforms.Platform.parse(platform), (built,)) is None:
                yield finding(
                    "image/platform-missing",
                    f"{look.url} is a single image for {config.platform}, and {platform} was asked for. It "
                    "cannot run there, even where a client pulls it with no more than a warning.",
                    evidence=_exchanges(look.answer, config.answer),
                )


def _is_for_platforms(index: manifests.Index) -> bool:
    """Whether an index is one of images: indexes of artifacts name no platform at all."""
    return (
        bool(index.platforms) or not index.manifests or (bool(index.images) and index.artifact_type is None)
    )


@rule("image/child-missing")
def child_missing(children: IndexChildren) -> Iterator[Draft]:
    """The index lists a manifest that the registry does not have."""
    gone = [each for each in children.children if each.answer is not None and each.answer.status == 404]
    if gone:
        missing = _some([_child_name(each) for each in gone])
        only_extras = all(each.descriptor.is_attestation for each in gone)
        yield finding(
            "image/child-missing",
            f"The index lists {len(children.children)} manifests, and the registry answers 404 for "
            f"{len(gone)} of them: {missing}. "
            + (
                "They hold provenance or an SBOM, no image: pulls work, copies of the whole index fail."
                if only_extras
                else "Pulls for these platforms fail with “manifest unknown”; others work."
            ),
            evidence=_exchanges(*(each.answer for each in gone[:_SHOWN])),
        )


def _child_name(child: ChildLook) -> str:
    descriptor = child.descriptor
    if descriptor.is_attestation:
        return f"an attestation ({descriptor.digest})"
    return f"{descriptor.platform} ({descriptor.digest})" if descriptor.platform else descriptor.digest


def _wants_other_types(answer: Answer) -> bool:
    """Whether a 404 is about the types that the request accepts (distribution, GHCR)."""
    return "accept header does not support" in answer.body_excerpt.lower()


_GENERIC = (
    "",
    "application/json",
    "text/json",
    "text/plain",
    "application/octet-stream",
    "binary/octet-stream",
)
"""Types that say nothing; docker and containerd then do not know what they got."""


@rule("image/manifest-unsupported")
def manifest_unsupported(look: ManifestLook) -> Iterator[Draft]:
    """The manifest is there in a type that clients do not take, or is kept from those that they accept."""
    answer = look.answer
    if answer is None:
        return
    if answer.status == 404 and _wants_other_types(answer):
        yield finding(
            "image/manifest-unsupported",
            f"{answer.method} {look.url} is answered 404{_quoted(answer)}. The image is there; the request "
            "did list the types of OCI in its Accept header, so a hop between here and the registry shortens "
            "or replaces that header.",
            fix=(
                "in the reverse proxy remove what sets or drops the Accept header (nginx: proxy_set_header "
                "Accept)",
            ),
            evidence=(answer.exchange,),
        )
    elif answer.status in (406, 415):
        yield finding(
            "image/manifest-unsupported",
            f"{answer.method} {look.url}, accepting the types of OCI and of Docker, is answered "
            f"{answer.status}{_quoted(answer)}: the registry does not deliver this image to current clients.",
            certainty=Certainty.LIKELY,
            evidence=(answer.exchange,),
        )
    elif answer.status == 200 and look.content is not None:
        yield from _unsupported_document(look, answer)


def _unsupported_document(look: ManifestLook, answer: Answer) -> Iterator[Draft]:
    content = look.content
    if content is None:
        return
    document = content.document
    declared = (answer.header("content-type") or "").partition(";")[0].strip().lower()
    if isinstance(document, manifests.Schema1):
        yield finding(
            "image/manifest-unsupported",
            f"{look.url} is a manifest of Docker's schema 1 ({document.media_type}). docker 26, containerd "
            "2.1 and registry 3 no longer read these; older ones warn. Registry 2.x also converts images to "
            "it for requests whose Accept header was lost on the way, in a proxy.",
            evidence=(answer.exchange,),
        )
    elif isinstance(document, manifests.Artifact):
        yield finding(
            "image/manifest-unsupported",
            f"{look.url} is an artifact manifest ({document.media_type}), a type that the OCI image "
            "specification has dropped before 1.1. No container can be made of it, and clients do not read "
            "it.",
            evidence=(answer.exchange,),
        )
    elif isinstance(document, manifests.Unreadable):
        if "html" not in declared:
            yield finding(
                "image/manifest-unsupported",
                f"{look.url} is delivered as {declared or 'nothing (without Content-Type)'} and is no image "
                f"manifest or index: {'; '.join(document.problems[:2])}.",
                evidence=(answer.exchange,),
            )
    elif declared in _GENERIC:
        yield finding(
            "image/manifest-unsupported",
            f"{look.url} is a manifest of the type {document.media_type}, and is delivered as "
            f"{declared or 'nothing (without Content-Type)'}. docker and containerd go by that header and "
            "refuse it: “unsupported manifest media type”; podman and skopeo look inside and manage.",
            fix=("in the reverse proxy or CDN let the registry's Content-Type pass",),
            certainty=Certainty.LIKELY,
            evidence=(answer.exchange,),
        )
    else:
        contradictions = [each for each in document.problems if "refuse" in each or "mediaType says" in each]
        if contradictions:
            yield finding(
                "image/manifest-unsupported",
                f"{look.url} contradicts itself: {'; '.join(contradictions[:2])}. Clients refuse it: "
                "“mediaType in manifest should be …”.",
                certainty=Certainty.LIKELY,
                evidence=(answer.exchange,),
            )


@rule("image/blob-missing")
def blob_missing(blobs: Blobs) -> Iterator[Draft]:
    """A layer or config that the manifest lists is not in the registry."""
    gone = [
        blob for blob in blobs.blobs if (answer := blob.final) is not None and answer.status in (404, 410)
    ]
    silent = [blob for blob in blobs.blobs if _is_promised_only(blob)]
    if not gone and not silent:
        return
    parts = [
        f"{blob.role} {blob.descriptor.digest} ({blob.descriptor.size} bytes)" for blob in (*gone, *silent)
    ]
    remembered = (
        " The registry says that it has them, and sends not one byte: it remembers what its storage has "
        "lost, as after a garbage collection without a restart."
        if silent
        else ""
    )
    yield finding(
        "image/blob-missing",
        f"The manifest is there, and {len(parts)} of its {len(blobs.blobs)} blobs are not: "
        f"{_some(parts)}.{remembered}{_sent_elsewhere(gone)} Every pull of the image fails at that blob.",
        certainty=Certainty.LIKELY if silent and not gone else Certainty.PROVEN,
        evidence=_exchanges(*(blob.final for blob in (*gone, *silent)[:_SHOWN])),
    )


def _sent_elsewhere(gone: Iterable[BlobLook]) -> str:
    """A sentence on the hosts that the registry sent clients to for what is not there, or nothing."""
    hosts = {blob.redirect for blob in gone if blob.redirect is not None and blob.followed is not None}
    if not hosts:
        return ""
    return (
        f" The registry itself knows them and sends clients to {_names(tuple(sorted(hosts)))}, which answers that "
        "there is nothing: the storage has lost them, or the address that the registry gives (bucket, base URL) "
        "is not where it keeps them."
    )


def _is_promised_only(blob: BlobLook) -> bool:
    """Whether content is announced, and the connection ends before its first byte."""
    answer = blob.final
    return (
        answer is not None
        and answer.method == "GET"
        and answer.status in (200, 206)
        and answer.body_size == 0
        and not answer.body_complete
        and blob.descriptor.size > 0
    )


@rule("image/blob-corrupt")
def blob_corrupt(blobs: Blobs) -> Iterator[Draft]:
    """What is served is not what the manifest lists: another digest or another length."""
    for blob in blobs.blobs:
        answer = blob.final
        if answer is None or answer.status not in (200, 206, 416) or _is_promised_only(blob):
            continue
        wanted = blob.descriptor
        if blob.digest_seen is not None and blob.digest_seen != wanted.digest:
            seen = f"the bytes that came have the digest {blob.digest_seen}"
            if blob.digest_seen == _EMPTY_DIGEST:
                seen += ", which is that of nothing: the file is empty"
        elif blob.length is not None and wanted.size >= 0 and blob.length != wanted.size:
            seen = f"its holder gives its length as {blob.length} bytes"
            if blob.length == 0:
                seen += ": the file is empty"
        else:
            continue
        yield finding(
            "image/blob-corrupt",
            f"The manifest lists the {blob.role} {wanted.digest} with {wanted.size} bytes, and {seen}. "
            "Clients refuse it after the download.",
            evidence=(answer.exchange,),
        )


@rule("image/blob-corrupt")
def verified_corrupt(verified: VerifiedBlobs) -> Iterator[Draft]:
    """A download whose digest is wrong in the same way every time."""
    for blob in verified.blobs:
        seen = {(download.digest, download.size) for download in blob.downloads}
        last = blob.downloads[-1]
        if len(seen) == 1 and last.digest is not None and last.digest != blob.descriptor.digest:
            yield finding(
                "image/blob-corrupt",
                f"The layer {blob.descriptor.digest} ({blob.descriptor.size} bytes) was downloaded "
                f"{_times(blob)}: {last.size} bytes with the digest {last.digest} each time. The same wrong "
                "bytes every time are what lies in storage.",
                evidence=_exchanges(*(download.answer for download in blob.downloads)),
            )


def _times(blob: VerifiedBlob) -> str:
    return {1: "once", 2: "twice"}.get(len(blob.downloads), f"{len(blob.downloads)} times")


@rule("image/blob-corrupt")
def manifest_corrupt(look: ManifestLook, target: Target, children: IndexChildren | None) -> Iterator[Draft]:
    """A manifest that was asked for by digest, or names one in its header, and has another."""
    answer, content = look.answer, look.content
    asked = target.reference.digest if target.reference is not None else None
    # The digest of a signed manifest of schema 1 is that of its payload, not of the bytes.
    if answer is not None and content is not None and not isinstance(content.document, manifests.Schema1):
        wanted = asked or answer.header("docker-content-digest")
        if wanted and _same_algorithm(wanted, content.digest) and wanted != content.digest:
            yield _manifest_differs(answer, wanted, content.digest, content.size)
    for child in children.children if children is not None else ():
        if child.answer is None or child.content is None:
            continue
        wanted = child.descriptor.digest
        if _same_algorithm(wanted, child.content.digest) and wanted != child.content.digest:
            yield _manifest_differs(child.answer, wanted, child.content.digest, child.content.size)


def _same_algorithm(one: str, other: str) -> bool:
    return one.partition(":")[0] == other.partition(":")[0]


def _manifest_differs(answer: Answer, wanted: str, seen: str, size: int) -> Draft:
    return finding(
        "image/blob-corrupt",
        f"{answer.method} {answer.url} should give the manifest {wanted}, and the {size} bytes that came have "
        f"the digest {seen}. Clients refuse it: “manifest verification failed for digest”.",
        certainty=Certainty.LIKELY,
        evidence=(answer.exchange,),
    )


@rule("image/blob-host-unreachable")
def blob_host(endpoint: Endpoint, blobs: Blobs) -> Iterator[Draft]:
    """The registry sends clients elsewhere for the bytes, and this host cannot get them there."""
    led = [blob for blob in blobs.blobs if blob.redirect == endpoint.url]
    failed = [blob for blob in led if blob.followed_failure is not None]
    refused = [blob for blob in led if blob.followed is not None and _is_refusal(blob.followed)]
    if failed and failed[0].followed_failure is not None:
        why = f"this host cannot use it: {failed[0].followed_failure.message}"
    elif refused and refused[0].followed is not None:
        why = f"that answers {refused[0].followed.status}{_quoted(refused[0].followed)}"
    else:
        return
    yield finding(
        "image/blob-host-unreachable",
        f"The registry answers requests for blobs with a redirect to {endpoint.url}, and {why}. Manifests "
        "come from the registry itself, so everything but the layers works.",
        evidence=_exchanges(
            *(blob.answer for blob in (failed or refused)[:1]), *(blob.followed for blob in refused[:1])
        ),
    )


@rule("image/blob-host-unreachable")
def manifest_host(endpoint: Endpoint, look: ManifestLook) -> Iterator[Draft]:
    """The registry sends clients elsewhere already for the manifest, and this host cannot get it there."""
    if not look.redirects or look.redirects[-1] != endpoint.url:
        return
    if look.failure is not None:
        why = f"this host cannot use it: {look.failure.message}"
    elif look.answer is not None and _is_refusal(look.answer):
        why = f"that answers {look.answer.status}{_quoted(look.answer)}"
    else:
        return
    yield finding(
        "image/blob-host-unreachable",
        f"The registry answers {look.url} with a redirect to {endpoint.url}, and {why}. /v2/ and logins are "
        "answered by the registry itself, so they seem fine.",
        evidence=_exchanges(look.answer),
    )


def _is_refusal(answer: Answer) -> bool:
    """Whether the host of the bytes answers, and gives none: refused, failed, or led on without end."""
    return answer.status in (301, 302, 303, 307, 308, 400, 401, 403, 407, 451) or answer.status >= 500


@rule("image/upstream-broken")
def upstream_broken(
    target: Target,
    settings: Settings,
    upstream: Upstream,
    pings: Annotated[Each[Ping], Role.UPSTREAM],
    seen: UpstreamLook | None,
    look: ManifestLook | None,
) -> Iterator[Draft]:
    """The upstream of a pull-through cache, asked from the cache's own host as the cache asks it."""
    endpoint = next(iter(upstream.endpoints), None)
    evidence: tuple[str, ...] = (upstream.source, "upstream")
    certainty = Certainty.PROVEN
    if endpoint is None:
        why: str | None = f"{upstream.problem}"
    else:
        ping = pings.get(endpoint)
        why = _unreachable(ping, pings.missing.get(endpoint))
        evidence += _exchanges(ping.answer if ping is not None else None)
        if why is None and seen is not None:
            why, certainty = _refused(seen, upstream, look, settings)
            evidence += _exchanges(seen.token, seen.answer, look.answer if look is not None else None)
    if why is None:
        return
    answered = look.answer if look is not None else None
    if answered is not None and answered.status == 404:
        now = f" The cache turns every such fault into “manifest unknown”, as for {target.repository} now."
    elif answered is not None and answered.status == 200:
        now = " What is asked for is in the cache already; whatever is not will look as if it did not exist."
    else:
        now = " Images that are cached still load, and all others look as if they did not exist."
    yield finding(
        "image/upstream-broken",
        f"{upstream.source} makes this registry a cache of {upstream.url}, and asked from here {why}.{now}",
        certainty=certainty,
        evidence=evidence,
        endpoint=endpoint,
    )


def _unreachable(ping: Ping | None, reason: str | None) -> str | None:
    """Why the upstream is no registry that can be used, as a clause; None where it is one."""
    if ping is None:
        return f"it cannot be reached ({reason or 'for a reason that was not seen'})"
    if ping.failure is not None:
        return f"it does not answer ({ping.failure.message})"
    answer = ping.answer
    if not ping.trusted:
        return "its certificate is not trusted"
    if answer is not None and answer.status not in (200, 401):
        return f"it answers {answer.status} at {answer.url}{_quoted(answer)}, where a registry answers 200 or 401"
    return None


def _refused(
    seen: UpstreamLook, upstream: Upstream, look: ManifestLook | None, settings: Settings
) -> tuple[str | None, Certainty]:
    """Why the upstream does not give the image to the cache, as a clause, and how surely."""
    who = f"the user {upstream.username}" if upstream.username else "no user name (proxy.username is not set)"
    if seen.scheme == "basic" and settings.registry_version != "3":
        return (
            "it wants user name and password directly (Basic). Registry 2.x logs in to token servers only, "
            "and then gets 401 for everything",
            Certainty.LIKELY if settings.registry_version is None else Certainty.PROVEN,
        )
    if seen.withheld is not None:
        return None, Certainty.PROVEN
    if seen.token_problem is not None:
        status = seen.token.status if seen.token is not None else None
        said = _quoted(seen.token) if seen.token is not None else ""
        refused = f", so it refuses {who}" if status in (401, 403) else ""
        return f"it gives no access: {seen.token_problem}{said}{refused}", Certainty.PROVEN
    answer = seen.answer
    if seen.failure is not None:
        return f"it does not answer ({seen.failure.message})", Certainty.PROVEN
    if answer is None:
        return None, Certainty.PROVEN
    if answer.status in (401, 403):
        return f"it refuses {who}: {answer.method} {answer.url} is answered {answer.status}", Certainty.PROVEN
    if answer.status == 429:
        return f"it says that there were too many requests (429){_quoted(answer)}", Certainty.PROVEN
    if answer.status >= 500:
        return f"it fails: {answer.method} {answer.url} is answered {answer.status}", Certainty.PROVEN
    cached = look.answer if look is not None else None
    if answer.status == 404 and "/v2/v2/" in answer.url:
        return (
            f"{answer.url} is what the cache asks for, with /v2/ twice: proxy.remoteurl is to end after host "
            "and port",
            Certainty.PROVEN,
        )
    if answer.status == 200 and cached is not None and cached.status == 404:
        return (
            f"it has the image ({answer.method} {answer.url} is answered 200), while the cache says 404: the "
            "cache's own process cannot use the upstream (its environment, resolver, proxy settings or trust "
            "store differ from this shell's, or it has not been restarted since its configuration was "
            "changed)",
            Certainty.LIKELY,
        )
    return None, Certainty.PROVEN


@rule("image/secret-in-config")
def secret_in_config(blobs: Blobs) -> Iterator[Draft]:
    """The configuration holds what looks like a secret; its value is never shown."""
    configs = [blob for blob in blobs.blobs if blob.secrets]
    parts = list(
        dict.fromkeys(
            f"{each.kind} in {_with_article(each.place)}" + (f" ({each.name})" if each.name else "")
            for blob in configs
            for each in blob.secrets
        )
    )
    if parts:
        yield finding(
            "image/secret-in-config",
            f"The image's configuration {configs[0].descriptor.digest} holds what looks like {_some(parts)}. "
            "Whoever may pull the image can read it.",
            certainty=Certainty.LIKELY,
            evidence=_exchanges(*(blob.answer for blob in configs[:_SHOWN])),
        )


def _with_article(place: str) -> str:
    return {"environment": "the environment", "label": "a label", "command": "the command"}.get(place, place)
