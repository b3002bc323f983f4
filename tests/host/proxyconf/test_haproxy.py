"""haproxy's files: words, sections and their defaults."""

from __future__ import annotations

import pytest

from regdoctor.host.proxyconf.files import Unreadable
from regdoctor.host.proxyconf.haproxy import sections, split_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bind :443 ssl crt /etc/x.pem", ["bind", ":443", "ssl", "crt", "/etc/x.pem"]),
        ("  mode http # comment", ["mode", "http"]),
        (r"acl a path_reg ^/v2/\.x", ["acl", "a", "path_reg", r"^/v2/\.x"]),
        (r"http-request replace-path /v2/(.*) /\1", ["http-request", "replace-path", "/v2/(.*)", r"/\1"]),
        (r"a one\ word \# \\ end", ["a", "one word", "#", "\\", "end"]),
        ('a \'single # quoted\' "double \\" quoted"', ["a", "single # quoted", 'double " quoted']),
        ("a ''", ["a", ""]),
        ("# nothing", []),
    ],
)
def test_words_are_told_apart_as_haproxy_does(line: str, words: list[str]) -> None:
    assert split_words(line) == words


def test_a_quote_that_is_never_closed() -> None:
    assert split_words("acl 'a") is None
    with pytest.raises(Unreadable) as caught:
        sections("frontend f\n acl 'a\n", "h.cfg")
    assert caught.value.place == "h.cfg:2"


TEXT = """
global
    stats auth admin:hunter2
defaults
    mode http
    timeout server 50s
userlist users
    user admin password hunter2
frontend web
    bind :443
    no option httplog
    timeout server 10s
defaults other
    timeout server 5m
backend registries from other
    option http-server-close
    no option http-server-close
backend more
"""


def test_sections_have_the_defaults_that_hold_for_them() -> None:
    web, registries, more = sections(TEXT, "h.cfg")

    def timeout(section: object) -> tuple[str, str]:
        line = section.last("timeout", "server")  # type: ignore[attr-defined]
        return line.words[2], line.place

    assert (web.kind, web.name, web.place) == ("frontend", "web", "h.cfg:9:1")
    assert timeout(web) == ("10s", "h.cfg:12:5")
    assert timeout(registries) == ("5m", "h.cfg:14:5")
    assert timeout(more) == ("5m", "h.cfg:14:5")
    assert registries.option("http-server-close") is None


def test_passwords_of_other_sections_are_not_kept() -> None:
    assert "hunter2" not in repr(sections(TEXT, "h.cfg"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\n" * 50_001, "more than 50000 lines are not read"),
        (
            "frontend f\n" + " http-request deny\n" * 2_001,
            "more than 2000 http-request rules of a section are not read",
        ),
    ],
)
def test_size_is_bounded(text: str, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        sections(text, "h.cfg")
    assert caught.value.why == why
