"""What a hop fails at during an upload, where ``/v2/`` is answered well."""

from __future__ import annotations

import pytest

from regdoctor.api import Draft, failures
from regdoctor.checks.http import rules
from regdoctor.facts import Answer, FailureKind, Ping, SizeTrial, UploadSession, UploadSizes, UploadStep
from tests.support.facts import REGISTRY_HEADERS, answer, endpoint, registry_error

REGISTRY = endpoint()
WELL = Ping(answer=answer(200, "{}", REGISTRY_HEADERS), trusted=True)
NGINX = {"Server": "nginx/1.22.1", "Content-Type": "text/html"}
PAGE = "<html><head><title>Error</title></head></html>"


def step(made: Answer | None, method: str = "PATCH", kind: FailureKind | None = None) -> UploadStep:
    failure = failures.make_failure(kind, "reg.test:443") if kind is not None else None
    return UploadStep(method=method, answer=made, failure=failure, seconds=5.0)


def upload(chunk: UploadStep | None = None, *, commit: UploadStep | None = None) -> UploadSession:
    start = step(answer(202, "", REGISTRY_HEADERS, method="POST"), "POST")
    return UploadSession(
        repository="team/app",
        own_repository=False,
        authorization="none",
        start=start,
        chunk=chunk,
        commit=commit,
    )


def judged(session: UploadSession, sizes: UploadSizes | None = None, ping: Ping = WELL) -> list[Draft]:
    return list(rules.during_an_upload(REGISTRY, ping, session, sizes))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "http/server-error"),
        (502, "http/upstream-down"),
        (503, "http/no-backend"),
        (504, "http/gateway-timeout"),
        (499, "http/gateway-timeout"),
        (408, "http/gateway-timeout"),
    ],
)
def test_an_error_of_a_hop_is_named_by_its_status(status: int, code: str) -> None:
    (draft,) = judged(upload(step(answer(status, PAGE, NGINX, method="PATCH"))))

    assert draft.code == code
    assert "nginx" in draft.detail


def test_errors_of_the_registry_are_judged_elsewhere() -> None:
    assert judged(upload(step(registry_error(500, "UNKNOWN", method="PATCH")))) == []


def test_what_ails_the_ping_already_is_not_said_twice() -> None:
    down = Ping(answer=answer(502, PAGE, NGINX), trusted=True)

    assert judged(upload(step(answer(502, PAGE, NGINX, method="PATCH"))), ping=down) == []


def test_an_error_to_a_large_body_alone_points_at_the_disk_for_bodies() -> None:
    refused = SizeTrial(size=1_500_000, announced=False, step=step(answer(500, PAGE, NGINX, method="PATCH")))
    (draft,) = judged(upload(), UploadSizes(trials=(refused,)))

    assert draft.code == "http/server-error"
    assert "disk" in draft.detail


def test_silence_is_a_response_timeout_but_for_the_commit() -> None:
    silent = step(None, kind=FailureKind.RESPONSE_TIMEOUT)
    commit = step(None, "PUT", FailureKind.RESPONSE_TIMEOUT)

    assert [draft.code for draft in judged(upload(silent))] == ["http/response-timeout"]
    assert judged(upload(commit=commit)) == []


def test_a_limit_on_requests_that_an_upload_meets_is_named() -> None:
    limited = step(registry_error(429, "TOOMANYREQUESTS", method="PATCH"))
    drafts = rules.rate_limits(REGISTRY, WELL, None, None, None, None, None, None, upload(limited))

    assert [draft.code for draft in drafts] == ["http/rate-limited"]
