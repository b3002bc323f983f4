"""The running docker daemon is asked over its socket, within bounds."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from regdoctor.host.docker_info import ask, socket_path
from tests.support.dockerd import Dockerd

INFO = {
    "ServerVersion": "27.1.0",
    "RegistryConfig": {
        "InsecureRegistryCIDRs": ["127.0.0.0/8"],
        "IndexConfigs": {"docker.io": {"Secure": True}, "reg.test:5000": {"Secure": False}},
        "Mirrors": ["https://u:pa55word@m.test/"],
    },
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
}


@contextmanager
def serving(answer: bytes) -> Iterator[str]:
    """A socket that gives one answer and closes."""
    with TemporaryDirectory(prefix="s-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = str(Path(folder) / "sock")
        listener.bind(path)
        listener.listen(1)

        def serve() -> None:
            connection, _address = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path
        thread.join(5)


def test_what_the_daemon_works_with_is_read() -> None:
    with serving(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(INFO).encode()) as path:
        state = ask(path, 5)

    assert (state.version, state.failure, state.containerd_store) == ("27.1.0", None, True)
    assert state.insecure_networks == ("127.0.0.0/8",)
    assert state.insecure_hosts == ("reg.test:5000",)
    assert "pa55word" not in repr(state)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.0 500 x\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n[]",
        b"HTTP/1.0 200 OK\r\n\r\n{",
    ],
)
def test_what_is_no_docker_daemon_says_so(answer: bytes) -> None:
    with serving(answer) as path:
        assert ask(path, 5).failure


def test_a_missing_socket_is_a_failure(tmp_path: Path) -> None:
    assert ask(str(tmp_path / "none"), 1).failure == "No such file or directory"


def test_the_socket_is_found_as_docker_finds_it(tmp_path: Path) -> None:
    assert socket_path({}) == "/var/run/docker.sock"
    assert socket_path({"DOCKER_HOST": "unix:///x"}) == "/x"
    assert socket_path({"DOCKER_HOST": "tcp://10.0.0.1:2375"}) is None
    (tmp_path / "docker.sock").touch()
    assert socket_path({"XDG_RUNTIME_DIR": str(tmp_path)}) == str(tmp_path / "docker.sock")


@pytest.mark.needs_root
@pytest.mark.needs("dockerd")
def test_a_real_daemon_says_what_its_file_says(tmp_path: Path) -> None:
    config = (
        '{"insecure-registries": ["reg.test:5000", "10.0.0.0/8"], "registry-mirrors": ["https://m.test"]}'
    )
    with Dockerd(tmp_path, config) as daemon:
        state = ask(str(daemon.socket), 5)

    assert state.version.startswith("20.10")
    assert state.insecure_hosts == ("reg.test:5000",)
    assert set(state.insecure_networks) == {"10.0.0.0/8", "127.0.0.0/8"}
    assert state.mirrors == ("https://m.test/",)
