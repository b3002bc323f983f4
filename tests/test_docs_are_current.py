"""The pages under ``docs/codes`` are what the catalogue says today."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.catalogue import LADDER, Catalogue, docs_page, load
from tools import generate_docs


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load([f"regdoctor.checks.{area}" for area in LADDER])


def test_every_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_docs.main(["--check"]) == 0, capsys.readouterr().out


def test_a_changed_lacking_or_surplus_page_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate_docs, "ROOT", tmp_path)
    monkeypatch.setattr(generate_docs, "FOLDER", tmp_path / "docs" / "codes")
    assert generate_docs.main([]) == 0
    assert generate_docs.main(["--check"]) == 0
    changed, lacking, surplus = (tmp_path / "docs" / "codes" / f"{name}.md" for name in ("tls", "dns", "old"))
    changed.write_text(changed.read_text() + "more")
    lacking.unlink()
    surplus.write_text("an area that is gone")

    assert generate_docs.main(["--check"]) == 1

    named = {line.partition(" ")[0] for line in capsys.readouterr().out.splitlines()}
    assert named == {"docs/codes/tls.md", "docs/codes/dns.md", "docs/codes/old.md"}
    assert generate_docs.main([]) == 0
    assert generate_docs.main(["--check"]) == 0
    assert not surplus.exists()


def test_another_argument_is_refused() -> None:
    assert generate_docs.main(["--force"]) == 2


class TestPages:
    def test_each_code_has_its_anchor_on_the_page_that_findings_point_to(self, catalogue: Catalogue) -> None:
        pages = generate_docs.render(catalogue, frozenset())

        for code in catalogue.codes:
            path, _, anchor = docs_page(code).partition("#")
            assert f'<a id="{anchor}"></a>' in pages[generate_docs.ROOT / path]

    def test_the_index_links_every_code(self, catalogue: Catalogue) -> None:
        index = generate_docs.render(catalogue, frozenset())[generate_docs.FOLDER / "README.md"]

        assert [code for code in catalogue.codes if f"[{code}](" not in index] == []

    def test_a_code_is_planned_until_a_rule_detects_it(self, catalogue: Catalogue) -> None:
        page = generate_docs.render(catalogue, frozenset({"tls/expired"}))[generate_docs.FOLDER / "tls.md"]
        statuses = {
            line.split("|")[1].split("]")[0].strip(" ["): line.split("|")[3].strip()
            for line in page.splitlines()
            if line.startswith("| [tls/")
        }

        assert statuses["tls/expired"] == "detected"
        assert set(statuses.values()) == {"detected", "planned"}
        assert list(statuses.values()).count("detected") == 1

    def test_place_holders_are_shown_in_angle_brackets(self) -> None:
        assert generate_docs.show("curl {url}/v2/ -w '%{{http_code}}'") == "curl <url>/v2/ -w '%{http_code}'"

    def test_text_is_shown_as_it_is_and_not_as_markdown_or_html(self) -> None:
        assert generate_docs.escape("<host> *.test a_b [x] `y` & ~/$z") == (
            r"\<host\> \*.test a\_b \[x\] \`y\` &amp; \~/\$z"
        )
