"""What the commands that report findings have in common: suppressions, formats, writing, the exit code."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regdoctor.cli import exit_codes
from regdoctor.cli.errors import Failure, Misuse, say

if TYPE_CHECKING:
    from regdoctor.cli.run_state import RunState
    from regdoctor.engine.plan import Plan
    from regdoctor.engine.registry import CheckRegistry
    from regdoctor.facts.base import FileKind
    from regdoctor.model import Report
    from regdoctor.suppress import Suppression


def load_checks(only: Collection[str] = ()) -> CheckRegistry:
    """Every installed check, or those with the given names alone.

    :raises Failure: one of them is broken.
    """
    from regdoctor.catalogue import CatalogueError
    from regdoctor.engine import registry
    from regdoctor.signatures import DeclarationError

    try:
        return registry.load_checks(only=only)
    except (DeclarationError, CatalogueError) as error:
        raise _unloadable(error) from error


def make_plan(
    checks: CheckRegistry, only: Sequence[str], skip: Sequence[str], kind: FileKind | None = None
) -> Plan:
    """What is to run, as :func:`regdoctor.engine.plan.make_plan` says.

    :raises Misuse: ``--only`` or ``--skip`` names nothing.
    :raises Failure: the checks contradict each other.
    """
    from regdoctor.catalogue import CatalogueError
    from regdoctor.engine import plan
    from regdoctor.signatures import DeclarationError

    try:
        return plan.make_plan(checks, only, skip, kind)
    except plan.UnknownCheck as error:
        raise Misuse(str(error)) from None
    except (DeclarationError, CatalogueError) as error:
        raise _unloadable(error) from error


def _unloadable(error: Exception) -> Failure:
    return Failure(f"the checks cannot be loaded: {error}")


def read_bytes(path: Path, largest: int) -> bytes:
    """The file, and one byte more than allowed of a larger one.

    :raises Misuse: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(largest + 1)
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {error.strerror}") from None


def suppressions(path: Path | None, checks: CheckRegistry) -> tuple[Suppression, ...]:
    """The findings that ``--suppress`` sets aside.

    :raises Misuse: the file is not right.
    """
    if path is None:
        return ()
    from regdoctor.suppress import LARGEST, SuppressionError, parse

    try:
        return parse(read_bytes(path, LARGEST), str(path), checks.catalogue)
    except SuppressionError as error:
        raise Misuse(f"--suppress: {error}") from None


def formats(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The formats that are asked for."""
    return (given["format_"], *(name for name, _path in given["outputs"]))


def prepare(names: Iterable[str]) -> None:
    """Imports renderers ahead of time; what fails here fails again, and is reported, when they are used."""
    from regdoctor.report.formats import prepare as prepare_renderer

    for name in dict.fromkeys(names):
        with suppress(Exception):
            prepare_renderer(name)


def home(environment: Mapping[str, str]) -> Path:
    """The caller's home directory."""
    return Path(environment.get("HOME") or Path("~").expanduser())


def finish(
    found: Report,
    set_aside: Sequence[Suppression],
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    state: RunState,
) -> int:
    """Sets findings aside, writes the reports, and gives the exit code."""
    from regdoctor.cli.output import for_terminal, write_file, write_standard_output
    from regdoctor.report.formats import renderer
    from regdoctor.report.options import FailOn, RenderOptions
    from regdoctor.report.scrub import scrubbed

    if set_aside:
        from regdoctor.suppress import apply, expired

        for each in expired(found, set_aside):
            say(
                f"{state.command_path}: {each.place}: {each.code} is suppressed until {each.until} only",
                state.secrets,
            )
        found = apply(found, set_aside)
    scrubber = state.secrets.scrubber()
    found = scrubbed(found, scrubber.scrub)
    fail_on = FailOn(given["fail_on"])
    verbose = given["verbose"]
    for name, path in given["outputs"]:
        data = renderer(name)(found, RenderOptions(verbose=verbose, fail_on=fail_on))
        write_file(path, scrubber.scrub_bytes(data))
    options = for_terminal(fail_on, verbose=verbose, environment=environment)
    write_standard_output(scrubber.scrub_bytes(renderer(given["format_"])(found, options)))
    return exit_codes.of_report(found, fail_on)
