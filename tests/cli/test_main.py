"""The group of commands, and what becomes of errors."""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest

from regdoctor.cli.main import COMMANDS, regdoctor
from regdoctor.model import Report
from regdoctor.secret import Secret
from tests.cli.conftest import Invoke, Run
from tests.report import examples


def test_help_lists_every_command(invoke: Invoke) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for name, (_module, help_) in COMMANDS.items():
        assert f"  {name} " in result.stdout
        assert help_ in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_short_help_is_the_commands_own(name: str) -> None:
    command = regdoctor.get_command(click.Context(regdoctor), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=200) == COMMANDS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(invoke: Invoke, name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: regdoctor {name} ")


def test_the_version_is_one_line(invoke: Invoke) -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, "regdoctor 0.1.0\n")


def test_without_a_command_the_help_goes_to_standard_error(invoke: Invoke) -> None:
    result = invoke()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Commands:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["chekc"], "regdoctor: no such command 'chekc'"),
        (["--nonsense"], "regdoctor: no such option '--nonsense'"),
        (["check", "--nonsense", "reg.test"], "regdoctor check: no such option '--nonsense'"),
        (["check", "--timeout"], "regdoctor check: option '--timeout' requires an argument"),
        (["explain", "--format", "xml", "x"], "regdoctor explain: invalid value for '--format'"),
        (["checks", "surplus"], "regdoctor checks: got unexpected extra argument"),
        (
            ["check", "--format", "\x1b[31m", "reg.test"],
            "regdoctor check: invalid value for '--format': '\\x1b[31m'",
        ),
    ],
)
def test_wrong_usage_is_one_line_with_the_way_out(invoke: Invoke, arguments: list[str], line: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.lower().startswith(line.lower())
    assert "--help" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.fixture
def broken(run_of: Callable[[Report], Run]) -> Run:
    """A run that fails within regdoctor, with a secret in the message."""

    def fail(run: Run) -> None:
        run.arguments["conceal"](Secret("hunter2-hunter2"))
        raise LookupError("no such key: hunter2-hunter2\nsecond line")

    run = run_of(examples.healthy())
    run.before = fail
    return run


@pytest.mark.usefixtures("broken")
def test_a_fault_of_regdoctor_is_one_line_without_secrets(invoke: Invoke) -> None:
    result = invoke("check", "reg.test")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("regdoctor: internal error: LookupError: no such key: *** second line; ")
    assert "--debug" in result.stderr


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("arguments", [["--debug", "check", "reg.test"], ["check", "--debug", "reg.test"]])
def test_debug_shows_the_traceback_without_secrets(invoke: Invoke, arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "hunter2" not in result.stderr


def test_an_interrupt_ends_with_its_own_code(invoke: Invoke, run_of: Callable[[Report], Run]) -> None:
    def interrupt(_run: Run) -> None:
        raise KeyboardInterrupt

    run_of(examples.healthy()).before = interrupt
    result = invoke("check", "reg.test")
    assert result.exit_code == 130
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
