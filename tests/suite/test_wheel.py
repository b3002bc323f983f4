"""The wheel holds every file of the checks and the templates."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(folder),
            str(source),
        ],
        check=True,
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return frozenset(wheel.namelist())


def shipped(folder: Path, prefix: str) -> set[str]:
    return {
        f"{prefix}/{path.relative_to(folder).as_posix()}"
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".py", ".toml", ".j2", ".css", ".json", ".typed")
    }


@pytest.mark.parametrize(
    ("folder", "prefix"),
    [
        ("checks", "regdoctor/checks"),
        ("reports/templates", "regdoctor/templates"),
        ("src/regdoctor", "regdoctor"),
    ],
)
def test_every_file_is_in_the_wheel(names: frozenset[str], folder: str, prefix: str) -> None:
    assert shipped(ROOT / folder, prefix) - names == set()


def test_nothing_else_is_in_the_wheel(names: frozenset[str]) -> None:
    assert {name for name in names if not name.startswith(("regdoctor/", "regdoctor-"))} == set()
