"""Who made an answer is read off what the answer shows."""

from __future__ import annotations

import json

import pytest

from regdoctor.facts import ProducerKind
from regdoctor.producer import producer_of

NGINX_502 = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)
HAPROXY_503 = """<html><body><h1>503 Service Unavailable</h1>
No server is available to handle this request.
</body></html>
"""
CLOUDFLARE_403 = NGINX_502.replace("nginx/1.22.1", "cloudflare").replace("502 Bad Gateway", "403 Forbidden")
UNAUTHORIZED = '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}\n'


def made_by(status: int, body: str = "", **headers: str) -> tuple[ProducerKind, str | None]:
    named = tuple((name.lower().replace("_", "-"), value) for name, value in headers.items())
    producer = producer_of(status, named, body)
    assert producer.kind is ProducerKind.UNKNOWN or producer.why
    return producer.kind, producer.name


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, "{}", {"Docker-Distribution-Api-Version": "registry/2.0"}),
        (401, UNAUTHORIZED, {"Content-Type": "application/json"}),
        (401, UNAUTHORIZED, {"Content-Type": "application/json", "Server": "nginx"}),
        (401, "Not Authorized\n", {"Docker-Distribution-Api-Version": "registry/2.0"}),  # Amazon ECR
        (404, '{"errors":[{"message":"no such name","code":"NAME_UNKNOWN"}]}', {"Server": "nginx/1.27"}),
        (401, "", {"Server": "Docker Registry"}),  # Google
        (404, "", {"Server": "Artifactory/7.77.3"}),
        (400, "{}", {"X-JFrog-Version": "Artifactory/7.77.3 77703900"}),
        (503, UNAUTHORIZED.replace("UNAUTHORIZED", "UNAVAILABLE"), {}),
    ],
)
def test_registries_are_known_by_their_header_their_errors_and_their_names(
    status: int, body: str, headers: dict[str, str]
) -> None:
    assert made_by(status, body, **{key.replace("-", "_"): value for key, value in headers.items()})[0] is (
        ProducerKind.REGISTRY
    )


def test_a_page_is_its_signer_s_even_where_a_proxy_adds_the_registry_s_header() -> None:
    # As distribution's own recipe for nginx does: add_header Docker-Distribution-Api-Version … always.
    assert made_by(502, NGINX_502, Server="nginx", Docker_Distribution_Api_Version="registry/2.0") == (
        ProducerKind.REVERSE_PROXY,
        "nginx",
    )


def test_a_page_is_its_signer_s_even_where_it_came_through_a_cdn() -> None:
    assert made_by(502, NGINX_502, Server="cloudflare", CF_Ray="8a-FRA") == (
        ProducerKind.REVERSE_PROXY,
        "nginx",
    )
    assert made_by(403, CLOUDFLARE_403, Server="cloudflare", CF_Ray="8a-FRA") == (
        ProducerKind.CDN,
        "Cloudflare",
    )


def test_a_page_is_no_registry_s_whatever_the_server_is_called() -> None:
    kind, name = made_by(
        404, "<!DOCTYPE html>\n<html><title>404</title></html>", Server="Nexus/3.70.1-02 (OSS)"
    )

    assert kind is ProducerKind.OTHER
    assert name is not None
    assert name.startswith("Nexus")


@pytest.mark.parametrize(
    ("status", "body", "headers", "name"),
    [
        (502, NGINX_502, {}, "nginx"),
        (502, NGINX_502.replace("nginx/1.22.1", "openresty"), {}, "OpenResty"),
        (
            504,
            NGINX_502.replace("nginx/1.22.1", "Microsoft-Azure-Application-Gateway/v2"),
            {},
            "Azure Application Gateway",
        ),
        (503, HAPROXY_503, {}, "HAProxy"),
        (502, "", {"Server": "Caddy"}, "Caddy"),
        (502, "Bad Gateway", {}, "a proxy written in Go (Traefik?)"),
        (503, "no available server\n", {}, "a proxy written in Go (Traefik?)"),
        (413, "Request Entity Too Large", {}, "a proxy written in Go (Traefik?)"),
        (503, "no healthy upstream", {}, "Envoy"),
        (503, "upstream connect error or disconnect/reset before headers. reset reason: …", {}, "Envoy"),
        (503, "<html><title>503</title></html>", {"Server": "awselb/2.0"}, "AWS load balancer"),
        (
            500,
            "<html><address>Apache/2.4.57 (Debian) Server at reg.test Port 443</address></html>",
            {},
            "Apache httpd",
        ),
    ],
)
def test_reverse_proxies_are_known_by_pages_texts_and_headers(
    status: int, body: str, headers: dict[str, str], name: str
) -> None:
    assert made_by(status, body, **headers) == (ProducerKind.REVERSE_PROXY, name)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"CF-Ray": "8a-FRA"}, "Cloudflare"),
        ({"X-Amz-Cf-Id": "abc"}, "Amazon CloudFront"),
        ({"Server": "AkamaiGHost"}, "Akamai"),
        ({"X-Azure-Ref": "0abc"}, "Azure Front Door"),
    ],
)
def test_cdns_are_known_by_their_headers(headers: dict[str, str], name: str) -> None:
    named = {key.replace("-", "_"): value for key, value in headers.items()}

    assert made_by(403, "denied", **named) == (ProducerKind.CDN, name)


@pytest.mark.parametrize(
    ("status", "body", "headers", "name"),
    [
        (503, "", {"X_Squid_Error": "ERR_DNS_FAIL 0", "Server": "squid/5.7"}, "Squid"),
        (403, "<html>Generated by proxy.corp (squid/5.7)</html>", {}, "Squid"),
        (403, "<html><hr><p><em>Generated by tinyproxy version 1.11.1.</em></p></html>", {}, "tinyproxy"),
        (407, "", {"Proxy_Authenticate": "NTLM"}, None),
        (502, "", {"Server": "mitmproxy 10.1"}, "mitmproxy"),
    ],
)
def test_forward_proxies_are_known_by_headers_and_pages(
    status: int, body: str, headers: dict[str, str], name: str | None
) -> None:
    assert made_by(status, body, **headers) == (ProducerKind.FORWARD_PROXY, name)


@pytest.mark.parametrize(
    "body",
    [
        '{"errors":[{"message":"Field x does not exist"}]}',  # GraphQL
        '{"errors":[{"code":7003,"message":"no route"}],"success":false}',
        '{"errors":[{"resource":"Issue","code":"missing_field"}]}',
        '{"errors":[]}',
        json.dumps({"status": 404, "error": "Not Found"}),
    ],
)
def test_other_services_json_errors_are_no_registry_s(body: str) -> None:
    assert made_by(404, body, Content_Type="application/json")[0] is ProducerKind.UNKNOWN


def test_a_foreign_server_is_named_as_it_names_itself() -> None:
    assert made_by(403, "", Server="AirTunes/695.5.1") == (ProducerKind.OTHER, "AirTunes/695.5.1")
    assert made_by(404, "", Server="Apache-Coyote/1.1") == (ProducerKind.OTHER, "Apache-Coyote/1.1")


def test_nothing_to_go_by_is_unknown() -> None:
    assert made_by(403) == (ProducerKind.UNKNOWN, None)


def test_a_mention_of_a_proxy_in_a_registry_s_text_is_no_proxy() -> None:
    body = '{"errors":[{"code":"DENIED","message":"configure tinyproxy or squid-cache.org first"}]}'

    assert made_by(403, body)[0] is ProducerKind.REGISTRY
