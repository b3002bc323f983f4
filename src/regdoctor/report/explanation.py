"""What ``explain`` says, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from regdoctor.catalogue import PLACEHOLDERS, docs_page
from regdoctor.oci.reference import parse_target
from regdoctor.report.escape import line, short
from regdoctor.report.page import Page

if TYPE_CHECKING:
    from regdoctor.catalogue import Catalogue, Code
    from regdoctor.explain import ExplainedMatch, Explanation
    from regdoctor.report.options import RenderOptions

_LONGEST_MESSAGE: Final = 200
_IN_FULL: Final = 5


def render(explanation: Explanation, catalogue: Catalogue, options: RenderOptions) -> bytes:
    """One code with all that is known of it, or the causes that fit a message, best first, as UTF-8."""
    page = Page(options)
    named = len(explanation.matches) == 1 and explanation.matches[0].code.endswith(
        explanation.message.lower()
    )
    values = _values(explanation.target)
    if named:
        parts = _code(page, catalogue[explanation.matches[0].code], values)
    elif explanation.matches:
        parts = _matches(page, explanation, catalogue, values)
    else:
        parts = _nothing(page, explanation)
    return ("\n".join(parts).rstrip("\n") + "\n").encode("utf-8", "backslashreplace")


def _values(target: str | None) -> Mapping[str, str]:
    """What the place-holders of the catalogue stand for: the message's target, else words in capitals."""
    values = {name: name.upper() for name in PLACEHOLDERS} | {
        "address": "HOST:PORT",
        "registry": "HOST:PORT",
        "url": "https://HOST:PORT",
        "reference": "TAG",
        "image": "HOST:PORT/REPOSITORY:TAG",
    }
    if target is None:
        return values
    parsed = parse_target(target)
    return values | {
        "host": parsed.ascii_host,
        "port": str(parsed.effective_port),
        "address": parsed.registry,
        "registry": parsed.registry,
        "url": f"{parsed.scheme or 'https'}://{parsed.registry}",
    }


def _code(page: Page, code: Code, values: Mapping[str, str]) -> list[str]:
    parts = [
        *page.wrapped(f"{code.code}: {code.title} ({code.severity.value})", "", "  "),
        "",
        page.prose(code.meaning),
        "",
        page.heading("What to do"),
        page.steps([fix.format_map(values) for fix in code.fix]),
        "",
        page.heading("See it yourself"),
        page.command(code.reproduce.format_map(values)),
        "",
    ]
    if code.symptoms:
        parts.extend(
            [
                page.heading("Messages that it shows itself by"),
                *(page.prose(each) for each in code.symptoms),
                "",
            ]
        )
    if code.decides:
        parts.extend(
            [page.heading("What tells it from causes with the same message"), page.prose(code.decides), ""]
        )
    if code.explained_by:
        parts.extend([page.heading("What may lie behind it"), page.prose(", ".join(code.explained_by)), ""])
    parts.append(page.prose(f"Words in capitals stand for your values. Page: {docs_page(code.code)}", 0))
    return parts


def _matches(
    page: Page, explanation: Explanation, catalogue: Catalogue, values: Mapping[str, str]
) -> list[str]:
    best = explanation.matches[0]
    said = short(explanation.message, _LONGEST_MESSAGE)
    number = len(explanation.matches)
    causes = "one known cause" if number == 1 else f"{number} known causes, the best fit first"
    parts = [
        *page.wrapped(f"“{said}” has {causes}.", "", "  "),
        *page.step(best.next, "Settle it with: "),
        "",
    ]
    for position, match in enumerate(explanation.matches[:_IN_FULL], start=1):
        parts.extend(_match(page, position, match, catalogue[match.code], values))
        if match.next != best.next:
            parts.extend(page.step(match.next, "     Run: "))
        parts.append("")
    if rest := explanation.matches[_IN_FULL:]:
        parts.append(page.heading("Less likely; regdoctor explain CODE tells more"))
        parts.extend(page.item("–", f"{match.title} ({match.code})", "quiet") for match in rest)
    return parts


def _match(
    page: Page, position: int, match: ExplainedMatch, code: Code, values: Mapping[str, str]
) -> list[str]:
    label = f"{position:>2}."
    lines: list[str] = [
        page.item(label, f"{match.title} ({match.code}, {match.certainty.value})", code.severity, 1),
        page.item("Why:", match.why, "heading", 5),
    ]
    if match.decides:
        lines.append(page.item("Settled by:", match.decides, "heading", 5))
    if code.fix:
        lines.extend(page.step(code.fix[0].format_map(values), "     Do: "))
    return lines


def _nothing(page: Page, explanation: Explanation) -> list[str]:
    said = short(explanation.message, _LONGEST_MESSAGE)
    next_step = f"regdoctor check {line(explanation.target or 'TARGET')}"
    return [
        *page.wrapped(f"Nothing is known about “{said}”.", "", "  "),
        *page.step(next_step, "Do: look at the registry itself: "),
        page.prose("regdoctor checks lists every code; regdoctor explain CODE explains one.", 0),
    ]
