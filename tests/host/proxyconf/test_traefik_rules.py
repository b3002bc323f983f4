"""Traefik's rules of routers."""

from __future__ import annotations

import pytest

from regdoctor.host.proxyconf.traefik_rules import read_rule


@pytest.mark.parametrize(
    ("text", "fits", "names", "path"),
    [
        ("Host(`reg.test`)", True, ("reg.test",), "/"),
        ("Host(`a.test`, `b.test`)", True, ("a.test", "b.test"), "/"),
        ('Host("reg.test") && PathPrefix("/v2/")', True, ("reg.test",), "/v2/"),
        ("PathPrefix(`/v2`) || PathPrefix(`/token`)", True, (), "/token"),
        ("PathPrefix(`/web`)", False, (), "/web"),
        ("!PathPrefix(`/web`)", True, (), "/web"),
        ("!Host(`www.test`)", True, (), "/"),
        ("Path(`/v2/`)", False, (), "/v2/"),
        ("PathRegexp(`^/v2/.+`)", True, (), "^/v2/.+"),
        ("PathPrefix(`/v{version:[12]}/`)", True, (), "/v{version:[12]}/"),
        ("Method(`GET`)", False, (), "/"),
        ("Method(`GET`) || Method(`PATCH`)", True, (), "/"),
        ("ClientIP(`10.0.0.0/8`)", None, (), "/"),
        ("ClientIP(`10.0.0.0/8`) && PathPrefix(`/web`)", False, (), "/web"),
        ("(Host(`a.test`) || Host(`b.test`)) && Method(`PATCH`)", True, ("a.test", "b.test"), "/"),
        ("HostRegexp(`^.+\\.test$`)", True, ("~^.+\\.test$",), "/"),
        ("HostRegexp(`{sub:[a-z]+}.test`)", True, ("~^([a-z]+)\\.test$",), "/"),
    ],
)
def test_what_a_rule_says(text: str, fits: bool | None, names: tuple[str, ...], path: str) -> None:
    rule = read_rule(text)

    assert rule.fits is fits
    assert rule.names == names
    if fits is not False:
        assert rule.path == path


@pytest.mark.parametrize(
    "text", ["", "Host(", "Host(`a`", "&&", "Host(`a`) &&", "(" * 3000, "!" * 3000, "x" * 5000]
)
def test_what_is_no_rule_says_nothing(text: str) -> None:
    assert read_rule(text).fits is None
