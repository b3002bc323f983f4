"""Manifests are read as clients do, and broken ones are described."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.oci import manifest
from regdoctor.oci.manifest import (
    Artifact,
    Index,
    Manifest,
    Schema1,
    Unreadable,
    parse_manifest,
    select_platform,
)
from regdoctor.oci.platform import Platform

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def blob(
    digest: str = DIGEST, media_type: str = "application/vnd.oci.image.layer.v1.tar+gzip", **more: Any
) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": 10, **more}


def image(**more: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": manifest.OCI_MANIFEST,
        "config": blob(OTHER, manifest.OCI_CONFIG),
        "layers": [blob()],
        **more,
    }


def index(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": manifest.OCI_INDEX, "manifests": list(entries), **more}


def entry(platform: str, digest: str = DIGEST, **more: Any) -> dict[str, Any]:
    os, architecture, *variant = platform.split("/")
    members = {"os": os, "architecture": architecture} | ({"variant": variant[0]} if variant else {})
    return blob(digest, manifest.OCI_MANIFEST, platform=members, **more)


def parse(document: object, content_type: str | None = None) -> manifest.Document:
    if content_type is None and isinstance(document, dict) and isinstance(document.get("mediaType"), str):
        content_type = document["mediaType"]
    return parse_manifest(json.dumps(document).encode(), content_type)


def test_an_image_manifest_names_its_config_and_layers() -> None:
    parsed = parse(image(annotations={"a": "b"}, subject=blob()))
    assert isinstance(parsed, Manifest)
    assert parsed.is_image
    assert parsed.config is not None
    assert (parsed.config.digest, parsed.config.size) == (OTHER, 10)
    assert [layer.digest for layer in parsed.layers] == [DIGEST]
    assert parsed.annotations == (("a", "b"),)
    assert parsed.subject is not None
    assert parsed.problems == ()


def test_a_blob_that_is_used_twice_is_listed_once() -> None:
    parsed = parse(image(layers=[blob(), blob(OTHER), blob()]))
    assert isinstance(parsed, Manifest)
    assert [each.digest for each in parsed.blobs] == [OTHER, DIGEST]


def test_a_chart_is_a_manifest_but_no_image() -> None:
    parsed = parse(image(config=blob(OTHER, "application/vnd.cncf.helm.config.v1+json")))
    assert isinstance(parsed, Manifest)
    assert not parsed.is_image
    assert parsed.problems == ()


def test_attestations_in_an_index_are_no_images() -> None:
    attestation = {
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": DIGEST,
        }
    }
    parsed = parse(index(entry("linux/amd64"), entry("unknown/unknown", OTHER, **attestation)))
    assert isinstance(parsed, Index)
    assert [each.is_attestation for each in parsed.manifests] == [False, True]
    assert [str(platform) for platform in parsed.platforms] == ["linux/amd64"]
    assert select_platform(parsed, Platform.parse("linux/arm64")) is None


def test_the_entry_for_a_platform_is_the_one_that_clients_take() -> None:
    parsed = parse(
        index(entry("linux/arm/v6"), entry("linux/arm64/v8", OTHER), mediaType=manifest.DOCKER_MANIFEST_LIST)
    )
    assert isinstance(parsed, Index)
    for wanted, digest in (("linux/arm64", OTHER), ("linux/arm/v7", DIGEST), ("linux/amd64", None)):
        chosen = select_platform(parsed, Platform.parse(wanted))
        assert (chosen and chosen.digest) == digest


def test_foreign_layers_are_known() -> None:
    foreign = blob(
        media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls=["https://x/y"]
    )
    parsed = parse(
        image(
            layers=[
                foreign,
                blob(media_type="application/vnd.oci.image.layer.nondistributable.v1.tar"),
                blob(),
            ]
        )
    )
    assert isinstance(parsed, Manifest)
    assert [layer.is_foreign for layer in parsed.layers] == [True, True, False]
    assert parsed.layers[0].urls == ("https://x/y",)


def test_schema_1_is_recognised_with_its_layers() -> None:
    document = {
        "schemaVersion": 1,
        "name": "a",
        "tag": "b",
        "architecture": "amd64",
        "fsLayers": [{"blobSum": DIGEST}],
        "signatures": [{}],
    }
    for content_type in (manifest.SCHEMA1_SIGNED, "application/json"):
        parsed = parse(document, content_type)
        assert isinstance(parsed, Schema1)
        assert (parsed.name, parsed.tag, parsed.architecture, parsed.layers, parsed.signed) == (
            "a",
            "b",
            "amd64",
            (DIGEST,),
            True,
        )


def test_the_dropped_artifact_manifest_is_recognised() -> None:
    parsed = parse({"mediaType": manifest.OCI_ARTIFACT, "artifactType": "x/y", "blobs": [blob()]})
    assert isinstance(parsed, Artifact)
    assert (parsed.artifact_type, parsed.problems) == ("x/y", ())


@pytest.mark.parametrize(
    ("document", "content_type", "kind", "words"),
    [
        (image(), None, Manifest, None),
        (image(), f"{manifest.OCI_MANIFEST}; charset=utf-8", Manifest, None),
        (image(), "text/plain", Manifest, "not that of a manifest"),
        (image(mediaType=None), "application/json", Manifest, "not that of a manifest"),
        (index(mediaType=None), "", Index, "no Content-Type"),
        (image(), manifest.DOCKER_MANIFEST, Manifest, "Content-Type says"),
        (image(mediaType=5), manifest.OCI_MANIFEST, Manifest, "mediaType is not a text"),
        (image(schemaVersion=1), manifest.OCI_MANIFEST, Manifest, "schemaVersion"),
        (image(manifests=[]), None, Manifest, "refuse such a document"),
        (index(layers=[]), None, Index, "refuse such a document"),
        (image(layers=None), None, Manifest, "layers is missing"),
        (image(layers={}), None, Manifest, "layers is not a list"),
        (image(config=None), None, Manifest, "no config"),
        (image(layers=["x"]), None, Manifest, "layers[0] is not an object"),
        (image(layers=[blob("sha256:abc")]), None, Manifest, "layers[0]: a sha256 digest has 64"),
        (image(layers=[{"digest": DIGEST, "size": 1}]), None, Manifest, "layers[0] has no mediaType"),
        (image(layers=[blob() | {"size": -1}]), None, Manifest, "no size"),
        (image(layers=[blob() | {"size": True}]), None, Manifest, "no size"),
        (image(layers=[{"mediaType": "x"}]), None, Manifest, "no digest"),
        ({"hello": "world"}, "application/json", Unreadable, "is no image manifest"),
        (image(), "application/vnd.example.thing.v1+json", Unreadable, "is no image manifest"),
        ([], manifest.OCI_MANIFEST, Unreadable, "not an object"),
    ],
)
def test_what_is_wrong_is_listed(
    document: Any, content_type: str | None, kind: type, words: str | None
) -> None:
    parsed = parse(document, content_type)
    assert isinstance(parsed, kind)
    if words is None:
        assert parsed.problems == ()
    else:
        assert any(words in problem for problem in parsed.problems), parsed.problems


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{" * 10_000, b" " * (manifest.MAX_MANIFEST + 1), b'{"a":' * 100 + b"1" + b"}" * 100],
)
def test_a_body_that_cannot_be_read_is_described(body: bytes) -> None:
    parsed = parse_manifest(body, manifest.OCI_MANIFEST)
    assert isinstance(parsed, Unreadable)
    assert parsed.problems[0].startswith("the manifest cannot be read")


def test_a_manifest_full_of_faults_lists_a_few() -> None:
    parsed = parse(image(layers=[5] * 12_000))
    assert isinstance(parsed, Manifest)
    assert len(parsed.layers) == 10_000
    assert len(parsed.problems) == 21
    assert "more" in parsed.problems[-1]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just(DIGEST),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["mediaType", "digest", "size", "platform", "os", "architecture", "urls", "annotations", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "schemaVersion",
                "mediaType",
                "config",
                "layers",
                "manifests",
                "fsLayers",
                "subject",
                "annotations",
                "blobs",
            ]
        ),
        _json,
    ),
    st.sampled_from([None, "text/plain", *manifest.ACCEPTED_MANIFESTS, manifest.OCI_ARTIFACT]),
)
def test_no_document_crashes_the_parser(document: dict[str, Any], content_type: str | None) -> None:
    parsed = parse(document, content_type)
    if isinstance(parsed, Index):
        select_platform(parsed, Platform.parse("linux/amd64"))
