"""Caddy's own JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from regdoctor.facts import FileKind, HeaderPart, HeaderPartKind, ProxyRoute
from regdoctor.host.proxyconf import Unreadable, read

PROXY: dict[str, Any] = {"handler": "reverse_proxy", "upstreams": [{"dial": "127.0.0.1:5000"}]}


def routes(folder: Path, handlers: list[dict[str, Any]], **server: Any) -> tuple[ProxyRoute, ...]:
    path = folder / "caddy.json"
    route = {
        "match": [{"host": ["reg.test"]}],
        "handle": [{"handler": "subroute", "routes": [{"handle": handlers}]}],
    }
    settings = {"listen": [":443"], "routes": [route], **server}
    path.write_text(json.dumps({"apps": {"http": {"servers": {"srv0": settings}}}}, indent=1))
    return read(path, FileKind.CADDY).routes


def route(
    folder: Path, *before: dict[str, Any], proxy: dict[str, Any] | None = None, **server: Any
) -> ProxyRoute:
    (found,) = routes(folder, [*before, PROXY | (proxy or {})], **server)
    return found


def test_a_way_with_its_listener_and_its_place(tmp_path: Path) -> None:
    found = route(tmp_path)

    assert found.names == ("reg.test",)
    assert found.upstreams == ("127.0.0.1:5000",)
    assert (found.listeners[0].port, found.listeners[0].tls) == (443, True)
    path, line, _column = found.place.rsplit(":", 2)
    assert '"handler": "reverse_proxy"' in "".join(
        Path(path).read_text().splitlines()[int(line) - 1 : int(line) + 1]
    )


def test_limits(tmp_path: Path) -> None:
    limit = route(tmp_path, {"handler": "request_body", "max_size": 1000}).body_limit

    assert limit is not None
    assert limit.bytes == 1000


def test_timers_are_nanoseconds_or_words(tmp_path: Path) -> None:
    found = route(tmp_path, read_timeout=30_000_000_000, write_timeout="1m")

    assert [each.name for each in found.timers] == ["read_timeout", "write_timeout"]
    assert [each.seconds for each in found.timers] == [pytest.approx(30), 60]


def test_headers(tmp_path: Path) -> None:
    request = {
        "request": {
            "set": {"Host": ["{http.reverse_proxy.upstream.hostport}"]},
            "delete": ["X-Forwarded-Proto"],
        }
    }
    found = route(tmp_path, proxy={"headers": request})
    written = {each.name: each.parts for each in found.headers if each.place is not None}

    assert written == {
        "host": (HeaderPart(HeaderPartKind.UPSTREAM, "127.0.0.1:5000"),),
        "x-forwarded-proto": (),
    }


@pytest.mark.parametrize(
    ("rewrite", "sent"),
    [
        ({"strip_path_prefix": "/v2"}, "/team/app/blobs/uploads/"),
        ({"uri": "/registry{http.request.uri}"}, "/registry/v2/team/app/blobs/uploads/"),
        ({"uri_substring": [{"find": "v2", "replace": "v3"}]}, None),
    ],
)
def test_paths(tmp_path: Path, rewrite: dict[str, Any], sent: str | None) -> None:
    assert route(tmp_path, {"handler": "rewrite", **rewrite}).sent_path == sent


def test_a_route_that_is_not_for_uploads_is_no_way(tmp_path: Path) -> None:
    found = routes(
        tmp_path, [{"handler": "subroute", "routes": [{"match": [{"path": ["/web/*"]}], "handle": [PROXY]}]}]
    )

    assert found == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"apps": ',
        '{"apps": {"http": {"servers": ' + '{"a":' * 3000 + "}" * 3003,
        '{"apps": [' + "0," * 60_000 + "0]}",
    ],
)
def test_hostile_texts(tmp_path: Path, text: str) -> None:
    path = tmp_path / "caddy.json"
    path.write_text(text)
    with pytest.raises(Unreadable):
        read(path, FileKind.CADDY)
