"""Why registries refuse what the account would have the right to do, by the words of the products. Pure.

The words are those of the products' sources and documentation, and of messages quoted in public issues. Most
come with 403 and the code DENIED, as lacking rights do.
"""

from __future__ import annotations

import re
from enum import StrEnum

_READ_ONLY = re.compile(
    r"\b(?:system|registry|repository|service|instance)\b.{0,20}\bis (?:currently )?(?:in )?(?:a )?read[- ]?only"
    r"|read[- ]?only mode",
    re.IGNORECASE,
)
"""Harbor, Quay, GitLab, Gitea."""
_CACHE = re.compile(
    r"to a proxy project|proxy[- ]cache (?:project|repository)|(?:to|on) (?:a )?remote repositor"
    r"|pull[- ]through cache",
    re.IGNORECASE,
)
"""Harbor, Artifactory, Amazon ECR."""
_QUOTA = re.compile(
    r"exceed the configured upper limit|quota.{0,40}(?:exceeded|reached|used up)"
    r"|exceed(?:s|ed|ing)?.{0,40}(?:quota|storage limit)|storage (?:quota|limit).{0,20}(?:exceeded|reached)"
    r"|insufficient (?:storage )?quota|LimitExceededException|contains \d+ repositories, limit is \d+"
    r"|disk usage is too high",
    re.IGNORECASE,
)
"""Harbor (``adding … will exceed the configured upper limit``), Quay, GitLab, Gitea, Amazon ECR, DigitalOcean,
Artifactory."""
_IMMUTABLE = re.compile(
    r"immutab|cannot be overwritten|TAG_ALREADY_EXISTS|Image(?:Tag)?AlreadyExists"
    r"|does not allow (?:updating|redeploy)|tag .{0,200}already exists",
    re.IGNORECASE,
)
"""Amazon ECR, Harbor (``configured as immutable``), Google Artifact Registry, Quay, Nexus."""
_POLICY = re.compile(
    r"PROJECTPOLICYVIOLATION|configured policy|due to .{0,40}policy|prevent(?:ed)? .{0,30}vulnerab"
    r"|vulnerabilit.{0,60}cannot be (?:pulled|pushed)|image is not signed|signed by (?:cosign|notation)"
    r"|registry does not allow .{0,40}manifest|unknown manifest class|(?:blocked|denied) by .{0,30}(?:policy|xray)"
    r"|disallowed operation|operation is disallowed|\bquarantined\b|include/exclude patterns?",
    re.IGNORECASE,
)
"""Harbor, distribution (``policy.repository.classes``), Artifactory with Xray and by its own patterns, Azure,
Nexus with its Firewall."""


class Reason(StrEnum):
    """What stands against a request beside rights."""

    READ_ONLY = "read-only"
    CACHE = "cache"
    QUOTA = "quota"
    IMMUTABLE = "immutable"
    POLICY = "policy"


def reason(text: str) -> Reason | None:
    """The reason that the body of a refusal gives, None where it names none of these."""
    patterns = (
        (Reason.READ_ONLY, _READ_ONLY),
        (Reason.CACHE, _CACHE),
        (Reason.QUOTA, _QUOTA),
        (Reason.IMMUTABLE, _IMMUTABLE),
        (Reason.POLICY, _POLICY),
    )
    return next((found for found, pattern in patterns if pattern.search(text)), None)
