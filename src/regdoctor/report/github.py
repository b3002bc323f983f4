"""The report as workflow commands of GitHub Actions, which become annotations of the run.

Escapes follow actions/toolkit ``packages/core/src/command.ts``: ``%``, CR and LF in the message, ``:`` and
``,`` in properties as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from regdoctor.model import Severity, Status, Verdict
from regdoctor.report import layout
from regdoctor.report.escape import line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regdoctor.model import Finding, Report, TargetReport
    from regdoctor.report.options import RenderOptions

_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(report: Report, options: RenderOptions) -> bytes:
    """One command a line, symptoms named with their cause; ``options`` change nothing."""
    del options
    commands: list[str] = []
    for diagnosis in layout.arrange(report):
        commands.extend(_commands(diagnosis))
    return "".join(f"{command}\n" for command in commands).encode("utf-8")


def _commands(diagnosis: layout.Diagnosis) -> Iterator[str]:
    for cause in (*diagnosis.causes, *diagnosis.warnings, *diagnosis.notes):
        yield _annotation(diagnosis.target, cause)
    for check in diagnosis.target.checks:
        if check.status is Status.ERROR:
            yield _command("warning", {"title": f"{check.id} could not run"}, [check.reason])
    if diagnosis.verdict in (Verdict.HEALTHY, Verdict.UNDETERMINED) and not diagnosis.causes:
        head = layout.headline(diagnosis)
        name = "notice" if diagnosis.verdict is Verdict.HEALTHY else "warning"
        title = f"{diagnosis.target.target} is {diagnosis.verdict.value}"
        yield _command(name, {"title": title}, [head.title, head.seen])


def _annotation(target: TargetReport, cause: layout.Cause) -> str:
    finding = cause.finding
    text = [
        finding.detail,
        *(f"{number}. {fix}" for number, fix in enumerate(finding.fix, start=1)),
        f"See it yourself: {finding.reproduce}" if finding.reproduce else "",
        *(f"It explains: {symptom.finding.title} ({symptom.finding.code})" for symptom in cause.symptoms),
    ]
    title = f"{target.target}: {layout.qualified_title(finding)} ({finding.code})"
    return _command(_COMMANDS[finding.severity], _place(finding) | {"title": title}, text)


def _place(finding: Finding) -> dict[str, str]:
    if not finding.places:
        return {}
    place = finding.places[0]
    column = {"col": str(place.column)} if place.column is not None else {}
    return {"file": place.path, "line": str(place.line)} | column


def _command(name: str, properties: dict[str, str], text: list[str]) -> str:
    joined = ",".join(f"{key}={_property(line(value))}" for key, value in properties.items())
    return f"::{name} {joined}::" + "%0A".join(_data(line(each)) for each in text if each)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
