"""Reads Caddy's own JSON: the HTTP servers and the ways that uploads take through their routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from regdoctor.facts.proxyconf import (
    BodyLimit,
    HeaderAssignment,
    ProxyListener,
    ProxyRoute,
    ProxyTimer,
    RequestBuffering,
    ReverseProxySetting,
    TimerScope,
)
from regdoctor.host.proxyconf import patterns
from regdoctor.host.proxyconf.caddy import (
    after_rewrite,
    assignment,
    listener,
    path_fits,
    stripped,
    timer,
    unasked_headers,
)
from regdoctor.host.proxyconf.files import Unreadable
from regdoctor.host.proxyconf.requests import SAMPLES, START, blanked
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge

MOST_ROUTES: Final = 500
_DEEPEST: Final = 20
_SERVER_TIMERS: Final = {"read_timeout": TimerScope.WHOLE, "write_timeout": TimerScope.WHOLE}
_TRANSPORT_TIMERS: Final = {**_SERVER_TIMERS, "response_header_timeout": TimerScope.ANSWER}


def routes(text: str, file: str) -> Iterator[ProxyRoute]:
    """The ways that uploads take.

    :raises Unreadable: it is no JSON, or too large.
    """
    from regdoctor import json_go

    try:
        root = json_go.parse(text)
    except SyntaxProblem as problem:
        raise Unreadable(problem.message, f"{file}:{problem.line}:{problem.column}") from None
    except TooLarge as limit:
        raise Unreadable(str(limit)) from None
    servers = root.at("apps", "http", "servers")
    found = 0
    for name, server in servers.pairs if servers is not None else ():
        for route in _Server(file, name, server).routes():
            found += 1
            if found > MOST_ROUTES:
                return
            yield route


class _Server:
    """One of the servers."""

    def __init__(self, file: str, name: str, server: Node) -> None:
        self.file = file
        self.name = name
        self.server = server

    def routes(self) -> Iterator[ProxyRoute]:
        return self._walk(self.server.get("routes"), (), "/", (), 0)

    def _place(self, node: Node) -> str:
        return f"{self.file}:{node.line}:{node.column}"

    def _walk(
        self, routes: Node | None, names: tuple[str, ...], path: str, around: tuple[Node, ...], depth: int
    ) -> Iterator[ProxyRoute]:
        """The ways below a list of routes; ``around`` are the handlers that a request passes before."""
        if depth > _DEEPEST or routes is None:
            return
        passed = around
        for route in routes.items:
            fits, hosts, own_path = _match(route.get("match"))
            if fits is False:
                continue
            handlers = route.get("handle")
            inner = hosts or names
            for handler in handlers.items if handlers is not None else ():
                kind = handler.get("handler")
                word = kind.value if kind is not None else ""
                if word == "subroute":
                    yield from self._walk(handler.get("routes"), inner, own_path or path, passed, depth + 1)
                elif word == "reverse_proxy":
                    yield self._route(handler, inner, own_path or path, passed)
                elif fits is True:
                    passed = (*passed, handler)
            terminal = route.get("terminal")
            if fits is True and not hosts and terminal is not None and terminal.true:
                return

    def _route(self, proxy: Node, names: tuple[str, ...], path: str, around: tuple[Node, ...]) -> ProxyRoute:
        upstreams = [
            dial.value
            for each in (proxy.get("upstreams") or Node(Kind.LIST, 1, 1)).items
            if (dial := each.get("dial")) is not None
        ]
        return ProxyRoute(
            place=self._place(proxy),
            block=f"reverse_proxy of the server {self.name}"[:200],
            listeners=tuple(self._listeners(names)),
            names=names,
            path=path,
            upstreams=tuple(blanked(each) for each in upstreams),
            upstream_tls=proxy.at("transport", "tls") is not None,
            sent_path=_sent_path(around),
            path_change=next(
                (
                    ReverseProxySetting(name="rewrite", value="", place=self._place(each))
                    for each in around
                    if _handler(each) == "rewrite"
                ),
                None,
            ),
            headers=tuple(self._headers(proxy, upstreams[0] if upstreams else "")),
            body_limit=self._body_limit(around),
            buffering=RequestBuffering(name="request_buffers", value="none", spools=False),
            timers=tuple(self._timers(proxy)),
        )

    def _listeners(self, names: tuple[str, ...]) -> Iterator[ProxyListener]:
        policies = self.server.get("tls_connection_policies")
        disabled = self.server.at("automatic_https", "disable")
        listen = self.server.get("listen")
        for each in listen.items if listen is not None else ():
            host, _, port = each.value.rpartition(":")
            found, _name = listener(
                f"{names[0] if names and '*' not in names[0] else ''}:{port}" if port.isdecimal() else "",
                tls_set=policies is not None,
                automatic=disabled is None or not disabled.true,
            )
            yield ProxyListener(host=host, port=found.port, tls=found.tls)

    def _headers(self, proxy: Node, upstream: str) -> Iterator[HeaderAssignment]:
        trusts = self.server.get("trusted_proxies") is not None or proxy.get("trusted_proxies") is not None
        yield from unasked_headers(trusts=trusts)
        request = proxy.at("headers", "request")
        for operation in ("set", "add"):
            node = request.get(operation) if request is not None else None
            for name, values in node.pairs if node is not None else ():
                value = values.items[-1].value if values.items else values.value
                made = assignment(name, value, self._place(values), upstream)
                if made is not None:
                    yield made
        removed = request.get("delete") if request is not None else None
        for each in removed.items if removed is not None else ():
            made = assignment(each.value, None, self._place(each), upstream)
            if made is not None:
                yield made

    def _body_limit(self, around: tuple[Node, ...]) -> BodyLimit | None:
        limits = []
        for each in around:
            node = each.get("max_size") if _handler(each) == "request_body" else None
            if node is not None and node.value.isdecimal() and int(node.value[:18]) > 0:
                size = int(node.value[:18])
                limits.append(
                    BodyLimit(
                        name="request_body max_size", value=node.value, place=self._place(node), bytes=size
                    )
                )
        return min(limits, key=lambda each: each.bytes or 0, default=None)

    def _timers(self, proxy: Node) -> Iterator[ProxyTimer]:
        blocks: tuple[tuple[Node | None, Mapping[str, TimerScope]], ...] = (
            (self.server, _SERVER_TIMERS),
            (proxy.get("transport"), _TRANSPORT_TIMERS),
        )
        for block, known in blocks:
            for name, scope in known.items():
                node = block.get(name) if block is not None else None
                if node is None:
                    continue
                # A bare number is nanoseconds (caddy.Duration).
                value = f"{node.value}ns" if node.value.isdecimal() else node.value
                found = timer(name, value, scope, self._place(node))
                if found is not None:
                    yield found


def _sent_path(around: tuple[Node, ...]) -> str | None:
    path: str | None = START
    for each in around:
        if _handler(each) != "rewrite" or path is None:
            continue
        uri, prefix = each.get("uri"), each.get("strip_path_prefix")
        if {key for key, _value in each.pairs} - {"handler", "uri", "strip_path_prefix", "method"}:
            return None
        path = stripped(path, prefix.value) if prefix is not None else path
        path = after_rewrite(path, uri.value) if uri is not None else path
    return path


def _handler(node: Node) -> str:
    kind = node.get("handler")
    return kind.value if kind is not None else ""


def _match(node: Node | None) -> tuple[bool | None, tuple[str, ...], str]:
    """Whether a route is for uploads, for which hosts, and the path that it names."""
    if node is None or not node.items:
        return True, (), ""
    fits: list[bool | None] = []
    hosts: list[str] = []
    path = ""
    for each in node.items:
        own: list[bool | None] = []
        for name, values in each.pairs:
            words = [item.value for item in values.items]
            if name == "host":
                hosts += words
            elif name == "path":
                path = words[0] if words else ""
                own.append(any(path_fits(word, sample) for word in words for sample in SAMPLES))
            elif name == "path_regexp":
                expression = values.get("pattern")
                own.append(patterns.search(expression.value, SAMPLES[0]) if expression is not None else None)
            elif name == "method":
                own.append("PATCH" in words)
            else:
                own.append(None)
        fits.append(False if False in own else None if None in own else True)
    return (True if True in fits else None if None in fits else False), tuple(hosts), path
