"""Scopes are split and compared as the distribution token specification says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.oci.scope import Scope, covers, missing_actions, parse_scope, repository_scope


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("repository:team/app:pull,push", repository_scope("team/app", "pull", "push")),
        ("registry:catalog:*", Scope(type="registry", name="catalog", actions=("*",))),
        ("repository:reg.test:5000/app:pull", repository_scope("reg.test:5000/app", "pull")),
        (
            "repository(plugin):team/app:pull",
            Scope(type="repository", resource_class="plugin", name="team/app", actions=("pull",)),
        ),
        ("repository:app:", repository_scope("app")),
    ],
)
def test_a_scope_ends_its_type_at_the_first_colon_and_begins_its_actions_after_the_last(
    text: str, scope: Scope
) -> None:
    assert parse_scope(text) == (scope,)
    assert str(scope) == text


def test_several_scopes_are_parted_by_blanks() -> None:
    scopes = parse_scope("repository:a:pull,push repository:b:pull")
    assert [scope.name for scope in scopes] == ["a", "b"]


@pytest.mark.parametrize(
    "text", ["", "*", "repository", "repository:app", "repository::pull", "Repo sitory:x:y:", ":a:pull"]
)
def test_what_is_no_scope_is_left_out(text: str) -> None:
    assert all(str(scope) in text for scope in parse_scope(text))
    assert parse_scope("*") == parse_scope("repository:app") == parse_scope("repository::pull") == ()


@pytest.mark.parametrize(
    ("granted", "wanted", "missing"),
    [
        ("repository:a:pull,push", "repository:a:pull", ()),
        ("repository:a:pull", "repository:a:pull,push", ("push",)),
        ("repository:a:pull repository:a:push", "repository:a:push,pull", ()),
        ("repository:a:*", "repository:a:delete,push", ()),
        ("repository:a:", "repository:a:pull", ("pull",)),
        ("repository:b:pull", "repository:a:pull", ("pull",)),
        ("registry:catalog:*", "repository:catalog:pull", ("pull",)),
        ("repository(plugin):a:pull", "repository:a:pull", ()),
        ("repository:a:pull", "repository:a:*", ("*",)),
        ("", "repository:a:pull", ("pull",)),
    ],
)
def test_only_a_star_or_the_action_itself_on_the_same_resource_is_enough(
    granted: str, wanted: str, missing: tuple[str, ...]
) -> None:
    (scope,) = parse_scope(wanted)
    assert missing_actions(parse_scope(granted), scope) == missing
    assert covers(parse_scope(granted), (scope,)) is (not missing)


def test_every_wanted_scope_must_be_covered() -> None:
    assert not covers(parse_scope("repository:a:pull"), parse_scope("repository:a:pull repository:b:pull"))


@given(st.text(alphabet="a():,* ", max_size=30) | st.text(max_size=30))
def test_no_text_crashes_the_parser_and_what_is_read_reads_back(text: str) -> None:
    for scope in parse_scope(text):
        assert parse_scope(str(scope)) == (scope,)
