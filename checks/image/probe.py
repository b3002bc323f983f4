"""Looks at the manifest, the children of an index, the blobs, and at names where something is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

from regdoctor.api import (
    BlobHosts,
    BlobLook,
    Blobs,
    ChildLook,
    Context,
    Descriptor,
    Endpoint,
    Failure,
    IndexChildren,
    ManifestContent,
    ManifestLook,
    NotApplicable,
    PullAuthorization,
    Repositories,
    Response,
    Role,
    Tags,
    Target,
    digests,
    manifests,
    platforms,
    probe,
    side_by_side,
)

ACCEPT = ("Accept", ", ".join(manifests.ACCEPTED_MANIFESTS))
CONFIG_LIMIT = 4 * 1024 * 1024
LIST_LIMIT = 4 * 1024 * 1024
MAX_PAGES = 10
MAX_CHILDREN = 64
MAX_BLOBS = 512
_REDIRECTS = (301, 302, 303, 307, 308)


def _request(
    context: Context,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    method: str,
    url: str,
    **keywords: Any,
) -> Response | Failure:
    return context.http.request(
        method, url, authorization=authorization.header, proxy=endpoint.proxy, **keywords
    )


@probe
def look_at_manifest(
    target: Target, endpoint: Endpoint, authorization: PullAuthorization, context: Context
) -> ManifestLook:
    """GET and HEAD ``/v2/<name>/manifests/<reference>`` (OCI distribution-spec, end-3)."""
    if target.reference is None:
        raise NotApplicable("the target names no image")
    url = f"{endpoint.url}/v2/{target.repository}/manifests/{target.reference.reference}"

    def ask(method: str) -> Response | Failure:
        return _request(
            context,
            endpoint,
            authorization,
            method,
            url,
            headers=(ACCEPT,),
            body_limit=manifests.MAX_MANIFEST,
        )

    got, head = side_by_side(ask, ("GET", "HEAD"))
    return ManifestLook(
        url=url,
        answer=got.answer if isinstance(got, Response) else None,
        head=head.answer if isinstance(head, Response) else None,
        failure=got if isinstance(got, Failure) else None,
        content=_content(got),
    )


def _content(response: Response | Failure) -> ManifestContent | None:
    if isinstance(response, Failure) or response.answer.status != 200 or not response.answer.body_complete:
        return None
    return ManifestContent(
        digest=digests.digest_of(response.body),
        size=len(response.body),
        document=manifests.parse_manifest(response.body, response.answer.header("content-type")),
    )


@probe
def look_at_children(
    look: ManifestLook,
    target: Target,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    context: Context,
) -> IndexChildren:
    """Reads the index's manifests for the wanted platforms, and asks by HEAD for the others."""
    if look.content is None or not isinstance(look.content.document, manifests.Index):
        raise NotApplicable("the reference leads to no index")
    index = look.content.document
    wanted = context.options.platforms or (str(platforms.host_platform()),)
    chosen = [manifests.select_platform(index, platforms.Platform.parse(each)) for each in wanted]
    listed = index.manifests[:MAX_CHILDREN]

    def ask(descriptor: Descriptor) -> ChildLook:
        url = f"{endpoint.url}/v2/{target.repository}/manifests/{descriptor.digest}"
        method = "GET" if descriptor in chosen else "HEAD"
        got = _request(
            context,
            endpoint,
            authorization,
            method,
            url,
            headers=(ACCEPT,),
            body_limit=manifests.MAX_MANIFEST,
        )
        if isinstance(got, Failure):
            return ChildLook(descriptor=descriptor, answer=None, failure=got)
        return ChildLook(
            descriptor=descriptor, answer=got.answer, content=_content(got) if method == "GET" else None
        )

    children = side_by_side(ask, listed, workers=_workers(len(listed)))
    return IndexChildren(wanted=wanted, explicit=bool(context.options.platforms), children=tuple(children))


def _workers(items: int) -> int:
    """Two connections are open already; more cost round trips of their own and pay only for many items."""
    return max(2, min(8, items // 3))


@probe
def look_at_blobs(
    look: ManifestLook,
    children: IndexChildren | None,
    target: Target,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    context: Context,
) -> Blobs:
    """HEAD of every distinct layer and GET of every config that the wanted manifests list (end-2)."""
    contents = [look.content, *(child.content for child in (children.children if children else ()))]
    parts: dict[str, tuple[Descriptor, str, str]] = {}
    for content in contents:
        if content is None or not isinstance(content.document, manifests.Manifest):
            continue
        document = content.document
        for role, descriptors in (("config", (document.config,)), ("layer", document.layers)):
            for descriptor in descriptors:
                if descriptor is not None and not descriptor.is_foreign:
                    parts.setdefault(descriptor.digest, (descriptor, role, content.digest))
    if not parts:
        raise NotApplicable("no manifest for a wanted platform was read")
    entries = list(parts.values())[:MAX_BLOBS]

    def ask(part: tuple[Descriptor, str, str]) -> BlobLook:
        return _blob(part, target, endpoint, authorization, context)

    return Blobs(blobs=tuple(side_by_side(ask, entries, workers=_workers(len(entries)))))


def _blob(
    part: tuple[Descriptor, str, str],
    target: Target,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    context: Context,
) -> BlobLook:
    descriptor, role, owner = part
    url = f"{endpoint.url}/v2/{target.repository}/blobs/{descriptor.digest}"
    method = "GET" if role == "config" else "HEAD"
    got = _request(context, endpoint, authorization, method, url, body_limit=CONFIG_LIMIT)
    if isinstance(got, Response) and method == "HEAD" and got.answer.status == 405:
        first_byte = (("Range", "bytes=0-0"),)
        got = _request(context, endpoint, authorization, "GET", url, headers=first_byte, body_limit=1)
    if isinstance(got, Failure):
        return BlobLook(descriptor=descriptor, role=role, manifest=owner, answer=None, failure=got)
    final: Response | Failure = got
    redirect = None
    if got.answer.status in _REDIRECTS and got.location is not None:
        where = urljoin(url, got.location)
        redirect = _origin(where)
        # Clients never take the registry's credentials to another host (Go net/http, RFC 9110 section 15.4).
        same_host = redirect == _origin(url)
        final = context.http.request(
            method,
            where,
            authorization=authorization.header if same_host else None,
            proxy=context.find_proxy(redirect),
            body_limit=CONFIG_LIMIT,
        )
    digest_seen = platform = None
    if (
        role == "config"
        and isinstance(final, Response)
        and final.answer.status == 200
        and final.answer.body_complete
    ):
        digest_seen = digests.digest_of(final.body, digests.parse_digest(descriptor.digest).algorithm)
        platform = _config_platform(final.body)
    return BlobLook(
        descriptor=descriptor,
        role=role,
        manifest=owner,
        answer=got.answer,
        redirect=redirect,
        followed=final.answer if redirect is not None and isinstance(final, Response) else None,
        followed_failure=final if isinstance(final, Failure) else None,
        digest_seen=digest_seen,
        platform=platform,
    )


def _origin(url: str) -> str:
    """``scheme://host:port`` of a URL, the port spelt out."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _config_platform(body: bytes) -> str | None:
    """``os/architecture[/variant]`` of an image config (OCI image-spec, config.md), or None."""
    try:
        config = json.loads(body)
    except (ValueError, RecursionError):
        return None
    parts = (
        [config.get(name) for name in ("os", "architecture", "variant")] if isinstance(config, dict) else []
    )
    named = [part for part in parts if isinstance(part, str) and part]
    return "/".join(named) if len(named) >= 2 else None


@probe
def find_blob_hosts(blobs: Blobs, endpoint: Endpoint, context: Context) -> BlobHosts:
    """The other hosts that blob requests were redirected to."""
    origins = dict.fromkeys(
        blob.redirect for blob in blobs.blobs if blob.redirect not in (None, endpoint.url)
    )
    return BlobHosts(
        endpoints=tuple(context.endpoint(role=Role.BLOB_HOST, url=f"{origin}/") for origin in origins)
    )


@probe
def list_tags(
    look: ManifestLook,
    target: Target,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    context: Context,
) -> Tags:
    """The repository's tags (end-8), where the wanted reference is missing."""
    if look.answer is None or look.answer.status != 404:
        raise NotApplicable("the manifest is there")
    url = f"{endpoint.url}/v2/{target.repository}/tags/list?n=1000"
    first, names, complete = _pages(url, "tags", endpoint, authorization, context)
    if isinstance(first, Failure):
        return Tags(url=url, answer=None, failure=first)
    return Tags(url=url, answer=first.answer, tags=names, complete=complete)


@probe
def list_repositories(
    tags: Tags, endpoint: Endpoint, authorization: PullAuthorization, context: Context
) -> Repositories:
    """The registry's repositories, where the wanted one is missing. Many registries refuse this list."""
    if tags.answer is None or tags.answer.status != 404:
        raise NotApplicable("the repository is there")
    url = f"{endpoint.url}/v2/_catalog?n=1000"
    first, names, complete = _pages(url, "repositories", endpoint, authorization, context)
    if isinstance(first, Failure):
        return Repositories(url=url, answer=None, failure=first)
    return Repositories(url=url, answer=first.answer, names=names, complete=complete)


def _pages(
    url: str, member: str, endpoint: Endpoint, authorization: PullAuthorization, context: Context
) -> tuple[Response | Failure, tuple[str, ...], bool]:
    """The first answer of a paginated list, the names on its pages, and whether it came to its end.

    Follows ``Link`` with rel="next", relative or absolute, on the same host only; a page that comes up
    again ends the walk.
    """
    names: dict[str, None] = {}
    seen = {url}
    first = got = _request(context, endpoint, authorization, "GET", url, body_limit=LIST_LIMIT)
    while isinstance(got, Response) and got.answer.status == 200:
        names.update(dict.fromkeys(_names(got.body, member)))
        following = _next(got, url)
        if following is None:
            return first, tuple(names), got.answer.body_complete
        if following in seen or len(seen) >= MAX_PAGES:
            break
        seen.add(following)
        url = following
        got = _request(context, endpoint, authorization, "GET", url, body_limit=LIST_LIMIT)
    return first, tuple(names), False


def _names(body: bytes, member: str) -> Sequence[str]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    listed = value.get(member) if isinstance(value, dict) else None
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else ()


def _next(response: Response, url: str) -> str | None:
    """The next page's URL (RFC 8288), or None."""
    for value in response.answer.all_headers("link"):
        target, _, parameters = value.partition(">")
        if "<" in target and "next" in parameters:
            following = urljoin(url, target.partition("<")[2].strip())
            return following if _origin(following) == _origin(url) else None
    return None
