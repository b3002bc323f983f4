"""Sorts the exceptions of one network step into the closed list of :class:`FailureKind`.

Libraries wrap each other's exceptions (httpcore, ssl, OSError). The outermost one that says
something definite decides; one that only says "it did not work" is looked through. Nothing heavy is
imported: exceptions of a library that nobody imported cannot occur, so they are known by their class names.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator
from enum import StrEnum

from regdoctor.context import DeadlineExceeded
from regdoctor.facts.base import Failure, FailureKind

_LONGEST_EXCEPTION_TEXT = 500
_DEEPEST_CHAIN = 12


class Step(StrEnum):
    """What was being done; it tells what a bare time-out or a closed connection means."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    EXCHANGE = "exchange"


_BY_ERRNO: dict[int, FailureKind] = {
    errno.ECONNREFUSED: FailureKind.CONNECTION_REFUSED,
    errno.ECONNRESET: FailureKind.CONNECTION_RESET,
    errno.ECONNABORTED: FailureKind.CONNECTION_RESET,
    errno.EPIPE: FailureKind.CONNECTION_CLOSED,
    errno.ESHUTDOWN: FailureKind.CONNECTION_CLOSED,
    errno.EHOSTUNREACH: FailureKind.HOST_UNREACHABLE,
    errno.EHOSTDOWN: FailureKind.HOST_UNREACHABLE,
    errno.ENONET: FailureKind.HOST_UNREACHABLE,
    errno.ENETUNREACH: FailureKind.NETWORK_UNREACHABLE,
    errno.ENETDOWN: FailureKind.NETWORK_UNREACHABLE,
    # Linux turns ICMPv6 "administratively prohibited" and a "prohibit" route into EACCES (net/ipv6/icmp.c,
    # net/ipv4/fib_semantics.c).
    errno.EACCES: FailureKind.CONNECTION_PROHIBITED,
    errno.EPERM: FailureKind.CONNECTION_PROHIBITED,
    errno.EADDRNOTAVAIL: FailureKind.LOCAL_FAULT,
    errno.EADDRINUSE: FailureKind.LOCAL_FAULT,
    errno.EAFNOSUPPORT: FailureKind.LOCAL_FAULT,
    errno.EINVAL: FailureKind.LOCAL_FAULT,
    errno.EMFILE: FailureKind.LOCAL_FAULT,
    errno.ENFILE: FailureKind.LOCAL_FAULT,
    errno.ENOBUFS: FailureKind.LOCAL_FAULT,
    errno.ENOMEM: FailureKind.LOCAL_FAULT,
}

_TIMEOUT_OF_STEP: dict[Step, FailureKind] = {
    Step.RESOLVE: FailureKind.RESOLVER_TIMEOUT,
    Step.CONNECT: FailureKind.CONNECTION_TIMEOUT,
    Step.TLS: FailureKind.TLS_TIMEOUT,
    Step.EXCHANGE: FailureKind.RESPONSE_TIMEOUT,
}

_BY_RESOLVER_ERROR: dict[int, FailureKind] = {
    socket.EAI_NONAME: FailureKind.NAME_NOT_FOUND,
    # glibc: the name exists and has no address of the family (getaddrinfo(3)).
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): FailureKind.NAME_NOT_FOUND,
    getattr(socket, "EAI_ADDRFAMILY", socket.EAI_NONAME): FailureKind.NAME_NOT_FOUND,
    # Silence, a refused port 53, SERVFAIL and REFUSED all end here; only asking each nameserver can tell.
    socket.EAI_AGAIN: FailureKind.RESOLVER_FAILURE,
    socket.EAI_FAIL: FailureKind.RESOLVER_FAILURE,
    socket.EAI_MEMORY: FailureKind.LOCAL_FAULT,
}

_MESSAGES: dict[FailureKind, str] = {
    FailureKind.NAME_NOT_FOUND: "the resolver says that {where} does not exist",
    FailureKind.RESOLVER_TIMEOUT: "the resolver did not answer in time for {where}",
    FailureKind.RESOLVER_REFUSED: "nothing listens at the nameserver that was asked for {where}",
    FailureKind.RESOLVER_FAILURE: "the resolver could not answer for {where}",
    FailureKind.RESOLVER_ANSWER_INVALID: "the nameserver's reply for {where} could not be read",
    FailureKind.CONNECTION_REFUSED: "{where} refused the connection",
    FailureKind.CONNECTION_TIMEOUT: "{where} did not answer the attempt to connect",
    FailureKind.CONNECTION_PROHIBITED: "a packet filter forbids the connection to {where}",
    FailureKind.HOST_UNREACHABLE: "no host answers at {where}",
    FailureKind.NETWORK_UNREACHABLE: "this machine has no route to {where}",
    FailureKind.LOCAL_FAULT: "this machine itself could not start a connection to {where}",
    FailureKind.CONNECTION_RESET: "{where} reset the connection",
    FailureKind.CONNECTION_CLOSED: "{where} closed the connection too early",
    FailureKind.TLS_NOT_SPOKEN: "{where} answered the TLS greeting with something that is not TLS",
    FailureKind.TLS_ALERT: "{where} ended the TLS handshake with an alert",
    FailureKind.TLS_TIMEOUT: "{where} did not finish the TLS handshake in time",
    FailureKind.TLS_VERIFICATION: "the certificate of {where} did not pass verification",
    FailureKind.TLS_FAILURE: "the TLS handshake with {where} failed",
    FailureKind.PROXY_REFUSED: "the forward proxy refused to connect to {where}",
    FailureKind.PROXY_UNREACHABLE: "the forward proxy for {where} could not be reached",
    FailureKind.RESPONSE_TIMEOUT: "{where} did not answer the request in time",
    FailureKind.RESPONSE_MALFORMED: "{where} sent an answer that is not valid HTTP",
    FailureKind.RESPONSE_TOO_LARGE: "{where} sent more than is accepted",
    FailureKind.DEADLINE: "the time for the whole run was over before {where} was done",
    FailureKind.OTHER: "the exchange with {where} failed",
}

# Reasons of OpenSSL when the first bytes are no TLS record (openssl/sslerr.h).
_NOT_TLS = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "HTTPS_PROXY_REQUEST",
        "UNKNOWN_PROTOCOL",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
        "RECORD_TOO_SMALL",
        "BAD_RECORD_TYPE",
    }
)
_CLOSED_DURING_TLS = frozenset({"UNEXPECTED_EOF_WHILE_READING", "EOF_OCCURRED_IN_VIOLATION_OF_PROTOCOL"})
# OpenSSL names received alerts SSLV3_ALERT_… (since 4.0 TLS_ALERT_…), TLSV1_ALERT_… or TLSV13_ALERT_…; those
# of extensions lack ALERT.
_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13|SSL_TLS|TLS)_ALERT_(\w+)")
_EXTENSION_ALERT = re.compile(
    r"TLSV1_(UNRECOGNIZED_NAME|UNSUPPORTED_EXTENSION|CERTIFICATE_UNOBTAINABLE"
    r"|BAD_CERTIFICATE_STATUS_RESPONSE|BAD_CERTIFICATE_HASH_VALUE)"
)


def make_failure(
    kind: FailureKind,
    where: str = "the other side",
    *,
    error: BaseException | None = None,
    message: str | None = None,
    alert: str | None = None,
) -> Failure:
    """A failure of the given kind with the usual plain message.

    :param where: what was contacted, such as ``reg.test:5000``.
    :param error: the original exception, kept as evidence.
    :param message: instead of the usual one.
    """
    number = getattr(error, "errno", None)
    return Failure(
        kind=kind,
        message=message or _MESSAGES[kind].format(where=where),
        exception="" if error is None else _text_of(error),
        errno=_symbol_of(error, number) if isinstance(number, int) else None,
        alert=alert,
    )


def failure_of(
    error: BaseException,
    *,
    step: Step = Step.EXCHANGE,
    where: str = "the other side",
    proxy: str | None = None,
) -> Failure:
    """Says why a network step failed, from the exception that ended it.

    :param error: of the socket, ssl, httpcore or OpenSSL modules; what it wraps is looked at too
        (``__cause__``, ``__context__``, groups).
    :param step: what was being done.
    :param where: what was contacted, such as ``reg.test:5000``, for the message.
    :param proxy: the forward proxy between, if any: failures to resolve it or to connect are then its own.
    """
    for link in _chain(error):
        found = _kind_of(link, step)
        if found is None:
            continue
        kind, alert = found
        if proxy is not None and step in (Step.RESOLVE, Step.CONNECT) and kind not in _NOT_OF_PROXY:
            kind = FailureKind.PROXY_UNREACHABLE
            message = f"the forward proxy {proxy} could not be reached: {_text_of(link)}"
            return make_failure(kind, where, error=link, message=message)
        return make_failure(kind, where, error=link, alert=alert, message=_message(kind, where, link, alert))
    return make_failure(FailureKind.OTHER, where, error=error, message=f"{where}: {_text_of(error)}")


_NOT_OF_PROXY = frozenset({FailureKind.PROXY_REFUSED, FailureKind.DEADLINE, FailureKind.OTHER})


def _message(kind: FailureKind, where: str, error: BaseException, alert: str | None) -> str:
    if kind is FailureKind.NAME_NOT_FOUND and getattr(error, "errno", None) != socket.EAI_NONAME:
        return f"the name {where} exists but has no address"
    if kind is FailureKind.TLS_ALERT and alert:
        return f"{where} ended the TLS handshake with the alert {alert}"
    if kind in (FailureKind.PROXY_REFUSED, FailureKind.LOCAL_FAULT, FailureKind.TLS_VERIFICATION):
        return f"{_MESSAGES[kind].format(where=where)}: {_words_of(error)}"
    return _MESSAGES[kind].format(where=where)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it wraps, outermost first, bounded."""
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending and len(seen) < _DEEPEST_CHAIN:
        link = pending.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            pending.extend(link.exceptions)
        # httpcore raises "from None" and keeps the original as the argument (httpcore/_exceptions.py).
        pending.extend(each for each in link.args if isinstance(each, BaseException))
        if link.__cause__ is not None:
            pending.append(link.__cause__)
        elif link.__context__ is not None and not link.__suppress_context__:
            pending.append(link.__context__)


def _kind_of(error: BaseException, step: Step) -> tuple[FailureKind, str | None] | None:
    """The kind (and TLS alert) that one exception stands for, or None where it says nothing definite."""
    if isinstance(error, DeadlineExceeded):
        return FailureKind.DEADLINE, None
    library = type(error).__module__.partition(".")[0]
    if library == "httpcore":
        kind = _kind_of_http(error, step)
        return None if kind is None else (kind, None)
    if library == "OpenSSL":
        return _kind_of_openssl(error, step)
    names = {each.__name__ for each in type(error).__mro__}
    if "SSLError" in names:
        return _kind_of_ssl(error, names)
    if isinstance(error, socket.gaierror):
        number = error.errno
        if number == getattr(socket, "EAI_SYSTEM", None):
            return FailureKind.LOCAL_FAULT, None
        return _BY_RESOLVER_ERROR.get(number or 0, FailureKind.RESOLVER_FAILURE), None
    if isinstance(error, TimeoutError):
        return _TIMEOUT_OF_STEP[step], None
    if isinstance(error, OSError) and error.errno in _BY_ERRNO:
        kind = _BY_ERRNO[error.errno]
        if kind is FailureKind.LOCAL_FAULT and error.errno == errno.EINVAL and step is not Step.CONNECT:
            return None
        return kind, None
    return None


def _kind_of_http(error: BaseException, step: Step) -> FailureKind | None:
    names = {each.__name__ for each in type(error).__mro__}
    text = str(error).lower()
    if "ConnectTimeout" in names:
        # httpcore counts the TLS handshake as connecting.
        return FailureKind.TLS_TIMEOUT if step is Step.TLS else FailureKind.CONNECTION_TIMEOUT
    if "TimeoutException" in names:
        return _TIMEOUT_OF_STEP[Step.TLS if step is Step.TLS else Step.EXCHANGE]
    if "ProxyError" in names:
        return FailureKind.PROXY_REFUSED
    if "RemoteProtocolError" in names:
        closed = "disconnected" in text or "closed connection" in text or "connection closed" in text
        return FailureKind.CONNECTION_CLOSED if closed else FailureKind.RESPONSE_MALFORMED
    if "DecodingError" in names:
        return FailureKind.RESPONSE_MALFORMED
    wraps = error.__cause__ is not None or error.__context__ is not None
    if names & {"ReadError", "WriteError", "CloseError"} and not wraps:
        return FailureKind.CONNECTION_CLOSED
    return None


def _kind_of_ssl(error: BaseException, names: set[str]) -> tuple[FailureKind, str | None]:
    if "SSLCertVerificationError" in names:
        return FailureKind.TLS_VERIFICATION, None
    if names & {"SSLEOFError", "SSLZeroReturnError"}:
        return FailureKind.CONNECTION_CLOSED, None
    return _kind_of_reason(str(getattr(error, "reason", None) or ""), str(error))


def _kind_of_openssl(error: BaseException, step: Step) -> tuple[FailureKind, str | None] | None:
    """Exceptions of pyOpenSSL: ``Error`` carries (library, function, reason) triples, reasons in words."""
    name = type(error).__name__
    if name == "SysCallError":
        number = error.args[0] if error.args else -1
        kind = _BY_ERRNO.get(number) if isinstance(number, int) else None
        return kind or FailureKind.CONNECTION_CLOSED, None
    if name == "ZeroReturnError":
        return FailureKind.CONNECTION_CLOSED, None
    if name in ("WantReadError", "WantWriteError"):
        return _TIMEOUT_OF_STEP[step], None
    entries = error.args[0] if error.args and isinstance(error.args[0], list | tuple) else []
    reasons = [entry[2] for entry in entries if isinstance(entry, tuple) and len(entry) > 2]
    for reason in reasons:
        found = _kind_of_reason(re.sub(r"[^A-Z0-9]+", "_", str(reason).upper()), "")
        if found[0] is not FailureKind.TLS_FAILURE:
            return found
    return FailureKind.TLS_FAILURE, None


def _kind_of_reason(reason: str, text: str) -> tuple[FailureKind, str | None]:
    alert = _ALERT.match(reason) or _EXTENSION_ALERT.match(reason)
    if alert is not None:
        return FailureKind.TLS_ALERT, alert[1].lower()
    if reason in _NOT_TLS:
        return FailureKind.TLS_NOT_SPOKEN, None
    if reason in _CLOSED_DURING_TLS:
        return FailureKind.CONNECTION_CLOSED, None
    if reason == "CERTIFICATE_VERIFY_FAILED":
        return FailureKind.TLS_VERIFICATION, None
    if "timed out" in text:
        return FailureKind.TLS_TIMEOUT, None
    return FailureKind.TLS_FAILURE, None


def _words_of(error: BaseException) -> str:
    """What the exception says, without its type and error number."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(words)[:_LONGEST_EXCEPTION_TEXT]


def _text_of(error: BaseException) -> str:
    text = str(error)
    name = type(error).__name__
    return (f"{name}: {text}" if text else name)[:_LONGEST_EXCEPTION_TEXT]


def _symbol_of(error: BaseException | None, number: int) -> str | None:
    """``ECONNREFUSED`` for a system error, ``EAI_NONAME`` for one of the resolver."""
    if isinstance(error, socket.gaierror):
        names = [name for name in dir(socket) if name.startswith("EAI_")]
        return next((name for name in names if getattr(socket, name) == number), None)
    return errno.errorcode.get(number)
