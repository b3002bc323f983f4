"""The report as metrics in the Prometheus text format 0.0.4, for the node exporter's textfile collector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from regdoctor.model import Severity, Status, Verdict
from regdoctor.report.counting import counted
from regdoctor.report.escape import line

if TYPE_CHECKING:
    from regdoctor.model import Report
    from regdoctor.report.options import RenderOptions

    Samples = Iterable[tuple[Mapping[str, str], float]]


def render(report: Report, options: RenderOptions) -> bytes:
    """Gauges for the run, each target's verdict, its checks and its findings; ``options`` change nothing."""
    del options
    targets = {line(target.target): target for target in report.targets}
    started = datetime.fromisoformat(report.started_at).timestamp()
    findings = Counter(
        (
            name,
            line(each.code),
            each.severity.value,
            each.certainty.value,
            line(each.host or ""),
            _role(each.caused_by),
        )
        for name, target in targets.items()
        for each in counted(target)
    )
    families = [
        _family(
            "regdoctor_build_info",
            "The version that made this report.",
            [({"version": report.tool.version}, 1)],
        ),
        _family("regdoctor_run_timestamp_seconds", "When the run began, Unix time.", [({}, started)]),
        _family(
            "regdoctor_run_duration_seconds", "How long the run took.", [({}, report.duration_ms / 1000)]
        ),
        _family(
            "regdoctor_target_verdict",
            "1 for the verdict that the target has, 0 for the others.",
            [
                (
                    {"target": name, "registry": line(target.registry or ""), "verdict": verdict.value},
                    float(target.verdict is verdict),
                )
                for name, target in targets.items()
                for verdict in Verdict
            ],
        ),
        _family(
            "regdoctor_target_findings",
            "Findings of the target by severity, suppressed ones left out.",
            [
                (
                    {"target": name, "severity": severity.value},
                    sum(each.severity is severity for each in counted(target)),
                )
                for name, target in targets.items()
                for severity in Severity
            ],
        ),
        _family(
            "regdoctor_finding",
            "Findings by code; role is cause, or symptom where another finding explains it.",
            [
                (
                    dict(
                        zip(("target", "code", "severity", "certainty", "host", "role"), labels, strict=True)
                    ),
                    number,
                )
                for labels, number in findings.items()
            ],
        ),
        _family(
            "regdoctor_check_status",
            "1 for the status that the check ended with, 0 for the others.",
            [
                (
                    {"target": name, "check": line(check.id), "status": status.value},
                    float(check.status is status),
                )
                for name, target in targets.items()
                for check in target.checks
                for status in Status
            ],
        ),
        _family(
            "regdoctor_check_duration_seconds",
            "How long the probes of the check took.",
            [
                ({"target": name, "check": line(check.id)}, check.duration_ms / 1000)
                for name, target in targets.items()
                for check in target.checks
            ],
        ),
    ]
    return "".join(families).encode("utf-8")


def _role(caused_by: str | None) -> str:
    return "cause" if caused_by is None else "symptom"


def _family(name: str, meaning: str, samples: Samples) -> str:
    head = f"# HELP {name} {meaning}\n# TYPE {name} gauge\n"
    return head + "".join(f"{name}{_labels(labels)} {value!r}\n" for labels, value in samples)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
