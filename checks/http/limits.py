"""Limits on requests and pulls: which one it is, and how much is left. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import Answer, Certainty, Draft, Failure, Ping, ProducerKind, Replicas, finding, quotas

from . import answers

_NGINX = frozenset({"nginx", "OpenResty"})
AT_ONCE = 0.5
"""Seconds within which a limit turns a request away."""


def is_limit(answer: Answer) -> bool:
    """Whether an answer says that there were too many requests, whatever its status."""
    return answer.status == 429 or (answer.status >= 400 and "TOOMANYREQUESTS" in answers.codes(answer))


def which_limit(answer: Answer, account: str | None) -> str:
    """Which of the limits it is, and until when, as far as the answer tells."""
    said = []
    quota = quotas.pull_quota(answer.headers)
    text = answer.body_excerpt.lower()
    if "pull rate limit" in text or (quota is not None and quota.remaining == 0):
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


def is_nginx_limit(ping: Ping | None, answer: Answer) -> bool:
    """Whether nginx itself turns a request away at once with 503, where ``/v2/`` got through to the registry.

    It does so beyond ``limit_req`` and ``limit_conn`` (their ``_status`` is 503 by default); for an upstream
    that is down it answers 502.
    """
    first = ping.answer if ping is not None else None
    return (
        first is not None
        and (answers.is_registry_s(first) or first.status == 200)
        and answer.status == 503
        and answer.seconds < AT_ONCE
        and answer.producer.kind is ProducerKind.REVERSE_PROXY
        and answer.producer.name in _NGINX
        and answers.is_html(answer)
    )


def later_limit(ping: Ping | None, seen: tuple[Answer, ...]) -> Draft | None:
    """503s of nginx's own to all but the first requests: a limit that is not over within seconds."""
    refused = [each for each in seen if is_nginx_limit(ping, each)]
    if not refused:
        return None
    return finding(
        "http/rate-limited",
        f"/v2/ is answered well, and then {answers.line(refused[0])} by {answers.by(refused[0])} itself, at once. "
        f"So were {len(refused)} of {len(seen)} requests. nginx answers 502 for a registry that is down, and 503 "
        "beyond limit_req or limit_conn: its error log says “limiting requests” then. Other than that, a location "
        "for this path that says “return 503” would do it.",
        certainty=Certainty.LIKELY,
        evidence=tuple(each.exchange for each in refused[:8]),
    )


def little_left(seen: tuple[Answer, ...]) -> Iterator[Draft]:
    """``http/rate-low`` where an answer says that at most a tenth of the quota is left."""
    stated = [(quota, answer) for answer in seen if (quota := quotas.pull_quota(answer.headers)) is not None]
    if not stated:
        return
    quota, answer = min(stated, key=lambda pair: pair[0].remaining)
    if quota.is_low:
        per = f" in {quota.window // 3600} h" if quota.window and quota.window >= 3600 else ""
        yield finding(
            "http/rate-low",
            f"The registry says that {quota.remaining} of {quota.limit} pulls{per} are left.",
            evidence=(answer.exchange,),
        )
