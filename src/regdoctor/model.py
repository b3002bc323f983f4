"""The report model: what a run concludes, in the words of the JSON report.

Every type is frozen. Names and fields are those of ``regdoctor.report/1``; renderers read nothing else.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import msgspec

from regdoctor.facts.base import Table


class Severity(StrEnum):
    """How bad a finding is for somebody who wants to push or pull."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Certainty(StrEnum):
    """How firmly the facts support a finding."""

    PROVEN = "proven"
    LIKELY = "likely"
    POSSIBLE = "possible"


class Status(StrEnum):
    """How one check ended."""

    PASS = "pass"  # noqa: S105 - the contract's word
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"


class Verdict(StrEnum):
    """What a target, or the whole run, comes to."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILING = "failing"
    UNDETERMINED = "undetermined"


class Place(msgspec.Struct, frozen=True):
    """A place in a file. Lines and columns count from 1; no column means the whole line."""

    path: str
    line: int
    column: int | None = None

    @classmethod
    def of(cls, evidence: str) -> Place | None:
        """The place that a piece of evidence names as ``path:line`` or ``path:line:column``, or None."""
        match = re.fullmatch(r"(.+?):([1-9]\d*)(?::([1-9]\d*))?", evidence)
        return match and cls(match[1], int(match[2]), int(match[3]) if match[3] else None)

    def __str__(self) -> str:
        """``path:line``, as the report's evidence has it."""
        return f"{self.path}:{self.line}"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A judgement on facts. ``evidence`` names exchanges, ``file:line`` places or facts."""

    id: str
    code: str
    severity: Severity
    check: str
    title: str
    detail: str
    fix: tuple[str, ...]
    reproduce: str
    evidence: tuple[str, ...]
    caused_by: str | None
    certainty: Certainty
    docs: str
    host: str | None = None
    """The ``host:port`` that the finding is about; null where it is about a file or this host."""
    role: str | None = None
    """What that host is for the target: registry, token-server, blob-host, proxy, mirror, upstream."""
    places: tuple[Place, ...] = ()
    """The places in files among the evidence, with their columns."""
    suppressed: str | None = None
    """Why the caller set it aside (``--suppress``); it then counts for neither verdict nor exit code."""


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one check ended. ``reason`` says why it was skipped, failed to run or saw a part only; else empty."""

    id: str
    title: str
    status: Status
    reason: str
    duration_ms: int
    needs: tuple[str, ...]
    traceback: str = ""
    """Of a check that failed to run: where in the program it failed."""


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds that the phases of one exchange took; null where the phase did not happen."""

    dns: float | None = None
    tcp: float | None = None
    tls: float | None = None
    wait: float | None = None
    read: float | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request and what came back, redacted. ``status`` is null where no answer came."""

    id: str
    method: str
    url: str
    status: int | None
    request_headers: tuple[tuple[str, str], ...]
    response_headers: tuple[tuple[str, str], ...]
    body_excerpt: str
    timings_ms: Timings
    error: str | None = None
    """Why no answer came, in plain words."""


class TargetReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about one target."""

    target: str
    registry: str | None
    repository: str | None
    reference: str | None
    verdict: Verdict
    root_causes: tuple[Finding, ...]
    findings: tuple[Finding, ...]
    checks: tuple[CheckResult, ...]
    facts: dict[str, Any]
    exchanges: tuple[Exchange, ...]
    tables: tuple[Table, ...] = ()
    """What of the facts is shown in rows and columns, once the facts are plain values; no part of the JSON."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """Which program made the report."""

    name: str
    version: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``started_at`` is RFC 3339 in UTC."""

    schema: str
    tool: Tool
    started_at: str
    duration_ms: int
    verdict: Verdict
    targets: tuple[TargetReport, ...]
