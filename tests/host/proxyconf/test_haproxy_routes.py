"""The ways that uploads take through haproxy."""

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


def routes(folder: Path, text: str) -> tuple[ProxyRoute, ...]:
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return read(path, FileKind.HAPROXY).routes


def route(
    folder: Path, frontend: str = "", backend: str = "", bind: str = "bind :443 ssl crt x"
) -> ProxyRoute:
    text = (
        "defaults\n  mode http\n  timeout server 30m\n"
        f"frontend web\n  {bind}\n{frontend}\n  default_backend registries\n"
        f"backend registries\n{backend}\n  server registry 127.0.0.1:5000 check\n"
    )
    (found,) = routes(folder, text)
    return found


def assignments(found: ProxyRoute, name: str) -> list[HeaderAssignment]:
    return [each for each in found.headers if each.name == name]


class TestBackends:
    TEXT = (
        "defaults\n  mode http\nfrontend web\n  bind :443 ssl crt x\n  acl host_web hdr(host) -i www.test\n"
        "  use_backend web if host_web\n  use_backend static if { path_beg /static }\n"
        "  use_backend registries if { path_beg /v2/ }\n  default_backend web\n"
        "backend web\n  server web 10.0.0.1:80\nbackend static\n  server s 10.0.0.2:80\n"
        "backend registries\n  server registry 127.0.0.1:5000\n"
    )

    def test_those_that_an_upload_may_reach(self, tmp_path: Path) -> None:
        found = routes(tmp_path, self.TEXT)

        assert [(each.block, each.names) for each in found] == [
            ("frontend web → backend web", ("www.test",)),
            ("frontend web → backend registries", ()),
        ]

    def test_a_listen_section_is_both(self, tmp_path: Path) -> None:
        (found,) = routes(tmp_path, "listen registry\n  mode http\n  bind *:5000\n  server r 10.0.0.1:5000\n")

        assert found.block == "listen registry"
        assert found.listeners[0].port == 5000

    def test_the_place_is_the_frontend_s(self, tmp_path: Path) -> None:
        assert route(tmp_path).place == f"{tmp_path}/haproxy.cfg:4:1"

    @pytest.mark.parametrize(
        ("bind", "host", "port", "tls"),
        [
            ("bind :443 ssl crt x", "", 443, True),
            ("bind *:80", "", 80, False),
            ("bind [::]:8443 v6only ssl crt x", "", 8443, True),
            ("bind ipv4@127.0.0.1:5000-5010", "127.0.0.1", 5000, False),
            ("bind unix@/run/haproxy.sock", "unix@/run/haproxy.sock", None, False),
        ],
    )
    def test_where_it_listens(
        self, tmp_path: Path, bind: str, host: str, port: int | None, tls: bool
    ) -> None:
        listener = route(tmp_path, bind=bind).listeners[0]

        assert (listener.port, listener.tls) == (port, tls)
        if port is not None:
            assert listener.host == host

    def test_in_tcp_mode_nothing_of_http_is_touched(self, tmp_path: Path) -> None:
        (found,) = routes(tmp_path, "listen r\n  bind :443\n  mode tcp\n  server r 10.0.0.1:5000\n")

        assert (found.headers, found.body_limit, found.refused) == ((), None, None)


class TestHeaders:
    @pytest.mark.parametrize(
        ("line", "when", "parts"),
        [
            (
                "http-request set-header X-Forwarded-Proto https if { ssl_fc }",
                HeaderCondition.TLS,
                (HeaderPart(HeaderPartKind.TEXT, "https"),),
            ),
            (
                "http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
                HeaderCondition.ALWAYS,
                (HeaderPart(HeaderPartKind.SCHEME),),
            ),
            ("http-request del-header X-Forwarded-Proto", HeaderCondition.ALWAYS, ()),
            (
                "http-request replace-header X-Forwarded-Proto .* https",
                HeaderCondition.ALWAYS,
                (HeaderPart(HeaderPartKind.UNKNOWN),),
            ),
            (
                "http-request set-header X-Forwarded-Proto %[var(txn.proto)]",
                HeaderCondition.ALWAYS,
                (HeaderPart(HeaderPartKind.UNKNOWN),),
            ),
            (
                "reqadd X-Forwarded-Proto:\\ https",
                HeaderCondition.ALWAYS,
                (HeaderPart(HeaderPartKind.TEXT, "https"),),
            ),
        ],
    )
    @pytest.mark.parametrize("section", ["frontend", "backend"])
    def test_the_scheme(
        self, tmp_path: Path, section: str, line: str, when: HeaderCondition, parts: tuple[HeaderPart, ...]
    ) -> None:
        found = route(tmp_path, **{section: f"  {line}"})
        (only,) = assignments(found, "x-forwarded-proto")

        assert (only.when, only.parts) == (when, parts)

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            ("%[req.hdr(host)]", HeaderPartKind.HOST),
            ("%[req.hdr(Host),field(1,:)]", HeaderPartKind.NAME),
            ("%[hdr(host),host_only]", HeaderPartKind.NAME),
            ("registry.internal", HeaderPartKind.TEXT),
            ("%[req.hdr(X-Original-Host)]", HeaderPartKind.INCOMING),
        ],
    )
    def test_the_host(self, tmp_path: Path, value: str, kind: HeaderPartKind) -> None:
        (only,) = assignments(route(tmp_path, f"  http-request set-header Host {value}"), "host")

        assert [each.kind for each in only.parts] == [kind]
        assert only.place == f"{tmp_path}/haproxy.cfg:6:3"

    def test_a_rule_that_is_not_for_uploads_sets_nothing(self, tmp_path: Path) -> None:
        found = route(tmp_path, "  http-request set-header Host web if { path_beg /web }")

        assert assignments(found, "host") == []

    def test_credentials_are_not_kept(self, tmp_path: Path) -> None:
        found = route(tmp_path, "", '  http-request set-header Authorization "Basic aHVudGVyMg=="')

        assert "aHVudGVyMg" not in repr(found)


class TestLimits:
    @pytest.mark.parametrize(
        ("line", "size"),
        [
            ("http-request deny deny_status 413 if { req.body_size gt 1000000 }", 1_000_000),
            ("http-request deny if { req.hdr_val(content-length) ge 5000 }", 5000),
            ("http-request deny if { req.hdr_val(content-length) lt 1 }", None),
            ("http-request deny if { path_beg /web }", None),
        ],
    )
    def test_of_bodies(self, tmp_path: Path, line: str, size: int | None) -> None:
        limit = route(tmp_path, f"  {line}").body_limit

        assert (limit.bytes if limit is not None else None) == size
        if limit is not None:
            assert limit.announced_only

    @pytest.mark.parametrize(
        ("lines", "methods"),
        [
            ("  acl ok method GET HEAD POST PUT\n  http-request deny if !ok", ("PATCH", "DELETE")),
            ("  http-request deny if METH_DELETE", ("DELETE",)),
            ("  http-request deny unless { src 10.0.0.0/8 }", ()),
            ("  http-request deny if METH_PATCH { path_beg /web }", ()),
        ],
    )
    def test_of_methods(self, tmp_path: Path, lines: str, methods: tuple[str, ...]) -> None:
        refused = route(tmp_path, lines).refused

        assert (refused.methods if refused is not None else ()) == methods

    def test_of_time(self, tmp_path: Path) -> None:
        (timer,) = route(tmp_path, "", "  timeout server 5000").timers

        assert (timer.name, timer.scope, timer.seconds) == ("timeout server", TimerScope.SILENCE, 5)
        assert timer.place == f"{tmp_path}/haproxy.cfg:9:3"

    def test_whole_bodies_are_never_spooled(self, tmp_path: Path) -> None:
        buffering = route(tmp_path, "  option http-buffer-request").buffering

        assert buffering is not None
        assert not buffering.spools


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("", "/v2/team/app/blobs/uploads/"),
        (r"  http-request replace-path /v2/(.*) /\1", "/team/app/blobs/uploads/"),
        (r"  http-request replace-path (.*) /registry\1", "/registry/v2/team/app/blobs/uploads/"),
        (r"  http-request replace-path /web/(.*) /\1", "/v2/team/app/blobs/uploads/"),
        (r"  http-request replace-path /v2/(.*) /\1 if { path_beg /web }", "/v2/team/app/blobs/uploads/"),
        (r"  http-request replace-path /v2/(.*) /\1 if { src 10.0.0.0/8 }", None),
        ("  http-request set-path /x%[path]", None),
    ],
)
def test_what_becomes_of_the_path(tmp_path: Path, line: str, sent: str | None) -> None:
    found = route(tmp_path, "", line)

    assert found.sent_path == sent
    assert (found.path_change is not None) == (bool(line) and "path_beg" not in line)


def test_the_number_of_ways_is_bounded(tmp_path: Path) -> None:
    text = "listen r\n  bind :443\n  mode http\n  server r 10.0.0.1:5000\n" * 600

    assert len(routes(tmp_path, text)) == 500


def test_a_large_configuration_does_not_take_long(tmp_path: Path) -> None:
    rules = "".join(f"  acl a{n} path_beg /{n}\n  use_backend b if a{n}\n" for n in range(15_000))
    backend = "backend b\n  server r 10.0.0.1:5000\n"
    text = f"frontend f\n  bind :443\n  mode http\n{rules}  default_backend b\n{backend}"

    assert len(routes(tmp_path, text)) == 1
