"""The report as Markdown (CommonMark with GFM tables), for tickets and pull requests."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from regdoctor.report import layout
from regdoctor.report.encode import indented
from regdoctor.report.escape import code_block, code_span, markdown
from regdoctor.report.templates import Safe, escaping, load

if TYPE_CHECKING:
    from jinja2 import Template

    from regdoctor.model import Exchange, Report
    from regdoctor.report.options import RenderOptions


@cache
def prepare() -> Template:
    """The compiled template: it takes longer to compile than to fill, so it can be made while probes run."""
    return load(
        "report.md.j2",
        escaping(markdown),
        autoescape=False,
        layout=layout,
        step=_step,
        code=_code,
        shell=_shell,
        exchange_block=_exchange,
        fact=_fact,
    )


def render(report: Report, options: RenderOptions) -> bytes:
    """The report as UTF-8 Markdown."""
    return (
        prepare()
        .render(report=report, diagnoses=layout.arrange(report), verbose=options.verbose)
        .encode("utf-8")
    )


def _code(text: str) -> Safe:
    return Safe(code_span(text))


def _shell(text: str) -> Safe:
    return Safe(code_block(text, "sh"))


def _step(text: str) -> Safe:
    """The content of a list item, its command in a code block of its own."""
    prose, command, remark = layout.split_command(text)
    if command is None:
        return Safe(markdown(prose))
    block = code_block(command, "sh").replace("\n", "\n   ")
    intro = f"{markdown(prose)}:\n\n   " if prose else ""
    return Safe(f"{intro}{block}" + (f"\n\n   {markdown(remark)}" if remark else ""))


def _exchange(exchange: Exchange) -> Safe:
    sent = [f"> {name}: {value}" for name, value in exchange.request_headers]
    received = [f"< {name}: {value}" for name, value in exchange.response_headers]
    return Safe(code_block("\n".join([*map(_one_line, [*sent, *received]), "", exchange.body_excerpt])))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _fact(value: object) -> Safe:
    text = "\n".join(indented(value))
    return Safe(code_block(text, "json", len(text)))
