"""Runs the rules about reverse proxies on the text of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regdoctor.api import (
    CompleteProxyConfig,
    Draft,
    Each,
    EffectiveConfiguration,
    Endpoint,
    FileKind,
    Ping,
    ProxyConfig,
    SlowUploads,
    UploadSession,
    UploadSizes,
    proxy_configs,
)
from regdoctor.checks.proxyconf import rules
from tests.support.facts import answer, endpoint

PLAIN_ENDPOINT = endpoint(scheme="http", port=80)

SERVER = "listen 443 ssl; server_name reg.test;"
HEADERS = "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;"
STREAMED = "proxy_request_buffering off; proxy_http_version 1.1;"
PASS = "proxy_pass http://127.0.0.1:5000; proxy_read_timeout 900s;"


def nginx(
    folder: Path,
    *,
    http: str = "",
    listen: str = SERVER,
    server: str = "client_max_body_size 0;",
    headers: str = HEADERS,
    passing: str = PASS,
    location: str = STREAMED,
) -> ProxyConfig:
    """A configuration of nginx that is right, with changes; each part is a line of its own from line 2 on."""
    path = folder / "nginx.conf"
    path.write_text(
        f"http {{\n{http}\nserver {{ {listen}\n{server}\n"
        f"location / {{\n{headers}\n{passing}\n{location}\n}} }} }}\n"
    )
    return proxy_configs.read(path, FileKind.NGINX)


def read(folder: Path, kind: FileKind, text: str) -> ProxyConfig:
    """The configuration of another program."""
    path = folder / {FileKind.HAPROXY: "haproxy.cfg", FileKind.CADDY: "Caddyfile"}.get(kind, "traefik.yml")
    path.write_text(text)
    return proxy_configs.read(path, kind)


def drafts_of(
    config: ProxyConfig,
    target: Endpoint | None = None,
    *,
    answered: bool = True,
    session: UploadSession | None = None,
    sizes: UploadSizes | None = None,
    slow: SlowUploads | None = None,
    registry: EffectiveConfiguration | None = None,
) -> list[Draft]:
    """All that is found: of a file by itself, or on the way to a registry; by default one that answers."""
    registries: Each[Endpoint] = Each({target: target} if target is not None else {})
    pings: Each[Ping] = Each({})
    if target is not None and answered:
        pings = Each({target: Ping(answer=answer(url=f"{target.url}/v2/"), trusted=True)})
    complete = all(not route.unread for route in config.routes)

    def drafts() -> Iterator[Draft]:
        yield from rules.body_limit(config, registries, sizes)
        yield from rules.buffering(config, registries)
        yield from rules.timers(config, registries, pings, slow)
        if complete:
            whole = CompleteProxyConfig(files=config.files)
            yield from rules.default_body_limit(config, whole, registries, sizes)
            yield from rules.addresses(config, whole, registries, pings, session, registry)
            yield from rules.default_buffering(config, whole, registries, session)
            yield from rules.default_timers(config, whole, registries, pings, slow)

    return list(drafts())
