"""What in an image's configuration looks like a secret, and what only sounds like one."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.oci.config_secrets import MAX_CONFIG, find_secrets

# Put together here so that no scanner of source code takes them for real ones.
AWS_KEY = "AKIA" + "QZ7M3XKD5WPL2RTV"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
NPM = "npm_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEAx3tL9kQyXJ0a\n-----END RSA PRIVATE KEY-----"
RANDOM = "f3A9c1E7b5D20846aC9e"


def config(
    env: list[str] | None = None,
    history: list[str] | None = None,
    labels: dict[str, str] | None = None,
    command: list[str] | None = None,
) -> bytes:
    return json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "config": {"Env": env or [], "Labels": labels or {}, "Cmd": command or []},
            "history": [{"created_by": each} for each in history or []],
        }
    ).encode()


def kinds(content: bytes) -> list[tuple[str, str | None, str]]:
    return [(each.place, each.name, each.kind) for each in find_secrets(content)]


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        (f"AWS_ACCESS_KEY_ID={AWS_KEY}", "an AWS access key"),
        (f"SETTING={GITHUB}", "a GitHub token"),
        (f"NPM_TOKEN={NPM}", "an npm token"),
        (f"TLS_KEY={PEM}", "a private key"),
        ("TLS_KEY=" + PEM.replace("\n", "\\n"), "a private key"),
        ("DB_PASSWORD=hunter2hunter", "a password"),
        ("DB_PASSWORD=Pa$$w0rd!23", "a password"),
        ("DB_PASS=korrekt-pferd", "a password"),
        ("MYSQL_PWD=korrekt-pferd", "a password"),
        ("spring.datasource.password=korrekt-pferd", "a password"),
        (f"JWT_SECRET={RANDOM}", "a key or token"),
        (f"SECRET_KEY_BASE={RANDOM}{RANDOM}", "a key or token"),
        (f"DEPLOY_TOKEN={RANDOM}", "a key or token"),
        ("DATABASE_URL=postgres://app:korrekt-pferd@db:5432/app", "a password in a URL"),
    ],
)
def test_a_real_secret_in_the_environment_is_found(variable: str, kind: str) -> None:
    assert kinds(config([variable])) == [("environment", variable.partition("=")[0], kind)]


@pytest.mark.parametrize(
    "variable",
    [
        # Environments of official images.
        "PATH=/usr/local/sbin:/usr/local/bin",
        "GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D",
        "GPG_KEYS=AFD8691FDAEDF03BDF6E460563F15A9B715376CA",
        "PYTHON_SHA256=8fb5f9fbc7609fa822cb31549884575db7fd9657cbffb89510b5d7975963a83a",
        "PHP_INI_DIR=/usr/local/etc/php",
        "RABBITMQ_PGP_KEY_ID=0x0A9AF2115F4687BD29803A206B73A36E6026DFCA",
        # Placeholders, switches, defaults and the places of secrets.
        "DB_PASSWORD=",
        "DB_PASSWORD=changeme",
        "DB_PASSWORD=change-me-please",
        "DB_PASSWORD=postgres",
        "MYSQL_ROOT_PASSWORD=my-secret-pw",
        "DB_PASSWORD=your_password",
        "DB_PASSWORD=<password>",
        "DB_PASSWORD=${DB_PASSWORD}",
        "DB_PASSWORD=$(cat /run/secrets/db)",
        "DB_PASSWORD={{ db_password }}",
        "DB_PASSWORD=%DB_PASSWORD%",
        "DB_PASSWORD=********",
        "DB_PASSWORD=xxxxxxxx",
        "DB_PASSWORD=test1234",
        "DB_PASSWORD=db_password",
        "DB_PASSWORD=/run/secrets/db",
        "DB_PASSWORD_FILE=/run/secrets/db",
        "MYSQL_RANDOM_ROOT_PASSWORD=yes",
        "MYSQL_ALLOW_EMPTY_PASSWORD=true",
        "PASSWORD_MIN_LENGTH=12",
        "SECRET_KEY_BASE=dummy",
        "SECRET_KEY_BASE_DUMMY=1",
        "SECRET_KEY=secret-key-for-development",
        "TOKEN_URL=https://login.test/oauth2/token",
        "AUTH_TOKEN=https://login.test/oauth2/token",
        "ACCESS_TOKEN_LIFETIME=3600000000000000",
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        "PUBLIC_KEY=ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMq",
        "NEXT_PUBLIC_FIREBASE_API_KEY=AIzaSyD1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o6P",
        "BYPASS=sometimes-not",
        "DATABASE_URL=postgres://app:${DB_PASSWORD}@db:5432/app",
        "DATABASE_URL=postgres://app:password@db:5432/app",
        "DATABASE_URL=postgres://db:5432/app",
        "GITHUB_TOKEN=ghp_" + "x" * 36,
    ],
)
def test_what_only_sounds_like_a_secret_is_none(variable: str) -> None:
    assert kinds(config([variable])) == []


@pytest.mark.parametrize(
    ("step", "name", "kind"),
    [
        (f"|1 NPM_TOKEN={NPM} /bin/sh -c npm ci", "NPM_TOKEN", "an npm token"),
        (f"RUN |1 NPM_TOKEN={NPM} /bin/sh -c npm ci # buildkit", "NPM_TOKEN", "an npm token"),
        ("/bin/sh -c mysql --password=korrekt-pferd -e 'select 1'", "password", "a password"),
        (f"/bin/sh -c curl -H 'Authorization: token {GITHUB}' https://api.test", None, "a GitHub token"),
        ("/bin/sh -c git clone https://bot:korrekt-pferd@git.test/x.git", None, "a password in a URL"),
        ("ENV DB_PASSWORD=korrekt-pferd", "DB_PASSWORD", "a password"),
    ],
)
def test_a_real_secret_in_the_history_is_found(step: str, name: str | None, kind: str) -> None:
    content = config(history=["COPY . /app", step])

    assert kinds(content) == [("step 2 of the history", name, kind)]


@pytest.mark.parametrize(
    "step",
    [
        "/bin/sh -c #(nop)  ENV NGINX_VERSION=1.25.3",
        'RUN /bin/sh -c set -eux; savedAptMark="$(apt-mark showmanual)"; export GNUPGHOME="$(mktemp -d)"',
        "RUN --mount=type=secret,id=npm NPM_TOKEN=$(cat /run/secrets/npm) npm ci",
        "RUN /bin/sh -c gpg --batch --passphrase='' --quick-gen-key me",
        'CMD ["postgres"]',
        "ARG NPM_TOKEN",
        "LABEL org.opencontainers.image.revision=4f2e9d1c8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e",
    ],
)
def test_usual_build_steps_hold_none(step: str) -> None:
    assert kinds(config(history=[step])) == []


def test_labels_and_commands_are_looked_at_too() -> None:
    content = config(
        labels={"deploy": GITHUB, "db.password": "korrekt-pferd"}, command=["app", f"--key={NPM}"]
    )

    assert kinds(content) == [("label", "deploy", "a GitHub token"), ("command", "key", "an npm token")]


def test_what_a_build_step_repeats_of_the_environment_is_said_once() -> None:
    content = config(["DB_PASSWORD=korrekt-pferd"], ["ENV DB_PASSWORD=korrekt-pferd"])

    assert kinds(content) == [("environment", "DB_PASSWORD", "a password")]


def test_the_value_is_kept_as_a_secret() -> None:
    (suspect,) = find_secrets(config(["DB_PASSWORD=korrekt-pferd"]))

    assert suspect.value.reveal() == "korrekt-pferd"
    assert "korrekt" not in repr(suspect)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"config": null, "history": 3}',
        b'{"config": {"Env": [1, null, "A"], "Labels": [], "Cmd": "x"}, "history": [null, {"created_by": 1}]}',
        b"{" + b" " * MAX_CONFIG + b"}",
    ],
)
def test_what_is_no_configuration_has_none(content: bytes) -> None:
    assert find_secrets(content) == ()


def test_many_are_cut_short() -> None:
    content = config([f"A{number}_PASSWORD=korrekt-{number}-pferd" for number in range(500)])

    assert len(find_secrets(content)) == 50


@pytest.mark.parametrize(
    "text", ["A=" * 30_000, "a://" * 15_000, "x" * 60_000, "glpat-" * 10_000, "a:" * 30_000 + "@"]
)
def test_no_text_takes_long(text: str) -> None:
    started = time.monotonic()

    find_secrets(config([f"X={text}"], [text]))

    assert time.monotonic() - started < 2


@given(st.binary(max_size=300))
def test_any_bytes_are_read(content: bytes) -> None:
    find_secrets(content)
