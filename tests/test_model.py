"""The report model."""

from __future__ import annotations

import pytest

from regdoctor.model import Place


@pytest.mark.parametrize(
    ("evidence", "place"),
    [
        ("/etc/config.yml:14", Place("/etc/config.yml", 14)),
        ("nginx.conf:3:7", Place("nginx.conf", 3, 7)),
        ("x1", None),
        ("handshakes", None),
        ("config.yml:0", None),
    ],
)
def test_a_place_in_a_file_is_told_from_other_evidence(evidence: str, place: Place | None) -> None:
    assert Place.of(evidence) == place
