"""Sends one and the same request again and again, each time over a connection of its own."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence

from regdoctor.api import (
    Answer,
    Context,
    Endpoint,
    Failure,
    Ping,
    ProducerKind,
    PullAuthorization,
    RepeatedQuestion,
    Secret,
    Target,
    manifests,
    side_by_side,
)

SPACED = 3
PAUSE = 1.1
"""Seconds: a limit on requests a second is over by then (nginx ``limit_req rate=1r/s``)."""
TURNED_AWAY = 0.5
"""Seconds: a limit turns requests away at once; a balancer that still tries to connect takes longer."""


def wants_another_look(question: RepeatedQuestion) -> bool:
    """Whether the same request once more, without haste, tells a limit or a rush from replicas that differ.

    So where some were never answered, and where a hop before the registry refused some without delay.
    """
    return any(isinstance(answer, Failure) or _turned_away(answer) for answer in question.answers)


def _turned_away(answer: Answer) -> bool:
    return (
        answer.status == 503
        and answer.producer.kind is not ProducerKind.REGISTRY
        and answer.seconds < TURNED_AWAY
    )


class Asker:
    """Asks for the image's manifest where there is access to it, else for what the first look asked for."""

    def __init__(
        self,
        endpoint: Endpoint,
        ping: Ping,
        authorization: PullAuthorization | None,
        target: Target,
        context: Context,
    ) -> None:
        self._endpoint = endpoint
        self._context = context
        self._verify = ping.trusted
        authorized = authorization if ping.trusted else None
        self._authorization: Secret | None = authorized.header if authorized is not None else None
        self._headers: tuple[tuple[str, str], ...] = ()
        self._method, self._url = "GET", endpoint.url + endpoint.path
        self._by_tag = False
        if target.reference is not None and authorized is not None:
            self._method = "HEAD"
            self._url = f"{endpoint.url}/v2/{target.repository}/manifests/{target.reference.reference}"
            self._headers = (("Accept", ", ".join(manifests.ACCEPTED_MANIFESTS)),)
            self._by_tag = target.reference.digest is None

    def all_at_once(self, places: Sequence[str | None]) -> tuple[RepeatedQuestion, Answer | Failure | None]:
        """To each of some addresses (None: wherever the name leads), all side by side.

        What a tag means is asked for once more beside them in a way that no cache can answer.
        """
        asked = [(place, self._url) for place in places]
        if self._by_tag:
            asked.append((None, f"{self._url}?regdoctor={secrets.token_hex(8)}"))
        got = side_by_side(lambda each: self._ask(*each), asked, workers=len(asked))
        uncached = got.pop()[0] if self._by_tag else None
        return self._question(got), uncached

    def one_by_one(self) -> RepeatedQuestion:
        """A few times with pauses, as far as the deadline allows."""
        waiting = threading.Event()
        got: list[tuple[Answer | Failure, float]] = []
        while len(got) < SPACED and self._context.deadline.remaining() > 2 * PAUSE:
            waiting.wait(PAUSE)
            got.append(self._ask(None, self._url))
        return self._question(got)

    def _ask(self, address: str | None, url: str) -> tuple[Answer | Failure, float]:
        started = time.monotonic()
        got = self._context.http.request(
            self._method,
            url,
            headers=self._headers,
            authorization=self._authorization,
            proxy=self._endpoint.proxy,
            verify=self._verify,
            address=address,
            fresh=True,
        )
        return (got if isinstance(got, Failure) else got.answer), time.monotonic() - started

    def _question(self, got: Sequence[tuple[Answer | Failure, float]]) -> RepeatedQuestion:
        return RepeatedQuestion(
            method=self._method,
            url=self._url,
            answers=tuple(answer for answer, _seconds in got),
            authorized=self._authorization is not None,
            seconds=tuple(seconds for _answer, seconds in got),
        )
