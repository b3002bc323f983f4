"""The report for a terminal: the verdict, the cause and what to do come first, in at most five lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from regdoctor.model import Severity, Status, Verdict
from regdoctor.report import layout
from regdoctor.report.encode import indented
from regdoctor.report.escape import line, lines, short
from regdoctor.report.page import Page
from regdoctor.report.templates import Safe, escaping, load

if TYPE_CHECKING:
    from jinja2 import Template

    from regdoctor.model import CheckResult, Exchange, Finding, Report
    from regdoctor.report.options import RenderOptions

_VERDICT_SIGNS: Final = {
    Verdict.FAILING: "✗",
    Verdict.UNDETERMINED: "?",
    Verdict.DEGRADED: "!",
    Verdict.HEALTHY: "✓",
}
_SEVERITY_SIGNS: Final = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.INFO: "i"}
_STATUS_SIGNS: Final = {
    Status.PASS: "✓",
    Status.INFO: "i",
    Status.WARN: "!",
    Status.FAIL: "✗",
    Status.SKIP: "–",
    Status.ERROR: "E",
}
_OPENING_LINES: Final = 5
_LONGEST_TITLE: Final = 50


@cache
def prepare() -> Template:
    """The compiled template: it takes longer to compile than to fill, so it can be made while probes run."""
    return load("report.txt.j2", escaping(line), autoescape=False, layout=layout)


def render(report: Report, options: RenderOptions) -> bytes:
    """The report as UTF-8 text, wrapped at ``options.width`` columns; commands and URLs are never broken."""
    return (
        prepare()
        .render(
            page=_ReportPage(options),
            report=report,
            diagnoses=layout.arrange(report),
            verbose=options.verbose,
        )
        .encode("utf-8")
    )


class _ReportPage(Page):
    """Lays out the parts of the report."""

    def banner(self, verdict: Verdict, name: str, text: str) -> Safe:
        """The verdict in capitals, and what it is about."""
        word = verdict.value.upper()
        wrapped = self.wrapped(f"{name}: {text}" if text else name, f"{word}  ", "  ")
        return Safe("\n".join([self.styled(word, verdict) + wrapped[0][len(word) :], *wrapped[1:]]))

    def opening(self, diagnosis: layout.Diagnosis) -> Safe:
        """The first lines of a target: what is wrong and what to do, in five lines where the texts allow it.

        What was seen gives way to what to do: it follows in full below.
        """
        head = layout.headline(diagnosis)
        top = self.banner(diagnosis.verdict, _name(diagnosis), head.title).split("\n")
        do = self.step(head.do, "Do:   ") if head.do else []
        seen = self.wrapped(head.seen, "Seen: ", "      ") if head.seen else []
        room = max(0, _OPENING_LINES - len(top) - len(do))
        if len(seen) > room:
            seen = [*seen[: room - 1], _cut(seen[room - 1], self.width)] if room else []
        return Safe("\n".join([*top, *seen, *do]))

    def entry(self, diagnosis: layout.Diagnosis) -> Safe:
        """One line or two of the summary over several targets."""
        head = layout.headline(diagnosis)
        lines_ = [
            self.item(
                _VERDICT_SIGNS[diagnosis.verdict], f"{_name(diagnosis)}: {head.title}", diagnosis.verdict
            )
        ]
        if head.do:
            lines_.extend(Safe(each) for each in self.step(head.do, "    Do: "))
        return Safe("\n".join(lines_))

    def symptom(self, symptom: layout.Symptom) -> Safe:
        """A finding that follows from another, folded to a few lines."""
        finding = symptom.finding
        indent = 2 * symptom.depth
        title = self.item(
            _SEVERITY_SIGNS[finding.severity],
            f"{layout.qualified_title(finding)} ({finding.code})",
            finding.severity,
            indent,
        )
        return Safe(f"{title}\n{self.prose(finding.detail, indent + 2)}")

    def minor(self, cause: layout.Cause) -> Safe:
        """A warning or a note that is not what ails the target: a short block."""
        finding = cause.finding
        parts = [
            self.item(
                _SEVERITY_SIGNS[finding.severity],
                f"{layout.qualified_title(finding)} ({finding.code})",
                finding.severity,
            ),
            self.prose(finding.detail, 4),
        ]
        parts.extend(Safe("\n".join(self.step(fix, "    Do: "))) for fix in finding.fix[:1])
        parts.extend(
            self.item(_SEVERITY_SIGNS[each.finding.severity], each.finding.title, each.finding.severity, 4)
            for each in cause.symptoms
        )
        return Safe("\n".join(parts))

    def evidence(self, cause: layout.Cause) -> Safe:
        """Where it was seen, how sure it is, under which code, and which host it is about."""
        finding = cause.finding
        about = f" About: {finding.host}{_role(finding)}." if finding.host is not None else ""
        parts = [self.item("Evidence:", "; ".join(cause.evidence))] if cause.evidence else []
        parts.append(self.prose(f"Certainty: {finding.certainty.value}. Code: {finding.code}.{about}"))
        return Safe("\n".join(parts))

    def checks(self, checks: Sequence[CheckResult]) -> Safe:
        """Every check that ran, with its outcome; checks that were skipped for one reason share a line."""
        ran = [check for check in checks if check.status is not Status.SKIP]
        names = max((len(line(check.id)) for check in ran), default=0)
        titles = max((len(short(check.title, _LONGEST_TITLE)) for check in ran), default=0)
        parts = []
        for check in ran:
            style = "broken" if check.status is Status.ERROR else check.status
            sign = self.styled(_STATUS_SIGNS[check.status], style)
            title = short(check.title, _LONGEST_TITLE)
            spent = layout.duration(check.duration_ms)
            parts.append(Safe(f"  {sign} {line(check.id):<{names}}  {title:<{titles}}  {spent:>7}"))
            if check.reason:
                parts.append(self.prose(check.reason, 4))
        parts.extend(
            self.item(_STATUS_SIGNS[Status.SKIP], f"{', '.join(skipped)} skipped: {reason}", Status.SKIP)
            for reason, skipped in layout.skips(checks).items()
        )
        return Safe("\n".join(parts))

    def exchange(self, exchange: Exchange) -> Safe:
        """One HTTP exchange in full, each header on its own line."""
        parts = [self.item(exchange.id, layout.exchange_summary(exchange), "heading")]
        parts.extend(Safe(f"     > {line(name)}: {line(value)}") for name, value in exchange.request_headers)
        parts.extend(Safe(f"     < {line(name)}: {line(value)}") for name, value in exchange.response_headers)
        parts.extend(Safe(f"     | {each}") for each in lines(exchange.body_excerpt) if each)
        if timings := layout.timings(exchange):
            parts.append(self.prose(f"Time: {timings}", 5))
        return Safe("\n".join(parts))

    def fact(self, name: str, value: Any) -> Safe:
        """One fact as indented JSON, long texts cut."""
        return Safe("\n".join(f"  {each}" for each in [f"{line(name)}:", *indented(value)]))

    def block(self, text: str, indent: int = 2) -> Safe:
        """Text whose line ends count, such as a traceback."""
        return Safe("\n".join(" " * indent + each for each in lines(text)))


def _name(diagnosis: layout.Diagnosis) -> str:
    name = diagnosis.target.target
    return name if not diagnosis.also else f"{name} and {layout.count(len(diagnosis.also), 'more target')}"


def _role(finding: Finding) -> str:
    return f", {layout.ROLES.get(finding.role, finding.role)}" if finding.role else ""


def _cut(text: str, width: int) -> str:
    """The line with a mark that it goes on below, no wider than before."""
    return re.sub(r"\W*\s*\S*$", "", text[: width - 2]) + " …" if len(text) > width - 2 else f"{text} …"
