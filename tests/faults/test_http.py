"""Faults of HTTP before a real registry, each the single root cause, and the healthy twins."""

from __future__ import annotations

import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import NAME, PASSWORD, USERNAME, StartNginx, StartRegistry
from tests.support import ports
from tests.support.certificates import CertificateFiles
from tests.support.haproxy import Haproxy
from tests.support.http_server import Answer, HTTPServer, Request, json_answer
from tests.support.images import PushedImage, push_image
from tests.support.nginx import Nginx, ReverseProxy, server_block
from tests.support.raw_server import raw_server, send
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_single_root_cause,
    codes,
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

    def test_another_web_server_where_tls_is_expected(self) -> None:
        """Docker's advice, to call it insecure, would help nobody."""
        with HTTPServer(lambda _request: Answer(403, b"", [("Server", "AirTunes/695.5.1")])) as receiver:
            result = check(f"127.0.0.1:{receiver.port}")

        assert "AirTunes" in assert_single_root_cause(result, "http/not-a-registry")["detail"]
        assert "tls/plain-http-server" in codes(result.report)

    @pytest.mark.parametrize("scheme", ["", "http://"])
    @pytest.mark.parametrize(
        "greeting", [b"SSH-2.0-OpenSSH_9.2p1\r\n", b"220 mail.test ESMTP\r\n", b"J\x00\x00\x008.0.36\x00"]
    )
    def test_a_service_of_another_protocol(self, scheme: str, greeting: bytes) -> None:
        with raw_server(send(greeting)) as port:
            result = check(f"{scheme}127.0.0.1:{port}", "--timeout", "2")

        found = assert_single_root_cause(result, "http/not-a-registry")
        assert "Another service listens on this port" in found["detail"]

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

    @pytest.mark.needs_root
    @pytest.mark.parametrize(
        ("name", "trusted", "code"),
        [(NAME, False, "http/not-a-registry"), ("other.test", True, "tls/hostname-mismatch")],
    )
    def test_a_portal_with_a_wrong_certificate(
        self, certificate: CertificateFiles, name: str, trusted: bool, code: str
    ) -> None:
        page = Answer(200, PAGE.encode(), [("Content-Type", "text/html")])
        arguments = ("--cacert", certificate.ca) if trusted else ()
        with HTTPServer(lambda _request: page, tls=certificate, name=name) as portal:
            result = check(portal.url, *arguments, hosts=portal.hosts)

        assert_single_root_cause(result, code)
        assert_has(result, "http/not-a-registry")

    def test_a_sign_in_page_that_is_called_forbidden(self) -> None:
        page = (
            "<html><head><title>Sign In</title></head><body><form action=/oauth2/start></form></body></html>"
        )
        with HTTPServer(lambda _request: Answer(403, page.encode(), [("Content-Type", "text/html")])) as gate:
            found = assert_single_root_cause(check(gate.url), "http/not-a-registry")

        assert "asks to sign in" in found["detail"]

    @nginx
    @registry_needed
    @pytest.mark.parametrize(
        "location",
        [
            "location ~ /manifests/ { return 404; }",
            "location ~ /blobs/ { return 404; }",
            "location ~ /manifests/ { default_type text/html; return 200 '<html>hello</html>'; }",
            "location ~ /manifests/ { default_type text/plain; return 404 '404 page not found\\n'; }",
        ],
    )
    def test_a_proxy_that_passes_on_the_ping_and_not_the_image(
        self, registry: Registry, start_nginx: StartNginx, location: str
    ) -> None:
        image = push_image(registry)
        proxy = start_nginx(ReverseProxy(registry.upstream, locations=[location]))

        assert_single_root_cause(check_image(proxy.address, image), "http/not-a-registry")


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


class TestPathPrefix:
    @nginx
    @registry_needed
    @pytest.mark.parametrize("path", ["/registry/", "/images/"])
    def test_a_registry_published_below_a_path(
        self, registry: Registry, start_nginx: StartNginx, path: str
    ) -> None:
        proxy = start_nginx(ReverseProxy(f"{registry.upstream}/", path=path))
        image = f"{proxy.address}{path}team/app:1.0"

        found = assert_single_root_cause(check(image, "--plain-http"), "http/path-prefix")

        assert f"{proxy.url}{path}v2/" in found["detail"]

    @nginx
    @registry_needed
    def test_a_path_beside_pages_for_every_other_one(
        self, registry: Registry, start_nginx: StartNginx
    ) -> None:
        pages = "location / { default_type text/html; return 200 '<html><title>Portal</title></html>'; }"
        proxy = start_nginx(ReverseProxy(f"{registry.upstream}/", path="/registry/", locations=[pages]))

        assert_single_root_cause(check(proxy.url), "http/path-prefix")

    @registry_needed
    def test_a_registry_that_is_configured_with_a_prefix(self, start_registry: StartRegistry) -> None:
        registry = start_registry(config={"http": {"prefix": "/docker/"}})

        assert_single_root_cause(check(registry.url), "http/path-prefix")


class TestNoBackend:
    @haproxy
    @registry_needed
    def test_a_health_check_that_takes_401_for_down(
        self, start_registry: StartRegistry, tmp_path: Path
    ) -> None:
        registry = start_registry(htpasswd={USERNAME: PASSWORD})
        checks = [
            "option httpchk GET /v2/",
            "http-check expect status 200",
            "default-server inter 100ms fall 1",
        ]
        with Haproxy(tmp_path / "h", [f"127.0.0.1:{registry.port}"], backend=checks, check=True) as balancer:
            balancer.daemon.wait_for_log("is DOWN")
            found = assert_single_root_cause(check(balancer.url), "http/no-backend")

        assert "HAProxy" in found["detail"]
        assert any("401" in step for step in found["fix"])

    @haproxy
    @registry_needed
    def test_a_health_check_that_accepts_401(self, start_registry: StartRegistry, tmp_path: Path) -> None:
        registry = start_registry(htpasswd={USERNAME: PASSWORD})
        checks = ["option httpchk GET /v2/", "http-check expect rstatus ^(200|401)$"]
        arguments = ("--username", USERNAME, "--password-stdin")
        with Haproxy(tmp_path / "h", [f"127.0.0.1:{registry.port}"], backend=checks, check=True) as balancer:
            assert_healthy(run_regdoctor("check", balancer.url, *arguments, stdin=PASSWORD))

    @haproxy
    def test_a_dead_registry_that_is_not_checked(self, tmp_path: Path) -> None:
        with Haproxy(tmp_path / "h", [f"127.0.0.1:{ports.free_port()}"]) as balancer:
            found = assert_single_root_cause(check(balancer.url), "http/no-backend")

        assert "tried to connect" in found["detail"]

    @nginx
    def test_a_page_for_the_time_of_maintenance(self, start_nginx: StartNginx) -> None:
        port = ports.free_port()
        page = "location @down { add_header Retry-After 3600 always; default_type text/html; "
        page += "return 503 '<html><h1>Scheduled maintenance</h1></html>'; }"
        start_nginx(
            server_block(
                [f"listen 127.0.0.1:{port};", "error_page 503 @down;", "location / { return 503; }", page]
            ),
            ready_on=("127.0.0.1", port),
        )

        found = assert_single_root_cause(check(f"http://127.0.0.1:{port}"), "http/no-backend")

        assert "Scheduled maintenance" in found["detail"]
        assert "3600" in found["detail"]


class TestTimeouts:
    @haproxy
    @registry_needed
    def test_a_balancer_that_waits_a_second(self, registry: Registry, tmp_path: Path) -> None:
        with Haproxy(
            tmp_path / "h", [f"127.0.0.1:{registry.port}"], defaults=["timeout server 1s"]
        ) as balancer:
            registry.suspend()
            found = assert_single_root_cause(check(balancer.url), "http/gateway-timeout")

        assert re.search(r"after 1\.\d s", found["detail"])

    @nginx
    @registry_needed
    def test_nginx_that_waits_a_second(self, registry: Registry, start_nginx: StartNginx) -> None:
        proxy = start_nginx(ReverseProxy(registry.upstream, read_timeout="1s"))
        registry.suspend()

        assert_single_root_cause(check(proxy.url), "http/gateway-timeout")

    @haproxy
    @registry_needed
    def test_a_balancer_of_connections_that_cuts_after_a_second(
        self, registry: Registry, tmp_path: Path
    ) -> None:
        settings = ["mode tcp", "option tcplog", "timeout server 1s"]
        with Haproxy(
            tmp_path / "h", [f"127.0.0.1:{registry.port}"], defaults=settings, forwarded_proto=False
        ) as balancer:
            registry.suspend()
            found = assert_single_root_cause(check(balancer.url), "http/gateway-timeout")

        assert re.search(r"1\.\d, 1\.\d, 1\.\d", found["detail"])

    @registry_needed
    def test_a_registry_that_never_answers(self, registry: Registry) -> None:
        registry.suspend()

        assert_single_root_cause(check(registry.url, "--timeout", "1"), "http/response-timeout")

    @nginx
    @registry_needed
    @pytest.mark.needs_root
    def test_a_registry_that_never_answers_behind_nginx(
        self, registry: Registry, nginx_tls: Nginx, certificate: CertificateFiles
    ) -> None:
        registry.suspend()
        result = check(nginx_tls.url, "--timeout", "1", "--cacert", certificate.ca, hosts=nginx_tls.hosts)

        assert_single_root_cause(result, "http/response-timeout")


class TestOwnErrors:
    @registry_needed
    def test_a_failing_health_check_of_the_registry(
        self, start_registry: StartRegistry, tmp_path: Path
    ) -> None:
        switch = tmp_path / "down"
        switch.touch()
        registry = start_registry(
            config={"health": {"file": [{"file": str(switch), "interval": "100ms", "threshold": 1}]}}
        )
        registry.daemon.wait_until(
            lambda: registry.client().exchange("GET", f"{registry.url}/v2/").status == 503, "unhealthy"
        )

        found = assert_single_root_cause(check(registry.url), "http/registry-unhealthy")

        assert found["certainty"] == "proven"

    @registry_needed
    @pytest.mark.needs_root
    def test_a_storage_that_the_registry_s_health_check_cannot_see(
        self, start_registry: StartRegistry, open_tmp_path: Path
    ) -> None:
        storage = open_tmp_path / "volume" / "images"
        health = {"storagedriver": {"enabled": True, "interval": "100ms", "threshold": 1}}
        registry = start_registry(storage=storage, user="nobody", config={"health": health})
        assert_healthy(check(registry.url))
        storage.parent.chmod(0)
        registry.daemon.wait_until(
            lambda: registry.client().exchange("GET", f"{registry.url}/v2/").status == 503, "unhealthy"
        )

        assert_single_root_cause(check(registry.url), "http/registry-unhealthy")

    @registry_needed
    def test_a_damaged_link_of_a_tag(self, registry: Registry) -> None:
        image = push_image(registry)
        registry.tag_link(image.repository, "1.0").write_text("")

        found = assert_single_root_cause(check_image(registry.address, image), "http/server-error")

        assert "manifests/1.0 was answered 500" in found["detail"]

    @registry_needed
    @pytest.mark.needs_root
    def test_storage_that_the_registry_may_not_read(self, start_registry: StartRegistry) -> None:
        registry = start_registry(user="nobody")
        image = push_image(registry)
        registry.repository_path("team").chmod(0)

        found = assert_single_root_cause(check_image(registry.address, image), "http/server-error")

        assert "ermission denied" in found["detail"]


class TestRedirects:
    @nginx
    def test_a_redirect_to_itself(self, start_nginx: StartNginx) -> None:
        port = ports.free_port()
        start_nginx(
            server_block([f"listen 127.0.0.1:{port};", "return 301 $scheme://$http_host$request_uri;"]),
            ready_on=("127.0.0.1", port),
        )

        assert_single_root_cause(check(f"http://127.0.0.1:{port}"), "http/redirect-loop")
        assert_single_root_cause(
            check(f"127.0.0.1:{port}/team/app:1.0", "--plain-http"), "http/redirect-loop"
        )

    @nginx
    @pytest.mark.needs_root
    def test_a_redirect_from_https_to_http(
        self, start_nginx: StartNginx, certificate: CertificateFiles
    ) -> None:
        port = ports.free_port()
        lines = [
            f"listen 127.0.0.1:{port} ssl;",
            f"ssl_certificate {certificate.fullchain};",
            f"ssl_certificate_key {certificate.key};",
            "return 301 http://$host$request_uri;",
        ]
        start_nginx(server_block(lines), ready_on=("127.0.0.1", port))
        result = check(f"{NAME}:{port}", "--cacert", certificate.ca, hosts={NAME: "127.0.0.1"})

        found = assert_single_root_cause(result, "http/redirect-loop")

        assert "from https to http" in found["detail"]


class TestEdge:
    @nginx
    @registry_needed
    def test_an_address_that_nginx_denies(self, registry: Registry, start_nginx: StartNginx) -> None:
        proxy = start_nginx(ReverseProxy(registry.upstream, server_directives=["deny 127.0.0.1;"]))

        found = assert_single_root_cause(check(proxy.url), "http/edge-blocked")
        assert_single_root_cause(check(f"{proxy.address}/team/app:1.0", "--plain-http"), "http/edge-blocked")

        assert "nginx" in found["detail"]

    @nginx
    @registry_needed
    @pytest.mark.parametrize("part", ["manifests", "blobs"])
    def test_a_rule_about_the_image_alone(
        self, registry: Registry, start_nginx: StartNginx, part: str
    ) -> None:
        image = push_image(registry)
        rule = f"location ~ /{part}/ {{ deny all; }}"
        proxy = start_nginx(ReverseProxy(registry.upstream, locations=[rule]))

        assert_single_root_cause(check_image(proxy.address, image), "http/edge-blocked")

    def test_a_cdn_that_blocks(self) -> None:
        page = "<html><title>Attention Required! | Cloudflare</title></html>"
        headers = [("Server", "cloudflare"), ("CF-Ray", "8a1-FRA"), ("Content-Type", "text/html")]
        with HTTPServer(lambda _request: Answer(403, page.encode(), headers)) as edge:
            found = assert_single_root_cause(check(edge.url), "http/edge-blocked")

        assert found["certainty"] == "proven"
        assert "Cloudflare" in found["detail"]

    def test_a_firewall_that_names_itself_as_a_server(self) -> None:
        page = "<html>The requested URL was rejected. Your support ID is: 821</html>"
        headers = [("Server", "BigIP"), ("Content-Type", "text/html")]
        with HTTPServer(lambda _request: Answer(403, page.encode(), headers)) as edge:
            found = assert_single_root_cause(check(edge.url), "http/edge-blocked")

        assert "Your support ID is: 821" in found["detail"]

    def test_a_rule_about_addresses_in_the_registry_s_form(self) -> None:
        message = "client with IP '192.0.2.7' is not allowed access. Refer https://aka.ms/acr/firewall."
        denied = json_answer(403, {"errors": [{"code": "DENIED", "message": message}]})
        with HTTPServer(lambda _request: denied) as azure:
            found = assert_single_root_cause(check(azure.url), "http/edge-blocked")

        assert "192.0.2.7" in found["detail"]


class TestContent:
    @nginx
    @registry_needed
    def test_a_proxy_that_replaces_words(self, registry: Registry, start_nginx: StartNginx) -> None:
        image = push_image(registry)
        change = ["sub_filter_types *;", "sub_filter_once off;", "sub_filter schemaVersion schemaversion;"]
        proxy = start_nginx(ReverseProxy(registry.upstream, directives=change))

        found = assert_single_root_cause(check_image(proxy.address, image), "http/content-rewritten")

        assert image.digest in found["detail"]
        assert found["certainty"] == "proven"

    @nginx
    @registry_needed
    def test_a_damaged_manifest_behind_a_proxy_is_not_the_proxy_s_doing(
        self, registry: Registry, start_nginx: StartNginx
    ) -> None:
        image = push_image(registry)
        stored = registry.blob_path(image.digest)
        stored.write_bytes(stored.read_bytes().replace(b"schemaVersion", b"schemaversion"))
        proxy = start_nginx(ReverseProxy(registry.upstream))

        assert_single_root_cause(check_image(proxy.address, image), "image/blob-corrupt")

    @nginx
    @registry_needed
    def test_a_proxy_that_only_compresses_for_who_asks(
        self, registry: Registry, start_nginx: StartNginx
    ) -> None:
        gzip = ["gzip on;", "gzip_types *;", "gzip_min_length 1;", "gzip_proxied any;"]
        proxy = start_nginx(ReverseProxy(registry.upstream, directives=gzip))

        assert_healthy(check_image(proxy.address, push_image(registry)))

    @nginx
    @registry_needed
    def test_a_cache_that_keeps_a_moved_tag(
        self, registry: Registry, start_nginx: StartNginx, tmp_path: Path
    ) -> None:
        proxy = start_nginx(
            ReverseProxy(registry.upstream, directives=["proxy_cache kept;", "proxy_cache_valid 200 10m;"]),
            http=[f"proxy_cache_path {tmp_path / 'cache'} keys_zone=kept:1m;"],
        )
        old = push_image(registry, "team/app", "1.0")
        assert_healthy(check_image(proxy.address, old))
        new = push_image(registry, "team/app", "1.0", platform="linux/amd64", layers=3)

        found = assert_single_root_cause(check_image(proxy.address, new), "http/content-rewritten")

        assert old.digest in found["detail"]
        assert new.digest in found["detail"]

    @registry_needed
    def test_a_hop_that_cuts_long_answers(self, registry: Registry) -> None:
        image = push_image(registry)

        with cutting_relay(registry, after=700) as port:
            found = assert_single_root_cause(
                check_image(f"127.0.0.1:{port}", image), "http/content-rewritten"
            )

        assert f"announced {image.size} bytes" in found["detail"]

    @registry_needed
    def test_a_hop_that_passes_everything(self, registry: Registry) -> None:
        image = push_image(registry)

        with cutting_relay(registry, after=1_000_000) as port:
            assert_healthy(check_image(f"127.0.0.1:{port}", image))


@contextmanager
def cutting_relay(registry: Registry, *, after: int) -> Iterator[int]:
    """Passes connections on to a registry and closes each once so many bytes have come back; gives the port."""

    def relay(near: socket.socket, _over: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", registry.port), timeout=10) as far:
            left = after
            while left > 0:
                for source in select.select([near, far], [], [], 10)[0]:
                    content = source.recv(65536)
                    if not content:
                        return
                    if source is near:
                        far.sendall(content)
                    else:
                        near.sendall(content[:left])
                        left -= len(content)

    with raw_server(relay) as port:
        yield port


class TestReplicas:
    @nginx
    @registry_needed
    def test_two_registries_with_storages_of_their_own(
        self, start_registry: StartRegistry, start_nginx: StartNginx
    ) -> None:
        first, second = start_registry(), start_registry()
        image = push_image(first)
        proxy = start_nginx(
            ReverseProxy("http://both"),
            upstreams={"both": [f"127.0.0.1:{each.port}" for each in (first, second)]},
        )

        for _ in range(2):
            found = assert_single_root_cause(check_image(proxy.address, image), "http/replicas-differ")

        assert "404" in found["detail"]
        assert image.digest in found["detail"]

    @haproxy
    @registry_needed
    def test_one_dead_registry_of_two(self, registry: Registry, tmp_path: Path) -> None:
        image = push_image(registry)
        members = [f"127.0.0.1:{registry.port}", f"127.0.0.1:{ports.free_port()}"]
        with Haproxy(tmp_path / "h", members, backend=["retries 0"]) as balancer:
            assert_single_root_cause(check(balancer.url), "http/replicas-differ")
            found = assert_single_root_cause(check_image(balancer.address, image), "http/replicas-differ")

        assert "503" in found["detail"]

    @nginx
    @registry_needed
    def test_two_registries_with_passwords_of_their_own(
        self, start_registry: StartRegistry, start_nginx: StartNginx
    ) -> None:
        first = start_registry(htpasswd={USERNAME: PASSWORD})
        second = start_registry(htpasswd={USERNAME: "another"}, storage=first.storage)
        image = push_image(first)
        proxy = start_nginx(
            ReverseProxy("http://both"),
            upstreams={"both": [f"127.0.0.1:{each.port}" for each in (first, second)]},
        )
        login = ("--plain-http", "--username", USERNAME, "--password-stdin", *PLATFORM)

        for target in (image.reference(proxy.address), proxy.address):
            result = run_regdoctor("check", target, *login, stdin=PASSWORD)
            assert_single_root_cause(result, "http/replicas-differ")

    @haproxy
    @nginx
    @registry_needed
    def test_one_of_two_hangs_up(self, registry: Registry, start_nginx: StartNginx, tmp_path: Path) -> None:
        port = ports.free_port()
        start_nginx(server_block([f"listen 127.0.0.1:{port};", "return 444;"]), ready_on=("127.0.0.1", port))
        members = [f"127.0.0.1:{registry.port}", f"127.0.0.1:{port}"]
        settings = ["mode tcp", "option tcplog"]
        with Haproxy(tmp_path / "h", members, defaults=settings, forwarded_proto=False) as balancer:
            for _ in range(2):
                found = assert_single_root_cause(check(balancer.url), "http/replicas-differ")

        assert "no answer" in found["detail"]

    @registry_needed
    @pytest.mark.needs_root
    def test_one_odd_address_of_two(self, start_registry: StartRegistry) -> None:
        port = ports.free_port()
        first = start_registry(host="127.0.0.1", port=port)
        start_registry(host="127.0.0.2", port=port)
        image = push_image(first).reference(f"{NAME}:{port}")
        both = f"127.0.0.1 {NAME}\n127.0.0.2 {NAME}\n"
        result = run_regdoctor("check", image, "--plain-http", *PLATFORM, hosts=both)

        found = assert_single_root_cause(result, "http/replicas-differ")

        assert "from 127.0.0.2" in found["detail"]


class TestLimits:
    @nginx
    @registry_needed
    def test_nginx_that_limits_requests(self, registry: Registry, start_nginx: StartNginx) -> None:
        image = push_image(registry)
        proxy = start_nginx(
            ReverseProxy(registry.upstream, directives=["limit_req zone=slow;"]),
            http=["limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/s;"],
        )

        found = assert_single_root_cause(check(proxy.url), "http/rate-limited")
        ports.wait_until(
            lambda: registry.client().exchange("GET", f"{proxy.url}/v2/").status == 200, "let in"
        )
        assert_single_root_cause(check_image(proxy.address, image), "http/rate-limited")

        assert "nginx" in found["detail"]

    @nginx
    @registry_needed
    def test_nginx_whose_limit_lasts(self, registry: Registry, start_nginx: StartNginx) -> None:
        image = push_image(registry)
        proxy = start_nginx(
            ReverseProxy(registry.upstream, directives=["limit_req zone=slow burst=1 nodelay;"]),
            http=["limit_req_zone $binary_remote_addr zone=slow:1m rate=6r/m;"],
        )

        found = assert_single_root_cause(check_image(proxy.address, image), "http/rate-limited")

        assert found["certainty"] == "likely"

    @nginx
    @registry_needed
    def test_nginx_that_lets_bursts_pass(self, registry: Registry, start_nginx: StartNginx) -> None:
        image = push_image(registry)
        proxy = start_nginx(
            ReverseProxy(registry.upstream, directives=["limit_req zone=wide burst=40 nodelay;"]),
            http=["limit_req_zone $binary_remote_addr zone=wide:1m rate=10r/s;"],
        )

        assert_healthy(check_image(proxy.address, image))

    def test_a_used_up_quota_of_pulls(self) -> None:
        error = {
            "code": "TOOMANYREQUESTS",
            "message": "You have reached your unauthenticated pull rate limit.",
        }
        limited = json_answer(429, {"errors": [error]}, ("docker-ratelimit-source", "192.0.2.7"))

        def respond(request: Request) -> Answer:
            return open_registry() if request.target == "/v2/" else limited

        with HTTPServer(respond) as hub:
            found = assert_single_root_cause(
                check(f"127.0.0.1:{hub.port}/team/app:1.0", "--plain-http"), "http/rate-limited"
            )

        assert "quota of pulls" in found["detail"]
        assert "192.0.2.7" in found["detail"]

    @nginx
    @registry_needed
    @pytest.mark.parametrize(("remaining", "healthy"), [(80, True), (7, False)])
    def test_a_quota_that_runs_out(
        self, registry: Registry, start_nginx: StartNginx, remaining: int, healthy: bool
    ) -> None:
        image = push_image(registry)
        headers = [
            'add_header RateLimit-Limit "100;w=21600";',
            f'add_header RateLimit-Remaining "{remaining};w=21600";',
        ]
        proxy = start_nginx(ReverseProxy(registry.upstream, directives=headers))
        result = check_image(proxy.address, image)

        if healthy:
            assert_healthy(result)
        else:
            found = assert_single_root_cause(result, "http/rate-low")
            assert "7 of 100 pulls in 6 h" in found["detail"]


def open_registry() -> Answer:
    return json_answer(200, {}, ("Docker-Distribution-Api-Version", "registry/2.0"))
