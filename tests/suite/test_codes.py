"""Every code is catalogued, documented, and, once a rule detects it, proved on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.catalogue import docs_page
from regdoctor.engine.registry import CheckRegistry, load_checks

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def registry() -> CheckRegistry:
    return load_checks()


def built_in(registry: CheckRegistry) -> list[str]:
    return [code for check in registry.checks if check.distribution == "regdoctor" for code in check.codes]


def test_every_code_of_the_contract_is_catalogued(registry: CheckRegistry) -> None:
    rows = (ROOT / "tests" / "data" / "codes.tsv").read_text().splitlines()[1:]
    contract = {row.split("\t")[0]: row.split("\t")[1] for row in rows}

    assert {code: registry.catalogue[code].severity.value for code in built_in(registry)} == contract


def test_every_code_has_its_place_in_the_docs(registry: CheckRegistry) -> None:
    missing = []
    for code in built_in(registry):
        page, _, anchor = docs_page(code).partition("#")
        text = (ROOT / page).read_text()
        if code not in text or anchor not in text.replace("/", "-"):
            missing.append(code)

    assert missing == []


def test_every_detected_code_is_named_by_a_fault_test(registry: CheckRegistry) -> None:
    faults = "\n".join(path.read_text() for path in sorted((ROOT / "tests" / "faults").glob("test_*.py")))
    unproved = [
        code for code in built_in(registry) if code in registry.detected and f'"{code}"' not in faults
    ]

    assert unproved == []


def test_every_area_with_a_rule_has_a_healthy_twin(registry: CheckRegistry) -> None:
    silent = []
    for check in registry.checks:
        if check.distribution == "regdoctor" and check.rules:
            path = ROOT / "tests" / "faults" / f"test_{check.id}.py"
            if not path.exists() or "assert_healthy" not in path.read_text():
                silent.append(check.id)

    assert silent == []
