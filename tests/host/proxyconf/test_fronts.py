"""Which ways lead to the registry that is asked about, or to one at all."""

from __future__ import annotations

from typing import Any

import pytest

from regdoctor.facts import Endpoint, FileKind, ProxyConfig, ProxyListener, ProxyRoute, RefusedMethods, Role
from regdoctor.host.proxyconf import Front, fronts
from regdoctor.model import Certainty

TLS = ProxyListener(port=443, tls=True)


def way(place: str, **changes: Any) -> ProxyRoute:
    return ProxyRoute(place=place, block="location /", **({"listeners": (TLS,)} | changes))


def config(*routes: ProxyRoute, kind: FileKind = FileKind.NGINX) -> ProxyConfig:
    return ProxyConfig(path="nginx.conf", kind=kind, routes=routes)


def registry(host: str = "reg.test", port: int = 443) -> Endpoint:
    return Endpoint(role=Role.REGISTRY, scheme="https", host=host, port=port)


def chosen(found: list[Front]) -> list[tuple[str, Certainty]]:
    return [(each.route.place, each.certainty) for each in found]


class TestTowardsARegistry:
    def test_the_one_of_its_name_is_taken(self) -> None:
        found = fronts(config(way("a", names=("www.test",)), way("b", names=("reg.test",))), [registry()])

        assert chosen(found) == [("b", Certainty.PROVEN)]

    def test_an_exact_name_counts_more_than_a_wildcard(self) -> None:
        found = fronts(config(way("a", names=("*.test",)), way("b", names=("reg.test",))), [registry()])

        assert chosen(found) == [("b", Certainty.PROVEN)]

    def test_of_two_with_its_name_the_one_at_its_port(self) -> None:
        plain = way("a", names=("reg.test",), listeners=(ProxyListener(port=80),))
        found = fronts(config(plain, way("b", names=("reg.test",))), [registry()])

        assert chosen(found) == [("b", Certainty.PROVEN)]

    def test_the_default_server_takes_unknown_names(self) -> None:
        second = way("b", names=("b.test",), listeners=(ProxyListener(port=443, tls=True, default=False),))
        found = fronts(config(way("a", names=("a.test",)), second), [registry()])

        assert chosen(found) == [("a", Certainty.PROVEN)]

    def test_the_only_one_there_is_is_likely(self) -> None:
        found = fronts(config(way("a", names=("a.test",)), kind=FileKind.CADDY), [registry(port=8443)])

        assert chosen(found) == [("a", Certainty.LIKELY)]

    def test_several_without_any_sign_are_none(self) -> None:
        ways = (way("a", names=("a.test",)), way("b", names=("b.test",)))

        assert fronts(config(*ways, kind=FileKind.CADDY), [registry(port=8443)]) == []

    def test_the_authority_is_what_clients_send(self) -> None:
        found = fronts(config(way("a")), [registry("::1", 8443)])

        assert found[0].authority == "[::1]:8443"


class TestByThemselves:
    @pytest.mark.parametrize(
        "changes",
        [
            {"names": ("registry.example.org",)},
            {"names": ("docker.example.org",)},
            {"names": ("reg.test",)},
            {"upstreams": ("http://harbor-core:8080",)},
            {"adds_version_header": True},
            {"path": "/v2/", "upstreams": ("http://10.0.0.1:5000",)},
            {"block": "backend registries"},
        ],
    )
    def test_ways_that_show_it(self, changes: dict[str, Any]) -> None:
        route = ProxyRoute(**({"place": "a", "block": "location /", "listeners": (TLS,)} | changes))

        assert chosen(fronts(config(route), [])) == [("a", Certainty.PROVEN)]

    @pytest.mark.parametrize("changes", [{"path": "/v2/"}, {"upstreams": ("http://127.0.0.1:5000",)}])
    def test_the_path_or_the_port_alone_may_be_another_service_s(self, changes: dict[str, Any]) -> None:
        assert chosen(fronts(config(way("a", **changes)), [])) == [("a", Certainty.POSSIBLE)]

    @pytest.mark.parametrize(
        "changes",
        [
            {"names": ("www.example.org",), "upstreams": ("http://10.0.0.1:8080",)},
            {"names": ("regional.example.org",)},
            {"upstreams": ("http://dockerhost:8080",)},
        ],
    )
    def test_other_services_are_none(self, changes: dict[str, Any]) -> None:
        assert fronts(config(way("a", **changes)), []) == []

    def test_a_host_is_not_made_up(self) -> None:
        (front,) = fronts(config(way("a", upstreams=("registry:5000",))), [])

        assert front.authority == "<registry>"


def test_a_way_that_refuses_uploads_is_for_pulls_only() -> None:
    refused = RefusedMethods(name="limit_except", value="GET", methods=("POST", "PATCH", "PUT", "DELETE"))
    (front,) = fronts(config(way("a", refused=refused)), [registry()])

    assert front.pulls_only
