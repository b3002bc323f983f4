"""Token servers are asked as Go's clients ask, and passwords go nowhere that docker would not send them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from regdoctor.context import Context, Deadline, Trace
from regdoctor.facts import Failure
from regdoctor.net.http import Client, Response
from regdoctor.net.token_server import MAX_REDIRECTS, CredentialsWithheld, ask, ask_once
from regdoctor.oci.reference import parse_target
from regdoctor.oci.scope import repository_scope
from regdoctor.oci.token_request import TokenRequest, refresh_request, token_request
from regdoctor.options import Options
from regdoctor.secret import Secret
from tests.support.http_server import Answer, HTTPServer, Request, json_answer

PULL = (repository_scope("team/app", "pull"),)
TOKEN = json_answer(200, {"token": "abc"})


def redirect(location: str, status: int = 307) -> Answer:
    return Answer(status, b"", [("Location", location)])


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def client(servers: ExitStack) -> Client:
    client = Client(
        options=Options(),
        deadline=Deadline(30, 5),
        trace=Trace(),
        environment={},
        home=Path("/nonexistent"),
        shared={},
        lock=threading.Lock(),
    )
    servers.callback(client.close)
    return client


def serve(servers: ExitStack, answer: Answer, **options: str) -> HTTPServer:
    return servers.enter_context(HTTPServer(lambda _request: answer, **options))  # type: ignore[arg-type]


def by_alice(realm: str) -> TokenRequest:
    return token_request(realm, "registry.test", PULL, username="alice", password=Secret("wonderland"))


def asked(client: Client, request: TokenRequest) -> Response | Failure:
    return ask(client, request, lambda _url: None)


def test_a_password_goes_to_the_realm(client: Client, servers: ExitStack) -> None:
    server = serve(servers, TOKEN)
    got = asked(client, by_alice(f"{server.url}/token"))
    assert isinstance(got, Response)
    assert got.body == TOKEN.body
    (request,) = server.requests
    assert request.headers["Authorization"].startswith("Basic ")


def test_an_identity_token_goes_in_a_form(client: Client, servers: ExitStack) -> None:
    server = serve(servers, TOKEN)
    asked(client, refresh_request(f"{server.url}/token", None, PULL, Secret("renew me")))
    (request,) = server.requests
    assert (request.method, request.headers["Content-Type"]) == ("POST", "application/x-www-form-urlencoded")
    assert b"refresh_token=renew+me" in request.body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_host_keeps_the_password(
    status: int, client: Client, servers: ExitStack
) -> None:
    def answer(request: Request) -> Answer:
        return TOKEN if request.target == "/other" else redirect("/other", status)

    server = servers.enter_context(HTTPServer(answer))
    got = asked(client, by_alice(f"{server.url}/token"))
    assert isinstance(got, Response)
    assert got.answer.status == 200
    assert ["Authorization" in request.headers for request in server.requests] == [True, True]


def test_a_redirect_to_another_host_drops_the_password(client: Client, servers: ExitStack) -> None:
    other = serve(servers, TOKEN, host="127.0.0.2")
    server = serve(servers, redirect(f"{other.url}/token"))
    got = asked(client, by_alice(f"{server.url}/token"))
    assert isinstance(got, Response)
    assert got.answer.status == 200
    assert "Authorization" not in other.requests[0].headers


def test_redirects_come_to_an_end(client: Client, servers: ExitStack) -> None:
    server = serve(servers, redirect("/token"))
    got = asked(client, by_alice(f"{server.url}/token"))
    assert isinstance(got, Response)
    assert got.answer.status == 307
    assert len(server.requests) == MAX_REDIRECTS + 1


def test_a_redirected_form_is_not_sent_again(client: Client, servers: ExitStack) -> None:
    server = serve(servers, redirect("/other"))
    got = asked(client, refresh_request(f"{server.url}/token", None, PULL, Secret("renew me")))
    assert isinstance(got, Response)
    assert (got.answer.status, len(server.requests)) == (307, 1)


@pytest.mark.parametrize(
    "request_",
    [
        by_alice("http://auth.test/token"),
        refresh_request("http://auth.test/token", None, PULL, Secret("renew me")),
    ],
)
def test_nothing_secret_goes_in_clear(request_: TokenRequest, client: Client) -> None:
    with pytest.raises(CredentialsWithheld, match=r"http://auth\.test"):
        asked(client, request_)


def test_nothing_secret_follows_a_redirect_into_clear(client: Client, servers: ExitStack) -> None:
    # A name below the first host keeps the header in Go; it is no loopback address.
    server = servers.enter_context(HTTPServer(lambda _request: redirect("http://x.localhost/token")))
    with pytest.raises(CredentialsWithheld):
        asked(client, by_alice(f"http://localhost:{server.port}/token"))


def test_anonymous_requests_may_go_in_clear(client: Client, servers: ExitStack) -> None:
    server = serve(servers, TOKEN)
    got = asked(client, token_request(f"{server.url}/token", None, PULL))
    assert isinstance(got, Response)
    assert "Authorization" not in server.requests[0].headers


def test_what_is_no_web_address_is_not_followed(client: Client, servers: ExitStack) -> None:
    server = serve(servers, redirect("file:///etc/passwd"))
    got = asked(client, by_alice(f"{server.url}/token"))
    assert isinstance(got, Response)
    assert got.answer.status == 307


def test_a_failure_is_an_answer_too(client: Client, servers: ExitStack) -> None:
    server = serve(servers, TOKEN)
    url = server.url
    server.stop()
    assert isinstance(asked(client, by_alice(f"{url}/token")), Failure)


class TestSharing:
    def contexts(self, servers: ExitStack, count: int) -> list[Context]:
        """The contexts of several targets of one run."""
        shared: dict[str, object] = {}
        lock = threading.Lock()
        made = []
        for _ in range(count):
            trace = Trace()
            client = Client(
                options=Options(),
                deadline=Deadline(30, 5),
                trace=trace,
                environment={},
                home=Path("/nonexistent"),
                shared=shared,
                lock=lock,
            )
            servers.callback(client.close)
            made.append(
                Context(
                    target=parse_target("reg.test/team/app"),
                    options=Options(),
                    deadline=Deadline(30, 5),
                    trace=trace,
                    http=client,
                    environment={},
                    home=Path("/nonexistent"),
                    conceal=lambda _secret: None,
                    shared=shared,
                    lock=lock,
                )
            )
        return made

    def test_targets_of_a_run_share_an_answer_and_each_shows_the_exchange(self, servers: ExitStack) -> None:
        server = serve(servers, TOKEN)
        contexts = self.contexts(servers, 3)
        contexts[2].trace.begin()

        got = [ask_once(context, by_alice(server.url)) for context in contexts]

        assert len(server.requests) == 1
        for response, context in zip(got, contexts, strict=True):
            assert isinstance(response, Response)
            assert response.body == TOKEN.body
            assert [each.id for each in context.trace.exchanges] == [response.answer.exchange]
        assert got[2].answer.exchange == "x2"  # type: ignore[union-attr]

    def test_side_by_side_one_asks_and_the_others_wait(self, servers: ExitStack) -> None:
        gate = threading.Event()

        def slow(_request: Request) -> Answer:
            gate.wait(5)
            return TOKEN

        server = servers.enter_context(HTTPServer(slow))
        contexts = self.contexts(servers, 4)
        threads = [
            threading.Thread(target=ask_once, args=(context, by_alice(server.url))) for context in contexts
        ]
        for thread in threads:
            thread.start()
        gate.set()
        for thread in threads:
            thread.join(10)

        assert len(server.requests) == 1

    def test_another_scope_or_account_is_another_question(self, servers: ExitStack) -> None:
        server = serve(servers, TOKEN)
        (context,) = self.contexts(servers, 1)
        other_scope = token_request(
            server.url,
            "registry.test",
            (repository_scope("team/other", "pull"),),
            username="alice",
            password=Secret("wonderland"),
        )
        bob = token_request(server.url, "registry.test", PULL, username="bob", password=Secret("builder"))

        for request in (by_alice(server.url), other_scope, bob):
            ask_once(context, request)

        assert len(server.requests) == 3

    def test_a_failure_is_shared_too(self, servers: ExitStack) -> None:
        server = serve(servers, TOKEN)
        server.stop()
        first, second = self.contexts(servers, 2)

        failure = ask_once(first, by_alice(server.url))

        assert isinstance(failure, Failure)
        assert ask_once(second, by_alice(server.url)) is failure
        assert second.trace.exchanges == ()
