"""Workflow commands: one a line, and none that a server could have written."""

import re

import pytest

from regdoctor.report.github import render
from regdoctor.report.options import RenderOptions
from tests.report import examples

COMMAND = re.compile(r"::(error|warning|notice) (?:[a-z]+=[^:,%]*(?:%(?:25|0A|0D|3A|2C)[^:,%]*)*,?)+::.+")


def commands(outcome: str) -> list[str]:
    return render(examples.OUTCOMES[outcome](), RenderOptions()).decode("utf-8").splitlines()


@pytest.mark.parametrize("outcome", examples.OUTCOMES)
def test_every_line_is_one_well_formed_command(outcome: str) -> None:
    for command in commands(outcome):
        assert COMMAND.fullmatch(command), command


def test_causes_are_annotated_by_severity_and_name_their_symptoms() -> None:
    error, warning, notice = commands("failing")
    assert error.startswith(
        "::error title=reg.test%3A5000/team/app%3A1.0%3A The server's certificate has expired"
    )
    assert "%0A1. see what is served" in error
    assert "It explains: The token server that the challenge names cannot be reached" in error
    assert warning.startswith("::warning ")
    assert notice.startswith("::notice ")


def test_a_place_in_a_file_is_annotated_there() -> None:
    assert commands("two causes")[1].startswith("::error file=/etc/docker/registry/config.yml,line=14,title=")


@pytest.mark.parametrize(
    ("outcome", "beginning"),
    [
        ("healthy", "::notice title=reg.test%3A5000/team/app%3A1.0 is healthy::"),
        ("undetermined", "::warning title=reg.test%3A5000 is undetermined::"),
    ],
)
def test_a_run_without_findings_says_so(outcome: str, beginning: str) -> None:
    (command,) = commands(outcome)
    assert command.startswith(beginning)


def test_percent_signs_of_a_server_stay_percent_signs() -> None:
    assert not re.search(r"%(?!25|0A|0D|3A|2C)", "".join(commands("hostile")))
