"""Scopes: what access a token is asked for and what it grants.

The grammar is ``docs/content/spec/auth/scope.md`` of distribution 3.1.1:
``type[(class)]:name:action[,action]``. The name may itself hold a colon (``host:port/repo``), so the type
ends at the first colon and the actions begin after the last one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

ANY_ACTION: Final = "*"

_TYPE: Final = re.compile(r"([a-z0-9]+)(?:\(([a-z0-9]+)\))?")
_MAX_TEXT: Final = 64 * 1024
_MAX_SCOPES: Final = 1000


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Access to one resource: ``actions`` (in the order given) on the ``name`` of a ``type``."""

    type: str
    resource_class: str | None = None
    name: str
    actions: tuple[str, ...] = ()

    def __str__(self) -> str:
        resource_class = f"({self.resource_class})" if self.resource_class else ""
        return f"{self.type}{resource_class}:{self.name}:{','.join(self.actions)}"


def repository_scope(repository: str, *actions: str) -> Scope:
    """Build the scope of a repository: ``repository:<name>:pull,push``."""
    return Scope(type="repository", name=repository, actions=actions)


def parse_scope(text: str) -> tuple[Scope, ...]:
    """Read the scopes of a challenge's or token response's ``scope``, which are parted by blanks.

    Actions may be empty (``repository:x:`` is what a token server answers that grants nothing). A part that
    breaks the grammar, such as the bare ``*`` of Gitea, is left out. At most 1000 scopes of the first 64 KiB
    are read. Never raises.
    """
    scopes: list[Scope] = []
    for part in text[:_MAX_TEXT].split()[:_MAX_SCOPES]:
        kind, first, rest = part.partition(":")
        name, last, actions = rest.rpartition(":")
        match = _TYPE.fullmatch(kind)
        if not first or not last or not name or match is None:
            continue
        scopes.append(
            Scope(
                type=match.group(1),
                resource_class=match.group(2),
                name=name,
                actions=tuple(action for action in actions.split(",") if action),
            )
        )
    return tuple(scopes)


def missing_actions(granted: Iterable[Scope], wanted: Scope) -> tuple[str, ...]:
    """Return the wanted actions that no granted scope holds, in the order wanted.

    As in distribution (``registry/auth/token/accesscontroller.go``) type and name must be equal, the class
    is not compared, and a granted ``*`` satisfies any action.
    """
    actions = {
        action
        for scope in granted
        if (scope.type, scope.name) == (wanted.type, wanted.name)
        for action in scope.actions
    }
    if ANY_ACTION in actions:
        return ()
    return tuple(action for action in wanted.actions if action not in actions)


def covers(granted: Iterable[Scope], wanted: Iterable[Scope]) -> bool:
    """Whether the granted scopes together satisfy every action of every wanted scope."""
    held = tuple(granted)
    return not any(missing_actions(held, scope) for scope in wanted)
