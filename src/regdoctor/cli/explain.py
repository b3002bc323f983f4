"""``regdoctor explain``: what a finding code, or a message of a client, means."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from regdoctor.cli import exit_codes
from regdoctor.cli.errors import Failure, Misuse
from regdoctor.cli.run_state import debug_option

if TYPE_CHECKING:
    from regdoctor.catalogue import Catalogue


@click.command("explain", short_help="Say what a finding code or an error message means.")
@click.argument("text", nargs=-1, metavar="CODE|TEXT|-")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format on standard output.",
)
@debug_option
def command(text: tuple[str, ...], format_: str) -> int:
    """Say what a finding code, or a pasted message of docker, containerd, podman or kubelet, means.

    - reads the message from standard input. The exit code is 3 where nothing is known.
    """
    from regdoctor.cli.output import for_terminal, write_standard_output
    from regdoctor.explain import explain
    from regdoctor.report.options import FailOn

    message = _message(text)
    catalogue = _catalogue()
    explanation = explain(message, catalogue)
    if format_ == "json":
        from regdoctor.report.encode import plain
        from regdoctor.report.json import encode

        data = encode(plain(explanation))
    else:
        from regdoctor.report.explanation import render

        options = for_terminal(FailOn.ERROR, verbose=False, environment=dict(os.environ))
        data = render(explanation, catalogue, options)
    write_standard_output(data)
    return exit_codes.OK if explanation.matches else exit_codes.ERRORS


def _message(words: tuple[str, ...]) -> str:
    """The message from the arguments, or from standard input for ``-``."""
    from regdoctor.symptoms import MAX_MESSAGE

    if not words:
        raise Misuse(
            "nothing to explain: give a code such as tls/expired, a message in quotes, or - for stdin"
        )
    if words != ("-",):
        return " ".join(words)
    data = sys.stdin.buffer.read(4 * MAX_MESSAGE)
    message = data.decode("utf-8", "replace")
    if not message.strip():
        raise Misuse("standard input is empty")
    return message


def _catalogue() -> Catalogue:
    """The codes of every installed check; rules and probes are not loaded for it."""
    from importlib.metadata import entry_points

    from regdoctor.catalogue import CatalogueError, load
    from regdoctor.engine.registry import GROUP

    try:
        return load([point.value for point in entry_points(group=GROUP)])
    except CatalogueError as error:
        raise Failure(f"the codes cannot be loaded: {error}") from error
