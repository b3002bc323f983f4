"""What one call of the program shares between the group and its commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from regdoctor.cli.secrets import KnownSecrets

Command = TypeVar("Command", bound=Callable[..., Any])


class RunState:
    """The command in use, whether tracebacks are wanted, and the secrets that must not leave."""

    def __init__(self) -> None:
        self.command_path = "regdoctor"
        self.debug = False
        self.secrets = KnownSecrets()


pass_state = click.make_pass_decorator(RunState, ensure=True)
"""Hands the state to a command as its first argument."""


def _want_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(RunState).debug = True


def debug_option(command: Command) -> Command:
    """Adds ``--debug``, which a command and the group both take."""
    return click.option(
        "--debug",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_want_debug,
        help="Show the traceback where regdoctor itself fails.",
    )(command)
