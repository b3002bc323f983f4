"""Names of images that cannot be read, or mean another registry than was meant, on real registries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NAME, PASSWORD, USERNAME, StartRegistry, StartTokenServer
from tests.support.certificates import Authority, CertificateFiles
from tests.support.images import push_image
from tests.support.netns import Namespace
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    codes,
    run_regdoctor,
)
from tests.support.registry import Registry
from tests.support.registry_client import RegistryClient
from tests.support.token_server import TokenServer

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

PLATFORM = ("--platform", "linux/amd64")
ALICE = (USERNAME, PASSWORD)


def check(registry: Registry, image: str, *arguments: str, **options: Any) -> CliResult:
    return run_regdoctor(
        "check", "--plain-http", f"{registry.address}/{image}", *PLATFORM, *arguments, **options
    )


class TestInvalidReference:
    def test_one_bad_name_in_a_manifest_fails_and_the_others_are_looked_at(
        self, registry: Registry, tmp_path: Path
    ) -> None:
        push_image(registry, "team/app", "1.0")
        manifest = tmp_path / "pod.yaml"
        manifest.write_text(
            "kind: Pod\nspec:\n  containers:\n"
            f"  - image: {registry.address}/team/app:1.0\n"
            f"  - image: {registry.address}/Team/app:1.0\n"
        )

        result = run_regdoctor("check", "--plain-http", *PLATFORM, "--images", manifest)

        found = assert_single_root_cause(result, "image/invalid-reference")
        assert "»T«" in found["detail"]
        assert found["evidence"] == [f"{manifest}:5"]
        verdicts = {target["target"]: target["verdict"] for target in result.report["targets"]}
        assert verdicts == {
            f"{registry.address}/team/app:1.0": "healthy",
            f"{registry.address}/Team/app:1.0": "failing",
        }
        (broken,) = [target for target in result.report["targets"] if target["verdict"] == "failing"]
        assert broken["registry"] is None
        assert broken["exchanges"] == []

    @pytest.mark.parametrize(
        "report_format", ["text", "html", "markdown", "junit", "sarif", "nagios", "github"]
    )
    def test_every_format_can_show_it(self, tmp_path: Path, report_format: str) -> None:
        listed = tmp_path / "images"
        listed.write_text("https://reg.test/app:1.0\n")

        result = run_regdoctor("check", "--images", listed, "--format", report_format)

        assert result.exit_code == 3
        assert "image/invalid-reference" in result.stdout or "no image reference" in result.stdout

    def test_names_that_can_be_read_are_healthy(self, registry: Registry, tmp_path: Path) -> None:
        push_image(registry, "team/app", "1.0")
        listed = tmp_path / "images"
        listed.write_text(f"{registry.address}/team/app:1.0\n")

        assert_healthy(run_regdoctor("check", "--plain-http", *PLATFORM, "--images", listed))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("reg.test/Team/app", "reg.test/»T«eam/app"),
            ("reg.test:5000/team/app:1.0+x", "1.0»+«x"),
            ("reg.test/team//app", "two slashes"),
            ("https://reg.test/team/app:1.0", "https"),
            ("reg.test/team/app@sha256:abc", "64 hexadecimal digits"),
        ],
    )
    def test_on_the_command_line_it_is_told_as_well(self, text: str, words: str) -> None:
        result = run_regdoctor("check", text)

        found = assert_single_root_cause(result, "image/invalid-reference")
        assert words in found["detail"]
        assert result.report["targets"][0]["exchanges"] == []

    @pytest.mark.parametrize("text", ["", "reg.test:99999", "https://", "-x.test:5000"])
    def test_what_is_no_image_either_is_wrong_usage(self, text: str) -> None:
        result = run_regdoctor("check", text)

        assert result.exit_code == 2


class TestLatestTag:
    def test_it_is_a_warning_in_ci_and_in_lists_and_nowhere_else(
        self, registry: Registry, tmp_path: Path
    ) -> None:
        push_image(registry, "team/app", "latest")
        listed = tmp_path / "images"
        listed.write_text(f"{registry.address}/team/app\n")

        assert_healthy(check(registry, "team/app"))
        assert_single_root_cause(check(registry, "team/app", "--profile", "ci"), "image/latest-tag")
        assert_single_root_cause(
            run_regdoctor("check", "--plain-http", *PLATFORM, "--images", listed), "image/latest-tag"
        )

    def test_a_fixed_version_is_healthy_in_ci(self, registry: Registry) -> None:
        image = push_image(registry, "team/app", "1.0")

        assert_healthy(check(registry, "team/app:1.0", "--profile", "ci"))
        assert_healthy(check(registry, f"team/app@{image.digest}", "--profile", "ci"))

    def test_a_missing_latest_is_the_error_and_the_habit_only_a_warning(
        self, registry: Registry, tmp_path: Path
    ) -> None:
        push_image(registry, "team/app", "1.0")
        listed = tmp_path / "images"
        listed.write_text(f"{registry.address}/team/app\n")

        result = run_regdoctor("check", "--plain-http", *PLATFORM, "--images", listed)

        assert_single_root_cause(result, "image/tag-not-found")
        assert_has(result, "image/latest-tag")


class TestLibraryPrefix:
    def test_a_single_name_behind_a_cache_needs_it(self, start_registry: StartRegistry) -> None:
        upstream = start_registry()
        push_image(upstream, "library/nginx", "1.25")
        cache = start_registry(proxy=upstream.url)

        assert_healthy(check(cache, "library/nginx:1.25"))
        found = assert_single_root_cause(check(cache, "nginx:1.25"), "image/library-prefix")

        assert any(f"{cache.address}/library/nginx:1.25" in line for line in found["fix"])

    def test_below_a_path_too(self, registry: Registry) -> None:
        push_image(registry, "hub/library/memcached", "1.6")

        assert_single_root_cause(check(registry, "hub/memcached:1.6"), "image/library-prefix")

    def test_a_name_that_is_in_no_library_either_is_just_missing(self, registry: Registry) -> None:
        push_image(registry, "library/nginx", "1.25")

        assert_single_root_cause(check(registry, "httpd:2.4"), "image/repository-not-found")

    def test_where_a_token_is_needed_one_for_the_library_is_got(
        self, start_registry: StartRegistry, start_token_server: StartTokenServer
    ) -> None:
        tokens = start_token_server(anonymous={"library/nginx": ("pull",)})
        registry = start_registry(token=tokens.auth())
        push_image(registry.client(ALICE), "library/nginx", "1.25")

        assert_healthy(check(registry, "library/nginx:1.25", "--skip", "security"))
        result = check(registry, "nginx:1.25", "--skip", "security")

        assert_single_root_cause(result, "image/library-prefix")


@dataclass(frozen=True)
class DockerHub:
    """A registry and a token server under the names of Docker Hub, in a network of their own."""

    namespace: Namespace
    registry: Registry
    tokens: TokenServer
    hosts: dict[str, str]
    ca: Path

    def check(self, image: str, *arguments: str | Path, **options: Any) -> CliResult:
        return run_regdoctor(
            "check",
            image,
            "--cacert",
            self.ca,
            *PLATFORM,
            "--skip",
            "clock",
            *arguments,
            in_namespace=self.namespace,
            hosts=self.hosts | options.pop("names", {}),
            # Nothing answers there: what is in no hosts file does not resolve.
            resolv_conf="nameserver 127.0.0.9\noptions timeout:1 attempts:1\n",
            **options,
        )


@pytest.fixture
def hub(authority: Authority, tmp_path: Path) -> Iterator[DockerHub]:
    """Docker Hub as far as docker sees it: real servers that know its names, with one official image."""
    hosts = {"registry-1.docker.io": "127.0.0.2", "auth.docker.io": "127.0.0.3"}
    certificate: CertificateFiles = authority.issue([*hosts], []).write(tmp_path / "hub-tls")
    with ExitStack() as stack:
        namespace = stack.enter_context(Namespace("hub"))
        tokens = stack.enter_context(
            TokenServer(
                tmp_path / "hub-tokens",
                users={USERNAME: PASSWORD},
                anonymous={"library/alpine": ("pull",)},
                service="registry.docker.io",
                host="127.0.0.3",
                port=443,
                name="auth.docker.io",
                tls=certificate,
                namespace=namespace,
            )
        )
        registry = stack.enter_context(
            Registry(
                tmp_path / "hub-registry",
                host="127.0.0.2",
                port=443,
                name="registry-1.docker.io",
                tls=certificate,
                token=tokens.auth(realm="https://auth.docker.io/token"),
                namespace=namespace,
            )
        )
        client = RegistryClient(
            registry.url, addresses=hosts, ca=certificate.ca, credential=ALICE, namespace=namespace
        )
        push_image(client, "library/alpine", "3.20")
        yield DockerHub(namespace, registry, tokens, hosts, certificate.ca)


class TestHostMissing:
    def test_an_official_image_is_healthy(self, hub: DockerHub) -> None:
        assert_healthy(hub.check("alpine:3.20"))

    def test_a_missing_tag_of_an_official_image_is_just_that(self, hub: DockerHub) -> None:
        result = hub.check("alpine:3.99")

        assert_single_root_cause(result, "image/tag-not-found")
        assert_lacks(result, "image/host-missing")

    @pytest.mark.parametrize("image", ["myapp:1.0", "myregistry/app:1.0"])
    def test_a_name_that_docker_hub_does_not_give_may_lack_its_host(self, hub: DockerHub, image: str) -> None:
        found = assert_single_root_cause(hub.check(image), "image/host-missing", exit_code=3)

        assert found["severity"] == "warning"
        assert "registry-1.docker.io" in found["detail"]

    def test_a_host_of_that_name_here_makes_it_likely(self, hub: DockerHub) -> None:
        result = hub.check("myregistry/app:1.0", names={"myregistry": "127.0.0.4"})

        found = assert_single_root_cause(result, "image/host-missing", exit_code=3)
        assert found["certainty"] == "likely"
        assert "127.0.0.4" in found["detail"]

    def test_with_a_login_for_docker_hub_a_private_repository_is_what_was_meant(self, hub: DockerHub) -> None:
        hub.tokens.grants = {"library/*": ("pull",)}
        result = hub.check("myaccount/app:1.0", "--username", USERNAME, "--password-stdin", stdin=PASSWORD)

        assert_lacks(result, "image/host-missing")

    def test_in_ci_every_name_without_a_host_is_told(self, hub: DockerHub) -> None:
        result = hub.check("alpine:3.20", "--profile", "ci")

        assert_single_root_cause(result, "image/host-missing")
        assert codes(result.report) == ["image/host-missing"]

    def test_with_a_host_it_is_healthy_in_ci(self, hub: DockerHub) -> None:
        assert_healthy(hub.check("docker.io/library/alpine:3.20", "--profile", "ci"))


def test_images_of_one_registry_share_connections_and_tokens(
    start_registry: StartRegistry,
    start_token_server: StartTokenServer,
    certificate: CertificateFiles,
    tmp_path: Path,
) -> None:
    tokens = start_token_server(name=NAME, tls=certificate, anonymous={"*": ("pull",)})
    registry = start_registry(name=NAME, tls=certificate, token=tokens.auth())
    client = registry.client(ALICE, addresses={NAME: "127.0.0.1"})
    for number in range(12):
        push_image(client, "team/app", f"1.{number}")
    push_image(client, "team/other", "1.0")
    listed = tmp_path / "images"
    listed.write_text(
        "".join(f"{registry.address}/team/app:1.{number}\n" for number in range(12))
        + f"{registry.address}/team/other:1.0\n"
    )
    before = len(tokens.requests)

    result = run_regdoctor(
        "check",
        "--cacert",
        certificate.ca,
        *PLATFORM,
        "--skip",
        "security",
        "--images",
        listed,
        hosts={NAME: "127.0.0.1"},
    )

    assert_healthy(result)
    asked = [each.target for each in tokens.requests[before:] if "scope=" in each.target]
    assert len([each for each in asked if each.endswith("%3Apull")]) == 2, "one token for each repository"
    assert len(asked) == len(set(asked)) == 5, "and one each for what else is allowed, and for the catalog"
    manifests = [
        exchange
        for target in result.report["targets"]
        for exchange in target["exchanges"]
        if "/manifests/" in exchange["url"] and exchange["method"] == "GET"
    ]
    reused = [exchange for exchange in manifests if exchange["timings_ms"]["tcp"] is None]
    assert len(manifests) == 13
    assert len(reused) > len(manifests) / 2, "most use a connection that is open already"
