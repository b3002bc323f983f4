"""What the exit codes mean: the same for every command and every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from regdoctor.model import Report
    from regdoctor.report.options import FailOn

OK: Final = 0
"""Nothing at or above ``--fail-on``."""
FAILED: Final = 1
"""regdoctor itself failed."""
USAGE: Final = 2
"""Wrong usage."""
ERRORS: Final = 3
"""An error finding, or nothing known to ``explain``."""
WARNINGS: Final = 4
"""A warning finding, with ``--fail-on warning``."""
INTERRUPTED: Final = 130
"""Ended by SIGINT, as shells write it: 128 and the signal's number."""


def of_report(report: Report, fail_on: FailOn) -> int:
    """The exit code of a run; a check that failed to run counts where no finding decides."""
    from regdoctor.model import Severity, Status
    from regdoctor.report.counting import fails

    severities = {
        finding.severity
        for target in report.targets
        for finding in target.findings
        if fails(finding, fail_on)
    }
    if Severity.ERROR in severities:
        return ERRORS
    if severities:
        return WARNINGS
    broken = any(check.status is Status.ERROR for target in report.targets for check in target.checks)
    return FAILED if broken else OK
