"""Caddyfiles: words and places, sites, snippets and imports."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regdoctor.host.proxyconf.caddyfile import Caddyfile, load, words
from regdoctor.host.proxyconf.files import Files, Unreadable


def caddyfile(folder: Path, text: str) -> Caddyfile:
    path = folder / "Caddyfile"
    path.write_text(text)
    return load(path, Files())


def refused(folder: Path, text: str) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        caddyfile(folder, text)
    return caught.value


class TestWords:
    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("a b # c\nd", ["a", "b", "d"]),
            ('a "b c" `d "e"`', ["a", "b c", 'd "e"']),
            ('a "b \\"c\\""', ["a", 'b "c"']),
            ("a b#c", ["a", "b#c"]),
            ("a <<END\n one\n two\n END\nb", ["a", " one\n two\n", "b"]),
            ("{$HOST:reg.test} {$PORT}", ["reg.test", "{$PORT}"]),
        ],
    )
    def test_are_told_apart_as_caddy_does(self, text: str, wanted: list[str]) -> None:
        assert [each.text for each in words(text, "Caddyfile")] == wanted

    def test_know_their_line_and_column(self) -> None:
        found = words('reg.test {\n\theader  "a\nb" c\n}', "Caddyfile")

        assert [(each.text, each.line, each.column) for each in found[:4]] == [
            ("reg.test", 1, 1),
            ("{", 1, 10),
            ("header", 2, 2),
            ("a\nb", 2, 10),
        ]
        assert found[-1].line == 4

    def test_a_line_goes_on_after_a_backslash(self) -> None:
        assert [each.line for each in words("a \\\n b\nc", "Caddyfile")] == [1, 1, 3]


class TestSites:
    def test_options_and_sites(self, tmp_path: Path) -> None:
        found = caddyfile(
            tmp_path,
            "{\n\tadmin off\n}\nreg.test, reg2.test:8443 {\n\treverse_proxy 127.0.0.1:5000\n}\n:80 {\n}\n",
        )

        assert found.options is not None
        assert [each.name for each in found.options.inside] == ["admin"]
        assert [each.arguments for each in found.sites] == [["reg.test", "reg2.test:8443"], [":80"]]
        assert found.sites[0].inside[0].place == f"{tmp_path}/Caddyfile:5:2"

    def test_addresses_in_several_lines(self, tmp_path: Path) -> None:
        found = caddyfile(tmp_path, "reg.test,\nreg2.test {\n}\n")

        assert [each.arguments for each in found.sites] == [["reg.test", "reg2.test"]]

    def test_a_single_site_without_braces(self, tmp_path: Path) -> None:
        (site,) = caddyfile(
            tmp_path, "reg.test\n\nreverse_proxy 127.0.0.1:5000 {\n\theader_up A b\n}\n"
        ).sites

        assert [each.name for each in site.inside] == ["reverse_proxy"]
        assert [each.name for each in site.inside[0].inside] == ["header_up"]


class TestImports:
    def test_snippets_with_arguments(self, tmp_path: Path) -> None:
        (site,) = caddyfile(
            tmp_path,
            "(limit) {\n\trequest_body {\n\t\tmax_size {args[0]}\n\t}\n}\nreg.test {\n\timport limit 5MB\n}\n",
        ).sites
        limit = site.inside[0].inside[0]

        assert limit.arguments == ["5MB"]
        assert limit.place == f"{tmp_path}/Caddyfile:3:3"

    def test_files_by_a_pattern(self, tmp_path: Path) -> None:
        (tmp_path / "sites").mkdir()
        for name in ("b", "a"):
            (tmp_path / "sites" / f"{name}.caddy").write_text(f"{name}.test {{\n}}\n")
        found = caddyfile(tmp_path, "import sites/*.caddy\n")

        assert [each.arguments for each in found.sites] == [["a.test"], ["b.test"]]

    def test_a_file_within_a_site(self, tmp_path: Path) -> None:
        (tmp_path / "common").write_text("encode gzip\nreverse_proxy 127.0.0.1:5000 {\n\theader_up A b\n}\n")
        (site,) = caddyfile(tmp_path, "reg.test {\n\timport common\n}\n").sites

        assert [each.name for each in site.inside] == ["encode", "reverse_proxy"]
        assert site.inside[1].place == f"{tmp_path}/common:2:1"

    @pytest.mark.parametrize("text", ["import Caddyfile\n", "reg.test {\n\timport Caddyfile\n}\n"])
    def test_circles_of_files_end(self, tmp_path: Path, text: str) -> None:
        assert [each.why for each in caddyfile(tmp_path, text).unread] == ["it imports itself"]

    def test_circles_of_snippets_end(self, tmp_path: Path) -> None:
        found = caddyfile(
            tmp_path, "(a) {\n\timport b\n}\n(b) {\n\timport a\n\tencode gzip\n}\nreg.test {\n\timport a\n}\n"
        )

        assert [each.name for each in found.sites[0].inside] == ["encode"]

    def test_snippets_that_multiply_are_refused(self, tmp_path: Path) -> None:
        names = "abcdefgh"
        text = "".join(f"({name}) {{\n" + f"\timport {chr(ord(name) + 1)}\n" * 10 + "}\n" for name in names)
        problem = refused(tmp_path, f"{text}(i) {{\n\tencode gzip\n}}\nreg.test {{\n\timport a\n}}\n")

        assert problem.why == "more than 50000 directives are not read"

    def test_what_is_no_file_is_a_gap(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        found = caddyfile(tmp_path, "reg.test {\n\timport pipe\n\timport none\n}\n")

        assert [(each.why, each.place) for each in found.unread] == [
            ("not a regular file", f"{tmp_path}/Caddyfile:2:2"),
            ("no such file or directory", f"{tmp_path}/Caddyfile:3:2"),
        ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('reg.test {\n\theader A "b\n}\n', "a quote is never closed"),
        ("reg.test {\n\theader A <<END\nb\n}\n", "a heredoc is never closed"),
        ("reg.test {\n", "a block is never closed"),
        ("reg.test {\n}\n}\n", "a block is closed that was never opened"),
        ("reg.test {\n" + "route {\n" * 3000, "blocks are nested deeper than 40 levels"),
    ],
)
def test_what_caddy_would_not_take(tmp_path: Path, text: str, why: str) -> None:
    assert refused(tmp_path, text).why == why
