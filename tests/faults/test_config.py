"""Faults of the registry's configuration: the real registry does not start, and the file says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartRegistry
from tests.support import ports
from tests.support.certificates import Authority, CertificateFiles
from tests.support.processes import Daemon
from tests.support.programs import path as program
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    findings,
    run_regdoctor,
)
from tests.support.registry import Registry

pytestmark = pytest.mark.needs("docker-registry")


@dataclass(frozen=True)
class Refusal:
    """A registry that did not start: what it said, and what regdoctor says."""

    log: str
    result: CliResult

    def single_root_cause(self, code: str) -> dict[str, Any]:
        """The finding that alone explains the refused connection."""
        cause = assert_single_root_cause(self.result, code)
        assert assert_has(self.result, "tcp/refused")["caused_by"] == cause["id"]
        return cause


def start_with(file: Path, variables: Mapping[str, str] | None = None, *options: str | Path) -> Refusal:
    """Start the real registry with a file that it refuses, and diagnose the address that it should have.

    ``variables`` are its environment, which regdoctor gets as well.
    """
    port = ports.free_port()
    command: list[str | Path] = [program("docker-registry"), "serve", file]
    environment = {
        "OTEL_TRACES_EXPORTER": "none",
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        **(variables or {}),
    }
    if variables is not None:
        options = (*options, "--env-file", write_environment(file.parent, environment))
    with Daemon(command, log=file.parent / "registry.log", environment=environment) as daemon:
        assert daemon.wait_for_exit() != 0
        log = daemon.log()
    url = f"http://127.0.0.1:{port}"
    return Refusal(log, run_regdoctor("check", url, "--config", file, *options))


def write_environment(folder: Path, environment: Mapping[str, str]) -> Path:
    path = folder / "registry.env"
    path.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    return path


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yml"
    path.write_text(text)
    return path


def test_a_tab_keeps_the_registry_from_starting(tmp_path: Path) -> None:
    file = write(tmp_path, "version: 0.1\nstorage:\n\tinmemory: {}\n")
    refusal = start_with(file)
    assert "line 3: found character that cannot start any token" in refusal.log
    cause = refusal.single_root_cause("config/syntax")
    assert cause["evidence"] == [f"{file}:3"]
    assert "line 3, column 1: found character that cannot start any token" in cause["detail"]
    assert "→inmemory" in cause["detail"]


def test_a_secret_on_the_broken_line_is_not_shown(tmp_path: Path) -> None:
    file = write(tmp_path, "version: 0.1\nhttp:\n  addr: 127.0.0.1:0\n\tsecret: hunter2 is my secret\n")
    refusal = start_with(file)
    refusal.single_root_cause("config/syntax")
    assert "hunter2" not in refusal.result.stdout + refusal.result.stderr


def test_a_missing_file_keeps_the_registry_from_starting(tmp_path: Path) -> None:
    refusal = start_with(tmp_path / "config.yml")
    assert "no such file or directory" in refusal.log
    refusal.single_root_cause("config/unreadable")


def test_a_folder_in_place_of_the_file_keeps_the_registry_from_starting(tmp_path: Path) -> None:
    folder = tmp_path / "config.yml"
    folder.mkdir()
    refusal = start_with(folder)
    assert "is a directory" in refusal.log
    assert "folder" in refusal.single_root_cause("config/unreadable")["detail"]


@pytest.mark.parametrize("text", ["", "storage:\n  inmemory:\n", "version: 0.2\nstorage:\n  inmemory:\n"])
def test_another_version_keeps_the_registry_from_starting(tmp_path: Path, text: str) -> None:
    refusal = start_with(write(tmp_path, text))
    assert "unsupported version" in refusal.log
    refusal.single_root_cause("config/version")


def appended(registry: Registry, text: str) -> Path:
    """The registry's own file with a text added at its end."""
    file = registry.directory / "changed.yml"
    file.write_text(registry.config_path.read_text() + text)
    return file


def test_a_key_that_stands_twice_is_a_warning(registry: Registry) -> None:
    file = appended(registry, "http:\n  net: tcp\n")
    result = run_regdoctor("check", registry.url, "--config", file)
    finding = assert_single_root_cause(result, "config/duplicate-key", exit_code=0)
    assert len(finding["evidence"]) == 2


def test_a_running_registry_is_told_that_it_will_not_start_again(registry: Registry) -> None:
    file = appended(registry, "\tlog: x\n")
    result = run_regdoctor("check", registry.url, "--config", file)
    cause = assert_single_root_cause(result, "config/syntax")
    assert "answers nevertheless" in cause["detail"]


def test_a_right_configuration_is_healthy(start_registry: StartRegistry) -> None:
    registry = start_registry(htpasswd={"alice": "wonderland"})
    result = run_regdoctor("check", registry.url, "--config", registry.config_path)
    assert_lacks(result, "config/syntax", "config/version", "config/unreadable", "config/duplicate-key")


def test_a_right_configuration_of_an_open_registry_is_healthy(registry: Registry) -> None:
    assert_healthy(run_regdoctor("check", registry.url, "--config", registry.config_path))


STOPPING = [
    ("config/wrong-type", "log: {level: warning}\n", "invalid loglevel warning"),
    ("config/wrong-type", "http: {draintimeout: 1d}\n", "cannot unmarshal !!str `1d` into time.Duration"),
    ("config/required-missing", "auth: {htpasswd: {realm: a}}\n", '"path" must be set for htpasswd'),
    (
        "config/auth-methods",
        "auth: {ldap: {url: ldaps://a}}\n",
        "no access controller registered with name: ldap",
    ),
    (
        "config/middleware-unknown",
        "middleware: {storage: [{name: cache}]}\n",
        "no storage middleware registered",
    ),
    (
        "config/wrong-type",
        "http: {host: '127.0.0.1:5000'}\n",
        "first path segment in URL cannot contain colon",
    ),
]


@pytest.mark.parametrize(("code", "text", "words"), STOPPING, ids=[words for _, _, words in STOPPING])
def test_what_the_registry_refuses_is_the_cause(code: str, text: str, words: str, tmp_path: Path) -> None:
    refusal = start_with(write(tmp_path, f"version: 0.1\nstorage: {{inmemory: }}\n{text}"))
    assert words in refusal.log
    cause = refusal.single_root_cause(code)
    assert cause["evidence"] == [f"{tmp_path}/config.yml:3"]


STORAGES = [
    (
        "config/storage-drivers",
        "{inmemory: , filesystem: {rootdirectory: /data}}",
        "exactly one storage type",
    ),
    (
        "config/driver-unsupported",
        "{filesytem: {rootdirectory: /data}}",
        "StorageDriver not registered: filesytem",
    ),
    ("config/required-missing", "{s3: {bucket: images}}", "no region parameter provided"),
    ("config/wrong-type", "{filesystem: , rootdirectory: /data}", "cannot unmarshal !!map into string"),
    (
        "config/required-missing",
        "{inmemory: , cache: {blobdescriptor: redis}}",
        "redis configuration required",
    ),
]


@pytest.mark.parametrize(("code", "storage", "words"), STORAGES, ids=[words for _, _, words in STORAGES])
def test_a_wrong_storage_is_the_cause(code: str, storage: str, words: str, tmp_path: Path) -> None:
    refusal = start_with(write(tmp_path, f"version: 0.1\nstorage: {storage}\n"))
    assert words in refusal.log
    cause = refusal.single_root_cause(code)
    assert cause["evidence"] == [f"{tmp_path}/config.yml:2"]


VARIABLES = [
    ("config/env-collision", "REGISTRY_STORAGE_PORT", "tcp://10.0.0.1:80", "into configuration.Parameters"),
    ("config/env-collision", "REGISTRY_AUTH_FILE", "/run/auth.json", "into configuration.Parameters"),
    ("config/env-invalid", "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true", "additional keys"),
    ("config/env-invalid", "REGISTRY_HTTP_TLS_CLIENTCAS", "/certs/ca.crt", "into []string"),
    ("config/storage-drivers", "REGISTRY_STORAGE_S3_BUCKET", "images", "multiple storage drivers specified"),
]


@pytest.mark.parametrize(("code", "name", "value", "words"), VARIABLES, ids=[each[1] for each in VARIABLES])
def test_a_variable_is_the_cause(code: str, name: str, value: str, words: str, tmp_path: Path) -> None:
    file = write(tmp_path, "version: 0.1\nstorage: {inmemory: }\n")
    refusal = start_with(file, {name: value})
    assert words in refusal.log
    cause = refusal.single_root_cause(code)
    assert name in cause["detail"]
    assert cause["evidence"] == [f"{tmp_path}/registry.env:3"]


def with_tls(folder: Path, certificate: Path, key: Path) -> Path:
    tls = f"    certificate: {certificate}\n    key: {key}\n"
    return write(folder, f"version: 0.1\nstorage: {{inmemory: }}\nhttp:\n  tls:\n{tls}")


def test_a_missing_certificate_is_the_cause(tmp_path: Path, certificate: CertificateFiles) -> None:
    refusal = start_with(with_tls(tmp_path, tmp_path / "nothing.pem", certificate.key))
    assert "nothing.pem: no such file or directory" in refusal.log
    cause = refusal.single_root_cause("config/file-missing")
    assert cause["evidence"] == [f"{tmp_path}/config.yml:5"]
    assert cause["places"] == [{"path": f"{tmp_path}/config.yml", "line": 5, "column": 18}]


def test_a_relative_path_is_looked_for_beside_the_configuration(
    tmp_path: Path, certificate: CertificateFiles
) -> None:
    file = with_tls(tmp_path, Path("server.pem"), certificate.key)
    cause = assert_single_root_cause(run_regdoctor("lint", file), "config/file-missing")
    assert cause["certainty"] == "possible"
    (tmp_path / "server.pem").write_bytes(certificate.fullchain.read_bytes())
    assert_lacks(run_regdoctor("lint", file), "config/file-missing")


def test_a_key_that_schema_1_cannot_use_is_the_cause(tmp_path: Path, certificate: CertificateFiles) -> None:
    schema = f"compatibility: {{schema1: {{signingkeyfile: {certificate.fullchain}}}}}"
    refusal = start_with(write(tmp_path, f"version: 0.1\nstorage: {{inmemory: }}\n{schema}\n"))
    assert "could not load schema1" in refusal.log
    refusal.single_root_cause("config/file-missing")


def test_an_expired_certificate_is_seen_in_the_configuration(
    tmp_path: Path, authority: Authority, certificate: CertificateFiles
) -> None:
    now = datetime.now(UTC)
    old = authority.issue(
        ("reg.test",), not_before=now - timedelta(days=90), not_after=now - timedelta(days=1)
    )
    expired = old.write(tmp_path / "old")
    result = run_regdoctor("lint", with_tls(tmp_path, expired.fullchain, expired.key))
    cause = assert_single_root_cause(result, "tls/expired")
    assert cause["evidence"] == [f"{tmp_path}/config.yml:5"]
    assert_lacks(
        run_regdoctor("lint", with_tls(tmp_path, certificate.fullchain, certificate.key)), "tls/expired"
    )


def test_a_key_in_place_of_the_certificate_of_the_token_server_is_the_cause(
    tmp_path: Path, certificate: CertificateFiles
) -> None:
    token = f"realm: 'https://a.test/', service: a, issuer: b, rootcertbundle: {certificate.key}"
    refusal = start_with(
        write(tmp_path, f"version: 0.1\nstorage: {{inmemory: }}\nauth: {{token: {{{token}}}}}\n")
    )
    assert "token auth requires at least one token signing root certificate" in refusal.log
    refusal.single_root_cause("config/file-missing")


def test_a_key_of_another_certificate_is_the_cause(
    tmp_path: Path, authority: Authority, certificate: CertificateFiles
) -> None:
    other = authority.issue("other.test").write(tmp_path / "other")
    refusal = start_with(with_tls(tmp_path, certificate.fullchain, other.key))
    assert "tls: private key does not match public key" in refusal.log
    cause = refusal.single_root_cause("config/tls-pair-mismatch")
    assert cause["evidence"] == [f"{tmp_path}/config.yml:5", f"{tmp_path}/config.yml:6"]


def check(registry: Registry, *options: str | Path) -> CliResult:
    return run_regdoctor("check", registry.url, "--config", registry.config_path, *options)


def test_a_key_that_nobody_reads_is_a_warning(start_registry: StartRegistry) -> None:
    registry = start_registry(config={"http": {"relativeURLs": True}})
    finding = assert_single_root_cause(check(registry), "config/unknown-key", exit_code=0)
    assert "http.relativeurls meant" in finding["detail"]


def test_deletion_inside_of_the_driver_stays_off(start_registry: StartRegistry) -> None:
    registry = start_registry(delete=False, config={"storage": {"filesystem": {"delete": {"enabled": True}}}})
    assert registry.client().request("DELETE", f"/v2/a/blobs/sha256:{64 * '0'}").status == 405
    finding = assert_single_root_cause(check(registry), "config/misplaced-key")
    assert "storage.delete is" in finding["detail"]
    assert_has(check(registry), "config/delete-disabled")


def test_deletion_that_is_off_is_worth_knowing(start_registry: StartRegistry) -> None:
    registry = start_registry(delete=False)
    result = check(registry)
    assert assert_has(result, "config/delete-disabled")["severity"] == "info"
    assert_healthy(result, allow=["config/delete-disabled"])


def test_a_key_of_version_2_is_told_to_version_3(start_registry: StartRegistry) -> None:
    registry = start_registry(config={"compatibility": {"schema1": {"enabled": True}}})
    assert_lacks(check(registry, "--registry-version", "2.8"), "config/removed-key")
    result = run_regdoctor("lint", registry.config_path, "--registry-version", "3")
    assert_single_root_cause(result, "config/removed-key", exit_code=0)


def test_a_file_where_another_version_looks_is_not_read(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "etc/distribution/config.yml"
    file.parent.mkdir(parents=True)
    file.write_text(registry.config_path.read_text() + "auth: {htpasswd: {realm: a, path: /etc/htpasswd}}\n")
    result = run_regdoctor("check", registry.url, "--config", file, "--registry-version", "2.8")
    cause = assert_has(result, "config/default-path-moved")
    assert "answers without one" in cause["detail"]
    assert cause["severity"] == "error"


def test_a_variable_without_effect_is_a_warning(start_registry: StartRegistry, tmp_path: Path) -> None:
    variables = {"REGISTRY_HTTP_ADDRESS": ":6000"}
    registry = start_registry(environment=variables)
    assert "Ignoring unrecognized environment variable REGISTRY_HTTP_ADDRESS" in registry.log()
    result = check(registry, "--env-file", write_environment(tmp_path, variables))
    finding = assert_single_root_cause(result, "config/env-ignored", exit_code=0)
    assert "REGISTRY_HTTP_ADDR meant" in finding["detail"]


def test_another_host_in_the_file_than_in_the_address(start_registry: StartRegistry) -> None:
    registry = start_registry(http_host="https://registry.example.test")
    result = check(registry)
    assert "registry.example.test" in assert_has(result, "config/http-host")["detail"]


def test_a_push_to_a_read_only_registry(start_registry: StartRegistry) -> None:
    registry = start_registry(readonly=True)
    result = run_regdoctor(
        "check", f"{registry.address}/tests/push", "--plain-http", "--push", "--config", registry.config_path
    )
    assert assert_has(result, "config/read-only")["severity"] == "error"
    assert assert_has(check(registry), "config/read-only")["severity"] == "warning"


def test_a_push_to_a_cache(start_registry: StartRegistry, tmp_path: Path) -> None:
    upstream = start_registry()
    cache = start_registry(proxy=upstream.url)
    result = run_regdoctor(
        "check", f"{cache.address}/tests/push", "--plain-http", "--push", "--config", cache.config_path
    )
    assert assert_has(result, "config/pull-through")["severity"] == "error"
    assert assert_has(check(cache), "config/pull-through")["severity"] == "info"


def test_a_password_that_others_can_read(start_registry: StartRegistry, open_tmp_path: Path) -> None:
    registry = start_registry(config={"redis": {"addr": "127.0.0.1:1", "password": "correct horse"}})
    assert_healthy(check(registry))  # its folder is closed
    file = open_tmp_path / "config.yml"
    file.write_text(registry.config_path.read_text())
    file.chmod(0o644)
    result = run_regdoctor("check", registry.url, "--config", file)
    finding = assert_single_root_cause(result, "config/secret-in-file", exit_code=0)
    assert "redis.password" in finding["detail"]
    assert "correct horse" not in result.stdout
    file.chmod(0o600)
    assert_healthy(run_regdoctor("check", registry.url, "--config", file))


def test_what_listens_on_all_addresses(start_registry: StartRegistry) -> None:
    port = ports.free_port()
    registry = start_registry(
        host="0.0.0.0", name="127.0.0.1", config={"http": {"debug": {"addr": f"0.0.0.0:{port}"}}}
    )
    result = check(registry, "--profile", "host")
    for code in ("config/no-auth", "config/debug-exposed"):
        assert assert_has(result, code)["severity"] == "warning"
    assert assert_has(result, "config/no-tls")["severity"] == "info"


def test_a_key_alone_does_not_switch_tls_on(
    start_registry: StartRegistry, certificate: CertificateFiles
) -> None:
    registry = start_registry(config={"http": {"tls": {"key": str(certificate.key)}}})
    assert "tls" not in registry.log().partition("listening on")[2].split("go.version")[0]
    assert_single_root_cause(check(registry), "config/no-tls", exit_code=0)


def test_a_secret_is_missing_where_the_storage_can_be_shared(start_registry: StartRegistry) -> None:
    registry = start_registry(secret=None)
    assert "No HTTP secret provided" in registry.log()
    alone = check(registry)
    assert assert_has(alone, "config/http-secret-missing")["severity"] == "info"
    shared = registry.directory / "shared.yml"
    shared.write_text(
        "version: 0.1\nstorage: {s3: {bucket: a, region: eu-central-1}}\nhttp: {addr: ':5000'}\n"
    )
    result = run_regdoctor("lint", shared)
    assert_single_root_cause(result, "config/http-secret-missing", exit_code=0)


DEFAULTS = {
    "registry:2": """version: 0.1
log: {fields: {service: registry}}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: /var/lib/registry}
http:
  addr: :5000
  headers: {X-Content-Type-Options: [nosniff]}
health:
  storagedriver: {enabled: true, interval: 10s, threshold: 3}
""",
    "registry:3": """version: 0.1
log: {level: debug, fields: {service: registry}}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: /var/lib/registry}
  delete: {enabled: true}
  tag: {concurrencylimit: 5}
http:
  addr: :5000
  headers: {X-Content-Type-Options: [nosniff]}
  debug: {addr: ':5001', prometheus: {enabled: true, path: /metrics}}
health:
  storagedriver: {enabled: true, interval: 10s, threshold: 3}
""",
    "Debian": """version: 0.1
log: {fields: {service: registry}}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: /var/lib/docker-registry}
  delete: {enabled: true}
http:
  addr: :5000
  headers: {X-Content-Type-Options: [nosniff]}
auth:
  htpasswd: {realm: basic-realm, path: /etc/docker/registry}
health:
  storagedriver: {enabled: true, interval: 10s, threshold: 3}
""",
}
"""What the images and the Debian package ship."""


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_shipped_is_no_fault(name: str, tmp_path: Path) -> None:
    result = run_regdoctor("lint", write(tmp_path, DEFAULTS[name]))
    assert {finding["severity"] for finding in findings(result.report)} <= {"info"}
    assert result.exit_code == 0


def test_the_configuration_in_the_end_is_shown_with_its_origins(tmp_path: Path) -> None:
    file = write(tmp_path, "version: 0.1\nstorage: {inmemory: }\nhttp: {addr: ':5000', secret: hunter2}\n")
    environment = write_environment(
        tmp_path, {"REGISTRY_HTTP_ADDR": ":6000", "REGISTRY_REDIS_PASSWORD": "hunter3"}
    )
    result = run_regdoctor("lint", file, "--effective", "--env-file", environment, report_format=None)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["http.addr:", ":6000", "#", "REGISTRY_HTTP_ADDR", f"({environment}:1)"] in lines
    assert ["storage.inmemory:", "null", "#", f"{file}:2:20"] in lines
    assert ["http.secret:", "***", "#", f"{file}:3:31"] in lines
    assert "hunter" not in result.stdout
    assert result.exit_code == 0


def test_the_environment_of_the_running_process_is_applied(start_registry: StartRegistry) -> None:
    registry = start_registry(environment={"REGISTRY_LOG_LEVEL": "warn", "REGISTRY_LOG_LEVELL": "info"})
    environ = f"/proc/{registry.daemon.pid}/environ"
    ignored = assert_has(run_regdoctor("lint", registry.config_path), "config/env-ignored")
    assert "REGISTRY_LOG_LEVELL" in ignored["detail"]
    assert ignored["evidence"][0].startswith(f"{environ}:")
    shown = run_regdoctor("lint", registry.config_path, "--effective", report_format=None).stdout
    (level,) = [line for line in shown.splitlines() if line.startswith("log.level:")]
    assert level.split()[:4] == ["log.level:", "warn", "#", "REGISTRY_LOG_LEVEL"]
    assert environ in level


def test_a_file_with_variables_goes_before_the_running_process(
    start_registry: StartRegistry, tmp_path: Path
) -> None:
    registry = start_registry(environment={"REGISTRY_LOG_LEVELL": "info"})
    environment = write_environment(tmp_path, {})
    assert_lacks(run_regdoctor("lint", registry.config_path, "--env-file", environment), "config/env-ignored")


def test_without_a_process_the_file_stands_alone(start_registry: StartRegistry) -> None:
    registry = start_registry(environment={"REGISTRY_LOG_LEVELL": "info"})
    registry.stop()
    assert_lacks(run_regdoctor("lint", registry.config_path), "config/env-ignored")
