"""The ways that uploads take through Caddy's sites."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.facts import FileKind, HeaderCondition, HeaderPart, HeaderPartKind, ProxyRoute, TimerScope
from regdoctor.host.proxyconf import read
from regdoctor.host.proxyconf.caddy import path_fits


def routes(folder: Path, text: str) -> tuple[ProxyRoute, ...]:
    path = folder / "Caddyfile"
    path.write_text(text)
    return read(path, FileKind.CADDY).routes


def route(folder: Path, site: str = "", proxy: str = "", options: str = "") -> ProxyRoute:
    text = f"{{\n{options}\n}}\nreg.test {{\n{site}\nreverse_proxy 127.0.0.1:5000 {{\n{proxy}\n}}\n}}\n"
    (found,) = routes(folder, text)
    return found


class TestSites:
    @pytest.mark.parametrize(
        ("address", "port", "tls", "names"),
        [
            ("reg.test", 443, True, ("reg.test",)),
            ("http://reg.test", 80, False, ("reg.test",)),
            ("https://reg.test:8443", 8443, True, ("reg.test",)),
            (":80", 80, False, ()),
            (":8080", 8080, False, ()),
            (":443", 443, True, ()),
            ("*.test", 443, True, ("*.test",)),
            ("[::1]:8443", 8443, True, ("::1",)),
        ],
    )
    def test_where_they_listen(
        self, tmp_path: Path, address: str, port: int, tls: bool, names: tuple[str, ...]
    ) -> None:
        (found,) = routes(tmp_path, f"{address} {{\n\treverse_proxy 127.0.0.1:5000\n}}\n")
        (listener,) = found.listeners

        assert (listener.port, listener.tls, found.names) == (port, tls, names)

    def test_without_automatic_certificates_a_name_alone_is_no_sign_of_tls(self, tmp_path: Path) -> None:
        assert not route(tmp_path, options="auto_https off").listeners[0].tls

    @pytest.mark.parametrize(
        ("site", "place"),
        [
            ("reverse_proxy /v2/* a:1\nreverse_proxy b:2", 2),
            ("handle /v2/* {\nreverse_proxy a:1\n}\nhandle {\nreverse_proxy b:2\n}", 3),
            ("handle {\nreverse_proxy b:2\n}\nhandle /v2/* {\nreverse_proxy a:1\n}", 6),
            ("route {\nreverse_proxy a:1\n}", 3),
            ("@v2 path /v2/*\nreverse_proxy @v2 a:1\nreverse_proxy b:2", 3),
            ("@web not path /v2/*\nreverse_proxy @web b:2\nreverse_proxy a:1", 4),
            ("@get method GET\nreverse_proxy @get b:2\nreverse_proxy a:1", 4),
        ],
    )
    def test_the_proxy_is_found_that_uploads_end_in(self, tmp_path: Path, site: str, place: int) -> None:
        (found,) = routes(tmp_path, f"reg.test {{\n{site}\n}}\n")

        assert found.place == f"{tmp_path}/Caddyfile:{place}:1"
        assert found.upstreams == ("a:1",)

    def test_what_is_not_for_uploads_is_no_way(self, tmp_path: Path) -> None:
        assert routes(tmp_path, "reg.test {\n\treverse_proxy /web/* a:1\n\tfile_server\n}\n") == ()

    @pytest.mark.parametrize(
        ("pattern", "path", "fits"),
        [
            ("/v2/*", "/v2/app", True),
            ("/V2/*", "/v2/app", True),
            ("/v2", "/v2/app", False),
            ("*/uploads/*", "/v2/uploads/x", True),
            ("/[a]*", "/[a]b", True),
        ],
    )
    def test_patterns_of_paths(self, pattern: str, path: str, fits: bool) -> None:
        assert path_fits(pattern, path) is fits


class TestHeaders:
    def test_caddy_sets_scheme_and_host_itself(self, tmp_path: Path) -> None:
        found = route(tmp_path).headers

        assert [(each.name, each.when) for each in found] == [
            ("x-forwarded-proto", HeaderCondition.ALWAYS),
            ("x-forwarded-host", HeaderCondition.ALWAYS),
        ]

    @pytest.mark.parametrize(
        "parts",
        [
            {"options": "servers {\ntrusted_proxies static private_ranges\n}"},
            {"proxy": "trusted_proxies private_ranges"},
        ],
    )
    def test_what_came_in_is_kept_where_it_is_trusted(self, tmp_path: Path, parts: dict[str, str]) -> None:
        assert {each.when for each in route(tmp_path, **parts).headers} == {HeaderCondition.ABSENT}

    @pytest.mark.parametrize(
        ("line", "wanted"),
        [
            ("header_up Host {upstream_hostport}", (HeaderPart(HeaderPartKind.UPSTREAM, "127.0.0.1:5000"),)),
            ("header_up Host {host}", (HeaderPart(HeaderPartKind.NAME),)),
            ("header_up Host {hostport}", (HeaderPart(HeaderPartKind.HOST),)),
            ("header_up Host {http.request.hostport}", (HeaderPart(HeaderPartKind.HOST),)),
            ("header_up Host {header.X-Host}", (HeaderPart(HeaderPartKind.INCOMING, "x-host"),)),
            ("header_up Host {vars.x}", (HeaderPart(HeaderPartKind.UNKNOWN),)),
            ("header_up -Host", ()),
            ("header_up Host a b", (HeaderPart(HeaderPartKind.UNKNOWN),)),
        ],
    )
    def test_written_ones(self, tmp_path: Path, line: str, wanted: tuple[HeaderPart, ...]) -> None:
        (host,) = (each for each in route(tmp_path, proxy=line).headers if each.name == "host")

        assert host.parts == wanted
        assert host.place == f"{tmp_path}/Caddyfile:7:1"

    def test_credentials_are_not_kept(self, tmp_path: Path) -> None:
        found = route(tmp_path, proxy='header_up Authorization "Basic aHVudGVyMg=="')

        assert "aHVudGVyMg" not in repr(found)


class TestLimits:
    def test_of_bodies(self, tmp_path: Path) -> None:
        limit = route(tmp_path, "request_body {\nmax_size 10MB\n}").body_limit

        assert limit is not None
        assert (limit.bytes, limit.place) == (10_000_000, f"{tmp_path}/Caddyfile:6:1")
        assert route(tmp_path).body_limit is None
        assert route(tmp_path, "request_body /web/* {\nmax_size 10MB\n}").body_limit is None

    def test_spooling(self, tmp_path: Path) -> None:
        unlimited = route(tmp_path, proxy="request_buffers unlimited").buffering
        some = route(tmp_path, proxy="request_buffers 64KiB").buffering

        assert unlimited is not None
        assert unlimited.spools
        assert some is not None
        assert not some.spools

    @pytest.mark.parametrize(
        ("parts", "wanted"),
        [
            (
                {"options": "servers {\ntimeouts {\nread_body 30s\nread_header 5s\nwrite 1m\n}\n}"},
                [("timeouts read_body", TimerScope.WHOLE, 30), ("timeouts write", TimerScope.WHOLE, 60)],
            ),
            (
                {"proxy": "transport http {\nresponse_header_timeout 5s\n}"},
                [("transport response_header_timeout", TimerScope.ANSWER, 5)],
            ),
            (
                {"proxy": "transport http {\nread_timeout 0\ndial_timeout 1s\n}"},
                [("transport read_timeout", TimerScope.WHOLE, None)],
            ),
            ({}, []),
        ],
    )
    def test_of_time(
        self, tmp_path: Path, parts: dict[str, str], wanted: list[tuple[str, TimerScope, float | None]]
    ) -> None:
        assert [(each.name, each.scope, each.seconds) for each in route(tmp_path, **parts).timers] == wanted

    @pytest.mark.parametrize(
        ("site", "methods"),
        [
            ("@bad method PATCH DELETE\nrespond @bad 405", ("PATCH", "DELETE")),
            ("@bad not method GET HEAD POST PUT PATCH DELETE\nrespond @bad 405", ()),
            ("@web path /web/*\nrespond @web 404", ()),
            ("@bad {\nmethod PATCH\npath /v2/*\n}\nerror @bad 403", ("PATCH",)),
        ],
    )
    def test_of_methods(self, tmp_path: Path, site: str, methods: tuple[str, ...]) -> None:
        refused = route(tmp_path, site).refused

        assert (refused.methods if refused is not None else ()) == methods


@pytest.mark.parametrize(
    ("site", "proxy", "sent"),
    [
        ("", "", "/v2/team/app/blobs/uploads/"),
        ("uri strip_prefix /v2", "", "/team/app/blobs/uploads/"),
        ("uri strip_prefix /web", "", "/v2/team/app/blobs/uploads/"),
        ("rewrite * /registry{uri}", "", "/registry/v2/team/app/blobs/uploads/"),
        ("rewrite /v2/* /x?{query}", "", None),
        ("rewrite /web/* /x", "", "/v2/team/app/blobs/uploads/"),
        ("uri replace v2 v3", "", None),
        ("", "rewrite /registry{path}", "/registry/v2/team/app/blobs/uploads/"),
    ],
)
def test_what_becomes_of_the_path(tmp_path: Path, site: str, proxy: str, sent: str | None) -> None:
    assert route(tmp_path, site, proxy).sent_path == sent


def test_handle_path_strips_its_prefix(tmp_path: Path) -> None:
    (found,) = routes(tmp_path, "reg.test {\n\thandle_path /v2/* {\n\t\treverse_proxy a:1\n\t}\n}\n")

    assert found.sent_path == "/team/app/blobs/uploads/"
    assert found.path_change is not None
    assert found.path_change.place == f"{tmp_path}/Caddyfile:2:2"


def test_the_number_of_ways_is_bounded(tmp_path: Path) -> None:
    assert len(routes(tmp_path, "".join(f"a{n}.test {{\nreverse_proxy a:1\n}}\n" for n in range(600)))) == 500
