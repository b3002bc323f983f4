"""The JSON report, ``regdoctor.report/1``; ``report.schema.json`` beside this file describes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from regdoctor.report.encode import plain, without_surrogates

if TYPE_CHECKING:
    from regdoctor.model import Report
    from regdoctor.report.options import RenderOptions

_UNSAFE: Final = re.compile(
    "[\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\U000e0000-\\U000e007f]"
)
"""What JSON leaves as it is and a terminal obeys or hides: DEL, C1 controls, bidirectional and zero-width
format characters, tags."""


def render(report: Report, options: RenderOptions) -> bytes:
    """The whole report, indented by two, as UTF-8. ``options`` change nothing: readers get every field."""
    del options
    document = plain(report)
    for target in document["targets"]:
        del target["tables"]
        for exchange in target["exchanges"]:
            for headers in ("request_headers", "response_headers"):
                exchange[headers] = _by_name(exchange[headers])
    return encode(document)


def encode(document: Any) -> bytes:
    """A document of plain values as JSON text that is also safe on a terminal."""
    try:
        text = msgspec.json.encode(document)
    except UnicodeEncodeError:
        text = msgspec.json.encode(_without_surrogates(document))
    safe = _UNSAFE.sub(_escape, text.decode("utf-8"))
    return msgspec.json.format(safe, indent=2).encode("utf-8") + b"\n"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(each) for each in value]
    return value


def _by_name(headers: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Header fields as name → value, repeated ones as name → list; case does not matter (RFC 9110, 5.1)."""
    first: dict[str, str] = {}
    fields: dict[str, str | list[str]] = {}
    for name, value in headers:
        key = first.setdefault(name.lower(), name)
        before = fields.get(key)
        if before is None:
            fields[key] = value
        else:
            fields[key] = [*([before] if isinstance(before, str) else before), value]
    return fields


def _escape(match: re.Match[str]) -> str:
    """JSON's escapes of one character, as two for a character beyond U+FFFF (RFC 8259 section 7)."""
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
