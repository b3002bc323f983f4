"""The tests' own servers: each one starts, serves healthy requests, and each knob does what it says."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.conftest import (
    NAME,
    PASSWORD,
    USERNAME,
    StartNginx,
    StartRegistry,
    StartTokenServer,
    TokenRegistry,
)
from tests.support import certificates, images, netns, ports, programs, regdoctor_cli
from tests.support.certificates import Authority, CertificateFiles
from tests.support.dns_server import DnsBehaviour, DnsServer
from tests.support.dnsmasq import Dnsmasq
from tests.support.forward_proxy import ForwardProxy, ProxyBehaviour
from tests.support.haproxy import Haproxy
from tests.support.mounts import ext4, remount, tmpfs, trust_store_files
from tests.support.nginx import Nginx, ReverseProxy
from tests.support.ntp import Chronyd, NtpBehaviour, NtpServer
from tests.support.processes import Daemon, DaemonError
from tests.support.registry import Registry
from tests.support.registry_client import RegistryClient
from tests.support.skewed_proxy import SkewedProxy
from tests.support.skopeo import skopeo
from tests.support.token_server import TokenFaults

if TYPE_CHECKING:
    from contextlib import ExitStack

    import dns.message

    from tests.support.netns import LinkedHosts


class TestCertificates:
    def test_a_leaf_verifies_through_its_intermediate(self, authority: Authority, tmp_path: Path) -> None:
        files = authority.intermediate().issue([NAME]).write(tmp_path)
        assert openssl_verify(files) == 0

    def test_the_leaf_alone_does_not_verify_without_its_intermediate(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        leaf = authority.intermediate().issue([NAME])
        assert openssl_verify(leaf.write(tmp_path, served=[leaf.cert])) != 0

    @pytest.mark.parametrize(
        ("start", "end"),
        [(timedelta(days=-9), timedelta(days=-3)), (timedelta(days=3), timedelta(days=9))],
        ids=["expired", "future"],
    )
    def test_a_leaf_outside_its_validity_does_not_verify(
        self, authority: Authority, tmp_path: Path, start: timedelta, end: timedelta
    ) -> None:
        leaf = authority.issue([NAME], not_before=start, not_after=end)
        assert openssl_verify(leaf.write(tmp_path)) != 0

    def test_an_expired_intermediate_spoils_the_chain(self, authority: Authority, tmp_path: Path) -> None:
        intermediate = authority.intermediate(not_after=timedelta(days=-3))
        assert openssl_verify(intermediate.issue([NAME]).write(tmp_path)) != 0

    def test_names_and_addresses_are_alternative_names(self, authority: Authority) -> None:
        names = authority.issue(["*.reg.test", "reg.test"], ["127.0.0.1", "fd00::1"]).cert.extensions
        alternatives = names.get_extension_for_class(x509.SubjectAlternativeName).value
        assert alternatives.get_values_for_type(x509.DNSName) == ["*.reg.test", "reg.test"]
        assert [str(ip) for ip in alternatives.get_values_for_type(x509.IPAddress)] == [
            "127.0.0.1",
            "fd00::1",
        ]

    def test_a_certificate_may_have_a_common_name_alone(self, authority: Authority) -> None:
        cert = authority.issue([NAME], san=False).cert
        assert cert.subject.rfc4514_string() == f"CN={NAME}"
        with pytest.raises(x509.ExtensionNotFound):
            cert.extensions.get_extension_for_class(x509.SubjectAlternativeName)

    def test_the_key_usage_may_be_a_clients(self, authority: Authority) -> None:
        cert = authority.issue([NAME], eku="client").cert
        usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]

    def test_a_weak_rsa_key_can_be_certified(self, authority: Authority) -> None:
        key = authority.issue([NAME], key_type="rsa", key_size=1024).cert.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        assert key.key_size == 1024

    @pytest.mark.parametrize("key_type", ["ec", "rsa"])
    def test_a_sha1_signature_is_a_true_signature(
        self, tmp_path: Path, key_type: certificates.KeyType
    ) -> None:
        root = certificates.root_authority(key_type=key_type)
        leaf = root.issue([NAME], hash="sha1")
        algorithm = leaf.cert.signature_hash_algorithm
        assert algorithm is not None
        assert algorithm.name == "sha1"
        assert openssl_verify(leaf.write(tmp_path)) == 0
        namesake = certificates.root_authority(key_type=key_type)
        assert openssl_verify(dataclasses.replace(leaf, root=namesake.cert).write(tmp_path)) != 0

    @pytest.mark.parametrize(
        ("product", "words"), [("traefik", "TRAEFIK"), ("ingress-nginx", "Fake Certificate")]
    )
    def test_an_ingress_default_names_its_product(self, product: str, words: str) -> None:
        cert = certificates.ingress_default(product).cert  # type: ignore[arg-type]
        assert words in cert.subject.rfc4514_string()
        assert cert.issuer == cert.subject

    def test_a_certificate_may_say_where_its_issuer_is(self, authority: Authority) -> None:
        cert = authority.issue([NAME], ca_issuers="http://pki.test/ca.crt").cert
        access = cert.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        assert [description.access_location.value for description in access] == ["http://pki.test/ca.crt"]


def openssl_verify(files: CertificateFiles) -> int:
    """Return openssl's verdict on a leaf with the served chain: 0 where it is trusted."""
    options: list[str | Path] = ["-CAfile", files.ca, "-untrusted", files.fullchain]
    command = ["openssl", "verify", "-no-CApath", *options, files.cert]
    return subprocess.run(command, capture_output=True, check=False).returncode


class TestProcesses:
    def test_a_daemon_that_ends_early_shows_its_log(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", "print('no luck'); raise SystemExit(3)"]
        daemon = Daemon(command, log=tmp_path / "log", ready=lambda: False)
        with pytest.raises(DaemonError, match=r"exit code 3[\s\S]*no luck"):
            daemon.start()

    def test_a_daemon_that_is_never_ready_is_ended(self, tmp_path: Path) -> None:
        daemon = Daemon(["sleep", "60"], log=tmp_path / "log", ready=lambda: False, seconds=0.1)
        with pytest.raises(DaemonError, match="not within"):
            daemon.start()
        assert not daemon.running

    def test_children_end_with_their_parent(self, tmp_path: Path) -> None:
        script = "sleep 300 & echo child $!; wait"
        with Daemon(["sh", "-c", script], log=tmp_path / "log") as daemon:
            child = Path("/proc") / daemon.wait_for_log(r"child (\d+)\n").group(1)
            ports.wait_until(lambda: "sleep" in (child / "cmdline").read_text(), "the child runs sleep")
        ports.wait_until(lambda: not child.exists() or " Z " in (child / "stat").read_text(), "child gone")

    def test_daemons_end_when_the_test_process_is_killed(self, tmp_path: Path) -> None:
        script = (
            "import pathlib, sys, signal\n"
            "from tests.support.processes import Daemon\n"
            "daemon = Daemon(['sleep', '300'], log=pathlib.Path(sys.argv[1]))\n"
            "daemon.start(); print(daemon.pid, flush=True); signal.pause()\n"
        )
        command = [sys.executable, "-c", script, str(tmp_path / "log")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            child = Path("/proc") / parent.stdout.readline().strip()
            ports.wait_until(lambda: (child / "comm").read_text() == "sleep\n", "started")
            parent.kill()
        ports.wait_until(lambda: not child.exists() or " Z " in (child / "stat").read_text(), "child gone")

    def test_free_ports_are_free(self) -> None:
        port = ports.free_port()
        assert not ports.accepts("127.0.0.1", port)
        with socket.create_server(("127.0.0.1", port)):
            assert ports.accepts("127.0.0.1", port)
            ports.wait_for_port("127.0.0.1", port)

    def test_waiting_for_a_port_ends(self) -> None:
        with pytest.raises(TimeoutError, match="accepts"):
            ports.wait_for_port("127.0.0.1", ports.free_port(), seconds=0.05)


@pytest.mark.needs("docker-registry", "skopeo")
class TestRegistry:
    def test_skopeo_reads_a_pushed_image(self, registry: Registry) -> None:
        image = images.push_image(registry)
        result = skopeo("inspect", "--tls-verify=false", f"docker://{image.reference(registry.address)}")
        assert json.loads(result.stdout)["Digest"] == image.digest
        assert json.loads(result.stdout)["Layers"] == list(image.layer_digests)

    @pytest.mark.needs_root
    def test_skopeo_reads_over_tls_by_name(
        self, tls_registry: Registry, certificate: CertificateFiles
    ) -> None:
        image = images.push_image(tls_registry)
        reference = f"docker://{image.reference(tls_registry.address)}"
        assert tls_registry.address.startswith("reg.test:")
        result = skopeo("inspect", reference, hosts=tls_registry.hosts, ca=certificate.ca)
        assert result.returncode == 0, result.stderr
        distrusting = skopeo("inspect", reference, hosts=tls_registry.hosts)
        assert "certificate signed by unknown authority" in distrusting.stderr

    def test_htpasswd_lets_its_user_in_and_nobody_else(self, htpasswd_registry: Registry) -> None:
        assert htpasswd_registry.client().request("GET", "/v2/").status == 200
        assert htpasswd_registry.client((USERNAME, "wrong")).request("GET", "/v2/").status == 401
        images.push_image(htpasswd_registry)

    def test_an_image_is_the_same_every_time(self) -> None:
        assert images.build_image("a") == images.build_image("a")
        assert images.build_image("a").digest != images.build_image("b").digest

    @pytest.mark.parametrize(
        ("docker", "kind"), [(False, images.OCI_MANIFEST), (True, images.DOCKER_MANIFEST)]
    )
    def test_both_manifest_formats_are_kept(self, registry: Registry, docker: bool, kind: str) -> None:
        image = images.push_image(registry, layers=3, docker_schema2=docker)
        assert len(image.layer_digests) == 3
        response = registry.client().request("GET", "/v2/team/app/manifests/1.0", headers={"Accept": kind})
        assert response.headers["Content-Type"] == kind
        assert images.digest_of(response.body) == image.digest == response.headers["Docker-Content-Digest"]

    @pytest.mark.parametrize("docker_list", [False, True])
    def test_an_index_leads_to_its_platforms(self, registry: Registry, docker_list: bool) -> None:
        index = images.push_index(
            registry,
            "team/multi",
            "1.0",
            {"linux/arm64/v8": None, "linux/s390x": None},
            docker_list=docker_list,
        )
        reference = f"docker://{index.reference(registry.address)}"
        for architecture, variant, platform in (
            ("arm64", "v8", "linux/arm64/v8"),
            ("s390x", "", "linux/s390x"),
        ):
            result = skopeo(
                *("--override-arch", architecture, "--override-variant", variant),
                *("inspect", "--config", "--tls-verify=false", reference),
            )
            child = index.children[platform]
            assert child.config_digest == images.digest_of(result.stdout.encode()) or (
                json.loads(result.stdout)["architecture"] == architecture
            )
        missing = skopeo("--override-arch", "riscv64", "inspect", "--tls-verify=false", reference)
        assert missing.returncode != 0

    def test_an_index_may_hold_an_attestation(self, registry: Registry) -> None:
        index = images.push_index(registry, attestation=True)
        raw = skopeo(
            "inspect", "--raw", "--tls-verify=false", f"docker://{index.reference(registry.address)}"
        )
        last = json.loads(raw.stdout)["manifests"][-1]
        assert last["platform"] == {"architecture": "unknown", "os": "unknown"}
        assert last["annotations"]["vnd.docker.reference.digest"] == index.children["linux/amd64"].digest

    def test_a_removed_blob_is_not_found_and_a_cut_one_is_empty(self, registry: Registry) -> None:
        image = images.push_image(registry, layers=3)
        blobs = [f"/v2/team/app/blobs/{digest}" for digest in image.layer_digests]
        images.remove_blob(registry, image.layer_digests[0])
        images.truncate_blob(registry, image.layer_digests[1])
        images.corrupt_blob(registry, image.layer_digests[2])
        client = registry.client()
        assert client.request("GET", blobs[0]).status == 404
        assert client.request("HEAD", blobs[1]).headers["Content-Length"] == "0"
        assert images.digest_of(client.request("GET", blobs[2]).body) != image.layer_digests[2]

    def test_the_storage_paths_are_the_registrys(self, registry: Registry) -> None:
        image = images.push_image(registry)
        assert registry.tag_link("team/app", "1.0").read_text() == image.digest
        assert registry.revision_link("team/app", image.digest).read_text() == image.digest
        assert registry.layer_link("team/app", image.layer_digests[0]).read_text() == image.layer_digests[0]

    def test_readonly_refuses_writes(self, start_registry: StartRegistry) -> None:
        response = start_registry(readonly=True).client().request("POST", "/v2/a/blobs/uploads/")
        assert response.status == 405

    @pytest.mark.parametrize(("delete", "status"), [(True, 202), (False, 405)])
    def test_deleting_is_a_setting(self, start_registry: StartRegistry, delete: bool, status: int) -> None:
        registry = start_registry(delete=delete)
        image = images.push_image(registry)
        assert registry.client().request("DELETE", f"/v2/team/app/manifests/{image.digest}").status == status

    def test_http_host_decides_the_location(self, start_registry: StartRegistry) -> None:
        registry = start_registry(http_host="https://elsewhere.test:1234")
        response = registry.client().request("POST", "/v2/a/blobs/uploads/")
        assert response.headers["Location"].startswith("https://elsewhere.test:1234/v2/a/")

    def test_redirect_sends_clients_elsewhere_for_blobs(self, start_registry: StartRegistry) -> None:
        registry = start_registry(redirect="http://blobs.test:9000/")
        image = images.push_image(registry)
        response = registry.client().request("GET", f"/v2/team/app/blobs/{image.layer_digests[0]}")
        assert response.status == 307
        assert response.headers["Location"].startswith("http://blobs.test:9000/")

    def test_a_pull_through_cache_serves_its_upstreams_images(self, start_registry: StartRegistry) -> None:
        upstream = start_registry()
        image = images.push_image(upstream)
        cache = start_registry(proxy=upstream.upstream)
        result = skopeo("inspect", "--tls-verify=false", f"docker://{image.reference(cache.address)}")
        assert json.loads(result.stdout)["Digest"] == image.digest

    def test_garbage_collection_removes_what_no_tag_leads_to(self, registry: Registry) -> None:
        images.push_image(registry, image=images.build_image("old"))
        old = images.build_image("old")
        images.push_image(registry, image=images.build_image("new"))
        assert old.digest in registry.garbage_collect(delete_untagged=True)
        assert not registry.blob_path(old.layer_digests[0]).exists()
        assert registry.blob_path(images.build_image("new").digest).exists()

    @pytest.mark.needs_root
    def test_the_machines_trust_store_can_be_added_to(
        self, tls_registry: Registry, authority: Authority
    ) -> None:
        image = images.push_image(tls_registry)
        result = skopeo(
            *("inspect", f"docker://{image.reference(tls_registry.address)}"),
            hosts=tls_registry.hosts,
            files=trust_store_files(authority.ca_pem),
        )
        assert result.returncode == 0, result.stderr

    def test_settings_are_merged_and_removed(self, start_registry: StartRegistry) -> None:
        registry = start_registry(
            config={"http": {"headers": {"X-Test": ["yes"]}, "secret": None}},
            environment={"REGISTRY_HTTP_RELATIVEURLS": "true"},
        )
        response = registry.client().request("POST", "/v2/a/blobs/uploads/")
        assert response.headers["X-Test"] == "yes"
        assert response.headers["Location"].startswith("/v2/a/")
        assert "No HTTP secret provided" in registry.log()

    def test_a_bad_configuration_shows_the_registrys_words(self, start_registry: StartRegistry) -> None:
        with pytest.raises(DaemonError, match=r"no access controller registered with name: magic"):
            start_registry(config={"auth": {"magic": {"realm": "x"}}})

    def test_a_suspended_registry_accepts_but_does_not_answer(self, registry: Registry) -> None:
        registry.suspend()
        assert ports.accepts(registry.host, registry.port)
        with pytest.raises(TimeoutError):
            RegistryClient(registry.url, timeout=0.2).request("GET", "/v2/")
        registry.resume()
        assert registry.client().request("GET", "/v2/").status == 200

    def test_images_survive_a_restart(self, registry: Registry) -> None:
        images.push_image(registry)
        registry.restart()
        assert registry.client().request("GET", "/v2/team/app/tags/list").json()["tags"] == ["1.0"]

    @pytest.mark.needs_root
    def test_another_account_can_run_it(self, start_registry: StartRegistry) -> None:
        registry = start_registry(user="nobody")
        images.push_image(registry)
        registry.storage.chmod(0o755)
        for folder in [registry.storage, *registry.storage.rglob("*")]:
            folder.chmod(0o755) if folder.is_dir() else folder.chmod(0o644)
            subprocess.run(["chown", "root", folder], check=True)
        assert registry.client().request("POST", "/v2/team/app/blobs/uploads/").status == 500

    @pytest.mark.needs_root
    def test_another_account_cannot_run_it_in_a_private_folder(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        with pytest.raises(ValueError, match=r"nobody cannot enter .*open_tmp_path"):
            Registry(tmp_path / "registry", user="nobody")

    @pytest.mark.needs_root
    @pytest.mark.needs("mkfs.ext4")
    def test_a_file_system_on_disk_runs_out_of_inodes(
        self, tmp_path: Path, servers: ExitStack, start_registry: StartRegistry
    ) -> None:
        folder = servers.enter_context(ext4(tmp_path / "disk", inodes=32))
        registry = start_registry(storage=folder)
        with pytest.raises(AssertionError, match="500 instead of"):
            images.push_image(registry, layers=4)
        assert "no space left on device" in registry.log()
        assert os.statvfs(folder).f_ffree == 0
        assert os.statvfs(folder).f_bavail > 0

    @pytest.mark.needs_root
    @pytest.mark.parametrize("limits", [{"size": "64k"}, {"inodes": 12}], ids=["size", "inodes"])
    def test_a_small_file_system_fills_up(
        self, tmp_path: Path, servers: ExitStack, start_registry: StartRegistry, limits: dict[str, int | str]
    ) -> None:
        folder = servers.enter_context(tmpfs(tmp_path / "small", **limits))  # type: ignore[arg-type]
        registry = start_registry(storage=folder)
        with pytest.raises(AssertionError, match="instead of"):
            images.push_image(registry, layer_size=200_000)

    @pytest.mark.needs_root
    def test_a_file_system_can_turn_read_only(
        self, tmp_path: Path, servers: ExitStack, start_registry: StartRegistry
    ) -> None:
        folder = servers.enter_context(tmpfs(tmp_path / "small"))
        registry = start_registry(storage=folder)
        images.push_image(registry)
        remount(folder, read_only=True)
        assert registry.client().request("POST", "/v2/b/blobs/uploads/").status == 500
        remount(folder, read_only=False)
        assert registry.client().request("POST", "/v2/b/blobs/uploads/").status == 202


@pytest.mark.needs("docker-registry", "skopeo")
class TestTokenServer:
    @pytest.mark.needs_root
    def test_skopeo_pulls_and_pushes_through_it(
        self, token_registry: TokenRegistry, certificate: CertificateFiles
    ) -> None:
        registry = token_registry.registry
        image = images.push_image(registry.client((USERNAME, PASSWORD)))
        source = f"docker://{image.reference(registry.address)}"
        result = skopeo(
            *("copy", "--all", f"--src-creds={USERNAME}:{PASSWORD}", f"--dest-creds={USERNAME}:{PASSWORD}"),
            *("--insecure-policy", source, f"docker://{registry.address}/team/copy:1"),
            hosts=registry.hosts,
            ca=certificate.ca,
        )
        assert result.returncode == 0, result.stderr
        assert registry.client((USERNAME, PASSWORD)).request("GET", "/v2/team/copy/tags/list").json()[
            "tags"
        ] == ["1"]

    @pytest.mark.parametrize("key_type", ["ec", "rsa"])
    @pytest.mark.parametrize("identify", ["kid", "x5c", "both"])
    def test_the_registry_accepts_every_way_to_name_the_key(
        self,
        start_registry: StartRegistry,
        start_token_server: StartTokenServer,
        key_type: str,
        identify: str,
    ) -> None:
        server = start_token_server(key_type=key_type, identify_key_by=identify)
        registry = start_registry(token=server.auth())
        images.push_image(registry.client(server.credential))

    def test_a_key_thumbprint_means_nothing_to_the_old_registry(
        self, start_registry: StartRegistry, start_token_server: StartTokenServer
    ) -> None:
        server = start_token_server(identify_key_by="thumbprint")
        registry = start_registry(token=server.auth())
        assert registry.client(server.credential).request("GET", "/v2/").status == 401
        assert "token signed by untrusted key" in registry.log()

    def test_wrong_passwords_are_refused_at_the_token_server(
        self, start_token_server: StartTokenServer
    ) -> None:
        server = start_token_server()
        client = RegistryClient(server.url, credential=(USERNAME, "wrong"))
        assert client.exchange("GET", server.realm, headers={"Authorization": "Basic YTpi"}).status == 401

    def test_grants_may_be_rules_or_patterns(
        self, start_registry: StartRegistry, start_token_server: StartTokenServer
    ) -> None:
        server = start_token_server(
            grants={"team/*": ("pull", "push"), "base/*": ("pull",)}, anonymous={"base/*": ["pull"]}
        )
        registry = start_registry(token=server.auth())
        user, anonymous = registry.client(server.credential), registry.client()
        images.push_image(user, "team/app")
        with pytest.raises(AssertionError, match="401 instead of 202"):
            images.push_image(user, "base/app")
        assert anonymous.request("GET", "/v2/team/app/manifests/1.0").status == 401
        assert anonymous.request("GET", "/v2/base/app/manifests/1.0").status == 404

    @pytest.mark.parametrize(
        ("faults", "log"),
        [
            (TokenFaults(issuer="someone"), "token from untrusted issuer"),
            (TokenFaults(audience="another"), "token intended for another audience"),
            (TokenFaults(clock_offset=600), "token not to be used before"),
            (TokenFaults(clock_offset=-600), "token not to be used after"),
            (TokenFaults(foreign_key=True), "untrusted|unable to verify"),
        ],
        ids=["issuer", "audience", "ahead", "behind", "key"],
    )
    def test_faulty_tokens_are_refused_for_the_right_reason(
        self,
        start_registry: StartRegistry,
        start_token_server: StartTokenServer,
        faults: TokenFaults,
        log: str,
    ) -> None:
        server = start_token_server(faults=faults)
        registry = start_registry(token=server.auth())
        response = registry.client(server.credential).request("GET", "/v2/")
        assert response.status == 401
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
        registry.daemon.wait_for_log(log)

    def test_denied_actions_are_left_out(
        self, start_registry: StartRegistry, start_token_server: StartTokenServer
    ) -> None:
        server = start_token_server(faults=TokenFaults(deny=("push",)))
        registry = start_registry(token=server.auth())
        response = registry.client(server.credential).request("POST", "/v2/team/app/blobs/uploads/")
        assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]

    def test_faulty_answers(self, start_token_server: StartTokenServer) -> None:
        server = start_token_server()
        client = RegistryClient(server.url)

        def answer(**faults: object) -> tuple[int, str | None, bytes]:
            server.faults = TokenFaults(**faults)  # type: ignore[arg-type]
            response = client.exchange("GET", f"{server.realm}?service=s&scope=repository:a:pull")
            return response.status, response.headers["Content-Type"], response.body

        assert b"token" in answer()[2]
        assert answer(html=True)[:2] == (200, "text/html; charset=utf-8")
        assert answer(status=500)[0] == 500
        assert b'"token"' not in answer(missing_field=True)[2]
        server.faults = TokenFaults(date_offset=3600, headers={"Retry-After": "7"})
        headers = client.exchange("GET", server.realm).headers
        assert headers["Retry-After"] == "7"
        assert 3590 < parsedate_to_datetime(headers["Date"]).timestamp() - time.time() < 3610
        assert [request.method for request in server.requests] == ["GET"] * 5

    def test_it_may_stop_and_come_back(self, start_token_server: StartTokenServer) -> None:
        server = start_token_server()
        realm = server.realm
        server.stop()
        assert server.realm == realm
        with pytest.raises(ConnectionRefusedError):
            RegistryClient(server.url).exchange("GET", realm)
        with server:
            assert RegistryClient(server.url).exchange("GET", realm).status == 200

    def test_the_oauth2_form(self, start_token_server: StartTokenServer) -> None:
        server = start_token_server(grants={"team/*": ("pull",)})
        client = RegistryClient(server.url)
        scope = "repository:team/app:pull,push repository:other:pull"
        login = f"grant_type=password&username={USERNAME}&password={PASSWORD}"
        form = f"{login}&service=s&client_id=c&access_type=offline"
        answer = client.exchange("POST", server.realm, body=f"{form}&scope={scope}".encode()).json()
        assert answer["scope"] == "repository:team/app:pull"
        again = f"grant_type=refresh_token&refresh_token={answer['refresh_token']}&service=s&client_id=c"
        assert client.exchange("POST", server.realm, body=again.encode()).json()["access_token"]
        wrong = form.replace(PASSWORD, "wrong")
        assert client.exchange("POST", server.realm, body=wrong.encode()).status == 401
        server.faults = TokenFaults(no_post=True)
        assert client.exchange("POST", server.realm, body=form.encode()).status == 404


@pytest.mark.needs("docker-registry", "nginx")
class TestNginx:
    def test_pushes_pass_through_a_right_configuration(
        self, nginx_tls: Nginx, certificate: CertificateFiles
    ) -> None:
        client = RegistryClient(nginx_tls.url, addresses=nginx_tls.hosts, ca=certificate.ca)
        images.push_image(client, layer_size=2_000_000)
        location = client.request("POST", "/v2/team/app/blobs/uploads/").headers["Location"]
        assert location.startswith(f"{nginx_tls.url}/v2/team/app/")
        assert "POST /v2/team/app/blobs/uploads/" in nginx_tls.access_log()

    def test_a_missing_header_is_missing(
        self, registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles
    ) -> None:
        proxy = start_nginx(
            ReverseProxy(registry.upstream, name=NAME, tls=certificate, headers={"X-Forwarded-Proto": None})
        )
        client = RegistryClient(proxy.url, addresses=proxy.hosts, ca=certificate.ca)
        assert client.request("POST", "/v2/a/blobs/uploads/").headers["Location"].startswith("http://")

    def test_the_stock_body_limit_refuses_layers(self, registry: Registry, start_nginx: StartNginx) -> None:
        proxy = start_nginx(ReverseProxy(registry.upstream, client_max_body_size=None))
        with pytest.raises(AssertionError, match="413"):
            images.push_image(RegistryClient(proxy.url), layer_size=2_000_000)

    def test_a_dead_upstream_is_a_502(self, start_nginx: StartNginx) -> None:
        proxy = start_nginx(ReverseProxy(f"http://127.0.0.1:{ports.free_port()}"))
        assert RegistryClient(proxy.url).request("GET", "/v2/").status == 502

    def test_directives_locations_and_groups(
        self, registry: Registry, start_registry: StartRegistry, start_nginx: StartNginx
    ) -> None:
        other = start_registry()
        proxy = start_nginx(
            ReverseProxy(
                "http://group",
                directives=["limit_except GET HEAD { deny all; }"],
                locations=["location = /ui { return 200 'hello'; }"],
            ),
            upstreams={"group": [registry.address, other.address]},
        )
        client = RegistryClient(proxy.url)
        assert client.request("GET", "/ui").body == b"hello"
        assert client.request("POST", "/v2/a/blobs/uploads/").status == 403
        assert [client.request("GET", "/v2/").status for _ in range(2)] == [200, 200]
        assert '"GET /v2/' in registry.log() or "/v2/" in registry.log()
        assert "/v2/" in other.log()


@pytest.mark.needs("docker-registry", "haproxy")
class TestHaproxy:
    def test_it_balances_over_registries(
        self, tmp_path: Path, start_registry: StartRegistry, certificate: CertificateFiles
    ) -> None:
        registries = [start_registry(), start_registry()]
        images.push_image(registries[0])
        servers = [registry.address for registry in registries]
        with Haproxy(tmp_path / "haproxy", servers, name=NAME, tls=certificate) as balancer:
            client = RegistryClient(balancer.url, addresses=balancer.hosts, ca=certificate.ca)
            statuses = {client.request("GET", "/v2/team/app/tags/list").status for _ in range(4)}
            location = client.request("POST", "/v2/team/app/blobs/uploads/").headers["Location"]
        assert statuses == {200, 404}
        assert location.startswith("https://reg.test")
        assert "GET /v2/team/app/tags/list" in balancer.log()

    def test_a_failing_check_leaves_no_server(self, tmp_path: Path, htpasswd_registry: Registry) -> None:
        backend = ["option httpchk GET /v2/", "default-server inter 50ms fall 1"]
        upstream = f"127.0.0.1:{htpasswd_registry.port} ssl verify none"
        with Haproxy(tmp_path / "haproxy", [upstream], backend=backend, check=True) as balancer:
            balancer.daemon.wait_for_log("has no server available")
            assert RegistryClient(balancer.url).request("GET", "/v2/").status == 503


@pytest.mark.needs("dnsmasq")
class TestDnsmasq:
    def test_it_answers_for_its_records(self, tmp_path: Path) -> None:
        import dns.rcode

        records = {"reg.test": ["10.9.8.7", "10.9.8.8", "fd00::7"]}
        with Dnsmasq(
            tmp_path, records, options=["address=/corp/"], host="127.0.0.1", port=ports.free_port()
        ) as server:
            assert addresses(server, "reg.test", "A") == {"10.9.8.7", "10.9.8.8"}
            assert addresses(server, "reg.test", "AAAA") == {"fd00::7"}
            assert rcode(server, "reg.corp") == dns.rcode.NXDOMAIN
            assert rcode(server, "elsewhere.example") == dns.rcode.REFUSED
            assert "query[A] reg.test" in server.log()

    @pytest.mark.needs_root
    def test_programs_resolve_through_a_private_resolv_conf(self, tmp_path: Path) -> None:
        with Dnsmasq(tmp_path, {"reg.test": ["10.9.8.7"]}) as server:
            result = netns.run_privately(
                ["getent", "hosts", "reg.test"], files={"/etc/resolv.conf": server.resolv_conf}
            )
        assert result.stdout.split() == ["10.9.8.7", "reg.test"]


class TestDnsServer:
    def test_it_answers_for_its_records_over_udp_and_tcp(self) -> None:
        import dns.rcode

        records = {"reg.test": ["10.9.8.7", "fd00::7"]}
        with DnsServer(records, host="127.0.0.1", port=ports.free_port()) as server:
            assert (
                addresses(server, "reg.test", "A")
                == addresses(server, "REG.test", "A", tcp=True)
                == {"10.9.8.7"}
            )
            assert addresses(server, "reg.test", "AAAA") == {"fd00::7"}
            assert addresses(server, "reg.test", "MX") == set()
            assert rcode(server, "other.test") == dns.rcode.NXDOMAIN
            assert server.queries[:2] == ["udp A reg.test.", "tcp A REG.test."]

    def test_each_fault_is_what_a_client_meets(self) -> None:
        import dns.exception
        import dns.flags
        import dns.rcode

        with DnsServer({"reg.test": ["10.9.8.7"]}, host="127.0.0.1", port=ports.free_port()) as server:
            server.behaviour = DnsBehaviour(rcode="SERVFAIL")
            assert rcode(server, "reg.test") == dns.rcode.SERVFAIL
            server.behaviour = DnsBehaviour(truncate=True)
            assert ask(server, "reg.test").flags & dns.flags.TC
            assert addresses(server, "reg.test", "A", tcp=True) == {"10.9.8.7"}
            server.behaviour = DnsBehaviour(malformed=("A",))
            with pytest.raises(dns.exception.FormError):
                ask(server, "reg.test")
            assert addresses(server, "reg.test", "AAAA") == set()
            server.behaviour = DnsBehaviour(silent=True, tcp=False)
            with pytest.raises(dns.exception.Timeout):
                ask(server, "reg.test", timeout=0.1)
            with pytest.raises((EOFError, ConnectionResetError)):
                ask(server, "reg.test", tcp=True)

    @pytest.mark.needs_root
    def test_programs_resolve_through_it(self) -> None:
        with DnsServer({"reg.test": ["10.9.8.7"]}) as server:
            files = {"/etc/resolv.conf": server.resolv_conf}
            result = netns.run_privately(["getent", "ahostsv4", "reg.test"], files=files)
            assert "10.9.8.7" in result.stdout
            server.behaviour = DnsBehaviour(truncate=True)
            result = netns.run_privately(["getent", "ahostsv4", "reg.test"], files=files)
            assert "10.9.8.7" in result.stdout
            server.behaviour = DnsBehaviour(truncate=True, tcp=False)
            assert netns.run_privately(["getent", "ahostsv4", "reg.test"], files=files).returncode != 0

    @pytest.mark.needs_root
    def test_it_may_stand_in_a_namespace(self, linked_hosts: LinkedHosts) -> None:
        with DnsServer(
            {"reg.test": ["10.9.8.7"]}, host=linked_hosts.server_address, namespace=linked_hosts.server
        ) as server:
            result = linked_hosts.client.run(
                ["getent", "ahostsv4", "reg.test"], resolv_conf=server.resolv_conf
            )
        assert "10.9.8.7" in result.stdout


def ask(
    server: Dnsmasq | DnsServer, name: str, kind: str = "A", *, tcp: bool = False, timeout: float = 5
) -> dns.message.Message:
    """Ask a nameserver once."""
    import dns.message
    import dns.query

    query = dns.message.make_query(name, kind)
    return (dns.query.tcp if tcp else dns.query.udp)(query, server.host, port=server.port, timeout=timeout)


def addresses(server: Dnsmasq | DnsServer, name: str, kind: str, *, tcp: bool = False) -> set[str]:
    """Return the addresses that a nameserver gives for a name."""
    answer = ask(server, name, kind, tcp=tcp)
    return {record.to_text() for records in answer.answer for record in records}


def rcode(server: Dnsmasq | DnsServer, name: str) -> int:
    """Return the response code that a nameserver gives for a name."""
    return int(ask(server, name).rcode())


@pytest.mark.needs("docker-registry", "skopeo")
@pytest.mark.needs_root
class TestForwardProxy:
    """skopeo never asks a proxy for a loopback address, but it does for reg.test."""

    def inspect(
        self, proxy: ForwardProxy, registry: Registry, certificate: CertificateFiles, ca: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        image = images.push_image(registry)
        return skopeo(
            *("inspect", f"docker://{image.reference(registry.address)}"),
            ca=ca or certificate.ca,
            env={"HTTPS_PROXY": proxy.url, "HTTP_PROXY": proxy.url},
        )

    def test_tunnels_lead_to_the_registry(
        self, tls_registry: Registry, certificate: CertificateFiles
    ) -> None:
        with ForwardProxy(addresses=tls_registry.hosts) as proxy:
            result = self.inspect(proxy, tls_registry, certificate)
        assert result.returncode == 0, result.stderr
        assert set(proxy.targets) == {tls_registry.address}

    def test_plain_http_passes_as_absolute_targets(self, start_registry: StartRegistry) -> None:
        registry = start_registry(name=NAME)
        image = images.push_image(registry)
        with ForwardProxy(addresses=registry.hosts) as proxy:
            result = skopeo(
                *("inspect", "--tls-verify=false", f"docker://{image.reference(registry.address)}"),
                env={"HTTP_PROXY": proxy.url},
            )
        assert result.returncode == 0, result.stderr
        assert f"{registry.url}/v2/" in proxy.targets

    def test_a_proxy_may_want_a_password(self, tls_registry: Registry, certificate: CertificateFiles) -> None:
        with ForwardProxy(
            addresses=tls_registry.hosts, behaviour=ProxyBehaviour(credential=("bob", "pw"))
        ) as proxy:
            refused = self.inspect(proxy, tls_registry, certificate)
            assert "Proxy Authentication Required" in refused.stderr
            image = images.push_image(tls_registry)
            allowed = skopeo(
                *("inspect", f"docker://{image.reference(tls_registry.address)}"),
                ca=certificate.ca,
                env={"HTTPS_PROXY": proxy.url.replace("//", "//bob:pw@")},
            )
        assert allowed.returncode == 0, allowed.stderr

    def test_a_proxy_may_refuse_a_host(self, tls_registry: Registry, certificate: CertificateFiles) -> None:
        with ForwardProxy(
            addresses=tls_registry.hosts, behaviour=ProxyBehaviour(refuse={NAME: 403})
        ) as proxy:
            assert "Forbidden" in self.inspect(proxy, tls_registry, certificate).stderr

    def test_a_proxy_outside_knows_no_inner_names(
        self, tls_registry: Registry, certificate: CertificateFiles
    ) -> None:
        with ForwardProxy() as proxy:
            assert "Service Unavailable" in self.inspect(proxy, tls_registry, certificate).stderr

    def test_an_intercepting_proxy_shows_its_own_authority(
        self, tls_registry: Registry, certificate: CertificateFiles, tmp_path: Path
    ) -> None:
        company = certificates.root_authority("Company Inspection CA")
        behaviour = ProxyBehaviour(intercept=company)
        with ForwardProxy(addresses=tls_registry.hosts, behaviour=behaviour) as proxy:
            assert "unknown authority" in self.inspect(proxy, tls_registry, certificate).stderr
            trusting = self.inspect(
                proxy, tls_registry, certificate, company.write_ca(tmp_path / "company.crt")
            )
        assert trusting.returncode == 0, trusting.stderr

    def test_a_proxy_may_itself_speak_tls(
        self, tls_registry: Registry, certificate: CertificateFiles
    ) -> None:
        with ForwardProxy(addresses=tls_registry.hosts, tls=certificate) as proxy:
            result = self.inspect(proxy, tls_registry, certificate)
        assert result.returncode == 0, result.stderr


class TestNtp:
    def test_the_offset_is_what_an_ntp_client_measures(self) -> None:
        import ntplib

        with NtpServer(offset=-7200) as server:
            measured = ntplib.NTPClient().request(server.host, port=server.port, version=4, timeout=5)
        assert abs(measured.offset + 7200) < 0.5
        assert (measured.stratum, measured.leap, measured.version) == (2, 0, 4)
        assert server.queries == 1

    def test_behaviour_can_change(self) -> None:
        import ntplib

        with NtpServer(behaviour=NtpBehaviour(leap=3, stratum=0, reference=b"RATE")) as server:
            reply = ntplib.NTPClient().request(server.host, port=server.port, timeout=5)
            assert (reply.leap, reply.stratum) == (3, 0)
            server.behaviour = NtpBehaviour(silent=True)
            with pytest.raises(ntplib.NTPException):
                ntplib.NTPClient().request(server.host, port=server.port, timeout=0.1)

    @pytest.mark.needs("chronyd")
    def test_chronyd_serves_the_local_time(self, tmp_path: Path) -> None:
        import ntplib

        with Chronyd(tmp_path / "chrony") as server:
            measured = ntplib.NTPClient().request(server.host, port=server.port, version=4, timeout=5)
        assert abs(measured.offset) < 0.5
        assert measured.stratum == 5

    @pytest.mark.needs("chronyd")
    def test_chronyd_without_a_source_says_that_it_is_not_synchronised(self, tmp_path: Path) -> None:
        import ntplib

        with Chronyd(tmp_path / "chrony", synchronised=False) as server:
            reply = ntplib.NTPClient().request(server.host, port=server.port, version=4, timeout=5)
        assert (reply.leap, reply.stratum) == (3, 0)


@pytest.mark.needs("docker-registry")
class TestSkewedProxy:
    def test_every_date_is_moved_and_pushes_pass(
        self, registry: Registry, certificate: CertificateFiles
    ) -> None:
        with SkewedProxy(registry.upstream, offset=-3600, name=NAME, tls=certificate) as proxy:
            client = RegistryClient(proxy.url, addresses=proxy.hosts, ca=certificate.ca)
            images.push_image(client)
            response = client.request("GET", "/v2/team/app/manifests/1.0")
            head = client.request("HEAD", "/v2/team/app/tags/list")
        offset = parsedate_to_datetime(response.headers["Date"]).timestamp() - time.time()
        assert -3610 < offset < -3590
        assert response.headers.get_all("Date") == [response.headers["Date"]]
        assert head.headers["Content-Length"] != "0"

    def test_the_date_can_be_removed(self, registry: Registry) -> None:
        with SkewedProxy(registry.upstream, offset=None) as proxy:
            response = RegistryClient(proxy.url).request("GET", "/v2/")
        assert response.status == 200
        assert response.headers["Date"] is None


@pytest.mark.needs_root
@pytest.mark.needs("docker-registry", "skopeo")
class TestNamespaces:
    def test_a_client_reaches_a_registry_on_another_host(
        self, linked_hosts: LinkedHosts, start_registry: StartRegistry
    ) -> None:
        client, server = linked_hosts.client, linked_hosts.server
        registry = start_registry(host=linked_hosts.server_address, port=5000, namespace=server)
        image = images.push_image(registry)
        reference = f"docker://{image.reference('reg.test:5000')}"
        result = client.run(
            [programs.path("skopeo"), "inspect", "--tls-verify=false", reference],
            hosts={NAME: linked_hosts.server_address},
            environment={"PATH": programs.search_path(), "HOME": "/nonexistent"},
        )
        assert json.loads(result.stdout)["Digest"] == image.digest

    @pytest.mark.parametrize(
        ("rule", "error"),
        [
            ("tcp dport 5000 drop", TimeoutError),
            ("tcp dport 5000 reject with tcp reset", ConnectionRefusedError),
            ("tcp dport 5000 reject with icmp type admin-prohibited", OSError),
        ],
        ids=["drop", "reset", "prohibited"],
    )
    def test_a_packet_filter_stands_between(
        self, linked_hosts: LinkedHosts, rule: str, error: type[OSError]
    ) -> None:
        address = (linked_hosts.server_address, 5000)
        listener = linked_hosts.server.call(lambda: socket.create_server(address))

        def connect() -> None:
            socket.create_connection(address, timeout=0.5).close()

        with listener:
            linked_hosts.client.call(connect)
            linked_hosts.server.block(rule)
            with pytest.raises(error):
                linked_hosts.client.call(connect)

    def test_ipv6_addresses_and_default_routes(self) -> None:
        with netns.Namespace("a") as a, netns.Namespace("b") as b:
            a.link(b, ["10.1.0.1/24", "fd00:1::1/64"], ["10.1.0.2/24", "fd00:1::2/64"], default_route=True)
            b.add_address("10.2.0.1/32")
            with b.call(
                lambda: socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
            ):
                assert ports.accepts("fd00:1::2", 80, namespace=a)
                assert ports.accepts("10.2.0.1", 80, namespace=a)
            assert "default via 10.1.0.2" in a.run(["ip", "route"]).stdout
            assert "default" not in b.run(["ip", "route"]).stdout

    def test_a_namespace_has_nothing_but_loopback(self) -> None:
        with netns.Namespace() as alone, pytest.raises(OSError, match="unreachable"):
            alone.call(lambda: socket.create_connection(("192.0.2.1", 80), timeout=1))

    def test_nothing_stays_behind(self) -> None:
        def interfaces() -> str:
            return subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout

        before = interfaces()
        with netns.linked_hosts() as linked:
            path = linked.client.path
        assert interfaces() == before
        assert not Path(path).exists() or "net:" not in str(Path(path).readlink())

    def test_private_files_are_seen_by_the_command_alone(self, tmp_path: Path) -> None:
        folder = tmp_path / "certs"
        folder.mkdir()
        (folder / "ca.crt").write_text("an authority")
        paths = ["/etc/hosts", "/etc/docker/certs.d/reg.test:5000/ca.crt", "/etc/not-there/deep/file"]
        files: dict[str, str | Path] = {
            paths[0]: "127.0.0.9 reg.test\n",
            str(Path(paths[1]).parent): folder,
            paths[2]: "text",
        }
        result = netns.run_privately(["cat", *paths], files=files)
        assert result.stdout == "127.0.0.9 reg.test\nan authoritytext"
        assert not Path("/etc/not-there").exists()

    def test_the_command_may_have_a_path_of_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "helper").symlink_to("/bin/cat")
        result = netns.run_privately(
            ["helper", "/etc/hosts"], files={"/etc/hosts": "text"}, environment={"PATH": str(tmp_path)}
        )
        assert result.stdout == "text", result.stderr


class TestRegdoctorCli:
    def test_the_environment_is_bare(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
        monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
        environment = regdoctor_cli.bare_environment(tmp_path)
        assert not {"HTTPS_PROXY", "SSL_CERT_FILE"} & set(environment)
        assert environment["HOME"] == str(tmp_path)

    def test_the_format_is_asked_for_where_none_is_named(self) -> None:
        def words(*arguments: str, report_format: str | None = "json") -> list[str]:
            return list(regdoctor_cli.command_line(arguments, report_format)[3:])

        assert words("check", "reg.test") == ["check", "reg.test", "--format", "json"]
        assert words("check", "reg.test", "--format", "text") == ["check", "reg.test", "--format", "text"]
        assert words("check", "--format=html") == ["check", "--format=html"]
        assert words("run", "--", "skopeo", "--format", "x") == [
            *("run", "--format", "json", "--", "skopeo", "--format", "x"),
        ]
        assert words("--version", report_format=None) == ["--version"]

    def test_a_message_shows_all_findings(self) -> None:
        report = report_of(("tls/expired", "error", True), ("tls/hostname", "warning", False))
        with pytest.raises(AssertionError, match=r"tls/hostname[\s\S]*ROOT error tls/expired"):
            regdoctor_cli.assert_single_root_cause(report, "tls/hostname")
        assert regdoctor_cli.assert_single_root_cause(report, "tls/expired")["code"] == "tls/expired"
        assert regdoctor_cli.codes(report) == ["tls/expired", "tls/hostname"]
        assert regdoctor_cli.root_codes(report) == ["tls/expired"]

    def test_healthy_means_no_error_and_no_warning(self) -> None:
        regdoctor_cli.assert_healthy(report_of(("vendor/fingerprint", "info", True)))
        for severity in ("error", "warning"):
            with pytest.raises(AssertionError, match="on a healthy target"):
                regdoctor_cli.assert_healthy(report_of(("a/b", severity, True)))

    def test_a_result_needs_the_right_exit_code(self) -> None:
        report = report_of(("tls/expired", "error", True))
        result = regdoctor_cli.CliResult(("regdoctor",), 0, json.dumps(report), "")
        with pytest.raises(AssertionError, match="exit code 0"):
            regdoctor_cli.assert_single_root_cause(result, "tls/expired")

    def test_output_that_is_not_json_is_shown(self) -> None:
        result = regdoctor_cli.CliResult(("regdoctor", "check"), 1, "Oops", "Traceback")
        with pytest.raises(AssertionError, match=r"Oops[\s\S]*Traceback"):
            _ = result.report


def report_of(*rows: tuple[str, str, bool]) -> dict[str, object]:
    """Return a report with findings of these codes and severities, root causes where said."""
    found = [
        {
            **{"id": f"f{number}", "code": code, "severity": severity, "certainty": "proven", "title": code},
            **{"detail": "seen", "caused_by": None if root else "f0"},
        }
        for number, (code, severity, root) in enumerate(rows)
    ]
    roots = [finding for finding, row in zip(found, rows, strict=True) if row[2]]
    verdict = "failing" if any(row[1] == "error" for row in rows) else "healthy"
    target = {"target": "t", "verdict": verdict, "findings": found, "root_causes": roots, "checks": []}
    return {"verdict": verdict, "targets": [target]}


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_unmet_needs_skip_a_test_and_fail_it_in_ci(tmp_path: Path, ci: str, outcome: str) -> None:
    test = tmp_path / "test_needs.py"
    test.write_text("import pytest\n@pytest.mark.needs('no-such-program')\ndef test_it(): pass\n")
    root = Path(__file__).parent.parent
    options = [
        "-p",
        "tests.conftest",
        "-c",
        str(root / "pyproject.toml"),
        "--rootdir",
        str(root),
        "-p",
        "no:cacheprovider",
    ]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(test)],
        env={**os.environ, "CI": ci},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in result.stdout
    assert "no-such-program missing: install no-such-program" in result.stdout


def test_missing_programs_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        programs, "find", lambda program: None if program == "htpasswd" else f"/usr/bin/{program}"
    )
    assert programs.obstacle(["nginx", "htpasswd"]) == "htpasswd missing: install apache2-utils"
    with pytest.raises(programs.MissingProgramError, match="install apache2-utils"):
        programs.path("htpasswd")
