"""What ``check`` refuses: one line that names the thing and the way out, exit code 2, nothing contacted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from regdoctor.model import Report
from tests.cli.conftest import Invoke, Run
from tests.report import examples


@pytest.fixture(autouse=True)
def no_run(run_of: Callable[[Report], Run]) -> None:
    """Fails the test where a run begins in spite of the misuse."""

    def begun(_run: Run) -> None:
        pytest.fail("the run began")

    run_of(examples.healthy()).before = begun


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a few files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "bad.yaml").write_text("image: [")
    (tmp_path / "no-image.yaml").write_text("kind: Service\n")
    (tmp_path / "bad.suppress").write_text("tls/expired\n")
    (tmp_path / "unknown.suppress").write_text("tls/no-such-code because\n")
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no target given"),
        (["ftp://reg.test"], "ftp"),
        ([""], "the target is empty"),
        (["reg.test", "a b"], "'a b'"),
        (["reg.test", "--only", "nonsense"], "unknown check 'nonsense'"),
        (["reg.test", "--skip", "tls/no-such"], "unknown check 'tls/no-such'"),
        (["reg.test", "--format", "xml"], "'xml'"),
        (["reg.test", "--profile", "moon"], "'moon'"),
        (["reg.test", "--fail-on", "info"], "'info'"),
        (["reg.test", "--registry-version", "1"], "'1'"),
        (["reg.test", "--timeout", "0"], "'0' is not a number of seconds"),
        (["reg.test", "--timeout", "-1"], "'-1' is not a number of seconds"),
        (["reg.test", "--timeout", "nan"], "'nan' is not a number of seconds"),
        (["reg.test", "--timeout", "inf"], "'inf' is not a number of seconds"),
        (["reg.test", "--timeout", "soon"], "'soon' is not a number of seconds"),
        (["reg.test", "--deadline", "86401"], "'86401' is not a number of seconds"),
        (["reg.test", "--platform", "linux"], "'linux' is not OS/ARCH"),
        (["reg.test", "--push", "--push-tag", "a:b"], "'a:b' is no tag"),
        (["reg.test", "--push-tag", "probe"], "--push-tag needs --push"),
        (["reg.test", "--push", "--push-seconds", "58"], "do not fit into --deadline 60"),
        (["reg.test", "--platform", "linux/arm64/v8/x"], "is not OS/ARCH"),
        (["reg.test", "--resolver", "dns.test"], "'dns.test' is not an IP address"),
        (["reg.test", "--resolver", "10.0.0.1:0"], "is not an IP address with or without a port"),
        (["reg.test", "--resolver", "10.0.0.1:99999"], "is not an IP address with or without a port"),
        (["reg.test", "--resolver", "[::1"], "is not an IP address"),
        (["reg.test", "--ntp-server", "-x-"], "is not a host"),
        (["reg.test", "--ntp-server", "ntp.test:0"], "is not a host with or without a port"),
        (["reg.test", "--proxy", ""], "http://HOST:PORT"),
        (["reg.test", "--proxy", "ftp://proxy.test"], "ftp"),
        (["reg.test", "--log", "missing.log"], "'missing.log' does not exist"),
        (["reg.test", "--log", "."], "'.' is a directory"),
        (["reg.test", "--authfile", "missing.json"], "'missing.json' does not exist"),
        (["reg.test", "--cacert", "missing.crt"], "'missing.crt' does not exist"),
        (["reg.test", "--certs-dir", "missing.d"], "'missing.d' does not exist"),
        (["reg.test", "--certs-dir", "file"], "'file' is a file"),
        (["reg.test", "--hosts-dir", "missing.d"], "'missing.d' does not exist"),
        (["reg.test", "--cert", "file"], "--key is missing"),
        (["reg.test", "--key", "file"], "--cert is missing"),
        (["reg.test", "--username", "u"], "--username needs --password-stdin"),
        (["reg.test", "--password-stdin"], "--password-stdin needs --username"),
        (
            ["reg.test", "--username", "u", "--password-stdin", "--authfile", "file"],
            "either --username or --authfile",
        ),
        (["reg.test", "--username", "u", "--password-stdin"], "standard input is empty"),
        (["--images", "-", "--username", "u", "--password-stdin"], "standard input can be read once only"),
        (["--images", "missing.yaml"], "'missing.yaml' does not exist"),
        (["--images", "bad.yaml"], "bad.yaml:"),
        (["--images", "no-image.yaml"], "no-image.yaml names no image"),
        (["--images", "latin"], "latin is not UTF-8 text"),
        (["reg.test", "--suppress", "bad.suppress"], "bad.suppress:1: the reason is missing"),
        (["reg.test", "--suppress", "unknown.suppress"], "unknown code 'tls/no-such-code'"),
        (["reg.test", "--suppress", "missing"], "'missing' does not exist"),
        (["reg.test", "--output", "json"], "'json' is not FORMAT=PATH"),
        (["reg.test", "--output", "xml=x"], "unknown format 'xml'"),
        (["reg.test", "--output", "json=-"], "use --format json"),
        (["reg.test", "--output", "json=missing/x.json"], "the folder of 'missing/x.json' does not exist"),
        (["reg.test", "--output", "json=."], "'.' is a folder"),
        (["reg.test", "--output", "json=a", "--output", "html=a"], "two --output go to"),
        (["reg.test", "--plan", "--format", "sarif"], "--plan is shown as text or json"),
    ],
)
def test_misuse_is_one_line(invoke: Invoke, arguments: list[str], words: str) -> None:
    result = invoke("check", *arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    assert result.stderr.startswith("regdoctor check: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr


def test_a_password_in_a_target_or_proxy_is_not_repeated(invoke: Invoke) -> None:
    for arguments in (
        ["https://user:hunter2hunter2@reg.test"],
        ["reg.test", "--proxy", "ftp://u:hunter2hunter2@p.test"],
    ):
        result = invoke("check", *arguments)
        assert result.exit_code == 2
        assert "hunter2" not in result.stderr


def test_a_password_that_is_not_text_is_refused_without_showing_it(invoke: Invoke) -> None:
    result = invoke("check", "reg.test", "--username", "u", "--password-stdin", stdin=b"hunter2\xff")
    assert result.exit_code == 2
    assert "not UTF-8" in result.stderr
    assert "hunter2" not in result.stderr


def test_an_endless_password_is_refused(invoke: Invoke) -> None:
    result = invoke("check", "reg.test", "--username", "u", "--password-stdin", stdin="x" * 100_000)
    assert result.exit_code == 2
    assert "longer than" in result.stderr
    assert "xxxx" not in result.stderr


def test_an_unreadable_file_is_misuse(invoke: Invoke, tmp_path: Path) -> None:
    socket_like = tmp_path / "folder.yaml"
    socket_like.mkdir()
    result = invoke("check", "--images", socket_like)
    assert result.exit_code == 2
    assert "is a directory" in result.stderr
