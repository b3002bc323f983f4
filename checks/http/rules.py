"""What the answer at ``/v2/`` means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from regdoctor.api import (
    Answer,
    Certainty,
    Draft,
    Endpoint,
    Failure,
    FailureKind,
    ManifestLook,
    PathPrefixes,
    Ping,
    ProducerKind,
    Replicas,
    Role,
    TokenExchange,
    finding,
    rule,
)

_TLS_TEXTS = (
    "http request was sent to https port",
    "http request to an https server",
    "ssl certificate",
)
"""Parts of the 400 pages that are about TLS and judged there (nginx, Go ``net/http``)."""


def _says(answer: Answer) -> str:
    """Who answered, for a sentence: ``nginx`` or ``the server``."""
    return answer.producer.name or {
        ProducerKind.REGISTRY: "the registry",
        ProducerKind.FORWARD_PROXY: "a forward proxy",
        ProducerKind.REVERSE_PROXY: "a reverse proxy",
        ProducerKind.CDN: "a CDN",
    }.get(answer.producer.kind, "the server")


def _media_type(answer: Answer) -> str:
    return (answer.header("content-type") or "").partition(";")[0].strip().lower()


def _is_html(answer: Answer) -> bool:
    return _media_type(answer) in ("text/html", "application/xhtml+xml") or bool(
        re.match(r"\s*(<!doctype html|<html)", answer.body_excerpt, re.IGNORECASE)
    )


def looks_like_registry(ping: Ping) -> bool:
    """Whether the answer is one that a registry gives at ``/v2/`` (OCI distribution-spec, end-1).

    The Docker-* headers are optional there, so their absence proves nothing.
    """
    answer = ping.answer
    if answer is None:
        return False
    if answer.producer.kind is ProducerKind.REGISTRY:
        return True
    if answer.status == 401:
        return not _is_html(answer) or answer.header("www-authenticate") is not None
    if answer.status == 200:
        control_served = ping.control is not None and ping.control.status == 200
        return not _is_html(answer) and not control_served
    return False


def _ours(endpoint: Endpoint, ping: Ping) -> Answer | None:
    return ping.answer if endpoint.role is Role.REGISTRY else None


def _line(answer: Answer) -> str:
    media_type = _media_type(answer)
    return f"GET {answer.url} was answered {answer.status}" + (f" ({media_type})" if media_type else "")


@rule("http/not-a-registry")
def not_a_registry(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """Something answers, and what it answers no registry would."""
    answer = _ours(endpoint, ping)
    if answer is None or looks_like_registry(ping) or ping.redirect_problem is not None:
        return
    if answer.status >= 500 or answer.status in (401, 407, 408, 429, 499):
        return
    if answer.status == 403 and answer.producer.kind is not ProducerKind.OTHER:
        return
    text = answer.body_excerpt.lower()
    if answer.status == 400 and any(each in text for each in _TLS_TEXTS):
        return
    seen = [_line(answer) + f" by {_says(answer)}."]
    if ping.redirects:
        hosts = " → ".join(
            [urlsplit(each.url).netloc for each in ping.redirects] + [urlsplit(answer.url).netloc]
        )
        seen.append(f"Redirects led there: {hosts}.")
    if _is_html(answer):
        seen.append("It is an HTML page; clients print it as “invalid character '<'” or a bare status.")
    if ping.control is not None and ping.control.status == 200:
        seen.append("A repository name made up at random is answered 200 as well, so it serves anything.")
    if answer.status == 404:
        seen.append(
            "A registry answers 200 or 401 at /v2/; clients cannot be told to ask below another path."
        )
    proven = _is_html(answer) or answer.producer.kind is ProducerKind.OTHER or answer.status == 404
    yield finding(
        "http/not-a-registry",
        " ".join(seen),
        certainty=Certainty.PROVEN if proven else Certainty.LIKELY,
        evidence=(answer.exchange,),
    )


@rule("http/upstream-down", "http/no-backend", "http/gateway-timeout")
def gateway(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """A proxy in front of the registry answers in its place."""
    answer = _ours(endpoint, ping)
    if answer is None or answer.producer.kind in (ProducerKind.REGISTRY, ProducerKind.FORWARD_PROXY):
        return
    said = f"{_line(answer)} by {_says(answer)}, not by a registry."
    certainty = Certainty.LIKELY if answer.producer.kind is ProducerKind.UNKNOWN else Certainty.PROVEN
    if answer.status == 502:
        yield finding(
            "http/upstream-down",
            f"{said} The proxy is up and cannot get an answer from the registry behind it: the registry is "
            "down, listens elsewhere, or the proxy may not connect to it.",
            certainty=certainty,
            evidence=(answer.exchange,),
        )
    elif answer.status == 503 and answer.producer.kind is not ProducerKind.CDN:
        yield finding(
            "http/no-backend",
            f"{said} The proxy knows no healthy registry to pass requests to.",
            certainty=certainty,
            evidence=(answer.exchange,),
        )
    elif answer.status in (504, 408, 499):
        yield finding(
            "http/gateway-timeout",
            f"{said} It gave up waiting for the registry behind it after {answer.seconds:.1f} s.",
            certainty=certainty,
            evidence=(answer.exchange,),
        )


@rule("http/registry-unhealthy", "http/server-error")
def own_errors(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """The registry itself answers that it cannot."""
    answer = _ours(endpoint, ping)
    if answer is None or answer.status < 500:
        return
    if answer.status == 503 and answer.producer.kind is ProducerKind.REGISTRY:
        yield finding(
            "http/registry-unhealthy",
            f"{_line(answer)} by the registry itself: its own health check fails.",
            evidence=(answer.exchange,),
        )
    elif answer.status not in (502, 503, 504):
        yield finding(
            "http/server-error",
            f"{_line(answer)} by {_says(answer)}: {answer.body_excerpt[:200].strip() or 'no text'}",
            evidence=(answer.exchange,),
        )


@rule("http/response-timeout")
def response_timeout(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """The connection opens and the answer does not come, or is none."""
    if endpoint.role is not Role.REGISTRY or ping.failure is None:
        return
    if ping.failure.kind is FailureKind.RESPONSE_TIMEOUT:
        yield finding(
            "http/response-timeout",
            f"{endpoint.address} accepted the connection and the request for {endpoint.path}, and sent no "
            f"whole answer in time: {ping.failure.message}.",
            evidence=("ping",),
        )


@rule("http/redirect-loop")
def redirect_loop(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """Redirects that never arrive, or that leave TLS."""
    if endpoint.role is not Role.REGISTRY or ping.redirect_problem is None:
        return
    way = " → ".join(each.url for each in ping.redirects)
    last = ping.answer.header("location") if ping.answer is not None else None
    means = {
        "loop": "They lead in a circle.",
        "too-many": "They do not come to an end.",
        "downgrade": "They lead from https to http, where clients drop credentials or refuse to go.",
    }[ping.redirect_problem]
    yield finding(
        "http/redirect-loop",
        f"GET {endpoint.path} is redirected: {way} → {last or '?'}. {means}",
        evidence=tuple(each.exchange for each in ping.redirects),
    )


_EDGE_TEXT = re.compile(
    r"client with ip .{1,60} is not allowed|access denied by .{0,40}(policy|rule)|request blocked|"
    r"you have been blocked|attention required|checking your browser|firewall",
    re.IGNORECASE,
)
"""What edges say when they turn a client away (Cloudflare, Azure registries, common WAFs)."""


@rule("http/edge-blocked")
def edge_blocked(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """A refusal before any authentication, by something in front of the registry."""
    answer = _ours(endpoint, ping)
    if answer is None or answer.status not in (403, 406, 451, 503) or ping.redirect_problem is not None:
        return
    by_edge = answer.producer.kind is ProducerKind.CDN
    says_so = _EDGE_TEXT.search(answer.body_excerpt) is not None
    refused_by_proxy = answer.status != 503 and answer.producer.kind in (
        ProducerKind.REVERSE_PROXY,
        ProducerKind.UNKNOWN,
    )
    if not (says_so or by_edge or refused_by_proxy):
        return
    if answer.status == 503 and not by_edge:
        return
    yield finding(
        "http/edge-blocked",
        f"{_line(answer)} by {_says(answer)} before any login was asked for: {_first_words(answer)} "
        "A registry would ask for credentials with 401; this is a rule about the client's address or its "
        "request.",
        certainty=Certainty.PROVEN if says_so else Certainty.LIKELY,
        evidence=(answer.exchange,),
    )


def _first_words(answer: Answer) -> str:
    """What the body says, without its tags, on one line."""
    text = " ".join(re.sub(r"<[^>]*>", " ", answer.body_excerpt).split())
    return f"“{text[:160]}”." if text else "it says nothing more."


def _quota(answer: Answer) -> tuple[int, int, int | None] | None:
    """Remaining pulls, limit and window in seconds from Docker Hub's headers, such as ``76;w=21600``."""

    def read(name: str) -> tuple[int, int | None] | None:
        match = re.fullmatch(r"\s*(\d{1,9})(?:\s*;\s*w=(\d{1,9}))?\s*", answer.header(name) or "")
        return (int(match[1]), int(match[2]) if match[2] else None) if match else None

    remaining, limit = read("ratelimit-remaining"), read("ratelimit-limit")
    if remaining is None or limit is None:
        return None
    return remaining[0], limit[0], limit[1]


def _answers(
    endpoint: Endpoint, ping: Ping | None, look: ManifestLook | None, exchange: TokenExchange | None
) -> tuple[Answer, ...]:
    """The answers about the registry that a limit may show in."""
    if endpoint.role is not Role.REGISTRY:
        return ()
    answers = (
        ping.answer if ping is not None else None,
        exchange.answer if exchange is not None else None,
        look.answer if look is not None else None,
        look.head if look is not None else None,
    )
    return tuple(answer for answer in answers if answer is not None)


@rule("http/rate-limited", "http/rate-low")
def rate_limits(
    endpoint: Endpoint, ping: Ping | None, look: ManifestLook | None, exchange: TokenExchange | None
) -> Iterator[Draft]:
    """429, or quota headers that say how little is left."""
    answers = _answers(endpoint, ping, look, exchange)
    limited = next((answer for answer in answers if answer.status == 429), None)
    if limited is not None:
        wait = limited.header("retry-after")
        again = f" It asks to come back after: {wait}." if wait else ""
        yield finding(
            "http/rate-limited",
            f"{_line(limited)} by {_says(limited)}: {_first_words(limited)}{again}",
            evidence=(limited.exchange,),
        )
        return
    quotas = [(quota, answer) for answer in answers if (quota := _quota(answer)) is not None]
    if not quotas:
        return
    (remaining, limit, window), answer = min(quotas, key=lambda pair: pair[0][0])
    if limit and remaining * 10 <= limit:
        per = f" in {window // 3600} h" if window and window >= 3600 else ""
        yield finding(
            "http/rate-low",
            f"The registry says that {remaining} of {limit} pulls{per} are left.",
            evidence=(answer.exchange,),
        )


@rule("http/server-error", "http/upstream-down", "http/no-backend", "http/gateway-timeout")
def behind_the_ping(endpoint: Endpoint, ping: Ping, look: ManifestLook) -> Iterator[Draft]:
    """``/v2/`` answers well and the image's manifest does not."""
    answer = look.answer
    if endpoint.role is not Role.REGISTRY or answer is None or answer.status < 500:
        return
    if ping.answer is not None and ping.answer.status >= 500:
        return
    by_registry = answer.producer.kind is ProducerKind.REGISTRY
    code = {502: "http/upstream-down", 503: "http/no-backend", 504: "http/gateway-timeout"}.get(answer.status)
    if by_registry or code is None:
        code = "http/server-error"
    yield finding(
        code,
        f"/v2/ answers well, and {_line(answer)} by {_says(answer)}: {_first_words(answer)}",
        evidence=(answer.exchange,),
    )


@rule("http/path-prefix")
def path_prefix(endpoint: Endpoint, prefixes: PathPrefixes) -> Iterator[Draft]:
    """The registry is there, below a path that clients cannot be told."""
    found = [each for each in prefixes.answers if each.header("docker-distribution-api-version") is not None]
    if found:
        path = urlsplit(found[0].url).path
        yield finding(
            "http/path-prefix",
            f"{endpoint.url}/v2/ is no registry, and {found[0].url} is one ({found[0].status}). Clients always "
            "ask for /v2/ at the root: the image name "
            f"{endpoint.address}{path.removesuffix('/v2/')}/app leads them to /v2/ all the same.",
            evidence=(found[0].exchange,),
        )


@rule("http/replicas-differ")
def replicas_differ(replicas: Replicas) -> Iterator[Draft]:
    """Repeated requests for one thing are answered differently."""
    for question in replicas.questions:
        kinds: dict[str, list[Answer | Failure]] = {}
        for answer in question.answers:
            kinds.setdefault(_kind(answer), []).append(answer)
        if len(kinds) < 2:
            continue
        shown = "; ".join(f"{len(each)} times {kind}" for kind, each in kinds.items())
        yield finding(
            "http/replicas-differ",
            f"The same request, {question.method} {question.url}, sent {len(question.answers)} times: "
            f"{shown}. Behind this name are replicas that are not equal; whether a client succeeds is chance.",
            evidence=tuple(each.exchange for each in question.answers if isinstance(each, Answer)),
        )


def _kind(answer: Answer | Failure) -> str:
    """What must be the same for every replica: status and, for content, its digest."""
    if isinstance(answer, Failure):
        return answer.kind.value.replace("-", " ")
    digest = answer.header("docker-content-digest")
    return f"{answer.status}" + (f" with {digest}" if digest else "")
