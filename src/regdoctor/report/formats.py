"""The formats by name. Nothing is imported before a format is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from regdoctor.model import Report
    from regdoctor.report.options import RenderOptions

    Renderer = Callable[[Report, RenderOptions], bytes]

MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "text": "regdoctor.report.text",
        "json": "regdoctor.report.json",
        "html": "regdoctor.report.html",
        "markdown": "regdoctor.report.markdown",
        "junit": "regdoctor.report.junit",
        "sarif": "regdoctor.report.sarif",
        "prometheus": "regdoctor.report.prometheus",
        "nagios": "regdoctor.report.nagios",
        "github": "regdoctor.report.github",
    }
)
"""Format name → module with a function ``render``."""


def renderer(name: str) -> Renderer:
    """The ``render`` function of a format.

    :raises KeyError: there is no such format.
    """
    from importlib import import_module

    return cast("Renderer", import_module(MODULES[name]).render)


def prepare(name: str) -> None:
    """Imports a renderer with its libraries and compiles its template, so that rendering is quick later."""
    from importlib import import_module

    module = import_module(MODULES[name])
    if hasattr(module, "prepare"):
        module.prepare()
