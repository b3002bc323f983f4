"""Files that cannot be read say why, and what it would take."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from regdoctor.facts.client import Flaw
from regdoctor.host.settings_files import is_there, read_bytes, read_text


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter."""
    with TemporaryDirectory(prefix="open-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def as_nobody(code: str, path: Path) -> str:
    """What Python code prints as another user; ``path`` is known to it."""
    program = (
        "import os; from pathlib import Path; from regdoctor.host.settings_files import *; "
        f"path = Path({str(path)!r}); os.setgroups([]); os.setgid(65534); os.setuid(65534); {code}"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.needs_root
def test_a_file_of_somebody_else_names_who_may_read_it(open_folder: Path) -> None:
    path = open_folder / "file"
    path.write_text("x")
    path.chmod(0o640)

    said = as_nobody("print(read_bytes(path).message)", path)

    assert said == (
        f"it cannot be read: Permission denied; {path} belongs to root and has mode 0640: run regdoctor as root"
    )


@pytest.mark.needs_root
def test_a_folder_that_may_not_be_entered_is_what_is_named(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    os.chown(closed, 1, 1)
    (closed / "file").write_text("x")

    said = as_nobody("print(is_there(path), read_bytes(path).message)", closed / "file")

    assert said.startswith("True it cannot be read: Permission denied;")
    assert said.endswith(f"{closed} belongs to daemon and has mode 0700: run regdoctor as daemon or root")


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")

    for name, words in (
        ("pipe", "it is not a regular file"),
        ("loop", "it cannot be read: Too many levels of symbolic links"),
        (".", "it is a folder"),
        ("none", "it does not exist"),
        ("x" * 300, "it cannot be read: File name too long"),
    ):
        flaw = read_bytes(tmp_path / name)
        assert isinstance(flaw, Flaw)
        assert flaw.message == words


def test_what_is_not_utf_8_says_where(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first\nse\xe9cond\n")

    flaw = read_text(path)

    assert isinstance(flaw, Flaw)
    assert (flaw.line, flaw.column, flaw.message) == (2, 3, "it is not UTF-8 text (byte 0xe9)")


def test_what_is_missing_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert is_there(tmp_path / "file")
    assert not is_there(tmp_path / "none")
    assert not is_there(tmp_path / "file" / "below")
