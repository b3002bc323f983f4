"""What a link file holds: one digest and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.facts.storage import LinkFault
from regdoctor.host.storage.links import Link, read_link, read_own_link

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"
OTHER = f"sha256:{HEX[::-1]}"
digits = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(digits)
def test_every_digest_is_a_link(encoded: str) -> None:
    assert read_link(f"sha256:{encoded}".encode()) == Link(f"sha256:{encoded}", None, 71)
    assert read_own_link(f"sha256:{encoded}".encode(), "sha256", encoded).digest == f"sha256:{encoded}"


@given(st.binary(max_size=256))
def test_nothing_else_is_and_nothing_fails(content: bytes) -> None:
    link = read_link(content)

    assert (link.digest is None) == (link.fault is not None)
    assert link.fault in (None, LinkFault.EMPTY, LinkFault.MALFORMED)


@given(digits, st.binary(min_size=1, max_size=5))
def test_one_byte_too_many_makes_it_useless(encoded: str, more: bytes) -> None:
    for content in (f"sha256:{encoded}".encode() + more, more + f"sha256:{encoded}".encode()):
        assert read_link(content).digest is None


@pytest.mark.parametrize(
    "content",
    [
        *(f"{DIGEST}\n", f" {DIGEST}", DIGEST.upper(), DIGEST[:-1], f"{DIGEST}0", HEX, "sha256:", "\0" * 71),
        *("md5:d41d8cd98f00b204e9800998ecf8427e", f"sha512:{HEX}", "latest"),
    ],
)
def test_what_the_registry_cannot_parse_is_malformed(content: str) -> None:
    assert read_link(content.encode()).fault is LinkFault.MALFORMED


def test_sha512_is_a_digest_too() -> None:
    assert read_link(f"sha512:{HEX * 2}".encode()).digest == f"sha512:{HEX * 2}"


@given(st.binary(min_size=1, max_size=256))
def test_only_what_looks_like_a_digest_is_shown(content: bytes) -> None:
    shown = read_link(content).shown

    if shown is not None:
        name, colon, rest = shown.rstrip("\r\n\t ").partition(":")
        assert colon
        assert name.isalnum()
        assert set(rest) <= set("0123456789abcdefABCDEF")


def test_a_link_of_another_digest_s_folder_is_told_apart() -> None:
    assert read_own_link(OTHER.encode(), "sha256", HEX) == Link(None, LinkFault.OTHER_DIGEST, 71, OTHER)


def test_a_folder_of_another_algorithm_may_lead_to_the_canonical_digest() -> None:
    assert read_own_link(DIGEST.encode(), "sha512", HEX * 2) == Link(DIGEST, None, 71)
