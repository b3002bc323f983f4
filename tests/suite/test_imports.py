"""Who may import whom (the design's rooms): read from the source, lazy imports included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "regdoctor"
CHECKS = ROOT / "checks"

FORBIDDEN = {
    "facts": ("engine", "net", "host", "report", "cli", "checks", "demo", "api"),
    "oci": ("engine", "net", "report", "cli", "checks", "demo", "api", "host"),
    "net": ("engine", "report", "cli", "checks", "demo", "api"),
    "host": ("engine", "net", "report", "cli", "checks", "demo", "api"),
    "report": ("engine", "net", "host", "cli", "checks", "demo", "api"),
    "engine": ("report", "cli", "checks", "demo", "api"),
    "demo": ("engine", "report", "cli", "checks", "api"),
}
"""By room: the rooms that it may not import from."""


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, with the line; ``from a import b`` gives both ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_a_room_imports_only_from_the_rooms_below_it(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((SOURCE / room).rglob("*.py"))
        for line, name in imports(path)
        for other in FORBIDDEN[room]
        if name == f"regdoctor.{other}" or name.startswith(f"regdoctor.{other}.")
    ]

    assert wrong == []


def test_checks_import_nothing_of_regdoctor_but_the_api_and_their_own_modules() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted(CHECKS.rglob("*.py"))
        for line, name in imports(path)
        if name.partition(".")[0] == "regdoctor"
        and not name.startswith("regdoctor.api")
        and not f"{name}.".startswith(f"regdoctor.checks.{path.relative_to(CHECKS).parts[0]}.")
    ]

    assert wrong == []


def test_checks_never_import_each_other() -> None:
    wrong = []
    for path in sorted(CHECKS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level > 1:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")

    assert wrong == []


HEAVY = frozenset(
    {"OpenSSL", "cryptography", "dns", "httpcore", "httpx", "jinja2", "ntplib", "psutil", "rich", "yaml"}
)


LAZY = SOURCE / "yaml_v2"
"""Made of PyYAML's classes, so that it cannot do without them; it counts as a heavy library itself."""


def top_level_imports(path: Path) -> Iterator[str]:
    """Modules that are imported when the file is, leaving out those for type checkers only."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
            if node.module.startswith(f"regdoctor.{LAZY.name}"):
                yield "yaml"


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name} at its top"
        for folder in (SOURCE, CHECKS)
        for path in sorted(folder.rglob("*.py"))
        if LAZY not in path.parents
        for name in top_level_imports(path)
        if name in HEAVY
    ]

    assert wrong == []
