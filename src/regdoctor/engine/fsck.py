"""Judges a registry's storage by itself: the probes and rules of ``check`` that need no host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from regdoctor.context import Cleanup, Context, Deadline, Trace
from regdoctor.engine.lint import Offline
from regdoctor.engine.plan import Plan
from regdoctor.engine.run import gather
from regdoctor.engine.session import conclude, report_of, settings_of
from regdoctor.facts.base import Moment
from regdoctor.model import Report, TargetReport
from regdoctor.oci.reference import file_target
from regdoctor.options import Options
from regdoctor.secret import Secret

if TYPE_CHECKING:
    from regdoctor.net.http import Client

CODES = (
    "storage/blob-corrupt",
    "storage/blob-missing",
    "storage/link-broken",
    "storage/reclaimable",
    "disk/stale-uploads",
)
"""What is looked for."""
CHECKS = ("disk", "storage")
"""The checks that look for it."""


class StoragePath(msgspec.Struct, frozen=True, kw_only=True):
    """A storage to judge: what it is called in the report, and the options that lead probes to it."""

    name: str
    options: Options


def fsck(
    storages: Sequence[StoragePath],
    plan: Plan,
    *,
    deadline: Deadline,
    cleanup: Cleanup,
    environment: Mapping[str, str],
    home: Path,
    conceal: Callable[[Secret], None],
    progress: Callable[[str], None],
    shared: dict[str, Any],
) -> Report:
    """Judges every storage, one target each, one after the other: one keeps all processors busy.

    :param cleanup: once it has ended, what was read so far is judged.
    :param shared: what probes may share; the helpers that read storages are among it.
    """
    started = datetime.now(UTC)
    clock = time.monotonic()
    lock = threading.Lock()

    def judge(storage: StoragePath) -> TargetReport:
        context = Context(
            target=file_target(storage.name),
            options=storage.options,
            deadline=deadline,
            trace=Trace(),
            http=cast("Client", Offline()),
            environment=environment,
            home=home,
            conceal=conceal,
            progress=progress,
            shared=shared,
            lock=lock,
            cleanup=cleanup,
        )
        store = gather(plan, context, None, Moment(now=started), settings_of(storage.options))
        return conclude(plan, store, context)

    return report_of([judge(each) for each in storages], started, time.monotonic() - clock)
