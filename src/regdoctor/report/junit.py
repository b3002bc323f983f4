"""The report as JUnit XML: a test suite for each target, a test case for each check.

The dialect is that of the Jenkins xunit plug-in's ``junit-10.xsd``, which CI systems share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from regdoctor.model import Status
from regdoctor.report.counting import fails
from regdoctor.report.escape import line, lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regdoctor.model import CheckResult, Finding, Report, TargetReport
    from regdoctor.report.options import FailOn, RenderOptions


def render(report: Report, options: RenderOptions) -> bytes:
    """The report as UTF-8 XML; a check fails where one of its findings makes the run fail."""
    suites = [_suite(report, target, options.fail_on) for target in report.targets]
    root = ET.Element(
        "testsuites",
        {
            "name": report.tool.name,
            **{
                count: str(sum(int(suite.attrib[count]) for suite in suites))
                for count in ("tests", "failures", "errors", "skipped")
            },
            "time": _seconds(report.duration_ms),
        },
    )
    root.extend(suites)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(report: Report, target: TargetReport, fail_on: FailOn) -> ET.Element:
    cases = [
        _case(target, check, [each for each in target.findings if each.check == check.id], fail_on)
        for check in target.checks
    ]
    suite = ET.Element(
        "testsuite",
        {
            "name": line(target.target),
            "tests": str(len(cases)),
            "failures": _number(cases, "failure"),
            "errors": _number(cases, "error"),
            "skipped": _number(cases, "skipped"),
            "time": _seconds(sum(check.duration_ms for check in target.checks)),
            "timestamp": report.started_at.partition(".")[0].removesuffix("Z"),
        },
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("verdict", target.verdict.value),
        ("registry", target.registry),
        ("repository", target.repository),
        ("reference", target.reference),
    ):
        if value is not None:
            ET.SubElement(properties, "property", {"name": name, "value": line(value)})
    suite.extend(cases)
    return suite


def _number(cases: Sequence[ET.Element], outcome: str) -> str:
    return str(sum(case.find(outcome) is not None for case in cases))


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"


def _case(
    target: TargetReport, check: CheckResult, findings: Sequence[Finding], fail_on: FailOn
) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": line(target.target),
            "name": f"{check.id}: {line(check.title)}",
            "time": _seconds(check.duration_ms),
        },
    )
    failing = [each for each in findings if fails(each, fail_on)]
    rest = [each for each in findings if each not in failing]
    if failing:
        first = failing[0]
        failure = ET.SubElement(case, "failure", {"message": line(first.title), "type": line(first.code)})
        failure.text = "\n\n".join(_text(finding) for finding in failing)
    elif check.status is Status.ERROR:
        error = ET.SubElement(case, "error", {"message": line(check.reason), "type": "check"})
        error.text = "\n".join(lines(check.traceback))
    elif check.status is Status.SKIP:
        ET.SubElement(case, "skipped", {"message": line(check.reason)})
    if rest:
        ET.SubElement(case, "system-out").text = "\n\n".join(_text(finding) for finding in rest)
    return case


def _text(finding: Finding) -> str:
    parts = [
        f"{finding.severity.value} {line(finding.code)}: {line(finding.title)}",
        *([f"suppressed: {line(finding.suppressed)}"] if finding.suppressed is not None else []),
        line(finding.detail),
        *(f"{number}. {line(fix)}" for number, fix in enumerate(finding.fix, start=1)),
    ]
    if finding.reproduce:
        parts.append(f"see it yourself: {line(finding.reproduce)}")
    return "\n".join(parts)
