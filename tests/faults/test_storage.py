"""Damage to the storage of Debian's registry, each the single root cause, and the healthy twins."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import StartRegistry
from tests.support import programs
from tests.support.images import (
    PushedImage,
    build_image,
    corrupt_blob,
    digest_of,
    push_image,
    push_index,
    remove_blob,
    truncate_blob,
)
from tests.support.ports import wait_until
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    codes,
    command_line,
    run_regdoctor,
)
from tests.support.registry import Registry

pytestmark = pytest.mark.needs("docker-registry")

PLATFORM = ("--platform", "linux/amd64")
TREE = "docker/registry/v2"
CACHE = {"storage": {"cache": {"blobdescriptor": "inmemory"}}}


def fsck(registry: Registry, *arguments: str | Path) -> CliResult:
    return run_regdoctor("fsck", registry.storage, *arguments)


def check(registry: Registry, image: str, *arguments: str | Path) -> CliResult:
    return run_regdoctor(
        "check",
        "--plain-http",
        f"{registry.address}/{image}",
        *PLATFORM,
        "--storage",
        registry.storage,
        *arguments,
    )


def age(registry: Registry) -> None:
    """Makes everything in storage a day old."""
    then = time.time() - 86_400
    for path in (registry.storage / TREE / "blobs").rglob("data"):
        os.utime(path, (then, then))


@pytest.fixture
def image(registry: Registry) -> PushedImage:
    return push_image(registry, "team/app", "1.0", layer_size=3000)


# Healthy


@pytest.mark.parametrize("options", [(), ("--verify",), ("--verify", "--jobs", "1"), ("--jobs", "3")])
def test_a_storage_of_images_and_indexes_is_healthy(registry: Registry, options: tuple[str, ...]) -> None:
    push_image(registry, "team/app", "1.0")
    push_image(registry, "team/app", "docker", docker_schema2=True)
    push_index(registry, "multi", "1.0", attestation=True)
    push_image(registry, "a/b/c/d/e", "latest")

    result = fsck(registry, *options)

    assert_healthy(result)
    content = result.report["targets"][0]["facts"]["storage-content"]
    assert (content["repositories"], content["tags"], content["manifests"]) == (3, 4, 7)
    assert content["complete"]
    assert content["unread_seen"] == 0


def test_a_storage_that_nobody_has_pushed_to_yet_is_healthy(registry: Registry) -> None:
    client = registry.client()
    client.request("POST", "/v2/team/app/blobs/uploads/")

    assert_healthy(fsck(registry))


def test_a_storage_after_garbage_collection_is_healthy(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")
    gone = push_image(registry, "team/app", "2.0", layer_size=100)
    registry.client().request("DELETE", f"/v2/team/app/manifests/{gone.digest}")
    assert "blob eligible for deletion" in registry.garbage_collect()
    links = registry.repository_path("team/app") / "_layers/sha256"
    assert any(not registry.blob_path(f"sha256:{link.name}").exists() for link in links.iterdir())

    assert_healthy(fsck(registry))


def test_check_with_a_healthy_storage_is_healthy(registry: Registry, image: PushedImage) -> None:
    assert_healthy(check(registry, "team/app:1.0"))
    assert_healthy(check(registry, f"team/app@{image.digest}", "--verify-blobs"))


def test_the_storage_of_this_host_is_looked_at_by_profile(registry: Registry, image: PushedImage) -> None:
    remove_blob(registry, image.layer_digests[0])
    registry.restart()
    target = f"{registry.address}/team/app:1.0"

    for storage in (("--storage", registry.storage), ("--config", registry.config_path)):
        result = run_regdoctor("check", "--plain-http", target, *PLATFORM, "--profile", "host", *storage)
        assert_single_root_cause(result, "storage/blob-missing")


def test_foreign_layers_need_no_blob(start_registry: StartRegistry) -> None:
    registry = start_registry(config={"validation": {"manifests": {"urls": {"allow": ["^https://example"]}}}})
    image = build_image("team/win")
    foreign = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": f"sha256:{'1' * 64}",
        "size": 77,
        "urls": ["https://example.com/layer"],
    }
    layers = json.loads(image.manifest)["layers"]
    changed = build_image("team/win", docker_schema2=True, manifest_changes={"layers": [foreign, *layers]})
    push_image(registry, "team/win", "1.0", image=changed)

    assert_healthy(fsck(registry))


def test_a_storage_that_is_pushed_to_meanwhile_is_healthy(registry: Registry) -> None:
    number = 0
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(fsck, registry, "--verify") for _ in range(3)]
        while not all(each.done() for each in running):
            number += 1
            pushed = push_image(registry, f"team/app{number % 5}", f"{number}", layer_size=number)
            if number % 3 == 0:
                registry.client().request("DELETE", f"/v2/{pushed.repository}/manifests/{pushed.digest}")

    assert number > 3
    for each in running:
        assert_healthy(each.result())


# Links


def test_an_empty_tag_link_is_named_with_what_it_meant(registry: Registry, image: PushedImage) -> None:
    link = registry.tag_link("team/app", "1.0")
    link.write_text("")
    answer = registry.client().request("GET", "/v2/team/app/manifests/1.0")
    assert answer.status == 500

    found = assert_single_root_cause(fsck(registry), "storage/link-broken")

    assert "The link of tag team/app:1.0 is empty" in found["detail"]
    assert str(link) in found["evidence"]
    assert f"printf %s {image.digest} > {link}" in found["fix"][0]
    subprocess.run(["sh", "-c", found["fix"][0].partition(": ")[2]], check=True)
    assert_healthy(fsck(registry))
    assert_healthy(run_regdoctor("check", "--plain-http", image.reference(registry.address), *PLATFORM))


def test_an_empty_tag_link_explains_the_500(registry: Registry, image: PushedImage) -> None:
    registry.tag_link("team/app", "1.0").write_text("")

    assert_single_root_cause(check(registry, "team/app:1.0"), "storage/link-broken")


@pytest.mark.parametrize(
    "content", ["sha256:abc", "\n", "{digest}\n", "hunter2 is my secret", "sha257:" + "0" * 64]
)
def test_a_malformed_tag_link_is_named(registry: Registry, image: PushedImage, content: str) -> None:
    registry.tag_link("team/app", "1.0").write_text(content.format(digest=image.digest))
    assert registry.client().request("GET", "/v2/team/app/manifests/1.0").status == 500

    result = fsck(registry)

    assert "no digest" in assert_single_root_cause(result, "storage/link-broken")["detail"]
    assert "hunter2" not in result.stdout


def test_a_tag_without_its_link_is_named(registry: Registry, image: PushedImage) -> None:
    registry.tag_link("team/app", "1.0").unlink()
    assert registry.client().request("GET", "/v2/team/app/tags/list").json()["tags"] == ["1.0"]
    assert registry.client().request("GET", "/v2/team/app/manifests/1.0").status == 404

    for result in (fsck(registry), check(registry, "team/app:1.0")):
        assert "is missing" in assert_single_root_cause(result, "storage/link-broken")["detail"]


def test_a_tag_that_means_no_manifest_of_the_repository_is_named(
    registry: Registry, image: PushedImage
) -> None:
    registry.revision_link("team/app", image.digest).unlink()

    found = assert_single_root_cause(fsck(registry), "storage/link-broken")

    assert "no such manifest" in found["detail"]
    assert "bytes are still in storage" in found["detail"]


def test_an_empty_manifest_link_is_named(registry: Registry, image: PushedImage) -> None:
    registry.revision_link("team/app", image.digest).write_text("")
    assert registry.client().request("GET", f"/v2/team/app/manifests/{image.digest}").status == 500

    assert_single_root_cause(fsck(registry), "storage/link-broken")
    assert_single_root_cause(check(registry, f"team/app@{image.digest}"), "storage/link-broken")


def test_a_missing_layer_link_is_named(registry: Registry, image: PushedImage) -> None:
    registry.layer_link("team/app", image.layer_digests[0]).unlink()
    registry.restart()
    path = f"/v2/team/app/blobs/{image.layer_digests[0]}"
    assert registry.client().request("GET", path).status == 404

    found = assert_single_root_cause(fsck(registry), "storage/link-broken")

    assert "team/app:1.0" in found["detail"]
    assert_single_root_cause(check(registry, "team/app:1.0"), "storage/link-broken")
    subprocess.run(["sh", "-c", found["fix"][0].partition(": ")[2]], check=True)
    assert registry.client().request("GET", path).status == 200
    assert_healthy(fsck(registry))


def test_a_layer_link_with_another_layer_s_digest_is_named(registry: Registry, image: PushedImage) -> None:
    link = registry.layer_link("team/app", image.layer_digests[0])
    link.write_text(image.layer_digests[1])

    assert "something else" in assert_single_root_cause(fsck(registry), "storage/link-broken")["detail"]


# Blobs that are gone


@pytest.mark.parametrize("part", ["layer", "config", "manifest"])
def test_a_lost_blob_is_named_with_its_image(registry: Registry, image: PushedImage, part: str) -> None:
    digest = {"layer": image.layer_digests[0], "config": image.config_digest, "manifest": image.digest}[part]
    assert digest is not None
    remove_blob(registry, digest)
    registry.restart()

    for result in (fsck(registry), check(registry, "team/app:1.0")):
        found = assert_single_root_cause(result, "storage/blob-missing")
        assert digest in found["detail"]
        assert f"The {part} " in found["detail"]
        assert "team/app:1.0" in found["detail"]


def test_a_lost_manifest_of_an_index_is_named(registry: Registry) -> None:
    index = push_index(registry, "team/app", "1.0")
    child = index.children["linux/arm64"]
    remove_blob(registry, child.digest)
    registry.restart()

    for result in (fsck(registry), check(registry, "team/app:1.0")):
        found = assert_single_root_cause(result, "storage/blob-missing")
        assert child.digest in found["detail"]


def test_garbage_collection_of_2_x_that_took_platforms_of_an_index_is_named(registry: Registry) -> None:
    push_index(registry, "team/app", "1.0")
    registry.garbage_collect(delete_untagged=True)

    result = fsck(registry)

    assert_has(result, "storage/blob-missing")
    assert "--delete-untagged of registry 2.x" in assert_has(result, "storage/link-broken")["detail"]


def test_all_blobs_gone_at_once_look_like_another_volume(registry: Registry, image: PushedImage) -> None:
    shutil.rmtree(registry.storage / TREE / "blobs")

    assert "another volume" in assert_single_root_cause(fsck(registry), "storage/blob-missing")["detail"]


def test_a_lost_blob_of_a_manifest_without_a_tag_is_no_error(registry: Registry) -> None:
    image = push_image(registry, "team/app", None)
    push_image(registry, "team/app", "1.0", layer_size=10)
    remove_blob(registry, image.digest)

    result = fsck(registry)

    assert assert_has(result, "storage/blob-missing")["severity"] == "info"
    assert result.exit_code == 0


def test_a_pull_through_cache_may_lack_blobs(registry: Registry, image: PushedImage) -> None:
    (registry.storage / "scheduler-state.json").write_text("{}")
    remove_blob(registry, image.layer_digests[0])
    registry.layer_link("team/app", image.layer_digests[1]).unlink()

    assert_healthy(fsck(registry))


# Blobs with other bytes


def test_a_flipped_byte_is_found_by_hashing(registry: Registry, image: PushedImage) -> None:
    corrupt_blob(registry, image.layer_digests[0])
    assert_healthy(fsck(registry))

    found = assert_single_root_cause(fsck(registry, "--verify"), "storage/blob-corrupt")

    path = registry.blob_path(image.layer_digests[0])
    assert str(path) in found["evidence"]
    assert digest_of(path.read_bytes()) in found["detail"]
    assert "team/app:1.0" in found["detail"]
    shown = subprocess.run(["sh", "-c", found["reproduce"]], check=True, capture_output=True, text=True)
    assert f"sha256:{shown.stdout.split()[0]}" in found["detail"]
    subprocess.run(["sh", "-c", found["fix"][0].partition(": ")[2]], check=True)
    registry.restart()
    push_image(registry, "team/app", "1.0", layer_size=3000)
    assert_healthy(fsck(registry, "--verify"))


@pytest.mark.parametrize("size", [0, 7])
@pytest.mark.parametrize("part", ["layer", "config"])
def test_a_cut_blob_is_found_without_hashing_all(
    registry: Registry, image: PushedImage, part: str, size: int
) -> None:
    digest = image.layer_digests[0] if part == "layer" else image.config_digest
    assert digest is not None
    truncate_blob(registry, digest, size)
    registry.restart()
    assert registry.client().request("HEAD", f"/v2/team/app/blobs/{digest}").status == 200

    for result in (fsck(registry), check(registry, "team/app:1.0")):
        assert digest[7:] in assert_single_root_cause(result, "storage/blob-corrupt")["detail"]


@pytest.mark.parametrize("damage", [corrupt_blob, truncate_blob])
def test_a_damaged_manifest_is_found_without_hashing_all(
    registry: Registry, image: PushedImage, damage: object
) -> None:
    assert callable(damage)
    damage(registry, image.digest)
    registry.restart()

    for result in (fsck(registry), check(registry, "team/app:1.0")):
        assert_single_root_cause(result, "storage/blob-corrupt")


def test_an_empty_blob_that_nobody_needs_yet_is_named(registry: Registry) -> None:
    image = push_image(registry, "team/app", "1.0")
    digest = digest_of(b"aborted")
    path = registry.blob_path(digest)
    path.parent.mkdir(parents=True)
    path.touch()
    assert image.digest != digest

    assert (
        "No tagged image needs it"
        in assert_single_root_cause(fsck(registry), "storage/blob-corrupt")["detail"]
    )


# What could be freed


def test_a_deleted_image_can_be_freed(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")
    gone = push_image(registry, "team/old", "1.0", layer_size=100_000)
    registry.client().request("DELETE", f"/v2/team/old/manifests/{gone.digest}")
    age(registry)

    result = fsck(registry)

    found = assert_has(result, "storage/reclaimable")
    assert_healthy(result)
    dry = subprocess.run(
        [programs.path("docker-registry"), "garbage-collect", "--dry-run", registry.config_path],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    eligible = sum(line.startswith("blob eligible for deletion") for line in dry.splitlines())
    assert f"{eligible} blobs that no manifest uses" in found["detail"]
    uses = result.report["targets"][0]["facts"]["storage-content"]["uses"]
    assert [(use["repository"], use["garbage"]["blobs"]) for use in uses] == [
        ("team/old", eligible - 1),
        (None, 1),
        ("team/app", 0),
    ]
    assert "hour old" not in found["detail"]


def test_an_overwritten_tag_can_be_freed_with_delete_untagged(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0", layer_size=50_000)
    push_image(registry, "team/app", "1.0", image=build_image("other"))

    found = assert_has(fsck(registry), "storage/reclaimable")

    assert "--delete-untagged would free it" in found["detail"]
    assert "no manifest uses" not in found["detail"]


def test_nothing_is_said_of_what_could_be_freed_where_a_database_knows(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0", layer_size=50_000)
    push_image(registry, "team/app", "1.0", image=build_image("other"))
    lock = registry.storage / "docker/registry/lockfiles/database-in-use"
    lock.parent.mkdir()
    lock.touch()

    assert_lacks(fsck(registry), "storage/reclaimable")


def test_abandoned_uploads_are_named(registry: Registry) -> None:
    client = registry.client()
    for _ in range(3):
        started = client.request("POST", "/v2/team/app/blobs/uploads/")
        uuid = started.headers["Docker-Upload-UUID"]
        client.request("PATCH", started.headers["Location"], body=b"x" * 5_000_000)
        folder = registry.repository_path("team/app") / "_uploads" / uuid
        (folder / "startedat").write_text("2020-01-01T00:00:00Z")
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (1_600_000_000, 1_600_000_000))

    assert_single_root_cause(fsck(registry), "disk/stale-uploads", exit_code=0)


# The registry's cache


def test_a_cache_that_outlives_garbage_collection_is_the_cause(start_registry: StartRegistry) -> None:
    registry = start_registry(config=CACHE)
    image = push_image(registry, "team/app", "1.0")
    registry.client().request("DELETE", f"/v2/team/app/manifests/{image.digest}")
    registry.garbage_collect()
    push_image(registry, "team/app", "1.0")
    assert registry.client().request("GET", "/v2/team/app/manifests/1.0").status == 404

    found = assert_single_root_cause(check(registry, "team/app:1.0"), "storage/stale-cache")

    assert found["certainty"] == "proven"
    registry.restart()
    assert_lacks(check(registry, "team/app:1.0"), "storage/stale-cache")
    push_image(registry, "team/app", "1.0")
    assert_healthy(check(registry, "team/app:1.0"))


def test_a_stale_cache_is_seen_from_afar_where_the_config_is_lost(start_registry: StartRegistry) -> None:
    registry = start_registry(config=CACHE)
    image = push_image(registry, "team/app", "1.0")
    assert image.config_digest is not None
    remove_blob(registry, image.config_digest)

    found = assert_single_root_cause(
        run_regdoctor("check", "--plain-http", f"{registry.address}/team/app:1.0", *PLATFORM),
        "storage/stale-cache",
    )

    assert found["certainty"] == "likely"


# Odd and hostile storages


def test_everything_but_a_storage_is_wrong_usage(tmp_path: Path) -> None:
    result = run_regdoctor("fsck", tmp_path)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"{tmp_path} holds no registry's storage" in result.stderr


@pytest.mark.parametrize(
    "below", ["", "docker", "docker/registry", TREE, f"{TREE}/blobs", f"{TREE}/repositories"]
)
def test_any_path_in_or_above_the_tree_leads_to_it(
    registry: Registry, image: PushedImage, below: str
) -> None:
    remove_blob(registry, image.layer_digests[0])

    found = assert_single_root_cause(run_regdoctor("fsck", registry.storage / below), "storage/blob-missing")

    assert str(registry.storage / TREE) in found["detail"]


def test_a_repository_s_folder_stands_for_it_alone(registry: Registry, image: PushedImage) -> None:
    push_image(registry, "other", "1.0", layer_size=77)
    registry.tag_link("other", "1.0").write_text("")

    assert_healthy(run_regdoctor("fsck", registry.repository_path("team/app")))
    assert_single_root_cause(run_regdoctor("fsck", registry.repository_path("other")), "storage/link-broken")


def test_symbolic_links_out_of_the_storage_are_not_followed(
    registry: Registry, image: PushedImage, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sha256:hunter2")
    link = registry.tag_link("team/app", "1.0")
    link.unlink()
    link.symlink_to(secret)

    result = fsck(registry)

    assert result.report["verdict"] == "undetermined"
    assert codes(result.report) == []
    assert "symbolic link" in result.stderr
    assert "hunter2" not in result.stdout + result.stderr


def test_blobs_behind_a_symbolic_link_are_not_called_missing(
    registry: Registry, image: PushedImage, tmp_path: Path
) -> None:
    blobs = registry.storage / TREE / "blobs"
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")

    result = fsck(registry)

    assert result.report["verdict"] == "undetermined"
    assert codes(result.report) == []


@pytest.mark.needs_root
@pytest.mark.parametrize(
    "place", ["blobs/sha256", "repositories/team/app/_layers", "repositories/team/app/_manifests/tags"]
)
def test_what_may_not_be_read_is_said_and_nothing_is_called_missing(
    start_registry: StartRegistry, place: str
) -> None:
    registry = start_registry(user="nobody")
    push_image(registry, "team/app", "1.0")
    folder = registry.storage / TREE / place
    folder.chmod(0)

    result = run_regdoctor("fsck", registry.storage, user="nobody")

    assert result.report["verdict"] == "undetermined"
    assert codes(result.report) == []
    assert "permission denied" in result.stderr


def test_names_that_no_registry_gives_do_no_harm(registry: Registry, image: PushedImage) -> None:
    tree = registry.storage / TREE
    for name in (b"\xff\xfe", b"new\nline", b"\x1b[31mred", b"-rf", "日本".encode(), b"a" * 250):
        folder = os.fsencode(tree / "repositories") + b"/" + name
        Path(os.fsdecode(folder + b"/_manifests/tags/" + name[:100] + b"/current")).mkdir(parents=True)
        (tree / "blobs/sha256" / os.fsdecode(name[:100])).mkdir(parents=True)
    os.mkfifo(tree / "blobs/pipe")
    os.mkfifo(registry.repository_path("team/app") / "_manifests/tags/pipe")
    (tree / "blobs/sha256/zz").mkdir()
    (tree / "blobs/sha256/00/short").mkdir(parents=True)

    result = fsck(registry, "--verify")

    assert result.exit_code == 3
    assert set(codes(result.report)) == {"storage/link-broken"}


def test_a_pipe_in_place_of_a_file_holds_nobody_up(registry: Registry, image: PushedImage) -> None:
    for path in (registry.tag_link("team/app", "1.0"), registry.blob_path(image.layer_digests[0])):
        path.unlink()
        os.mkfifo(path)

    result = run_regdoctor("fsck", registry.storage, "--verify", timeout=30)

    assert_has(result, "storage/link-broken")


def test_a_link_of_many_bytes_is_not_read_to_its_end(registry: Registry, image: PushedImage) -> None:
    with registry.tag_link("team/app", "1.0").open("wb") as file:
        file.truncate(2**40)

    assert_single_root_cause(fsck(registry), "storage/link-broken")


def test_folders_in_folders_end_somewhere(registry: Registry) -> None:
    folder = registry.storage / TREE / "repositories"
    folder.mkdir(parents=True)
    deep = os.open(folder, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("a", dir_fd=deep)
        below = os.open("a", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)

    result = fsck(registry)
    subprocess.run(["rm", "-rf", folder / "a"], check=True)

    assert result.report["verdict"] == "undetermined"
    assert "nested deeper" in result.stderr


# Interrupted and resumed


def test_a_verification_can_be_resumed(registry: Registry, image: PushedImage, tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    corrupt_blob(registry, image.layer_digests[0])

    first = fsck(registry, "--verify", "--resume", note, "--deadline", "0.000001")

    assert first.report["verdict"] == "undetermined"
    assert f"--resume {note}" in first.stderr
    assert note.exists()
    second = fsck(registry, "--verify", "--resume", note)
    assert_single_root_cause(second, "storage/blob-corrupt")
    assert not note.exists()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_ends_the_verification_in_the_middle_of_a_large_blob(
    registry: Registry, image: PushedImage, tmp_path: Path, jobs: str
) -> None:
    """As Ctrl-C does: every process of the terminal gets the signal."""
    note = tmp_path / "note.json"
    large = registry.blob_path(image.layer_digests[0])
    # Holes are read as zeros: this takes minutes to hash, and no space.
    os.truncate(large, 2**38)
    command = command_line(
        ["fsck", str(registry.storage), "--verify", "--resume", str(note), "--jobs", jobs], "json"
    )
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_until(lambda: _is_open(large), "the blob is read")
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)

    assert "ended after" in stderr
    assert f"go on with --resume {note}" in stderr
    assert json.loads(stdout)["verdict"] == "undetermined"
    os.truncate(large, 7)
    second = fsck(registry, "--verify", "--resume", note)
    assert large.parent.name in assert_single_root_cause(second, "storage/blob-corrupt")["detail"]
    assert not note.exists()


def _is_open(path: Path) -> bool:
    """Whether some process has the file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == path:
                return True
        except OSError:
            continue
    return False


def test_a_file_of_another_storage_is_not_resumed_from(
    registry: Registry, image: PushedImage, tmp_path: Path
) -> None:
    note = tmp_path / "note.json"
    for content in (
        "{}",
        "no JSON",
        '{"schema": "regdoctor.fsck-resume/1", "tree": "/x", "begun": 1, "done": {}, "corrupt": []}',
    ):
        note.write_text(content)
        result = fsck(registry, "--verify", "--resume", note)
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        assert note.read_text() == content
