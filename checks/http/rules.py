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
    FailureKind,
    Ping,
    ProducerKind,
    Role,
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
            f"{endpoint.address} accepted the connection and the request for {endpoint.path}, and sent no whole "
            f"answer in time: {ping.failure.message}.",
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
