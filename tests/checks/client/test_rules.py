"""What rules make of clients' settings: files' texts in, findings out; no client and no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regdoctor.api import (
    Addresses,
    Builder,
    Certainty,
    ContainerdVersion,
    CredentialProblem,
    Credentials,
    DaemonFlags,
    DaemonState,
    DockerVersion,
    Draft,
    Each,
    Endpoint,
    Failure,
    FailureKind,
    FileKind,
    Handshakes,
    HostsFolder,
    Listed,
    MirrorLook,
    MirrorLooks,
    Ping,
    Settings,
    Severity,
    SignatureStores,
    Target,
    buildkit,
    containerd_config,
    credential_settings,
    daemon_json,
    hosts_toml,
    registries_conf,
    signature_policy,
)
from regdoctor.checks.client import rules
from regdoctor.oci.reference import parse_target
from tests.checks.tls.examples import handshake
from tests.support.facts import answer, endpoint

IMAGE = "reg.test:5000/team/app:1.0"
REGISTRY = endpoint(port=5000)
BY_HTTPS = Each({REGISTRY: REGISTRY})
NOTHING: Each[Any] = Each({})


def target(text: str = IMAGE) -> Target:
    return parse_target(text)


def only(drafts: Iterator[Draft], code: str) -> Draft:
    """The one finding that there is."""
    found = list(drafts)
    assert [draft.code for draft in found] == [code]
    return found[0]


def nothing(drafts: Iterator[Draft]) -> None:
    assert [f"{draft.code}: {draft.detail}" for draft in drafts] == []


def pinged(status: int = 200, *, trusted: bool = True) -> Each[Ping]:
    return Each({REGISTRY: Ping(answer=answer(status), trusted=trusted)})


PLAIN = Each({REGISTRY: Handshakes(handshakes=(handshake(protocol=None, plaintext_excerpt="HTTP/1.1 400"),))})


# daemon.json


def daemon(text: str) -> Any:
    return daemon_json.parse_daemon_json(text.encode(), Path("/etc/docker/daemon.json"))


def state(**changes: Any) -> DaemonState:
    return DaemonState(socket="/run/docker.sock", version="20.10.24", **changes)


def test_every_refusal_is_told_at_once_with_likely_names() -> None:
    settings = daemon('{"registry-mirors": [],\n "insecure-registries": ["a/b"]}')

    found = only(rules.daemon_json_invalid(settings, None, None), "client/daemon-json-invalid")

    assert "registry-mirors may stand for registry-mirrors" in found.detail
    assert found.evidence == ("/etc/docker/daemon.json:1:2", "/etc/docker/daemon.json:2:26")
    assert "Cannot connect to the Docker daemon" in found.detail


def test_a_daemon_that_runs_is_not_said_to_have_stopped() -> None:
    found = only(rules.daemon_json_invalid(daemon("{"), None, state()), "client/daemon-json-invalid")

    assert "does not start again with it" in found.detail
    assert "Cannot connect" not in found.detail


@pytest.mark.parametrize(
    ("flag", "key"), [("debug", "debug"), ("insecure-registry", "insecure-registries"), ("host", "hosts")]
)
def test_a_flag_and_its_key_exclude_each_other(flag: str, key: str) -> None:
    value = "true" if key == "debug" else "[]"
    place = Listed(value=flag, path="/proc/1/cmdline", line=1, column=1)
    flags = DaemonFlags(source="the command line of dockerd (process 1)", running=True, flags=(place,))

    only(
        rules.daemon_json_invalid(daemon(f'{{"{key}": {value}}}'), flags, None), "client/daemon-json-invalid"
    )
    nothing(rules.daemon_json_invalid(daemon('{"mtu": 1400}'), flags, None))


@pytest.mark.parametrize(
    ("version", "severity", "certainty"),
    [
        (DockerVersion(text="20.10.24", major=20, minor=10), None, Certainty.PROVEN),
        (None, Severity.WARNING, Certainty.POSSIBLE),
    ],
)
def test_an_empty_file_matters_to_old_versions(
    version: DockerVersion | None, severity: Severity | None, certainty: Certainty
) -> None:
    found = only(rules.daemon_json_too_new(daemon(""), version), "client/daemon-json-invalid")

    assert (found.severity, found.certainty) == (severity, certainty)
    nothing(rules.daemon_json_too_new(daemon(""), DockerVersion(text="23.0.1", major=23, minor=0)))


def test_names_of_flags_are_told_where_docker_says_nothing() -> None:
    found = only(rules.daemon_json_ignored(daemon('{"registry-mirror": []}')), "client/daemon-json-invalid")

    assert (found.severity, "has to be registry-mirrors" in found.detail) == (Severity.WARNING, True)
    only(rules.insecure_key_wrong(daemon('{"insecure-registry": ["a:1"]}')), "client/insecure-entry-wrong")
    nothing(rules.daemon_json_ignored(daemon('{"insecure-registry": ["a:1"]}')))


def addressed(*addresses: str) -> Each[Addresses]:
    return Each({REGISTRY: Addresses(host="reg.test", literal=False, addresses=addresses, seconds=0.0)})


def entry(text: str, *, running: DaemonState | None = None, addresses: str = "10.0.0.9") -> Iterator[Draft]:
    settings = daemon(f'{{"insecure-registries": {text}}}')
    return rules.insecure_entry_wrong(
        target(), settings, running, NOTHING, PLAIN, addressed(addresses), BY_HTTPS
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["reg.test"]', "it has no port"),
        ('["reg.test:5001"]', "it has the port 5001"),
        ('["http://reg.test"]', "it has no port"),
        ('["Reg.Test:5000"]', "it differs in upper and lower case"),
        ('["reg:5000"]', "it has the short name reg for reg.test"),
    ],
)
def test_an_entry_that_was_meant_for_the_registry_says_how_it_differs(text: str, words: str) -> None:
    found = only(entry(text), "client/insecure-entry-wrong")

    assert words in found.detail
    assert "speaks plain HTTP" in found.detail


@pytest.mark.parametrize(
    "text", ['["reg.test:5000"]', '["https://reg.test:5000"]', '["10.0.0.0/8"]', '["other.test:5000"]', "[]"]
)
def test_an_entry_that_matches_or_is_for_another_registry_is_left_alone(text: str) -> None:
    nothing(entry(text))


def test_a_loopback_address_needs_no_entry() -> None:
    nothing(entry('["reg.test"]', addresses="127.0.0.5"))


def test_a_registry_with_trusted_tls_needs_no_entry() -> None:
    settings = daemon('{"insecure-registries": ["reg.test"]}')

    nothing(
        rules.insecure_entry_wrong(
            target(), settings, None, pinged(), NOTHING, addressed("10.0.0.9"), BY_HTTPS
        )
    )


def test_an_entry_that_was_not_loaded_is_told_by_the_running_daemon() -> None:
    found = only(entry('["reg.test:5000"]', running=state()), "client/insecure-entry-wrong")

    assert "was not reloaded since" in found.detail
    nothing(entry('["reg.test:5000"]', running=state(insecure_hosts=("reg.test:5000",))))
    nothing(entry('["reg.test:5000"]', running=state(insecure_networks=("10.0.0.0/8",))))
    nothing(entry('["reg.test:5000"]', running=DaemonState(socket="/s", failure="Permission denied")))


def hides(pings: Each[Ping], listed: str = "reg.test:5000") -> Iterator[Draft]:
    settings = daemon(f'{{"insecure-registries": ["{listed}"]}}')
    return rules.insecure_hides_cause(target(), pings, BY_HTTPS, settings, None, None)


def test_an_insecure_entry_hides_errors_of_https() -> None:
    assert only(hides(pinged(502)), "client/insecure-hides-cause").severity is None
    assert only(hides(pinged(200)), "client/insecure-hides-cause").severity is Severity.INFO
    nothing(hides(pinged(502), "other.test"))
    # What is not trusted may well need the entry.
    nothing(hides(pinged(200, trusted=False)))


@pytest.mark.parametrize(
    ("mirror", "severity"),
    [("https://reg.test:5001", None), ("https://mirror.test", Severity.INFO)],
)
def test_a_mirror_is_for_docker_hub_only(mirror: str, severity: Severity | None) -> None:
    settings = daemon(f'{{"registry-mirrors": ["{mirror}"]}}')

    found = only(rules.mirror_not_applicable(target(), settings), "client/mirror-not-applicable")

    assert found.severity is severity
    nothing(rules.mirror_not_applicable(target("alpine"), settings))


# mirrors


def look(**changes: Any) -> MirrorLook:
    values: dict[str, Any] = {
        "url": "https://m.test/v2/team/app/manifests/1.0",
        "client": "podman",
        "place": "/etc/containers/registries.conf:3:1",
        "image": True,
    }
    return MirrorLook(**{**values, **changes})


DOWN = Failure(kind=FailureKind.CONNECTION_REFUSED, message="nothing listens on m.test:443")


def broken(*looks: MirrorLook, pings: Each[Ping] | None = None) -> Iterator[Draft]:
    return rules.mirror_broken(MirrorLooks(looks=looks), target(), pings or pinged(), None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"failure": DOWN}, "nothing listens on m.test:443"),
        ({"answer": answer(401)}, "It answers 401"),
        ({"answer": answer(503)}, "It answers 503"),
    ],
)
def test_a_mirror_that_helps_nobody_is_told(changes: dict[str, Any], words: str) -> None:
    found = only(broken(look(**changes)), "client/mirror-broken")

    assert words in found.detail
    assert "regdoctor check https://m.test" in found.fix


def test_a_mirror_that_works_is_left_alone() -> None:
    nothing(broken(look(answer=answer(200))))
    # A cache that does not have an image yet is no fault while the origin has it.
    nothing(broken(look(answer=answer(404))))
    # By one of two schemes is enough.
    nothing(broken(look(failure=DOWN), look(answer=answer(200))))


def test_a_mirror_without_the_image_matters_where_the_origin_fails() -> None:
    only(broken(look(answer=answer(404)), pings=pinged(503)), "client/mirror-broken")


# hosts.toml


@pytest.fixture
def hosts(tmp_path: Path) -> Any:
    """Writes ``hosts.toml`` files below a root and reads the root."""

    def read(**folders: str) -> HostsFolder:
        for name, text in folders.items():
            path = tmp_path / name.replace("__", ".").replace("_PORT", ":5000") / "hosts.toml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return hosts_toml.read_roots([tmp_path])

    return read


HOST = '[host."http://reg.test:5000"]\n'
CHECKED = Settings()
LINTED = Settings(lint=FileKind.HOSTS)


def test_the_file_of_the_target_alone_counts(hosts: Any) -> None:
    found = hosts(reg__test_PORT=HOST, other__test="broken")

    nothing(rules.hosts_toml_invalid(found, CHECKED, target()))
    assert len(list(rules.hosts_toml_invalid(found, CHECKED, None))) == 1


def test_a_file_that_is_passed_over_says_what_is_lost(hosts: Any) -> None:
    found = only(
        rules.hosts_toml_invalid(hosts(reg__test_PORT=f"{HOST}capabilities = 'pull'\n"), CHECKED, target()),
        "client/hosts-toml-invalid",
    )

    assert (
        "for reg.test:5000 its mirrors, its authorities and its http:// settings have no effect"
        in found.detail
    )
    assert dict(found.values)["address"] == "reg.test:5000"


def test_files_of_another_host_may_be_missing_here(hosts: Any) -> None:
    folder = hosts(reg__test_PORT=f'{HOST}ca = "/nonexistent.crt"\n')

    here = only(rules.hosts_toml_invalid(folder, CHECKED, target()), "client/hosts-toml-invalid")
    elsewhere = only(rules.hosts_toml_invalid(folder, LINTED, None), "client/hosts-toml-invalid")

    assert (here.severity, here.certainty) == (None, Certainty.PROVEN)
    assert (elsewhere.severity, elsewhere.certainty) == (Severity.WARNING, Certainty.POSSIBLE)


def test_what_stands_below_a_host_table_by_mistake_is_likely(hosts: Any) -> None:
    found = only(
        rules.hosts_toml_invalid(hosts(reg__test_PORT=f'{HOST}server = "https://a"\n'), CHECKED, target()),
        "client/hosts-toml-invalid",
    )

    assert (found.severity, found.certainty) == (None, Certainty.LIKELY)


def test_a_key_that_is_misspelt_is_a_warning_with_its_likely_name(hosts: Any) -> None:
    found = only(
        rules.hosts_toml_invalid(hosts(reg__test_PORT=f"{HOST}skip-verify = true\n"), CHECKED, target()),
        "client/hosts-toml-invalid",
    )

    assert (found.severity, "may stand for skip_verify" in found.detail) == (Severity.WARNING, True)


def test_old_versions_want_a_host_table(hosts: Any) -> None:
    folder = hosts(reg__test_PORT='server = "http://reg.test:5000"\n')

    only(
        rules.hosts_without_hosts(folder, target(), ContainerdVersion(text="1.6.20", major=1, minor=6)),
        "client/hosts-toml-invalid",
    )
    nothing(rules.hosts_without_hosts(folder, target(), ContainerdVersion(text="1.7.1", major=1, minor=7)))
    nothing(rules.hosts_without_hosts(folder, target(), None))


def test_a_folder_of_another_name_matters_where_there_is_no_right_one(hosts: Any) -> None:
    wrong = hosts(reg__test=HOST)
    found = only(rules.hosts_folder_misnamed(wrong, CHECKED, target()), "client/hosts-toml-invalid")

    assert found.fix[0].startswith("mv ")
    nothing(rules.hosts_folder_misnamed(hosts(reg__test_PORT=HOST), CHECKED, target()))


# config.toml


CRI = '[plugins."io.containerd.grpc.v1.cri".registry]\n'
IMAGES = '[plugins."io.containerd.cri.v1.images".registry]\n'
PATH = 'config_path = "/etc/containerd/certs.d"\n'
V1 = ContainerdVersion(text="1.7.1", major=1, minor=7)
V2 = ContainerdVersion(text="2.0.0", major=2, minor=0)
V22 = ContainerdVersion(text="2.2.0", major=2, minor=2)


def containerd(folder: Path, text: str, *, version: str = "version = 2\n") -> Any:
    path = folder / "config.toml"
    path.write_text(version + text)
    return containerd_config.read_containerd_config(path)


@pytest.mark.parametrize(
    ("text", "version", "installed", "found"),
    [
        (CRI + PATH, "version = 2\n", V1, False),
        (CRI + PATH, "version = 2\n", None, False),
        (IMAGES + PATH, "version = 3\n", V2, False),
        # containerd 2 migrates files of version 2.
        (CRI + PATH, "version = 2\n", V2, False),
        (IMAGES + PATH, "version = 2\n", V1, True),
        (IMAGES + PATH, "version = 3\n", V1, True),
        (CRI + PATH, "version = 3\n", V2, True),
        (CRI + PATH, "", V1, True),
        ("", "version = 2\n", V1, False),
    ],
)
def test_a_path_in_a_section_that_is_not_read_is_told(
    tmp_path: Path, text: str, version: str, installed: ContainerdVersion | None, found: bool
) -> None:
    drafts = list(rules.config_path_misplaced(containerd(tmp_path, text, version=version), installed))

    assert [draft.code for draft in drafts] == ["client/config-path-unset"] * found


def test_a_path_that_is_not_set_matters_where_a_file_is_there(tmp_path: Path, hosts: Any) -> None:
    settings = containerd(tmp_path, "")
    folder = hosts(reg__test_PORT=HOST)

    only(rules.config_path_unset(settings, folder, V1, target()), "client/config-path-unset")
    nothing(rules.config_path_unset(settings, folder, V1, target("other.test/app:1")))
    # Its default since then.
    nothing(rules.config_path_unset(settings, folder, V22, target()))
    nothing(rules.config_path_unset(containerd(tmp_path, CRI + PATH), folder, V1, target()))


def test_old_tables_conflict_with_the_path_alone(tmp_path: Path) -> None:
    old = '[plugins."io.containerd.grpc.v1.cri".registry.mirrors."a.test"]\nendpoint = ["http://a.test"]\n'

    found = only(rules.mirrors_conflict(containerd(tmp_path, CRI + PATH + old)), "client/mirrors-conflict")

    assert "mirrors for a.test" in found.detail
    nothing(rules.mirrors_conflict(containerd(tmp_path, old)))
    nothing(rules.mirrors_conflict(containerd(tmp_path, CRI + PATH)))


def test_without_kubernetes_nothing_is_missed(tmp_path: Path, hosts: Any) -> None:
    # As docker's own packages of containerd are configured; nerdctl and ctr need no config_path.
    settings = containerd(tmp_path, 'disabled_plugins = ["cri"]\n' + IMAGES + PATH)

    nothing(rules.config_path_misplaced(settings, V1))
    nothing(rules.config_path_unset(settings, hosts(reg__test_PORT=HOST), V1, target()))
    nothing(rules.mirrors_conflict(settings))


def test_a_configuration_that_cannot_be_parsed_sets_nothing(tmp_path: Path) -> None:
    only(rules.containerd_config_invalid(containerd(tmp_path, "[plugins\n")), "client/config-path-unset")
    nothing(rules.containerd_config_invalid(containerd_config.read_containerd_config(tmp_path / "none")))


# registries.conf and policy.json


def conf(folder: Path, text: str) -> Any:
    path = folder / "registries.conf"
    path.write_text(text)
    return registries_conf.read_registries_conf(path)


def test_the_table_of_the_longest_prefix_decides_about_blocking(tmp_path: Path) -> None:
    blocked = conf(tmp_path, '[[registry]]\nlocation = "reg.test:5000"\nblocked = true\n')

    found = only(rules.registry_blocked(blocked, target()), "client/registry-blocked")
    assert "reg.test:5000 is blocked in" in found.detail
    nothing(rules.registry_blocked(blocked, target("other.test/app:1")))

    narrower = "".join(
        f'[[registry]]\nlocation = "reg.test:5000{path}"\nblocked = {blocks}\n'
        for path, blocks in (("", "true"), ("/team", "false"))
    )
    nothing(rules.registry_blocked(conf(tmp_path, narrower), target()))


def test_the_first_flaw_of_registries_conf_is_quoted(tmp_path: Path) -> None:
    found = only(
        rules.registries_conf_invalid(conf(tmp_path, '[[registry]]\nlocation = "http://a"\n')),
        "client/registries-conf-invalid",
    )

    assert "loading registries configuration" in found.detail
    nothing(rules.registries_conf_invalid(conf(tmp_path, "")))


def policy(text: str) -> Any:
    return signature_policy.parse_policy(text, Path("/etc/containers/policy.json"))


STORES = SignatureStores(files=("/etc/containers/registries.d/default.yaml",))


@pytest.mark.parametrize(
    ("requirement", "stores", "severity", "certainty"),
    [
        ('{"type": "reject"}', None, None, Certainty.PROVEN),
        ('{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}', STORES, None, Certainty.LIKELY),
        (
            '{"type": "sigstoreSigned", "keyPath": "/k"}',
            SignatureStores(files=(), attachments=True),
            Severity.INFO,
            Certainty.POSSIBLE,
        ),
    ],
)
def test_what_a_policy_demands_is_told(
    requirement: str, stores: SignatureStores | None, severity: Severity | None, certainty: Certainty
) -> None:
    found = only(
        rules.policy_rejects(policy(f'{{"default": [{requirement}]}}'), target(), stores),
        "client/policy-rejects",
    )

    assert (found.severity, found.certainty) == (severity, certainty)


def test_a_policy_that_accepts_is_left_alone() -> None:
    accepting = policy('{"default": [{"type": "insecureAcceptAnything"}]}')

    nothing(rules.policy_rejects(accepting, target(), STORES))
    nothing(rules.policy_invalid(accepting))


def test_no_policy_at_all_stops_every_pull(tmp_path: Path) -> None:
    missing = signature_policy.read_policy(tmp_path / "policy.json")

    only(rules.policy_invalid(missing), "client/policy-invalid")
    nothing(rules.policy_rejects(missing, target(), None))


# config.json and buildkit


def test_a_config_json_that_is_malformed_as_a_whole_is_told() -> None:
    def found(**changes: Any) -> Iterator[Draft]:
        problem = CredentialProblem(
            place="/home/me/.docker/config.json:1", message="auths is not an object", **changes
        )
        return rules.docker_config_invalid(Credentials(key="reg.test:5000", problems=(problem,)))

    only(found(malformed=True), "client/docker-config-invalid")
    nothing(found())
    nothing(found(key="reg.test:5000"))


def test_a_config_json_by_itself_is_judged_the_same(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"auths": {"reg.test": "YWxpY2U6cHc="}}')

    settings, _secrets = credential_settings.read_credential_settings(path)

    found = only(rules.docker_config_file_invalid(settings), "client/docker-config-invalid")
    assert "YWxpY2U6cHc=" not in found.detail


def box(driver: str = "docker-container", **changes: Any) -> Builder:
    return Builder(name="box", driver=driver, path="/home/me/.docker/buildx/instances/box", **changes)


def separate(builder: Builder, handshakes: Each[Handshakes] = PLAIN) -> Iterator[Draft]:
    return rules.builder_separate(builder, target(), BY_HTTPS, pinged(), handshakes)


def test_a_builder_of_its_own_matters_where_the_registry_needs_settings() -> None:
    only(separate(box()), "client/buildkit-separate")
    nothing(separate(box("docker")))
    nothing(separate(box(), NOTHING))


def test_a_buildkitd_toml_says_what_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "buildkitd.toml"
    path.write_text('[registry."reg.test:5000"]\nplain = true\n')

    found = only(
        rules.buildkitd_toml_invalid(buildkit.read_buildkitd_toml(path), CHECKED), "client/buildkit-separate"
    )

    assert (found.severity, found.certainty) == (Severity.WARNING, Certainty.LIKELY)


def test_endpoints_are_those_of_the_registry() -> None:
    # The rules take the registry's own endpoint; without one nothing can be compared.
    nothing(rules.builder_separate(box(), target(), Each[Endpoint]({}), NOTHING, NOTHING))
    nothing(rules.insecure_hides_cause(target(), NOTHING, Each[Endpoint]({}), None, None, None))
