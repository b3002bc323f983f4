"""Files with credentials are understood as Go's clients understand them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.host.credential_files import (
    MalformedAuth,
    decode_auth,
    parse_config,
    parse_pull_secrets,
    read_authfile,
    read_config,
    read_legacy_config,
)
from regdoctor.secret import Secret


def auth(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.mark.parametrize(
    ("value", "username", "password"),
    [
        (auth("alice:pw"), "alice", "pw"),
        (auth("robot$ci:p:w:"), "robot$ci", "p:w:"),
        (auth("alice:"), "alice", ""),
        (auth("ålice:pässword"), "ålice", "pässword"),
        (auth("alice:pw\0\0"), "alice", "pw"),
        (auth("alice:pw")[:4] + "\n" + auth("alice:pw")[4:] + "\r\n", "alice", "pw"),
    ],
)
def test_auth_is_base64_of_user_and_password(value: str, username: str, password: str) -> None:
    assert decode_auth(value) == (username, Secret(password), None)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("!!!!", "(byte 0)"),
        ("YWxp*2U6cHc=", "(byte 4)"),
        (auth("alice:p").rstrip("="), "(byte 10)"),
        ("YWxpY2U6cHc-", "(byte 11)"),
        (auth("alice"), "no colon"),
        (auth(":pw"), "no user name"),
    ],
)
def test_an_auth_that_clients_cannot_decode_says_where(value: str, words: str) -> None:
    with pytest.raises(MalformedAuth) as caught:
        decode_auth(value)
    assert words in str(caught.value)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("decoded", "words"),
    [
        ("alice:pw\n", "ends with a line end"),
        ("alice:p\nw", "holds a line end"),
        ("alice\n:pw", "user name holds a line end"),
        (b"alice:\xff\xfe", "not UTF-8"),
        ("alice:'pw'", "password stands in quotation marks"),
        ('"alice":pw', "user name stands in quotation marks"),
        ("alice: pw", "begins or ends with a blank"),
        ("alice:$CI_JOB_TOKEN", "name of a variable"),
        ("alice:${{ secrets.TOKEN }}", "name of a variable"),
        ("alice:p\\!w", "backslash before"),
    ],
)
def test_what_is_sent_although_it_is_odd_is_said(decoded: str | bytes, words: str) -> None:
    _, _, odd = decode_auth(auth(decoded))
    assert words in (odd or "")


@pytest.mark.parametrize(
    "decoded",
    ["robot$ci+team:pw", "alice:p$w!", "alice:p'w", "$oauthtoken:pw", "alice:a b", "AWS:$2y$05$x", "a:''"],
)
def test_what_only_looks_odd_is_not_called_so(decoded: str) -> None:
    assert decode_auth(auth(decoded))[2] is None


@given(st.text(max_size=30))
def test_no_auth_crashes(value: str) -> None:
    try:
        decode_auth(value)
    except MalformedAuth as error:
        assert str(error).startswith("the value of auth")  # noqa: PT017


CONFIG = """{
  "auths": {
    "reg.test": {"auth": "YTpi"},
    "https://index.docker.io/v1/": {"identitytoken": "t", "email": "x"}
  },
  "credsStore": "desktop",
  "credHelpers": {"gcr.io": "gcloud", "bad": 5}
}"""


def test_a_config_names_entries_with_their_lines_and_helpers() -> None:
    file = parse_config(CONFIG, "config.json")
    assert [(entry.key, entry.line) for entry in file.entries] == [
        ("reg.test", 3),
        ("https://index.docker.io/v1/", 4),
    ]
    assert file.entries[1].text("identitytoken") == "t"
    assert (file.store, file.helpers, file.problem) == ("desktop", {"gcr.io": "gcloud"}, None)
    assert file.place_of(file.entries[0]) == "config.json:3"
    assert "YTpi" not in repr(file)


def test_names_of_members_count_in_any_case() -> None:
    file = parse_config('{"Auths":{"r":{"Auth":"YTpi"}},"CREDSSTORE":"x"}', "c")
    assert (file.store, file.entries[0].text("auth")) == ("x", "YTpi")


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ('{"auths": {', "not valid JSON", 1),
        ('{\n  "auths": {},\n}', "line 3, column 1", 3),
        ("\ufeff{}", "not valid JSON", 1),
        ('{\n// comment\n"auths": {}}', "line 2", 2),
        ("[]", "not an object", None),
        ('{\n"auths": []}', "auths is not an object", 2),
        ('{"credsStore": {}}', "credsStore is not a text", 1),
        ('{"credHelpers": "x"}', "credHelpers is not an object", 1),
        ('{"auths": {\n"r": "YTpi"}}', "'r' is not an object", 2),
        ('{"a":' * 5000, "nested", None),
    ],
)
def test_a_file_that_clients_cannot_read_says_where(text: str, words: str, line: int | None) -> None:
    file = parse_config(text, "c")
    assert words in (file.problem or "")
    assert file.problem_line == line
    assert file.entries == ()


@pytest.mark.parametrize("text", ["", "  \n", "{} trailing"])
def test_only_podman_minds_an_empty_file_or_trailing_text(text: str) -> None:
    assert parse_config(text, "c").problem is None
    assert parse_config(text, "c", strict=True).problem is not None


def test_missing_unreadable_and_huge_files_are_told_apart(tmp_path: Path) -> None:
    assert read_config(tmp_path / "none").missing
    assert "regular file" in (read_config(tmp_path).problem or "")
    huge = tmp_path / "huge"
    huge.write_bytes(b" " * (4 * 1024 * 1024 + 1))
    assert "larger" in (read_config(huge).problem or "")


def test_a_dockercfg_has_no_level_auths(tmp_path: Path) -> None:
    path = tmp_path / ".dockercfg"
    path.write_text('{"reg.test": {"auth": "YTpi"}}')
    assert [entry.key for entry in read_legacy_config(path).entries] == ["reg.test"]
    assert [entry.key for entry in read_authfile(path)[0].entries] == ["reg.test"]


def secret(kind: str | None = "kubernetes.io/dockerconfigjson", **more: Any) -> dict[str, Any]:
    members: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "regcred"}, **more}
    return members if kind is None else members | {"type": kind}


INNER = json.dumps({"auths": {"reg.test": {"auth": "YTpi"}}})


@pytest.mark.parametrize(
    "document",
    [
        secret(data={".dockerconfigjson": auth(INNER)}),
        secret(data={".dockerconfigjson": auth(INNER)[:8] + "\n" + auth(INNER)[8:]}),
        secret(stringData={".dockerconfigjson": INNER}),
        secret("kubernetes.io/dockercfg", data={".dockercfg": auth('{"reg.test": {"auth": "YTpi"}}')}),
        {"kind": "List", "items": [{"kind": "Pod"}, secret(data={".dockerconfigjson": auth(INNER)})]},
    ],
)
def test_a_pull_secret_gives_its_entries(document: object, tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    path.write_text(json.dumps(document))
    (file,) = read_authfile(path)
    assert file.pull_secret
    assert file.problem is None
    assert [(entry.key, entry.text("auth")) for entry in file.entries] == [("reg.test", "YTpi")]
    assert file.place == f"{path} (secret regcred)"


def test_secrets_are_found_in_yaml_with_other_documents(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(
        "kind: Pod\n---\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/dockerconfigjson\nstringData:\n"
        '  .dockerconfigjson: |\n    {"auths": {"reg.test": {"auth": "YTpi"}}}\n---\n'
        "kind: Secret\nmetadata: {name: b}\ntype: Opaque\n"
    )
    first, second = read_authfile(path)
    assert [entry.key for entry in first.entries] == ["reg.test"]
    assert "type is Opaque" in (second.problem or "")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (secret(None, data={".dockerconfigjson": auth(INNER)}), "type is Opaque"),
        (
            secret(data={"config.json": auth(INNER)}),
            "needs the data key .dockerconfigjson; it has: config.json",
        ),
        (secret(data={".dockerconfigjson": "***"}), "not base64"),
        (secret(data={".dockerconfigjson": auth(auth(INNER))}), "base64 twice"),
        (secret(data={".dockerconfigjson": auth("{")}), "not valid JSON"),
        (secret(data={".dockerconfigjson": auth('{"reg.test": {}}')}), "has no auths"),
        (secret(data={}), "it has: none"),
        ({"kind": "List", "items": []}, "holds no Kubernetes secret"),
    ],
)
def test_a_pull_secret_that_the_kubelet_cannot_use_says_why(
    document: object, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret.json"
    path.write_text(json.dumps(document))
    (file,) = read_authfile(path)
    assert words in (file.problem or "")


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("kind: Secret\nmetadata: [", "not YAML", 2),
        ("kind: Secret\n\tx: y", "not YAML", 2),
        ("kind: Pod", "no Kubernetes secret", None),
    ],
)
def test_broken_yaml_says_where(text: str, words: str, line: int | None) -> None:
    (file,) = parse_pull_secrets(text, "s.yaml")
    assert words in (file.problem or "")
    assert file.problem_line == line


def test_an_authfile_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    assert read_authfile(tmp_path / "none")[0].problem == "the file does not exist"


@given(st.text(max_size=80) | st.text(alphabet='{}[]":,authsk \n', max_size=60))
def test_no_text_crashes_the_readers(text: str) -> None:
    parse_config(text, "c")
    parse_pull_secrets(text, "s")
