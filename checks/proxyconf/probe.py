"""Reads the reverse proxy's configuration."""

from __future__ import annotations

from regdoctor.api import (
    PROXY_KINDS,
    Blocked,
    CompleteProxyConfig,
    Context,
    FileKind,
    NotApplicable,
    ProxyConfig,
    file_kinds,
    probe,
    proxy_configs,
)


@probe
def read_file(context: Context) -> ProxyConfig:
    """The file given with ``--proxy-config`` or to ``lint``, and what belongs to it."""
    path = context.options.proxy_config
    if path is None:
        raise NotApplicable("no configuration of a reverse proxy is given (--proxy-config)")
    try:
        path.stat()
        kind: FileKind | None = context.options.lint or file_kinds.recognise(path)
    except OSError as error:
        raise Blocked(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if kind is None or kind not in PROXY_KINDS:
        what = f"a file of the kind {kind}" if kind is not None else "no configuration that is known here"
        raise Blocked(f"{path} is {what}, and not one of nginx, haproxy, Traefik or Caddy")
    try:
        return proxy_configs.read(path, kind, context.options.beside)
    except proxy_configs.Unreadable as problem:
        where = problem.place or str(path)
        raise Blocked(f"{where} cannot be read as a configuration of {kind}: {problem.why}") from None


@probe
def look_for_gaps(config: ProxyConfig) -> CompleteProxyConfig:
    """Whether all was read that may hold settings for uploads: else nothing can be said of what is not set."""
    gaps = [unread for route in config.routes for unread in route.unread] or (
        list(config.unread) if not config.routes else []
    )
    for gap in gaps:
        raise Blocked(f"{gap.path}, which {gap.place} includes, cannot be read: {gap.why}")
    return CompleteProxyConfig(files=config.files)
