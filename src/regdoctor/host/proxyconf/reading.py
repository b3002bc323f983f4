"""Reads a reverse proxy's configuration, whichever of the known programs it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from regdoctor.facts.base import FileKind
from regdoctor.facts.proxyconf import ProxyConfig, ProxyRoute, UnreadFile
from regdoctor.host.proxyconf.files import Files, Unreadable


def read(path: Path, kind: FileKind, beside: Sequence[Path] = ()) -> ProxyConfig:
    """The configuration that a file holds or begins.

    :param beside: further files of the same kind, which may belong to it (Traefik's static and dynamic ones).
    :raises Unreadable: the file cannot be read, is not what ``kind`` says, or is larger than anybody's.
    :raises ValueError: ``kind`` is no reverse proxy.
    """
    files = Files()
    readers = {
        FileKind.NGINX: _nginx,
        FileKind.HAPROXY: _haproxy,
        FileKind.TRAEFIK: _traefik,
        FileKind.CADDY: _caddy,
    }
    if kind not in readers:
        raise ValueError(f"{kind} is no reverse proxy")
    routes, read_files, unread = readers[kind](path, beside, files)
    return ProxyConfig(
        path=str(path), kind=kind, files=read_files or files.read_so_far, routes=routes, unread=unread
    )


Read = tuple[tuple[ProxyRoute, ...], tuple[str, ...], tuple[UnreadFile, ...]]


def _nginx(path: Path, _beside: Sequence[Path], files: Files) -> Read:
    from regdoctor.host.proxyconf import nginx, nginx_routes

    tree = nginx.load(path, files)
    found = tuple(nginx_routes.routes(tree))
    if tree.root.file != str(path) and str(path) in tree.files:
        # A part of the configuration was named: what stands in the others was not asked for.
        found = tuple(each for each in found if each.place.startswith(f"{path}:"))
    return found, tree.files, tuple(tree.unread)


def _haproxy(path: Path, _beside: Sequence[Path], files: Files) -> Read:
    from regdoctor.host.proxyconf import haproxy_routes

    return tuple(haproxy_routes.routes(files.text(str(path)), str(path))), (), ()


def _traefik(path: Path, beside: Sequence[Path], files: Files) -> Read:
    from regdoctor.host.proxyconf import traefik

    configuration = traefik.Configuration(path, beside, files)
    return tuple(traefik.routes(configuration)), (), tuple(configuration.unread)


def _caddy(path: Path, _beside: Sequence[Path], files: Files) -> Read:
    from regdoctor.host.proxyconf import caddy, caddy_json, caddyfile

    text = files.text(str(path))
    if text.lstrip().startswith("{") and '"' in text.lstrip()[1:].lstrip()[:1]:
        return tuple(caddy_json.routes(text, str(path))), (), ()
    found = caddyfile.load(path, files)
    return tuple(caddy.routes(found)), (), tuple(found.unread)


__all__ = ["Unreadable", "read"]
