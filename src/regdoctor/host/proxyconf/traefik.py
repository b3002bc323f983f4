"""Reads Traefik's configuration: the static file, the dynamic files that it names, and the ways that uploads take.

Keys are compared without regard to case, as Traefik's own reader does. Labels of containers and Kubernetes
resources are another program's data and not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from regdoctor.facts.proxyconf import (
    BodyLimit,
    HeaderAssignment,
    HeaderCondition,
    HeaderPart,
    HeaderPartKind,
    ProxyListener,
    ProxyRoute,
    ProxyTimer,
    RequestBuffering,
    ReverseProxySetting,
    TimerScope,
    UnreadFile,
)
from regdoctor.host.proxyconf import patterns, units
from regdoctor.host.proxyconf.files import Files, Unreadable, expand, places
from regdoctor.host.proxyconf.requests import ADDRESS_HEADERS, START, blanked, origin, text_part
from regdoctor.host.proxyconf.traefik_rules import read_rule
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge

MOST_ROUTES: Final = 500
_DEEPEST: Final = 5
"""Chains of middlewares, and services that are made of others."""
_DEFAULT_READ_TIMEOUT: Final = "60s"
_UNKNOWN: Final = (HeaderPart(HeaderPartKind.UNKNOWN),)
_STATIC: Final = ("entrypoints", "providers", "certificatesresolvers", "serverstransport")
_PATH_CHANGES: Final = MappingProxyType(
    {
        each.lower(): each
        for each in ("stripPrefix", "stripPrefixRegex", "addPrefix", "replacePath", "replacePathRegex")
    }
)


class Document:
    """One file, with its place for evidence."""

    def __init__(self, path: str, root: Node) -> None:
        self.path = path
        self.root = root

    def at(self, *keys: str) -> Node | None:
        """The node below several keys."""
        node: Node | None = self.root
        for key in keys:
            node = member(node, key)
        return node

    def place(self, node: Node) -> str:
        """``file:line:column``."""
        return f"{self.path}:{node.line}:{node.column}"

    @property
    def is_static(self) -> bool:
        """Whether it is Traefik's own start-up configuration."""
        return any(member(self.root, key) is not None for key in _STATIC)


def member(node: Node | None, key: str) -> Node | None:
    """The member of a map whose name is this, in whatever letters; None where there is none, or null."""
    found = None
    for name, value in node.pairs if node is not None else ():
        if name.lower() == key.lower():
            found = value
    return None if found is None or found.kind is Kind.NULL else found


def read(path: str, files: Files) -> Document:
    """A file of Traefik's, YAML or TOML.

    :raises Unreadable: it cannot be read, or Traefik would not take it.
    """
    text = files.text(path)
    from regdoctor import toml_located, yaml_located

    try:
        if path.lower().endswith(".toml"):
            root: Node | None = toml_located.parse(text)
        else:
            root = next(yaml_located.parse_all(text), None)
    except SyntaxProblem as problem:
        raise Unreadable(problem.message, f"{path}:{problem.line}:{problem.column}") from None
    except TooLarge as limit:
        raise Unreadable(str(limit)) from None
    return Document(path, root if root is not None else Node(Kind.MAP, 1, 1))


class Configuration:
    """The static file where it is known, and the dynamic ones."""

    def __init__(self, path: Path, beside: Sequence[Path], files: Files) -> None:
        given = read(str(path), files)
        self.unread: list[UnreadFile] = []
        self.static: Document | None = given if given.is_static else None
        self.dynamic: list[Document] = [given] if given.at("http") is not None else []
        self._files = files
        if given.is_static:
            self._read_provided(path, given)
        others = [each for each in (self._quietly(str(other)) for other in beside) if each is not None]
        if self.static is None:
            self.static = next((each for each in others if each.is_static), None)
        elif not self.dynamic:
            self.dynamic = [each for each in others if each.at("http") is not None]

    def _quietly(self, path: str) -> Document | None:
        try:
            return read(path, self._files)
        except Unreadable:
            return None

    def _read_provided(self, path: Path, static: Document) -> None:
        """The dynamic files of the file provider."""
        for key in ("filename", "directory"):
            node = static.at("providers", "file", key)
            if node is None or node.kind is not Kind.STRING or not node.value:
                continue
            where = next((each for each in places(path, node.value) if Path(each).exists()), node.value)
            if key == "filename":
                names = [where]
            else:
                names = [each for suffix in ("yml", "yaml", "toml") for each in expand(f"{where}/*.{suffix}")]
            if key == "directory" and not Path(where).is_dir():
                self.unread.append(UnreadFile(path=where, place=static.place(node), why="no such folder"))
            for name in names:
                try:
                    self.dynamic.append(read(name, self._files))
                except Unreadable as problem:
                    why = f"{problem.why} ({problem.place})" if problem.place else problem.why
                    self.unread.append(UnreadFile(path=name, place=static.place(node), why=why))


def routes(configuration: Configuration) -> Iterator[ProxyRoute]:
    """The ways that uploads take through the routers, or where none are known, through the entry points."""
    found = 0
    for document in configuration.dynamic:
        routers = document.at("http", "routers")
        for name, node in routers.pairs if routers is not None else ():
            route = _Route(configuration, document, name, node).route()
            if route is not None:
                found += 1
                if found > MOST_ROUTES:
                    return
                yield route
    if not found and configuration.static is not None:
        yield from _bare_entry_points(configuration.static)


def _bare_entry_points(static: Document) -> Iterator[ProxyRoute]:
    """A way for each entry point; what its routers do is configured elsewhere."""
    points = static.at("entrypoints")
    for name, node in (points.pairs if points is not None else [])[:MOST_ROUTES]:
        yield ProxyRoute(
            place=static.place(node),
            block=f"entry point {name}",
            listeners=(_listener(node, tls=member(member(node, "http"), "tls") is not None),),
            timers=tuple(_entry_point_timers(static, node)),
            outside="its routers and middlewares are configured elsewhere",
        )


def _listener(point: Node, *, tls: bool) -> ProxyListener:
    address = member(point, "address")
    host, _, port = (address.value if address is not None else "").partition("/")[0].rpartition(":")
    return ProxyListener(
        host=host.strip("[]"), port=int(port) if port.isdecimal() and len(port) <= 5 else None, tls=tls
    )


def _entry_point_timers(static: Document, point: Node) -> Iterator[ProxyTimer]:
    transport = member(point, "transport")
    timeouts = member(transport, "respondingTimeouts")
    prefix = "respondingTimeouts"
    read_timeout = member(timeouts, "readTimeout")
    if read_timeout is None:
        yield ProxyTimer(
            name=f"{prefix}.readTimeout",
            value=_DEFAULT_READ_TIMEOUT,
            scope=TimerScope.WHOLE,
            seconds=units.traefik_seconds(_DEFAULT_READ_TIMEOUT),
        )
    for name, node in (("readTimeout", read_timeout), ("writeTimeout", member(timeouts, "writeTimeout"))):
        seconds = units.traefik_seconds(node.value) if node is not None else None
        if node is not None and seconds is not None:
            yield ProxyTimer(
                name=f"{prefix}.{name}",
                value=node.value,
                place=static.place(node),
                scope=TimerScope.WHOLE,
                seconds=seconds or None,
            )


class _Route:
    """What is effective for one router."""

    def __init__(self, configuration: Configuration, document: Document, name: str, router: Node) -> None:
        self.configuration = configuration
        self.document = document
        self.name = name
        self.router = router
        self.points = list(self._entry_points())

    def route(self) -> ProxyRoute | None:
        rule = member(self.router, "rule")
        said = read_rule(rule.value if rule is not None else "")
        servers = list(self._servers())
        if said.fits is False or rule is None or not servers:
            return None
        service = member(self.router, "service")
        tls = member(self.router, "tls") is not None
        static = self.configuration.static
        middlewares = list(self._middlewares())
        return ProxyRoute(
            place=self.document.place(self.router),
            block=f"router {self.name}",
            listeners=tuple(
                _listener(point, tls=tls or member(member(point, "http"), "tls") is not None)
                for point in self.points
            )
            or (ProxyListener(tls=tls),),
            names=said.names,
            path=said.path,
            upstreams=(
                *(blanked(url.value) for url in servers),
                *([service.value] if service is not None else []),
                self.name,
            ),
            upstream_tls=any(url.value.startswith("https:") for url in servers),
            sent_path=_sent_path(middlewares),
            path_change=_path_change(middlewares),
            headers=tuple(self._headers(servers, middlewares)),
            body_limit=self._body_limit(middlewares),
            buffering=self._buffering(middlewares),
            timers=tuple(self._timers(static)),
            compression=self._compression(middlewares),
            unread=tuple(self.configuration.unread),
            outside=None
            if static is not None
            else "the static configuration with its entry points is not given",
        )

    def _entry_points(self) -> Iterator[Node]:
        static = self.configuration.static
        points = static.at("entrypoints") if static is not None else None
        named = member(self.router, "entryPoints")
        wanted = {each.value for each in named.items} if named is not None else None
        for name, node in points.pairs if points is not None else ():
            if wanted is None or name in wanted:
                yield node

    def _named(self, kind: str, name: str) -> tuple[Document, Node] | None:
        """A service, a middleware or a transport by its name, which may carry its provider."""
        bare, _, provider = name.partition("@")
        if provider not in ("", "file"):
            return None
        for document in self.configuration.dynamic:
            node = member(document.at("http", kind), bare)
            if node is not None:
                return document, node
        return None

    def _balancers(self, name: str, depth: int = 0) -> Iterator[tuple[Document, Node]]:
        """The load balancers that a service comes down to."""
        found = self._named("services", name) if depth <= _DEEPEST else None
        if found is None:
            return
        document, node = found
        balancer = member(node, "loadBalancer")
        if balancer is not None:
            yield document, balancer
        weighted = member(member(node, "weighted"), "services")
        children = [member(each, "name") for each in (weighted.items if weighted is not None else [])]
        children += [
            member(member(node, "mirroring"), "service"),
            member(member(node, "failover"), "service"),
        ]
        for child in children[:50]:
            if child is not None:
                yield from self._balancers(child.value, depth + 1)

    def _own_balancers(self) -> Iterator[tuple[Document, Node]]:
        service = member(self.router, "service")
        return self._balancers(service.value) if service is not None else iter(())

    def _servers(self) -> Iterator[Node]:
        for _document, balancer in self._own_balancers():
            servers = member(balancer, "servers")
            for server in servers.items if servers is not None else ():
                url = member(server, "url")
                if url is not None:
                    yield url

    def _middlewares(self) -> Iterator[tuple[Document, str, Node]]:
        """The middlewares of the entry points and of the router, by kind in small letters."""
        names = [member(member(point, "http"), "middlewares") for point in self.points]
        names.append(member(self.router, "middlewares"))
        for node in names:
            for each in node.items if node is not None else ():
                yield from self._middleware(each.value, 0)

    def _middleware(self, name: str, depth: int) -> Iterator[tuple[Document, str, Node]]:
        found = self._named("middlewares", name) if depth <= _DEEPEST else None
        if found is None:
            return
        document, node = found
        for kind, settings in node.pairs[:20]:
            if kind.lower() == "chain":
                chained = member(settings, "middlewares")
                for each in chained.items[:50] if chained is not None else ():
                    yield from self._middleware(each.value, depth + 1)
            else:
                yield document, kind.lower(), settings

    def _headers(
        self, servers: Sequence[Node], middlewares: Sequence[tuple[Document, str, Node]]
    ) -> Iterator[HeaderAssignment]:
        # Traefik sets these itself, and keeps what came in only from addresses that it trusts.
        trusted = any(_trusts(point) for point in self.points)
        unasked = HeaderCondition.ABSENT if trusted else HeaderCondition.ALWAYS
        yield HeaderAssignment(
            name="x-forwarded-proto", value="", parts=(HeaderPart(HeaderPartKind.SCHEME),), when=unasked
        )
        yield HeaderAssignment(
            name="x-forwarded-host", value="", parts=(HeaderPart(HeaderPartKind.HOST),), when=unasked
        )
        for document, balancer in self._own_balancers():
            passes = member(balancer, "passHostHeader")
            if passes is not None and passes.kind is Kind.BOOLEAN and not passes.true:
                yield HeaderAssignment(
                    name="host",
                    value="passHostHeader: false",
                    parts=(HeaderPart(HeaderPartKind.UPSTREAM, origin(servers[0].value)),),
                    place=document.place(passes),
                )
        for document, kind, settings in middlewares:
            own = member(settings, "customRequestHeaders") if kind == "headers" else None
            for name, value in own.pairs if own is not None else ():
                if name.lower() in ADDRESS_HEADERS:
                    secret = name.lower() == "authorization"
                    yield HeaderAssignment(
                        name=name.lower(),
                        value=blanked(value.value, secret=secret),
                        parts=_UNKNOWN if secret and value.value else text_part(value.value),
                        place=document.place(value),
                    )

    def _body_limit(self, middlewares: Sequence[tuple[Document, str, Node]]) -> BodyLimit | None:
        limits = []
        for document, kind, settings in middlewares:
            node = member(settings, "maxRequestBodyBytes") if kind == "buffering" else None
            if node is not None and node.value.isdecimal() and int(node.value[:18]) > 0:
                limits.append(
                    BodyLimit(
                        name="buffering.maxRequestBodyBytes",
                        value=node.value,
                        place=document.place(node),
                        bytes=int(node.value[:18]),
                    )
                )
        return min(limits, key=lambda each: each.bytes or 0, default=None)

    def _buffering(self, middlewares: Sequence[tuple[Document, str, Node]]) -> RequestBuffering:
        for document, kind, settings in middlewares:
            if kind == "buffering":
                return RequestBuffering(
                    name="the middleware buffering", value="", place=document.place(settings), spools=True
                )
        return RequestBuffering(name="buffering", value="none", spools=False)

    def _timers(self, static: Document | None) -> Iterator[ProxyTimer]:
        seen = set()
        for point in self.points:
            for timer in _entry_point_timers(static, point) if static is not None else ():
                if (timer.name, timer.value, timer.place) not in seen:
                    seen.add((timer.name, timer.value, timer.place))
                    yield timer
        for _document, balancer in self._own_balancers():
            transport = member(balancer, "serversTransport")
            found = self._named("serversTransports", transport.value) if transport is not None else None
            where, settings = found if found is not None else (None, None)
            if found is None and static is not None:
                where, settings = static, static.at("serversTransport")
            node = member(member(settings, "forwardingTimeouts"), "responseHeaderTimeout")
            seconds = units.traefik_seconds(node.value) if node is not None else None
            if node is not None and seconds and where is not None:
                yield ProxyTimer(
                    name="forwardingTimeouts.responseHeaderTimeout",
                    value=node.value,
                    place=where.place(node),
                    scope=TimerScope.ANSWER,
                    seconds=seconds,
                )
                return

    def _compression(self, middlewares: Sequence[tuple[Document, str, Node]]) -> ReverseProxySetting | None:
        for document, kind, settings in middlewares:
            if kind == "compress" and not (settings.kind is Kind.BOOLEAN and not settings.true):
                return ReverseProxySetting(name="compress", value="", place=document.place(settings))
        return None


def _path_change(middlewares: Sequence[tuple[Document, str, Node]]) -> ReverseProxySetting | None:
    for document, kind, settings in middlewares:
        if kind in _PATH_CHANGES and _path_after(START, kind, settings) != START:
            return ReverseProxySetting(name=_PATH_CHANGES[kind], value="", place=document.place(settings))
    return None


def _sent_path(middlewares: Sequence[tuple[Document, str, Node]]) -> str | None:
    path: str | None = START
    for _document, kind, settings in middlewares:
        if kind in _PATH_CHANGES and path is not None:
            path = _path_after(path, kind, settings)
    return path


def _path_after(path: str, kind: str, settings: Node) -> str | None:
    """What a middleware makes of a path (``pkg/middlewares/stripprefix`` and its like); None where unknown."""
    if kind == "stripprefix":
        prefixes = member(settings, "prefixes")
        for each in prefixes.items if prefixes is not None else ():
            if path.startswith(each.value):
                return "/" + path.removeprefix(each.value).removeprefix("/")
        return path
    if kind == "addprefix":
        prefix = member(settings, "prefix")
        return f"{prefix.value}{path}" if prefix is not None else path
    if kind == "replacepath":
        whole = member(settings, "path")
        return whole.value if whole is not None else path
    if kind == "replacepathregex":
        expression, replacement = member(settings, "regex"), member(settings, "replacement")
        if expression is None or replacement is None or patterns.search(expression.value, path) is False:
            return path
        if not (expression.value.startswith("^") and expression.value.endswith("$")):
            return None
        return patterns.rewritten(expression.value, replacement.value, path)
    return None


def _trusts(point: Node) -> bool:
    """Whether an entry point keeps forwarded headers of some clients."""
    headers = member(point, "forwardedHeaders")
    insecure, trusted = member(headers, "insecure"), member(headers, "trustedIPs")
    return (insecure is not None and insecure.true) or (trusted is not None and bool(trusted.items))
