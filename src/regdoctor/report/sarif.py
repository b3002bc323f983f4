"""The report as SARIF 2.1.0 (OASIS standard, 27 March 2020), for code scanning."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from regdoctor.model import Severity, Status
from regdoctor.report.escape import line
from regdoctor.report.json import encode

if TYPE_CHECKING:
    from regdoctor.model import CheckResult, Finding, Report, TargetReport
    from regdoctor.report.options import RenderOptions

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render(report: Report, options: RenderOptions) -> bytes:
    """One SARIF run with a result for each finding; ``options`` change nothing."""
    del options
    codes = list(dict.fromkeys(finding.code for target in report.targets for finding in target.findings))
    titles = {finding.code: finding for target in report.targets for finding in reversed(target.findings)}
    broken = [check for target in report.targets for check in target.checks if check.status is Status.ERROR]
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": report.tool.name,
                "version": report.tool.version,
                "rules": [_rule(titles[code]) for code in codes],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not broken,
                "startTimeUtc": report.started_at,
                "toolExecutionNotifications": [_notification(check) for check in broken],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": [
            _result(target, finding, codes.index(finding.code))
            for target in report.targets
            for finding in target.findings
        ],
    }
    return encode({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.code,
        "name": _pascal_case(finding.code),
        "shortDescription": {"text": line(finding.title)},
        "help": {"text": f"regdoctor explain {line(finding.code)} ({line(finding.docs)})"},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
    }


def _pascal_case(code: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^a-z0-9]+", code))


def _notification(check: CheckResult) -> dict[str, Any]:
    return {
        "level": "error",
        "message": {"text": f"the check {check.id} failed to run: {line(check.reason)}"},
    }


def _result(target: TargetReport, finding: Finding, rule: int) -> dict[str, Any]:
    where = finding.host or target.registry or target.target
    text = [f"{line(finding.title)}.", line(finding.detail), *(f"- {line(fix)}" for fix in finding.fix)]
    if finding.reproduce:
        text.append(f"See it yourself: {line(finding.reproduce)}")
    identity = "\n".join((finding.code, target.target, finding.host or "")).encode(
        "utf-8", "backslashreplace"
    )
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "kind": "informational" if finding.severity is Severity.INFO else "fail",
        "message": {"text": "\n".join(text)},
        "locations": _locations(finding, where),
        "partialFingerprints": {"codeTargetHost/v1": hashlib.sha256(identity).hexdigest()},
        "properties": {
            "target": line(target.target),
            "certainty": finding.certainty.value,
            "causedBy": finding.caused_by,
        },
    }
    if finding.severity is Severity.INFO:
        # SARIF 3.27.10: a level other than "none" is for results of the kind "fail".
        result["level"] = "none"
    if finding.suppressed is not None:
        result["suppressions"] = [{"kind": "external", "justification": line(finding.suppressed)}]
    return result


def _locations(finding: Finding, where: str) -> list[dict[str, Any]]:
    """The places in files that the evidence names, else the host as a logical location."""
    logical = {"logicalLocations": [{"fullyQualifiedName": line(where), "kind": "resource"}]}
    if not finding.places:
        return [logical]
    return [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": _uri(place.path)},
                "region": {"startLine": place.line}
                | ({"startColumn": place.column} if place.column is not None else {}),
            },
            **logical,
        }
        for place in finding.places
    ]


def _uri(path: str) -> str:
    """A file URI for an absolute path, a relative reference for another (RFC 3986)."""
    from urllib.parse import quote

    quoted = quote(path, safe="/", errors="backslashreplace")
    return f"file://{quoted}" if path.startswith("/") else quoted
