"""The last net: secrets that options, the environment and probes bring never leave."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from regdoctor.cli.secrets import KnownSecrets
from regdoctor.model import Report, Verdict
from regdoctor.report.formats import MODULES
from regdoctor.secret import Secret
from tests.cli.conftest import Invoke, Run
from tests.report import examples

PASSWORD = "canary-P@ssw0rd/<&>\"'"
TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.canarysignature"
PROXY_PASSWORD = "canary-proxy%40word"
BASIC = base64.b64encode(f"ci:{PASSWORD}".encode()).decode()


def leaky() -> Report:
    """A report in which careless probes and servers left every secret in every place."""
    leak = f"{PASSWORD} {TOKEN} Basic {BASIC} http://u:{PROXY_PASSWORD}@proxy.test canary-proxy@word"
    finding = examples.finding(
        title=f"title {leak}",
        detail=f"detail {leak}",
        fix=(f"fix {leak}",),
        reproduce=f"curl {leak}",
        evidence=(leak,),
    )
    note = examples.finding("f2", "tls/self-signed", title=leak, detail=leak, suppressed=leak)
    return examples.report(
        examples.target(
            f"reg.test/{leak}",
            Verdict.FAILING,
            findings=(finding, note),
            checks=(examples.check("tls", title=leak, reason=leak, traceback=leak),),
            facts={"leak": {leak: [leak, Secret(PASSWORD), leak.encode()]}},
            exchanges=(
                examples.exchange(
                    url=f"https://reg.test/?x={leak}",
                    request_headers=(("authorization", leak),),
                    response_headers=(("x", leak), ("x", leak)),
                    body_excerpt=leak,
                    error=leak,
                ),
            ),
        )
    )


@pytest.mark.parametrize("format_", MODULES)
@pytest.mark.parametrize("options", [[], ["--verbose"]])
def test_no_format_holds_a_secret_in_any_byte(
    invoke: Invoke,
    run_of: Callable[[Report], Run],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    format_: str,
    options: list[str],
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://u:{PROXY_PASSWORD}@proxy.test")
    run = run_of(leaky())
    run.before = lambda run: run.arguments["conceal"](Secret(TOKEN))
    file = tmp_path / "report"
    result = invoke(
        "check",
        "reg.test",
        "--username",
        "ci",
        "--password-stdin",
        "--format",
        format_,
        "--output",
        f"{format_}={file}",
        *options,
        stdin=f"{PASSWORD}\n",
    )
    assert result.exit_code == 3
    for output in (result.stdout_bytes, result.stderr_bytes, file.read_bytes()):
        for part in (b"canary", b"Y2FuYXJ5", BASIC.encode()[4:], b"eyJzdWIi"):
            assert part not in output
    assert b"***" in result.stdout_bytes


def test_the_rest_of_a_report_survives_the_last_net(invoke: Invoke, run_of: Callable[[Report], Run]) -> None:
    run_of(examples.failing())
    plain = invoke("check", "reg.test", "--format", "json").stdout
    with_password = invoke(
        "check", "reg.test", "--format", "json", "--username", "ci", "--password-stdin", stdin="tls\n"
    ).stdout
    assert with_password == plain


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        ("http://u:secret%21word@proxy.test:3128", ["secret%21word", "secret!word"]),
        ("u:secretword@proxy.test:3128", ["secretword"]),
        ("http://proxy.test:3128", []),
        ("http://[broken", []),
    ],
)
def test_a_password_in_a_url_is_known_as_written_and_as_read(url: str, passwords: list[str]) -> None:
    secrets = KnownSecrets()
    secrets.add_url(url)
    assert [secrets.scrub(f"word {password}") for password in passwords] == ["word ***"] * len(passwords)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_passwords_of_proxy_variables_are_known(variable: str) -> None:
    secrets = KnownSecrets()
    secrets.add_environment({variable: "http://u:secretword@proxy.test"})
    assert secrets.scrub("the secretword") == "the ***"


def test_messages_lose_what_merely_looks_like_a_secret() -> None:
    assert "hunter2" not in KnownSecrets().scrub("password=hunter2 at https://u:hunter2@reg.test")
