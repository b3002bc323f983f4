"""Facts about an image: its manifest, its platforms, its blobs, and the names beside it."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from regdoctor.facts.base import Discovery, Fact, Failure, Role
from regdoctor.facts.http import Answer
from regdoctor.oci.manifest import Descriptor, Document


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


class BlobLook(msgspec.Struct, frozen=True, kw_only=True):
    """One blob of the image: a layer asked for by HEAD, or the config, which is read."""

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
    digest_seen: str | None = None
    """Computed over the bytes served, where they were read to the end."""
    platform: str | None = None
    """``os/architecture[/variant]`` as the config says."""


class Blobs(Fact, frozen=True, kw_only=True):
    """Every distinct blob of the wanted manifests, and whether it is there."""

    blobs: tuple[BlobLook, ...]

    def config_of(self, manifest: str) -> BlobLook | None:
        """The config that the manifest of this digest lists."""
        return next(
            (each for each in self.blobs if each.role == "config" and each.manifest == manifest), None
        )


class BlobHosts(Discovery, frozen=True, kw_only=True):
    """The hosts that the registry redirects blob requests to."""

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
