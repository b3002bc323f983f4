"""Facts about an image: its manifest, its platforms, its blobs, and the names beside it."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from regdoctor.facts.base import Discovery, Fact, Failure, Role
from regdoctor.facts.http import Answer
from regdoctor.oci.manifest import Descriptor, Document
from regdoctor.secret import Secret


class ManifestContent(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest or index as served: read, with its size in bytes and the digest computed over the bytes."""

    digest: str
    size: int
    document: Document


class ManifestLook(Fact, frozen=True, kw_only=True):
    """What the registry gives for the reference asked for: GET and HEAD, with the access that was obtained."""

    url: str
    answer: Answer | None
    head: Answer | None = None
    failure: Failure | None = None
    content: ManifestContent | None = None
    """Null where the answer was not 200, or could not be read."""
    spared: str | None = None
    """Why there was no GET, and ``answer`` is that to HEAD: the registry counts GETs, and few are left."""
    redirects: tuple[str, ...] = ()
    """Every ``scheme://host:port`` that the registry led to, in order; ``answer`` is that of the last."""


class ChildLook(msgspec.Struct, frozen=True, kw_only=True):
    """One manifest that an index lists, asked for by digest."""

    descriptor: Descriptor
    answer: Answer | None
    failure: Failure | None = None
    content: ManifestContent | None = None
    """Read for the wanted platforms; null for the others, which are asked for by HEAD."""


class IndexChildren(Fact, frozen=True, kw_only=True):
    """The manifests that an index lists. ``wanted`` are the platforms asked for, or this machine's."""

    wanted: tuple[str, ...]
    explicit: bool
    """Whether the caller named the platforms."""
    children: tuple[ChildLook, ...]


class SuspectedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """Where an image's configuration holds what looks like a secret. The value itself is kept nowhere."""

    place: str
    name: str | None
    """Of the variable, label or build argument."""
    kind: str


class BlobLook(msgspec.Struct, frozen=True, kw_only=True):
    """One blob of the image: a layer asked for by HEAD or for its last byte, or the config, which is read.

    The byte is asked for where HEAD cannot be believed: it is answered from memory, or gave no length or another,
    a page, a refusal. ``answer``, ``redirect`` and ``followed`` are about the request that decides; ``head`` is
    the answer to HEAD where that does not.
    """

    descriptor: Descriptor
    role: str
    """``config`` or ``layer``."""
    manifest: str
    """The digest of the manifest that lists it."""
    answer: Answer | None
    failure: Failure | None = None
    redirect: str | None = None
    """``scheme://host:port`` that the registry sends clients to for the bytes."""
    followed: Answer | None = None
    """What that host answers."""
    followed_failure: Failure | None = None
    redirects: tuple[str, ...] = ()
    """Every ``scheme://host:port`` on the way to the bytes, in order; the last is ``redirect``."""
    head: Answer | None = None
    length: int | None = None
    """Bytes that the blob has, as its holder says."""
    digest_seen: str | None = None
    """Computed over the bytes served, where they were read to the end."""
    platform: str | None = None
    """``os/architecture[/variant]`` as the config says."""
    secrets: tuple[SuspectedSecret, ...] = ()
    """Of a config."""

    @property
    def final(self) -> Answer | None:
        """The answer of whoever holds the bytes."""
        return self.followed if self.redirect is not None else self.answer


class Blobs(Fact, frozen=True, kw_only=True):
    """Every distinct blob of the wanted manifests, and whether it is there."""

    blobs: tuple[BlobLook, ...]

    def config_of(self, manifest: str) -> BlobLook | None:
        """The config that the manifest of this digest lists."""
        return next(
            (each for each in self.blobs if each.role == "config" and each.manifest == manifest), None
        )


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """One blob read from beginning to end, or as far as it came. Seconds are wall time."""

    answer: Answer | None
    failure: Failure | None = None
    size: int = 0
    """Bytes that came."""
    digest: str | None = None
    """Computed over them; null where not all came that were announced."""
    seconds: float = 0.0


class VerifiedBlob(msgspec.Struct, frozen=True, kw_only=True):
    """One layer that was downloaded; twice where the first download was not right."""

    descriptor: Descriptor
    downloads: tuple[Download, ...]


class VerifiedBlobs(Fact, frozen=True, kw_only=True):
    """Every layer read and its digest computed (``--verify-blobs``)."""

    blobs: tuple[VerifiedBlob, ...]
    unverified: tuple[str, ...] = ()
    """Digests of the layers that there was no time for, and of those whose algorithm nobody can compute."""


class BlobHosts(Discovery, frozen=True, kw_only=True):
    """The hosts that the registry redirects requests for blobs to, and for manifests."""

    discovers: ClassVar[Role] = Role.BLOB_HOST


class Tags(Fact, frozen=True, kw_only=True):
    """The repository's tags, asked for only where the wanted one is missing. Bounded."""

    url: str
    answer: Answer | None
    tags: tuple[str, ...] = ()
    complete: bool = False
    failure: Failure | None = None


class Repositories(Fact, frozen=True, kw_only=True):
    """The registry's repositories, asked for only where the wanted one is missing. Bounded."""

    url: str
    answer: Answer | None
    names: tuple[str, ...] = ()
    complete: bool = False
    failure: Failure | None = None


class LibraryLook(Fact, frozen=True, kw_only=True):
    """The answer for the same name below ``library/``, where official images of Docker Hub lie.

    Asked for only where the name itself is not found.
    """

    repository: str
    url: str
    answer: Answer | None
    failure: Failure | None = None


class HostLookalike(Fact, frozen=True, kw_only=True):
    """Whether the first part of a name without a host is the name of a host here.

    Looked up only where Docker Hub does not have the name. ``control`` says whether a name made up at random
    resolves as well, and the answer thus means nothing.
    """

    name: str
    addresses: tuple[str, ...] = ()
    control: bool = False


class Upstream(Discovery, frozen=True, kw_only=True):
    """The registry that a pull-through cache fetches from, as its configuration says (``proxy.remoteurl``)."""

    discovers: ClassVar[Role] = Role.UPSTREAM

    source: str
    """The configuration file, or the variable that overrules it."""
    url: str
    """As written, without user name and password."""
    problem: str | None = None
    """Why it cannot be used as a URL."""
    username: str | None = None
    password: Secret | None = None


class UpstreamLook(Fact, frozen=True, kw_only=True):
    """What the upstream answers to a login and to the question for the image, asked as the cache would ask."""

    scheme: str | None = None
    """Of the challenge: ``bearer``, ``basic``, or null where it asks for no login."""
    token: Answer | None = None
    """The token server's answer."""
    token_problem: str | None = None
    """Why there is no token: it could not be asked, or its answer holds none."""
    credentials_sent: bool = False
    withheld: str | None = None
    """Where the password was not sent, because it would have gone over an unprotected connection."""
    url: str | None = None
    """What was asked for: the manifest, as the cache builds its URL, or ``/v2/``."""
    answer: Answer | None = None
    failure: Failure | None = None
