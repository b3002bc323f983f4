"""Faults of forward proxies before a real registry, each the single root cause, and the healthy twins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regdoctor.host import proxies
from tests.conftest import NAME, PASSWORD, USERNAME, StartRegistry, StartTokenServer, TokenRegistry
from tests.support import ports
from tests.support.certificates import Authority, CertificateFiles, root_authority
from tests.support.forward_proxy import ForwardProxy, ProxyBehaviour
from tests.support.http_server import Answer, HTTPServer
from tests.support.images import push_image
from tests.support.netns import LinkedHosts, Namespace
from tests.support.processes import Daemon
from tests.support.programs import path as program_path
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

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

HOSTS = {NAME: "127.0.0.1"}
PLATFORM = ("--platform", "linux/amd64")


def check(
    registry: Registry,
    proxy: str | None,
    *arguments: str | Path,
    target: str | None = None,
    no_proxy: str | None = None,
    hosts: dict[str, str] | None = HOSTS,
    in_namespace: Namespace | None = None,
    files: dict[str, str] | None = None,
    env: dict[str, str] | None = None,
) -> CliResult:
    """Check a registry with a proxy in the environment."""
    environment = {} if proxy is None else {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy}
    if no_proxy is not None:
        environment["NO_PROXY"] = no_proxy
    words: list[str | Path] = ["check", target or registry.url, *PLATFORM, *arguments]
    if registry.tls is not None:
        words += ["--cacert", registry.tls.ca]
    return run_regdoctor(
        *words, env=environment | (env or {}), hosts=hosts, in_namespace=in_namespace, files=files
    )


@contextmanager
def tinyproxy(folder: Path, *lines: str) -> Iterator[str]:
    """The real tinyproxy, which resolves the test's name; gives its URL."""
    folder.mkdir()
    port = ports.free_port()
    settings = [f"Port {port}", "Listen 127.0.0.1", "Timeout 30", f'LogFile "{folder / "log"}"']
    (folder / "tinyproxy.conf").write_text("\n".join([*settings, *lines]) + "\n")
    daemon = Daemon(
        [program_path("tinyproxy"), "-d", "-c", folder / "tinyproxy.conf"],
        log=folder / "output",
        ready=lambda: ports.accepts("127.0.0.1", port),
        files={"/etc/hosts": f"127.0.0.1 localhost\n127.0.0.1 {NAME}\n"},
    )
    with daemon:
        yield f"http://127.0.0.1:{port}"


class TestHealthy:
    def test_an_image_through_a_proxy(self, tls_registry: Registry) -> None:
        image = push_image(tls_registry).reference(tls_registry.address)
        with ForwardProxy(addresses=HOSTS) as proxy:
            result = check(tls_registry, proxy.url, target=image)
            assert f"{NAME}:{tls_registry.port}" in proxy.targets

        assert_healthy(result)

    def test_a_registry_whose_name_only_the_proxy_knows(self, tls_registry: Registry) -> None:
        with ForwardProxy(addresses=HOSTS) as proxy:
            assert_healthy(check(tls_registry, proxy.url, hosts={}))

    def test_plain_http_through_a_proxy(self, start_registry: StartRegistry) -> None:
        registry = start_registry(name=NAME)
        image = push_image(registry).reference(registry.address)
        with ForwardProxy(addresses=HOSTS) as proxy:
            assert_healthy(check(registry, proxy.url, "--plain-http", target=image))

    def test_logins_through_a_proxy_that_wants_one_too(self, token_registry: TokenRegistry) -> None:
        registry = token_registry.registry
        arguments = ("--username", USERNAME, "--password-stdin")
        with ForwardProxy(addresses=HOSTS, behaviour=ProxyBehaviour(credential=("me", "p@ss"))) as proxy:
            url = proxy.url.replace("://", "://me:p%40ss@")
            result = run_regdoctor(
                *("check", registry.url, *arguments, "--cacert", str(registry.tls and registry.tls.ca)),
                env={"HTTPS_PROXY": url},
                hosts=HOSTS,
                stdin=PASSWORD,
            )

        assert_healthy(result)
        assert "p%40ss" not in result.stdout
        assert "p@ss" not in result.stdout

    def test_a_registry_that_no_proxy_covers(self, tls_registry: Registry) -> None:
        dead = f"http://127.0.0.1:{ports.free_port()}"

        assert_healthy(check(tls_registry, dead, no_proxy=NAME))

    def test_an_https_proxy(self, tls_registry: Registry, authority: Authority, tmp_path: Path) -> None:
        files = authority.issue(["proxy.test"], []).write(tmp_path / "proxy")
        hosts = {**HOSTS, "proxy.test": "127.0.0.1"}
        with ForwardProxy(addresses=HOSTS, name="proxy.test", tls=files) as proxy:
            assert_healthy(check(tls_registry, proxy.url, hosts=hosts))

    @pytest.mark.needs("tinyproxy")
    def test_tinyproxy(self, tls_registry: Registry, tmp_path: Path) -> None:
        image = push_image(tls_registry).reference(tls_registry.address)
        with tinyproxy(tmp_path / "tinyproxy") as proxy:
            result = check(tls_registry, proxy, "--timeout", "20", target=image)

        assert_healthy(result)
        # tinyproxy never answers what it cannot read: one such question would cost a whole step.
        assert result.report["duration_ms"] < 15_000

    @pytest.mark.needs("squid")
    def test_squid_that_wants_a_login(self, tls_registry: Registry, open_tmp_path: Path) -> None:
        with squid(open_tmp_path / "squid", *login_wanted(open_tmp_path, "me", "p@ss")) as proxy:
            result = check(tls_registry, proxy.replace("://", "://me:p%40ss@"), hosts={})

        assert_healthy(result)
        assert "p@ss" not in result.stdout + result.stderr


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(
    "no_proxy",
    [
        NAME,
        ".reg.test",
        "test",
        "*.test",
        "*",
        "*reg.test",
        "eg.test",
        "REG.Test",
        "reg.test.",
        "http://reg.test",
        " reg.test , other",
        "other reg.test",
        "reg.test;other",
        "reg.test:5000",
        "reg.test:5001",
        "192.0.2.0/24",
        "192.0.2.7",
        "192.0.2.7:5000",
        "192.0.2.*",
        "0.0.0.0/0",
    ],
)
def test_what_no_proxy_covers_is_what_go_takes_it_for(no_proxy: str) -> None:
    """The real skopeo, written in Go, is asked to go to the same places through a proxy that counts."""
    hosts = {NAME: "127.0.0.1", f"a.{NAME}": "127.0.0.1"}
    for place in (f"{NAME}:5000", f"a.{NAME}:5000", "192.0.2.7:5000"):
        with ForwardProxy(addresses={}) as proxy:
            environment = {"HTTPS_PROXY": proxy.url, "HTTP_PROXY": proxy.url, "NO_PROXY": no_proxy}
            skopeo(
                *("--command-timeout", "1s", "inspect", f"docker://{place}/app:1"),
                hosts=hosts,
                env=environment,
            )
            by_go = bool(proxy.targets)

        assert (proxies.proxy_for(f"https://{place}", environment).proxy_url is not None) == by_go, place


class TestUnreachable:
    def test_a_dead_proxy(self, tls_registry: Registry) -> None:
        port = ports.free_port()
        found = assert_single_root_cause(check(tls_registry, f"http://127.0.0.1:{port}"), "proxy/unreachable")

        assert found["role"] == "proxy"
        assert f"127.0.0.1:{port}" in found["detail"]
        assert "HTTPS_PROXY" in found["detail"]

    def test_a_dead_proxy_for_plain_http(self, start_registry: StartRegistry) -> None:
        registry = start_registry(name=NAME)
        result = check(registry, f"http://127.0.0.1:{ports.free_port()}", "--plain-http")

        assert "HTTP_PROXY" in assert_single_root_cause(result, "proxy/unreachable")["detail"]

    def test_a_proxy_whose_name_nobody_knows(self, tls_registry: Registry) -> None:
        result = check(tls_registry, "http://proxy.invalid:3128")

        assert "proxy.invalid" in assert_single_root_cause(result, "proxy/unreachable")["detail"]

    def test_a_proxy_named_on_the_command_line(self, tls_registry: Registry) -> None:
        result = check(tls_registry, None, "--proxy", f"http://127.0.0.1:{ports.free_port()}")

        assert "--proxy" in assert_single_root_cause(result, "proxy/unreachable")["detail"]

    def test_a_port_that_is_no_proxy(self, tls_registry: Registry, certificate: CertificateFiles) -> None:
        with HTTPServer(lambda _request: Answer(200), tls=certificate) as other:
            result = check(tls_registry, f"http://127.0.0.1:{other.port}")

        assert "TLS" in assert_single_root_cause(result, "proxy/unreachable")["detail"]

    def test_a_port_that_does_not_exist(self, tls_registry: Registry) -> None:
        result = check(tls_registry, "http://127.0.0.1:99999")

        assert_single_root_cause(result, "proxy/unreachable")

    def test_a_value_that_is_no_url(self, linked_hosts: LinkedHosts, start_registry: StartRegistry) -> None:
        registry = start_registry(host=linked_hosts.server_address, namespace=linked_hosts.server)
        linked_hosts.server.block(f"tcp dport {registry.port} reject with tcp reset")
        result = check(
            registry,
            "http://me:pa#ss@proxy.test:3128",
            "--plain-http",
            hosts=None,
            in_namespace=linked_hosts.client,
        )

        found = assert_single_root_cause(result, "proxy/unreachable")
        assert "percent-encoded" in found["detail"]
        assert "pa#ss" not in result.stdout


class TestSchemeMismatch:
    @pytest.mark.needs("tinyproxy")
    def test_an_https_url_for_a_plain_proxy(self, tls_registry: Registry, tmp_path: Path) -> None:
        with tinyproxy(tmp_path / "tinyproxy") as proxy:
            result = check(tls_registry, proxy.replace("http://", "https://"), "--timeout", "2")

        found = assert_single_root_cause(result, "proxy/scheme-mismatch")
        assert "http:// instead of https://" in found["fix"][0]

    def test_the_same_for_plain_http(self, start_registry: StartRegistry) -> None:
        registry = start_registry(name=NAME)
        with ForwardProxy(addresses=HOSTS) as proxy:
            url = proxy.url.replace("http://", "https://")
            assert_single_root_cause(check(registry, url, "--plain-http"), "proxy/scheme-mismatch")


class TestAuthRequired:
    def test_no_login_at_all(self, tls_registry: Registry) -> None:
        with ForwardProxy(addresses=HOSTS, behaviour=ProxyBehaviour(credential=("me", "pass"))) as proxy:
            result = check(tls_registry, proxy.url)

        found = assert_single_root_cause(result, "proxy/auth-required")
        assert "holds no login" in found["detail"]
        assert "Basic" in found["detail"]

    @pytest.mark.needs("squid")
    def test_squid(self, tls_registry: Registry, open_tmp_path: Path) -> None:
        with squid(open_tmp_path / "squid", *login_wanted(open_tmp_path, "me", "secret")) as proxy:
            for login, words in (("", "holds no login"), ("me:wrong@", "is refused")):
                url = proxy.replace("://", f"://{login}")
                found = assert_single_root_cause(check(tls_registry, url), "proxy/auth-required")
                assert words in found["detail"]

    @pytest.mark.needs("tinyproxy")
    def test_tinyproxy_refuses_a_wrong_login_with_401(self, tls_registry: Registry, tmp_path: Path) -> None:
        with tinyproxy(tmp_path / "tinyproxy", "BasicAuth me secret") as proxy:
            url = proxy.replace("://", "://me:wrong@")
            found = assert_single_root_cause(check(tls_registry, url), "proxy/auth-required")

        assert "with 401" in found["detail"]
        assert "is refused" in found["detail"]

    def test_a_wrong_login(self, tls_registry: Registry) -> None:
        with ForwardProxy(addresses=HOSTS, behaviour=ProxyBehaviour(credential=("me", "pass"))) as proxy:
            result = check(tls_registry, proxy.url.replace("://", "://me:canary-secret@"))

        found = assert_single_root_cause(result, "proxy/auth-required")
        assert "is refused" in found["detail"]
        assert "canary-secret" not in result.stdout

    def test_a_proxy_that_speaks_ntlm_alone(self, tls_registry: Registry) -> None:
        behaviour = ProxyBehaviour(credential=("me", "pass"), challenge="NTLM")
        with ForwardProxy(addresses=HOSTS, behaviour=behaviour) as proxy:
            found = assert_single_root_cause(check(tls_registry, proxy.url), "proxy/auth-required")

        assert "by Basic alone" in found["detail"]

    def test_plain_http(self, start_registry: StartRegistry) -> None:
        registry = start_registry(name=NAME)
        with ForwardProxy(addresses=HOSTS, behaviour=ProxyBehaviour(credential=("me", "pass"))) as proxy:
            assert_single_root_cause(check(registry, proxy.url, "--plain-http"), "proxy/auth-required")


class TestDenied:
    @pytest.mark.needs("tinyproxy")
    def test_a_port_that_the_proxy_does_not_allow(self, tls_registry: Registry, tmp_path: Path) -> None:
        with tinyproxy(tmp_path / "tinyproxy", "ConnectPort 443") as proxy:
            found = assert_single_root_cause(check(tls_registry, proxy, hosts={}), "proxy/denied")

        assert "403" in found["detail"]
        assert "port 443 alone" in found["detail"]

    def test_a_host_that_the_proxy_does_not_allow(self, tls_registry: Registry) -> None:
        behaviour = ProxyBehaviour(refuse={NAME: 403})
        with ForwardProxy(addresses=HOSTS, behaviour=behaviour) as proxy:
            assert_single_root_cause(check(tls_registry, proxy.url, hosts={}), "proxy/denied")

    def test_plain_http(self, start_registry: StartRegistry) -> None:
        registry = start_registry(name=NAME)
        behaviour = ProxyBehaviour(refuse={NAME: 403})
        with ForwardProxy(addresses=HOSTS, behaviour=behaviour) as proxy:
            result = check(registry, proxy.url, "--plain-http", hosts={})

        assert_single_root_cause(result, "proxy/denied")

    @pytest.mark.needs("squid")
    def test_squid(self, tls_registry: Registry, tmp_path: Path) -> None:
        with squid(tmp_path / "squid", "http_access deny all") as proxy:
            found = assert_single_root_cause(check(tls_registry, proxy, hosts={}), "proxy/denied")

        assert "ERR_ACCESS_DENIED" in found["detail"]


class TestBypassMissing:
    @pytest.mark.parametrize("status", [403, 503, 502])
    def test_an_inner_registry_that_the_proxy_does_not_serve(
        self, tls_registry: Registry, status: int
    ) -> None:
        behaviour = ProxyBehaviour(refuse={"*": status})
        with ForwardProxy(addresses={}, behaviour=behaviour) as proxy:
            found = assert_single_root_cause(check(tls_registry, proxy.url), "proxy/bypass-missing")

        assert str(status) in found["detail"]
        assert "there is no NO_PROXY" in found["detail"]
        assert f"NO_PROXY={NAME} " in found["fix"][0]

    def test_plain_http(self, start_registry: StartRegistry) -> None:
        registry = start_registry(name=NAME)
        image = push_image(registry).reference(registry.address)
        with ForwardProxy(addresses={}) as proxy:
            result = check(registry, proxy.url, "--plain-http", target=image)

        assert_single_root_cause(result, "proxy/bypass-missing")

    @pytest.mark.parametrize(
        ("no_proxy", "words"),
        [
            ("127.0.0.0/8", "names are never resolved"),
            (f".{NAME}", "covers the names below"),
            (f"a.test {NAME}", "commas alone"),
            (f"https://{NAME}", "scheme"),
            (f"{NAME}:443", "port 443 alone"),
        ],
    )
    def test_a_no_proxy_that_looks_right(self, tls_registry: Registry, no_proxy: str, words: str) -> None:
        with ForwardProxy(addresses={}) as proxy:
            result = check(tls_registry, proxy.url, no_proxy=no_proxy)

        assert words in assert_single_root_cause(result, "proxy/bypass-missing")["detail"]

    def test_a_proxy_that_never_answers(self, tls_registry: Registry) -> None:
        with ForwardProxy(addresses={}, behaviour=ProxyBehaviour(delay=4)) as proxy:
            result = check(tls_registry, proxy.url, "--timeout", "1")

        assert_single_root_cause(result, "proxy/bypass-missing")


class TestBehindTheProxy:
    """The proxy is well, and what it leads to is not."""

    def test_a_registry_that_is_down(self, tls_registry: Registry) -> None:
        tls_registry.stop()
        with ForwardProxy(addresses=HOSTS) as proxy:
            found = assert_single_root_cause(check(tls_registry, proxy.url), "http/upstream-down")

        assert "forward proxy" in found["detail"]

    @pytest.mark.needs("tinyproxy")
    def test_a_registry_that_is_down_behind_tinyproxy(self, tls_registry: Registry, tmp_path: Path) -> None:
        tls_registry.stop()
        with tinyproxy(tmp_path / "tinyproxy") as proxy:
            assert_single_root_cause(check(tls_registry, proxy), "http/upstream-down")

    def test_a_registry_that_is_silent(self, tls_registry: Registry) -> None:
        with ForwardProxy(addresses=HOSTS, behaviour=ProxyBehaviour(delay=4)) as proxy:
            tls_registry.stop()
            result = check(tls_registry, proxy.url, "--timeout", "1")

        assert_single_root_cause(result, "http/response-timeout")


class TestOtherHosts:
    """The proxy serves the registry, and not another host that it sends clients to."""

    def test_a_token_server_that_the_proxy_does_not_allow(
        self,
        start_registry: StartRegistry,
        start_token_server: StartTokenServer,
        authority: Authority,
        tmp_path: Path,
    ) -> None:
        files = authority.issue([NAME, "auth.test"], []).write(tmp_path / "both")
        token_server = start_token_server(name="auth.test", tls=files)
        registry = start_registry(name=NAME, tls=files, token=token_server.auth())
        names = {**HOSTS, "auth.test": "127.0.0.1"}
        with ForwardProxy(addresses=names, behaviour=ProxyBehaviour(refuse={"auth.test": 403})) as proxy:
            result = check(registry, proxy.url, hosts={})

        found = assert_single_root_cause(result, "auth/realm-unreachable")
        assert "403" in found["detail"]
        assert_has(result, "proxy/denied")

    def test_a_blob_host_that_the_proxy_does_not_allow(self, start_registry: StartRegistry) -> None:
        registry = start_registry(name=NAME, redirect="http://blobs.test:9000/")
        image = push_image(registry).reference(registry.address)
        with ForwardProxy(addresses=HOSTS, behaviour=ProxyBehaviour(refuse={"blobs.test": 403})) as proxy:
            result = check(registry, proxy.url, "--plain-http", target=image, hosts={})

        found = assert_single_root_cause(result, "image/blob-host-unreachable")
        assert "blobs.test" in found["detail"]


@pytest.mark.needs("microsocks")
class TestSocks:
    @pytest.mark.parametrize("tls", [True, False])
    def test_an_image_through_a_socks_proxy(
        self, start_registry: StartRegistry, certificate: CertificateFiles, tmp_path: Path, tls: bool
    ) -> None:
        registry = start_registry(name=NAME, tls=certificate if tls else None)
        image = push_image(registry).reference(registry.address)
        plain = () if tls else ("--plain-http",)
        with microsocks(tmp_path) as proxy:
            assert_healthy(check(registry, proxy, *plain, target=image, hosts={}))

    def test_a_login_that_it_wants(self, tls_registry: Registry, tmp_path: Path) -> None:
        with microsocks(tmp_path) as proxy:
            result = check(tls_registry, proxy.replace("me:pass@", ""))

        assert_single_root_cause(result, "proxy/auth-required")

    def test_a_registry_that_is_down(self, tls_registry: Registry, tmp_path: Path) -> None:
        tls_registry.stop()
        with microsocks(tmp_path) as proxy:
            assert_single_root_cause(check(tls_registry, proxy), "http/upstream-down")


@contextmanager
def microsocks(folder: Path) -> Iterator[str]:
    """The real microsocks, which wants a login and resolves the test's name; gives its URL, login and all."""
    port = ports.free_port()
    daemon = Daemon(
        [program_path("microsocks"), "-i", "127.0.0.1", "-p", str(port), "-u", "me", "-P", "pass"],
        log=folder / "microsocks.log",
        ready=lambda: ports.accepts("127.0.0.1", port),
        files={"/etc/hosts": f"127.0.0.1 localhost\n127.0.0.1 {NAME}\n"},
    )
    with daemon:
        yield f"socks5://me:pass@127.0.0.1:{port}"


class TestIntercepted:
    def test_a_proxy_that_opens_tls(self, tls_registry: Registry) -> None:
        behaviour = ProxyBehaviour(intercept=root_authority("Acme Security"))
        with ForwardProxy(addresses=HOSTS, behaviour=behaviour) as proxy:
            found = assert_single_root_cause(check(tls_registry, proxy.url), "proxy/tls-intercepted")

        assert found["certainty"] == "proven"
        assert "Acme Security" in found["detail"]

    def test_a_product_that_names_itself(self, tls_registry: Registry) -> None:
        behaviour = ProxyBehaviour(intercept=root_authority("Zscaler Root CA"))
        with ForwardProxy(addresses=HOSTS, behaviour=behaviour) as proxy:
            result = check(tls_registry, proxy.url, hosts={})

        found = assert_single_root_cause(result, "proxy/tls-intercepted")
        assert found["certainty"] == "likely"
        assert "Zscaler" in found["detail"]

    def test_an_authority_that_is_trusted_here(self, tls_registry: Registry, tmp_path: Path) -> None:
        company = root_authority("Acme Security")
        bundle = tmp_path / "company.pem"
        bundle.write_text(company.pem)
        with ForwardProxy(addresses=HOSTS, behaviour=ProxyBehaviour(intercept=company)) as proxy:
            result = check(tls_registry, proxy.url, env={"SSL_CERT_FILE": str(bundle)})

        assert_healthy(result)

    def test_a_private_authority_behind_a_plain_proxy(self, tls_registry: Registry) -> None:
        with ForwardProxy(addresses=HOSTS) as proxy:
            result = run_regdoctor("check", tls_registry.url, env={"HTTPS_PROXY": proxy.url}, hosts=HOSTS)

        assert_single_root_cause(result, "tls/unknown-authority")
        assert_lacks(result, "proxy/tls-intercepted")


class TestDaemons:
    DROP_IN = "/etc/systemd/system/docker.service.d/http-proxy.conf"

    def drop_in(self, proxy: str) -> dict[str, str]:
        return {self.DROP_IN: f'[Service]\nEnvironment="HTTPS_PROXY={proxy}"\n'}

    def test_a_daemon_with_a_dead_proxy(self, tls_registry: Registry) -> None:
        dead = f"http://127.0.0.1:{ports.free_port()}"
        result = check(tls_registry, None, files=self.drop_in(dead))

        found = assert_single_root_cause(result, "proxy/daemon-differs")
        assert self.DROP_IN in found["detail"]
        assert dead in found["detail"]

    def test_the_password_of_a_daemon_s_proxy_is_shown_nowhere(self, tls_registry: Registry) -> None:
        with ForwardProxy(addresses=HOSTS, behaviour=ProxyBehaviour(credential=("me", "pass"))) as proxy:
            secret = proxy.url.replace("://", "://me:canary-secret@")
            result = check(tls_registry, None, files=self.drop_in(secret))

        assert "407" in assert_single_root_cause(result, "proxy/daemon-differs")["detail"]
        assert "canary-secret" not in result.stdout + result.stderr

    def test_a_daemon_with_a_proxy_that_works(self, tls_registry: Registry) -> None:
        with ForwardProxy(addresses=HOSTS) as proxy:
            assert_healthy(check(tls_registry, None, files=self.drop_in(proxy.url)))

    def test_a_shell_without_the_daemon_s_proxy(
        self, linked_hosts: LinkedHosts, start_registry: StartRegistry, certificate: CertificateFiles
    ) -> None:
        address = linked_hosts.server_address
        registry = start_registry(name=NAME, tls=certificate, host=address, namespace=linked_hosts.server)
        linked_hosts.server.block(f"tcp dport {registry.port} ip saddr {linked_hosts.client_address} drop")
        with ForwardProxy(addresses={NAME: address}, host=address, namespace=linked_hosts.server) as proxy:
            result = check(
                registry,
                None,
                "--timeout",
                "2",
                hosts={NAME: address},
                in_namespace=linked_hosts.client,
                files=self.drop_in(proxy.url),
            )

        assert_has(result, "tcp/filtered")
        assert_single_root_cause(result, "proxy/daemon-differs", exit_code=3)

    def test_a_daemon_without_the_shell_s_proxy(
        self,
        linked_hosts: LinkedHosts,
        start_registry: StartRegistry,
        certificate: CertificateFiles,
        tmp_path: Path,
    ) -> None:
        address = linked_hosts.server_address
        registry = start_registry(name=NAME, tls=certificate, host=address, namespace=linked_hosts.server)
        linked_hosts.server.block(f"tcp dport {registry.port} ip saddr {linked_hosts.client_address} drop")
        # The name and the environment of the process are what counts; it runs where the client is.
        dockerd = tmp_path / "dockerd"
        dockerd.symlink_to(program_path("sleep"))
        daemon = Daemon([dockerd, "60"], log=tmp_path / "log", namespace=linked_hosts.client)
        with (
            daemon,
            ForwardProxy(addresses={NAME: address}, host=address, namespace=linked_hosts.server) as proxy,
        ):
            ports.wait_until(lambda: runs_as("dockerd", daemon.pid), "the process has its name")
            result = check(registry, proxy.url, hosts={NAME: address}, in_namespace=linked_hosts.client)

        found = assert_single_root_cause(result, "proxy/daemon-differs")
        assert "dockerd does not" in found["detail"]


def runs_as(name: str, pid: int) -> bool:
    """Whether a process, started through others, has come to be the program of that name."""
    return (Path("/proc") / str(pid) / "comm").read_text().strip() == name


def login_wanted(folder: Path, user: str, password: str) -> list[str]:
    """Squid's settings for a login of one user; its own account has to be able to read the folder."""
    check = folder / "check.sh"
    # The helper's protocol: a line with user and password is answered OK or ERR.
    check.write_text(
        "while read -r given; do\n"
        f'  if [ "$given" = "{user} {password}" ]; then echo OK; else echo ERR; fi\n'
        "done\n"
    )
    return [
        f"auth_param basic program {program_path('sh')} {check}",
        "auth_param basic realm corp",
        "acl users proxy_auth REQUIRED",
        "http_access allow users",
        "http_access deny all",
    ]


@contextmanager
def squid(folder: Path, *lines: str) -> Iterator[str]:
    """The real squid with some rules of access; gives its URL."""
    folder.mkdir()
    folder.chmod(0o777)
    port = ports.free_port()
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 {NAME}\n")
    settings = [
        f"http_port 127.0.0.1:{port}",
        f"pid_filename {folder / 'squid.pid'}",
        f"cache_log {folder / 'cache.log'}",
        "access_log none",
        f"hosts_file {hosts}",
        "cache deny all",
        "shutdown_lifetime 0 seconds",
        "pinger_enable off",
        *lines,
    ]
    (folder / "squid.conf").write_text("\n".join(settings) + "\n")
    daemon = Daemon(
        # A name of its own, by which its shared memory is called: others may run at the same time.
        [program_path("squid"), "-N", "-n", f"test{port}", "-f", folder / "squid.conf"],
        log=folder / "output",
        ready=lambda: ports.accepts("127.0.0.1", port),
        seconds=30,
    )
    with daemon:
        yield f"http://127.0.0.1:{port}"
