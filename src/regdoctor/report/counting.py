"""Which findings count, and which of them make a run fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regdoctor.model import Severity
from regdoctor.report.options import FailOn

if TYPE_CHECKING:
    from regdoctor.model import Finding, TargetReport


def counted(target: TargetReport) -> tuple[Finding, ...]:
    """The findings of a target that the caller has not set aside."""
    return tuple(finding for finding in target.findings if finding.suppressed is None)


def fails(finding: Finding, fail_on: FailOn) -> bool:
    """Whether a finding makes the run fail under ``--fail-on``; a suppressed one never does."""
    if fail_on is FailOn.NEVER or finding.suppressed is not None:
        return False
    return finding.severity is Severity.ERROR or (
        fail_on is FailOn.WARNING and finding.severity is Severity.WARNING
    )
