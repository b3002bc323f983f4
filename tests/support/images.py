"""Makes small images that are the same every time, pushes them, and damages them on disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.registry import Registry
from tests.support.registry_client import RegistryClient

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest_of(content: bytes) -> str:
    """Return the sha256 digest of some bytes, as the OCI specification writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Image:
    """An image before it is pushed: the manifest's exact bytes and the blobs by their digests."""

    manifest: bytes
    media_type: str
    config_digest: str
    layer_digests: tuple[str, ...]
    blobs: Mapping[str, bytes] = field(repr=False)

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return digest_of(self.manifest)


@dataclass(frozen=True)
class PushedImage:
    """An image, or an index of images, that a registry holds."""

    repository: str
    tag: str | None
    digest: str
    media_type: str
    size: int
    """Bytes of the manifest."""
    config_digest: str | None = None
    layer_digests: tuple[str, ...] = ()
    children: Mapping[str, PushedImage] = field(default_factory=dict)
    """Of an index: the images by platform; an attestation is under ``unknown/unknown``."""

    def reference(self, address: str) -> str:
        """Return how a client writes it, on a registry of this address."""
        separator, version = (":", self.tag) if self.tag else ("@", self.digest)
        return f"{address}/{self.repository}{separator}{version}"


def layer(content: str, *, size: int = 0) -> tuple[bytes, bytes]:
    """Return a layer as tar and as gzip: one file with some text, and ``size`` bytes that do not compress."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        files = {"content.txt": content.encode()}
        if size:
            files["filler.bin"] = random.Random(content).randbytes(size)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    tar = buffer.getvalue()
    return tar, gzip.compress(tar, compresslevel=1, mtime=0)


def platform_of(text: str) -> dict[str, str]:
    """Return a platform object for ``os/architecture`` or ``os/architecture/variant``."""
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def build_image(
    name: str,
    *,
    platform: str = "linux/amd64",
    layers: int = 2,
    layer_size: int = 0,
    docker_schema2: bool = False,
    annotations: Mapping[str, str] | None = None,
    manifest_changes: Mapping[str, Any] | None = None,
    config_changes: Mapping[str, Any] | None = None,
) -> Image:
    """Make an image; one name, platform and size give the same bytes every time.

    ``layer_size`` is in bytes, each layer. ``manifest_changes`` replaces keys of the manifest; None removes
    one. ``config_changes`` replaces keys of the configuration.
    """
    made = [layer(f"{name} {platform} layer {number}\n", size=layer_size) for number in range(layers)]
    config = _json(
        {
            "created": "2024-01-01T00:00:00Z",
            **platform_of(platform),
            "config": {"Cmd": ["/content.txt"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar, _ in made]},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "test"} for _ in made],
            **(config_changes or {}),
        }
    )
    media_type = DOCKER_MANIFEST if docker_schema2 else OCI_MANIFEST
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _descriptor(config, DOCKER_CONFIG if docker_schema2 else OCI_CONFIG),
        "layers": [_descriptor(blob, DOCKER_LAYER if docker_schema2 else OCI_LAYER) for _, blob in made],
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    for key, value in (manifest_changes or {}).items():
        if value is None:
            manifest.pop(key, None)
        else:
            manifest[key] = value
    return Image(
        manifest=_json(manifest),
        media_type=media_type,
        config_digest=digest_of(config),
        layer_digests=tuple(digest_of(blob) for _, blob in made),
        blobs={digest_of(blob): blob for blob in (config, *(blob for _, blob in made))},
    )


def push_image(
    registry: Registry | RegistryClient,
    repository: str = "team/app",
    tag: str | None = "1.0",
    *,
    platform: str = "linux/amd64",
    layers: int = 2,
    layer_size: int = 0,
    docker_schema2: bool = False,
    image: Image | None = None,
) -> PushedImage:
    """Make an image and push it over HTTP; with ``tag=None`` it is pushed by its digest.

    Raises AssertionError with the registry's answer where the push fails.
    """
    client = registry if isinstance(registry, RegistryClient) else registry.client()
    pushed = image or build_image(
        repository, platform=platform, layers=layers, layer_size=layer_size, docker_schema2=docker_schema2
    )
    for digest, content in pushed.blobs.items():
        client.push_blob(repository, content, digest)
    client.push_manifest(repository, tag or pushed.digest, pushed.manifest, pushed.media_type)
    return PushedImage(
        repository=repository,
        tag=tag,
        digest=pushed.digest,
        media_type=pushed.media_type,
        size=len(pushed.manifest),
        config_digest=pushed.config_digest,
        layer_digests=pushed.layer_digests,
    )


def push_index(
    registry: Registry | RegistryClient,
    repository: str = "team/app",
    tag: str = "1.0",
    platforms: Mapping[str, PushedImage | None] | None = None,
    *,
    attestation: bool = False,
    docker_list: bool = False,
) -> PushedImage:
    """Push an index (or a Docker manifest list) for platforms such as ``linux/arm64/v8``.

    Where a platform has no image yet, one is made and pushed by its digest; amd64 and arm64 by default. With
    ``attestation`` the index also holds a provenance manifest for the first image, as buildx adds it, whose
    platform is ``unknown/unknown``.
    """
    client = registry if isinstance(registry, RegistryClient) else registry.client()
    wanted = platforms if platforms is not None else {"linux/amd64": None, "linux/arm64": None}
    children = {
        platform: image or push_image(client, repository, None, platform=platform, docker_schema2=docker_list)
        for platform, image in wanted.items()
    }
    entries = [
        {
            "mediaType": child.media_type,
            "digest": child.digest,
            "size": child.size,
            "platform": platform_of(platform),
        }
        for platform, child in children.items()
    ]
    if attestation:
        subject = next(iter(children.values()))
        statement = push_image(client, repository, None, image=_attestation(subject))
        entries.append(
            {
                "mediaType": statement.media_type,
                "digest": statement.digest,
                "size": statement.size,
                "annotations": {
                    "vnd.docker.reference.digest": subject.digest,
                    "vnd.docker.reference.type": "attestation-manifest",
                },
                "platform": {"architecture": "unknown", "os": "unknown"},
            }
        )
        children["unknown/unknown"] = statement
    media_type = DOCKER_LIST if docker_list else OCI_INDEX
    index = _json({"schemaVersion": 2, "mediaType": media_type, "manifests": entries})
    client.push_manifest(repository, tag, index, media_type)
    return PushedImage(repository, tag, digest_of(index), media_type, len(index), children=children)


def _attestation(subject: PushedImage) -> Image:
    """Return the manifest that buildx attaches to an image: one in-toto statement as its only layer."""
    statement = _json(
        {
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": [{"name": "_", "digest": {"sha256": subject.digest.removeprefix("sha256:")}}],
            "predicate": {},
        }
    )
    config = _json(
        {
            "architecture": "unknown",
            "os": "unknown",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(statement)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _descriptor(config, OCI_CONFIG),
            "layers": [_descriptor(statement, "application/vnd.in-toto+json")],
        }
    )
    blobs = {digest_of(config): config, digest_of(statement): statement}
    return Image(manifest, OCI_MANIFEST, digest_of(config), (digest_of(statement),), blobs)


def remove_blob(registry: Registry, digest: str) -> None:
    """Delete a blob's bytes from the registry's storage; the links to it stay."""
    registry.blob_path(digest).unlink()


def truncate_blob(registry: Registry, digest: str, size: int = 0) -> None:
    """Cut a blob on disk to a number of bytes."""
    with registry.blob_path(digest).open("r+b") as file:
        file.truncate(size)


def corrupt_blob(registry: Registry, digest: str) -> None:
    """Change one byte in the middle of a blob on disk; its size stays."""
    path = registry.blob_path(digest)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
