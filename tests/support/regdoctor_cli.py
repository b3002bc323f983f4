"""Runs regdoctor as a user does, in a process of its own, and says what to expect of its report."""

from __future__ import annotations

import json
import pwd
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import programs
from tests.support.mounts import name_files
from tests.support.netns import Namespace, run_privately

Report = Mapping[str, Any]


@dataclass(frozen=True)
class CliResult:
    """What a run of regdoctor left behind."""

    command: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """Standard output as JSON; raises AssertionError with all output where it is not."""
        try:
            report = json.loads(self.stdout)
        except ValueError as error:
            raise AssertionError(f"no JSON on standard output: {error}\n{self.describe()}") from error
        assert isinstance(report, dict), f"JSON is not an object\n{self.describe()}"
        return report

    def describe(self) -> str:
        """Return the command, its exit code and its output, for messages."""
        return (
            f"$ {' '.join(self.command)}\nexit code {self.exit_code}\n"
            f"--- standard output\n{self.stdout}\n--- standard error\n{self.stderr}"
        )


def run_regdoctor(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    in_namespace: Namespace | None = None,
    hosts: Mapping[str, str] | str | None = None,
    resolv_conf: str | None = None,
    files: Mapping[str, str | Path] | None = None,
    report_format: str | None = "json",
    user: str | None = None,
    timeout: float = 90,
) -> CliResult:
    """Run ``python -m regdoctor`` and return what it printed.

    ``env`` is added to a bare environment: no proxy, no trust store, no credentials, an empty home.
    ``hosts`` (names and addresses, or the file's text), ``resolv_conf`` and ``files`` (text, or a path to
    show, by absolute path) are private to the run and need root. ``report_format`` is asked for unless the
    arguments name a format or it is None. ``user`` is the account to run as (root only). Raises
    subprocess.TimeoutExpired after ``timeout`` seconds.
    """
    command = command_line([str(argument) for argument in arguments], report_format)
    if user is not None:
        account = pwd.getpwnam(user)
        ids = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
        command = (programs.path("setpriv"), *ids, "--", *command)
    with tempfile.TemporaryDirectory(prefix="home-") as home:
        result = run_privately(
            command,
            namespace=in_namespace,
            files={**name_files(hosts=hosts, resolv_conf=resolv_conf), **(files or {})},
            environment=bare_environment(Path(home)) | dict(env or {}),
            input_text=stdin,
            timeout=timeout,
        )
    return CliResult(command, result.returncode, result.stdout, result.stderr)


def command_line(arguments: Sequence[str], report_format: str | None) -> tuple[str, ...]:
    """Return the command that runs regdoctor with a report format, unless the arguments name one."""
    # What follows "--" belongs to the command that regdoctor runs.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    own, others = arguments[:end], arguments[end:]
    if report_format is not None and not any(word.split("=")[0] == "--format" for word in own):
        own = [*own, "--format", report_format]
    return (sys.executable, "-m", "regdoctor", *own, *others)


def bare_environment(home: Path) -> dict[str, str]:
    """Return an environment with an empty home and nothing that could lead a registry client astray."""
    return {
        "PATH": programs.search_path(),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": str(home),
        "TMPDIR": str(home),
        "DOCKER_CONFIG": str(home / ".docker"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_RUNTIME_DIR": str(home / "run"),
    }


def findings(report: Report) -> list[dict[str, Any]]:
    """Return the findings of all targets."""
    return [finding for target in report["targets"] for finding in target["findings"]]


def codes(report: Report) -> list[str]:
    """Return the codes of all findings, in the report's order."""
    return [finding["code"] for finding in findings(report)]


def root_codes(report: Report) -> list[str]:
    """Return the codes of the root causes of all targets, most likely first."""
    return [finding["code"] for target in report["targets"] for finding in target["root_causes"]]


def describe_findings(report: Report) -> str:
    """Return every finding and every check that did not pass, for messages."""
    lines = [f"verdict: {report.get('verdict')}"]
    for target in report["targets"]:
        lines.append(f"target {target['target']}: {target['verdict']}")
        roots = {finding["id"] for finding in target["root_causes"]}
        for finding in target["findings"]:
            mark = "ROOT " if finding["id"] in roots else ""
            lines.append(
                f"  {mark}{finding['severity']} {finding['code']} ({finding['certainty']}):"
                f" {finding['title']} [{finding['id']}, caused by {finding['caused_by']}]"
            )
            lines.append(f"      {finding['detail']}")
        lines += [
            f"  check {check['id']}: {check['status']} {check.get('reason') or ''}"
            for check in target.get("checks", [])
            if check["status"] != "pass"
        ]
    return "\n".join(lines)


def assert_single_root_cause(
    result: CliResult | Report, code: str, *, exit_code: int | None = None
) -> dict[str, Any]:
    """Check that the report has exactly one root cause, of this code, and return its finding.

    Of a result of ``run_regdoctor`` the exit code is checked as well: 3 where the finding is an error.
    """
    report = result.report if isinstance(result, CliResult) else result
    roots = [finding for target in report["targets"] for finding in target["root_causes"]]
    found = [finding["code"] for finding in roots]
    assert found == [code], f"root causes {found} instead of [{code!r}]\n{describe_findings(report)}"
    if isinstance(result, CliResult):
        expected = exit_code if exit_code is not None else (3 if roots[0]["severity"] == "error" else 0)
        assert result.exit_code == expected, (
            f"exit code {result.exit_code}, not {expected}\n{describe_findings(report)}\n{result.stderr}"
        )
    return dict(roots[0])


def assert_has(result: CliResult | Report, code: str) -> dict[str, Any]:
    """Check that a code is among the findings and return the first such finding."""
    report = result.report if isinstance(result, CliResult) else result
    matching = [finding for finding in findings(report) if finding["code"] == code]
    assert matching, f"{code} is not among the findings\n{describe_findings(report)}"
    return matching[0]


def assert_lacks(result: CliResult | Report, *unwanted: str) -> None:
    """Check that none of the codes is among the findings."""
    report = result.report if isinstance(result, CliResult) else result
    found = [code for code in codes(report) if code in unwanted]
    assert not found, f"{found} should not be among the findings\n{describe_findings(report)}"


def assert_healthy(result: CliResult | Report, *, allow: Iterable[str] = ()) -> None:
    """Check that the verdict is healthy and that there is neither an error nor a warning.

    Of a result of ``run_regdoctor`` the exit code is checked as well: 0. Warnings in ``allow`` are let
    pass, and then the verdict with them.
    """
    report = result.report if isinstance(result, CliResult) else result
    allowed = set(allow)
    wrong = [
        finding["code"]
        for finding in findings(report)
        if finding["severity"] in {"error", "warning"} and finding["code"] not in allowed
    ]
    assert not wrong, f"{wrong} on a healthy target\n{describe_findings(report)}"
    if not allowed & set(codes(report)):
        assert report["verdict"] == "healthy", describe_findings(report)
    if isinstance(result, CliResult):
        assert result.exit_code == 0, (
            f"exit code {result.exit_code}\n{describe_findings(report)}\n{result.stderr}"
        )
