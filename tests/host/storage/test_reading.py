"""Reading a storage, written by hand, to one fact."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regdoctor.facts.storage import MOST_LISTED, BlobPart, Garbage, LinkFault, LinkKind, StorageContent
from regdoctor.host.storage import NoStorage, check_storage, crew, read_everything, read_one, request
from regdoctor.host.storage.crew import Helpers, fork_helpers
from tests.support.images import OCI_INDEX, OCI_MANIFEST
from tests.support.storage_tree import StorageTree


@pytest.fixture
def tree(tmp_path: Path) -> StorageTree:
    return StorageTree(tmp_path / "storage")


@pytest.fixture(params=["alone", "threads", "processes"])
def helped(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Helpers]]:
    """The ways in which work is shared out, each made to happen on a small storage."""
    monkeypatch.setattr("regdoctor.host.storage.reading.WORTHWHILE", 1)
    if request.param == "threads":
        monkeypatch.setattr("regdoctor.host.storage.reading.SLOW_LOOK", 0.0)
    if request.param == "processes":
        # The test runner may have threads of its own, which do no harm to what these helpers do.
        monkeypatch.setattr(crew, "_threads", lambda: 1)
    with fork_helpers(3 if request.param == "processes" else 0) as helpers:
        assert len(helpers.all) == (3 if request.param == "processes" else 0)
        yield lambda: helpers


def read(tree: StorageTree, helpers: Helpers | None = None, **options: object) -> StorageContent:
    return read_everything(tree.root, request(jobs=3, helpers=helpers, **options))  # type: ignore[arg-type]


def test_numbers_are_those_of_the_storage(tree: StorageTree, helped: Callable[[], Helpers]) -> None:
    for number in range(40):
        tree.image(f"team{number % 4}/app{number % 8}", f"v{number}", [b"base", b"%d" % number])
    children = [tree.image("multi", None, [b"base", bytes([number])]) for number in range(3)]
    tree.index("multi", "1.0", children)

    content = read(tree, helped(), verify=True)

    assert (content.repositories, content.tags, content.manifests) == (9, 41, 44)
    # One base, 43 other layers, 43 configs, 43 manifests and the index.
    assert content.blobs == 1 + 43 + 43 + 43 + 1
    assert content.size == sum(path.stat().st_size for path in tree.path.rglob("data"))
    assert content.verification is not None
    assert content.verification.blobs == content.blobs
    assert content.verification.complete
    assert content.complete
    assert (content.links, content.lost, content.corrupt, content.unread) == ((), (), (), ())
    assert content.garbage is not None
    assert (content.garbage.blobs, content.garbage.untagged_blobs, content.garbage.platform_blobs) == (
        0,
        0,
        6,
    )
    uses = {each.repository: (each.tags, each.manifests, each.untagged) for each in content.uses}
    assert len(uses) == 9
    assert uses["multi"] == (1, 4, 3)
    assert uses["team0/app0"] == (5, 5, 0)


def test_damage_is_found_however_the_work_is_shared_out(
    tree: StorageTree, helped: Callable[[], Helpers]
) -> None:
    images = [tree.image(f"app{number}", "1.0", [b"base", b"%d" % number]) for number in range(30)]
    tree.tag_link("app1", "1.0").write_text("")
    tree.blob_path(images[2].layers[1]).unlink()
    tree.blob_path(images[3].layers[1]).write_bytes(b"?")
    tree.blob_path(images[4].config).write_bytes(b"")
    tree.layer_link("app5", images[5].layers[0]).unlink()

    content = read(tree, helped(), verify=True)

    assert [(each.repository, each.kind, each.fault) for each in content.links] == [
        ("app1", LinkKind.TAG, LinkFault.EMPTY),
        ("app5", LinkKind.LAYER, LinkFault.MISSING),
    ]
    assert [(each.repository, each.part, each.needed_by) for each in content.lost] == [
        ("app2", BlobPart.LAYER, ("1.0",))
    ]
    assert {each.digest: each.needed_by for each in content.corrupt} == {
        f"sha256:{images[3].layers[1]}": ("app3:1.0",),
        f"sha256:{images[4].config}": ("app4:1.0",),
    }


def test_a_helper_that_is_killed_is_done_without(tree: StorageTree, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        tree.image(f"app{number}", "1.0", [b"%d" % number])
    monkeypatch.setattr("regdoctor.host.storage.reading.WORTHWHILE", 1)
    monkeypatch.setattr(crew, "_threads", lambda: 1)
    with fork_helpers(2) as helpers:

        def kill(message: str) -> None:
            if "repository 50" in message:
                for helper in helpers.all:
                    os.kill(helper.pid, signal.SIGKILL)

        content = read(tree, helpers, tell=kill)

    assert (content.repositories, content.tags) == (100, 100)
    assert content.complete
    assert not content.lost


def test_layers_that_several_tags_lack_are_named_once_with_these(tree: StorageTree) -> None:
    for number in range(8):
        image = tree.image("app", f"v{number}", [b"base", b"%d" % number])
    tree.blob_path(image.layers[0]).unlink()

    (lost,) = read(tree).lost

    assert lost.digest == f"sha256:{image.layers[0]}"
    assert len(lost.needed_by) == 5
    assert set(lost.needed_by) <= {f"v{number}" for number in range(8)}


def test_what_only_untagged_manifests_lack_is_needed_by_nobody(tree: StorageTree) -> None:
    image = tree.image("app", None, [b"layer"])
    tree.blob_path(image.layers[0]).unlink()

    (lost,) = read(tree).lost

    assert lost.needed_by == ()
    assert lost.manifest == f"sha256:{image.manifest}"


def test_indexes_in_indexes_are_followed(tree: StorageTree) -> None:
    image = tree.image("app", None, [b"layer"])
    inner = tree.index("app", None, [image])
    entry = {
        "mediaType": OCI_INDEX,
        "digest": f"sha256:{inner}",
        "size": tree.blob_path(inner).stat().st_size,
    }
    tree.manifest("app", "1.0", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
    tree.blob_path(image.layers[0]).unlink()

    assert read(tree).lost[0].needed_by == ("1.0",)


def test_an_index_that_lists_itself_ends(tree: StorageTree) -> None:
    # No digest can be met by its own content: such an index stands under a wrong one.
    digits = "0" * 64
    entry = {"mediaType": OCI_INDEX, "digest": f"sha256:{digits}", "size": 1}
    path = tree.blob_path(digits)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"schemaVersion": 2, "manifests": [entry] * 50}))
    StorageTree.write_link(tree.revision_link("app", digits), digits)
    StorageTree.write_link(tree.tag_link("app", "1.0"), digits)

    assert [each.digest for each in read(tree).corrupt] == [f"sha256:{digits}"]


def test_a_manifest_of_impossible_size_is_not_read(tree: StorageTree) -> None:
    image = tree.image("app", "1.0", [b"layer"])
    with tree.blob_path(image.manifest).open("r+b") as file:
        file.truncate(2**33)

    content = read(tree, stop=lambda: False)

    assert content.garbage is None


def test_a_blob_that_was_pushed_by_sha512_is_no_loss(tree: StorageTree) -> None:
    import hashlib

    layer = b"layer"
    digits, long = tree.blob(layer), hashlib.sha512(layer).hexdigest()
    config = tree.blob(b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"digest": f"sha256:{config}", "size": 2},
        "layers": [{"digest": f"sha512:{long}", "size": len(layer)}],
    }
    tree.manifest("app", "1.0", json.dumps(manifest).encode())
    StorageTree.write_link(tree.layer_link("app", config), config)
    alias = tree.repository("app") / "_layers/sha512" / long / "link"
    StorageTree.write_link(alias, digits)
    StorageTree.write_link(tree.layer_link("app", digits), digits)

    content = read(tree)

    assert (content.lost, content.links) == ((), ())


def test_what_could_be_freed_is_that_of_garbage_collection(tree: StorageTree) -> None:
    kept = tree.image("app", "1.0", [b"shared", b"own"])
    old = tree.image("app", None, [b"shared", b"x" * 1000])
    unused = tree.blob(b"y" * 100)
    StorageTree.write_link(tree.layer_link("other", unused), unused)
    nobody = tree.blob(b"z" * 10)
    for path in tree.path.rglob("data"):
        os.utime(path, (1, 1))

    content = read(tree)

    only_old = sum(tree.blob_path(digits).stat().st_size for digits in (old.manifest, old.config)) + 1000
    assert [
        (each.repository, each.garbage.size, each.garbage.untagged_size)
        for each in content.uses
        if each.garbage is not None
    ] == [
        ("app", 0, only_old),
        ("other", 100, 0),
        (None, 10, 0),
    ]
    assert content.garbage == Garbage(blobs=2, size=110, untagged_blobs=3, untagged_size=only_old)
    assert content.recent_size == 0
    assert nobody not in kept.layers


def test_blobs_of_the_last_hour_are_told_apart(tree: StorageTree) -> None:
    tree.image("app", "1.0", [b"layer"])
    tree.blob(b"just uploaded")

    assert read(tree).recent_size == len(b"just uploaded")


@pytest.mark.parametrize("spoil", ["unread", "unparsed", "scope"])
def test_nothing_could_be_freed_where_not_everything_is_known(tree: StorageTree, spoil: str) -> None:
    tree.image("app", "1.0", [b"layer"])
    tree.blob(b"unused")
    path = tree.root
    if spoil == "unread":
        (tree.repository("app") / "_layers/sha256" / ("0" * 64)).symlink_to("/nowhere")
    elif spoil == "unparsed":
        tree.manifest("app", "odd", b"no manifest")
    else:
        path = tree.repository("app")

    assert read_everything(path, request()).garbage is None


def test_lists_are_bounded_and_everything_is_counted(tree: StorageTree) -> None:
    image = tree.image("app", "1.0", [b"layer"])
    for number in range(MOST_LISTED + 50):
        StorageTree.write_link(tree.tag_link("app", f"v{number}"), image.manifest)
        tree.tag_link("app", f"v{number}").write_text("")

    content = read(tree)

    assert len(content.links) == MOST_LISTED
    assert content.links_seen == MOST_LISTED + 50


def test_a_link_that_is_being_written_is_no_finding(tree: StorageTree) -> None:
    image = tree.image("app", "1.0", [b"layer"])
    link = tree.tag_link("app", "1.0")
    link.write_text("")
    # Written before the second look, which comes once everything was read.
    mended = threading.Timer(0.05, lambda: link.write_text(f"sha256:{image.manifest}"))
    mended.start()

    content = read(tree)
    mended.join()

    assert content.links == ()


def test_reading_ends_when_told(tree: StorageTree) -> None:
    tree.image("app", "1.0", [b"layer"])

    content = read(tree, stop=lambda: True, verify=True)

    assert not content.complete
    assert (content.links, content.lost, content.corrupt, content.garbage) == ((), (), (), None)


def test_one_image_is_read_alone(tree: StorageTree) -> None:
    image = tree.image("app", "1.0", [b"layer"])
    other = tree.image("app", "2.0", [b"other"])
    tree.blob_path(other.layers[0]).unlink()
    tree.tag_link("app", "2.0").write_text("")

    for reference in ({"tag": "1.0", "digest": None}, {"tag": None, "digest": f"sha256:{image.manifest}"}):
        content = read_one(tree.root, "app", **reference, request=request())
        assert content is not None
        assert content.scope == "app"
        assert (content.links, content.lost, content.corrupt) == ((), (), ())
        assert content.dangling == (f"sha256:{other.layers[0]}",)


def test_an_image_that_is_not_in_storage_is_none(tree: StorageTree) -> None:
    tree.image("app", "1.0", [b"layer"])

    assert read_one(tree.root, "app", tag="2.0", digest=None, request=request()) is None
    assert read_one(tree.root, "none", tag="1.0", digest=None, request=request()) is None
    assert read_one(tree.root, "app", tag=None, digest=f"sha256:{'0' * 64}", request=request()) is None


def test_the_folder_of_another_kind_is_no_storage(tmp_path: Path) -> None:
    with pytest.raises(NoStorage, match="holds no registry's storage"):
        check_storage(tmp_path)
    with pytest.raises(NoStorage):
        read_everything(tmp_path, request())
    with pytest.raises(NoStorage):
        read_one(tmp_path, "app", tag="1.0", digest=None, request=request())
