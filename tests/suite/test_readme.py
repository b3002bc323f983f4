"""What the README shows is what the program prints today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import update_readme

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def marked(begin: str, end: str) -> str:
    return README.partition(f"<!-- {begin} -->\n")[2].partition(f"\n<!-- {end} -->")[0]


def words(text: str) -> str:
    """Wrapping depends on the length of a port; the words do not."""
    return " ".join(text.split())


def test_the_help_is_current() -> None:
    assert marked("help", "/help") == update_readme.help_text()


@pytest.mark.parametrize("fault", re.findall(r"<!-- example: ([\w-]+) -->", README))
def test_the_examples_are_current(fault: str) -> None:
    assert words(marked(f"example: {fault}", "/example")) == words(update_readme.example(fault))


def test_there_is_an_example() -> None:
    assert "<!-- example: " in README


def test_the_benchmark_s_table_is_there() -> None:
    from benchmarks.run import MEASUREMENTS

    rows = [line for line in marked("benchmark", "/benchmark").splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(MEASUREMENTS)
    assert all("met" in row for row in rows[2:])


def test_every_command_that_is_shown_exists() -> None:
    from regdoctor.cli.main import COMMANDS

    shown = set(re.findall(r"^    (?:.*\| )?regdoctor ([a-z]+)", README, flags=re.MULTILINE))
    assert shown
    assert shown <= set(COMMANDS)
