"""Where reports go: standard output, and files."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from regdoctor.cli.errors import Failure

if TYPE_CHECKING:
    from regdoctor.report.options import FailOn, RenderOptions

_NARROWEST: Final = 40
_WIDEST: Final = 100
_DEFAULT_WIDTH: Final = 80


def write_standard_output(data: bytes) -> None:
    """Writes a report to standard output; a reader that went away is no failure.

    :raises Failure: standard output cannot be written, as on a full disk.
    """
    try:
        stream = sys.stdout.buffer
        stream.write(data)
        stream.flush()
    except BrokenPipeError:
        close_standard_output()
    except OSError as error:
        raise Failure(f"the report cannot be written to standard output: {error.strerror}") from error


def close_standard_output() -> None:
    """Sends what is still buffered nowhere, so that the interpreter's end does not complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


def write_file(path: Path, data: bytes) -> None:
    """Writes a report to a file at once: who reads it sees the old or the new one, never half of it.

    A link is followed; a pipe or device is written to directly.

    :raises Failure: the file cannot be written.
    """
    try:
        real = Path(os.path.realpath(path))
        if real.exists() and not real.is_file():
            real.write_bytes(data)
            return
        unfinished = real.with_name(f".{real.name}.{os.getpid()}")
        try:
            with unfinished.open("xb") as stream:
                stream.write(data)
            unfinished.replace(real)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from error


def for_terminal(fail_on: FailOn, *, verbose: bool, environment: Mapping[str, str]) -> RenderOptions:
    """How a report for standard output is rendered: in colour and as wide as the terminal, if it is one."""
    from regdoctor.report.options import RenderOptions

    terminal = sys.stdout.isatty()
    width = _DEFAULT_WIDTH
    if terminal:
        width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    return RenderOptions(
        width=width, colour=wants_colour(terminal, environment), verbose=verbose, fail_on=fail_on
    )


def wants_colour(terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether to use colour: ``NO_COLOR`` forbids it (no-color.org), ``FORCE_COLOR`` wants it anywhere.

    Both count where they are set to anything but the empty text; where both are set, ``NO_COLOR`` wins, as it
    does for Python's own messages.
    """
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return terminal and environment.get("TERM", "") not in ("", "dumb")
