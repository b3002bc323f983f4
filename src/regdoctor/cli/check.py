"""``regdoctor check``: diagnose registries and images."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regdoctor.cli import exit_codes, reports
from regdoctor.cli.errors import Misuse, say
from regdoctor.cli.options import check_options, read_options
from regdoctor.cli.parameters import SectionedCommand
from regdoctor.cli.run_state import RunState, debug_option, pass_state

if TYPE_CHECKING:
    from regdoctor.engine.plan import Plan
    from regdoctor.model import Report
    from regdoctor.oci.reference import Target
    from regdoctor.options import Options


@click.command("check", cls=SectionedCommand, short_help="Diagnose registries and images; the main job.")
@click.argument("targets", nargs=-1, metavar="TARGET...")
@check_options
@debug_option
@pass_state
def command(state: RunState, /, targets: tuple[str, ...], **given: Any) -> int:
    """Diagnose registries and images.

    A TARGET is host[:port], http(s)://host[:port], or an image such as host:5000/team/app:1.0; alpine and
    team/app mean Docker Hub, as for docker. Everything is read-only unless --push is given.
    """
    environment = dict(os.environ)
    state.secrets.add_environment(environment)
    options = read_options(given, state.secrets)
    parsed = _targets(targets, given["images"], environment, state)
    plan = reports.make_plan(reports.load_checks(), options.only, options.skip)
    set_aside = reports.suppressions(given["suppress"], plan.registry)
    if given["plan"]:
        return _show_plan(plan, parsed, options, given["format_"], environment, state)
    found = _run(parsed, options, plan, environment, state, reports.formats(given))
    return reports.finish(found, set_aside, given, environment, state)


def _targets(
    texts: Iterable[str], files: Iterable[Path], environment: Mapping[str, str], state: RunState
) -> tuple[Target, ...]:
    from regdoctor.oci.reference import (
        InvalidReference,
        defective_target,
        is_meant_as_image,
        parse_target,
    )

    targets: dict[str, Target] = {}
    for text in texts:
        try:
            targets.setdefault(text, parse_target(text))
        except InvalidReference as error:
            if is_meant_as_image(text):
                broken = defective_target(text, error)
                targets.setdefault(broken.text, broken)
                continue
            raise Misuse(f"{_shown(text)} is no target: {error}") from None
    for path in files:
        for target in _images(path, environment, state):
            targets.setdefault(target.text, target)
    if not targets:
        raise Misuse("no target given; name one, as in regdoctor check reg.example.com:5000, or use --images")
    return tuple(targets.values())


def _shown(text: str) -> str:
    """A target for a message; user name and password of a URL are left out."""
    from regdoctor.redact import redact_url

    return repr(redact_url(text)[:200])


def _images(path: Path, environment: Mapping[str, str], state: RunState) -> tuple[Target, ...]:
    from regdoctor import images_file

    if str(path) == "-":
        data, name = sys.stdin.buffer.read(images_file.LARGEST + 1), "standard input"
    else:
        data, name = reports.read_bytes(path, images_file.LARGEST), str(path)
    try:
        images = images_file.read(data, name, environment)
    except images_file.ImagesFileError as error:
        raise Misuse(f"--images: {error}") from None
    for note in images.left_out:
        say(f"regdoctor check: left out: {note}", state.secrets)
    return images.targets


def _show_plan(
    plan: Plan,
    targets: Sequence[Target],
    options: Options,
    format_: str,
    environment: Mapping[str, str],
    state: RunState,
) -> int:
    from regdoctor.cli import plan as plan_page
    from regdoctor.cli.output import write_standard_output

    if format_ not in plan_page.FORMATS:
        raise Misuse(f"--plan is shown as {' or '.join(plan_page.FORMATS)}, not as {format_}")
    data = plan_page.render(plan, targets, options, environment, reports.home(environment), format_)
    write_standard_output(state.secrets.scrubber().scrub_bytes(data))
    return exit_codes.OK


def _run(
    targets: Sequence[Target],
    options: Options,
    plan: Plan,
    environment: Mapping[str, str],
    state: RunState,
    formats: Iterable[str],
) -> Report:
    from regdoctor.cli.progress import Progress
    from regdoctor.engine import session

    if options.push and threading.current_thread() is threading.main_thread():
        # As after Ctrl-C, uploads that were begun are cancelled first.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Progress(sys.stderr, terminal=environment.get("TERM", "")) as progress:
            return session.check(
                targets,
                options,
                plan,
                environment=environment,
                home=reports.home(environment),
                conceal=state.secrets.add,
                progress=progress,
                meanwhile=lambda: reports.prepare(formats),
            )
    except KeyboardInterrupt as interrupt:
        for left in getattr(interrupt, "__notes__", ()):
            say(f"regdoctor check: {left}", state.secrets)
        raise
