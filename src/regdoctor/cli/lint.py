"""``regdoctor lint``: judge configuration files by themselves, without contacting anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from regdoctor.cli import reports
from regdoctor.cli.errors import Misuse, say
from regdoctor.cli.options import lint_options
from regdoctor.cli.parameters import SectionedCommand, section
from regdoctor.cli.run_state import RunState, debug_option, pass_state

if TYPE_CHECKING:
    from regdoctor.engine.registry import CheckRegistry
    from regdoctor.lint_files import Found
    from regdoctor.model import Report

KINDS: Final = (
    *("registry", "nginx", "haproxy", "traefik", "caddy", "daemon", "docker-config", "containerd", "hosts"),
    *("registries", "policy", "htpasswd", "kubernetes", "buildkit"),
)
"""The words of :class:`regdoctor.facts.base.FileKind`, which the help must not load."""
DEADLINE: Final = 60.0
"""Seconds; files are read in milliseconds, unless they lie on a dead network filesystem."""

_what = section("What to look at")


@click.command("lint", cls=SectionedCommand, short_help="Judge configuration files; contacts nothing.")
@click.argument(
    "paths", nargs=-1, metavar="PATH...", type=click.Path(exists=True, readable=False, path_type=Path)
)
@_what(
    "--kind",
    type=click.Choice(KINDS),
    help="What the files are; of a folder, which of its files to take. Default: as they are recognised.",
)
@_what(
    "--effective",
    is_flag=True,
    help="Show config.yml as the registry's environment changes it, each value's origin; judge nothing.",
)
@lint_options
@debug_option
@pass_state
def command(state: RunState, /, paths: tuple[Path, ...], **given: Any) -> int:
    """Judge configuration files by themselves; nothing is contacted.

    A PATH is a file, or a folder of which those files are taken that are recognised: the registry's config.yml;
    nginx, haproxy, traefik and caddy; docker's daemon.json and config.json; containerd's config.toml and
    hosts.toml; registries.conf and policy.json; htpasswd; Kubernetes pull secrets and pods; buildkitd.toml.
    """
    environment = dict(os.environ)
    state.secrets.add_environment(environment)
    files = _files(paths, given["kind"], state)
    if given["effective"]:
        return _show_effective(files, given, state)
    checks = reports.load_checks()
    set_aside = reports.suppressions(given["suppress"], checks)
    found = _run(files, checks, given, environment, state)
    return reports.finish(found, set_aside, given, environment, state)


def _files(paths: Sequence[Path], kind: str | None, state: RunState) -> tuple[Found, ...]:
    from regdoctor.facts.base import FileKind
    from regdoctor.lint_files import Unrecognised, find_files

    if not paths:
        raise Misuse("no file given; name one, as in regdoctor lint /etc/docker/daemon.json")
    try:
        files, left_out = find_files(paths, FileKind(kind) if kind is not None else None)
    except Unrecognised as error:
        raise Misuse(str(error)) from None
    if left_out:
        what = "file is" if left_out == 1 else "files are"
        say(f"{state.command_path}: {left_out} other {what} left out", state.secrets)
    return files


def _show_effective(files: Sequence[Found], given: Mapping[str, Any], state: RunState) -> int:
    from regdoctor.cli.effective import effective_text
    from regdoctor.facts.base import FileKind

    wanted = [file.path for file in files if file.kind is FileKind.REGISTRY]
    if not wanted:
        raise Misuse("--effective is about a registry's config.yml; none is given")
    try:
        texts = [
            effective_text(path, given["env_file"], given["registry_version"], state.secrets.scrub)
            for path in wanted
        ]
    except ValueError as error:
        raise Misuse(str(error)) from None
    for path, text in zip(wanted, texts, strict=True):
        if len(wanted) > 1:
            click.echo(f"# {path}")
        click.echo(text, nl=False)
    return 0


def _run(
    files: Sequence[Found],
    checks: CheckRegistry,
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    state: RunState,
) -> Report:
    from regdoctor.cli.progress import Progress
    from regdoctor.context import Deadline
    from regdoctor.engine.lint import LintFile, lint
    from regdoctor.lint_files import options_for
    from regdoctor.options import Options

    options = Options(
        only=given["only"],
        skip=given["skip"],
        registry_version=given["registry_version"],
        env_file=given["env_file"],
    )
    with Progress(sys.stderr, terminal=environment.get("TERM", "")) as progress:
        return lint(
            [
                LintFile(name=str(file.path), kind=file.kind, options=options_for(file, files, options))
                for file in files
            ],
            partial(reports.make_plan, checks, options.only, options.skip),
            deadline=Deadline(DEADLINE, DEADLINE),
            environment=environment,
            home=reports.home(environment),
            conceal=state.secrets.add,
            progress=progress,
        )
