"""From nginx's directives to the ways that uploads take: servers, locations, and what is effective there.

Inheritance is that of nginx: the innermost block that has a directive counts, and of ``proxy_set_header`` and
``proxy_redirect`` all of a block replace all of the blocks around it (``ngx_http_proxy_merge_loc_conf``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
from regdoctor.host.proxyconf.directives import Directive
from regdoctor.host.proxyconf.nginx import Tree, sets_nothing_here
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
_DEFAULT_LIMIT: Final = 1024 * 1024
_DEFAULT_SECONDS: Final = 60
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_DEEPEST_VARIABLE: Final = 5

Value = tuple[tuple[HeaderCondition, tuple[HeaderPart, ...]], ...]
"""What a text with variables comes to, for the requests that the conditions tell apart."""

_KNOWN: Final = {
    "scheme": HeaderPartKind.SCHEME,
    "http_host": HeaderPartKind.HOST,
    "host": HeaderPartKind.NAME,
    "server_port": HeaderPartKind.PORT,
    "request_port": HeaderPartKind.PORT,
}
_TIMERS: Final = (
    ("client_body_timeout", TimerScope.PAUSE),
    ("proxy_read_timeout", TimerScope.ANSWER),
)


@dataclass(frozen=True)
class Chain:
    """A block and those around it, the innermost first; of a part of a configuration not all are known."""

    blocks: tuple[Directive, ...]
    fragment: str | None = None

    def into(self, block: Directive) -> Chain:
        """The chain of a block inside."""
        return Chain((block, *self.blocks), self.fragment)

    def find(self, name: str) -> Directive | None:
        """The directive that counts; None where there is none, or where a file that was not read may have it."""
        found = self.find_all(name)
        return found[-1] if found else None

    def find_all(self, name: str) -> list[Directive]:
        """The directives of the innermost block that has any."""
        for block in self.blocks:
            found = list(block.all(name))
            if found:
                return found
            if any(_matters(each) for each in block.inside):
                break
        return []

    @property
    def unread(self) -> tuple[UnreadFile, ...]:
        """Files that may hold settings for the innermost block and could not be read."""
        return tuple(
            UnreadFile(path=each.argument, place=each.place, why=each.unread or "")
            for block in self.blocks
            for each in block.inside
            if _matters(each)
        )


def _matters(directive: Directive) -> bool:
    return directive.unread is not None and not sets_nothing_here(directive.argument)


def routes(tree: Tree) -> Iterator[ProxyRoute]:
    """The ways that uploads take through the servers of a configuration."""
    found = 0
    top = Chain((tree.root,), tree.fragment)
    levels = [top.into(http) for http in tree.root.all("http")] or [top]
    for level in levels:
        http = level.blocks[0]
        servers = list(http.all("server"))
        listeners = _listeners(servers)
        chains = [(level.into(server), listeners[number]) for number, server in enumerate(servers)]
        if tree.fragment and any(http.all("location")):
            chains.append((level, ()))
        for chain, listening in chains:
            for location in _locations(chain):
                route = _Route(location, chain, listening).route()
                if route is not None:
                    found += 1
                    if found > MOST_ROUTES:
                        return
                    yield route


def _listeners(servers: Sequence[Directive]) -> list[tuple[ProxyListener, ...]]:
    """What each server listens on, and for which addresses it is the default one."""
    words = [_listen_words(server) for server in servers]
    default: dict[str, int] = {}
    for number, listens in enumerate(words):
        for address, options in listens:
            if {"default_server", "default"} & set(options):
                default[address] = number
    for number, listens in enumerate(words):
        for address, _options in listens:
            default.setdefault(address, number)
    listeners = []
    for number, (server, listens) in enumerate(zip(servers, words, strict=True)):
        everywhere = any(each.argument == "on" for each in server.all("ssl"))
        listeners.append(
            tuple(
                ProxyListener(
                    host=_listen_host(address),
                    port=_listen_port(address),
                    tls=everywhere or bool({"ssl", "quic"} & set(options)),
                    default=default[address] == number,
                )
                for address, options in listens
            )
        )
    return listeners


def _listen_words(server: Directive) -> list[tuple[str, list[str]]]:
    found = [
        (_listen_address(each.argument), each.arguments[1:])
        for each in server.all("listen")
        if each.arguments
    ]
    return found or [("*:80", [])]


def _listen_address(text: str) -> str:
    """``host:port`` in one form: ``80``, ``*:80`` and ``0.0.0.0:80`` are the same."""
    if text.startswith("unix:"):
        return text
    if text.isdecimal():
        return f"*:{text}"
    if text.startswith("["):
        host, _, port = text.partition("]")
        host, port = f"{host}]", port.lstrip(":")
    else:
        host, _, port = text.partition(":")
    return f"{'*' if host == '0.0.0.0' else host}:{port or 80}"  # noqa: S104 - compared, not bound


def _listen_host(address: str) -> str:
    host = address if address.startswith("unix:") else address.rpartition(":")[0]
    return "" if host in ("*", "[::]") else host.strip("[]")


def _listen_port(address: str) -> int | None:
    port = address.rpartition(":")[2]
    return int(port) if port.isdecimal() and len(port) <= 5 and not address.startswith("unix:") else None


def _locations(server: Chain) -> Iterator[Chain]:
    """The locations of a server that uploads end in, each with the blocks around it."""
    seen: set[int] = set()
    chosen = [_choose(server, path) for path in SAMPLES]
    deeper = [
        server.into(each)
        for each in server.blocks[0].all("location")
        if _modifier(each) in ("", "^~") and _location_path(each).startswith("/v2/")
    ]
    for chain in (*chosen, *deeper):
        chain = _followed(chain, server) if chain is not None else None
        if chain is not None and id(chain.blocks[0]) not in seen:
            seen.add(id(chain.blocks[0]))
            yield chain


def _modifier(location: Directive) -> str:
    first = location.argument
    if len(location.arguments) > 1:
        return first
    return next((each for each in ("^~", "~*", "~", "=") if first.startswith(each)), "")


def _location_path(location: Directive) -> str:
    if len(location.arguments) > 1:
        return location.arguments[1]
    return location.argument.removeprefix(_modifier(location))


def _choose(around: Chain, path: str) -> Chain | None:
    """The location for a path, as nginx finds it (``ngx_http_core_find_location``)."""
    best: Directive | None = None
    expressions = []
    for each in around.blocks[0].all("location"):
        modifier, pattern = _modifier(each), _location_path(each)
        if modifier == "=" and pattern == path:
            return around.into(each)
        if modifier in ("~", "~*"):
            expressions.append(each)
        elif (
            modifier != "="
            and not pattern.startswith("@")
            and path.startswith(pattern)
            and (best is None or len(pattern) > len(_location_path(best)))
        ):
            best = each
    if best is not None:
        inner = _choose(around.into(best), path)
        if inner is not None:
            return inner
    if best is None or _modifier(best) != "^~":
        for each in expressions:
            ignore_case = _modifier(each) == "~*"
            if patterns.search(_location_path(each), path, ignore_case=ignore_case):
                chain = around.into(each)
                return _choose(chain, path) or chain
    return around.into(best) if best is not None else None


def _followed(chain: Chain, server: Chain) -> Chain | None:
    """The location that passes on: the one itself, or the one that its ``try_files`` leads to."""
    block = chain.blocks[0]
    if any(block.all("return")):
        return None
    if any(block.all("proxy_pass")):
        return chain
    for each in block.all("try_files"):
        last = each.arguments[-1] if each.arguments else ""
        for location in server.blocks[0].all("location"):
            if last.startswith("@") and location.argument == last and any(location.all("proxy_pass")):
                return server.into(location)
    return None


class _Route:
    """What is effective in one location."""

    def __init__(self, chain: Chain, server: Chain, listeners: tuple[ProxyListener, ...]) -> None:
        self.chain = chain
        self.server = server
        self.listeners = listeners
        self.location = chain.blocks[0]

    def route(self) -> ProxyRoute | None:
        passing = self.chain.find("proxy_pass")
        if passing is None or not passing.arguments:
            return None
        url = self._constant(passing.argument)
        names = [
            name
            for each in self.server.blocks[0].all("server_name")
            for name in each.arguments
            if name not in ("_", "")
        ]
        return ProxyRoute(
            place=self.location.place,
            block=f"location {' '.join(self.location.arguments)}".strip(),
            listeners=self.listeners,
            names=tuple(names),
            path=" ".join(self.location.arguments),
            upstreams=tuple(self._upstreams(url)),
            upstream_tls=url.startswith("https:"),
            sent_path=self._sent_path(passing.argument),
            path_change=self._path_change(passing),
            query_loss=self._query_loss(passing),
            headers=tuple(self._headers(url)),
            switched_off=tuple(self._switched_off()),
            location_rewrites=tuple(self._rewrites(passing, url)),
            body_limit=self._body_limit(),
            buffering=self._buffering(),
            timers=tuple(self._timers()),
            refused=self._refused(),
            compression=self._compression(),
            temporary_folder=self._setting("client_body_temp_path"),
            adds_version_header=any(
                each.argument.lower() == "docker-distribution-api-version"
                for each in self.chain.find_all("add_header")
            ),
            unread=self.chain.unread,
            outside=self.chain.fragment,
        )

    # values with variables

    def value(self, text: str, header: str = "", depth: int = 0) -> Value:
        """What a text comes to; ``header`` is the name of the header that it is for."""
        matches = list(_VARIABLE.finditer(text))
        if len(matches) == 1 and matches[0].span() == (0, len(text)):
            return self._variable(matches[0][1] or matches[0][2], header, depth)
        parts: list[HeaderPart] = []
        position = 0
        for match in matches:
            parts += text_part(text[position : match.start()])
            position = match.end()
            name = match[1] or match[2]
            if name == "is_request_port":
                parts += text_part(":")
                continue
            value = self._variable(name, header, depth)
            if len(value) != 1:
                return _always(HeaderPart(HeaderPartKind.UNKNOWN))
            parts += value[0][1]
        parts += text_part(text[position:])
        return ((HeaderCondition.ALWAYS, tuple(parts)),)

    def _variable(self, name: str, header: str, depth: int) -> Value:
        unknown = _always(HeaderPart(HeaderPartKind.UNKNOWN))
        if depth > _DEEPEST_VARIABLE:
            return unknown
        if name in _KNOWN:
            return _always(HeaderPart(_KNOWN[name]))
        if name == "proxy_host":
            passing = self.chain.find("proxy_pass")
            where = origin(self._constant(passing.argument)) if passing is not None else ""
            return _always(HeaderPart(HeaderPartKind.UPSTREAM, where)) if where else unknown
        if name == "server_name":
            first = next((each.argument for each in self.server.blocks[0].all("server_name")), "")
            plain = first and not re.search(r"[*~]|^\.", first)
            return _always(HeaderPart(HeaderPartKind.TEXT, first)) if plain else unknown
        if name == "https":
            tls, plain_http = text_part("on"), ()
            return ((HeaderCondition.TLS, tls), (HeaderCondition.PLAIN, plain_http))
        if name.startswith("http_"):
            incoming = name.removeprefix("http_").replace("_", "-")
            return _always(HeaderPart(HeaderPartKind.INCOMING, incoming))
        for define in (self._set, self._map):
            found = define(name, header, depth)
            if found is not None:
                return found
        return unknown

    def _set(self, name: str, header: str, depth: int) -> Value | None:
        """The value by ``set``, unless an ``if`` decides over it."""
        for block in self.chain.blocks:
            if any(_sets(each, name) for condition in block.all("if") for each in condition.inside):
                return _always(HeaderPart(HeaderPartKind.UNKNOWN))
            found = [each for each in block.all("set") if _sets(each, name)]
            if found:
                return self.value(found[-1].arguments[1], header, depth + 1)
        return None

    def _map(self, name: str, header: str, depth: int) -> Value | None:
        """The value by ``map``, where the source is something that tells kinds of requests apart."""
        for block in self.chain.blocks:
            for each in block.all("map"):
                if len(each.arguments) == 2 and each.arguments[1] == f"${name}":
                    return self._mapped(each, header, depth)
        return None

    def _mapped(self, map_: Directive, header: str, depth: int) -> Value:
        entries = {each.name: each.argument for each in map_.inside}
        source = map_.arguments[0].replace("{", "").replace("}", "")

        def entry(key: str) -> tuple[HeaderPart, ...] | None:
            if any(
                patterns.search(each.lstrip("~*"), key) is not False for each in entries if each[:1] == "~"
            ):
                return None
            text = entries.get(key, entries.get("default", ""))
            value = self.value(text, header, depth + 1)
            return value[0][1] if len(value) == 1 else None

        cases: dict[str, tuple[tuple[HeaderCondition, str], ...]] = {
            "$scheme": ((HeaderCondition.TLS, "https"), (HeaderCondition.PLAIN, "http")),
            "$https": ((HeaderCondition.TLS, "on"), (HeaderCondition.PLAIN, "")),
        }
        if header == "x-forwarded-proto":
            cases["$http_x_forwarded_proto"] = (
                (HeaderCondition.PRESENT, "https"),
                (HeaderCondition.ABSENT, ""),
            )
        if source not in cases:
            return _always(HeaderPart(HeaderPartKind.UNKNOWN))
        found = [(condition, entry(key)) for condition, key in cases[source]]
        return tuple(
            (condition, parts if parts is not None else (HeaderPart(HeaderPartKind.UNKNOWN),))
            for condition, parts in found
        )

    def _constant(self, text: str) -> str:
        """A text with those variables filled in that ``set`` gives a fixed value."""

        def fill(match: re.Match[str]) -> str:
            found = self._set(match[1] or match[2], "", 1)
            if (
                found is None
                or len(found) != 1
                or any(p.kind is not HeaderPartKind.TEXT for p in found[0][1])
            ):
                return match[0]
            return "".join(part.text for part in found[0][1])

        return _VARIABLE.sub(fill, text)

    # what is passed on

    def _upstreams(self, url: str) -> Iterator[str]:
        yield blanked(url)
        host = origin(url)
        for block in self.chain.blocks:
            for each in block.all("upstream"):
                if each.argument == host.partition(":")[0]:
                    yield from (blanked(server.argument) for server in each.all("server"))

    def _rewrites_of_paths(self) -> Iterator[Directive]:
        """The ``rewrite`` directives that an upload's path fits, or may fit."""
        for block in reversed(self.chain.blocks):
            for each in block.all("rewrite"):
                if len(each.arguments) > 1 and patterns.search(each.argument, START) is not False:
                    yield each

    def _path_change(self, passing: Directive) -> ReverseProxySetting:
        changing = next(self._rewrites_of_paths(), passing)
        return ReverseProxySetting(
            name=changing.name, value=blanked(" ".join(changing.arguments)), place=changing.place
        )

    def _query_loss(self, passing: Directive) -> ReverseProxySetting | None:
        """A target built of ``$uri``: where variables stand after the host, nginx passes on what they say."""
        path = re.sub(r"https?://[^/$]*(?:\$\{?\w+\}?)?(?=[/$])", "", passing.argument)
        named = {match[1] or match[2] for match in _VARIABLE.finditer(path)}
        if not named & {"uri", "document_uri"} or named & {"request_uri", "args", "query_string"}:
            return None
        return ReverseProxySetting(name=passing.name, value=blanked(passing.argument), place=passing.place)

    def _sent_path(self, target: str) -> str | None:
        path = START
        for each in self._rewrites_of_paths():
            flags = each.arguments[2:]
            changed = patterns.rewritten(each.argument, each.arguments[1], path)
            if each in self.location.inside and flags == ["break"]:
                # After a rewriting the path of proxy_pass counts no more.
                return changed
            if (
                each not in self.server.blocks[0].inside
                or flags not in ([], ["last"], ["break"])
                or not changed
            ):
                return None
            chosen = _choose(self.server, changed)
            if chosen is None or chosen.blocks[0] is not self.location:
                return None
            path = changed
        after = re.match(r"https?://[^/]*(/.*)?$", target)
        if after is None or "$" in target:
            return path if "$" not in (after[1] or "" if after else target) else None
        if after[1] is None:
            return path
        location = _location_path(self.location)
        if _modifier(self.location) in ("~", "~*") or not path.startswith(location):
            return None
        return after[1] + path[len(location) :]

    def _headers(self, url: str) -> Iterator[HeaderAssignment]:
        own = self.chain.find_all("proxy_set_header")
        named = {each.argument.lower() for each in own}
        where = origin(url)
        if "host" not in named:
            kind = HeaderPartKind.UPSTREAM if "$" not in url else HeaderPartKind.UNKNOWN
            yield HeaderAssignment(name="host", value="$proxy_host", parts=(HeaderPart(kind, where),))
        for each in own:
            name = each.argument.lower()
            if name not in ADDRESS_HEADERS or len(each.arguments) < 2:
                continue
            text = each.arguments[1]
            secret = name == "authorization"
            for condition, parts in self.value(text, name):
                yield HeaderAssignment(
                    name=name,
                    value=blanked(text, secret=secret),
                    parts=(HeaderPart(HeaderPartKind.UNKNOWN),) if secret and parts else parts,
                    when=condition,
                    place=each.place,
                )
        whole = self.chain.find("proxy_pass_request_headers")
        if whole is not None and whole.argument == "off":
            for name in sorted(ADDRESS_HEADERS - named - {"host"}):
                yield HeaderAssignment(name=name, value="", parts=(), place=whole.place)

    def _switched_off(self) -> Iterator[HeaderAssignment]:
        """What the blocks around set in vain, because one inside sets any header at all."""
        own = self.chain.find_all("proxy_set_header")
        named = {each.argument.lower() for each in own}
        for block in self.chain.blocks:
            for each in block.all("proxy_set_header"):
                name = each.argument.lower()
                if each not in own and name in ADDRESS_HEADERS - named - {"authorization"}:
                    named.add(name)
                    text = each.arguments[1] if len(each.arguments) > 1 else ""
                    yield HeaderAssignment(
                        name=name, value=blanked(text), parts=self._single(text), place=each.place
                    )

    def _rewrites(self, passing: Directive, url: str) -> Iterator[LocationRewrite]:
        own = self.chain.find_all("proxy_redirect")
        if any(each.argument == "off" for each in own):
            return
        if (not own or any(each.argument == "default" for each in own)) and "$" not in passing.argument:
            target = passing.argument
            has_path = re.fullmatch(r"https?://[^/]*", target) is None
            yield LocationRewrite(
                value="proxy_redirect default",
                prefix=tuple(text_part(url if has_path else f"{url}/")),
                replacement=tuple(text_part(_location_path(self.location) if has_path else "/")),
            )
        for each in own:
            if len(each.arguments) < 2:
                continue
            pattern, replacement = (self._single(text) for text in each.arguments[:2])
            if each.argument.startswith("~"):
                pattern = (HeaderPart(HeaderPartKind.UNKNOWN),)
            yield LocationRewrite(
                value=" ".join(each.arguments), prefix=pattern, replacement=replacement, place=each.place
            )

    def _single(self, text: str) -> tuple[HeaderPart, ...]:
        value = self.value(text)
        return value[0][1] if len(value) == 1 else (HeaderPart(HeaderPartKind.UNKNOWN),)

    # limits and time

    def _setting(self, name: str) -> ReverseProxySetting | None:
        found = self.chain.find(name)
        if found is None:
            return None
        return ReverseProxySetting(name=name, value=" ".join(found.arguments), place=found.place)

    def _body_limit(self) -> BodyLimit | None:
        name = "client_max_body_size"
        found = self.chain.find(name)
        if found is None:
            return BodyLimit(name=name, value="1m", bytes=_DEFAULT_LIMIT)
        size = units.nginx_size(found.argument)
        if size is None:
            return None
        return BodyLimit(name=name, value=found.argument, place=found.place, bytes=size or None)

    def _buffering(self) -> RequestBuffering:
        name = "proxy_request_buffering"
        found = self.chain.find(name)
        version = self._setting("proxy_http_version")
        return RequestBuffering(
            name=name,
            value=found.argument if found is not None else "on",
            place=found.place if found is not None else None,
            spools=found is None or found.argument != "off",
            http_version=version or ReverseProxySetting(name="proxy_http_version", value="1.0"),
        )

    def _timers(self) -> Iterator[ProxyTimer]:
        for name, scope in _TIMERS:
            found = self.chain.find(name)
            seconds = units.nginx_seconds(found.argument) if found is not None else float(_DEFAULT_SECONDS)
            if seconds is None:
                continue
            yield ProxyTimer(
                name=name,
                value=found.argument if found is not None else f"{_DEFAULT_SECONDS}s",
                place=found.place if found is not None else None,
                scope=scope,
                seconds=seconds,
            )

    def _refused(self) -> RefusedMethods | None:
        for block in self.chain.blocks:
            for each in block.all("limit_except"):
                if any(inner.argument == "all" for inner in each.all("deny")) and not any(each.all("allow")):
                    allowed = {word.upper() for word in each.arguments}
                    allowed |= {"HEAD"} if "GET" in allowed else set()
                    return _refused(each, set(METHODS) - allowed)
            for each in block.all("if"):
                test = _method_test(each)
                if test is not None and _ends(each):
                    return _refused(each, {method for method in METHODS if test(method)})
        return None

    def _compression(self) -> ReverseProxySetting | None:
        switched = self.chain.find("gzip")
        types = self.chain.find("gzip_types")
        if switched is None or switched.argument != "on" or types is None:
            return None
        if not any(each == "*" or each.startswith("application/vnd.") for each in types.arguments):
            return None
        return ReverseProxySetting(
            name="gzip_types", value=" ".join(types.arguments)[:200], place=types.place
        )


def _always(*parts: HeaderPart) -> Value:
    return ((HeaderCondition.ALWAYS, parts),)


def _sets(directive: Directive, name: str) -> bool:
    return directive.name == "set" and len(directive.arguments) == 2 and directive.arguments[0] == f"${name}"


def _method_test(condition: Directive) -> Callable[[str], bool] | None:
    """What an ``if`` on the method is true for; None where it tests something else."""
    text = " ".join(condition.arguments).strip().removeprefix("(").removesuffix(")")
    words = text.split(None, 2)
    if len(words) != 3 or words[0] != "$request_method":
        return None
    _variable, operator, value = words
    value = value.strip()
    tests: dict[str, Callable[[str], bool]] = {
        "=": lambda method: method == value,
        "!=": lambda method: method != value,
        "~": lambda method: patterns.search(value, method) is True,
        "~*": lambda method: patterns.search(value, method, ignore_case=True) is True,
        "!~": lambda method: patterns.search(value, method) is False,
        "!~*": lambda method: patterns.search(value, method, ignore_case=True) is False,
    }
    return tests.get(operator)


def _ends(block: Directive) -> bool:
    """Whether a block refuses the request."""
    return any(each.argument == "all" for each in block.all("deny")) or any(
        each.argument[:1] == "4" for each in block.all("return")
    )


def _refused(directive: Directive, refused: set[str]) -> RefusedMethods | None:
    methods = tuple(method for method in METHODS if method in refused)
    if not methods:
        return None
    return RefusedMethods(
        name=directive.name, value=" ".join(directive.arguments), place=directive.place, methods=methods
    )
