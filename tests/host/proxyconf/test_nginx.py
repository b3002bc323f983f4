"""nginx's files: words and places, includes, dumps of ``nginx -T``, and what is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regdoctor.host.proxyconf import nginx
from regdoctor.host.proxyconf.files import Files, Unreadable
from regdoctor.host.proxyconf.nginx import Tree, load, parse


def tree(folder: Path, **others: str) -> Tree:
    """The configuration whose main file is ``main``; of other names, ``__`` stands for a folder."""
    for name, text in others.items():
        path = folder / (name.replace("__", "/") + ".conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load(folder / "main.conf", Files())


def refused(text: str) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        parse(text, "nginx.conf")
    return caught.value


class TestWords:
    def test_directives_know_their_line_and_column(self) -> None:
        text = 'http {\n  server { listen 443 ssl;\tserver_name "reg.test"; }\n}\n'
        http = parse(text, "nginx.conf")[0]
        server = http.inside[0]

        assert [each.place for each in (http, server, *server.inside)] == [
            "nginx.conf:1:1",
            "nginx.conf:2:3",
            "nginx.conf:2:12",
            "nginx.conf:2:28",
        ]

    def test_the_same_word_twice_in_a_line_has_two_columns(self) -> None:
        found = parse("deny all; deny all; # deny all;\n'deny' all;", "f")

        assert [(each.line, each.column) for each in found] == [(1, 1), (1, 11), (2, 1)]

    def test_quotes_escapes_and_variables(self) -> None:
        found = parse('a \'one two\' "th\\"ree" fo\\ ur ${five}six; # seven\n', "f")[0]

        assert found.arguments == ["one two", 'th"ree', "fo\\ ur", "${five}six"]

    def test_a_text_of_several_lines(self) -> None:
        first, second = parse("log_format a 'one\n  two'\n  'three';\nlisten 80;", "f")

        assert first.arguments[1] == "one\n  two"
        assert second.place == "f:4:1"

    def test_blocks_of_lua(self) -> None:
        server = parse('server { content_by_lua_block { ngx.say("}") } listen 80; }', "f")[0]

        assert "80" in [each.argument for each in server.inside]

    def test_line_ends_of_windows(self) -> None:
        assert [each.place for each in parse("a b;\r\nc d;\r\n", "f")] == ["f:1:1", "f:2:1"]

    @pytest.mark.parametrize(
        ("text", "why", "place"),
        [
            ("http { listen 80 }", "a directive does not end with ;", "nginx.conf:1:8"),
            ("http {\n ; }", "nothing stands before ;", "nginx.conf:2:2"),
            ("http { server {", 'unexpected end of file, expecting "}"', "nginx.conf:1"),
            ("http { } }", 'unexpected "}"', "nginx.conf:1"),
            ("a 'b;", 'unexpected end of file, expecting "\'"', "nginx.conf:1"),
            ("listen 80", "a directive does not end with ;", "nginx.conf:1:1"),
        ],
    )
    def test_what_nginx_would_not_take(self, text: str, why: str, place: str) -> None:
        problem = refused(text)

        assert problem.why == why
        assert problem.place == place

    def test_depth_is_bounded(self) -> None:
        assert "deeper than 40" in refused("a {" * 5000 + "}" * 5000).why


class TestIncludes:
    def test_files_are_read_in_the_place_of_their_include(self, tmp_path: Path) -> None:
        found = tree(
            tmp_path,
            main="http { include conf.d/*.conf; listen 3; }",
            conf__d="",
            **{"conf.d__b": "listen 2;", "conf.d__a": "listen 1;"},
        )
        http = found.root.inside[0]

        assert [each.argument for each in http.inside] == ["1", "2", "3"]
        assert http.inside[0].place == f"{tmp_path}/conf.d/a.conf:1:1"
        assert found.files == tuple(
            f"{tmp_path}/{name}" for name in ("main.conf", "conf.d/a.conf", "conf.d/b.conf")
        )
        assert found.unread == []

    def test_a_pattern_that_nothing_fits_is_no_gap(self, tmp_path: Path) -> None:
        assert tree(tmp_path, main="http { include none/*.conf; }").unread == []

    def test_a_file_that_is_missing_is_a_gap(self, tmp_path: Path) -> None:
        gap = tree(tmp_path, main="http {\n  include common.inc; }").unread[0]

        assert gap.path == f"{tmp_path}/common.inc"
        assert gap.place == f"{tmp_path}/main.conf:2:3"
        assert gap.why == "no such file or directory"

    @pytest.mark.parametrize("included", ["main.conf", "./main.conf", "link.conf", "other.conf"])
    def test_circles_end(self, tmp_path: Path, included: str) -> None:
        (tmp_path / "link.conf").symlink_to("main.conf")
        found = tree(tmp_path, main=f"http {{ include {included}; listen 80; }}", other="include main.conf;")

        assert [each.why for each in found.unread] == ["it includes itself"]
        assert [each.argument for each in found.root.inside[0].all("listen")] == ["80"]

    def test_what_is_no_file_is_a_gap(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        found = tree(tmp_path, main="http { include pipe; include /dev/zero; }")

        assert [each.why for each in found.unread] == ["not a regular file", "not a regular file"]

    def test_a_broken_file_is_a_gap_with_its_place(self, tmp_path: Path) -> None:
        gap = tree(tmp_path, main="http { include bad.conf; }", bad="server {\n listen 80 }").unread[0]

        assert gap.why == f"a directive does not end with ; ({tmp_path}/bad.conf:2:2)"

    def test_many_directives_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(Unreadable, match="more than 100000 directives"):
            tree(
                tmp_path,
                main="http { include a.conf; }",
                **{name: f"include {then}.conf;" * 20 for name, then in ("ab", "bc", "cd", "de")},
                e="a b;" * 20,
            )

    def test_names_of_files_that_set_nothing_here(self) -> None:
        harmless = ("mime.types", "fastcgi_params", "snippets/ssl-params.conf", "options-ssl-nginx.conf")

        assert all(nginx.sets_nothing_here(f"/etc/nginx/{name}") for name in harmless)
        assert not nginx.sets_nothing_here("/etc/nginx/proxy_params")


class TestParts:
    """A file of ``conf.d`` by itself."""

    PART = "server { listen 443 ssl; location / { proxy_pass http://127.0.0.1:5000; } }"

    def test_is_read_with_the_configuration_around_it(self, tmp_path: Path) -> None:
        (tmp_path / "conf.d").mkdir()
        (tmp_path / "nginx.conf").write_text("http { client_max_body_size 5m; include conf.d/*.conf; }")
        part = tmp_path / "conf.d" / "registry.conf"
        part.write_text(self.PART)
        found = load(part, Files())

        assert found.root.file == str(tmp_path / "nginx.conf")
        assert str(part) in found.files
        assert found.fragment is None

    def test_says_that_what_is_around_is_not_known(self, tmp_path: Path) -> None:
        part = tmp_path / "registry.conf"
        part.write_text(self.PART)

        assert "is a part of a configuration" in (load(part, Files()).fragment or "")


class TestDumps:
    """The output of ``nginx -T``."""

    def dump(self, folder: Path) -> Path:
        path = folder / "dump.txt"
        path.write_text(
            "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n"
            "nginx: configuration file /etc/nginx/nginx.conf test is successful\n"
            "# configuration file /etc/nginx/nginx.conf:\n"
            "http {\n"
            "    include /etc/nginx/conf.d/*.conf;\n"
            "    include missing.inc;\n"
            "}\n"
            "\n"
            "# configuration file /etc/nginx/conf.d/registry.conf:\n"
            "server {\n"
            "    listen 443 ssl;\n"
            "}\n"
        )
        return path

    def test_places_are_those_of_the_files(self, tmp_path: Path) -> None:
        found = load(self.dump(tmp_path), Files())
        server = found.root.inside[0].inside[0]

        assert server.place == "/etc/nginx/conf.d/registry.conf:1:1"
        assert server.inside[0].place == "/etc/nginx/conf.d/registry.conf:2:5"

    def test_files_of_this_host_are_not_read(self, tmp_path: Path) -> None:
        found = load(self.dump(tmp_path), Files())

        assert [(each.path, each.why) for each in found.unread] == [
            ("/etc/nginx/missing.inc", "the dump does not have it")
        ]
