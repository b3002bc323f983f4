"""Errors as one line on standard error: what is wrong, and the way out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from regdoctor.cli.secrets import KnownSecrets


class Misuse(click.UsageError):
    """The caller asked for something that cannot be; the message says what, and what would be right."""


class Failure(click.ClickException):
    """regdoctor cannot do its work; the message says why and what helps."""

    exit_code = 1


def usage_line(error: click.ClickException, command: str) -> str:
    """One line for an error of usage: what is wrong and, where click speaks, where to look.

    :param command: the command in use; click does not always say which one an error is about.
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else command
    message = _sentence(error.format_message())
    hint = "" if isinstance(error, Misuse | Failure) else f"; see {command} --help"
    return f"{command}: {message}{hint}"


def internal_line(error: BaseException) -> str:
    """One line for an error that nobody foresaw."""
    text = _sentence(f"{type(error).__name__}: {error}")
    return (
        f"regdoctor: internal error: {text}; this is a fault of regdoctor, not of the registry: "
        "--debug shows the traceback"
    )


def say(line: str, secrets: KnownSecrets) -> None:
    """Writes a line to standard error, secrets blanked."""
    sys.stderr.write(f"{secrets.scrub(line)}\n")


def say_traceback(error: BaseException, secrets: KnownSecrets) -> None:
    """Writes a traceback to standard error, secrets blanked; local values are never part of it."""
    import traceback

    sys.stderr.write(secrets.scrub("".join(traceback.format_exception(error))))


def _sentence(message: str) -> str:
    """A message of click or of an exception as part of a line: safe, without the final full stop."""
    from regdoctor.report.escape import line

    text = line(message).removesuffix(".")
    if text.startswith(("Got ", "Invalid ", "Missing ", "No ")):
        text = text[0].lower() + text[1:]
    return text
