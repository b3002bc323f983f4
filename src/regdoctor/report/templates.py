"""The jinja2 environment of the report templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


class Safe(str):
    """Text that is laid out and escaped already: a template writes it as it is."""

    __slots__ = ()


def escaping(escape: Callable[[str], str]) -> Callable[[Any], str]:
    """A ``finalize`` that passes :class:`Safe` text and escapes anything else."""
    return lambda value: value if isinstance(value, Safe) else escape(str(value))


def load(name: str, finalize: Callable[[Any], Any], *, autoescape: bool, **names: Any) -> Template:
    """A template of ``reports/templates``.

    :param finalize: makes safe whatever an expression of the template gives, so that none is forgotten.
    :param autoescape: whether jinja2 escapes for HTML.
    :param names: functions and values that the template may use besides those of the rendering.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("regdoctor.templates", ""),
        undefined=StrictUndefined,
        autoescape=autoescape,  # noqa: S701 - for text and Markdown ``finalize`` escapes
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(names)
    return environment.get_template(name)
