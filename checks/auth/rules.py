"""Judges what was asked for, what was there to answer with, and what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Annotated

from regdoctor.api import (
    Addresses,
    Blobs,
    Certainty,
    Challenges,
    Connections,
    Credentials,
    CredentialSettings,
    Draft,
    Each,
    Endpoint,
    FailureKind,
    FlawKind,
    Handshakes,
    HelperCall,
    HelperOutcome,
    HtpasswdFile,
    KubernetesObjects,
    ManifestLook,
    PullAuthorization,
    Refusal,
    Role,
    Settings,
    Severity,
    Target,
    TokenExchange,
    TokenService,
    TokenSettings,
    UploadSession,
    UploadSizes,
    finding,
    refusals,
    rule,
    size_text,
)

from . import access, htpasswd_files, pull_secrets, tokens, wording

Registries = Annotated[Each[Endpoint], Role.REGISTRY]
TokenAddresses = Annotated[Each[Addresses], Role.TOKEN_SERVER]
TokenConnections = Annotated[Each[Connections], Role.TOKEN_SERVER]
TokenHandshakes = Annotated[Each[Handshakes], Role.TOKEN_SERVER]

SHORTEST_LIFETIME = 60
"""Seconds; "a token should never be returned with less than 60 seconds to live" (distribution, token.md)."""
SHORT_FOR_PUSHES = 120
"""Seconds; with the registry's minute of leeway a layer must go up within three minutes."""

COMMON_LAYER = 256 * 1024 * 1024
"""Bytes; layers of this size are common (language runtimes, machine learning)."""


def _first(endpoints: Each[Endpoint]) -> Endpoint | None:
    return next(iter(endpoints), None)


@rule("auth/challenge-invalid")
def challenge_invalid(
    asked: Challenges, service: TokenService | None, registries: Registries
) -> Iterator[Draft]:
    """A 401 that does not tell clients what to do."""
    if not asked.wanted:
        return
    answer, place = asked.answer, _first(registries)
    schemes = [each.scheme for each in asked.challenges]
    if not asked.challenges:
        yield finding(
            "auth/challenge-invalid",
            f"{wording.line(answer)} without a WWW-Authenticate header, so clients do not learn how to log in: "
            "they give up, whatever credentials they have.",
            evidence=(answer.exchange,),
            endpoint=place,
        )
    elif "bearer" not in schemes and "basic" not in schemes:
        seen = "; ".join(each.raw[:200] for each in asked.challenges[:3])
        problems = " ".join(f"{each}." for challenge in asked.challenges for each in challenge.problems[:2])
        yield finding(
            "auth/challenge-invalid",
            f"{wording.line(answer)} with the challenge “{seen}”. docker, containerd and podman speak Basic and "
            f"Bearer only. {problems}".strip(),
            evidence=(answer.exchange,),
            endpoint=place,
        )
    elif service is not None and service.problem is not None:
        bearer = asked.of("bearer")
        yield finding(
            "auth/challenge-invalid",
            f"{wording.line(answer)} with the challenge “{bearer.raw[:300] if bearer else ''}”: {service.problem}"
            ". Clients cannot ask for a token.",
            evidence=(answer.exchange, "token-service"),
            endpoint=place,
        )


@rule("auth/challenge-invalid")
def anonymous_nexus(asked: Challenges, credentials: Credentials, registries: Registries) -> Iterator[Draft]:
    """Nexus asks for Basic where its Bearer realm is off, and then even anonymous pulls need a login."""
    basic = asked.of("basic")
    if not asked.wanted or credentials.found or basic is None or asked.of("bearer") is not None:
        return
    server = asked.answer.header("server") or ""
    if not server.startswith("Nexus/") and "Nexus Repository" not in (basic.realm or ""):
        return
    yield finding(
        "auth/challenge-invalid",
        f"Nexus answers with a Basic challenge (“{basic.raw[:200]}”). If images are meant to be pulled without a "
        "login, its Docker Bearer Token Realm is not active: only a Bearer challenge lets clients in anonymously.",
        certainty=Certainty.POSSIBLE,
        severity=Severity.INFO,
        evidence=(asked.answer.exchange,),
        endpoint=_first(registries),
    )


@rule("auth/ping-not-challenged")
def ping_not_challenged(
    asked: Challenges, credentials: Credentials, refusal: Refusal | None, registries: Registries
) -> Iterator[Draft]:
    """``/v2/`` lets everybody in, and what lies below does not."""
    refused = access.refused_behind_open_ping(asked, refusal)
    if refused is None:
        return
    after = refusal.after_login if refusal is not None else None
    rejected = access.rejected_behind_open_ping(credentials, refusal)
    if not credentials.found:
        have = "docker login would report success for any password, and pulls would still be refused."
    else:
        have = f"The login they have ({wording.origin(credentials)}) is never sent by them."
        if after is not None and after.status < 400:
            have += " containerd, which looks at the second answer, sends it and is let in."
    # Where a login gets no client in, and nothing else says why, it is more than a warning.
    hopeless = asked.repository is None and credentials.found and rejected is None
    hopeless = hopeless and (after is None or after.status not in (200, 404))
    yield finding(
        "auth/ping-not-challenged",
        f"GET /v2/ was answered {asked.ping_status} without a challenge, but {wording.line(refused)}. docker and "
        f"podman learn from /v2/ alone whether to log in. {have}",
        severity=Severity.ERROR if hopeless else None,
        evidence=(asked.ping_exchange, refused.exchange),
        endpoint=_first(registries),
    )


def _shadowed(credentials: Credentials) -> str:
    """That the file is no fallback for a helper, with the entry that shows it."""
    if not credentials.shadowed:
        return "An entry in the file is not used instead."
    places = ", ".join(f"{each.place} (“{each.key}”)" for each in credentials.shadowed[:3])
    return f"The file has an entry as well, {places}: while the helper is named, it is not looked at."


def _ask_helper(call: HelperCall) -> str:
    return f"echo {shlex.quote(call.server)} | {shlex.quote(call.program)} get"


@rule("auth/helper-missing", "auth/helper-failed")
def helper(credentials: Credentials, registries: Registries) -> Iterator[Draft]:
    """The program that holds the credentials is not there, or does not deliver."""
    call = credentials.helper
    if call is None or call.outcome in (HelperOutcome.FOUND, HelperOutcome.NOT_FOUND):
        return
    named = f"{call.place} names the credential helper {call.program} ({call.setting}) for {credentials.key}"
    if call.outcome is HelperOutcome.MISSING:
        yield finding(
            "auth/helper-missing",
            f"{named}, and no such program is in PATH. Clients then fail to get credentials, for "
            "public images too.",
            fix=(f"install {call.program}, or remove {call.setting} from {call.place} and log in again",),
            evidence=("credentials",),
            endpoint=_first(registries),
        )
    else:
        how = "does not come to an end" if call.outcome is HelperOutcome.TIMEOUT else "fails"
        words = f": {call.message}" if call.message else ""
        yield finding(
            "auth/helper-failed",
            f"{named}. Asked for {call.server} it {how}{words}. {_shadowed(credentials)}",
            fix=(_ask_helper(call),),
            evidence=("credentials",),
            endpoint=_first(registries),
        )


@rule(
    "auth/credentials-missing",
    "auth/credentials-misfiled",
    "auth/credentials-malformed",
    "auth/helper-failed",
)
def nothing_to_send(
    target: Target,
    asked: Challenges,
    credentials: Credentials,
    settings: Settings,
    exchange: TokenExchange | None,
    refusal: Refusal | None,
    registries: Registries,
) -> Iterator[Draft]:
    """A login is wanted, and this host has none to give."""
    if credentials.found:
        return
    refused = access.anonymous_refused(target, asked, settings, exchange, refusal)
    if refused is None:
        return
    place = _first(registries)
    evidence = (*refused.evidence, "credentials")
    call = credentials.helper
    broken = access.unusable(credentials)
    if call is not None and call.outcome not in (HelperOutcome.FOUND, HelperOutcome.NOT_FOUND):
        return
    if broken:
        seen = " ".join(f"{each.place}, entry “{each.key}”: {each.message}." for each in broken[:3])
        yield finding(
            "auth/credentials-malformed",
            f"{refused.why} There is an entry for {credentials.key}, but clients cannot use it. {seen}",
            evidence=evidence,
            endpoint=place,
        )
    elif (
        call is not None
        and call.outcome is HelperOutcome.NOT_FOUND
        and access.helper_was_to_know(credentials)
    ):
        yield finding(
            "auth/helper-failed",
            f"{refused.why} {call.place} leaves the credentials for {credentials.key} to {call.program} "
            f"({call.setting}), which has nothing for {call.server}. {_shadowed(credentials)}",
            fix=(f"docker login {shlex.quote(credentials.key)}", _ask_helper(call)),
            evidence=evidence,
            endpoint=place,
        )
    elif credentials.near_misses:
        seen = " ".join(
            f"{each.place} has “{each.key}”{f' (user {each.username})' if each.username else ''}: {each.why}."
            for each in credentials.near_misses[:3]
        )
        yield finding(
            "auth/credentials-misfiled",
            f"{refused.why} Clients look credentials up as “{credentials.key}” and find none. {seen}",
            fix=(f"docker login {shlex.quote(credentials.key)}",),
            evidence=evidence,
            endpoint=place,
        )
    elif not refused.may_be_missing:
        files = " ".join(f"{each.place}: {each.message}." for each in credentials.problems[:2])
        yield finding(
            "auth/credentials-missing",
            f"{refused.why} No credentials are stored as “{credentials.key}” "
            f"(looked in {wording.looked(credentials)}). {files}".rstrip(),
            certainty=refused.certainty,
            evidence=evidence,
            endpoint=place,
        )


@rule("auth/credentials-rejected", "auth/credentials-malformed")
def credentials_rejected(
    asked: Challenges,
    credentials: Credentials,
    service: TokenService | None,
    exchange: TokenExchange | None,
    authorization: PullAuthorization | None,
    refusal: Refusal | None,
    registries: Registries,
) -> Iterator[Draft]:
    """Credentials are sent, and the registry or its token server says no."""
    if not credentials.found:
        return
    rejection = access.rejection(credentials, service, exchange, authorization, refusal)
    rejection = rejection or access.rejected_behind_open_ping(credentials, refusal)
    if rejection is None:
        return
    answer, by_whom = rejection
    where = wording.origin(credentials)
    seen = f"{by_whom} refuses the {where}: {wording.line(answer)}{wording.quoted(answer)}."
    odd = [each for each in credentials.problems if each.used]
    if odd:
        yield finding(
            "auth/credentials-malformed",
            f"{seen} {odd[0].place}: {odd[0].message}. It is sent as it stands, as a part of the password.",
            evidence=(answer.exchange, "credentials"),
            endpoint=_first(registries),
        )
        return
    notes = [seen]
    if credentials.username == "robot" or (credentials.username or "").endswith("+"):
        notes.append("The user name looks cut: a shell may have eaten what follows a “$”; use single quotes.")
    for other in (*credentials.shadowed, *credentials.near_misses)[:2]:
        notes.append(f"Another entry is not used: {other.place}, “{other.key}”: {other.why}.")
    proxy = wording.proxy_in_front(asked.answer)
    if proxy is not None and exchange is None:
        notes.append(
            f"{proxy} stands in front of the registry: if it drops the Authorization header, the answer is the "
            "same. Asking the registry directly, or its log, decides (“invalid authorization credential” means "
            "that no header came)."
        )
    yield finding(
        "auth/credentials-rejected",
        " ".join(notes),
        evidence=(answer.exchange, "credentials"),
        endpoint=_first(registries),
    )


@rule("auth/realm-unreachable", "auth/realm-scheme-mismatch")
def realm(
    service: TokenService,
    exchange: TokenExchange,
    addresses: TokenAddresses,
    connections: TokenConnections,
    handshakes: TokenHandshakes,
) -> Iterator[Draft]:
    """The registry sends clients to a token server that they cannot reach, or not with that scheme."""
    endpoint = service.host
    if endpoint is None:
        return
    named = f"The registry sends clients to the token server {service.realm}"
    other = exchange.other_scheme
    if exchange.withheld is not None:
        if service.downgrades:
            works = f" https works there ({wording.line(other)})." if other is not None else ""
            yield finding(
                "auth/realm-scheme-mismatch",
                f"{named}, an http URL, although the registry itself is asked over https.{works} docker and "
                "containerd would send the password there in clear, crane and ko refuse to; it was not sent now.",
                evidence=("token-service", *([other.exchange] if other is not None else [])),
                endpoint=endpoint,
            )
        return
    failure = exchange.failure
    if failure is None:
        if other is not None and exchange.answer is not None:
            yield finding(
                "auth/realm-scheme-mismatch",
                f"{named}. That port speaks TLS: {wording.line(exchange.answer)}, and over {_scheme(other.url)} "
                f"it is answered {other.status}. The realm has the wrong scheme.",
                evidence=(exchange.answer.exchange, other.exchange),
                endpoint=endpoint,
            )
        return
    if other is not None or (endpoint.scheme == "https" and failure.kind is FailureKind.TLS_NOT_SPOKEN):
        answers = f" Over {_scheme(other.url)} it is answered {other.status}." if other is not None else ""
        yield finding(
            "auth/realm-scheme-mismatch",
            f"{named}, and {endpoint.address} does not speak {endpoint.scheme} ({failure.message}).{answers} The "
            "realm has the wrong scheme; insecure-registries does not apply to token servers of other hosts.",
            evidence=("token-exchange", *([other.exchange] if other is not None else [])),
            endpoint=endpoint,
        )
        return
    mismatch = access.certificate_of_another(handshakes.get(endpoint))
    if failure.kind is FailureKind.TLS_VERIFICATION and mismatch is not None:
        yield finding(
            "auth/realm-scheme-mismatch",
            f"{named}, and the certificate there is not for {endpoint.host}: {mismatch}.",
            evidence=("token-exchange", "handshakes"),
            endpoint=endpoint,
        )
        return
    # What this host itself sees of the name and its addresses does not matter through a proxy.
    direct = endpoint.proxy is None
    cause, facts = access.why_unreachable(
        failure,
        addresses.get(endpoint) if direct else None,
        connections.get(endpoint) if direct else None,
        handshakes.get(endpoint),
    )
    yield finding(
        "auth/realm-unreachable",
        f"{named}, which cannot be used from here: {cause}. Credentials are not the problem: without a token "
        "from there nobody can pull.",
        evidence=("token-exchange", *facts),
        endpoint=endpoint,
    )


def _scheme(url: str) -> str:
    return url.partition(":")[0]


@rule("auth/token-server-error")
def token_server_error(service: TokenService, exchange: TokenExchange) -> Iterator[Draft]:
    """The token server answers, but not with a token."""
    answer = exchange.answer
    if answer is None or exchange.other_scheme is not None or exchange.token is not None:
        return
    seen = f"{wording.line(answer)}"
    if answer.status == 200:
        problem = exchange.problem or "there is no token in it"
        detail = f"{seen}, and {problem}. The registry sends clients there for a token ({service.realm})."
        if exchange.html:
            detail += " The realm seems to point at a sign-in page instead of the token service."
    elif access.judged_otherwise(exchange, answer):
        return
    else:
        wait = answer.header("retry-after")
        later = f" It asks to wait (Retry-After: {wait})." if wait else ""
        name = answer.producer.name
        who = f"{name} at the token server's address" if name is not None else "the token server"
        detail = (
            f"{seen}{wording.quoted(answer)} by {who}, not by the registry, whose name clients put in "
            f"front of the message.{later}"
        )
    yield finding(
        "auth/token-server-error",
        detail,
        evidence=(answer.exchange,),
        endpoint=service.host,
    )


@rule("auth/request-too-large")
def request_too_large(
    service: TokenService | None,
    exchange: TokenExchange | None,
    authorization: PullAuthorization | None,
    refusal: Refusal | None,
    registries: Registries,
) -> Iterator[Draft]:
    """A hop finds the URL or the headers too long."""
    if exchange is not None and exchange.answer is not None and wording.exceeds_limit(exchange.answer):
        answer = exchange.answer
        yield finding(
            "auth/request-too-large",
            f"{wording.line(answer)}: the request for a token is {exchange.request_bytes} bytes long with its "
            "Authorization header, more than a hop in front of the token server takes.",
            evidence=(answer.exchange,),
            endpoint=service.host if service is not None else None,
        )
    if refusal is not None and authorization is not None and wording.exceeds_limit(refusal.answer):
        yield finding(
            "auth/request-too-large",
            f"{wording.line(refusal.answer)}: the Authorization header with the token is "
            f"{authorization.header_bytes} bytes long, more than a hop in front of the registry takes. A request "
            "without it passes.",
            evidence=(refusal.answer.exchange,),
            endpoint=_first(registries),
        )


@rule("auth/header-stripped")
def header_stripped(
    asked: Challenges, authorization: PullAuthorization, refusal: Refusal, registries: Registries
) -> Iterator[Draft]:
    """What the client sends does not arrive: the registry answers as if nothing came."""
    certainty = access.header_lost(asked, authorization, refusal)
    if certainty is None:
        return
    refused, direct = refusal.answer, refusal.direct
    proxy = wording.proxy_in_front(refused) or "A proxy on the way"
    if direct is not None:
        shown = direct
        why = f"The registry itself accepts the same login ({wording.line(direct)}), so"
    elif refusal.malformed is not None:
        shown = refusal.malformed
        why = (
            "A fresh token was sent, and the challenge is the very one that anonymous requests get. Even a token "
            'that is none is answered so, where a registry that sees it says error="invalid_token":'
        )
    else:
        return
    yield finding(
        "auth/header-stripped",
        f"{wording.line(refused)}. {why} the Authorization header does not arrive. {proxy} drops or overwrites "
        "it.",
        certainty=certainty,
        evidence=(refused.exchange, shown.exchange),
        endpoint=_first(registries),
    )


@rule(
    "auth/token-rejected",
    "auth/token-time-skew",
    "auth/token-audience-mismatch",
    "auth/token-issuer-mismatch",
    "auth/token-key-untrusted",
)
def token_rejected(
    asked: Challenges,
    service: TokenService,
    exchange: TokenExchange,
    authorization: PullAuthorization,
    refusal: Refusal,
    configured: TokenSettings | None,
    registries: Registries,
) -> Iterator[Draft]:
    """The registry does not take the token that its own token server gave."""
    if exchange.token is None or not access.token_refused(asked, exchange, authorization, refusal):
        return
    for reason in tokens.reasons(service, exchange, refusal, configured):
        yield finding(
            reason.code,
            reason.detail,
            certainty=reason.certainty,
            evidence=(refusal.answer.exchange, "token-exchange", *reason.evidence),
            endpoint=_first(registries),
        )


@rule("auth/token-short-lived")
def token_short_lived(
    service: TokenService, exchange: TokenExchange, settings: Settings, sizes: UploadSizes | None = None
) -> Iterator[Draft]:
    """Uploads that take longer than the token lives end in a 401."""
    lifetime = tokens.lifetime(exchange)
    if lifetime is None or exchange.answer is None:
        return
    limit = SHORT_FOR_PUSHES if settings.push else SHORTEST_LIFETIME
    sent = tokens.slowest_upload(sizes)
    reaches = sent.size / sent.step.seconds * (lifetime + tokens.LEEWAY) if sent is not None else None
    span = wording.seconds(lifetime)
    lives = f"The token server gives tokens that live {span}; the registry allows a minute more"
    refused = "reaches 100 % and is then refused with “authentication required”"
    if lifetime < limit:
        longest = wording.seconds(lifetime + tokens.LEEWAY)
        detail = (
            f"{lives}. A layer whose upload takes longer than {longest} {refused}. "
            "The specification asks for 60 s at least."
        )
        certainty = Certainty.PROVEN
    elif sent is not None and reaches is not None and reaches < COMMON_LAYER:
        detail = (
            f"{lives}. {size_text(sent.size)} took {sent.step.seconds:.1f} s to upload from here: at that speed a "
            f"layer of more than about {size_text(int(reaches))} outlasts the token, {refused}."
        )
        certainty = Certainty.LIKELY
    else:
        return
    yield finding(
        "auth/token-short-lived",
        detail,
        certainty=certainty,
        evidence=(
            exchange.answer.exchange,
            "token-exchange",
            *(("upload-sizes",) if reaches is not None else ()),
        ),
        endpoint=service.host,
    )


@rule("auth/scope-denied", "auth/existence-hidden")
def no_access(
    target: Target,
    asked: Challenges,
    credentials: Credentials,
    settings: Settings,
    service: TokenService | None,
    exchange: TokenExchange | None,
    authorization: PullAuthorization | None,
    refusal: Refusal | None,
    registries: Registries,
) -> Iterator[Draft]:
    """The login is accepted, and the access to this repository is not given."""
    lack = access.lack_of_rights(
        target, asked, credentials, settings, service, exchange, authorization, refusal
    )
    if lack is None:
        return
    yield finding(
        lack.code,
        lack.detail,
        certainty=lack.certainty,
        fix=lack.fix,
        evidence=lack.evidence,
        endpoint=_first(registries),
    )


@rule("auth/scope-denied")
def content_denied(
    target: Target,
    authorization: PullAuthorization,
    look: ManifestLook,
    blobs: Blobs | None,
    registries: Registries,
) -> Iterator[Draft]:
    """The registry refuses content with 403 though it asked for no login, or gives the manifest and no layers."""
    if look.content is None:
        answer = look.answer
        refused = answer is not None and answer.status == 403 and access.is_about_rights(answer)
        denied = [answer] if answer is not None and refused and authorization.kind == "none" else []
        who = "asks for no login at /v2/, and then says this of the image itself"
    else:
        own = [blob.answer for blob in (blobs.blobs if blobs is not None else ()) if blob.redirect is None]
        denied = [answer for answer in own if answer is not None and access.is_about_rights(answer)]
        who = "gave the manifest with the same access, and not these parts of the image"
    if denied:
        yield finding(
            "auth/scope-denied",
            f"{wording.line(denied[0])}{wording.quoted(denied[0])}. The registry {who}: the rights to pull "
            f"{target.repository} are missing, or reach only as far as its metadata.",
            certainty=Certainty.LIKELY,
            evidence=tuple(answer.exchange for answer in denied[:5]),
            endpoint=_first(registries),
        )


@rule("auth/scope-denied", "auth/credentials-missing", "auth/ping-not-challenged")
def upload_denied(
    authorization: PullAuthorization,
    exchange: TokenExchange | None,
    session: UploadSession,
    registries: Registries,
    asked: Challenges | None,
    credentials: Credentials | None,
) -> Iterator[Draft]:
    """The image may be read, and an upload is refused for lack of rights, or because no login is asked for."""
    answer = session.start.answer
    if answer is None or session.own_repository or not (answer.status == 401 or access.is_denial(answer)):
        return
    if exchange is not None and access.lacks(exchange, "push"):
        return  # said of the token itself
    if refusals.reason(answer.body_excerpt) is not None:
        return  # judged among pushes
    said = f"{wording.line(answer)}{wording.quoted(answer)}"
    if authorization.kind == "none":
        found = credentials is not None and credentials.found
        if asked is not None and not asked.at_ping and answer.status == 401:
            yield finding(
                "auth/ping-not-challenged",
                f"GET /v2/ was answered {asked.ping_status} without a challenge, but {said}. docker and podman "
                "learn from /v2/ alone whether to log in, so they push without a login and are refused, "
                + (
                    f"although they have one ({wording.origin(credentials)})."
                    if credentials is not None and found
                    else "and docker login reports success for any password."
                ),
                severity=Severity.ERROR,
                evidence=(asked.ping_exchange, answer.exchange),
                endpoint=_first(registries),
            )
        if not found:
            yield finding(
                "auth/credentials-missing",
                f"Pulls need no login here, and an upload does: {said}. No credentials are stored for this "
                "registry.",
                evidence=(answer.exchange,),
                endpoint=_first(registries),
            )
        return
    who = f"the account “{authorization.username}”" if authorization.username else "this login"
    yield finding(
        "auth/scope-denied",
        f"{said}: {who} may read {session.repository} and may not push to it.",
        certainty=Certainty.PROVEN if answer.status == 403 else Certainty.LIKELY,
        evidence=(answer.exchange,),
        endpoint=_first(registries),
    )


@rule("auth/htpasswd-malformed")
def htpasswd_malformed(file: HtpasswdFile, settings: Settings) -> Iterator[Draft]:
    """One line for which the registry gives the whole file up."""
    yield from htpasswd_files.malformed(file)
    if settings.lint is not None:
        yield from htpasswd_files.unread(file)


@rule("auth/htpasswd-malformed")
def logins_answered_400(
    authorization: PullAuthorization, refusal: Refusal, file: HtpasswdFile | None, registries: Registries
) -> Iterator[Draft]:
    """What a password file that cannot be read looks like from outside, where nobody has the file at hand."""
    answer = refusal.answer
    if file is not None or authorization.kind != "basic" or answer.status != 400:
        return
    if answer.body_size or answer.header("docker-distribution-api-version") is None:
        return
    yield finding(
        "auth/htpasswd-malformed",
        f"{wording.line(answer)} with an empty body by the registry, for a request with a login; without one it "
        "asks for it as it should (401). Registry 2.x and 3 answer so where they cannot use their htpasswd file: "
        "one malformed line spoils it for everybody, and a file that may not be read does the same.",
        certainty=Certainty.LIKELY,
        fix=(
            "let the file be looked at: regdoctor check … --config CONFIG.YML, or regdoctor lint HTPASSWD-FILE",
        ),
        evidence=(answer.exchange,),
        endpoint=_first(registries),
    )


@rule("auth/htpasswd-hash-unsupported")
def htpasswd_hash_unsupported(
    file: HtpasswdFile, settings: Settings, credentials: Credentials | None
) -> Iterator[Draft]:
    """Users whose passwords the registry cannot compare."""
    yield from htpasswd_files.unsupported(file, credentials, alone=settings.lint is not None)


@rule("auth/htpasswd-generated")
def htpasswd_generated(file: HtpasswdFile, credentials: Credentials | None) -> Iterator[Draft]:
    """The file that the registry wrote for want of one."""
    yield from htpasswd_files.generated(file, credentials)


@rule("auth/pull-secret-invalid", "auth/credentials-misfiled")
def pull_secrets_of_pods(objects: KubernetesObjects, settings: Settings) -> Iterator[Draft]:
    """What the kubelet makes of pull secrets, and of the pods that name them."""
    yield from pull_secrets.unread(objects)
    yield from pull_secrets.unusable(objects)
    yield from pull_secrets.misplaced(objects)
    yield from pull_secrets.wrongly_named(objects)
    if settings.lint is not None:
        yield from pull_secrets.misfiled(objects)


@rule("auth/pull-secret-invalid", "auth/credentials-misfiled")
def pull_secret_for_target(objects: KubernetesObjects, target: Target) -> Iterator[Draft]:
    """The pull secret that was given, against the image that is checked."""
    yield from pull_secrets.for_target(objects, target)


@rule("auth/credentials-malformed")
def stored_entry_malformed(settings: CredentialSettings) -> Iterator[Draft]:
    """Entries, in a file that is judged by itself, that no client can use as they stand."""
    if not settings.malformed:
        return
    shown = [f"{flaw.place}, {flaw.key}: {flaw.message}" for flaw in settings.malformed[:5]]
    used = all(flaw.kind is FlawKind.IGNORED for flaw in settings.malformed)
    yield finding(
        "auth/credentials-malformed",
        f"{'; '.join(shown)}.",
        certainty=Certainty.LIKELY if used else Certainty.PROVEN,
        severity=Severity.WARNING if used else None,
        evidence=tuple(flaw.place for flaw in settings.malformed[:20]),
    )
