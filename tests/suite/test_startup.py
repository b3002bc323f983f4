"""Start-up stays lean: what is not used is not imported, and help is there at once."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HEAVY = ("httpx", "httpcore", "dns", "OpenSSL", "cryptography", "jinja2", "yaml", "psutil", "ntplib", "rich")
"""Libraries that only a run, or a rendering, may import."""

LEAN = (*HEAVY, "msgspec", "tomllib", "importlib.metadata", "asyncio", "ssl", "urllib.request")
"""What the help and the version do not even need for a look."""


def imported(*arguments: str) -> set[str]:
    """The modules in memory at the end of one call of the program."""
    program = (
        "import sys\n"
        "sys.argv[0] = 'regdoctor'\n"
        "from regdoctor.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def within(modules: set[str], names: tuple[str, ...]) -> set[str]:
    return {
        name for name in names if name in modules or any(module.startswith(f"{name}.") for module in modules)
    }


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_the_group_imports_click_and_next_to_nothing(arguments: list[str]) -> None:
    modules = imported(*arguments)
    assert "click" in modules
    assert within(modules, LEAN) == set()
    assert not [
        name
        for name in modules
        if name.startswith(("regdoctor.engine", "regdoctor.checks", "regdoctor.facts"))
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--help"],
        ["checks", "--help"],
        ["explain", "tls/expired"],
        ["explain", "connection refused"],
    ],
)
def test_help_and_explain_import_no_network_and_no_template_library(arguments: list[str]) -> None:
    assert within(imported(*arguments), HEAVY) == set()


def test_loading_the_checks_imports_no_heavy_library() -> None:
    assert within(imported("checks"), HEAVY) == set()


def test_a_json_report_needs_no_template_library() -> None:
    modules = imported("check", "127.0.0.1:1", "--only", "tcp", "--format", "json")
    assert within(modules, ("jinja2", "yaml", "rich")) == set()


def test_help_takes_less_than_eight_bare_starts() -> None:
    def fastest(*command: str) -> float:
        times = []
        for _ in range(7):
            began = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            times.append(time.perf_counter() - began)
        return min(times)

    bare = fastest(sys.executable, "-c", "pass")
    assert fastest(sys.executable, "-m", "regdoctor", "--help") < 8 * bare
