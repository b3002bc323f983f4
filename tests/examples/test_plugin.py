"""The example plugin, installed as a package of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.support.http_server import Answer, HTTPServer, Request
from tests.support.regdoctor_cli import CliResult, assert_healthy, assert_single_root_cause, run_regdoctor

PLUGIN = Path(__file__).resolve().parents[2] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin installed in it."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(PLUGIN, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    site = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(source)],
        check=True,
        capture_output=True,
    )
    return site


def run(installed: Path, *arguments: str) -> CliResult:
    return run_regdoctor(*arguments, env={"PYTHONPATH": str(installed)})


def registry(sunset: str | None) -> HTTPServer:
    """A registry that is no more than its answers at ``/`` and ``/v2/``."""

    def answer(_request: Request) -> Answer:
        headers = [("Docker-Distribution-Api-Version", "registry/2.0"), ("Content-Type", "application/json")]
        if sunset is not None:
            headers.append(("Sunset", sunset))
        return Answer(200, b"{}", headers)

    return HTTPServer(answer)


def test_the_check_is_listed_with_the_package_that_it_comes_from(installed: Path) -> None:
    listed = json.loads(run(installed, "checks").stdout)["checks"]

    (sunset,) = (check for check in listed if check["id"] == "sunset")
    assert sunset["distribution"] == "regdoctor-sunset"
    assert [code["code"] for code in sunset["codes"]] == ["sunset/announced"]


def test_its_code_is_explained(installed: Path) -> None:
    explained = json.loads(run(installed, "explain", "sunset/announced").stdout)

    assert explained["matches"][0]["code"] == "sunset/announced"


def test_it_finds_what_it_is_for(installed: Path) -> None:
    with registry(format_datetime(datetime.now(UTC) + timedelta(days=30, hours=1), usegmt=True)) as server:
        found = assert_single_root_cause(run(installed, "check", server.url), "sunset/announced")

    assert "in 30 days" in found["detail"]


@pytest.mark.parametrize("sunset", [None, "no date at all"])
def test_it_stays_silent_where_nothing_is_announced(installed: Path, sunset: str | None) -> None:
    with registry(sunset) as server:
        assert_healthy(run(installed, "check", server.url))


def test_without_the_package_the_check_does_not_exist() -> None:
    listed = json.loads(run_regdoctor("checks").stdout)["checks"]

    assert "sunset" not in {check["id"] for check in listed}


def test_a_check_whose_facts_contradict_another_is_refused_by_name(installed: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(installed, tmp_path / "site")
    probe = broken / "regdoctor_sunset" / "probe.py"
    text = probe.read_text().replace("-> Announcement:", "-> Ping:")
    probe.write_text(text)

    result = run(broken, "check", "localhost:1")

    assert result.exit_code == 1
    assert "ping has two producers" in result.stderr
    assert "regdoctor_sunset.probe" in result.stderr
    assert "Traceback" not in result.stderr
