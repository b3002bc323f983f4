"""Health pages are read by what they say."""

from __future__ import annotations

import pytest

from regdoctor.api import Vendor
from regdoctor.checks.vendor import health
from tests.support.vendors import RecordedHealth, health_pages


@pytest.mark.parametrize(
    "page", health_pages(), ids=lambda each: f"{each.product} {each.status} {each.healthy}"
)
def test_a_recorded_page_is_read(page: RecordedHealth) -> None:
    components = health.read(Vendor(page.product), page.body.encode())

    assert health.PAGES[Vendor(page.product)] == page.path
    assert components is not None
    assert tuple(each.name for each in components if not each.healthy) == page.ill
    assert all(each.healthy for each in components) == page.healthy


def test_the_message_of_a_component_is_kept() -> None:
    (page,) = [each for each in health_pages() if each.product == "Harbor" and not each.healthy]
    components = health.read(Vendor.HARBOR, page.body.encode()) or ()

    assert "lookup postgresql" in next(each.message for each in components if not each.healthy)


def test_what_quay_adds_for_administrators_is_kept() -> None:
    expanded = b'"services_expanded": {"redis": {"status": false, "failure": "no"}}'
    body = b'{"data": {"services": {"redis": false}, ' + expanded + b"}}"

    assert [each.message for each in health.read(Vendor.QUAY, body) or ()] == ["no"]


@pytest.mark.parametrize("product", list(health.PAGES))
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"status": "ok"}',
        b'{"components": {}, "checks": [], "data": 1}',
        b'{"components": [1, {"name": 3, "status": "new"}]}',
        b'{"checks": {"a": [1], "b": 2}, "data": {"services": {"a": 1}}}',
        b"[" * 100_000,
    ],
)
def test_other_pages_are_none(product: Vendor, body: bytes) -> None:
    assert health.read(product, body) is None


def test_endless_lists_and_messages_are_cut() -> None:
    entry = '{"name":"a","status":"unhealthy","error":"' + "x" * 1000 + '"}'
    components = health.read(Vendor.HARBOR, f'{{"components":[{",".join([entry] * 1000)}]}}'.encode()) or ()

    assert len(components) == 50
    assert len(components[0].message) == 300
