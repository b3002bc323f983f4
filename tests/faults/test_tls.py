"""Faults of TLS on Debian's registry and nginx, each the single root cause, and the healthy twins."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.conftest import NAME, StartNginx, StartRegistry, TokenRegistry
from tests.support import certificates as make
from tests.support import programs
from tests.support.certificates import CertificateFiles
from tests.support.forward_proxy import ForwardProxy
from tests.support.haproxy import Haproxy
from tests.support.http_server import Answer, HTTPServer
from tests.support.nginx import ReverseProxy
from tests.support.ports import free_port, wait_until
from tests.support.processes import Daemon
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
from tests.support.skopeo import skopeo

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

DAY = timedelta(days=1)
HOSTS = {NAME: "127.0.0.1"}

Serve = Callable[..., Registry]


@pytest.fixture
def serve(start_registry: StartRegistry, tmp_path: Path) -> Serve:
    """Start a registry called reg.test that serves a certificate and, if told so, another chain than its own."""

    def start(
        certificate: make.Certificate, *served: x509.Certificate, name: str = NAME, **options: object
    ) -> Registry:
        files = certificate.write(tmp_path / f"tls-{certificate.sha256[:8]}", served=served or None)
        return start_registry(name=name, tls=files, **options)

    return start


def check(
    address: str, *arguments: str | Path, hosts: dict[str, str] = HOSTS, **options: object
) -> CliResult:
    return run_regdoctor("check", address, *arguments, hosts=hosts, **options)  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path: Path) -> make.Authority:
    return make.root_authority()


@pytest.fixture
def ca(root: make.Authority, tmp_path: Path) -> Path:
    return root.write_ca(tmp_path / "root.pem")


# Healthy


@pytest.mark.parametrize("key_type", ["ec", "rsa", "ed25519"])
def test_a_private_authority_that_is_given_is_healthy(
    serve: Serve, tmp_path: Path, key_type: make.KeyType
) -> None:
    root = make.root_authority(key_type=key_type)
    leaf = root.intermediate(key_type=key_type).issue([NAME], key_type=key_type)
    registry = serve(leaf)

    assert_healthy(check(registry.address, "--cacert", root.write_ca(tmp_path / "ca.pem")))


def test_a_private_authority_in_a_folder_is_healthy(
    serve: Serve, root: make.Authority, tmp_path: Path
) -> None:
    registry = serve(root.issue([NAME]))
    folder = tmp_path / "certs.d" / registry.address
    folder.mkdir(parents=True)
    root.write_ca(folder / "ca.crt")

    assert_healthy(check(registry.address, "--certs-dir", tmp_path / "certs.d"))


def test_a_private_authority_that_docker_knows_is_healthy(serve: Serve, root: make.Authority) -> None:
    registry = serve(root.issue([NAME]))

    assert_healthy(
        check(registry.address, files={f"/etc/docker/certs.d/{registry.address}/ca.crt": root.ca_pem})
    )


def test_a_private_authority_in_the_systems_bundle_is_healthy(
    serve: Serve, root: make.Authority, ca: Path
) -> None:
    registry = serve(root.issue([NAME]))

    assert_healthy(check(registry.address, env={"SSL_CERT_FILE": str(ca)}))


def test_a_self_signed_certificate_that_is_trusted_is_healthy(serve: Serve, tmp_path: Path) -> None:
    leaf = make.self_signed([NAME])
    registry = serve(leaf)
    (tmp_path / "ca.pem").write_text(leaf.pem)

    assert_healthy(check(registry.address, "--cacert", tmp_path / "ca.pem"))


def test_an_address_that_is_listed_is_healthy(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue([NAME], ["127.0.0.1"]), name="127.0.0.1")

    assert_healthy(check(registry.address, "--cacert", ca))


def test_a_wildcard_of_one_label_is_healthy(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue(["*.reg.test"]), name="a.reg.test")

    assert_healthy(check(registry.address, "--cacert", ca, hosts={"a.reg.test": "127.0.0.1"}))


def test_a_cross_signed_root_that_is_sent_besides_is_healthy(serve: Serve, tmp_path: Path) -> None:
    old, new = make.root_authority("Old Root", not_after=-DAY), make.root_authority("New Root")
    cross = old.intermediate("New Root", key=new.key)
    lower = new.intermediate()
    leaf = lower.issue([NAME])
    registry = serve(leaf, leaf.cert, lower.cert, cross.cert)

    assert_healthy(check(registry.address, "--cacert", new.write_ca(tmp_path / "new.pem")))


def test_a_name_among_hundreds_is_healthy(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue([*(f"{number}.test" for number in range(400)), NAME]))

    assert_healthy(check(registry.address, "--cacert", ca))


def test_a_certificate_of_a_day_that_a_program_renews_is_healthy(
    serve: Serve, root: make.Authority, ca: Path
) -> None:
    registry = serve(root.issue([NAME], not_before=-timedelta(hours=4), not_after=timedelta(hours=8)))

    assert_healthy(check(registry.address, "--cacert", ca))


# Whether TLS is spoken at all


@pytest.mark.needs("nginx")
def test_a_proxy_that_does_not_speak_tls_to_the_registry_is_named(
    serve: Serve, start_nginx: StartNginx, root: make.Authority, ca: Path, tmp_path: Path
) -> None:
    registry = serve(root.issue([NAME]))
    files = root.issue([NAME]).write(tmp_path / "front")
    front = start_nginx(ReverseProxy(f"http://127.0.0.1:{registry.port}", name=NAME, tls=files))

    finding = assert_single_root_cause(check(front.address, "--cacert", ca), "tls/tls-server-plain-client")

    assert "a proxy there passes requests on in plain HTTP" in finding["detail"]
    assert "proxy_pass https://" in finding["fix"][0]


def test_a_plain_http_server_is_named(registry: Registry) -> None:
    finding = assert_single_root_cause(check(f"{NAME}:{registry.port}"), "tls/plain-http-server")

    assert "HTTP/1.1 400 Bad Request" in finding["detail"]
    assert "from a registry" in finding["detail"]


def test_plain_http_that_is_asked_for_is_healthy(registry: Registry) -> None:
    assert_healthy(check(f"http://{NAME}:{registry.port}"))


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("server", ["registry", "nginx"])
def test_plain_http_to_a_tls_server_is_named(
    tls_registry: Registry,
    registry: Registry,
    start_nginx: StartNginx,
    certificate: make.CertificateFiles,
    server: str,
) -> None:
    if server == "registry":
        port = tls_registry.port
    else:
        port = start_nginx(ReverseProxy(registry.upstream, tls=certificate)).port

    finding = assert_single_root_cause(check(f"http://{NAME}:{port}"), "tls/tls-server-plain-client")

    assert "HTTP" in finding["detail"]


# Authorities


def test_an_authority_that_is_not_trusted_is_named(serve: Serve, root: make.Authority) -> None:
    registry = serve(root.intermediate().issue([NAME]))

    finding = assert_single_root_cause(check(registry.address), "tls/unknown-authority")

    assert "CN=Test Root CA" in finding["detail"]
    assert finding["certainty"] == "proven"


def test_a_root_that_issued_the_leaf_itself_is_an_unknown_authority_too(
    serve: Serve, root: make.Authority
) -> None:
    registry = serve(root.issue([NAME]))

    assert_single_root_cause(check(registry.address), "tls/unknown-authority")


def test_another_authority_of_the_same_name_is_told(
    serve: Serve, root: make.Authority, tmp_path: Path
) -> None:
    registry = serve(root.issue([NAME]))
    other = make.root_authority().write_ca(tmp_path / "other.pem")

    finding = assert_single_root_cause(check(registry.address, "--cacert", other), "tls/unknown-authority")

    assert "another generation" in finding["detail"]


def test_a_self_signed_certificate_is_named(serve: Serve) -> None:
    registry = serve(make.self_signed([NAME]))

    assert_single_root_cause(check(registry.address), "tls/self-signed")


@pytest.mark.needs("skopeo")
def test_a_missing_intermediate_is_named_where_clients_blame_the_authority(
    serve: Serve, root: make.Authority, ca: Path
) -> None:
    """The fault of the README's example, which clients report as that of an authority that is not trusted."""
    leaf = root.intermediate().issue([NAME])
    registry = serve(leaf, leaf.cert)

    told = skopeo("inspect", f"docker://{registry.address}/app:1", hosts=HOSTS, ca=ca)

    assert "x509: certificate signed by unknown authority" in told.stderr
    result = check(registry.address, "--cacert", ca)
    assert_single_root_cause(result, "tls/missing-intermediate")
    assert_lacks(result, "tls/unknown-authority")


def test_a_missing_intermediate_that_can_be_fetched_is_proven(
    serve: Serve, root: make.Authority, ca: Path
) -> None:
    lower = root.intermediate("Acme 7")
    with HTTPServer(lambda _: Answer(200, lower.cert.public_bytes(Encoding.DER))) as issuers:
        leaf = lower.issue([NAME], ca_issuers=f"{issuers.url}/acme.cer")
        registry = serve(leaf, leaf.cert)

        finding = assert_single_root_cause(
            check(registry.address, "--cacert", ca), "tls/missing-intermediate"
        )

    assert finding["certainty"] == "proven"
    assert "acme.cer" in finding["detail"]


def test_an_issuer_that_turns_out_to_be_a_root_is_an_unknown_authority(
    serve: Serve, root: make.Authority
) -> None:
    with HTTPServer(lambda _: Answer(200, root.cert.public_bytes(Encoding.DER))) as issuers:
        registry = serve(root.issue([NAME], ca_issuers=f"{issuers.url}/ca.cer"))

        finding = assert_single_root_cause(check(registry.address), "tls/unknown-authority")

    assert finding["certainty"] == "proven"


@pytest.mark.parametrize("order", ["reversed", "stranger"])
def test_a_chain_that_was_put_together_badly_is_warned_about(
    serve: Serve, root: make.Authority, ca: Path, order: str
) -> None:
    upper = root.intermediate("Upper")
    lower = upper.intermediate("Lower")
    leaf = lower.issue([NAME])
    stranger = make.root_authority("Stranger")
    chain = [upper.cert, lower.cert] if order == "reversed" else [lower.cert, upper.cert, stranger.cert]
    registry = serve(leaf, leaf.cert, *chain)

    assert_single_root_cause(check(registry.address, "--cacert", ca), "tls/chain-order")


def below(root: make.Authority, **changes: Any) -> make.Authority:
    """An intermediate of which anything can be said."""
    key = make.private_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Restricted CA")])
    options = {"is_ca": True, "eku": "none", **changes}
    cert = make.build(subject=subject, key=key, issuer=root.cert, issuer_key=root.key, **options)
    return make.Authority(cert=cert, key=key, chain=(cert,), root=root.cert)


def only_for(name: str) -> list[tuple[x509.ExtensionType, bool]]:
    """A critical restriction of an authority to one domain."""
    return [(x509.NameConstraints([x509.DNSName(name)], None), True)]


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"extensions": only_for("other.test")}, "not authorized to sign for this name"),
        ({"is_ca": False}, "parent certificate cannot sign this kind of certificate"),
    ],
    ids=["name constraint", "no authority"],
)
def test_a_chain_that_no_trust_makes_good_is_told_in_docker_s_words(
    serve: Serve, root: make.Authority, ca: Path, changes: dict[str, Any], words: str
) -> None:
    registry = serve(below(root, **changes).issue([NAME]))

    finding = assert_single_root_cause(check(registry.address, "--cacert", ca), "tls/unknown-authority")

    assert words in finding["detail"]
    assert "not valid in itself" in finding["detail"]
    assert words in skopeo("inspect", f"docker://{registry.address}/app:1", hosts=HOSTS, ca=ca).stderr


def test_an_authority_that_is_restricted_to_this_domain_is_healthy(
    serve: Serve, root: make.Authority, ca: Path
) -> None:
    registry = serve(below(root, extensions=only_for("test")).issue([NAME], ()))

    assert_healthy(check(registry.address, "--cacert", ca))


@pytest.mark.parametrize("product", ["traefik", "ingress-nginx"])
def test_the_default_certificate_of_an_ingress_is_named(serve: Serve, product: str) -> None:
    registry = serve(make.ingress_default(product))  # type: ignore[arg-type]

    assert_single_root_cause(check(registry.address), "tls/proxy-default-certificate")


# Dates


def test_an_expired_certificate_is_named(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue([NAME], not_after=-3 * DAY))

    finding = assert_single_root_cause(check(registry.address, "--cacert", ca), "tls/expired")

    assert "3 days ago" in finding["detail"]


def test_an_expired_intermediate_is_named(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.intermediate(not_after=-DAY).issue([NAME]))

    result = check(registry.address, "--cacert", ca)

    assert_single_root_cause(result, "tls/intermediate-expired")
    assert_lacks(result, "tls/expired", "tls/unknown-authority")


def test_an_expired_root_in_the_only_path_is_named(serve: Serve, tmp_path: Path) -> None:
    old, new = make.root_authority("Old Root", not_after=-DAY), make.root_authority("New Root")
    cross = old.intermediate("New Root", key=new.key)
    lower = new.intermediate()
    leaf = lower.issue([NAME])
    registry = serve(leaf, leaf.cert, lower.cert, cross.cert)

    result = check(registry.address, "--cacert", old.write_ca(tmp_path / "old.pem"))

    finding = assert_single_root_cause(result, "tls/intermediate-expired")
    assert "CN=Old Root" in finding["detail"]


def test_a_certificate_of_the_future_is_not_blamed_on_a_right_clock(
    serve: Serve, root: make.Authority, ca: Path
) -> None:
    registry = serve(root.issue([NAME], not_before=2 * DAY))

    assert_single_root_cause(check(registry.address, "--cacert", ca), "tls/not-yet-valid")


def test_a_certificate_that_ends_soon_is_warned_about(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue([NAME], not_after=5 * DAY))

    result = check(registry.address, "--cacert", ca)

    assert assert_single_root_cause(result, "tls/expires-soon")["severity"] == "warning"
    assert result.exit_code == 0


# Names


@pytest.mark.parametrize(
    ("names", "host"), [(["other.test"], NAME), (["*.reg.test"], "a.b.reg.test"), (["*.reg.test"], NAME)]
)
def test_a_name_that_is_not_covered_is_named(
    serve: Serve, root: make.Authority, ca: Path, names: list[str], host: str
) -> None:
    registry = serve(root.issue(names, ()), name=host)

    finding = assert_single_root_cause(
        check(registry.address, "--cacert", ca, hosts={host: "127.0.0.1"}), "tls/hostname-mismatch"
    )

    assert names[0] in finding["detail"]


def test_an_address_that_is_not_listed_is_named(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue([NAME], ()), name="127.0.0.1")

    assert_single_root_cause(check(registry.address, "--cacert", ca), "tls/no-ip-san")


def test_a_common_name_alone_is_named(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue([NAME], (), san=False))

    assert_single_root_cause(check(registry.address, "--cacert", ca), "tls/common-name-only")


# Usage, keys, signatures


def test_a_client_certificate_on_the_server_is_named(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue([NAME], eku="client"))

    assert_single_root_cause(check(registry.address, "--cacert", ca), "tls/wrong-key-usage")


def test_a_short_key_is_warned_about(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue([NAME], key_type="rsa", key_size=1024))

    assert_single_root_cause(check(registry.address, "--cacert", ca), "tls/weak-key")


def test_a_sha1_signature_is_warned_about(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue([NAME], hash="sha1"))

    assert_single_root_cause(check(registry.address, "--cacert", ca), "tls/weak-signature")


# Handshakes


@pytest.mark.needs("nginx")
def test_a_server_of_old_versions_alone_is_named(
    registry: Registry, start_nginx: StartNginx, certificate: make.CertificateFiles
) -> None:
    directives = ["ssl_protocols TLSv1 TLSv1.1;", "ssl_ciphers ALL:@SECLEVEL=0;"]
    nginx = start_nginx(ReverseProxy(registry.upstream, tls=certificate, server_directives=directives))

    assert_single_root_cause(check(f"{NAME}:{nginx.port}", "--cacert", certificate.ca), "tls/legacy-protocol")


@pytest.mark.parametrize("version", ["tls1.2", "tls1.3"])
@pytest.mark.parametrize("offered", ["none", "a stranger's"])
def test_a_registry_that_wants_a_client_certificate_is_named(
    serve: Serve, root: make.Authority, ca: Path, tmp_path: Path, version: str, offered: str
) -> None:
    config = {"http": {"tls": {"clientcas": [str(ca)], "minimumtls": version}}}
    registry = serve(root.issue([NAME]), config=config)
    pair: list[str | Path] = []
    if offered != "none":
        files = make.root_authority("Strangers").issue(["me"], eku="client").write(tmp_path / "me")
        pair = ["--cert", files.cert, "--key", files.key]

    finding = assert_single_root_cause(
        check(registry.address, "--cacert", ca, *pair), "tls/client-certificate-required"
    )

    assert "CN=Test Root CA" in finding["detail"]


def test_the_right_client_certificate_is_healthy(
    serve: Serve, root: make.Authority, ca: Path, tmp_path: Path
) -> None:
    registry = serve(root.issue([NAME]), config={"http": {"tls": {"clientcas": [str(ca)]}}})
    files = root.issue(["me"], eku="client").write(tmp_path / "me")

    assert_healthy(check(registry.address, "--cacert", ca, "--cert", files.cert, "--key", files.key))


@pytest.mark.needs("nginx")
def test_nginx_that_wants_a_client_certificate_is_named(
    registry: Registry, start_nginx: StartNginx, certificate: make.CertificateFiles
) -> None:
    directives = [f"ssl_client_certificate {certificate.ca};", "ssl_verify_client on;"]
    nginx = start_nginx(ReverseProxy(registry.upstream, tls=certificate, server_directives=directives))

    assert_single_root_cause(
        check(f"{NAME}:{nginx.port}", "--cacert", certificate.ca), "tls/client-certificate-required"
    )


def test_a_server_that_never_answers_the_greeting_is_named(
    serve: Serve, root: make.Authority, ca: Path
) -> None:
    registry = serve(root.issue([NAME]))
    registry.suspend()

    assert_single_root_cause(
        check(registry.address, "--cacert", ca, "--timeout", "1"), "tls/handshake-timeout"
    )


@pytest.mark.needs("nginx")
def test_a_server_that_rejects_the_name_is_named_with_its_alert(
    registry: Registry, start_nginx: StartNginx, certificate: make.CertificateFiles
) -> None:
    nginx = start_nginx(
        ReverseProxy(registry.upstream, tls=certificate, server_directives=["ssl_reject_handshake on;"])
    )

    finding = assert_single_root_cause(check(f"{NAME}:{nginx.port}"), "tls/handshake-failed")

    assert "unrecognized_name" in finding["detail"]


# Several addresses, several clients


def test_one_bad_address_of_two_is_found(serve: Serve, root: make.Authority, ca: Path) -> None:
    port = free_port()
    good = root.issue([NAME])
    serve(good, host="127.0.0.1", port=port)
    serve(root.issue([NAME], not_after=-DAY), host="127.0.0.2", port=port)

    finding = assert_has(
        check(f"{NAME}:{port}", "--cacert", ca, hosts="127.0.0.1 reg.test\n127.0.0.2 reg.test\n"),  # type: ignore[arg-type]
        "tls/expired",
    )

    assert "127.0.0.2" in finding["detail"]
    assert "127.0.0.1 does not serve this chain" in finding["detail"]


@contextmanager
def balanced(folder: Path, *registries: Registry) -> Iterator[str]:
    """A balancer that passes connections on in turn; gives its address."""
    port = free_port()
    config = "\n".join(
        [
            "defaults",
            " mode tcp",
            " timeout connect 2s",
            " timeout client 30s",
            " timeout server 30s",
            "frontend f",
            f" bind 127.0.0.1:{port}",
            " default_backend b",
            "backend b",
            *(f" server s{number} 127.0.0.1:{each.port}" for number, each in enumerate(registries)),
            "",
        ]
    )
    with Haproxy(folder, port=port, config=config):
        yield f"{NAME}:{port}"


@pytest.mark.needs("haproxy")
@pytest.mark.parametrize(
    ("names", "not_after", "code"),
    [((NAME,), -DAY, "tls/expired"), (("other.test",), None, "tls/hostname-mismatch")],
)
def test_one_bad_server_of_two_behind_one_address_is_found(
    serve: Serve,
    root: make.Authority,
    ca: Path,
    tmp_path: Path,
    names: tuple[str, ...],
    not_after: timedelta | None,
    code: str,
) -> None:
    """Though every other run of a client succeeds."""
    good = serve(root.issue([NAME]))
    bad = serve(root.issue(names, not_after=not_after))
    with balanced(tmp_path / "haproxy", good, bad) as address:
        finding = assert_single_root_cause(check(address, "--cacert", ca), code)

    assert "of 6), and others show another certificate" in finding["detail"]


@pytest.mark.needs("haproxy")
def test_two_servers_with_good_certificates_of_their_own_are_only_worth_a_remark(
    serve: Serve, root: make.Authority, ca: Path, tmp_path: Path
) -> None:
    first, second = serve(root.issue([NAME])), serve(root.issue([NAME]))
    with balanced(tmp_path / "haproxy", first, second) as address:
        result = check(address, "--cacert", ca)

    assert_healthy(result)
    note = assert_has(result, "http/replicas-differ")
    assert note["severity"] == "info"
    assert "several certificates, and each of them is good" in note["detail"]


def test_clients_of_this_host_that_differ_are_warned_about(serve: Serve, root: make.Authority) -> None:
    registry = serve(root.issue([NAME]))
    result = check(
        registry.address,
        files={
            f"/etc/docker/certs.d/{registry.address}/ca.crt": root.ca_pem,
            f"/etc/containers/certs.d/{registry.address}/ca.crt": make.root_authority("Other").ca_pem,
        },
    )

    finding = assert_single_root_cause(result, "tls/trust-differs")

    assert "podman" in finding["detail"]


def of_every_client(address: str, docker: str, containers: str, containerd: str) -> dict[str, str | Path]:
    """Files in which each client of this host finds its authority for a registry."""
    return {
        f"/etc/docker/certs.d/{address}/ca.crt": docker,
        f"/etc/containers/certs.d/{address}/ca.crt": containers,
        f"/etc/containerd/certs.d/{address}/hosts.toml": (
            f'server = "https://{address}"\n[host."https://{address}"]\nca = "/etc/containerd/own.pem"\n'
        ),
        "/etc/containerd/own.pem": containerd,
    }


def test_the_report_shows_who_trusts_the_chain_and_who_does_not(
    serve: Serve, root: make.Authority, ca: Path, tmp_path: Path
) -> None:
    """Every trust context that this host has: given, docker's, podman's, containerd's and the system's."""
    registry = serve(root.issue([NAME]))
    other = make.root_authority("Other Root").ca_pem
    page = tmp_path / "report.html"
    arguments = ("--cacert", ca, "--output", f"html={page}")
    files = of_every_client(registry.address, docker=other, containers=root.ca_pem, containerd=other)

    result = check(registry.address, *arguments, files=files)
    text = check(registry.address, "--cacert", ca, files=files, report_format="text").stdout

    assert_single_root_cause(result, "tls/trust-differs")
    (seen,) = result.report["targets"][0]["facts"]["handshakes"].values()
    (shaken,) = seen["handshakes"]
    judged = {each["context"]["name"]: not each["errors"] for each in shaken["verifications"]}
    assert judged == {
        "given": True,
        "docker": False,
        "containers": True,
        "containerd": False,
        "system": False,
    }
    table = text.partition("Who on this host trusts the certificate of reg.test\n")[2].partition("\n\n")[0]
    for trust, verdict in [
        ("given authorities", "accepted"),
        ("docker certs.d", "refused: unknown authority"),
        ("containers certs.d", "accepted"),
        ("containerd hosts.toml", "refused: unknown authority"),
        ("system bundle", "refused: unknown authority"),
    ]:
        (row,) = [line for line in table.splitlines() if line.strip().startswith(trust)]
        assert verdict in row
        assert f"<td>{trust}<br>" in page.read_text()
    assert f"/etc/docker/certs.d/{registry.address}/ca.crt" in table
    # Paths stand under the table as they are, however long, so that they can be copied.
    assert all(len(line) <= 80 for line in table.splitlines() if not line.lstrip().startswith("["))


def test_clients_that_agree_are_healthy(serve: Serve, root: make.Authority, ca: Path) -> None:
    registry = serve(root.issue([NAME]))
    files = of_every_client(registry.address, *(root.ca_pem,) * 3)

    assert_healthy(check(registry.address, "--cacert", ca, files=files))
    assert_healthy(check(registry.address, files=files))


@pytest.mark.parametrize("client", ["containers", "containerd", "both"])
def test_a_host_without_docker_is_healthy(serve: Serve, root: make.Authority, client: str) -> None:
    registry = serve(root.issue([NAME]))
    files = of_every_client(registry.address, *(root.ca_pem,) * 3)
    del files[f"/etc/docker/certs.d/{registry.address}/ca.crt"]
    if client == "containers":
        del files[f"/etc/containerd/certs.d/{registry.address}/hosts.toml"]
    elif client == "containerd":
        del files[f"/etc/containers/certs.d/{registry.address}/ca.crt"]

    assert_healthy(check(registry.address, files=files, env={"PATH": "/nonexistent"}))


def test_the_registrys_folder_serves_its_token_server_too(
    token_registry: TokenRegistry, authority: make.Authority
) -> None:
    address = token_registry.registry.address
    result = check(address, files={f"/etc/docker/certs.d/{address}/ca.crt": authority.ca_pem})

    assert_lacks(result, "tls/unknown-authority", "tls/missing-intermediate", "auth/realm-unreachable")


def test_a_daemon_that_has_not_read_the_new_authority_is_warned_about(
    serve: Serve, root: make.Authority, ca: Path, tmp_path: Path
) -> None:
    registry = serve(root.issue([NAME]))
    shutil.copy(programs.path("sleep"), tmp_path / "dockerd")
    with Daemon([tmp_path / "dockerd", "60"], log=tmp_path / "log"):
        started = time.monotonic()
        wait_until(lambda: time.monotonic() - started > 0.2, "the daemon is measurably older than the file")
        result = check(
            registry.address,
            env={"SSL_CERT_FILE": str(ca)},
            files={"/usr/local/share/ca-certificates/lab.crt": root.ca_pem},
        )

    finding = assert_single_root_cause(result, "tls/trust-differs")
    assert "dockerd" in finding["detail"]
    assert "systemctl restart docker" in finding["fix"]


def test_a_daemon_that_started_later_is_healthy(
    serve: Serve, root: make.Authority, ca: Path, tmp_path: Path
) -> None:
    registry = serve(root.issue([NAME]))
    shutil.copy(programs.path("sleep"), tmp_path / "dockerd")
    started = time.monotonic()
    wait_until(lambda: time.monotonic() - started > 0.2, "the file is measurably older than the daemon")
    with Daemon([tmp_path / "dockerd", "60"], log=tmp_path / "log"):
        result = check(
            registry.address,
            env={"SSL_CERT_FILE": str(ca)},
            files={"/usr/local/share/ca-certificates/lab.crt": ca},
        )

    assert_healthy(result)


# Through a forward proxy


def test_a_certificate_is_judged_through_a_forward_proxy_too(
    serve: Serve, root: make.Authority, ca: Path
) -> None:
    registry = serve(root.issue([NAME], not_after=-DAY))
    with ForwardProxy(addresses={NAME: "127.0.0.1"}) as proxy:
        result = check(registry.address, "--cacert", ca, "--proxy", proxy.url, hosts={})

    assert_single_root_cause(result, "tls/expired")


def test_a_good_certificate_through_a_forward_proxy_is_healthy(
    serve: Serve, root: make.Authority, ca: Path
) -> None:
    registry = serve(root.issue([NAME]))
    with ForwardProxy(addresses={NAME: "127.0.0.1"}) as proxy:
        result = check(registry.address, "--cacert", ca, "--proxy", proxy.url, hosts={})

    assert_lacks(result, *(code for code in codes(result.report) if code.startswith(("tls/", "trust/"))))


# what the server's log says about its clients


@pytest.mark.needs("docker-registry", "skopeo")
def test_clients_that_do_not_trust_the_registry_are_found_in_its_log(
    start_registry: StartRegistry, certificate: CertificateFiles, tmp_path: Path
) -> None:
    registry = start_registry(tls=certificate)
    assert skopeo("inspect", f"docker://{registry.address}/team/app:1.0").returncode != 0
    registry.daemon.wait_for_log(r"remote error: tls")
    log = tmp_path / "registry.log"
    log.write_text(registry.log())

    found = assert_single_root_cause(
        run_regdoctor("check", "--cacert", certificate.ca, "--log", log, registry.address),
        "tls/client-distrusts",
    )

    assert "127.0.0.1" in found["detail"]
    assert found["evidence"][0].startswith(f"{log}:")


@pytest.mark.needs("docker-registry", "nginx", "skopeo")
def test_clients_that_do_not_trust_nginx_are_found_in_its_log(
    registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles, tmp_path: Path
) -> None:
    nginx = start_nginx(ReverseProxy(registry.upstream, tls=certificate))
    assert skopeo("inspect", f"docker://{nginx.address}/team/app:1.0").returncode != 0
    nginx.daemon.wait_for_log(r"SSL alert number")
    log = tmp_path / "error.log"
    log.write_text(nginx.log())

    assert_single_root_cause(
        run_regdoctor("check", "--cacert", certificate.ca, "--log", log, nginx.address),
        "tls/client-distrusts",
    )


@pytest.mark.needs("docker-registry")
def test_health_checks_in_the_log_are_no_clients(
    start_registry: StartRegistry, certificate: CertificateFiles, tmp_path: Path
) -> None:
    registry = start_registry(tls=certificate)
    with socket.create_connection(("127.0.0.1", registry.port)):
        pass
    registry.daemon.wait_for_log(r"TLS handshake error from \S+ EOF")
    log = tmp_path / "registry.log"
    log.write_text(registry.log())

    assert_healthy(run_regdoctor("check", "--cacert", certificate.ca, "--log", log, registry.address))
