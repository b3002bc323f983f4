"""Judges configuration files by themselves: the probes and rules of ``check`` that read and judge files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import msgspec

from regdoctor.context import Context, Deadline, Trace
from regdoctor.engine.plan import Plan
from regdoctor.engine.run import gather
from regdoctor.engine.session import conclude, report_of, settings_of
from regdoctor.facts.base import FileKind, Moment
from regdoctor.model import Report, TargetReport
from regdoctor.oci.reference import file_target
from regdoctor.options import Options
from regdoctor.parallel import side_by_side
from regdoctor.secret import Secret

if TYPE_CHECKING:
    from regdoctor.net.http import Client

FILES_AT_A_TIME = 4


class LintFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to judge: what it is called in the report, what it is, and the options that lead probes to it."""

    name: str
    kind: FileKind
    options: Options


class Offline:
    """Stands for the HTTP client where nothing is to be contacted: its use is a fault of the probe."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(f"a probe of files asked for the network ({name})")


def lint(
    files: Sequence[LintFile],
    plan_for: Callable[[FileKind], Plan],
    *,
    deadline: Deadline,
    environment: Mapping[str, str],
    home: Path,
    conceal: Callable[[Secret], None],
    progress: Callable[[str], None],
) -> Report:
    """Judges every file, one target each. Nothing is contacted.

    :param plan_for: the plan for a kind, as :func:`regdoctor.engine.plan.make_plan` makes it.
    :param conceal: receives every secret that comes up.
    """
    started = datetime.now(UTC)
    clock = time.monotonic()
    plans = {kind: plan_for(kind) for kind in dict.fromkeys(file.kind for file in files)}
    shared: dict[str, Any] = {}
    lock = threading.Lock()

    def judge(file: LintFile) -> TargetReport:
        context = Context(
            target=file_target(file.name),
            options=file.options,
            deadline=deadline,
            trace=Trace(),
            http=cast("Client", Offline()),
            environment=environment,
            home=home,
            conceal=conceal,
            progress=progress,
            shared=shared,
            lock=lock,
        )
        plan = plans[file.kind]
        store = gather(plan, context, None, Moment(now=started), settings_of(file.options))
        return conclude(plan, store, context)

    done = side_by_side(judge, files, workers=FILES_AT_A_TIME)
    return report_of(done, started, time.monotonic() - clock)
