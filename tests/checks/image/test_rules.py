"""What is said of an image: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from regdoctor.api import (
    Answer,
    BlobLook,
    Blobs,
    Certainty,
    ChildLook,
    Credentials,
    Descriptor,
    Download,
    Draft,
    Each,
    Failure,
    FailureKind,
    HostLookalike,
    IndexChildren,
    LibraryLook,
    ManifestContent,
    ManifestLook,
    Ping,
    Product,
    Refusal,
    Repositories,
    Role,
    Settings,
    SuspectedSecret,
    Tags,
    Target,
    TokenExchange,
    Upstream,
    UpstreamLook,
    Vendor,
    VerifiedBlob,
    VerifiedBlobs,
)
from regdoctor.checks.image import rules
from regdoctor.oci.manifest import Artifact, Document, Index, Manifest, Schema1, Unreadable
from regdoctor.oci.platform import Platform
from regdoctor.oci.reference import InvalidReference, defective_target, parse_reference, parse_target
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
        config=replace(descriptor("c"), media_type="application/vnd.oci.image.config.v1+json"),
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


def missing(
    listed: Tags | None = None,
    repositories: Repositories | None = None,
    *,
    answered: Answer = UNKNOWN,
    target: Target = TARGET,
    product: Product | None = None,
    upstream: Upstream | None = None,
) -> list[Draft]:
    """What is said of a manifest that was answered 404."""
    return list(rules.not_found(look(answered), target, listed, repositories, product, upstream))


class TestNotFound:
    def test_a_tag_that_the_full_list_lacks_is_missing_for_certain(self) -> None:
        (draft,) = missing(tags("1.1", "2.0"))

        assert draft.code == "image/tag-not-found"
        assert draft.certainty is Certainty.PROVEN
        assert "1.1" in draft.detail

    def test_a_list_that_broke_off_leaves_it_likely(self) -> None:
        (draft,) = missing(tags("2.0", complete=False))

        assert draft.certainty is Certainty.LIKELY

    def test_without_a_list_it_is_likely(self) -> None:
        (draft,) = missing(tags(status=401))

        assert (draft.code, draft.certainty) == ("image/tag-not-found", Certainty.LIKELY)

    def test_the_near_tag_is_offered_as_a_fix(self) -> None:
        (draft,) = missing(tags("1.0.1", "nightly"))

        assert any("team/app:1.0.1" in line for line in draft.fix)

    def test_a_tag_that_is_listed_has_lost_its_manifest(self) -> None:
        assert codes(missing(tags("1.0"))) == ["image/manifest-gone"]

    def test_a_digest_in_a_repository_that_exists_is_missing(self) -> None:
        assert codes(missing(tags("1.0"), target=BY_DIGEST)) == ["image/digest-not-found"]

    @pytest.mark.parametrize("target", [TARGET, BY_DIGEST])
    def test_a_repository_without_a_list_of_tags_is_missing(self, target: Target) -> None:
        known = Repositories(url="u", answer=answer(200), names=("team/apps", "other"), complete=True)
        (draft,) = missing(tags(status=404), known, target=target)

        assert (draft.code, draft.certainty) == ("image/repository-not-found", Certainty.PROVEN)
        assert "team/apps" in draft.detail

    def test_a_404_of_a_web_server_says_nothing_about_the_image(self) -> None:
        page = answer(404, "<html>not here</html>", {"Server": "nginx", "Content-Type": "text/html"})

        assert codes(missing(answered=page)) == []

    def test_a_404_in_no_registry_s_form_is_said_all_the_same(self) -> None:
        bare = answer(404, {"message": "no such thing"})
        (draft,) = missing(answered=bare)

        assert (draft.code, draft.certainty) == ("image/tag-not-found", Certainty.LIKELY)

    @pytest.mark.parametrize("status", [200, 401, 403, 429, 500, 503])
    def test_other_answers_are_no_matter_of_names(self, status: int) -> None:
        assert codes(missing(answered=answer(status))) == []


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
        (draft,) = rules.blob_corrupt(Blobs(blobs=(blob("d", answer(200), length=3),)))

        assert draft.code == "image/blob-corrupt"
        assert "3 bytes" in draft.detail

    def test_a_file_without_content_is_called_empty(self) -> None:
        (draft,) = rules.blob_corrupt(Blobs(blobs=(blob("d", answer(416), length=0),)))

        assert "the file is empty" in draft.detail

    def test_the_right_length_or_none_is_no_finding(self) -> None:
        blobs = Blobs(blobs=(blob("d", answer(200), length=10), blob("e", answer(200))))

        assert codes(rules.blob_corrupt(blobs)) == []

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

    def test_content_that_is_announced_and_never_comes_is_missing_and_not_corrupt(self) -> None:
        promised = replace(answer(206, method="GET"), body_size=0, body_complete=False)
        blobs = Blobs(blobs=(blob("d", promised, head=answer(200, method="HEAD")),))
        (draft,) = rules.blob_missing(blobs)

        assert draft.certainty is Certainty.LIKELY
        assert "remembers" in draft.detail
        assert codes(rules.blob_corrupt(blobs)) == []

    def test_a_lost_attestation_is_no_lost_platform(self) -> None:
        gone = ChildLook(
            descriptor=descriptor("1", "unknown/unknown"), answer=registry_error(404, "MANIFEST_UNKNOWN")
        )
        (draft,) = rules.child_missing(IndexChildren(wanted=(), explicit=False, children=(gone,)))

        assert "pulls work" in draft.detail

    def test_a_blob_host_that_refuses_is_named_with_what_it_says(self) -> None:
        denied = answer(403, "<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
        moved = blob("d", answer(307), redirect="https://blobs.test:443", followed=denied)
        (draft,) = rules.blob_host(endpoint(Role.BLOB_HOST, host="blobs.test"), Blobs(blobs=(moved,)))

        assert draft.code == "image/blob-host-unreachable"
        assert "403" in draft.detail

    @pytest.mark.parametrize("status", [200, 206, 404, 416])
    def test_a_blob_host_that_answers_of_the_blob_can_be_used(self, status: int) -> None:
        moved = blob("d", answer(307), redirect="https://blobs.test:443", followed=answer(status))

        assert list(rules.blob_host(endpoint(Role.BLOB_HOST, host="blobs.test"), Blobs(blobs=(moved,)))) == []


class TestVerified:
    def said(self, *downloads: Download) -> list[Draft]:
        blobs = (VerifiedBlob(descriptor=descriptor("d"), downloads=downloads),)
        return list(rules.verified_corrupt(VerifiedBlobs(blobs=blobs)))

    def download(self, character: str | None, size: int = 10) -> Download:
        seen = digest(character) if character is not None else None
        return Download(answer=answer(200), size=size, digest=seen)

    def test_the_right_bytes_are_no_finding(self) -> None:
        assert self.said(self.download("d")) == []

    def test_the_same_wrong_bytes_twice_are_stored_so(self) -> None:
        (draft,) = self.said(self.download("9"), self.download("9"))

        assert (draft.code, draft.certainty) == ("image/blob-corrupt", Certainty.PROVEN)
        assert "twice" in draft.detail

    @pytest.mark.parametrize(("second", "size"), [("d", 10), ("8", 10), (None, 4)])
    def test_bytes_that_vary_are_not_the_storages(self, second: str | None, size: int) -> None:
        assert self.said(self.download("9"), self.download(second, size)) == []

    def test_what_broke_off_is_not_the_storages(self) -> None:
        assert self.said(self.download(None, 4), self.download(None, 4)) == []


class TestManifestBytes:
    def test_other_bytes_than_asked_for_are_corrupt(self) -> None:
        (draft,) = rules.manifest_corrupt(look(answer(200), IMAGE), BY_DIGEST, None)

        assert (draft.code, draft.certainty) == ("image/blob-corrupt", Certainty.LIKELY)

    def test_other_bytes_than_the_header_says_are_corrupt(self) -> None:
        told = answer(200, headers={"Docker-Content-Digest": digest("2")})

        assert codes(rules.manifest_corrupt(look(told, IMAGE), TARGET, None)) == ["image/blob-corrupt"]

    def test_the_header_is_optional(self) -> None:
        assert codes(rules.manifest_corrupt(look(answer(200), IMAGE), TARGET, None)) == []

    def test_an_algorithm_that_was_not_computed_proves_nothing(self) -> None:
        told = answer(200, headers={"Docker-Content-Digest": f"sha512:{'2' * 128}"})

        assert codes(rules.manifest_corrupt(look(told, IMAGE), TARGET, None)) == []

    def test_a_child_with_other_bytes_is_corrupt(self) -> None:
        right = ChildLook(descriptor=descriptor("1"), answer=answer(200), content=IMAGE)
        wrong = ChildLook(descriptor=descriptor("2"), answer=answer(200), content=IMAGE)
        children = IndexChildren(wanted=(), explicit=False, children=(right, wrong))

        assert codes(rules.manifest_corrupt(look(answer(200)), TARGET, children)) == ["image/blob-corrupt"]


class TestInvalidReference:
    def said(self, text: str) -> Draft:
        try:
            parse_reference(text)
        except InvalidReference as error:
            (draft,) = rules.invalid_reference(defective_target(text, error, "pod.yaml:7"))
            return draft
        raise AssertionError(f"{text} is a reference")

    def test_the_offending_character_and_the_place_are_shown(self) -> None:
        draft = self.said("reg.test/Team/app:1.0")

        assert "reg.test/»T«eam/app:1.0" in draft.detail
        assert "at character 10" in draft.detail
        assert draft.evidence == ("pod.yaml:7",)

    def test_the_command_is_safe_to_paste(self) -> None:
        assert self.said("a'; rm -rf ~ #/b").reproduce == """docker pull 'a'"'"'; rm -rf ~ #/b'"""

    def test_a_text_that_ends_too_early_is_shown_whole(self) -> None:
        assert "“reg.test/app:”" in self.said("reg.test/app:").detail

    def test_a_reference_is_none(self) -> None:
        assert list(rules.invalid_reference(TARGET)) == []


class TestLatestTag:
    def said(self, text: str, *, place: str | None = None, profile: str = "client") -> list[str]:
        target = replace(parse_target(text), place=place)
        return codes(rules.latest_tag(target, Settings(profile=profile)))

    @pytest.mark.parametrize("text", ["reg.test/app", "reg.test/app:latest"])
    def test_it_is_told_in_ci_and_in_lists_only(self, text: str) -> None:
        assert self.said(text, profile="ci") == ["image/latest-tag"]
        assert self.said(text, place="pod.yaml:3") == ["image/latest-tag"]
        assert self.said(text) == []

    @pytest.mark.parametrize(
        "text",
        ["reg.test/app:1.0", f"reg.test/app@sha256:{'a' * 64}", f"reg.test/app:latest@sha256:{'a' * 64}"],
    )
    def test_a_fixed_version_is_fine(self, text: str) -> None:
        assert self.said(text, profile="ci", place="pod.yaml:3") == []


HUB = parse_target("myregistry/app:1.0")
OFFICIAL = parse_target("myapp:1.0")
REACHED = Ping(answer=answer(401), trusted=True)
REFUSED = Refusal(answer=registry_error(401, "UNAUTHORIZED"))


class TestHostMissing:
    def said(
        self,
        target: Target = HUB,
        *,
        refusal: Refusal | None = None,
        listed: Tags | None = None,
        looked: ManifestLook | None = None,
        ping: Ping | None = REACHED,
        credentials: Credentials | None = None,
        lookalike: HostLookalike | None = None,
        profile: str = "client",
        exchange: TokenExchange | None = None,
    ) -> list[Draft]:
        return list(
            rules.host_missing(
                target,
                Settings(profile=profile),
                looked,
                listed,
                refusal,
                exchange,
                Each({endpoint(): ping} if ping is not None else {}),
                credentials,
                lookalike,
            )
        )

    def test_an_image_that_docker_hub_has_is_fine(self) -> None:
        assert self.said(looked=look(answer(200))) == []
        assert self.said(OFFICIAL, looked=look(answer(200))) == []

    def test_a_missing_tag_of_a_repository_that_is_there_is_no_matter_of_the_host(self) -> None:
        assert self.said(looked=look(UNKNOWN), listed=tags("2.0")) == []

    def test_an_official_image_that_is_none_was_meant_for_another_registry(self) -> None:
        (draft,) = self.said(OFFICIAL, refusal=REFUSED)

        assert (draft.code, draft.certainty) == ("image/host-missing", Certainty.LIKELY)
        assert "library/myapp" in draft.detail

    def test_without_a_login_a_private_repository_is_possible_too(self) -> None:
        (draft,) = self.said(refusal=REFUSED)

        assert draft.certainty is Certainty.POSSIBLE

    def test_with_a_login_for_docker_hub_that_is_what_was_meant(self) -> None:
        known = Credentials(key="docker.io", kind=None, username="myregistry")
        found = replace(known, kind="password")

        assert self.said(refusal=REFUSED, credentials=found) == []

    def test_a_name_that_is_a_host_here_was_meant_as_one(self) -> None:
        host = HostLookalike(name="myregistry", addresses=("10.0.0.5",))
        (draft,) = self.said(refusal=REFUSED, lookalike=host)

        assert draft.certainty is Certainty.LIKELY
        assert "10.0.0.5" in draft.detail
        assert draft.fix == ("if that host was meant, write its port: myregistry:5000/app:1.0",)

    def test_it_is_told_too_where_docker_hub_is_out_of_reach(self) -> None:
        host = HostLookalike(name="myregistry", addresses=("10.0.0.5",))

        assert codes(self.said(ping=None, lookalike=host)) == ["image/host-missing"]
        assert self.said(ping=None) == []

    def test_where_every_name_resolves_it_proves_nothing(self) -> None:
        anything = HostLookalike(name="myregistry", addresses=("10.0.0.5",), control=True)
        (draft,) = self.said(refusal=REFUSED, lookalike=anything)

        assert draft.certainty is Certainty.POSSIBLE

    def test_in_ci_it_is_told_of_images_that_are_there(self) -> None:
        assert codes(self.said(looked=look(answer(200)), profile="ci")) == ["image/host-missing"]

    @pytest.mark.parametrize("text", ["reg.test/app:1.0", "docker.io/library/alpine:3.20", "localhost/app"])
    def test_a_host_that_is_written_is_not_missing(self, text: str) -> None:
        assert self.said(parse_target(text), refusal=REFUSED, profile="ci") == []


class TestLibraryPrefix:
    def said(self, answered: Answer | None) -> list[Draft]:
        found = LibraryLook(repository="library/nginx", url="https://reg.test:443/v2/x", answer=answered)
        return list(rules.library_prefix(parse_target("reg.test/nginx:1.25"), found))

    def test_the_full_name_is_offered(self) -> None:
        (draft,) = self.said(answer(200, method="HEAD"))

        assert draft.code == "image/library-prefix"
        assert draft.fix == ("use reg.test:443/library/nginx:1.25",)

    @pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
    def test_where_that_is_not_there_either_nothing_is_said(self, status: int) -> None:
        assert self.said(answer(status, method="HEAD")) == []
        assert self.said(None) == []


OCI = "application/vnd.oci.image.manifest.v1+json"


class TestManifestUnsupported:
    def said(self, document: Document, media_type: str = OCI, status: int = 200) -> list[Draft]:
        served = answer(status, headers={"Content-Type": media_type} if media_type else {})
        content = ManifestContent(digest=digest("1"), size=10, document=document)
        return list(rules.manifest_unsupported(look(served, content)))

    def test_an_image_is_supported(self) -> None:
        assert self.said(IMAGE.document) == []

    def test_a_chart_or_signature_packed_like_an_image_is_no_fault(self) -> None:
        config = replace(descriptor("c"), media_type="application/vnd.cncf.helm.config.v1+json")

        assert self.said(Manifest(media_type=OCI, config=config, layers=(descriptor("d"),))) == []

    @pytest.mark.parametrize(
        "document",
        [
            Schema1(media_type="application/vnd.docker.distribution.manifest.v1+prettyjws"),
            Artifact(media_type="application/vnd.oci.artifact.manifest.v1+json"),
        ],
    )
    def test_types_that_clients_dropped_are_told(self, document: Document) -> None:
        (draft,) = self.said(document, document.media_type)

        assert (draft.code, draft.certainty) == ("image/manifest-unsupported", Certainty.PROVEN)

    @pytest.mark.parametrize(
        "served", ["application/json", "text/plain; charset=utf-8", "application/octet-stream", ""]
    )
    def test_a_type_that_was_replaced_on_the_way_is_told(self, served: str) -> None:
        (draft,) = self.said(IMAGE.document, served)

        assert draft.certainty is Certainty.LIKELY

    def test_a_document_that_contradicts_itself_is_told(self) -> None:
        twofold = Manifest(
            media_type=OCI, problems=("the manifest also has a list of manifests; clients refuse such",)
        )

        assert codes(self.said(twofold)) == ["image/manifest-unsupported"]

    def test_an_unknown_type_is_told(self) -> None:
        strange = Unreadable(media_type="application/vnd.test+json", problems=("it is no image manifest",))

        assert codes(self.said(strange, "application/vnd.test+json")) == ["image/manifest-unsupported"]

    def test_pages_are_another_checks_matter(self) -> None:
        assert self.said(Unreadable(media_type="text/html", problems=("it is not JSON",)), "text/html") == []

    @pytest.mark.parametrize("served", ["application/json", ""])
    def test_rubbish_is_no_manifest_whatever_it_is_called(self, served: str) -> None:
        rubbish = Unreadable(media_type=served, problems=("it is not JSON",))

        assert codes(self.said(rubbish, served)) == ["image/manifest-unsupported"]

    def test_a_404_about_the_accept_header_is_no_missing_tag(self) -> None:
        body = {
            "errors": [
                {
                    "code": "MANIFEST_UNKNOWN",
                    "message": "OCI manifest found, but accept header does not support OCI manifests",
                }
            ]
        }
        refused = answer(404, body, REGISTRY_HEADERS)

        assert codes(rules.manifest_unsupported(look(refused))) == ["image/manifest-unsupported"]
        assert missing(tags("1.0"), answered=refused) == []

    @pytest.mark.parametrize("status", [406, 415])
    def test_a_refusal_of_the_types_is_told(self, status: int) -> None:
        assert codes(rules.manifest_unsupported(look(answer(status)))) == ["image/manifest-unsupported"]

    @pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
    def test_other_answers_are_not(self, status: int) -> None:
        assert codes(rules.manifest_unsupported(look(answer(status)))) == []


UPSTREAM = endpoint(Role.UPSTREAM, host="up.test")
CACHE = Upstream(endpoints=(UPSTREAM,), source="/etc/registry/config.yml", url="https://up.test")


class TestUpstreamBroken:
    def said(
        self,
        seen: UpstreamLook | None = None,
        *,
        upstream: Upstream = CACHE,
        ping: Ping | None = REACHED,
        reason: str = "up.test does not resolve to an address",
        answered: Answer | None = UNKNOWN,
        version: str | None = None,
    ) -> list[Draft]:
        pings = Each({UPSTREAM: ping} if ping else {}, {} if ping else {UPSTREAM: reason})
        settings = Settings(registry_version=version)
        return list(rules.upstream_broken(TARGET, settings, upstream, pings, seen, look(answered)))

    def test_an_upstream_without_the_image_either_is_fine(self) -> None:
        url = "https://up.test/v2/team/app/manifests/1.0"

        assert self.said(UpstreamLook(url=url, answer=registry_error(404, "MANIFEST_UNKNOWN", url=url))) == []

    def test_an_upstream_that_gives_what_the_cache_gives_is_fine(self) -> None:
        assert self.said(UpstreamLook(answer=answer(200)), answered=answer(200)) == []

    def test_one_that_is_not_reached_is_named_with_the_reason(self) -> None:
        (draft,) = self.said(ping=None)

        assert draft.code == "image/upstream-broken"
        assert "does not resolve" in draft.detail
        assert draft.endpoint == UPSTREAM

    def test_images_in_the_cache_do_not_make_it_well(self) -> None:
        (draft,) = self.said(ping=None, answered=answer(200))

        assert "in the cache already" in draft.detail

    @pytest.mark.parametrize("status", [301, 404, 500, 502, 503])
    def test_what_is_no_registry_is_named(self, status: int) -> None:
        assert codes(self.said(ping=Ping(answer=answer(status), trusted=True))) == ["image/upstream-broken"]

    def test_a_certificate_that_is_not_trusted_is_named(self) -> None:
        (draft,) = self.said(ping=Ping(answer=answer(200), trusted=False))

        assert "certificate" in draft.detail

    def test_a_url_that_cannot_be_used_is_named(self) -> None:
        broken = Upstream(
            source="config.yml", url="up.test", problem="it does not begin with http:// or https://"
        )
        (draft,) = self.said(upstream=broken)

        assert "does not begin with http://" in draft.detail

    def test_credentials_that_are_refused_are_named(self) -> None:
        account = replace(CACHE, username="cache")
        refused = UpstreamLook(
            scheme="bearer",
            token=answer(401),
            token_problem="its token server answers 401",
            credentials_sent=True,
        )
        (draft,) = self.said(refused, upstream=account)

        assert "the user cache" in draft.detail

    def test_credentials_that_are_missing_are_named(self) -> None:
        (draft,) = self.said(UpstreamLook(scheme="bearer", answer=registry_error(401, "UNAUTHORIZED")))

        assert "proxy.username is not set" in draft.detail

    @pytest.mark.parametrize(
        ("version", "found", "certainty"),
        [(None, True, Certainty.LIKELY), ("2.8", True, Certainty.PROVEN), ("3", False, None)],
    )
    def test_registry_2_cannot_log_in_directly(
        self, version: str | None, found: bool, certainty: Certainty | None
    ) -> None:
        drafts = self.said(UpstreamLook(scheme="basic", answer=answer(404)), version=version)

        assert [draft.certainty for draft in drafts] == ([certainty] if found else [])

    def test_a_url_with_v2_at_its_end_is_named(self) -> None:
        url = "https://up.test/v2/v2/team/app/manifests/1.0"
        (draft,) = self.said(UpstreamLook(url=url, answer=answer(404, url=url)))

        assert "/v2/ twice" in draft.detail

    def test_an_upstream_that_has_what_the_cache_denies_is_not_reached_by_it(self) -> None:
        (draft,) = self.said(UpstreamLook(answer=answer(200)))

        assert draft.certainty is Certainty.LIKELY

    def test_a_password_that_was_not_sent_proves_nothing(self) -> None:
        assert self.said(UpstreamLook(scheme="bearer", withheld="http://up.test")) == []

    def test_a_tag_that_the_upstream_lists_is_not_gone_from_the_cache(self) -> None:
        assert missing(tags("1.0"), upstream=CACHE) == []


class TestSecretInConfig:
    def test_the_place_and_the_kind_are_named(self) -> None:
        found = SuspectedSecret(place="environment", name="DB_PASSWORD", kind="a password")
        again = SuspectedSecret(place="step 4 of the history", name="NPM_TOKEN", kind="an npm token")
        config = blob("c", answer(200), role="config", secrets=(found, again))
        (draft,) = rules.secret_in_config(Blobs(blobs=(config, blob("d", answer(200)))))

        assert draft.code == "image/secret-in-config"
        assert "a password in the environment (DB_PASSWORD)" in draft.detail
        assert "an npm token in step 4 of the history (NPM_TOKEN)" in draft.detail

    def test_a_config_without_is_fine(self) -> None:
        assert list(rules.secret_in_config(Blobs(blobs=(blob("c", answer(200), role="config"),)))) == []


class TestProducts:
    @pytest.mark.parametrize(
        ("vendor", "word"),
        [(Vendor.ECR, "create-repository --repository-name team/app"), (Vendor.HARBOR, "the project team")],
    )
    def test_where_a_repository_must_be_created_first_that_is_the_advice(
        self, vendor: Vendor, word: str
    ) -> None:
        (draft,) = missing(tags(status=404), product=Product(vendor=vendor))

        assert any(word in line for line in draft.fix)


def test_an_index_of_artifacts_names_no_platform_and_lacks_none() -> None:
    listed = Index(
        media_type="application/vnd.oci.image.index.v1+json",
        artifact_type="application/vnd.test",
        manifests=(Descriptor(media_type=OCI, digest=digest("1"), size=1),),
    )
    content = ManifestContent(digest=digest("f"), size=9, document=listed)
    children = IndexChildren(wanted=("linux/amd64",), explicit=False, children=())

    assert list(rules.platform_missing(look(answer(200), content), children, None, Settings())) == []
