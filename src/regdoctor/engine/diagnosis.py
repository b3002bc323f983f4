"""From judgements to findings: texts and identities, symptoms folded under their causes, and the verdict.

Nothing is invented here. A finding is a symptom only where the catalogue says that the other's code
explains it (``explained_by``), both are about the same host, or one of them about none, and the rule did not
say that it is otherwise this time (``unexplained_by``).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from regdoctor.catalogue import LADDER, Catalogue, docs_page
from regdoctor.engine.plan import Plan
from regdoctor.engine.run import Absence, FactStore, Judgement, Missing
from regdoctor.facts.base import Endpoint, Role
from regdoctor.model import Certainty, CheckResult, Finding, Place, Severity, Status, Verdict
from regdoctor.oci.reference import Target
from regdoctor.signatures import Draft, Probe, Rule

_CERTAINTIES = tuple(Certainty)
_SEVERITIES = tuple(Severity)


def find(
    judgements: Sequence[Judgement], target: Target, catalogue: Catalogue, wanted: Mapping[str, bool]
) -> tuple[Finding, ...]:
    """Completes the drafts, drops repetitions of one statement, and links symptoms to causes.

    :param wanted: for single codes named by ``--only`` and ``--skip``: whether they are reported.
    """
    drafts: dict[tuple[str, str | None, str], tuple[str, Draft]] = {}
    for judgement in judgements:
        for draft in judgement.drafts:
            if wanted.get(draft.code, True):
                where = draft.endpoint.address if draft.endpoint else None
                drafts.setdefault((draft.code, where, draft.detail), (judgement.check, draft))
    ordered = sorted(drafts.values(), key=lambda pair: _rank(pair[1], catalogue))
    identified = [
        (_complete(f"f{number}", check, draft, target, catalogue), draft)
        for number, (check, draft) in enumerate(ordered, start=1)
    ]
    return tuple(_with_cause(finding, draft, identified, catalogue) for finding, draft in identified)


def _rank(draft: Draft, catalogue: Catalogue) -> tuple[int, int, int, int, str]:
    area = draft.code.partition("/")[0]
    severity = draft.severity or Severity(catalogue[draft.code].severity)
    position = LADDER.index(area) if area in LADDER else len(LADDER)
    role = list(Role).index(draft.endpoint.role) if draft.endpoint else 0
    return (_SEVERITIES.index(severity), _CERTAINTIES.index(draft.certainty), position, role, draft.code)


def _complete(identity: str, check: str, draft: Draft, target: Target, catalogue: Catalogue) -> Finding:
    entry = catalogue[draft.code]
    values = _values(draft, target)
    places = {name: place for name in draft.evidence if (place := Place.of(name))}
    return Finding(
        id=identity,
        code=draft.code,
        severity=draft.severity or Severity(entry.severity),
        check=check,
        title=entry.title,
        detail=draft.detail,
        fix=(*draft.fix, *(_fill(line, values) for line in entry.fix)),
        reproduce=draft.reproduce if draft.reproduce is not None else _fill(entry.reproduce, values),
        evidence=tuple(dict.fromkeys(str(places.get(name, name)) for name in draft.evidence)),
        places=tuple(places.values()),
        caused_by=None,
        certainty=draft.certainty,
        docs=docs_page(draft.code),
        host=draft.endpoint.address if draft.endpoint else None,
        role=draft.endpoint.role.value if draft.endpoint else None,
    )


def _values(draft: Draft, target: Target) -> dict[str, str]:
    endpoint = draft.endpoint
    registry = target.registry if target.host else "<registry>"
    values = {
        "registry": registry,
        "repository": target.repository or "<repository>",
        "reference": (target.reference.reference if target.reference else None) or "<tag>",
        "image": target.text if target.repository or target.defect else f"{registry}/<repository>:<tag>",
        "host": target.host or "<host>",
        "port": registry.rpartition(":")[2] if target.host else "<port>",
        "address": registry,
        "url": f"{target.scheme or 'https'}://{registry}",
    }
    if endpoint is not None:
        values |= {
            "host": endpoint.host,
            "port": str(endpoint.port),
            "address": endpoint.address,
            "url": endpoint.url,
        }
    return {name: _for_shell(value) for name, value in (values | dict(draft.values)).items()}


def _for_shell(value: str) -> str:
    """The value as a word of a shell command: hosts and paths may come from what a server said."""
    if re.fullmatch(r"[\w.:/@%+=,\[\]~ -]*|(?:https?://)?<[\w -]+>|.*<repository>:<tag>", value, re.ASCII):
        return value
    return shlex.quote(value)


def _fill(text: str, values: Mapping[str, str]) -> str:
    """Fills ``{name}`` places and undoubles braces, leaving any other text alone."""
    return re.sub(
        r"\{\{|\}\}|\{(\w+)\}",
        lambda match: match[0][0] if match[1] is None else values.get(match[1], match[0]),
        text,
    )


def _with_cause(
    finding: Finding, draft: Draft, others: Sequence[tuple[Finding, Draft]], catalogue: Catalogue
) -> Finding:
    from msgspec.structs import replace

    causes = set(catalogue[finding.code].explained_by).difference(draft.unexplained_by)
    for other, other_draft in others:
        if (
            other.code in causes
            and other.severity is not Severity.INFO
            and _same_place(draft.endpoint, other_draft.endpoint)
        ):
            return replace(finding, caused_by=other.id)
    return finding


def _same_place(symptom: Endpoint | None, cause: Endpoint | None) -> bool:
    if symptom is None or cause is None:
        return True
    if cause.role is Role.PROXY:
        return symptom.proxy is not None or symptom.role is Role.PROXY
    return symptom.address == cause.address


def root_causes(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings that explain the errors and that no other explains; where there is no error, the warnings.

    A warning (a dead mirror, a stale record) can be the cause of an error.
    """
    by_id = {each.id: each for each in findings}
    for severity in (Severity.ERROR, Severity.WARNING):
        roots = {_root(each, by_id) for each in findings if each.severity is severity}
        if roots:
            return tuple(each for each in findings if each.id in roots)
    return ()


def _root(finding: Finding, by_id: Mapping[str, Finding]) -> str:
    while finding.caused_by is not None:
        finding = by_id[finding.caused_by]
    return finding.id


def check_results(
    plan: Plan, judgements: Sequence[Judgement], findings: Sequence[Finding], store: FactStore
) -> tuple[CheckResult, ...]:
    """How each check of the plan ended."""
    results = []
    looked = {node.probe for node in plan.graph}
    for check in plan.registry.checks:
        rules = [rule for owner, rule in plan.rules if owner.id == check.id]
        if not rules:
            continue
        own = [judgement for judgement in judgements if judgement.check == check.id]
        status, reason, trace = _status(own, [each for each in findings if each.check == check.id])
        broken = [
            missing
            for (fact, _endpoint), missing in store.missing.items()
            if missing.absence is Absence.ERROR and any(probe.provides is fact for probe in check.probes)
        ]
        if broken and status in (Status.PASS, Status.SKIP):
            status, reason, trace = Status.ERROR, broken[0].reason, broken[0].traceback
        if plan.kind is not None and status in (Status.PASS, Status.SKIP) and not looked & set(check.probes):
            # It would have had something to say about another area's file, and has verified nothing of its own.
            continue
        provided = {probe.provides for probe in check.probes}
        parts: tuple[Probe | Rule, ...] = (*check.probes, *rules)
        needs = {need.name for part in parts for need in part.needs if need.fact not in provided}
        seconds = sum(store.seconds.get(probe, 0.0) for probe in check.probes)
        results.append(
            CheckResult(
                id=check.id,
                title=check.title,
                status=status,
                reason=reason,
                duration_ms=round(seconds * 1000),
                needs=tuple(sorted(needs)),
                traceback=trace,
            )
        )
    return tuple(results)


def _status(judgements: Sequence[Judgement], findings: Sequence[Finding]) -> tuple[Status, str, str]:
    by_severity = {Severity.ERROR: Status.FAIL, Severity.WARNING: Status.WARN, Severity.INFO: Status.INFO}
    failures = (each.missing for each in judgements if each.missing is not None)
    failed = next((missing for missing in failures if missing.absence is Absence.ERROR), None)
    found = {each.severity for each in findings}
    if failed is not None and not found & {Severity.ERROR, Severity.WARNING}:
        return Status.ERROR, failed.reason, failed.traceback
    for severity, status in by_severity.items():
        if severity in found:
            return status, "", ""
    judged = [each for each in judgements if each.missing is None]
    blocked = [each for each in judgements if each.missing and each.missing.absence is Absence.BLOCKED]
    absent = [each for each in judgements if each.missing is not None]
    if blocked and len(blocked) >= len(judged):
        return Status.SKIP, _skip_reason(blocked[0]), ""
    if not judged and absent:
        return Status.SKIP, _skip_reason(absent[0]), ""
    return Status.PASS, _skip_reason(blocked[0]) if blocked else "", ""


def _skip_reason(judgement: Judgement) -> str:
    return f"needs {judgement.needed}: {judgement.missing.reason if judgement.missing else 'unknown'}"


def verdict(
    findings: Sequence[Finding], checks: Sequence[CheckResult], missing: Sequence[Missing]
) -> Verdict:
    """What a target comes to.

    Without an error or a warning it is healthy only where something was looked at and nothing was blocked.
    """
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return Verdict.FAILING
    if Severity.WARNING in severities:
        return Verdict.DEGRADED
    looked = any(check.status in (Status.PASS, Status.INFO) for check in checks)
    hindered = any(check.status is Status.ERROR for check in checks) or any(
        each.absence is Absence.BLOCKED for each in missing
    )
    return Verdict.HEALTHY if looked and not hindered else Verdict.UNDETERMINED


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a run over several targets: the worst."""
    for worst in (Verdict.FAILING, Verdict.UNDETERMINED, Verdict.DEGRADED):
        if worst in verdicts:
            return worst
    return Verdict.HEALTHY if verdicts else Verdict.UNDETERMINED
