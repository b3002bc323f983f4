"""A registry's log that ends with its not being able to listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.host.listen_log import LARGEST, read_refusal

REFUSED = (
    'time="2026-11-23T12:00:00Z" level=fatal msg="listen tcp :443: bind: permission denied" version=2.8.2'
)
IN_USE = '{"level":"fatal","msg":"listen tcp 127.0.0.1:5000: bind: address already in use"}'
LISTENS = 'time="2026-11-23T12:00:01Z" level=info msg="listening on [::]:5000"'


def log(folder: Path, *lines: str) -> Path:
    path = folder / "registry.log"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_last_refusal_counts(tmp_path: Path) -> None:
    found = read_refusal(log(tmp_path, "start", REFUSED, "", IN_USE, "end"))
    assert found is not None
    assert (found.line, found.address, found.reason) == (4, "127.0.0.1:5000", "address already in use")


def test_a_registry_at_work_takes_it_back(tmp_path: Path) -> None:
    assert read_refusal(log(tmp_path, IN_USE, LISTENS)) is None
    assert read_refusal(log(tmp_path, LISTENS, IN_USE)) is not None


@pytest.mark.parametrize(
    "line",
    ["", "dial tcp 10.0.0.1:5000: connect: connection refused", "listen tcp: bind: address already in use"],
)
def test_other_lines_are_none(tmp_path: Path, line: str) -> None:
    assert read_refusal(log(tmp_path, line)) is None


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    found = read_refusal(log(tmp_path, "x" * 100, *["y" * 1000] * (LARGEST // 1000), REFUSED))
    assert found is not None
    assert found.line is None


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        read_refusal(tmp_path)
