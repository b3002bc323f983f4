"""The table of trust: which trust context of this host accepts which chain."""

from __future__ import annotations

from msgspec.structs import replace

from regdoctor.api import FailureKind, Handshakes, TrustContext, Verification
from tests.checks.tls.examples import accepted, certificate, failed, handshake, intermediate, refused


def with_files(verification: Verification, *files: str) -> Verification:
    context: TrustContext = replace(verification.context, own_paths=files)
    return replace(verification, context=context)


def texts(seen: Handshakes) -> list[list[str]]:
    table = seen.table()
    assert table is not None
    return [[cell.text for cell in row] for row in table.rows]


def test_contexts_that_differ_stand_in_rows() -> None:
    seen = Handshakes(
        handshakes=(
            handshake(
                verifications=(
                    with_files(
                        accepted(certificate(), intermediate()), "/etc/docker/certs.d/reg.test:5000/ca.crt"
                    ),
                    refused(name="containerd"),
                    refused(name="system"),
                )
            ),
        )
    )

    table = seen.table()
    assert table is not None
    assert table.title == "Who on this host trusts the certificate of reg.test"
    assert table.columns == ("trust", "judgement")
    assert texts(seen) == [
        ["docker certs.d", "accepted"],
        ["containerd hosts.toml", "refused: unknown authority"],
        ["system bundle", "refused: unknown authority"],
    ]
    assert table.rows[0][0].notes == ("/etc/docker/certs.d/reg.test:5000/ca.crt",)
    assert table.rows[1][0].notes == ("no file for this host: the system bundle alone",)


def test_contexts_that_agree_need_no_table() -> None:
    both = (accepted(certificate(), intermediate()), accepted(certificate(), intermediate(), name="system"))

    assert Handshakes(handshakes=(handshake(verifications=both),)).table() is None
    assert Handshakes(handshakes=(failed(FailureKind.TLS_ALERT),)).table() is None
    assert Handshakes(handshakes=()).table() is None


def test_addresses_with_chains_of_their_own_stand_in_columns() -> None:
    good = (accepted(certificate(), intermediate()), accepted(certificate(), intermediate(), name="system"))
    odd = (refused("cert-has-expired"), refused("cert-has-expired", name="system"))
    mixed = (accepted(certificate("CN=third")), refused(name="system"))
    seen = Handshakes(
        handshakes=(
            handshake(verifications=good, address="192.0.2.1"),
            handshake(verifications=good, address="192.0.2.2"),
            handshake(certificate("CN=old"), verifications=odd, address="192.0.2.3"),
            handshake(certificate("CN=third"), verifications=mixed, address="192.0.2.4"),
        )
    )

    table = seen.table()
    assert table is not None
    assert table.columns == ("trust", "at 192.0.2.1, 192.0.2.2", "at 192.0.2.3", "at 192.0.2.4")
    assert texts(seen) == [
        ["docker certs.d", "accepted", "refused: expired", "accepted"],
        ["system bundle", "accepted", "refused: expired", "refused: unknown authority"],
    ]
