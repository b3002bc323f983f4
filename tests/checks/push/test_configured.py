"""What a reverse proxy's configuration says about the methods and paths of uploads: facts in, findings out."""

from __future__ import annotations

from typing import Any

import pytest

from regdoctor.api import Certainty, Draft, Each, Endpoint, FileKind, ProxyConfig, Severity
from regdoctor.checks.push import rules
from regdoctor.facts import ProxyListener, ProxyRoute, RefusedMethods, ReverseProxySetting
from tests.checks.push.test_rules import REGISTRIES, bad, by_nginx, refused_at, session

PLACE = "/etc/nginx/nginx.conf:7:5"
START = "/v2/team/app/blobs/uploads/"
NOBODY: Each[Endpoint] = Each({})


def config(**changes: Any) -> ProxyConfig:
    route = ProxyRoute(
        place="/etc/nginx/nginx.conf:6:3",
        block="location /",
        names=changes.pop("names", ("reg.test",)),
        listeners=(ProxyListener(port=443, tls=True),),
        **changes,
    )
    return ProxyConfig(path="/etc/nginx/nginx.conf", kind=FileKind.NGINX, routes=(route,))


def refusing(*methods: str, **changes: Any) -> ProxyConfig:
    return config(
        refused=RefusedMethods(name="limit_except", value="GET POST", place=PLACE, methods=methods), **changes
    )


def changing(sent: str | None) -> ProxyConfig:
    change = ReverseProxySetting(name="proxy_pass", value="http://127.0.0.1:5000/", place=PLACE)
    return config(sent_path=sent, path_change=change)


def drafts_of(found: ProxyConfig, registries: Each[Endpoint] = NOBODY) -> list[Draft]:
    return [
        *rules.methods_configured(found, None, registries),
        *rules.path_configured(found, None, registries),
    ]


class TestMethods:
    def test_a_filter_that_lets_a_part_of_an_upload_through(self) -> None:
        (draft,) = drafts_of(refusing("PATCH", "PUT", "DELETE"))

        assert (draft.code, draft.severity, draft.certainty) == (
            "push/method-blocked",
            None,
            Certainty.LIKELY,
        )
        assert draft.evidence == (PLACE,)
        assert "refuses PATCH and PUT" in draft.detail

    def test_one_for_pulls_only_is_no_fault(self) -> None:
        (draft,) = drafts_of(refusing("POST", "PATCH", "PUT", "DELETE"))

        assert draft.severity is Severity.INFO

    def test_pulls_need_head(self) -> None:
        (draft,) = drafts_of(refusing("HEAD", "POST", "PATCH", "PUT", "DELETE"))

        assert draft.severity is None

    def test_who_may_not_delete_may_push(self) -> None:
        assert drafts_of(refusing("DELETE")) == []

    def test_where_only_the_path_speaks_for_a_registry_it_is_possible(self) -> None:
        (draft,) = drafts_of(refusing("PATCH", names=("www.test",), path="/v2/"))

        assert (draft.severity, draft.certainty) == (Severity.WARNING, Certainty.POSSIBLE)

    def test_an_upload_that_was_tried_tells_of_itself(self) -> None:
        found = refusing("PATCH")

        assert list(rules.methods_configured(found, session(), REGISTRIES)) == []
        assert list(rules.path_configured(changing("/x"), session(), REGISTRIES)) == []

    def test_and_names_the_line(self) -> None:
        refused = refused_at("chunk", by_nginx("PATCH", 403))
        (draft,) = rules.methods(refused, None, REGISTRIES, refusing("PATCH"))

        assert draft.evidence[0] == PLACE
        assert f"{PLACE}: limit_except GET POST" in draft.detail
        (other,) = rules.methods(refused, None, REGISTRIES, refusing("DELETE"))
        assert PLACE not in other.evidence


class TestPaths:
    @pytest.mark.parametrize(
        "sent", ["/team/app/blobs/uploads/", START.rstrip("/"), "/v2team/app/blobs/uploads/", "/"]
    )
    def test_a_path_that_is_none_of_the_api(self, sent: str) -> None:
        (draft,) = drafts_of(changing(sent))

        assert (draft.code, draft.evidence) == ("push/path-rewritten", (PLACE,))
        assert sent in draft.detail

    @pytest.mark.parametrize(
        "sent",
        [
            None,
            START,
            "/artifactory/api/docker/local/v2/team/app/blobs/uploads/",
            "/v2/local/team/app/blobs/uploads/",
        ],
    )
    def test_a_path_that_another_product_may_take(self, sent: str | None) -> None:
        assert drafts_of(changing(sent)) == []

    def test_a_lost_query(self) -> None:
        loss = ReverseProxySetting(name="proxy_pass", value="http://127.0.0.1:5000$uri", place=PLACE)
        (draft,) = drafts_of(config(sent_path=START, query_loss=loss))

        assert (draft.code, draft.evidence) == ("push/path-rewritten", (PLACE,))
        assert "_state" in draft.detail

    def test_an_upload_that_was_lost_names_the_line(self) -> None:
        lost = refused_at("chunk", bad("PATCH", 404, "BLOB_UPLOAD_INVALID"), statuses=())
        (draft,) = rules.path(lost, REGISTRIES, changing("/team/app/blobs/uploads/"))

        assert draft.evidence[0] == PLACE
