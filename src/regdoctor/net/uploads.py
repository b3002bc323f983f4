"""Upload sessions at a registry: opened and carried on as clients do, cancelled when they are left.

The requests are those of the OCI distribution specification 1.1 (end-4a, 5, 6, 13). Each goes over a
connection of its own, so that behind a balancer it may reach another replica, as it does for a client that
uploads several layers side by side.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from msgspec.structs import replace

from regdoctor.context import Cleanup, Deadline, DeadlineExceeded
from regdoctor.facts.base import Endpoint, Failure
from regdoctor.facts.http import Answer
from regdoctor.facts.push import Remain, RemainKind, UploadStep
from regdoctor.net.http import BODY_LIMIT, Client, Response
from regdoctor.oci.errors import parse_errors
from regdoctor.oci.upload import Location, resolve_location, with_digest
from regdoctor.redact import redact_url
from regdoctor.secret import Secret

CANCEL_SECONDS: Final = 5.0
"""How long cancelling one session may take, whatever is left of the run."""
CANCEL_STEP: Final = 2.0
CANCEL_ATTEMPTS: Final = 6
"""Enough to meet the replica that holds the session, where replicas differ."""
HOPELESS_ATTEMPTS: Final = 2
"""Where not one request about the session was answered well."""
OCTETS: Final = ("Content-Type", "application/octet-stream")
"""distribution takes no other type in a PATCH (``registry/handlers/blobupload.go``)."""
NO_SESSION: Final = "00000000-0000-0000-0000-000000000000"
"""The id of a session that no registry has."""


def error_codes(answer: Answer | None) -> tuple[str, ...]:
    """The codes of a registry's error body, in the order sent; empty where it is none."""
    if answer is None:
        return ()
    return parse_errors(answer.body_excerpt.encode(), answer.header("content-type")).codes


class _Body:
    """A request's body that counts what is taken from it, and ends early where the run is over."""

    def __init__(self, content: Iterable[bytes], cleanup: Cleanup) -> None:
        self._content = content
        self._cleanup = cleanup
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._content:
            if self._cleanup.ended:
                return
            yield piece
            self.sent += len(piece)


class Uploads:
    """The uploads to one repository, and what their requests have in common.

    :param http: its deadline bounds everything but the cancelling of sessions.
    :param authorization: the whole value of ``Authorization``, for requests to this very endpoint.
    :param removal: the same for DELETE, where that needs another one: distribution asks for the action
        ``delete`` to cancel an upload as well (``registry/handlers/app.go``, ``appendAccessRecords``).
    """

    def __init__(
        self,
        http: Client,
        endpoint: Endpoint,
        repository: str,
        authorization: Secret | None,
        cleanup: Cleanup,
        removal: Secret | None = None,
    ) -> None:
        self.http = http
        self.endpoint = endpoint
        self.repository = repository
        self.cleanup = cleanup
        self._origin = endpoint.url
        self._authorization = authorization
        self._removal = removal if removal is not None else authorization

    @property
    def root(self) -> str:
        """The URL of the repository, without a slash at the end."""
        return f"{self._origin}/v2/{self.repository}"

    @property
    def origin(self) -> str:
        """Scheme, host and port that requests go to."""
        return self._origin

    def moved(self, step: UploadStep, location: str | None) -> bool:
        """Whether an answer sends everything from http to https of the same host; requests then go there.

        Clients follow 307 and 308 with the same method, and keep their credentials for the host's name.
        """
        if step.status not in (307, 308) or location is None:
            return False
        here, there = urlsplit(f"{self.root}/blobs/uploads/"), urlsplit(location)
        if (here.scheme, there.scheme) != ("http", "https") or (here.hostname, here.path) != (
            there.hostname,
            there.path,
        ):
            return False
        self._origin = f"https://{there.netloc}"
        return True

    def session(self, headers: Iterable[tuple[str, str]] = ()) -> Session:
        """A session that is opened when it is entered and cancelled when it is left."""
        return Session(self, tuple(headers))

    def send(
        self,
        method: str,
        url: str,
        *,
        content: bytes | Iterable[bytes] | None = None,
        headers: Iterable[tuple[str, str]] = (),
        seconds: float | None = None,
        announce: int | None = None,
        body_limit: int = BODY_LIMIT,
        http: Client | None = None,
    ) -> tuple[UploadStep, Response | None]:
        """Sends one request with the credentials and returns what came of it, as a fact and whole.

        :param announce: as for :meth:`regdoctor.net.http.Client.request`.
        :param http: instead of the usual client, where something is to be undone whatever time is left.

        :raises DeadlineExceeded: no time is left.
        """
        body = None if content is None or isinstance(content, bytes) else _Body(content, self.cleanup)
        started = time.monotonic()
        got = (http or self.http).request(
            method,
            url,
            headers=headers,
            authorization=self._removal if method == "DELETE" else self._authorization,
            content=body if body is not None else content,
            proxy=self.endpoint.proxy,
            seconds=seconds,
            announce=announce,
            body_limit=body_limit,
            fresh=True,
        )
        sent = body.sent if body is not None else len(content) if isinstance(content, bytes) else 0
        return self._step(method, got, started, sent), got if isinstance(got, Response) else None

    def undo(self, method: str, url: str) -> UploadStep:
        """Sends a request that undoes something; the run's deadline does not bound it."""
        return self.send(method, url, http=self.undoing())[0]

    def undoing(self) -> Client:
        """A client with a short time of its own."""
        return self.http.with_deadline(Deadline(CANCEL_SECONDS, CANCEL_STEP))

    def look_elsewhere(self, url: str, proxy: str | None) -> UploadStep:
        """A look without any credential at where an upload is said to go on, on another host or scheme."""
        started = time.monotonic()
        got = self.http.request("GET", url, proxy=proxy, fresh=True)
        return self._step("GET", got, started, 0)

    def _step(self, method: str, got: Response | Failure, started: float, sent: int) -> UploadStep:
        return UploadStep(
            method=method,
            answer=got.answer if isinstance(got, Response) else None,
            failure=got if isinstance(got, Failure) else None,
            seconds=time.monotonic() - started,
            sent=sent,
        )


class Session:
    """One upload session, as a context manager. ``start`` is the POST, which is made on entering."""

    start: UploadStep

    def __init__(self, uploads: Uploads, headers: tuple[tuple[str, str], ...]) -> None:
        self._uploads = uploads
        self._headers = headers
        self._url: str | None = None
        self._doubtful = False
        self._found = False
        self._committed = False
        self._sent = 0
        self.location: Location | None = None
        """Where the registry says that it goes on, redacted."""
        self.location_url: str | None = None
        """The same, unredacted: it must not leave the program."""
        self.remain: Remain | None = None
        """What is left of the session after it was left."""

    @property
    def open(self) -> bool:
        """Whether there is a session that can be carried on."""
        return self._url is not None

    def __enter__(self) -> Self:
        self._uploads.cleanup.check()
        url = f"{self._uploads.root}/blobs/uploads/"
        self.start, response = self._uploads.send("POST", url, content=b"", headers=self._headers)
        if response is not None and self._uploads.moved(self.start, response.location):
            url = f"{self._uploads.root}/blobs/uploads/"
            self.start, response = self._uploads.send("POST", url, content=b"", headers=self._headers)
        if self.start.succeeded and response is not None:
            location = resolve_location(url, response.location)
            self.location_url = location.url
            shown = redact_url(location.url) if location.url is not None else None
            self.location = replace(location, url=shown)
            self._follow(location)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.start.succeeded and not self._committed:
            self.remain = self._cancel()

    def status(self) -> UploadStep:
        """GET of the session (end-13)."""
        return self._send("GET")

    def patch(self, content: Iterable[bytes], *, seconds: float | None = None) -> UploadStep:
        """PATCH with a chunked body, as docker and podman send a layer (end-5)."""
        return self._send("PATCH", content=content, headers=(OCTETS,), seconds=seconds)

    def commit(self, digest: str, *, seconds: float | None = None) -> UploadStep:
        """PUT that makes a blob of what was sent (end-6)."""
        step = self._send("PUT", content=b"", headers=(OCTETS,), seconds=seconds, digest=digest)
        self._committed = step.succeeded
        return step

    def _send(
        self,
        method: str,
        *,
        content: bytes | Iterable[bytes] | None = None,
        headers: Iterable[tuple[str, str]] = (),
        seconds: float | None = None,
        digest: str | None = None,
        http: Client | None = None,
    ) -> UploadStep:
        if self._url is None:
            raise ValueError("the registry opened no session")
        if http is None:
            self._uploads.cleanup.check()
        url = self._url if digest is None else with_digest(self._url, digest)
        step, response = self._uploads.send(
            method, url, content=content, headers=headers, seconds=seconds, http=http
        )
        if response is not None and step.succeeded and method == "PATCH" and response.location is not None:
            self._follow(resolve_location(url, response.location))
        self._sent += step.sent
        self._found = self._found or step.succeeded
        self._doubtful = self._doubtful or (step.status == 404 and http is None)
        return step

    def _follow(self, location: Location) -> None:
        """Keeps path and query of the newest ``Location``: they name session and state, whatever the host."""
        if location.url is not None:
            parts = urlsplit(location.url)
            query = f"?{parts.query}" if parts.query else ""
            self._url = f"{self._uploads.origin}{parts.path}{query}"

    def _cancel(self) -> Remain | None:
        """DELETE of the session; what remains of it, or None."""
        if self._url is None:
            return self._left("the answer that opened it did not say where it is")
        http = self._uploads.undoing()
        why = "the registry took too long"
        try:
            for url in self._places():
                self._url = url
                why, gone = self._delete(http)
                if gone:
                    return self._residue()
        except DeadlineExceeded:
            pass
        return self._left(f"it could not be cancelled: {why}")

    def _places(self) -> list[str]:
        """Where the session may be asked for: at its Location, and with the path that was asked first."""
        url = self._url or ""
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        asked = f"{self._uploads.root}/blobs/uploads/{parts.path.rstrip('/').rpartition('/')[2]}{query}"
        changed = self.location is not None and self.location.path_changed
        return [url, asked] if changed else [url]

    def _delete(self, http: Client) -> tuple[str, bool]:
        """What the last attempt came to, in words, and whether the session is gone.

        Where another replica may hold it, or may have another secret, an answer 404 is not the last word.
        """
        attempts = HOPELESS_ATTEMPTS if self._doubtful and not self._found else CANCEL_ATTEMPTS
        unknown = 0
        step = self._send("DELETE", http=http)
        for attempt in range(1, attempts + 1):
            if step.succeeded:
                return "", True
            codes = error_codes(step.answer)
            unknown = unknown + 1 if "BLOB_UPLOAD_UNKNOWN" in codes else 0
            if unknown > 1 and not self._doubtful:
                return "", True
            lost = unknown or "BLOB_UPLOAD_INVALID" in codes
            if attempt == attempts or not (lost or step.answer is None):
                break
            step = self._send("DELETE", http=http)
        return _outcome(step), False

    @property
    def _identity(self) -> str:
        return urlsplit(self._url or "").path.rstrip("/").rpartition("/")[2] or "unknown"

    def _residue(self) -> Remain | None:
        """What a cancelled session leaves where distribution made it, as the parameter ``_state`` shows."""
        if self.location is None or not self.location.has_state:
            return None
        return Remain(
            kind=RemainKind.UPLOAD,
            where=self._uploads.repository,
            name=self._identity,
            why="cancelled; distribution 2.8 keeps a file of some 100 bytes of it all the same (hashstates)",
        )

    def _left(self, why: str) -> Remain:
        self._uploads.cleanup.leave(
            f"an upload to {self._uploads.repository} ({self._identity}) is left: {why}"
        )
        return Remain(
            kind=RemainKind.UPLOAD,
            where=self._uploads.repository,
            name=self._identity,
            size=self._sent,
            why=f"{why}; distribution removes abandoned uploads after a week unless uploadpurging is off",
        )


def _outcome(step: UploadStep) -> str:
    if step.answer is not None:
        return f"{step.method} was answered {step.answer.status}"
    return f"{step.method} failed: {step.failure.message if step.failure is not None else 'no answer'}"
