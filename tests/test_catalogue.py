"""The catalogue says of every code what it means and what to do, and refuses texts that contradict."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regdoctor.catalogue import (
    LADDER,
    MAX_TITLE,
    PLACEHOLDERS,
    Catalogue,
    CatalogueError,
    Code,
    docs_page,
    load,
    placeholders,
)
from regdoctor.symptoms import normalise

ROOT = Path(__file__).resolve().parents[1]
BUILT_IN = [f"regdoctor.checks.{area}" for area in LADDER]
CATALOGUE = load(BUILT_IN)
CODES = list(CATALOGUE.codes.values())


def contract() -> list[dict[str, str]]:
    with (ROOT / "tests" / "data" / "codes.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def failures(code: Code) -> set[str]:
    """The ids of known failures that an entry names among its sources."""
    listed = [source.removeprefix("failures: ") for source in code.sources if source.startswith("failures: ")]
    return {failure.strip() for group in listed for failure in group.split(",")}


class TestBuiltIn:
    def test_the_order_of_areas_names_every_check_package(self) -> None:
        assert sorted(LADDER) == sorted(path.parent.name for path in ROOT.glob("checks/*/__init__.py"))

    def test_the_codes_are_those_of_the_contract_and_no_others(self) -> None:
        assert set(CATALOGUE.codes) == {row["code"] for row in contract()}

    @pytest.mark.parametrize("row", contract(), ids=lambda row: row["code"])
    def test_an_entry_has_the_severity_and_the_failures_of_the_contract(self, row: dict[str, str]) -> None:
        code = CATALOGUE[row["code"]]
        wanted = {failure.strip() for failure in row["failures"].split(",")} - {"-"}

        assert (code.severity.value, wanted - failures(code)) == (row["severity"], set())

    def test_every_failure_named_is_one_of_the_contract(self) -> None:
        known = {failure.strip() for row in contract() for failure in row["failures"].split(",")}

        assert {failure for code in CODES for failure in failures(code)} - known == set()

    def test_an_entry_stands_in_the_file_of_its_area(self) -> None:
        assert [code.code for code in CODES if code.code.partition("/")[0] != code.area] == []

    @pytest.mark.parametrize("code", CODES, ids=lambda code: code.code)
    def test_a_title_is_one_short_sentence(self, code: Code) -> None:
        assert len(code.title) <= MAX_TITLE
        first = code.title.split()[0]
        assert first[0].isupper() or set(first) & set("./-'"), (
            "only the name of a file or key begins in lower case"
        )
        assert not code.title.endswith((".", " "))

    @pytest.mark.parametrize("code", CODES, ids=lambda code: code.code)
    def test_fix_and_reproduce_can_be_filled(self, code: Code) -> None:
        values = dict.fromkeys(placeholders("".join((*code.fix, code.reproduce))), "VALUE")
        filled = [text.format(**values) for text in (*code.fix, code.reproduce)]

        assert all(filled)
        assert not any("{host}" in text or "{address}" in text for text in filled)

    def test_the_commands_that_reproduce_are_sound_shell(self) -> None:
        values = dict.fromkeys(PLACEHOLDERS, "VALUE")
        script = "\n".join(code.reproduce.format(**values) for code in CODES)

        checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)

        assert (checked.returncode, checked.stderr) == (0, "")

    @pytest.mark.parametrize("code", CODES, ids=lambda code: code.code)
    def test_following_the_causes_of_a_code_never_leads_back_to_it(self, code: Code) -> None:
        reached: set[str] = set()
        ahead = set(code.explained_by)
        while ahead:
            cause = ahead.pop()
            reached.add(cause)
            ahead |= set(CATALOGUE[cause].explained_by) - reached

        assert code.code not in reached

    @pytest.mark.parametrize(
        ("symptom", "cause"),
        [
            ("tls/expired", "clock/client-skew"),
            ("tls/not-yet-valid", "clock/client-skew"),
            ("auth/token-rejected", "auth/token-key-untrusted"),
            ("auth/token-rejected", "clock/registry-skew"),
            ("http/server-error", "disk/full"),
            ("http/server-error", "disk/not-writable"),
            ("push/storage-failure", "disk/inodes-exhausted"),
            ("tcp/refused", "ports/not-listening"),
            ("tcp/refused", "ports/loopback-only"),
            ("tcp/refused", "tcp/wrong-port"),
            ("dns/name-not-found", "auth/realm-unreachable"),
            ("tls/unknown-authority", "auth/realm-unreachable"),
            ("tcp/filtered", "image/blob-host-unreachable"),
            ("image/blob-missing", "storage/blob-missing"),
            ("push/location-scheme", "proxyconf/forwarded-proto"),
            ("push/body-too-large", "proxyconf/body-size"),
            ("ports/not-listening", "config/syntax"),
        ],
    )
    def test_a_symptom_is_folded_under_its_cause(self, symptom: str, cause: str) -> None:
        assert cause in CATALOGUE[symptom].explained_by

    def test_a_symptom_is_listed_once_for_a_code(self) -> None:
        repeated = {
            (code.code, symptom)
            for code in CODES
            for symptom in code.symptoms
            if [normalise(each) for each in code.symptoms].count(normalise(symptom)) > 1
        }

        assert repeated == set()

    def test_an_expiry_message_that_names_the_time_leads_to_the_clock_as_well(self) -> None:
        text = "x509: certificate has expired or is not yet valid: current time … is before"

        assert {code.code for code in CODES if text in code.symptoms} == {
            "tls/not-yet-valid",
            "clock/client-skew",
        }


def test_the_page_of_a_code_is_the_section_of_its_area() -> None:
    assert docs_page("tls/expired") == "docs/codes/tls.md#tls-expired"


ENTRY = '''
["{code}"]
title = "A thing is broken"
severity = "error"
meaning = """It means
  this."""
fix = ["mend {{host}}", "then look again"]
reproduce = "curl {{url}}/v2/ -w '%{{{{http_code}}}}'"
symptoms = ["thing is broken"]
explained_by = []
decides = "a look at it"
sources = ["RFC 9110"]
'''
AREA = '[area]\ntitle = "Things"\nsummary = "Looks at things."\n'

WritePackage = Callable[[str, str | None], str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WritePackage]:
    """Writes a check package with the given ``findings.toml``, as a third party would ship it."""
    names: list[str] = []

    def write(name: str, text: str | None) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        if text is not None:
            (folder / "findings.toml").write_text(text)
        names.append(name)
        return name

    monkeypatch.syspath_prepend(str(tmp_path))
    yield write
    for name in names:
        sys.modules.pop(name, None)


def entry(code: str = "thing/broken", *changes: tuple[str, str]) -> str:
    text = ENTRY.format(code=code)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


class TestThirdParty:
    def test_a_package_of_another_distribution_is_read_the_same_way(self, package: WritePackage) -> None:
        catalogue = load([package("thing_checks", AREA + entry())])

        assert catalogue.areas[0].title == "Things"
        assert catalogue.areas[0].package == "thing_checks"
        assert catalogue.areas[0].codes == ("thing/broken",)
        assert catalogue["thing/broken"].meaning == "It means this."
        assert "thing/broken" in catalogue
        assert "thing/other" not in catalogue

    def test_it_may_name_built_in_causes(self, package: WritePackage) -> None:
        text = AREA + entry("thing/broken", ("explained_by = []", 'explained_by = ["disk/full"]'))

        catalogue = load([*BUILT_IN, package("thing_checks", text)])

        assert catalogue["thing/broken"].explained_by == ("disk/full",)

    def test_the_order_is_that_of_packages_and_files(self, package: WritePackage) -> None:
        first = package("first_checks", AREA + entry("b/two") + entry("b/one"))
        second = package("second_checks", AREA + entry("a/one"))

        catalogue: Catalogue = load([first, second])

        assert list(catalogue.codes) == ["b/two", "b/one", "a/one"]
        assert [area.name for area in catalogue.areas] == ["first_checks", "second_checks"]

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            (None, "cannot be read"),
            ("[area", "is not TOML"),
            (entry(), "[area]"),
            (AREA.replace("summary", "summery") + entry(), "[area]"),
            (AREA + entry("thing/broken", ("decides", "decide")), "thing/broken: "),
            (AREA + entry("thing/broken", ('title = "A thing is broken"\n', "")), "thing/broken: "),
            (AREA + entry("thing/broken", ('"error"', '"fatal"')), "thing/broken: "),
            (AREA + entry("thing/broken", ("mend {host}", "mend {machine}")), "thing/broken: fix: {machine}"),
            (AREA + entry("thing/broken", ("mend {host}", "mend {host!r}")), "thing/broken: fix: {host}"),
            (AREA + entry("thing/broken", ("mend {host}", "mend {host")), "thing/broken: fix: "),
            (AREA + entry("thing/broken", ("{{http_code}}", "{http_code}")), "thing/broken: reproduce: "),
            (AREA + entry("thing/broken", ("A thing", "{host}")), "thing/broken: title: "),
            (AREA + entry("thing/broken", ('broken"\nsev', 'broken."\nsev')), "thing/broken: title: "),
            (AREA + entry("thing/broken", ("A thing", "A " + "very " * 20)), "thing/broken: title: "),
            (AREA + entry("thing/broken", ('"mend {host}", "then look again"', "")), "thing/broken: fix: "),
            (AREA + entry("thing/broken", ('"then look again"', '"x",' * 5)), "thing/broken: fix: "),
            (AREA + entry("thing/broken", ("then look again", "then\\nlook")), "thing/broken: fix: "),
            (AREA + entry("thing/broken", ('"thing is broken"', '"…"')), "thing/broken: symptoms: "),
            (AREA + entry("thing/broken", ("a look at it", "")), "thing/broken: decides: "),
            (AREA + entry("thing/broken", ('"RFC 9110"', "")), "thing/broken: sources: "),
            (AREA + entry("Thing/Broken"), "Thing/Broken: "),
            (AREA + entry("broken"), "broken: "),
            (
                AREA + entry("thing/broken", ("explained_by = []", 'explained_by = ["thing/lost"]')),
                "thing/broken: explained_by names thing/lost",
            ),
            (
                AREA + entry("thing/broken", ("explained_by = []", 'explained_by = ["thing/broken"]')),
                "thing/broken: explained_by leads in a circle",
            ),
        ],
    )
    def test_what_is_wrong_is_named_with_file_and_code(
        self, package: WritePackage, text: str | None, complaint: str
    ) -> None:
        name = package("thing_checks", text)

        with pytest.raises(CatalogueError) as caught:
            load([name])

        assert "thing_checks/findings.toml" in str(caught.value)
        assert complaint in str(caught.value)

    def test_a_code_of_two_packages_is_refused(self, package: WritePackage) -> None:
        names = [package("thing_checks", AREA + entry()), package("more_checks", AREA + entry())]

        with pytest.raises(CatalogueError, match=r"more_checks/findings.toml: thing/broken: .*thing_checks"):
            load(names)

    def test_a_circle_of_causes_is_refused_and_shown(self, package: WritePackage) -> None:
        text = AREA + "".join(
            entry(code, ("explained_by = []", f'explained_by = ["{cause}"]'))
            for code, cause in (("a/one", "a/two"), ("a/two", "a/three"), ("a/three", "a/one"))
        )

        with pytest.raises(CatalogueError, match=r"leads in a circle: a/.* -> a/.* -> a/"):
            load([package("thing_checks", text)])

    def test_a_package_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(CatalogueError, match=r"no_such_checks/findings\.toml cannot be read"):
            load(["no_such_checks"])
