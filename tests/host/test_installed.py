"""Programs of this host are asked for their versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.host.installed import installed_version, parse_version


@pytest.mark.parametrize(
    ("text", "major", "minor"),
    [
        ("Docker version 20.10.24+dfsg1, build 5d6db84", 20, 10),
        ("containerd github.com/containerd/containerd/v2 v2.1.4 abc", 2, 1),
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", 1, 6),
    ],
)
def test_the_first_version_counts(text: str, major: int, minor: int) -> None:
    found = parse_version(text)

    assert found is not None
    assert (found.major, found.minor) == (major, minor)


def test_what_names_no_version_has_none(tmp_path: Path) -> None:
    program = tmp_path / "odd"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)

    assert installed_version("odd", {"PATH": str(tmp_path)}, 5) is None
    assert installed_version("none-such", {"PATH": str(tmp_path)}, 5) is None


def test_a_program_that_hangs_is_left(tmp_path: Path) -> None:
    program = tmp_path / "slow"
    program.write_text("#!/bin/sh\necho 1.2.3\nexec sleep 60\n")
    program.chmod(0o755)

    found = installed_version("slow", {"PATH": f"{tmp_path}:/bin:/usr/bin"}, 0.5)

    assert found is None or found.major == 1
