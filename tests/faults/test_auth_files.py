"""Faults of password files and pull secrets, each the single root cause, and the healthy twins."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import NAME, PASSWORD, USERNAME, StartRegistry
from tests.support import programs
from tests.support.certificates import CertificateFiles
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry, htpasswd_line

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

HOSTS = {NAME: "127.0.0.1"}


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    """A right file, as ``htpasswd -B`` makes it."""
    path = tmp_path / "htpasswd"
    path.write_text(f"{htpasswd_line(USERNAME, PASSWORD)}\n")
    return path


def start(start_registry: StartRegistry, certificate: CertificateFiles, htpasswd: Path) -> Registry:
    return start_registry(name=NAME, tls=certificate, htpasswd=htpasswd)


def login(registry: Registry) -> int:
    return registry.client((USERNAME, PASSWORD)).request("GET", "/v2/").status


def check(registry: Registry, *arguments: str | Path) -> CliResult:
    assert registry.tls is not None
    return run_regdoctor(
        *("check", registry.address, "--cacert", registry.tls.ca, "--config", registry.config_path),
        *("--username", USERNAME, "--password-stdin", *arguments),
        stdin=PASSWORD,
        hosts=HOSTS,
    )


def add(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line)


def test_a_right_password_file_is_healthy(
    start_registry: StartRegistry, certificate: CertificateFiles, htpasswd: Path
) -> None:
    registry = start(start_registry, certificate, htpasswd)
    add(htpasswd, f"# more\n\n{htpasswd_line('bob', 'builder')}\n")

    assert login(registry) == 200
    assert_healthy(check(registry))
    assert_healthy(run_regdoctor("lint", htpasswd))


@pytest.mark.needs("htpasswd")
def test_files_of_the_usual_programs_are_healthy(tmp_path: Path) -> None:
    # Apache's writes $2y$, Python's and Go's $2b$ and $2a$.
    made = subprocess.run(
        [programs.path("htpasswd"), "-nbB", USERNAME, PASSWORD], capture_output=True, text=True, check=True
    ).stdout
    assert "$2y$" in made
    path = tmp_path / "htpasswd"
    path.write_text(made + made.replace(USERNAME, "bob").replace("$2y$", "$2a$"))

    assert_healthy(run_regdoctor("lint", path))


@pytest.mark.parametrize("line", ["garbage\n", "\0\n", "x:" + "y" * 70_000 + "\n"])
def test_a_line_that_spoils_the_whole_file_is_named(
    start_registry: StartRegistry, certificate: CertificateFiles, htpasswd: Path, line: str
) -> None:
    registry = start(start_registry, certificate, htpasswd)
    add(htpasswd, line)
    assert login(registry) == 400

    found = assert_single_root_cause(check(registry), "auth/htpasswd-malformed")
    by_lint = assert_single_root_cause(run_regdoctor("lint", htpasswd), "auth/htpasswd-malformed")

    assert found["evidence"] == by_lint["evidence"] == [f"{htpasswd}:2"]
    assert "garbage" not in found["detail"]


@pytest.mark.needs("htpasswd")
@pytest.mark.parametrize("kind", ["-m", "-s", "-p", "-d"])
def test_a_hash_that_the_registry_does_not_know_is_named(
    start_registry: StartRegistry, certificate: CertificateFiles, htpasswd: Path, kind: str
) -> None:
    made = subprocess.run(
        [programs.path("htpasswd"), "-nb", kind, USERNAME, PASSWORD],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    htpasswd.write_text(made)
    registry = start(start_registry, certificate, htpasswd)
    assert login(registry) == 401

    result = check(registry)

    found = assert_single_root_cause(result, "auth/htpasswd-hash-unsupported")
    assert f"{USERNAME} (line 1) has" in found["detail"]
    assert_single_root_cause(run_regdoctor("lint", htpasswd), "auth/htpasswd-hash-unsupported")
    assert made.partition(":")[2].strip() not in result.stdout


def test_another_users_hash_is_not_the_cause_of_anything(
    start_registry: StartRegistry, certificate: CertificateFiles, htpasswd: Path
) -> None:
    add(htpasswd, "bob:$apr1$x$y\n")
    registry = start(start_registry, certificate, htpasswd)
    assert login(registry) == 200

    result = check(registry)

    assert assert_has(result, "auth/htpasswd-hash-unsupported")["severity"] == "warning"


def test_a_file_that_was_missing_is_named(
    start_registry: StartRegistry, certificate: CertificateFiles, tmp_path: Path
) -> None:
    path = tmp_path / "mounted-elsewhere" / "htpasswd"
    registry = start(start_registry, certificate, path)
    # The registry starts all the same, with a file and a user of its own.
    assert "provisioning with default user" in registry.log()
    assert login(registry) == 401

    result = check(registry)

    found = assert_single_root_cause(result, "auth/htpasswd-generated")
    assert str(path) in found["detail"]
    assert path.read_text().partition(":")[2] not in result.stdout


def test_a_right_file_beside_a_wrong_password_is_not_blamed(
    start_registry: StartRegistry, certificate: CertificateFiles, tmp_path: Path
) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(f"{htpasswd_line(USERNAME, 'another')}\n")
    registry = start(start_registry, certificate, path)

    assert_single_root_cause(check(registry), "auth/credentials-rejected")


# pull secrets


def docker_config(server: str, username: str = USERNAME, password: str = PASSWORD) -> str:
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    return json.dumps({"auths": {server: {"username": username, "password": password, "auth": auth}}})


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(server: str = "reg.test:5000", **changes: object) -> dict[str, object]:
    document: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "regcred", "namespace": "shop"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": encoded(docker_config(server))},
    }
    return document | changes


def pod(image: str = "reg.test:5000/team/app:1.0", **changes: object) -> dict[str, object]:
    spec: dict[str, object] = {
        "containers": [{"name": "app", "image": image}],
        "imagePullSecrets": [{"name": "regcred"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app", "namespace": "shop"},
        "spec": spec | changes,
    }


def deployment(template: dict[str, object], **changes: object) -> dict[str, object]:
    spec: dict[str, object] = {"template": {"spec": template["spec"]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "app", "namespace": "shop"},
        "spec": spec | changes,
    }


def write(path: Path, *documents: object) -> Path:
    """Several documents in a file: JSON is YAML too."""
    path.write_text("\n---\n".join(json.dumps(each, indent=1) for each in documents))
    return path


RIGHT: dict[str, list[object]] = {
    "a secret and a pod": [secret(), pod()],
    "a secret alone": [secret()],
    "a pod alone": [pod()],
    "a deployment": [secret(), deployment(pod())],
    "a list": [{"apiVersion": "v1", "kind": "List", "items": [secret(), pod()]}],
    "plain text": [
        secret(data=None, stringData={".dockerconfigjson": docker_config("reg.test:5000")}),
        pod(),
    ],
    "the legacy type": [
        secret(
            type="kubernetes.io/dockercfg",
            data={
                ".dockercfg": encoded(
                    json.dumps(json.loads(docker_config("https://reg.test:5000/v1/"))["auths"])
                )
            },
        ),
        pod(),
    ],
    "a key with a path": [secret("reg.test:5000/team"), pod()],
    "a key with a wildcard": [secret("*.test:5000"), pod()],
    "Docker Hub": [secret("https://index.docker.io/v1/"), pod("team/app:1.0")],
    "a service account": [
        secret(),
        pod(imagePullSecrets=None, serviceAccountName="builder"),
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "builder", "namespace": "shop"},
            "imagePullSecrets": [{"name": "regcred"}],
        },
    ],
    "another secret beside it": [
        secret(),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "tls", "namespace": "shop"},
            "type": "Opaque",
            "data": {"password": encoded("x")},
        },
        pod(),
    ],
    "a value that is filled in later": [secret(data={".dockerconfigjson": "${DOCKER_CONFIG_JSON}"})],
}
WRONG: dict[str, tuple[list[object], str]] = {
    "another type": ([secret(type="Opaque"), pod()], "Opaque"),
    "the other type's key": (
        [secret(type="kubernetes.io/dockercfg"), pod()],
        ".dockercfg",
    ),
    "another key": (
        [secret(data={"config.json": encoded(docker_config("reg.test:5000"))}), pod()],
        ".dockerconfigjson",
    ),
    "encoded twice": (
        [secret(data={".dockerconfigjson": encoded(encoded(docker_config("reg.test:5000")))}), pod()],
        "twice",
    ),
    "not encoded": (
        [secret(data={".dockerconfigjson": docker_config("reg.test:5000")}), pod()],
        "stringData",
    ),
    "encoded as plain text": (
        [secret(data=None, stringData={".dockerconfigjson": encoded(docker_config("reg.test:5000"))}), pod()],
        "stringData",
    ),
    "not JSON": ([secret(data={".dockerconfigjson": encoded("{auths")}), pod()], "JSON"),
    "no entries": ([secret(data={".dockerconfigjson": encoded('{"auths": {}}')}), pod()], "no credentials"),
    "a store of Docker Desktop": (
        [
            secret(
                data={
                    ".dockerconfigjson": encoded('{"auths": {"reg.test:5000": {}}, "credsStore": "desktop"}')
                }
            ),
            pod(),
        ],
        "credential store",
    ),
    "another namespace": (
        [secret(metadata={"name": "regcred", "namespace": "default"}), pod()],
        "a secret serves its own namespace only",
    ),
    "a name that is misspelt": ([secret(), pod(imagePullSecrets=[{"name": "regcerd"}])], "regcred"),
    "below the container": (
        [
            secret(),
            pod(
                containers=[
                    {
                        "name": "app",
                        "image": "reg.test:5000/team/app:1.0",
                        "imagePullSecrets": [{"name": "regcred"}],
                    }
                ],
                imagePullSecrets=None,
            ),
        ],
        "belongs below spec",
    ),
    "beside the template": (
        [
            secret(),
            deployment(pod(imagePullSecrets=None), imagePullSecrets=[{"name": "regcred"}]),
        ],
        "belongs below spec.template.spec",
    ),
    "names without name": ([secret(), pod(imagePullSecrets=["regcred"])], "- name: SECRET"),
    "one for many": ([secret(), pod(imagePullSecrets={"name": "regcred"})], "is no list"),
    "the singular": (
        [secret(), pod(imagePullSecrets=None, imagePullSecret="regcred")],
        "is no field of a pod",
    ),
    "a secret that is no pull secret": (
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "regcred", "namespace": "shop"},
                "type": "Opaque",
                "data": {"password": encoded("x")},
            },
            pod(),
        ],
        "no pull secret",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_manifests_that_pull_with_a_login_are_healthy(tmp_path: Path, name: str) -> None:
    assert_healthy(run_regdoctor("lint", write(tmp_path / "app.yaml", *RIGHT[name])))


@pytest.mark.parametrize("name", WRONG)
def test_a_pull_secret_that_helps_nobody_is_named(tmp_path: Path, name: str) -> None:
    documents, words = WRONG[name]

    result = run_regdoctor("lint", write(tmp_path / "app.yaml", *documents))

    found = assert_single_root_cause(result, "auth/pull-secret-invalid")
    assert words in found["detail"]
    assert found["evidence"][0].startswith(f"{tmp_path / 'app.yaml'}:")
    for hidden in (PASSWORD, encoded(f"{USERNAME}:{PASSWORD}")):
        assert hidden not in result.stdout


KEYS = {
    "without its port": "reg.test",
    "with another port": "reg.test:5001",
    "of another path": "reg.test:5000/other",
}


@pytest.mark.parametrize("name", KEYS)
def test_an_entry_that_the_kubelet_does_not_match_is_named(tmp_path: Path, name: str) -> None:
    result = run_regdoctor("lint", write(tmp_path / "app.yaml", secret(KEYS[name]), pod()))

    assert_single_root_cause(result, "auth/credentials-misfiled")


def test_secrets_in_one_file_and_pods_in_another_are_put_together(tmp_path: Path) -> None:
    write(tmp_path / "secret.yaml", secret(metadata={"name": "regcred", "namespace": "default"}))
    write(tmp_path / "pod.yaml", pod())

    assert_single_root_cause(run_regdoctor("lint", tmp_path), "auth/pull-secret-invalid")


def test_the_pull_secret_that_was_given_is_judged_for_the_target(
    htpasswd_registry: Registry, tmp_path: Path
) -> None:
    right = write(tmp_path / "right.yaml", secret(htpasswd_registry.address))
    wrong = write(tmp_path / "wrong.yaml", secret(htpasswd_registry.address, type="Opaque"))
    assert htpasswd_registry.tls is not None
    arguments = ("check", htpasswd_registry.address, "--cacert", htpasswd_registry.tls.ca, "--authfile")

    assert_healthy(run_regdoctor(*arguments, right, "--pull-secret", right, hosts=HOSTS))
    assert_single_root_cause(
        run_regdoctor(*arguments, wrong, "--pull-secret", wrong, hosts=HOSTS), "auth/pull-secret-invalid"
    )
