"""Whether a refusal is an edge's rule about the client, a page to sign in at, or another service's. Pure."""

from __future__ import annotations

import re

from regdoctor.api import Answer, ProducerKind

from . import answers

STATUSES = frozenset({403, 406, 451})

_EDGE_TEXT = re.compile(
    r"client with ip .{1,60} is not allowed|ip address .{1,60} (is not allowed|blocked|denied)|"
    r"access denied by .{0,40}(policy|rule)|request (was )?blocked|you have been blocked|attention required|"
    r"requested url was rejected|checking your browser|just a moment\.\.\.|web application firewall|"
    r"error code: 10\d\d\b|your support id is|incapsula incident|incident id: \d|mod_?security|"
    r"(blocked|denied|rejected|forbidden) (by|for|due to) .{0,40}\b(policy|security|waf|firewall|rule)",
    re.IGNORECASE,
)
"""What edges say when they turn a client away (Azure registries, Cloudflare, F5, Imperva, ModSecurity)."""

_SIGN_IN = re.compile(
    r"<form\b[^>]*\b(sign[-_]?in|log[-_]?in|oauth2?|saml|sso)\b|<input\b[^>]*\btype=[\"']?password|"
    r"<title>[^<]*\b(sign|log)[ -]?(in|on)\b",
    re.IGNORECASE,
)


def says_blocked(answer: Answer) -> bool:
    """Whether an answer speaks as an edge does that turns a client away."""
    return _EDGE_TEXT.search(answer.body_excerpt) is not None or answer.header("cf-mitigated") is not None


def is_sign_in(answer: Answer) -> bool:
    """Whether an answer is a page that asks to sign in, as single sign-on and captive portals send."""
    return answers.is_html(answer) and _SIGN_IN.search(answer.body_excerpt) is not None


def is_foreign(answer: Answer) -> bool:
    """Whether a refusal is that of another service or of a sign-in, and of no rule about the client."""
    return not says_blocked(answer) and (answer.producer.kind is ProducerKind.OTHER or is_sign_in(answer))
