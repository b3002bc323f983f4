"""Sends a request once a run: its targets share answers as they share connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from regdoctor.facts.base import Failure
from regdoctor.net.http import Response

if TYPE_CHECKING:
    from regdoctor.context import Context, Trace


@dataclass
class _Asked:
    """One question, and what came of it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    outcome: Response | Failure | None = None
    trace: Trace | None = None


def ask_once(context: Context, key: Hashable, send: Callable[[], Response | Failure]) -> Response | Failure:
    """What comes of ``send``, which is called for the first target of the run that asks under this key.

    Where another target has asked already, its exchange is added to this target's trace. What ``send`` raises
    is raised, and the next one asks again.
    """
    with context.lock:
        asked: _Asked = context.shared.setdefault("asked once", {}).setdefault(key, _Asked())
    with asked.lock:
        if asked.outcome is None:
            asked.outcome = send()
            asked.trace = context.trace
    if isinstance(asked.outcome, Failure) or asked.trace is None or asked.trace is context.trace:
        return asked.outcome
    return _adopted(asked.outcome, asked.trace, context.trace)


def _adopted(response: Response, origin: Trace, trace: Trace) -> Response:
    """The response with its exchange copied from another target's trace."""
    exchange = next(each for each in origin.exchanges if each.id == response.answer.exchange)
    identity = trace.begin()
    trace.end(replace(exchange, id=identity))
    return replace(response, answer=replace(response.answer, exchange=identity))
