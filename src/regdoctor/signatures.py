"""Probes and rules as declared: what their signatures say that they need and provide.

Only declarations live here; :mod:`regdoctor.engine` finds, orders and runs them.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from regdoctor.facts.base import Endpoint, EndpointFact, Fact, Role, fact_name
from regdoctor.model import Certainty, Severity
from regdoctor.oci.reference import Target

F = TypeVar("F", bound=EndpointFact)
Function = TypeVar("Function", bound=Callable[..., Any])


class DeclarationError(Exception):
    """A probe, a rule or a check is declared wrongly; the message names it and says what to change."""


class Blocked(Exception):  # noqa: N818 - it ends a probe, it is not an error
    """Raised by a probe that cannot look because of a fault seen before.

    The reason is a clause in plain words that goes on from "skipped: ", such as
    ``nothing listens on reg.test:5000``.
    """


class NotApplicable(Exception):  # noqa: N818 - it ends a probe, it is not an error
    """Raised by a probe that has nothing to look at here (no configuration given, no TLS on a plain port)."""


class Each(Mapping[Endpoint, F], Generic[F]):
    """One endpoint fact for every host on the way that has it, as a parameter of a probe or rule.

    ``Each[Ping]`` in a rule means every host; ``Annotated[Each[Ping], Role.TOKEN_SERVER]`` those of one role
    (probes must name the roles, for the engine orders by them). ``missing`` says why a host lacks the fact.
    """

    def __init__(self, facts: Mapping[Endpoint, F], missing: Mapping[Endpoint, str] | None = None) -> None:
        self._facts = dict(facts)
        self.missing: Mapping[Endpoint, str] = dict(missing or {})

    def __getitem__(self, endpoint: Endpoint) -> F:
        return self._facts[endpoint]

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)


class Need(msgspec.Struct, frozen=True):
    """One parameter of a probe or rule. The target stands beside the facts, as what they are about."""

    parameter: str
    fact: type[Fact | Target]
    optional: bool = False
    each: bool = False
    roles: tuple[Role, ...] = ()

    @property
    def name(self) -> str:
        """The needed fact's name, as reports write it."""
        return fact_name(self.fact)


class Probe(msgspec.Struct, frozen=True):
    """A function that looks at the world and returns one fact."""

    function: Callable[..., Fact]
    provides: type[Fact]
    needs: tuple[Need, ...]
    context: str | None
    """The name of the parameter that takes the :class:`regdoctor.context.Context`, if any."""

    @property
    def name(self) -> str:
        """``module.function``, for messages."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def per_endpoint(self) -> bool:
        """Whether there is one run of it for each host on the way."""
        return issubclass(self.provides, EndpointFact)


class Rule(msgspec.Struct, frozen=True):
    """A pure generator function: facts in, findings out."""

    function: Callable[..., Iterator[Draft]]
    codes: tuple[str, ...]
    needs: tuple[Need, ...]

    @property
    def name(self) -> str:
        """``module.function``, for messages."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def per_endpoint(self) -> bool:
        """Whether it is judged once for each host on the way."""
        return any(issubclass(need.fact, EndpointFact) and not need.each for need in self.needs)


class Draft(msgspec.Struct, frozen=True):
    """A finding as a rule yields it; the engine adds the catalogue's texts, the check and the identity."""

    code: str
    detail: str
    certainty: Certainty = Certainty.PROVEN
    severity: Severity | None = None
    fix: tuple[str, ...] = ()
    reproduce: str | None = None
    evidence: tuple[str, ...] = ()
    endpoint: Endpoint | None = None
    values: Mapping[str, str] = msgspec.field(default_factory=dict)
    unexplained_by: tuple[str, ...] = ()


def finding(
    code: str,
    detail: str,
    *,
    certainty: Certainty = Certainty.PROVEN,
    severity: Severity | None = None,
    fix: tuple[str, ...] = (),
    reproduce: str | None = None,
    evidence: tuple[str, ...] = (),
    endpoint: Endpoint | None = None,
    unexplained_by: tuple[str, ...] = (),
    **values: str,
) -> Draft:
    """What a rule yields.

    :param code: one of the codes that the rule declares.
    :param detail: what was seen, with the values, in plain sentences.
    :param certainty: how firmly the facts support it.
    :param severity: only where it differs from the catalogue's.
    :param fix: lines that go before the catalogue's, for what is only known here.
    :param reproduce: replaces the catalogue's command.
    :param evidence: exchange ids, ``file:line`` places or fact names.
    :param endpoint: the host that it is about, where the rule is not judged per host anyway.
    :param unexplained_by: codes that by the catalogue explain this one and, by the facts, do not explain it here.
    :param values: further placeholders for the catalogue's ``fix`` and ``reproduce``.
    """
    return Draft(
        code=code,
        detail=detail,
        certainty=certainty,
        severity=severity,
        fix=fix,
        reproduce=reproduce,
        evidence=evidence,
        endpoint=endpoint,
        values=values,
        unexplained_by=unexplained_by,
    )


def probe(function: Function) -> Function:
    """Marks a function as a probe. Its signature is read when its check is loaded."""
    function.__regdoctor_probe__ = True  # type: ignore[attr-defined]
    return function


def rule(*codes: str) -> Callable[[Function], Function]:
    """Marks a generator function as a rule that may yield the given codes."""
    if not codes:
        raise DeclarationError("@rule needs at least one code")

    def mark(function: Function) -> Function:
        function.__regdoctor_rule__ = codes  # type: ignore[attr-defined]
        return function

    return mark


def read_probe(function: Callable[..., Any]) -> Probe:
    """Reads a probe's signature.

    :raises DeclarationError: a parameter or the return value is not annotated with what a probe may have.
    """
    from regdoctor.context import Context

    hints = _hints(function)
    provides = hints.pop("return", None)
    if not (isinstance(provides, type) and issubclass(provides, Fact)):
        raise DeclarationError(
            f"probe {_label(function)} must be annotated to return a Fact, not {provides!r}"
        )
    context = None
    needs = []
    for parameter, hint in hints.items():
        if hint is Context:
            context = parameter
        else:
            needs.append(_read_need(function, parameter, hint))
    for need in needs:
        if need.each and not need.roles:
            raise DeclarationError(
                f"probe {_label(function)}: {need.parameter} must name its roles, as in "
                f"Annotated[Each[{need.fact.__name__}], Role.TOKEN_SERVER]"
            )
    return Probe(function=function, provides=provides, needs=tuple(needs), context=context)


def read_rule(function: Callable[..., Any]) -> Rule:
    """Reads a rule's signature.

    :raises DeclarationError: a parameter is not annotated with a fact.
    """
    hints = _hints(function)
    hints.pop("return", None)
    needs = tuple(_read_need(function, parameter, hint) for parameter, hint in hints.items())
    return Rule(function=function, codes=function.__regdoctor_rule__, needs=needs)  # type: ignore[attr-defined]


def _label(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            f"{_label(function)}: {error}; facts named in a signature must be imported at run time"
        ) from error
    parameters = function.__code__.co_varnames[
        : function.__code__.co_argcount + function.__code__.co_kwonlyargcount
    ]
    for parameter in parameters:
        if parameter not in hints:
            raise DeclarationError(f"{_label(function)}: parameter {parameter} has no annotation")
    return hints


def _read_need(function: Callable[..., Any], parameter: str, hint: Any) -> Need:
    optional = False
    roles: tuple[Role, ...] = ()
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not types.NoneType]
        optional = len(members) < len(get_args(hint))
        if len(members) != 1:
            raise DeclarationError(f"{_label(function)}: {parameter} may be one fact, or one fact or None")
        hint = members[0]
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        roles = tuple(extra for extra in extras if isinstance(extra, Role))
    each = get_origin(hint) is Each
    if each:
        (hint,) = typing.get_args(hint)
    if not (isinstance(hint, type) and (issubclass(hint, Fact) or hint is Target)):
        raise DeclarationError(
            f"{_label(function)}: parameter {parameter} is annotated {hint!r}, which is neither a fact, "
            "Each[fact] nor (in a probe) Context"
        )
    if each and not issubclass(hint, EndpointFact):
        raise DeclarationError(
            f"{_label(function)}: Each[...] takes an EndpointFact, and {hint.__name__} is none"
        )
    return Need(parameter=parameter, fact=hint, optional=optional, each=each, roles=roles)
