"""Content digests (OCI image-spec 1.1, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

HEX_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
"""The algorithms that opencontainers/go-digest v1.0.0 knows, and how many hexadecimal digits each has."""

_GRAMMAR: Final = re.compile(r"([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)")
_HEX: Final = re.compile(r"[0-9a-f]*")


class InvalidDigest(ValueError):  # noqa: N818  (a text that is no digest)
    """The text is no digest. The message is one plain sentence."""


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """A digest in its two parts."""

    algorithm: str
    encoded: str

    @property
    def supported(self) -> bool:
        """Whether clients can verify it: an unregistered algorithm is legal, but nobody can check it."""
        return self.algorithm in HEX_LENGTHS

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


def parse_digest(text: str) -> Digest:
    """Read ``algorithm:encoded``; the encoded part of a known algorithm must have the right form.

    Raises ``InvalidDigest``.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise InvalidDigest("a digest looks like sha256: followed by 64 lower-case hexadecimal digits")
    algorithm, encoded = match.groups()
    length = HEX_LENGTHS.get(algorithm)
    if length is not None and _HEX.fullmatch(encoded) is None:
        raise InvalidDigest(f"a {algorithm} digest is written in lower-case hexadecimal")
    if length is not None and len(encoded) != length:
        raise InvalidDigest(f"a {algorithm} digest has {length} hexadecimal digits, not {len(encoded)}")
    return Digest(algorithm=algorithm, encoded=encoded)


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """Compute the digest of bytes, as ``algorithm:hex``.

    Raises ``InvalidDigest`` for an algorithm that clients do not know.
    """
    if algorithm not in HEX_LENGTHS:
        raise InvalidDigest(f"the digest algorithm {algorithm} cannot be computed")
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
