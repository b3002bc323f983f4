"""Why a registry refuses a token that its own token server gave. Pure.

What distribution checks, and how: ``registry/auth/token/token.go`` of 2.8 (issuer, audience, expiry, not
before, signing key) and of 3 (signing key, signature, then the claims); each allows the clocks to differ by a
minute. The registry writes the reason into its log only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from regdoctor.api import (
    Answer,
    Certainty,
    Refusal,
    SizeTrial,
    TokenClaims,
    TokenExchange,
    TokenService,
    TokenSettings,
    UploadSizes,
)

from . import wording

LEEWAY = 60.0
"""Seconds by which distribution lets the clocks differ (``Leeway`` in ``registry/auth/token/token.go``)."""

LONG_ENOUGH = 1.0
"""Seconds; what is faster is no measure of a line."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a token is refused."""

    code: str
    detail: str
    certainty: Certainty = Certainty.PROVEN
    evidence: tuple[str, ...] = ()


def lifetime(exchange: TokenExchange) -> float | None:
    """Seconds from the issue of the token to its end, None where nothing says so."""
    claims = exchange.claims
    if exchange.token is None:
        return None
    if claims is not None and claims.expires is not None:
        start = claims.issued_at or claims.not_before
        if start is not None:
            return (claims.expires - start).total_seconds()
    return float(exchange.expires_in) if exchange.expires_in is not None else None


def slowest_upload(sizes: UploadSizes | None) -> SizeTrial | None:
    """The largest body that was sent and taken, where it took long enough to tell the speed of the line."""
    sent = [
        trial
        for trial in (sizes.trials if sizes is not None else ())
        if not trial.announced and trial.step.succeeded
    ]
    largest = max(sent, key=lambda trial: trial.size, default=None)
    return largest if largest is not None and largest.step.seconds >= LONG_ENOUGH else None


def reasons(
    service: TokenService, exchange: TokenExchange, refusal: Refusal, configured: TokenSettings | None
) -> Iterator[Reason]:
    """Every reason that the facts show; where they show none, that the token is refused.

    ``configured`` is the registry's own configuration, where it was given.
    """
    claims = exchange.claims
    seen = f"{wording.line(refusal.answer)} although a fresh token was sent ({_words(refusal)})."
    found: list[Reason] = []
    if claims is not None and not claims.opaque:
        for judge in (_time, _audience, _issuer, _key):
            reason = judge(seen, service, exchange, claims, refusal, configured)
            if reason is not None:
                found.append(reason)
        if not found and (reason := _key_of_another_version(seen, claims, refusal)) is not None:
            found.append(reason)
    if not found:
        found.append(_unknown(seen, claims, configured))
    yield from found


def _words(refusal: Refusal) -> str:
    return f'error="{refusal.error}"' if refusal.error is not None else "without saying why"


def _time(
    seen: str,
    _service: TokenService,
    exchange: TokenExchange,
    claims: TokenClaims,
    refusal: Refusal,
    _configured: TokenSettings | None,
) -> Reason | None:
    registry = wording.clock_of(refusal.answer)
    if registry is None:
        return None
    if claims.not_before is not None and (early := (claims.not_before - registry).total_seconds()) > LEEWAY:
        what = f"it is valid from {claims.not_before:%H:%M:%S} UTC, {wording.seconds(early)} later"
    elif claims.expires is not None and (late := (registry - claims.expires).total_seconds()) > LEEWAY:
        what = f"it expired at {claims.expires:%Y-%m-%d %H:%M:%S} UTC, {wording.seconds(late)} before that"
    else:
        return None
    clocks = [f"the registry's clock {_against_ours(refusal.answer)}"]
    if exchange.answer is not None and wording.clock_of(exchange.answer) is not None:
        clocks.append(f"the token server's {_against_ours(exchange.answer)}")
    return Reason(
        code="auth/token-time-skew",
        detail=f"{seen} By the registry's clock it is {registry:%Y-%m-%d %H:%M:%S} UTC, and for the token "
        f"{what}; the registry lets a minute pass. Beside this host's clock {' and '.join(clocks)}."
        f"{_whose(refusal.answer, claims)}",
    )


def _whose(registry: Answer, claims: TokenClaims) -> str:
    """Which of the two clocks is wrong, where this host's clock agrees with just one of them."""
    issued = claims.issued_at or claims.not_before
    ahead = wording.clock_difference(registry)
    sent = registry.sent_at
    if issued is None or ahead is None:
        return ""
    registry_agrees = abs(ahead) < LEEWAY
    token_agrees = abs((issued - sent).total_seconds()) < LEEWAY
    if registry_agrees == token_agrees:
        return ""
    wrong = "token server's" if registry_agrees else "registry's"
    return f" If this host's clock is right, it is the {wrong} that is wrong."


def _against_ours(answer: Answer) -> str:
    difference = wording.clock_difference(answer) or 0.0
    if abs(difference) < 2:
        return "is the same"
    return f"is {wording.seconds(difference)} {'ahead' if difference > 0 else 'behind'}"


def _audience(
    seen: str,
    service: TokenService,
    _exchange: TokenExchange,
    claims: TokenClaims,
    refusal: Refusal,
    configured: TokenSettings | None,
) -> Reason | None:
    wanted = configured.service if configured is not None and configured.service else service.service
    if wanted is None:
        return None
    shown = ", ".join(f"“{each}”" for each in claims.audience[:5]) or "none"
    if wanted not in claims.audience:
        return Reason(
            code="auth/token-audience-mismatch",
            detail=f"{seen} The token is made for the audience {shown}, and the registry calls itself “{wanted}” "
            "(service in its challenge, auth.token.service in its configuration).",
        )
    if claims.audience_is_array and not _is_version_3(refusal.answer):
        return Reason(
            code="auth/token-audience-mismatch",
            detail=f"{seen} The token's audience is a list ([{shown}]). Registry 2.x takes a single text only; "
            "registry 3 takes both.",
            certainty=Certainty.LIKELY,
        )
    return None


def _issuer(
    seen: str,
    _service: TokenService,
    _exchange: TokenExchange,
    claims: TokenClaims,
    _refusal: Refusal,
    configured: TokenSettings | None,
) -> Reason | None:
    if configured is None or configured.issuer is None or configured.issuer == claims.issuer:
        return None
    return Reason(
        code="auth/token-issuer-mismatch",
        detail=f"{seen} The token says that it was issued by “{claims.issuer or ''}”; {configured.source} expects "
        f"auth.token.issuer “{configured.issuer}”. They must be equal letter by letter.",
        evidence=("token-settings",),
    )


def _key(
    seen: str,
    _service: TokenService,
    _exchange: TokenExchange,
    claims: TokenClaims,
    _refusal: Refusal,
    configured: TokenSettings | None,
) -> Reason | None:
    named = claims.key_id is not None or claims.has_x5c or claims.has_jwk
    if not named:
        return Reason(
            code="auth/token-key-untrusted",
            detail=f"{seen} The token does not say by which key it was signed (no kid, x5c or jwk in its header), "
            "so the registry cannot find the key.",
            certainty=Certainty.LIKELY,
        )
    if configured is not None and configured.key_ids and claims.key_id is not None:
        if claims.key_id in configured.key_ids:
            return None
        if not claims.key_id_is_libtrust and claims.has_x5c:
            return None
        files = [
            f"{file} (auth.token.{name} in {configured.source})"
            for name, file in (("rootcertbundle", configured.bundle), ("jwks", configured.jwks))
            if file is not None
        ]
        return Reason(
            code="auth/token-key-untrusted",
            detail=f"{seen} It is signed with the key “{claims.key_id}”, which is none of those in "
            f"{' and '.join(files)}.",
            certainty=Certainty.LIKELY if claims.has_x5c else Certainty.PROVEN,
            evidence=("token-settings",),
        )
    return None


def _key_of_another_version(seen: str, claims: TokenClaims, refusal: Refusal) -> Reason | None:
    """A key that is named in a way that the registry, by the look of its answers, does not know."""
    by_id_alone = not (claims.has_x5c or claims.has_jwk)
    if by_id_alone and not claims.key_id_is_libtrust and _is_version_2(refusal.answer):
        return Reason(
            code="auth/token-key-untrusted",
            detail=f"{seen} The token names its key “{claims.key_id}”. The answer looks like registry 2.x, which "
            "knows keys by their libtrust fingerprint only (twelve groups of four characters), or by x5c; "
            "registry 3 knows RFC 7638 thumbprints.",
            certainty=Certainty.LIKELY,
        )
    if claims.key_id_is_libtrust and by_id_alone and _is_version_3(refusal.answer):
        return Reason(
            code="auth/token-key-untrusted",
            detail=f"{seen} The token names its key “{claims.key_id}” in the way of registry 2.x. The answer "
            "looks like registry 3, which knows keys by RFC 7638 thumbprints only, or by x5c.",
            certainty=Certainty.LIKELY,
        )
    return None


def _is_version_2(answer: Answer) -> bool:
    """Whether the answer is one of distribution 2, which writes the charset of its JSON."""
    kind = (answer.header("content-type") or "").lower().replace(" ", "")
    return (
        answer.header("docker-distribution-api-version") is not None
        and kind == "application/json;charset=utf-8"
    )


def _is_version_3(answer: Answer) -> bool:
    """Whether the answer is one of distribution 3, which writes no charset after ``application/json``."""
    return (
        answer.header("docker-distribution-api-version") is not None
        and answer.header("content-type") == "application/json"
    )


def _unknown(seen: str, claims: TokenClaims | None, configured: TokenSettings | None) -> Reason:
    if claims is None or claims.opaque:
        told = "The token cannot be read from outside, so nothing narrower can be said."
    else:
        key = claims.key_id or ("by certificate (x5c)" if claims.has_x5c else "none")
        told = (
            f"Time and audience of the token fit. What is left is its issuer (“{claims.issuer or ''}”) or its key "
            f"(“{key}”)"
        )
        told += (
            ", of which the registry's configuration shows no fault."
            if configured is not None
            else ": compare them with auth.token.issuer and rootcertbundle (--config FILE does), or read the "
            "registry's log at level info."
        )
    return Reason(code="auth/token-rejected", detail=f"{seen} {told}")
