"""Challenges are answered as clients answer them, and nothing is sent where it must not go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from regdoctor.context import Context, Deadline, Trace
from regdoctor.net.http import Client
from regdoctor.net.login import Login, log_in
from regdoctor.oci.challenge import parse_challenges
from regdoctor.oci.reference import parse_target
from regdoctor.options import Options
from regdoctor.secret import Secret
from tests.support.http_server import Answer, HTTPServer, json_answer

REGISTRY = "http://127.0.0.1:5000"
PASSWORD = Secret("wonderland")


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def concealed() -> list[str]:
    return []


@pytest.fixture
def context(servers: ExitStack, concealed: list[str]) -> Context:
    trace, deadline = Trace(), Deadline(30, 5)
    shared: dict[str, object] = {}
    lock = threading.Lock()
    client = Client(
        options=Options(),
        deadline=deadline,
        trace=trace,
        environment={},
        home=Path("/nonexistent"),
        shared=shared,
        lock=lock,
    )
    servers.callback(client.close)
    return Context(
        target=parse_target("reg.test/team/app"),
        options=Options(),
        deadline=deadline,
        trace=trace,
        http=client,
        environment={},
        home=Path("/nonexistent"),
        conceal=lambda secret: concealed.append(secret.reveal()),
        shared=shared,
        lock=lock,
    )


def answered(context: Context, challenge: str, url: str = REGISTRY, **account: str | Secret) -> Login:
    wanted = parse_challenges([challenge] if challenge else [])
    return log_in(context, url, wanted, "team/app", **account)  # type: ignore[arg-type]


def bearer(server: HTTPServer) -> str:
    return f'Bearer realm="{server.url}/token",service="reg.test"'


def serve(servers: ExitStack, answer: Answer) -> HTTPServer:
    return servers.enter_context(HTTPServer(lambda _request: answer))


def test_where_no_login_is_wanted_none_is_made(context: Context) -> None:
    assert answered(context, "", username="alice", password=PASSWORD) == Login(scheme=None)


def test_basic_sends_user_and_password(context: Context, concealed: list[str]) -> None:
    found = answered(context, 'Basic realm="x"', username="alice", password=PASSWORD)

    assert (found.scheme, found.credentials_sent, found.problem) == ("basic", True, None)
    assert found.header is not None
    assert found.header.reveal() == "Basic YWxpY2U6d29uZGVybGFuZA=="
    assert found.header.reveal() in concealed


def test_basic_without_a_password_is_a_problem(context: Context) -> None:
    found = answered(context, 'Basic realm="x"')

    assert (found.header, found.credentials_sent) == (None, False)
    assert "none are set" in (found.problem or "")


def test_a_password_does_not_go_over_a_plain_connection_to_another_host(context: Context) -> None:
    found = answered(context, 'Basic realm="x"', "http://reg.test", username="alice", password=PASSWORD)

    assert (found.header, found.withheld) == (None, "http://reg.test")


def test_bearer_gets_a_token_for_the_repository(
    context: Context, servers: ExitStack, concealed: list[str]
) -> None:
    server = serve(servers, json_answer(200, {"token": "a-token-of-the-tests"}))

    found = answered(context, bearer(server), username="alice", password=PASSWORD)

    assert found.header is not None
    assert found.header.reveal() == "Bearer a-token-of-the-tests"
    assert "a-token-of-the-tests" in concealed
    (request,) = server.requests
    assert "scope=repository%3Ateam%2Fapp%3Apull" in request.target
    assert request.headers["Authorization"].startswith("Basic ")


def test_bearer_is_preferred_to_basic(context: Context, servers: ExitStack) -> None:
    server = serve(servers, json_answer(200, {"token": "a-token-of-the-tests"}))

    found = answered(context, f'Basic realm="x", {bearer(server)}', username="alice", password=PASSWORD)

    assert found.scheme == "bearer"


def test_without_an_account_a_token_is_asked_for_anonymously(context: Context, servers: ExitStack) -> None:
    server = serve(servers, json_answer(200, {"token": "a-token-of-the-tests"}))

    found = answered(context, bearer(server))

    assert (found.credentials_sent, found.problem) == (False, None)
    assert "Authorization" not in server.requests[0].headers


def test_an_identity_token_is_exchanged_by_post(context: Context, servers: ExitStack) -> None:
    server = serve(servers, json_answer(200, {"access_token": "a-token-of-the-tests"}))

    found = answered(context, bearer(server), identity_token=Secret("identity"))

    assert found.header is not None
    assert server.requests[0].method == "POST"
    assert b"refresh_token=identity" in server.requests[0].body


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (json_answer(401, {"errors": []}), "answers 401"),
        (json_answer(200, {}), "gives no token"),
        (Answer(200, b"<html>"), "gives no token"),
        (Answer(503), "answers 503"),
    ],
)
def test_why_there_is_no_token_is_told(
    context: Context, servers: ExitStack, answer: Answer, words: str
) -> None:
    found = answered(context, bearer(serve(servers, answer)), username="alice", password=PASSWORD)

    assert found.header is None
    assert words in (found.problem or "")
    assert found.token is not None


def test_a_token_server_that_is_down_is_told(context: Context, servers: ExitStack) -> None:
    server = serve(servers, Answer(200))
    server.stop()

    assert "cannot be asked" in (answered(context, bearer(server)).problem or "")


def test_a_token_server_over_plain_http_elsewhere_gets_no_password(context: Context) -> None:
    found = answered(context, 'Bearer realm="http://tokens.test/token"', username="alice", password=PASSWORD)

    assert (found.header, found.withheld) == (None, "http://tokens.test")


@pytest.mark.parametrize(
    "challenge", ['Bearer realm="/token"', 'Bearer service="x"', "Negotiate", 'Digest realm="x"']
)
def test_what_no_client_can_answer_is_a_problem(context: Context, challenge: str) -> None:
    found = answered(context, challenge, username="alice", password=PASSWORD)

    assert found.header is None
    assert found.problem
