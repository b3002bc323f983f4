"""Sockets that listen, as the kernel's table has them."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from regdoctor.host.sockets import ListeningSocket, listening, of_process, owners

OWN = Path("/proc/self")


def find(port: int) -> list[ListeningSocket]:
    return [each for each in listening() if each.port == port]


@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")],
)
def test_a_socket_that_listens_and_its_process(family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind((address, 0))
        port = server.getsockname()[1]
        assert find(port) == []
        server.listen()
        (found,) = find(port)
        assert str(found.address) == address
        assert found.user == os.getuid()
        assert found.inode in of_process(OWN)
        assert owners({found.inode})[0] == {found.inode: os.getpid()}


def test_connections_are_none() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(socket.create_connection(server.getsockname()))
        stack.enter_context(server.accept()[0])
        assert find(client.getsockname()[1]) == []


def test_a_table_with_other_lines_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    lines = [
        "  sl  local_address",
        "nonsense",
        "0: 0100007F:1388 0:0 0A 0 0 0 33 0 77 1",
        "1: 01:zz 0:0 0A 0 0 0 0 0 1",
    ]
    (tmp_path / "tcp").write_text("\n".join(lines))
    (found,) = listening(tmp_path)
    assert (str(found.address), found.port, found.user, found.inode) == ("127.0.0.1", 5000, 33, 77)


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        listening(tmp_path)


def test_of_processes_that_may_not_be_looked_into_nothing_is_known(tmp_path: Path) -> None:
    assert owners({1}, tmp_path / "none") == ({}, False)
