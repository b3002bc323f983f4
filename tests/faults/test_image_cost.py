"""What looking at an image costs its registry: requests, and pulls of a quota. On real registries."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import PASSWORD, USERNAME, StartNginx, StartRegistry, StartTokenServer
from tests.support.http_server import Answer, HTTPServer, Request, json_answer
from tests.support.images import push_image, push_index
from tests.support.nginx import Nginx, ReverseProxy
from tests.support.regdoctor_cli import (
    CliResult,
    assert_healthy,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry

pytestmark = pytest.mark.needs("docker-registry")

ALICE = (USERNAME, PASSWORD)
PLATFORMS = tuple(
    f"linux/{each}"
    for each in (
        *("amd64", "arm64", "arm/v5", "arm/v6", "arm/v7", "386", "ppc64le", "s390x", "riscv64", "mips64le"),
        *("loong64", "mips64"),
    )
)
MOST_REQUESTS = 200


def add_tags(registry: Registry, repository: str, count: int) -> None:
    """Makes further tags of what 1.0 means, on disk: a thousand pushes would only take longer."""
    tags = registry.repository_path(repository) / "_manifests/tags"
    link = (tags / "1.0/current/link").read_text()
    for number in range(count):
        folder = tags / f"build-{number:04}" / "current"
        folder.mkdir(parents=True)
        (folder / "link").write_text(link)


def requests(nginx: Nginx) -> list[str]:
    """The requests that reached the registry."""
    return nginx.access_log().splitlines()


@pytest.mark.needs("nginx")
class TestRequests:
    @pytest.fixture
    def counted(self, registry: Registry, start_nginx: StartNginx) -> Nginx:
        """A registry with an index of 12 platforms and 1,000 more tags, behind an nginx that logs requests."""
        push_index(registry, "team/app", "1.0", dict.fromkeys(PLATFORMS))
        add_tags(registry, "team/app", 1000)
        return start_nginx(ReverseProxy(registry.upstream))

    def check(self, nginx: Nginx, image: str, *platforms: str) -> CliResult:
        words = [word for platform in platforms for word in ("--platform", platform)]
        return run_regdoctor("check", "--plain-http", f"{nginx.address}/{image}", *words)

    def test_one_platform_of_twelve(self, counted: Nginx) -> None:
        assert_healthy(self.check(counted, "team/app:1.0", "linux/arm64"))

        assert len(requests(counted)) < MOST_REQUESTS / 4

    def test_all_twelve(self, counted: Nginx) -> None:
        assert_healthy(self.check(counted, "team/app:1.0", *PLATFORMS))

        assert len(requests(counted)) < MOST_REQUESTS

    def test_a_missing_tag_among_a_thousand(self, counted: Nginx) -> None:
        found = assert_single_root_cause(
            self.check(counted, "team/app:build-12345", *PLATFORMS), "image/tag-not-found"
        )

        assert "build-1234" in found["detail"] or "build-0123" in found["detail"]
        assert found["certainty"] == "proven"
        assert len(requests(counted)) < MOST_REQUESTS / 4


def relative(_host: str, path: str) -> str:
    return f'<{path}>; rel="next"'


def absolute(host: str, path: str) -> str:
    return f'<http://{host}{path}>; rel="next"'


def by_a_connector(host: str, path: str) -> str:
    """As Nexus writes it: with its own path, which is none on the connector's port (nexus-public#1011)."""
    return f'<http://{host}/repository/docker{path}>; rel="next"'


def with_another_host(_host: str, path: str) -> str:
    return f'<http://registry.internal:5000{path}>; rel="next"'


def without_brackets(_host: str, path: str) -> str:
    """As early versions of zot write it."""
    return f'{path}; rel="next"'


@pytest.mark.parametrize("link", [relative, absolute, by_a_connector, with_another_host, without_brackets])
def test_tags_are_read_through_all_pages(registry: Registry, link: Callable[[str, str], str]) -> None:
    """Registry 2.8 gives all tags at once; the pages are cut from its answer as other products do."""
    push_image(registry, "team/app", "1.0")
    add_tags(registry, "team/app", 250)

    def paged(request: Request) -> Answer:
        parts = urlsplit(request.target)
        got = registry.client().exchange(
            request.method,
            registry.url + parts.path,
            headers={name: value for name, value in request.headers.items() if name != "Host"},
        )
        headers = [pair for pair in got.headers.items() if pair[0] == "Docker-Distribution-Api-Version"]
        if parts.path != "/v2/team/app/tags/list":
            return Answer(got.status, got.body, headers)
        query = parse_qs(parts.query)
        tags = sorted(got.json()["tags"])
        after = [tag for tag in tags if tag > query.get("last", [""])[0]]
        page = after[:100]
        if len(after) > 100:
            headers.append(("Link", link(request.headers["Host"], f"{parts.path}?n=100&last={page[-1]}")))
        return Answer(200, json.dumps({"name": "team/app", "tags": page}).encode(), headers)

    with HTTPServer(paged) as server:
        address = server.url.removeprefix("http://")
        result = run_regdoctor("check", "--plain-http", f"{address}/team/app:Build-0249")

    found = assert_single_root_cause(result, "image/tag-not-found")
    assert found["certainty"] == "proven"
    assert "build-0249" in found["detail"]


def test_a_list_of_tags_that_cannot_be_read_proves_nothing(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    def cut(request: Request) -> Answer:
        got = registry.client().exchange(request.method, registry.url + request.target)
        headers = [pair for pair in got.headers.items() if pair[0] not in ("Date", "Content-Length")]
        body = got.body[:-5] if request.target.partition("?")[0].endswith("/tags/list") else got.body
        return Answer(got.status, body, headers)

    with HTTPServer(cut) as server:
        address = server.url.removeprefix("http://")
        result = run_regdoctor("check", "--plain-http", f"{address}/team/app:2.0")

    found = assert_single_root_cause(result, "image/tag-not-found")
    assert found["certainty"] == "likely"
    assert "no tags at all" not in found["detail"]


def test_pages_that_lead_in_a_circle_come_to_an_end(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    def circle(request: Request) -> Answer:
        if urlsplit(request.target).path.endswith("/tags/list"):
            headers = (
                ("Link", '</v2/team/app/tags/list?n=1000&last=1.0>; rel="next"'),
                ("Docker-Distribution-Api-Version", "registry/2.0"),
            )
            return json_answer(200, {"name": "team/app", "tags": ["1.0"]}, *headers)
        got = registry.client().exchange(request.method, registry.url + request.target)
        return Answer(got.status, got.body, [pair for pair in got.headers.items() if pair[0] != "Date"])

    with HTTPServer(circle) as server:
        address = server.url.removeprefix("http://")
        result = run_regdoctor("check", "--plain-http", f"{address}/team/app:2.0")

    found = assert_single_root_cause(result, "image/tag-not-found")
    assert found["certainty"] == "likely"
    assert len([each for each in server.requests if "tags/list" in each.target]) < 5


@pytest.mark.needs("nginx")
class TestQuota:
    """Docker Hub counts GETs of manifests and not HEADs; it is known here by its challenge."""

    def check(
        self,
        start_registry: StartRegistry,
        start_token_server: StartTokenServer,
        start_nginx: StartNginx,
        *,
        remaining: int,
        service: str = "registry.docker.io",
    ) -> tuple[CliResult, list[str]]:
        tokens = start_token_server(anonymous={"*": ("pull",)}, service=service)
        registry = start_registry(token=tokens.auth())
        push_image(registry.client(ALICE), "team/app", "1.0")
        nginx = start_nginx(
            ReverseProxy(
                registry.upstream,
                directives=(
                    'add_header ratelimit-limit "100;w=21600";',
                    f'add_header ratelimit-remaining "{remaining};w=21600";',
                ),
            )
        )
        result = run_regdoctor(
            "check",
            "--plain-http",
            f"{nginx.address}/team/app:1.0",
            "--platform",
            "linux/amd64",
            "--skip",
            "security",
        )
        return result, [line for line in requests(nginx) if "/manifests/" in line]

    def test_with_enough_left_one_pull_is_spent_after_head(
        self, start_registry: StartRegistry, start_token_server: StartTokenServer, start_nginx: StartNginx
    ) -> None:
        result, asked = self.check(start_registry, start_token_server, start_nginx, remaining=76)

        assert_healthy(result)
        assert [line for line in asked if '"GET ' in line] == [
            line for line in asked if '"GET ' in line and "/manifests/1.0" in line
        ]
        assert len([line for line in asked if '"GET ' in line]) == 1
        assert '"HEAD ' in asked[0]

    def test_with_little_left_none_is_spent(
        self, start_registry: StartRegistry, start_token_server: StartTokenServer, start_nginx: StartNginx
    ) -> None:
        result, asked = self.check(start_registry, start_token_server, start_nginx, remaining=3)

        assert_single_root_cause(result, "http/rate-low")
        assert [line for line in asked if '"GET ' in line] == []
        look = result.report["targets"][0]["facts"]["manifest-look"]
        assert "3 of 100 pulls are left" in look["spared"]

    def test_other_registries_count_nothing(
        self, start_registry: StartRegistry, start_token_server: StartTokenServer, start_nginx: StartNginx
    ) -> None:
        _result, asked = self.check(
            start_registry, start_token_server, start_nginx, remaining=3, service="registry.test"
        )

        assert len([line for line in asked if '"GET ' in line]) == 1


def test_a_registry_that_allows_no_such_page_is_asked_for_its_own(registry: Registry) -> None:
    """Registry 3.1.0 answers 400 to more than ``tags.maxtags`` (protocol of distribution)."""
    push_image(registry, "team/app", "1.0")

    def strict(request: Request) -> Answer:
        if "n=1000" in request.target:
            return json_answer(400, {"errors": [{"code": "PAGINATION_NUMBER_INVALID", "message": "invalid"}]})
        got = registry.client().exchange(request.method, registry.url + request.target)
        return Answer(got.status, got.body, [pair for pair in got.headers.items() if pair[0] != "Date"])

    with HTTPServer(strict) as server:
        address = server.url.removeprefix("http://")
        result = run_regdoctor("check", "--plain-http", f"{address}/team/app:1.1")

    found = assert_single_root_cause(result, "image/tag-not-found")
    assert "Near tags: 1.0" in found["detail"]
