"""A registry that lets one in and then keeps the content back."""

from __future__ import annotations

import pytest

from regdoctor.api import (
    Answer,
    BlobLook,
    Blobs,
    Certainty,
    Descriptor,
    Draft,
    Each,
    ManifestContent,
    ManifestLook,
    PullAuthorization,
    Secret,
)
from regdoctor.checks.auth import rules
from regdoctor.oci.manifest import OCI_MANIFEST, Manifest
from regdoctor.oci.reference import parse_target
from tests.support.facts import answer, endpoint, registry_error

DIGEST = f"sha256:{'a' * 64}"
ANONYMOUS = PullAuthorization(kind="none", header=None, username=None)
LOGGED_IN = PullAuthorization(kind="basic", header=Secret("Basic x"), username="alice")
READ = ManifestContent(digest=DIGEST, size=9, document=Manifest(media_type=OCI_MANIFEST))
DENIED = registry_error(403, "DENIED")


def said(
    manifest: Answer,
    blob: Answer | None = None,
    *,
    authorization: PullAuthorization = ANONYMOUS,
    redirect: str | None = None,
) -> list[Draft]:
    look = ManifestLook(url=manifest.url, answer=manifest, content=READ if manifest.status == 200 else None)
    descriptor = Descriptor(media_type="application/octet-stream", digest=DIGEST, size=9)
    seen = BlobLook(descriptor=descriptor, role="layer", manifest=DIGEST, answer=blob, redirect=redirect)
    return list(
        rules.content_denied(
            parse_target("reg.test/team/app:1.0"),
            authorization,
            look,
            Blobs(blobs=(seen,)) if blob is not None else None,
            Each({endpoint(): endpoint()}),
        )
    )


def test_an_image_that_is_refused_though_no_login_was_asked_for() -> None:
    (draft,) = said(DENIED)

    assert (draft.code, draft.certainty) == ("auth/scope-denied", Certainty.LIKELY)
    assert draft.endpoint == endpoint()


def test_a_registry_that_then_asks_for_a_login_is_judged_by_that() -> None:
    assert said(answer(401)) == []


def test_with_a_login_it_is_judged_with_the_token() -> None:
    assert said(DENIED, authorization=LOGGED_IN) == []


@pytest.mark.parametrize("blob", [DENIED, answer(401)])
def test_layers_that_are_refused_while_the_manifest_is_given(blob: Answer) -> None:
    (draft,) = said(answer(200), blob, authorization=LOGGED_IN)

    assert draft.code == "auth/scope-denied"
    assert "gave the manifest" in draft.detail


@pytest.mark.parametrize("status", [200, 206, 307, 404, 429, 500])
def test_other_answers_are_no_matter_of_rights(status: int) -> None:
    assert said(answer(200), answer(status)) == []
    assert status == 200 or said(answer(status)) == []


def test_a_page_is_a_firewalls() -> None:
    page = answer(403, "<html>no</html>", {"Content-Type": "text/html"})

    assert said(page) == []
    assert said(answer(200), page) == []


def test_what_another_host_refuses_is_its_own_matter() -> None:
    assert said(answer(200), DENIED, redirect="https://blobs.test:443") == []
