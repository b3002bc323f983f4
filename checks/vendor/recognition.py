"""Which product made an answer. Pure.

The signs are those of the products' sources and documentation, and of answers captured in public issues;
``tests/data/vendors`` holds such answers with their origin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from regdoctor.api import Answer, Challenge, Product, Vendor, errors

_HOSTS: tuple[tuple[Vendor, re.Pattern[str]], ...] = (
    (Vendor.DOCKER_HUB, re.compile(r"(registry-1|index)\.docker\.io")),
    (
        Vendor.ECR,
        re.compile(
            r"\d{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.(com(\.cn)?|eu)|on\.(aws|amazonwebservices\.com\.cn))"
        ),
    ),
    (Vendor.ECR_PUBLIC, re.compile(r"(ecr-)?public\.ecr(\.[a-z0-9-]+)?\.(aws|api\.aws)")),
    (Vendor.ACR, re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)?\.azurecr\.(io|cn|us|de)")),
    (Vendor.GOOGLE, re.compile(r"([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)")),
    (Vendor.GHCR, re.compile(r"ghcr\.io|containers\.[a-z0-9-]+\.ghe\.com")),
    (Vendor.QUAY, re.compile(r"([a-z0-9-]+\.)?quay\.io")),
    (Vendor.GITLAB, re.compile(r"registry\.gitlab\.com")),
    (Vendor.ARTIFACTORY, re.compile(r"[a-z0-9-]+\.jfrog\.io")),
    (Vendor.NVIDIA, re.compile(r"nvcr\.io")),
)
"""Names that the vendors keep to themselves."""

_VERSION = re.compile(r"/(\d[\w.+-]{0,30})")


def recognise(host: str, answer: Answer | None, challenges: Sequence[Challenge]) -> Product:
    """The product, by the host's name first, then by the challenge, the headers and the body.

    :param host: in A-label form.
    :param answer: that at ``/v2/``.
    :param challenges: of that answer, or of the one for a repository.
    """
    by_host = next((vendor for vendor, pattern in _HOSTS if pattern.fullmatch(host)), None)
    headers = _by_headers(answer) if answer is not None else None
    version = headers.version if headers is not None else None
    if by_host is not None:
        return Product(vendor=by_host, why=f"the name {host}", version=version)
    for challenge in challenges:
        vendor = _by_challenge(challenge)
        if vendor is not None:
            shown = f"the challenge {challenge.scheme.capitalize()} realm={challenge.realm!r}"
            service = f", service={challenge.service!r}" if challenge.service else ""
            return Product(vendor=vendor, why=shown + service, version=version)
    if headers is not None:
        return headers
    if answer is None:
        return Product(vendor=None)
    return _by_body(answer)


def _by_challenge(challenge: Challenge) -> Vendor | None:
    realm, service = challenge.realm or "", (challenge.service or "").lower()
    parts = urlsplit(realm) if challenge.scheme == "bearer" or "://" in realm else urlsplit("")
    host, path = (parts.hostname or "").lower(), parts.path.rstrip("/")
    if challenge.scheme == "basic":
        return _by_basic(realm, service, host)
    signs: tuple[tuple[Vendor, bool], ...] = (
        (Vendor.DOCKER_HUB, service == "registry.docker.io" or host == "auth.docker.io"),
        (Vendor.HARBOR, service == "harbor-registry"),
        (Vendor.GITLAB, path.endswith("/jwt/auth") and service in ("container_registry", "dependency_proxy")),
        (Vendor.GITEA, path.endswith("/v2/token") and service == "container_registry"),
        (Vendor.ECR_PUBLIC, service == "public.ecr.aws"),
        (
            Vendor.ACR,
            path == "/oauth2/token" and re.search(r"\.azurecr\.(io|cn|us|de)$", service) is not None,
        ),
        (Vendor.GHCR, service == "ghcr.io"),
        (Vendor.GOOGLE, host.endswith("-docker.pkg.dev") or host == "gcr.io" or host.endswith(".gcr.io")),
        (Vendor.ARTIFACTORY, service == "artifactory" or "/artifactory/api/docker/" in path),
        (Vendor.NVIDIA, host.endswith("nvcr.io") and path == "/proxy_auth"),
        (Vendor.QUAY, path == "/v2/auth"),
    )
    return next((vendor for vendor, shown in signs if shown), None)


def _by_basic(realm: str, service: str, host: str) -> Vendor | None:
    if service == "ecr.amazonaws.com" or ".dkr.ecr." in host:
        return Vendor.ECR
    realms = {
        "harbor": Vendor.HARBOR,
        "Azure Container Registry": Vendor.ACR,
        "Sonatype Nexus Repository Manager": Vendor.NEXUS,
    }
    return realms.get(realm)


def _by_headers(answer: Answer) -> Product | None:
    server = answer.header("server") or ""
    version = _VERSION.search(server)
    named: tuple[tuple[str, Vendor], ...] = (
        ("nexus", Vendor.NEXUS),
        ("artifactory", Vendor.ARTIFACTORY),
        ("docker registry", Vendor.GOOGLE),
    )
    for word, vendor in named:
        if server.lower().startswith(word):
            return Product(
                vendor=vendor, why=f"Server: {server[:80]}", version=version[1] if version else None
            )
    telling: tuple[tuple[str, Vendor, Callable[[str], str | None]], ...] = (
        ("x-harbor-csrf-token", Vendor.HARBOR, _nothing),
        ("x-jfrog-version", Vendor.ARTIFACTORY, _after_slash),
        ("x-artifactory-id", Vendor.ARTIFACTORY, _nothing),
        ("gitlab-container-registry-version", Vendor.GITLAB, str.strip),
    )
    for name, vendor, version_of in telling:
        value = answer.header(name)
        if value is not None:
            return Product(vendor=vendor, why=f"the header {name}", version=version_of(value))
    return None


def _nothing(_value: str) -> None:
    return None


def _after_slash(value: str) -> str | None:
    """``7.77.5`` of ``Artifactory/7.77.5 77705900``."""
    found = _VERSION.search(value)
    return found[1] if found is not None else None


def _by_body(answer: Answer) -> Product:
    said = errors.parse_errors(answer.body_excerpt.encode(), answer.header("content-type"))
    if answer.status == 401 and any('"description"' in error.detail for error in said.errors):
        # zot's errors carry the specification's description of their code in their detail.
        return Product(vendor=Vendor.ZOT, why="the detail of its 401")
    marked = answer.header("docker-distribution-api-version") is not None
    if marked and answer.status == 200 and answer.body_complete and answer.body_size == 0:
        return Product(vendor=Vendor.ZOT, why="an empty body at /v2/, where others send {}")
    if marked:
        return Product(
            vendor=Vendor.DISTRIBUTION, why="the header Docker-Distribution-Api-Version, and nothing else"
        )
    return Product(vendor=None)
