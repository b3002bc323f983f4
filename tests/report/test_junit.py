"""The JUnit report fails where the run fails, and says why."""

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestSuite

from regdoctor.model import Report
from regdoctor.report.junit import render
from regdoctor.report.options import FailOn, RenderOptions
from tests.report import examples


def parsed(report: Report, fail_on: FailOn = FailOn.ERROR) -> list[TestSuite]:
    document = JUnitXml.fromstring(render(report, RenderOptions(fail_on=fail_on)))
    assert document.tests == sum(suite.tests for suite in document)
    assert document.failures == sum(suite.failures for suite in document)
    return list(document)


def outcomes(suite: TestSuite, kind: type) -> list[str]:
    return [case.name for case in suite if any(isinstance(each, kind) for each in case.result)]


@pytest.mark.parametrize("outcome", examples.OUTCOMES)
def test_counts_agree_with_the_cases(outcome: str) -> None:
    for suite in parsed(examples.OUTCOMES[outcome]()):
        assert suite.tests == len(list(suite))
        assert suite.failures == len(outcomes(suite, Failure))
        assert suite.errors == len(outcomes(suite, Error))
        assert suite.skipped == len(outcomes(suite, Skipped))


def test_a_check_fails_with_its_findings_and_their_remedies() -> None:
    (suite,) = parsed(examples.failing())
    assert suite.name == "reg.test:5000/team/app:1.0"
    assert outcomes(suite, Failure) == ["tls: TLS", "auth: Authentication"]
    (tls,) = [case for case in suite if case.name == "tls: TLS"]
    (failure,) = tls.result
    assert failure.message == "The server's certificate has expired"
    assert failure.type == "tls/expired"
    assert "1. see what is served" in failure.text
    assert "warning tls/weak-key" in tls.system_out
    assert outcomes(suite, Skipped) == ["image: Image"]


@pytest.mark.parametrize(("fail_on", "failures"), [(FailOn.ERROR, 0), (FailOn.WARNING, 1), (FailOn.NEVER, 0)])
def test_a_warning_fails_where_it_fails_the_run(fail_on: FailOn, failures: int) -> None:
    (suite,) = parsed(examples.degraded(), fail_on)
    assert suite.failures == failures


def test_nothing_fails_where_nothing_may() -> None:
    (suite,) = parsed(examples.failing(), FailOn.NEVER)
    assert suite.failures == 0


def test_a_suppressed_finding_fails_nothing_and_is_still_told() -> None:
    (suite,) = parsed(examples.suppressed())
    assert suite.failures == 0
    assert "suppressed: lab registry" in next(case for case in suite if case.name == "tls: TLS").system_out


def test_a_check_that_failed_to_run_is_an_error() -> None:
    (suite,) = parsed(examples.broken_check())
    assert outcomes(suite, Error) == ["acme: Acme's own rules"]
