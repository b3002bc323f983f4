"""What to change in which file, and how to see the setting again: by program. Pure."""

from __future__ import annotations

import shlex

from regdoctor.api import FileKind, ProxyConfig, ReverseProxySetting, proxy_configs

_PATTERNS = {
    FileKind.NGINX: {
        "body-size": "server_name|location|client_max_body_size",
        "forwarded-proto": "location|proxy_pass|proxy_set_header",
        "host-header": "listen|location|proxy_pass|proxy_set_header",
        "buffering": "location|proxy_request_buffering|proxy_http_version",
        "timeout": "location|timeout",
    },
    FileKind.HAPROXY: {
        "body-size": "body_size|content-length",
        "forwarded-proto": "bind|X-Forwarded|ssl_fc",
        "host-header": "bind|[Hh]ost",
        "timeout": "timeout",
    },
    FileKind.TRAEFIK: {
        "body-size": "maxRequestBodyBytes",
        "forwarded-proto": "X-Forwarded|forwardedHeaders|trustedIPs",
        "host-header": "Host",
        "buffering": "buffering",
        "timeout": "imeout",
    },
    FileKind.CADDY: {
        "body-size": "max_size",
        "forwarded-proto": "header_up|trusted_proxies|X-Forwarded",
        "host-header": "header_up|Host",
        "buffering": "request_buffers",
        "timeout": "timeout|read_body|write",
    },
}


def reproduce(code: str, config: ProxyConfig) -> str:
    """A command that shows the settings that a code is about, in every file that was read."""
    pattern = _PATTERNS[config.kind].get(code.partition("/")[2], "timeout|header|proxy")
    files = " ".join(shlex.quote(file) for file in (config.files or (config.path,))[:5])
    return f"grep -nHE {shlex.quote(pattern)} {files}"


def for_limit(config: ProxyConfig, setting: ReverseProxySetting, front: proxy_configs.Front) -> str:
    """How a limit of bodies is lifted."""
    if config.kind is FileKind.NGINX:
        place = setting.place or front.route.place
        return f"client_max_body_size 0; at {place}, then nginx -t && nginx -s reload"
    return f"remove {setting.name} at {setting.place}, or raise it above your largest layer"


def for_scheme(config: ProxyConfig, front: proxy_configs.Front, place: str | None) -> str:
    """How a proxy that ends TLS tells of it."""
    return {
        FileKind.NGINX: (
            f"proxy_set_header X-Forwarded-Proto $scheme; in the block at {front.route.place}, beside the other "
            "proxy_set_header lines"
        ),
        FileKind.HAPROXY: (
            "http-request set-header X-Forwarded-Proto https if { ssl_fc } in the frontend (mode http), then "
            "systemctl reload haproxy"
        ),
        FileKind.TRAEFIK: f"remove X-Forwarded-Proto at {place}: Traefik sets it rightly by itself",
        FileKind.CADDY: f"remove the line at {place}: Caddy sets X-Forwarded-Proto rightly by itself",
    }.get(config.kind, "")


def for_outer_scheme(config: ProxyConfig, front: proxy_configs.Front, place: str | None) -> str:
    """How a proxy behind the one that ends TLS lets its header pass."""
    if config.kind is FileKind.TRAEFIK and place is None:
        return "entryPoints.NAME.forwardedHeaders.trustedIPs: the address of the proxy in front"
    if config.kind is FileKind.CADDY and place is None:
        return "servers { trusted_proxies static ADDRESS } in the global options: the proxy in front"
    return f"remove the line at {place or front.route.place}, so that the header of the proxy in front passes"


def for_host(config: ProxyConfig, front: proxy_configs.Front, place: str | None) -> str:
    """How the client's Host reaches the registry."""
    return {
        FileKind.NGINX: f"proxy_set_header Host $http_host; in the block at {front.route.place}",
        FileKind.TRAEFIK: f"passHostHeader: true, and no Host or X-Forwarded-Host at {place}",
    }.get(config.kind, f"remove the line at {place}: the Host of the client is passed on without it")


def for_buffering(config: ProxyConfig, setting: ReverseProxySetting, front: proxy_configs.Front) -> str:
    """How bodies are passed on as they come."""
    if config.kind is FileKind.NGINX:
        return f"proxy_request_buffering off; proxy_http_version 1.1; in the block at {front.route.place}"
    if config.kind is FileKind.TRAEFIK:
        return f"take the buffering middleware ({setting.place}) off the registry's router"
    return f"remove {setting.name} at {setting.place}"


def for_timer(config: ProxyConfig, setting: ReverseProxySetting, front: proxy_configs.Front) -> str:
    """How a timer is made long enough."""
    place = setting.place or front.route.place
    if config.kind is FileKind.NGINX:
        return f"{setting.name} 900s; at {place}"
    if config.kind is FileKind.HAPROXY:
        return f"{setting.name} 15m at {place}"
    if config.kind is FileKind.TRAEFIK:
        return f"{setting.name}: 0s (no limit) in the entry point's transport at {place}"
    return f"remove {setting.name} at {place}, or set an hour"
