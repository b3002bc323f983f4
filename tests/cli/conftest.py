"""The command line within the process, and runs whose outcome the test decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from click.testing import CliRunner, Result

from regdoctor.cli.main import regdoctor
from regdoctor.engine import registry, session
from regdoctor.engine.registry import CheckRegistry
from regdoctor.model import Report
from regdoctor.oci.reference import Target
from regdoctor.options import Options

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Calls the command line as a process would, without the caller's proxies and colours."""
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)

    def call(*arguments: object, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(
            regdoctor, [str(each) for each in arguments], input=stdin, prog_name="regdoctor"
        )

    return call


class Run:
    """What a replaced run was asked for, and the report that it gives."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.targets: tuple[Target, ...] = ()
        self.options = Options()
        self.arguments: Mapping[str, Any] = {}
        self.before: Callable[[Run], None] = lambda _run: None

    def check(self, targets: Sequence[Target], options: Options, _plan: object, **arguments: Any) -> Report:
        """Stands for :func:`regdoctor.engine.session.check`."""
        self.targets, self.options, self.arguments = tuple(targets), options, arguments
        self.before(self)
        return self.report


@pytest.fixture(scope="session")
def loaded() -> CheckRegistry:
    """The installed checks, loaded once: the tests that use this are about what comes before and after."""
    return registry.load_checks()


@pytest.fixture
def run_of(monkeypatch: pytest.MonkeyPatch, loaded: CheckRegistry) -> Callable[[Report], Run]:
    """Replaces the engine's run by one that gives a report made by hand."""

    def replace(report: Report) -> Run:
        run = Run(report)
        monkeypatch.setattr(session, "check", run.check)
        monkeypatch.setattr(registry, "load_checks", lambda **_names: loaded)
        return run

    return replace
