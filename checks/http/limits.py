"""Limits on requests and pulls: which one it is, and how much is left. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from regdoctor.api import Answer, Certainty, Draft, Failure, Replicas, finding

from . import answers


def is_limit(answer: Answer) -> bool:
    """Whether an answer says that there were too many requests, whatever its status."""
    return answer.status == 429 or (answer.status >= 400 and "TOOMANYREQUESTS" in answers.codes(answer))


def which_limit(answer: Answer, account: str | None) -> str:
    """Which of the limits it is, and until when, as far as the answer tells."""
    said = []
    quota = _quota(answer)
    text = answer.body_excerpt.lower()
    if "pull rate limit" in text or (quota is not None and quota[0] == 0):
        source = answer.header("docker-ratelimit-source")
        whose = f"the account {account}" if account else "this host's public address (no login was used)"
        said.append(
            f"This is the quota of pulls, counted for {whose}{f' as {source}' if source and not account else ''}."
        )
    elif answers.is_html(answer):
        said.append(
            f"The page is that of {answers.by(answer)}, so this is its own limit and not the registry's."
        )
    else:
        said.append("Nothing in it speaks of a quota of pulls, so it is a limit on requests in a time.")
    wait = answer.header("retry-after")
    if wait:
        said.append(f"It asks to come back after: {wait[:60]}.")
    return " ".join(said)


def burst_limit(seen: tuple[Answer, ...], replicas: Replicas | None) -> Draft | None:
    """503s only to requests that are made side by side: a limit of the proxy (nginx ``limit_req``)."""
    if replicas is None:
        return None
    refused = [each for each in seen if each.status == 503 and not answers.is_registry_s(each)]
    if not refused or replicas.spaced is None or not replicas.spaced.answers:
        return None
    spaced = replicas.spaced.answers
    if any(isinstance(each, Failure) or each.status >= 500 for each in spaced):
        return None
    total = len(seen)
    return finding(
        "http/rate-limited",
        f"{len(refused)} of {total} requests were answered 503 by {answers.by(refused[0])} when several went out "
        f"at once, and all of {len(spaced)} that were sent one by one a second apart passed. The registry is "
        "there; the proxy limits requests, and clients fetch layers side by side.",
        certainty=Certainty.LIKELY,
        evidence=tuple(each.exchange for each in refused[:8]),
    )


def _quota(answer: Answer) -> tuple[int, int, int | None] | None:
    """Remaining pulls, limit and window in seconds from Docker Hub's headers, such as ``76;w=21600``."""

    def read(name: str) -> tuple[int, int | None] | None:
        match = re.fullmatch(r"\s*(\d{1,9})(?:\s*;\s*w=(\d{1,9}))?\s*", answer.header(name) or "")
        return (int(match[1]), int(match[2]) if match[2] else None) if match else None

    remaining, limit = read("ratelimit-remaining"), read("ratelimit-limit")
    if remaining is None or limit is None:
        return None
    return remaining[0], limit[0], limit[1]


def little_left(seen: tuple[Answer, ...]) -> Iterator[Draft]:
    """``http/rate-low`` where an answer says that at most a tenth of the quota is left."""
    quotas = [(quota, answer) for answer in seen if (quota := _quota(answer)) is not None]
    if not quotas:
        return
    (remaining, limit, window), answer = min(quotas, key=lambda pair: pair[0][0])
    if limit and remaining * 10 <= limit:
        per = f" in {window // 3600} h" if window and window >= 3600 else ""
        yield finding(
            "http/rate-low",
            f"The registry says that {remaining} of {limit} pulls{per} are left.",
            evidence=(answer.exchange,),
        )
