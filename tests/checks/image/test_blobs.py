"""How blobs are asked for, against an HTTP server that answers as registries and hops do."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from regdoctor.api import BlobLook, Context, Deadline, Descriptor, Product, PullAuthorization, Role, Vendor
from regdoctor.checks.image import blobs
from regdoctor.checks.image.blobs import BlobAsker
from regdoctor.context import Trace
from regdoctor.net.http import Client
from regdoctor.oci.reference import parse_target
from regdoctor.options import Options
from tests.support.http_server import Answer, HTTPServer, Request
from tests.support.images import digest_of

CONTENT = b"0123456789"
LAYER = Descriptor(media_type="application/octet-stream", digest=digest_of(CONTENT), size=len(CONTENT))
ANONYMOUS = PullAuthorization(kind="none", header=None, username=None)

Respond = Callable[[Request], Answer]


class Bench:
    """An asker of a server that a test makes; ``told`` is the progress."""

    def __init__(self, stack: ExitStack, *, seconds: float = 30) -> None:
        self._stack = stack
        self.told: list[str] = []
        self._deadline = Deadline(seconds, 5)

    def asker(self, respond: Respond, *, vendor: Vendor | None = None) -> tuple[BlobAsker, HTTPServer]:
        server = self._stack.enter_context(HTTPServer(respond))
        trace, lock = Trace(), threading.Lock()
        shared: dict[str, object] = {}
        client = Client(
            options=Options(),
            deadline=self._deadline,
            trace=trace,
            environment={},
            home=Path("/nonexistent"),
            shared=shared,
            lock=lock,
        )
        self._stack.callback(client.close)
        target = parse_target(f"127.0.0.1:{server.port}/team/app:1.0")
        context = Context(
            target=target,
            options=Options(),
            deadline=self._deadline,
            trace=trace,
            http=client,
            environment={},
            home=Path("/nonexistent"),
            conceal=lambda _secret: None,
            progress=self.told.append,
            shared=shared,
            lock=lock,
        )
        endpoint = context.endpoint(role=Role.REGISTRY, url=server.url)
        return BlobAsker(target, endpoint, ANONYMOUS, Product(vendor=vendor), context), server


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack)


def well(content: bytes = CONTENT) -> Respond:
    """Answers GET, HEAD and ranges as a web server does."""

    def respond(request: Request) -> Answer:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if request.method == "HEAD" or wanted is None:
            return Answer(200, content)
        first, last = int(wanted[1]), int(wanted[2])
        if first >= len(content):
            return Answer(416, headers=[("Content-Range", f"bytes */{len(content)}")])
        part = content[first : last + 1]
        return Answer(206, part, [("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")])

    return respond


def looked(bench: Bench, respond: Respond, vendor: Vendor | None = None) -> tuple[BlobLook, list[str]]:
    asker, server = bench.asker(respond, vendor=vendor)
    look = asker.look(LAYER, "layer", "sha256:manifest")
    return look, [each.method for each in server.requests]


def test_a_layer_that_is_there_takes_one_request(bench: Bench) -> None:
    look, methods = looked(bench, well())

    assert methods == ["HEAD"]
    assert (look.length, look.head) == (10, None)


def test_where_head_is_answered_from_memory_the_last_byte_is_asked_for(bench: Bench) -> None:
    asker, server = bench.asker(well(), vendor=Vendor.DISTRIBUTION)
    look = asker.look(LAYER, "layer", "sha256:manifest")

    (request,) = server.requests
    assert (request.method, request.headers["Range"]) == ("GET", "bytes=9-9")
    assert look.length == 10


@pytest.mark.parametrize("vendor", [None, Vendor.DISTRIBUTION])
@pytest.mark.parametrize("content", [b"", b"012", CONTENT * 2])
def test_another_length_is_seen(bench: Bench, vendor: Vendor | None, content: bytes) -> None:
    look, _methods = looked(bench, well(content), vendor)

    assert look.length == len(content)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 500, 501])
def test_a_refused_head_leads_to_the_byte(bench: Bench, status: int) -> None:
    def respond(request: Request) -> Answer:
        return Answer(status) if request.method == "HEAD" else well()(request)

    look, methods = looked(bench, respond)

    assert methods == ["HEAD", "GET"]
    assert look.length == 10
    assert look.head is not None
    assert look.head.status == status


@pytest.mark.parametrize("status", [401, 429])
def test_a_limit_or_a_lack_of_rights_is_not_asked_twice(bench: Bench, status: int) -> None:
    look, methods = looked(bench, lambda _request: Answer(status))

    assert methods == ["HEAD"]
    assert look.answer is not None
    assert look.answer.status == status


@pytest.mark.parametrize("status", [400, 416])
def test_where_ranges_are_refused_as_such_head_decides(bench: Bench, status: int) -> None:
    def respond(request: Request) -> Answer:
        return Answer(status) if "Range" in request.headers else well()(request)

    look, methods = looked(bench, respond, Vendor.DISTRIBUTION)

    assert methods == ["GET", "HEAD"]
    assert look.length == 10
    assert look.answer is not None
    assert look.answer.status == 200


def test_redirects_are_followed_to_their_end_and_kept(bench: Bench) -> None:
    def respond(request: Request) -> Answer:
        if request.target.startswith("/bytes"):
            return well()(request)
        onward = "/bytes" if request.target.startswith("/hop") else "/hop"
        return Answer(307, headers=[("Location", onward)])

    look, _methods = looked(bench, respond)

    assert len(look.redirects) == 2
    assert look.followed is not None
    assert look.followed.status == 200
    assert look.length == 10


@pytest.mark.parametrize(
    "location", ["/again", "ftp://blobs.test/x", "http://blobs.test:99999/", "http:///nowhere"]
)
def test_redirects_that_lead_nowhere_come_to_an_end(bench: Bench, location: str) -> None:
    asker, server = bench.asker(lambda _request: Answer(302, headers=[("Location", location)]))
    look = asker.look(LAYER, "layer", "sha256:manifest")

    assert len(server.requests) < 15
    assert look.answer is not None
    assert look.final is not None
    assert look.final.status == 302


def test_an_empty_layer_is_one(bench: Bench) -> None:
    empty = Descriptor(media_type="application/octet-stream", digest=digest_of(b""), size=0)
    asker, _server = bench.asker(well(b""), vendor=Vendor.DISTRIBUTION)

    assert asker.look(empty, "layer", "sha256:manifest").length == 0


class TestDownload:
    def test_the_digest_and_the_progress_are_told(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(blobs, "TOLD_EVERY", 0.0)
        content = bytes(range(256)) * 4096
        large = Descriptor(media_type="x", digest=digest_of(content), size=len(content))
        asker, _server = bench.asker(well(content))

        download = asker.download(large, "verifying layer 1 of 1")

        assert download is not None
        assert (download.digest, download.size) == (large.digest, len(content))
        assert bench.told[-1] == "verifying layer 1 of 1, 1.0 of 1.0 MB"

    def test_what_breaks_off_has_no_digest(self, bench: Bench) -> None:
        asker, _server = bench.asker(
            lambda _request: Answer(200, b"012", [("Content-Length", "10"), ("Connection", "close")])
        )

        download = asker.download(LAYER, "verifying")

        assert download is not None
        assert (download.digest, download.size) == (None, 3)

    def test_without_time_nothing_is_begun(self) -> None:
        with ExitStack() as stack:
            asker, server = Bench(stack, seconds=blobs.RESERVE / 2).asker(well())

            assert asker.download(LAYER, "verifying") is None
            assert server.requests == []


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://reg.test/v2/x?y=z", "https://reg.test:443"),
        ("http://reg.test:5000/", "http://reg.test:5000"),
        ("http://[::1]:5000/x", "http://[::1]:5000"),
        ("ftp://reg.test/", None),
        ("https://", None),
        ("https://reg.test:x/", None),
        ("/relative", None),
    ],
)
def test_the_origin_of_a_url(url: str, origin: str | None) -> None:
    from regdoctor.checks.image.following import origin_of

    assert origin_of(url) == origin
