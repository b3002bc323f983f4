"""The ways that uploads take through Traefik: static and dynamic files, routers, middlewares and services."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from regdoctor.facts import FileKind, HeaderCondition, HeaderPart, HeaderPartKind, ProxyConfig, ProxyRoute
from regdoctor.host.proxyconf import Unreadable, read

STATIC = """\
entryPoints:
  web:
    address: ":443"
{entry}
providers:
  file:
    {provider}
"""
DYNAMIC = """\
http:
  routers:
    registry:
      rule: Host(`reg.test`)
      entryPoints: [web]
      service: registry
      middlewares: [{used}]
      tls: {{}}
  services:
    registry:
      loadBalancer:
        servers:
          - url: http://127.0.0.1:5000
{balancer}
{more}
"""


def configured(
    folder: Path, *, entry: str = "", used: str = "", balancer: str = "", more: str = ""
) -> ProxyConfig:
    (folder / "dynamic.yml").write_text(DYNAMIC.format(used=used, balancer=balancer, more=more))
    static = folder / "traefik.yml"
    static.write_text(STATIC.format(entry=entry, provider="filename: dynamic.yml"))
    return read(static, FileKind.TRAEFIK)


def route(folder: Path, **parts: str) -> ProxyRoute:
    (found,) = configured(folder, **parts).routes
    return found


def middleware(text: str) -> dict[str, str]:
    return {"used": "it", "more": f"  middlewares:\n    it:\n      {text}\n"}


class TestFiles:
    def test_a_router_is_found_in_the_file_that_the_static_one_names(self, tmp_path: Path) -> None:
        found = configured(tmp_path)

        assert found.files == (str(tmp_path / "traefik.yml"), str(tmp_path / "dynamic.yml"))
        assert found.routes[0].place == f"{tmp_path}/dynamic.yml:3:5"
        assert found.routes[0].names == ("reg.test",)
        assert found.routes[0].listeners[0].port == 443
        assert found.routes[0].listeners[0].tls
        assert found.routes[0].outside is None

    def test_a_folder_of_files(self, tmp_path: Path) -> None:
        (tmp_path / "rules").mkdir()
        (tmp_path / "rules" / "a.yml").write_text(DYNAMIC.format(used="", balancer="", more=""))
        (tmp_path / "rules" / "b.toml").write_text(
            '[http.routers.other]\nrule = "Host(`b.test`)"\nservice = "registry"\n'
        )
        static = tmp_path / "traefik.yml"
        static.write_text(STATIC.format(entry="", provider="directory: rules"))

        assert [each.block for each in read(static, FileKind.TRAEFIK).routes] == [
            "router registry",
            "router other",
        ]

    def test_a_dynamic_file_alone_says_that_entry_points_are_not_known(self, tmp_path: Path) -> None:
        path = tmp_path / "dynamic.yml"
        path.write_text(DYNAMIC.format(used="", balancer="", more=""))
        (found,) = read(path, FileKind.TRAEFIK).routes

        assert found.outside is not None
        assert found.timers == ()

    def test_a_static_file_beside_it_is_used(self, tmp_path: Path) -> None:
        path, static = tmp_path / "dynamic.yml", tmp_path / "static.yml"
        path.write_text(DYNAMIC.format(used="", balancer="", more=""))
        static.write_text(STATIC.format(entry="", provider="filename: elsewhere.yml"))
        (found,) = read(path, FileKind.TRAEFIK, [static]).routes

        assert found.outside is None
        assert [each.value for each in found.timers] == ["60s"]

    def test_a_static_file_alone_gives_its_entry_points(self, tmp_path: Path) -> None:
        static = tmp_path / "traefik.toml"
        static.write_text(
            '[entryPoints.web]\naddress = ":443"\n'
            "[entryPoints.web.transport.respondingTimeouts]\nreadTimeout = 30\n"
        )
        (found,) = read(static, FileKind.TRAEFIK).routes

        assert found.block == "entry point web"
        assert [(each.seconds, each.place) for each in found.timers] == [(30, f"{static}:4:1")]

    def test_missing_files_are_gaps(self, tmp_path: Path) -> None:
        static = tmp_path / "traefik.yml"
        static.write_text(STATIC.format(entry="", provider="filename: none.yml"))
        found = read(static, FileKind.TRAEFIK)

        assert [each.why for each in found.unread] == ["no such file or directory"]

    @pytest.mark.parametrize(
        ("text", "why", "place"),
        [
            ("entryPoints:\n  web: [\n", None, "traefik.yml:"),
            ("entryPoints: &e\n  web: *e\n", None, "traefik.yml:2"),
            ("http:\n  routers: " + "[" * 3000 + "]" * 3000, "it is nested deeper than 64 levels", None),
        ],
    )
    def test_hostile_texts(self, tmp_path: Path, text: str, why: str | None, place: str | None) -> None:
        path = tmp_path / "traefik.yml"
        path.write_text(text)
        with pytest.raises(Unreadable) as caught:
            read(path, FileKind.TRAEFIK)

        if why is not None:
            assert caught.value.why == why
        if place is not None:
            assert place in (caught.value.place or "")

    def test_aliases_that_multiply(self, tmp_path: Path) -> None:
        names = "abcdefghi"
        levels = "\n".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in pairwise(names)
        )
        path = tmp_path / "traefik.yml"
        path.write_text(f"a: &a [x]\n{levels}\nentryPoints: *i\n")
        with pytest.raises(Unreadable, match="more than 50000 values"):
            read(path, FileKind.TRAEFIK)

    def test_aliases_and_merged_maps_are_followed(self, tmp_path: Path) -> None:
        path = tmp_path / "dynamic.yml"
        path.write_text(
            "x-router: &router {rule: Host(`reg.test`), service: s, middlewares: [again]}\n"
            "http:\n  routers:\n    registry:\n      <<: *router\n"
            "  middlewares:\n    limit: &limit\n      buffering: {maxRequestBodyBytes: 5000}\n    again: *limit\n"
            "  services:\n    s: {loadBalancer: {servers: [{url: http://127.0.0.1:5000}]}}\n"
        )
        limit = read(path, FileKind.TRAEFIK).routes[0].body_limit

        assert limit is not None
        assert (limit.bytes, limit.place) == (5000, f"{path}:8:19")


class TestMiddlewares:
    def test_a_limit_and_spooling(self, tmp_path: Path) -> None:
        found = route(tmp_path, **middleware("buffering: {maxRequestBodyBytes: 1000000}"))

        assert found.body_limit is not None
        assert found.body_limit.bytes == 1_000_000
        assert found.buffering is not None
        assert found.buffering.spools

    @pytest.mark.parametrize("text", ["buffering: {maxRequestBodyBytes: 0}", "compress: {}", "buffering: {}"])
    def test_no_limit(self, tmp_path: Path, text: str) -> None:
        assert route(tmp_path, **middleware(text)).body_limit is None

    def test_chains_are_followed_and_end(self, tmp_path: Path) -> None:
        found = route(
            tmp_path,
            used="chain@file",
            more="  middlewares:\n    chain: {chain: {middlewares: [chain, limit]}}\n"
            "    limit: {buffering: {maxRequestBodyBytes: 7}}\n",
        )

        assert found.body_limit is not None
        assert found.body_limit.bytes == 7

    def test_a_middleware_that_no_router_uses_does_nothing(self, tmp_path: Path) -> None:
        found = route(tmp_path, more="  middlewares:\n    limit: {buffering: {maxRequestBodyBytes: 7}}\n")

        assert found.body_limit is None

    def test_those_of_the_entry_point_hold_too(self, tmp_path: Path) -> None:
        found = route(
            tmp_path,
            entry="    http:\n      middlewares: [limit@file]",
            more="  middlewares:\n    limit: {buffering: {maxRequestBodyBytes: 7}}\n",
        )

        assert found.body_limit is not None

    @pytest.mark.parametrize(
        ("text", "sent"),
        [
            ("stripPrefix: {prefixes: [/registry]}", "/v2/team/app/blobs/uploads/"),
            ("stripPrefix: {prefixes: [/x, /v2]}", "/team/app/blobs/uploads/"),
            ("addPrefix: {prefix: /registry}", "/registry/v2/team/app/blobs/uploads/"),
            ("replacePath: {path: /}", "/"),
            ("replacePathRegex: {regex: ^/v2/(.*)$, replacement: /$1}", "/team/app/blobs/uploads/"),
            ("replacePathRegex: {regex: ^/web/(.*)$, replacement: /$1}", "/v2/team/app/blobs/uploads/"),
            ("replacePathRegex: {regex: /v2/(.*), replacement: /$1}", None),
            ("stripPrefixRegex: {regex: ['/v[0-9]']}", None),
        ],
    )
    def test_paths(self, tmp_path: Path, text: str, sent: str | None) -> None:
        found = route(tmp_path, **middleware(text))

        assert found.sent_path == sent
        changed = sent != "/v2/team/app/blobs/uploads/"
        assert (found.path_change is not None) == changed


class TestHeaders:
    def test_traefik_sets_scheme_and_host_itself(self, tmp_path: Path) -> None:
        found = {each.name: each for each in route(tmp_path).headers}

        assert found["x-forwarded-proto"].parts == (HeaderPart(HeaderPartKind.SCHEME),)
        assert found["x-forwarded-host"].parts == (HeaderPart(HeaderPartKind.HOST),)
        assert found["x-forwarded-proto"].when is HeaderCondition.ALWAYS

    @pytest.mark.parametrize("trust", ["insecure: true", "trustedIPs: [10.0.0.0/8]"])
    def test_what_came_in_is_kept_where_it_is_trusted(self, tmp_path: Path, trust: str) -> None:
        found = route(tmp_path, entry=f"    forwardedHeaders: {{{trust}}}")

        assert {each.when for each in found.headers} == {HeaderCondition.ABSENT}

    def test_written_ones(self, tmp_path: Path) -> None:
        found = route(
            tmp_path,
            **middleware("headers: {customRequestHeaders: {X-Forwarded-Proto: http, Host: a, X-Other: b}}"),
        )
        written = [(each.name, each.value) for each in found.headers if each.place is not None]

        assert written == [("x-forwarded-proto", "http"), ("host", "a")]

    def test_credentials_are_not_kept(self, tmp_path: Path) -> None:
        found = route(
            tmp_path, **middleware("headers: {customRequestHeaders: {Authorization: Basic aHVudGVyMg==}}")
        )

        assert "aHVudGVyMg" not in repr(found)

    def test_the_host_may_be_held_back(self, tmp_path: Path) -> None:
        found = route(tmp_path, balancer="        passHostHeader: false")
        (host,) = (each for each in found.headers if each.name == "host")

        assert host.parts == (HeaderPart(HeaderPartKind.UPSTREAM, "127.0.0.1:5000"),)


class TestTimers:
    @pytest.mark.parametrize(
        ("entry", "wanted"),
        [
            ("", [("respondingTimeouts.readTimeout", 60, False)]),
            (
                "    transport: {respondingTimeouts: {readTimeout: 10m, writeTimeout: 5s}}",
                [("respondingTimeouts.readTimeout", 600, True), ("respondingTimeouts.writeTimeout", 5, True)],
            ),
            (
                "    transport: {respondingTimeouts: {readTimeout: 0}}",
                [("respondingTimeouts.readTimeout", None, True)],
            ),
        ],
    )
    def test_of_the_entry_point(
        self, tmp_path: Path, entry: str, wanted: list[tuple[str, float | None, bool]]
    ) -> None:
        timers = route(tmp_path, entry=entry).timers

        assert [(each.name, each.seconds, each.place is not None) for each in timers] == wanted

    def test_of_the_transport_to_the_registry(self, tmp_path: Path) -> None:
        found = route(
            tmp_path,
            balancer="        serversTransport: slow",
            more="  serversTransports:\n    slow: {forwardingTimeouts: {responseHeaderTimeout: 5s}}\n",
        )

        assert ("forwardingTimeouts.responseHeaderTimeout", 5) in [
            (each.name, each.seconds) for each in found.timers
        ]


def test_services_in_a_circle_end(tmp_path: Path) -> None:
    path = tmp_path / "dynamic.yml"
    path.write_text(
        "http:\n  routers:\n    r: {rule: Host(`reg.test`), service: a}\n"
        "  services:\n    a: {weighted: {services: [{name: b}]}}\n    b: {failover: {service: a}}\n"
    )

    assert len(read(path, FileKind.TRAEFIK).routes) <= 1


def test_a_router_that_is_not_for_uploads_is_no_way(tmp_path: Path) -> None:
    path = tmp_path / "dynamic.yml"
    path.write_text(
        "http:\n  routers:\n    web: {rule: PathPrefix(`/web`), service: s}\n"
        "  services:\n    s: {loadBalancer: {servers: [{url: http://127.0.0.1:80}]}}\n"
    )

    assert read(path, FileKind.TRAEFIK).routes == ()
