"""Words about flaws in files, and findings about files that could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regdoctor.api import Certainty, Draft, Flaw, FlawKind, Severity, finding

MOST_TOLD = 5
BROKEN = (FlawKind.SYNTAX, FlawKind.REFUSED)
"""What keeps a program from using a file at all."""


def told(flaws: Iterable[Flaw]) -> str:
    """Flaws in a row in the order of the file, each with its place; the first few of many."""
    listed = sorted(flaws, key=lambda flaw: (flaw.path, flaw.line or 0, flaw.column or 0))
    shown, before = [], ""
    for flaw in listed[:MOST_TOLD]:
        place = where(flaw)
        shown.append(f"{place.removeprefix(f'{before}, ')}: {flaw.message}")
        before = flaw.path
    if len(listed) > MOST_TOLD:
        shown.append(f"and {len(listed) - MOST_TOLD} more")
    return "; ".join(shown)


def where(flaw: Flaw) -> str:
    """The place of a flaw in words."""
    if flaw.line is None:
        return flaw.path
    column = f", column {flaw.column}" if flaw.column is not None else ""
    return f"{flaw.path}, line {flaw.line}{column}"


def places(flaws: Iterable[Flaw]) -> tuple[str, ...]:
    """The places of flaws as evidence, each once."""
    return tuple(dict.fromkeys(flaw.place for flaw in flaws))[:20]


def unread(code: str, flaws: Iterable[Flaw], owner: str) -> Iterator[Draft]:
    """Files that this run could not read: whether their own program can, it cannot tell."""
    for flaw in flaws:
        if flaw.kind is FlawKind.UNREAD:
            yield finding(
                code,
                f"{flaw.path} was not read: {flaw.message}. Whether {owner} can read it, this run cannot "
                "see.",
                certainty=Certainty.POSSIBLE,
                severity=Severity.WARNING,
                evidence=(flaw.path,),
            )
