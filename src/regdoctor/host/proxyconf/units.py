"""Sizes and times as the configurations of proxies write them."""

from __future__ import annotations

import re
from typing import Final

_NGINX_SIZE: Final = re.compile(r"(\d{1,15})([kKmMgG]?)")
_BINARY: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_NGINX_TIME: Final = re.compile(
    r"(?:(\d{1,9})y)?\s*(?:(\d{1,9})M)?\s*(?:(\d{1,9})w)?\s*(?:(\d{1,9})d)?\s*(?:(\d{1,9})h)?\s*(?:(\d{1,9})m)?\s*"
    r"(?:(\d{1,12})(?:s|(?!\d|ms)))?\s*(?:(\d{1,12})ms)?"
)
_NGINX_UNITS: Final = (365 * 86400, 30 * 86400, 7 * 86400, 86400, 3600, 60, 1, 0.001)
_HAPROXY_TIME: Final = re.compile(r"(\d{1,15})(us|ms|s|m|h|d)?")
_HAPROXY_UNITS: Final = {"us": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_GO_PART: Final = re.compile(r"(\d{1,15}(?:\.\d{0,9})?|\.\d{1,9})(ns|us|µs|μs|ms|s|m|h|d)")
_GO_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, **_HAPROXY_UNITS}
_HUMAN: Final = re.compile(r"(\d{1,15}(?:[.,]\d{0,9})?)\s*([kmgtpe]?i?b?)", re.IGNORECASE)
_HUMAN_UNITS: Final = {
    letter: (1000**power, 1024**power) for power, letter in enumerate(("", "k", "m", "g", "t", "p", "e"))
}


def nginx_size(text: str) -> int | None:
    """Bytes of nginx's ``8m`` (``ngx_parse_offset``); None for what is none."""
    match = _NGINX_SIZE.fullmatch(text)
    return int(match[1]) * _BINARY[match[2].lower()] if match else None


def nginx_seconds(text: str) -> float | None:
    """Seconds of nginx's ``1m30s`` (``ngx_parse_time``); a bare number is seconds; None for what is none."""
    match = _NGINX_TIME.fullmatch(text.strip()) if text.strip() else None
    if match is None:
        return None
    return sum(
        int(number) * unit for number, unit in zip(match.groups(), _NGINX_UNITS, strict=True) if number
    )


def haproxy_seconds(text: str) -> float | None:
    """Seconds of haproxy's ``50s``; a bare number is milliseconds; None for what is none."""
    match = _HAPROXY_TIME.fullmatch(text)
    return int(match[1]) * _HAPROXY_UNITS[match[2] or "ms"] if match else None


def haproxy_size(text: str) -> int | None:
    """Bytes of haproxy's sizes, with its suffixes of powers of 1024."""
    return nginx_size(text)


def go_seconds(text: str) -> float | None:
    """Seconds of Go's ``1m30s`` (``time.ParseDuration``, and Caddy's ``d``); None for what is none."""
    text = text.strip()
    sign = -1.0 if text.startswith("-") else 1.0
    text = text.lstrip("+-")
    if text == "0":
        return 0.0
    position, seconds = 0, 0.0
    while position < len(text):
        match = _GO_PART.match(text, position)
        if match is None:
            return None
        seconds += float(match[1]) * _GO_UNITS[match[2]]
        position = match.end()
    return sign * seconds if text else None


def traefik_seconds(text: str) -> float | None:
    """Seconds of Traefik's durations: Go's, and a bare number is seconds (``ptypes.Duration``)."""
    return float(text) if re.fullmatch(r"\d{1,12}", text.strip()) else go_seconds(text)


def human_size(text: str) -> int | None:
    """Bytes of Caddy's ``10MB`` and ``10MiB`` (go-humanize ``ParseBytes``); None for what is none."""
    match = _HUMAN.fullmatch(text.strip())
    if match is None:
        return None
    unit = match[2].lower().rstrip("b")
    decimal, binary = _HUMAN_UNITS[unit.rstrip("i")]
    return int(float(match[1].replace(",", "")) * (binary if unit.endswith("i") else decimal))
