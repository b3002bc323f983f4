"""Writes a registry's storage as the filesystem driver lays it out (distribution registry/storage/paths.go)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.images import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST


@dataclass(frozen=True)
class StoredImage:
    """Digests of an image in storage, in hexadecimal digits."""

    manifest: str
    config: str
    layers: tuple[str, ...]


class StorageTree:
    """A storage below ``root``; makes what it is told to, and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "docker/registry/v2"

    def blob_path(self, digits: str, algorithm: str = "sha256") -> Path:
        """The file of a blob."""
        return self.path / "blobs" / algorithm / digits[:2] / digits / "data"

    def repository(self, name: str) -> Path:
        """The folder of a repository."""
        return self.path / "repositories" / name

    def tag_link(self, name: str, tag: str) -> Path:
        """The link of a tag."""
        return self.repository(name) / "_manifests/tags" / tag / "current/link"

    def revision_link(self, name: str, digits: str) -> Path:
        """The link of a manifest."""
        return self.repository(name) / "_manifests/revisions/sha256" / digits / "link"

    def layer_link(self, name: str, digits: str) -> Path:
        """The link of another blob."""
        return self.repository(name) / "_layers/sha256" / digits / "link"

    def blob(self, content: bytes, algorithm: str = "sha256") -> str:
        """Stores a blob and returns its digest's digits."""
        digits = hashlib.new(algorithm, content).hexdigest()
        path = self.blob_path(digits, algorithm)
        if not path.exists():
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
        return digits

    def image(
        self, name: str, tag: str | None, layers: Sequence[bytes], *, config: bytes | None = None
    ) -> StoredImage:
        """Stores an image of a repository, with its links; without a tag, its manifest is only a revision."""
        stored = tuple(self.blob(layer) for layer in layers)
        settings = config if config is not None else json.dumps({"layers": stored}).encode()
        config_digits = self.blob(settings)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": _descriptor(OCI_CONFIG, config_digits, len(settings)),
                "layers": [
                    _descriptor(OCI_LAYER, digits, len(layer))
                    for digits, layer in zip(stored, layers, strict=True)
                ],
            }
        ).encode()
        for digits in (*stored, config_digits):
            self.write_link(self.layer_link(name, digits), digits)
        return StoredImage(self.manifest(name, tag, manifest), config_digits, stored)

    def index(self, name: str, tag: str | None, children: Sequence[StoredImage]) -> str:
        """Stores an index of images of the same repository, and returns its digest's digits."""
        entries = [
            _descriptor(OCI_MANIFEST, child.manifest, self.blob_path(child.manifest).stat().st_size)
            for child in children
        ]
        content = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        return self.manifest(name, tag, json.dumps(content).encode())

    def manifest(self, name: str, tag: str | None, content: bytes) -> str:
        """Stores a manifest with its links, and returns its digest's digits."""
        digits = self.blob(content)
        self.write_link(self.revision_link(name, digits), digits)
        if tag is not None:
            link = self.tag_link(name, tag)
            self.write_link(link, digits)
            self.write_link(link.parents[1] / "index/sha256" / digits / "link", digits)
        return digits

    @staticmethod
    def write_link(path: Path, digits: str) -> None:
        """Writes a link as the registry does: the digest alone."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"sha256:{digits}")


def _descriptor(media_type: str, digits: str, size: int) -> dict[str, object]:
    return {"mediaType": media_type, "digest": f"sha256:{digits}", "size": size}
