"""Who could do what with a real registry, and who could read along; and the healthy twins."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PASSWORD, USERNAME, StartRegistry, StartTokenServer
from tests.support import ports
from tests.support.certificates import Authority, CertificateFiles
from tests.support.images import push_image
from tests.support.netns import LinkedHosts, Namespace
from tests.support.nginx import Nginx, ReverseProxy
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

SERVER = "10.77.0.2"
NAME = "reg.test"
LOGIN = ("--username", USERNAME, "--password-stdin")


@dataclass
class Site:
    """The registry's host and a client of it, on a cable."""

    server: Namespace
    client: Namespace
    folder: Path
    servers: ExitStack

    def registry(self, port: int = 5000, **options: Any) -> Registry:
        """Start a registry on the server."""
        options = {"host": SERVER, "namespace": self.server, "user": "nobody", **options}
        return self.servers.enter_context(Registry(self.folder / f"registry-{port}", port=port, **options))

    def check(self, target: str, *arguments: str | Path, **options: Any) -> CliResult:
        """Run regdoctor on the client."""
        return run_regdoctor("check", target, *arguments, in_namespace=self.client, **options)

    def check_host(self, target: str, *arguments: str | Path, **options: Any) -> CliResult:
        """Run regdoctor on the registry's host."""
        return run_regdoctor(
            "check", target, "--profile", "host", *arguments, in_namespace=self.server, **options
        )


@pytest.fixture
def site(linked_hosts: LinkedHosts, open_tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as servers:
        yield Site(linked_hosts.server, linked_hosts.client, open_tmp_path, servers)


@pytest.fixture
def certificate(authority: Authority, open_tmp_path: Path) -> CertificateFiles:
    """A certificate that every account can read, which the registry's own needs."""
    files = authority.issue([NAME], [SERVER, "127.0.0.1"]).write(open_tmp_path / "tls")
    shutil.chown(files.key, "nobody")
    return files


class TestOpenRegistry:
    def test_a_client_is_told_and_not_alarmed(self, site: Site) -> None:
        registry = site.registry()
        result = site.check(registry.url)
        assert_healthy(result)
        for code in ("security/anonymous-pull", "security/anonymous-catalog"):
            assert assert_has(result, code)["severity"] == "info"
        assert_lacks(result, "security/anonymous-push")

    def test_an_image_that_anybody_may_pull(self, site: Site) -> None:
        registry = site.registry()
        image = push_image(registry)
        result = site.check(image.reference(registry.address), "--plain-http", "--platform", "linux/amd64")
        assert_healthy(result)
        assert assert_has(result, "security/anonymous-pull")["severity"] == "info"

    def test_a_push_shows_that_anybody_may_push(self, site: Site) -> None:
        registry = site.registry()
        result = site.check(registry.url, "--push", "--push-seconds", "0.5")
        assert_healthy(result, allow=("push/remains",))
        assert assert_has(result, "security/anonymous-push")["severity"] == "info"

    def test_on_its_own_host_the_configuration_shows_it(self, site: Site) -> None:
        registry = site.registry()
        result = site.check_host(registry.url)
        cause = assert_single_root_cause(result, "config/no-auth", exit_code=0)
        error = assert_has(result, "security/anonymous-push")
        assert (error["severity"], error["caused_by"]) == ("warning", cause["id"])
        assert error["evidence"][0].startswith(f"{registry.config_path}:17")

    def test_what_a_push_shows_there_is_an_error(self, site: Site) -> None:
        registry = site.registry()
        result = site.check_host(registry.url, "--push", "--push-seconds", "0.5", "--skip", "config/no-auth")
        assert_single_root_cause(result, "security/anonymous-push")

    def test_the_port_beside_the_proxy_that_asks_for_a_login(self, site: Site) -> None:
        registry = site.registry()
        folder = site.folder / "nginx"
        folder.mkdir()
        users = folder / "users"
        users.write_text(f"{USERNAME}:{{PLAIN}}{PASSWORD}\n")
        proxy = ReverseProxy(
            registry.url,
            host=SERVER,
            port=8080,
            server_directives=["auth_basic registry;", f"auth_basic_user_file {users};"],
        )
        site.servers.enter_context(Nginx(folder, proxy, namespace=site.server))
        result = site.check_host(
            f"http://{SERVER}:8080", "--config", registry.config_path, *LOGIN, stdin=PASSWORD
        )
        error = assert_has(result, "security/anonymous-push")
        assert "open beside the proxy" in error["detail"]

    def test_within_one_machine_it_is_no_ones_business(self, start_registry: StartRegistry) -> None:
        registry = start_registry(user="nobody")
        result = run_regdoctor("check", registry.url, "--profile", "host", "--push", "--push-seconds", "0.5")
        assert_healthy(result, allow=("push/remains",))


def with_login(site: Site, certificate: CertificateFiles) -> Registry:
    """A registry with a login and TLS, whose files are closed to strangers."""
    registry = site.registry(htpasswd={USERNAME: PASSWORD}, tls=certificate)
    shutil.chown(registry.directory / "htpasswd", "nobody")
    (registry.directory / "htpasswd").chmod(0o600)
    return registry


class TestRegistryWithLogin:
    def test_is_healthy_on_its_own_host(self, site: Site, certificate: CertificateFiles) -> None:
        registry = with_login(site, certificate)
        result = site.check_host(registry.url, "--cacert", certificate.ca, *LOGIN, stdin=PASSWORD)
        assert_healthy(result)
        assert_lacks(
            result,
            *("security/anonymous-pull", "security/anonymous-push", "security/anonymous-catalog"),
            *("security/credentials-over-http", "security/legacy-tls-enabled", "security/running-as-root"),
        )

    def test_a_token_server_that_lets_strangers_pull(
        self,
        start_registry: StartRegistry,
        start_token_server: StartTokenServer,
        certificate: CertificateFiles,
    ) -> None:
        server = start_token_server(name=NAME, tls=certificate, anonymous={"*": ("pull",)})
        registry = start_registry(name=NAME, tls=certificate, token=server.auth())
        result = run_regdoctor(
            "check",
            f"{registry.address}/team/app:1.0",
            *("--cacert", certificate.ca),
            hosts={NAME: "127.0.0.1"},
        )
        assert assert_has(result, "security/anonymous-pull")["severity"] == "info"
        assert_lacks(result, "security/anonymous-push")


class TestCredentials:
    def test_travel_in_the_clear(self, site: Site) -> None:
        registry = site.registry(htpasswd={USERNAME: PASSWORD})
        result = site.check(registry.url, *LOGIN, stdin=PASSWORD)
        cause = assert_single_root_cause(result, "security/credentials-over-http")
        assert USERNAME in cause["detail"]
        assert PASSWORD not in result.stdout

    def test_would_travel_in_the_clear(self, site: Site) -> None:
        registry = site.registry(htpasswd={USERNAME: PASSWORD})
        warning = assert_has(site.check(registry.url), "security/credentials-over-http")
        assert warning["severity"] == "warning"

    def test_stay_on_this_machine(self, start_registry: StartRegistry) -> None:
        registry = start_registry(htpasswd={USERNAME: PASSWORD})
        result = run_regdoctor("check", registry.url, *LOGIN, stdin=PASSWORD)
        assert_healthy(result)
        assert assert_has(result, "security/credentials-over-http")["severity"] == "info"

    def test_travel_by_tls(self, site: Site, certificate: CertificateFiles) -> None:
        registry = site.registry(htpasswd={USERNAME: PASSWORD}, tls=certificate)
        result = site.check(registry.url, "--cacert", certificate.ca, *LOGIN, stdin=PASSWORD)
        assert_healthy(result)
        assert_lacks(result, "security/credentials-over-http")


class TestLegacyTls:
    def proxy(self, site: Site, certificate: CertificateFiles, *directives: str) -> Nginx:
        registry = site.registry()
        proxy = ReverseProxy(
            registry.url, name=NAME, host=SERVER, port=443, tls=certificate, server_directives=directives
        )
        return site.servers.enter_context(Nginx(site.folder / "nginx", proxy, namespace=site.server))

    def check(self, site: Site, certificate: CertificateFiles) -> CliResult:
        return site.check(f"https://{NAME}", "--cacert", certificate.ca, hosts={NAME: SERVER})

    def test_is_still_accepted(self, site: Site, certificate: CertificateFiles) -> None:
        self.proxy(
            site,
            certificate,
            "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;",
            "ssl_ciphers DEFAULT:@SECLEVEL=0;",
        )
        result = self.check(site, certificate)
        cause = assert_single_root_cause(result, "security/legacy-tls-enabled", exit_code=0)
        assert "TLSv1.1" in cause["detail"]

    def test_is_switched_off(self, site: Site, certificate: CertificateFiles) -> None:
        self.proxy(site, certificate, "ssl_protocols TLSv1.2 TLSv1.3;")
        assert_healthy(self.check(site, certificate))

    def test_the_registrys_own_tls_is_current(self, site: Site, certificate: CertificateFiles) -> None:
        registry = site.registry(tls=certificate)
        assert_healthy(site.check(registry.url, "--cacert", certificate.ca))

    def test_the_registry_may_be_told_to_accept_it(self, site: Site, certificate: CertificateFiles) -> None:
        registry = site.registry(
            tls=certificate,
            config={
                "http": {
                    "tls": {
                        "minimumtls": "tls1.0",
                        "ciphersuites": [
                            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
                            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
                        ],
                    }
                }
            },
        )
        result = site.check(registry.url, "--cacert", certificate.ca)
        assert_has(result, "security/legacy-tls-enabled")


class TestDebugServer:
    def with_debug(self, site: Site, host: str) -> tuple[Registry, int]:
        port = ports.free_port()
        config = {"http": {"debug": {"addr": f"{host}:{port}", "prometheus": {"enabled": True}}}}
        return site.registry(config=config), port

    def test_answers_on_the_network(self, site: Site) -> None:
        registry, port = self.with_debug(site, SERVER)
        result = site.check(registry.url, "--config", registry.config_path)
        warning = assert_has(result, "security/debug-endpoint-open")
        assert (warning["severity"], warning["certainty"]) == ("warning", "proven")
        for path in ("/debug/vars", "/debug/pprof/", "/metrics"):
            assert f"http://{SERVER}:{port}{path}" in warning["detail"]

    def test_its_configuration_is_the_cause(self, site: Site) -> None:
        registry, _port = self.with_debug(site, SERVER)
        arguments = ("--skip", "config/no-auth", "--skip", "security/anonymous-push")
        result = site.check_host(registry.url, *arguments, "--skip", "security/anonymous-catalog")
        cause = assert_single_root_cause(result, "config/debug-exposed", exit_code=0)
        assert assert_has(result, "security/debug-endpoint-open")["caused_by"] == cause["id"]

    def test_answers_on_loopback(self, site: Site) -> None:
        registry, _port = self.with_debug(site, "127.0.0.1")
        result = site.check(registry.url, "--config", registry.config_path)
        assert_healthy(result)
        assert_lacks(result, "security/debug-endpoint-open")

    def test_a_firewall_keeps_it(self, site: Site) -> None:
        registry, port = self.with_debug(site, "0.0.0.0")
        site.server.block(f"tcp dport {port} drop")
        result = site.check(registry.url, "--config", registry.config_path)
        assert_lacks(result, "security/debug-endpoint-open")


class TestProcess:
    def test_is_root(self, start_registry: StartRegistry) -> None:
        registry = start_registry()
        result = run_regdoctor("check", registry.url, "--profile", "host")
        cause = assert_single_root_cause(result, "security/running-as-root", exit_code=0)
        assert str(registry.daemon.pid) in cause["detail"]

    def test_is_somebody_else(self, start_registry: StartRegistry) -> None:
        registry = start_registry(user="nobody")
        assert_healthy(run_regdoctor("check", registry.url, "--profile", "host"))


class TestKeys:
    def test_everybody_may_read_the_key(self, site: Site, certificate: CertificateFiles) -> None:
        certificate.key.chmod(0o644)
        registry = with_login(site, certificate)
        result = site.check_host(registry.url, "--cacert", certificate.ca, *LOGIN, stdin=PASSWORD)
        cause = assert_single_root_cause(result, "security/key-permissions", exit_code=0)
        assert str(certificate.key) in cause["detail"]
        assert cause["fix"][0] == f"chmod o-rwx {certificate.key}"

    def test_everybody_may_read_the_hashes(self, start_registry: StartRegistry) -> None:
        registry = start_registry(htpasswd={USERNAME: PASSWORD}, user="nobody")
        (registry.directory / "htpasswd").chmod(0o644)
        result = run_regdoctor("check", registry.url, "--profile", "host", *LOGIN, stdin=PASSWORD)
        assert_single_root_cause(result, "security/key-permissions", exit_code=0)

    def test_a_folder_above_is_closed(self, start_registry: StartRegistry, tmp_path: Path) -> None:
        registry = start_registry(htpasswd={USERNAME: PASSWORD})
        (registry.directory / "htpasswd").chmod(0o644)
        result = run_regdoctor(
            "check", registry.url, "--config", registry.config_path, *LOGIN, stdin=PASSWORD
        )
        assert_lacks(result, "security/key-permissions")


class TestAuditLog:
    def test_nothing_records_requests(self, registry: Registry) -> None:
        log = {"level": "error", "accesslog": {"disabled": True}}
        result = self.check(registry, log)
        cause = assert_single_root_cause(result, "security/audit-log-off", exit_code=0)
        assert "nothing records" in cause["detail"]

    def test_the_registrys_own_log_does(self, registry: Registry) -> None:
        result = self.check(registry, {"level": "info", "accesslog": {"disabled": True}})
        assert_healthy(result)
        assert assert_has(result, "security/audit-log-off")["severity"] == "info"

    @pytest.mark.parametrize(
        "log", [{"level": "error"}, {"level": "info"}, {"accesslog": {"disabled": False}}]
    )
    def test_the_access_log_does(self, registry: Registry, log: dict[str, Any]) -> None:
        result = self.check(registry, log)
        assert_healthy(result)
        assert_lacks(result, "security/audit-log-off")

    def check(self, registry: Registry, log: dict[str, Any]) -> CliResult:
        registry.config["log"] = log
        registry.restart()
        before = registry.log()
        assert registry.client().request("GET", "/v2/").status == 200
        recorded = registry.log()[len(before) :]
        assert ("GET" in recorded) is not (log.get("level") == "error" and "accesslog" in log)
        return run_regdoctor("check", registry.url, "--config", registry.config_path)

    def test_the_reason_of_a_refused_token_is_hidden(
        self,
        start_registry: StartRegistry,
        start_token_server: StartTokenServer,
        certificate: CertificateFiles,
    ) -> None:
        server = start_token_server(name=NAME, tls=certificate, issuer="somebody else")
        auth = server.auth()
        registry = start_registry(
            name=NAME,
            tls=certificate,
            token=auth,
            config={"auth": {"token": {"issuer": "expected"}}, "log": {"level": "error"}},
        )
        result = run_regdoctor(
            "check",
            f"{registry.address}/team/app:1.0",
            *("--cacert", certificate.ca, "--config", registry.config_path, *LOGIN),
            stdin=PASSWORD,
            hosts={NAME: "127.0.0.1"},
        )
        warning = assert_has(result, "security/audit-log-off")
        assert "hides why" in warning["detail"]
        assert result.exit_code == 3
