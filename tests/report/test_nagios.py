"""The monitoring line: state, text and performance data on the first line."""

import re

import pytest

from regdoctor.report.nagios import render
from regdoctor.report.options import RenderOptions
from tests.report import examples


def output(outcome: str) -> list[str]:
    return render(examples.OUTCOMES[outcome](), RenderOptions()).decode("utf-8").split("\n")


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("healthy", "OK"),
        ("suppressed", "OK"),
        ("degraded", "WARNING"),
        ("failing", "CRITICAL"),
        ("several", "CRITICAL"),
        ("undetermined", "UNKNOWN"),
    ],
)
def test_the_state_is_that_of_the_verdict(outcome: str, state: str) -> None:
    assert output(outcome)[0].startswith(f"REGISTRY {state} - ")


@pytest.mark.parametrize("outcome", examples.OUTCOMES)
def test_performance_data_stand_once_at_the_end_of_the_first_line(outcome: str) -> None:
    first, *rest = output(outcome)
    text, separator, data = first.partition("|")
    assert separator
    assert re.fullmatch(r" time=\d+\.\d{3}s;;;0 errors=\d+;;;0 warnings=\d+;;;0", data)
    assert "|" not in text + "".join(rest)


def test_the_cause_and_what_to_do_are_told() -> None:
    first, *rest = output("failing")
    assert "reg.test:5000/team/app:1.0: The server's certificate has expired" in first
    assert any(line.startswith("Do: see what is served") for line in rest)
