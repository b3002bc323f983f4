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
        why = (error.strerror or str(error)).lower()
        raise Blocked(f"{path} cannot be read: {why}{_what_would_help(why)}") from None
    if kind is None or kind not in PROXY_KINDS:
        what = f"a file of the kind {kind}" if kind is not None else "no configuration that is known here"
        raise Blocked(f"{path} is {what}, and not one of nginx, haproxy, Traefik or Caddy")
    try:
        return proxy_configs.read(path, kind, context.options.beside)
    except proxy_configs.Unreadable as problem:
        where = problem.place or str(path)
        raise Blocked(
            f"{where} cannot be read as a configuration of {kind}: {problem.why}{_what_would_help(problem.why)}"
        ) from None


def _what_would_help(why: str) -> str:
    return "; run regdoctor as root, or as a user who may read it" if why == "permission denied" else ""


@probe
def look_for_gaps(config: ProxyConfig) -> CompleteProxyConfig:
    """Whether all was read that may hold settings for uploads: else nothing can be said of what is not set."""
    gaps = [unread for route in config.routes for unread in route.unread] or (
        list(config.unread) if not config.routes else []
    )
    for gap in gaps:
        elsewhere = gap.why in ("permission denied", "no such file or directory")
        dump = (
            "; or give the output of nginx -T, which has all files in one"
            if config.kind is FileKind.NGINX
            else ""
        )
        raise Blocked(
            f"{gap.path}, which {gap.place} includes, cannot be read: {gap.why}{_what_would_help(gap.why)}"
            f"{dump if elsewhere else ''}"
        )
    return CompleteProxyConfig(files=config.files)
