"""``regdoctor fsck``: read a registry's storage on disk, and say what is damaged, missing or free to go."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import click

from regdoctor.cli import reports
from regdoctor.cli.errors import Misuse, say
from regdoctor.cli.options import report_options
from regdoctor.cli.parameters import Days, Seconds, SectionedCommand, section
from regdoctor.cli.run_state import RunState, debug_option, pass_state

if TYPE_CHECKING:
    from regdoctor.context import Cleanup
    from regdoctor.host.storage.crew import Helpers
    from regdoctor.model import Report

ENDLESS: Final = 10 * 365 * 86_400.0
"""Seconds: no deadline. The largest storages are hashed in weeks."""

_what = section("What to look at")
_how = section("How, and how long")


@click.command("fsck", cls=SectionedCommand, short_help="Read a registry's storage on disk.")
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path(path_type=Path))
@_what("--verify", is_flag=True, help="Also hash the bytes of every blob, on all processors.")
@_how(
    "--resume",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --verify: note there what is hashed, and go on from there. Removed when all is done.",
)
@_how(
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Things to do at a time. Default: as suits disk and processors.",
)
@_how(
    "--deadline",
    type=Seconds(),
    metavar="SECONDS",
    help="The longest that reading may take; what was seen by then is judged. Default: none.",
)
@_what(
    "--upload-age",
    type=Days(),
    default=8.0,
    show_default=True,
    metavar="DAYS",
    help="After so long an upload that nobody goes on with is abandoned.",
)
@report_options
@debug_option
@pass_state
def command(state: RunState, /, paths: tuple[Path, ...], **given: Any) -> int:
    """Read a registry's storage on disk: links, manifests, blobs, abandoned uploads, and what could be freed.

    A PATH is the registry's root folder (storage.filesystem.rootdirectory), or anything below it; a folder of one
    repository stands for this alone. Nothing is written, and the registry may be running. Interrupted once, it
    judges what it has seen.
    """
    from regdoctor.host.storage.crew import fork_helpers, processors

    _check(paths, given)
    # Before anything else: a fork copies this thread alone.
    with fork_helpers(given["jobs"] or processors()) as helpers:
        environment = dict(os.environ)
        state.secrets.add_environment(environment)
        found = _run(paths, given, environment, helpers, state)
        set_aside = (
            reports.suppressions(given["suppress"], reports.load_checks()) if given["suppress"] else ()
        )
        _say_what_is_missing(found, given, state)
        return reports.finish(found, set_aside, given, environment, state)


def _check(paths: Sequence[Path], given: Mapping[str, Any]) -> None:
    from regdoctor.host.storage import NoStorage, ResumeError, check_resume, check_storage

    if not paths:
        raise Misuse("no path given; name one, as in regdoctor fsck /var/lib/registry")
    if given["resume"] is not None and not given["verify"]:
        raise Misuse("--resume needs --verify: everything else is read anew each time")
    if given["resume"] is not None and len(paths) > 1:
        raise Misuse("--resume goes with one PATH only: its file belongs to one storage")
    try:
        for path in paths:
            check_storage(path)
            if given["resume"] is not None:
                check_resume(path, given["resume"])
    except (NoStorage, ResumeError) as error:
        raise Misuse(str(error)) from None


def _run(
    paths: Sequence[Path],
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    helpers: Helpers,
    state: RunState,
) -> Report:
    from regdoctor.cli.progress import Progress
    from regdoctor.context import Cleanup, Deadline
    from regdoctor.engine.fsck import CHECKS, CODES, StoragePath, fsck
    from regdoctor.engine.plan import make_plan
    from regdoctor.host.storage import CONCLUDING, HELPERS
    from regdoctor.options import Options

    checks = reports.load_checks(CHECKS)
    options = Options(
        only=CODES,
        whole_storage=True,
        verify_blobs=given["verify"],
        jobs=given["jobs"],
        resume=given["resume"],
        upload_age=given["upload_age"],
    )
    from msgspec.structs import replace

    cleanup = Cleanup()
    seconds = (given["deadline"] or ENDLESS) + CONCLUDING
    with (
        Progress(sys.stderr, terminal=environment.get("TERM", "")) as progress,
        _interruptible(cleanup),
    ):
        return fsck(
            [StoragePath(name=str(path), options=replace(options, storage=path)) for path in paths],
            make_plan(checks, CODES, hosts=False),
            deadline=Deadline(seconds, seconds),
            cleanup=cleanup,
            environment=environment,
            home=reports.home(environment),
            conceal=state.secrets.add,
            progress=progress,
            shared={HELPERS: helpers},
        )


@contextmanager
def _interruptible(cleanup: Cleanup) -> Iterator[None]:
    """Lets the first interrupt end the reading, and the second the program."""

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        cleanup.end()

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _say_what_is_missing(found: Report, given: Mapping[str, Any], state: RunState) -> None:
    """Says on standard error where a storage was not read to its end, and what to do about it."""
    for target in found.targets:
        content = target.facts.get("storage-content")
        if content is None:
            continue
        if content.unread_seen:
            first = content.unread[0]
            others = content.unread_seen - 1
            places = f"{others + 1:,} places, such as {first.path}" if others else first.path
            say(
                f"{state.command_path}: {content.tree}: {places} could not be looked at ({first.why}); nothing is "
                "said about what lies there",
                state.secrets,
            )
        if not content.complete:
            done = content.verification
            hashed = (
                f" after {done.blobs + done.earlier:,} of {content.blobs:,} blobs" if done is not None else ""
            )
            way = f"; go on with --resume {given['resume']}" if given["resume"] is not None else ""
            say(f"{state.command_path}: {content.tree}: ended{hashed}{way}", state.secrets)
