"""Looks at the manifest, the children of an index, the blobs, and at names where something is missing."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit

from regdoctor.api import (
    Answer,
    BlobHosts,
    Blobs,
    Blocked,
    Challenges,
    ChildLook,
    ConfigFile,
    Context,
    CredentialKind,
    Credentials,
    Descriptor,
    Download,
    Each,
    Endpoint,
    Failure,
    HostLookalike,
    IndexChildren,
    LibraryLook,
    ManifestContent,
    ManifestLook,
    NotApplicable,
    Ping,
    Product,
    PullAuthorization,
    Refusal,
    RegistryEnvironment,
    Repositories,
    Response,
    Role,
    Tags,
    Target,
    TokenExchange,
    Upstream,
    UpstreamLook,
    Vendor,
    VerifiedBlob,
    VerifiedBlobs,
    challenges,
    digests,
    dns,
    login,
    manifests,
    platforms,
    probe,
    quotas,
    side_by_side,
    upstream_settings,
)

from . import naming
from .blobs import BlobAsker
from .following import Trail, follow, origin_of

ACCEPT = ("Accept", ", ".join(manifests.ACCEPTED_MANIFESTS))
LIST_LIMIT = 4 * 1024 * 1024
PAGE = 1000
MAX_PAGES = 20
MAX_NAMES = 20_000
MAX_CHILDREN = 64
MAX_BLOBS = 512
DOWNLOADS = 3
"""Layers that are read at a time, as docker does by default (``max-concurrent-downloads``)."""
_NO_LISTS = (Vendor.DOCKER_HUB, Vendor.GHCR)
"""Products that never list their repositories (``/v2/_catalog``)."""


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


def _manifest_url(endpoint: Endpoint, target: Target, reference: str) -> str:
    return f"{endpoint.url}/v2/{target.repository}/manifests/{reference}"


@probe
def look_at_manifest(
    target: Target,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    product: Product | None,
    context: Context,
) -> ManifestLook:
    """GET and HEAD ``/v2/<name>/manifests/<reference>`` (OCI distribution-spec, end-3).

    Docker Hub counts GETs and not HEADs: there HEAD comes first, and says how many are left.
    """
    if target.reference is None:
        raise NotApplicable("the target names no image")
    url = _manifest_url(endpoint, target, target.reference.reference)

    def ask(method: str) -> Trail:
        return _ask_for_manifest(context, endpoint, authorization, method, url)

    if product is not None and product.vendor is Vendor.DOCKER_HUB:
        head = ask("HEAD")
        spared = _spared(head.last)
        got = head if spared is not None else ask("GET")
    else:
        spared = None
        got, head = side_by_side(ask, ("GET", "HEAD"))
    return ManifestLook(
        url=url,
        answer=got.final,
        head=head.final,
        failure=got.last if isinstance(got.last, Failure) else None,
        content=_content(got.last, target.reference.digest) if spared is None else None,
        spared=spared,
        redirects=got.redirects,
    )


def _ask_for_manifest(
    context: Context, endpoint: Endpoint, authorization: PullAuthorization, method: str, url: str
) -> Trail:
    """Some registries redirect manifests as well (registry.k8s.io does, to the next of its mirrors)."""
    return follow(
        context,
        endpoint,
        authorization,
        method,
        url,
        headers=(ACCEPT,),
        body_limit=manifests.MAX_MANIFEST,
    )


def _spared(head: Response | Failure) -> str | None:
    """Why not to spend a pull after this answer to HEAD, or None."""
    if isinstance(head, Failure):
        return None
    if head.answer.status == 429:
        return "the registry says that there were too many requests"
    quota = quotas.pull_quota(head.answer.headers)
    if quota is not None and head.answer.status == 200 and quota.is_low:
        return f"{quota.remaining} of {quota.limit} pulls are left, and none of them is spent here"
    return None


def _content(response: Response | Failure, digest: str | None) -> ManifestContent | None:
    """The manifest, its digest computed by the algorithm of the digest that was asked for."""
    if isinstance(response, Failure) or response.answer.status != 200 or not response.answer.body_complete:
        return None
    algorithm = digests.parse_digest(digest).algorithm if digest else "sha256"
    return ManifestContent(
        digest=digests.digest_of(response.body, algorithm if algorithm in digests.HEX_LENGTHS else "sha256"),
        size=len(response.body),
        document=manifests.parse_manifest(response.body, response.answer.header("content-type")),
    )


def _need_manifest(look: ManifestLook, context: Context) -> None:
    """Ends a probe that needs to know what the image consists of.

    :raises NotApplicable: the manifest was not read, to spare the quota, or need not exist before a push.
    :raises Blocked: it could not be read: the image is not well, even where nobody knows why.
    """
    if look.spared is not None:
        raise NotApplicable(look.spared)
    if look.content is not None:
        return
    if look.answer is None:
        why = look.failure.message if look.failure is not None else "no answer came"
        raise Blocked(f"the manifest could not be read: {why}")
    if look.answer.status == 404 and context.options.push:
        raise NotApplicable("there is no such image yet")
    if look.answer.status == 200:
        raise Blocked(f"the manifest did not come whole: {look.answer.body_failure or 'it is too large'}")
    raise Blocked(f"{look.answer.method} {look.answer.url} was answered {look.answer.status}")


@probe
def look_at_children(
    look: ManifestLook,
    target: Target,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    context: Context,
) -> IndexChildren:
    """Reads the index's manifests for the wanted platforms, and asks by HEAD for the others."""
    _need_manifest(look, context)
    if look.content is None or not isinstance(look.content.document, manifests.Index):
        raise NotApplicable("the reference leads to no index")
    wanted = context.options.platforms or (str(platforms.host_platform()),)
    found: list[ChildLook] = []
    pending = [look.content.document]
    # An index may list another one (OCI image-spec, image-index.md).
    while pending and len(found) < MAX_CHILDREN:
        index = pending.pop()
        looks = _look_below(
            index, wanted, MAX_CHILDREN - len(found), target, endpoint, authorization, context
        )
        found += looks
        below = [each.content.document for each in looks if each.content is not None]
        pending += [document for document in below if isinstance(document, manifests.Index)]
    return IndexChildren(wanted=wanted, explicit=bool(context.options.platforms), children=tuple(found))


def _look_below(
    index: manifests.Index,
    wanted: Sequence[str],
    most: int,
    target: Target,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    context: Context,
) -> list[ChildLook]:
    """What the registry gives for the entries of one index."""
    chosen = [manifests.select_platform(index, platforms.Platform.parse(each)) for each in wanted]
    listed = [each for each in index.manifests if each.digest][:most]

    def request(method: str, descriptor: Descriptor) -> Response | Failure:
        url = _manifest_url(endpoint, target, descriptor.digest)
        return _ask_for_manifest(context, endpoint, authorization, method, url).last

    def ask(descriptor: Descriptor) -> ChildLook:
        got = request("GET" if descriptor in chosen else "HEAD", descriptor)
        if isinstance(got, Response) and got.answer.method == "HEAD" and _wants_get(got.answer):
            got = request("GET", descriptor)
        if isinstance(got, Failure):
            return ChildLook(descriptor=descriptor, answer=None, failure=got)
        content = _content(got, descriptor.digest) if got.answer.method == "GET" else None
        return ChildLook(descriptor=descriptor, answer=got.answer, content=content)

    return side_by_side(ask, listed, workers=_workers(len(listed)))


def _wants_get(answer: Answer) -> bool:
    """Whether an answer to HEAD is worth the question by GET: a hop may refuse the method."""
    return answer.status >= 400 and answer.status not in (401, 429)


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
    product: Product | None,
    context: Context,
) -> Blobs:
    """HEAD or one byte of every distinct layer, and GET of every config, of the wanted manifests (end-2)."""
    _need_manifest(look, context)
    parts = _parts(look, children)
    if not parts:
        raise NotApplicable("no manifest for a wanted platform was read")
    asker = BlobAsker(target, endpoint, authorization, product, context)

    def ask(part: tuple[Descriptor, str, str]) -> Any:
        return asker.look(*part)

    return Blobs(blobs=tuple(side_by_side(ask, parts, workers=_workers(len(parts)))))


def _parts(look: ManifestLook, children: IndexChildren | None) -> list[tuple[Descriptor, str, str]]:
    """Every distinct blob of the manifests that were read: descriptor, role, and the manifest's digest."""
    contents = [look.content, *(child.content for child in (children.children if children else ()))]
    parts: dict[str, tuple[Descriptor, str, str]] = {}
    for content in contents:
        if content is None or not isinstance(content.document, manifests.Manifest):
            continue
        document = content.document
        for role, descriptors in (("config", (document.config,)), ("layer", document.layers)):
            for descriptor in descriptors:
                if descriptor is not None and descriptor.digest and not descriptor.is_foreign:
                    parts.setdefault(descriptor.digest, (descriptor, role, content.digest))
    return list(parts.values())[:MAX_BLOBS]


@probe
def verify_blobs(
    look: ManifestLook,
    children: IndexChildren | None,
    target: Target,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    context: Context,
) -> VerifiedBlobs:
    """Downloads every layer and computes its digest, with ``--verify-blobs``; what is wrong, once more."""
    if not context.options.verify_blobs:
        raise NotApplicable("layers are downloaded only with --verify-blobs")
    layers = [descriptor for descriptor, role, _manifest in _parts(look, children) if role == "layer"]
    if not layers:
        raise NotApplicable("no layer of a wanted platform is known")
    asker = BlobAsker(target, endpoint, authorization, None, context)

    def verify(numbered: tuple[int, Descriptor]) -> VerifiedBlob | None:
        number, descriptor = numbered
        if digests.parse_digest(descriptor.digest).algorithm not in digests.HEX_LENGTHS:
            return None
        downloads: list[Download] = []
        for attempt in ("verifying", "verifying again"):
            download = asker.download(descriptor, f"{attempt} layer {number} of {len(layers)}")
            if download is None:
                return None
            downloads.append(download)
            if download.digest == descriptor.digest or (
                download.answer is not None and download.answer.status not in (200, 206)
            ):
                break
        return VerifiedBlob(descriptor=descriptor, downloads=tuple(downloads))

    verified = side_by_side(verify, list(enumerate(layers, start=1)), workers=DOWNLOADS)
    done = tuple(each for each in verified if each is not None)
    left = tuple(descriptor.digest for descriptor, each in zip(layers, verified, strict=True) if each is None)
    if left and all(each.downloads[-1].digest == each.descriptor.digest for each in done):
        raise Blocked(
            f"{len(done)} of {len(layers)} layers were downloaded and are right, and for the others there was "
            "no "
            f"time: give more than --deadline {context.deadline.seconds:g}"
        )
    return VerifiedBlobs(blobs=done, unverified=left)


@probe
def find_blob_hosts(
    look: ManifestLook, blobs: Blobs | None, endpoint: Endpoint, context: Context
) -> BlobHosts:
    """The other hosts that requests for the manifest and for blobs were redirected to."""
    trails = [look.redirects, *(blob.redirects for blob in (blobs.blobs if blobs is not None else ()))]
    origins = dict.fromkeys(origin for trail in trails for origin in trail if origin != endpoint.url)
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
    url = f"{endpoint.url}/v2/{target.repository}/tags/list?n={PAGE}"
    first, names, complete = _pages(url, "tags", endpoint, authorization, context)
    if isinstance(first, Failure):
        return Tags(url=url, answer=None, failure=first)
    return Tags(url=url, answer=first.answer, tags=names, complete=complete)


@probe
def list_repositories(
    tags: Tags,
    endpoint: Endpoint,
    authorization: PullAuthorization,
    product: Product | None,
    context: Context,
) -> Repositories:
    """The registry's repositories, where the wanted one is missing. Many registries refuse this list."""
    if tags.answer is None or tags.answer.status != 404:
        raise NotApplicable("the repository is there")
    if product is not None and product.vendor in _NO_LISTS:
        raise NotApplicable(f"{product.vendor} never lists its repositories")
    url = f"{endpoint.url}/v2/_catalog?n={PAGE}"
    first, names, complete = _pages(url, "repositories", endpoint, authorization, context)
    if isinstance(first, Failure):
        return Repositories(url=url, answer=None, failure=first)
    return Repositories(url=url, answer=first.answer, names=names, complete=complete)


def _pages(
    url: str, member: str, endpoint: Endpoint, authorization: PullAuthorization, context: Context
) -> tuple[Response | Failure, tuple[str, ...], bool]:
    """The first answer of a paginated list, the names on its pages, and whether it came to its end.

    Follows ``Link`` with rel="next"; a page that comes up again ends the walk. A registry that allows no page
    of this size is asked for its own.
    """

    def ask(url: str) -> Response | Failure:
        return _request(context, endpoint, authorization, "GET", url, body_limit=LIST_LIMIT)

    names: dict[str, None] = {}
    first = ask(url)
    if isinstance(first, Response) and first.answer.status == 400:
        url = url.partition("?")[0]
        first = ask(url)
    seen = {url}
    got = first
    while isinstance(got, Response) and got.answer.status == 200:
        listed = _names(got.body, member)
        names.update(dict.fromkeys(listed or ()))
        following = _next(got, url)
        if not following:
            return first, tuple(names), got.answer.body_complete and listed is not None
        if len(seen) >= MAX_PAGES or len(names) >= MAX_NAMES:
            break
        for each in following:
            if each in seen:
                continue
            seen.add(each)
            url, got = each, ask(each)
            if isinstance(got, Response) and got.answer.status == 200:
                break
        else:
            break
    return first, tuple(names), False


def _names(body: bytes, member: str) -> Sequence[str] | None:
    """The names that a page lists; None where it is no such page. A repository without tags lists ``null``."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or member not in value:
        return None
    listed = value[member]
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else ()


def _next(response: Response, url: str) -> tuple[str, ...]:
    """Where the next page may be (RFC 8288); empty where this is the last one.

    First the URL as given, on the same host only. Behind some proxies and connectors (Nexus) registries name
    themselves wrongly: then it is the same list with the query that was given. Early versions of zot leave
    the angle brackets out.
    """
    for value in response.answer.all_headers("link"):
        target, _, parameters = value.partition(">" if "<" in value else ";")
        if "next" not in parameters:
            continue
        given = urljoin(url, target.rpartition("<")[2].strip())
        query = given.partition("?")[2]
        own = f"{url.partition('?')[0]}?{query}"
        return tuple(
            dict.fromkeys(
                filter(None, (given if origin_of(given) == origin_of(url) else None, query and own))
            )
        )
    return ()


@probe
def look_in_library(
    look: ManifestLook | None,
    tags: Tags | None,
    refusal: Refusal | None,
    target: Target,
    endpoint: Endpoint,
    asked: Challenges,
    authorization: PullAuthorization,
    credentials: Credentials,
    context: Context,
) -> LibraryLook:
    """HEAD of the manifest below ``library/``, where the name itself is unknown or refused."""
    reference = target.reference
    if reference is None or naming.refused_or_unknown(look, tags, refusal, None) is None:
        raise NotApplicable("the repository is there")
    parent, slash, name = reference.repository.rpartition("/")
    if parent.rpartition("/")[2] == "library" or parent.count("/") > 1:
        raise NotApplicable("the name is not that of an official image")
    repository = f"{parent}{slash}library/{name}"
    header = authorization.header
    if authorization.kind == "bearer" and credentials.kind is not CredentialKind.REGISTRY_TOKEN:
        found = login.log_in(
            context,
            endpoint.url,
            asked.challenges,
            repository,
            username=credentials.username,
            password=credentials.secret if credentials.kind is CredentialKind.PASSWORD else None,
            identity_token=credentials.secret if credentials.kind is CredentialKind.IDENTITY_TOKEN else None,
        )
        if found.header is None:
            raise NotApplicable(f"there is no access to {repository}")
        header = found.header
    url = f"{endpoint.url}/v2/{repository}/manifests/{reference.reference}"
    got = context.http.request("HEAD", url, headers=(ACCEPT,), authorization=header, proxy=endpoint.proxy)
    return LibraryLook(
        repository=repository,
        url=url,
        answer=got.answer if isinstance(got, Response) else None,
        failure=got if isinstance(got, Failure) else None,
    )


@probe
def look_up_first_part(
    look: ManifestLook | None,
    tags: Tags | None,
    refusal: Refusal | None,
    exchange: TokenExchange | None,
    ping: Ping | None,
    target: Target,
    context: Context,
) -> HostLookalike:
    """Resolves the first part of a name that Docker Hub does not give, as if it were a host."""
    name = naming.first_part(target.reference)
    if name is None:
        raise NotApplicable("nothing in the name can have been meant as a host")
    refused = naming.refused_or_unknown(look, tags, refusal, exchange)
    if refused is None and naming.was_reached(ping):
        raise NotApplicable("Docker Hub has the image")
    resolver = dns.shared_resolver(context.shared, context.lock, context.options.resolvers)
    found, control = side_by_side(
        lambda host: resolver.resolve(host, context.deadline.step()),
        (name, f"regdoctor-{secrets.token_hex(8)}"),
    )
    return HostLookalike(name=name, addresses=found.addresses, control=bool(control.addresses))


@probe
def find_upstream(config: ConfigFile, environment: RegistryEnvironment | None, context: Context) -> Upstream:
    """The upstream of a pull-through cache, as the registry's own configuration names it."""
    variables = upstream_settings.read_variables(Path(environment.path)) if environment is not None else {}
    settings = upstream_settings.upstream_settings(config, variables)
    if settings is None:
        raise NotApplicable(f"{config.path} makes the registry no pull-through cache")
    if settings.password is not None:
        context.conceal(settings.password)
    problem = upstream_settings.url_problem(settings.url)
    endpoints: tuple[Endpoint, ...] = ()
    shown = settings.url
    if problem is None:
        parts = urlsplit(settings.url)
        netloc = parts.netloc.rpartition("@")[2]
        shown = parts._replace(netloc=netloc).geturl()
        endpoints = (context.endpoint(role=Role.UPSTREAM, url=f"{parts.scheme}://{netloc}/v2/"),)
    return Upstream(
        endpoints=endpoints,
        source=settings.source,
        url=shown,
        problem=problem,
        username=settings.username,
        password=settings.password,
    )


@probe
def look_at_upstream(
    upstream: Upstream,
    pings: Annotated[Each[Ping], Role.UPSTREAM],
    target: Target,
    context: Context,
) -> UpstreamLook:
    """Logs in to the upstream with the cache's own credentials, and asks it for the image by HEAD."""
    endpoint = next(iter(upstream.endpoints), None)
    if endpoint is None:
        raise NotApplicable(f"the upstream's URL cannot be used: {upstream.problem}")
    ping = pings.get(endpoint)
    if ping is None:
        raise NotApplicable(pings.missing.get(endpoint, "the upstream was not reached"))
    if ping.answer is None or not ping.trusted or ping.answer.status not in (200, 401):
        raise NotApplicable("the upstream does not answer as a registry")
    wanted = challenges.parse_challenges(ping.answer.all_headers("www-authenticate"))
    found = login.log_in(
        context,
        endpoint.url,
        wanted if ping.answer.status == 401 else (),
        target.repository,
        username=upstream.username,
        password=upstream.password,
    )
    seen = UpstreamLook(
        scheme=found.scheme,
        token=found.token,
        token_problem=found.problem,
        credentials_sent=found.credentials_sent,
        withheld=found.withheld,
    )
    if found.problem is not None or found.withheld is not None:
        return seen
    url = f"{endpoint.url}/v2/"
    method = "GET"
    if target.reference is not None and target.repository is not None:
        method = "HEAD"
        url = upstream_settings.manifest_url(upstream.url, target.repository, target.reference.reference)
    got = context.http.request(
        method, url, headers=(ACCEPT,), authorization=found.header, proxy=endpoint.proxy
    )
    from msgspec.structs import replace

    return replace(
        seen,
        url=url,
        answer=got.answer if isinstance(got, Response) else None,
        failure=got if isinstance(got, Failure) else None,
    )
