"""The status line: on terminals only, one line, gone at the end."""

from __future__ import annotations

import io

from regdoctor.cli.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_one_line_and_loses_it_at_the_end() -> None:
    terminal = Terminal()
    with Progress(terminal, terminal="xterm") as progress:
        progress("addresses, reg.test:5000")
    assert terminal.getvalue() == "\r\x1b[Klooking at addresses, reg.test:5000 …\r\x1b[K"


def test_what_is_looked_at_cannot_steer_the_terminal() -> None:
    terminal = Terminal()
    with Progress(terminal, terminal="xterm") as progress:
        progress("\x1b]0;owned\x07\nnext")
    assert "\x1b]" not in terminal.getvalue()
    assert "\n" not in terminal.getvalue()


def test_a_message_after_the_end_is_lost() -> None:
    terminal = Terminal()
    with Progress(terminal, terminal="xterm") as progress:
        pass
    before = terminal.getvalue()
    progress("late")
    assert terminal.getvalue() == before


def test_files_and_dumb_terminals_see_nothing() -> None:
    for stream, kind in ((io.StringIO(), "xterm"), (Terminal(), "dumb"), (Terminal(), "")):
        with Progress(stream, terminal=kind) as progress:
            progress("addresses")
        assert stream.getvalue() == ""
