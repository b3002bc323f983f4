"""Findings that the caller has decided to live with: ``--suppress FILE``.

The file is TOML::

    [[suppress]]
    code = "tls/expires-soon"
    host = "reg.test:5000"      # optional; without a port it means every port
    until = 2026-12-31          # optional; the last day
    reason = "the renewal is under way"

or lines ``code [host] [until=DATE] reason``, where ``#`` begins a comment line. Every entry needs a reason. A
suppressed finding stays in the report, says why it is suppressed, and does not count.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Container, Sequence
from datetime import date, datetime
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from regdoctor.model import CheckResult, Finding, Report, Severity, Status, TargetReport, Verdict

LARGEST: Final = 1_000_000
"""Bytes of a file that are read."""

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*")
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST: Final = re.compile(
    rf"localhost|\[[0-9A-Fa-f:]+\](?::\d+)?|{_LABEL}(?:\.{_LABEL})+(?::\d+)?|{_LABEL}:\d+"
)


class SuppressionError(ValueError):
    """The file cannot be used; the message names the place and what is wrong there."""


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """One entry: which finding is set aside, where, until which day (that day included), and why."""

    code: str
    reason: str
    host: str | None = None
    until: date | None = None
    place: str = ""

    def covers(self, finding: Finding, target: TargetReport, day: date) -> bool:
        """Whether it sets this finding aside on that day.

        The host is compared with the one that the finding is about, else with the target's registry.
        """
        if self.code != finding.code or (self.until is not None and day > self.until):
            return False
        if self.host is None:
            return True
        where = (finding.host or target.registry or target.target).lower()
        wanted = self.host.lower()
        return where == wanted or where.rpartition(":")[0] == wanted


def parse(data: bytes, name: str, codes: Container[str]) -> tuple[Suppression, ...]:
    """Reads a file of suppressions.

    :param name: the file's name, for messages.
    :param codes: the codes that exist.
    :raises SuppressionError: the file is too large, not text, malformed, or names an unknown code.
    """
    if len(data) > LARGEST:
        raise SuppressionError(f"{name} is larger than {LARGEST} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SuppressionError(f"{name} is not UTF-8 text") from None
    first = next(
        (line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")), ""
    )
    is_toml = name.endswith(".toml") or first.startswith("[")
    entries = _from_toml(text, name) if is_toml else _from_lines(text, name)
    for entry in entries:
        if entry.code not in codes:
            raise SuppressionError(f"{entry.place}: unknown code {entry.code!r}; regdoctor checks lists them")
    return entries


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    reason: str
    host: str | None = None
    until: date | None = None


def _from_toml(text: str, name: str) -> tuple[Suppression, ...]:
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SuppressionError(f"{name} is not TOML: {error}") from None
    tables = document.pop("suppress", [])
    if document or not isinstance(tables, list):
        raise SuppressionError(f"{name} may hold [[suppress]] tables only")
    entries = []
    for number, table in enumerate(tables, start=1):
        place = f"{name}: entry {number}"
        try:
            entry = msgspec.convert(table, _Entry, strict=True)
        except msgspec.ValidationError as error:
            raise SuppressionError(f"{place}: {error}") from None
        entries.append(_suppression(place, entry.code, entry.host, entry.until, entry.reason))
    return tuple(entries)


def _from_lines(text: str, name: str) -> tuple[Suppression, ...]:
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place = f"{name}:{number}"
        code, *rest = words
        host = rest.pop(0) if rest and _HOST.fullmatch(rest[0]) else None
        until = None
        if rest and rest[0].startswith("until="):
            until = _day(rest.pop(0).removeprefix("until="), place)
        entries.append(_suppression(place, code, host, until, " ".join(rest)))
    return tuple(entries)


def _suppression(place: str, code: str, host: str | None, until: date | None, reason: str) -> Suppression:
    if not _CODE.fullmatch(code):
        raise SuppressionError(f"{place}: {code!r} is no finding code such as tls/expires-soon")
    if not reason.strip():
        raise SuppressionError(f"{place}: the reason is missing; say why {code} may be set aside")
    if host is not None and not _HOST.fullmatch(host):
        raise SuppressionError(f"{place}: {host!r} is no host or host:port")
    return Suppression(code=code, reason=reason.strip(), host=host, until=until, place=place)


def _day(text: str, place: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SuppressionError(f"{place}: until={text} is no date such as until=2026-12-31") from None


def apply(report: Report, suppressions: Sequence[Suppression]) -> Report:
    """The report with the findings set aside that the suppressions cover on the day of the run.

    Verdicts, root causes and the status of checks are worked out again without them. What a suppressed
    finding explains is not suppressed with it: it counts, unless it is named as well.
    """
    if not suppressions:
        return report
    day = datetime.fromisoformat(report.started_at).date()
    targets = tuple(_applied(target, suppressions, day) for target in report.targets)
    order = (Verdict.FAILING, Verdict.UNDETERMINED, Verdict.DEGRADED, Verdict.HEALTHY)
    verdicts = [target.verdict for target in targets]
    worst = min(verdicts, key=order.index) if targets != report.targets else report.verdict
    return replace(report, targets=targets, verdict=worst)


def expired(report: Report, suppressions: Sequence[Suppression]) -> tuple[Suppression, ...]:
    """The suppressions whose last day had passed when the run began."""
    day = datetime.fromisoformat(report.started_at).date()
    return tuple(each for each in suppressions if each.until is not None and day > each.until)


def _applied(target: TargetReport, suppressions: Sequence[Suppression], day: date) -> TargetReport:
    findings = tuple(
        replace(finding, suppressed=reason) if reason is not None else finding
        for finding, reason in (
            (finding, _reason(finding, target, suppressions, day)) for finding in target.findings
        )
    )
    if findings == target.findings:
        return target
    counted = tuple(finding for finding in findings if finding.suppressed is None)
    return replace(
        target,
        findings=findings,
        root_causes=_root_causes(counted),
        checks=tuple(_status(check, findings) for check in target.checks),
        verdict=_verdict(target, findings, counted),
    )


def _reason(
    finding: Finding, target: TargetReport, suppressions: Sequence[Suppression], day: date
) -> str | None:
    return next((each.reason for each in suppressions if each.covers(finding, target, day)), None)


def _root_causes(counted: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings that no counted one explains: the errors, or the warnings where there is no error."""
    present = {finding.id for finding in counted}
    roots = [finding for finding in counted if finding.caused_by not in present]
    for severity in (Severity.ERROR, Severity.WARNING):
        found = tuple(finding for finding in roots if finding.severity is severity)
        if found:
            return found
    return ()


def _status(check: CheckResult, findings: Sequence[Finding]) -> CheckResult:
    own = [finding for finding in findings if finding.check == check.id]
    if all(finding.suppressed is None for finding in own):
        return check
    left = {finding.severity for finding in own if finding.suppressed is None}
    for severity, status in ((Severity.ERROR, Status.FAIL), (Severity.WARNING, Status.WARN)):
        if severity in left:
            return replace(check, status=status)
    return replace(check, status=Status.INFO)


def _verdict(target: TargetReport, findings: Sequence[Finding], counted: Sequence[Finding]) -> Verdict:
    """The verdict of what is left.

    Where an error is set aside, later checks may have been kept from looking by the very same fault: then
    nothing proves that the target is healthy.
    """
    severities = {finding.severity for finding in counted}
    if Severity.ERROR in severities:
        return Verdict.FAILING
    if Severity.WARNING in severities:
        return Verdict.DEGRADED
    if target.verdict is Verdict.UNDETERMINED or any(check.status is Status.ERROR for check in target.checks):
        return Verdict.UNDETERMINED
    hidden = any(
        finding.suppressed is not None and finding.severity is Severity.ERROR for finding in findings
    )
    skipped = any(check.status is Status.SKIP for check in target.checks)
    return Verdict.UNDETERMINED if hidden and skipped else Verdict.HEALTHY
