"""What a stored manifest refers to: digests and sizes alone, read fast.

A registry's storage holds manifests by the hundred thousand and without their Content-Type. What kind of
document it is does not matter here: whatever it lists is needed.
"""

from __future__ import annotations

import msgspec


class Referred(msgspec.Struct, frozen=True, rename="camel"):
    """One entry: a config, a layer, or a manifest of an index. ``size`` is bytes, -1 where it is not given."""

    digest: str = ""
    size: int = -1
    media_type: str | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether it is a layer that may be absent because clients fetch it elsewhere."""
        kind = self.media_type or ""
        return "foreign" in kind or ".nondistributable." in kind


class _SchemaOneLayer(msgspec.Struct, frozen=True, rename="camel"):
    blob_sum: str = ""


class ManifestReferences(msgspec.Struct, frozen=True, rename="camel"):
    """Everything that a manifest or index lists, whatever its kind. Unknown members are not read."""

    config: Referred | None = None
    layers: list[Referred] | None = None
    manifests: list[Referred] | None = None
    blobs: list[Referred] | None = None
    fs_layers: list[_SchemaOneLayer] | None = None

    @property
    def is_manifest(self) -> bool:
        """Whether it has any member that manifests and indexes have."""
        return (
            self.layers is not None
            or self.manifests is not None
            or self.blobs is not None
            or self.fs_layers is not None
        )

    @property
    def all_layers(self) -> list[Referred]:
        """Layers, blobs of an artifact (a dropped OCI type) and those of Docker's schema 1."""
        listed = [*(self.layers or ()), *(self.blobs or ())]
        listed.extend(Referred(digest=each.blob_sum) for each in self.fs_layers or ())
        return listed


_DECODER: msgspec.json.Decoder[ManifestReferences] = msgspec.json.Decoder(ManifestReferences)


def read_references(body: bytes) -> ManifestReferences | None:
    """The references of a manifest (OCI image-spec 1.1, Docker schemas 1 and 2), or None where it is none."""
    try:
        found = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return found if found.is_manifest else None
