"""What is said of an image: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from regdoctor.api import (
    Answer,
    BlobLook,
    Blobs,
    Certainty,
    ChildLook,
    Draft,
    Failure,
    FailureKind,
    IndexChildren,
    ManifestContent,
    ManifestLook,
    Repositories,
    Role,
    Settings,
    Tags,
    Target,
)
from regdoctor.checks.image import rules
from regdoctor.oci.manifest import Descriptor, Index, Manifest
from regdoctor.oci.platform import Platform
from regdoctor.oci.reference import parse_target
from tests.support.facts import REGISTRY_HEADERS, answer, endpoint, registry_error

TARGET = parse_target("reg.test/team/app:1.0")
BY_DIGEST = parse_target(f"reg.test/team/app@sha256:{'a' * 64}")
URL = "https://reg.test:443/v2/team/app/manifests/1.0"
UNKNOWN = registry_error(404, "MANIFEST_UNKNOWN", detail={"Tag": "1.0"})


def codes(drafts: Iterable[Draft]) -> list[str]:
    return [draft.code for draft in drafts]


def look(answered: Answer | None = UNKNOWN, content: ManifestContent | None = None) -> ManifestLook:
    return ManifestLook(url=URL, answer=answered, content=content)


def tags(*names: str, complete: bool = True, status: int = 200) -> Tags:
    listed = answer(status, {}, REGISTRY_HEADERS)
    return Tags(
        url="https://reg.test:443/v2/team/app/tags/list", answer=listed, tags=names, complete=complete
    )


def digest(character: str) -> str:
    return f"sha256:{character * 64}"


def descriptor(character: str, platform: str | None = None, size: int = 10) -> Descriptor:
    return Descriptor(
        media_type="application/vnd.oci.image.manifest.v1+json",
        digest=digest(character),
        size=size,
        platform=Platform.parse(platform) if platform else None,
    )


IMAGE = ManifestContent(
    digest=digest("1"),
    size=500,
    document=Manifest(
        media_type="application/vnd.oci.image.manifest.v1+json",
        config=descriptor("c"),
        layers=(descriptor("d"), descriptor("e")),
    ),
)


def index(*platforms: str) -> ManifestContent:
    entries = tuple(descriptor(str(number), platform) for number, platform in enumerate(platforms))
    document = Index(media_type="application/vnd.oci.image.index.v1+json", manifests=entries)
    return ManifestContent(digest=digest("f"), size=900, document=document)


def blob(character: str, answered: Answer | None, **changes: object) -> BlobLook:
    values: dict[str, object] = {
        "descriptor": descriptor(character),
        "role": "layer",
        "manifest": digest("1"),
    }
    return BlobLook(**(values | {"answer": answered} | changes))  # type: ignore[arg-type]


class TestNotFound:
    def test_a_tag_that_the_full_list_lacks_is_missing_for_certain(self) -> None:
        (draft,) = rules.not_found(look(), TARGET, tags("1.1", "2.0"), None)

        assert draft.code == "image/tag-not-found"
        assert draft.certainty is Certainty.PROVEN
        assert "1.1" in draft.detail

    def test_a_list_that_broke_off_leaves_it_likely(self) -> None:
        (draft,) = rules.not_found(look(), TARGET, tags("2.0", complete=False), None)

        assert draft.certainty is Certainty.LIKELY

    def test_without_a_list_it_is_likely(self) -> None:
        (draft,) = rules.not_found(look(), TARGET, tags(status=401), None)

        assert (draft.code, draft.certainty) == ("image/tag-not-found", Certainty.LIKELY)

    def test_the_near_tag_is_offered_as_a_fix(self) -> None:
        (draft,) = rules.not_found(look(), TARGET, tags("1.0.1", "nightly"), None)

        assert any("team/app:1.0.1" in line for line in draft.fix)

    def test_a_tag_that_is_listed_has_lost_its_manifest(self) -> None:
        assert codes(rules.not_found(look(), TARGET, tags("1.0"), None)) == ["image/manifest-gone"]

    def test_a_digest_in_a_repository_that_exists_is_missing(self) -> None:
        assert codes(rules.not_found(look(), BY_DIGEST, tags("1.0"), None)) == ["image/digest-not-found"]

    @pytest.mark.parametrize("target", [TARGET, BY_DIGEST])
    def test_a_repository_without_a_list_of_tags_is_missing(self, target: Target) -> None:
        known = Repositories(url="u", answer=answer(200), names=("team/apps", "other"), complete=True)
        (draft,) = rules.not_found(look(), target, tags(status=404), known)

        assert (draft.code, draft.certainty) == ("image/repository-not-found", Certainty.PROVEN)
        assert "team/apps" in draft.detail

    def test_a_404_of_a_web_server_says_nothing_about_the_image(self) -> None:
        page = answer(404, "<html>not here</html>", {"Server": "nginx", "Content-Type": "text/html"})

        assert codes(rules.not_found(look(page), TARGET, None, None)) == []

    @pytest.mark.parametrize("status", [200, 401, 403, 429, 500, 503])
    def test_other_answers_are_no_matter_of_names(self, status: int) -> None:
        assert codes(rules.not_found(look(answer(status)), TARGET, None, None)) == []


class TestPlatform:
    def said(self, content: ManifestContent, *wanted: str) -> list[Draft]:
        children = IndexChildren(wanted=wanted, explicit=True, children=())
        return list(
            rules.platform_missing(look(answer(200), content), children, None, Settings(platforms=wanted))
        )

    def test_a_platform_that_is_listed_is_there(self) -> None:
        assert self.said(index("linux/amd64", "linux/arm64/v8"), "linux/amd64", "linux/arm64") == []

    def test_a_platform_that_is_not_listed_is_missing(self) -> None:
        (draft,) = self.said(index("linux/amd64", "linux/arm64"), "linux/s390x")

        assert draft.code == "image/platform-missing"
        assert "linux/amd64, linux/arm64" in draft.detail

    def test_an_older_variant_of_arm_serves_a_newer_one(self) -> None:
        assert self.said(index("linux/arm/v6"), "linux/arm/v7") == []

    def test_every_missing_platform_is_named(self) -> None:
        assert len(self.said(index("linux/amd64"), "linux/s390x", "linux/ppc64le")) == 2

    def test_a_single_image_is_judged_by_its_config(self) -> None:
        config = blob("c", answer(200), role="config", platform="linux/arm64")
        blobs = Blobs(blobs=(config,))
        asked = Settings(platforms=("linux/amd64",))

        assert codes(rules.platform_missing(look(answer(200), IMAGE), None, blobs, asked)) == [
            "image/platform-missing"
        ]
        same = Settings(platforms=("linux/arm64",))
        assert codes(rules.platform_missing(look(answer(200), IMAGE), None, blobs, same)) == []

    def test_nobody_asked_for_a_platform_of_a_single_image(self) -> None:
        blobs = Blobs(blobs=(blob("c", answer(200), role="config", platform="linux/s390x"),))

        assert codes(rules.platform_missing(look(answer(200), IMAGE), None, blobs, Settings())) == []


class TestParts:
    def test_a_child_that_is_gone_is_named_by_its_platform(self) -> None:
        gone = ChildLook(
            descriptor=descriptor("1", "linux/arm64"), answer=registry_error(404, "MANIFEST_UNKNOWN")
        )
        there = ChildLook(descriptor=descriptor("2", "linux/amd64"), answer=answer(200))
        (draft,) = rules.child_missing(IndexChildren(wanted=(), explicit=False, children=(there, gone)))

        assert "linux/arm64" in draft.detail
        assert "linux/amd64" not in draft.detail

    def test_a_blob_that_is_gone_is_named(self) -> None:
        blobs = Blobs(blobs=(blob("d", answer(200)), blob("e", registry_error(404, "BLOB_UNKNOWN"))))
        (draft,) = rules.blob_missing(blobs)

        assert digest("e") in draft.detail
        assert digest("d") not in draft.detail

    def test_a_redirected_blob_is_judged_by_the_host_that_holds_it(self) -> None:
        moved = answer(307)
        gone = blob("d", moved, redirect="https://blobs.test:443", followed=answer(404))
        there = blob("e", moved, redirect="https://blobs.test:443", followed=answer(200))

        assert len(list(rules.blob_missing(Blobs(blobs=(gone, there))))) == 1

    def test_another_length_is_corrupt(self) -> None:
        shorter = answer(200, headers={"Content-Length": "3"})

        assert codes(rules.blob_corrupt(Blobs(blobs=(blob("d", shorter),)))) == ["image/blob-corrupt"]

    def test_the_right_length_is_no_finding(self) -> None:
        right = answer(200, headers={"Content-Length": "10"})

        assert codes(rules.blob_corrupt(Blobs(blobs=(blob("d", right), blob("e", answer(200)))))) == []

    def test_other_bytes_are_corrupt(self) -> None:
        other = blob("c", answer(200), role="config", digest_seen=digest("9"))

        assert codes(rules.blob_corrupt(Blobs(blobs=(other,)))) == ["image/blob-corrupt"]

    def test_a_blob_host_that_fails_is_named_once_at_that_host(self) -> None:
        failure = Failure(
            kind=FailureKind.CONNECTION_REFUSED, message="blobs.test:443 refused the connection"
        )
        failed = tuple(
            blob(character, answer(307), redirect="https://blobs.test:443", followed_failure=failure)
            for character in "de"
        )
        blobs = Blobs(blobs=failed)

        assert len(list(rules.blob_host(endpoint(Role.BLOB_HOST, host="blobs.test"), blobs))) == 1
        assert list(rules.blob_host(endpoint(), blobs)) == []
