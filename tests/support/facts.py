"""Facts for tests of rules, with everything that does not matter to the test filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from regdoctor.facts import Answer, Endpoint, Role
from regdoctor.producer import producer_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
REGISTRY_HEADERS: Mapping[str, str] = {"Docker-Distribution-Api-Version": "registry/2.0"}


def endpoint(
    role: Role = Role.REGISTRY,
    *,
    scheme: str = "https",
    host: str = "reg.test",
    port: int = 443,
    proxy: str | None = None,
) -> Endpoint:
    """A host on the way."""
    return Endpoint(role=role, scheme=scheme, host=host, port=port, path="/v2/", proxy=proxy)


def answer(
    status: int = 200,
    body: str | object = "",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    url: str = "https://reg.test:443/v2/",
    exchange: str = "x1",
    seconds: float = 0.01,
) -> Answer:
    """An HTTP answer; who made it is judged as the client does. A body that is no text is sent as JSON."""
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    text = body if isinstance(body, str) else json.dumps(body)
    if not isinstance(body, str):
        sent.setdefault("content-type", "application/json")
    received = tuple(sent.items())
    return Answer(
        exchange=exchange,
        url=url,
        method=method,
        status=status,
        headers=received,
        body_excerpt=text,
        body_size=len(text),
        body_complete=True,
        sent_at=NOW,
        seconds=seconds,
        producer=producer_of(status, received, text),
    )


def registry_error(status: int, code: str, *, detail: object = None, **changes: str) -> Answer:
    """An error as CNCF distribution answers it."""
    body = {"errors": [{"code": code, "message": code.lower().replace("_", " "), "detail": detail}]}
    return answer(status, body, REGISTRY_HEADERS, **changes)  # type: ignore[arg-type]
