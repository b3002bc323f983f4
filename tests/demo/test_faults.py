"""Every fault that the demo plays is named by its code, alone."""

from __future__ import annotations

import pytest

from regdoctor.demo.faults import Fault, faults, play
from tests.support.regdoctor_cli import assert_healthy, assert_single_root_cause, run_regdoctor


@pytest.mark.parametrize(
    "fault", [fault for fault in faults().values() if fault.code], ids=lambda fault: fault.name
)
def test_a_fault_of_the_demo_is_the_single_root_cause(fault: Fault) -> None:
    with play(fault) as stage:
        result = run_regdoctor("check", stage.target, *stage.arguments)

    assert fault.code is not None
    assert_single_root_cause(result, fault.code)


def test_the_healthy_registry_of_the_demo_is_healthy() -> None:
    with play(faults()["healthy"]) as stage:
        assert_healthy(run_regdoctor("check", stage.target, *stage.arguments))
