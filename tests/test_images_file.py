"""The images that Kubernetes YAML, Compose, Helm's output, Dockerfiles and lists name."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor import images_file
from regdoctor.images_file import Images, ImagesFileError, Kind, kind_of, read


def found(text: str, name: str = "file", environment: Mapping[str, str] | None = None) -> Images:
    return read(dedent(text).encode(), name, environment or {})


def names(text: str, name: str = "file", environment: Mapping[str, str] | None = None) -> list[str]:
    return [target.text for target in found(text, name, environment).targets]


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("FROM alpine", "Dockerfile", Kind.DOCKERFILE),
        ("RUN x", "Dockerfile.prod", Kind.DOCKERFILE),
        ("RUN x", "docker/Containerfile", Kind.DOCKERFILE),
        ("RUN x", "app.Dockerfile", Kind.DOCKERFILE),
        ("# syntax=docker/dockerfile:1\nARG A=1\nFROM alpine", "standard input", Kind.DOCKERFILE),
        ("alpine", "pod.yaml", Kind.YAML),
        ("alpine", "compose.yml", Kind.YAML),
        ("{}", "pod.json", Kind.YAML),
        ("---\nkind: Pod", "standard input", Kind.YAML),
        ("# comment\napiVersion: v1", "standard input", Kind.YAML),
        ("- image: alpine", "standard input", Kind.YAML),
        ('{"image": "alpine"}', "standard input", Kind.YAML),
        ("alpine:3.20\nredis", "standard input", Kind.LIST),
        ("reg.test:5000/app", "images.txt", Kind.LIST),
        ("fromage/brie", "images.txt", Kind.LIST),
        ("", "images.txt", Kind.LIST),
    ],
)
def test_the_kind_is_told_from_name_and_first_line(text: str, name: str, kind: Kind) -> None:
    assert kind_of(text, name) is kind


def test_a_list_holds_an_image_a_line() -> None:
    assert names(
        "\ufeff# images\nalpine:3.20\n\n  reg.test/app@sha256:" + "a" * 64 + "  # pinned\nalpine:3.20\n"
    ) == [
        "alpine:3.20",
        "reg.test/app@sha256:" + "a" * 64,
    ]


def test_a_name_with_a_number_is_an_image_here() -> None:
    (target,) = found("redis:7000\n").targets
    assert (target.registry, target.repository) == ("registry-1.docker.io:443", "library/redis")
    assert target.reference is not None
    assert target.reference.reference == "7000"


def test_kubernetes_pods_and_whatever_holds_them() -> None:
    text = """
        apiVersion: batch/v1
        kind: CronJob
        spec:
          jobTemplate:
            spec:
              template:
                spec:
                  initContainers:
                  - {name: init, image: reg.test/init:1}
                  containers:
                  - name: app
                    image: "reg.test:5000/team/app:1.0"
                    imagePullPolicy: Always
                  volumes:
                  - name: models
                    image:
                      reference: reg.test/models:2
                      pullPolicy: IfNotPresent
        ---
        # an empty document
        ---
        kind: List
        items:
        - kind: Pod
          spec: {ephemeralContainers: [{image: busybox}]}
        - kind: Pod
          spec: {containers: [{image: busybox}]}
    """
    assert names(text) == ["reg.test/init:1", "reg.test:5000/team/app:1.0", "reg.test/models:2", "busybox"]


def test_json_is_yaml() -> None:
    assert names('{"spec": {"containers": [{"image": "alpine"}]}}', "pod.json") == ["alpine"]


def test_compose_variables_come_from_the_environment_or_their_defaults() -> None:
    text = """
        services:
          a: {image: "${REGISTRY}/a:${TAG:-latest}"}
          b: {image: "$REGISTRY/b:${EMPTY-x}"}
          c: {image: "reg.test/c:${EMPTY:-1}${TAG:+-debug}"}
          d: {image: "${DEEP:-${REGISTRY}}/d"}
    """
    environment = {"REGISTRY": "reg.test:5000", "EMPTY": ""}
    broken = found(text, environment=environment).targets[1]
    assert (broken.text, broken.place) == ("reg.test:5000/b:", "file:4")
    assert broken.defect is not None
    assert broken.defect.reason.startswith("the tag is missing")
    assert names(
        text.replace("EMPTY-x", "OTHER-x").replace("${DEEP:-${REGISTRY}}", "z.test"), environment=environment
    ) == [
        "reg.test:5000/a:latest",
        "reg.test:5000/b:x",
        "reg.test/c:1",
        "z.test/d",
    ]


def test_what_cannot_be_known_is_left_out_and_said() -> None:
    images = found(
        "services:\n  a: {image: alpine}\n  b: {image: '${REGISTRY:?needed}/b'}\nicon:\n  image: https://x.test/i.png\n"
    )
    assert [target.text for target in images.targets] == ["alpine"]
    assert images.left_out == (
        "file:3: '${REGISTRY:?needed}/b' needs the variable REGISTRY, which is not set here",
        "file:5: 'https://x.test/i.png' is a URL and no image",
    )


def test_schemas_and_empty_values_are_no_images() -> None:
    text = """
        spec:
          properties:
            image: {type: string, description: the image}
          a: {image: ""}
          b: {image: null}
          c: {image: [alpine]}
          d: {image: alpine}
    """
    assert names(text) == ["alpine"]


def test_aliases_cost_nothing() -> None:
    levels = ["a0: &a0 {image: alpine}"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    assert names("\n".join(levels)) == ["alpine"]


def test_an_alias_to_itself_ends() -> None:
    assert names("a: &a\n  image: alpine\n  again: *a\n") == ["alpine"]


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{a: " * 50_000, "- " * 100_000 + "x"])
def test_deep_nesting_is_an_error_and_no_crash(text: str) -> None:
    with pytest.raises(ImagesFileError):
        found(text, "deep.yaml")


def test_a_dockerfile_names_its_bases_and_what_it_copies_from() -> None:
    text = """\
        # syntax=docker/dockerfile:1
        ARG VERSION=1.22 UNUSED
        ARG BASE=golang:${VERSION}
        FROM --platform=$BUILDPLATFORM ${BASE} AS build
        ARG VERSION=ignored-inside-a-stage
        RUN <<EOF
        FROM not/an-instruction
        EOF
        COPY --from=build /a /b
        from build as test
        FROM scratch
        COPY --from=0 /x /x
        COPY --from=test /x /x
        COPY --from=reg.test/tools:2 \\
          # a comment in between
          /bin/tool /bin/tool
        FROM reg.test:5000/team/base@sha256:{digest}
    """.replace("{digest}", "b" * 64)
    assert names(text, "Dockerfile") == [
        "golang:1.22",
        "reg.test/tools:2",
        "reg.test:5000/team/base@sha256:" + "b" * 64,
    ]


def test_a_build_argument_without_default_is_said() -> None:
    images = found("ARG BASE\nFROM ${BASE}\nFROM alpine\n", "Dockerfile")
    assert [target.text for target in images.targets] == ["alpine"]
    assert images.left_out == ("Dockerfile:2: '${BASE}' needs the build argument BASE, which has no default",)


def test_the_escape_character_can_be_chosen() -> None:
    assert names("# escape=`\nFROM `\n  alpine\n", "Dockerfile") == ["alpine"]


@pytest.mark.parametrize(
    ("text", "name", "place", "image", "character"),
    [
        ("Team/App\n", "list", "list:1", "Team/App", "A"),
        ("alpine\nreg.test/app:\n", "list", "list:2", "reg.test/app:", None),
        ("https://reg.test/app\n", "list", "list:1", "https://reg.test/app", ":"),
        ("kind: Pod\nimage: a b\n", "pod.yaml", "pod.yaml:2", "a b", " "),
        (
            "spec:\n containers:\n - image: http://r.test/a\n",
            "pod.yaml",
            "pod.yaml:3",
            "http://r.test/a",
            ":",
        ),
        ("services:\n a:\n  image: http://r.test/a\n", "c.yaml", "c.yaml:3", "http://r.test/a", ":"),
        ("FROM Alpine\n", "Dockerfile", "Dockerfile:1", "Alpine", "A"),
    ],
)
def test_what_stands_for_an_image_and_is_none_is_a_target_with_a_defect(
    text: str, name: str, place: str, image: str, character: str | None
) -> None:
    target = found(text, name).targets[-1]
    assert (target.text, target.place, target.reference) == (image, place, None)
    assert target.defect is not None
    assert target.defect.character == character


def test_a_password_in_such_a_text_is_blanked() -> None:
    (target,) = found("https://alice:wonderland@reg.test/app\n", "list").targets
    assert "wonderland" not in target.text


def test_every_image_knows_its_place() -> None:
    assert [target.place for target in found("# images\nalpine\nredis\n", "list").targets] == [
        "list:2",
        "list:3",
    ]


def test_a_template_that_was_not_rendered_is_left_out() -> None:
    images = found("image: alpine\nspec: {image: '{{ .Values.image }}:1'}\n", "chart.yaml")
    assert [target.text for target in images.targets] == ["alpine"]
    assert images.left_out == ("chart.yaml:2: '{{ .Values.image }}:1' is a template that was not rendered",)


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("image: [", "pod.yaml", "is not YAML"),
        ("a: b\n\tc: d\n", "pod.yaml", "pod.yaml:2 is not YAML"),
        ("kind: Service\n", "pod.yaml", "pod.yaml names no image"),
        ("# nothing\n", "list", "list names no image"),
        ("image: ${X}\n", "pod.yaml", "needs the variable X"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, name: str, words: str) -> None:
    with pytest.raises(ImagesFileError) as error:
        found(text, name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_binary_endless_and_crowded_files_are_refused() -> None:
    with pytest.raises(ImagesFileError, match="not UTF-8"):
        read(b"\xff\xfe", "list", {})
    with pytest.raises(ImagesFileError, match="larger than"):
        read(b"#" * (images_file.LARGEST + 1), "list", {})
    with pytest.raises(ImagesFileError, match="more than 1000 images"):
        found("\n".join(f"reg.test/app:{number}" for number in range(1001)))


@given(st.text(max_size=200), st.sampled_from(["list", "pod.yaml", "Dockerfile", "standard input"]))
def test_any_text_is_read_or_refused(text: str, name: str) -> None:
    try:
        images = read(text.encode("utf-8", "replace"), name, {})
    except ImagesFileError:
        return
    assert all((target.reference is None) != (target.defect is None) for target in images.targets)
