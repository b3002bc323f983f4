"""The tiny image is a whole one: what its manifest lists is there, and its layer is the one in its config."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

from regdoctor.oci.digest import digest_of
from regdoctor.oci.manifest import Manifest, parse_manifest
from regdoctor.oci.tiny_image import MANIFEST_TYPE, tiny_image


def test_the_manifest_lists_the_blobs_with_their_sizes() -> None:
    image = tiny_image("a comment")
    read = parse_manifest(image.manifest, MANIFEST_TYPE)

    assert isinstance(read, Manifest)
    assert read.config is not None
    listed = {each.digest: each.size for each in (read.config, *read.layers)}
    assert listed == {digest: len(content) for digest, content in image.blobs.items()}
    assert read.config.digest == image.config_digest
    assert digest_of(image.manifest) == image.digest


def test_the_layer_is_an_empty_archive_and_the_one_that_the_config_names() -> None:
    image = tiny_image("a comment")
    archive = gzip.decompress(image.blobs[image.layer_digest])
    config = json.loads(image.blobs[image.config_digest])

    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        assert files.getnames() == []
    assert config["rootfs"]["diff_ids"] == [digest_of(archive)]


def test_another_comment_makes_another_image_with_the_same_layer() -> None:
    one, other = tiny_image("one"), tiny_image("other")

    assert one.digest != other.digest
    assert one.config_digest != other.config_digest
    assert one.layer_digest == other.layer_digest
