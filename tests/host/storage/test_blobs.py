"""Which blobs there are: the table, and single looks."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regdoctor.host.storage.blobs import ABSENT, UNKNOWN, BlobLooks, BlobTable, fill, is_gone, make_layout
from regdoctor.host.storage.shards import CHANGED, RECENT, Shard, list_shards, read_shard
from tests.support.storage_tree import StorageTree

SHA512 = hashlib.sha512(b"long").hexdigest()


def read(tree: StorageTree, since: float | None = None) -> BlobTable:
    folder = str(tree.path / "blobs")
    listed = list_shards(folder)
    parts = []
    for name, numbers in sorted(listed.found.items()):
        shards = [read_shard(folder, name, byte, time.time(), since) for byte in numbers]
        unknown = {byte for byte, shard in zip(numbers, shards, strict=True) if shard.unknown}
        parts.append((name, shards, unknown | listed.not_found[name]))
    layout = make_layout(folder, parts, frozenset(listed.unknown))
    return fill(layout, bytearray(layout.length), [shard for _, shards, _ in parts for shard in shards])


@pytest.fixture
def tree(tmp_path: Path) -> StorageTree:
    return StorageTree(tmp_path)


def test_every_blob_is_found_with_its_size(tree: StorageTree) -> None:
    contents = [b"x" * number for number in range(1, 300)]
    stored = [tree.blob(content) for content in contents]
    tree.blob(b"long", "sha512")

    table = read(tree)

    assert len(table) == 300
    assert [table.sizes[table.find("sha256", digits)] for digits in stored] == list(range(1, 300))
    assert table.sizes[table.find("sha512", SHA512)] == 4
    assert sum(table.sizes) == sum(range(1, 300)) + 4


def test_what_is_not_there_is_absent(tree: StorageTree) -> None:
    digits = tree.blob(b"x")
    table = read(tree)

    for other in (f"{digits[:-1]}{'0' if digits[-1] != '0' else '1'}", "0" * 64, "f" * 64):
        assert table.find("sha256", other) == ABSENT
    assert table.find("sha512", SHA512) == ABSENT


def test_positions_lead_back_to_digests(tree: StorageTree) -> None:
    stored = sorted(tree.blob(bytes([number])) for number in range(200))
    table = read(tree)

    found = [
        table.encoded(algorithm, position)
        for algorithm, byte, positions in table.shards()
        for position in positions
        if table.encoded(algorithm, position).startswith(f"{byte:02x}")
    ]

    assert found == stored


@settings(deadline=None)
@given(st.lists(st.binary(min_size=32, max_size=32), unique=True, max_size=60))
def test_digests_that_share_their_first_bytes_are_told_apart(digests: Sequence[bytes]) -> None:
    same = sorted(b"\x00\x01" + digest[2:] for digest in digests)
    same = sorted(set(same))
    shard = Shard(digests=b"".join(same), seen=bytes(len(same)))
    shard.sizes.extend(range(len(same)))
    layout = make_layout("blobs", [("sha256", [shard], set())], frozenset())
    table = fill(layout, bytearray(layout.length), [shard])

    assert [table.find("sha256", digest.hex()) for digest in same] == list(range(len(same)))


def test_a_folder_without_its_file_is_no_blob(tree: StorageTree) -> None:
    digits = tree.blob(b"x")
    tree.blob_path(digits).unlink()

    assert read(tree).find("sha256", digits) == ABSENT
    assert BlobLooks(str(tree.path / "blobs")).find("sha256", digits) == ABSENT


def test_a_folder_in_place_of_the_file_is_no_blob(tree: StorageTree) -> None:
    digits = tree.blob(b"x")
    tree.blob_path(digits).unlink()
    tree.blob_path(digits).mkdir()

    assert read(tree).find("sha256", digits) == ABSENT
    assert is_gone(str(tree.blob_path(digits)))


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4])
def test_nobody_can_say_what_lies_behind_a_symbolic_link(
    tree: StorageTree, tmp_path_factory: pytest.TempPathFactory, level: int
) -> None:
    digits = tree.blob(b"x")
    place = [tree.blob_path(digits), *tree.blob_path(digits).parents][level]
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "moved"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)

    looks = BlobLooks(str(tree.path / "blobs"))

    assert read(tree).find("sha256", digits) == UNKNOWN
    assert looks.find("sha256", digits) == UNKNOWN
    assert "symbolic link" in looks.unread[0].why


def test_names_in_the_wrong_folder_are_none(tree: StorageTree) -> None:
    digits = tree.blob(b"x")
    wrong = tree.path / "blobs/sha256/00" / digits / "data"
    wrong.parent.mkdir(parents=True)
    wrong.touch()
    for name in (digits.upper(), digits[:10], f" {digits[1:]}", "x" * 64):
        (tree.path / "blobs/sha256" / digits[:2] / name).mkdir()

    assert len(read(tree)) == 1


def test_young_and_changed_blobs_are_marked(tree: StorageTree) -> None:
    old, young = tree.blob(b"old"), tree.blob(b"young")
    os.utime(tree.blob_path(old), (1, 1))
    table = read(tree, since=time.time() + 60)

    assert table.seen[table.find("sha256", old)] == 0
    assert table.seen[table.find("sha256", young)] == RECENT
    # The time of the last change counts: that of the content can be set to anything.
    assert read(tree, since=time.time() - 60).seen[table.find("sha256", old)] == CHANGED


def test_empty_blobs_are_listed_but_for_the_one_that_may_be(tree: StorageTree) -> None:
    tree.blob(b"")
    digits = tree.blob(b"x")
    tree.blob_path(digits).write_bytes(b"")

    shards = [
        read_shard(str(tree.path / "blobs"), "sha256", byte, 0, None)
        for byte in list_shards(str(tree.path / "blobs")).found["sha256"]
    ]

    assert [digest for shard in shards for digest in shard.empty] == [f"sha256:{digits}"]


def test_the_table_takes_49_bytes_a_blob(tree: StorageTree) -> None:
    for number in range(1000):
        tree.blob(str(number).encode())

    table = read(tree)

    assert table.layout.length - 1 == 1000 * (32 + 8 + 4 + 5)
