"""``checks`` lists what there is, and tells detected codes from planned ones."""

from __future__ import annotations

import json

from regdoctor.engine.registry import CheckRegistry
from tests.cli.conftest import Invoke


def test_every_check_and_code_is_listed(invoke: Invoke, loaded: CheckRegistry) -> None:
    document = json.loads(invoke("checks", "--format", "json").stdout)
    assert document["schema"] == "regdoctor.checks/1"
    assert [check["id"] for check in document["checks"]] == [check.id for check in loaded.checks]
    listed = {code["code"]: code for check in document["checks"] for code in check["codes"]}
    assert set(listed) == set(loaded.catalogue.codes)
    assert {code for code, entry in listed.items() if entry["detected"]} == loaded.detected
    assert all(check["distribution"] and check["summary"] for check in document["checks"])


def test_the_text_names_origins_and_planned_codes(invoke: Invoke, loaded: CheckRegistry) -> None:
    output = invoke("checks").stdout
    assert "tls: TLS (regdoctor)\n" in output
    assert output.count("(planned)") == len(loaded.catalogue.codes) - len(loaded.detected)
    assert f"{len(loaded.detected)} detected" in output
    for code in loaded.catalogue.codes:
        assert code in output
