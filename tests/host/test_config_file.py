"""A registry's config.yml is read as the registry reads it: the same texts refused, the same values taken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from regdoctor.facts.config import ConfigFile, ConfigProblemKind
from regdoctor.host.config_file import LARGEST, parse_config, read_config
from tests.support import programs

GOOD = b"""\
version: 0.1
storage:
  inmemory:
http:
  addr: 127.0.0.1:0
"""


def config(text: str | bytes) -> ConfigFile:
    return parse_config(text.encode() if isinstance(text, str) else text, "config.yml")


def problem_of(text: str | bytes) -> tuple[int | None, int | None, str]:
    problem = config(text).problem
    assert problem is not None, "no problem was found"
    assert problem.kind is ConfigProblemKind.SYNTAX
    return problem.line, problem.column, problem.message


@dataclass(frozen=True)
class Text:
    """A text that may or may not be YAML for the registry."""

    name: str
    text: bytes

    def __str__(self) -> str:
        return self.name


TEXTS = [
    Text("good", GOOD),
    Text("empty", b""),
    Text("comments only", b"# nothing\n\n# here\n"),
    Text("tab indents", b"version: 0.1\nstorage:\n\tinmemory:\n"),
    Text("tab behind blanks", b"version: 0.1\nstorage:\n  \tinmemory:\n"),
    Text("tab behind the colon", GOOD.replace(b"addr: ", b"addr:\t")),
    Text("tab before a comment", GOOD.replace(b":0\n", b":0\t# any port\n")),
    Text("tab on an empty line", GOOD.replace(b"http:", b"\t\nhttp:")),
    Text("tab inside of braces", GOOD.replace(b"  inmemory:", b"  {\tinmemory:\t}")),
    Text("tab in a literal block", GOOD + b"  secret: |\n\tabc\n"),
    Text("tab in a plain text over lines", GOOD + b"  secret: abc\n\tdef\n"),
    Text("tab inside of a plain text", GOOD + b"  secret: abc\tdef\n"),
    Text("indentation too deep", b"version: 0.1\nstorage:\n  inmemory:\n   http:\n  addr: x\n"),
    Text("indentation too shallow", b"version: 0.1\nstorage:\n    inmemory:\n  delete:\n"),
    Text("root indented in the middle", b"version: 0.1\n storage:\n  inmemory:\n"),
    Text("two values on a line", GOOD.replace(b"127.0.0.1:0", b"host: 5000")),
    Text("no blank behind the colon", GOOD.replace(b"addr: ", b"addr:")),
    Text("no colon", GOOD.replace(b"addr: 127.0.0.1:0", b"addr\n  secret: x")),
    Text("no colon at the end", GOOD + b"log\n"),
    Text("equals sign", GOOD.replace(b"addr: ", b"addr=")),
    Text("quote not closed", GOOD.replace(b"127.0.0.1:0", b'"127.0.0.1:0')),
    Text("single quote not closed", GOOD.replace(b"127.0.0.1:0", b"'127.0.0.1:0")),
    Text("text behind a quote", GOOD.replace(b"127.0.0.1:0", b'"127.0.0.1":0')),
    Text("unknown escape", GOOD + b'  secret: "\\d"\n'),
    Text("escaped slash", GOOD + b'  secret: "\\/"\n'),
    Text("escaped apostrophe", GOOD + b'  secret: "\\\'"\n'),
    Text("surrogate", GOOD + b'  secret: "\\ud800"\n'),
    Text("at sign", GOOD + b"  secret: @abc\n"),
    Text("backquote", GOOD + b"  secret: `abc`\n"),
    Text("percent sign", GOOD + b"  secret: %abc\n"),
    Text("percent sign in the first column", GOOD + b"%secret: abc\n"),
    Text("star", GOOD + b"  secret: *abc\n"),
    Text("ampersand", GOOD + b"  secret: &abc\n"),
    Text("exclamation mark", GOOD + b"  secret: !abc def\n"),
    Text("curly brackets not closed", GOOD + b"log: {level: info\n"),
    Text("square brackets not closed", GOOD + b"  headers: {X-A: [b}\n"),
    Text("bracket too many", GOOD + b"log: {level: info}}\n"),
    Text("no blank behind a colon in braces", GOOD + b"log: {level:info}\n"),
    Text("comma missing", GOOD + b"log: {level: info formatter: text}\n"),
    Text("block list in a flow list", GOOD + b"log: {fields: [- a]}\n"),
    Text("list and map mixed", b"version: 0.1\n- storage\n"),
    Text("list item after a map", GOOD + b"  headers:\n    X-A: [b]\n    - c\n"),
    Text("question mark", GOOD + b"? log\n: level: info\n"),
    Text("template", GOOD.replace(b"127.0.0.1:0", b"{{ addr }}")),
    Text("percent template", GOOD + b"{% if x %}\nlog:\n{% endif %}\n"),
    Text("merge conflict", b"<<<<<<< HEAD\n" + GOOD + b"=======\n"),
    Text("unified diff", b"--- a/config.yml\n+++ b/config.yml\n"),
    Text("heredoc left over", GOOD + b"EOF\n"),
    Text("JSON", b'{"version": "0.1", "storage": {"inmemory": null}, "http": {"addr": ":0"}}'),
    Text("JSON with a comma too many", b'{"version": "0.1", "storage": {"inmemory": null},}'),
    Text("Windows line ends", GOOD.replace(b"\n", b"\r\n")),
    Text("old Macintosh line ends", GOOD.replace(b"\n", b"\r")),
    Text("UTF-8 mark", b"\xef\xbb\xbf" + GOOD),
    Text("UTF-8 mark in the middle", GOOD + b"\xef\xbb\xbflog:\n  level: info\n"),
    Text("UTF-16", GOOD.decode().encode("utf-16")),
    Text("UTF-16 without mark", GOOD.decode().encode("utf-16-le")),
    Text("Latin-1", GOOD + b"# Schl\xfcssel\n"),
    Text("UTF-8 comment", GOOD + "# Schlüssel\n".encode()),
    Text("cut UTF-8", GOOD + b"# \xc3"),
    Text("control character", GOOD + b"# \x07\n"),
    Text("NUL", GOOD + b"\0\0\0"),
    Text("no-break space indents", GOOD + "log:\n\xa0\xa0level: info\n".encode()),
    Text("directive", b"%YAML 1.1\n---\n" + GOOD),
    Text("directive of YAML 1.2", b"%YAML 1.2\n---\n" + GOOD),
    Text("unknown directive", b"%FOO bar\n---\n" + GOOD),
    Text("document marks", b"---\n" + GOOD + b"...\n"),
    Text("a second document", GOOD + b"---\nnot: [closed\n"),
    Text("text behind the end", GOOD + b"...\nmore: x\n"),
    Text("anchor and alias", GOOD + b"x: &a {b: c}\nlog:\n  fields: *a\n"),
    Text("unknown alias", GOOD + b"log: *nothing\n"),
    Text("anchor given twice", GOOD + b"x: &a b\ny: &a c\n"),
    Text("alias inside of its anchor", GOOD + b"log: &a\n  fields: *a\n"),
    Text("alias inside of its anchor below an unknown key", GOOD + b"x: &a\n  fields: *a\n"),
    Text("merge", GOOD + b"x: &a {level: info}\nlog:\n  <<: *a\n"),
    Text("merge of no map", GOOD + b"log:\n  <<: info\n"),
    Text("merge of no map below an unknown key", GOOD + b"x:\n  <<: info\n"),
    Text("undefined tag", GOOD + b"x: !a!b c\n"),
    Text("key of more than 1024 characters", GOOD + b"k" * 1030 + b": v\n"),
    Text("key over two lines", GOOD + b'"a\n b": c\n'),
    Text("literal block with a wrong indicator", GOOD + b"  secret: |0\n    abc\n"),
    Text("literal block with indentation given", GOOD + b"  secret: |2\n     abc\n"),
    Text("literal block that ends early", GOOD + b"  secret: |\n    abc\n   def\n"),
]


class TestTheSameTextsAsTheRegistry:
    @pytest.mark.needs("docker-registry")
    @pytest.mark.parametrize("case", TEXTS, ids=str)
    def test_are_refused_at_the_same_line_in_the_same_words(self, case: Text, tmp_path: Path) -> None:
        path = tmp_path / "config.yml"
        path.write_bytes(case.text)
        refusal = refusal_of_registry(path)
        problem = read_config(path).problem
        if refusal is None:
            assert problem is None
            return
        assert problem is not None, f"the registry says: {refusal}"
        assert problem.kind is ConfigProblemKind.SYNTAX
        match = re.fullmatch(r"(?:line (\d+): )?(.*)", refusal)
        assert match is not None
        line, words = match.groups()
        if "UTF" not in words and "control characters" not in words:
            assert problem.message == words
        if line is not None:
            # For errors of its parser yaml.v2 prints a line counted from 0, for those of its scanner from 1.
            assert problem.line in (int(line), int(line) + 1)
        assert problem.line is not None
        assert 1 <= problem.line <= len(re.split(rb"\r\n|[\r\n]", case.text))

    def test_are_enough_to_tell(self) -> None:
        refused = [case for case in TEXTS if config(case.text).problem is not None]
        assert len(refused) >= 30
        assert len(TEXTS) - len(refused) >= 20


def refusal_of_registry(path: Path) -> str | None:
    """What the registry's YAML parser says about a file; None where it takes it, whatever else is wrong.

    Collecting garbage in the storage in memory reads the configuration and ends by itself.
    """
    result = subprocess.run(
        [programs.path("docker-registry"), "garbage-collect", "--dry-run", path],
        capture_output=True,
        text=True,
        errors="replace",
        env={"PATH": programs.search_path(), "OTEL_TRACES_EXPORTER": "none"},
        timeout=30,
        check=False,
    )
    match = re.search(
        r"^configuration error: error parsing \S+: yaml: (?!unmarshal errors)(.*)", result.stderr, re.M
    )
    return None if match is None else match[1]


class TestPlaces:
    def test_a_tab_is_named_with_line_and_column_and_made_visible(self) -> None:
        file = config("version: 0.1\nstorage:\n\tinmemory:\n")
        assert file.problem is not None
        assert (file.problem.line, file.problem.column) == (3, 1)
        assert file.problem.message == "found character that cannot start any token"
        assert file.problem.excerpt == "→inmemory:"

    def test_where_a_construct_began_is_told_too(self) -> None:
        file = config('version: 0.1\nhttp:\n  addr: "x\nstorage:\n')
        assert file.problem is not None
        assert file.problem.began == 3
        assert file.problem.message == "found unexpected end of stream"

    @pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
    def test_every_kind_of_line_end_counts(self, ends: str) -> None:
        assert problem_of(ends.join(["version: 0.1", "# x", "", "\tstorage:", ""]))[0] == 4

    def test_bytes_that_are_no_utf8_are_placed(self) -> None:
        assert problem_of(b"version: 0.1\n# Schl\xfcssel\n") == (2, 7, "invalid UTF-8: byte 0xfc")

    def test_every_key_has_its_line(self) -> None:
        file = config(GOOD)
        addr = file.get("http", "addr")
        assert addr is not None
        assert (addr.line, addr.column, addr.value, addr.kind) == (5, 9, "127.0.0.1:0", "string")
        http = file.get("http")
        assert http is not None
        assert (http.line, http.column, http.kind) == (4, 1, "map")
        assert file.place(addr.line) == "config.yml:5"

    def test_items_of_lists_are_counted(self) -> None:
        file = config("http:\n  headers:\n    X-A:\n    - b\n    - c\n")
        assert [entry.value for entry in file.below("http", "headers", "X-A")] == ["b", "c"]
        assert file.text("http", "headers", "X-A", "1") == "c"


class TestValues:
    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("yes", "boolean"),
            ("Off", "boolean"),
            ("y", "boolean"),
            ("true", "boolean"),
            ('"true"', "string"),
            ("tRue", "string"),
            ("0.1", "float"),
            (".5", "float"),
            ("1e3", "float"),
            (".inf", "float"),
            ("5", "integer"),
            ("-5", "integer"),
            ("1_000", "integer"),
            ("0x1F", "integer"),
            ("0o17", "integer"),
            ("017", "integer"),
            ("0b11", "integer"),
            ("08", "float"),
            ("18446744073709551615", "integer"),
            ("18446744073709551616", "float"),
            ("1:30", "string"),
            ("2001-12-14", "string"),
            ("10s", "string"),
            ("~", "null"),
            ("", "null"),
            ("null", "null"),
            ("nUll", "string"),
            ("!!str 5", "string"),
            ("!!int 5", "integer"),
            ("!other 5", "string"),
            ("! 5", "integer"),
        ],
    )
    def test_are_told_apart_as_the_registry_does(self, text: str, kind: str) -> None:
        entry = config(f"x: {text}\n").get("x")
        assert entry is not None
        assert entry.kind == kind

    def test_are_as_written(self) -> None:
        file = config("version: 0.10\nhttp:\n  host: 'it''s'\n  addr: >-\n    a\n    b\n")
        assert file.text("version") == "0.10"
        assert file.text("http", "host") == "it's"
        assert file.text("http", "addr") == "a b"

    def test_null_has_no_text(self) -> None:
        file = config("storage:\n  inmemory:\n")
        assert file.get("storage", "inmemory") is not None
        assert file.text("storage", "inmemory") is None

    def test_only_the_first_document_counts(self) -> None:
        assert config("version: 0.1\n---\nversion: 0.2\n").text("version") == "0.1"


class TestRepeatedKeys:
    def test_the_last_value_counts_and_all_lines_are_kept(self) -> None:
        file = config("http:\n  addr: a\n  net: tcp\n  addr: b\n")
        assert file.text("http", "addr") == "b"
        (repeated,) = file.repeated
        assert (repeated.name, repeated.lines) == ("http.addr", (2, 4))

    def test_two_sections_of_one_name_are_mixed(self) -> None:
        file = config("http:\n  addr: a\n  net: tcp\nhttp:\n  addr: b\n")
        assert file.text("http", "addr") == "b"
        assert file.text("http", "net") == "tcp"
        (repeated,) = file.repeated
        assert repeated.mixed

    def test_but_of_two_storage_sections_the_first_is_lost(self) -> None:
        file = config("storage:\n  filesystem:\n    rootdirectory: /a\nstorage:\n  inmemory:\n")
        assert file.get("storage", "filesystem") is None
        assert file.get("storage", "inmemory") is not None
        (repeated,) = file.repeated
        assert not repeated.mixed

    def test_an_empty_section_after_a_full_one_empties_it(self) -> None:
        assert config("http:\n  addr: a\nhttp:\n").below("http") == ()

    def test_the_same_name_in_different_maps_is_no_repetition(self) -> None:
        assert config("a:\n  x: 1\nb:\n  x: 2\n").repeated == ()

    def test_a_key_beside_a_merge_is_no_repetition(self) -> None:
        file = config("a: &a {x: 1, y: 2}\nlog:\n  <<: *a\n  x: 3\n")
        assert file.repeated == ()
        assert file.text("log", "x") == "3"
        assert file.text("log", "y") == "2"

    @pytest.mark.needs("docker-registry")
    def test_the_real_registry_takes_the_same(self, tmp_path: Path) -> None:
        text = "version: 0.1\nversion: 0.2\nstorage:\n  inmemory:\n"
        path = tmp_path / "config.yml"
        path.write_text(text)
        result = subprocess.run(
            [programs.path("docker-registry"), "garbage-collect", "--dry-run", path],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert 'unsupported version: "0.2"' in result.stderr
        assert config(text).text("version") == "0.2"


class TestSecrets:
    SECRETS = """\
version: 0.1
storage:
  s3: {accesskey: AKIAHUNTER2, secretkey: hunter2, bucket: images}
  azure: {accountname: me, accountkey: hunter2==}
http:
  secret: hunter2
redis: {password: "hunter2", addr: "localhost:6379"}
proxy: {remoteurl: "https://me:hunter2@up.test", username: me, password: hunter2}
notifications:
  endpoints:
    - name: a
      headers: {Authorization: [Bearer hunter2hunter2]}
reporting: {bugsnag: {apikey: hunter2}, newrelic: {licensekey: hunter2}}
"""

    def test_are_blanked_by_the_name_of_their_key(self) -> None:
        file = config(self.SECRETS)
        assert file.problem is None
        assert "hunter2" not in repr(file).lower()
        assert file.text("storage", "s3", "bucket") == "images"
        secret = file.get("http", "secret")
        assert secret is not None
        assert secret.secret
        assert secret.kind == "string"

    def test_the_section_auth_is_none(self) -> None:
        assert config("auth: none\n").text("auth") == "none"

    @pytest.mark.parametrize(
        "line",
        [
            "\tsecret: hunter2",
            "  secret: hunter2: x",
            "  secret hunter2",
            "\thunter2",
            "  x: {secret: hunter2",
            "  x: [hunter2",
            "  x: 'password: hunter2",
            "  secret: [hunter2",
            "  secret: |hunter2",
            "  remoteurl: https://me:hunter2@up.test: x",
        ],
    )
    def test_do_not_show_in_the_line_that_is_quoted(self, line: str) -> None:
        file = config(f"version: 0.1\nhttp:\n  addr: x\n{line}\nmore: x\n")
        assert file.problem is not None
        assert "hunter2" not in repr(file)


class TestFiles:
    def test_that_are_missing_are_said_to_be(self, tmp_path: Path) -> None:
        assert kind_of_problem(tmp_path / "nothing.yml") is ConfigProblemKind.MISSING

    def test_that_are_folders_are_none(self, tmp_path: Path) -> None:
        """What docker makes of a bind mount whose source does not exist."""
        assert kind_of_problem(tmp_path) is ConfigProblemKind.NOT_A_FILE

    def test_that_are_pipes_are_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert kind_of_problem(tmp_path / "pipe") is ConfigProblemKind.NOT_A_FILE

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
    def test_that_this_user_may_not_read_are_said_to_be(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yml"
        path.write_bytes(GOOD)
        path.chmod(0o600)
        for parent in (tmp_path, *tmp_path.parents):
            if parent.stat().st_mode & 0o011 == 0:
                parent.chmod(parent.stat().st_mode | 0o011)
        script = (
            "import os, sys; from pathlib import Path; from regdoctor.host.config_file import read_config; "
            "os.setuid(65534); print(read_config(Path(sys.argv[1])).problem.kind)"
        )
        result = subprocess.run(
            [sys.executable, "-c", script, path], capture_output=True, text=True, timeout=30, check=False
        )
        assert result.stdout.strip() == "forbidden", result.stderr

    def test_that_are_huge_are_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yml"
        path.write_bytes(b"#" * (LARGEST + 1))
        assert kind_of_problem(path) is ConfigProblemKind.TOO_LARGE

    def test_names_with_odd_characters_are_no_trouble(self) -> None:
        assert kind_of_problem(Path("/nothing/\0")) is ConfigProblemKind.READ_ERROR


def kind_of_problem(path: Path) -> ConfigProblemKind:
    problem = read_config(path).problem
    assert problem is not None
    return problem.kind


class TestBounds:
    """Every text is read or given up in a short time."""

    @pytest.mark.parametrize(
        "make",
        [
            lambda: b"a: " + b"[" * 100_000,
            lambda: b"".join(b" " * depth + b"a:\n" for depth in range(2000)),
            lambda: b"\n".join(b"k%d: v" % number for number in range(100_000)),
            lambda: (
                b"a0: &a0 x\n"
                + b"".join(
                    b"a%d: &a%d {b: *a%d}\n" % (number, number, number - 1) for number in range(1, 5000)
                )
            ),
            lambda: b"a: " + b"x" * 1_000_000,
        ],
        ids=["deep flow", "deep block", "many keys", "deep by aliases", "one long text"],
    )
    @pytest.mark.timeout(60)
    def test_large_texts_are_read_or_given_up(self, make: Callable[[], bytes]) -> None:
        problem = config(make()).problem
        assert problem is None or problem.kind is ConfigProblemKind.TOO_LARGE

    MULTIPLYING = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]\n" for number in range(1, 9)
    )

    def test_aliases_that_multiply_are_refused_where_the_registry_follows_them(self) -> None:
        assert problem_of(f"{self.MULTIPLYING}log: {{fields: {{a: *a8}}}}\n")[2] == (
            "document contains excessive aliasing"
        )

    def test_and_given_up_where_it_does_not(self) -> None:
        problem = config(self.MULTIPLYING).problem
        assert problem is not None
        assert problem.kind is ConfigProblemKind.TOO_LARGE

    @pytest.mark.needs("docker-registry")
    def test_as_the_real_registry_does(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yml"
        path.write_text(f"{self.MULTIPLYING}{GOOD.decode()}log: {{fields: {{a: *a8}}}}\n")
        assert refusal_of_registry(path) == "document contains excessive aliasing"
        path.write_text(self.MULTIPLYING + GOOD.decode())
        assert refusal_of_registry(path) is None
