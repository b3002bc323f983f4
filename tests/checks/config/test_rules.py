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
    Draft,
    Each,
    Endpoint,
    Ping,
    Producer,
    ProducerKind,
    Role,
    Severity,
)
from regdoctor.checks.config import rules
from regdoctor.host.config_file import parse_config

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
        assert draft.evidence == ("/etc/docker/registry/config.yml:3",)
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
