"""Faults of images on Debian's registry, each the single root cause, and the healthy twins."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import NAME, PASSWORD, USERNAME, StartNginx, StartRegistry
from tests.support.certificates import CertificateFiles
from tests.support.http_server import Answer, HTTPServer, Request
from tests.support.images import (
    Image,
    build_image,
    corrupt_blob,
    push_image,
    push_index,
    remove_blob,
    truncate_blob,
)
from tests.support.nginx import ReverseProxy
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
from tests.support.skopeo import skopeo

pytestmark = pytest.mark.needs("docker-registry")

PLATFORM = ("--platform", "linux/amd64")


def check(registry: Registry, image: str, *arguments: str) -> CliResult:
    return run_regdoctor("check", "--plain-http", f"{registry.address}/{image}", *arguments)


def test_a_whole_image_is_healthy(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    assert_healthy(check(registry, "team/app:1.0", *PLATFORM))


def test_a_docker_image_is_healthy_too(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0", docker_schema2=True)

    assert_healthy(check(registry, "team/app:1.0", *PLATFORM))


@pytest.mark.parametrize("docker_list", [False, True])
def test_a_whole_index_is_healthy(registry: Registry, docker_list: bool) -> None:
    images = {
        platform: push_image(registry, "team/app", None, platform=platform, docker_schema2=docker_list)
        for platform in ("linux/amd64", "linux/arm64/v8")
    }
    push_index(registry, "team/app", "1.0", images, docker_list=docker_list, attestation=not docker_list)

    assert_healthy(check(registry, "team/app:1.0", *PLATFORM, "--platform", "linux/arm64"))


def test_an_index_within_an_index_is_read_to_its_images(registry: Registry) -> None:
    images = {"linux/amd64": push_image(registry, "team/app", None)}
    inner = push_index(registry, "team/app", "inner", images)
    push_index(registry, "team/app", "1.0", {"linux/amd64": inner})

    assert_healthy(check(registry, "team/app:1.0", *PLATFORM))
    remove_blob(registry, images["linux/amd64"].layer_digests[0])
    assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/blob-missing")


def test_an_image_by_digest_is_healthy(registry: Registry) -> None:
    image = push_image(registry, "team/app", "1.0")

    assert_healthy(check(registry, f"team/app@{image.digest}", *PLATFORM))


def test_a_missing_tag_is_named_with_the_near_one(registry: Registry) -> None:
    for tag in ("1.24", "1.25.3", "latest"):
        push_image(registry, "team/app", tag)

    found = assert_single_root_cause(check(registry, "team/app:1.25"), "image/tag-not-found")

    assert "1.25.3" in found["detail"]
    assert found["certainty"] == "proven"


@pytest.mark.needs("skopeo")
def test_a_missing_tag_is_what_clients_meet(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    told = skopeo("inspect", "--tls-verify=false", f"docker://{registry.address}/team/app:2.0")

    assert told.returncode != 0
    assert "manifest unknown" in told.stderr


def test_a_missing_repository_is_named_with_the_near_one(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    found = assert_single_root_cause(check(registry, "team/ap:1.0"), "image/repository-not-found")

    assert "team/app" in found["detail"]


def test_a_missing_digest_is_named(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    assert_single_root_cause(check(registry, f"team/app@sha256:{'0' * 64}"), "image/digest-not-found")


def test_a_platform_that_the_index_lacks_is_named_with_those_it_has(registry: Registry) -> None:
    images = {
        platform: push_image(registry, "team/app", None, platform=platform)
        for platform in ("linux/amd64", "linux/arm64")
    }
    push_index(registry, "team/app", "1.0", images)

    found = assert_single_root_cause(
        check(registry, "team/app:1.0", "--platform", "linux/s390x"), "image/platform-missing"
    )

    assert "linux/amd64" in found["detail"]
    assert "linux/s390x" in found["detail"]


def test_a_single_image_for_another_platform_is_named(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0", platform="linux/arm64")

    assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/platform-missing")


@pytest.mark.parametrize("part", ["layer", "config"])
def test_a_lost_blob_is_named(registry: Registry, part: str) -> None:
    image = push_image(registry, "team/app", "1.0")
    digest = image.config_digest if part == "config" else image.layer_digests[1]
    assert digest is not None
    remove_blob(registry, digest)
    registry.restart()

    found = assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/blob-missing")

    assert digest in found["detail"]
    assert part in found["detail"]


def test_a_blob_lost_by_one_platform_of_an_index_is_named(registry: Registry) -> None:
    images = {
        platform: push_image(registry, "team/app", None, platform=platform)
        for platform in ("linux/amd64", "linux/arm64")
    }
    push_index(registry, "team/app", "1.0", images)
    remove_blob(registry, images["linux/arm64"].layer_digests[0])
    registry.restart()

    wanted = check(registry, "team/app:1.0", "--platform", "linux/arm64")

    assert_single_root_cause(wanted, "image/blob-missing")


def test_a_lost_child_of_an_index_is_named(registry: Registry) -> None:
    images = {
        platform: push_image(registry, "team/app", None, platform=platform)
        for platform in ("linux/amd64", "linux/arm64")
    }
    push_index(registry, "team/app", "1.0", images)
    remove_blob(registry, images["linux/arm64"].digest)
    registry.restart()

    found = assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/child-missing")

    assert "linux/arm64" in found["detail"]


def test_a_listed_tag_without_its_manifest_is_named(registry: Registry) -> None:
    image = push_image(registry, "team/app", "1.0")
    remove_blob(registry, image.digest)
    registry.restart()

    assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/manifest-gone")


def test_a_truncated_layer_is_named(registry: Registry) -> None:
    image = push_image(registry, "team/app", "1.0")
    truncate_blob(registry, image.layer_digests[0], 3)
    registry.restart()

    assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/blob-corrupt")


def test_a_config_with_other_bytes_is_named(registry: Registry) -> None:
    image = push_image(registry, "team/app", "1.0")
    assert image.config_digest is not None
    corrupt_blob(registry, image.config_digest)
    registry.restart()

    found = assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/blob-corrupt")

    assert image.config_digest in found["detail"]


def test_blobs_redirected_to_a_dead_host_are_named(start_registry: StartRegistry, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with_images = start_registry(storage=storage)
    push_image(with_images, "team/app", "1.0")
    with_images.stop()
    registry = start_registry(storage=storage, redirect="http://127.0.0.1:9/blobs/")

    found = assert_single_root_cause(
        check(registry, "team/app:1.0", *PLATFORM), "image/blob-host-unreachable"
    )

    assert found["host"] == "127.0.0.1:9"


def test_blobs_redirected_to_where_there_are_none_are_told_with_the_host(
    start_registry: StartRegistry, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    with_images = start_registry(storage=storage)
    push_image(with_images, "team/app", "1.0")
    with_images.stop()
    with HTTPServer(lambda _request: Answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")) as bucket:
        registry = start_registry(storage=storage, redirect=f"{bucket.url}/")
        found = assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/blob-missing")

    assert f"sends clients to {bucket.url}, which answers that there is nothing" in found["detail"]


def test_blobs_redirected_to_a_host_that_serves_them_are_healthy(
    start_registry: StartRegistry, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    holder = start_registry(storage=storage)
    push_image(holder, "team/app", "1.0")

    # Distribution's redirect middleware appends the storage path; a web server below the root serves it.
    def serve(request: Request) -> Answer:
        path = storage / request.target.partition("?")[0].removeprefix("/").removeprefix("blobs/")
        return Answer(200, path.read_bytes()) if path.is_file() else Answer(404)

    with HTTPServer(serve) as blobs:
        registry = start_registry(storage=storage, redirect=f"{blobs.url}/blobs/")
        assert_healthy(check(registry, "team/app:1.0", *PLATFORM))


def blob_bytes(storage: Path, request: Request) -> bytes | None:
    """The bytes that the path of a redirected request names: distribution appends its storage path."""
    path = storage / request.target.partition("?")[0].removeprefix("/").removeprefix("blobs/")
    return path.read_bytes() if path.is_file() else None


@pytest.fixture
def image_in_storage(start_registry: StartRegistry, tmp_path: Path) -> Path:
    """A storage folder with the image team/app:1.0."""
    storage = tmp_path / "storage"
    holder = start_registry(storage=storage)
    push_image(holder, "team/app", "1.0")
    holder.stop()
    return storage


def test_a_blob_host_that_signs_for_get_alone_is_healthy(
    start_registry: StartRegistry, image_in_storage: Path
) -> None:
    def serve(request: Request) -> Answer:
        if request.method != "GET":
            return Answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        content = blob_bytes(image_in_storage, request)
        return Answer(200, content) if content is not None else Answer(404)

    with HTTPServer(serve) as blobs:
        registry = start_registry(storage=image_in_storage, redirect=f"{blobs.url}/blobs/")
        assert_healthy(check(registry, "team/app:1.0", *PLATFORM))


def test_a_blob_host_that_refuses_is_named_with_its_answer(
    start_registry: StartRegistry, image_in_storage: Path
) -> None:
    with HTTPServer(lambda _request: Answer(403, b"<Error><Code>AccessDenied</Code></Error>")) as blobs:
        registry = start_registry(storage=image_in_storage, redirect=f"{blobs.url}/blobs/")
        found = assert_single_root_cause(
            check(registry, "team/app:1.0", *PLATFORM), "image/blob-host-unreachable"
        )

    assert "403" in found["detail"]
    assert found["role"] == "blob-host"


def test_a_blob_host_behind_another_is_the_one_that_is_named(
    start_registry: StartRegistry, image_in_storage: Path
) -> None:
    def onward(request: Request) -> Answer:
        return Answer(302, headers=[("Location", f"http://127.0.0.1:9{request.target}")])

    with HTTPServer(onward) as first:
        registry = start_registry(storage=image_in_storage, redirect=f"{first.url}/blobs/")
        found = assert_single_root_cause(
            check(registry, "team/app:1.0", *PLATFORM), "image/blob-host-unreachable"
        )

    assert found["host"] == "127.0.0.1:9"


def test_no_credentials_follow_a_redirect(
    start_registry: StartRegistry, image_in_storage: Path, tmp_path: Path
) -> None:
    def serve(request: Request) -> Answer:
        content = blob_bytes(image_in_storage, request)
        return Answer(200, content) if content is not None else Answer(404)

    with HTTPServer(serve) as blobs:
        registry = start_registry(
            storage=image_in_storage, redirect=f"{blobs.url}/blobs/", htpasswd={USERNAME: PASSWORD}
        )
        login = ("--username", USERNAME, "--password-stdin")
        found = run_regdoctor(
            "check",
            "--plain-http",
            f"{registry.address}/team/app:1.0",
            *PLATFORM,
            *login,
            "--skip",
            "security",
            stdin=PASSWORD,
        )
        assert_healthy(found)
        assert blobs.requests
        assert not [each for each in blobs.requests if "Authorization" in each.headers]


@pytest.mark.needs_root
def test_a_blob_host_with_an_untrusted_certificate_is_the_root_cause(
    start_registry: StartRegistry, image_in_storage: Path, certificate: CertificateFiles
) -> None:
    def serve(request: Request) -> Answer:
        content = blob_bytes(image_in_storage, request)
        return Answer(200, content) if content is not None else Answer(404)

    with HTTPServer(serve, name=NAME, tls=certificate) as blobs:
        registry = start_registry(storage=image_in_storage, redirect=f"{blobs.url}/blobs/")
        arguments = ("check", "--plain-http", f"{registry.address}/team/app:1.0", *PLATFORM)
        found = assert_single_root_cause(
            run_regdoctor(*arguments, hosts=blobs.hosts), "image/blob-host-unreachable"
        )
        trusted = run_regdoctor(*arguments, "--cacert", certificate.ca, hosts=blobs.hosts)

    assert "certificate" in found["detail"]
    assert_healthy(trusted)


@pytest.mark.needs_root
def test_blobs_at_a_name_that_only_the_registry_knows_are_the_root_cause(
    start_registry: StartRegistry, image_in_storage: Path
) -> None:
    registry = start_registry(storage=image_in_storage, redirect="http://minio.internal:9000/blobs/")
    found = assert_single_root_cause(
        run_regdoctor(
            "check",
            "--plain-http",
            f"{registry.address}/team/app:1.0",
            *PLATFORM,
            resolv_conf="nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        ),
        "image/blob-host-unreachable",
    )

    assert found["host"] == "minio.internal:9000"


@pytest.mark.parametrize(
    ("lost", "code"), [("layers", "image/blob-missing"), ("everything", "storage/stale-cache")]
)
def test_what_the_registry_remembers_and_its_storage_has_lost_is_missing(
    start_registry: StartRegistry, lost: str, code: str
) -> None:
    registry = start_registry(config={"storage": {"cache": {"blobdescriptor": "inmemory"}}})
    image = push_image(registry, "team/app", "1.0")
    assert_healthy(check(registry, "team/app:1.0", *PLATFORM))
    for digest in (*image.layer_digests, *([image.config_digest] if lost == "everything" else [])):
        remove_blob(registry, str(digest))

    found = assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), code)

    assert "remembers" in found["detail"]


def test_an_empty_file_is_named_as_such(registry: Registry) -> None:
    image = push_image(registry, "team/app", "1.0")
    truncate_blob(registry, image.layer_digests[0], 0)

    found = assert_single_root_cause(check(registry, "team/app:1.0", *PLATFORM), "image/blob-corrupt")

    assert "the file is empty" in found["detail"]


@pytest.mark.parametrize("by_digest", [False, True])
def test_a_manifest_with_other_bytes_is_named(registry: Registry, by_digest: bool) -> None:
    image = push_image(registry, "team/app", "1.0", image=build_image("app", annotations={"note": "abcdef"}))
    path = registry.blob_path(image.digest)
    path.write_bytes(path.read_bytes().replace(b"abcdef", b"abcdeg"))
    registry.restart()
    reference = f"team/app@{image.digest}" if by_digest else "team/app:1.0"

    found = assert_single_root_cause(check(registry, reference, *PLATFORM), "image/blob-corrupt")

    assert image.digest in found["detail"]


class TestVerifyBlobs:
    def test_layers_that_are_right_are_healthy(self, registry: Registry) -> None:
        push_image(registry, "team/app", "1.0", layer_size=3_000_000)

        result = check(registry, "team/app:1.0", *PLATFORM, "--verify-blobs")

        assert_healthy(result)
        verified = result.report["targets"][0]["facts"]["verified-blobs"]
        assert [len(each["downloads"]) for each in verified["blobs"]] == [1, 1]

    def test_a_layer_with_other_bytes_of_the_same_length_is_named(self, registry: Registry) -> None:
        image = push_image(registry, "team/app", "1.0", layer_size=3_000_000)
        corrupt_blob(registry, image.layer_digests[1])

        found = assert_single_root_cause(
            check(registry, "team/app:1.0", *PLATFORM, "--verify-blobs"), "image/blob-corrupt"
        )

        assert image.layer_digests[1] in found["detail"]
        assert found["certainty"] == "proven"

    def test_a_hop_that_cuts_elsewhere_each_time_is_not_taken_for_the_storage(
        self, registry: Registry
    ) -> None:
        image = push_image(registry, "team/app", "1.0", layer_size=3_000_000)
        cut = iter(range(1_000_000, 3_000_000, 300_000))

        def cut_off(request: Request) -> Answer:
            whole = passed_on(registry, request)
            if image.layer_digests[0] not in request.target or whole.status != 200 or not whole.body:
                return whole
            return Answer(200, whole.body[: next(cut)], [*whole.headers, ("Connection", "close")])

        with HTTPServer(cut_off) as hop:
            address = hop.url.removeprefix("http://")
            result = run_regdoctor(
                "check", "--plain-http", f"{address}/team/app:1.0", *PLATFORM, "--verify-blobs"
            )

        assert_single_root_cause(result, "http/content-rewritten")

    def test_what_there_was_no_time_for_is_not_called_healthy(self, registry: Registry) -> None:
        push_image(registry, "team/app", "1.0")
        gate = threading.Event()

        def hold_layers(request: Request) -> Answer:
            if request.method == "GET" and "/blobs/" in request.target and "Range" not in request.headers:
                held = registry.client().exchange("GET", registry.url + request.target)
                if held.body.startswith(b"\x1f\x8b"):
                    gate.wait(20)
            return passed_on(registry, request)

        with HTTPServer(hold_layers) as hop:
            address = hop.url.removeprefix("http://")
            result = run_regdoctor(
                "check",
                "--plain-http",
                f"{address}/team/app:1.0",
                *PLATFORM,
                "--verify-blobs",
                "--deadline",
                "4",
            )
            gate.set()

        assert result.report["verdict"] == "undetermined"
        assert "0 of 2 layers were downloaded" in result.stdout

    @pytest.mark.needs("nginx")
    def test_a_terminal_shows_how_far_it_is(
        self, registry: Registry, start_nginx: StartNginx, tmp_path: Path
    ) -> None:
        """At 4 MB a second the layer takes two seconds."""
        push_image(registry, "team/app", "1.0", layers=1, layer_size=8_000_000)
        slow = start_nginx(ReverseProxy(registry.upstream, directives=("limit_rate 4m;",)))
        words = ["check", "--plain-http", f"{slow.address}/team/app:1.0", *PLATFORM, "--verify-blobs"]
        reader, writer = pty.openpty()
        subprocess.run(
            command_line(words, "nagios"),
            env=bare_environment(tmp_path) | {"TERM": "xterm"},
            stdout=subprocess.DEVNULL,
            stderr=writer,
            check=True,
            timeout=60,
        )
        os.close(writer)
        shown = os.read(reader, 65536)
        os.close(reader)

        assert b"verifying layer 1 of 1" in shown
        assert b" of 8.0 MB" in shown


def passed_on(registry: Registry, request: Request) -> Answer:
    """The registry's answer to a request that came to another server."""
    got = registry.client().exchange(
        request.method,
        registry.url + request.target,
        headers={name: value for name, value in request.headers.items() if name != "Host"},
    )
    return Answer(got.status, got.body, [pair for pair in got.headers.items() if pair[0] != "Date"])


class TestManifestUnsupported:
    def behind(self, start_nginx: StartNginx, registry: Registry, *directives: str) -> str:
        """The address of an nginx in front of the registry, with further directives."""
        return start_nginx(ReverseProxy(registry.upstream, directives=directives)).address

    def check(self, address: str) -> CliResult:
        return run_regdoctor("check", "--plain-http", f"{address}/team/app:1.0", *PLATFORM)

    def test_an_accept_header_that_passes_is_healthy(
        self, registry: Registry, start_nginx: StartNginx
    ) -> None:
        push_image(registry, "team/app", "1.0")

        assert_healthy(self.check(self.behind(start_nginx, registry)))

    def test_an_accept_header_that_a_proxy_replaces_is_named(
        self, registry: Registry, start_nginx: StartNginx
    ) -> None:
        push_image(registry, "team/app", "1.0")
        shortened = "proxy_set_header Accept application/vnd.docker.distribution.manifest.v2+json;"

        found = assert_single_root_cause(
            self.check(self.behind(start_nginx, registry, shortened)), "image/manifest-unsupported"
        )

        assert "accept header" in found["detail"]

    def test_schema_1_is_named(self, registry: Registry, start_nginx: StartNginx) -> None:
        # Registry 2.8 converts for whoever does not accept schema 2.
        push_image(registry, "team/app", "1.0", docker_schema2=True)

        found = assert_single_root_cause(
            self.check(self.behind(start_nginx, registry, 'proxy_set_header Accept "";')),
            "image/manifest-unsupported",
        )

        assert "schema 1" in found["detail"]

    def test_a_content_type_that_a_proxy_replaces_is_named(
        self, registry: Registry, start_nginx: StartNginx
    ) -> None:
        push_image(registry, "team/app", "1.0")
        replaced = ("proxy_hide_header Content-Type;", "add_header Content-Type application/json always;")

        found = assert_single_root_cause(
            self.check(self.behind(start_nginx, registry, *replaced)), "image/manifest-unsupported"
        )

        assert "application/json" in found["detail"]

    def test_an_artifact_packed_as_an_image_is_healthy(self, registry: Registry) -> None:
        chart = build_image("chart")
        config = json.loads(chart.manifest)["config"] | {
            "mediaType": "application/vnd.cncf.helm.config.v1+json"
        }
        push_image(
            registry, "charts/app", "1.0", image=build_image("chart", manifest_changes={"config": config})
        )

        assert_healthy(check(registry, "charts/app:1.0", *PLATFORM))


class TestSecrets:
    TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    PASSWORD = "korrekt-pferd-batterie"

    def image(self, *variables: str, history: str = "COPY . /app") -> Image:
        return build_image(
            "app",
            config_changes={
                "config": {
                    "Env": ["PATH=/usr/bin", "GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D", *variables]
                },
                "history": [{"created_by": history}],
            },
        )

    def test_a_usual_environment_is_healthy(self, registry: Registry) -> None:
        push_image(
            registry, "team/app", "1.0", image=self.image("DB_PASSWORD_FILE=/run/secrets/db", "DB_PASSWORD=")
        )

        assert_healthy(check(registry, "team/app:1.0", *PLATFORM))

    @pytest.mark.parametrize("report_format", ["json", "text", "html"])
    def test_secrets_are_told_by_their_place_and_never_shown(
        self, registry: Registry, report_format: str
    ) -> None:
        image = self.image(f"DB_PASSWORD={self.PASSWORD}", history=f"RUN |1 T={self.TOKEN} /bin/sh -c npm ci")
        push_image(registry, "team/app", "1.0", image=image)

        result = check(registry, "team/app:1.0", *PLATFORM, "--format", report_format, "--verbose")

        assert result.exit_code == 0
        for secret in (self.TOKEN, self.PASSWORD):
            assert secret not in result.stdout + result.stderr
        assert "DB_PASSWORD" in result.stdout
        if report_format == "json":
            found = assert_single_root_cause(result, "image/secret-in-config")
            assert found["severity"] == "warning"
            assert "a GitHub token in step 1 of the history (T)" in found["detail"]


def test_an_answer_for_anything_at_the_blobs_is_not_taken_for_blobs(registry: Registry) -> None:
    """A catch-all page answers HEAD of any blob with 200."""
    push_image(registry, "team/app", "1.0")
    page = b"<!doctype html><title>Portal</title>"

    def portal(request: Request) -> Answer:
        if "/blobs/" in request.target:
            return Answer(200, page, [("Content-Type", "text/html")])
        return passed_on(registry, request)

    with HTTPServer(portal) as hop:
        address = hop.url.removeprefix("http://")
        result = run_regdoctor("check", "--plain-http", f"{address}/team/app:1.0", *PLATFORM)

    assert_single_root_cause(result, "http/not-a-registry")
    assert_has(result, "image/blob-corrupt")


@pytest.mark.parametrize("status", [404, 405, 403])
def test_a_hop_that_refuses_head_hides_no_blob(registry: Registry, status: int) -> None:
    push_image(registry, "team/app", "1.0")

    def refuse_head(request: Request) -> Answer:
        if request.method == "HEAD" and "/blobs/" in request.target:
            return Answer(status)
        return passed_on(registry, request)

    with HTTPServer(refuse_head) as hop:
        address = hop.url.removeprefix("http://")
        result = run_regdoctor("check", "--plain-http", f"{address}/team/app:1.0", *PLATFORM)

    assert_lacks(result, "image/blob-missing", "image/blob-corrupt")


def test_a_server_that_knows_no_ranges_is_healthy(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0", layer_size=500_000)

    def without_ranges(request: Request) -> Answer:
        del request.headers["Range"]
        return passed_on(registry, request)

    with HTTPServer(without_ranges) as hop:
        address = hop.url.removeprefix("http://")
        assert_healthy(run_regdoctor("check", "--plain-http", f"{address}/team/app:1.0", *PLATFORM))


class TestManifestsElsewhere:
    """registry.k8s.io answers every request for content with a redirect to one of its mirrors."""

    def check(self, where: str) -> CliResult:
        def onward(request: Request) -> Answer:
            if request.target == "/v2/":
                headers = [("Docker-Distribution-Api-Version", "registry/2.0")]
                return Answer(200, b"{}", [("Content-Type", "application/json"), *headers])
            return Answer(307, headers=[("Location", f"{where}{request.target}")])

        with HTTPServer(onward) as front:
            address = front.url.removeprefix("http://")
            return run_regdoctor("check", "--plain-http", f"{address}/team/app:1.0", *PLATFORM)

    def test_a_registry_that_redirects_everything_is_healthy(self, registry: Registry) -> None:
        push_image(registry, "team/app", "1.0")

        assert_healthy(self.check(registry.url))

    def test_a_missing_tag_there_is_missing(self, registry: Registry) -> None:
        push_image(registry, "team/app", "2.0")

        assert_single_root_cause(self.check(registry.url), "image/tag-not-found")

    def test_a_dead_host_is_named(self) -> None:
        found = assert_single_root_cause(self.check("http://127.0.0.1:9"), "image/blob-host-unreachable")

        assert found["host"] == "127.0.0.1:9"
        assert "/manifests/1.0" in found["detail"]


def test_an_image_that_was_not_read_is_never_called_healthy(registry: Registry) -> None:
    """Whatever the answer means: without the manifest nothing is known of the image."""
    push_image(registry, "team/app", "1.0")

    def refuse(request: Request) -> Answer:
        return Answer(418) if "/manifests/" in request.target else passed_on(registry, request)

    with HTTPServer(refuse) as hop:
        address = hop.url.removeprefix("http://")
        result = run_regdoctor("check", "--plain-http", f"{address}/team/app:1.0", *PLATFORM)

    assert result.report["verdict"] in ("undetermined", "failing")


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
class TestNoAnswer:
    def check(self, registry: Registry, part: str, *, hang: bool) -> CliResult:
        push_image(registry, "team/app", "1.0")
        gate = threading.Event()

        def respond(request: Request) -> Answer:
            if part in request.target:
                if not hang:
                    raise ConnectionResetError
                gate.wait(20)
            return passed_on(registry, request)

        with HTTPServer(respond) as hop:
            address = hop.url.removeprefix("http://")
            result = run_regdoctor(
                "check", "--plain-http", f"{address}/team/app:1.0", *PLATFORM, "--timeout", "1"
            )
            gate.set()
        return result

    def test_content_that_never_comes_is_no_healthy_image(self, registry: Registry, part: str) -> None:
        found = assert_single_root_cause(self.check(registry, part, hang=True), "http/response-timeout")

        assert "storage" in found["detail"]

    def test_neither_is_content_that_is_cut_off_before_it_begins(self, registry: Registry, part: str) -> None:
        assert_single_root_cause(self.check(registry, part, hang=False), "http/server-error")


def test_layers_are_verified_without_being_kept(registry: Registry) -> None:
    """The memory that a run takes at most does not grow with the layer."""
    size = 60_000_000
    push_image(registry, "team/app", "1.0", layers=1, layer_size=size)
    program = (
        "import resource, sys\n"
        "from regdoctor.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    )

    def most_memory(*arguments: str) -> int:
        command = [sys.executable, "-c", program, "check", "--plain-http", f"{registry.address}/team/app:1.0"]
        done = subprocess.run(
            [*command, *PLATFORM, "--format", "json", *arguments], capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout)["verdict"] == "healthy"
        return int(done.stderr.split()[-1]) * 1024

    assert most_memory("--verify-blobs") - most_memory() < size / 3
