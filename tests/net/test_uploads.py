"""Upload sessions on a real registry: carried on as clients do, and cancelled whatever happens."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from regdoctor.context import Cleanup, Deadline, DeadlineExceeded, RunEnded, Trace
from regdoctor.facts.base import Endpoint, Role
from regdoctor.facts.push import RemainKind
from regdoctor.net.http import Client
from regdoctor.net.uploads import Uploads
from regdoctor.options import Options
from regdoctor.secret import Secret
from tests.conftest import StartRegistry
from tests.support.haproxy import Haproxy
from tests.support.http_server import Answer, HTTPServer, Request
from tests.support.registry import Registry

pytestmark = pytest.mark.needs("docker-registry")

MakeUploads = Callable[..., Uploads]


@pytest.fixture
def uploads() -> Iterator[MakeUploads]:
    """Make the uploads to team/app on a server at 127.0.0.1."""
    with ExitStack() as stack:

        def make(
            port: int, *, seconds: float = 30.0, cleanup: Cleanup | None = None, **more: Secret
        ) -> Uploads:
            client = Client(
                options=Options(plain_http=True),
                deadline=Deadline(seconds, 5),
                trace=Trace(),
                environment={},
                home=Path("/nonexistent"),
                shared={},
                lock=threading.Lock(),
            )
            stack.callback(client.close)
            endpoint = Endpoint(role=Role.REGISTRY, scheme="http", host="127.0.0.1", port=port, path="/v2/")
            return Uploads(
                client, endpoint, "team/app", more.get("login"), cleanup or Cleanup(), more.get("removal")
            )

        yield make


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def unfinished(registry: Registry) -> list[str]:
    return [path.name for path in registry.storage.rglob("_uploads/*/*") if path.is_file()]


def test_a_blob_is_uploaded_in_two_chunks(registry: Registry, uploads: MakeUploads) -> None:
    with uploads(registry.port).session() as session:
        assert session.start.status == 202
        assert session.status().status == 204
        assert session.patch((b"one ",)).succeeded
        step = session.patch((b"t", b"wo"))
        assert (step.method, step.sent, step.succeeded) == ("PATCH", 3, True)
        assert session.commit(digest_of(b"one two")).status == 201

    assert session.remain is None
    assert registry.blob_path(digest_of(b"one two")).read_bytes() == b"one two"
    assert unfinished(registry) == []


def test_a_session_that_is_left_is_cancelled(registry: Registry, uploads: MakeUploads) -> None:
    with uploads(registry.port).session() as session:
        session.patch((b"never to be a blob",))
        assert "data" in unfinished(registry)

    assert unfinished(registry) == []
    assert session.remain is not None
    assert session.remain.why.startswith("cancelled")


def test_a_session_is_cancelled_after_the_deadline_too(registry: Registry, uploads: MakeUploads) -> None:
    way = uploads(registry.port)

    def upload() -> None:
        with way.session() as session:
            way.http = way.http.with_deadline(Deadline(0, 5))
            session.patch((b"too late",))

    with pytest.raises(DeadlineExceeded):
        upload()
    assert unfinished(registry) == []


def test_a_body_ends_where_the_run_does_and_the_session_is_cancelled(
    registry: Registry, uploads: MakeUploads
) -> None:
    cleanup = Cleanup()
    way = uploads(registry.port, cleanup=cleanup)

    def body() -> Iterator[bytes]:
        yield b"one"
        cleanup.end()
        yield b"two"
        pytest.fail("the body went on")

    def upload() -> None:
        with way.session() as session:
            assert session.patch(body()).sent == 3
            session.patch((b"more",))

    with pytest.raises(RunEnded):
        upload()
    assert unfinished(registry) == []
    with pytest.raises(RunEnded):
        way.session().__enter__()


def test_what_cannot_be_cancelled_is_said(registry: Registry, uploads: MakeUploads) -> None:
    cleanup = Cleanup()
    way = uploads(registry.port, cleanup=cleanup)
    with way.session() as session:
        session.patch((b"some bytes",))
        registry.stop()

    assert session.remain is not None
    assert (session.remain.kind, session.remain.size) == (RemainKind.UPLOAD, 10)
    assert "DELETE failed" in session.remain.why
    assert len(cleanup.left) == 1


@pytest.mark.needs("haproxy")
@pytest.mark.parametrize("shared", [True, False])
def test_the_replica_that_holds_a_session_is_found_for_cancelling(
    start_registry: StartRegistry, uploads: MakeUploads, tmp_path: Path, shared: bool
) -> None:
    """With one storage and two secrets, or with two storages: half of the requests fail."""
    storages = [tmp_path / "shared"] * 2 if shared else [tmp_path / "one", tmp_path / "other"]
    replicas = [
        start_registry(storage=storage, secret=secret if shared else "same")
        for storage, secret in zip(storages, ("one", "other"), strict=True)
    ]
    members = [replica.upstream.removeprefix("http://") for replica in replicas]
    with Haproxy(tmp_path / "haproxy", members) as balancer:
        way = uploads(balancer.port)
        for _ in range(3):
            with way.session() as session:
                session.status()
                session.status()

    assert [name for replica in replicas for name in unfinished(replica) if name != "0"] == []


def test_credentials_go_to_the_registry_and_nowhere_else(uploads: MakeUploads) -> None:
    seen: list[tuple[str, str | None]] = []

    def respond(request: Request) -> Answer:
        seen.append((request.method, request.headers.get("Authorization")))
        location = ("Location", "http://127.0.0.2:9/v2/team/app/blobs/uploads/1?_state=x")
        return Answer(202, b"", [location]) if request.method == "POST" else Answer(204)

    with HTTPServer(respond) as server:
        way = uploads(server.port, login=Secret("Basic push"), removal=Secret("Basic delete"))
        with way.session() as session:
            assert session.location is not None
            assert session.location.host_changed
            assert session.location_url is not None
            elsewhere = way.look_elsewhere(session.location_url, None)
            assert session.status().succeeded

    assert elsewhere.failure is not None
    assert seen == [("POST", "Basic push"), ("GET", "Basic push"), ("DELETE", "Basic delete")]


def test_the_state_of_an_upload_is_in_no_fact(registry: Registry, uploads: MakeUploads) -> None:
    with uploads(registry.port).session() as session:
        state = (session.location_url or "").partition("_state=")[2]
        assert len(state) > 20

        assert state not in repr((session.start, session.location))


class TestMoved:
    """What becomes of an upload whose beginning is sent to https."""

    @pytest.mark.parametrize("status", [307, 308])
    def test_clients_go_there_with_the_same_method(self, uploads: MakeUploads, status: int) -> None:
        asked: list[str] = []

        def redirect(request: Request) -> Answer:
            asked.append(f"{request.method} {request.target}")
            return Answer(status, b"", [("Location", "https://127.0.0.1:1/v2/team/app/blobs/uploads/")])

        with HTTPServer(redirect) as server:
            way = uploads(server.port)
            with way.session() as session:
                pass

        assert asked == ["POST /v2/team/app/blobs/uploads/"]
        assert way.origin == "https://127.0.0.1:1"
        assert session.start.failure is not None

    @pytest.mark.parametrize(
        ("status", "location"),
        [
            (302, "https://127.0.0.1:1/v2/team/app/blobs/uploads/"),
            (307, "https://other.test/v2/team/app/blobs/uploads/"),
            (307, "https://127.0.0.1:1/login"),
            (307, "http://127.0.0.1:1/v2/team/app/blobs/uploads/"),
        ],
    )
    def test_nowhere_else(self, uploads: MakeUploads, status: int, location: str) -> None:
        with HTTPServer(lambda _request: Answer(status, b"", [("Location", location)])) as server:
            way = uploads(server.port)
            with way.session() as session:
                pass

        assert way.origin == f"http://127.0.0.1:{server.port}"
        assert session.start.status == status
