"""The table of fault tests is what the tests say today."""

from __future__ import annotations

import pytest

from tools import generate_fault_table


def test_the_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_fault_table.main(["--check"]) == 0, capsys.readouterr().out
