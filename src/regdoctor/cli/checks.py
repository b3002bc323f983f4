"""``regdoctor checks``: the check modules, built in and from plug-ins, and their codes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from regdoctor.cli import exit_codes
from regdoctor.cli.errors import Failure
from regdoctor.cli.run_state import debug_option

if TYPE_CHECKING:
    from regdoctor.engine.registry import CheckRegistry

SCHEMA = "regdoctor.checks/1"


@click.command("checks", short_help="List the check modules and their codes.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format on standard output.",
)
@debug_option
def command(format_: str) -> int:
    """List the check modules, where they come from, and their codes.

    A planned code has its texts already, but no rule that finds it yet.
    """
    from regdoctor.catalogue import CatalogueError
    from regdoctor.cli.output import for_terminal, write_standard_output
    from regdoctor.engine.registry import load_checks
    from regdoctor.report.options import FailOn
    from regdoctor.signatures import DeclarationError

    try:
        registry = load_checks()
    except (DeclarationError, CatalogueError) as error:
        raise Failure(f"the checks cannot be loaded: {error}") from error
    listed = _checks(registry)
    if format_ == "json":
        from regdoctor.report.json import encode

        data = encode({"schema": SCHEMA, "checks": listed})
    else:
        from regdoctor.report.check_list import render

        options = for_terminal(FailOn.ERROR, verbose=False, environment=dict(os.environ))
        data = render(listed, options)
    write_standard_output(data)
    return exit_codes.OK


def _checks(registry: CheckRegistry) -> list[dict[str, Any]]:
    summaries = {area.package: area.summary for area in registry.catalogue.areas}
    return [
        {
            "id": check.id,
            "title": check.title,
            "summary": summaries[check.package],
            "package": check.package,
            "distribution": check.distribution,
            "codes": [
                {
                    "code": code,
                    "severity": registry.catalogue[code].severity.value,
                    "title": registry.catalogue[code].title,
                    "detected": code in check.detected,
                }
                for code in check.codes
            ],
        }
        for check in registry.checks
    ]
