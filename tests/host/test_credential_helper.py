"""Credential helpers are called by docker's protocol, and cannot hold up the run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from regdoctor.facts.auth import CredentialKind, HelperOutcome
from regdoctor.host.credential_helper import HelperAnswer, call_helper
from regdoctor.secret import Secret


def install(folder: Path, name: str, script: str) -> dict[str, str]:
    """Install a helper and return the environment in which it is found."""
    folder.mkdir(exist_ok=True)
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def call(tmp_path: Path, script: str, timeout: float = 10) -> HelperAnswer:
    environment = install(tmp_path / "bin", "test", script)
    return call_helper(
        "test",
        "reg.test:5000",
        setting="credsStore",
        place="config.json",
        environment=environment,
        timeout=timeout,
    )


def test_the_server_goes_in_and_the_credentials_come_out(tmp_path: Path) -> None:
    script = """read server
    test "$1" = get || exit 9
    printf '{"ServerURL":"%s","Username":"alice@%s","Secret":"s3cret"}' "$server" "$server" """
    answer = call(tmp_path, script)
    assert answer.call.outcome is HelperOutcome.FOUND
    assert (answer.kind, answer.username) == (CredentialKind.PASSWORD, "alice@reg.test:5000")
    assert answer.secret == Secret("s3cret")
    assert (answer.call.program, answer.call.server) == ("docker-credential-test", "reg.test:5000")
    assert "s3cret" not in repr(answer)


def test_the_user_name_token_marks_an_identity_token(tmp_path: Path) -> None:
    answer = call(tmp_path, """echo '{"Username":"<token>","Secret":"t"}'""")
    assert (answer.kind, answer.username, answer.secret) == (CredentialKind.IDENTITY_TOKEN, None, Secret("t"))


@pytest.mark.parametrize(
    ("script", "outcome", "words"),
    [
        ("echo 'credentials not found in native keychain'; exit 1", HelperOutcome.NOT_FOUND, "not found"),
        ("echo '{}'", HelperOutcome.NOT_FOUND, "without user name"),
        (
            "echo 'pass not initialized: exit status 1'; exit 1",
            HelperOutcome.FAILED,
            "exit status 1: pass not",
        ),
        ("echo 'Cannot autolaunch D-Bus' >&2; exit 2", HelperOutcome.FAILED, "exit status 2: Cannot"),
        ("exit 3", HelperOutcome.FAILED, "exit status 3: no message"),
        ("echo 'not json'", HelperOutcome.FAILED, "cannot be used"),
        ("yes", HelperOutcome.FAILED, "was stopped"),
        ("kill -9 $$", HelperOutcome.FAILED, "exit status -9"),
    ],
)
def test_every_other_ending_has_its_name(
    tmp_path: Path, script: str, outcome: HelperOutcome, words: str
) -> None:
    answer = call(tmp_path, script)
    assert answer.call.outcome is outcome
    assert words in answer.call.message
    assert answer.kind is None
    assert answer.secret is None


def test_a_helper_that_waits_for_somebody_is_stopped(tmp_path: Path) -> None:
    answer = call(tmp_path, "sleep 60", timeout=0.3)
    assert answer.call.outcome is HelperOutcome.TIMEOUT
    assert "0.3 s" in answer.call.message


@pytest.mark.parametrize("name", ["desktop", "../evil", "a\0b", ""])
def test_a_helper_that_is_not_in_path_is_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "evil").write_text("#!/bin/sh\n")
    answer = call_helper(
        name, "reg.test", setting="credsStore", place="f", environment={"PATH": str(tmp_path)}
    )
    assert answer.call.outcome is HelperOutcome.MISSING


def test_a_program_that_cannot_be_started_is_a_failure(tmp_path: Path) -> None:
    environment = install(tmp_path / "bin", "test", "")
    (tmp_path / "bin/docker-credential-test").write_bytes(b"\x7fELF no program")
    answer = call_helper("test", "reg.test", setting="credsStore", place="f", environment=environment)
    assert answer.call.outcome is HelperOutcome.FAILED
    assert "cannot be started" in answer.call.message


def test_a_message_with_a_secret_is_redacted(tmp_path: Path) -> None:
    answer = call(tmp_path, "echo 'token=s3cret-value rejected'; exit 1")
    assert "s3cret" not in repr(answer)
