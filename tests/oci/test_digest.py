"""Digests are read and computed as clients do."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.oci.digest import InvalidDigest, digest_of, parse_digest


def test_the_digest_of_the_empty_json_object_is_the_one_of_the_image_specification() -> None:
    assert digest_of(b"{}") == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@given(st.binary(max_size=64), st.sampled_from(["sha256", "sha384", "sha512"]))
def test_what_is_computed_reads_back(data: bytes, algorithm: str) -> None:
    digest = parse_digest(digest_of(data, algorithm))
    assert (digest.algorithm, digest.encoded) == (algorithm, hashlib.new(algorithm, data).hexdigest())
    assert digest.supported
    assert str(digest) == digest_of(data, algorithm)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "looks like"),
        ("sha256", "looks like"),
        ("sha256:", "looks like"),
        ("SHA256:" + "a" * 64, "looks like"),
        ("sha256:" + "A" * 64, "lower-case"),
        ("sha256:" + "g" * 64, "lower-case"),
        ("sha256:" + "a" * 63, "64 hexadecimal digits, not 63"),
        ("sha512:" + "a" * 64, "128"),
        ("sha256:" + "a" * 64 + "\n", "looks like"),
    ],
)
def test_a_malformed_digest_says_how_one_looks(text: str, words: str) -> None:
    with pytest.raises(InvalidDigest, match=words):
        parse_digest(text)


def test_an_unregistered_algorithm_is_legal_but_cannot_be_checked() -> None:
    assert not parse_digest("multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8").supported
    with pytest.raises(InvalidDigest, match="cannot be computed"):
        digest_of(b"", "md5")
