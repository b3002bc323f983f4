"""Which host names a way through a proxy is for."""

from __future__ import annotations

import pytest

from regdoctor.host.proxyconf import names_match


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("reg.test", "reg.test"),
        ("reg.test", "REG.test."),
        ("*.test", "reg.test"),
        (".test", "test"),
        (".test", "a.reg.test"),
        ("reg.*", "reg.example.org"),
        (r"~^reg\d*\.test$", "reg2.test"),
        ("~^(?<name>.+)\\.test$", "reg.test"),
        ("reg.test:8443", "reg.test"),
    ],
)
def test_a_name_is_matched(pattern: str, host: str) -> None:
    assert names_match([pattern], host)


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("reg.test", "www.test"),
        ("*.test", "test"),
        ("reg.*", "myreg.test"),
        ("~^www", "reg.test"),
        (".test", "atest"),
    ],
)
def test_another_name_is_not(pattern: str, host: str) -> None:
    assert not names_match([pattern], host)


def test_an_expression_that_is_not_known_here_matches_nothing() -> None:
    assert not names_match([r"~(?=reg)reg\.test"], "reg.test")
