"""The report as one HTML page that needs nothing else: no script, no style sheet, no image from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from regdoctor.report import layout
from regdoctor.report.encode import indented
from regdoctor.report.escape import line, lines
from regdoctor.report.templates import load

if TYPE_CHECKING:
    from jinja2 import Template

    from regdoctor.model import Report
    from regdoctor.report.options import RenderOptions


@cache
def prepare() -> Template:
    """The compiled template: it takes longer to compile than to fill, so it can be made while probes run."""
    names = {"layout": layout, "block": _block, "lines": lines, "indented": indented}
    return load("report.html.j2", _safe, autoescape=True, **names)


def render(report: Report, options: RenderOptions) -> bytes:
    """The report as UTF-8 HTML; exchanges and facts are folded away, whatever ``options.verbose`` says."""
    del options
    return prepare().render(report=report, diagnoses=layout.arrange(report)).encode("utf-8")


def _safe(value: Any) -> Any:
    """Makes invisible and terminal characters visible; jinja2 escapes the rest but what it built itself."""
    return value if hasattr(value, "__html__") else line(str(value))


def _block(text_lines: Iterable[str]) -> Any:
    """Safe lines whose ends count, escaped."""
    from markupsafe import Markup, escape

    return Markup("\n").join(escape(each) for each in text_lines)
