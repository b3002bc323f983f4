"""What a configuration file is follows from its content, else from its name; broken files count too."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from regdoctor.facts import FileKind
from regdoctor.host.file_kinds import kind_of_text, recognise

SAMPLES = {
    FileKind.REGISTRY: (
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/registry\nhttp:\n  addr: :5000\n",
        "version: 0.1\nstorage:\n\tinmemory: {}\n",
        "# no version\nstorage:\n  inmemory:\nhttp:\n  addr: :5000\n",
        "http:\n  addr: :5000\n  secret: x\n",
    ),
    FileKind.NGINX: (
        "server {\n  listen 443 ssl;\n  location /v2/ { proxy_pass http://registry:5000; }\n}\n",
        "http {\n  client_max_body_size 1m\n}\n",
        "    proxy_pass http://127.0.0.1:5000;\n",
    ),
    FileKind.HAPROXY: (
        "global\n  daemon\ndefaults\n  mode http\n  timeout client 30s\nfrontend reg\n  bind :443\n",
        "backend registry\n    server r1 127.0.0.1:5000 check\n",
    ),
    FileKind.TRAEFIK: (
        "entryPoints:\n  web:\n    address: :80\n",
        '[entryPoints.web]\n  address = ":80"\n',
        "http:\n  routers:\n    registry:\n      rule: Host(`reg.test`)\n",
    ),
    FileKind.CADDY: (
        "reg.test {\n  reverse_proxy 127.0.0.1:5000\n}\n",
        "{\n  email a@reg.test\n}\nreg.test {\n  tls internal\n}\n",
        '{"apps": {"http": {"servers": {"s": {"listen": [":443"]}}}}}',
    ),
    FileKind.DAEMON: (
        '{"insecure-registries": ["reg.test:5000"]}',
        '{\n  "registry-mirrors": ["https://m.test"]\n  "log-driver": "json-file"\n',
        '{"log-driver": "json-file"}',
    ),
    FileKind.DOCKER_CONFIG: (
        '{"auths": {"reg.test": {"auth": "YTpi"}}}',
        '{"credsStore": "pass"',
        '{"HttpHeaders": {"X": "y"}}',
    ),
    FileKind.CONTAINERD: (
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n',
        "version = 3\n[plugins]\n  [plugins.'io.containerd.cri.v1.images'.registry]\n",
        'disabled_plugins = ["cri"]\n',
    ),
    FileKind.HOSTS: (
        'server = "https://reg.test"\n\n[host."https://mirror.test"]\n  capabilities = ["pull"]\n',
        '[host."http://10.0.0.1:5000"]\n  skip_verify = true\n',
    ),
    FileKind.REGISTRIES: (
        'unqualified-search-registries = ["docker.io"]\n',
        '[[registry]]\nlocation = "reg.test"\n  [[registry.mirror]]\n  location = "mirror.test"\n',
        "[registries.search]\nregistries = ['docker.io']\n",
    ),
    FileKind.POLICY: (
        '{"default": [{"type": "insecureAcceptAnything"}]}',
        '{"default": [], "transports": {"docker": {}}}',
        '{"default": []}',
    ),
    FileKind.HTPASSWD: (
        "alice:$2y$05$abcdefghijklmnopqrstuuJ3h9bI9dYq3kN1S4h5O6P7Q8R9S0T1u\n",
        "bob:$apr1$abcdefgh$abcdefghijklmnopqrstu/\n",
        "# users\n\nbob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n",
    ),
    FileKind.KUBERNETES: (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: regcred\n",
        '{"apiVersion": "v1", "kind": "Pod"}',
        "---\nkind: Deployment\napiVersion: apps/v1\n",
    ),
    FileKind.BUILDKIT: (
        '[registry."reg.test:5000"]\n  http = true\n',
        "[worker.oci]\n  enabled = true\n",
    ),
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in SAMPLES.items() for text in texts]
)
def test_the_content_tells_the_kind(kind: FileKind, text: str) -> None:
    assert kind_of_text(text) is kind


def test_there_is_a_sample_of_every_kind() -> None:
    assert set(SAMPLES) == set(FileKind)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello\n",
        "services:\n  registry:\n    image: registry:2\n    volumes: [data:/var/lib]\nvolumes:\n  data:\n",
        '{"name": "package", "version": "1.0", "scripts": {}}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*"}]}',
        '[project]\nname = "x"\n[tool.ruff]\nline-length = 110\n',
        "root:$6$abc$def:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
        "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n",
        "version: 2.1\njobs:\n  build:\n    steps: [checkout]\nworkflows:\n  main:\n",
    ],
    ids=["empty", "prose", "compose", "package.json", "iam", "pyproject", "shadow", "unit", "circleci"],
)
def test_files_of_other_programs_are_not_recognised(text: str) -> None:
    assert kind_of_text(text) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("certs.d/reg.test:5000/hosts.toml", FileKind.HOSTS),
        ("daemon.json", FileKind.DAEMON),
        ("registries.conf.d/50-mirror.conf", FileKind.REGISTRIES),
        ("Caddyfile", FileKind.CADDY),
        (".htpasswd", FileKind.HTPASSWD),
        ("buildkitd.toml", FileKind.BUILDKIT),
        ("containers/policy.json", FileKind.POLICY),
        (".docker/config.json", FileKind.DOCKER_CONFIG),
        ("containerd/config.toml", FileKind.CONTAINERD),
    ],
)
def test_the_name_tells_where_the_content_does_not(tmp_path: Path, name: str, kind: FileKind) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n")
    assert recognise(path, by_name=False) is kind


def test_a_name_that_others_have_too_counts_only_for_a_file_that_was_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("")
    assert recognise(path) is FileKind.REGISTRY
    assert recognise(path, by_name=False) is None


def test_the_content_outweighs_the_name(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(SAMPLES[FileKind.DAEMON][0])
    assert recognise(path) is FileKind.DAEMON


def test_what_belongs_to_another_program_is_not_taken_for_its_name(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("theme: minima\ntitle: Blog\n")
    assert recognise(path) is None


def test_texts_in_utf_16_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(SAMPLES[FileKind.DAEMON][0].encode("utf-16"))
    assert recognise(path) is FileKind.DAEMON


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "daemon.json")
    assert recognise(tmp_path / "daemon.json") is None


@pytest.mark.parametrize(
    "pattern", [" \t", "\n", "{\n", "[ ", "a:", '"a"', "a {", "location x ", "- ", "\t\n"]
)
def test_hostile_texts_are_looked_at_in_time(tmp_path: Path, pattern: str) -> None:
    path = tmp_path / "x.yml"
    path.write_text(pattern * (256 * 1024 // len(pattern)))
    began = time.monotonic()
    recognise(path)
    assert time.monotonic() - began < 2
