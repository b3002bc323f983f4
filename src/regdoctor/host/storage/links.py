"""What a link file holds: one digest and nothing else (distribution ``registry/storage/linkedblobstore.go``)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from regdoctor.facts.storage import LinkFault
from regdoctor.oci.digest import InvalidDigest, parse_digest

LONGEST = 256
"""Bytes that are read of a link file; a digest has at most 135."""
_SHOWABLE = re.compile(rb"[a-z0-9]{1,10}:[0-9A-Fa-f]{0,140}[\r\n\t ]{0,4}")
"""What may be shown of a file that is no link: anything else might be a secret that was put in its place."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link file as read: a digest, or what is wrong with it."""

    digest: str | None
    fault: LinkFault | None = None
    size: int = 0
    shown: str | None = None


def read_link(content: bytes) -> Link:
    """Reads a link as the registry does: one blank or newline too many makes it useless.

    :param content: at most :data:`LONGEST` bytes of the file.
    """
    size = len(content)
    if not content:
        return Link(None, LinkFault.EMPTY)
    try:
        text = content.decode("ascii")
        digest = parse_digest(text)
    except (UnicodeError, InvalidDigest):
        readable = _SHOWABLE.fullmatch(content)
        return Link(None, LinkFault.MALFORMED, size, content.decode("ascii") if readable else None)
    if not digest.supported:
        return Link(None, LinkFault.MALFORMED, size, text)
    return Link(text, None, size)


def read_own_link(content: bytes, algorithm: str, encoded: str) -> Link:
    """Reads the link of a folder that is named by a digest itself.

    A folder of another algorithm may hold a sha256 digest: the registry makes such links for content that was
    pushed by another digest.
    """
    if content == f"{algorithm}:{encoded}".encode():
        return Link(f"{algorithm}:{encoded}", None, len(content))
    link = read_link(content)
    if link.digest is None or link.digest.partition(":")[0] != algorithm:
        return link
    return Link(None, LinkFault.OTHER_DIGEST, link.size, link.digest)
