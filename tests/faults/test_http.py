"""Faults of HTTP before a real registry, each the single root cause, and the healthy twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import StartNginx, StartRegistry
from tests.support import ports
from tests.support.certificates import CertificateFiles
from tests.support.haproxy import Haproxy
from tests.support.http_server import Answer, HTTPServer, json_answer
from tests.support.images import PushedImage, push_image
from tests.support.nginx import Nginx, ReverseProxy, server_block
from tests.support.regdoctor_cli import (
    CliResult,
    assert_healthy,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry

nginx = pytest.mark.needs("nginx")
haproxy = pytest.mark.needs("haproxy")
registry_needed = pytest.mark.needs("docker-registry")

PLATFORM = ("--platform", "linux/amd64")
PAGE = "<!doctype html>\n<html><head><title>App</title></head><body><div id=app></div></body></html>\n"


def check(url: str, *arguments: str | Path, hosts: dict[str, str] | None = None) -> CliResult:
    return run_regdoctor("check", url, *PLATFORM, *arguments, hosts=hosts)


def check_image(address: str, image: PushedImage, *arguments: str | Path) -> CliResult:
    return check(image.reference(address), "--plain-http", *arguments)


class TestHealthy:
    @registry_needed
    def test_a_registry_by_itself(self, registry: Registry) -> None:
        assert_healthy(check(registry.url))
        assert_healthy(check_image(registry.address, push_image(registry)))

    @nginx
    @registry_needed
    @pytest.mark.needs_root
    def test_a_registry_behind_nginx_with_tls(
        self, registry: Registry, nginx_tls: Nginx, certificate: CertificateFiles
    ) -> None:
        image = push_image(registry).reference(nginx_tls.address)

        assert_healthy(check(nginx_tls.url, "--cacert", certificate.ca, hosts=nginx_tls.hosts))
        assert_healthy(check(image, "--cacert", certificate.ca, hosts=nginx_tls.hosts))

    @haproxy
    @registry_needed
    def test_two_registries_with_one_storage_behind_haproxy(
        self, start_registry: StartRegistry, tmp_path: Path
    ) -> None:
        first = start_registry()
        second = start_registry(storage=first.storage)
        image = push_image(first)
        with Haproxy(
            tmp_path / "haproxy", [f"127.0.0.1:{each.port}" for each in (first, second)]
        ) as balancer:
            assert_healthy(check(balancer.url))
            assert_healthy(check_image(balancer.address, image))


class TestNotARegistry:
    @nginx
    def test_a_catch_all_page(self, start_nginx: StartNginx, tmp_path: Path) -> None:
        (tmp_path / "index.html").write_text(PAGE)
        port = ports.free_port()
        location = "location / { try_files $uri /index.html; }"
        start_nginx(
            server_block([f"listen 127.0.0.1:{port};", f"root {tmp_path};", location]),
            ready_on=("127.0.0.1", port),
        )

        found = assert_single_root_cause(check(f"http://127.0.0.1:{port}"), "http/not-a-registry")
        assert_single_root_cause(
            check(f"127.0.0.1:{port}/team/app:1.0", "--plain-http"), "http/not-a-registry"
        )

        assert found["certainty"] == "proven"
        assert "nginx" in found["detail"]
        assert "HTML" in found["detail"]

    def test_a_service_that_answers_json_to_everything(self) -> None:
        with HTTPServer(lambda _request: json_answer(200, {"status": "ok"})) as service:
            found = assert_single_root_cause(check(service.url), "http/not-a-registry")

        assert found["certainty"] == "proven"
        assert "made up at random" in found["detail"]

    def test_a_captive_portal_on_another_host(self) -> None:
        with HTTPServer(
            lambda _request: Answer(200, PAGE.encode(), [("Content-Type", "text/html")]), host="127.0.0.2"
        ) as portal:
            there = f"{portal.url}/login"
            with HTTPServer(lambda _request: Answer(302, b"", [("Location", there)])) as gate:
                found = assert_single_root_cause(check(gate.url), "http/not-a-registry")

        assert f"127.0.0.1:{gate.port} → 127.0.0.2:{portal.port}" in found["detail"]

    def test_a_portal_that_cannot_be_reached(self) -> None:
        there = f"http://127.0.0.1:{ports.free_port()}/login"
        with HTTPServer(lambda _request: Answer(302, b"", [("Location", there)])) as gate:
            found = assert_single_root_cause(check(gate.url), "http/not-a-registry")

        assert there in found["detail"]
        assert found["certainty"] == "likely"

    def test_the_airplay_receiver_of_a_mac(self) -> None:
        with HTTPServer(lambda _request: Answer(403, b"", [("Server", "AirTunes/695.5.1")])) as receiver:
            found = assert_single_root_cause(check(receiver.url), "http/not-a-registry")

        assert "AirTunes" in found["detail"]
        assert any("AirPlay" in step for step in found["fix"])

    @nginx
    def test_a_plain_web_server(self, start_nginx: StartNginx, tmp_path: Path) -> None:
        port = ports.free_port()
        start_nginx(
            server_block([f"listen 127.0.0.1:{port};", f"root {tmp_path};"]), ready_on=("127.0.0.1", port)
        )

        found = assert_single_root_cause(check(f"http://127.0.0.1:{port}"), "http/not-a-registry")

        assert "404" in found["detail"]

    def test_the_web_page_of_a_registry_product(self) -> None:
        page = Answer(
            404, PAGE.encode(), [("Content-Type", "text/html"), ("Server", "Nexus/3.70.1-02 (OSS)")]
        )
        with HTTPServer(lambda _request: page) as nexus:
            found = assert_single_root_cause(check(nexus.url), "http/not-a-registry")

        assert "Nexus" in found["detail"]


class TestUpstreamDown:
    @nginx
    def test_nginx_in_front_of_a_dead_registry(self, start_nginx: StartNginx) -> None:
        proxy = start_nginx(ReverseProxy(f"http://127.0.0.1:{ports.free_port()}"))

        found = assert_single_root_cause(check(proxy.url), "http/upstream-down")
        assert_single_root_cause(check(f"{proxy.address}/team/app:1.0", "--plain-http"), "http/upstream-down")

        assert found["certainty"] == "proven"
        assert "nginx" in found["detail"]

    @nginx
    def test_nginx_that_adds_the_registry_s_header_to_everything(self, start_nginx: StartNginx) -> None:
        # As distribution's own recipe for nginx does.
        header = "add_header Docker-Distribution-Api-Version registry/2.0 always;"
        proxy = start_nginx(ReverseProxy(f"http://127.0.0.1:{ports.free_port()}", server_directives=[header]))

        assert_single_root_cause(check(proxy.url), "http/upstream-down")

    @haproxy
    @nginx
    def test_haproxy_in_front_of_something_that_hangs_up(
        self, tmp_path: Path, start_nginx: StartNginx
    ) -> None:
        port = ports.free_port()
        start_nginx(server_block([f"listen 127.0.0.1:{port};", "return 444;"]), ready_on=("127.0.0.1", port))
        with Haproxy(tmp_path / "haproxy", [f"127.0.0.1:{port}"]) as balancer:
            found = assert_single_root_cause(check(balancer.url), "http/upstream-down")

        assert "HAProxy" in found["detail"]
