"""Puts what the commands print into the README, between its marks; ``--check`` says whether it is current.

    <!-- help -->                      the output of `regdoctor --help`
    <!-- example: FAULT -->            the first part of the output of `regdoctor demo FAULT`

Ports, times and durations differ from run to run; they are written as fixed ones.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PORT = "5000"


def command(*arguments: str) -> str:
    """What regdoctor prints at 80 columns, whatever its exit code."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "regdoctor", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode not in (0, 3):
        raise RuntimeError(f"regdoctor {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def help_text() -> str:
    """The help of the program."""
    return fenced("regdoctor --help", command("--help"))


def example(fault: str) -> str:
    """The report of a demo's fault, up to the list of checks."""
    report = command("demo", fault).partition("\nChecks:")[0]
    return fenced(f"regdoctor demo {fault}", steady(report))


def steady(text: str) -> str:
    """The text without what differs from run to run."""
    text = re.sub(r"\blocalhost:\d+", f"localhost:{PORT}", text)
    text = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{PORT}", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?", "2026-11-23 12:00", text)
    text = re.sub(r"/\S*/regdoctor-demo-\w+", "/tmp/regdoctor-demo", text)
    return re.sub(r"\b\d+(\.\d+)? ms\b", "10 ms", text)


def fenced(line: str, output: str) -> str:
    """A block of a terminal session."""
    return f"```console\n$ {line}\n{output.rstrip()}\n```"


def updated(text: str) -> str:
    """The README with every marked part made anew."""
    text = re.sub(
        r"(<!-- help -->\n).*?(<!-- /help -->)",
        lambda part: f"{part[1]}{help_text()}\n{part[2]}",
        text,
        flags=re.DOTALL,
    )
    return re.sub(
        r"(<!-- example: ([\w-]+) -->\n).*?(<!-- /example -->)",
        lambda part: f"{part[1]}{example(part[2])}\n{part[3]}",
        text,
        flags=re.DOTALL,
    )


def main() -> int:
    """Writes the README, or says whether it is current."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = README.read_text()
    made = updated(text)
    if options.check:
        if made != text:
            print("README.md is stale; run python tools/update_readme.py", file=sys.stderr)
        return int(made != text)
    README.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
