"""Platforms are read, compared and chosen as containerd does; the tables are those of its own tests."""

from __future__ import annotations

import pytest

from regdoctor.oci.platform import InvalidPlatform, Platform, best_match, compatible_platforms, host_platform

ARM_BELOW_8 = ("linux/arm", "linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm/v8")

RUNS = {
    "linux/amd64": ("linux/amd64", "linux/amd64/v1", "linux/386"),
    "linux/amd64/v2": ("linux/amd64", "linux/amd64/v1", "linux/amd64/v2", "linux/386"),
    "linux/386": ("linux/386", "linux/i386"),
    "windows/amd64": ("windows/amd64", "windows(10.0.17763)/amd64"),
    "windows(10.0.17763)/amd64": ("windows/amd64", "windows(10.0.17763.1)/amd64"),
    "linux/arm/v8": ARM_BELOW_8,
    "linux/arm/v7": ARM_BELOW_8[:4],
    "linux/arm": ARM_BELOW_8[:4],
    "linux/armhf": ARM_BELOW_8[:4],
    "linux/arm/v6": ("linux/arm/v5", "linux/arm/v6", "linux/armel"),
    "linux/arm/v5": ("linux/arm/v5",),
    "linux/arm/v4": ("linux/arm/v4",),
    "linux/arm64": ("linux/arm64", "linux/arm64/v8", "linux/aarch64", *ARM_BELOW_8),
    "linux/arm64/v8": ("linux/arm64", "linux/arm64/v8", *ARM_BELOW_8),
    "linux/arm64/v8.1": ("linux/arm64", "linux/arm64/v8", "linux/arm64/v8.1", *ARM_BELOW_8),
    "linux/arm64/v9": (
        *("linux/arm64/v9", "linux/arm64/v9.0", "linux/arm64/v8.5", "linux/arm64/v8.1", "linux/arm64"),
        *ARM_BELOW_8,
    ),
    "linux/s390x": ("linux/s390x",),
}

RUNS_NOT = {
    "linux/amd64": ("linux/amd64/v2", "linux/arm/v7", "linux/arm64", "windows/amd64"),
    "linux/amd64/v2": ("linux/amd64/v3", "linux/arm64"),
    "linux/386": ("linux/amd64", "linux/arm/v7"),
    "windows/amd64": ("linux/amd64", "windows/arm"),
    "windows(10.0.17763)/amd64": ("windows(10.0.20348)/amd64",),
    "linux/arm/v8": ("linux/arm/v4", "linux/arm64"),
    "linux/arm/v7": ("linux/arm/v8", "linux/arm64"),
    "linux/arm/v6": ("linux/arm", "linux/arm/v7"),
    "linux/arm/v4": ("linux/arm", "linux/arm/v5"),
    "linux/arm64": ("linux/arm64/v9", "linux/arm64/v8.1", "linux/arm/v4", "linux/arm/v9", "linux/amd64"),
    "linux/arm64/v8.1": ("linux/arm64/v9", "linux/arm64/v8.2"),
    "linux/arm64/v9": ("linux/arm64/v8.6", "linux/arm64/v9.1"),
}


@pytest.mark.parametrize(("wanted", "offer"), [(wanted, offer) for wanted in RUNS for offer in RUNS[wanted]])
def test_a_machine_takes_what_it_can_run(wanted: str, offer: str) -> None:
    assert best_match(Platform.parse(wanted), [Platform.parse(offer)]) == 0


@pytest.mark.parametrize(
    ("wanted", "offer"), [(wanted, offer) for wanted in RUNS_NOT for offer in RUNS_NOT[wanted]]
)
def test_a_machine_refuses_what_it_cannot_run(wanted: str, offer: str) -> None:
    assert best_match(Platform.parse(wanted), [Platform.parse(offer)]) is None


@pytest.mark.parametrize(
    ("wanted", "offers", "taken"),
    [
        ("linux/amd64", ["linux/386", "linux/amd64"], "linux/amd64"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
    ],
)
def test_the_best_of_several_is_taken(wanted: str, offers: list[str], taken: str) -> None:
    position = best_match(Platform.parse(wanted), [Platform.parse(offer) for offer in offers])
    assert position is not None
    assert offers[position] == taken


def test_an_offer_without_a_platform_is_taken_last() -> None:
    amd64, arm64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
    assert best_match(amd64, [None, amd64]) == 1
    assert best_match(amd64, [arm64, None]) == 1
    assert best_match(amd64, []) is None


def test_the_platform_itself_comes_first() -> None:
    assert [str(each) for each in compatible_platforms(Platform.parse("linux/arm/v6"))] == [
        "linux/arm/v6",
        "linux/arm/v5",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linux/arm64/v8", "linux/arm64/v8"),
        ("Linux/AArch64", "linux/arm64"),
        ("linux/x86_64", "linux/amd64"),
        ("macos/arm64", "darwin/arm64"),
        ("windows(10.0.17763)/amd64", "windows/amd64"),
        ("arm/v7x", "arm/v7x"),
    ],
)
def test_a_platform_is_shown_as_it_was_meant(text: str, shown: str) -> None:
    assert str(Platform.parse(text)) == shown


def test_what_is_left_out_is_taken_from_this_machine() -> None:
    here = host_platform()
    assert Platform.parse("linux") == Platform(
        os="linux", architecture=here.architecture, variant=here.variant
    )
    assert Platform.parse("s390x") == Platform(os=here.os, architecture="s390x")


@pytest.mark.parametrize("text", ["", "/", "linux/", "linux/amd64/v1/x", "potato", "linux/*", "linux amd64"])
def test_a_text_that_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlatform):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("x86_64", "amd64"),
        ("aarch64", "arm64"),
        ("armv7l", "arm/v7"),
        ("armv6l", "arm/v6"),
        ("armv5tel", "arm/v5"),
        ("i686", "386"),
        ("ppc64le", "ppc64le"),
        ("loongarch64", "loong64"),
        ("riscv64", "riscv64"),
    ],
)
def test_machines_have_other_names_than_platforms(machine: str, platform: str) -> None:
    assert str(host_platform(machine)).removeprefix("linux/") == platform
