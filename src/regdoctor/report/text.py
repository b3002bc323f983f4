"""The report for a terminal: the verdict, the cause and what to do come first, in at most five lines."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from regdoctor.model import Severity, Status, Verdict
from regdoctor.report import layout
from regdoctor.report.encode import indented
from regdoctor.report.escape import line, lines, short
from regdoctor.report.templates import Safe, escaping, load

if TYPE_CHECKING:
    from regdoctor.model import CheckResult, Exchange, Finding, Report
    from regdoctor.report.options import RenderOptions

_STYLES: Final = {
    "heading": "1",
    "command": "36",
    "quiet": "2",
    Verdict.FAILING: "1;31",
    Verdict.UNDETERMINED: "1;35",
    Verdict.DEGRADED: "1;33",
    Verdict.HEALTHY: "1;32",
    Severity.ERROR: "31",
    Severity.WARNING: "33",
    Severity.INFO: "36",
    Status.PASS: "32",
    Status.INFO: "36",
    Status.WARN: "33",
    Status.FAIL: "31",
    Status.SKIP: "2",
    Status.ERROR: "35",
}
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


def render(report: Report, options: RenderOptions) -> bytes:
    """The report as UTF-8 text, wrapped at ``options.width`` columns; commands and URLs are never broken."""
    page = _Page(options)
    template = load("report.txt.j2", escaping(line), autoescape=False, page=page, layout=layout)
    return template.render(report=report, diagnoses=layout.arrange(report), verbose=options.verbose).encode(
        "utf-8"
    )


class _Page:
    """Lays out the parts of the report."""

    def __init__(self, options: RenderOptions) -> None:
        self._width = options.width
        self._colour = options.colour

    def styled(self, text: str, style: object) -> Safe:
        """The text in a style, where colour is wanted."""
        safe = text if isinstance(text, Safe) else line(text)
        code = _STYLES.get(style) if self._colour else None  # type: ignore[call-overload]
        return Safe(f"\x1b[{code}m{safe}\x1b[0m" if code and safe else safe)

    def _wrapped(self, text: str, first: str, rest: str) -> list[str]:
        return textwrap.wrap(
            line(text),
            width=self._width,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def prose(self, text: str, indent: int = 2) -> Safe:
        """A paragraph."""
        blanks = " " * indent
        return Safe("\n".join(self._wrapped(text, blanks, blanks)))

    def item(self, label: str, text: str, style: object = None, indent: int = 2) -> Safe:
        """A paragraph that begins with a label and hangs behind it."""
        first = f"{' ' * indent}{line(label)} "
        wrapped = self._wrapped(text, first, " " * len(first)) or [first.rstrip()]
        coloured = f"{' ' * indent}{self.styled(label, style)} "
        return Safe("\n".join([coloured + wrapped[0][len(first) :], *wrapped[1:]]))

    def command(self, text: str, indent: int = 2) -> Safe:
        """A command on a line of its own, never broken."""
        return Safe(" " * indent + self.styled(text, "command"))

    def _step(self, text: str, first: str) -> list[str]:
        """What to do; a command in it that does not fit stays whole on its own line."""
        rest = " " * len(first)
        whole = line(text)
        if len(first) + len(whole) <= self._width:
            return [first + whole]
        prose, command, remark = layout.split_command(whole)
        if command is None:
            return self._wrapped(whole, first, rest)
        intro = self._wrapped(f"{prose}:", first, rest) if prose else []
        command_line = (rest if prose else first) + self.styled(command, "command")
        return [*intro, command_line, *(self._wrapped(remark, rest, rest) if remark else [])]

    def steps(self, fixes: Sequence[str], indent: int = 2) -> Safe:
        """The steps of a remedy, numbered."""
        width = len(str(len(fixes)))
        return Safe(
            "\n".join(
                each
                for number, fix in enumerate(fixes, start=1)
                for each in self._step(fix, f"{' ' * indent}{number:>{width}}. ")
            )
        )

    def heading(self, text: str) -> Safe:
        """A section's heading."""
        return Safe("\n".join(self.styled(each, "heading") for each in self._wrapped(text, "", "  ")))

    def rule(self) -> Safe:
        """A line between targets."""
        return self.styled("─" * self._width, "quiet")

    def banner(self, verdict: Verdict, name: str, text: str) -> Safe:
        """The verdict in capitals, and what it is about."""
        word = verdict.value.upper()
        wrapped = self._wrapped(f"{name}: {text}" if text else name, f"{word}  ", "  ")
        return Safe("\n".join([self.styled(word, verdict) + wrapped[0][len(word) :], *wrapped[1:]]))

    def opening(self, diagnosis: layout.Diagnosis) -> Safe:
        """The first lines of a target: what is wrong and what to do, in five lines where the texts allow it.

        What was seen gives way to what to do: it follows in full below.
        """
        head = layout.headline(diagnosis)
        top = self.banner(diagnosis.verdict, _name(diagnosis), head.title).split("\n")
        do = self._step(head.do, "Do:   ") if head.do else []
        seen = self._wrapped(head.seen, "Seen: ", "      ") if head.seen else []
        room = max(0, _OPENING_LINES - len(top) - len(do))
        if len(seen) > room:
            seen = [*seen[: room - 1], _cut(seen[room - 1], self._width)] if room else []
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
            lines_.extend(Safe(each) for each in self._step(head.do, "    Do: "))
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
        parts.extend(Safe("\n".join(self._step(fix, "    Do: "))) for fix in finding.fix[:1])
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
            sign = self.styled(_STATUS_SIGNS[check.status], check.status)
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
