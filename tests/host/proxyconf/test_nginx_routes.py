"""The ways that uploads take through nginx: which location, and what is effective there."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.facts import (
    FileKind,
    HeaderAssignment,
    HeaderCondition,
    HeaderPart,
    HeaderPartKind,
    ProxyRoute,
    TimerScope,
)
from regdoctor.host.proxyconf import read

PASS = "proxy_pass http://127.0.0.1:5000;"


def routes(folder: Path, http: str) -> tuple[ProxyRoute, ...]:
    path = folder / "nginx.conf"
    path.write_text(f"events {{}}\nhttp {{\n{http}\n}}\n")
    return read(path, FileKind.NGINX).routes


def route(folder: Path, server: str, http: str = "") -> ProxyRoute:
    """The only way through a server."""
    found = routes(folder, f"{http}\nserver {{ listen 443 ssl; server_name reg.test;\n{server}\n}}")
    assert len(found) == 1, [each.block for each in found]
    return found[0]


def header(found: ProxyRoute, name: str) -> list[HeaderAssignment]:
    return [each for each in found.headers if each.name == name]


def parts(found: ProxyRoute, name: str) -> tuple[HeaderPart, ...]:
    (only,) = header(found, name)
    return only.parts


class TestLocations:
    @pytest.mark.parametrize(
        ("locations", "chosen"),
        [
            (f"location / {{ {PASS} }}", "location /"),
            (f"location / {{ return 404; }} location /v2/ {{ {PASS} }}", "location /v2/"),
            (f"location /v2 {{ {PASS} }} location ~ ^/other {{ return 1; }}", "location /v2"),
            (f"location / {{ return 404; }} location ~ ^/v2/ {{ {PASS} }}", "location ~ ^/v2/"),
            (f"location ~* ^/V2/ {{ {PASS} }} location /v2/ {{ return 404; }}", "location ~* ^/V2/"),
            (f"location ^~ /v2/ {{ {PASS} }} location ~ uploads {{ return 404; }}", "location ^~ /v2/"),
            (f"location / {{ location /v2/ {{ {PASS} }} }}", "location /v2/"),
            (f"location / {{ try_files $uri @reg; }} location @reg {{ {PASS} }}", "location @reg"),
        ],
    )
    def test_the_location_is_found_as_nginx_does(self, tmp_path: Path, locations: str, chosen: str) -> None:
        assert route(tmp_path, locations).block == chosen

    @pytest.mark.parametrize(
        "locations",
        [
            f"location /registry/ {{ {PASS} }}",
            f"location = /v2/ {{ {PASS} }} location / {{ root /var/www; }}",
            f"location / {{ return 301 https://$host$request_uri; }} location /api/ {{ {PASS} }}",
            "location / { fastcgi_pass 127.0.0.1:9000; }",
        ],
    )
    def test_where_no_upload_gets_through_there_is_no_way(self, tmp_path: Path, locations: str) -> None:
        assert routes(tmp_path, f"server {{ {locations} }}") == ()

    def test_the_start_of_an_upload_and_its_bytes_may_go_different_ways(self, tmp_path: Path) -> None:
        found = routes(
            tmp_path,
            f"server {{ location ~ /blobs/uploads/.+ {{ client_max_body_size 1m; {PASS} }}\n"
            f"location / {{ {PASS} }} }}",
        )

        assert {each.block for each in found} == {"location ~ /blobs/uploads/.+", "location /"}

    def test_the_place_is_that_of_the_location(self, tmp_path: Path) -> None:
        assert route(tmp_path, f"  location / {{ {PASS} }}").place == f"{tmp_path}/nginx.conf:5:3"


class TestListeners:
    @pytest.mark.parametrize(
        ("listen", "host", "port", "tls"),
        [
            ("443 ssl http2", "", 443, True),
            ("80", "", 80, False),
            ("127.0.0.1", "127.0.0.1", 80, False),
            ("[::]:8443 ssl ipv6only=on", "", 8443, True),
            ("[::1]:5000", "::1", 5000, False),
            ("0.0.0.0:443 quic", "", 443, True),
            ("unix:/run/nginx.sock", "unix:/run/nginx.sock", None, False),
        ],
    )
    def test_addresses(self, tmp_path: Path, listen: str, host: str, port: int | None, tls: bool) -> None:
        (found,) = routes(tmp_path, f"server {{ listen {listen}; location / {{ {PASS} }} }}")
        (listener,) = found.listeners

        assert (listener.host, listener.port, listener.tls) == (host, port, tls)

    def test_without_listen_it_is_port_80(self, tmp_path: Path) -> None:
        (found,) = routes(tmp_path, f"server {{ location / {{ {PASS} }} }}")

        assert found.listeners[0].port == 80

    def test_the_first_server_of_an_address_is_the_default_one(self, tmp_path: Path) -> None:
        one, two = routes(
            tmp_path, 2 * f"server {{ listen 443 ssl; server_name a.test; location / {{ {PASS} }} }}\n"
        )

        assert one.listeners[0].default
        assert not two.listeners[0].default

    def test_default_server_counts_more(self, tmp_path: Path) -> None:
        one, two = routes(
            tmp_path,
            f"server {{ listen 443 ssl; location / {{ {PASS} }} }}\n"
            f"server {{ listen 443 ssl default_server; location / {{ {PASS} }} }}",
        )

        assert (one.listeners[0].default, two.listeners[0].default) == (False, True)

    def test_names(self, tmp_path: Path) -> None:
        (found,) = routes(tmp_path, f"server {{ server_name reg.test *.test _; location / {{ {PASS} }} }}")

        assert found.names == ("reg.test", "*.test")


class TestBodyLimit:
    @pytest.mark.parametrize(
        ("http", "server", "location", "size", "line"),
        [
            ("", "", "", 1024**2, None),
            ("client_max_body_size 5m;", "", "", 5 * 1024**2, 3),
            ("client_max_body_size 5m;", "client_max_body_size 6m;", "", 6 * 1024**2, 5),
            ("client_max_body_size 5m;", "client_max_body_size 6m;", "client_max_body_size 0;", None, 5),
            ("client_max_body_size 0;", "", "", None, 3),
        ],
    )
    def test_the_innermost_counts(
        self, tmp_path: Path, http: str, server: str, location: str, size: int | None, line: int | None
    ) -> None:
        limit = route(tmp_path, f"{server} location / {{ {location} {PASS} }}", http).body_limit

        assert limit is not None
        assert limit.bytes == size
        assert (limit.place is None) == (line is None)
        if line is not None:
            assert (limit.place or "").startswith(f"{tmp_path}/nginx.conf:{line}:")

    def test_that_of_another_server_or_location_does_not_count(self, tmp_path: Path) -> None:
        found = routes(
            tmp_path,
            "server { server_name www.test; client_max_body_size 1k; location / { root /var/www; } }\n"
            "server { client_max_body_size 0; location /web/ { client_max_body_size 2k; }\n"
            f"location / {{ {PASS} }} }}",
        )

        assert [each.body_limit.bytes for each in found if each.body_limit is not None] == [None]

    def test_nothing_is_said_where_a_file_that_may_set_it_is_missing(self, tmp_path: Path) -> None:
        found = route(tmp_path, f"include limits.inc; location / {{ {PASS} }}", "client_max_body_size 5m;")

        assert [each.why for each in found.unread] == ["no such file or directory"]
        assert found.body_limit is None or found.body_limit.place is None


class TestHeaders:
    def test_without_any_the_upstream_s_name_is_sent(self, tmp_path: Path) -> None:
        found = route(tmp_path, f"location / {{ {PASS} }}")

        assert parts(found, "host") == (HeaderPart(HeaderPartKind.UPSTREAM, "127.0.0.1:5000"),)
        assert header(found, "x-forwarded-proto") == []

    @pytest.mark.parametrize(
        ("value", "wanted"),
        [
            ("$http_host", (HeaderPart(HeaderPartKind.HOST),)),
            ("$host", (HeaderPart(HeaderPartKind.NAME),)),
            (
                "$host:$server_port",
                (
                    HeaderPart(HeaderPartKind.NAME),
                    HeaderPart(HeaderPartKind.TEXT, ":"),
                    HeaderPart(HeaderPartKind.PORT),
                ),
            ),
            ("${host}", (HeaderPart(HeaderPartKind.NAME),)),
            ("$server_name", (HeaderPart(HeaderPartKind.TEXT, "reg.test"),)),
            ("$proxy_host", (HeaderPart(HeaderPartKind.UPSTREAM, "127.0.0.1:5000"),)),
            ("reg.test:8443", (HeaderPart(HeaderPartKind.TEXT, "reg.test:8443"),)),
            ("$http_x_forwarded_host", (HeaderPart(HeaderPartKind.INCOMING, "x-forwarded-host"),)),
            ("$cookie_x", (HeaderPart(HeaderPartKind.UNKNOWN),)),
            ('""', ()),
        ],
    )
    def test_values(self, tmp_path: Path, value: str, wanted: tuple[HeaderPart, ...]) -> None:
        assert (
            parts(route(tmp_path, f"location / {{ {PASS} proxy_set_header Host {value}; }}"), "host")
            == wanted
        )

    def test_those_of_the_server_hold_in_a_location_without_any(self, tmp_path: Path) -> None:
        found = route(tmp_path, f"proxy_set_header Host $http_host; location / {{ {PASS} }}")

        assert parts(found, "host") == (HeaderPart(HeaderPartKind.HOST),)
        assert found.switched_off == ()

    def test_one_of_a_location_switches_off_all_of_the_server(self, tmp_path: Path) -> None:
        found = route(
            tmp_path,
            "proxy_set_header X-Forwarded-Proto $scheme;\n"
            f"location / {{ {PASS} proxy_set_header X-Real-IP $remote_addr; }}",
        )

        assert header(found, "x-forwarded-proto") == []
        (off,) = found.switched_off
        assert (off.name, off.place) == ("x-forwarded-proto", f"{tmp_path}/nginx.conf:5:1")

    def test_a_variable_that_is_set(self, tmp_path: Path) -> None:
        found = route(
            tmp_path, f"set $proto https; location / {{ {PASS} proxy_set_header X-Forwarded-Proto $proto; }}"
        )

        assert parts(found, "x-forwarded-proto") == (HeaderPart(HeaderPartKind.TEXT, "https"),)

    def test_a_variable_that_an_if_decides_over(self, tmp_path: Path) -> None:
        found = route(
            tmp_path,
            "set $proto http; if ($http_x = 1) { set $proto https; }\n"
            f"location / {{ {PASS} proxy_set_header X-Forwarded-Proto $proto; }}",
        )

        assert parts(found, "x-forwarded-proto") == (HeaderPart(HeaderPartKind.UNKNOWN),)

    def test_a_map_that_keeps_what_came_in(self, tmp_path: Path) -> None:
        found = route(
            tmp_path,
            f"location / {{ {PASS} proxy_set_header X-Forwarded-Proto $proto; }}",
            "map $http_x_forwarded_proto $proto { default $http_x_forwarded_proto; '' $scheme; }",
        )
        by_condition = {each.when: each.parts for each in header(found, "x-forwarded-proto")}

        assert by_condition[HeaderCondition.ABSENT] == (HeaderPart(HeaderPartKind.SCHEME),)
        assert by_condition[HeaderCondition.PRESENT] == (
            HeaderPart(HeaderPartKind.INCOMING, "x-forwarded-proto"),
        )

    def test_maps_in_a_circle_end(self, tmp_path: Path) -> None:
        found = route(
            tmp_path,
            f"location / {{ {PASS} proxy_set_header X-Forwarded-Proto $a; }}",
            "map $scheme $a { default $b; } map $scheme $b { default $a; }",
        )

        assert all(
            part.kind is HeaderPartKind.UNKNOWN
            for each in header(found, "x-forwarded-proto")
            for part in each.parts
        )

    def test_credentials_are_not_kept(self, tmp_path: Path) -> None:
        found = route(
            tmp_path, f'location / {{ {PASS} proxy_set_header Authorization "Basic aHVudGVyMg=="; }}'
        )

        assert "aHVudGVyMg" not in repr(found)


class TestLocationHeader:
    def test_the_upstream_s_address_is_turned_back_by_default(self, tmp_path: Path) -> None:
        (rewrite,) = route(tmp_path, f"location / {{ {PASS} }}").location_rewrites

        assert rewrite.prefix == (HeaderPart(HeaderPartKind.TEXT, "http://127.0.0.1:5000/"),)
        assert rewrite.replacement == (HeaderPart(HeaderPartKind.TEXT, "/"),)

    def test_off(self, tmp_path: Path) -> None:
        assert route(tmp_path, f"location / {{ {PASS} proxy_redirect off; }}").location_rewrites == ()

    def test_written_ones(self, tmp_path: Path) -> None:
        (rewrite,) = route(
            tmp_path, f"location / {{ {PASS} proxy_redirect http:// https://; }}"
        ).location_rewrites

        assert rewrite.prefix == (HeaderPart(HeaderPartKind.TEXT, "http://"),)
        assert rewrite.place == f"{tmp_path}/nginx.conf:5:48"


class TestPaths:
    @pytest.mark.parametrize(
        ("location", "sent"),
        [
            ("location / { proxy_pass http://registry:5000; }", "/v2/team/app/blobs/uploads/"),
            ("location / { proxy_pass http://registry:5000/; }", "/v2/team/app/blobs/uploads/"),
            ("location /v2/ { proxy_pass http://registry:5000/; }", "/team/app/blobs/uploads/"),
            ("location /v2/ { proxy_pass http://registry:5000/v2/; }", "/v2/team/app/blobs/uploads/"),
            ("location /v2/ { proxy_pass http://registry:5000/v2; }", "/v2team/app/blobs/uploads/"),
            ("location ~ ^/v2/ { proxy_pass http://registry:5000; }", "/v2/team/app/blobs/uploads/"),
            (
                "location / { rewrite ^/v2/(.*)$ /api/v2/$1 break; proxy_pass http://registry:5000/x; }",
                "/api/v2/team/app/blobs/uploads/",
            ),
            (
                "location / { rewrite ^/web/ / break; proxy_pass http://registry:5000; }",
                "/v2/team/app/blobs/uploads/",
            ),
            (
                "rewrite ^(.*)/$ $1; location / { proxy_pass http://registry:5000; }",
                "/v2/team/app/blobs/uploads",
            ),
            ("rewrite ^(.*)/$ $1 permanent; location / { proxy_pass http://registry:5000; }", None),
            ("location / { rewrite ^/v2/([a-z]+) /$1 break; proxy_pass http://registry:5000; }", None),
            ("location / { proxy_pass http://$upstream; }", "/v2/team/app/blobs/uploads/"),
        ],
    )
    def test_what_the_registry_gets(self, tmp_path: Path, location: str, sent: str | None) -> None:
        assert route(tmp_path, location).sent_path == sent

    @pytest.mark.parametrize(
        ("target", "lost"),
        [
            ("http://registry:5000$uri", True),
            ("http://registry:5000/v2$uri", True),
            ("http://$up$uri", True),
            ("http://registry:5000$uri$is_args$args", False),
            ("http://registry:5000$request_uri", False),
            ("http://$up", False),
            ("http://registry:5000", False),
        ],
    )
    def test_a_query_that_gets_lost(self, tmp_path: Path, target: str, lost: bool) -> None:
        found = route(tmp_path, f"location / {{ proxy_pass {target}; }}")

        assert (found.query_loss is not None) == lost


class TestOtherSettings:
    def test_buffering_and_the_version_of_http(self, tmp_path: Path) -> None:
        by_default = route(tmp_path, f"location / {{ {PASS} }}").buffering
        off = route(
            tmp_path, f"location / {{ {PASS} proxy_request_buffering off; proxy_http_version 1.1; }}"
        ).buffering

        assert by_default is not None
        assert by_default.spools
        assert by_default.place is None
        assert off is not None
        assert off.http_version is not None
        assert (off.spools, off.http_version.value) == (False, "1.1")

    def test_timers(self, tmp_path: Path) -> None:
        found = route(tmp_path, f"client_body_timeout 5s; location / {{ {PASS} proxy_read_timeout 15m; }}")

        assert {(each.name, each.scope, each.seconds) for each in found.timers} == {
            ("client_body_timeout", TimerScope.PAUSE, 5),
            ("proxy_read_timeout", TimerScope.ANSWER, 900),
        }

    @pytest.mark.parametrize(
        ("filter_", "refused"),
        [
            ("limit_except GET { deny all; }", ("POST", "PATCH", "PUT", "DELETE")),
            ("limit_except GET POST PUT PATCH DELETE { deny all; }", ()),
            ("limit_except GET POST { allow 10.0.0.0/8; deny all; }", ()),
            ("if ($request_method !~ ^(GET|HEAD|POST|PUT)$) { return 405; }", ("PATCH", "DELETE")),
            ("if ($request_method = PATCH) { return 403; }", ("PATCH",)),
            ("if ($request_method = OPTIONS) { return 403; }", ()),
            ("if ($request_method = PATCH) { set $x 1; }", ()),
        ],
    )
    def test_methods_that_are_refused(self, tmp_path: Path, filter_: str, refused: tuple[str, ...]) -> None:
        found = route(tmp_path, f"location / {{ {filter_} {PASS} }}").refused

        assert (found.methods if found is not None else ()) == refused

    def test_compression_of_manifests(self, tmp_path: Path) -> None:
        wide = route(tmp_path, f"gzip on; gzip_types *; location / {{ {PASS} }}").compression
        usual = route(tmp_path, f"gzip on; gzip_types text/css; location / {{ {PASS} }}").compression

        assert wide is not None
        assert usual is None

    def test_upstream_groups(self, tmp_path: Path) -> None:
        found = route(
            tmp_path,
            "location / { proxy_pass http://registries; }",
            "upstream registries { server 10.0.0.1:5000; server 10.0.0.2:5000 backup; }",
        )

        assert found.upstreams == ("http://registries", "10.0.0.1:5000", "10.0.0.2:5000")

    def test_the_number_of_ways_is_bounded(self, tmp_path: Path) -> None:
        assert len(routes(tmp_path, f"server {{ location / {{ {PASS} }} }}\n" * 600)) == 500
