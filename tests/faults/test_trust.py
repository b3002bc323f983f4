"""Faults of trust folders, each the single root cause, and the healthy twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import NAME
from tests.support import certificates as make
from tests.support.regdoctor_cli import CliResult, assert_healthy, assert_single_root_cause, run_regdoctor
from tests.support.registry import Registry

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

HOSTS = {NAME: "127.0.0.1"}


def check(registry: Registry, certs_dir: Path) -> CliResult:
    return run_regdoctor("check", registry.address, "--certs-dir", certs_dir, hosts=HOSTS)


@pytest.fixture
def certs_dir(tmp_path: Path) -> Path:
    """An empty folder in the place of certs.d."""
    folder = tmp_path / "certs.d"
    folder.mkdir()
    return folder


def put(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(content)


def test_an_authority_a_pair_and_other_registries_folders_are_healthy(
    tls_registry: Registry, authority: make.Authority, certs_dir: Path
) -> None:
    pair = authority.issue(["me"], eku="client")
    put(certs_dir / tls_registry.address, ca_crt=authority.ca_pem, me_cert=pair.pem, me_key=pair.key_pem)
    put(certs_dir / "other.test", ca_cert=authority.ca_pem, ca_key=make.private_key_pem(authority.key))

    assert_healthy(check(tls_registry, certs_dir))


@pytest.mark.parametrize("folder", [NAME, f"{NAME}:5001", f"https:{NAME}"])
def test_an_authority_in_a_folder_of_another_name_is_named(
    tls_registry: Registry, authority: make.Authority, certs_dir: Path, folder: str
) -> None:
    put(certs_dir / folder, ca_crt=authority.ca_pem)

    finding = assert_single_root_cause(check(tls_registry, certs_dir), "trust/certs-d-misplaced")

    assert f"{certs_dir}/{folder}/ca.crt" in finding["detail"]
    assert f"{certs_dir}/{tls_registry.address}" in finding["detail"]


def test_an_authority_in_the_folder_of_another_client_is_named(
    tls_registry: Registry, authority: make.Authority
) -> None:
    # Docker has a folder of its own for the registry, so that its judgement counts, with another authority.
    result = run_regdoctor(
        "check",
        tls_registry.address,
        hosts=HOSTS,
        files={
            f"/etc/docker/certs.d/{tls_registry.address}/ca.crt": make.root_authority("Other").ca_pem,
            f"/etc/containers/certs.d/{tls_registry.address}/ca.crt": authority.ca_pem,
        },
    )

    finding = assert_single_root_cause(result, "trust/certs-d-misplaced")

    assert "not by docker" in finding["detail"]


def test_an_authority_with_the_wrong_ending_is_named(
    tls_registry: Registry, authority: make.Authority, certs_dir: Path
) -> None:
    put(certs_dir / tls_registry.address, ca_pem=authority.ca_pem)

    assert_single_root_cause(check(tls_registry, certs_dir), "trust/certs-d-misplaced")


def test_an_authority_saved_as_a_client_certificate_is_named(
    tls_registry: Registry, authority: make.Authority, certs_dir: Path
) -> None:
    put(certs_dir / tls_registry.address, ca_cert=authority.ca_pem)

    assert_single_root_cause(check(tls_registry, certs_dir), "trust/ca-as-client-cert")


def test_the_authoritys_key_in_the_folder_is_named(
    tls_registry: Registry, authority: make.Authority, certs_dir: Path
) -> None:
    key = make.private_key_pem(authority.key)
    put(certs_dir / tls_registry.address, ca_crt=authority.ca_pem, ca_key=key)

    result = check(tls_registry, certs_dir)

    finding = assert_single_root_cause(result, "trust/stray-key")
    assert "ca.crt, an authority" in finding["detail"]
    assert key.splitlines()[1] not in result.stdout
