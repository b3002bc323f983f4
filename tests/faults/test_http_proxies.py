"""Registries behind nginx, haproxy, Traefik and Caddy: healthy through each, and faults of the last two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NAME, PASSWORD, USERNAME, StartRegistry
from tests.support import ports
from tests.support.caddy import Caddy
from tests.support.certificates import CertificateFiles
from tests.support.haproxy import Haproxy
from tests.support.images import push_image
from tests.support.nginx import Nginx, ReverseProxy
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry
from tests.support.skopeo import skopeo
from tests.support.traefik import Traefik

pytestmark = [
    pytest.mark.needs("docker-registry", "nginx", "haproxy", "traefik", "caddy"),
    pytest.mark.needs_root,
]

HOSTS = {NAME: "127.0.0.1"}
PUSH = ("--push", "--push-seconds", "2")
GO = "written in Go (Traefik?)"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


Proxy = Nginx | Haproxy | Traefik | Caddy
Open = Callable[..., Proxy]


@pytest.fixture
def start_proxy(stack: ExitStack, tmp_path: Path, certificate: CertificateFiles) -> Open:
    """Start a program with TLS in front of ``host:port``, with options of its test support."""

    def start(program: str, upstream: str, **options: Any) -> Proxy:
        folder = tmp_path / f"{program}-{ports.free_port()}"
        given: dict[str, Any] = {"name": NAME, "tls": certificate, **options}
        if program == "nginx":
            return stack.enter_context(Nginx(folder, ReverseProxy(f"http://{upstream}", **given)))
        if program == "haproxy":
            return stack.enter_context(Haproxy(folder, [upstream], **given))
        if program == "traefik":
            return stack.enter_context(Traefik(folder, f"http://{upstream}", **given))
        return stack.enter_context(Caddy(folder, upstream, **given))

    return start


@pytest.fixture
def check(certificate: CertificateFiles) -> Callable[..., CliResult]:
    def run(target: str, *arguments: str | Path, stdin: str | None = None) -> CliResult:
        words = ("--cacert", certificate.ca, "--platform", "linux/amd64", *arguments)
        return run_regdoctor("check", target, *words, hosts=HOSTS, stdin=stdin)

    return run


Check = Callable[..., CliResult]


def at(registry: Registry) -> str:
    return f"127.0.0.1:{registry.port}"


def nobody() -> str:
    return f"127.0.0.1:{ports.free_port()}"


@pytest.mark.parametrize("program", ["nginx", "haproxy", "traefik", "caddy"])
class TestHealthy:
    def test_an_open_registry(
        self, registry: Registry, start_proxy: Open, check: Check, program: str
    ) -> None:
        proxy = start_proxy(program, at(registry))
        image = push_image(registry).reference(proxy.address)

        assert_healthy(check(proxy.url))
        assert_healthy(check(image))
        assert_healthy(check(image, *PUSH))

    def test_a_registry_with_logins(
        self, start_registry: StartRegistry, start_proxy: Open, check: Check, program: str
    ) -> None:
        registry = start_registry(htpasswd={USERNAME: PASSWORD})
        proxy = start_proxy(program, at(registry))
        image = push_image(registry).reference(proxy.address)

        assert_healthy(check(image, *PUSH, "--username", USERNAME, "--password-stdin", stdin=PASSWORD))


@pytest.mark.parametrize(("program", "producer"), [("traefik", GO), ("caddy", "Caddy")])
class TestUpstream:
    @pytest.mark.parametrize("arguments", [(), PUSH])
    def test_a_registry_that_is_down(
        self, start_proxy: Open, check: Check, program: str, producer: str, arguments: tuple[str, ...]
    ) -> None:
        proxy = start_proxy(program, nobody())
        found = assert_single_root_cause(check(proxy.url, *arguments), "http/upstream-down")

        assert producer in found["detail"]
        assert found["certainty"] == "proven"

    def test_a_registry_that_does_not_answer(
        self, registry: Registry, start_proxy: Open, check: Check, program: str, producer: str
    ) -> None:
        transports = {"short": {"forwardingTimeouts": {"responseHeaderTimeout": "1s"}}}
        options: dict[str, dict[str, Any]] = {
            "traefik": {
                "balancer": {"serversTransport": "short"},
                "http": {"serversTransports": transports},
            },
            "caddy": {"proxy": ["transport http {", "response_header_timeout 1s", "}"]},
        }
        proxy = start_proxy(program, at(registry), **options[program])
        registry.suspend()
        found = assert_single_root_cause(check(proxy.url), "http/gateway-timeout")

        assert producer in found["detail"]

    def test_a_health_check_that_finds_the_registry_down(
        self, registry: Registry, start_proxy: Open, check: Check, program: str, producer: str
    ) -> None:
        options: dict[str, dict[str, Any]] = {
            "traefik": {
                "balancer": {
                    "servers": [{"url": f"http://{at(registry)}"}],
                    "healthCheck": {"path": "/no", "interval": "100ms", "timeout": "1s"},
                }
            },
            "caddy": {"proxy": ["health_uri /no", "health_interval 100ms"]},
        }
        proxy = start_proxy(program, at(registry), **options[program])
        ports.wait_until(lambda: " /no" in registry.log() or "/no " in registry.log(), "a health check")
        found = assert_single_root_cause(check(proxy.url), "http/no-backend")

        assert producer in found["detail"]

    def test_a_limit_of_bodies(
        self, registry: Registry, start_proxy: Open, check: Check, program: str, producer: str
    ) -> None:
        options: dict[str, dict[str, Any]] = {
            "traefik": {"middlewares": {"limit": {"buffering": {"maxRequestBodyBytes": 1_000_000}}}},
            "caddy": {"site": ["request_body {", "max_size 1MB", "}"]},
        }
        proxy = start_proxy(program, at(registry), **options[program])
        found = assert_single_root_cause(check(proxy.url, *PUSH), "push/body-too-large")

        assert producer in found["detail"]
        assert_healthy(check(proxy.url))


def test_a_limit_of_haproxy_which_counts_in_32_bits(
    registry: Registry, start_proxy: Open, check: Check
) -> None:
    """10 GiB are nothing to it."""
    rule = "http-request deny deny_status 413 if { req.hdr_val(content-length) gt 5000000 }"
    proxy = start_proxy("haproxy", at(registry), frontend=[rule])
    found = assert_single_root_cause(check(proxy.url, *PUSH), "push/body-too-large")

    assert "HAProxy" in found["detail"]
    assert "8 MiB are refused, 4 MiB pass" in found["detail"]


def test_no_servers(start_proxy: Open, check: Check) -> None:
    proxy = start_proxy("traefik", nobody(), balancer={"servers": []})
    found = assert_single_root_cause(check(proxy.url), "http/no-backend")

    assert GO in found["detail"]


def test_a_registry_that_caddy_has_given_up(start_proxy: Open, check: Check) -> None:
    """It answers 502 at first, and 503 from then on: one registry that is down, not several that differ."""
    proxy = start_proxy("caddy", nobody(), proxy=["fail_duration 30s", "max_fails 1"])

    assert_single_root_cause(check(proxy.url), "http/upstream-down")


class TestRoutes:
    @pytest.mark.parametrize(
        ("program", "options", "says"),
        [
            ("traefik", {"rule": "Host(`other.test`)"}, "such as a Traefik without a route"),
            ("caddy", {"matcher": "/other/*"}, "Caddy"),
            ("caddy", {"matcher": "/other/*", "site": ["respond 404"]}, "Caddy"),
            ("caddy", {"matcher": "/other/*", "site": ["root * /usr/share/doc", "file_server"]}, "Caddy"),
        ],
    )
    def test_no_route_for_the_registry(
        self,
        registry: Registry,
        start_proxy: Open,
        check: Check,
        program: str,
        options: dict[str, Any],
        says: str,
    ) -> None:
        proxy = start_proxy(program, at(registry), **options)
        found = assert_single_root_cause(check(proxy.url), "http/not-a-registry")

        assert says in found["detail"]

    def test_a_route_for_the_ping_alone(self, registry: Registry, start_proxy: Open, check: Check) -> None:
        proxy = start_proxy("traefik", at(registry), rule="Path(`/v2/`)")
        image = push_image(registry).reference(proxy.address)

        assert_single_root_cause(check(image), "http/not-a-registry")

    def test_a_prefix_of_traefik(self, registry: Registry, start_proxy: Open, check: Check) -> None:
        middlewares = {"strip": {"stripPrefix": {"prefixes": ["/registry"]}}}
        proxy = start_proxy("traefik", at(registry), rule="PathPrefix(`/registry`)", middlewares=middlewares)

        assert_single_root_cause(check(proxy.url), "http/path-prefix")

    def test_a_prefix_of_caddy_which_answers_everything_else_too(
        self, registry: Registry, start_proxy: Open, check: Check
    ) -> None:
        site = ["handle_path /registry/* {", f"reverse_proxy {at(registry)}", "}"]
        proxy = start_proxy("caddy", "", site=site)

        assert_single_root_cause(check(proxy.url), "http/path-prefix")

    @pytest.mark.parametrize(
        ("options", "method"),
        [
            ({"rule": "PathPrefix(`/v2/`) && (Method(`GET`) || Method(`HEAD`) || Method(`POST`))"}, "PATCH"),
        ],
    )
    def test_a_route_for_some_methods(
        self, registry: Registry, start_proxy: Open, check: Check, options: dict[str, Any], method: str
    ) -> None:
        proxy = start_proxy("traefik", at(registry), **options)
        assert_healthy(check(proxy.url))
        found = assert_single_root_cause(check(proxy.url, *PUSH), "push/method-blocked")

        assert f"Refused: {method}" in found["detail"]


class TestRedirects:
    @pytest.mark.parametrize(
        ("program", "options"),
        [
            ("traefik", {"middlewares": {"plain": {"redirectScheme": {"scheme": "http"}}}}),
            ("caddy", {"site": ["redir http://{host}{uri}"]}),
        ],
    )
    def test_from_https_to_http(
        self, registry: Registry, start_proxy: Open, check: Check, program: str, options: dict[str, Any]
    ) -> None:
        proxy = start_proxy(program, at(registry), **options)
        found = assert_single_root_cause(check(proxy.url), "http/redirect-loop")

        assert "from https to http" in found["detail"]

    @pytest.mark.parametrize(
        ("program", "options"),
        [
            (
                "traefik",
                {"middlewares": {"on": {"redirectRegex": {"regex": "^(.*)$", "replacement": "${1}?x"}}}},
            ),
            ("caddy", {"site": ["redir https://{hostport}{uri}"]}),
        ],
    )
    def test_in_a_circle(
        self, registry: Registry, start_proxy: Open, check: Check, program: str, options: dict[str, Any]
    ) -> None:
        proxy = start_proxy(program, at(registry), **options)

        assert_single_root_cause(check(proxy.url), "http/redirect-loop")

    def upgrading(self, registry: Registry, start_proxy: Open, program: str) -> tuple[Proxy, Proxy]:
        """Plain HTTP that leads to https on another port: Traefik with 307 for uploads, Caddy with 302."""
        there = start_proxy(program, at(registry))
        port = there.url.rpartition(":")[2]
        options: dict[str, dict[str, Any]] = {
            "traefik": {"middlewares": {"tls": {"redirectScheme": {"scheme": "https", "port": port}}}},
            "caddy": {"site": [f"redir https://{{host}}:{port}{{uri}}"]},
        }
        return start_proxy(program, at(registry), tls=None, **options[program]), there

    def push(self, registry: Registry, proxy: Proxy, ca: Path) -> int:
        push_image(registry, "source/app", "1.0")
        return skopeo(
            "copy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            f"docker://{registry.address}/source/app:1.0",
            f"docker://{proxy.address}/team/app:1.0",
            ca=ca,
            hosts=HOSTS,
        ).returncode

    def test_from_http_to_https_with_the_same_method(
        self, registry: Registry, start_proxy: Open, check: Check, certificate: CertificateFiles
    ) -> None:
        proxy, _there = self.upgrading(registry, start_proxy, "traefik")
        assert self.push(registry, proxy, certificate.ca) == 0

        assert_healthy(check(proxy.url))
        assert_healthy(check(proxy.url, *PUSH))

    def test_from_http_to_https_with_get(
        self, registry: Registry, start_proxy: Open, check: Check, certificate: CertificateFiles
    ) -> None:
        proxy, there = self.upgrading(registry, start_proxy, "caddy")
        assert self.push(registry, proxy, certificate.ca) != 0
        assert_healthy(check(proxy.url))
        found = assert_single_root_cause(check(proxy.url, *PUSH), "push/location-scheme")

        assert "302 by Caddy" in found["detail"]
        assert there.url in found["fix"][0]

    @pytest.mark.parametrize("program", ["traefik", "caddy"])
    def test_from_http_to_https_that_is_not_trusted(
        self, registry: Registry, start_proxy: Open, program: str
    ) -> None:
        proxy, there = self.upgrading(registry, start_proxy, program)
        found = assert_single_root_cause(
            run_regdoctor("check", proxy.url, hosts=HOSTS), "http/not-a-registry"
        )

        assert "did not pass verification" in found["detail"]
        assert found["fix"][0] == f"regdoctor check {there.url}"
        there_too = run_regdoctor("check", there.url, hosts=HOSTS)
        assert assert_has(there_too, "tls/unknown-authority")["caused_by"] is None
