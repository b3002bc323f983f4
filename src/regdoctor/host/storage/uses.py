"""What each repository holds, and what garbage collection would delete of it."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Final

from regdoctor.facts.storage import MOST_LISTED, Garbage, RepositoryUse
from regdoctor.host.storage.blobs import BlobTable
from regdoctor.host.storage.files import shown
from regdoctor.host.storage.shards import RECENT
from regdoctor.host.storage.tally import RepositoryNumbers

_FIELDS: Final = len(astuple(RepositoryNumbers()))
_UNUSED, _UNLINKED, _UNTAGGED, _PLATFORM = 0, 2, 4, 6
"""Where in a row of sums the blobs stand that need that kind of garbage collection; their bytes follow."""


@dataclass
class Sums:
    """What garbage collection would delete, by the number of the repository; 0 for blobs that none links."""

    rows: dict[int, list[int]] = field(default_factory=dict)
    recent: int = 0
    """Bytes of those that no manifest refers to and that are less than an hour old."""

    def of(self, number: int) -> Garbage:
        """What would be deleted of one repository."""
        return Garbage(**_named(self.rows.get(number, [0] * 8)))

    def total(self) -> Garbage:
        """What would be deleted of all."""
        return Garbage(**_named([sum(column) for column in zip(*self.rows.values(), [0] * 8, strict=True)]))


def _named(row: list[int]) -> dict[str, int]:
    return dict(zip(Garbage.__struct_fields__, row, strict=True))


def garbage(table: BlobTable) -> Sums:
    """Sums up the blobs that some garbage collection deletes."""
    sums = Sums()
    used, kept = bytes(table.used), bytes(table.kept)
    directly, kept_directly = bytes(table.used_directly), bytes(table.kept_directly)
    # Whatever any of the four parts holds is not needed by a manifest that a tag names itself.
    position = kept_directly.find(0)
    while position >= 0:
        size = table.sizes[position]
        if not used[position]:
            column = _UNUSED
            if table.seen[position] & RECENT:
                sums.recent += size
        elif not directly[position]:
            column = _UNLINKED
        else:
            column = _PLATFORM if kept[position] else _UNTAGGED
        row = sums.rows.setdefault(table.owners[position], [0] * 8)
        row[column] += 1
        row[column + 1] += size
        position = kept_directly.find(0, position + 1)
    return sums


class RepositoryUses:
    """What every repository holds, numbered from 1 in the order in which reading them began."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._numbers = array("Q")

    @property
    def names(self) -> list[str]:
        """The names of all repositories."""
        return [name for name in self._names if name]

    def begin(self) -> int:
        """The number of a folder that may be a repository."""
        self._names.append("")
        self._numbers.extend(astuple(RepositoryNumbers()))
        return len(self._names)

    def note(self, number: int, name: str, numbers: RepositoryNumbers) -> None:
        """Notes what a repository holds."""
        self._names[number - 1] = name
        self._numbers[(number - 1) * _FIELDS : number * _FIELDS] = array("Q", astuple(numbers))

    def total(self) -> RepositoryNumbers:
        """What all of them hold; a blob that several link is counted in each."""
        return RepositoryNumbers(*(sum(self._numbers[column::_FIELDS]) for column in range(_FIELDS)))

    def listed(self, sums: Sums | None) -> tuple[RepositoryUse, ...]:
        """The first :data:`MOST_LISTED`: those with most to delete, then the largest.

        :param sums: what garbage collection would delete, where that is known.
        """
        rows: Mapping[int, list[int]] = sums.rows if sums is not None else {}
        numbers = [number for number, name in enumerate(self._names, start=1) if name]
        if 0 in rows:
            numbers.append(0)

        def order(number: int) -> tuple[int, int, str]:
            row = rows.get(number, [0] * 8)
            size = self._of(number).size
            return -row[_UNUSED + 1] - row[_UNTAGGED + 1], -size, self._name(number) or ""

        return tuple(
            RepositoryUse(
                repository=self._name(number),
                **vars(self._of(number)),
                garbage=sums.of(number) if sums is not None else None,
            )
            for number in heapq.nsmallest(MOST_LISTED, numbers, key=order)
        )

    def _name(self, number: int) -> str | None:
        return shown(self._names[number - 1]) if number else None

    def _of(self, number: int) -> RepositoryNumbers:
        if not number:
            return RepositoryNumbers()
        return RepositoryNumbers(*self._numbers[(number - 1) * _FIELDS : number * _FIELDS])
