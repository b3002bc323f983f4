"""Directives and their places."""

from __future__ import annotations

from regdoctor.host.proxyconf.directives import Directive


def test_a_directive_knows_where_it_stands_and_what_is_in_it() -> None:
    inner = Directive("listen", ["443", "ssl"], "/etc/nginx/nginx.conf", 3, 5)
    outer = Directive("server", [], "/etc/nginx/nginx.conf", 2, 3, [inner])

    assert inner.place == "/etc/nginx/nginx.conf:3:5"
    assert (inner.argument, outer.argument) == ("443", "")
    assert list(outer.all("listen")) == [inner]
    assert inner.inside == []
