"""Handshakes with real servers, and with servers that do something else instead."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from regdoctor.api import FailureKind, Handshake, Options
from regdoctor.host.trust import ClientPair
from regdoctor.net import tls
from tests.conftest import StartNginx, StartRegistry
from tests.support import certificates as make
from tests.support.nginx import ReverseProxy
from tests.support.ports import free_port
from tests.support.raw_server import close_after_greeting, hold, raw_server, reset, send
from tests.support.registry import Registry

NAME = "reg.test"


def shake(port: int, name: str = NAME, timeout: float = 5, **options: object) -> Handshake:
    opener = tls.direct("127.0.0.1", port)
    return tls.handshake("127.0.0.1", name, opener, timeout=timeout, **options)  # type: ignore[arg-type]


def pair_of(files: make.CertificateFiles) -> ClientPair:
    return ClientPair(files.cert, files.key)


@pytest.mark.needs("docker-registry")
def test_a_handshake_shows_the_whole_chain_and_who_signed_whom(
    start_registry: StartRegistry, tmp_path: Path
) -> None:
    lower = make.root_authority().intermediate()
    leaf = lower.issue([NAME])
    registry = start_registry(tls=leaf.write(tmp_path / "c"))

    seen = shake(registry.port)

    assert seen.failure is None
    assert seen.protocol == "TLSv1.3"
    assert [each.subject for each in seen.chain] == ["CN=reg.test", "CN=Test Intermediate CA,O=Test PKI"]
    assert seen.chain[0].sha256 == leaf.sha256
    assert seen.signers == ((1,), ())
    assert seen.name_matches is True
    assert not seen.client_certificate_requested
    assert shake(registry.port, "other.test").name_matches is False


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("kind", ["self-signed", "expired", "other name", "weak key"])
def test_a_handshake_goes_on_whatever_the_certificate_is(
    start_registry: StartRegistry, tmp_path: Path, kind: str
) -> None:
    import datetime

    bad = {
        "self-signed": lambda: make.self_signed([NAME]),
        "expired": lambda: make.self_signed([NAME], not_after=datetime.timedelta(days=-1)),
        "other name": lambda: make.self_signed(["other.test"]),
        "weak key": lambda: make.self_signed([NAME], key_type="rsa", key_size=1024),
    }[kind]()
    registry = start_registry(tls=bad.write(tmp_path / "c"))

    seen = shake(registry.port)

    assert seen.failure is None
    assert seen.chain[0].sha256 == bad.sha256


@pytest.mark.needs("docker-registry")
def test_a_plain_http_server_is_told_by_its_answer(registry: Registry) -> None:
    seen = shake(registry.port)

    assert seen.failure is not None
    assert seen.failure.kind is FailureKind.TLS_NOT_SPOKEN
    assert seen.plaintext_excerpt is not None
    assert seen.plaintext_excerpt.startswith(r"HTTP/1.1 400 Bad Request\r\n")

    answer = tls.plain_answer(tls.direct("127.0.0.1", registry.port), registry.address, timeout=5)

    assert answer is not None
    assert answer.startswith(r"HTTP/1.1 200 OK\r\n")
    assert "Docker-Distribution-Api-Version" in answer


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("version", ["tls1.2", "tls1.3"])
class TestClientCertificates:
    """Go's registry with client authorities; in TLS 1.3 it refuses after the client's side is done."""

    @pytest.fixture
    def clients(self) -> make.Authority:
        return make.root_authority("Clients")

    @pytest.fixture
    def port(
        self,
        start_registry: StartRegistry,
        certificate: make.CertificateFiles,
        clients: make.Authority,
        tmp_path: Path,
        version: str,
    ) -> int:
        authorities = [str(clients.write_ca(tmp_path / "clients.pem"))]
        config = {"http": {"tls": {"clientcas": authorities, "minimumtls": version}}}
        return start_registry(tls=certificate, config=config).port

    def test_none_is_refused_with_an_alert(self, port: int) -> None:
        seen = shake(port)

        assert seen.client_certificate_requested
        assert seen.client_authorities == ("CN=Clients,O=Test PKI",)
        assert seen.failure is not None
        assert (seen.failure.kind, seen.failure.alert) == (FailureKind.TLS_ALERT, "bad_certificate")
        assert seen.chain

    def test_a_right_one_is_accepted(self, port: int, clients: make.Authority, tmp_path: Path) -> None:
        seen = shake(port, pair=pair_of(clients.issue(["me"], eku="client").write(tmp_path / "me")))

        assert seen.failure is None
        assert seen.client_certificate is not None
        assert seen.client_certificate.subject == "CN=me"

    def test_a_strangers_is_refused(self, port: int, tmp_path: Path) -> None:
        stranger = make.root_authority("Strangers").issue(["me"], eku="client")

        seen = shake(port, pair=pair_of(stranger.write(tmp_path / "me")))

        assert seen.failure is not None
        assert seen.failure.alert == "bad_certificate"

    def test_a_pair_that_does_not_belong_together_is_told(
        self, port: int, clients: make.Authority, tmp_path: Path
    ) -> None:
        one = clients.issue(["one"], eku="client").write(tmp_path / "one")
        two = clients.issue(["two"], eku="client").write(tmp_path / "two")

        seen = shake(port, pair=ClientPair(one.cert, two.key))

        assert seen.client_certificate is None
        assert seen.client_certificate_problem is not None
        assert "do not belong together" in seen.client_certificate_problem

    def test_an_encrypted_key_is_told_and_no_password_asked_for(
        self, port: int, clients: make.Authority, tmp_path: Path
    ) -> None:
        from cryptography.hazmat.primitives import serialization

        issued = clients.issue(["me"], eku="client")
        files = issued.write(tmp_path / "me")
        files.key.write_bytes(
            issued.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )

        seen = shake(port, pair=pair_of(files))

        assert seen.client_certificate_problem == f"{files.key} is encrypted"


@pytest.mark.needs("docker-registry", "nginx")
def test_a_client_certificate_that_may_be_left_out_is_no_failure(
    registry: Registry, start_nginx: StartNginx, certificate: make.CertificateFiles
) -> None:
    directives = [f"ssl_client_certificate {certificate.ca};", "ssl_verify_client optional;"]
    nginx = start_nginx(ReverseProxy(registry.upstream, tls=certificate, server_directives=directives))

    seen = shake(nginx.port)

    assert seen.client_certificate_requested
    assert seen.failure is None


@pytest.mark.needs("docker-registry", "nginx")
def test_old_versions_are_spoken_only_where_they_are_offered(
    registry: Registry, start_nginx: StartNginx, certificate: make.CertificateFiles
) -> None:
    directives = ["ssl_protocols TLSv1 TLSv1.1;", "ssl_ciphers ALL:@SECLEVEL=0;"]
    nginx = start_nginx(ReverseProxy(registry.upstream, tls=certificate, server_directives=directives))

    usual, everything, old = (shake(nginx.port, offer=offer) for offer in tls.Offer)

    assert usual.failure is not None
    assert (usual.failure.kind, usual.failure.alert) == (FailureKind.TLS_ALERT, "protocol_version")
    assert everything.protocol == old.protocol == "TLSv1.1"


@pytest.mark.needs("docker-registry", "nginx")
def test_the_alert_that_ends_a_handshake_is_named(
    registry: Registry, start_nginx: StartNginx, certificate: make.CertificateFiles
) -> None:
    proxy = ReverseProxy(registry.upstream, tls=certificate, server_directives=["ssl_reject_handshake on;"])

    seen = shake(start_nginx(proxy).port)

    assert seen.failure is not None
    assert seen.failure.alert == "unrecognized_name"


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (close_after_greeting, FailureKind.CONNECTION_CLOSED),
        (reset, FailureKind.CONNECTION_RESET),
        (send(b"SSH-2.0-OpenSSH_9.2\r\n"), FailureKind.TLS_NOT_SPOKEN),
        (send(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"), FailureKind.TLS_FAILURE),
    ],
    ids=["close", "reset", "ssh", "broken record"],
)
def test_each_end_of_a_handshake_has_its_kind(
    behaviour: Callable[[socket.socket, threading.Event], None], kind: FailureKind
) -> None:
    with raw_server(behaviour) as port:
        seen = shake(port)

    assert seen.failure is not None
    assert seen.failure.kind is kind
    assert seen.chain == ()


def test_control_characters_of_an_answer_are_escaped() -> None:
    with raw_server(send(b"\x1b[31mred\x00\r\n")) as port:
        seen = shake(port)

    assert seen.plaintext_excerpt == r"\x1b[31mred\x00\r\n"


def test_a_silent_server_costs_one_time_out() -> None:
    with raw_server(hold) as port:
        started = time.monotonic()
        seen = shake(port, timeout=0.3)
        elapsed = time.monotonic() - started

    assert seen.failure is not None
    assert seen.failure.kind is FailureKind.TLS_TIMEOUT
    assert 0.3 <= elapsed < 3


def test_an_endless_answer_is_cut_off() -> None:
    def flood(connection: socket.socket, stopped: threading.Event) -> None:
        while not stopped.is_set():
            connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\xff\xff" + b"x" * 16379)

    with raw_server(flood) as port:
        seen = shake(port, timeout=5)

    assert seen.failure is not None


def test_a_refused_connection_is_a_failure_of_its_own() -> None:
    seen = shake(free_port())

    assert seen.failure is not None
    assert seen.failure.kind is FailureKind.CONNECTION_REFUSED


# The settings for HTTP


class Run:
    """What a run shares, and settings made from options."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.shared: dict[str, object] = {}
        self.lock = threading.Lock()

    def settings(self, options: Options, *, verify: bool = True, **environment: str) -> ssl.SSLContext:
        return tls.client_context(
            options,
            "reg.test:5000",
            self.home,
            verify=verify,
            shared=self.shared,
            lock=self.lock,
            environment=environment,
        )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def connects(settings: ssl.SSLContext, port: int, name: str = NAME) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            settings.wrap_socket(connection, server_hostname=name).close()
        except ssl.SSLError:
            return False
        return True


@pytest.mark.needs("docker-registry")
class TestSettingsForHttp:
    """``client_context`` trusts what docker would trust."""

    @pytest.fixture
    def port(self, start_registry: StartRegistry, certificate: make.CertificateFiles) -> int:
        return start_registry(tls=certificate).port

    def test_a_stranger_is_refused(self, run: Run, port: int) -> None:
        assert not connects(run.settings(Options()), port)

    def test_a_given_authority_is_trusted(
        self, run: Run, port: int, certificate: make.CertificateFiles
    ) -> None:
        settings = run.settings(Options(cacert=certificate.ca))

        assert connects(settings, port)
        assert connects(settings, port, "127.0.0.1")
        assert not connects(settings, port, "other.test")

    @pytest.mark.parametrize("folder", [".", "reg.test:5000"])
    def test_a_folder_of_authorities_is_trusted(
        self, run: Run, port: int, certificate: make.CertificateFiles, tmp_path: Path, folder: str
    ) -> None:
        (tmp_path / "certs" / folder).mkdir(parents=True)
        (tmp_path / "certs" / folder / "ca.crt").write_text(certificate.ca.read_text())

        assert connects(run.settings(Options(certs_dir=tmp_path / "certs")), port)

    def test_the_folder_of_another_registry_is_not(
        self, run: Run, port: int, certificate: make.CertificateFiles, tmp_path: Path
    ) -> None:
        (tmp_path / "certs" / "reg.test").mkdir(parents=True)
        (tmp_path / "certs" / "reg.test" / "ca.crt").write_text(certificate.ca.read_text())

        assert not connects(run.settings(Options(certs_dir=tmp_path / "certs")), port)

    def test_the_systems_bundle_may_be_named_by_the_environment(
        self, run: Run, port: int, certificate: make.CertificateFiles
    ) -> None:
        assert connects(run.settings(Options(), SSL_CERT_FILE=str(certificate.ca)), port)

    def test_without_verification_anything_goes(self, run: Run, port: int) -> None:
        assert connects(run.settings(Options(), verify=False), port, "other.test")

    def test_settings_are_made_once_a_run(self, run: Run) -> None:
        assert run.settings(Options()) is run.settings(Options())
        assert run.settings(Options()) is not run.settings(Options(), verify=False)


@pytest.mark.needs("docker-registry")
def test_a_common_name_is_not_a_name_for_http_either(
    run: Run, start_registry: StartRegistry, authority: make.Authority, tmp_path: Path
) -> None:
    files = authority.issue([NAME], (), san=False).write(tmp_path / "cn")

    assert not connects(run.settings(Options(cacert=files.ca)), start_registry(tls=files).port)


def test_an_authority_file_that_cannot_be_read_leaves_the_others(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_text("nothing")

    assert run.settings(Options(cacert=tmp_path / "broken.pem")).verify_mode is ssl.CERT_REQUIRED


def test_heavy_libraries_are_left_alone() -> None:
    import subprocess
    import sys

    program = (
        "import sys, threading, pathlib\n"
        "from regdoctor.net import tls\n"
        "from regdoctor.options import Options\n"
        "tls.client_context(Options(), 'reg.test:5000', pathlib.Path('/'), verify=True, shared={},"
        " lock=threading.Lock(), environment={})\n"
        "print({'OpenSSL', 'cryptography', 'httpx'} & set(sys.modules))"
    )

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert told.stdout == "set()\n"


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize(
    ("folder", "trusted"), [("reg.test:5000", True), ("auth.test:5001", True), ("x", False)]
)
def test_a_token_server_is_trusted_by_the_registrys_folder_or_its_own(
    tmp_path: Path,
    start_registry: StartRegistry,
    certificate: make.CertificateFiles,
    folder: str,
    trusted: bool,
) -> None:
    (tmp_path / "certs" / folder).mkdir(parents=True)
    (tmp_path / "certs" / folder / "ca.crt").write_text(certificate.ca.read_text())

    settings = tls.client_context(
        Options(certs_dir=tmp_path / "certs"),
        "auth.test:5001",
        tmp_path,
        verify=True,
        shared={},
        lock=threading.Lock(),
        environment={},
        domain="reg.test:5000",
        own=False,
    )

    assert connects(settings, start_registry(tls=certificate).port) is trusted
