"""Faults of images on Debian's registry, each the single root cause, and the healthy twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import StartRegistry
from tests.support.images import corrupt_blob, push_image, push_index, remove_blob, truncate_blob
from tests.support.regdoctor_cli import CliResult, assert_healthy, assert_single_root_cause, run_regdoctor
from tests.support.registry import Registry
from tests.support.skopeo import skopeo

pytestmark = pytest.mark.needs("docker-registry")

PLATFORM = ("--platform", "linux/amd64")


def check(registry: Registry, image: str, *arguments: str) -> CliResult:
    return run_regdoctor("check", "--plain-http", f"{registry.address}/{image}", *arguments)


def test_a_whole_image_is_healthy(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    assert_healthy(check(registry, "team/app:1.0", *PLATFORM))


def test_a_docker_image_is_healthy_too(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0", docker_schema2=True)

    assert_healthy(check(registry, "team/app:1.0", *PLATFORM))


@pytest.mark.parametrize("docker_list", [False, True])
def test_a_whole_index_is_healthy(registry: Registry, docker_list: bool) -> None:
    images = {
        platform: push_image(registry, "team/app", None, platform=platform, docker_schema2=docker_list)
        for platform in ("linux/amd64", "linux/arm64/v8")
    }
    push_index(registry, "team/app", "1.0", images, docker_list=docker_list, attestation=not docker_list)

    assert_healthy(check(registry, "team/app:1.0", *PLATFORM, "--platform", "linux/arm64"))


def test_an_image_by_digest_is_healthy(registry: Registry) -> None:
    image = push_image(registry, "team/app", "1.0")

    assert_healthy(check(registry, f"team/app@{image.digest}", *PLATFORM))


def test_a_missing_tag_is_named_with_the_near_one(registry: Registry) -> None:
    for tag in ("1.24", "1.25.3", "latest"):
        push_image(registry, "team/app", tag)

    found = assert_single_root_cause(check(registry, "team/app:1.25"), "image/tag-not-found")

    assert "1.25.3" in found["detail"]
    assert found["certainty"] == "proven"


@pytest.mark.needs("skopeo")
def test_a_missing_tag_is_what_clients_meet(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    told = skopeo("inspect", "--tls-verify=false", f"docker://{registry.address}/team/app:2.0")

    assert told.returncode != 0
    assert "manifest unknown" in told.stderr


def test_a_missing_repository_is_named_with_the_near_one(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    found = assert_single_root_cause(check(registry, "team/ap:1.0"), "image/repository-not-found")

    assert "team/app" in found["detail"]


def test_a_missing_digest_is_named(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    assert_single_root_cause(check(registry, f"team/app@sha256:{'0' * 64}"), "image/digest-not-found")


def test_a_platform_that_the_index_lacks_is_named_with_those_it_has(registry: Registry) -> None:
    images = {
        platform: push_image(registry, "team/app", None, platform=platform)
        for platform in ("linux/amd64", "linux/arm64")
    }
    push_index(registry, "team/app", "1.0", images)

    found = assert_single_root_cause(
        check(registry, "team/app:1.0", "--platform", "linux/s390x"), "image/platform-missing"
    )

    assert "linux/amd64" in found["detail"]
    assert "linux/s390x" in found["detail"]


def test_a_single_image_for_another_platform_is_named(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0", platform="linux/arm64")

    assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/platform-missing")


@pytest.mark.parametrize("part", ["layer", "config"])
def test_a_lost_blob_is_named(registry: Registry, part: str) -> None:
    image = push_image(registry, "team/app", "1.0")
    digest = image.config_digest if part == "config" else image.layer_digests[1]
    remove_blob(registry, digest)
    registry.restart()

    found = assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/blob-missing")

    assert digest in found["detail"]
    assert part in found["detail"]


def test_a_blob_lost_by_one_platform_of_an_index_is_named(registry: Registry) -> None:
    images = {
        platform: push_image(registry, "team/app", None, platform=platform)
        for platform in ("linux/amd64", "linux/arm64")
    }
    push_index(registry, "team/app", "1.0", images)
    remove_blob(registry, images["linux/arm64"].layer_digests[0])
    registry.restart()

    wanted = check(registry, "team/app:1.0", "--platform", "linux/arm64")

    assert_single_root_cause(wanted, "image/blob-missing")


def test_a_lost_child_of_an_index_is_named(registry: Registry) -> None:
    images = {
        platform: push_image(registry, "team/app", None, platform=platform)
        for platform in ("linux/amd64", "linux/arm64")
    }
    push_index(registry, "team/app", "1.0", images)
    remove_blob(registry, images["linux/arm64"].digest)
    registry.restart()

    found = assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/child-missing")

    assert "linux/arm64" in found["detail"]


def test_a_listed_tag_without_its_manifest_is_named(registry: Registry) -> None:
    image = push_image(registry, "team/app", "1.0")
    remove_blob(registry, image.digest)
    registry.restart()

    assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/manifest-gone")


def test_a_truncated_layer_is_named(registry: Registry) -> None:
    image = push_image(registry, "team/app", "1.0")
    truncate_blob(registry, image.layer_digests[0], 3)
    registry.restart()

    assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/blob-corrupt")


def test_a_config_with_other_bytes_is_named(registry: Registry) -> None:
    image = push_image(registry, "team/app", "1.0")
    corrupt_blob(registry, image.config_digest)
    registry.restart()

    found = assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/blob-corrupt")

    assert image.config_digest in found["detail"]


def test_blobs_redirected_to_a_dead_host_are_named(start_registry: StartRegistry, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with_images = start_registry(storage=storage)
    push_image(with_images, "team/app", "1.0")
    with_images.stop()
    registry = start_registry(storage=storage, redirect="http://127.0.0.1:9/blobs/")

    found = assert_single_root_cause(
        check(registry, "team/app:1.0", *PLATFORM), "image/blob-host-unreachable"
    )

    assert found["host"] == "127.0.0.1:9"


def test_blobs_redirected_to_a_host_that_serves_them_are_healthy(
    start_registry: StartRegistry, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    holder = start_registry(storage=storage)
    push_image(holder, "team/app", "1.0")
    # Distribution's redirect middleware appends the storage path; a web server below the root serves it.
    from tests.support.http_server import Answer, HTTPServer, Request

    def serve(request: Request) -> Answer:
        path = storage / request.target.partition("?")[0].removeprefix("/").removeprefix("blobs/")
        return Answer(200, path.read_bytes()) if path.is_file() else Answer(404)

    with HTTPServer(serve) as blobs:
        registry = start_registry(storage=storage, redirect=f"{blobs.url}/blobs/")
        assert_healthy(check(registry, "team/app:1.0", *PLATFORM))
