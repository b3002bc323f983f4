"""Health pages of products, read by what they say and not by their status. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from regdoctor.api import Component, Vendor

PAGES: Mapping[Vendor, str] = {
    Vendor.HARBOR: "/api/v2.0/health",
    Vendor.QUAY: "/health/instance",
    Vendor.GITEA: "/api/healthz",
}
"""Where products say how their parts are, to anybody (Harbor API v2.0; Quay ``health``; Gitea "
"``healthcheck``)."""

LONGEST = 256 * 1024
_MOST = 50
_LONGEST_MESSAGE = 300


def read(product: Vendor, body: bytes) -> tuple[Component, ...] | None:
    """The components that a product's health page lists; None where the body is not that page."""
    try:
        page = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(page, dict):
        return None
    reader = {Vendor.HARBOR: _harbor, Vendor.QUAY: _quay, Vendor.GITEA: _gitea}[product]
    components = reader(page)
    return tuple(components[:_MOST]) if components else None


def _harbor(page: Mapping[str, object]) -> list[Component]:
    """``{"status": "unhealthy", "components": [{"name": "redis", "status": "unhealthy", "error": "…"}]}``."""
    listed = page.get("components")
    return [
        Component(
            name=_text(each.get("name")),
            healthy=each.get("status") == "healthy",
            message=_text(each.get("error")),
        )
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and each.get("status") in ("healthy", "unhealthy") and each.get("name")
    ]


def _quay(page: Mapping[str, object]) -> list[Component]:
    """``{"data": {"services": {"database": true, "redis": false}}, "status_code": 503}``."""
    data = page.get("data")
    data = data if isinstance(data, dict) else {}
    services, expanded = data.get("services"), data.get("services_expanded")
    return [
        Component(name=str(name), healthy=healthy, message=_failure(expanded, name))
        for name, healthy in (services.items() if isinstance(services, dict) else ())
        if isinstance(healthy, bool)
    ]


def _failure(expanded: object, name: object) -> str:
    """What Quay adds for administrators."""
    entry = expanded.get(name) if isinstance(expanded, dict) else None
    return _text(entry.get("failure")) if isinstance(entry, dict) else ""


def _gitea(page: Mapping[str, object]) -> list[Component]:
    """``{"status": "fail", "checks": {"database:ping": [{"status": "fail", "output": "…"}]}}``."""
    checks = page.get("checks")
    return [
        Component(
            name=str(name), healthy=each.get("status") in ("pass", "warn"), message=_text(each.get("output"))
        )
        for name, results in (checks.items() if isinstance(checks, dict) else ())
        for each in (results if isinstance(results, list) else ())
        if isinstance(each, dict) and each.get("status") in ("pass", "warn", "fail")
    ]


def _text(value: object) -> str:
    return value[:_LONGEST_MESSAGE] if isinstance(value, str) else ""
