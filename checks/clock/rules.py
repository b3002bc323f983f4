"""Whose clock is wrong, by how much, and whether anything keeps this host's right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from regdoctor.api import (
    Certainty,
    DateReading,
    DateReadings,
    Draft,
    Each,
    Handshakes,
    Moment,
    NtpReading,
    NtpReadings,
    ServedCertificate,
    Settings,
    SpareNtpReadings,
    Synchronisation,
    TimeDaemons,
    clocks,
    finding,
    rule,
)

_LOOPBACK = ("127.", "::1")


def _others(dates: DateReadings, own: DateReading) -> tuple[DateReading, ...]:
    """Readings of other machines than the registry's."""
    return tuple(
        each
        for each in dates.readings
        if each.address is not None
        and each.address != own.address
        and each.host.rpartition(":")[0] != own.host.rpartition(":")[0]
    )


def _span(seconds: float) -> str:
    """``2 h 5 min``: two units, rounded; beyond ten minutes nobody counts seconds."""
    rest = round(abs(seconds)) if abs(seconds) < 600 else 60 * round(abs(seconds) / 60)
    words = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {name}")
    return " ".join(words[:2]) or "less than a second"


def _how(offset: float) -> str:
    """How this host's clock stands beside a source's: ``2 h behind``."""
    return f"{_span(offset)} {'behind' if offset > 0 else 'ahead'}"


def _ntp_said(readings: Sequence[NtpReading]) -> str:
    said = [
        f"{_who(each)} ({each.offset:+.1f} s ± {each.uncertainty:.1f} s, stratum {each.stratum})"
        for each in readings
        if each.offset is not None and each.uncertainty is not None
    ]
    if all(each.daemon is None for each in readings):
        return f"NTP server{'s' if len(readings) > 1 else ''} {', '.join(said)}"
    return f"NTP: {', '.join(said)}"


def _who(reading: NtpReading) -> str:
    if reading.daemon is None:
        return reading.server
    return f"{reading.daemon}, which keeps this clock, says so itself after asking {reading.server}"


def _date_said(reading: DateReading) -> str:
    who = f", written by {reading.producer.name}" if reading.producer.name else ""
    return (
        f"the Date header of {reading.host}{who} ({reading.date:%Y-%m-%d %H:%M:%S} UTC, "
        f"{reading.offset:+.0f} s ± {reading.uncertainty:.0f} s)"
    )


def _now(moment: Moment) -> str:
    return f"This host's clock said {moment.now:%Y-%m-%d %H:%M:%S} UTC when the run began"


_MEANS = "Clients judge certificates and tokens by this clock, so good ones look expired or not yet valid."


@rule("clock/client-skew")
def client_wrong_by_ntp(
    moment: Moment,
    settings: Settings,
    ntp: NtpReadings | None,
    spare: SpareNtpReadings | None,
    daemons: TimeDaemons | None,
    dates: DateReadings | None,
) -> Iterator[Draft]:
    """NTP says that this host's clock is wrong; the registry's Date adds to it or takes from it."""
    tolerance = settings.clock_tolerance
    said = clocks.ntp_opinion(clocks.ntp_readings(ntp, spare, daemons, tolerance), tolerance)
    if said.opinion is clocks.Opinion.DIFFERS:
        yield _client_wrong(moment, settings, said, clocks.registrys_own(dates), _evidence(said, ntp))


def _evidence(said: clocks.NtpOpinion, ntp: NtpReadings | None) -> str:
    """The fact that holds what NTP said."""
    if any(each.daemon is not None for each in said.deciding):
        return "time-daemons"
    return "ntp-readings" if ntp is not None else "spare-ntp-readings"


def _client_wrong(
    moment: Moment, settings: Settings, said: clocks.NtpOpinion, own: DateReading | None, evidence: str
) -> Draft:
    """Says that NTP finds this host's clock wrong, and what the registry's Date adds to that."""
    seen = [f"{_now(moment)}: it is {_how(said.offset)}, by {_ntp_said(said.deciding)}."]
    several = len(said.deciding) > 1
    if own is None:
        certainty = Certainty.PROVEN if several else Certainty.LIKELY
    elif abs(own.offset - said.offset) <= own.uncertainty + settings.clock_tolerance:
        certainty = Certainty.PROVEN
        seen.append(f"So says {_date_said(own)}.")
    else:
        beside = clocks.opinion(own.offset, own.uncertainty, settings.clock_tolerance)
        shared = (own.address or "").startswith(_LOOPBACK)
        certainty = Certainty.LIKELY if several or shared else Certainty.POSSIBLE
        seen.append(
            f"But {_date_said(own)} "
            + ("agrees with this host" if beside is clocks.Opinion.AGREES else "says something else again")
            + (
                ": the registry runs on this host and has the same clock."
                if shared
                else "; ask another NTP server (--ntp-server) to see whether the first one is right."
            )
        )
    return finding(
        "clock/client-skew",
        " ".join([*seen, _MEANS]),
        certainty=certainty,
        evidence=(evidence, *((own.exchange,) if own is not None else ())),
    )


@rule("clock/client-skew", "clock/registry-skew")
def clocks_differ(
    moment: Moment,
    settings: Settings,
    dates: DateReadings,
    ntp: NtpReadings | None,
    spare: SpareNtpReadings | None,
    daemons: TimeDaemons | None,
    handshakes: Each[Handshakes],
) -> Iterator[Draft]:
    """Decides whose clock is wrong where the registry's Date is not this host's time."""
    own = clocks.registrys_own(dates)
    if (
        own is None
        or clocks.opinion(own.offset, own.uncertainty, settings.clock_tolerance) is not clocks.Opinion.DIFFERS
    ):
        return
    readings = clocks.ntp_readings(ntp, spare, daemons, settings.clock_tolerance)
    said = clocks.ntp_opinion(readings, settings.clock_tolerance)
    if said.opinion is clocks.Opinion.DIFFERS:
        return
    registry_by = (
        f"The clock of {own.host} is {_how(-own.offset)}: so says {_date_said(own)}, "
        f"while this host's clock said {moment.now:%H:%M:%S} UTC when the run began"
    )
    if said.opinion is clocks.Opinion.AGREES:
        yield finding(
            "clock/registry-skew",
            f"{registry_by} and agrees with {_ntp_said(said.deciding)}. {_registry_means(own)}",
            evidence=(own.exchange, _evidence(said, ntp)),
            endpoint=own.endpoint,
        )
        return
    against_host, against_registry = _clues(dates, own, settings, moment, handshakes)
    against_registry += _vouching(readings, daemons, settings.clock_tolerance)
    if against_registry and not against_host:
        yield finding(
            "clock/registry-skew",
            f"{registry_by}. {' '.join(against_registry)} {_registry_means(own)} {_decides(own)}",
            certainty=Certainty.LIKELY,
            evidence=(own.exchange,),
            endpoint=own.endpoint,
        )
        return
    seen = [f"{_now(moment)}: it is {_how(own.offset)}, by {_date_said(own)}."]
    yield finding(
        "clock/client-skew",
        " ".join([*seen, *against_host, *against_registry, _MEANS, _decides(own)]),
        certainty=Certainty.LIKELY,
        evidence=(own.exchange,),
    )


def _registry_means(own: DateReading) -> str:
    whose = (
        f"{own.producer.name} wrote the header: look at the clock of its machine first, then at the registry's."
        if own.producer.name is not None
        else "A reverse proxy before the registry may have written the header with a clock of its own."
    )
    return f"It refuses good tokens and signs its requests to object storage with a wrong time. {whose}"


def _decides(own: DateReading) -> str:
    return (
        "An NTP server decides which of the two clocks is wrong (--ntp-server HOST); "
        f"it could be that of {own.host}."
    )


def _vouching(readings: Sequence[NtpReading], daemons: TimeDaemons | None, tolerance: float) -> Iterator[str]:
    """Who on this host says that its clock is synchronised: NTP servers with the same clock, and time daemons."""
    for each in readings:
        if not each.local or not each.synchronised or each.offset is None or each.uncertainty is None:
            continue
        if (
            each.daemon is None
            and clocks.opinion(each.offset, each.uncertainty, tolerance) is clocks.Opinion.AGREES
        ):
            yield (
                f"The NTP server {each.server}, which runs on this host, says that its clock is synchronised."
            )
    for daemon in daemons.daemons if daemons is not None else ():
        if daemon.synchronisation is Synchronisation.SYNCHRONISED:
            yield f"{daemon.name} says that this host's clock is synchronised ({daemon.command}: {daemon.detail})."


def _clues(
    dates: DateReadings,
    own: DateReading,
    settings: Settings,
    moment: Moment,
    handshakes: Each[Handshakes],
) -> tuple[list[str], list[str]]:
    """What speaks against this host's clock, and what against the registry's, where no NTP server decides."""
    against_host, against_registry = [], []
    for each in _others(dates, own):
        if abs(each.offset - own.offset) <= each.uncertainty + own.uncertainty:
            against_host.append(f"So does {_date_said(each)}.")
        elif clocks.opinion(each.offset, each.uncertainty, settings.clock_tolerance) is clocks.Opinion.AGREES:
            against_registry.append(f"This host agrees with {_date_said(each)}.")
    theirs = moment.now + timedelta(seconds=own.offset)
    for leaf in _leaves(own, handshakes):
        by_ours = leaf.not_before <= moment.now <= leaf.not_after
        by_theirs = leaf.not_before <= theirs <= leaf.not_after
        period = f"{leaf.not_before:%Y-%m-%d %H:%M} to {leaf.not_after:%Y-%m-%d %H:%M} UTC"
        if by_theirs and not by_ours:
            against_host.append(f"Its certificate ({period}) is valid by its clock and not by this host's.")
        elif by_ours and not by_theirs:
            against_registry.append(
                f"Its certificate ({period}) is valid by this host's clock and not by its own."
            )
    return against_host, against_registry


def _leaves(own: DateReading, handshakes: Each[Handshakes]) -> tuple[ServedCertificate, ...]:
    """The registry's own certificates, each once."""
    seen = handshakes.get(own.endpoint) if own.endpoint is not None else None
    if seen is None:
        return ()
    leaves = {each.chain[0].sha256: each.chain[0] for each in seen.handshakes if each.chain}
    return tuple(leaves.values())


@rule("clock/ntp-unreachable")
def ntp_unreachable(ntp: NtpReadings, daemons: TimeDaemons | None) -> Iterator[Draft]:
    """Of the NTP servers that were named none gives the time."""
    if (
        not ntp.readings
        or any(each.synchronised for each in ntp.readings)
        or (not ntp.given and _synchronised(daemons))
    ):
        return
    whose = "given with --ntp-server" if ntp.given else f"named in {', '.join(ntp.sources)}"
    said = "; ".join(_ntp_problem(each) for each in ntp.readings)
    one = len(ntp.readings) == 1
    yield finding(
        "clock/ntp-unreachable",
        f"{'The NTP server' if one else f'None of the {len(ntp.readings)} NTP servers'} {whose} "
        f"{'does not give' if one else 'gives'} the time: {said}. Whether this host's clock is right was "
        "therefore not checked by NTP.",
        certainty=Certainty.PROVEN if ntp.given else Certainty.LIKELY,
        evidence=("ntp-readings",),
    )


def _ntp_problem(reading: NtpReading) -> str:
    if reading.failure is not None:
        return reading.failure.message
    return f"{reading.server} answers, but of no use: {reading.problem} (stratum {reading.stratum})"


def _synchronised(daemons: TimeDaemons | None) -> bool:
    return daemons is not None and any(
        each.synchronisation is Synchronisation.SYNCHRONISED for each in daemons.daemons
    )


@rule("clock/not-synchronised")
def not_synchronised(daemons: TimeDaemons) -> Iterator[Draft]:
    """A time daemon belongs to this host, and none keeps its clock right."""
    if _synchronised(daemons):
        return
    for each in daemons.daemons:
        if each.synchronisation is Synchronisation.NOT_SYNCHRONISED:
            said = (
                f"{each.name} runs and has not synchronised this host's clock: "
                f"{each.command} says {each.detail}."
            )
        elif each.synchronisation is Synchronisation.NOT_RUNNING:
            said = f"Nothing keeps this host's clock right: {each.detail}."
        else:
            continue
        yield finding("clock/not-synchronised", said, evidence=("time-daemons",))
        return
