"""What the storage's state means: facts in, findings out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from regdoctor.api import (
    Answer,
    BlobPart,
    BrokenLink,
    Certainty,
    CorruptBlob,
    Draft,
    Garbage,
    LinkFault,
    LinkKind,
    LostBlob,
    LostBlobAnswer,
    LostBlobAnswers,
    Producer,
    ProducerKind,
    Severity,
    StorageContent,
    StorageCoverage,
)
from regdoctor.checks.storage import rules
from tests.support.facts import answer, registry_error

HEX = "ab" + "0" * 62
DIGEST = f"sha256:{HEX}"
OTHER = f"sha256:{'cd' + '1' * 62}"
TREE = "/srv/registry/docker/registry/v2"
TAG_PATH = "repositories/team/app/_manifests/tags/1.0/current/link"
HEALTHY = StorageContent(
    given="/srv/registry", root="/srv/registry", tree=TREE, complete=True, blobs=3, size=3 * 1024**3
)
COVERAGE = StorageCoverage(tree=TREE)


def judge(content: StorageContent) -> list[Draft]:
    return [
        *rules.link_broken(content),
        *rules.blob_missing(content),
        *rules.blob_corrupt(content),
        *rules.reclaimable(content, COVERAGE),
    ]


def with_links(*links: BrokenLink) -> StorageContent:
    return replace(HEALTHY, links=links, links_seen=len(links))


def with_lost(*lost: LostBlob, **changes: Any) -> StorageContent:
    return replace(HEALTHY, lost=lost, lost_seen=len(lost), **changes)


def tag(fault: LinkFault, **changes: Any) -> BrokenLink:
    link = BrokenLink(
        path=TAG_PATH,
        repository="team/app",
        kind=LinkKind.TAG,
        fault=fault,
        name="1.0",
        size=0,
        needed_by=("1.0",),
    )
    return replace(link, **changes)


def lost(part: BlobPart = BlobPart.LAYER, **changes: Any) -> LostBlob:
    blob = LostBlob(
        digest=DIGEST,
        path=f"blobs/sha256/ab/{HEX}/data",
        part=part,
        repository="team/app",
        size=1024,
        manifest=OTHER,
        needed_by=("1.0",),
    )
    return replace(blob, **changes)


def test_a_healthy_storage_gives_nothing() -> None:
    assert judge(HEALTHY) == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (LinkFault.EMPTY, ("is empty", "500", "deletion")),
        (LinkFault.MALFORMED, ("no digest", "500")),
        (LinkFault.MISSING, ("is missing", "404 “manifest unknown”")),
        (LinkFault.DANGLING, ("no such manifest", "404 “manifest unknown”")),
    ],
)
def test_a_broken_tag_says_what_clients_get(fault: LinkFault, words: tuple[str, ...]) -> None:
    (found,) = judge(with_links(tag(fault)))

    assert found.code == "storage/link-broken"
    assert all(word in found.detail for word in words)
    assert "team/app:1.0" in found.detail
    assert found.evidence == (f"{TREE}/{TAG_PATH}", "storage-content")


def test_a_broken_tag_gets_back_what_it_meant_last() -> None:
    (found,) = judge(with_links(tag(LinkFault.EMPTY, former=DIGEST)))
    (without,) = judge(with_links(tag(LinkFault.EMPTY)))

    assert f"printf %s {DIGEST} > {TREE}/{TAG_PATH}" in found.fix[0]
    assert "push team/app:1.0 again" in without.fix[0]


def test_paths_of_commands_are_quoted() -> None:
    evil = with_links(tag(LinkFault.EMPTY, path="repositories/a; rm -rf ~/link", former=DIGEST))

    (found,) = judge(evil)

    assert f"> '{TREE}/repositories/a; rm -rf ~/link'" in found.fix[0]
    assert found.reproduce is not None
    assert f"'{TREE}/repositories/a; rm -rf ~/link'" in found.reproduce


def test_tags_are_told_first_and_the_rest_is_counted() -> None:
    layer = BrokenLink(
        path="l",
        repository="a",
        kind=LinkKind.LAYER,
        fault=LinkFault.MISSING,
        name=DIGEST,
        needed_by=("2.0",),
    )
    content = replace(with_links(*[layer] * 7, tag(LinkFault.EMPTY)), links_seen=1000)

    (found,) = judge(content)

    assert found.detail.index("team/app:1.0") < found.detail.index("blob unknown")
    assert "995 more" in found.detail


def test_a_pull_through_cache_makes_layer_links_again() -> None:
    layer = BrokenLink(path="l", repository="a", kind=LinkKind.LAYER, fault=LinkFault.MISSING, name=DIGEST)

    assert judge(replace(with_links(layer), cache=True)) == []
    assert (
        judge(replace(with_links(layer, tag(LinkFault.EMPTY)), cache=True))[0].code == "storage/link-broken"
    )


@pytest.mark.parametrize("part", [BlobPart.LAYER, BlobPart.CONFIG, BlobPart.MANIFEST])
def test_a_lost_blob_that_an_image_needs_is_an_error(part: BlobPart) -> None:
    (found,) = judge(with_lost(lost(part)))

    assert found.code == "storage/blob-missing"
    assert (found.severity, found.certainty) == (None, Certainty.PROVEN)
    assert f"{DIGEST} (1.0 KiB) is gone from team/app:1.0" in found.detail
    assert found.fix == ("push these images again: team/app:1.0",)


def test_platforms_of_an_index_may_be_missing_on_purpose() -> None:
    (found,) = judge(with_lost(lost(BlobPart.CHILD, size=None)))

    assert found.certainty is Certainty.LIKELY
    assert "validation.manifests.indexes.platforms" in found.detail


def test_what_no_tag_needs_is_information() -> None:
    (found,) = judge(with_lost(lost(needed_by=())))

    assert (found.severity, found.certainty) == (Severity.INFO, Certainty.POSSIBLE)


def test_images_by_digest_are_written_so() -> None:
    (found,) = judge(with_lost(lost(needed_by=(OTHER,))))

    assert f"team/app@{OTHER}" in found.detail


def test_a_storage_without_any_blob_looks_like_another_volume() -> None:
    (found,) = judge(with_lost(lost(), blobs=0))

    assert "another volume" in found.detail


def test_a_pull_through_cache_fetches_what_is_missing() -> None:
    assert judge(with_lost(lost(), cache=True)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 5, "seen": OTHER, "expected_size": 7}, ("5 bytes", OTHER, "gives its size as 7")),
        ({"size": 0, "seen": OTHER}, ("is empty", "HEAD says 200")),
        (
            {"size": 5, "seen": None, "problem": "input/output error"},
            ("cannot be read (input/output error)",),
        ),
    ],
)
def test_a_corrupt_blob_says_what_is_there(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    blob = CorruptBlob(
        digest=DIGEST,
        path=f"blobs/sha256/ab/{HEX}/data",
        modified_at=datetime(2026, 11, 1, tzinfo=UTC),
        needed_by=("team/app:1.0",),
        **changes,
    )

    (found,) = judge(replace(HEALTHY, corrupt=(blob,), corrupt_seen=1))

    assert found.code == "storage/blob-corrupt"
    assert all(word in found.detail for word in words)
    assert "2026-11-01" in found.detail
    assert f"mv {TREE}/{blob.path} {TREE}/{blob.path}.corrupt" in found.fix[0]
    assert found.reproduce == f"sha256sum {TREE}/{blob.path}"


def test_what_could_be_freed_is_told() -> None:
    garbage = Garbage(blobs=3, size=1024**3, untagged_blobs=1, untagged_size=1024**2)

    (found,) = judge(replace(HEALTHY, garbage=garbage, recent_size=1024))

    assert found.code == "storage/reclaimable"
    assert "1.0 GiB in 3 blobs that no manifest uses" in found.detail
    assert "1.0 MiB more in 1 blob that only manifests without a tag use" in found.detail
    assert "1.0 KiB of what no manifest uses is less than an hour old" in found.detail
    assert "2.x" not in found.detail


def test_what_registry_2_x_deletes_beyond_that_is_told() -> None:
    garbage = Garbage(
        untagged_blobs=1,
        untagged_size=10,
        platform_blobs=2,
        platform_size=1024,
        unlinked_blobs=3,
        unlinked_size=2048,
    )

    (found,) = judge(replace(HEALTHY, garbage=garbage))

    assert "10 bytes in 1 blob that only manifests without a tag use" in found.detail
    assert "1.0 KiB in 2 blobs that platforms of tagged indexes need, and break these images" in found.detail
    assert "2.0 KiB in 3 blobs that only indexes lead to" in found.detail


def test_nobody_is_told_to_delete_what_a_broken_tag_means() -> None:
    garbage = Garbage(untagged_blobs=1, untagged_size=10)
    link = BrokenLink(
        path="p", repository="team/app", kind=LinkKind.TAG, fault=LinkFault.EMPTY, name="1.0", size=0
    )

    found = judge(replace(HEALTHY, garbage=garbage, links=(link,), links_seen=1))

    (free,) = [each for each in found if each.code == "storage/reclaimable"]
    assert "mend these links first" in free.detail
    assert "would free it" not in free.detail


def test_a_cache_s_space_is_its_own_business() -> None:
    assert judge(replace(HEALTHY, garbage=Garbage(blobs=1, size=10), cache=True)) == []


# The registry's cache

HEAD = answer(
    200, headers={"Content-Length": "414", "Docker-Distribution-Api-Version": "registry/2.0"}, method="HEAD"
)
NOTHING = replace(
    answer(200, headers={"Content-Length": "414", "Docker-Distribution-Api-Version": "registry/2.0"}),
    body_size=0,
    body_complete=False,
)
GONE = registry_error(404, "BLOB_UNKNOWN")


def believed(head: Answer | None, got: Answer | None, gone_from: str | None = "/srv/data") -> list[Draft]:
    return list(
        rules.stale_cache(
            LostBlobAnswers(answers=(LostBlobAnswer(digest=DIGEST, head=head, got=got, gone_from=gone_from),))
        )
    )


@pytest.mark.parametrize("got", [NOTHING, GONE, None])
def test_head_200_of_what_is_gone_is_an_outdated_cache(got: Answer | None) -> None:
    (found,) = believed(HEAD, got)

    assert (found.code, found.certainty) == ("storage/stale-cache", Certainty.PROVEN)
    assert "/srv/data does not exist" in found.detail


@pytest.mark.parametrize("got", [NOTHING, GONE])
def test_from_afar_it_is_likely(got: Answer) -> None:
    (found,) = believed(HEAD, got, None)

    assert found.certainty is Certainty.LIKELY


@pytest.mark.parametrize(
    ("head", "got"),
    [
        (GONE, GONE),
        (None, None),
        (HEAD, answer(200, "x" * 414, {"Content-Length": "414"})),
        (HEAD, replace(NOTHING, body_size=100)),
        (HEAD, answer(307)),
        (replace(HEAD, producer=Producer(kind=ProducerKind.REVERSE_PROXY)), GONE),
    ],
)
def test_everything_else_is_not(head: Answer | None, got: Answer | None) -> None:
    assert believed(head, got) == []


def test_no_answer_from_afar_proves_nothing() -> None:
    assert believed(HEAD, None, None) == []
