"""A secret can be sent, and in no other way seen."""

from __future__ import annotations

import copy
import json
import pickle
import traceback

import msgspec
import pytest

from regdoctor.secret import Secret, mask_secrets

VALUE = "correct horse battery staple"


class Holder(msgspec.Struct, frozen=True):
    """A structure with a secret in it."""

    password: Secret


def test_only_reveal_gives_the_value() -> None:
    assert Secret(VALUE).reveal() == VALUE


@pytest.mark.parametrize(
    "show", [str, repr, ascii, "{}".format, "{:>40}".format, "{!r}".format, "%s".__mod__]
)
def test_no_way_of_printing_shows_it(show: object) -> None:
    assert callable(show)
    assert "horse" not in show(Secret(VALUE))
    assert "***" in show(Secret(VALUE))


def test_a_structure_that_holds_it_shows_the_mask() -> None:
    assert repr(Holder(Secret(VALUE))) == "Holder(password=Secret(***))"


@pytest.mark.parametrize(
    "encode",
    [
        json.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        msgspec.to_builtins,
        pickle.dumps,
        lambda secret: msgspec.json.encode(Holder(secret)),
    ],
)
def test_it_cannot_be_serialised(encode: object) -> None:
    assert callable(encode)
    with pytest.raises(TypeError) as caught:
        encode(Secret(VALUE))
    assert "horse" not in str(caught.value)


def _fail_with(secret: Secret) -> None:
    raise RuntimeError(f"while using {secret}")


def test_a_traceback_with_locals_does_not_show_it() -> None:
    with pytest.raises(RuntimeError) as caught:
        _fail_with(Secret(VALUE))
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "secret = Secret(***)" in text
    assert "horse" not in text


def test_a_structure_can_be_written_with_the_mask_in_its_place() -> None:
    assert msgspec.json.encode(Holder(Secret(VALUE)), enc_hook=mask_secrets) == b'{"password":"***"}'
    with pytest.raises(NotImplementedError):
        msgspec.json.encode(object(), enc_hook=mask_secrets)


def test_it_has_no_dict_to_walk() -> None:
    assert not hasattr(Secret(VALUE), "__dict__")
    assert not hasattr(Secret(VALUE), "value")


def test_equal_secrets_are_equal_and_nothing_else_is() -> None:
    assert Secret("a\u00e9") == Secret("a\u00e9")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert not Secret("")
    assert Secret("a")


def test_it_cannot_become_a_key() -> None:
    with pytest.raises(TypeError):
        hash(Secret(VALUE))


def test_copies_are_the_same_secret() -> None:
    secret = Secret(VALUE)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret
