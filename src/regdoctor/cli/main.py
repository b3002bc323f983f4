"""The entry point: the group of commands, loaded lazily, and what becomes of errors."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NoReturn

import click

from regdoctor import __version__
from regdoctor.cli import exit_codes
from regdoctor.cli.run_state import RunState, debug_option

COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "check": ("regdoctor.cli.check", "Diagnose registries and images; the main job."),
        "lint": ("regdoctor.cli.lint", "Judge configuration files; contacts nothing."),
        "fsck": ("regdoctor.cli.fsck", "Read a registry's storage on disk."),
        "explain": ("regdoctor.cli.explain", "Say what a finding code or an error message means."),
        "checks": ("regdoctor.cli.checks", "List the check modules and their codes."),
        "demo": ("regdoctor.cli.demo", "Diagnose an embedded registry, healthy or with a fault."),
    }
)
"""Command → the module that holds it as ``command``, and its short help, which must not need the module."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used, and owns the errors of all of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of :data:`COMMANDS`."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now, or None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        ctx.ensure_object(RunState).command_path = f"{ctx.command_path} {cmd_name}"
        from importlib import import_module

        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands with their short help, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_module, help_) in COMMANDS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs a command; standing alone it ends the process with an exit code of the contract."""
        state = RunState()
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        sys.exit(self._exit_code(state, partial(run, obj=state)))

    def _exit_code(self, state: RunState, run: Callable[[], Any]) -> int:
        try:
            code = run()
            sys.stdout.flush()
        except click.Abort:
            return exit_codes.INTERRUPTED
        except click.exceptions.NoArgsIsHelpError as error:
            sys.stderr.write(f"{error.format_message()}\n")
            return exit_codes.USAGE
        except click.ClickException as error:
            from regdoctor.cli.errors import say, usage_line

            say(usage_line(error, state.command_path), state.secrets)
            return error.exit_code
        except BrokenPipeError:
            from regdoctor.cli.output import close_standard_output

            close_standard_output()
            return exit_codes.OK
        except Exception as error:  # the last resort: a line, not a traceback
            from regdoctor.cli.errors import internal_line, say, say_traceback

            if state.debug:
                say_traceback(error, state.secrets)
            say(internal_line(error), state.secrets)
            return exit_codes.FAILED
        return code if isinstance(code, int) else exit_codes.OK


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 nothing found, 1 regdoctor failed, 2 wrong usage, 3 an error was found, "
    "4 a warning was found and --fail-on is warning.",
)
@click.version_option(__version__, "-V", "--version", prog_name="regdoctor", message="%(prog)s %(version)s")
@debug_option
def regdoctor() -> None:
    """Diagnose container image registries: why a push or pull fails, the proof, and the remedy.

    For example: regdoctor check registry.example.com:5000/team/app:1.0
    """


def main() -> NoReturn:
    """Runs the command line and exits."""
    try:
        regdoctor(prog_name="regdoctor")
    except SystemExit as end:
        _leave_threads_behind(end.code)
        raise
    raise AssertionError("the group ends the process itself")


def _leave_threads_behind(code: object) -> None:
    """Ends the process at once where threads still wait for a network that does not answer.

    The interpreter's own way out takes the ground from under them: a daemon thread that comes back from a library
    while it is being taken down ends in the middle of foreign code (CPython ``threading``, daemon threads).
    """
    if threading.active_count() == 1 or not isinstance(code, int):
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
