"""What readings of other clocks say about this host's clock. Pure.

Offsets are seconds with NTP's sign (RFC 5905 section 8): what has to be added to this host's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from statistics import median

from regdoctor.facts.base import Role
from regdoctor.facts.clock import (
    DateReading,
    DateReadings,
    NtpReading,
    NtpReadings,
    SpareNtpReadings,
    TimeDaemons,
)
from regdoctor.facts.http import ProducerKind


class Opinion(Enum):
    """What a reading says of this host's clock, its uncertainty taken into account."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class NtpOpinion:
    """What the NTP servers say together. ``offset`` is the middle one of those that decide."""

    opinion: Opinion
    offset: float = 0.0
    deciding: tuple[NtpReading, ...] = ()


@dataclass(frozen=True)
class Correction:
    """What brings this host's clock to the right time, as far as anybody told.

    ``offset`` is 0 where this host's clock is taken for right. ``by_ntp`` says that NTP decided, for or
    against it.
    """

    offset: float
    by_ntp: bool


def opinion(offset: float, uncertainty: float, tolerance: float) -> Opinion:
    """Whether a clock that is ``offset`` ± ``uncertainty`` seconds away is within the tolerance (seconds)."""
    if abs(offset) - uncertainty > tolerance:
        return Opinion.DIFFERS
    return Opinion.AGREES if abs(offset) + uncertainty <= tolerance else Opinion.UNDECIDED


def ntp_opinion(readings: Sequence[NtpReading], tolerance: float) -> NtpOpinion:
    """The largest group of servers that agree with each other, where there is just one such group.

    Servers that are wrong are wrong each in its own way. One that runs on this host has the same clock, so that
    it proves nothing by agreeing.
    """
    groups: list[NtpOpinion] = []
    for each in readings:
        if not each.synchronised or each.offset is None or each.uncertainty is None:
            continue
        said = opinion(each.offset, each.uncertainty, tolerance)
        if said is Opinion.UNDECIDED or (each.local and said is Opinion.AGREES):
            continue
        for position, group in enumerate(groups):
            if group.opinion is said and abs(each.offset - group.offset) <= tolerance:
                groups[position] = replace(group, deciding=(*group.deciding, each))
                break
        else:
            groups.append(NtpOpinion(said, each.offset, (each,)))
    groups.sort(key=lambda group: len(group.deciding), reverse=True)
    if not groups or (len(groups) > 1 and len(groups[0].deciding) == len(groups[1].deciding)):
        return NtpOpinion(Opinion.UNDECIDED)
    offsets = [each.offset for each in groups[0].deciding if each.offset is not None]
    return replace(groups[0], offset=median(offsets))


def ntp_readings(
    ntp: NtpReadings | None, spare: SpareNtpReadings | None, daemons: TimeDaemons | None, tolerance: float
) -> tuple[NtpReading, ...]:
    """What is known of NTP time: from the servers that were asked; where they do not decide, from daemons too."""
    asked = ntp or spare
    direct = asked.readings if asked is not None else ()
    if daemons is None or ntp_opinion(direct, tolerance).opinion is not Opinion.UNDECIDED:
        return direct
    return (*direct, *(each.tracking for each in daemons.daemons if each.tracking is not None))


def registrys_own(dates: DateReadings | None) -> DateReading | None:
    """The registry's own reading. A forward proxy that answers in its place has another clock."""
    return next(
        (
            each
            for each in (dates.readings if dates is not None else ())
            if each.endpoint is not None
            and each.endpoint.role is Role.REGISTRY
            and each.producer.kind is not ProducerKind.FORWARD_PROXY
        ),
        None,
    )


def correction(
    dates: DateReadings | None,
    ntp: NtpReadings | None,
    spare: SpareNtpReadings | None,
    daemons: TimeDaemons | None,
    tolerance: float,
) -> Correction:
    """The right time by what was asked: NTP first, then the registry's ``Date``.

    :param tolerance: seconds; within it this host's clock is right.
    """
    said = ntp_opinion(ntp_readings(ntp, spare, daemons, tolerance), tolerance)
    if said.opinion is not Opinion.UNDECIDED:
        return Correction(said.offset if said.opinion is Opinion.DIFFERS else 0.0, by_ntp=True)
    own = registrys_own(dates)
    if own is not None and opinion(own.offset, own.uncertainty, tolerance) is Opinion.DIFFERS:
        return Correction(own.offset, by_ntp=False)
    return Correction(0.0, by_ntp=False)
