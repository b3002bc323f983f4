"""Manifests and indexes: what an image consists of, as the registry describes it.

The shapes are those of the OCI image specification 1.1 (``manifest.md``, ``image-index.md``,
``descriptor.md``) and of Docker's image manifest version 2, schemas 1 and 2. Reading never fails: what is
wrong with a document is listed, because a broken manifest is a finding and not an accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from regdoctor.oci.digest import InvalidDigest, parse_digest
from regdoctor.oci.document import InvalidDocument, integer_of, read_json_object, text_of
from regdoctor.oci.platform import Platform, best_match

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
SCHEMA1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+json"
OCI_ARTIFACT: Final = "application/vnd.oci.artifact.manifest.v1+json"
"""Dropped from the image specification before 1.1; some registries still hold such manifests."""

OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"

ACCEPTED_MANIFESTS: Final = (OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST, SCHEMA1_SIGNED)
"""What an ``Accept`` header must list: distribution 2.8 says "not found" for OCI types that it lacks."""

MAX_MANIFEST: Final = 4 * 1024 * 1024
"""Bytes. The distribution specification lets registries refuse more, and containerd reads no more."""

_MAX_DESCRIPTORS: Final = 10_000
_INDEXES: Final = frozenset({OCI_INDEX, DOCKER_MANIFEST_LIST})
_IMAGES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
_SCHEMA1S: Final = frozenset({SCHEMA1, SCHEMA1_SIGNED})
_REFERENCE_TYPE: Final = "vnd.docker.reference.type"
_SHOWN_PROBLEMS: Final = 20


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """A reference to other content: a blob, or an entry of an index. ``size`` is bytes.

    ``platform`` is ``None`` where none is given; ``annotations`` are pairs in the order given. A malformed
    digest or size is kept as far as it goes (empty, -1) and named in the document's problems.
    """

    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()
    platform: Platform | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    artifact_type: str | None = None

    @property
    def is_attestation(self) -> bool:
        """Whether BuildKit put this entry into the index to hold provenance or an SBOM, not an image.

        Such entries have the platform unknown/unknown and the annotation ``vnd.docker.reference.type``.
        """
        if any(name == _REFERENCE_TYPE for name, _ in self.annotations):
            return True
        return self.platform is not None and self.platform.os == self.platform.architecture == "unknown"

    @property
    def is_foreign(self) -> bool:
        """Whether the layer may be absent from the registry because it is fetched from ``urls``."""
        return "foreign" in self.media_type or ".nondistributable." in self.media_type


class Index(msgspec.Struct, frozen=True, kw_only=True, tag="index"):
    """An OCI image index or a Docker manifest list."""

    media_type: str
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def images(self) -> tuple[Descriptor, ...]:
        """The entries that are images: all but attestations."""
        return tuple(entry for entry in self.manifests if not entry.is_attestation)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms of the images, in the order of the index."""
        return tuple(entry.platform for entry in self.images if entry.platform is not None)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, tag="manifest"):
    """The manifest of one image, or of an artifact that is packed like one."""

    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_image(self) -> bool:
        """Whether a container can be made of it; a Helm chart or a signature has another config type."""
        return self.config is not None and self.config.media_type in {OCI_CONFIG, DOCKER_CONFIG}

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers, each digest once."""
        every = (self.config, *self.layers) if self.config is not None else self.layers
        return tuple({blob.digest: blob for blob in reversed(every)}.values())[::-1]


class Schema1(msgspec.Struct, frozen=True, kw_only=True, tag="schema1"):
    """A manifest of Docker's schema 1, which docker 26, containerd 2 and later refuse."""

    media_type: str
    name: str | None = None
    tag: str | None = None
    architecture: str | None = None
    layers: tuple[str, ...] = ()
    signed: bool = False
    problems: tuple[str, ...] = ()


class Artifact(msgspec.Struct, frozen=True, kw_only=True, tag="artifact"):
    """An OCI artifact manifest, a type that the image specification has dropped."""

    media_type: str
    artifact_type: str | None = None
    blobs: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    problems: tuple[str, ...] = ()


class Unreadable(msgspec.Struct, frozen=True, kw_only=True, tag="unreadable"):
    """A document that is none of these; ``problems`` says why."""

    media_type: str
    problems: tuple[str, ...]


Document = Manifest | Index | Schema1 | Artifact | Unreadable


def parse_manifest(body: bytes, content_type: str | None) -> Document:
    """Read what a registry sent for a manifest request.

    ``content_type`` is the header's value. It decides what the document is, as for clients; where it is
    missing or generic, the member ``mediaType`` and then the shape decide. Contradictions are problems:
    clients refuse a document that can be taken for two things (CVE-2021-41190). At most 4 MiB, 64 levels and
    10 000 descriptors are read. Never raises.
    """
    declared = (content_type or "").partition(";")[0].strip().lower()
    try:
        members = read_json_object(body, max_bytes=MAX_MANIFEST)
    except InvalidDocument as error:
        return Unreadable(media_type=declared, problems=(f"the manifest cannot be read: {error}",))
    return _Reader(members, declared).read()


class _Reader:
    """Reads one document and collects what is wrong with it."""

    def __init__(self, members: dict[str, object], declared: str) -> None:
        self._members = members
        self._declared = declared
        self._problems: list[str] = []

    def read(self) -> Document:
        members = self._members
        media_type = self._media_type()
        version = integer_of(members.get("schemaVersion"))
        if media_type in _SCHEMA1S:
            return self._schema1(media_type)
        if media_type not in _INDEXES | _IMAGES | {OCI_ARTIFACT}:
            self._problem(f"the media type {media_type or '(none)'} is no image manifest or index")
            return Unreadable(media_type=media_type, problems=self._all_problems())
        if version != 2 and media_type != OCI_ARTIFACT:
            self._problem("schemaVersion is not 2")
        if media_type in _INDEXES:
            if "layers" in members or "config" in members:
                self._problem("the index also has layers or a config; clients refuse such a document")
            manifests = self._descriptors("manifests")
            return Index(
                media_type=media_type,
                manifests=manifests,
                subject=self._subject(),
                artifact_type=text_of(members.get("artifactType")),
                annotations=_annotations(members),
                problems=self._all_problems(),
            )
        if "manifests" in members:
            self._problem("the manifest also has a list of manifests; clients refuse such a document")
        if media_type == OCI_ARTIFACT:
            blobs = self._descriptors("blobs", required=False)
            return Artifact(
                media_type=media_type,
                artifact_type=text_of(members.get("artifactType")),
                blobs=blobs,
                subject=self._subject(),
                problems=self._all_problems(),
            )
        config = members.get("config")
        if config is None:
            self._problem("the manifest has no config")
        read_config = None if config is None else self._descriptor(config, "config")
        layers = self._descriptors("layers")
        return Manifest(
            media_type=media_type,
            config=read_config,
            layers=layers,
            subject=self._subject(),
            artifact_type=text_of(members.get("artifactType")),
            annotations=_annotations(members),
            problems=self._all_problems(),
        )

    def _media_type(self) -> str:
        known = _INDEXES | _IMAGES | _SCHEMA1S | {OCI_ARTIFACT}
        members, declared = self._members, self._declared
        inside = members.get("mediaType")
        if inside is not None and not isinstance(inside, str):
            self._problem("mediaType is not a text")
        inside = text_of(inside) or ""
        if declared in known:
            if inside and inside != declared and not {inside, declared} <= _SCHEMA1S:
                self._problem(f"Content-Type says {declared} and mediaType says {inside}")
            return declared
        if declared and "json" in declared and declared != "application/json":
            return declared  # a type that is named and unknown: not ours to guess
        if not declared:
            self._problem("the answer has no Content-Type")
        else:
            self._problem(f"the Content-Type {declared} is not that of a manifest")
        return inside or self._by_shape()

    def _by_shape(self) -> str:
        members = self._members
        if isinstance(members.get("manifests"), list):
            return OCI_INDEX
        if members.get("schemaVersion") == 1 or "fsLayers" in members:
            return SCHEMA1_SIGNED if "signatures" in members else SCHEMA1
        return OCI_MANIFEST if isinstance(members.get("layers"), list) else ""

    def _schema1(self, media_type: str) -> Schema1:
        members = self._members
        layers = []
        entries = members.get("fsLayers")
        for position, entry in enumerate(entries if isinstance(entries, list) else ()):
            digest = text_of(entry.get("blobSum")) if isinstance(entry, dict) else None
            layers.append(self._digest(digest, f"fsLayers[{position}]"))
        if not isinstance(entries, list):
            self._problem("fsLayers is not a list")
        return Schema1(
            media_type=media_type,
            name=text_of(members.get("name")),
            tag=text_of(members.get("tag")),
            architecture=text_of(members.get("architecture")),
            layers=tuple(layers[:_MAX_DESCRIPTORS]),
            signed=bool(members.get("signatures")),
            problems=self._all_problems(),
        )

    def _subject(self) -> Descriptor | None:
        subject = self._members.get("subject")
        return None if subject is None else self._descriptor(subject, "subject")

    def _descriptors(self, name: str, *, required: bool = True) -> tuple[Descriptor, ...]:
        entries = self._members.get(name)
        if entries is None and not required:
            return ()
        if not isinstance(entries, list):
            self._problem(f"{name} is {'missing' if entries is None else 'not a list'}")
            return ()
        if len(entries) > _MAX_DESCRIPTORS:
            self._problem(f"{name} has {len(entries)} entries; {_MAX_DESCRIPTORS} were read")
        return tuple(
            self._descriptor(entry, f"{name}[{position}]")
            for position, entry in enumerate(entries[:_MAX_DESCRIPTORS])
        )

    def _descriptor(self, value: object, where: str) -> Descriptor:
        members: Mapping[str, object] = value if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            self._problem(f"{where} is not an object")
            return Descriptor(media_type="", digest="", size=-1)
        media_type = text_of(members.get("mediaType"))
        if not media_type:
            self._problem(f"{where} has no mediaType")
        size = integer_of(members.get("size"))
        if size is None or size < 0:
            self._problem(f"{where} has no size in bytes")
        urls = members.get("urls")
        return Descriptor(
            media_type=media_type or "",
            digest=self._digest(text_of(members.get("digest")), where),
            size=-1 if size is None else size,
            urls=tuple(url for url in urls if isinstance(url, str)) if isinstance(urls, list) else (),
            platform=_platform(members.get("platform")),
            annotations=_annotations(members),
            artifact_type=text_of(members.get("artifactType")),
        )

    def _digest(self, text: str | None, where: str) -> str:
        if text is None:
            self._problem(f"{where} has no digest")
            return ""
        try:
            return str(parse_digest(text))
        except InvalidDigest as error:
            self._problem(f"{where}: {error}")
            return ""

    def _problem(self, sentence: str) -> None:
        self._problems.append(sentence)

    def _all_problems(self) -> tuple[str, ...]:
        shown = self._problems[:_SHOWN_PROBLEMS]
        more = len(self._problems) - len(shown)
        return (*shown, f"and {more} more of that kind") if more else tuple(shown)


def _platform(value: object) -> Platform | None:
    if not isinstance(value, dict):
        return None
    os, architecture = text_of(value.get("os")), text_of(value.get("architecture"))
    if not os or not architecture:
        return None
    return Platform(
        os=os,
        architecture=architecture,
        variant=text_of(value.get("variant")) or "",
        os_version=text_of(value.get("os.version")) or "",
    )


def _annotations(members: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    annotations = members.get("annotations")
    if not isinstance(annotations, dict):
        return ()
    return tuple((name, value) for name, value in annotations.items() if isinstance(value, str))


def select_platform(index: Index, platform: Platform) -> Descriptor | None:
    """Return the entry of an index that docker and containerd take for a platform, ``None`` for none.

    Attestations are never taken; the rules for variants are those of ``compatible_platforms``.
    """
    images = index.images
    position = best_match(platform, [entry.platform for entry in images])
    return None if position is None else images[position]
