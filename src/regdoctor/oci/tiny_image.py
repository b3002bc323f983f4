"""The smallest image that every registry and client takes for one: an empty layer and a config."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Final

from regdoctor.oci.digest import digest_of

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_EMPTY_TAR: Final = bytes(1024)
"""Two blocks of zeros end a tar archive (POSIX.1-2017, pax, ustar interchange format)."""


@dataclass(frozen=True)
class TinyImage:
    """An image for Linux on amd64 that holds no file. ``blobs`` are the config and the layer by digest."""

    manifest: bytes
    config_digest: str
    layer_digest: str
    blobs: dict[str, bytes]

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return digest_of(self.manifest)


def tiny_image(comment: str) -> TinyImage:
    """Make the image (OCI image-spec, config.md and manifest.md); another comment gives another config.

    The layer is the same for every comment.
    """
    layer = gzip.compress(_EMPTY_TAR, mtime=0)
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(_EMPTY_TAR)]},
            "history": [{"created_by": comment}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor(config, _CONFIG_TYPE),
            "layers": [_descriptor(layer, _LAYER_TYPE)],
        }
    )
    blobs = {digest_of(config): config, digest_of(layer): layer}
    return TinyImage(
        manifest=manifest, config_digest=digest_of(config), layer_digest=digest_of(layer), blobs=blobs
    )


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
