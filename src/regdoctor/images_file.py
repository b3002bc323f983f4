"""The images that a file names: Kubernetes YAML, Compose, rendered Helm, a Dockerfile, or a plain list.

The kind is told from the name and, where that says nothing, from the first line that counts. What a file
holds is data: its size is bounded, and YAML is only composed into nodes, never turned into objects, so that
aliases cost nothing however often they are repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from regdoctor.oci.reference import (
    InvalidReference,
    Target,
    defective_target,
    parse_reference,
    parse_target,
)

if TYPE_CHECKING:
    from yaml import Node

LARGEST: Final = 8_000_000
"""Bytes of a file that are read; rendered charts with their CustomResourceDefinitions reach a few millions."""

MOST_IMAGES: Final = 1000

_DEPTH: Final = 200
_NULL: Final = "tag:yaml.org,2002:null"
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_DOCKERFILE_NAME: Final = re.compile(r"(?:.*[/.])?(?:docker|container)file(?:\..+)?", re.IGNORECASE)
_DOCKERFILE_LINE: Final = re.compile(r"(?:FROM|ARG)\s+\S", re.IGNORECASE)
_YAML_LINE: Final = re.compile(r"---|\{|-\s|[\"']?[\w./-]+[\"']?\s*:(?:\s|$)")
_VARIABLE: Final = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<sign>:?[-+?])(?P<word>[^{}]*))?\})"
)
_HEREDOC: Final = re.compile(r"<<-?\s*([\"']?)([A-Za-z_]\w*)\1")


class Kind(StrEnum):
    """What a file is read as."""

    YAML = "yaml"
    DOCKERFILE = "dockerfile"
    LIST = "list"


class ImagesFileError(ValueError):
    """The file cannot be used; the message names the place and what is wrong there."""


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: targets in order, each once, and sentences on what was left out.

    A text that stands where an image must, and is none, is a target with a ``defect``.
    """

    targets: tuple[Target, ...]
    left_out: tuple[str, ...] = ()


def read(data: bytes, name: str, environment: Mapping[str, str]) -> Images:
    """Finds the images that a file names.

    :param name: the file's name, which tells its kind and stands in messages.
    :param environment: for the variables that Compose files may hold.
    :raises ImagesFileError: the file is too large, not text, malformed, names no image or too many.
    """
    if len(data) > LARGEST:
        raise ImagesFileError(f"{name} is larger than {LARGEST} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ImagesFileError(f"{name} is not UTF-8 text") from None
    left_out: list[str] = []
    targets: dict[str, Target] = {}
    for line, image in _named(text, name, environment, left_out):
        if image in targets:
            continue
        targets[image] = _target(image, f"{name}:{line}")
        if len(targets) > MOST_IMAGES:
            raise ImagesFileError(f"{name} names more than {MOST_IMAGES} images")
    if not targets:
        reason = f"; {left_out[0]}" if left_out else ""
        raise ImagesFileError(f"{name} names no image{reason}")
    return Images(targets=tuple(targets.values()), left_out=tuple(left_out))


def kind_of(text: str, name: str) -> Kind:
    """What a file is read as."""
    if _DOCKERFILE_NAME.fullmatch(name):
        return Kind.DOCKERFILE
    if name.lower().endswith((".yaml", ".yml", ".json")):
        return Kind.YAML
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _DOCKERFILE_LINE.match(line.strip()):
            return Kind.DOCKERFILE
        return Kind.YAML if _YAML_LINE.match(line.strip()) else Kind.LIST
    return Kind.LIST


def _named(
    text: str, name: str, environment: Mapping[str, str], left_out: list[str]
) -> Iterator[tuple[int, str]]:
    """Line and image of every place that names one; adds to ``left_out`` what cannot be read here."""
    match kind_of(text, name):
        case Kind.DOCKERFILE:
            yield from _dockerfile(text, name, left_out)
        case Kind.YAML:
            yield from _yaml(text, name, environment, left_out)
        case Kind.LIST:
            yield from _list(text)


def _target(image: str, place: str) -> Target:
    """The image as a target: always an image, for ``redis:7000`` in such a file is no host and port."""
    try:
        reference = parse_reference(image)
        host = parse_target(reference.name)
    except InvalidReference as error:
        return defective_target(image, error, place)
    return msgspec.structs.replace(host, text=image, reference=reference, place=place)


def _list(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        image = re.split(r"\s#", line, maxsplit=1)[0].strip()
        if image and not image.startswith("#"):
            yield number, image


def _yaml(
    text: str, name: str, environment: Mapping[str, str], left_out: list[str]
) -> Iterator[tuple[int, str]]:
    for line, image, certain in _image_keys(text, name):
        place = f"{name}:{line}"
        if "://" in image and not certain:
            left_out.append(f"{place}: {image!r} is a URL and no image")
            continue
        if "{{" in image:
            left_out.append(f"{place}: {image!r} is a template that was not rendered")
            continue
        unset: list[str] = []
        filled = _substituted(image, environment, unset)
        if unset:
            left_out.append(f"{place}: {image!r} needs the variable {unset[0]}, which is not set here")
        elif filled:
            yield line, filled


def _image_keys(text: str, name: str) -> Iterator[tuple[int, str, bool]]:
    """Every scalar under a key ``image``, and under ``reference`` below it (Kubernetes image volumes).

    With its line, and whether it stands in a container or service, where it can be nothing but an image.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(text, name, loader)
        for document in yaml.compose_all(text, Loader=loader):
            yield from _walk(document, name, set(), 0, certain=False)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None else name
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ImagesFileError(f"{where} is not YAML: {problem}") from None
    except RecursionError:
        raise ImagesFileError(f"{name} is nested too deeply") from None


def _check_depth(text: str, name: str, loader: Any) -> None:
    """Refuses deep nesting before anything is composed: libyaml's composer recurses, and would end the process."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEPTH:
                raise ImagesFileError(f"{name} is nested deeper than {_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _walk(
    node: Node | None, name: str, seen: set[int], depth: int, *, certain: bool
) -> Iterator[tuple[int, str, bool]]:
    """Every image below a node; ``seen`` are the nodes of this document that were visited.

    :param certain: whether the node is a container (Kubernetes) or a service (Compose).
    """
    from yaml import MappingNode, ScalarNode, SequenceNode

    if depth > _DEPTH:
        raise ImagesFileError(f"{name} is nested deeper than {_DEPTH} levels")
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _walk(item, name, seen, depth + 1, certain=certain)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == "image":
                image = _reference_of(value) if isinstance(value, MappingNode) else value
                if isinstance(image, ScalarNode) and image.value and image.tag != _NULL:
                    yield image.start_mark.line + 1, image.value, certain
            holds = getattr(key, "value", None)
            if holds == "services" and isinstance(value, MappingNode):
                for _service, settings in value.value:
                    yield from _walk(settings, name, seen, depth + 2, certain=True)
            else:
                yield from _walk(value, name, seen, depth + 1, certain=holds in _CONTAINERS)


def _reference_of(volume: Any) -> Any:
    return next((value for key, value in volume.value if getattr(key, "value", None) == "reference"), None)


def _substituted(text: str, variables: Mapping[str, str], unset: list[str]) -> str:
    """Fills variables as Compose and Dockerfiles do; names in ``unset`` have neither value nor default."""

    def value_of(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name, sign, word = match["plain"] or match["name"], match["sign"] or "", match["word"] or ""
        value = variables.get(name)
        given = value is not None and (bool(value) or not sign.startswith(":"))
        if sign.endswith("+"):
            return _substituted(word, variables, unset) if given else ""
        if given:
            return value or ""
        if sign.endswith("-"):
            return _substituted(word, variables, unset)
        unset.append(name)
        return ""

    return _VARIABLE.sub(value_of, text)


def _dockerfile(text: str, name: str, left_out: list[str]) -> Iterator[tuple[int, str]]:
    """The images of ``FROM`` and of ``COPY --from`` (Dockerfile reference), without stages and ``scratch``."""
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    for line, instruction, words in _instructions(text):
        place = f"{name}:{line}"
        image: str | None = None
        if instruction == "ARG" and not stages:
            for word in words:
                key, equals, value = word.partition("=")
                if equals:
                    arguments[key] = _substituted(value.strip("\"'"), arguments, [])
        elif instruction == "FROM":
            rest = [word for word in words if not word.startswith("--")]
            image = rest[0] if rest else None
            alias = rest[2] if len(rest) >= 3 and rest[1].upper() == "AS" else f"stage {len(stages)}"
            known = image is not None and image.lower() in stages
            stages.add(alias.lower())
            if image is None or known or image == "scratch":
                continue
        elif instruction == "COPY":
            image = next((word.removeprefix("--from=") for word in words if word.startswith("--from=")), None)
            if image is None or image.lower() in stages or image.isdigit():
                continue
        if image is None:
            continue
        unset: list[str] = []
        filled = _substituted(image.strip("\"'"), arguments, unset)
        if unset:
            left_out.append(f"{place}: {image!r} needs the build argument {unset[0]}, which has no default")
        elif filled.lower() not in stages and filled != "scratch":
            yield line, filled


def _instructions(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Line, keyword and words of every instruction: continued lines joined, comments and here-documents out."""
    escape = "\\"
    directive = re.match(r"(?:#\s*\w+\s*=.*\n)*?#\s*escape\s*=\s*([`\\])", text, re.IGNORECASE)
    if directive:
        escape = directive[1]
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        joined = line.strip()
        if not joined or joined.startswith("#"):
            continue
        while joined.endswith(escape):
            joined = joined[:-1]
            continued = next((each for _, each in lines if not each.lstrip().startswith("#")), None)
            if continued is None:
                break
            joined += f" {continued.strip()}"
        keyword, *words = joined.split()
        keyword = keyword.upper()
        if keyword in {"RUN", "COPY", "ADD"}:
            for _quote, end in _HEREDOC.findall(joined):
                next((None for _, each in lines if each.strip() == end), None)
        if keyword == "ONBUILD" and words:
            continue
        yield number, keyword, words
