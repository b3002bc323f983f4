"""Error bodies of registries, and what tells them from other servers' pages.

The body is that of the OCI distribution specification 1.1 ("Error Codes"); the meanings add what
distribution 2.8 and 3 do with each code (``registry/api/errcode``, ``registry/api/v2/errors.go``).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from regdoctor.oci.document import InvalidDocument, read_json_object, text_of
from regdoctor.redact import redact_body, redact_json, redact_text

_MAX_BODY: Final = 1024 * 1024
_MAX_ERRORS: Final = 100
_MAX_DETAIL: Final = 2000
_MAX_EXCERPT: Final = 500
_MAX_EXCERPT_INPUT: Final = 64 * 1024

_HTML_START: Final = re.compile(
    rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title|h1|center)\b", re.I | re.S
)

CODE_MEANINGS: Final[dict[str, str]] = {
    "BLOB_UNKNOWN": "the blob does not exist in this repository",
    "BLOB_UPLOAD_INVALID": "the upload cannot be continued, for one because another replica signed its state",
    "BLOB_UPLOAD_UNKNOWN": "the upload does not exist: purged, cancelled, or on a replica with other storage",
    "DENIED": "the account may not do this",
    "DIGEST_INVALID": "the digest is malformed or does not match the bytes",
    "MANIFEST_BLOB_UNKNOWN": "the manifest names a blob that this repository does not have",
    "MANIFEST_INVALID": "the manifest is malformed, too large or of an unsupported type",
    "MANIFEST_UNKNOWN": "no manifest of that tag or digest exists in this repository",
    "MANIFEST_UNVERIFIED": "the signature of a schema 1 manifest cannot be verified",
    "NAME_INVALID": "the repository name breaks the grammar",
    "NAME_UNKNOWN": "the repository does not exist",
    "PAGINATION_NUMBER_INVALID": "the page size asked for is out of range",
    "RANGE_INVALID": "the bytes of an upload do not continue where the last ones ended",
    "SIZE_INVALID": "the length does not match what was announced",
    "TAG_INVALID": "the tag does not match the manifest",
    "TOOMANYREQUESTS": "too many requests, or the pull quota is used up",
    "UNAUTHORIZED": "credentials or a token with the right access are wanted",
    "UNAVAILABLE": "the registry's own health check fails",
    "UNKNOWN": "the registry failed without a code for it; with distribution nearly always its storage",
    "UNSUPPORTED": "the registry is not configured to do this, or never does it",
}
"""What each code of the specification and of distribution means, in words for the reader."""


class RegistryError(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an error body. ``detail`` is JSON text of at most 2000 characters, or empty."""

    code: str
    message: str = ""
    detail: str = ""

    @property
    def meaning(self) -> str | None:
        """What the code means, ``None`` for codes that neither specification nor distribution know."""
        return CODE_MEANINGS.get(self.code)


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What the body of a failed request tells.

    ``is_registry_json`` is true for the ``{"errors": [...]}`` of a registry; a proxy or portal sends
    something else. ``message`` is the text of other JSON answers (``details``, ``message``, ``error`` …),
    as token servers send them. ``excerpt`` is the begin of the body, secrets blanked, at most 500 characters.
    """

    is_registry_json: bool
    errors: tuple[RegistryError, ...] = ()
    message: str | None = None
    looks_like_html: bool = False
    excerpt: str = ""

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes in the order sent."""
        return tuple(error.code for error in self.errors)


def parse_errors(body: bytes, content_type: str | None) -> ErrorBody:
    """Read the body of an error response. Never raises; at most 1 MiB and 100 errors are read.

    ``content_type`` is only a hint: registries label the same JSON differently (ECR says text/plain).
    """
    html = looks_like_html(body, content_type)
    excerpt = redact_body(body[:_MAX_EXCERPT_INPUT], content_type)[:_MAX_EXCERPT]
    try:
        members = read_json_object(body, max_bytes=_MAX_BODY)
    except InvalidDocument:
        return ErrorBody(is_registry_json=False, looks_like_html=html, excerpt=excerpt)
    entries = members.get("errors")
    errors = tuple(_errors(entries)) if isinstance(entries, list) else ()
    return ErrorBody(
        is_registry_json=bool(errors),
        errors=errors,
        message=None if errors else _message(members),
        looks_like_html=False,
        excerpt=excerpt,
    )


def _errors(entries: list[object]) -> list[RegistryError]:
    errors = []
    for entry in entries[:_MAX_ERRORS]:
        if not isinstance(entry, dict) or not isinstance(entry.get("code"), str):
            continue
        detail = entry.get("detail")
        errors.append(
            RegistryError(
                code=str(entry["code"])[:200],
                message=redact_text(text_of(entry.get("message")) or "")[:_MAX_DETAIL],
                detail="" if detail is None else _compact(detail),
            )
        )
    return errors


def _compact(detail: object) -> str:
    return msgspec.json.encode(redact_json(detail)).decode("utf-8", "replace")[:_MAX_DETAIL]


def _message(members: dict[str, object]) -> str | None:
    for name in ("error_description", "details", "detail", "message", "error", "errorMessage"):
        value = members.get(name)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value:
            return redact_text(value)[:_MAX_DETAIL]
    return None


def looks_like_html(body: bytes, content_type: str | None) -> bool:
    """Whether a body is an HTML page, which no registry or token server sends to its clients."""
    if _HTML_START.match(body[:4096]):
        return True
    declared = (content_type or "").partition(";")[0].strip().lower()
    return declared in {"text/html", "application/xhtml+xml"} and body.lstrip()[:1] not in {b"{", b"["}
