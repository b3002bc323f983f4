"""From a Caddyfile's sites to the ways that uploads take, and what is effective there.

Within a site Caddy orders directives by itself: of several ``handle`` blocks the one with the longest path is
taken, before any ``reverse_proxy`` beside them ("Caddyfile directives: Sorting algorithm").
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from regdoctor.facts.proxyconf import (
    BodyLimit,
    HeaderAssignment,
    HeaderCondition,
    HeaderPart,
    HeaderPartKind,
    LocationRewrite,
    ProxyListener,
    ProxyRoute,
    ProxyTimer,
    RefusedMethods,
    RequestBuffering,
    ReverseProxySetting,
    TimerScope,
    UnreadFile,
)
from regdoctor.host.proxyconf import patterns, units
from regdoctor.host.proxyconf.caddyfile import Caddyfile
from regdoctor.host.proxyconf.directives import Directive
from regdoctor.host.proxyconf.requests import (
    ADDRESS_HEADERS,
    METHODS,
    SAMPLES,
    START,
    blanked,
    origin,
    text_part,
)

MOST_ROUTES: Final = 500
UNKNOWN: Final = (HeaderPart(HeaderPartKind.UNKNOWN),)
_PLACEHOLDER: Final = re.compile(r"\{([\w.$:-]+)\}")
_KNOWN: Final = {
    "scheme": HeaderPartKind.SCHEME,
    "hostport": HeaderPartKind.HOST,
    "host": HeaderPartKind.NAME,
    "port": HeaderPartKind.PORT,
}
_TIMEOUTS: Final = {"read_body": TimerScope.WHOLE, "write": TimerScope.WHOLE}
_TRANSPORT: Final = {
    "read_timeout": TimerScope.WHOLE,
    "write_timeout": TimerScope.WHOLE,
    "response_header_timeout": TimerScope.ANSWER,
}
"""Measured with Caddy 2.11: read_timeout and write_timeout of the transport end uploads that never pause."""

Blocks = tuple[Directive, ...]
"""A block and those around it, the innermost first."""


def routes(configuration: Caddyfile) -> Iterator[ProxyRoute]:
    """The ways that uploads take through the sites."""
    found = 0
    options = configuration.options or Directive("", [], "", 1, 1, [])
    for site in configuration.sites:
        for proxy, blocks in _ways(site, (site,)):
            found += 1
            if found > MOST_ROUTES:
                return
            yield _Route(options, site, proxy, blocks).route()


def _ways(block: Directive, blocks: Blocks) -> Iterator[tuple[Directive, Blocks]]:
    """The ``reverse_proxy`` directives that an upload may end in, with the blocks around each."""
    handles = [(each, _fits(each, blocks)) for each in block.inside if each.name in ("handle", "handle_path")]
    handles.sort(key=lambda pair: -len(_path(pair[0])))
    for handle, fits in handles:
        if fits is not False:
            yield from _ways(handle, (handle, *blocks))
        if fits is True:
            return
    for each in block.inside:
        if each.name == "route" and _fits(each, blocks) is not False:
            yield from _ways(each, (each, *blocks))
        elif each.name == "reverse_proxy":
            fits = _fits(each, blocks)
            if fits is not False:
                yield each, blocks
            if fits is True:
                return


def _matcher(directive: Directive) -> str:
    first = directive.argument
    if directive.name == "rewrite" and len(directive.arguments) == 1:
        return ""
    return first if first.startswith(("/", "@")) or first == "*" else ""


def _path(directive: Directive) -> str:
    """The path that a directive is for; empty for any."""
    matcher = _matcher(directive)
    return matcher if matcher.startswith("/") else ""


def _fits(directive: Directive, blocks: Blocks, method: str = "PATCH") -> bool | None:
    """Whether a directive is for uploads; None where that cannot be told."""
    matcher = _matcher(directive)
    if matcher in ("", "*"):
        return True
    if matcher.startswith("/"):
        return any(path_fits(matcher, path) for path in SAMPLES)
    for block in blocks:
        for each in block.inside:
            if each.name == matcher:
                tests = each.inside or [replace(each, name=each.argument, arguments=each.arguments[1:])]
                return _all(_test(test.name, test.arguments, method) for test in tests)
    return None


def _all(found: Iterator[bool | None]) -> bool | None:
    every = list(found)
    return False if False in every else None if None in every else True


def _test(name: str, arguments: Sequence[str], method: str) -> bool | None:
    if name == "not" and arguments:
        found = _test(arguments[0], arguments[1:], method)
        return None if found is None else not found
    if name == "path":
        return any(path_fits(each, path) for each in arguments for path in SAMPLES)
    if name == "path_regexp" and arguments:
        found_any = [patterns.search(arguments[-1], path) for path in SAMPLES]
        return True if True in found_any else None if None in found_any else False
    if name == "method":
        return method in (each.upper() for each in arguments)
    if name == "host":
        return True
    return None


def path_fits(pattern: str, path: str) -> bool:
    """Whether a path fits a pattern of Caddy's ``path`` matcher; letters' case does not matter."""
    pattern, path = pattern.lower()[: patterns.LONGEST], path.lower()
    return fnmatch.fnmatchcase(path, pattern.replace("[", "[[]"))


def parts_of(text: str) -> tuple[HeaderPart, ...]:
    """What a text with placeholders comes to."""
    parts: list[HeaderPart] = []
    position = 0
    for match in _PLACEHOLDER.finditer(text):
        parts += text_part(text[position : match.start()])
        position = match.end()
        name = match[1].removeprefix("http.request.")
        header = re.fullmatch(r"(?:http\.request\.)?header\.([\w-]+)", match[1])
        if name in _KNOWN:
            parts.append(HeaderPart(_KNOWN[name]))
        elif match[1] in ("upstream_hostport", "http.reverse_proxy.upstream.hostport"):
            parts.append(HeaderPart(HeaderPartKind.UPSTREAM))
        elif header is not None:
            parts.append(HeaderPart(HeaderPartKind.INCOMING, header[1].lower()))
        else:
            return UNKNOWN
    parts += text_part(text[position:])
    return tuple(parts)


def unasked_headers(*, trusts: bool) -> Iterator[HeaderAssignment]:
    """What Caddy sets by itself; it keeps what came in only from proxies that it trusts."""
    when = HeaderCondition.ABSENT if trusts else HeaderCondition.ALWAYS
    yield HeaderAssignment(
        name="x-forwarded-proto", value="", parts=(HeaderPart(HeaderPartKind.SCHEME),), when=when
    )
    yield HeaderAssignment(
        name="x-forwarded-host", value="", parts=(HeaderPart(HeaderPartKind.HOST),), when=when
    )


def assignment(name: str, value: str | None, place: str, upstream: str) -> HeaderAssignment | None:
    """A header that is set to a value or, without one, removed; None for headers that do not matter."""
    name = name.lower()
    if name not in ADDRESS_HEADERS:
        return None
    secret = name == "authorization"
    parts = parts_of(value) if value else ()
    filled = tuple(
        HeaderPart(each.kind, upstream) if each.kind is HeaderPartKind.UPSTREAM else each for each in parts
    )
    return HeaderAssignment(
        name=name,
        value=blanked(value or "", secret=secret),
        parts=UNKNOWN if secret and value else filled,
        place=place,
    )


def timer(name: str, value: str, scope: TimerScope, place: str) -> ProxyTimer | None:
    """A timer as it is written; None where it is none."""
    seconds = units.go_seconds(value)
    if seconds is None:
        return None
    return ProxyTimer(
        name=name, value=value, place=place, scope=scope, seconds=seconds if seconds > 0 else None
    )


def listener(address: str, *, tls_set: bool, automatic: bool = True) -> tuple[ProxyListener, str]:
    """Where a site with this address listens, and the name that it is for.

    :param tls_set: whether the site names a certificate or otherwise asks for TLS.
    :param automatic: whether Caddy gets certificates by itself, for every site with a name.
    """
    match = re.fullmatch(r"(?:(https?)://)?(\[[^\]]*\]|[^:/]*)(?::(\d{1,5}))?(?:/.*)?", address)
    if match is None:
        return ProxyListener(tls=tls_set), ""
    scheme, name, port_text = match[1], match[2].strip("[]"), match[3]
    port = int(port_text) if port_text else None
    if scheme == "http" or (scheme is None and port == 80):
        tls = tls_set
    else:
        tls = tls_set or scheme == "https" or port == 443 or (automatic and bool(name))
    default = 443 if tls else 80
    return ProxyListener(port=port if port is not None else default, tls=tls), name


def _path_after(path: str, directive: Directive) -> str | None:
    """What a directive makes of a path; None where that cannot be told."""
    words = directive.arguments[1:] if _matcher(directive) else directive.arguments
    if directive.name == "handle_path":
        matcher = _matcher(directive)
        return stripped(path, matcher.rstrip("*")) if matcher.startswith("/") else None
    if directive.name == "uri":
        return stripped(path, words[1]) if words[:1] == ["strip_prefix"] and len(words) == 2 else None
    # A rewrite in a reverse_proxy may name a method first.
    return after_rewrite(path, words[-1]) if words else None


def stripped(path: str, prefix: str) -> str:
    """A path without a prefix, for which letters' case does not matter (``rewrite.Rewrite.StripPathPrefix``)."""
    prefix = f"/{prefix.strip('/')}"
    if not path.lower().startswith(prefix.lower()):
        return path
    return "/" + path[len(prefix) :].removeprefix("/")


def after_rewrite(path: str, target: str) -> str | None:
    """What a rewrite to a target makes of a path, where the target has no other placeholders than the path's."""
    filled = re.sub(r"\{(?:http\.request\.)?(?:uri\.path|uri|path)\}", path, target)
    return None if "{" in filled else filled.partition("?")[0]


class _Route:
    """What is effective for one ``reverse_proxy``."""

    def __init__(self, options: Directive, site: Directive, proxy: Directive, blocks: Blocks) -> None:
        self.options = options
        self.site = site
        self.proxy = proxy
        self.blocks = blocks
        words = proxy.arguments[1:] if _matcher(proxy) else proxy.arguments
        self.upstreams = [*words, *(word for to in proxy.all("to") for word in to.arguments)]

    def route(self) -> ProxyRoute:
        automatic = not any(each.argument == "off" for each in self.options.all("auto_https"))
        tls_set = any(self.site.all("tls"))
        found = [listener(each, tls_set=tls_set, automatic=automatic) for each in self.site.arguments]
        return ProxyRoute(
            place=self.proxy.place,
            block=f"reverse_proxy of {' '.join(self.site.arguments)}"[:200],
            listeners=tuple(each for each, _name in found),
            names=tuple(name for _listener, name in found if name),
            path=self._path(),
            upstreams=tuple(blanked(each) for each in self.upstreams),
            upstream_tls=self._upstream_tls(),
            sent_path=self._sent_path(),
            path_change=self._path_change(),
            headers=tuple(self._headers()),
            location_rewrites=tuple(self._rewrites()),
            body_limit=self._body_limit(),
            buffering=self._buffering(),
            timers=tuple(self._timers()),
            refused=self._refused(),
            compression=self._compression(),
            unread=tuple(self._unread()),
        )

    def _applying(self, name: str) -> Iterator[Directive]:
        """The directives of a name around the proxy that are for uploads."""
        for block in self.blocks:
            for each in block.all(name):
                if _fits(each, self.blocks) is True:
                    yield each

    def _path(self) -> str:
        found = [_path(each) for each in (self.proxy, *self.blocks) if each.name != "site"]
        return next((each for each in found if each), "/")

    def _upstream_tls(self) -> bool:
        if any(each.startswith("https://") for each in self.upstreams):
            return True
        inner = [each.name for transport in self.proxy.all("transport") for each in transport.inside]
        return any(name == "tls" or name.startswith("tls_") for name in inner)

    def _path_changes(self) -> list[Directive]:
        """Those in the order of Caddy: around the proxy from the outside, then its own."""
        around = [each for name in ("rewrite", "uri") for each in self._applying(name)]
        stripping = [block for block in reversed(self.blocks) if block.name == "handle_path"]
        return [*around, *stripping, *self.proxy.all("rewrite")]

    def _path_change(self) -> ReverseProxySetting | None:
        for each in self._path_changes():
            return ReverseProxySetting(name=each.name, value=" ".join(each.arguments), place=each.place)
        return None

    def _sent_path(self) -> str | None:
        path: str | None = START
        for each in self._path_changes():
            path = _path_after(path, each) if path is not None else None
        return path

    def _headers(self) -> Iterator[HeaderAssignment]:
        servers = [inner for each in self.options.all("servers") for inner in each.inside]
        trusts = any(each.name == "trusted_proxies" for each in (*servers, *self.proxy.inside))
        yield from unasked_headers(trusts=trusts)
        upstream = self.upstreams[0] if self.upstreams else ""
        where = origin(upstream) or upstream
        for each in self.proxy.all("header_up"):
            if not each.arguments:
                continue
            name, values = each.argument, each.arguments[1:]
            if name.startswith("-"):
                made = assignment(name[1:], None, each.place, where)
            elif len(values) == 1:
                made = assignment(name.lstrip("+>?"), values[0], each.place, where)
            else:
                made = assignment(name.lstrip("+>?"), "{unknown}", each.place, where)
            if made is not None:
                yield made

    def _rewrites(self) -> Iterator[LocationRewrite]:
        for each in (*self.proxy.all("header_down"), *self._applying("header")):
            if any("location" in word.lower() for word in each.arguments[:2]) or any(
                "location" in inner.name.lower() for inner in each.inside
            ):
                yield LocationRewrite(
                    value=blanked(" ".join(each.arguments)),
                    prefix=UNKNOWN,
                    replacement=UNKNOWN,
                    place=each.place,
                )

    def _body_limit(self) -> BodyLimit | None:
        limits = []
        for body in self._applying("request_body"):
            for each in body.all("max_size"):
                size = units.human_size(each.argument)
                if size:
                    limits.append(
                        BodyLimit(
                            name="request_body max_size", value=each.argument, place=each.place, bytes=size
                        )
                    )
        return min(limits, key=lambda each: each.bytes or 0, default=None)

    def _buffering(self) -> RequestBuffering:
        for each in self.proxy.all("request_buffers"):
            if each.argument == "unlimited":
                return RequestBuffering(
                    name="request_buffers", value="unlimited", place=each.place, spools=True
                )
        return RequestBuffering(name="request_buffers", value="none", spools=False)

    def _timers(self) -> Iterator[ProxyTimer]:
        places: list[tuple[Directive, Mapping[str, TimerScope], str]] = [
            (timeouts, _TIMEOUTS, "timeouts ")
            for servers in self.options.all("servers")
            for timeouts in servers.all("timeouts")
        ]
        places += [(each, _TRANSPORT, "transport ") for each in self.proxy.all("transport")]
        request = {"read_timeout": TimerScope.WHOLE, "write_timeout": TimerScope.WHOLE}
        places += [(each, request, "request_body ") for each in self._applying("request_body")]
        for block, known, prefix in places:
            for each in block.inside:
                if each.name in known:
                    found = timer(prefix + each.name, each.argument, known[each.name], each.place)
                    if found is not None:
                        yield found

    def _refused(self) -> RefusedMethods | None:
        for name in ("respond", "error", "abort"):
            for block in self.blocks:
                for each in block.all(name):
                    if not _matcher(each).startswith("@"):
                        continue
                    methods = tuple(method for method in METHODS if _fits(each, self.blocks, method) is True)
                    if methods and len(methods) < len(METHODS):
                        return RefusedMethods(
                            name=name, value=" ".join(each.arguments), place=each.place, methods=methods
                        )
        return None

    def _compression(self) -> ReverseProxySetting | None:
        for each in self._applying("encode"):
            if any(inner.name == "match" for inner in each.inside):
                return ReverseProxySetting(name="encode", value=" ".join(each.arguments), place=each.place)
        return None

    def _unread(self) -> Iterator[UnreadFile]:
        for block in (self.proxy, *self.blocks):
            for each in block.inside:
                if each.unread is not None:
                    yield UnreadFile(path=each.argument, place=each.place, why=each.unread)
