"""Every option of ``check`` reaches the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regdoctor.model import Report
from regdoctor.options import Options, Profile
from tests.cli.conftest import Invoke, Run
from tests.report import examples


@pytest.fixture
def run(run_of: Callable[[Report], Run]) -> Run:
    return run_of(examples.healthy())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("x")
    return path


def test_without_options_the_defaults_hold(invoke: Invoke, run: Run) -> None:
    assert invoke("check", "reg.test").exit_code == 0
    assert run.options == Options()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--verify-blobs"], {"verify_blobs": True}),
        (["--push"], {"push": True, "push_seconds": 8.0, "push_tag": None}),
        (["--push", "--push-tag", "probe-1.0"], {"push_tag": "probe-1.0"}),
        (["--push", "--push-seconds", "70", "--deadline", "90"], {"push_seconds": 70.0}),
        (["--push", "--deadline", "5"], {"push_seconds": 8.0}),
        (
            ["--platform", "linux/amd64", "--platform", "linux/arm64/v8"],
            {"platforms": ("linux/amd64", "linux/arm64/v8")},
        ),
        (["--plain-http"], {"plain_http": True}),
        (["--proxy", "http://proxy.test:3128"], {"proxy": "http://proxy.test:3128"}),
        (["--proxy", "proxy.test:3128"], {"proxy": "http://proxy.test:3128"}),
        (["--resolver", "10.0.0.2", "--resolver", "[::1]:5353"], {"resolvers": ("10.0.0.2", "[::1]:5353")}),
        (["--resolver", "::1"], {"resolvers": ("::1",)}),
        (["--ntp-server", "ntp.test:1123"], {"ntp_servers": ("ntp.test:1123",)}),
        (["--registry-version", "3"], {"registry_version": "3"}),
        (["--only", "tls", "--only", "dns"], {"only": ("tls", "dns")}),
        (["--skip", "tls/expired"], {"skip": ("tls/expired",)}),
        (["--profile", "ci"], {"profile": Profile.CI}),
        (["--timeout", "2.5", "--deadline", "30"], {"timeout": 2.5, "deadline": 30.0}),
        (["--storage", "/no/such/root"], {"storage": Path("/no/such/root")}),
    ],
)
def test_an_option_is_handed_on(
    invoke: Invoke, run: Run, arguments: list[str], expected: dict[str, Any]
) -> None:
    result = invoke("check", "reg.test", *arguments)
    assert result.exit_code == 0, result.stderr
    assert {name: getattr(run.options, name) for name in expected} == expected


@pytest.mark.parametrize(
    "name",
    [
        "authfile",
        "cacert",
        "config",
        "log",
        "proxy_config",
        "daemon_json",
        "registries_conf",
        "policy",
        "pull_secret",
        "env_file",
    ],
)
def test_a_file_is_handed_on(invoke: Invoke, run: Run, file: Path, name: str) -> None:
    assert invoke("check", "reg.test", f"--{name.replace('_', '-')}", file).exit_code == 0
    assert getattr(run.options, name) == file


@pytest.mark.parametrize("name", ["certs_dir", "hosts_dir", "storage"])
def test_a_folder_is_handed_on(invoke: Invoke, run: Run, tmp_path: Path, name: str) -> None:
    assert invoke("check", "reg.test", f"--{name.replace('_', '-')}", tmp_path).exit_code == 0
    assert getattr(run.options, name) == tmp_path


def test_a_client_certificate_is_handed_on_with_its_key(invoke: Invoke, run: Run, file: Path) -> None:
    assert invoke("check", "reg.test", "--cert", file, "--key", file).exit_code == 0
    assert (run.options.cert, run.options.key) == (file, file)


@pytest.mark.parametrize(
    ("stdin", "password"),
    [
        ("secret-word\n", "secret-word"),
        ("secret-word\r\n", "secret-word"),
        ("secret-word", "secret-word"),
        ("secret-word\n\n", "secret-word\n"),
        (" pass word \n", " pass word "),
        ("pässwörd\n", "pässwörd"),
    ],
)
def test_the_password_loses_one_line_end(invoke: Invoke, run: Run, stdin: str, password: str) -> None:
    assert invoke("check", "reg.test", "--username", "ci", "--password-stdin", stdin=stdin).exit_code == 0
    assert run.options.username == "ci"
    assert run.options.password is not None
    assert run.options.password.reveal() == password


def test_targets_are_handed_on_once_each_in_order(invoke: Invoke, run: Run) -> None:
    assert invoke("check", "reg.test:5000", "alpine", "reg.test:5000").exit_code == 0
    assert [target.text for target in run.targets] == ["reg.test:5000", "alpine"]


def test_images_of_a_file_are_targets_too(invoke: Invoke, run: Run, tmp_path: Path) -> None:
    manifest = tmp_path / "pod.yaml"
    manifest.write_text("spec:\n  containers:\n  - image: reg.test/team/app:1.0\n  - image: redis:7000\n")
    assert invoke("check", "reg.test", "--images", manifest).exit_code == 0
    assert [target.text for target in run.targets] == ["reg.test", "reg.test/team/app:1.0", "redis:7000"]
    assert run.targets[2].repository == "library/redis"


def test_images_come_from_standard_input(invoke: Invoke, run: Run) -> None:
    assert invoke("check", "--images", "-", stdin="alpine:3.20\n").exit_code == 0
    assert [target.text for target in run.targets] == ["alpine:3.20"]


def test_images_that_cannot_be_read_are_named_on_standard_error(invoke: Invoke, run: Run) -> None:
    compose = "services:\n  a:\n    image: alpine\n  b:\n    image: reg.test/app:${UNSET_HERE}\n"
    result = invoke("check", "--images", "-", stdin=compose)
    assert result.exit_code == 0
    assert "left out: standard input:5: " in result.stderr
    assert "UNSET_HERE" in result.stderr
    assert [target.text for target in run.targets] == ["alpine"]


def test_the_run_gets_the_callers_environment_and_home(
    invoke: Invoke, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("NO_PROXY", "reg.test")
    assert invoke("check", "reg.test").exit_code == 0
    assert run.arguments["home"] == Path("/home/somebody")
    assert run.arguments["environment"]["NO_PROXY"] == "reg.test"
