"""The proxy for a URL is the one that docker and containerd use, and what misleads is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.host.proxies import (
    EntryKind,
    networks_that_would_cover,
    parse_no_proxy,
    parse_proxy,
    proxy_for,
    why_not_covered,
)

PROXY = "http://proxy.test:3128"

GO_NO_PROXY = (
    "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, "
    "2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, 2002:db8:a::45/64"
)
"""The list with which Go's own implementation is tested."""


@pytest.mark.parametrize(
    ("host", "proxied"),
    [
        ("localhost", False),
        ("127.0.0.1", False),
        ("127.0.0.2", False),
        ("[::1]", False),
        ("[::ffff:127.0.0.1]", False),
        ("[::2]", True),
        ("192.168.1.1", False),
        ("192.168.1.2", True),
        ("192.168.1.3", False),
        ("192.168.1.4", True),
        ("10.0.0.2", False),
        ("[2001:db8::52:0:1]", False),
        ("[2001:db8::52:0:2]", True),
        ("[2001:db8::52:0:3]", False),
        ("[2002:db8:a::123]", False),
        ("[fe80::424b:c8be:1643:a1b6]", True),
        ("barbaz.net", True),
        ("www.barbaz.net", False),
        ("foobar.com", False),
        ("www.foobar.com", False),
        ("FooBar.com", False),
        ("foofoobar.com", True),
        ("baz.com", True),
        ("localhost.net", True),
        ("local.localhost", True),
        ("barbarbaz.net", True),
        ("wildcard.io", True),
        ("nested.wildcard.io", False),
        ("awildcard.io", True),
    ],
)
def test_the_cases_of_the_go_library(host: str, proxied: bool) -> None:
    decision = proxy_for(f"http://{host}:80/v2/", {"HTTP_PROXY": PROXY, "NO_PROXY": GO_NO_PROXY})
    assert decision.proxy_url == (PROXY if proxied else None)
    assert decision.problems == ()


@pytest.mark.parametrize(
    ("environment", "url", "proxy", "variable"),
    [
        ({"HTTP_PROXY": "127.0.0.1:8080"}, "http://e.test", "http://127.0.0.1:8080", "HTTP_PROXY"),
        ({"HTTP_PROXY": "cache.test:1234"}, "http://e.test", "http://cache.test:1234", "HTTP_PROXY"),
        ({"HTTP_PROXY": "cache.test"}, "http://e.test", "http://cache.test", "HTTP_PROXY"),
        ({"HTTP_PROXY": "cache"}, "http://e.test", "http://cache", "HTTP_PROXY"),
        ({"HTTP_PROXY": "cache:3128"}, "http://e.test", "http://cache:3128", "HTTP_PROXY"),
        ({"HTTPS_PROXY": "u:p@cache:3128"}, "https://e.test", "http://u:p@cache:3128", "HTTPS_PROXY"),
        ({"HTTP_PROXY": "https://cache"}, "http://e.test", "https://cache", "HTTP_PROXY"),
        ({"HTTP_PROXY": "socks5://127.0.0.1"}, "http://e.test", "socks5://127.0.0.1", "HTTP_PROXY"),
        ({"HTTP_PROXY": "http://[::1]:3128/"}, "http://e.test", "http://[::1]:3128/", "HTTP_PROXY"),
        ({"http_proxy": PROXY}, "http://e.test", PROXY, "http_proxy"),
        ({"HTTP_PROXY": "", "http_proxy": PROXY}, "http://e.test", PROXY, "http_proxy"),
        ({"HTTP_PROXY": PROXY, "http_proxy": "http://other"}, "http://e.test", PROXY, "HTTP_PROXY"),
        ({"HTTP_PROXY": "http://a", "HTTPS_PROXY": "http://b"}, "https://e.test", "http://b", "HTTPS_PROXY"),
        ({"HTTP_PROXY": "http://a"}, "https://e.test", None, None),
        ({"ALL_PROXY": "http://a"}, "https://e.test", None, None),
        ({"HTTP_PROXY": "http://a"}, "ftp://e.test", None, None),
        ({}, "https://e.test", None, None),
    ],
)
def test_the_variable_follows_the_scheme_of_the_target(
    environment: dict[str, str], url: str, proxy: str | None, variable: str | None
) -> None:
    decision = proxy_for(url, environment)
    assert (decision.proxy_url, decision.variable) == (proxy, variable)
    assert decision.why


@pytest.mark.parametrize(
    ("no_proxy", "url", "entry"),
    [
        ("reg.test", "https://reg.test/v2/", "reg.test"),
        (".test", "https://reg.test/v2/", ".test"),
        ("*.test", "https://reg.test/v2/", "*.test"),
        ("reg.test:443", "https://reg.test/v2/", "reg.test:443"),
        ("reg.test:5000", "https://reg.test/v2/", None),
        ("reg.test:5000", "https://reg.test:5000/v2/", "reg.test:5000"),
        (" a , REG.test ", "https://reg.test/v2/", "reg.test"),
        ("other,*", "https://reg.test/v2/", "*"),
        (".示例.com", "http://www.示例.com", ".示例.com"),
        ("xn--fsq092h.com", "https://www.示例.com", "xn--fsq092h.com"),
        ("示例.com", "https://www.xn--fsq092h.com", "示例.com"),
        ("example.com", "https://[1000::%25.example.com]:123", None),
        ("10.0.0.0/8", "https://10.1.2.3/", "10.0.0.0/8"),
        (":1", "https://example.com", None),
        ("", "https://reg.test", None),
    ],
)
def test_the_item_that_keeps_a_host_off_the_proxy_is_named(
    no_proxy: str, url: str, entry: str | None
) -> None:
    decision = proxy_for(url, {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "no_proxy": no_proxy})
    assert decision.no_proxy_entry == entry
    assert decision.proxy_url == (PROXY if entry is None else None)
    if entry is not None:
        assert decision.no_proxy_variable == "no_proxy"
        assert entry in decision.why


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("https://reg.test", "scheme"),
        ("a.test b.test", "commas"),
        ("a.test;b.test", "commas"),
        ("reg.test/v2", "neither a host nor a network"),
        ("10.0.0.0/255.0.0.0", "neither a host nor a network"),
        ("10.0.0.0/33", "neither a host nor a network"),
        ("[2001:db8::1]", "brackets"),
        ("reg.test:https", "not a port"),
        ("10.0.*", "star"),
        ("*reg.test", "star"),
        ("10.0.", "incomplete IPv4"),
        (":5000", "names no host"),
        ("user@reg.test", "user name"),
    ],
)
def test_an_item_that_never_matches_is_reported(item: str, words: str) -> None:
    decision = proxy_for("https://unrelated.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": f"{item},good.test"})
    assert decision.proxy_url == PROXY
    (problem,) = decision.problems
    assert words in problem
    assert item in problem


def test_a_network_covers_literal_addresses_only_which_can_be_shown_for_a_name() -> None:
    no_proxy = "127.0.0.0/8,10.1.2.3,2001:db8::/32,reg.example"
    assert proxy_for("https://reg.test", {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}).proxy_url == PROXY
    entries = parse_no_proxy(no_proxy)
    covering = networks_that_would_cover(entries, ["127.0.0.1", "10.1.2.3", "not an address"])
    assert [entry.text for entry in covering] == ["127.0.0.0/8", "10.1.2.3"]
    assert networks_that_would_cover(entries, ["192.0.2.1"]) == ()
    assert [entry.kind for entry in entries] == [
        EntryKind.NETWORK,
        EntryKind.ADDRESS,
        EntryKind.NETWORK,
        EntryKind.DOMAIN,
    ]


def test_a_star_makes_all_other_items_void() -> None:
    assert [entry.text for entry in parse_no_proxy("a,*,b")] == ["*"]


@pytest.mark.parametrize(
    ("value", "used", "words"),
    [
        ("http:/proxy:3128", "http://http:/proxy:3128", "'http:'"),
        ("http//proxy:3128", "http://http//proxy:3128", "'http'"),
        ("http://u:p#w@proxy:3128", "http://http://u:p#w@proxy:3128", "'http:'"),
        ("http://proxy:port", "http://http://proxy:port", "'http:'"),
        ("foo://proxy", "foo://proxy", "no kind of proxy"),
        ("http://proxy\n", None, "not a URL"),
        ("u:p%zz@proxy", None, "percent-encoded"),
        ("", None, "not a URL"),
    ],
)
def test_a_malformed_proxy_is_reported_with_what_go_makes_of_it(
    value: str, used: str | None, words: str
) -> None:
    url, problem = parse_proxy(value)
    assert url == used
    assert words in (problem or "")
    assert "p#w" not in (problem or "")


def test_a_value_that_go_ignores_means_no_proxy() -> None:
    decision = proxy_for("https://e.test", {"HTTPS_PROXY": "u:s3cret%zz@proxy"})
    assert decision.proxy_url is None
    assert decision.variable == "HTTPS_PROXY"
    assert "s3cret" not in repr(decision)


def test_variables_that_mislead_are_pointed_out() -> None:
    differ = proxy_for("https://e.test", {"HTTPS_PROXY": "http://a", "https_proxy": "http://b"})
    assert any("differ" in problem for problem in differ.problems)
    other = proxy_for("https://e.test", {"HTTP_PROXY": "http://a", "ALL_PROXY": "socks5://b"})
    assert [problem.split(" ")[0] for problem in other.problems] == ["HTTP_PROXY", "ALL_PROXY"]
    cgi = proxy_for("http://e.test", {"HTTP_PROXY": "http://a", "REQUEST_METHOD": "GET"})
    assert any("CGI" in problem for problem in cgi.problems)


def test_the_password_of_a_proxy_is_not_shown() -> None:
    decision = proxy_for("https://e.test", {"HTTPS_PROXY": "http://alice:s3cret@proxy.test:3128/"})
    assert decision.proxy_url == "http://alice:s3cret@proxy.test:3128/"
    assert decision.shown_url == "http://***@proxy.test:3128/"
    assert "s3cret" not in repr(decision)
    miswritten = proxy_for("https://e.test", {"HTTPS_PROXY": "http://alice:s3/cret@proxy.test:3128"})
    assert "cret" not in f"{miswritten} {miswritten.shown_url}"


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_environment_crashes_the_decision(proxy: str, no_proxy: str, host: str) -> None:
    environment = {"HTTPS_PROXY": proxy, "NO_PROXY": no_proxy}
    assert proxy_for(f"https://{host}/", environment).why


@pytest.mark.parametrize(
    ("no_proxy", "words"),
    [
        ("10.0.0.0/8", "names are never resolved"),
        ("10.1.2.3", "names are never resolved"),
        (".reg.test", "covers the names below reg.test"),
        ("*.reg.test", "covers the names below reg.test"),
        ("reg.test:443", "covers port 443 alone"),
        ("https://reg.test", "scheme"),
        ("a.test reg.test b.test", "commas alone"),
        ("localhost;reg.test", "commas alone"),
    ],
)
def test_items_that_look_as_if_they_covered_a_host_are_explained(no_proxy: str, words: str) -> None:
    (sentence,) = why_not_covered(no_proxy, "reg.test", 5000, ["10.1.2.3"])

    assert words in sentence


@pytest.mark.parametrize("no_proxy", ["", "other.test", "192.168.0.0/16", "localhost,127.0.0.1", "eg.test"])
def test_items_that_have_nothing_to_do_with_a_host_are_left_alone(no_proxy: str) -> None:
    assert why_not_covered(no_proxy, "reg.test", 5000, ["10.1.2.3"]) == ()


def test_a_literal_address_is_not_told_that_names_are_never_resolved() -> None:
    assert why_not_covered("10.0.0.0/8", "192.168.0.1", 5000, ["192.168.0.1"]) == ()
