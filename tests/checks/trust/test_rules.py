"""What rules make of trust folders: facts in, findings out."""

from __future__ import annotations

from typing import Any

import pytest

from regdoctor.api import Certainty, Draft, Handshakes, TrustFile, TrustFolder, TrustFolders
from regdoctor.checks.trust import rules
from tests.checks.tls.examples import ENDPOINT, accepted, handshake, refused

DOCKER = "/etc/docker/certs.d"
CONTAINERS = "/etc/containers/certs.d"
OWN = f"{DOCKER}/reg.test:5000"

REJECTED = Handshakes(handshakes=(handshake(verifications=(refused(depth=1),)),))
ACCEPTED = Handshakes(handshakes=(handshake(verifications=(accepted(*handshake().chain),)),))


def file(path: str, **changes: Any) -> TrustFile:
    """A file that holds the authority of the registry."""
    values: dict[str, Any] = {
        "path": path,
        "subjects": ("CN=Lab Root CA",),
        "authority": True,
        "completes": True,
    }
    return TrustFile(**{**values, **changes})


def key(path: str, of: str | None = None) -> TrustFile:
    return TrustFile(path=path, key=True, key_of=of)


def folder(path: str, *files: TrustFile, client: str = "docker", used: bool = False) -> TrustFolder:
    return TrustFolder(path=path, client=client, used=used, files=files)


def folders(*each: TrustFolder) -> TrustFolders:
    return TrustFolders(expected=(OWN, f"{CONTAINERS}/reg.test:5000"), folders=each)


def judge(*each: TrustFolder, handshakes: Handshakes = REJECTED) -> list[Draft]:
    facts = folders(*each)
    return [
        *rules.misplaced(ENDPOINT, facts, handshakes),
        *rules.half_a_pair(ENDPOINT, facts),
        *rules.stray_key(ENDPOINT, facts),
    ]


def only(*each: TrustFolder, handshakes: Handshakes = REJECTED) -> Draft:
    drafts = judge(*each, handshakes=handshakes)
    assert len(drafts) == 1, [draft.code for draft in drafts]
    return drafts[0]


@pytest.mark.parametrize(
    "right",
    [
        pytest.param(folder(OWN, file(f"{OWN}/ca.crt"), used=True), id="an authority"),
        pytest.param(
            folder(OWN, file(f"{OWN}/me.cert", authority=False), key(f"{OWN}/me.key"), used=True), id="a pair"
        ),
        pytest.param(
            folder(f"{DOCKER}/other.test", file(f"{DOCKER}/other.test/ca.cert")), id="another's .cert"
        ),
        pytest.param(folder(f"{DOCKER}/other.test", key(f"{DOCKER}/other.test/ca.key")), id="another's key"),
        pytest.param(
            folder("/etc/containerd/certs.d/_default", file("/x/ca.cert"), client="containerd", used=True),
            id="containerd takes a .cert for both",
        ),
    ],
)
def test_folders_that_are_right_or_of_no_matter_give_no_finding(right: TrustFolder) -> None:
    assert judge(right, handshakes=ACCEPTED) == []


def test_an_authority_below_the_name_without_its_port_is_misplaced() -> None:
    path = f"{DOCKER}/reg.test"

    draft = only(folder(path, file(f"{path}/ca.crt")))

    assert (draft.code, draft.certainty) == ("trust/certs-d-misplaced", Certainty.PROVEN)
    assert f"{path}/ca.crt" in draft.detail
    assert OWN in draft.detail
    assert draft.fix == (f"mkdir -p {OWN} && cp {path}/ca.crt {OWN}/ca.crt",)


def test_an_authority_for_podman_alone_is_misplaced_for_docker() -> None:
    path = f"{CONTAINERS}/reg.test:5000"

    draft = only(folder(path, file(f"{path}/ca.crt"), client="containers", used=True))

    assert draft.code == "trust/certs-d-misplaced"
    assert "read by podman, skopeo and CRI-O, and not by docker" in draft.detail
    assert draft.fix[0].startswith(f"mkdir -p {OWN} ")


def test_an_authority_with_another_ending_is_passed_over_by_clients() -> None:
    draft = only(folder(OWN, file(f"{OWN}/ca.pem"), used=True))

    assert draft.code == "trust/certs-d-misplaced"
    assert "end in .crt" in draft.detail


def test_an_authority_of_another_registry_is_not_blamed() -> None:
    path = f"{DOCKER}/other.test"

    assert judge(folder(path, file(f"{path}/ca.crt", completes=False))) == []


def test_nothing_is_misplaced_where_the_chain_is_trusted_or_dates_alone_are_wrong() -> None:
    path = f"{DOCKER}/reg.test"
    expired = handshake(verifications=(refused("cert-has-expired", path=handshake().chain),))
    stray = folder(path, file(f"{path}/ca.crt"))

    assert judge(stray, handshakes=ACCEPTED) == []
    assert judge(stray, handshakes=Handshakes(handshakes=(expired,))) == []


def test_an_authority_saved_as_cert_is_one_finding() -> None:
    draft = only(folder(OWN, file(f"{OWN}/ca.cert"), used=True))

    assert (draft.code, draft.certainty) == ("trust/ca-as-client-cert", Certainty.PROVEN)
    assert draft.fix == (f"mv {OWN}/ca.cert {OWN}/ca.crt",)


def test_it_stops_clients_although_the_authority_is_installed_too() -> None:
    draft = only(folder(OWN, file(f"{OWN}/ca.crt"), file(f"{OWN}/ca.cert"), used=True), handshakes=ACCEPTED)

    assert draft.code == "trust/ca-as-client-cert"


def test_copies_in_other_folders_are_then_of_no_matter() -> None:
    path = f"{DOCKER}/other.test"

    draft = only(folder(path, file(f"{path}/ca.crt")), folder(OWN, file(f"{OWN}/ca.cert"), used=True))

    assert draft.code == "trust/ca-as-client-cert"


def test_a_client_certificate_without_its_key_is_told_apart() -> None:
    lone = file(f"{OWN}/me.cert", authority=False, completes=False, subjects=("CN=me",))

    draft = only(folder(OWN, lone, used=True), handshakes=ACCEPTED)

    assert draft.certainty is Certainty.LIKELY
    assert "its key is missing" in draft.detail


def test_the_key_of_an_authority_is_a_danger() -> None:
    own = folder(OWN, file(f"{OWN}/ca.crt"), key(f"{OWN}/ca.key", of=f"{OWN}/ca.crt"), used=True)

    draft = only(own, handshakes=ACCEPTED)

    assert draft.code == "trust/stray-key"
    assert "can issue certificates" in draft.detail
    assert draft.fix == (f"shred -u {OWN}/ca.key",)


def test_a_key_whose_certificate_has_the_wrong_ending_is_explained() -> None:
    pair = folder(
        OWN,
        file(f"{OWN}/me.crt", authority=False, completes=False),
        key(f"{OWN}/me.key", of=f"{OWN}/me.crt"),
        used=True,
    )

    assert only(pair, handshakes=ACCEPTED).fix == (f"mv {OWN}/me.crt {OWN}/me.cert",)


def test_a_key_that_belongs_to_nothing_is_told() -> None:
    draft = only(folder(OWN, key(f"{OWN}/x.key"), used=True), handshakes=ACCEPTED)

    assert draft.code == "trust/stray-key"
    assert "No certificate in the folder belongs to it" in draft.detail
