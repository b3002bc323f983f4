"""Writes docs/fault-tests.md: which test plays each fault for real, and which healthy twins must stay silent.

python tools/generate_fault_table.py            write the page
python tools/generate_fault_table.py --check    exit 1 where it is not up to date
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from regdoctor.catalogue import LADDER, docs_page, load

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ROOT / "tests" / "faults"
PAGE = ROOT / "docs" / "fault-tests.md"
SHOWN = 3
"""Tests that are named for a code; the others are counted."""

HEAD = """<!-- Written by tools/generate_fault_table.py from tests/faults/. Change it there. -->
# Code, fault test, healthy twin

Every test below starts real servers, breaks one thing and expects the code; what only a vendor's product can do
is played from recorded answers, and the test says so. The healthy twins of an area are the same stacks without
the fault: nothing may be found.
"""


@dataclass(frozen=True)
class FaultTest:
    """A test function: where it is, the codes that it names, and whether it expects a healthy stack."""

    module: str
    name: str
    codes: frozenset[str]
    healthy: bool


def tests_in(path: Path, known: frozenset[str]) -> Iterator[FaultTest]:
    """The test functions of a module, its classes included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            texts = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
            called = {
                each.func.id
                for each in ast.walk(node)
                if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
            }
            codes = frozenset(text for text in texts if isinstance(text, str)) & known
            yield FaultTest(path.stem, node.name, codes, any("healthy" in name for name in called))


def page() -> str:
    """The text of the page."""
    catalogue = load([f"regdoctor.checks.{area}" for area in LADDER])
    known = frozenset(catalogue.codes)
    found = [test for path in sorted(FAULTS.glob("test_*.py")) for test in tests_in(path, known)]
    lines = [HEAD]
    for area in catalogue.areas:
        proved = [
            code for code in area.codes if any(code in test.codes and not test.healthy for test in found)
        ]
        if not proved:
            continue
        lines += [f"\n## {area.title}\n", "| Code | Fault test |", "| --- | --- |"]
        for code in proved:
            tests = [test for test in found if code in test.codes and not test.healthy]
            lines.append(f"| [{code}]({docs_page(code).removeprefix('docs/')}) | {_names(tests)} |")
        healthy = [test for test in found if test.healthy and test.module == f"test_{area.name}"]
        lines.append(f"\nHealthy twins: {_names(healthy)}")
    return "\n".join(lines) + "\n"


def _names(tests: Sequence[FaultTest]) -> str:
    shown = [
        f"[{test.name.removeprefix('test_')}](../tests/faults/{test.module}.py)" for test in tests[:SHOWN]
    ]
    more = f", and {len(tests) - SHOWN} more" if len(tests) > SHOWN else ""
    return ", ".join(shown) + more if shown else "none of its own"


def main(arguments: list[str]) -> int:
    """Write or check the page; returns the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    text = page()
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text() == text:
            return 0
        print(f"{PAGE.relative_to(ROOT)} is not up to date: run python tools/generate_fault_table.py")
        return 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
