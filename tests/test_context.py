"""Cleaning up: a run waits for those who have something to undo, and nobody begins after its end."""

from __future__ import annotations

import threading

import pytest

from regdoctor.context import Cleanup, RunEnded


def test_nobody_is_waited_for_where_nothing_is_held() -> None:
    cleanup = Cleanup()
    cleanup.end()

    assert cleanup.wait(0)


def test_the_end_waits_for_those_who_hold() -> None:
    cleanup, undone = Cleanup(), threading.Event()

    def work() -> None:
        with cleanup.hold():
            holding.set()
            while not cleanup.ended:
                threading.Event().wait(0.001)
            undone.set()

    holding = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    assert holding.wait(5)
    assert not cleanup.wait(0)
    cleanup.end()

    assert cleanup.wait(5)
    assert undone.is_set()
    thread.join()


def test_the_wait_is_bounded() -> None:
    cleanup = Cleanup()
    with cleanup.hold():
        cleanup.end()

        assert not cleanup.wait(0.01)
    assert cleanup.wait(0)


def test_nothing_begins_after_the_end() -> None:
    cleanup = Cleanup()
    cleanup.check()
    cleanup.end()

    with pytest.raises(RunEnded):
        cleanup.check()
    with pytest.raises(RunEnded), cleanup.hold():
        pytest.fail("held after the end")


def test_what_is_left_is_kept_in_order() -> None:
    cleanup = Cleanup()
    cleanup.leave("one")
    cleanup.leave("other")

    assert cleanup.left == ("one", "other")
