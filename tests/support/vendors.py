"""Recorded answers of registry products (``tests/data/vendors``), each with where it is from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).resolve().parents[1] / "data/vendors/answers.json"


@dataclass(frozen=True)
class RecordedAnswer:
    """What a product answers without a login. ``vendor`` is as regdoctor names it, or None."""

    vendor: str | None
    kind: str
    origin: str
    host: str
    path: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    version: str | None


@dataclass(frozen=True)
class RecordedHealth:
    """What a product's health page says; ``ill`` are the parts that are not healthy."""

    product: str
    healthy: bool
    origin: str
    kind: str
    path: str
    status: int
    body: str
    ill: tuple[str, ...]


def answers() -> list[RecordedAnswer]:
    """Every recorded answer to a first request."""
    return [
        RecordedAnswer(**(entry | {"headers": tuple((name, value) for name, value in entry["headers"])}))
        for entry in json.loads(_FILE.read_text())["answers"]
    ]


def health_pages() -> list[RecordedHealth]:
    """Every recorded health page."""
    return [
        RecordedHealth(**(entry | {"ill": tuple(entry["ill"])}))
        for entry in json.loads(_FILE.read_text())["health"]
    ]
