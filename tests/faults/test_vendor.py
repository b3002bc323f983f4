"""Registry products by their recorded answers, in front of Debian's registry, which holds the image.

The challenges and health pages are those of ``tests/data/vendors``; nothing of these products runs here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import pytest

from tests.conftest import PASSWORD, USERNAME, StartRegistry
from tests.support.http_server import Answer, HTTPServer, Request, json_answer
from tests.support.images import push_image
from tests.support.regdoctor_cli import (
    CliResult,
    assert_healthy,
    assert_single_root_cause,
    codes,
    run_regdoctor,
)
from tests.support.registry import Registry
from tests.support.vendors import RecordedAnswer, RecordedHealth, answers, health_pages

pytestmark = pytest.mark.needs("docker-registry")

TOKEN = "an-opaque-token-of-a-product"
BASIC = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
BAD_GATEWAY = Answer(
    502,
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
    [("Content-Type", "text/html"), ("Server", "nginx")],
)

Change = Callable[[Request, Answer], Answer]


def unchanged(_request: Request, answer: Answer) -> Answer:
    return answer


class ProductServer(HTTPServer):
    """A real registry behind a product's recorded challenge and token server.

    ``change`` makes the registry's answers those of the product; ``pages`` are further paths.
    """

    def __init__(
        self,
        registry: Registry,
        recorded: RecordedAnswer,
        *,
        change: Change = unchanged,
        pages: Mapping[str, Answer] | None = None,
    ) -> None:
        self._registry = registry
        self._recorded = recorded
        self._change = change
        self._pages = dict(pages or {})
        super().__init__(self._answer)

    @property
    def _token_path(self) -> str:
        realm = re.search(r'realm="?(https?://[^",]+)', self._challenge)
        return urlsplit(realm[1].replace(":5002:5002", "")).path if realm else ""

    @property
    def _challenge(self) -> str:
        return next(
            (value for name, value in self._recorded.headers if name.lower() == "www-authenticate"), ""
        )

    def _answer(self, request: Request) -> Answer:
        path = request.target.partition("?")[0]
        if path in self._pages:
            return self._pages[path]
        authorization = request.headers.get("Authorization")
        if self._challenge.startswith("Bearer") and path == self._token_path:
            if authorization != BASIC:
                return json_answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "no"}]})
            return json_answer(200, {"token": TOKEN})
        if authorization not in (BASIC, f"Bearer {TOKEN}"):
            return self._unauthorized(request)
        got = self._registry.client().exchange(
            request.method,
            self._registry.url + request.target,
            headers={
                name: value
                for name, value in request.headers.items()
                if name.lower() not in ("host", "authorization")
            },
        )
        headers = [pair for pair in got.headers.items() if pair[0] not in ("Date", "Transfer-Encoding")]
        return self._change(request, Answer(got.status, got.body, headers))

    def _unauthorized(self, request: Request) -> Answer:
        """The recorded 401; its realm leads here instead of to the product's host."""
        here = f"http://127.0.0.1:{self.port}"
        headers = [
            (name, re.sub(r"https://[^/\",]+", here, value) if name.lower() == "www-authenticate" else value)
            for name, value in self._recorded.headers
            if name.lower() not in ("content-length", "connection")
        ]
        return Answer(self._recorded.status, self._recorded.body.encode(), headers)


def recorded(vendor: str, words: str = "") -> RecordedAnswer:
    """The first recorded answer of a product whose origin has these words."""
    return next(each for each in answers() if each.vendor == vendor and words in each.origin)


def check(server: HTTPServer, image: str = "/team/app:1.0", *arguments: str) -> CliResult:
    return run_regdoctor(
        "check",
        "--plain-http",
        f"127.0.0.1:{server.port}{image}",
        "--platform",
        "linux/amd64",
        "--username",
        USERNAME,
        "--password-stdin",
        "--skip",
        "security",
        *arguments,
        stdin=PASSWORD,
    )


def product_of(result: CliResult) -> str | None:
    vendor = result.report["targets"][0]["facts"]["product"]["vendor"]
    assert vendor is None or isinstance(vendor, str)
    return vendor


@pytest.fixture
def held(start_registry: StartRegistry) -> Registry:
    """The registry that holds the image for a product."""
    registry = start_registry()
    push_image(registry, "team/app", "1.0")
    return registry


BY_CHALLENGE = [each for each in answers() if each.vendor is not None and each.status == 401]


@pytest.mark.parametrize("answer", BY_CHALLENGE, ids=lambda each: f"{each.vendor}: {each.origin[:40]}")
def test_a_product_is_healthy_and_known(held: Registry, answer: RecordedAnswer) -> None:
    with ProductServer(held, answer) as server:
        result = check(server)

    assert_healthy(result)
    # Some are known by their host's name or that of the realm alone, which are others here.
    by_name = answer.vendor in ("Google Artifact Registry", "NVIDIA NGC")
    assert product_of(result) in ((answer.vendor, "CNCF distribution", None) if by_name else (answer.vendor,))


def without_digest_on_get(request: Request, answer: Answer) -> Answer:
    """Amazon ECR may leave Docker-Content-Digest out of GET (Docker.Registry.DotNet#34)."""
    if request.method != "GET":
        return answer
    return Answer(
        answer.status, answer.body, [pair for pair in answer.headers if pair[0] != "Docker-Content-Digest"]
    )


def without_length_on_head(request: Request, answer: Answer) -> Answer:
    """Early versions of zot send Content-Length: 0 with HEAD of a manifest (pkg/api/routes.go, v1.3)."""
    if request.method != "HEAD" or "/manifests/" not in request.target:
        return answer
    headers = [pair for pair in answer.headers if pair[0] != "Content-Length"]
    return Answer(answer.status, b"", [*headers, ("Content-Length", "0")])


def without_catalog(request: Request, answer: Answer) -> Answer:
    """Docker Hub, GHCR and Harbor refuse the catalog to tokens."""
    if "_catalog" not in request.target:
        return answer
    return json_answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]})


def without_own_headers(_request: Request, answer: Answer) -> Answer:
    """The Docker-* headers are optional (distribution-spec v1.1)."""
    return Answer(
        answer.status, answer.body, [pair for pair in answer.headers if not pair[0].startswith("Docker-")]
    )


@pytest.mark.parametrize(
    "change", [without_digest_on_get, without_length_on_head, without_catalog, without_own_headers]
)
def test_what_is_peculiar_to_products_is_no_fault(held: Registry, change: Change) -> None:
    with ProductServer(held, recorded("Harbor"), change=change) as server:
        assert_healthy(check(server))


def test_a_missing_repository_without_a_catalog_is_told_all_the_same(held: Registry) -> None:
    with ProductServer(held, recorded("Harbor"), change=without_catalog) as server:
        found = assert_single_root_cause(check(server, "/team/ap:1.0"), "image/repository-not-found")

    assert found["certainty"] == "likely"
    assert "create the project team in Harbor" in found["fix"]


def test_docker_hub_is_not_asked_for_a_catalog(held: Registry) -> None:
    with ProductServer(held, recorded("Docker Hub")) as server:
        check(server, "/team/ap:1.0")

        assert [each for each in server.requests if "_catalog" in each.target] == []


def page(product: str, *, healthy: bool) -> RecordedHealth:
    return next(each for each in health_pages() if (each.product, each.healthy) == (product, healthy))


def served(health: RecordedHealth) -> dict[str, Answer]:
    return {health.path: Answer(health.status, health.body.encode(), [("Content-Type", "application/json")])}


@pytest.mark.parametrize("vendor", ["Harbor", "Gitea or Forgejo"])
class TestHealth:
    def test_a_healthy_page_is_healthy(self, held: Registry, vendor: str) -> None:
        with ProductServer(held, recorded(vendor), pages=served(page(vendor, healthy=True))) as server:
            result = check(server)

        assert_healthy(result)
        assert result.report["targets"][0]["facts"]["component-health"]["healthy"] is True

    def test_an_ill_part_is_named_though_the_registry_answers(self, held: Registry, vendor: str) -> None:
        health = page(vendor, healthy=False)
        with ProductServer(held, recorded(vendor), pages=served(health)) as server:
            found = assert_single_root_cause(check(server), "vendor/component-unhealthy")

        assert health.ill[0] in found["detail"]

    def test_it_is_the_cause_of_a_bad_gateway(self, held: Registry, vendor: str) -> None:
        """Behind its own proxy nothing but the page shows which product it is."""
        health = page(vendor, healthy=False)
        pages = served(health) | {"/v2/": BAD_GATEWAY}
        with ProductServer(held, recorded(vendor), pages=pages) as server:
            result = check(server, "")

        found = assert_single_root_cause(result, "vendor/component-unhealthy")
        assert vendor in found["detail"]
        assert "http/upstream-down" in codes(result.report)

    def test_without_such_a_page_nothing_is_said(self, held: Registry, vendor: str) -> None:
        with ProductServer(held, recorded(vendor)) as server:
            assert_healthy(check(server))


def test_quay_says_it_with_503(held: Registry) -> None:
    quay = recorded("Quay")
    for healthy in (True, False):
        health = page("Quay", healthy=healthy)
        with ProductServer(held, quay, pages=served(health)) as server:
            result = check(server)
        if healthy:
            assert_healthy(result)
        else:
            found = assert_single_root_cause(result, "vendor/component-unhealthy")
            assert "database" in found["detail"]


def test_a_bad_gateway_in_front_of_no_product_is_just_that(held: Registry) -> None:
    with ProductServer(held, recorded("CNCF distribution"), pages={"/v2/": BAD_GATEWAY}) as server:
        result = check(server, "")

    assert_single_root_cause(result, "http/upstream-down")
    facts = json.dumps(result.report["targets"][0]["facts"])
    assert "component-health" not in facts


def test_a_registry_that_is_no_such_product_is_asked_nothing_more(held: Registry) -> None:
    with ProductServer(held, recorded("CNCF distribution")) as server:
        assert_healthy(check(server))

        assert [each for each in server.requests if "health" in each.target] == []
