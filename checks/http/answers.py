"""What an answer shows: whether a registry gave it, what it says, and how to name it in a sentence. Pure."""

from __future__ import annotations

import json
import os
import re
from urllib.parse import urlsplit

from regdoctor.api import Answer, Ping, ProducerKind, errors

_QUOTED = 200
"""Characters of a body that a sentence holds."""


def by(answer: Answer) -> str:
    """Who answered, for a sentence: ``nginx`` or ``the server``."""
    return answer.producer.name or {
        ProducerKind.REGISTRY: "the registry",
        ProducerKind.FORWARD_PROXY: "a forward proxy",
        ProducerKind.REVERSE_PROXY: "a reverse proxy",
        ProducerKind.CDN: "a CDN",
    }.get(answer.producer.kind, "the server")


def line(answer: Answer) -> str:
    """The request and its answer, such as ``GET https://reg.test/v2/ was answered 502 (text/html)``."""
    media_type = _media_type(answer)
    kind = f" ({media_type})" if media_type else ""
    return f"{answer.method} {answer.url} was answered {answer.status}{kind}"


def words(answer: Answer) -> str:
    """What the body says, without its tags, on one line and in quotes; empty where it says nothing."""
    said = " ".join(map(_of_error, _errors(answer).errors))
    text = " ".join((said or re.sub(r"<[^>]*>", " ", answer.body_excerpt)).split())
    return f"“{text[:_QUOTED]}”" if text else ""


def _of_error(error: errors.RegistryError) -> str:
    detail = error.detail.strip('"') if error.detail not in ("", "{}", "null", '""') else ""
    return f"{error.message or error.code}: {detail}" if detail else error.message or error.code


def codes(answer: Answer) -> tuple[str, ...]:
    """The error codes of a registry's error body, in upper case as the specification writes them."""
    return _errors(answer).codes


def system_error(answer: Answer) -> str | None:
    """The operating system's error that distribution 2 tells in a 500 (``"Err":28``), in words, or None."""
    for error in _errors(answer).errors:
        number = re.search(r'"Err":(\d{1,3})\b', error.detail)
        if number is not None:
            return f"{os.strerror(int(number[1]))} (error {number[1]})"
    return None


def _errors(answer: Answer) -> errors.ErrorBody:
    return errors.parse_errors(answer.body_excerpt.encode(), answer.header("content-type"))


def is_html(answer: Answer) -> bool:
    """Whether the answer is an HTML page, which no registry sends."""
    return errors.looks_like_html(answer.body_excerpt.encode(), answer.header("content-type"))


def is_registry_s(answer: Answer) -> bool:
    """Whether something in the answer itself says that a registry gave it."""
    return answer.producer.kind is ProducerKind.REGISTRY


def content_length(answer: Answer) -> int | None:
    """The ``Content-Length`` of the answer, or None."""
    value = (answer.header("content-length") or "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None


def serves_anything(control: Answer | None) -> bool:
    """Whether a repository name made up at random was served, by something that does not know the API.

    A registry may list a repository that does not exist as one without tags.
    """
    if control is None or control.status != 200:
        return False
    try:
        body = json.loads(control.body_excerpt)
    except (ValueError, RecursionError):
        return True
    name = urlsplit(control.url).path.removeprefix("/v2/").removesuffix("/tags/list")
    return not (isinstance(body, dict) and body.get("name") == name and "tags" in body)


def looks_like_registry(ping: Ping) -> bool:
    """Whether the answer is one that a registry gives at ``/v2/`` (OCI distribution-spec, end-1).

    The ``Docker-*`` headers are optional there, so their absence proves nothing.
    """
    answer = ping.answer
    if answer is None:
        return False
    if is_registry_s(answer):
        return answer.status != 404
    if answer.status == 401:
        return not is_html(answer) or answer.header("www-authenticate") is not None
    if answer.status == 200:
        return not is_html(answer) and not serves_anything(ping.control)
    return False


def _media_type(answer: Answer) -> str:
    return (answer.header("content-type") or "").partition(";")[0].strip().lower()
