"""From haproxy's sections to the ways that uploads take: frontends, backends, and what is effective between."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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
)
from regdoctor.host.proxyconf import patterns, units
from regdoctor.host.proxyconf.haproxy import Line, Section, sections
from regdoctor.host.proxyconf.haproxy_conditions import Verdict
from regdoctor.host.proxyconf.requests import ADDRESS_HEADERS, METHODS, START, blanked, text_part

MOST_ROUTES: Final = 500
_UNKNOWN: Final = (HeaderPart(HeaderPartKind.UNKNOWN),)
_FORMATS: Final = (
    (re.compile(r"%\[ssl_fc,iif\(https,http\)\]"), HeaderPartKind.SCHEME, ""),
    (re.compile(r"%\[(?:req\.)?(?:f?hdr)\(host\)\]", re.IGNORECASE), HeaderPartKind.HOST, ""),
    (
        re.compile(r"%\[(?:req\.)?(?:f?hdr)\(host\),(?:field\(1,:\)|host_only)\]", re.IGNORECASE),
        HeaderPartKind.NAME,
        "",
    ),
    (re.compile(r"%\[(?:fc_)?dst_port\]|%fp"), HeaderPartKind.PORT, ""),
)
_INCOMING: Final = re.compile(r"%\[(?:req\.)?f?hdr\(([\w-]+)\)\]", re.IGNORECASE)
_PATH_ACTIONS: Final = frozenset(
    {"set-path", "set-pathq", "set-uri", "replace-path", "replace-pathq", "replace-uri"}
)
_BODY_SIZE: Final = re.compile(r"(?:req\.)?(body_size|hdr_val\(content-length\)|hdr\(content-length\))", re.I)


def routes(text: str, file: str) -> Iterator[ProxyRoute]:
    """The ways that uploads take through the frontends of a configuration.

    :raises Unreadable: haproxy would not take it, or it is too large.
    """
    parts = sections(text, file)
    backends = {part.name: part for part in parts if part.kind in ("backend", "listen")}
    found = 0
    for front in parts:
        if front.kind not in ("frontend", "listen"):
            continue
        listeners = tuple(_listeners(front))
        if not listeners:
            continue
        for back, names, path in _backends(front, backends):
            found += 1
            if found > MOST_ROUTES:
                return
            yield _Route(front, back, listeners, names, path).route()


def _listeners(front: Section) -> Iterator[ProxyListener]:
    lines = list(front.all("bind"))
    addresses = [(address, line) for line in lines for address in (line.words[1:2] or [""])[0].split(",")]
    for address, line in addresses:
        host, _, port = address.rpartition(":")
        first = port.partition("-")[0]
        host = host.removeprefix("ipv4@").removeprefix("ipv6@").strip("[]")
        yield ProxyListener(
            host="" if host in ("*", "0.0.0.0", "::", "") else host,  # noqa: S104 - compared, not bound
            port=int(first) if first.isdecimal() and len(first) <= 5 else None,
            tls="ssl" in line.words[2:],
        )


def _backends(
    front: Section, backends: Mapping[str, Section]
) -> Iterator[tuple[Section, tuple[str, ...], str]]:
    """Where a frontend may send an upload, with the host names and the path that lead there."""
    if front.kind == "listen" and any(front.all("server")):
        yield front, (), "/"
    for line in front.all("use_backend"):
        if len(line.words) < 2:
            continue
        condition = front.condition(line.words[2:])
        verdict = condition.for_upload()
        back = backends.get(line.words[1])
        if verdict is not Verdict.FALSE and back is not None:
            yield back, condition.names, condition.path or "/"
        if verdict is Verdict.TRUE and not condition.names:
            return
    default = front.last("default_backend")
    back = backends.get(default.words[1]) if default is not None and len(default.words) > 1 else None
    if back is not None:
        yield back, (), "/"


class _Route:
    """What is effective on the way from a frontend to a backend."""

    def __init__(
        self,
        front: Section,
        back: Section,
        listeners: tuple[ProxyListener, ...],
        names: tuple[str, ...],
        path: str,
    ) -> None:
        self.parts = (front,) if front is back else (front, back)
        self.back = back
        self.listeners = listeners
        self.names = names
        self.path = path

    def route(self) -> ProxyRoute:
        servers = list(self.back.all("server"))
        default_tls = any("ssl" in line.words for line in self.back.all("default-server"))
        return ProxyRoute(
            place=self.parts[0].place,
            block=" → ".join(f"{part.kind} {part.name}" for part in self.parts),
            listeners=self.listeners,
            names=self.names,
            path=self.path,
            upstreams=tuple(
                blanked(word)
                for word in (
                    *(
                        part.name
                        for part in self.parts
                        if part is self.back or not any(part.all("use_backend"))
                    ),
                    *(word for line in servers for word in line.words[1:3]),
                )
            ),
            upstream_tls=default_tls or any("ssl" in line.words[3:] for line in servers),
            sent_path=self._sent_path(),
            path_change=self._path_change(),
            headers=tuple(self._headers()) if self._http else (),
            location_rewrites=tuple(self._rewrites()) if self._http else (),
            body_limit=self._body_limit() if self._http else None,
            buffering=RequestBuffering(name="haproxy", value="never whole bodies", spools=False),
            timers=tuple(self._timers()),
            refused=self._refused() if self._http else None,
        )

    @property
    def _http(self) -> bool:
        """Whether haproxy takes part in HTTP here at all; it forwards bytes otherwise."""
        line = self.parts[0].last("mode")
        return line is not None and line.words[1:2] == ["http"]

    def _requests(self) -> Iterator[tuple[Section, Line]]:
        """The rules on requests, in the order in which they are carried out."""
        for part in self.parts:
            for line in part.all("http-request"):
                yield part, line

    def _path_changes(self) -> Iterator[tuple[Section, Line]]:
        for part, line in self._requests():
            if line.words[1:2] and line.words[1] in _PATH_ACTIONS:
                condition = part.condition(line.words[2:])
                if condition.for_upload() is not Verdict.FALSE:
                    yield part, line
        for part in self.parts:
            for word in ("reqrep", "reqirep"):
                yield from ((part, line) for line in part.all(word))

    def _path_change(self) -> ReverseProxySetting | None:
        for _part, line in self._path_changes():
            return ReverseProxySetting(
                name=" ".join(line.words[:2]), value=blanked(" ".join(line.words[2:])), place=line.place
            )
        return None

    def _sent_path(self) -> str | None:
        path = START
        for part, line in self._path_changes():
            words = line.words[2:]
            if line.words[1:2] not in (["replace-path"], ["replace-pathq"]) or len(words) < 2:
                return None
            if part.condition(words[2:]).for_upload() is not Verdict.TRUE:
                return None
            if patterns.search(words[0], path) is False:
                continue
            changed = patterns.rewritten(words[0], words[1], path)
            if changed is None:
                return None
            path = changed
        return path

    def _headers(self) -> Iterator[HeaderAssignment]:
        for part, line in self._requests():
            yield from _assignment(part, line)
        for part in self.parts:
            for word in ("reqadd", "reqset"):
                yield from (_legacy(line) for line in part.all(word) if len(line.words) > 1)
            named = part.last("http-send-name-header")
            if named is not None and len(named.words) > 1 and named.words[1].lower() in ADDRESS_HEADERS:
                server = next((line.words[1] for line in self.back.all("server") if line.words[1:]), "")
                yield HeaderAssignment(
                    name=named.words[1].lower(),
                    value=server,
                    parts=(HeaderPart(HeaderPartKind.UPSTREAM, server),),
                    place=named.place,
                )
            forwarded = part.option("forwarded")
            if forwarded is not None:
                yield HeaderAssignment(
                    name="forwarded", value="option forwarded", parts=_UNKNOWN, place=forwarded.place
                )

    def _rewrites(self) -> Iterator[LocationRewrite]:
        for part in self.parts:
            for line in part.all("http-response"):
                if line.words[1:2] and line.words[2:3] and line.words[2].lower() == "location":
                    yield _unknown_rewrite(line)
            for line in (*part.all("rspirep"), *part.all("rsprep")):
                if "ocation" in " ".join(line.words):
                    yield _unknown_rewrite(line)

    def _body_limit(self) -> BodyLimit | None:
        """A rule that refuses requests by their length."""
        for part, line in self._requests():
            if line.words[1:2] not in (["deny"], ["reject"], ["tarpit"], ["silent-drop"]):
                continue
            for test in part.condition(line.words[2:]).tests:
                match = _BODY_SIZE.fullmatch(test[0])
                numbers = [word for word in test[1:] if word.isdecimal() and len(word) < 16]
                if match is not None and numbers and {"gt", "ge"} & set(test):
                    return BodyLimit(
                        name="http-request deny",
                        value=" ".join(test),
                        place=line.place,
                        bytes=int(numbers[0]),
                        announced_only=True,
                    )
        return None

    def _timers(self) -> Iterator[ProxyTimer]:
        line = self.back.last("timeout", "server")
        if line is None or len(line.words) < 3:
            return
        seconds = units.haproxy_seconds(line.words[2])
        if seconds is not None:
            yield ProxyTimer(
                name="timeout server",
                value=line.words[2],
                place=line.place,
                scope=TimerScope.SILENCE,
                seconds=seconds or None,
            )

    def _refused(self) -> RefusedMethods | None:
        for part, line in self._requests():
            if line.words[1:2] not in (["deny"], ["reject"], ["tarpit"], ["silent-drop"]):
                continue
            condition = part.condition(line.words[2:])
            methods = tuple(method for method in METHODS if condition.refuses(method))
            if methods:
                return RefusedMethods(
                    name="http-request deny",
                    value=blanked(" ".join(line.words[2:])),
                    place=line.place,
                    methods=methods,
                )
        return None


def _assignment(part: Section, line: Line) -> Iterator[HeaderAssignment]:
    """What a rule on requests does to a header; nothing where it does not concern the headers looked at."""
    words = line.words
    action = words[1] if len(words) > 1 else ""
    name = words[2].lower() if len(words) > 2 else ""
    if name not in ADDRESS_HEADERS:
        return
    rest = words[3:]
    if action in ("set-header", "add-header") and rest:
        text, rest = rest[0], rest[1:]
        secret = name == "authorization"
        parts = _UNKNOWN if secret else _parts(text)
        shown = blanked(text, secret=secret)
    elif action == "del-header":
        parts, shown = (), ""
    elif action in ("replace-header", "replace-value"):
        parts, shown = _UNKNOWN, ""
        rest = rest[2:]
    else:
        return
    condition = part.condition(rest)
    when = condition.for_header(name)
    if when is not None:
        yield HeaderAssignment(name=name, value=shown, parts=parts, when=when, place=line.place)


def _legacy(line: Line) -> HeaderAssignment:
    """``reqadd`` of haproxy before 2.1."""
    name, _, value = line.words[1].partition(":")
    name = name.lower().strip()
    known = name in ADDRESS_HEADERS and name != "authorization"
    return HeaderAssignment(
        name=name if name in ADDRESS_HEADERS else "x-other",
        value=value.strip() if known else "",
        parts=_parts(value.strip()) if known else _UNKNOWN,
        when=HeaderCondition.ALWAYS if len(line.words) == 2 else HeaderCondition.UNKNOWN,
        place=line.place,
    )


def _parts(text: str) -> tuple[HeaderPart, ...]:
    """What a format (configuration manual, 8.2.4) comes to."""
    parts: list[HeaderPart] = []
    position = 0
    while position < len(text):
        found = next(
            (
                (match, HeaderPart(kind, known))
                for pattern, kind, known in _FORMATS
                if (match := pattern.match(text, position)) is not None
            ),
            None,
        )
        incoming = _INCOMING.match(text, position)
        if found is not None:
            parts.append(found[1])
            position = found[0].end()
        elif incoming is not None:
            parts.append(HeaderPart(HeaderPartKind.INCOMING, incoming[1].lower()))
            position = incoming.end()
        elif text.startswith("%", position) and not text.startswith("%%", position):
            return _UNKNOWN
        else:
            end = text.find("%", position + 1)
            end = end if end > 0 else len(text)
            parts += text_part(text[position:end])
            position = end
    return tuple(parts)


def _unknown_rewrite(line: Line) -> LocationRewrite:
    return LocationRewrite(
        value=blanked(" ".join(line.words[1:])), prefix=_UNKNOWN, replacement=_UNKNOWN, place=line.place
    )
