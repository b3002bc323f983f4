"""The list of check modules, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from regdoctor.report.layout import count
from regdoctor.report.page import Page

if TYPE_CHECKING:
    from regdoctor.report.options import RenderOptions


def render(checks: Sequence[Mapping[str, Any]], options: RenderOptions) -> bytes:
    """Every module with its codes, as UTF-8."""
    page = Page(options)
    parts: list[str] = []
    for check in checks:
        parts.extend(
            [
                page.heading(f"{check['id']}: {check['title']} ({check['distribution']})"),
                page.prose(check["summary"]),
            ]
        )
        parts.extend(_code(page, code) for code in check["codes"])
        parts.append("")
    codes = [code for check in checks for code in check["codes"]]
    detected = sum(code["detected"] for code in codes)
    parts.append(
        f"{count(len(checks), 'check')}, {count(len(codes), 'code')}: {detected} detected, "
        f"{len(codes) - detected} planned"
    )
    return ("\n".join(parts) + "\n").encode("utf-8", "backslashreplace")


def _code(page: Page, code: Mapping[str, Any]) -> str:
    planned = "" if code["detected"] else " (planned)"
    return page.item(f"  {code['code']}", f"{code['title']}{planned}", code["severity"])
