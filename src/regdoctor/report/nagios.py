"""The report as the output of a monitoring plug-in (Monitoring Plugins Development Guidelines).

One line with state, text and performance data, then a line or two for each target. The exit code stays that
of regdoctor: a wrapper maps it where a monitoring system wants 0 to 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from regdoctor.model import Severity, Verdict
from regdoctor.report import layout
from regdoctor.report.counting import counted
from regdoctor.report.escape import short

if TYPE_CHECKING:
    from regdoctor.model import Report
    from regdoctor.report.options import RenderOptions

_STATES: Final = {
    Verdict.HEALTHY: "OK",
    Verdict.DEGRADED: "WARNING",
    Verdict.FAILING: "CRITICAL",
    Verdict.UNDETERMINED: "UNKNOWN",
}
_LONGEST: Final = 500


def render(report: Report, options: RenderOptions) -> bytes:
    """The plug-in output as UTF-8; ``options`` change nothing."""
    del options
    diagnoses = layout.arrange(report)
    if len(report.targets) == 1:
        text = f"{report.targets[0].target}: {layout.headline(diagnoses[0]).title}"
    else:
        text = layout.summary(report)
    output = [f"REGISTRY {_STATES[report.verdict]} - {_text(text)} | {_performance(report)}"]
    for diagnosis in diagnoses:
        head = layout.headline(diagnosis)
        names = ", ".join(target.target for target in (diagnosis.target, *diagnosis.also))
        output.append(_text(f"{_STATES[diagnosis.verdict]}: {names}: {head.title}"))
        output.extend(
            _text(f"{label}: {value}") for label, value in (("Seen", head.seen), ("Do", head.do)) if value
        )
    return ("\n".join(output) + "\n").encode("utf-8")


def _text(text: str) -> str:
    """Text in which nothing begins performance data."""
    return short(text, _LONGEST).replace("|", "¦")


def _performance(report: Report) -> str:
    severities = [finding.severity for target in report.targets for finding in counted(target)]
    values = [f"time={report.duration_ms / 1000:.3f}s;;;0"]
    values.extend(
        f"{name}={sum(each is severity for each in severities)};;;0"
        for name, severity in (("errors", Severity.ERROR), ("warnings", Severity.WARNING))
    )
    return " ".join(values)
