"""How clients would reach a registry by their settings, and what they would meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from regdoctor.api import (
    Builder,
    ClientRoute,
    ContainerdVersion,
    CredentialKind,
    Credentials,
    DaemonProxies,
    DaemonProxy,
    DaemonState,
    Failure,
    FailureKind,
    Handshakes,
    KubernetesObjects,
    Listed,
    Ping,
    PullSecret,
    buildkit,
    containerd_config,
    daemon_json,
    hosts_toml,
    registries_conf,
    signature_policy,
)
from regdoctor.checks.client.routes import Settings, work_out
from regdoctor.oci.reference import parse_target
from tests.checks.tls.examples import accepted, handshake, refused
from tests.support.facts import answer, endpoint

TARGET = parse_target("reg.test:5000/team/app:1.0")
REGISTRY = endpoint(port=5000)
BY_TLS = Handshakes(handshakes=(handshake(verifications=(accepted(*handshake().chain),)),))
UNTRUSTED = Handshakes(handshakes=(handshake(verifications=(refused(depth=1),)),))
BY_HTTP = Handshakes(handshakes=(handshake(protocol=None, plaintext_excerpt="HTTP/1.1 400"),))


def routes(**known: Any) -> dict[str, ClientRoute]:
    values: dict[str, Any] = {"target": TARGET, "endpoint": REGISTRY, "addresses": ("10.0.0.9",)}
    return {route.client: route for route in work_out(Settings(**{**values, **known})).routes}


def daemon(text: str) -> Any:
    return daemon_json.parse_daemon_json(text.encode(), Path("/etc/docker/daemon.json"))


def test_nothing_is_said_of_clients_that_nothing_is_known_of() -> None:
    assert routes() == {}


@pytest.mark.parametrize(
    ("entry", "schemes", "verifies"),
    [
        ("reg.test:5000", ("https", "http"), False),
        ("10.0.0.0/8", ("https", "http"), False),
        ("reg.test", ("https",), True),
    ],
)
def test_docker_falls_back_to_http_where_the_registry_is_listed(
    entry: str, schemes: tuple[str, ...], verifies: bool
) -> None:
    docker = routes(daemon=daemon(f'{{"insecure-registries": ["{entry}"]}}'))["docker"]

    assert (docker.schemes, docker.verifies, docker.tried) == (schemes, verifies, False)


def test_docker_takes_its_own_host_for_insecure() -> None:
    assert not routes(docker_installed=True, addresses=("127.0.0.1",))["docker"].verifies
    assert routes(docker_installed=True)["docker"].verifies


def test_what_the_running_daemon_says_counts_for_the_file() -> None:
    listed = daemon('{"insecure-registries": ["reg.test:5000"]}')

    assert routes(daemon=listed, state=DaemonState(socket="/s", version="20.10.24"))["docker"].verifies
    assert not routes(daemon=listed, state=DaemonState(socket="/s", failure="it is not there"))[
        "docker"
    ].verifies


def test_a_daemon_that_does_not_start_reaches_nothing() -> None:
    docker = routes(daemon=daemon('{"foo": 1}'), handshakes=BY_TLS)["docker"]

    assert docker.obstacle is not None
    assert docker.obstacle.startswith("dockerd does not start")


def hosts(root: Path, text: str) -> Any:
    path = root / "reg.test:5000/hosts.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return hosts_toml.read_roots([root])


@pytest.mark.parametrize(
    ("text", "schemes", "verifies"),
    [
        ('server = "http://reg.test:5000"\n', ("http",), False),
        ('[host."http://reg.test:5000"]\n', ("http",), False),
        ('server = "https://reg.test:5000"\n', ("https",), True),
        ('[host."https://reg.test:5000"]\nskip_verify = true\n', ("https",), False),
        ('[host."https://mirror.test"]\n', ("https",), True),
        ("broken", ("https",), True),
    ],
)
def test_containerd_goes_as_its_hosts_toml_says(
    tmp_path: Path, text: str, schemes: tuple[str, ...], verifies: bool
) -> None:
    containerd = routes(hosts=hosts(tmp_path, text))["containerd"]

    assert (containerd.schemes, containerd.verifies) == (schemes, verifies)


def test_containerd_asks_its_mirrors_first(tmp_path: Path) -> None:
    found = hosts(tmp_path, '[host."https://mirror.test/cache"]\n[host."https://reg.test:5000"]\n')

    assert routes(hosts=found)["containerd"].mirrors == ("https://mirror.test/cache",)


def test_a_hosts_toml_that_is_not_read_changes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("version = 2\n")
    known = {
        "hosts": hosts(tmp_path / "certs.d", 'server = "http://reg.test:5000"\n'),
        "containerd": containerd_config.read_containerd_config(config),
    }

    assert routes(**known)["containerd"].schemes == ("https",)
    newer = ContainerdVersion(text="2.2.0", major=2, minor=2)
    assert routes(**known, version=newer)["containerd"].schemes == ("http",)


def test_a_file_that_a_hosts_toml_names_in_vain_ends_every_pull(tmp_path: Path) -> None:
    containerd = routes(hosts=hosts(tmp_path, 'server = "https://reg.test:5000"\nca = "/none.crt"\n'))[
        "containerd"
    ]

    assert containerd.obstacle is not None
    assert "unable to read CA cert" in containerd.obstacle


def conf(folder: Path, text: str) -> Any:
    path = folder / "registries.conf"
    path.write_text(f'[[registry]]\nlocation = "reg.test:5000"\n{text}')
    return registries_conf.read_registries_conf(path)


def test_podman_goes_as_registries_conf_says(tmp_path: Path) -> None:
    insecure = routes(conf=conf(tmp_path, "insecure = true\n"))["podman"]
    blocked = routes(conf=conf(tmp_path, "blocked = true\n"))["podman"]
    mirrored = routes(conf=conf(tmp_path, '[[registry.mirror]]\nlocation = "m.test"\n'))["podman"]
    broken = routes(conf=conf(tmp_path, "insecure = 1\n"))["podman"]

    assert (insecure.schemes, insecure.verifies) == (("https", "http"), False)
    assert blocked.obstacle is not None
    assert "blocks it" in blocked.obstacle
    assert mirrored.mirrors == ("https://m.test",)
    assert broken.obstacle is not None
    assert "cannot be used" in broken.obstacle


def test_a_file_of_the_user_that_hides_the_systems_is_told(tmp_path: Path) -> None:
    own = tmp_path / "registries.conf"
    own.touch()
    system = Path("/etc/containers/registries.conf")

    podman = routes(conf=registries_conf.read_registries_conf(own, hidden=system))["podman"]

    assert podman.because == (f"{own}, which hides {system}",)


def test_a_policy_keeps_podman_from_images() -> None:
    rejecting = signature_policy.parse_policy('{"default": [{"type": "reject"}]}', Path("policy.json"))

    podman = routes(policy=rejecting)["podman"]

    assert podman.obstacle == "policy.json rejects it (policy.json:1:14)"


def test_buildkit_goes_as_buildkitd_toml_says(tmp_path: Path) -> None:
    path = tmp_path / "buildkitd.toml"
    path.write_text('[registry."reg.test:5000"]\nhttp = true\nmirrors = ["m.test"]\n')

    found = routes(buildkit=buildkit.read_buildkitd_toml(path))["buildkit"]

    assert (found.schemes, found.mirrors) == (("http",), ("m.test",))
    assert routes(builder=Builder(name="b", driver="docker-container", path="/b"))["buildkit"].schemes == (
        "https",
    )
    assert routes(builder=Builder(name="b", driver="docker", path="/b")) == {}


@pytest.mark.parametrize(
    ("insecure", "shown", "obstacle"),
    [
        (False, BY_TLS, None),
        (False, BY_HTTP, "plain HTTP"),
        (False, UNTRUSTED, "its certificate is refused"),
        (True, BY_HTTP, None),
        (True, UNTRUSTED, None),
    ],
)
def test_settings_are_compared_with_what_the_registry_shows(
    tmp_path: Path, insecure: bool, shown: Handshakes, obstacle: str | None
) -> None:
    podman = routes(conf=conf(tmp_path, f"insecure = {str(insecure).lower()}\n"), handshakes=shown)["podman"]

    assert podman.tried
    assert (podman.obstacle is None) is (obstacle is None)
    assert obstacle is None or obstacle in (podman.obstacle or "")


def test_http_alone_does_not_reach_a_registry_with_tls(tmp_path: Path) -> None:
    found = hosts(tmp_path, 'server = "http://reg.test:5000"\n')

    assert "speaks TLS" in (routes(hosts=found, handshakes=BY_TLS)["containerd"].obstacle or "")


def test_a_registry_that_is_addressed_by_http_is_compared_too() -> None:
    plain = endpoint(scheme="http", port=5000)
    ping = Ping(answer=answer(200), trusted=True)

    assert "plain HTTP" in (routes(docker_installed=True, endpoint=plain, ping=ping)["docker"].obstacle or "")
    assert not routes(docker_installed=True, endpoint=plain)["docker"].tried


def test_each_client_has_its_own_credentials_and_proxy() -> None:
    stored = Credentials(
        key="reg.test:5000",
        kind=CredentialKind.PASSWORD,
        username="alice",
        source="/root/.docker/config.json",
    )
    key = Listed(value="reg.test:5000", path="secret.yaml", line=7, column=3)
    secret = PullSecret(
        name="regcred", namespace=None, type="", path="secret.yaml", line=1, column=1, registries=(key,)
    )
    proxy = DaemonProxy(
        daemon="dockerd", source="the unit", proxy="http://proxy.test:3128", why="HTTPS_PROXY", running=True
    )

    found = routes(
        docker_installed=True,
        hosts=hosts_toml.read_roots([]),
        credentials={"docker": stored, "podman": Credentials(key="reg.test:5000")},
        policy=signature_policy.parse_policy('{"default": [{"type": "insecureAcceptAnything"}]}', Path("p")),
        secrets=KubernetesObjects(path="secret.yaml", secrets=(secret,)),
        proxies=DaemonProxies(daemons=(proxy,)),
    )

    assert (found["docker"].username, found["docker"].proxy) == ("alice", "http://proxy.test:3128")
    assert found["containerd"].credentials == "the pull secret regcred (secret.yaml:7:3)"
    assert (found["podman"].credentials, found["podman"].proxy) == (None, None)


def test_a_daemon_that_goes_through_another_proxy_is_judged_by_that_one() -> None:
    def docker(**changes: Any) -> ClientRoute:
        proxy = DaemonProxy(
            daemon="dockerd", source="the unit", proxy="http://p.test:3128", why="", running=True, **changes
        )
        return routes(docker_installed=True, handshakes=BY_TLS, proxies=DaemonProxies(daemons=(proxy,)))[
            "docker"
        ]

    failure = Failure(kind=FailureKind.CONNECTION_REFUSED, message="nothing listens on p.test:3128")
    assert "nothing listens on p.test:3128" in (docker(failure=failure).obstacle or "")
    assert (docker().obstacle, docker().tried) == (None, False)


def test_the_table_has_a_row_for_each_client() -> None:
    table = work_out(
        Settings(target=TARGET, docker_installed=True, endpoint=REGISTRY, handshakes=BY_HTTP)
    ).table()

    assert table is not None
    (row,) = table.rows
    assert len(row) == len(table.columns)
    assert [cell.text for cell in row[:3]] == ["docker", "no", "https"]
    assert row[1].notes == ("the registry speaks plain HTTP, and it goes by https alone",)
