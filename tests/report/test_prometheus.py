"""The metrics parse, and say what the report says."""

from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from regdoctor.model import Report
from regdoctor.report.options import RenderOptions
from regdoctor.report.prometheus import render
from tests.report import examples

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(report: Report) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(render(report, RenderOptions()).decode("utf-8")):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} stands twice"
            found[key] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    (only,) = (
        number for (metric, pairs), number in found.items() if metric == name and set(labels.items()) <= pairs
    )
    return only


@pytest.mark.parametrize("outcome", examples.OUTCOMES)
def test_every_target_has_one_verdict(outcome: str) -> None:
    report = examples.OUTCOMES[outcome]()
    found = samples(report)
    holding = Counter(
        dict(pairs)["target"]
        for (name, pairs), number in found.items()
        if name == "regdoctor_target_verdict" and number
    )
    assert set(holding.values()) == {1}


def test_findings_are_counted_by_code_and_by_severity() -> None:
    found = samples(examples.failing())
    assert value(found, "regdoctor_finding", code="tls/expired", role="cause", severity="error") == 1
    assert value(found, "regdoctor_finding", code="auth/realm-unreachable", role="symptom") == 1
    assert value(found, "regdoctor_target_findings", severity="error") == 2
    assert value(found, "regdoctor_target_findings", severity="warning") == 2


def test_findings_that_differ_in_their_values_alone_are_one_series() -> None:
    twice = (examples.finding("f1", detail="one"), examples.finding("f2", detail="two"))
    found = samples(examples.report(examples.target(findings=twice)))
    assert value(found, "regdoctor_finding", code="tls/expired") == 2


def test_suppressed_findings_do_not_count() -> None:
    found = samples(examples.suppressed())
    assert value(found, "regdoctor_target_findings", severity="error") == 0
    assert not [name for name, _ in found if name == "regdoctor_finding"]


def test_checks_have_a_status_and_a_duration_in_seconds() -> None:
    found = samples(examples.failing())
    assert value(found, "regdoctor_check_status", check="tls", status="fail") == 1
    assert value(found, "regdoctor_check_status", check="tls", status="pass") == 0
    assert value(found, "regdoctor_check_duration_seconds", check="tls") == 0.018
    assert value(found, "regdoctor_run_timestamp_seconds") == 1795403232.345
