"""The options that dockerd is started with, by its unit's files."""

from __future__ import annotations

from pathlib import Path

from regdoctor.host.daemon_flags import daemon_flags
from regdoctor.host.systemd_units import service_lines

UNIT = "lib/systemd/system/docker.service"


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def flags(root: Path) -> dict[str, str]:
    """The flags of a host on which no daemon runs, with their places."""
    found = daemon_flags(root=root, proc=root / "proc")
    return {each.value: each.place for each in found.flags} if found is not None else {}


def test_a_unit_names_the_flags(tmp_path: Path) -> None:
    write(
        tmp_path,
        UNIT,
        "[Unit]\nExecStart=/nothing\n[Service]\nExecStart=/usr/sbin/dockerd -H fd:// --debug=true \\\n"
        "  --insecure-registry reg.test:5000 -D\n",
    )

    found = flags(tmp_path)

    assert set(found) == {"host", "debug", "insecure-registry"}


def test_a_drop_in_takes_back_what_stood_before(tmp_path: Path) -> None:
    write(tmp_path, UNIT, "[Service]\nExecStart=/usr/sbin/dockerd --debug\n")
    write(
        tmp_path,
        "etc/systemd/system/docker.service.d/override.conf",
        "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd --mtu 1400\n",
    )

    assert set(flags(tmp_path)) == {"mtu"}


def test_a_host_without_docker_has_none(tmp_path: Path) -> None:
    assert daemon_flags(root=tmp_path, proc=tmp_path / "proc") is None


def test_lines_of_a_unit_are_joined_and_comments_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.service"
    path.write_text("[Service]\n# no\n; no\nA=1 \\\n 2\nB = 3\n[Install]\nC=4\n")

    assert list(service_lines(path)) == [("A", "1   2"), ("B", "3")]
