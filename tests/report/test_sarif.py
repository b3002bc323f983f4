"""The SARIF report follows the standard's required structure (SARIF 2.1.0, section 3)."""

import json
from typing import Any

import pytest

from regdoctor.model import Report
from regdoctor.report.options import RenderOptions
from regdoctor.report.sarif import render
from tests.report import examples


def run(report: Report) -> dict[str, Any]:
    document = json.loads(render(report, RenderOptions()))
    assert document["version"] == "2.1.0"
    (only,) = document["runs"]
    return dict(only)


@pytest.mark.parametrize("outcome", examples.OUTCOMES)
def test_results_point_at_their_rules(outcome: str) -> None:
    found = run(examples.OUTCOMES[outcome]())
    rules = found["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in found["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        assert result["locations"]


def test_levels_follow_severities() -> None:
    found = run(examples.failing())
    levels = {result["ruleId"]: (result["kind"], result["level"]) for result in found["results"]}
    assert levels["tls/expired"] == ("fail", "error")
    assert levels["tls/weak-key"] == ("fail", "warning")
    assert levels["security/anonymous-pull"] == ("informational", "none")


def test_a_place_in_a_file_becomes_a_physical_location() -> None:
    result = run(examples.two_causes())["results"][1]
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "file:///etc/docker/registry/config.yml"},
        "region": {"startLine": 14},
    }
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "auth.test:8443"


def test_a_finding_keeps_its_fingerprint_when_its_values_change() -> None:
    def fingerprint(**changes: Any) -> str:
        report = examples.report(examples.target(findings=(examples.finding(**changes),)))
        return str(run(report)["results"][0]["partialFingerprints"])

    assert fingerprint(detail="53 days ago") == fingerprint(detail="54 days ago")
    assert fingerprint() != fingerprint(host="other.test:5000")


def test_suppressed_findings_are_suppressed_results() -> None:
    (result,) = run(examples.suppressed())["results"]
    assert result["suppressions"] == [{"kind": "external", "justification": "lab registry"}]


def test_a_check_that_failed_to_run_is_told() -> None:
    (invocation,) = run(examples.broken_check())["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "acme" in invocation["toolExecutionNotifications"][0]["message"]["text"]
