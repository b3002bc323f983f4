"""What ``fsck`` says that garbage collection would free, beside what the real one would delete.

The storage is made by real pushes: Docker and OCI images, indexes, copies between repositories by skopeo, mounts,
signatures, referrers, deleted manifests, moved tags.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import programs
from tests.support.images import (
    OCI_INDEX,
    OCI_MANIFEST,
    PushedImage,
    build_image,
    digest_of,
    push_image,
    push_index,
)
from tests.support.regdoctor_cli import assert_has, assert_healthy, codes, run_regdoctor
from tests.support.registry import Registry
from tests.support.registry_client import RegistryClient

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs("skopeo")]

EMPTY_CONFIG = b"{}"


@dataclass(frozen=True)
class Deleted:
    """What a dry run says that it would delete."""

    blobs: int
    size: int


def dry_run(registry: Registry, *options: str) -> Deleted:
    """Ask the registry's own garbage collector."""
    printed = subprocess.run(
        [programs.path("docker-registry"), "garbage-collect", "--dry-run", *options, registry.config_path],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    digests = re.findall(r"^blob eligible for deletion: (\S+)$", printed, re.MULTILINE)
    return Deleted(len(digests), sum(registry.blob_path(each).stat().st_size for each in digests))


def garbage(registry: Registry) -> dict[str, int]:
    """Ask regdoctor."""
    result = run_regdoctor("fsck", registry.storage)
    found: dict[str, int] = result.report["targets"][0]["facts"]["storage-content"]["garbage"]
    return found


def summed(found: dict[str, int], *parts: str) -> Deleted:
    """Add up parts of the garbage; the part without a name is what every version deletes."""
    names = [f"{each}_" if each else "" for each in parts]
    return Deleted(sum(found[f"{each}blobs"] for each in names), sum(found[f"{each}size"] for each in names))


def assert_agrees(registry: Registry) -> dict[str, int]:
    """Compare with a dry run with and without ``--delete-untagged``; return what regdoctor found."""
    found = garbage(registry)
    assert summed(found, "", "unlinked") == dry_run(registry)
    assert summed(found, "", "unlinked", "untagged", "platform") == dry_run(registry, "--delete-untagged")
    return found


def copy(registry: Registry, source: str, target: str, *options: str) -> None:
    """Copy an image between repositories, as skopeo does: blobs are mounted, formats converted."""
    policy = registry.directory / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    subprocess.run(
        [
            programs.path("skopeo"), "--policy", policy, "copy", "--quiet", *options,
            "--src-tls-verify=false", "--dest-tls-verify=false",
            f"docker://{registry.address}/{source}", f"docker://{registry.address}/{target}",
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def attach(
    client: RegistryClient, repository: str, content: bytes, *, tag: str | None = None, subject: Any = None
) -> None:
    """Push an artifact: by a tag as cosign does, or as a referrer of a subject (OCI distribution-spec 1.1)."""
    for each in (EMPTY_CONFIG, content):
        client.push_blob(repository, each, digest_of(each))
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/spdx+json",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": digest_of(EMPTY_CONFIG),
            "size": len(EMPTY_CONFIG),
        },
        "layers": [
            {"mediaType": "application/spdx+json", "digest": digest_of(content), "size": len(content)}
        ],
    }
    if subject is not None:
        manifest["subject"] = subject
    body = json.dumps(manifest).encode()
    client.push_manifest(repository, tag or digest_of(body), body, OCI_MANIFEST)


def mount(client: RegistryClient, image: PushedImage, repository: str, body: bytes) -> None:
    """Make an image part of another repository without sending a byte of its blobs."""
    for digest in (*image.layer_digests, image.config_digest):
        path = f"/v2/{repository}/blobs/uploads/?mount={digest}&from={image.repository}"
        assert client.request("POST", path).status == 201
    client.push_manifest(repository, "1.0", body, OCI_MANIFEST)


@pytest.fixture
def mixed(registry: Registry) -> Registry:
    """A registry with everything that clients push and leave behind."""
    client = registry.client()
    push_image(registry, "team/app", "1.0", layer_size=5000)
    push_image(registry, "team/app", "docker", layer_size=6000, docker_schema2=True)
    push_index(registry, "multi", "1.0", attestation=True)
    push_index(registry, "multi", "docker", docker_list=True)
    copy(registry, "team/app:1.0", "copies/a/b/c:same")
    copy(registry, "team/app:docker", "copies/a/b/c:oci", "--format", "oci")
    copy(registry, "team/app:1.0", "copies/a/b/c:v2s2", "--format", "v2s2")
    copy(registry, "multi:1.0", "copies/multi:all", "--all")
    source = push_image(registry, "src", "1.0", layer_size=70_000)
    body = registry.blob_path(source.digest).read_bytes()
    mount(client, source, "mounted", body)
    subject = {"mediaType": OCI_MANIFEST, "digest": source.digest, "size": len(body)}
    attach(client, "src", b'{"sbom": 1}', subject=subject)
    attach(client, "src", b"signature", tag=f"{source.digest.replace(':', '-')}.sig")
    gone = push_image(registry, "team/app", "gone", layer_size=100_000)
    assert client.request("DELETE", f"/v2/team/app/manifests/{gone.digest}").status == 202
    # Registry 3 deletes single tags; 2.x has no way but this.
    push_image(registry, "team/app", "removed", layer_size=90_000)
    shutil.rmtree(registry.tag_link("team/app", "removed").parents[1])
    push_image(registry, "moved", "1.0", layer_size=40_000)
    push_image(registry, "moved", "1.0", image=build_image("other"))
    push_index(registry, "moved", "multi")
    push_image(registry, "moved", "multi", image=build_image("another"))
    loose = os.urandom(12_345)
    client.push_blob("loose", loose, digest_of(loose))
    client.request("POST", "/v2/begun/blobs/uploads/")
    return registry


def test_a_storage_of_all_kinds_is_healthy_and_its_garbage_is_what_garbage_collection_deletes(
    mixed: Registry,
) -> None:
    for options in ((), ("--verify",)):
        result = run_regdoctor("fsck", mixed.storage, *options)
        assert_healthy(result)
        assert codes(result.report) == ["storage/reclaimable"]

    found = assert_agrees(mixed)

    assert min(found["blobs"], found["untagged_blobs"], found["platform_blobs"]) > 0
    assert found["unlinked_blobs"] == 0


def test_the_text_says_what_was_hashed_and_how_fast(mixed: Registry) -> None:
    result = run_regdoctor("fsck", "--verify", mixed.storage, report_format="text")

    assert re.search(r"repositories hold; [0-9]+ blobs hashed \([0-9.]+ KiB in [0-9.]+ s, ", result.stdout)


def test_what_garbage_collection_has_deleted_is_garbage_no_more(mixed: Registry) -> None:
    mixed.garbage_collect()

    assert garbage(mixed)["blobs"] == 0
    assert_agrees(mixed)
    assert_healthy(run_regdoctor("fsck", mixed.storage, "--verify"))


def test_the_platforms_that_delete_untagged_of_2_x_breaks_are_told_before(mixed: Registry) -> None:
    note = assert_has(run_regdoctor("fsck", mixed.storage), "storage/reclaimable")
    assert "platforms of tagged indexes need, and break these images" in note["detail"]
    mixed.garbage_collect(delete_untagged=True)

    result = run_regdoctor("fsck", mixed.storage)

    assert result.exit_code == 3
    assert "copies/multi:all" in assert_has(result, "storage/blob-missing")["detail"]


def test_a_platform_that_is_not_linked_any_more_is_garbage_for_2_x_alone(registry: Registry) -> None:
    index = push_index(registry, "multi", "1.0")
    registry.revision_link("multi", index.children["linux/arm64"].digest).unlink()

    found = assert_agrees(registry)

    assert found["unlinked_blobs"] > 0
    assert found["blobs"] == 0


def test_a_repository_that_never_had_a_tag_stops_delete_untagged_of_2_x(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")
    push_image(registry, "by/digest", None, layer_size=1000)
    with pytest.raises(AssertionError, match="failed to retrieve tags unknown repository name=by/digest"):
        registry.garbage_collect(delete_untagged=True)

    found = assert_has(run_regdoctor("fsck", registry.storage), "storage/reclaimable")

    assert "because by/digest has manifests and never had a tag" in found["detail"]


def test_indexes_within_indexes(registry: Registry) -> None:
    client = registry.client()
    inner = push_index(registry, "multi", "inner")
    descriptor = {
        "mediaType": OCI_INDEX,
        "digest": inner.digest,
        "size": registry.blob_path(inner.digest).stat().st_size,
    }
    outer = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor]}).encode()
    client.push_manifest("multi", "outer", outer, OCI_INDEX)
    shutil.rmtree(registry.tag_link("multi", "inner").parents[1])

    found = assert_agrees(registry)

    assert found["untagged_blobs"] == 0
    assert found["platform_blobs"] > 0


def test_a_manifest_that_another_lists_among_its_layers_keeps_what_it_needs(registry: Registry) -> None:
    """As tools do that pack images into artifacts."""
    client = registry.client()
    image = push_image(registry, "packed", None, layer_size=1000)
    body = registry.blob_path(image.digest).read_bytes()
    client.push_blob("packed", body, image.digest)
    attach(client, "packed", body, tag="artifact")

    found = assert_agrees(registry)

    assert found["blobs"] == 0


@pytest.mark.parametrize("count", [1, 3])
def test_the_table_has_what_each_repository_would_give_back(mixed: Registry, count: int) -> None:
    for number in range(30 * (count - 1)):
        mixed.client().request("POST", f"/v2/begun/at{number}/blobs/uploads/")

    result = run_regdoctor("fsck", mixed.storage, report_format="text", env={"COLUMNS": "80"})

    assert max(map(len, result.stdout.partition("What the repositories hold")[2].splitlines())) <= 80
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.startswith("  ")}
    assert rows["Repository"][1:] == ["Tags", "Manifests", "Size", "Unused", "Untagged", "Uploads"]
    assert rows["loose"][3:7] == ["12.1", "KiB", "12.1", "KiB"]
    assert rows["moved"][1:3] == ["2", "6"]
    total = "in all" if count == 1 else "69 in all"
    assert re.search(rf"^  {total} ", result.stdout, re.MULTILINE)
