"""Configurations of reverse proxies, each tried by a real push through the real program.

What is said of a file has to agree with what a push through it does: where the push fails, the line is named, and
where it passes, nothing is wrong.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NAME, StartNginx
from tests.support import ports
from tests.support.caddy import Caddy
from tests.support.certificates import CertificateFiles
from tests.support.haproxy import Haproxy
from tests.support.images import push_image
from tests.support.nginx import Nginx
from tests.support.programs import path
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry
from tests.support.skopeo import skopeo
from tests.support.traefik import Traefik

pytestmark = [pytest.mark.needs("docker-registry", "skopeo"), pytest.mark.needs_root]
nginx = pytest.mark.needs("nginx")
haproxy = pytest.mark.needs("haproxy")
traefik = pytest.mark.needs("traefik")
caddy = pytest.mark.needs("caddy")

HOSTS = {NAME: "127.0.0.1"}
LAYER = 3_000_000
SIZE = "client_max_body_size 0;"
PASS = "proxy_pass http://127.0.0.1:UPSTREAM;"
HOST = "proxy_set_header Host $http_host;"
FORWARDED_HOST = "proxy_set_header X-Forwarded-Host $http_host;"
PROTO = "proxy_set_header X-Forwarded-Proto $scheme;"
STREAMED = "proxy_request_buffering off; proxy_http_version 1.1; proxy_read_timeout 900;"
RIGHT = f"{PASS} {HOST} {PROTO} {STREAMED}"


@dataclass
class Stage:
    """nginx with a configuration in front of the registry, for pushes through it."""

    proxy: Nginx
    registry: Registry
    port: int
    authority: Path

    @property
    def file(self) -> Path:
        return self.proxy.config_path

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}"

    def place(self, text: str) -> dict[str, Any]:
        """Where a text stands in the configuration, as findings name it."""
        for number, line in enumerate(self.file.read_text().splitlines(), start=1):
            if text in line:
                return {"path": str(self.file), "line": number, "column": line.index(text) + 1}
        raise AssertionError(f"{text} is not in {self.file}")

    def push(self) -> subprocess.CompletedProcess[str]:
        return push(f"{NAME}:{self.port}", self.registry, self.authority)

    def lint(self) -> CliResult:
        return run_regdoctor("lint", self.file)

    def check(self, *arguments: str | Path) -> CliResult:
        return check(self.url, self.file, self.authority, *arguments)


def push(address: str, source: Registry, authority: Path) -> subprocess.CompletedProcess[str]:
    """Copy an image through the proxy as a user would; the layers are of 3 MB."""
    push_image(source, "source/app", "1.0", layer_size=LAYER)
    return skopeo(
        "copy",
        "--src-tls-verify=false",
        f"docker://{source.address}/source/app:1.0",
        f"docker://{address}/team/app:1.0",
        ca=authority,
        hosts=HOSTS,
    )


def check(url: str, file: Path, authority: Path, *arguments: str | Path) -> CliResult:
    words = ("--push", "--push-seconds", "4", "--proxy-config", file, "--cacert", authority)
    return run_regdoctor("check", url, *words, *arguments, hosts=HOSTS)


Open = Callable[..., Stage]


@pytest.fixture
def open_stage(registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles) -> Open:
    """Start nginx with the body of a server with TLS and lines of the http block."""

    def start(server: str, *, http: str = "", listen: str = "") -> Stage:
        port = ports.free_port()

        def filled(text: str) -> str:
            known = {
                "UPSTREAM": str(registry.port),
                "PORT": str(port),
                "CERTIFICATE": f"ssl_certificate {certificate.fullchain}; ssl_certificate_key {certificate.key};",
            }
            for word, value in known.items():
                text = text.replace(word, value)
            return text

        head = listen or f"listen 127.0.0.1:PORT ssl; server_name {NAME};"
        block = f"server {{\n{head} CERTIFICATE\n{server}\n}}"
        proxy = start_nginx(
            filled(block),
            http=[filled(http)] if http else [],
            ready_on=("127.0.0.1", port),
        )
        return Stage(proxy, registry, port, certificate.ca)

    return start


def location(inside: str, path: str = "/") -> str:
    return f"location {path} {{ {inside} }}"


RECIPE = """
client_max_body_size 0;
chunked_transfer_encoding on;
location /v2/ {
  if ($http_user_agent ~ "^(docker\\/1\\.(3|4|5(?!\\.[0-9]-dev))|Go ).*$" ) {
    return 404;
  }
  add_header 'Docker-Distribution-Api-Version' $docker_distribution_api_version always;
  proxy_pass                          http://docker-registry;
  proxy_set_header  Host              $http_host;
  proxy_set_header  X-Real-IP         $remote_addr;
  proxy_set_header  X-Forwarded-For   $proxy_add_x_forwarded_for;
  proxy_set_header  X-Forwarded-Proto $scheme;
  proxy_read_timeout                  900;
}
"""
"""Of distribution's documentation (recipes, nginx)."""
RECIPE_HTTP = """
upstream docker-registry { server 127.0.0.1:UPSTREAM; }
map $upstream_http_docker_distribution_api_version $docker_distribution_api_version { '' 'registry/2.0'; }
"""

WORKING: Mapping[str, tuple[str, str]] = {
    "the recipe of the documentation": (RECIPE, RECIPE_HTTP),
    "streamed": (f"{SIZE} {location(RIGHT)}", ""),
    "no limit for all servers": (location(RIGHT), SIZE),
    "a location without a limit in a server with one": (
        f"client_max_body_size 1m; {location(f'{SIZE} {RIGHT}')}",
        "",
    ),
    "another server with a small limit": (
        f"{SIZE} {location(RIGHT)}",
        "server { listen 127.0.0.1:PORT ssl; server_name www.test; CERTIFICATE client_max_body_size 1k;\n"
        "location / { return 200; } }",
    ),
    "a location beside it with a small limit": (
        f"{SIZE} {location(RIGHT)} location /web/ {{ client_max_body_size 1k; {PASS} }}",
        "",
    ),
    "headers of the server": (
        f"{SIZE} {HOST} {PROTO} {location(f'{PASS} {STREAMED}')}",
        "",
    ),
    "no headers at all": (f"{SIZE} {location(f'{PASS} {STREAMED}')}", ""),
    "no headers to a group": (
        f"{SIZE} {location(f'proxy_pass http://group; {STREAMED}')}",
        "upstream group { server 127.0.0.1:UPSTREAM; }",
    ),
    "the port named": (
        f"{SIZE} {location(f'{PASS} proxy_set_header Host $host:$server_port; {PROTO} {STREAMED}')}",
        "",
    ),
    "the host forwarded": (
        f"{SIZE} {location(f'{PASS} proxy_set_header Host $host; {FORWARDED_HOST} {PROTO} {STREAMED}')}",
        "",
    ),
    "the scheme by a map": (
        f"{SIZE} {location(f'{PASS} {HOST} proxy_set_header X-Forwarded-Proto $proto; {STREAMED}')}",
        "map $http_x_forwarded_proto $proto { default $http_x_forwarded_proto; '' $scheme; }",
    ),
    "the scheme by a variable": (
        f"{SIZE} set $proto https;\n"
        f"{location(f'{PASS} {HOST} proxy_set_header X-Forwarded-Proto $proto; {STREAMED}')}",
        "",
    ),
    "Location put right": (
        f"{SIZE} {location(f'{PASS} {HOST} proxy_redirect http:// $scheme://; {STREAMED}')}",
        "",
    ),
    "a slash after the address": (
        f"{SIZE} {location(f'proxy_pass http://127.0.0.1:UPSTREAM/; {HOST} {PROTO} {STREAMED}')}",
        "",
    ),
    "the same path after the address": (
        f"{SIZE} {location(f'proxy_pass http://127.0.0.1:UPSTREAM/v2/; {HOST} {PROTO} {STREAMED}', '/v2/')}",
        "",
    ),
    "an address in a variable": (
        f"{SIZE} {location(f'set $to http://127.0.0.1:UPSTREAM; proxy_pass $to; {HOST} {PROTO} {STREAMED}')}",
        "",
    ),
    "everything handed on by a variable": (
        f"{SIZE} {location(f'proxy_pass http://127.0.0.1:UPSTREAM$request_uri; {HOST} {PROTO} {STREAMED}')}",
        "",
    ),
    "a regular expression": (
        f"{SIZE} {location(RIGHT, '~ ^/v2/')} location / {{ client_max_body_size 1k; return 404; }}",
        "",
    ),
    "a location in a location": (
        f"{SIZE} location / {{ {HOST} {PROTO} {location(f'{PASS} {STREAMED}', '/v2/')} return 404; }}",
        "",
    ),
    "try_files": (f"{SIZE} location / {{ try_files $uri @r; }} {location(RIGHT, '@r')}", ""),
    "methods that pushes do not need": (
        f"{SIZE} {location(RIGHT)}\n"
        "if ($request_method !~ ^(GET|HEAD|POST|PUT|PATCH|DELETE)$) { return 405; }",
        "",
    ),
    "compression of everything": (
        f"{SIZE} gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any; {location(RIGHT)}",
        "",
    ),
}


@nginx
@pytest.mark.parametrize("case", WORKING)
def test_a_push_passes_and_nothing_is_wrong(open_stage: Open, case: str) -> None:
    server, http = WORKING[case]
    stage = open_stage(server, http=http)
    pushed = stage.push()

    assert pushed.returncode == 0, pushed.stderr
    assert_healthy(stage.lint())


@dataclass(frozen=True)
class Broken:
    """A configuration that pushes fail at: what is named, and what stands at that place."""

    code: str
    place: str
    says: str
    server: str
    http: str = ""


BROKEN: Mapping[str, Broken] = {
    "a limit of the location": Broken(
        "proxyconf/body-size",
        "client_max_body_size 1m",
        "413",
        f"{SIZE}\nlocation / {{\nclient_max_body_size 1m;\n{RIGHT} }}",
    ),
    "a limit of the server": Broken(
        "proxyconf/body-size",
        "client_max_body_size 2m",
        "413",
        f"client_max_body_size 2m; {location(RIGHT)}",
        SIZE,
    ),
    "a limit for all servers": Broken(
        "proxyconf/body-size", "client_max_body_size 2m", "413", location(RIGHT), "client_max_body_size 2m;"
    ),
    "the limit that holds where none is written": Broken(
        "proxyconf/body-size", "location /", "413", location(RIGHT)
    ),
    "a limit of uploads alone": Broken(
        "proxyconf/body-size",
        "client_max_body_size 1m",
        "413",
        f"{SIZE} {location(f'client_max_body_size 1m; {RIGHT}', '~ /blobs/uploads/')} {location(RIGHT)}",
    ),
    "no scheme": Broken(
        "proxyconf/forwarded-proto",
        "location /",
        "400",
        f"{SIZE} {location(f'{PASS} {HOST} {STREAMED}')}",
    ),
    "a scheme that a header of the location switches off": Broken(
        "proxyconf/forwarded-proto",
        "location /",
        "400",
        f"{SIZE} {PROTO} {location(f'{PASS} {HOST} {STREAMED}')}",
    ),
    "the wrong scheme": Broken(
        "proxyconf/forwarded-proto",
        "proxy_set_header X-Forwarded-Proto http;",
        "400",
        f"{SIZE} {location(f'{PASS} {HOST} proxy_set_header X-Forwarded-Proto http; {STREAMED}')}",
    ),
    "the scheme that clients do not send": Broken(
        "proxyconf/forwarded-proto",
        "proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;",
        "400",
        f"{SIZE}\n"
        f"{location(f'{PASS} {HOST} proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto; {STREAMED}')}",
    ),
    "the name of the group": Broken(
        "proxyconf/host-header",
        "location /",
        "no such host",
        f"{SIZE} {location(f'proxy_pass http://group.invalid; {PROTO} {STREAMED}')}",
        "upstream group.invalid { server 127.0.0.1:UPSTREAM; }",
    ),
    "the address of the registry": Broken(
        "proxyconf/host-header",
        "location /",
        "server gave HTTP response to HTTPS client",
        f"{SIZE} {location(f'{PASS} {PROTO} {STREAMED}')}",
    ),
    "another name": Broken(
        "proxyconf/host-header",
        "proxy_set_header Host registry.invalid;",
        "no such host",
        f"{SIZE} {location(f'{PASS} proxy_set_header Host registry.invalid; {PROTO} {STREAMED}')}",
    ),
    "methods of uploads": Broken(
        "push/method-blocked",
        "limit_except GET POST",
        "403",
        f"{SIZE} {location(f'limit_except GET POST {{ deny all; }} {RIGHT}')}",
    ),
    "methods by an if": Broken(
        "push/method-blocked",
        "if ($request_method",
        "405",
        f"{SIZE} if ($request_method !~ ^(GET|HEAD|POST|PUT)$) {{ return 405; }}\n{location(RIGHT)}",
    ),
    "a prefix that is taken away": Broken(
        "push/path-rewritten",
        "proxy_pass http://127.0.0.1",
        "404",
        f"{SIZE} {location(f'proxy_pass http://127.0.0.1:UPSTREAM/; {HOST} {PROTO} {STREAMED}', '/v2/')}",
    ),
    "a prefix that is rewritten away": Broken(
        "push/path-rewritten",
        "rewrite ^/v2/(.*)$ /$1 break",
        "404",
        f"{SIZE} {location(f'rewrite ^/v2/(.*)$ /$1 break; {RIGHT}')}",
    ),
    "the slash at the end": Broken(
        "push/path-rewritten",
        "rewrite ^(.*)/$ $1",
        "redirects",
        f"{SIZE} rewrite ^(.*)/$ $1; {location(RIGHT)}",
    ),
    "the query": Broken(
        "push/path-rewritten",
        "proxy_pass http://127.0.0.1",
        "uploading layer",
        f"{SIZE} {location(f'proxy_pass http://127.0.0.1:UPSTREAM$uri; {HOST} {PROTO} {STREAMED}')}",
    ),
}


@nginx
@pytest.mark.parametrize("case", BROKEN)
def test_a_push_fails_and_the_line_is_named(open_stage: Open, case: str) -> None:
    broken = BROKEN[case]
    stage = open_stage(broken.server, http=broken.http)
    pushed = stage.push()
    assert pushed.returncode != 0
    assert broken.says in pushed.stderr
    found = assert_single_root_cause(stage.lint(), broken.code)

    assert found["places"] == [stage.place(broken.place)]


@nginx
@pytest.mark.parametrize(
    ("case", "symptom"),
    [
        ("a limit of the location", "push/body-too-large"),
        ("the limit that holds where none is written", "push/body-too-large"),
        ("no scheme", "push/location-scheme"),
        ("the address of the registry", "push/location-host"),
    ],
)
def test_a_check_with_a_push_names_the_line_as_the_cause(open_stage: Open, case: str, symptom: str) -> None:
    broken = BROKEN[case]
    stage = open_stage(broken.server, http=broken.http)
    result = stage.check()
    found = assert_single_root_cause(result, broken.code)

    assert found["certainty"] == "proven"
    assert found["places"] == [stage.place(broken.place)]
    assert assert_has(result, symptom)["caused_by"] == found["id"]


@nginx
@pytest.mark.parametrize("case", ["methods of uploads", "a prefix that is taken away", "the query"])
def test_a_check_with_a_push_that_fails_otherwise_names_the_line_as_well(open_stage: Open, case: str) -> None:
    broken = BROKEN[case]
    stage = open_stage(broken.server, http=broken.http)
    found = assert_single_root_cause(stage.check(), broken.code)

    assert found["places"][0] == stage.place(broken.place)


@nginx
def test_a_check_of_a_right_configuration_is_healthy(open_stage: Open) -> None:
    stage = open_stage(f"{SIZE} {location(RIGHT)}")

    assert_healthy(stage.check())
    assert "buffered to a temporary file" not in stage.proxy.log()


@nginx
def test_a_port_that_gets_lost(open_stage: Open) -> None:
    """Which port clients use, a file does not say: by itself it gives a warning, and with a target the cause."""
    stage = open_stage(f"{SIZE} {location(f'{PASS} proxy_set_header Host $host; {PROTO} {STREAMED}')}")
    pushed = stage.push()
    assert f"https://{NAME}/v2/" in pushed.stderr
    cause = assert_single_root_cause(stage.check(), "proxyconf/host-header")

    assert cause["places"] == [stage.place("proxy_set_header Host $host;")]
    assert assert_has(stage.lint(), "proxyconf/host-header")["severity"] == "warning"


Proxy = Haproxy | Traefik | Caddy


def open_proxy(
    program: str, folder: Path, registry: Registry, certificate: CertificateFiles, options: Mapping[str, Any]
) -> Proxy:
    """The program in front of the registry with TLS, and otherwise as its test support makes it: right."""
    given: dict[str, Any] = {"name": NAME, "tls": certificate, **options}
    if program == "haproxy":
        return Haproxy(folder, [f"127.0.0.1:{registry.port}"], **given)
    if program == "traefik":
        return Traefik(folder, registry.upstream, **given)
    return Caddy(folder, f"127.0.0.1:{registry.port}", **given)


NO_TIMER = {"transport": {"respondingTimeouts": {"readTimeout": "0s"}}}


def headers(**values: str) -> dict[str, Any]:
    """A middleware of Traefik that sets headers."""
    named = {name.replace("_", "-"): value for name, value in values.items()}
    return {"headers": {"headers": {"customRequestHeaders": named}}}


RIGHT_ELSEWHERE: list[tuple[str, dict[str, Any]]] = [
    ("haproxy", {}),
    ("haproxy", {"forwarded_proto": False, "backend": ["http-request add-header X-Forwarded-Proto https"]}),
    (
        "haproxy",
        {
            "forwarded_proto": False,
            "frontend": ["http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]"],
        },
    ),
    ("haproxy", {"backend": [r"http-request replace-path /web/(.*) /\1", "option forwardfor"]}),
    ("haproxy", {"frontend": ["acl web path_beg /web", "http-request deny if web"]}),
    ("traefik", {"entry_point": NO_TIMER}),
    ("traefik", {"entry_point": NO_TIMER, "balancer": {"passHostHeader": False}}),
    ("traefik", {"entry_point": NO_TIMER, "middlewares": headers(Host="registry.internal")}),
    ("traefik", {"entry_point": NO_TIMER, "middlewares": {"it": {"stripPrefix": {"prefixes": ["/web"]}}}}),
    ("traefik", {"entry_point": NO_TIMER, "middlewares": {"it": {"compress": {}}}}),
    ("caddy", {}),
    ("caddy", {"proxy": ["header_up Host {upstream_hostport}"]}),
    ("caddy", {"site": ["encode gzip", "request_body /web/* {", "max_size 1KB", "}"]}),
]


@haproxy
@traefik
@caddy
@pytest.mark.parametrize(("program", "options"), RIGHT_ELSEWHERE)
def test_a_push_passes_through_others_and_nothing_is_wrong(
    registry: Registry, certificate: CertificateFiles, tmp_path: Path, program: str, options: dict[str, Any]
) -> None:
    with open_proxy(program, tmp_path / program, registry, certificate, options) as proxy:
        pushed = push(proxy.address, registry, certificate.ca)

    assert pushed.returncode == 0, pushed.stderr
    assert_healthy(run_regdoctor("lint", proxy.config_path))


WRONG_ELSEWHERE: list[tuple[str, str, dict[str, Any]]] = [
    (
        "proxyconf/body-size",
        "haproxy",
        {"frontend": ["http-request deny deny_status 413 if { req.body_size gt 1000000 }"]},
    ),
    ("proxyconf/forwarded-proto", "haproxy", {"forwarded_proto": False}),
    (
        "proxyconf/forwarded-proto",
        "haproxy",
        {"backend": ["http-request set-header X-Forwarded-Proto http"]},
    ),
    ("proxyconf/host-header", "haproxy", {"backend": ["http-request set-header Host registry.invalid"]}),
    (
        "push/method-blocked",
        "haproxy",
        {"frontend": ["acl ok method GET HEAD POST PUT", "http-request deny if !ok"]},
    ),
    ("push/path-rewritten", "haproxy", {"backend": [r"http-request replace-path /v2/(.*) /\1"]}),
    (
        "proxyconf/body-size",
        "traefik",
        {"middlewares": {"it": {"buffering": {"maxRequestBodyBytes": 1_000_000}}}},
    ),
    ("proxyconf/forwarded-proto", "traefik", {"middlewares": headers(X_Forwarded_Proto="http")}),
    ("proxyconf/host-header", "traefik", {"middlewares": headers(X_Forwarded_Host="registry.invalid")}),
    ("push/path-rewritten", "traefik", {"middlewares": {"it": {"stripPrefix": {"prefixes": ["/v2"]}}}}),
    ("proxyconf/body-size", "caddy", {"site": ["request_body {", "max_size 1MB", "}"]}),
    ("proxyconf/forwarded-proto", "caddy", {"proxy": ["header_up -X-Forwarded-Proto"]}),
    ("proxyconf/host-header", "caddy", {"proxy": ["header_up X-Forwarded-Host registry.invalid"]}),
    ("push/method-blocked", "caddy", {"site": ["@bad method PATCH", "respond @bad 405"]}),
    ("push/path-rewritten", "caddy", {"site": ["uri strip_prefix /v2"]}),
]


@haproxy
@traefik
@caddy
@pytest.mark.parametrize(("code", "program", "options"), WRONG_ELSEWHERE)
def test_a_push_fails_at_others_and_lint_and_check_name_the_same_cause(
    registry: Registry,
    certificate: CertificateFiles,
    tmp_path: Path,
    code: str,
    program: str,
    options: dict[str, Any],
) -> None:
    with open_proxy(program, tmp_path / program, registry, certificate, options) as proxy:
        pushed = push(proxy.address, registry, certificate.ca)
        checked = check(proxy.url, proxy.config_path, certificate.ca)
    assert pushed.returncode != 0
    found = assert_single_root_cause(run_regdoctor("lint", proxy.config_path), code)

    assert assert_single_root_cause(checked, code)["places"][0] == found["places"][0]


class TestBuffering:
    @nginx
    @pytest.mark.parametrize(
        ("setting", "place"),
        [
            ("", "location /"),
            ("proxy_request_buffering on;", "proxy_request_buffering on"),
            ("proxy_request_buffering off;", "location /"),
        ],
    )
    def test_whole_layers_are_spooled(self, open_stage: Open, setting: str, place: str) -> None:
        """Without HTTP/1.1 to the registry chunked bodies are, whatever the setting."""
        stage = open_stage(f"{SIZE} {location(f'{PASS} {HOST} {PROTO} {setting}')}")
        result = stage.check()
        found = assert_single_root_cause(result, "proxyconf/buffering", exit_code=0)

        assert "a client request body is buffered to a temporary file" in stage.proxy.log()
        assert found["places"] == [stage.place(place)]
        assert_single_root_cause(stage.lint(), "proxyconf/buffering", exit_code=0)


class TestTimeout:
    @nginx
    def test_a_client_that_pauses(self, open_stage: Open) -> None:
        stage = open_stage(f"{SIZE}\nclient_body_timeout 1s;\n{location(RIGHT)}")
        result = stage.check()
        found = assert_single_root_cause(result, "proxyconf/timeout", exit_code=3)

        assert found["places"] == [stage.place("client_body_timeout 1s")]
        assert found["certainty"] == "proven"
        assert assert_has(result, "push/cut-off")["caused_by"] == found["id"]
        assert_single_root_cause(stage.lint(), "proxyconf/timeout", exit_code=0)

    @nginx
    def test_a_registry_that_takes_its_time(self, open_stage: Open) -> None:
        settings = f"{PASS} {HOST} {PROTO} proxy_request_buffering off; proxy_read_timeout 1s;"
        stage = open_stage(f"{SIZE} {location(settings)}")
        stage.registry.suspend()
        result = stage.check()
        found = assert_single_root_cause(result, "proxyconf/timeout", exit_code=3)

        assert found["places"] == [stage.place("proxy_read_timeout 1s")]
        assert found["certainty"] == "proven"
        assert assert_has(result, "http/gateway-timeout")["caused_by"] == found["id"]

    @haproxy
    def test_haproxy(self, registry: Registry, certificate: CertificateFiles, tmp_path: Path) -> None:
        with Haproxy(
            tmp_path / "haproxy",
            [f"127.0.0.1:{registry.port}"],
            name=NAME,
            tls=certificate,
            defaults=["timeout server 1s"],
        ) as proxy:
            result = check(proxy.url, proxy.config_path, certificate.ca)
        found = assert_single_root_cause(result, "proxyconf/timeout", exit_code=3)

        assert found["certainty"] == "proven"
        assert assert_has(result, "push/cut-off")["caused_by"] == found["id"]

    @traefik
    def test_traefik(self, registry: Registry, certificate: CertificateFiles, tmp_path: Path) -> None:
        entry = {"transport": {"respondingTimeouts": {"readTimeout": "2s"}}}
        with Traefik(
            tmp_path / "traefik", registry.upstream, name=NAME, tls=certificate, entry_point=entry
        ) as proxy:
            result = check(proxy.url, proxy.config_path, certificate.ca)
        found = assert_single_root_cause(result, "proxyconf/timeout", exit_code=3)

        assert found["certainty"] == "proven"
        assert assert_has(result, "push/cut-off")["caused_by"] == found["id"]

    @caddy
    @pytest.mark.parametrize(
        "options",
        [
            {"options": ["servers {", "timeouts {", "read_body 2s", "}", "}"]},
            {"proxy": ["transport http {", "read_timeout 1s", "}"]},
        ],
    )
    def test_caddy(
        self, registry: Registry, certificate: CertificateFiles, tmp_path: Path, options: dict[str, Any]
    ) -> None:
        with Caddy(
            tmp_path / "caddy", f"127.0.0.1:{registry.port}", name=NAME, tls=certificate, **options
        ) as proxy:
            result = check(proxy.url, proxy.config_path, certificate.ca)
        found = assert_single_root_cause(result, "proxyconf/timeout", exit_code=3)

        assert found["certainty"] == "proven"
        assert assert_has(result, "push/cut-off")["caused_by"] == found["id"]


class TestFiles:
    """A limit in an included file, in every way that the configuration may be handed over."""

    @pytest.fixture
    def split(self, open_stage: Open, tmp_path: Path) -> Stage:
        (tmp_path / "snippets").mkdir()
        (tmp_path / "snippets" / "10-limits.conf").write_text("# of the web shop\nclient_max_body_size 1m;\n")
        (tmp_path / "snippets" / "README").write_text("not for nginx\n")
        stage = open_stage(f"include {tmp_path}/snippets/*.conf;\n{location(RIGHT)}")
        assert "413" in stage.push().stderr
        return stage

    @nginx
    def test_the_file_itself(self, split: Stage, tmp_path: Path) -> None:
        found = assert_single_root_cause(split.lint(), "proxyconf/body-size")

        assert found["evidence"] == [f"{tmp_path}/snippets/10-limits.conf:2"]

    @nginx
    def test_a_dump(self, split: Stage, tmp_path: Path) -> None:
        dump = tmp_path / "dump.txt"
        command: list[str | Path] = [path("nginx"), "-T", "-p", split.proxy.directory, "-c", split.file]
        dump.write_text(
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
        )
        (tmp_path / "snippets" / "10-limits.conf").unlink()
        found = assert_single_root_cause(run_regdoctor("lint", dump), "proxyconf/body-size")

        assert found["evidence"] == [f"{tmp_path}/snippets/10-limits.conf:2"]

    @nginx
    def test_sarif_has_line_and_column(self, split: Stage, tmp_path: Path) -> None:
        result = run_regdoctor("lint", split.file, "--format", "sarif", report_format=None)
        (shown,) = (
            each for each in json.loads(result.stdout)["runs"][0]["results"] if each["level"] == "error"
        )
        place = shown["locations"][0]["physicalLocation"]

        assert place["artifactLocation"]["uri"] == f"file://{tmp_path}/snippets/10-limits.conf"
        assert place["region"] == {"startLine": 2, "startColumn": 1}

    @nginx
    def test_a_file_that_is_gone_is_said_to_be_missing(self, split: Stage, tmp_path: Path) -> None:
        text = split.file.read_text().replace("snippets/*.conf", "snippets/limits.inc")
        changed = tmp_path / "changed" / "nginx.conf"
        changed.parent.mkdir()
        changed.write_text(text)
        result = run_regdoctor("lint", changed)
        (check_,) = (each for each in result.report["targets"][0]["checks"] if each["id"] == "proxyconf")

        assert_lacks(result, "proxyconf/body-size")
        assert "snippets/limits.inc" in check_["reason"]
        assert "no such file or directory; or give the output of nginx -T" in check_["reason"]

    @nginx
    @pytest.mark.parametrize("included", [True, False])
    def test_a_file_that_may_not_be_read_is_said_to_be_so(self, open_tmp_path: Path, included: bool) -> None:
        closed = open_tmp_path / "limits.conf"
        closed.write_text("client_max_body_size 0;\n")
        main = open_tmp_path / "nginx.conf"
        main.write_text(
            f"http {{ server {{ server_name {NAME}; include limits.conf; {location(RIGHT)} }} }}\n"
        )
        (closed if included else main).chmod(0o600)
        result = run_regdoctor("lint", "--kind", "nginx", main, user="nobody")
        (check_,) = (each for each in result.report["targets"][0]["checks"] if each["id"] == "proxyconf")

        assert "permission denied; run regdoctor as root, or as a user who may read it" in check_["reason"]
        assert_lacks(result, "proxyconf/body-size")


@nginx
def test_of_several_servers_that_of_the_target_is_judged(
    registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles
) -> None:
    """Two registries behind one nginx, of which one has a limit; and a web shop with one."""
    port = ports.free_port()
    tls = f"ssl_certificate {certificate.fullchain}; ssl_certificate_key {certificate.key};"
    right = RIGHT.replace("UPSTREAM", str(registry.port))

    def server(name: str, limit: str) -> str:
        head = f"listen 127.0.0.1:{port} ssl; server_name {name}; {tls}"
        return f"server {{ {head}\nclient_max_body_size {limit}; {location(right)} }}\n"

    servers = (server("www.test", "1k"), server("registry2.test", "1m"), server(NAME, "0"))
    proxy = start_nginx(*servers, ready_on=("127.0.0.1", port))
    assert push(f"{NAME}:{port}", registry, certificate.ca).returncode == 0

    assert_healthy(check(f"https://{NAME}:{port}", proxy.config_path, certificate.ca))
    found = assert_single_root_cause(run_regdoctor("lint", proxy.config_path), "proxyconf/body-size")
    assert "registry2.test" in proxy.config_path.read_text().splitlines()[found["places"][0]["line"] - 2]
