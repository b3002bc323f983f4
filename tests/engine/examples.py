"""Small facts, probes and rules of the tests' own, and a check registry made of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from regdoctor.catalogue import Area, Catalogue, Code
from regdoctor.context import Context, Deadline, Trace
from regdoctor.engine.registry import CatalogueLoader, Check, CheckRegistry
from regdoctor.facts.base import Discovery, Endpoint, EndpointFact, Fact, Moment, Role, Settings
from regdoctor.model import Severity
from regdoctor.oci.reference import parse_target
from regdoctor.options import Options
from regdoctor.signatures import Draft, finding, read_probe, read_rule


class Colour(Fact, frozen=True, kw_only=True):
    """A fact about the target."""

    name: str


class Shade(Fact, frozen=True, kw_only=True):
    """A fact made from another one."""

    name: str


class Height(EndpointFact, frozen=True, kw_only=True):
    """A fact about one host."""

    host: str


class Width(EndpointFact, frozen=True, kw_only=True):
    """A fact about one host, made from another one about it."""

    host: str


class Helpers(Discovery, frozen=True, kw_only=True):
    """Names token servers."""

    discovers: ClassVar[Role] = Role.TOKEN_SERVER


def code(name: str, severity: Severity = Severity.ERROR, explained_by: tuple[str, ...] = ()) -> Code:
    """A catalogue entry."""
    return Code(
        code=name,
        area=name.partition("/")[0],
        title=f"Title of {name}",
        severity=severity,
        meaning="meaning",
        fix=("mend {host}",),
        reproduce="look at {address} {{}}",
        symptoms=(),
        explained_by=explained_by,
        decides="",
        sources=(),
    )


def check_registry(
    *functions: Callable[..., Any],
    codes: tuple[Code, ...] = (),
    areas: dict[str, tuple[Callable[..., Any], ...]] | None = None,
) -> CheckRegistry:
    """A registry with one check, ``test``, or one for each of ``areas``."""
    groups = areas or {"test": functions}
    entries = {entry.code: entry for entry in codes}
    checks: list[Check] = []
    catalogue = Catalogue(
        areas=tuple(
            Area(
                name=area,
                package=f"tests.{area}",
                title=area.title(),
                summary="",
                codes=tuple(name for name in entries if name.startswith(f"{area}/")),
            )
            for area in groups
        ),
        codes=entries,
    )
    texts = CatalogueLoader(lambda: catalogue)
    for area, members in groups.items():
        checks.append(
            Check(
                id=area,
                package=f"tests.{area}",
                distribution="tests",
                probes=tuple(read_probe(each) for each in members if hasattr(each, "__regdoctor_probe__")),
                rules=tuple(read_rule(each) for each in members if hasattr(each, "__regdoctor_rule__")),
                texts=texts,
            )
        )
    return CheckRegistry(checks=tuple(checks), texts=texts)


def context(deadline: float = 5.0, options: Options | None = None) -> Context:
    """A context without a network."""
    return Context(
        target=parse_target("reg.test:5000"),
        options=options or Options(),
        deadline=Deadline(deadline, 1.0),
        trace=Trace(),
        http=None,  # type: ignore[arg-type]
        environment={},
        home=Path("/nonexistent"),
        conceal=lambda _secret: None,
        shared={},
        lock=threading.Lock(),
    )


REGISTRY = Endpoint(role=Role.REGISTRY, scheme="https", host="reg.test", port=5000)
TOKEN_SERVER = Endpoint(role=Role.TOKEN_SERVER, scheme="https", host="auth.test", port=443)
MOMENT = Moment(now=datetime(2026, 1, 1, tzinfo=UTC))
SETTINGS = Settings()


def drafts_of(*pairs: tuple[str, str]) -> Iterator[Draft]:
    """Findings from codes and details."""
    for name, detail in pairs:
        yield finding(name, detail)
