"""Hashing every blob, and going on where an earlier run was ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regdoctor.facts.storage import StorageContent
from regdoctor.host.storage import ResumeError, check_resume, read_everything, request
from regdoctor.host.storage.hashing import look_at_bytes
from regdoctor.host.storage.verify import SCHEMA, progress
from tests.support.storage_tree import StorageTree


@pytest.fixture
def tree(tmp_path: Path) -> StorageTree:
    made = StorageTree(tmp_path / "storage")
    for number in range(300):
        made.blob(b"%d" % number)
    return made


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "note.json"


def verify(tree: StorageTree, note: Path | None = None, blobs: int = 10**9) -> StorageContent:
    """Hashes, and stops after about so many blobs."""
    told: list[str] = []
    return read_everything(
        tree.root,
        request(jobs=1, verify=True, resume=note, tell=told.append, stop=lambda: _hashed(told) >= blobs),
    )


def _hashed(told: list[str]) -> int:
    seen = [int(each.partition(" of ")[0].replace(",", "")) for each in told if " of " in each]
    return max(seen, default=0)


def test_all_is_hashed_once(tree: StorageTree) -> None:
    found = verify(tree).verification

    assert found is not None
    assert (found.blobs, found.earlier, found.complete) == (300, 0, True)
    assert found.size == sum(len(str(number)) for number in range(300))


def test_an_ended_run_goes_on_where_it_was(tree: StorageTree, note: Path) -> None:
    first = verify(tree, note, blobs=100).verification
    assert first is not None
    assert not first.complete
    assert 100 <= first.blobs < 300
    assert json.loads(note.read_text())["schema"] == SCHEMA

    second = verify(tree, note).verification

    assert second is not None
    assert second.complete
    assert second.earlier > 0
    assert second.blobs + second.earlier == 300
    assert not note.exists()


def test_what_changed_since_and_what_was_wrong_is_hashed_again(tree: StorageTree, note: Path) -> None:
    blobs = sorted(tree.path.rglob("data"))
    mended, damaged = blobs[0], blobs[1]
    content = mended.read_bytes()
    mended.write_bytes(b"?")
    first = verify(tree, note, blobs=200)
    assert [each.path for each in first.corrupt] == [str(mended.relative_to(tree.path))]
    mended.write_bytes(content)
    damaged.write_bytes(b"?")

    second = verify(tree, note)

    assert [each.path for each in second.corrupt] == [str(damaged.relative_to(tree.path))]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"schema": "other"}',
        '{"schema": "regdoctor.fsck-resume/1", "tree": 1, "begun": "x"}',
    ],
)
def test_other_files_are_left_alone(tree: StorageTree, note: Path, content: str) -> None:
    note.write_text(content)

    with pytest.raises(ResumeError, match="was not written by"):
        verify(tree, note)

    assert note.read_text() == content


def test_a_note_belongs_to_one_storage(tree: StorageTree, note: Path, tmp_path: Path) -> None:
    verify(tree, note, blobs=10)
    other = StorageTree(tmp_path / "other")
    other.blob(b"x")

    with pytest.raises(ResumeError, match="belongs to"):
        check_resume(other.root, note)


def test_a_note_that_cannot_be_written_is_said_at_once(tree: StorageTree, tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="cannot be written"):
        check_resume(tree.root, tmp_path / "none" / "note.json")


def test_progress_says_how_long_it_takes() -> None:
    assert progress(500, 2000, 1024**3, 4 * 1024**3, 10) == (
        "500 of 2,000 blobs, 1.0 GiB of 4.0 GiB, 102.4 MiB/s, 30 s left"
    )
    assert progress(0, 2000, 0, 4 * 1024**4, 0).endswith("0 bytes/s")


# One blob


def look(path: Path, digits: str) -> object:
    return look_at_bytes(str(path), f"sha256:{digits}", "below")


def test_right_bytes_are_no_finding(tree: StorageTree) -> None:
    digits = tree.blob(b"x" * 3_000_000)

    assert look(tree.blob_path(digits), digits) is None


def test_wrong_bytes_are_one_with_what_they_are(tree: StorageTree) -> None:
    digits, other = tree.blob(b"x"), tree.blob(b"y")

    found = look_at_bytes(str(tree.blob_path(other)), f"sha256:{digits}", "below", expected_size=3)

    assert found is not None
    assert (found.digest, found.seen) == (f"sha256:{digits}", f"sha256:{other}")
    assert (found.size, found.expected_size, found.path) == (1, 3, "below")


def test_what_has_gone_is_none(tree: StorageTree, tmp_path: Path) -> None:
    assert look(tmp_path / "none", "0" * 64) is None


@pytest.mark.needs_root
def test_bytes_that_the_disk_does_not_give_are_one() -> None:
    # The first page of a process's memory is never there: reading it is an I/O error.
    found = look_at_bytes("/proc/self/mem", f"sha256:{'0' * 64}", "mem")

    assert found is not None
    assert found.seen is None
    assert found.problem == "input/output error"
