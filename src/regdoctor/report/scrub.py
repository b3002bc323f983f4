"""Blanks known secrets in a report before it is rendered.

A search through rendered bytes comes last all the same, but it cannot know every way in which a format
escapes: here each text still stands as it was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from regdoctor.report.encode import plain
from regdoctor.report.layout import tables

if TYPE_CHECKING:
    from regdoctor.facts.base import Table
    from regdoctor.model import CheckResult, Exchange, Finding, Report, TargetReport

    Scrub = Callable[[str], str]


def scrubbed(report: Report, scrub: Scrub) -> Report:
    """The report with every free text passed through ``scrub``; facts become plain values.

    Ids, codes, verdicts, times and the like are regdoctor's own words and stay.
    """
    return replace(report, targets=tuple(_target(target, scrub) for target in report.targets))


def _target(target: TargetReport, scrub: Scrub) -> TargetReport:
    return replace(
        target,
        target=scrub(target.target),
        registry=_optional(target.registry, scrub),
        repository=_optional(target.repository, scrub),
        reference=_optional(target.reference, scrub),
        root_causes=tuple(_finding(finding, scrub) for finding in target.root_causes),
        findings=tuple(_finding(finding, scrub) for finding in target.findings),
        checks=tuple(_check(check, scrub) for check in target.checks),
        facts=_value(plain(target.facts), scrub),
        exchanges=tuple(_exchange(exchange, scrub) for exchange in target.exchanges),
        tables=tuple(_table(table, scrub) for table in tables(target)),
    )


def _finding(finding: Finding, scrub: Scrub) -> Finding:
    return replace(
        finding,
        title=scrub(finding.title),
        detail=scrub(finding.detail),
        fix=tuple(map(scrub, finding.fix)),
        reproduce=scrub(finding.reproduce),
        evidence=tuple(map(scrub, finding.evidence)),
        places=tuple(replace(place, path=scrub(place.path)) for place in finding.places),
        host=_optional(finding.host, scrub),
        suppressed=_optional(finding.suppressed, scrub),
    )


def _table(table: Table, scrub: Scrub) -> Table:
    return replace(
        table,
        title=scrub(table.title),
        columns=tuple(map(scrub, table.columns)),
        rows=tuple(
            tuple(replace(cell, text=scrub(cell.text), notes=tuple(map(scrub, cell.notes))) for cell in row)
            for row in table.rows
        ),
    )


def _check(check: CheckResult, scrub: Scrub) -> CheckResult:
    return replace(
        check, title=scrub(check.title), reason=scrub(check.reason), traceback=scrub(check.traceback)
    )


def _exchange(exchange: Exchange, scrub: Scrub) -> Exchange:
    return replace(
        exchange,
        url=scrub(exchange.url),
        request_headers=_headers(exchange.request_headers, scrub),
        response_headers=_headers(exchange.response_headers, scrub),
        body_excerpt=scrub(exchange.body_excerpt),
        error=_optional(exchange.error, scrub),
    )


def _headers(headers: tuple[tuple[str, str], ...], scrub: Scrub) -> tuple[tuple[str, str], ...]:
    return tuple((scrub(name), scrub(value)) for name, value in headers)


def _optional(text: str | None, scrub: Scrub) -> str | None:
    return None if text is None else scrub(text)


def _value(value: Any, scrub: Scrub) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {_value(key, scrub): _value(each, scrub) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_value(each, scrub) for each in value]
    return value
