"""Faults of clients' settings, each the single root cause, and the healthy twins.

The settings are judged beside what the real client makes of them: skopeo for podman and its relatives, dockerd
20.10 and containerd 1.6. There is no buildkitd to be had here; its rules rest on its documentation alone.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NAME, PASSWORD, USERNAME, StartNginx, StartRegistry
from tests.support import dockerd as docker_daemon
from tests.support import programs
from tests.support.certificates import Authority, CertificateFiles
from tests.support.containerd import Containerd
from tests.support.dockerd import Dockerd
from tests.support.images import push_image
from tests.support.mounts import trust_store_files
from tests.support.netns import LinkedHosts
from tests.support.nginx import ReverseProxy
from tests.support.ports import free_port
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry
from tests.support.skopeo import skopeo

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

HOSTS = {NAME: "127.0.0.1"}
ACCEPT = '{"default": [{"type": "insecureAcceptAnything"}]}'


def check(registry: Registry, *arguments: str | Path, image: str = "", **options: object) -> CliResult:
    return run_regdoctor(
        "check",
        f"{registry.address}{image}",
        *(("--cacert", registry.tls.ca) if registry.tls is not None else ("--plain-http",)),
        *arguments,
        hosts=HOSTS,
        **options,  # type: ignore[arg-type]
    )


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def push(registry: Registry, repository: str = "team/app") -> str:
    return push_image(registry, repository, "1.0").digest


# what ships with the programs


def shipped() -> Iterator[tuple[str, str]]:
    """The files that Debian's packages bring, and the defaults that upstream documents."""
    for path in (
        "/etc/containers/registries.conf",
        "/etc/containers/policy.json",
        "/etc/containerd/config.toml",
        *sorted(map(str, Path("/etc/containers/registries.conf.d").glob("*.conf"))),
    ):
        if Path(path).exists():
            yield path, Path(path).read_text()
    yield (
        "upstream/registries.conf",
        '# An example\n# unqualified-search-registries = ["example.com"]\nshort-name-mode = "enforcing"\n',
    )
    yield "upstream/policy.json", ACCEPT
    yield (
        "docker-ce/containerd/config.toml",
        '#   Licensed …\n\ndisabled_plugins = ["cri"]\n\n#root = "/var/lib/containerd"\n',
    )
    yield (
        "fedora/registries.conf",
        'unqualified-search-registries = ["registry.fedoraproject.org", "docker.io"]\n',
    )
    yield "docker/daemon.json", "{}\n"
    yield (
        "kubernetes/daemon.json",
        '{"exec-opts": ["native.cgroupdriver=systemd"], "log-driver": "json-file", '
        '"log-opts": {"max-size": "100m"}, "storage-driver": "overlay2"}',
    )
    yield (
        "documentation/certs.d/docker.io/hosts.toml",
        'server = "https://docker.io"\n\n[host."https://registry-1.docker.io"]\n'
        '  capabilities = ["pull", "resolve"]\n',
    )
    yield "documentation/config.json", '{"auths": {}, "HttpHeaders": {"a": "b"}, "credsStore": ""}'
    yield (
        "documentation/buildkitd.toml",
        'debug = true\nroot = "/var/lib/buildkit"\ninsecure-entitlements = ["network.host"]\n\n'
        '[log]\n  format = "text"\n\n[worker.oci]\n  enabled = true\n\n[registry."docker.io"]\n'
        '  mirrors = ["yourmirror.local:5000", "core.harbor.domain/proxy.docker.io"]\n  http = true\n'
        "  insecure = true\n",
    )


def test_the_files_that_come_with_the_programs_are_healthy(tmp_path: Path) -> None:
    for name, text in shipped():
        result = run_regdoctor("lint", write(tmp_path / name.lstrip("/"), text))

        assert_healthy(result)


@pytest.mark.needs("containerd")
def test_containerds_own_default_is_healthy(tmp_path: Path) -> None:
    default = subprocess.run(
        [programs.path("containerd"), "config", "default"], capture_output=True, text=True, check=True
    )

    assert_healthy(run_regdoctor("lint", write(tmp_path / "config.toml", default.stdout)))


@pytest.mark.needs("containerd", "dockerd", "podman")
def test_this_host_as_installed_is_healthy(tls_registry: Registry) -> None:
    result = check(tls_registry, "--profile", "host")

    assert_lacks(result, *[code for code in codes_of(result) if code.startswith("client/")])
    (target,) = result.report["targets"]
    routes = {route["client"]: route for route in target["facts"]["client-routes"]["routes"]}
    assert set(routes) == {"docker", "containerd", "podman"}


def codes_of(result: CliResult) -> list[str]:
    return [finding["code"] for target in result.report["targets"] for finding in target["findings"]]


def test_right_settings_of_every_client_are_healthy(
    tls_registry: Registry, tmp_path: Path, authority: Authority
) -> None:
    address = tls_registry.address
    ca = write(tmp_path / "ca.crt", authority.ca_pem)
    hosts_dir = tmp_path / "certs.d"
    write(
        hosts_dir / address / "hosts.toml",
        f'server = "https://{address}"\n[host."https://{address}"]\ncapabilities = ["pull", "resolve"]\n'
        f'ca = "{ca}"\n',
    )
    push(tls_registry)

    result = check(
        tls_registry,
        *("--daemon-json", write(tmp_path / "daemon.json", '{"registry-mirrors": [], "debug": false}')),
        *("--hosts-dir", hosts_dir),
        *(
            "--registries-conf",
            write(tmp_path / "registries.conf", f'[[registry]]\nlocation = "{address}"\ninsecure = false\n'),
        ),
        *("--policy", write(tmp_path / "policy.json", ACCEPT)),
        image="/team/app:1.0",
    )

    assert_healthy(result)
    (target,) = result.report["targets"]
    for route in target["facts"]["client-routes"]["routes"]:
        assert (route["obstacle"], route["tried"], route["schemes"][0]) == (None, True, "https"), route


def test_the_table_says_how_each_client_goes(tls_registry: Registry, tmp_path: Path) -> None:
    address = tls_registry.address
    conf = write(
        tmp_path / "registries.conf",
        f'[[registry]]\nlocation = "{address}"\nblocked = true\n',
    )
    daemon = write(tmp_path / "daemon.json", f'{{"insecure-registries": ["{address}"]}}')

    result = check(tls_registry, "--daemon-json", daemon, "--registries-conf", conf, report_format="text")

    table = result.stdout.partition(f"How clients on this host would reach {address}\n")[2]
    rows = {line.split()[0]: line for line in table.splitlines()[1:4] if line.strip()}
    assert "yes" in rows["docker"]
    assert "https unverified," in rows["docker"]
    assert " no " in rows["podman"]
    assert f"registries.conf blocks it ({conf}:3:1)" in " ".join(table.split())
    assert max(map(len, table.partition("  [1]")[0].splitlines())) <= 80


# daemon.json of docker

DAEMON_FAULTS = {
    "a comma too many": '{"registry-mirrors": ["https://m.test"],}',
    "an unknown key": '{"insecure-registeries": ["reg.test:5000"]}',
    "a mirror without a scheme": '{"registry-mirrors": ["mirror.test:5000"]}',
    "a text for a list": '{"insecure-registries": "reg.test:5000"}',
    "an entry with a path": '{"insecure-registries": ["reg.test:5000/team"]}',
}


@pytest.mark.needs("dockerd")
@pytest.mark.parametrize("name", DAEMON_FAULTS)
def test_a_daemon_json_with_which_docker_does_not_start_is_named(
    tls_registry: Registry, tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / "daemon.json", DAEMON_FAULTS[name])
    assert docker_daemon.refusal(tmp_path / "dockerd", path) is not None

    found = assert_single_root_cause(check(tls_registry, "--daemon-json", path), "client/daemon-json-invalid")
    by_lint = assert_single_root_cause(run_regdoctor("lint", path), "client/daemon-json-invalid")

    assert f"{path}, line 1" in found["detail"]
    assert by_lint["evidence"] == found["evidence"]


@pytest.mark.needs("dockerd")
def test_a_key_that_is_given_as_a_flag_too_is_named(linked_hosts: LinkedHosts, tmp_path: Path) -> None:
    text = '{"storage-driver": "vfs", "debug": true}'
    said = docker_daemon.refusal(tmp_path / "dockerd", write(tmp_path / "daemon.json", text), "--debug")
    assert said is not None
    assert "specified both as a flag and in the configuration file" in said

    unit = "[Service]\nExecStart=/usr/sbin/dockerd -H fd:// --debug $DOCKER_OPTS\n"
    # In a network of its own: another docker daemon of this machine would be asked for its flags.
    result = run_regdoctor(
        *("check", f"{NAME}:5000", "--profile", "host", "--only", "client"),
        in_namespace=linked_hosts.client,
        files={"/etc/docker/daemon.json": text, "/etc/systemd/system/docker.service": unit},
    )

    found = assert_single_root_cause(result, "client/daemon-json-invalid")
    assert "debug (/etc/docker/daemon.json:1:27)" in found["detail"]
    assert "ExecStart in /etc/systemd/system/docker.service" in found["detail"]


@pytest.mark.needs("dockerd")
def test_what_the_installed_docker_does_not_know_yet_is_named(tls_registry: Registry, tmp_path: Path) -> None:
    text = '{"proxies": {"http-proxy": "http://proxy.test:3128"}}'
    assert docker_daemon.refusal(tmp_path / "dockerd", write(tmp_path / "daemon.json", text)) is not None

    result = check(
        tls_registry, "--profile", "host", "--only", "client", files={"/etc/docker/daemon.json": text}
    )

    assert "docker 20.10" in assert_single_root_cause(result, "client/daemon-json-invalid")["detail"]
    assert_healthy(run_regdoctor("lint", tmp_path / "daemon.json"))


ENTRIES = {
    "without its port": ("10.77.0.2", "no port"),
    "with another port": ("10.77.0.2:5001", "the port 5001"),
}


def pull(daemon: Dockerd, image: str) -> str:
    return daemon.docker("pull", image).stderr


@pytest.mark.needs("dockerd")
@pytest.mark.parametrize("name", ENTRIES)
def test_an_insecure_entry_that_docker_does_not_match_is_named(
    start_registry: StartRegistry, linked_hosts: LinkedHosts, tmp_path: Path, name: str
) -> None:
    registry = start_registry(host=linked_hosts.server_address, port=5000, namespace=linked_hosts.server)
    entry, words = ENTRIES[name]
    text = f'{{"insecure-registries": ["{entry}"]}}'
    with Dockerd(tmp_path / "dockerd", text, namespace=linked_hosts.client) as daemon:
        assert "server gave HTTP response to HTTPS client" in pull(daemon, f"{registry.address}/a:1")

    path = write(tmp_path / "daemon.json", text)
    result = run_regdoctor("check", registry.address, "--daemon-json", path, in_namespace=linked_hosts.client)

    found = assert_single_root_cause(result, "client/insecure-entry-wrong")
    assert words in found["detail"]
    assert found["evidence"] == [f"{path}:1"]


@pytest.mark.needs("dockerd")
def test_an_insecure_entry_that_docker_matches_is_no_fault_of_it(
    start_registry: StartRegistry, linked_hosts: LinkedHosts, tmp_path: Path
) -> None:
    registry = start_registry(host=linked_hosts.server_address, port=5000, namespace=linked_hosts.server)
    push_image(registry, "a", "1")
    text = '{"insecure-registries": ["10.0.0.0/8"]}'
    with Dockerd(tmp_path / "dockerd", text, namespace=linked_hosts.client) as daemon:
        assert "server gave HTTP response to HTTPS client" not in pull(daemon, f"{registry.address}/a:1")

    path = write(tmp_path / "daemon.json", text)
    arguments = ("check", f"http://{registry.address}", "--daemon-json", path)

    assert_healthy(run_regdoctor(*arguments, in_namespace=linked_hosts.client), allow=["security/plain-http"])


@pytest.mark.needs("dockerd")
def test_the_name_of_the_flag_in_the_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "daemon.json", '{"insecure-registry": ["10.77.0.2:5000"]}')
    assert docker_daemon.refusal(tmp_path / "dockerd", path) is None

    assert_single_root_cause(run_regdoctor("lint", path), "client/insecure-entry-wrong")


@pytest.mark.needs("dockerd")
def test_an_entry_that_the_running_daemon_has_not_loaded_is_named(
    start_registry: StartRegistry, linked_hosts: LinkedHosts, tmp_path: Path
) -> None:
    registry = start_registry(host=linked_hosts.server_address, port=5000, namespace=linked_hosts.server)
    path = write(tmp_path / "daemon.json", f'{{"insecure-registries": ["{registry.address}"]}}')
    with Dockerd(tmp_path / "dockerd", "{}", namespace=linked_hosts.client) as daemon:
        assert "server gave HTTP response to HTTPS client" in pull(daemon, f"{registry.address}/a:1")

        result = run_regdoctor(
            *("check", registry.address, "--daemon-json", path, "--profile", "host", "--only", "client"),
            *("--only", "tls"),
            in_namespace=linked_hosts.client,
            env={"DOCKER_HOST": f"unix://{daemon.socket}"},
        )

    found = assert_single_root_cause(result, "client/insecure-entry-wrong")
    assert "was not reloaded since" in found["detail"]


@pytest.mark.needs("nginx", "skopeo")
def test_an_insecure_entry_that_hides_what_https_says_is_named(
    start_nginx: StartNginx, certificate: CertificateFiles, tmp_path: Path
) -> None:
    nginx = start_nginx(ReverseProxy(f"http://127.0.0.1:{free_port()}", tls=certificate, name=NAME))
    address = f"{NAME}:{nginx.port}"
    conf = write(tmp_path / "registries.conf", f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
    said = skopeo("--registries-conf", conf, "inspect", f"docker://{address}/a:1", hosts=HOSTS).stderr
    # The truth is 502: nobody sees it.
    assert "400" in said
    assert "502" not in said

    result = run_regdoctor(
        *("check", address, "--cacert", certificate.ca, "--registries-conf", conf), hosts=HOSTS
    )

    found = assert_has(result, "client/insecure-hides-cause")
    assert (found["severity"], "answers 502" in found["detail"]) == ("warning", True)
    assert_lacks(run_regdoctor("check", address, "--cacert", certificate.ca, hosts=HOSTS), found["code"])


def test_an_insecure_entry_for_a_trusted_registry_is_worth_knowing_only(
    tls_registry: Registry, tmp_path: Path
) -> None:
    address = tls_registry.address
    conf = write(tmp_path / "registries.conf", f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')

    result = check(tls_registry, "--registries-conf", conf)

    assert_healthy(result)
    assert assert_has(result, "client/insecure-hides-cause")["severity"] == "info"


# mirrors


@pytest.mark.needs("dockerd")
def test_a_mirror_that_docker_asks_for_docker_hub_only_is_named(
    start_registry: StartRegistry, linked_hosts: LinkedHosts, tmp_path: Path
) -> None:
    origin = start_registry(host=linked_hosts.server_address, port=5000, namespace=linked_hosts.server)
    mirror = start_registry(host=linked_hosts.server_address, port=5001, namespace=linked_hosts.server)
    push_image(origin, "a", "1")
    text = json.dumps(
        {"registry-mirrors": [f"{mirror.url}/"], "insecure-registries": [origin.address, mirror.address]}
    )
    with Dockerd(tmp_path / "dockerd", text, namespace=linked_hosts.client) as daemon:
        pull(daemon, f"{origin.address}/a:1")
    assert "/v2/a/manifests/1" in origin.log()
    assert "manifests" not in mirror.log()

    path = write(tmp_path / "daemon.json", text)
    result = run_regdoctor(
        *("check", f"{origin.address}/a:1", "--plain-http", "--daemon-json", path, "--only", "client"),
        in_namespace=linked_hosts.client,
    )

    assert_single_root_cause(result, "client/mirror-not-applicable")


@pytest.mark.needs("dockerd")
def test_a_mirror_of_docker_that_is_down_is_named(
    start_registry: StartRegistry, linked_hosts: LinkedHosts, authority: Authority, tmp_path: Path
) -> None:
    hub = "registry-1.docker.io"
    origin = start_registry(
        host=linked_hosts.server_address,
        port=443,
        name=hub,
        tls=authority.issue([hub]).write(tmp_path / "tls"),
        namespace=linked_hosts.server,
    )
    push_image(origin, "library/app", "1.0")
    text = f'{{"registry-mirrors": ["http://{linked_hosts.server_address}:5001"]}}'
    with Dockerd(
        tmp_path / "dockerd",
        text,
        hosts=origin.hosts,
        files=trust_store_files(authority.ca_pem),
        namespace=linked_hosts.client,
    ) as daemon:
        daemon.docker("pull", "app:1.0")
        # Docker goes on to the origin; who does not read its log hears nothing of the mirror.
        assert "/v2/library/app/manifests/1.0" in origin.log()
        assert "connect: connection refused" in daemon.log()

    path = write(tmp_path / "daemon.json", text)
    result = run_regdoctor(
        *("check", "app:1.0", "--cacert", authority_file(tmp_path, authority), "--daemon-json", path),
        in_namespace=linked_hosts.client,
        hosts=origin.hosts,
    )

    found = assert_single_root_cause(result, "client/mirror-broken")
    assert found["evidence"][0] == f"{path}:1"


def authority_file(folder: Path, authority: Authority) -> Path:
    return write(folder / "ca.pem", authority.ca_pem)


@pytest.mark.needs("skopeo")
def test_a_mirror_of_podman_that_is_down_is_named(tls_registry: Registry, tmp_path: Path) -> None:
    push(tls_registry)
    address = tls_registry.address
    conf = write(
        tmp_path / "registries.conf",
        f'[[registry]]\nlocation = "{address}"\n[[registry.mirror]]\nlocation = "127.0.0.1:{free_port()}"\n',
    )
    assert tls_registry.tls is not None
    told = skopeo(
        *("--registries-conf", conf, "inspect", f"docker://{address}/team/app:1.0"),
        hosts=HOSTS,
        ca=tls_registry.tls.ca,
    )
    # It works, and nobody hears of the mirror.
    assert told.returncode == 0
    assert "mirror" not in told.stderr

    result = check(tls_registry, "--registries-conf", conf, image="/team/app:1.0")

    found = assert_single_root_cause(result, "client/mirror-broken")
    assert found["evidence"][0] == f"{conf}:4"


@pytest.mark.needs("containerd", "ctr")
@pytest.mark.parametrize("fault", ["wants a login", "is down", "speaks plain HTTP"])
def test_a_mirror_of_containerd_that_helps_nobody_is_named(
    tls_registry: Registry,
    start_registry: StartRegistry,
    certificate: CertificateFiles,
    tmp_path: Path,
    fault: str,
) -> None:
    address = tls_registry.address
    if fault == "wants a login":
        mirror = start_registry(name=NAME, tls=certificate, htpasswd={USERNAME: PASSWORD}).address
    elif fault == "is down":
        mirror = f"{NAME}:{free_port()}"
    else:
        mirror = start_registry(name=NAME).address
    digest = push(tls_registry)
    ca = f'ca = "{certificate.ca}"\n'
    write(
        tmp_path / "certs.d" / address / "hosts.toml",
        f'server = "https://{address}"\n{ca}[host."https://{mirror}"]\n{ca}[host."https://{address}"]\n{ca}',
    )
    with Containerd(tmp_path / "containerd") as containerd:
        pulled = containerd.pull(f"{address}/team/app@{digest}", tmp_path / "certs.d", hosts=HOSTS)
    # It works, whatever became of the mirror.
    assert pulled.returncode == 0, pulled.stderr

    result = check(tls_registry, "--hosts-dir", tmp_path / "certs.d", image="/team/app:1.0")

    found = assert_single_root_cause(result, "client/mirror-broken")
    assert mirror in found["detail"]


def test_a_mirror_that_serves_the_image_is_healthy(
    tls_registry: Registry, start_registry: StartRegistry, certificate: CertificateFiles, tmp_path: Path
) -> None:
    mirror = start_registry(name=NAME, tls=certificate)
    push(tls_registry)
    push(mirror)
    address = tls_registry.address
    write(tmp_path / "certs.d" / address / "hosts.toml", f'[host."https://{mirror.address}"]\n')
    conf = write(
        tmp_path / "registries.conf",
        f'[[registry]]\nlocation = "{address}"\n[[registry.mirror]]\nlocation = "{mirror.address}"\n',
    )

    result = check(
        tls_registry, "--hosts-dir", tmp_path / "certs.d", "--registries-conf", conf, image="/team/app:1.0"
    )

    assert_healthy(result)


# containerd


def containerd_pull(folder: Path, registry: Registry, hosts_dir: Path) -> str:
    with Containerd(folder) as containerd:
        return containerd.pull(f"{registry.address}/team/app:1.0", hosts_dir, hosts=HOSTS).stderr


@pytest.mark.needs("containerd", "ctr")
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('ca = "ca.crt"\n', 'unable to read CA cert "ca.crt"'),
        ('capabilities = ["pull", "fetch"]\nca = "ca.pem"\n', "unknown capability fetch"),
        ('skip_verify = "true"\nca = "ca.pem"\n', "skip_verify is a text"),
        ('ca = ["ca.pem", 1]\n', 'invalid type for "ca"'),
    ],
)
def test_a_hosts_toml_that_containerd_cannot_use_is_named(
    tls_registry: Registry, authority: Authority, tmp_path: Path, setting: str, words: str
) -> None:
    address = tls_registry.address
    push(tls_registry)
    path = write(
        tmp_path / "certs.d" / address / "hosts.toml",
        f'server = "https://{address}"\n[host."https://{address}"]\n{setting}',
    )
    write(path.parent / "ca.pem", authority.ca_pem)
    said = containerd_pull(tmp_path / "containerd", tls_registry, tmp_path / "certs.d")
    assert "failed to decode hosts.toml" in said or "unable to read CA cert" in said

    result = check(tls_registry, "--hosts-dir", tmp_path / "certs.d", image="/team/app:1.0")

    found = assert_single_root_cause(result, "client/hosts-toml-invalid")
    assert words in found["detail"]
    assert found["evidence"][0].startswith(f"{path}:")
    assert (
        assert_has(run_regdoctor("lint", path), "client/hosts-toml-invalid")["evidence"][0]
        == found["evidence"][0]
    )


@pytest.mark.needs("containerd", "ctr")
def test_a_folder_that_containerd_does_not_look_into_is_named(
    tls_registry: Registry, certificate: CertificateFiles, tmp_path: Path
) -> None:
    push(tls_registry)
    address = tls_registry.address
    path = write(
        tmp_path / "certs.d" / NAME / "hosts.toml", f'[host."https://{address}"]\nca = "{certificate.ca}"\n'
    )
    said = containerd_pull(tmp_path / "containerd", tls_registry, tmp_path / "certs.d")
    assert "certificate signed by unknown authority" in said

    result = check(
        tls_registry, "--hosts-dir", tmp_path / "certs.d", "--only", "client", image="/team/app:1.0"
    )

    found = assert_has(result, "client/hosts-toml-invalid")
    assert f"{path} lies in a folder called {NAME}" in found["detail"]


def hosts_on_this_host(registry: Registry, config: str) -> dict[str, str | Path]:
    """containerd's files in their usual places."""
    address = registry.address
    return {
        "/etc/containerd/config.toml": f"version = 2\n{config}",
        f"/etc/containerd/certs.d/{address}/hosts.toml": f'[host."http://{address}"]\n',
    }


CRI = '[plugins."io.containerd.grpc.v1.cri".registry]\n'


@pytest.mark.needs("containerd")
@pytest.mark.parametrize(
    ("config", "place"),
    [
        ("", "/etc/containerd/config.toml"),
        (
            '[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/etc/containerd/certs.d"\n',
            "/etc/containerd/config.toml:3",
        ),
    ],
)
def test_a_config_path_that_is_not_set_is_named(
    start_registry: StartRegistry, linked_hosts: LinkedHosts, tmp_path: Path, config: str, place: str
) -> None:
    with Containerd(tmp_path / "containerd", config) as containerd:
        assert containerd.kubernetes_config_path == ""
    registry = start_registry(
        host=linked_hosts.server_address, port=5000, name=NAME, namespace=linked_hosts.server
    )

    result = run_regdoctor(
        *("check", registry.address, "--profile", "host"),
        *("--only", "client", "--only", "tls"),
        in_namespace=linked_hosts.client,
        hosts=registry.hosts,
        files=hosts_on_this_host(registry, config),
    )

    found = assert_single_root_cause(result, "client/config-path-unset")
    assert found["evidence"][0] == place


@pytest.mark.needs("containerd")
def test_a_config_path_that_is_set_is_healthy(start_registry: StartRegistry, tmp_path: Path) -> None:
    config = f'{CRI}config_path = "/etc/containerd/certs.d"\n'
    with Containerd(tmp_path / "containerd", config) as containerd:
        assert containerd.kubernetes_config_path == "/etc/containerd/certs.d"
    registry = start_registry(name=NAME)

    result = check(
        registry,
        *("--profile", "host", "--only", "client"),
        files=hosts_on_this_host(registry, config),
    )

    assert_healthy(result)


@pytest.mark.needs("containerd")
@pytest.mark.parametrize(
    "old",
    [
        f'{CRI[:-2]}.mirrors."docker.io"]\nendpoint = ["https://mirror.test"]\n',
        f'{CRI[:-2]}.configs."reg.test".tls]\ninsecure_skip_verify = true\n',
    ],
)
def test_old_tables_beside_config_path_are_named(tmp_path: Path, old: str) -> None:
    config = f'{CRI}config_path = "/etc/containerd/certs.d"\n{old}'
    with Containerd(tmp_path / "containerd", config) as containerd:
        assert "cannot be set when `config_path` is provided" in containerd.log()
    path = write(tmp_path / "config.toml", f"version = 2\n{config}")

    found = assert_single_root_cause(run_regdoctor("lint", path), "client/mirrors-conflict")

    assert f"{path}:3" in found["evidence"]
    assert_healthy(run_regdoctor("lint", write(path, f"version = 2\n{old}")))


# podman, skopeo, buildah and CRI-O


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[registry]]\nlocation = "https://reg.test"\n', "URI schemes are not supported"),
        (
            "[registries.search]\nregistries = ['docker.io']\n[[registry]]\nlocation = 'reg.test'\n",
            "mixing sysregistry v1/v2 is not supported",
        ),
        ("unqualified-search-registries = [docker.io]\n", "line 1"),
    ],
)
def test_a_registries_conf_that_stops_every_command_is_named(
    tls_registry: Registry, tmp_path: Path, text: str, words: str
) -> None:
    path = write(tmp_path / "registries.conf", text)
    image = f"docker://{tls_registry.address}/a:1"
    said = skopeo("--registries-conf", path, "inspect", image, hosts=HOSTS).stderr
    assert "loading registries configuration" in said

    found = assert_single_root_cause(
        check(tls_registry, "--registries-conf", path), "client/registries-conf-invalid"
    )

    assert words in found["detail"]
    assert_single_root_cause(run_regdoctor("lint", path), "client/registries-conf-invalid")


@pytest.mark.needs("skopeo")
def test_a_registry_that_registries_conf_blocks_is_named(tls_registry: Registry, tmp_path: Path) -> None:
    address = tls_registry.address
    push(tls_registry)
    push(tls_registry, "other/app")
    path = write(tmp_path / "registries.conf", f'[[registry]]\nlocation = "{address}/team"\nblocked = true\n')
    image = f"docker://{address}/team/app:1.0"
    said = skopeo("--registries-conf", path, "inspect", image, hosts=HOSTS).stderr
    assert "is blocked in" in said

    result = check(tls_registry, "--registries-conf", path, image="/team/app:1.0")

    found = assert_single_root_cause(result, "client/registry-blocked")
    assert found["evidence"] == [f"{path}:3"]
    assert_healthy(check(tls_registry, "--registries-conf", path, image="/other/app:1.0"))
    assert_healthy(run_regdoctor("lint", path))


def policy_for(address: str, requirement: str) -> str:
    return json.dumps(
        {
            "default": [{"type": "insecureAcceptAnything"}],
            "transports": {"docker": {f"{address}/team": [json.loads(requirement)]}},
        },
        indent=1,
    )


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        ('{"type": "reject"}', "is rejected by policy"),
        (
            '{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/etc/hostname"}',
            "A signature was required, but no signature exists",
        ),
    ],
)
def test_an_image_that_policy_json_refuses_is_named(
    tls_registry: Registry, tmp_path: Path, requirement: str, words: str
) -> None:
    address = tls_registry.address
    push(tls_registry)
    push(tls_registry, "other/app")
    path = write(tmp_path / "policy.json", policy_for(address, requirement))
    assert tls_registry.tls is not None
    said = skopeo(
        *("--policy", path, "copy", f"docker://{address}/team/app:1.0", f"dir:{tmp_path / 'copy'}"),
        hosts=HOSTS,
        ca=tls_registry.tls.ca,
    ).stderr
    assert words in said

    result = check(tls_registry, "--policy", path, image="/team/app:1.0")

    assert words in assert_single_root_cause(result, "client/policy-rejects")["detail"]
    assert_healthy(check(tls_registry, "--policy", path, image="/other/app:1.0"))
    assert_healthy(run_regdoctor("lint", path))


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"default": [{"type": "accept"}]}', 'Unknown policy requirement type "accept"'),
        ('{"default": [{"type": "reject"}],}', "invalid character '}'"),
        ("{}", "Default policy is missing"),
    ],
)
def test_a_policy_json_that_is_not_valid_is_named(
    tls_registry: Registry, tmp_path: Path, text: str, words: str
) -> None:
    path = write(tmp_path / "policy.json", text)
    said = skopeo(
        "--policy", path, "copy", f"docker://{tls_registry.address}/a:1", f"dir:{tmp_path / 'copy'}"
    ).stderr
    assert "invalid policy in" in said

    found = assert_single_root_cause(check(tls_registry, "--policy", path), "client/policy-invalid")

    assert words in found["detail"]
    assert_single_root_cause(run_regdoctor("lint", path), "client/policy-invalid")


# what docker's client has stored


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"auths": {"reg.test": ', "unexpected end of JSON input"),
        ('{"auths": []}', "auths is not an object"),
    ],
)
def test_a_config_json_that_is_not_valid_is_named(
    htpasswd_registry: Registry, tmp_path: Path, text: str, words: str
) -> None:
    path = write(tmp_path / ".docker/config.json", text)
    told = skopeo(
        *("inspect", f"docker://{htpasswd_registry.address}/a:1"), hosts=HOSTS, env={"HOME": str(tmp_path)}
    )
    assert str(path) in told.stderr

    result = check(htpasswd_registry, env={"DOCKER_CONFIG": str(path.parent)})

    assert_single_root_cause(result, "client/docker-config-invalid")
    found = assert_single_root_cause(run_regdoctor("lint", path), "client/docker-config-invalid")
    assert words in found["detail"]


# buildkit


def builder(folder: Path, driver: str) -> Path:
    """The files by which buildx remembers its builders (docker/buildx ``store``)."""
    write(folder / "buildx/current", '{"Key": "unix:///var/run/docker.sock", "Name": "box", "Global": false}')
    instance = {"Name": "box", "Driver": driver, "Nodes": [{"Name": "box0", "Endpoint": "default"}]}
    write(folder / "buildx/instances/box", json.dumps(instance))
    return folder


@pytest.mark.parametrize("driver", ["docker-container", "docker"])
def test_a_builder_with_settings_of_its_own_is_told(
    start_registry: StartRegistry, linked_hosts: LinkedHosts, tmp_path: Path, driver: str
) -> None:
    registry = start_registry(host=linked_hosts.server_address, port=5000, namespace=linked_hosts.server)

    result = run_regdoctor(
        *("check", registry.address, "--profile", "host", "--only", "client", "--only", "tls"),
        in_namespace=linked_hosts.client,
        env={"DOCKER_CONFIG": str(builder(tmp_path, driver))},
    )

    if driver == "docker":
        assert_lacks(result, "client/buildkit-separate")
        return
    found = assert_has(result, "client/buildkit-separate")
    assert (found["severity"], "box" in found["detail"]) == ("info", True)
    assert_single_root_cause(result, "tls/plain-http-server")


def test_a_buildkitd_toml_that_is_not_valid_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "buildkitd.toml", '[registry."reg.test:5000"]\nhttp = "true"\n')

    found = assert_single_root_cause(run_regdoctor("lint", path), "client/buildkit-separate")

    assert found["evidence"] == [f"{path}:2"]


# hostile files


HOSTILE: dict[str, bytes] = {
    "daemon.json": b'{"registry-mirrors": ' + b"[" * 100_000,
    "policy.json": b'{"default": ' + b"[" * 100_000,
    "config.json": b'{"auths": {' + b'"a": {"auth": "eA=="},' * 30_000 + b"}}",
    "registries.conf": b"x = " + b"[" * 100_000,
    "hosts.toml": b"[" * 100_000,
    "buildkitd.toml": b"x" * 3_000_000,
    "pod.yaml": b"apiVersion: v1\nkind: Pod\na: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
    + b"d: [*c, *c]\n" * 9,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_judged_in_bounded_time(tmp_path: Path, name: str) -> None:
    kinds = {"config.json": "docker-config", "policy.json": "policy", "pod.yaml": "kubernetes"}
    kind = ("--kind", kinds[name]) if name in kinds else ()

    result = run_regdoctor("lint", *kind, write(tmp_path / name, HOSTILE[name]), timeout=30)

    assert result.exit_code in (0, 3), result.describe()
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize("kind", ["daemon", "hosts", "registries", "policy", "docker-config", "buildkit"])
def test_a_file_that_may_not_be_read_is_said_to_be_unreadable(tmp_path: Path, kind: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="open-") as folder:
        Path(folder).chmod(0o755)
        path = write(Path(folder) / "file", "{}")
        path.chmod(0o600)

        result = run_regdoctor("lint", "--kind", kind, path, user="nobody")

    (finding,) = [each for target in result.report["targets"] for each in target["findings"]]
    assert (finding["severity"], finding["certainty"]) == ("warning", "possible")
    assert "Permission denied" in finding["detail"]
    assert "root" in finding["detail"]


def test_no_secret_of_a_file_is_shown(tls_registry: Registry, tmp_path: Path) -> None:
    secret = "c0rrect-h0rse"
    daemon = write(tmp_path / "daemon.json", f'{{"registry-mirrors": ["https://u:{secret}@mirror.test"]}}')
    address = tls_registry.address
    write(
        tmp_path / "certs.d" / address / "hosts.toml",
        f'[host."https://u:{secret}@mirror.test"]\n[host."https://u:{secret}@mirror.test".header]\n'
        f'Authorization = "Basic {secret}"\n',
    )

    for report_format in ("json", "text", "html"):
        result = check(
            tls_registry,
            *("--daemon-json", daemon, "--hosts-dir", tmp_path / "certs.d"),
            report_format=report_format,
        )
        assert secret not in result.stdout + result.stderr


def test_a_folder_is_searched_for_clients_files(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "docker/daemon.json", '{"registry-mirrors": ["mirror.test"]}'),
        write(tmp_path / "containerd/certs.d/docker.io/hosts.toml", "[host]\nx = 1\n"),
        write(tmp_path / "containers/registries.conf.d/50-x.conf", '[[registry]]\nlocation = "http://a"\n'),
        write(tmp_path / "containers/policy.json", "{}"),
        write(tmp_path / ".docker/config.json", '{"auths": []}'),
        write(tmp_path / "buildkitd.toml", '[registry."a"]\nhttp = 1\n'),
    ]
    write(tmp_path / "notes.txt", "nothing")

    report = run_regdoctor("lint", tmp_path).report

    found = {target["target"]: [each["code"] for each in target["findings"]] for target in report["targets"]}
    assert found == {
        str(files[0]): ["client/daemon-json-invalid"],
        str(files[1]): ["client/hosts-toml-invalid"],
        str(files[2]): ["client/registries-conf-invalid"],
        str(files[3]): ["client/policy-invalid"],
        str(files[4]): ["client/docker-config-invalid"],
        str(files[5]): ["client/buildkit-separate"],
    }
