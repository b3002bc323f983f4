"""Key by key: unknown ones, misplaced ones, dropped ones, and values that do not fit. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from regdoctor.api import (
    ConfigEntry,
    ConfigFile,
    Draft,
    EffectiveConfiguration,
    Severity,
    near,
    registry_keys,
    registry_values,
)
from regdoctor.checks.config.wording import about, joined, shown, stops

Path = tuple[str, ...]

_BRANCHES = frozenset({"section", "named", "parameters"})
_MOST_PLACES = 3
"""Keys that stand at more places than this say nothing about where one belongs."""
_SHORTEST_SENSIBLE = 1_000_000
"""Nanoseconds; no setting is meant to last less than a thousandth of a second."""
_TYPES = {
    "section": "a section with keys below it",
    "named": "a map",
    "parameters": "a section with keys below it",
    "list": "a list",
    "texts": "a list, as in [a, b]",
    "text": "one value",
    "boolean": "true or false, without quotes",
    "integer": "a number",
    "duration": "a duration such as 30s or 1h30m (units: ns, us, ms, s, m, h)",
}


def unknown_keys(configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """Keys that this version does not know at their place; of a section only itself."""
    settings = configuration.settings
    # What the decoder refuses has no keys.
    tree = registry_values.tree(settings.entries)
    left_out: list[Path] = [each.path for each in registry_values.mismatches(tree, ())]
    for entry in settings.entries:
        path = entry.path
        if any(path[: len(each)] == each for each in left_out):
            continue
        key = registry_keys.schema().find(path)
        if key is not None and key.versions & configuration.versions:
            continue
        if _is_free(path):
            left_out.append(path)
            continue
        left_out.append(path)
        if key is not None:
            yield _of_other_version(entry, key, settings)
        else:
            yield _unknown(entry, settings)


def _is_free(path: Path) -> bool:
    """Whether a key that the table lacks is none of the registry's business, or another rule's."""
    if path[0] in ("storage", "auth") and len(path) == 2:
        return True
    if (len(path) == 1 and path[0][:1] in (".", "_")) or path[0].startswith("x-"):
        # Anchors that the file itself refers to are kept at such places.
        return True
    above = registry_keys.schema().find(path[:-1])
    return (
        len(path) > 1 and above is not None and above.untyped and not registry_keys.schema().below(path[:-1])
    )


def _of_other_version(entry: ConfigEntry, key: registry_keys.Key, settings: ConfigFile) -> Draft:
    if key.in_ == "3":
        return about(
            "config/unknown-key",
            settings,
            entry,
            f"only version 3 of the registry knows {entry.name}. Version 2.8 ignores it without a word.",
        )
    instead = (
        f" Version 3 has {key.instead} in its place." if key.instead else " Nothing takes its place there."
    )
    return about(
        "config/removed-key",
        settings,
        entry,
        f"version 3 of the registry has no {entry.name} any more and ignores it without a word.{instead}",
    )


def _unknown(entry: ConfigEntry, settings: ConfigFile) -> Draft:
    places = places_of(entry.path, entry.kind, settings)
    siblings = [name for name in registry_keys.schema().below(entry.path[:-1]) if name != "*"]
    plain = _plain(entry.path[-1])
    spelt = next((name for name in siblings if _plain(name) == plain), None)
    ignored = "The registry ignores it without a word, so that the setting has no effect."
    if spelt is None and places:
        right = joined(".".join(place) for place in places)
        return about(
            "config/misplaced-key",
            settings,
            entry,
            f"{entry.name} is no setting; {right} is. {ignored}",
            fix=moving(entry, places),
        )
    guesses = (spelt,) if spelt else near.near(entry.path[-1], siblings, 2)
    hint = f" Is {joined('.'.join((*entry.path[:-1], guess)) for guess in guesses)} meant?" if guesses else ""
    return about(
        "config/unknown-key",
        settings,
        entry,
        f"no version of the registry knows {entry.name}. {ignored}{hint}",
    )


def _plain(name: str) -> str:
    return re.sub(r"[-_. ]", "", name).lower()


def places_of(path: Path, kind: str, settings: ConfigFile) -> tuple[Path, ...]:
    """Where a key of this name belongs, as far as few places are possible, the likeliest first."""
    found = []
    for place in registry_keys.schema().named(_plain(path[-1])):
        key = registry_keys.schema().keys[place]
        if "*" in place or place == path:
            continue
        if place[0] in ("storage", "auth") and len(place) > 2 and settings.get(*place[:2]) is None:
            # A parameter of another driver or method than the one that is used.
            continue
        if kind != "null" and key.type != "any" and (key.type in _BRANCHES) != (kind == "map"):
            continue
        found.append(place)
    if len(found) > _MOST_PLACES:
        return ()
    return tuple(sorted(found, key=lambda place: (-_common(place, path), len(place))))


def moving(entry: ConfigEntry, places: tuple[Path, ...]) -> tuple[str, ...]:
    """How to mend a key that belongs elsewhere."""
    if not places:
        return ()
    right = joined(".".join(place) for place in places)
    return (f"move {entry.path[-1]} to where {right} stands, and mind its indentation",)


def _common(one: Path, other: Path) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


def wrong_types(file: ConfigFile, configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """Values that the registry's YAML decoder refuses: it reads the file before any variable replaces them."""
    written = {
        mismatch.path: mismatch
        for mismatch in registry_values.mismatches(registry_values.tree(file.entries), ())
    }
    changed = {
        mismatch.path: mismatch
        for mismatch in registry_values.mismatches(registry_values.tree(configuration.settings.entries), ())
    }
    for mismatch in (changed | written).values():
        settings = file if mismatch.path in written else configuration.settings
        entry = settings.get(*mismatch.path)
        if entry is None or mismatch.path == ("version",):
            continue
        key = registry_keys.schema().find(mismatch.path)
        if key is not None and not key.versions & configuration.versions:
            continue
        stray = mismatch.path[0] in ("storage", "auth") and len(mismatch.path) == 2 and key is None
        places = places_of(mismatch.path, entry.kind, settings) if stray else ()
        hint = f" {joined('.'.join(place) for place in places)} exists." if places else ""
        wanted = _TYPES.get(key.type, "something else") if key is not None else _TYPES["section"]
        yield about(
            "config/wrong-type",
            settings,
            entry,
            f"{entry.name} is {shown(entry)}, but must be {wanted}.{hint} {stops(mismatch.words)}",
            fix=moving(entry, places),
        )


def wrong_values(configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """Values of the right type that the registry refuses, or takes for something else."""
    settings = configuration.settings
    for entry in settings.entries:
        key = registry_keys.schema().find(entry.path)
        if key is None or entry.kind == "null" or not _is_read(entry.path, settings):
            continue
        versions = key.versions & configuration.versions
        if not versions or (entry.kind in ("map", "list") and key.type not in ("flag", "number")):
            continue
        yield from _outside(entry, key, versions, settings)
        if key.type == "flag":
            yield from _flag(entry, settings)
        elif key.type == "number":
            yield from _number(entry, key, settings)
        elif key.type == "duration" and entry.kind == "integer":
            yield from _nanoseconds(entry, settings)


def _is_read(path: Path, settings: ConfigFile) -> bool:
    if path[:3] in (("http", "tls", "minimumtls"), ("http", "tls", "ciphersuites")):
        return bool(
            settings.text("http", "tls", "certificate")
            or settings.text("http", "tls", "letsencrypt", "cachefile")
        )
    return True


def _outside(
    entry: ConfigEntry, key: registry_keys.Key, versions: frozenset[str], settings: ConfigFile
) -> Iterator[Draft]:
    value = entry.value or ""
    if key.words is None or (not value and not entry.name.endswith("level")):
        return
    taken: list[str] = []
    for version in sorted(versions):
        allowed = key.values(version)
        if value in allowed or (key.fold and value.lower() in [each.lower() for each in allowed]):
            return
        taken = list(allowed)
    if not taken:
        return
    words = key.words.replace("{value}", value.lower() if key.fold else value)
    known = [each for each in key.allowed if each.lower() == value.lower()]
    dropped = " Version 2.8 has it, version 3 has not." if known and versions == {"3"} else ""
    guesses = near.near(value, taken, 1)
    hint = f" Is {guesses[0]} meant?" if guesses else ""
    some = f"{joined(taken)}" if len(taken) <= 10 else "one of the names that the registry knows"
    yield about(
        "config/wrong-type",
        settings,
        entry,
        f"{entry.name} is {shown(entry)}, but must be {some}.{dropped}{hint} {stops(words)}",
        fix=(f"write {entry.name}: {guesses[0]}",) if guesses else (),
    )


def _flag(entry: ConfigEntry, settings: ConfigFile) -> Iterator[Draft]:
    if entry.kind == "boolean" or (entry.kind == "string" and registry_values.is_flag(entry.value or "")):
        return
    words = f"the {entry.path[-1]} parameter should be a boolean"
    yield about(
        "config/wrong-type",
        settings,
        entry,
        f"{entry.name} is {shown(entry)}, but must be true or false. {stops(words)}",
    )


def _number(entry: ConfigEntry, key: registry_keys.Key, settings: ConfigFile) -> Iterator[Draft]:
    driver, name = entry.path[1], entry.path[-1]
    number = _integer(entry)
    if number is None:
        words = "maxthreads config error" if driver == "filesystem" else f"{name}"
        yield about(
            "config/wrong-type",
            settings,
            entry,
            f"{entry.name} is {shown(entry)}, but must be a whole number. {stops(words)}",
        )
        return
    too_small = key.least is not None and number < key.least
    too_large = key.most is not None and number > key.most
    if too_small or too_large:
        bounds = f"at least {key.least}" + (f" and at most {key.most}" if key.most is not None else "")
        words = f"the {name} {number} parameter should be a number"
        yield about(
            "config/wrong-type",
            settings,
            entry,
            f"{entry.name} is {number}, but must be {bounds}. {stops(words)}",
        )


def _integer(entry: ConfigEntry) -> int | None:
    """A whole number as Go takes it from a parameter: a number, or a text of decimal digits."""
    text = (entry.value or "").replace("_", "") if entry.kind == "integer" else entry.value or ""
    if entry.kind not in ("integer", "string"):
        return None
    try:
        return (
            int(text, 0) if entry.kind == "integer" and not re.fullmatch("[-+]?0[0-7]+", text) else int(text)
        )
    except ValueError:
        return None


def _nanoseconds(entry: ConfigEntry, settings: ConfigFile) -> Iterator[Draft]:
    number = _integer(entry)
    if number is None or not 0 < number < _SHORTEST_SENSIBLE:
        return
    yield about(
        "config/wrong-type",
        settings,
        entry,
        f"{entry.name} is {number} without a unit. The registry takes that for {number} nanoseconds, which "
        f"is hardly meant; write {number}s for seconds.",
        severity=Severity.WARNING,
    )
