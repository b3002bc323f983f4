"""Faults of pushes on Debian's registry behind real proxies, each the single root cause, and the healthy twins.

Quotas, policies and immutable tags are those of products that cannot run here: a hop in front of the real
registry answers one request as these were recorded to.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import (
    NAME,
    PASSWORD,
    USERNAME,
    StartNginx,
    StartRegistry,
    StartTokenServer,
    TokenRegistry,
)
from tests.support import ports
from tests.support.certificates import CertificateFiles
from tests.support.haproxy import Haproxy
from tests.support.http_server import Answer, HTTPServer, Request, json_answer
from tests.support.images import push_image
from tests.support.mounts import ext4, remount, tmpfs
from tests.support.nginx import Nginx, ReverseProxy
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    bare_environment,
    command_line,
    run_regdoctor,
)
from tests.support.registry import Registry
from tests.support.skewed_proxy import SkewedProxy
from tests.support.skopeo import skopeo

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

HOSTS = {NAME: "127.0.0.1"}
QUICKLY = ("--push", "--push-seconds", "2")
PLATFORM = ("--platform", "linux/amd64")


def check(target: str, *arguments: str | Path, login: tuple[str, str] | None = None) -> CliResult:
    """Run a check with a push over plain HTTP, or over TLS where an authority is given."""
    words = [*QUICKLY, *PLATFORM, *arguments]
    if "--cacert" not in words:
        words.append("--plain-http")
    if login is not None:
        words += ["--username", login[0], "--password-stdin"]
    return run_regdoctor("check", target, *words, hosts=HOSTS, stdin=login[1] if login else None)


def fact(result: CliResult, name: str) -> Any:
    return result.report["targets"][0]["facts"][name]


def remains(result: CliResult) -> list[tuple[str, str]]:
    """What the run says that it left, by kind and reason."""
    return [(each["kind"], each["why"]) for each in fact(result, "push-remains")["remains"]]


def unfinished(registry: Registry) -> list[str]:
    """Uploads in the registry's storage that are neither finished nor cancelled: those that still have bytes."""
    return [
        str(path.relative_to(registry.storage))
        for path in registry.storage.rglob("_uploads/*/*")
        if path.name in ("data", "startedat")
    ]


def push_by_skopeo(address: str, source: Registry, **options: Any) -> subprocess.CompletedProcess[str]:
    """Copy an image to a registry as a user would; the layers are of 3 MB."""
    push_image(source, "source/app", "1.0", layer_size=3_000_000)
    return skopeo(
        "copy",
        "--src-tls-verify=false",
        *options.pop("arguments", ("--dest-tls-verify=false",)),
        f"docker://{source.address}/source/app:1.0",
        f"docker://{address}/team/pushed:1.0",
        **options,
    )


@pytest.fixture
def image(registry: Registry) -> str:
    push_image(registry, "team/app", "1.0")
    return "team/app:1.0"


# nothing is wrong


def test_an_open_registry_is_healthy(registry: Registry) -> None:
    result = check(registry.address)

    assert_healthy(result)
    assert len(result.report["targets"][0]["exchanges"]) <= 40
    assert unfinished(registry) == []
    assert {kind for kind, _why in remains(result)} == {"repository", "blob", "upload"}
    assert all(why.startswith("cancelled") for kind, why in remains(result) if kind == "upload")


def test_an_image_is_healthy_and_stays_as_it_is(registry: Registry, image: str) -> None:
    link = registry.tag_link("team/app", "1.0").read_text()
    result = check(f"{registry.address}/{image}")

    assert_healthy(result)
    assert registry.tag_link("team/app", "1.0").read_text() == link
    assert fact(result, "manifest-push")["again"]["answer"]["status"] == 201
    assert registry.client().request("GET", "/v2/team/app/tags/list").json()["tags"] == ["1.0"]
    assert unfinished(registry) == []


def test_the_same_blob_is_left_every_time(start_registry: StartRegistry) -> None:
    registry = start_registry(delete=False)
    assert_healthy(check(registry.address))
    blobs = sorted(registry.storage.rglob("blobs/sha256/*/*/data"))
    repositories = registry.client().request("GET", "/v2/_catalog").json()
    again = check(registry.address)

    assert_healthy(again)
    assert sorted(registry.storage.rglob("blobs/sha256/*/*/data")) == blobs
    assert len(blobs) == 1
    assert registry.client().request("GET", "/v2/_catalog").json() == repositories
    assert any(kind == "blob" and "405" in why for kind, why in remains(again))
    assert "stay until garbage collection" in assert_has(again, "config/delete-disabled")["detail"]


def test_a_registry_that_deletes_forgets_the_blob(registry: Registry, image: str) -> None:
    result = check(f"{registry.address}/{image}")
    digest = next(each["name"] for each in fact(result, "push-remains")["remains"] if each["kind"] == "blob")

    assert registry.client().request("HEAD", f"/v2/team/app/blobs/{digest}").status == 404


def test_relative_locations_are_healthy(start_registry: StartRegistry) -> None:
    assert_healthy(check(start_registry(config={"http": {"relativeurls": True}}).address))


def test_another_name_that_answers_is_healthy(start_registry: StartRegistry) -> None:
    port = ports.free_port()
    registry = start_registry(port=port, http_host=f"http://localhost:{port}")

    assert_healthy(check(registry.address))
    assert unfinished(registry) == []


@pytest.mark.needs("nginx")
def test_a_right_proxy_is_healthy(
    nginx_tls: Nginx, registry: Registry, certificate: CertificateFiles
) -> None:
    assert_healthy(check(nginx_tls.address, "--cacert", certificate.ca))
    assert unfinished(registry) == []


@pytest.mark.needs("nginx")
def test_a_proxy_that_buffers_is_healthy(
    registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles
) -> None:
    proxy = ReverseProxy(registry.upstream, name=NAME, tls=certificate, request_buffering=True)

    assert_healthy(check(start_nginx(proxy).address, "--cacert", certificate.ca))


@pytest.mark.needs("nginx")
def test_two_right_proxies_in_a_row_are_healthy(
    registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles
) -> None:
    inner = ReverseProxy(registry.upstream, headers={"X-Forwarded-Proto": "$http_x_forwarded_proto"})
    outer = ReverseProxy(f"http://{inner.host}:{inner.port}", name=NAME, tls=certificate)
    start_nginx(inner)

    assert_healthy(check(start_nginx(outer).address, "--cacert", certificate.ca))


@pytest.mark.needs("haproxy")
def test_a_balancer_over_equal_replicas_is_healthy(
    start_registry: StartRegistry, tmp_path: Path, servers: ExitStack, certificate: CertificateFiles
) -> None:
    shared = tmp_path / "shared"
    members = [start_registry(storage=shared).upstream.removeprefix("http://") for _ in range(2)]
    balancer = servers.enter_context(Haproxy(tmp_path / "haproxy", members, name=NAME, tls=certificate))

    assert_healthy(check(balancer.address, "--cacert", certificate.ca))


def test_a_password_that_may_push_is_healthy(
    htpasswd_registry: Registry, certificate: CertificateFiles
) -> None:
    login = (USERNAME, PASSWORD)
    result = check(htpasswd_registry.address, "--cacert", certificate.ca, login=login)

    assert_healthy(result)
    assert PASSWORD not in result.stdout + result.stderr
    assert unfinished(htpasswd_registry) == []


@pytest.mark.parametrize("deny", [(), ("delete",)])
def test_tokens_that_may_push_are_healthy(
    token_registry: TokenRegistry, certificate: CertificateFiles, deny: tuple[str, ...]
) -> None:
    from tests.support.token_server import TokenFaults

    token_registry.token_server.faults = TokenFaults(deny=deny)
    registry, login = token_registry.registry, token_registry.token_server.credential
    push_image(registry.client(login, addresses=HOSTS), "team/app", "1.0")
    bare = check(registry.address, "--cacert", certificate.ca, login=login)
    result = check(f"{registry.address}/team/app:1.0", "--cacert", certificate.ca, login=login)

    assert_healthy(bare)
    assert_healthy(result)
    left = unfinished(registry)
    if not deny:
        assert left == []
    else:
        # Without the right to delete, distribution cancels no upload: little is sent then, and it is said.
        assert sum((registry.storage / path).stat().st_size for path in left) < 1_000_000
        assert any(kind == "upload" and "401" in why for kind, why in remains(result))


def test_several_images_of_one_repository_are_healthy(registry: Registry) -> None:
    tags = ("1.0", "2.0", "3.0")
    for tag in tags:
        push_image(registry, "team/app", tag)
    images = [f"{registry.address}/team/app:{tag}" for tag in tags]

    assert_healthy(run_regdoctor("check", *images, "--plain-http", *QUICKLY, *PLATFORM))
    assert unfinished(registry) == []


def test_a_token_that_grants_no_push_is_not_taken_for_another_fault(
    token_registry: TokenRegistry, certificate: CertificateFiles
) -> None:
    from tests.support.token_server import TokenFaults

    registry, login = token_registry.registry, token_registry.token_server.credential
    push_image(registry.client(login, addresses=HOSTS), "team/app", "1.0")
    token_registry.token_server.faults = TokenFaults(deny=("push", "delete"))
    result = check(f"{registry.address}/team/app:1.0", "--cacert", certificate.ca, login=login)
    bare = check(registry.address, "--cacert", certificate.ca, login=login)

    assert_single_root_cause(result, "auth/scope-denied")
    assert bare.report["verdict"] != "healthy"
    assert "name a repository that may be pushed to" in bare.stdout


def test_a_push_that_is_denied_is_not_called_healthy(
    registry: Registry, image: str, servers: ExitStack
) -> None:
    """Rights are judged with the other answers about access; here it only must not pass for success."""

    def answer(request: Request) -> Answer | None:
        if request.method == "POST":
            error = {"code": "DENIED", "message": "requested access to the resource is denied"}
            return json_answer(403, {"errors": [error]})
        return None

    hop = servers.enter_context(Hop(registry, answer))
    result = check(f"{hop.url.removeprefix('http://')}/{image}")

    assert result.report["verdict"] != "healthy"
    assert fact(result, "upload-session")["start"]["answer"]["status"] == 403
    assert_lacks(result, "push/method-blocked", "push/read-only", "push/path-rewritten")


def test_without_push_nothing_is_written(registry: Registry, image: str) -> None:
    before = sorted(registry.storage.rglob("*"))
    result = run_regdoctor("check", "--plain-http", f"{registry.address}/{image}", *PLATFORM)

    assert_healthy(result)
    assert sorted(registry.storage.rglob("*")) == before
    (status,) = (each for each in result.report["targets"][0]["checks"] if each["id"] == "push")
    assert (status["status"], status["reason"]) == ("skip", "needs upload-session: --push was not given")


# sizes


@pytest.mark.needs("nginx", "skopeo")
def test_the_default_limit_of_nginx_is_named(
    registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles
) -> None:
    proxy = ReverseProxy(registry.upstream, name=NAME, tls=certificate, client_max_body_size=None)
    nginx = start_nginx(proxy)
    found = assert_single_root_cause(check(nginx.address, "--cacert", certificate.ca), "push/body-too-large")
    pushed = push_by_skopeo(nginx.address, registry, hosts=HOSTS, ca=certificate.ca, arguments=())

    assert "2 MiB" in found["detail"]
    assert "1 MiB pass" in found["detail"]
    assert "nginx" in found["detail"]
    assert pushed.returncode != 0
    assert "413" in pushed.stderr


@pytest.mark.needs("nginx")
def test_the_limit_of_a_plan_is_found_without_sending_it(registry: Registry, start_nginx: StartNginx) -> None:
    nginx = start_nginx(ReverseProxy(registry.upstream, client_max_body_size="100m"))
    result = check(nginx.address)
    found = assert_single_root_cause(result, "push/body-too-large")

    assert "128 MiB" in found["detail"]
    assert "100 MB pass" in found["detail"]


@pytest.mark.needs("nginx")
def test_a_generous_limit_is_no_fault(registry: Registry, start_nginx: StartNginx) -> None:
    result = check(start_nginx(ReverseProxy(registry.upstream, client_max_body_size="4g")).address)

    assert_healthy(result)
    assert assert_has(result, "push/body-too-large")["severity"] == "info"


@pytest.mark.needs("nginx")
def test_the_limit_of_a_hop_behind_one_that_buffers_is_found_by_sending(
    registry: Registry, start_nginx: StartNginx
) -> None:
    inner = ReverseProxy(registry.upstream, client_max_body_size="3m")
    outer = ReverseProxy(f"http://{inner.host}:{inner.port}", request_buffering=True)
    start_nginx(inner)
    nginx = start_nginx(outer)
    found = assert_single_root_cause(check(nginx.address), "push/body-too-large")

    assert "Bodies of 6 MB are refused, 1.5 MB pass: one was sent" in found["detail"]


# Location


@pytest.mark.needs("nginx", "skopeo")
def test_a_proxy_that_does_not_tell_of_tls_is_named(
    registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles
) -> None:
    proxy = ReverseProxy(registry.upstream, name=NAME, tls=certificate, headers={"X-Forwarded-Proto": None})
    nginx = start_nginx(proxy)
    found = assert_single_root_cause(check(nginx.address, "--cacert", certificate.ca), "push/location-scheme")
    pushed = push_by_skopeo(nginx.address, registry, hosts=HOSTS, ca=certificate.ca, arguments=())

    assert f"http://{nginx.address}" in found["detail"]
    assert "it comes out right" in found["detail"]
    assert pushed.returncode != 0


@pytest.mark.needs("nginx")
def test_an_inner_proxy_that_overwrites_the_header_is_named(
    registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles
) -> None:
    inner = ReverseProxy(registry.upstream)
    outer = ReverseProxy(f"http://{inner.host}:{inner.port}", name=NAME, tls=certificate)
    start_nginx(inner)
    found = assert_single_root_cause(
        check(start_nginx(outer).address, "--cacert", certificate.ca), "push/location-scheme"
    )

    assert "overwrites" in found["detail"]


@pytest.mark.needs("nginx")
def test_a_token_is_not_taken_to_another_scheme(
    token_registry: TokenRegistry,
    start_registry: StartRegistry,
    start_nginx: StartNginx,
    certificate: CertificateFiles,
) -> None:
    server = token_registry.token_server
    registry = start_registry(token=server.auth())
    proxy = ReverseProxy(registry.upstream, name=NAME, tls=certificate, headers={"X-Forwarded-Proto": None})
    result = check(start_nginx(proxy).address, "--cacert", certificate.ca, login=server.credential)
    found = assert_single_root_cause(result, "push/location-scheme")

    assert "docker has no credentials" in found["detail"]


@pytest.mark.needs("nginx")
@pytest.mark.parametrize(("host", "word"), [("$host", "another port"), (None, "another host")])
def test_a_proxy_that_loses_host_or_port_is_named(
    registry: Registry,
    start_nginx: StartNginx,
    certificate: CertificateFiles,
    host: str | None,
    word: str,
) -> None:
    proxy = ReverseProxy(registry.upstream, name=NAME, tls=certificate, headers={"Host": host})
    found = assert_single_root_cause(
        check(start_nginx(proxy).address, "--cacert", certificate.ca), "push/location-host"
    )

    assert word in found["detail"]
    assert unfinished(registry) == []


def test_a_wrong_http_host_is_named(start_registry: StartRegistry) -> None:
    registry = start_registry(http_host="https://old-name.test")
    found = assert_single_root_cause(check(registry.address), "push/location-host")

    assert "https://old-name.test" in found["detail"]
    assert "http.host" in found["fix"][0]
    assert unfinished(registry) == []


def test_credentials_do_not_follow_a_location_elsewhere(
    start_registry: StartRegistry, servers: ExitStack
) -> None:
    elsewhere = servers.enter_context(HTTPServer(lambda _request: Answer(204)))
    registry = start_registry(http_host=elsewhere.url, htpasswd={USERNAME: PASSWORD})
    result = check(registry.address, login=(USERNAME, PASSWORD))

    assert_single_root_cause(result, "push/location-host")
    assert [request.method for request in elsewhere.requests] == ["GET"]
    assert all("Authorization" not in request.headers for request in elsewhere.requests)


# methods and paths


@pytest.mark.needs("nginx", "skopeo")
def test_a_hop_that_blocks_patch_is_named(registry: Registry, start_nginx: StartNginx) -> None:
    block = "limit_except GET POST { deny all; }"
    nginx = start_nginx(ReverseProxy(registry.upstream, directives=[block]))
    found = assert_single_root_cause(check(nginx.address), "push/method-blocked")
    pushed = push_by_skopeo(nginx.address, registry)

    assert "PATCH, PUT, DELETE" in found["detail"]
    assert "nginx" in found["detail"]
    assert pushed.returncode != 0


@pytest.mark.needs("nginx")
def test_a_hop_that_blocks_the_very_start_is_named(registry: Registry, start_nginx: StartNginx) -> None:
    rule = "if ($request_method !~ ^(GET|HEAD)$) { return 405; }"
    nginx = start_nginx(ReverseProxy(registry.upstream, directives=[rule]))
    found = assert_single_root_cause(check(nginx.address), "push/method-blocked")

    assert "POST, PATCH, PUT, DELETE" in found["detail"]


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_hop_that_blocks_head_is_named(
    registry: Registry, image: str, start_nginx: StartNginx, status: int
) -> None:
    rule = f"if ($request_method = HEAD) {{ return {status}; }}"
    nginx = start_nginx(ReverseProxy(registry.upstream, directives=[rule]))
    pushing = assert_single_root_cause(check(f"{nginx.address}/{image}"), "push/method-blocked")
    pulling = assert_single_root_cause(
        run_regdoctor("check", "--plain-http", f"{nginx.address}/{image}", *PLATFORM), "push/method-blocked"
    )

    assert "Refused: HEAD" in pushing["detail"]
    assert "GET of the same is answered 200" in pulling["detail"]


@pytest.mark.needs("nginx")
def test_a_hop_that_blocks_delete_alone_is_no_fault(registry: Registry, start_nginx: StartNginx) -> None:
    rule = "if ($request_method = DELETE) { return 405; }"
    result = check(start_nginx(ReverseProxy(registry.upstream, directives=[rule])).address)

    assert_healthy(result)
    assert assert_has(result, "push/method-blocked")["severity"] == "info"
    left = unfinished(registry)
    assert sum((registry.storage / path).stat().st_size for path in left) < 1_000_000
    assert any(kind == "upload" and "DELETE was answered 405" in why for kind, why in remains(result))


@pytest.mark.needs("nginx")
@pytest.mark.parametrize(
    ("rewrite", "word"),
    [
        ("rewrite ^(.*/uploads)/$ $1 break;", "slash"),
        ("rewrite ^/v2/(.+)$ /v2/group/$1 break;", "/v2/group/"),
        ("rewrite ^/v2/(.+)$ /$1 break;", "404"),
        ("if ($args ~ _state) { rewrite ^(.*)$ $1? break; }", "_state"),
    ],
)
def test_a_hop_that_changes_the_path_is_named(
    registry: Registry, start_nginx: StartNginx, rewrite: str, word: str
) -> None:
    nginx = start_nginx(ReverseProxy(registry.upstream, directives=[rewrite]))
    found = assert_single_root_cause(check(nginx.address), "push/path-rewritten")

    assert word in found["detail"]


# replicas


@pytest.fixture
def balance(start_registry: StartRegistry, tmp_path: Path, servers: ExitStack) -> Callable[..., Haproxy]:
    """Put replicas behind a balancer that sends every connection to the next one."""

    def start(*options: dict[str, Any], backend: tuple[str, ...] = ()) -> Haproxy:
        members = [start_registry(**each).upstream.removeprefix("http://") for each in options]
        return servers.enter_context(Haproxy(tmp_path / "haproxy", members, backend=backend))

    return start


@pytest.mark.needs("haproxy", "skopeo")
def test_replicas_with_different_secrets_are_named(
    balance: Callable[..., Haproxy], tmp_path: Path, registry: Registry
) -> None:
    shared = tmp_path / "shared"
    balancer = balance({"storage": shared, "secret": "one"}, {"storage": shared, "secret": "other"})
    found = assert_single_root_cause(check(balancer.address), "push/upload-secret-mismatch")
    pushed = push_by_skopeo(balancer.address, registry)

    assert found["certainty"] == "proven"
    assert pushed.returncode != 0


@pytest.mark.needs("haproxy", "skopeo")
def test_replicas_without_shared_storage_are_named(
    balance: Callable[..., Haproxy], registry: Registry
) -> None:
    balancer = balance({}, {})
    found = assert_single_root_cause(check(balancer.address), "push/upload-lost")
    pushed = push_by_skopeo(balancer.address, registry)

    assert found["certainty"] == "proven"
    assert pushed.returncode != 0
    assert "upload unknown" in pushed.stderr


# the registry refuses, or fails


def test_a_read_only_registry_is_named(start_registry: StartRegistry) -> None:
    assert_single_root_cause(check(start_registry(readonly=True).address), "push/read-only")


def test_what_does_not_exist_yet_explains_no_push_that_is_refused(start_registry: StartRegistry) -> None:
    target = f"{start_registry(readonly=True).address}/team/other:1.0"

    assert_single_root_cause(check(target), "push/read-only")


@pytest.mark.needs("skopeo")
def test_a_pull_through_cache_is_named(start_registry: StartRegistry, registry: Registry) -> None:
    cache = start_registry(proxy=registry.upstream)
    found = assert_single_root_cause(check(cache.address), "push/unsupported-cache")
    pushed = push_by_skopeo(cache.address, registry)

    assert found["certainty"] == "proven"
    assert pushed.returncode != 0


def test_a_storage_that_may_not_be_written_is_named(start_registry: StartRegistry) -> None:
    registry = start_registry(user="nobody")
    os.chown(registry.storage, 0, 0)
    registry.storage.chmod(0o755)
    found = assert_single_root_cause(check(registry.address), "push/storage-failure")

    assert "may not write its storage" in found["detail"]


def test_a_storage_that_is_mounted_read_only_is_named(start_registry: StartRegistry, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk") as storage:
        registry = start_registry(storage=storage)
        remount(storage, read_only=True)
        found = assert_single_root_cause(check(registry.address), "push/storage-failure")
        registry.stop()

    assert "mounted read-only" in found["detail"]


def test_a_full_storage_is_named_although_a_tiny_blob_fits(
    start_registry: StartRegistry, tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "disk", size="1m") as storage:
        registry = start_registry(storage=storage)
        found = assert_single_root_cause(check(registry.address), "push/storage-failure")
        registry.stop()

    assert "no space left on device" in found["detail"]
    assert "a few bytes was stored" in found["detail"]


@pytest.mark.needs("mkfs.ext4")
def test_used_up_inodes_are_named(start_registry: StartRegistry, tmp_path: Path) -> None:
    with ext4(tmp_path / "disk", inodes=32) as storage:
        registry = start_registry(storage=storage)
        number = 0
        while True:
            try:
                (storage / f"file{number}").touch()
            except OSError:
                break
            number += 1
        found = assert_single_root_cause(check(registry.address), "push/storage-failure")
        registry.stop()

    assert "no space left on device" in found["detail"]


def test_used_up_inodes_are_suspected_where_the_registry_does_not_say(
    start_registry: StartRegistry, tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "disk", inodes=12) as storage:
        registry = start_registry(storage=storage)
        found = assert_single_root_cause(check(registry.address), "push/storage-failure")
        registry.stop()

    assert found["certainty"] == "likely"
    assert "inodes" in found["fix"][0]


@pytest.mark.needs("nginx")
def test_a_proxy_that_has_no_room_for_bodies_is_told_from_the_registry(
    registry: Registry, start_nginx: StartNginx, tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "spool", size="1m") as spool:
        proxy = ReverseProxy(
            registry.upstream, request_buffering=True, server_directives=[f"client_body_temp_path {spool};"]
        )
        found = assert_single_root_cause(check(start_nginx(proxy).address), "http/server-error")

    assert "by nginx" in found["detail"]
    assert "the disk for them is full" in found["detail"]


def test_a_repository_that_does_not_exist_yet_is_healthy(registry: Registry, image: str) -> None:
    new_tag = check(f"{registry.address}/team/app:2.0")
    new_repository = check(f"{registry.address}/team/other:1.0")

    assert_healthy(new_tag)
    assert assert_has(new_tag, "image/tag-not-found")["severity"] == "info"
    assert_healthy(new_repository)


# time


@pytest.mark.needs("haproxy")
def test_a_timer_on_the_whole_request_is_named(
    registry: Registry, tmp_path: Path, servers: ExitStack
) -> None:
    member = registry.upstream.removeprefix("http://")
    timer = ("option http-buffer-request", "timeout http-request 1s")
    proxy = servers.enter_context(Haproxy(tmp_path / "haproxy", [member], defaults=timer))
    found = assert_single_root_cause(check(proxy.address), "push/cut-off")

    assert found["certainty"] == "proven"
    assert "both ended after 1.0 s" in found["detail"]
    assert "408" in found["detail"]


@pytest.mark.needs("haproxy")
def test_a_timer_for_silence_is_named(registry: Registry, tmp_path: Path, servers: ExitStack) -> None:
    member = registry.upstream.removeprefix("http://")
    proxy = servers.enter_context(Haproxy(tmp_path / "haproxy", [member], defaults=("timeout server 700ms",)))
    found = assert_single_root_cause(check(proxy.address), "push/cut-off")

    assert "no longer silence" in found["detail"]
    assert "504" in found["detail"]


@pytest.mark.needs("nginx")
def test_a_connection_that_is_closed_for_silence_is_named(
    registry: Registry, start_nginx: StartNginx
) -> None:
    proxy = ReverseProxy(registry.upstream, server_directives=["client_body_timeout 1s;"])
    found = assert_single_root_cause(check(start_nginx(proxy).address, "--push-seconds", "4"), "push/cut-off")

    assert "no longer silence" in found["detail"]


def test_a_slow_upload_that_does_not_fit_is_left_out(registry: Registry) -> None:
    result = check(registry.address, "--deadline", "11", "--push-seconds", "6")

    assert_healthy(result)
    assert "slow-uploads" not in result.report["targets"][0]["facts"]


class Hop(SkewedProxy):
    """A reverse proxy that answers some requests itself, or late."""

    def __init__(
        self,
        registry: Registry,
        answer: Callable[[Request], Answer | None] = lambda _request: None,
        *,
        delay: Callable[[Request], float] = lambda _request: 0,
    ) -> None:
        self._answer = answer
        self._delay = delay
        super().__init__(registry.upstream, offset=0)

    def _forward(self, request: Request) -> Answer:
        time.sleep(self._delay(request))
        return self._answer(request) or super()._forward(request)


@pytest.mark.needs("haproxy")
def test_a_proxy_that_does_not_wait_for_the_commit_is_named(
    registry: Registry, tmp_path: Path, servers: ExitStack
) -> None:
    hop = servers.enter_context(Hop(registry, delay=lambda request: 3.0 * (request.method == "PUT")))
    member = hop.url.removeprefix("http://")
    proxy = servers.enter_context(Haproxy(tmp_path / "haproxy", [member], defaults=("timeout server 2s",)))
    found = assert_single_root_cause(check(proxy.address), "http/gateway-timeout")

    assert "PUT" in found["detail"]
    assert "HAProxy" in found["detail"]


def test_a_commit_that_takes_long_is_named(registry: Registry, servers: ExitStack) -> None:
    hop = servers.enter_context(Hop(registry, delay=lambda request: 5.5 * (request.method == "PUT")))
    result = check(hop.url, "--timeout", "2")
    found = assert_single_root_cause(result, "push/commit-slow")

    assert found["severity"] == "warning"
    assert unfinished(registry) == []


# recorded refusals of products


def refuse_manifest(status: int, code: str, message: str) -> Callable[[Request], Answer | None]:
    def answer(request: Request) -> Answer | None:
        if request.method == "PUT" and "/manifests/" in request.target:
            return json_answer(status, {"errors": [{"code": code, "message": message}]})
        return None

    return answer


@pytest.mark.parametrize(
    ("code", "status", "error", "message"),
    [
        (
            "push/immutable-tag",
            400,
            "TAG_INVALID",
            "The image tag '1.0' already exists in the 'team/app' repository and cannot be overwritten because "
            "the repository is immutable.",
        ),
        (
            "push/immutable-tag",
            412,
            "PRECONDITION",
            "Failed to process request due to 'app:1.0' configured as immutable.",
        ),
        (
            "push/quota-exceeded",
            403,
            "DENIED",
            "adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed "
            "the configured upper limit of 10.0 MiB.",
        ),
        (
            "push/policy-blocked",
            412,
            "PROJECTPOLICYVIOLATION",
            "current image with 3 vulnerabilities cannot be pulled due to configured policy in 'Prevent images "
            'with vulnerability severity of "High" or higher from running.\'',
        ),
        ("push/read-only", 403, "DENIED", "The system is in read only mode. Any modification is prohibited."),
    ],
)
def test_a_recorded_refusal_of_the_manifest_is_named(
    registry: Registry, image: str, servers: ExitStack, code: str, status: int, error: str, message: str
) -> None:
    hop = servers.enter_context(Hop(registry, refuse_manifest(status, error, message)))
    result = check(f"{hop.url.removeprefix('http://')}/{image}")

    assert message[:40] in assert_single_root_cause(result, code)["detail"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("push/unsupported-cache", "can not push artifact to a proxy project: mirror"),
        ("push/quota-exceeded", "registry contains 1 repositories, limit is 1"),
        ("push/quota-exceeded", "Forbidden: Datastore disk usage is too high."),
        ("push/policy-blocked", "rejected the deployment due to conflict with its include/exclude patterns"),
        ("push/read-only", "The system is in read only mode. Any modification is prohibited."),
    ],
)
def test_a_recorded_refusal_at_the_start_is_named(
    registry: Registry, servers: ExitStack, code: str, message: str
) -> None:
    """Harbor, DigitalOcean and Artifactory; not one of them is about the rights of the account."""

    def answer(request: Request) -> Answer | None:
        if request.method == "POST":
            return json_answer(403, {"errors": [{"code": "DENIED", "message": message}]})
        return None

    hop = servers.enter_context(Hop(registry, answer))

    assert message[:30] in assert_single_root_cause(check(hop.url), code)["detail"]


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_a_firewall_that_answers_uploads_with_a_page_and_200_is_named(
    registry: Registry, servers: ExitStack, method: str
) -> None:
    """As F5's BIG-IP does: a page with status 200, which clients take for success."""
    page = (
        "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please consult "
        "with your administrator.<br><br>Your support ID is: 1234567890</body></html>"
    )

    def answer(request: Request) -> Answer | None:
        if request.method == method:
            return Answer(200, page.encode(), [("Content-Type", "text/html; charset=utf-8")])
        return None

    hop = servers.enter_context(Hop(registry, answer))
    found = assert_single_root_cause(check(hop.url), "http/edge-blocked")

    assert "Request Rejected" in found["detail"]


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (412, "PROJECTPOLICYVIOLATION", "The image is not signed."),
        (403, "DENIED", "not downloaded due to the download blocking policy configured in Xray"),
    ],
)
def test_a_recorded_policy_on_looking_is_named_without_a_push(
    registry: Registry, image: str, servers: ExitStack, status: int, code: str, message: str
) -> None:
    """Harbor and Artifactory."""

    def answer(request: Request) -> Answer | None:
        if "/manifests/" in request.target:
            return json_answer(status, {"errors": [{"code": code, "message": message}]})
        return None

    hop = servers.enter_context(Hop(registry, answer))
    result = run_regdoctor("check", "--plain-http", f"{hop.url.removeprefix('http://')}/{image}", *PLATFORM)

    assert_single_root_cause(result, "push/policy-blocked")


def test_a_token_that_layers_outlast_on_a_slow_line_is_named(
    start_registry: StartRegistry, start_token_server: StartTokenServer, servers: ExitStack
) -> None:
    """6 MB in 5 s: at that speed 185 s are enough for some 210 MB."""
    tokens = start_token_server(lifetime=125)
    registry = start_registry(token=tokens.auth())
    hop = servers.enter_context(Hop(registry, delay=lambda request: 5.0 * (len(request.body) > 5_000_000)))
    result = check(f"{hop.url.removeprefix('http://')}/team/app", login=(USERNAME, PASSWORD))
    found = assert_single_root_cause(result, "auth/token-short-lived")

    assert found["severity"] == "warning"
    assert "outlasts the token" in found["detail"]


# what the report says of it


@pytest.mark.needs("nginx")
def test_the_report_says_what_was_tried_and_what_that_cannot_show(
    registry: Registry, image: str, start_nginx: StartNginx
) -> None:
    nginx = start_nginx(ReverseProxy(registry.upstream, client_max_body_size="100m"))
    words = ["check", "--plain-http", f"{nginx.address}/{image}", *QUICKLY, *PLATFORM]
    page = " ".join(run_regdoctor(*words, report_format="text").stdout.split())

    assert "How far a push came in team/app" in page
    assert "100 MB pass, 128 MiB do not" in page
    assert "a limit above 6 MB of a hop that counts bytes would not be found" in page
    assert "a timer of more than 2 s would not be found" in page
    assert "--push-seconds 70 --deadline 150" in page
    assert "What the push left in the registry" in page
    assert "keep the bytes until garbage collection" in page


# --push-tag, and every way out


def test_a_tag_of_our_own_is_pushed_and_removed(registry: Registry, image: str) -> None:
    result = check(f"{registry.address}/{image}", "--push-tag", "probe")

    assert_healthy(result)
    assert fact(result, "manifest-push")["tagged"]["answer"]["status"] == 201
    assert registry.client().request("GET", "/v2/team/app/tags/list").json()["tags"] == ["1.0"]


def test_a_tag_of_our_own_that_stays_is_said(start_registry: StartRegistry) -> None:
    registry = start_registry(delete=False)
    result = check(registry.address, "--push-tag", "probe")

    assert_healthy(result)
    assert any(kind == "manifest" and "the tag stays" in why for kind, why in remains(result))


def test_a_tag_that_exists_is_not_overwritten(registry: Registry, image: str) -> None:
    link = registry.tag_link("team/app", "1.0").read_text()
    result = check(f"{registry.address}/{image}", "--push-tag", "1.0")

    assert "not free" in fact(result, "manifest-push")["skipped"]
    assert registry.tag_link("team/app", "1.0").read_text() == link


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_uploads_are_cancelled_where_the_run_is_interrupted(
    registry: Registry, tmp_path: Path, stop: signal.Signals
) -> None:
    words = ["check", "--plain-http", "--push", "--push-seconds", "40", registry.address]
    process = subprocess.Popen(
        command_line(words, "json"),
        env=bare_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        ports.wait_until(lambda: len(unfinished(registry)) >= 4, "slow uploads are under way")
        process.send_signal(stop)
        _stdout, stderr = process.communicate(timeout=15)
    finally:
        process.kill()

    assert process.returncode == 130
    assert unfinished(registry) == []
    assert "left" not in stderr


def test_uploads_are_cancelled_where_the_deadline_passes(registry: Registry, servers: ExitStack) -> None:
    """Every answer comes late, so that the time is over in the middle of the uploads."""
    hop = servers.enter_context(Hop(registry, delay=lambda request: 0.5 * ("/uploads/" in request.target)))
    result = check(hop.url, "--deadline", "6")

    assert unfinished(registry) == []
    assert_lacks(result, "push/cut-off", "push/upload-lost", "push/body-too-large")
    assert result.report["verdict"] in ("healthy", "undetermined")
