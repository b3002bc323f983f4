"""Parameter types and help sections of the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

LONGEST_SECONDS: Final = 86_400
LONGEST_DAYS: Final = 36_500
_PLATFORM: Final = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?")
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")

FILE: Final = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
FILE_OR_STDIN: Final = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True, path_type=Path)
FOLDER: Final = click.Path(exists=True, file_okay=False, readable=True, path_type=Path)
ANY_FOLDER: Final = click.Path(path_type=Path)
"""A folder whose absence is a finding and no misuse: the registry's storage."""
ANY_FILE: Final = click.Path(path_type=Path)
"""A file whose absence is a finding and no misuse: the registry's configuration."""


class Seconds(click.ParamType[float]):
    """A positive number of seconds, a day at most."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Reads the number; NaN, zero, negative and endless times are refused."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = float("nan")
        if not 0 < seconds <= LONGEST_SECONDS:
            self.fail(
                f"{value!r} is not a number of seconds above 0 and up to {LONGEST_SECONDS} (a day)",
                param,
                ctx,
            )
        return seconds


class Percent(click.ParamType[float]):
    """A share of something, from 0 to 100."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Reads the number, with or without the sign."""
        try:
            percent = float(str(value).removesuffix("%"))
        except ValueError:
            percent = float("nan")
        if not 0 <= percent <= 100:
            self.fail(f"{value!r} is not a percentage from 0 to 100", param, ctx)
        return percent


class Days(click.ParamType[float]):
    """A number of days, not negative."""

    name = "days"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Reads the number; fractions are allowed."""
        try:
            days = float(value)
        except ValueError:
            days = float("nan")
        if not 0 <= days <= LONGEST_DAYS:
            self.fail(f"{value!r} is not a number of days from 0 to {LONGEST_DAYS}", param, ctx)
        return days


class Tag(click.ParamType[str]):
    """An image's tag (OCI distribution-spec, "Pulling manifests")."""

    name = "tag"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Checks the grammar."""
        if re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", str(value), re.ASCII) is None:
            self.fail(f"{value!r} is no tag: letters, digits, _ . and -, 128 at most", param, ctx)
        return str(value)


class Platform(click.ParamType[str]):
    """``OS/ARCH[/VARIANT]``, as image indexes name platforms."""

    name = "os/arch[/variant]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Checks the form; names of systems and architectures are the image's business."""
        if not _PLATFORM.fullmatch(value):
            self.fail(f"{value!r} is not OS/ARCH or OS/ARCH/VARIANT, as in linux/arm64/v8", param, ctx)
        return str(value)


class Nameserver(click.ParamType[str]):
    """``ADDR[:PORT]`` of a nameserver: a literal address, IPv6 with a port in brackets."""

    name = "addr[:port]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Checks address and port."""
        host, port = split_host_port(value)
        if host is None or not is_address(host) or not is_port(port):
            self.fail(f"{value!r} is not an IP address with or without a port, as in 10.0.0.2:53", param, ctx)
        return str(value)


class TimeServer(click.ParamType[str]):
    """``HOST[:PORT]`` of an NTP server."""

    name = "host[:port]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Checks host and port."""
        host, port = split_host_port(value)
        if host is None or not (is_address(host) or _HOST.fullmatch(host)) or not is_port(port):
            self.fail(
                f"{value!r} is not a host with or without a port, as in ntp.example.com:123", param, ctx
            )
        return str(value)


class ProxyUrl(click.ParamType[str]):
    """The URL of a forward proxy; messages never repeat it, for it may hold a password."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Checks the URL as Go's clients read it; without a scheme it means http."""
        from regdoctor.host.proxies import parse_proxy

        url, problem = parse_proxy(value)
        if url is None or problem is not None:
            self.fail(f"{problem or 'it is empty'}; give it as http://HOST:PORT", param, ctx)
        return url


class ReportFile(click.ParamType[tuple[str, Path]]):
    """``FORMAT=PATH``: a further report, written to a file."""

    name = "format=path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        """Checks the format, and that the file can be written, before anything is contacted."""
        from os import W_OK, access

        from regdoctor.report.formats import MODULES

        name, equals, text = value.partition("=")
        if not equals or not text:
            self.fail(f"{value!r} is not FORMAT=PATH, as in json=report.json", param, ctx)
        if name not in MODULES:
            self.fail(f"unknown format {name!r}; there are {', '.join(MODULES)}", param, ctx)
        if text == "-":
            self.fail(f"standard output is for one report: use --format {name}", param, ctx)
        path = Path(text)
        if path.is_dir():
            self.fail(f"{text!r} is a folder", param, ctx)
        if not path.absolute().parent.is_dir():
            self.fail(f"the folder of {text!r} does not exist", param, ctx)
        if not access(path if path.exists() else path.absolute().parent, W_OK):
            self.fail(f"{text!r} cannot be written", param, ctx)
        return name, path


def split_host_port(text: str) -> tuple[str | None, str | None]:
    """Host and port of ``host[:port]``; IPv6 literals bare or, with a port, in brackets. None: malformed."""
    if match := re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(.*))?", text):
        return match[1], match[2]
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host or None, port if colon else None


def is_port(port: str | None) -> bool:
    """Whether a port, where there is one, is a number from 1 to 65535."""
    return port is None or (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536)


def is_address(host: str) -> bool:
    """Whether a host is a literal IP address."""
    from ipaddress import ip_address

    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class SectionedOption(click.Option):
    """An option that stands under a heading in the help."""

    def __init__(self, *arguments: Any, section: str, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose help shows its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options by section, in the order of declaration."""
        sections: dict[str, list[tuple[str, str]]] = {}
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        for option in sorted(options, key=lambda each: not isinstance(each, SectionedOption)):
            record = option.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(option, "section", "Other"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def section(heading: str) -> Callable[..., Callable[[Command], Command]]:
    """A replacement of ``click.option`` for the options under one heading."""

    def option(*arguments: Any, **keywords: Any) -> Callable[[Command], Command]:
        return click.option(*arguments, cls=SectionedOption, section=heading, **keywords)

    return option
