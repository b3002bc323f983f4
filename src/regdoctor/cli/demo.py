"""``regdoctor demo``: an embedded registry on loopback, healthy or with a fault, and its diagnosis."""

from __future__ import annotations

from pathlib import Path

import click

from regdoctor.cli import exit_codes
from regdoctor.cli.errors import Misuse
from regdoctor.cli.run_state import RunState, debug_option


@click.command("demo", short_help="Diagnose an embedded registry, healthy or with a fault.")
@click.argument("fault", required=False)
@click.option("--format", "format_", default="text", show_default=True, help="As for check.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write an HTML report there."
)
@click.option("--verbose", "-v", is_flag=True, help="Show the HTTP exchanges and facts.")
@debug_option
@click.pass_obj
def command(state: RunState, fault: str | None, format_: str, html: Path | None, verbose: bool) -> int:
    """Diagnose an embedded registry on loopback.

    Without FAULT the faults are listed; "healthy" is the registry without one. The exit code is that of check.
    """
    from regdoctor.demo.faults import faults, play

    known = faults()
    if fault is None:
        width = max(map(len, known))
        lines = [f"  {name:<{width}}  {each.summary}" for name, each in known.items()]
        click.echo(
            "\n".join(
                ("The embedded registry can be:", *lines, "", "Try: regdoctor demo expired-certificate")
            )
        )
        return exit_codes.OK
    if fault not in known:
        raise Misuse(f"unknown fault {fault!r}; regdoctor demo lists them")
    from regdoctor.cli import check

    with play(known[fault]) as stage:
        arguments = ["--format", format_, *stage.arguments, stage.target]
        if html is not None:
            arguments += ["--output", f"html={html}"]
        if verbose:
            arguments.append("--verbose")
        code = check.command.main(
            args=arguments, prog_name="regdoctor demo", standalone_mode=False, obj=state
        )
    if html is not None:
        click.echo(f"HTML report: {html.absolute()}", err=True)
    return code if isinstance(code, int) else exit_codes.OK
