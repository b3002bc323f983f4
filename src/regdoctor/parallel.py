"""Runs a function over a few items side by side, in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int = 8
) -> list[Result]:
    """The results in the order of the items.

    Daemon threads, so that one that hangs keeps nothing alive; at most ``workers`` at a time. The first
    exception that an item raises is raised here once every item is done.
    """
    if len(items) <= 1:
        return [function(item) for item in items]
    waiting: queue.SimpleQueue[tuple[int, Item]] = queue.SimpleQueue()
    for entry in enumerate(items):
        waiting.put(entry)
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}

    def work() -> None:
        while True:
            try:
                index, item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results[index] = function(item)
            except BaseException as error:  # handed to the caller's thread
                errors[index] = error

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(items)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return [results[index] for index in range(len(items))]


def spread(first: Iterable[Item], work: Callable[[Item], Iterable[Item]], *, workers: int = 8) -> None:
    """Does work that finds further work, such as the folders in a folder, side by side until none is left.

    ``work`` returns the further items. What was found last is done first, so that few items wait. Daemon
    threads; the first exception ends the work and is raised here.
    """
    waiting = list(first)
    changed = threading.Condition()
    busy = 0
    errors: list[BaseException] = []

    def run() -> None:
        nonlocal busy
        while True:
            with changed:
                while not waiting and busy and not errors:
                    changed.wait()
                if errors or not waiting:
                    changed.notify_all()
                    return
                item = waiting.pop()
                busy += 1
            found: Iterable[Item] = ()
            try:
                found = list(work(item))
            except BaseException as error:  # handed to the caller's thread
                errors.append(error)
            with changed:
                busy -= 1
                waiting.extend(found)
                changed.notify_all()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(max(1, workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def in_time(function: Callable[[], Result], seconds: float) -> Result:
    """What a function gives, unless it takes too long: a look at a dead network file system never ends.

    It is left behind in a daemon thread then.

    :raises TimeoutError: it took longer than so many seconds.
    """
    outcome: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((function(), None))
        except BaseException as error:  # handed to the caller's thread
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"not done within {seconds:g} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error there is one
