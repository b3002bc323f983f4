"""Reads clocks: those of the hosts that answer over HTTP, of NTP servers, and what daemons say of this one."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Annotated
from urllib.parse import urlsplit

from regdoctor.api import (
    Answer,
    Context,
    DateReading,
    DateReadings,
    Each,
    Endpoint,
    NotApplicable,
    NtpReadings,
    Ping,
    Role,
    SpareNtpReadings,
    TimeDaemons,
    TokenExchange,
    TokenService,
    ntp,
    probe,
    time_daemons,
)

_HALF_A_SECOND = 0.5
_KEPT_DATE = 0.5
"""Seconds that a Date header may lag because servers keep the text for a while (nginx, Node.js)."""
_UNASKED_SECONDS = 2.0
"""The longest that servers may take which the caller did not name."""


@probe
def read_dates(
    pings: Annotated[Each[Ping], Role.REGISTRY, Role.MIRROR, Role.UPSTREAM],
    service: TokenService | None,
    exchange: TokenExchange | None,
) -> DateReadings:
    """The Date header of every host that answered, beside this host's clock at that moment."""
    answers: list[tuple[Answer | None, Endpoint | None]] = [
        (answer, endpoint)
        for endpoint, ping in pings.items()
        for answer in (*ping.redirects, ping.answer, ping.control)
    ]
    if exchange is not None:
        token_server = next(iter(service.endpoints), None) if service is not None else None
        answers += [(exchange.answer, token_server), (exchange.other_scheme, None)]
    best: dict[str, DateReading] = {}
    for answer, endpoint in answers:
        reading = _reading(answer, endpoint) if answer is not None else None
        if reading is not None and (
            reading.host not in best or reading.uncertainty < best[reading.host].uncertainty
        ):
            best[reading.host] = reading
    if not best:
        raise NotApplicable(next(iter(pings.missing.values()), "no answer carries a Date header"))
    return DateReadings(readings=tuple(best.values()))


def _reading(answer: Answer, endpoint: Endpoint | None) -> DateReading | None:
    """What the Date of one answer says, or None where it has none or comes out of a cache."""
    text = answer.header("date")
    if text is None or (answer.header("age") or "0").strip() != "0":
        return None
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        # "-0000" of RFC 5322 says that the zone is unknown; RFC 9110 knows nothing but GMT.
        return None
    # The header was written at some time between sending and receiving, and is cut to whole seconds.
    ahead = (date - answer.sent_at).total_seconds() + _HALF_A_SECOND
    parts = urlsplit(answer.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    host = f"{name}:{port}"
    return DateReading(
        host=host,
        exchange=answer.exchange,
        producer=answer.producer,
        date=date,
        offset=ahead - answer.seconds / 2,
        uncertainty=_HALF_A_SECOND + _KEPT_DATE + answer.seconds / 2,
        address=answer.address,
        endpoint=endpoint if endpoint is not None and host == endpoint.address else None,
    )


@probe
def find_daemons(context: Context) -> TimeDaemons:
    """The time daemons that run or are enabled here, and what they say of themselves."""
    return TimeDaemons(daemons=time_daemons.find_time_daemons(context.environment))


@probe
def ask_ntp(daemons: TimeDaemons, context: Context) -> NtpReadings:
    """Asks the NTP servers that the caller named, or those that this host's running daemon uses."""
    if context.options.ntp_servers:
        readings = ntp.ask_all(context.options.ntp_servers, context.deadline.step())
        return NtpReadings(given=True, readings=readings)
    servers = tuple(dict.fromkeys(server for daemon in daemons.daemons for server in daemon.servers))
    if not servers:
        raise NotApplicable("no NTP server is given, and no time daemon that runs here names one")
    files = tuple(dict.fromkeys(file for daemon in daemons.daemons for file in daemon.files))
    return NtpReadings(given=False, sources=files, readings=ntp.ask_all(servers, _unasked(context)))


@probe
def ask_spare_ntp(dates: DateReadings, asked: NtpReadings | None, context: Context) -> SpareNtpReadings:
    """Where a Date is off and no server was asked: those of a configuration file that nobody uses."""
    if asked is not None:
        raise NotApplicable("other NTP servers were asked")
    if not _differs(dates, context.options.clock_tolerance):
        raise NotApplicable("the clocks agree")
    found = time_daemons.named_in_files()
    if not found.servers:
        raise NotApplicable("no file on this host names an NTP server")
    return SpareNtpReadings(sources=found.files, readings=ntp.ask_all(found.servers, _unasked(context)))


def _unasked(context: Context) -> float:
    return min(_UNASKED_SECONDS, context.deadline.step())


def _differs(dates: DateReadings, tolerance: float) -> bool:
    return any(abs(each.offset) - each.uncertainty > tolerance for each in dates.readings)
