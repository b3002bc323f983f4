"""Writes the pages of the finding codes, ``docs/codes``, from the catalogue.

python tools/generate_docs.py            write the pages
python tools/generate_docs.py --check    exit 1, naming the pages, where they are not up to date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from regdoctor.catalogue import LADDER, PLACEHOLDERS, Area, Catalogue, Code, docs_page, load

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "codes"
NOTICE = "<!-- Written by tools/generate_docs.py from checks/*/findings.toml. Change it there. -->"
FAILURES = "failures: "

SEVERITIES = {
    "error": "error: pulls or pushes fail, or the registry is at risk",
    "warning": "warning: it works, and will not for long or not for everybody",
    "info": "info: worth knowing",
}
STATUSES = {
    True: "detected: a rule of this version reports it",
    False: "planned: no rule reports it yet; regdoctor explain knows its messages",
}


def main(arguments: list[str]) -> int:
    """Write or check the pages; returns the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    pages = render(load([f"regdoctor.checks.{area}" for area in LADDER]), detected_codes())
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    surplus = sorted(set(FOLDER.glob("*.md")) - set(pages))
    if arguments == ["--check"]:
        for path in (*stale, *surplus):
            print(f"{path.relative_to(ROOT)} is not up to date: run python tools/generate_docs.py")
        return 1 if stale or surplus else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(pages[path])
    for path in surplus:
        path.unlink()
    return 0


def detected_codes() -> frozenset[str]:
    """Return the codes that some installed rule can report."""
    from regdoctor.engine.registry import load_checks

    return load_checks().detected


def render(catalogue: Catalogue, detected: frozenset[str]) -> dict[Path, str]:
    """Return the text of every page by its path."""
    pages = {FOLDER / f"{area.name}.md": _area(area, catalogue, detected) for area in catalogue.areas}
    return {FOLDER / "README.md": _index(catalogue, detected), **pages}


def _index(catalogue: Catalogue, detected: frozenset[str]) -> str:
    known = len(detected & set(catalogue.codes))
    lines = [
        NOTICE,
        "",
        "# Finding codes",
        "",
        "Every finding of regdoctor has one of these codes. They are never renamed or reused.",
        "`regdoctor explain CODE` prints the same text, and `regdoctor explain 'MESSAGE'` finds the codes behind",
        "a message of docker, containerd, podman or the kubelet.",
        "",
        f"{len(catalogue.codes)} codes in {len(catalogue.areas)} areas, {known} of them detected by this version.",
        "",
        *(f"- {text}" for text in (*SEVERITIES.values(), *STATUSES.values())),
        "",
    ]
    for area in catalogue.areas:
        lines += [f"## [{area.title}]({area.name}.md)", "", escape(area.summary), ""]
        lines += [*_table(area, catalogue, detected), ""]
    return "\n".join(lines)


def _table(area: Area, catalogue: Catalogue, detected: frozenset[str]) -> Iterator[str]:
    yield "| code | severity | status | what it means |"
    yield "|---|---|---|---|"
    for code in (catalogue[name] for name in area.codes):
        yield (
            f"| {_link(code.code)} | {code.severity.value} | {_status(code, detected)} "
            f"| {escape(code.title).replace('|', chr(92) + '|')} |"
        )


def _area(area: Area, catalogue: Catalogue, detected: frozenset[str]) -> str:
    lines = [
        NOTICE,
        "",
        f"# {area.title}",
        "",
        escape(area.summary),
        "",
        *_table(area, catalogue, detected),
        "",
    ]
    for name in area.codes:
        lines += [*_code(catalogue[name], catalogue, detected), ""]
    return "\n".join(lines)


def _code(code: Code, catalogue: Catalogue, detected: frozenset[str]) -> Iterator[str]:
    yield f'<a id="{docs_page(code.code).partition("#")[2]}"></a>'
    yield ""
    yield f"## {code.code}"
    yield ""
    yield f"**{escape(code.title)}.**"
    yield ""
    yield f"Severity: {code.severity.value}. Status: {_status(code, detected)}."
    yield ""
    yield escape(code.meaning)
    yield ""
    yield "What to do, most likely first:"
    yield ""
    yield from (f"{number}. {escape(show(line))}" for number, line in enumerate(code.fix, start=1))
    yield ""
    yield "To see it by hand:"
    yield ""
    yield from ("```sh", show(code.reproduce), "```")
    if code.symptoms:
        yield from ("", "Messages that may come from it (… stands for what varies):", "")
        yield from (f"- {_literal(symptom)}" for symptom in code.symptoms)
    if code.decides:
        yield from ("", f"What decides whether it is this: {escape(code.decides)}.")
    if code.explained_by:
        yield from ("", f"Only a symptom where one of these is found too: {_links(code.explained_by)}.")
    symptoms_of_it = [each.code for each in catalogue.codes.values() if code.code in each.explained_by]
    if symptoms_of_it:
        yield from ("", f"It explains: {_links(symptoms_of_it)}.")
    yield from ("", f"Sources: {escape('; '.join(_sources(code)))}.")


def _status(code: Code, detected: frozenset[str]) -> str:
    return "detected" if code.code in detected else "planned"


def _sources(code: Code) -> Iterator[str]:
    yield from (source for source in code.sources if not source.startswith(FAILURES))
    for source in code.sources:
        if source.startswith(FAILURES):
            yield f"seen in the wild as {source.removeprefix(FAILURES)}"


def _link(code: str) -> str:
    return f"[{code}]({docs_page(code).removeprefix('docs/codes/')})"


def _links(codes: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(_link, codes))


def show(text: str) -> str:
    """Return a text of ``fix`` or ``reproduce`` with ``<host>`` for ``{host}`` and single braces."""
    return text.format(**{name: f"<{name}>" for name in PLACEHOLDERS})


def escape(text: str) -> str:
    """Return the text so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_~$\[\]<>])", r"\\\1", text).replace("&", "&amp;")


def _literal(text: str) -> str:
    """The text as code, in as many backquotes as it needs (CommonMark, code spans)."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    marks = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{marks}{pad}{text}{pad}{marks}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
