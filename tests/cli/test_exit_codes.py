"""The exit codes of the contract, the same for every format."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from regdoctor.cli.exit_codes import of_report
from regdoctor.model import Report, Status, Verdict
from regdoctor.report.formats import MODULES
from regdoctor.report.options import FailOn
from tests.cli.conftest import Invoke, Run
from tests.report import examples

EXPECTED = {
    "healthy": (0, 0, 0),
    "degraded": (0, 4, 0),
    "failing": (3, 3, 0),
    "two causes": (3, 3, 0),
    "several": (3, 3, 0),
    "hostile": (3, 3, 1),  # a check of it failed to run as well
    "undetermined": (0, 0, 0),
    "broken check": (1, 1, 1),
    "suppressed": (0, 0, 0),
}
"""By outcome: the exit code with --fail-on error, warning and never."""


@pytest.mark.parametrize("format_", MODULES)
@pytest.mark.parametrize("outcome", examples.OUTCOMES)
@pytest.mark.parametrize("fail_on", list(FailOn))
def test_the_code_does_not_depend_on_the_format(
    invoke: Invoke, run_of: Callable[[Report], Run], format_: str, outcome: str, fail_on: FailOn
) -> None:
    run_of(examples.OUTCOMES[outcome]())
    result = invoke("check", "reg.test", "--format", format_, "--fail-on", fail_on.value)
    assert result.exit_code == EXPECTED[outcome][list(FailOn).index(fail_on)]
    assert result.stdout_bytes


def test_an_error_outranks_a_check_that_failed_to_run() -> None:
    checks = (examples.check("tls", Status.FAIL), examples.check("acme", Status.ERROR, reason="KeyError"))
    report = examples.report(
        examples.target(verdict=Verdict.FAILING, findings=(examples.EXPIRED,), checks=checks)
    )
    assert of_report(report, FailOn.ERROR) == 3


def test_a_warning_does_not_hide_that_a_check_failed_to_run() -> None:
    checks = (examples.check("tls", Status.WARN), examples.check("acme", Status.ERROR, reason="KeyError"))
    report = examples.report(
        examples.target(verdict=Verdict.DEGRADED, findings=(examples.WEAK_KEY,), checks=checks)
    )
    assert of_report(report, FailOn.ERROR) == 1
    assert of_report(report, FailOn.WARNING) == 4
