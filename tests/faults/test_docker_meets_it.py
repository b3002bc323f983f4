"""A real docker daemon meets the faults of logins, images and pushes that are named here, and not their twins."""

from __future__ import annotations

import random
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PASSWORD, USERNAME, StartNginx, StartRegistry, StartTokenServer
from tests.support import ports, programs
from tests.support.dockerd import Dockerd
from tests.support.images import corrupt_blob, push_image, push_index, remove_blob
from tests.support.mounts import tmpfs
from tests.support.nginx import ReverseProxy
from tests.support.regdoctor_cli import assert_healthy, assert_single_root_cause, run_regdoctor
from tests.support.registry import Registry
from tests.support.token_server import TokenFaults

pytestmark = [pytest.mark.needs("docker-registry", "dockerd", "docker"), pytest.mark.needs_root]

ALICE = (USERNAME, PASSWORD)
PUSH = ("--push", "--push-seconds", "1")


@pytest.fixture(scope="module")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    """A daemon that tries each download once."""
    options = ("--max-download-attempts=1",)
    with Dockerd(tmp_path_factory.mktemp("docker"), options=options) as daemon:
        yield daemon


class Docker:
    """The docker client, with a configuration of its own."""

    def __init__(self, daemon: Dockerd, folder: Path) -> None:
        self.daemon = daemon
        self._environment = {"DOCKER_CONFIG": str(folder)}
        self._folder = folder

    def run(self, *arguments: str) -> tuple[int, str]:
        done = self.daemon.docker(*arguments, env=self._environment)
        return done.returncode, done.stdout + done.stderr

    def log_in(self, address: str, password: str = PASSWORD) -> tuple[int, str]:
        return self.run("login", "--username", USERNAME, "--password", password, address)

    def pull(self, image: str) -> tuple[int, str]:
        return self.run("pull", image)

    def push(self, image: str) -> tuple[int, str]:
        archive = self._folder / "layer.tar"
        if not archive.exists():
            content = self._folder / "content"
            content.write_bytes(random.Random(1).randbytes(3_000_000))
            with tarfile.open(archive, "w") as packed:
                packed.add(content, "content")
        code, said = self.run("import", str(archive), image)
        assert code == 0, said
        return self._push_once(image)

    def _push_once(self, image: str) -> tuple[int, str]:
        """Push, and stop where the daemon is about to try again, which it does four times, ever more slowly."""
        before = len(self.daemon.log())
        command = [programs.path("docker"), "--host", f"unix://{self.daemon.socket}", "push", image]
        process = subprocess.Popen(
            command,
            env={"PATH": programs.search_path(), "HOME": str(self._folder), **self._environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

        def tries_again() -> bool:
            return "retrying" in self.daemon.log()[before:]

        try:
            ports.wait_until(
                lambda: process.poll() is not None or tries_again(), "pushed, or failed once", seconds=60
            )
            failed = process.poll() is None
        finally:
            process.kill()
            said, _ = process.communicate()
        return (1, self.daemon.log()[before:]) if failed else (process.returncode, said)

    def refused(self, outcome: tuple[int, str], words: str) -> None:
        code, said = outcome
        assert code != 0, said
        assert words.lower() in said.lower()

    def fine(self, outcome: tuple[int, str]) -> None:
        assert outcome[0] == 0, outcome[1]


@pytest.fixture
def docker(dockerd: Dockerd, tmp_path: Path) -> Docker:
    folder = tmp_path / "docker-client"
    folder.mkdir()
    return Docker(dockerd, folder)


def check(image: str, *arguments: str | Path, login: tuple[str, str] | None = None) -> Any:
    words = ["check", "--plain-http", image, "--platform", "linux/amd64", *arguments]
    if login is not None:
        words += ["--username", login[0], "--password-stdin"]
    return run_regdoctor(*words, stdin=login[1] if login else None)


class TestLogins:
    @pytest.fixture
    def image(self, start_registry: StartRegistry) -> str:
        registry = start_registry(htpasswd={USERNAME: PASSWORD})
        push_image(registry.client(ALICE), "team/app", "1.0")
        return f"{registry.address}/team/app:1.0"

    def test_right_ones(self, docker: Docker, image: str) -> None:
        docker.fine(docker.log_in(image.partition("/")[0]))
        docker.fine(docker.pull(image))
        assert_healthy(check(image, login=ALICE))

    def test_none(self, docker: Docker, image: str) -> None:
        docker.refused(docker.pull(image), "no basic auth credentials")
        assert_single_root_cause(check(image), "auth/credentials-missing")

    def test_a_wrong_password(self, docker: Docker, image: str) -> None:
        docker.refused(docker.log_in(image.partition("/")[0], "wrong"), "unauthorized")
        assert_single_root_cause(check(image, login=(USERNAME, "wrong")), "auth/credentials-rejected")


class TestTokens:
    def test_right_ones(
        self, docker: Docker, start_registry: StartRegistry, start_token_server: StartTokenServer
    ) -> None:
        tokens = start_token_server()
        image = self.image(start_registry, tokens)
        docker.fine(docker.log_in(image.partition("/")[0]))
        docker.fine(docker.pull(image))
        assert_healthy(check(image, login=ALICE))

    def image(self, start_registry: StartRegistry, tokens: Any, **changes: Any) -> str:
        right = start_registry(token=tokens.auth())
        push_image(right.client(ALICE), "team/app", "1.0")
        if changes:
            right.stop()
            right.config["auth"]["token"].update(changes)
            right.start()
        return f"{right.address}/team/app:1.0"

    def test_a_foreign_key(
        self, docker: Docker, start_registry: StartRegistry, start_token_server: StartTokenServer
    ) -> None:
        tokens = start_token_server()
        image = self.image(start_registry, tokens)
        tokens.faults = TokenFaults(foreign_key=True)
        docker.refused(docker.log_in(image.partition("/")[0]), "unauthorized")
        assert_single_root_cause(check(image, login=ALICE), "auth/token-rejected")

    def test_another_audience(
        self, docker: Docker, start_registry: StartRegistry, start_token_server: StartTokenServer
    ) -> None:
        tokens = start_token_server()
        image = self.image(start_registry, tokens)
        tokens.faults = TokenFaults(audience="other.test")
        docker.refused(docker.log_in(image.partition("/")[0]), "unauthorized")
        assert_single_root_cause(check(image, login=ALICE), "auth/token-audience-mismatch")

    def test_a_token_server_that_is_not_there(
        self, docker: Docker, start_registry: StartRegistry, start_token_server: StartTokenServer
    ) -> None:
        image = self.image(start_registry, start_token_server(), realm="http://127.0.0.1:9/token")
        docker.refused(docker.pull(image), "127.0.0.1:9")
        assert_single_root_cause(check(image), "auth/realm-unreachable")

    def test_a_private_repository_for_strangers(
        self, docker: Docker, start_registry: StartRegistry, start_token_server: StartTokenServer
    ) -> None:
        image = self.image(start_registry, start_token_server())
        docker.refused(docker.pull(image), "denied")
        assert_single_root_cause(check(image), "auth/existence-hidden")

    def test_an_account_that_may_only_pull(
        self, docker: Docker, start_registry: StartRegistry, start_token_server: StartTokenServer
    ) -> None:
        tokens = start_token_server()
        image = self.image(start_registry, tokens)
        tokens.grants = {"*": ("pull",)}
        docker.fine(docker.log_in(image.partition("/")[0]))
        docker.fine(docker.pull(image))
        docker.refused(docker.push(image), "denied")
        assert_single_root_cause(check(image, *PUSH, login=ALICE), "auth/scope-denied")


class TestImages:
    def test_a_whole_one(self, docker: Docker, registry: Registry) -> None:
        push_index(registry, "team/app", "1.0", {"linux/amd64": None, "linux/arm64": None})
        docker.fine(docker.pull(f"{registry.address}/team/app:1.0"))
        assert_healthy(check(f"{registry.address}/team/app:1.0"))

    def test_a_missing_tag(self, docker: Docker, registry: Registry) -> None:
        push_image(registry, "team/app", "1.0")
        docker.refused(docker.pull(f"{registry.address}/team/app:2.0"), "not found")
        assert_single_root_cause(check(f"{registry.address}/team/app:2.0"), "image/tag-not-found")

    def test_a_missing_platform(self, docker: Docker, registry: Registry) -> None:
        push_index(registry, "team/app", "1.0", {"linux/arm64": None, "linux/s390x": None})
        image = f"{registry.address}/team/app:1.0"
        docker.refused(docker.pull(image), "no matching manifest for linux/amd64")
        assert_single_root_cause(check(image), "image/platform-missing")

    def test_a_lost_layer(self, docker: Docker, registry: Registry) -> None:
        pushed = push_image(registry, "team/lost", "1.0", layer_size=200_000)
        remove_blob(registry, pushed.layer_digests[1])
        registry.restart()
        image = f"{registry.address}/team/lost:1.0"
        docker.refused(docker.pull(image), "unknown blob")
        assert_single_root_cause(check(image), "image/blob-missing")

    def test_a_layer_with_other_bytes(self, docker: Docker, registry: Registry) -> None:
        pushed = push_image(registry, "team/corrupt", "1.0", layer_size=300_000)
        corrupt_blob(registry, pushed.layer_digests[1])
        image = f"{registry.address}/team/corrupt:1.0"
        docker.refused(docker.pull(image), "verification failed")
        assert_single_root_cause(check(image, "--verify-blobs"), "image/blob-corrupt")


class TestPushes:
    def test_a_right_proxy(self, docker: Docker, registry: Registry, start_nginx: StartNginx) -> None:
        address = start_nginx(ReverseProxy(registry.upstream)).address
        docker.fine(docker.push(f"{address}/team/pushed:1.0"))
        assert_healthy(check(f"{address}/team/pushed:1.0", *PUSH))

    def test_a_limit_on_bodies(self, docker: Docker, registry: Registry, start_nginx: StartNginx) -> None:
        address = start_nginx(ReverseProxy(registry.upstream, client_max_body_size=None)).address
        docker.refused(docker.push(f"{address}/team/pushed:1.0"), "413")
        assert_single_root_cause(check(f"{address}/team/pushed:1.0", *PUSH), "push/body-too-large")

    def test_a_method_that_is_blocked(
        self, docker: Docker, registry: Registry, start_nginx: StartNginx
    ) -> None:
        rule = "limit_except GET POST { deny all; }"
        address = start_nginx(ReverseProxy(registry.upstream, directives=[rule])).address
        docker.refused(docker.push(f"{address}/team/pushed:1.0"), "403")
        assert_single_root_cause(check(f"{address}/team/pushed:1.0", *PUSH), "push/method-blocked")

    def test_a_registry_in_maintenance(self, docker: Docker, start_registry: StartRegistry) -> None:
        registry = start_registry(readonly=True)
        docker.refused(docker.push(f"{registry.address}/team/pushed:1.0"), "405")
        assert_single_root_cause(check(registry.address, *PUSH), "push/read-only")

    def test_a_cache(self, docker: Docker, registry: Registry, start_registry: StartRegistry) -> None:
        cache = start_registry(proxy=registry.url)
        docker.refused(docker.push(f"{cache.address}/team/pushed:1.0"), "unsupported")
        assert_single_root_cause(check(cache.address, *PUSH), "push/unsupported-cache")

    def test_a_full_disk(
        self, docker: Docker, start_registry: StartRegistry, tmp_path: Path, servers: ExitStack
    ) -> None:
        full = servers.enter_context(tmpfs(tmp_path / "full", size="1m"))
        registry = start_registry(storage=full)
        docker.refused(docker.push(f"{registry.address}/team/pushed:1.0"), "500 Internal Server Error")
        assert_single_root_cause(check(registry.address, *PUSH), "push/storage-failure")

    def test_a_location_that_leads_nowhere(self, docker: Docker, start_registry: StartRegistry) -> None:
        dead = ports.free_port()
        registry = start_registry(http_host=f"http://127.0.0.1:{dead}")
        docker.refused(docker.push(f"{registry.address}/team/pushed:1.0"), "connection refused")
        assert_single_root_cause(check(registry.address, *PUSH), "push/location-host")
