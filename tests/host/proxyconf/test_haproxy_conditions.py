"""haproxy's conditions: whether they hold for an upload, and for which requests a header is set."""

from __future__ import annotations

import pytest

from regdoctor.facts import HeaderCondition
from regdoctor.host.proxyconf.haproxy_conditions import Condition, Verdict, named_tests, read_condition

ACLS = (
    "acl v2 path_beg /v2/",
    "acl registry hdr(host) -i reg.test reg2.test",
    "acl upload method POST PUT PATCH",
    "acl strange src 10.0.0.0/8",
    "acl either path_beg /x",
    "acl either path_beg /v2/",
    "acl listed path -f /etc/haproxy/paths",
)


def condition(text: str) -> Condition:
    return read_condition(named_tests(each.split() for each in ACLS), text.split())


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("", Verdict.TRUE),
        ("if v2", Verdict.TRUE),
        ("unless v2", Verdict.FALSE),
        ("if !v2", Verdict.FALSE),
        ("if registry", Verdict.TRUE),
        ("if v2 upload", Verdict.TRUE),
        ("if either", Verdict.TRUE),
        ("if v2 strange", Verdict.UNKNOWN),
        ("if strange || v2", Verdict.TRUE),
        ("if strange or !v2", Verdict.UNKNOWN),
        ("if listed", Verdict.UNKNOWN),
        ("if never_defined", Verdict.UNKNOWN),
        ("if METH_GET", Verdict.FALSE),
        ("if { path_beg /v2/ }", Verdict.TRUE),
        ("if { path -m beg /v2/ }", Verdict.TRUE),
        ("if { path_reg ^/v2/.+/uploads }", Verdict.TRUE),
        ("if { path_end .html }", Verdict.FALSE),
        ("if !{ path_beg /v2/ }", Verdict.FALSE),
        ("if TRUE", Verdict.TRUE),
        ("if { path_beg /v2/", Verdict.TRUE),
    ],
)
def test_for_an_upload(text: str, verdict: Verdict) -> None:
    assert condition(text).for_upload() is verdict


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("if registry", ("reg.test", "reg2.test")),
        ("if { hdr(host) -i reg.test }", ("reg.test",)),
        ("if { req.hdr(host) -i -m end .test }", ("*.test",)),
        ("if { hdr_beg(host) reg. }", (r"~^reg\.",)),
        ("if { ssl_fc_sni reg.test }", ("reg.test",)),
        ("if { hdr_reg(host) ^reg\\d }", (r"~^reg\d",)),
        ("if registry or v2", ()),
        ("unless registry", ()),
        ("if !registry", ()),
    ],
)
def test_the_names_that_it_asks_for(text: str, names: tuple[str, ...]) -> None:
    assert condition(text).names == names


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("", HeaderCondition.ALWAYS),
        ("if { ssl_fc }", HeaderCondition.TLS),
        ("if !{ ssl_fc }", HeaderCondition.PLAIN),
        ("unless { ssl_fc }", HeaderCondition.PLAIN),
        ("if v2 { ssl_fc }", HeaderCondition.TLS),
        ("if { req.hdr(x-forwarded-proto) -m found }", HeaderCondition.PRESENT),
        ("unless { hdr_cnt(x-forwarded-proto) gt 0 }", HeaderCondition.ABSENT),
        ("if { src 10.0.0.0/8 }", HeaderCondition.UNKNOWN),
        ("if { path_beg /web }", None),
    ],
)
def test_for_which_requests_a_header_is_set(text: str, when: HeaderCondition | None) -> None:
    assert condition(text).for_header("x-forwarded-proto") is when


@pytest.mark.parametrize(
    ("text", "method", "refuses"),
    [
        ("if !upload v2", "GET", True),
        ("if !upload v2", "PATCH", False),
        ("if METH_DELETE", "DELETE", True),
        ("if { method PATCH }", "PATCH", True),
        ("if { path_beg /v2/ }", "PATCH", False),
        ("if METH_DELETE strange", "DELETE", False),
    ],
)
def test_methods_that_are_refused(text: str, method: str, refuses: bool) -> None:
    assert condition(text).refuses(method) is refuses


def test_a_name_with_very_many_tests_is_not_known() -> None:
    named = named_tests(f"acl many path_beg /{number}".split() for number in range(1000))

    assert len(named["many"]) == 201
    assert read_condition(named, ["if", "many"]).for_upload() is Verdict.UNKNOWN
