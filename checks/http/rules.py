"""What the answers at ``/v2/``, and those that follow, mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from regdoctor.api import (
    Answer,
    Blobs,
    Certainty,
    DirectLook,
    Draft,
    Endpoint,
    Failure,
    FailureKind,
    Handshake,
    Handshakes,
    IndexChildren,
    ManifestLook,
    PathPrefixes,
    Ping,
    PlainLook,
    PlainPort,
    ProducerKind,
    ProxyAnswer,
    PullAuthorization,
    RepeatedQuestion,
    Replicas,
    Role,
    Severity,
    Target,
    TokenExchange,
    TokenService,
    UploadSession,
    UploadSizes,
    VerifiedBlobs,
    finding,
    manifests,
    resolve_location,
    rule,
)

from . import answers, limits, refusals, rewriting

_TLS_TEXTS = (
    "http request was sent to https port",
    "http request to an https server",
    "sent to https port",
    "ssl-enabled server port",
    "requires tls",
    "ssl certificate",
)
"""Parts of the 400 pages that are about TLS and judged there (nginx, Go ``net/http``, Apache httpd, Tomcat)."""

_TOO_LONG = re.compile(
    r"(?:header|cookie|uri).{0,30}too (?:large|long)|size of (?:a|the) request header", re.I
)
"""Pages about requests whose header is too long, which is judged where credentials are (nginx, Apache, Jetty)."""

_GO_404 = "404 page not found"
"""What Go's servers answer where no handler is (``net/http``, ``NotFound``)."""

_SPREAD = 0.15
"""How far the seconds to a cut may lie apart, as a part of them, to be those of one timer."""
_LEAST_TIMER = 0.5
"""Seconds. What closes sooner does not wait for anything."""


def _at_registry(endpoint: Endpoint, ping: Ping) -> Answer | None:
    """The answer of the registry's own first look, where the way there came to an end."""
    return ping.answer if endpoint.role is Role.REGISTRY and ping.redirect_problem is None else None


@rule("http/not-a-registry")
def not_a_registry(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """Something answers, and what it answers no registry would."""
    answer = _at_registry(endpoint, ping)
    if answer is not None:
        yield from _foreign(answer, ping)


def _foreign(answer: Answer, ping: Ping) -> Iterator[Draft]:
    """Says that the answer at the end of a look is no registry's, where that shows."""
    if answers.looks_like_registry(ping):
        return
    if answer.status >= 500 or answer.status in (401, 407, 408, 429, 499):
        return
    if refusals.says_blocked(answer) or (
        answer.status in refusals.STATUSES and not refusals.is_foreign(answer)
    ):
        return
    if answer.producer.kind is ProducerKind.FORWARD_PROXY or _knows_no_root(answer):
        return
    text = answer.body_excerpt.lower()
    if answer.status == 400 and any(each in text for each in _TLS_TEXTS):
        return
    anything = answers.serves_anything(ping.control)
    seen = [f"{answers.line(answer)} by {answers.by(answer)}."]
    if ping.redirects:
        seen.append(f"Redirects led there: {_hosts((*ping.redirects, answer))}.")
    if refusals.is_sign_in(answer):
        seen.append("It is a page that asks to sign in, which no container client can do.")
    elif answers.is_html(answer):
        seen.append("It is an HTML page; clients print it as “invalid character '<'” or a bare status.")
    if anything:
        seen.append("A repository name made up at random is answered 200 as well, so it serves anything.")
    if answer.status == 404:
        if text.strip() == _GO_404:
            seen.append(
                "The wording is that of servers written in Go, such as a Traefik without a route for this host."
            )
        seen.append("A registry answers 200 or 401 at /v2/, and clients ask nowhere else.")
    proven = (
        answers.is_html(answer)
        or anything
        or answer.producer.kind is ProducerKind.OTHER
        or answer.status == 404
    )
    yield finding(
        "http/not-a-registry",
        " ".join(seen),
        certainty=Certainty.PROVEN if proven else Certainty.LIKELY,
        evidence=(answer.exchange,),
    )


@rule("http/not-a-registry")
def another_service(endpoint: Endpoint, plain: PlainLook) -> Iterator[Draft]:
    """The port belongs to a service that speaks neither TLS nor the registry's language."""
    if plain.answer is not None and plain.answer.status not in range(300, 400):
        yield from _foreign(plain.answer, Ping(answer=plain.answer, trusted=True))
    elif plain.greeting is not None:
        said = plain.greeting.partition(r"\r\n")[0].partition(r"\n")[0][:120]
        yield finding(
            "http/not-a-registry",
            f"{endpoint.address} accepts connections and speaks neither TLS nor HTTP: what it says begins with "
            f"“{said}”. Another service listens on this port.",
            evidence=("plain-look",),
        )


@rule("http/not-a-registry")
def led_astray(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """``/v2/`` is redirected to where nothing can be had."""
    if endpoint.role is not Role.REGISTRY or not ping.redirects or ping.failure is None:
        return
    last = ping.redirects[-1]
    there = resolve_location(last.url, last.header("location"))
    # A proxy that wants TLS leads to itself; a portal has a name of its own.
    upgrade = urlsplit(there.url) if there.url is not None and not there.host_changed else None
    wants_tls = upgrade is not None and there.scheme_changed and upgrade.scheme == "https"
    means = (
        "The registry is meant to be reached by https there; a check of that address tells what hinders it."
        if wants_tls
        else "Sign-in and captive portals redirect so; a registry answers at /v2/ itself."
    )
    yield finding(
        "http/not-a-registry",
        f"{answers.line(ping.redirects[0])} by {answers.by(ping.redirects[0])}, which leads to "
        f"{last.header('location') or 'another place'}, and that fails: {ping.failure.message}. {means}",
        certainty=Certainty.POSSIBLE if wants_tls else Certainty.LIKELY,
        fix=(f"regdoctor check https://{upgrade.netloc}",) if upgrade is not None and wants_tls else (),
        evidence=tuple(each.exchange for each in ping.redirects),
    )


def _hosts(way: Iterable[Answer]) -> str:
    return " → ".join(dict.fromkeys(urlsplit(each.url).netloc for each in way))


@rule("http/not-a-registry", "http/gateway-timeout", "http/response-timeout")
def no_answer(
    endpoint: Endpoint,
    ping: Ping,
    replicas: Replicas | None,
    handshakes: Handshakes | None,
    plain_port: PlainPort | None,
    plain: PlainLook | None,
) -> Iterator[Draft]:
    """The connection opens, and what comes is no HTTP, nothing, or its end."""
    if endpoint.role is not Role.REGISTRY or ping.failure is None or ping.redirects:
        return
    if plain is not None and plain.greeting is not None:
        return
    if endpoint.scheme == "https" and handshakes is not None:
        if all(each.failure is not None for each in handshakes.handshakes):
            return
    elif plain_port is not None and plain_port.handshake.failure is None:
        return
    kind = ping.failure.kind
    if kind is FailureKind.RESPONSE_TIMEOUT:
        after = f" within {ping.seconds:.1f} s" if ping.seconds else " in time"
        yield finding(
            "http/response-timeout",
            f"{endpoint.address} accepted the connection and the request for {endpoint.path}, and sent no "
            f"whole answer{after}.",
            evidence=("ping",),
        )
    elif kind is FailureKind.RESPONSE_MALFORMED:
        yield finding(
            "http/not-a-registry",
            f"{endpoint.address} accepts connections and answers GET {endpoint.path} with something that is no "
            f"HTTP: {ping.failure.message}. Another service listens on this port.",
            evidence=("ping",),
        )
    elif kind in (FailureKind.CONNECTION_CLOSED, FailureKind.CONNECTION_RESET):
        yield from _broken_off(endpoint, ping, replicas)


def _broken_off(endpoint: Endpoint, ping: Ping, replicas: Replicas | None) -> Iterator[Draft]:
    """The connection ends before any answer: after the same time whenever it is tried, or at once."""
    tries = [ping.seconds] if ping.seconds is not None else []
    if replicas is not None:
        if any(isinstance(each, Answer) for each in replicas.question.answers):
            return
        tries.extend(replicas.question.seconds)
    shown = ", ".join(f"{each:.1f}" for each in tries)
    if len(tries) > 1 and min(tries) >= _LEAST_TIMER and max(tries) - min(tries) <= _SPREAD * max(tries):
        yield finding(
            "http/gateway-timeout",
            f"{endpoint.address} accepts the request for {endpoint.path} and closes the connection without an "
            f"answer, each time after the same time ({shown} s). That is a timer of a hop on the way, which "
            "gives up on a registry that does not answer.",
            evidence=("ping", "replicas"),
        )
        return
    yield finding(
        "http/not-a-registry",
        f"{endpoint.address} accepts connections and closes them without an answer to GET {endpoint.path}"
        + (f" (after {shown} s)" if shown else "")
        + ". Either the service on this port does not speak HTTP, or a hop on the way cuts the connection.",
        certainty=Certainty.LIKELY,
        evidence=("ping",),
    )


_UNREACHED = frozenset({502, 520, 521, 523, 525, 526, 530})
"""502, and Cloudflare's own for an origin that it cannot reach."""
_TIMED_OUT = frozenset({504, 408, 499, 522, 524})
"""504 and 408, nginx's and Traefik's 499, and Cloudflare's own for an origin that does not answer."""


@rule("http/upstream-down", "http/no-backend", "http/gateway-timeout")
def gateway(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """A hop in front of the registry answers in its place."""
    answer = _at_registry(endpoint, ping)
    if answer is None or answer.producer.kind is ProducerKind.FORWARD_PROXY:
        return
    kind = answer.producer.kind
    who = (
        "by the registry's own kind of error" if kind is ProducerKind.REGISTRY else f"by {answers.by(answer)}"
    )
    said = f"{answers.line(answer)} {who}."
    certainty = (
        Certainty.PROVEN if kind in (ProducerKind.REVERSE_PROXY, ProducerKind.CDN) else Certainty.LIKELY
    )
    if answer.status in _UNREACHED:
        yield finding(
            "http/upstream-down",
            f"{said} It is up and cannot get an answer from the registry behind it: the registry is down, listens "
            "elsewhere, or the proxy may not connect to it.",
            certainty=certainty,
            evidence=(answer.exchange,),
        )
    elif answer.status in _TIMED_OUT:
        yield finding(
            "http/gateway-timeout",
            f"{said} It gave up waiting for the registry behind it after {answer.seconds:.1f} s.",
            certainty=certainty,
            evidence=(answer.exchange,),
        )
    elif answer.status == 503 and kind not in (ProducerKind.REGISTRY, ProducerKind.CDN):
        yield _unavailable(answer, said)


_WEB_SERVERS = frozenset({"nginx", "OpenResty", "Apache httpd", "IIS", "lighttpd"})
"""They answer 503 where their configuration says so; for a backend that is down nginx answers 502. That of
Kubernetes' ingress-nginx says so for a service without endpoints."""


def _unavailable(answer: Answer, said: str) -> Draft:
    """A 503 in place of the registry."""
    wait = answer.header("retry-after")
    if wait is None and answer.producer.name not in _WEB_SERVERS:
        tried = (
            f" It came after {answer.seconds:.1f} s, so the balancer first tried to connect to one that it took "
            "for healthy."
            if answer.seconds >= 1
            else ""
        )
        means = f"The balancer has no healthy registry to pass the request to.{tried}"
        proven = answer.producer.kind is ProducerKind.REVERSE_PROXY
    else:
        again = f" and asks to come back after {wait[:60]}" if wait is not None else ""
        means = (
            f"It says {answers.words(answer) or 'nothing more'}{again}. Either it has no healthy registry to pass "
            "the request to, or it was told to answer so: for maintenance, or beyond a number of requests."
        )
        proven = False
    return finding(
        "http/no-backend",
        f"{said} {means}",
        certainty=Certainty.PROVEN if proven else Certainty.LIKELY,
        evidence=(answer.exchange,),
    )


@rule("http/upstream-down", "http/gateway-timeout", "http/response-timeout")
def through_proxy(endpoint: Endpoint, asked: ProxyAnswer, direct: DirectLook | None) -> Iterator[Draft]:
    """The forward proxy is well, and finds no registry at the other end, as little as the direct way does."""
    past = Ping(answer=direct.answer, trusted=direct.trusted) if direct is not None else None
    if past is not None and answers.looks_like_registry(past):
        return
    answer = asked.answer
    if answer is None:
        if asked.failure is not None and asked.failure.kind is FailureKind.RESPONSE_TIMEOUT:
            yield finding(
                "http/response-timeout",
                f"The forward proxy {endpoint.proxy} takes requests for {endpoint.address} and does not answer "
                "them in time: either it waits in vain for the registry, or it hangs itself.",
                certainty=Certainty.LIKELY,
                evidence=("proxy-answer",),
            )
        return
    own = answer.method == "CONNECT" or answer.producer.kind is ProducerKind.FORWARD_PROXY
    squid = answer.header("x-squid-error") or ""
    if answer.status < 500 or not own or squid.startswith(("ERR_ACCESS_DENIED", "ERR_FORWARDING_DENIED")):
        return
    why = f" ({squid})" if squid else f" and says {answers.words(answer)}" if answers.words(answer) else ""
    late = answer.status == 504
    yield finding(
        "http/gateway-timeout" if late else "http/upstream-down",
        f"The forward proxy {endpoint.proxy} answered {answer.method} {answer.url} with {answer.status}{why}. "
        "The proxy itself is well; "
        + (
            f"its own resolver does not know {endpoint.host}. The proxy looks the name up, and not this host."
            if squid.startswith("ERR_DNS_FAIL")
            else ("the registry does not answer it in time" if late else "it cannot connect to the registry")
            + ". Either the registry is down, or the proxy does not know its name or the way there."
        ),
        certainty=Certainty.LIKELY,
        fix=(f"from the proxy's own host: curl -i {endpoint.url}/v2/",),
        evidence=(answer.exchange, "proxy-answer"),
    )


@rule("http/registry-unhealthy", "http/server-error")
def own_errors(endpoint: Endpoint, ping: Ping, authorization: PullAuthorization | None) -> Iterator[Draft]:
    """The registry itself answers that it cannot."""
    candidates = (ping.answer, authorization.answer if authorization is not None else None)
    if endpoint.role is not Role.REGISTRY or ping.redirect_problem is not None:
        return
    for answer in candidates:
        if answer is None or answer.status < 500 or answer.status in _UNREACHED | _TIMED_OUT:
            continue
        if answer.status == 503:
            if not answers.is_registry_s(answer):
                continue
            proven = "UNAVAILABLE" in answers.codes(answer)
            yield finding(
                "http/registry-unhealthy",
                f"{answers.line(answer)} by the registry itself: {answers.words(answer) or 'unavailable'}. "
                "It answers so to every request while one of its own health checks fails.",
                certainty=Certainty.PROVEN if proven else Certainty.LIKELY,
                evidence=(answer.exchange,),
            )
        else:
            yield _server_error(answer, "")
        return


def _server_error(answer: Answer, before: str) -> Draft:
    system = answers.system_error(answer)
    reason = f" The system's own error behind it is: {system}." if system is not None else ""
    return finding(
        "http/server-error",
        f"{before}{answers.line(answer)} by {answers.by(answer)}: "
        f"{answers.words(answer) or 'it says nothing more'}.{reason}",
        evidence=(answer.exchange,),
    )


@rule("http/redirect-loop")
def redirect_loop(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """Redirects that never arrive, or that leave TLS."""
    if endpoint.role is not Role.REGISTRY or ping.redirect_problem is None or ping.answer is None:
        return
    steps = (*ping.redirects, ping.answer)
    way = " → ".join((*(each.url for each in steps), ping.answer.header("location") or "?"))
    means = {
        "loop": "They lead in a circle.",
        "too-many": "They do not come to an end.",
        "downgrade": "They lead from https to http, where clients drop credentials or refuse to go.",
    }[ping.redirect_problem]
    yield finding(
        "http/redirect-loop",
        f"GET {endpoint.path} is redirected: {way}. {means} The redirects are made by "
        f"{', '.join(dict.fromkeys(answers.by(each) for each in steps))}.",
        evidence=tuple(each.exchange for each in steps),
    )


@rule("http/edge-blocked")
def edge_blocked(endpoint: Endpoint, ping: Ping) -> Iterator[Draft]:
    """A refusal before any login is asked for, by something in front of the registry."""
    answer = _at_registry(endpoint, ping)
    if answer is None or answer.producer.kind is ProducerKind.FORWARD_PROXY:
        return
    kind, says_so = answer.producer.kind, refusals.says_blocked(answer)
    if refusals.is_foreign(answer):
        return
    refused = answer.status in refusals.STATUSES or (answer.status == 503 and kind is ProducerKind.CDN)
    if not refused and not (says_so and answers.is_html(answer)):
        return
    if kind is ProducerKind.REGISTRY and not says_so and answer.status != 403:
        return
    certainty = Certainty.LIKELY
    if says_so:
        certainty = Certainty.PROVEN
    elif kind is ProducerKind.REGISTRY or answer.status == 503:
        certainty = Certainty.POSSIBLE
    said = answers.words(answer)
    yield finding(
        "http/edge-blocked",
        f"{answers.line(answer)} by {answers.by(answer)} before any login was asked for"
        + (f", and says {said}. " if said else ". ")
        + "A registry that wants credentials answers 401; this is a rule about the client's address or its "
        "request. The same request from another network tells.",
        certainty=certainty,
        evidence=(answer.exchange,),
    )


@rule("http/upstream-down", "http/no-backend", "http/gateway-timeout", "http/server-error")
def after_the_ping(
    endpoint: Endpoint,
    ping: Ping,
    look: ManifestLook | None,
    children: IndexChildren | None,
    blobs: Blobs | None,
) -> Iterator[Draft]:
    """``/v2/`` answers well, and a manifest or blob of the image does not."""
    if endpoint.role is not Role.REGISTRY or ping.answer is None or ping.answer.status >= 500:
        return
    answer = next((each for each in _image_answers(look, children, blobs) if each.status >= 500), None)
    if answer is None or answer.producer.kind is ProducerKind.FORWARD_PROXY:
        return
    before = "/v2/ is answered well, and "
    if limits.is_nginx_limit(ping, answer):
        return
    code = _code_of_hop(answer)
    if answers.is_registry_s(answer) or code == "http/server-error":
        yield _server_error(answer, before)
        return
    yield finding(
        code,
        f"{before}{answers.line(answer)} by {answers.by(answer)} after {answer.seconds:.1f} s.",
        certainty=Certainty.LIKELY,
        evidence=(answer.exchange,),
    )


@rule(
    "http/upstream-down",
    "http/no-backend",
    "http/gateway-timeout",
    "http/server-error",
    "http/response-timeout",
)
def during_an_upload(
    endpoint: Endpoint, ping: Ping, upload: UploadSession, sizes: UploadSizes | None
) -> Iterator[Draft]:
    """``/v2/`` answers well, and a hop fails at the steps of an upload."""
    if endpoint.role is not Role.REGISTRY or ping.answer is None or ping.answer.status >= 500:
        return
    sent = [each for each in (sizes.trials if sizes is not None else ()) if not each.announced]
    for step, size in (*((each, None) for each in upload.steps), *((each.step, each.size) for each in sent)):
        answer, failure = step.answer, step.failure
        silent = failure is not None and failure.kind is FailureKind.RESPONSE_TIMEOUT
        # The PUT that finishes an upload has a code of its own; large bodies may just be slow to send.
        if silent and size is None and step.method != "PUT":
            yield finding(
                "http/response-timeout",
                f"/v2/ is answered well, and {step.method} of an upload was not answered within "
                f"{step.seconds:.1f} s.",
                evidence=("upload-session",),
            )
            return
        if answer is None or not _fails_at_a_hop(answer):
            continue
        after = (
            f" Uploads of a few bytes pass, and one of {size} bytes does not: proxies that keep whole bodies "
            "answer so where the disk for them is full or may not be written."
            if size is not None
            else ""
        )
        said = answers.words(answer)
        yield finding(
            _code_of_hop(answer),
            f"/v2/ is answered well, and {answers.line(answer)} by {answers.by(answer)} after "
            f"{answer.seconds:.1f} s" + (f": {said}." if said else ".") + after,
            certainty=Certainty.LIKELY,
            evidence=(answer.exchange,),
        )
        return


def _code_of_hop(answer: Answer) -> str:
    """What a status of 500 and more, or of a time-out, says of the hop that sent it."""
    if answer.status in _UNREACHED:
        return "http/upstream-down"
    if answer.status in _TIMED_OUT:
        return "http/gateway-timeout"
    return "http/no-backend" if answer.status == 503 else "http/server-error"


def _fails_at_a_hop(answer: Answer) -> bool:
    """Whether something in front of the registry failed in its place; 501 refuses the method."""
    if answer.status == 501:
        return False
    return (answer.status >= 500 or answer.status in _TIMED_OUT) and not answers.is_registry_s(answer)


def _image_answers(
    look: ManifestLook | None, children: IndexChildren | None, blobs: Blobs | None
) -> tuple[Answer, ...]:
    """The registry's own answers about the image, in the order of a pull; not those of blob hosts."""
    found = (
        *(_of_manifest(look) if look is not None else ()),
        *(each.answer for each in (children.children if children is not None else ())),
        *(each.answer for each in (blobs.blobs if blobs is not None else ())),
    )
    return tuple(answer for answer in found if answer is not None)


def _of_manifest(look: ManifestLook) -> tuple[Answer | None, ...]:
    """GET and HEAD of the manifest.

    A hop that refuses the method HEAD alone is told of by that, and a HEAD that is answered as GET says less.
    """
    got, head = look.answer, look.head
    if got is None or head is None or head.status == got.status:
        return (got or head,)
    return (got,) if got.status == 200 and head.status in (400, 403, 404, 405, 501) else (got, head)


@rule("http/not-a-registry", "http/edge-blocked")
def in_its_place(
    endpoint: Endpoint,
    ping: Ping,
    look: ManifestLook | None,
    children: IndexChildren | None,
    blobs: Blobs | None,
    upload: UploadSession | None = None,
) -> Iterator[Draft]:
    """``/v2/`` is a registry's, and something else answers for the image or an upload."""
    if endpoint.role is not Role.REGISTRY or not answers.looks_like_registry(ping):
        return
    steps = (step.answer for step in (upload.steps if upload is not None else ()))
    # An upload that is refused with a page is judged among pushes; one that seems to pass is judged here.
    pages = (each for each in steps if each is not None and each.status < 300)
    answer = next(filter(_out_of_place, (*_image_answers(look, children, blobs), *pages)), None)
    if answer is None:
        return
    said = answers.words(answer)
    seen = f"/v2/ is answered well, and {answers.line(answer)} by {answers.by(answer)}"
    seen += f", which says {said}. " if said else ". "
    if answer.status in refusals.STATUSES or refusals.says_blocked(answer):
        yield finding(
            "http/edge-blocked",
            f"{seen}That is no registry's refusal but a page of something in front of it, which has a rule about "
            "these requests or about the client's address.",
            certainty=Certainty.PROVEN if refusals.says_blocked(answer) else Certainty.LIKELY,
            evidence=(answer.exchange,),
        )
        return
    yield finding(
        "http/not-a-registry",
        f"{seen}No registry answers so: requests for the image do not get to it. The hop in front passes on /v2/ "
        "alone and not what lies below it, or serves pages of its own.",
        certainty=Certainty.PROVEN if answers.is_html(answer) else Certainty.LIKELY,
        evidence=(answer.exchange,),
    )


def _out_of_place(answer: Answer) -> bool:
    """Whether an answer about an image is a page, or the bare words of a server that knows no such path."""
    if answer.status in (401, 413, 414, 429, 431) or answer.status >= 500:
        return False
    if answer.status == 400 and _TOO_LONG.search(answer.body_excerpt):
        return False
    if answer.producer.kind in (ProducerKind.REGISTRY, ProducerKind.FORWARD_PROXY):
        return False
    return answers.is_html(answer) or answer.body_excerpt.strip() == _GO_404


@rule("http/path-prefix")
def path_prefix(endpoint: Endpoint, ping: Ping, prefixes: PathPrefixes | None) -> Iterator[Draft]:
    """The registry is there, below a path that clients cannot be told."""
    answer = _at_registry(endpoint, ping)
    if answer is None:
        return
    found = next(filter(_answers_as_registry, prefixes.answers if prefixes is not None else ()), None)
    if found is not None:
        path = urlsplit(found.url).path.removesuffix("/v2/")
        yield finding(
            "http/path-prefix",
            f"{answers.line(answer)} by {answers.by(answer)}, and {found.url} is answered by a registry "
            f"({found.status}). Clients always ask for /v2/ at the root of the host: of "
            f"{endpoint.address}{path}/app they take {path.strip('/')} for a part of the repository's name.",
            evidence=(answer.exchange, found.exchange),
        )
    elif _knows_no_root(answer):
        yield finding(
            "http/path-prefix",
            f"{answers.line(answer)} by a registry, which does not know this path: it is configured with a "
            "prefix (http.prefix), or a hop on the way changes the path. Clients always ask for /v2/ at the "
            "root of the host.",
            certainty=Certainty.LIKELY,
            evidence=(answer.exchange,),
        )


def _knows_no_root(answer: Answer) -> bool:
    """Whether a registry itself says that it has nothing at ``/v2/``."""
    return answer.status == 404 and answers.is_registry_s(answer)


def _answers_as_registry(answer: Answer) -> bool:
    return answers.is_registry_s(answer) and answer.status in (200, 401)


@rule("http/rate-limited", "http/rate-low")
def rate_limits(
    endpoint: Endpoint,
    ping: Ping | None,
    exchange: TokenExchange | None,
    authorization: PullAuthorization | None,
    look: ManifestLook | None,
    children: IndexChildren | None,
    blobs: Blobs | None,
    replicas: Replicas | None,
    upload: UploadSession | None = None,
    service: TokenService | None = None,
) -> Iterator[Draft]:
    """429, requests that pass only one by one, or quota headers that say how little is left."""
    if endpoint.role is not Role.REGISTRY:
        return
    found = (
        ping.answer if ping is not None else None,
        exchange.answer if exchange is not None else None,
        authorization.answer if authorization is not None else None,
        *_image_answers(look, children, blobs),
        *(replicas.question.answers if replicas is not None else ()),
        *(step.answer for step in (upload.steps if upload is not None else ())),
    )
    seen = tuple(answer for answer in found if isinstance(answer, Answer))
    limited = next((answer for answer in seen if limits.is_limit(answer)), None)
    if limited is not None:
        account = authorization.username if authorization is not None else None
        for_tokens = exchange is not None and limited is exchange.answer
        who = "the token server" if for_tokens and limited.producer.name is None else answers.by(limited)
        yield finding(
            "http/rate-limited",
            f"{answers.line(limited)} by {who}"
            + (f": {answers.words(limited)}. " if answers.words(limited) else ". ")
            + limits.which_limit(limited, account),
            evidence=(limited.exchange,),
            endpoint=service.host if for_tokens and service is not None else None,
        )
        return
    burst = limits.burst_limit(seen, replicas) or limits.later_limit(ping, seen)
    if burst is not None:
        yield burst
        return
    yield from limits.little_left(seen)


_GATEWAY = (502, 503, 504)


@rule("http/replicas-differ")
def replicas_differ(
    endpoint: Endpoint,
    ping: Ping,
    replicas: Replicas,
    authorization: PullAuthorization | None,
    look: ManifestLook | None,
) -> Iterator[Draft]:
    """One and the same request is answered in different ways."""
    question = replicas.question
    first = ping.answer
    if question.authorized:
        first = authorization.answer if authorization is not None else None
    others = (first, look.head if look is not None else None)
    same = tuple(each for each in others if each is not None and _asks(each, question))
    # Certificates that differ are told of TLS.
    given: tuple[Answer | Failure, ...] = (*same, *filter(_is_no_matter_of_trust, question.answers))
    spaced = tuple(
        filter(_is_no_matter_of_trust, replicas.spaced.answers if replicas.spaced is not None else ())
    )
    got = [each for each in given if isinstance(each, Answer)]
    if limits.burst_limit(tuple(got), replicas) is not None or any(map(limits.is_limit, got)):
        return
    given += spaced
    kinds: dict[str, list[Answer | Failure]] = {}
    digests = all(_digest(each) for each in given if isinstance(each, Answer) and each.status == 200)
    for each in given:
        kinds.setdefault(_kind(each, digests=digests), []).append(each)
    answered = {kind for kind, each in kinds.items() if isinstance(each[0], Answer)}
    calmly_lost = any(isinstance(each, Failure) for each in (ping.failure, *spaced))
    if len(kinds) < 2 or (len(answered) < 2 and not calmly_lost):
        # What goes unanswered in a rush alone says something about the rush.
        return
    if all(each.status in _GATEWAY and not answers.is_registry_s(each) for each in got):
        # One hop in words of its own: Caddy says 502 at first, and 503 once it has given a registry up.
        return
    shown = "; ".join(f"{len(each)} times {kind}{_where(each, given)}" for kind, each in kinds.items())
    yield finding(
        "http/replicas-differ",
        f"The same request gets different answers: {shown} ({question.method} {question.url}, sent "
        f"{len(given)} times). Behind {endpoint.address} are registries that are not equal; whether a client "
        "succeeds is chance.",
        certainty=Certainty.PROVEN if len(answered) > 1 else Certainty.LIKELY,
        evidence=tuple(each.exchange for each in given if isinstance(each, Answer)),
    )


def _is_no_matter_of_trust(answer: Answer | Failure) -> bool:
    return isinstance(answer, Answer) or answer.kind is not FailureKind.TLS_VERIFICATION


@rule("http/replicas-differ")
def certificates_differ(endpoint: Endpoint, handshakes: Handshakes) -> Iterator[Draft]:
    """Several certificates for one name, each of them good: worth knowing, and no fault."""
    shown = [each for each in handshakes.handshakes if each.chain and each.verifications]
    leaves: dict[str, list[Handshake]] = {}
    for each in shown:
        leaves.setdefault(each.chain[0].sha256, []).append(each)
    good = all(each.verifications[0].accepted and each.name_matches for each in shown)
    if endpoint.role is not Role.REGISTRY or len(leaves) < 2 or not good:
        return
    seen = "; ".join(
        f"{sum(one.times for one in each)} times one valid until {each[0].chain[0].not_after:%Y-%m-%d} (SHA-256 "
        f"{digest[:16]}…) from {', '.join(dict.fromkeys(one.address for one in each))}"
        for digest, each in leaves.items()
    )
    yield finding(
        "http/replicas-differ",
        f"{endpoint.address} shows several certificates, and each of them is good: {seen}. The servers "
        "behind it are renewed apart from each other, so that one of them may be forgotten.",
        severity=Severity.INFO,
        evidence=("handshakes",),
    )


@rule("http/replicas-differ")
def versions_differ(endpoint: Endpoint, replicas: Replicas) -> Iterator[Draft]:
    """The same answer from programs that call themselves differently: worth knowing, and no fault."""
    given = [each for each in replicas.question.answers if isinstance(each, Answer)]
    if endpoint.role is not Role.REGISTRY or len({each.status for each in given}) != 1:
        return
    names = ("server", "docker-distribution-api-version", "x-powered-by")
    said: dict[str, list[Answer]] = {}
    for each in given:
        shown = ", ".join(f"{name}: {each.header(name)}" for name in names if each.header(name) is not None)
        said.setdefault(shown or "none of them", []).append(each)
    if len(said) < 2:
        return
    yield finding(
        "http/replicas-differ",
        f"The same request is answered alike, by servers that call themselves differently: "
        f"{'; '.join(f'{len(each)} times {shown}' for shown, each in said.items())}. Behind {endpoint.address} "
        "are several versions.",
        severity=Severity.INFO,
        evidence=tuple(each.exchange for each in given),
    )


def _asks(answer: Answer, question: RepeatedQuestion) -> bool:
    """Whether an answer of another look is one to the same request."""
    return (answer.method, answer.url) == (question.method, question.url)


def _kind(answer: Answer | Failure, *, digests: bool) -> str:
    """What must be the same for every replica: status and, for content that has one each time, its digest."""
    if isinstance(answer, Failure):
        return f"no answer ({answer.kind.value.replace('-', ' ')})"
    digest = _digest(answer) if digests and answer.status == 200 else None
    return f"{answer.status}" + (f" with {digest}" if digest else "")


def _digest(answer: Answer) -> str | None:
    return answer.header("docker-content-digest")


def _where(some: list[Answer | Failure], every: tuple[Answer | Failure, ...]) -> str:
    """From which addresses, where that tells them from the others."""
    addresses = {each.address for each in every if isinstance(each, Answer) and each.address}
    own = {each.address for each in some if isinstance(each, Answer) and each.address}
    return f" from {', '.join(sorted(own))}" if own and own < addresses else ""


@rule("http/content-rewritten")
def manifest_rewritten(
    endpoint: Endpoint, look: ManifestLook, target: Target, replicas: Replicas | None
) -> Iterator[Draft]:
    """The manifest's bytes are not those that its digest stands for, and a hop shows that it changes bytes."""
    answer, content = look.answer, look.content
    if endpoint.role is not Role.REGISTRY or answer is None or answer.status != 200:
        return
    if content is None:
        yield from rewriting.cut_short(answer)
        return
    if isinstance(content.document, manifests.Schema1):
        return  # The digest of a signed manifest of schema 1 is that of its payload, not of the bytes.
    asked = target.reference.digest if target.reference is not None else None
    wanted = asked or answer.header("docker-content-digest")
    if wanted is not None and wanted.startswith("sha256:") and wanted != content.digest:
        yield from rewriting.other_bytes(answer, look.head, content.digest, content.size, wanted)
    else:
        yield from rewriting.outdated(answer, content.digest, replicas)


@rule("http/content-rewritten")
def parts_rewritten(
    endpoint: Endpoint, look: ManifestLook, children: IndexChildren | None, blobs: Blobs | None
) -> Iterator[Draft]:
    """A manifest of an index, or a blob, that arrives changed or cut."""
    if endpoint.role is not Role.REGISTRY or look.content is None:
        return
    for child in children.children if children is not None else ():
        if child.answer is None or child.answer.status != 200:
            continue
        wanted = child.descriptor.digest
        if child.content is not None and wanted.startswith("sha256:") and child.content.digest != wanted:
            yield from rewriting.other_bytes(
                child.answer, None, child.content.digest, child.content.size, wanted
            )
    for blob in blobs.blobs if blobs is not None else ():
        answer = blob.final
        # Where not one byte comes, the registry's storage has lost what it remembers; that is told of the image.
        if answer is not None and answer.status == 200 and answer.method == "GET" and answer.body_size > 0:
            yield from rewriting.cut_short(answer)


@rule("http/content-rewritten")
def downloads_vary(endpoint: Endpoint, verified: VerifiedBlobs) -> Iterator[Draft]:
    """Downloads of one blob that do not end the same way: what lies in storage does not change."""
    if endpoint.role is not Role.REGISTRY:
        return
    for blob in verified.blobs:
        ends = {(each.size, each.digest) for each in blob.downloads}
        if len(ends) < 2:
            continue
        sizes = ", then ".join(f"{each.size} bytes" for each in blob.downloads)
        yield finding(
            "http/content-rewritten",
            f"The layer {blob.descriptor.digest} has {blob.descriptor.size} bytes. Downloaded "
            f"{len(blob.downloads)} times it came with {sizes}, and not with the same bytes. What lies in "
            "storage does not change, so a hop on the way cuts or changes it; clients say “unexpected EOF” or "
            "“failed size validation”.",
            evidence=tuple(each.answer.exchange for each in blob.downloads if each.answer is not None),
        )


@rule("http/response-timeout", "http/server-error")
def content_unanswered(
    endpoint: Endpoint, ping: Ping, look: ManifestLook, children: IndexChildren | None, blobs: Blobs | None
) -> Iterator[Draft]:
    """``/v2/`` is answered well, and requests for the image's content get no answer at all."""
    if endpoint.role is not Role.REGISTRY or ping.answer is None or ping.answer.status not in (200, 401):
        return
    asked = (
        ("its manifest", look.failure if not look.redirects else None),
        *(
            ("manifests of its index", each.failure)
            for each in (children.children if children is not None else ())
        ),
        *(
            ("its layers or configuration", each.failure)
            for each in (blobs.blobs if blobs is not None else ())
        ),
    )
    silent = [(what, failure) for what, failure in asked if failure is not None]
    late = [what for what, failure in silent if failure.kind is FailureKind.RESPONSE_TIMEOUT]
    cut = [what for what, failure in silent if failure.kind in _CUT]
    evidence = ("manifest-look",) if look.failure is not None else ("blobs",) if blobs is not None else ()
    if late:
        yield finding(
            "http/response-timeout",
            f"{endpoint.address} answers /v2/ well, and {len(late)} requests for "
            f"{' and '.join(dict.fromkeys(late))} got no answer in time. /v2/ needs no storage: where the storage "
            "hangs (a dead NFS mount, an object store that is not reached), just these requests do.",
            evidence=evidence,
        )
    elif cut:
        yield finding(
            "http/server-error",
            f"{endpoint.address} answers /v2/ well, and closes the connection without an answer to {len(cut)} "
            f"requests for {' and '.join(dict.fromkeys(cut))}. The registry fails at them without a word, or a "
            "hop cuts them off.",
            certainty=Certainty.LIKELY,
            evidence=evidence,
        )


_CUT = frozenset(
    {FailureKind.CONNECTION_CLOSED, FailureKind.CONNECTION_RESET, FailureKind.RESPONSE_MALFORMED}
)
