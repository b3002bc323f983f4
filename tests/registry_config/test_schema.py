"""The table of keys hangs together, and says what Go's types take."""

from __future__ import annotations

import pytest

from regdoctor.registry_config.environment import read_assignments, variable_names
from regdoctor.registry_config.schema import KeyType, schema
from regdoctor.registry_config.types import is_duration, is_flag

BRANCHES = {
    *(KeyType.SECTION, KeyType.NAMED, KeyType.LIST, KeyType.TEXTS, KeyType.PARAMETERS, KeyType.ANY),
}


def test_every_key_stands_below_another() -> None:
    for path in schema().keys:
        if len(path) > 1:
            assert path[:-1] in schema().keys, path
            assert schema().keys[path[:-1]].type in BRANCHES, path


def test_below_what_a_version_lacks_nothing_is_of_another() -> None:
    for path, key in schema().keys.items():
        if len(path) > 1:
            assert key.versions <= schema().keys[path[:-1]].versions, path


def test_values_that_are_limited_say_what_the_registry_prints() -> None:
    for path, key in schema().keys.items():
        assert bool(key.allowed) == bool(key.words), path
        assert not key.allowed3 or set(key.allowed) & set(key.allowed3), path


def test_names_and_numbers_are_found_by_their_pattern() -> None:
    assert schema().pattern(("health", "http", "3", "headers", "X-A", "0")) == (
        *("health", "http", "*", "headers", "*", "*"),
    )
    assert schema().find(("http", "headers", "X-A")) is not None
    assert schema().find(("http", "header")) is None
    assert schema().find(("storage", "swift", "rootdirectory")) is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("REGISTRY_STORAGE_DELETE_ENABLED", ("storage", "delete", "enabled")),
        ("REGISTRY_HEALTH_TCPCHECKERS", ("health", "tcp")),
        (
            "REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES",
            ("notifications", "events", "includereferences"),
        ),
        ("REGISTRY_COMPATIBILITY_SCHEMA1_TRUSTKEY", ("compatibility", "schema1", "signingkeyfile")),
    ],
)
def test_variables_have_the_names_of_gos_fields(name: str, path: tuple[str, ...]) -> None:
    assert variable_names()[name] == path


def test_keys_with_an_underscore_have_no_variable() -> None:
    assert not any("RETRY_DELAY" in name for name in variable_names())


@pytest.mark.parametrize("text", ["10s", "1h30m", "-1.5h", "+.5us", "1µs", "0", "1h0m0s", "100ms"])
def test_durations_of_go(text: str) -> None:
    assert is_duration(text)


@pytest.mark.parametrize("text", ["", "10", "1d", "s", "1 s", "1h 30m", "1S", ".s", "1e3s"])
def test_what_is_no_duration(text: str) -> None:
    assert not is_duration(text)


def test_flags_of_go() -> None:
    assert all(map(is_flag, ("1", "t", "TRUE", "false", "F")))
    assert not any(map(is_flag, ("yes", "on", "", "tRue")))


def test_a_file_of_variables() -> None:
    text = "# A=1\n\nREGISTRY_A=1\nexport REGISTRY_B='x=y'\nREGISTRY_A=2\nREGISTRY_C\nREGISTRY_D =3\n"
    found = [(each.name, each.value, each.line) for each in read_assignments(text)]
    assert found == [
        ("REGISTRY_A", "2", 5),
        ("REGISTRY_B", "'x=y'", 4),
        ("REGISTRY_D ", "3", 7),
    ]
