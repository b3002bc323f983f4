"""Sentences and readings that several rules of this area share. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from regdoctor.api import (
    Answer,
    Credentials,
    ProducerKind,
    TokenExchange,
    TokenService,
    errors,
)

_TOO_LARGE = re.compile(
    r"request header or cookie too large|request header(?:s| fields?)? (?:is |are )?too (?:large|long)"
    r"|size of (?:a|the) request header|request-?uri too (?:large|long)|uri too long|header field too large",
    re.IGNORECASE,
)
"""nginx, Go ``net/http``, Apache httpd, IIS, Jetty, Envoy."""


def exceeds_limit(answer: Answer) -> bool:
    """Whether a server or proxy says that the URL or the headers are too long (RFC 9110, RFC 6585)."""
    return answer.status in (414, 431) or (
        answer.status == 400 and _TOO_LARGE.search(answer.body_excerpt) is not None
    )


def said(answer: Answer) -> errors.ErrorBody:
    """What the body of a refusal tells."""
    return errors.parse_errors(answer.body_excerpt.encode(), answer.header("content-type"))


def quoted(answer: Answer) -> str:
    """The server's own words, for a sentence; empty where it gave none."""
    body = said(answer)
    words = [f"{each.code}: {each.message}" if each.message else each.code for each in body.errors]
    if body.message:
        words.append(body.message)
    text = "; ".join(words)[:300]
    return f" (“{text}”)" if text else ""


def line(answer: Answer) -> str:
    """``GET https://… was answered 401``."""
    return f"{answer.method} {answer.url} was answered {answer.status}"


def by_registry(answer: Answer) -> bool:
    """Whether the registry itself made the answer, not a proxy's page in its place."""
    return answer.producer.kind is ProducerKind.REGISTRY or said(answer).is_registry_json


def by_distribution(answer: Answer) -> bool:
    """Whether the detail of a 401 is the list of accesses that only distribution writes."""
    return answer.status == 401 and all(
        f'"{name}"' in answer.body_excerpt for name in ("Type", "Class", "Name", "Action")
    )


def proxy_in_front(answer: Answer) -> str | None:
    """The proxy that passed an answer on, by the headers that it adds: ``nginx``; None where none shows."""
    server = answer.header("server") or ""
    for word, name in (
        ("nginx", "nginx"),
        ("openresty", "OpenResty"),
        ("apache", "Apache httpd"),
        ("caddy", "Caddy"),
        ("envoy", "Envoy"),
        ("haproxy", "HAProxy"),
        ("traefik", "Traefik"),
    ):
        if word in server.lower():
            return name
    via = answer.header("via")
    return via[:60] if via else None


def clock_of(answer: Answer) -> datetime | None:
    """The ``Date`` header (RFC 9110 section 6.6.1), UTC."""
    try:
        moment = parsedate_to_datetime(answer.header("date") or "")
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def clock_difference(answer: Answer) -> float | None:
    """Seconds that the answering clock is ahead of this host's; negative where it is behind."""
    theirs = clock_of(answer)
    return (theirs - answer.sent_at).total_seconds() - answer.seconds if theirs is not None else None


def token_host(service: TokenService) -> str:
    """``host:port`` of the token server."""
    return service.host.address if service.host is not None else "the token server"


def account(exchange: TokenExchange) -> str:
    """Who asked: ``the account “alice”``, or an anonymous client."""
    if not exchange.credential_sent:
        return "an anonymous client"
    return f"the account “{exchange.account}”" if exchange.account else "the stored identity token"


def origin(credentials: Credentials) -> str:
    """Where credentials come from: ``user “alice” from /root/.docker/config.json, entry “reg.test”``."""
    who = f"user “{credentials.username}”" if credentials.username else "a token"
    where = f" from {credentials.source}" if credentials.source else ""
    entry = f", entry “{credentials.stored_as}”" if credentials.stored_as else ""
    return f"{who}{where}{entry}"


def looked(credentials: Credentials) -> str:
    """Where credentials were looked for."""
    return ", ".join(credentials.looked_in[:6]) or "no file"


def seconds(value: float) -> str:
    """A span of time for people: ``95 s``, ``12 min``, ``3 h``."""
    value = abs(value)
    if value < 600:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 3 * 3600 else f"{value / 3600:.0f} h"
