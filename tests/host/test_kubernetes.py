"""What Kubernetes manifests say about pulling images, with places and without secrets."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from regdoctor.host.docker_config import kubelet_key_matches
from regdoctor.host.kubernetes import Manifests, read_manifests

CONFIG = json.dumps({"auths": {"reg.test:5000": {"auth": base64.b64encode(b"alice:pa55word").decode()}}})
SECRET = f"""\
apiVersion: v1
kind: Secret
metadata:
  name: regcred
  namespace: shop
type: kubernetes.io/dockerconfigjson
data:
  .dockerconfigjson: {base64.b64encode(CONFIG.encode()).decode()}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  imagePullSecrets:
  - name: regcred
  initContainers:
  - image: reg.test:5000/init:1
  containers:
  - image: "reg.test:5000/app:1"
  - name: sidecar
"""


def read(folder: Path, text: str | bytes) -> Manifests:
    path = folder / "app.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_manifests(path)


def test_several_documents_are_read_with_their_places(tmp_path: Path) -> None:
    found = read(tmp_path, f"{SECRET}---\n# why\n{POD}---\n")

    (secret,), (pod,) = found.secrets, found.pods
    assert (secret.name, secret.namespace, secret.line) == ("regcred", "shop", 1)
    assert [(each.value, each.line) for each in secret.registries] == [("reg.test:5000", 8)]
    assert [(each.value, each.line) for each in pod.images] == [
        ("reg.test:5000/app:1", 20),
        ("reg.test:5000/init:1", 18),
    ]
    assert [(each.value, each.line) for each in pod.secrets] == [("regcred", 16)]
    assert found.flaws == []


def test_secrets_are_concealed_and_kept_out_of_facts(tmp_path: Path) -> None:
    found = read(tmp_path, SECRET)

    assert "pa55word" in [each.reveal() for each in found.concealed]
    assert "pa55word" not in repr(found)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_json_is_read_as_well(tmp_path: Path, encoding: str) -> None:
    document = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"image": "a.test/b"}]}}

    found = read(tmp_path, json.dumps(document).encode(encoding))

    assert [each.value for each in found.pods[0].images] == ["a.test/b"]


@pytest.mark.parametrize(
    "path",
    [
        ("Deployment", "spec: {template: {spec: {containers: [{image: a.test/b}]}}}"),
        ("CronJob", "spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: a.test/b}]}}}}}"),
        ("Job", "spec: {template: {spec: {initContainers: [{image: a.test/b}]}}}"),
    ],
)
def test_what_makes_pods_is_read(tmp_path: Path, path: tuple[str, str]) -> None:
    kind, spec = path

    found = read(tmp_path, f"apiVersion: x\nkind: {kind}\n{spec}\n")

    assert [each.value for each in found.pods[0].images] == ["a.test/b"]


def test_what_is_no_yaml_says_where(tmp_path: Path) -> None:
    (flaw,) = read(tmp_path, "kind: Pod\n  spec: [\n").flaws

    assert (flaw.kind.value, flaw.line) == ("syntax", 2)


def test_a_template_that_was_not_rendered_is_not_judged(tmp_path: Path) -> None:
    (flaw,) = read(tmp_path, "kind: Pod\n{{- if .Values.x }}\nspec: {}\n{{- end }}\n").flaws

    assert flaw.kind.value == "unread"
    assert "helm template" in flaw.message


def test_aliases_that_multiply_are_bounded(tmp_path: Path) -> None:
    lines = ["kind: Pod", "a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 30)]

    found = read(tmp_path, "\n".join(lines))

    assert [flaw.kind.value for flaw in found.flaws] in ([], ["unread"])


@pytest.mark.parametrize(
    ("key", "image", "matches"),
    [
        ("reg.test:5000", "reg.test:5000/team/app", True),
        ("https://reg.test:5000", "reg.test:5000/team/app", True),
        ("https://reg.test:5000/v2/", "reg.test:5000/team/app", True),
        ("reg.test:5000/team", "reg.test:5000/team/app", True),
        ("reg.test:5000/other", "reg.test:5000/team/app", False),
        ("reg.test", "reg.test:5000/team/app", False),
        ("*.test:5000", "reg.test:5000/team/app", True),
        ("*:5000", "reg.test:5000/team/app", False),
        ("*.reg.test:5000", "reg.test:5000/team/app", False),
        # In a URL a question mark begins the query.
        ("r?g.test:5000", "reg.test:5000/team/app", False),
    ],
)
def test_the_kubelets_keyring_matches_label_by_label(key: str, image: str, matches: bool) -> None:
    assert kubelet_key_matches(key, image) is matches
