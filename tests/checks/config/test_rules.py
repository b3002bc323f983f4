"""What keeps a registry from starting with its configuration: facts in, findings out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from regdoctor.api import (
    Answer,
    Certainty,
    ConfigFile,
    ConfigProblem,
    ConfigProblemKind,
    ConfiguredFile,
    ConfiguredFiles,
    Draft,
    Each,
    Endpoint,
    FileKind,
    FileState,
    Ping,
    Producer,
    ProducerKind,
    Role,
    Settings,
    Severity,
    Target,
)
from regdoctor.checks.config import rules
from regdoctor.host.config_file import parse_config
from tests.checks.config.judging import drafts_of, effective

GOOD = "version: 0.1\nstorage:\n  inmemory:\nhttp:\n  addr: :5000\n"
REGISTRY = Endpoint(role=Role.REGISTRY, scheme="http", host="reg.test", port=5000)


def config(text: str) -> ConfigFile:
    return parse_config(text.encode(), "/etc/docker/registry/config.yml")


def unread(kind: ConfigProblemKind, message: str = "") -> ConfigFile:
    return ConfigFile(path="config.yml", problem=ConfigProblem(kind=kind, message=message))


def answered_by(kind: ProducerKind) -> Each[Ping]:
    answer = Answer(
        exchange="x1",
        url="http://reg.test:5000/v2/",
        method="GET",
        status=200,
        headers=(),
        body_excerpt="{}",
        body_size=2,
        body_complete=True,
        sent_at=datetime(2026, 11, 23, tzinfo=UTC),
        seconds=0.1,
        producer=Producer(kind=kind),
    )
    return Each({REGISTRY: Ping(answer=answer, trusted=True)})


def judge(file: ConfigFile, pings: Each[Ping] | None = None) -> list[Draft]:
    return [
        *rules.unreadable(file),
        *rules.syntax(file, pings or Each({})),
        *rules.version(file),
        *rules.duplicate_key(file),
    ]


def single(drafts: list[Draft], code: str) -> Draft:
    assert [draft.code for draft in drafts] == [code]
    return drafts[0]


class TestGoodFiles:
    @pytest.mark.parametrize(
        "text",
        [
            GOOD,
            GOOD.replace("0.1", '"0.1"'),
            GOOD.replace("0.1", "'0.1'"),
            GOOD.replace("0.1", "!!str 0.1"),
            f"---\n{GOOD}...\n",
            # Keys of the same name in different maps, and beside a merge, are no repetition.
            f"{GOOD}log: &log {{level: info}}\nx:\n  <<: *log\n  level: debug\nhealth: {{x: {{level: 1}}}}\n",
        ],
    )
    def test_are_no_finding(self, text: str) -> None:
        assert judge(config(text)) == []


class TestUnreadable:
    def test_a_missing_file_stops_the_registry(self) -> None:
        draft = single(
            judge(unread(ConfigProblemKind.MISSING, "no such file or directory")), "config/unreadable"
        )
        assert draft.certainty is Certainty.PROVEN
        assert "config.yml does not exist: no such file or directory" in draft.detail
        assert draft.evidence == ("config.yml",)

    def test_a_folder_is_what_docker_makes_of_a_missing_mount_source(self) -> None:
        draft = single(judge(unread(ConfigProblemKind.NOT_A_FILE, "a folder")), "config/unreadable")
        assert "Docker makes one" in draft.detail

    @pytest.mark.parametrize("kind", [ConfigProblemKind.FORBIDDEN, ConfigProblemKind.TOO_LARGE])
    def test_what_only_this_program_cannot_read_is_no_error_of_the_registry(
        self, kind: ConfigProblemKind
    ) -> None:
        draft = single(judge(unread(kind, "larger than 1024 KiB")), "config/unreadable")
        assert (draft.severity, draft.certainty) == (Severity.WARNING, Certainty.POSSIBLE)


class TestSyntax:
    def test_line_and_column_are_named_with_the_registrys_words(self) -> None:
        draft = single(judge(config("version: 0.1\nstorage:\n\tinmemory:\n")), "config/syntax")
        assert "line 3, column 1: found character that cannot start any token" in draft.detail
        assert "A tab indents the line" in draft.detail
        assert draft.evidence == ("/etc/docker/registry/config.yml:3:1",)
        assert draft.reproduce is not None
        assert '"$(realpath /etc/docker/registry/config.yml)"' in draft.reproduce

    def test_nothing_else_is_said_of_a_file_that_does_not_parse(self) -> None:
        single(judge(config("storage: [\n")), "config/syntax")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("http:\n  addr: host: 5000\n", "needs quotes"),
            ("http:\n  addr: *\n", "begins with & or *"),
            ("http:\n  addr: *x\n", "begins with *"),
            ('http:\n  addr: "x\n', "A quote is never closed"),
            ("http:\n    addr: x\n  net: tcp\n", "fits no line above"),
            ("http: {addr: x\n", "bracket is never closed"),
            ("version: 0.1\nlog\n", "without its colon"),
        ],
    )
    def test_what_the_words_usually_come_from_is_said(self, text: str, words: str) -> None:
        assert words in single(judge(config(text)), "config/syntax").detail

    def test_where_it_began_is_said(self) -> None:
        draft = single(judge(config('http:\n  addr: "x\nlog:\n  level: info\n')), "config/syntax")
        assert "began on line 2" in draft.detail

    def test_a_registry_that_answers_was_started_with_something_else(self) -> None:
        broken = config("\tx: y\n")
        draft = single(judge(broken, answered_by(ProducerKind.REGISTRY)), "config/syntax")
        assert "reg.test:5000 answers nevertheless" in draft.detail

    def test_the_answer_of_a_proxy_says_nothing_of_the_registry(self) -> None:
        broken = config("\tx: y\n")
        draft = single(judge(broken, answered_by(ProducerKind.REVERSE_PROXY)), "config/syntax")
        assert "nevertheless" not in draft.detail

    def test_the_quoted_line_shows_no_secret(self) -> None:
        draft = single(judge(config("http:\n\tsecret: hunter2\n")), "config/syntax")
        assert "hunter2" not in draft.detail
        assert "→secret: …" in draft.detail


class TestVersion:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "is empty"),
            ("# nothing\n", "is empty"),
            ("storage: inmemory\n", "has no key version"),
            ("version: 0.2\n", "says version: 0.2"),
            ("version: 0.10\n", "says version: 0.10"),
            ("version: v0.1\n", "says version: v0.1"),
            ("version: 1\n", "says version: 1"),
            ("version:\n", "has no value"),
            ("version: [0.1]\n", "has no value"),
            ("- version: 0.1\n", "no keys at its top level but a list"),
            ("version 0.1\n", "no keys at its top level but a string"),
            ("Version: 0.1\n", "has no key version"),
            ("http:\n  version: 0.1\n", "has no key version"),
        ],
    )
    def test_anything_but_0_1_keeps_the_registry_from_starting(self, text: str, words: str) -> None:
        assert words in single(judge(config(text)), "config/version").detail

    def test_the_line_is_the_evidence(self) -> None:
        draft = single(judge(config("# x\nversion: 0.2\n")), "config/version")
        assert draft.evidence == ("/etc/docker/registry/config.yml:2",)

    def test_of_two_versions_the_last_counts(self) -> None:
        codes = [draft.code for draft in judge(config("version: 0.1\nversion: 0.2\n"))]
        assert codes == ["config/version", "config/duplicate-key"]


class TestDuplicateKeys:
    def test_both_lines_are_named(self) -> None:
        draft = single(judge(config(f"{GOOD}  addr: :6000\n")), "config/duplicate-key")
        assert "http.addr stands twice" in draft.detail
        assert "lines 5 and 6" in draft.detail
        assert "takes the value of line 6" in draft.detail
        assert draft.evidence == (
            "/etc/docker/registry/config.yml:5",
            "/etc/docker/registry/config.yml:6",
        )

    def test_two_sections_are_mixed(self) -> None:
        draft = single(judge(config(f"{GOOD}http:\n  net: tcp\n")), "config/duplicate-key")
        assert "mixes them" in draft.detail

    def test_but_of_two_storage_sections_the_first_is_lost(self) -> None:
        draft = single(
            judge(config(f"{GOOD}storage:\n  filesystem: {{rootdirectory: /x}}\n")), "config/duplicate-key"
        )
        assert "takes the one of line 6 alone" in draft.detail

    def test_three_times_is_one_finding(self) -> None:
        draft = single(judge(config(f"{GOOD}  addr: a\n  addr: b\n")), "config/duplicate-key")
        assert "stands 3 times" in draft.detail


def loud(drafts: list[Draft]) -> list[Draft]:
    return [
        draft
        for draft in drafts
        if draft.severity in (None, Severity.ERROR, Severity.WARNING)
        and draft.code != "config/delete-disabled"
    ]


def found(text: str, settings: Settings | None = None, environment: str | None = None) -> list[str]:
    return [draft.code for draft in loud(drafts_of(text, settings, environment=environment))]


V2 = Settings(registry_version="2.8")
V3 = Settings(registry_version="3")
"""What is said of version 3 follows its source; it was not started here."""


class TestVersions:
    """A key is judged by the version that is told, or that the file shows; else by all that any version "
    "knows."""

    @pytest.mark.parametrize("key", ["redis: {addr: 'a:1'}", "compatibility: {schema1: {enabled: true}}"])
    def test_what_version_3_dropped(self, key: str) -> None:
        assert found(f"{GOOD}{key}\n") == []
        assert found(f"{GOOD}{key}\n", V2) == []
        assert found(f"{GOOD}{key}\n", V3) == ["config/removed-key"]

    def test_a_renamed_key_is_told_with_its_new_name(self) -> None:
        (draft,) = loud(drafts_of(f"{GOOD}redis: {{addr: 'a:1'}}\n", V3))
        assert "redis.addrs, a list" in draft.detail

    def test_a_file_that_shows_version_3(self) -> None:
        assert found(f"{GOOD}tags: {{maxtags: 5}}\nreporting: {{newrelic: {{}}}}\n") == []
        text = "version: 0.1\nstorage:\n  inmemory:\n  tag: {concurrencylimit: 5}\n"
        assert found(text) == []
        assert found(text, V2) == ["config/storage-drivers"]

    @pytest.mark.parametrize("driver", ["swift", "oss"])
    def test_drivers_that_version_3_dropped(self, driver: str) -> None:
        text = f"version: 0.1\nstorage: {{{driver}: {{container: a}}}}\n"
        assert "config/driver-unsupported" not in found(text, V2)
        assert found(text, V3)[0] == "config/driver-unsupported"

    def test_tls_1_0_is_refused_by_version_3_alone(self) -> None:
        tls = "{certificate: /c, key: /k, minimumtls: tls1.0}"
        text = f"{GOOD}  tls: {tls}\nauth: {{silly: {{realm: a, service: b}}}}\n"
        assert found(text) == []
        assert found(text, V3) == ["config/wrong-type"]

    def test_azure_needs_a_kind_of_credentials_on_version_3(self) -> None:
        text = "version: 0.1\nstorage: {azure: {accountname: a, accountkey: b, container: c}}\nhttp: {secret: a}\n"
        assert found(text, V2) == []
        assert found(text, V3) == ["config/required-missing"]

    @pytest.mark.parametrize(
        ("version", "path", "other"),
        [
            ("3", "/etc/docker/registry/config.yml", "/etc/distribution/config.yml"),
            ("2.8", "/etc/distribution/config.yml", "/etc/docker/registry/config.yml"),
        ],
    )
    def test_the_place_of_the_file(self, version: str, path: str, other: str) -> None:
        settings = Settings(registry_version=version)
        codes = [draft.code for draft in drafts_of(GOOD, settings, path=path)]
        assert "config/default-path-moved" in codes
        codes = [draft.code for draft in drafts_of(GOOD, settings, path=other)]
        assert "config/default-path-moved" not in codes


class TestUnknownEnvironment:
    """Without --env-file a missing setting may still come from a variable."""

    def test_what_is_missing_is_likely(self) -> None:
        text = "version: 0.1\nstorage: {s3: {region: eu-central-1}}\nhttp: {secret: a}\n"
        (draft,) = loud(drafts_of(text))
        assert draft.certainty is Certainty.LIKELY
        assert "REGISTRY_STORAGE_S3_BUCKET" in draft.detail
        (draft,) = loud(drafts_of(text, environment="A=b\n"))
        assert draft.certainty is Certainty.PROVEN

    def test_a_secret_that_is_missing_is_usual(self) -> None:
        text = "version: 0.1\nstorage: {azure: {accountname: a, container: c}}\nhttp: {secret: a}\n"
        (draft,) = loud(drafts_of(text, V2))
        assert (draft.severity, draft.certainty) == (Severity.WARNING, Certainty.POSSIBLE)


class TestExposure:
    OPEN = "version: 0.1\nstorage: {filesystem: }\nhttp: {addr: '%s', secret: a}\n"

    @pytest.mark.parametrize("address", ["127.0.0.1:5000", "[::1]:5000", "localhost:5000", "127.8.0.1:5000"])
    def test_loopback_is_open_to_nobody(self, address: str) -> None:
        assert not {"config/no-auth", "config/no-tls"} & {
            draft.code for draft in drafts_of(self.OPEN % address)
        }

    @pytest.mark.parametrize(
        "address", [":5000", "0.0.0.0:5000", "[::]:5000", "10.0.0.1:5000", "reg.test:5000"]
    )
    def test_other_addresses_are_open(self, address: str) -> None:
        text = self.OPEN % address
        assert found(text) == []
        assert {"config/no-auth", "config/no-tls"} <= {draft.code for draft in drafts_of(text)}
        assert found(text, Settings(profile="host")) == ["config/no-auth"]

    def test_tls_without_a_login_is_meant_for_the_network(self) -> None:
        text = f"{self.OPEN % ':5000'}".replace("secret: a", "secret: a, tls: {certificate: /c, key: /k}")
        assert found(text) == ["config/no-auth"]

    def test_client_certificates_are_a_login(self) -> None:
        tls = "tls: {certificate: /c, key: /k, clientcas: [/ca]}"
        assert found((self.OPEN % ":5000").replace("secret: a", f"secret: a, {tls}")) == []

    def test_the_address_of_the_debug_server(self) -> None:
        text = (self.OPEN % "127.0.0.1:5000").replace("secret: a", "secret: a, debug: {addr: '%s'}")
        assert found(text % "127.0.0.1:5001") == []
        assert found(text % ":5001") == []
        assert found(text % ":5001", Settings(profile="all")) == ["config/debug-exposed"]
        assert found(text % "0.0.0.0:5001") == ["config/debug-exposed"]

    @pytest.mark.parametrize(
        ("line", "mode", "code"),
        [
            ("redis: {password: hunter2}", 0o644, ["config/secret-in-file"]),
            ("redis: {password: hunter2}", 0o640, []),
            ("redis: {addr: 'a:1'}", 0o644, []),
            ("proxy: {remoteurl: 'https://me:hunter2@up.test'}", 0o644, ["config/secret-in-file"]),
        ],
    )
    def test_secrets_that_others_can_read(self, line: str, mode: int, code: list[str]) -> None:
        drafts = loud(drafts_of(f"{GOOD}  secret: hunter3\n{line}\n", mode=mode))
        assert [draft.code for draft in drafts] == code
        assert not any("hunter" in draft.detail for draft in drafts)


class TestFiles:
    TEXT = f"{GOOD}  tls: {{certificate: /c.pem, key: /k.pem}}\nauth: {{silly: {{realm: a, service: b}}}}\n"

    def seen(self, state: FileState) -> ConfiguredFiles:
        file = ConfiguredFile(setting=("http", "tls", "certificate"), path="/c.pem", state=state)
        return ConfiguredFiles(files=(file,))

    def test_a_missing_one_stops_the_registry(self) -> None:
        (draft,) = loud(drafts_of(self.TEXT, files=self.seen(FileState.MISSING)))
        assert draft.code == "config/file-missing"
        assert draft.certainty is Certainty.LIKELY
        assert loud(drafts_of(self.TEXT, files=self.seen(FileState.USABLE))) == []

    def test_of_a_configuration_by_itself_it_may_lie_on_another_host(self) -> None:
        settings = Settings(lint=FileKind.REGISTRY)
        (draft,) = loud(drafts_of(self.TEXT, settings, files=self.seen(FileState.MISSING)))
        assert draft.code == "config/file-missing"
        assert draft.certainty is Certainty.POSSIBLE

    def test_a_registry_that_answers_has_its_files(self) -> None:
        _, _, configuration = effective(self.TEXT)
        files = self.seen(FileState.MISSING)
        answering = answered_by(ProducerKind.REGISTRY)
        assert list(rules.file_missing(configuration, files, answering, Settings())) == []


class TestHostAndTarget:
    def judge(self, host: str, endpoint: Endpoint) -> list[Draft]:
        _, _, configuration = effective(f"{GOOD}  host: {host}\n")
        target = Target(text="reg.test:5000", host="reg.test", ascii_host="reg.test", port=5000)
        return list(rules.host_and_target(configuration, target, Each({endpoint: endpoint})))

    def test_the_same_address(self) -> None:
        assert self.judge("http://reg.test:5000", REGISTRY) == []
        assert self.judge("http://REG.test:5000/", REGISTRY) == []

    @pytest.mark.parametrize("host", ["https://reg.test:5000", "http://reg.test", "http://other.test:5000"])
    def test_another_one(self, host: str) -> None:
        (draft,) = self.judge(host, REGISTRY)
        assert (draft.code, draft.severity) == ("config/http-host", None)
        assert "while reg.test:5000 is reached at http://reg.test:5000" in draft.detail

    def test_who_looks_from_the_registrys_own_host_sees_another(self) -> None:
        local = Endpoint(role=Role.REGISTRY, scheme="http", host="127.0.0.1", port=5000)
        (draft,) = self.judge("https://reg.test", local)
        assert (draft.severity, draft.certainty) == (Severity.WARNING, Certainty.POSSIBLE)
