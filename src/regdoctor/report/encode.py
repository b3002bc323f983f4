"""Turns facts into plain values that JSON knows."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Final

import msgspec

from regdoctor.report.escape import lines
from regdoctor.secret import Secret, mask_secrets

_LONGEST_TEXT: Final = 300


def plain(value: Any) -> Any:
    """Numbers, texts, lists and dictionaries for any value of a report.

    Bytes become base64, times RFC 3339, paths their text and secrets ``***``. A type that a plug-in's fact
    should not hold becomes its name: it must not cost the reader the report, and its text is not trusted.
    """
    return msgspec.to_builtins(value, str_keys=True, enc_hook=_foreign)


def _foreign(value: object) -> str:
    if isinstance(value, Secret):
        return mask_secrets(value)
    if isinstance(value, PurePath):
        return str(value)
    return f"<{type(value).__name__}>"


def indented(value: Any) -> list[str]:
    """A fact as the safe lines of indented JSON, long texts cut, for people."""
    text = msgspec.json.format(msgspec.json.encode(_shortened(plain(value))), indent=2).decode("utf-8")
    return lines(text, len(text))


def without_surrogates(text: str) -> str:
    """Escapes lone surrogates: file names that are not UTF-8 hold them (PEP 383), and UTF-8 cannot."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        text = without_surrogates(value)
        if len(text) <= _LONGEST_TEXT:
            return text
        return f"{text[:_LONGEST_TEXT]}… ({len(text) - _LONGEST_TEXT} more characters in the JSON report)"
    if isinstance(value, dict):
        return {_shortened(key): _shortened(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(each) for each in value]
    return value
