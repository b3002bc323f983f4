"""Judges handshakes and served chains as docker, podman and containerd would.

All three are written in Go: only subject alternative names count, nothing is fetched to complete a chain,
and every certificate of the path must be valid today (``crypto/x509`` ``verify.go``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from regdoctor.api import (
    Certainty,
    ClientRejections,
    ConfiguredFiles,
    DateReadings,
    Draft,
    EffectiveConfiguration,
    Endpoint,
    Failure,
    FailureKind,
    Handshake,
    Handshakes,
    MissingIssuers,
    Moment,
    NtpReadings,
    Ping,
    PlainPort,
    RunningDaemons,
    ServedCertificate,
    Settings,
    SpareNtpReadings,
    TimeDaemons,
    clocks,
    finding,
    rule,
)

from . import words
from .chains import (
    ANY_USAGE,
    EXPIRED,
    INVALID_PURPOSE,
    NOT_YET_VALID,
    SERVER_AUTH,
    Served,
    served,
    why_untrusted,
)

EVIDENCE = ("handshakes",)

LEGACY_PROTOCOLS = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})

WEAK_HASHES = frozenset({"md2", "md4", "md5", "sha1"})
SMALLEST_RSA_KEY = 2048
SMALLEST_EC_KEY = 224
"""Bits: NIST SP 800-131A Revision 2, section 3."""

_ABOUT_CLIENT_CERTIFICATE = frozenset(
    {
        "certificate_required",
        "bad_certificate",
        "certificate_unknown",
        "certificate_expired",
        "certificate_revoked",
        "unsupported_certificate",
        "unknown_ca",
        "access_denied",
        "handshake_failure",
    }
)
"""Alerts that servers end a handshake with where they do not like the client's certificate (RFC 8446 6.2)."""

_REFUSED_CLIENT = re.compile(r"(?:ssl|tls|client) certificate", re.IGNORECASE)
_WANTS_TLS = re.compile(
    r"to an HTTPS server|sent to HTTPS port|SSL-enabled server port|requires TLS", re.IGNORECASE
)
"""What TLS servers answer to a request without TLS: Go net/http, nginx, Apache httpd, Tomcat."""
_REFUSED_CLIENT_STATUSES = frozenset({400, 403, 495, 496})
"""nginx answers 400 with such words (ngx_http_special_response.c, 495 and 496 inside)."""


@rule("tls/plain-http-server")
def plain_http_server(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """The TLS greeting, or a request without TLS on the same port, was answered in plain HTTP."""
    plain = [each for each in handshakes.handshakes if _speaks_plain_http(each)]
    if not plain:
        return
    first = plain[0]
    greeted, asked = first.plaintext_excerpt or "", first.plain_http_excerpt or ""
    detail = f"{endpoint.address} is addressed by https, but speaks plain HTTP."
    if greeted.startswith("HTTP/"):
        detail += f' {first.address} answered the TLS greeting with "{words.first_line(greeted)}".'
    if asked.startswith("HTTP/"):
        registry = "docker-distribution-api-version" in asked.lower()
        detail += f' GET /v2/ without TLS gives "{words.first_line(asked)}"'
        detail += ", from a registry." if registry else "."
    if words.is_loopback(first.address):
        detail += (
            " docker and containerd on this very host go on in HTTP for a loopback address, so it may work"
            " from here; podman, buildah and skopeo refuse it, and so does every other host."
        )
    else:
        detail += (
            f" docker and containerd stop there, unless {endpoint.address} is configured as insecure: http: "
            "server"
            " gave HTTP response to HTTPS client."
        )
    spared = [each.address for each in handshakes.handshakes if each.protocol is not None]
    if spared:
        detail += (
            f" Of the same name, {words.listed(spared)} {'does' if len(spared) == 1 else 'do'} speak TLS."
        )
    yield finding("tls/plain-http-server", detail, evidence=EVIDENCE)


def _speaks_plain_http(handshake: Handshake) -> bool:
    excerpts = (handshake.plaintext_excerpt, handshake.plain_http_excerpt)
    return handshake.protocol is None and any(
        each is not None and each.startswith("HTTP/") and not _WANTS_TLS.search(each) for each in excerpts
    )


@rule("tls/tls-server-plain-client")
def tls_server_plain_client(endpoint: Endpoint, port: PlainPort, ping: Ping | None) -> Iterator[Draft]:
    """A port that is addressed by http completes a TLS handshake, and HTTP without TLS goes wrong there."""
    handshake = port.handshake
    if handshake.protocol is None:
        return
    answer = ping.answer if ping is not None else None
    if answer is not None:
        excerpt = words.first_text(answer.body_excerpt)
        seen = f"GET {answer.url} is answered with {answer.status}" + (f' "{excerpt}".' if excerpt else ".")
    else:
        failure = ping.failure.message if ping is not None and ping.failure is not None else "no HTTP answer"
        seen = f"GET {endpoint.url}{endpoint.path} fails: {failure}."
    yield finding(
        "tls/tls-server-plain-client",
        f"{endpoint.address} is addressed by http, but speaks TLS: {handshake.address} completes a handshake "
        f"({handshake.protocol}, certificate for "
        f"{words.names(handshake.chain[0]) if handshake.chain else '?'}). {seen}",
        evidence=("plain-port", *((answer.exchange,) if answer is not None else ())),
    )


@rule("tls/tls-server-plain-client")
def proxy_passes_on_in_plain_http(endpoint: Endpoint, ping: Ping, port: PlainPort | None) -> Iterator[Draft]:
    """A hop is reached as it should be, and what is behind it says that it wants TLS."""
    answer = ping.answer
    if answer is None or answer.status != 400 or _WANTS_TLS.search(answer.body_excerpt) is None:
        return
    if endpoint.scheme != "https" and (port is None or port.handshake.protocol is not None):
        return
    yield finding(
        "tls/tls-server-plain-client",
        f'GET {answer.url} is answered with 400 "{words.first_text(answer.body_excerpt, _WANTS_TLS)}". The way '
        f"to {endpoint.address} is well, so a proxy there passes requests on in plain HTTP to a port that speaks "
        "TLS.",
        fix=(
            "in the proxy pass on by https: nginx proxy_pass https://REGISTRY:5000; haproxy: server ... ssl; "
            "or let the registry behind it serve without TLS",
        ),
        evidence=(answer.exchange,),
    )


@rule("tls/self-signed", "tls/missing-intermediate", "tls/unknown-authority")
def untrusted(endpoint: Endpoint, handshakes: Handshakes, issuers: MissingIssuers | None) -> Iterator[Draft]:
    """No path leads from the served certificate to an authority that is trusted, whatever the dates."""
    for each in served(handshakes):
        fault = why_untrusted(each, issuers)
        if fault is None or each.is_default or each.leaf.problem is not None:
            continue
        if fault.code == "tls/self-signed" and not each.covers_name:
            # A certificate for the right name is needed anyway: the finding about the name says all.
            continue
        yield finding(
            fault.code,
            f"{endpoint.address} serves a certificate for {words.names(each.leaf)} that no trusted "
            "authority vouches "
            f"for. {fault.why}{each.where}",
            certainty=fault.certainty,
            fix=fault.fix,
            evidence=(*EVIDENCE, *(("missing-issuers",) if issuers is not None else ())),
        )


@rule("tls/proxy-default-certificate")
def default_certificate(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """An ingress or proxy serves what it made for names that it does not know."""
    for each in served(handshakes):
        if each.is_default:
            yield finding(
                "tls/proxy-default-certificate",
                f"{endpoint.address} answers with the certificate {words.called(each.leaf)} (for "
                f"{words.names(each.leaf)}), "
                "which an ingress or proxy makes for itself and serves where it has no certificate for a "
                "name: for "
                f"{each.handshake.server_name} none is configured there, or it could not be loaded. "
                "Trusting this "
                f"one does not help, it changes with the next restart.{each.where}",
                evidence=EVIDENCE,
            )


_CLOCK = "clock/client-skew"


@rule("tls/expired")
def expired(
    endpoint: Endpoint,
    handshakes: Handshakes,
    moment: Moment,
    settings: Settings,
    dates: DateReadings | None,
    ntp: NtpReadings | None,
    spare: SpareNtpReadings | None,
    daemons: TimeDaemons | None,
) -> Iterator[Draft]:
    """The leaf's end date has passed by this host's clock."""
    right = clocks.correction(dates, ntp, spare, daemons, settings.clock_tolerance)
    by_right_time = moment.now + timedelta(seconds=right.offset)
    for each in served(handshakes):
        leaf = each.leaf
        really = leaf.not_after < by_right_time
        unseen = really and leaf.not_after >= moment.now
        if each.is_default or not (leaf.not_after < moment.now or (unseen and right.by_ntp)):
            continue
        ended = (
            f"By this host's clock, {words.date(moment.now)}, it is valid, but that clock is wrong: by NTP it "
            f"expired {words.span(by_right_time - leaf.not_after)} ago, and every other client refuses it."
            if unseen
            else f"By this host's clock, {words.date(moment.now)}, it expired "
            f"{words.span(moment.now - leaf.not_after)} ago.{_beside(right, really)} docker says: x509: "
            "certificate has expired or is not yet valid."
        )
        yield finding(
            "tls/expired",
            f"The certificate that {endpoint.address} serves ({words.called(leaf)}) was valid from "
            f"{words.date(leaf.not_before)} until {words.date(leaf.not_after)}. {ended}{each.where}",
            evidence=EVIDENCE,
            unexplained_by=(_CLOCK,) if really else (),
        )


@rule("tls/expired", "tls/not-yet-valid")
def configured_certificate(
    configuration: EffectiveConfiguration, files: ConfiguredFiles, moment: Moment, settings: Settings
) -> Iterator[Draft]:
    """Of a configuration by itself: the certificate that the registry would serve. A live one is seen served."""
    file = files.of("http", "tls", "certificate")
    entry = configuration.settings.get("http", "tls", "certificate")
    if settings.lint is None or file is None or file.certificate is None or entry is None:
        return
    certificate, place = file.certificate, configuration.settings.origin(entry)
    seen = (
        f"{place}: the certificate in {file.path} ({certificate.subject}) is valid from "
        f"{words.date(certificate.not_before)} until {words.date(certificate.not_after)}"
    )
    outcome = "The registry starts with it all the same, and every client refuses it."
    if certificate.not_after < moment.now:
        ago = words.span(moment.now - certificate.not_after)
        yield finding("tls/expired", f"{seen}: it expired {ago} ago. {outcome}", evidence=(place,))
    elif certificate.not_before > moment.now:
        ahead = words.span(certificate.not_before - moment.now)
        yield finding(
            "tls/not-yet-valid",
            f"{seen}: by this host's clock it becomes valid in {ahead}. {outcome}",
            evidence=(place,),
        )


def _beside(right: clocks.Correction, really: bool) -> str:
    """What a wrong clock of this host changes about a certificate that is expired by it; else nothing."""
    if not right.offset:
        return ""
    return (
        " This host's clock is wrong besides; by the right time it has expired as well."
        if really
        else " By the right time it is still valid: this host's clock is wrong."
    )


@rule("tls/intermediate-expired")
def intermediate_expired(
    endpoint: Endpoint,
    handshakes: Handshakes,
    moment: Moment,
    settings: Settings,
    dates: DateReadings | None,
    ntp: NtpReadings | None,
    spare: SpareNtpReadings | None,
    daemons: TimeDaemons | None,
) -> Iterator[Draft]:
    """A certificate above the leaf has expired, and no other path is there."""
    right = clocks.correction(dates, ntp, spare, daemons, settings.clock_tolerance)
    for each in served(handshakes):
        expired_above = [
            (error.subject, certificate) for error, certificate in each.path_errors(EXPIRED) if error.depth
        ]
        ends = [certificate.not_after for _, certificate in expired_above if certificate is not None]
        found = [_dated(subject, certificate) for subject, certificate in expired_above]
        if not found and each.verification is not None and not each.verification.path:
            # Without any path: where every way up that is served has expired.
            above = [each.handshake.chain[position] for position in _signers_of_leaf(each)]
            if above and all(certificate.not_after < moment.now for certificate in above):
                found = [_dated(words.called(certificate), certificate) for certificate in above]
                ends = [certificate.not_after for certificate in above]
        if found:
            really = bool(ends) and min(ends) < moment.now + timedelta(seconds=right.offset)
            yield finding(
                "tls/intermediate-expired",
                f"In the chain of {endpoint.address}, above the server's own certificate, has expired by "
                "this host's "
                f"clock ({words.date(moment.now)}): {'; '.join(found)}. There is no other path to a trusted "
                "root, so "
                f"docker, podman and containerd refuse the chain.{_beside(right, really)}{each.where}",
                evidence=EVIDENCE,
                unexplained_by=(_CLOCK,) if really else (),
            )


def _dated(subject: str, certificate: ServedCertificate | None) -> str:
    return subject if certificate is None else f"{subject} (valid until {words.date(certificate.not_after)})"


def _signers_of_leaf(each: Served) -> Sequence[int]:
    return [position for position in (each.handshake.signers or ((),))[0] if position > 0]


@rule("tls/not-yet-valid")
def not_yet_valid(
    endpoint: Endpoint,
    handshakes: Handshakes,
    moment: Moment,
    settings: Settings,
    dates: DateReadings | None,
    ntp: NtpReadings | None,
    spare: SpareNtpReadings | None,
    daemons: TimeDaemons | None,
) -> Iterator[Draft]:
    """A start date lies in the future, by the right time as far as anybody told it."""
    right = clocks.correction(dates, ntp, spare, daemons, settings.clock_tolerance)
    for each in served(handshakes):
        start = _latest_start(each, moment.now)
        if start is None or each.is_default or moment.now + timedelta(seconds=right.offset) >= start:
            continue
        yield finding(
            "tls/not-yet-valid",
            f"The certificate chain that {endpoint.address} serves becomes valid only at "
            f"{words.date(start)}, in "
            f"{words.span(start - moment.now)} by this host's clock ({words.date(moment.now)}). "
            f"{_about_clocks(endpoint, right, dates, start, moment)} docker "
            f"says: x509: certificate has expired or is not yet valid.{each.where}",
            certainty=Certainty.PROVEN if right.by_ntp else Certainty.LIKELY,
            evidence=EVIDENCE,
            unexplained_by=(_CLOCK,),
        )


def _about_clocks(
    endpoint: Endpoint,
    right: clocks.Correction,
    dates: DateReadings | None,
    start: datetime,
    moment: Moment,
) -> str:
    """What is known of the clocks, for a certificate that is not valid yet by the right time."""
    own = next(
        (each for each in (dates.readings if dates is not None else ()) if each.endpoint == endpoint), None
    )
    seen = ""
    if own is not None and moment.now + timedelta(seconds=own.offset) >= start:
        seen = (
            f" By the clock of {own.host} ({words.date(own.date)}) it is valid: perhaps it was made there, "
            "by a clock that is ahead."
        )
    if right.offset:
        return f"This host's clock is wrong besides; by the right time it is not valid yet either.{seen}"
    if right.by_ntp:
        return f"NTP confirms this host's clock.{seen}"
    return f"Nothing that was asked says that this host's clock is behind; --ntp-server SERVER would decide.{seen}"


def _latest_start(each: Served, now: datetime) -> datetime | None:
    """When the leaf and its path become valid, where that is in the future."""
    starts = [each.leaf.not_before]
    starts += [found.not_before for _, found in each.path_errors(NOT_YET_VALID) if found is not None]
    latest = max(starts)
    return latest if latest > now else None


_LONGEST_RENEWED_BY_PROGRAM = timedelta(hours=25)
"""No person renews a certificate every day. Caddy's own authority issues for 12 hours and renews with a third
left, its intermediate of 7 days with a fifth left (modules/caddypki); step-ca issues for 24 hours. Less than
a sixth left means that the program is late."""


@rule("tls/expires-soon")
def expires_soon(
    endpoint: Endpoint, handshakes: Handshakes, moment: Moment, settings: Settings
) -> Iterator[Draft]:
    """The leaf, or what it needs above it, ends within the warning window."""
    window = timedelta(days=settings.expiry_warning)
    for each in served(handshakes):
        verification = each.verification
        on_path = set(verification.path) if verification is not None else set()
        needed = [each.leaf, *(above for above in each.handshake.chain[1:] if above.sha256 in on_path)]
        by_program = _lifetime(each.leaf) <= _LONGEST_RENEWED_BY_PROGRAM
        soon = [
            f"{words.called(certificate)} expires on {words.date(certificate.not_after)}, in "
            f"{words.span(certificate.not_after - moment.now)}"
            for certificate in needed
            if moment.now <= certificate.not_after < moment.now + window
            and not (by_program and certificate.not_after - moment.now > _lifetime(certificate) / 6)
        ]
        if soon and not each.is_default:
            yield finding(
                "tls/expires-soon",
                f"In the chain that {endpoint.address} serves, {'; '.join(soon)}. That is within the "
                "warning window of "
                f"{words.count(settings.expiry_warning, 'day')}.{each.where}",
                evidence=EVIDENCE,
            )


def _lifetime(certificate: ServedCertificate) -> timedelta:
    return certificate.not_after - certificate.not_before


@rule("tls/hostname-mismatch", "tls/no-ip-san", "tls/common-name-only")
def wrong_name(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """No subject alternative name covers the name used."""
    for each in served(handshakes):
        leaf, host = each.leaf, each.handshake.server_name
        if each.covers_name or leaf.problem is not None or each.is_default:
            continue
        more = each.where
        if leaf.self_signed:
            more = f" It is self-signed besides: what replaces it has to be made known to the clients.{more}"
        if not leaf.has_alternative_names and (leaf.common_name == host or not words.is_ip(host)):
            code = "tls/common-name-only"
            detail = (
                f"The certificate that {endpoint.address} serves has no subject alternative name, only the "
                "common name "
                f"{leaf.common_name or '(none)'}. docker, podman and containerd do not look at the common "
                "name and "
                "refuse the certificate, although openssl and older programs accept it."
            )
        elif words.is_ip(host):
            code = "tls/no-ip-san"
            detail = (
                f"{endpoint.address} is addressed by IP, and its certificate is made for "
                f"{words.names(leaf)}: the "
                f"address {host} is not listed there as an IP address. A DNS entry or the common name does "
                "not "
                "stand for it."
            )
        else:
            code = "tls/hostname-mismatch"
            detail = (
                f"The certificate that {endpoint.address} serves is made for {words.names(leaf)}, and not "
                "for "
                f"{host}.{words.wildcard_note(leaf, host)}"
            )
        yield finding(code, detail + more, evidence=EVIDENCE)


@rule("tls/wrong-key-usage")
def wrong_key_usage(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """The extended key usage of the leaf, or of an authority above it, leaves servers out."""
    for each in served(handshakes):
        wrong = [error.subject for error, _ in each.path_errors(INVALID_PURPOSE)]
        usages = each.leaf.extended_key_usages
        if not wrong and usages and not {SERVER_AUTH, ANY_USAGE} & set(usages):
            wrong = [words.called(each.leaf)]
        if wrong and not each.is_default:
            yield finding(
                "tls/wrong-key-usage",
                f"In the chain that {endpoint.address} serves, {words.listed(wrong)} may not be used for "
                "servers: the "
                f"extended key usage does not list server authentication ({SERVER_AUTH}). docker says: x509: "
                f"certificate specifies an incompatible key usage.{each.where}",
                evidence=EVIDENCE,
            )


@rule("tls/weak-key")
def weak_key(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """A key in the chain is shorter than what is thought safe."""
    for each in served(handshakes):
        weak = [
            f"{words.called(certificate)} ({certificate.key_type} {certificate.key_bits} bits)"
            for certificate in (each.leaf, *each.ancestors)
            if _is_weak(certificate)
        ]
        if weak:
            yield finding(
                "tls/weak-key",
                f"In the chain that {endpoint.address} serves, these keys are too short: "
                f"{words.listed(weak)}. Go's "
                "clients take RSA keys from 1024 bits on, OpenSSL at its usual level and FIPS systems want "
                f"{SMALLEST_RSA_KEY}.{each.where}",
                evidence=EVIDENCE,
            )


def _is_weak(certificate: ServedCertificate) -> bool:
    smallest = {"RSA": SMALLEST_RSA_KEY, "EC": SMALLEST_EC_KEY, "DSA": 1 << 20}.get(certificate.key_type, 0)
    return 0 < certificate.key_bits < smallest


@rule("tls/weak-signature")
def weak_signature(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """A certificate that is verified by its signature has one that can be forged."""
    for each in served(handshakes):
        weak = [
            f"{words.called(certificate)} ({certificate.signature_hash})"
            for certificate in (each.leaf, *each.ancestors)
            if not certificate.self_signed and certificate.signature_hash in WEAK_HASHES
        ]
        if weak:
            yield finding(
                "tls/weak-signature",
                f"In the chain that {endpoint.address} serves, these certificates are signed with a broken "
                "hash: "
                f"{words.listed(weak)}. Clients built with Go 1.18 or newer (docker 23 and newer) refuse "
                "them: x509: "
                f"cannot verify signature: insecure algorithm.{each.where}",
                evidence=EVIDENCE,
            )


@rule("tls/chain-order")
def chain_order(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """Certificates stand in the wrong place, or belong to no path."""
    for each in served(handshakes):
        if each.is_default or each.leaf.problem is not None:
            continue
        parts = []
        if each.out_of_order:
            names = words.listed(words.called(certificate) for certificate in each.out_of_order)
            parts.append(f"stand before the certificate that they signed: {names}")
        if each.strangers:
            names = words.listed(words.called(certificate) for certificate in each.strangers)
            parts.append(f"have no part in the path of the server's certificate: {names}")
        if parts:
            order = " > ".join(words.called(certificate) for certificate in each.handshake.chain[:8])
            yield finding(
                "tls/chain-order",
                f"Of the {words.count(len(each.handshake.chain), 'certificate')} that {endpoint.address} "
                "sends, these "
                f"{'; these '.join(parts)}. Sent: {order}.{each.where}",
                evidence=EVIDENCE,
            )


@rule("tls/trust-differs")
def trust_differs(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """One client of this host accepts the chain, and another, with files of its own, rejects it."""
    for each in served(handshakes):
        # Nobody has to trust by the system alone what a client was given files for.
        verifications = [one for one in each.handshake.verifications if one.context.name != "system"]
        accepting = [one for one in verifications if one.accepted]
        rejecting = [one for one in verifications if not one.accepted]
        if not accepting or not rejecting or each.is_default:
            continue

        def clients(names: Sequence[str]) -> str:
            return words.listed(_CLIENTS.get(name, name) for name in names)

        refusal = "; ".join(
            f"{_CLIENTS.get(one.context.name, one.context.name)} with {words.trusted(one.context)}: "
            f"{one.errors[0].name.replace('-', ' ')}"
            for one in rejecting
        )
        yield finding(
            "tls/trust-differs",
            f"The chain that {endpoint.address} serves is accepted by "
            f"{clients([one.context.name for one in accepting])}"
            f" on this host and rejected by {clients([one.context.name for one in rejecting])}. Rejected: "
            f"{refusal}.{each.where}",
            evidence=EVIDENCE,
        )


@rule("tls/trust-differs")
def store_not_read_again(
    endpoint: Endpoint, handshakes: Handshakes, running: RunningDaemons
) -> Iterator[Draft]:
    """A running daemon has read the system's store before the authority that is needed was added to it."""
    for each in served(handshakes):
        verification = each.verification
        if verification is None or not verification.accepted or verification.anchor is None:
            continue
        anchor = verification.anchor
        if anchor.subject in verification.context.own_authorities:
            # Files for this registry are read again for each request.
            continue
        added = [one for one in running.authorities if anchor.sha256 in one.sha256]
        early = [
            daemon
            for daemon in running.daemons
            if added and all(daemon.started_at < one.changed_at for one in added)
        ]
        if early:
            since = words.listed(
                f"{daemon.name} (pid {daemon.pid}, running since {words.date(daemon.started_at)})"
                for daemon in early
            )
            yield finding(
                "tls/trust-differs",
                f"The chain that {endpoint.address} serves leads to {words.called(anchor)}, which was added to "
                "this "
                f"host's authorities at {words.date(added[0].changed_at)} ({added[0].path}). {since} read "
                "the "
                "system's authorities before, when it was started, and does not know this one. Programs "
                "started "
                f"later, such as curl, accept the chain.{each.where}",
                certainty=Certainty.LIKELY,
                fix=(
                    f"systemctl restart {' '.join(_UNITS.get(daemon.name, daemon.name) for daemon in early)}",
                ),
                evidence=(*EVIDENCE, "running-daemons"),
            )


_UNITS = {"dockerd": "docker", "buildkitd": "buildkit"}

_CLIENTS = {
    "docker": "docker",
    "containers": "podman, skopeo and CRI-O",
    "containerd": "containerd",
    "given": "a client with the given authorities",
}


@rule("tls/legacy-protocol")
def legacy_protocol(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """A handshake comes about with TLS 1.1 or older alone."""
    old = [each for each in handshakes.handshakes if each.protocol in LEGACY_PROTOCOLS]
    if old and old[0].usual_failure is not None:
        yield finding(
            "tls/legacy-protocol",
            f"{endpoint.address} ({words.listed(each.address for each in old)}) refuses TLS 1.2 and 1.3 "
            f"({_reason(old[0].usual_failure)}) and goes on with {old[0].protocol} and {old[0].cipher} "
            "where that is "
            "offered. docker, containerd and podman offer nothing below TLS 1.2.",
            evidence=EVIDENCE,
        )


@rule("tls/client-certificate-required")
def client_certificate_required(
    endpoint: Endpoint, handshakes: Handshakes, ping: Ping | None
) -> Iterator[Draft]:
    """The server asks for a client certificate and does not go on without one that it accepts."""
    asked = [each for each in handshakes.handshakes if each.client_certificate_requested]
    refused = [each for each in asked if _refuses_client(each)]
    answer = ping.answer if ping is not None else None
    if refused:
        seen = f"{refused[0].address} then ends the connection: {_reason(refused[0].failure)}."
        first = refused[0]
        alert = first.failure is not None and first.failure.kind is FailureKind.TLS_ALERT
    elif (
        asked
        and answer is not None
        and answer.status in _REFUSED_CLIENT_STATUSES
        and _REFUSED_CLIENT.search(answer.body_excerpt)
    ):
        first, alert = asked[0], True
        line = words.first_text(answer.body_excerpt, _REFUSED_CLIENT)
        seen = f'The handshake succeeds, and then the answer is {answer.status} "{line}".'
    else:
        return
    wanted = (
        f" It wants one that was issued by {words.listed(first.client_authorities)}."
        if first.client_authorities
        else ""
    )
    if first.client_certificate is not None:
        own = first.client_certificate
        have = (
            f"This host offered {words.called(own)}, issued by {own.issuer}, valid until "
            f"{words.date(own.not_after)}, and the "
            "server does not accept it."
        )
    elif first.client_certificate_problem is not None:
        have = f"This host could not offer the one that it has: {first.client_certificate_problem}."
    else:
        have = "This host has none to offer for this registry."
    yield finding(
        "tls/client-certificate-required",
        f"{endpoint.address} asks for a client certificate in the TLS handshake.{wanted} {have} {seen} The "
        "message of "
        "docker, remote error: tls: bad certificate, is about the client's certificate and not the "
        "registry's.",
        certainty=Certainty.PROVEN if alert else Certainty.LIKELY,
        evidence=(*EVIDENCE, *((answer.exchange,) if answer is not None and not refused else ())),
    )


def _refuses_client(handshake: Handshake) -> bool:
    failure = handshake.failure
    if failure is None or not handshake.client_certificate_requested:
        return False
    if failure.kind is FailureKind.TLS_ALERT:
        return failure.alert in _ABOUT_CLIENT_CERTIFICATE
    return failure.kind in (FailureKind.CONNECTION_CLOSED, FailureKind.CONNECTION_RESET)


@rule("tls/handshake-timeout")
def handshake_timeout(endpoint: Endpoint, handshakes: Handshakes, settings: Settings) -> Iterator[Draft]:
    """The connection opens, and the handshake is not finished in time."""
    silent = [
        each
        for each in handshakes.handshakes
        if each.failure is not None
        and each.failure.kind is FailureKind.TLS_TIMEOUT
        and each.protocol is None
        and not _speaks_plain_http(each)
    ]
    if silent:
        answering = [each.address for each in handshakes.handshakes if each.protocol is not None]
        yield finding(
            "tls/handshake-timeout",
            f"{endpoint.address} ({words.listed(each.address for each in silent)}) accepts the connection "
            "and does not "
            f"finish the TLS handshake within {settings.timeout:g} s; a request without TLS is not answered "
            "either. docker says: net/http: TLS handshake timeout."
            + (f" {words.listed(answering)} answers." if answering else ""),
            evidence=EVIDENCE,
        )


@rule("tls/handshake-failed")
def handshake_failed(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """The handshake ends for a reason that has no code of its own."""
    seen: dict[str, list[str]] = {}
    for each in handshakes.handshakes:
        why = _why_failed(each)
        if why is not None:
            seen.setdefault(why, []).append(each.address)
    for why, addresses in seen.items():
        fine = [each.address for each in handshakes.handshakes if _why_failed(each) is None and each.protocol]
        yield finding(
            "tls/handshake-failed",
            f"The TLS handshake with {endpoint.address} ({words.listed(addresses)}) fails: {why}"
            + (f" {words.listed(fine)} completes it." if fine else ""),
            evidence=EVIDENCE,
        )


_HANDSHAKE_FAULTS = frozenset(
    {
        FailureKind.TLS_ALERT,
        FailureKind.TLS_FAILURE,
        FailureKind.TLS_NOT_SPOKEN,
        FailureKind.CONNECTION_CLOSED,
        FailureKind.CONNECTION_RESET,
    }
)


def _why_failed(handshake: Handshake) -> str | None:
    """Sentences that say why, or None where it did not fail or another rule says it."""
    failure = handshake.failure
    if failure is None:
        if handshake.usual_failure is not None and handshake.protocol not in LEGACY_PROTOCOLS:
            return (
                f"with what Go's clients offer it is broken off ({_reason(handshake.usual_failure)}), and "
                "only with "
                f"other cipher suites it succeeds ({handshake.protocol}, {handshake.cipher}). docker, "
                "podman and "
                "containerd do not have that suite."
            )
        if handshake.chain and handshake.chain[0].problem is not None:
            return (
                f"the certificate cannot be read in full ({handshake.chain[0].problem}); Go's clients "
                "refuse such a "
                "certificate."
            )
        return None
    if failure.kind not in _HANDSHAKE_FAULTS or _refuses_client(handshake) or _speaks_plain_http(handshake):
        return None
    if handshake.plaintext_excerpt:
        return (
            f"the answer to the TLS greeting is no TLS and no HTTP either, it begins with "
            f'"{words.first_line(handshake.plaintext_excerpt)}". Another service listens on this port.'
        )
    return f"{_reason(failure)}."


def _reason(failure: Failure | None) -> str:
    """What ended a handshake, the alert by name."""
    if failure is None:
        return "no reason was given"
    if failure.alert is not None:
        return f"alert {failure.alert}"
    known = {
        FailureKind.CONNECTION_CLOSED: "the server closes the connection without an alert",
        FailureKind.CONNECTION_RESET: "the server resets the connection",
    }
    return known.get(failure.kind) or failure.exception or failure.message


@rule("tls/client-distrusts")
def client_distrusts(rejections: ClientRejections) -> Iterator[Draft]:
    """The server's log shows clients that broke off the handshake because of its certificate."""
    if not rejections.last:
        return
    clients = list(dict.fromkeys(each.client for each in rejections.last))
    alerts = list(dict.fromkeys(each.alert for each in rejections.last))
    latest = rejections.last[-1]
    shown = ", ".join(clients[:5]) + (f" and {len(clients) - 5} more" if len(clients) > 5 else "")
    place = rejections.path if latest.line is None else f"{rejections.path}:{latest.line}"
    yield finding(
        "tls/client-distrusts",
        f"{rejections.count} handshakes in {rejections.path} were ended by the client with an alert about this "
        f"server's certificate ({', '.join(alerts)}). The clients: {shown}. What they lack or object to is seen "
        "from there, not from here.",
        evidence=(place,),
    )
