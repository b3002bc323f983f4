"""Who made an HTTP answer: the registry, a proxy in front of it, a forward proxy, a CDN, or something else.

Judged by what the answer shows, never by its status: registries answer JSON ``{"errors": […]}`` and carry
``Docker-Distribution-Api-Version``; proxies answer HTML or short texts of their own and name themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from regdoctor.facts.http import Producer, ProducerKind

_CDN_HEADERS = {
    "cf-ray": "Cloudflare",
    "cf-mitigated": "Cloudflare",
    "x-amz-cf-id": "Amazon CloudFront",
    "x-akamai-request-id": "Akamai",
    "x-azure-ref": "Azure Front Door",
    "x-fastly-request-id": "Fastly",
    "x-sucuri-id": "Sucuri",
    "x-iinfo": "Imperva",
}
_CDN_SERVERS = {
    "cloudflare": "Cloudflare",
    "cloudfront": "Amazon CloudFront",
    "akamaighost": "Akamai",
    "gws": "Google",
}
_FORWARD_PROXIES = (
    "squid",
    "tinyproxy",
    "privoxy",
    "zscaler",
    "bluecoat",
    "mcafee web gateway",
    "fortigate",
    "mitmproxy",
)
_REVERSE_PROXIES = {
    "nginx": "nginx",
    "openresty": "OpenResty",
    "haproxy": "HAProxy",
    "caddy": "Caddy",
    "traefik": "Traefik",
    "envoy": "Envoy",
    "istio-envoy": "Envoy",
    "apache": "Apache httpd",
    "awselb": "AWS load balancer",
    "microsoft-iis": "IIS",
    "microsoft-azure-application-gateway": "Azure Application Gateway",
    "varnish": "Varnish",
    "lighttpd": "lighttpd",
    "kong": "Kong",
}
_REGISTRY_SERVERS = {
    "docker registry": "Google Artifact Registry",
    "artifactory": "Artifactory",
    "nexus": "Nexus",
    "harbor": "Harbor",
}
_HAPROXY_BODY = re.compile(r"<html><body><h1>\d{3} [A-Za-z -]+</h1>\n", re.ASCII)
_TRAEFIK_BODY = re.compile(
    r"(no available server|Bad Gateway|Gateway Timeout|Client Closed Request|404 page not found)\n?"
)


def producer_of(status: int, headers: Sequence[tuple[str, str]], body: str) -> Producer:
    """Who made an answer.

    :param headers: names in lower case.
    :param body: the beginning of the body, decoded.
    """
    values: dict[str, str] = {}
    for name, value in headers:
        values.setdefault(name, value)
    server = values.get("server", "").lower()
    registry = _registry(values, server, body)
    if registry is not None:
        return registry
    forward = _forward_proxy(values, server, body)
    if forward is not None:
        return forward
    for name, product in _CDN_HEADERS.items():
        if name in values:
            return Producer(kind=ProducerKind.CDN, name=product, why=f"the header {name}")
    for word, product in _CDN_SERVERS.items():
        if server.startswith(word):
            return Producer(kind=ProducerKind.CDN, name=product, why=f"Server: {values['server']}")
    for word, product in _REVERSE_PROXIES.items():
        if server.startswith(word):
            return Producer(kind=ProducerKind.REVERSE_PROXY, name=product, why=f"Server: {values['server']}")
    if server:
        return Producer(
            kind=ProducerKind.OTHER, name=values["server"][:80], why=f"Server: {values['server'][:80]}"
        )
    if status >= 400 and _HAPROXY_BODY.match(body) is not None:
        return Producer(kind=ProducerKind.REVERSE_PROXY, name="HAProxy", why="the wording of its error page")
    if status in (499, 502, 503, 504) and _TRAEFIK_BODY.fullmatch(body) is not None:
        return Producer(
            kind=ProducerKind.REVERSE_PROXY, name="a proxy written in Go", why="the wording of its error text"
        )
    return Producer(kind=ProducerKind.UNKNOWN)


def _registry(values: dict[str, str], server: str, body: str) -> Producer | None:
    if "docker-distribution-api-version" in values:
        return Producer(kind=ProducerKind.REGISTRY, why="the header Docker-Distribution-Api-Version")
    for word, product in _REGISTRY_SERVERS.items():
        if server.startswith(word):
            return Producer(kind=ProducerKind.REGISTRY, name=product, why=f"Server: {values['server']}")
    if "x-jfrog-version" in values or "x-artifactory-id" in values:
        return Producer(kind=ProducerKind.REGISTRY, name="Artifactory", why="its own headers")
    if re.match(r'\s*\{\s*"errors"\s*:\s*\[', body):
        return Producer(kind=ProducerKind.REGISTRY, why='a JSON body of registry errors ("errors": […])')
    return None


def _forward_proxy(values: dict[str, str], server: str, body: str) -> Producer | None:
    if "x-squid-error" in values:
        return Producer(
            kind=ProducerKind.FORWARD_PROXY,
            name="Squid",
            why=f"X-Squid-Error: {values['x-squid-error'][:80]}",
        )
    for word in _FORWARD_PROXIES:
        if word in server:
            return Producer(
                kind=ProducerKind.FORWARD_PROXY, name=word, why=f"Server: {values['server'][:80]}"
            )
    if "proxy-authenticate" in values:
        return Producer(kind=ProducerKind.FORWARD_PROXY, why="the header Proxy-Authenticate")
    if "generated by squid" in body.lower() or "tinyproxy" in body.lower():
        return Producer(kind=ProducerKind.FORWARD_PROXY, why="the wording of its error page")
    return None
