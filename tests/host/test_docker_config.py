"""Credentials are found where docker, podman and the kubelet find them; skopeo itself is asked for comparison."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from regdoctor.facts.auth import CredentialKind, Credentials, HelperOutcome
from regdoctor.host.docker_config import find_credentials, key_difference, kubelet_key_matches
from regdoctor.secret import Secret
from tests.host.test_credential_helper import install
from tests.support import programs

PASSWORD = "pw"
HUB = "https://index.docker.io/v1/"


def auth(user: str, password: str = PASSWORD) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def docker_config(home: Path, auths: Any = None, **more: Any) -> Path:
    return write(home / ".docker/config.json", {"auths": auths or {}, **more})


def find(registry: str, home: Path, **options: Any) -> Credentials:
    options.setdefault("environment", {"PATH": os.environ["PATH"]})
    options.setdefault("etc", home / "etc")
    options.setdefault("user_id", 4_000_000_000)  # nobody, so that no real /run/containers/UID counts
    return find_credentials(registry, home=home, **options)


# docker


@pytest.mark.parametrize(
    ("registry", "auths", "user", "key"),
    [
        ("reg.test", {"reg.test": auth("a")}, "a", "reg.test"),
        ("reg.test:5000", {"reg.test": auth("a"), "reg.test:5000": auth("b")}, "b", "reg.test:5000"),
        ("reg.test", {"https://reg.test/v1/": auth("a")}, "a", "https://reg.test/v1/"),
        ("reg.test:5000", {"http://reg.test:5000": auth("a")}, "a", "http://reg.test:5000"),
        ("reg.test", {"https://reg.test": auth("a"), "reg.test": auth("b")}, "b", "reg.test"),
        ("docker.io", {HUB: auth("a"), "docker.io": auth("b")}, "a", HUB),
        ("registry-1.docker.io", {HUB: auth("a")}, "a", HUB),
        ("reg.test", {"reg.test": {"username": "a", "password": "pw"}}, "a", "reg.test"),
    ],
)
def test_docker_compares_keys_as_texts_and_urls_by_their_host(
    registry: str, auths: dict[str, Any], user: str, key: str, tmp_path: Path
) -> None:
    path = docker_config(tmp_path, auths)
    found = find(registry, tmp_path, order=("docker",))
    assert (found.kind, found.username, found.secret) == (CredentialKind.PASSWORD, user, Secret("pw"))
    assert (found.source, found.stored_as) == (str(path), key)
    assert not found.problems


def test_tokens_outrank_the_password(tmp_path: Path) -> None:
    docker_config(
        tmp_path, {"a.test": auth("u") | {"identitytoken": "it"}, "b.test": {"registrytoken": "rt"}}
    )
    first, second = find("a.test", tmp_path), find("b.test", tmp_path)
    assert (first.kind, first.username, first.secret) == (CredentialKind.IDENTITY_TOKEN, "u", Secret("it"))
    assert (second.kind, second.secret) == (CredentialKind.REGISTRY_TOKEN, Secret("rt"))


def test_docker_config_names_another_folder(tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test": auth("home")})
    path = write(tmp_path / "other/config.json", {"auths": {"reg.test": auth("other")}})
    found = find("reg.test", tmp_path, environment={"DOCKER_CONFIG": str(path.parent)})
    assert (found.username, found.source) == ("other", str(path))


def test_the_variable_docker_auth_config_comes_first_and_falls_back(tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test": auth("file"), "other.test": auth("file")})
    environment = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {"reg.test": auth("variable")}})}
    assert find("reg.test", tmp_path, environment=environment).source == "DOCKER_AUTH_CONFIG"
    assert find("other.test", tmp_path, environment=environment).username == "file"


ANSWER = """read server; printf '{"ServerURL":"%s","Username":"helper","Secret":"hs"}' "$server" """


@pytest.mark.parametrize(
    "config", [{"credsStore": "test"}, {"credHelpers": {"reg.test": "test"}, "credsStore": "none"}]
)
def test_a_helper_is_asked_instead_of_the_file(config: dict[str, Any], tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test": auth("file")}, **config)
    found = find("reg.test", tmp_path, environment=install(tmp_path / "bin", "test", ANSWER))
    assert (found.username, found.secret, found.source) == ("helper", Secret("hs"), "docker-credential-test")
    assert found.helper is not None
    assert found.helper.outcome is HelperOutcome.FOUND
    assert [(each.key, each.username) for each in found.shadowed] == [("reg.test", "file")]


def test_an_entry_that_is_used_is_behind_no_helper(tmp_path: Path) -> None:
    """podman looks into its own file after docker's helper had nothing."""
    docker_config(tmp_path, {"other.test": auth("file")}, credHelpers={"elsewhere.test": "test"})
    assert find("reg.test", tmp_path).shadowed == ()
    assert find("other.test", tmp_path).shadowed == ()


def test_other_entries_of_the_registry_are_told_beside_the_one_that_is_used(tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test:5000": auth("right"), "reg.test": auth("other")})
    found = find("reg.test:5000", tmp_path)
    assert found.username == "right"
    assert [(each.key, each.username) for each in found.near_misses] == [("reg.test", "other")]


def test_the_file_is_no_fallback_for_a_helper_that_has_nothing(tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test": auth("file")}, credsStore="test")
    script = "echo 'credentials not found in native keychain'; exit 1"
    environment = install(tmp_path / "bin", "test", script)
    found = find("reg.test", tmp_path, environment=environment, order=("docker",))
    assert not found.found
    assert found.helper is not None
    assert found.helper.outcome is HelperOutcome.NOT_FOUND
    assert found.helper.setting == "credsStore"


def test_docker_hub_is_asked_for_by_its_key(tmp_path: Path) -> None:
    docker_config(tmp_path, credHelpers={HUB: "test", "docker.io": "other"})
    found = find("docker.io", tmp_path, environment=install(tmp_path / "bin", "test", ANSWER))
    assert found.helper is not None
    assert (found.helper.server, found.helper.setting) == (HUB, f'credHelpers["{HUB}"]')


def test_a_missing_helper_is_named_with_its_setting(tmp_path: Path) -> None:
    path = docker_config(tmp_path, credsStore="desktop")
    found = find("reg.test", tmp_path, order=("docker",))
    assert found.helper is not None
    assert (found.helper.program, found.helper.outcome) == (
        "docker-credential-desktop",
        HelperOutcome.MISSING,
    )
    assert (found.helper.setting, found.helper.place) == ("credsStore", str(path))


# podman, skopeo


def containers(
    home: Path, registry: str, environment: dict[str, str] | None = None, **options: Any
) -> Credentials:
    return find(
        registry,
        home,
        order=("containers",),
        environment=environment or {"PATH": os.environ["PATH"]},
        **options,
    )


def test_podman_takes_the_first_file_with_an_entry(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    write(runtime / "containers/auth.json", {"auths": {"a.test": auth("runtime")}})
    write(
        tmp_path / ".config/containers/auth.json", {"auths": {"a.test": auth("x"), "b.test": auth("config")}}
    )
    docker_config(tmp_path, {"b.test": auth("x"), "c.test": auth("docker")})
    write(tmp_path / ".dockercfg", {"d.test": auth("legacy")})
    environment = {"XDG_RUNTIME_DIR": str(runtime)}
    users = [containers(tmp_path, f"{name}.test", environment).username for name in "abcde"]
    assert users == ["runtime", "config", "docker", "legacy", None]


def test_the_named_auth_file_is_the_only_one(tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test": auth("docker")})
    path = write(tmp_path / "auth.json", {"auths": {}})
    found = containers(tmp_path, "reg.test", {"REGISTRY_AUTH_FILE": str(path)})
    assert not found.found
    assert found.looked_in == (str(path),)


def test_podman_prefers_the_longest_key_of_a_repository(tmp_path: Path) -> None:
    docker_config(
        tmp_path, {"reg.test": auth("all"), "reg.test/team": auth("team"), "reg.test/team/app": auth("app")}
    )
    users = [
        containers(tmp_path, "reg.test", repository=name).username for name in ("team/app", "team/x", "other")
    ]
    assert users == ["app", "team", "all"]


def test_podman_reads_neither_plain_user_and_password_nor_registry_tokens(tmp_path: Path) -> None:
    docker_config(
        tmp_path, {"reg.test": {"username": "u", "password": "p"}, "b.test": {"registrytoken": "t"}}
    )
    for registry, names in (("reg.test", "password and username"), ("b.test", "registrytoken")):
        found = containers(tmp_path, registry)
        assert not found.found
        assert f"has only {names}, which podman does not read" in found.problems[0].message


def test_podman_ignores_the_credentials_store_of_docker(tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test": {}}, credsStore="test")
    found = containers(tmp_path, "reg.test", install(tmp_path / "bin", "test", ANSWER))
    assert not found.found
    assert found.helper is None


def test_global_helpers_of_registries_conf_are_asked_in_their_order(tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test": auth("file")})
    write(tmp_path / "etc/containers/registries.conf", 'credential-helpers = ["containers-auth.json"]')
    write(
        tmp_path / "etc/containers/registries.conf.d/50.conf",
        'credential-helpers = ["test", "containers-auth.json"]',
    )
    found = containers(tmp_path, "reg.test", install(tmp_path / "bin", "test", ANSWER))
    assert found.username == "helper"
    write(tmp_path / ".config/containers/registries.conf", "unqualified-search-registries = []")
    assert containers(tmp_path, "reg.test", install(tmp_path / "bin", "test", ANSWER)).username == "file"


CASES: list[tuple[str, dict[str, Any]]] = [
    ("reg.test", {"auths": {"reg.test": auth("u")}}),
    ("reg.test:5000", {"auths": {"reg.test": auth("u")}}),
    ("reg.test", {"auths": {"reg.test:443": auth("u")}}),
    ("reg.test:5000", {"auths": {"https://reg.test:5000/v2/": auth("u")}}),
    ("reg.test", {"auths": {"http://reg.test/v1/": auth("u")}}),
    ("reg.test", {"auths": {"REG.test": auth("u")}}),
    ("docker.io", {"auths": {HUB: auth("u")}}),
    ("docker.io", {"auths": {"docker.io": auth("u")}}),
    ("docker.io", {"auths": {"registry-1.docker.io": auth("u")}}),
    ("reg.test", {"auths": {"reg.test": {"auth": "bm9jb2xvbg=="}}}),
    ("reg.test", {"auths": {"reg.test": {"auth": "!!!"}}}),
    ("reg.test", {"auths": {"reg.test": {}}}),
    ("reg.test", {"auths": {"reg.test": {"username": "u", "password": "p"}}}),
    ("reg.test", {"credHelpers": {"reg.test": "test"}, "auths": {"reg.test": auth("u")}}),
    ("reg.test", {"credHelpers": {"reg.test": "missing"}, "auths": {"reg.test": auth("u")}}),
    ("reg.test", {"credsStore": "test", "auths": {"reg.test": auth("u")}}),
    ("reg.test", {"auths": {"reg.test/team": auth("u")}}),
]


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(("registry", "config"), CASES)
def test_skopeo_finds_the_same_user(registry: str, config: dict[str, Any], tmp_path: Path) -> None:
    docker_config(
        tmp_path, config.get("auths"), **{key: value for key, value in config.items() if key != "auths"}
    )
    environment = install(tmp_path / "bin", "test", ANSWER) | {
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    asked = subprocess.run(
        [programs.path("skopeo"), "login", "--get-login", registry],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    theirs = asked.stdout.strip() or None if asked.returncode == 0 else None
    assert containers(tmp_path, registry, environment).username == theirs


# Kubernetes and named files


def pull_secret(auths: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "Secret",
        "metadata": {"name": "regcred"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": json.dumps({"auths": auths})},
    }


@pytest.mark.parametrize(
    ("key", "image", "matches"),
    [
        ("reg.test", "reg.test/app", True),
        ("https://reg.test/v1/", "reg.test/app", True),
        ("http://reg.test/v2/", "reg.test/app", True),
        ("reg.test:5000", "reg.test:5000/app", True),
        ("reg.test", "reg.test:5000/app", False),
        ("reg.test:443", "reg.test/app", False),
        ("*.reg.test", "a.reg.test/app", True),
        ("*.reg.test", "a.b.reg.test/app", False),
        ("*.test", "reg.test/app", True),
        ("reg.test/team", "reg.test/team/app", True),
        ("reg.test/other", "reg.test/team/app", False),
        ("[::1]:5000", "[::1]:5000/app", True),
        ("reg.test:port", "reg.test/app", False),
    ],
)
def test_the_kubelet_matches_labels_ports_and_paths(key: str, image: str, matches: bool) -> None:
    assert kubelet_key_matches(key, image) is matches


def test_a_pull_secret_is_used_by_the_rules_of_the_kubelet(tmp_path: Path) -> None:
    auths = {
        "*.test": auth("star"),
        "reg.test/team": auth("team"),
        HUB: auth("hub"),
        "token.test": {"identitytoken": "t"},
    }
    path = write(tmp_path / "s.json", pull_secret(auths))
    found = find("reg.test", tmp_path, authfile=path, repository="team/app")
    assert (found.username, found.source, found.stored_as) == (
        "team",
        f"{path} (secret regcred)",
        "reg.test/team",
    )
    assert find("reg.test", tmp_path, authfile=path, repository="x").username == "star"
    assert find("docker.io", tmp_path, authfile=path, repository="library/alpine").username == "hub"


def test_a_token_is_of_no_use_to_the_kubelet(tmp_path: Path) -> None:
    path = write(tmp_path / "s.json", pull_secret({"reg.test": {"identitytoken": "t"}}))
    found = find("reg.test", tmp_path, authfile=path)
    assert not found.found
    assert "has only identitytoken, which the kubelet does not read" in found.problems[0].message


def test_a_named_file_is_the_only_one_and_takes_either_spelling_of_docker_hub(tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test": auth("home")})
    path = write(tmp_path / "named.json", {"auths": {"docker.io": auth("podman")}})
    assert find("docker.io", tmp_path, authfile=path).username == "podman"
    missing = find("reg.test", tmp_path, authfile=path)
    assert not missing.found
    assert missing.looked_in == (str(path),)


def test_a_named_file_may_hold_user_and_password_in_the_clear(tmp_path: Path) -> None:
    path = write(tmp_path / "named.json", {"auths": {"reg.test": {"username": "u", "password": "p"}}})
    found = find("reg.test", tmp_path, authfile=path)
    assert found.username == "u"
    assert not found.problems


def test_a_named_file_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    found = find("reg.test", tmp_path, authfile=tmp_path / "none")
    assert [problem.message for problem in found.problems] == ["the file does not exist"]


# problems and near misses


def test_nothing_stored_is_no_problem(tmp_path: Path) -> None:
    found = find("reg.test", tmp_path)
    assert not found.found
    assert not found.problems
    assert not found.near_misses
    assert str(tmp_path / ".docker/config.json") in found.looked_in


def test_a_broken_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / ".docker/config.json", '{\n "auths": {\n')
    found = find("reg.test", tmp_path)
    assert [problem.place for problem in found.problems] == [f"{path}:3"]
    assert found.problems[0].key is None


def test_an_empty_file_is_no_fault_for_docker_but_for_podman(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", "")
    assert find("reg.test", tmp_path).problems == ()
    assert [problem.message for problem in containers(tmp_path, "reg.test").problems] == ["the file is empty"]


@pytest.mark.parametrize(
    ("entry", "words", "used"),
    [
        ({"auth": "!!"}, "not base64", False),
        (auth("alice", "pw\n"), "ends with a line end", True),
        ({}, "is empty: a credential store made it", False),
        ({"username": "alice"}, "has no password", False),
    ],
)
def test_a_broken_entry_is_told(entry: dict[str, str], words: str, used: bool, tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test": entry})
    found = find("reg.test", tmp_path)
    assert found.found is used
    (problem,) = found.problems
    assert words in problem.message
    assert (problem.key, problem.used) == ("reg.test", used)


def test_a_broken_entry_of_another_registry_endangers_all_in_docker(tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test": auth("a"), "other.test": {"auth": "!!"}})
    found = find("reg.test", tmp_path)
    assert found.found
    assert [problem.key for problem in found.problems] == ["other.test"]
    assert "docker stops reading" in found.problems[0].message


@pytest.mark.parametrize(
    ("registry", "key", "words"),
    [
        ("reg.test:8443", "reg.test", "without a port"),
        ("reg.test", "reg.test:5000", "for port 5000"),
        ("reg.test", "reg.test:443", "default port"),
        ("reg.test:443", "https://reg.test", "default port"),
        ("reg.test", "REG.test", "upper and lower case"),
        ("docker.io", "docker.io", "Docker Hub's credentials"),
        ("docker.io", "https://index.docker.io", "Docker Hub's credentials"),
        ("reg.corp.test", "reg", "short names"),
        ("reg", "reg.corp.test", "short names"),
    ],
)
def test_an_entry_under_another_spelling_is_a_near_miss(
    registry: str, key: str, words: str, tmp_path: Path
) -> None:
    path = docker_config(tmp_path, {key: auth("alice"), "unrelated.test": auth("bob")})
    found = find(registry, tmp_path, order=("docker",))
    assert not found.found
    (miss,) = found.near_misses
    assert (miss.key, miss.username, miss.place) == (key, "alice", f"{path}:1")
    assert words in miss.why


def test_a_helper_under_another_spelling_is_a_near_miss(tmp_path: Path) -> None:
    docker_config(tmp_path, credHelpers={"https://reg.test": "test", "other.test": "test"})
    (miss,) = find("reg.test", tmp_path).near_misses
    assert "credHelpers" in miss.why


def test_an_entry_for_another_part_of_the_registry_is_a_near_miss(tmp_path: Path) -> None:
    docker_config(tmp_path, {"reg.test/team": auth("alice")})
    found = containers(tmp_path, "reg.test", repository="other/app")
    assert [miss.why for miss in found.near_misses] == [
        "it is for repositories below team only, not for other/app"
    ]


@pytest.mark.parametrize("key", ["other.test", "reg.test.evil", "myreg.test", "127.0.0.1:5000", "localhost"])
def test_an_entry_of_another_registry_is_none(key: str) -> None:
    assert key_difference(key, "reg.test") is None


def test_the_home_behind_sudo_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    user = pwd.getpwuid(os.geteuid())
    own = tmp_path / "own"
    docker_config(own, {"reg.test": auth("alice")})
    monkeypatch.setattr(
        pwd, "getpwnam", lambda name: pwd.struct_passwd((name, *user[1:5], str(own), user[6]))
    )
    found = find("reg.test", tmp_path / "root", environment={"SUDO_USER": "alice"})
    assert not found.found
    (miss,) = found.near_misses
    assert "home of alice" in miss.why


def test_no_secret_is_shown(tmp_path: Path) -> None:
    docker_config(
        tmp_path, {"reg.test": auth("alice", "s3cret-value\n"), "reg.test:1": auth("bob", "s3cret-value")}
    )
    shown = repr(find("reg.test", tmp_path)) + repr(find("reg.test:2", tmp_path))
    assert "s3cret" not in shown
    assert base64.b64encode(b"bob:s3cret-value").decode() not in shown
