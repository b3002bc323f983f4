"""Where clients find authorities and client certificates for a registry."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from regdoctor.host.trust import (
    ClientPair,
    TrustStore,
    folder_names,
    list_folders,
    system_authorities,
    trust_contexts,
    trust_stores,
)
from regdoctor.options import Options
from tests.support import certificates as make

NAMES = ("reg.test:5000",)
NO_DOCKER: Mapping[str, str] = {"PATH": "/nonexistent"}


def system(**environment: Path | str) -> tuple[int, tuple[str, ...]]:
    """How many authorities the system has, and where they come from."""
    words = {name: str(value) for name, value in environment.items()}
    found = system_authorities(words, {}, threading.Lock())
    return len(found.certificates), found.paths


def pem(name: str = "Test Root CA") -> str:
    return make.root_authority(name).ca_pem


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def stores(options: Options, home: Path, names: tuple[str, ...] = NAMES) -> tuple[TrustStore, ...]:
    return trust_stores(options, names, home, NO_DOCKER)


# The system's authorities


def test_a_named_bundle_replaces_the_usual_ones(tmp_path: Path) -> None:
    bundle = write(tmp_path / "bundle.pem", pem("One") + pem("Two"))
    folder = tmp_path / "empty"
    folder.mkdir()

    assert system(SSL_CERT_FILE=bundle, SSL_CERT_DIR=folder) == (2, (str(bundle),))


def test_every_file_of_a_named_folder_counts_and_none_twice(tmp_path: Path) -> None:
    one, two = pem("One"), pem("Two")
    bundle = write(tmp_path / "bundle.pem", one)
    write(tmp_path / "d1" / "a.txt", one)
    write(tmp_path / "d2" / "b", two)

    count, paths = system(SSL_CERT_FILE=bundle, SSL_CERT_DIR=f"{tmp_path / 'd1'}:{tmp_path / 'd2'}")

    assert count == 2
    assert paths == (str(bundle), str(tmp_path / "d2"))


def test_links_within_a_folder_are_passed_over_as_in_go(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside.pem", pem("Outside"))
    folder = tmp_path / "d"
    write(folder / "own.pem", pem("Own"))
    (folder / "12345678.0").symlink_to("own.pem")
    (folder / "outside.pem").symlink_to(outside)

    assert system(SSL_CERT_FILE=tmp_path / "none", SSL_CERT_DIR=folder)[0] == 2


def test_authorities_are_read_once_a_run(tmp_path: Path) -> None:
    bundle = write(tmp_path / "bundle.pem", pem())
    shared: dict[str, object] = {}
    lock = threading.Lock()
    environment = {"SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": str(tmp_path / "none")}

    first = system_authorities(environment, shared, lock)
    bundle.unlink()

    assert system_authorities(environment, shared, lock) is first


def test_a_bundle_that_is_a_pipe_blocks_nothing(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")

    assert system(SSL_CERT_FILE=tmp_path / "pipe", SSL_CERT_DIR=tmp_path / "none") == (0, ())


# What the options give


def test_a_given_file_is_added_to_the_systems(tmp_path: Path) -> None:
    file = write(tmp_path / "ca.pem", pem())

    (store,) = stores(Options(cacert=file), tmp_path)

    assert store.name == "given"
    assert store.files == (file,)
    assert len(store.extra.certificates) == 1
    assert store.problem is None


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "cannot be read"), ("x", "holds no PEM certificate")]
)
def test_a_given_file_that_is_of_no_use_is_told(tmp_path: Path, content: str | None, problem: str) -> None:
    if content is not None:
        write(tmp_path / "ca.pem", content)

    (store,) = stores(Options(cacert=tmp_path / "ca.pem"), tmp_path)

    assert store.problem is not None
    assert problem in store.problem


def test_the_registrys_folder_below_the_given_one_counts_alone(tmp_path: Path) -> None:
    own = write(tmp_path / "reg.test:5000" / "ca.crt", pem())
    write(tmp_path / "ca.crt", pem())
    write(tmp_path / "reg.test" / "ca.crt", pem())

    assert stores(Options(certs_dir=tmp_path), tmp_path)[0].files == (own,)


def test_without_one_the_given_folder_itself_counts(tmp_path: Path) -> None:
    loose = write(tmp_path / "ca.crt", pem())

    assert stores(Options(certs_dir=tmp_path), tmp_path)[0].files == (loose,)


def test_only_crt_files_are_authorities_and_whole_pairs_are_offered(tmp_path: Path) -> None:
    folder = tmp_path / "reg.test:5000"
    for name in ("ca.pem", "lone.cert", "lone2.key", "me.cert", "me.key"):
        write(folder / name, pem())

    (store,) = stores(Options(certs_dir=tmp_path), tmp_path)

    assert store.files == ()
    assert store.pairs == (ClientPair(folder / "me.cert", folder / "me.key"),)


def test_a_given_pair_goes_before_those_of_folders(tmp_path: Path) -> None:
    for name in ("me.cert", "me.key"):
        write(tmp_path / "reg.test:5000" / name, pem())
    options = Options(certs_dir=tmp_path, cert=tmp_path / "my.crt", key=tmp_path / "my.pem")

    assert stores(options, tmp_path)[0].pairs == (ClientPair(tmp_path / "my.crt", tmp_path / "my.pem"),)


# What each client looks into


def test_without_folders_docker_trusts_the_system_alone(tmp_path: Path) -> None:
    (store,) = stores(Options(hosts_dir=tmp_path / "none"), tmp_path)

    assert (store.name, store.files) == ("docker", ())


def test_docker_without_root_has_its_folder_at_home(tmp_path: Path) -> None:
    file = write(tmp_path / ".config/docker/certs.d/reg.test:5000/ca.crt", pem())

    assert stores(Options(hosts_dir=tmp_path / "none"), tmp_path)[0].files == (file,)


def test_podman_is_compared_where_it_has_a_folder_of_its_own(tmp_path: Path) -> None:
    docker = write(tmp_path / ".config/docker/certs.d/reg.test:5000/ca.crt", pem())
    podman = write(tmp_path / ".config/containers/certs.d/reg.test:5000/ca.crt", pem())

    found = stores(Options(hosts_dir=tmp_path / "none"), tmp_path)

    assert [(store.name, store.files) for store in found] == [
        ("docker", (docker,)),
        ("containers", (podman,)),
    ]


def test_podmans_judgement_counts_where_docker_is_not_installed(tmp_path: Path) -> None:
    write(tmp_path / ".config/containers/certs.d/reg.test:5000/ca.crt", pem())

    found = stores(Options(hosts_dir=tmp_path / "none"), tmp_path)

    assert [store.name for store in found] == ["containers", "docker"]


def test_without_docker_the_first_engine_with_a_folder_counts(tmp_path: Path) -> None:
    write(tmp_path / ".config/containers/certs.d/reg.test:5000/ca.crt", pem())
    write(tmp_path / "hosts/reg.test:5000/ca.crt", pem())

    found = stores(Options(hosts_dir=tmp_path / "hosts"), tmp_path)

    assert [store.name for store in found] == ["containers", "containerd", "docker"]


def contexts(options: Options, home: Path) -> list[str]:
    return [store.name for store in trust_contexts(options, NAMES, home, NO_DOCKER)]


def test_the_system_alone_is_a_context_of_its_own(tmp_path: Path) -> None:
    assert contexts(Options(hosts_dir=tmp_path / "none"), tmp_path) == ["docker", "system"]


def test_clients_with_files_are_contexts_beside_what_is_given(tmp_path: Path) -> None:
    given = Options(cacert=write(tmp_path / "ca.pem", pem()), hosts_dir=tmp_path / "hosts")

    assert contexts(given, tmp_path) == ["given", "system"]

    write(tmp_path / ".config/docker/certs.d/reg.test:5000/ca.crt", pem())
    write(tmp_path / ".config/containers/certs.d/reg.test:5000/ca.crt", pem())
    write(tmp_path / "hosts/reg.test:5000/ca.crt", pem())

    assert contexts(given, tmp_path) == ["given", "docker", "containers", "containerd", "system"]
    assert contexts(Options(certs_dir=tmp_path / "none", hosts_dir=tmp_path / "hosts"), tmp_path) == [
        "given",
        "system",
    ]


def test_docker_that_is_not_installed_is_no_context(tmp_path: Path) -> None:
    write(tmp_path / ".config/containers/certs.d/reg.test:5000/ca.crt", pem())

    assert contexts(Options(hosts_dir=tmp_path / "none"), tmp_path) == ["containers", "system"]


@pytest.mark.parametrize("folder", ["reg.test_5000_", "reg.test:5000", "_default"])
def test_containerd_looks_for_each_form_of_the_name(tmp_path: Path, folder: str) -> None:
    file = write(tmp_path / "hosts" / folder / "ca.crt", pem())

    found = {store.name: store.files for store in stores(Options(hosts_dir=tmp_path / "hosts"), tmp_path)}

    assert found["containerd"] == (file,)


def test_a_hosts_toml_names_containerds_authorities(tmp_path: Path) -> None:
    folder = tmp_path / "hosts" / "reg.test:5000"
    write(folder / "unused.crt", pem())
    one, two = write(folder / "one.pem", pem()), write(tmp_path / "two.pem", pem())
    write(
        folder / "hosts.toml",
        f'server = "https://reg.test:5000"\nca = "one.pem"\n[host."https://reg.test:5000"]\nca = ["{two}"]\n',
    )

    found = {store.name: store.files for store in stores(Options(hosts_dir=tmp_path / "hosts"), tmp_path)}

    assert found["containerd"] == (one, two)


def test_containerd_is_not_compared_where_it_is_told_not_to_verify(tmp_path: Path) -> None:
    folder = tmp_path / "hosts" / "reg.test:5000"
    write(folder / "hosts.toml", '[host."https://reg.test:5000"]\nskip_verify = true\n')

    assert [store.name for store in stores(Options(hosts_dir=tmp_path / "hosts"), tmp_path)] == ["docker"]


def test_a_hosts_toml_that_does_not_parse_leaves_dockers_files(tmp_path: Path) -> None:
    folder = tmp_path / "hosts" / "reg.test:5000"
    file = write(folder / "ca.crt", pem())
    write(folder / "hosts.toml", "[[[")

    found = {store.name: store.files for store in stores(Options(hosts_dir=tmp_path / "hosts"), tmp_path)}

    assert found["containerd"] == (file,)


@pytest.mark.parametrize(
    ("host_port", "domain", "names"),
    [
        ("reg.test:5000", None, ("reg.test:5000",)),
        ("reg.test:443", None, ("reg.test", "reg.test:443")),
        ("reg.test:443", "reg.test", ("reg.test",)),
        ("reg.test:443", "reg.test:443", ("reg.test:443",)),
    ],
)
def test_folders_are_called_as_the_reference_writes_the_registry(
    host_port: str, domain: str | None, names: tuple[str, ...]
) -> None:
    assert folder_names(host_port, domain) == names


# Every folder there is


def test_all_folders_with_files_are_listed_and_the_used_one_is_marked(tmp_path: Path) -> None:
    root = tmp_path / "certs.d"
    write(root / "reg.test:5000" / "ca.crt", pem())
    write(root / "reg.test" / "ca.pem", pem())
    write(root / "loose.crt", pem())
    write(root / "other.test" / "README", "nothing")
    write(tmp_path / "cert.d" / "reg.test:5000" / "ca.crt", pem())

    expected, listed = list_folders(Options(certs_dir=root), NAMES, tmp_path)

    assert expected == (root / "reg.test:5000",)
    assert {folder.path: folder.used for folder in listed} == {
        root: False,
        root / "reg.test:5000": True,
        root / "reg.test": False,
        tmp_path / "cert.d" / "reg.test:5000": False,
    }


def test_only_the_first_of_podmans_folders_is_used(tmp_path: Path) -> None:
    home = tmp_path / ".config/containers/certs.d/reg.test:5000"
    write(home / "ca.crt", pem())

    _, listed = list_folders(Options(hosts_dir=tmp_path / "none"), NAMES, tmp_path)

    assert [folder.path for folder in listed if folder.client == "containers" and folder.used] == [home]
