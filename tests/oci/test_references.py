"""What a stored manifest refers to."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.oci.references import Referred, read_references
from tests.support.images import build_image

LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{'a' * 64}", "size": 3}


def test_an_image_refers_to_its_config_and_layers() -> None:
    image = build_image("team/app")

    found = read_references(image.manifest)

    assert found is not None
    assert found.config is not None
    assert found.config.digest == image.config_digest
    assert tuple(each.digest for each in found.all_layers) == image.layer_digests
    assert found.manifests is None


def test_an_index_refers_to_manifests() -> None:
    found = read_references(json.dumps({"manifests": [LAYER]}).encode())

    assert found is not None
    assert [each.digest for each in found.manifests or ()] == [LAYER["digest"]]


def test_schema_1_and_artifacts_refer_to_blobs() -> None:
    old = read_references(json.dumps({"fsLayers": [{"blobSum": LAYER["digest"]}]}).encode())
    artifact = read_references(json.dumps({"blobs": [LAYER]}).encode())

    assert old is not None
    assert old.all_layers == [Referred(digest=str(LAYER["digest"]))]
    assert artifact is not None
    assert artifact.all_layers[0].size == 3


@pytest.mark.parametrize(
    ("media_type", "foreign"),
    [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", True),
        ("application/vnd.oci.image.layer.v1.tar+gzip", False),
        (None, False),
    ],
)
def test_foreign_layers_are_known_by_their_type(media_type: str | None, foreign: bool) -> None:
    assert Referred(media_type=media_type).is_foreign is foreign


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'{"layers": 1}', b"\xff", b"{" * 100_000])
def test_what_is_no_manifest_is_none(body: bytes) -> None:
    assert read_references(body) is None


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(body: bytes) -> None:
    read_references(body)
