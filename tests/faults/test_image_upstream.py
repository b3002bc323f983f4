"""Pull-through caches whose upstream is at fault, with Debian's registry as both; each the single root cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PASSWORD, USERNAME, StartRegistry, StartTokenServer
from tests.support.images import push_image
from tests.support.regdoctor_cli import (
    CliResult,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.needs("docker-registry")

ALICE = (USERNAME, PASSWORD)
PROXY_PASSWORD = "the-password-of-the-cache"


def check(cache: Registry, image: str, *arguments: str | Path, **options: Any) -> CliResult:
    """Run a check on the cache's own host, which has its configuration."""
    result = run_regdoctor(
        "check",
        "--plain-http",
        f"{cache.address}/{image}" if image else cache.address,
        "--platform",
        "linux/amd64",
        "--config",
        cache.config_path,
        *arguments,
        **options,
    )
    for secret in (PROXY_PASSWORD, PASSWORD):
        assert secret not in result.stdout + result.stderr
    return result


@pytest.fixture
def upstream(start_registry: StartRegistry) -> Registry:
    """An open registry with two images."""
    upstream = start_registry()
    for tag in ("1.0", "2.0"):
        push_image(upstream, "team/app", tag)
    return upstream


@pytest.fixture
def cache(start_registry: StartRegistry, upstream: Registry) -> Registry:
    """A cache of it."""
    return start_registry(proxy=upstream.url)


def test_a_cache_with_a_working_upstream_is_healthy(cache: Registry) -> None:
    assert_healthy(check(cache, "team/app:1.0"))
    assert_healthy(check(cache, ""))


def test_what_the_upstream_lacks_as_well_is_just_missing(cache: Registry) -> None:
    result = check(cache, "team/app:3.0")

    assert_single_root_cause(result, "image/tag-not-found")


def test_an_upstream_that_is_down_is_named_and_not_the_tag(cache: Registry, upstream: Registry) -> None:
    upstream.stop()

    found = assert_single_root_cause(check(cache, "team/app:1.0"), "image/upstream-broken")

    assert found["host"] == upstream.address
    assert found["role"] == "upstream"
    assert "team/app" in found["detail"]
    assert_lacks(check(cache, "team/app:1.0"), "image/manifest-gone")


def test_images_in_the_cache_do_not_hide_it(cache: Registry, upstream: Registry) -> None:
    assert_healthy(check(cache, "team/app:1.0"))
    upstream.stop()

    found = assert_single_root_cause(check(cache, "team/app:1.0"), "image/upstream-broken")

    assert "in the cache already" in found["detail"]


def test_without_the_configuration_the_tag_is_all_that_can_be_said(
    cache: Registry, upstream: Registry
) -> None:
    upstream.stop()

    result = run_regdoctor("check", "--plain-http", f"{cache.address}/team/app:1.0")

    assert result.exit_code == 3
    assert_lacks(result, "image/upstream-broken")


@pytest.mark.parametrize(("ending", "healthy"), [("", True), ("/", True), ("/v2", True), ("/v2/", False)])
def test_a_url_that_ends_with_v2_is_named_where_it_matters(
    start_registry: StartRegistry, upstream: Registry, ending: str, healthy: bool
) -> None:
    cache = start_registry(proxy=upstream.url + ending)
    result = check(cache, "team/app:1.0")

    if healthy:
        assert_healthy(result)
    else:
        found = assert_single_root_cause(result, "image/upstream-broken")
        assert "/v2/v2/" in found["detail"]


@pytest.mark.parametrize(
    ("account", "words"),
    [({}, "Basic"), ({"username": USERNAME, "password": PASSWORD}, "Basic")],
)
def test_registry_2_cannot_use_an_upstream_with_passwords(
    start_registry: StartRegistry, account: dict[str, str], words: str
) -> None:
    upstream = start_registry(htpasswd={USERNAME: PASSWORD})
    push_image(upstream, "team/app", "1.0")
    cache = start_registry(proxy={"remoteurl": upstream.url, **account})

    found = assert_single_root_cause(check(cache, "team/app:1.0"), "image/upstream-broken")

    assert words in found["detail"]


class TestTokenServer:
    @pytest.fixture
    def tokens(self, start_token_server: StartTokenServer) -> TokenServer:
        return start_token_server(users={USERNAME: PASSWORD, "cache": PROXY_PASSWORD})

    @pytest.fixture
    def upstream(self, start_registry: StartRegistry, tokens: TokenServer) -> Registry:
        """A registry that gives its image to nobody without a login."""
        upstream = start_registry(token=tokens.auth())
        push_image(upstream.client(ALICE), "team/app", "1.0")
        return upstream

    def cache(self, start_registry: StartRegistry, upstream: Registry, **account: str) -> Registry:
        return start_registry(proxy={"remoteurl": upstream.url, **account})

    def test_the_right_account_is_healthy(self, start_registry: StartRegistry, upstream: Registry) -> None:
        cache = self.cache(start_registry, upstream, username="cache", password=PROXY_PASSWORD)

        assert_healthy(check(cache, "team/app:1.0"))

    def test_a_wrong_password_is_named(self, start_registry: StartRegistry, upstream: Registry) -> None:
        cache = self.cache(start_registry, upstream, username="cache", password="not-the-password")
        result = check(cache, "team/app:1.0")

        found = assert_single_root_cause(result, "image/upstream-broken")
        assert "the user cache" in found["detail"]
        assert "not-the-password" not in result.stdout

    def test_a_missing_account_is_named(self, start_registry: StartRegistry, upstream: Registry) -> None:
        found = assert_single_root_cause(
            check(self.cache(start_registry, upstream), "team/app:1.0"), "image/upstream-broken"
        )

        assert "proxy.username is not set" in found["detail"]

    def test_a_variable_overrules_the_file(
        self, start_registry: StartRegistry, upstream: Registry, tmp_path: Path
    ) -> None:
        cache = self.cache(start_registry, upstream, username="cache", password=PROXY_PASSWORD)
        variables = tmp_path / "registry.env"
        variables.write_text("REGISTRY_PROXY_REMOTEURL=http://127.0.0.1:9\n")

        found = assert_single_root_cause(
            check(cache, "team/app:1.0", "--env-file", variables), "image/upstream-broken"
        )
        assert found["host"] == "127.0.0.1:9"


@pytest.mark.needs_root
def test_an_upstream_that_only_the_cache_cannot_reach_is_told_as_likely(
    start_registry: StartRegistry, upstream: Registry
) -> None:
    """The cache's own hosts file leads it astray; from this shell the upstream is well."""
    cache = start_registry(
        proxy=f"http://up.test:{upstream.port}",
        files={"/etc/hosts": "127.0.0.1 localhost up.test\n"},
    )
    upstream.stop()
    elsewhere = start_registry(host="127.0.0.7", port=upstream.port, storage=upstream.storage)
    result = check(cache, "team/app:1.0", hosts={"up.test": elsewhere.host})

    found = assert_single_root_cause(result, "image/upstream-broken")

    assert found["certainty"] == "likely"


@pytest.mark.needs_root
def test_an_upstream_whose_name_does_not_resolve_is_the_one_cause(
    start_registry: StartRegistry, upstream: Registry
) -> None:
    cache = start_registry(
        proxy=f"http://up.test:{upstream.port}",
        files={"/etc/hosts": "127.0.0.1 localhost up.test\n"},
    )
    upstream.stop()
    result = check(cache, "team/app:1.0", resolv_conf="nameserver 127.0.0.9\noptions timeout:1 attempts:1\n")

    found = assert_single_root_cause(result, "image/upstream-broken")

    assert found["host"] == f"up.test:{upstream.port}"
