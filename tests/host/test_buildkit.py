"""buildkitd.toml, and the builder that buildx uses, by its documentation: there is no buildkitd here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regdoctor.facts import FlawKind
from regdoctor.host.buildkit import read_builder, read_buildkitd_toml


def test_registries_are_read(tmp_path: Path) -> None:
    path = tmp_path / "buildkitd.toml"
    path.write_text('[registry."reg.test:5000"]\nhttp = true\nmirrors = ["m.test"]\ninsecure = true\n')

    settings = read_buildkitd_toml(path)

    (registry,) = settings.registries
    assert (registry.name.value, registry.http, registry.insecure) == ("reg.test:5000", True, True)
    assert [each.value for each in registry.mirrors] == ["m.test"]
    assert settings.flaws == ()


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ('[registry."a"]\nhttp = "true"\n', FlawKind.REFUSED, "http has to be true or false"),
        ('[registry."a"]\nmirrors = "m"\n', FlawKind.REFUSED, "mirrors has to be a list"),
        ('[registry."a"]\nplain = true\n', FlawKind.IGNORED, "plain is no key"),
        ('[registry."https://a"]\nhttp = true\n', FlawKind.IGNORED, "is no host[:port]"),
        ('[registry."a"]\nca = ["/nonexistent"]\n', FlawKind.FILE, "it does not exist"),
        ('registry = "a"\n', FlawKind.REFUSED, "registry is no table"),
        ("[registry\n", FlawKind.SYNTAX, ""),
    ],
)
def test_what_is_wrong_has_a_flaw(tmp_path: Path, text: str, kind: FlawKind, words: str) -> None:
    path = tmp_path / "buildkitd.toml"
    path.write_text(text)

    (flaw,) = read_buildkitd_toml(path).flaws

    assert flaw.kind is kind
    assert words in flaw.message


def buildx(folder: Path, **node: object) -> dict[str, str]:
    (folder / "buildx/instances").mkdir(parents=True)
    (folder / "buildx/current").write_text('{"Key": "x", "Name": "box", "Global": false}')
    instance = {"Name": "box", "Driver": "docker-container", "Nodes": [{"Name": "box0", **node}]}
    (folder / "buildx/instances/box").write_text(json.dumps(instance))
    return {"DOCKER_CONFIG": str(folder)}


def test_the_current_builder_is_found(tmp_path: Path) -> None:
    environment = buildx(tmp_path)

    builder = read_builder(environment, tmp_path)

    assert builder is not None
    assert (builder.name, builder.driver, builder.configured) == ("box", "docker-container", False)
    assert read_builder({**environment, "BUILDX_BUILDER": "other"}, tmp_path) is None


def test_a_builder_that_was_made_with_a_file_is_told(tmp_path: Path) -> None:
    environment = buildx(tmp_path, Files={"buildkitd.toml": "eA=="})

    builder = read_builder(environment, tmp_path)

    assert builder is not None
    assert builder.configured


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "none"])
def test_without_a_builder_the_daemons_own_is_used(tmp_path: Path, name: str) -> None:
    assert read_builder({"BUILDX_BUILDER": name}, tmp_path) is None
