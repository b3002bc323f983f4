"""Reading of JSON that a server or a file supplies: bounded in size and depth, never raising anything odd."""

from __future__ import annotations

from typing import Final

import msgspec

_MAX_DEPTH: Final = 64


class InvalidDocument(ValueError):  # noqa: N818  (bytes that are not the document expected)
    """The bytes are no JSON document within the bounds. The text is one plain sentence, without contents."""


def read_json(body: bytes | str, *, max_bytes: int) -> object:
    """Decode JSON as Go's ``encoding/json`` does: the last of repeated keys counts, bad UTF-8 becomes U+FFFD.

    ``max_bytes`` bounds the input; nesting is bounded to 64 levels. Returns builtin types.

    Raises ``InvalidDocument``.
    """
    if len(body) > max_bytes:
        raise InvalidDocument(f"it is longer than {max_bytes} bytes")
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    if not text.strip():
        raise InvalidDocument("it is empty")
    try:
        value = msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise InvalidDocument(f"it is not JSON: {error}") from None
    except (RecursionError, UnicodeError):
        raise InvalidDocument("it is not JSON that can be read") from None
    if _depth(value) > _MAX_DEPTH:
        raise InvalidDocument(f"it is nested deeper than {_MAX_DEPTH} levels")
    return value


def read_json_object(body: bytes | str, *, max_bytes: int) -> dict[str, object]:
    """Decode JSON whose outermost value is an object; otherwise as ``read_json``.

    Raises ``InvalidDocument``.
    """
    value = read_json(body, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise InvalidDocument("it is JSON, but not an object")
    return value


def _depth(value: object) -> int:
    depth = 0
    level = [value]
    while level and depth <= _MAX_DEPTH:
        depth += 1
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
        level = below
    return depth


def text_of(value: object) -> str | None:
    """Return the value where it is a string, else ``None``."""
    return value if isinstance(value, str) else None


def integer_of(value: object) -> int | None:
    """Return the value where it is an integer (``true`` is none), else ``None``."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
