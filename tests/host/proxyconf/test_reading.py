"""One reader for all four programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.facts import FileKind
from regdoctor.host.proxyconf import Unreadable, read

SERVER = "server { server_name NAME; location / { proxy_pass http://127.0.0.1:5000; } }\n"


def test_other_files_are_none_of_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no reverse proxy"):
        read(tmp_path / "config.yml", FileKind.REGISTRY)


@pytest.mark.parametrize("kind", [FileKind.NGINX, FileKind.HAPROXY, FileKind.TRAEFIK, FileKind.CADDY])
def test_a_missing_file_is_unreadable(tmp_path: Path, kind: FileKind) -> None:
    with pytest.raises(Unreadable, match="no such file"):
        read(tmp_path / "none", kind)


@pytest.mark.parametrize("kind", [FileKind.NGINX, FileKind.HAPROXY, FileKind.TRAEFIK, FileKind.CADDY])
def test_an_empty_file_has_no_ways(tmp_path: Path, kind: FileKind) -> None:
    path = tmp_path / "empty.yml"
    path.write_text("")

    assert read(path, kind).routes == ()


def test_of_a_part_that_was_named_only_its_own_ways_count(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    for name in ("a", "b"):
        (tmp_path / "conf.d" / f"{name}.conf").write_text(SERVER.replace("NAME", f"{name}.test"))
    (tmp_path / "nginx.conf").write_text("http { include conf.d/*.conf; }")
    found = read(tmp_path / "conf.d" / "a.conf", FileKind.NGINX)

    assert [each.names for each in found.routes] == [("a.test",)]
    assert len(read(tmp_path / "nginx.conf", FileKind.NGINX).routes) == 2
