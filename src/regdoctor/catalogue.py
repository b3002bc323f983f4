"""The catalogue of finding codes: what each means, what mends it, and which messages it shows itself by.

Each check package holds a ``findings.toml``: a table ``[area]`` and one table for each code. Codes are
stable; their texts are the only place where the program explains itself, so everything else (reports,
``explain``, the pages under ``docs/codes``) reads them from here.

Texts under ``fix`` and ``reproduce`` may hold the places of ``PLACEHOLDERS`` in ``str.format`` style, with
``{{`` and ``}}`` for literal braces. A symptom is a fixed part of a message; ``…`` in it stands for what
varies.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec

from regdoctor.model import Severity

FILE_NAME: Final = "findings.toml"

PLACEHOLDERS: Final = frozenset(
    {"host", "port", "address", "url", "registry", "repository", "reference", "image"}
)
"""Names that ``fix`` and ``reproduce`` may use.

``host``, ``port``, ``address`` (``host:port``) and ``url`` (``scheme://host:port``) belong to the host that
the finding is about; ``registry`` (``host:port``), ``repository``, ``reference`` (tag or digest) and
``image`` (the whole reference) to the target.
"""

MAX_TITLE: Final = 80
MAX_FIX_LINES: Final = 5

LADDER: Final = (
    "dns",
    "proxy",
    "tcp",
    "trust",
    "tls",
    "clock",
    "http",
    "auth",
    "vendor",
    "image",
    "push",
    "disk",
    "storage",
    "config",
    "proxyconf",
    "ports",
    "client",
    "security",
    "logs",
)
"""Position on the way from a name to a blob, then what lies behind; orders what is equally certain."""

_Table = TypeVar("_Table")
_CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*")


class CatalogueError(Exception):
    """A ``findings.toml`` is missing, malformed or contradicts another; the message names file and code."""


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What the program knows of one finding code.

    ``explained_by`` names codes which, found in the same run on the same host, are the cause of this one.
    ``symptoms`` are ordered: the message that is most typical of this cause comes first. ``decides`` is the
    observation that tells this cause from others which share its messages.
    """

    code: str
    area: str
    title: str
    severity: Severity
    meaning: str
    fix: tuple[str, ...]
    reproduce: str
    symptoms: tuple[str, ...]
    explained_by: tuple[str, ...]
    decides: str
    sources: tuple[str, ...]


class Area(msgspec.Struct, frozen=True, kw_only=True):
    """One check package: its name, its texts and its codes in the order of the file."""

    name: str
    package: str
    title: str
    summary: str
    codes: tuple[str, ...]


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Every area and every code, in the order in which the packages were given."""

    areas: tuple[Area, ...]
    codes: Mapping[str, Code]

    def __getitem__(self, code: str) -> Code:
        return self.codes[code]

    def __contains__(self, code: object) -> bool:
        return code in self.codes


class _AreaTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    summary: str


class _CodeTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    severity: Severity
    meaning: str
    fix: tuple[str, ...]
    reproduce: str
    symptoms: tuple[str, ...]
    explained_by: tuple[str, ...]
    decides: str
    sources: tuple[str, ...]


def load(packages: Sequence[str], *, whole: bool = True) -> Catalogue:
    """Read ``findings.toml`` of every package, such as ``regdoctor.checks.tls``.

    :param whole: whether these are all packages, so that every code that ``explained_by`` names is among them.
    :raises CatalogueError: a file is missing or not TOML, a key is unknown or lacking, a code stands twice, a
        text has a wrong place-holder, or ``explained_by`` names an unknown code or leads in a circle.
    """
    areas: list[Area] = []
    codes: dict[str, Code] = {}
    origins: dict[str, str] = {}
    for package in packages:
        area, entries = _read(package)
        areas.append(area)
        for entry in entries:
            if entry.code in codes:
                raise CatalogueError(
                    f"{_file(package)}: {entry.code}: stands in {origins[entry.code]} as well"
                )
            codes[entry.code] = entry
            origins[entry.code] = _file(package)
    if whole:
        _check_explanations(codes.values(), origins)
    return Catalogue(areas=tuple(areas), codes=MappingProxyType(codes))


def docs_page(code: str) -> str:
    """Return the page and anchor that explain a code: ``docs/codes/tls.md#tls-expired``."""
    area, _, name = code.partition("/")
    return f"docs/codes/{area}.md#{area}-{name}"


def placeholders(text: str) -> frozenset[str]:
    """Return the place-holders that a text of ``fix`` or ``reproduce`` uses.

    :raises ValueError: single braces, or a place-holder that is not a bare name of ``PLACEHOLDERS``.
    """
    from string import Formatter

    names = set()
    for _literal, name, specification, conversion in Formatter().parse(text):
        if name is None:
            continue
        if name not in PLACEHOLDERS or specification or conversion:
            raise ValueError(f"{{{name}}} is not one of {', '.join(sorted(PLACEHOLDERS))}")
        names.add(name)
    return frozenset(names)


def _file(package: str) -> str:
    return f"{package.replace('.', '/')}/{FILE_NAME}"


def _read(package: str) -> tuple[Area, tuple[Code, ...]]:
    document = _document(package)
    area = _convert(document.pop("area", None), _AreaTable, f"{_file(package)}: [area]")
    name = package.rpartition(".")[2]
    entries = tuple(_code(package, name, code, table) for code, table in document.items())
    codes = tuple(entry.code for entry in entries)
    return Area(name=name, package=package, title=area.title, summary=area.summary, codes=codes), entries


def _document(package: str) -> dict[str, Any]:
    from importlib.resources import files

    try:
        text = files(package).joinpath(FILE_NAME).read_text(encoding="utf-8")
    except (OSError, ModuleNotFoundError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{_file(package)} cannot be read: {error}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{_file(package)} is not TOML: {error}") from error


def _convert(table: object, kind: type[_Table], where: str) -> _Table:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{where}: {error}") from error


def _code(package: str, area: str, code: str, table: object) -> Code:
    where = f"{_file(package)}: {code}"
    if _CODE.fullmatch(code) is None:
        raise CatalogueError(f"{where}: a code is area/name in lower case")
    entry = _convert(table, _CodeTable, where)
    for reason in _objections(entry):
        raise CatalogueError(f"{where}: {reason}")
    return Code(
        code=code,
        area=area,
        title=entry.title,
        severity=entry.severity,
        meaning=" ".join(entry.meaning.split()),
        fix=entry.fix,
        reproduce=entry.reproduce,
        symptoms=entry.symptoms,
        explained_by=entry.explained_by,
        decides=entry.decides,
        sources=entry.sources,
    )


def _objections(entry: _CodeTable) -> Iterable[str]:
    if not entry.title or len(entry.title) > MAX_TITLE or entry.title.endswith(".") or "\n" in entry.title:
        yield f"title: one sentence of at most {MAX_TITLE} characters without a final dot"
    if not entry.meaning.strip():
        yield "meaning: is empty"
    for field in ("title", "meaning", "decides"):
        if set("{}") & set(getattr(entry, field)):
            yield f"{field}: braces, but it has no place-holders"
    if not 1 <= len(entry.fix) <= MAX_FIX_LINES or not all(map(str.strip, entry.fix)):
        yield f"fix: 1 to {MAX_FIX_LINES} steps"
    if not entry.reproduce.strip():
        yield "reproduce: is empty"
    for field, text in (*(("fix", line) for line in entry.fix), ("reproduce", entry.reproduce)):
        if "\n" in text:
            yield f"{field}: more than one line"
        try:
            placeholders(text)
        except ValueError as error:
            yield f"{field}: {error}"
    if not all(symptom.strip("… ") for symptom in entry.symptoms):
        yield "symptoms: an empty one matches every message"
    if entry.symptoms and not entry.decides.strip():
        yield "decides: is empty, though messages lead here"
    if not entry.sources:
        yield "sources: is empty"


def _check_explanations(codes: Iterable[Code], origins: Mapping[str, str]) -> None:
    from graphlib import CycleError, TopologicalSorter

    graph = {code.code: code.explained_by for code in codes}
    for code, causes in graph.items():
        for cause in causes:
            if cause not in graph:
                raise CatalogueError(f"{origins[code]}: {code}: explained_by names {cause}, which is no code")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
        raise CatalogueError(
            f"{origins[circle[0]]}: {circle[0]}: explained_by leads in a circle: {' -> '.join(circle)}"
        ) from error
