"""What reports tell of logins: who may do what, and which stored entry is used; on Debian's registry."""

from __future__ import annotations

import base64
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.conftest import PASSWORD, USERNAME, StartRegistry, StartTokenServer
from tests.support.http_server import Request
from tests.support.images import push_image
from tests.support.regdoctor_cli import CliResult, run_regdoctor
from tests.support.registry import Registry
from tests.support.registry_client import Credential
from tests.support.skewed_proxy import SkewedProxy
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.needs("docker-registry")

ALICE: Credential = (USERNAME, PASSWORD)
QUICKLY = ("--push", "--push-seconds", "1")
YES, NO, OPEN = True, False, None


def check(
    target: str,
    *arguments: str | Path,
    login: Credential | None = None,
    report_format: str = "json",
    **options: Any,
) -> CliResult:
    words = ["check", "--plain-http", target, "--platform", "linux/amd64", *arguments]
    if login is not None:
        words += ["--username", login[0], "--password-stdin"]
    return run_regdoctor(*words, stdin=login[1] if login else None, report_format=report_format, **options)


def permissions(result: CliResult, who: str) -> dict[str, bool | None]:
    """What the report says that somebody may do: ``anonymous`` or ``account``."""
    fact = result.report["targets"][0]["facts"]["permissions"]
    return {each["action"]: each["allowed"] for each in fact[who]}


def may(
    pull: bool | None, push: bool | None, delete: bool | None, catalog: bool | None
) -> dict[str, bool | None]:
    return {"pull": pull, "push": push, "delete": delete, "catalog": catalog}


class TestPermissions:
    @pytest.fixture
    def token_server(self, start_token_server: StartTokenServer) -> TokenServer:
        """Everybody may pull below public/, and alice may push there; nobody may delete, nobody may list."""
        return start_token_server(anonymous={"public/*": ("pull",)})

    @pytest.fixture
    def registry(self, start_registry: StartRegistry, token_server: TokenServer) -> Registry:
        registry = start_registry(token=token_server.auth())
        for repository in ("public/app", "team/app"):
            push_image(registry.client(ALICE), repository, "1.0")
        token_server.grants = {"public/*": ("pull", "push")}
        return registry

    def test_tokens_tell_without_changing_anything(self, registry: Registry) -> None:
        result = check(f"{registry.address}/public/app:1.0", login=ALICE)

        assert permissions(result, "anonymous") == may(YES, NO, NO, NO)
        assert permissions(result, "account") == may(YES, YES, NO, NO)
        methods = {each["method"] for each in result.report["targets"][0]["exchanges"]}
        assert methods <= {"GET", "HEAD"}

    def test_what_an_upload_has_shown_counts(self, registry: Registry) -> None:
        result = check(f"{registry.address}/public/app:1.0", *QUICKLY, login=ALICE)

        assert permissions(result, "account") == may(YES, YES, NO, NO)

    def test_a_stranger_has_a_row_of_its_own_alone(self, registry: Registry) -> None:
        result = check(f"{registry.address}/public/app:1.0")

        assert permissions(result, "anonymous") == may(YES, NO, NO, NO)
        assert permissions(result, "account") == {}

    def test_a_list_of_repositories_that_is_granted(
        self, registry: Registry, token_server: TokenServer
    ) -> None:
        token_server.grants = {"*": ("pull", "push", "delete", "*")}
        result = check(f"{registry.address}/team/app:1.0", login=ALICE)

        assert permissions(result, "anonymous") == may(NO, NO, NO, NO)
        assert permissions(result, "account") == may(YES, YES, YES, YES)

    def test_a_refused_login_is_not_tried_again(self, registry: Registry, token_server: TokenServer) -> None:
        before = len(token_server.requests)
        result = check(f"{registry.address}/public/app:1.0", login=(USERNAME, "wrong"))

        sent = [each for each in token_server.requests[before:] if "Authorization" in each.headers]
        assert len(sent) == 1
        assert permissions(result, "account") == may(NO, NO, NO, NO)
        assert permissions(result, "anonymous") == may(YES, NO, NO, NO)

    def test_several_images_of_a_repository_ask_once(
        self, registry: Registry, token_server: TokenServer, tmp_path: Path
    ) -> None:
        for tag in ("2.0", "3.0", "4.0"):
            push_image(registry.client(ALICE), "public/app", tag)
        names = [f"{registry.address}/public/app:{tag}" for tag in ("1.0", "2.0", "3.0", "4.0")]
        (tmp_path / "images").write_text("\n".join(names))
        before = len(token_server.requests)
        result = run_regdoctor("check", "--plain-http", "--images", tmp_path / "images")

        asked = [each.target for each in token_server.requests[before:]]
        assert len(asked) == len(set(asked))
        assert len(asked) <= 4
        assert [len(each["facts"]["permissions"]["anonymous"]) for each in result.report["targets"]] == [
            4
        ] * 4

    @pytest.mark.parametrize("report_format", ["text", "html", "markdown"])
    def test_reports_for_people_have_it_as_a_table(self, registry: Registry, report_format: str) -> None:
        page = check(f"{registry.address}/public/app:1.0", login=ALICE, report_format=report_format).stdout

        assert "Who may do what in public/app" in page
        if report_format == "text":
            rows = [
                line.split() for line in page.splitlines() if line.split()[:1] in (["anonymous"], [USERNAME])
            ]
            assert [[word for word in row if word in ("yes", "no", "?")] for row in rows] == [
                ["yes", "no", "no", "no"],
                ["yes", "yes", "no", "no"],
            ]
            assert max(len(line) for line in page.splitlines() if "http://" not in line) <= 80


def test_an_open_registry_allows_all_that_was_tried(registry: Registry) -> None:
    push_image(registry, "team/app", "1.0")

    assert permissions(check(f"{registry.address}/team/app:1.0"), "anonymous") == may(YES, OPEN, OPEN, YES)
    assert permissions(check(f"{registry.address}/team/app:1.0", *QUICKLY), "anonymous") == may(
        YES, YES, YES, YES
    )


def test_a_registry_that_deletes_nothing_is_not_one_that_forbids_it(start_registry: StartRegistry) -> None:
    registry = start_registry(delete=False)
    result = check(registry.address, *QUICKLY)
    (delete,) = [
        each
        for each in result.report["targets"][0]["facts"]["permissions"]["anonymous"]
        if each["action"] == "delete"
    ]

    assert delete["allowed"] is False
    assert "for anybody" in delete["why"]


def test_passwords_say_no_rights(start_registry: StartRegistry) -> None:
    registry = start_registry(htpasswd={USERNAME: PASSWORD})
    push_image(registry.client(ALICE), "team/app", "1.0")
    result = check(f"{registry.address}/team/app:1.0", login=ALICE)

    assert permissions(result, "anonymous") == may(NO, NO, NO, NO)
    assert permissions(result, "account") == may(YES, OPEN, OPEN, YES)


class TestCredentials:
    @pytest.fixture
    def registry(self, start_registry: StartRegistry) -> Registry:
        registry = start_registry(htpasswd={USERNAME: PASSWORD})
        push_image(registry.client(ALICE), "team/app", "1.0")
        return registry

    def check(self, registry: Registry, folder: Path, stored: dict[str, Any], **options: Any) -> CliResult:
        (folder / "config.json").write_text(json.dumps(stored, indent=1))
        environment = {"DOCKER_CONFIG": str(folder), **options.pop("env", {})}
        result = check(f"{registry.address}/team/app:1.0", report_format="text", env=environment, **options)
        assert PASSWORD not in result.stdout + result.stderr
        return result

    def entry(self, login: Credential = ALICE) -> dict[str, str]:
        return {"auth": base64.b64encode(":".join(login).encode()).decode()}

    def test_the_entry_that_is_used_is_named_with_its_file(self, registry: Registry, tmp_path: Path) -> None:
        page = self.check(registry, tmp_path, {"auths": {registry.address: self.entry()}}).stdout

        table = page.partition(f"Credentials for {registry.address}\n")[2].partition("\n\n")[0]
        assert table.split("\n")[1].split()[:3] == ["used", registry.address, USERNAME]
        assert "".join(table.split()).endswith(f"{tmp_path}/config.json")

    def test_an_entry_for_another_port_is_told_as_not_used(self, registry: Registry, tmp_path: Path) -> None:
        page = self.check(registry, tmp_path, {"auths": {"127.0.0.1": self.entry()}}).stdout

        assert "not used  127.0.0.1" in page
        assert "without a port" in page

    def test_an_entry_behind_a_helper_is_told(self, registry: Registry, tmp_path: Path) -> None:
        program = tmp_path / "docker-credential-empty"
        program.write_text("#!/bin/sh\necho credentials not found in native keychain\nexit 1\n")
        program.chmod(0o755)
        stored = {"auths": {registry.address: self.entry()}, "credHelpers": {registry.address: "empty"}}
        page = self.check(registry, tmp_path, stored, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}).stdout

        assert "behind a helper" in page
        assert "The file has an entry as well" in " ".join(page.split())

    @pytest.mark.parametrize(
        ("password", "words"),
        [
            (f"{PASSWORD}\n", "ends with a line end"),
            (f"'{PASSWORD}'", "stands in quotation marks"),
            ("$REGISTRY_PASSWORD", "name of a variable"),
        ],
    )
    def test_damage_is_told_without_the_password(
        self, registry: Registry, tmp_path: Path, password: str, words: str
    ) -> None:
        stored = {"auths": {registry.address: self.entry((USERNAME, password))}}
        page = " ".join(self.check(registry, tmp_path, stored).stdout.split())

        assert "damaged, used" in page
        assert words in page


class TestPlainHttp:
    """No password goes over plain HTTP to a host that nobody calls insecure; the report says what was not done."""

    HOSTS: ClassVar = {"reg.test": "127.0.0.1", "auth.test": "127.0.0.1"}

    def check(self, target: str, *arguments: str | Path, report_format: str = "json") -> CliResult:
        words = ["check", f"http://{target}", "--username", USERNAME, "--password-stdin", *arguments]
        return run_regdoctor(*words, stdin=PASSWORD, hosts=self.HOSTS, report_format=report_format)

    @pytest.fixture
    def asked(self, start_registry: StartRegistry, servers: ExitStack) -> tuple[str, list[Request]]:
        """A registry that wants a password, and the requests that come to it."""
        registry = start_registry(htpasswd={USERNAME: PASSWORD})
        hop = servers.enter_context(SkewedProxy(registry.upstream, offset=0, name="reg.test"))
        return f"reg.test:{hop.port}", hop.requests

    @pytest.mark.parametrize("push", [(), ("--push",)])
    def test_a_password_stays_here(self, asked: tuple[str, list[Request]], push: tuple[str, ...]) -> None:
        address, requests = asked
        page = " ".join(self.check(address, *push, report_format="text").stdout.split())

        assert not [each for each in requests if "Authorization" in each.headers]
        assert f"the login was not sent to http://{address}" in page
        assert "--plain-http, or an entry of that host" in page
        assert "HEALTHY" not in page

    def test_the_option_allows_it(self, asked: tuple[str, list[Request]]) -> None:
        address, requests = asked
        self.check(address, "--plain-http")

        assert [each for each in requests if "Authorization" in each.headers]

    def test_an_insecure_entry_allows_it(self, asked: tuple[str, list[Request]], tmp_path: Path) -> None:
        address, requests = asked
        (tmp_path / "daemon.json").write_text(json.dumps({"insecure-registries": [address]}))
        result = self.check(address, "--daemon-json", tmp_path / "daemon.json")

        assert [each for each in requests if "Authorization" in each.headers]
        assert result.report["targets"][0]["facts"]["pull-authorization"]["answer"]["status"] == 200

    def test_a_token_server_needs_an_entry_of_its_own(
        self, start_registry: StartRegistry, start_token_server: StartTokenServer, tmp_path: Path
    ) -> None:
        tokens = start_token_server(name="auth.test")
        registry = start_registry(name="reg.test", token=tokens.auth())
        (tmp_path / "daemon.json").write_text(json.dumps({"insecure-registries": [registry.address]}))
        result = self.check(registry.address, "--daemon-json", tmp_path / "daemon.json")

        assert not [each for each in tokens.requests if "Authorization" in each.headers]
        assert f"the login was not sent to http://auth.test:{tokens.port}" in result.stdout
