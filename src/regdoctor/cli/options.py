"""The options of ``check`` (and of ``bundle``), and how they become :class:`regdoctor.options.Options`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from regdoctor.cli.errors import Misuse
from regdoctor.cli.parameters import (
    ANY_FILE,
    ANY_FOLDER,
    FILE,
    FILE_OR_STDIN,
    FOLDER,
    Days,
    Nameserver,
    Percent,
    Platform,
    ProxyUrl,
    ReportFile,
    Seconds,
    Tag,
    TimeServer,
    section,
)
from regdoctor.report.formats import MODULES

if TYPE_CHECKING:
    from regdoctor.cli.secrets import KnownSecrets
    from regdoctor.options import Options
    from regdoctor.secret import Secret

Command = TypeVar("Command", bound=Callable[..., Any])

PUSH_SECONDS: Final = 8.0
"""Seconds of a slow upload that are not asked for: left out where they do not fit into the deadline."""
LONGEST_PASSWORD: Final = 65_536
"""Bytes read from standard input as a password; tokens of some clouds have several thousand."""

_what = section("What to look at")
_who = section("Credentials and trust")
_how = section("Network")
_host = section("Evidence from this host")
_which = section("Which checks, and how long")
_output = section("Output")

_UPLOAD_AGE: Final = _host(
    "--upload-age",
    type=Days(),
    default=8.0,
    show_default=True,
    metavar="DAYS",
    help="After so long an upload that nobody goes on with is abandoned.",
)
_REGISTRY_PROCESS: Final = (
    _host("--registry-version", type=click.Choice(["2.8", "3"]), help="The registry's major version."),
    _host("--env-file", type=FILE, metavar="FILE", help="What the registry process gets in its environment."),
)
_CHOICE: Final = (
    _which("--only", multiple=True, metavar="CHECK|AREA", help="Run this check or code only; repeatable."),
    _which("--skip", multiple=True, metavar="CHECK|AREA", help="Leave this check or code out; repeatable."),
)
_REPORT: Final = (
    _output(
        "--format",
        "format_",
        type=click.Choice(list(MODULES)),
        default="text",
        show_default=True,
        help="Format of the report on standard output.",
    ),
    _output(
        "--output",
        "outputs",
        type=ReportFile(),
        multiple=True,
        metavar="FORMAT=PATH",
        help="Write a further report to a file; repeatable.",
    ),
    _output(
        "--fail-on",
        type=click.Choice(["error", "warning", "never"]),
        default="error",
        show_default=True,
        help="From which findings on the exit code is not 0.",
    ),
    _output("--suppress", type=FILE, metavar="FILE", help="Findings to set aside, with a reason for each."),
)
_VERBOSE: Final = _output("--verbose", "-v", is_flag=True, help="Add HTTP exchanges and facts to the report.")

_OPTIONS: Final = (
    _what(
        "--push", is_flag=True, help="Also probe an upload: session, Location, chunk, a tiny blob, delete."
    ),
    _what(
        "--push-tag",
        type=Tag(),
        metavar="NAME",
        help="With --push: also push a tiny image under this tag, which must be free.",
    ),
    _what(
        "--push-seconds",
        type=Seconds(),
        default=PUSH_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="With --push: how long the slow uploads take that timers on the way cut off.",
    ),
    _what(
        "--images",
        type=FILE_OR_STDIN,
        multiple=True,
        metavar="FILE",
        help="Images from Kubernetes YAML, Compose, rendered Helm, a Dockerfile or a list; - is stdin.",
    ),
    _what(
        "--platform",
        "platforms",
        type=Platform(),
        multiple=True,
        metavar="OS/ARCH[/VARIANT]",
        help="Platform that the images must have; repeatable.",
    ),
    _what(
        "--verify-blobs",
        is_flag=True,
        help="Also download every layer and compute its digest; give a --deadline that suffices.",
    ),
    _who("--username", metavar="NAME", help="User name; the password comes by --password-stdin."),
    _who("--password-stdin", is_flag=True, help="Read the password from standard input."),
    _who(
        "--authfile",
        type=FILE,
        metavar="FILE",
        help="docker config.json, containers auth.json or a Kubernetes secret. Default: as docker looks.",
    ),
    _who("--cacert", type=FILE, metavar="FILE", help="Certificate authorities to trust, PEM."),
    _who(
        "--certs-dir",
        type=FOLDER,
        metavar="DIR",
        help="Folder of certificates by host. Default: those of docker, containers and containerd.",
    ),
    _who("--cert", type=FILE, metavar="FILE", help="Client certificate, PEM; needs --key."),
    _who("--key", type=FILE, metavar="FILE", help="Key of the client certificate, PEM."),
    _how("--plain-http", is_flag=True, help="Use plain HTTP, as for an insecure registry."),
    _how("--proxy", type=ProxyUrl(), metavar="URL", help="Forward proxy. Default: as the environment says."),
    _how(
        "--resolver",
        "resolvers",
        type=Nameserver(),
        multiple=True,
        metavar="ADDR[:PORT]",
        help="Nameserver to ask in place of those of resolv.conf; repeatable.",
    ),
    _how(
        "--ntp-server",
        "ntp_servers",
        type=TimeServer(),
        multiple=True,
        metavar="HOST[:PORT]",
        help="NTP server to compare clocks with; repeatable.",
    ),
    _how(
        "--clock-tolerance",
        type=Seconds(),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="How far clocks may be apart. Registries allow tokens a minute.",
    ),
    _host("--config", type=ANY_FILE, metavar="FILE", help="The registry's config.yml."),
    _host("--storage", type=ANY_FOLDER, metavar="DIR", help="The registry's storage folder."),
    _host("--log", type=FILE, metavar="FILE", help="A log of registry, proxy or daemon."),
    _host("--proxy-config", type=FILE, metavar="FILE", help="The reverse proxy's configuration."),
    _host("--daemon-json", type=FILE, metavar="FILE", help="The docker daemon's daemon.json."),
    _host("--hosts-dir", type=FOLDER, metavar="DIR", help="containerd's folder of hosts.toml files."),
    _host("--registries-conf", type=FILE, metavar="FILE", help="registries.conf of podman and CRI-O."),
    _host("--policy", type=FILE, metavar="FILE", help="policy.json of podman and CRI-O."),
    _host("--pull-secret", type=FILE, metavar="FILE", help="A Kubernetes pull secret."),
    _host(
        "--min-free",
        type=Percent(),
        default=10.0,
        show_default=True,
        metavar="PERCENT",
        help="Warn where less of a disk's bytes or inodes is free.",
    ),
    _UPLOAD_AGE,
    *_REGISTRY_PROCESS,
    *_CHOICE,
    _which(
        "--profile",
        type=click.Choice(["client", "host", "ci", "all"]),
        default="client",
        show_default=True,
        help="From where this run looks.",
    ),
    _which(
        "--timeout",
        type=Seconds(),
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="The longest that one network step may take.",
    ),
    _which(
        "--deadline",
        type=Seconds(),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="The longest that the whole run may take.",
    ),
    *_REPORT,
    _output("--plan", is_flag=True, help="Say what would be contacted and read, and do nothing."),
    _VERBOSE,
)


def check_options(command: Command) -> Command:
    """Adds every option of ``check`` to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def lint_options(command: Command) -> Command:
    """Adds to a command what ``lint`` takes as ``check`` does."""
    for option in reversed((*_REGISTRY_PROCESS, *_CHOICE, *_REPORT, _VERBOSE)):
        command = option(command)
    return command


def report_options(command: Command) -> Command:
    """Adds to a command what says how its report is written."""
    for option in reversed((*_REPORT, _VERBOSE)):
        command = option(command)
    return command


def read_options(given: Mapping[str, Any], secrets: KnownSecrets) -> Options:
    """The options for the engine; reads the password from standard input where that is asked for.

    :raises Misuse: options contradict each other or lack one another.
    """
    from regdoctor.options import Options, Profile

    _check_combinations(given)
    password = None
    if given["password_stdin"]:
        password = _read_password()
        secrets.add(password)
        secrets.add_username(given["username"])
    if given["proxy"] is not None:
        secrets.add_url(given["proxy"])
    names = {
        name for name in Options.__struct_fields__ if name in given and name not in {"password", "profile"}
    }
    return Options(
        password=password,
        profile=Profile(given["profile"]),
        **{name: given[name] for name in names},
    )


def _check_combinations(given: Mapping[str, Any]) -> None:
    if given["username"] is not None and not given["password_stdin"]:
        raise Misuse("--username needs --password-stdin: the password comes from standard input")
    if given["password_stdin"] and given["username"] is None:
        raise Misuse("--password-stdin needs --username")
    if given["username"] is not None and given["authfile"] is not None:
        raise Misuse("give either --username or --authfile: both name the credentials")
    if (given["cert"] is None) != (given["key"] is None):
        missing = "--key" if given["key"] is None else "--cert"
        raise Misuse(f"a client certificate needs both --cert and --key; {missing} is missing")
    if given["push_tag"] is not None and not given["push"]:
        raise Misuse("--push-tag needs --push: everything else is read-only")
    if given["push"] and given["push_seconds"] > max(PUSH_SECONDS, given["deadline"] - given["timeout"]):
        raise Misuse(
            f"uploads of --push-seconds {given['push_seconds']:g} do not fit into --deadline "
            f"{given['deadline']:g}; give a later deadline"
        )
    stdin_readers = [str(path) for path in given.get("images", ())].count("-") + bool(given["password_stdin"])
    if stdin_readers > 1:
        raise Misuse(
            "standard input can be read once only: --images - and --password-stdin exclude each other"
        )
    paths = [path.absolute() for _format, path in given.get("outputs", ())]
    for path in paths:
        if paths.count(path) > 1:
            raise Misuse(f"two --output go to {path}")


def _read_password() -> Secret:
    """The password on standard input, without one line end after it, as ``docker login`` reads it."""
    from regdoctor.secret import Secret

    data = sys.stdin.buffer.read(LONGEST_PASSWORD + 1)
    if len(data) > LONGEST_PASSWORD:
        raise Misuse(f"the password on standard input is longer than {LONGEST_PASSWORD} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Misuse("the password on standard input is not UTF-8 text") from None
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise Misuse("--password-stdin: standard input is empty")
    return Secret(password)
