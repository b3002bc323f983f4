"""What reports for people show, and in which order: worked out once, rendered by every format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from regdoctor.facts.base import TableFact
from regdoctor.model import Certainty, Severity, Status, Verdict

if TYPE_CHECKING:
    from regdoctor.facts.base import Table
    from regdoctor.model import CheckResult, Exchange, Finding, Report, TargetReport

ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "registry": "the registry",
        "token-server": "the token server",
        "blob-host": "the host that serves blobs",
        "proxy": "the forward proxy",
        "mirror": "a mirror",
        "upstream": "the upstream registry",
    }
)
"""What a host on the way is called."""

_WORST_FIRST: Final = (Verdict.FAILING, Verdict.UNDETERMINED, Verdict.DEGRADED, Verdict.HEALTHY)
_STATUS_WORDS: Final[Mapping[Status, str]] = MappingProxyType(
    {
        Status.FAIL: "failed",
        Status.ERROR: "could not run",
        Status.WARN: "warned",
        Status.INFO: "noted something",
        Status.PASS: "passed",
        Status.SKIP: "skipped",
    }
)


@dataclass(frozen=True)
class Symptom:
    """A finding that another one explains; ``depth`` is 1 for what follows directly from the cause."""

    finding: Finding
    depth: int


@dataclass(frozen=True)
class Cause:
    """A finding that no other explains, and what follows from it."""

    finding: Finding
    symptoms: tuple[Symptom, ...]
    evidence: tuple[str, ...]
    """Where it was seen, in words."""


@dataclass(frozen=True)
class Diagnosis:
    """One target as a reader meets it: causes, most likely first, then what else was seen."""

    target: TargetReport
    also: tuple[TargetReport, ...]
    """Further targets with the very same findings."""
    causes: tuple[Cause, ...]
    warnings: tuple[Cause, ...]
    notes: tuple[Cause, ...]
    suppressed: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The target's verdict."""
        return self.target.verdict

    @property
    def others(self) -> tuple[Cause, ...]:
        """The causes after the most likely one."""
        return self.causes[1:]


@dataclass(frozen=True)
class Grid:
    """A table whose notes stand below it, numbered from 1; fields name them as ``[1]``."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    """The first one holds the names of the columns."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Headline:
    """What somebody in a hurry reads: what is wrong, what was seen, what to do first."""

    title: str
    seen: str
    do: str


def arrange(report: Report) -> tuple[Diagnosis, ...]:
    """The targets of a report, worst first, those with the very same findings put together."""
    groups: dict[object, list[TargetReport]] = {}
    for number, target in enumerate(report.targets):
        groups.setdefault(_same_diagnosis(target, number), []).append(target)
    diagnoses = [_diagnosis(first, tuple(rest)) for first, *rest in groups.values()]
    return tuple(sorted(diagnoses, key=lambda each: _WORST_FIRST.index(each.verdict)))


_DURATION: Final = re.compile(r"\b\d+(?:\.\d+)? ?(?:ms|s|seconds?)\b")


def _same_diagnosis(target: TargetReport, number: int) -> object:
    """Equal for targets that one explanation serves; targets without a finding each stand for themselves.

    Durations within a text may differ: each target's probes measured their own.
    """
    if not target.findings:
        return number
    return (
        target.registry,
        target.verdict,
        tuple(
            (each.code, each.host, _DURATION.sub("", each.detail), each.caused_by, each.suppressed)
            for each in target.findings
        ),
    )


def _diagnosis(target: TargetReport, also: tuple[TargetReport, ...]) -> Diagnosis:
    counted = [finding for finding in target.findings if finding.suppressed is None]
    by_id = {finding.id: finding for finding in counted}
    roots = [finding for finding in counted if _root_of(finding, by_id) is finding]
    leading = [by_id[root.id] for root in target.root_causes if root.id in by_id]
    errors = [root for root in roots if root.severity is Severity.ERROR and root not in leading]

    def causes(findings: Sequence[Finding]) -> tuple[Cause, ...]:
        return tuple(
            Cause(
                finding=finding,
                symptoms=tuple(_symptoms(finding, counted, by_id)),
                evidence=tuple(evidence(finding, target.exchanges)),
            )
            for finding in findings
        )

    rest = [root for root in roots if root not in leading and root not in errors]
    return Diagnosis(
        target=target,
        also=also,
        causes=causes([*leading, *errors]),
        warnings=causes([root for root in rest if root.severity is Severity.WARNING]),
        notes=causes([root for root in rest if root.severity is Severity.INFO]),
        suppressed=tuple(finding for finding in target.findings if finding.suppressed is not None),
    )


def _root_of(finding: Finding, by_id: Mapping[str, Finding]) -> Finding:
    """The finding at the end of the chain of causes; the finding itself where the chain leads nowhere."""
    seen = {finding.id}
    root = finding
    while root.caused_by is not None and root.caused_by in by_id:
        if root.caused_by in seen:
            return finding
        seen.add(root.caused_by)
        root = by_id[root.caused_by]
    return root


def _symptoms(root: Finding, findings: Sequence[Finding], by_id: Mapping[str, Finding]) -> list[Symptom]:
    return [
        Symptom(finding, _depth(finding, root, by_id))
        for finding in findings
        if finding is not root and _root_of(finding, by_id) is root
    ]


def _depth(finding: Finding, root: Finding, by_id: Mapping[str, Finding]) -> int:
    depth = 0
    while finding is not root and finding.caused_by is not None:
        finding = by_id[finding.caused_by]
        depth += 1
    return depth


def evidence(finding: Finding, exchanges: Sequence[Exchange]) -> list[str]:
    """The evidence in words: exchanges with request and outcome, places in files and facts by name."""
    by_id = {exchange.id: exchange for exchange in exchanges}
    return [
        f"{name}: {exchange_summary(by_id[name])}" if name in by_id else name for name in finding.evidence
    ]


def titles(causes: Sequence[Cause]) -> list[str]:
    """The titles of causes, each once, with how often it stands there."""
    counts = Counter(cause.finding.title for cause in causes)
    return [title if number == 1 else f"{title} ({number} times)" for title, number in counts.items()]


def tables(target: TargetReport) -> list[Table]:
    """What was seen about a target and is best shown in rows and columns."""
    values = [
        each
        for value in target.facts.values()
        for each in (value.values() if isinstance(value, dict) else (value,))
    ]
    found = (value.table() for value in values if isinstance(value, TableFact))
    return [*target.tables, *(table for table in found if table is not None and table.rows)]


def grid(table: Table) -> Grid:
    """A table with its notes numbered; the same note has the same number."""
    numbers: dict[str, int] = {}
    rows = [table.columns]
    for row in table.rows:
        fields = []
        for cell in row:
            marks = [f"[{numbers.setdefault(note, len(numbers) + 1)}]" for note in cell.notes]
            fields.append(" ".join([cell.text or "–", *marks]))
        rows.append(tuple(fields))
    return Grid(title=table.title, rows=tuple(rows), notes=tuple(numbers))


def exchange_summary(exchange: Exchange) -> str:
    """``GET https://reg.test/v2/ → 401``, or what became of it where no answer came."""
    outcome = (
        exchange.status
        if exchange.status is not None
        else f"no answer ({exchange.error or 'unknown reason'})"
    )
    return f"{exchange.method} {exchange.url} → {outcome}"


def timings(exchange: Exchange) -> str:
    """``dns 1.5 ms, tcp 0.4 ms``: the phases that happened."""
    return ", ".join(
        f"{phase} {milliseconds:g} ms"
        for phase in ("dns", "tcp", "tls", "wait", "read")
        if (milliseconds := getattr(exchange.timings_ms, phase)) is not None
    )


def headline(diagnosis: Diagnosis) -> Headline:
    """What is wrong and what to do, for the first lines of a report."""
    if diagnosis.causes:
        finding = diagnosis.causes[0].finding
        return Headline(
            title=qualified_title(finding, "cause"),
            seen=first_sentence(finding.detail),
            do=finding.fix[0] if finding.fix else f"regdoctor explain {finding.code}",
        )
    checks = diagnosis.target.checks
    if diagnosis.verdict is Verdict.HEALTHY:
        return Headline(title=_verified(checks), seen="", do="")
    broken = [check for check in checks if check.status is Status.ERROR]
    if broken:
        names = ", ".join(check.id for check in broken)
        return Headline(
            title=f"No fault was found, but {names} could not run",
            seen=f"{broken[0].id} stopped with {broken[0].reason}. That is a fault of regdoctor or of a "
            "plug-in, not of the registry.",
            do=f"leave it out with --skip {broken[0].id}, and report what --verbose shows of it",
        )
    hindered = [check for check in checks if check.status is Status.PASS and check.reason]
    skipped = [check for check in checks if check.status is Status.SKIP]
    if hindered:
        seen = f"{hindered[0].id} could look at a part only: {_bare_reason(hindered[0])}"
    elif skipped:
        seen = f"{skipped[0].id} was skipped: {_bare_reason(skipped[0])}"
    else:
        seen = "No check looked at anything."
    return Headline(
        title="No fault was found, but not enough could be looked at",
        seen=seen,
        do="mend what hindered the checks below, or give them more time with --deadline, and run it again"
        if hindered or skipped
        else "choose more checks with --only, or leave --only and --skip out",
    )


def qualified_title(finding: Finding, noun: str = "") -> str:
    """The title, with a word before it where the facts do not prove it: ``Likely cause: …``."""
    if finding.certainty is Certainty.PROVEN:
        return finding.title
    return f"{finding.certainty.value.capitalize()}{f' {noun}' if noun else ''}: {finding.title}"


def _verified(checks: Sequence[CheckResult]) -> str:
    passed = [check.title for check in checks if check.status in (Status.PASS, Status.INFO)]
    return f"Verified: {', '.join(passed)}" if passed else "Nothing at fault was seen"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """``1 target``, ``3 targets``."""
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"


def summary(report: Report) -> str:
    """How many targets came to which verdict: ``1 of 3 targets is failing, 2 are healthy``."""
    total = len(report.targets)
    parts: list[str] = []
    for verdict in _WORST_FIRST:
        number = sum(target.verdict is verdict for target in report.targets)
        if number:
            amount = f"{number} of {total} targets" if not parts else f"{number}"
            parts.append(f"{amount} {'is' if number == 1 else 'are'} {verdict.value}")
    return ", ".join(parts) or "no target"


def found_here(target: TargetReport) -> tuple[str, ...]:
    """What the run found on this host by itself, or could not look at there, as its facts say it."""
    return tuple(
        str(line)
        for fact in target.facts.values()
        if isinstance(fact, dict)
        for line in fact.get("found_here", ())
    )


def check_counts(checks: Sequence[CheckResult]) -> str:
    """``7 passed, 1 failed, 3 skipped``, the gravest first."""
    parts: list[str] = []
    for status, word in _STATUS_WORDS.items():
        number = sum(check.status is status for check in checks)
        if number:
            parts.append(f"{number} {word}")
    return ", ".join(parts)


def duration(milliseconds: int) -> str:
    """``340 ms``, or ``2.1 s`` from a second on."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def first_sentence(text: str) -> str:
    """The first sentence; a dot ends it only before a capital, a quote or a bracket: hosts stay whole."""
    return re.split(r"(?<=[.!?])\s+(?=[A-Z\"'(])", text.strip(), maxsplit=1)[0]


_PROGRAMS: Final = frozenset(
    """
    apk apt apt-get awk aws az base64 bash brew buildah cat certbot chgrp chmod chown chronyc cmp cp
    crane crictl ctr curl date df diff dig dmesg dnf docker dockerd dpkg du echo env export findmnt
    firewall-cmd for fsck gcloud getent grep haproxy helm htpasswd hwclock install ip iptables
    journalctl kill kubectl less ln ls lsof mkdir mount mv nc nerdctl netplan nft nginx nmcli nslookup
    oc openssl pgrep ping podman printf ps python3 regctl regdoctor resolvectl restorecon rm rpm sed
    semanage setsebool sh sha256sum shred skopeo sleep socat ss stat sudo sysctl systemctl tail tcpdump
    tee test time timedatectl timeout top tr traceroute tune2fs ufw umount update-ca-certificates
    update-ca-trust watch xargs xfs_quota yum zypper
    """.split()  # noqa: SIM905 - a list of a hundred lines says no more
)
"""First words of command lines: what stands after a colon and begins with one is shown as a command."""
_KEYWORDS: Final = frozenset({"do", "done", "else", "fi", "if", "then", "while"})
_PROSE: Final = re.compile(
    r" (?:against|and|are|directly|each|is|it|must|names|or|the|then|through|with) |[:,] "
)
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\\.")
_SEQUENCE: Final = re.compile(r";|&&|\|\|")


def _is_command(text: str) -> bool:
    """Whether a text is a command line that could be pasted as it is: every part of it begins with a program."""
    bare = _QUOTED.sub("", text)
    if _PROSE.search(bare):
        return False
    firsts = [part.split()[0] for part in _SEQUENCE.split(bare) if part.strip()]
    return bool(firsts) and all(first in _PROGRAMS or first in _KEYWORDS for first in firsts)


def split_command(step: str) -> tuple[str, str | None, str]:
    """Splits ``what to do: command --with options (remark)`` into prose, command and remark.

    The command is None where the step ends in no command line that could be pasted as it is.
    """
    prose, colon, rest = step.partition(": ")
    if not colon:
        prose, rest = "", step
    command, remark = rest, ""
    if match := re.fullmatch(r"(.*\S) (\([^()]*\))", rest):
        command, remark = match.groups()
    if not _is_command(command):
        return step, None, ""
    return prose, command, remark


def skips(checks: Sequence[CheckResult]) -> dict[str, list[str]]:
    """The checks that were skipped, by reason: one fault often keeps all the later ones from looking."""
    reasons: dict[str, list[str]] = {}
    for check in checks:
        if check.status is Status.SKIP:
            reasons.setdefault(_bare_reason(check), []).append(check.id)
    return reasons


def _bare_reason(check: CheckResult) -> str:
    """Why a check was skipped, without the name of the fact that it lacks."""
    return re.sub(r"^needs [\w-]+: ", "", check.reason) or "no reason was given"
