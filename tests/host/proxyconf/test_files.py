"""Reading of configuration files: everything bounded, and why something is not read is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regdoctor.host.proxyconf import files
from regdoctor.host.proxyconf.files import Files, Unreadable


def reason(path: Path | str) -> str:
    with pytest.raises(Unreadable) as caught:
        Files().text(str(path))
    return caught.value.why


def test_a_text_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text("one")
    found = Files()
    assert found.text(str(path)) == "one"
    path.write_text("two")

    assert found.text(str(path)) == "one"
    assert found.read_so_far == (str(path),)


def test_bytes_of_other_encodings_stay_as_marks(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"# Gr\xfc\xdfe\n")

    assert Files().text(str(path)) == "# Gr��e\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [("x".encode("utf-16"), "it is UTF-16, which the proxy cannot read"), (b"a\0b", "it is not a text")],
)
def test_what_is_no_text(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(content)

    assert reason(path) == why


def test_a_mark_of_utf_8_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"\xef\xbb\xbfhttp {}")

    assert Files().text(str(path)) == "http {}"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert reason(tmp_path / "pipe") == "not a regular file"
    assert reason("/dev/zero") == "not a regular file"
    assert reason(tmp_path) == "it is a folder"
    assert reason(tmp_path / "none") == "no such file or directory"
    assert reason("a\0b")


def test_a_link_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")

    assert "symbolic links" in reason(tmp_path / "a")


def test_all_files_together_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "large.conf"
    path.write_bytes(b"#" * (files.MOST_BYTES + 1))
    assert reason(path) == "more than 4 MiB of configuration are not read"
    half = [tmp_path / name for name in ("a", "b", "c")]
    for each in half:
        each.write_bytes(b"#" * (files.MOST_BYTES // 2))
    found = Files()
    found.text(str(half[0]))
    found.text(str(half[1]))
    with pytest.raises(Unreadable):
        found.text(str(half[2]) if half[2].stat().st_size else "")


def test_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    found = Files()
    for number in range(files.MOST_FILES):
        path = tmp_path / f"{number}"
        path.write_text("x")
        found.text(str(path))
    with pytest.raises(Unreadable, match="more than 500 files"):
        found.text(str(tmp_path / "one more"))


def test_patterns_are_expanded_as_the_shell_does(tmp_path: Path) -> None:
    for name in ("sites/b.conf", "sites/a.conf", "sites/.hidden.conf", "sites/c.txt", "other/d.conf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")

    assert files.expand(f"{tmp_path}/sites/*.conf") == [
        f"{tmp_path}/sites/a.conf",
        f"{tmp_path}/sites/b.conf",
    ]
    assert files.expand(f"{tmp_path}/*/[cd].*") == [f"{tmp_path}/other/d.conf", f"{tmp_path}/sites/c.txt"]
    assert files.expand(f"{tmp_path}/none/*") == []
    assert files.expand(f"{tmp_path}/{'*' * 600}") == []


def test_where_an_included_file_may_lie(tmp_path: Path) -> None:
    main = tmp_path / "copy" / "nginx" / "nginx.conf"

    assert files.places(main, "conf.d/a.conf")[0] == str(main.parent / "conf.d/a.conf")
    assert str(main.parent / "conf.d/a.conf") in files.places(main, "/etc/nginx/conf.d/a.conf")
    assert files.places(Path("/etc/nginx/nginx.conf"), "/etc/nginx/conf.d/a.conf") == [
        "/etc/nginx/conf.d/a.conf"
    ]
