"""Recognising a storage by any path in or around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.host.storage.root import find_tree
from tests.support.storage_tree import StorageTree


@pytest.fixture
def tree(tmp_path: Path) -> StorageTree:
    made = StorageTree(tmp_path / "root")
    made.image("team/app", "1.0", [b"layer"])
    return made


@pytest.mark.parametrize(
    "below", [".", "docker", "docker/registry", "docker/registry/v2", "docker/registry/v2/blobs/sha256"]
)
def test_folders_on_the_way_stand_for_everything(tree: StorageTree, below: str) -> None:
    found = find_tree(tree.root / below)

    assert found is not None
    assert (found.root, found.path, found.scope) == (tree.root, tree.path, None)


@pytest.mark.parametrize(
    ("below", "scope"),
    [
        ("repositories", None),
        ("repositories/team", "team"),
        ("repositories/team/app", "team/app"),
        ("repositories/team/app/_manifests/tags/1.0", "team/app"),
    ],
)
def test_folders_below_repositories_stand_for_these(tree: StorageTree, below: str, scope: str | None) -> None:
    found = find_tree(tree.path / below)

    assert found is not None
    assert (found.root, found.scope) == (tree.root, scope)


def test_a_symbolic_link_to_a_storage_that_the_caller_names_is_followed(
    tree: StorageTree, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tree.root)

    assert find_tree(tmp_path / "link") == find_tree(tree.root)


@pytest.mark.parametrize("name", ["nothing", "file", "empty", "empty\0name"])
def test_anything_else_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty/docker/registry/v2").mkdir(parents=True)

    assert find_tree(tmp_path / name) is None


def test_either_half_of_a_storage_is_one(tmp_path: Path) -> None:
    (tmp_path / "docker/registry/v2/repositories").mkdir(parents=True)

    assert find_tree(tmp_path) is not None


def test_the_root_of_a_process_is_not_resolved_to_that_of_this_host(tree: StorageTree) -> None:
    path = Path("/proc/self/root") / tree.root.relative_to("/")

    found = find_tree(path)

    assert found is not None
    assert found.root == path


def test_caches_and_databases_are_known_by_their_files(tree: StorageTree) -> None:
    found = find_tree(tree.root)
    assert found is not None
    assert (found.is_cache, found.has_database) == (False, False)

    (tree.root / "scheduler-state.json").touch()
    (tree.path.parent / "lockfiles").mkdir()
    (tree.path.parent / "lockfiles/database-in-use").touch()

    assert (found.is_cache, found.has_database) == (True, True)
