"""Which finding codes a message may come from, by the symptoms of the catalogue.

A symptom is matched whatever the case, white space, kind of quotes and JSON escapes of the message, so that
the same words are found in a terminal, a log line and a Kubernetes event. ``…`` in a symptom stands for up to
``MAX_GAP`` characters. Prefixes that depend on the client's version do not matter, since a symptom may stand
anywhere in the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from regdoctor.model import Severity

if TYPE_CHECKING:
    from regdoctor.catalogue import Catalogue, Code

MAX_MESSAGE: Final = 64 * 1024
"""Characters of a message that are looked at; what follows is left out."""

MAX_GAP: Final = 600
"""Characters that ``…`` may stand for: an upload URL with its state fits in."""

_MAX_STARTS: Final = 1000
_MAX_PLACES: Final = 50
_SEVERITIES: Final = tuple(Severity)
_ESCAPES: Final = {"\\u003c": "<", "\\u003e": ">", "\\u0026": "&", "\\u0027": "'", "\\u0022": '"'}
_ESCAPE: Final = re.compile("|".join(map(re.escape, _ESCAPES)))
_ESCAPED_SPACE: Final = re.compile(r"\\+[nrt]")
_QUOTES: Final = re.compile(r"\\*[\"'`‘’‚‛“”„‟«»´]")
_SPACE: Final = re.compile(r"\s+")


class Place(NamedTuple):
    """Where a symptom begins and ends in the normalised message."""

    start: int
    end: int


@dataclass(frozen=True)
class Match:
    """A code that a message may come from.

    ``symptom`` is the catalogue's wording that was found, ``weight`` its number of fixed characters and
    ``shared_by`` how many codes show themselves by the same words.
    """

    code: Code
    symptom: str
    weight: int
    shared_by: int


def normalise(text: str) -> str:
    """Return the text as symptoms are compared: bounded, lower case, no quotes, single blanks."""
    text = _ESCAPE.sub(lambda match: _ESCAPES[match[0].lower()], text[:MAX_MESSAGE].lower())
    text = _QUOTES.sub("", _ESCAPED_SPACE.sub(" ", text))
    return _SPACE.sub(" ", text)


class SymptomIndex:
    """The symptoms of a catalogue, made ready for many messages.

    ``order`` lists areas from the most to the least probable seat of a fault among equally good matches.
    """

    def __init__(self, catalogue: Catalogue, order: Sequence[str] = ()) -> None:
        self._order = order
        self._codes: dict[str, list[tuple[Code, int, str]]] = {}
        self._segments: dict[str, tuple[str, ...]] = {}
        for code in catalogue.codes.values():
            for position, symptom in enumerate(code.symptoms):
                words = normalise(symptom).strip()
                self._codes.setdefault(words, []).append((code, position, symptom))
                self._segments[words] = tuple(words.split("…"))

    def find(self, message: str) -> tuple[Match, ...]:
        """Return every code that the message may come from, best first.

        A symptom that stands only inside a longer one of the catalogue does not count: the longer text says
        more. Among codes that share their words the graver come first, then the broadest, which is the one
        that most of the others explain, then those of which the words are most typical.
        """
        text = normalise(message)
        places = {words: _places(text, segments) for words, segments in self._segments.items()}
        inner = _inner({place for at in places.values() for place in at})
        best: dict[str, tuple[tuple[int, int], str, str]] = {}
        for words, at in places.items():
            if not set(at) - inner:
                continue
            weight = sum(len(segment.strip()) for segment in self._segments[words])
            for code, position, symptom in self._codes[words]:
                rank = (-weight, position)
                if code.code not in best or rank < best[code.code][0]:
                    best[code.code] = (rank, words, symptom)
        matches = [
            (self._codes_of(words, code), rank, words, symptom)
            for code, (rank, words, symptom) in best.items()
        ]
        codes = {code.code for code, *_ in matches}

        def order(match: tuple[Code, tuple[int, int], str, str]) -> tuple[int, int, int, int, int, str]:
            code, (weight, position), words, _ = match
            rivals = {other for other, (_, theirs, _) in best.items() if theirs == words} & codes
            breadth = len(rivals & set(code.explained_by))
            gravity = _SEVERITIES.index(code.severity)
            return (weight, gravity, -breadth, position, self._rung(code.area), code.code)

        return tuple(
            Match(code=code, symptom=symptom, weight=-rank[0], shared_by=self._sharers(words))
            for code, rank, words, symptom in sorted(matches, key=order)
        )

    def _codes_of(self, words: str, code: str) -> Code:
        return next(each for each, _, _ in self._codes[words] if each.code == code)

    def _sharers(self, words: str) -> int:
        return len({code.code for code, _, _ in self._codes[words]})

    def _rung(self, area: str) -> int:
        return self._order.index(area) if area in self._order else len(self._order)


def _places(text: str, segments: Sequence[str]) -> tuple[Place, ...]:
    """Where the segments stand one after the other, with at most ``MAX_GAP`` characters between two."""
    first, *others = segments
    found: list[Place] = []
    start = -1
    for _ in range(_MAX_STARTS):
        start = text.find(first, start + 1)
        if start < 0 or len(found) == _MAX_PLACES:
            break
        end = start + len(first)
        for segment in others:
            shared = text[end - 1 : end] == segment[:1] == " "
            at = text.find(segment, end - shared, end + MAX_GAP + len(segment))
            if at < 0:
                break
            end = at + len(segment)
        else:
            if _stands_alone(text, start, end):
                found.append(Place(start, end))
    return tuple(found)


def _inner(places: Iterable[Place]) -> frozenset[Place]:
    """The places that lie within a longer one."""
    inner = set()
    furthest = -1
    for place in sorted(places, key=lambda place: (place.start, -place.end)):
        if place.end <= furthest:
            inner.add(place)
        furthest = max(furthest, place.end)
    return frozenset(inner)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether the place neither begins nor ends inside a word or number."""
    begins = start == 0 or not (text[start - 1].isalnum() and text[start].isalnum())
    return begins and (end == len(text) or not (text[end - 1].isalnum() and text[end].isalnum()))
