"""Names that are near to one that does not exist: what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_MAX_CANDIDATES: Final = 10_000
_MAX_LENGTH: Final = 256
_MEASURED: Final = 400
"""How many candidates get the exact, slow measure; a cheap one picks them."""

_MAX_SLIPS: Final = 10

_NUMBER_OR_WORD: Final = re.compile(r"\d+|[a-z]+")


def near(name: str, candidates: Iterable[str], limit: int = 5) -> tuple[str, ...]:
    """Return the candidates that resemble ``name`` most, the nearest first, at most ``limit``.

    Meant for tags and repositories: differences of case, separators and a leading ``v`` count little, a
    version with the same beginning (``1.25.3`` for ``1.25``) is near, and single slips of the keyboard
    (Damerau-Levenshtein distance) are near in proportion to the length. What shares nothing with the name is
    not returned. At most 10 000 candidates of 256 characters are looked at.
    """
    if not name or limit <= 0:
        return ()
    wanted = name[:_MAX_LENGTH]
    rough: list[tuple[float, str]] = []
    for _, candidate in zip(range(_MAX_CANDIDATES), dict.fromkeys(candidates), strict=False):
        if candidate and candidate != name and len(candidate) <= _MAX_LENGTH:
            score = _overlap(wanted, candidate)
            if score > 0:
                rough.append((-score, candidate))
    ranked = []
    for _, candidate in sorted(rough)[:_MEASURED]:
        distance = _distance(wanted, candidate)
        if distance is not None:
            ranked.append((distance, abs(len(candidate) - len(name)), candidate))
    return tuple(candidate for _, _, candidate in sorted(ranked)[:limit])


def _simplified(name: str) -> str:
    text = re.sub(r"[._+-]+", "-", name.lower())
    return text[1:] if re.match(r"v\d", text) else text


def _pairs(text: str) -> set[str]:
    padded = f"^{text}$"
    return {padded[start : start + 2] for start in range(len(padded) - 1)}


def _overlap(name: str, candidate: str) -> float:
    """Share of letter pairs in common (Dice), a cheap measure that finds every near name."""
    first, second = _pairs(_simplified(name)), _pairs(_simplified(candidate))
    return 2 * len(first & second) / (len(first) + len(second))


def _distance(name: str, candidate: str) -> float | None:
    """Rank from 0 (the same but for spelling) to 1; ``None`` where the names have too little in common."""
    first, second = _simplified(name), _simplified(candidate)
    if first == second:
        return 0.0
    words, others = _NUMBER_OR_WORD.findall(first), _NUMBER_OR_WORD.findall(second)
    if words and others and (words == others[: len(words)] or others == words[: len(others)]):
        return 0.1 + 0.01 * abs(len(words) - len(others))
    if words and others and words[0].isdigit() and words[0] == others[0]:
        return _version_distance(words, others)
    # The last component of a repository is what people remember: team/app for teams/app or other/app.
    if "/" in first + second and first.rpartition("/")[2] == second.rpartition("/")[2]:
        return 0.2
    longest = max(len(first), len(second))
    allowed = max(1, min(longest // 3, _MAX_SLIPS))
    slips = _slips(first, second, allowed)
    if slips is None or (slips == longest and longest > 1):
        return None
    return 0.3 + 0.7 * slips / longest


def _version_distance(words: list[str], others: list[str]) -> float:
    """Rank versions that begin alike: the more parts in common the nearer, then by the first that differs."""
    common = next(i for i, (a, b) in enumerate(zip(words, others, strict=False)) if a != b)
    a, b = words[common], others[common]
    step = min(abs(int(a[:9]) - int(b[:9])), 1000) if a.isdigit() and b.isdigit() else 1000
    return 0.3 + 0.1 / common + step / 1e5


def _slips(first: str, second: str, allowed: int) -> int | None:
    """Damerau-Levenshtein distance (optimal string alignment), ``None`` where it exceeds ``allowed``."""
    if abs(len(first) - len(second)) > allowed:
        return None
    far = allowed + 1
    before: list[int] = []
    row = [min(j, far) for j in range(len(second) + 1)]
    for i, a in enumerate(first, 1):
        before, last, row = row, before, [far] * (len(second) + 1)
        row[0] = min(i, far)
        for j in range(max(1, i - allowed), min(len(second), i + allowed) + 1):
            b = second[j - 1]
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row[j] = min(cost, far)
        if min(row) > allowed:
            return None
    return row[-1] if row[-1] <= allowed else None
