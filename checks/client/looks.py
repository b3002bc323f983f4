"""Judges what mirrors answered to what clients would ask them."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import (
    Answer,
    Draft,
    Each,
    ManifestLook,
    MirrorLook,
    MirrorLooks,
    Ping,
    Target,
    finding,
)


def mirror_broken(
    looks: MirrorLooks, target: Target, pings: Each[Ping], manifest: ManifestLook | None
) -> Iterator[Draft]:
    """A mirror that helps nobody, while clients go on to the origin without a word."""
    origin_fails = _origin_fails(pings, manifest)
    by_mirror: dict[tuple[str, str], list[MirrorLook]] = {}
    for look in looks.looks:
        by_mirror.setdefault((look.client, look.place), []).append(look)
    for (client, place), tried in by_mirror.items():
        # podman tries an insecure mirror by https and by http, and one of them is enough.
        problems = [_mirror_problem(look, target, origin_fails=origin_fails) for look in tried]
        if any(problem is None for problem in problems):
            continue
        seen = "; ".join(dict.fromkeys(problem for problem in problems if problem is not None))
        exchanges = tuple(look.answer.exchange for look in tried if look.answer is not None)
        url = tried[0].url
        yield finding(
            "client/mirror-broken",
            f"{client} asks the mirror {_base(url)} first ({place}). {seen}. {client} says nothing of it "
            f"and goes on to {target.domain} itself, so errors that it shows are those of {target.domain}.",
            fix=(f"regdoctor check {_base(url)}",),
            reproduce=f"curl -sS -i {url} | head -5",
            evidence=(place, *(exchanges or ("mirror-looks",))),
        )


def _base(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _origin_fails(pings: Each[Ping], manifest: ManifestLook | None) -> bool:
    ping = next(iter(pings.values()), None)
    if ping is None or ping.answer is None or ping.answer.status not in (200, 401):
        return True
    answer = manifest.answer if manifest is not None else None
    return isinstance(answer, Answer) and answer.status >= 400


def _mirror_problem(look: MirrorLook, target: Target, *, origin_fails: bool) -> str | None:
    """What is wrong with a mirror, in a clause; None for one that does its work."""
    if look.failure is not None:
        return f"It cannot be used: {look.failure.message}"
    if look.answer is None:
        return None
    status = look.answer.status
    if status in (401, 403):
        sends = (
            "sends a mirror no login of its own"
            if look.client != "podman"
            else "has no login for it that helps"
        )
        why = f" ({look.login})" if look.login else ""
        return f"It answers {status}{why}, and {look.client} {sends}"
    if status == 404 and look.image:
        if not origin_fails:
            return None
        return f"It answers 404 for {target.repository}: it does not have this image"
    if status >= 400:
        return f"It answers {status} to GET {look.url}"
    if not look.image and look.answer.header("docker-distribution-api-version") is None and status != 200:
        return f"It answers {status} at /v2/, which no registry does"
    return None
